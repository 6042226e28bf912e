"""Tiny problems, their files and their certificates, written by hand from the specification, not by the library."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import math
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Tiny:
    """A problem over the rationals. T: rows of probabilities; labels: what CSV and IDX files hold instead of T."""

    X: list[list[Any]]
    T: list[list[Any]]
    labels: list[Any] | None = None
    classes: list[Any] | None = None
    features: list[str] | None = None
    intercept: bool = True
    label_smoothing: str | None = "0"
    weights: list[Any] | None = None
    regularizers: list[str] = dataclasses.field(default_factory=list)
    numbers: str = "decimal"
    table: dict | None = None

    def sha256(self) -> str:
        """The hash, as the specification spells it."""
        digest = hashlib.sha256()

        def line(text: str) -> None:
            digest.update(text.encode() + b"\n")

        N, D, C = len(self.X), len(self.X[0]), len(self.T[0])
        line("jaxsoftmax-data 1")
        line(f"shape {N} {D} {C}")
        line(f"intercept {int(self.intercept)}")
        for text in self.regularizers:
            line(text)
        line("X")
        for d in range(D):
            column = [Fraction(row[d]) for row in self.X]
            q = math.lcm(*(x.denominator for x in column))
            numerators = [int(x * q) for x in column]
            w = max(m.bit_length() // 8 + 1 for m in numerators)
            line(f"{q} {w}")
            for m in numerators:
                digest.update(m.to_bytes(w, "little", signed=True))
        line("T")
        for row in self.T:
            line(" ".join(str(Fraction(t)) for t in row))
        line("sample_weight")
        for weight in self.weights or [1] * N:
            line(str(Fraction(weight)))
        return digest.hexdigest()

    def data(self) -> dict[str, Any]:
        return {
            "sha256": self.sha256(),
            "N": len(self.X),
            "D": len(self.X[0]),
            "C": len(self.T[0]),
            "intercept": self.intercept,
            "numbers": self.numbers,
            "classes": self.classes,
            "features": self.features,
            "label_smoothing": self.label_smoothing,
            "regularizers": self.regularizers,
            "table": self.table,
        }

    def certificate(
        self,
        proof: str,
        kind: str = "none",
        V: list | None = None,
        G: list | None = None,
        maximal: bool | None = None,
    ) -> dict[str, Any]:
        """V: [c, d, p] over 1; G: rows (N, C) of integers over 1."""
        status = "NOT_ATTAINED" if proof == "direction" else "ATTAINED"
        used = [n for n, row in enumerate(G or []) if any(row)]
        block = {"denominator": 1, "rows": used, "values": [row for row in G or [] if any(row)]}
        return {
            "format": "jaxsoftmax-existence",
            "version": 1,
            "made_by": "hand",
            "data": copy.deepcopy(self.data()),
            "verdict": {"status": status, "type": kind, "face_maximal": maximal},
            "proof": proof,
            "direction": None if V is None else {"denominator": 1, "entries": V},
            "multipliers": None if G is None else [block],
        }

    # ── the files ──
    def dump(self, token: Any = lambda x: str(Fraction(x))) -> str:
        """The text of problem.dump; `token` writes a number of X, a weight, a strength."""
        C = len(self.T[0])
        lines = [
            "jaxsoftmax-problem 1",
            f"shape {len(self.X)} {len(self.X[0])} {C}",
            f"intercept {int(self.intercept)}",
            f"regularizers {len(self.regularizers)}",
            *self.regularizers,
            "classes " + json.dumps(self.classes and [str(c) for c in self.classes]),
            "features " + json.dumps(self.features),
            "X",
            *(" ".join(token(x) for x in row) for row in self.X),
            "T",
            *(" ".join(str(Fraction(t)) for t in row) for row in self.T),
            "sample_weight",
            *(token(w) for w in self.weights or [1] * len(self.X)),
            "end",
        ]
        return "\n".join(lines) + "\n"

    def csv(self, delimiter: str = ",", header: bool = False, target: int = -1) -> str:
        """A table of text; the label is column `target` of the whole."""
        names = self.features or [f"x{d}" for d in range(len(self.X[0]))]
        rows = [list(map(str, row)) for row in self.X]
        labels = [str(label) for label in self.labels or []]
        if header:
            rows, labels = [list(names), *rows], ["kind", *labels]
        for row, label in zip(rows, labels, strict=True):
            row.insert(target if target >= 0 else len(row), label)
        return "".join(delimiter.join(row) + "\n" for row in rows)


def idx(code: int, letter: str, shape: tuple[int, ...], entries: list) -> bytes:
    """An IDX file: 00 00 type dimensions, each 32 bits, the entries; big-endian."""
    return struct.pack(f">BBBB{len(shape)}I{len(entries)}{letter}", 0, 0, code, len(shape), *shape, *entries)


def save(folder: Path, certificate: Any, data: str | bytes, name: str = "data.txt") -> tuple[Path, Path]:
    """Write both; returns their paths."""
    path, file = folder / "certificate.json", folder / name
    path.write_text(certificate if isinstance(certificate, str) else json.dumps(certificate), encoding="utf-8")
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return path, file


# One of each kind of verdict.
HOT = {"a": [1, 0], "b": [0, 1]}


def labelled(X: list, labels: str, **options: Any) -> Tiny:
    """Classes a and b."""
    return Tiny(X, [HOT[c] for c in labels], list(labels), ["a", "b"], **options)


def overlap() -> tuple[Tiny, dict]:
    """Two samples of each class at the same two points: G = 1 on every pair."""
    tiny = labelled([[1], [2], [1], [2]], "aabb")
    return tiny, tiny.certificate("multipliers", G=[[-1, 1], [-1, 1], [1, -1], [1, -1]])


def complete() -> tuple[Tiny, dict]:
    """x < 1/2 is a, x > 1/2 is b: the logit of b is 2x − 1, that of a is 0."""
    tiny = labelled([[0], [1]], "ab")
    return tiny, tiny.certificate("direction", "complete", V=[[1, 0, 2], [1, 1, -1]])


def quasi() -> tuple[Tiny, dict]:
    """The sign of x, with one sample of each class at 0."""
    tiny = labelled([[-1], [0], [0], [1]], "aabb")
    G = [[0, 0], [-1, 1], [1, -1], [0, 0]]
    return tiny, tiny.certificate("direction", "quasi-complete", V=[[1, 0, 1]], G=G, maximal=True)


def partial() -> tuple[Tiny, dict]:
    """Three classes, c apart from a and b, which overlap at x = 0 twice; G proves one of the two overlaps alone."""
    X, labels = [[0, 0], [0, 0], [0, 1], [0, 1], [1, 0]], "ababc"
    T = [[int(c == label) for c in "abc"] for label in labels]
    tiny = Tiny(X, T, list(labels), list("abc"))
    G = [[-1, 1, 0], [1, -1, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
    V = [[2, 0, 2], [2, 2, -1]]  # the logit of c is 2 x_0 − 1, those of a and b are 0
    return tiny, tiny.certificate("direction", "quasi-complete", V=V, G=G, maximal=False)


def open_() -> tuple[Tiny, dict]:
    tiny, _ = quasi()
    return tiny, tiny.certificate("direction", "open", V=[[1, 0, 1]])


def positive() -> tuple[Tiny, dict]:
    tiny, _ = complete()
    tiny = dataclasses.replace(tiny, label_smoothing="1/10", T=[[Fraction(19, 20), Fraction(1, 20)], ["1/20", "19/20"]])
    return tiny, tiny.certificate("positive-targets")


def coercive() -> tuple[Tiny, dict]:
    tiny = dataclasses.replace(complete()[0], regularizers=["l2 1/10 1"])
    return tiny, tiny.certificate("coercive")


KINDS = {made.__name__: made for made in (overlap, complete, quasi, partial, open_, positive, coercive)}

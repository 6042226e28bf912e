"""Corrupts certificates and their data files, and says whether what the checker then accepts is still true.

A corruption is drawn by a seed and applied to the JSON or to the text of the dump. Where the data change, the hash is
recomputed in half of the cases, so that the mathematics has to refuse. An accepted certificate is true when the exact
oracle (exact_oracle.py) reaches the same verdict about the corrupted data, read here by another reader.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import jax

import jaxsoftmax as js
from helpers.certificates.certificates import Tiny
from helpers.certificates.exact_oracle import decide
from helpers.certificates.random_problems import small_problem
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate, check


class Trial(NamedTuple):
    """What became of a corruption: "refused", "unusable" (the input), "still true", or what is wrong."""

    kind: str
    outcome: str

    @property
    def wrong(self) -> bool:
        return self.outcome not in ("refused", "unusable", "still true")


class Base(NamedTuple):
    """A valid certificate and the lines of its dump."""

    certificate: dict
    lines: list[str]


def base(seed: int, folder: Path) -> Base | None:
    """The certificate of a random problem, made by the library; None where it leaves the matter undecided."""
    drawn = small_problem(seed)
    problem = drawn.build()
    with jax.enable_x64(drawn.x64):
        verdict = js.decide_existence(problem, decimal=drawn.decimal)
    if verdict.status is js.Existence.UNDECIDED:
        return None
    verdict.save(folder / "certificate.json")
    problem.dump(folder / "data.txt", decimal=drawn.decimal)
    certificate = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
    return Base(certificate, (folder / "data.txt").read_text(encoding="ascii").split("\n"))


# ── another reader of the dump and of V ──
def number(token: str, decimal: bool) -> Fraction:
    if "x" in token:
        value = float.fromhex(token)
        return Fraction(repr(value)) if decimal else Fraction(value)
    return Fraction(token)


def read(lines: list[str], data: dict) -> Tiny:
    """The dump, its numbers read as the certificate's `data` say."""
    decimal = data["numbers"] == "decimal"
    N, D, C = map(int, lines[1].split()[1:])
    at = lines.index("X") + 1
    regularizers = []
    for line in lines[4 : at - 3]:
        name, *tokens = line.split()
        flag = [] if name == "self" else [tokens.pop()]
        regularizers.append(" ".join([name, *(str(number(token, decimal)) for token in tokens), *flag]))
    blocks = [lines[at + k * (N + 1) : at + k * (N + 1) + N] for k in range(3)]
    X, T, weights = ([[number(token, decimal) for token in line.split(" ")] for line in block] for block in blocks)
    assert {len(row) for row in X} == {D} and {len(row) for row in T} == {C} and len(weights) == N
    return Tiny(
        X,
        T,
        classes=data["classes"],
        features=data["features"],
        intercept=lines[2] == "intercept 1",
        label_smoothing=data["label_smoothing"],
        weights=[w for (w,) in weights],
        regularizers=regularizers,
        numbers=data["numbers"],
    )


def oracle_data(tiny: Tiny) -> tuple[list[list[Fraction]], list[frozenset[int]], list[int], list[int]]:
    """Rows of positive weight in the free columns (S21e), supports; and which rows and columns these are."""
    D = len(tiny.X[0])
    free = list(range(D + tiny.intercept))
    for line in tiny.regularizers:
        name, strength, *rest = line.split()
        if name == "self":
            free = []
        elif Fraction(strength) > 0:
            free = [d for d in free if d == D and rest[-1] == "0"]
    rows = [n for n, weight in enumerate(tiny.weights or []) if weight > 0]
    X = [[[*tiny.X[n], Fraction(1)][d] for d in free] for n in rows]
    return X, [frozenset(j for j, t in enumerate(tiny.T[n]) if t > 0) for n in rows], rows, free


def integer(value: int | str) -> int:
    return int(value, 16) if isinstance(value, str) else value


def separated(certificate: dict, X: list, supports: list, free: list[int], C: int) -> set[tuple[int, int]]:
    """The pairs with a positive margin under the certificate's V."""
    V = [[Fraction(0)] * len(free) for _ in range(C)]
    for c, d, p in certificate["direction"]["entries"]:
        V[c][free.index(d)] = Fraction(integer(p), integer(certificate["direction"]["denominator"]))
    found = set()
    for n, (x, support) in enumerate(zip(X, supports, strict=True)):
        z = [sum((v * a for v, a in zip(row, x, strict=True)), Fraction(0)) for row in V]
        found |= {(n, j) for j in range(C) if j not in support and z[j] < max(z)}
    return found


def untrue(certificate: dict, lines: list[str]) -> str:
    """Why an accepted certificate is not true of these data; empty when it is."""
    tiny = read(lines, certificate["data"])
    if certificate["data"] != tiny.data() | {"table": certificate["data"]["table"]}:
        return "the certificate's data are not those of the file"
    X, supports, _, free = oracle_data(tiny)
    C, stated = len(tiny.T[0]), certificate["verdict"]
    if free:
        truth = decide(X, supports, C)
        verdict, pairs = truth.verdict, truth.separated
    else:
        verdict, pairs = "attained", frozenset()
    if stated["status"] == "ATTAINED":
        return "" if verdict == "attained" and stated["type"] == "none" else f"ATTAINED, but {verdict}"
    apart = separated(certificate, X, supports, free, C)
    if verdict == "attained" or not apart or not apart <= pairs:
        return f"NOT_ATTAINED, but {verdict}"
    if stated["type"] not in ("open", verdict):
        return f"{stated['type']}, but {verdict}"
    return "the face is not maximal" if stated["face_maximal"] and apart != pairs else ""


# ── the corruptions ──
def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The paths to every integer of a JSON value, the hexadecimal ones included."""
    if isinstance(value, dict):
        return [place for key in value for place in places(value[key], (*path, key))]
    if isinstance(value, list):
        return [place for k, inner in enumerate(value) for place in places(inner, (*path, k))]
    whole = type(value) is int or (isinstance(value, str) and value.lstrip("-").startswith("0x"))
    return [path] if whole else []


def change(value: Any, path: tuple, function: Callable[[int], Any]) -> None:
    for key in path[:-1]:
        value = value[key]
    changed = function(integer(value[path[-1]]))
    value[path[-1]] = hex(changed) if type(changed) is int and abs(changed) >= 2**53 else changed


def _witness(draw: random.Random, certificate: dict, function: Callable[[int], Any]) -> bool:
    """One number of V or G; of either with the same chance."""
    parts = [part for part in ("direction", "multipliers") if places(certificate[part])]
    if not parts:
        return False
    part = draw.choice(parts)
    change(certificate[part], draw.choice(places(certificate[part])), function)
    return True


def _entries(certificate: dict) -> list:
    return certificate["direction"]["entries"] if certificate["direction"] else []


def one_more_or_less(draw, certificate, lines):
    step = draw.choice((-1, 1))
    return _witness(draw, certificate, lambda value: value + step)


def a_sign(draw, certificate, lines):
    return _witness(draw, certificate, lambda value: -value)


def a_number_of_another_type(draw, certificate, lines):
    other = draw.choice((True, None, 0.5, "1", "0X1", [], {}, "1e3"))
    return _witness(draw, certificate, lambda value: other)


def a_zero(draw, certificate, lines):
    return _witness(draw, certificate, lambda value: 0)


def a_factor(draw, certificate, lines):
    factor = draw.choice((2, 3, 2**70))
    return _witness(draw, certificate, lambda value: value * factor)


def direction_negated(draw, certificate, lines):
    for k in range(len(_entries(certificate))):
        change(_entries(certificate), (k, 2), lambda value: -value)
    return bool(_entries(certificate))


def direction_without_an_entry(draw, certificate, lines):
    entries = _entries(certificate)
    if entries:
        del entries[draw.randrange(len(entries))]
    return certificate["direction"] is not None


def direction_with_an_entry(draw, certificate, lines):
    if certificate["direction"] is None:
        return False
    C, D = certificate["data"]["C"], certificate["data"]["D"]
    entries = {(c, d): p for c, d, p in _entries(certificate)}
    entries[draw.randrange(C), draw.randrange(D + 1)] = draw.choice((-1, 1, 2))
    certificate["direction"]["entries"] = [[*key, p] for key, p in sorted(entries.items())]
    return True


def multipliers_negated(draw, certificate, lines):
    for block in certificate["multipliers"] or []:
        for path in places(block["values"]):
            change(block["values"], path, lambda value: -value)
    return bool(certificate["multipliers"])


def multipliers_without_a_row(draw, certificate, lines):
    block = draw.choice(certificate["multipliers"] or [None])
    if not block or not block["rows"]:
        return False
    k = draw.randrange(len(block["rows"]))
    del block["rows"][k], block["values"][k]
    return True


def multipliers_two_rows_swapped(draw, certificate, lines):
    block = draw.choice(certificate["multipliers"] or [None])
    if not block or len(block["rows"]) < 2:
        return False
    i, k = draw.sample(range(len(block["rows"])), 2)
    block["values"][i], block["values"][k] = block["values"][k], block["values"][i]
    return True


def multipliers_two_classes_swapped(draw, certificate, lines):
    block = draw.choice(certificate["multipliers"] or [None])
    if not block or not block["rows"]:
        return False
    row = draw.choice(block["values"])
    i, k = draw.sample(range(len(row)), 2)
    row[i], row[k] = row[k], row[i]
    return True


def another_verdict(draw, certificate, lines):
    """With the parts that it needs, so that they must be proved."""
    direction = certificate["direction"] or {"denominator": 1, "entries": []}
    multipliers = certificate["multipliers"] or []
    status, kind, maximal, proof = draw.choice(
        [
            ("ATTAINED", "none", None, "positive-targets"),
            ("ATTAINED", "none", None, "coercive"),
            ("ATTAINED", "none", None, "multipliers"),
            ("NOT_ATTAINED", "complete", None, "direction"),
            ("NOT_ATTAINED", "quasi-complete", True, "direction"),
            ("NOT_ATTAINED", "quasi-complete", False, "direction"),
            ("NOT_ATTAINED", "open", None, "direction"),
        ]
    )
    certificate["verdict"] = {"status": status, "type": kind, "face_maximal": maximal}
    certificate["proof"] = proof
    certificate["direction"] = direction if status == "NOT_ATTAINED" else None
    certificate["multipliers"] = multipliers if proof == "multipliers" or kind == "quasi-complete" else None
    return True


def a_word_of_the_verdict(draw, certificate, lines):
    key, value = draw.choice(
        [
            ("status", draw.choice(("ATTAINED", "NOT_ATTAINED", "UNDECIDED"))),
            ("type", draw.choice(("none", "complete", "quasi-complete", "open"))),
            ("face_maximal", draw.choice((None, True, False, 1))),
        ]
    )
    certificate["verdict"][key] = value
    return True


def the_description_of_the_data(draw, certificate, lines):
    data = certificate["data"]
    key = draw.choice(("N", "D", "C", "intercept", "numbers", "classes", "features", "label_smoothing", "regularizers"))
    if key in ("N", "D", "C"):
        data[key] += draw.choice((-1, 1))
    elif key == "intercept":
        data[key] = not data[key]
    elif key == "numbers":
        data[key] = "double" if data[key] == "decimal" else "decimal"
    elif key == "regularizers":
        data[key] = [] if data[key] else ["l2 1/10 0"]
    else:
        data[key] = "1/2" if key == "label_smoothing" else ["a", "b"]
    return True


def another_hash(draw, certificate, lines):
    k = draw.randrange(64)
    old = certificate["data"]["sha256"]
    certificate["data"]["sha256"] = old[:k] + draw.choice("0123456789abcdef") + old[k + 1 :]
    return True


def an_ulp_of_X(draw, certificate, lines):
    N, at = certificate["data"]["N"], lines.index("X") + 1
    n = draw.randrange(N)
    tokens = lines[at + n].split(" ")
    d = draw.randrange(len(tokens))
    up = draw.choice((-1, 1))
    if "x" in tokens[d]:
        tokens[d] = math.nextafter(float.fromhex(tokens[d]), up * math.inf).hex()
    else:
        tokens[d] = str(Fraction(tokens[d]) + Fraction(up, 10 ** draw.choice((0, 0, 1, 15))))
    lines[at + n] = " ".join(tokens)
    return True


def a_label(draw, certificate, lines):
    N, C, at = certificate["data"]["N"], certificate["data"]["C"], lines.index("T") + 1
    n = draw.randrange(N)
    one_hot = " ".join(str(int(j == k)) for k in [draw.randrange(C)] for j in range(C))
    lines[at + n] = draw.choice((one_hot, one_hot, lines[at + draw.randrange(N)]))
    return True


def a_weight(draw, certificate, lines):
    n = lines.index("sample_weight") + 1 + draw.randrange(certificate["data"]["N"])
    lines[n] = "1" if number(lines[n], False) == 0 else "0"
    return True


def two_rows_of_X_swapped(draw, certificate, lines):
    at = lines.index("X") + 1
    i, k = draw.sample(range(at, at + certificate["data"]["N"]), 2)
    lines[i], lines[k] = lines[k], lines[i]
    return True


def a_column_negated(draw, certificate, lines):
    at, d = lines.index("X") + 1, draw.randrange(certificate["data"]["D"])
    for n in range(at, at + certificate["data"]["N"]):
        tokens = lines[n].split(" ")
        tokens[d] = tokens[d][1:] if tokens[d].startswith("-") else f"-{tokens[d]}"
        lines[n] = " ".join(tokens)
    return True


def the_intercept_of_the_data(draw, certificate, lines):
    lines[2] = "intercept 0" if lines[2] == "intercept 1" else "intercept 1"
    return True


def the_regulariser_of_the_data(draw, certificate, lines):
    given = lines[4 : lines.index("X") - 2]
    other = [] if given else [draw.choice(("l2 1 0", "l2 1 1", "self 1", "logcosh 1 1 0", "l2 0 1"))]
    lines[3 : lines.index("X") - 2] = [f"regularizers {len(other)}", *other]
    return True


OF_THE_CERTIFICATE = (
    one_more_or_less,
    one_more_or_less,
    a_sign,
    a_zero,
    a_factor,
    a_number_of_another_type,
    direction_negated,
    direction_without_an_entry,
    direction_with_an_entry,
    multipliers_negated,
    multipliers_without_a_row,
    multipliers_two_rows_swapped,
    multipliers_two_classes_swapped,
    another_verdict,
    a_word_of_the_verdict,
    the_description_of_the_data,
    another_hash,
)
OF_THE_DATA = (
    an_ulp_of_X,
    an_ulp_of_X,
    a_label,
    a_label,
    a_weight,
    two_rows_of_X_swapped,
    a_column_negated,
    the_intercept_of_the_data,
    the_regulariser_of_the_data,
)
OF_THE_TEXT = ("a byte of the certificate", "the certificate cut off", "a byte of the data", "the data cut off")


def _text(draw: random.Random, kind: str, text: str) -> str:
    k = draw.randrange(len(text) - 2)
    if kind.endswith("cut off"):
        return text[:k]
    return text[:k] + draw.choice('0123456789-/abxe.,[]{}":\n ') + text[k + 1 :]


def trial(seed: int, found: Base, folder: Path) -> Trial | None:
    """One corruption of a valid certificate; None where the one drawn does not apply or changes nothing."""
    return attempt(seed, found, folder, OF_THE_CERTIFICATE, check, untrue)


def attempt(
    seed: int,
    found: Base,
    folder: Path,
    of_the_certificate: tuple[Callable[..., bool], ...],
    check: Callable[[Path, Path], Any],
    untrue: Callable[[dict, list[str]], str],
) -> Trial | None:
    """The same for any kind of certificate: its corruptions, its checker, and what says whether it is true."""
    draw = random.Random(seed)
    certificate, lines = copy.deepcopy(found.certificate), list(found.lines)
    corrupt = draw.choice((*of_the_certificate, *OF_THE_DATA, *OF_THE_TEXT))
    if not isinstance(corrupt, str):
        kind = corrupt.__name__.replace("_", " ")
        if not corrupt(draw, certificate, lines) or (certificate, lines) == tuple(found):
            return None
    else:
        kind = corrupt
    text, data = json.dumps(certificate), "\n".join(lines)
    if kind in OF_THE_TEXT:
        which = "certificate" in kind
        text, data = (_text(draw, kind, text), data) if which else (text, _text(draw, kind, data))
        if (text, data) == (json.dumps(found.certificate), "\n".join(found.lines)):
            return None
    elif corrupt in OF_THE_DATA and draw.random() < 0.5:
        kind += ", with its hash"
        certificate["data"] = read(lines, certificate["data"]).data()
        text = json.dumps(certificate)
    (folder / "certificate.json").write_text(text, encoding="utf-8")
    (folder / "data.txt").write_text(data, encoding="utf-8", newline="\n")
    try:
        check(folder / "certificate.json", folder / "data.txt")
    except RefusedCertificate:
        return Trial(kind, "refused")
    except ValueError:
        return Trial(kind, "unusable")
    except Exception as error:
        return Trial(kind, f"{type(error).__name__}: {error}"[:200])
    try:
        return Trial(kind, untrue(json.loads(text), data.split("\n")) or "still true")
    except (ValueError, AssertionError, IndexError, ArithmeticError) as error:
        return Trial(kind, f"accepted, but another reader fails: {error!r}"[:200])

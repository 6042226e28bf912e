"""Checks a certificate of js.decide_existence against its data, in exact arithmetic, by the standard library alone.

Run ``python check_existence.py CERTIFICATE DATA [--labels FILE]``: it ends with 0 when the verdict is proved, 1 when
the certificate does not prove it, 2 when the input cannot be used, 74 when the report cannot be written. (section 7.6)

Softmax regression minimises Σ_n s_n [lse(W x_n) − t_nᵀ W x_n], plus a regulariser that leaves the *admissible* columns
of X free (S21e). Samples of weight s_n = 0 take no part. S_n are the classes with t_nj > 0; a *pair* (n, j) is a sample
and a class j outside S_n.

S9. Let V (C × D) be 0 off the admissible columns and (V x_n)_i = max_j (V x_n)_j for every n and i in S_n: nothing
increases along V. If some pair has a *margin* max_i (V x_n)_i − (V x_n)_j > 0, the loss decreases forever, and there is
no minimiser; if every pair has, the separation is complete. If no V has, there is a minimiser: so if there are no
pairs [NR], and if there are no admissible columns.

S10. Let the rows of G (N × C) sum to 0 and XᵀG = 0 on the admissible columns: 0 = Σ_nj G_nj (V x_n)_j = −Σ_pairs G_nj
margin_nj for every V of S9. If G > 0 on all pairs, no V has a margin. If G ≥ 0 on all pairs (Gordan's variant), pairs
with G_nj > 0 have margin 0 under every V: one refutes complete separation, and if G > 0 wherever the V at hand has
margin 0, no other V separates more (its face is maximal).

Sums serve all C classes at once: integers v_j are packed into Σ_j v_j 2^(jB), B being too wide for any sum to leave it.

Files, numbers and certificates beyond the limits below, which no certificate of a problem of usual size comes near, are
refused before any work is done for them.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import hashlib
import io
import json
import math
import re
import struct
import sys
import textwrap
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, repeat
from operator import add, mul
from pathlib import Path
from typing import Any, NamedTuple

# The limits.
_MOST_BYTES = 1 << 32  # of a file, unpacked
_MOST_UNPACKED = 100  # times its size, to which a compressed file may unpack; 64 MiB are always allowed
_MOST_SIGNS = {"{": 1 << 12, "[": 1 << 22, ",": 1 << 24}  # in a file of JSON
_MOST_CHARACTERS = 4000  # of a number
_MOST_PLACES = 400  # decimal ones, before or behind the point
_MOST_DENOMINATOR = 1 << 13  # bits of the common denominator of a column of X
_MOST_TARGETS = 1 << 30  # characters of all targets, written as fractions
_MOST_PARTS = 64  # regularisers
_MOST_BLOCKS = 256  # of multipliers
_MOST_COMMON = 1 << 22  # times the bits of their denominators
_MOST_LENGTH = 1 << 12  # bits of an entry of V or G, beside those that the data may need
_MOST_PACKED = 1 << 33  # bits of packed rows
_MOST_WORK = 1 << 41  # bits of packed rows times columns: minutes

# Numbers: in tables decimals; in dumps and certificates integers, p/q, and what float.hex writes, which is exact.
_DECIMAL = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:e([+-]?\d+))?", re.ASCII | re.IGNORECASE)
_STORED = re.compile(r"-?\d+(/\d+)?|-?0x[01]\.[0-9a-f]{1,13}p[+-]\d{1,4}", re.ASCII)

# The form of a certificate: a tuple is null or one of the rest; an "integer" may also be text such as "-0x1f".
DATA_FORM: dict[str, Any] = {
    "sha256": str,
    "N": int,
    "D": int,
    "C": int,
    "intercept": bool,
    "numbers": str,
    "classes": (None, [str], [int]),
    "features": (None, [str]),
    "label_smoothing": (None, str),
    "regularizers": [str],
    "table": (None, {"delimiter": (None, str), "header": bool, "target": int}),
}
_FORM = {
    "format": str,
    "version": int,
    "made_by": str,
    "data": DATA_FORM,
    "verdict": {"status": str, "type": str, "face_maximal": (None, bool)},
    "proof": str,
    "direction": (None, {"denominator": "integer", "entries": [["integer"]]}),
    "multipliers": (None, [{"denominator": "integer", "rows": ["integer"], "values": [["integer"]]}]),
}
# Proof: (status, type; are there face_maximal, direction, multipliers?) -> what is proved.
_PROOFS = {
    ("positive-targets", "ATTAINED", "none", False, False, False): "every target is positive (S9)",
    ("coercive", "ATTAINED", "none", False, False, False): "the regularizer penalises every column (S21e)",
    ("multipliers", "ATTAINED", "none", False, False, True): "G > 0 on every pair (S10)",
    ("direction", "NOT_ATTAINED", "complete", False, True, False): "V separates every pair (S9)",
    ("direction", "NOT_ATTAINED", "quasi-complete", True, True, True): (
        "V separates some pairs (S9), and no direction separates those where G > 0 (S10)"
    ),
    ("direction", "NOT_ATTAINED", "open", False, True, False): "V separates some pairs (S9)",
}
_DUMP_IT = "Dump the problem (problem.dump, or `jaxsoftmax certify DATA --dump FILE`) and check the dump"


class RefusedCertificate(ValueError):
    """The certificate can be read, and does not prove its verdict about these data."""


@dataclass(frozen=True)
class CheckedProblem:
    """What was proved, and about which problem; `str` of it is the report.

    classes: as the certificate names them, None where they have no names.
    label_smoothing: of the labels, a fraction; None where the data hold targets.
    regularizers: as in the dump, with rationals.
    intercept: whether a column of ones is appended.
    helped_by: the smoothing and the penalties with which alone it is proved that a minimiser exists, in words.
    """

    classes: tuple[str | int, ...] | None
    label_smoothing: str | None
    regularizers: tuple[str, ...]
    intercept: bool
    helped_by: str
    head: str
    lines: tuple[str, ...]

    @property
    def l2(self) -> str:
        """The sum of the strengths of the L2 penalties, a fraction."""
        return str(sum((Fraction(x.split(" ")[1]) for x in self.regularizers if x.startswith("l2 ")), Fraction(0)))

    def __str__(self) -> str:
        wrapper = textwrap.TextWrapper(80, "  ", "    ", break_long_words=False, break_on_hyphens=False)
        head = f"VERIFIED: {self.head}{self.helped_by and ' with ' + self.helped_by}"
        return "\n".join([head, *map(wrapper.fill, self.lines)])


@dataclass(frozen=True)
class Verdict(CheckedProblem):
    """A verdict that was proved."""

    status: str
    type: str
    face_maximal: bool | None


class _Column(NamedTuple):
    """A column of X: integers, none beyond `size` in magnitude, over their least common denominator."""

    integers: Sequence[int]
    denominator: int
    size: int


class ReadData(NamedTuple):
    """The problem as read; the targets and the weight of a sample are texts of reduced rationals."""

    intercept: bool
    regularizers: list[str]
    columns: list[_Column]
    targets: list[str]
    weights: list[str]


def _listed(names: Iterable[Any]) -> str:
    """The first dozen names, and how many there are."""
    names = list(names)
    return ", ".join(map(repr, names[:12])) + (f", … ({len(names)} in all)" if len(names) > 12 else "")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:40]}… ({len(text)} characters)"


# the certificate
def _json(text: str, where: Any) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise ValueError(f"a key occurs twice among {[key for key, _ in pairs]!r:.200}")
        return dict(pairs)

    def refuse(token: str) -> None:
        raise ValueError(f"{token:.40} is no integer")

    try:
        return json.loads(text, object_pairs_hook=once, parse_float=refuse, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}: is cut off or is not the JSON it should be ({error}). Make it again.") from None


def _formed(value: Any, form: Any, where: str) -> Any:
    """The value, exactly of this form, its integers converted."""
    if isinstance(form, tuple):
        if value is None:
            return None
        text = isinstance(value, list) and value and isinstance(value[0], str)
        return _formed(value, form[1 if text else -1], where)
    if isinstance(form, dict) and isinstance(value, dict) and set(form) == set(value):
        return {key: _formed(value[key], form[key], f"{where}.{key}") for key in form}
    if isinstance(form, list) and isinstance(value, list):
        return [_formed(entry, form[0], where) for entry in value]
    if form == "integer" and isinstance(value, str) and re.fullmatch("-?0x[0-9a-f]+", value):
        return int(value, 16)
    if type(value) is (int if form == "integer" else form):
        return value
    needed = f"the keys {', '.join(form)}" if isinstance(form, dict) else getattr(form, "__name__", form)
    raise ValueError(f"{where}: needs {needed}; found {sorted(value) if isinstance(value, dict) else value!r:.200}.")


def read_json(path: Path) -> Any:
    """What a file of JSON holds, compressed by gzip or not."""
    text = _text(path, _read(path))
    for sign, most in _MOST_SIGNS.items():
        if text.count(sign) > most:
            raise ValueError(f"{path}: holds more than {most} times '{sign}', the most that is read of a certificate.")
    return _json(text, path)


def read_certificate(path: Path, kind: str, form: dict[str, Any]) -> dict[str, Any]:
    """The certificate in a file, exactly of its form: jaxsoftmax-`kind`, version 1."""
    stated = read_json(path)
    if not isinstance(stated, dict) or stated.get("format") != f"jaxsoftmax-{kind}":
        raise ValueError(f"{path}: is no certificate of this kind: its format is not 'jaxsoftmax-{kind}'.")
    if stated.get("version") != 1:
        raise ValueError(
            f"{path}: version {stated.get('version')!r:.40}: this checker reads version 1. Get its checker."
        )
    return _formed(stated, form, "certificate")


# exact numbers
def _scientific(text: str) -> tuple[int, int]:
    """(m, k) of the decimal m 10^k, where m has no zero at its end."""
    match = _DECIMAL.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
    if not match:
        raise ValueError(text)
    sign, mantissa, exponent = match.groups()
    whole, _, places = mantissa.partition(".")
    digits = (whole + places).lstrip("0")
    short = digits.rstrip("0")
    k = int(exponent or 0) - len(places) + len(digits) - len(short)
    return (int(sign + short), k) if short else (0, 0)


def _exact(number: Any, decimal: bool, cell: bool) -> tuple[int, int]:
    """A reduced ratio: a double is its value or the shortest decimal it prints; a text that of a cell or of a dump."""
    if isinstance(number, str) and cell and not decimal:
        _scientific(number)
        number = float(number)
    elif isinstance(number, str) and not cell:
        if len(number) > _MOST_CHARACTERS or not _STORED.fullmatch(number):
            raise ValueError(number)
        if "x" not in number:
            return Fraction(number).as_integer_ratio()
        number = float.fromhex(number)
    if isinstance(number, float) and not decimal:
        return number.as_integer_ratio()
    m, k = _scientific(str(number))
    if abs(len(str(abs(m))) + k) > _MOST_PLACES:  # 10**(10**9) would fill the memory
        raise ValueError(number)
    return (m * 10**k, 1) if k >= 0 else Fraction(m, 10**-k).as_integer_ratio()


def _plain(cell: str) -> str:
    return {"true": "1", "false": "0"}.get(cell.strip().lower(), cell.strip())


def _column(values: Sequence, decimal: bool, where: Callable[[int], str], cell: bool = False) -> _Column:
    """Each distinct value is read once; `where` says where the n-th is."""
    ratios = {}
    for value in dict.fromkeys(values):
        try:
            ratios[value] = _exact(_plain(value) if cell else value, decimal, cell)
        except (ValueError, ArithmeticError):
            place = where(values.index(value))
            raise ValueError(f"{place}: {value!r:.60} is no finite number. Correct it, or remove the row.") from None
    least = 1
    for q in {q for _, q in ratios.values()}:
        least = math.lcm(least, q)
        if least.bit_length() > _MOST_DENOMINATOR:
            raise ValueError(
                f"{where(0)}: from here on the numbers need a denominator of over {_MOST_DENOMINATOR} bits."
            )
    integers = {value: p * (least // q) for value, (p, q) in ratios.items()}
    return _Column([integers[value] for value in values], least, max(map(abs, integers.values())))


def _rationals(tokens: list[str], decimal: bool, where: str) -> list[Fraction]:
    column = _column(tokens, decimal, lambda _: where)
    return [Fraction(m, column.denominator) for m in column.integers]


def _regularizer(line: str, decimal: bool) -> str:
    """The line with reduced rationals (S21), each 0 or of the size of a double."""
    name, *tokens = line.split(" ")
    count, flags = {"l2": (1, 1), "logcosh": (2, 1), "self": (1, 0)}.get(name, (0, 0))
    if len(tokens) == count + flags > 0 and all(flag in ("0", "1") for flag in tokens[count:]):
        strengths = _rationals(tokens[:count], decimal, f"regularizer {line!r:.80}")
        fine = all(x == 0 or Fraction(1, 1 << 1074) <= abs(x) < 1 << 1024 for x in strengths)
        if fine and (strengths[0] != 0 if name == "self" else strengths[0] >= 0 < [*strengths, 1][1]):
            return " ".join([name, *map(str, strengths), *tokens[count:]])
    raise ValueError(
        f"regularizer {line!r:.80}: must be l2 ALPHA 0|1, logcosh ALPHA GAMMA 0|1 or self GAMMA, with numbers that a "
        "double can be."
    )


def _regularizers(lines: list[str], decimal: bool) -> list[str]:
    if len(lines) > _MOST_PARTS:
        raise ValueError(f"there are {len(lines)} regularizers, and may be {_MOST_PARTS}.")
    return [_regularizer(line, decimal) for line in lines]


# the data
def _read(path: Path) -> bytes:
    """The bytes of a file, unpacked where gzip has packed them."""
    try:
        with path.open("rb") as file:
            content = _bounded(file, _MOST_BYTES, f"{path}: holds over {_MOST_BYTES >> 20} MiB, the most that is read.")
        if content[:2] != b"\x1f\x8b":
            return content
        most = min(_MOST_BYTES, max(1 << 26, _MOST_UNPACKED * len(content)))
        said = f"{path}: unpacks to more than {most >> 20} MiB, the most that is read of a file so small. Unpack it."
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as packed:
            return _bounded(packed, most, said)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error}). Check the path, or fetch the file again.") from None


def _bounded(file: Any, most: int, said: str) -> bytes:
    parts, size = [], 0
    while part := file.read(1 << 20):
        size += len(part)
        if size > most:
            raise ValueError(said)
        parts.append(part)
    return b"".join(parts)


def _text(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not text in UTF-8 ({error}). {_DUMP_IT}.") from None


def _read_dump(path: Path, text: str, decimal: bool) -> tuple[ReadData, list]:
    """The text of problem.dump, whose documentation lists its lines; also the names of classes and features."""
    lines = text.split("\n")

    def head(k: int, pattern: str) -> list[str]:
        line = lines[k] if k < len(lines) else "missing"
        match = re.fullmatch(pattern, line)
        if not match:
            raise ValueError(f"{path}: line {k + 1} is {line!r:.60}, not {pattern!r}. Dump the problem again.")
        return list(match.groups())

    def named(k: int, word: str) -> Any:
        return _json(head(k, f"{word} (.*)")[0], f"{path}: line {k + 1}")

    def cells(k: int, word: str, width: int) -> list[list[str]]:
        head(k, word)
        rows = [line.split(" ") for line in lines[k + 1 : k + 1 + N]]
        for n, row in enumerate(rows, k + 2):
            if len(row) != width:
                raise ValueError(f"{path}: line {n} has {len(row)} numbers, not {width}. Dump the problem again.")
        return rows

    head(0, "jaxsoftmax-problem 1")
    N, D, C = map(int, head(1, r"shape ([1-9]\d*) ([1-9]\d*) ([1-9]\d*)"))
    (intercept,) = head(2, "intercept ([01])")
    at = 4 + int(head(3, r"regularizers (\d+)")[0])
    regularizers = _regularizers(lines[4:at], decimal)
    names = [named(at, "classes"), named(at + 1, "features")]
    X, T, s, end = (at + 2 + k * (N + 1) for k in range(4))
    head(end, "end")
    columns = [
        _column(column, decimal, lambda n, d=d: f"{path}: line {X + n + 2}, number {d}")
        for d, column in enumerate(zip(*cells(X, "X", D), strict=True), 1)
    ]
    exact = {}
    for n, row in enumerate(cells(T, "T", C)):
        if lines[T + 1 + n] not in exact:
            target = _rationals(row, False, f"{path}: line {T + n + 2}")
            if min(target) < 0 or sum(target) != 1:
                raise ValueError(f"{path}: line {T + n + 2} is no row of probabilities. Dump the problem again.")
            exact[lines[T + 1 + n]] = " ".join(map(str, target))
    weights = _rationals([w for (w,) in cells(s, "sample_weight", 1)], decimal, f"{path}: sample_weight")
    if min(weights) < 0 or max(weights) == 0:
        raise ValueError(f"{path}: sample weights must be >= 0, and not all 0. Correct the problem.")
    targets = [exact[line] for line in lines[T + 1 : T + 1 + N]]
    return ReadData(intercept == "1", regularizers, columns, targets, list(map(str, weights))), names


def _records(path: Path, text: str, delimiter: str | None) -> Iterable[tuple[int, list[str]]]:
    """The number and the cells of every line that is not blank; without a delimiter, blanks separate."""
    if delimiter is None:
        yield from ((k, line.split()) for k, line in enumerate(text.splitlines(), 1) if line.strip())
        return
    line = 1
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        for row in reader:
            if len(row) > 1 or "".join(row).strip():
                yield line, row
            line = reader.line_num + 1
    except (csv.Error, TypeError) as error:
        raise ValueError(f"{path}: line {line}, delimiter {delimiter!r:.20}: {error}. Correct it.") from None


def _read_table(path: Path, text: str, table: dict, decimal: bool) -> tuple[list[_Column], list, Callable, list | None]:
    """Columns, labels, where the n-th label is, and the names of the columns (None without a header)."""
    records = list(_records(path, text, table["delimiter"]))
    top = records.pop(0)[1] if records and table["header"] else []
    names = [cell.strip() or f"column {k}" for k, cell in enumerate(top)]
    width, target = len(records[0][1]) if records else 0, table["target"]
    if not 0 <= target < width or width < 2:
        raise ValueError(f"{path}: has {width} columns, and must have features and, in column {target}, a label.")
    for line, row in records:
        if len(row) != len(names or records[0][1]):
            raise ValueError(f"{path}: line {line} has {len(row)} cells, not {width}. Complete the row or remove it.")

    def where(n: int, k: int = target) -> str:
        return f"{path}: line {records[n][0]}, column {repr(names[k]) if names else k}"

    cells = list(zip(*(row for _, row in records), strict=True))
    columns = [_column(cells[k], decimal, lambda n, k=k: where(n, k), True) for k in range(width) if k != target]
    others = [_plain(cell) for k, cell in enumerate(top) if k != target]
    if top and all(map(_DECIMAL.fullmatch, others)) and top[target].strip() in {cell.strip() for cell in cells[target]}:
        raise RefusedCertificate(
            f"{path}: its first line is a sample like the rest, and the certificate makes it a header."
        )
    return columns, [cell.strip() for cell in cells[target]], where, names[:target] + names[target + 1 :] or None


def _idx_array(path: Path, content: bytes) -> tuple[tuple[int, ...], Sequence]:
    """Dimensions and entries: 00 00, a type, the number of dimensions, each in 32 bits, the entries; big-endian."""
    letter = {8: "B", 9: "b", 11: "h", 12: "i", 13: "f", 14: "d"}.get(content[2] if len(content) > 3 else 0)
    head = 4 + 4 * content[3] if letter else 0
    if content[:2] != b"\0\0" or not 4 < head <= len(content):
        raise ValueError(f"{path}: is no IDX file, or is cut off. Fetch it again.")
    shape, body = struct.unpack(f">{content[3]}I", content[4:head]), content[head:]
    count = len(body) // struct.calcsize(f">{letter}")
    if count != math.prod(shape) or len(body) != struct.calcsize(f">{count}{letter}") or not count:
        raise ValueError(f"{path}: promises {shape} entries, and {len(body)} bytes follow. Fetch it again.")
    return shape, body if letter == "B" else struct.unpack(f">{count}{letter}", body)


def _read_idx(path: Path, content: bytes, labels: Path | None, decimal: bool) -> tuple[list, Sequence, Callable]:
    """Columns of the images, their labels (from the file beside them, as MNIST names it), and where the n-th is."""
    shape, entries = _idx_array(path, content)
    plain = re.sub(r"idx\d", "idx1", path.name.replace("images", "labels")).removesuffix(".gz")
    beside = [path.with_name(name) for name in (plain, plain + ".gz") if name != path.name]
    labels = labels or next((file for file in beside if file.is_file()), None)
    if labels is None:
        raise ValueError(f"{path}: the file of its labels is not beside it. Name it with --labels FILE.")
    many, found = _idx_array(labels, _read(labels))
    if many != shape[:1] or len(shape) < 2:
        raise ValueError(f"{path}: images {shape} and labels {many} do not fit together. Name others.")
    D = math.prod(shape[1:])
    slices = [entries[d::D] for d in range(D)]
    if isinstance(entries, bytes):
        columns = [_Column(values, 1, 127 if bytes(values).isascii() else 255) for values in slices]
    else:
        columns = [
            _column(values, decimal, lambda n, d=d: f"{path}: image {n}, entry {d}") for d, values in enumerate(slices)
        ]
    return columns, found, lambda n: f"{labels}: label {n}"


def _labels(cells: list[str], where: Callable[[int], str], classes: list) -> list:
    """The labels of a table, by the rule of all its readers: integers where every cell is one, else text.

    1.0 counts as 1, and with an integer beyond 63 bits all are text. A certificate that has them otherwise is refused:
    to text "1" and "1.0" are two classes.
    """
    exact = {}
    for cell in dict.fromkeys(cells):
        try:
            m, k = _scientific(cell)
        except ValueError:
            return cells
        if k < 0:
            raise ValueError(f"{where(cells.index(cell))}: the label {cell!r:.60} is no text and no integer.")
        exact[cell] = m * 10**k if len(str(m)) + k < 25 else 1 << 63
    if max(map(abs, exact.values()), default=0) >= 1 << 63:
        return cells
    if classes and isinstance(classes[0], str):
        raise RefusedCertificate(
            f"{where(0)}: all labels are integers, and the certificate takes them for text, to which 1 and 1.0 differ. "
            "Make it again from this file."
        )
    return [exact[cell] for cell in cells]


def _smoothing(text: str | None) -> Fraction:
    """ε in [0, 1], a fraction of at most 400 places (S21c)."""
    match = re.fullmatch(r"\d{1,401}(/[1-9]\d{,400})?", text or "", re.ASCII)
    e = Fraction(text or "") if match else Fraction(2)
    if e > 1:
        raise ValueError(f"certificate: labels need smoothing as a fraction in [0, 1]; found {text!r:.60}.")
    return e


def _targets(labels: Sequence, where: Callable[[int], str], classes: list, smoothing: str | None) -> list[str]:
    """The target of each label: (1 − ε) t + ε/C, t one-hot (S21c)."""
    e, C, place, lines = _smoothing(smoothing), len(classes), {c: k for k, c in enumerate(classes)}, {}
    if not 0 < C == len(place):
        raise ValueError("certificate: labels need classes, each once.")
    low, high = str(e / C), str(1 - e + e / C)
    if len(labels) * C * (len(low) + 1) > _MOST_TARGETS:
        raise ValueError(f"certificate: {len(labels)} targets of {C} classes are over {_MOST_TARGETS} characters.")
    for n, label in enumerate(labels):
        if label not in lines:
            if label not in place:
                raise ValueError(f"{where(n)}: the label {label!r:.60} is none of the classes {_listed(classes):.200}.")
            k = place[label]
            lines[label] = " ".join([low] * k + [high] + [low] * (C - 1 - k))
    return [lines[label] for label in labels]


def _is_smoothed(targets: Iterable[str], C: int, smoothing: str) -> bool:
    """Whether each of the targets is one of a label, smoothed."""
    e = _smoothing(smoothing)
    numbers = Counter({str(e / C): C - 1}) + Counter([str(1 - e + e / C)])
    return all(Counter(line.split(" ")) == numbers for line in set(targets))


def _sha256(data: ReadData) -> str:
    """The hash of what was read, however a file holds it."""
    N, D, C = len(data.targets), len(data.columns), data.targets[0].count(" ") + 1
    head = ["jaxsoftmax-data 1", f"shape {N} {D} {C}", f"intercept {int(data.intercept)}", *data.regularizers, "X"]
    digest = hashlib.sha256("".join(line + "\n" for line in head).encode())
    for integers, denominator, size in data.columns:
        width = size.bit_length() // 8 + 1
        if isinstance(integers, bytes):
            packed = bytearray(width * N)
            packed[::width] = integers
        else:
            packed = b"".join(m.to_bytes(width, "little", signed=True) for m in integers)
        digest.update(b"%d %d\n" % (denominator, width) + packed)
    for line in chain(["T"], data.targets, ["sample_weight"], data.weights):
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def load_data(about: dict[str, Any], path: Path, labels: Path | None) -> tuple[ReadData, str]:
    """The data, read as the certificate says and shown by their hash to be those that it is about; how, in words."""
    if about["numbers"] not in ("decimal", "double"):
        raise ValueError(f"certificate: data.numbers is {about['numbers']!r:.40}; it must be 'decimal' or 'double'.")
    decimal, content = about["numbers"] == "decimal", _read(path)
    classes, features, table, smoothing = map(about.get, ("classes", "features", "table", "label_smoothing"))
    if labels is not None and content[:2] != b"\0\0":
        raise ValueError(f"{path}: holds its labels itself, being no IDX file. Leave out --labels.")
    regularizers = _regularizers(about["regularizers"], decimal)
    for key, names in (("C", classes), ("D", features)):
        if names is not None and len(names) != about[key]:
            raise ValueError(f"certificate: data: {key} is {about[key]}, and {len(names)} are named. Make it again.")
    if re.match(rb"jaxsoftmax-problem \d+\r?\nshape ", content):
        how = "an exact dump"
        data, names = _read_dump(path, _text(path, content), decimal)
        if data.regularizers != regularizers or names != [classes and list(map(str, classes)), features]:
            raise RefusedCertificate(f"{path}: regularizers, classes or features differ from those of the certificate.")
        if smoothing is not None and not _is_smoothed(data.targets, data.targets[0].count(" ") + 1, smoothing):
            raise RefusedCertificate(f"{path}: its targets are no labels smoothed by {smoothing!r:.60}.")
    else:
        names, how = None, f"IDX images and labels, smoothing {smoothing}"
        if content[:2] == b"\0\0":
            columns, found, where = _read_idx(path, content, labels, decimal)
        elif table and b"\0" not in content:
            how = f"text, {table}, smoothing {smoothing}"
            try:
                columns, cells, where, names = _read_table(path, _text(path, content), table, decimal)
                found = _labels(cells, where, classes or [])
            except RefusedCertificate:
                raise
            except ValueError as error:
                raise ValueError(
                    f"{error} Or is it another file? The certificate is about {about['N']} samples of {about['D']} "
                    f"features, their label in column {table['target']} (from 0)."
                ) from None
        else:
            raise ValueError(f"{path}: is no dump and no IDX, and the certificate describes no table. {_DUMP_IT}.")
        if names not in (None, features):
            raise RefusedCertificate(f"{path}: the columns are {names!r:.200}, in the certificate {features!r:.200}.")
        targets = _targets(found, where, classes or [], smoothing)
        data = ReadData(about["intercept"], regularizers, columns, targets, ["1"] * len(targets))
    shape: dict[str, Any] = {"N": len(data.targets), "D": len(data.columns), "C": data.targets[0].count(" ") + 1}
    shape["intercept"] = data.intercept
    for key in (*shape, "sha256"):
        value = shape[key] if key in shape else _sha256(data)
        if about[key] != value:
            raise RefusedCertificate(
                f"the certificate is about other data: its {key} is {about[key]!r:.80}, that of {path} is {value!r}. "
                "Give the data that it was made from."
            )
    return data, how


def described(about: dict, data: ReadData, path: Any, how: str, smoothing: str | None, penalties: list[str]) -> dict:
    """The fields of `CheckedProblem` without its head; the proof needs the smoothing and those of the penalties > 0."""
    e, names, idle = _smoothing(smoothing or "0"), about["classes"], data.weights.count("0")
    helped = [f"label smoothing {_short(str(e))}"] * (e > 0)
    helped += [f"the penalty {_short(line)}" for line in penalties if line.split(" ")[1] != "0"]
    size = f"{about['N']} samples ({idle} of weight 0), {about['D']} columns{' and an intercept' * data.intercept}"
    lines = [
        f"data: {Path(path).name}: {size}, {about['C']} classes; numbers read as {about['numbers']}s",
        f"form: {how}",
        f"regularizers: {', '.join(data.regularizers) or 'none'}",
        f"classes: {_listed(names or range(about['C']))}",
        *([f"rests on {' and '.join(helped)}: that a minimiser exists without is not proved"] if helped else []),
        f"sha256: {about['sha256']}",
    ]
    return {
        "classes": None if names is None else tuple(names),
        "label_smoothing": about["label_smoothing"],
        "regularizers": tuple(data.regularizers),
        "intercept": data.intercept,
        "helped_by": " and ".join(helped),
        "lines": tuple(lines),
    }


# the mathematics
def _offset(C: int, octets: int) -> int:
    """Half of each slot: with it no slot is negative."""
    return int.from_bytes((bytes(octets - 1) + b"\x80") * C, "little")


def _pack(values: Sequence[int], octets: int) -> int:
    half = 1 << (8 * octets - 1)
    slots = b"".join((value + half).to_bytes(octets, "little") for value in values)
    return int.from_bytes(slots, "little") - _offset(len(values), octets)


def _unpack(packed: int, C: int, octets: int) -> list[int]:
    """The C integers, each below half of its slot's size in magnitude."""
    half, slots = 1 << (8 * octets - 1), (packed + _offset(C, octets)).to_bytes(C * octets, "little")
    return [int.from_bytes(slots[k : k + octets], "little") - half for k in range(0, C * octets, octets)]


def _check_length(entries: Iterable[int], columns: dict[int, _Column], C: int, what: str) -> int:
    """The largest magnitude of the entries, which solving in the data's integers makes no longer than their minors."""
    largest = max(map(abs, entries), default=0)
    most = sum(column.size.bit_length() + column.denominator.bit_length() + 32 for column in columns.values())
    most = _MOST_LENGTH + 2 * C * most
    if largest.bit_length() > most:
        raise ValueError(
            f"certificate: {what}: has an integer of {largest.bit_length()} bits; for these data {most} may be."
        )
    return largest


def _octets(largest: int, rows: int, C: int, columns: int, what: str) -> int:
    """Of a slot for sums up to `largest` in magnitude; refused where the rows or the work with them are too much."""
    octets = largest.bit_length() // 8 + 1
    packed = 8 * octets * C * rows
    if packed > _MOST_PACKED or packed * columns > _MOST_WORK:
        raise ValueError(f"certificate: {what}: {packed} bits of rows in {columns} columns are too much.")
    return octets


def _admissible(data: ReadData) -> dict[int, _Column]:
    """The columns that no regulariser penalises, by index; the appended intercept is the last (S21e)."""
    ones = [_Column(b"\1" * len(data.targets), 1, 1)] * data.intercept
    columns = dict(enumerate([*data.columns, *ones]))
    for line in data.regularizers:
        name, strength, *rest = line.split(" ")
        if name == "self" or (strength != "0" and rest[-1] == "1"):
            return {}
        if strength != "0":
            columns = {d: column for d, column in columns.items() if d == len(data.columns)}
    return columns


def _multipliers(blocks: list[dict], columns: dict[int, _Column], N: int, C: int) -> dict[int, list[int]]:
    """The rows of G, each up to a positive factor, once row sums and XᵀG are shown to be 0 (S10)."""
    for block in blocks:
        q, numbers, values = block["denominator"], block["rows"], block["values"]
        rising = all(a < b for a, b in zip([-1, *numbers], [*numbers, N], strict=True))
        if q < 1 or not rising or len(values) != len(numbers) or any(len(row) != C for row in values):
            raise ValueError(f"certificate: multipliers: need denominator > 0, rows rising to < {N}, {C} values each.")
    denominators = {block["denominator"] for block in blocks}
    bits = sum(q.bit_length() for q in denominators)
    _check_length(denominators, columns, C, "multipliers")
    largest = [_check_length(chain.from_iterable(block["values"]), columns, C, "multipliers") for block in blocks]
    often = Counter(chain.from_iterable(block["rows"] for block in blocks))
    summed = sum(count for count in often.values() if count > 1) * C * (bits + max(largest, default=0).bit_length())
    if len(blocks) > _MOST_BLOCKS or len(blocks) * bits > _MOST_COMMON or summed > _MOST_PACKED:
        raise ValueError(f"certificate: multipliers: {len(blocks)} blocks, denominators of {bits} bits, are too much.")
    rows: dict[int, tuple[list[int], int]] = {}
    sums = {d: [0] * C for d in columns}
    common, size = math.lcm(*denominators), max((column.size for column in columns.values()), default=1)
    for block, most in zip(blocks, largest, strict=True):
        q, numbers, values = block["denominator"], block["rows"], block["values"]
        for n, row in zip(numbers, values, strict=True):
            before, p = rows.get(n, (None, 1))
            rows[n] = (row, q) if before is None else ([q * a + p * b for a, b in zip(before, row, strict=True)], p * q)
        octets = _octets(len(numbers) * max(size, 1) * most, len(numbers), C, len(columns), "multipliers")
        packed, factor = [_pack(row, octets) for row in values], common // q
        for d, column in columns.items():
            total = sum(map(mul, [column.integers[n] for n in numbers], packed))
            sums[d] = [a + factor * b for a, b in zip(sums[d], _unpack(total, C, octets), strict=True)]
    for n, (row, _) in rows.items():
        if sum(row):
            raise RefusedCertificate(f"multipliers: row {n} of G does not sum to 0.")
    for d, total in sums.items():
        if any(total):
            raise RefusedCertificate(f"multipliers: XᵀG is not 0 in column {d}.")
    return {n: row for n, (row, _) in rows.items()}


def _logits(direction: dict, columns: dict[int, _Column], N: int, C: int) -> Iterable[list[int]]:
    """The rows of X Vᵀ, up to one positive factor."""
    V: dict[int, list[int]] = {}
    previous = [-1]
    for k, entry in enumerate(direction["entries"]):
        if len(entry) != 3 or not 0 <= entry[0] < C or entry[:2] <= previous or direction["denominator"] < 1:
            raise ValueError(f"certificate: direction: entry {k}: needed are [c < {C}, d, p], rising, denominator > 0.")
        c, d, p = entry
        if d not in columns:
            column = d if abs(d) < 1 << 64 else f"{d:#x}"[:40]
            raise RefusedCertificate(f"direction: column {column} does not exist, or a regulariser penalises it.")
        V.setdefault(d, [0] * C)[c], previous = p, [c, d]
    _check_length(chain.from_iterable(V.values()), columns, C, "direction")
    least = math.lcm(*(columns[d].denominator for d in V))
    V = {d: [p * (least // columns[d].denominator) for p in column] for d, column in V.items()}
    largest = sum(max(columns[d].size, 1) * max(map(abs, column)) for d, column in V.items())
    octets = _octets(largest, N, C, len(V), "direction")
    packed = [0] * N
    for d, column in V.items():
        packed = list(map(add, packed, map(mul, columns[d].integers, repeat(_pack(column, octets)))))
    return (_unpack(row, C, octets) for row in packed)


def _pairs(data: ReadData, Z: Iterable[list[int]], G: dict[int, list[int]]) -> tuple[dict, Counter, list[int]]:
    """The first pair of each kind (has it a margin > 0, the sign of G); their numbers; the classes in no support."""
    C = data.targets[0].count(" ") + 1
    support = {line: [t != "0" for t in line.split(" ")] for line in dict.fromkeys(data.targets)}
    first, pairs, absent = {}, Counter(), set(range(C))
    for n, (line, weight, z) in enumerate(zip(data.targets, data.weights, Z, strict=True)):
        g, top = G.get(n, [0] * C), max(z)
        if weight == "0":
            if any(g):
                raise RefusedCertificate(f"multipliers: row {n} of G is not 0, and the sample has weight 0.")
            continue
        for j, t in enumerate(support[line]):
            if not t:
                pair = z[j] < top, (g[j] > 0) - (g[j] < 0)
                pairs[pair] += 1
                first.setdefault(pair, (n, j))
            elif z[j] < top:
                raise RefusedCertificate(f"direction: V leaves class {j} of sample {n} behind, where t > 0.")
            else:
                absent.discard(j)
    return first, pairs, sorted(absent)


def check(certificate: Any, data: Any, labels: Any = None) -> Verdict:
    """Verify a certificate file about a data file.

    Args:
        certificate: path of the certificate.
        data: path of a dump, a table as the certificate has it, or IDX images; or of these in gzip.
        labels: path of the IDX labels, where they are not beside the images.

    Returns:
        The verdict, proved (S9, S10, S21e).

    Raises:
        RefusedCertificate: the certificate does not prove its verdict about these data.
        ValueError: a file cannot be read or used.

    Example:
        >>> import jaxsoftmax as js, pathlib, tempfile
        >>> from jaxsoftmax.proof.checkers.check_existence import check
        >>> at, problem = pathlib.Path(tempfile.mkdtemp()), js.Problem.from_labels([[0.0], [1.0]], ["a", "b"])
        >>> problem.dump(at / "data.txt")
        >>> js.decide_existence(problem).save(at / "proof.json")
        >>> check(at / "proof.json", at / "data.txt").type
        'complete'
    """
    path = Path(certificate)
    stated = read_certificate(path, "existence", _FORM)
    about, direction, multipliers = stated["data"], stated["direction"], stated["multipliers"]
    status, kind, maximal = (stated["verdict"][key] for key in ("status", "type", "face_maximal"))
    parts = (maximal is not None, direction is not None, multipliers is not None)
    proved = _PROOFS.get((stated["proof"], status, kind, *parts))
    if proved is None:
        proof = f"{stated['proof']!r:.40} of {status!r:.40}, {kind!r:.40}"
        raise ValueError(f"certificate: {proof} in these parts is no known proof. Make it again.")
    found, how = load_data(about, Path(data), None if labels is None else Path(labels))
    N, C, columns = about["N"], about["C"], _admissible(found)
    if stated["proof"] == "coercive" and columns:
        raise RefusedCertificate(f"coercive: no regulariser penalises column {max(columns)}.")
    Z = repeat([0] * C, N) if direction is None else _logits(direction, columns, N, C)
    G = {} if multipliers is None else _multipliers(multipliers, columns, N, C)
    first, pairs, absent = _pairs(found, Z, G)
    for (apart, sign), (n, j) in first.items():
        right = {
            "positive-targets": False,
            "coercive": True,
            "multipliers": sign > 0,
            "complete": apart,
            "quasi-complete": sign > 0 or (sign == 0 and (apart or not maximal)),
            "open": True,
        }[stated["proof"] if kind == "none" else kind]
        if not right:
            seen = f"t = 0, a margin {'> 0' if apart else '= 0'} and G {'=><'[sign]} 0"
            raise RefusedCertificate(f"{stated['proof']}: class {j} of sample {n} has {seen}, against {status} {kind}.")
    if direction is not None and (True, 0) not in pairs:
        raise RefusedCertificate("direction: no margin is > 0.")
    if kind == "quasi-complete" and (False, 1) not in pairs:
        raise RefusedCertificate("multipliers: G is > 0 on no pair, so complete separation is not refuted.")
    # What the proof needs: positive targets the smoothing, the other ones the penalties that leave fewer columns.
    positive, fewer = stated["proof"] == "positive-targets", len(columns) < about["D"] + found.intercept
    penalised = status == "ATTAINED" and fewer and not positive
    smoothing = about["label_smoothing"] if positive else None
    fields = described(about, found, data, how, smoothing, found.regularizers if penalised else [])
    classes = about["classes"] or range(C)
    fields["lines"] += (
        f"classes that no sample has: {_listed(classes[j] for j in absent) or 'none'}",
        f"proved: {proved}",
        f"pairs of a sample and a class outside its target: {pairs.total()}, with a margin > 0: {pairs[True, 0]}",
    )
    face = {True: " (no direction separates more)", False: " (another direction may separate more)", None: ""}[maximal]
    head = status + ("" if kind == "none" else f", {kind}{face}")
    return Verdict(**fields, head=head, status=status, type=kind, face_maximal=maximal)


def run(check: Callable, about: str | None, argv: Sequence[str] | None = None) -> int:
    """Check the files of a command line; the exit status, 130 if interrupted, 74 if the report cannot be written."""
    parser = argparse.ArgumentParser(description=(about or "").partition("\n")[0])
    parser.add_argument("certificate", help="what `jaxsoftmax certify` or `save` wrote")
    parser.add_argument("data", help="a dump, a table of text or IDX images; or these in gzip")
    parser.add_argument("--labels", help="the IDX file of the labels, where it is not beside the images")
    options = parser.parse_args(argv)
    try:
        status, said = 0, str(check(options.certificate, options.data, options.labels))
    except RefusedCertificate as error:
        status, said = 1, f"REFUSED: {error}"
    except ValueError as error:
        status, said = 2, f"ERROR: {error}"
    except MemoryError:
        status, said = 2, "ERROR: the memory is not enough for these files."
    except KeyboardInterrupt:
        status, said = 130, "interrupted"
    except Exception as error:  # never 1, which would say that the certificate is refuted
        status, said = 2, f"ERROR: the checker failed ({error!r:.200}). Nothing is proved; this is a fault of its own."
    if status:
        _say(sys.stderr, said)
    elif not _say(sys.stdout, said):
        status = 74
        _say(sys.stderr, "ERROR: the certificate is verified, and the report cannot be written to the standard output.")
    return status


def _say(stream: Any, text: str) -> bool:
    """Whether a line could be written, in whatever encoding the stream has; one that fails is closed for good."""
    try:
        encoding = stream.encoding or "utf-8"
        stream.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except (OSError, ValueError, AttributeError):  # full, closed, its reader gone; None if closed from the start
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.close()
        return False
    return True


main = partial(run, check, __doc__)


if __name__ == "__main__":
    sys.exit(main())

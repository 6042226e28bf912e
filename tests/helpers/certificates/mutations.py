"""Mutates certificates and data files blindly, by a seed: what the checkers are given may be anything.

Other than corruptions.py, nobody asks whether what is accepted is true: a run must end soon, as verified, refused or
unusable. In half of the runs the hash of the data is taken to be right, so that what lies behind it is reached.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from helpers.certificates.certificates import KINDS, Tiny, idx, labelled
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate


class Case(NamedTuple):
    """A valid certificate with its data file, and the checker; beside: further files by name."""

    certificate: dict
    data: bytes
    name: str
    check: Callable[[Path, Path], Any]
    beside: dict[str, bytes]


class Run(NamedTuple):
    """How a run ended: "verified", "refused", "unusable", or the exception that is a fault; what it took."""

    outcome: str
    seconds: float


def existence_cases() -> list[Case]:
    """Each kind of verdict from a dump; tables and images."""
    found = [
        Case(c, tiny.dump().encode(), "data.txt", check_existence.check, {}) for tiny, c in map(call, KINDS.values())
    ]
    tiny = labelled([[0], [1]], "aa")  # b is absent
    absent = tiny.certificate("direction", "complete", V=[[1, 1, -1]])
    found.append(Case(absent, tiny.dump().encode(), "data.txt", check_existence.check, {}))
    for numbers in ("decimal", "double"):
        for kind in ("overlap", "quasi", "partial"):
            tiny, certificate = KINDS[kind]()
            table = {"delimiter": ",", "header": numbers == "double", "target": len(tiny.X[0])}
            tiny.numbers, tiny.table = numbers, table
            tiny.features = [f"x{d}" for d in range(len(tiny.X[0]))] if table["header"] else None
            text = tiny.csv(",", table["header"])
            found.append(
                Case(certificate | {"data": tiny.data()}, text.encode(), "data.csv", check_existence.check, {})
            )
    tiny, certificate = KINDS["complete"]()
    tiny.classes = [0, 1]
    for code, letter in ((8, "B"), (13, "f")):
        beside = {"labels.idx": idx(8, "B", (2,), [0, 1])}
        images = idx(code, letter, (2, 1), [0, 1])
        found.append(Case(certificate | {"data": tiny.data()}, images, "images.idx", check_existence.check, beside))
    return found


def minimiser_cases() -> list[Case]:
    """Each kind of certificate of a minimiser."""
    from helpers.certificates.minimisers import CASES, made
    from jaxsoftmax.proof.checkers import check_minimiser

    found: list[tuple[Tiny, str]] = [made(name) for name in CASES]
    return [Case(json.loads(c), tiny.dump().encode(), "data.txt", check_minimiser.check, {}) for tiny, c in found]


def call(made: Callable[[], Any]) -> Any:
    return made()


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path to every part of a JSON value but itself."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(value[key], (*path, key))


TEXTS = (
    "",
    "1/3",
    "1/0",
    "-1",
    "1e400",
    "1e-9999",
    "0x",
    "-0x1f",
    "0xg",
    "٣",
    "nan",
    "inf",
    "\ud800",
    "9" * 5000,
    "double",
)
TEXTS += (
    "decimal",
    "full",
    "pairs",
    "open",
    "complete",
    "ATTAINED",
    "direction",
    "l2 1 0",
    "self 1",
    "self 1e9",
    "a",
    " ",
)
CELLS = (
    "",
    "nan",
    "inf",
    "-0",
    "1e400",
    "1e-400",
    "0e-99999999",
    "1/3",
    "0x1.8p+1",
    "0x1p9999",
    "1_0",
    "٣",
    "9" * 500,
    "a",
)
CELLS += ("1." + "0" * 3000, "1/" + "7" * 900, '"', "\0", "\r", "-1", "0.1", "2", "b", "jaxsoftmax-problem 1")


def like(draw: random.Random, value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, int) or (isinstance(value, str) and re.fullmatch("-?0x[0-9a-f]+", value)):
        old = int(value, 16) if isinstance(value, str) else value
        new = draw.choice((old + 1, old - 1, -old, 0, old * 2, old * (1 << 70), old << 3000, 10**5, old * 10**6 + 1))
        return new if type(value) is int and abs(new) < 10**4000 else hex(new)
    if isinstance(value, str):
        return draw.choice(
            (value + "1", value[1:], value[::-1], "1" + value, value.replace("1", "2"), value * 40, "-" + value)
        )
    if isinstance(value, list):
        return draw.choice(
            (value[1:], value[::-1], value + value, value + value[:1], [like(draw, part) for part in value])
        )
    return {key: like(draw, part) for key, part in value.items()}


def any_value(draw: random.Random, certificate: dict) -> Any:
    """A JSON value that has no business where it will be put."""
    kind = draw.randrange(6)
    if kind == 0:
        return draw.choice((0, 1, -1, 2, 7, 10**6, -(10**9), 2**53, 10**400, 2**64, 65536, 4000))
    if kind == 1:
        return hex(draw.choice((1, -1)) * (1 << draw.choice((1, 52, 64, 1000, 9000, 70_000, 10**6))))
    if kind == 2:
        return draw.choice(TEXTS)
    if kind == 3:
        return draw.choice((None, True, False, [], {}, [[]], [[[0]]], {"a": 1}, 1.5))
    if kind == 4:
        return [draw.choice((0, 1, -1, 3, "a", hex(1 << 200)))] * draw.choice((1, 2, 3, 4, 100, 3000))
    path = draw.choice(list(places(certificate)))
    return copy.deepcopy(at(certificate, path))


def at(value: Any, path: tuple) -> Any:
    for key in path:
        value = value[key]
    return value


def mutate_json(draw: random.Random, certificate: dict) -> None:
    path = draw.choice(list(places(certificate)))
    holder, key = at(certificate, path[:-1]), path[-1]
    kind = draw.randrange(14)
    if kind > 4:
        holder[key] = like(draw, holder[key])
    elif kind == 0 and isinstance(holder, list):
        holder[key:key] = [copy.deepcopy(holder[key])] * draw.choice((1, 2, 50, 2000))
    elif kind == 1:
        del holder[key]
    elif kind == 2 and type(holder[key]) is int:
        holder[key] += draw.choice((-1, 1, 1000, -1000, 2**40))
    else:
        holder[key] = any_value(draw, certificate)


def mutate_bytes(draw: random.Random, content: bytes) -> bytes:
    k, n = draw.randrange(len(content) + 1), draw.choice((1, 1, 2, 5, 40))
    kind = draw.randrange(10)
    if kind == 0:
        return content[:k]
    if kind == 1:
        return content[:k] + draw.randbytes(n) + content[k + n :]
    if kind == 2:
        return content[:k] + content[k : k + n] * draw.choice((2, 3, 1000)) + content[k + n :]
    if kind == 3:
        return content[:k] + content[k + n :]
    if kind == 4:
        return gzip.compress(content, mtime=0)[: draw.choice((-1, 10, 10**9))]
    separators = [i for i, byte in enumerate(content) if byte in b" ,\n"]
    if len(separators) < 2:
        return content
    i = draw.randrange(len(separators) - 1)
    cell = draw.choice(CELLS).encode("utf-8", "surrogatepass")
    return content[: separators[i] + 1] + cell + content[separators[i + 1] :]


def mutate_both(draw: random.Random, certificate: dict, data: bytes) -> bytes:
    """The same change of a dump and of what the certificate says of it, which each alone would show."""
    lines, about = data.decode().split("\n"), certificate.get("data")
    at = next((k for k, line in enumerate(lines) if line.startswith("classes ")), None)
    if at is None or not isinstance(about, dict):
        return data
    kind = draw.choice(("classes", "features", "regularizers", "intercept"))
    if kind in ("classes", "features"):
        names = draw.choice((None, [], ["a"], ["a", "b"], [f"c{k}" for k in range(draw.randint(1, 9))], ["a"] * 3))
        about[kind] = names
        lines[at + (kind == "features")] = f"{kind} {json.dumps(names)}"
    elif kind == "regularizers":
        some = draw.choice(
            (["l2 1 0"], ["l2 1 1"], ["self 1/3"], ["l2 0 1"], ["logcosh 1 1 0"], ["l2 1/7 0", "self -2"])
        )
        about[kind] = some * draw.choice((1, 1, 3, 200))
        lines[3:at] = [f"regularizers {len(about[kind])}", *about[kind]]
    else:
        about[kind] = draw.random() < 0.5
        lines[2] = f"intercept {int(about[kind])}"
    return "\n".join(lines).encode()


def run(seed: int, case: Case, folder: Path) -> Run:
    """One to three mutations of a case, checked; the same for a seed on every machine."""
    draw = random.Random(seed)
    certificate, data, text = copy.deepcopy(case.certificate), case.data, None
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        where = draw.random()
        if where < 0.15 and case.data.startswith(b"jaxsoftmax") and data == case.data:
            data = mutate_both(draw, certificate, data)
        elif where < 0.6:
            mutate_json(draw, certificate)
        elif where < 0.95:
            data = mutate_bytes(draw, data)
        else:
            text = mutate_bytes(draw, json.dumps(certificate).encode())
    content = json.dumps(certificate).encode() if text is None else text
    (folder / "certificate.json").write_bytes(content)
    (folder / case.name).write_bytes(data)
    for name, more in case.beside.items():
        (folder / name).write_bytes(more)
    true = check_existence._sha256
    stated = case.certificate["data"]["sha256"]
    began = time.perf_counter()
    try:
        if draw.random() < 0.5:
            check_existence._sha256 = lambda data: stated
        str(case.check(folder / "certificate.json", folder / case.name))
        outcome = "verified"
    except RefusedCertificate:
        outcome = "refused"
    except ValueError:
        outcome = "unusable"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"[:200]
    finally:
        check_existence._sha256 = true
    return Run(outcome, time.perf_counter() - began)

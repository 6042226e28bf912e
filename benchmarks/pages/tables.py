"""What the pages of `docs/benchmarks/` are put together from: results, numbers as text, tables, what was asked."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

RESULTS = pathlib.Path(__file__).resolve().parents[1] / "results"
INTRO = "*Made from the stored results by `python -m benchmarks pages`; do not edit.*"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def load(case: str) -> dict[str, Any]:
    """What `results/CASE.json` holds."""
    return json.loads((RESULTS / f"{case}.json").read_text(encoding="utf-8"))


def number(x: Any, digits: int = 2) -> str:
    """A number with about `digits` significant digits; whole parts are never cut, far ones are powers of ten."""
    if x is None:
        return "–"
    if isinstance(x, bool):
        return "yes" if x else "no"
    if isinstance(x, str):
        return x
    if isinstance(x, int):
        return f"{x:,}"
    if x == 0:
        return "0"
    exponent = math.floor(math.log10(abs(x)))
    if -3 <= exponent < 6:
        return f"{x:,.{max(0, digits - 1 - exponent)}f}"
    mantissa, _, power = f"{x:.{digits - 1}e}".partition("e")
    return f"{mantissa}·10{str(int(power)).translate(SUPERSCRIPTS)}"


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; cells that are numbers are written by `number`."""
    cells = [[cell if isinstance(cell, str) else number(cell) for cell in row] for row in rows]
    lines = [list(header), ["---"] * len(header), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(case: str) -> str:
    """On what a case was measured, and when."""
    about = load(case)["machine"]
    load_before = about.get("load_average_before")
    busy = "" if not load_before else f", load {number(float(load_before[0]))} before the run"
    return (
        f"*Measured on {about['date'][:10]}: {about['cpu']}, {about['cores']} core{'s'[: about['cores'] > 1]}, "
        f"Python {about['python']}, JAX {about['versions']['jax']}{busy} (`results/{case}.json`).*"
    )


def asked(*cases: str) -> str:
    """How many figures were asked for and met, and those that were missed."""
    every = [target for case in cases for target in load(case).get("targets", ())]
    if not every:
        return ""
    missed = [target for target in every if not target["met"]]
    said = f"Asked: {len(every)} figure{'s'[: len(every) > 1]}; met: {len(every) - len(missed)}."
    if not missed:
        return said
    rows = [[t["what"], number(t["measured"], 3), f"{_SIGNS[t['kind']]} {number(t['limit'], 3)}"] for t in missed]
    return f"{said} **Missed:**\n\n{table(['what', 'measured', 'asked'], rows)}"


_SIGNS = {"<=": "at most", ">=": "at least"}


def picture(name: str, alt: str) -> str:
    """A picture of this folder, with the text for those who do not see it."""
    return f"![{alt}](pictures/{name}.svg)"

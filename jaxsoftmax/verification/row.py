"""One observation beside its bound: the row that every check of `verify` returns, and how it is judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from jaxsoftmax.evidence.crosscheck.compare import CrossCheckReport
from jaxsoftmax.problem.problem import Problem

__all__ = ["Check", "columns", "compare", "crosscheck_rows", "draw", "not_run", "plain", "stored"]


@dataclasses.dataclass(frozen=True)
class Check:
    """One row of the report.

    Attributes:
        statement: the tag of THEORY.md, such as "S3".
        check: what is compared, in words.
        at: the point ("random W", "fitted W"), or "".
        measured: the number found, or None where nothing could be measured.
        relation: how it must lie to the bound: "<=", ">=" or "=" (equal within `allowance`).
        bound: the other side.
        allowance: how far rounding (and, for S17, curvature over the distance used) may carry it beyond the bound.
        passed: True or False; None where the check was not run or rounding decides.
        note: why it was not run, or what a reader should know.

    Example:
        >>> from jaxsoftmax.verification.row import Check
        >>> Check("S5", "smallest eigenvalue", "random W", 0.25, ">=", 0.0, 1e-12, True).to_dict()["passed"]
        True
    """

    statement: str
    check: str
    at: str
    measured: float | None
    relation: str
    bound: float | None
    allowance: float
    passed: bool | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The attributes, JSON-ready (numbers that are not finite become text)."""
        return {key: plain(value) for key, value in dataclasses.asdict(self).items()}


def plain(value: Any) -> Any:
    """A JSON-ready copy: NumPy and JAX scalars and arrays to Python, tuples to lists, NaN and infinities to text."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def compare(
    statement: str, check: str, at: str, measured: float, relation: str, bound: float, allowance: float, note: str = ""
) -> Check:
    """The row for `measured relation bound`, up to the allowance. NaN passes nothing."""
    measured, bound, allowance = float(measured), float(bound), float(allowance)
    if relation == "<=":
        passed = measured <= bound + allowance
    elif relation == ">=":
        passed = measured >= bound - allowance
    else:
        passed = measured == bound or abs(measured - bound) <= allowance
    return Check(statement, check, at, measured, relation, bound, allowance, bool(passed), note)


def not_run(statement: str, check: str, at: str, note: str) -> Check:
    """The row of a check that was not run, and why."""
    return Check(statement, check, at, None, "", None, 0.0, None, note)


def columns(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """X (N, D) and s (N,) as the device holds them, float64 on the host."""
    return np.asarray(problem.X, np.float64), np.asarray(problem.sample_weight, np.float64)


def stored(V: np.ndarray, problem: Problem) -> np.ndarray:
    """V rounded to the problem's dtype, as float64: what the functions under check will see."""
    return np.asarray(np.asarray(V, problem.dtype), np.float64)


def draw(problem: Problem, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
    """A random (C, D) matrix whose logits have the root mean square `spread`, whatever the features' scales.

    A weight is normal, divided by the largest |x_nd| of its column: dividing by the column's mean size would saturate
    the samples that have a rare feature. The entries are numbers of the problem's dtype, stored as float64.
    """
    X, s = columns(problem)
    top = np.abs(X[s > 0]).max(axis=0, initial=0.0)
    W = rng.standard_normal((problem.C, problem.D)) / np.where(top > 0, top, 1.0)
    size = float(np.sqrt(np.mean((X[s > 0] @ W.T) ** 2)))
    return stored(W * (spread / size) if size > 0 else W, problem)


def crosscheck_rows(random: CrossCheckReport, fitted: CrossCheckReport, at: str) -> list[Check]:
    """One row a quantity: the comparison with the largest error in units of its tolerance, of all routes and both W."""
    groups: dict[tuple[str, str], list[tuple[str, Any]]] = {}
    for where, report in (("random W", random), (at, fitted)):
        for item in report.statements:
            groups.setdefault((item.statement, item.quantity), []).append((where, item))
    rows = []
    for (statement, quantity), items in groups.items():
        where, worst = max(items, key=lambda pair: (not pair[1].passed, pair[1].ratio))
        routes = list(dict.fromkeys(item.route for _, item in items))
        entry = ", ".join(
            f"{k} {worst.worst[k]}" for k in ("sample", "class", "feature") if worst.worst.get(k) is not None
        )
        note = f"worst of {len(items)} comparisons: {worst.route}, {where}" + (f", {entry}" if entry else "")
        passed = all(item.passed for _, item in items)
        short = dict.fromkeys("autodiff" if "autodiff" in route else route.split(" (")[0] for route in routes)
        text = quantity if routes == ["the theorem"] else f"{quantity}: {', '.join(short)}"
        rows.append(Check(statement, text, "", worst.max_error, "<=", worst.bound, 0.0, passed, note))
    return rows

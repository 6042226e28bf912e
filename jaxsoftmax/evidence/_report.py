"""What a cross-check found: one `Finding` per comparison, `StatementCheck` for readers, `CrossCheckReport` for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

VERDICTS = ("AGREE", "ROUNDING", "DISAGREE")


@dataclasses.dataclass(frozen=True)
class StatementCheck:
    """One quantity of one statement, compared entry by entry along one route.

    Attributes:
        statement: the tag in THEORY.md, such as "S2".
        quantity: what was compared and which of our functions gave it.
        route: what it was compared with, in words.
        max_error: |ours - theirs| at the worst entry (the entry with the largest error in units of its tolerance).
        bound: the tolerance at that entry, both sides' together, derived in ``evidence.tolerances``. Sums contain the
            probabilistic constant sqrt(N), so it is a derived tolerance and not a rigorous bound.
        ratio: max_error / bound; inf for a non-finite value that the other side does not share.
        passed: ratio <= 1.
        worst: {"class", "feature", "sample", "ours", "theirs"} of the worst entry; None where an index does not apply.
    """

    statement: str
    quantity: str
    route: str
    max_error: float
    bound: float
    ratio: float
    passed: bool
    worst: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: strings, bools, None and finite floats (a non-finite number becomes its name, such as "inf")."""
        out = {field.name: _json(getattr(self, field.name)) for field in dataclasses.fields(self)}
        out["worst"] = {key: _json(value) for key, value in self.worst.items()}
        return out


def _json(value: Any) -> Any:
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


@dataclasses.dataclass(frozen=True)
class Finding:
    """A `StatementCheck` with what the verdict needs: could the comparison have seen a factor 2 at all?

    Attributes:
        power: the largest |theirs| / tolerance. Below 2, a value twice too large could pass.
        vacuous: theirs is zero to its own rounding, or the check is an identity or an inequality: nothing to double.
    """

    check: StatementCheck
    power: float
    vacuous: bool

    def at(self, place: dict[str, Any]) -> Finding:
        """The finding with the place of its (single) entry filled in."""
        check = dataclasses.replace(self.check, worst={**self.check.worst, **place})
        return dataclasses.replace(self, check=check)


def compare(
    statement: str,
    quantity: str,
    route: str,
    ours: Any,
    theirs: Any,
    tolerance: Any,
    *,
    own_tolerance: Any = 0.0,
    error: Any = None,
    label: Callable[[tuple[int, ...]], dict[str, Any]] | None = None,
    identity: bool = False,
) -> Finding:
    """Compare two arrays (or scalars) of the same shape entry by entry.

    Args:
        statement: the tag in THEORY.md.
        quantity: what is compared.
        route: what it is compared with.
        ours: values of the rule under test, any float dtype.
        theirs: float64 values of the other side.
        tolerance: the tolerance of ours, broadcastable.
        own_tolerance: the tolerance of theirs.
        error: |ours - theirs| where the subtraction was done in higher precision.
        label: index -> {"class": …, "feature": …, "sample": …} of an entry.
        identity: theirs is a value that a factor cannot change (a zero, an inequality).
    """
    limit = float(np.finfo(np.asarray(ours).dtype).max) if np.asarray(ours).dtype.kind == "f" else np.inf
    ours, theirs = np.asarray(ours).astype(np.float64), np.asarray(theirs, np.float64)
    if ours.shape != theirs.shape:
        raise ValueError(
            f"{quantity}: the rule under test returned shape {ours.shape}, expected {theirs.shape}. Return that shape."
        )
    tol = np.broadcast_to(np.asarray(tolerance, np.float64) + np.asarray(own_tolerance, np.float64), ours.shape)
    with np.errstate(all="ignore"):
        error = np.abs(ours - theirs) if error is None else np.asarray(error, np.float64)
        ratio = np.where(error == 0, 0.0, error / tol)
        # Beyond the range of the dtype, inf of the right sign is the right answer.
        overflow = np.isinf(ours) & (np.abs(theirs) + tol >= limit) & (np.sign(ours) == np.sign(theirs))
        ratio = np.where(overflow, 0.0, np.where(np.isfinite(ours) & np.isfinite(theirs), ratio, np.inf))
        ratio = np.where(np.isnan(ratio), np.inf, ratio)
        size = np.abs(theirs)
        power = float(np.max(np.where(size > 0, size / tol, 0.0), initial=0.0))
        vacuous = identity or bool((size <= np.asarray(own_tolerance, np.float64)).all())
    flat = int(np.argmax(ratio)) if ratio.size else 0
    index = tuple(int(i) for i in np.unravel_index(flat, ratio.shape)) if ratio.size else ()
    where = {"class": None, "feature": None, "sample": None, **(label(index) if label and ratio.size else {})}
    if not ratio.size:
        check = StatementCheck(statement, quantity, route, 0.0, 0.0, 0.0, True, {**where, "ours": None, "theirs": None})
        return Finding(check, 0.0, True)
    worst = {**where, "ours": float(ours[index]), "theirs": float(theirs[index])}
    value = float(ratio[index])
    difference = 0.0 if overflow[index] else float(error[index])
    check = StatementCheck(statement, quantity, route, difference, float(tol[index]), value, value <= 1.0, worst)
    return Finding(check, power, vacuous)


def worst_of(findings: list[Finding]) -> Finding:
    """Findings about row blocks of one quantity as one."""
    top = max(findings, key=lambda f: f.check.ratio)
    return Finding(top.check, max(f.power for f in findings), all(f.vacuous for f in findings))


@dataclasses.dataclass(frozen=True)
class CrossCheckReport:
    """The hand rules against independent routes, statement by statement; its ``repr`` is the report.

    Attributes:
        verdict: "AGREE"; "DISAGREE" when some entry is further off than its tolerance; "ROUNDING" when all passed but
            some quantity is so small beside its tolerance that a factor 2 in it would have passed too.
        statements: the comparisons, in the order of the statements.
        smells: sentences on what to look at; here, the quantities behind a ROUNDING verdict.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.eye(3, dtype=np.float32), [0, 1, 1])
        >>> js.crosscheck_problem(problem, np.ones((2, 4)) * [[0.5], [-0.5]]).verdict
        'AGREE'
    """

    verdict: str
    statements: tuple[StatementCheck, ...]
    smells: tuple[str, ...] = ()

    @classmethod
    def from_findings(cls, findings: list[Finding]) -> CrossCheckReport:
        """Decide the verdict."""
        blind = [f for f in findings if f.check.passed and not f.vacuous and f.power < 2.0]
        smells = tuple(
            f"{f.check.statement} {f.check.quantity} ({f.check.route}): the tolerance exceeds half of the largest "
            "value, so a factor 2 would have passed"
            for f in blind
        )
        failed = any(not f.check.passed for f in findings)
        verdict = "DISAGREE" if failed else "ROUNDING" if blind else "AGREE"
        return cls(verdict, tuple(f.check for f in findings), smells)

    @property
    def worst(self) -> StatementCheck:
        """The comparison with the largest ratio."""
        return max(self.statements, key=lambda s: s.ratio)

    def to_dict(self) -> dict[str, Any]:
        """{"verdict", "statements", "smells"}, JSON-ready."""
        return {
            "verdict": self.verdict,
            "statements": [s.to_dict() for s in self.statements],
            "smells": list(self.smells),
        }

    def __repr__(self) -> str:
        head = ("", "quantity", "against", "error", "tolerance", "ratio", "", "worst entry")
        rows = [head, *(_row(s) for s in self.statements)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        passed = sum(s.passed for s in self.statements)
        title = f"Cross-check: {self.verdict} ({passed} of {len(self.statements)} comparisons within tolerance)"
        return "\n".join([title, *lines, *(f"note: {s}" for s in self.smells)])


def _row(s: StatementCheck) -> tuple[str, ...]:
    place = ", ".join(f"{k} {s.worst[k]}" for k in ("sample", "class", "feature") if s.worst[k] is not None)
    if s.worst["ours"] is not None:
        place += f"{': ' if place else ''}{s.worst['ours']:.6g} against {s.worst['theirs']:.6g}"
    mark = "pass" if s.passed else "FAIL"
    return (s.statement, s.quantity, s.route, f"{s.max_error:.1e}", f"{s.bound:.1e}", f"{s.ratio:.3f}", mark, place)

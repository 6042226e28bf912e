"""One comparison: what it is about, its row for readers, and what the verdict needs to know of it.

Guarded by `tests/checker/report/test_result.py`.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.report.entries import errors_and_ratios, index_text
from jaxsoftmax.checker.report.verdict import Family, Says
from jaxsoftmax.reporting.row import Row


class Aspect(enum.Enum):
    """What of a rule was compared; the value says it in words."""

    ENTRIES = "{rule}"
    VALUE = "value of {rule}"
    DIRECTIONS = "{rule} along directions"
    SYMMETRY = "{rule}, symmetry"
    LINEARITY = "{rule}, linear in the direction"
    TAYLOR = "{rule}, order of the Taylor remainder"
    SEMIDEFINITE = "{rule}, semidefinite"
    CONTINUITY = "{rule} at the point itself"
    CURVATURE = "v'Hv of {rule}"


class Subject(NamedTuple):
    """What a comparison is about.

    Attributes:
        rule: what the report calls the rule.
        aspect: what of it.
        dtype: the dtype in which it ran; None where its formula was evaluated in float64.
    """

    rule: str
    aspect: Aspect = Aspect.ENTRIES
    dtype: str | None = None

    @property
    def text(self) -> str:
        """The quantity of a `Row`."""
        ran = "" if self.dtype is None else f", as it runs in {self.dtype}"
        return self.aspect.value.format(rule=self.rule) + ran


_ANY = Subject("")


@dataclasses.dataclass(frozen=True)
class Finding:
    """A comparison's `Row` with what the verdict needs: could the comparison have seen a factor 2 at all?

    Attributes:
        power: the largest |theirs| / tolerance. Below 2, a value twice too large could pass.
        vacuous: theirs is zero to its own rounding, no more than half of the digits of 1, or the check is an identity
            or an inequality: nothing to double.
        resolution: the largest tolerance over the largest |theirs|: the relative error, in units of the largest entry,
            that an entry could have and still pass; inf where theirs is zero.
        excuse: why the arithmetic cannot tell a difference that was seen, if one was.
        subject: what was compared, for `crosscheck`; the quantity is its text.
        family: what the route shares with others.
        unbounded: no bound of some entry's error is finite; it was held to half of the digits instead.
    """

    check: Row
    power: float
    vacuous: bool
    resolution: float = np.inf
    excuse: str | None = None
    subject: Subject = _ANY
    family: Family = Family.PROGRAM
    unbounded: bool = False

    @property
    def says(self) -> Says:
        """What the comparison says of the rule. As it runs, half of the digits are enough: its formula is bounded."""
        if not self.unbounded or (self.subject.dtype is not None and self.check.passed) or self._not_a_number:
            return Says.AGREES if self.check.passed else Says.REJECTS
        return Says.SILENT if self.check.passed else Says.SUSPECTS

    @property
    def _not_a_number(self) -> bool:
        """The rule returned inf or NaN where a number is right: no bound is needed to say so."""
        measured = self.check.measured
        return not self.check.passed and measured is not None and not math.isfinite(measured)

    @property
    def blind(self) -> bool:
        """The comparison passed, and a factor 2 would have passed too, or it passed by an excuse."""
        return self.check.passed and (self.excuse is not None or (not self.vacuous and self.power < 2.0))

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
    path: str | None = None,
    identity: bool = False,
) -> Finding:
    """Compare two arrays (or scalars) of the same shape entry by entry.

    Args:
        statement: the tag in docs/theory.md, or "".
        quantity: what is compared.
        route: what it is compared with.
        ours: values of the rule under test, any float dtype.
        theirs: float64 values of the other side.
        tolerance: the tolerance of ours, broadcastable.
        own_tolerance: the tolerance of theirs.
        error: |ours - theirs| where the subtraction was done in higher precision.
        label: index -> {"class": …, "feature": …, "sample": …} of an entry, or {"path": …}.
        path: the pytree path of a leaf, instead of `label`: an entry is then {"path": path and index}.
        identity: theirs is a value that a factor cannot change (a zero, an inequality).

    Raises:
        ValueError: the shapes differ.
    """
    theirs = np.asarray(theirs, np.float64)
    if np.shape(ours) != theirs.shape:
        raise ValueError(
            f"{quantity}: the rule under test returned shape {np.shape(ours)}, expected {theirs.shape}. "
            "Return that shape."
        )
    own = np.asarray(own_tolerance, np.float64)
    errors, tol, ratio = errors_and_ratios(ours, theirs, np.asarray(tolerance, np.float64) + own, error)
    with np.errstate(all="ignore"):
        size = np.abs(theirs)
        power = float(np.max(np.where(size > 0, size / tol, 0.0), initial=0.0))
        zero = bool((size <= np.where(np.isfinite(own), own, -1.0)).all())  # unknown is not zero
        # Nor is what rounding hides: a second derivative that is 0 ± 100 says nothing of one that is 3.
        vacuous = identity or (zero and float(np.max(own, initial=0.0)) <= half_of(ours))
        largest = float(np.max(size, initial=0.0))
        resolution = float(np.max(tol, initial=0.0)) / largest if largest > 0 else np.inf
    if path is not None:
        label = lambda index: {"path": path + index_text(index)}  # noqa: E731
    flat = int(np.argmax(ratio)) if ratio.size else 0
    index = tuple(int(i) for i in np.unravel_index(flat, ratio.shape)) if ratio.size else ()
    place = {"path": path} if path is not None else {"class": None, "feature": None, "sample": None}
    if label is not None and ratio.size:
        found = label(index)
        place = found if "path" in found else {**place, **found}
    if not ratio.size:
        check = compared(statement, quantity, route, 0.0, 0.0, 0.0, {**place, "ours": None, "theirs": None})
        return Finding(check, 0.0, True, 0.0)
    worst = {**place, "ours": float(np.asarray(ours)[index]), "theirs": float(theirs[index])}
    error, limit, share = (float(values[index]) for values in (errors, tol, ratio))
    return Finding(compared(statement, quantity, route, error, limit, share, worst), power, vacuous, resolution)


def half_of(ours: Any) -> float:
    """Half of the digits of the dtype of some values, as a number beside 1."""
    dtype = np.asarray(ours).dtype
    return math.sqrt(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.floating) else 0.0


def not_compared(statement: str, subject: Subject, reason: str) -> Finding:
    """The finding about a rule that nothing could be held to: it is silent, and its row says why."""
    row = Row(statement=statement, quantity=subject.text, note=reason, passed=True, ratio=0.0)
    return Finding(row, 0.0, True, subject=subject, unbounded=True)


def compared(
    statement: str, quantity: str, route: str, error: float, tolerance: float, ratio: float, worst: dict[str, Any]
) -> Row:
    """The row of two computations of one quantity, by their worst entry."""
    row = Row(statement=statement, quantity=quantity, route=route, measured=error, relation="<=", bound=tolerance)
    return dataclasses.replace(row, passed=ratio <= 1.0, ratio=ratio, worst=worst)


def worst_of(findings: list[Finding]) -> Finding:
    """Findings about row blocks, or leaves, of one quantity as one; the resolution is the coarsest of theirs."""
    top = max(findings, key=lambda f: f.check.ratio)
    seen = [f.resolution for f in findings if not f.vacuous]
    vacuous = all(f.vacuous for f in findings)
    unbounded = any(f.unbounded for f in findings)
    return Finding(top.check, max(f.power for f in findings), vacuous, max(seen, default=np.inf), unbounded=unbounded)


class Table(NamedTuple):
    """A comparison kept whole: a list of leaves, with `name` (index -> path) where the index alone says little."""

    quantity: str
    paths: Sequence[str]
    ours: list[Any]
    theirs: list[Any]
    tolerances: list[Any]
    name: Callable[[tuple[int, ...]], str] | None = None


def half_digits(tolerance: Any, theirs: Any, u: float) -> tuple[np.ndarray, bool]:
    """(tolerance, whether some entry had none): where no bound is finite, half of the digits of the largest entry.

    Such a comparison does not decide alone (`report.verdict`): it passes only if the function's values agree too.

    Example:
        >>> import numpy as np
        >>> half_digits(np.array([0.5, np.inf]), np.array([1.0, 4.0]), 2.0**-52)
        (array([5.00000000e-01, 5.96046448e-08]), True)
    """
    tolerance, theirs = np.asarray(tolerance, np.float64), np.asarray(theirs, np.float64)
    if np.isfinite(tolerance).all():
        return tolerance, False
    finite = np.isfinite(theirs)
    lost = ~np.isfinite(tolerance) & finite
    largest = float(np.max(np.abs(theirs), initial=0.0, where=finite))
    return np.where(lost, math.sqrt(u) * largest, tolerance), bool(lost.any())


def only_numbers(ours: Any, theirs: Any) -> tuple[Any, int]:
    """(theirs, how many entries it says nothing of): where it is NaN, and ours is a number, ours stands in for it.

    Example:
        >>> import numpy as np
        >>> only_numbers(np.array([1.0, 2.0, np.nan]), np.array([3.0, np.nan, np.nan]))
        (array([ 3.,  2., nan]), 1)
    """
    if np.shape(ours) != np.shape(theirs) or not np.isnan(theirs).any():
        return theirs, 0
    mine = np.asarray(ours).astype(np.float64)
    lost = np.isnan(theirs) & np.isfinite(mine)
    return np.where(lost, mine, theirs), int(lost.sum())


def with_unseen(finding: Finding, lost: bool) -> Finding:
    """The finding, open where it passed though the other side had no value (NaN) in some entries."""
    if not (lost and finding.check.passed):
        return finding  # what fails, fails in an entry that is a number
    note = "the other side has no value in some entries, which were not checked"
    return dataclasses.replace(finding, unbounded=True, check=dataclasses.replace(finding.check, note=note))


def parted(both: Any, part: Any) -> tuple[np.ndarray, np.ndarray]:
    """Both sides' tolerance as (that of one side, that of the other): the part of the other is no more than the whole.

    Example:
        >>> parted([3.0, 0.5], [1.0, np.inf])
        (array([2., 0.]), array([1. , 0.5]))
    """
    both = np.asarray(both, np.float64)
    part = np.where(np.isfinite(both), np.minimum(part, both), 0.0)
    return both - part, part

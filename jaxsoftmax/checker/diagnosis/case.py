"""One rule that disagrees, laid out for guesses at its error: leaves with one axis for columns, errors, tolerances.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxsoftmax.checker.inputs.context import Session, Suspect
from jaxsoftmax.checker.inputs.matrices import entry_path
from jaxsoftmax.checker.report.result import Diagnosis, DiagnosisName
from jaxsoftmax.reporting.digits import told_apart

__all__ = ["Case", "Fitted", "Guess", "constants", "guess", "scale_fit"]

# No guess is made at an error that is less than so many tolerances: too many formulas would fit it.
_VISIBLE = 16.0


@dataclasses.dataclass(frozen=True)
class Guess:
    """What an error may be, in words that leave open whose: the same error of two rules makes equal guesses.

    Attributes:
        name: the diagnosis.
        template: the sentence; {rule} stands for the rule, and other names for the values.
        values: (name, value) pairs.
    """

    name: DiagnosisName
    template: str
    values: tuple[tuple[str, Any], ...]

    def about(self, rule: str) -> Diagnosis:
        """The diagnosis of one rule."""
        return Diagnosis(self.name, self.template.format(rule=rule, **dict(self.values)))


def guess(name: DiagnosisName, template: str, **values: Any) -> Guess:
    """A guess.

    Example:
        >>> str(guess("constant factor", "{rule} is {times} the right one", times="half of").about("gradient"))
        'constant factor: gradient is half of the right one'
    """
    return Guess(name, template, tuple(values.items()))


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A fitted number, to four digits, with its uncertainty; equal to another fit of the same number.

    Example:
        >>> str(Fitted.of(0.5, 2e-13)), str(Fitted.of(1.23456, 1e-4))
        ('0.5000 ± 2e-13', '1.235 ± 1e-04')
    """

    number: str
    spread: float = dataclasses.field(compare=False)

    @classmethod
    def of(cls, c: float, spread: float) -> Fitted:
        """The number c, known to within the spread and its own rounding."""
        return cls(f"{c:#.4g}" if f"{c:.4g}" != "1" else told_apart(c, 1.0)[0], max(spread, 2.0**-52 * abs(c)))

    def __str__(self) -> str:
        return f"{self.number} ± {self.spread:.0e}"


class Case:
    """A suspect as arrays.

    Every quantity is a list of arrays of shape (*leaf shape, K): the rows of a matrix are the entries of raveled leaves
    and K counts its columns; a gradient has K = 1.

    Attributes:
        session: the check.
        suspect: the rule.
        paths: of the row leaves.
        ours, theirs, error, tolerance: the quantity, a list each.
        wrong: booleans likewise: beyond the tolerance.
        usable: all numbers are finite and the error is large enough to be explained.
    """

    session: Session
    suspect: Suspect
    matrix: bool
    row_paths: list[str]
    row_shapes: list[tuple[int, ...]]
    column_paths: list[str]
    column_shapes: list[tuple[int, ...]]
    paths: list[str]
    ours: list[np.ndarray]
    theirs: list[np.ndarray]
    error: list[np.ndarray]
    tolerance: list[np.ndarray]
    wrong: list[np.ndarray]
    finite: bool
    usable: bool

    def __init__(self, session: Session, suspect: Suspect, *, rounded: bool = False) -> None:
        """Lay a suspect out; `rounded` allows a guess the rounding of the data to the working dtype."""
        self.session, self.suspect = session, suspect
        self.matrix = suspect.kind != "gradient"
        self.row_paths, self.row_shapes = _side(session, outputs=suspect.kind == "jvp")
        self.column_paths, self.column_shapes = _side(session, outputs=suspect.kind == "vjp")
        self.paths = self.row_paths
        self.ours, self.theirs, tolerance = map(self.leaves, (suspect.ours, suspect.theirs, suspect.tolerance))
        with np.errstate(all="ignore"):
            self.error = [a - b for a, b in zip(self.ours, self.theirs, strict=True)]
            self.tolerance = [np.where(np.isnan(t), np.inf, t) for t in tolerance]
            self.wrong = [~(np.abs(e) <= t) for e, t in zip(self.error, self.tolerance, strict=True)]
        self._skip()
        self.finite = all(np.isfinite(e).all() for e in self.error)
        self._floor = [float(np.max(t[np.isfinite(t)], initial=0.0)) for t in self.tolerance]
        if rounded:
            self._floor = [max(f, 8 * session.u * float(np.max(np.abs(a), initial=0.0)))
                           for f, a in zip(self._floor, self.theirs, strict=True)]  # fmt: skip
        visible = max((_ratio(e, f) for e, f in zip(self.error, self._floor, strict=True)), default=0.0)
        self.usable = self.finite and visible > _VISIBLE

    def _skip(self) -> None:
        """Entries without a derivative are not compared."""
        skipped = sorted(self.session.nonsmooth)
        if not skipped or not self.matrix:
            return
        rows, columns = self.suspect.kind != "jvp", self.suspect.kind != "vjp"
        for quantity in (self.ours, self.theirs, self.error, self.wrong):
            flat = self.joined(quantity).copy()
            if rows:
                flat[skipped] = 0
            if columns:
                flat[:, skipped] = 0
            quantity[:] = self.leaves([flat])

    def leaves(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """A quantity as the suspect holds it (leaves, or the rows of one matrix) as leaves with an axis for columns."""
        columns = np.shape(arrays[0])[1] if self.matrix else 1
        if len(arrays) < len(self.row_shapes):
            arrays = np.split(arrays[0], np.cumsum([int(np.prod(shape)) for shape in self.row_shapes])[:-1])
        return [np.asarray(a).reshape(*shape, columns) for a, shape in zip(arrays, self.row_shapes, strict=True)]

    def joined(self, leaves: Sequence[np.ndarray]) -> np.ndarray:
        """Leaves as one (rows, columns) matrix."""
        return np.concatenate([leaf.reshape(-1, leaf.shape[-1]) for leaf in leaves])

    @property
    def size(self) -> int:
        """How many numbers are compared."""
        return sum(e.size for e in self.error)

    @property
    def failing(self) -> list[int]:
        """The leaves with a wrong entry."""
        return [i for i, wrong in enumerate(self.wrong) if wrong.any()]

    def limit(self, i: int, growth: float = 1.0) -> float:
        """What a guess may miss in leaf i: its largest tolerance, which bounds both sides' rounding.

        A guess is computed like theirs, so its rounding grows with its size: `growth` is that relative to theirs.
        """
        return self._floor[i] * (1.0 + max(growth, 1.0))

    def explained(self, guess: Sequence[np.ndarray], slack: Sequence[np.ndarray | float] | None = None) -> bool:
        """Whether a guess equals ours in every entry, up to rounding and the slack (of a fitted parameter)."""
        if not self.usable:
            return False
        for i, (mine, other, true) in enumerate(zip(self.ours, guess, self.theirs, strict=True)):
            if not np.isfinite(other).all():
                return False
            more = 0.0 if slack is None else slack[i]
            size = float(np.max(np.abs(true), initial=0.0))
            growth = float(np.max(np.abs(other), initial=0.0)) / size if size > 0 else 1.0
            if not (np.abs(mine - other) <= self.limit(i, growth) + more).all():
                return False
        return True

    def scaled(self, base: Sequence[np.ndarray], direction: Sequence[np.ndarray]) -> tuple[float, float] | None:
        """(c, uncertainty) when ours = base + c direction in every entry, else None.

        A direction with a single entry above rounding can be fitted to anything, and is refused.
        """
        error = [a - b for a, b in zip(self.ours, base, strict=True)]
        found = scale_fit(error, direction, [self.limit(i) for i in range(len(error))])
        if found is None:
            return None
        c, spread, entries = found
        guess = [b + c * d for b, d in zip(base, direction, strict=True)]
        if entries < 2 or not self.explained(guess, [spread * np.abs(d) for d in direction]):
            return None
        return c, spread

    def entry(self, leaf: int, index: Sequence[int]) -> str:
        """The path of an entry."""
        row = self.row(leaf, index)
        column = entry_path(self.column_paths, self.column_shapes, int(index[-1])) if self.matrix else ""
        return f"{row} by {column or 'x'}" if self.matrix else row

    def row(self, leaf: int, index: Sequence[int]) -> str:
        """The path of an entry without its column."""
        place = [int(k) for k in index[:-1]]
        path = self.row_paths[leaf] + (str(place) if self.row_shapes[leaf] else "")
        return path or ("output" if self.matrix else "the entry")

    def places(self, limit: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """The first wrong entries, the worst first in each leaf: (leaf, index)."""
        for i in self.failing:
            where = np.argwhere(self.wrong[i])[: 4 * limit]
            order = np.argsort([-abs(self.error[i][tuple(w)]) for w in where], kind="stable")
            for k in order[:limit]:
                yield i, tuple(int(j) for j in where[k])


def _side(session: Session, *, outputs: bool) -> tuple[list[str], list[tuple[int, ...]]]:
    """Paths and shapes of the entries of x, or of the function's outputs."""
    if not outputs:
        return list(session.point.paths), [tuple(leaf.shape) for leaf in session.point.leaves]
    named, _ = jax.tree_util.tree_flatten_with_path(session.fun.out)
    return ["output" + jax.tree_util.keystr(path) for path, _ in named], [tuple(leaf.shape) for _, leaf in named]


def _ratio(error: np.ndarray, floor: float) -> float:
    largest = float(np.max(np.abs(error), initial=0.0))
    return largest / floor if floor > 0 else np.inf if largest > 0 else 0.0


def scale_fit(
    error: Sequence[np.ndarray], direction: Sequence[np.ndarray], limits: Sequence[float]
) -> tuple[float, float, int] | None:
    """(c, uncertainty, entries) of the least-squares fit error = c direction, leaves weighted by their limits.

    |Δc| <= Σ w |d| t / Σ w d² for errors within their limits t; `entries` counts those of the direction above them.
    """
    top = bottom = spread = 0.0
    entries = 0
    largest = max((float(np.max(np.abs(d), initial=0.0)) for d in direction), default=0.0)
    if not 0 < largest < np.inf:
        return None
    # A power of two as the unit: squares of tiny and of huge numbers stay in range.
    unit = 2.0 ** min(max(-np.frexp(largest)[1], -1022), 1022)
    error, direction = [e * unit for e in error], [d * unit for d in direction]
    limits = [t * unit for t in limits]
    scale = min((t for t in limits if t > 0), default=1.0)
    for e, d, t in zip(error, direction, limits, strict=True):
        if not (np.isfinite(d).all() and np.isfinite(e).all()):
            return None
        weight = (scale / t) ** 2 if t > 0 else 1.0
        top += weight * float(np.vdot(d, e))
        bottom += weight * float(np.vdot(d, d))
        spread += weight * t * float(np.abs(d).sum())
        entries += int((np.abs(d) > 8 * t).sum())
    return (top / bottom, spread / bottom, entries) if bottom > 0 and np.isfinite(bottom) else None


def constants(session: Session) -> list[tuple[str, np.ndarray]]:
    """(name, array) of every float array that the function holds: args first, then what it closes over."""
    found: list[tuple[str, np.ndarray]] = []
    named, _ = jax.tree_util.tree_flatten_with_path(session.args)
    known = [("args" + jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in named if hasattr(leaf, "dtype")]
    for k, const in enumerate(session.fun.consts):
        try:
            array = np.asarray(const)
        except TypeError:  # a PRNG key
            array = np.zeros(0, bool)
        name = next((n for n, a in known if a.shape == array.shape and np.array_equal(a, array)), f"constant {k}")
        found.append((name, array))
    return found

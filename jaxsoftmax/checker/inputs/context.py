"""What the comparisons of one check share: the traced function, its truth in float64, and leafwise comparison.

Guarded by `tests/checker/inputs/test_program.py` and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.inputs.arguments import Point
from jaxsoftmax.checker.inputs.budget import Clock
from jaxsoftmax.checker.inputs.large import leafwise
from jaxsoftmax.checker.inputs.program import Measured, Program
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.jaxprs.equations import equations, stops_at_a_tolerance
from jaxsoftmax.checker.report.finding import Finding, Subject, Table, half_digits, only_numbers, with_unseen
from jaxsoftmax.checker.report.verdict import Family
from jaxsoftmax.checker.roundoff.calls import Arithmetic

U64 = 2.0**-53
_TINY_OVER_U64 = float(np.finfo(np.float64).tiny) / U64
# Programs whose intermediate values exceed this many bytes are run sparingly: one rounding analysis, few probes.
LEAN_BYTES = 2.0**24
# Half of float64's digits in units of its unit roundoff.
_HALF = U64**-0.5
# Seconds that the analysis of one equation takes to compile, measured on functions of 30 to 2,000 equations; and the
# share of the budget that one analysis may take.
_ANALYSIS = 0.008
_SHARE = 0.1
_SHORT = 0.5  # whatever the budget
# Products in TF32 keep 11 bits, in bfloat16 8: GPUs and TPUs use them for float32 operands unless told otherwise.
_PRODUCT_BITS = {"cpu": 24, "gpu": 11, "cuda": 11, "rocm": 11, "tpu": 8}


def numbers(leaves: Sequence[Any]) -> list[np.ndarray]:
    """Leaves as NumPy float64 arrays."""
    return [np.asarray(leaf).astype(np.float64) for leaf in leaves]


def ravel(leaves: Sequence[Any]) -> np.ndarray:
    """Leaves as one float64 vector."""
    return np.concatenate([leaf.ravel() for leaf in numbers(leaves)])


def unravel(flat: np.ndarray, like: Sequence[Any]) -> list[np.ndarray]:
    """Vectors (..., n) as arrays (..., *shape), one for each of the leaves that they are raveled from.

    Example:
        >>> import numpy as np
        >>> [part.tolist() for part in unravel(np.arange(5), [np.zeros((2, 2)), np.zeros(1)])]
        [[[0, 1], [2, 3]], [4]]
    """
    ends = np.cumsum([int(np.prod(leaf.shape)) for leaf in like])[:-1]
    parts = zip(np.split(flat, ends, axis=-1), like, strict=True)
    return [part.reshape((*flat.shape[:-1], *leaf.shape)) for part, leaf in parts]


def sizes(errors: Sequence[Any], like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Rounding bounds in units of u as arrays: None is 0, NaN (0 times inf somewhere) is inf."""
    out = []
    for error, value in zip(errors, like, strict=True):
        array = np.zeros(np.shape(value)) if error is None else np.asarray(error, np.float64)
        out.append(np.where(np.isnan(array) | (array < 0), np.inf, np.broadcast_to(array, np.shape(value))))
    return out


class Suspect(NamedTuple):
    """A rule that disagrees, for the naming of its error.

    Attributes:
        kind: "gradient", "hvp", "hessian", "jvp" or "vjp".
        name: what the report calls it.
        ours: the rule's values in float64: leaves like x for a gradient, else one matrix (outputs, entries).
        theirs: the truth, likewise.
        tolerance: both sides', likewise.
        formula: the values are the formula's in float64; else as it ran in the working dtype (the formula is right).
        traced: the rule.
    """

    kind: str
    name: str
    ours: list[np.ndarray]
    theirs: list[np.ndarray]
    tolerance: list[np.ndarray]
    formula: bool
    traced: Traced


class Kinked(NamedTuple):
    """Evidence that the function is not smooth: the entry of x, where it is known, and a sentence."""

    place: str | None
    evidence: str

    def __str__(self) -> str:
        return self.evidence if self.place is None else f"{self.place}: {self.evidence}"


@dataclasses.dataclass
class Session:
    """One check in progress.

    Attributes:
        point: where.
        fun: the function.
        args: its further arguments.
        rng: NumPy generator of the directions.
        clock: budget and time.
        widen: evaluate rules in float64 too (dtype_policy "widen").
        notes: what fell back or was not done.
        findings: the comparisons so far.
        routes: the function along directions, once it is needed (`routes.routes_of`).
        guarantee: with what probability an error escapes, where not every entry was compared.
        excuse: why the next comparison of matrices cannot tell a difference that was seen.
        contradicted: the function's values reject the derivative of its own program.
        branched: the program's derivative at the point is not the function's: its branches are to blame.
        nonsmooth: entries of x in which the function has no derivative at the point; other comparisons leave them out.
        kinks: evidence of points where the function is not differentiable.
        suspects: the rules that disagree.
        tables: for the worst entries and the ulps.
    """

    point: Point
    fun: Traced
    args: tuple[Any, ...]
    rng: np.random.Generator
    clock: Clock
    widen: bool = True
    notes: list[str] = dataclasses.field(default_factory=list)
    findings: list[Finding] = dataclasses.field(default_factory=list)
    routes: Any = None
    guarantee: str | None = None
    excuse: str | None = None
    contradicted: bool = False
    branched: bool = False
    nonsmooth: set[int] = dataclasses.field(default_factory=set)
    kinks: list[Kinked] = dataclasses.field(default_factory=list)
    suspects: list[Suspect] = dataclasses.field(default_factory=list)
    tables: list[Table] = dataclasses.field(default_factory=list)

    @functools.cached_property
    def u(self) -> float:
        """Unit roundoff of the working dtype; that of a narrower one, where the function computes in that itself."""
        own = [float(jnp.finfo(dtype).eps) for dtype in self.fun.reduced] if self.double else []
        if own:
            self.note(
                f"fun itself computes in {', '.join(self.fun.reduced)}, so the rules as they run are held to that, too"
            )
        return max(self.point.eps, *own) / 2 if own else self.point.eps / 2

    @property
    def quick(self) -> bool:
        """No analysis of rounding, few routes."""
        return self.clock.budget.quick

    @functools.cached_property
    def iterative(self) -> bool:
        """The function holds a loop that stops at a tolerance: neither its derivative nor its values are exact."""
        found = stops_at_a_tolerance(self.fun.closed)
        if found:
            self.note(
                "fun holds a loop that stops at a tolerance: a rule that differs from its program's derivative, no "
                "more exact than that, is accused only if values reject it too"
            )
        return found

    @property
    def double(self) -> bool:
        """The rules run in float64 throughout."""
        return self.point.eps == 2.0**-52

    def note(self, text: str) -> None:
        """Keep a sentence for the report, once."""
        if text not in self.notes:
            self.notes.append(text)

    def measure(self, program: Program, *args: Any, narrow: bool = False, data: bool = False) -> Measured:
        """A program's values with rounding bounds in units of u (that of the working dtype, or float64's alike)."""
        tiny_over_u = _TINY_OVER_U64 if self.double else self.point.tiny / self.u
        bits = 24 if self.double else _PRODUCT_BITS.get(jax.default_backend(), 8)
        self.clock.evaluations += 1
        arithmetic = Arithmetic(tiny_over_u, 2.0 ** (24 - bits) if narrow else 1.0)
        options: Any = {"arithmetic": arithmetic, "narrow": narrow, "data": data}
        with jax.enable_x64(True):
            if self.quick:
                values = numbers(program.values(*args))
                return Measured(values, [np.full(v.shape, _HALF * np.max(np.abs(v), initial=0.0)) for v in values])
            if self._dear(program):
                return _unbounded(program, args)
            try:
                with _quiet_callbacks():
                    return self._measured(program, args, options)
            except jax.errors.JaxRuntimeError:  # foreign code inside refuses what an analysis gives it
                return _unbounded(program, args)

    def _dear(self, program: Program) -> bool:
        """Whether the analysis of a program would take too much of the budget; nearly all of it is compilation."""
        seconds = _ANALYSIS * sum(1 for _ in equations(program.jaxpr))
        if seconds <= max(_SHARE * self.clock.budget.seconds, _SHORT):
            return False
        self.note(
            f"the analysis of rounding was left out where it would take more than {_SHARE:.0%} of the budget (about "
            f"{seconds:.0f} s to compile); half of the digits were asked for instead"
        )
        return True

    def _measured(self, program: Program, args: Any, options: Any) -> Measured:
        outs, errors = program.errors(*args, **options)
        values = numbers(outs)
        units = sizes(errors, values)
        if not _hopeless(values, units, max(self.u, 2.0**-39)):
            return Measured(values, units)
        # Long recurrences: errors contract, their bounds do not. An estimate from samples judges there.
        self.note("a rounding bound grew too large to be of use (a long recurrence?); a random estimate replaced it")
        _, errors = program.errors(*args, **options, sampled=True)
        return Measured(values, [np.minimum(a, b) for a, b in zip(units, sizes(errors, values), strict=True)])

    def values(self, program: Program, *args: Any) -> list[np.ndarray]:
        """A program's outputs as NumPy float64 arrays."""
        self.clock.evaluations += 1
        with jax.enable_x64(True):
            return numbers(program.values(*args))

    def capped(self, tolerance: Any, theirs: Any) -> np.ndarray:
        """Of a quick check: no more than half of the digits of the working dtype."""
        return np.minimum(tolerance, math.sqrt(self.u) * np.max(np.abs(theirs), initial=0.0))

    def program(self, fn: Callable[..., Any], consts: Sequence[Any], *templates: Any) -> Program:
        """Trace ``fn(consts, *templates)`` under x64."""
        with jax.enable_x64(True):
            return Program(fn, consts, *templates)

    def wide(self) -> list[Any]:
        """The point's leaves in float64."""
        with jax.enable_x64(True):
            return self.point.wide()

    def lean(self, program: Program) -> bool:
        """Whether a program is so large that it is run sparingly."""
        return program.cost > LEAN_BYTES

    def like_point(self, flat: np.ndarray) -> list[Any]:
        """A vector over all entries as leaves in float64, sharded as the point is."""
        with jax.enable_x64(True):
            pairs = zip(map(jax.device_put, self.split(flat)), self.point.leaves, strict=True)
            return [jax.device_put(part, leaf.sharding) if _spread(leaf) else part for part, leaf in pairs]

    def split(self, flat: np.ndarray) -> list[np.ndarray]:
        """A vector over all entries as NumPy leaves."""
        return unravel(np.asarray(flat, np.float64), self.point.leaves)

    def basis(self, i: int) -> list[np.ndarray]:
        """The i-th basis vector as leaves."""
        return self.split(np.eye(1, self.point.size, i)[0])

    def normal(self, count: int) -> np.ndarray:
        """(count, n) Gaussian directions, 0 in the entries that are left out."""
        return self.smooth(self.rng.standard_normal((count, self.point.size)))

    def smooth(self, directions: np.ndarray) -> np.ndarray:
        """Directions of shape (..., n), with 0 in the entries that are left out."""
        if self.nonsmooth:
            directions = directions.copy()
            directions[..., sorted(self.nonsmooth)] = 0.0
        return directions

    def numbers_of(self, rule: str, route: str, ours: Sequence[Any], theirs: Sequence[Any]) -> tuple[list[Any], bool]:
        """(the other side without its NaN, whether there were any): a route that gives NaN says nothing of an entry."""
        found = [only_numbers(*pair) for pair in zip(ours, theirs, strict=True)]
        if count := sum(lost for _, lost in found):
            entries = f"{count} entr{'y' if count == 1 else 'ies'}"
            self.note(f"{route} has no value in {entries} of {rule}, which it could not be compared with")
        return [numbers for numbers, _ in found], count > 0

    def add(
        self,
        statement: str,
        subject: Subject,
        route: str,
        ours: Sequence[Any],
        theirs: Sequence[Any],
        tolerances: Sequence[Any],
        owns: Sequence[Any] | None = None,
        *,
        paths: Sequence[str] | None = None,
        identity: bool = False,
        table: bool = False,
        family: Family = Family.PROGRAM,
        unbounded: bool = False,
    ) -> Finding:
        """Compare leaf by leaf, keep the finding, and return it (`unbounded`: some tolerances were made up before)."""
        paths = self.point.paths if paths is None else paths
        theirs, lost = self.numbers_of(subject.rule, route, ours, theirs)
        u = U64 if subject.dtype is None else self.u
        if self.quick and subject.dtype is not None:
            tolerances = [self.capped(*pair) for pair in zip(tolerances, theirs, strict=True)]
        found = [half_digits(tolerance, other, u) for tolerance, other in zip(tolerances, theirs, strict=True)]
        tolerances = [tolerance for tolerance, _ in found]
        # Differences have an error estimate of their own: half of the digits are then what is known of the rule's.
        unbounded |= any(flag for _, flag in found)
        finding = leafwise(statement, subject.text, route, ours, theirs, tolerances, owns, paths, identity=identity)
        unbounded |= not finding.check.passed and self.iterative
        unbounded &= family is Family.PROGRAM and not self.quick
        finding = dataclasses.replace(finding, subject=subject, family=family, unbounded=unbounded)
        finding = with_unseen(finding, lost)
        self.findings.append(finding)
        if table:
            self.tables.append(Table(subject.text, paths, list(ours), list(theirs), list(tolerances)))
        return finding


def _unbounded(program: Program, args: Any) -> Measured:
    """A program's values, without a bound of their rounding."""
    values = numbers(program.values(*args))
    return Measured(values, [np.full(value.shape, np.inf) for value in values])


@contextmanager
def _quiet_callbacks() -> Iterator[None]:
    """JAX logs the traceback of a callback that raises; here it is caught."""
    log = logging.getLogger("jax._src.callback")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _hopeless(values: Sequence[np.ndarray], units: Sequence[np.ndarray], u: float) -> bool:
    """Whether the bound of some leaf's largest entry leaves the working dtype less than six bits of it."""
    for value, error in zip(values, units, strict=True):
        if value.size and np.isfinite(value).all():
            i = int(np.abs(value).argmax())
            if not u * error.ravel()[i] <= 2.0**-6 * np.abs(value).ravel()[i] and value.ravel()[i] != 0:
                return True
    return False


def _spread(leaf: Any) -> bool:
    return len(leaf.sharding.device_set) > 1

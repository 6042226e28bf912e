"""The columns that a fit works in: far offsets and odd units taken out, so that they cost no digits.

With u_d = (x_d − m_d)/σ_d the logits are the same numbers in other letters,

    z = Σ_d w_d x_d + b = Σ_d (w_d σ_d) u_d + (b + Σ_d w_d m_d),

so weights translate both ways: by powers of two, which is exact, and in the intercept, which is rounded once. The u are
made on the host from the numbers given, before anything is rounded to the compute dtype. Any m is right that no penalty
sees, any σ where there is no penalty; the ones chosen are those that matter.

Guarded by `tests/training/test_columns.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.moments import Rows, alone, moments, spread_of
from jaxsoftmax.calculus.loss.null_space import row_space, same_row_space
from jaxsoftmax.problem.arrays import block_rows, float64_blocks, place_rows
from jaxsoftmax.problem.fields import place_targets
from jaxsoftmax.problem.label_targets import LabelTargets, stored_targets
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import cast_strengths
from jaxsoftmax.support.errors import WrongValue

WHOLE = 2**22  # entries of X up to which it is copied whole to float64
SURELY_NEAR = 0.9  # of the mean square: squared means below it are less than FAR; 1/(1 + FAR⁻²) = 0.94 is the edge
NEGLIGIBLE = 2.0**-1054  # of the entries of a column
FAR = 4.0  # a mean of more than this many standard deviations costs more than two bits: it is taken out


class Columns(NamedTuple):
    """The offsets m and the units σ of the D columns, float64; 0 and 1 for the intercept and for what stays as it is.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.training.columns import working_columns
        >>> problem = js.Problem.from_labels(np.float32([[1000.0], [1001.0], [1002.0]]), [0, 1, 0])
        >>> columns = working_columns(problem)
        >>> columns.shift.tolist(), columns.inward([[1.0, -1000.0], [0.0, 0.0]]).tolist()
        ([1001.0, 0.0], [[1.0, 1.0], [0.0, 0.0]])
    """

    shift: np.ndarray
    unit: np.ndarray

    @property
    def as_given(self) -> bool:
        """Whether nothing is shifted or scaled."""
        return not self.shift.any() and bool((self.unit == 1).all())

    def inward(self, W: Any) -> np.ndarray:
        """Weights of the columns given, (C, D), as weights of these: float64, the intercept rounded once."""
        W = np.asarray(W, np.float64)
        inner = W * self.unit
        return inner if not self.shift.any() else _with_intercept(inner, W, self.shift)

    def outward(self, V: Any) -> np.ndarray:
        """Weights of these columns, (C, D), as weights of the columns given: float64, the intercept rounded once."""
        V = np.asarray(V, np.float64)
        W = V / self.unit
        return W if not self.shift.any() else _with_intercept(W, W, -self.shift)

    def gradient_outward(self, g: np.ndarray) -> np.ndarray:
        """The gradient in the columns given from that in these: ∂L/∂w_d = σ_d ∂L/∂v_d + m_d ∂L/∂b."""
        return g * self.unit + g[:, -1:] * self.shift

    def matrix(self, problem: Problem, dtype: Any) -> np.ndarray:
        """X in these columns, (N, D), from the numbers given: computed in float64, then rounded to `dtype`."""
        X = _given(problem)
        out = np.ones((problem.N, problem.D), dtype)
        width = X.shape[1]
        if self.as_given:
            out[:, :width] = X
            return out
        for rows, block in float64_blocks(X):
            out[rows] = self.block(block, problem.D)
        return out

    def block(self, given: np.ndarray, D: int) -> np.ndarray:
        """Some rows as given, float64, in these columns, (rows, D): with a column of ones where there is one more."""
        width = given.shape[1]
        out = np.ones((len(given), D))
        out[:, :width] = given if self.as_given else (given - self.shift[:width]) / self.unit[:width]
        return out


def _with_intercept(W: np.ndarray, slopes: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """W with the intercept column b + Σ_d slopes_d shift_d, the sum exact and rounded once."""
    W = W.copy()
    moved = np.flatnonzero(shift)
    offsets = [Fraction(float(m)) for m in shift[moved]]
    for row, given in zip(W, slopes, strict=True):
        if not np.isfinite(given).all():
            row[-1] += given @ shift
            continue
        terms = (Fraction(float(w)) * m for w, m in zip(given[moved], offsets, strict=True))
        row[-1] = _rounded(sum(terms, Fraction(float(row[-1]))))
    return W


def _rounded(number: Fraction) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def _given(problem: Problem) -> np.ndarray:
    """X as given, without the column of ones; the stored numbers where JAX has rebuilt the problem."""
    if problem.host is not None:
        return problem.host.X
    return np.asarray(problem.X)[:, : problem.D - int(problem.intercept)]


def working_columns(problem: Problem) -> Columns:
    """The columns to work in: m the mean where it is far from 0, σ a power of two where squares would leave the dtype.

    Means are far beyond FAR standard deviations (of the samples that take part). They stay where there is no intercept
    or a penalty acts on it, units where there is any penalty: it is in the units given.
    """
    _refuse_vanishing(problem)
    acting = [p for p in problem.regularizer if np.asarray(p.strength) > 0]
    shifts = problem.intercept and not any(p.penalize_intercept for p in acting)
    if not _in_doubt(problem, shifts, not acting):
        return Columns(np.zeros(problem.D), np.ones(problem.D))
    X, live = _given(problem), np.asarray(problem.sample_weight) > 0
    width, count = X.shape[1], int(live.sum())
    total, low, high = np.zeros(width), np.full(width, np.inf), np.full(width, -np.inf)
    shift, unit = np.zeros(problem.D), np.ones(problem.D)
    with np.errstate(all="ignore"):  # what leaves the doubles here is left as it is
        for rows, block in float64_blocks(X):
            block = block[live[rows]]
            total += block.sum(axis=0)
            low = np.minimum(low, block.min(axis=0, initial=np.inf))
            high = np.maximum(high, block.max(axis=0, initial=-np.inf))
        mean = np.clip(total / count, low, high)
        squares = np.zeros(width)
        for rows, block in float64_blocks(X):
            squares += ((block[live[rows]] - mean) ** 2).sum(axis=0)
        if shifts:
            far = np.abs(mean) > FAR * np.sqrt(squares / count)
            shift[:width] = np.where(far & np.isfinite(mean), mean, 0.0)
        if not acting:
            moved = shift[:width]
            exponent = np.frexp(np.maximum(np.abs(low - moved), np.abs(high - moved)))[1]
            # What is smaller is NEGLIGIBLE, and would have no unit that a double divides by.
            odd = (np.abs(exponent) > jnp.finfo(problem.dtype).maxexp // 4) & (exponent >= -1000)
            unit[:width] = np.ldexp(1.0, np.where(odd, np.minimum(exponent, 1000), 0))
    return Columns(shift, unit)


def _refuse_vanishing(problem: Problem) -> None:
    """Refuse a column that nowhere reaches 2⁻¹⁰⁰⁰: it is trained as one of zeros, but some double makes it matter.

    One below NEGLIGIBLE stays: the largest double times its entries moves no logit by more than 2⁻³⁰.
    """
    X = _given(problem)
    doubtful = np.flatnonzero(np.diagonal(moments(problem).plain)[: X.shape[1]] == 0)
    live = np.asarray(problem.sample_weight) > 0
    for d in doubtful.tolist():
        top = float(np.max(np.abs(X[live, d].astype(np.float64)), initial=0.0))
        if NEGLIGIBLE < top < 2.0**-1000:
            name = d if problem.feature_names is None else repr(problem.feature_names[d])
            given = f"column {name} of X has no entry above {top:.3g}, too small to be trained on"
            raise WrongValue("problem", given, "give it in other units")


def _in_doubt(problem: Problem, shifts: bool, units: bool) -> bool:
    """Whether some column may be far or in odd units, from the moments alone, with room for the rounding of X."""
    found, given = moments(problem), _given(problem)
    width, count = given.shape[1], int(np.count_nonzero(np.asarray(problem.sample_weight) > 0))
    square = np.diagonal(found.plain)[:width] / count
    zero = square == 0
    if zero.any() and given.dtype != problem.X.dtype and np.any(given[:, zero]):
        return True  # the compute dtype holds nothing of it
    if shifts and np.any((found.plain[:width, -1] / count) ** 2 > SURELY_NEAR * square):
        return True
    if not units:
        return False
    exponent = np.frexp(found.scale[:width] * np.sqrt(square))[1]
    # The largest entry of a column is between its root mean square and √count times that.
    most = jnp.finfo(problem.dtype).maxexp // 4 - 2 - 0.5 * np.log2(count)
    return bool(np.any(~zero & (np.abs(exponent) > most)))


def in_columns(problem: Problem, columns: Columns) -> Problem:
    """The problem in these columns, in its own dtypes; `problem` itself where they are those given."""
    if columns.as_given:
        return problem
    X = columns.matrix(problem, problem.X.dtype if jnp.issubdtype(problem.X.dtype, jnp.floating) else problem.dtype)
    return problem.replace(X=place_rows(X, problem.X))


class ExactData(NamedTuple):
    """The data as given in some columns, in float64: the samples of `problem` and those of `more()`.

    `problem` has the penalties and knows the moments of all samples. `more()` gives problems of one shape without
    penalties, made when asked for; none where `problem` holds all samples itself. Where other processes hold more
    samples, `add` sums an array over the processes and `largest` gives the largest of each entry.
    """

    problem: Problem
    more: Callable[[], Iterator[Problem]]
    add: Callable[[Any], Any] = alone
    largest: Callable[[Any], Any] = alone


def exact_data(problem: Problem, columns: Columns) -> ExactData:
    """The data as given in these columns in float64 (x64 must be on): whole where they are small or float64 already."""
    if problem.dtype == np.float64 and columns.as_given:
        return ExactData(problem, lambda: iter(()))
    X, (T, s, penalties) = _given(problem), _exact_targets(problem)
    if columns.as_given and X.dtype == problem.X.dtype:
        # The numbers given are stored already: the kernels widen them some rows at a time.
        leaves = (
            problem.X,
            place_targets(T, problem.X),
            place_rows(s, problem.X),
            jax.tree.map(jnp.asarray, penalties),
        )
        whole = Problem.tree_unflatten((problem.intercept, "float64"), leaves)
        if np.array_equal(s, np.asarray(problem.sample_weight)):
            same_row_space(whole, problem)
        return ExactData(whole, lambda: iter(()))
    if problem.N * problem.D <= WHOLE:
        return ExactData(exactly_in_columns(problem, columns), lambda: iter(()))
    live = s > 0
    many = block_rows(problem.D)

    def blocks() -> Iterator[tuple[slice, np.ndarray]]:
        for start in range(0, problem.N, many):
            rows = slice(start, start + many)
            yield rows, columns.block(X[rows].astype(np.float64), problem.D)

    def samples() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return ((block[live[rows]], s[rows][live[rows]]) for rows, block in blocks())

    def more() -> Iterator[Problem]:
        for rows, block in blocks():
            leaves = _filled((block, T[rows], s[rows]), many - len(block))
            yield Problem.tree_unflatten((problem.intercept, "float64"), (*jax.tree.map(jnp.asarray, leaves), ()))

    nothing = (np.zeros((1, problem.D)), np.full((1, problem.C), 1 / problem.C), np.zeros(1))
    frame = Problem.tree_unflatten(
        (problem.intercept, "float64"), (*map(jnp.asarray, nothing), jax.tree.map(jnp.asarray, penalties))
    )

    def top() -> np.ndarray:
        return np.max([np.max(np.abs(block), axis=0, initial=0.0) for block, _ in samples()], axis=0)

    row_space(frame, Rows(int(live.sum()), spread_of(s[live]), top, samples))
    return ExactData(frame, more)


def _filled(parts: tuple[np.ndarray, Any, np.ndarray], short: int) -> tuple[np.ndarray, Any, np.ndarray]:
    """Rows, stored targets and weights with so many samples of weight 0 more, so that all blocks compile alike."""

    def filled(part: np.ndarray) -> np.ndarray:
        return np.pad(part, [(0, short)] + [(0, 0)] * (part.ndim - 1))

    X, T, s = parts
    if isinstance(T, LabelTargets):
        return filled(X), dataclasses.replace(T, codes=filled(T.codes)), filled(s)
    return filled(X), filled(T), filled(s)


def _exact_targets(problem: Problem) -> tuple[Any, np.ndarray, Any]:
    """Targets, weights and penalties as given, in float64; the stored numbers where JAX has rebuilt the problem."""
    host = problem.host
    if host is None or host.regularizer is None:
        T = jax.tree.map(np.asarray, problem.targets.astype(np.float64))
        s, penalties = (problem.sample_weight, problem.regularizer)
        return T, *jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float64), (s, penalties))
    T = problem.targets if problem.dtype == np.float64 else stored_targets(host.targets, np.dtype(np.float64))
    s = np.ones(problem.N) if host.sample_weight is None else host.sample_weight.astype(np.float64)
    return jax.tree.map(np.asarray, T), s, cast_strengths(host.regularizer, np.dtype(np.float64))


def exactly_in_columns(problem: Problem, columns: Columns) -> Problem:
    """The data as given in these columns, whole, in float64 (x64 must be on), whatever the compute dtype."""
    leaves = jax.tree.map(jnp.asarray, (columns.matrix(problem, np.float64), *_exact_targets(problem)))
    return Problem.tree_unflatten((problem.intercept, "float64"), leaves)

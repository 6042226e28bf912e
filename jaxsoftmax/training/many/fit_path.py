"""`fit_path`: one problem along a path of penalties, each fit begun where the last two point to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from jaxsoftmax.calculus.penalties.l2 import L2
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import as_regularizers
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, refuse_no_function, refuse_sparse, require_x64, show
from jaxsoftmax.training.fit import fit, refuse_traced
from jaxsoftmax.training.many.batch import batch_of
from jaxsoftmax.training.many.fit_many import limits_of, settled, warn_of_diverging
from jaxsoftmax.training.many.result import Fits
from jaxsoftmax.training.many.run_lanes import lanes_of, trained
from jaxsoftmax.training.methods.newton import is_dense
from jaxsoftmax.training.result import Fit

__all__ = ["fit_path"]


def fit_path(
    problem: Problem,
    alphas: Any,
    *,
    penalty: Callable[[Any], Any] = L2,
    tol: float | None = None,
    max_steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fits:
    """Train one problem under penalties of many strengths, the strongest first, each begun where the last two point to.

    Newton's method (S8) in float64, compiled once, with inverses of the Hessian that are kept from one penalty to the
    next; where the dense Hessian is too large, `fit` for each strength.

    Args:
        problem: the data, without a regulariser.
        alphas: strengths >= 0, in any order.
        penalty: what makes a regulariser of a strength: `L2` (the default), `SelfRegularizer`, or a function of yours,
            such as ``lambda alpha: LogCosh(alpha, 1.0)``.
        tol: of each fit, as for `fit`.
        max_steps: of each fit, as for `fit`.
        progress: called with how many of the fits are done, and how many there are.

    Returns:
        `Fits`, in the order of `alphas`.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> X = np.random.default_rng(0).normal(size=(50, 2))
        >>> path = js.fit_path(js.Problem.from_labels(X, X[:, 0] > 0), [0.01, 0.1, 1.0])
        >>> sizes = np.linalg.norm(path.coef, axis=(1, 2))  # a stronger penalty, smaller weights
        >>> bool(sizes[0] > sizes[1] > sizes[2]), path.converged.tolist()
        (True, [True, True, True])

    Source: S8, S13, S21.
    """
    refuse_sparse(problem)
    if not isinstance(problem, Problem):
        raise WrongType("problem", f"got {show(problem)}", "give a jaxsoftmax.Problem, e.g. Problem.from_labels(X, y)")
    refuse_traced("fit_path", problem=problem, alphas=alphas, tol=tol)
    require_x64("problem", problem.dtype)
    if problem.regularizer:
        raise WrongValue("problem", "it has a regulariser already", "leave it out: the path brings its own")
    refuse_no_function("progress", progress)
    if not callable(penalty):
        given = f"got {show(penalty)}, {kind_of(penalty)}"
        raise WrongType("penalty", given, "give L2, or a function from a strength to a regulariser")
    try:
        strengths = np.asarray(alphas)
    except ValueError:  # rows of unequal lengths
        strengths = np.empty(0, object)
    if strengths.dtype.kind not in "iuf":
        raise WrongType("alphas", f"got {show(alphas)}, {kind_of(alphas)}", "give a list of numbers >= 0")
    if strengths.ndim != 1 or not strengths.size:
        raise WrongValue("alphas", f"shape {strengths.shape}, expected (B,)", "give a list of numbers >= 0")
    penalties = [as_regularizers(penalty(float(alpha))) for alpha in strengths]
    order, found = np.argsort(-strengths, kind="stable").tolist(), {}
    for place, fits in zip(
        order, walk(problem, [penalties[place] for place in order], None, tol, max_steps), strict=True
    ):
        found[place] = fits[0]
        if progress is not None:
            progress(len(found), len(order))
    batch = batch_of(problem, None, penalties)
    fits = Fits(tuple(found[place] for place in range(len(batch))), batch.problem)
    warn_of_diverging("fit_path", fits)
    return fits


def walk(
    problem: Problem, penalties: list[tuple], weights: np.ndarray | None, tol: Any, max_steps: Any
) -> Iterator[list[Fit]]:
    """The fits under one penalty after the other: one for each row of weights (B, N).

    Without weights there is one, with those of the problem. Each begins where the last two point to: on the secant of W
    in the logarithm of the strength. What the penalties share is computed once.
    """
    limits, count = limits_of(tol, max_steps), 1 if weights is None else len(weights)
    batches = [batch_of(problem, weights, [one] * count) for one in penalties]
    W = last = np.zeros((count, problem.C, problem.D))
    places, shared, ground, dense = list(range(count)), {}, None, is_dense(problem)
    for step, batch in enumerate(batches):
        ahead = _secant(penalties[max(0, step - 2) : step + 1])
        W, last = W + ahead * (W - last), W
        acting = tuple(float(one.strength) > 0 for one in batch.penalties_of(0))
        with jax.enable_x64(dense or problem.dtype == np.float64):
            if dense and acting not in shared:
                shared[acting], ground = lanes_of(batch, places), None
            if dense:
                lanes = dataclasses.replace(shared[acting], batch=batch)
                found, ground = trained(lanes, places, W, limits, ground)
                found = settled(batch, found, W, tol, max_steps)
            else:
                found = {row: fit(batch.problem(row), W0=W[row], tol=tol, max_steps=max_steps) for row in places}
        W = np.stack([found[row].W for row in places])
        yield [found[row] for row in places]


def _secant(penalties: list[tuple]) -> float:
    """How far the third penalty is from the second, by the distance of the first two; 0 where no line is known."""
    strengths = [float(one.strength) for mine in penalties for one in mine]
    if len(strengths) != 3 or not min(strengths) > 0 or strengths[0] == strengths[1]:
        return 0.0
    first, second, third = np.log(strengths)
    return float(np.clip((third - second) / (second - first), 0.0, 2.0))

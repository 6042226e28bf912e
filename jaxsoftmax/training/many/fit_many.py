"""`fit_many`: many problems trained in one compiled call, each with what `fit` says at its end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import as_weights, positive_int, refuse_no_function, require_x64, show
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.fit import fit, refuse_traced, tolerance_of
from jaxsoftmax.training.loop.run import Limits
from jaxsoftmax.training.many.batch import Batch, batch_of
from jaxsoftmax.training.many.lanes import METHOD
from jaxsoftmax.training.many.result import Fits
from jaxsoftmax.training.many.run_lanes import alike, blocks_of, lanes_of, trained
from jaxsoftmax.training.methods.newton import is_dense
from jaxsoftmax.training.result import Fit, Status

__all__ = ["fit_many"]


def fit_many(
    problems: Any,
    *,
    sample_weights: Any = None,
    regularizers: Any = None,
    W0: Any = None,
    tol: float | None = None,
    max_steps: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Fits:
    """Train many problems at once: folds, bootstrap samples, groups, penalties.

    Newton's method (S8) in float64, mapped over the problems in one compiled call; those that have ended wait for the
    rest. Where the problems share X and C·D is 128 or more, the inverses of their Hessians serve several steps. What is
    said of each is what `fit` says; one that this leaves open is trained again alone. Problems too large for the dense
    Hessian are trained one by one.

    Args:
        problems: one `Problem`, whose fits differ by `sample_weights` or `regularizers`; or a list of problems with
            the same columns, classes and kinds of regularisers.
        sample_weights: (B, N) in place of the problem's weights: counts of a bootstrap, 1 and 0 for folds or groups.
        regularizers: B regularisers in place of the problem's, all of the same kinds.
        W0: start, (C, D) for all or (B, C, D); for a bootstrap the problem's own fit saves steps. By default the first
            fits start at 0, and of large problems later ones at the mean of those before.
        tol: of each fit, as for `fit`.
        max_steps: of each fit, as for `fit`.
        progress: called with how many of the fits are done, and how many there are.

    Returns:
        `Fits`: a sequence of `Fit` whose numbers are also arrays over the fits. Rates and history are those of a few
        steps, and `existence` is None but where a problem was trained alone: for a verdict pass ``fits.problem(i)`` to
        `decide_existence`.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(50, 2))
        >>> problem = js.Problem.from_labels(X, X[:, 0] + rng.logistic(size=50) > 0)
        >>> counts = rng.multinomial(50, np.full(50, 1 / 50), size=8)  # eight bootstrap samples
        >>> fits = js.fit_many(problem, sample_weights=counts)
        >>> fits.coef.shape, bool(fits.converged.all())
        ((8, 2, 2), True)

    Source: S8, S13.
    """
    given = {"sample_weights": sample_weights, "regularizers": regularizers, "W0": W0, "tol": tol}
    refuse_traced("fit_many", problems=problems, **given)
    batch = batch_of(problems, sample_weights, regularizers)
    require_x64("problems", batch.first.dtype)
    refuse_no_function("progress", progress)
    limits, starts, tell = limits_of(tol, max_steps), _starts(W0, batch), progress or (lambda done, total: None)
    found: dict[int, Fit] = {}
    if all(map(is_dense, batch.several or (batch.first,))):
        with jax.enable_x64(True):
            for places in alike(batch):
                lanes, ground = lanes_of(batch, places), None
                for block in blocks_of(places, lanes.problem):
                    fits, ground = trained(lanes, block, starts, limits, ground)
                    found |= fits
                    tell(len(found), len(batch))
                    if ground is not None:
                        ground = ground.for_others()
                        starts = starts if W0 is not None else np.broadcast_to(_middle(fits), starts.shape)
            found = settled(batch, found, starts, tol, max_steps)
    else:
        for place in range(len(batch)):
            found[place] = fit(batch.problem(place), W0=starts[place], tol=tol, max_steps=max_steps)
            tell(len(found), len(batch))
    fits = Fits(tuple(found[place] for place in range(len(batch))), batch.problem)
    warn_of_diverging("fit_many", fits)
    return fits


def _middle(fits: dict[int, Fit]) -> np.ndarray:
    """The mean of the weights, from which other fits of much the same data have less far to go than from 0."""
    return np.mean([one.W for one in fits.values()], axis=0)


def settled(batch: Batch, found: dict[int, Fit], starts: Any, tol: Any, max_steps: Any) -> dict[int, Fit]:
    """The fits of some places; those that the batch leaves open are trained again alone."""
    after = dict(found)
    for place, one in found.items():
        if _left_open(one, max_steps):
            alone = batch.problem(place)
            alone = alone if alone.host is None else alone.astype("float64")
            after[place] = fit(alone, METHOD.name, W0=starts[place], tol=tol, max_steps=max_steps)
    return after


def _left_open(one: Fit, max_steps: Any) -> bool:
    """Whether `fit` alone may say more of a lane, whose units or offsets the columns that all share do not suit."""
    ended = one.status in (Status.GRADIENT_TOLERANCE, Status.STALLED)
    return not one.converged and (ended or (one.status is Status.STEP_LIMIT and max_steps is None))


def limits_of(tol: Any, max_steps: Any) -> Limits:
    """The limits of the loop in float64, from what the user gave."""
    default = float(np.finfo(np.float64).eps) ** (2 / 3)
    most = METHOD.default_steps if max_steps is None else min(positive_int("max_steps", max_steps), 2**31 - 2)
    return Limits(np.float64(tolerance_of(tol, default)), np.int32(most), np.float64(default))


def warn_of_diverging(caller: str, fits: Fits) -> None:
    """One warning for all fits that found no minimiser in sight."""
    count = sum(one.status is Status.DIVERGING and one.existence is None for one in fits)
    if count:
        warnings.warn(
            f"{caller}: in {count} of {len(fits)} fits the weights keep growing; probably no minimiser exists. For a "
            "proof, pass fits.problem(i) of such a fit to jaxsoftmax.decide_existence.",
            NoMinimizerWarning,
            stacklevel=3,
        )


def _starts(W0: Any, batch: Batch) -> np.ndarray:
    """(B, C, D) float64 starts from what was given."""
    problem = batch.first
    shape = (len(batch), problem.C, problem.D)
    if W0 is None:
        return np.zeros(shape)
    try:
        ndim = np.ndim(W0)
    except ValueError:
        raise WrongValue("W0", f"got {show(W0)}, rows of unequal lengths", "give (C, D) or (B, C, D)") from None
    if ndim == 3 and np.shape(W0) != shape:
        given = f"shape {np.shape(W0)}, expected (C, D) = {shape[1:]} or (B, C, D) = {shape}"
        raise WrongValue("W0", given, "give one start for all fits, or one for each")
    each = np.stack([np.asarray(as_weights(one, problem, "W0"), np.float64) for one in (W0 if ndim == 3 else [W0])])
    if not np.isfinite(each).all():
        raise WrongValue("W0", "it holds NaN or infinities", "give finite starts, or leave it out")
    return np.broadcast_to(each, shape)

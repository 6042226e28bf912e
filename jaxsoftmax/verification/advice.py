"""What a reader should know about a fit and do about it: endings that are no minimum, and badly scaled features."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.existence.explanation import explanation
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.training.loop.stopping import attains_for_certain
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.verification.points import columns

__all__ = ["Conditioning", "conditioning", "conditioning_advice", "existence_words", "fit_findings"]

SLOW_CONDITION = 1e4  # S17: a first-order method needs about this many steps a digit, `fit`'s default limit


class Conditioning(NamedTuple):
    """What the features' locations and scales alone do to the condition number of the columns' Gram matrix.

    **Location.** A feature of mean m and deviation σ next to the column of ones: scaled to unit length (the best of all
    diagonal scalings of two columns) their Gram matrix is [[1, ρ], [ρ, 1]] with ρ² = m²/(m² + σ²), whose condition
    number (1 + |ρ|)/(1 − |ρ|) = (√(m² + σ²) + |m|)²/σ² is at least 4 (m/σ)², and a principal submatrix's is at most
    the whole matrix's. So `location` = max 4 (m/σ)² stays whatever the units; subtracting the mean removes it, and with
    an intercept that moves no minimum.

    **Scale.** Once centred, the diagonal of the Gram matrix holds N σ² and N: its condition number is at least the
    ratio of the largest to the smallest of these, `scale`, which a change of units removes.
    """

    location: float
    scale: float
    feature: int  # the one of `location`
    mean: float
    deviation: float


def conditioning(problem: Problem) -> Conditioning | None:
    """The two numbers for a problem, or None without an intercept, without a varying feature, or beyond float64.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.verification.advice import conditioning
        >>> far = np.float32([[1000.0], [1002.0], [1000.0], [1002.0]])
        >>> found = conditioning(js.Problem.from_labels(far, [0, 1, 1, 0]))
        >>> found.location, found.scale
        (4008004.0, 1.0)
    """
    if not problem.intercept:
        return None
    X, s = columns(problem)
    X = X[s > 0, :-1]
    if not X.size:
        return None
    with np.errstate(all="ignore"):
        mean, deviation = X.mean(axis=0), X.std(axis=0)
        # A constant column's deviation is rounding: N terms, each within eps of the mean.
        varies = deviation > 4 * np.finfo(np.float64).eps * np.abs(mean)
        location = np.where(varies, 4 * (mean / deviation) ** 2, 0.0)
        sizes = np.append(deviation[varies], 1.0) ** 2
        scale = sizes.max() / sizes.min()
    worst = int(np.argmax(location))
    if not varies.any() or not np.isfinite([location[worst], scale]).all():
        return None
    return Conditioning(float(location[worst]), float(scale), worst, float(mean[worst]), float(deviation[worst]))


def conditioning_advice(problem: Problem) -> str:
    """One sentence on what to do with the features: centre them, or bring them to like scale, by the larger cause.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.verification.advice import conditioning_advice
        >>> conditioning_advice(js.Problem.from_labels(np.float32([[1.0], [2.0], [900.0]]), [0, 1, 1]))
        'Features of like scale train faster and resolve more.'
    """
    found = conditioning(problem)
    if found is None or found.location <= found.scale:
        return "Features of like scale train faster and resolve more."
    names = problem.feature_names
    which = repr(names[found.feature]) if names else str(found.feature)
    return (
        f"Centre the features (subtract each mean): feature {which} has mean {found.mean:.3g} and standard deviation "
        f"{found.deviation:.2g}, which alone makes a condition number of {found.location:.1e} in any units."
    )


def existence_words(verdict: ExistenceVerdict) -> str:
    """What a verdict on existence says, in one paragraph; without the remedy, which depends on who asks.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.verification.advice import existence_words
        >>> existence_words(js.decide_existence(js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])))[:39]
        'proved: the loss attains its minimum: n'
    """
    proved = "proved: " if verdict.proved and verdict.proof else ""
    first, *rest = explanation(verdict)
    return " ".join([f"{proved}{first[0].lower()}{first[1:]}", *rest])


def fit_findings(result: Fit, problem: Problem, verdict: ExistenceVerdict | None = None) -> list[str]:
    """How a fit that found no minimum ended, whether one exists, the remedy; nothing where S13's q < 1 was evaluated.

    Args:
        result: of the fit.
        problem: that was fitted.
        verdict: on the problem; default: the fit's own, which it has where it diverged.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.verification.rows_existence import fit_quietly
        >>> from jaxsoftmax.verification.advice import fit_findings
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        >>> [text[:13] for text in fit_findings(fit_quietly(problem), problem)]
        ['the fit ended', 'proved: no mi']
    """
    if result.converged:
        return []
    verdict = result.existence if verdict is None else verdict
    exists = None if verdict is None else verdict.attained
    size = np.linalg.norm(result.W)
    text = f"the fit ended {result.status.name} after {result.steps} steps with ‖W‖ = {size:.4g}; it is not called "
    text += f"converged. {result.reason}"
    remedy = "label smoothing, of 0.01 say,"
    if exists is False or (result.status is Status.DIVERGING and exists is None):
        text += f" Remedy: {remedy} makes a minimiser exist."
    elif result.status is Status.STEP_LIMIT and exists:
        text += " Remedy: more steps, or another method."
    elif result.status is Status.STEP_LIMIT:
        with jax.enable_x64(True):
            certain = bool(attains_for_certain(problem))
        text += " Remedy: more steps" + ("." if certain else f", or {remedy} with which a minimiser exists.")
    out = [text]
    if verdict is not None:
        out.append(existence_words(verdict))
    found = conditioning(problem)
    # Where no minimiser exists or is suspected, or numbers overflowed, the features are not the cause.
    suspected = result.status is Status.DIVERGING and not exists
    other_cause = exists is False or suspected or result.status is Status.NONFINITE
    if found is not None and not other_cause and max(found.location, found.scale) >= SLOW_CONDITION:
        out.append(conditioning_advice(problem))
    return out

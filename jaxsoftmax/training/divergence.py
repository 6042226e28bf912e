"""What `fit` says when the weights keep growing: what is proved about the data, and what helps (S9, S16)."""

from __future__ import annotations

import warnings
from typing import Any

from jaxsoftmax.problem.problem import Problem

__all__ = ["NoMinimizerWarning", "verdict_on_divergence"]


class NoMinimizerWarning(UserWarning):
    """The weights keep growing in training: the loss has no minimiser (S9), or none that was reached.

    Example:
        >>> import jaxsoftmax as js, warnings
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     result = js.fit(js.Problem.from_labels([[1.0], [2.0]], ["a", "b"]))
        >>> caught[0].category is js.NoMinimizerWarning, result.existence.type.value
        (True, 'complete')
    """


def verdict_on_divergence(problem: Problem, seconds: float, newton: bool = False, stacklevel: int = 3) -> Any:
    """Decide existence within about the time that the run took, and warn with the verdict; returns it, or None.

    `newton` says that the run was as good as Newton's method, which the advice then does not name. None where the
    problem no longer has its data as given (one rebuilt by JAX).
    """
    if problem.host is None or problem.host.regularizer is None:
        warnings.warn(
            "fit: the weights keep growing; probably no minimiser exists. For a proof, pass the Problem as it was "
            "constructed to jaxsoftmax.decide_existence.",
            NoMinimizerWarning,
            stacklevel=stacklevel,
        )
        return None
    from jaxsoftmax.proof.existence.decide import decide_existence  # needed only here, and costs its imports

    verdict = decide_existence(problem, budget=max(1.0, seconds))
    if verdict.attained:
        other = "train in float64" if newton else "use method='newton'"
        text = (
            "fit: the weights keep growing, but a minimiser exists (proved, S10): it is far away or badly conditioned. "
            f"Centre and scale the features, or {other}."
        )
    elif verdict.attained is None:
        text = (
            "fit: the weights keep growing; whether a minimiser exists was not decided in the time of the run. Call "
            "jaxsoftmax.decide_existence(problem), which may take longer, or smooth the targets: "
            "problem.smoothed('0.01')."
        )
    else:
        text = "fit: the weights keep growing. " + "\n  ".join(verdict.explain().splitlines())
    warnings.warn(text, NoMinimizerWarning, stacklevel=stacklevel)
    return verdict

"""`fit`: train on a Problem with a named method, and say honestly how the run ended.

The word *converged* is used only where S13's q < 1 was evaluated at the end point: a small gradient alone proves
nothing, because on data without a minimiser the gradient goes to zero as well (while ‖W‖ goes to infinity).
"""

from __future__ import annotations

import dataclasses
import enum
import math
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxsoftmax._checks import as_weights, is_traced, positive_int, real_number, require_x64, show
from jaxsoftmax.calculus.blocks import placement
from jaxsoftmax.calculus.bounds import curvature_lower_bound
from jaxsoftmax.problem import Problem
from jaxsoftmax.training import endings, endpoint, loop
from jaxsoftmax.training.gradient_descent import GradientDescent, measured_rate
from jaxsoftmax.training.newton import Newton

METHODS = {"gd": GradientDescent(), "newton": Newton()}
DEFAULT_STEPS = {"gd": 10_000, "newton": 200}
NEWTON_LIMIT = endpoint.DENSE_LIMIT  # "auto" takes Newton up to this C·D


class Status(enum.Enum):
    """How a run ended.

    GRADIENT_TOLERANCE: the scaled gradient reached the tolerance. STEP_LIMIT: it did not within `max_steps`. DIVERGING:
    no minimiser suspected. STALLED: the loss cannot fall further in this precision. NONFINITE: a step left the finite
    numbers; the result is the last good point.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> separable = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        >>> js.fit(separable).status is js.Status.DIVERGING
        True
    """

    GRADIENT_TOLERANCE = loop.GRADIENT_TOLERANCE
    STEP_LIMIT = loop.STEP_LIMIT
    DIVERGING = loop.DIVERGING
    STALLED = loop.STALLED
    NONFINITE = loop.NONFINITE


_DATA = (
    "W",
    "loss",
    "gradient_norm",
    "scaled_gradient",
    "gap_estimate",
    "steps",
    "rate_measured",
    "rate_bound",
    "rate_estimate",
    "q_estimate",
    "history",
)
_META = ("status", "method", "has_intercept", "reason")


@partial(jax.tree_util.register_dataclass, data_fields=_DATA, meta_fields=_META)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """The result of `fit`. Arrays are NumPy, so a float64 result survives leaving an x64 scope.

    Attributes:
        W: (C, D) weights in the problem's dtype.
        status: a `Status`.
        loss: L(W), the sum of S1 plus penalties.
        gradient_norm: ‖∇L(W)‖_F.
        scaled_gradient: max_cd |g_cd| / a_d, the number the tolerance is compared with; a_d = Σ_n s_n|x_nd| +
        penalties. gap_estimate: λ²/2, λ the Newton decrement: an estimate of L(W) − inf L; None where not evaluated.
        steps: steps taken.
        rate_measured: factor per step by which the gradient norm shrank at the end; None where it cannot be measured.
        rate_bound: S17's factor with the rigorous curvature bounds of S7 at W; None where they bound nothing.
        rate_estimate: S17's factor with the extreme eigenvalues of H(W) on 𝒦⊥; None where not evaluated.
        q_estimate: S13's q = β‖g‖/μ at W, evaluated in float64 (not proved); None where not evaluated.
        history: dict of arrays: step, loss, gradient_norm, weight_norm, step_size; evenly thinned when long.
        method: the method's name.
        has_intercept: whether the last column of W is the intercept (then `coef` and `intercept` split W).
        reason: one sentence on what the status means here.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> result = js.fit(problem)
        >>> result.coef.shape, result.intercept.shape, result.converged
        ((2, 1), (2,), True)
    """

    W: Any
    loss: Any
    gradient_norm: Any
    scaled_gradient: Any
    gap_estimate: Any
    steps: Any
    rate_measured: Any
    rate_bound: Any
    rate_estimate: Any
    q_estimate: Any
    history: Any
    status: Status
    method: str
    has_intercept: bool
    reason: str

    @property
    def converged(self) -> bool:
        """True only when S13's q was evaluated at W and is < 1: then a minimiser exists near W (up to rounding)."""
        return self.q_estimate is not None and bool(self.q_estimate < 1) and self.status is not Status.DIVERGING

    @property
    def coef(self) -> Any:
        """(C, D) weights without the intercept column."""
        return self.W[:, :-1] if self.has_intercept else self.W

    @property
    def intercept(self) -> Any:
        """(C,) intercepts, zeros where the problem has none."""
        return self.W[:, -1] if self.has_intercept else np.zeros(self.W.shape[0], self.W.dtype)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, keys as the fields plus `converged`; inf and NaN become None."""
        out: dict[str, Any] = {"W": np.asarray(self.W).tolist(), "status": self.status.name}
        for name in _DATA[1:-1]:
            value = getattr(self, name)
            out[name] = None if value is None or not math.isfinite(value) else value
        out["history"] = {k: [v if math.isfinite(v) else None for v in a.tolist()] for k, a in self.history.items()}
        out |= {"method": self.method, "reason": self.reason, "converged": self.converged}
        return out

    def __repr__(self) -> str:
        if not isinstance(self.W, np.ndarray):  # rebuilt by JAX with something else in the leaves
            return f"Fit(method={self.method!r}, status={self.status.name})"
        C, D = self.W.shape
        lines = [
            f"Fit by {self.method}: {self.status.name} after {self.steps} steps, W ({C}, {D}) {self.W.dtype}",
            f"  {self.reason}",
            f"  loss {self.loss:.12g}   |gradient| {self.gradient_norm:.3g}   scaled {self.scaled_gradient:.3g}",
        ]
        if self.gap_estimate is not None:
            lines.append(
                f"  half the squared Newton decrement {self.gap_estimate:.3g} (where small, the gap to the infimum)"
            )
        if self.q_estimate is None:
            lines.append("  S13's q was not evaluated, so nothing is claimed about a minimiser")
        else:
            what = "a minimiser exists nearby" if self.q_estimate < 1 else "no claim that a minimiser exists"
            lines.append(f"  S13: q = {self.q_estimate:.3g} (evaluated in float64, not proved): {what}")
        rates = [("measured", self.rate_measured), ("S17 from the spectrum", self.rate_estimate)]
        rates.append(("S17 from S7's bounds", self.rate_bound))
        known = [f"{name} 1 - {1 - value:.3g}" for name, value in rates if value is not None]
        if known:
            lines.append("  contraction per step: " + ", ".join(known))
        return "\n".join(lines)


def _choose(method: Any, problem: Problem) -> str:
    if not isinstance(method, str):
        raise TypeError(f"method: got {show(method)}; give one of 'auto', {', '.join(map(repr, METHODS))}.")
    if method == "auto":
        return "newton" if problem.C * problem.D <= NEWTON_LIMIT else "gd"
    if method not in METHODS:
        raise ValueError(f"method: {show(method)} is not known; give one of 'auto', {', '.join(map(repr, METHODS))}.")
    return method


def _tolerance(tol: Any, default: float) -> float:
    if tol is None:
        return default
    if real_number("tol", tol) < 0:
        raise ValueError(
            f"tol: got {show(tol)}; the tolerance on the scaled gradient must be >= 0. Leave it out for {default:.2g}."
        )
    return float(tol)


def fit(
    problem: Problem,
    method: str = "auto",
    *,
    tol: float | None = None,
    max_steps: int | None = None,
    W0: Any = None,
    key: Any = None,
) -> Fit:
    """Minimise L(W) over (C, D) weights (S1) and report how the run ended.

    Args:
        problem: the data, concrete (not traced).
        method: "gd": gradient descent at the step 1/Λ of S16. "newton": dense Newton on 𝒦⊥, globalised by S8.
            "auto": Newton up to C·D = 1500, gradient descent beyond.
        tol: tolerance >= 0 on the scaled gradient max_cd |g_cd| / Σ_n s_n|x_nd|, which does not change with the scale
        of
            features, the scale of the weights or the number of samples. Default eps(dtype)^(2/3).
        max_steps: at least 1; default 200 for Newton, 10 000 for gradient descent.
        W0: (C, D) start, default zeros. It need not lie in 𝒦⊥: both methods move in 𝒦⊥ only, so its part in the
            kernel 𝒦 (which the loss does not see) is kept.
        key: accepted for methods that draw random numbers; these two are deterministic and do not use it.

    Returns:
        A `Fit`. `fit.converged` is True only where S13's q < 1 was evaluated at the end point.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> result = js.fit(problem)
        >>> result.status.name, result.converged, round(result.loss, 4)
        ('GRADIENT_TOLERANCE', True, 2.3475)

    Source: S16, S8, S13; gradient descent without a regulariser: Rychlik, arXiv:1903.12600.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: got {show(problem)}; give a jaxsoftmax.Problem, e.g. Problem.from_labels(X, y).")
    if is_traced(problem.X):
        raise TypeError(
            "problem: its arrays are traced; fit runs on concrete data. Call it outside jit, grad and vmap."
        )
    require_x64("problem", problem.dtype)
    name = _choose(method, problem)
    default = float(np.finfo(problem.dtype).eps) ** (2 / 3)
    tolerance = _tolerance(tol, default)
    limit = DEFAULT_STEPS[name] if max_steps is None else min(positive_int("max_steps", max_steps), 2**31 - 2)
    start = as_weights(np.zeros((problem.C, problem.D)) if W0 is None else W0, problem, "W0")
    chosen = METHODS[name]
    constants = chosen.constants(problem)
    dtype = np.dtype(problem.dtype).type
    raw = loop.run(
        chosen, placement(problem), problem, start, dtype(tolerance), np.int32(limit), dtype(default), constants
    )
    raw = jax.tree.map(np.asarray, raw)
    step = float(constants) if name == "gd" else None
    return _finish(problem, name, raw, default, step)


def _finish(problem: Problem, name: str, raw: Any, default: float, step: float | None) -> Fit:
    """Evaluate the end point, decide the status (endings.py) and pack the result."""
    history = endings.history_table(raw)
    end = endpoint.evaluate(problem, raw.W, step)
    separated = endpoint.separates(problem, raw.W)
    code, reason = endings.judge(problem, raw, end, separated, history, default)
    status = Status(code)
    gap = end.gap
    if gap is None and name == "newton" and np.isfinite(raw.decrement):
        gap = 0.5 * max(float(raw.decrement), 0.0)
    rate = bound = None
    if step:
        a = float(np.max(np.asarray(loop.gradient_scale(problem))))
        # The gradient's rounding: eps times its terms' absolute sum, at most a_d an entry.
        floor = float(np.finfo(problem.dtype).eps) * a
        rate = (
            measured_rate(history["step"], history["gradient_norm"], floor) if status is not Status.DIVERGING else None
        )
        low = float(curvature_lower_bound(raw.W, problem)) if status is not Status.NONFINITE else 0.0
        # η <= 1/Λ, so the factor of S17 is the one at the small end.
        bound = 1.0 - step * low if low > 0.0 else None
    return Fit(
        W=raw.W,
        loss=float(raw.value),
        gradient_norm=float(raw.gradient_norm),
        scaled_gradient=float(raw.scaled_gradient),
        gap_estimate=gap,
        steps=int(raw.steps),
        rate_measured=rate,
        rate_bound=bound,
        rate_estimate=end.rate,
        q_estimate=end.q,
        history=history,
        status=status,
        method=name,
        has_intercept=bool(problem.intercept),
        reason=reason,
    )

"""`fit`: train on a problem with a named method or an optax transformation, and say honestly how the run ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax.calculus.bounds.bohning import whitening
from jaxsoftmax.calculus.bounds.curvature import curvature_lower_bound, flattest_softmax_bound
from jaxsoftmax.calculus.bounds.global_rates import log_descent_gain_bound
from jaxsoftmax.calculus.loss.derivatives import value_and_gradient
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.problem.arrays import place_rows
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.validation import as_weights, is_traced, kind_of, positive_int, real_number, require_x64, show
from jaxsoftmax.training import diagnostics as endpoint
from jaxsoftmax.training import status as endings
from jaxsoftmax.training.divergence import verdict_on_divergence
from jaxsoftmax.training.loop import run as loop
from jaxsoftmax.training.loop.stopping import gradient_scale
from jaxsoftmax.training.measured_rate import measured_rate
from jaxsoftmax.training.methods.accelerated import AcceleratedDescent
from jaxsoftmax.training.methods.barzilai_borwein import BarzilaiBorwein
from jaxsoftmax.training.methods.gradient_descent import GradientDescent
from jaxsoftmax.training.methods.majorize_minimize import MajorizeMinimize
from jaxsoftmax.training.methods.newton import Newton
from jaxsoftmax.training.methods.newton_cg import NewtonCG
from jaxsoftmax.training.methods.optimal_descent import OptimalDescent
from jaxsoftmax.training.methods.rychlik import PublishedTrainer
from jaxsoftmax.training.result import Fit, Status

METHODS = {
    method.name: method
    for method in (
        GradientDescent(),
        OptimalDescent(),
        AcceleratedDescent(),
        BarzilaiBorwein(),
        PublishedTrainer(),
        MajorizeMinimize(),
        Newton(),
        NewtonCG(),
    )
}
NEWTON_LIMIT = endpoint.DENSE_LIMIT  # "auto" takes the dense Newton up to this C·D, Newton-CG beyond


def _choose(method: Any, problem: Problem, batch_size: Any, key: Any) -> Any:
    """The method object, and its options checked."""
    names = f"'auto', {', '.join(map(repr, METHODS))}"
    if isinstance(method, str):
        if batch_size is not None:
            raise ValueError(
                f"batch_size: got {show(batch_size)} with method={method!r}, which uses all samples at each step. "
                "Leave it out, or give an optax transformation, e.g. method=optax.sgd(1e-3)."
            )
        if method == "auto":
            method = "newton" if problem.C * problem.D <= NEWTON_LIMIT else "newton-cg"
        if method not in METHODS:
            raise ValueError(f"method: {show(method)} is not known; give one of {names}, or an optax transformation.")
        return METHODS[method]
    if not (callable(getattr(method, "init", None)) and callable(getattr(method, "update", None))):
        hint = " Call it first, e.g. optax.sgd(1e-3)." if callable(method) else ""
        raise TypeError(
            f"method: got {show(method)}, {kind_of(method)}; give one of {names}, or an optax transformation.{hint}"
        )
    from jaxsoftmax.training.methods.optax_adapter import Transformation

    if batch_size is None:
        return Transformation(method)
    size = positive_int("batch_size", batch_size)
    if size > problem.N:
        raise ValueError(
            f"batch_size: got {size}, more than the N = {problem.N} samples. Give at most {problem.N}, or leave it out "
            "for full batches."
        )
    if key is None:
        raise ValueError("key: None, but minibatches are drawn at random. Give key=jax.random.key(0), any seed.")
    return Transformation(method, size)


def _key(key: Any) -> Any:
    """A typed random key from a typed or a raw one."""
    if key is None:
        return None
    remedy = "Make one with jax.random.key(0)."
    if isinstance(key, jax.Array) and jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape != ():
            raise ValueError(f"key: an array of keys of shape {key.shape}; one key is needed. Give key[0].")
        return key
    if isinstance(key, (jax.Array, np.ndarray)) and key.dtype == np.uint32 and key.shape == (2,):
        return jax.random.wrap_key_data(jax.numpy.asarray(key))
    raise TypeError(f"key: got {show(key)}, {kind_of(key)}; a JAX random key is needed. {remedy}")


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
    method: Any = "auto",
    *,
    tol: float | None = None,
    max_steps: int | None = None,
    W0: Any = None,
    key: Any = None,
    batch_size: int | None = None,
    whiten: bool = False,
    progress: Callable[[loop.Progress], None] | None = None,
) -> Fit:
    """Minimise L(W) over (C, D) weights (S1, S21) and report how the run ended.

    Each method is one file of `training/`, whose docstring has its formula and what is guaranteed:

    =============== =================================================================================================
    "gd"            gradient descent at the step 1/Λ, monotone from any start (S16)
    "gd-optimal"    gradient descent at the best step 2/(μ* + Λ*) near the minimiser (S17), guarded by S16
    "agd"           accelerated gradient descent at 1/Λ with restart
    "bb"            Barzilai-Borwein steps with a nonmonotone line search that ends at 1/Λ
    "rychlik-bb"  the published trainer, exactly (S20)
    "mm"            majorise-minimise with the fixed matrix of S19: monotone, no step size, blind to cond(X)
    "newton"        dense Newton on 𝒦⊥, damped by S8
    "newton-cg"     Newton's direction by conjugate gradients on products, preconditioned by S19, damped by S8
    "auto"          "newton" up to C·D = 1500, "newton-cg" beyond
    =============== =================================================================================================

    An optax transformation (`optax.adam(1e-2)`, `optax.lbfgs()`, a chain of yours) is used as it is; keep the object
    and pass it again, and nothing is compiled again.

    Args:
        problem: the data, concrete (not traced).
        method: a name, or an optax `GradientTransformation`.
        tol: tolerance >= 0 on the scaled gradient max_cd |g_cd| / Σ_n s_n|x_nd|, which does not change with the scale
            of features, the scale of the weights or the number of samples. Default eps(dtype)^(2/3).
        max_steps: at least 1; default 200 for Newton's methods, 10 000 for the others.
        W0: (C, D) start, default zeros. It need not lie in 𝒦⊥: the methods of the theory move in 𝒦⊥ only, so its part
            in the kernel 𝒦 (which the loss does not see) is kept, except by the re-centring of "rychlik-bb".
        key: a JAX random key, needed with `batch_size`; nothing else is random.
        batch_size: minibatches of so many samples, 1 to N, for optax transformations; a step is then an epoch, and
            loss, gradient and tolerance are looked at once an epoch, on all samples.
        whiten: run in the features that make S19's matrix the identity: one QR and one more copy of X buy a condition
            number that does not depend on X, which first-order methods need on raw data. W, loss, gradient norms and
            `scaled_gradient` of the result are in the features given; the history's norms, the stopping test and the
            rates are in the whitened ones. Not with a regulariser.
        progress: called about four times a second with an object of fields step, max_steps, loss, scaled_gradient and
            seconds.

    Returns:
        A `Fit`. `fit.converged` is True only where S13's q < 1 was evaluated at the end point. Ctrl-C ends the run with
        status INTERRUPTED and what was done until then; a second one is not caught. A run that ends DIVERGING warns
        (`NoMinimizerWarning`) with the verdict of `decide_existence`, which `fit.existence` keeps.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> result = js.fit(problem)
        >>> result.status.name, result.converged, round(result.loss, 4)
        ('GRADIENT_TOLERANCE', True, 2.3475)

    Source: S8, S13, S16, S17, S19, S20; gradient descent without a regulariser: Rychlik, arXiv:1903.12600.
    """
    if not isinstance(problem, Problem):
        raise TypeError(f"problem: got {show(problem)}; give a jaxsoftmax.Problem, e.g. Problem.from_labels(X, y).")
    if is_traced(problem.X):
        raise TypeError(
            "problem: its arrays are traced; fit runs on concrete data. Call it outside jit, grad and vmap."
        )
    require_x64("problem", problem.dtype)
    began = time.perf_counter()
    key = _key(key)
    chosen = _choose(method, problem, batch_size, key)
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: got {show(progress)}, {kind_of(progress)}; give a function of one argument.")
    default = float(np.finfo(problem.dtype).eps) ** (2 / 3)
    tolerance = _tolerance(tol, default)
    most = chosen.default_steps if max_steps is None else min(positive_int("max_steps", max_steps), 2**31 - 2)
    start = as_weights(np.zeros((problem.C, problem.D)) if W0 is None else W0, problem, "W0")
    if not isinstance(whiten, (bool, np.bool_)):
        raise TypeError(f"whiten: got {show(whiten)}, {kind_of(whiten)}. Give True or False.")
    if whiten and problem.regularizer:
        raise ValueError("whiten: a penalty is not diagonal in whitened features. Use method='mm' or a Newton method.")
    kind = np.dtype(problem.dtype).type
    limits = loop.Limits(kind(tolerance), np.int32(most), kind(default))
    A = whitening(problem, null_space(problem)) if whiten else np.zeros((0, problem.D))
    if len(A) == 0:  # nothing is to be whitened, or there is nothing to whiten: X = 0
        raw = loop.run(chosen, placement(problem), problem, start, limits, chosen.constants(problem, key), progress)
        history = endings.history_table(raw)
        rates = _rates(problem, chosen, raw, history, start)
        return _finish(problem, chosen, raw, history, default, rates, began)
    # W moves by (U − U₀) A, so that the part of W₀ in 𝒦 stays.
    W0 = np.asarray(start, np.float64)
    U0 = (W0 @ np.linalg.pinv(A)).astype(kind)
    X = np.asarray(problem.X).astype(np.float64) @ A.T
    inner = problem.replace(X=place_rows(X.astype(kind), problem.X))
    constants = chosen.constants(inner, key)
    raw = loop.run(chosen, placement(inner), inner, jax.numpy.asarray(U0), limits, constants, progress)
    history = endings.history_table(raw)
    rates = _rates(inner, chosen, raw, history, U0)
    W = (W0 + (raw.W.astype(np.float64) - U0) @ A).astype(kind)
    value, gradient = map(np.asarray, value_and_gradient(W, problem))
    raw = raw._replace(W=W, value=value, gradient=gradient, scale=np.asarray(gradient_scale(problem)))
    return _finish(problem, chosen, raw, history, default, rates, began)


class _Rates(NamedTuple):
    """The contraction a step, seen and by the theory, in the features that were trained in."""

    measured: float | None = None
    bound: float | None = None
    estimate: float | None = None
    log_gain_bound: float | None = None


def _rates(problem: Problem, method: Any, raw: loop.Carry, history: dict[str, np.ndarray], W0: Any) -> _Rates:
    bound = estimate = measured = gain = None
    if int(raw.status) == loop.NONFINITE:
        return _Rates()
    if method.linear:
        # The gradient's rounding: eps times its terms' absolute sum, at most a_d an entry.
        floor = float(np.finfo(problem.dtype).eps) * float(np.max(raw.scale))
        measured = measured_rate(history["step"], history["gradient_norm"], floor)
    step = float(raw.step_size)
    if isinstance(method, GradientDescent | OptimalDescent) and step > 0:
        estimate = endpoint.descent_rate(problem, raw.W, step)
    if isinstance(method, GradientDescent):
        # A step of at most 1/Λ contracts most slowly at the small end of the spectrum, which S7c bounds.
        bound = 1.0 - step * float(curvature_lower_bound(raw.W, problem))
        gain = log_descent_gain_bound(problem, W0)
    elif isinstance(method, MajorizeMinimize) and all(p.concordance is None for p in problem.regularizer):
        # A penalty of constant curvature has in M its own Hessian, and S21d that of uniform samples.
        bound = 1.0 - 2.0 * float(flattest_softmax_bound(raw.W, problem))
    bound = bound if bound is not None and bound < 1.0 else None
    return _Rates(measured, bound, estimate, gain if gain is not None and np.isfinite(gain) else None)


def _finish(
    problem: Problem,
    method: Any,
    raw: loop.Carry,
    history: dict[str, np.ndarray],
    default: float,
    rates: _Rates,
    began: float,
) -> Fit:
    """Evaluate the end point, decide the status (endings.py), ask for a verdict on divergence, and pack the result."""
    end = endpoint.evaluate(problem, raw.W)
    separated = endpoint.separates(problem, raw.W)
    small = loop.scaled_gradient_of(raw)
    code, reason = endings.judge(problem, method, raw, small, end, separated, history, default)
    status = Status(code)
    gap = end.gap
    if gap is None and np.isfinite(raw.decrement):
        gap = 0.5 * max(float(raw.decrement), 0.0)
    verdict = None
    if status is Status.DIVERGING:
        verdict = verdict_on_divergence(problem, time.perf_counter() - began, stacklevel=4)
    return Fit(
        W=raw.W,
        loss=float(raw.value),
        gradient_norm=float(np.linalg.norm(raw.gradient.astype(np.float64))),
        scaled_gradient=small,
        gap_estimate=gap,
        steps=int(raw.step),
        rate_measured=None if status is Status.DIVERGING else rates.measured,
        rate_bound=rates.bound,
        rate_estimate=rates.estimate,
        log_gain_bound=rates.log_gain_bound,
        q_estimate=end.q,
        history=history,
        status=status,
        method=method.name,
        has_intercept=bool(problem.intercept),
        reason=reason,
        existence=verdict,
    )

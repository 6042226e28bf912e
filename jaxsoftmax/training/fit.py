"""`fit`: train on a problem by a named method or an optax transformation, and say how the run ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax.calculus.loss.hessian import bytes_of_dense
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.memory import devices_of, fits
from jaxsoftmax.support.validation import (
    as_weights,
    flag,
    is_traced,
    kind_of,
    nonnegative_real,
    positive_int,
    refuse_no_function,
    require_x64,
    show,
)
from jaxsoftmax.training.columns import Columns, exact_data, in_columns, working_columns
from jaxsoftmax.training.divergence import verdict_on_divergence
from jaxsoftmax.training.end_point import EndPoint, evaluate, separates, slope_at
from jaxsoftmax.training.judge import history_table, judge
from jaxsoftmax.training.loop.checkpoints import Checkpoints, digest
from jaxsoftmax.training.loop.protocol import InnerSolve, Method
from jaxsoftmax.training.loop.run import (
    GRADIENT_TOLERANCE,
    STALLED,
    Carry,
    Limits,
    Progress,
    largest_ratio,
    run,
    told,
)
from jaxsoftmax.training.measured_rate import rates_of
from jaxsoftmax.training.memory_need import copy_of, refuse_what_cannot_fit
from jaxsoftmax.training.methods.newton import is_dense
from jaxsoftmax.training.methods.newton_cg import Solver
from jaxsoftmax.training.registry import choose
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.training.route import Route, automatic_mesh, on_explicit_mesh, route_of
from jaxsoftmax.training.row_bucket import filled_up
from jaxsoftmax.training.smallest_curvature import curvature_as_given


def _key(key: Any) -> Any:
    """A typed random key from a typed or a raw one."""
    if key is None:
        return None
    if isinstance(key, jax.Array) and jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape != ():
            raise WrongValue("key", f"got keys of shape {key.shape}", "give one key, such as key[0]")
        return key
    if isinstance(key, (jax.Array, np.ndarray)) and key.dtype == np.uint32 and key.shape == (2,):
        return jax.random.wrap_key_data(jax.numpy.asarray(key))
    raise WrongType("key", f"got {show(key)}, {kind_of(key)}", "give a JAX random key, such as jax.random.key(0)")


def refuse_traced(caller: str, **arguments: Any) -> None:
    """Refuse to run `caller` under a transformation of JAX, where there are no numbers to look at between two steps."""
    found = [name for name, value in arguments.items() if any(map(is_traced, jax.tree.leaves(value)))]
    if found or is_traced(jax.numpy.zeros(())):  # under jit every new array is traced, whatever was closed over
        raise WrongType(
            found[0] if found else "problem",
            f"{caller} was called inside jit, vmap or grad, where arrays are traced and have no numbers",
            f"call {caller} outside of them; in a Python loop of fits only the first of each shape compiles",
        )


def tolerance_of(tol: Any, default: float) -> float:
    """The tolerance on the scaled gradient that a user gave, or the default."""
    if tol is None:
        return default
    return float(nonnegative_real("tol", tol))


def fit(
    problem: Any,
    method: Any = "auto",
    *,
    tol: float | None = None,
    max_steps: int | None = None,
    W0: Any = None,
    key: Any = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    whiten: bool = False,
    progress: Callable[[Progress], None] | None = None,
    checkpoints: Any = None,
) -> Fit:
    """Minimise the loss of a problem over its (C, D) weights (S1, S21), and say how the run ended.

    - "auto": "newton" where the dense Hessian is small (C·D <= 1500), fits into the memory that is free, and is
      cheap, or X is ill-conditioned; "newton-cg" otherwise
    - "newton": Newton's method with the dense Hessian; each step lowers the loss by a promised amount (S8)
    - "newton-cg": the same from Hessian-vector products alone, by conjugate gradients, preconditioned by the matrix
      of S19 and, once that is worth its cost, by the blocks of each class from few rows (S23)
    - "gd": gradient descent at the fixed step 1/Λ: the loss falls at every step, from any start (S16)
    - "gd-optimal": gradient descent at the step that is best near the minimiser (S17), or at 1/Λ where that fails
    - "agd": accelerated gradient descent at the step 1/Λ, with restart
    - "bb": gradient descent with Barzilai-Borwein steps and a line search that keeps them safe
    - "rychlik-bb": the published trainer, to the letter, stale gradients included; nothing is guaranteed (S20)
    - "mm": each step minimises a fixed quadratic above the loss (S19): no step size, the loss falls at every
      step, and scaling or mixing the features changes nothing
    - "sgd": optax's gradient descent, whole data or minibatches
    - "adam": optax's Adam, whole data or minibatches
    - "lbfgs": optax's L-BFGS

    An optax transformation of your own (`optax.adam(1e-2)`, a chain) is used as it is. Keep the object and pass it
    again: the second fit then compiles nothing. The first fit of a method and shape compiles for some seconds.

    Args:
        problem: a `Problem`, concrete (not traced); a `SparseProblem`, which only "newton-cg" trains; or a
            `StreamedProblem`, which "newton", "lbfgs" and minibatches do not.
        method: a name of the list, or an optax `GradientTransformation`.
        tol: the run ends when the scaled gradient max_cd |g_cd| / Σ_n s_n|x_nd| is at most this, a number >= 0. Scaling
            features or weights or repeating the samples does not change it. Default eps(dtype)^(2/3).
        max_steps: at least 1; default 200 for Newton's methods, 10 000 for the others.
        W0: (C, D) start, default zeros. The loss does not see the part of W0 in the null space 𝒦 (S6); every method
            but "rychlik-bb" and those of optax leaves that part as it is (in the columns that it works in).
        key: a JAX random key, needed with `batch_size`; nothing else is random.
        batch_size: samples in a minibatch, 1 to N, for "sgd", "adam" and optax transformations. A step is then an
            epoch, and loss, gradient and tolerance are looked at once an epoch, on all samples.
        learning_rate: for "sgd" (default 1/Λ, the step of S16) and "adam" (default 0.01), greater than 0. For
            "rychlik-bb" the first step alone, default 1/(eps + σ_max(∇L(W0))); two of the published programs have 2e-5.
        whiten: train in whitened features, in which the number of steps does not depend on how the features are scaled
            or correlated (S19): first-order methods need this on raw data. It costs a copy of X.
            W, loss and gradient norm of the result are in the features given; the stopping test, the history's norms
            and the rates are in the whitened ones. Not with a regulariser.
        progress: called about four times a second with an object of fields step, max_steps, loss, scaled_gradient and
            seconds.
        checkpoints: a folder in which orbax (extra `checkpoints`) keeps the run about twice a minute. After a kill the
            same call goes on from the last whole checkpoint and ends in the same bits; `tol` and `max_steps` may
            differ. For one process. A transformation of your own is not compared: pass the same.

    Returns:
        A `Fit`. `fit.converged` is True only where the test of S13 (q < 1) shows that a minimiser exists near W. Ctrl-C
        ends the run with status INTERRUPTED and keeps what was done; a second Ctrl-C is not caught. A run that ends
        DIVERGING warns (`NoMinimizerWarning`) with the verdict of `decide_existence`, which `fit.existence` keeps.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do; also where more memory is needed than
            is free, before it is allocated, with an estimate and with what would fit.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> result = js.fit(problem)
        >>> result.status.name, result.converged, round(result.loss, 4)
        ('GRADIENT_TOLERANCE', True, 2.3475)

    **Precision.** Of a `Problem`, "newton", "newton-cg", "mm" and whitened methods take the same path whatever the
    features' offsets and units are. They work in shifted columns, made from the numbers given before anything is
    rounded, where a mean exceeds four standard deviations and no penalty holds the intercept; and in other units
    (powers of two) where there is no penalty and squares would leave the dtype. The other methods take the features as
    given. Whatever the method and the compute dtype, what the result says (loss, gradient, gap, `converged`) is
    evaluated at its W in float64 on the data as given.

    Each name's formula and what is guaranteed stand in its file in `training/methods/` (the table in
    `training/registry.py` names it).

    Source: S8, S13, S16, S17, S19, S20; gradient descent without a regulariser: Rychlik, arXiv:1903.12600.
    """
    options: dict[str, Any] = {"tol": tol, "max_steps": max_steps, "W0": W0, "key": key, "batch_size": batch_size}
    options |= {"learning_rate": learning_rate, "whiten": whiten, "progress": progress, "checkpoints": checkpoints}
    if hasattr(problem, "train"):  # a SparseProblem or a StreamedProblem: what trains it loads on first use
        return problem.train(method, **options)
    if not isinstance(problem, Problem):
        raise WrongType("problem", f"got {show(problem)}", "give a jaxsoftmax.Problem, e.g. Problem.from_labels(X, y)")
    refuse_traced("fit", problem=problem, tol=tol, max_steps=max_steps, W0=W0, key=key, learning_rate=learning_rate)
    require_x64("problem", problem.dtype)
    if on_explicit_mesh(problem):
        options["W0"] = None if W0 is None else np.asarray(W0)
        with automatic_mesh(problem) as placed:
            return fit(placed, method, **options)
    began = time.perf_counter()
    key = _key(key)
    if flag("whiten", whiten) and problem.regularizer:
        raise WrongValue("whiten", "whitening would change the penalty", "choose the method 'mm', or a Newton method")
    settings = {"learning_rate": learning_rate, "batch_size": batch_size, "key": key, "whiten": bool(whiten)}
    chosen = choose(method, problem, **settings)
    refuse_no_function("progress", progress)
    default = float(np.finfo(problem.dtype).eps) ** (2 / 3)
    tolerance = tolerance_of(tol, default)
    most = chosen.default_steps if max_steps is None else min(positive_int("max_steps", max_steps), 2**31 - 2)
    start = as_weights(np.zeros((problem.C, problem.D)) if W0 is None else W0, problem, "W0")
    kind = np.dtype(problem.dtype).type
    limits = Limits(kind(tolerance), np.int32(most), kind(default))
    refuse_what_cannot_fit(chosen, problem)
    given, problem = problem, problem if batch_size is not None else filled_up(problem)
    columns = working_columns(problem)
    refuse_what_cannot_fit(chosen, problem, copy_of(problem, columns, chosen, bool(whiten)))
    route = route_of(problem, columns, bool(whiten) or chosen.any_columns, bool(whiten), start)
    inner, U0 = route.problem, route.start
    store = None
    if checkpoints is not None:
        said = f"{chosen.name}, {learning_rate=}, {batch_size=}, {whiten=}"
        store = Checkpoints(
            checkpoints, {"data": digest(given), "W0": digest(start), "key": digest(key), "method": said}
        )
    constants = chosen.constants(inner, key)
    raw, last, solves = run(chosen, placement(inner), inner, U0, limits, constants, progress, store)
    if store is not None:
        store.close()
    history = history_table(raw)
    rates = rates_of(inner, chosen, raw, history, U0)
    return _finish(given, problem, columns, route, chosen, raw, history, limits, rates, began, progress, last, solves)


def _finish(
    given: Problem,
    problem: Problem,
    columns: Columns,
    route: Route,
    method: Method,
    raw: Carry,
    history: dict[str, np.ndarray],
    limits: Limits,
    rates: dict[str, float | None],
    began: float,
    progress: Callable[[Progress], None] | None,
    last: Any,
    solves: tuple[InnerSolve, ...],
) -> Fit:
    """Evaluate the end point, decide the status, ask for a verdict where the weights diverge, and pack the result."""
    W = route.weights(raw.W)
    # Without a penalty only differences between classes count (S3); what all classes share may be huge, and would take
    # their digits in the shifted intercept.
    V = columns.inward(W if problem.regularizer or not np.isfinite(W).all() else W - W[:1])
    # What is known should Ctrl-C end the evaluation: what the training says.
    end, separated, cut = EndPoint(float(raw.value), np.zeros(W.shape)), False, ""
    small, norm = largest_ratio(raw.gradient, raw.scale), float(np.linalg.norm(raw.gradient))
    try:
        if progress is not None:
            progress(told(raw, limits, began, "end point"))
        with jax.enable_x64(True):
            exact = exact_data(problem, columns)
            end = slope_at(exact, V)
            small = largest_ratio(route.gradient(end.gradient), raw.scale)
            norm = float(np.linalg.norm(columns.gradient_outward(end.gradient)))
            separated = separates(exact, V)
            dense = is_dense(problem) and fits(bytes_of_dense(problem.C, problem.D, 8), devices_of(problem.X))
            solver = last if isinstance(last, Solver) else None
            ended = not separated and int(raw.status) in (GRADIENT_TOLERANCE, STALLED)
            if ended and (solver is not None or not dense):  # from products, where these served the training too
                working = route.problem if route.working else in_columns(problem, columns)
                end = evaluate(exact, V, end, curvature_as_given(working, exact, V, solver))
            if dense and (end.q is None or end.q >= 1):
                end = evaluate(exact, V, end)
    except KeyboardInterrupt:
        cut = " Ctrl-C ended the evaluation of the end point: what is not stated was not evaluated."
    # A shift of all logits of a class by δ moves a probability by δ/2 at most: what rounding the intercept can do.
    rounding = float(np.spacing(np.max(np.abs(W[:, -1])))) if columns.shift.any() else 0.0
    if end.gap is None and np.isfinite(raw.decrement):
        end = end._replace(gap=0.5 * max(float(raw.decrement), 0.0))
    code, reason = judge(method, raw, limits, small, end, separated, rounding, history)
    status, reason = Status(code), reason + cut
    verdict = None
    if status is Status.DIVERGING:
        rates = rates | {"rate_measured": None}
        verdict = verdict_on_divergence(given, time.perf_counter() - began, method.any_columns, stacklevel=4)
    return Fit(
        W=W,
        loss=end.loss,
        loss_in_training=float(raw.value),
        gradient_norm=norm,
        scaled_gradient=small,
        gap_estimate=end.gap,
        steps=int(raw.step),
        **rates,
        q_estimate=end.q,
        history=history,
        status=status,
        method=method.name,
        has_intercept=bool(problem.intercept),
        reason=reason,
        existence=verdict,
        inner_solves=solves,
        classes=None if given.classes is None else tuple(given.classes.tolist()),
        feature_names=given.feature_names,
        formula=None if given.host is None else given.host.formula,
        end_point_cut=bool(cut),
    )

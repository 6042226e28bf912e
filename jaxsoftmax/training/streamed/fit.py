"""`fit` of samples that are read in chunks: what is taken and refused, the memory that it needs, and its `Fit`."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.null_space import same_row_space
from jaxsoftmax.problem.label_targets import LabelTargets, stored_targets
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.regularizers import cast_strengths
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.memory import cannot_fit, shortage
from jaxsoftmax.support.validation import (
    as_weights,
    nonnegative_real,
    positive_int,
    refuse_no_function,
    require_x64,
    show,
)
from jaxsoftmax.training.columns import ExactData
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.end_point import EndPoint, evaluate, separates, slope_at
from jaxsoftmax.training.fit import refuse_traced
from jaxsoftmax.training.judge import history_table, judge
from jaxsoftmax.training.loop.checkpoints import Checkpoints, digest
from jaxsoftmax.training.loop.run import INTERRUPTED, NONFINITE, Limits, Progress, largest_ratio, run, told
from jaxsoftmax.training.measured_rate import measured_rate
from jaxsoftmax.training.methods.newton import DENSE_LIMIT
from jaxsoftmax.training.registry import METHODS, choose
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.training.streamed import processes
from jaxsoftmax.training.streamed.oracle import oracle_of, samples_of_weight_0, stand_in
from jaxsoftmax.training.streamed.passes import CHUNK_BYTES, Samples

DENSE_WORK = 2**40  # N·(C·D)² up to which the dense Hessian is summed for S13's q: some minutes on two cores
REFUSED = ("newton", "lbfgs")  # they look at the samples in other ways than by passes over all of them
NO_RATES = " Rates that the theory gives are not evaluated for data that are read in chunks."
AS_STORED = (
    " Data that are read in chunks are not shifted or rescaled in training: store the features with their means "
    "subtracted and of like sizes"
)
NO_RATIO = " S13's q is not evaluated: it needs the dense Hessian, which is too large or too slow to form here."


def fit_streamed(problem: Any, method: Any, **options: Any) -> Fit:
    """Train on a `StreamedProblem`; where processes share the samples, an error in one ends the others."""
    with processes.together() if problem.across_processes else contextlib.nullcontext():
        return _fit(problem, method, **options)


def _fit(
    problem: Any,
    method: Any,
    *,
    tol: float | None,
    max_steps: int | None,
    W0: Any,
    learning_rate: float | None,
    progress: Callable[[Progress], None] | None,
    checkpoints: Any,
    **others: Any,
) -> Fit:
    """`others` are the further arguments of `fit`, which must be as by default."""
    refuse_traced("fit", tol=tol, max_steps=max_steps, W0=W0, learning_rate=learning_rate)
    names = [name for name in ("auto", *METHODS) if name not in REFUSED]
    if not isinstance(method, str) or method not in names:
        raise WrongValue("method", f"got {show(method)}, but X is read in chunks", f"give one of {', '.join(names)}")
    for name, value in others.items():
        if value is not None and value is not False:
            raise WrongValue(name, f"got {show(value)}, but X is read in chunks", "leave it out")
    if problem.across_processes and checkpoints is not None:
        raise WrongValue("checkpoints", "got a folder, but the samples are spread over processes", "leave it out")
    require_x64("problem", problem.dtype)
    refuse_no_function("progress", progress)
    began, default = time.perf_counter(), float(np.finfo(problem.dtype).eps) ** (2 / 3)
    tolerance = default if tol is None else float(nonnegative_real("tol", tol))
    refuse_what_cannot_fit(problem)
    # What leaves the dtype's range becomes infinite without a word, as in a compiled loop; the end is judged by it.
    with jax.enable_x64(True), np.errstate(over="ignore", invalid="ignore"):
        parts = (problem.intercept, problem.dtype)
        frame = samples_of_weight_0(cast_strengths(problem.regularizer, problem.dtype), problem.C, problem.D, *parts)
        chosen = choose("newton-cg" if method == "auto" else method, frame, learning_rate=learning_rate)
        most = chosen.default_steps if max_steps is None else positive_int("max_steps", max_steps)
        start = as_weights(np.zeros((problem.C, problem.D)) if W0 is None else W0, frame, "W0")
        if problem.across_processes:
            settings = {"method": chosen.name, "tol": str(tol), "max_steps": str(max_steps), "W0": digest(start)}
            processes.agree(**settings, learning_rate=str(learning_rate))
        kind = problem.dtype.type
        limits = Limits(kind(tolerance), np.int32(min(most, 2**31 - 2)), kind(default))
        samples = samples_of(problem, problem.dtype)
        found = samples.look(with_checksum=checkpoints is not None)
        oracle = oracle_of(samples, frame, found, attains_for_certain(problem, samples))
        small = stand_in(frame, samples.moment_rows(found.top))
        store = None
        if checkpoints is not None:
            store = _store(checkpoints, problem, found, start, f"{chosen.name}, {learning_rate=}")
        if learning_rate is None and method == "sgd":
            chosen = choose(method, small)
        constants = chosen.constants(small, None)
        raw, _, solves = run(chosen, oracle.where, small, start, limits, constants, progress, store, oracle)
        if problem.across_processes and int(raw.status) == INTERRUPTED:
            raise KeyboardInterrupt  # `together` tells the others, which wait for the sums of this process
        if store is not None:
            store.close()
        return _finish(problem, chosen, raw, limits, small, progress, began, solves)


def samples_of(problem: Any, dtype: Any) -> Samples:
    """The samples of this process, their targets in the dtype."""
    targets = stored_targets(problem.targets, np.dtype(dtype))
    return Samples(problem.source, targets, problem.sample_weight, problem.intercept, dtype, problem.across_processes)


def attains_for_certain(problem: Any, samples: Samples) -> bool:
    """Whether a theorem says that a minimiser exists (S9, S21): `loop/stopping.py` says why."""
    if problem.targets.label_smoothing > 0:
        return True
    codes = problem.targets.codes if problem.sample_weight is None else problem.targets.codes[problem.sample_weight > 0]
    present = samples.add(np.bincount(codes, minlength=problem.C))
    return any(
        penalty.strength > 0
        and (not problem.intercept or getattr(penalty, "penalize_intercept", True) or present.all())
        for penalty in problem.regularizer
    )


def _store(folder: Any, problem: Any, found: Any, start: Any, method: str) -> Checkpoints:
    told = (found.checksum, found.top, found.sums, problem.targets.codes, problem.sample_weight, problem.regularizer)
    data = digest(told, str(problem.targets.label_smoothing).encode())
    return Checkpoints(folder, {"data": data, "W0": digest(start), "method": method})


def _finish(
    problem: Any,
    method: Any,
    raw: Any,
    limits: Limits,
    small: Problem,
    progress: Callable[[Progress], None] | None,
    began: float,
    solves: tuple,
) -> Fit:
    """Evaluate the end point in float64 on the data as given, decide the status, and pack the result."""
    W = raw.W.astype(np.float64)
    end, separated, said, cut = EndPoint(float(raw.value), np.zeros(W.shape)), False, "", False
    ratio, norm = largest_ratio(raw.gradient, raw.scale), float(np.linalg.norm(raw.gradient.astype(np.float64)))
    try:
        if progress is not None:
            progress(told(raw, limits, began, "end point"))
        if np.isfinite(W).all():
            exact = exact_data(problem, small)
            end = slope_at(exact, W)
            ratio, norm = largest_ratio(end.gradient, raw.scale), float(np.linalg.norm(end.gradient))
            separated = separates(exact, W)
            if problem.C * problem.D <= DENSE_LIMIT and problem.N * (problem.C * problem.D) ** 2 <= DENSE_WORK:
                end = evaluate(exact, W, end)
            else:
                said = NO_RATIO
    except KeyboardInterrupt:
        if problem.across_processes:
            raise
        cut, said = True, " Ctrl-C ended the evaluation of the end point: what is not stated was not evaluated."
    if end.gap is None and np.isfinite(raw.decrement):
        end = end._replace(gap=0.5 * max(float(raw.decrement), 0.0))
    history = history_table(raw)
    code, reason = judge(method, raw, limits, ratio, end, separated, 0.0, history)
    status = Status(code)
    if status in (Status.STALLED, Status.NONFINITE) and (end.q is None or end.q >= 1):
        said = AS_STORED + (", or compute in float64." if problem.dtype == np.float32 else ".") + said
    rate = None
    if method.linear and int(raw.status) != NONFINITE and status is not Status.DIVERGING:
        floor = float(np.finfo(problem.dtype).eps) * float(np.max(raw.scale))
        rate = measured_rate(history["step"], history["gradient_norm"], floor)
    if status is Status.DIVERGING:
        remedy = "regularizer=js.L2(alpha)"
        if any(penalty.strength > 0 for penalty in problem.regularizer):  # then a class is absent, its intercept free
            remedy = "the penalty penalize_intercept=True, for a class has no sample"
        warnings.warn(
            "fit: the weights keep growing; probably no minimiser exists, unless it is far away, as for features that "
            f"are not centred and scaled. Give {remedy}, or label_smoothing='0.01'. For a proof, where the data fit in "
            "memory: decide_existence of a Problem.",
            NoMinimizerWarning,
            stacklevel=6,
        )
    return Fit(
        W=W,
        loss=end.loss,
        loss_in_training=float(raw.value),
        gradient_norm=norm,
        scaled_gradient=ratio,
        gap_estimate=end.gap,
        steps=int(raw.step),
        rate_measured=rate,
        rate_bound=None,
        rate_estimate=None,
        log_gain_bound=None,
        q_estimate=end.q,
        history=history,
        status=status,
        method=method.name,
        has_intercept=problem.intercept,
        reason=reason + NO_RATES * method.linear + said,
        inner_solves=solves,
        classes=tuple(problem.classes.tolist()),
        feature_names=problem.feature_names,
        end_point_cut=cut,
    )


def exact_data(problem: Any, small: Problem) -> ExactData:
    """The samples as given in float64, some at a time."""
    penalties = cast_strengths(problem.regularizer, np.dtype(np.float64))
    frame = samples_of_weight_0(penalties, problem.C, problem.D, problem.intercept, np.float64)
    same_row_space(frame, small)
    samples = samples_of(problem, np.float64)
    values = jnp.asarray(samples.targets.values)

    def more() -> Iterator[Problem]:
        for X, codes, s in samples.float64_blocks():
            leaves = (jnp.asarray(X), LabelTargets(jnp.asarray(codes), values, problem.C), jnp.asarray(s), ())
            yield Problem.tree_unflatten((problem.intercept, "float64"), leaves)

    return ExactData(frame, more, samples.add, samples.largest)


def bytes_needed(problem: Any) -> int:
    """An estimate of what a fit allocates: chunks as stored and widened, matrices of D x D, arrays of W's size."""
    chunk = min(CHUNK_BYTES, problem.source.N * problem.source.width * problem.source.dtype.itemsize)
    return 5 * chunk + 8 * (8 * problem.D**2 + 20 * problem.C * problem.D) + 24 * problem.source.N


def refuse_what_cannot_fit(problem: Any) -> None:
    """Refuse a fit that needs more memory than is free, before any of it is allocated.

    Raises:
        ValueError: what it needs, what is free, and what would fit.
    """
    if (free := shortage(needed := bytes_needed(problem))) is not None:
        what = f"a pass over {problem.source.width:,} columns and {problem.C:,} classes in chunks"
        raise cannot_fit("problem", what, needed, free, "give fewer columns or classes")

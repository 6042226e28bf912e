"""`fit` of a sparse problem: what is taken and refused, the memory that it needs, and the `Fit` that it gives."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np

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
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.end_point import EndPoint
from jaxsoftmax.training.fit import refuse_traced
from jaxsoftmax.training.judge import judge
from jaxsoftmax.training.loop.protocol import InnerSolve
from jaxsoftmax.training.loop.run import (
    HISTORY_COLUMNS,
    INTERRUPTED,
    NONFINITE,
    Carry,
    Limits,
    Progress,
)
from jaxsoftmax.training.methods.newton_cg import NewtonCG
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.training.sparse.end_point import evaluate
from jaxsoftmax.training.sparse.newton import Run, gap_at, largest_ratio, minimise
from jaxsoftmax.training.sparse.objective import Objective, objective
from jaxsoftmax.training.sparse.rows import SparseRows

METHODS = ("auto", "newton-cg")
_WEIGHTS, _LOGITS = 12, 8  # arrays of the size of W, and of the logits, that are there at one time
_WIDE_WEIGHTS, _WIDE_LOGITS = 10, 5  # the same in float64, where the end of a float32 fit is evaluated
NOT_EVALUATED = (
    " S13's q is not evaluated for sparse data without an L2 penalty: nothing sound is known of the smallest curvature."
)


def fit_sparse(
    problem: Any,
    method: Any,
    *,
    tol: float | None,
    max_steps: int | None,
    W0: Any,
    progress: Callable[[Progress], None] | None,
    **others: Any,
) -> Fit:
    """Train on a `SparseProblem`; `others` are the further arguments of `fit`, which must be as by default."""
    if not isinstance(method, str) or method not in METHODS:
        raise WrongValue("method", f"got {show(method)}, but X is sparse", "leave it out, or give 'newton-cg'")
    for name, value in others.items():
        if value is not None and value is not False:
            raise WrongValue(name, f"got {show(value)}, but 'newton-cg' on sparse X takes none", "leave it out")
    refuse_traced("fit", tol=tol, max_steps=max_steps, W0=W0)
    require_x64("problem", problem.dtype)
    refuse_no_function("progress", progress)
    began, default = time.perf_counter(), float(np.finfo(problem.dtype).eps) ** (2 / 3)
    tolerance = default if tol is None else float(nonnegative_real("tol", tol))
    most = NewtonCG.default_steps if max_steps is None else positive_int("max_steps", max_steps)
    W0 = np.zeros((problem.C, problem.D)) if W0 is None else W0
    start = np.asarray(as_weights(W0, _shape_of(problem), "W0"))
    refuse_what_cannot_fit(problem)
    limits, attains = Limits(tolerance, most, default), attains_for_certain(problem)
    rows = SparseRows.of(problem.X, problem.intercept)
    parts = (problem.targets, problem.sample_weight, problem.strengths)
    with jax.enable_x64(True), np.errstate(over="ignore", invalid="ignore"):  # NONFINITE says what numbers left
        working = objective(rows, *parts, problem.dtype)
        weights = np.ones(problem.N) if problem.sample_weight is None else problem.sample_weight
        sizes = rows.absolute_sums(np.asarray(weights, np.float64))
        refuse_extreme_columns(problem, working, sizes)
        run = minimise(working, np.ascontiguousarray(start.T), limits, attains, progress, began)
        W = run.W.T.astype(np.float64)
        # In float64 of the data as given: a column that the compute dtype rounds to 0 counts.
        scale = sizes + working.held[:, 0]
        end, separated, cut = EndPoint(run.value, np.zeros(W.shape)), False, ""
        norm, small = float(np.linalg.norm(run.gradient)), largest_ratio(run.gradient, scale)
        try:
            exact = working if problem.dtype == np.float64 else objective(rows, *parts, np.float64)
            end, separated = evaluate(exact, np.ascontiguousarray(W.T), run.spread, run.decrement)
            norm, small = float(np.linalg.norm(end.gradient)), largest_ratio(end.gradient.T, scale)
            if exact is not working and not (end.q is not None and end.q < 1):
                # The step was one from a rounded gradient: along a far column that can be far from the one here.
                end = end._replace(gap=None)
                if run.status != INTERRUPTED:
                    end = end._replace(gap=gap_at(exact, np.ascontiguousarray(W.T)))
        except KeyboardInterrupt:
            cut = " Ctrl-C ended the evaluation of the end point: what is not stated was not evaluated."
    end_point_cut = bool(cut)
    history = _history(run, norm, float(np.linalg.norm(W)))
    known = {"status": run.status, "value": run.value, "step": len(run.history), "attains": attains}
    fields: dict[str, Any] = dict.fromkeys(Carry._fields) | known  # what `judge` reads of it
    raw = Carry(**fields)
    code, reason = judge(NewtonCG(), raw, limits, small, end, separated, 0.0, history)
    status = Status(code)
    if not problem.strengths[0] and run.status != NONFINITE:
        cut = NOT_EVALUATED + cut
    if status is Status.DIVERGING:
        warnings.warn(
            "fit: the weights keep growing; probably no minimiser exists. Give regularizer=js.L2(alpha), or "
            "label_smoothing='0.01'. For a proof, where it fits: jaxsoftmax.decide_existence(problem.to_dense()).",
            NoMinimizerWarning,
            stacklevel=4,
        )
    return Fit(
        W=W,
        loss=end.loss,
        loss_in_training=run.value,
        gradient_norm=norm,
        scaled_gradient=small,
        gap_estimate=end.gap,
        steps=len(run.history),
        rate_measured=None,
        rate_bound=None,
        rate_estimate=None,
        log_gain_bound=None,
        q_estimate=end.q,
        history=history,
        status=status,
        method=NewtonCG.name,
        has_intercept=problem.intercept,
        reason=reason + cut,
        inner_solves=(InnerSolve(0, "diagonal", str(problem.dtype), 0.0),),
        classes=tuple(problem.classes.tolist()),
        feature_names=problem.feature_names,
        end_point_cut=end_point_cut,
    )


def refuse_extreme_columns(problem: Any, working: Objective, sizes: np.ndarray) -> None:
    """Refuse a column whose squares, which the Hessian sums, the compute dtype cannot hold; `sizes` are Σ_n s_n |x_nd|.

    Beside an L2 penalty on it a tiny column is harmless: there the penalty is the curvature.

    Raises:
        ValueError: which column.
    """
    info = np.finfo(working.dtype)
    least, most = float(info.tiny) / float(info.eps), float(info.max) * float(info.eps)
    squares = working.rows.squares_transposed(working.s[:, None])[:, 0]
    free = working.held[:, 0] == 0
    for wrong, words in ((~(squares <= most), "large"), (free & (sizes > 0) & ~(squares >= least), "small")):
        if wrong.any():
            column = int(np.argmax(wrong))
            names = problem.feature_names
            which = f"column {column}" if names is None else f"column {column} ({names[column]!r})"
            given = f"{which} has numbers too {words} for {working.dtype}: their squares leave its range"
            wider = "" if working.dtype == np.float64 else ", or choose the dtype 'float64'"
            raise WrongValue("X", given, f"rescale that column{wider}")


def _shape_of(problem: Any) -> Any:
    """What `as_weights` asks of a problem."""
    known = {name: getattr(problem, name) for name in ("C", "D", "dtype", "intercept")}
    return SimpleNamespace(**known, sample_weight=None, regularizer=())


def attains_for_certain(problem: Any) -> bool:
    """Whether a theorem says that a minimiser exists (S9, S21): `loop/stopping.py` says why."""
    if problem.targets.label_smoothing > 0:
        return True
    on_features, on_intercept = problem.strengths
    if not on_features > 0:
        return False
    codes = problem.targets.codes if problem.sample_weight is None else problem.targets.codes[problem.sample_weight > 0]
    return bool(not problem.intercept or on_intercept > 0 or len(np.unique(codes)) == problem.C)


def bytes_needed(problem: Any) -> int:
    """An estimate of what a fit allocates: arrays of the size of W and of the logits, X in another dtype."""
    own, wide = problem.dtype.itemsize, problem.dtype != np.float64
    copies = own * (problem.X.dtype != problem.dtype) + 8 * (wide and problem.X.dtype != np.float64)
    size, logits = problem.C * problem.D, problem.N * problem.C
    training, ending = _WEIGHTS * size + _LOGITS * logits, _WIDE_WEIGHTS * size + _WIDE_LOGITS * logits
    return copies * problem.X.nnz + max(own * training, 8 * ending)


def refuse_what_cannot_fit(problem: Any) -> None:
    """Refuse a fit that needs more memory than is free, before any of it is allocated.

    Raises:
        ValueError: what it needs, what is free, and what would fit.
    """
    needed = bytes_needed(problem)
    if (free := shortage(needed)) is not None:
        what = f"'newton-cg' on {problem.N:,} samples, {problem.D:,} columns and {problem.C:,} classes"
        float64 = problem.dtype == np.float64
        remedy = "build the problem with the dtype 'float32', or give fewer columns or classes"
        raise cannot_fit("problem", what, needed, free, remedy if float64 else "give fewer columns or classes")


def _history(run: Run, norm: float, weight_norm: float) -> dict[str, np.ndarray]:
    """A row for each step and one for the end point, as `Fit.history`."""
    end = (run.value, norm, weight_norm, np.nan)
    table = np.array([*run.history, end], np.float64)
    return dict(zip(("step", *HISTORY_COLUMNS), (np.arange(len(table)), *table.T), strict=True))

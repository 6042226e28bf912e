"""S5, S6 and S7 observed through eigenvalues: those of S(y) sample by sample, and those of H that the probe found.

Eigenvalues are known to the probe's resolution. Where that decides, the row says so and neither passes nor fails.

Guarded by `tests/verification/test_run.py`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from jaxsoftmax.calculus.bounds.curvature import condition_bound_two_classes, lambda2_bound
from jaxsoftmax.calculus.bounds.two_classes import two_class_hessian
from jaxsoftmax.calculus.loss.objective import probabilities
from jaxsoftmax.evidence.spectrum.report import Convexity, ConvexityReport
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.reporting.row import Row, compare, not_run
from jaxsoftmax.verification.points import columns

SOFTMAX_ROWS = 200  # samples whose S(y) is diagonalised

__all__ = ["check_curvature", "check_softmax_covariance"]


def check_softmax_covariance(problem: Problem, W: np.ndarray, at: str) -> list[Row]:
    """S7a and S7b for S(y) = diag(y) - yyᵀ itself, by diagonalising it for some of the samples."""
    Y = np.asarray(probabilities(W, problem), np.float64)
    Y = Y[np.linspace(0, len(Y) - 1, min(len(Y), SOFTMAX_ROWS)).astype(int)]
    C = problem.C
    S = Y[:, :, None] * np.eye(C) - Y[:, :, None] * Y[:, None, :]
    values = np.linalg.eigvalsh(S)
    ordered = np.sort(Y, axis=1)
    # A symmetric eigensolver errs by about C·eps·‖S‖, ‖S‖ <= 1/2; rows of Y sum to 1 up to C·eps of their dtype.
    allowance = 4 * C * float(np.finfo(problem.dtype).eps)
    between = np.maximum(values[:, 1:] - ordered[:, 1:], ordered[:, :-1] - values[:, 1:]).max()
    excess = np.max(np.asarray(lambda2_bound(Y), np.float64) - values[:, 1])
    largest = f"largest eigenvalue of a sample's softmax covariance, {len(Y)} samples"
    what = f"eigenvalues lie between the sorted probabilities, {len(Y)} samples"
    return [
        compare("S7a", largest, at, values[:, -1].max(), "<=", 0.5, allowance),
        compare("S7b", f"{what}: largest excess", at, between, "<=", 0.0, allowance),
        compare("S7b", "lower bound on the second eigenvalue: largest excess", at, excess, "<=", 0.0, allowance),
    ]


def check_curvature(problem: Problem, W: np.ndarray, at: str, probe: ConvexityReport) -> list[Row]:
    """S5, S6 and S7a, c, d against the eigenvalues that the probe found at W."""
    low, high, fog = float(probe.lambda_min), float(probe.lambda_max), float(probe.resolution)
    resolved = bool(probe.resolved)
    unclear = f"rounding decides: float64 resolves {fog:.1e} here"
    rows = []
    if np.isfinite(low):
        row = compare("S5", "smallest eigenvalue of the Hessian off its null space", at, low, ">=", 0.0, fog)
        refuted = probe.verdict is Convexity.REFUTED
        passed = not refuted if resolved or refuted else None
        rows.append(dataclasses.replace(row, passed=passed, note="" if resolved else probe.reason))
    found, predicted = float(probe.kernel_dim), float(probe.kernel_dim_predicted)
    what = f"dimension of the Hessian's null space, rank of X {int(probe.rank)}"
    row = compare("S6", what, at, found, "=", predicted, 0.0)
    rows.append(row if row.passed else dataclasses.replace(row, passed=None, note=probe.reason))
    rows.append(compare("S7a", "largest eigenvalue of the Hessian", at, high, "<=", float(probe.lambda_max_bound), fog))
    if probe.lambda_min_bound > 0:
        what = "smallest eigenvalue off the null space, its lower bound"
        row = compare("S7c", what, at, low, ">=", float(probe.lambda_min_bound), fog)
        rows.append(row if resolved else dataclasses.replace(row, passed=None, note=unclear))
    bounds = [("S7c", "condition number off the null space", float(probe.condition_bound))]
    if problem.C == 2 and not problem.regularizer:
        bounds.append(("S7d", "condition number, two classes", float(condition_bound_two_classes(W, problem))))
        rows += _two_classes(problem, W, at, probe)
    for statement, what, bound in bounds:
        if not resolved:
            rows.append(not_run(statement, what, at, unclear))
        elif np.isfinite(bound):
            ratio = high / low
            rows.append(compare(statement, what, at, ratio, "<=", bound, 2 * ratio * (fog / low + fog / high)))
    return rows


def _two_classes(problem: Problem, W: np.ndarray, at: str, probe: ConvexityReport) -> list[Row]:
    """S7d: the extreme eigenvalues of H off the kernel are those of 2 Σ_n s_n y_n1 y_n2 x_n x_nᵀ off its kernel."""
    X, s = columns(problem)
    values = np.linalg.eigvalsh(two_class_hessian(W, problem))[problem.D - int(probe.rank) :]
    # Two matrices, each within the probe's resolution of the exact one for its probabilities. Logits err by δ_n = D eps
    # Σ_d |x_nd w|, so y₁y₂ by a factor e^±2δ here and e^±4δ there, and matrices and eigenvalues by no larger one.
    delta = (problem.D + 1) * float(np.finfo(np.float64).eps) * float((np.abs(X) @ np.abs(W).T)[s > 0].max(initial=0.0))
    rows = []
    for what, mine, theirs in (("largest", values[-1:], probe.lambda_max), ("smallest", values[:1], probe.lambda_min)):
        if mine.size:
            allowance = 2 * float(probe.resolution) + math.expm1(8 * delta) * abs(float(mine[0]))
            text = f"{what} eigenvalue, as from the smaller matrix 2 Σ s y₁ y₂ xx'"
            row = compare("S7d", text, at, float(theirs), "=", float(mine[0]), allowance)
            if row.passed and allowance > 0.5 * abs(float(mine[0])):
                # Such a row could not fail: half or twice the value would be let through.
                row = not_run("S7d", text, at, f"rounding decides: {float(mine[0]):.2e} ± {allowance:.1e}")
            rows.append(row)
    return rows

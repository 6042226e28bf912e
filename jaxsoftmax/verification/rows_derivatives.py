"""S5, S6 and S8 observed on one problem at one point: a measured number beside its bound, row by row.

A row fails only where a formula is wrong: each bound allows for rounding (evidence/crosscheck/tolerances.py).
Along directions that are flat to rounding nothing is concluded. (S1-S4 and S3's identities are the cross-check's.)

Guarded by `tests/verification/test_run.py`.
"""

from __future__ import annotations

import numpy as np

from jaxsoftmax.calculus.bounds.steps import max_logit_range
from jaxsoftmax.calculus.loss.derivatives import hvp, quadratic_form, third_derivative
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.evidence.crosscheck import tolerances
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.reporting.row import Row, compare, not_run
from jaxsoftmax.verification.points import columns, draw, stored

DIRECTIONS = 6  # random directions that S5 and S8 are checked along
KERNEL_DIRECTIONS = 4  # kernel directions of each kind (gauge, null) that S5 and S6 are checked along

__all__ = ["check_positivity_and_kernel", "check_self_concordance"]


def check_positivity_and_kernel(problem: Problem, W: np.ndarray, at: str, rng: np.random.Generator) -> list[Row]:
    """S5 along random and kernel directions, and S6: the predicted kernel is mapped to zero."""
    X, s = columns(problem)
    k = null_space(problem)
    gauge, null = np.asarray(k.gauge, np.float64), np.asarray(k.null, np.float64)
    contrast = np.zeros((problem.C, 1))  # orthogonal to 1
    contrast[0], contrast[-1] = 1.0, -1.0
    inside = [np.ones((problem.C, 1)) * v for v in gauge.T[:KERNEL_DIRECTIONS]]
    inside += [contrast * v for v in null.T[:KERNEL_DIRECTIONS]]
    inside = [stored(V, problem) for V in inside]
    directions = [draw(problem, rng) for _ in range(DIRECTIONS)] + inside
    smallest = min(float(quadratic_form(W, problem, V)) for V in directions)
    what = f"smallest curvature along {DIRECTIONS} random and {len(inside)} null-space directions"
    rows = [compare("S5", what, at, smallest, ">=", 0.0, 0.0)]
    worst = (-np.inf, 0.0, 0.0)
    for V in inside:
        out = np.abs(np.asarray(hvp(W, problem, V), np.float64))
        # V x_n is a multiple of 1 only up to rounding; what is left of its range goes through H like any other.
        U = X @ V.T
        rest = U.max(axis=1) - U.min(axis=1) + 4 * problem.D * 2.0**-53 * (np.abs(X) @ np.abs(V).max(axis=0))
        allowed = (s * rest) @ np.abs(X) + tolerances.hvp_tolerance(W, problem, V)
        c, d = np.unravel_index(np.argmax(out - allowed), out.shape)
        worst = max(worst, (float(out[c, d] - allowed[c, d]), float(out[c, d]), float(allowed[c, d])))
    if inside:
        what = f"Hessian times {len(inside)} directions of its predicted null space: zero"
        rows.append(compare("S6", what, at, worst[1], "<=", 0.0, worst[2]))
    return rows


def check_self_concordance(problem: Problem, W: np.ndarray, at: str, rng: np.random.Generator) -> list[Row]:
    """S8: |D³L[V, U, U]| <= ρ D²L[U, U], and e^-ρ H(W) ⪯ H(W + V) ⪯ e^ρ H(W), along random U."""
    V = draw(problem, rng)
    rho = float(max_logit_range(problem, V))
    V = stored(V / rho if rho > 0 else V, problem)
    moved = stored(W + V, problem)
    rho, drift = float(max_logit_range(problem, V)), float(max_logit_range(problem, moved - W))
    third, sandwich = [], []
    for k in range(DIRECTIONS):
        U = V if k == 0 else draw(problem, rng)
        here, there = float(quadratic_form(W, problem, U)), float(quadratic_form(moved, problem, U))
        error_here = tolerances.quadratic_form_tolerance(W, problem, U)
        error_there = tolerances.quadratic_form_tolerance(moved, problem, U)
        if here <= 2 * error_here or there <= 2 * error_there:
            continue  # U lies in the kernel up to rounding
        cubic = abs(float(third_derivative(W, problem, V, U)))
        error = tolerances.third_derivative_tolerance(W, problem, V, U)
        third.append((cubic / here, (error + rho * error_here) / here))
        # log(a/b) of numbers known to relative errors e, f is known to 2(e + f), both below 1/2.
        sandwich.append((abs(np.log(there / here)), 2 * (error_here / here + error_there / there)))
    if not third:
        return [not_run("S8", "curvature changes slowly", at, "all directions tried are flat to rounding")]
    slack = 8 * problem.D * float(np.finfo(problem.dtype).eps) * max(rho, drift)
    cubic, cubic_error = max(third, key=lambda pair: pair[0] - pair[1])
    log, log_error = max(sandwich, key=lambda pair: pair[0] - pair[1])
    over = f"{len(third)} directions: at most the logit range"
    first, second = f"third derivative over curvature, {over}", f"log of the curvature's change, {over}"
    return [
        compare("S8", first, at, cubic, "<=", rho, cubic_error + slack),
        compare("S8", second, at, log, "<=", max(rho, drift), log_error + slack),
    ]

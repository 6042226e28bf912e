"""S16, S17, S7d observed: gradient descent lowers the loss as promised at each step, and contracts as predicted.

S17 is about the map F(W) = W − η∇L(W) near a minimiser Ŵ: along an eigenvector v of H(Ŵ) it contracts by 1 − ηλ. For a
small V along v the measured factor is ⟨v, F(Ŵ + V) − F(Ŵ)⟩/‖V‖ = 1 − η∫₀¹⟨v, H(Ŵ + tV) v⟩dt, and by S8 the integral
lies between λ(1 − e^−ρ)/ρ and λ(e^ρ − 1)/ρ, ρ = max_n range(V x_n). So 1 − factor is known to the relative error
(e^ρ − 1)/ρ − 1 ≈ ρ/2, however slow the direction, and rounding of the two gradients adds η⟨|v|, tolerances⟩/‖V‖.
For two classes the same is asked of the slowest direction and its rate as the (D, D) matrix of S7d has them.

Guarded by `tests/verification/test_run.py`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import scipy.linalg

from jaxsoftmax.calculus.bounds.curvature import curvature_bound
from jaxsoftmax.calculus.bounds.steps import (
    contraction_rate,
    descent_step_bound,
    max_logit_range,
    optimal_rate,
    optimal_step,
)
from jaxsoftmax.calculus.bounds.two_classes import two_class_hessian
from jaxsoftmax.calculus.loss.derivatives import gradient, quadratic_form, value_and_gradient
from jaxsoftmax.calculus.loss.hessian import hessian
from jaxsoftmax.calculus.loss.null_space import null_space, orthogonal_complement
from jaxsoftmax.evidence.crosscheck import tolerances
from jaxsoftmax.evidence.spectrum.report import ConvexityReport
from jaxsoftmax.problem.dtypes import widened
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.reporting.row import Row, compare, not_run
from jaxsoftmax.verification.points import columns, stored

__all__ = ["check_descent", "check_rate"]


def check_descent(problem: Problem, steps: int) -> list[Row]:
    """S16: L(W - η∇L) <= L(W) - (η/2)‖∇L‖² with η = 1/Λ, at each of `steps` steps from W = 0.

    The row shows the smallest ratio of the actual to the promised decrease over the steps whose promise rounding leaves
    visible; it passes where no step falls short of its promise by more than rounding.
    """
    X, s = columns(problem)
    load = s @ np.abs(X)
    eps = float(np.finfo(problem.dtype).eps)
    summing = eps * tolerances.sum_constant(problem.N, problem.C)
    eta, Lambda = float(descent_step_bound(problem)), float(curvature_bound(problem))
    what = f"decrease of the loss in units of the one promised, {steps} gradient steps of 1/Λ"
    if not (np.isfinite(eta) and eta > 0):
        return [not_run("S16", what, "from W = 0", "the loss is constant (Λ = 0)")]
    W = np.zeros((problem.C, problem.D))
    error = float(np.linalg.norm(tolerances.gradient_tolerance(W, problem)))
    value, G = _evaluate(W, problem)
    worst, least = -math.inf, math.inf
    for _ in range(steps):
        norm = float(np.linalg.norm(G))
        after = stored(W - eta * G, problem)
        new_value, new_G = _evaluate(after, problem)
        promise = 0.5 * eta * norm**2
        # The loss at both ends; the gradient's error η|<δ, g>|; the rounding of W - ηg, felt to first and second order.
        # The logits' part of a loss's error: a sample's loss moves by at most twice its logits' error (D eps Σ|xw|).
        spread = float(load @ (np.abs(W).max(axis=0) + np.abs(after).max(axis=0)))
        allowance = summing * (abs(value) + abs(new_value)) + 2 * (problem.D + 2) * eps * spread
        drift = after - (W - eta * G)
        allowance += eta * error * norm + float(np.abs(G * drift).sum()) + Lambda * float((drift**2).sum())
        shortfall = new_value - value + promise
        worst = max(worst, shortfall / allowance if allowance > 0 else shortfall)
        if promise > 10 * allowance:
            least = min(least, (value - new_value) / promise)
        W, value, G = after, new_value, new_G
    passed, ratio = bool(worst <= 1.0), max(0.0, worst)
    row = Row(statement="S16", quantity=what, at="from W = 0", relation=">=", bound=1.0, passed=passed, ratio=ratio)
    if not math.isfinite(least):
        note = "every promised decrease is below rounding"
        return [dataclasses.replace(row, passed=None if passed else False, note=note)]
    return [dataclasses.replace(row, quantity=f"{what}: least", measured=least, allowance=0.1)]


def _evaluate(W: np.ndarray, problem: Problem) -> tuple[float, np.ndarray]:
    value, G = value_and_gradient(W, problem)
    return float(value), np.asarray(G, np.float64)


def check_rate(problem: Problem, W: np.ndarray, probe: ConvexityReport | None, reason: str) -> list[Row]:
    """S17 at a fitted W: the measured contraction of gradient descent at two steps against the predicted factors.

    For two classes without a regulariser also the factor that S7d's smaller matrix predicts.

    Args:
        problem: the data.
        W: (C, D) near a minimiser.
        probe: eigenvalues of H(W), or None.
        reason: why it cannot be checked here; "" where it can.
    """
    if probe is not None and not reason and not probe.resolved:
        reason = "the smallest eigenvalue is below what float64 resolves"
    if probe is None or reason:
        return [not_run("S17", "contraction of a gradient step", "", reason)]
    wide = widened(problem)
    H = np.asarray(hessian(W, wide).to_dense())
    k = null_space(problem)
    (low, v_low), (high, v_high) = _extremes(H, np.asarray(k.complement_basis(), np.float64))
    first, best = float(descent_step_bound(problem)), float(optimal_step(low, high))
    slow, fast = (
        "1 - contraction of the slowest direction by a step of ",
        "contraction of the fastest direction by a step of ",
    )
    cases = (
        (slow + "1/Λ", True, first, low, v_low, 1 - float(contraction_rate(first, low, high))),
        (slow + "2/(μ*+Λ*)", True, best, low, v_low, 1 - float(optimal_rate(low, high))),
        (fast + "2/(μ*+Λ*)", False, best, high, v_high, float(optimal_rate(low, high))),
    )
    rows = [_measure(problem, wide, W, *case) for case in cases]
    if problem.C == 2 and not problem.regularizer:
        (mine, v), (most, _) = _extremes(two_class_hessian(W, wide), orthogonal_complement(k.null))
        unit, want = np.concatenate([v, -v]) / math.sqrt(2), 1 - float(contraction_rate(first, mine, most))
        what = slow + "1/Λ, from the smaller matrix 2 Σ s y₁ y₂ xx'"
        row = _measure(problem, wide, W, what, True, first, low, unit, want)
        rows.append(dataclasses.replace(row, statement="S7d"))
    return rows


def _extremes(H: np.ndarray, basis: np.ndarray) -> list[tuple[float, np.ndarray]]:
    """The extreme eigenpairs (λ, v) of H on the span of `basis`, v a unit vector (CD,)."""
    M = basis.T @ (H @ basis)
    n = M.shape[0]
    if n <= 1000:
        values, vectors = np.linalg.eigh(M)
        return [(float(values[k]), basis @ vectors[:, k]) for k in (0, -1)]
    found = [scipy.linalg.eigh(M, subset_by_index=[k, k]) for k in (0, n - 1)]
    return [(float(values[0]), basis @ vectors[:, 0]) for values, vectors in found]


def _measure(
    problem: Problem,
    wide: Problem,
    W: np.ndarray,
    what: str,
    slow: bool,
    eta: float,
    eigenvalue: float,
    v: np.ndarray,
    want: float,
) -> Row:
    """The factor along v of one step, or 1 minus it (`slow`), against `want` (see the module's docstring)."""
    unit = v.reshape(W.shape)
    unit_range = float(max_logit_range(problem, unit))
    noise = float((np.abs(unit) * tolerances.gradient_tolerance(W, problem)).sum())
    # ρ/2 + 2 noise/(λ‖V‖), ‖V‖ = ρ/unit_range, is least near this ρ.
    rho = min(0.1, max(1e-6, 2 * math.sqrt(noise * unit_range / eigenvalue)))
    start = stored(W, problem)
    end = stored(start + unit * (rho / unit_range if unit_range > 0 else 1.0), problem)
    V = end - start
    length = float(np.linalg.norm(V))
    if not length > 0:
        return not_run("S17", what, "", f"{problem.dtype} does not resolve so small a distance from the fitted W")
    v = V / length
    change = np.asarray(gradient(end, problem), np.float64) - np.asarray(gradient(start, problem), np.float64)
    factor = 1 - eta * float((v * change).sum()) / length
    rho = float(max_logit_range(problem, V)) * (1 + 8 * problem.D * float(np.finfo(problem.dtype).eps))
    tolerance = tolerances.gradient_tolerance(start, problem) + tolerances.gradient_tolerance(end, problem)
    # V is an eigenvector only nearly (rounded to the dtype, and by the eigensolver); D²L[v, v] is accurate in itself.
    form = float(quadratic_form(start, wide, v))
    spread = math.expm1(rho) / rho - 1 if rho > 0 else 0.0
    allowance = eta * (form * spread + abs(form - eigenvalue) + float((np.abs(v) * tolerance).sum()) / length)
    allowance += 2.0**-50  # 1 - factor
    measured = 1 - factor if slow else abs(factor)
    if slow and allowance > 0.5 * want:
        return not_run("S17", what, "", f"rounding of {problem.dtype} hides it: {want:.2e} ± {allowance:.1e}")
    return compare("S17", what, "", measured, "=", want, allowance)

"""S7d: for two classes the Hessian outside its null space is one (D, D) matrix, and gives the rate of descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.calculus.loss.penalty_sum import holding, sample_scales
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import as_weights, require_concrete

__all__ = ["two_class_hessian"]


def two_class_hessian(W: Any, problem: Problem) -> np.ndarray:
    """G = 2 Σ_n s_n y_n1 y_n2 x_n x_nᵀ, (D, D) float64: the Hessian of two classes on {1ᵀV = 0} (S7d).

    S(y) = y₁y₂ (e₁ − e₂)(e₁ − e₂)ᵀ, and V with 1ᵀV = 0 is q ⊗ v with q = (1, −1)/√2, so D²L[V, V] = vᵀGv and ‖V‖ = ‖v‖:
    the nonzero eigenvalues of G are those of H, an eigenvector v of G gives q ⊗ v, and gradient descent contracts by
    max |1 − ηλ| over them (S17). L2 adds its α on the columns that it holds, the self-regulariser its samples γ e_d
    (S21 a, d). y₁y₂ is computed as e^−|d|/(1 + e^−|d|)², d = z₁ − z₂, which keeps its digits where a class dominates.

    Args:
        W: (2, D) weights.
        problem: concrete data of two classes, without log-cosh (whose curvature differs between the classes, S21b).

    Raises:
        TypeError: on traced arguments.
        ValueError: W does not fit the problem; not two classes; log-cosh.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.calculus.bounds.two_classes import two_class_hessian
        >>> problem = js.Problem(np.diag([2.0, 4.0]).astype("float32"), np.eye(2, dtype="float32"))
        >>> two_class_hessian(np.zeros((2, 2)), problem).round(12).tolist()  # 2 · ½ · ½ · x²
        [[2.0, 0.0], [0.0, 8.0]]

    Source: [R].
    """
    require_concrete(problem)
    if problem.C != 2:
        raise WrongValue("problem", f"has {problem.C} classes, and S7d is about two", "use js.hessian")
    if any(p.concordance is not None for p, _ in holding(problem)):
        raise WrongValue("problem", "has a log-cosh penalty, which S7d does not cover", "use js.hessian")
    W64 = np.asarray(as_weights(W, problem)).astype(np.float64)
    X, s = (np.asarray(a).astype(np.float64) for a in (problem.X, problem.sample_weight))
    apart = W64[0] - W64[1]
    root = X * np.sqrt(2 * s * _pair(X @ apart))[:, None]
    G = root.T @ root
    extra = sum((p.curvature_bound() * columns for p, columns in holding(problem)), np.zeros(problem.D))
    for scale in sample_scales(problem):
        extra = extra + 2 * float(scale) ** 2 * _pair(float(scale) * apart)
    return G + np.diag(extra)


def _pair(d: np.ndarray) -> np.ndarray:
    """y₁y₂ of two classes whose logits differ by d."""
    e = np.exp(-np.abs(d))
    return e / (1 + e) ** 2

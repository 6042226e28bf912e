"""What each tag of a report means in one line: the phrase of docs/theory.md, and its formula where one says it all.

Guarded by `tests/house/test_theory.py`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["STATEMENTS", "Statement"]


class Statement(NamedTuple):
    """A statement in one line."""

    phrase: str
    formula: str = ""

    def line(self) -> str:
        """The phrase, and the formula after it.

        Example:
            >>> from jaxsoftmax.reporting.statements import STATEMENTS
            >>> STATEMENTS["S2"].line()
            'the gradient in closed form: ∇L(W) = (Y − T)ᵀ diag(s) X'
        """
        return f"{self.phrase}: {self.formula}" if self.formula else self.phrase


STATEMENTS = {
    "S1": Statement("the loss, summed over samples", "L(W) = Σ_n s_n [ log Σ_i exp z_ni − t_nᵀ z_n ]"),
    "S2": Statement("the gradient in closed form", "∇L(W) = (Y − T)ᵀ diag(s) X"),
    "S3": Statement("the gradient's columns sum to zero", "1ᵀ∇L(W) = 0"),
    "S4": Statement("the Hessian in closed form", "D²L(W)[U, V] = Σ_n s_n (U x_n)ᵀ S(y_n) (V x_n)"),
    "S5": Statement("the loss is convex", "D²L(W)[V, V] ≥ 0"),
    "S6": Statement("the null space: where the loss is constant", "dimension D + (C − 1)(D − R)"),
    "S7": Statement("bounds on the curvature"),
    "S7a": Statement("an upper bound on the Hessian's eigenvalues", "λ_max(H(W)) ≤ Λ := ½ σ_max(diag(√s) X)²"),
    "S7b": Statement("the least curvature of one softmax", "λ₂(S(y)) ≥ min_i y_i > 0"),
    "S7c": Statement(
        "a lower bound on the Hessian's eigenvalues", "On 𝒦⊥, H(W) ⪰ min_n λ₂(S(y_n)) · σ_min⁺(diag(√s) X)²"
    ),
    "S7d": Statement("the condition number for two classes"),
    "S8": Statement("how fast the Hessian can change", "|D³L(W)[V, U, U]| ≤ ρ(V) D²L(W)[U, U]"),
    "S9": Statement("a minimiser exists unless a direction separates"),
    "S10": Statement("multipliers that prove a minimiser exists", "G 1 = 0, Xᵀ diag(s) G = 0"),
    "S11": Statement("one linear program decides existence"),
    "S12": Statement("separation seen on one feature"),
    "S13": Statement("a minimiser nearby, with error bounds", "‖W* − Ŵ‖ ≤ r := −log(1 − q)/β"),
    "S14": Statement("curvature bounded by pairs of classes"),
    "S15": Statement("tests that prove a matrix positive definite"),
    "S15a": Statement("positive definite: a Cholesky run that completes"),
    "S15b": Statement("positive definite: a factor's exact residual"),
    "S16": Statement(
        "gradient descent lowers the loss every step", "With a step η ≤ 1/Λ (S7a), L(W − η∇L) ≤ L(W) − (η/2)‖∇L‖²"
    ),
    "S17": Statement("the convergence rate near the minimiser", "max(|1 − ημ*|, |1 − ηΛ*|) a step"),
    "S18": Statement("a convergence rate known before training"),
    "S19": Statement("the fixed-Hessian step", "W ← W − 2∇L(W) (XᵀSX)⁺"),
    "S20": Statement("the published Barzilai–Borwein trainer"),
    "S21": Statement("regularisers and what they change"),
    "S21a": Statement("the L² penalty", "R = (α/2)‖W‖²"),
    "S21b": Statement("the log-cosh penalty", "R = (α/γ) Σ_cd log(2 cosh γw_cd)"),
    "S21c": Statement("label smoothing", "T ← (1 − ε) T + ε/C"),
    "S21d": Statement("the self-regulariser", "R = Σ_d [lse(γw_·d) − γ mean(w_·d)]"),
    "S21e": Statement("existence of a minimiser with a penalty"),
    "S22": Statement("standard errors and tests"),
    "S23": Statement("the Hessian by pairs of classes"),
}

"""Naive twins for the proofs about the minimiser: the objective in fractions, its calculus in mpmath at 120 digits.

`drawn(seed)` makes a small objective whose numbers are written down here, and `exact_form` hands the same numbers to
the library. Losses, gradients and Hessians are the sums of S1, S2 and S4 term by term; the minimiser is that of a
plain Newton iteration; positive definiteness is decided by the pivots of an elimination.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

from jaxsoftmax.proof.minimum.objective import ProofData

DIGITS = 120


@dataclass(frozen=True)
class Objective:
    """Σ_n s_n [lse(W x_n) − t_nᵀ W x_n] + (alpha/2) Σ_{d penalised} ‖W_·d‖², every number a Fraction."""

    X: list[list[Fraction]]
    T: list[list[Fraction]]
    s: list[Fraction]
    alpha: Fraction
    penalised: list[bool]

    @property
    def shape(self) -> tuple[int, int]:
        """(C, K)."""
        return len(self.T[0]), len(self.X[0])

    def exact_form(self) -> ProofData:
        """The same for the library."""
        n, (_, K) = len(self.X), self.shape
        scales = [math.lcm(*(x[d].denominator for x in self.X)) for d in range(K)]
        A = np.array([[int(x * q) for x, q in zip(row, scales, strict=True)] for row in self.X], dtype=object)
        q = [math.lcm(*(t.denominator for t in row)) for row in self.T]
        s_den = math.lcm(*(s.denominator for s in self.s))
        return ProofData(
            A=A.astype(np.int64) if abs(A).max() < 2**62 else A,
            scales=scales,
            P=np.array([[int(t * q[n]) for t in self.T[n]] for n in range(n)], dtype=object),
            q=np.array(q, dtype=object),
            s_num=np.array([int(s * s_den) for s in self.s], dtype=object),
            s_den=s_den,
            alpha=self.alpha,
            penalised=np.array(self.penalised),
            columns=np.arange(K),
        )

    def probabilities(self, W):
        """(n, C) mpf."""
        rows = []
        for x in self.X:
            z = [mpmath.fsum(w * mpf(v) for w, v in zip(row, x, strict=True)) for row in W]
            powers = [mpmath.exp(v - max(z)) for v in z]
            rows.append([p / mpmath.fsum(powers) for p in powers])
        return rows

    def loss(self, W):
        """S1."""
        total = []
        for x, t, s in zip(self.X, self.T, self.s, strict=True):
            z = [mpmath.fsum(w * mpf(v) for w, v in zip(row, x, strict=True)) for row in W]
            lse = max(z) + mpmath.log(mpmath.fsum(mpmath.exp(v - max(z)) for v in z))
            total.append(mpf(s) * (lse - mpmath.fsum(mpf(p) * v for p, v in zip(t, z, strict=True))))
        penalty = [w * w for row in W for w, flag in zip(row, self.penalised, strict=True) if flag]
        return mpmath.fsum(total) + mpf(self.alpha) / 2 * mpmath.fsum(penalty)

    def gradient(self, W):
        """S2, (C, K)."""
        C, K = self.shape
        Y = self.probabilities(W)
        found = [[mpmath.mpf(0)] * K for _ in range(C)]
        for x, t, s, y in zip(self.X, self.T, self.s, Y, strict=True):
            for c in range(C):
                for d in range(K):
                    found[c][d] += mpf(s) * (y[c] - mpf(t[c])) * mpf(x[d])
        for c in range(C):
            for d in range(K):
                if self.penalised[d]:
                    found[c][d] += mpf(self.alpha) * W[c][d]
        return found

    def reduced_hessian(self, W):
        """S4 with v_C = −Σ v_c: ((C−1)K)², lists of mpf."""
        C, K = self.shape
        H = {}
        for x, s, y in zip(self.X, self.s, self.probabilities(W), strict=True):
            for i in range(C):
                for j in range(C):
                    weight = mpf(s) * y[i] * ((i == j) - y[j])
                    for d in range(K):
                        for e in range(K):
                            H[i, j, d, e] = H.get((i, j, d, e), 0) + weight * mpf(x[d]) * mpf(x[e])
        for i in range(C):
            for d in range(K):
                if self.penalised[d]:
                    H[i, i, d, d] += mpf(self.alpha)
        last = C - 1
        return [
            [
                H[i, j, d, e] - H[i, last, d, e] - H[last, j, d, e] + H[last, last, d, e]
                for j in range(C - 1)
                for e in range(K)
            ]
            for i in range(C - 1)
            for d in range(K)
        ]

    def minimiser(self):
        """(C, K) mpf, columns summing to 0: Newton from a float solution; None where it does not converge."""
        C, K = self.shape
        W = [[mpmath.mpf(float(w)) for w in row] for row in self._float_minimiser()]
        W[-1] = [-mpmath.fsum(row[d] for row in W[:-1]) for d in range(K)]
        for _ in range(12):
            g = self.gradient(W)
            relative = max(
                abs(g[c][d]) / mpmath.fsum(mpf(s * abs(x[d])) for s, x in zip(self.s, self.X, strict=True))
                for c in range(C)
                for d in range(K)
            )
            if relative < mpmath.mpf(10) ** (8 - DIGITS):
                return W
            right = mpmath.matrix([g[c][d] - g[-1][d] for c in range(C - 1) for d in range(K)])
            step = mpmath.lu_solve(mpmath.matrix(self.reduced_hessian(W)), right)
            W = [[W[c][d] - step[c * K + d] for d in range(K)] for c in range(C - 1)]
            W.append([-mpmath.fsum(row[d] for row in W) for d in range(K)])
        return None

    def _float_minimiser(self) -> np.ndarray:
        """Damped Newton from 0 in doubles, columns and weights scaled to be of the order of one."""
        C, K = self.shape
        widest = [max(abs(x[d]) for x in self.X) for d in range(K)]
        top = max(self.s)
        X = np.array([[float(v / w) for v, w in zip(x, widest, strict=True)] for x in self.X])
        T, s = np.array(self.T, dtype=np.float64), np.array([float(v / top) for v in self.s])
        alpha = np.array(
            [float(self.alpha / top / w**2) * flag for w, flag in zip(widest, self.penalised, strict=True)]
        )
        B = np.vstack([np.eye(C - 1), -np.ones(C - 1)])

        def value(V):
            W = B @ V
            Z = X @ W.T
            top = Z.max(axis=1)
            lse = top + np.log(np.exp(Z - top[:, None]).sum(axis=1))
            return float(s @ (lse - (T * Z).sum(axis=1))) + (alpha * W * W).sum() / 2, np.exp(Z - lse[:, None]), W

        V = np.zeros((C - 1, K))
        for _ in range(100):
            here, Y, W = value(V)
            g = B.T @ (((Y - T) * s[:, None]).T @ X + alpha * W)
            S = s[:, None, None] * (Y[:, :, None] * (np.eye(C) - Y[:, None, :]))
            H = np.einsum("nij,nd,ne->idje", B.T @ S @ B, X, X).reshape(g.size, g.size)
            H += np.kron(B.T @ B, np.diag(alpha))
            step = np.linalg.solve(H, g.ravel()).reshape(g.shape)
            factor = 1.0
            while value(V - factor * step)[0] > here and factor > 1e-9:
                factor /= 2
            V = V - factor * step
        return (B @ V) / np.array([float(w) for w in widest])

    def scaled_metric(self, exponents):
        """‖VΣ‖² with v_C = −Σ v_c: (I + 11ᵀ) ⊗ Σ²."""
        C, K = self.shape
        return [
            [(1 + (i == j)) * (d == e) * mpmath.mpf(4) ** int(exponents[d]) for j in range(C - 1) for e in range(K)]
            for i in range(C - 1)
            for d in range(K)
        ]

    def least_eigenvalue(self, W, exponents) -> float:
        """Of the Hessian in ‖·‖_Σ on {1ᵀV = 0}, to about ten digits."""
        H, metric = self.reduced_hessian(W), self.scaled_metric(exponents)
        root = mpmath.cholesky(mpmath.matrix(metric)) ** -1
        return float(min(mpmath.eigsy(root * mpmath.matrix(H) * root.T, eigvals_only=True)))

    def has_curvature(self, W, exponents, mu: Fraction) -> bool:
        """Whether H(W) ≻ mu in ‖·‖_Σ on {1ᵀV = 0}, by pivots at 120 digits."""
        H, metric = self.reduced_hessian(W), self.scaled_metric(exponents)
        n = len(H)
        return is_definite([[H[i][j] - mpf(mu) * metric[i][j] for j in range(n)] for i in range(n)])


def mpf(x: Fraction):
    """A Fraction rounded to the working precision."""
    return mpmath.mpf(x.numerator) / x.denominator


def fraction(x) -> Fraction:
    """An mpf exactly."""
    sign, mantissa, exponent, _ = x._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def is_definite(M) -> bool:
    """All pivots of an elimination are positive: in Fractions a proof, in mpf as good as its digits."""
    M = [list(row) for row in M]
    for k in range(len(M)):
        if M[k][k] <= 0:
            return False
        for i in range(k + 1, len(M)):
            factor = M[i][k] / M[k][k]
            M[i] = [x - factor * y for x, y in zip(M[i], M[k], strict=True)]
    return True


def integer_weights(W, bits: int) -> np.ndarray:
    """mpf or float weights as integers over 2**bits, every column summing to 0."""
    found = np.array([[int(mpmath.floor(mpmath.mpf(w) * 2**bits)) for w in row] for row in W], dtype=object)
    found[-1] = -found[:-1].sum(axis=0)
    return found


def as_mpf(W: np.ndarray, bits: int):
    """The weights W / 2**bits."""
    return [[mpmath.mpf(int(w)) / 2**bits for w in row] for row in W]


def drawn(seed: int, **given) -> Objective:
    """The objective of a seed; `given` fixes some of: C, K, intercept, targets, weights, scale, alpha, own.

    X: small integers, tenths, or doubles that are no short decimals; a column may be scaled by 10^±6.
    targets: "smoothed" (one denominator), "soft" (a denominator a row), "mixed" (some zeros). weights: "ones",
    "fractions", "far" (over twelve orders). alpha: L2's, the intercept spared if there is one. own: S21d's γ or None.
    """
    draw = random.Random(seed)
    C, K = draw.randint(2, 4), draw.randint(1, 3)
    kind = draw.choice(("integers", "tenths", "doubles"))
    choices = {
        "C": C,
        "K": K,
        "intercept": draw.random() < 0.6,
        "targets": draw.choice(("smoothed", "soft", "soft", "mixed")),
        "weights": draw.choice(("ones", "fractions", "far")),
        "scale": draw.choice((0, 0, 0, 6, -6)),
        "alpha": draw.choice((Fraction(0), Fraction(0), Fraction(1, 10))),
        "own": draw.choice((None, None, Fraction(3, 4))),
    } | given
    C, K = choices["C"], choices["K"]
    N = draw.randint(K + 4, K + 9)
    rows = []
    for _ in range(N):
        numbers = {
            "integers": lambda: Fraction(draw.randint(-5, 5)),
            "tenths": lambda: Fraction(draw.randint(-30, 30), 10),
        }
        one = numbers.get(kind, lambda: Fraction(draw.gauss(0, 1)))
        rows.append([one() for _ in range(K)])
    for d in range(K):
        rows[d][d] += Fraction(7, 2)  # full rank, nearly always
    rows = [[x * (Fraction(10) ** choices["scale"] if d == 0 else 1) for d, x in enumerate(row)] for row in rows]
    if choices["intercept"]:
        rows = [[*row, Fraction(1)] for row in rows]
    T = [_target(draw, C, choices["targets"]) for _ in rows]
    s = [_weight(draw, choices["weights"]) for _ in rows]
    K += choices["intercept"]
    alpha, penalised = choices["alpha"], [choices["alpha"] > 0] * K
    if choices["intercept"]:
        penalised[-1] = False
    if choices["own"] is not None:
        rows += [[choices["own"] * (d == e) for e in range(K)] for d in range(K)]
        T += [[Fraction(1, C)] * C] * K
        s += [Fraction(1)] * K
    return Objective(rows, T, s, alpha, penalised)


def _target(draw: random.Random, C: int, kind: str) -> list[Fraction]:
    if kind == "smoothed":
        j = draw.randrange(C)
        return [(Fraction(99, 100) if c == j else 0) + Fraction(1, 100 * C) for c in range(C)]
    parts = [draw.randint(1, 10**6) for _ in range(C)]
    if kind == "mixed" and draw.random() < 0.3:
        parts[draw.randrange(C)] = 0
    return [Fraction(p, sum(parts)) for p in parts]


def _weight(draw: random.Random, kind: str) -> Fraction:
    if kind == "ones":
        return Fraction(1)
    if kind == "fractions":
        return Fraction(draw.randint(1, 12), draw.randint(1, 7))
    return Fraction(10) ** draw.randint(-6, 6)

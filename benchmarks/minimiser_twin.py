"""Loss, gradient, Hessian and minimiser of a small problem in Arb's numbers, sharing no code with the library."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import flint
import mpmath

from benchmarks.small_minimisers import Drawn

BITS = 500  # of the solve: 150 decimals


def as_ball(x: Any) -> flint.arb:
    """A rational number at the working precision."""
    x = Fraction(x)
    return flint.arb(flint.fmpq(x.numerator, x.denominator))


class Twin:
    """Loss, gradient, Hessian and minimiser on some columns of what was drawn, at BITS bits (S1, S2, S4)."""

    def __init__(self, drawn: Drawn, columns: list[int]) -> None:
        self.X = flint.arb_mat([[as_ball(row[d]) for d in columns] for row in drawn.X])
        self.T = [[as_ball(t) for t in row] for row in drawn.T]
        self.s = [as_ball(w) for w in drawn.s]
        self.alpha = [as_ball(drawn.alpha[d]) for d in columns]
        self.K, self.C = len(columns), len(drawn.T[0])
        # Rows of Q: Helmert's basis of {1ᵀv = 0}.
        self.Q = [
            [
                (as_ball(1) if i <= k else as_ball(-k - 1) * (i == k + 1)) / as_ball((k + 1) * (k + 2)).sqrt()
                for i in range(self.C)
            ]
            for k in range(self.C - 1)
        ]

    def _softmax(self, W: Any) -> tuple[list[list[Any]], Any]:
        """(Y, L(W))."""
        Z, Y, total = (self.X * W.transpose()).tolist(), [], as_ball(0)
        for z, t, s in zip(Z, self.T, self.s, strict=True):
            powers = [v.exp() for v in z]
            mass = sum(powers, as_ball(0))
            Y.append([p / mass for p in powers])
            total += s * (mass.log() - sum((a * b for a, b in zip(t, z, strict=True)), as_ball(0)))
        for row in W.tolist():
            total += sum((a * w * w for a, w in zip(self.alpha, row, strict=True)), as_ball(0)) / 2
        return Y, total

    def loss(self, W: Any) -> Any:
        """L(W)."""
        return self._softmax(W)[1]

    def gradient(self, W: Any) -> Any:
        """(Y − T)ᵀ diag(s) X + W diag(alpha)."""
        Y, _ = self._softmax(W)
        R = flint.arb_mat(
            [[s * (y - t) for y, t in zip(ys, ts, strict=True)] for ys, ts, s in zip(Y, self.T, self.s, strict=True)]
        )
        penalty = flint.arb_mat([[a * w for a, w in zip(self.alpha, row, strict=True)] for row in W.tolist()])
        return R.transpose() * self.X + penalty

    def hessian(self, W: Any) -> Any:
        """((C − 1)K, (C − 1)K): Q H Qᵀ, block (i, j) of H being Xᵀ diag(s(δ_ij y_i − y_i y_j)) X, and alpha."""
        Y, _ = self._softmax(W)
        K, C = self.K, self.C
        H = flint.arb_mat((C - 1) * K, (C - 1) * K)
        rows = self.X.tolist()
        for i in range(C):
            for j in range(C):
                w = [s * ((i == j) * y[i] - y[i] * y[j]) for s, y in zip(self.s, Y, strict=True)]
                weighted = flint.arb_mat([[v * x for x in row] for v, row in zip(w, rows, strict=True)])
                block = (weighted.transpose() * self.X).tolist()
                for a in range(C - 1):
                    for b in range(C - 1):
                        q = self.Q[a][i] * self.Q[b][j]
                        for d in range(K):
                            for e in range(K):
                                H[a * K + d, b * K + e] += q * (block[d][e] + (i == j) * (d == e) * self.alpha[d])
        return H

    def minimiser(self, W: Any) -> tuple[Any, Any]:
        """(W*, last step's largest entry) by Newton's method on {1ᵀV = 0} from W."""
        K, C, Q = self.K, self.C, self.Q
        for _ in range(60):
            g = self.gradient(W).tolist()
            right = [sum((Q[a][c] * g[c][d] for c in range(C)), as_ball(0)) for a in range(C - 1) for d in range(K)]
            u = self.hessian(W).solve(flint.arb_mat([[v] for v in right]))
            V = [
                [sum((Q[a][c] * u[a * K + d, 0] for a in range(C - 1)), as_ball(0)) for d in range(K)] for c in range(C)
            ]
            W = flint.arb_mat(
                [[(w - v).mid() for w, v in zip(ws, vs, strict=True)] for ws, vs in zip(W.tolist(), V, strict=True)]
            )
            step = max(abs(float(v.mid())) for row in V for v in row)
            if step < 2.0 ** (40 - BITS):
                return W, step
        return W, step

    def eigenvalues(self, W: Any, exponents: Any) -> tuple[float, float]:
        """Smallest and largest eigenvalue in ‖VΣ‖_F on {1ᵀV = 0}, at 50 digits."""
        H = self.hessian(W)
        unit = [Fraction(2) ** -int(e) for _ in range(self.C - 1) for e in exponents]
        with mpmath.workdps(50):
            rows = [
                [
                    mpmath.mpf((H[i, j] * as_ball(unit[i] * unit[j])).mid().str(50, radius=False))
                    for j in range(len(unit))
                ]
                for i in range(len(unit))
            ]
            found = mpmath.eigsy(mpmath.matrix(rows), eigvals_only=True)
            return float(min(found)), float(max(found))


def norm(V: Any, exponents: Any) -> Any:
    """‖VΣ‖_F."""
    total = as_ball(0)
    for row in V.tolist():
        for v, e in zip(row, exponents, strict=True):
            total += (v * as_ball(Fraction(2) ** int(e))) ** 2
    return total.sqrt()

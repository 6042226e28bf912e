"""Integer combinations of some rows that integer combinations of a basis of rows complete to 0: the short ones (S10).

Let X_B be R basis rows (non-singular, integers) and X_E k other rows. The integer e for which some integer y has
X_Eᵀe + X_Bᵀy = 0 form a lattice of index up to det X_B, a number of thousands of bits. Spread over k dimensions by
lattice reduction, that is a basis of vectors of only (bits of the determinant)/k bits.

Guarded by `tests/proof/overlap/test_pair.py`.
"""

from __future__ import annotations

import math

import numpy as np

from jaxsoftmax.proof.exact.products import integer_product
from jaxsoftmax.proof.exact.rational import solve_exactly

__all__ = ["KernelLattice"]

_TRIALS = 256


class KernelLattice:
    """The lattice, reduced.

    One solve tells which e belong to it: with u = X_B⁻¹ r for a random integer r, an integral y = −X_B⁻ᵀ(X_Eᵀe + b)
    makes u·(X_Eᵀe + b) = −r·y an integer. The reverse holds where the quotient group Z^R / X_BᵀZ^R is cyclic, as it
    mostly is up to small factors: then a completion has a small denominator, and the caller finds out.

    Args:
        basis_rows: (R, R) integers, non-singular.
        other_rows: (k, R) integers.

    Raises:
        ArithmeticError: no combination of the rows was found that generates the quotient group.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.proof.overlap.kernel_lattice import KernelLattice
        >>> lattice = KernelLattice(np.array([[97]]), np.array([[41], [60]]))
        >>> e = lattice.completing(np.array([5]))
        >>> (41 * int(e[0]) + 60 * int(e[1]) + 5) % 97, bool(max(abs(e)) <= 10)
        (0, True)
    """

    def __init__(self, basis_rows: np.ndarray, other_rows: np.ndarray) -> None:
        import flint

        R, k = len(basis_rows), len(other_rows)
        rng = np.random.default_rng(R)
        solved = solve_exactly(basis_rows, rng.integers(1, 2**20, (R, 1)))
        assert solved is not None  # the matrix is square
        self.u, self.modulus = solved[0].astype(object), solved[1]
        residues = [int(w) % self.modulus for w in integer_product(other_rows, self.u)[:, 0].tolist()]
        self.fixed = math.gcd(self.modulus, *residues)
        self.modulus //= self.fixed
        residues = [w // self.fixed for w in residues]
        # e = e' + e'_0 step, where step has an invertible residue: the lattice is explicit in e'.
        steps = rng.integers(-1, 2, (_TRIALS, k))
        steps[:, 0] = 1
        steps[0, 1:] = 0
        inverse = None
        for self.step in steps.astype(object):
            residue = int(self.step @ residues)
            if math.gcd(residue, self.modulus) == 1:
                inverse = pow(residue, -1, self.modulus)
                break
        if inverse is None:
            raise ArithmeticError("other_rows: no combination has an invertible residue. Choose other rows.")
        self.inverse = inverse
        lattice = np.zeros((k, k), dtype=object)
        lattice[np.diag_indices(k)] = 1
        lattice[0, 0] = 0
        multiples = np.array([self.modulus, *(-w * inverse % self.modulus for w in residues[1:])], dtype=object)
        lattice += multiples[:, None] * self.step
        reduced = flint.fmpz_mat(k, k, lattice.ravel().tolist()).lll()
        self.vectors = np.array([int(x) for x in reduced.entries()], dtype=object).reshape(k, k)  # rows
        coordinates = solve_exactly(self.vectors.T, self.step[:, None])
        assert coordinates is not None
        self.coordinates, self.determinant = coordinates[0][:, 0].astype(object), coordinates[1]

    @property
    def bits(self) -> int:
        """Bits of the largest entry of the reduced basis."""
        return max(int(abs(self.vectors).max()).bit_length(), 1)

    def period(self, b: np.ndarray) -> int:
        """The least f > 0 for which `completing` takes f b: factors that no row of X_E can change divide it."""
        return self.fixed // math.gcd(self.fixed, int(b.astype(object) @ self.u[:, 0]))

    def completing(self, b: np.ndarray) -> np.ndarray:
        """A short integer e (k,) for which X_Eᵀe + b is completed by the basis rows, b (R,) integers of period 1."""
        target = int(b.astype(object) @ self.u[:, 0])
        if target % self.fixed:
            raise ValueError(f"b: no integers complete it; its multiples by {self.period(b)} can be completed.")
        wanted = -(target // self.fixed) * self.inverse % self.modulus
        d = self.determinant
        nearest = np.array([(2 * wanted * x + d) // (2 * d) for x in self.coordinates.tolist()], dtype=object)
        return wanted * self.step - nearest @ self.vectors

"""A matrix called semidefinite is (S15b): the verdict against the signature by elimination in fractions."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg

from helpers.certificates.minimum_twins import is_definite
from jaxsoftmax.proof.minimum import semidefinite
from jaxsoftmax.proof.minimum.semidefinite import factor_shift, proves_semidefinite, scaled_floats, unit_exponents


def gram(rng, n, bits, extra=2):
    """A positive definite matrix of integers of about 2·bits bits."""
    B = rng.integers(-(2**bits), 2**bits, (n + extra, n)).astype(object)
    return B.T @ B


@pytest.mark.parametrize("n", [1, 2, 3, 6, 10])
@pytest.mark.parametrize("bits", [2, 20, 60])
def test_true_only_for_matrices_without_a_negative_eigenvalue(n, bits):
    """M − k I for k on both sides of the smallest eigenvalue: True implies the signature, with room it is True."""
    rng = np.random.default_rng(100 * n + bits)
    for _ in range(4):
        M = gram(rng, n, bits)
        low = np.linalg.eigvalsh(M.astype(np.float64))[0]
        largest = max(int(v) for v in M.diagonal())
        room = 4 * factor_shift(n) * largest
        for k in {0, int(low * 0.5), int(low * 0.999), int(low), int(low) + 1, int(low * 1.001) + 1, int(2 * low) + 1}:
            shifted = M.copy()
            shifted[np.diag_indices(n)] -= k
            verdict = proves_semidefinite(shifted)
            if verdict:
                raised = [[Fraction(int(v)) for v in row] for row in shifted]
                for i in range(n):  # definite by a hair more, so that a singular matrix passes
                    raised[i][i] += Fraction(1, 10**9)
                assert is_definite(raised)
            if k < low - 2 * room - 1e-9 * largest:
                assert verdict


@pytest.mark.parametrize("diagonal", [1 - 2.0**-40, 0.25 * (1 + 2.0**-40)])
def test_the_stated_slack_is_enough(diagonal):
    """λ_min at 3δ suffices once the diagonal lies in [1/4, 1], at either end of it; the theorem wants δ."""
    rng = np.random.default_rng(5)
    for n in (5, 40):
        Q = scipy.linalg.qr(rng.standard_normal((n, n)))[0]
        values = np.linspace(0.5, 1.5, n)
        values[0] = 0
        M = (Q * values) @ Q.T
        d = 1 / np.sqrt(M.diagonal())
        M = M * d[:, None] * d * diagonal
        M[np.diag_indices(n)] += 4 * factor_shift(n)  # 3δ, and the rounding of M
        M = np.array([[int(v) for v in row] for row in np.rint(M * 2.0**52)], dtype=object) << 40
        assert proves_semidefinite((M + M.T) >> 1)


def test_an_indefinite_matrix_within_rounding_of_singular_is_refused():
    """Eigenvalues 2^-60 on either side of 0 relative to the diagonal, where floats see nothing."""
    one = 1 << 60
    for off in (one + 1, one, -one - 1):
        assert not proves_semidefinite(np.array([[one, off], [off, one]], dtype=object))
    assert proves_semidefinite(np.array([[one, one - (1 << 20)], [one - (1 << 20), one]], dtype=object))


def test_a_wrong_factor_proves_nothing(monkeypatch):
    """Nothing is assumed of the factorisation: one that lies makes the verdict False, never True."""
    M = np.array([[4, 5], [5, 4]], dtype=object)
    lies = [
        np.zeros((2, 2)),
        np.eye(2),
        np.array([[1.0, 0.0], [1.25, 0.3]]),
        np.array([[1.0, 0.0], [0.9, 1e3]]),
        np.full((2, 2), np.nan),
    ]
    for lie in lies:
        monkeypatch.setattr(semidefinite.scipy.linalg, "cholesky", lambda *_, lie=lie, **__: lie)
        monkeypatch.setattr(semidefinite, "scaled_floats", lambda M, u: np.eye(2))
        assert not proves_semidefinite(M)


@pytest.mark.parametrize("power", [-400, 0, 400, 5000])
def test_diagonals_of_any_ratio_and_entries_of_any_size(power):
    """D M D with D = diag(1, 2^power, …): no overflow, and the same verdict."""
    rng = np.random.default_rng(7)
    good = gram(rng, 3, 10)
    bad = good.copy()
    bad[0, 1] = bad[1, 0] = 2 * max(int(good[0, 0]), int(good[1, 1]))
    base = max(0, -power)
    for M, expected in ((good, True), (bad, False)):
        shift = np.array([base, base + power, base], dtype=object)
        assert proves_semidefinite(M << (shift[:, None] + shift[None, :])) is expected


def test_a_diagonal_that_is_not_positive():
    assert not proves_semidefinite(np.array([[0, 0], [0, 1]], dtype=object))
    assert not proves_semidefinite(np.array([[-1]], dtype=object))
    assert proves_semidefinite(np.zeros((0, 0), dtype=object))


def test_scaled_floats_and_unit_exponents():
    rng = np.random.default_rng(3)
    M = gram(rng, 4, 40) ** 17
    M = (M + M.T) >> 1
    u = unit_exponents(M)
    found = scaled_floats(M, u)
    for i, j in np.ndindex(4, 4):
        exact = Fraction(int(M[i, j]), 1) / Fraction(2) ** int(u[i] + u[j])
        assert abs(Fraction(found[i, j]) - exact) <= Fraction(1, 2**52)
    assert (found.diagonal() >= 0.25).all() and (found.diagonal() <= 1).all()

"""S5, S7: Lanczos chains on matrices whose spectrum is known, and the quadrature that they are."""

import numpy as np
import pytest

from jaxsoftmax.linalg.lanczos import lanczos, ritz

RNG = np.random.default_rng(7)
EPS = float(np.finfo(float).eps)


def with_spectrum(values):
    Q = np.linalg.qr(RNG.normal(size=(len(values),) * 2))[0]
    return (Q * values) @ Q.T, Q


def test_a_full_chain_has_the_whole_spectrum():
    """S5: as many steps as dimensions; a backward-stable tridiagonalisation errs by n·eps·‖A‖ at most."""
    values = np.sort(np.concatenate([[-0.5], 10.0 ** np.linspace(-6, 0, 29)]))
    A, _ = with_spectrum(values)
    found = ritz(lanczos(lambda V: A @ V, RNG.normal(size=(30, 2)), 30), 1)
    np.testing.assert_allclose(found.values, values, rtol=0, atol=30 * 4 * EPS)


def test_chains_are_orthonormal_and_satisfy_the_recurrence():
    """A Q = Q T + β q eᵀ to rounding, with Q orthonormal though the extreme pairs have long converged."""
    A, _ = with_spectrum(np.concatenate([np.linspace(0, 1, 58), [50.0, 1e6]]))
    run = lanczos(lambda V: A @ V, RNG.normal(size=(60, 3)), 40)
    for j in range(3):
        Q = run.basis[j]
        np.testing.assert_allclose(Q.T @ Q, np.eye(40), rtol=0, atol=60 * 4 * EPS)
        T = np.diag(run.alpha[j]) + np.diag(run.beta[j][:-1], 1) + np.diag(run.beta[j][:-1], -1)
        left = A @ Q - Q @ T
        np.testing.assert_allclose(left[:, :-1], 0, rtol=0, atol=60 * 16 * EPS * 1e6)
        assert np.linalg.norm(left[:, -1]) == pytest.approx(run.beta[j][-1], abs=60 * 16 * EPS * 1e6)


def test_quadrature_is_exact_to_degree_2m_minus_1():
    """Gauss: Σ w θᵖ = vᵀAᵖv for p <= 2m − 1, and not for p = 2m."""
    A, _ = with_spectrum(np.linspace(0.1, 1.1, 20))
    v = RNG.normal(size=20)
    found = ritz(lanczos(lambda V: A @ V, v[:, None], 4), 0)
    moments = [v @ np.linalg.matrix_power(A, p) @ v / (v @ v) for p in range(9)]
    ours = [float(found.weights @ found.values**p) for p in range(9)]
    # Numbers near 1 and eight roundings a power.
    np.testing.assert_allclose(ours[:8], moments[:8], rtol=0, atol=20 * 64 * EPS)
    assert abs(ours[8] - moments[8]) > 1e-8


def test_repeated_eigenvalues_and_projections_exhaust_the_space():
    """Three distinct eigenvalues off a projected direction: the chain goes on past its invariant subspace, weight 0."""
    values = np.array([9.0, 1, 1, 1, 2, 2, 3])
    A, Q = with_spectrum(values)
    q = Q[:, :1]

    def project(V):
        return V - q @ (q.T @ V)

    run = lanczos(lambda V: A @ V, RNG.normal(size=(7, 1)), 50, project=project)
    found = ritz(run, 0)
    np.testing.assert_allclose(found.values, [1, 1, 1, 2, 2, 3], rtol=0, atol=1e-12)
    assert found.weights.sum() == pytest.approx(1, abs=1e-12)
    assert np.sort(found.weights)[:3].sum() < 1e-20


def test_what_rounding_leaves_of_a_product_is_no_direction():
    """In the kernel of a matrix of size 10⁶ products are rounding, 10⁻¹⁰ in any direction: the chain ends there."""
    A, _ = with_spectrum(np.array([1e6, 0.0, 0.0, 0.0, 0.0]))
    run = lanczos(lambda V: A @ V, RNG.normal(size=(5, 1)), 5)
    assert run.beta[0, 0] > 1
    np.testing.assert_array_equal(run.beta[0, 1:], 0)

"""psd=True: what the eigensolver itself may err by is allowed for, also where the Hessian is known exactly."""

from types import SimpleNamespace

import numpy as np

from jaxsoftmax.checker.compare import second_order
from jaxsoftmax.checker.compare.curvature import Curvature, check_semidefinite
from jaxsoftmax.checker.inputs.context import U64


def found_and_allowed(matrix, units):
    """(the smallest eigenvalue if negative, its tolerance) for a Hessian known to `units` roundings an entry."""
    rows = []
    session = SimpleNamespace(point=SimpleNamespace(size=len(matrix)), add=lambda *given, **_: rows.append(given))
    check_semidefinite(session, Curvature(None, matrix, SimpleNamespace(units=units), ""))
    ((_, _, _, (found,), (expected,), (allowed,)),) = rows
    assert expected == 0
    return found, allowed


def test_an_exact_singular_matrix_is_semidefinite():
    """Weyl, S5: vvᵀ of whole numbers is exact and of rank 1; its other 29 eigenvalues are computed as ±u of the first.

    A symmetric eigensolver is backward stable: 4n u ‖S‖ allows for it, beside what the entries may err by.
    """
    n, least = 30, 0.0
    for seed in range(5):
        v = np.random.default_rng(seed).integers(1, 100, n).astype(float)
        S = np.outer(v, v)
        found, allowed = found_and_allowed(S, np.zeros((n, n)))
        np.testing.assert_allclose(allowed, 4 * n * U64 * np.linalg.norm(S), rtol=1e-12)
        assert -allowed <= found <= 0
        least = min(least, found)
    assert least < 0
    _, wider = found_and_allowed(S, np.full((n, n), 7.0))
    np.testing.assert_allclose(wider, allowed + 7 * n * U64, rtol=1e-12)


def test_symmetry_allows_for_what_the_products_may_err_by(monkeypatch):
    """<u, Hv> and <v, Hu>: Σ|u| tol(Hv) of both, beside the rounding of the two sums, (4 + 2√n) u Σ|u||Hv|."""
    seen = []
    monkeypatch.setattr(second_order, "compare_matrices", lambda *given, **_: seen.append(given[4:7]))
    probes, products = np.array([[1.0, -2.0], [0.5, 4.0]]), np.array([[3.0, 1.0], [-7.0, 2.0]])
    tolerance = np.array([[0.25, 0.0], [1.0, 8.0]])
    second_order._check_symmetric(None, products, tolerance, probes)
    ((ours, theirs, allowed),) = seen
    np.testing.assert_array_equal(ours, [[1.0, -11.0], [5.5, 4.5]])
    np.testing.assert_array_equal(theirs, ours.T)
    sums = np.array([[5.0, 11.0], [5.5, 11.5]]) * (4 + 2 * np.sqrt(2)) * U64
    one = np.array([[0.25, 17.0], [0.125, 32.5]]) + sums
    np.testing.assert_allclose(allowed, one + one.T, rtol=1e-15)

"""S19: the majorant as a matrix: above every Hessian, its inverse a pseudo-inverse, a free intercept left free.

The methods that step by it are tested in tests/training/methods/test_methods.py.
"""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.calculus.bounds import bohning
from jaxsoftmax.calculus.bounds.bohning import apply_inverse, majorant, whitening
from jaxsoftmax.calculus.loss.moments import moments

EPS = float(np.finfo(float).eps)


@pytest.mark.parametrize("whole", fast([False, True], 0), ids=["free intercept", "penalised intercept"])
def test_l2_holds_the_columns_that_it_penalises_and_no_other(whole, x64):
    """S19, S21a: M = ½(I − 11ᵀ/C) ⊗ XᵀSX + I ⊗ diag(α), α = 0.3 but 0 on a free intercept; M V = G for V = M⁺G."""
    rng = np.random.default_rng(19)
    X, s = rng.normal(size=(20, 2)), rng.uniform(0.5, 2, size=20)
    p = js.Problem(
        X,
        np.eye(3)[np.arange(20) % 3],
        intercept=True,
        sample_weight=s,
        regularizer=js.L2(0.3, penalize_intercept=whole),
    )
    data = np.column_stack([X, np.ones(20)])
    held = np.array([0.3, 0.3, 0.3 * whole])
    M = np.kron((np.eye(3) - 1 / 3) / 2, (data * s[:, None]).T @ data) + np.kron(np.eye(3), np.diag(held))
    W = rng.normal(size=(3, 3))
    H = np.asarray(js.hessian(W, p).to_dense())
    assert np.linalg.eigvalsh(M - H)[0] >= -1e-13 * np.abs(M).max()
    found = majorant(p, js.null_space(p))
    G = np.asarray(js.gradient(W, p))
    V = np.asarray(apply_inverse(found, jnp.asarray(G)))
    # The condition of M off its null space is below 1e3 here.
    np.testing.assert_allclose((M @ V.reshape(-1)).reshape(3, 3), G, rtol=0, atol=1e3 * 20 * EPS * np.abs(G).max())
    np.testing.assert_allclose(np.asarray(found.gauge), [1 / 0.3, 1 / 0.3, whole / 0.3], rtol=4 * EPS)
    # Nothing but the gauge's intercept is free: without it V has the pseudo-inverse's norm, the least.
    expected = np.linalg.pinv(M, rcond=1e-10, hermitian=True) @ G.reshape(-1)
    np.testing.assert_allclose(V.reshape(-1), expected, rtol=0, atol=1e3 * 20 * EPS * np.abs(V).max())


def test_the_rows_decide_where_rounding_may_have_changed_the_gram_matrix_by_a_thousandth(x64):
    """S19: between 1 and 1000 times what XᵀSX may have lost, A whitens as the rows say: ½(XAᵀ)ᵀS(XAᵀ) = I.

    A QR and an SVD are those of rows moved by 8·N·D eps of their norm at most; a square doubles that, over σ_min.
    """
    rng = np.random.default_rng(21)
    x, s = rng.normal(size=20), rng.uniform(0.5, 2, size=20)
    X = np.column_stack([x, x + 2.0**-21 * rng.normal(size=20)])
    problem = js.Problem(X, np.eye(2)[np.arange(20) % 2], sample_weight=s)
    rows = X * np.sqrt(s / 2)[:, None]
    sigma = np.linalg.svd(rows, compute_uv=False)
    doubt = (moments(problem).error_bound + 2 * EPS) * np.sum(rows**2)
    assert doubt < 0.5 * sigma[1] ** 2
    assert 2 * sigma[1] ** 2 < 1e3 * doubt
    Z = rows @ whitening(problem, js.null_space(problem)).T
    np.testing.assert_allclose(Z.T @ Z, np.eye(2), rtol=0, atol=2 * 8 * 40 * EPS * sigma[0] / sigma[1])


@pytest.mark.parametrize(("N", "D", "share"), [(45, 40, 45), (20, 2, 16)])
def test_the_doubt_counts_the_sums_of_the_matrix_and_its_eigenvalues(N, D, share, monkeypatch, x64):
    """S19: the Gram matrix lost γ_{N+9} of its trace, and its eigenvalues D eps: a thousand times both, not one."""
    Q = np.linalg.qr(np.random.default_rng(3).normal(size=(N, D)))[0]
    Q[:, -1] = Q[:, 0] + np.sqrt(2 * D * share * 1e3 * EPS) * Q[:, -1]  # λ_min is δ²/2, of a trace of D
    problem = js.Problem(Q, np.full((N, 2), 0.5))
    found = moments(problem)
    least = np.linalg.eigvalsh(found.gram)[0] / np.trace(found.gram) / (1e3 * EPS)
    sums, eigenvalues = found.error_bound / EPS, float(D)
    assert max(sums + 1, eigenvalues) < least < sums + eigenvalues
    asked = []
    monkeypatch.setattr(bohning, "_from_the_rows", lambda *a, rows=bohning._from_the_rows: asked.append(1) or rows(*a))
    whitening(problem, js.null_space(problem))
    assert asked


def test_a_penalty_far_below_the_data_is_seen_by_the_rows(x64):
    """S19, S21a: two equal columns under L2 have the curvature α along (1, −1), α a hundredth of what sums may lose."""
    alpha = 1e-14
    problem = js.Problem([[1.0, 1.0], [-1.0, -1.0], [2.0, 2.0]], np.full((3, 2), 0.5), regularizer=js.L2(alpha))
    M = majorant(problem, js.null_space(problem))
    along = np.array([1.0, -1.0]) / np.sqrt(2) / np.asarray(M.scale)
    # σ_min = √α is known to 8·N·D eps of σ_max = √6, so its square to twice that relative.
    assert along @ np.asarray(M.inverse) @ along == pytest.approx(1 / alpha, rel=2 * 8 * 6 * EPS * np.sqrt(6 / alpha))


@pytest.mark.parametrize("apart", [2.0**-4, 2.0**-22])
def test_the_inverse_is_taken_by_cholesky_only_where_that_is_certain(apart, x64, monkeypatch):
    """Columns h_0 and h_0 + δ h_1 of norm 2: (½XᵀX)⁻¹ = [[1 + δ², −1], [−1, 1]]/(2δ²), of condition 4/δ² about.

    A Cholesky inverse errs by some n²·cond·eps; that from singular values of the rows by some N·cond(X)·eps.
    """
    h = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
    p = js.Problem(h @ [[1.0, 1.0], [0.0, apart]], np.eye(2)[[0, 0, 1, 1]])
    by_eigenvalues = []
    monkeypatch.setattr(bohning, "_rows", lambda *given, rows=bohning._rows: by_eigenvalues.append(1) or rows(*given))
    found = np.asarray(majorant(p, js.null_space(p)).inverse)
    certain = apart > 2.0**-20
    wanted = np.array([[1 + apart**2, -1.0], [-1.0, 1.0]]) / (2 * apart**2)
    condition = 4 / apart**2 if certain else 16 / apart
    np.testing.assert_allclose(found, wanted, rtol=4 * condition * EPS)
    assert bool(by_eigenvalues) != certain


def test_blocks_for_each_class_leave_no_mean_over_the_classes(x64):
    """S3, S6: with an inverse for each class the part of V = M⁺G in the gauge comes from A⁺ alone, here 0 and 2."""
    rng = np.random.default_rng(23)
    A = rng.normal(size=(3, 2, 2))
    found = bohning.Majorant(jnp.array([1.0, 2.0]), jnp.asarray(A @ A.transpose(0, 2, 1)), jnp.array([0.0, 2.0]))
    G = rng.normal(size=(3, 2))
    V = np.asarray(apply_inverse(found, jnp.asarray(G)))
    assert np.abs(V).max() > 0.1
    # A few roundings of numbers below 10.
    np.testing.assert_allclose(V.mean(axis=0), [0.0, 2.0] * G.mean(axis=0), rtol=0, atol=10 * 8 * EPS)

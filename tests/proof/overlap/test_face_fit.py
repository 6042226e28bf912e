"""S1, S11: the fit of a face against sums written out, closed forms and data that have no minimiser."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from jaxsoftmax.proof.exact.float_basis import float_basis
from jaxsoftmax.proof.overlap import face_fit, face_loss
from jaxsoftmax.proof.overlap.face_fit import fit_face
from jaxsoftmax.proof.overlap.face_loss import FaceLoss, PairGrams

EPS = float(np.finfo(float).eps)


def naive_loss(Z, targets, weights, mask):
    """Σ s [log Σ exp z − tᵀz] with the classes out of the mask left out, every sum correctly rounded."""
    rows = []
    for z, t, s, m in zip(Z.tolist(), targets.tolist(), weights.tolist(), mask.tolist(), strict=True):
        inner = [v for v, kept in zip(z, m, strict=True) if kept]
        top = max(inner)
        lse = math.log(math.fsum(math.exp(v - top) for v in inner))
        rows.append(s * math.fsum([lse, *(ti * (top - v) for ti, v in zip(t, z, strict=True) if ti > 0)]))
    return math.fsum(rows)


def naive_residual(Z, targets, weights, mask):
    E = np.where(mask, np.exp(Z - Z.max(axis=1, keepdims=True)), 0.0)
    return weights[:, None] * (E / E.sum(axis=1, keepdims=True) - targets)


def one_hot(codes, C):
    return np.eye(C, dtype=bool)[np.asarray(codes)]


def overlapping(rng, n, K, C, soft=False):
    """Rows that occur with every class (so no direction separates them), an intercept, weights, and a random mask."""
    half = rng.integers(-5, 6, (n, K - 1))
    A = np.hstack([np.repeat(half, C, axis=0), np.ones((n * C, 1), np.int64)])
    support = one_hot(np.tile(np.arange(C), n), C)
    weights = rng.uniform(0.5, 2, n * C)
    targets = support * 1.0
    if soft:
        support = support | (rng.random((n * C, C)) < 0.3)
        targets = support * rng.uniform(0.1, 1, (n * C, C))
        targets /= targets.sum(axis=1, keepdims=True)
    return A, support, targets, weights


@pytest.mark.parametrize(("C", "soft"), [(2, False), (4, False), (4, True)])
def test_the_fit_is_stationary_and_its_loss_is_the_sum(C, soft):
    """S1, S2: the loss and the residual are the naive sums at W, and Aᵀ residual = 0 to rounding."""
    rng = np.random.default_rng(C + soft)
    A, support, targets, weights = overlapping(rng, 40, 4, C, soft)
    allowed = np.ones_like(support)
    fit = fit_face(A, support, targets, weights, allowed)
    assert fit.converged and not fit.diverging
    Z = A @ fit.W.T
    # Logits carry about K roundings of Σ|a||w|; the loss moves by at most Σ|residual| times that.
    noise = 8 * EPS * float((np.abs(A) @ np.abs(fit.W).T).max())
    assert fit.loss == pytest.approx(naive_loss(Z, targets, weights, allowed), rel=1e-13, abs=noise * weights.sum())
    np.testing.assert_allclose(fit.residual, naive_residual(Z, targets, weights, allowed), rtol=0, atol=2 * noise)
    reach = np.abs(fit.residual).T @ np.abs(A)
    assert (np.abs(fit.residual.T @ A) <= len(A) * 4 * EPS * reach.max()).all()
    moved = [
        naive_loss(A @ (fit.W + 1e-3 * V).T, targets, weights, allowed) for V in rng.normal(size=(6, *fit.W.shape))
    ]
    assert min(moved) > fit.loss


def test_pairs_left_out_leave_the_sums():
    """S11: classes that are not allowed take no part; a row of one class alone contributes nothing."""
    rng = np.random.default_rng(5)
    A, support, targets, weights = overlapping(rng, 30, 3, 3)
    A = np.vstack([A, [[1000, -1000, 1]]])
    support = np.vstack([support, [[True, False, False]]])
    targets, weights = support * 1.0, np.append(weights, 1.0)
    allowed = ~support
    allowed[:30, 2] = False
    allowed[-1] = False
    mask = support | allowed
    fit = fit_face(A, support, targets, weights, allowed)
    assert fit.converged
    assert fit.loss == pytest.approx(naive_loss(A @ fit.W.T, targets, weights, mask), rel=1e-12)
    assert (fit.residual[~mask] == 0).all() and (fit.residual[-1] == 0).all()
    assert (fit.residual[allowed & ~support] > 0).all()
    assert np.abs(fit.residual.T @ A[:, :]).max() <= 1e-10


def test_the_loss_has_twelve_digits_whatever_the_columns_scale_and_offset():
    """Section 7.1–7.3: a saturated design has the minimum Σ_g Σ_c n_gc log(n_g/n_gc); far, dependent columns."""
    rng = np.random.default_rng(2)
    counts = rng.integers(1, 9, (4, 3))
    group, label = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    G = one_hot(group, 4).astype(np.int64)
    A = np.column_stack([G[:, 0] * 10**9, 10**14 + G[:, 1], 7 - G[:, 2], np.full(len(G), 3), 5 * G[:, 1] - 2 * G[:, 0]])
    exact = math.fsum(k * math.log(row.sum() / k) for row in counts for k in row)
    support = one_hot(label, 3)
    for matrix in (A, A.astype(object) * 10**40):
        fit = fit_face(matrix, support, support * 1.0, np.ones(len(A)), ~support)
        assert fit.converged
        assert fit.loss == pytest.approx(exact, rel=1e-12)
        expected = counts[group] / counts[group].sum(axis=1, keepdims=True) - support
        np.testing.assert_allclose(fit.residual, expected, rtol=0, atol=1e-12)


def test_integers_beyond_the_range_of_floats():
    """Section 7.10: columns scaled to integers may have thousands of bits; the minimum does not depend on scales."""
    x = np.array([0, 1, 2, 3, 4, 5])
    support = one_hot([0, 1, 0, 1, 0, 1], 2)
    huge = 2**1500
    plain = np.column_stack([x, x * x % 3, np.ones(6, np.int64)])
    A = plain.astype(object) * np.array([huge, huge**2, huge], dtype=object)
    A[:, 0] += 3 * huge
    A[:, 1] += 1  # an offset of 1 in 2**3000
    expected = fit_face(plain, support, support * 1.0, np.ones(6), ~support)
    fit = fit_face(A, support, support * 1.0, np.ones(6), ~support)
    assert fit.converged and fit.loss == pytest.approx(expected.loss, rel=1e-12)
    A = np.column_stack([huge + x.astype(object), np.ones(6, dtype=object)])
    alone = fit_face(plain[:, [0, 2]], support, support * 1.0, np.ones(6), ~support)
    assert fit_face(A, support, support * 1.0, np.ones(6), ~support).loss >= alone.loss * (1 - 1e-12)


def test_conjugate_gradients_end_where_the_dense_steps_do(monkeypatch):
    """S11: the minimum is one number, whichever way Newton's systems are solved."""
    rng = np.random.default_rng(8)
    A, support, targets, weights = overlapping(rng, 50, 6, 3)
    dense = fit_face(A, support, targets, weights, ~support)
    monkeypatch.setattr(face_fit, "_DENSE", 0)
    free = fit_face(A, support, targets, weights, ~support)
    assert free.converged and free.loss == pytest.approx(dense.loss, rel=1e-12)
    np.testing.assert_allclose(free.residual, dense.residual, rtol=0, atol=1e-9)


def test_no_step_for_a_gradient_is_no_convergence():
    """Conjugate gradients that broke down hand over V = 0: it moves nothing, and says nothing about the minimum."""
    X = np.array([[1.0], [2.0]])
    search = face_fit._Search(X, FaceLoss(np.eye(2), np.ones(2), np.ones((2, 2), bool)), np.inf)
    search.systems = SimpleNamespace(at=lambda Y, moved: lambda g: 0 * g, tolerance=0.0)
    search.run()
    assert not (search.converged or search.diverging) and search.steps == 0


def test_conjugate_gradients_survive_rare_columns(monkeypatch):
    """S11: columns that few rows see, smoothed targets near one-hot: weights of 40 and curvatures of 1e−9."""
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 3, 300)
    A = np.where(rng.random((300, 40)) < np.geomspace(0.003, 0.5, 40), rng.integers(1, 256, (300, 40)), 0)
    A = np.column_stack([A, np.ones(300, np.int64)])
    support = one_hot(codes, 3)
    targets = support * (1 - 3e-6) + 1e-6
    everything = np.ones_like(support)
    dense = fit_face(A, everything, targets, np.ones(300), everything)
    monkeypatch.setattr(face_fit, "_DENSE", 0)
    free = fit_face(A, everything, targets, np.ones(300), everything)
    assert dense.converged and free.converged
    assert free.loss == pytest.approx(dense.loss, rel=1e-10)


@pytest.mark.parametrize("C", [2, 3])
def test_complete_separation_is_flagged_by_a_direction(C):
    """S9: on separable one-hot data the fit stops at weights all of whose margins are positive."""
    rng = np.random.default_rng(C)
    A = np.hstack([rng.integers(-50, 51, (60, 2)), np.ones((60, 1), np.int64)])
    Z = A @ rng.normal(size=(C, 3)).T
    support = one_hot(Z.argmax(axis=1), C)
    fit = fit_face(A, support, support * 1.0, np.ones(60), ~support)
    assert fit.diverging and not fit.converged
    found = A @ fit.W.T
    assert (np.where(support, -np.inf, found).max(axis=1) < found[support]).all()


def test_quasi_complete_separation_is_flagged_and_its_face_has_the_infimum():
    """S9, S11: x <= 0 for one class, x >= 0 for the other: inf L = n₀ log n₀ − Σ n₀c log n₀c over the ties at 0."""
    x = np.array([-2, -1, 0, 0, 0, 1, 3])
    support = one_hot([0, 0, 0, 0, 1, 1, 1], 2)
    A = np.column_stack([x, np.ones(7, np.int64)])
    fit = fit_face(A, support, support * 1.0, np.ones(7), ~support)
    assert fit.diverging and not fit.converged
    infimum = 3 * math.log(3) - 2 * math.log(2)
    assert fit.loss == pytest.approx(infimum, rel=1e-9)
    allowed = ~support & (x == 0)[:, None]
    face = fit_face(A, support, support * 1.0, np.ones(7), allowed)
    assert face.converged and face.loss == pytest.approx(infimum, rel=1e-14)


def test_soft_targets_without_a_minimiser_diverge():
    """S9: supports of two classes of three, the third separated on each row."""
    A = np.array([[1], [1], [1]])
    targets = np.array([[0.5, 0.5, 0.0], [0.25, 0.75, 0.0], [0.5, 0.5, 0.0]])
    fit = fit_face(A, targets > 0, targets, np.ones(3), targets == 0)
    assert fit.diverging
    assert fit.loss == pytest.approx(-1.25 * math.log(1.25 / 3) - 1.75 * math.log(1.75 / 3), rel=1e-9)


def test_a_rare_class_far_out_still_converges():
    """S17's opposite: one row in 100,000 of the other class has log-odds −11.5 and a minimiser."""
    support = one_hot([1] + [0] * 100_000, 2)
    fit = fit_face(np.ones((100_001, 1), np.int64), support, support * 1.0, np.ones(100_001), ~support)
    assert fit.converged
    assert fit.loss == pytest.approx(math.log(100_001) + 100_000 * math.log1p(1e-5), rel=1e-12)


def test_time_runs_out_without_a_claim():
    A, support, targets, weights = overlapping(np.random.default_rng(0), 10, 3, 3)
    fit = fit_face(A, support, targets, weights, ~support, seconds=0.0)
    assert not fit.converged and not fit.diverging and fit.steps == 0


def test_a_row_that_dominates_keeps_the_digits_of_its_loss():
    """Section 7.2, 7.3: loss e^−700 and its residual, at logits where log-sum-exp minus a logit is 0."""
    loss = FaceLoss(np.array([[1.0, 0.0]]), np.ones(1), np.ones((1, 2), bool))
    terms = loss.terms(np.array([[700.0], [0.0]]))
    assert terms.loss == pytest.approx(math.exp(-700), rel=1e-12, abs=0)
    np.testing.assert_allclose(terms.residual[:, 0], [-math.exp(-700), math.exp(-700)], rtol=1e-12)


@pytest.mark.parametrize("stored", [True, False])
def test_the_hessian_of_class_pairs_is_the_sum_of_its_terms(stored, monkeypatch):
    """S4, S14: Σ_n s_n S(y_n) ⊗ x_n x_nᵀ without the reference class's rows, lower triangle of blocks."""
    if not stored:
        monkeypatch.setattr(face_loss, "_STORED", 0)
    rng = np.random.default_rng(3)
    n, C, R, reference = 9, 4, 3, 1
    X, s = rng.normal(size=(n, R)), rng.uniform(1, 2, n)
    Y = rng.dirichlet(np.ones(C), n)
    parts = [s[i] * np.kron(np.diag(Y[i]) - np.outer(Y[i], Y[i]), np.outer(X[i], X[i])) for i in range(n)]
    whole = np.sum(parts, axis=0)
    kept = [c * R + r for c in range(C) if c != reference for r in range(R)]
    found = PairGrams(X, s).hessian(np.ascontiguousarray(Y.T), reference)
    lower = np.tril(np.ones((len(kept),) * 2, bool))
    np.testing.assert_allclose(
        found[lower], whole[np.ix_(kept, kept)][lower], rtol=0, atol=n * 8 * EPS * np.abs(whole).max()
    )


def test_products_and_blocks_of_the_hessian_carry_the_weights():
    """S4: s Y ∘ (U − ū) row by row, and Xᵀ diag(s w) X; weights of 1 are left out and change nothing."""
    rng = np.random.default_rng(6)
    n, C, R = 7, 3, 2
    X, Y, U, w = rng.normal(size=(n, R)), rng.dirichlet(np.ones(C), n), rng.normal(size=(n, C)), rng.uniform(1, 2, n)
    for s in (rng.uniform(1, 5, n), np.ones(n)):
        loss = FaceLoss(np.eye(C)[rng.integers(0, C, n)], s, np.ones((n, C), bool))
        product = np.array([weight * (np.diag(y) - np.outer(y, y)) @ u for weight, y, u in zip(s, Y, U, strict=True)])
        found = loss.hessian_product(np.ascontiguousarray(Y.T), np.ascontiguousarray(U.T))
        np.testing.assert_allclose(found.T, product, rtol=0, atol=8 * C * EPS * np.abs(s).max() * np.abs(U).max())
        block = sum(weight * v * np.outer(x, x) for weight, v, x in zip(s, w, X, strict=True))
        found = PairGrams(X, loss.s).block(w)
        np.testing.assert_allclose(found, block, rtol=0, atol=n * 8 * EPS * np.abs(block).max())


def test_a_class_left_out_moves_no_range_and_a_tie_separates_nothing():
    """S8, S9, S11: row 0 sums over classes 0 and 1 alone; a margin of 0 is not positive."""
    loss = FaceLoss(np.eye(3)[[0, 2]], np.ones(2), np.array([[True, True, False], [True, True, True]]))
    U = np.array([[1.0, 0.25], [0.5, 0.0], [-50.0, 0.5]])
    assert loss.ranges(U) == 0.5
    assert loss.ranges(U * [[1], [1], [-1]]) == 0.75  # row 1: 0.25 − (−0.5)
    assert loss.separates(U)
    U[0, 1] = 0.5
    assert not loss.separates(U)


def test_independent_columns_span_the_same_and_map_back():
    """Rank 4 of 5 columns with offsets of 1e12 and scales from 1 to 1e9, and rank 3 of those without the constant."""
    rng = np.random.default_rng(4)
    base = rng.integers(-9, 10, (50, 3))
    A = np.column_stack([base[:, 0] * 10**9, base[:, 1] + 10**12, base[:, 2], base[:, 0] + base[:, 2], np.full(50, 5)])
    for matrix, rank in ((A, 4), (A[:, :4], 3), (A.astype(object) * 7**30, 4)):
        X, back = float_basis(matrix)
        assert X.shape == (50, rank) and back.shape == (matrix.shape[1], rank)
        spectrum = np.linalg.svd(X, compute_uv=False)
        assert spectrum[-1] > 1e-6 * spectrum[0]
        # Every column lies in the span: least squares against X leaves rounding only.
        Q = np.linalg.qr(X)[0]
        columns = (matrix / np.abs(matrix).max(axis=0)).astype(float)
        assert np.abs(columns - Q @ (Q.T @ columns)).max() < 1e-9
    X, back = float_basis(A[:, 2:])
    np.testing.assert_allclose(A[:, 2:] @ back, X, rtol=0, atol=1e-14 * np.abs(A[:, 2:]).max())


def test_nearly_dependent_columns_stay_and_dependent_ones_go():
    """Powers of x on 0…40: conditioned like 1e12 after scaling, yet independent over the rationals."""
    x = np.arange(41, dtype=np.int64)
    A = np.column_stack([x**p for p in range(8)] + [3 * x**2 - x])
    X, _ = float_basis(A)
    assert X.shape[1] == 8

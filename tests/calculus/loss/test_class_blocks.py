"""Class blocks from few rows: their mass is kept, exact where every row is drawn, and a good inverse of H."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.bounds.bohning import apply_inverse, majorant
from jaxsoftmax.calculus.loss import class_blocks
from jaxsoftmax.calculus.loss.class_blocks import COMPLETION, block_inverses, sampled_class_grams
from jaxsoftmax.calculus.loss.moments import moments

EPS = float(np.finfo(float).eps)


def _data(N=300, D=4, C=3, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, D))
    return X, rng.dirichlet(0.3 * np.ones(C), size=N), rng.uniform(0.5, 2, size=N)


def test_with_every_row_they_are_the_diagonal_blocks_of_the_hessian(x64):
    """S4, S23: block (c, c) is Σ_{b≠c} G_cb, G_cb = Σ s y_c y_b u uᵀ, u = x/scale, and the mass its weights' sum."""
    X, Y, s = _data()
    scale = np.array([1.0, 2.0, 0.5, 4.0])
    grams, masses = map(np.asarray, sampled_class_grams(Y, X, s, scale, len(X)))
    for c in range(3):
        w = np.sum([s * Y[:, c] * Y[:, b] for b in range(3) if b != c], axis=0)
        wanted = (X / scale * w[:, None]).T @ (X / scale)
        np.testing.assert_allclose(grams[c], wanted, rtol=0, atol=300 * EPS * np.abs(wanted).max())
        assert masses[c] == pytest.approx(w.sum(), rel=300 * EPS)


@pytest.mark.slow_cases("100", "20")
@pytest.mark.parametrize("count", [20, 100])
def test_few_rows_keep_the_mass_and_every_heavy_row(count, x64):
    """Each row counts max(w, τ) with the chance min(1, w/τ): the sum over drawn rows is within τ of Σ w.

    With one feature of ones the Gram is that sum. A row heavier than τ is in it with its own weight: its feature, which
    no other row has, keeps its curvature to the last digits.
    """
    X, Y, s = _data()
    X = np.zeros((300, 2))
    X[:, 0] = 1
    s[7], Y[7] = 50.0, [0.5, 0.25, 0.25]
    X[7, 1] = 1
    grams, masses = map(np.asarray, sampled_class_grams(Y, X, s, np.ones(2), count))
    for c in range(3):
        w = s * Y[:, c] * (1 - Y[:, c])
        tau = class_blocks._threshold(jnp.asarray(w), count)
        assert np.minimum(1, w / tau).sum() == pytest.approx(count, rel=1e-3)
        assert abs(grams[c, 0, 0] - w.sum()) <= 1.01 * tau
        assert grams[c, 1, 1] == pytest.approx(w[7], rel=1e-12)
        assert masses[c] == pytest.approx(w.sum(), rel=1e-12)


def test_where_few_rows_have_weight_each_is_drawn_once(x64):
    """Fewer rows with weight than are asked for: the block is exact, and rows of weight 0 are not in it."""
    X, Y, s = _data()
    s[9:] = 0
    grams, _ = sampled_class_grams(Y, X, s, np.ones(4), 50)
    w = s * Y[:, 1] * (1 - Y[:, 1])
    wanted = (X * w[:, None]).T @ X
    np.testing.assert_allclose(grams[1], wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def test_the_inverses_are_of_the_completed_blocks_off_the_null_space():
    """(1 − θ) gram + θ (mass/Σs) G + penalties, filled on the null space; None where that is not definite."""
    X, _, s = _data(D=3)
    X[:, 2] = X[:, 0]
    null = np.array([[1.0], [0.0], [-1.0]]) / 2**0.5
    G = (X * s[:, None]).T @ X
    grams, masses, held = np.stack([G / 9, G / 7]), np.array([30.0, 50.0]), np.array([[0.0] * 3, [0.25] * 3])
    inverses = block_inverses(grams, masses, G, float(s.sum()), held, null)
    for inverse, gram, mass, h in zip(inverses, grams, masses, held, strict=True):
        M = (1 - COMPLETION) * gram + COMPLETION * mass / s.sum() * G + np.diag(h)
        off = np.eye(3) - null @ null.T
        np.testing.assert_allclose(off @ inverse @ M @ off, off, atol=1e-12)
    assert block_inverses(-grams, -masses, G, 1.0, held, null) is None


def test_for_two_classes_they_are_the_hessian_however_confident_it_is(x64, monkeypatch):
    """cond(P H) on 𝒦⊥: one pair has no coupling, so only the completion is left; S19's matrix is far above H.

    P⁻¹ = (1 − θ) B + θ h̄ G with B the block and h̄ G ⪰ 0, so that B ⪯ P⁻¹/(1 − θ), and P⁻¹ ⪯ (1 − θ + θ κ) B with κ the
    largest eigenvalue of h̄ G against B.
    """
    monkeypatch.setattr(class_blocks, "ROWS_A_COLUMN", 400)  # every row
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 5))
    W = 2 * rng.normal(size=(2, 5))
    problem = js.Problem.from_labels(X, np.argmax(X @ W.T + rng.gumbel(size=(400, 2)), axis=1), intercept=False)
    kern = js.null_space(problem)
    H, basis = np.asarray(js.hessian(W, problem).to_dense()), kern.complement_basis()
    M = majorant(problem, kern)
    own = M._replace(inverse=jnp.asarray(class_blocks.class_block_inverses(problem, problem, W)))

    def condition(P):
        images = [apply_inverse(P, jnp.asarray(b.reshape(2, 5))) for b in basis.T]
        columns = np.stack([np.asarray(V).reshape(-1) for V in images], axis=1)
        np.testing.assert_allclose(kern.basis().T @ columns, 0, atol=1e-12 * np.abs(columns).max())
        ratios = np.linalg.eigvals((basis.T @ columns) @ (basis.T @ H @ basis)).real
        return ratios.max() / ratios.min()

    block = H[:5, :5]
    z = X @ (W[0] - W[1])
    mean = np.mean(1 / ((1 + np.exp(z)) * (1 + np.exp(-z))))
    kappa = np.linalg.eigvals(np.linalg.solve(block, mean * X.T @ X)).real.max()
    assert condition(own) <= (1 - COMPLETION + COMPLETION * kappa) / (1 - COMPLETION) * (1 + 1e-9)
    assert condition(M) > 4 * condition(own)


def test_where_the_last_row_is_one_of_few_it_is_drawn_once_too(x64):
    """What is left of the places beyond the rows' summed weight takes no row again."""
    X, Y, s = _data()
    s[:-9] = 0
    grams, _ = sampled_class_grams(Y, X, s, np.ones(4), 50)
    w = s * Y[:, 1] * (1 - Y[:, 1])
    wanted = (X * w[:, None]).T @ X
    np.testing.assert_allclose(grams[1], wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())


def _dependent(unit):
    """Fifteen samples (every row is drawn) of a, unit·a and c, in weights of 1 to 2; W; the blocks' inverses."""
    rng = np.random.default_rng(3)
    a, c, s, W = rng.integers(1, 9, 15), rng.normal(size=15), rng.uniform(1, 2, 15), 0.1 * rng.normal(size=(3, 3))
    X = np.column_stack([a, unit * a, c])
    return X, s, W / np.array([1, unit, 1])


def _inverses(X, s, W):
    problem = js.Problem.from_labels(X, np.arange(15) % 3, intercept=False, sample_weight=s)
    scale = moments(problem).scale
    return class_blocks.class_block_inverses(problem, problem, W) / scale / scale[:, None]


def test_in_any_units_they_invert_the_completed_blocks_on_the_row_space(x64):
    """S6, S23: with a column given twice, once 1024 times as large, the null space is (1024, −1, 0)."""
    X, s, W = _dependent(1024.0)
    n = np.array([1024.0, -1, 0]) / np.hypot(1024, 1)
    off = np.eye(3) - np.outer(n, n)
    E = np.exp(X @ W.T)
    Y = E / E.sum(axis=1, keepdims=True)
    for c, inverse in enumerate(_inverses(X, s, W)):
        w = s * Y[:, c] * (1 - Y[:, c])
        B = ((1 - COMPLETION) * w + COMPLETION * w.sum() / s.sum() * s) * X.T @ X
        # Columns of size 1 and 1024: the condition of B on the row space is some 10⁷.
        np.testing.assert_allclose(off @ inverse @ B @ off, off, rtol=0, atol=1e7 * EPS)
        np.testing.assert_allclose(inverse @ n, 0, rtol=0, atol=1e3 * EPS * np.abs(inverse).max())


def test_weights_of_any_size_scale_them(x64):
    """2⁷⁰ times the weights is 2⁷⁰ times the blocks, also where the null space is filled."""
    X, s, W = _dependent(4.0)
    one, other = _inverses(X, s, W), _inverses(X, 2.0**70 * s, W)
    np.testing.assert_allclose(2.0**70 * other, one, rtol=0, atol=1e3 * EPS * np.abs(one).max())

"""Loss, gradient, Hessian product and diagonal of sparse data against formulas in plain NumPy on a dense copy."""

import jax
import numpy as np
import pytest

from helpers.sparse_objective import made
from jaxsoftmax.training.sparse.objective import logit_range


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_formulas_are_those_of_a_naive_twin(dtype, intercept):
    """S1, S2, S4 and S21a: sums of at most 40 terms of size 10, some eps each."""
    with jax.enable_x64(True):
        built, (X, T, s, held), W, V = made(dtype, intercept)
        Z = built.rows.logits(W)
        sample = built.at(Z)
        product, U = built.product(V, sample)
        value, gradient, diagonal = built.value(W, sample), built.gradient(W, sample), built.diagonal(sample)
        spread, scale = float(logit_range(U, built.s)), built.scale()
    W, V = W.astype(float), V.astype(float)
    E = np.exp(X @ W)
    Y = E / E.sum(axis=1, keepdims=True)
    u = X @ V
    weighed = s[:, None] * Y * (u - np.sum(Y * u, axis=1, keepdims=True))
    near = {"rtol": 0, "atol": 40 * 10 * float(np.finfo(dtype).eps)}
    np.testing.assert_allclose(value, -np.sum(s[:, None] * T * np.log(Y)) + np.sum(held * W**2) / 2, **near)
    np.testing.assert_allclose(gradient, X.T @ (s[:, None] * (Y - T)) + held * W, **near)
    np.testing.assert_allclose(product, X.T @ weighed + held * V, **near)
    np.testing.assert_allclose(diagonal, (X**2).T @ (s[:, None] * Y * (1 - Y)) + held, **near)
    np.testing.assert_allclose(scale, s @ np.abs(X) + held[:, 0], **near)
    np.testing.assert_allclose(spread, np.max((u.max(axis=1) - u.min(axis=1))[s > 0]), **near)
    assert {gradient.dtype, product.dtype, diagonal.dtype} == {np.dtype(dtype)}


def test_a_sample_of_weight_zero_has_no_loss_however_infinite():
    """S1: 0 times an infinite cross entropy is 0; of a sample that counts it stays infinite."""
    with jax.enable_x64(True):
        built, (_, T, s, _), W, _ = made("float64", True, smoothing="0")
        Z = built.rows.logits(W)
        wild = Z.copy()
        wild[2] = np.where(T[2] == 1, -np.inf, 0)
        assert s[2] == 0
        assert float(built.at(wild).loss) == float(built.at(Z).loss)
        wild[0] = np.where(T[0] == 1, -np.inf, 0)
        assert np.isinf(float(built.at(wild).loss))

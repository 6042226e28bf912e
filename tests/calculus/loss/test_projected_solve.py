"""S6: the projector that fills the kernel is that of the scaled features, where the system is solved."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.projected_solve import complement_projectors, feature_scale, solve_on_complement

EPS = float(np.finfo(float).eps)


def test_the_kernel_is_filled_in_the_features_that_are_solved_in(x64):
    """S6: columns a, a + δc and 2⁻⁴⁵c: the kernel n is (1, −1, δ) in scaled features, (1, −1, 2⁴⁵δ) in those given.

    Any projector Π on a line that is not orthogonal to n gives the same solution in exact arithmetic (nᵀ(A + τΠ)v = 0
    leaves Πv = 0, and what v has along n is projected away). The line of the features given has the cosine δ with n:
    A + τΠ is then singular to rounding, and the third feature's equation is lost by a factor of 10⁶.
    """
    rng = np.random.default_rng(0)
    a, c, t = rng.integers(-8, 9, 40), rng.integers(-8, 9, 40), rng.uniform(0.2, 0.8, 40)
    X = np.column_stack([a, a + 2.0**-20 * c, 2.0**-45 * c])
    problem = js.Problem(X, np.column_stack([t, 1 - t]))
    kernel = js.null_space(problem)
    assert kernel.dim == 4  # 3 of the gauge, and n
    # At W = 0: y = (½, ½), so that S(y) = ¼(1, −1; −1, 1).
    H = np.kron(np.array([[0.25, -0.25], [-0.25, 0.25]]), X.T @ X)
    g = (0.5 - np.column_stack([t, 1 - t])).T @ X
    V = np.asarray(solve_on_complement(jnp.asarray(H), jnp.asarray(g), complement_projectors(problem, kernel)))
    residual = (H @ V.reshape(-1)).reshape(2, 3) - g
    size = (np.abs(H) @ np.abs(V.reshape(-1)) + np.abs(g.reshape(-1))).reshape(2, 3)
    # Backward error of Cholesky and the projection, n eps with room for the constant, feature by feature.
    assert np.all(np.abs(residual).max(axis=0) <= 1e3 * 6 * EPS * size.max(axis=0))


def test_the_scale_is_the_same_under_jit(x64):
    """Of weights from 1 to 1000, a wild sample of weight 0, and a column of zeros: the powers of two of the moments."""
    X, s = np.column_stack([np.full(21, 0.125), np.zeros(21), 1e-3 * np.arange(21)]), np.ones(21)
    X[0], s[0] = [3.0, 0.0, 5.0], 1000.0
    X[1], s[1] = 1e300, 0.0
    problem = js.Problem(X, np.full((21, 2), 0.5), sample_weight=s)
    np.testing.assert_array_equal(jax.jit(feature_scale)(problem), feature_scale(problem))

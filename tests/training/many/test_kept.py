"""S13's curvature of a lane: 1/tr(A⁻¹) less rounding is below the smallest eigenvalue off the null space, and near."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors, complement_projectors
from jaxsoftmax.training.many.lanes import smallest_curvature

EPS = float(np.finfo(np.float64).eps)


def scaled_spectrum(problem, W):
    """Eigenvalues of Σ⁻¹HΣ⁻¹ off the null space on {1ᵀV = 0}, ascending, and Newton's constants."""
    free = null_space(problem)
    constants = complement_projectors(problem, free)
    inverse = np.tile(1 / np.asarray(constants.scale), problem.C)
    H = np.asarray(js.hessian(W, problem).to_dense())
    Q = np.kron(js.helmert(problem.C), np.eye(problem.D))
    values = np.linalg.eigvalsh(Q @ (H * inverse * inverse[:, None]) @ Q.T)
    return values[(problem.C - 1) * free.null.shape[1] :], constants, H


@pytest.mark.parametrize("penalty", [None, js.L2(1e-6)], ids=["none", "L2"])
@pytest.mark.parametrize("twice", [False, True], ids=["full rank", "a column twice"])
def test_it_is_below_the_smallest_eigenvalue_and_within_the_trace(twice, penalty):
    """1/μ <= tr(A⁻¹) = Σ 1/λ over the spectrum off the null space, and one over the mean eigenvalue on it (S6, S13)."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 3)) * [1.0, 30.0, 0.01]
    X = np.column_stack([X, X[:, :1]]) if twice else X
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X, rng.integers(3, size=30), regularizer=penalty)
        values, constants, H = scaled_spectrum(problem, 0.3 * rng.normal(size=(3, problem.D)))
        found = float(smallest_curvature(jnp.asarray(H), constants, 3))
    assert found <= values[0]
    off = H.shape[0] - len(values)
    typical = np.trace(H / np.outer(*[np.tile(constants.scale, 3)] * 2)) / H.shape[0]
    # On the gauge directions the penalty's own curvature is taken out, which the trace of H has in it.
    whole = np.sum(1 / values) + 1.01 * off / typical
    assert found >= 0.99 / whole - 4 * H.shape[0] * EPS * np.linalg.norm(H)


def test_one_flat_direction_is_measured_to_a_part_in_a_thousand():
    """The bound is reached where one eigenvalue is far below the rest: tr(A⁻¹) is then 1/μ and little more."""
    with jax.enable_x64(True):
        x = np.array([[1.0, 1.0], [1.0, -1.0], [1e-3, 1.0], [2.0, -2.0]]) @ np.array([[1, 1], [0, 1e-3]])
        problem = js.Problem.from_labels(x, [0, 1, 0, 1], intercept=False)
        values, constants, H = scaled_spectrum(problem, np.zeros((2, 2)))
        found = float(smallest_curvature(jnp.asarray(H), constants, 2))
    assert values[0] < 1e-5 * values[1]
    assert 0.999 * values[0] <= found <= values[0]


def test_a_curvature_below_the_rounding_is_not_resolved():
    """A null space larger than the constants say leaves the last pivot to rounding: nothing is claimed."""
    with jax.enable_x64(True):
        X = np.column_stack([np.arange(6.0), np.ones(6)])
        problem = js.Problem.from_labels(X, [0, 1, 0, 1, 0, 1], intercept=False)
        constants = complement_projectors(problem, null_space(problem))
        alike = problem.replace(X=jnp.ones_like(problem.X))
        found = float(smallest_curvature(js.hessian(np.zeros((2, 2)), alike).to_dense(), constants, 2))
    assert not found > 0


def test_a_smallest_eigenvalue_within_the_rounding_is_not_claimed():
    """(I − 11ᵀ/2) ⊗ diag(1, 4·10⁻¹⁶): the rounding of its entries and factor is 2·CD·eps·‖A‖, more than that."""
    ones = np.ones(2)
    none = np.zeros((2, 2))
    constants = ComplementProjectors(ones, np.eye(2), none, np.eye(2), none)
    with jax.enable_x64(True):
        for least, resolved in ((4e-16, False), (1e-12, True)):
            H = np.kron(np.eye(2) - 0.5, np.diag([1.0, least]))
            assert (float(smallest_curvature(jnp.asarray(H), constants, 2)) > 0) is resolved

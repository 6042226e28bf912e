"""S5: the smallest eigenpairs by block Davidson against matrices whose spectrum is known."""

import numpy as np
import pytest

from jaxsoftmax.linalg.davidson import smallest_pairs

RNG = np.random.default_rng(11)


def hidden(values, coupling=0.2):
    """A matrix D^½ (I + E) D^½ with ‖E‖ = coupling, and D⁻¹ as its preconditioner: spectrally equivalent to D."""
    n = len(values)
    E = RNG.normal(size=(n, n))
    E = (E + E.T) / np.linalg.norm(E + E.T, 2) * coupling
    root = np.sqrt(values)
    return root[:, None] * (np.eye(n) + E) * root, lambda R: R / values[:, None]


def none(V):
    return V


@pytest.mark.parametrize("condition", [1e3, 1e10])
def test_smallest_pair_whatever_the_condition(condition):
    """Within 1 %, the issue's figure, at a condition of 1e10, where λ_min itself is known to 1e-16·1e10 relative."""
    A, precondition = hidden(np.geomspace(1 / condition, 1, 150))
    exact = 1 / np.linalg.eigvalsh(np.linalg.inv(A))[-1]
    found = smallest_pairs(lambda V: A @ V, RNG.normal(size=(150, 4)), precondition=precondition, project=none)
    assert found.converged
    assert found.values[0] == pytest.approx(exact, rel=1e-2)
    assert abs(found.values[0] - exact) <= 3 * max(found.error, 1e-4 * exact)
    v = found.vectors[:, 0]
    assert np.linalg.norm(A @ v - found.values[0] * v) == pytest.approx(found.residuals[0], rel=1e-6, abs=1e-14)


def test_it_stays_off_a_projected_kernel_and_shows_what_is_negative():
    """S5, S6: zero eigenvalues in the projected subspace are not seen; a negative one off it is."""
    Q = np.linalg.qr(RNG.normal(size=(40, 40)))[0]
    values = np.concatenate([np.zeros(3), [-1e-6], np.geomspace(1e-4, 1, 36)])
    A, kernel = (Q * values) @ Q.T, Q[:, :3]
    inverse = (Q[:, 3:] / np.abs(values[3:])) @ Q[:, 3:].T

    def project(V):
        return V - kernel @ (kernel.T @ V)

    found = smallest_pairs(
        lambda V: A @ V, RNG.normal(size=(40, 3)), precondition=lambda R: inverse @ R, project=project
    )
    assert found.values[0] == pytest.approx(-1e-6, rel=1e-6)
    assert np.abs(kernel.T @ found.vectors).max() < 1e-12


def test_a_small_space_and_restarts_end_by_themselves():
    """A block as large as the space, and a basis of three blocks only."""
    A, precondition = hidden(np.geomspace(1e-3, 1, 60))
    rule = {"precondition": precondition, "project": none}
    short = smallest_pairs(lambda V: A @ V, RNG.normal(size=(60, 2)), basis_blocks=3, **rule)
    assert short.values[0] == pytest.approx(np.linalg.eigvalsh(A)[0], rel=1e-3)
    tiny = np.diag([2.0, 3.0])
    found = smallest_pairs(lambda V: tiny @ V, RNG.normal(size=(2, 2)), precondition=none, project=none)
    assert found.converged
    np.testing.assert_allclose(found.values, [2.0, 3.0], rtol=1e-14)


def test_the_step_limit_is_reported():
    A, _ = hidden(np.geomspace(1e-8, 1, 100))
    found = smallest_pairs(lambda V: A @ V, RNG.normal(size=(100, 2)), precondition=none, project=none, max_steps=4)
    assert not found.converged
    assert found.steps == 4


@pytest.mark.parametrize("useless", [True, False], ids=["the value rests", "the error seems small"])
def test_neither_a_value_at_rest_nor_a_small_estimate_alone_ends_the_search(useless):
    """From (e_1 + e_2)/√2, value 3/2: a first direction e_3 moves nothing, T = 10⁻⁶ calls every error small."""
    values, calls = np.array([[1.0], [2.0], [3.0], [4.0]]), []

    def precondition(R):
        calls.append(R)
        if useless:
            return np.eye(4)[:, 2:3] if len(calls) == 1 else R
        return 1e-6 * R

    start = np.array([[1.0], [1.0], [0.0], [0.0]])
    found = smallest_pairs(lambda V: values * V, start, precondition=precondition, project=none)
    assert found.converged
    assert found.values[0] == pytest.approx(1.0, rel=1e-14)


def test_residuals_below_the_noise_of_products_end_the_search():
    """A residual of 1/2 below a noise of 1 says nothing: what is found at the first step is all there is to know."""
    values = np.array([[1.0], [2.0], [3.0], [4.0]])
    start = np.array([[1.0], [1.0], [0.0], [0.0]])
    found = smallest_pairs(lambda V: values * V, start, precondition=none, project=none, noise=1.0)
    assert found.converged
    assert found.steps == 1
    assert found.residuals[0] == pytest.approx(0.5)


def test_accuracy_is_relative_to_the_value():
    """The value of 1.5·10⁻⁸ at rest for a step, as above: an error of 2.5·10⁻⁹ is a sixth of it, not small."""
    values, calls = 1e-8 * np.array([[1.0], [2.0], [3.0], [4.0]]), []

    def precondition(R):
        calls.append(R)
        return np.eye(4)[:, 2:3] if len(calls) == 1 else 1e8 * R

    start = np.array([[1.0], [1.0], [0.0], [0.0]])
    found = smallest_pairs(lambda V: values * V, start, precondition=precondition, project=none)
    assert found.converged
    assert found.values[0] == pytest.approx(1e-8, rel=1e-12)


def test_a_larger_pair_that_is_exact_does_not_end_the_search():
    """diag(1, …, 100) from e_50 and a rough vector of value 19: the residual of 50 is 0, that of the lowest is not."""
    values = np.arange(1.0, 101.0)[:, None]
    start = np.column_stack([np.eye(100)[:, 49], np.where(np.arange(100) == 49, 0.0, 1 / values[:, 0] ** 0.5)])
    found = smallest_pairs(lambda V: values * V, start, precondition=lambda R: R / values, project=none, noise=1e-12)
    assert found.converged and found.steps > 1
    assert found.values[0] == pytest.approx(1.0, rel=1e-3)  # rtol is 10⁻⁴ of an estimate of the error

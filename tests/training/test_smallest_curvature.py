"""λ_min off the null space without the dense Hessian: against eigenvalues, and the `converged` that stands on it."""

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.calculus.loss.moments import moments
from jaxsoftmax.calculus.loss.null_space import helmert
from jaxsoftmax.training import fit as fit_module
from jaxsoftmax.training import smallest_curvature as smallest_curvature_module
from jaxsoftmax.training.smallest_curvature import smallest_curvature

RNG = np.random.default_rng(7)
X = RNG.integers(-500, 501, size=(200, 5)) / 2.0**8 * [1.0, 32.0, 1.0, 2.0**-7, 1.0]  # sums are exact in float32 too
LABELS = RNG.integers(0, 4, size=200)


def _problem(dependent=False, **more):
    data = np.column_stack([X, X[:, 0] + X[:, 2]]) if dependent else X
    return js.Problem.from_labels(data, LABELS, intercept=True, **more)


def _dense(problem, W, kernel):
    """The smallest eigenvalue of Σ⁻¹HΣ⁻¹ on {1ᵀV = 0}, by Helmert coordinates, after `kernel` zeros."""
    Q = np.kron(helmert(problem.C), np.diag(1 / moments(problem).scale))
    return np.linalg.eigvalsh(Q @ np.asarray(js.hessian(W, problem).to_dense()) @ Q.T)[kernel]


@pytest.mark.slow_cases("float64-L2")
@pytest.mark.parametrize(
    ("more", "kernel"),
    fast([({}, 0), ({"regularizer": js.L2(0.5)}, 0), ({"dependent": True}, 3)], 1),
    ids=["plain", "L2", "rank"],
)
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_it_is_the_smallest_eigenvalue_to_a_digit(more, kernel, dtype, x64):
    """S13: the Ritz value is no smaller than λ_min, and below it once its error is taken off."""
    problem = _problem(**more, dtype=dtype)
    for W in (np.zeros((4, problem.D)), js.fit(problem).W):
        found, true = smallest_curvature(problem, W), _dense(problem.astype("float64"), W, kernel)
        assert true * (1 - 1e-6) <= found.value
        assert found.value - found.error <= true
        own = 8 * float(np.finfo(dtype).eps) * (problem.D + problem.N**0.5)  # relative, of the form itself
        assert (0.5 + 0.999 * own) * found.value <= found.error <= 0.6 * found.value


@pytest.mark.slow
def test_a_search_that_was_cut_off_says_nothing(monkeypatch, x64):
    """S13: a Ritz value is above λ_min by nobody knows what before the search ends by its own rule."""
    monkeypatch.setattr(smallest_curvature_module, "MOST_STEPS", 1)
    found = smallest_curvature(_problem(), np.zeros((4, 6)))
    assert found.value > 0 and found.error == np.inf


@pytest.mark.slow
@pytest.mark.parametrize("dtype", fast(["float64", "float32"], 1))
def test_a_large_fit_ends_converged_and_a_separable_one_does_not(dtype, x64, monkeypatch):
    """S13 without the dense Hessian: q is twice as large, half of λ_min being taken off; >= 1 without a minimiser."""
    problem = _problem(dtype=dtype)
    found = js.fit(problem, "newton-cg")
    with monkeypatch.context() as patched:
        patched.setattr(fit_module, "curvature_as_given", lambda *_: None)
        dense = js.fit(problem, "newton-cg")
    monkeypatch.setattr(fit_module, "is_dense", lambda problem: False)
    assert dense.converged and found.converged
    assert 1.5 * dense.q_estimate <= found.q_estimate <= 2.5 * dense.q_estimate
    apart = js.Problem.from_labels(X, np.digitize(X[:, 0], [-0.4, 0.4]), dtype=dtype)
    assert not js.fit(apart, "newton-cg", max_steps=30).converged

"""Beside a penalty a column in tiny units has the penalty's curvature, and trains like any other (S13, S21)."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.calculus.loss.projected_solve import feature_scale

RNG = np.random.default_rng(0)
X, LABELS = RNG.normal(size=(60, 3)), RNG.integers(0, 3, 60)


@pytest.mark.slow_cases("newton-cg-1e-200-penalty4", "newton-1e-10-penalty0")
@pytest.mark.parametrize(
    ("method", "unit", "penalty"),
    [
        ("newton", 1e-10, js.L2(1.0)),
        pytest.param("newton", 1e-200, js.L2(1.0), marks=pytest.mark.slow),
        pytest.param("newton-cg", 1e-20, js.L2(1.0), marks=pytest.mark.slow),
        pytest.param("newton", 1e-20, js.LogCosh(0.5, 2.0), marks=pytest.mark.slow),
        ("newton-cg", 1e-200, js.LogCosh(0.5, 2.0)),
    ],
)
def test_a_column_in_tiny_units_beside_a_penalty_converges(method, unit, penalty, x64):
    """Its weight moves no logit that a double sees: the loss is that without the column."""
    tiny = X * [1, unit, 1]
    problems = [js.Problem.from_labels(part, LABELS, regularizer=penalty) for part in (tiny, tiny[:, [0, 2]])]
    found, without = (js.fit(problem, method) for problem in problems)
    assert found.converged and found.status is js.Status.GRADIENT_TOLERANCE
    # What penalties say of weights that are 0 is not 0 for all (S21b).
    more = [float(js.loss(np.zeros((3, problem.D)), problem)) for problem in problems]
    gaps = found.gap_estimate + without.gap_estimate
    assert abs(found.loss - without.loss - (more[0] - more[1])) <= 2 * gaps + 100 * 2.0**-52 * found.loss


@pytest.mark.parametrize(
    ("penalty", "held"),
    [
        (None, [0, 0, 0, 0]),
        (js.L2(0.75), [0.75, 0.75, 0.75, 0]),
        (js.L2(0.75, penalize_intercept=True), [0.75] * 4),
        (js.LogCosh(0.5, 3.0), [1.5, 1.5, 1.5, 0]),
        (js.SelfRegularizer(2.0), [0] * 4),
        (js.L2(0.5) + js.L2(0.25), [0.75, 0.75, 0.75, 0]),
    ],
)
def test_the_scale_is_the_root_of_the_mean_square_and_the_penalty_a_unit_of_weight(penalty, held, x64):
    """σ_d a power of two within a factor 2 of (Σ s x²/Σs + a_d/Σs)^½, traced or not."""
    weights = RNG.integers(1, 4, 60).astype(float)
    data = X * [1e-9, 0, 40.0]
    problem = js.Problem.from_labels(data, LABELS, sample_weight=weights, regularizer=penalty)
    scale = feature_scale(problem)
    square = (weights @ np.asarray(problem.X) ** 2 + held) / weights.sum()
    expected = np.where(square > 0, np.sqrt(np.where(square > 0, square, 1)), 1)
    ratio = scale / expected
    assert np.all((ratio >= 0.5) & (ratio <= 2)) and np.all(np.frexp(scale)[0] == 0.5)
    np.testing.assert_array_equal(jax.jit(feature_scale)(problem), scale)

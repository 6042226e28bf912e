"""Advice about features: the two numbers are lower bounds on the condition, and the larger one chooses the remedy."""

import dataclasses

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.verification.advice import conditioning, conditioning_advice, fit_findings

N = 40


def problem(X, **options):
    X = np.asarray(X, np.float64)
    return js.Problem.from_labels(X, np.arange(len(X)) % 2, dtype=options.pop("dtype", "float64"), **options)


def judged(X, **options):
    found = conditioning(problem(X, **options))
    assert found is not None
    return found


def data(mean, deviation, seed=0):
    return np.random.default_rng(seed).standard_normal((N, len(mean))) * deviation + mean


@pytest.mark.parametrize("mean", [[3.0, -1.0], [1e3, 0.0], [0.0, -5e5]])
@pytest.mark.parametrize("units", [1.0, 1e-3, 1e4])
def test_location_bounds_the_condition_of_every_scaling_and_centring_removes_it(x64, mean, units):
    """4 (m/σ)² <= cond of [x, 1]ᵀ[x, 1] with columns of unit length, the best scaling of two columns."""
    X = data(mean, [1.0, 2.0]) * units
    found = judged(X)
    assert found.feature == int(np.argmax(np.abs(X.mean(axis=0)) / X.std(axis=0)))
    columns = np.column_stack([X[:, found.feature], np.ones(N)])
    columns /= np.linalg.norm(columns, axis=0)
    rho = float(np.abs(columns[:, 0] @ columns[:, 1]))
    condition = (1 + rho) / (1 - rho)
    # 1 − ρ carries an error of N eps, and is about σ²/(2 m²): relative to it N eps times the condition number.
    slack = 1 + N * 2.3e-16 * condition
    assert 4 * (found.mean / found.deviation) ** 2 == pytest.approx(found.location, rel=1e-12)
    assert found.location <= condition * slack
    # (√(m² + σ²) + |m|)² <= (2|m| + σ)², so the bound is sharp within (1 + σ/(2|m|))².
    assert condition <= found.location * (1 + found.deviation / (2 * abs(found.mean))) ** 2 * slack
    # What is left of a mean of at most 5e5 deviations is its rounding: 5e5 N eps deviations.
    assert judged(X - X.mean(axis=0)).location < 1e-10


def test_scale_bounds_the_condition_of_the_centred_columns(x64):
    X = data([0.0, 0.0], [100.0, 0.01])
    X -= X.mean(axis=0)
    found = judged(X)
    eigenvalues = np.linalg.eigvalsh(np.column_stack([X, np.ones(N)]).T @ np.column_stack([X, np.ones(N)]))
    # The ratio of eigenvalues loses eps times itself to rounding: 1e8 eps.
    assert found.scale <= eigenvalues[-1] / eigenvalues[0] * (1 + 1e-6)
    assert found.scale > 1e7


def test_the_larger_cause_chooses_the_remedy(x64):
    far = conditioning_advice(problem(data([1e6, 0.0], 1.0), feature_names=["width", "length"]))
    assert far.startswith("Centre the features (subtract each mean): feature 'width' has mean 1e+06")
    unequal = conditioning_advice(problem(data([5.0, 0.0], [1.0, 1e6])))
    assert unequal == "Features of like scale train faster and resolve more."


def test_what_cannot_be_judged_gives_no_advice_to_centre(x64):
    far = data([1e6], 1.0)
    assert conditioning(problem(far, intercept=False)) is None
    assert conditioning(problem(np.full((N, 1), 0.1))) is None
    assert conditioning(problem(np.zeros((N, 0)))) is None
    assert conditioning(problem(data([0.0], 1e300))) is None  # σ² is no double
    weights = np.ones(N)
    weights[0] = 0.0
    moved = data([0.0], 1.0)
    moved[0] = 1e9  # of weight 0: takes no part
    assert judged(moved, sample_weight=weights).location < 4


@pytest.mark.slow
def test_a_slow_fit_on_far_features_is_told_to_centre(x64):
    """S17: gradient descent needs about the condition number of steps."""
    slow = problem(data([1e3], 1.0))
    texts = fit_findings(js.fit(slow, "gd", max_steps=5), slow)
    assert len(texts) == 2
    assert "STEP_LIMIT" in texts[0]
    assert "Centre the features" in texts[1]
    near = problem(data([0.0], 1.0))
    done = dataclasses.replace(js.fit(near, "gd", max_steps=1), gap_estimate=0.0)
    assert fit_findings(done, near) == []  # q < 1, and the loss is not known to be far above its minimum
    assert len(fit_findings(dataclasses.replace(done, gap_estimate=1.0), near)) == 1
    assert len(fit_findings(dataclasses.replace(done, q_estimate=2.0), near)) == 1

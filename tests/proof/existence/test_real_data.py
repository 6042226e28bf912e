"""S9-S12: the verdicts on data sets that everybody has used, each certificate verified by the checker."""

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.checkers import check_existence

QUASI, COMPLETE = ("NOT_ATTAINED", "quasi-complete", True), ("NOT_ATTAINED", "complete", None)
ATTAINED = ("ATTAINED", "none", None)


def load(name):
    """(X, y) of iris and digits, which travel with the package, or of the peers' data."""
    if name in ("iris", "digits"):
        data = getattr(js.datasets, f"load_{name}")()
        return data.X, data.y
    if name in ("wine", "breast_cancer"):
        data = getattr(pytest.importorskip("sklearn.datasets"), f"load_{name}")()
        return data.data, data.target
    data = getattr(pytest.importorskip("statsmodels.api").datasets, name).load()
    return np.asarray(data.exog, float), np.asarray(data.endog).astype(int)


def verified(problem, folder, **options):
    """The verdict, its certificate checked from the files alone."""
    verdict = js.decide_existence(problem, **options)
    verdict.save(folder / "cert.json")
    problem.dump(folder / "data.txt", decimal=options.get("decimal", False))
    checked = check_existence.check(folder / "cert.json", folder / "data.txt")
    said = (verdict.status.name, verdict.type, verdict.face_maximal)
    assert (checked.status, checked.type, checked.face_maximal) == said
    return verdict, said


@pytest.mark.parametrize("decimal", [False, True])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("iris", QUASI),
        ("digits", COMPLETE),
        pytest.param("wine", COMPLETE, marks=pytest.mark.peers),
        pytest.param("breast_cancer", COMPLETE, marks=pytest.mark.peers),
        pytest.param("anes96", ATTAINED, marks=pytest.mark.peers),
        pytest.param("spector", ATTAINED, marks=pytest.mark.peers),
    ],
)
def test_verdict_and_certificate(name, expected, decimal, tmp_path, x64):
    """S9-S12: the verdict of the literature, proved; complete separation of labels has inf L = 0."""
    X, y = load(name)
    verdict, said = verified(js.Problem.from_labels(X, y), tmp_path, decimal=decimal)
    assert said == expected
    assert verdict.infimum_estimate == {COMPLETE: 0.0, ATTAINED: None}.get(expected, verdict.infimum_estimate)


def logistic_minimum(X, positive):
    """The minimum of Σ log(1 + exp(−m_n)), m_n = ±wᵀx_n, by Newton's method; half the decrement; what rounding can do.

    A margin errs by D·eps·Σ|x||w| and moves its term by at most that; a sum of N terms adds (8 + √N)·eps·L.
    """
    signed = np.column_stack([X, np.ones(len(X))]) * np.where(positive, 1, -1)[:, None]
    w, eps = np.zeros(signed.shape[1]), np.finfo(float).eps
    for _ in range(60):
        p = 1 / (1 + np.exp(signed @ w))
        gradient = -signed.T @ p
        step = np.linalg.solve((signed * (p * (1 - p))[:, None]).T @ signed, gradient)
        decrement = gradient @ step
        w = w - step / (1 + np.abs(signed @ step).max())  # no step moves a margin by 1 or more
    loss = np.logaddexp(0, -signed @ w).sum()
    rounding = (8 + np.sqrt(len(X))) * eps * loss + len(w) * eps * (np.abs(signed) @ np.abs(w)).sum()
    return loss, decrement / 2, rounding


def test_infimum_estimate_of_iris_is_the_minimum_without_setosa(tmp_path, x64):
    """S11: setosa drops out, and inf L is the minimum of the loss of the other two species, found here by hand."""
    X, y = load("iris")
    verdict, _ = verified(js.Problem.from_labels(X, y), tmp_path, decimal=True)
    minimum, gap, rounding = logistic_minimum(X[y != "setosa"], y[y != "setosa"] == "virginica")
    assert gap < rounding
    assert verdict.infimum_estimate == pytest.approx(minimum, rel=0, abs=2 * rounding + gap)


def test_iris_is_separated_by_the_thresholds_that_everybody_knows(x64):
    """S12: petal length < 2.45, petal width < 0.8, the middles of gaps (1.9, 3.0) and (0.6, 1.0)."""
    iris = js.datasets.load_iris()
    problem = js.Problem.from_labels(iris.X, iris.y, feature_names=iris.feature_names)
    verdict = js.decide_existence(problem, decimal=True)
    for feature, theta in (("petal length (cm)", 2.45), ("petal width (cm)", 0.8)):
        assert f"class setosa is separated from the rest by {feature} < {theta}." in verdict.explain()
        column = iris.X[:, iris.feature_names.index(feature)]
        setosa = column[iris.y == "setosa"]
        assert setosa.max() < theta < column[iris.y != "setosa"].min()


@pytest.mark.parametrize("name", ["iris", "digits"])
def test_smoothing_makes_a_minimiser_exist(name, tmp_path, x64):
    """S9 [NR]: all targets positive."""
    X, y = load(name)
    verdict, said = verified(js.Problem.from_labels(X, y, label_smoothing="0.01"), tmp_path)
    assert said == ATTAINED
    assert verdict.proof == "positive-targets"


def test_silent_pixels_of_digits_are_counted(x64):
    """S12: pairs of a class and a pixel that is on for some image but for none of the class, counted by hand."""
    X, y = load("digits")
    verdict = js.decide_existence(js.Problem.from_labels(X, y))
    by_hand = [(c, f) for c in range(10) for f in range(64) if X[:, f].any() and not X[y == c, f].any()]
    assert verdict.found is not None
    assert sorted(map(tuple, verdict.found.never.tolist())) == by_hand
    assert len(by_hand) == 93


def test_a_verdict_on_overlapping_normal_samples(tmp_path, x64):
    """S10 on floats that fill their 53 bits: labels drawn from a softmax overlap, and G proves it."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((400, 8)), rng.standard_normal((4, 8)) / np.sqrt(8)
    y = np.argmax(X @ W.T + rng.gumbel(size=(400, 4)), axis=1)
    verdict, said = verified(js.Problem.from_labels(X, y), tmp_path)
    assert said == ATTAINED
    assert verdict.proof == "multipliers"

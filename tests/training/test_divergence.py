"""S9, S16: the warning of a fit whose weights diverge says what is proved about the data, within the run's own time."""

import pytest

import jaxsoftmax as js
from jaxsoftmax.proof.existence import decide as existence
from jaxsoftmax.training.divergence import verdict_on_divergence

X = [[0.0], [1.0], [2.0], [3.0]]
SEPARATED, OVERLAP = [0, 0, 1, 1], [0, 1, 0, 1]


def told(problem, seconds=1.0, **options):
    """The verdict and the text of the warning."""
    with pytest.warns(js.NoMinimizerWarning) as caught:
        verdict = verdict_on_divergence(problem, seconds, **options)
    return verdict, str(caught[0].message)


def test_separated_classes_are_named_with_the_remedy():
    verdict, text = told(js.Problem.from_labels(X, SEPARATED))
    assert verdict.type == "complete"
    for words in ("No minimiser exists", "class 0 is separated from class 1 by x0 < 1.5.", "problem.smoothed('0.01')"):
        assert words in text


def test_a_minimiser_that_exists_is_not_denied():
    verdict, text = told(js.Problem.from_labels(X, OVERLAP))
    assert verdict.attained and "but a minimiser exists (proved, S10)" in text and "No minimiser" not in text
    assert "use method='newton'" in text
    _, after_newton = told(js.Problem.from_labels(X, OVERLAP), newton=True)
    assert "newton" not in after_newton and "train in float64" in after_newton


def test_what_time_left_undecided_is_called_undecided(monkeypatch):
    decide = existence.decide_existence
    monkeypatch.setattr(existence, "decide_existence", lambda problem, budget: decide(problem, budget=1e-9))
    verdict, text = told(js.Problem.from_labels(X, OVERLAP))
    assert verdict.status is js.Existence.UNDECIDED and "was not decided in the time of the run" in text


@pytest.mark.parametrize(("seconds", "budget"), [(0.01, 1.0), (7.0, 7.0)])
def test_the_verdict_takes_no_longer_than_the_run_or_a_second(seconds, budget, monkeypatch):
    given, decide = [], existence.decide_existence

    def spy(problem, budget):
        given.append(budget)
        return decide(problem, budget=budget)

    monkeypatch.setattr(existence, "decide_existence", spy)
    told(js.Problem.from_labels(X, SEPARATED), seconds)
    assert given == [budget]


def test_a_problem_without_its_data_gets_no_verdict():
    problem = js.Problem.from_labels(X, SEPARATED)
    verdict, text = told(problem.replace(sample_weight=[1.0] * 4))
    assert verdict is None and "pass the Problem as it was constructed" in text

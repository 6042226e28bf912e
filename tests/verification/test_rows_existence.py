"""The rows of `verify` on existence (S9, S10) pass with a right verdict, and each fails for a wrong one."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.verification import rows_existence as existence_checks
from jaxsoftmax.verification.advice import existence_words, fit_findings
from jaxsoftmax.verification.rows_existence import check_existence_verdict, verdict_on

X = [[0.1], [0.2], [0.3], [0.4]]
UNCONVERGED = SimpleNamespace(converged=False)
SLOPE, FALLS, CALLED, CERTIFICATE = range(4)


W = np.array([[0.3, -0.1], [0.2, 0.5]])


def case(labels, **options):
    """A problem in float64 and its verdict."""
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(np.array(X), labels, **options)
        verdict = verdict_on(problem, decimal=True)
    assert verdict is not None
    return problem, verdict


@pytest.fixture(scope="module")
def separated():
    """A separable problem, its verdict, and what is read of a fit that diverged on it."""
    problem, verdict = case([0, 0, 1, 1])
    told = {"status": js.Status.DIVERGING, "converged": False, "steps": 9, "W": 100 * W, "reason": "It grows."}
    return problem, verdict, SimpleNamespace(**told, existence=verdict)


def rows(problem, verdict, result):
    with jax.enable_x64(True):
        return check_existence_verdict(problem, verdict, result, W)


def passed(*arguments):
    return [row.passed for row in rows(*arguments)]


def test_a_right_verdict_passes(separated):
    problem, verdict, result = separated
    assert verdict.type == "complete"
    found = rows(problem, verdict, result)
    assert [row.statement for row in found] == ["S9"] * 4
    assert all(row.passed for row in found)
    assert found[FALLS].measured < 0
    assert found[SLOPE].allowance < 1e-13


@pytest.mark.parametrize(
    ("labels", "options", "statement"),
    [
        ([0, 1, 0, 1], {}, "S10"),
        ([0, 0, 1, 1], {"label_smoothing": "0.01"}, "S9"),
        ([0, 0, 1, 1], {"regularizer": js.SelfRegularizer(1.0)}, "S21e"),
    ],
)
def test_an_attained_minimum_has_the_row_of_its_certificate(labels, options, statement):
    problem, verdict = case(labels, **options)
    (row,) = rows(problem, verdict, UNCONVERGED)
    assert (row.statement, row.passed) == (statement, True)
    assert verdict.attained


def test_a_direction_that_does_not_separate_fails_every_row_about_it(separated):
    """S9: along -V the loss rises; one entry off, and L∞(V) > 0."""
    problem, verdict, result = separated
    negated = dataclasses.replace(verdict, direction=-verdict.direction)
    assert [row.passed for row in rows(problem, negated, result)] == [False, False, True, False]
    V = verdict.direction.copy()
    V[:, -1] *= 2  # another threshold: 1/2, and the samples at 0.3 and 0.4 are on the wrong side
    assert passed(problem, dataclasses.replace(verdict, direction=V), result)[SLOPE] is False


def test_a_fit_that_is_called_converged_contradicts_the_verdict(separated):
    problem, verdict, _ = separated
    assert passed(problem, verdict, SimpleNamespace(converged=True))[CALLED] is False


def test_multipliers_that_are_not_stationary_are_refused_by_the_checker():
    """S10."""
    problem, verdict = case([0, 1, 0, 1])
    assert verdict.multipliers is not None
    first, *others = verdict.multipliers.blocks
    G = verdict.multipliers._replace(blocks=(first._replace(values=first.values + 1), *others))
    (row,) = rows(problem, dataclasses.replace(verdict, multipliers=G), UNCONVERGED)
    assert row.passed is False
    assert "multipliers" in row.note


def test_a_verdict_that_is_final_is_not_sought_again(separated):
    problem, verdict, _ = separated
    assert verdict_on(problem, decimal=True, known=verdict) is verdict
    assert verdict_on(problem, decimal=False, known=verdict) is not verdict
    half = dataclasses.replace(verdict, type="open")
    decided = verdict_on(problem, decimal=True, known=half)
    assert decided is not None and decided.type == "complete"


def test_what_is_undecided_or_has_no_data_is_not_run(separated, monkeypatch):
    problem, verdict, result = separated
    undecided = dataclasses.replace(verdict, status=js.Existence.UNDECIDED, proof=None, reason="the budget was spent")
    (row,) = rows(problem, undecided, result)
    assert (row.statement, row.passed) == ("S9", None)
    assert "the budget was spent" in row.note
    rebuilt = jax.tree.map(lambda leaf: leaf, problem)
    assert verdict_on(rebuilt, decimal=False) is None
    (row,) = rows(rebuilt, None, result)
    assert row.passed is None
    monkeypatch.setattr(existence_checks, "CHECK_WORK", 3)
    assert passed(problem, verdict, result) == [True, True, True, None]


def test_float32_data_are_allowed_their_rounding():
    """V is about the decimals; the stored X is their float32, off by half an eps."""
    problem = js.Problem.from_labels(np.float32(X), [0, 0, 1, 1])
    found = check_existence_verdict(problem, verdict_on(problem, decimal=True), UNCONVERGED, np.float32(W))
    assert [row.passed for row in found] == [True] * 4
    assert found[SLOPE].allowance > 1e-8


def test_ties_of_decimals_leave_a_slope_that_is_rounding_alone():
    """S9: on the line u + v = 3/10 lie low, high, low; V has margin 0 there, and float32 moves all three."""
    points = np.float32([[0.1, 0.2], [0.2, 0.1], [0.3, 0.0], [0.0, 0.0], [1.0, 1.0]])
    problem = js.Problem.from_labels(points, [0, 1, 0, 0, 1])
    verdict = verdict_on(problem, decimal=True)
    assert verdict is not None and verdict.type == "quasi-complete"
    row = check_existence_verdict(problem, verdict, UNCONVERGED, np.zeros((2, 3), np.float32))[SLOPE]
    assert row.passed
    assert 0 < row.measured < row.allowance < 1e-5


def test_findings_say_what_is_proved_and_the_remedy_once(separated):
    problem, verdict, result = separated
    words = existence_words(verdict)
    assert words.startswith("proved: no minimiser exists")
    assert "Remedy" not in words
    first, second = fit_findings(result, problem)
    assert "Remedy: label smoothing, of 0.01 say," in first
    assert second == existence_words(result.existence)
    # A minimiser exists after all: no smoothing is advised.
    attained = case([0, 1, 0, 1])[1]
    first, second = fit_findings(result, problem, attained)
    assert "Remedy" not in first
    assert second.startswith("proved: the loss attains its minimum")
    short = SimpleNamespace(**vars(result) | {"status": js.Status.STEP_LIMIT})
    assert "Remedy: more steps" in fit_findings(short, problem, attained)[0]
    assert "Remedy: label smoothing" in fit_findings(short, problem, verdict)[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_slope_is_allowed_the_rounding_of_data_logits_and_targets(dtype):
    """S9: Σ_n s_n B_n (4 ((D + 2) u + e/2) + (C + 3) u + e), B_n = max_c Σ_d |V_cd x_nd|, and N of the sum."""
    x, T, s = np.array([[1.0, -2.0], [3.0, 0.5]]), np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]), np.array([2.0, 0.5])
    with jax.enable_x64(dtype == "float64"):
        problem = js.Problem(x, T, sample_weight=s, dtype=dtype)
    V = np.array([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]])
    slope, allowed = existence_checks._recession(problem, V)
    u, e = 2.0**-53, float(np.finfo(dtype).eps)
    assert slope == 2 * (2 - 1.5) + 0.5 * (3 - 1.75)  # z = (1, 2, -1/2) and (3, -1/2, 7/4)
    each = 4 * (4 * u + e / 2) + 6 * u + e
    assert allowed == pytest.approx((2 * 2 + 0.5 * 3) * each * (1 + 4 * u), rel=1e-14, abs=0)

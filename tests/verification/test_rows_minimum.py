"""The rows of `verify` on the minimiser (S13, S15, S17) pass with a right certificate, each fails for a wrong one."""

import dataclasses
from fractions import Fraction
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.evidence.crosscheck import tolerances
from jaxsoftmax.verification import rows_minimum as certificate_checks
from jaxsoftmax.verification.rows_minimum import certificate_on, check_minimiser_certificate

pytest.importorskip("flint")

X, Y = np.array([[0.1], [0.2], [0.3], [0.4]]), [0, 1, 0, 1]
EPS = 2.0**-52
Q, LOSS, CHECKED, LAMBDA, CURVATURE, PACE = range(6)


@pytest.fixture(scope="module")
def proved():
    """A problem, its fit, its probe and its certificate, in float64."""
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X, Y)
        result = js.fit(problem)
        certificate, reason = certificate_on(problem, True, result, None)
        assert reason == "" and certificate is not None
        return problem, result, js.probe_convexity(problem, result.W), certificate


def rows(proved, certificate=None, reason="", **replaced):
    problem, result, probe, true = proved
    result, probe = replaced.get("result", result), replaced.get("probe", probe)
    with jax.enable_x64(True):
        return check_minimiser_certificate(problem, certificate or true, reason, result, probe, "fitted W")


def failing(found):
    return {k for k, row in enumerate(found) if row.passed is False}


@pytest.mark.slow
def test_a_right_certificate_passes(proved):
    found = rows(proved)
    assert [row.statement for row in found] == ["S13", "S13", "S13", "S7a", "S15", "S17"]
    assert [row.passed for row in found] == [True] * 6
    # Two samples of four rows: rounding, not slack, is what the loss is allowed.
    assert found[LOSS].allowance < 1e-12
    # Two classes, the full matrix: the proved μ is within the scaling (powers of two) of λ_min.
    assert found[CURVATURE].bound > found[CURVATURE].measured / 10


@pytest.mark.slow_cases("1-loss_lower-factor1", "0-q-factor0")
@pytest.mark.parametrize(
    ("row", "field", "factor"),
    [
        (Q, "q", Fraction(10**30)),
        (LOSS, "loss_lower", 1 + Fraction(3, 10**12)),
        (LOSS, "loss_lower", 1 - Fraction(3, 10**12)),
        (CURVATURE, "curvature_euclidean_bound", Fraction(20)),
        (LAMBDA, "curvature_upper_bound", Fraction(1, 100)),
        (PACE, "rate_bound", Fraction(1, 2)),
    ],
)
def test_each_wrong_number_fails_its_row(proved, row, field, factor):
    """S13, S14, S15, S17: one number changed; where both ends of the interval move, both are changed."""
    true = proved[-1]
    changes = {field: str(Fraction(getattr(true, field)) * factor)}
    if field == "loss_lower":
        changes["loss_upper"] = changes["loss_lower"]
    found = failing(rows(proved, dataclasses.replace(true, **changes)))
    # q also shrinks the curvature over the ball, and Λ is the step of the rate: those rows may go with it.
    assert row in found
    assert found <= {row, {Q: CURVATURE, LAMBDA: PACE}.get(row, row)}


def test_a_certificate_that_the_checker_refuses_fails_its_row(proved):
    true = proved[-1]
    claims = true.proof.claims._replace(radius="0.0")
    wrong = dataclasses.replace(true, proof=true.proof._replace(claims=claims))
    (row,) = [row for row in rows(proved, wrong) if row.passed is False]
    assert "independent checker: refused" in row.quantity and "radius" in row.note


def test_the_eigenvalue_of_an_l2_penalty_is_none_that_is_bounded(proved):
    """S21a: along 1 e_dᵀ the Hessian is α, whatever μ is on Σ_c v_c = 0; where λ_min < α the rows are about λ_min."""
    true, low = proved[-1], float(proved[2].lambda_min)
    for alpha, decided in ((low, None), (2 * low, True)):
        penalised = true.proof.data._replace(alpha=Fraction(alpha))
        found = rows(proved, dataclasses.replace(true, proof=true.proof._replace(data=penalised)))
        assert [row.passed for row in found] == [True] * 4 + [decided] * 2


def test_an_eigenvalue_that_float64_does_not_resolve_decides_nothing(proved):
    probe = dataclasses.replace(proved[2], resolved=False)
    found = rows(proved, probe=probe)
    assert [row.passed for row in found[:CURVATURE]] == [True] * 4
    assert [row.passed for row in found[CURVATURE:]] == [None, None]


def test_why_there_is_no_certificate_is_a_row(proved, monkeypatch):
    problem, result, probe, _ = proved
    none = dataclasses.replace(js.decide_existence(problem), status=js.Existence.NOT_ATTAINED)
    reasons = [
        (certificate_on(problem, True, result, none), "there is no minimiser"),
        (certificate_on(jax.tree.map(lambda leaf: leaf, problem), True, result, None), "rebuilt by JAX"),
    ]
    penalised = js.Problem.from_labels(X, Y, regularizer=js.LogCosh(1.0, 1.0))
    reasons.append((certificate_on(penalised, True, result, None), "LogCosh"))
    far = dataclasses.replace(result, W=1000 * np.asarray(result.W))
    reasons.append((certificate_on(problem, True, far, None), "not proved: "))
    monkeypatch.setattr(certificate_checks, "PROOF_WORK", 1)
    reasons.append((certificate_on(problem, True, result, None), "js.certify does it"))
    for (certificate, reason), words in reasons:
        assert certificate is None and words in reason
        (row,) = check_minimiser_certificate(problem, certificate, reason, result, probe, "fitted W")
        assert (row.statement, row.passed, row.note) == ("S13", None, reason)


def test_float32_data_are_allowed_their_rounding(proved):
    """The proof is about the decimals 0.1, …; the loss is that of their float32."""
    problem = js.Problem.from_labels(np.float32(X), Y)
    W = np.float32(proved[1].W)
    result = SimpleNamespace(W=W, loss=float(js.loss(W, problem)), gap_estimate=1e-15)
    certificate, _ = certificate_on(problem, True, result, None)
    row = check_minimiser_certificate(problem, certificate, "", result, None, "fitted W")[LOSS]
    assert row.passed and 1e-8 < row.allowance < 1e-3


def test_the_loss_is_allowed_half_the_interval_its_own_gap_and_rounding(proved):
    """S13: (upper − lower)/2 + the fit's gap + loss_tolerance + 2 e (3 Σ_n s_n max_c Σ_d |w x| + |L|) alone."""
    problem, result, probe, true = proved
    result = SimpleNamespace(W=result.W, loss=2.0, gap_estimate=-0.25)
    probe = dataclasses.replace(probe, resolution=0.125)
    found = rows(proved, dataclasses.replace(true, loss_lower="1.0", loss_upper="2.0"), result=result, probe=probe)
    W, x = np.asarray(result.W), np.column_stack([X, np.ones(4)])
    rounding = tolerances.loss_tolerance(W, problem) + 2 * EPS * (3 * (x @ abs(W).T).max(axis=1).sum() + 2.0)
    # In units of its last place the allowance is 0.75 and some 1e-14.
    assert certificate_checks._loss_rounding(problem, result) == pytest.approx(rounding, rel=1e-12, abs=0)
    assert found[LOSS].allowance == pytest.approx(0.75 + rounding, rel=1e-15)
    assert found[LOSS].measured == 0.5
    assert found[LAMBDA].allowance == found[CURVATURE].allowance == 0.125
    Lambda = float(true.curvature_upper_bound)
    assert found[PACE].allowance == pytest.approx(0.125 / Lambda) and found[PACE].bound == pytest.approx(
        probe.lambda_min / Lambda
    )

"""S13-S15 and S17 on data: what is proved about the minimiser, beside what training and the probe have found there."""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from jaxsoftmax.certification import certify
from jaxsoftmax.evidence.crosscheck.tolerances import loss_tolerance
from jaxsoftmax.evidence.spectrum.report import ConvexityReport
from jaxsoftmax.problem.dtypes import stored_eps
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.checkers.dispatch import check_certificate
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.proof.minimum.certificate import Certificate
from jaxsoftmax.proof.minimum.prove import NotProved
from jaxsoftmax.reporting.row import Row, compare, not_run, yes_or_no
from jaxsoftmax.training.result import Fit
from jaxsoftmax.verification.points import columns

__all__ = ["certificate_on", "check_minimiser_certificate"]

DIGITS = 20  # of the minimum; more cost little
PROOF_WORK = 1e9  # N·D²·C up to which the proof is made: about ten seconds


def certificate_on(
    problem: Problem, decimal: bool, result: Fit, verdict: ExistenceVerdict | None
) -> tuple[Certificate | None, str]:
    """The certificate made from a fit's weights, or None and why there is none.

    Args:
        problem: that was fitted.
        decimal: read its floats as decimals.
        result: of the fit.
        verdict: on existence, where there is one.

    Example:
        >>> import jaxsoftmax as js, types
        >>> from jaxsoftmax.verification.rows_minimum import certificate_on
        >>> problem = js.Problem.from_labels([[1.0], [1.0]], [0, 1], intercept=False)
        >>> certificate_on(problem, False, types.SimpleNamespace(W=[[0.0], [0.0]]), None)[0].loss_upper[:20]  # 2 log 2
        '1.386294361119890618'
    """
    N, D, C = problem.shape
    if problem.host is None or problem.host.regularizer is None:
        return None, "not run: the problem was rebuilt by JAX, its data as given are gone"
    if verdict is not None and verdict.attained is False:
        return None, "not run: there is no minimiser"
    if N * D**2 * C > PROOF_WORK:
        return None, f"not run: N·D²·C = {N * D**2 * C:.1e} > {PROOF_WORK:.0e}; js.certify does it"
    try:
        return certify(problem, np.asarray(result.W, np.float64), digits=DIGITS, decimal=decimal), ""
    except NotProved as error:
        return None, f"not proved: {str(error).removeprefix('certify: ')}"
    except (ImportError, ValueError) as error:  # python-flint is missing, or log-cosh, which no proof covers
        return None, f"not run: {error}"


def check_minimiser_certificate(
    problem: Problem, certificate: Certificate | None, reason: str, result: Fit, probe: ConvexityReport | None, at: str
) -> list[Row]:
    """The rows about a certificate, or the one that says why there is none.

    q < 1 (S13). The fit's loss less the proved minimum is what S13's estimate says, up to rounding. The independent
    checker verifies the certificate on the exact dump. The Hessian at the fitted W has no eigenvalue above the proved Λ
    (S7a) and, off the kernel with Σ_c v_c = 0, none below the proved μ (S14, S15); so gradient descent contracts by
    what is proved or more (S17).
    """
    if certificate is None:
        return [not_run("S13", "proof of a minimiser", "", reason)]
    q, lower, upper = (Fraction(text) for text in (certificate.q, certificate.loss_lower, certificate.loss_upper))
    gap = float(Fraction(float(result.loss)) - (lower + upper) / 2)
    allowed = float((upper - lower) / 2) + abs(float(result.gap_estimate or 0)) + _loss_rounding(problem, result)
    rows = [
        compare("S13", "proved q, below 1 where a minimiser exists", "", float(q), "<=", 1.0, 0.0),
        compare("S13", "loss minus the proved minimum", at, gap, "=", 0.0, allowed),
        _recheck(problem, certificate),
    ]
    proved = float(Fraction(certificate.curvature_euclidean_bound) * (1 - q))
    Lambda = float(Fraction(certificate.curvature_upper_bound))
    statement = "S15" if certificate.proof.curvature.method == "full" else "S14"
    what = "smallest eigenvalue off the null space, its proved bound"
    pace = "1 - proved contraction of a step of 1/Λ, at most λ_min/Λ"
    if probe is None:
        why = "not run: the spectrum was not probed"
        return [*rows, not_run(statement, what, at, why), not_run("S17", pace, at, why)]
    low, fog, alpha = float(probe.lambda_min), float(probe.resolution), float(certificate.proof.data.alpha)
    largest = "largest eigenvalue of the Hessian, its proved bound"
    rows.append(compare("S7a", largest, at, float(probe.lambda_max), "<=", Lambda, fog))
    # Where Σ_c v_c is not 0 an L2 penalty is alone, and its α is an eigenvalue, about which μ says nothing.
    why = "" if probe.resolved else probe.reason
    if alpha and low >= alpha - fog:
        why = f"not run: the smallest eigenvalue is the penalty's, {alpha:g}, where Σ_c v_c is not 0"
    if why:
        return [*rows, not_run(statement, what, at, why), not_run("S17", pace, at, why)]
    rows.append(compare(statement, what, at, low, ">=", proved, fog))
    gain = float(1 - Fraction(certificate.rate_bound))
    rows.append(compare("S17", pace, at, gain, "<=", low / Lambda, fog / Lambda))
    return rows


def _loss_rounding(problem: Problem, result: Fit) -> float:
    """What rounding adds to the fit's loss: of its evaluation, and of X, T and the strengths from those given.

    With e the larger eps, an entry of X is within e (as a double of a decimal, or as a float32) of what was given, a
    logit within e B_n, B_n = max_c Σ_d |w_cd x_nd|, a term lse(z) − tᵀz within 2 e B_n, and t adds e Σ_c t|z| <= e B_n;
    the weights s and the penalty are within e of theirs. Once more for the minimum of the stored numbers, which is
    that of the given ones to the same accuracy, at a W that is the fit's to first order.
    """
    X, s = columns(problem)
    W = np.asarray(result.W, np.float64)
    e = stored_eps(problem)
    size = (np.abs(X) @ np.abs(W).T).max(axis=1)
    return float(loss_tolerance(W, problem)) + 2 * e * (3 * float(s @ size) + abs(float(result.loss)))


def _recheck(problem: Problem, certificate: Certificate) -> Row:
    what = "proof of the minimum, independent checker"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.json"
        certificate.save(file)
        try:
            check_certificate(file, problem)
        except ValueError as error:
            return yes_or_no("S13", f"{what}: refused", "", False, str(error).replace(str(file), "certificate"))
    return yes_or_no("S13", f"{what}: accepted", "", True)

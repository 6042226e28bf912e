"""The main job: cross-check the derivatives, train, probe, prove, and check every statement on data."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax.checker.report.result import CrossCheckReport
from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.evidence.crosscheck.compare import crosscheck_problem
from jaxsoftmax.evidence.spectrum.probe import DENSE_LIMIT, probe_convexity
from jaxsoftmax.evidence.spectrum.report import ConvexityReport
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.reporting.environment import environment, version
from jaxsoftmax.reporting.row import Row, not_run
from jaxsoftmax.training.registry import check_method, choose
from jaxsoftmax.training.result import Fit, whole
from jaxsoftmax.verification.advice import conditioning_advice, existence_words, fit_findings
from jaxsoftmax.verification.inputs import Prepared, check_options, describe, prepare
from jaxsoftmax.verification.points import LOGIT_SPREAD, draw, stored
from jaxsoftmax.verification.report import DatasetReport, VerifyReport, in_order
from jaxsoftmax.verification.rows_crosscheck import crosscheck_rows
from jaxsoftmax.verification.rows_derivatives import check_positivity_and_kernel, check_self_concordance
from jaxsoftmax.verification.rows_descent import check_descent, check_rate
from jaxsoftmax.verification.rows_eigenvalues import check_curvature, check_softmax_covariance
from jaxsoftmax.verification.rows_existence import check_existence_verdict, fit_quietly, verdict_on
from jaxsoftmax.verification.rows_minimum import certificate_on, check_minimiser_certificate

__all__ = ["verify", "verify_prepared"]

SECOND_PROBE_LIMIT = 1000  # C·D up to which the random W is probed too
PROBE_WORK = 1e9  # N·D·C up to which the probe by products is run: a few hundred of them, minutes on two cores
DESCENT_WORK = 3e9  # N·D·C·steps spent on S16
FIT_WORK = 1e11  # N·D·C·steps given to a first-order method that was asked for


def verify(
    data: Problem | Dataset | tuple[Any, Any] | None = None,
    *,
    label_smoothing: Any = None,
    l2: float = 0.0,
    dtype: str | None = None,
    seed: int = 0,
    method: Any = "auto",
    progress: Callable[[str], None] | None = None,
) -> VerifyReport:
    """Check S1-S10 and S13-S17 on data: derivatives, existence, training, curvature, the minimum, one row a check.

    All hand rules are compared with autodiff and 50 digits at a random W and at the fitted W; the fit is by Newton
    where the dense Hessian is feasible. Float64 is used in a scope of its own; JAX's global switch is not touched.

    Args:
        data: a `Problem`; a `Dataset`; a pair (X, y) of features (N, D) and labels (N,) or probabilities (N, C); or
            None for the embedded digits (pixels divided by 16) and iris. An intercept is added except to a `Problem`.
        label_smoothing: ε of S21(c), exact ("0.01" or 0.01 is 1/100). None: 0.01 for embedded data, otherwise none.
        l2: α >= 0 of S21(a); the intercept is not penalised. Not for a `Problem`, which has its own.
        dtype: "float64" (the default) or "float32"; not for a `Problem`.
        seed: of the random W and directions, an integer >= 0.
        method: of the fit, as `fit` takes it.
        progress: called with a line of text before each long step.

    Returns:
        A `VerifyReport`.

    Raises:
        TypeError, ValueError: as `Problem` raises them; an option is out of range, or does not go with a `Problem`.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> report = js.verify((np.array([[0.0], [1.0], [2.0], [3.0]]), list("abab")), l2=0.1)
        >>> [check for check in report.datasets[0].checks if check.passed is False]
        []
    """
    prepared = prepare(data, label_smoothing=label_smoothing, l2=l2, dtype=dtype)
    check_options(label_smoothing=label_smoothing, l2=l2, dtype=dtype or "float64", seed=seed)
    check_method(method)
    return verify_prepared(prepared, seed, progress, method)


def verify_prepared(
    prepared: tuple[Prepared, ...],
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
    method: Any = "auto",
) -> VerifyReport:
    """`verify` for problems made by `prepare`: nothing here fails because of the data."""
    tell = progress or (lambda line: None)
    with jax.enable_x64(True):
        reports = tuple(_one(each, seed, tell, method) for each in prepared)
        return VerifyReport(version(), environment(), reports)


def _one(prepared: Prepared, seed: int, tell: Callable[[str], None], method: Any) -> DatasetReport:
    """All checks on one problem."""
    begin = time.perf_counter()
    problem, name = prepared.problem, prepared.about["name"]
    N, D, C = problem.shape
    rng = np.random.default_rng(seed)
    key = jax.random.key(seed)
    W = draw(problem, rng, LOGIT_SPREAD)
    tell(f"{name}: cross-checking the derivatives at a random W")
    crosscheck = crosscheck_problem(problem, W, key=key)
    tell(f"{name}: training")
    first_order = choose(method, problem).linear
    steps = int(min(10_000, max(100, FIT_WORK / (N * D * C)))) if first_order else None
    seen: list[Any] = []

    def told(state: Any) -> None:
        seen.append(state)
        tell(f"{name}: {state.words()}")

    result = whole(fit_quietly(problem, method, max_steps=steps, progress=told))  # half a verification is none
    fitted = stored(result.W, problem)
    at = "fitted W" if result.converged else "last W"
    tell(f"{name}: cross-checking the derivatives at the {at}")
    crosscheck_at_fit = crosscheck_problem(problem, fitted, key=key)
    checks = crosscheck_rows(crosscheck, crosscheck_at_fit, at)

    tell(f"{name}: deciding whether a minimiser exists")
    verdict = verdict_on(problem, prepared.decimal, result.existence)
    checks += check_existence_verdict(problem, verdict, result, W)

    dense = C * D <= DENSE_LIMIT
    affordable = dense or N * D * C <= PROBE_WORK
    probe = None
    for where, point in (("random W", W), (at, fitted)):
        tell(f"{name}: probing the curvature at the {where}")
        checks += check_positivity_and_kernel(problem, point, where, rng)
        checks += check_softmax_covariance(problem, point, where)
        if affordable and (point is fitted or C * D <= SECOND_PROBE_LIMIT):
            probe = probe_convexity(problem, point, progress=lambda line: tell(f"{name}: {line}"))
            checks += check_curvature(problem, point, where, probe)
        checks += check_self_concordance(problem, point, where, rng)
    if not affordable:
        note = f"not run: N·D·C = {N * D * C:.1e} > {PROBE_WORK:.0e} (probe by products)"
        checks += [not_run(s, "eigenvalues of the Hessian", at, note) for s in ("S5", "S6", "S7a", "S7c")]
    tell(f"{name}: proving the minimum")
    certificate, why = certificate_on(problem, prepared.decimal, result, verdict)
    checks += check_minimiser_certificate(problem, certificate, why, result, probe, at)
    tell(f"{name}: gradient descent")
    checks += check_descent(problem, int(min(200, max(20, DESCENT_WORK / (N * D * C)))))
    reason = "" if result.converged else "not run: no minimiser was reached"
    if not dense:
        reason = f"not run: C·D = {C * D} > {DENSE_LIMIT} (dense eigenvectors)"
    checks += check_rate(problem, fitted, probe, reason)

    findings = [*prepared.notes, *_findings(result, problem, verdict, crosscheck, probe)]
    if prepared.shown_raw is not None:
        tell(f"{name}: without smoothing")
        sentence, rows = _without_smoothing(name, prepared.shown_raw, prepared.decimal, W)
        findings.append(sentence)
        checks += rows
    rank = None if probe is None else int(probe.rank)
    return DatasetReport(
        name=name,
        problem=describe(prepared, seed, rank),
        checks=in_order(checks),
        findings=tuple(findings),
        crosscheck=crosscheck,
        crosscheck_at_fit=crosscheck_at_fit,
        fit=result,
        convexity=probe,
        existence=verdict,
        certificate=certificate,
        seconds=time.perf_counter() - begin,
        progress=tuple(seen),
    )


def _findings(
    result: Fit,
    problem: Problem,
    verdict: ExistenceVerdict | None,
    crosscheck: CrossCheckReport,
    probe: ConvexityReport | None,
) -> list[str]:
    out = fit_findings(result, problem, verdict)
    out += [f"cross-check: {diagnosis}" for diagnosis in crosscheck.diagnoses]
    if probe is not None and probe.verdict.value == "UNRESOLVED":
        out += [f"convexity: {probe.reason}", conditioning_advice(problem)]
    return list(dict.fromkeys(out))


def _without_smoothing(name: str, problem: Problem, decimal: bool, W: np.ndarray) -> tuple[str, list[Row]]:
    """What is proved about the one-hot labels, where smoothing had made a minimiser exist, and what training does."""
    result = whole(fit_quietly(problem))
    verdict = verdict_on(problem, decimal, result.existence)
    said = "not decided." if verdict is None or verdict.proof is None else existence_words(verdict)
    sentence = (
        f"{name} without label smoothing: {said} The fit ends as {result.status.name} after {result.steps} "
        f"steps at loss {result.loss:.10g} with ‖W‖ = {np.linalg.norm(result.W):.4g}, and is "
        f"{'called' if result.converged else 'not called'} converged."
    )
    return sentence, check_existence_verdict(problem, verdict, result, W, "without smoothing")

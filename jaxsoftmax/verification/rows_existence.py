"""S9 and S10 on data: the verdict on existence, its direction against the loss, its certificate against the checker."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxsoftmax.calculus.loss.derivatives import gradient
from jaxsoftmax.evidence.crosscheck.tolerances import gradient_tolerance
from jaxsoftmax.problem.dtypes import stored_eps
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.existence.status import Existence
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.reporting.row import Row, compare, not_run, yes_or_no
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.fit import fit
from jaxsoftmax.training.result import Fit
from jaxsoftmax.verification.points import columns

BUDGET = 20.0  # seconds
CHECK_WORK = 2e6  # N·D up to which the data are dumped for the checker: about two seconds

__all__ = ["check_existence_verdict", "fit_quietly", "verdict_on"]


def verdict_on(
    problem: Problem, decimal: bool, known: ExistenceVerdict | None = None, budget: float = BUDGET
) -> ExistenceVerdict | None:
    """The verdict, or None for a problem that no longer has its data as given (one rebuilt by JAX).

    Args:
        problem: to decide.
        decimal: read its floats as decimals.
        known: a verdict on the same problem, which is kept where it is final and of the same numbers.
        budget: seconds after which no further stage of the decision starts.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.verification.rows_existence import verdict_on
        >>> verdict_on(js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0]), decimal=False).status.name
        'ATTAINED'
    """
    if problem.host is None or problem.host.regularizer is None:
        return None
    if known is not None and known.proof is not None and known.type != "open" and known.data.decimal == decimal:
        return known
    from jaxsoftmax.proof.existence.decide import decide_existence  # costs 0.2 s

    return decide_existence(problem, budget=budget, decimal=decimal)


def fit_quietly(problem: Problem, *arguments: Any, **options: Any) -> Fit:
    """`fit` without its warning that no minimiser exists: the report says it from `Fit.existence`, once.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.verification.rows_existence import fit_quietly
        >>> fit_quietly(js.Problem.from_labels([[0.0], [1.0]], [0, 1])).existence.type.value
        'complete'
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoMinimizerWarning)
        return fit(problem, *arguments, **options)


def check_existence_verdict(
    problem: Problem, verdict: ExistenceVerdict | None, result: Fit, W: np.ndarray, about: str = ""
) -> list[Row]:
    """The rows about a verdict; `about` is put beside each, where it is not about the problem of the report.

    Where no minimiser exists: L∞(V) = 0 along its direction V, computed in float64 from S9's formula (V is exact, and
    the rounding of X, V and the products is allowed for); the loss falls along V from W; no fit was called converged.
    Where something was proved: what the independent checker says about its certificate, of the exact dump.
    """
    what = "whether a minimiser exists"
    if verdict is None:
        return [not_run("S9", what, about, "not run: the problem was rebuilt by JAX, its data as given are gone")]
    if verdict.proof is None:
        return [not_run("S9", what, about, f"UNDECIDED: {verdict.reason}")]
    rows = []
    if verdict.status is Existence.NOT_ATTAINED and verdict.direction is not None:
        top = max(int(abs(v)) for v in verdict.direction.flat)
        V = np.array([[int(v) / top for v in row] for row in verdict.direction])
        slope, rounding = _recession(problem, V)
        rows.append(
            compare("S9", "slope of the loss far along the separating direction", about, slope, "=", 0.0, rounding)
        )
        falls = float(np.sum(np.asarray(gradient(W, problem), np.float64) * V))
        allowed = float(np.sum(gradient_tolerance(W, problem) * np.abs(V)))
        rows.append(
            compare("S9", "slope of the loss along it at a random W: the loss falls", about, falls, "<=", 0.0, allowed)
        )
        rows.append(
            yes_or_no("S9", "the fit is not called converged, for no minimiser exists", about, not result.converged)
        )
    rows.append(_recheck(problem, verdict, about))
    return rows


def _recession(problem: Problem, V: np.ndarray) -> tuple[float, float]:
    """L∞(V) = Σ s_n [max_i (V x_n)_i − t_nᵀ V x_n] in float64 (S9), and what rounding may add to it.

    With u = 2⁻⁵³ and e the eps of X's dtype, an entry of X is within e/2 (and, read as a decimal, u) of the number that
    V is about, V within u, a sum of D products within D u: a logit within (D + 2) u + e/2, twice that for terms of
    second order, of B_n = max_c Σ_d |V_cd x_nd|. Two logits are compared; to which come t, within e, and a sum of C.
    """
    X, s = columns(problem)
    Z, T = X @ V.T, np.asarray(problem.T, np.float64)
    size = (np.abs(X) @ np.abs(V).T).max(axis=1)
    u, e = 2.0**-53, stored_eps(problem)
    allowed = (4 * ((problem.D + 2) * u + e / 2) + (problem.C + 3) * u + e) * size
    slope = Z.max(axis=1) - np.sum(T * Z, axis=1)
    return float(s @ slope), float(s @ allowed) * (1 + 2 * problem.N * u)


def _recheck(problem: Problem, verdict: ExistenceVerdict, about: str) -> Row:
    statement = {"multipliers": "S10", "coercive": "S21e"}.get(str(verdict.proof), "S9")
    statement = "S10" if verdict.type == "quasi-complete" else statement
    what = f"proof that {'a' if verdict.attained else 'no'} minimiser exists, independent checker"
    N, D = problem.host.X.shape
    if N * D > CHECK_WORK:
        note = f"not run: N·D = {N * D:.1e} > {CHECK_WORK:.0e}; the command certify does it"
        return not_run(statement, what, about, note)
    from jaxsoftmax.proof.checkers.dispatch import check_certificate

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.json"
        verdict.save(file)
        try:
            check_certificate(file, problem)
        except ValueError as error:
            why = str(error).replace(str(file), "certificate")
            return yes_or_no(statement, f"{what}: refused", about, False, why)
    return yes_or_no(statement, f"{what}: accepted", about, True)

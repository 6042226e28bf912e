"""`certify`: the minimiser, the minimum and the curvature of a data set, to digits that are proved (S13-S17).

Guarded by `tests/cli/test_proofs.py`.
"""

from __future__ import annotations

import importlib.util
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.minimum.certificate import Certificate
from jaxsoftmax.proof.minimum.curvature import chosen_method
from jaxsoftmax.proof.minimum.objective import proof_data
from jaxsoftmax.proof.minimum.prove import NotProved, prove_minimum
from jaxsoftmax.proof.minimum.row_space import drop_dependent_columns, reduced_weights
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.memory import cannot_fit, shortage
from jaxsoftmax.support.validation import (
    flag,
    kind_of,
    one_of,
    positive_int,
    refuse_no_function,
    require_concrete,
)
from jaxsoftmax.training.divergence import NoMinimizerWarning
from jaxsoftmax.training.fit import fit
from jaxsoftmax.training.result import whole

__all__ = ["certify"]

_MOST_BYTES = 8e9  # that the probabilities and logits of one evaluation may take where it is not known what is free
_MOST_DIGITS = 3000  # a checker reads numbers of at most 4000 characters, Python integers of at most 4300
_MOST_ORDER, _MOST_CLASSES = 4096, 512  # that a checker takes on, in pure Python: of a matrix; in a graph of pairs


def certify(
    problem: Problem,
    W: Any = None,
    *,
    digits: int = 20,
    method: str = "auto",
    decimal: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Certificate:
    r"""Prove that a minimiser exists near W, and the minimum of the loss to `digits` significant decimals.

    With :math:`\beta = \sqrt2\max_n\|\Sigma^{-1}x_n\|` and :math:`H(\hat W)\succeq\mu` in the norm
    :math:`\|V\Sigma\|_F`, :math:`q=\beta\|\nabla L\,\Sigma^{-1}\|/\mu<1` proves a minimiser within
    :math:`-\log(1-q)/\beta` (S13). The untrusted part trains and refines W by chord steps; the trusted part encloses
    the loss and the gradient (integers and Arb, section 7.8) and proves μ by exact residuals of guessed factors (S14,
    S15).

    Args:
        problem: a Problem that still has its data as given. L2 and self-regulariser are covered, log-cosh is not.
        W: (C, D) weights near the minimiser, for example `fit.W`; default: those of `fit`.
        digits: significant decimals of the minimum, 1 to 3000.
        method: how the curvature is proved: "pairs" of classes (S14), "full" matrix (S15, sharper), or "auto".
        decimal: read a float as the shortest decimal that prints it, as for `decide_existence`.
        progress: called with a line of text when a phase begins, and now and then in a long one.

    Returns:
        A `Certificate`; `certificate.save(path)` writes it for `jaxsoftmax check`.

    Raises:
        NotProved: no proof at W: there is no minimiser, W is too far from it, or the data are too badly conditioned.
        TypeError, ValueError: naming the argument, what was given and what to do.
        ImportError: python-flint is not installed (the extra `exact`).

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> certificate = js.certify(problem, digits=30)
        >>> certificate.digits >= 30, float(certificate.q) < 1
        (True, True)

    Source: S13-S17; Sun & Tran-Dinh, Math. Program. 178 (2019); Rump, BIT 46 (2006).
    """
    require_concrete(problem)
    digits = positive_int("digits", digits)
    one_of("method", method, ("auto", "pairs", "full"))
    decimal = flag("decimal", decimal)
    refuse_no_function("progress", progress)
    tell = progress or (lambda _: None)
    _refuse_memory(problem, digits)
    if importlib.util.find_spec("flint") is None:
        raise ImportError("certify: needs python-flint. Run: pip install 'jaxsoftmax[exact]'")
    data = ExactData(problem, decimal)
    everything = proof_data(data)
    start = _start(problem, W, tell)
    began = time.perf_counter()
    tell("independent columns")
    reduced, dropped = drop_dependent_columns(everything)
    _refuse_order(method, reduced.C, reduced.A.shape[1])
    proof = prove_minimum(reduced, everything, reduced_weights(start, reduced, dropped), digits, method, tell)
    return _certificate(data, proof, dropped, began)


def _certificate(data: ExactData, proof: Any, dropped: list, began: float) -> Certificate:
    claims = proof.claims
    return Certificate(
        loss_lower=claims.loss_lower,
        loss_upper=claims.loss_upper,
        digits=claims.digits,
        q=claims.q,
        radius=claims.radius,
        radius_euclidean=claims.radius_euclidean,
        curvature_bound=claims.curvature,
        curvature_euclidean_bound=claims.curvature_euclidean,
        curvature_upper_bound=claims.curvature_upper,
        condition_bound=claims.condition,
        rate_bound=claims.rate,
        data_sha256=data.sha256,
        proof=proof,
        dropped=tuple(dropped),
        seconds=time.perf_counter() - began,
        data=data,
    )


def _refuse_memory(problem: Problem, digits: int) -> None:
    if digits > _MOST_DIGITS:
        raise WrongValue("digits", f"got {digits}", f"give at most {_MOST_DIGITS}")
    N, _, C = problem.shape
    each = 0.42 * 3  # bytes a digit: a Python integer of 3.3 bits a digit, thrice
    size = N * C * (64 + digits * each)
    if (free := shortage(size, assumed=_MOST_BYTES)) is not None:
        most = int((free / (N * C) - 64) / each)
        remedy = f"give at most {most}" if most >= 1 else "prove the minimum of fewer samples"
        raise cannot_fit("digits", f"{digits} for probabilities of {N} x {C}", size, free, remedy)


def _refuse_order(method: str, C: int, K: int) -> None:
    method = chosen_method(method, C, K)
    order = (C - 1) * K if method == "full" else K
    if order > _MOST_ORDER or (method == "pairs" and C > _MOST_CLASSES):
        given = f"{method!r} needs matrices of order {order}, for {C} classes"
        most = f"a checker takes matrices of order {_MOST_ORDER}, and for 'pairs' {_MOST_CLASSES} classes, at most"
        raise WrongValue("method", given, f"give fewer columns or classes, or 'pairs': {most}")


def _start(problem: Problem, W: Any, tell: Callable[[str], None]) -> np.ndarray:
    """Float64 weights (C, D): those given, or trained."""
    if W is not None:
        found = np.asarray(W)
        if found.dtype.kind not in "fiu" or found.shape != (problem.C, problem.D):
            needed = f"give fit.W, real, of shape ({problem.C}, {problem.D}), of a fit of this problem, or leave it out"
            raise WrongValue("W", f"got {kind_of(W)}", needed)
        if not np.isfinite(found.astype(np.float64)).all():
            raise WrongValue("W", "holds NaN or infinities", "pass fit.W of a fit that ended at finite weights")
        return found.astype(np.float64)
    tell("training")
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore", NoMinimizerWarning)  # it becomes an error here, with the same words
        # Whatever the compute dtype: the proof is about the data as given.
        result = whole(fit(problem.astype("float64"), progress=lambda state: tell(state.words())))
    verdict = result.existence
    if verdict is not None and verdict.attained is False:
        raise NotProved("certify: there is no minimiser to certify. " + " ".join(verdict.explain().splitlines()))
    return np.asarray(result.W, np.float64)

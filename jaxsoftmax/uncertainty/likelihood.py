"""Which problems are likelihoods (S22), refused in words where they are not; their data, and the face they have (S11).

Where a direction V separates pairs P of a sample and another class, the likelihood rises along V for ever. Its
supremum is the maximum of the likelihood with the pairs P dropped from the row sums, if no direction separates more.
Coefficients on which all maxima of this face agree are finite and have the standard errors of the face; those that move
along V run to infinity, with the sign of V; what moves neither way is not identified.

Guarded by `tests/uncertainty/test_refusals.py` and `tests/uncertainty/test_separated.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.existence.status import Separation
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import refuse_sparse, require_concrete, show
from jaxsoftmax.training.columns import Columns, working_columns

__all__ = ["Likelihood", "face_mask", "likelihood_of", "sentence", "signs_along"]

LARGEST = 6000  # weights (C − 1)·D up to which the information matrix is formed, 0.3 GB, and some like it


class Likelihood(NamedTuple):
    """The samples of positive weight in float64, in `columns`: far offsets and odd units taken out, as in training.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.uncertainty.likelihood import likelihood_of
        >>> data = likelihood_of(js.Problem.from_labels([[0.0], [1.0], [5.0]], [0, 1, 0], sample_weight=[1, 2, 0]))
        >>> data.X.tolist(), data.s.tolist(), data.n
        ([[0.0, 1.0], [1.0, 1.0]], [1.0, 2.0], 3)
    """

    given: Problem
    columns: Columns
    rows: np.ndarray  # (n,) indices of those samples
    X: np.ndarray  # (n, D) in the columns
    T: np.ndarray  # (n, C)
    s: np.ndarray  # (n,) frequencies
    problem: Problem  # the same on the device, float64: use it with x64 on

    @property
    def n(self) -> int:
        """How many observations the samples stand for: Σ s_n."""
        return int(self.s.sum())


def likelihood_of(problem: Any) -> Likelihood:
    """The data of a problem whose loss is a negative log-likelihood: one-hot or count targets, weights frequencies.

    Raises:
        TypeError: not a concrete Problem.
        ValueError: a penalty, smoothed targets, weights that are no whole numbers, targets that are no counts, more
            weights than an information matrix can have, or a problem without the data as given.
    """
    refuse_sparse(problem)
    if not isinstance(problem, Problem):
        raise WrongType("problem", f"got {show(problem)}", "give a jaxsoftmax.Problem, e.g. Problem.from_labels(X, y)")
    require_concrete(problem)
    host = problem.host
    if host is None or host.regularizer is None:
        rebuilt = "this Problem was rebuilt by JAX (or by replace), without the data as given"
        raise WrongValue("problem", rebuilt, "give the Problem that was constructed")
    _refuse_penalties(host)
    s = np.ones(problem.N) if host.sample_weight is None else host.sample_weight.astype(np.float64)
    T = host.targets.rounded(np.dtype(np.float64))
    _refuse_what_is_not_counted(host, s, T)
    size = (problem.C - 1) * problem.D
    if size > LARGEST:
        given = f"it has {size} free weights, and the information matrix would have {size}² entries"
        raise WrongValue("problem", given, f"choose fewer features: at most {LARGEST} free weights")
    rows = np.flatnonzero(s > 0)
    columns = working_columns(problem)
    X, T, s = columns.matrix(problem, np.float64)[rows], T[rows], s[rows]
    with jax.enable_x64(True):
        leaves = (jnp.asarray(X), jnp.asarray(T), jnp.asarray(s), ())
        inner = Problem.tree_unflatten((problem.intercept, "float64"), leaves)
    return Likelihood(problem, columns, rows, X, T, s, inner)


def _refuse_penalties(host: Any) -> None:
    acting = [penalty for penalty in host.regularizer if penalty.strength > 0]
    if acting:
        given = f"it has the penalty {acting[0]!r}, and a penalised fit has no maximum-likelihood standard errors (S22)"
        raise WrongValue("problem", given, "build and fit it without a regularizer")
    if host.targets.label_smoothing > 0:
        smoothing = f"its targets are smoothed by {host.targets.label_smoothing}"
        given = f"{smoothing}, and a fit of smoothed targets has no maximum-likelihood standard errors (S22)"
        raise WrongValue("problem", given, "build and fit it without label_smoothing")


def _refuse_what_is_not_counted(host: Any, s: np.ndarray, T: np.ndarray) -> None:
    parts = np.flatnonzero(s != np.round(s))
    if len(parts):
        n = int(parts[0])
        given = f"the weight of sample {n} is {show(s[n])}, and standard errors take a weight as how often it was seen"
        raise WrongValue("problem", given, "give whole numbers as sample_weight, or leave it out")
    if host.targets.codes is not None:
        return
    counts = s[:, None] * T
    # A row of proportions is rounded in its own dtype, and may be off by 8·eps·C before it is refused.
    allowed = 8 * float(np.finfo(host.targets.rows.dtype).eps) * T.shape[1] * s
    wrong = np.flatnonzero((np.abs(counts - np.round(counts)) > allowed[:, None]).any(axis=1))
    if len(wrong):
        n = int(wrong[0])
        shown = ", ".join(f"{count:.6g}" for count in counts[n, :6]) + (", …" if T.shape[1] > 6 else "")
        given = f"row {n} of T times its sample_weight is {shown}, which are no counts of observations"
        raise WrongValue("problem", given, "give each row's total count as its sample_weight, or give labels")


def face_mask(data: Likelihood, verdict: ExistenceVerdict) -> np.ndarray:
    """(n, C) bool: the classes that stay in each row's sum, the target's own among them.

    Raises:
        ValueError: the verdict does not say which pairs a direction can separate at most.
    """
    separated = verdict.separated
    if separated is None or not (verdict.type is Separation.COMPLETE or verdict.face_maximal):
        raise WrongValue(
            "fit",
            "no minimiser exists, and which coefficients are finite is not known, for another direction may separate "
            f"more. {sentence(verdict)}",
            "pass existence=jaxsoftmax.decide_existence(problem, decimal=True, budget=600), if the data are decimals",
        )
    if separated.shape != (data.given.N, data.given.C):
        raise WrongValue("existence", "the verdict is about other data", "give decide_existence(problem)")
    support = data.T > 0
    return support | ~separated[data.rows]


def sentence(verdict: ExistenceVerdict) -> str:
    """What the verdict says, in one line."""
    return " ".join(verdict.explain().splitlines())


def signs_along(verdict: ExistenceVerdict, reference: int | None) -> np.ndarray:
    """(K, D) -1, 0, 1: the sign of V, exact, in the gauge shown: against the class `reference`, or sum to zero."""
    V: Any = verdict.direction
    if reference is None:
        moved = V * len(V) - V.sum(axis=0)
    else:
        moved = np.delete(V - V[reference], reference, axis=0)
    return (moved > 0).astype(np.int8) - (moved < 0).astype(np.int8)

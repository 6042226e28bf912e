"""Rows filled up to a bucket, so that folds and bootstrap samples of about one size share one compiled loop.

The added rows repeat the first sample with weight 0: they take no part (section 0), and no largest or smallest number
over the rows changes.

Guarded by `tests/training/test_row_bucket.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxsoftmax.problem.arrays import place_rows
from jaxsoftmax.problem.fields import set_fields
from jaxsoftmax.problem.label_targets import LabelTargets
from jaxsoftmax.problem.problem import Problem

# Numbers in X and T: where there are more, compilation is small beside the fit, and a copy is not.
MOST_NUMBERS = 2**22


def bucket(N: int) -> int:
    """The least number from N on that has three significant bits: four buckets from one power of two to the next.

    Example:
        >>> from jaxsoftmax.training.row_bucket import bucket
        >>> [bucket(N) for N in (3, 135, 150, 160, 161, 256, 257)]
        [3, 160, 160, 160, 192, 256, 320]
    """
    step = 1 << max(0, (N - 1).bit_length() - 3)
    return -(-N // step) * step


def filled_up(problem: Problem) -> Problem:
    """The same minimisation with rows of weight 0 up to the bucket; `problem` itself where nothing is to be gained."""
    more = bucket(problem.N) - problem.N
    alone = isinstance(problem.X, jax.Array) and len(problem.X.sharding.device_set) == 1
    if more == 0 or not alone or (problem.N + more) * (problem.D + problem.C) > MOST_NUMBERS:
        return problem

    def longer(part: Any) -> np.ndarray:
        part = np.asarray(part)
        return np.concatenate([part, np.repeat(part[:1], more, axis=0)])

    def unweighted(part: Any) -> np.ndarray:
        part = np.asarray(part)
        return np.concatenate([part, np.zeros(more, part.dtype)])

    X, targets, host = problem.X, problem.targets, problem.host
    if isinstance(targets, LabelTargets):
        targets = dataclasses.replace(targets, codes=place_rows(longer(targets.codes), X))
    else:
        targets = place_rows(longer(targets), X)
    leaves = (place_rows(longer(X), X), targets, place_rows(unweighted(problem.sample_weight), X), problem.regularizer)
    filled = Problem.tree_unflatten((problem.intercept, str(problem.dtype)), leaves)
    if host is not None:
        exact = host.targets
        exact = dataclasses.replace(
            exact,
            codes=None if exact.codes is None else longer(exact.codes),
            rows=None if exact.rows is None else longer(exact.rows),
        )
        weight = np.ones(problem.N, problem.dtype) if host.sample_weight is None else host.sample_weight
        host = dataclasses.replace(host, X=longer(host.X), sample_weight=unweighted(weight), targets=exact)
    return set_fields(filled, host=host)

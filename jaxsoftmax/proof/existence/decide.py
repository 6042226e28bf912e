"""`decide_existence`: does this data set have a minimiser? Cheap proofs first, each in exact arithmetic (S9-S12).

Guarded by `tests/proof/existence/test_verdict.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.existence.stages import Search
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.support.validation import (
    flag,
    positive_real,
    refuse_no_function,
    require_concrete,
)

__all__ = ["decide_existence"]


def decide_existence(
    problem: Problem,
    *,
    budget: Any = 60.0,
    exact: bool = True,
    decimal: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ExistenceVerdict:
    r"""Decide whether the loss (plus its regulariser) attains its minimum, with a witness that anyone can check.

    L attains its minimum exactly if no direction V separates: :math:`(Vx_n)_i = \max_j (Vx_n)_j` for every sample n and
    every class i of its target, with some :math:`Vx_n` not constant (S9). The stages, cheap first:

    1. all targets positive (S9), or a regulariser that forbids every direction (S21e): attained;
    2. one feature at a time, by comparisons (S12): not attained;
    3. a fit that classifies everything, rounded, its margins taken exactly: complete separation;
    4. the residual of a fit, corrected exactly to multipliers G with GᵀX = 0 (S10): attained, or no more separates;
    5. two classes whose convex hulls meet (the Gordan variant of S10): not complete;
    6. the linear program S11 by HiGHS, its solution rounded to an exact one; if that fails, again with columns that a
       lattice reduction has made short, for columns that are dependent but for their last bits;
    7. the same program in rational arithmetic, for ties that floating point cannot tell, such as points of a table on
       one line, read as doubles: it decides every data set that is small enough for the budget.

    The data are read exactly as given (`problem.host`); floating point only proposes, and what is returned has been
    verified with integers. Stages 4 to 7 need python-flint (the extra `exact`).

    Args:
        problem: a Problem that still has its data as given (not one rebuilt by JAX).
        budget: seconds (or an object with `seconds`, such as `jaxsoftmax.Budget`) after which no further stage starts;
            what is proved until then is returned.
        exact: False stops at floating point: the verdict is then marked as not proved, and cannot be saved. Stages 1
            and 2 are exact in either case.
        decimal: read a float as the shortest decimal that prints it (0.1 is 1/10): with tables of decimals, ties
            are ties in decimals only (section 7.10).
        progress: called with a line of text when a stage begins.

    Returns:
        An `ExistenceVerdict`.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
        >>> js.decide_existence(js.Problem.from_labels(X, y)).status.name
        'ATTAINED'
        >>> js.decide_existence(js.Problem.from_labels(X, [0, 0, 1, 1])).type.value
        'complete'

    Source: S9-S12, S21e; Albert & Anderson, Biometrika 71 (1984); Nwaigwe & Rychlik, arXiv:2012.04576.
    """
    began = time.perf_counter()
    require_concrete(problem)
    seconds = _seconds(budget)
    exact, decimal = flag("exact", exact), flag("decimal", decimal)
    refuse_no_function("progress", progress)
    data = ExactData(problem, decimal)
    search = Search(data, exact, began + seconds, progress or (lambda _: None))
    search.run()
    return _verdict(search, began)


def _seconds(budget: Any) -> float:
    seconds = getattr(budget, "seconds", budget)
    if not (isinstance(seconds, (int, float)) and seconds == math.inf):
        seconds = positive_real("budget", seconds)
    return float(seconds)


def _verdict(search: Search, began: float) -> ExistenceVerdict:
    data = search.data
    separated = direction = None
    if search.V is not None:
        separated = np.zeros((data.N, data.C), bool)
        separated[data.rows] = search.separated
        direction = search.direction()
    return ExistenceVerdict(
        status=search.status,
        type=search.type,
        face_maximal=search.face_maximal,
        infimum_estimate=search.infimum_estimate,
        direction=direction,
        multipliers=search.G,
        separated=separated,
        found=search.found,
        proof=search.proof,
        proved=search.proved,
        reason=search.reason,
        budget_spent=search.budget_spent,
        seconds=time.perf_counter() - began,
        stages=tuple(search.stages),
        data=data,
    )

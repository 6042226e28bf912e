"""The small problems on which the calculus is tested: all of N, D, C distinct, so that a transposed class shows.

Between them: two classes, N = 1, D = 1, N < D, C = 12 and C = 40 (the pairwise sum), weights that are not uniform and
some of them 0, deficient rank, constant columns, absent classes, soft, one-hot and mixed targets, an intercept or
none, and every regulariser of S21 a, b, d alone and together.
"""

from __future__ import annotations

import dataclasses

import numpy as np

import jaxsoftmax as js
from helpers import twins
from helpers.stages import fast


@dataclasses.dataclass(frozen=True)
class Case:
    """A recipe for a problem and for the directions at which it is looked at."""

    name: str
    N: int
    D: int  # intercept included
    C: int
    targets: str = "mixed"  # one-hot, soft or mixed
    intercept: bool = False
    alpha: float = 0.0
    penalize_intercept: bool = False
    gamma: float = 0.0
    cosh: tuple[float, float] = (0.0, 1.0)
    deficient: bool = False
    absent: int = 0

    def __str__(self) -> str:
        return self.name


CASES = (
    Case("mixed", 11, 3, 5),
    Case("two-classes-l2", 7, 4, 2, targets="one-hot", intercept=True, alpha=0.75),
    Case("one-sample-l2-intercept", 1, 3, 4, targets="soft", intercept=True, alpha=1.5, penalize_intercept=True),
    Case("one-feature-self", 6, 1, 3, gamma=-1.25),
    Case("wide-all", 3, 5, 4, intercept=True, alpha=0.5, gamma=0.6, cosh=(0.75, 1.5)),
    Case("deficient-absent", 9, 4, 12, targets="one-hot", intercept=True, deficient=True, absent=3),
    Case("many-classes", 6, 2, 40, targets="soft"),
)

# Compilation is what these tests cost, so every case runs in float64 and the one that covers most in float32 too;
# three of these always, the others in the slow stage.
RUNS = fast((*((case, "float64") for case in CASES), (CASES[4], "float32")), 1, 5, 7)


def arrays(case: Case, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """X (N, D without the intercept), T (N, C), s (N,), float64."""
    rng = np.random.default_rng([seed, case.N, case.D, case.C])
    columns = case.D - case.intercept
    X = rng.normal(size=(case.N, columns)) * rng.choice([0.5, 1.0, 2.0], size=columns) + 0.25
    if case.deficient:
        X[:, 1] = -2.0  # a constant column beside the intercept
        X[:, 2] = 4 * X[:, 0]  # exact in either dtype
    labels = np.arange(case.N) % (case.C - case.absent)
    hot = np.eye(case.C)[rng.permutation(labels)]
    soft = rng.dirichlet(np.ones(case.C), size=case.N)
    T = {"one-hot": hot, "soft": soft, "mixed": np.where((np.arange(case.N) % 2 == 0)[:, None], hot, soft)}[
        case.targets
    ]
    s = rng.uniform(0.25, 3.0, size=case.N)
    if case.N > 2:
        s[1] = 0.0
    return X, T, s


def regularizer(case: Case) -> tuple:
    """S21 a, b, d of the case, as Problem takes them."""
    parts = ()
    if case.alpha:
        parts += (js.L2(case.alpha, penalize_intercept=case.penalize_intercept),)
    if case.cosh[0]:
        parts += (js.LogCosh(*case.cosh, penalize_intercept=case.penalize_intercept),)
    if case.gamma:
        parts += (js.SelfRegularizer(case.gamma),)
    return parts


def problem(case: Case, dtype: str, seed: int = 0) -> js.Problem:
    """The problem of a case in a compute dtype (float64 needs x64 on)."""
    X, T, s = arrays(case, seed)
    return js.Problem(
        X, T, intercept=case.intercept, sample_weight=s, regularizer=regularizer(case) or None, dtype=dtype
    )


def data(case: Case, made: js.Problem) -> twins.Data:
    """The same for the twins: stored numbers of X, T, s; strengths from the recipe, rounded to the dtype."""
    penalised = np.ones(case.D)
    if case.intercept and not case.penalize_intercept:
        penalised[-1] = 0.0
    alpha, gamma, *cosh = (float(np.asarray(v, made.dtype)) for v in (case.alpha, case.gamma, *case.cosh))
    return twins.data_of(made, alpha, penalised, gamma, tuple(cosh))


def directions(case: Case, dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W, V, U of shape (C, D), all different, values exact in `dtype`, as float64 arrays."""
    rng = np.random.default_rng([seed + 1, case.N, case.D, case.C])
    return tuple(rng.normal(size=(case.C, case.D)).astype(dtype).astype(np.float64) for _ in range(3))

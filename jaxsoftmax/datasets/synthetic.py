"""Synthetic data with a minimiser for certain (S9): overlap, collinearity (S6), huge logits, imbalance; each with why.

The makers are public as `js.datasets.make_…`; those without a minimiser are in `synthetic_separated.py`. The data are
made on the host by NumPy's generator from an integer `seed`; every number that a claim rests on is a small integer, so
each claim is about the stored matrix, exactly, in float32 as in float64. The truth is that of
`Problem.from_labels(data.X, data.y)`, which appends the intercept column of ones last: directions are (C, D + 1), and
`rank` is that of [X, 1].
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.support.validation import positive_int, show

LOGIT_FLOOR = 700  # exp(-2*700) < 1e-607: what `make_huge_logits` drops is no double


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class SyntheticDataset(Dataset):
    """A `Dataset` that knows its answer, for the one-hot problem with an intercept column, no smoothing, no penalty.

    Attributes:
        truth: a dict. Always: `exists` (whether the loss attains its minimum), `separation` ("none", "complete",
            "quasi-complete"), `direction` (a separating V, (C, D + 1) with the intercept last, or None), `rank` (of
            [X, 1]), `kernel_dim` (S6) and `why` (one sentence naming the statements). Each maker adds its own keys.

    Example:
        >>> import jaxsoftmax as js
        >>> data = js.datasets.make_separable(seed=1)
        >>> data.truth["exists"], data.truth["separation"], data.truth["rank"]
        (False, 'complete', 3)
    """

    truth: dict[str, Any] = dataclasses.field(default_factory=dict)


def size_of(name: str, value: Any, least: int, why: str) -> int:
    """`value` as an integer of at least `least`, or an error that says why."""
    if positive_int(name, value) < least:
        raise ValueError(f"{name}: got {value}; at least {least} needed ({why}). Give {name}={least} or more.")
    return int(value)


def generator(seed: Any) -> np.random.Generator:
    """NumPy's generator for a seed, which must be an integer >= 0."""
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"seed: got {show(seed)}; give an integer >= 0.")
    return np.random.default_rng(int(seed))


def spanning_points(rng: np.random.Generator, count: int, D: int) -> np.ndarray:
    """(count, D) integers: 0 and the unit vectors first, so that the rank of [points, 1] is D + 1; the rest random."""
    simplex = np.vstack([np.zeros((1, D), np.int64), np.eye(D, dtype=np.int64)])
    return np.vstack([simplex, rng.integers(-4, 5, (count - D - 1, D))])


def _noisy_labels(rng: np.random.Generator, X: np.ndarray, C: int) -> np.ndarray:
    """Labels drawn from the softmax of random logits of size about 1 (by the Gumbel-max rule)."""
    logits = X @ rng.normal(size=(X.shape[1], C)) / max(1.0, math.sqrt(X.shape[1]) * 2)
    return np.argmax(logits + rng.gumbel(size=(len(X), C)), axis=1)


def made(name: str, rng: np.random.Generator, X: np.ndarray, y: np.ndarray, seed: Any, **truth: Any) -> Any:
    """Shuffle the rows and complete the truth; the null space's dimension is S6's."""
    order = rng.permutation(len(y))
    C, columns = int(y.max()) + 1, X.shape[1] + 1
    truth = {"exists": True, "separation": "none", "direction": None, "rank": columns} | truth
    truth["kernel_dim"] = columns + (C - 1) * (columns - truth["rank"])
    return SyntheticDataset(
        name=name,
        X=np.asarray(X[order], np.float64),
        y=np.asarray(y[order], np.int64),
        feature_names=tuple(f"x{d}" for d in range(X.shape[1])),
        target_name="y",
        source=f"synthetic, seed {seed}",
        truth=truth,
    )


def _overlapping(rng: np.random.Generator, points: np.ndarray, N: int, C: int) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers into the points and labels (N,): every point with every class once, then noisy repetitions."""
    M = len(points)
    more = rng.integers(0, M, N - M * C)
    rows = np.concatenate([np.repeat(np.arange(M), C), more])
    return rows, np.concatenate([np.tile(np.arange(C), M), _noisy_labels(rng, points[more], C)])


def make_overlapping(N: int = 200, D: int = 3, C: int = 3, *, seed: int = 0) -> SyntheticDataset:
    """Every point that occurs, occurs with every class: a minimiser exists for certain (S9, S10).

    Proof: L∞(V) = 0 asks that each class seen at x attains the maximum of V x; all are seen, so V x ∝ **1** for every
    x, and V is in the null space (S6). Multipliers that certify it (S10): at a point where class i is seen k_i times,
    G_nj = 1/k_i off the label i and −(C − 1)/k_i on it.

    Args:
        N: samples, at least C(D + 1).
        D: features (integers in −4..4), without the intercept.
        C: classes, at least 2.
        seed: of NumPy's generator, an integer >= 0.

    Returns:
        SyntheticDataset, N x D, of full rank D + 1.

    Raises:
        TypeError, ValueError: a size that cannot be made.

    Example:
        >>> import jaxsoftmax as js
        >>> data = js.datasets.make_overlapping(N=60, D=2, C=3, seed=0)
        >>> js.decide_existence(js.Problem.from_labels(data.X, data.y)).status.name, data.truth["exists"]
        ('ATTAINED', True)
    """
    D, C = positive_int("D", D), size_of("C", C, 2, "one class has nothing to be told from")
    N, rng = size_of("N", N, C * (D + 1), "every class at D + 1 points"), generator(seed)
    points = spanning_points(rng, max(D + 1, N // (2 * C)), D)
    rows, y = _overlapping(rng, points, N, C)
    why = "every point occurs with every class, so no direction separates any sample (S9), as multipliers prove (S10)"
    return made("overlapping", rng, points[rows], y, seed, why=why)


def make_collinear(N: int = 200, D: int = 5, C: int = 3, *, rank: int = 4, seed: int = 0) -> SyntheticDataset:
    """Exact linear dependencies between the features and the intercept: the null space is larger than the gauge (S6).

    The first rank − 1 features are independent; each further one is an integer combination of them plus an integer.
    Every point occurs with every class, so a minimiser exists (S9), unique on 𝒦⊥ only.

    Args:
        N: samples, at least C·rank.
        D: features (small integers).
        C: classes, at least 2.
        rank: of [X, 1], 1 to D + 1.
        seed: of NumPy's generator, an integer >= 0.

    Returns:
        SyntheticDataset; `truth` also has `dependencies`, an integer matrix K (D + 1 − rank, D + 1) of full rank with
        [X, 1] Kᵀ = 0.

    Raises:
        TypeError, ValueError: a size that cannot be made.

    Example:
        >>> import jaxsoftmax as js
        >>> truth = js.datasets.make_collinear(D=5, C=3, rank=4, seed=0).truth
        >>> truth["kernel_dim"], truth["dependencies"].shape  # 6 + 2 (6 - 4)
        (10, (2, 6))
    """
    D, C = positive_int("D", D), size_of("C", C, 2, "one class has nothing to be told from")
    if positive_int("rank", rank) > D + 1:
        raise ValueError(f"rank: got {rank}; [X, 1] has D + 1 = {D + 1} columns. Give rank={D + 1} or less.")
    N, rng = size_of("N", N, C * rank, "every class at as many points as the rank"), generator(seed)
    free = rank - 1
    points = spanning_points(rng, max(rank, N // (2 * C)), free)
    A = rng.integers(-2, 3, (D - free, free + 1))
    columns = np.hstack([points, points @ A[:, :free].T + A[:, free]])
    K = np.hstack([A[:, :free], -np.eye(D - free, dtype=np.int64), A[:, free:]]).astype(np.float64)
    rows, y = _overlapping(rng, points, N, C)
    why = "the dependencies are exact (S6), and every point occurs with every class, so that nothing separates (S9)"
    return made("collinear", rng, columns[rows], y, seed, rank=rank, dependencies=K, why=why)


def make_huge_logits(N: int = 60, D: int = 2, C: int = 3, *, logit: int = 1024, seed: int = 0) -> SyntheticDataset:
    """Data and a W whose logits reach ±`logit` and beyond, with the loss and gradient there known exactly (7.1–7.3).

    Each point occurs once with every class, so W = 0 is the minimiser (S2: the residuals 1/C − t sum to 0 at each
    point), with the loss N log C. W has (2c − C + 1)·logit on x_0, which is a non-zero integer: logits are
    2·logit·|x_0| apart, the loss is Σ_n (max_i z_ni − z_ny) to within N C exp(−2·logit), and the gradient at W is
    Σ_n (e_{a_n} − e_{y_n}) ⊗ x_n with a_n the class of the largest logit, up to as little.

    Args:
        N: samples, a multiple of C, at least C(D + 1).
        D: features (integers in −3..3).
        C: classes, at least 2.
        logit: an integer >= 700.
        seed: of NumPy's generator, an integer >= 0.

    Returns:
        SyntheticDataset; `truth` also has `W` (C, D + 1), `loss_at_W` (an int), `gradient_at_W`, `minimiser`
        (zeros) and `minimum` (N log C, a float).

    Raises:
        TypeError, ValueError: a size that cannot be made.

    Example:
        >>> import jaxsoftmax as js
        >>> data = js.datasets.make_huge_logits(seed=0)
        >>> problem = js.Problem.from_labels(data.X, data.y, dtype="float32")
        >>> int(js.loss(data.truth["W"], problem)) == data.truth["loss_at_W"]
        True
    """
    D, C = positive_int("D", D), size_of("C", C, 2, "one class has nothing to be told from")
    N, rng = size_of("N", N, C * (D + 1), "every class at D + 1 points"), generator(seed)
    logit = size_of("logit", logit, LOGIT_FLOOR, "below it the loss at W is no integer to double precision")
    if N % C:
        raise ValueError(
            f"N: got {N}, no multiple of C = {C}; every point occurs with every class. Give N={N - N % C}."
        )
    M = N // C
    first = np.concatenate([[1, -1], np.ones(D - 1, np.int64), rng.choice([-3, -2, -1, 1, 2, 3], M - D - 1)])
    rest = np.vstack([np.zeros((2, D - 1)), np.eye(D - 1), rng.integers(-3, 4, (M - D - 1, D - 1))])
    points = np.column_stack([first, rest]).astype(np.int64)
    W = np.zeros((C, D + 1))
    W[:, 0] = (2 * np.arange(C) - C + 1) * logit
    ones = np.column_stack([points, np.ones(M, np.int64)])
    top = np.where(first > 0, C - 1, 0)  # the class of the largest logit
    gradient = -np.tile(ones.sum(axis=0), (C, 1))
    np.add.at(gradient, top, C * ones)
    truth = {
        "W": W,
        # The other logits lie 2, 4, ..., 2(C - 1) times logit |x_0| below the largest.
        "loss_at_W": int(C * (C - 1) * logit * np.abs(first).sum()),
        "gradient_at_W": gradient.astype(np.float64),
        "minimiser": np.zeros((C, D + 1)),
        "minimum": N * math.log(C),
        "why": "every point occurs once with every class, so the gradient vanishes at W = 0 (S2) and L is convex (S5)",
    }
    return made("huge logits", rng, np.repeat(points, C, axis=0), np.tile(np.arange(C), M), seed, **truth)


def make_imbalanced(class_counts: Sequence[int] = (180, 18, 2), D: int = 2, *, seed: int = 0) -> SyntheticDataset:
    """Classes of the sizes asked for, down to a single sample, and still a minimiser for certain (S9).

    The largest class has samples at 0 and at ±e_d for every feature; every other class has one at 0. Then L∞(V) = 0
    asks the intercepts to be equal (all classes are seen at 0) and (V e_d)_k both the largest and the smallest of V e_d
    for the largest class k: V is in the null space.

    Args:
        class_counts: samples of each class, at least 1 each; the largest at least 2D + 1.
        D: features (integers in −4..4).
        seed: of NumPy's generator, an integer >= 0.

    Returns:
        SyntheticDataset; `truth` also has `class_counts`.

    Raises:
        TypeError, ValueError: counts that cannot be made.

    Example:
        >>> import jaxsoftmax as js
        >>> data = js.datasets.make_imbalanced((50, 5, 1), seed=0)
        >>> [int((data.y == c).sum()) for c in data.classes], data.truth["exists"]
        ([50, 5, 1], True)
    """
    D, rng = positive_int("D", D), generator(seed)
    counts = [positive_int(f"class_counts[{c}]", count) for c, count in enumerate(class_counts)]
    if len(counts) < 2 or max(counts) < 2 * D + 1:
        raise ValueError(
            f"class_counts: got {show(list(class_counts))}; two classes or more are needed, the largest of at least "
            f"2D + 1 = {2 * D + 1} samples. Give more classes or samples, or fewer features."
        )
    largest = int(np.argmax(counts))
    cross = np.vstack([np.eye(D, dtype=np.int64), -np.eye(D, dtype=np.int64)])
    parts, labels = [], []
    for c, count in enumerate(counts):
        fixed = np.vstack([np.zeros((1, D), np.int64), cross]) if c == largest else np.zeros((1, D), np.int64)
        around = rng.integers(-2, 3, D) if c != largest else np.zeros(D, np.int64)
        parts += [fixed, around + rng.integers(-2, 3, (count - len(fixed), D))]
        labels.append(np.full(count, c))
    why = "the largest class surrounds 0, where every class occurs, so no direction separates any sample (S9)"
    truth = {"class_counts": tuple(counts), "why": why}
    return made("imbalanced", rng, np.vstack(parts), np.concatenate(labels), seed, **truth)

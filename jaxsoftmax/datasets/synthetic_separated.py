"""Synthetic data without a minimiser: complete and quasi-complete separation, each with its direction (S9, S10, S12).

As in `synthetic.py`: small integers from a seeded generator, and truth about [X, 1]; public as `js.datasets.make_…`.

Guarded by `tests/datasets/test_synthetic.py`.
"""

from __future__ import annotations

import math

import numpy as np

from jaxsoftmax.datasets.synthetic import SyntheticDataset, generator, made, size_of, spanning_points
from jaxsoftmax.support.validation import positive_int


def make_separable(N: int = 90, D: int = 2, C: int = 3, *, seed: int = 0) -> SyntheticDataset:
    """Complete separation, with the separating direction: the infimum of the loss is 0 and is not attained (S9).

    Prototypes p_c are distinct points with coordinates in 8ℤ and a sample of class c is p_c plus integers in −3..3.
    V_c = (p_c, −|p_c|²/2) ranks by distance: (V x)_c − (V x)_j = (|x − p_j|² − |x − p_c|²)/2 >= (5² − 3²)/2 = 8,
    because a coordinate where p_c and p_j differ is at most 3 from p_c and at least 5 from p_j.

    Args:
        N: samples, at least C + D.
        D: features (integers).
        C: classes, at least 2.
        seed: of NumPy's generator, an integer >= 0.

    Returns:
        SyntheticDataset; `truth` also has `margin`, the smallest margin of `direction`, and `infimum` 0.

    Raises:
        TypeError, ValueError: a size that cannot be made.

    Example:
        >>> import jaxsoftmax as js
        >>> data = js.datasets.make_separable(seed=0)
        >>> logits = data.X @ data.truth["direction"][:, :-1].T + data.truth["direction"][:, -1]
        >>> bool((logits.argmax(axis=1) == data.y).all()), data.truth["margin"] >= 8
        (True, True)
    """
    D, C = positive_int("D", D), size_of("C", C, 2, "one class has nothing to be told from")
    N, rng = size_of("N", N, C + D, "each class once and D + 1 independent points"), generator(seed)
    reach = math.ceil(C ** (1 / D) / 2) + 1  # a cube of (2 reach + 1)^D >= 4C/3 places, so that drawing ends soon
    places: dict[tuple[int, ...], None] = {}
    while len(places) < C:
        places[tuple(rng.integers(-reach, reach + 1, D).tolist())] = None
    prototypes = 8 * np.array(list(places), np.int64)
    y = np.concatenate([np.arange(C), np.zeros(D, np.int64), rng.integers(0, C, N - C - D)])
    offsets = np.vstack([np.zeros((C, D), np.int64), np.eye(D, dtype=np.int64), rng.integers(-3, 4, (N - C - D, D))])
    X = prototypes[y] + offsets
    V = np.hstack([prototypes, -(prototypes**2).sum(axis=1, keepdims=True) // 2])
    Z = X @ V[:, :-1].T + V[:, -1]
    own = Z[np.arange(N), y]
    Z[np.arange(N), y] = np.iinfo(np.int64).min
    truth = {"exists": False, "separation": "complete", "direction": V.astype(np.float64), "infimum": 0}
    truth["margin"] = int((own - Z.max(axis=1)).min())
    truth["why"] = (
        "every margin of the direction is positive, so the loss falls to 0 along it and never reaches it (S9)"
    )
    return made("separable", rng, X, y, seed, **truth)


def make_quasi_separable(N: int = 90, D: int = 2, C: int = 3, *, seed: int = 0) -> SyntheticDataset:
    """Quasi-complete separation: no minimiser, and ties that no direction can break (S9, S10, S12).

    The upper classes A = {c >= ⌈C/2⌉} lie in x_0 >= 0, the others in x_0 <= 0, and on x_0 = 0 every class occurs at D
    points that span it. V = Σ_{c∈A} e_c ⊗ e_0 is a recession direction (S12). Where every class occurs at the same x,
    any V with L∞(V) = 0 has V x ∝ **1**: all margins there are 0 under every such V, so no V separates completely
    (Gordan's variant of S10). A point off the plane occurs with all classes of its side, which leaves V unique up to
    positive multiples and the null space.

    Args:
        N: samples, at least C(D + 1).
        D: features (integers in −4..4).
        C: classes, at least 2.
        seed: of NumPy's generator, an integer >= 0.

    Returns:
        SyntheticDataset; `truth` also has `upper`, the classes A.

    Raises:
        TypeError, ValueError: a size that cannot be made.

    Example:
        >>> import jaxsoftmax as js
        >>> js.datasets.make_quasi_separable(seed=0).truth["direction"].tolist()
        [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    D, C = positive_int("D", D), size_of("C", C, 2, "one class has nothing to be told from")
    N, rng = size_of("N", N, C * (D + 1), "every class at D points of the plane and one off it"), generator(seed)
    upper = np.arange((C + 1) // 2, C)
    side = np.where(np.arange(C) >= upper[0], 1, -1)
    plane = np.hstack([np.zeros((D, 1), np.int64), spanning_points(rng, D, D - 1)])
    off = np.zeros((C, D), np.int64)
    off[:, 0] = side
    free = N - C * (D + 1)
    y = np.concatenate([np.tile(np.arange(C), D), np.arange(C), rng.integers(0, C, free)])
    more = rng.integers(-4, 5, (free, D))
    more[:, 0] = side[y[C * (D + 1) :]] * np.abs(more[:, 0])
    V = np.zeros((C, D + 1))
    V[upper, 0] = 1.0
    truth = {"exists": False, "separation": "quasi-complete", "direction": V, "upper": tuple(upper.tolist())}
    truth["why"] = (
        "x_0 has the upper classes on one side and the others on the other (S12), so L has no minimum (S9); at the "
        "points where every class occurs all margins vanish under every recession direction (S10)"
    )
    return made("quasi-separable", rng, np.vstack([np.repeat(plane, C, axis=0), off, more]), y, seed, **truth)

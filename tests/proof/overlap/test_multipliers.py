"""The exact correction of S10, in fractions, on families built to be stationary and on gradients of rough fits."""

import numpy as np
import pytest

from helpers.integer_problems import assert_multipliers, eliminated
from jaxsoftmax.proof.exact.products import as_smallest, integer_bits
from jaxsoftmax.proof.exact.witness import is_stationary
from jaxsoftmax.proof.overlap.multipliers import exact_multipliers

PATTERNS = ("all", "groups", "some", "soft", "lonely", "chain")


def stationary(seed: int, pattern: str):
    """A (n, K), support, positive and an integer G of S10: G first, then columns of A from the null space of Gᵀ."""
    rng = np.random.default_rng(seed)
    n, C = int(rng.integers(9, 16)), int(rng.integers(2, 6))
    codes = rng.integers(0, C, n)
    support = np.eye(C, dtype=bool)[codes]
    if pattern == "soft":
        support |= rng.random((n, C)) < 0.3
    positive = ~support
    if pattern == "groups":
        positive &= (codes % 2)[:, None] == np.arange(C) % 2
    if pattern == "some":
        positive &= rng.random((n, C)) < 0.6
    if pattern == "chain":
        positive &= np.arange(C) == codes[:, None] + 1
    if pattern == "lonely":
        positive[rng.random(n) < 0.4] = False
    G = np.where(positive, rng.integers(1, 9, (n, C)), np.where(support, rng.integers(-9, 10, (n, C)), 0))
    anchors = support.argmax(axis=1)
    G[np.arange(n), anchors] -= G.sum(axis=1)
    table, pivots = eliminated(G.T)
    free = [i for i in range(n) if i not in pivots]
    kernel = np.zeros((n, len(free)), dtype=object)
    for k, i in enumerate(free):
        common = np.lcm.reduce([1, *(table[r][i].denominator for r in range(len(pivots)))])
        kernel[i, k] = int(common)
        for r, p in enumerate(pivots):
            kernel[p, k] = int(-table[r][i] * int(common))
    mix = rng.integers(-2, 3, (len(free), int(rng.integers(1, 5)))).astype(object)
    A = as_smallest(kernel @ mix)
    if seed % 3 == 0:
        A = np.hstack([A, A[:, :1] * 2])  # dependent columns
    return A, support, positive, G


@pytest.mark.parametrize("pattern", PATTERNS)
def test_perturbed_families_are_made_exact(pattern):
    """Whatever classes a row allows, single rows, parts of a group, soft supports: G is found again, exactly."""
    for seed in range(40):
        A, support, positive, G = stationary(seed, pattern)
        assert not (A.astype(object).T @ G.astype(object)).any()
        noise = 1 + 1e-9 * np.random.default_rng(seed).normal(size=G.shape)
        found = exact_multipliers(A, support, positive, 0.37 * G * noise)
        assert found is not None
        assert_multipliers(A, support, positive, found)


def overlapping(seed: int, n: int, K: int, C: int, whole: bool = True):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, K))
    codes = (X @ rng.normal(size=(K, C)) + 3 * rng.gumbel(size=(n, C))).argmax(axis=1)
    X = np.hstack([X, np.ones((n, 1))])
    return (np.rint(8 * X).astype(np.int64) if whole else X), np.eye(C, dtype=bool)[codes]


def residual(X, support, allowed, steps: int = 8):
    """Y − T after a few damped Newton steps on the loss restricted to the allowed classes."""
    C, K = support.shape[1], X.shape[1]
    X = X / abs(X).max(axis=0)
    W = np.zeros((C, K))
    for _ in range(steps):
        Z = np.where(allowed, X @ W.T, -np.inf)
        Y = np.exp(Z - Z.max(axis=1, keepdims=True))
        Y /= Y.sum(axis=1, keepdims=True)
        S = np.einsum("na,ab->nab", Y, np.eye(C)) - np.einsum("na,nb->nab", Y, Y)
        H = np.einsum("nab,nd,ne->adbe", S, X, X).reshape(C * K, C * K)
        W -= np.linalg.lstsq(H, ((Y - support).T @ X).ravel(), rcond=1e-10)[0].reshape(C, K)
    return Y - support


@pytest.mark.parametrize(("seed", "n", "K", "C"), [(0, 300, 4, 3), (1, 400, 3, 4)])
def test_a_rough_gradient_is_enough_and_the_integers_stay_small(seed, n, K, C):
    """S10: the gradient at W = 0 is enough here; outside the basis entries have few bits, whatever the fit's digits."""
    A, support = overlapping(seed, n, K, C)
    for steps in (1, 2, 3, 8):
        found = exact_multipliers(A, support, ~support, residual(A, support, support | ~support, steps))
        assert found is not None
        assert_multipliers(A, support, ~support, found)
        plain = [block for block in found.blocks if block.denominator == 1]
        assert all(integer_bits(block.values) <= (10 if steps == 1 else 6) for block in plain)
        assert sum(len(block.rows) for block in found.blocks if block.denominator > 1) <= A.shape[1]


def test_doubles_as_integers_of_any_size():
    """The 53-bit mantissas of float64 data with their exponents: Python integers."""
    X, support = overlapping(1, 80, 2, 3, whole=False)
    scaled = np.array([[int(x * 2.0**60) for x in row] for row in X.tolist()], dtype=object) * 2**40
    found = exact_multipliers(scaled, support, ~support, residual(X, support, support | ~support))
    assert found is not None
    assert_multipliers(scaled, support, ~support, found)


def test_duplicated_rows_and_a_missing_edge():
    """Some pairs must be 0: the unknowns are single edges; every row occurs twice."""
    A, support = overlapping(2, 120, 3, 4)
    positive = ~support
    positive[support[:, 0], 2] = False
    A, support, positive = (np.vstack([M, M]) for M in (A, support, positive))
    found = exact_multipliers(A, support, positive, residual(A, support, support | positive))
    assert found is not None
    assert_multipliers(A, support, positive, found)


def test_no_family_is_invented():
    """Separated classes have none (S10); neither have numbers that are not finite."""
    A = np.array([[1], [2], [-1]])
    support = np.array([[True, False], [True, False], [False, True]])
    G = np.array([[-0.1, 0.1], [-0.1, 0.1], [0.3, -0.3]])
    assert exact_multipliers(A, support, ~support, G) is None
    assert exact_multipliers(A, support, ~support, np.full((3, 2), np.nan)) is None
    none = exact_multipliers(A, support, np.zeros_like(support), G)
    assert none is not None and none.blocks == ()


@pytest.mark.slow
def test_many_rows():
    A, support = overlapping(3, 60_000, 20, 10)
    found = exact_multipliers(A, support, ~support, residual_by_descent(A, support))
    assert found is not None and is_stationary(A, found)


def residual_by_descent(A, support, steps: int = 250):
    X, T = np.linalg.qr(A.astype(np.float64))[0], support.astype(np.float64)
    W = np.zeros((T.shape[1], X.shape[1]))
    for _ in range(steps):
        Y = np.exp(X @ W.T)
        Y /= Y.sum(axis=1, keepdims=True)
        W -= 2 * (Y - T).T @ X
    return Y - T


@pytest.mark.parametrize("column", [[1, 1, -2], [2, 0, -2], [-1, -1, 2], [1, 2, -2]])
def test_what_is_not_positive_or_not_stationary_never_leaves(column, monkeypatch):
    """S10: the result is verified as a whole, whatever the parts were."""
    from jaxsoftmax.proof.overlap import multipliers as module

    values = np.stack([-np.array(column), np.array(column)], axis=1)
    part = module._Part(values, np.array([0]), values[:1], 1)
    monkeypatch.setattr(module, "_correct_rows", lambda *_: part)
    support = np.array([[True, False], [True, False], [False, True]])
    found = module.exact_multipliers(np.ones((3, 1), int), support, ~support, values * 1.0)
    assert (found is not None) is (column == [1, 1, -2])

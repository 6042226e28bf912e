"""Synthetic data: each stated truth, proved again on the stored matrix in exact arithmetic (S6, S9, S10, S12)."""

import math
from fractions import Fraction

import jax
import numpy as np
import pytest

import jaxsoftmax as js

MAKERS = {
    "overlapping": js.datasets.make_overlapping,
    "separable": js.datasets.make_separable,
    "quasi": js.datasets.make_quasi_separable,
    "collinear": js.datasets.make_collinear,
    "huge": js.datasets.make_huge_logits,
    "imbalanced": js.datasets.make_imbalanced,
}
SIZES = [{"N": 48, "D": 1, "C": 2}, {"N": 120, "D": 4, "C": 5}]
CASES = [(name, size) for name in ("overlapping", "separable", "quasi", "huge") for size in SIZES]
CASES += [("collinear", {"N": 60, "D": 4, "C": 3, "rank": rank}) for rank in (1, 3, 5)]
CASES += [("imbalanced", {"class_counts": counts, "D": D}) for counts, D in [((1, 40), 1), ((3, 1, 60, 1), 4)]]


def integers(data):
    """[X, 1] as a list of rows of Python integers; fails where an entry is not one, or not a float32."""
    X = np.column_stack([data.X, np.ones(len(data.X))])
    assert (X == np.round(X)).all()
    assert (X == X.astype(np.float32)).all()
    return [[int(entry) for entry in row] for row in X]


def exact_rank(rows):
    """Gauss over the rationals."""
    rows, rank = [[Fraction(entry) for entry in row] for row in rows], 0
    for column in range(len(rows[0])):
        pivot = next((k for k in range(rank, len(rows)) if rows[k][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for k in range(rank + 1, len(rows)):
            factor = rows[k][column] / rows[rank][column]
            rows[k] = [a - factor * b for a, b in zip(rows[k], rows[rank], strict=True)]
        rank += 1
    return rank


def margins(rows, y, V):
    """(V x)_y − (V x)_j for every sample and every j ≠ y, in integers: `margin` of S9 for one-hot targets."""
    V = [[int(entry) for entry in row] for row in V]
    out = []
    for row, own in zip(rows, y.tolist(), strict=True):
        z = [sum(a * b for a, b in zip(v, row, strict=True)) for v in V]
        out.append([z[own] - z[j] for j in range(len(V)) if j != own])
    return out


def at_shared_points(rows, y, C):
    """S10's multipliers: at a point where every class occurs, class i k_i times, 1/k_i and −(C−1)/k_i; else 0."""
    seen = {}
    for row, label in zip(rows, y.tolist(), strict=True):
        seen.setdefault(tuple(row), [0] * C)[label] += 1
    G = []
    for row, label in zip(rows, y.tolist(), strict=True):
        k = seen[tuple(row)]
        G.append([Fraction((1 - C if j == label else 1) * all(k), k[label]) for j in range(C)])
    return G


def residual(rows, G):
    """G **1** and Xᵀ G, both of which S10 wants to vanish."""
    sums = [sum(g) for g in G]
    D, C = len(rows[0]), len(G[0])
    products = [sum(row[d] * g[c] for row, g in zip(rows, G, strict=True)) for d in range(D) for c in range(C)]
    return {*sums, *products}


@pytest.mark.parametrize(("name", "size"), CASES)
@pytest.mark.parametrize("seed", [0, 7])
def test_sizes_rank_and_kernel_are_as_stated(name, size, seed):
    """S6: the kernel has dimension D + (C − 1)(D − R), the rank taken over the rationals."""
    data = MAKERS[name](**size, seed=seed)
    truth, rows = data.truth, integers(data)
    C, columns = len(data.classes), len(rows[0])
    counts = size.get("class_counts")
    assert data.X.shape == (size.get("N", sum(counts or ())), size["D"])
    assert data.classes == tuple(range(C))
    assert C == size.get("C", len(counts or ()))
    assert exact_rank(rows) == truth["rank"]
    assert truth["kernel_dim"] == columns + (C - 1) * (columns - truth["rank"])
    assert js.null_space(js.Problem.from_labels(data.X, data.y, dtype="float32")).dim == truth["kernel_dim"]
    again = MAKERS[name](**size, seed=seed)
    assert (again.X == data.X).all() and (again.y == data.y).all()
    assert "S9" in truth["why"] or "S2" in truth["why"]


@pytest.mark.parametrize(("name", "size"), [case for case in CASES if case[0] in ("overlapping", "collinear", "huge")])
def test_where_every_point_occurs_with_every_class_s10_certifies_a_minimiser(name, size):
    """S10: G **1** = 0, Xᵀ G = 0, and G > 0 off the labels, in rational arithmetic."""
    data = MAKERS[name](**size, seed=3)
    rows, C = integers(data), len(data.classes)
    assert data.truth["exists"] and data.truth["separation"] == "none" and data.truth["direction"] is None
    G = at_shared_points(rows, data.y, C)
    assert residual(rows, G) == {0}
    assert all(g[j] > 0 for g, own in zip(G, data.y, strict=True) for j in range(C) if j != own)


@pytest.mark.parametrize("size", SIZES)
def test_separable_data_are_separated_by_their_direction(size):
    """S9: every margin is positive, and the smallest is the one stated."""
    data = js.datasets.make_separable(**size, seed=3)
    found = margins(integers(data), data.y, data.truth["direction"])
    assert min(map(min, found)) == data.truth["margin"] >= 8
    assert not data.truth["exists"] and data.truth["separation"] == "complete"


@pytest.mark.parametrize("size", [*SIZES, {"N": 60, "D": 3, "C": 3}])
def test_quasi_separable_data_have_a_direction_and_ties_that_none_can_break(size):
    """S9: L∞(V) = 0 with some margin > 0; S10, Gordan: multipliers >= 0 on the ties refute complete separation."""
    data = js.datasets.make_quasi_separable(**size, seed=3)
    rows, C = integers(data), size["C"]
    found = margins(rows, data.y, data.truth["direction"])
    assert min(map(min, found)) == 0 < max(map(max, found))
    G = at_shared_points(rows, data.y, C)
    assert residual(rows, G) == {0}
    off = [g[j] for g, own in zip(G, data.y, strict=True) for j in range(C) if j != own]
    assert min(off) >= 0 < max(off)
    # S12: whole classes on either side of x_0 = 0.
    sides = [set(np.sign(data.X[data.y == c, 0]).tolist()) - {0} for c in range(C)]
    assert sides == [{1} if c in data.truth["upper"] else {-1} for c in range(C)]


def test_collinear_data_satisfy_their_dependencies_exactly():
    """S6: [X, 1] Kᵀ = 0 in integers, and K has full rank, so that the rank is no larger than stated."""
    data = js.datasets.make_collinear(N=60, D=6, C=3, rank=4, seed=5)
    rows, K = integers(data), data.truth["dependencies"].astype(int).tolist()
    assert {sum(a * b for a, b in zip(row, k, strict=True)) for row in rows for k in K} == {0}
    assert exact_rank(K) == 7 - 4


@pytest.mark.parametrize("counts", [(180, 18, 2), (1, 1, 9)])
def test_imbalanced_data_are_surrounded_by_their_largest_class(counts):
    """S9, the premises of the proof: all classes at 0, the largest at ±e_d."""
    data = js.datasets.make_imbalanced(counts, D=2, seed=1)
    assert tuple(np.bincount(data.y)) == counts == data.truth["class_counts"]
    of = {c: {tuple(x) for x in data.X[data.y == c].astype(int).tolist()} for c in range(3)}
    assert all((0, 0) in points for points in of.values())
    assert {(1, 0), (-1, 0), (0, 1), (0, -1)} <= of[int(np.argmax(counts))]


def test_huge_logits_have_the_exact_loss_and_gradient(x64):
    """S1, S2 and sections 7.1-7.3 at logits of ±1024 and beyond: the loss and the gradient are integers."""
    data = js.datasets.make_huge_logits(N=36, D=3, C=4, seed=2)
    truth, rows, W = data.truth, integers(data), data.truth["W"]
    problem = js.Problem.from_labels(data.X, data.y)
    Z = [[sum(int(w) * x for w, x in zip(v, row, strict=True)) for v in W] for row in rows]
    assert min(max(map(abs, z)) for z in Z) >= 1024
    loss = sum(max(z) - z[own] for z, own in zip(Z, data.y.tolist(), strict=True))
    gradient = np.zeros(W.shape, int)
    for z, row, own in zip(Z, rows, data.y.tolist(), strict=True):
        gradient[z.index(max(z))] += row
        gradient[own] -= row
    assert loss == truth["loss_at_W"]
    assert (gradient == truth["gradient_at_W"]).all()
    # Integers below 2^53 add without rounding, and exp(-2048) is 0: the library must return them exactly.
    value, slope = js.value_and_gradient(W, problem)
    assert float(value) == truth["loss_at_W"]
    assert (np.asarray(slope) == truth["gradient_at_W"]).all()
    # At the minimiser the residuals are rationals k/C, which cancel: N terms of size |x| <= 3 in units of eps.
    assert np.abs(js.gradient(truth["minimiser"], problem)).max() <= 36 * 3 * np.finfo(float).eps
    # N terms log C and their sum: a relative error of (N + 2) eps at most.
    assert float(js.loss(truth["minimiser"], problem)) == pytest.approx(truth["minimum"], rel=38 * 2.3e-16)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["overlapping", "separable", "quasi", "collinear", "imbalanced"])
def test_fit_ends_as_the_truth_says(name):
    """S9: converged where a minimiser exists, never where none does."""
    data = MAKERS[name](D=2, seed=4, **({"rank": 2} if name == "collinear" else {}))
    with jax.enable_x64(True):
        result = js.fit(js.Problem.from_labels(data.X, data.y))
    assert result.converged is data.truth["exists"]
    assert (result.status is js.Status.DIVERGING) is not data.truth["exists"]
    if name == "separable":
        assert math.isclose(data.truth["infimum"], 0.0) and result.loss < 1


def test_the_makers_are_public_in_one_place():
    makers = [name for name in js.datasets.__all__ if name.startswith("make_")]
    assert len(makers) == 6
    for name in makers:
        assert ">>> " in getattr(js.datasets, name).__doc__
    with pytest.raises(AttributeError, match="make_rings"):
        js.datasets.make_rings  # noqa: B018


@pytest.mark.parametrize(
    ("maker", "options", "words"),
    [
        ("overlapping", {"N": 11}, ["N: got 11", "at least 12"]),
        ("overlapping", {"N": 2.5}, ["N: got 2.5", "integer"]),
        ("overlapping", {"C": 1}, ["C: got 1", "at least 2"]),
        ("separable", {"D": 0}, ["D: got 0"]),
        ("separable", {"N": 4}, ["N: got 4"]),
        ("quasi", {"seed": -1}, ["seed: got -1"]),
        ("quasi", {"seed": 1.5}, ["seed: got 1.5"]),
        ("collinear", {"D": 3, "rank": 5}, ["rank: got 5", "4 columns"]),
        ("collinear", {"rank": 0}, ["rank: got 0"]),
        ("huge", {"N": 61}, ["N: got 61", "multiple of C", "N=60"]),
        ("huge", {"logit": 699}, ["logit: got 699", "700"]),
        ("imbalanced", {"class_counts": (4, 1)}, ["class_counts: got [4, 1]", "5 samples"]),
        ("imbalanced", {"class_counts": (40, 0)}, ["class_counts[1]: got 0"]),
        ("imbalanced", {"class_counts": (40,)}, ["two classes"]),
    ],
)
def test_sizes_that_cannot_be_made_are_named(maker, options, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        MAKERS[maker](**options)
    for word in words:
        assert word in str(caught.value)

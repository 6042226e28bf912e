"""checker/directions and checker/detection: what the probes look at, and the chance that an error escapes them."""

import math

import numpy as np
import pytest

from jaxsoftmax.checker.numeric.directions import KINDS, directions
from jaxsoftmax.checker.numeric.guarantee import (
    escape_entries,
    escape_gaussian,
    guarantee,
)

W, B = np.arange(1.0, 13.0).reshape(4, 3), np.array(2.0)
NAMES = ["['W']", "['b']"]


def draw(seed=0, **options):
    return list(directions([W, B], np.random.default_rng(seed), names=NAMES, **options))


def flat(direction):
    return np.concatenate([np.ravel(leaf) for leaf in direction.leaves])


def test_every_kind_has_the_shapes_and_says_what_it_probes():
    found = draw()
    assert [direction.kind for direction in found] == list(KINDS)
    for direction in found:
        assert [leaf.shape for leaf in direction.leaves] == [W.shape, B.shape]
        assert all(isinstance(leaf, np.ndarray) and leaf.dtype == np.float64 for leaf in direction.leaves)
        assert direction.touched == tuple(bool(leaf.any()) for leaf in direction.leaves)
        assert direction.name.startswith(direction.kind)


def test_a_key_gives_the_same_directions_again_and_another_key_others():
    first, again, other = draw(1), draw(1), draw(2)
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(flat(a), flat(b))
        if a.kind in ("random", "scaled"):
            assert not np.array_equal(flat(a), flat(c))


def test_random_directions_are_standard_gaussian():
    """Mean 0 and variance 1: 4 standard deviations of the sample mean (1/√N) and of the sample variance (√(2/N))."""
    N = 200 * 13
    entries = np.concatenate([flat(d) for d in draw(kinds=("random",), count=200)])
    assert abs(entries.mean()) <= 4 / math.sqrt(N) and abs(entries.var() - 1) <= 4 * math.sqrt(2 / N)


def test_scaled_directions_follow_the_magnitudes():
    """Gaussian times |magnitude|; zeros and infinities count as the least of their leaf, a leaf of zeros as 1."""
    size = np.ones((4, 3))
    size[0, 0], size[0, 1], size[0, 2], size[1, 0] = 0.0, np.inf, -1e6, 1e-6
    plain = draw(5, kinds=("random",))[0]
    scaled = draw(5, kinds=("scaled",), magnitudes=[size, np.zeros(())])[0]
    factors = flat(scaled) / flat(plain)
    np.testing.assert_allclose(factors, [1e-6, 1e-6, 1e6, 1e-6, *[1.0] * 8, 1.0], rtol=4 * 2.0**-53)


def test_leaves_blocks_and_entries_are_drawn_without_replacement():
    leaves = draw(kinds=("leaf",), count=5)
    assert sorted(d.name for d in leaves) == ["leaf ['W']", "leaf ['b']"]
    entries = draw(kinds=("entry",), count=100)
    assert len(entries) == 13
    assert np.array_equal(np.sort(np.argmax([flat(d) for d in entries], axis=1)), np.arange(13))
    assert all(np.count_nonzero(flat(d)) == 1 and flat(d).sum() == 1 for d in entries)


def test_an_entry_is_named_by_its_index():
    for direction in draw(kinds=("entry",), count=13):
        if direction.touched[0]:
            index = tuple(int(i) for i in np.argwhere(direction.leaves[0])[0])
            assert direction.name == f"entry ['W'][{index[0]}, {index[1]}]"
        else:
            assert direction.name == "entry ['b']"


@pytest.mark.parametrize(("kind", "axis"), [("rows", 0), ("columns", 1)])
def test_blocks_are_signs_on_a_band_and_cover_the_axis(kind, axis):
    blocks = draw(kinds=(kind,), count=100, blocks=2)
    assert len(blocks) == 2
    covered = np.zeros(W.shape)
    for direction in blocks:
        leaf = direction.leaves[0]
        assert not direction.leaves[1].any()
        assert set(np.unique(np.abs(leaf[leaf != 0]))) == {1.0}
        band = leaf.any(axis=1 - axis)
        assert np.array_equal(leaf != 0, np.broadcast_to(np.expand_dims(band, 1 - axis), W.shape))
        covered += np.abs(leaf)
    assert np.array_equal(covered, np.ones(W.shape))


@pytest.mark.parametrize("kind", ["leaf", "rows", "columns", "entry"])
def test_repeated_calls_with_other_keys_cover_every_place(kind):
    """One draw a call; 200 calls miss a given one of at most 13 places with probability (12/13)²⁰⁰ < 2e-7."""
    seen = {draw(seed, kinds=(kind,), blocks=4)[0].name for seed in range(200)}
    assert len(seen) == {"leaf": 2, "rows": 4, "columns": 3, "entry": 13}[kind]


@pytest.mark.parametrize("kinds", [("random",), ("scaled",), ("leaf",), ("entry",), ("rows", "columns")])
def test_new_keys_are_not_blind_to_the_same_subspace(kinds):
    """The directions of many keys span everything that the kind can span: rank 13, or 12 without the scalar leaf."""
    stacked = np.array([flat(d) for seed in range(80) for d in draw(seed, kinds=kinds)])
    ranks = [np.linalg.matrix_rank(stacked[: n * len(kinds)]) for n in (1, 2, 4)]
    assert ranks[0] <= ranks[1] <= ranks[2]
    if kinds in (("random",), ("scaled",)):
        assert ranks == [1, 2, 4]  # with probability 1
    assert np.linalg.matrix_rank(stacked) == (12 if kinds == ("rows", "columns") else 13)


def test_given_directions_come_first_and_are_checked():
    found = draw(kinds=(), given={"x itself": [W, B], "gradient": [W * 0, B]})
    assert [d.name for d in found] == ["x itself", "gradient"]
    assert found[1].touched == (False, True)
    with pytest.raises(ValueError, match=r"given: 'x itself' has the shapes \[\(3, 4\), \(\)\]; the leaves have"):
        draw(given={"x itself": [W.T, B]})
    with pytest.raises(ValueError, match="kinds: got 'rnadom'"):
        draw(kinds=("rnadom",))


def test_counts_can_differ_by_kind():
    found = draw(count={"random": 3, "entry": 2})
    assert [d.kind for d in found] == ["random"] * 3 + ["entry"] * 2


def test_empty_leaves_are_passed_over():
    empty = [np.zeros((0, 3)), np.ones(2)]
    for direction in directions(empty, np.random.default_rng(0), count=4):
        assert direction.touched == (False, True) and direction.leaves[0].shape == (0, 3)


def test_untouched_leaves_take_no_memory():
    """A basis vector of a million entries beside another million: the other leaf is a view of one zero."""
    big = [np.broadcast_to(0.0, (1000, 1000)), np.broadcast_to(0.0, (1000, 1000))]
    (direction,) = directions(big, np.random.default_rng(0), kinds=("entry",))
    still = direction.leaves[direction.touched.index(False)]
    assert still.strides == (0, 0)


# --- detection -------------------------------------------------------------------------------------------------------


def close_to(frequency, probability, trials):
    """Within 5 standard deviations of a binomial frequency: missed by chance once in 2 million."""
    return abs(frequency - probability) <= 5 * math.sqrt(probability * (1 - probability) / trials) + 1 / trials


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("spread", ["one entry", "everywhere", "a plane"])
def test_the_gaussian_escape_probability_is_what_happens(ratio, count, spread):
    """P(all |D·z_k| ≤ τ) = erf(τ/(δ√2))ᴷ, wherever D lies: 20 000 draws of K directions in 12 dimensions."""
    rng, trials = np.random.default_rng(11), 20_000
    D = {"one entry": np.eye(12)[3], "everywhere": np.ones(12), "a plane": np.array([1.0, -2.0] + [0.0] * 10)}[spread]
    D = D / np.linalg.norm(D) * ratio  # tolerance 1
    escaped = np.all(np.abs(rng.standard_normal((trials, count, 12)) @ D) <= 1, axis=1).mean()
    assert close_to(escaped, escape_gaussian(ratio, count), trials)
    assert escape_gaussian(ratio, count) <= (math.sqrt(2 / math.pi) / ratio) ** count


def test_a_matrix_escapes_no_more_often_than_its_largest_row():
    rng, trials = np.random.default_rng(12), 20_000
    D = rng.normal(size=(3, 6))
    ratio = np.linalg.norm(D, axis=1).max()
    escaped = np.all(np.abs(rng.standard_normal((trials, 6)) @ D.T) <= 1, axis=1).mean()
    bound = escape_gaussian(ratio, 1)
    assert escaped <= bound + 5 * math.sqrt(bound / trials)


@pytest.mark.parametrize(("n", "wrong", "probes"), [(20, 1, 4), (20, 5, 3), (13, 2, 6), (13, 13, 1), (13, 0, 5)])
def test_the_escape_of_basis_vectors_is_what_happens(n, wrong, probes):
    """C(n − d, m)/C(n, m): against the exact binomials, and against 20 000 draws of the generator."""
    exact = math.comb(n - wrong, probes) / math.comb(n, probes)
    assert escape_entries(n, wrong, probes) == pytest.approx(exact, rel=1e-13)  # a product of fewer than 20 factors
    assert exact <= (1 - wrong / n) ** probes * (1 + 1e-15)
    rng, trials = np.random.default_rng(13), 2_000
    escaped = np.mean(
        [
            all(
                int(np.argmax(d.leaves[0])) >= wrong
                for d in directions([np.zeros(n)], rng, kinds=("entry",), count=probes)
            )
            for _ in range(trials)
        ]
    )
    assert close_to(escaped, exact, trials)


def test_the_escape_of_many_basis_vectors_is_summed_in_logarithms():
    """n = 10⁶, a thousand wrong, a thousand probes: ΠΠ by logarithms, against exact integers to 1000 roundings."""
    n, d, m = 10**6, 1000, 1000
    exact = math.comb(n - d, m) * 10**20 // math.comb(n, m) / 10**20
    assert escape_entries(n, d, m) == pytest.approx(exact, rel=1000 * 2.0**-52)
    assert escape_entries(10, 6, 5) == 0.0
    assert escape_entries(10, 6, 4) == pytest.approx(1 / 210, rel=1e-14)  # the four right ones, and no others
    assert escape_entries(200, 100, 150) == 0.0  # 150 of 200 entries hold one of 100, whatever the product's form


def test_the_guarantee_says_the_numbers():
    found = guarantee(100, gaussian=3, entries=10, ratio=50.0, fraction=0.07)
    assert f"{escape_gaussian(50.0, 3):.2g}" in found and "7% of the 100 entries" in found
    assert f"{escape_entries(100, 7, 10):.2g}." in found  # 0.07·100 is 7.000000000000001 in float64
    assert "entries" not in guarantee(100, gaussian=3)

"""entries.py: ulps are spacings of the dtype, bins are closed above, the worst entries are found and named."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsoftmax.checker.report.entries import Entry, UlpHistogram, errors_and_ratios, ulps_apart, worst_entries_of

DTYPES = ["float16", "float32", "float64", jnp.bfloat16]


@given(st.floats(1.0, 1.5, width=32), st.integers(-60, 60), st.integers(0, 1000))
def test_neighbours_k_apart_are_k_ulps_apart(mantissa, exponent, k):
    """Within a binade the numbers of a dtype are equally spaced; every quantity here is exact in float64."""
    a = np.ldexp(np.float32(mantissa), exponent)
    b = (a.view(np.int32) + np.int32(k)).view(np.float32)  # the integer of the bits counts the numbers
    assert ulps_apart(a, np.float64(b)) == k
    assert ulps_apart(b, np.float64(a)) == k


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_ulp_is_the_spacing_at_the_larger_value(dtype):
    """nmant bits after the leading one: the spacing at 1 is 2^-nmant; half of it lies between neighbours."""
    nmant = jnp.finfo(dtype).nmant
    one = np.asarray(1.0, dtype)
    assert ulps_apart(one, 1.0 + 2.0 ** -min(nmant, 51)) == 2.0 ** (nmant - min(nmant, 51))
    assert ulps_apart(one, 2.0) == 2.0 ** (nmant - 1)  # |1 - 2| in spacings at 2, which are 2^(1 - nmant)
    assert ulps_apart(np.asarray(0.0, dtype), 1.0) == 2.0**nmant
    assert ulps_apart(one, -1.0) == 2.0 ** (nmant + 1)


def test_subnormals_share_the_smallest_spacing_and_infinities_are_equal_to_themselves():
    tiny = np.finfo(np.float32).smallest_subnormal
    assert ulps_apart(np.float32(3 * tiny), 0.0) == 3
    assert ulps_apart(np.float32(0.0), 0.0) == 0
    pairs = ([np.inf, np.nan, np.inf, 1.0], [np.inf, np.nan, -np.inf, np.nan])
    assert ulps_apart(np.float32(pairs[0]), pairs[1]).tolist() == [0, np.inf, np.inf, np.inf]


def test_bins_are_closed_above_and_every_entry_is_in_one():
    """1 + k 2^-24 is k/2 ulps of float32 from 1, in [1, 2)."""
    halves = np.array([0, 1, 2, 3, 4, 5, 8, 9])
    ours, theirs = np.ones(halves.size, np.float32), 1.0 + halves * 2.0**-24
    histogram = UlpHistogram.of(ours, theirs)
    # ulps: 0, 1/2, 1, 3/2, 2, 5/2, 4, 9/2
    assert histogram.bins() == (("exact", 1), ("≤ 1/2", 1), ("≤ 1", 1), ("≤ 2", 2), ("≤ 4", 2), ("≤ 8", 1))
    assert histogram.dtype == "float32"
    assert len(histogram.edges) == len(histogram.counts)
    assert list(histogram.edges) == sorted(histogram.edges)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_last_bins_hold_opposite_signs_and_what_is_not_finite(dtype):
    histogram = UlpHistogram.of(np.asarray([1.0, 1.0], dtype), [-1.0, np.nan])
    assert histogram.counts[-1] == 1
    assert histogram.counts[-3] == 1  # 2^(nmant + 1) ulps; the bin above is for |a - b| just below 4 * 2^e
    assert histogram.total == 2
    # Numbers just below 2 of opposite sign are the furthest apart that two numbers of a binade can be.
    below = np.asarray(2 - 2.0 ** (1 - jnp.finfo(dtype).nmant), dtype)
    assert UlpHistogram.of(below, -below).counts[-2] == 1


def test_histograms_of_leaves_add_also_where_the_dtypes_differ():
    single = UlpHistogram.of(np.float32([1.0, np.nan]), [1.0, 1.0])
    assert (single + single).counts == tuple(2 * n for n in single.counts)
    half = UlpHistogram.of(np.float16([1.0, np.nan]), [-1.0, 1.0])
    for both in (single + half, half + single):
        assert set(both.dtype.split(", ")) == {"float16", "float32"}
        assert both.edges == single.edges
        assert both.total == 4
        assert both.counts[-1] == 2
        assert both.counts[both.edges.index(11.0)] == 1  # 10 bits of mantissa: 1 and -1 are 2^11 ulps apart


def test_an_empty_leaf_counts_nothing():
    empty = UlpHistogram.of(np.zeros((0, 3), np.float32), np.zeros((0, 3)))
    assert empty.total == 0
    assert empty.bins() == (("exact", 0),)
    assert worst_entries_of("gradient", "", np.zeros((0, 3), np.float32), np.zeros((0, 3)), 0.0) == ()


def test_the_worst_entries_come_first_by_ratio_and_exact_ones_are_left_out():
    ours = np.zeros((40, 50), np.float32)
    ours[3, 5], ours[0, 1], ours[39, 49] = 1.0, 2.0, 0.5
    tolerance = np.ones((40, 50))
    tolerance[39, 49] = 0.125
    found = worst_entries_of("gradient", "['W']", ours, np.zeros((40, 50)), tolerance)
    assert [e.path for e in found] == ["['W'][39, 49]", "['W'][0, 1]", "['W'][3, 5]"]
    assert [e.ratio for e in found] == [4.0, 2.0, 1.0]
    assert found[0] == Entry("gradient", "['W'][39, 49]", 0.5, 0.0, 0.5, 0.125, 2.0**23)
    assert [e.path for e in worst_entries_of("g", "", ours, 0 * ours, tolerance, count=1)] == ["[39, 49]"]
    assert worst_entries_of("value", "", np.float32(1.0), 2.0, 0.5)[0].path == ""


def test_probed_entries_keep_their_place_in_the_leaf():
    found = worst_entries_of("g", "[0]", np.float32([1.0, 4.0]), [1.0, 2.0], 1.0, positions=[(7, 7), (9, 2)])
    assert [e.path for e in found] == ["[0][9, 2]"]


def test_bfloat16_overflow_to_the_right_infinity_is_no_error():
    """The largest bfloat16 is near 3.39e38, below float32's."""
    ours = np.asarray([np.inf, np.inf], jnp.bfloat16)
    error, _, ratio = errors_and_ratios(ours, [1e39, 1.0], 0.0)
    assert (error[0], ratio[0], ratio[1]) == (0.0, 0.0, np.inf)
    assert Entry("g", "", np.inf, 1.0, np.inf, 1.0, np.inf).ratio == np.inf


def test_nothing_is_within_a_negative_or_unknown_tolerance():
    """A ratio below 0 would pass for small: a tolerance is a bound of an absolute value. NaN bounds nothing."""
    assert errors_and_ratios(np.float32([2.0, 1.0]), [1.0, 1.0], -1e-6)[2].tolist() == [np.inf, 0.0]
    assert errors_and_ratios(np.float32([2.0]), [1.0], np.nan)[2].tolist() == [np.inf]

"""Predictions: the counts given stand in the cells, and a reliability diagram's points are means over its bins."""

import numpy as np
import pytest

import jaxsoftmax as js

peers = pytest.mark.peers


@peers
def test_the_counts_stand_in_their_cells_and_colours_are_shares_of_the_true_class(ax):
    counts = np.array([[5, 1, 0], [2, 6, 0], [0, 0, 0]])
    js.plots.plot_confusion(counts, ["a", "b", "c"], ax=ax)
    written = {(int(text.get_position()[1]), int(text.get_position()[0])): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "5", (0, 1): "1", (1, 0): "2", (1, 1): "6"}
    assert np.array_equal(ax.images[0].get_array(), [[5 / 6, 1 / 6, 0], [2 / 8, 6 / 8, 0], [0, 0, 0]])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert js.plots.alt_text(ax).endswith(
        "11 of 14 samples are on the diagonal (78.57 %). Most often b is taken for a (2)."
    )


@peers
def test_numbers_are_written_in_an_ink_that_stands_out(ax):
    js.plots.plot_confusion([[99, 1], [1, 1]], ax=ax)
    assert [text.get_color() for text in ax.texts] == ["white", "black", "black", "black"]


@peers
def test_many_classes_have_few_ticks_and_no_numbers(ax):
    js.plots.plot_confusion(np.eye(50, dtype=int), ax=ax)
    assert len(ax.get_xticks()) <= 20 and not ax.texts


@peers
def test_the_points_are_means_over_the_bins_with_wilsons_interval(ax):
    rng = np.random.default_rng(0)
    P, y = rng.dirichlet([1.0, 1.0, 1.0], size=200), rng.integers(3, size=200)
    P[0], P[1] = [1.0, 0.0, 0.0], [0.5, 0.3, 0.2]  # the ends of bins
    js.plots.plot_reliability(P, y, bins=4, ax=ax)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for row, label in zip(P, y, strict=True):
        bins.setdefault(min(int(max(row) * 4), 3), []).append((max(row), int(np.argmax(row)) == label))
    # Means of up to 200 numbers below 1, summed in another order: at most 200 eps.
    means = [np.mean([p for p, _ in bins[b]]) for b in sorted(bins)]
    shares = [np.mean([right for _, right in bins[b]]) for b in sorted(bins)]
    assert np.allclose(ax.lines[-1].get_data(), [means, shares], rtol=0, atol=200 * np.finfo(float).eps)
    ends = ax.collections[0].get_segments()
    for (_, low), (_, high), share, b in zip(*zip(*ends, strict=True), shares, sorted(bins), strict=True):
        n = len(bins[b])
        for p in (low, high):  # Wilson's ends are the roots of this quadratic
            assert abs((p - share) ** 2 - 1.959963984540054**2 * p * (1 - p) / n) < 1e-12
    off = sum(len(bins[b]) * abs(m - s) for b, m, s in zip(sorted(bins), means, shares, strict=True)) / 200
    assert f"{100 * off:.3g} percentage points" in js.plots.alt_text(ax)


@peers
def test_labels_are_looked_up_among_the_classes(ax):
    js.plots.plot_reliability([[0.9, 0.1], [0.8, 0.2]], ["cat", "dog"], classes=("cat", "dog"), bins=1, ax=ax)
    assert np.allclose(ax.lines[-1].get_data(), [[0.85], [0.5]], rtol=1e-15)  # a mean of two: one rounding


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: js.plots.plot_confusion([[1, 2]]), ValueError, "counts: got"),
        (lambda: js.plots.plot_confusion([[1, -2], [0, 1]]), ValueError, "counts: got"),
        (lambda: js.plots.plot_confusion([[0, 0], [0, 0]]), ValueError, "counts: got"),
        (lambda: js.plots.plot_confusion([["a"]]), TypeError, "counts: got"),
        (lambda: js.plots.plot_confusion([[1, 2], [3]]), TypeError, "counts: got"),
        (lambda: js.plots.plot_confusion([[1]], ["a", "b"]), ValueError, "classes: got 2 for 1"),
        (lambda: js.plots.plot_reliability([[0.5, 0.6]], [0]), ValueError, "probabilities: got"),
        (lambda: js.plots.plot_reliability([[np.nan, 1.0]], [0]), ValueError, "probabilities: it has NaN"),
        (lambda: js.plots.plot_reliability([[0.5, 0.5]], [0, 1]), ValueError, "labels: shape"),
        (lambda: js.plots.plot_reliability([[0.5, 0.5]], [2]), ValueError, "labels: got"),
        (lambda: js.plots.plot_reliability([[0.5, 0.5]], ["a"]), ValueError, "labels: got"),
        (lambda: js.plots.plot_reliability([[0.5, 0.5]], ["c"], classes=["a", "b"]), ValueError, "labels: 'c' is none"),
        (lambda: js.plots.plot_reliability([[0.5, 0.5]], [0], bins=0), ValueError, "bins: got 0"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(call, error, words):
    with pytest.raises(error, match=words):
        call()

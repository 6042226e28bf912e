"""The separating direction: margins and pixels as they follow from V, by a naive twin in exact arithmetic (S9)."""

from fractions import Fraction

import numpy as np
import pytest

import jaxsoftmax as js

peers = pytest.mark.peers


def drawn_margins(ax, C):
    """For each class the margins, from the top of its row to the bottom: the order of the samples."""
    marks = [(y, x) for line in ax.lines[:-1] for x, y in zip(*line.get_data(), strict=True)]
    return [[x for y, x in sorted(marks) if round(y) == c] for c in range(C)]


def naive_margins(verdict, X, codes, pick):
    """pick over the other classes of z_c − z_j, with the largest |v| as unit, in rationals."""
    V = [[Fraction(int(v)) for v in row] for row in verdict.direction]
    most = max(abs(v) for row in V for v in row)
    found = [[] for _ in V]
    for x, c in zip(X, codes, strict=True):
        z = [sum(v * Fraction(float(e)) for v, e in zip(row, [*x, 1.0], strict=True)) / most for row in V]
        found[c].append(float(pick(z[c] - z[j] for j in range(len(V)) if j != c)))
    return found


@peers
@pytest.mark.parametrize(
    ("X", "y", "pick"),
    [
        ([[1.0, 0.5], [2.0, 0.0], [4.0, 1.0], [5.0, 0.0], [9.0, 1.0]], [0, 0, 1, 1, 2], min),  # complete
        ([[0.0], [1.0], [2.0], [2.0], [3.0], [9.0]], [0, 0, 0, 1, 1, 2], max),  # quasi-complete: 2.0 is in two classes
    ],
)
def test_a_mark_is_the_samples_margin_along_v(X, y, pick, ax):
    verdict = js.decide_existence(js.Problem.from_labels(np.array(X), y))
    assert (verdict.type == "complete") == (pick is min)
    verdict.plot(ax=ax)
    twin = naive_margins(verdict, X, y, pick)
    # Logits are sums of three products of numbers up to 9, their difference is below 20: some 4·20 eps.
    for mine, theirs in zip(drawn_margins(ax, 3), twin, strict=True):
        assert np.allclose(mine, theirs, rtol=0, atol=80 * np.finfo(float).eps)
    assert ("smallest" if pick is min else "largest") in ax.get_xlabel()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "1", "2"]


@peers
def test_samples_that_v_does_not_move_have_a_mark_of_their_own(ax):
    X = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])  # only the last has the second feature
    verdict = js.decide_existence(js.Problem.from_labels(X, [0, 0, 1, 1, 1]))
    verdict.plot(ax=ax)
    still, moved = ax.lines[:2]
    assert list(still.get_xdata()) == [0.0] * 4 and len(moved.get_xdata()) == 1
    assert still.get_marker() != moved.get_marker()
    assert "1 of 5 samples are moved" in js.plots.alt_text(ax)


@peers
def test_samples_of_weight_zero_are_not_drawn(ax):
    problem = js.Problem.from_labels([[0.0], [5.0], [1.0]], [0, 0, 1], sample_weight=[1.0, 0.0, 1.0])
    js.decide_existence(problem).plot(ax=ax)
    assert sum(len(line.get_xdata()) for line in ax.lines[:-1]) == 2


@peers
def test_a_sample_with_a_share_of_every_class_is_left_out(ax):
    verdict = js.decide_existence(js.Problem([[0.0], [1.0], [-1.0]], [[0.5, 0.5], [1, 0], [0, 1]], intercept=False))
    verdict.plot(ax=ax)
    assert [len(line.get_xdata()) for line in ax.lines[:-1]] == [2]
    assert "all of 2 samples are moved" in js.plots.alt_text(ax)
    assert js.plots.alt_text(ax).endswith("Left out: 1 whose targets give every class a share.")


@peers
def test_a_tile_is_v_less_the_median_class_over_the_largest_entry(ax):
    images = np.array([[0, 5, 1, 0], [0, 7, 0, 1], [3, 0, 1, 0], [2, 0, 0, 1]])
    verdict = js.decide_existence(js.Problem.from_labels(images, ["a", "a", "b", "b"]))
    js.plots.plot_direction(verdict, (2, 2), ax=ax)
    V = verdict.direction[:, :4]
    twin = (V - np.minimum(V[0], V[1])).astype(float)  # the lower median of two classes is the smaller one
    for image, row in zip(ax.images, twin, strict=True):
        assert np.allclose(image.get_array().ravel(), row / np.abs(twin).max(), rtol=1e-15)  # one division
    assert "images of 2 × 2 pixels" in js.plots.alt_text(ax)


@peers
def test_without_a_direction_the_stages_are_drawn(ax):
    verdict = js.decide_existence(js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]))
    verdict.plot(ax=ax)
    assert [bar.get_width() for bar in ax.patches] == [seconds for _, seconds in verdict.stages]
    assert [label.get_text() for label in ax.get_yticklabels()] == [name for name, _ in verdict.stages]
    assert js.plots.alt_text(ax).startswith("ATTAINED")


def test_bad_input_is_named_before_anything_is_drawn():
    attained = js.decide_existence(js.Problem.from_labels([[0.0], [0.0]], [0, 1]))
    apart = js.decide_existence(js.Problem.from_labels([[0.0], [1.0]], [0, 1]))
    with pytest.raises(ValueError, match="verdict: it has no separating direction"):
        js.plots.plot_margins(attained)
    with pytest.raises(ValueError, match="verdict: it has no separating direction"):
        js.plots.plot_direction(attained, (1, 1))
    with pytest.raises(ValueError, match="there are 1 features"):
        js.plots.plot_direction(apart, (2, 2))
    with pytest.raises(TypeError, match="verdict: got 'yes'"):
        js.plots.plot_stages("yes")

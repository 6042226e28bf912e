"""Images: each tile is a class's weights, row by row, and the middle of the colours is 0."""

from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js

peers = pytest.mark.peers


@peers
def test_each_tile_is_a_class_and_zero_is_in_the_middle(ax):
    coef = np.arange(-3.0, 39.0).reshape(7, 6)
    js.plots.plot_weights(coef, (2, 3), classes="abcdefg", ax=ax)
    assert all(np.array_equal(i.get_array(), row.reshape(2, 3)) for i, row in zip(ax.images, coef, strict=True))
    assert {image.get_clim() for image in ax.images} == {(-38.0, 38.0)}
    assert [text.get_text() for text in ax.texts] == [f"class {name}" for name in "abcdefg"]
    assert js.plots.alt_text(ax) == (
        "Weights of 7 classes as images of 2 × 3 pixels, from -3 to 38. The largest is that of "
        "class g at row 1, column 2."
    )


@peers
def test_tiles_do_not_overlap_and_stand_upright(ax):
    js.plots.plot_weights(np.ones((7, 12)), (4, 3), ax=ax)
    extents = [image.get_extent() for image in ax.images]
    for k, (left, right, bottom, top) in enumerate(extents):
        assert (right - left, bottom - top) == (3, 4)  # width and height; y grows downwards
        for other in extents[:k]:
            assert left >= other[1] or right <= other[0] or top >= other[2] or bottom <= other[3]
    low, high = ax.get_ylim()
    assert low > high


@peers
def test_a_fit_brings_its_classes_and_leaves_its_intercept_out(ax):
    fit = SimpleNamespace(coef=np.arange(8.0).reshape(2, 4), classes=("a", "b"))
    js.plots.plot_weights(fit, (2, 2), ax=ax)
    assert np.array_equal(ax.images[1].get_array(), fit.coef[1].reshape(2, 2))
    assert [text.get_text() for text in ax.texts] == ["class a", "class b"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: js.plots.plot_weights([[1.0, 2.0]], (2, 2)), ValueError, "there are 2 features"),
        (lambda: js.plots.plot_weights([[1.0, 2.0]], 2), TypeError, "shape: got 2"),
        (lambda: js.plots.plot_weights([[1.0, 2.0]], (1.0, 2)), TypeError, "shape: got 1.0"),
        (lambda: js.plots.plot_weights([[1.0, np.inf]], (1, 2)), ValueError, "fit: weights of shape"),
        (lambda: js.plots.plot_weights("fit", (1, 2)), TypeError, "fit: got 'fit'"),
        (lambda: js.plots.plot_weights([[1.0, 2.0]], (1, 2), classes="ab"), ValueError, "classes: got 2 for 1"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(call, error, words):
    with pytest.raises(error, match=words):
        call()

"""Style: lines told apart in grey, strong enough on white, and nothing left behind in matplotlib's settings."""

from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.plots.style import BLACK, BLUE, GREEN, GREY, RED, line_style, named_places, need


def luminance(colour):
    """Relative luminance of WCAG 2."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_thirty_five_lines_differ_without_their_colours():
    looks = [(str(style["linestyle"]), style["marker"]) for style in map(line_style, range(35))]
    assert len(set(looks)) == 35


def test_neighbours_differ_in_dashes_and_in_markers():
    for place in range(35):
        one, other = line_style(place), line_style(place + 1)
        assert one["linestyle"] != other["linestyle"] and one["marker"] != other["marker"]


@pytest.mark.parametrize("colour", [BLUE, RED, GREEN, BLACK, GREY])
def test_colours_of_lines_that_carry_a_bound_have_contrast_three_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 3  # WCAG 2.1, 1.4.11


def test_what_has_not_the_fields_is_refused():
    with pytest.raises(TypeError, match="fit: got 3, an int; give a Fit"):
        need("fit", 3, ("history",), "give a Fit")


@pytest.mark.peers
def test_drawing_changes_no_setting_of_matplotlib(ax):
    import matplotlib

    before = dict(matplotlib.rcParams)
    js.plots.plot_confusion([[1, 0], [0, 1]], ax=ax)
    js.plots.plot_spectrum([1.0, 2.0], ax=ax.figure.add_subplot(2, 1, 2))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.peers
def test_the_legend_stands_beside_the_axes(ax):
    js.plots.plot_spectrum([1.0, 2.0, 4.0], ax=ax)
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1


# No formula, a letter that turns what follows around, more letters than a picture is wide.
NAMES = ["$x^$", "a\u202eb", "long" * 100]
SHOWN = ["$x^$", "a\\u202eb", "longlonglonglonglonglon…"]


def separated():
    return js.decide_existence(js.Problem.from_labels(np.eye(3), NAMES))


def table():
    numbers = np.arange(1.0, 4.0)[:, None]
    return SimpleNamespace(
        classes=NAMES, features=[NAMES[0]], coefficients=numbers, lower=numbers - 1, upper=numbers + 1, level=0.95
    )


def path():
    fit = SimpleNamespace(classes=NAMES)
    many = {"coef": np.ones((2, 3, 1)), "converged": np.array([True, True]), "loss": np.ones(2)}
    return type("Path", (SimpleNamespace,), {"__getitem__": lambda self, place: fit})(**many)


PICTURES = {
    "confusion": lambda ax: js.plots.plot_confusion(np.eye(3), NAMES, ax=ax).get_yticklabels(),
    "weights": lambda ax: js.plots.plot_weights(np.eye(3), (1, 3), classes=NAMES, ax=ax).texts,
    "direction": lambda ax: js.plots.plot_direction(separated(), (1, 3), ax=ax).texts,
    "margins": lambda ax: js.plots.plot_margins(separated(), ax=ax).get_yticklabels(),
    "coefficients": lambda ax: js.plots.plot_coefficients(table(), ax=ax).get_yticklabels(),
    "path": lambda ax: js.plots.plot_path(path(), ax=ax).get_legend().get_texts(),
}


@pytest.mark.peers
@pytest.mark.parametrize("picture", PICTURES)
def test_names_are_drawn_as_letters_and_cut(picture, ax):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    texts = [text.get_text() for text in PICTURES[picture](ax)]
    FigureCanvasAgg(ax.figure).draw()  # a formula that is none stops here
    for text in texts:
        assert any(name in text for name in SHOWN) and len(text) < 64, text


@pytest.mark.peers
def test_very_many_classes_are_named_here_and_there(ax):
    assert list(named_places(40)) == list(range(40))
    assert list(named_places(101)) == list(range(0, 101, 6))  # ceil(101 / 20)
    verdict = js.decide_existence(js.Problem.from_labels(np.eye(101), range(101)))
    labels = [label.get_text() for label in js.plots.plot_margins(verdict, ax=ax).get_yticklabels()]
    assert labels == [str(place) for place in range(0, 101, 6)]

"""A picture inside a page: names of its own, the page's ink, no date, and its words."""

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from jaxsoftmax.page.svg import figure
from jaxsoftmax.plots.predictions import plot_confusion

pytestmark = pytest.mark.peers


def draw(made):
    plot_confusion(np.array([[2, 0], [1, 3]]), ["a<b>", "$x^$"], ax=made.add_subplot())


def test_two_pictures_of_one_drawing_share_no_name():
    one, two = figure("one", "words", draw), figure("two", "words", draw)
    names = [set(re.findall(r' id="([^"]+)"', text)) for text in (one, two)]
    assert names[0] and names[1] and not names[0] & names[1]
    assert one.replace("one-", "two-") == two


def test_a_picture_says_what_it_shows_and_when_is_left_out():
    text = figure("it", "for you & me", draw)
    assert text.startswith('<figure><svg role="img" aria-label="Confusion matrix of 2 classes: 5 of 6')
    assert text.endswith("<figcaption>for you &amp; me</figcaption></figure>")
    assert "<metadata" not in text and "<?xml" not in text and "<style" not in text
    assert "a&lt;b&gt;" in text and "a<b>" not in text
    assert ">$x^$</text>" in text, "two dollar signs in a name are no formula"


def test_thousands_of_marks_are_one_image():
    """A mark is an element of a hundred bytes; a page has room for two million."""

    def marks(count):
        def of(made):
            draw(made)
            made.axes[0].plot(np.arange(count), np.arange(count) % 7, "o")

        return figure("it", "words", of)

    few, many = marks(1500), marks(30_000)
    assert few.count("<use") > 1500 > many.count("<use")
    assert len(many) < 200_000
    assert many.count("data:image/png") == few.count("data:image/png") + 1


def test_lines_and_letters_have_the_pages_ink():
    text = figure("it", "words", draw)
    assert "currentColor" in text and "#010203" not in text


def test_a_name_that_looks_like_a_colour_or_a_link_stays():
    names = ["#000000", "url(#a) id=\"b\" 'DejaVu Sans'"]
    text = figure("it", "words", lambda made: plot_confusion(np.eye(2), names, ax=made.add_subplot()))
    shown = re.findall(r"<text[^>]*>([^<]*)</text>", text)
    assert shown.count("#000000") == 2 and any("url(#a)" in each and "it-" not in each for each in shown)


def test_powers_are_letters_and_the_callers_settings_stay():
    import matplotlib

    before = dict(matplotlib.rcParams)

    def logarithmic(made):
        draw(made)
        made.axes[0].set_yscale("log")
        made.axes[0].set_ylim(1e-3, 1e3)

    text = figure("it", "words", logarithmic)
    assert "10⁻²" in text or "10⁻³" in text
    assert "mathdefault" not in text
    assert dict(matplotlib.rcParams) == before

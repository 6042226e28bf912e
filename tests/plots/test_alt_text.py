"""The alternative text: of the axes that were drawn into, of a figure all, and of nothing but what stands there."""

import pytest

import jaxsoftmax as js
from jaxsoftmax.plots.alt_text import number

peers = pytest.mark.peers


@peers
def test_a_figure_says_what_all_its_axes_say(ax):
    other = ax.figure.add_subplot(2, 1, 2)
    js.plots.plot_spectrum([1.0, 2.0], ax=ax)
    js.plots.plot_tail(3.0, 1, ax=other)
    both = js.plots.alt_text(ax.figure)
    assert both == f"{js.plots.alt_text(ax)} {js.plots.alt_text(other)}"
    assert both.startswith("Spectrum") and "Chi-square" in both


@peers
def test_axes_that_were_cleared_are_described_anew(ax):
    js.plots.plot_spectrum([1.0, 2.0], ax=ax)
    ax.clear()
    js.plots.plot_tail(3.0, 1, ax=ax)
    assert "Spectrum" not in js.plots.alt_text(ax)
    js.plots.plot_tail(4.0, 1, ax=ax)
    assert js.plots.alt_text(ax).count("Chi-square") == 2


@peers
def test_what_was_not_drawn_here_has_no_text(ax):
    ax.plot([0, 1])
    with pytest.raises(ValueError, match=r"drawn: nothing of js\.plots is drawn there"):
        js.plots.alt_text(ax)


def test_what_is_no_picture_is_refused():
    with pytest.raises(TypeError, match="drawn: got 'picture'"):
        js.plots.alt_text("picture")


@pytest.mark.parametrize(("value", "text"), [(2.0, "2"), (0.12345, "0.123"), (1e-9, "1e-09"), (123456, "1.23e+05")])
def test_a_number_has_three_digits(value, text):
    assert number(value) == text

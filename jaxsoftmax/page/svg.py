"""A drawing of matplotlib as SVG inside a page: in the page's ink, light or dark, with names of its own, no date.

Guarded by `tests/page/test_svg.py`.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable
from typing import Any

from jaxsoftmax.page.frame import plain
from jaxsoftmax.plots.alt_text import alt_text
from jaxsoftmax.support.visible import visible

__all__ = ["figure"]

# Ink is the page's own, which depends on the reader's choice of light or dark; a black text on a coloured cell has no
# colour in matplotlib's SVG, and stays black.
_INK, _PAPER = "#010203", "#070809"
_OWN = {_INK: "currentColor", "#000000": "currentColor", _PAPER: "Canvas"}
_RAISED = str.maketrans("0123456789-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻")
_MOST_MARKS = 2000
_WIDEST = 46  # letters of a line of an axis' label
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text: it can be searched and read aloud
    "svg.hashsalt": "jaxsoftmax",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": _INK,
    "text.parse_math": False,  # two dollar signs in a name are no formula; powers are letters (`_powers`)
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.titlesize": 9.0,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.25,
    "patch.edgecolor": _INK,
    "legend.facecolor": _PAPER,
    "legend.edgecolor": _PAPER,
    "legend.framealpha": 0.8,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}
_FONT = "DejaVu Sans, Verdana, sans-serif"  # Verdana is as wide


def figure(name: str, caption: str, draw: Callable[[Any], Any], size: tuple[float, float] = (4.4, 3.5)) -> str:
    """A figure element: the picture, what `js.plots` says is to be seen, and the words below it.

    Args:
        name: unlike that of any other figure of the page.
        caption: as a text.
        draw: draws by `js.plots` into the matplotlib figure that it is given.
        size: in inches.

    Example:
        >>> from jaxsoftmax.page.svg import figure
        >>> callable(figure)
        True
    """
    svg = _svg(name, draw, size)
    return f"<figure>{svg}<figcaption>{plain(caption)}</figcaption></figure>"


def _svg(name: str, draw: Callable[[Any], Any], size: tuple[float, float]) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    out = io.StringIO()
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the browser has other fonts
        warnings.filterwarnings("ignore", message="constrained_layout not applied")  # names longer than the picture
        made = Figure(figsize=size, layout="constrained")
        draw(made)
        _narrow(made)
        FigureCanvasSVG(made).print_svg(out)
        return _inline(out.getvalue(), name, alt_text(made))


def _narrow(made: Any) -> None:
    """Legends below the axes, to which they would leave little room beside them; labels on several lines; few marks."""
    for ax in made.axes:
        for line in ax.lines:
            if line.get_marker() != "None" and line.get_markevery() is None and len(line.get_xdata()) > _MOST_MARKS:
                line.set_rasterized(True)  # a picture of its pixels: a mark takes a hundred bytes
        ax.set_xlabel(textwrap.fill(ax.get_xlabel(), _WIDEST))
        ax.set_ylabel(textwrap.fill(ax.get_ylabel(), _WIDEST))
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log":
                axis.set_major_formatter(_powers(axis.get_major_formatter()))
                axis.set_minor_formatter(_powers(axis.get_minor_formatter()))
        if ax.get_legend() is not None:
            handles, labels = ax.get_legend_handles_labels()
            ax.get_legend().remove()
            made.legend(handles, labels, loc="outside lower left", frameon=False, handlelength=3.2)


def _powers(formatter: Any) -> Any:
    """The same numbers in letters, 10⁻³, and not as formulas, which take matplotlib a third of its time to set."""
    from matplotlib.ticker import FuncFormatter

    def letters(value: float, place: int | None) -> str:
        text = re.sub(r"\$\\mathdefault\{(.*)\}\$", r"\1", formatter(value, place)).replace("\\times", "×")
        return re.sub(r"\^\{(.*?)\}", lambda found: found[1].translate(_RAISED), text)

    made = FuncFormatter(letters)
    made.set_locs = formatter.set_locs  # by which it chooses what to leave out
    return made


def _inline(text: str, name: str, alt: str) -> str:
    """The SVG element alone: no prologue and metadata, no names but those used, and these begin with `name`."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"<defs>\s*</defs>", "", text)
    head, rest = text[: text.index(">") + 1], text[text.index(">") + 1 :]
    box = re.search(r'viewBox="[^"]*"', head)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', "".join(re.findall(r"<[^>]*>", rest))))

    def mended(found: re.Match[str]) -> str:
        tag = re.sub(r' id="([^"]*)"', lambda own: f' id="{name}-{own[1]}"' if own[1] in used else "", found[0])
        tag = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", tag)
        tag = re.sub(r"'DejaVu Sans'(?:, *[^;\"]*)?", _FONT, tag)
        for mark, ink in _OWN.items():
            tag = tag.replace(mark, ink)
        return tag

    rest = re.sub(r"<[^>]*>", mended, rest)  # in tags alone: a class may be called #000000
    rest = visible(re.sub(r">\s+<", "><", rest))
    return (
        f'<svg role="img" aria-label="{plain(alt)}" {box[0] if box else ""} xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink">{rest}'
    )

"""`js.plots`: pictures of fits, spectra, cross-checks, proofs and predictions, each with its alternative text.

Needs matplotlib (the extra `plots`), which is imported on use. Every function draws into `ax`, or into new axes, and
returns the axes: titles, limits and scales are then the caller's. Nothing is shown, saved or configured. The reports
themselves have a method `plot`, which draws what suits them.
"""

from jaxsoftmax.plots.alt_text import alt_text as alt_text
from jaxsoftmax.plots.ball import plot_ball as plot_ball
from jaxsoftmax.plots.checks import plot_checks as plot_checks
from jaxsoftmax.plots.checks import ulp_histogram as ulp_histogram
from jaxsoftmax.plots.history import plot_fit as plot_fit
from jaxsoftmax.plots.history import plot_history as plot_history
from jaxsoftmax.plots.history import plot_rate as plot_rate
from jaxsoftmax.plots.images import plot_weights as plot_weights
from jaxsoftmax.plots.intervals import plot_coefficients as plot_coefficients
from jaxsoftmax.plots.intervals import plot_intervals as plot_intervals
from jaxsoftmax.plots.intervals import plot_tail as plot_tail
from jaxsoftmax.plots.path import plot_path as plot_path
from jaxsoftmax.plots.predictions import plot_confusion as plot_confusion
from jaxsoftmax.plots.predictions import plot_reliability as plot_reliability
from jaxsoftmax.plots.separation import plot_direction as plot_direction
from jaxsoftmax.plots.separation import plot_margins as plot_margins
from jaxsoftmax.plots.separation import plot_stages as plot_stages
from jaxsoftmax.plots.spectrum import plot_spectrum as plot_spectrum

__all__ = [
    "alt_text",
    "plot_ball",
    "plot_checks",
    "plot_coefficients",
    "plot_confusion",
    "plot_direction",
    "plot_fit",
    "plot_history",
    "plot_intervals",
    "plot_margins",
    "plot_path",
    "plot_rate",
    "plot_reliability",
    "plot_spectrum",
    "plot_stages",
    "plot_tail",
    "plot_weights",
    "ulp_histogram",
]

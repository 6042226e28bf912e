"""Which pictures a page has, and the words below them; `js.plots` draws them and says what is to be seen.

Guarded by `tests/page/test_page.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxsoftmax.page.svg import figure
from jaxsoftmax.plots.checks import plot_checks
from jaxsoftmax.plots.images import plot_weights
from jaxsoftmax.plots.predictions import plot_confusion
from jaxsoftmax.plots.separation import plot_direction
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.training.result import Fit
from jaxsoftmax.uncertainty.table import Inference
from jaxsoftmax.verification.report import DatasetReport

__all__ = [
    "coefficients",
    "confusion",
    "image_shape",
    "minimum",
    "separation",
    "side_by_side",
    "spectrum",
    "training",
    "weights",
    "worst_checks",
]


MOST_TILES = 40  # classes up to which each has an image


def side_by_side(figures: Sequence[str]) -> str:
    """The figures in a grid, or nothing.

    Example:
        >>> from jaxsoftmax.page.pictures import side_by_side
        >>> side_by_side([])
        ''
    """
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def image_shape(names: Sequence[str]) -> tuple[int, int] | None:
    """(rows, columns) where the features are the pixels of an image, row by row, as their names say.

    Example:
        >>> from jaxsoftmax.page.pictures import image_shape
        >>> image_shape(["pixel_0_0", "pixel_0_1"]), image_shape(["width", "length"])
        ((1, 2), None)
    """
    places = [re.fullmatch(r"pixel_(\d{1,6})_(\d{1,6})", str(name)) for name in names]
    found = [(int(place[1]), int(place[2])) for place in places if place is not None]
    if not found or len(found) < len(names):
        return None
    rows, columns = found[-1][0] + 1, found[-1][1] + 1
    whole = len(found) == rows * columns and found == list(np.ndindex(rows, columns))
    return (rows, columns) if whole else None


def separation(name: str, verdict: ExistenceVerdict, features: Sequence[str]) -> list[str]:
    """The witness where no minimiser exists: the samples' margins along the direction, and for images its pixels."""
    if verdict.attained is not False or verdict.direction is None:
        return []
    words = "Margins of the samples along the separating direction: where all are at least 0, the loss falls for ever."
    found = [figure(f"{name}-margins", words, lambda made: verdict.plot(ax=made.add_subplot()))]
    shape = image_shape(features)
    if shape is not None and len(verdict.direction) <= MOST_TILES:
        words = "The separating direction as images: what each pixel adds to the logit of a class."
        found.append(
            figure(f"{name}-direction", words, lambda made: plot_direction(verdict, shape, ax=made.add_subplot()))
        )
    return found


def minimum(name: str, data: DatasetReport) -> list[str]:
    """The witness where a minimiser exists: the ball in which it is proved to be."""
    certificate = data.certificate
    if certificate is None:
        return []
    words = "The proved ball: how large each weight is beside the proved bound on its error."
    return [figure(f"{name}-ball", words, lambda made: certificate.plot(ax=made.add_subplot()))]


def training(name: str, data: DatasetReport) -> list[str]:
    """The run against its steps, and against seconds where that was seen."""
    fit: Fit = data.fit
    if len(fit.history["step"]) < 2:
        return []
    low = "its lowest" if fit.gap_estimate is None else "the minimum"  # the legend's words
    what = "‖W‖, which keeps growing," if fit.status.name == "DIVERGING" else f"The loss above {low}, the gradient"
    found = [figure(f"{name}-steps", f"{what} against the steps.", lambda made: fit.plot(ax=made.add_subplot()))]
    if data.progress:
        words = f"{what} against seconds, compilation included."
        draw = lambda made: fit.plot(seconds=data.progress, ax=made.add_subplot())  # noqa: E731
        found.append(figure(f"{name}-seconds", words, draw))
    return found


def spectrum(name: str, data: DatasetReport) -> list[str]:
    """The eigenvalues between their bounds."""
    probe = data.convexity
    if probe is None or probe.spectral_density is None:
        return []
    words = "The curvature: how many eigenvalues of the Hessian lie where, between their proved bounds (logarithmic)."
    return [figure(f"{name}-spectrum", words, lambda made: probe.plot(ax=made.add_subplot()), (4.4, 4.8))]


def worst_checks(name: str, data: DatasetReport) -> list[str]:
    """The share of the limit that was used, of the checks that used most."""
    words = (
        "The checks that came nearest to their limits: the share of what is allowed that each used. Beyond 1 it fails."
    )

    def draw(made: Any) -> None:
        plot_checks(data.checks, most=12, ax=made.add_subplot()).set_xlabel("share of the limit")

    return [figure(f"{name}-shares", words, draw)]


def weights(name: str, data: DatasetReport, features: Sequence[str]) -> list[str]:
    """The weights as images, one for each class, where the features are pixels."""
    shape = image_shape(features)
    if shape is None or len(data.fit.W) > MOST_TILES or not np.isfinite(data.fit.W).all():
        return []
    words = "The fitted weights as images: what each pixel adds to the logit of a class."
    return [figure(f"{name}-weights", words, lambda made: plot_weights(data.fit, shape, ax=made.add_subplot()))]


def confusion(name: str, counts: np.ndarray, classes: Sequence[str]) -> list[str]:
    """True classes by predicted ones."""
    words = "True classes (rows) and predicted ones (columns), of the samples that were trained on."
    return [figure(f"{name}-confusion", words, lambda made: plot_confusion(counts, classes, ax=made.add_subplot()))]


def coefficients(name: str, table: Inference) -> list[str]:
    """The estimates with their intervals."""
    if not table.identified.any():
        return []
    words = f"The coefficients with their {100 * table.level:g} % intervals."
    return [figure(f"{name}-intervals", words, lambda made: table.plot(ax=made.add_subplot()), (4.4, 4.4))]

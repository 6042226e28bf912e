"""`jaxsoftmax predict`: classes and probabilities of new samples, by weights that `fit --weights` saved."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxsoftmax.cli.messages import UnusableInput, refuse_same
from jaxsoftmax.cli.report import print_document
from jaxsoftmax.cli.scopes import interruptible, refusing, replacing
from jaxsoftmax.estimator.confusion import confusion_blocks, confusion_counts
from jaxsoftmax.estimator.fit_file import load_fit
from jaxsoftmax.readers.samples import read_samples
from jaxsoftmax.reporting.blocks import Document, Facts, Title

__all__ = ["Predict", "run_predict"]


class Predict(NamedTuple):
    """The options of `predict`."""

    weights: Path
    data: str
    output: Path
    target: str | None
    quiet: bool


@interruptible()
def run_predict(call: Predict) -> int:
    """Read the fit and the samples, write a CSV of class and probabilities, print how many of each class."""
    refuse_same({"WEIGHTS": call.weights, "DATA": call.data}, {"--output": call.output})
    with refusing(remedy="give a file that fit --weights wrote"):
        fit = load_fit(call.weights)
    with refusing():
        names = None if fit.feature_names is None else fit.feature_names[: fit.coef.shape[1]]
        samples = read_samples(call.data, names, fit.coef.shape[1], call.target)
        probabilities = fit.probabilities(samples.X)
    classes = [str(name) for name in (range(len(fit.W)) if fit.classes is None else fit.classes)]
    codes = np.argmax(probabilities, axis=1)
    document = _document(call, fit, samples, classes, codes)  # refuses unknown labels before anything is written
    with replacing("--output", call.output) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["class", *(f"probability of {name}" for name in classes)])
        for code, row in zip(codes.tolist(), probabilities.tolist(), strict=True):
            writer.writerow([classes[code], *row])
    if not call.quiet:
        print_document(document)
    return 0


def _document(call: Predict, fit: Any, samples: Any, classes: list[str], codes: np.ndarray) -> Document:
    counts = np.bincount(codes, minlength=len(classes))
    facts = [
        ("weights", f"{call.weights}, by {fit.method}, {fit.status.name}"),
        ("samples", f"{len(codes)} of {call.data}"),
        (
            "predicted",
            ", ".join(f"{name} {count}" for name, count in zip(classes, counts.tolist(), strict=True) if count),
        ),
    ]
    if samples.unused:
        facts.append(("not used", ", ".join(samples.unused)))
    found: Document = [Title(f"predictions written to {call.output}"), Facts(facts)]
    if samples.labels is not None:
        unknown = sorted(set(samples.labels.tolist()) - set(classes))
        if unknown:
            given = f"{call.data} has the label {unknown[0]!r}, which the weights do not know"
            raise UnusableInput(f"--target: {given}; name another column, or leave it out.")
        known = {name: code for code, name in enumerate(classes)}
        true = np.array([known[label] for label in samples.labels.tolist()])
        found += confusion_blocks(confusion_counts(true, codes, len(classes)), classes)
    return found

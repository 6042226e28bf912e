"""The sections of a page about one data set: the blocks of the reports, plain words before them, pictures after them.

Guarded by `tests/page/test_page.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxsoftmax.estimator.confusion import confusion_blocks, confusion_counts
from jaxsoftmax.page import pictures
from jaxsoftmax.page.frame import PLAIN, Section, look_beside, plain
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph, Table, Title
from jaxsoftmax.reporting.html import Look, as_html
from jaxsoftmax.reporting.row import rows_table
from jaxsoftmax.uncertainty.table import Inference
from jaxsoftmax.verification.inputs import Prepared, problem_facts
from jaxsoftmax.verification.report import DatasetReport

__all__ = ["Extra", "sections"]

MOST_ROWS = 60  # of a table of coefficients that stands open


class Extra(NamedTuple):
    """What a page has beside the report of `verify`.

    table: the coefficients' table, or a sentence that says why there is none.
    about: what it is about, where that is not the problem of the report.
    verdict: on that other problem.
    """

    table: Inference | str
    about: str = ""
    verdict: ExistenceVerdict | None = None


def sections(number: int, data: DatasetReport, prepared: Prepared, extra: Extra) -> Iterator[Section]:
    """Every section about one data set; names begin with `d` and the number."""
    name = f"d{number}"
    features = data.problem.get("features") or ()
    look = look_beside([data.name, *features, *(data.problem.get("classes") or ())])
    summary = [Facts(data.found()), Title(f"Checks of {data.name}, in groups"), *data.groups()]
    yield Section(name, data.name, 2, as_html(summary, look._replace(heading="h3")))
    yield Section(f"{name}-problem", "The problem", 3, _problem(data, look))
    yield Section(f"{name}-verdict", "Does a best fit exist?", 3, _verdict(name, data, features, look))
    yield Section(f"{name}-training", "Training", 3, _training(name, data, prepared, features, look))
    yield Section(f"{name}-curvature", "Curvature", 3, _curvature(name, data, look))
    yield Section(f"{name}-checks", "Every check", 3, _checks(name, data, look))
    yield Section(f"{name}-table", f"Coefficients{extra.about}", 3, _coefficients(name, extra, features, look))
    yield Section(f"{name}-digits", "Proved digits", 3, _digits(data, look))


def _said(text: str) -> str:
    return f'<p class="about">{plain(text)}</p>'


def _problem(data: DatasetReport, look: Look) -> str:
    words = _said("What was trained: softmax regression, whose loss is the summed cross-entropy, on these data.")
    names = data.problem.get("features") or ()
    facts = problem_facts(data.problem)
    if names:
        facts.append(("features", ", ".join(map(str, names[:12])) + f" and {len(names) - 12} more" * (len(names) > 12)))
    facts.append(("seed", str(data.problem["seed"])))
    findings: Document = [Paragraph(f"finding: {text}", "doubt") for text in data.findings]
    return "\n".join([words, as_html([Facts(facts)], PLAIN), as_html(findings, look)])


def _verdict(name: str, data: DatasetReport, features, look: Look) -> str:
    verdict = data.existence
    if verdict is None:
        return _said("Not asked: the data as given are not at hand.")
    proved = verdict.proof is not None
    words = {
        True: "Yes. The loss has a smallest value, and training has something to reach",
        False: "No. Some direction of the weights lowers the loss for ever: trained longer, the weights only grow",
        None: "This was not decided",
    }[verdict.attained]
    lead: Document = [Paragraph(f"{words}{'; this is proved in exact arithmetic' * proved}.", _tone(verdict))]
    drawn = [*pictures.separation(name, verdict, features), *pictures.minimum(name, data)]
    return "\n".join([as_html([*lead, *verdict.document()], look), pictures.side_by_side(drawn)])


def _tone(verdict: ExistenceVerdict) -> str:
    return {True: "good", False: "bad", None: "doubt"}[verdict.attained]


def _training(name: str, data: DatasetReport, prepared: Prepared, features, look: Look) -> str:
    words = _said("How the run ended, how far it is from the smallest loss, and what it predicts.")
    drawn = [*pictures.training(name, data), *pictures.weights(name, data, features)]
    found = [words, as_html(data.fit.document(), look)]
    host = prepared.problem.host
    if host is not None and host.targets.codes is not None and np.isfinite(data.fit.W).all():
        predicted = np.argmax(data.fit.logits(host.X), axis=1)
        counts = confusion_counts(host.targets.codes, predicted, prepared.problem.C)
        classes = [str(label) for label in data.problem.get("classes") or range(prepared.problem.C)]
        blocks = [Title("Predictions for the samples that it was trained on"), *confusion_blocks(counts, classes)]
        found.append(as_html(blocks, PLAIN))
        drawn += pictures.confusion(name, counts, classes)
    return "\n".join([*found, pictures.side_by_side(drawn)])


def _curvature(name: str, data: DatasetReport, look: Look) -> str:
    words = _said(
        "The eigenvalues of the second derivative: none may be negative, and theory says how large they can be."
    )
    if data.convexity is None:
        return "\n".join([words, _said("Not looked at: the problem is too large for this here.")])
    drawn = pictures.side_by_side(pictures.spectrum(name, data))
    return "\n".join([words, as_html(data.convexity.document(), look), drawn])


def _checks(name: str, data: DatasetReport, look: Look) -> str:
    words = (
        "Each row compares a number with another computation of it, or with its proved bound. The ratio is the share "
        "of what is allowed that was used: at most 1 where the check passed. A head sorts the table; a tag such as S2 "
        "says what it stands for."
    )
    order = sorted(data.checks, key=lambda row: {False: 0, None: 1, True: 2}[row.passed])
    table = rows_table(order)
    table = table._replace(head=(*table.head[:-1], "result"))
    whole = as_html([Title(f"{len(order)} checks of {data.name}"), table], look)
    return "\n".join([_said(words), pictures.side_by_side(pictures.worst_checks(name, data)), whole])


def _coefficients(name: str, extra: Extra, features, look: Look) -> str:
    words = _said("What the data say of each coefficient: its estimate, its standard error, and an interval (S22).")
    found = [words]
    if extra.verdict is not None:
        found.append(as_html(extra.verdict.document(), look))
        found.append(pictures.side_by_side(pictures.separation(f"{name}-raw", extra.verdict, features)))
    if isinstance(extra.table, str):
        return "\n".join([*found, _said(f"There is no table: {extra.table}")])
    document = extra.table.document()
    rows = sum(len(block.rows) for block in document if isinstance(block, Table))
    first = next((k for k, block in enumerate(document) if isinstance(block, Table)), len(document))
    lead, tables = document[: max(first - 1, 0)], document[max(first - 1, 0) :]
    html = as_html(tables, PLAIN)
    if rows > MOST_ROWS:
        html = f"<details><summary>The table of {rows} coefficients</summary>\n{html}\n</details>"
    found += [as_html(lead, look), pictures.side_by_side(pictures.coefficients(name, extra.table)), html]
    return "\n".join(found)


def _digits(data: DatasetReport, look: Look) -> str:
    words = _said("The smallest value of the loss, with digits that are proved, and how near the fitted weights are.")
    if data.certificate is not None:
        return "\n".join([words, as_html(data.certificate.document(), look)])
    reasons = [row.note for row in data.checks if row.quantity == "proof of a minimiser" and row.passed is None]
    return "\n".join([words, *(_said(f"Nothing was proved: {text}.") for text in reasons[:1])])

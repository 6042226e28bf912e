"""What the commands do: read and prepare the data, run with progress on stderr, write the files, print, exit status."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxsoftmax.cli.messages import UnusableInput, refuse_same
from jaxsoftmax.cli.page import check_page, checksums, write_page
from jaxsoftmax.cli.report import RunReport, print_document
from jaxsoftmax.cli.scopes import interruptible, refusing, spinner, write_json, writing
from jaxsoftmax.estimator.confusion import confusion_counts
from jaxsoftmax.estimator.fit_file import load_weights, save_fit
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.readers.columns import refuse_continuous
from jaxsoftmax.readers.read_table import read_table
from jaxsoftmax.reporting.blocks import Paragraph, Title
from jaxsoftmax.reporting.environment import environment, version
from jaxsoftmax.support.errors import WrongArgument, did_you_mean
from jaxsoftmax.support.validation import one_of
from jaxsoftmax.training.registry import check_method, method_names
from jaxsoftmax.training.result import Fit
from jaxsoftmax.verification.advice import conditioning_advice, fit_findings
from jaxsoftmax.verification.inputs import Prepared, check_options, describe, prepare
from jaxsoftmax.verification.points import LOGIT_SPREAD, draw
from jaxsoftmax.verification.report import VerifyReport
from jaxsoftmax.verification.rows_existence import fit_quietly, verdict_on

__all__ = ["Call", "run_fit", "run_probe", "run_report", "run_verify"]

PASSED, FAILED, INTERRUPTED = 0, 1, 130
MOST_COEFFICIENTS = 60  # that a report prints


class Call(NamedTuple):
    """The options that every command has."""

    data: str | None
    target: str | None
    label_smoothing: str | None
    l2: float
    dtype: str
    seed: int
    method: str
    json_file: Path | None
    quiet: bool
    many_classes: bool = False
    progress: bool = False


def _prepare(call: Call, **settings: Any) -> tuple[Prepared, ...]:
    if call.data is None and call.target is not None:
        raise UnusableInput("--target: it names a column of DATA, and no DATA is given; name a file, or leave it out.")
    with refusing():
        check_options(label_smoothing=call.label_smoothing, l2=call.l2, dtype=call.dtype, seed=call.seed)
        one_of("method", call.method, method_names())
        check_method(call.method, **settings)
        table = None if call.data is None else read_table(call.data, call.target)
        if table is not None and not call.many_classes:
            with refusing(remedy="choose a column of classes, or say that these are classes by --many-classes"):
                refuse_continuous(table.y, table.target_name)
        return prepare(table, label_smoothing=call.label_smoothing, l2=call.l2, dtype=call.dtype)


@interruptible()
def run_verify(call: Call, every_row: bool = False, html_file: Path | None = None) -> int:
    """`jaxsoftmax verify`: what was checked, found and proved, or every row; as a page too where that was asked for."""
    report, failures = _verified(call, "--html", html_file)
    if not call.quiet:
        print_document(report.document(all=every_row))
    _raise_first(failures)
    return PASSED if report.passed else FAILED


@interruptible()
def run_report(call: Call, output: Path) -> int:
    """`jaxsoftmax report`: the same as a page, and one sentence."""
    report, failures = _verified(call, "--output", output)
    if not call.quiet:
        tone = "good" if report.passed else "bad"
        short = [Title(report.verdict(), tone), Paragraph(f"The page: {output}")]
        print_document(report.document() if "--output" in failures else short)
    _raise_first(failures)
    return PASSED if report.passed else FAILED


def _verified(call: Call, option: str, page: Path | None) -> tuple[VerifyReport, dict[str, Exception]]:
    """The report, and by option what was raised in the making of a file.

    Files first, because the reader of a pipe may go away; but what cannot be made does not keep the report back, which
    took minutes.
    """
    refuse_same({"DATA": call.data}, {option: page, "--json": call.json_file})
    check_page(option, page)
    sums = {} if page is None else checksums(call)
    prepared = _prepare(call)
    if page is not None and checksums(call) != sums:
        raise UnusableInput(f"{call.data}: the file changed or vanished while it was read; run this again.")
    from jaxsoftmax.verification.run import verify_prepared  # loads every check

    with spinner(call.quiet, call.progress) as update, refusing(library=False):
        report = verify_prepared(prepared, call.seed, update, method=call.method)
        failures: dict[str, Exception] = {}
        try:
            write_json(call.json_file, report.to_dict())
        except Exception as error:  # raised after the report is printed
            failures["--json"] = error
        try:
            if page is not None:
                write_page(option, page, call, report, prepared, sums, update)
        except Exception as error:
            failures[option] = error
    return report, failures


def _raise_first(failures: dict[str, Exception]) -> None:
    with refusing(library=False):
        for error in failures.values():
            raise error


@interruptible()
def run_fit(
    call: Call,
    tol: float | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    whiten: bool = False,
    weights: Path | None = None,
) -> int:
    """`jaxsoftmax fit`: train, print how it ended, save the weights."""
    refuse_same({"DATA": call.data}, {"--weights": weights, "--json": call.json_file})
    prepared = _prepare(call, learning_rate=learning_rate, batch_size=batch_size)[0]
    begin = time.perf_counter()
    with jax.enable_x64(True):
        settings = {"tol": tol, "max_steps": max_steps, "batch_size": batch_size, "whiten": whiten or None}
        result = _fit(call, prepared, learning_rate=learning_rate, **settings)
    found = [*prepared.notes, *fit_findings(result, prepared.problem)]
    parts = {"fit": result} | _table(result, prepared.problem, found) | _accuracy(result, prepared.problem)
    _finish(call, "fit", prepared, begin, parts, found, weights)
    if result.interrupted:
        return INTERRUPTED
    return PASSED if result.status.name == "GRADIENT_TOLERANCE" else FAILED


@interruptible()
def run_probe(call: Call, at: str = "fit") -> int:
    """`jaxsoftmax probe`: the curvature at a point, after a fit where that is the point."""
    from jaxsoftmax.evidence.spectrum.probe import probe_convexity  # loads more than a fit needs

    if at != "fit" and call.method != "auto":
        raise UnusableInput(f"--method: it goes with --at fit, and --at is {at}; leave one of them out.")
    file = None if at in ("zero", "random", "fit") else at
    refuse_same({"DATA": call.data, "--at": file}, {"--json": call.json_file})
    prepared = _prepare(call)[0]
    problem, begin, result, found = prepared.problem, time.perf_counter(), None, list(prepared.notes)
    with jax.enable_x64(True):
        if at == "fit":
            result = _fit(call, prepared)
            W = np.asarray(result.W, np.float64)
            found += fit_findings(result, problem)
        elif at == "zero":
            W = np.zeros((problem.C, problem.D))
        elif at == "random":
            W = draw(problem, np.random.default_rng(call.seed), LOGIT_SPREAD)
        else:
            remedy = "give zero, random, fit, or a file that fit --weights wrote for these data"
            with refusing(remedy=did_you_mean(at, ("zero", "random", "fit"), remedy)):
                W = load_weights(Path(at), problem).astype(problem.dtype)
        if result is not None and result.interrupted:
            _finish(call, "probe", prepared, begin, {"at": at, "fit": result, "convexity": None}, found)
            return INTERRUPTED
        with spinner(call.quiet, call.progress) as update, refusing(library=False):
            update(f"{prepared.about['name']}: probing the curvature")
            name = prepared.about["name"]
            report = probe_convexity(problem, W, progress=lambda line: update(f"{name}: {line}"))
    if report.verdict.value == "UNRESOLVED" and conditioning_advice(problem) not in found:
        found.append(conditioning_advice(problem))
    _finish(call, "probe", prepared, begin, {"at": at, "fit": result, "convexity": report}, found)
    return PASSED if report.verdict.value == "CONSISTENT" else FAILED


def _fit(call: Call, prepared: Prepared, **settings: Any) -> Fit:
    """`fit` with those settings that were given, a key where minibatches are drawn, and progress on a terminal."""
    given = {name: value for name, value in settings.items() if value is not None}
    if "batch_size" in given:
        given["key"] = jax.random.key(call.seed)
    name = prepared.about["name"]
    with spinner(call.quiet, call.progress) as update, refusing(library=False):
        update(f"{name}: training")
        given["progress"] = lambda state: update(f"{name}: {state.words()}")
        result = fit_quietly(prepared.problem, call.method, **given)
        if result.existence is not None and prepared.decimal:
            # The fit's own verdict is about the doubles; the thresholds of a table are decimals.
            update(f"{name}: deciding whether a minimiser exists, of the numbers as decimals")
            budget = 1 + 2 * result.existence.seconds
            verdict = verdict_on(prepared.problem, True, result.existence, budget)
            result = dataclasses.replace(result, existence=verdict)
        return result


def _table(result: Fit, problem: Problem, found: list[str]) -> dict[str, Any]:
    """The coefficients' table of a likelihood small enough to be read; where it is refused, a finding says why."""
    targets = problem.host.targets
    if problem.C * problem.D > MOST_COEFFICIENTS or problem.regularizer or targets.label_smoothing:
        return {}
    separated = result.existence is not None and result.existence.attained is False
    if targets.codes is None or not (result.converged or separated):
        return {}
    from jaxsoftmax.uncertainty.inference import inference  # needed only here

    with jax.enable_x64(True):
        try:
            return {"inference": inference(problem, result, existence=result.existence)}
        except WrongArgument as error:  # known only once it is tried: the training is kept all the same
            found.append(f"there is no table of standard errors. {error}")
            return {}


def _accuracy(result: Fit, problem: Problem) -> dict[str, Any]:
    """What the fit predicts for the samples that it was trained on: the confusion counts; nothing for probabilities."""
    host = problem.host
    if host.targets.codes is None or not np.isfinite(result.W).all():
        return {}
    predicted = np.argmax(result.logits(host.X), axis=1)
    return {"confusion": confusion_counts(host.targets.codes, predicted, problem.C)}


def _finish(
    call: Call,
    command: str,
    prepared: Prepared,
    begin: float,
    parts: dict[str, Any],
    found: list[str],
    weights: Path | None = None,
) -> None:
    """Write the files and print the report of a `fit` or a `probe`.

    Files first, because the reader of a pipe may go away; but what cannot be written does not keep the report back.
    """
    report = RunReport(
        command=command,
        version=version(),
        environment=environment(),
        problem=describe(prepared, call.seed),
        parts=parts,
        findings=tuple(found),
        seconds=time.perf_counter() - begin,
    )
    failures = []
    try:
        if weights is not None:
            with writing("--weights", weights):
                save_fit(parts["fit"], weights)
    except UnusableInput as error:
        failures.append(error)
    try:
        write_json(call.json_file, report.to_dict())
    except UnusableInput as error:
        failures.append(error)
    if not call.quiet:
        print_document(report.document())
    if failures:
        raise failures[0]

"""What `jaxsoftmax certify DATA -o CERT` does: prove, save the certificate, have the independent checker read it."""

from __future__ import annotations

import importlib.util
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxsoftmax.cli.messages import UnusableInput, refuse_same
from jaxsoftmax.cli.proofs import Proved, prove_existence, prove_minimiser
from jaxsoftmax.cli.report import print_document
from jaxsoftmax.cli.scopes import interruptible, refusing, replacing, spinner, write_json, writing
from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.proof.checkers.dispatch import check_certificate
from jaxsoftmax.readers.exact_cells import refuse_rounded_cells
from jaxsoftmax.readers.idx import is_idx
from jaxsoftmax.readers.read_table import read_table
from jaxsoftmax.reporting.blocks import Document, Facts, Picture, Title
from jaxsoftmax.reporting.environment import environment, headline, version
from jaxsoftmax.support.validation import one_of, positive_int
from jaxsoftmax.verification.inputs import Prepared, check_options, describe, prepare, problem_facts

__all__ = ["Certify", "run_certify"]

PROVED, FAILED = 0, 1


class Certify(NamedTuple):
    """The options of the command."""

    data: Path
    output: Path
    target: str | None
    label_smoothing: str | None
    l2: float
    digits: int | None
    method: str | None
    budget: float
    dump: Path | None
    binary: bool
    json_file: Path | None
    quiet: bool
    progress: bool = False


class Source(NamedTuple):
    """A file that the checker reads: the data themselves or a dump, the labels of images, and how it is called."""

    path: Path
    labels: str | None
    words: str
    kept: bool = True


class Checked(NamedTuple):
    """One run of the checker: against which file, what it said, and how long it took."""

    source: Source
    verdict: Any
    seconds: float


@interruptible()
def run_certify(call: Certify) -> int:
    """`jaxsoftmax certify`: a proof about a minimiser (S9, S10; with --digits S13), as a certificate others can check.

    The certificate takes its name only after the checker has verified it from the file, and what is not proved has
    none; so whatever ends the run, there is a whole certificate or none.
    """
    began = time.perf_counter()
    refuse_same({"DATA": call.data}, {"--output": call.output, "--dump": call.dump, "--json": call.json_file})
    prepared, table, decimal = _prepare(call)
    with spinner(call.quiet, call.progress) as update, refusing(library=False):
        name = prepared.about["name"]
        found = _prove(call, prepared, decimal, lambda line: update(f"{name}: {line}"))
        checked, refusal = [], ""
        if found.saved is not None:
            try:
                checked = _save_and_check(call, prepared, found.saved, table, update)
            except ValueError as error:  # refused, or not readable: a fault of ours in either case
                refusal = str(error)
    content = {
        "command": "certify",
        "version": version(),
        "environment": environment(),
        "problem": describe(prepared, 0),
        **found.content,
        "certificate": str(call.output) if checked else None,
        "checked": [{"data": one.source.words, "report": str(one.verdict), "seconds": one.seconds} for one in checked],
        "refused": refusal or None,
        "seconds": time.perf_counter() - began,
    }
    write_json(call.json_file, content)
    if not call.quiet:
        print_document(_document(call, content, found, checked))
    return PROVED if checked else FAILED


def _prepare(call: Certify) -> tuple[Prepared, Dataset, bool]:
    """The problem, the table that it comes from, and whether its numbers are read as decimals."""
    if call.digits is None and call.method is not None:
        raise UnusableInput("--method: it says how --digits proves the curvature; give --digits too, or leave it out.")
    if call.digits is not None and importlib.util.find_spec("flint") is None:
        raise UnusableInput("--digits: python-flint is not installed; run: pip install 'jaxsoftmax[exact]'")
    with refusing():
        one_of("method", call.method or "auto", ("auto", "pairs", "full"))
        if call.digits is not None:
            positive_int("digits", call.digits)
        check_options(label_smoothing=call.label_smoothing, l2=call.l2, dtype="float64", seed=0)
        data = read_table(call.data, call.target)
        decimal = data.table is not None and not call.binary
        if decimal:
            with refusing(remedy="shorten the cell, or give --binary, which reads each cell as the nearest float64"):
                refuse_rounded_cells(call.data, data.table or {}, data.feature_names)
        (prepared,) = prepare(data, label_smoothing=call.label_smoothing, l2=call.l2)
    return prepared, data, decimal


def _prove(call: Certify, prepared: Prepared, decimal: bool, tell: Callable[[str], None]) -> Proved:
    if call.digits is None:
        return prove_existence(prepared.problem, decimal, call.budget, tell)
    return prove_minimiser(prepared.problem, decimal, call.budget, tell, call.digits, call.method or "auto")


def _save_and_check(
    call: Certify, prepared: Prepared, proved: Any, data: Dataset, tell: Callable[[str], None]
) -> list[Checked]:
    """Save beside the name asked for, have the checker verify the file, then move it into place."""
    name, decimal = prepared.about["name"], proved.data.decimal
    with replacing("--output", call.output) as certificate:
        tell(f"{name}: writing the certificate")
        with writing("--output", call.output):
            proved.save(certificate, table=data.table)
        if call.dump is not None:
            tell(f"{name}: writing the dump")
            with writing("--dump", call.dump):
                prepared.problem.dump(call.dump, decimal=decimal)
        tell(f"{name}: checking the certificate")
        checked = []
        for source in _sources(call, prepared, data, decimal):
            began = time.perf_counter()
            report = check_certificate(certificate, source.path, source.labels)
            checked.append(Checked(source, report, time.perf_counter() - began))
        return checked


def _sources(call: Certify, prepared: Prepared, data: Dataset, decimal: bool) -> Iterator[Source]:
    """What to check against: the data file where the checker reads it, and the dump that was asked for or is needed."""
    images = data.table is None and is_idx(call.data.name.lower().removesuffix(".gz"))
    unread = f"the checker does not read {call.data.suffix}"
    readable = (data.table is not None or images) and call.data.suffix.lower() not in (".bz2", ".xz")
    if readable:
        yield Source(call.data, call.target if images else None, str(call.data))
    if call.dump is not None:
        yield Source(call.dump, None, f"{call.dump}" if readable else f"{call.dump} ({unread})")
    elif not readable:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "problem.txt"
            prepared.problem.dump(file, decimal=decimal)
            yield Source(file, None, f"a temporary dump ({unread}; --dump FILE keeps one)", kept=False)


def _document(call: Certify, content: dict[str, Any], found: Proved, checked: list[Checked]) -> Document:
    document: Document = [
        Title(headline(content["version"], content["environment"])),
        Title(f"{content['problem']['name']}: certify ({content['seconds']:.1f} s)"),
        Facts(problem_facts(content["problem"])),
    ]
    for report in found.reports:
        document += report
    for one in checked:
        first = str(one.verdict).splitlines()[0]
        document.append(Title(f"checked: {first}; from {one.source.words}, in {one.seconds:.3f} s", ""))
    good, sentence = _outcome(call, content["refused"], found, checked)
    again = [Picture([_again(call, checked[-1].source)])] if good else []  # on one line, to be copied
    return [*document, Title(sentence, "good" if good else "bad"), *again]


def _outcome(call: Certify, refusal: str | None, found: Proved, checked: list[Checked]) -> tuple[bool, str]:
    """Whether the exit status is 0, and the report's last sentence."""
    if refusal:
        return False, f"The checker REFUSES the certificate, which is a fault of jaxsoftmax: {refusal}"
    if not checked:
        return False, found.sentence
    return True, "Proved and checked. To check it again:"


def _again(call: Certify, source: Source) -> str:
    words = [str(call.output), str(source.path) if source.kept else "DUMP", *(["--labels"] * bool(source.labels))]
    return f"jaxsoftmax check {shlex.join([*words, *([source.labels] if source.labels else [])])}"

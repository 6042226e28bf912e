"""The page of `report` and `verify --html`: what it needs before the long run, writing it, and how to check it again.

Guarded by `tests/cli/test_page.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxsoftmax.cli.messages import UnusableInput
from jaxsoftmax.cli.scopes import replacing, writing
from jaxsoftmax.problem.exact_targets import exact_smoothing
from jaxsoftmax.readers.exact_cells import refuse_rounded_cells
from jaxsoftmax.readers.idx import is_idx, labels_beside
from jaxsoftmax.readers.read_table import is_compressed, read_table
from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph, Picture

__all__ = ["check_again", "check_page", "checksums", "write_page"]

_DIGITS = "20"  # of the minimum, that the commands ask for


def check_page(option: str, path: Path | None) -> None:
    """Refuse before the long run a page whose pictures nothing can draw.

    Raises:
        UnusableInput: matplotlib is missing.

    Example:
        >>> from jaxsoftmax.cli.page import check_page
        >>> check_page("--html", None)
    """
    if path is not None and importlib.util.find_spec("matplotlib") is None:
        raise UnusableInput(f"{option}: matplotlib is not installed; run: pip install 'jaxsoftmax[plots]'")


def checksums(call: Any) -> dict[str, str]:
    """SHA-256 of the files that the data are read from, by name; none of a pipe, which can be read only once.

    Example:
        >>> from types import SimpleNamespace
        >>> from jaxsoftmax.cli.page import checksums
        >>> checksums(SimpleNamespace(data=None))
        {}
    """
    if call.data is None:
        return {}
    data = Path(call.data)
    files = [data]
    if is_idx(data.stem if is_compressed(data) else data.name):
        with contextlib.suppress(ValueError):  # the reader says that there are no labels
            files.append(labels_beside(data) if call.target is None else Path(call.target))
    found = {}
    for path in files:
        with contextlib.suppress(OSError):
            if path.is_file():
                found[str(path)] = _sha256(path)
    return found


def write_page(
    option: str,
    path: Path,
    call: Any,
    report: Any,
    prepared: Sequence[Any],
    sums: dict[str, str],
    tell: Callable[[str], None],
) -> None:
    """Make the page and put it in place whole.

    Args:
        option: that named the file.
        path: of the page.
        call: the options of the command, a `Call`.
        report: of `verify_prepared`.
        prepared: the problems that were verified.
        sums: of `checksums`, of the bytes that were read.
        tell: called with a line before each long step.

    Raises:
        UnusableInput: the file cannot be written.

    Example:
        >>> from jaxsoftmax.cli.page import write_page
        >>> callable(write_page)
        True
    """
    from jaxsoftmax.page.make import extras, report_page  # draws, and fits once more

    tell("the page: the coefficients' table")
    extra = extras(report, prepared)
    tell("the page: drawing")
    text = report_page(report, extra, prepared, check_again(call, report, prepared, sums))
    with replacing(option, path) as temporary, writing(option, path):
        temporary.write_text(text, "utf-8")


def check_again(call: Any, report: Any, prepared: Sequence[Any], sums: dict[str, str]) -> Document:
    """The file and its hash, and the commands that make the report and its proofs again and check them.

    Args:
        call: the options of the command, a `Call`.
        report: of `verify_prepared`.
        prepared: the problems that were verified.
        sums: of `checksums`, of the bytes that were read.

    Example:
        >>> from types import SimpleNamespace
        >>> from jaxsoftmax.cli.page import check_again
        >>> options = dict(target=None, label_smoothing="0", l2=0.0, dtype="float64", seed=0, method="auto")
        >>> call = SimpleNamespace(data=None, many_classes=False, **options)
        >>> check_again(call, None, (), {})[1].lines
        ['jaxsoftmax verify --label-smoothing 0 --all']
    """
    own = _options(call)
    again = ["verify", *own["data"], *own["problem"], *own["run"], "--all"]
    words = "The same command on the same data makes the same checks; times differ, and on another machine last digits."
    if call.data is None:
        where = "The data travel with the package. "
        return [Paragraph(where + words), Picture([_line(again)])]
    found: Document = [
        Facts([pair for name, sha256 in sums.items() for pair in (("file", name), ("sha256", sha256))]),
        Paragraph(words),
        Picture([*(f"sha256sum {shlex.quote(name)}" for name in sums), _line(again)]),
    ]
    decimal = prepared[0].decimal
    if decimal and call.data in sums and _rounded(call):  # which certify refuses, unless it reads doubles
        own["problem"].append("--binary")
    return [*found, *_proofs(call, report.datasets[0], own, decimal)]


def _rounded(call: Any) -> bool:
    """Whether the table has a cell that float64 rounds to another decimal."""
    try:
        data = read_table(call.data, call.target)
    except (OSError, ValueError):  # the file has gone or changed since
        return False
    try:
        refuse_rounded_cells(Path(call.data), data.table or {}, data.feature_names)
    except ValueError:
        return True
    return False


def _proofs(call: Any, data: Any, own: dict[str, list[str]], decimal: bool) -> Document:
    """What is proved has a certificate, which a checker without JAX verifies from the file alone."""
    verdict, commands = data.existence, []
    # The checker reads text tables itself, plain or .gz; of other formats it reads what certify writes as exact text.
    read = decimal and not call.data.lower().endswith((".bz2", ".xz"))
    dump = [] if read else ["--dump", "data.txt"]
    checked = "data.txt" if dump else call.data
    said = [
        "--expect-smoothing",
        str(exact_smoothing(call.label_smoothing or "0")),
        "--expect-l2",
        repr(float(call.l2)),
    ]
    if verdict is not None and verdict.proof is not None:
        commands.append((["-o", "existence.json", *dump], "existence.json"))
    if data.certificate is not None:
        commands.append((["-o", "minimum.json", "--digits", _DIGITS, *dump], "minimum.json"))
    lines = [
        line
        for options, file in commands
        for line in (
            _line(["certify", call.data, *own["problem"], *options]),
            _line(["check", file, checked, *said]),
        )
    ]
    if not lines:
        return []
    words = (
        "What is proved has a certificate: certify writes it, and check verifies it from the file alone, in exact "
        "arithmetic, without JAX and without the code that found it."
    )
    return [Paragraph(words), Picture(lines)]


def _options(call: Any) -> dict[str, list[str]]:
    """The options that are not what they are without them."""
    problem = [("--target", call.target), ("--label-smoothing", call.label_smoothing)]
    problem.append(("--l2", repr(float(call.l2)) if call.l2 else None))
    run = [("--dtype", call.dtype), ("--seed", str(call.seed)), ("--method", call.method)]
    usual = {"--dtype": "float64", "--seed": "0", "--method": "auto"}
    given = {
        "problem": [word for name, value in problem if value is not None for word in (name, value)],
        "run": [word for name, value in run if value != usual[name] for word in (name, value)],
    }
    given["run"] += ["--many-classes"] * bool(call.many_classes)
    return given | {"data": [] if call.data is None else [call.data]}


def _line(arguments: list[str]) -> str:
    return shlex.join(["jaxsoftmax", *arguments])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

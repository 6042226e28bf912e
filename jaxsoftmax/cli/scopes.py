"""The scopes in which the commands run: Ctrl-C, refusals as one line, a spinner on stderr, files that are written.

Guarded by `tests/cli/test_runs.py`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxsoftmax.cli.messages import TERMS, Interrupted, UnusableInput, in_terms, say

__all__ = ["interruptible", "refusing", "replacing", "spinner", "write_json", "writing"]


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C as `Interrupted`, for a command that keeps no partial result.

    Example:
        >>> from jaxsoftmax.cli.scopes import interruptible
        >>> with interruptible():
        ...     raise KeyboardInterrupt
        Traceback (most recent call last):
        jaxsoftmax.cli.messages.Interrupted
    """
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None


@contextlib.contextmanager
def refusing(*, library: bool = True, remedy: str | None = None) -> Iterator[None]:
    """Turn what the library says about an argument into a sentence about the option.

    Args:
        library: False in the long runs, where only what names an option is the user's doing, anything else our fault.
        remedy: instead of the library's, where the command line has another.

    Example:
        >>> from jaxsoftmax.cli.scopes import refusing
        >>> from jaxsoftmax.support.errors import WrongValue
        >>> with refusing():
        ...     raise WrongValue("tol", "got -1.0", "give a number >= 0")
        Traceback (most recent call last):
        jaxsoftmax.cli.messages.UnusableInput: --tol: got -1.0; give a number >= 0.
    """
    try:
        yield
    except (ValueError, TypeError, OSError, ImportError) as error:
        if not library and getattr(error, "argument", None) not in TERMS:
            raise
        raise UnusableInput(in_terms(error, remedy)) from None


@contextlib.contextmanager
def spinner(quiet: bool, asked: bool = False) -> Iterator[Callable[[str], None]]:
    """What is being done and for how long, as a line on stderr that is replaced; nothing where that is no terminal.

    Args:
        quiet: say nothing.
        asked: where stderr is no terminal, write lines below each other: each new phase, in one at most one a second.

    Example:
        >>> from jaxsoftmax.cli.scopes import spinner
        >>> with spinner(quiet=True) as update:
        ...     update("nobody sees this")
    """
    from rich.console import Console

    noise = Console(stderr=True)
    if noise.is_terminal and not noise.is_dumb_terminal and not quiet:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        # A file name may look like markup.
        shown = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Progress(*shown, console=noise, transient=True) as progress:
            task = progress.add_task("starting")
            yield lambda line: progress.update(task, description=line)
    elif asked and not quiet:
        yield _thinned(say)
    else:
        yield lambda line: None


_NUMBER = re.compile(r"[-+]?\d[\d.]*(e[-+]?\d+)?")


def _thinned(tell: Callable[[str], None]) -> Callable[[str], None]:
    """Tell each line of other words than the last, which is a new phase; of the same, numbers aside, one a second."""
    told_at, told = -math.inf, ""

    def hear(line: str) -> None:
        nonlocal told_at, told
        words = _NUMBER.sub("", line)
        if words != told or time.monotonic() - told_at >= 1:
            told_at, told = time.monotonic(), words
            tell(line)

    return hear


@contextlib.contextmanager
def writing(option: str, path: Path) -> Iterator[None]:
    """What the system says about a file that cannot be written, as one line about the option.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.cli.scopes import writing
        >>> with writing("--weights", Path("w.npz")):
        ...     raise OSError(28, "No space left on device")
        Traceback (most recent call last):
        jaxsoftmax.cli.messages.UnusableInput: --weights: w.npz cannot be written (No space left on device).
    """
    try:
        yield
    except OSError as error:
        raise UnusableInput(f"{option}: {path} cannot be written ({error.strerror or error}).") from None


@contextlib.contextmanager
def replacing(option: str, path: Path) -> Iterator[Path]:
    """A name beside `path` to write to, which takes its place at the end, unless something was raised.

    Example:
        >>> import pathlib, tempfile
        >>> from jaxsoftmax.cli.scopes import replacing
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "report.txt"
        >>> with replacing("--output", path) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> [file.name for file in path.parent.iterdir()]
        ['report.txt']
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        with writing(option, path):
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path | None, content: dict[str, Any]) -> None:
    """Write the report of --json, where it was asked for: a file whole or not at all; a pipe or a link as it stands.

    Raises:
        UnusableInput: it cannot be written.

    Example:
        >>> from jaxsoftmax.cli.scopes import write_json
        >>> write_json(None, {})
    """
    if path is not None:
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
        # /dev/stdout is a link, also where it leads to a plain file, which the shell goes on writing.
        plain = path.is_file() or not path.exists()
        in_place = path.is_symlink() or not plain or not os.access(path.parent, os.W_OK)
        beside = contextlib.nullcontext(path) if in_place else replacing("--json", path)
        with beside as file, writing("--json", path):
            file.write_text(text + "\n", "utf-8")

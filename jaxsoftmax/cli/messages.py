"""What the commands share before anything heavy is imported: refusing a call in its own terms, files to write, help.

Guarded by `tests/cli/test_runs.py`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from jaxsoftmax.support.errors import WrongArgument

__all__ = [
    "TERMS",
    "Interrupted",
    "LostOutput",
    "UnusableInput",
    "check_writable",
    "console",
    "in_terms",
    "refuse_same",
    "say",
    "watched_output",
    "width",
]

# What the command line calls an argument of the library.
TERMS = {"problem": "DATA", "X": "features", "y": "labels", "T": "probabilities", "l2": "--l2", "tol": "--tol"}
TERMS |= {name: f"--{name}" for name in ("target", "dtype", "seed", "method", "whiten", "budget", "digits")}
TERMS |= {"label_smoothing": "--label-smoothing", "max_steps": "--max-steps"}
TERMS |= {"batch_size": "--batch-size", "learning_rate": "--learning-rate"}
TERMS |= {"expect_smoothing": "--expect-smoothing", "expect_l2": "--expect-l2"}


class UnusableInput(Exception):
    """A call that cannot be carried out: one sentence for the user, exit status 2.

    Example:
        >>> from jaxsoftmax.cli.messages import UnusableInput
        >>> str(UnusableInput("--tol: got -1.0"))
        '--tol: got -1.0'
    """


class Interrupted(Exception):
    """Ctrl-C where no partial result is kept. Its own class, because typer ends silently on a KeyboardInterrupt.

    Example:
        >>> from jaxsoftmax.cli.messages import Interrupted
        >>> issubclass(Interrupted, Exception)
        True
    """


class LostOutput(Exception):
    """Standard output cannot be written: it is closed or full, or its reader has gone. No OSError, which typer ends on.

    Example:
        >>> from jaxsoftmax.cli.messages import LostOutput
        >>> issubclass(LostOutput, OSError)
        False
    """


class _Watched:
    """A stream that says `LostOutput`, and writes what its encoding lacks as escapes."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._done(lambda: self._stream.write(_encodable(self._stream, text)))

    def flush(self) -> None:
        self._done(lambda: self._stream.flush())

    def _done(self, action: Callable[[], Any]) -> Any:
        if self._stream is None:
            raise LostOutput("it is closed")
        try:
            return action()
        except OSError as error:
            _abandon(self._stream)
            raise LostOutput(error.strerror or str(error)) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def watched_output() -> Iterator[None]:
    """Standard output in the hands of `_Watched`, flushed at the end.

    Raises:
        LostOutput: it cannot be written.

    Example:
        >>> from jaxsoftmax.cli.messages import watched_output
        >>> with watched_output():
        ...     print("eggs")
        eggs
    """
    stream: Any = sys.stdout
    watched: Any = _Watched(stream)
    sys.stdout = watched
    try:
        yield
        if stream is not None:
            watched.flush()
    finally:
        sys.stdout = stream


def _encodable(stream: Any, text: str) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _abandon(stream: Any) -> None:
    """Close it: the interpreter would try once more at its end, and end with another status."""
    with contextlib.suppress(OSError, ValueError):
        stream.close()


def in_terms(error: Exception, remedy: str | None = None) -> str:
    """What the library says about an argument, as a sentence about the option, with another remedy where one is given.

    Example:
        >>> from jaxsoftmax.cli.messages import in_terms
        >>> from jaxsoftmax.support.errors import WrongValue
        >>> in_terms(WrongValue("max_steps", "got 0", "give an integer >= 1"))
        '--max-steps: got 0; give an integer >= 1.'
    """
    if not isinstance(error, WrongArgument):
        return str(error)
    return f"{TERMS.get(error.argument, error.argument)}: {error.given}; {remedy or error.remedy}."


def width() -> int:
    """The columns of the terminal (COLUMNS overrules), 80 at most and 20 at least; 80 where there is none.

    Example:
        >>> from jaxsoftmax.cli.messages import width
        >>> 20 <= width() <= 80
        True
    """
    return max(20, min(80, shutil.get_terminal_size().columns))


def say(message: str) -> None:
    """Print a line on stderr, broken at words to fit the terminal and 80 columns; nowhere if it cannot be written.

    Example:
        >>> from jaxsoftmax.cli.messages import say
        >>> say("error: --tol: got -1.0; give a number >= 0.")
    """
    options = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(_encodable(sys.stderr, textwrap.fill(f"jaxsoftmax: {message}", width(), **options)) + "\n")
        sys.stderr.flush()
    except OSError:
        _abandon(sys.stderr)


def check_writable(option: str, path: Path | None) -> None:
    """Refuse before the long run what could only fail after it.

    Raises:
        UnusableInput: the file cannot be written.

    Example:
        >>> from jaxsoftmax.cli.messages import check_writable
        >>> check_writable("--json", None)
    """
    if path is None:
        return
    if path.is_dir():
        raise UnusableInput(f"{option}: {path} is a directory; name a file.")
    if not path.parent.is_dir():
        raise UnusableInput(f"{option}: the directory {path.parent} does not exist; make it first.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UnusableInput(f"{option}: {path} cannot be written (no permission); name another file.")


_WRITTEN_IN_PLACE = ("--json", "--plot", "--weights")  # the other files are replaced whole, also a pipe or a device


def refuse_same(inputs: dict[str, Any], outputs: dict[str, Path | None]) -> None:
    """Refuse before any work a file to write that cannot be written, or is a file that is read or another to write.

    Args:
        inputs: what the command reads, by the name of its argument; None where there is none.
        outputs: what it writes, by option.

    Raises:
        UnusableInput: naming the option.

    Example:
        >>> from pathlib import Path
        >>> from jaxsoftmax.cli.messages import refuse_same
        >>> refuse_same({"DATA": "birds.csv"}, {"--json": Path("birds.csv")})
        Traceback (most recent call last):
        jaxsoftmax.cli.messages.UnusableInput: --json: birds.csv is also DATA; name another file.
    """
    taken = {Path(path).resolve(): name for name, path in inputs.items() if path is not None}
    for option, path in outputs.items():
        check_writable(option, path)
        if path is None:
            continue
        if option not in _WRITTEN_IN_PLACE and path.exists() and not path.is_file():
            raise UnusableInput(f"{option}: {path} is no plain file, and would be replaced; name a file.")
        other = taken.setdefault(path.resolve(), option)
        if other != option:
            raise UnusableInput(f"{option}: {path} is also {other}; name another file.")


def console() -> Any:
    """The console for reports on stdout, of rich, which is imported here.

    Example:
        >>> from jaxsoftmax.cli.messages import console
        >>> console().width > 0
        True
    """
    from rich.console import Console

    out = Console(highlight=False)
    # A pipe or a file has no width of its own; 100 columns keep most rows on one line, COLUMNS overrules.
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out = Console(highlight=False, width=100)
    return out

"""What the commands share before anything heavy is imported: refusing a call in its own terms, files to write, help.

Guarded by `tests/cli/test_runs.py`.
"""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import Any

from jaxsoftmax.support.errors import WrongArgument

__all__ = ["TERMS", "Interrupted", "UnusableInput", "check_writable", "console", "in_terms", "say"]

# What the command line calls an argument of the library.
TERMS = {"problem": "DATA", "X": "features", "y": "labels", "T": "probabilities", "l2": "--l2", "tol": "--tol"}
TERMS |= {name: f"--{name}" for name in ("target", "dtype", "seed", "method", "whiten", "budget", "digits")}
TERMS |= {"label_smoothing": "--label-smoothing", "max_steps": "--max-steps"}
TERMS |= {"batch_size": "--batch-size", "learning_rate": "--learning-rate"}


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


def say(message: str) -> None:
    """Print a line on stderr, broken at words to fit 80 columns.

    Example:
        >>> from jaxsoftmax.cli.messages import say
        >>> say("error: --tol: got -1.0; give a number >= 0.")
    """
    options = {"subsequent_indent": "  ", "break_long_words": False, "break_on_hyphens": False}
    print(textwrap.fill(f"jaxsoftmax: {message}", 80, **options), file=sys.stderr)  # noqa: T201


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

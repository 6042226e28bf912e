"""What the commands share before anything heavy is imported: refusing a call, naming options, files to write, help."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

__all__ = ["Interrupted", "UnusableInput", "as_options", "check_writable", "console"]

_NAMES = "smoothing|l2|dtype|seed|method|tol|max_steps|batch_size|learning_rate|whiten|target|budget|digits"
_ARGUMENT = re.compile(rf"(^|: )({_NAMES}): ")


class UnusableInput(Exception):
    """A call that cannot be carried out: one line for the user, exit status 2.

    Example:
        >>> from jaxsoftmax.cli.options import UnusableInput
        >>> str(UnusableInput("--tol: got -1.0"))
        '--tol: got -1.0'
    """


class Interrupted(Exception):
    """Ctrl-C where no partial result is kept. Its own class, because typer ends silently on a KeyboardInterrupt.

    Example:
        >>> from jaxsoftmax.cli.options import Interrupted
        >>> issubclass(Interrupted, Exception)
        True
    """


def as_options(message: str) -> str:
    """The library's message about an argument as one about the option of the command line.

    Example:
        >>> from jaxsoftmax.cli.options import as_options
        >>> as_options("max_steps: got 0; an integer >= 1 is needed. Give max_steps=1 or more.")
        '--max-steps: got 0; an integer >= 1 is needed. Give --max-steps 1 or more.'
        >>> as_options("eggs.csv: target: no column is named 'brid'; columns: bird.")
        "eggs.csv: --target: no column is named 'brid'; columns: bird."
    """
    found = _ARGUMENT.search(message)
    if found is None:
        return message
    name = found[2]
    option = "--" + name.replace("_", "-")
    message = f"{message[: found.start()]}{found[1]}{option}: {message[found.end() :]}"
    return re.sub(rf"(?<![\w-]){name}=(?=[\d'])", f"{option} ", message)


def check_writable(option: str, path: Path | None) -> None:
    """Refuse before the long run what could only fail after it.

    Raises:
        UnusableInput: the file cannot be written.

    Example:
        >>> from jaxsoftmax.cli.options import check_writable
        >>> check_writable("--json", None)
    """
    if path is None:
        return
    if path.is_dir():
        raise UnusableInput(f"{option}: {path} is a directory. Name a file.")
    if not path.parent.is_dir():
        raise UnusableInput(f"{option}: the directory {path.parent} does not exist. Make it first.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UnusableInput(f"{option}: {path} cannot be written (no permission). Name another file.")


def console() -> Any:
    """The console for reports on stdout, of rich, which is imported here.

    Example:
        >>> from jaxsoftmax.cli.options import console
        >>> console().width > 0
        True
    """
    from rich.console import Console

    out = Console(highlight=False)
    # A pipe or a file has no width of its own; 100 columns keep most rows on one line, COLUMNS overrules.
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out = Console(highlight=False, width=100)
    return out

"""Files that are written whole or not at all: the path is checked, the text goes beside it, then takes its name.

Imports no JAX: the command that checks certificates starts without it.

Guarded by `tests/cli/test_runs.py`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxsoftmax.support.errors import WrongType, WrongValue


def as_path(path: Any, name: str = "path") -> Path:
    """A path to a file from text or a path object.

    Raises:
        TypeError: something else.
        ValueError: empty, or with a NUL.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise WrongType(name, f"got {path!r:.60}, a {type(path).__name__}", "give the path of a file")
    text = os.fspath(path)
    if not text or "\0" in text:
        raise WrongValue(name, f"got {text!r:.60}, which names no file", "give the path of a file")
    return Path(text)


def write_text(path: Any, lines: Iterable[str], encoding: str) -> None:
    """Write lines (with their line ends) to a file beside `path`, then move it into place.

    Raises:
        TypeError, ValueError: `path` cannot be a file; the message says why.
        OSError: the system refuses to write it.
    """
    path = as_path(path)
    if path.is_dir():
        raise WrongValue("path", f"{str(path)!r} is a directory", "name a file in it")
    if not path.parent.is_dir():
        raise WrongValue("path", f"{str(path.parent)!r} is no directory", "create it first")
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "x", encoding=encoding, newline="\n") as file:
            file.writelines(lines)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(f"path: {str(path)!r:.80} cannot be written ({error.strerror or error}).") from None
    finally:
        temporary.unlink(missing_ok=True)

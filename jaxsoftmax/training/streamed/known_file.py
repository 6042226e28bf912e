"""A file that is read many times: each pass makes sure that it is still the one that was opened first.

Guarded by `tests/training/streamed/test_source.py`.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxsoftmax.support.errors import WrongValue, no_such_file

__all__ = ["KnownFile"]


class KnownFile:
    """A path, with the size, the time of the last change and the inode that its file had at first.

    Attributes:
        path: of the file.
        size: in bytes.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is a directory.

    Example:
        >>> import pathlib, tempfile
        >>> from jaxsoftmax.training.streamed.known_file import KnownFile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "rows"
        >>> _ = path.write_bytes(b"1234")
        >>> KnownFile(path).size
        4
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise WrongValue(path, "is a directory", "name one file in it")
        if not path.exists():
            raise FileNotFoundError(no_such_file(path))
        self.path = path
        self._identity = self._now()
        self.size: int = self._identity[0]

    def _now(self) -> tuple[int, int, int]:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns, found.st_ino

    def require_unchanged(self) -> None:
        """Refuse the file where it is no longer the one that it was.

        Raises:
            ValueError: its size, its time or its inode is another, or it is gone.
        """
        try:
            same = self._now() == self._identity
        except OSError:
            same = False
        if not same:
            given = "is no longer the file that was opened at first: it has changed, or is gone"
            raise WrongValue(self.path, given, "make the problem again once the file is whole")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around one pass: the file is the same before and after it, and an error of reading is one line.

        Raises:
            ValueError: the file has changed, or cannot be read.
        """
        self.require_unchanged()
        try:
            yield
        except (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
            self.require_unchanged()  # which would explain the error
            words = " ".join(str(error).split())[:100] or type(error).__name__
            of_the_disk = getattr(error, "errno", None)
            remedy = "check its permissions and its disk" if of_the_disk else "fetch or write it again"
            raise WrongValue(self.path, f"cannot be read ({words})", remedy) from None
        self.require_unchanged()

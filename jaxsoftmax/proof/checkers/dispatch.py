"""`check_certificate`: a certificate is verified by the checker of its format, which trusts nothing but the data.

Guarded by `tests/cli/test_certify.py`.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxsoftmax.proof.checkers import check_existence, check_minimiser
from jaxsoftmax.support.atomic_write import as_path
from jaxsoftmax.support.errors import WrongType, WrongValue

__all__ = ["check_certificate"]

CHECKERS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "jaxsoftmax-existence": check_existence.check,
    "jaxsoftmax-minimiser": check_minimiser.check,
}


def check_certificate(path: Any, data: Any, labels: Any = None) -> Any:
    """Verify a certificate about data, in exact arithmetic, by the checker of its format.

    The checker of "jaxsoftmax-existence" (from `decide_existence`) is `proof/checkers/check_existence.py`, that of
    "jaxsoftmax-minimiser" (from `certify`) is `proof/checkers/check_minimiser.py`, which needs python-flint. Both
    also run by themselves, on a machine without JAX; nothing here imports JAX either.

    Args:
        path: the certificate.
        data: the file that it is about, as the checker reads it: text tables, IDX images (each plain or .gz), or the
            exact text of `Problem.dump`; or the Problem itself, which is dumped to a temporary file.
        labels: the file of labels of IDX images, where it is not beside them.

    Returns:
        What the checker has verified: `status`, `type` and `face_maximal` of a verdict, or the `claims` about a
        minimiser; `str` of it is the checker's report.

    Raises:
        ValueError: the certificate does not prove its verdict about these data (the subclass `RefusedCertificate`), or
            a file cannot be read or used.
        TypeError: `data` is neither a path nor a Problem.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np, pathlib, tempfile
        >>> problem = js.Problem.from_labels([[1.0], [2.0], [3.0]], ["a", "b", "a"])
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "cert.json"
        >>> js.decide_existence(problem).save(path)
        >>> js.check_certificate(path, problem).status
        'ATTAINED'

    Source: S9, S10, S13, S21e.
    """
    if labels is not None and not isinstance(labels, (str, os.PathLike)):
        raise WrongType("labels", f"got {type(labels).__name__}", "give the path of a file, or None")
    path = as_path(path)
    head = _head(path)
    check = CHECKERS.get(head.get("format", "jaxsoftmax-existence"))
    if check is None:
        raise ValueError(
            f"{path}: its format is {head['format']!r:.60}; this jaxsoftmax checks {', '.join(CHECKERS)}. Use the "
            "version that wrote it."
        )
    if isinstance(data, (str, os.PathLike)):
        return check(path, data, labels)
    if not hasattr(data, "dump"):
        raise WrongType("data", f"got {type(data).__name__}", "give the path of a data file, or the Problem")
    if labels is not None:
        raise WrongValue("labels", "got a file, but a Problem has its own", "leave it out")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "problem.txt"
        described = head.get("data")
        data.dump(file, decimal=isinstance(described, dict) and described.get("numbers") == "decimal")
        try:
            return check(path, file, labels)
        except ValueError as error:
            raise type(error)(str(error).replace(str(file), "the Problem")) from None


def _head(path: Any) -> dict[str, Any]:
    """The certificate's object; an empty one where it is not JSON, which the checker then says in its own words."""
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("format", ""), str) else {}

"""`check_certificate`: a certificate is verified by the checker of its format, which trusts nothing but the data.

Guarded by `tests/cli/test_certify.py`.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from jaxsoftmax.proof.checkers import check_existence, check_minimiser
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate
from jaxsoftmax.support.atomic_write import as_path
from jaxsoftmax.support.errors import WrongType, WrongValue

__all__ = ["check_certificate"]

CHECKERS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "jaxsoftmax-existence": check_existence.check,
    "jaxsoftmax-minimiser": check_minimiser.check,
}


def check_certificate(
    path: Any,
    data: Any,
    labels: Any = None,
    *,
    expect_smoothing: Any = None,
    expect_l2: Any = None,
    expect_classes: Sequence[Any] | None = None,
    expect_intercept: bool | None = None,
) -> Any:
    """Verify a certificate about data, in exact arithmetic, by the checker of its format.

    The checker of "jaxsoftmax-existence" (from `decide_existence`) is `proof/checkers/check_existence.py`, that of
    "jaxsoftmax-minimiser" (from `certify`) is `proof/checkers/check_minimiser.py`, which needs python-flint. Both
    also run by themselves, on a machine without JAX; nothing here imports JAX either.

    A certificate says which problem it is about, and with label smoothing or a penalty a minimiser exists even where
    the data alone have none (S21c, S21e). So say what you expect, or read `label_smoothing`, `l2` and `classes`.

    Args:
        path: the certificate.
        data: the file that it is about, as the checker reads it: text tables, IDX images (each plain or .gz), or the
            exact text of `Problem.dump`; or the Problem itself, which is dumped to a temporary file.
        labels: the file of labels of IDX images, where it is not beside them.
        expect_smoothing: refuse another label smoothing than this number; a text such as "0.01" or "1/100" is exact.
        expect_l2: refuse any penalty but L2 of this strength; 0: any penalty.
        expect_classes: refuse other classes, whatever their order.
        expect_intercept: True: refuse a problem without an intercept; False: one with it.

    Returns:
        What the checker has verified: `status`, `type` and `face_maximal` of a verdict, or the `claims` about a
        minimiser; and of which problem: `classes`, `label_smoothing`, `l2`, `regularizers`, and `helped_by`, which is
        not empty where the proof needs the smoothing or a penalty. `str` of it is the checker's report.

    Raises:
        ValueError: the certificate does not prove its verdict about these data, or is about another problem than is
            expected (the subclass `RefusedCertificate`), or a file cannot be read or used.
        TypeError: `data` is neither a path nor a Problem.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np, pathlib, tempfile
        >>> problem = js.Problem.from_labels([[1.0], [2.0], [3.0]], ["a", "b", "a"])
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "cert.json"
        >>> js.decide_existence(problem).save(path)
        >>> js.check_certificate(path, problem, expect_smoothing=0, expect_l2=0).status
        'ATTAINED'

    Source: S9, S10, S13, S21e.
    """
    if labels is not None and not isinstance(labels, (str, os.PathLike)):
        raise WrongType("labels", f"got {type(labels).__name__}", "give the path of a file, or None")
    path = as_path(path)
    if isinstance(expect_classes, str) or not (expect_classes is None or hasattr(expect_classes, "__iter__")):
        raise WrongType("expect_classes", f"got {expect_classes!r:.60}", "give a list of the classes")
    smoothing = None if expect_smoothing is None else _number("expect_smoothing", expect_smoothing)
    l2 = None if expect_l2 is None else _number("expect_l2", expect_l2)
    head = check_existence.read_json(path)
    form = head.get("format") if isinstance(head, dict) else None
    check = CHECKERS.get(form) if isinstance(form, str) else None
    if check is None:
        raise ValueError(
            f"{path}: its format is {form!r:.60}; this jaxsoftmax checks {', '.join(CHECKERS)}. Use the version that "
            "wrote it."
        )
    found = _checked(check, path, head, data, labels)
    _refuse_other(found, smoothing, l2, expect_classes)
    if expect_intercept is not None and found.intercept is not bool(expect_intercept):
        has = "with" if found.intercept else "without"
        raise RefusedCertificate(
            f"the certificate is about a problem {has} an intercept, which is not what is expected."
        )
    return found


def _checked(check: Callable[[Any, Any, Any], Any], path: Path, head: dict[str, Any], data: Any, labels: Any) -> Any:
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


def _number(name: str, given: Any) -> Fraction:
    text = str(given)
    form = r"\d{1,300}(\.\d{,300})?(e[+-]?\d{1,3})?|\d{1,300}/[1-9]\d{,300}"
    found = Fraction(text) if re.fullmatch(form, text, re.ASCII) else Fraction(-1)
    if not 0 <= found < 1 << 1000:
        raise WrongValue(name, f"got {text!r:.60}", "give a number >= 0 such as 0.01 or 1/100")
    return found


def _refuse_other(found: Any, smoothing: Fraction | None, l2: Fraction | None, classes: Sequence[Any] | None) -> None:
    """Refuse a certificate about another problem than the one that is expected."""
    stated = found.label_smoothing
    if smoothing is not None and (stated is None or Fraction(stated) != smoothing):
        about = "targets, not labels" if stated is None else f"label smoothing {stated:.60}"
        raise RefusedCertificate(f"the certificate is about {about}; expected is label smoothing {smoothing}.")
    others = [line for line in found.regularizers if line.split(" ")[1] != "0" and not line.startswith("l2 ")]
    if l2 is not None and (others or Fraction(found.l2) not in (l2, Fraction(float(l2)))):
        about = ", ".join(found.regularizers) or "no penalty"
        raise RefusedCertificate(f"the certificate is about {about:.200}; expected is L2 of strength {l2} alone.")
    names = None if found.classes is None else sorted(map(str, found.classes))
    if classes is not None and names != sorted(map(str, classes)):
        about = "classes without names" if names is None else f"the classes {', '.join(names):.200}"
        raise RefusedCertificate(f"the certificate is about {about}; expected are {', '.join(map(str, classes)):.200}.")

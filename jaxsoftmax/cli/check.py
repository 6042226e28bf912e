"""What `jaxsoftmax check CERT DATA` does: the checker of the certificate's format, its report, the exit status.

Nothing here imports JAX or NumPy: a check of a small certificate takes milliseconds.

Guarded by `tests/cli/test_certify.py`.
"""

from __future__ import annotations

import csv
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from jaxsoftmax.cli.messages import UnusableInput, in_terms, say, width
from jaxsoftmax.cli.scopes import interruptible
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate
from jaxsoftmax.proof.checkers.dispatch import check_certificate
from jaxsoftmax.support.errors import no_such_file

__all__ = ["Recheck", "run_check"]

VERIFIED, REFUSED = 0, 1


class Recheck(NamedTuple):
    """The options of the command."""

    certificate: Path
    data: Path
    labels: Path | None
    quiet: bool
    expect_smoothing: str | None = None
    expect_l2: str | None = None
    expect_classes: str | None = None
    expect_intercept: bool | None = None


@interruptible()
def run_check(call: Recheck) -> int:
    """`jaxsoftmax check`: what the certificate proves about the data, on stdout; why it does not, on stderr.

    Raises:
        UnusableInput: a file cannot be read, or is not what the certificate says.
    """
    began = time.perf_counter()
    for path in (call.certificate, call.data):
        if not path.exists():
            raise UnusableInput(no_such_file(path))
    try:
        verdict = check_certificate(
            call.certificate,
            call.data,
            call.labels,
            expect_smoothing=call.expect_smoothing,
            expect_l2=call.expect_l2,
            expect_classes=None if call.expect_classes is None else _names(call.expect_classes),
            expect_intercept=call.expect_intercept,
        )
    except RefusedCertificate as error:
        say(f"REFUSED: {error}")
        return REFUSED
    except ValueError as error:
        raise UnusableInput(in_terms(error)) from None
    except MemoryError:
        raise
    except Exception as error:  # a status of 1 would say: refuted
        fault = f"{type(error).__name__}: {error}"
        raise UnusableInput(
            f"the checker failed ({fault:.200}). Nothing is proved; this is a fault of its own."
        ) from None
    if not call.quiet:
        for line in str(verdict).splitlines() if width() == 80 else _narrow(verdict):
            print(line)  # noqa: T201
        print(f"checked in {time.perf_counter() - began:.3f} s")  # noqa: T201
    return VERIFIED


def _narrow(verdict: Any) -> Iterator[str]:
    """The report of the checker, which writes 80 columns, in those of the terminal."""
    head, _ = str(verdict).split("\n", 1)
    for indent, line in (("", head), *(("  ", line) for line in verdict.lines)):
        options = {"initial_indent": indent, "subsequent_indent": f"{indent}  ", "break_on_hyphens": False}
        yield from textwrap.wrap(line, width(), break_long_words=False, **options)


def _names(text: str) -> list[str]:
    """Names between commas; in quotes where they hold commas themselves."""
    return [name.strip() for row in csv.reader(text.splitlines(), skipinitialspace=True) for name in row]

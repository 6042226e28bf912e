"""What `jaxsoftmax check CERT DATA` does: the checker of the certificate's format, its report, the exit status.

Nothing here imports JAX or NumPy: a check of a small certificate takes milliseconds.

Guarded by `tests/cli/test_certify.py`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from jaxsoftmax.cli.messages import UnusableInput, say
from jaxsoftmax.cli.scopes import interruptible
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate
from jaxsoftmax.proof.checkers.dispatch import check_certificate

__all__ = ["Recheck", "run_check"]

VERIFIED, REFUSED = 0, 1


class Recheck(NamedTuple):
    """The options of the command."""

    certificate: Path
    data: Path
    labels: Path | None
    quiet: bool


@interruptible()
def run_check(call: Recheck) -> int:
    """`jaxsoftmax check`: what the certificate proves about the data, on stdout; why it does not, on stderr.

    Raises:
        UnusableInput: a file cannot be read, or is not what the certificate says.
    """
    began = time.perf_counter()
    try:
        verdict = check_certificate(call.certificate, call.data, call.labels)
    except RefusedCertificate as error:
        say(f"REFUSED: {error}")
        return REFUSED
    except ValueError as error:
        raise UnusableInput(str(error)) from None
    if not call.quiet:
        print(verdict)  # noqa: T201
        print(f"checked in {time.perf_counter() - began:.3f} s")  # noqa: T201
    return VERIFIED

"""What `jaxsoftmax COMMAND --help` says above the options: what the command does, examples, and its exit statuses.

Guarded by `tests/cli/test_manners.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["EXAMPLES", "help_of"]

# For each command: what to type after `jaxsoftmax`, and what it does. Of 45 characters each fits 60 columns.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "verify": (
        ("verify", "the packaged digits and iris, in about a minute"),
        ("verify birds.csv --target species", "your own table"),
        ("verify birds.csv --all --json report.json", "every row, and a file for programs"),
    ),
    "report": (
        ("report birds.csv -o birds.html", "what verify says, with pictures"),
        ("report -o report.html", "the packaged digits and iris"),
    ),
    "fit": (
        ("fit birds.csv --target species", "train, and say how it ended"),
        ("fit birds.csv --weights birds.npz", "keep the fit for predict"),
        ("fit birds.csv --l2 0.1 --method lbfgs", "a penalty, another method"),
    ),
    "predict": (
        ("predict birds.npz new.csv -o classes.csv", "classes and probabilities"),
        ("predict birds.npz new.csv -o o.csv --target 4", "the labels are there: the accuracy too"),
    ),
    "probe": (
        ("probe birds.csv", "train, then look at the curvature there"),
        ("probe birds.csv --at zero", "at W = 0, without training"),
        ("probe birds.csv --at birds.npz", "at weights that fit has saved"),
    ),
    "certify": (
        ("certify birds.csv -o birds.json", "does a minimiser exist?"),
        ("certify birds.csv -o birds.json --digits 20", "where it is, to 20 digits"),
    ),
    "check": (
        ("check birds.json birds.csv", "is the certificate right about these data?"),
        ("check birds.json birds.csv --expect-l2 0", "and without any penalty?"),
    ),
    "crosscheck": (
        ("crosscheck losses.py:huber", "a function of a file"),
        ("crosscheck birds.losses:huber --dtype both", "of a module, in both precisions"),
    ),
}


def help_of(command: Callable[..., Any]) -> str:
    r"""The command's docstring with its paragraphs unbroken, for any width, and its examples before the last of them.

    The mark \b keeps typer from joining their lines; it is not printed.

    Example:
        >>> from jaxsoftmax.cli.manners.examples import help_of
        >>> def check():
        ...     '''Verify a certificate.
        ...
        ...     Exit status: 0 verified,
        ...     1 refused.
        ...     '''
        >>> print(help_of(check).replace("\b\n", ""))
        Verify a certificate.
        <BLANKLINE>
        Examples:
          jaxsoftmax check birds.json birds.csv
            is the certificate right about these data?
          jaxsoftmax check birds.json birds.csv --expect-l2 0
            and without any penalty?
        <BLANKLINE>
        Exit status: 0 verified, 1 refused.
    """
    *paragraphs, status = [" ".join(part.split()) for part in (inspect.getdoc(command) or "").split("\n\n")]
    lines = [f"  jaxsoftmax {call}\n    {words}" for call, words in EXAMPLES.get(command.__name__, ())]
    return "\n\n".join([*paragraphs, "\n".join(["\b", "Examples:", *lines]), status])

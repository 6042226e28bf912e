"""The verdict: a table over what independent routes say of each rule, and whether they contradict each other.

Two kinds of routes give evidence. Those through the *program* (autodiff of the replayed function, the complex step)
evaluate its derivative, entry by entry, with a bound of rounding; they share its branches: what a program decides at
the point (a ``where``, a bisection) they all take for granted. Those through *values* (differences, Taylor remainders,
a twin in 50 digits) only call the function; their bounds are estimates. A rule is accused by a kind of route that does
not share its fault; where the two kinds contradict each other, nobody is believed.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Literal

VerdictName = Literal["AGREE", "ROUNDING", "NOT CHECKED", "INCONCLUSIVE", "DISAGREE"]
# From the mildest to the gravest: the verdict on several rules is the gravest of theirs.
VERDICTS: tuple[VerdictName, ...] = ("AGREE", "ROUNDING", "NOT CHECKED", "INCONCLUSIVE", "DISAGREE")


class Family(enum.Enum):
    """What a route shares with the others."""

    PROGRAM = "the function's program: its branches"
    VALUES = "the function's values alone"


class Says(enum.Enum):
    """What the routes of a family say of a rule, all of them together."""

    AGREES = "agrees within its bound"
    REJECTS = "rejects it beyond its bound"
    SUSPECTS = "rejects it, but has no bound: half of the digits were asked for"
    SILENT = "has no finite bound, or was not asked"


_A, _R, _U, _S = Says.AGREES, Says.REJECTS, Says.SUSPECTS, Says.SILENT

# (program, values) -> verdict where the two do not contradict each other, and where they do.
TABLE: dict[tuple[Says, Says], tuple[VerdictName, VerdictName]] = {
    (_A, _A): ("AGREE", "AGREE"),
    (_A, _S): ("AGREE", "INCONCLUSIVE"),  # values speak against the program, and have not seen the rule
    (_A, _R): ("INCONCLUSIVE", "INCONCLUSIVE"),
    (_R, _A): ("DISAGREE", "INCONCLUSIVE"),  # values are coarser: unless they contradict the program, it decides
    (_R, _S): ("DISAGREE", "INCONCLUSIVE"),
    (_R, _R): ("DISAGREE", "INCONCLUSIVE"),
    (_U, _A): ("INCONCLUSIVE", "INCONCLUSIVE"),
    (_U, _S): ("NOT CHECKED", "NOT CHECKED"),
    (_U, _R): ("DISAGREE", "DISAGREE"),
    (_S, _A): ("AGREE", "AGREE"),
    (_S, _S): ("NOT CHECKED", "NOT CHECKED"),
    (_S, _R): ("DISAGREE", "DISAGREE"),
}


def together(said: Iterable[Says]) -> Says:
    """What several comparisons say together: the gravest that any of them says.

    A comparison without a bound makes the whole silent, not another's bounded agreement: what it left unchecked is
    unchecked.

    Example:
        >>> from jaxsoftmax.checker.report.verdict import Says, together
        >>> together([Says.AGREES, Says.SILENT]).name, together([Says.SILENT, Says.REJECTS]).name, together([]).name
        ('SILENT', 'REJECTS', 'SILENT')
    """
    said = set(said)
    return next((one for one in (_R, _U, _S, _A) if one in said), _S)


def verdict_on(program: Iterable[Says], values: Iterable[Says], *, contradicted: bool = False) -> VerdictName:
    """The verdict on one rule.

    Args:
        program: what the comparisons with routes through the program say.
        values: what those with values alone say.
        contradicted: values reject the program's own derivative.

    Example:
        >>> from jaxsoftmax.checker.report.verdict import Says, verdict_on
        >>> verdict_on([Says.REJECTS], [Says.AGREES]), verdict_on([Says.REJECTS], [Says.AGREES], contradicted=True)
        ('DISAGREE', 'INCONCLUSIVE')
    """
    return TABLE[together(program), together(values)][int(contradicted)]


def gravest(verdicts: Iterable[VerdictName]) -> VerdictName:
    """The gravest of some verdicts; AGREE of none.

    Example:
        >>> from jaxsoftmax.checker.report.verdict import gravest
        >>> gravest(["AGREE", "NOT CHECKED", "ROUNDING"])
        'NOT CHECKED'
    """
    found = list(verdicts)
    for name in reversed(VERDICTS):
        if name in found:
            return name
    return VERDICTS[0]

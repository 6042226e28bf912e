"""What `jaxsoftmax certify` can prove about a problem: whether a minimiser exists, or, with --digits, where it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxsoftmax.certification import certify
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.existence.decide import decide_existence
from jaxsoftmax.proof.minimum.prove import NotProved
from jaxsoftmax.reporting.blocks import Document, Title

__all__ = ["Proved", "prove_existence", "prove_minimiser"]


class Proved(NamedTuple):
    """What came of it.

    saved: has `save(path, table=)`, which writes the certificate; None where there is none.
    reports: documents to print.
    content: for the JSON report.
    sentence: what the report ends with where nothing is saved.
    """

    saved: Any | None
    reports: tuple[Document, ...]
    content: dict[str, Any]
    sentence: str


def prove_existence(problem: Problem, decimal: bool, budget: float, tell: Callable[[str], None]) -> Proved:
    """The verdict on existence (S9, S10), which is its own report and certificate where it is proved.

    Example:
        >>> import jaxsoftmax as js
        >>> from jaxsoftmax.cli.proofs import prove_existence
        >>> problem = js.Problem.from_labels([[0.0], [1.0]], [0, 1])
        >>> prove_existence(problem, False, 60.0, print).content["existence"]["type"]  # doctest: +ELLIPSIS
        deciding...
        'complete'
    """
    tell("deciding whether a minimiser exists")
    verdict = decide_existence(problem, budget=budget, decimal=decimal, progress=tell)
    return Proved(
        saved=verdict if verdict.proof is not None else None,
        reports=(verdict.document(),),
        content={"existence": verdict.to_dict(), "minimiser": None},
        sentence="UNDECIDED: no certificate is written. The report says what would help.",
    )


def prove_minimiser(
    problem: Problem, decimal: bool, budget: float, tell: Callable[[str], None], digits: int, method: str
) -> Proved:
    """The minimum to `digits` decimals (S13); where that fails, why, and the verdict on existence beside it."""
    try:
        certificate = certify(problem, digits=digits, method=method, decimal=decimal, progress=tell)
    except NotProved as error:
        tell("no proof; deciding whether a minimiser exists")
        verdict = decide_existence(problem, budget=budget, decimal=decimal, progress=tell)
        title: Document = []
        if verdict.attained is False:
            sentence = (
                "NO CERTIFICATE of a minimiser: none exists. With --label-smoothing 0.01 one exists; without --digits "
                "this verdict is certified."
            )
            # The verdict, which is printed, says why.
        else:
            sentence = (
                "NO CERTIFICATE: no proof was found. Features of like scale or --l2 may help; without --digits a "
                "proved verdict on existence is certified."
            )
            title = [Title(str(error))]
        content = {"existence": verdict.to_dict(), "minimiser": None, "reason": str(error)}
        return Proved(None, (title, verdict.document()), content, sentence)
    weights = {"W": certificate.W.tolist(), "weight_error_bounds": certificate.weight_error_bounds().tolist()}
    content = {"existence": None, "minimiser": certificate.to_dict() | weights}
    return Proved(certificate, (certificate.document(),), content, "")

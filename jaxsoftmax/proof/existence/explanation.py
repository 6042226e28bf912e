"""A verdict on existence in words: what separates which classes, what that does to training, what can be done.

Guarded by `tests/proof/existence/test_verdict.py`.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from jaxsoftmax.proof.existence.status import Existence, Separation
from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph, Title

__all__ = ["explanation", "headline", "remedy", "verdict_document"]

_SHOWN = 6  # sentences about what is separated


def verdict_document(verdict: Any) -> Document:
    """The report on a verdict."""
    data = verdict.data
    columns = data.given + data.intercept
    numbers = "shortest decimals" if data.decimal else "the doubles that they are"
    active = "" if len(data.rows) == data.N else f" ({len(data.rows)} of positive weight)"
    size = f"{data.N} samples{active}, {columns} columns, {data.C} classes"
    facts = [("data", f"{size}; numbers read as {numbers}")]
    facts += [
        ("regularizer", f"{part!r}: the verdict is for loss + regularizer (S21e)") for part in data.host.regularizer
    ]
    sentences = [Paragraph(sentence) for sentence in (*explanation(verdict), *remedy(verdict))]
    facts += [("witness", text) for text in _witness(verdict)]
    if verdict.status is Existence.UNDECIDED:  # the reason stands above
        tried = ", ".join(name for name, _ in verdict.stages) or "nothing"
        facts.append(("tried", f"for {verdict.seconds:.3f} s: {tried}"))
    else:
        facts.append(("decided", f"in {verdict.seconds:.3f} s: {verdict.reason}"))
    return [Title(f"Existence of a minimiser: {headline(verdict)}"), *sentences, Facts(facts)]


def headline(verdict: Any) -> str:
    """The status with the kind of separation; `ExistenceVerdict.headline` is the public way to it."""
    text = verdict.status.name
    if verdict.status is Existence.NOT_ATTAINED:
        kind = "separation" if verdict.type is Separation.OPEN else f"{verdict.type} separation"
        text = f"{text} ({kind})"
    return text if verdict.proved or verdict.status is Existence.UNDECIDED else f"{text}, not proved"


def _witness(verdict: Any) -> list[str]:
    shown = []
    if verdict.status is Existence.NOT_ATTAINED and verdict.direction is not None:
        V = verdict.direction
        bits = max(int(abs(v)).bit_length() for v in V.flat)
        pairs = int((~verdict.data.support).sum())
        shown.append(
            f"direction V (S9): {int((V != 0).sum())} of {V.size} entries are not 0, integers of at most {bits} bits; "
            f"it separates {int(verdict.separated.sum())} of {pairs} pairs (sample, other class)"
        )
    G = verdict.multipliers
    if G is not None:
        rows = sum(len(block.rows) for block in G.blocks)
        shown.append(
            f"multipliers G on {rows} rows, Gᵀ·X = 0 exactly: what G is positive on, no direction separates (S10)"
        )
    return shown


def explanation(verdict: Any) -> list[str]:
    """What a verdict means: its sentences, without what can be done about it.

    `ExistenceVerdict.explain` is the public way to it, and has an example.
    """
    if verdict.status is Existence.UNDECIDED:
        return [f"Whether a minimiser exists was not decided: {verdict.reason}."]
    if verdict.status is Existence.ATTAINED:
        return _attained(verdict)
    return [*_headword(verdict), *_separations(verdict), *_consequence(verdict)]


def remedy(verdict: Any) -> list[str]:
    """What can be done where no minimiser was shown to exist: one sentence; none where one exists."""
    if verdict.status is Existence.ATTAINED:
        return []
    found = _to_decide(verdict) if verdict.status is Existence.UNDECIDED else _to_have_a_minimiser(verdict)
    return [f"Remedy: {'; or '.join(found)}."]


def _to_decide(verdict: Any) -> list[str]:
    found = ["a larger budget"] if verdict.budget_spent else []
    if not verdict.data.decimal and verdict.data.values.dtype.kind not in "biu":
        found.append("decimal=True, if these numbers are decimals of a table (read as doubles their ties are lost)")
    return [*found, "problem.smoothed('0.01'), which has a minimiser"]


def _to_have_a_minimiser(verdict: Any) -> list[str]:
    data = verdict.data
    absent = data.intercept and not data.support.any(axis=0).all()
    flags = ", penalize_intercept=True" if absent else ""  # L2 spares the intercept, along which an absent class falls
    found = [
        "smooth the targets, problem.smoothed('0.01'), after which a minimiser exists (S9)",
        f"add a penalty, regularizer=jaxsoftmax.L2(alpha{flags})",
    ]
    if verdict.face_maximal:
        found.append("drop from the loss the pairs that V separates; a minimum then exists (S11)")
    return found


def _attained(verdict: Any) -> list[str]:
    what = "loss + regularizer" if verdict.data.host.regularizer else "loss"
    why = {
        "positive-targets": "every target gives every class a positive probability (S9)",
        "coercive": "the regularizer grows in every direction that changes a probability (S21e)",
        "multipliers": "no direction separates any sample from any class, as the multipliers G prove (S10)",
    }.get(verdict.proof, verdict.reason)
    return [f"The {what} attains its minimum: {why}.", "Gradient descent converges without a further penalty (S16)."]


def _headword(verdict: Any) -> list[str]:
    if verdict.type is Separation.COMPLETE:
        others = "every other class" if verdict.data.one_hot else "every class outside its target"
        return [f"No minimiser exists: a direction V of the weights separates every sample from {others} (S9)."]
    some = "No minimiser exists: a direction V of the weights separates some pairs of a sample and another class"
    if verdict.type is Separation.OPEN:
        return [f"{some} (S9).", "Whether a direction separates every pair was not decided."]
    whole = "no other direction separates more" if verdict.face_maximal else "another direction may separate more"
    return [f"{some}, and none separates every pair (S9); {whole}."]


def _separations(verdict: Any) -> list[str]:
    """Thresholds and silent features where there are some, else the pairs of classes that V separates."""
    classes, columns = verdict.data.names()
    found, lines = verdict.found, []
    if found is not None:
        lines += [_threshold(t, classes, columns) for t in found.thresholds[:_SHOWN]]
        more = len(found.thresholds) - _SHOWN
        if more > 0:
            lines.append(f"{more} more thresholds on single features separate classes.")
        if len(found.never):
            c, f = found.never[0].tolist()
            more = f", one of {len(found.never)} such pairs" if len(found.never) > 1 else ""
            lines.append(
                f"A feature that is 0 on a class and never changes sign elsewhere separates it: {columns[f]} and class "
                f"{classes[c]}{more}."
            )
        if found.absent and verdict.data.given in verdict.data.columns.tolist():
            names = ", ".join(classes[c] for c in found.absent)
            lines.append(f"No sample has class {names}: in training its intercept falls without bound.")
    if lines and verdict.type is not Separation.COMPLETE:
        return lines
    return [*lines, *_pairs_of_classes(verdict, classes)][: _SHOWN + 3]


def _threshold(threshold: Any, classes: list[str], columns: list[str]) -> str:
    feature, theta = columns[threshold.feature], _decimal(threshold.theta)
    above, below = threshold.above, threshold.below
    if len(below) == 1:
        one, rest, sign = below, above, "<"
    else:
        one, rest, sign = above, below, ">"
    names = "class " + classes[one[0]] if len(one) == 1 else "classes " + ", ".join(classes[c] for c in one)
    if len(rest) == 1:
        others = f"class {classes[rest[0]]}"
    elif len(one) == 1:
        others = "the rest"
    else:
        others = "classes " + ", ".join(classes[c] for c in rest)
    if threshold.strict:
        verb = "is" if len(one) == 1 else "are"
        return f"{names} {verb} separated from {others} by {feature} {sign} {theta}."
    verb = "lies" if len(one) == 1 else "lie"
    return f"{names} {verb} in {feature} {sign}= {theta}, {others} in {feature} {'>' if sign == '<' else '<'}= {theta}."


def _pairs_of_classes(verdict: Any, classes: list[str]) -> list[str]:
    """For one-hot targets: which classes V separates, from which classes, and how many of their samples."""
    data, separated = verdict.data, verdict.separated[verdict.data.rows]
    if not data.one_hot:
        pairs = int((~data.support).sum())
        return [f"{int(separated.sum())} of {pairs} pairs of a sample and a class outside its target are separated."]
    counts = np.zeros((data.C, data.C), int)
    np.add.at(counts, data.codes, separated)
    sizes = np.bincount(data.codes, minlength=data.C)
    whole = [(a, b) for a, b in np.argwhere(counts > 0) if counts[a, b] == sizes[a]]
    if len(whole) == data.C * (data.C - 1) or verdict.type is Separation.COMPLETE:
        return ["Along V every sample's own class wins against every other class."]
    part = [(a, b) for a, b in np.argwhere(counts > 0) if counts[a, b] < sizes[a]]
    lines = [f"All {sizes[a]} samples of class {classes[a]} are separated from class {classes[b]}." for a, b in whole]
    lines += [
        f"{counts[a, b]} of {sizes[a]} samples of class {classes[a]} are separated from class {classes[b]}."
        for a, b in part
    ]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], f"... and {len(lines) - _SHOWN} more pairs of classes."]
    return lines


def _consequence(verdict: Any) -> list[str]:
    lines = []
    diverging = verdict.diverging()
    if diverging:
        some = ", ".join(f"class {name} ({_some(features)})" for name, features in diverging[:3])
        more = f" and {len(diverging) - 3} more classes" if len(diverging) > 3 else ""
        lines.append(f"In training these coefficients grow without bound (S16): {some}{more}.")
    if verdict.infimum_estimate is not None:
        exact = verdict.type is Separation.COMPLETE and verdict.data.one_hot
        lines.append(
            f"The loss falls towards inf L = {verdict.infimum_estimate:.10g} and never reaches it "
            f"(S11, {'exact' if exact else 'estimated in float64'})."
        )
    return lines


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _decimal(value: Fraction) -> str:
    """A threshold to all its digits: an integer, the double that it is, or a decimal that ends; else 17 digits."""
    if value.denominator == 1:
        return str(value.numerator)
    if Fraction(float(value)) == value:
        return repr(float(value))
    for places in range(1, 25):
        if (value * 10**places).denominator == 1:
            return str(Decimal(int(value * 10**places)).scaleb(-places))
    return f"{float(value):.17g}"

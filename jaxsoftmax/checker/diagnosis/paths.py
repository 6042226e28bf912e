"""Errors with a place in the program: a part of the derivative missing, of the wrong sign or size, or transposed.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jaxsoftmax.checker.diagnosis.case import Case, Fitted, Guess, guess
from jaxsoftmax.checker.diagnosis.flat import Edge, Flat
from jaxsoftmax.checker.diagnosis.layout import gauge
from jaxsoftmax.checker.diagnosis.linear import Linear
from jaxsoftmax.checker.report.result import DiagnosisName

__all__ = ["tampered", "wrong_parts"]

# Factors that a mistake leaves behind, less 1: missing, of the wrong sign, twice, half.
_PLAIN = (-1.0, -2.0, 1.0, -0.5)
# What is not this near to the error is not looked at entry by entry.
_NEAR = 1e-5
# Pairs of so many parts are tried.
_PARTS = 150
# Kinds of rules whose rows are outputs; those of the others are entries of x.
_BY_OUTPUT = ("jvp", "hvp", "hessian")


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the derivative.

    Attributes:
        matrix: the contribution (m, n).
        text: where it flows, in words.
        term: through a summand of the function, or a use of the parameters themselves.
    """

    matrix: np.ndarray
    text: str
    term: bool


def _laid_out(case: Case, matrix: np.ndarray) -> list[np.ndarray]:
    """A Jacobian (outputs, entries of x) as the case lays it out."""
    return case.leaves([matrix if case.suspect.kind in _BY_OUTPUT else matrix.T])


def _parts(case: Case, linear: Linear) -> list[Part]:
    """The different contributions of all edges, and of values that are used more than once."""
    flat = linear.flat
    terms, leaves = set(flat.terms()), set(flat.leaf_vars)
    second = case.suspect.kind in ("hvp", "hessian")
    size = max(float(np.abs(case.joined(q)).max()) for q in (case.theirs, case.error))
    found: dict[bytes, list[tuple[np.ndarray, str, bool, bool]]] = {}

    def add(matrix: np.ndarray, text: str, term: bool, direct: bool) -> None:
        if matrix.any() and np.isfinite(matrix).all():
            key = (np.round(matrix / size, 8) + 0.0).tobytes()
            found.setdefault(key, []).append((matrix, text, term, direct))

    uses: dict[Any, list[np.ndarray]] = {}
    for edge in linear.edges():
        atom = flat.jaxpr.eqns[edge[0]].invars[edge[1]]
        matrix, direct = linear.through(edge), atom in leaves and not second
        uses.setdefault(atom, []).append(matrix)
        add(matrix, flat.text(edge), edge in terms, direct)
        if second and not np.allclose(matrix, matrix.T):
            add(matrix + matrix.T, f"{flat.text(edge)}, on both sides,", False, False)
    for atom, several in uses.items():
        if len(several) > 1 and atom not in leaves:
            add(np.sum(several, axis=0), flat.text(atom), False, False)
    # Of places with the same contribution a term of the function says most, and a value more than a use of x.
    best = [min(same, key=lambda part: (not part[2], part[3])) for same in found.values()]
    return [Part(matrix, text, term or direct) for matrix, text, term, direct in best]


def wrong_parts(case: Case, linear: Linear) -> Guess | None:
    """ours = theirs + c × one part of the derivative, or + c × two parts with a plain c."""
    parts = _parts(case, linear)
    if not parts or not case.usable:
        return None
    directions = [_laid_out(case, part.matrix) for part in parts]
    error = case.joined(case.error).ravel()
    rows = np.stack([case.joined(d).ravel() for d in directions])
    norms = np.einsum("ij,ij->i", rows, rows)
    fitted = rows @ error / norms
    rest = np.linalg.norm(error - fitted[:, None] * rows, axis=1)
    near = np.flatnonzero(rest <= _NEAR * np.linalg.norm(error))
    found = []
    for k in near:
        fit = case.scaled(case.theirs, directions[k])
        if fit is not None:
            found.append((_oddity(*fit), not parts[k].term, int(k), fit))
    if found:
        *_, k, (c, spread) = min(found)
        return _said(case, [parts[k]], c, spread)
    return _pairs(case, parts, directions, rows)


def _oddity(c: float, spread: float) -> int:
    """The plain factors before all others."""
    return next((i for i, plain in enumerate(_PLAIN) if abs(c - plain) <= 4 * spread + 2.0**-40), len(_PLAIN))


def _said(case: Case, parts: list[Part], c: float, spread: float) -> Guess | None:
    texts = " and ".join(part.text for part in parts)
    if _oddity(c, spread) > 0 or any(part.term for part in parts):
        text, fit = "looks like what flows through {part} {how} in {rule} (factor {fit})", Fitted.of(1 + c, spread)
        return guess("wrong term", text, part=texts, how=_how(1 + c, spread), fit=fit)
    if all(not mine[wrong].any() for mine, wrong in zip(case.ours, case.wrong, strict=True)):
        return None  # zeros in the place of numbers have many causes
    text = "looks like {rule} holds {part} constant, though it depends on the parameters"
    if gauge(case, missing=True) is not None:
        return guess("gauge", f"{text}: a projection is missing", part=texts)
    return guess("stop gradient", text, part=texts)


def _how(c: float, spread: float) -> str:
    if abs(c) <= 4 * spread:
        return "is missing"
    return "enters with the wrong sign" if abs(c + 1) <= 4 * spread else f"enters {c:.4g} times"


def _pairs(case: Case, parts: list[Part], directions: list[Any], rows: np.ndarray) -> Guess | None:
    """Two parts with the same plain factor."""
    if len(parts) > _PARTS or rows.shape[1] < 3:
        return None
    error = case.joined(case.error).ravel()
    unit = np.linalg.norm(error)
    rows, error = rows / unit, error / unit
    gram, along = rows @ rows.T, rows @ error
    own = np.diag(gram)
    for c in _PLAIN:
        distance = 1 + c * c * (own[:, None] + own + 2 * gram) - 2 * c * (along[:, None] + along)
        for i, j in np.argwhere(np.triu(distance <= _NEAR**2, 1))[:50]:
            pair = [p + q for p, q in zip(directions[i], directions[j], strict=True)]
            if case.explained([t + c * p for t, p in zip(case.theirs, pair, strict=True)]):
                return _said(case, [parts[i], parts[j]], c, 0.0)
    return None


def tampered(case: Case, linear: Linear) -> Guess | None:
    """ours is the derivative with one place of the program transposed, reversed, or summed over another axis."""
    if not case.usable:
        return None
    error = case.joined(case.error)
    unit = np.linalg.norm(error)
    sums = []
    for name, text, change in _changes(linear):
        matrix = change()
        if not np.isfinite(matrix).all():
            continue
        direction = _laid_out(case, matrix)
        off = error - case.joined(direction)
        if np.linalg.norm(off) <= _NEAR * unit and case.explained(_plus(case.theirs, direction)):
            return guess(name, "looks like {how} in {rule}", how=text)
        if " axis " in text and name == "wrong term" and matrix.any():
            sums.append((text, direction))
    for (text, first), (_, second) in itertools.combinations(sums[:60], 2):
        if case.explained(_plus(_plus(case.theirs, first), second)):
            return guess("wrong term", "looks like {how}, and another, in {rule}", how=text)
    return None


def _plus(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [a + b for a, b in zip(first, second, strict=True)]


def _changes(linear: Linear) -> Iterator[tuple[DiagnosisName, str, Callable[[], np.ndarray]]]:
    """(name, words, what it adds to the derivative) of what may be wrong in one place."""
    flat = linear.flat
    for edge in linear.edges():
        eqn = flat.jaxpr.eqns[edge[0]]
        where = f"{eqn.primitive.name} (of shape {tuple(eqn.outvars[0].aval.shape)})"

        def through(changed: Any, edge: Edge = edge) -> Callable[[], np.ndarray]:
            return lambda: linear.through(edge, changed)

        (out, local), *more = linear.local[edge].items()
        if more or out not in linear.behind:
            continue
        if local.ndim == 2 and local.shape[0] == local.shape[1] > 1:
            yield "transpose", f"the derivative of {where} is transposed", through(lambda _, a: a.T - a)
        shape = tuple(out.aval.shape)
        if local.ndim == 2 and min(local.shape) > 2 and eqn.primitive.name not in ("rev", "transpose"):
            text = f"the derivative of {where} is in reverse order"
            yield "permutation", text, through(lambda _, a: a[::-1, ::-1] - a)
        if local.ndim == 1 and eqn.primitive.name != "select_n" and not _by_data(flat, eqn):
            yield "wrong term", f"the derivative of {where} is left out (taken for 1)", through(lambda _, a: 1 - a)
        if local.ndim == 1 and len(shape) > 1 and shape[-1] == shape[-2] > 1:
            moved = np.swapaxes(local.reshape(shape), -1, -2).ravel()
            yield "transpose", f"the factor of {where} is transposed", through(lambda _, a, moved=moved: moved - a)
    for k, chosen in linear.chosen.items():
        yield "kink", f"the other branch of a choice of shape {chosen.shape} is differentiated", _switched(linear, k)
    for v in [v for _, eqn in flat.live for v in eqn.outvars if v in linear.behind and v in linear.ahead]:
        yield from _at_value(linear, v)


def _by_data(flat: Flat, eqn: Any) -> bool:
    """A multiple by numbers that do not depend on x: `other_data` names what is wrong with them."""
    return eqn.primitive.name in ("mul", "div") and not all(map(flat.flows, eqn.invars))


def _switched(linear: Linear, k: int) -> Callable[[], np.ndarray]:
    def change() -> np.ndarray:
        total = np.zeros(linear.shape)
        for j in (1, 2):
            if (k, j) in linear.local:
                total += linear.through((k, j), lambda _, a: 1 - 2 * a if a.ndim == 1 else 0 * a)
        return total

    return change


def _at_value(linear: Linear, v: Any) -> Iterator[tuple[DiagnosisName, str, Callable[[], np.ndarray]]]:
    """What may happen to the derivative of one value."""
    shape, ahead, behind = tuple(v.aval.shape), linear.ahead[v], linear.behind[v]
    maker = next(eqn.primitive.name for _, eqn in linear.flat.live if v in eqn.outvars)
    where = f"the {maker} of shape {shape}"

    def moved(by: Callable[[np.ndarray], np.ndarray]) -> Callable[[], np.ndarray]:
        def change() -> np.ndarray:
            full = ahead.reshape(*shape, -1)
            return behind @ (by(full) - full).reshape(ahead.shape)

        return change

    if len(shape) > 1 and shape[-1] == shape[-2] > 1:
        axes = (len(shape) - 2, len(shape) - 1)
        yield "transpose", f"the derivative of {where} is transposed", moved(lambda a: np.swapaxes(a, *axes))
    for axis in range(len(shape)):
        for step in (1, -1) if shape[axis] > 2 else ():
            text = f"the derivative of {where} is shifted by {step} along axis {axis}"
            yield "shift", text, moved(lambda a, s=step, axis=axis: np.roll(a, s, axis))
    if maker.startswith("reduce_") or maker == "dot_general":
        for axis in [k for k in range(len(shape)) if shape[k] > 1]:
            for how, reduce in (("summed", np.sum), ("averaged", np.mean)):
                text = f"the derivative of {where} is {how} over axis {axis} too"
                yield "wrong term", text, moved(lambda a, f=reduce, k=axis: f(a, k, keepdims=True) + 0 * a)

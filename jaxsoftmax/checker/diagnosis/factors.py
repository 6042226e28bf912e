"""Errors that are a multiple of something simple: of the derivative itself, of one leaf of it, of the parameters.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import jax
import numpy as np

from jaxsoftmax.checker.diagnosis.case import Case, Fitted, Guess, constants, guess, scale_fit
from jaxsoftmax.reporting.digits import told_apart

__all__ = ["constant_factor", "leaf_factor", "parameters", "regulariser"]

_KNOWN = {
    "half of": 0.5,
    "a third of": 1 / 3,
    "a quarter of": 0.25,
    "twice": 2.0,
    "three times": 3.0,
    "four times": 4.0,
    "minus": -1.0,
    "minus half of": -0.5,
    "minus twice": -2.0,
    "ln 2 times": math.log(2),
    "1/ln 2 times": 1 / math.log(2),
    "ln 10 times": math.log(10),
    "1/ln 10 times": 1 / math.log(10),
    "pi/180 times": math.pi / 180,
    "180/pi times": 180 / math.pi,
    "pi times": math.pi,
    "1/pi times": 1 / math.pi,
    "2 pi times": 2 * math.pi,
    "1/(2 pi) times": 0.5 / math.pi,
}


def constant_factor(case: Case) -> Guess | None:
    """ours = c theirs in every entry; zeros are no factor but a derivative that was cut off."""
    found = case.scaled([np.zeros_like(t) for t in case.theirs], case.theirs)
    if found is None:
        return _single(case)
    c, spread = found
    if abs(c) <= 2 * spread:
        return guess("stop gradient", "looks like {rule} holds everything constant: it is 0 everywhere")
    return _factor(_said(case, c, spread), Fitted.of(c, spread))


def _factor(times: str, factor: Fitted) -> Guess:
    text = "looks like {rule} is {times} the right one (factor {factor})"
    return guess("constant factor", text, times=times, factor=factor)


def _single(case: Case) -> Guess | None:
    """One entry only: every number is a multiple of it, so the factor must be a known one."""
    if case.size != 1 or not case.usable or not case.theirs[0].ravel()[0]:
        return None
    c = float(case.ours[0].ravel()[0] / case.theirs[0].ravel()[0])
    spread = case.limit(0, abs(c)) / abs(float(case.theirs[0].ravel()[0]))
    known = _known(case, c, spread)
    return None if known is None else _factor(known, Fitted.of(c, spread))


def leaf_factor(case: Case) -> Guess | None:
    """One leaf of several is wrong, and by a factor (any, where the leaf has one entry)."""
    if len(case.failing) != 1 or len(case.error) == 1 or not case.usable:
        return None
    i = case.failing[0]
    t = case.limit(i)
    found = scale_fit([case.ours[i]], [case.theirs[i]], [t])
    rest = f"the other {len(case.error) - 1} agree" if len(case.error) > 2 else "the other agrees"
    if found is None:
        return None
    c, spread, _ = found
    miss = np.abs(case.ours[i] - c * case.theirs[i])
    if not (miss <= case.limit(i, abs(c)) + spread * np.abs(case.theirs[i])).all():
        return None
    if abs(c) <= 2 * spread:
        return guess("one leaf", "only {leaf} is wrong, it is 0; {rest}", leaf=case.paths[i], rest=rest)
    text = "only {leaf} is wrong, it is {times} the right one (factor {factor}); {rest}"
    values = {"leaf": case.paths[i], "times": _said(case, c, spread), "factor": Fitted.of(c, spread), "rest": rest}
    return guess("one leaf", text, **values)


def _said(case: Case, c: float, spread: float) -> str:
    return _known(case, c, spread) or f"{told_apart(c, 1.0, 4)[0]} times"


def _known(case: Case, c: float, spread: float) -> str | None:
    for text, value in _candidates(case):
        if abs(c - value) <= spread + 2.0**-48 * abs(value):
            return text
    return None


def _candidates(case: Case) -> Iterator[tuple[str, float]]:
    """Numbers that a factor may be, the plain ones first."""
    yield from _KNOWN.items()
    arrays = [("at" + p, np.asarray(x)) for p, x in zip(case.session.point.paths, case.session.wide(), strict=True)]
    arrays += constants(case.session)
    for name, array in arrays:
        for size in dict.fromkeys((*array.shape, array.size)):
            if size > 2:
                yield f"{size} (a size of {name}) times", float(size)
                yield f"1/{size} (a size of {name}) of", 1.0 / size
                yield f"{size - 1}/{size} ({size} is a size of {name}) of", (size - 1) / size
                yield f"{size}/{size - 1} ({size} is a size of {name}) of", size / (size - 1)
    for name, array in constants(case.session):
        if array.dtype.kind != "f" or not array.size:
            continue
        values = [("", float(array))] if array.ndim == 0 else [("sum of ", float(array.sum()))]
        for text, value in values:
            if value != 0 and np.isfinite(value):
                yield f"({text}{name}) times", value
                yield f"1/({text}{name}) of", 1 / value


def parameters(case: Case, leaves: list[int]) -> list[np.ndarray] | None:
    """What a term ½ Σ x² over some leaves adds to the quantity: x to a gradient, the identity to a Hessian."""
    if case.suspect.kind in ("jvp", "vjp"):
        return None
    with jax.enable_x64(True):
        x = [np.asarray(leaf) for leaf in case.session.wide()]
    if not case.matrix:
        return [(leaf if i in leaves else np.zeros_like(leaf))[..., None] for i, leaf in enumerate(x)]
    diagonal = np.concatenate([np.full(leaf.size, float(i in leaves)) for i, leaf in enumerate(x)])
    return case.leaves([np.diag(diagonal)])


def regulariser(case: Case) -> Guess | None:
    """ours − theirs = c x on whole leaves, or on whole slices of one, and 0 elsewhere."""
    if not case.usable or not case.failing:
        return None
    where = [case.paths[i] for i in case.failing]
    direction = parameters(case, case.failing)
    if direction is None:
        return None
    found = case.scaled(case.theirs, direction)
    if found is None and len(case.failing) == 1 and not case.matrix:
        i = case.failing[0]
        for axis in range(direction[i].ndim - 1):
            rest = tuple(k for k in range(direction[i].ndim) if k != axis)
            hit = case.wrong[i].any(axis=rest)
            if hit.all() or not hit.any():
                continue
            shape = [1] * direction[i].ndim
            shape[axis] = -1
            part = [*direction]
            part[i] = direction[i] * hit.reshape(shape)
            found = case.scaled(case.theirs, part)
            if found is not None:
                places = ", ".join(str(k) for k in np.flatnonzero(hit)[:5])
                where = [f"{case.paths[i] or 'x'} (index {places} of axis {axis})"]
                break
    if found is None:
        return None
    c, spread = found
    if _radial(case, direction):
        return guess(
            "gauge",
            "looks like {rule} has {factor} times the parameters on {where} added; the right one is orthogonal to them "
            "(a projection is missing)",
            factor=Fitted.of(c, spread),
            where=", ".join(where) or "x",
        )
    named = "" if len(case.error) == 1 and where == [""] else f" on {', '.join(where)}"
    term = f"a term {abs(c):.4g} * parameters{named} is {'missing' if c < 0 else 'too much'}"
    text, fit = "looks like {term} in {rule} (fitted {fit})", Fitted.of(abs(c), spread)
    return guess("missing regulariser", text, term=term, fit=fit)


def _radial(case: Case, direction: list[np.ndarray]) -> bool:
    """Whether the function does not change with the scale of the failing leaves: <theirs, x> = 0 there (Euler)."""
    if case.matrix:
        return False
    pairs = [(case.theirs[i], direction[i], case.limit(i)) for i in case.failing]
    form = sum(float(np.vdot(g, x)) for g, x, _ in pairs)
    noise = sum(t * float(np.abs(x).sum()) for _, x, t in pairs)
    size = sum(float(np.vdot(np.abs(g), np.abs(x))) for g, x, _ in pairs)
    # Leaves of zeros are orthogonal to everything, and say nothing of the scale.
    return size > 16 * noise and abs(form) <= noise + 2.0**-48 * size

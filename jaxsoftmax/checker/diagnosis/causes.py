"""Errors with a cause in the function: data replaced or left out, a value held constant.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from jaxsoftmax.checker.compare.autodiff import Truth, gradient_program
from jaxsoftmax.checker.diagnosis.case import Case, Guess, constants, guess
from jaxsoftmax.checker.diagnosis.flat import Flat
from jaxsoftmax.checker.diagnosis.programs import Tampered

__all__ = ["other_data", "own_stops", "stopped"]

_TRIALS = 200
_PAIRS = 300


def _weights(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """What a weight may be taken for."""
    ones = np.ones_like(array)
    if not np.array_equal(array, ones):
        yield "left out (taken for 1)", ones
        yield "squared", array * array
        if (array >= 0).all():
            yield "under a square root", np.sqrt(array)


def _signs(array: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield "left out (taken for 0)", np.zeros_like(array)
    yield "of the wrong sign", -array
    if array.ndim == 0 and float(array) != 1.0:
        yield "left out (taken for 1)", np.ones_like(array)


def other_data(case: Case, flat: Flat, truth: Truth | None) -> Guess | None:
    """The derivative of the function with one of its arrays replaced, everywhere or in one use, is ours."""
    if not case.usable:
        return None
    uses = flat.const_uses()
    if not uses or len(uses) > _TRIALS:
        return None
    tampered = Tampered(case, flat, truth, uses=uses)
    holders = [flat.const_vars.index(flat.jaxpr.eqns[k].invars[j]) for k, j in uses]
    arrays = constants(case.session)
    first = len(flat.consts) - len(arrays)  # constants of the trace itself come first
    names = {v: arrays[v - first] for v in set(holders) if v >= first}
    trials = 0
    for which, one_use in itertools.chain(
        ((v, None) for v in names), ((v, n) for n, v in enumerate(holders) if v in names and holders.count(v) > 1)
    ):
        name, array = names[which][0], np.asarray(flat.consts[which], np.float64)
        # An array may hold weights when it is not negative, or has one axis.
        weight = array.size > 1 and bool(array.ndim == 1 or (array >= 0).all())
        # Samples are what a scalar is summed over; a vector-valued function has none.
        called = "wrong term" if case.suspect.kind in ("jvp", "vjp") else "sample weight"
        options: list[Any] = [(called, *o) for o in _weights(array)] if weight else []
        options += [("wrong term", *o) for o in _signs(array)] if one_use is None else []
        for diagnosis, text, other in options:
            if trials >= _TRIALS or not case.session.clock.allows():
                return None
            trials += 1
            changed = [
                other if v == which and one_use in (None, n) else held
                for n, (v, held) in enumerate(zip(holders, tampered.used, strict=True))
            ]
            (found,) = tampered(values=changed)
            if case.explained(found):
                place = "" if one_use is None else f" in one of {holders.count(which)} places"
                changed = f"{name} (shape {array.shape}) is {text}{place}"
                return guess(diagnosis, "looks like {changed} in {rule}", changed=changed)
    return None


def own_stops(case: Case, flat: Flat, truth: Truth | None) -> Guess | None:
    """ours is the derivative with the function's own stop_gradients kept."""
    fun = case.session.fun
    if not case.usable or case.matrix or not fun.replay.stops or truth is None:
        return None
    session = case.session
    program, _ = gradient_program(session, lambda c, leaves: fun.run(c, leaves, keep_stops=True), fun.consts)
    _, *found = session.values(program, session.wide())
    if not case.explained([g[..., None] for g in found]):
        return None
    return guess(
        "stop gradient",
        "looks like {rule} leaves out a part that stop_gradient hides in the function; the derivative of the computed "
        "value has that part",
    )


def stopped(case: Case, flat: Flat, truth: Truth | None) -> Guess | None:
    """ours is the derivative with one value of the function, or two, held constant."""
    if not case.usable:
        return None
    gates = flat.gates()
    if not gates or len(gates) > _TRIALS:
        return None
    tampered = Tampered(case, flat, truth, gates=gates)
    cuts: list[tuple[int, ...]] = [(k,) for k in range(len(gates))]
    found = _first(case, tampered, cuts)
    if found is None and tampered.batch > 1:
        values = [k for k, gate in enumerate(gates) if gate[0] == "value"]
        pairs = list(itertools.combinations(values, 2))
        found = _first(case, tampered, pairs) if len(pairs) <= _PAIRS else None
    if found is None:
        return None
    held = " and ".join(flat.text(gates[k]) for k in found)
    text = "looks like {rule} holds {held} constant, though it depends on the parameters"
    return guess("stop gradient", text, held=held)


def _first(case: Case, tampered: Tampered, cuts: list[tuple[int, ...]]) -> tuple[int, ...] | None:
    step = 4 * tampered.batch
    for start in range(0, len(cuts), step):
        part = cuts[start : start + step]
        factors = np.ones((len(part), tampered.counts[0]))
        for row, cut in enumerate(part):
            factors[row, list(cut)] = 0.0
        for cut, found in zip(part, tampered(factors), strict=True):
            if case.explained(found):
                return cut
        if not case.session.clock.allows():
            return None
    return None

"""Errors whose cause is in the data: an array replaced, left out or shifted; a stop_gradient of the function's own.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.compare.autodiff import FORWARD, Truth, gradient_program
from jaxsoftmax.checker.diagnosis.case import Case, Guess, constants, guess
from jaxsoftmax.checker.report.result import DiagnosisName

__all__ = ["other_axis", "other_data", "own_stops"]

_TRIALS = 100
_LARGE = 2**20


def _replacements(array: np.ndarray) -> Iterator[tuple[DiagnosisName, str, np.ndarray]]:
    """What a rule may have in the place of an array: (diagnosis, words, array)."""
    if array.dtype.kind in "iu":
        yield "shift", "off by one (1 too large)", array + 1
        yield "shift", "off by one (1 too small)", array - 1
        return
    if (array != array.astype(np.float32)).any():
        yield "dtype", "rounded to float32", array.astype(np.float32).astype(np.float64)
    # An array may hold weights when it is not negative, or has one axis.
    if array.size > 1 and (array.ndim == 1 or (array >= 0).all()):
        if (array != 1).any():
            yield "sample weight", "left out (taken for 1)", np.ones_like(array)
            yield "sample weight", "squared", array * array
        if (array >= 0).all():
            yield "sample weight", "under a square root", np.sqrt(array)
        yield "sample weight", "replaced by its mean", np.full_like(array, array.mean())
    yield "wrong term", "left out (taken for 0)", np.zeros_like(array)
    yield "wrong term", "of the wrong sign", -array
    if array.ndim == 0 and float(array) != 1.0:
        yield "wrong term", "left out (taken for 1)", np.ones_like(array)
    for axis in range(array.ndim):
        for step in (1, -1) if array.shape[axis] > 2 else ():
            yield "shift", f"shifted by {step} along axis {axis}", np.roll(array, step, axis)
    if array.ndim > 1 and array.shape[-1] == array.shape[-2] and not np.array_equal(array, array.swapaxes(-1, -2)):
        yield "transpose", "transposed", array.swapaxes(-1, -2)


def other_data(case: Case, truth: Truth | None) -> Guess | None:
    """The derivative of the function with one of its arrays replaced is ours."""
    session, fun = case.session, case.session.fun
    arrays = constants(session)
    trials = [(k, *r) for k, (_, array) in enumerate(arrays) if array.size and array.dtype.kind in "fiu"
              for r in _replacements(array)]  # fmt: skip
    if not case.usable or not trials or len(trials) > _TRIALS or case.size > _LARGE:
        return None
    kind, forward = case.suspect.kind, truth is not None and truth.route == FORWARD

    def derivative(_: Any, leaves: Any, held: Any) -> Any:
        vector, unravel = jax.flatten_util.ravel_pytree(list(leaves))

        def run(x: Any) -> Any:
            return jnp.concatenate([jnp.ravel(out) for out in fun.run(held, unravel(x))])

        if kind in ("jvp", "vjp"):
            jacobian = jax.jacfwd(run)(vector)
            return jacobian if kind == "jvp" else jacobian.T
        gradient = (jax.jacfwd if forward else jax.grad)(lambda x: run(x)[0])
        return gradient(vector)[:, None] if kind == "gradient" else jax.jacfwd(gradient)(vector)

    with jax.enable_x64(True):
        consts = [jnp.asarray(c) if isinstance(c, np.ndarray) else c for c in fun.consts]
    program = session.program(derivative, [], session.wide(), consts)
    if program.cost > session.clock.budget.bytes:
        return None
    for k, name, text, other in trials:
        if not session.clock.allows():
            return None
        with jax.enable_x64(True):
            changed = [jnp.asarray(other, c.dtype) if i == k else c for i, c in enumerate(consts)]
        (found,) = session.values(program, session.wide(), changed)
        if case.explained(case.leaves([found])):
            called, shape = arrays[k][0], arrays[k][1].shape
            # Samples are what a scalar is summed over; a vector-valued function has none.
            name = "wrong term" if name == "sample weight" and kind in ("jvp", "vjp") else name
            return guess(name, "looks like {changed} in {rule}", changed=f"{called} (shape {shape}) is {text}")
    return None


def own_stops(case: Case, truth: Truth | None) -> Guess | None:
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


def other_axis(case: Case, truth: Truth | None) -> Guess | None:
    """ours is the gradient of the function with rows and columns of one square leaf exchanged, before and after."""
    if not case.usable or case.matrix or truth is None:
        return None
    wide = case.session.wide()
    for i in case.failing:
        shape = wide[i].shape
        if len(shape) != 2 or shape[0] != shape[1]:
            continue
        with jax.enable_x64(True):
            moved = [leaf.T if k == i else leaf for k, leaf in enumerate(wide)]
        _, *found = case.session.values(truth.program, moved)
        found[i] = found[i].T
        if case.explained([g[..., None] for g in found]):
            text = "looks like {rule} takes one axis of x{leaf} for the other"
            return guess("transpose", text, leaf=case.paths[i])
    return None

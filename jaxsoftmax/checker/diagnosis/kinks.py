"""Points where the function switches: evidence of the differences, and comparisons that are nearly tied.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.diagnosis.case import Case, Guess, guess
from jaxsoftmax.checker.diagnosis.flat import Flat
from jaxsoftmax.checker.inputs.context import Kinked
from jaxsoftmax.checker.jaxprs.equations import bind, evaluate

__all__ = ["kink", "near_ties", "not_smooth"]

# A tie is near when the margin is this fraction of the operands' size.
_NEAR = 1e-4
_COMPARED = {"max", "min", "gt", "ge", "lt", "le"}


def kink(case: Case, flat: Flat | None) -> Guess | None:
    """All wrong entries are at kinks that the differences saw, or depend on a value that is nearly tied."""
    wrong = [case.row(i, index) for i, index in case.places(64)]
    seen = [kinked for kinked in case.session.kinks if _named(kinked, wrong, case)]
    places = {kinked.place for kinked in case.session.kinks}
    if wrong and seen and (case.matrix or "at" in places or places.issuperset(wrong)):
        return not_smooth(seen[0])
    if flat is None or not wrong:
        return None
    for name, margin, touched in near_ties(case, flat):
        if all(not w.any() or _inside(case, i, touched) for i, w in enumerate(case.wrong)):
            text = (
                "looks like {rule} differentiates another branch: {switch} is within {margin} of switching branches, "
                "and all wrong entries depend on it"
            )
            return guess("kink", text, switch=name, margin=f"{margin:.1e}")
    return None


def not_smooth(kinked: Kinked) -> Guess:
    """What the differences saw."""
    return guess("kink", "the function is not smooth here: {kinked}", kinked=kinked)


def _named(kinked: Kinked, wrong: list[str], case: Case) -> bool:
    return case.matrix or any(kinked.place in (w, "at" + w, "at") or w == "the entry" for w in wrong)


def _inside(case: Case, i: int, touched: list[np.ndarray]) -> bool:
    """Whether the wrong rows of leaf i are among the entries that a margin depends on (for rows that are x's)."""
    if case.suspect.kind == "jvp":
        return True
    return bool((~case.wrong[i].any(axis=-1) | touched[i]).all())


def near_ties(case: Case, flat: Flat) -> list[tuple[str, float, list[np.ndarray]]]:
    """(what, relative margin, entries of x that it depends on) of every nearly tied comparison."""
    session = case.session
    with jax.enable_x64(True):
        leaves = session.wide()
        margins = _margins(flat, leaves)
        found = []
        for k, (name, values, scale) in enumerate(margins):
            relative = np.abs(values) / scale
            near = relative <= _NEAR
            if not near.any():
                continue
            # Margins' derivatives with random weights: an entry that they depend on cancels with probability 0.
            weights = np.where(near, session.rng.uniform(1, 2, near.shape), 0.0)

            def total(x: Any, k: int = k, weights: Any = weights) -> Any:
                return jnp.sum(jnp.asarray(weights) * _margins(flat, x, raw=True)[k])

            try:
                slopes = jax.grad(total)(leaves)
            except Exception:  # a loop without reverse mode
                continue
            found.append((name, float(relative[near].min()), [np.asarray(s) != 0 for s in slopes]))
    return found


def _margins(flat: Flat, leaves: Any, *, raw: bool = False) -> list[Any]:
    """Differences that decide between branches, with the size of what is compared; traceable when `raw`."""
    out: list[Any] = []

    def keep(name: str, margin: Any, size: Any) -> None:
        if raw:
            out.append(margin)
        else:
            top = float(np.max(np.abs(np.asarray(size)), initial=0.0))
            out.append((name, np.asarray(margin), top if np.isfinite(top) and top > 0 else 1.0))

    def equation(eqn: Any, given: list[Any]) -> list[Any]:
        name = eqn.primitive.name
        inexact = given and jnp.issubdtype(jnp.asarray(given[0]).dtype, jnp.floating)
        if inexact and any(flat.is_active(a) for a in eqn.invars):
            if name in _COMPARED:
                x, y = jnp.broadcast_arrays(*map(jnp.asarray, given))
                keep(f"a {name} of shape {x.shape}", x - y, jnp.stack([x, y]))
            elif name in ("abs", "sign"):
                keep(f"the argument of {name}, of shape {given[0].shape},", given[0], given[0])
            elif name == "clamp":
                low, x, high = map(jnp.asarray, given)
                keep("a clamp at its lower bound", x - low, x)
                keep("a clamp at its upper bound", x - high, x)
            elif name in ("reduce_max", "reduce_min") and given[0].size > 1:
                _top_two(given[0], eqn, keep)
        return bind(eqn, given)

    evaluate(flat.jaxpr.replace(eqns=[eqn for _, eqn in flat.equations()]), [*flat.consts, *leaves], equation)
    return out


def _top_two(x: Any, eqn: Any, keep: Any) -> None:
    """The largest entry minus the second largest, along the reduced axes."""
    axes = tuple(eqn.params["axes"])
    kept = [k for k in range(x.ndim) if k not in axes]
    rows = jnp.transpose(x, (*kept, *axes)).reshape(*(x.shape[k] for k in kept), -1)
    if rows.shape[-1] > 1:
        ordered = jnp.sort(rows if eqn.primitive.name == "reduce_max" else -rows, axis=-1)
        keep(f"a {eqn.primitive.name} of shape {x.shape}", ordered[..., -1] - ordered[..., -2], x)

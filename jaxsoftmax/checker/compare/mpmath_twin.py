"""The route through a twin of the function in mpmath: its derivative to 50 digits, by entries or directions.

Guarded by `tests/checker/test_crosscheck.py`
and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxsoftmax.checker.compare.autodiff import REVERSE, Truth, dot, dot_tolerance, finite
from jaxsoftmax.checker.compare.first_order import FIRST, Hand
from jaxsoftmax.checker.inputs.arguments import called
from jaxsoftmax.checker.inputs.context import U64, Session
from jaxsoftmax.checker.report.finding import Aspect, Subject
from jaxsoftmax.checker.report.verdict import Family

_DIGITS = 50
# Up to this many entries each one is differentiated; beyond, so many directions.
_ENTRIES = 40
_DIRECTIONS = 4
# A numerical derivative at 50 digits, with mpmath's guard digits, is right to far more than this.
_OWN = 1e-30


def check_twin(session: Session, twin: Callable[..., Any], hands: Sequence[Hand], truth: Truth) -> None:
    """Hold the hand gradients, and autodiff, to derivatives of the twin.

    Raises:
        ImportError: mpmath is not installed.
        TypeError, ValueError: the twin raises, or returns no number.
    """
    try:
        import mpmath
    except ImportError as error:
        raise ImportError("twin: needs mpmath. Install jaxsoftmax[exact].") from error
    n = session.point.size
    probes = (
        [session.basis(i) for i in range(n)]
        if n <= _ENTRIES
        else [session.split(v) for v in session.normal(_DIRECTIONS)]
    )
    slopes = []
    with mpmath.workdps(_DIGITS):
        args = jax.tree.map(_exact, session.args)
        leaves = [_exact(leaf) for leaf in session.point.leaves]

        def along(t: Any, direction: list[np.ndarray]) -> Any:
            moved = [x + t * v for x, v in zip(leaves, direction, strict=True)]
            return mpmath.mpf(twin(session.point.unflatten(moved), *args))

        with called("twin"):
            value = along(mpmath.mpf(0), [_exact(v) for v in probes[0]])
            for probe in probes:
                direction = [_exact(v) for v in probe]
                slopes.append(float(mpmath.diff(lambda t, d=direction: along(t, d), 0)))
    route = f"{_DIGITS} digits (twin)"
    session.add(
        FIRST,
        Subject("fun"),
        route,
        [truth.value],
        [float(value)],
        [_value_tolerance(truth)],
        [_OWN * abs(float(value))],
        paths=[""],
        family=Family.VALUES,
    )
    gradients = [(REVERSE, truth.gradient, truth.tolerance), *((h.name, h.gradient, h.tolerance) for h in hands)]
    names = [f"direction {i}" for i in range(len(probes))]
    for name, gradient, tolerance in gradients:
        if not finite(gradient):
            continue
        ours = [dot(gradient, probe) for probe in probes]
        bounds = [dot_tolerance(gradient, probe, tolerance) for probe in probes]
        owns = [_OWN * abs(s) for s in slopes]
        if n <= _ENTRIES:
            parts = [session.split(np.array(a)) for a in (ours, slopes, np.add(bounds, owns), owns)]
            session.add(FIRST, Subject(name), route, *parts, family=Family.VALUES)
        else:
            arrays = [[np.array([v]) for v in row] for row in (ours, slopes, np.add(bounds, owns), owns)]
            session.add(
                FIRST,
                Subject(name, Aspect.DIRECTIONS),
                route,
                *arrays,
                paths=names,
                identity=True,
                family=Family.VALUES,
            )


def _value_tolerance(truth: Truth) -> float:
    return U64 * (truth.value_units + 2 * abs(truth.value))


def _exact(leaf: Any) -> Any:
    """A float array as an object array of mpf with exactly its numbers; anything else as it is."""
    import mpmath

    if not hasattr(leaf, "dtype") or not jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating):
        return leaf
    numbers = np.asarray(leaf).astype(np.float64)
    out = np.empty(numbers.shape, dtype=object)
    for index, number in np.ndenumerate(numbers):
        out[index] = mpmath.mpf(float(number))
    return out if out.shape else out[()]

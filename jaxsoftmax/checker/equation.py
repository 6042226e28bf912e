"""The function that an equation F(y, x) = 0 defines, as a program that JAX differentiates as often as it is asked to.

From a value y₀ at x₀, with A = F_y(y₀, x₀)⁻¹ and r = F(y₀, x₀) held constant, the steps y ← y − A(F(y, x) − r) have the
function y(x) with F(y(x), x) = r as their limit, and each of them gains one power of x − x₀: I − A F_y is O(x − x₀), so
an error O(|x − x₀|ᵏ) becomes O(|x − x₀|ᵏ⁺¹). After three steps from the constant y₀ value, gradient, Hessian and third
derivative at x₀ are those of y(x). There is no solver in that program: the analysis of its rounding stays finite.

With r = 0 that is the root itself. Where a solver stops early, y₀ is a little off it: a rule made from y₀ is the
derivative of the function with F = r, and a rule that does not use y₀ that of the root. Both are right to what the
solver leaves, and the check accepts either.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.compare.jacobian import Outputs
from jaxsoftmax.checker.inputs.calls import Call
from jaxsoftmax.checker.inputs.context import U64, ravel
from jaxsoftmax.checker.inputs.program import Program
from jaxsoftmax.checker.inputs.tracing import Traced

__all__ = ["AtRoot", "Implicit", "implicit_function"]

# F_y is a dense matrix.
_MOST = 2000
# Steps of the program: derivatives up to this order.
_STEPS = 3
# Newton steps to the root, from a value that a solver left near it.
_NEWTON = 12
# A value further off its root, relatively, is no solution that a solver's tolerance explains.
_NEAR = 2.0**-4
_ROUNDING = 2.0**-40
# Of F_y, its rows scaled: beyond it no digit of the inverse is right.
_CONDITION = 2.0**48


class AtRoot(NamedTuple):
    """An equation whose root is meant, not the function's value beside it."""

    equation: Callable[..., Any]


class Implicit(NamedTuple):
    """What an equation defines.

    Attributes:
        function: (x, *held) -> its value, a tree like that of the function's checked outputs.
        off: the function's value differs from the root by more than rounding.
        note: how far it is off, for the report.
    """

    function: Callable[..., Any]
    off: bool
    note: str


def implicit_function(call: Call, fun: Traced, outputs: Outputs, equation: Callable[..., Any] | AtRoot) -> Implicit:
    """Make the function that an equation defines at the point.

    Args:
        call: how the user's functions are called.
        fun: the function, whose value solves the equation.
        outputs: its float outputs.
        equation: (y, *arguments) -> as many float entries as y has, zero at y = fun(*arguments).

    Raises:
        TypeError, ValueError: it cannot be called or differentiated, has another number of entries, is not finite,
            has a singular F_y, or no root near the function's value.
    """
    at_root = isinstance(equation, AtRoot)
    zero = equation.equation if isinstance(equation, AtRoot) else equation
    if outputs.size > _MOST:
        raise ValueError(
            f"equation: fun has {outputs.size} outputs, and F_y is a dense matrix of at most {_MOST} columns. Check a "
            "smaller problem, or leave equation out."
        )
    whole = _whole(call, outputs)
    plain = dataclasses.replace(call, has_aux=False)

    def residual(x: Any, y: Any, *held: Any) -> Any:
        return plain.function(functools.partial(zero, whole(y)), "equation", keep=False)(x, *held)

    traced = Traced("equation", residual, call.point, call.args, (outputs.leaves, outputs.tree))
    found = sum(int(np.prod(np.shape(leaf))) for leaf in jax.tree.leaves(traced.out))
    if found != outputs.size:
        raise ValueError(
            f"equation: returned {found} entries; expected {outputs.size}, as many as fun's value has. Return one "
            "equation for each entry of y."
        )
    with jax.enable_x64(True):
        value = ravel(fun.run(fun.consts, call.point.wide()))
    at, root = _newton(call, traced, outputs, value)
    distance, size = float(np.max(np.abs(value - root.y))), max(map(_size, (root.y, root.push)))
    if distance > _NEAR * size > 0:
        raise ValueError(
            f"equation: its root nearest to fun's value is {distance:.3g} away from it, more than a solver's tolerance "
            "explains. Give the equation that fun's value solves."
        )
    off = distance > _ROUNDING * size
    about = "fun's value solves it to rounding"
    if off:
        apart = _size(at.push - root.push) / (_size(root.push) or 1.0)
        about = (
            f"fun's value is {distance / (size or 1.0):.1e} (relative) off its root, and the derivative there "
            f"{apart:.1e} off that at the root; the one at {'the root' if at_root else 'the value'} was taken"
        )
    note = f"the rules were held to the function that equation defines, not to the program of fun; {about}"
    return Implicit(_steps(residual, outputs, root if at_root else at), off, note)


class _Place(NamedTuple):
    """The equation at one y.

    Attributes:
        y: the raveled value.
        residual: F there.
        inverse: of F_y.
        push: how the root moves as x moves along x.
    """

    y: np.ndarray
    residual: np.ndarray
    inverse: np.ndarray
    push: np.ndarray


def _newton(call: Call, traced: Traced, outputs: Outputs, value: np.ndarray) -> tuple[_Place, _Place]:
    """The equation at the function's value, and at the root that Newton's method finds from there."""
    point = call.point
    along = [np.asarray(leaf).astype(np.float64) for leaf in point.leaves]
    along = along if any(leaf.any() for leaf in along) else [np.ones_like(leaf) for leaf in along]

    def everything(c: Any, x: Any, y: Any) -> Any:
        def flat(x: Any, y: Any) -> Any:
            return jnp.concatenate([out.ravel() for out in traced.run(c, x, _parts(y, outputs))])

        push = jax.jvp(lambda x: flat(x, y), (x,), (list(map(jnp.asarray, along)),))[1]
        return flat(x, y), jax.jacfwd(flat, 1)(x, y), push

    with jax.enable_x64(True):
        wide = point.wide()
        try:
            program = Program(everything, traced.consts, wide, jnp.asarray(value))
        except Exception as error:  # JAX says why in many ways
            raise ValueError(
                f"equation: JAX cannot differentiate it ({type(error).__name__}). Write it with jax.numpy, without "
                "callbacks."
            ) from error

    def place(y: np.ndarray) -> _Place:
        with jax.enable_x64(True):
            residual, jacobian, push = map(np.asarray, program.values(wide, jnp.asarray(y)))
        if not all(np.isfinite(part).all() for part in (residual, jacobian, push)):
            raise ValueError(
                "equation: it, or a derivative of it, is not finite at fun's value. Move `at`, or rescale the equation."
            )
        inverse = _inverse(jacobian)
        return _Place(y, residual, inverse, -inverse @ push)

    first = here = place(value)
    before = np.inf
    for _ in range(_NEWTON):
        step = here.inverse @ here.residual
        size, scale = _size(step), max(map(_size, (here.y, here.push)))
        if size <= 4 * U64 * scale or (2 * size >= before and before <= 2.0**-20 * scale):
            return first, here
        try:
            here, before = place(here.y - step), size
        except ValueError:  # not finite or singular, and not at fun's value
            break
    raise ValueError(
        "equation: Newton's method does not find a root from fun's value. Give the equation that fun's value solves."
    )


def _inverse(jacobian: np.ndarray) -> np.ndarray:
    """The inverse of F_y.

    Raises:
        ValueError: it is singular.
    """
    rows = np.abs(jacobian).max(axis=1, keepdims=True)
    scaled = jacobian / np.where(rows > 0, rows, 1.0)
    condition = float(np.linalg.cond(scaled))
    if not condition <= _CONDITION:
        raise ValueError(
            f"equation: F_y, its derivative in y, is singular at fun's value (condition number {condition:.1e}), so it "
            "defines no function there. Give an equation with an invertible one, or move `at`."
        )
    return np.linalg.inv(scaled) / np.where(rows > 0, rows, 1.0).T


def _steps(residual: Callable[..., Any], outputs: Outputs, place: _Place) -> Callable[..., Any]:
    """(x, *held) -> the value after the steps, in float64 where x is."""

    def function(x: Any, *held: Any) -> Any:
        wide = all(leaf.dtype == np.float64 for leaf in jax.tree.leaves(x))
        dtypes = [np.dtype(np.float64) if wide else leaf.dtype for leaf in outputs.leaves]
        dtype = jnp.result_type(*dtypes)
        y, inverse, constant = (jnp.asarray(part, dtype) for part in (place.y, place.inverse, place.residual))
        for _ in range(_STEPS):
            parts = [part.astype(own) for part, own in zip(_parts(y, outputs), dtypes, strict=True)]
            found = jax.tree.leaves(residual(x, jax.tree.unflatten(outputs.tree, parts), *held))
            change = jnp.concatenate([jnp.ravel(leaf).astype(dtype) for leaf in found]) - constant
            y = y - jnp.dot(inverse, change, precision=jax.lax.Precision.HIGHEST)
        parts = [part.astype(own) for part, own in zip(_parts(y, outputs), dtypes, strict=True)]
        return jax.tree.unflatten(outputs.tree, parts)

    return function


def _whole(call: Call, outputs: Outputs) -> Callable[[Any], Any]:
    """(the checked outputs) -> the value as the user knows it, with None for what is no float."""
    if call.kept is None:
        return lambda y: y
    kept = call.kept

    def joined(y: Any) -> Any:
        floats = iter(jax.tree.leaves(y))
        leaves = [next(floats) if i in kept.floats else None for i in range(len(kept.shapes))]
        return jax.tree.unflatten(kept.tree, leaves)

    return joined


def _parts(y: Any, outputs: Outputs) -> list[Any]:
    """A raveled value as the leaves of the outputs."""
    ends = np.cumsum([int(np.prod(leaf.shape)) for leaf in outputs.leaves])[:-1]
    pairs = zip(jnp.split(y, ends), outputs.leaves, strict=True)
    return [part.reshape(leaf.shape) for part, leaf in pairs]


def _size(vector: np.ndarray) -> float:
    return float(np.max(np.abs(vector), initial=0.0))

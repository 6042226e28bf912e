"""How a user's functions are called: which arguments are the point, what is held fixed, what of a result is left out.

The rest of the checker knows functions ``(x, *args)`` of a point that holds floats only. A `Call` makes such functions
of the user's.

Guarded by `tests/checker/test_choice.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.inputs.arguments import Point, RefusedType, show_text
from jaxsoftmax.support.validation import kind_of

__all__ = ["Call"]

# Rules that take a direction or a cotangent after x.
_DIRECTED = ("hvp", "jvp")


class Kept(NamedTuple):
    """The structure of a function's result, and which of its leaves are floats."""

    tree: Any
    paths: tuple[str, ...]
    floats: tuple[int, ...]
    shapes: list[Any]


@dataclasses.dataclass
class Call:
    """The arguments of one check, and the functions as the checker calls them.

    Attributes:
        argnums: position or positions of the arguments that are the point.
        arguments: (at, *args).
        kwargs: keyword arguments of every function.
        point: the float leaves of those arguments.
        has_aux: the function returns (value, auxiliary data).
        kept: what of the function's result is checked; None before it was called, or where all of it is.
        aux: the paths of the auxiliary data.
    """

    argnums: int | tuple[int, ...]
    arguments: tuple[Any, ...]
    kwargs: dict[str, Any]
    point: Point
    has_aux: bool = False
    kept: Kept | None = None
    aux: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Put together what is held fixed: args keep their places."""
        numbers = self.numbers
        others = [None if i in numbers else value for i, value in enumerate(self.arguments)]
        rest: dict[str, Any] = {} if 0 in numbers else {"at": others[0]}
        rest |= {"held": [value for _, value in self.point.held]} if self.point.held else {}
        rest |= {"kwargs": self.kwargs} if self.kwargs else {}
        self.args = (*others[1:], rest)

    @property
    def output_paths(self) -> list[str] | None:
        """The paths of the outputs that are checked, where some are passed over."""
        return None if self.kept is None else [self.kept.paths[i] for i in self.kept.floats]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The positions, as a tuple."""
        return self.argnums if isinstance(self.argnums, tuple) else (self.argnums,)

    def notes(self) -> list[str]:
        """What was held fixed, and what was left out of the result: sentences."""
        found = []
        if self.point.held:
            names = [f"at{path}" if path[:1] in ("", "[", ".") else path for path, _ in self.point.held]
            found.append(f"held fixed, since it is no float that can be checked: {_listed(names)}")
        if self.aux is not None:
            found.append(f"the auxiliary output was left out (has_aux): {_listed(['aux' + p for p in self.aux])}")
        if self.kept is not None:
            passed = [p for i, p in enumerate(self.kept.paths) if i not in self.kept.floats]
            found.append(f"outputs that are no floats were passed over: {_listed(['output' + p for p in passed])}")
        return found

    def function(self, fun: Callable[..., Any], name: str = "fun", *, keep: bool = True) -> Callable[..., Any]:
        """The user's function as ``(x, *self.args)`` -> its float outputs."""

        def called(x: Any, *held: Any) -> Any:
            out = fun(*self._arguments(x, held), **_kwargs(held))
            if self.has_aux:
                out, aux = _pair(name, out, "(value, auxiliary data), for has_aux=True")
                named, _ = jax.tree_util.tree_flatten_with_path(aux)
                self.aux = tuple(jax.tree_util.keystr(path) for path, _ in named) if keep else self.aux
            kept = _kept(out)
            if keep:
                self.kept = kept
            return out if kept is None else _picked(jax.tree.leaves(out), kept.floats)

        return called

    def rule(self, kind: str, rule: Callable[..., Any]) -> Callable[..., Any]:
        """The user's rule as ``(x, *more, *self.args)``, its result a tree like what the checker knows."""

        def called(x: Any, *rest: Any) -> Any:
            more, held = rest[: len(rest) - len(self.args)], rest[len(rest) - len(self.args) :]
            if kind in _DIRECTED:
                more = [self._joined(v, [_no_tangent(value) for _, value in self.point.held]) for v in more]
            elif kind == "vjp":
                more = [self._cotangent(ct) for ct in more]
            first, *others = self._arguments(x, held)
            return self._read(kind, rule(first, *more, *others, **_kwargs(held)))

        return called

    def twin(self, twin: Callable[..., Any]) -> Callable[..., Any]:
        """The twin in mpmath, likewise; its auxiliary data left out."""

        def called(x: Any, *held: Any) -> Any:
            out = twin(*self._arguments(x, held), **_kwargs(held))
            return out[0] if self.has_aux and isinstance(out, tuple) else out

        return called

    def _arguments(self, x: Any, held: Sequence[Any]) -> list[Any]:
        """(at, *args) as the user's functions take them."""
        *others, rest = held
        arguments = [rest.get("at"), *others]
        whole = self._joined(x, rest.get("held", []))
        if isinstance(self.argnums, int):
            arguments[self.argnums] = whole
        else:
            for i, value in zip(self.argnums, whole, strict=True):
                arguments[i] = value
        return arguments

    def _joined(self, x: Any, held: Sequence[Any]) -> Any:
        """The float leaves with others between them, in the user's containers."""
        if not self.point.held:
            return x
        leaves: list[Any] = [None] * (len(self.point.floats) + len(self.point.held))
        others = iter(held)
        for i, leaf in zip(self.point.floats, x, strict=True):
            leaves[i] = leaf
        taken = set(self.point.floats)
        leaves = [leaf if i in taken else next(others) for i, leaf in enumerate(leaves)]
        return jax.tree.unflatten(self.point.whole, leaves)

    def _cotangent(self, ct: Any) -> Any:
        if self.kept is None:
            return ct
        floats = iter(jax.tree.leaves(ct))
        shapes = enumerate(self.kept.shapes)
        leaves = [next(floats) if i in self.kept.floats else np.zeros(s, jax.dtypes.float0) for i, s in shapes]
        return jax.tree.unflatten(self.kept.tree, leaves)

    def _read(self, kind: str, out: Any) -> Any:
        """A rule's result with what is not checked left out."""
        if kind == "value_and_gradient":
            value, gradient = _pair(kind, out, "(value, gradient)")
            if self.has_aux:
                value, _ = _pair(f"{kind}: value", value, "(value, auxiliary data), for has_aux=True")
            kept = _kept(value)
            value = value if kept is None else _picked(jax.tree.leaves(value), kept.floats)
            return value, self._like_point(kind, gradient)
        if kind == "hessian":
            return self._blocks(out)
        if kind == "jvp":
            return out if self.kept is None else _picked(_parts(kind, self.kept.tree, out), self.kept.floats)
        return self._like_point(kind, out)

    def _like_point(self, kind: str, out: Any) -> Any:
        tree = self.point.whole
        if self.has_aux and isinstance(out, tuple) and len(out) == 2 and not _fits(tree, out):
            out = out[0]  # what jax.grad(fun, has_aux=True) returns
        if not self.point.held:
            return out
        leaves = [_parts(kind, tree, out)[i] for i in self.point.floats]
        for path, leaf in zip(self.point.paths, leaves, strict=True):
            if leaf is None or jax.tree.structure(leaf) != jax.tree.structure(0):
                raise RefusedType(
                    f"{kind}{path}: returned {kind_of(leaf)} where x holds a float. Return an array like that of x, "
                    "or make the leaf of x no float (static) if it is not to be differentiated."
                )
        return leaves

    def _blocks(self, out: Any) -> Any:
        """A nested Hessian without the blocks of leaves that are held fixed."""
        if not self.point.held or hasattr(out, "to_dense") or hasattr(out, "shape"):
            return out
        tree, floats = self.point.whole, self.point.floats
        rows = _parts("hessian", tree, out)
        return [[_parts("hessian", tree, rows[i])[j] for j in floats] for i in floats]


def _kwargs(held: Sequence[Any]) -> dict[str, Any]:
    return held[-1].get("kwargs", {})


def _pair(name: str, out: Any, expected: str) -> tuple[Any, Any]:
    if not isinstance(out, tuple) or len(out) != 2:
        raise RefusedType(f"{name}: returned {kind_of(out)}; expected the pair {expected}. Return that pair.")
    return out


def _kept(out: Any) -> Kept | None:
    """Which leaves of a result are checked; None where all are, or none is (which is refused elsewhere)."""
    named, tree = jax.tree_util.tree_flatten_with_path(out)
    floats = tuple(i for i, (_, leaf) in enumerate(named) if _is_inexact(leaf))
    if not floats or len(floats) == len(named):
        return None
    shapes = [np.shape(leaf) if not isinstance(leaf, str) else () for _, leaf in named]
    return Kept(tree, tuple(jax.tree_util.keystr(path) for path, _ in named), floats, shapes)


def _is_inexact(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    if dtype is None:
        return isinstance(leaf, float | complex)
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def _picked(leaves: Sequence[Any], floats: Sequence[int]) -> Any:
    """The float leaves as a list; alone, without one."""
    found = [leaves[i] for i in floats]
    return found[0] if len(found) == 1 else found


def _parts(kind: str, tree: Any, out: Any) -> list[Any]:
    """What a result holds at the places of a tree's leaves: arrays, None, or nothing that matters."""
    try:
        return tree.flatten_up_to(out)
    except (ValueError, TypeError) as error:
        found = show_text(str(jax.tree.structure(out)), 80)
        raise RefusedType(
            f"{kind}: returned the tree {found}; expected {show_text(str(tree), 80)}. Return the same containers with "
            "the same keys."
        ) from error


def _fits(tree: Any, out: Any) -> bool:
    try:
        leaves = tree.flatten_up_to(out)
    except (ValueError, TypeError):
        return False
    return all(leaf is None or jax.tree.structure(leaf) == jax.tree.structure(0) for leaf in leaves)


def _no_tangent(value: Any) -> Any:
    """What stands for the derivative of a leaf that has none: float0 zeros for numbers, as in jax.jvp, else None."""
    dtype = getattr(value, "dtype", None)
    if isinstance(value, bool | int) or (dtype is not None and not jnp.issubdtype(dtype, jax.dtypes.extended)):
        return np.zeros(np.shape(value), jax.dtypes.float0)
    return None


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"

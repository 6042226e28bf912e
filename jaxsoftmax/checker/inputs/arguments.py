"""The boundary of crosscheck: the point, the function and the hand rules, refused by name when they cannot be used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.support.validation import is_traced, kind_of, show

# Entries of an array that is looked at by NumPy: compiling takes longer.
_SMALL = 2**16
_UNTRACEABLE = (
    jax.errors.TracerArrayConversionError,
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerBoolConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)


@dataclasses.dataclass(frozen=True)
class Point:
    """Where derivatives are checked: a pytree of floats, flattened.

    Attributes:
        tree: its structure.
        paths: the path of each leaf, such as "['W']"; "" for a bare array.
        leaves: JAX arrays in the dtypes that the rules run in (float64 leaves need an x64 scope: `scope`).
        double: some leaf is float64, so the rules run under x64.
        whole: the structure that the user knows: `tree`, or, where leaves are held fixed, one that holds them too.
        floats: the positions in `whole` of `leaves`.
        held: (path, value) of the other leaves of `whole`, in order; where there are any, `tree` is a list.
        widened: what `tracing` keeps of the further arguments in float64, so that all rules share one copy.
    """

    tree: Any
    paths: tuple[str, ...]
    leaves: list[Any]
    double: bool
    whole: Any = None
    floats: tuple[int, ...] = ()
    held: tuple[tuple[str, Any], ...] = ()
    widened: dict[int, Any] = dataclasses.field(default_factory=dict, compare=False, repr=False)

    @property
    def size(self) -> int:
        """The number of entries of all leaves."""
        return sum(leaf.size for leaf in self.leaves)

    @property
    def eps(self) -> float:
        """The coarsest spacing at 1 of the leaves' dtypes: what the rule can be held to."""
        return max(float(jnp.finfo(leaf.dtype).eps) for leaf in self.leaves)

    @property
    def tiny(self) -> float:
        """The largest of the leaves' smallest normal numbers."""
        return max(float(jnp.finfo(leaf.dtype).tiny) for leaf in self.leaves)

    @property
    def dtype(self) -> str:
        """The names of the leaves' dtypes."""
        return ", ".join(sorted({str(leaf.dtype) for leaf in self.leaves}))

    def scope(self) -> Any:
        """The x64 setting that the user's code runs in: on for float64 leaves, else as it is outside."""
        return jax.enable_x64(True) if self.double else nullcontext()

    def wide(self) -> list[Any]:
        """The leaves in float64, shardings kept; call it under x64."""
        return [double(leaf) for leaf in self.leaves]

    def unflatten(self, leaves: Any) -> Any:
        """Leaves put together as the user's pytree."""
        return jax.tree.unflatten(self.tree, leaves)


def read_point(
    at: Any, place: Callable[[Any], str] = jax.tree_util.keystr, *, lenient: Callable[[Any], bool] = lambda path: False
) -> Point:
    """Check `at` and flatten it; leaves that are no floats are held fixed.

    Args:
        at: the point.
        place: key path -> path of a leaf in the report.
        lenient: key path -> whether a float leaf that cannot be used (complex, NaN, empty) is held fixed too.

    Raises:
        TypeError: no leaf is a real float array, or one is traced or complex.
        ValueError: no leaves or no entries, or NaN or infinite entries.
    """
    named, tree = jax.tree_util.tree_flatten_with_path(at)
    if not named:
        raise ValueError("at: has no leaves, so there is nothing to differentiate in. Give an array or a pytree.")
    leaves: list[Any] = []
    floats: list[int] = []
    held: list[tuple[str, Any]] = []
    refusals: list[TypeError] = []
    for i, (path, leaf) in enumerate(named):
        where = place(path)
        name = f"at{where}" if where[:1] in ("", "[", ".") else where
        if is_traced(leaf):
            raise TypeError(f"{name}: is traced; a check needs numbers. Call crosscheck outside jit, grad and vmap.")
        if isinstance(leaf, jax.Array) and leaf.is_deleted():
            raise ValueError(f"{name}: the array was deleted or donated. Give a live one.")
        try:
            found = _float_leaf(name, leaf)
        except (TypeError, ValueError) as error:
            if not lenient(path):
                raise
            refusals.append(TypeError(str(error)))
            found = None
        if found is None:
            held.append((where, leaf))
            refusals.append(_no_float(name, leaf))
            continue
        leaves.append(found)
        floats.append(i)
    if not leaves:
        raise refusals[0]
    if not any(leaf.size for leaf in leaves):
        raise ValueError(
            "at: has no entries, so there is nothing to differentiate in. Give an array that is not empty."
        )
    double = any(leaf.dtype == np.float64 for leaf in leaves)
    paths = tuple(place(named[i][0]) for i in floats)
    whole, tree = tree, jax.tree.structure(leaves) if held else tree
    return Point(tree, paths, leaves, double, whole=whole, floats=tuple(floats), held=tuple(held))


def _float_leaf(name: str, leaf: Any) -> jax.Array | None:
    """A leaf as a JAX array in its own dtype; None for what is no float.

    Raises:
        TypeError, ValueError: it is a float, or a complex number, that cannot be checked.
    """
    if isinstance(leaf, bool | int) or not isinstance(leaf, float | complex | np.ndarray | np.generic | jax.Array):
        return None
    # np.float64 is a float too, but one with a dtype of its own.
    dtype = getattr(leaf, "dtype", None) or jnp.result_type(leaf)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"{name}: got {_given(leaf)}: complex numbers are not checked, for the checker does not know JAX's "
            "conjugate convention. Give the real and the imaginary part as two real leaves."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        return None
    if np.dtype(dtype).itemsize > 8:
        raise TypeError(f"{name}: got {_given(leaf)}; JAX has no such float. Use float64.")
    with jax.enable_x64(True) if np.dtype(dtype) == np.float64 else nullcontext():
        found = leaf if isinstance(leaf, jax.Array) else jax.device_put(np.asarray(leaf, dtype))
        bad = found.size and not _finite(found)
    if bad:
        raise ValueError(f"{name}: has NaN or infinite entries. Check at a finite point.")
    return found


def _on_host(array: jax.Array) -> bool:
    """Whether NumPy may do what would have to be compiled: the array is small, and where JAX puts arrays."""
    return array.size <= _SMALL and array.sharding.device_set == {jax.devices()[0]}


def double(array: jax.Array) -> jax.Array:
    """An array in float64, its sharding kept; call it under x64."""
    if _on_host(array):
        return jax.device_put(np.asarray(array).astype(np.float64))
    return array.astype(np.float64)


def _finite(array: jax.Array) -> bool:
    if _on_host(array):
        return bool(np.isfinite(np.asarray(array).astype(np.float64)).all())
    return bool(jnp.isfinite(array).all())


def _no_float(name: str, leaf: Any) -> TypeError:
    return TypeError(
        f"{name}: got {_given(leaf)}; at must hold float arrays. Pass what is not differentiated through args."
    )


def _given(value: Any) -> str:
    return kind_of(value) if hasattr(value, "shape") else f"{show(value)}, {kind_of(value)}"


def require_callable(name: str, rule: Any) -> None:
    """Refuse what cannot be called.

    Raises:
        TypeError: `rule` is not callable.
    """
    if not callable(rule):
        raise TypeError(f"{name}: got {_given(rule)}; a function is needed.")


class Refused(ValueError):
    """A result that cannot be used, found while the rule is traced; the message is complete."""


class RefusedType(TypeError):
    """The same, where the result is of a wrong kind."""


@contextmanager
def called(name: str) -> Iterator[None]:
    """Turn what a user's function raises into an error that names the function.

    Raises:
        TypeError: JAX cannot trace it, or it holds on to a tracer.
        ValueError: it raised anything else.
    """
    try:
        yield
    except (Refused, RefusedType):
        raise
    except _UNTRACEABLE as error:
        raise TypeError(
            f"{name}: JAX cannot trace it: it turns its argument into NumPy or Python numbers, or branches on its "
            f"value ({_first_line(error)}). Write it with jax.numpy and jax.lax."
        ) from error
    except jax.errors.UnexpectedTracerError as error:
        raise TypeError(
            f"{name}: closes over a traced value of another transformation. Call crosscheck outside jit, grad and "
            "vmap, and pass the value through args."
        ) from error
    except Exception as error:
        raise ValueError(
            f"{name}: raised {type(error).__name__} when it was called: {_first_line(error)}. "
            f"Call {name} yourself with the same arguments to see where."
        ) from error


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return show_text(lines[0]) if lines else "no message"


def show_text(text: str, limit: int = 160) -> str:
    """A text cut at `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def require_scalar(value: Any, name: str = "fun") -> None:
    """Refuse a function that does not return one real float.

    Raises:
        ValueError, TypeError: `value` (an array or its shape) is no real float scalar.
    """
    leaves = jax.tree.leaves(value)
    if len(leaves) != 1 or not hasattr(leaves[0], "shape"):
        raise TypeError(
            f"{name}: returned {_tree_text(value)}; a scalar is needed. Return the loss alone (or (loss, aux), with "
            "has_aux=True), or give jvp or vjp to check a function with several outputs."
        )
    (leaf,) = leaves
    if leaf.shape != ():
        raise ValueError(
            f"{name}: returned shape {tuple(leaf.shape)} where a scalar is declared. Sum or index it, or give jvp or "
            "vjp to check a vector-valued function."
        )
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        raise TypeError(f"{name}: returned dtype {leaf.dtype}; a real float is needed.")


def _tree_text(value: Any) -> str:
    return show_text(
        str(jax.tree.map(lambda x: f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") else kind_of(x), value)), 100
    )


def require_like(name: str, value: Any, like: Any, paths: Any, *, dtypes: bool = True) -> None:
    """Refuse a rule's result whose tree, shapes or dtypes are not those of `like`.

    Args:
        name: the rule.
        value: its result (arrays or their shapes).
        like: what it must look like.
        paths: paths of the leaves of `like`.
        dtypes: compare the dtypes too.

    Raises:
        TypeError: another tree, or another dtype.
        ValueError: another shape.
    """
    tree, expected = jax.tree.structure(value), jax.tree.structure(like)
    if tree != expected:
        raise TypeError(
            f"{name}: returned the tree {show_text(str(tree), 80)}; expected {show_text(str(expected), 80)}. "
            "Return the same containers with the same keys."
        )
    for path, got, want in zip(paths, jax.tree.leaves(value), jax.tree.leaves(like), strict=True):
        where = f"{name}{path}"
        if not hasattr(got, "shape"):
            got = np.asarray(got)
        if tuple(got.shape) != tuple(want.shape):
            raise ValueError(
                f"{where}: returned shape {tuple(got.shape)}; expected {tuple(want.shape)}. Return that shape."
            )
        if dtypes and got.dtype != want.dtype:
            raise TypeError(f"{where}: returned dtype {got.dtype}; expected {want.dtype}. Return that dtype.")


def rule_on(rule: Callable[..., Any], point: Point, args: tuple[Any, ...]) -> Callable[..., Any]:
    """A rule as a function of flat leaves: ``(leaves, *more) -> rule(x, *more, *args)``."""

    def flat(leaves: Any, *more: Any) -> Any:
        return rule(point.unflatten(leaves), *more, *args)

    return flat

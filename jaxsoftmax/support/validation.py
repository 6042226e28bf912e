"""Boundary validation: one message style (argument, what was given, remedy) for every public function.

Each helper raises ``TypeError`` for a value of the wrong kind and ``ValueError`` for a value of the right
kind that cannot be used. Values that JAX is tracing have a shape and a dtype but no numbers, so helpers
check what a tracer has and skip the rest.
"""

from __future__ import annotations

import functools
import importlib.metadata
import math
import numbers
import warnings
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxsoftmax.support.errors import WrongType, WrongValue, did_you_mean

# Releases whose compiler is known to return wrong numbers for what this package and its checks compute.
MISCOMPILING = {"0.10.2": "jax-ml/jax#39103: sums of products under vmap on CPU"}
X64_REMEDY = "wrap the call in `with jax.enable_x64(True):`"


@functools.cache
def warn_if_miscompiling() -> None:
    """Warn once (RuntimeWarning) when the installed jaxlib is one whose results are known to be wrong.

    The package's metadata leave these releases out; this is for installations that got around it.
    """
    version = importlib.metadata.version("jaxlib")
    if version in MISCOMPILING:
        warnings.warn(
            f"jaxlib {version} returns wrong numbers ({MISCOMPILING[version]}). Install another release.",
            RuntimeWarning,
            stacklevel=4,
        )


def is_traced(value: Any) -> bool:
    """Whether `value` is a JAX tracer: it has a shape and a dtype but no numbers to look at."""
    return isinstance(value, Tracer)


def x64_is_on() -> bool:
    """Whether float64 JAX arrays can be made here (JAX's global switch or an enclosing `jax.enable_x64`)."""
    return np.dtype(jax.dtypes.canonicalize_dtype(np.float64)) == np.float64


def show(value: Any, limit: int = 60) -> str:
    """A short text of a given value for a message: its repr cut at `limit` characters, NumPy scalars as numbers."""
    if isinstance(value, np.generic) and value.dtype != np.longdouble:
        value = value.item()
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kind_of(value: Any) -> str:
    """What a value is, for a TypeError: "a str", "a JAX array of dtype int32 and shape (3,)"."""
    if isinstance(value, (jax.Array, np.ndarray)):
        house = "a JAX array" if isinstance(value, jax.Array) else "a NumPy array"
        return f"{house} of dtype {value.dtype} and shape {value.shape}"
    return f"{'an' if type(value).__name__[0] in 'aeiouAEIOU' else 'a'} {type(value).__name__}"


def positive_int(name: str, value: Any) -> int:
    """`value` as a Python int that is at least 1.

    Raises:
        TypeError: not an integer (a bool is not one here).
        ValueError: an integer below 1.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Integral):
        raise WrongType(name, f"got {show(value)}, {kind_of(value)}", "give an integer >= 1")
    if value < 1:
        raise WrongValue(name, f"got {show(value)}", "give an integer >= 1")
    return int(value)


def real_number(name: str, value: Any) -> Any:
    """`value` if it is one finite real number (Python, NumPy, JAX scalar, or a traced scalar), else an error.

    Raises:
        TypeError: not a real number.
        ValueError: not a scalar, or not finite.
    """
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
        if np.dtype(value.dtype).kind not in "iuf" and value.dtype != jnp.bfloat16:
            raise WrongType(name, f"got {kind_of(value)}", "give one real number")
        if value.shape != ():
            raise WrongValue(name, f"got an array of shape {value.shape}", "give one real number")
        if is_traced(value):
            return value
    elif isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise WrongType(name, f"got {show(value)}, {kind_of(value)}", "give one real number")
    try:
        finite = math.isfinite(value)
    except OverflowError:  # an integer or fraction beyond all doubles
        finite = False
    if not finite:
        raise WrongValue(name, f"got {show(value)}", "give a finite number")
    return value


def nonnegative_real(name: str, value: Any) -> Any:
    """`value` if it is one finite real number >= 0; traced scalars pass unseen.

    Raises:
        TypeError: not a real number.
        ValueError: not a scalar, not finite, or negative.
    """
    value = real_number(name, value)
    if not is_traced(value) and value < 0:
        raise WrongValue(name, f"got {show(value)}", "give a number >= 0")
    return value


def positive_real(name: str, value: Any) -> Any:
    """`value` if it is one finite real number > 0; traced scalars pass unseen.

    Raises:
        TypeError: not a real number.
        ValueError: not a scalar, not finite, or not positive.
    """
    value = real_number(name, value)
    if not is_traced(value) and not value > 0:
        raise WrongValue(name, f"got {show(value)}", "give a number > 0")
    return value


def random_generator(key: Any, name: str = "key") -> np.random.Generator:
    """NumPy's generator seeded by a JAX key (`jax.random.key(0)` when None): the same draws whatever the x64 setting.

    Raises:
        TypeError: not a single JAX random key.
    """
    if key is None:
        return np.random.default_rng([0, 0])  # what jax.random.key(0) holds
    dtype = getattr(key, "dtype", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    shape = getattr(key, "shape", None)
    if is_traced(key) or not ((typed and shape == ()) or (dtype == np.uint32 and shape in ((2,), (4,)))):
        given = kind_of(key) if isinstance(key, (jax.Array, np.ndarray)) else f"{show(key)}, {kind_of(key)}"
        raise WrongType(name, f"got {given}", "give one JAX random key, such as jax.random.key(0)")
    if typed:
        key = jax.random.key_data(key)
    return np.random.default_rng(np.asarray(key).ravel().tolist())


def require_x64(name: str, dtype: Any) -> None:
    """Refuse to use a float64 `name` while x64 is off, where JAX would demote it silently.

    Raises:
        ValueError: `dtype` is float64 and x64 is off.
    """
    if np.dtype(dtype) == np.float64 and not x64_is_on():
        raise WrongValue(name, "dtype is float64 but x64 is off here", f"{X64_REMEDY}, or build with dtype='float32'")


def require_problem(problem: Any) -> None:
    """Refuse what is no Problem, most often swapped arguments.

    Raises:
        TypeError: `problem` has not the parts of a Problem, or is a `SparseProblem`.
    """
    if not all(hasattr(problem, part) for part in ("sample_weight", "regularizer", "intercept")):
        raise WrongType(
            "problem",
            f"got {kind_of(problem)}",
            "give a jaxsoftmax.Problem, made by Problem(X, T) or Problem.from_labels(X, y); weights W come before it",
        )
    refuse_sparse(problem)


def refuse_sparse(problem: Any, name: str = "problem") -> None:
    """Refuse a `SparseProblem` or a `StreamedProblem` where one in memory is needed.

    Raises:
        TypeError: it is one.
    """
    if hasattr(problem, "to_dense") and hasattr(problem, "regularizer"):
        remedy = "for one that fits in memory as dense use problem.to_dense()"
        raise WrongType(name, f"got a {type(problem).__name__}, which only fit takes", remedy)


def require_concrete(problem: Any, *more: Any) -> None:
    """Refuse what is no Problem, and arrays that JAX is tracing where numbers are needed.

    Raises:
        TypeError: `problem` has not the parts of a Problem, or an array is traced.
    """
    require_problem(problem)
    if any(map(is_traced, jax.tree.leaves((problem, more)))):
        raise WrongType("problem", "its arrays are traced, without numbers", "call outside jit, grad and vmap")


def flag(name: str, value: Any) -> bool:
    """`value` as a Python bool.

    Raises:
        TypeError: not a bool.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise WrongType(name, f"got {show(value)}, {kind_of(value)}", "give True or False")
    return bool(value)


def one_of(name: str, value: Any, known: Iterable[str]) -> None:
    """Refuse what is none of the words that an argument may be.

    Raises:
        ValueError: it is none of them.
    """
    if value not in (known := tuple(known)):
        remedy = did_you_mean(value, known, f"give one of {', '.join(map(repr, known))}")
        raise WrongValue(name, f"got {show(value)}", remedy)


def refuse_no_function(name: str, value: Any) -> None:
    """Refuse what cannot be called, nor is None.

    Raises:
        TypeError: it is neither.
    """
    if value is not None and not callable(value):
        raise WrongType(name, f"got {show(value)}, {kind_of(value)}", "give a function of one argument")


def as_weights(W: Any, problem: Any, name: str = "W") -> jax.Array:
    """W (or a direction V) as a JAX array of shape (C, D) and the problem's dtype.

    NumPy arrays and lists convert to the problem's dtype; a JAX array must have it already. Works on
    tracers: only shape and dtype are looked at, so NaN entries pass (a training loop reports them).

    Args:
        W: weights, shape (C, D); one row a class, one column a feature, the intercept column last.
        problem: the Problem that W belongs to.
        name: the argument's name in messages.

    Returns:
        A JAX array of shape (C, D), dtype `problem.dtype`.

    Raises:
        TypeError: not a real array, or a JAX array of another dtype.
        ValueError: wrong shape, or a float64 problem while x64 is off.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> from jaxsoftmax.support.validation import as_weights
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0])
        >>> as_weights(np.zeros((2, 2)), problem).dtype
        dtype('float32')
    """
    require_problem(problem)
    dtype = problem.dtype
    require_x64("problem", dtype)
    shape = (problem.C, problem.D)
    if not isinstance(W, jax.Array):
        W = _numeric(W, name)
    elif W.dtype != dtype:
        given = f"got {kind_of(W)}, but the problem's dtype is {dtype}"
        raise WrongType(name, given, f"use {name}.astype({str(dtype)!r})")
    if W.shape != shape:
        given = tuple(W.shape)
        hint = f"give {shape}, one row a class, one column a feature, the intercept last"
        if given == shape[::-1]:
            hint = f"it looks transposed: use {name}.T"
        elif given == (shape[0], shape[1] - 1) and problem.intercept:
            hint = "the intercept column is missing: append one column for it, last"
        elif given == (shape[0] * shape[1],):
            hint = f"it looks flattened: use {name}.reshape({shape[0]}, {shape[1]})"
        raise WrongValue(name, f"shape {given}, expected (C, D) = {shape}", hint)
    if isinstance(W, jax.Array):
        return W
    with np.errstate(over="ignore"):
        converted = W.astype(dtype)
    overflowed = np.isinf(converted) & (np.abs(W) < np.inf)
    if overflowed.any():
        c, d = (int(i) for i in np.argwhere(overflowed)[0])
        given = f"entry ({c}, {d}) is {show(W[c, d])}, beyond the largest {dtype}"
        raise WrongValue(name, given, "rescale the features, or build the problem with dtype='float64'")
    return jnp.asarray(converted)


def _numeric(value: Any, name: str) -> np.ndarray:
    """A NumPy array of real numbers from a list, a NumPy array or anything with `__array__`."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise WrongValue(name, f"cannot be made an array ({error})", "give rows of equal length") from error
    if array.dtype.kind not in "biuf" and array.dtype != jnp.bfloat16:
        raise WrongType(name, f"got {kind_of(array)}", "convert it to real numbers (float) first")
    return array

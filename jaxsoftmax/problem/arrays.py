"""Arrays in: the host copy as given, the dtype rule, and the device copy with its sharding.

What arrives may be NumPy, JAX, nested lists, pandas or polars frames, SciPy sparse matrices, or anything
with ``__array__`` or ``__dlpack__``. Nothing is changed silently: a value that the host copy or the compute
dtype cannot hold is an error that names the entry.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.problem.frames import frame_columns, is_frame, refuse_container
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.memory import cannot_fit, devices_of, in_words, shortage
from jaxsoftmax.support.validation import X64_REMEDY, is_traced, kind_of, show, x64_is_on

BFLOAT16 = np.dtype(jnp.bfloat16)
BYTES = np.dtype(np.uint8)  # kept on the device as they are
_BLOCK = 2**20  # entries of X widened at a time
_LARGEST = 2**53  # every integer up to here is a double


def to_numpy(value: Any, name: str, *, copy: bool = True) -> tuple[np.ndarray, list[str] | None]:
    """`value` as a read-only NumPy array of real numbers, and the column names if it is a data frame.

    A writeable NumPy array is copied, so that changing it later cannot change the problem (not with `copy=False`,
    for what is used at once); a read-only one is kept without a copy.

    Raises:
        TypeError: objects, strings, complex numbers, dates, unknown float formats, or a traced value.
        ValueError: ragged rows, masked entries, or integers that a double cannot hold.
    """
    if is_traced(value):
        raise WrongType(
            name,
            "got a traced value",
            f"build the Problem outside jit and pass it in (it is a pytree), or use problem.replace({name}=...)",
        )
    refuse_container(value, name)
    names, fresh = None, True
    if isinstance(value, jax.Array):
        _require_real(value.dtype, value, name)
        if not value.is_fully_addressable:
            raise WrongValue(
                name, "parts of this JAX array live in other processes", "give one that this process holds"
            )
        array = np.asarray(value)
    elif np.ma.isMaskedArray(value):
        if np.ma.getmaskarray(value).any():
            where = tuple(int(i) for i in np.argwhere(np.ma.getmaskarray(value))[0])
            raise WrongValue(name, f"entry {where} is masked (missing)", "fill it in or drop its sample")
        array, fresh = np.asarray(value.data), False
    elif "scipy.sparse" in sys.modules and sys.modules["scipy.sparse"].issparse(value):
        remedy = "train on js.SparseProblem.from_labels(X, y), or give fewer samples or columns"
        _refuse_a_copy(value, name, "made dense, it", remedy)
        array = value.toarray()
    elif is_frame(value):
        names, array = _from_frame(value, name)
    else:
        array = _from_anything(value, name)
        fresh = not hasattr(value, "__array__") and not hasattr(value, "__dlpack__")
    _require_real(array.dtype, value, name)
    _require_exact_integers(array, name)
    if copy and not fresh and not _nobody_can_write(array):
        remedy = "make the array read-only (array.flags.writeable = False): it is then used without a copy"
        _refuse_a_copy(array, name, "the copy of an array that may be changed later", remedy)
        array = array.copy()
    array = array.view(np.ndarray)
    array.setflags(write=False)
    return array, names


def require_same_index(X: Any, other: Any, name: str) -> None:
    """Refuse a pandas Series or frame whose index is not that of the frame X: its rows are other samples.

    Raises:
        ValueError: both have an index, and these differ.
    """
    if not (hasattr(X, "iloc") and hasattr(other, "iloc")) or X.index.equals(other.index) or len(X) != len(other):
        return
    remedy = f"use {name}.loc[X.index], or {name}.to_numpy() if the rows are the same samples in this order"
    raise WrongValue(name, "its index is not the index of X", remedy)


def _refuse_a_copy(array: Any, name: str, what: str, remedy: str) -> None:
    """Refuse to allocate an array of this shape and dtype where so much memory is not free."""
    needed = math.prod(array.shape) * np.dtype(array.dtype).itemsize
    if (free := shortage(needed)) is not None:
        raise cannot_fit(name, what, needed, free, remedy)


def _nobody_can_write(array: Any) -> bool:
    """Whether the array and every array it is a view of are read-only."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return False
        array = array.base
    return array is None


def _from_anything(value: Any, name: str) -> np.ndarray:
    try:
        if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
        array = np.asarray(value)
        if isinstance(value, (list, tuple)) and array.dtype.kind == "f":
            # NumPy turns [2**53 + 1, 0.5] into floats without a word; look at the integers as given.
            for index, entry in np.ndenumerate(np.asarray(value, dtype=object)):
                if isinstance(entry, (int, np.integer)) and int(float(entry)) != int(entry):
                    raise _inexact(name, index, entry)
        return array
    except OverflowError as error:
        raise WrongValue(name, f"holds an integer that no double can hold ({error})", "rescale it first") from error
    except WrongValue:
        raise
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        raise WrongValue(name, f"cannot be made an array ({error})", "give rows of equal length") from error


def _from_frame(frame: Any, name: str) -> tuple[list[str], np.ndarray]:
    """Column by column, so that one column's type never changes another's numbers."""
    names, columns = frame_columns(frame, name)
    for label, column in zip(names, columns, strict=True):
        _require_real(column.dtype, column, f"{name}, column {label!r}")
    if not columns:
        return names, np.zeros((len(frame), 0))
    dtype = np.result_type(*columns)
    for label, column in zip(names, columns, strict=True):
        _require_exact_integers(column, f"{name}, column {label!r}")
    return names, np.stack([column.astype(dtype) for column in columns], axis=1)


def _require_real(dtype: Any, value: Any, name: str) -> None:
    if dtype == BFLOAT16:
        return
    kind = dtype.kind if isinstance(dtype, np.dtype) else "V"
    if kind in "biu" or (kind == "f" and dtype.itemsize <= 8):
        return
    reason = {  # kind -> what it holds, remedy
        "O": ("Python objects", "encode text as numbers, fill in missing values, then use .astype(float)"),
        "U": ("text", "encode it as numbers (one column a category), then use .astype(float)"),
        "S": ("bytes", "encode them as numbers, then use .astype(float)"),
        "c": ("complex numbers", "use their .real and .imag as two columns"),
        "M": ("dates", "use numbers, such as days since a fixed date"),
        "m": ("durations", "use numbers, such as seconds"),
        "f": ("extended-precision floats", "use .astype('float64')"),
    }
    found, remedy = reason.get(kind, ("no real numbers", "use float32, float64 or bfloat16"))
    raise WrongType(name, f"got {kind_of(value)}, which holds {found}", remedy)


def _inexact(name: str, index: tuple, entry: Any) -> WrongValue:
    where = index[0] if len(index) == 1 else tuple(int(i) for i in index)
    given = f"entry {where} is the integer {int(entry)}, which no double holds exactly"
    return WrongValue(name, given, "rescale or shift that column, or convert it to float if the rounding is meant")


def _require_exact_integers(array: np.ndarray, name: str) -> None:
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 8:
        return
    large = (array > _LARGEST) | (array < -_LARGEST) if array.dtype.kind == "i" else array > _LARGEST
    for index in np.argwhere(large):
        entry = int(array[tuple(index)])
        if int(float(entry)) != entry:
            raise _inexact(name, tuple(int(i) for i in index), entry)


def require_finite(
    array: np.ndarray, name: str, given: np.ndarray | None = None, columns: list[str] | None = None
) -> None:
    """Refuse NaN and infinities, naming the first entry; `given` holds the numbers before a conversion.

    `columns` are the names of a data frame's columns.

    Raises:
        ValueError: an entry is NaN or infinite.
    """
    if array.dtype.kind in "biu":
        return
    finite = np.isfinite(array.astype(np.float32) if array.dtype == BFLOAT16 else array)
    if finite.all():
        return
    index = tuple(int(i) for i in np.argwhere(~finite)[0])
    where = index[0] if len(index) == 1 else index
    if columns is not None:
        where = f"{where}, column {columns[index[-1]]!r},"
    if given is None:
        raise WrongValue(
            name, f"entry {where} is {float(array[index])}", "every entry must be finite: fill it in or drop the sample"
        )
    raise WrongValue(
        name,
        f"entry {where} is {show(given[index])}, beyond the largest {array.dtype}",
        "rescale that column, or choose the dtype 'float64'",
    )


def block_rows(width: int) -> int:
    """How many rows of so many entries are widened to float64 at a time."""
    return max(1, _BLOCK // max(1, width))


def float64_blocks(X: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The rows of X in float64, some at a time, with where they are: a large X is never copied whole."""
    rows = block_rows(X.shape[1])
    for start in range(0, len(X), rows):
        here = slice(start, start + rows)
        yield here, X[here].astype(np.float64)


def choose_dtypes(X: Any, host: np.ndarray, dtype: Any) -> tuple[np.dtype, np.dtype, str]:
    """(compute dtype, dtype of the device X, why), by the rule in DESIGN.md.

    Raises:
        TypeError: an unsupported dtype, or a JAX array X of another dtype.
        ValueError: float64 asked for while x64 is off.
    """
    given, is_jax = host.dtype, isinstance(X, jax.Array)
    if dtype is None:
        if given == BFLOAT16:
            storage, why = BFLOAT16, "X is bfloat16; sums are float32"
        elif given.kind in "biu" or given == np.float64:
            on = x64_is_on()
            storage = np.dtype("float64" if on else "float32")
            why = f"X is {given} and x64 is on" if on else f"X is {given}, but x64 is off"
        else:
            storage, why = np.dtype("float32"), f"X is {given}"
    else:
        try:
            storage = np.dtype(dtype)
        except TypeError:
            storage = np.dtype(object)
        if storage not in (np.float32, np.float64, BFLOAT16):
            raise WrongType("dtype", f"got {show(dtype)}", "give 'float32', 'float64' or 'bfloat16' (X only)")
        why = "as asked"
        if storage == np.float32 and is_jax and given == BFLOAT16:
            storage = BFLOAT16  # a device array is kept as it is
    if storage == np.float64 and not x64_is_on():
        raise WrongValue("dtype", "got float64, but x64 is off", f"{X64_REMEDY}, or choose 'float32'")
    if given == BYTES and storage != BFLOAT16:
        return storage, BYTES, why
    if is_jax and given != storage:
        also = f"; to keep float64, {X64_REMEDY}" if given == np.float64 and not x64_is_on() else ""
        given = f"got {kind_of(X)}, but the compute dtype is {storage} ({why})"
        raise WrongType("X", given, f"use X.astype({storage.name!r}), or np.asarray(X) to let it convert{also}")
    return (np.dtype("float32") if storage == BFLOAT16 else storage), storage, why


def convert(host: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """`host` in another dtype (rounded to nearest), refusing numbers that overflow it.

    Raises:
        ValueError: a finite number becomes infinite.
    """
    if host.dtype == dtype:
        return host
    with np.errstate(over="ignore", invalid="ignore"):
        array = host.astype(dtype)
    require_finite(array, name, host)
    return array


def refuse_too_large(X: Any, host: np.ndarray, storage: np.dtype, intercept: bool) -> None:
    """Refuse to make the device X where the memory is not free, before any of it is allocated.

    Raises:
        ValueError: what it needs, what is free, and what would fit.
    """
    N, D = host.shape[0], host.shape[1] + int(intercept)
    devices = devices_of(X)
    alike = host.dtype == storage and not intercept
    if alike and (isinstance(X, jax.Array) or all(device.platform == "cpu" for device in devices)):
        return  # used as it is
    needed = N * D * storage.itemsize
    if (free := shortage(needed, devices)) is None:
        return
    most = int(free // (D * storage.itemsize))
    remedy = f"give at most {most:,} samples at a time"
    if not most:
        remedy = "give fewer columns"
    if storage == np.float64 and not isinstance(X, jax.Array) and needed / 2 <= free:
        remedy = f"choose the dtype 'float32' (about {in_words(needed / 2)}), or {remedy}"
    raise cannot_fit(
        "X", f"the copy of {N:,} samples and {D:,} columns to compute with, in {storage},", needed, free, remedy
    )


def device_matrix(X: Any, host: np.ndarray, storage: np.dtype, intercept: bool) -> jax.Array:
    """The device X: a JAX array is kept with its sharding, anything else is converted; ones appended last."""
    if isinstance(X, jax.Array):
        if not intercept:
            return X
        if isinstance(X.sharding, jax.sharding.NamedSharding) and len(X.sharding.spec) == 2:
            # D + 1 columns do not divide as D did: bring a row's columns together before one is appended.
            rows = jax.sharding.PartitionSpec(X.sharding.spec[0], None)
            X = jax.device_put(X, jax.sharding.NamedSharding(X.sharding.mesh, rows))
        return jnp.concatenate([X, place_rows(np.ones((len(X), 1), storage), X)], axis=1)
    if not intercept:
        return jax.device_put(convert(host, storage, "X"))
    array = np.ones((host.shape[0], host.shape[1] + 1), storage)  # filled in place: one copy, not two
    with np.errstate(over="ignore", invalid="ignore"):
        array[:, :-1] = host
    if host.dtype != storage:
        require_finite(array[:, :-1], "X", host)
    return jax.device_put(array)


def place_rows(array: np.ndarray, X: Any) -> jax.Array:
    """`array` on the devices of X, its rows sharded as X's rows are and its other axes replicated."""
    if not isinstance(X, jax.Array):
        return jax.device_put(array)
    if isinstance(X.sharding, jax.sharding.NamedSharding):
        rows = X.sharding.spec[0] if len(X.sharding.spec) else None
        spec = jax.sharding.PartitionSpec(rows, *[None] * (array.ndim - 1))
        return jax.device_put(array, jax.sharding.NamedSharding(X.sharding.mesh, spec))
    if len(X.sharding.device_set) == 1 and X.committed:
        return jax.device_put(array, X.sharding)
    return jax.device_put(array)


def place_whole(array: np.ndarray, X: Any) -> jax.Array:
    """`array` on the devices of X, on each the whole of it."""
    if isinstance(X, jax.Array) and isinstance(X.sharding, jax.sharding.NamedSharding):
        return jax.device_put(array, jax.sharding.NamedSharding(X.sharding.mesh, jax.sharding.PartitionSpec()))
    return place_rows(array, X)

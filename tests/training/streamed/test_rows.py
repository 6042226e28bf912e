"""Chunks: every row once and in order, one buffer in use while the other is filled, and no thread left behind."""

import threading
import time
from contextlib import closing, contextmanager, suppress

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.training.streamed.rows import RowSource, row_layout

X = np.arange(11 * 3, dtype=np.float32).reshape(11, 3)


def source(array=X, before=lambda number: None):
    """Rows of an array as if they came from a file; `before` is called with each chunk's number before it is read."""

    @contextmanager
    def opened():
        at = number = 0

        def fill(out):
            nonlocal at, number
            before(number)
            out[:], at, number = array[at : at + len(out)], at + len(out), number + 1

        yield fill

    return RowSource("X", *array.shape, array.dtype, None, opened)


def readers():
    return [thread for thread in threading.enumerate() if thread.name == "jaxsoftmax reads rows"]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 10, 11, 100])
def test_every_pass_gives_all_rows_once_and_in_order(rows):
    rowsource = source()
    for _ in range(2):
        stop = 0
        for part, chunk in rowsource.chunks(rows):
            assert part == slice(stop, min(stop + rows, 11))
            assert chunk.dtype == X.dtype and chunk.flags.c_contiguous
            assert np.array_equal(chunk, X[part])
            stop = part.stop
        assert stop == 11


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float16, jnp.bfloat16, np.float32, np.float64])
def test_a_chunk_starts_where_jax_uses_its_memory_without_a_copy(dtype, x64):
    cpu = jax.devices("cpu")[0]
    for _, chunk in source(X.astype(dtype)).chunks(2):
        assert chunk.ctypes.data % 64 == 0
        assert jax.device_put(chunk, cpu).unsafe_buffer_pointer() == chunk.ctypes.data


def test_a_chunk_stays_as_it_is_until_the_next_is_asked_for():
    """The next one is read meanwhile, into the other of two buffers."""
    places = []
    for part, chunk in source().chunks(2):
        for thread in readers():
            thread.join()  # the next chunk is there
        assert np.array_equal(chunk, X[part])
        places.append(chunk.ctypes.data)
    assert places == [*places[:2] * 3]


def test_the_next_chunk_is_read_while_one_is_used_and_none_further():
    started = [threading.Event() for _ in range(6)]
    for number, _ in enumerate(source(before=lambda number: started[number].set()).chunks(2)):
        if number + 1 < 6:
            assert started[number + 1].wait(60)
        for thread in readers():
            thread.join()
        assert not any(event.is_set() for event in started[number + 2 :])


@pytest.mark.parametrize("way", ["break", "error", "interrupt", "close"])
def test_leaving_early_leaves_no_thread(way):
    """Also where the next chunk is still being read: a fifth of a second here."""
    rowsource = source(before=lambda number: time.sleep(0.2 * number))

    def leave():
        for _ in rowsource.chunks(2):
            assert readers()
            if way == "break":
                break
            if way != "close":
                raise KeyboardInterrupt if way == "interrupt" else ZeroDivisionError

    if way == "close":
        with closing(rowsource.chunks(2)) as chunks:
            next(chunks)
            assert readers()
    else:
        with suppress(KeyboardInterrupt, ZeroDivisionError):
            leave()
    assert not readers()


def test_an_error_of_reading_is_raised_where_its_chunk_is_asked_for():
    def fail(number):
        if number == 1:
            raise OSError("no more")

    chunks = source(before=fail).chunks(4)
    assert np.array_equal(next(chunks)[1], X[:4])
    with pytest.raises(OSError, match="no more"):
        next(chunks)
    assert not readers()


@pytest.mark.parametrize(("rows", "error"), [(0, WrongValue), (-1, WrongValue), (2.0, WrongType), (True, WrongType)])
def test_a_number_of_rows_that_is_none_is_refused_at_once(rows, error):
    with pytest.raises(error, match=r"^rows: got .*; give an integer >= 1\.$"):
        source().chunks(rows)


@pytest.mark.parametrize("dtype", [object, complex, "U3", "M8[s]", "V2", np.longdouble])
def test_a_dtype_that_holds_no_numbers_of_64_bits_is_refused(dtype):
    with pytest.raises(WrongType, match=r"^here: has the dtype"):
        row_layout("here", (3, 2), np.dtype(dtype))


@pytest.mark.parametrize("shape", [(), (3,), (0, 3), (3, 0), (3, 2, 0)])
def test_a_shape_without_rows_or_columns_is_refused(shape):
    with pytest.raises(WrongValue, match=r"^here: has the shape"):
        row_layout("here", shape, np.dtype(float))


def test_the_layout_is_in_native_byte_order():
    assert row_layout("X", (3, 4, 5), np.dtype(">i2")) == (3, 20, np.dtype("=i2"))
    assert row_layout("X", (3, 4), np.dtype(jnp.bfloat16)) == (3, 4, np.dtype(jnp.bfloat16))

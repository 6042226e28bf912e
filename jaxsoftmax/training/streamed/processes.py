"""What the processes of one run tell each other: sums, maxima, settings that must agree, and that one has failed.

Every process takes part in every exchange, in the same order. One that fails takes part once more, with its error in
the place of numbers (`together`), so that nobody waits for a process that will not come. An exchange is one gather of
`BLOCK` bytes from each process, and a second one for what does not fit; JAX moves the bytes (`process_allgather`).

A process that dies closes its connections, and the others raise `ProcessLost` at their exchange within a second. After
that, and where they were not exchanging or the other one is stopped, JAX itself ends them: at once where process 0 is
gone, and otherwise after `heartbeat_timeout_seconds` of `jax.distributed.initialize`.
"""

from __future__ import annotations

import hashlib
import io
import json
import queue
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import reduce
from typing import Any, TypeVar

import jax
import numpy as np

from jaxsoftmax.support.errors import WrongType, WrongValue

__all__ = ["ProcessLost", "add_up", "agree", "count", "gather", "largest", "together"]

BLOCK = 2048
PATIENCE = 60.0  # the seconds that a failing process waits until the others have read its error
_HEAD = struct.Struct("<?q16s80s")  # failing; bytes of content; the digest of what is exchanged; its words
_ROOM = BLOCK - _HEAD.size
_REMEDY = "end every process and start the run again"

Tree = TypeVar("Tree")


class ProcessLost(RuntimeError):
    """Another process of this run died, failed, or exchanges something else; this one cannot go on without it."""


def count() -> int:
    """The number of processes of this run; 1 without `jax.distributed.initialize`, and then no device is touched.

    Example:
        >>> from jaxsoftmax.training.streamed.processes import count
        >>> count()
        1
    """
    return jax.process_count() if jax.distributed.is_initialized() else 1


def add_up(tree: Tree) -> Tree:
    """The sum over the processes of each leaf, added in the order of the processes: the same bits in every process.

    Args:
        tree: NumPy arrays and numbers, with the same shapes and dtypes in every process: floating point numbers or
            integers. Leaves of less than 64 bits are added in float64 and rounded once (integers: in their own dtype).

    Returns:
        The same tree with NumPy arrays of the same shapes and dtypes (Python numbers for Python numbers); with one
        process the tree itself.

    Raises:
        WrongType: a leaf that is no floating point number or integer.
        ProcessLost: another process died, failed, or adds up something else.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.training.streamed.processes import add_up
        >>> add_up({"loss": 0.5, "gradient": np.ones((2, 3))})["loss"]  # one process: what was given
        0.5
    """

    def total(parts: list[np.ndarray]) -> np.ndarray:
        dtype = parts[0].dtype
        wide = np.promote_types(dtype, np.float64) if dtype.kind == "f" else dtype
        return reduce(np.add, [part.astype(wide) for part in parts]).astype(dtype)

    return _leaf_by_leaf("the sum", total, tree)


def largest(tree: Tree) -> Tree:
    """The maximum over the processes of each entry of each leaf; NaN where one of them is NaN. Otherwise as `add_up`.

    Example:
        >>> from jaxsoftmax.training.streamed.processes import largest
        >>> largest(3)
        3
    """
    return _leaf_by_leaf("the maximum", lambda parts: reduce(np.maximum, parts), tree)


def gather(value: np.ndarray) -> list[np.ndarray]:
    """The arrays of all processes, in the order of the processes; shapes and dtypes may differ.

    Raises:
        ProcessLost: another process died, failed, or exchanges something else.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.training.streamed.processes import gather
        >>> gather(np.arange(3))
        [array([0, 1, 2])]
    """
    if count() == 1:
        return [np.asarray(value)]
    file = io.BytesIO()
    np.save(file, np.asarray(value), allow_pickle=False)
    return [np.load(io.BytesIO(part), allow_pickle=False) for part in _exchange("one array each", file.getvalue())]


def agree(**named: Any) -> None:
    """Hold that every process has given equal values; every process raises where one has not.

    Args:
        named: numbers, strings, bytes, booleans, None, tuples of them, and NumPy arrays (compared bit by bit).

    Raises:
        WrongValue: a value differs; named with what this process and another one have.
        ProcessLost: another process died, failed, or exchanges something else.

    Example:
        >>> from jaxsoftmax.training.streamed.processes import agree
        >>> agree(classes=(0, 1, 2), method="newton-cg")  # one process agrees with itself
    """
    if count() == 1:
        return
    mine = {name: _in_words(value) for name, value in named.items()}
    everyone = [json.loads(part) for part in _exchange("what must agree", json.dumps(mine).encode())]
    me = jax.process_index()
    for name in sorted(set().union(*everyone)):
        for other, theirs in enumerate(everyone):
            if theirs.get(name) != mine.get(name):
                given = (
                    f"process {me} has {mine.get(name, 'nothing')}, process {other} has {theirs.get(name, 'nothing')}"
                )
                raise WrongValue(name, given, "give every process the same")


@contextmanager
def together() -> Iterator[None]:
    """Hand on an error: what this block raises, the others raise as `ProcessLost` at their next exchange.

    Wrap in it what every process does and one may fail at. Ctrl-C is handed on too. The error leaves the block when the
    others have read it, after a minute at the latest. Of nested blocks the outermost counts: an error that is caught
    before it is nobody else's matter.

    Example:
        >>> from jaxsoftmax.training.streamed.processes import add_up, together
        >>> with together():
        ...     add_up(1)
        1
    """
    _exchanges.blocks += 1
    try:
        yield
    except ProcessLost:
        raise  # the others know, or are gone
    except BaseException as error:
        if _exchanges.blocks == 1 and jax.distributed.is_initialized():  # count() would wait for the others' devices
            _exchanges.leave(f"{type(error).__name__}: {error}".removesuffix(": "))
        raise
    finally:
        _exchanges.blocks -= 1


def _leaf_by_leaf(what: str, combine: Callable[[list[np.ndarray]], np.ndarray], tree: Tree) -> Tree:
    """`combine` of the processes' values of each leaf; all leaves travel as one row of bytes."""
    if count() == 1:
        return tree
    leaves, structure = jax.tree.flatten(tree)
    arrays = [np.asarray(leaf) for leaf in leaves]
    for array in arrays:
        if array.dtype.kind not in "fiu":
            raise WrongType("tree", f"got a leaf of dtype {array.dtype}", "give floating point numbers and integers")
    kinds = ", ".join(f"{array.dtype}{list(array.shape)}" for array in arrays)
    rows = _exchange(f"{what} of {kinds}", b"".join(array.tobytes() for array in arrays))
    found, start = [], 0
    for leaf, array in zip(leaves, arrays, strict=True):
        parts = [np.frombuffer(row, array.dtype, array.size, start).reshape(array.shape) for row in rows]
        value = combine(parts)
        found.append(value.item() if type(leaf) in (int, float) else value)
        start += array.nbytes
    return jax.tree.unflatten(structure, found)


def _in_words(value: Any) -> str:
    """A text that is equal for equal values alone, and short enough for a message."""
    if isinstance(value, (np.ndarray, jax.Array)):
        array = np.asarray(value)
        return f"{array.dtype}{list(array.shape)} with digest {hashlib.sha256(array.tobytes()).hexdigest()[:16]}"
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 200 else f"{text[:100]}… with digest {hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _exchange(what: str, content: bytes) -> list[bytes]:
    """What every process gave, in their order, or `ProcessLost`."""
    found = _exchanges.take_part(what, content)
    for number, (failing, _, _, given) in enumerate(found):
        if failing:
            error = given.decode(errors="replace")
            raise ProcessLost(f"process {number} of this run failed, and this one ends with it: {error}")
    for number, (_, digest, words, _) in enumerate(found):
        if digest != _digest(what):
            raise ProcessLost(
                f"process {number} exchanges {words}, this one {what}: the processes do not run the same steps; "
                "call the same functions with the same settings in every process."
            )
    return [given for _, _, _, given in found]


def _digest(what: str) -> bytes:
    return hashlib.sha256(what.encode()).digest()[:16]


def _gather_bytes(what: str, content: bytes, *, failing: bool) -> list[tuple[bool, bytes, str, bytes]]:
    """One exchange: of each process whether it fails, the digest and the words of what it gives, and its content."""
    from jax.experimental.multihost_utils import process_allgather

    words = what.encode()[:80]
    block = (_HEAD.pack(failing, len(content), _digest(what), words) + content[:_ROOM]).ljust(BLOCK, b"\0")
    blocks = [row.tobytes() for row in np.asarray(process_allgather(np.frombuffer(block, np.uint8)))]
    heads = [_HEAD.unpack_from(block) for block in blocks]
    same = not any(head[0] for head in heads) and len({head[2] for head in heads}) == 1
    rest = max(head[1] for head in heads) - _ROOM if same else 0
    tails = [b""] * len(blocks)
    if rest > 0:
        tail = np.frombuffer(content[_ROOM:].ljust(rest, b"\0"), np.uint8)
        tails = [row.tobytes() for row in np.asarray(process_allgather(tail))]
    return [
        (head[0], head[2], head[3].rstrip(b"\0").decode(errors="replace"), (block[_HEAD.size :] + tail)[: head[1]])
        for head, block, tail in zip(heads, blocks, tails, strict=True)
    ]


class _Exchanges:
    """The exchanges of this process, one after the other in a thread of their own, so that Ctrl-C ends the waiting."""

    def __init__(self) -> None:
        self.jobs: queue.SimpleQueue = queue.SimpleQueue()
        self.thread: threading.Thread | None = None
        self.unseen: Future | None = None  # under way, or interrupted: its outcome has not been looked at
        self.lost: str | None = None
        self.blocks = 0  # the blocks of `together` that are open

    def submit(self, job: Callable[[], Any]) -> Future:
        if self.thread is None:
            self.thread = threading.Thread(target=self._work, name="exchanges", daemon=True)
            self.thread.start()
        future: Future = Future()
        self.jobs.put((future, job))
        return future

    def _work(self) -> None:
        while True:
            future, job = self.jobs.get()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)

    def take_part(self, what: str, content: bytes) -> list[tuple[bool, bytes, str, bytes]]:
        if self.lost is not None:
            raise ProcessLost(self.lost)
        self.unseen = self.submit(lambda: _gather_bytes(what, content, failing=False))
        try:
            found = self.unseen.result()
        except Exception as error:  # gloo's "connection closed by peer" comes as a ValueError
            self.lost = f"another process of this run was lost ({str(error).splitlines()[0]}); {_REMEDY}."
            raise ProcessLost(self.lost) from error
        self.unseen = None
        return found

    def leave(self, text: str) -> None:
        """Take part once more, with an error, unless the exchange that was interrupted had one already."""
        before, self.unseen = self.unseen, None

        def farewell() -> None:
            if before is None or not (before.exception() or any(part[0] for part in before.result())):
                _gather_bytes("an error", text.encode()[:_ROOM], failing=True)

        with suppress(Exception):  # the others are gone, or busy: the error of this process matters more
            self.submit(farewell).result(PATIENCE)


_exchanges = _Exchanges()

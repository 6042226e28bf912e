"""How much memory is free, and the refusal of what cannot fit into it, before anything is allocated.

Whoever needs much counts only arrays that are there at the same time for certain. What is refused would not have
fitted; what is let through may still need more than was counted.

Guarded by `tests/support/test_memory.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jaxsoftmax.support.errors import WrongValue

__all__ = ["cannot_fit", "devices_of", "fits", "free_bytes", "in_words", "shortage"]

# Less than this is taken to be free: to look costs half a millisecond.
ALWAYS_FREE = 2**26
_MEMINFO, _CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def free_bytes(devices: Iterable[Any] = ()) -> int | None:
    """Bytes that may still be allocated: on these accelerators together, else in the machine; None: not known.

    Of the machine: what Linux can give without ending other programs, swap included, and no more than the container may
    have; on other systems all that is built in, for they do not say what is free.

    Example:
        >>> from jaxsoftmax.support.memory import free_bytes
        >>> free = free_bytes()
        >>> free is None or free > 0
        True
    """
    accelerators = [device for device in devices if device.platform != "cpu"]
    if not accelerators:
        return _free_in_the_machine()
    known = [device.memory_stats() or {} for device in accelerators]
    if not all("bytes_limit" in stats for stats in known):
        return None
    return sum(max(0, stats["bytes_limit"] - stats.get("bytes_in_use", 0)) for stats in known)


def _free_in_the_machine() -> int | None:
    try:
        table = _table(_MEMINFO)
        free = 1024 * (table["MemAvailable"] + table.get("SwapFree", 0))
    except (OSError, ValueError, KeyError):
        return _built_in()
    try:  # a container's own limit; the files that it has read and no longer uses make room
        container = _table(_CONTAINER / "memory.stat")
        used = int((_CONTAINER / "memory.current").read_text()) - container.get("inactive_file", 0)
        return min(free, max(0, int((_CONTAINER / "memory.max").read_text()) - used))
    except (OSError, ValueError):  # none: no such file, or "max"
        return free


def _table(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    words = (line.replace(":", " ").split() for line in path.read_text().splitlines())
    return {name: int(number) for name, number, *_ in words}


def _built_in() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def devices_of(X: Any = None) -> Iterable[Any]:
    """Where an array lies; where JAX puts new ones when it is none of JAX's."""
    import jax

    if isinstance(X, jax.Array):
        return X.devices()
    default = getattr(jax.config, "jax_default_device", None) or jax.devices()[0]
    return jax.devices(default)[:1] if isinstance(default, str) else [default]


def shortage(needed: float, devices: Iterable[Any] = (), assumed: float | None = None) -> float | None:
    """The free bytes where they are fewer than those needed, else None; `assumed` where it is not known what is free.

    Example:
        >>> from jaxsoftmax.support.memory import shortage
        >>> shortage(0) is None
        True
    """
    if needed < ALWAYS_FREE:
        return None
    known = free_bytes(devices)
    free = assumed if known is None else known
    return free if free is not None and free < needed else None


def fits(needed: float, devices: Iterable[Any] = ()) -> bool:
    """Whether so many bytes are free, or it is not known how many are."""
    return shortage(needed, devices) is None


def in_words(count: float) -> str:
    """A number of bytes for people.

    Example:
        >>> from jaxsoftmax.support.memory import in_words
        >>> in_words(1.5e9), in_words(2e6), in_words(0)
        ('1.5 GB', '2 MB', '0 MB')
    """
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def cannot_fit(argument: str, what: str, needed: float, free: float, remedy: str) -> WrongValue:
    """The error for something that needs more bytes than are free.

    Example:
        >>> from jaxsoftmax.support.memory import cannot_fit
        >>> str(cannot_fit("X", "its copy", 2e9, 1e9, "give fewer samples"))
        'X: its copy needs about 2 GB of memory, and 1 GB are free; give fewer samples.'
    """
    return WrongValue(
        argument, f"{what} needs about {in_words(needed)} of memory, and {in_words(free)} are free", remedy
    )

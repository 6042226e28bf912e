"""What a fit needs beyond the data, by method, and the refusal of one that cannot fit, with what would.

Guarded by `tests/training/test_memory_need.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.support.memory import cannot_fit, devices_of, fits, in_words, shortage
from jaxsoftmax.training.columns import Columns
from jaxsoftmax.training.loop.protocol import Method
from jaxsoftmax.training.methods.newton_cg import NewtonCG

_GRAMS = 3  # (D, D) float64 matrices that are there at one time while the moments of any problem are made


class Place(NamedTuple):
    """Where a problem of some shape lies; `host`: in the memory that NumPy works in too."""

    shape: tuple[int, int, int]
    itemsize: int
    host: bool

    def moments(self) -> int:
        """Bytes of the matrices that the moments are made of, which are on the host."""
        return 8 * _GRAMS * self.shape[1] ** 2 * self.host


def place_of(problem: Problem) -> Place:
    """The place of a concrete problem."""
    host = all(device.platform == "cpu" for device in devices_of(problem.X))
    return Place(problem.shape, problem.dtype.itemsize, host)


class Copy(NamedTuple):
    """A copy of X in other columns: its numbers in the problem's dtype, in float64 on the host, how to do without."""

    what: str = ""
    own: int = 0
    wide: int = 0
    instead: str = ""

    def size(self, place: Place) -> int:
        """In bytes."""
        return self.own * place.itemsize + 8 * self.wide * place.host


NO_COPY = Copy()


def copy_of(problem: Problem, columns: Columns, method: Method, whiten: bool) -> Copy:
    """The copy of X that a fit makes to work in other columns."""
    numbers = problem.N * problem.D
    if whiten:
        return Copy("two copies of X to whiten it", wide=2 * numbers, instead="leave `whiten` out")
    if method.any_columns and not columns.as_given:
        instead = "centre and scale the columns of X before the problem is made"
        return Copy("a copy of X in shifted and scaled columns", own=numbers, instead=instead)
    return NO_COPY


def parts_needed(method: Method, place: Place, copy: Copy = NO_COPY) -> dict[str, int]:
    """Bytes by what they are for: what is there for certain, not all that is."""
    N, D, C = place.shape
    parts = {f"matrices of {D:,} x {D:,}": place.moments(), copy.what: copy.size(place)}
    return parts | method.bytes_needed(N, D, C, place.itemsize)


def method_fits(method: Method, problem: Problem) -> bool:
    """Whether what the method needs is free, as far as is known."""
    needed = sum(parts_needed(method, place_of(problem)).values())
    return fits(needed, devices_of(problem.X))


def refuse_what_cannot_fit(method: Method, problem: Problem, copy: Copy = NO_COPY) -> None:
    """Refuse a fit that needs more memory than is free, before any of it is allocated.

    Raises:
        ValueError: what it needs, what is free, and what would fit.
    """
    parts = parts_needed(method, place_of(problem), copy)
    needed = sum(parts.values())
    free = shortage(needed, devices_of(problem.X))
    if free is not None:
        largest = max(parts, key=lambda what: parts[what])
        what = f"{method.name!r} on {problem.N:,} samples, {problem.D:,} columns and {problem.C:,} classes"
        remedy = _remedy(method, place_of(problem), copy, free)
        raise cannot_fit("method", f"{what} (for {largest} above all)", needed, free, remedy)


def _remedy(method: Method, place: Place, copy: Copy, free: float) -> str:
    """What would fit by the same estimate: another method, no copy, float32, minibatches; else less data."""
    ways = {f"choose the method {NewtonCG.name!r}": parts_needed(NewtonCG(), place, copy)}
    if copy is not NO_COPY:
        ways[copy.instead] = parts_needed(method, place)
    if place.itemsize == 8:
        ways["build the problem with the dtype 'float32'"] = parts_needed(method, place._replace(itemsize=4), copy)
    sizes = {way: sum(parts.values()) for way, parts in ways.items()}
    found = [f"{way} (about {in_words(needed)})" for way, needed in sizes.items() if needed <= free]
    N, D, C = place.shape
    batch = min(N, int((free - place.moments()) // ((D + C) * place.itemsize)))
    if batch >= 1:
        found.append(f"choose the method 'adam' with a batch size of at most {batch:,} (it needs a key too)")
    return ", or ".join(found) if found else "give fewer columns or classes"

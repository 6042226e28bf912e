"""Directions that probe a derivative, each named for the structure that it exposes.

Gaussian directions see any error, with the probability that `guarantee` states; but an error in one small entry of a
million is a small part of such a product, and one in a leaf of small numbers is lost beside a leaf of large ones. The
other kinds look where a bug of structure would be: one leaf, a block of rows or columns, single entries.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["KINDS", "Direction", "directions"]

KINDS = ("random", "scaled", "leaf", "rows", "columns", "entry")


@dataclass(frozen=True)
class Direction:
    """A direction in the space of the leaves.

    Attributes:
        name: what it probes: "random 0", "leaf ['W']", "rows 8:16 of ['W']", "entry ['W'][2, 7]".
        kind: one of `KINDS`, or "given".
        leaves: float64 NumPy arrays of the leaves' shapes; those it does not touch are read-only zeros of no size.
        touched: for each leaf, whether it has a nonzero entry there.
    """

    name: str
    kind: str
    leaves: list[np.ndarray]
    touched: tuple[bool, ...]


def _zeros(shape: tuple[int, ...]) -> np.ndarray:
    return np.broadcast_to(np.float64(0.0), shape)


def _only(name: str, kind: str, shapes: list[tuple[int, ...]], leaf: int, array: np.ndarray) -> Direction:
    leaves = [array if i == leaf else _zeros(shape) for i, shape in enumerate(shapes)]
    return Direction(name, kind, leaves, tuple(i == leaf for i in range(len(shapes))))


def _magnitude(array: Any) -> np.ndarray:
    """|array|, with the least positive finite magnitude where an entry is 0 or not finite; 1 where there is none."""
    size = np.abs(np.asarray(array, np.float64))
    good = np.isfinite(size) & (size > 0)
    return np.where(good, size, np.min(size[good]) if good.any() else 1.0)


def _blocks(
    kind: str, shapes: list[tuple[int, ...]], names: Sequence[str], rng: np.random.Generator, blocks: int, count: int
) -> Iterator[Direction]:
    """Random signs on a block of the first axis (rows) or the last (columns), other blocks without replacement."""
    places = []
    for leaf, shape in enumerate(shapes):
        if math.prod(shape) and len(shape) >= (1 if kind == "rows" else 2):
            length = shape[0 if kind == "rows" else -1]
            edges = np.linspace(0, length, min(blocks, length) + 1).round().astype(int)
            places += [(leaf, int(a), int(b)) for a, b in itertools.pairwise(edges)]
    for place in rng.permutation(len(places))[:count]:
        leaf, start, stop = places[place]
        array = np.zeros(shapes[leaf])
        part = array[start:stop] if kind == "rows" else array[..., start:stop]
        part[...] = rng.choice([-1.0, 1.0], size=part.shape)
        yield _only(f"{kind} {start}:{stop} of {names[leaf]}", kind, shapes, leaf, array)


def directions(
    template: Sequence[Any],
    rng: np.random.Generator,
    *,
    kinds: Sequence[str] = KINDS,
    count: int | Mapping[str, int] = 1,
    names: Sequence[str] | None = None,
    magnitudes: Sequence[Any] | None = None,
    given: Mapping[str, Sequence[Any]] | None = None,
    blocks: int = 8,
) -> Iterator[Direction]:
    """Probe directions, one at a time, so that those of a large function need not be in memory together.

    Kinds: "random" (standard Gaussian over all entries), "scaled" (Gaussian times the magnitudes), "leaf" (Gaussian on
    one leaf), "rows" and "columns" (random signs on one block of the first or last axis of a leaf), "entry" (a basis
    vector). Leaves, blocks and entries are drawn without replacement: repeated calls with other generators cover all.

    Args:
        template: the leaves, or anything with their shapes.
        rng: the generator that every draw comes from (`support.validation.random_generator` makes one of a JAX key).
        kinds: which kinds, in the order in which they are to come.
        count: how many of each, or of each kind by name (a kind that is not named has none); fewer where there are not
            as many leaves, blocks or entries.
        names: the leaves' names, such as "['W']"; "[0]", "[1]", … when None.
        magnitudes: for "scaled", arrays of the leaves' shapes, |x| or 1/|g|: an entry that is 0 or not finite counts as
            the least of its leaf. All 1 when None.
        given: more directions by name (x itself, the hand gradient, a residual), which come first.
        blocks: into how many blocks an axis is cut, at most.

    Returns:
        An iterator of Direction.

    Raises:
        ValueError: an unknown kind, or a given direction of another shape.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.numeric.directions import directions
        >>> W = np.ones((2, 3))
        >>> found = directions([W], np.random.default_rng(0), kinds=("random", "entry"), names=["['W']"])
        >>> [direction.name for direction in found]
        ['random 0', "entry ['W'][1, 0]"]
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"kinds: got {unknown[0]!r}; the kinds are {', '.join(KINDS)}. Give a tuple of these.")
    shapes = [tuple(np.shape(leaf)) if not hasattr(leaf, "shape") else tuple(leaf.shape) for leaf in template]
    for name, leaves in (given or {}).items():
        wrong = [np.shape(leaf) for leaf in leaves]
        if wrong != shapes:
            raise ValueError(
                f"given: {name!r} has the shapes {wrong}; the leaves have {shapes}. Give one array a leaf."
            )
    names = [f"[{i}]" for i in range(len(shapes))] if names is None else list(names)
    return _directions(shapes, rng, kinds, count, names, magnitudes, given or {}, blocks)


def _directions(
    shapes: list[tuple[int, ...]],
    rng: np.random.Generator,
    kinds: Sequence[str],
    count: int | Mapping[str, int],
    names: Sequence[str],
    magnitudes: Sequence[Any] | None,
    given: Mapping[str, Sequence[Any]],
    blocks: int,
) -> Iterator[Direction]:
    for name, leaves in given.items():
        arrays = [np.asarray(leaf, np.float64) for leaf in leaves]
        yield Direction(name, "given", arrays, tuple(bool(array.any()) for array in arrays))
    everywhere = tuple(math.prod(shape) > 0 for shape in shapes)
    sizes = [math.prod(shape) for shape in shapes]
    for kind in kinds:
        many = count if isinstance(count, int) else count.get(kind, 0)
        if kind in ("random", "scaled"):
            for i in range(many):
                leaves = [rng.standard_normal(shape) for shape in shapes]
                if kind == "scaled" and magnitudes is not None:
                    leaves = [leaf * _magnitude(size) for leaf, size in zip(leaves, magnitudes, strict=True)]
                yield Direction(f"{kind} {i}", kind, [np.asarray(leaf) for leaf in leaves], everywhere)
        elif kind == "leaf":
            for leaf in rng.permutation(np.flatnonzero(sizes))[:many]:
                yield _only(
                    f"leaf {names[leaf]}", kind, shapes, int(leaf), np.asarray(rng.standard_normal(shapes[leaf]))
                )
        elif kind == "entry":
            starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
            for place in rng.choice(int(starts[-1]), size=min(many, int(starts[-1])), replace=False):
                leaf = int(np.searchsorted(starts, place, side="right")) - 1
                index = tuple(int(i) for i in np.unravel_index(int(place - starts[leaf]), shapes[leaf] or (1,)))
                array = np.zeros(shapes[leaf])
                array[index if shapes[leaf] else ()] = 1.0
                label = f"[{', '.join(map(str, index))}]" if shapes[leaf] else ""
                yield _only(f"entry {names[leaf]}{label}", kind, shapes, leaf, array)
        else:
            yield from _blocks(kind, shapes, names, rng, blocks, many)

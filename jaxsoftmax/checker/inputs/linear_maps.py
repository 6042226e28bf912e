"""Rules that are linear in a direction (Hessian, Jacobian products): whole matrices where affordable, else probes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jaxsoftmax.checker.inputs.context import Session, unravel
from jaxsoftmax.checker.inputs.program import Measured, Program

# Up to this many columns every one gets its own rounding analysis.
ANALYSED = 64
# Of larger matrices so many columns are analysed, and the others' bounds follow from them.
_SAMPLED = 16
# More columns at once leave the caches, and take twice the time each.
_BATCH = 64
# Directions analysed at once: one compiled program serves every count.
_TOGETHER = 8
# Columns in doubt that get their own analysis: so many at once, and so many in all (of a diagonal matrix every one, for
# the bounds carried over from other columns are 0 on it).
_CONFIRMED = 32
_CONFIRMED_IN_ALL = 1024


@dataclasses.dataclass
class LinearMap:
    """A program (leaves, direction) -> flat outputs, linear in the direction; batches by vmap.

    Attributes:
        session: the check.
        fn: (consts, leaves, direction leaves) -> list of output leaves.
        consts: its constants.
        inputs: templates of the direction's leaves (shapes).
    """

    session: Session
    fn: Callable[..., Any]
    consts: Sequence[Any]
    inputs: Sequence[Any]
    _programs: dict[int, Program] = dataclasses.field(default_factory=dict)

    @property
    def width(self) -> int:
        """The number of entries of a direction."""
        return sum(int(np.prod(leaf.shape)) for leaf in self.inputs)

    def _program(self, count: int) -> Program:
        if count not in self._programs:
            batch = [jax.ShapeDtypeStruct((count, *leaf.shape), np.float64) for leaf in self.inputs]
            wide = self.session.wide()

            def mapped(c: Any, leaves: Any, directions: Any) -> Any:
                return jax.vmap(lambda v: jax.tree.leaves(self.fn(c, leaves, v)))(directions)

            def one_by_one(c: Any, leaves: Any, directions: Any) -> Any:
                return jax.lax.map(lambda v: jax.tree.leaves(self.fn(c, leaves, v)), directions)

            try:
                self._programs[count] = self.session.program(mapped, self.consts, wide, batch)
            except Exception:  # a primitive without a batching rule, and JAX says so in several ways
                self._programs[count] = self.session.program(one_by_one, self.consts, wide, batch)
        return self._programs[count]

    def probes(self, count: int) -> np.ndarray:
        """(count, width) Gaussian directions."""
        if self.inputs is self.session.point.leaves:
            return self.session.normal(count)
        return self.session.rng.standard_normal((count, self.width))

    def batch(self, directions: np.ndarray) -> list[Any]:
        """(count, width) directions as leaves with a leading axis."""
        with jax.enable_x64(True):
            return list(map(jax.device_put, unravel(directions, self.inputs)))

    def values(self, directions: np.ndarray) -> np.ndarray:
        """(count, outputs): the map of each direction, outputs raveled."""
        self.session.clock.evaluations += len(directions) - 1
        found = self.session.values(self._program(len(directions)), self.session.wide(), self.batch(directions))
        return _rows(found, len(directions))

    def measure(self, directions: np.ndarray, *, narrow: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """(values, rounding bounds in units of u), both (count, outputs); in batches of one size, compiled once."""
        values, units = [], []
        for start in range(0, len(directions), _TOGETHER):
            part = directions[start : start + _TOGETHER]
            padded = np.concatenate([part, np.zeros((_TOGETHER - len(part), self.width))])
            self.session.clock.evaluations += len(part) - 1
            program = self._program(_TOGETHER)
            found: Measured = self.session.measure(program, self.session.wide(), self.batch(padded), narrow=narrow)
            values.append(_rows(found.values, _TOGETHER)[: len(part)])
            units.append(_rows(found.errors, _TOGETHER)[: len(part)])
        return np.concatenate(values), np.concatenate(units)

    def chunk(self) -> int:
        """How many directions fit the budget's bytes at once."""
        one = max(self._program(_TOGETHER).cost / _TOGETHER, 8.0)
        return int(np.clip(self.session.clock.budget.bytes / (4 * one), 1, _BATCH))

    def matrix(self) -> np.ndarray | None:
        """(outputs, width): all columns; None when they would take more than two fifths of the budget's seconds."""
        n, clock = self.width, self.session.clock
        batches = -(-n // self.chunk())
        step = -(-n // batches)  # batches of one size: one compiled program
        rows, began = [], clock.seconds
        for start in range(0, n, step):
            part = np.zeros((step, n))
            count = min(step, n - start)
            part[np.arange(count), start + np.arange(count)] = 1.0
            rows.append(self.values(part)[:count])
            if start == 0:
                began = clock.seconds  # the first batch compiled
            elif (clock.seconds - began) / start * (n - step) > 0.4 * clock.budget.seconds:
                return None
        return np.concatenate(rows).T

    def columns(self, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(values, rounding bounds) of some columns, both (outputs, columns)."""
        part = np.zeros((len(picked), self.width))
        part[np.arange(len(picked)), picked] = 1.0
        values, units = self.measure(part)
        return values.T, units.T


def _rows(leaves: Sequence[Any], count: int) -> np.ndarray:
    return np.concatenate([np.asarray(leaf).reshape(count, -1) for leaf in leaves], axis=1)


@dataclasses.dataclass
class Bounds:
    """Rounding bounds of a whole matrix in units of u, exact for the columns analysed so far."""

    source: LinearMap
    matrix: np.ndarray
    units: np.ndarray
    done: set[int]

    @classmethod
    def of(cls, source: LinearMap, rng: np.random.Generator) -> Bounds | None:
        """The matrix of a map; all columns of a small one are analysed, and a sample of a large one's.

        None where the matrix takes more than the budget (`LinearMap.matrix`).

        For the others the bound of row i relative to the size of the column, at its largest over the sample, is
        carried over: a screening bound, replaced by the column's own analysis (`confirm`) wherever it decides.
        """
        n = source.width
        if n <= ANALYSED:
            return cls(source, *source.columns(np.arange(n)), set(range(n)))
        matrix = source.matrix()
        if matrix is None:
            return None
        scale = np.abs(matrix).max(axis=0)
        picked = np.unique(np.concatenate([rng.choice(n, _SAMPLED - 1, replace=False), [int(scale.argmax())]]))
        found = source.columns(picked)[1]
        with np.errstate(all="ignore"):
            relative = np.where(scale[picked] > 0, found / scale[picked], 0.0).max(axis=1)
        units = relative[:, None] * scale[None, :]
        units[:, picked] = found
        return cls(source, matrix, units, set(picked.tolist()))

    def confirm(self, columns: np.ndarray) -> None:
        """Replace the bounds of these columns by their own analysis."""
        fresh = np.array([c for c in columns if c not in self.done][:_CONFIRMED_IN_ALL], int)
        for start in range(0, len(fresh), _CONFIRMED):
            if start and not self.source.session.clock.allows(0.5):
                break
            part = fresh[start : start + _CONFIRMED]
            self.units[:, part] = self.source.columns(part)[1]
            self.done |= set(part.tolist())


def doubtful(error: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Columns with an entry beyond its tolerance, the worst first."""
    with np.errstate(all="ignore"):
        ratio = np.where(error == 0, 0.0, error / tolerance)
    worst = np.where(np.isnan(ratio), np.inf, ratio).max(axis=0, initial=0.0)
    order = np.argsort(-worst)
    return order[worst[order] > 1]

"""Single entries of a comparison: their ratio to the tolerance, their distance in ulps, the worst of them, a histogram.

An ulp is the spacing of the dtype's numbers at the larger of the two values compared. So correctly rounded entries lie
within 1/2, and two values of a dtype with p bits are never more than 2^(p+1) apart, even where one of them is zero.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.reporting.json_values import json_ready

__all__ = ["Entry", "UlpHistogram", "bar_lines", "errors_and_ratios", "index_text", "ulps_apart", "worst_entries_of"]

_BAR = 40  # columns


def index_text(index: tuple[int, ...]) -> str:
    """An index into an array as Python writes it; "" for a scalar.

    Example:
        >>> from jaxsoftmax.checker.report.entries import index_text
        >>> "['W']" + index_text((3, 5))
        "['W'][3, 5]"
    """
    return f"[{', '.join(map(str, index))}]" if index else ""


def errors_and_ratios(
    ours: Any, theirs: Any, tolerance: Any, error: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entrywise error, tolerance and error / tolerance of two arrays of one shape.

    Args:
        ours: values of the rule under test, in its dtype.
        theirs: float64 values of the other side.
        tolerance: what both sides may be off, broadcastable to the shape.
        error: |ours - theirs| where the subtraction was done in higher precision.

    Returns:
        Three float64 arrays of the shape of `ours`. The ratio is 0 without error and where the dtype overflows to the
        right infinity, inf where a value is not finite otherwise or a tolerance of 0 (or below, or NaN) is missed.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.report.entries import errors_and_ratios
        >>> errors_and_ratios(np.float32([1.0, 3.0]), [1.0, 2.5], 0.25)[2].tolist()
        [0.0, 2.0]
    """
    dtype = np.asarray(ours).dtype
    limit = float(jnp.finfo(dtype).max) if jnp.issubdtype(dtype, jnp.floating) else np.inf
    ours, theirs = np.asarray(ours).astype(np.float64), np.asarray(theirs, np.float64)
    tol = np.broadcast_to(np.asarray(tolerance, np.float64), ours.shape)
    with np.errstate(all="ignore"):
        error = np.abs(ours - theirs) if error is None else np.asarray(error, np.float64)
        ratio = np.where(error == 0, 0.0, error / np.maximum(tol, 0.0))  # nothing lies within a negative tolerance
        # Beyond the range of the dtype, inf of the right sign is the right answer.
        overflow = (
            np.isinf(ours) & np.isfinite(tol) & (np.abs(theirs) + tol >= limit) & (np.sign(ours) == np.sign(theirs))
        )
        ratio = np.where(overflow, 0.0, np.where(np.isfinite(ours) & np.isfinite(theirs), ratio, np.inf))
        return np.where(overflow, 0.0, error), tol, np.where(np.isnan(ratio), np.inf, ratio)


def ulps_apart(ours: Any, theirs: Any, dtype: Any = None) -> np.ndarray:
    """|ours - theirs| in ulps of a dtype, entry by entry.

    Args:
        ours: values of any float dtype and shape.
        theirs: values of that shape.
        dtype: whose ulps; None for the dtype of `ours`.

    Returns:
        float64 array of the shape. 0 where both are the same infinity, inf where one alone is finite or is NaN.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.report.entries import ulps_apart
        >>> float(ulps_apart(np.float32(1.0), 1.0 + 2.0**-23)), float(ulps_apart(np.float32(0.0), 1e-3))
        (1.0, 8589934.592)
    """
    info = jnp.finfo(np.asarray(ours).dtype if dtype is None else dtype)
    ours, theirs = np.asarray(ours).astype(np.float64), np.asarray(theirs).astype(np.float64)
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(ours), np.abs(theirs))
        # frexp: size = m 2^e with 1/2 <= m < 1, so its binade starts at 2^(e-1); below 2^minexp are the subnormals.
        exponent = np.where(size > 0, np.frexp(np.where(np.isfinite(size), size, 1.0))[1] - 1, info.minexp)
        unit = np.ldexp(1.0, np.maximum(exponent, int(info.minexp)) - int(info.nmant))
        apart = np.abs(ours - theirs) / unit
        return np.where(ours == theirs, 0.0, np.where(np.isfinite(ours) & np.isfinite(theirs), apart, np.inf))


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of a comparison, with both values.

    Attributes:
        quantity: what was compared.
        path: where the entry is: the leaf's pytree path and the index in it, such as "['W'][3, 5]".
        ours: the value of the rule under test.
        theirs: the other side's.
        error: |ours - theirs|.
        tolerance: what both sides may be off together.
        ulps: the error in ulps of the dtype of `ours` (see the module).

    Example:
        >>> from jaxsoftmax.checker.report.entries import Entry
        >>> Entry("gradient", "['W'][3, 5]", 1.5, 1.0, 0.5, 0.25, 4194304.0).ratio
        2.0
    """

    quantity: str
    path: str
    ours: float
    theirs: float
    error: float
    tolerance: float
    ulps: float

    @property
    def ratio(self) -> float:
        """Error / tolerance; above 1 the entry disagrees."""
        if not np.isfinite(self.error):
            return np.inf
        return 0.0 if self.error == 0 else self.error / self.tolerance if self.tolerance > 0 else np.inf

    def to_dict(self) -> dict[str, Any]:
        """The attributes, JSON-ready (numbers that are not finite become text)."""
        return json_ready(dataclasses.asdict(self))


def worst_entries_of(
    quantity: str,
    path: str,
    ours: Any,
    theirs: Any,
    tolerance: Any,
    *,
    count: int = 5,
    error: Any = None,
    positions: Any = None,
    name: Any = None,
) -> tuple[Entry, ...]:
    """The entries of one leaf with the largest error in units of their tolerance, worst first; exact ones left out.

    Args:
        quantity: what was compared.
        path: the leaf's pytree path, such as "['W']"; "" where the leaf is the whole tree.
        ours: values of the rule under test, in its dtype.
        theirs: float64 values of the same shape.
        tolerance: broadcastable to that shape.
        count: how many at most.
        error: |ours - theirs| where the subtraction was done in higher precision.
        positions: the index tuples of the entries in the leaf, where ``ours`` is a list of some of them.
        name: index tuple -> the path of the entry, instead of the leaf's path and the index.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.report.entries import worst_entries_of
        >>> ours, theirs = np.float32([[1.0, 2.0], [3.0, 4.5]]), [[1.0, 2.0], [3.5, 4.0]]
        >>> [(e.path, e.error) for e in worst_entries_of("gradient", "['W']", ours, theirs, [0.5, 0.25])]
        [("['W'][1, 1]", 0.5), ("['W'][1, 0]", 0.5)]
    """
    error, tol, ratio = errors_and_ratios(ours, theirs, tolerance, error)
    apart = ulps_apart(ours, theirs)
    flat = ratio.ravel()
    top = np.argpartition(-flat, count)[:count] if flat.size > count else np.arange(flat.size)
    out = []
    for i in sorted(top[flat[top] > 0].tolist(), key=lambda i: (-flat[i], i)):
        index = tuple(int(k) for k in np.unravel_index(i, ratio.shape))
        place = index if positions is None else tuple(int(k) for k in positions[i])
        values = (np.asarray(ours)[index], np.asarray(theirs)[index], error[index], tol[index], apart[index])
        where = path + index_text(place) if name is None else name(place)
        out.append(Entry(quantity, where, *map(float, values)))
    return tuple(out)


@dataclasses.dataclass(frozen=True)
class UlpHistogram:
    """How many entries are how many ulps off; `of` counts, + adds the counts of two leaves.

    Attributes:
        edges: upper edges of the bins in log2 of ulps: -inf (exact), -1 (at most 1/2), 0 (1), 1 (2), …, inf (not
            finite). A bin is open below.
        counts: entries a bin, as many as edges.
        dtype: whose ulps; several names where leaves of several dtypes were added, each counted in its own ulps.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.report.entries import UlpHistogram
        >>> histogram = UlpHistogram.of(np.float32([1.0, 2.0, 3.0]), [1.0, 2.0 + 1e-7, 3.0 + 1e-6])
        >>> histogram.bins()
        (('exact', 1), ('≤ 1/2', 1), ('≤ 1', 0), ('≤ 2', 0), ('≤ 4', 0), ('≤ 8', 1))
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, ours: Any, theirs: Any, dtype: Any = None) -> UlpHistogram:
        """Count the entries of two arrays of one shape in ulps of `dtype` (None: that of `ours`)."""
        dtype = np.dtype(np.asarray(ours).dtype if dtype is None else dtype)
        last = int(jnp.finfo(dtype).nmant) + 2  # |a - b| <= 2 max(|a|, |b|) < 2 * 2^(e+1), and an ulp is 2^(e-nmant)
        edges = (-np.inf, *map(float, range(-1, last + 1)), np.inf)
        apart = ulps_apart(ours, theirs, dtype).ravel()
        mantissa, exponent = np.frexp(np.where(np.isfinite(apart), apart, 0.0))
        upper = np.where(mantissa == 0.5, exponent - 1, exponent)  # the ceiling of log2, exact at powers of 2
        place = np.where(apart == 0, 0, np.clip(upper, -1, last) + 2)
        place = np.where(np.isfinite(apart), place, len(edges) - 1)
        return cls(edges, tuple(np.bincount(place, minlength=len(edges)).tolist()), dtype.name)

    def __add__(self, other: UlpHistogram) -> UlpHistogram:
        names = dict.fromkeys([*self.dtype.split(", "), *other.dtype.split(", ")])
        long, short = (self, other) if len(self.edges) >= len(other.edges) else (other, self)
        middle = [0] * (len(long.edges) - len(short.edges))
        padded = [*short.counts[:-1], *middle, short.counts[-1]]
        return UlpHistogram(
            long.edges, tuple(a + b for a, b in zip(long.counts, padded, strict=True)), ", ".join(names)
        )

    @property
    def total(self) -> int:
        """The number of entries."""
        return sum(self.counts)

    def bins(self) -> tuple[tuple[str, int], ...]:
        """(label, count) of the bins from exact, or the first that is not empty, to the last that is not empty."""
        filled = [i for i, n in enumerate(self.counts) if n] or [0]
        first = 0 if filled[0] <= 4 else filled[0]
        return tuple((_label(self.edges[i]), self.counts[i]) for i in range(first, filled[-1] + 1))

    def to_dict(self) -> dict[str, Any]:
        """{"edges", "counts", "dtype"}, JSON-ready (infinite edges become text)."""
        return json_ready(dataclasses.asdict(self))


def _label(edge: float) -> str:
    if edge == -np.inf:
        return "exact"
    if edge == np.inf:
        return "not finite"
    if edge < 0:
        return "≤ 1/2"
    return f"≤ {2 ** int(edge)}" if edge < 14 else f"≤ 2^{int(edge)}"


def bar_lines(histogram: UlpHistogram, width: int = _BAR) -> Iterator[str]:
    """One line a bin: its label, a bar as long as its share of the fullest bin, the count; ⋮ for a run of empty bins.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.checker.report.entries import UlpHistogram
        >>> from jaxsoftmax.checker.report.entries import bar_lines
        >>> for line in bar_lines(UlpHistogram.of(np.float32([1, 2, 3]), [1.0, 2.0, 3 + 4e-7]), 8):
        ...     print(line)
        exact ████████ 2
        ≤ 1/2 0
          ≤ 1 0
          ≤ 2 ████ 1
    """
    bins = histogram.bins()
    room = max(len(label) for label, _ in bins)
    most = max(count for _, count in bins) or 1
    for empty, run in itertools.groupby(bins, lambda bin: bin[1] == 0):
        run = list(run)
        if empty and len(run) > 3:
            yield f"{'⋮':>{room}}"
            continue
        for label, count in run:
            # A bin that is not empty shows at least a sliver: one entry of 10^6 is what a reader looks for.
            eighths = max(round(8 * width * count / most), 1) if count else 0
            bar = "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
            yield f"{label:>{room}} {bar}{' ' if bar else ''}{count}"

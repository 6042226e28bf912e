"""Rows of logits on which plain formulas of softmax lose digits, and their exact values (sections 7.1, 7.2 and 7.3)."""

import functools
import math

import flint
import numpy as np


def promised(dtype, C: int) -> float:
    """4 eps (1 + log2 C), relative: the accuracy that docs/benchmarks/kernels.md states."""
    return 4 * float(np.finfo(dtype).eps) * (1 + np.log2(C))


@functools.cache
def rows(C: int, dtype: str) -> np.ndarray:
    """Rows of logits within ±700 (float32: ±80) on which plain formulas lose their digits, values of `dtype`."""
    rng = np.random.default_rng([C, 11])
    limit, tiny = (700.0, 2.0**-1022) if dtype == "float64" else (80.0, 2.0**-126)
    floor = math.log(tiny)  # exp(floor) is the smallest normal number
    made = [rng.uniform(-limit, limit, size=C) for _ in range(6)]
    made += [rng.normal(size=C), limit + rng.normal(size=C) / 16 - 1, np.full(C, 0.1), rng.uniform(0, limit, size=C)]
    ties = rng.uniform(-limit, 0, size=C)
    ties[[0, -1]] = 3.7
    near = ties.copy()
    near[0] = np.nextafter(np.asarray(3.7, dtype), np.asarray(9, dtype))
    nearer = np.zeros(C)
    nearer[-1] = -1e-30
    made += [ties, near, nearer]
    # One class dominates; the others together weigh e^-690 (1e-300), down to sums of subnormal terms.
    for gap in (40.0, -0.98 * floor, 0.91 * -floor, 0.89 * -floor, -floor - 2.0, -floor + 0.5 * math.log(C)):
        confident = limit / 2 - gap - rng.uniform(0, 0.25, size=C)
        confident[C // 2] = limit / 2
        made.append(confident)
    # Terms just above half an ulp of the running sum: added one after another, each is rounded up to a whole one.
    crowd = np.full(C, math.log(0.51 * float(np.finfo(dtype).eps)))
    crowd[:3] = [0, -1e-6, math.log(0.01)][: min(C, 3)]
    made.append(crowd)
    mixed = np.linspace(-limit, -limit + 1, C)  # differences up to 2·limit beside two close ones
    mixed[0], mixed[-1] = limit, limit - 1 / 3
    made.append(mixed)
    return np.array(made, dtype=dtype)


@functools.cache
def exact(C: int, dtype: str) -> tuple[list, list, list, list]:
    """(y, -log y, 1 - y, Z) of `rows` as arbs, by the plain formulas at 2,400 bits: e^-1400 is 2^-2020."""
    flint.ctx.prec = 2400
    z = [[flint.arb(float(v)) for v in row] for row in rows(C, dtype)]
    e = [[v.exp() for v in row] for row in z]
    totals = [sum(row, flint.arb(0)) for row in e]
    y = [[v / total for v in row] for row, total in zip(e, totals, strict=True)]
    neg_log = [[total.log() - v for v in row] for row, total in zip(z, totals, strict=True)]
    return y, neg_log, [[1 - v for v in row] for row in y], z


def relative_errors(ours: np.ndarray, true: list, scale: list | None = None) -> np.ndarray:
    """|ours - true| / scale entry by entry (scale: |true|), nan where the scale is no normal number of the dtype."""
    flint.ctx.prec = 2400
    tiny = flint.arb(float(np.finfo(ours.dtype).tiny))
    out = np.full(ours.shape, np.nan)
    for index in np.ndindex(*ours.shape):
        row, column = index
        size = abs((true if scale is None else scale)[row][column])
        if size >= tiny:
            out[index] = float(abs(flint.arb(float(ours[index])) - true[row][column]) / size)
    return out

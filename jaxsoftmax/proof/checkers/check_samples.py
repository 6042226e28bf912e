"""The samples of the loss as exact integers, for check_minimiser.py: standard library and python-flint alone.

Samples of weight 0 take no part. A self-regulariser γ stands for D samples γ e_d of weight 1 with uniform targets
(S21d), the intercept column included; sample d of the j-th one has the number N + jD + d. L2 penalties add up to a
strength α_d for each column (S21a).

Guarded by `tests/proof/checkers/test_check_minimiser.py`.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, compress
from operator import mul
from typing import Any, NamedTuple

if __package__:
    from .check_existence import ReadData, RefusedCertificate
else:
    from check_existence import ReadData, RefusedCertificate

_BLOCK = 1 << 21  # entries of X in one matrix of FLINT


class SampleIntegers(NamedTuple):
    """Integers: x_nd = columns[d][n]/Q, t_nj = targets[n][0][j]/targets[n][1], s_n = weights[n]/weight_unit.

    numbers: the numbers by which a certificate names the samples.   size: ≥ max_n ‖x_n‖².
    """

    numbers: list[int]
    columns: list[Sequence[int]]
    Q: int
    targets: list[tuple[list[int], int]]
    weights: list[int]
    weight_unit: int
    alpha: list[Fraction]
    size: Fraction


def require(condition: Any, message: str) -> None:
    """Refuse the certificate unless the condition holds."""
    if not condition:
        raise RefusedCertificate(message)


def samples_of(data: ReadData) -> SampleIntegers:
    """The samples of positive weight, then those of the self-regularisers."""
    N, D, C = len(data.targets), len(data.columns) + data.intercept, data.targets[0].count(" ") + 1
    alpha, gammas = [Fraction(0)] * D, []
    for line in data.regularizers:
        name, strength, *flag = line.split(" ")
        if name == "self":
            gammas.append(Fraction(strength))
        elif name == "l2":
            alpha = [a + Fraction(strength) * (d < len(data.columns) or flag == ["1"]) for d, a in enumerate(alpha)]
        else:
            require(strength == "0", f"regularizer {line!r:.60}: log-cosh is not covered.")
    active, extra = [w != "0" for w in data.weights], len(gammas) * D
    given = [*data.columns, *[(b"\1" * N, 1, 1)] * data.intercept]
    Q = math.lcm(*(q for _, q, _ in given), *(gamma.denominator for gamma in gammas))
    columns: list[Sequence[int]] = []
    for d, (integers, q, _) in enumerate(given):
        if Q > q or extra or not all(active):
            integers = [m * (Q // q) for m in compress(integers, active)]
            integers += [int(gamma * Q) * (d == k) for gamma in gammas for k in range(D)]
        columns.append(integers)
    ratios = {line: [Fraction(t) for t in line.split(" ")] for line in dict.fromkeys(data.targets)}
    units = {line: math.lcm(*(t.denominator for t in row)) for line, row in ratios.items()}
    exact = {line: ([int(t * units[line]) for t in row], units[line]) for line, row in ratios.items()}
    weights = {w: Fraction(w) for w in dict.fromkeys(data.weights)}
    unit = math.lcm(*(w.denominator for w in weights.values()))
    return SampleIntegers(
        [*compress(range(N), active), *range(N, N + extra)],
        columns,
        Q,
        [exact[line] for line in compress(data.targets, active)] + [([1] * C, C)] * extra,
        [int(weights[w] * unit) for w in compress(data.weights, active)] + [unit] * extra,
        unit,
        alpha,
        sum((Fraction(size, q) ** 2 for _, q, size in given), start=max([g**2 for g in gammas], default=Fraction(0))),
    )


def blocks_of_samples(columns: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, Any]]:
    """Blocks of samples: the first, the one after the last, and a matrix with a row for each column of X."""
    from flint import fmpz_mat

    D, N = len(columns), len(columns[0])
    for low in range(0, N, max(1, _BLOCK // D)):
        high = min(N, low + max(1, _BLOCK // D))
        yield low, high, fmpz_mat(D, high - low, list(chain.from_iterable(c[low:high] for c in columns)))


def weighted_gram(columns: Sequence[Sequence[int]], w: Sequence[int]) -> list[list]:
    """Σ_n w_n x_n x_nᵀ in the integers of `columns`, as integers of FLINT."""
    from flint import fmpz_mat

    chosen = [n for n, weight in enumerate(w) if weight]
    w = [w[n] for n in chosen]
    columns = [list(map(column.__getitem__, chosen)) for column in columns]
    total = fmpz_mat(len(columns), len(columns))
    for low, high, Xt in blocks_of_samples(columns):
        scaled = chain.from_iterable(map(mul, c[low:high], w[low:high]) for c in columns)
        total += Xt * fmpz_mat(len(columns), high - low, list(scaled)).transpose()
    return total.tolist()

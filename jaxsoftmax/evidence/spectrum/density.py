"""Spectral density by stochastic Lanczos quadrature: how many eigenvalues lie where, without an eigenvalue.

For a random unit vector v the measure with mass (vᵀu_i)² at λ_i has expectation (1/n) Σ_i δ(λ_i). A Lanczos chain of m
steps from v replaces it by m nodes with weights that integrate every polynomial of degree 2m − 1 exactly (Gauss
quadrature); several chains are averaged. All nodes lie between the extreme eigenvalues.

Source: Lin, Saad and Yang, Approximating spectral densities of large matrices, SIAM Review 58 (2016).

Guarded by `tests/evidence/spectrum/test_matrix_free.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxsoftmax.linalg.lanczos import Chains, ritz
from jaxsoftmax.reporting.json_values import json_ready

WIDTH = 0.15  # decades, of the bells that smooth the density for plots
POINTS = 200  # of its grid


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class SpectralDensity:
    """The distribution of the eigenvalues outside the null space, weights summing to 1.

    Attributes:
        nodes: (k,) ascending.
        weights: (k,) ≥ 0, sum 1.
        grid: (g,) logarithmic grid over the positive nodes, for plots.
        density: (g,) mass per unit of log₁₀ λ, smoothed by a Gaussian of width `width` decades.
        width: decades.

    Example:
        >>> import numpy as np
        >>> from jaxsoftmax.linalg.lanczos import lanczos
        >>> from jaxsoftmax.evidence.spectrum.density import density_of_chains
        >>> A = np.diag(np.repeat([1.0, 10.0], [30, 10]))
        >>> start = np.random.default_rng(0).choice([-1.0, 1.0], size=(40, 4))
        >>> found = density_of_chains(lanczos(lambda V: A @ V, start, 2))
        >>> print(round(found.moment(1), 9), round(found.mass_below(5.0), 9))
        3.25 0.75
    """

    nodes: Any
    weights: Any
    grid: Any
    density: Any
    width: Any

    def moment(self, power: int) -> float:
        """Σ weights nodesᵖ: an estimate of the mean of λᵖ over the eigenvalues λ."""
        return float(np.sum(self.weights * self.nodes**power))

    def mass_below(self, value: float) -> float:
        """The part of the eigenvalues at most `value`, an estimate."""
        return float(np.sum(self.weights[self.nodes <= value]))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: nodes, weights, grid, density, width."""
        return json_ready({name: getattr(self, name) for name in ("nodes", "weights", "grid", "density", "width")})


def density_of_chains(chains: Chains) -> SpectralDensity:
    """The average of the chains' Gauss quadratures, and its smoothed density on a logarithmic grid."""
    parts = [ritz(chains, j) for j in range(len(chains.alpha))]
    nodes = np.concatenate([part.values for part in parts])
    weights = np.concatenate([part.weights for part in parts]) / len(parts)
    return _smoothed(nodes, weights)


def density_of_values(values: np.ndarray) -> SpectralDensity | None:
    """The same of all eigenvalues off the kernel, equally weighted; None when there are none."""
    if not len(values):
        return None
    return _smoothed(values, np.full(len(values), 1 / len(values)))


def _smoothed(nodes: np.ndarray, weights: np.ndarray) -> SpectralDensity:
    order = np.argsort(nodes)
    nodes, weights = nodes[order], weights[order]
    positive = nodes > 0
    if not positive.any():
        return SpectralDensity(nodes, weights, np.zeros(0), np.zeros(0), WIDTH)
    logs = np.log10(nodes[positive])
    grid = np.linspace(logs.min() - 3 * WIDTH, logs.max() + 3 * WIDTH, POINTS)
    bells = np.exp(-(((grid[:, None] - logs[None, :]) / WIDTH) ** 2) / 2) / (WIDTH * np.sqrt(2 * np.pi))
    return SpectralDensity(nodes, weights, 10.0**grid, bells @ weights[positive], WIDTH)

"""Coordinates of the weights that the data identify, and which coefficients those are (S6, S22).

One class's weights are 0 (the gauge, S3), columns are scaled by powers of two, and where the samples leave directions
free (rank R < D; a face of separated data, S11) the coordinates are orthonormal in what they do not leave free.

Guarded by `tests/uncertainty/test_inference.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxsoftmax.calculus.loss.null_space import orthogonal_complement, row_space
from jaxsoftmax.calculus.loss.projected_solve import feature_scale
from jaxsoftmax.uncertainty.likelihood import Likelihood

__all__ = ["Coordinates", "face_coordinates", "full_coordinates"]

_EPS = float(np.finfo(np.float64).eps)


class Coordinates(NamedTuple):
    """θ, r numbers, with the weights V = `weights(θ)` in the columns of a `Likelihood`.

    Attributes:
        C: number of classes.
        base: the class whose weights are 0.
        scale: (D,) powers of two.
        basis: ((C−1)·D, r) orthonormal columns, or None for the identity.
        tolerance: a functional's part outside the basis that rounding can have made, relative to its length.
        rank: the rank R of the samples.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.uncertainty.coordinates import full_coordinates
        >>> from jaxsoftmax.uncertainty.likelihood import likelihood_of
        >>> twice = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [1.0, 1.0]])  # one feature, given twice
        >>> space = full_coordinates(likelihood_of(js.Problem.from_labels(twice, [0, 1, 0, 0])))
        >>> space.size, space.rank, space.seen(np.ones((1, 2)) * [[-1, 1]], np.eye(3)).tolist()
        (2, 2, [False, False, True])
    """

    C: int
    base: int
    scale: np.ndarray
    basis: np.ndarray | None
    tolerance: float
    rank: int

    @property
    def others(self) -> np.ndarray:
        """The classes whose weights are free."""
        return np.delete(np.arange(self.C), self.base)

    @property
    def size(self) -> int:
        """How many numbers θ has."""
        return (self.C - 1) * len(self.scale) if self.basis is None else self.basis.shape[1]

    def weights(self, theta: np.ndarray) -> np.ndarray:
        """(C, D) from θ."""
        flat = theta if self.basis is None else self.basis @ theta
        V = np.zeros((self.C, len(self.scale)))
        V[self.others] = flat.reshape(-1, len(self.scale)) / self.scale
        return V

    def of(self, V: np.ndarray) -> np.ndarray:
        """θ of weights (C, D): what the data see of them."""
        flat = ((V - V[self.base])[self.others] * self.scale).reshape(-1)
        return flat if self.basis is None else self.basis.T @ flat

    def pull(self, functionals: np.ndarray) -> np.ndarray:
        """Linear functionals on weights (m, C, D), blind to the gauge, as functionals on θ (m, r)."""
        flat = (functionals[:, self.others] / self.scale).reshape(len(functionals), -1)
        return flat if self.basis is None else flat @ self.basis

    def pull_product(self, classes: np.ndarray, features: np.ndarray) -> np.ndarray:
        """The same for the products of (K, C) and (F, D) functionals: (K·F, r), row-major."""
        flat = np.kron(classes[:, self.others], features / self.scale)
        return flat if self.basis is None else flat @ self.basis

    def seen(self, classes: np.ndarray, features: np.ndarray) -> np.ndarray:
        """(K·F,) bool: which of these products the data identify, all directions left free being invisible to them."""
        flat = np.kron(classes[:, self.others], features / self.scale)
        if self.basis is None:
            return np.ones(len(flat), bool)
        outside = np.linalg.norm(flat - (flat @ self.basis) @ self.basis.T, axis=1)
        return outside <= self.tolerance * np.linalg.norm(flat, axis=1)

    def reduce(self, H: np.ndarray) -> np.ndarray:
        """A Hessian of the weights that are free ((C − 1)·D, (C − 1)·D), in these coordinates (r, r)."""
        unit = np.tile(self.scale, self.C - 1)
        inner = H / unit / unit[:, None]
        return inner if self.basis is None else self.basis.T @ inner @ self.basis


def _base(data: Likelihood) -> int:
    """The class seen most often: what all others share with it is then known best."""
    return int(np.argmax(data.s @ data.T))


def full_coordinates(data: Likelihood) -> Coordinates:
    """Coordinates of everything but the null space of S6."""
    found, scale, C = row_space(data.problem), np.asarray(feature_scale(data.problem)), data.T.shape[1]
    if found.rank == len(scale):
        return Coordinates(C, _base(data), scale, None, 0.0, found.rank)
    null = np.linalg.qr(scale[:, None] * found.null)[0]
    basis = np.kron(np.eye(C - 1), orthogonal_complement(null))
    # What a singular value counted as zero, or rounded, turns the null space by.
    tolerance = min(max(data.X.shape) * _EPS * found.condition, 1e-3)
    return Coordinates(C, _base(data), scale, basis, tolerance, found.rank)


def face_coordinates(data: Likelihood, mask: np.ndarray) -> Coordinates:
    """Coordinates of what is determined on a face, where row n's sum runs over the classes of mask_n alone (S11).

    The face's loss is constant along V exactly if V x_n is constant on mask_n for every n.
    """
    scale, C = np.asarray(feature_scale(data.problem)), data.T.shape[1]
    base, X = _base(data), data.X / scale
    n, c = np.nonzero(mask)
    first = mask.argmax(axis=1)[n]
    n, c, first = n[c != first], c[c != first], first[c != first]
    rows = np.zeros((len(n), C, len(scale)))
    rows[np.arange(len(n)), c] = X[n]
    rows[np.arange(len(n)), first] -= X[n]
    width = (C - 1) * len(scale)
    flat = np.delete(rows, base, axis=1).reshape(len(n), width)
    if len(n) > width:
        flat = np.asarray(np.linalg.qr(flat, mode="r"))
    sigma, Vt = np.linalg.svd(flat)[1:] if len(n) else (np.zeros(0), np.eye(width))
    limit = max(len(n), width) * _EPS * (sigma[0] if len(sigma) else 0.0)
    r = int((sigma > limit).sum())
    tolerance = min(max(len(n), width) * _EPS * (sigma[0] / sigma[r - 1] if r else 1.0), 1e-3)
    return Coordinates(C, base, scale, Vt[:r].T, tolerance, row_space(data.problem).rank)

"""`laplace`: the Gaussian approximation of the weights' posterior at a minimiser, and its predictions (S22).

With exp(−L) as likelihood times prior (an L2 penalty is a normal prior, no penalty a flat one) the posterior near the
minimiser W* is normal with the covariance H(W*)⁺ on the complement of the null space (S6): along the null space no
probability changes. The logits of a sample x are then normal with mean W* x and covariance (I ⊗ xᵀ) H⁺ (I ⊗ x), and a
prediction is the mean of their softmax.

Guarded by `tests/uncertainty/test_laplace.py`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.calculus.loss.hessian import DENSE_LIMIT, hessian
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.calculus.loss.objective import loss
from jaxsoftmax.problem.arrays import float64_blocks
from jaxsoftmax.problem.new_samples import new_samples
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.reporting.blocks import Document, Facts, Title
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, positive_int, random_generator, refuse_sparse, require_concrete, show
from jaxsoftmax.support.visible import shortened
from jaxsoftmax.training.columns import Columns, exactly_in_columns, working_columns
from jaxsoftmax.training.loop.stopping import gradient_scale, loss_rounding
from jaxsoftmax.training.result import Fit

__all__ = ["Laplace", "laplace"]

_NUMBERS = 2**22  # of drawn logits that are held at once


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Laplace(Report):
    """What `laplace` returns: a normal distribution of the weights.

    Attributes:
        fit: whose weights W* are the mean.
        covariance: (C·D, C·D) H⁺ (row-major vec) in `columns`: where these are not the columns given, only differences
            of logits are the same in both.
        columns: the columns that the training worked in: far offsets and odd units taken out.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.arange(8.0)[:, None], [0, 0, 1, 0, 1, 0, 1, 1])
        >>> posterior = js.laplace(problem, js.fit(problem))
        >>> far = posterior.probabilities([[20.0]])  # less certain than the fit, the more so far from the data
        >>> bool(far[0, 1] < posterior.fit.probabilities([[20.0]])[0, 1])
        True
    """

    fit: Fit
    covariance: np.ndarray
    columns: Columns

    def logit_covariance(self, X: Any) -> np.ndarray:
        """(N, C, C) the covariance of the logits of new samples, X as for `Fit.logits`."""
        C, D = self.fit.W.shape
        H = self.covariance.reshape(C, D, C, D)
        parts = [np.einsum("nd,adbe,ne->nab", u, H, u, optimize=True) for u in self._inner(X)]
        return np.concatenate(parts) if parts else np.zeros((0, C, C))

    def probabilities(self, X: Any, *, samples: int = 1000, key: Any = None) -> np.ndarray:
        """(N, C) the mean of the softmax over the distribution of the logits, by `samples` draws of each sample's.

        Draws come in pairs ±ε, and the same ε serve every sample. The standard error of a mean is at most 0.5/√pairs,
        which is 0.71/√samples.

        Args:
            X: as for `Fit.logits`.
            samples: how many draws, at least 2.
            key: a JAX random key; `jax.random.key(0)` when None.
        """
        from scipy.special import softmax

        half = -(-positive_int("samples", samples) // 2)
        C = len(self.fit.W)
        noise = random_generator(key).standard_normal((half, C))
        mean, covariance = self.fit.logits(X), self.logit_covariance(X)
        values, vectors = np.linalg.eigh(covariance)
        roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        out = np.empty_like(mean)
        many = max(1, _NUMBERS // (half * C))
        for start in range(0, len(mean), many):
            rows = slice(start, start + many)
            moved = np.einsum("nij,sj->nsi", roots[rows], noise)
            middle = mean[rows, None, :]
            both = softmax(middle + moved, axis=2).sum(axis=1) + softmax(middle - moved, axis=2).sum(axis=1)
            out[rows] = both / (2 * half)
        return out

    def _inner(self, X: Any) -> Any:
        names, width = self.fit.feature_names, self.fit.coef.shape[1]
        given = new_samples(X, None if names is None else names[:width], width)
        return (self.columns.block(block, self.fit.W.shape[1]) for _, block in float64_blocks(given))

    def plot(self, *, most: int = 30, ax: Any = None) -> Any:
        """Draw the weights in `columns` with 95 % intervals (`js.plots.plot_intervals`), at most `most` of them."""
        from jaxsoftmax.plots.intervals import plot_intervals

        mean = self.columns.inward(self.fit.W)
        mean = (mean - mean.mean(axis=0)).ravel()  # what all classes share changes no probability (S3)
        C, D = self.fit.W.shape
        P = np.eye(C) - 1 / C  # with a penalty the shared part has a variance of its own: it goes too
        S = np.einsum("cdbd->dcb", self.covariance.reshape(C, D, C, D))
        variance = np.einsum("ac,dcb,ab->ad", P, S, P, optimize=True).ravel()
        reach = 1.959963984540054 * np.sqrt(np.maximum(variance, 0.0))
        classes = range(len(self.fit.W)) if self.fit.classes is None else self.fit.classes
        features = self.fit.feature_names or [f"column {d}" for d in range(self.fit.W.shape[1])]
        names = [f"{shortened(feature)}, class {shortened(name)}" for name in classes for feature in features]
        ax = plot_intervals(names, mean, mean - reach, mean + reach, level=0.95, most=most, ax=ax)
        ax.set_xlabel("weight less its mean over the classes, with 95 % interval")
        return ax

    def document(self) -> Document:
        """Where it is centred and how wide it is."""
        widths = np.sqrt(np.diagonal(self.covariance))
        facts = [
            ("mean", f"the weights of the fit, {self.fit.W.shape}"),
            ("covariance", "the inverse of the Hessian there, off its null space (S6)"),
            ("standard deviations", f"{widths.min():.3g} to {widths.max():.3g}"),
        ]
        return [Title("Laplace: a normal distribution of the weights (S22)"), Facts(facts)]


def laplace(problem: Problem, fit: Fit) -> Laplace:
    r"""The Laplace approximation of the posterior of the weights at a minimiser (S22), float64 on the data as given.

    An L2 penalty of strength α is the prior :math:`w_{cd} \sim N(0, 1/\alpha)`; without a penalty the prior is flat.
    For the last layer of a network let X be the features that the layer before gives.

    Args:
        problem: the data, C·D at most 3000.
        fit: the result of `fit` for this problem, converged.

    Returns:
        A `Laplace`: `probabilities(X)` are the predictions, `logit_covariance(X)` says where they are uncertain.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do: a fit that has not converged, more
            weights than a dense Hessian may have.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> rng = np.random.default_rng(0)
        >>> features = np.tanh(rng.normal(size=(60, 4)) @ rng.normal(size=(4, 3)))  # a network's last hidden layer
        >>> problem = js.Problem.from_labels(features, rng.integers(3, size=60), regularizer=js.L2(1.0))
        >>> posterior = js.laplace(problem, js.fit(problem))
        >>> posterior.covariance.shape, posterior.probabilities(features[:2]).sum(axis=1).round(12).tolist()
        ((12, 12), [1.0, 1.0])

    Source: S4, S6, S22; MacKay (1992); for last layers Daxberger et al. (2021).
    """
    refuse_sparse(problem)
    if not isinstance(problem, Problem):
        raise WrongType("problem", f"got {show(problem)}", "give a jaxsoftmax.Problem, e.g. Problem.from_labels(X, y)")
    require_concrete(problem)
    if not isinstance(fit, Fit):
        raise WrongType("fit", f"got {show(fit)}, {kind_of(fit)}", "give the result of jaxsoftmax.fit(problem)")
    C, D = problem.C, problem.D
    if np.shape(fit.W) != (C, D):
        given = f"its weights have the shape {np.shape(fit.W)}, those of the problem (C, D) = {(C, D)}"
        raise WrongValue("fit", given, "give the fit of this problem")
    if not fit.converged:
        given = f"it ended {fit.status.name}, and a normal distribution needs a minimum"
        raise WrongValue("fit", given, "train further, or add a penalty: regularizer=jaxsoftmax.L2(1.0)")
    if C * D > DENSE_LIMIT:
        given = f"it has C·D = {C * D} weights, and the covariance would have {C * D}² entries"
        raise WrongValue("problem", given, f"choose fewer features: at most {DENSE_LIMIT} weights")
    columns = working_columns(problem)
    with jax.enable_x64(True):
        exact = exactly_in_columns(problem, columns)
        _refuse_another_loss(exact, jnp.asarray(columns.inward(fit.W)), fit)
        H, free = hessian(columns.inward(fit.W), exact), null_space(exact)
        unit = jnp.eye(C * D).reshape(C * D, C, D)
        inverse = np.asarray(jax.vmap(lambda B: H.solve(B, null_space=free))(unit)).reshape(C * D, C * D)
    return Laplace(fit, 0.5 * (inverse + inverse.T), columns)


def _refuse_another_loss(exact: Problem, V: jax.Array, fit: Fit) -> None:
    """Refuse a fit whose loss is not that of its weights here, to the rounding of either sum: it is of other data."""
    here, sizes = float(loss(V, exact)), gradient_scale(exact)
    rounding = 4 * float(loss_rounding(V, jnp.asarray(here), exact, sizes))
    shifted = 4 * np.finfo(np.float64).eps * float(np.abs(fit.W[:, -1]).max() * exact.sample_weight.sum())
    if not abs(here - fit.loss) <= rounding + shifted:
        given = f"its loss is {fit.loss:.12g}, and its weights have the loss {here:.12g} on this problem"
        raise WrongValue("fit", given, "give the fit of this problem")

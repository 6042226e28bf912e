"""The matrix-free probe: extreme eigenvalues, kernel and density of a symmetric operator from products alone (S5, S6).

The largest eigenvalue and the spectral density come from the same Lanczos chains; the smallest off the kernel from
block Davidson where a preconditioner is known, else from one long Lanczos chain; the kernel from products with random
members of the predicted one. A form vᵀHv that is negative by the operator's own accurate route refutes; everything else
is an estimate to the stated resolution.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxsoftmax.evidence.spectrum.density import SpectralDensity, density_of_chains
from jaxsoftmax.evidence.spectrum.report import Convexity
from jaxsoftmax.linalg.davidson import smallest_pairs
from jaxsoftmax.linalg.lanczos import Chains, lanczos, ritz

Apply = Callable[[np.ndarray], np.ndarray]

CHAINS = 8
CHAIN_STEPS = 30  # of each chain for the density; the largest eigenvalue needs fewer
LARGEST_RTOL = 1e-8  # wanted residual of the largest eigenvalue, relative: an upper limit for its relative error
LONGEST_CHAIN = 6000
BLOCK = 4
SMALLEST_RTOL = 1e-4
MEMBERS = 4


@dataclasses.dataclass(frozen=True)
class Scaled:
    """H in scaled coordinates, ΣuᵀHΣu: positivity may be resolved here where it is not in raw ones (Sylvester)."""

    apply: Apply
    project: Apply
    precondition: Apply
    resolution: float


@dataclasses.dataclass(frozen=True)
class ProbedOperator:
    """A symmetric operator on flat vectors of `size`, with what is known about it.

    Attributes:
        apply: (n, k) -> (n, k).
        project: the orthogonal projector on the complement of the predicted kernel.
        form: v -> vᵀHv by the most accurate route there is.
        resolution: λ_max -> absolute accuracy of eigenvalues found from products.
        kernel_dim: dimension of the predicted kernel.
        members: (n, k) unit vectors of the predicted kernel, None when it is {0}.
        member_noise: (k,) what rounding leaves of their forms.
        precondition: approximate inverse on the complement, or None.
        scaled: the same operator in better coordinates, or None.
    """

    size: int
    apply: Apply
    project: Apply
    form: Callable[[np.ndarray], float]
    resolution: Callable[[float], float]
    kernel_dim: int = 0
    members: np.ndarray | None = None
    member_noise: np.ndarray | None = None
    precondition: Apply | None = None
    scaled: Callable[[], Scaled] | None = None


class Found(NamedTuple):
    """What a probe, dense or matrix-free, found; see `ConvexityReport`."""

    verdict: Convexity
    reason: str
    lambda_min: float
    lambda_max: float
    kernel_dim: int
    resolution: float
    resolved: bool
    residual_min: float
    residual_max: float
    witness: np.ndarray | None
    low_vector: np.ndarray | None
    high_vector: np.ndarray | None
    density: SpectralDensity | None


class _Smallest(NamedTuple):
    value: float
    vector: np.ndarray
    residual: float
    near: int  # Ritz values within the resolution of 0 or below
    converged: bool


def probe_matrix_free(
    operator: ProbedOperator, rng: np.random.Generator, tell: Callable[[str], None], *, chains: int = CHAINS
) -> Found:
    """Whether the operator is, to its resolution, non-negative with the predicted kernel."""
    n, room = operator.size, operator.size - operator.kernel_dim
    found_members = _members(operator)
    if room == 0:
        return _nothing_off_the_kernel(operator, found_members, rng)
    tell("largest eigenvalue and density: Lanczos")
    start = operator.project(rng.standard_normal((n, min(chains, room))))

    def enough(done: Chains) -> bool:
        top = ritz(done, 0)
        settled = top.residuals[-1] <= LARGEST_RTOL * abs(top.values[-1])
        return done.alpha.shape[1] >= CHAIN_STEPS and bool(settled)

    runs = lanczos(operator.apply, start, min(room, 20 * CHAIN_STEPS), project=operator.project, enough=enough)
    tops = [ritz(runs, j) for j in range(len(runs.alpha))]
    best = int(np.argmax([top.values[-1] for top in tops]))
    high = _unit(runs.basis[best] @ tops[best].vectors[:, -1])
    product = operator.apply(high[:, None])[:, 0]
    top = float(high @ product)
    residual_max = float(np.linalg.norm(product - top * high))
    resolution = operator.resolution(max(abs(top), *(abs(t.values[0]) for t in tops)))
    tell(f"largest eigenvalue {top:.6g}, residual {residual_max:.1e}; smallest eigenvalue next")
    low = _smallest(operator, resolution, rng, tell)
    theta = operator.form(low.vector)
    if low.value < -resolution and theta > 0:
        theta_text = f"the smallest Ritz value is {low.value:.3g} < 0, but the curvature there is {theta:.3g}"
    else:
        theta_text = ""
    smallest = low.value if low.value < -resolution else theta

    def done(verdict: Convexity, reason: str, witness: np.ndarray | None = None, dim: int | None = None) -> Found:
        found = operator.kernel_dim + low.near - found_members.lost if dim is None else dim
        return Found(
            verdict, reason, smallest, top, found, resolution, resolved, low.residual, residual_max, witness,
            low.vector, high, density_of_chains(runs),
        )  # fmt: skip

    resolved = low.converged and theta > resolution
    if low.value < -resolution and theta < 0:
        return done(Convexity.REFUTED, f"The curvature along the witness is {theta:.3g} < 0.", low.vector)
    if found_members.witness is not None:
        text = f"The curvature along a member of the predicted null space is {found_members.lowest:.3g} < 0."
        return done(Convexity.REFUTED, text, found_members.witness)
    if theta_text:
        return done(Convexity.UNRESOLVED, f"The two ways to compute it disagree: {theta_text}.")
    if not low.converged:
        text = f"The iteration for the smallest eigenvalue had not settled at {theta:.3g}, residual {low.residual:.1e}."
        return done(Convexity.UNRESOLVED, text)
    how = ""
    if not resolved:
        ratio = _scaled_ratio(operator, rng, tell)
        if ratio > 0.5:
            text = f"The smallest eigenvalue outside the null space, {theta:.3g}, is below the resolution "
            return done(Convexity.UNRESOLVED, f"{text}{resolution:.3g}.")
        resolved, resolution, low = True, ratio * theta, low._replace(near=0)
        how = f" (found in features brought to like scale, with a relative error of {ratio:.1e})"
    if found_members.lost:
        text = f"H is not zero on {found_members.lost} of {found_members.tried} random members of the predicted "
        return done(Convexity.UNRESOLVED, f"{text}null space; the largest curvature is {found_members.largest:.3g}.")
    text = "No curvature is negative, and H is zero on random members of the predicted null space and nowhere else"
    return done(Convexity.CONSISTENT, f"{text}{how}.")


def _smallest(
    operator: ProbedOperator, resolution: float, rng: np.random.Generator, tell: Callable[[str], None]
) -> _Smallest:
    n, room = operator.size, operator.size - operator.kernel_dim
    if operator.precondition is not None:
        pairs = smallest_pairs(
            operator.apply,
            rng.standard_normal((n, min(BLOCK, room))),
            precondition=operator.precondition,
            project=operator.project,
            rtol=SMALLEST_RTOL,
            noise=resolution / 8,
            tell=tell,
        )
        vector, value = _unit(pairs.vectors[:, 0]), float(pairs.values[0])
        near = int(np.count_nonzero(np.abs(pairs.values) <= resolution))
        return _Smallest(value, vector, float(pairs.residuals[0]), near, pairs.converged)

    def settled(chains: Chains) -> bool:
        low = ritz(chains, 0)
        theta, error = low.values[0], low.residuals[0]
        gap = low.values[1] - theta if len(low.values) > 1 else 0.0
        if gap > error:
            error = error * error / gap
        tell(f"smallest eigenvalue: {chains.alpha.shape[1]} products, {theta:.6g}, estimated error {error:.1e}")
        return bool(error <= SMALLEST_RTOL * abs(theta) or low.residuals[0] <= resolution / 8)

    run = lanczos(
        operator.apply,
        operator.project(rng.standard_normal((n, 1))),
        min(room, LONGEST_CHAIN),
        project=operator.project,
        enough=settled,
        check_every=100,
    )
    low = ritz(run, 0)
    vector = _unit(run.basis[0] @ low.vectors[:, 0])
    ended = run.alpha.shape[1] == room or settled(run)
    near = int(np.count_nonzero(np.abs(low.values) <= resolution))
    return _Smallest(float(low.values[0]), vector, float(low.residuals[0]), near, ended)


def _scaled_ratio(operator: ProbedOperator, rng: np.random.Generator, tell: Callable[[str], None]) -> float:
    """The resolution over the smallest eigenvalue in scaled coordinates: how well forms are known, relative."""
    if operator.scaled is None:
        return math.inf
    tell("smallest eigenvalue in features of like scale")
    view = operator.scaled()
    pairs = smallest_pairs(
        view.apply,
        rng.standard_normal((operator.size, min(BLOCK, operator.size - operator.kernel_dim))),
        precondition=view.precondition,
        project=view.project,
        rtol=1e-2,
        noise=view.resolution / 8,
        tell=tell,
    )
    value = float(pairs.values[0])
    return view.resolution / value if pairs.converged and value > 0 else math.inf


class _Members(NamedTuple):
    tried: int
    lost: int
    largest: float
    lowest: float
    witness: np.ndarray | None


def _members(operator: ProbedOperator) -> _Members:
    """Which of the random members of the predicted kernel have a form beyond rounding, and of which sign."""
    V = operator.members
    if V is None or operator.member_noise is None or not V.shape[1]:
        return _Members(0, 0, 0.0, 0.0, None)
    forms = np.array([operator.form(V[:, j]) for j in range(V.shape[1])])
    outside = np.abs(forms) > operator.member_noise
    worst = int(np.argmin(forms))
    negative = forms[worst] < -operator.member_noise[worst]
    witness = V[:, worst] if negative else None
    return _Members(len(forms), int(outside.sum()), float(np.abs(forms).max()), float(forms[worst]), witness)


def _nothing_off_the_kernel(operator: ProbedOperator, members: _Members, rng: np.random.Generator) -> Found:
    zero = members.lost == 0
    verdict = Convexity.CONSISTENT if zero else Convexity.UNRESOLVED
    reason = (
        "H is zero, as predicted." if zero else f"H was predicted to be zero; a curvature is {members.largest:.3g}."
    )
    if members.witness is not None:
        verdict, reason = Convexity.REFUTED, f"The curvature along the witness is {members.lowest:.3g} < 0."
    dim, top = operator.kernel_dim - members.lost, members.largest if not zero else 0.0
    return Found(
        verdict, reason, math.nan, top, dim, operator.resolution(top), True, 0.0, 0.0, members.witness, None, None, None
    )


def _unit(v: np.ndarray) -> np.ndarray:
    return v / np.linalg.norm(v)

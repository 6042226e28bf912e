"""S6, S19: the class-block factors are the inverse of H's diagonal blocks on 𝒦⊥, whatever the rank and the units."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases, twins
from jaxsoftmax.evidence.spectrum import preconditioner
from jaxsoftmax.evidence.spectrum.preconditioner import class_block_preconditioner

PLAIN = cases.Case("blocks", 9, 4, 3, intercept=True)
DEFICIENT = cases.Case("deficient blocks", 9, 4, 3, intercept=True, deficient=True)
BOTH = cases.Case("penalised blocks", 9, 4, 3, intercept=True, alpha=0.5, gamma=0.75, deficient=True)


@pytest.mark.slow
def test_it_inverts_the_diagonal_blocks_between_projections():
    """P blockdiag(H_cc)⁺ P with P the projector on 𝒦⊥, from the dense twin; cond(block)·n·eps·10 allowed."""
    for case in (PLAIN, DEFICIENT, BOTH):
        with jax.enable_x64(True):
            problem = cases.problem(case, "float64")
            W = cases.directions(case, "float64")[0]
            kern = js.null_space(problem)
            made = class_block_preconditioner(js.hessian(W, problem), kern)
            complement = kern.complement_basis()
        C, D = W.shape
        H = twins.hessian(W, cases.data(case, problem))
        blocks = np.zeros_like(H)
        for c in range(C):
            part = slice(c * D, (c + 1) * D)
            blocks[part, part] = np.linalg.pinv(H[part, part], rcond=1e-10, hermitian=True)
        P = complement @ complement.T
        expected = P @ blocks @ P
        R = np.random.default_rng(0).normal(size=(C * D, 5))
        allowed = 10 * C * D * twins.EPS64 * np.linalg.norm(blocks, 2) ** 2 * np.linalg.norm(H, 2)
        np.testing.assert_allclose(made(R), expected @ R, rtol=0, atol=allowed * np.abs(R).sum(axis=0).max())
        np.testing.assert_allclose(made.project(R), P @ R, rtol=0, atol=100 * twins.EPS64)


def test_many_classes_share_the_Gram_factor(monkeypatch):
    """S19: beyond the limit of memory every class has the factor of ½ XᵀSX."""
    monkeypatch.setattr(preconditioner, "MOST_ENTRIES", 0)
    with jax.enable_x64(True):
        problem = cases.problem(PLAIN, "float64")
        W = cases.directions(PLAIN, "float64")[0]
        made = class_block_preconditioner(js.hessian(W, problem), js.null_space(problem))
    X, s = np.asarray(problem.X), np.asarray(problem.sample_weight)
    inverse = np.linalg.inv((X * s[:, None]).T @ X / 2)
    V = np.random.default_rng(0).normal(size=(3, 4))
    V -= V.mean(axis=0)
    allowed = 1e3 * twins.EPS64 * np.linalg.norm(inverse) * np.linalg.cond(inverse)
    np.testing.assert_allclose(made(V.reshape(-1, 1)).reshape(3, 4), V @ inverse, rtol=0, atol=allowed)


def test_scaled_coordinates_are_a_congruence():
    """The kernel in scaled features is 𝒦Σ, and scales of the data come back out."""
    units = 2.0 ** np.array([20, -9, 3])
    X, T, s = cases.arrays(DEFICIENT)
    with jax.enable_x64(True):
        problem = js.Problem(X * units, T, intercept=True, sample_weight=s)
        W = np.zeros((3, 4))
        kern, H = js.null_space(problem), js.hessian(W, problem)
        made = class_block_preconditioner(H, kern)
        dense = np.asarray(H.to_dense())
    scale = np.tile(made.projectors.scale, 3)
    scaled = dense / scale[:, None] / scale
    members = kern.basis() * scale[:, None]
    members /= np.linalg.norm(members, axis=0)
    # Entries of the scaled matrix are of order its trace; a product of 12 terms each.
    assert np.abs(scaled @ members).max() < 1e3 * twins.EPS64 * np.trace(scaled)
    assert np.abs(made.project_scaled(members)).max() < 1e3 * twins.EPS64
    V = np.random.default_rng(1).normal(size=(12, 2))
    assert np.array_equal(made.unscale(V), V / scale[:, None])
    np.testing.assert_allclose(
        made.scaled(V),
        made.project_scaled(made.scaled(V)),
        rtol=0,
        atol=1e3 * twins.EPS64 * np.abs(made.scaled(V)).max(),
    )

"""S7d: the (D, D) matrix of two classes entry by entry, its eigenvalues beside those of H, all against 40 digits."""

import mpmath
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import cases, twins
from jaxsoftmax.calculus.bounds.two_classes import two_class_hessian

CASES = (
    cases.Case("plain", 7, 3, 2),
    cases.Case("deficient", 9, 4, 2, targets="one-hot", intercept=True, deficient=True),
    cases.Case("l2 beside a free intercept", 5, 3, 2, intercept=True, alpha=0.75),
    cases.Case("both", 4, 3, 2, alpha=0.5, gamma=-1.25),
)
EPS = twins.EPS64
DIGITS = 40


def pair(data, W, n):
    """y₁y₂ of sample n from the definition of softmax, in mpmath."""
    z = [mpmath.fsum(mpmath.mpf(w) * mpmath.mpf(x) for w, x in zip(row, data.X[n], strict=True)) for row in W]
    e = [mpmath.exp(value) for value in z]
    return e[0] * e[1] / (e[0] + e[1]) ** 2


def twin(data, W):
    """Entry (d, e) of G = Σ_n 2 s_n y_n1 y_n2 x_nd x_ne + α on the penalised columns."""
    mask, data = twins.l2_mask(data), twins.with_extra_samples(data)
    N, D, _ = data.shape
    pairs = [pair(data, W, n) for n in range(N)]
    G = mpmath.matrix(D, D)
    for d in range(D):
        for e in range(D):
            G[d, e] = mpmath.fsum(
                2 * mpmath.mpf(data.s[n]) * pairs[n] * mpmath.mpf(data.X[n, d]) * mpmath.mpf(data.X[n, e])
                for n in range(N)
            ) + (mpmath.mpf(data.alpha) * mask[d] if d == e else 0)
    return G


def whole_hessian(data, W):
    """S4's H = Σ_n s_n S(y_n) ⊗ x_n x_nᵀ + α, (2D, 2D): S(y) = y₁y₂ [[1, −1], [−1, 1]]."""
    mask, data = twins.l2_mask(data), twins.with_extra_samples(data)
    N, D, _ = data.shape
    H = mpmath.matrix(2 * D, 2 * D)
    for n in range(N):
        p = mpmath.mpf(data.s[n]) * pair(data, W, n)
        for i in range(2 * D):
            for j in range(2 * D):
                sign = 1 if i // D == j // D else -1
                H[i, j] += sign * p * mpmath.mpf(data.X[n, i % D]) * mpmath.mpf(data.X[n, j % D])
    for i in range(2 * D):
        H[i, i] += mpmath.mpf(data.alpha) * mask[i % D]
    return H


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_entry_and_every_eigenvalue(x64, case):
    """S7d, S21 a, d: entries to rounding; at 40 digits H has the eigenvalues of G, and on the gauge those of the L2.

    Rounding of an entry: `twins.rounding` of the terms 2 s y₁ y₂ |x_d x_e|, degree 2. Weyl: an eigenvalue moves by no
    more than the norm of the error, and `eigvalsh` by D eps ‖G‖.
    """
    problem, W = cases.problem(case, "float64"), cases.directions(case, "float64")[0]
    data = cases.data(case, problem)
    found = two_class_hessian(W, problem)
    with mpmath.workdps(DIGITS):
        exact, H = twin(data, W), whole_hessian(data, W)
        values = sorted(mpmath.eigsy(exact, eigvals_only=True))
        D = case.D
        gauge = [mpmath.mpf(data.alpha) * m for m in twins.l2_mask(data)]
        both = sorted([*values, *gauge])
        least = mpmath.mpf(10) ** (-DIGITS + 8) * values[-1]
        for mine, theirs in zip(both, sorted(mpmath.eigsy(H, eigvals_only=True)), strict=True):
            assert abs(mine - theirs) <= least
        G = np.array([[float(exact[d, e]) for e in range(D)] for d in range(D)])
        reference = np.array([float(value) for value in values])
    e = twins.with_extra_samples(data)
    weights = [2 * s * float(pair(e, W, n)) for n, s in enumerate(e.s)]
    terms = np.stack([w * np.abs(np.outer(x, x)) for w, x in zip(weights, e.X, strict=True)])
    allowed = twins.rounding(W, data, EPS, terms, 2, products=0) + 2 * EPS * data.alpha * np.eye(D)
    assert np.all(np.abs(found - G) <= allowed)
    error = np.linalg.norm(allowed) + D * EPS * reference[-1]
    assert np.abs(np.linalg.eigvalsh(found) - reference).max() <= error
    # The condition of S7d, of which cond⁺²/(4 min y₁y₂) is a bound.
    rank = D - len([value for value in reference if value <= error])
    assert rank == (D - 2 if case.deficient else D)
    condition = reference[-1] / reference[D - rank]
    if not problem.regularizer:
        assert condition <= js.condition_bound_two_classes(W, problem) * (1 + 1e-9)


def test_a_dominating_class_keeps_its_digits(x64):
    """S7d: y₁y₂ = e^−d/(1 + e^−d)² to a few eps where y₁ rounds to 1, either way round; 2 eps·d from d itself."""
    problem = js.Problem([[1.0]], [[0.5, 0.5]])
    for d in (40.0, 600.0):
        with mpmath.workdps(DIGITS):
            exact = 2 * mpmath.exp(-d) / (1 + mpmath.exp(-d)) ** 2
        for W in ([[d], [0.0]], [[0.0], [d]]):
            assert abs(two_class_hessian(np.array(W), problem)[0, 0] / float(exact) - 1) <= 10 * EPS


def test_it_refuses_what_s7d_is_not_about(x64):
    three = js.Problem([[1.0]], [[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match="problem: has 3 classes"):
        two_class_hessian(np.zeros((3, 1)), three)
    curved = js.Problem([[1.0]], [[0.5, 0.5]], regularizer=js.LogCosh(0.1, 2.0))
    with pytest.raises(ValueError, match="log-cosh"):
        two_class_hessian(np.zeros((2, 1)), curved)

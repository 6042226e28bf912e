"""S7: singular-value bounds are sound and tight where columns are dependent, in other units, or nearly dependent.

The last tests build, for each term of an enclosure, data on which it is needed: without the term they fail.
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxsoftmax.linalg import enclosures
from jaxsoftmax.linalg.enclosures import (
    DOWN,
    UP,
    gamma,
    largest_singular_value_bound,
    nonzero_singular_value_bounds,
    normal_or_zero,
    smallest_singular_value_bound,
    symmetric_eigenvalue_bounds,
)
from jaxsoftmax.linalg.exact_rank import _is_combination, dependent_columns, merged_columns

SEEDS = st.integers(0, 2**32 - 1)


def exact_rank(X):
    """The rank over the rationals by Gaussian elimination in fractions."""
    rows = [[Fraction(x) for x in row] for row in X.tolist()]
    rank = 0
    for column in range(X.shape[1]):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] / rows[rank][column]
            rows[i] = [x - factor * y for x, y in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def eigenvalues_below(X, s, value):
    """How many eigenvalues of Xᵀ diag(s) X are below value², exactly: Sylvester's law, pivots in fractions."""
    x = [[Fraction(v) for v in row] for row in X.tolist()]
    D = X.shape[1]
    M = [
        [
            sum((Fraction(w) * row[i] * row[j] for w, row in zip(s.tolist(), x, strict=True)), Fraction(0))
            for j in range(D)
        ]
        for i in range(D)
    ]
    for i in range(D):
        M[i][i] -= Fraction(value) ** 2
    negative = 0
    for k in range(D):
        negative += M[k][k] < 0
        for i in range(k + 1, D):
            factor = M[i][k] / M[k][k]
            M[i] = [p - factor * q for p, q in zip(M[i], M[k], strict=True)]
    return negative


@given(seed=SEEDS, kind=st.sampled_from(["full", "copies", "combinations", "units", "both"]))
def test_bounds_enclose_the_exact_nonzero_singular_values(seed, kind):
    """S7: below the exact σ_min⁺ (rationals) and close to it, whatever depends on what."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-8, 9, size=(9, 4)).astype(float) / 4
    X[:4] += 4 * np.eye(4)  # well conditioned: what is tested is dependence and units
    if kind in ("copies", "both"):
        X = np.column_stack([X, 3 * X[:, 0], X[:, 1] / 4, -5 * X[:, 0]])
    if kind in ("combinations", "both"):
        X = np.column_stack([X, X[:, 2] - 2 * X[:, 3], X[:, 0] + X[:, 1] + X[:, 2]])
    if kind in ("units", "both"):
        X = X * 2.0 ** rng.integers(-10, 11, size=X.shape[1])
    s = rng.integers(1, 9, size=9) / 4.0
    low, high, full = nonzero_singular_value_bounds(X, s)
    zeros = X.shape[1] - exact_rank(X)
    assert low > 0
    assert eigenvalues_below(X, s, low) == zeros
    if kind in ("full", "copies", "units"):  # dropping columns loses what they added: no tightness is claimed then
        # The residual of the inverse is γ_{D+4} times condition (< 1e3 here) times the ratio of the units, <= 2^20.
        loose = 20 * 2.0**-53 * 1e3 * (2.0**20 if kind == "units" else 8.0)
        assert eigenvalues_below(X, s, low * (1 + loose)) > zeros
    assert full == (zeros == 0)
    top = np.linalg.svd(np.sqrt(s)[:, None] * X, compute_uv=False)[0]
    assert top * (1 - 1e-14) <= high <= top * (1 + 1e-12)
    assert smallest_singular_value_bound(X, s) == low
    assert largest_singular_value_bound(X, s) == pytest.approx(top, rel=1e-12)
    assert largest_singular_value_bound(X, s) >= top * (1 - 1e-14)


def test_nearly_dependent_columns_are_not_called_dependent():
    """One unit in the last place off: exact arithmetic says no, and no bound is proved rather than a wrong one."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(12, 3))
    copy, combination = 2 * X[:, 0], X[:, 0] + X[:, 1]
    copy[5] = np.nextafter(copy[5], 9)
    combination[7] = np.nextafter(combination[7], 9)
    for extra in (copy, combination):
        near = np.column_stack([X, extra])
        assert merged_columns(near)[0].shape == near.shape
        assert len(dependent_columns(near, near.T @ near)) == 0
        low, high, full = nonzero_singular_value_bounds(near, np.ones(12))
        assert low == 0.0 and not full  # four columns, none dropped: the rank is full, and not proved to be
        assert high == largest_singular_value_bound(near, np.ones(12))


def test_merged_columns_keep_the_product_with_the_transpose():
    """X Xᵀ is unchanged: representatives·g·representativesᵀ, g = 1 + Σc², in exact arithmetic for dyadic factors."""
    rng = np.random.default_rng(4)
    a, b = rng.integers(-4, 5, size=(2, 6)).astype(float)
    X = np.column_stack([a, b, 2 * a, -a / 2, b])
    kept, weight = merged_columns(X)
    assert kept.shape == (6, 2)
    np.testing.assert_allclose((kept * weight**2) @ kept.T, X @ X.T, rtol=1e-14, atol=1e-13)
    assert merged_columns(np.eye(3))[0].shape == (3, 3)


def test_a_dependence_among_few_samples_is_found_among_many_columns():
    """As in image data: three columns that only two samples have."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 12))
    X[:, 9:] = 0
    X[[3, 8], 9:] = [[1.0, 2.0, 0.0], [0.25, 0.0, 0.75]]
    dropped = dependent_columns(X, X.T @ X)
    assert len(dropped) == 1
    assert dropped[0] >= 9
    low, _, full = nonzero_singular_value_bounds(X, np.ones(60))
    sigma = np.linalg.svd(X, compute_uv=False)
    assert not full
    assert 0 < low <= sigma[10] * (1 + 1e-14)
    assert low >= sigma[10] / 4


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 0.45, 0.55, 0.95])
def test_a_long_column_of_equal_entries_is_enclosed(value):
    """S7a: equal terms round the same way again and again, ±600 u of a sum of 10^5 of them: γ grows with N."""
    N = 10**5
    low, high, full = nonzero_singular_value_bounds(np.full((N, 1), value), np.ones(N))
    assert full
    assert Fraction(low) ** 2 <= N * Fraction(value) ** 2 <= Fraction(high) ** 2


def test_the_error_of_a_gram_matrix_is_reached_by_a_sum_in_sequence():
    """S7: after 1 each square, a little below u, is lost: N - 1 of N terms, and γ_(N+12) is hardly more."""
    N = 1000
    A = np.full((N, 1), np.sqrt(2.0**-53) * (1 - 2.0**-50))
    A[0] = 1
    lost = sum((Fraction(a) ** 2 for a in A[:, 0].tolist()), Fraction(0)) - Fraction(np.cumsum(A * A)[-1])
    for error in (enclosures._gram_error(A), enclosures._gram_error(A.T)):
        assert lost <= error <= 1.1 * lost
    small = np.full((N, 1), 2.0**-600)  # every square is flushed to 0
    assert N * Fraction(2) ** -1200 <= Fraction(enclosures._gram_error(small))


@pytest.mark.parametrize("value", [0.1, 0.7])
def test_what_the_gram_matrix_loses_is_taken_off(value):
    """S7: columns a and a(1 ± d): λ_min is d² of λ_max, and the Gram matrix is wrong by some u; exact count."""
    N = 512
    a, sign, s = np.full(N, value), np.where(np.arange(N) % 2, 1.0, -1.0), np.ones(N)
    for d in 10.0 ** np.linspace(-5.6, -5.2, 3):
        X = np.column_stack([a, a * (1 + d * sign)])
        low = smallest_singular_value_bound(X, s)
        assert low > 0 and eigenvalues_below(X, s, low) == 0
        # (1 − e/m) with e = 2·524 u for the two columns of norm near 1, and m about d²/2: at most a third is lost.
        assert eigenvalues_below(X, s, 2 * low) == 1


def test_the_weight_of_merged_columns_is_rounded_outwards():
    """`merged_columns` knows √g within 3u, and the product with a power of two given back is rounded too."""
    u = 2.0**-53
    for scale in (0, 3, -40):
        assert enclosures._outward(1.0, scale, DOWN) <= (1 - 4 * u) * 2.0**scale
        assert enclosures._outward(1.0, scale, UP) >= (1 + 4 * u) * 2.0**scale
    for c in np.random.default_rng(6).uniform(0.1, 1, 50):
        kept, weight = merged_columns(np.array([[1.0, c], [2.0, 2 * c]]))
        exact = 1 + Fraction(c) ** 2
        assert kept.shape == (2, 1)
        assert exact * (1 - Fraction(4 * u)) ** 2 <= Fraction(weight[0]) ** 2 <= exact * (1 + Fraction(4 * u)) ** 2


def claimed(monkeypatch, M, values, V):
    """What `symmetric_eigenvalue_bounds` says of M where LAPACK returns these values and vectors."""
    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "eigh", lambda _: (np.array(values), np.array(V)))
        return symmetric_eigenvalue_bounds(np.array(M))


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("value", "v"),
    [(1.9, 1.0), (2.1, 1.0), (2 / 1.21, 1.1), (2 / 0.81, 0.9)],
    ids=["value too small", "value too large", "vector too long", "vector too short"],
)
def test_eigenvalues_are_enclosed_whatever_lapack_returned(monkeypatch, sign, value, v):
    """M = V D Vᵀ + E: ‖E‖ where the value is wrong, δ where the vector's length is: one side is reached each time."""
    low, high = claimed(monkeypatch, [[2 * sign]], [value * sign], [[v]])
    assert low <= 2 * sign <= high
    assert min(high - 2 * sign, 2 * sign - low) <= 1e-14


def test_the_rounding_of_the_residual_is_counted(monkeypatch):
    """M = fl(−vvᵀ) leaves a computed residual of 0, while its larger eigenvalue is not 0 but −det M/‖v‖² or so."""
    worst = 0.0
    for c in np.linspace(0.5, 0.9, 200):
        v = np.array([c, np.sqrt(1 - c * c)])
        V = np.column_stack([v, [-v[1], v[0]]])
        M = (V * [-1.0, 0.0]) @ V.T
        _, high = claimed(monkeypatch, M, [-1.0, 0.0], V)
        (a, b), (_, d) = ([Fraction(x) for x in row] for row in M.tolist())
        # An eigenvalue above `high` has M − high not negative definite: its determinant would be negative.
        assert (a - Fraction(high)) * (d - Fraction(high)) - b * b >= 0 > a - Fraction(high)
        worst = max(worst, float((a * d - b * b) / (a + d)) / high)
    assert worst >= 0.05  # γ_6 for two roundings of entries near ½


def test_any_approximate_inverse_serves(monkeypatch):
    """1/λ ≥ (1 − ‖F‖)/λ_max(K): K = (1 ∓ t) I leaves F = ±t I, in Frobenius's norm √D t."""
    for t in (0.1, -0.1):
        with monkeypatch.context() as patch:
            patch.setattr(np.linalg, "inv", lambda G, t=t: (1 - t) * np.eye(len(G)))
            found = enclosures._from_scaled_gram(np.eye(2), np.array([0, 3]), 0.0)
        assert found <= 1
        assert found**2 == pytest.approx((1 - np.sqrt(2) * abs(t)) / (1 - t), rel=1e-12)
    with monkeypatch.context() as patch:  # what is not symmetric in K is no matter but through F
        patch.setattr(np.linalg, "inv", lambda G: np.array([[1.0, 0.1], [-0.1, 1.0]]))
        found = enclosures._from_scaled_gram(np.eye(2), np.zeros(2, int), 0.0)
    assert found**2 == pytest.approx(1 - 0.1 * np.sqrt(2), rel=1e-12)


def test_the_residual_of_an_inverse_is_weighed_in_the_columns_units(monkeypatch):
    """P F P⁻¹: an error of 2^-12 in the row of the larger column counts 2^10 times, 1/4."""
    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "inv", lambda G: np.array([[1.0, 0.0], [2.0**-12, 1.0]]))
        found = enclosures._from_scaled_gram(np.eye(2), np.array([0, 10]), 0.0)
    assert found**2 == pytest.approx(0.75, rel=1e-6)


def test_the_rounding_of_the_residual_of_an_inverse_is_counted(monkeypatch):
    """G K is computed to γ_D |G||K| only: an error t of the inverse along (1, −1) is lost in it while t is u/e or so.

    G has the eigenvalues e and 2 − e exactly; the bound may not exceed e for whatever inverse.
    """
    e = 2.0**-20
    G = np.array([[1.0, 1 - e], [1 - e, 1.0]])
    inverse, along = np.array([[1.0, e - 1], [e - 1, 1.0]]) / (e * (2 - e)), np.array([[1.0, -1.0], [-1.0, 1.0]]) / 2
    for t in np.linspace(0, 4, 81) * 2.0**-53 / e:
        with monkeypatch.context() as patch:
            patch.setattr(np.linalg, "inv", lambda _, t=t: inverse - t / e * along)
            found = enclosures._from_scaled_gram(G, np.zeros(2, int), 0.0)
        assert e * (1 - 1e-8) <= found**2
        assert Fraction(found) ** 2 <= Fraction(e)


def test_subnormal_numbers_are_lowered_to_zero():
    """Times DOWN a normal number falls by 4u or more, a subnormal one rounds back to itself: only 0 is below it."""
    tiny = 2.0**-1022
    for x in (5e-324, 3e-310, np.nextafter(tiny, 0), tiny, 3 * tiny, 1.0):
        found = Fraction(float(normal_or_zero(x)) * DOWN)
        assert found <= Fraction(x) * (1 - Fraction(4 * 2.0**-53))
        assert found >= Fraction(x) * (1 - Fraction(16 * 2.0**-53)) or x < tiny


@pytest.mark.parametrize("value", [0.1, 0.3, 1 / 3, 0.7, 0.9])
@pytest.mark.parametrize("n", [64, 150])
def test_the_rounding_of_a_residuals_norm_is_counted(monkeypatch, n, value):
    """M = c 11ᵀ, all of it residual: λ_max = n c, and a norm of n² equal squares errs by 20 u and more."""
    low, high = claimed(monkeypatch, np.full((n, n), value), np.zeros(n), np.eye(n))
    assert -low == high
    assert n * Fraction(value) <= Fraction(high) <= n * Fraction(value) * (1 + Fraction(2 * gamma(n * n)))


def test_vectors_without_a_rounding_of_their_own_have_the_allowance_of_any(monkeypatch):
    """V = I: δ is then γ_{n+2} n for VᵀV, and γ_{n+4} n stands for V D Vᵀ; the derivation's terms, each once."""
    for n in (1, 8, 50):
        low, high = claimed(monkeypatch, np.eye(n), np.ones(n), np.eye(n))
        allowed = n * (Fraction(gamma(n + 2)) + Fraction(gamma(n + 4)))
        for off in (Fraction(high) - 1, 1 - Fraction(low)):
            assert allowed <= off <= allowed + Fraction(16 * 2.0**-53)


def test_products_that_underflow_are_counted(monkeypatch):
    """4·2⁻¹⁰⁷⁴ is what 2·2⁻¹⁰⁷⁴ times 1.3² rounds to, where 3.4 of them are left without rounding."""
    least = 2.0**-1074
    low, high = claimed(monkeypatch, [[4 * least]], [2 * least], [[1.3]])
    assert low <= 4 * least <= high


def test_an_inverse_is_bounded_whatever_lapack_returned(monkeypatch):
    """λ_max(K) is enclosed, not taken from eigenvalues: half as large as they are, they leave a residual."""
    eigh = np.linalg.eigh
    with monkeypatch.context() as patch:
        patch.setattr(np.linalg, "eigh", lambda M: (eigh(M)[0] / 2, eigh(M)[1]))
        patch.setattr(np.linalg, "eigvalsh", lambda M: eigh(M)[0] / 2)
        found = enclosures._from_scaled_gram(np.diag([1.0, 2.0]), np.zeros(2, int), 0.0)
    assert 0 < found <= 1


def test_merged_columns_of_any_size():
    """The largest column represents the others, so no c² overflows; a fingerprint that does merges all the same."""
    kept, weight = merged_columns(np.array([[2.0**-600, 1.0], [2.0**-599, 2.0]]))
    assert kept.tolist() == [[1.0], [2.0]] and weight.tolist() == [1.0]
    assert merged_columns(np.column_stack([np.full(8, 1.5e308), np.full(8, 7.5e307)]))[0].shape == (8, 1)


def test_only_true_partners_are_asked_to_combine():
    """A column of two others among forty: rounding in the null vector makes no partners of the rest.

    A column of zeros has none, and with fewer rows than partners nothing is solved for.
    """
    X = np.random.default_rng(8).integers(-8, 9, size=(60, 41)).astype(float)
    X[:, 40] = X[:, 3] - 2 * X[:, 7]
    assert len(dependent_columns(X, X.T @ X)) == 1
    zero = np.array([[1.0, 0.0], [1.0, 0.0]])
    assert len(dependent_columns(zero, zero.T @ zero)) == 0
    assert not _is_combination(np.array([1.0, 0.0]), np.array([[1.0, 2.0], [0.0, 0.0]]))


def test_the_last_roundings_of_the_lower_bound_are_taken_off():
    """G = K = 1: F is γ₅ and λ_max(K) 1 + γ₃ + γ₅ by their derivations, and the quotient of both is rounded down."""
    quotient = (1 - Fraction(gamma(5))) / (1 + Fraction(gamma(3)) + Fraction(gamma(5)))
    found = Fraction(enclosures._from_scaled_gram(np.eye(1), np.zeros(1, int), 0.0))
    # Of 16 u for what is rounded on the way, 2·8 u for the root, 8 u for λ_max and 4 u of its own all 44 u are taken
    # off, each once: the roundings themselves give back 4 u at most.
    assert quotient * (1 - Fraction(100 * 2.0**-53)) <= found**2 <= quotient * (1 - Fraction(40 * 2.0**-53))


@pytest.mark.parametrize("k", [1, 100, 10**5, 10**9])
def test_gamma_is_rounded_up(k):
    """γ_k = k u/(1 − k u): from k = 10 on the denominator is more than the factor UP."""
    exact = k * Fraction(2.0**-53) / (1 - k * Fraction(2.0**-53))
    assert exact <= Fraction(gamma(k)) <= exact * (1 + Fraction(16 * 2.0**-53))


def test_fewer_samples_than_columns_have_no_full_column_rank():
    """S7: σ_min⁺ of two independent samples in three columns is proved, and that no column depends on others is not."""
    low, _, full = nonzero_singular_value_bounds(np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]]), np.ones(2))
    assert low > 0
    assert not full


@pytest.mark.parametrize(("n", "value"), [(64, 0.7), (150, 1 / 3)])
def test_the_rounding_of_the_vectors_lengths_is_counted(monkeypatch, n, value):
    """‖v‖² of n equal entries is 12 u and 21 u short here: γ_{n+4} Σ|d|‖v‖² is of the exact lengths, rounded up.

    The last value is 0 and the residual is 0, so that nothing else is left of the upper bound.
    """
    V, values = np.full((n, n), value), np.append(-np.ones(n - 1), 0.0)
    _, high = claimed(monkeypatch, (V * values) @ V.T, values, V)
    exact = Fraction(gamma(n + 4)) * (n - 1) * n * Fraction(value) ** 2
    assert exact * (1 + Fraction(8 * 2.0**-53)) <= Fraction(high) <= exact * (1 + Fraction(4 * gamma(n + 4)))


def test_a_small_coefficient_is_a_partner_too():
    """a + 2⁻¹⁰ b is a combination of both, exactly, though b takes a thousandth part in it."""
    rng = np.random.default_rng(0)
    a, b = rng.integers(-9, 10, size=(2, 40)).astype(float)
    X = np.column_stack([a, b, a + 2.0**-10 * b])
    assert len(dependent_columns(X, X.T @ X)) == 1


def test_columns_that_agree_where_one_of_them_is_not_zero_are_not_proportional():
    """b is a and an entry of 10⁻⁹ more: two columns, whose fingerprints cannot tell them apart."""
    a = np.array([1.0, 2.0, 0.0])
    X = np.column_stack([a, a + np.array([0, 0, 1e-9])])
    for columns in (X, X[:, ::-1]):
        kept, weight = merged_columns(columns)
        assert kept.shape == (3, 2) and (weight == 1).all()
    kept, weight = merged_columns(np.column_stack([a, a / 2]))
    assert kept.shape == (3, 1) and weight[0] == pytest.approx(np.sqrt(1.25), rel=4 * 2.0**-53)

"""What S13 proves about small objectives contains the truth of a 120-digit solve, and each claim is its formula."""

from fractions import Fraction
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

from helpers.certificates.minimum_twins import DIGITS, Objective, as_mpf, drawn, fraction, integer_weights, mpf
from jaxsoftmax.proof.minimum.curvature import certify_curvature, scaling_exponents
from jaxsoftmax.proof.minimum.enclose import enclose
from jaxsoftmax.proof.minimum.prove import NotProved, _newton_ratio, claims_of, prove_minimum
from jaxsoftmax.proof.minimum.refine import Refined
from jaxsoftmax.proof.minimum.row_space import drop_dependent_columns, reduced_weights

pytest.importorskip("flint")

TINY = Fraction(1, 10**60)  # the twin's own error is 10^-100 or so
ROOM = Fraction(1, 10**7)  # claims are rounded outward by 10^-9, the rate's gain by 10^-6


def floats(W) -> np.ndarray:
    return np.array([[float(w) for w in row] for row in W])


def exact(claims) -> dict[str, Fraction]:
    return {name: Fraction(value) for name, value in claims._asdict().items()}


def check_truth(objective, proof, digits, method=None):
    """The minimiser, the minimum and the curvature of the twin against the claims."""
    claims = exact(proof.claims)
    exponents = proof.curvature.exponents
    with mpmath.workdps(DIGITS):
        best = objective.minimiser()
        at = as_mpf(proof.W, proof.bits)
        least = fraction(objective.loss(best))
        slack = TINY * least
        assert claims["loss_lower"] <= least + slack and least - slack <= claims["loss_upper"]
        assert claims["digits"] >= digits and (proof.W.sum(axis=0) == 0).all()
        assert claims["loss_upper"] - claims["loss_lower"] <= claims["loss_lower"] / 10 ** (digits - 1)
        off = [[fraction(a - b) for a, b in zip(*rows, strict=True)] for rows in zip(at, best, strict=True)]
        plain = sum(v * v for row in off for v in row)
        scaled = sum(v * v * Fraction(4) ** int(e) for row in off for v, e in zip(row, exponents, strict=True))
        assert scaled <= claims["radius"] ** 2 and plain <= claims["radius_euclidean"] ** 2
        assert claims["q"] < 1
        # μ at Ŵ, its part over the ball at W*, both by the twin's pivots.
        assert objective.has_curvature(at, exponents, claims["curvature"])
        assert objective.has_curvature(best, exponents, claims["curvature"] * (1 - claims["q"]))
        flat = np.zeros(len(exponents), int)
        assert objective.has_curvature(best, flat, claims["curvature_euclidean"] * (1 - claims["q"]))
        eigenvalues = _euclidean_eigenvalues(objective, best)
    assert max(eigenvalues) <= claims["curvature_upper"]
    assert Fraction(max(eigenvalues) / min(eigenvalues)) <= claims["condition"]
    assert 1 - Fraction(min(eigenvalues)) / claims["curvature_upper"] <= claims["rate"] < 1


def _euclidean_eigenvalues(objective, W) -> list[float]:
    _C, K = objective.shape
    metric = mpmath.matrix(objective.scaled_metric(np.zeros(K, int)))
    root = mpmath.cholesky(metric) ** -1
    found = mpmath.eigsy(root * mpmath.matrix(objective.reduced_hessian(W)) * root.T, eigvals_only=True)
    return [float(v) for v in found]


def prove_drawn(seed, digits=30, method="auto", **given):
    objective = drawn(seed, **given)
    with mpmath.workdps(DIGITS):
        start = floats(objective.minimiser())
    data = objective.exact_form()
    return objective, prove_minimum(data, data, start, digits, method)


@pytest.mark.slow_cases("5")
@pytest.mark.parametrize("seed", range(12))
def test_the_truth_is_inside(seed):
    for method in ("full", "pairs") if seed < 6 else ("auto",):
        objective, proof = prove_drawn(seed, method=method)
        check_truth(objective, proof, 30)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12, 60))
def test_the_truth_is_inside_on_sixty_problems(seed):
    for method in ("full", "pairs"):
        objective, proof = prove_drawn(seed, method=method)
        check_truth(objective, proof, 30)


@pytest.mark.parametrize(
    "given",
    [
        {"scale": 20, "weights": "far", "own": None},
        {"scale": -20, "alpha": Fraction(0), "own": None},
        {"C": 4, "alpha": Fraction(1, 10), "intercept": True, "own": Fraction(3, 4)},
        {"C": 2, "K": 1, "intercept": False, "alpha": Fraction(0), "own": None},
    ],
    ids=str,
)
def test_the_truth_is_inside_for_odd_numbers(given):
    check_truth(*prove_drawn(50, **given), 30)


@pytest.mark.parametrize("power", [-60, 60])
def test_weights_of_any_size(power):
    """Σ s of 10^±60: precision and proof follow; the minimiser is that of weights of the order of one."""
    objective = drawn(51, alpha=Fraction(0), own=None, weights="fractions")
    heavy = Objective(
        objective.X, objective.T, [s * Fraction(10) ** power for s in objective.s], Fraction(0), objective.penalised
    )
    with mpmath.workdps(DIGITS):
        start = floats(heavy.minimiser())
    data = heavy.exact_form()
    check_truth(heavy, prove_minimum(data, data, start, 25), 25)


def test_one_sample_has_a_closed_form():
    """N = 1, x = 2, t = (p, 1 − p): w = ±¼ log(p/(1 − p)), L* is the entropy, to 400 digits."""
    p = Fraction(1, 5)
    one = Objective([[Fraction(2)]], [[p, 1 - p]], [Fraction(1)], Fraction(0), [False])
    with mpmath.workdps(450):
        w = mpmath.log(mpf(p) / mpf(1 - p)) / 4
        data = one.exact_form()
        proof = prove_minimum(data, data, floats([[w], [-w]]), 400)
        claims, entropy = (
            exact(proof.claims),
            fraction(-mpf(p) * mpmath.log(mpf(p)) - mpf(1 - p) * mpmath.log(mpf(1 - p))),
        )
        assert claims["loss_lower"] < entropy < claims["loss_upper"] and claims["digits"] >= 400
        assert abs(fraction(as_mpf(proof.W, proof.bits)[0][0] - w)) <= claims["radius_euclidean"]


# ── each claim is its formula ──
def claims_at(seed, power, **given):
    """Claims at W* moved by about 2^power in the scaled norm, with everything they are made of."""
    objective = drawn(seed, **given)
    data = objective.exact_form()
    exponents, bits, precision = scaling_exponents(data), 400, 400
    with mpmath.workdps(DIGITS):
        best = objective.minimiser()
        moved = np.random.default_rng(seed).normal(0, 1, objective.shape)
        moved -= moved.mean(axis=0)
        step = [
            [mpmath.mpf(v) * mpmath.mpf(2) ** (power - int(e)) for v, e in zip(row, exponents, strict=True)]
            for row in moved / np.linalg.norm(moved)
        ]
        W = integer_weights(
            [[b + v for b, v in zip(*rows, strict=True)] for rows in zip(best, step, strict=True)], bits
        )
    found = enclose(data, W, bits, precision)
    curvature = certify_curvature(data, found.probabilities, precision, exponents)
    beta = _beta(objective, exponents)
    with mpmath.workdps(DIGITS):
        g = objective.gradient(as_mpf(W, bits))
        dual = mpmath.sqrt(
            mpmath.fsum((v / mpmath.mpf(2) ** int(e)) ** 2 for row in g for v, e in zip(row, exponents, strict=True))
        )
        q = beta * dual / mpf(curvature.mu)
    refined = Refined(W, bits, found, 0)
    return objective, data, refined, found, curvature, beta, q


def _beta(objective, exponents):
    with mpmath.workdps(DIGITS):
        return mpmath.sqrt(2 * max(
            mpmath.fsum((mpf(x) / mpmath.mpf(2) ** int(e)) ** 2 for x, e in zip(row, exponents, strict=True))
            for row in objective.X
        ))  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("power", [-30, -14, -10])
def test_every_claim_is_its_formula_rounded_outward(seed, power):
    objective, data, refined, found, curvature, beta, q = claims_at(seed, power)
    with mpmath.workdps(DIGITS):
        upward = fraction(beta) * (1 + TINY)
        if q >= 1 - mpmath.mpf(10) ** -8:
            with pytest.raises(NotProved, match="not below 1"):
                claims_of(data, data, refined, found, curvature, upward)
            return
        claims = exact(claims_of(data, data, refined, found, curvature, upward))
        mu, low = mpf(curvature.mu), mpmath.mpf(2) ** int(min(curvature.exponents))
        loss = objective.loss(as_mpf(refined.W, refined.bits))
        gap = mu / beta**2 * (q + (1 - q) * mpmath.log1p(-q))
        assert claims["q"] >= fraction(q) and claims["q"] <= fraction(q) * (1 + ROOM)
        r, tail = -mpmath.log1p(-q) / beta, q * q / (2 * (1 - q))
        assert fraction(r) <= claims["radius"] <= fraction((q + tail) / beta) * (1 + ROOM)
        assert fraction(r / low) <= claims["radius_euclidean"] <= fraction((q + tail) / beta / low) * (1 + ROOM)
        wide = claims["loss_upper"] - claims["loss_lower"]
        unit = Fraction(1, 10**90) * fraction(loss)  # the places printed
        assert claims["loss_upper"] >= fraction(loss) * (1 - TINY)
        assert claims["loss_lower"] <= fraction(loss - gap) + fraction(loss) * TINY
        assert wide <= fraction(tail * mu / beta**2) * (1 + ROOM) + max(
            unit, fraction(loss) / 10 ** (claims["digits"] + 2)
        )
        flat = curvature.mu * Fraction(4) ** int(min(curvature.exponents))
        assert curvature.mu * (1 - ROOM) <= claims["curvature"] <= curvature.mu
        assert flat * (1 - ROOM) <= claims["curvature_euclidean"] <= flat
        upper = _upper(objective)
        assert upper <= claims["curvature_upper"] <= upper * (1 + ROOM)
        condition = upper / (flat * (1 - fraction(q)))
        assert condition <= claims["condition"] <= condition * (1 + 3 * ROOM)
        # H(W*) ⪰ e^{−βr} μ = (1 − q) μ, and e^{−ρ} of it where descent goes (S8), ρ = √2 ‖V‖ max ‖x_n‖.
        farthest = mpmath.sqrt(2 * max(mpmath.fsum(mpf(x) ** 2 for x in row) for row in objective.X)) * r / low
        gain = fraction(mpf(flat) * (1 - q) * mpmath.exp(-farthest)) / claims["curvature_upper"]
        assert claims["rate"] >= 1 - gain
        # As it is made: ‖x_n‖² by the trace, e^{−ρ} by 1 − ρ.
        rho = mpmath.sqrt(2 * mpmath.fsum(mpf(x) ** 2 for row in objective.X for x in row)) * r / low
        made = fraction(mpf(flat) * (1 - q) * max(1 - rho, mpmath.mpf(0))) / claims["curvature_upper"]
        assert claims["rate"] >= 1 - made
        if farthest < mpmath.mpf(10) ** -7:
            assert 1 - claims["rate"] >= gain * (1 - Fraction(1, 10**4))


def _upper(objective) -> Fraction:
    """½ min(tr, max row sum of |XᵀSX|) + alpha, in fractions (S7a)."""
    _, K = objective.shape
    G = [
        [sum(s * x[d] * x[e] for s, x in zip(objective.s, objective.X, strict=True)) for e in range(K)]
        for d in range(K)
    ]
    trace = sum(G[d][d] for d in range(K))
    return min(trace, max(sum(abs(v) for v in row) for row in G)) / 2 + objective.alpha


@pytest.mark.parametrize("seed", range(8))
def test_the_maker_uses_this_beta(seed):
    """prove_minimum's own β: its q against the formula at the point that it chose."""
    objective, proof = prove_drawn(seed, digits=12)
    exponents = proof.curvature.exponents
    with mpmath.workdps(DIGITS):
        g = objective.gradient(as_mpf(proof.W, proof.bits))
        dual = mpmath.sqrt(
            mpmath.fsum((v / mpmath.mpf(2) ** int(e)) ** 2 for row in g for v, e in zip(row, exponents, strict=True))
        )
        q = fraction(_beta(objective, exponents) * dual / mpf(proof.curvature.mu))
    claimed = Fraction(proof.claims.q)
    assert q <= claimed
    # The gradient's own enclosure adds 2^-precision Σ s|x|, with what a step leaves on top of it some digits below.
    assert claimed <= q * (1 + Fraction(1, 10**6)) + Fraction(1, 10**12)


@pytest.mark.parametrize("seed", range(4))
def test_the_gradients_own_error_counts(seed):
    """At 40 bits an enclosure of the gradient at W* is mostly its error: q is of |g| + error, entry by entry."""
    objective, data, refined, _, curvature, beta, _ = claims_at(seed, -1000, own=None)
    found = enclose(data, refined.W, refined.bits, 40)
    with mpmath.workdps(DIGITS):
        claims = exact(claims_of(data, data, refined, found, curvature, fraction(beta) * (1 + TINY)))
        C, K = objective.shape
        entries = [
            (mpf(abs(found.gradient[c, d])) + mpf(found.gradient_error[d]))
            / mpmath.mpf(2) ** int(curvature.exponents[d])
            for c in range(C)
            for d in range(K)
        ]
        q = fraction(beta * mpmath.sqrt(mpmath.fsum(v * v for v in entries)) / mpf(curvature.mu))
    assert q <= claims["q"] <= q * (1 + ROOM)


# ── refusals ──
def test_separable_data_are_refused():
    X = [[Fraction(n), Fraction(1)] for n in (-2, -1, 1, 2)]
    T = [[Fraction(n < 2), Fraction(n >= 2)] for n in range(4)]
    data = Objective(X, T, [Fraction(1)] * 4, Fraction(0), [False, False]).exact_form()
    for size in (0.5, 3.0, 20.0, 200.0, 1e5):
        for digits in (1, 20):
            with pytest.raises(NotProved, match="decide_existence"):
                prove_minimum(data, data, np.array([[-size, 0.0], [size, 0.0]]), digits)


def test_weights_far_off_and_non_finite_ones_are_refused():
    objective = drawn(3)
    data, shape = objective.exact_form(), objective.shape
    with pytest.raises(NotProved):
        prove_minimum(data, data, np.random.default_rng(0).normal(0, 300, shape), 20)
    with pytest.raises((NotProved, ValueError)):
        prove_minimum(data, data, np.full(shape, np.nan), 20)


def test_weights_of_nothing_and_columns_of_nothing_are_refused():
    objective = drawn(3)
    data, W = objective.exact_form(), np.zeros(objective.shape)
    with pytest.raises(NotProved, match="Multiply all of them"):
        prove_minimum(data._replace(s_den=data.s_den << 1000), data, W, 20)
    with pytest.raises(NotProved, match="X is 0"):
        prove_minimum(data._replace(A=0 * data.A), data, W, 20)


def test_the_precision_tells_the_rate_from_one():
    """A column of 10^40 beside others: 1 − rate is 10^-80 or so, and a checker has the precision to see it.

    The steps go on until S8 covers descent's Euclidean ball, where a sample is 10^40 times as long.
    """
    _, proof = prove_drawn(50, scale=40, own=None, alpha=Fraction(0), intercept=True)
    gain = 1 - Fraction(proof.claims.rate)
    assert 0 < gain < Fraction(1, 10**70) and gain * 2**proof.precision > 2**40


def test_an_inflated_curvature_would_be_a_false_claim():
    """Why μ must be proved: q is inversely proportional to it."""
    _, data, refined, found, curvature, beta, _q = claims_at(1, -14)
    bigger = curvature._replace(mu=curvature.mu * Fraction(11, 10))
    with mpmath.workdps(DIGITS):
        one, other = (exact(claims_of(data, data, refined, found, c, fraction(beta))) for c in (curvature, bigger))
    assert abs(one["q"] / other["q"] - Fraction(11, 10)) < ROOM


# ── dropped columns ──
def test_dependent_columns_are_dropped_and_claims_hold_on_the_row_space():
    """x_2 = 2 x_0 − x_1: curvature and Λ on the row space of all columns, by a projected eigenvalue problem."""
    objective = drawn(52, K=2, intercept=False, alpha=Fraction(0), own=None, weights="ones")
    wide = [[*x, 2 * x[0] - x[1], Fraction(0)] for x in objective.X]
    everything = Objective(wide, objective.T, objective.s, Fraction(0), [False] * 4)
    full = everything.exact_form()
    reduced, dropped = drop_dependent_columns(full)
    with mpmath.workdps(DIGITS):
        best = floats(objective.minimiser())
    start = np.zeros((objective.shape[0], 4))
    start[:, :2] = best
    proof = prove_minimum(reduced, full, reduced_weights(start, reduced, dropped), 25)
    claims = exact(proof.claims)
    assert len(proof.data.columns) == 2
    with mpmath.workdps(DIGITS):
        least = fraction(objective.loss(objective.minimiser()))
        assert claims["loss_lower"] <= least * (1 + TINY) and least * (1 - TINY) <= claims["loss_upper"]
        W = np.zeros((objective.shape[0], 4), dtype=object)
        W[:, proof.data.columns] = proof.W
        H = np.array(everything.reduced_hessian(as_mpf(W, proof.bits)), dtype=np.float64)
    C = objective.shape[0]
    basis = np.linalg.svd(np.array(wide, dtype=np.float64))[2][:2]
    space = np.kron(np.eye(C - 1), basis)
    metric = np.kron(np.eye(C - 1) + 1, np.eye(2))
    root = np.linalg.inv(np.linalg.cholesky(metric))
    values = np.linalg.eigvalsh(root @ space @ H @ space.T @ root.T)
    assert float(claims["curvature_euclidean"]) <= values[0] * (1 + 1e-9)
    assert values[-1] <= float(claims["curvature_upper"]) * (1 + 1e-9)
    assert _upper(everything) <= claims["curvature_upper"] <= _upper(everything) * (1 + ROOM)


def test_what_is_claimed_leaves_room_for_a_checkers_rounding():
    """S13: q = β‖g‖/μ = 3·5/8 for g = (3, −4) in two columns of σ = 1; a billionth more is said, and hardly more."""
    g = np.array([[Fraction(3), Fraction(-4)]], dtype=object)
    found = SimpleNamespace(gradient=g, gradient_error=[Fraction(0)] * 2)
    q = _newton_ratio(found, SimpleNamespace(exponents=np.zeros(2, int), mu=Fraction(8)), Fraction(3))
    room = q / Fraction(15, 8) - 1
    assert Fraction(1, 10**9) <= room <= Fraction(11, 10**10)


def test_the_weight_of_a_dropped_column_moves_to_those_that_it_is_made_of():
    """S6: x_2 = 3 x_0 − x_1/2 and a column of zeros: logits of the reduced weights are those of all of them."""
    X = [[1, 2, 2, 0], [4, 2, 11, 0], [2, 6, 3, 0]]
    data = Objective(
        [[Fraction(v) for v in row] for row in X],
        [[Fraction(1, 2)] * 2] * 3,
        [Fraction(1)] * 3,
        Fraction(0),
        [False] * 4,
    ).exact_form()
    reduced, dropped = drop_dependent_columns(data)
    W = np.array([[1.0, 2.0, 5.0, 7.0], [-1.0, 0.0, 0.25, 9.0]])
    # Small whole numbers and quarters: nothing is rounded.
    np.testing.assert_array_equal(
        np.array(X)[:, reduced.columns] @ reduced_weights(W, reduced, dropped).T, np.array(X) @ W.T
    )
    assert [(one.column, one.coefficients) for one in dropped][1:] == [(3, {})]

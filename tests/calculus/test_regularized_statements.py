"""What each regulariser of S21 a-d does to the statements: sums, kernel, curvature, invariants, existence."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers import twins
from helpers.stages import fast

EPS = twins.EPS64
C, D, N = 3, 4, 8
ALPHA, GAMMA, COSH = 0.5, 0.75, (0.5, 1.25)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A regulariser, and what S21 says of it on data of rank 3 with the intercept as last of 4 columns."""

    name: str
    regularizer: object = None
    label_smoothing: str = "0"
    kernel_dim: int = 6  # D + (C - 1)(D - R)
    gauge_stays: bool = True  # **1**ᵀ∇ = 0 where **1**ᵀW = 0, so that descent from there keeps it
    recentring: bool = True  # W - 11ᵀW/C has the same objective
    attains: bool = True  # on separable data, all classes present
    attains_absent: bool = True  # with a class that has no sample

    def __str__(self) -> str:
        return self.name

    @property
    def data(self) -> dict:
        """What the twins need to know."""
        p = self.regularizer
        mask = np.ones(D)
        mask[-1] = float(getattr(p, "penalize_intercept", True))
        return {
            "alpha": ALPHA if isinstance(p, js.L2) else 0.0,
            "penalised": mask,
            "gamma": GAMMA if isinstance(p, js.SelfRegularizer) else 0.0,
            "cosh": COSH if isinstance(p, js.LogCosh) else (0.0, 1.0),
        }


L2_FREE = Kind("l2", js.L2(ALPHA), kernel_dim=1, recentring=False, attains_absent=False)
L2_ALL = Kind("l2-intercept", js.L2(ALPHA, penalize_intercept=True), kernel_dim=0, recentring=False)
COSH_FREE = Kind("log-cosh", js.LogCosh(*COSH), kernel_dim=1, gauge_stays=False, recentring=False, attains_absent=False)
COSH_ALL = Kind(
    "log-cosh-intercept", js.LogCosh(*COSH, penalize_intercept=True), kernel_dim=0, gauge_stays=False, recentring=False
)
NONE = Kind("none", attains=False, attains_absent=False)
SMOOTHED = Kind("label_smoothing", label_smoothing="0.1")
SELF = Kind("self", js.SelfRegularizer(GAMMA), kernel_dim=4)
KINDS = (NONE, L2_FREE, L2_ALL, COSH_FREE, COSH_ALL, SMOOTHED, SELF)


@functools.cache
def problem_of(kind: Kind, absent: bool = False) -> js.Problem:
    """Separable data: three classes by thresholds on column 0 (with `absent`, the third has no sample)."""
    rng = np.random.default_rng(11)
    x, z = np.array([-2.0, -1.5, -1.25, -0.25, 0.25, 1.0, 1.5, 2.5]), rng.normal(size=N)
    X = np.stack([x, 2 * x, z], axis=1)  # rank 3 with the intercept
    y = np.digitize(x, [-0.75, 3.0 if absent else 0.5])
    return js.Problem.from_labels(
        X, y, classes=[0, 1, 2], label_smoothing=kind.label_smoothing, regularizer=kind.regularizer
    )


def data_of(kind: Kind, problem: js.Problem) -> twins.Data:
    return twins.data_of(problem, **kind.data)


@jax.jit
def _at(W, problem):
    value, gradient = js.value_and_gradient(W, problem)
    return value, gradient, js.hessian(W, problem).to_dense()


def at(W, problem):
    """(loss, gradient, dense Hessian) as NumPy, one compilation a kind."""
    return tuple(np.asarray(v) for v in _at(np.asarray(W, np.float64), problem))


def weights(seed: int, scale: float = 1.0) -> np.ndarray:
    return scale * np.random.default_rng(seed).normal(size=(C, D))


def beta_of(kind: Kind, data: twins.Data) -> float:
    """S13, S21: √2 max‖x_n‖ with the samples γ e_d; 2γ of log-cosh beside it."""
    largest = max(np.linalg.norm(x) for x in twins.with_extra_samples(data).X)
    return max(math.sqrt(2) * largest, 2 * COSH[1] if kind in (COSH_FREE, COSH_ALL) else 0.0)


@pytest.mark.parametrize("kind", fast(KINDS, 0, 1), ids=str)
def test_column_sums_of_the_gradient(kind, x64):
    """S21: **1**ᵀ∇ is 0 for none, (c) and (d), α **1**ᵀW for (a), α **1**ᵀtanh γW for (b), 0 where not penalised."""
    problem, W = problem_of(kind), weights(1)
    data = data_of(kind, problem)
    expected = twins.l2_mask(data) * data.alpha * W.sum(axis=0) + twins.cosh_slope(W, data).sum(axis=0)
    tolerance = np.sum(twins.gradient_tolerance(W, data, EPS), axis=0)
    assert np.all(np.abs(at(W, problem)[1].sum(axis=0) - expected) <= tolerance)


@pytest.mark.slow_cases("self", "l2-intercept")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_kernel_and_curvature_bounds(kind, x64):
    """S6, S7, S21: at random W the dense H has exactly the predicted kernel and a spectrum within the bounds."""
    problem = problem_of(kind)
    k, Lambda = js.null_space(problem), js.curvature_bound(problem)
    assert k.dim == kind.kernel_dim
    plain = twins.curvature_bound(twins.data_of(problem))
    extra = {NONE: 0, SMOOTHED: 0, SELF: GAMMA**2 / 2, L2_FREE: ALPHA, L2_ALL: ALPHA}.get(kind, COSH[0] * COSH[1])
    assert Lambda == pytest.approx(plain + extra, rel=1e-12)
    for seed, scale in ((2, 0.0), (3, 0.5), (4, 2.0)):
        W = weights(seed, scale)
        H = at(W, problem)[2]
        values = np.linalg.eigvalsh(H)
        noise = 40 * EPS * values[-1]  # n eps λ_max of the eigensolver and the rounding of H
        assert np.max(np.abs(H @ k.basis()), initial=0.0) <= 20 * noise
        assert np.all(np.abs(values[: k.dim]) <= 20 * noise)
        assert values[k.dim] > 1e-9 * values[-1]
        assert values[-1] <= Lambda + noise
        assert js.curvature_lower_bound(W, problem) <= values[k.dim] + noise


def test_log_cosh_attains_its_curvature_bounds(x64):
    """S21b, S7: αγ at W = 0 where the data are blank, and αγ sech²(γ max|w|) from below where every |w| is equal."""
    problem = js.Problem(np.zeros((2, 2)), np.full((2, 3), 1 / 3), regularizer=js.LogCosh(*COSH))
    alpha, gamma = COSH
    assert js.curvature_bound(problem) == pytest.approx(alpha * gamma, rel=1e-12)
    W = np.array([[1.5, -1.5], [1.5, 1.5], [-1.5, 1.5]])
    low, exact = js.curvature_lower_bound(W, problem), alpha * gamma / math.cosh(1.5 * gamma) ** 2
    assert exact * (1 - 1e-11) <= low <= exact
    # Far out sech² underflows; the bound stays below, and 0 only where nothing normal is left.
    for size in (300.0, 700.0 / gamma):
        low = js.curvature_lower_bound(size * np.sign(W), problem)
        log_exact = math.log(4 * alpha * gamma) - 2 * gamma * size
        assert low == 0.0 if log_exact < -708 else math.log(low) == pytest.approx(log_exact, abs=1e-9)
    assert js.curvature_lower_bound(W, problem.replace(regularizer=js.LogCosh(0.0, 1.0))) == 0.0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gradient_descent_keeps_the_complement_except_under_log_cosh(kind, x64):
    """S21: from W = 0 descent keeps **1**ᵀW = 0 and, for none, (a), (c), rows in the row space; (b) leaves it visibly.

    (d) has the gauge alone for a kernel, so only **1**ᵀW = 0 is claimed of it. The intercept is in the row space here,
    so that L2 may leave it out. 30 steps add at most 30 roundings of the gradient times the step.
    """
    problem = problem_of(kind)
    whole = js.null_space(problem_of(NONE)).basis()
    step, W = js.descent_step_bound(problem), np.zeros((C, D))
    size = np.zeros((C, D))
    for _ in range(30):
        size += step * twins.gradient_tolerance(W, data_of(kind, problem), EPS) + EPS * np.abs(W)
        W = W - step * at(W, problem)[1]
    sums = np.abs(W.sum(axis=0))
    if not kind.gauge_stays:
        assert np.max(sums) > 1e-3
        return
    assert np.all(sums <= 4 * size.sum(axis=0))
    if kind is not SELF:
        # The basis itself is accurate to some 50 eps.
        assert np.linalg.norm(whole.T @ W.reshape(-1)) <= 4 * np.sum(size) + 50 * EPS * np.linalg.norm(W)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_recentring_keeps_the_objective_only_under_smoothing_and_the_self_regulariser(kind, x64):
    """S21: L(W - **11**ᵀW/C) = L(W) for none, (c), (d); another value, here less, under (a) and (b)."""
    problem, W = problem_of(kind), weights(5) + 1.0
    before, after = float(at(W, problem)[0]), float(at(np.asarray(js.center_classes(W)), problem)[0])
    tolerance = twins.loss_tolerance(W, data_of(kind, problem), 4 * EPS)
    assert abs(after - before) <= tolerance if kind.recentring else before - after > 0.1


# ── S9, S21e: recession ──
def recession(V: np.ndarray, data: twins.Data) -> float:
    """L∞(V) + R∞(V) as written in S9 and S21e, by loops."""
    mask, total = twins.l2_mask(data), 0.0
    for n in range(len(data.X)):
        u = V @ data.X[n]
        total += data.s[n] * (max(u) - sum(data.T[n] * u))
    for d in range(V.shape[1]):
        if data.gamma:
            total += max(data.gamma * V[:, d]) - np.mean(data.gamma * V[:, d])
        if mask[d]:
            total += data.cosh[0] * np.sum(np.abs(V[:, d]))
            total += math.inf if data.alpha and np.any(V[:, d] != 0) else 0.0
    return total


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_recession_function_is_the_slope_at_infinity(kind, x64):
    """S9, S21e: 0 <= F(tV)/t - F∞(V) <= (N log C + C D (α/γ) log 2 + D log C)/t, or F(tV)/t >= (α/2) t‖V_P‖² under L2.

    Because lse - max is in [0, log C] and log(2 cosh x) - |x| in [0, log 2].
    """
    problem = problem_of(kind)
    data, t = data_of(kind, problem), 1e6
    for seed in range(3):
        V = weights(20 + seed)
        slope = float(at(t * V, problem)[0]) / t
        limit = recession(V, data)
        if math.isinf(limit):
            assert slope >= ALPHA / 2 * t * np.sum(twins.l2_mask(data) * V**2)
            V = V * (1 - twins.l2_mask(data))
            slope, limit = float(at(t * V, problem)[0]) / t, recession(V, data)
        excess = N * math.log(C) + C * D * data.cosh[0] / data.cosh[1] * math.log(2) + D * math.log(C)
        assert -100 * EPS * limit <= slope - limit <= excess / t + 100 * EPS * limit


def separating_directions(absent: bool) -> list[np.ndarray]:
    """Recession directions of L that lie outside its kernel: the thresholds, or the absent class's intercept alone."""
    if absent:
        return [np.outer([0.0, 0.0, -1.0], [0.0, 0.0, 0.0, 1.0])]
    # Logits (-x, 0, x) - offsets: each class wins on its own interval.
    return [np.array([[-1.0, 0, 0, -0.75], [0.0, 0, 0, 0.0], [1.0, 0, 0, -0.5]])]


@pytest.mark.parametrize("absent", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_which_regularisers_give_a_minimiser(kind, absent, x64):
    """S9, S13, S21e: with one, Newton (S8-damped) reaches q < 1 from 0; without, q >= 1 throughout and ‖W‖ grows.

    Without one there is a direction outside the kernel with F∞ = 0; with one, F∞ > 0 on those directions of L.
    """
    problem = problem_of(kind, absent)
    data, k = data_of(kind, problem), js.null_space(problem)
    attains = kind.attains_absent if absent else kind.attains
    slopes = [recession(V, data) for V in separating_directions(absent)]
    assert all(slope > 0.01 for slope in slopes) if attains else min(slopes) == 0.0
    beta, basis, W, sizes = beta_of(kind, data), k.complement_basis(), np.zeros((C, D)), []
    for _ in range(25):
        _, g, H = at(W, problem)
        inner = basis.T @ H @ basis
        mu, noise = np.linalg.eigvalsh(inner)[0], 100 * EPS * np.linalg.norm(H)
        q = beta * np.linalg.norm(g) / (mu - noise) if mu > noise else math.inf
        sizes.append(float(np.linalg.norm(W)))
        if q < 1e-3:
            break
        assert attains or q >= 1
        V = -(basis @ np.linalg.lstsq(inner, basis.T @ g.reshape(-1), rcond=None)[0]).reshape(C, D)
        rho = twins.max_logit_range(data, V)
        W = W + math.log1p(rho) / rho * V
    assert (q < 1) == attains
    if not attains:
        assert sizes[-1] > sizes[len(sizes) // 2] + 1


@functools.cache
def minimiser(kind: Kind, seed: int | None = None) -> np.ndarray:
    """By Newton from 0, or from a random start, to rounding."""
    problem = problem_of(kind)
    data, basis = data_of(kind, problem), js.null_space(problem).complement_basis()
    W = np.zeros((C, D)) if seed is None else weights(seed)
    for _ in range(40):
        _, g, H = at(W, problem)
        V = -(basis @ np.linalg.solve(basis.T @ H @ basis, basis.T @ g.reshape(-1))).reshape(C, D)
        rho = max(twins.max_logit_range(data, V), 1e-300)
        W = W + math.log1p(rho) / rho * V
    return W


@pytest.mark.parametrize("kind", [k for k in KINDS if k.attains], ids=str)
def test_the_minimiser_is_unique_up_to_the_kernel_and_where_its_column_sums_are(kind, x64):
    """S21: two starts end at one point modulo 𝒦; **1**ᵀW = 0 at it for (a), (c), (d), not for (b)."""
    problem, first, second = problem_of(kind), minimiser(kind), minimiser(kind, 9)
    project = np.asarray(js.null_space(problem).complement_basis())
    apart = project.T @ (first - second).reshape(-1)
    # ‖g‖ is its rounding at both; an error of ‖g‖/μ each, μ >= 1e-3 of the data here.
    mu = np.linalg.eigvalsh(project.T @ at(first, problem)[2] @ project)[0]
    rounding = np.linalg.norm(twins.gradient_tolerance(first, data_of(kind, problem), EPS)) / mu
    assert np.linalg.norm(apart) <= 4 * rounding
    sums = np.abs(first.sum(axis=0))
    if kind in (COSH_FREE, COSH_ALL):
        assert np.max(sums[:-1]) > 0.01
    else:
        assert np.max(sums) <= 4 * C * rounding


@pytest.mark.parametrize("kind", [k for k in KINDS if k.attains], ids=str)
def test_the_ball_and_the_gap_of_S13_hold_with_the_beta_of_each_regulariser(kind, x64):
    """S13, S21: ‖W* - W‖ <= -log(1 - q)/β and F(W) - F* <= (μ/β²)[q + (1 - q)log(1 - q)], over the whole space."""
    problem, best = problem_of(kind), minimiser(kind)
    data, basis = data_of(kind, problem), js.null_space(problem).complement_basis()
    beta, least, fired = beta_of(kind, data), float(at(best, problem)[0]), 0
    for seed in range(12):
        V = (basis @ (basis.T @ weights(40 + seed).reshape(-1))).reshape(C, D)
        W = best + V * 10.0 ** -(1 + seed % 4)
        value, g, H = at(W, problem)
        mu = np.linalg.eigvalsh(basis.T @ H @ basis)[0]
        q = beta * np.linalg.norm(g) / mu
        if q < 1:
            fired += 1
            slack = 2 * twins.loss_tolerance(W, data, EPS)
            assert np.linalg.norm(W - best) <= -math.log1p(-q) / beta * (1 + 1e-6)
            assert value - least <= mu / beta**2 * (q + (1 - q) * math.log1p(-q)) * (1 + 1e-6) + slack
    assert fired >= 3


def test_self_concordance_of_log_cosh_is_attained_far_out(x64):
    """S8, S21b: |D³| → 2γ|v| D² and h grows by e^(2γ|v|) where tanh is 1; 2γ|v| is ρ, and the intercept's entry is not.

    At γw = -20 the deficits 1 - tanh and of the growth are 2e^-40 = 9e-18.
    """
    alpha, gamma = COSH
    problem = js.Problem(np.zeros((1, 1)), [[0.5, 0.5]], intercept=True, regularizer=js.LogCosh(alpha, gamma))
    W, V = np.array([[-20 / gamma, 0.0], [0.0, 0.0]]), np.array([[1.5, 0.25], [0.0, 0.25]])
    rho = float(js.max_logit_range(problem, V))
    assert rho == pytest.approx(2 * gamma * 1.5, rel=1e-14)
    only = np.array([[1.0, 0.0], [0.0, 0.0]])
    third, second = float(js.third_derivative(W, problem, V, only)), float(js.quadratic_form(W, problem, only))
    assert third / second == pytest.approx(rho, rel=1e-13)
    grown = float(js.quadratic_form(W + V, problem, only)) / second
    assert grown == pytest.approx(float(js.self_concordance_factors(problem, V)[1]), rel=1e-12)
    absent = problem.replace(regularizer=js.LogCosh(0.0, gamma))
    assert float(js.max_logit_range(absent, V)) == 0.0

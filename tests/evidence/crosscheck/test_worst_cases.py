"""Each propagated term of a tolerance is needed: logits and directions moved by what they may err come near it.

One sample of D = 400 features whose products with W (or V) cancel, so that γ_D Σ|x w| in float32, a hundredth, rules
all else. The quantity is computed in float64 with every logit moved by its error, in the direction of its slope and in
random ones; what is found may not exceed the tolerance, and a stated share of it is reached.
"""

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.evidence.crosscheck import first_order, reference, tolerances
from jaxsoftmax.evidence.crosscheck.entrywise import Entrywise
from jaxsoftmax.evidence.crosscheck.reference import PlainProblem
from jaxsoftmax.evidence.crosscheck.tolerances import model, sum_constant

D = 400
EPS = float(np.finfo(np.float32).eps)
SIGNS = np.where(np.arange(D) % 2, 1.0, -1.0)
X = np.ones((1, D))
T = np.array([[1.0, 0.0, 0.0]])
# (logit or direction of a class, how much its products cancel): Σ x w = value, Σ |x w| ≥ D · size
CANCELLING, PLAIN = 1.0, 0.0


def rows(values, size):
    """(C, D) whose products with x = 1 sum to `values`; their absolute values to D size."""
    return np.asarray(values, float)[:, None] / D + size * SIGNS


def error(A):
    """γ_D Σ |x a| of each row."""
    u = EPS / 2
    return D * u / (1 - D * u) * np.abs(A).sum(axis=1)


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def mean(y, u):
    return u - y @ u


def worst(f, values, errors):
    """The largest change of f found when each entry of its arguments moves by its error, up or down."""
    base, rng = f(*values), np.random.default_rng(0)

    def moved(signs):
        return abs(f(*(v + s * e for v, s, e in zip(values, signs, errors, strict=True))) - base)

    def slopes(i, v):
        return np.array(
            [np.sign(f(*values[:i], v + 1e-6 * np.eye(len(v))[j], *values[i + 1 :]) - base) for j in range(len(v))]
        )

    uphill = [slopes(i, v) for i, v in enumerate(values)]
    random = [[rng.choice([-1.0, 1.0], size=len(v)) for v in values] for _ in range(32)]
    return max(map(moved, [uphill, [-s for s in uphill], *random]))


def plain(C=3):
    return PlainProblem(X, T if C == 3 else np.eye(C)[:1], np.ones(1), ())


# The third class of FAR is out of reach, so that the first two move against each other.
FAR, EVEN = (-4.0, 2.0, -30.0), (0.0, 0.0, 0.0)
UNEVEN, EQUAL = (1.0, -2.0, 0.5), (1.0, 1.0, 1.0)
V_PLAIN, V_CANCELLING = rows(UNEVEN, PLAIN), rows(UNEVEN, CANCELLING)


def quantities(name):
    """(f of the logits and of the directions' logits, place of the entry)."""
    return {
        "loss": (lambda z: -np.log(softmax(z)[0]), ()),
        "gradient": (lambda z: softmax(z)[0] - 1.0, (0, 0)),
        "hvp": (lambda z, v: softmax(z)[0] * mean(softmax(z), v)[0], (0, 0)),
        "quadratic_form": (lambda z, v: softmax(z) @ mean(softmax(z), v) ** 2, ()),
        "third_derivative": (lambda z, v, u: softmax(z) @ (mean(softmax(z), v) * mean(softmax(z), u) ** 2), ()),
        "hessian": (lambda z: -softmax(z)[0] * softmax(z)[2], (0, 2 * D)),
        "hessian_diagonal": (lambda z: softmax(z)[0] * (1 - softmax(z)[0]), (0, 0)),
    }[name]


# name: (quantity, logits, how W cancels, directions, share of the tolerance that is reached)
CASES = {
    "loss": ("loss", FAR, CANCELLING, (), 0.9),
    "gradient": ("gradient", FAR, CANCELLING, (), 0.9),
    "Hessian off the diagonal": ("hessian", (-4.0, 2.0, -4.0), CANCELLING, (), 0.9),
    "Hessian on the diagonal": ("hessian_diagonal", FAR, CANCELLING, (), 0.9),
    "product, probabilities": ("hvp", FAR, CANCELLING, (V_PLAIN,), 0.9),
    "product, directions": ("hvp", FAR, PLAIN, (V_CANCELLING,), 0.9),
    "product, mean": ("hvp", EVEN, CANCELLING, (rows((0.0, 1.0, -1.0), PLAIN),), 0.7),
    "form, probabilities": ("quadratic_form", FAR, CANCELLING, (V_PLAIN,), 0.9),
    # these two allow the mean to err as well, by as much again
    "form, directions": ("quadratic_form", EVEN, PLAIN, (V_CANCELLING,), 0.49),
    "form, where the directions are all error": ("quadratic_form", EVEN, PLAIN, (rows(EQUAL, CANCELLING),), 0.2),
    "third derivative, probabilities": ("third_derivative", FAR, CANCELLING, (V_PLAIN, V_PLAIN), 0.9),
    "third derivative, first direction": ("third_derivative", FAR, PLAIN, (V_CANCELLING, V_PLAIN), 0.9),
    "third derivative, second direction": ("third_derivative", FAR, PLAIN, (V_PLAIN, V_CANCELLING), 0.9),
}


@pytest.mark.parametrize("name", CASES)
def test_what_the_logits_may_err_by_is_in_the_tolerance(name):
    """S1, S2, S4, S8: no move exceeds the tolerance, and some move comes near it."""
    kind, logits, size, directions, share = CASES[name]
    W = rows(logits, size)
    f, place = quantities(kind)
    given = [W, *directions]
    found = worst(f, [A.sum(axis=1) for A in given], [error(A) for A in given])
    allowed = getattr(tolerances, f"{kind}_tolerance")(W, plain(), *directions, dtype=np.float32)
    allowed = float(allowed[place]) if place else float(allowed)
    assert share * allowed <= found <= allowed


def test_the_input_gradient_has_the_tolerance_of_its_residual():
    """S2 seen from X: Σ_c |w_cd| dy_c; two classes with opposite weights move together."""
    W = rows((-3.0, 3.0), CANCELLING)
    W[1] = -W[0]
    found = worst(lambda z: (softmax(z) - [1, 0]) @ W[:, 0], [W.sum(axis=1)], [error(W)])
    data = PlainProblem(X, np.array([[1.0, 0.0]]), np.ones(1), ())
    allowed = tolerances.input_gradient_tolerance(W, data, dtype=np.float32)[0, 0]
    assert 0.5 * allowed <= found <= allowed


def test_a_residual_without_logits_errs_by_its_own_evaluation_and_the_sum_over_classes():
    """S2 seen from X: x = 0, so z = 0: eps (8 + √4 + 4 log₂ 2) = 14 eps, which is more than 4 eps (1 + log₂ 4)."""
    data = PlainProblem(np.zeros((1, 2)), np.eye(4)[:1], np.ones(1), ())
    found = tolerances.input_gradient_tolerance(np.full((4, 2), 3.0), data, dtype=np.float32)
    np.testing.assert_allclose(found, 14 * EPS * 3 * (0.75 + 3 * 0.25), rtol=1e-9)


def test_plain_logarithms_err_by_the_difference_of_their_logits():
    """S1: z = (1000, 0): γ₁ 1000 of the first logit, and u 1000 of the difference that a plain formula forms."""
    data, u = PlainProblem(np.ones((1, 1)), np.eye(2)[:1], np.ones(1), ()), EPS / 2
    for compensated, own in ((True, 0.0), (False, 1000 * u)):
        (r,) = model(np.array([[1000.0], [0.0]]), data, np.float32, compensated).blocks()
        assert r.dlog[0, 1] == pytest.approx(1000 * u / (1 - u) + own, rel=1e-9, abs=0)


def test_a_gauge_direction_has_the_rounding_of_all_that_it_moves(monkeypatch, x64):
    """S3: W + 1vᵀ is rounded by E, so that logits move by |E x|; beside it sums of C terms, and of penalties."""
    problem = js.Problem(
        np.array([[3.0, 0.0], [0.0, 5.0]]),
        np.full((2, 2), 0.5),
        sample_weight=np.array([2.0, 1.0]),
        regularizer=js.L2(4.0) + js.SelfRegularizer(7.0),
    )
    W, v, G, eps = (
        np.array([[1.0, 0.5], [2.0, -1.0]]),
        np.array([0.25, 8.0]),
        np.array([[6.0, 1.0], [-2.0, 3.0]]),
        2.0**-52,
    )
    none = lambda name, W=None: np.zeros((2, 2)) if name == "gradient" else 0.0  # noqa: E731
    rules = SimpleNamespace(gradient=lambda W, p: G, loss=lambda W, p: 40.0)
    data = reference.plain(problem)
    k = SimpleNamespace(W=W, C=2, D=2, dtype=np.float64, problem=problem, data=data, gauge_direction=v, block_rows=2)
    k.hand, k.tolerance, k.at_feature = lambda call: np.asarray(call()), none, None
    k.ours, k.blocks = SimpleNamespace(derivatives=rules, objective=rules), lambda rows: [(slice(0, 2), data)]
    monkeypatch.setattr(first_order, "compare", lambda *given, **options: (given, options))
    found: Any = first_order.compare_gauge(k)  # what the stub above makes of it
    (_, sums), (given, _) = found
    np.testing.assert_allclose(
        sums["own_tolerance"], 2 * eps * (np.abs(G).sum(axis=0) + 4 * np.abs(W).sum(axis=0)), rtol=1e-14
    )
    E = eps * (np.abs(W + v) + np.abs(W) + np.abs(v))
    samples = 2 * (2 * 3 * E[:, 0].max() + 5 * E[:, 1].max()) + 2 * 7 * E.max(axis=0).sum()
    penalties = 2 * np.sum((np.abs(W + v) + np.abs(W)) ** 2)
    assert given[-1] == pytest.approx(samples + 4 * eps * 80 + 4 * eps * penalties, rel=1e-12, abs=0)


def test_one_row_of_many_classes_moves_the_form_by_twice_its_deviation():
    """S4: 20 classes, W = 0 and V in the last row alone: Var changes by 2 y a du, which is most of the tolerance."""
    C = 20
    V = np.zeros((C, D))
    V[-1] = 1 / D
    y, du = np.full(C, 1 / C), error(V)
    found = worst(lambda u: y @ mean(y, u) ** 2, [V.sum(axis=1)], [du])
    allowed = tolerances.quadratic_form_tolerance(np.zeros((C, D)), plain(C), V, dtype=np.float32)
    assert 0.7 * allowed <= found <= allowed
    assert found == pytest.approx(2 / C * (1 - 1 / C) * du[-1], rel=1e-3, abs=0)


def test_pairs_of_classes_are_symmetric():
    """S4: the weight of block (i, j) is that of (j, i), entry for entry, and di yj + dj yi + di dj beside K yi yj."""
    m = model(rows(FAR, CANCELLING), plain(), np.float32)
    (r,) = m.blocks()
    for i, j in itertools.combinations(range(3), 2):
        one = m.pair_weight(r, i, j)
        assert (one == m.pair_weight(r, j, i)).all()
        y, dy = r.Y[0], r.dy[0]
        assert one[0] == pytest.approx(m.K * y[i] * y[j] + dy[i] * y[j] + dy[j] * y[i] + dy[i] * dy[j], rel=1e-9, abs=0)


@pytest.mark.parametrize("compensated", [True, False])
def test_where_logits_are_exact_the_sums_alone_count(compensated):
    """S1, S2, S4: W = 0: eps K Σ|terms| and the smallest normal number, K = 8 + √N + 4 log₂(C/2)."""
    N, C, s = 9, 4, np.arange(1.0, 10.0)
    rng = np.random.default_rng(3)
    x, V = rng.normal(size=(N, 2)), rng.normal(size=(C, 2))
    K = EPS * (8 + 3 + 4)
    assert EPS * sum_constant(N, C) == K
    options = {"dtype": np.float32, "compensated": compensated}
    for T in (np.eye(C)[rng.integers(0, C, N)], np.full((N, C), 1 / C)):
        data, W = PlainProblem(x, T, s, ()), np.zeros((C, 2))
        sole = T.max() == 1
        y = 1 / C
        residual = np.where(T == 1, 1 - y if compensated else 1.0, y) if sole else np.full((N, C), y)
        gradient = K * (s[:, None] * residual).T @ np.abs(x)
        np.testing.assert_allclose(tolerances.gradient_tolerance(W, data, **options), gradient, rtol=1e-9)
        log_size = np.log(C) if compensated else 2 * np.log(C)
        np.testing.assert_allclose(tolerances.loss_tolerance(W, data, **options), K * s.sum() * log_size, rtol=1e-9)
        own = EPS * (4 * (1 + np.log2(C)) + (0 if compensated else C))
        np.testing.assert_allclose(tolerances.probability_tolerance(W, data, **options), own * y, rtol=1e-9)
        logs = tolerances.log_probability_tolerance(W, data, **options)
        np.testing.assert_allclose(logs, own * log_size, rtol=1e-9)
        weight = K * y * ((1 - y) if compensated else 1.0)
        diagonal = (s * weight) @ x**2
        np.testing.assert_allclose(
            tolerances.hessian_diagonal_tolerance(W, data, **options), np.tile(diagonal, (C, 1)), rtol=1e-9
        )
        # U = XVᵀ errs by γ₂ Σ|x v|, and its mean by the mean of that.
        U, gamma = x @ V.T, EPS / (1 - EPS)
        dU = gamma * np.abs(x) @ np.abs(V).T
        dU = dU + dU.mean(axis=1, keepdims=True)
        base = np.abs(U - U[:, :1]) if compensated else np.abs(U)
        size = base + base.mean(axis=1, keepdims=True)
        product = (s[:, None] * y * (K * size + dU)).T @ np.abs(x)
        np.testing.assert_allclose(tolerances.hvp_tolerance(W, data, V, **options), product, rtol=1e-9)
        a = np.abs(U - U.mean(axis=1, keepdims=True))
        form = float((s[:, None] * y * (K * a * size + 2 * a * dU + dU**2)).sum())
        found = tolerances.quadratic_form_tolerance(W, data, V, **options)
        assert found == pytest.approx(form, rel=1e-9, abs=0)


def test_penalties_have_their_terms_in_every_tolerance(x64):
    """S21 a, b: eps (8 + √CD) of value and third derivative, eps K of slope and curvature, 2 eps|γw| for sech²."""
    data = js.Problem(
        np.zeros((4, 2)),
        np.full((4, 3), 1 / 3),
        regularizer=js.L2(0.5) + js.LogCosh(2.0, 0.75),
    )
    W, V = np.full((3, 2), 2.0), np.full((3, 2), 0.5)
    bare = data.replace(regularizer=())
    K, entry = EPS * sum_constant(4, 3), EPS * (8 + np.sqrt(6))
    x = 0.75 * 2.0
    value, tanh, sech2 = 0.25 * 4 + 2 / 0.75 * np.log(2 * np.cosh(x)), np.tanh(x), 1 / np.cosh(x) ** 2
    spread = np.expm1(2 * EPS * x)
    curvature = lambda k: k * (0.5 + 1.5 * sech2) + spread * 1.5 * sech2  # noqa: E731
    third = 2 * 0.75 * tanh * 1.5 * sech2 * (entry + spread)

    def added(name, *directions):
        of = getattr(tolerances, f"{name}_tolerance")
        return np.asarray(of(W, data, *directions, dtype=np.float32) - of(W, bare, *directions, dtype=np.float32))

    np.testing.assert_allclose(added("loss"), 6 * entry * value, rtol=1e-6)
    np.testing.assert_allclose(added("gradient"), K * (0.5 * 2 + 2 * tanh), rtol=1e-6)
    np.testing.assert_allclose(added("hvp", V), curvature(K) * 0.5, rtol=1e-6)
    np.testing.assert_allclose(added("hessian_diagonal"), curvature(K), rtol=1e-6)
    np.testing.assert_allclose(np.diag(added("hessian")), curvature(K), rtol=1e-6)
    np.testing.assert_allclose(added("quadratic_form", V), 6 * curvature(entry) * 0.25, rtol=1e-6)
    np.testing.assert_allclose(added("third_derivative", V), 6 * third * 0.125, rtol=1e-6)


def test_a_flushed_exponential_of_log_cosh_is_in_the_tolerance():
    """S21b: where e^(-2|γw|) is just below the smallest normal float32, αγ sech² γw may come out as 0, all of it lost.

    The tolerance is 4αγ times the smallest normal; for the third derivative 8αγ² times it, an entry.
    """
    tiny = float(np.finfo(np.float32).tiny)
    alpha, gamma = 2.0, 3.0
    size = 0.99 * tiny
    penalty = js.LogCosh(alpha, gamma)
    data = js.Problem(np.zeros((4, 2), np.float32), np.full((4, 3), 1 / 3), regularizer=penalty)
    W, V = np.full((3, 2), -np.log(size) / 2 / gamma), np.ones((3, 2))
    exact = 4 * alpha * gamma * size
    found = tolerances.hessian_diagonal_tolerance(W, data, dtype=np.float32)
    # 1/0.99, and the smallest normal number beside 24 times itself.
    assert np.all(exact <= found) and np.all(found <= 1.06 * exact)
    third = float(tolerances.third_derivative_tolerance(W, data, V, V, dtype=np.float32))
    assert 6 * 2 * gamma * exact <= third <= 1.06 * 6 * 2 * gamma * exact


@pytest.mark.parametrize("eps", [EPS, 2.0**-52])
def test_a_curvature_that_vanished_has_a_finite_tolerance(eps):
    """S21b: where 2 eps |γw| is beyond any exponential, sech² is 0, and e^(2 eps |γw|) times it is not NaN."""
    penalty, w = Entrywise(1.0, 2.0, np.ones(1)), np.array([[1e4 / eps]])
    assert penalty.curvature_error(w, 8 * eps, eps, 0.0, True) == 0
    assert penalty.third_error(w, 8 * eps, eps, 0.0, True) == 0


def test_plain_formulas_of_log_cosh_err_relative_to_what_they_subtract():
    """S21b: far out the slope is α(y₁ − y₂) of numbers of size 1, and the third derivative of six: 3 · 2αγ²."""
    penalty, K, w = Entrywise(2.0, 3.0, np.ones(1)), 8 * EPS, np.array([[1e-3, 0.5, 5.0]]).T
    np.testing.assert_allclose(penalty.slope_error(w, K, False), K * 2.0)
    own = penalty.third_error(w, K, EPS, 0.0, False) - penalty.third_error(w, 0.0, EPS, 0.0, False)
    np.testing.assert_allclose(own, K * 3 * 2 * 2.0 * 3.0**2)
    assert np.all(penalty.slope_error(w, K, True) <= K * 2.0)

"""Each method against a naive NumPy twin, what it promises, and how often it is traced (S16, S17, S19)."""

from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxsoftmax as js
from helpers.methods import OWN_METHODS
from helpers.stages import fast
from jaxsoftmax.calculus.bounds.bohning import apply_inverse, majorant
from jaxsoftmax.calculus.loss import class_blocks
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.training import result as result_module
from jaxsoftmax.training.loop import run as loop
from jaxsoftmax.training.loop.protocol import Oracle, Point
from jaxsoftmax.training.methods import newton_cg
from jaxsoftmax.training.methods.majorize_minimize import MajorizeMinimize
from jaxsoftmax.training.result import Status

RNG = np.random.default_rng(20244)
X = RNG.normal(size=(20, 2)) * [1.0, 3.0]
T = RNG.dirichlet(2 * np.ones(3), size=20)
S = RNG.uniform(0.5, 2.0, size=20)
EPS = float(np.finfo(float).eps)
KEY = jax.random.key(11)


def loss_and_gradient(W, X=X, T=T, s=S):
    Z = X @ W.T
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    Y = E / E.sum(axis=1, keepdims=True)
    return -np.sum(s[:, None] * T * np.log(Y)), ((Y - T) * s[:, None]).T @ X


def problem(**options):
    return js.Problem(X, T, sample_weight=S, **options)


def losses(method, steps, **options):
    return js.fit(problem(), method, tol=0.0, max_steps=steps, **options).history["loss"]


def agree(ours, twin, steps, gain=1.0):
    """`steps` updates, each adding a few dozen eps to W of size one, amplified at most `gain` times overall."""
    np.testing.assert_allclose(ours, twin, rtol=steps * 50 * EPS * gain)


@pytest.mark.slow
def test_accelerated_descent_is_nesterovs_sequence_with_the_gradient_restart(x64):
    """agd: x⁺ = y − η∇L(y), y⁺ = x⁺ + (θ−1)/θ⁺ (x⁺ − x), momentum dropped where ⟨∇L(y), x⁺ − x⟩ > 0; η = 1/Λ (S16)."""
    eta = js.descent_step_bound(problem())
    x = y = np.zeros((3, 2))
    theta, twin, restarts = 1.0, [], 0
    for _ in range(120):
        value, g = loss_and_gradient(y)
        twin.append(value)
        after = y - eta * g
        if np.sum(g * (after - x)) > 0:
            theta, beta, restarts = 1.0, 0.0, restarts + 1
            following = (1 + np.sqrt(5)) / 2
        else:
            following = (1 + np.sqrt(1 + 4 * theta**2)) / 2
            beta = (theta - 1) / following
        x, y, theta = after, after + beta * (after - x), following
    assert restarts >= 1
    agree(losses("agd", 119), twin, 120)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bb", "gd-optimal"])
def test_guarded_methods_descend_where_the_free_step_would_not(x64, method):
    """S16: far out, where curvature seen nearby is tiny, the free steps overshoot; the guard keeps the loss falling."""
    W0 = 40 * np.array([[1.0, -1.0], [-1.0, 0.5], [0.0, 0.5]])
    result = js.fit(problem(), method, W0=W0)
    assert result.status is Status.GRADIENT_TOLERANCE and result.converged
    loss = result.history["loss"]
    rounding = 2 * (8 + 20**0.5) * EPS * loss[0] + 4 * 2 * EPS * 40 * np.abs(X).sum() * S.max()
    memory = 10 if method == "bb" else 1
    ceiling = [max(loss[max(0, k - memory + 1) : k + 1]) for k in range(len(loss) - 1)]
    assert np.all(loss[1:] <= np.array(ceiling) + rounding)
    assert np.all(result.history["step_size"][:-1] >= js.descent_step_bound(problem()) * (1 - 1e-12))


@pytest.mark.slow
def test_barzilai_borwein_steps_are_the_two_quotients_in_turn(x64):
    """[BB]: ⟨ΔW, ΔW⟩/⟨ΔW, ΔG⟩ and ⟨ΔW, ΔG⟩/⟨ΔG, ΔG⟩ alternate, halved only where the loss would rise too far."""
    eta = js.descent_step_bound(problem())
    W, last, seen, twin = np.zeros((3, 2)), None, [], []
    for k in range(12):
        value, g = loss_and_gradient(W)
        seen.append(value)
        step = eta
        if last is not None:
            dW, dG = W - last[0], g - last[1]
            step = np.sum(dW * dW) / np.sum(dW * dG) if k % 2 == 0 else np.sum(dW * dG) / np.sum(dG * dG)
        step = max(step, eta)
        while step > eta and loss_and_gradient(W - step * g)[0] > max(seen[-10:]) - 1e-4 * step * np.sum(g**2):
            step = max(step / 2, eta)
        twin.append(step)
        last, W = (W, g), W - step * g
    history = js.fit(problem(), "bb", tol=0.0, max_steps=12).history
    np.testing.assert_allclose(history["step_size"][:12], twin, rtol=1e-6)
    np.testing.assert_allclose(history["loss"][:12], seen, rtol=1e-9)


@pytest.mark.slow
def test_optimal_descent_contracts_at_the_best_rate(x64):
    """S17: near W* the factor a step is (κ − 1)/(κ + 1) for the κ of H(W*), faster than S16's step allows."""
    result = js.fit(problem(), "gd-optimal")
    values = np.linalg.eigvalsh(np.asarray(js.hessian(result.W, problem()).to_dense()))
    mu, Lambda = values[js.null_space(problem()).dim], values[-1]
    best = js.optimal_rate(mu, Lambda)
    assert result.converged
    # μ* and Λ* are estimates that settle during the run: within a tenth of the gain 1 − rate.
    assert 1 - result.rate_measured == pytest.approx(1 - best, rel=0.1)
    assert result.history["step_size"][-2] == pytest.approx(js.optimal_step(mu, Lambda), rel=0.1)
    assert result.rate_measured < 1 - mu / js.curvature_bound(problem()) - 0.5 * (1 - best)


DEFICIENT = np.column_stack([X, X @ [2.0, -1.0], np.zeros(20)])
REGULARIZERS = [None, js.L2(0.3), js.L2(0.3) + js.SelfRegularizer(0.8)]


@pytest.mark.slow_cases("different units-both", "same units-both", "same units-none")
@pytest.mark.parametrize("regularizer", fast(REGULARIZERS, 0, 2), ids=["none", "l2", "both"])
@pytest.mark.parametrize("units", [1.0, 2.0**13], ids=["same units", "different units"])
def test_majorant_is_above_the_hessian_and_its_inverse_is_the_pseudo_inverse(x64, regularizer, units):
    """S19, S7a: M = ½(I − 11ᵀ/C) ⊗ XᵀSX + penalties, H ⪯ M at any W, V = M⁺G solves MV = G in 𝒦⊥."""
    D = DEFICIENT * [1.0, units, 1.0, 1.0]  # a power of two: the dependence stays exact
    p = js.Problem(D, T, sample_weight=S, regularizer=regularizer)
    C, center = 3, np.eye(3) - 1 / 3
    M = np.kron(0.5 * center, (D * S[:, None]).T @ D)
    if regularizer:
        M = M + 0.3 * np.eye(12)
    if isinstance(regularizer, tuple):
        M = M + 0.5 * 0.8**2 * np.kron(center, np.eye(4))
    H = np.asarray(js.hessian(RNG.normal(size=(3, 4)) / [1, units, 1, 1], p).to_dense())
    assert np.linalg.eigvalsh(M - H)[0] >= -1e-13 * np.abs(M).max()
    G = np.asarray(js.gradient(RNG.normal(size=(C, 4)) / [1, units, 1, 1], p))
    V = np.asarray(apply_inverse(majorant(p, js.null_space(p)), jnp.asarray(G)))
    # In units of the columns: backward error n·eps, times the condition of the scaled Gram, about 100 here.
    size = np.sqrt(np.diag(M)[:4])
    size[size == 0] = 1
    residual = ((M @ V.reshape(-1)).reshape(3, 4) - G) / size
    assert np.abs(residual).max() <= 1e5 * EPS * np.abs(G / size).max()
    # Rows of V stay in the row space to the accuracy of each entry.
    null = np.asarray(js.null_space(p).null)
    assert np.all(np.abs(V @ null) <= 1e4 * EPS * (np.abs(V) @ np.abs(null)) + 1e-300)


def test_fixed_hessian_step_is_s19(x64):
    """S19: W ← W − 2∇L (XᵀSX)⁺, three steps of a naive twin; monotone; blind to invertible mixing of features."""
    pinv, W, twin = np.linalg.pinv((X * S[:, None]).T @ X), np.zeros((3, 2)), []
    for _ in range(40):
        value, g = loss_and_gradient(W)
        twin.append(value)
        W = W - 2 * g @ pinv
    ours = losses("mm", 39)
    agree(ours, twin, 40)
    assert np.all(np.diff(ours) <= 2 * (8 + 20**0.5) * EPS * ours[0])
    mixed = js.Problem(X @ [[1.0, 1e3], [0.0, 1e3]], T, sample_weight=S)
    np.testing.assert_allclose(js.fit(mixed, "mm", tol=0.0, max_steps=39).history["loss"], ours, rtol=1e-9)


def test_fixed_hessian_rate_is_bounded_by_the_flattest_softmax(x64):
    """S19: near W* the factor is at most 1 − 2 min_n λ₂(S(y_n))."""
    result = js.fit(problem(), "mm")
    Y = np.asarray(js.probabilities(result.W, problem()))
    flattest = min(np.sort(np.linalg.eigvalsh(np.diag(y) - np.outer(y, y)))[1] for y in Y)
    assert result.converged and result.rate_measured <= 1 - 2 * flattest
    assert 1 - 2 * flattest <= result.rate_bound < 1


@pytest.mark.slow
@pytest.mark.parametrize("regularizer", REGULARIZERS, ids=["none", "l2", "both"])
def test_newton_cg_reaches_newtons_minimum(x64, regularizer):
    """S8, S19: products alone, deficient rank and different units; the same W as the dense method, superlinearly."""
    D = DEFICIENT * [1.0, 1e3, 1.0, 1.0]
    p = js.Problem(D, T, sample_weight=S, regularizer=regularizer)
    cg, dense = js.fit(p, "newton-cg"), js.fit(p, "newton")
    assert cg.status is Status.GRADIENT_TOLERANCE and cg.converged and cg.steps <= dense.steps + 6
    assert abs(cg.loss - dense.loss) <= 4 * (8 + 20**0.5) * EPS * dense.loss
    kernel = js.null_space(p).basis()
    unit = np.abs(cg.W).max()
    assert np.abs(kernel.T @ cg.W.reshape(-1)).max(initial=0.0) <= 1e-12 * unit


def test_newton_cg_changes_its_solve_only_for_a_reason(x64):
    """S23: class blocks once enough products were wasted, and float64 products after whole steps in vain."""
    p = problem()
    method = newton_cg.NewtonCG()
    solver = method.constants(p, None)
    solver = solver._replace(inner=p.replace(X=np.asarray(p.X)))
    first = method.inner_solve(solver)
    assert first == (0, "majorant", "float64", 0.0, False)
    none = newton_cg.State(*[jnp.zeros(())] * 8)
    patience = int(solver.patience)
    assert patience > 0
    for wasted, blocks in ((patience - 0.5, False), (patience, True)):
        state = none._replace(wasted=jnp.asarray(float(wasted)), idle=jnp.asarray(9))
        renewed = method.renew(p, np.zeros((3, 2)), solver, state, first._replace(step=4))
        assert (renewed is not None) == blocks
    assert renewed is not None
    constants, state, solved = renewed
    assert solved == (4, "class blocks", "float64", patience, False)
    assert state.fresh and state.wasted == 0 and constants.inverse.inverse.shape == (3, 2, 2)
    narrow = solver._replace(inner=p.astype("float32"))
    for idle, given_up in ((newton_cg.MOST_IDLE - 1, False), (newton_cg.MOST_IDLE, True)):
        renewed = method.renew(p, np.zeros((3, 2)), narrow, none._replace(idle=jnp.asarray(idle)), first)
        assert (renewed is not None) == given_up
    assert renewed is not None and renewed[0].inner is p and renewed[2].products_dtype == "float64"


def test_class_blocks_without_a_factor_are_not_used_and_told(x64, monkeypatch):
    """A failed factorisation leaves M and the solve as they were; the fit says so in words, beside what it did."""
    p = problem()
    method = newton_cg.NewtonCG()
    solver = method.constants(p, None)
    state = newton_cg.State(*[jnp.zeros(())] * 8)._replace(wasted=jnp.asarray(float(solver.patience)))
    first = method.inner_solve(solver)
    monkeypatch.setattr(class_blocks, "definite_inverse", lambda M: None)
    renewed = method.renew(p, np.zeros((3, 2)), solver, state, first._replace(step=7))
    assert renewed is not None
    constants, after, failed = renewed
    assert constants is solver and after.wasted == 0 and not after.fresh
    assert failed == (7, "majorant", "float64", solver.patience, True)
    monkeypatch.undo()
    renewed = method.renew(p, np.zeros((3, 2)), solver, state, failed._replace(step=9))
    assert renewed is not None
    made = renewed[2]
    assert made == (9, "class blocks", "float64", solver.patience, False)
    said = "at step 7 new blocks were not positive definite to rounding, and the old matrix stayed"
    words = lambda *solves: result_module._solve_words(solves)  # noqa: E731
    assert said in words(first, failed) and "from step" not in words(first, failed)
    assert said in words(first, failed, made) and "from step 9 on" in words(first, failed, made)
    assert "at step 7 (2 times in all)" in words(first, failed, failed._replace(step=8))
    assert "positive definite" not in words(first, made)


@pytest.mark.slow
def test_newton_cg_solves_in_as_many_products_as_there_are_dimensions(x64):
    """S6, S19: conjugate directions: after four products V is −H⁺g on the four dimensions of 𝒦⊥, cond(M⁺H) < 100."""
    p, W = problem(), np.random.default_rng(45).normal(size=(3, 2)) / 2
    value, gradient = loss_and_gradient(W)
    at = Point(*(jnp.asarray(part) for part in (W, value, gradient)), jnp.int32(0))
    M = majorant(p, js.null_space(p))
    oracle = Oracle(p, placement(p), jnp.ones(2))
    V, *_, products = newton_cg.solve(p, oracle, partial(apply_inverse, M), at, jnp.asarray(0.0), jnp.int32(4))
    H = np.asarray(js.hessian(W, p).to_dense())
    steps = np.stack([np.asarray(apply_inverse(M, column.reshape(3, 2))).reshape(-1) for column in H.T], axis=1)
    values = np.sort(np.linalg.eigvals(steps).real)[2:]
    assert int(products) == 4 and 1.5 * values[0] < values[-1] < 100 * values[0]
    agree(np.asarray(V).reshape(-1), -np.linalg.pinv(H, rcond=1e-10, hermitian=True) @ gradient.reshape(-1), 4, 100)


def asked(product):
    """A problem of two samples, and an oracle that knows products with H alone."""
    answers = SimpleNamespace(hessian_at=lambda W: product, spread=lambda V: jnp.asarray(0.0))
    return js.Problem(np.eye(2), np.eye(2)), SimpleNamespace(on=lambda inner: answers)


def test_a_direction_without_curvature_ends_a_solve(x64):
    """S6: H = diag(2, −1), as rounding may leave it: V = (2, 2) after one product, and then ⟨p, Hp⟩ = −72: V stays."""
    H = jnp.asarray([[2.0, 0.0], [0.0, -1.0]])
    at = Point(jnp.zeros((2, 2)), jnp.asarray(1.0), jnp.asarray([[-1.0, -1.0], [0.0, 0.0]]), jnp.int32(0))
    V, *_, products = newton_cg.solve(*asked(lambda p: p @ H), lambda r: r, at, jnp.asarray(0.0), jnp.int32(5))
    np.testing.assert_array_equal(V, [[2.0, 2.0], [0.0, 0.0]])
    assert int(products) == 2


def test_a_direction_of_curvature_0_takes_no_step(x64):
    """S6: H = 0 says nothing of how far to go: V = 0 after one product."""
    at = Point(jnp.zeros((2, 2)), jnp.asarray(1.0), jnp.asarray([[-1.0, -1.0], [0.0, 0.0]]), jnp.int32(0))
    V, *_, products = newton_cg.solve(*asked(lambda p: 0 * p), lambda r: r, at, jnp.asarray(0.0), jnp.int32(5))
    assert (np.asarray(V) == 0).all() and int(products) == 1


@pytest.mark.parametrize(("apart", "dtype"), [(2.0**-7, "float32"), (2.0**-11, "float64")])
def test_newton_cg_multiplies_in_float32_only_where_no_direction_is_lost(x64, monkeypatch, apart, dtype):
    """Columns h_0 and h_0 + δ h_1 have the condition 2/δ; its square times eps of float32 is 2⁻⁷, or 2: too much."""
    monkeypatch.setattr(newton_cg, "MUCH_TO_MULTIPLY", 1)
    h = np.array([[1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [1.0, -1.0]])
    p = js.Problem(h @ [[1.0, 1.0], [0.0, apart]], np.eye(2)[[0, 0, 1, 1]])
    assert newton_cg._inner(p).dtype == dtype


@pytest.mark.slow
def test_newton_cg_gives_up_products_in_float32_where_they_mislead(x64, monkeypatch):
    """S9: far out on separable data float32 cannot hold H, and the run would end STALLED; in float64 it diverges."""
    monkeypatch.setattr(newton_cg, "MUCH_TO_MULTIPLY", 1)
    monkeypatch.setattr(loop, "FIRST_CHUNK", 1)
    monkeypatch.setattr(loop, "CHUNK_SECONDS", 1e-9)  # the host looks after every step
    iris = js.datasets.load_iris()
    result = js.fit(js.Problem.from_labels(iris.X, iris.y), "newton-cg")
    assert result.status is Status.DIVERGING
    assert [solve.products_dtype for solve in result.inner_solves[:: len(result.inner_solves) - 1]] == [
        "float32",
        "float64",
    ]


def plain_optax(tx, steps):
    W = jnp.zeros((3, 2))
    state, out = tx.init(W), []
    value_fn = lambda W: js.loss(W, problem())  # noqa: E731
    for _ in range(steps):
        value, g = js.value_and_gradient(W, problem())
        out.append(float(value))
        updates, state = optax.with_extra_args_support(tx).update(g, state, W, value=value, grad=g, value_fn=value_fn)
        W = optax.apply_updates(W, updates)
    return out


@pytest.mark.parametrize(
    "make", fast([lambda: optax.adam(0.05), lambda: optax.chain(optax.clip(1.0), optax.sgd(1e-2, 0.9))], 0)
)
def test_transformations_run_as_optax_runs_them(x64, make):
    """The iterates are those of a plain optax loop, bit for bit up to compilation."""
    tx = make()
    np.testing.assert_allclose(losses(tx, 19), plain_optax(tx, 20), rtol=1e-10)


@pytest.mark.slow
def test_lbfgs_converges_and_is_compiled_once(x64):
    """optax.lbfgs carries weak types and compiles twice in a plain jitted loop; here once. Its line search works."""
    tx = optax.lbfgs()
    before = loop.advance._cache_size(), loop.start._cache_size()
    result = js.fit(problem(), tx)
    assert result.converged and result.steps < 60
    assert (loop.advance._cache_size(), loop.start._cache_size()) == (before[0] + 1, before[1] + 1)
    assert result.loss == pytest.approx(js.fit(problem(), "newton").loss, rel=1e-13)


QUICK = ("gd",)
EACH = [pytest.param(m, marks=() if m in QUICK else pytest.mark.slow) for m in (*OWN_METHODS, "adam", "minibatches")]


@pytest.mark.parametrize("method", EACH)
def test_one_trace_on_first_use_and_none_on_the_second_fit(x64, method):
    """Other numbers, tolerance, limit, start, penalty and rank of the same shapes trace nothing; chunks neither."""
    options = {"batch_size": 5, "key": KEY} if method == "minibatches" else {}
    chosen = method if method in OWN_METHODS else optax.adam(0.1)
    rng = np.random.default_rng(len(method))
    data = rng.normal(size=(23, 4))  # shapes that no other test uses
    before = np.array([loop.start._cache_size(), loop.advance._cache_size()])
    js.fit(js.Problem(data, np.eye(3)[np.arange(23) % 3], regularizer=js.L2(0.1)), chosen, max_steps=40, **options)
    assert np.array_equal([loop.start._cache_size(), loop.advance._cache_size()], before + 1)
    data[:, 1] = data[:, 0]
    other = js.Problem(data, np.eye(3)[np.arange(23) % 2], regularizer=js.L2(0.7))
    js.fit(other, chosen, max_steps=30, tol=1e-2, W0=rng.normal(size=(3, 4)), **options)
    assert np.array_equal([loop.start._cache_size(), loop.advance._cache_size()], before + 1)


@pytest.mark.slow
def test_an_epoch_uses_every_sample_at_most_once_with_the_unbiased_gradient(x64):
    """Minibatches: one step of SGD a batch, (N/B) Σ_batch; batches of one epoch are disjoint and follow the key."""
    rate = 1e-3
    result = js.fit(problem(), optax.sgd(rate), batch_size=7, key=KEY, tol=0.0, max_steps=1)
    _, draw = jax.random.split(KEY)
    order = np.asarray(jax.random.permutation(draw, 20))[:14].reshape(2, 7)
    W = np.zeros((3, 2))
    for rows in order:
        W = W - rate * 20 / 7 * loss_and_gradient(W, X[rows], T[rows], S[rows])[1]
    np.testing.assert_allclose(result.W, W, rtol=1e-12, atol=1e-15)
    again = js.fit(problem(), optax.sgd(rate), batch_size=7, key=KEY, tol=0.0, max_steps=1)
    other = js.fit(problem(), optax.sgd(rate), batch_size=7, key=jax.random.key(12), tol=0.0, max_steps=1)
    assert np.array_equal(again.W, result.W) and not np.array_equal(other.W, result.W)


@pytest.mark.slow
def test_minibatches_include_the_penalty_and_take_old_style_keys():
    """S21a: the penalty is not scaled by N/B. A raw uint32 key is the typed one."""
    p = js.Problem(X, T, regularizer=js.L2(5.0))
    whole = js.fit(p, SGD, batch_size=20, key=jax.random.PRNGKey(11), tol=0.0, max_steps=1)
    full = js.fit(p, SGD, tol=0.0, max_steps=1)
    np.testing.assert_allclose(whole.W, full.W, atol=20 * float(np.finfo(np.float32).eps))
    typed = js.fit(p, SGD, batch_size=20, key=KEY, tol=0.0, max_steps=1)
    assert np.array_equal(typed.W, whole.W)


SGD = optax.sgd(1e-3)


@pytest.mark.slow
def test_a_transformation_that_returns_nan_is_rolled_back(x64):
    """NONFINITE: the last good point, and the reason names who left the numbers."""

    def update(updates, state, params=None):
        return jax.tree.map(lambda g: jnp.where(state < 3, -1e-3 * g, jnp.nan), updates), state + 1

    broken = optax.GradientTransformation(lambda params: jnp.zeros((), jnp.int32), update)
    result = js.fit(problem(), broken)
    good = js.fit(problem(), optax.sgd(1e-3), tol=0.0, max_steps=3)
    assert result.status is Status.NONFINITE and result.steps == 3 and "optax led to infinite or" in result.reason
    np.testing.assert_allclose(result.W, good.W, rtol=1e-12)


def test_updates_of_another_shape_are_named():
    bad = optax.GradientTransformation(lambda params: (), lambda g, state, params=None: (jnp.asarray(g)[:, :1], state))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"updates of shape \(3, 1\) for weights of shape \(3, 2\)"):
        js.fit(problem(), bad)


@pytest.mark.slow
def test_too_long_a_rate_is_not_called_convergence(x64):
    """S17: beyond 2/Λ* the iterates do not converge; whatever the end, no claim is made."""
    result = js.fit(problem(), optax.sgd(50.0), max_steps=300)
    assert result.status in (Status.STEP_LIMIT, Status.NONFINITE, Status.STALLED) and not result.converged


FIRST_ORDER = ["gd", *(pytest.param(m, marks=pytest.mark.slow) for m in ("gd-optimal", "agd", "bb", "rychlik-bb"))]


@pytest.mark.slow
@pytest.mark.parametrize("method", FIRST_ORDER)
def test_whitened_features_make_the_condition_independent_of_the_data(x64, method):
    """S19: the same minimum in few steps on data of plain condition number beyond 1e8, W in the given features."""
    p = js.Problem(DEFICIENT * [1.0, 2.0**13, 1.0, 1.0], T, sample_weight=S)
    W0 = RNG.normal(size=(3, 4)) * [1.0, 2.0**-13, 1.0, 1.0]
    result = js.fit(p, method, whiten=True, W0=W0)
    best = js.fit(p, "newton").loss
    assert result.converged and result.steps < 600
    assert result.loss == pytest.approx(float(js.loss(result.W, p)), rel=1e-12)
    assert result.loss - best <= 1e-12 * best
    # The part of W0 in the kernel is kept, in the unit of each feature.
    moved = (result.W - W0).reshape(-1)
    size = np.abs(moved) + np.tile([1.0, 2.0**-13, 1.0, 1.0], 3)
    K = js.null_space(p).basis()
    if method != "rychlik-bb":  # it re-centres
        assert np.all(np.abs(K.T @ moved) <= 1e4 * EPS * (np.abs(K).T @ size))


def test_whitened_gradient_descent_is_the_fixed_hessian_step(x64):
    """S16, S19: with ½X'ᵀSX' = I, Λ = 1 and W − ∇L/Λ is the majorise-minimise step."""
    whitened = js.fit(problem(), "gd", whiten=True, tol=0.0, max_steps=30)
    # The step is 1/Λ rounded outwards, 1 − O(1e-12).
    np.testing.assert_allclose(whitened.history["loss"], losses("mm", 30), rtol=1e-10)
    assert whitened.history["step_size"][0] == pytest.approx(1.0, abs=1e-10)


@pytest.mark.slow
def test_whitening_leaves_the_part_of_the_start_in_the_null_space(x64):
    """S6, S19: a repeated column; what the start has along their difference, no sample sees and no step changes."""
    problem = js.Problem(np.column_stack([X, X[:, 0]]), T, sample_weight=S)
    start = np.zeros((problem.C, problem.D))
    start[:, 0], start[:, -1] = 3.0, -3.0
    found = js.fit(problem, "gd", whiten=True, W0=start, max_steps=3)
    # The columns are scaled to whiten them and back: some eps of the weights, times their number.
    np.testing.assert_allclose(found.W[:, 0] - found.W[:, -1], 6.0, rtol=0, atol=1e3 * EPS * np.abs(found.W).max())


@pytest.mark.slow
def test_whitening_data_without_curvature_changes_nothing():
    """X = 0: there is nothing to whiten, and every W is a minimiser."""
    result = js.fit(js.Problem(np.zeros((4, 2)), np.full((4, 2), 0.5)), "gd", whiten=True)
    assert result.status is Status.GRADIENT_TOLERANCE and result.steps == 0


def test_whitening_needs_a_problem_without_penalty():
    with pytest.raises(ValueError, match="whiten: whitening would change the penalty"):
        js.fit(problem(regularizer=js.L2(0.1)), "gd", whiten=True)
    with pytest.raises(TypeError, match="whiten: got 'yes'"):
        js.fit(problem(), "gd", whiten="yes")


def test_fixed_hessian_claims_no_rate_beside_a_curvature_that_varies():
    """S19, S21b: log-cosh's curvature is not all in M; two L2 penalties are, and so are S21d's samples."""
    W = np.zeros((3, 4))
    make = lambda penalty: js.Problem(X, T, sample_weight=S, regularizer=penalty)  # noqa: E731
    rate = lambda penalty: MajorizeMinimize().rate_bound(make(penalty), W[:, : X.shape[1]], 1.0)  # noqa: E731
    assert rate(js.LogCosh(1.0, 1.0)) is None
    assert rate((js.L2(1.0), js.SelfRegularizer(1.0))) == rate(None) < 1

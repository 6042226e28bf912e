"""Inverses that are kept, and S13's curvature of a lane.

1/tr(A⁻¹) less rounding is below the smallest eigenvalue off the null space, and near; S8 carries it along.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.stages import fast
from jaxsoftmax.calculus.loss.null_space import null_space
from jaxsoftmax.calculus.loss.projected_solve import ComplementProjectors, complement_projectors
from jaxsoftmax.linalg.blocks import placement
from jaxsoftmax.training.loop.protocol import Oracle, Point
from jaxsoftmax.training.many import fit_many as fit_many_module
from jaxsoftmax.training.many import run_lanes
from jaxsoftmax.training.many.fit_path import walk
from jaxsoftmax.training.many.kept import Ground, Kept, KeptNewton, inverse_and_curvature
from jaxsoftmax.training.methods.newton import Newton

EPS = float(np.finfo(np.float64).eps)


def scaled_spectrum(problem, W):
    """Eigenvalues of Σ⁻¹HΣ⁻¹ off the null space on {1ᵀV = 0}, ascending, and Newton's constants."""
    free = null_space(problem)
    constants = complement_projectors(problem, free)
    inverse = np.tile(1 / np.asarray(constants.scale), problem.C)
    H = np.asarray(js.hessian(W, problem).to_dense())
    Q = np.kron(js.helmert(problem.C), np.eye(problem.D))
    values = np.linalg.eigvalsh(Q @ (H * inverse * inverse[:, None]) @ Q.T)
    return values[(problem.C - 1) * free.null.shape[1] :], constants, H


@pytest.mark.slow_cases("a column twice-L2", "a column twice-none")
@pytest.mark.parametrize("penalty", [None, js.L2(1e-6)], ids=["none", "L2"])
@pytest.mark.parametrize("twice", [False, True], ids=["full rank", "a column twice"])
def test_it_is_below_the_smallest_eigenvalue_and_within_the_trace(twice, penalty):
    """1/μ <= tr(A⁻¹) = Σ 1/λ over the spectrum off the null space, and one over the mean eigenvalue on it (S6, S13)."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(30, 3)) * [1.0, 30.0, 0.01]
    X = np.column_stack([X, X[:, :1]]) if twice else X
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X, rng.integers(3, size=30), regularizer=penalty)
        values, constants, H = scaled_spectrum(problem, 0.3 * rng.normal(size=(3, problem.D)))
        found = float(inverse_and_curvature(jnp.asarray(H), constants, 3)[1])
    assert found <= values[0]
    off = H.shape[0] - len(values)
    typical = np.trace(H / np.outer(*[np.tile(constants.scale, 3)] * 2)) / H.shape[0]
    # On the gauge directions the penalty's own curvature is taken out, which the trace of H has in it.
    whole = np.sum(1 / values) + 1.01 * off / typical
    assert found >= 0.99 / whole - 4 * H.shape[0] * EPS * np.linalg.norm(H)


@pytest.mark.slow
def test_one_flat_direction_is_measured_to_a_part_in_a_thousand():
    """The bound is reached where one eigenvalue is far below the rest: tr(A⁻¹) is then 1/μ and little more."""
    with jax.enable_x64(True):
        x = np.array([[1.0, 1.0], [1.0, -1.0], [1e-3, 1.0], [2.0, -2.0]]) @ np.array([[1, 1], [0, 1e-3]])
        problem = js.Problem.from_labels(x, [0, 1, 0, 1], intercept=False)
        values, constants, H = scaled_spectrum(problem, np.zeros((2, 2)))
        found = float(inverse_and_curvature(jnp.asarray(H), constants, 2)[1])
    assert values[0] < 1e-5 * values[1]
    assert 0.999 * values[0] <= found <= values[0]


@pytest.mark.slow
def test_a_curvature_below_the_rounding_is_not_resolved():
    """A null space larger than the constants say leaves the last pivot to rounding: nothing is claimed."""
    with jax.enable_x64(True):
        X = np.column_stack([np.arange(6.0), np.ones(6)])
        problem = js.Problem.from_labels(X, [0, 1, 0, 1, 0, 1], intercept=False)
        constants = complement_projectors(problem, null_space(problem))
        alike = problem.replace(X=jnp.ones_like(problem.X))
        found = float(inverse_and_curvature(js.hessian(np.zeros((2, 2)), alike).to_dense(), constants, 2)[1])
    assert not found > 0


def test_a_smallest_eigenvalue_within_the_rounding_is_not_claimed():
    """(I − 11ᵀ/2) ⊗ diag(1, 4·10⁻¹⁶): the rounding of its entries and factor is 2·CD·eps·‖A‖, more than that."""
    ones = np.ones(2)
    none = np.zeros((2, 2))
    constants = ComplementProjectors(ones, np.eye(2), none, np.eye(2), none)
    with jax.enable_x64(True):
        for least, resolved in ((4e-16, False), (1e-12, True)):
            H = np.kron(np.eye(2) - 0.5, np.diag([1.0, least]))
            found = float(inverse_and_curvature(jnp.asarray(H), constants, 2)[1])
            assert (found > 0) is resolved


RNG = np.random.default_rng(12)
X = RNG.normal(size=(60, 4))
LABELS = np.argmax(X[:, :3] + 1.5 * RNG.gumbel(size=(60, 3)), axis=1)
ALPHAS = np.geomspace(10.0, 0.01, 8)


@pytest.fixture
def keeps(monkeypatch):
    """Inverses are kept on small problems too; what was evaluated is counted."""
    monkeypatch.setattr(run_lanes, "SMALLEST", 1)
    counts = {"evaluate_ground": 0, "train_kept": 0, "train": 0}
    calls = {name: getattr(run_lanes, name) for name in counts}
    for name in counts:

        def counting(*args, name=name):
            counts[name] += 1
            return calls[name](*args)

        monkeypatch.setattr(run_lanes, name, counting)
    return counts


@pytest.mark.slow_cases("L2")
@pytest.mark.parametrize(
    ("penalty", "twice"),
    fast([(js.L2, False), (js.L2, True), (js.SelfRegularizer, False), (js.SelfRegularizer, True)], 0),
    ids=["L2", "L2, a column twice", "self-regulariser", "self-regulariser, a column twice"],
)
def test_a_path_with_inverses_kept_ends_where_fit_does(keeps, penalty, twice):
    """S8, S13: the same minimisers, each with q < 1, from fewer Hessians than steps."""
    samples = np.column_stack([X, X[:, :1]]) if twice else X
    path = js.fit_path(js.Problem.from_labels(samples, LABELS), ALPHAS, penalty=penalty)
    assert keeps["train"] == 0 and path.converged.all() and (path.steps > 0).all()
    if penalty is js.L2:
        assert keeps["evaluate_ground"] < len(ALPHAS) < path.steps.sum()
    for alpha, found in zip(ALPHAS, path, strict=True):
        with jax.enable_x64(True):
            alone = js.fit(js.Problem.from_labels(samples, LABELS, regularizer=penalty(alpha)), "newton")
        assert found.method == "newton-cg" and 0 < found.q_estimate < 1
        gaps = 1.1 * (found.gap_estimate + alone.gap_estimate)
        assert found.loss == pytest.approx(alone.loss, rel=1e-13, abs=gaps)
        np.testing.assert_allclose(found.W, alone.W, rtol=0, atol=1e-6)


@pytest.mark.slow
def test_every_row_of_weights_walks_its_own_path(keeps):
    """Folds: each lane has its own inverse and its own curvature."""
    weights = np.array([np.arange(60) % 3 != fold for fold in range(3)], float) * RNG.uniform(0.5, 2, 60)
    problem = js.Problem.from_labels(X, LABELS)
    for alpha, fits in zip(ALPHAS, walk(problem, [(js.L2(a),) for a in ALPHAS], weights, None, None), strict=True):
        for s, found in zip(weights, fits, strict=True):
            with jax.enable_x64(True):
                alone = js.fit(js.Problem.from_labels(X, LABELS, sample_weight=s, regularizer=js.L2(alpha)), "newton")
            assert found.converged and found.loss == pytest.approx(alone.loss, rel=1e-12)
    assert keeps["evaluate_ground"] < len(ALPHAS)


@pytest.mark.slow
def test_the_q_that_is_said_is_never_below_that_of_the_curvature_at_the_end(keeps):
    """S8, S13: carried along, the curvature only shrinks; at the same W and gradient q only grows."""
    path = js.fit_path(js.Problem.from_labels(X, LABELS), ALPHAS)
    for place, found in enumerate(path):
        with jax.enable_x64(True):
            lanes = run_lanes.lanes_of(run_lanes.Batch(path.problem(place), (), np.ones((1, 60)), None), [0])
            lane = lanes.problem_at(0)
            V = lanes.columns_of(0).inward(found.W)
            H = js.hessian(V, lane).to_dense()
            there = float(inverse_and_curvature(H, lanes.constants_of([0]), 3)[1])
            g = np.asarray(js.gradient(V, lane))
            exact = run_lanes._ratio(lanes, 0, g, there)
        rounded = 1e-13 * 60 / np.linalg.norm(g)  # of the gradient, which is evaluated twice
        assert found.q_estimate >= exact * (1 - rounded)


def scalar_ground(alpha=0.0, penalty=js.L2):
    """One sample x = 1 of two classes at logits 0: on {1ᵀV = 0} the Hessian is 2·¼ + α."""
    return Ground(np.zeros((1, 2, 1)), [(penalty(alpha),)], np.array([0.5 + alpha]), None)


def test_a_curvature_that_moved_logits_lessen_is_below_the_true_one_and_within_four_of_it():
    """S8 on one sample: 2 y₁y₂ falls from ½ by e^{-ρ}, but for the factor (1 + e^{-ρ})² <= 4 that it starts with."""
    for rho in (0.5, 3.0, 20.0):
        y = 1 / (1 + np.exp(rho))
        true = 2 * y * (1 - y)
        found = scalar_ground().curvature_at(0, (js.L2(0.0),), rho)
        assert true / 4 <= found <= true


def test_a_curvature_under_a_weaker_penalty_is_lessened_by_its_ratio():
    """H(end) >= r H(there), equal where the penalty alone has curvature; a stronger penalty adds nothing."""
    ground = scalar_ground(8.0)
    ground.curvatures[:] = 8.0
    assert ground.curvature_at(0, (js.L2(2.0),), 0.0) == 2.0
    assert ground.curvature_at(0, (js.L2(16.0),), 0.0) == 8.0
    assert scalar_ground(0.0).curvature_at(0, (js.L2(1.0),), 0.0) == 0.5


def test_another_self_regulariser_has_other_samples():
    """S21d: its samples are γ e_d: of another γ nothing is carried along."""
    ground = scalar_ground(2.0, js.SelfRegularizer)
    assert ground.curvature_at(0, (js.SelfRegularizer(2.0),), 0.0) == 2.5
    assert ground.curvature_at(0, (js.SelfRegularizer(1.0),), 0.0) == 0.0


def test_other_lanes_take_the_inverses_and_no_curvature():
    ground = scalar_ground(1.0)
    ground.wasted = 9.0
    left = ground.for_others()
    assert left.wasted == 0 and left.inverses is ground.inverses and left.curvature_at(0, (js.L2(1.0),), 0.0) == 0.0
    assert ground.curvature_at(0, (js.L2(1.0),), 0.0) == 1.5


@pytest.mark.slow
def test_later_blocks_begin_at_the_mean_of_the_block_before_unless_a_start_was_given(keeps, monkeypatch):
    """Folds of one problem, two at a time: every one is that of `fit`, and only the first block starts at 0."""
    monkeypatch.setattr(run_lanes, "MOST_NUMBERS", 2 * 4 * 15**2)
    starts, trained = [], fit_many_module.trained

    def told(lanes, places, begun, limits, ground):
        starts.append(np.array([begun[place] for place in places]))
        return trained(lanes, places, begun, limits, ground)

    monkeypatch.setattr(fit_many_module, "trained", told)
    weights = np.array([np.arange(60) % 6 != fold for fold in range(6)], float)
    problem = js.Problem.from_labels(X, LABELS, regularizer=js.L2(0.1))
    found = js.fit_many(problem, sample_weights=weights)
    assert [len(block) for block in starts] == [2, 2, 2] and not starts[0].any() and keeps["train"] == 0
    np.testing.assert_allclose(starts[1], np.broadcast_to(found.W[:2].mean(axis=0), (2, 3, 5)), rtol=0, atol=1e-15)
    for s, one in zip(weights, found, strict=True):
        with jax.enable_x64(True):
            alone = js.fit(js.Problem.from_labels(X, LABELS, sample_weight=s, regularizer=js.L2(0.1)), "newton")
        assert one.converged and one.loss == pytest.approx(alone.loss, rel=1e-12)
    starts.clear()
    js.fit_many(problem, sample_weights=weights, W0=np.ones((3, 5)))
    assert np.all(np.concatenate(starts) == 1)


def test_inverses_are_worn_when_the_products_wasted_have_cost_as_much():
    """N = 60, C·D = 15: two lanes cost 2 (N·15²/2 + 2·15³) = 27,000 operations, a product 3·4·60·15 = 10,800."""
    problem = js.Problem.from_labels(X, LABELS)
    ground = Ground(np.zeros((2, 3, 5)), [], np.ones(2), None, wasted=2.4)
    assert not ground.is_worn(problem)
    ground.wasted = 2.5
    assert ground.is_worn(problem)


@pytest.mark.slow
def test_with_the_inverse_of_the_hessian_at_hand_the_step_is_newtons():
    """S8: conjugate gradients preconditioned by H⁻¹ itself end after one product."""
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X * [1, 30, 0.01, 1], LABELS, regularizer=js.L2(0.1))
        constants = complement_projectors(problem, null_space(problem))
        W = jnp.asarray(0.1 * RNG.normal(size=(3, 5)))
        W = W - W.mean(axis=0)
        value, gradient = js.value_and_gradient(W, problem)
        at, asked = Point(W, value, gradient, jnp.int32(0)), Oracle(problem, placement(problem), jnp.ones(5))
        kept = Kept(inverse_and_curvature(js.hessian(W, problem).to_dense(), constants, 3)[0], constants)
        method = KeptNewton()
        made = method.propose(at, asked, kept, method.begin(at, asked, kept))
        exact = Newton().propose(at, asked, constants, ())
    assert int(made.state.products) == 1
    np.testing.assert_allclose(made.W, exact.W, rtol=0, atol=1e-9)
    assert float(made.decrement) == pytest.approx(float(exact.decrement), rel=1e-9)


@pytest.mark.slow
def test_where_inverses_do_not_serve_newtons_own_way_does_it(keeps, monkeypatch):
    """Separable data without a penalty: no end is reached, and the verdict is that of `fit_many`."""
    with pytest.warns(js.NoMinimizerWarning):
        path = js.fit_path(js.Problem.from_labels(X[:, :1], X[:, 0] > 0), [0.0, 1.0])
    assert [one.name for one in path.status] == ["DIVERGING", "GRADIENT_TOLERANCE"] and keeps["train"] == 1
    monkeypatch.setattr(run_lanes, "evaluate_ground", lambda problem, own, W, constants: (W, jnp.full(len(W), jnp.nan)))
    again = js.fit_path(js.Problem.from_labels(X, LABELS), [1.0])
    assert again.converged.all() and again[0].method == "newton"


@pytest.mark.slow
def test_a_limit_of_steps_holds(keeps):
    """The chunks between which inverses are renewed count as one run."""
    path = js.fit_path(js.Problem.from_labels(X, LABELS), [1e-3], max_steps=2)
    assert path.status[0].name == "STEP_LIMIT" and path[0].steps == 2
    whole = js.fit_path(js.Problem.from_labels(X, LABELS), [1e-3])
    assert whole.converged.all() and whole[0].steps > 4


def test_the_rounding_of_entries_and_of_the_factor_are_both_taken_off():
    """(I − 11ᵀ/2) ⊗ I: A has the eigenvalues 1, 1, ½, ½, so 1/tr(A⁻¹) = 1/6, and CD·eps·‖A‖ is taken off twice.

    The factor of so good a matrix errs by an eps or two itself.
    """
    none = np.zeros((2, 2))
    with jax.enable_x64(True):
        H = jnp.asarray(np.kron(np.eye(2) - 0.5, np.eye(2)))
        constants = ComplementProjectors(np.ones(2), np.eye(2), none, np.eye(2), none)
        found = float(inverse_and_curvature(H, constants, 2)[1])
    assert found == pytest.approx(1 / 6 - 2 * 4 * EPS * np.sqrt(2.5), rel=0, abs=2 * EPS)

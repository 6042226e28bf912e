"""Maps linear in a direction: batches, columns and matrices agree; bounds are screened, then confirmed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.inputs.arguments import read_point
from jaxsoftmax.checker.inputs.budget import Budget, Clock
from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.inputs.linear_maps import ANALYSED, Bounds, LinearMap, doubtful
from jaxsoftmax.checker.inputs.matrices import EntryNames, compare_matrices, entry_path
from jaxsoftmax.checker.inputs.probes import GAUSSIAN, structured_probes
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.numeric.guarantee import guarantee
from jaxsoftmax.checker.report.finding import Subject

U64 = 2.0**-53


def session(at, budget=None, fun=lambda p: sum(jnp.sum(a) for a in jax.tree.leaves(p))):
    point = read_point(at)
    return Session(point, Traced("fun", fun, point, ()), (), np.random.default_rng(0), Clock(budget or Budget()))


def jacobian_map(at, A, budget=None):
    """(x, v) -> A diag(x) v over the raveled leaves of at."""
    s = session(at, budget)

    def fn(c, leaves, v):
        flat = jnp.concatenate([jnp.ravel(a) for a in leaves])
        return [c[0] @ (flat * jnp.concatenate([jnp.ravel(a) for a in v]))]

    return LinearMap(s, fn, [A], s.point.leaves)


AT = {"b": np.float32([1.0, 2.0]), "w": np.float32([[3.0, -4.0, 0.5], [1.5, 2.5, -1.0]])}
FLAT = np.concatenate([AT["b"], AT["w"].ravel()]).astype(np.float64)


def test_values_columns_and_matrix_are_the_map():
    """A diag(x), by single directions, by chosen columns and whole; 8 terms of size below 4 |A|."""
    A = np.random.default_rng(1).standard_normal((5, 8))
    m = jacobian_map(AT, A)
    exact, limit = A * FLAT, 16 * U64 * 4 * np.abs(A).max()
    assert m.width == 8
    assert np.abs(m.matrix() - exact).max() <= limit
    values, units = m.columns(np.array([6, 1]))
    assert values.shape == units.shape == (5, 2) and np.abs(values - exact[:, [6, 1]]).max() <= limit
    v = np.random.default_rng(2).standard_normal((3, 8))
    assert np.abs(m.values(v) - v @ exact.T).max() <= 8 * limit


def test_measuring_more_directions_than_a_batch_pads_and_cuts():
    """11 directions are two batches of 8: no padding is returned, and every row has its own bound."""
    A = np.random.default_rng(1).standard_normal((5, 8))
    m = jacobian_map(AT, A)
    v = np.random.default_rng(2).standard_normal((11, 8))
    values, units = m.measure(v)
    exact = v @ (A * FLAT).T
    assert values.shape == units.shape == (11, 5)
    # the bound covers the error; NumPy's own product adds as much at most
    assert (np.abs(values - exact) <= 2 * U64 * units + 16 * U64 * np.abs(v) @ np.abs(A * FLAT).T).all()
    assert (units > 0).all()


def test_evaluations_are_counted_by_direction():
    m = jacobian_map(AT, np.ones((2, 8)))
    m.values(np.ones((5, 8)))
    assert m.session.clock.evaluations == 5
    m.measure(np.ones((11, 8)))
    assert m.session.clock.evaluations == 16


def test_a_small_budget_of_bytes_makes_small_chunks():
    """The matrix is the same one, column by column."""
    A = np.random.default_rng(1).standard_normal((5, 8))
    m = jacobian_map(AT, A, Budget(bytes=1))
    assert m.chunk() == 1
    assert np.abs(m.matrix() - A * FLAT).max() <= 16 * U64 * 4 * np.abs(A).max()


def test_a_primitive_without_batching_runs_one_by_one():
    """pure_callback with no vmap_method cannot be batched: lax.map stands in."""
    s = session(np.ones(3, "f4"))

    def fn(c, leaves, v):
        return [jax.pure_callback(lambda a: 2 * np.asarray(a), jax.ShapeDtypeStruct((3,), np.float64), v[0])]

    m = LinearMap(s, fn, [], s.point.leaves)
    np.testing.assert_array_equal(m.values(np.arange(6.0).reshape(2, 3)), 2 * np.arange(6.0).reshape(2, 3))


def test_probes_leave_out_entries_without_a_derivative():
    m = jacobian_map(AT, np.ones((2, 8)))
    m.session.nonsmooth.add(3)
    drawn = m.probes(4)
    assert drawn.shape == (4, 8) and not drawn[:, 3].any() and (drawn[:, :3] != 0).all()


def whole(source, rng):
    """The bounds of a map that the budget allows whole."""
    found = Bounds.of(source, rng)
    assert found is not None
    return found


def test_all_columns_of_a_small_map_are_analysed():
    A = np.random.default_rng(1).standard_normal((5, 8))
    found = whole(jacobian_map(AT, A), np.random.default_rng(0))
    assert found.done == set(range(8)) and found.units.shape == found.matrix.shape == (5, 8)


def test_screening_bounds_of_a_large_map_cover_the_true_ones():
    """Of 100 columns 16 are analysed; the others' carried bounds are confirmed, never below half of their own analysis.

    A has one sign pattern and entries in [1, 2]: all columns are alike, so what is carried over from the sample is the
    column's own bound up to the spread 2 of the entries.
    """
    rng = np.random.default_rng(3)
    n = ANALYSED + 36
    found = whole(jacobian_map(rng.uniform(1, 2, n).astype("f4"), rng.uniform(1, 2, (4, n))), rng)
    assert len(found.done) <= 16 and int(np.abs(found.matrix).max(axis=0).argmax()) in found.done
    screened = found.units.copy()
    fresh = np.array([c for c in range(n) if c not in found.done][:5])
    found.confirm(fresh)
    assert set(fresh.tolist()) <= found.done
    assert (screened[:, fresh] >= 0.5 * found.units[:, fresh]).all()
    others = [c for c in range(n) if c not in fresh]
    np.testing.assert_array_equal(screened[:, others], found.units[:, others])


def test_zero_columns_of_a_large_map_have_zero_bounds():
    """A column of zeros times anything is exact; no NaN comes of 0/0."""
    n = ANALYSED + 10
    A = np.ones((3, n))
    A[:, 7] = 0.0
    found = whole(jacobian_map(np.ones(n, "f4"), A), np.random.default_rng(0))
    assert np.isfinite(found.units).all() and not found.matrix[:, 7].any() and not found.units[:, 7].any()


def test_doubtful_columns_come_worst_first():
    """error/tolerance by column: 3, 0 (0/0 passes), NaN (worst), 1.5, 1 (passes)."""
    error = np.array([[3.0, 0.0, np.nan, 0.0, 1.0], [0.0, 0.0, 0.0, 1.5, 0.0]])
    tolerance = np.array([[1.0, 0.0, 1.0, 1.0, 1.0], [1.0, 0.0, 1.0, 1.0, 1.0]])
    assert doubtful(error, tolerance).tolist() == [2, 0, 3]
    assert doubtful(np.zeros((0, 3)), np.zeros((0, 3))).tolist() == []


def test_entries_are_named_by_path_and_index():
    """b comes before w; ravel order is row-major."""
    names = EntryNames(session(AT))
    assert [names(i) for i in (0, 1, 2, 7)] == ["['b'][0]", "['b'][1]", "['w'][0, 0]", "['w'][1, 2]"]
    assert entry_path([""], [()], 0) == ""
    with pytest.raises(IndexError):
        names(8)


def test_matrix_comparisons_name_row_and_column_and_leave_kinks_out():
    s = session(AT)
    names = EntryNames(s)
    theirs = np.eye(8)
    ours = theirs.copy()
    ours[2, 7] += 1e-3
    finding = compare_matrices(s, "order 2", Subject("hvp"), "r", ours, theirs, 1e-6, 0.0, names, names)
    assert not finding.check.passed and finding.check.worst["path"] == "['w'][0, 0], ['w'][1, 2]"
    s.nonsmooth.add(7)
    assert compare_matrices(s, "order 2", Subject("hvp"), "r", ours, theirs, 1e-6, 0.0, names, names).check.passed
    # a name that is no EntryNames is not an entry of the point: its axis stays
    rows = lambda i: f"direction {i}"  # noqa: E731
    ours[7, 0] += 1.0
    assert not compare_matrices(s, "order 2", Subject("hvp"), "r", ours, theirs, 1e-6, 0.0, rows, names).check.passed


def test_only_gaussian_directions_and_basis_vectors_are_said_to_guarantee_anything():
    """The others look where errors of structure are; the sentence counts 8 Gaussian ones, however many there are."""
    m = jacobian_map(AT, np.eye(8))
    flat, names = structured_probes(m.session, "hvp", m, ["b", "w"])
    assert len(flat) == len(names) > GAUSSIAN
    basis = sum(np.count_nonzero(row) == 1 and set(row) <= {0, 1} for row in flat)
    assert m.session.guarantee == f"hvp: {guarantee(8, gaussian=GAUSSIAN, entries=basis)}"
    assert m.session.guarantee != f"hvp: {guarantee(8, gaussian=len(flat), entries=basis)}"

"""What comparisons of second order and along directions allow for, each formula written out once more.

psd=True: what the eigensolver itself may err by is allowed for, also where the Hessian is known exactly.
"""

from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.compare import (
    as_run,
    autodiff,
    directional,
    first_order,
    jacobian,
    kink_entries,
    mpmath_twin,
    routes,
    second_order,
    witnesses,
)
from jaxsoftmax.checker.compare.autodiff import dot, dot_tolerance
from jaxsoftmax.checker.compare.curvature import Curvature, _smallest_form, check_semidefinite
from jaxsoftmax.checker.inputs import context, linear_maps
from jaxsoftmax.checker.inputs.context import U64
from jaxsoftmax.checker.numeric.kinks import Shape
from jaxsoftmax.checker.numeric.second_differences import SecondDifference
from jaxsoftmax.checker.report.verdict import Says


def found_and_allowed(matrix, units):
    """(the smallest eigenvalue if negative, its tolerance) for a Hessian known to `units` roundings an entry."""
    rows = []
    session = SimpleNamespace(point=SimpleNamespace(size=len(matrix)), add=lambda *given, **_: rows.append(given))
    check_semidefinite(session, Curvature(None, matrix, SimpleNamespace(units=units), ""))
    ((_, _, _, (found,), (expected,), (allowed,)),) = rows
    assert expected == 0
    return found, allowed


def test_an_exact_singular_matrix_is_semidefinite():
    """Weyl, S5: vvᵀ of whole numbers is exact and of rank 1; its other 29 eigenvalues are computed as ±u of the first.

    A symmetric eigensolver is backward stable: 4n u ‖S‖ allows for it, beside what the entries may err by.
    """
    n, least = 30, 0.0
    for seed in range(5):
        v = np.random.default_rng(seed).integers(1, 100, n).astype(float)
        S = np.outer(v, v)
        found, allowed = found_and_allowed(S, np.zeros((n, n)))
        np.testing.assert_allclose(allowed, 4 * n * U64 * np.linalg.norm(S), rtol=1e-12)
        assert -allowed <= found <= 0
        least = min(least, found)
    assert least < 0
    _, wider = found_and_allowed(S, np.full((n, n), 7.0))
    np.testing.assert_allclose(wider, allowed + 7 * n * U64, rtol=1e-12)


def test_symmetry_allows_for_what_the_products_may_err_by(monkeypatch):
    """<u, Hv> and <v, Hu>: Σ|u| tol(Hv) of both, beside the rounding of the two sums, (4 + 2√n) u Σ|u||Hv|."""
    seen = []
    monkeypatch.setattr(second_order, "compare_matrices", lambda *given, **_: seen.append(given[4:7]))
    probes, products = np.array([[1.0, -2.0], [0.5, 4.0]]), np.array([[3.0, 1.0], [-7.0, 2.0]])
    tolerance = np.array([[0.25, 0.0], [1.0, 8.0]])
    second_order._check_symmetric(None, products, tolerance, probes)
    ((ours, theirs, allowed),) = seen
    np.testing.assert_array_equal(ours, [[1.0, -11.0], [5.5, 4.5]])
    np.testing.assert_array_equal(theirs, ours.T)
    sums = np.array([[5.0, 11.0], [5.5, 11.5]]) * (4 + 2 * np.sqrt(2)) * U64
    one = np.array([[0.25, 17.0], [0.125, 32.5]]) + sums
    np.testing.assert_allclose(allowed, one + one.T, rtol=1e-15)


def test_the_smallest_form_is_the_least_but_for_its_rounding():
    """v'Hv / v'v of the vector for which it is least even so: u Σ|v| (e + (4 + 2√n)|Hv|) / v'v may be wrong."""
    H, units, n = np.diag([-3.0, 2.0]), 5.0, 2
    products = SimpleNamespace(values=lambda V: V @ H, measure=lambda V: (V @ H, np.full(V.shape, units)))
    session = SimpleNamespace(normal=lambda count: np.ones((count, n)))
    form, allowed = _smallest_form(session, Curvature(products, None, None, ""), n)
    assert form == -3.0
    np.testing.assert_allclose(allowed, U64 * (units + (4 + 2 * np.sqrt(2)) * 3), rtol=1e-14)


def captured(monkeypatch, module):
    """The (ours, theirs, tolerance, own) that are handed to `compare_matrices`."""
    seen = []
    monkeypatch.setattr(module, "compare_matrices", lambda *given, **_: seen.append(given[4:8]))
    return seen


def test_linearity_allows_for_the_products_and_for_two_sums(monkeypatch):
    """hvp(−3v + w) = −3 hvp(v) + hvp(w), hvp(−8v) = −8 hvp(v): each product's error by its factor; four roundings."""
    seen = captured(monkeypatch, second_order)
    given, units = np.array([[1.0, -2.0], [3.0, 5.0]]), np.array([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0], [64.0, 128.0]])
    session = SimpleNamespace(
        smooth=lambda V: V, point=SimpleNamespace(size=2), rng=SimpleNamespace(integers=lambda *_: given)
    )
    second_order._check_linear(session, SimpleNamespace(measure=lambda V: (2 * V, units)))
    ((ours, theirs, allowed, own),) = seen
    v, w = given
    np.testing.assert_array_equal(ours, [2 * (w - 3 * v), -16 * v])
    np.testing.assert_array_equal(theirs, ours)
    sums = 4 * np.array([6 * np.abs(v) + 2 * np.abs(w), 16 * np.abs(v)])
    wanted = np.array([units[0] + 3 * units[2] + units[3], units[1] + 8 * units[2]]) + sums
    np.testing.assert_allclose(allowed, U64 * wanted, rtol=1e-15)
    assert own == 0


def test_a_probed_hessian_allows_for_its_own_product(monkeypatch):
    """Three times what the products beside it may err by, and (4 + 2√n) u Σ|v||h| of the product made here."""
    seen = captured(monkeypatch, second_order)
    probes, H = np.array([[1.0, -2.0]]), np.array([[3.0, 1.0], [1.0, -4.0]])
    monkeypatch.setattr(second_order, "structured_probes", lambda *_: (probes, ["one"]))
    monkeypatch.setattr(second_order, "EntryNames", lambda session: None)
    session = SimpleNamespace(point=SimpleNamespace(size=2, paths=[""]), wide=list, values=lambda *_: (H,))
    products = SimpleNamespace(measure=lambda V: (V @ H, np.full(V.shape, 7.0)))
    second_order._probe_hessian(session, None, None, Curvature(products, None, None, ""))
    ((_, _, allowed, own),) = seen
    np.testing.assert_allclose(allowed, U64 * (21 + (4 + 2 * np.sqrt(2)) * np.array([[5.0, 9.0]])), rtol=1e-15)
    np.testing.assert_array_equal(own, np.full((1, 2), 7 * U64))


def test_a_rule_as_it_runs_allows_for_its_dtype_and_for_the_truth(monkeypatch):
    """u of the working dtype times the rule's units, and float64's times those of the truth."""
    seen, leaves = captured(monkeypatch, as_run), [jnp.ones(2)]
    session = SimpleNamespace(
        u=2.0**-24,
        point=SimpleNamespace(leaves=leaves, dtype="float32"),
        like_point=lambda probe: [jnp.asarray(probe)],
        clock=SimpleNamespace(evaluations=0),
    )
    traced = SimpleNamespace(as_run=lambda leaves, parts: [2 * parts[0]])
    probes, own, units = np.array([[1.0, -2.0]]), np.array([[3.0, 5.0]]) * 2.0**40, np.array([[7.0, 11.0]])
    hand = SimpleNamespace(inputs=leaves)
    as_run.check_as_run(session, "", "", "", traced, hand, None, probes, 2 * probes, own, units, str, str)
    ((ours, _, allowed, known),) = seen
    np.testing.assert_array_equal(ours, [[2.0], [-4.0]])
    np.testing.assert_allclose(allowed, (2.0**-24 * units + U64 * own).T, rtol=1e-15)
    np.testing.assert_allclose(known, (U64 * own).T, rtol=1e-15)


@pytest.mark.parametrize("iterative", [False, True])
def test_second_differences_allow_for_half_of_the_digits_and_ten_times_their_doubt(monkeypatch, iterative):
    """√u Σ|v Hv| of the rule, a hundredth more in a loop that stops at a tolerance, and ten estimates of the error.

    An estimate of a half of the value says nothing.
    """
    added, notes = [], []
    session = SimpleNamespace(
        findings=[], quick=False, iterative=iterative, split=lambda v: v, note=notes.append,
        normal=lambda count: np.array([[1.0, 1.0], [1.0, 1.0]]), add=lambda *given, **_: added.append(given),
    )  # fmt: skip
    errors = iter([0.01, 0.3])
    found = SimpleNamespace(lean=False, second=lambda direction: SecondDifference(1.0, next(errors), 0.0))
    monkeypatch.setattr(second_order, "routes_of", lambda session: found)
    monkeypatch.setattr(second_order, "together", lambda says: Says.SUSPECTS)
    second_order.check_values(session, "hvp", lambda V: V * [-2.0, 3.0])
    ((*_, mine, theirs, limits),) = added
    assert (float(mine[0][0]), float(theirs[0][0])) == (1.0, 1.0)
    np.testing.assert_allclose(limits, [[(np.sqrt(U64) + 0.01 * iterative) * 5 + 0.1]], rtol=1e-14)
    assert len(notes) == 1 and "left out along random 1" in notes[0]


def test_a_loop_that_stops_early_has_the_doubt_of_going_on(monkeypatch):
    """The second difference of the loop as it is, and how far the one of the loop that goes on lies from it."""
    monkeypatch.setattr(routes, "stops_at_a_tolerance", lambda jaxpr: True)
    found = iter([SecondDifference(5.0, 0.25, 0.0), SecondDifference(5.5, 0.125, 0.0)])
    monkeypatch.setattr(routes, "second_difference", lambda *_: next(found))
    session = SimpleNamespace(wide=list, clock=SimpleNamespace(evaluations=0))
    stand_in = SimpleNamespace(
        session=session, value=SimpleNamespace(jaxpr=None), later=None, _kernel=lambda *_: None, _batch=None
    )
    assert routes.Routes.second(stand_in, []) == SecondDifference(5.0, 0.25 + 0.5 + 0.125, 0.0)


def test_a_slope_may_err_by_its_gradient_and_by_the_sum():
    """Σ t|v| of the gradient's tolerances, and (4 + 2√n) u Σ|g v|; a route's own bound beside it."""
    g, v, t = ([np.array([1.0, -2.0]), np.array([3.0])], [np.array([4.0, 5.0]), np.array([-6.0])], [0.5, 0.25])
    assert dot(g, v) == -24.0
    np.testing.assert_allclose(dot_tolerance(g, v, t), 0.5 * 9 + 0.25 * 6 + U64 * (4 + 2 * np.sqrt(3)) * 32, rtol=1e-15)
    rows = []
    session = SimpleNamespace(add=lambda *given, **_: rows.append(given[3:]))
    directional._add(session, "", "", [1.0, 2.0], [1.5, 2.5], [0.25, 0.5], [8.0, 16.0], ["a", "b"])
    ((_, _, tolerance, bounds),) = rows
    assert np.ravel(tolerance).tolist() == [8.25, 16.5] and np.ravel(bounds).tolist() == [8.0, 16.0]


def test_code_that_nobody_sees_into_has_twice_the_bound_of_the_truth():
    """2 t + 4 |v| where nothing is known, the value's first; where a bound is known it stays."""
    session, truth = (
        SimpleNamespace(note=lambda text: None),
        SimpleNamespace(value=3.0, value_units=0.5, gradient=[np.array([-2.0, 5.0])], units=[np.array([7.0, 11.0])]),
    )
    gradient = np.array([np.inf, 1.0])
    found = first_order._foreign_units(session, [np.array(np.inf), gradient], truth, True)
    assert float(found[0]) == 2 * 0.5 + 4 * 3 and found[1].tolist() == [2 * 7 + 4 * 2, 1.0]
    assert first_order._foreign_units(session, [gradient], truth, False)[0].tolist() == [22.0, 1.0]


def test_routes_along_a_direction_have_their_bounds(monkeypatch):
    """Forward mode's bound, four times it for a complex step; samples are noisy by what the value may err by."""
    added, noises, differences = [], [], []
    probe = SimpleNamespace(name="one", leaves=[np.array([2.0])])
    found = SimpleNamespace(
        lean=False,
        complex_refusal=lambda: None,
        complex_step=lambda leaves: 6.0,
        difference=lambda leaves, noise: noises.append(noise),
    )
    session = SimpleNamespace(
        quick=False, branched=False, note=lambda text: None, add=lambda *given, **_: added.append(given[2:])
    )
    monkeypatch.setattr(directional, "routes_of", lambda session: found)
    monkeypatch.setattr(directional, "probe_directions", lambda *_: [probe])
    monkeypatch.setattr(directional, "_forward", lambda *_: (6.0, 0.5))
    monkeypatch.setattr(directional, "check_differences", lambda *given: differences.append(given))
    for units in (3.0, np.inf):
        truth = SimpleNamespace(
            route=directional.REVERSE, gradient=[np.array([3.0])], tolerance=[np.array([0.25])], value_units=units
        )
        directional.check_along(session, [], truth)
    own = 0.25 * 2 + U64 * 6 * 6
    limits = {route: float(tolerance[0][0]) for route, _, _, tolerance, _ in added}
    assert limits == {directional.FORWARD: own + 0.5, "complex step (float64)": own + 4 * 0.5}
    assert noises == [3 * U64, 0.0] and [given[-1] for given in differences] == noises


def test_differences_allow_for_ten_times_their_estimate(monkeypatch):
    """A slope whose own error has no bound is held to half of the digits, and not to none."""
    rows = []
    session = SimpleNamespace(add=lambda *given, **_: rows.append(given[3:6]))
    found = [SimpleNamespace(value=2.0, error_estimate=0.25), SimpleNamespace(value=-3.0, error_estimate=0.25)]
    probes = [SimpleNamespace(name=name, leaves=None) for name in "ab"]
    directional.check_differences(session, None, "rule", [2.0, -3.0], [0.5, np.inf], found, probes, 0.0)
    ((ours, _, tolerance),) = rows
    assert np.ravel(ours).tolist() == [2.0, -3.0]
    np.testing.assert_allclose(np.ravel(tolerance), [0.5 + 2.5, 3 * U64**0.5 + 2.5], rtol=1e-15)


@pytest.mark.parametrize("opaque", [False, True])
def test_a_gradient_by_differences_has_ten_times_their_estimate(monkeypatch, opaque):
    """Foreign code rounds its values to the dtype that it was traced with: four roundings of the value."""
    noises = []

    def difference(direction, noise):
        noises.append(noise)
        return SimpleNamespace(value=5.0, error_estimate=0.25)

    monkeypatch.setattr(autodiff, "routes_of", lambda s: SimpleNamespace(value=None, difference=difference))
    session = SimpleNamespace(
        u=2.0**-24, point=SimpleNamespace(size=2), fun=SimpleNamespace(replay=SimpleNamespace(opaque=opaque)),
        note=lambda text: None, values=lambda *_: [-3.0], wide=list, basis=lambda i: None, split=lambda v: [v],
    )  # fmt: skip
    truth = autodiff._by_differences(session)
    rounding = 12 * 2.0**-24 if opaque else 0.0
    assert noises == [rounding] * 2 and truth.value_units == rounding / U64
    assert truth.gradient[0].tolist() == [5.0, 5.0] and truth.units[0].tolist() == [2.5 / U64] * 2


def test_values_reject_a_slope_only_where_they_see_no_kink(monkeypatch):
    """Remainders fall too slowly with the slope and its error, and not so with the difference and ten of that."""
    asked = []

    def taylor(direction, slope, bend, noise, doubt):
        asked.append((slope, noise, doubt))
        return SimpleNamespace(passed=slope == 2.0)

    found, values = SimpleNamespace(value=2.0, error_estimate=0.25), SimpleNamespace(taylor=taylor)
    for shape, error, believed in (
        (Shape.SMOOTH, 0.25, True),
        (Shape.KINK, 0.25, False),
        (Shape.NOISE, 0.25, False),
        (Shape.SMOOTH, np.inf, False),
    ):
        monkeypatch.setattr(witnesses, "kink", lambda found, shape=shape: SimpleNamespace(shape=shape))
        found.error_estimate = error
        assert witnesses.credible(values, None, found, 3.0, 0.5, 0.125) is believed
    assert asked == [(2.0, 0.125, 2.5), (3.0, 0.125, 0.5)]


def test_rounded_data_excuse_what_their_bounds_add_and_nothing_unknown(monkeypatch):
    """What rounding the data once adds to the bounds of formula and truth; what is unknown is nothing."""
    seen = []
    monkeypatch.setattr(first_order, "primitives", lambda jaxpr: set())
    monkeypatch.setattr(
        first_order, "leafwise",
        lambda *given: seen.append(given[5]) or SimpleNamespace(check=SimpleNamespace(passed=False)),
    )  # fmt: skip
    bounds = {True: np.array([5.0, np.inf, 1.0]), False: np.array([2.0, np.inf, 3.0])}
    code = SimpleNamespace(jaxpr=None)
    session = SimpleNamespace(
        u=2.0**-24, wide=list, point=SimpleNamespace(paths=[""]),
        measure=lambda program, wide, data=False: SimpleNamespace(errors=[np.array(0.0), bounds[data]]),
    )  # fmt: skip
    judged = SimpleNamespace(target=[np.zeros(3)], tolerance=[np.array([0.5, 0.25, 0.125])])
    check = SimpleNamespace(quantity="", route="")
    truth = SimpleNamespace(gradient=[np.zeros(3)], program=code)
    first_order._excused(session, SimpleNamespace(check=check), code, None, judged, truth, True)
    ((tolerance,),) = seen
    np.testing.assert_array_equal(tolerance, np.array([0.5, 0.25, 0.125]) + 2.0**-24 * np.array([6.0, 0.0, 0.0]))


@pytest.mark.parametrize(("units", "jumps"), [(920, False), (936, True)])
def test_a_function_jumps_where_it_moves_more_than_its_slope_and_its_rounding_explain(monkeypatch, units, jumps):
    """Eight times the steepest slope times the step, four roundings of the value, and 2⁻⁴⁴ of it.

    At 1, along 2, the step is 2⁻⁴⁰: 8 · 20 · 2⁻⁴¹, four times 2⁻³⁵ and 2⁻⁴⁴ · 2¹² are 160 + 256 + 512 units of 2⁻⁴¹.
    """
    found = SimpleNamespace(value=0.0, error_estimate=0.0, left=-1.0, right=1.0)
    values = SimpleNamespace(lean=False, difference=lambda probe, noise: found)
    monkeypatch.setattr(witnesses, "routes_of", lambda session: values)
    monkeypatch.setattr(witnesses, "credible", lambda *_: False)
    session = SimpleNamespace(
        split=lambda v: [v], normal=lambda count: np.array([[2.0]]), like_point=lambda x: x, note=lambda text: None,
        point=SimpleNamespace(leaves=[np.array([1.0])]), iterative=False, contradicted=False,
        values=lambda program, x: [4096 + units * 2.0**-41, np.array([10.0])],
    )  # fmt: skip
    truth = SimpleNamespace(
        route="", gradient=[np.array([10.0])], tolerance=[np.array([0.0])], value=4096.0, value_units=2.0**18,
        program=None,
    )  # fmt: skip
    assert witnesses.settle(session, truth) is truth
    assert session.contradicted is jumps


def test_gradients_on_both_sides_may_differ_by_their_step():
    """Just beside the point the gradient is known to |right − left| and 2⁻³⁶ of its largest entry."""
    truth = SimpleNamespace(gradient=[np.array([1024 + 0.9 * 2.0**-26, 0.4])], tolerance=[np.zeros(2)])
    sides = [np.array([1024.0, 0.0]), np.array([1024.0, 0.5])]
    known = SimpleNamespace()  # nothing is asked of the check where the point's own gradient is near enough
    for share, near in ((0.9, True), (1.1, False)):
        found = witnesses._beside(known, truth, sides, np.array([1.0, 0.0]), 1024 + share * 2.0**-26, 0.0)
        assert (found is truth) is near and (found is None) is not near


def test_a_bound_that_leaves_less_than_six_bits_is_given_up():
    """u e of a leaf's largest entry beside a 64th of it; zeros and what is not finite give nothing up."""
    hopeless, u = context._hopeless, 2.0**-24
    value = np.array([1.0, -64.0])
    for share, given_up in ((1.0, False), (1.01, True), (np.inf, True)):
        assert hopeless([value], [np.array([np.inf, share / u])], u) is given_up
    assert not hopeless([np.zeros(2), np.array([np.nan, 1.0])], [np.full(2, np.inf)] * 2, u)
    assert hopeless([np.zeros(2), value], [np.full(2, np.inf)] * 2, u)


def test_a_quick_check_is_held_to_half_of_the_digits():
    """√u of the largest entry, u that of the working dtype, and no more."""
    session = SimpleNamespace(u=2.0**-24)
    found = context.Session.capped(session, np.array([1.0, 1e-9]), np.array([3.0, -8.0]))
    np.testing.assert_array_equal(found, [8 * 2.0**-12, 1e-9])


def test_bounds_of_columns_that_were_not_analysed_are_those_of_a_sample_in_proportion(monkeypatch):
    """A row's largest bound relative to the size of its column, carried over; the largest column is in the sample."""
    monkeypatch.setattr(linear_maps, "ANALYSED", 2)
    matrix = np.array([[1.0, 2.0, 0.0, 8.0], [4.0, -1.0, 0.5, 2.0]])
    found = np.array([[2.0, 8.0], [16.0, 4.0]])  # of columns 0 and 3, whose sizes are 4 and 8
    source = SimpleNamespace(width=4, matrix=lambda: matrix, columns=lambda picked: (matrix[:, picked], found))
    bounds = linear_maps.Bounds.of(source, SimpleNamespace(choice=lambda *_, **__: np.array([0])))
    assert bounds.done == {0, 3}
    np.testing.assert_array_equal(bounds.units, [[2.0, 2.0, 0.5, 8.0], [16.0, 8.0, 2.0, 4.0]])


def test_one_negative_direction_of_many_is_found_by_lanczos():
    """psd=True, matrix free: of 70 eigenvalues the smallest, −0.01, which no random vector shows."""
    n = 70
    H = np.diag([*np.ones(n - 1), -0.01])
    products = SimpleNamespace(values=lambda V: V @ H, measure=lambda V: (V @ H, np.zeros(V.shape)))
    rng = np.random.default_rng(3)
    form, allowed = _smallest_form(
        SimpleNamespace(normal=lambda count: rng.normal(size=(count, n))), Curvature(products, None, None, ""), n
    )
    assert form == pytest.approx(-0.01, rel=1e-9) and allowed < 1e-12


def test_the_duality_of_two_rules_allows_for_the_products_of_both(monkeypatch):
    """<ct, Jv> = <ct J, v>: each product's error by the other vector, and the two sums."""
    seen = captured(monkeypatch, jacobian)
    monkeypatch.setattr(jacobian, "excused", lambda session, traced, name, ours, theirs, allowed, coarse: allowed)
    probes, duals = np.array([[1.0, -2.0], [0.5, 4.0]]), np.array([[3.0, 1.0], [-1.0, 2.0]])
    push, pull = np.full((2, 2), 5.0), np.full((2, 2), 7.0)
    forward = SimpleNamespace(probes=lambda k: probes, measure=lambda V: (2 * V, push), width=2)
    reverse = SimpleNamespace(probes=lambda k: duals, measure=lambda V: (2 * V, pull), width=2)
    session = SimpleNamespace(smooth=lambda V: V, u=2.0**-24)
    jacobian.check_dual(session, forward, reverse, [SimpleNamespace(name="jvp")])
    ((ours, theirs, allowed, own),) = seen
    np.testing.assert_array_equal(ours, theirs)
    sums = U64 * (4 + 2 * np.sqrt(2)) * np.abs(duals) @ np.abs(2 * probes).T
    np.testing.assert_allclose(own, sums + U64 * 7 * np.abs(probes).sum(axis=1), rtol=1e-14)
    np.testing.assert_allclose(allowed, own + sums + U64 * 5 * np.abs(duals).sum(axis=1)[:, None], rtol=1e-14)


JUDGED = {
    # name: (ours, target, slopes of both sides and their slack, kinked) -> (target, tolerance) that ours is held to
    "between the slopes of a kink": ((0.5, 2.0, (-1.0, 1.0, 0.01), True), (0.5, 0.11)),
    "the slopes of a kink and their slack": ((-1.11, 2.0, (1.0, -1.0, 0.01), True), (-1.11, 0.11)),
    "beyond the slopes of a kink": ((1.125, 2.0, (-1.0, 1.0, 0.01), True), (2.0, 0.1)),
    "slopes that are one": ((1.0, 2.0, (1.0, 1.125, 0.1), True), (2.0, 0.1)),
    "no kink": ((0.5, 2.0, (-1.0, 1.0, 0.01), False), (2.0, 0.1)),
    "no derivative of the program": ((7.0, np.nan, (2.0, 2.5, 0.15), False), (2.25, 1.0)),
    "no derivative and no slope": ((7.0, np.nan, (2.0, np.inf, 0.15), False), (np.nan, 0.1)),
    "within the tolerance": ((2.05, 2.0, None, True), (2.0, 0.1)),
}


@pytest.mark.parametrize("name", JUDGED)
def test_an_entry_in_doubt_is_held_to_the_slopes_of_both_sides(name, monkeypatch):
    """Of a kink any value between them is right, up to their slack and the rule's own; of NaN the middle of both."""
    (ours, target, sides, kinked), (held, allowed) = JUDGED[name]
    monkeypatch.setattr(kink_entries, "routes_of", lambda session: SimpleNamespace(lean=False, difference=lambda v: v))
    monkeypatch.setattr(kink_entries, "kink", lambda found: SimpleNamespace(kinked=kinked, evidence="e"))
    monkeypatch.setattr(kink_entries, "EntryNames", lambda session: lambda i: f"x[{i}]")
    monkeypatch.setattr(kink_entries, "_sides", lambda session, truth, i, found: sides)
    notes = []
    session = SimpleNamespace(
        basis=lambda i: i, kinks=[], nonsmooth=set(), note=notes.append, split=lambda flat: [flat]
    )
    found = kink_entries.judge(session, None, [np.array([3.0, ours])], [np.array([3.0, target])], [np.full(2, 0.1)])
    np.testing.assert_allclose(found.target[0], [3.0, held], rtol=1e-15)
    np.testing.assert_allclose(found.tolerance[0], [0.1, allowed], rtol=1e-13)
    assert session.nonsmooth == ({1} if held == ours else set())
    assert bool(notes) == bool(held == ours or np.isnan(target))


def test_slopes_beside_a_point_are_those_of_the_program_or_of_differences(monkeypatch):
    """Autodiff at x ± 2^-50 |x|, known to 2^-40 of the larger; else ten times the worse estimate."""
    found = SimpleNamespace(left=-1.0, right=1.5, left_error=0.25, right_error=0.125)
    at, moved = [np.array([4.0, 0.0])], []

    def values(program, leaves):
        moved.append(leaves[0])
        return [np.zeros(1), program(leaves[0])]

    session = SimpleNamespace(
        point=SimpleNamespace(leaves=at), wide=lambda: at, basis=lambda i: [np.eye(2)[i]], values=values
    )
    program = SimpleNamespace(route=autodiff.REVERSE, program=lambda x: np.where(x > [4.0, 0.0], 3.0, -8.0))
    for i, step in ((0, 4 * 2.0**-50), (1, 4 * 2.0**-300)):
        moved.clear()
        assert kink_entries._sides(session, program, i, found) == (-8.0, 3.0, 8 * 2.0**-40)
        assert [x[i] - at[0][i] for x in moved] == [-step, step]
    nowhere = SimpleNamespace(route=autodiff.REVERSE, program=lambda x: np.full(2, np.nan))
    by_values = SimpleNamespace(route=autodiff.DIFFERENCES)
    for truth in (nowhere, by_values):
        assert kink_entries._sides(session, truth, 0, found) == (-1.0, 1.5, 2.5)


def test_a_twin_in_50_digits_leaves_the_tolerance_to_the_other_side():
    """The value's 2 u and its bound; each slope's own, dot's rounding and 1e-30 of the twin's."""
    pytest.importorskip("mpmath")
    rows = []
    session = SimpleNamespace(
        args=(), normal=None, basis=lambda i: [np.eye(2)[i]], split=lambda flat: [np.asarray(flat, np.float64)],
        point=SimpleNamespace(size=2, leaves=[np.array([3.0, -2.0])], unflatten=lambda leaves: leaves[0]),
        add=lambda statement, subject, route, *given, **_: rows.append((subject.rule, *(part[0] for part in given))),
    )  # fmt: skip
    truth = SimpleNamespace(
        value=-45.5, value_units=3.0, gradient=[np.array([24.0, 27.5])], tolerance=[np.full(2, 0.25)]
    )
    mpmath_twin.check_twin(session, lambda x: x[0] ** 3 * x[1] + x[1] ** 3, [], truth)
    value, gradient = rows
    assert value == ("fun", -45.5, -62.0, U64 * (3.0 + 2 * 45.5), 62e-30)
    assert gradient[0] == autodiff.REVERSE
    np.testing.assert_allclose(gradient[1:3], [[24.0, 27.5], [-54.0, 39.0]], rtol=1e-15)
    # <g, e> has the term of size |g| and a zero: (4 + 2 √2) u of it.
    slopes = np.array([54.0, 39.0])
    np.testing.assert_allclose(gradient[3], 0.25 + U64 * (4 + 2 * 2**0.5) * np.array([24.0, 27.5]), rtol=1e-15)
    np.testing.assert_allclose(gradient[4], 1e-30 * slopes, rtol=1e-15)

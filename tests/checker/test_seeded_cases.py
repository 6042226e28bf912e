"""Prove the seeded bugs: in float64 the right rules agree with autodiff of the plain function, the wrong ones do not.

The checker is not asked. Scalars and vectors are compared alike, by the norm of the difference over the norm of the
right derivative; a function with custom rules is contracted with random cotangents, and its gradient and its Hessian
in every float argument are compared. The bounds say what counts as a bug at all and are far from rounding
(~1e-13 here): 1e-6 for right, 1e-4 for wrong, 1e-10 for what is computed in a narrower float.
"""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from helpers.seeded.case import DEMOTED, FAMILIES, SECOND
from helpers.seeded.cases import SEEDED
from helpers.stages import dtype_of, share
from helpers.unseen.cases import UNSEEN

NAMES = (
    *("constant factor", "missing regulariser", "wrong term", "transpose", "permutation", "shift", "gauge"),
    *("sample weight", "stop gradient", "kink", "dtype", "one leaf", "entry", "row", "asymmetric"),
    *("nonlinear", "indefinite", "nonfinite"),
)


def is_float(x):
    return not callable(x) and jnp.issubdtype(jnp.result_type(x), jnp.floating)


def directions(tree, seed):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=jnp.shape(x)), jnp.result_type(x)), tree)


def flat(fun, *args):
    """Return the leaves of `fun(*args)` in one vector; under jit, which compiles once, not op by op."""
    return np.asarray(jax.jit(lambda *args: ravel_pytree(fun(*args))[0])(*args), np.float64)


def of_rules(setup, rules):
    """Return the derivative that the rule of a hand case claims, along fixed directions where it needs one."""
    ((kind, rule),) = rules.items()
    x, args = jax.tree.map(jnp.asarray, setup.at), setup.args
    if kind == "jvp" or kind == "hvp":
        return flat(lambda x: [rule(x, directions(x, seed), *args) for seed in range(3)], x)
    if kind == "vjp":
        out = jax.eval_shape(setup.plain, x, *args)
        zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), out)
        return flat(lambda x: [rule(x, directions(zeros, seed), *args) for seed in range(3)], x)
    return flat(lambda x: rule(x, *args), x)


def of_plain(setup, kind):
    """Return the same of the plain function by autodiff."""
    x, args = jax.tree.map(jnp.asarray, setup.at), setup.args

    def plain(x):
        return setup.plain(x, *args)

    if kind == "jvp":
        return flat(lambda x: [jax.jvp(plain, (x,), (directions(x, seed),))[1] for seed in range(3)], x)
    if kind == "hvp":
        return flat(lambda x: [jax.jvp(jax.grad(plain), (x,), (directions(x, seed),))[1] for seed in range(3)], x)
    if kind == "vjp":

        def pulled(x):
            out, pull = jax.vjp(plain, x)
            return [pull(directions(out, seed)) for seed in range(3)]

        return flat(pulled, x)
    if kind == "hessian":
        vector, unravel = ravel_pytree(x)
        return flat(jax.hessian(lambda w: plain(unravel(w))), vector)
    return flat((jax.value_and_grad if kind == "value_and_gradient" else jax.grad)(plain), x)


def of_function(fun, setup, order):
    """Return the gradient or the Hessian of a function contracted with fixed cotangents, in its float arguments."""
    arguments = (jax.tree.map(jnp.asarray, setup.at), *setup.args)
    which = [i for i, a in enumerate(arguments) if all(is_float(leaf) for leaf in jax.tree.leaves(a))]
    vector, unravel = ravel_pytree([arguments[i] for i in which])

    def contracted(w, seed=0):
        full = list(arguments)
        for i, value in zip(which, unravel(w), strict=True):
            full[i] = value
        out = fun(*full)
        return sum(jnp.vdot(c, y) for c, y in zip(*map(jax.tree.leaves, (directions(out, seed), out)), strict=True))

    gradient = jax.grad(contracted)
    return flat(gradient if order == 1 else jax.jacrev(gradient), vector)


def apart(a, b):
    assert a.shape == b.shape
    return np.linalg.norm(a - b) / np.linalg.norm(b)


ALL = (*SEEDED, *UNSEEN)
# A sixth of the cases in one dtype each, by their names; the rest by hand.
NARROW = [case for case in ALL if "float32" in case.dtypes]
WIDE = {case.name for case in ALL if "float32" not in case.dtypes or dtype_of(case.name) is np.float64}


def staged(cases, wide):
    """A sixth of the cases of this dtype marked slow, the others long."""
    marks = {True: pytest.mark.slow, False: pytest.mark.long}
    return [pytest.param(c, marks=marks[(c.name in WIDE) == wide and not share(c.name, 6)]) for c in cases]


@pytest.mark.parametrize("case", staged(ALL, wide=True), ids=lambda case: case.name)
def test_the_right_rule_is_right_and_the_wrong_one_is_wrong(case, x64):
    if case.library:
        pytest.importorskip(case.library)
    setup, least = case.setup("float64"), 1e-10 if case.family == DEMOTED else 1e-4
    if setup.wrong:
        expected = of_plain(setup, *setup.right)
        assert apart(of_rules(setup, setup.right), expected) < 1e-6
        assert not apart(of_rules(setup, setup.wrong), expected) <= least  # NaN is wrong too
        return
    gradient, hessian = (of_function(setup.plain, setup, order) for order in (1, 2))
    assert apart(of_function(setup.right_fun, setup, 1), gradient) < 1e-6
    if np.linalg.norm(hessian) > 1e-12:
        assert apart(of_function(setup.right_fun, setup, 2), hessian) < 1e-6
    wrong = of_function(setup.fun, setup, 1)
    if case.family == SECOND:
        assert apart(wrong, gradient) < 1e-6
        assert not apart(of_function(setup.fun, setup, 2), hessian) <= least
    else:
        assert not apart(wrong, gradient) <= least


@pytest.mark.parametrize("case", staged(NARROW, wide=False), ids=lambda case: case.name)
def test_every_case_runs_in_float32(case):
    if case.library:
        pytest.importorskip(case.library)
    setup = case.setup("float32")
    assert all(jnp.result_type(leaf) == np.float32 for leaf in jax.tree.leaves(setup.at))
    if setup.wrong:
        assert np.all(np.isfinite(of_rules(setup, setup.right)))
        assert not apart(of_rules(setup, setup.wrong), of_plain(setup, *setup.right)) <= 1e-4
        return
    order = 2 if case.family == SECOND else 1
    right = of_function(setup.right_fun, setup, order)
    assert np.all(np.isfinite(right))
    assert not apart(of_function(setup.fun, setup, order), right) <= 1e-4


def test_the_collection_is_large_and_spread():
    assert len({case.name for case in ALL}) == len(ALL) >= 380
    families = Counter(case.family for case in ALL)
    assert set(families) == set(FAMILIES) and min(families.values()) >= 20
    setups = [case.setup(case.dtypes[-1]) for case in ALL if not case.library]
    assert {name for setup in setups for name in setup.names} <= set(NAMES)
    assert sum(not setup.wrong for setup in setups) >= 60
    assert sum(not isinstance(setup.at, np.ndarray) for setup in setups) >= 10

"""The mechanical mutants: each kind of change is made, said rightly, works in both precisions, is really a change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from helpers.derivatives import mechanical

pytestmark = pytest.mark.slow  # the whole file takes a quarter of a minute or more

RNG = np.random.default_rng(20261124)
W, X = (RNG.normal(size=shape).astype(np.float32) for shape in ((3, 4), (5, 4)))
T = np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 0]]
SQUARE = RNG.uniform(0.5, 1.5, size=(3, 3)).astype(np.float32)


def softmax_gradient(W, X, T):
    """Sum over samples of (y - t) x^T, plus W/2."""
    logits = X @ W.T
    e = jnp.exp(logits - jnp.max(logits, axis=1, keepdims=True))
    return (e / jnp.sum(e, axis=1, keepdims=True) - T).T @ X + 0.5 * W


def recurrent(tree, xs):
    """A dict in and out, with a scan, a while loop, a cond and a call inside."""

    def step(h, x):
        h = jnp.tanh(tree["A"] @ h + x)
        return h, h

    last, states = jax.lax.scan(step, jnp.zeros(3, tree["A"].dtype), xs)
    twice = jax.lax.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, s[1] * 0.5), (0, last))[1]
    branch = jax.lax.cond(xs[0, 0] > 0, lambda v: jax.nn.relu(v) * 3, lambda v: v - 2, twice)
    return {"A": jnp.outer(last, jnp.sum(states, axis=0)), "b": jnp.sum(branch)}


RECURRENT = ({"A": SQUARE, "b": np.float32(1.0)}, RNG.uniform(0.5, 1.5, (4, 3)).astype(np.float32))


def of(function, *args, saying):
    """The one mutant of a rule whose description ends in the given words, and its kind."""
    found = [m for m in mechanical.mutations(function, *args, rng=RNG) if m.description.endswith(saying)]
    assert len(found) == 1, [m.description for m in mechanical.mutations(function, *args, rng=RNG)]
    return found[0]


a, b, low = SQUARE, SQUARE.T * 2 + 1, np.float32(0.25)
KNOWN = {
    # (rule, arguments, end of the description) -> (kind, what the mutant computes)
    "operator": (lambda x, y: x + y, (a, b), "eqn 0 add: becomes sub", lambda x, y: x - y),
    "exp": (jnp.exp, (a,), "eqn 0 exp: becomes expm1", jnp.expm1),
    "reverse": (lambda x: jax.lax.cumsum(x), (a,), "runs in reverse", lambda x: jnp.cumsum(x[::-1], 0)[::-1]),
    "sign": (jnp.sin, (a,), "eqn 0 sin: output negated", lambda x: -jnp.sin(x)),
    "literal": (lambda x: x * 2.5, (a,), "literal 2.5 + 1", lambda x: x * 3.5),
    "exponent": (lambda x: x**3, (a,), "exponent 3 becomes 2", lambda x: x**2),
    "operands": (lambda x, y: x / y, (a, b), "eqn 0 div: operands swapped", lambda x, y: y / x),
    "product": (jnp.matmul, (a, b), "operands swapped", lambda x, y: y @ x),
    "branches": (
        lambda x: jnp.where(x > 1, x, 7.0),
        (a,),
        "select_n: branches swapped",
        lambda x: jnp.where(x > 1, 7.0, x),
    ),
    "dropped": (lambda x, y: x - y, (a, b), "first operand dropped", lambda x, y: -y),
    "factor": (lambda x: x * 2.5, (a,), "first operand dropped", lambda x: jnp.full_like(x, 2.5)),
    "function": (jnp.tanh, (a,), "function dropped", lambda x: x),
    "axis": (lambda x: jnp.sum(x, axis=0), (a,), "axes (0,) becomes (1,)", lambda x: jnp.sum(x, axis=1)),
    "argmax": (
        lambda x: x[jnp.argmax(x, axis=0), 0],
        (a,),
        "argmax: axes (0,) becomes (1,)",
        lambda x: x[jnp.argmax(x, axis=1), 0],
    ),
    "transpose": (lambda x: x.T, (a,), "not transposed", lambda x: x),
    "roll": (lambda x, y: x * y, (a, b), "operand 1 rolled by one along axis 0", lambda x, y: x * jnp.roll(y, 1, 0)),
    "slice": (lambda x: x[:2], (a,), "window moved by +1 along axis 0", lambda x: x[1:]),
    "bfloat16": (lambda x: x * x, (a,), "output rounded to bfloat16", lambda x: (x * x).astype(jnp.bfloat16)),
    "float16": (lambda x: x * x, (a,), "output rounded to float16", lambda x: (x * x).astype(jnp.float16)),
}
KINDS = {
    **dict.fromkeys(("operator", "exp", "reverse"), "operator"),
    **dict.fromkeys(("literal", "exponent"), "constant"),
    **dict.fromkeys(("product", "branches"), "operands"),
    **dict.fromkeys(("factor", "function"), "dropped"),
    **dict.fromkeys(("argmax", "transpose"), "axis"),
    **dict.fromkeys(("roll", "slice"), "shift"),
    **dict.fromkeys(("bfloat16", "float16"), "dtype"),
}


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_a_mutant_computes_what_its_description_says_in_both_precisions(name, wide):
    """One known change of each kind against the same wrong formula written out."""
    rule, args, saying, wrong = KNOWN[name]
    mutant = of(rule, *args, saying=saying)
    assert mutant.kind == KINDS.get(name, name)
    with jax.enable_x64(wide):
        given = mechanical.widened(args) if wide else args
        got, right, expected = (np.asarray(jax.jit(f)(*given)) for f in (mutant.rule, rule, wrong))
    assert got.dtype == (np.float64 if wide else np.float32) == right.dtype
    # Both sides are the same one or two operations; a product of 3 terms may be summed in another order, and XLA's
    # vectorised function may differ from its scalar one by an ulp or two.
    np.testing.assert_allclose(got, expected.astype(got.dtype), rtol=4 * np.finfo(got.dtype).eps)
    assert not np.array_equal(got, right)


@pytest.mark.parametrize(("rule", "args"), [(softmax_gradient, (W, X, T)), (recurrent, RECURRENT)])
def test_mutants_keep_tree_shape_and_dtype_and_trace_under_jit_and_vmap(rule, args):
    """Every fifth mutant gives abstract outputs like the rule's: alone, in float64, mapped over its first argument."""
    mutants = mechanical.mutations(rule, *args, rng=RNG)
    assert len({m.description for m in mutants}) == len(mutants) > 40
    batched = jax.tree.map(lambda v: np.stack([v, v]), args[0])
    for mutant in mutants[::5]:
        assert jax.eval_shape(mutant.rule, *args) == jax.eval_shape(rule, *args)
        mapped = [
            jax.eval_shape(jax.vmap(f, (0, *[None] * (len(args) - 1))), batched, *args[1:]) for f in (mutant.rule, rule)
        ]
        assert mapped[0] == mapped[1]
        with jax.enable_x64(True):
            wide = mechanical.widened(args)
            assert jax.eval_shape(mutant.rule, *wide) == jax.eval_shape(rule, *wide)


def test_changes_reach_the_bodies_of_scan_while_cond_and_calls():
    """A change inside each kind of body alters the values; no change enters the condition of a while."""
    mutants = mechanical.mutations(recurrent, *RECURRENT, rng=RNG)
    truth = mechanical.values(recurrent, RECURRENT)
    for words in (
        "tanh in scan body: output negated",
        "mul in while body: literal 0.5 doubled",
        "mul in cond branch 1: literal 3 doubled",
        "max in cond branch 1: becomes min",
    ):
        (mutant,) = [m for m in mutants if m.description.endswith(words)]
        assert mechanical.relative_error(mutant.rule, truth, RECURRENT) > 0.1
    assert not any("while cond" in m.description for m in mutants)


def test_a_loop_that_a_mutant_makes_endless_stops():
    """The counter of a while that counts down instead of up ends after ROUNDS rounds."""
    mutants = mechanical.mutations(recurrent, *RECURRENT, rng=RNG)
    (mutant,) = [m for m in mutants if m.description.endswith("add in while body: becomes sub")]
    assert jax.tree.structure(mutant.rule(*RECURRENT)) == jax.tree.structure(recurrent(*RECURRENT))


def test_a_rule_that_traces_otherwise_in_float64_keeps_the_change():
    """A branch on the dtype gives another jaxpr: the traced one is used, between casts."""

    def rule(x):
        return (jnp.sin(x) + 1) * 2 if x.dtype == jnp.float64 else jnp.sin(x) * 2 + 2

    mutant = of(rule, SQUARE, saying="mul: literal 2 doubled").rule
    with jax.enable_x64(True):
        got = np.asarray(mutant(SQUARE.astype(np.float64)))
    assert got.dtype == np.float64
    # float32 inside: |4 sin + 2| <= 6, three roundings of 2^-24 each and sin's own error of at most 2 ulp.
    np.testing.assert_allclose(got, 4 * np.sin(SQUARE.astype(np.float64)) + 2, atol=6 * 8 * 2.0**-24)


def test_a_limit_takes_the_kinds_in_turn_and_a_seed_repeats_it():
    """Seven kinds occur in this rule (W is not square: no other axis fits); 16 mutants hold each; seeds repeat."""
    draws = [
        mechanical.mutations(softmax_gradient, W, X, T, rng=np.random.default_rng(seed), limit=16) for seed in (1, 1, 2)
    ]
    names = [[m.description for m in draw] for draw in draws]
    kinds = {"operator", "sign", "constant", "operands", "dropped", "shift", "dtype"}
    assert {m.kind for m in draws[0]} == {m.kind for m in draws[2]} == kinds
    assert names[0] == names[1] != names[2] and len(names[0]) == 16


def test_equivalent_mutants_are_told_from_wrong_ones():
    """Of the changes from the maximum to the sum, these keep the softmax gradient: those of the constant that all
    logits of a sample are moved by, of a sign or an order that the quotient e / sum(e) does not see.
    """
    examples = [(np.float32(RNG.normal(size=W.shape)), X, T) for _ in range(3)]
    mutants = mechanical.mutations(softmax_gradient, W, X, T, rng=RNG)
    mutants = [m for m in mutants if m.description[:5] in {f"eqn {k}" for k in (2, 4, 5, 6)}]
    same = {m.description for m in mutants if mechanical.is_equivalent(m.rule, softmax_gradient, examples)}
    assert same == {
        "eqn 2 reduce_max: becomes reduce_min",
        "eqn 2 reduce_max: output negated",
        "eqn 2 reduce_max: output rounded to bfloat16",
        "eqn 2 reduce_max: output rounded to float16",
        "eqn 2 reduce_max: operand 0 rolled by one along axis 0",
        "eqn 2 reduce_max: operand 0 rolled by one along axis 1",
        "eqn 4 sub: becomes add",
        "eqn 4 sub: second operand dropped",
        "eqn 4 sub: operand 1 rolled by one along axis 0",
        "eqn 5 exp: output negated",
        "eqn 6 reduce_sum: operand 0 rolled by one along axis 1",
    }


def test_dead_equations_are_not_changed():
    """What no output depends on has no mutant."""

    def rule(x):
        jnp.cos(x)
        return jnp.sin(x)

    assert not any("cos:" in m.description for m in mechanical.mutations(rule, SQUARE, rng=RNG))

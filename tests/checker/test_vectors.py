"""Functions with several outputs, no rule given: both orders of their own rules, and JAX's derivative of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsoftmax.checker.crosscheck import crosscheck

X = np.float32([0.5, -1.25, 2.0])


def softplus(hold):
    """Elementwise, with a custom_jvp; hold: its tangent's slope is a constant to JAX."""

    @jax.custom_jvp
    def fun(x):
        return jnp.logaddexp(x, 0)

    def tangent(primals, tangents):
        (x,), (v,) = primals, tangents
        return fun(x), jax.nn.sigmoid(jax.lax.stop_gradient(x) if hold else x) * v

    fun.defjvp(tangent)
    return fun


@pytest.mark.slow
def test_a_vector_rule_wrong_in_second_order_only_disagrees():
    """Defect 4: it was AGREE, and its sum DISAGREE."""
    report = crosscheck(softplus(hold=True), X)
    assert report.verdict == "DISAGREE"
    failed = [s.quantity for s in report.statements if not s.passed]
    assert failed and all(text.startswith("hvp of jax.grad of <w, fun>") for text in failed), failed
    assert report.diagnoses[0].name == "stop gradient"


@pytest.mark.slow
def test_a_vector_rule_right_in_both_orders_agrees():
    report = crosscheck(softplus(hold=False), X)
    assert report.verdict == "AGREE", report
    assert sum(s.quantity in ("hvp of jax.grad of <w, fun>", "hvp of jax.grad of <w2, fun>") for s in report.statements)


def test_second_order_is_held_to_the_intent_too():
    """A straight-through rounding: the identity has no second derivative, and neither has the rule."""

    @jax.custom_jvp
    def rounded(x):
        return jnp.round(x)

    rounded.defjvp(lambda p, t: (rounded(*p), t[0]))
    assert crosscheck(rounded, X, intent=lambda x: x).verdict == "AGREE"


@pytest.mark.slow
def test_a_vector_function_without_rules_is_checked_and_not_refused():
    """As check_grads does; a stop_gradient in it is seen."""
    report = crosscheck(lambda x: {"a": jnp.sin(x), "b": x[0] ** 2}, X)
    assert report.verdict == "AGREE" and any("no custom rule" in note for note in report.notes)
    assert crosscheck(lambda x: x * jax.lax.stop_gradient(x), X).verdict == "DISAGREE"


@pytest.mark.slow
def test_a_right_elementwise_rule_of_many_entries_agrees():
    """Its Jacobian is diagonal: bounds carried over from other columns are 0 there, and were not replaced beyond 32."""
    report = crosscheck(softplus(hold=False), np.linspace(-2, 2, 200).astype(np.float32))
    assert report.verdict == "AGREE", report

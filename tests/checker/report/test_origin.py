"""The name of the function under check and of the test that asked, in the report's title."""

import functools

import jax
import jax.numpy as jnp

from jaxsoftmax.checker.report.origin import calling_test, name_of
from jaxsoftmax.checker.report.result import CrossCheckReport


def loss(x, scale=1.0):
    return scale * jnp.sum(x)


class Model:
    def loss(self, x):
        return x

    def __call__(self, x):
        return x


def test_a_function_is_named_through_jit_custom_rules_and_partial():
    assert (
        name_of(loss) == name_of(jax.jit(functools.partial(loss, scale=2.0))) == name_of(jax.custom_jvp(loss)) == "loss"
    )
    assert name_of(functools.partial(jax.jit(loss), scale=2.0)) == "loss"
    assert name_of(Model().loss) == "Model.loss" and name_of(Model()) == "Model"


def test_the_calling_test_is_named_without_its_stage():
    assert calling_test().endswith("test_origin.py::test_the_calling_test_is_named_without_its_stage")


def test_outside_of_pytest_nothing_called(monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    assert calling_test() is None


def test_the_title_names_both():
    report = CrossCheckReport("AGREE", (), function="loss", called_from="tests/test_loss.py::test_it")
    title = repr(report).splitlines()[0]
    assert title.startswith("Cross-check of loss: AGREE (0 of 0")
    assert "called from tests/test_loss.py::test_it" in " ".join(repr(report).split())
    assert repr(CrossCheckReport("AGREE", ())).startswith("Cross-check: AGREE (0 of 0")

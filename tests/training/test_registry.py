"""The registry: one row makes a method of `fit`, of the command line and of `verify`; nothing is loaded before use."""

import subprocess
import sys

import numpy as np
import optax
import pytest

import jaxsoftmax as js
from helpers.house import imports
from helpers.methods import Toy
from jaxsoftmax.training import registry
from jaxsoftmax.training.registry import METHODS, Row, check_method, choose

PROBLEM = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0]]), [0, 1, 0])


@pytest.fixture
def toy(monkeypatch):
    """A new method, by one row; the command line is imported again, as in a new process."""
    monkeypatch.setitem(METHODS, "toy", Row("helpers.methods", "Toy", ("learning_rate",)))
    monkeypatch.delitem(sys.modules, "jaxsoftmax.cli.commands", raising=False)


@pytest.mark.slow
def test_one_row_makes_a_method_of_fit(toy):
    """It runs, its settings reach it, and the rates that it claims are in the result (S17)."""
    result = js.fit(PROBLEM, "toy", learning_rate=0.125, max_steps=20)
    assert result.method == "toy"
    assert set(result.history["step_size"][:-1]) == {0.125}
    assert (result.rate_bound, result.rate_estimate, result.log_gain_bound) == (0.625, 0.25, None)
    assert js.fit(PROBLEM, "toy", max_steps=5).rate_bound == 0.75
    with pytest.raises(ValueError, match="batch_size: goes with the methods sgd and adam, not with 'toy'"):
        js.fit(PROBLEM, "toy", batch_size=2)


@pytest.mark.slow
def test_one_row_makes_a_method_of_the_command_line(toy, tmp_path, capsys, monkeypatch):
    pytest.importorskip("typer")
    from jaxsoftmax.cli import main

    monkeypatch.setenv("COLUMNS", "200")
    for module in ("commands", "manners.options"):  # an earlier test may have read the registry without it
        monkeypatch.delitem(sys.modules, f"jaxsoftmax.cli.{module}", raising=False)
    assert main.run(["fit", "--help"]) == 0
    assert "lbfgs, toy." in " ".join(capsys.readouterr().out.split())
    file = tmp_path / "eggs.csv"
    file.write_text("width,bird\n0,a\n1,b\n2,a\n")
    assert main.run(["fit", str(file), "--method", "toy", "--learning-rate", "0.125", "--max-steps", "5"]) == 1
    assert "Fit by toy: STEP_LIMIT after 5 steps" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_one_row_makes_a_method_of_verify(toy):
    """Rows and verdict are those of any first-order method."""
    report = js.verify(js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]), method="toy")
    assert report.datasets[0].fit.method == "toy"
    assert report.passed


def test_the_table_and_the_help_need_no_jax():
    code = "import sys, jaxsoftmax.training.registry as r; r.method_names(); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_house_sees_what_the_rows_import():
    """No import statement names the methods; the house's test of circles must see them all the same."""
    assert {row.module.removeprefix("jaxsoftmax.") for row in METHODS.values()} <= {
        found.target for found in imports("training.registry")
    }


def test_every_row_makes_a_method_and_auto_one_that_suits():
    made = {name: choose(name, PROBLEM) for name in METHODS}
    assert all(method.name in (name, "optax") for name, method in made.items())
    assert choose("auto", PROBLEM) == made["newton"]
    wide = js.Problem.from_labels(np.random.default_rng(0).normal(size=(4, 800)).astype(np.float32), [0, 1, 0, 1])
    assert choose("auto", wide) == made["newton-cg"]


def test_settings_of_optax_methods_have_defaults():
    """S16, S19: the default step of sgd is 1/Λ, 1 in whitened features; the same settings are the same object."""
    gradient = {"W": np.float32(1.0)}

    def step(**settings):
        rule = choose("sgd", PROBLEM, **settings).transformation
        return -float(rule.update(gradient, rule.init(gradient))[0]["W"])

    # One multiplication in float32.
    assert step() == pytest.approx(js.descent_step_bound(PROBLEM), rel=2.0**-23)
    assert (step(whiten=True), step(learning_rate=0.5)) == (1.0, 0.5)
    assert (
        choose("adam", PROBLEM)
        == choose("adam", PROBLEM, learning_rate=0.01)
        != choose("adam", PROBLEM, learning_rate=1.0)
    )
    assert choose("lbfgs", PROBLEM) == choose("lbfgs", PROBLEM)


def test_what_is_no_method_is_refused_without_data():
    check_method(optax.sgd(0.1), batch_size=3)
    with pytest.raises(ValueError, match="method: got 'zebra'; give one of 'auto', 'gd'"):
        check_method("zebra")
    with pytest.raises(TypeError, match=r"method: got .*call it first"):
        check_method(optax.sgd)
    with pytest.raises(ValueError, match="learning_rate: goes with the methods rychlik-bb, sgd and adam, not"):
        check_method("auto", learning_rate=0.1)


def test_a_method_claims_nothing_unless_it_says_so():
    """S17, S18, S19: the defaults of the three rates."""
    plain = choose("agd", PROBLEM)
    W = np.zeros((2, 2), np.float32)
    assert plain.log_gain_bound(PROBLEM, W) is plain.rate_bound(PROBLEM, W, 1.0) is None
    assert plain.rate_estimate(PROBLEM, W, 1.0, W) is None
    assert Toy().suits(PROBLEM)
    assert registry.AUTO == ("newton", "newton-cg")

"""Shared by all tests: guards JAX's configuration, a scoped-x64 fixture, the hypothesis profile, the dear examples."""

import itertools
import pathlib
import sys

import jax
import pytest
from hypothesis import HealthCheck, settings

# Seeded (derandomized); no deadline and few examples, because the first example of a shape compiles.
settings.register_profile(
    "house",
    deadline=None,
    max_examples=25,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")

# Examples that compile a whole method or calculus, which takes four seconds and more: run with the slow tests.
_DEAR_EXAMPLES = (
    "jaxsoftmax.verification.run.verify",
    "jaxsoftmax.verification.report.VerifyReport",
    "jaxsoftmax.evidence.crosscheck.compare.crosscheck_problem",
    "jaxsoftmax.checker.crosscheck.crosscheck",
    "jaxsoftmax.checker.report.result.CrossCheckReport",
    "jaxsoftmax.checker.roundoff.samples.sampled_errors",
    "jaxsoftmax.training.divergence.NoMinimizerWarning",
    "jaxsoftmax.estimator.softmax_regression_cv.SoftmaxRegressionCV",
    "jaxsoftmax.training.many.fit_many.fit_many",
    "jaxsoftmax.training.many.fit_path.fit_path",
    "jaxsoftmax.training.many.result.Fits",
    "jaxsoftmax.uncertainty.laplace.laplace",
    "jaxsoftmax.estimator.softmax_regression.SoftmaxRegression.summary",
)

# The zoo of other people's functions names some that older releases of JAX lack (`tests/checker/test_foreign.py`).
collect_ignore = ["helpers/foreign"] if jax.__version_info__ < (0, 10, 2) else []

_CONFIG_AT_START = dict(jax.config.values)


@pytest.hookimpl(tryfirst=True)  # before pytest selects by mark
def pytest_collection_modifyitems(items):
    """Mark as slow the dear examples, and of a parametrized test the cases that `slow_cases` names by their ids."""
    for item in items:
        cases = item.get_closest_marker("slow_cases")
        dear = item.name in _DEAR_EXAMPLES if isinstance(item, pytest.DoctestItem) else cases is not None
        if dear and (cases is None or item.callspec.id in cases.args):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def jax_config_guard():
    """Fail the test that changes a value of jax.config and leaves it changed (x64 above all), then put it back."""
    yield
    now = jax.config.values
    changed = {name: now[name] for name, value in _CONFIG_AT_START.items() if now[name] != value}
    for name in changed:
        jax.config.update(name, _CONFIG_AT_START[name])
    assert not changed, f"jax.config was left changed: {changed}; use a context manager such as jax.enable_x64(True)"


_TESTS = itertools.count(1)
# Linux allows a process 65,530 memory maps, and every compiled program takes some: XLA crashes where it gets none.
_MAPS, _OFTEN = 30_000, 20


@pytest.fixture(autouse=True)
def compiled_programs_are_let_go():
    """Every twentieth test: drop what JAX and the checker have compiled, where that has taken too many memory maps."""
    yield
    maps = pathlib.Path("/proc/self/maps")
    if next(_TESTS) % _OFTEN == 0 and maps.exists() and maps.read_bytes().count(b"\n") > _MAPS:
        if "jaxsoftmax.checker.inputs.program" in sys.modules:
            sys.modules["jaxsoftmax.checker.inputs.program"]._compiled.clear()
        jax.clear_caches()


@pytest.fixture
def x64():
    """Run one test with 64-bit types on, in scope: the global switch stays as it was."""
    with jax.enable_x64(True):
        yield

"""Pictures: the examples of every module run, where matplotlib is; pyproject.toml keeps them out of the doctest run."""

import doctest
from importlib import import_module

import pytest

from helpers.house import modules

NAMES = [name for name in modules() if name.startswith("plots.")]


@pytest.mark.peers
@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run(name):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg", force=True)
    from matplotlib import pyplot

    outcome = doctest.testmod(import_module(f"jaxsoftmax.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    pyplot.close("all")
    assert outcome.attempted >= 1
    assert outcome.failed == 0

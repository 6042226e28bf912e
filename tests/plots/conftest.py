"""Axes to draw into: of a figure of its own, not pyplot's, so that there is no backend to choose and none to close."""

import pytest


@pytest.fixture
def ax():
    return pytest.importorskip("matplotlib.figure").Figure(figsize=(7.2, 4.2), layout="constrained").add_subplot()

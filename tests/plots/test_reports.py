"""Every report draws itself: into the axes given, with both axes named, and with numbers in its alternative text."""

import re
from importlib import import_module

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.house import modules
from jaxsoftmax.cli.report import RunReport
from jaxsoftmax.reporting.report import Report

X, Y = np.arange(8.0)[:, None], [0, 0, 1, 0, 1, 0, 1, 1]


@pytest.fixture(scope="module")
def reports():
    problem = js.Problem.from_labels(X, Y, feature_names=["dose"])
    fit = js.fit(problem)
    table = js.inference(problem, fit)
    checked = js.verify((X, Y))
    found = [fit, js.fit_path(problem, [0.1, 1.0]), js.probe_convexity(problem, fit.W), table]
    found += [table.bootstrap(20), table.marginal_effects(), table.profile_interval(1, "dose"), table.lr_test("dose")]
    found += [js.laplace(problem, fit), js.decide_existence(problem), js.certify(problem, fit.W, digits=20)]
    found += [checked, checked.datasets[0], checked.datasets[0].crosscheck]
    found.append(RunReport("fit", "", {}, {}, {"fit": fit, "convexity": None}, (), 0.0))
    return {type(report).__name__: report for report in found}


def every_report():
    for name in modules():
        if name:
            import_module(f"jaxsoftmax.{name}")
    found, ahead = set(), [Report]
    while ahead:
        kinds = ahead.pop().__subclasses__()
        found |= {kind.__name__ for kind in kinds if kind.__module__.startswith("jaxsoftmax.")}
        ahead += kinds
    return found


@pytest.mark.slow
@pytest.mark.peers
def test_every_report_draws_itself_and_says_what_it_drew(reports):
    figure = pytest.importorskip("matplotlib.figure")
    assert set(reports) == every_report()
    for name, report in reports.items():
        ax = figure.Figure(layout="constrained").add_subplot()
        assert report.plot(ax=ax) is ax, name
        assert ax.get_xlabel(), name
        assert ax.get_ylabel() or len(ax.get_yticklabels()) > 0, f"{name}: words at the side"
        text = js.plots.alt_text(ax)
        assert re.search(r"\d", text) and text.endswith("."), f"{name}: {text}"
        ax.figure.canvas.draw()


def test_a_report_that_cannot_draw_itself_cannot_be_made():
    class Eggs(Report):
        def document(self):
            return []

    with pytest.raises(TypeError, match="plot"):
        Eggs()  # pyright: ignore[reportAbstractUsage]

"""The last sentence of `jaxsoftmax fit` and `probe` says no more than what was found, and decides the exit status."""

from types import SimpleNamespace

import pytest

import jaxsoftmax as js
from helpers.made_fit import made_fit
from jaxsoftmax.cli.report import verdict


def said(command="fit", **parts):
    return verdict(SimpleNamespace(command=command, parts=parts))


def fit(status, converged):
    return made_fit(status=js.Status[status], q_estimate=0.5 if converged else None, steps=3)


@pytest.mark.parametrize(
    ("status", "converged", "good", "words"),
    [
        ("GRADIENT_TOLERANCE", True, True, "Converged: the tolerance was reached"),
        ("GRADIENT_TOLERANCE", False, True, "The tolerance was reached; whether a minimiser is near was not shown"),
        ("STEP_LIMIT", True, False, "The tolerance was not reached: STEP_LIMIT; a minimiser is near all the same"),
        ("STALLED", False, False, "The tolerance was not reached: STALLED."),
        ("INTERRUPTED", True, False, "Interrupted after 3 steps: this is the partial result."),
    ],
)
def test_converged_is_said_where_both_were_seen(status, converged, good, words):
    """S13: q < 1 and the tolerance, not one of the two."""
    found = said(fit=fit(status, converged))
    assert found[0] is good and found[1].startswith(words)


@pytest.mark.parametrize(("value", "good"), [("CONSISTENT", True), ("REFUTED", False), ("UNRESOLVED", False)])
def test_a_probe_is_good_where_it_is_consistent(value, good):
    assert said("probe", convexity=SimpleNamespace(verdict=SimpleNamespace(value=value)))[0] is good


def test_a_run_without_a_result_is_not_good():
    assert not said()[0] and not said("probe")[0]

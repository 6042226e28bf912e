"""How a run ended, rule by rule: the loop's code and the end point in, the status and its words out (S9, S12, S13)."""

from types import SimpleNamespace

import numpy as np
import pytest

from jaxsoftmax.training.end_point import EndPoint
from jaxsoftmax.training.judge import judge
from jaxsoftmax.training.loop.run import (
    DIVERGING,
    GRADIENT_TOLERANCE,
    HALTED,
    INTERRUPTED,
    NONFINITE,
    STALLED,
    STEP_LIMIT,
    Limits,
)

METHOD = SimpleNamespace(name="toy", halt_words="The toy stopped.")
STEPS = np.arange(0, 201, 10)
GROWING = {"step": STEPS, "weight_norm": 1.0 + 0.01 * STEPS, "loss": 1.0 / (1 + STEPS)}
RESTING = {"step": STEPS, "weight_norm": np.ones(21), "loss": 1.0 / (1 + STEPS)}


def ended(*known):
    """An end point of which q, the gap and the range of Newton's step are known."""
    return EndPoint(1.0, np.zeros((2, 2)), *known)


FAR, NEAR, UNKNOWN = ended(3.0, 1.0, 0.5), ended(3.0, 1.0, 0.49), ended()
SOLVED = ended(0.99, 1e-9, 5.0)
SMALL, LARGE, DEFAULT = 1e-6, 1e-3, 1e-5


def judged(
    status,
    end=FAR,
    *,
    scaled=SMALL,
    attains=False,
    separated=False,
    history=GROWING,
    value=1.0,
    tol=DEFAULT,
    rounding=0.0,
):
    raw = SimpleNamespace(status=np.int32(status), value=value, step=np.int32(7), attains=np.bool_(attains))
    return judge(METHOD, raw, Limits(tol, 10, DEFAULT), scaled, end, separated, rounding, history)


@pytest.mark.parametrize("status", [GRADIENT_TOLERANCE, STALLED, HALTED])
def test_a_small_gradient_with_a_long_newton_step_is_divergence(status):
    """S9: without a minimiser the gradient goes to 0 as well; a full Newton step of ρ >= 0.5 tells the two apart."""
    assert judged(status)[0] == DIVERGING
    assert judged(status, NEAR)[0] != DIVERGING
    assert judged(status, attains=True)[0] != DIVERGING  # a theorem says that a minimiser exists
    assert judged(status, SOLVED)[0] != DIVERGING  # S13 does
    assert judged(status, ended(1.0, 1.0, 0.5))[0] == DIVERGING  # q = 1 is not below 1


@pytest.mark.parametrize("status", [GRADIENT_TOLERANCE, STALLED, HALTED])
def test_without_the_dense_hessian_growing_weights_tell(status):
    assert judged(status, UNKNOWN)[0] == DIVERGING
    assert judged(status, UNKNOWN, attains=True)[0] != DIVERGING
    assert judged(status, UNKNOWN, history=RESTING)[0] != DIVERGING


def test_what_counts_as_growing():
    """By more than a thousandth over the last half of at least a hundred steps, while the loss falls."""

    def status(**changes):
        return judged(STALLED, UNKNOWN, history=GROWING | changes)[0]

    slowly = 1.0 + 0.0009 * (STEPS / 100)
    rising = {"loss": 1.0 + STEPS}
    short = {"step": STEPS[:10], "weight_norm": GROWING["weight_norm"][:10], "loss": GROWING["loss"][:10]}
    early = {"weight_norm": np.minimum(GROWING["weight_norm"], 1.5)}  # grew in the first half alone
    assert status() == DIVERGING
    assert [status(weight_norm=slowly), status(**rising), status(**short), status(**early)] == [STALLED] * 4


def test_a_run_that_stops_with_a_large_gradient_diverges_only_where_it_grew():
    """A stall, or a method's own stop, above the default tolerance; a loose tolerance of the user's is no stall."""
    for status, otherwise in ((STALLED, STALLED), (HALTED, STEP_LIMIT)):
        assert judged(status, scaled=LARGE)[0] == DIVERGING
        assert judged(status, scaled=LARGE, history=RESTING)[0] == otherwise
        assert judged(status, NEAR, scaled=LARGE)[0] == otherwise
        assert judged(status, scaled=LARGE, attains=True)[0] == otherwise
        assert judged(status, SOLVED, scaled=LARGE)[0] == otherwise
    assert judged(GRADIENT_TOLERANCE, scaled=LARGE, tol=LARGE)[0] == GRADIENT_TOLERANCE
    assert judged(STALLED, scaled=DEFAULT, history=RESTING)[0] == DIVERGING  # at the tolerance, not above it


def test_the_step_limit_says_nothing_about_divergence():
    assert judged(STEP_LIMIT)[0] == STEP_LIMIT


def test_the_loops_divergence_stands_unless_s13_found_a_minimiser():
    """S13: q < 1 shows that a minimiser exists; then the gradient tolerance stands."""
    code, words = judged(DIVERGING)
    assert code == DIVERGING and words.startswith("The weights keep growing")
    code, words = judged(DIVERGING, SOLVED)
    assert code == GRADIENT_TOLERANCE and "Converged" in words


@pytest.mark.parametrize("status", [GRADIENT_TOLERANCE, STEP_LIMIT, STALLED, HALTED, DIVERGING])
def test_separated_samples_are_divergence_whatever_the_loop_said(status):
    """S9, S12: a W that separates proves that no minimiser exists."""
    code, words = judged(status, NEAR, separated=True, history=RESTING)
    assert code == DIVERGING and "positive margin" in words


def test_a_run_that_left_the_numbers_or_was_interrupted_is_called_that():
    """Before all else, also where the last good point separates."""
    for separated in (False, True):
        assert judged(INTERRUPTED, separated=separated) == (
            INTERRUPTED,
            "Interrupted after 7 steps; this is the last point reached.",
        )
        code, words = judged(NONFINITE, separated=separated)
        assert code == NONFINITE and "A step of toy led to infinite or undefined numbers" in words
        code, words = judged(NONFINITE, separated=separated, value=np.nan)
        assert code == NONFINITE and "not finite at W0" in words


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (GRADIENT_TOLERANCE, GRADIENT_TOLERANCE, "The scaled gradient reached the tolerance."),
        (STEP_LIMIT, STEP_LIMIT, "The step limit was reached before the gradient tolerance."),
        (STALLED, STALLED, "The loss cannot fall further in this precision; the gradient is above the tolerance."),
        (HALTED, STEP_LIMIT, "The toy stopped."),
    ],
)
def test_the_words_of_each_ending_and_what_is_known_of_a_minimiser(status, code, words):
    """The word converged stands only beside q < 1 (S13)."""
    for end, attains, tail in (
        (SOLVED, False, " Converged: a minimiser exists nearby (tested by S13, in float64 on the data as given)."),
        (SOLVED, True, " Converged: a minimiser exists nearby (tested by S13, in float64 on the data as given)."),
        (NEAR, True, " A minimiser exists (S9, S21); how far away is not known (S13's test did not succeed)."),
        (NEAR, False, " Whether a minimiser exists is not known (S13's test did not succeed)."),
    ):
        assert judged(status, end, attains=attains, history=RESTING) == (code, words + tail)


def test_a_gradient_that_is_larger_on_the_data_as_given_has_stalled():
    """More than twice the tolerance, beyond the rounding of W: the loop was at rest in rounded numbers alone."""
    assert judged(GRADIENT_TOLERANCE, NEAR, scaled=2.1 * DEFAULT, attains=True)[0] == STALLED
    assert judged(GRADIENT_TOLERANCE, NEAR, scaled=1.9 * DEFAULT, attains=True)[0] == GRADIENT_TOLERANCE
    assert judged(GRADIENT_TOLERANCE, NEAR, scaled=2.1 * DEFAULT, attains=True, rounding=1e-6)[0] == GRADIENT_TOLERANCE
    assert judged(GRADIENT_TOLERANCE, NEAR, scaled=0.9, attains=True, tol=0.5)[0] == GRADIENT_TOLERANCE
    assert "on the data as given it is larger" in judged(GRADIENT_TOLERANCE, NEAR, scaled=LARGE, attains=True)[1]
    assert judged(STEP_LIMIT, NEAR, scaled=LARGE, attains=True)[0] == STEP_LIMIT


def test_a_run_far_above_its_minimum_has_stalled_at_the_usual_tolerance():
    """More than a ten-thousandth of the loss above it; who asks for less than the default asks for no minimum."""
    for gap, tol, status in (
        (2e-4, DEFAULT, STALLED),
        (0.5e-4, DEFAULT, GRADIENT_TOLERANCE),
        (2e-4, 2 * DEFAULT, GRADIENT_TOLERANCE),
    ):
        code, words = judged(GRADIENT_TOLERANCE, ended(0.99, gap, 0.1), tol=tol)
        assert code == status
        assert ("far above the minimum" in words) == (status == STALLED)

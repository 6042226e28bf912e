"""Histories: what is drawn are the numbers of the fit, with S17's slopes and S18's promise beside them."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.made_fit import made_fit

peers = pytest.mark.peers


@pytest.fixture(scope="module")
def problem():
    return js.Problem.from_labels(np.arange(4.0, dtype=np.float32)[:, None], [0, 1, 0, 1])


@pytest.fixture(scope="module")
def fits(problem):
    return [js.fit(problem, method, max_steps=400) for method in ("gd", "newton")]


def promised():
    """A run whose rate was proved before it began: a compilation of its own."""
    penalty = js.L2(1.0, penalize_intercept=True)
    problem = js.Problem.from_labels(np.arange(4.0)[:, None], [0, 1, 0, 1], regularizer=penalty)
    return js.fit(problem, "gd", max_steps=400)


@peers
@pytest.mark.parametrize("quantity", ["loss", "gradient_norm", "weight_norm", "step_size"])
def test_a_history_line_is_the_fits_own_numbers(fits, ax, quantity):
    assert js.plots.plot_history(fits, quantity, ax=ax) is ax
    for fit, line in zip(fits, ax.lines, strict=True):
        values = fit.history[quantity]
        # A logarithmic axis cannot show 0 or NaN (the last step has no step size); everything else is there, unchanged.
        seen = np.isfinite(values) & ((values > 0) | (quantity in ("loss", "weight_norm")))
        assert np.array_equal(line.get_xdata(), fit.history["step"][seen])
        assert np.array_equal(line.get_ydata(), values[seen])
        assert line.get_label() == fit.method
    assert ax.get_xlabel() == "step, k"
    assert ax.get_ylabel() in js.plots.alt_text(ax)


@peers
def test_a_minimum_is_subtracted_from_the_loss(fits, ax):
    low = fits[1].loss
    js.plots.plot_history(fits[0], minimum=low, ax=ax)
    gap = fits[0].history["loss"] - low
    assert np.array_equal(ax.lines[0].get_ydata(), gap[gap > 0])
    assert ax.get_yscale() == "log"


@peers
def test_labels_come_from_the_caller_or_the_method_numbered(fits, ax):
    js.plots.plot_history({"mine": fits[0]}, ax=ax)
    js.plots.plot_history([fits[0], fits[0], fits[1]], ax=ax)
    assert [line.get_label() for line in ax.lines] == ["mine", "gd", "gd (2)", "newton"]


@peers
def test_seconds_are_those_that_progress_told_and_even_between_them(fits, ax):
    fit, last = fits[0], int(fits[0].steps)
    seen = [SimpleNamespace(step=10, seconds=2.0), SimpleNamespace(step=last, seconds=3.0)]
    seen.append(SimpleNamespace(step=last, seconds=9.0))  # the end point's evaluation is no training
    js.plots.plot_history(fit, seconds=seen, ax=ax)
    steps, drawn = fit.history["step"], ax.lines[0].get_xdata()
    for step, second in zip(steps, drawn, strict=True):
        twin = step / 10 * 2.0 if step <= 10 else 2.0 + (step - 10) / (last - 10)
        assert abs(second - twin) <= 4 * np.finfo(float).eps * 3  # three operations on numbers up to 3
    assert "seconds" in ax.get_xlabel()
    js.plots.plot_history(fits, seconds=[1.5, 2.5], ax=ax)
    assert [line.get_xdata()[-1] for line in ax.lines[1:]] == [1.5, 2.5]


@peers
def test_rate_lines_have_the_slopes_of_s17(fits, ax):
    fit = fits[0]
    js.plots.plot_rate(fit, ax=ax)
    curve, *lines = ax.lines
    assert len(lines) == 3
    for line, rate in zip(lines, (fit.rate_measured, fit.rate_estimate, fit.rate_bound), strict=True):
        steps, y = line.get_data()
        slope = (np.log(y[-1]) - np.log(y[0])) / (steps[-1] - steps[0])
        # exp and log cost an ulp each, log of a value in [1e-300, 1e300] at most 700 eps; over the steps of the run.
        assert abs(slope - np.log(rate)) <= 4 * 700 * np.finfo(float).eps / (steps[-1] - steps[0])
        shared = np.isin(steps, curve.get_xdata())
        assert np.any(y[shared] == curve.get_ydata())  # through one point of the curve


@peers
def test_rates_that_are_not_known_are_left_out(fits, ax):
    js.plots.plot_rate(fits[1], ax=ax)
    assert [line.get_label() for line in ax.lines] == ["newton"]


@peers
def test_a_fit_draws_its_gap_and_its_gradient(fits, ax):
    fit = fits[0]
    assert fit.plot(ax=ax) is ax
    gap, gradient, near = ax.lines
    loss = fit.history["loss"]
    twin = loss - (fit.loss_in_training - fit.gap_estimate)
    seen = twin > np.finfo(np.float32).eps * loss  # less is the rounding of a float32 run
    assert np.array_equal(gap.get_ydata(), twin[seen]) and np.array_equal(gap.get_xdata(), np.flatnonzero(seen))
    assert np.array_equal(gradient.get_ydata(), fit.history["gradient_norm"])
    steps, y = near.get_data()
    assert y[0] == fit.history["gradient_norm"][int(steps[0])]  # from a point of the curve on
    # Two exps and a quotient, some eps; the logarithm of the rate is -0.05.
    assert np.isclose(np.log(y[1] / y[0]), np.log(fit.rate_bound), rtol=1e-12)
    assert f"{fit.steps} steps" in js.plots.alt_text(ax)
    assert len({str(line.get_linestyle()) for line in ax.lines}) == 3, "told apart in grey"


@peers
def test_the_bound_of_mm_is_about_another_norm_and_not_drawn(ax):
    """S19: W − W* shrinks in the norm of the majorant; the gradient's own norm may grow for a step."""
    run = {"loss": 2.0 + 0.5 ** np.arange(5), "gradient_norm": 0.5 ** np.arange(5), "step": np.arange(5)}
    for method in ("gd", "mm"):
        made_fit(method=method, rate_bound=0.75, history=run).plot(ax=ax)
    assert [line.get_label().partition(":")[0] for line in ax.lines] == [
        "loss above the minimum",
        "norm of the gradient",
        "proved in the limit",
        "loss above the minimum",
        "norm of the gradient",
    ]
    assert js.plots.alt_text(ax).count("In the limit a step leaves at most 1 − 0.25 of the gradient") == 1


@peers
@pytest.mark.slow
def test_the_promise_of_s18_lies_above_the_loss_gap_from_the_first_step_on(ax):
    fit = promised()
    fit.plot(ax=ax)
    gap, promise = ax.lines[0], ax.lines[3]
    kept = 1 - np.exp(fit.log_gain_bound)
    steps, y = promise.get_data()
    twin = gap.get_ydata()[0] * kept ** np.asarray(steps)
    assert np.allclose(y, twin, rtol=1e-12)  # a power of up to 400: at most 400 roundings of 1.1e-16 each, and some
    above = y[np.isin(steps, gap.get_xdata())]
    rounding = np.finfo(np.float32).eps * fit.history["loss"][0]  # of the losses that were subtracted
    assert (above >= gap.get_ydata() - rounding).all()


@peers
def test_a_fit_that_diverges_draws_its_weights(ax):
    with pytest.warns(js.NoMinimizerWarning):
        fit = js.fit(js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1]))
    fit.plot(ax=ax)
    assert [np.array_equal(line.get_ydata(), fit.history["weight_norm"]) for line in ax.lines] == [True]
    assert "‖W‖" in ax.get_ylabel()
    assert "no minimiser exists, which is proved" in js.plots.alt_text(ax)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda f: js.plots.plot_history("gd"), TypeError, "fits: got 'gd'"),
        (lambda f: js.plots.plot_history([]), ValueError, "fits: got none"),
        (lambda f: js.plots.plot_history([f, 1]), TypeError, r"fits: '\?' is 1"),
        (lambda f: js.plots.plot_history(f, "loos"), ValueError, "quantity: got 'loos'"),
        (lambda f: js.plots.plot_history(f, "step_size", minimum=1.0), ValueError, "minimum: it is subtracted"),
        (lambda f: js.plots.plot_history(f, minimum="low"), TypeError, "minimum"),
        (lambda f: js.plots.plot_history(f, seconds="long"), TypeError, "seconds"),
        (lambda f: js.plots.plot_history(f, seconds=[]), TypeError, "seconds"),
        (lambda f: js.plots.plot_history(f, seconds=-1.0), ValueError, "seconds"),
        (lambda f: js.plots.plot_history([f, f], seconds=1.0), ValueError, "seconds: not one for each of the 2"),
        (lambda f: js.plots.plot_history(f, ax=3), TypeError, "ax: got 3"),
        (lambda f: js.plots.plot_rate([f]), TypeError, "fit: got"),
        (lambda f: js.plots.plot_fit(js.Status), TypeError, "fit: got"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(fits, call, error, words):
    with pytest.raises(error, match=words):
        call(fits[0])


def test_without_matplotlib_the_extra_is_named():
    """None in sys.modules makes an import fail: the module loads, drawing says what to install."""
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import jaxsoftmax as js\n"
        "try:\n    js.plots.plot_spectrum([1.0])\n"
        "except ImportError as error:\n    assert 'jaxsoftmax[plots]' in str(error)\n"
        "else:\n    raise SystemExit('drawn without matplotlib')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)

"""`fit` of samples read in chunks finds what `fit` of the same samples in memory finds."""

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.support import memory
from jaxsoftmax.training.streamed import passes

RNG = np.random.default_rng(4)
N, C = 400, 3
X = RNG.normal(size=(N, 3)).astype(np.float32)
LABELS = np.argmax(X @ RNG.normal(size=(3, C)) + RNG.gumbel(size=(N, C)), axis=1)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Some five chunks of data, the last one shorter."""
    monkeypatch.setattr(passes, "CHUNK_BYTES", 90 * X[0].nbytes)


def pair(**options):
    return tuple(cls.from_labels(X, LABELS, **options) for cls in (js.StreamedProblem, js.Problem))


def assert_alike(found, expected):
    """Losses of float64 evaluations: apart by both gaps and the rounding of the sums; log-odds by S13's radii.

    Newton-CG states what its conjugate gradients have found of the gap, more than half of it: hence 2.
    """
    assert (found.status, found.converged, found.classes) == (expected.status, expected.converged, expected.classes)
    gaps = 2 * (found.gap_estimate + expected.gap_estimate)
    assert abs(found.loss - expected.loss) <= gaps + 2 * 2.0**-52 * (8 + N**0.5) * expected.loss
    odds, others = (fit.logits(X) - fit.logits(X)[:, :1] for fit in (found, expected))
    assert np.abs(odds - others).max() <= 1.2 * (found.q_estimate + expected.q_estimate) + 1e3 * 2.0**-23


@pytest.mark.slow
def test_newton_cg_finds_the_minimiser_that_it_finds_in_memory():
    """S8, S13, S19; the same words at the end."""
    streamed, whole = pair()
    found = js.fit(streamed)
    assert found.method == "newton-cg" and found.converged
    assert_alike(found, js.fit(whole, "newton-cg"))
    assert found.reason.startswith("The scaled gradient reached the tolerance. Converged:")


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gd", "gd-optimal", "agd", "bb", "rychlik-bb", "mm", "sgd", "adam"])
def test_first_order_methods_take_the_steps_that_they_take_in_memory(method):
    """The loss of the first steps: eps·(8 + √N) of it for the sums, and what some steps make of that (tenfold)."""
    smoothed = {"label_smoothing": "0.1", "intercept": False}
    streamed, whole = pair(**smoothed if method in ("gd-optimal", "bb", "sgd") else {"regularizer": js.L2(5.0)})
    steps = 12
    found, expected = (js.fit(problem, method, max_steps=steps) for problem in (streamed, whole))
    rows = slice(0, min(found.steps, expected.steps))
    assert rows.stop >= 8
    rounding = 10 * 2.0**-23 * (8 + N**0.5)
    np.testing.assert_allclose(found.history["loss"][rows], expected.history["loss"][rows], rtol=rounding)


@pytest.mark.slow
def test_weights_penalties_and_doubles_are_used_as_given(x64):
    """S21: sample weights, log-cosh and the self-regulariser, in float64."""
    weights = RNG.integers(0, 3, N).astype(float)
    for regularizer in (js.LogCosh(0.5, 2.0), js.SelfRegularizer(2.0), None):
        options = {"regularizer": regularizer, "sample_weight": weights, "dtype": "float64"}
        streamed, whole = pair(**options)
        assert_alike(js.fit(streamed, tol=1e-9), js.fit(whole, "newton-cg", tol=1e-9))


@pytest.mark.slow
def test_separable_data_warn_and_diverge():
    """S9: no minimiser, and the words say what to do."""
    labels = (X[:, 0] > 0.1).astype(int)
    with pytest.warns(js.NoMinimizerWarning, match="the weights keep growing") as caught:
        found = js.fit(js.StreamedProblem.from_labels(X, labels), max_steps=60)
    assert found.status is js.Status.DIVERGING and not found.converged
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.slow
def test_the_advice_is_not_to_give_the_penalty_that_was_given():
    """S21e: with an absent class, a penalty that leaves the intercept free has no minimiser."""
    problem = js.StreamedProblem.from_labels(X, LABELS, classes=range(C + 1), regularizer=js.L2(1.0))
    with pytest.warns(js.NoMinimizerWarning, match="Give the penalty penalize_intercept=True, for a class has no samp"):
        assert js.fit(problem).status is js.Status.DIVERGING


@pytest.mark.slow
def test_weights_whose_sum_leaves_float32_are_judged_without_a_warning():
    """Warnings are errors here; the loss of float32 is infinite at W0."""
    problem = js.StreamedProblem.from_labels(X, LABELS, sample_weight=np.full(N, 1e38))
    assert js.fit(problem).status is js.Status.NONFINITE


@pytest.mark.slow
def test_far_offsets_in_float32_end_short_of_the_minimum_with_a_remedy_that_helps(x64):
    """In memory columns are shifted; here they are as stored, and S13's test in float64 says no more than it knows."""
    far = X + np.float32(2.0**20)
    found = js.fit(js.StreamedProblem.from_labels(far, LABELS))
    assert found.status is js.Status.STALLED and not found.converged
    assert "store the features with their means subtracted and of like sizes, or compute in float64." in found.reason
    centred = far.astype(np.float64) - 2.0**20
    better = js.fit(js.StreamedProblem.from_labels(centred, LABELS))
    assert better.converged and "means subtracted" not in better.reason


def test_options_that_need_the_samples_at_hand_are_refused():
    streamed, _ = pair()
    for method in ("newton", "lbfgs", "nothing"):
        with pytest.raises(ValueError, match=r"^method: got .*but X is read in chunks; give one of auto, gd"):
            js.fit(streamed, method)
    for name, value in (("batch_size", 5), ("whiten", True), ("key", 1)):
        with pytest.raises(ValueError, match=f"^{name}: got .*but X is read in chunks; leave it out"):
            js.fit(streamed, **{name: value})


@pytest.mark.slow
def test_a_checkpoint_of_rows_in_another_order_or_of_another_sign_is_refused(tmp_path, monkeypatch):
    """Both have the same column sums of |x|, and the same largest entries."""
    pytest.importorskip("orbax.checkpoint")
    monkeypatch.setattr("jaxsoftmax.training.loop.checkpoints.EVERY_SECONDS", 0.0)
    whole = np.round(8 * X)  # sums of integers, exact in any order
    js.fit(js.StreamedProblem.from_labels(whole, LABELS), "mm", max_steps=2, checkpoints=tmp_path)
    for other in (whole[::-1], -whole):
        with pytest.raises(ValueError, match=r"^checkpoints: step .* is of a run with other data"):
            js.fit(js.StreamedProblem.from_labels(other, LABELS), "mm", max_steps=3, checkpoints=tmp_path)
    assert js.fit(js.StreamedProblem.from_labels(whole, LABELS), "mm", max_steps=3, checkpoints=tmp_path).steps == 3


def test_inside_jit_or_grad_it_is_refused_in_words():
    """There the passes would have no numbers to look at."""
    streamed, _ = pair()
    words = "fit was called inside jit, vmap or grad"
    with pytest.raises(TypeError, match=f"^problem: {words}"):
        jax.jit(lambda: js.fit(streamed).loss)()
    with pytest.raises(TypeError, match=f"^W0: {words}"):
        jax.jit(lambda W: js.fit(streamed, W0=W).loss)(np.zeros((C, 4)))
    with pytest.raises(TypeError, match=f"^learning_rate: {words}"):
        jax.grad(lambda rate: js.fit(streamed, "sgd", learning_rate=rate).loss)(0.1)


def test_a_fit_that_does_not_fit_is_refused_before_it_begins(monkeypatch):
    streamed = js.StreamedProblem.from_labels(X, LABELS)
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): 10.0)
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    with pytest.raises(ValueError, match=r"^problem: a pass over 3 columns and 3 classes in chunks"):
        js.fit(streamed)


@pytest.mark.slow
@pytest.mark.parametrize("pressed", ["training", "end point", None])
def test_ctrl_c_is_told_whenever_it_comes(pressed):
    def progress(state):
        if state.phase == pressed:
            raise KeyboardInterrupt

    found = js.fit(pair()[0], "gd", max_steps=2, progress=progress)
    assert found.interrupted is (pressed is not None) and found.end_point_cut is (pressed == "end point")

"""A run that was cut off goes on from its last checkpoint and ends in the same bits; what is not its own is refused."""

import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.training.loop import checkpoints
from jaxsoftmax.training.loop import run as loop

pytest.importorskip("orbax.checkpoint")
pytestmark = pytest.mark.peers

RNG = np.random.default_rng(5)
X = np.concatenate([RNG.normal(size=(90, 5)), 9 + RNG.normal(size=(90, 1))], axis=1)
LABELS = (X[:, 0] + RNG.logistic(size=90) > 0).astype(int) + 2 * (X[:, 1] > 0.8)
RUNS = {
    "newton-cg": {},
    "gd": {"max_steps": 150},
    "bb": {"max_steps": 150},
    "lbfgs": {"max_steps": 60},
    "adam": {"max_steps": 40, "batch_size": 30, "key": 3},
}


def problem(**options):
    return js.Problem.from_labels(X, LABELS, dtype="float32", regularizer=js.L2(0.1), **options)


@pytest.fixture(autouse=True)
def at_every_step(monkeypatch):
    """A checkpoint after each chunk, and chunks that begin with one step."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(loop, "FIRST_CHUNK", 1)


def cut_off_after(chunks):
    """A `progress` that ends the run, as Ctrl-C does, after so many chunks."""
    seen = []

    def progress(at):
        seen.append(at.step)
        if len(seen) > chunks and at.phase == "training":
            raise KeyboardInterrupt

    return progress


def assert_same(found, expected):
    """Bit by bit: the weights, the loss, every row of the history, and how the systems were solved."""
    assert found.W.tobytes() == expected.W.tobytes() and found.loss == expected.loss
    assert (found.steps, found.status, found.inner_solves) == (expected.steps, expected.status, expected.inner_solves)
    for name, column in expected.history.items():
        np.testing.assert_array_equal(found.history[name], column)


@pytest.mark.parametrize("method", RUNS)
def test_a_run_that_was_cut_off_ends_in_the_same_bits(method, tmp_path):
    options = dict(RUNS[method])
    if "key" in options:
        options["key"] = jax.random.key(options["key"])
    whole = js.fit(problem(), method, **options)
    for chunks in (0, 1):
        cut = js.fit(problem(), method, checkpoints=tmp_path, progress=cut_off_after(chunks), **options)
        assert cut.status is js.Status.INTERRUPTED and 0 < cut.steps < whole.steps
    assert_same(js.fit(problem(), method, checkpoints=tmp_path, **options), whole)


def test_what_renew_made_is_kept(tmp_path, monkeypatch):
    """newton-cg's class blocks, and that its products are no longer in float32: both as they were at the checkpoint."""
    from jaxsoftmax.training.methods import newton_cg

    monkeypatch.setattr(newton_cg, "MUCH_TO_MULTIPLY", 0)
    monkeypatch.setattr(newton_cg, "MOST_IDLE", 0)
    with jax.enable_x64(True):
        data = js.Problem.from_labels(X, LABELS, dtype="float64", regularizer=js.L2(1e-3))
        whole = js.fit(data, "newton-cg")
        kinds = [(solve.preconditioner, solve.products_dtype) for solve in whole.inner_solves]
        assert ("class blocks", "float64") in kinds and kinds[0] == ("majorant", "float32")
        last = whole.inner_solves[-1].step
        assert last < whole.steps
        js.fit(data, "newton-cg", checkpoints=tmp_path, max_steps=last + 1)
        monkeypatch.setattr(newton_cg, "class_block_inverses", lambda *_: pytest.fail("made again"))
        assert_same(js.fit(data, "newton-cg", checkpoints=tmp_path), whole)


def test_more_steps_or_another_tolerance_go_on(tmp_path):
    """Only a run under way is kept, so that what its limits ended may go on under others."""
    js.fit(problem(), "gd", max_steps=60, checkpoints=tmp_path)
    further = js.fit(problem(), "gd", max_steps=90, checkpoints=tmp_path)
    assert_same(further, js.fit(problem(), "gd", max_steps=90))


@pytest.mark.parametrize("fewer", [3, 60])
def test_a_limit_below_the_steps_that_are_kept_ends_at_once(fewer, tmp_path):
    """The run is past the limit: it ends there, at the last checkpoint, and does not wait for steps that never come."""
    js.fit(problem(), "gd", max_steps=60, checkpoints=tmp_path)
    kept = max(int(path.name) for path in tmp_path.iterdir())
    told = []

    def progress(at):
        told.append(at.step)
        assert len(told) < 10

    found = js.fit(problem(), "gd", max_steps=fewer, checkpoints=tmp_path, progress=progress)
    assert found.status is js.Status.STEP_LIMIT
    assert found.steps == max(kept, fewer)
    assert_same(found, js.fit(problem(), "gd", max_steps=found.steps))


@pytest.mark.parametrize(
    ("change", "other"),
    [
        ({"data": {"sample_weight": np.full(90, 2.0)}}, "data"),
        ({"data": {"regularizer": js.L2(0.1, penalize_intercept=True)}}, "data"),
        ({"W0": np.ones((4, 7))}, "W0"),
        ({"method": "bb"}, "method"),
        ({"whiten": True, "data": {"regularizer": None}}, "data, method"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_before_any_step(change, other, tmp_path):
    js.fit(problem(), "gd", max_steps=20, checkpoints=tmp_path)
    data = problem().replace(**change.pop("data", {}))
    asked = {"method": "gd", "progress": lambda at: pytest.fail("a step was taken")} | change
    with pytest.raises(
        ValueError, match=rf"^checkpoints: step \d+ in .* is of a run with other {other}; name an empty"
    ):
        js.fit(data, checkpoints=tmp_path, **asked)


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path):
    """Files cut short, or a folder that never got its name: a warning says which, and the run ends in the same bits."""
    js.fit(problem(), "gd", max_steps=60, checkpoints=tmp_path)
    steps = sorted(int(path.name) for path in tmp_path.iterdir())
    assert len(steps) == checkpoints.KEPT
    for path in (tmp_path / str(steps[-1])).rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    unfinished = tmp_path / f"{steps[-1] + 5}.orbax-checkpoint-tmp-7"
    unfinished.mkdir()
    with pytest.warns(UserWarning, match="checkpoints: in ") as told:
        found = js.fit(problem(), "gd", max_steps=60, checkpoints=tmp_path)
    said = [str(warning.message) for warning in told]
    assert {warning.filename for warning in told} == {__file__}  # the caller of `fit`
    assert any(unfinished.name in text and "cut off" in text for text in said)
    assert any(f"step {steps[-1]} cannot be read" in text for text in said)
    assert_same(found, js.fit(problem(), "gd", max_steps=60))


def test_a_folder_that_cannot_be_made_and_a_missing_orbax_are_said(tmp_path, monkeypatch):
    file = tmp_path / "a file"
    file.write_text("")
    with pytest.raises(ValueError, match=r"^checkpoints: .* name a folder that can be written"):
        js.fit(problem(), checkpoints=file)
    monkeypatch.setitem(sys.modules, "orbax.checkpoint", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxsoftmax\[checkpoints\]'"):
        js.fit(problem(), checkpoints=tmp_path / "new")


def test_the_digest_sees_values_shapes_and_dtypes():
    seen = [checkpoints.digest(np.asarray(a)) for a in ([1.0, 0.0], [[1.0, 0.0]], np.float32([1, 0]), [1.0, -0.0], [])]
    assert len(set(seen)) == 5
    assert checkpoints.digest(jax.random.key(1)) != checkpoints.digest(jax.random.key(2))


PROGRAM = """
import sys
import numpy as np
import jaxsoftmax as js
from jaxsoftmax.training.loop import checkpoints, run
checkpoints.EVERY_SECONDS, run.FIRST_CHUNK, run.CHUNK_SECONDS = 0.0, 1, 0.01
X = np.random.default_rng(0).normal(size=(300, 4)).astype(np.float32)
problem = js.Problem.from_labels(X, np.arange(300) % 3)
told = lambda at: print("step", at.step, flush=True)
fit = js.fit(problem, "gd", tol=0.0, max_steps=2000, checkpoints=sys.argv[1], progress=told)
print(checkpoints.digest(fit.W, fit.history, fit.loss), fit.steps, fit.status.name)
"""


@pytest.mark.slow
def test_a_killed_process_goes_on(tmp_path):
    """kill -9 in the middle of a run: the next process ends in the bits of a run that nobody disturbed."""
    run = [sys.executable, "-c", PROGRAM]
    whole = subprocess.run([*run, str(tmp_path / "whole")], capture_output=True, text=True, check=True).stdout
    process = subprocess.Popen([*run, str(tmp_path / "cut")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("step")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = subprocess.run([*run, str(tmp_path / "cut")], capture_output=True, text=True, check=True).stdout
    assert again.splitlines()[-1] == whole.splitlines()[-1]
    # Not from the beginning: the first run had a checkpoint of step 1 when it was killed.
    assert (whole.splitlines()[0], again.splitlines()[0]) != ("step 1", "step 1") and whole.startswith("step 1\n")

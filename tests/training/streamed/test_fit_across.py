"""`fit` of samples that two processes hold a part of each: the same bits in both, and what one process finds."""

import json

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from tests.helpers.two_processes import run_two

DATA = """
import json, numpy as np, jaxsoftmax as js
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 3)) * [1, 20, 0.3]
y = np.argmax(X / [1, 20, 0.3] @ rng.normal(size=(3, 3)) + rng.gumbel(size=(300, 3)), axis=1)
weights = rng.integers(0, 3, 300).astype(float)
mine = slice(0, 190) if number == 0 else slice(190, 300)
options = {"classes": range(3), "across_processes": True, "dtype": "float32"}
"""
FITS = """
out = []
for method, regularizer, s in (("auto", None, weights), ("mm", js.L2(3.0), None)):
    problem = js.StreamedProblem.from_labels(
        X[mine], y[mine], sample_weight=None if s is None else s[mine], regularizer=regularizer, **options)
    fit = js.fit(problem, method, tol=1e-4)
    out.append([problem.N, fit.W.tolist(), fit.loss, fit.q_estimate, fit.gap_estimate, fit.status.name, fit.steps])
print("\\n" + json.dumps(out))
"""


@pytest.mark.slow
def test_two_processes_find_what_one_finds():
    """S1, S13: losses apart by both gaps and the rounding of their sums; log-odds by S13's radii and float32's.

    Newton-CG states what its conjugate gradients have found of the gap, more than half of it: hence 2.
    """
    ended = run_two(DATA + FITS)
    assert [process.code for process in ended] == [0, 0], ended
    first, second = (process.out.strip().splitlines()[-1] for process in ended)
    assert first == second
    space: dict = {"number": 0}
    exec(DATA, space)
    X, y, weights = space["X"], space["y"], space["weights"]
    runs = zip(json.loads(first), (("newton-cg", None, weights), ("mm", js.L2(3.0), None)), strict=True)
    for (N, W, loss, q, gap, status, _), (method, penalty, s) in runs:
        whole = js.Problem.from_labels(X, y, sample_weight=s, regularizer=penalty, dtype="float32")
        one = js.fit(whole, method, tol=1e-4)
        assert N == 300 and status == one.status.name == "GRADIENT_TOLERANCE" and q < 1 and one.q_estimate < 1
        assert abs(loss - one.loss) <= 2 * (gap + one.gap_estimate) + 2 * 2.0**-52 * 30 * one.loss
        odds = [(V - V[:1]) @ np.vstack([X.T, np.ones(300)]) for V in (np.array(W), one.W)]
        assert np.abs(odds[0] - odds[1]).max() <= 1.2 * (q + one.q_estimate) + 1e3 * 2.0**-23


DISAGREE = """
def said(call):
    try:
        call()
    except ValueError as error:
        return str(error)
problem = js.StreamedProblem.from_labels(X[mine], y[mine], **options)
print("\\n" + json.dumps([
    said(lambda: js.StreamedProblem.from_labels(X[mine, : 2 + number], y[mine], **options)),
    said(lambda: js.StreamedProblem.from_labels(X[mine], y[mine], **options | {"classes": range(3 + number)})),
    said(lambda: js.fit(problem, tol=1e-3 * (1 + number))),
    said(lambda: js.fit(problem, checkpoints="folder")),
]))
"""


def test_processes_that_disagree_are_told_before_any_step():
    ended = run_two(DATA + DISAGREE)
    assert [process.code for process in ended] == [0, 0], ended
    for process in ended:
        columns, classes, tolerance, folder = json.loads(process.out.strip().splitlines()[-1])
        assert columns.startswith("columns of X:") and "2" in columns and "3" in columns
        assert classes.startswith("classes:") and tolerance.startswith("tol:") and "0.002" in tolerance
        assert folder.startswith("checkpoints:")


INTERRUPTED = """
def progress(told):
    if number == 0 and told.phase == sys.argv[3]:
        raise KeyboardInterrupt
js.fit(js.StreamedProblem.from_labels(X[mine], y[mine], **options), "mm", progress=progress)
"""


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["training", "end point"])
def test_ctrl_c_in_one_process_ends_both(phase):
    """Whether it comes between two steps or at the end point: the other must neither wait nor add up another point."""
    interrupted, other = run_two(DATA + INTERRUPTED, phase)
    assert interrupted.code != 0 and "KeyboardInterrupt" in interrupted.err
    assert other.code != 0 and "ProcessLost: process 0 of this run failed" in other.err, other
    assert "KeyboardInterrupt" in other.err


def test_one_process_alone_needs_no_jax_distributed():
    """across_processes with one process is the same sum over one."""
    X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    problem = js.StreamedProblem.from_labels(X, np.arange(20) % 2, across_processes=True)
    assert problem.N == 20 and jax.process_count() == 1

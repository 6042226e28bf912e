"""Cross-checks of values and first derivatives: S1, S2, S3, and the gradients in X, T and s.

Guarded by `tests/evidence/crosscheck/test_compare.py`.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxsoftmax.checker.report.finding import Finding, compare, worst_of
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.evidence.crosscheck import tolerances
from jaxsoftmax.evidence.crosscheck.entrywise import entrywise
from jaxsoftmax.evidence.crosscheck.sides import REVERSE, TEXTBOOK, Sides, against


def compare_loss(k: Sides) -> list[Finding]:
    """Loss and log-probabilities (S1)."""
    tol, own = k.tolerance("loss"), k.textbook_tolerance("loss")
    ours = {
        "loss": k.hand(lambda: k.ours.objective.loss(k.W, k.problem)),
        "loss, fused": k.hand(lambda: k.ours.derivatives.value_and_gradient(k.W, k.problem))[0],
    }
    exact = highprecision.loss(k.W, k.problem) if k.exact else None
    theirs = k.textbook("loss")
    return against(k, "S1", ours, TEXTBOOK, theirs, tol, own, exact, None)


def compare_probabilities(k: Sides) -> list[Finding]:
    """Probabilities and residuals, row by row (S1)."""
    Y = k.hand(lambda: k.ours.objective.probabilities(k.W, k.problem))
    log_Y = k.hand(lambda: k.ours.objective.log_probabilities(k.W, k.problem))
    Z = highprecision.logits(k.W, k.problem) if k.exact else None
    exact = None if Z is None else highprecision.probabilities(Z)
    theirs, own = k.textbook_rows("probabilities"), k.textbook_tolerance("probability")
    tol, log_tol = k.tolerance("probability"), k.tolerance("log_probability")
    out = against(k, "S1", {"probabilities": Y}, TEXTBOOK, theirs, tol, own, exact, k.at_sample_class)
    exact = None if Z is None else -highprecision.neg_log_probabilities(Z)
    theirs, own = k.textbook_rows("log_probabilities"), k.textbook_tolerance("log_probability")
    out += against(k, "S1", {"log-probabilities": log_Y}, TEXTBOOK, theirs, log_tol, own, exact, k.at_sample_class)
    return out


def compare_gradient(k: Sides) -> list[Finding]:
    """The gradient, by each of our ways to it (S2)."""
    ours = {
        "gradient": k.hand(lambda: k.ours.derivatives.gradient(k.W, k.problem)),
        "gradient, fused": k.hand(lambda: k.ours.derivatives.value_and_gradient(k.W, k.problem))[1],
        "gradient, jax.grad of our loss": k.autodiff("gradient"),
    }
    exact = highprecision.gradient(k.W, k.problem) if k.exact else None
    tol, own = k.tolerance("gradient"), k.textbook_tolerance("gradient")
    return against(k, "S2", ours, REVERSE, k.textbook("gradient"), tol, own, exact, k.at_class_feature)


def _entrywise_penalties(k: Sides, W: np.ndarray) -> float:
    W = W.astype(np.float64)
    return float(sum(np.sum(term.mask * term.value(W)) for term in entrywise(k.data)))


def compare_gauge(k: Sides) -> list[Finding]:
    """1'grad L = 0 and L(W + 1v') = L(W), apart from L2 and log-cosh (S21 a, b), which are not gauge invariant."""
    W, eps = k.W.astype(np.float64), 2.0**-52
    G = k.hand(lambda: k.ours.derivatives.gradient(k.W, k.problem)).astype(np.float64)
    sums, tol = G.sum(axis=0), k.tolerance("gradient")
    expected, size = np.zeros(k.D), np.zeros(k.D)
    for term in entrywise(k.data):
        slope = term.mask * term.slope(W)
        expected += slope.sum(axis=0)
        size += np.abs(slope).sum(axis=0)
    own = k.C * eps * (np.abs(G).sum(axis=0) + size)
    name = "column sums of the gradient"
    out = [
        compare(
            "S3",
            name,
            "its theorem",
            sums,
            expected,
            tol.sum(axis=0),
            own_tolerance=own,
            label=k.at_feature,
            identity=True,
        )
    ]

    v = k.gauge_direction
    moved = k.W + v[None, :]
    # W + 1v' is rounded; the loss may move by at most sum_n s_n 2 max_c |E x_n|_c for the rounding E.
    shift = np.abs((moved.astype(np.float64) - W) - v.astype(np.float64))
    shift += eps * (np.abs(moved) + np.abs(W) + np.abs(v)) if k.dtype == np.float64 else 0.0
    slack = sum(
        2 * abs(float(term.value)) * shift.max(axis=0).sum() for term in k.data.regularizer if term.kind == "self"
    )
    for _, d in k.blocks(k.block_rows):
        slack += 2 * float((d.sample_weight * (np.abs(d.X) @ shift.T).max(axis=1)).sum())
    before, after = (float(k.hand(lambda w=w: k.ours.objective.loss(w, k.problem))) for w in (k.W, moved))
    with np.errstate(invalid="ignore"):
        theirs, ours = before - _entrywise_penalties(k, k.W), after - _entrywise_penalties(k, moved)
    tol = k.tolerance("loss") + k.tolerance("loss", W=moved) + slack
    tol += 4 * eps * (abs(before) + abs(after)) + k.C * k.D * eps * _entrywise_penalties(k, np.abs(moved) + np.abs(k.W))
    return [
        *out,
        compare("S3", "loss along a gauge direction", "its theorem", ours, theirs, tol, identity=True),
    ]


def compare_inputs(k: Sides) -> list[Finding]:
    """Gradients of our loss in X, T and s (the rules of S2 and S1 seen from the other arguments)."""
    in_X, in_T, in_s = k.autodiff("inputs")
    names = (
        "gradient in X, jax.grad of our loss",
        "gradient in T, jax.grad of our loss",
        "gradient in s, jax.grad of our loss",
    )
    found: list[list[Finding]] = [[], [], []]
    rounding = float(jax.numpy.finfo(in_X.dtype).eps) if in_X.dtype != k.dtype else 0.0
    for rows, d in k.blocks(k.block_rows):
        first, s, T = rows.start, d.sample_weight[:, None], np.abs(d.T)
        hand = _PerSample(k, d, k.dtype, compensated=True)
        text = _PerSample(k, d, np.float64, compensated=False)
        labels = (
            lambda i, a=first: {"sample": a + i[0], "feature": k.feature_name(i[1])},
            lambda i, a=first: k.at_sample_class(i, a),
            lambda i, a=first: {"sample": a + i[0]},
        )
        theirs = k.on_block("input_gradients", d)
        tols = (hand.in_X + rounding * np.abs(theirs[0]), s * hand.log, (T * hand.log).sum(axis=1))
        owns = (text.in_X, s * text.log, (T * text.log).sum(axis=1))
        for i, (tag, ours_i) in enumerate((("S2", in_X), ("S1", in_T), ("S1", in_s))):
            found[i].append(
                compare(
                    tag, names[i], REVERSE, ours_i[rows], theirs[i], tols[i], own_tolerance=owns[i], label=labels[i]
                )
            )
    return [worst_of(group) for group in found]


class _PerSample:
    """Tolerances of one side for what depends on one sample alone."""

    def __init__(self, k: Sides, data: Any, dtype: Any, *, compensated: bool) -> None:
        options = {"dtype": dtype, "compensated": compensated}
        self.in_X = tolerances.input_gradient_tolerance(k.W, data, **options)
        # One multiplication by s, and for s itself a sum over the classes, on top of the logarithm.
        self.log = 2 * tolerances.log_probability_tolerance(k.W, data, **options)

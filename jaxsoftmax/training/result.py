"""`Fit`, what a training run found and what it predicts, and `Status`, how it ended.

The word *converged* is used only where S13's q < 1 was evaluated at the end point: a small gradient alone proves
nothing, because on data without a minimiser the gradient goes to zero as well (while ‖W‖ goes to infinity).

Guarded by `tests/training/test_fit.py`.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxsoftmax.problem.arrays import float64_blocks
from jaxsoftmax.problem.new_samples import new_samples, sparse_samples
from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.support.sparse_matrix import is_sparse
from jaxsoftmax.training.judge import far_above
from jaxsoftmax.training.loop import run as loop


class Status(enum.Enum):
    """How a run ended.

    GRADIENT_TOLERANCE: the scaled gradient reached the tolerance. STEP_LIMIT: it did not within `max_steps`, or a rule
    of the method's own ended the run before ("rychlik-bb", S20). DIVERGING: the weights keep growing; probably no
    minimiser exists. STALLED: the loss cannot fall further in this precision, and the gradient is above the tolerance,
    on the data as given if not on rounded ones; or the loss is still far above its minimum, though far offsets make the
    scaled gradient small.
    NONFINITE: a step led to infinite or undefined numbers; the result is the last good point. INTERRUPTED: Ctrl-C; the
    result is what was done until then.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> separable = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
        >>> js.fit(separable).status is js.Status.DIVERGING
        True
    """

    GRADIENT_TOLERANCE = loop.GRADIENT_TOLERANCE
    STEP_LIMIT = loop.STEP_LIMIT
    DIVERGING = loop.DIVERGING
    STALLED = loop.STALLED
    NONFINITE = loop.NONFINITE
    INTERRUPTED = loop.INTERRUPTED


_DATA = (
    "W",
    "loss",
    "loss_in_training",
    "gradient_norm",
    "scaled_gradient",
    "gap_estimate",
    "steps",
    "rate_measured",
    "rate_bound",
    "rate_estimate",
    "log_gain_bound",
    "q_estimate",
    "history",
)
_META = (
    "status",
    "method",
    "has_intercept",
    "reason",
    "existence",
    "inner_solves",
    "classes",
    "feature_names",
    "formula",
    "end_point_cut",
)


@partial(jax.tree_util.register_dataclass, data_fields=_DATA, meta_fields=_META)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fit(Report):
    """The result of `fit`. Arrays are NumPy float64, also where JAX's x64 is off.

    What is said about W is evaluated in float64 on the data as given, whatever the compute dtype of the training.

    Attributes:
        W: (C, D) weights: those of the training, translated to the features given.
        status: a `Status`.
        loss: L(W), the sum of S1 plus penalties.
        loss_in_training: the same as the training computed it: in the compute dtype, of data rounded to it.
        gradient_norm: ‖∇L(W)‖_F.
        scaled_gradient: max_cd |g_cd| / a_d, the number that the tolerance is compared with; a_d = Σ_n s_n|x_nd| + the
            penalties' scale. In the columns that the training worked in (`fit`).
        gap_estimate: an estimate of L(W) − inf L, half the squared Newton decrement; None where not evaluated.
        steps: steps taken.
        rate_measured: factor per step by which the gradient norm shrank at the end; None where it cannot be measured.
        rate_bound: a proved bound on the contraction a step near the minimiser, from the curvature at W: for "gd" by
            S17 and S7c sample by sample, which for two classes is the rate itself (S7d); for "mm" by S19. None where
            nothing is claimed.
        rate_estimate: the contraction a step from the eigenvalues of the Hessian at W (S17) along the directions that
            the run enters, for "gd" and "gd-optimal" (two classes: S7d's smaller matrix); None where not evaluated.
        log_gain_bound: for "gd", proved before training: log(μ/Λ), where each step from W₀ on shrinks L − L* by the
            factor 1 − μ/Λ (S18). None where nothing is promised.
        q_estimate: the number q of S13: q < 1 shows that a minimiser exists near W. Evaluated in float64, not proved;
            None where not evaluated.
        history: dict of arrays: step, loss, gradient_norm, weight_norm, step_size; evenly thinned when long.
        method: the method's name.
        has_intercept: whether the last column of W is the intercept (then `coef` and `intercept` split W).
        reason: one sentence on what the status means here.
        existence: for DIVERGING: the `ExistenceVerdict` on the data (S9); None where nothing was asked.
        inner_solves: for "newton-cg": how its linear systems were solved, one entry for each choice: from which `step`
            on, by which `preconditioner` ("majorant", a fixed matrix above every Hessian, S19; "class blocks", the
            Hessian's blocks, one for each class, S23; for sparse X "diagonal", the Hessian's), in which
            `products_dtype`, and after how many `wasted_products`; `failed` where blocks were to be made, could not be,
            and what there was stayed.
        classes: the problem's labels, one for each row of W; None where it had none.
        feature_names: a name for each column of W, "intercept" last where there is one; None where it had none.
        formula: what made the columns of a frame, for a problem from a formula: new frames then need only the columns
            that the formula names. Not kept by `save_fit`.
        end_point_cut: whether Ctrl-C ended the evaluation at W, after the training: `reason` says so too.

    Example:
        >>> import jaxsoftmax as js, jax, jax.numpy as jnp, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], ["no", "yes", "no", "yes"])
        >>> result = js.fit(problem)
        >>> result.coef.shape, result.intercept.shape, result.converged
        ((2, 1), (2,), True)
        >>> result.predict([[-1.0], [4.0]])
        array(['no', 'yes'], dtype='<U3')
        >>> result.probabilities([[1.5]]).round(6).tolist()
        [[0.5, 0.5]]
    """

    W: Any
    loss: Any
    loss_in_training: Any
    gradient_norm: Any
    scaled_gradient: Any
    gap_estimate: Any
    steps: Any
    rate_measured: Any
    rate_bound: Any
    rate_estimate: Any
    log_gain_bound: Any
    q_estimate: Any
    history: Any
    status: Status
    method: str
    has_intercept: bool
    reason: str
    existence: Any = None
    inner_solves: tuple[loop.InnerSolve, ...] = ()
    classes: tuple | None = None
    feature_names: tuple[str, ...] | None = None
    formula: Any = None
    end_point_cut: bool = False

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the training or the evaluation at W: then this is a part of what was asked for."""
        return self.status is Status.INTERRUPTED or self.end_point_cut

    @property
    def converged(self) -> bool:
        """True only where S13's q < 1 was evaluated at W: then a minimiser exists near W (up to rounding).

        It is False also where the loss is known to be more than a ten-thousandth above its minimum.
        """
        if self.q_estimate is None or self.status is Status.DIVERGING:
            return False
        return bool(self.q_estimate < 1) and not far_above(self.gap_estimate, self.loss)

    @property
    def coef(self) -> Any:
        """(C, D) weights without the intercept column."""
        return self.W[:, :-1] if self.has_intercept else self.W

    @property
    def intercept(self) -> Any:
        """(C,) intercepts, zeros where the problem has none."""
        return self.W[:, -1] if self.has_intercept else np.zeros(self.W.shape[0], self.W.dtype)

    def logits(self, X: Any) -> np.ndarray:
        """The logits of new samples, (N, C) float64: X (N, columns trained on) times W, plus the intercept.

        X is what `Problem` takes; a SciPy sparse matrix is not made dense. Columns of a frame are matched by name where
        the training data had names, and put in their order; otherwise they are taken in the order given. Of a problem
        from a formula a pandas frame holds what the formula names; its levels, means and the like are those of the
        training data.

        Raises:
            TypeError, ValueError: no real numbers, NaN or infinities, missing, unknown or another number of columns.
        """
        names = self.feature_names
        given = names[: self.coef.shape[1]] if names is not None else None
        if self.formula is not None and hasattr(X, "iloc") and list(X.columns) != list(given or ()):
            X = self.formula.columns(X)
        if is_sparse(X):
            return sparse_samples(X, self.coef.shape[1]) @ np.ascontiguousarray(self.coef.T) + self.intercept
        samples = new_samples(X, given, self.coef.shape[1])
        out = np.empty((len(samples), len(self.W)))
        for rows, block in float64_blocks(samples):
            out[rows] = block @ self.coef.T + self.intercept
        return out

    def probabilities(self, X: Any) -> np.ndarray:
        """The probabilities of the classes for new samples, (N, C) float64, rows summing to 1; X as for `logits`."""
        from scipy.special import softmax

        return softmax(self.logits(X), axis=1)

    def log_probabilities(self, X: Any) -> np.ndarray:
        """The logarithms of `probabilities`, (N, C) float64, finite also where a probability underflows."""
        from scipy.special import log_softmax

        return log_softmax(self.logits(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each new sample, (N,): a label, or the row of W where there are no labels."""
        codes = np.argmax(self.logits(X), axis=1)
        return codes if self.classes is None else np.asarray(self.classes)[codes]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, keys as the fields plus `converged`."""
        out: dict[str, Any] = {"W": self.W, "status": self.status.name}
        out |= {name: getattr(self, name) for name in _DATA[1:]}
        out |= {"method": self.method, "reason": self.reason, "converged": self.converged}
        solves = [solve._asdict() for solve in self.inner_solves]
        out |= {"existence": self.existence, "inner_solves": solves}
        return json_ready(out | {"classes": self.classes, "feature_names": self.feature_names})

    def plot(self, *, seconds: Any = None, ax: Any = None) -> Any:
        """Draw how the training went (`js.plots.plot_fit`): loss gap, gradient and proved rates; ‖W‖ if it diverges."""
        from jaxsoftmax.plots.history import plot_fit

        return plot_fit(self, seconds=seconds, ax=ax)

    def _training_gap(self) -> str:
        """What the loss was in training, where that is another number in the digits that are shown."""
        difference = self.loss_in_training - self.loss
        if not math.isfinite(difference) or abs(difference) <= 1e-11 * abs(self.loss):
            return ""
        words = f"{abs(difference):.2g} {'more' if difference > 0 else 'less'}"
        return f" in float64 on the data as given; in training, on rounded numbers, {words}"

    def document(self) -> Document:
        """How the run ended, where it ended, and what is known about a minimum there."""
        if not isinstance(self.W, np.ndarray):  # rebuilt by JAX with something else in the leaves
            return [Title(f"Fit(method={self.method!r}, status={self.status.name})")]
        facts = [
            ("weights", f"{self.W.shape}, {self.W.dtype}"),
            ("loss", f"{self.loss:.12g}{self._training_gap()}"),
            (
                "gradient",
                f"norm {self.gradient_norm:.3g}; scaled, what tol is compared with, {self.scaled_gradient:.3g}",
            ),
        ]
        if self.existence is not None:
            facts.append(("existence", self.existence.headline()))
        if self.gap_estimate is not None:
            words = "above the infimum, estimated by half the squared Newton decrement (good only where small)"
            facts.append(("gap", f"{self.gap_estimate:.3g} {words}"))
        if self.q_estimate is None:
            claim = "nothing is claimed: S13's q was not evaluated"
        elif self.q_estimate < 1:
            near = "nearby" if self.converged else "(the loss here is far above its minimum)"
            claim = f"one exists {near}: q = {self.q_estimate:.3g} < 1 (S13; evaluated in float64, not proved)"
        else:
            claim = f"nothing is claimed: q = {self.q_estimate:.3g} is not below 1 (S13; evaluated in float64)"
        facts.append(("minimiser", claim))
        rates = [("measured", self.rate_measured), ("from the spectrum (S17)", self.rate_estimate)]
        rates.append(("bound (S19)" if self.method == "mm" else "bound (S17, S7)", self.rate_bound))
        known = [f"{name} 1 - {1 - value:.3g}" for name, value in rates if value is not None]
        if known:
            facts.append(("a step", f"multiplies the distance to the minimum by: {', '.join(known)}"))
        if self.inner_solves:
            facts.append(("solved by", _solve_words(self.inner_solves)))
        if self.log_gain_bound is not None:
            excess = f"1 - 10^{self.log_gain_bound / math.log(10):.4g}"
            facts.append(("promised", f"each step multiplies the loss above its minimum by at most {excess} (S18)"))
        return [
            Title(f"Fit by {self.method}: {self.status.name} after {self.steps} steps"),
            Paragraph(self.reason),
            Facts(facts),
        ]


def whole(fit: Fit) -> Fit:
    """The fit, for a caller who keeps no part of one: KeyboardInterrupt where Ctrl-C ended it."""
    if fit.interrupted:
        raise KeyboardInterrupt
    return fit


def _solve_words(solves: tuple[loop.InnerSolve, ...]) -> str:
    """By which preconditioner, from which step on, and in which precision."""
    fixed = "a fixed matrix above every Hessian (S19)"
    by = "the Hessian's diagonal, anew at each step" if solves[0].preconditioner == "diagonal" else fixed
    words = [f"conjugate gradients, preconditioned by {by}"]
    blocks = [solve for solve in solves if solve.preconditioner == "class blocks" and not solve.failed]
    if blocks:
        until = f"({blocks[0].wasted_products:.0f} products too many until then)"
        made = "" if len(blocks) == 1 else f", made {len(blocks)} times"
        words.append(f"from step {blocks[0].step} on {until} by the Hessian's blocks, one for each class (S23){made}")
    failed = [solve.step for solve in solves if solve.failed]
    if failed:
        times = "" if len(failed) == 1 else f" ({len(failed)} times in all)"
        words.append(
            f"at step {failed[0]}{times} new blocks were not positive definite to rounding, and the old matrix stayed"
        )
    words.append(f"products in {solves[0].products_dtype}")
    wider = next((solve for solve in solves if solve.products_dtype != solves[0].products_dtype), None)
    if wider is not None:
        words[-1] += f", from step {wider.step} on in {wider.products_dtype}"
    return "; ".join(words)

"""`ConvexityReport`: what the convexity probes found, as numbers, as JSON and as text.

Guarded by `tests/evidence/spectrum/test_probe.py`.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from functools import partial
from typing import Any

import jax

from jaxsoftmax.reporting.blocks import Document, Facts, Paragraph, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.report import Report


class Convexity(enum.Enum):
    """The verdict: CONSISTENT with convexity (S5, S6); REFUTED, with a witness; UNRESOLVED in this precision."""

    CONSISTENT = "CONSISTENT"
    REFUTED = "REFUTED"
    UNRESOLVED = "UNRESOLVED"


_NUMBERS = (
    "lambda_min",
    "lambda_max",
    "lambda_min_bound",
    "lambda_max_bound",
    "kernel_dim",
    "kernel_dim_predicted",
    "rank",
    "condition_estimate",
    "condition_bound",
    "residual_estimate",
    "residual_min_estimate",
    "residual_max_estimate",
    "resolution",
    "rank_tolerance",
    "form_min_measured",
    "midpoint_excess_measured",
    "products",
    "seconds",
)
_DATA = (*_NUMBERS, "witness", "spectral_density")
_META = ("verdict", "reason", "method", "dtype", "resolved")


@partial(jax.tree_util.register_dataclass, data_fields=_DATA, meta_fields=_META)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ConvexityReport(Report):
    """What `probe_convexity` or `probe_operator` found; numbers are Python floats, arrays NumPy.

    Attributes:
        lambda_min, lambda_max: extreme eigenvalues outside the null space (lambda_min NaN when H = 0).
        lambda_min_bound, lambda_max_bound: proved bounds by S7c (0.0: none) and S7a; NaN for an arbitrary operator.
        kernel_dim, kernel_dim_predicted: dimension of the null space as found to the resolution, and as S6 predicts it.
        rank: rank R of X over the samples that take part (S6); for an arbitrary operator its size less kernel_dim.
        condition_estimate, condition_bound: λ_max/λ_min outside the null space, and S7c's bound on it (inf: none).
        residual_min_estimate, residual_max_estimate: ‖Hv − λv‖, ‖v‖ = 1, of the two extreme pairs by products with H.
        residual_estimate: the larger of the two.
        resolution: an eigenvalue smaller than this cannot be told from 0 (derived in evidence/spectrum/probe.py).
        rank_tolerance: singular values of the equilibrated X below this counted as 0 for S6's rank (`NullSpace`).
        form_min_measured: smallest vᵀHv/‖v‖² over all directions that were tried.
        midpoint_excess_measured: largest L((A+B)/2) − (L(A) + L(B))/2 in units of its allowance for rounding; at most
            1 for a convex loss. NaN where there is no loss.
        products, seconds: columns that H was applied to, and the time of the probe.
        witness: direction of negative curvature when REFUTED, else None: (C, D), or flat for an arbitrary operator.
        spectral_density: a `SpectralDensity`, or None (not asked for, or H is 0).
        verdict: a `Convexity`.
        reason: one sentence.
        method: "dense" or "matrix-free".
        dtype: what the products were computed in.
        resolved: whether lambda_min is above the resolution.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
        >>> report = js.probe_convexity(problem, np.zeros((2, 2)))
        >>> report.to_dict()["lambda_max"] <= report.lambda_max_bound
        True
        >>> low, high = report.lambda_min_interval
        >>> low <= report.lambda_min <= high
        True
    """

    lambda_min: Any
    lambda_max: Any
    lambda_min_bound: Any
    lambda_max_bound: Any
    kernel_dim: Any
    kernel_dim_predicted: Any
    rank: Any
    condition_estimate: Any
    condition_bound: Any
    residual_estimate: Any
    residual_min_estimate: Any
    residual_max_estimate: Any
    resolution: Any
    rank_tolerance: Any
    form_min_measured: Any
    midpoint_excess_measured: Any
    products: Any
    seconds: Any
    witness: Any
    spectral_density: Any
    verdict: Convexity
    reason: str
    method: str
    dtype: str
    resolved: bool

    @property
    def lambda_min_interval(self) -> tuple[float, float] | None:
        """(lower, upper) for the smallest eigenvalue outside the null space, None when unresolved.

        `upper` is the curvature along a vector outside the null space, so it holds whatever the iteration did, up to
        the rounding of one sum of squares; `lower` is the proved bound where there is one, else 0.0 (NaN for an
        arbitrary operator).
        """
        return (self.lambda_min_bound, self.lambda_min) if self.resolved else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, keys as the fields."""
        interval = self.lambda_min_interval
        out: dict[str, Any] = {"verdict": self.verdict.value} | {name: getattr(self, name) for name in _NUMBERS}
        out["lambda_min_interval"] = "unresolved" if interval is None else interval
        return json_ready(out | {name: getattr(self, name) for name in ("witness", "spectral_density", *_META[1:])})

    def summary(self) -> str:
        """What was found, in one sentence."""
        words = {"CONSISTENT": "consistent with convexity", "REFUTED": "convexity REFUTED"}
        text = words.get(self.verdict.value, f"not resolved by {self.dtype}")
        low = f"{self.lambda_min:.6g}" if self.resolved else f"below {self.resolution:.1e} (unresolved)"
        ratio = f", condition number {self.condition_estimate:.4g}" if self.resolved else ""
        predicted = "as" if self.kernel_dim == self.kernel_dim_predicted else f"{self.kernel_dim_predicted}"
        null = f"null space of dimension {self.kernel_dim}, {predicted} predicted (S6)"
        return f"{text}: nonzero eigenvalues {low} to {self.lambda_max:.6g}{ratio}; {null}"

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the density of the eigenvalues between their bounds (S7), by `js.plots.plot_spectrum`."""
        from jaxsoftmax.plots.spectrum import plot_spectrum

        return plot_spectrum(self, ax=ax)

    def document(self) -> Document:
        """The verdict, the extreme eigenvalues beside their bounds, the null space, and how accurate this is."""
        title = f"Convexity probe: {self.verdict.value}"
        if not isinstance(self.lambda_max, float):  # rebuilt by JAX with something else in the leaves
            return [Title(title)]
        unclear = "" if self.resolved else ", unresolved"
        least = f"at least {self.lambda_min_bound:.6g} (S7c)" if self.lambda_min_bound > 0 else "no rigorous bound"
        most = (
            "no rigorous bound" if math.isnan(self.lambda_max_bound) else f"at most {self.lambda_max_bound:.6g} (S7a)"
        )
        ratio = (
            f"at most {self.condition_bound:.6g} (S7c)" if math.isfinite(self.condition_bound) else "no rigorous bound"
        )
        null = f"dimension {self.kernel_dim}, {self.kernel_dim_predicted} "
        if math.isnan(self.rank_tolerance):
            null += "given"
        else:
            null += (
                f"predicted from rank {self.rank} of X (S6; singular values below {self.rank_tolerance:.2g} count as 0)"
            )
        tried = f"smallest curvature vᵀHv/|v|² {self.form_min_measured:.3g}"
        if not math.isnan(self.midpoint_excess_measured):
            tried += f"; largest (loss at a midpoint - mean at the ends) / rounding {self.midpoint_excess_measured:.2g}"
            tried += " (convex: at most 1)"
        facts = [
            ("smallest eigenvalue", f"{self.lambda_min:.6g} off the null space{unclear}; {least}"),
            ("largest eigenvalue", f"{self.lambda_max:.6g}; {most}"),
            ("condition number", f"{self.condition_estimate:.6g} off the null space; {ratio}"),
            ("null space", null),
            ("resolution", f"eigenvalues below {self.resolution:.2g} count as 0 in {self.dtype}"),
            (
                "residuals",
                f"|Hv - λv| is {self.residual_min_estimate:.2g} (smallest), {self.residual_max_estimate:.2g} (largest)",
            ),
            ("directions tried", tried),
            ("cost", f"{self.method}, {self.products} products with H, {self.seconds:.3g} s"),
        ]
        tone = {"CONSISTENT": "good", "REFUTED": "bad"}.get(self.verdict.value, "doubt")
        return [Title(title, tone), Paragraph(self.reason), Facts(facts)]

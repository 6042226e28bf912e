"""`Inference`: the coefficients' table of a fit, and the tests and intervals that go on from it (S22)."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxsoftmax.reporting.blocks import Document, Facts, Line, Paragraph, Table, Title
from jaxsoftmax.reporting.json_values import json_ready
from jaxsoftmax.reporting.latex import latex_table
from jaxsoftmax.reporting.report import Report
from jaxsoftmax.reporting.text import as_text
from jaxsoftmax.support.errors import WrongValue
from jaxsoftmax.support.validation import positive_int, random_generator
from jaxsoftmax.uncertainty.bootstrap import Bootstrap, bootstrap_weights
from jaxsoftmax.uncertainty.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from jaxsoftmax.uncertainty.marginal_effects import MarginalEffects, marginal_effects
from jaxsoftmax.uncertainty.maximum import Maximum
from jaxsoftmax.uncertainty.names import class_names, feature_names, gauge, index_of
from jaxsoftmax.uncertainty.profile import ProfileInterval, profile_limits
from jaxsoftmax.uncertainty.wald import Wald, as_frame, as_level, cells, freedom, head, normal_quantile

__all__ = ["Inference"]


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Inference(Report):
    """The result of `inference`: what the data say of the coefficients (S22). Its ``repr`` is the table.

    Arrays are NumPy float64 of shape (K, D): K classes shown (all but the reference class, or all where they sum to
    zero), D features, the intercept last. A coefficient that the data do not identify is NaN, one that runs to infinity
    is inf or -inf with NaN for its statistics.

    Attributes:
        coefficients: at the maximum of the likelihood.
        standard_errors: square roots of the covariance's diagonal.
        z: coefficients over standard errors.
        p_values: P(|Z| > |z|) of a standard normal Z: the Wald test of a coefficient against 0.
        lower, upper: the Wald interval.
        identified: (K, D) bool: whether the coefficient has a finite, single value at the maximum.
        covariance: (K·D, K·D) of the coefficients, row-major; NaN where one is not identified.
        classes: the K labels.
        features: the D names.
        reference: the reference class's label, or "sum" where coefficients sum to zero over the classes.
        covariance_type: "observed" or "robust".
        level: the level of confidence of the limits.
        n: the observations, Σ s_n.
        log_likelihood: at the maximum; its supremum where there is none.
        log_likelihood_null: of the shares of the classes alone (an intercept and nothing else).
        parameters: (C − 1) R, R the rank of the features.
        lr_statistic: 2 (log_likelihood − log_likelihood_null); None where the model has no intercept.
        lr_degrees_of_freedom: (C − 1)(R − 1).
        lr_p_value: P(χ² ≥ lr_statistic); None without degrees of freedom.
        mcfadden: 1 − log_likelihood/log_likelihood_null; None without an intercept, or where one class was seen.
        aic: 2 · parameters − 2 · log_likelihood.
        bic: log(n) · parameters − 2 · log_likelihood.
        attained: False where the likelihood has no maximum because the data are separated (S9).
        relative_error: an estimate of the rounding in the covariance, relative.
        existence: the `ExistenceVerdict` on separated data, else None.
        maximum: where the numbers come from; for the package's own use.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.arange(8)[:, None], [0, 0, 1, 0, 1, 0, 1, 1], feature_names=["dose"])
        >>> table = js.inference(problem, js.fit(problem))
        >>> type(table) is js.Inference, table.features, table.classes, table.coefficients.round(3).tolist()
        (True, ('dose', 'intercept'), (1,), [[0.594, -2.079]])
        >>> table.lr_test("dose").degrees_of_freedom
        1
    """

    coefficients: np.ndarray
    standard_errors: np.ndarray
    z: np.ndarray
    p_values: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    identified: np.ndarray
    covariance: np.ndarray
    classes: tuple[Any, ...]
    features: tuple[str, ...]
    reference: Any
    covariance_type: str
    level: float
    n: int
    log_likelihood: float
    log_likelihood_null: float
    parameters: int
    lr_statistic: float | None
    lr_degrees_of_freedom: int
    lr_p_value: float | None
    mcfadden: float | None
    aic: float
    bic: float
    attained: bool
    relative_error: float
    existence: Any
    maximum: Maximum
    theta_covariance: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the fields above, without `maximum`."""
        own = ("maximum", "theta_covariance", "existence")
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in own}
        return json_ready(fields | {"existence": self.existence})

    def to_text(self) -> str:
        """The table as text, which `repr` is too."""
        return as_text(self.document())

    def to_frame(self) -> Any:
        """The table as a pandas frame: a row for each class and feature.

        Raises:
            ImportError: pandas is not installed.
        """
        return as_frame(self.classes, self.features, self._columns())

    def cov_params(self) -> Any:
        """The covariance of the coefficients as a pandas frame, classes and features on both sides.

        Raises:
            ImportError: pandas is not installed.
        """
        rows = as_frame(self.classes, self.features, {}).index
        import pandas as pd

        return pd.DataFrame(self.covariance, index=rows, columns=rows)

    def to_latex(self) -> str:
        """The table as a LaTeX tabular, which needs no package."""
        groups = [(title, [line.cells for line in lines]) for title, lines in self._groups()]
        return latex_table(("feature", *head(self.level)), groups)

    def marginal_effects(self, at: str = "overall") -> MarginalEffects:
        """How each class's probability moves with each feature, with standard errors by the delta method.

        Args:
            at: "overall", the mean of the effects over the observations, or "mean", the effects at the features' mean.

        Raises:
            ValueError: another `at`; or separated data, which have no maximum.
        """
        self._need_maximum("marginal effects")
        problem = self.maximum.objective.data.given
        names = class_names(problem), feature_names(problem)
        return marginal_effects(self.maximum, self.theta_covariance, *names, at, self.level)

    def lr_test(self, features: Any) -> LikelihoodRatio:
        """The likelihood-ratio test of one feature or several: the model is fitted again without them.

        Args:
            features: a name or a list of names; "intercept" is one.

        Raises:
            TypeError, ValueError: no such features, or none left; or separated data, which have no maximum.
        """
        self._need_maximum("a likelihood-ratio test")
        return likelihood_ratio(self.maximum, self.features, features)

    def bootstrap(self, draws: int = 1000, *, key: Any = None, level: float | None = None) -> Bootstrap:
        """Standard errors and percentile intervals from fits to data drawn again with replacement.

        Args:
            draws: how many, at least 2; all are fitted in one compiled call.
            key: a JAX random key; `jax.random.key(0)` when None.
            level: the level of confidence; default that of the table.

        Raises:
            TypeError, ValueError: `draws` is no such number; fewer than two draws have a maximum; or separated data,
                which have no maximum.
        """
        self._need_maximum("a bootstrap")
        count = positive_int("draws", draws)
        if count < 2:
            raise WrongValue("draws", "got 1", "give at least 2, better 1000")
        wanted = self.level if level is None else as_level(level)
        data = self.maximum.objective.data
        W, without = bootstrap_weights(data, self.maximum.W, count, random_generator(key))
        shown = gauge(self.reference, class_names(data.given))
        found = np.where(self.identified, np.einsum("kc,bcd->bkd", shown.matrix, W), np.nan)
        return Bootstrap(self.classes, self.features, self.coefficients, found, without, wanted)

    def profile_interval(self, class_name: Any, feature: str, level: float | None = None) -> ProfileInterval:
        """The interval of a coefficient by the profile likelihood, which need not be symmetric.

        Args:
            class_name: a label among `classes`.
            feature: a name among `features`.
            level: the level of confidence; default that of the table.

        Raises:
            TypeError, ValueError: no such class or feature, a coefficient that is not identified, a level that is none;
                or separated data, which have no maximum.
        """
        self._need_maximum("a profile interval")
        place = (
            index_of("class_name", class_name, self.classes, "class shown"),
            index_of("feature", feature, self.features, "feature"),
        )
        wanted = self.level if level is None else as_level(level)
        if not self.identified[place]:
            raise WrongValue("feature", f"the data do not identify that of {feature}", "drop the features that span it")
        data = self.maximum.objective.data
        shown = gauge(self.reference, class_names(data.given)).matrix[[place[0]]]
        feature_row = data.columns.outward(np.eye(len(self.features))).T[[place[1]]]
        functional = self.maximum.objective.space.pull_product(shown, feature_row)[0]
        below, above = profile_limits(self.maximum, functional, wanted)
        estimate, error = float(self.coefficients[place]), float(functional @ self.maximum.inverse @ functional) ** 0.5
        reach = normal_quantile(wanted) * error
        ends = (estimate + below, estimate + above, estimate - reach, estimate + reach)
        return ProfileInterval(self.classes[place[0]], self.features[place[1]], estimate, *ends, level=wanted)

    def plot(self, *, most: int = 30, ax: Any = None) -> Any:
        """Draw the coefficients with their intervals (`js.plots.plot_coefficients`), at most `most` of them."""
        from jaxsoftmax.plots.intervals import plot_coefficients

        return plot_coefficients(self, most=most, ax=ax)

    def document(self) -> Document:
        """The model's fit, then a table for each class."""
        document: Document = [Title(self._title()), Facts(self._facts())]
        if not self.attained:
            document.append(Paragraph(self._separated(), "doubt"))
        elif not self.identified.all():
            names = ", ".join(
                name for name, seen in zip(self.features, self.identified.T, strict=True) if not seen.any()
            )
            words = f"The data do not identify the coefficients of {names}: others span them (S6)."
            document.append(Paragraph(words, "doubt"))
        for title, lines in self._groups():
            document += [Title(title), Table(("feature", *head(self.level)), lines, "<>>>>>>")]
        return document

    def _title(self) -> str:
        seen = f"{self.n} observations"
        if len(self.classes) == self.maximum.objective.space.C:
            return f"Inference: {seen}, coefficients sum to zero over the classes"
        return f"Inference: {seen}, coefficients against class {self.reference}"

    def _facts(self) -> list[tuple[str, str]]:
        whose = "" if self.attained else " (its supremum)"
        facts = [
            (
                "log-likelihood",
                f"{self.log_likelihood:.10g}{whose}; {self.log_likelihood_null:.10g} of the classes' shares alone",
            ),
            ("parameters", f"{self.parameters}; AIC {self.aic:.8g}, BIC {self.bic:.8g}"),
        ]
        if self.lr_statistic is not None and self.lr_p_value is not None:
            test = f"{self.lr_statistic:.6g} on {freedom(self.lr_degrees_of_freedom)}"
            facts.append(("all features", f"likelihood ratio {test}, p = {self.lr_p_value:.4g}"))
        if self.mcfadden is not None:
            facts.append(("pseudo-R²", f"{self.mcfadden:.5g} (McFadden)"))
        how = {"observed": "the inverse of the observed information (S22)", "robust": "robust, the sandwich HC0 (S22)"}
        facts.append(("covariance", how[self.covariance_type]))
        return facts

    def _separated(self) -> str:
        finite = int(self.identified.sum())
        runs = int(np.isinf(self.coefficients).sum())
        rest = self.identified.size - finite - runs
        words = [
            "The likelihood has no maximum: the data are separated (S9). Of the coefficients "
            f"{runs} run to infinity, {finite} are finite"
        ]
        if rest:
            words.append(f"{rest} may take any value there")
        return " and ".join(words) + ". Statistics are those of the face on which a maximum exists (S11)."

    def _groups(self) -> list[tuple[str, list[Line]]]:
        table, groups = self._wald(), []
        for k, name in enumerate(self.classes):
            lines = []
            for d, feature in enumerate(self.features):
                texts = cells(table, (k, d))
                if not self.identified[k, d] and not np.isinf(self.coefficients[k, d]):
                    texts = ("not identified", *texts[1:])
                lines.append(Line((feature, *texts)))
            groups.append((f"class {name}", lines))
        return groups

    def _columns(self) -> dict[str, np.ndarray]:
        names = ("coefficients", "standard_errors", "z", "p_values", "lower", "upper", "identified")
        return {name: getattr(self, name) for name in names}

    def _wald(self) -> Wald:
        return Wald(self.coefficients, self.standard_errors, self.z, self.p_values, self.lower, self.upper)

    def _need_maximum(self, what: str) -> None:
        if not self.attained:
            given = f"the data are separated, and {what} needs a maximum of the likelihood (S9)"
            raise WrongValue("inference", given, "drop the features that separate the classes, and fit again")

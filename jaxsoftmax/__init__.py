"""The front door of jaxsoftmax: every public name, loaded on first use, and nothing else.

`import jaxsoftmax as js` itself imports neither JAX nor any module of this package (PEP 562), and it changes no
JAX configuration (section 7.5). Each name below lives in exactly one module, and is public only here. The notation,
the layers and the map from statements (S1, S2, …) to modules are in `jaxsoftmax/README.md`.

Example:
    >>> import jaxsoftmax as js, jax.numpy as jnp, numpy as np
    >>> problem = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0]]), ["no", "yes", "no"])
    >>> print(f"{js.loss(jnp.zeros((problem.C, problem.D)), problem):.6f}")  # three times log 2
    2.079442
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# One row a module: the place of every public name. A new public name is added here and under TYPE_CHECKING below.
_NAMES_IN = {
    "problem.problem": ("Problem",),
    "problem.rounded_columns": ("RoundedDataWarning",),
    "calculus.penalties.l2": ("L2",),
    "calculus.penalties.log_cosh": ("LogCosh",),
    "calculus.penalties.self_regularizer": ("SelfRegularizer",),
    "calculus.loss.drop_in": ("softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels"),
    "calculus.loss.objective": ("log_probabilities", "logits", "loss", "probabilities"),
    "calculus.loss.derivatives": ("gradient", "hvp", "quadratic_form", "third_derivative", "value_and_gradient"),
    "calculus.loss.hessian": ("HessianOperator", "hessian"),
    "calculus.loss.null_space": ("NullSpace", "center_classes", "helmert", "null_space", "to_reference"),
    "calculus.bounds.curvature": (
        "condition_bound",
        "condition_bound_two_classes",
        "curvature_bound",
        "curvature_lower_bound",
        "lambda2_bound",
        "singular_value_bounds",
    ),
    "calculus.bounds.global_rates": ("descent_rate_bound", "log_descent_gain_bound", "log_probability_bound"),
    "calculus.bounds.steps": (
        "contraction_rate",
        "descent_decrease_bound",
        "descent_step_bound",
        "optimal_rate",
        "optimal_step",
        "max_logit_range",
        "self_concordance_factors",
    ),
    "checker.assertions": ("assert_derivatives",),
    "checker.example": ("declare_example",),
    "checker.report.result": ("CrossCheckReport", "DerivativeError"),
    "checker.inputs.budget": ("Budget",),
    "checker.crosscheck": ("crosscheck",),
    "evidence.crosscheck.compare": ("crosscheck_problem",),
    "evidence.spectrum.probe": ("probe_convexity",),
    "evidence.spectrum.report": ("ConvexityReport",),
    "evidence.spectrum.any_operator": ("probe_operator",),
    "proof.checkers.dispatch": ("check_certificate",),
    "certification": ("certify",),
    "proof.existence.decide": ("decide_existence",),
    "proof.minimum.prove": ("NotProved",),
    "proof.minimum.certificate": ("Certificate",),
    "proof.existence.status": ("Existence",),
    "proof.existence.verdict": ("ExistenceVerdict",),
    "estimator.fit_file": ("load_fit", "save_fit"),
    "estimator.softmax_regression": ("SoftmaxRegression",),
    "estimator.softmax_regression_cv": ("SoftmaxRegressionCV",),
    "training.fit": ("fit",),
    "training.many.fit_many": ("fit_many",),
    "training.many.fit_path": ("fit_path",),
    "training.many.result": ("Fits",),
    "training.result": ("Fit", "Status"),
    "training.sparse.problem": ("SparseProblem",),
    "training.streamed.problem": ("StreamedProblem",),
    "training.divergence": ("NoMinimizerWarning",),
    "uncertainty.inference": ("inference",),
    "uncertainty.laplace": ("Laplace", "laplace"),
    "uncertainty.table": ("Inference",),
    "verification.report": ("VerifyReport",),
    "verification.run": ("verify",),
}
_MODULES = ("datasets", "plots")  # public as modules
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}

__all__ = sorted([*_MODULE_OF, *_MODULES, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:  # the same table for type checkers and editors; a test keeps the two equal
    from . import datasets as datasets
    from . import plots as plots
    from .calculus.bounds.curvature import condition_bound as condition_bound
    from .calculus.bounds.curvature import condition_bound_two_classes as condition_bound_two_classes
    from .calculus.bounds.curvature import curvature_bound as curvature_bound
    from .calculus.bounds.curvature import curvature_lower_bound as curvature_lower_bound
    from .calculus.bounds.curvature import lambda2_bound as lambda2_bound
    from .calculus.bounds.curvature import singular_value_bounds as singular_value_bounds
    from .calculus.bounds.global_rates import descent_rate_bound as descent_rate_bound
    from .calculus.bounds.global_rates import log_descent_gain_bound as log_descent_gain_bound
    from .calculus.bounds.global_rates import log_probability_bound as log_probability_bound
    from .calculus.bounds.steps import contraction_rate as contraction_rate
    from .calculus.bounds.steps import descent_decrease_bound as descent_decrease_bound
    from .calculus.bounds.steps import descent_step_bound as descent_step_bound
    from .calculus.bounds.steps import max_logit_range as max_logit_range
    from .calculus.bounds.steps import optimal_rate as optimal_rate
    from .calculus.bounds.steps import optimal_step as optimal_step
    from .calculus.bounds.steps import self_concordance_factors as self_concordance_factors
    from .calculus.loss.derivatives import gradient as gradient
    from .calculus.loss.derivatives import hvp as hvp
    from .calculus.loss.derivatives import quadratic_form as quadratic_form
    from .calculus.loss.derivatives import third_derivative as third_derivative
    from .calculus.loss.derivatives import value_and_gradient as value_and_gradient
    from .calculus.loss.drop_in import softmax_cross_entropy as softmax_cross_entropy
    from .calculus.loss.drop_in import (
        softmax_cross_entropy_with_integer_labels as softmax_cross_entropy_with_integer_labels,
    )
    from .calculus.loss.hessian import HessianOperator as HessianOperator
    from .calculus.loss.hessian import hessian as hessian
    from .calculus.loss.null_space import NullSpace as NullSpace
    from .calculus.loss.null_space import center_classes as center_classes
    from .calculus.loss.null_space import helmert as helmert
    from .calculus.loss.null_space import null_space as null_space
    from .calculus.loss.null_space import to_reference as to_reference
    from .calculus.loss.objective import log_probabilities as log_probabilities
    from .calculus.loss.objective import logits as logits
    from .calculus.loss.objective import loss as loss
    from .calculus.loss.objective import probabilities as probabilities
    from .calculus.penalties.l2 import L2 as L2
    from .calculus.penalties.log_cosh import LogCosh as LogCosh
    from .calculus.penalties.self_regularizer import SelfRegularizer as SelfRegularizer
    from .certification import certify as certify
    from .checker.assertions import assert_derivatives as assert_derivatives
    from .checker.crosscheck import crosscheck as crosscheck
    from .checker.example import declare_example as declare_example
    from .checker.inputs.budget import Budget as Budget
    from .checker.report.result import CrossCheckReport as CrossCheckReport
    from .checker.report.result import DerivativeError as DerivativeError
    from .estimator.fit_file import load_fit as load_fit
    from .estimator.fit_file import save_fit as save_fit
    from .estimator.softmax_regression import SoftmaxRegression as SoftmaxRegression
    from .estimator.softmax_regression_cv import SoftmaxRegressionCV as SoftmaxRegressionCV
    from .evidence.crosscheck.compare import crosscheck_problem as crosscheck_problem
    from .evidence.spectrum.any_operator import probe_operator as probe_operator
    from .evidence.spectrum.probe import probe_convexity as probe_convexity
    from .evidence.spectrum.report import ConvexityReport as ConvexityReport
    from .problem.problem import Problem as Problem
    from .problem.rounded_columns import RoundedDataWarning as RoundedDataWarning
    from .proof.checkers.dispatch import check_certificate as check_certificate
    from .proof.existence.decide import decide_existence as decide_existence
    from .proof.existence.status import Existence as Existence
    from .proof.existence.verdict import ExistenceVerdict as ExistenceVerdict
    from .proof.minimum.certificate import Certificate as Certificate
    from .proof.minimum.prove import NotProved as NotProved
    from .training.divergence import NoMinimizerWarning as NoMinimizerWarning
    from .training.fit import fit as fit
    from .training.many.fit_many import fit_many as fit_many
    from .training.many.fit_path import fit_path as fit_path
    from .training.many.result import Fits as Fits
    from .training.result import Fit as Fit
    from .training.result import Status as Status
    from .training.sparse.problem import SparseProblem as SparseProblem
    from .training.streamed.problem import StreamedProblem as StreamedProblem
    from .uncertainty.inference import inference as inference
    from .uncertainty.laplace import Laplace as Laplace
    from .uncertainty.laplace import laplace as laplace
    from .uncertainty.table import Inference as Inference
    from .verification.report import VerifyReport as VerifyReport
    from .verification.run import verify as verify

    __version__: str


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{name}")
    elif name == "__version__":
        from importlib.metadata import version

        value = version(__name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; the public names are in __all__")
    globals()[name] = value  # found at once from now on
    return value


def __dir__() -> list[str]:
    return list(__all__)

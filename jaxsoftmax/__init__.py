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
    "problem": ("Problem",),
    "regularizers": ("L2", "LogCosh", "SelfRegularizer"),
    "calculus.rules": ("softmax_cross_entropy",),
    "calculus.objective": ("log_probabilities", "logits", "loss", "probabilities"),
    "calculus.derivatives": ("gradient", "hvp", "quadratic_form", "third_derivative", "value_and_gradient"),
    "calculus.hessian": ("HessianOperator", "hessian"),
    "calculus.gauge": ("Kernel", "center", "helmert", "kernel", "to_reference"),
    "calculus.bounds": (
        "condition_bound",
        "condition_bound_two_classes",
        "curvature_bound",
        "curvature_lower_bound",
        "lambda2_bound",
        "singular_value_bounds",
    ),
    "calculus.descent_rates": ("descent_rate_bound", "log_descent_gain_bound", "log_probability_bound"),
    "calculus.rates": (
        "contraction_rate",
        "descent_decrease_bound",
        "descent_step_bound",
        "optimal_rate",
        "optimal_step",
        "sample_range",
        "self_concordance_factors",
    ),
    "checker.assertions": ("assert_derivatives",),
    "checker.example": ("declare_example",),
    "checker.report": ("CrossCheckReport", "DerivativeError"),
    "checker.budget": ("Budget",),
    "checker.crosscheck": ("crosscheck",),
    "evidence.crosscheck": ("crosscheck_problem",),
    "evidence.convexity": ("probe_convexity",),
    "evidence.convexity_report": ("ConvexityReport",),
    "evidence.operator_probe": ("probe_operator",),
    "proof.checked": ("check_certificate",),
    "proof.existence": ("decide_existence",),
    "proof.verdict": ("Existence", "ExistenceVerdict"),
    "training.fit": ("fit",),
    "training.result": ("Fit", "Status"),
    "training.without_minimizer": ("NoMinimizerWarning",),
    "verification": ("VerifyReport", "verify"),
}
_MODULES = ("datasets", "plots")  # public as modules
_MODULE_OF = {name: module for module, names in _NAMES_IN.items() for name in names}

__all__ = sorted([*_MODULE_OF, *_MODULES, "__version__"])  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:  # the same table for type checkers and editors; a test keeps the two equal
    from . import datasets as datasets
    from . import plots as plots
    from .calculus.bounds import condition_bound as condition_bound
    from .calculus.bounds import condition_bound_two_classes as condition_bound_two_classes
    from .calculus.bounds import curvature_bound as curvature_bound
    from .calculus.bounds import curvature_lower_bound as curvature_lower_bound
    from .calculus.bounds import lambda2_bound as lambda2_bound
    from .calculus.bounds import singular_value_bounds as singular_value_bounds
    from .calculus.derivatives import gradient as gradient
    from .calculus.derivatives import hvp as hvp
    from .calculus.derivatives import quadratic_form as quadratic_form
    from .calculus.derivatives import third_derivative as third_derivative
    from .calculus.derivatives import value_and_gradient as value_and_gradient
    from .calculus.descent_rates import descent_rate_bound as descent_rate_bound
    from .calculus.descent_rates import log_descent_gain_bound as log_descent_gain_bound
    from .calculus.descent_rates import log_probability_bound as log_probability_bound
    from .calculus.gauge import Kernel as Kernel
    from .calculus.gauge import center as center
    from .calculus.gauge import helmert as helmert
    from .calculus.gauge import kernel as kernel
    from .calculus.gauge import to_reference as to_reference
    from .calculus.hessian import HessianOperator as HessianOperator
    from .calculus.hessian import hessian as hessian
    from .calculus.objective import log_probabilities as log_probabilities
    from .calculus.objective import logits as logits
    from .calculus.objective import loss as loss
    from .calculus.objective import probabilities as probabilities
    from .calculus.rates import contraction_rate as contraction_rate
    from .calculus.rates import descent_decrease_bound as descent_decrease_bound
    from .calculus.rates import descent_step_bound as descent_step_bound
    from .calculus.rates import optimal_rate as optimal_rate
    from .calculus.rates import optimal_step as optimal_step
    from .calculus.rates import sample_range as sample_range
    from .calculus.rates import self_concordance_factors as self_concordance_factors
    from .calculus.rules import softmax_cross_entropy as softmax_cross_entropy
    from .checker.assertions import assert_derivatives as assert_derivatives
    from .checker.budget import Budget as Budget
    from .checker.crosscheck import crosscheck as crosscheck
    from .checker.example import declare_example as declare_example
    from .checker.report import CrossCheckReport as CrossCheckReport
    from .checker.report import DerivativeError as DerivativeError
    from .evidence.convexity import probe_convexity as probe_convexity
    from .evidence.convexity_report import ConvexityReport as ConvexityReport
    from .evidence.crosscheck import crosscheck_problem as crosscheck_problem
    from .evidence.operator_probe import probe_operator as probe_operator
    from .problem import Problem as Problem
    from .proof.checked import check_certificate as check_certificate
    from .proof.existence import decide_existence as decide_existence
    from .proof.verdict import Existence as Existence
    from .proof.verdict import ExistenceVerdict as ExistenceVerdict
    from .regularizers import L2 as L2
    from .regularizers import LogCosh as LogCosh
    from .regularizers import SelfRegularizer as SelfRegularizer
    from .training.fit import fit as fit
    from .training.result import Fit as Fit
    from .training.result import Status as Status
    from .training.without_minimizer import NoMinimizerWarning as NoMinimizerWarning
    from .verification import VerifyReport as VerifyReport
    from .verification import verify as verify

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

"""The training methods by name: the one table that `fit`, the command line and `verify` read. Loads without JAX."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxsoftmax.support.errors import WrongType, WrongValue, did_you_mean

if TYPE_CHECKING:
    from jaxsoftmax.problem.problem import Problem
    from jaxsoftmax.training.loop.protocol import Method

__all__ = ["AUTO", "METHODS", "Row", "check_method", "choose", "method_names"]


class Row(NamedTuple):
    """Where a method lives, imported on first use, and which arguments of `choose` it is made from."""

    module: str
    name: str
    takes: tuple[str, ...] = ()


METHODS = {
    "gd": Row("jaxsoftmax.training.methods.gradient_descent", "GradientDescent"),
    "gd-optimal": Row("jaxsoftmax.training.methods.optimal_descent", "OptimalDescent"),
    "agd": Row("jaxsoftmax.training.methods.accelerated", "AcceleratedDescent"),
    "bb": Row("jaxsoftmax.training.methods.barzilai_borwein", "BarzilaiBorwein"),
    "rychlik-bb": Row("jaxsoftmax.training.methods.rychlik", "PublishedTrainer", ("learning_rate",)),
    "mm": Row("jaxsoftmax.training.methods.majorize_minimize", "MajorizeMinimize"),
    "newton": Row("jaxsoftmax.training.methods.newton", "Newton"),
    "newton-cg": Row("jaxsoftmax.training.methods.newton_cg", "NewtonCG"),
    "sgd": Row(
        "jaxsoftmax.training.methods.optax_adapter", "sgd", ("problem", "learning_rate", "batch_size", "whiten")
    ),
    "adam": Row("jaxsoftmax.training.methods.optax_adapter", "adam", ("learning_rate", "batch_size")),
    "lbfgs": Row("jaxsoftmax.training.methods.optax_adapter", "lbfgs"),
}
AUTO = ("newton", "newton-cg")  # "auto" is the first of these that suits the problem and fits, else the last
_OWN_TRANSFORMATION = Row(
    "jaxsoftmax.training.methods.optax_adapter", "Transformation", ("transformation", "batch_size")
)


def method_names() -> tuple[str, ...]:
    """Every name that `fit`, `verify` and the command line take as a method.

    Example:
        >>> from jaxsoftmax.training.registry import method_names
        >>> method_names()[:3]
        ('auto', 'gd', 'gd-optimal')
    """
    return ("auto", *METHODS)


def check_method(method: Any, learning_rate: Any = None, batch_size: Any = None) -> None:
    """Refuse what is no method, and settings that do not go with the method; the data are not needed.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do.

    Example:
        >>> from jaxsoftmax.training.registry import check_method
        >>> check_method("adam", learning_rate=0.1)
    """
    from jaxsoftmax.support.validation import kind_of, positive_int, positive_real, show

    names = ", ".join(map(repr, method_names()))
    if isinstance(method, str):
        if method not in method_names():
            remedy = did_you_mean(method, method_names(), f"give one of {names}, or an optax transformation")
            raise WrongValue("method", f"got {show(method)}", remedy)
    elif not (callable(getattr(method, "init", None)) and callable(getattr(method, "update", None))):
        hint = "call it first, as in optax.sgd(1e-3)" if callable(method) else "an optax transformation"
        raise WrongType("method", f"got {show(method)}, {kind_of(method)}", f"give {names}, or {hint}")
    takes = _row(method).takes
    for name, value in (("learning_rate", learning_rate), ("batch_size", batch_size)):
        if value is not None and name not in takes:
            *most, last = (other for other, row in METHODS.items() if name in row.takes)
            raise WrongValue(
                name,
                f"goes with the methods {', '.join(most)} and {last}, not with {show(method)}",
                "leave it out, or choose one of these",
            )
    if learning_rate is not None:
        positive_real("learning_rate", learning_rate)
    if batch_size is not None:
        positive_int("batch_size", batch_size)


def choose(
    method: Any,
    problem: Problem,
    *,
    learning_rate: float | None = None,
    batch_size: int | None = None,
    key: Any = None,
    whiten: bool = False,
) -> Method:
    """The method object for a name or an optax transformation; the arguments are those of `fit`.

    Raises:
        TypeError, ValueError: as `check_method`; minibatches larger than the data, or without a key.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> from jaxsoftmax.training.registry import choose
        >>> problem = js.Problem.from_labels(np.float32([[0.0], [1.0], [2.0]]), [0, 1, 0])
        >>> choose("auto", problem).name, choose("sgd", problem).name
        ('newton', 'optax')
    """
    check_method(method, learning_rate, batch_size)
    if batch_size is not None and batch_size > problem.N:
        given = f"got {batch_size}, more than the N = {problem.N} samples"
        raise WrongValue("batch_size", given, f"give at most {problem.N}, or leave it out for full batches")
    if batch_size is not None and key is None:
        raise WrongValue("key", "got None, but minibatches are drawn at random", "give jax.random.key(0), any seed")
    if isinstance(method, str) and method == "auto":
        from jaxsoftmax.training.memory_need import method_fits

        *small, last = (_made(METHODS[name], {}) for name in AUTO)
        return next((found for found in small if found.suits(problem) and method_fits(found, problem)), last)
    rate = None if learning_rate is None else float(learning_rate)
    given = {"problem": problem, "learning_rate": rate, "batch_size": batch_size, "whiten": whiten}
    return _made(_row(method), given | {"transformation": method})


def _row(method: Any) -> Row:
    """The row of a name that is known (for "auto" that of its last choice), or of an optax transformation."""
    return METHODS.get(method, METHODS[AUTO[-1]]) if isinstance(method, str) else _OWN_TRANSFORMATION


def _made(row: Row, given: dict[str, Any]) -> Method:
    return getattr(import_module(row.module), row.name)(**{name: given[name] for name in row.takes})

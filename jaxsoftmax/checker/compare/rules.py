"""The rules that a check is about: those that the user gives, or the custom rules that the function itself carries.

Guarded by `tests/checker/test_crosscheck.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax

from jaxsoftmax.checker.compare.curvature import as_matrix
from jaxsoftmax.checker.compare.jacobian import Outputs
from jaxsoftmax.checker.inputs.arguments import require_like
from jaxsoftmax.checker.inputs.calls import Call
from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.jaxprs.equations import primitives


class Rule(NamedTuple):
    """One rule.

    Attributes:
        kind: the argument of `crosscheck` that takes such a rule: "gradient", "hvp", "jvp", …
        name: what the report calls it.
        traced: it.
    """

    kind: str
    name: str
    traced: Traced


def adapted_rules(call: Call, rules: dict[str, Callable[..., Any]], intended: bool) -> list[tuple[str, str, Any]]:
    """(kind, name, rule) as the checker calls it; with an intent, the value that comes with a gradient is left out."""
    found = []
    for name, rule in rules.items():
        adapted = call.rule(name, rule)
        if name == "value_and_gradient" and intended:
            found.append(("gradient", name, lambda *args, pair=adapted: pair(*args)[1]))
        else:
            found.append((name, name, adapted))
    return found


def has_custom_rules(traced: Traced) -> bool:
    """Whether a custom derivative rule is somewhere in the function."""
    with jax.enable_x64(True):
        jax.eval_shape(lambda c, x: traced.run(c, x), traced.consts, traced.point.wide())
    return bool(traced.replay.rules)


def given_rules(session: Session, rules: Sequence[tuple[str, str, Callable[..., Any]]], outputs: Outputs) -> list[Rule]:
    """Trace the user's rules, (kind, name, rule) each, and hold their results to the expected form.

    Raises:
        TypeError, ValueError: a rule cannot be called or traced, or returns another tree, shape or dtype.
    """
    return [Rule(kind, name, trace_rule(session, kind, name, rule, outputs)) for kind, name, rule in rules]


def trace_rule(
    session: Session, kind: str, name: str, rule: Callable[..., Any], outputs: Outputs, *, twice: bool | None = None
) -> Traced:
    """Trace a rule of a kind (`twice`: see `Traced`) and check the form of what it returns."""
    point, args = session.point, session.args
    direction = (point.leaves, point.tree)
    rule = as_matrix(rule, session) if kind == "hessian" else rule
    more = {"hvp": [direction], "jvp": [direction], "vjp": [(outputs.leaves, outputs.tree)]}.get(kind, [])
    traced = Traced(name, rule, point, args, *more, twice=twice)
    like = point.unflatten(point.leaves)
    if kind == "value_and_gradient":
        require_like(f"{name}: value", traced.out[0], outputs.leaves[0], [""], dtypes=False)
        require_like(f"{name}: gradient", traced.out[1], like, point.paths)
    elif kind in ("gradient", "hvp", "vjp"):
        require_like(name, traced.out, like, point.paths)
    elif kind == "hessian":
        with point.scope():
            dtype = jax.numpy.result_type(*(leaf.dtype for leaf in point.leaves))
        require_like(name, traced.out, jax.ShapeDtypeStruct((point.size, point.size), dtype), [""])
    elif kind == "jvp":
        require_like(name, traced.out, jax.tree.unflatten(outputs.tree, outputs.leaves), outputs.paths)
    return traced


def own_rules(
    session: Session,
    fun: Callable[..., Any],
    outputs: Outputs,
    *,
    scalar: bool,
    custom: bool,
    differentiable: bool,
    intended: bool = False,
) -> list[Rule]:
    """What JAX makes of the function with its custom rules in place: those are under test when no rule is given.

    Args:
        session: the check.
        fun: the function.
        outputs: what it returns.
        scalar: it returns one number.
        custom: it has custom rules.
        differentiable: the stripped function can be differentiated, so that there is something to hold more than the
            gradient to.
        intended: the derivatives are held to another function, as the user wants it.

    Raises:
        ValueError: JAX cannot differentiate the function as it is.
    """

    def jvp(x: Any, v: Any, *args: Any) -> Any:
        return jax.jvp(lambda y: fun(y, *args), (x,), (v,))[1]

    def vjp(x: Any, ct: Any, *args: Any) -> Any:
        return jax.vjp(lambda y: fun(y, *args), x)[1](ct)[0]

    wanted: list[tuple[str, list[tuple[str, Callable[..., Any]]]]] = []
    if scalar:
        wanted.append(("gradient", [("jax.grad of fun", jax.grad(_number(fun)))]))
    else:
        wanted += [("vjp", [("jax.vjp of fun", vjp)]), ("jvp", [("jax.jvp of fun", jvp)])]
    if scalar and custom and differentiable:
        wanted += [] if session.quick else [("jvp", [("jax.jvp of fun", jvp)])]
        wanted.append(("hvp", second_order(fun, "fun")))
    found, refusals = [], []
    for kind, ways in wanted:
        for name, rule in ways:  # the second way is for rules without a forward mode
            try:
                found.append(Rule(kind, name, trace_own(session, kind, name, rule, outputs)))
                break
            except (TypeError, ValueError) as error:
                refusals.append(error)
                session.note(f"{name} was not checked: {str(error).splitlines()[0]}")
    if not found and len(refusals) == 1:
        raise refusals[0]
    if not found:
        raise ValueError("fun: neither jax.vjp nor jax.jvp of it can be traced, and no hand rule is given. Give one.")
    if not custom and not intended:
        session.note(
            "fun has no custom rule and no rule was given, so JAX's own derivative of it was checked (stop_gradient "
            "shows there as an error)"
        )
    return found


def _number(fun: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose number may lie in a container, without that."""

    def alone(*args: Any) -> Any:
        (value,) = jax.tree.leaves(fun(*args))
        return value

    return alone


def second_order(fun: Callable[..., Any], text: str) -> list[tuple[str, Callable[..., Any]]]:
    """How JAX forms products with the Hessian of a scalar function: (name, rule), the second for want of the first."""
    gradient = jax.grad(_number(fun))

    def over_reverse(x: Any, v: Any, *args: Any) -> Any:
        return jax.jvp(lambda y: gradient(y, *args), (x,), (v,))[1]

    def twice_reverse(x: Any, v: Any, *args: Any) -> Any:
        return jax.vjp(lambda y: gradient(y, *args), x)[1](v)[0]

    return [(f"jvp of jax.grad of {text}", over_reverse), (f"vjp of jax.grad of {text}", twice_reverse)]


def trace_own(session: Session, kind: str, name: str, rule: Callable[..., Any], outputs: Outputs) -> Traced:
    """Trace what JAX makes of the function.

    Raises:
        TypeError, ValueError: it cannot be traced, or evaluated.
    """
    traced = trace_rule(session, kind, name, rule, outputs, twice=False)  # the function itself was
    if "custom_lin" in primitives(traced.narrow):  # what forward mode leaves of a custom_vjp: it cannot be evaluated
        raise ValueError("a custom_vjp has no forward mode")
    return traced

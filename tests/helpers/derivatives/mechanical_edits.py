"""The single changes to one equation of a jaxpr from which mechanical mutants are made."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Values = Sequence[Any]


@dataclass(frozen=True)
class Edit:
    """One change: its kind, what it does in words, and the changed equation as a function of the operands' values."""

    kind: str
    text: str
    apply: Callable[[Any, Values, Callable[..., list[Any]]], list[Any]]
    """(equation, operand values, evaluate) -> output values, where evaluate(equation, values, **params) runs it."""


# What a slip of the pen turns one operator into: the other one takes the same operands.
OPERATORS: dict[str, tuple[tuple[str, Callable[..., Any]], ...]] = {
    "add": (("sub", lax.sub),),
    "sub": (("add", lax.add),),
    "mul": (("div", lax.div),),
    "div": (("mul", lax.mul),),
    "max": (("min", lax.min),),
    "min": (("max", lax.max),),
    "exp": (("expm1", lax.expm1),),
    "expm1": (("exp", lax.exp),),
    "log": (("log1p", lax.log1p),),
    "log1p": (("log", lax.log),),
    "sin": (("cos", lax.cos),),
    "cos": (("sin", lax.sin),),
    "sinh": (("cosh", lax.cosh),),
    "cosh": (("sinh", lax.sinh),),
    "tanh": (("logistic", lax.logistic),),
    "logistic": (("tanh", lax.tanh),),
    "sqrt": (("rsqrt", lax.rsqrt),),
    "rsqrt": (("sqrt", lax.sqrt),),
    "erf": (("erfc", lax.erfc),),
    "erfc": (("erf", lax.erf),),
    "square": (("abs", lax.abs),),
    "sign": (("abs", lax.abs),),
    "abs": (("sign", lax.sign),),
    "floor": (("ceil", lax.ceil),),
    "lgamma": (("digamma", lax.digamma),),
    "digamma": (("lgamma", lax.lgamma),),
    "lt": (("ge", lax.ge),),
    "le": (("gt", lax.gt),),
    "gt": (("le", lax.le),),
    "ge": (("lt", lax.lt),),
    "eq": (("ne", lax.ne),),
    "ne": (("eq", lax.eq),),
    "and": (("or", lax.bitwise_or),),
    "or": (("and", lax.bitwise_and),),
}
PARTNERS = {
    "reduce_sum": ("reduce_max", lambda v, axes: jnp.max(v, axis=axes)),
    "reduce_max": ("reduce_min", lambda v, axes: jnp.min(v, axis=axes)),
    "reduce_min": ("reduce_max", lambda v, axes: jnp.max(v, axis=axes)),
    "reduce_prod": ("reduce_sum", lambda v, axes: jnp.sum(v, axis=axes)),
}
# Equations that only move or copy numbers: a sign or a rounding here is the same one in the equation before.
MOVES = {
    *("reshape", "broadcast_in_dim", "squeeze", "expand_dims", "convert_element_type", "copy", "copy_p", "transpose"),
    *("stop_gradient", "slice", "rev", "optimization_barrier", "reduce_precision", "iota"),
}
SWAPPABLE = {"sub", "div", "pow", "atan2", "rem", "dot_general", "nextafter"}
CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"),
    *("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"),
}
LOOPS = {"scan", "while", "cond"}
# An index that is off by one selects another entry: the operands of these that hold positions.
INDEXED = {"gather": (1,), "dynamic_slice": None, "dynamic_update_slice": None, "scatter-add": (1,), "scatter": (1,)}


def is_float(aval: Any) -> bool:
    """Whether an abstract value is a real floating array (keys and float0 are not)."""
    return hasattr(aval, "shape") and jnp.issubdtype(aval.dtype, jnp.floating)


def is_number(aval: Any) -> bool:
    """Whether an abstract value is a real number, float or integer, and not a Boolean or a key."""
    return is_float(aval) or (hasattr(aval, "shape") and jnp.issubdtype(aval.dtype, jnp.integer))


def edits(eqn: Any) -> Iterator[Edit]:
    """Every change of one equation that this module knows, in a fixed order; some may not fit its shapes."""
    name, inputs, outputs = eqn.primitive.name, [v.aval for v in eqn.invars], [v.aval for v in eqn.outvars]
    yield from _constants(eqn, inputs)
    if name in CALLS or name in LOOPS:
        return
    out = outputs[0]
    yield from _operators(name, eqn, inputs)
    if is_float(out) and len(outputs) == 1 and name not in MOVES:
        if name != "neg":  # the negative of neg is the dropped function below
            yield Edit("sign", "output negated", lambda e, v, run: [-run(e, v)[0]])
        for low in (jnp.bfloat16, jnp.float16):
            text = f"output rounded to {low.__name__}"
            yield Edit("dtype", text, lambda e, v, run, low=low: [_through(run(e, v)[0], low)])
    yield from _operands(name, inputs)
    yield from _dropped(name, inputs, out)
    yield from _axes(name, eqn, inputs, out)
    yield from _shifts(name, eqn, inputs)


def _through(value: Any, dtype: Any) -> Any:
    return value.astype(dtype).astype(value.dtype)


def _spread(values: Values) -> list[Any]:
    """Scalars (literals) broadcast against the arrays beside them, as elementwise equations do."""
    return list(jnp.broadcast_arrays(*values))


def _operators(name: str, eqn: Any, inputs: Sequence[Any]) -> Iterator[Edit]:
    for other, function in OPERATORS.get(name, ()):
        text = f"becomes {other}"
        yield Edit("operator", text, lambda e, v, run, function=function: [function(*_spread(v))])
    if name in PARTNERS and is_number(inputs[0]):
        other, reduce = PARTNERS[name]
        yield Edit("operator", f"becomes {other}", lambda e, v, run: [reduce(v[0], e.params["axes"])])
    if name in ("argmax", "argmin"):
        text = "becomes argmin" if name == "argmax" else "becomes argmax"
        yield Edit("operator", text, lambda e, v, run: run(e, [-v[0]]))
    if "reverse" in eqn.params:
        yield Edit("operator", "runs in reverse", lambda e, v, run: run(e, v, reverse=not e.params["reverse"]))
    if name == "triangular_solve":
        for flag in ("transpose_a", "lower"):

            def flipped(e: Any, v: Values, run: Any, flag: str = flag) -> list[Any]:
                return run(e, v, **{flag: not e.params[flag]})

            yield Edit("operator", f"{flag} flipped", flipped)


def _constants(eqn: Any, inputs: Sequence[Any]) -> Iterator[Edit]:
    """A literal c becomes c + 1, 2c, -c, 0; an exponent goes up or down by one."""
    moved: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("+ 1", lambda c: c + 1),
        ("doubled", lambda c: c * 2),
        ("negated", lambda c: -c),
        ("set to 0", lambda c: c * 0),
    )
    # A loop that starts elsewhere may never reach its end.
    for k, atom in enumerate(eqn.invars if eqn.primitive.name != "while" else ()):
        literal = getattr(atom, "val", None)
        if literal is None or not is_number(inputs[k]) or np.ndim(literal) != 0:
            continue
        whole = not is_float(inputs[k])  # an index: one change of it says as much as several
        seen = {float(literal)}
        for text, change in moved[:1] if whole else moved:
            value = float(change(np.float64(literal))) if math.isfinite(literal) else float(literal)
            if value in seen:
                continue
            seen.add(value)

            def altered(e: Any, v: Values, run: Any, k: int = k, change: Any = change) -> list[Any]:
                return run(e, [*v[:k], change(v[k]).astype(v[k].dtype), *v[k + 1 :]])

            yield Edit("constant", f"literal {float(literal):.6g} {text}", altered)
    if eqn.primitive.name == "integer_pow":
        for step in (1, -1):
            yield Edit(
                "constant",
                f"exponent {eqn.params['y']} becomes {eqn.params['y'] + step}",
                lambda e, v, run, step=step: [lax.integer_pow(v[0], e.params["y"] + step)],
            )


def _operands(name: str, inputs: Sequence[Any]) -> Iterator[Edit]:
    if name in SWAPPABLE and len(inputs) == 2:
        yield Edit("operands", "operands swapped", lambda e, v, run: run(e, [v[1], v[0]]))
    if name == "select_n" and len(inputs) == 3:
        yield Edit("operands", "branches swapped", lambda e, v, run: run(e, [v[0], v[2], v[1]]))
    if name == "concatenate" and len({a.shape for a in inputs}) == 1 and len(inputs) > 1:
        yield Edit("operands", "operands rotated", lambda e, v, run: run(e, [*v[1:], v[0]]))


def _dropped(name: str, inputs: Sequence[Any], out: Any) -> Iterator[Edit]:
    """A term, a factor, a branch or a function is left out."""

    def keep(k: int) -> Any:
        return lambda e, v, run: [jnp.broadcast_to(v[k], out.shape)]

    if name in ("add", "add_any", "mul", "max", "min"):
        yield Edit("dropped", "second operand dropped", keep(0))
        yield Edit("dropped", "first operand dropped", keep(1))
    elif name in ("sub", "div", "pow", "atan2", "rem"):
        yield Edit("dropped", "second operand dropped", keep(0))
        if name == "sub":
            yield Edit("dropped", "first operand dropped", lambda e, v, run: [jnp.broadcast_to(-v[1], out.shape)])
    elif name == "select_n" and len(inputs) == 3:
        yield Edit("dropped", "always the first branch", keep(1))
        yield Edit("dropped", "always the second branch", keep(2))
    elif name in ("scatter-add", "scatter_add"):
        yield Edit("dropped", "updates dropped", keep(0))
    elif name not in MOVES and len(inputs) == 1 and is_float(out) and inputs[0].shape == out.shape:
        # Elementwise functions, cumsum, cholesky and the like: the argument passes unchanged.
        yield Edit("dropped", "function dropped", keep(0))


def _axes(name: str, eqn: Any, inputs: Sequence[Any], out: Any) -> Iterator[Edit]:
    """Another axis, where the shapes still fit."""
    rank = len(inputs[0].shape) if inputs and hasattr(inputs[0], "shape") else 0
    choices: list[tuple[str, dict[str, Any]]] = []
    if "axes" in eqn.params and name not in ("expand_dims",):
        axes = tuple(eqn.params["axes"])
        choices = [("axes", {"axes": c}) for c in itertools.combinations(range(rank), len(axes)) if c != axes]
    elif isinstance(eqn.params.get("axis"), int):
        choices = [("axis", {"axis": k}) for k in range(rank) if k != eqn.params["axis"]]
    elif name == "broadcast_in_dim":
        dims = tuple(eqn.params["broadcast_dimensions"])
        others = itertools.permutations(range(len(out.shape)), len(dims))
        choices = [("broadcast_dimensions", {"broadcast_dimensions": d}) for d in others if d != dims and _rises(d)]
    elif name in ("rev", "concatenate", "sort", "iota"):
        key = "dimensions" if name == "rev" else "dimension"
        here = eqn.params[key]
        for k in range(len(out.shape)):
            value = (k,) if name == "rev" else k
            choices += [(key, {key: value})] if value != here else []
    elif name == "dot_general":
        (a, b), batch = eqn.params["dimension_numbers"]
        ranks = [len(x.shape) for x in inputs]
        for left, right in itertools.product(range(ranks[0]), range(ranks[1])):
            if len(a) == 1 and (left, right) != (a[0], b[0]) and left not in batch[0] and right not in batch[1]:
                choices.append(("dimension_numbers", {"dimension_numbers": (((left,), (right,)), batch)}))
    for key, params in choices:
        text = f"{key} {_plain(eqn.params[key])} becomes {_plain(params[key])}"
        yield Edit("axis", text, lambda e, v, run, params=params: run(e, v, **params))
    if name == "transpose":
        yield Edit("axis", "not transposed", lambda e, v, run: [v[0]])
    if name == "rev":
        yield Edit("axis", "not reversed", lambda e, v, run: [v[0]])
    if name == "reshape" and rank == 2 and inputs[0].shape[0] > 1 and inputs[0].shape[1] > 1:
        yield Edit("axis", "transposed before the reshape", lambda e, v, run: [v[0].T.reshape(out.shape)])


def _rises(dims: Sequence[int]) -> bool:
    return all(a < b for a, b in itertools.pairwise(dims))


def _plain(value: Any) -> str:
    return str(value).replace(" ", "")


def _shifts(name: str, eqn: Any, inputs: Sequence[Any]) -> Iterator[Edit]:
    """One operand rolled by one along an axis, a window moved by one, an index off by one."""
    if name not in MOVES:
        for k, aval in enumerate(inputs):
            if not is_float(aval) or hasattr(eqn.invars[k], "val"):
                continue
            for axis in (axis for axis, size in enumerate(aval.shape) if size > 1):

                def rolled(e: Any, v: Values, run: Any, k: int = k, axis: int = axis) -> list[Any]:
                    return run(e, [*v[:k], jnp.roll(v[k], 1, axis), *v[k + 1 :]])

                yield Edit("shift", f"operand {k} rolled by one along axis {axis}", rolled)
    if name == "slice":
        low, high = eqn.params["start_indices"], eqn.params["limit_indices"]
        for axis, size in enumerate(inputs[0].shape):
            for step in (1, -1):
                if low[axis] + step >= 0 and high[axis] + step <= size:
                    moved = {
                        "start_indices": tuple(s + step * (k == axis) for k, s in enumerate(low)),
                        "limit_indices": tuple(s + step * (k == axis) for k, s in enumerate(high)),
                    }
                    text = f"window moved by {step:+d} along axis {axis}"
                    yield Edit("shift", text, lambda e, v, run, moved=moved: run(e, v, **moved))
    if name == "pad":
        config = [tuple(c) for c in eqn.params["padding_config"]]
        for axis, (low, high, inner) in enumerate(config):
            for step in (1, -1):
                if min(low + step, high - step) >= 0:
                    padding = tuple((low + step, high - step, inner) if k == axis else c for k, c in enumerate(config))
                    text = f"padding moved by {step:+d} along axis {axis}"
                    yield Edit("shift", text, lambda e, v, run, padding=padding: run(e, v, padding_config=padding))
    if name in INDEXED:
        which = INDEXED[name] or range(len(inputs))
        for k in which:
            if k < len(inputs) and jnp.issubdtype(inputs[k].dtype, jnp.integer) and k > 0:

                def beyond(e: Any, v: Values, run: Any, k: int = k) -> list[Any]:
                    return run(e, [*v[:k], v[k] + jnp.ones_like(v[k]), *v[k + 1 :]])

                yield Edit("shift", f"index operand {k} off by one", beyond)


def fits(edit: Edit, eqn: Any, run: Callable[..., list[Any]]) -> bool:
    """Whether the changed equation still gives outputs of the same shapes and dtypes."""
    arguments = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in eqn.invars if hasattr(v.aval, "shape")]
    if len(arguments) != len(eqn.invars):
        return False
    try:
        found = jax.eval_shape(lambda *values: edit.apply(eqn, list(values), run), *arguments)
    except Exception:  # JAX refuses it in many ways; whatever does not trace is no mutant
        return False
    return [(f.shape, f.dtype) for f in found] == [(v.aval.shape, v.aval.dtype) for v in eqn.outvars]

"""Replays of a jaxpr with its custom derivative rules inlined and its reduced precision widened to float64.

What JAX differentiates when a function has a ``custom_jvp`` or ``custom_vjp`` is that rule. A check of the rule needs
the derivative of the *computation*: the replay evaluates every equation of the jaxpr again, through jit, scan, while,
cond, remat and shard_map, with the bodies of custom rules in their place and ``stop_gradient`` dropped. Under grad or
jvp it is an ordinary JAX function without rules of anybody's hand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr

from jaxsoftmax.checker.jaxprs.equations import advance, bind, body_of, evaluate, reads_floats, scan_counts

# Calls that are run in place, and those of them that carry a derivative rule.
_CUSTOM = {"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr", "custom_transpose_call"}
_CALLS = {"jit", "pjit", "closed_call", "core_call"} | _CUSTOM
# Code that JAX does not see into: it runs in the dtypes that it was traced with.
FOREIGN = {"pallas_call", "ffi_call", "pure_callback", "io_callback", "custom_call"}


def widened(dtype: Any) -> Any:
    """float64 for a narrower float dtype, complex128 for complex64; any other dtype as it is.

    Example:
        >>> import numpy as np
        >>> widened(np.dtype(np.float32)), widened(np.dtype(np.int32))
        (dtype('float64'), dtype('int32'))
    """
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        return dtype
    if jnp.issubdtype(dtype, jnp.floating):
        return np.dtype(np.float64)
    return np.dtype(np.complex128) if jnp.issubdtype(dtype, jnp.complexfloating) else dtype


def widen(value: Any) -> Any:
    """A value in the widened dtype of its own; the conversion is exact."""
    value = value if hasattr(value, "dtype") else np.asarray(value)
    wide = widened(value.dtype)
    if wide == value.dtype:
        return value
    return np.asarray(value).astype(wide) if isinstance(value, np.ndarray | np.generic) else value.astype(wide)


@dataclasses.dataclass
class Replay:
    """How to replay, and what was met on the way.

    Attributes:
        keep_stop_gradient: leave ``stop_gradient`` in (the derivative is then that of the function with those parts
            held constant).
        rules: names of the custom rules that were inlined, in the order met.
        stops: how many ``stop_gradient`` were met.
        opaque: primitives that ran in the dtypes that they were traced with.
        further: steps that a loop takes after it has stopped at a tolerance.
    """

    keep_stop_gradient: bool = False
    rules: list[str] = dataclasses.field(default_factory=list)
    stops: int = 0
    opaque: list[str] = dataclasses.field(default_factory=list)
    further: int = 0

    def __call__(self, closed: ClosedJaxpr, *args: Any) -> list[Any]:
        """The outputs of a closed jaxpr at `args`, in float64; runs under ``jax.enable_x64``, traced or not."""
        return self.run(closed.jaxpr, closed.consts, args)

    def run(self, jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
        """The same for an open jaxpr and its constants, which may be traced themselves."""

        def literal(atom: Any) -> Any:
            # A Python int is an int64 to NumPy, whatever it was in the trace.
            dtype = getattr(atom.aval, "dtype", None)
            whole = dtype is not None and jnp.issubdtype(dtype, jnp.integer)
            return widen(np.asarray(atom.val, dtype if whole else None))

        wide = [list(map(widen, values)) for values in (consts, args)]
        return evaluate(jaxpr, wide[1], self.equation, consts=wide[0], literal=literal)

    def _inner(self, jaxpr: Any, consts: Sequence[Any] = ()) -> Callable[..., list[Any]]:
        """A jaxpr inside an equation (closed or, in remat and shard_map, open) as a function."""
        if hasattr(jaxpr, "consts"):
            return lambda *args: self.run(jaxpr.jaxpr, jaxpr.consts, args)
        return lambda *args: self.run(jaxpr, consts, args)

    def equation(self, eqn: Any, given: list[Any]) -> list[Any]:
        """The outputs of one equation."""
        name, params = eqn.primitive.name, eqn.params
        if name in _CALLS:
            self.rules += [name] if name in _CUSTOM else []
            return self._inner(body_of(eqn))(*given)
        if name == "stop_gradient":
            self.stops += 1
            return [lax.stop_gradient(x) for x in given] if self.keep_stop_gradient else given
        if name == "reduce_precision":
            return given
        handler = getattr(self, f"_{name}", None)
        if handler is not None:
            return handler(params, given)
        if name in FOREIGN or name == "bitcast_convert_type":
            return self._narrow(eqn, given)
        try:
            return bind(eqn, given, {key: self._wide_param(key, value) for key, value in params.items()})
        except Exception:  # it does not take float64, which it says in its own way
            return self._narrow(eqn, given)

    def _wide_param(self, key: str, value: Any) -> Any:
        """A parameter for float64 operands: dtypes and combining functions widened, algorithms of products unset."""
        if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
            return widened(np.dtype(value))
        if key == "precision" and value is not None:
            return (lax.Precision.HIGHEST, lax.Precision.HIGHEST)
        if key in ("update_jaxpr", "jaxpr") and hasattr(value, "eqns"):  # of a scatter or a reduction
            inner: Any = getattr(value, "jaxpr", value)
            shapes = [jax.ShapeDtypeStruct(v.aval.shape, widened(v.aval.dtype)) for v in inner.invars]
            closed = jax.make_jaxpr(self._inner(value))(*shapes)
            return closed if hasattr(value, "consts") else closed.jaxpr
        return value

    def _narrow(self, eqn: Any, given: list[Any]) -> list[Any]:
        """Run an equation as it was traced: operands in their traced dtypes, results widened."""
        operands = [x.astype(atom.aval.dtype) if _is_float(x) else x for x, atom in zip(given, eqn.invars, strict=True)]
        if any(_is_float(x) and x.dtype != y.dtype for x, y in zip(given, operands, strict=True)):
            self.opaque.append(eqn.primitive.name)
        return [widen(x) for x in bind(eqn, operands, eqn.params)]

    def _remat2(self, params: Any, given: list[Any]) -> list[Any]:
        run = jax.checkpoint(self._inner(params["jaxpr"]), prevent_cse=params["prevent_cse"], policy=params["policy"])
        return run(*given)

    _checkpoint = _remat2

    def _scan(self, params: Any, given: list[Any]) -> list[Any]:
        n, m = scan_counts(params)
        body, consts = self._inner(params["jaxpr"]), given[:n]

        def step(carry: Any, xs: Any) -> tuple[Any, Any]:
            out = body(*consts, *carry, *xs)
            return out[:m], out[m:]

        options = {key: params[key] for key in ("length", "reverse", "unroll")}
        carry, ys = lax.scan(step, given[n : n + m], given[n + m :], **options)
        return [*carry, *ys]

    def _while(self, params: Any, given: list[Any]) -> list[Any]:
        n, m = params["cond_nconsts"], params["body_nconsts"]
        test, body = self._inner(params["cond_jaxpr"]), self._inner(params["body_jaxpr"])

        def going(state: list[Any]) -> Any:
            return jnp.any(test(*given[:n], *state)[0])

        def step(state: list[Any]) -> list[Any]:
            return advance(test(*given[:n], *state)[0], body(*given[n : n + m], *state), state)

        found = lax.while_loop(going, step, given[n + m :])
        if self.further and reads_floats(params["cond_jaxpr"]):
            found = lax.fori_loop(0, self.further, lambda _, state: body(*given[n : n + m], *state), found)
        return found

    def _cond(self, params: Any, given: list[Any]) -> list[Any]:
        index, *operands = given
        branches = [self._inner(branch) for branch in params["branches"]]
        return lax.switch(jnp.asarray(index).astype(jnp.int32), branches, *operands)

    def _custom_linear_solve(self, params: Any, given: list[Any]) -> list[Any]:
        lengths, jaxprs = params["const_lengths"], params["jaxprs"]
        consts, at = [], 0
        for count in lengths:
            consts.append(given[at : at + count])
            at += count
        b = given[at:]

        def over(jaxpr: Any, held: list[Any], *, skip_matvec: bool) -> Any:
            if jaxpr is None:
                return None
            run = self._inner(jaxpr)
            return (lambda _, x: run(*held, *x)) if skip_matvec else (lambda x: run(*held, *x))

        solve = over(jaxprs.solve, consts[2], skip_matvec=True)
        transposed = over(jaxprs.transpose_solve, consts[3], skip_matvec=True)
        matvec = over(jaxprs.matvec, consts[0], skip_matvec=False)
        return lax.custom_linear_solve(matvec, b, solve, transposed, symmetric=transposed is None)

    def _shard_map(self, params: Any, given: list[Any]) -> list[Any]:
        body = self._inner(params["jaxpr"])
        return jax.shard_map(
            body,
            mesh=params["mesh"],
            in_specs=tuple(params["in_specs"]),
            out_specs=list(params["out_specs"]),
            check_vma=params["check_vma"],
            axis_names=set(params["manual_axes"] if "manual_axes" in params else params["newly_manual_axes"]),
        )(*given)


def _is_float(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.inexact)

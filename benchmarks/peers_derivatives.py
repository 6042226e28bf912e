"""The peers of js.crosscheck, jax.test_util.check_grads and torch.autograd.gradcheck, on JAX functions and rules.

Both are used as their documentation says, with their default steps and tolerances. A rule reaches them as the
derivative of a function: of the primal for a first-order rule, of the primal's gradient for a Hessian or an HVP.
torch is optional (it is no dependency of jaxsoftmax): without it `torch_version()` is None and its column is absent.
"""

from __future__ import annotations

import sys
import unittest.mock
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

# gradcheck takes a pass for every entry: beyond this many it runs in its fast mode, one random projection.
ENTRYWISE = 2_000


@dataclass(frozen=True)
class Verdict:
    """What a checker said: "pass", "fail" (it found a disagreement) or "error" (it could not check), and why."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True)
class Ruled:
    """A function of one pytree and its claimed derivative: exactly one of vjp(x, ct) and jvp(x, v) is given."""

    primal: Callable[[Any], Any]
    vjp: Callable[[Any, Any], Any] | None = None
    jvp: Callable[[Any, Any], Any] | None = None


def gradient_of(fun: Callable[..., Any], args: tuple[Any, ...]) -> Callable[[Any], Any]:
    """The gradient of fun(x, *args) by autodiff, forward where a while loop has no reverse mode."""

    def gradient(x: Any) -> Any:
        try:
            return jax.grad(fun)(x, *args)
        except ValueError:
            return jax.jacfwd(fun)(x, *args)

    return gradient


def of_floats(fun: Callable[..., Any], at: Any, args: tuple[Any, ...]) -> tuple[Callable[[Any], Any], list[Any]]:
    """fun(at, *args) as a function of all its float arrays, in a list, and that list."""
    leaves, tree = jax.tree.flatten((at, *args))
    free = [i for i, leaf in enumerate(leaves) if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)]

    def of_list(floats: Any) -> Any:
        full = list(leaves)
        for i, value in zip(free, floats, strict=True):
            full[i] = value
        return fun(*jax.tree.unflatten(tree, full))

    return of_list, [leaves[i] for i in free]


def ruled(fun: Callable[..., Any], x: Any, args: tuple[Any, ...], name: str | None, rule: Any) -> Ruled:
    """A rule of js.crosscheck's (its keyword is the name) as a function with a derivative; None: fun's own rule."""
    of_x = lambda y: fun(y, *args)  # noqa: E731
    scale = lambda tree, c: jax.tree.map(lambda leaf: leaf * c, tree)  # noqa: E731
    if name is None:
        return Ruled(of_x, vjp=lambda y, ct: jax.vjp(of_x, y)[1](ct)[0])
    if name == "gradient":
        return Ruled(of_x, vjp=lambda y, ct: scale(rule(y, *args), ct))
    if name == "value_and_gradient":
        return Ruled(lambda y: rule(y, *args)[0], vjp=lambda y, ct: scale(rule(y, *args)[1], ct))
    if name == "vjp":
        return Ruled(of_x, vjp=lambda y, ct: rule(y, ct, *args))
    if name == "jvp":
        return Ruled(of_x, jvp=lambda y, v: rule(y, v, *args))
    if name == "hvp":
        return Ruled(gradient_of(fun, args), jvp=lambda y, v: rule(y, v, *args))
    assert name == "hessian"

    def product(y: Any, v: Any) -> Any:
        vector, unravel = ravel_pytree(v)
        matrix = rule(y, *args)
        matrix = matrix.to_dense() if hasattr(matrix, "to_dense") else matrix
        leaves = jax.tree.leaves(matrix)
        if len(leaves) > 1 or leaves[0].shape != (vector.size, vector.size):
            sizes = [leaf.size for leaf in jax.tree.leaves(x)]
            blocks = iter(leaves)
            leaves = [jnp.block([[next(blocks).reshape(n, m) for m in sizes] for n in sizes])]
        return unravel(leaves[0] @ vector)

    return Ruled(gradient_of(fun, args), jvp=product)


def check_grads(function: Ruled, x: Any) -> Verdict:
    """jax.test_util.check_grads, order 1, of the function with the claimed derivative as its custom rule."""
    from jax.test_util import check_grads as check

    primal, vjp, jvp = function.primal, function.vjp, function.jvp
    checked: Any
    if vjp is not None:
        checked = jax.custom_vjp(primal)
        checked.defvjp(lambda y: (primal(y), y), lambda y, ct: (vjp(y, ct),))
    elif jvp is not None:
        checked = jax.custom_jvp(primal)
        checked.defjvp(lambda y, v: (primal(*y), jvp(*y, *v)))
    try:
        check(jax.jit(checked), (x,), order=1, modes=("fwd",) if vjp is None else ("rev",))
    except AssertionError as error:
        return Verdict("fail", str(error).strip()[:200])
    except Exception as error:
        return Verdict("error", f"{type(error).__name__}: {str(error)[:200]}")
    return Verdict("pass")


def torch_version() -> str | None:
    """The version of torch, or None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)  # JAX does the work; torch only perturbs and compares
    return str(torch.__version__)


def gradcheck(function: Ruled, x: Any) -> Verdict:
    """torch.autograd.gradcheck of a torch Function whose forward and backward (or jvp) call JAX on the CPU.

    Tensors have the dtype of x's leaves: gradcheck asks for float64 and warns of anything else.
    """
    import torch
    from torch.autograd.gradcheck import GradcheckError
    from torch.autograd.gradcheck import gradcheck as check

    numbers, tree = jax.tree.flatten(x)
    primal = jax.jit(lambda leaves: jax.tree.leaves(function.primal(jax.tree.unflatten(tree, leaves))))
    shape = jax.tree.structure(jax.eval_shape(function.primal, x))
    claimed = function.vjp or function.jvp
    assert claimed is not None
    other = shape if function.vjp is not None else tree
    rule = jax.jit(
        lambda leaves, v: jax.tree.leaves(claimed(jax.tree.unflatten(tree, leaves), jax.tree.unflatten(other, v)))
    )

    def tensors(leaves: list[Any]) -> tuple[Any, ...]:
        return tuple(torch.from_numpy(np.array(leaf)) for leaf in leaves)

    def arrays(values: Any) -> list[np.ndarray]:
        return [value.detach().numpy().copy() for value in values]

    class Bridge(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *values: Any) -> Any:
            ctx.leaves = arrays(values)
            return tensors(primal(ctx.leaves))

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            return tensors(rule(ctx.leaves, arrays(cotangents)))

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            return tensors(rule(ctx.leaves, arrays(tangents)))

    inputs = [torch.from_numpy(np.array(leaf)).requires_grad_(True) for leaf in numbers]
    forward = function.jvp is not None
    mode = {"check_forward_ad": forward, "check_backward_ad": not forward, "check_undefined_grad": not forward}
    # After a failure in fast mode gradcheck takes n slow passes, only for the words of its message.
    message = unittest.mock.patch.object(
        sys.modules["torch.autograd.gradcheck"], "_run_slow_mode_and_get_error", return_value=" (fast mode)"
    )
    try:
        with warnings.catch_warnings(), message:
            warnings.simplefilter("ignore")  # of inputs that are not float64; the report says which dtype was used
            fast = sum(leaf.size for leaf in map(np.asarray, numbers)) > ENTRYWISE
            check(Bridge.apply, inputs, fast_mode=fast, **mode)
    except GradcheckError as error:
        return Verdict("fail", str(error).strip()[:200])
    except Exception as error:
        return Verdict("error", f"{type(error).__name__}: {str(error)[:200]}")
    return Verdict("pass")

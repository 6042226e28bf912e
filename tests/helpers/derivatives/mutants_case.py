"""What a mutant is: a case of the zoo with a wrong rule, and the name that a checker should print for its error."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives.zoo import case
from helpers.derivatives.zoo_case import Example

DIAGNOSES = (
    "constant factor",
    "missing regulariser",
    "wrong term",
    "transpose",
    "permutation",
    "shift",
    "gauge",
    "sample weight",
    "stop gradient",
    "kink",
    "dtype",
    "one leaf",
    "entry",
    "row",
    "asymmetric",
    "nonlinear",
    "indefinite",
    "nonfinite",
    "unnamed",
)


@dataclass(frozen=True)
class Mutant:
    """A wrong rule, written by hand.

    `rules` turns the drawn example of the case `base` into the wrong rules. `change`, if given, replaces the example
    first: another function, point or data. With `psd` the rule is right and the claim psd=True is what is wrong.
    """

    name: str
    base: str
    diagnosis: str
    rules: Callable[[Example], dict[str, Callable]]
    change: Callable[[Example], Example] | None = None
    psd: bool = False

    def make(self, rng: np.random.Generator, dtype: Any) -> Example:
        """The example to be checked, drawn like the example of the case."""
        example = case(self.base).make(rng, dtype)
        if self.change is not None:
            example = self.change(example)
        return replace(example, rules=self.rules(example))


def _arrays(arguments: tuple) -> tuple:
    """NumPy leaves as JAX arrays, so that a rule runs in JAX also outside of jit."""
    return jax.tree.map(jnp.asarray, arguments)


def only(rule: str, function: Callable) -> Callable[[Example], dict[str, Callable]]:
    """The wrong rule is `function`, whatever the example."""
    return lambda example: {rule: lambda *arguments: function(*_arrays(arguments))}


def after(rule: str, edit: Callable) -> Callable[[Example], dict[str, Callable]]:
    """The wrong rule is the right one, edited afterwards."""
    return lambda example: {rule: lambda *arguments: edit(example.rules[rule](*_arrays(arguments)))}


def kept(*rules: str) -> Callable[[Example], dict[str, Callable]]:
    """The rules themselves stay; what is wrong is the function, the point or the claim."""
    return lambda example: {rule: example.rules[rule] for rule in rules}


def times(factor: float) -> Callable:
    """An edit: every leaf times a factor."""
    return lambda tree: jax.tree.map(lambda leaf: factor * leaf, tree)


def leaf(name: Any, edit: Callable) -> Callable:
    """An edit of the leaf under one key of a dict, list or tuple."""

    def edited(tree):
        if isinstance(tree, dict):
            return tree | {name: edit(tree[name])}
        return type(tree)(edit(part) if k == name else part for k, part in enumerate(tree))

    return edited


def at_point(edit: Callable) -> Callable[[Example], Example]:
    """A change of the point: edit(at), in NumPy, on a copy."""

    def changed(example):
        copy = jax.tree.map(np.array, example.at)
        return replace(example, at=edit(copy))

    return changed


def with_args(edit: Callable) -> Callable[[Example], Example]:
    """A change of the data: edit(*args) returns the new tuple."""
    return lambda example: replace(example, args=edit(*example.args))


def with_fun(fun: Callable) -> Callable[[Example], Example]:
    """A change of the function itself."""
    return lambda example: replace(example, fun=fun)


def through(dtype: Any, function: Callable) -> Callable:
    """The function evaluated in a lower precision: float arguments are demoted, results come back in their dtype."""

    def demoted(*arguments):
        low = jax.tree.map(
            lambda a: jnp.asarray(a).astype(dtype) if jnp.issubdtype(jnp.asarray(a).dtype, jnp.floating) else a,
            arguments,
        )
        back = jnp.asarray(jax.tree.leaves(arguments)[0]).dtype
        return jax.tree.map(lambda a: a.astype(back), function(*low))

    return demoted


def set_entry(index: Any, value: float) -> Callable:
    """A NumPy edit of the point: entry `index` becomes `value`."""

    def edited(x):
        x[index] = value
        return x

    return edited

"""Mechanical mutants: wrong rules made from a right one by one change of one equation of its jaxpr.

A mutant is an ordinary JAX callable. It traces the base rule anew for the arguments it gets and makes its change in
what it finds there, so that it works in float32, in float64 under scoped x64, under jit and with tracers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core as jex

from helpers.derivatives.mechanical_edits import CALLS, LOOPS, Edit, edits, fits

Path = tuple[tuple[int, str], ...]
# More rounds than any loop of a test makes: a mutant whose loop would never end stops here.
ROUNDS = 10_000


@dataclass(frozen=True)
class Mechanical:
    """A wrong rule: what was changed ("eqn 7 sub: operands swapped"), the kind of change, the callable."""

    description: str
    kind: str
    rule: Callable[..., Any]


def mutations(rule: Callable[..., Any], *example_args: Any, rng: Any, limit: int | None = None) -> list[Mechanical]:
    """Every wrong rule that one change of one equation makes of `rule`, or `limit` of them.

    The choice takes the kinds of change in turn, in a random order, and is random within each.
    Equations on which no output depends are left alone; a change that does not keep shapes and dtypes is skipped.
    """
    closed = _trace(rule, example_args)[0]
    found: list[tuple[Path, int, str, Edit]] = []
    for path, number, where, eqn in sites(closed.jaxpr):
        for k, edit in enumerate(edits(eqn)):
            if fits(edit, eqn, evaluate):
                found.append((path, k, f"eqn {number} {where}: {edit.text}", edit))
    if limit is not None and limit < len(found):
        by_kind: dict[str, list[Any]] = {}
        for k in rng.permutation(len(found)):
            by_kind.setdefault(found[k][3].kind, []).append(k)
        chosen: list[int] = []
        kinds = [sorted(by_kind)[k] for k in rng.permutation(len(by_kind))]
        while len(chosen) < limit:
            for kind in kinds:
                if by_kind[kind] and len(chosen) < limit:
                    chosen.append(by_kind[kind].pop())
        found = [found[k] for k in sorted(chosen)]
    return [Mechanical(text, edit.kind, _Mutant(rule, closed, path, edit, text)) for path, _, text, edit in found]


class _Mutant:
    """The callable of a mutant: traces the base rule for its arguments and runs it with the change."""

    def __init__(self, rule: Callable[..., Any], closed: Any, path: Path, edit: Edit, text: str) -> None:
        self.base, self.closed, self.path, self.edit = rule, closed, path, edit
        self.__name__ = self.__qualname__ = f"{getattr(rule, '__name__', 'rule')} with {text}"
        self.__doc__ = f"A wrong rule: {text}."

    def __call__(self, *args: Any) -> Any:
        closed, tree, leaves, dtypes = _trace(self.base, args)
        if signature(closed.jaxpr) != signature(self.closed.jaxpr):
            # The rule traces otherwise here (a branch on the dtype, say): run what was changed, with casts around it.
            closed = self.closed
            leaves = [jnp.asarray(v, a.dtype) for v, a in zip(leaves, closed.in_avals, strict=True)]
        outs = _changed(closed.jaxpr, closed.consts, leaves, self.path, self.edit)
        return jax.tree.unflatten(tree, [jnp.asarray(v).astype(d) for v, d in zip(outs, dtypes, strict=True)])


def _trace(rule: Callable[..., Any], args: Sequence[Any]) -> tuple[Any, Any, list[Any], list[Any]]:
    """(jaxpr in the floating leaves, tree of the output, those leaves, dtypes of the output's leaves).

    Integers, Booleans and whatever is not an array are closed over: a rule may branch on them in Python.
    """
    flat, tree = jax.tree.flatten(tuple(args))
    floating = [_floating(leaf) for leaf in flat]

    def of_leaves(*leaves: Any) -> Any:
        rest = iter(leaves)
        return rule(*jax.tree.unflatten(tree, [next(rest) if f else v for f, v in zip(floating, flat, strict=True)]))

    leaves = [leaf for f, leaf in zip(floating, flat, strict=True) if f]
    closed, shapes = jax.make_jaxpr(of_leaves, return_shape=True)(*leaves)
    out, out_tree = jax.tree.flatten(shapes)
    return closed, out_tree, leaves, [s.dtype for s in out]


def _floating(leaf: Any) -> bool:
    return isinstance(leaf, float) or (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating))


def signature(jaxpr: Any) -> tuple[Any, ...]:
    """Primitives and shapes of a jaxpr and of those inside it: what a change made by position relies on."""
    return tuple(
        (
            eqn.primitive.name,
            tuple(getattr(v.aval, "shape", ()) for v in (*eqn.invars, *eqn.outvars)),
            tuple((part, signature(inner)) for part, inner in _inner(eqn)),
        )
        for eqn in jaxpr.eqns
    )


def sites(jaxpr: Any) -> Iterator[tuple[Path, int, str, Any]]:
    """(path, running number, place in words, equation) of every equation on which an output depends."""
    counter = iter(range(10**9))

    def walk(jaxpr: Any, path: Path, place: str) -> Iterator[tuple[Path, int, str, Any]]:
        alive = _alive(jaxpr)
        for k, eqn in enumerate(jaxpr.eqns):
            number, name = next(counter), eqn.primitive.name
            if k not in alive:
                continue
            yield (*path, (k, "")), number, f"{name}{place}", eqn
            for part, inner in _inner(eqn):
                inside = place if name in CALLS else f"{place} in {name} {part}".rstrip()
                yield from walk(inner, (*path, (k, part)), inside)

    yield from walk(jaxpr, (), "")


def _alive(jaxpr: Any) -> set[int]:
    needed = {v for v in jaxpr.outvars if not _literal(v)}
    alive = set()
    for k in reversed(range(len(jaxpr.eqns))):
        eqn = jaxpr.eqns[k]
        if any(v in needed for v in eqn.outvars):
            alive.add(k)
            needed |= {v for v in eqn.invars if not _literal(v)}
    return alive


def _literal(atom: Any) -> bool:
    return isinstance(atom, jex.Literal)


def _open(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    return getattr(jaxpr, "jaxpr", jaxpr), getattr(jaxpr, "consts", ())


def _inner(eqn: Any) -> list[tuple[str, Any]]:
    """The jaxprs inside an equation that a change may enter; not a while's condition (endless)."""
    name, params = eqn.primitive.name, eqn.params
    if name == "cond":
        return [(f"branch {k}", _open(branch)[0]) for k, branch in enumerate(params["branches"])]
    if name == "while":
        return [("body", _open(params["body_jaxpr"])[0])]
    if name == "scan" or name in CALLS:
        return [("body", _open(_body(params))[0])]
    return []


def _body(params: dict[str, Any]) -> Any:
    return next(params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params)


def evaluate(eqn: Any, values: Sequence[Any], **changed: Any) -> list[Any]:
    """One equation on the given operand values, with some of its parameters changed; calls are inlined."""
    if eqn.primitive.name in CALLS or eqn.primitive.name in LOOPS:
        return _enter(eqn, values, None, (), None, **changed)
    # Some sub-jaxprs (the sum inside a reduce_sum, say) are parameters like any other.
    out = eqn.primitive.bind(*values, **{**eqn.params, **changed})
    return list(out) if eqn.primitive.multiple_results else [out]


def _pieces(jaxpr: Any, eqns: Sequence[Any], env: dict[Any, Any], wanted: Sequence[Any]) -> None:
    """Run unchanged equations of a jaxpr: JAX's own evaluation of a jaxpr made of them."""
    if not wanted:
        return
    defined = {v for eqn in eqns for v in eqn.outvars}
    used = {v: None for eqn in eqns for v in eqn.invars if not _literal(v) and v not in defined}
    about = jaxpr.debug_info._replace(arg_names=("",) * len(used), result_paths=("",) * len(wanted))
    piece = jex.Jaxpr((), list(used), list(wanted), list(eqns), debug_info=about)
    env.update(zip(wanted, jex.jaxpr_as_fun(jex.ClosedJaxpr(piece, ()))(*(env[v] for v in used)), strict=True))


def _changed(jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], path: Path, edit: Edit | None) -> list[Any]:
    """Evaluate a jaxpr with one equation changed (no change without an edit)."""
    env = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    env = {v: jnp.asarray(value, v.aval.dtype) if hasattr(v.aval, "dtype") else value for v, value in env.items()}
    outs = [v for v in jaxpr.outvars if not _literal(v)]
    if edit is None:
        _pieces(jaxpr, jaxpr.eqns, env, list(dict.fromkeys(v for v in outs if v not in env)))
    else:
        (k, part), *rest = path
        eqn, before, after = jaxpr.eqns[k], jaxpr.eqns[:k], jaxpr.eqns[k + 1 :]
        later = {v for e in (eqn, *after) for v in e.invars if not _literal(v)} | set(outs)
        _pieces(jaxpr, before, env, [v for e in before for v in e.outvars if v in later])
        values = [jnp.asarray(v.val, v.aval.dtype) if _literal(v) else env[v] for v in eqn.invars]
        found = edit.apply(eqn, values, evaluate) if not rest else _enter(eqn, values, part, tuple(rest), edit)
        env.update((v, jnp.asarray(value).astype(v.aval.dtype)) for v, value in zip(eqn.outvars, found, strict=True))
        _pieces(jaxpr, after, env, [v for v in dict.fromkeys(outs) if v not in env])
    return [v.val if _literal(v) else env[v] for v in jaxpr.outvars]


def _enter(
    eqn: Any, values: Sequence[Any], part: str | None, rest: Path, edit: Edit | None, **changed: Any
) -> list[Any]:
    """An equation that holds jaxprs, with the change inside the one called `part`."""
    name, params = eqn.primitive.name, {**eqn.params, **changed}

    def inside(jaxpr: Any, here: str) -> Callable[..., list[Any]]:
        open_jaxpr, consts = _open(jaxpr)
        types = [v.aval for v in open_jaxpr.outvars]

        def run(*args: Any) -> list[Any]:
            outs = _changed(open_jaxpr, consts, args, rest, edit if here == part else None)
            return [jnp.asarray(v).astype(t.dtype) for v, t in zip(outs, types, strict=True)]

        return run

    if name in CALLS:
        return inside(_body(params), "body")(*values)
    if name == "cond":
        branches = [inside(branch, f"branch {k}") for k, branch in enumerate(params["branches"])]
        return list(lax.switch(values[0], branches, *values[1:]))
    if name == "scan":
        consts, carry = _scan_counts(params, values)
        body, fixed = inside(params["jaxpr"], "body"), values[:consts]

        def step(state: Any, x: Any) -> Any:
            outs = body(*fixed, *state, *x)
            return tuple(outs[:carry]), tuple(outs[carry:])

        start, xs = tuple(values[consts : consts + carry]), tuple(values[consts + carry :])
        end, ys = lax.scan(step, start, xs, length=params["length"], reverse=params["reverse"])
        return [*end, *ys]
    a, b = params["cond_nconsts"], params["body_nconsts"]
    goes_on, body = inside(params["cond_jaxpr"], ""), inside(params["body_jaxpr"], "body")

    def round_(state: Any) -> Any:
        return (state[0] + 1, *body(*values[a : a + b], *state[1:]))

    def more(state: Any) -> Any:
        return (state[0] < ROUNDS) & goes_on(*values[:a], *state[1:])[0]

    return list(lax.while_loop(more, round_, (np.int32(0), *values[a + b :]))[1:])


def _scan_counts(params: dict[str, Any], values: Sequence[Any]) -> tuple[int, int]:
    """How many operands of a scan are constants and how many are the carry, in JAX's older and newer parameters."""
    if "num_consts" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = (len(list(group)) for group in params["ft_in"].update(tuple(values)).unpack())
    return consts, carry


def widened(args: Any) -> Any:
    """The floating leaves of a tree as float64 (call it under scoped x64)."""
    return jax.tree.map(lambda v: np.asarray(v, np.float64) if _floating(v) else v, args)


def values(rule: Callable[..., Any], args: Sequence[Any]) -> list[np.ndarray]:
    """The leaves that a rule returns in float64."""
    with jax.enable_x64(True):
        return [np.asarray(leaf) for leaf in jax.tree.leaves(jax.jit(rule)(*widened(tuple(args))))]


def relative_error(mutant: Callable[..., Any], truth: Sequence[np.ndarray], args: Sequence[Any]) -> float:
    """The largest error of a leaf in units of the leaf's largest entry, in float64; inf where only one is finite."""
    return max([_leaf_error(a, b) for a, b in zip(values(mutant, args), truth, strict=True)], default=0.0)


def _leaf_error(a: np.ndarray, b: np.ndarray) -> float:
    if a.size == 0 or np.array_equal(a, b, equal_nan=True):
        return 0.0
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    keep = np.isfinite(a)
    scale = np.max(np.abs(b[keep]), initial=0.0)
    return float(np.max(np.abs(a[keep] - b[keep]), initial=0.0) / scale) if scale else float("inf")


# Two evaluations of the same formula in another order differ by some units of 2^-53 times the cancellation inside;
# 2^13 of it are allowed. The smallest change made here on purpose, a rounding to float16 (2^-11 of one term), would
# have to hit a term of 2^-29 of the leaf to pass for this.
SAME = 2.0**-40


def is_equivalent(mutant: Callable[..., Any], rule: Callable[..., Any], examples: Sequence[Sequence[Any]]) -> bool:
    """Whether a mutant gives the rule's values, in float64, on every one of the examples' arguments."""
    return all(relative_error(mutant, values(rule, args), args) <= SAME for args in examples)

"""Additive terms: the function's output split through sums, and an error explained by the factors of its terms.

Guarded by `tests/checker/diagnosis/test_order.py`.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from jaxsoftmax.checker.compare.autodiff import Truth
from jaxsoftmax.checker.diagnosis.case import Case, Fitted, Guess, guess
from jaxsoftmax.checker.diagnosis.factors import parameters
from jaxsoftmax.checker.diagnosis.flat import Flat
from jaxsoftmax.checker.diagnosis.programs import Tampered

__all__ = ["additive_terms", "wrong_term"]

# Equations that pass a sum on term by term, in their first operand.
_PASS = {
    "neg", "reduce_sum", "reshape", "broadcast_in_dim", "transpose", "squeeze", "convert_element_type", "copy", "slice",
    "rev", "cumsum", "expand_dims", "real", "copy_p",
}  # fmt: skip
_SUMS = {"add", "add_any", "sub"}
_MOST = 24


def additive_terms(flat: Flat) -> list[tuple[int, int]]:
    """(equation, operand) of every summand that the outputs are made of; [] for a function of one term."""
    makers = {v: (k, eqn) for k, eqn in flat.equations() for v in eqn.outvars}
    found: list[tuple[int, int]] = []

    def operands(k: int, eqn: Any) -> list[int] | None:
        """The operands that a sum passes through, None where it does not."""
        name = eqn.primitive.name
        live = [j for j, a in enumerate(eqn.invars) if flat.is_active(a)]
        if name in _SUMS or name == "concatenate":
            return live
        if (name in _PASS and live == [0]) or (name == "mul" and len(live) == 1) or (name == "div" and live == [0]):
            return live
        return None

    def walk(atom: Any, edge: tuple[int, int] | None) -> None:
        made = makers.get(atom)
        inner = None if made is None or flat.uses[atom] > 1 else operands(*made)
        if made is None or inner is None:
            if edge is not None and edge not in found:
                found.append(edge)
            return
        k, eqn = made
        split = eqn.primitive.name in _SUMS or eqn.primitive.name == "concatenate"
        for j in inner:
            walk(eqn.invars[j], (k, j) if split else edge)

    for out in flat.jaxpr.outvars:
        if flat.is_active(out):
            walk(out, None)
    return found if 2 <= len(found) <= _MOST else []


def wrong_term(case: Case, flat: Flat, truth: Truth | None) -> Guess | None:
    """ours = Σ c_k T_k with the derivatives T_k of the function's terms, and not all c_k = 1: fewest first."""
    if not case.usable:
        return None
    edges = additive_terms(flat)
    if not edges:
        return None
    terms = Tampered(case, flat, truth, terms=edges)(scales=np.eye(len(edges)))
    if not all(np.isfinite(leaf).all() for term in terms for leaf in term):
        return None
    for k, term in enumerate(terms):
        found = case.scaled(case.theirs, term)
        if found is not None:
            c, spread = 1 + found[0], found[1]
            text, wrong = "looks like {wrong} in {rule} (factor {factor})", f"{_text(flat, edges, k)} {_how(c, spread)}"
            return guess("wrong term", text, wrong=wrong, factor=Fitted.of(c, spread))
    return _several(case, flat, edges, terms)


def _how(c: float, spread: float) -> str:
    if abs(c) <= 2 * spread:
        return "is missing"
    if abs(c + 1) <= 2 * spread:
        return "enters with the wrong sign"
    return f"enters {c:.4g} times"


def _text(flat: Flat, edges: list[tuple[int, int]], k: int) -> str:
    atom = flat.jaxpr.eqns[edges[k][0]].invars[edges[k][1]]
    maker = next((eqn.primitive.name for eqn in flat.jaxpr.eqns if atom in eqn.outvars), "input")
    return f"term {k + 1} of {len(edges)} of the function (its {maker})"


def _several(case: Case, flat: Flat, edges: list[tuple[int, int]], terms: list[list[np.ndarray]]) -> Guess | None:
    """Two terms with other factors, or one term in whose place a multiple of the parameters stands."""
    linear = parameters(case, list(range(len(case.error))))
    columns = [*terms, *([linear] if linear is not None else [])]
    names = [_text(flat, edges, k) for k in range(len(edges))]
    names += ["a multiple of the parameters"] if linear is not None else []
    stacked = np.stack([np.concatenate([(leaf / case.limit(i) if case.limit(i) else leaf).ravel()
                                        for i, leaf in enumerate(column)]) for column in columns], axis=1)  # fmt: skip
    error = np.concatenate([(e / case.limit(i) if case.limit(i) else e).ravel() for i, e in enumerate(case.error)])
    for count in (2, 3):
        for picked in itertools.combinations(range(len(columns)), count):
            if len(error) < 2 * count + 1:
                return None
            part = stacked[:, picked]
            size = np.linalg.norm(part, axis=0)
            if not (size > 0).all() or np.linalg.cond(part / size) > 1e6:
                continue
            inverse = np.linalg.pinv(part)
            c = inverse @ error
            spread = np.abs(inverse).sum(axis=1)  # every entry of the scaled error is known to 1
            other, slack = [t.copy() for t in case.theirs], [np.zeros_like(t) for t in case.theirs]
            for value, width, k in zip(c, spread, picked, strict=True):
                other = [g + value * d for g, d in zip(other, columns[k], strict=True)]
                slack = [s + width * np.abs(d) for s, d in zip(slack, columns[k], strict=True)]
            if not case.explained(other, slack):
                continue
            texts, fits = [], {}
            for value, width, k in zip(map(float, c), map(float, spread), picked, strict=True):
                if k == len(terms):
                    texts.append(f"{value:.4g} * parameters is added (fit {{fit}})")
                    fits = {"fit": Fitted.of(value, width)}
                else:
                    texts.append(f"{names[k]} {_how(1 + value, width)}")
            return guess("wrong term", f"looks like {' and '.join(texts)} in {{rule}}", **fits)
    return None

"""Second order of a function with several outputs: its own rules under the scalar functions <w, fun>.

Guarded by `tests/checker/test_vectors.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.compare.as_run import representable
from jaxsoftmax.checker.compare.autodiff import DIFFERENCES, find_truth
from jaxsoftmax.checker.compare.curvature import find_curvature
from jaxsoftmax.checker.compare.jacobian import Outputs, read_outputs
from jaxsoftmax.checker.compare.rules import second_order, trace_own
from jaxsoftmax.checker.compare.second_order import check_hvp, check_values
from jaxsoftmax.checker.compare.witnesses import check_at_the_point, where_curved
from jaxsoftmax.checker.diagnosis.order import name_diagnoses
from jaxsoftmax.checker.inputs.context import Session, unravel
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.report.result import Diagnosis

_COMBINATIONS = 2


def check_combinations(
    session: Session, fun: Callable[..., Any], truth: Callable[..., Any], outputs: Outputs
) -> list[Diagnosis]:
    """Hold the derivative of jax.grad of <w, fun> to the Hessian of <w, truth>, for random unit w.

    Args:
        session: the check of the vector function.
        fun: the function whose rules are under test.
        truth: the function that they are held to: `fun` again, or its intent.
        outputs: what they return.

    Returns:
        What the errors look like. The comparisons are added to the session's.
    """
    found: list[Diagnosis] = []
    for k in range(_COMBINATIONS):
        if not session.clock.allows():
            session.note("no time was left for second derivatives of combinations <w, fun> of the outputs")
            break
        if found:  # one wrong combination is enough
            break
        text = "<w, fun>" if k == 0 else f"<w{k + 1}, fun>"
        try:
            found += _check_one(session, fun, truth, outputs, text)
        except (TypeError, ValueError) as error:
            session.note(f"second derivatives of {text} were not checked: {str(error).splitlines()[0]}")
            break
    return found


def _check_one(
    session: Session, fun: Callable[..., Any], truth: Callable[..., Any], outputs: Outputs, text: str
) -> list[Diagnosis]:
    weights = session.rng.standard_normal(outputs.size)
    weights = representable(session, weights / np.linalg.norm(weights))
    with jax.enable_x64(True):
        parts = unravel(weights, outputs.leaves)
        w = [jax.device_put(part.astype(leaf.dtype)) for part, leaf in zip(parts, outputs.leaves, strict=True)]

    def combined(of: Callable[..., Any]) -> Callable[..., Any]:
        def number(x: Any, *args: Any) -> Any:
            *rest, weight = args
            leaves = jax.tree.leaves(of(x, *rest))
            dtype = jnp.result_type(*leaves)
            return sum(jnp.sum(a.astype(dtype) * y.astype(dtype)) for a, y in zip(weight, leaves, strict=True))

        return number

    # `widened` is keyed by the identity of args, and these are new.
    point, args = dataclasses.replace(session.point, widened={}), (*session.args, w)
    traced = Traced(text, combined(truth), point, args, twice=False)
    nonsmooth = set(session.nonsmooth)
    sub = Session(point, traced, args, session.rng, session.clock, session.widen, nonsmooth=nonsmooth)
    sub.iterative = session.iterative  # an equation has no loop, the function that it stands for has one
    found = find_truth(sub)
    if found.route == DIFFERENCES:
        raise ValueError("without its custom rules JAX cannot differentiate fun")
    refusals = []
    for name, rule in second_order(combined(fun), text):
        try:
            hand = trace_own(sub, "hvp", name, rule, read_outputs(traced.out))
            break
        except (TypeError, ValueError) as error:
            refusals.append(error)
    else:
        raise refusals[0]
    at, there = where_curved(sub, found)
    check_values(at, "hvp", check_hvp(at, hand, find_curvature(at, there)).values)
    if at is not sub:
        check_at_the_point(sub, "hvp", "hvp", hand, outputs.leaves)
    label = f"hvp of jax.grad of {text}"
    sub.suspects = [suspect._replace(name=label) for suspect in sub.suspects]
    # A rule that is wrong itself explains its derivative.
    diagnoses = [] if session.suspects else name_diagnoses(sub, found)
    _merge(session, sub, label)
    return diagnoses


def _merge(session: Session, sub: Session, label: str) -> None:
    """Add the comparisons of a combination, under its name."""
    for finding in sub.findings:
        subject = finding.subject._replace(rule=label)
        check = dataclasses.replace(finding.check, quantity=subject.text)
        session.findings.append(dataclasses.replace(finding, check=check, subject=subject))
    session.tables += [t._replace(quantity=t.quantity.replace("hvp", label, 1)) for t in sub.tables]
    for note in sub.notes:
        session.note(note)
    session.guarantee = session.guarantee or sub.guarantee

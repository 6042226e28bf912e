"""The entry point: any hand-written derivative of any JAX function against routes that do not depend on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax._checks import random_generator, warn_if_miscompiling
from jaxsoftmax.checker.budget import Clock, as_budget
from jaxsoftmax.checker.first_order import check_gradient
from jaxsoftmax.checker.inputs import read_point, require_callable, require_like, require_scalar
from jaxsoftmax.checker.report import CrossCheckReport
from jaxsoftmax.checker.session import Session
from jaxsoftmax.checker.tracing import Traced
from jaxsoftmax.checker.truth import find_truth


def crosscheck(
    fun: Callable[..., Any],
    at: Any,
    *,
    gradient: Callable[..., Any] | None = None,
    value_and_gradient: Callable[..., Any] | None = None,
    hvp: Callable[..., Any] | None = None,
    hessian: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    args: tuple[Any, ...] = (),
    key: Any = None,
    budget: Any = None,
    dtype_policy: str = "widen",
    psd: bool = False,
    twin: Callable[..., Any] | None = None,
) -> CrossCheckReport:
    """Check."""
    warn_if_miscompiling()
    point = read_point(at)
    clock = Clock(as_budget(budget))
    rng = random_generator(key)
    require_callable("fun", fun)
    traced = Traced("fun", fun, point, args)
    require_scalar(traced.out)
    session = Session(point, traced, args, rng, clock, dtype_policy == "widen")
    truth = find_truth(session)
    rules = {"gradient": gradient, "value_and_gradient": value_and_gradient}
    if not any(rules.values()):
        rules = {"own": jax.grad(fun)}
    for name, rule in rules.items():
        if rule is None:
            continue
        t = Traced(name, rule, point, args)
        check_gradient(session, name, t, truth, with_value=name == "value_and_gradient")
    return CrossCheckReport.from_findings(session.findings, notes=tuple(session.notes), seconds=clock.seconds)

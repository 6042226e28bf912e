"""The entry point: any hand-written derivative of any JAX function, checked by computations independent of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxsoftmax.checker.choice import choose_call
from jaxsoftmax.checker.compare.autodiff import DIFFERENCES, find_truth
from jaxsoftmax.checker.compare.jacobian import read_outputs
from jaxsoftmax.checker.compare.mpmath_twin import check_twin
from jaxsoftmax.checker.compare.rules import adapted_rules, given_rules, has_custom_rules, own_rules
from jaxsoftmax.checker.compare.witnesses import settle
from jaxsoftmax.checker.comparisons import compare_rules
from jaxsoftmax.checker.diagnosis.order import name_diagnoses
from jaxsoftmax.checker.equation import AtRoot, Implicit, implicit_function
from jaxsoftmax.checker.inputs.arguments import require_callable, require_like, require_scalar
from jaxsoftmax.checker.inputs.budget import Budget, Clock, as_budget
from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.jaxprs.equations import stops_at_a_tolerance
from jaxsoftmax.checker.report.origin import name_of
from jaxsoftmax.checker.report.result import CrossCheckReport
from jaxsoftmax.checker.report.verdict import VERDICTS
from jaxsoftmax.checker.summary import report_of
from jaxsoftmax.checker.vectors import check_combinations
from jaxsoftmax.support.validation import is_traced, random_generator, show, warn_if_miscompiling

_POLICIES = ("widen", "working")


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
    budget: Budget | float | str | None = None,
    dtype_policy: str = "widen",
    psd: bool = False,
    twin: Callable[..., Any] | None = None,
    argnums: int | tuple[int, ...] | None = None,
    kwargs: dict[str, Any] | None = None,
    has_aux: bool = False,
    intent: Callable[..., Any] | None = None,
    equation: Callable[..., Any] | None = None,
) -> CrossCheckReport:
    """Check derivatives written by hand, or a function's own custom rules, against computations independent of them.

    *Independent.* Every ``custom_jvp``, ``custom_vjp`` and ``stop_gradient`` is taken out of the function, also inside
    jit, scan, while, cond and remat; autodiff of what remains is the reference. If no rule is given, the custom rules
    of ``fun`` itself are checked. What JAX cannot differentiate without its rules (callbacks, for example) is compared
    with extrapolated differences, and the report says so.

    *Every entry.* A gradient is compared entry by entry with reverse autodiff in float64, whatever its size. Hessians,
    Hessian-vector products and Jacobians are compared entry by entry as far as the budget goes, and beyond it along
    random directions; the report then says with which probability an error is missed (`guarantee`). Forward autodiff,
    the complex step, differences and a Taylor test check the gradient once more, along some directions.

    *A court.* Routes through the program (autodiff, complex step) share its branches; routes through values
    (differences, Taylor remainders, a twin) share nothing with it. A rule is accused by routes that do not share its
    fault: where values show that the program takes another branch at the point than around it, or decides by
    comparisons (a bisection), they are believed; where the two kinds contradict each other the verdict is
    "INCONCLUSIVE"; where no bound of an error is finite and no values agree, it is "NOT CHECKED".

    *Derived tolerances.* An error analysis of each program bounds the rounding of each entry to first order. The
    rule's formula is evaluated in float64 and compared within float64's bound; the rule as it runs in its own dtype is
    compared within that dtype's. No tolerance is chosen: a correct float32 gradient of a sum of 10⁶ terms passes, and
    an error of 10⁻⁹ in one entry of a float64 gradient does not. Where rounding the data once explains the error of a
    float32 formula (targets whose rows sum to 1 only nearly, for example), the verdict is "ROUNDING", and the report
    says how large the error is.

    Second derivatives are also checked for symmetry, linearity, agreement with the hand gradient, and the sign of the
    smallest eigenvalue (S4, S5). Those of a function with several outputs are, where it has custom rules, by two random
    combinations <w, fun(x)> of them.

    Args:
        fun: ``fun(x, *args, **kwargs)`` -> a real scalar; without a gradient, hvp or hessian also any pytree of
            arrays, whose floats are checked (integers and bools are passed over). It may be jitted. It must be written
            in JAX.
        at: x, a pytree with real float arrays (NumPy or JAX, any float dtype, sharded or not). The rules run in the
            dtypes of its leaves; float64 leaves need no x64 scope. NumPy float64 stays float64. Leaves that are no
            floats (integers, functions, strings, as a module may hold them) are held fixed; what a rule returns in
            their places is not looked at.
        gradient: ``gradient(x, *args, **kwargs)`` -> what ``jax.grad(fun, argnums)`` returns: a tree like x, or a
            tuple of trees where `argnums` is a tuple.
        value_and_gradient: the same of ``jax.value_and_grad(fun, argnums, has_aux)``: (value, gradient), or
            ((value, aux), gradient).
        hvp: ``hvp(x, v, *args, **kwargs)`` -> the Hessian times v; v and the result are like the gradient.
        hessian: ``hessian(x, *args, **kwargs)`` -> what ``jax.hessian(fun, argnums)`` returns, an (n, n) matrix in the
            order of the raveled leaves, or an object with ``to_dense()``.
        jvp: ``jvp(x, v, *args, **kwargs)`` -> the derivative of the output along v, a tree like the output.
        vjp: ``vjp(x, ct, *args, **kwargs)`` -> the cotangent ct pulled back, like the gradient.
        args: further arguments of `fun` and of every rule: arrays, integers, keys, anything. Held fixed, unless
            `argnums` names them, or no rule is given.
        key: random key of the directions; ``jax.random.key(0)`` when None.
        budget: seconds, or a `Budget` of seconds and bytes. "quick" compares to half of the digits of the
            largest entry and takes about a second; where that much does not agree, the whole check decides.
        dtype_policy: "widen" checks the rules' formulas in float64 too; "working" only the rules in the dtype of x.
        psd: True to check that the function is convex at x: that no eigenvalue of its Hessian is negative.
        twin: ``twin(x, *args)``, the same function in mpmath: x and float args come as NumPy object arrays of
            ``mpmath.mpf`` (numbers for scalars); its derivatives to 50 digits are one more route.
        argnums: the arguments to check in, counted over (x, *args) as in `jax.grad`. None: x where rules are given;
            where none is, x and all args that hold floats.
        kwargs: keyword arguments of `fun` and of every rule, held fixed.
        has_aux: `fun` returns (value, aux), and so does the value of `value_and_gradient`, as in `jax.value_and_grad`;
            aux is left out.
        intent: ``intent(x, *args, **kwargs)``, the function whose derivative the rule is *meant* to be, where that is
            not `fun`: the identity for a straight-through estimator, ``lambda x: -lam * x`` for a gradient reversal.
            Everything is compared with it. Its result has the tree and the shapes of that of `fun`.
        equation: ``equation(y, x, *args, **kwargs)`` -> as many float entries as y has, zero at y = fun(x, ...): for a
            solver, whose derivative is that of the root. Everything is compared with derivatives of that root, exact
            whatever the program of `fun` does (a bisection, a loop that stops at a tolerance). y is the value of `fun`
            without aux, None where it holds no float. Not together with `intent`.

    Returns:
        A `CrossCheckReport`: "AGREE", "DISAGREE", "INCONCLUSIVE", "NOT CHECKED", or "ROUNDING" where rounding hides the
            answer (an error of a factor 2 would have passed, or rounding the data explains the difference). Its
            ``repr`` is the report; `diagnoses` says what an error looks like.

    Raises:
        TypeError, ValueError: the function, the point, or a rule cannot be used: it raises, returns NaN or a value of
            another form, is not written in JAX, has side effects, is called under jit, ... The message says which.
        ImportError: `twin` without mpmath.

    Example:
        >>> import jax, jax.numpy as jnp, jaxsoftmax as js, numpy as np
        >>> x = np.float32([0.5, -1.0, 2.0])
        >>> js.crosscheck(lambda x: jnp.sum(x**4), x, gradient=lambda x: 4 * x**3).verdict
        'AGREE'
        >>> js.crosscheck(lambda x: jnp.sum(x**4), x, gradient=lambda x: 2 * x**3).diagnoses[0].name
        'constant factor'
        >>> product = lambda x, y: jnp.sum(x * y)
        >>> js.crosscheck(product, x, args=(2 * x,), gradient=lambda x, y: (y, x), argnums=(0, 1)).verdict
        'AGREE'
        >>> straight_through = lambda x: jnp.sum(x + jax.lax.stop_gradient(jnp.round(x) - x))
        >>> js.crosscheck(straight_through, x, intent=jnp.sum).verdict
        'AGREE'
        >>> root = lambda a: jax.lax.fori_loop(0, 9, lambda _, y: (y + a / y) / 2, a)
        >>> slope, equation = lambda a: 0.5 / jnp.sqrt(a), lambda y, a: y**2 - a
        >>> js.crosscheck(root, np.float32(2), gradient=slope, equation=equation).verdict
        'AGREE'
    """
    again = {name: value for name, value in locals().items() if name not in ("fun", "at", "args", "key", "budget")}
    warn_if_miscompiling()
    if is_traced(jax.device_put(np.float32(0))):
        raise TypeError(
            "crosscheck: called while JAX traces; a check needs numbers. Call it outside jit, grad and vmap."
        )
    if not isinstance(args, tuple):
        raise TypeError(f"args: got {show(args)}; a tuple is needed. Write args=(value,) for one argument.")
    if dtype_policy not in _POLICIES:
        raise ValueError(f"dtype_policy: got {show(dtype_policy)}; give 'widen' or 'working'.")
    if not isinstance(psd, (bool, np.bool_)):
        raise TypeError(f"psd: got {show(psd)}; give True or False.")
    if kwargs is not None and not isinstance(kwargs, dict):
        raise TypeError(f"kwargs: got {show(kwargs)}; give a dict of keyword arguments.")
    if not isinstance(has_aux, (bool, np.bool_)):
        raise TypeError(f"has_aux: got {show(has_aux)}; give True or False.")
    require_callable("fun", fun)
    for name, given in (("twin", twin), ("intent", intent), ("equation", getattr(equation, "equation", equation))):
        if given is not None:
            require_callable(name, given)
    if equation is not None and intent is not None:
        raise ValueError("equation: given together with intent, and each says what is meant. Give one of them.")
    rules = {"gradient": gradient, "value_and_gradient": value_and_gradient}
    rules |= {"hvp": hvp, "hessian": hessian, "jvp": jvp, "vjp": vjp}
    given = {name: rule for name, rule in rules.items() if rule is not None}
    for name, rule in given.items():
        require_callable(name, rule)
    clock, rng = Clock(as_budget(budget)), random_generator(key)
    options: dict[str, Any] = {"has_aux": bool(has_aux), "rules": bool(given)}
    call, traced_fun, told = choose_call(fun, (at, *args), kwargs or {}, argnums, **options)
    point, traced, run = call.point, traced_fun, call.function(fun)
    outputs = read_outputs(traced.out, call.output_paths)
    meant = run
    if intent is not None:
        meant = call.function(intent, "intent", keep=False)
        traced = Traced("intent", meant, point, call.args, twice=True)
        like = jax.tree.unflatten(outputs.tree, outputs.leaves)
        require_like("intent", traced.out, like, outputs.paths, dtypes=False)
        told.append(
            "the rules were held to the derivative of intent, not to that of fun; the values of the two were not "
            "compared"
        )
    implicit: Implicit | None = None
    if equation is not None:
        implicit = implicit_function(call, traced_fun, outputs, equation)
        meant = implicit.function
        traced = Traced("equation", meant, point, call.args)
        told.append(implicit.note)
    intended = meant is not run
    scalar = outputs.size == 1 and outputs.leaves[0].shape == () and len(outputs.leaves) == 1
    if psd or any(name in given for name in ("gradient", "value_and_gradient", "hvp", "hessian")):
        require_scalar(traced.out)
    session = Session(point, traced, call.args, rng, clock, dtype_policy == "widen", notes=told)
    for one in (traced_fun, traced) if intended else (traced_fun,):
        _require_finite(session, one)
    if implicit is not None:  # the values of the equation have no loop, but those that the rule is made from do
        session.iterative = implicit.off or stops_at_a_tolerance(traced_fun.closed)
    truth = settle(session, find_truth(session)) if scalar else None
    custom = False
    if given:
        found = given_rules(session, adapted_rules(call, given, intended), outputs)
    else:
        differentiable = truth is None or truth.route != DIFFERENCES
        custom = bool(traced_fun.replay.rules) or ((not scalar or intended) and has_custom_rules(traced_fun))
        kind: dict[str, Any] = {"scalar": scalar, "custom": custom, "intended": intended}
        found = own_rules(session, run, outputs, differentiable=differentiable, **kind)
    hands = compare_rules(session, found, truth, outputs, psd=psd, given=bool(given))
    diagnoses = None
    if custom and not scalar:
        diagnoses = [] if session.quick else name_diagnoses(session, truth)
        diagnoses += check_combinations(session, run, meant, outputs)
    if twin is not None:
        if truth is None:
            raise ValueError(
                "twin: the function has several outputs, and a twin is for a scalar function. Leave it out."
            )
        check_twin(session, call.twin(twin), hands, truth)
    if diagnoses is None:
        diagnoses = [] if session.quick else name_diagnoses(session, truth)
    report = report_of(session, diagnoses, name_of(fun))
    if session.quick and report.verdict != "AGREE":  # half of the digits were not found: the whole check decides
        whole = dataclasses.replace(clock.budget, quick=False)
        return crosscheck(fun, at, args=args, key=key, budget=whole, **again)
    if implicit is not None and implicit.off and report.verdict != "AGREE" and not isinstance(equation, AtRoot):
        again["equation"] = AtRoot(again["equation"])  # a rule may be right at the root instead
        other = crosscheck(fun, at, args=args, key=key, budget=budget, **again)
        return min(report, other, key=lambda found: VERDICTS.index(found.verdict))
    return report


def _require_finite(session: Session, traced: Traced) -> None:
    values = traced.as_run(session.point.leaves)
    session.clock.evaluations += 1
    for value in values:
        value = np.asarray(value).astype(np.float64)
        if not np.isfinite(value).all():
            shown = float(value[~np.isfinite(value)].ravel()[0]) if value.ndim else float(value)
            raise ValueError(
                f"fun: returned {shown} at `at`, where no derivative can be checked. Move `at` to where the function "
                "is finite, or rescale it."
            )

"""What js.crosscheck costs: a first-order check of 10⁶ parameters, and a full Hessian check of 10³."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxsoftmax as js
from benchmarks import harness

DTYPES = ("float32", "float64")
PARAMETERS = 10**6


def _timed(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    return function(*args), time.perf_counter() - start


# The cost of a check: functions of a million parameters, with gradients by hand.
def wave(x: Any, c: Any) -> Any:
    """Elementwise and a reduction: the sum of c log(1 + x²)."""
    return jnp.sum(c * jnp.log1p(x * x))


def wave_rule(x: Any, c: Any) -> Any:
    return wave(x, c), 2 * c * x / (1 + x * x)


def softmax(W: Any, X: Any, T: Any) -> Any:
    """Two products: cross-entropy of N samples, (C, D) weights."""
    Z = X @ W.T
    return jnp.sum(jax.nn.logsumexp(Z, axis=1)) - jnp.sum(T * Z)


def softmax_rule(W: Any, X: Any, T: Any) -> Any:
    Z = X @ W.T
    value = jnp.sum(jax.nn.logsumexp(Z, axis=1)) - jnp.sum(T * Z)
    return value, (jax.nn.softmax(Z, axis=1) - T).T @ X


def softmax_hessian(W: Any, X: Any, T: Any) -> Any:
    """Block (i, j) is Xᵀ diag(δ_ij y_i − y_i y_j) X."""
    Y = jax.nn.softmax(X @ W.T, axis=1)
    S = Y[:, :, None] * (jnp.eye(W.shape[0], dtype=Y.dtype) - Y[:, None, :])
    blocks = jnp.einsum("nij,nd,ne->idje", S, X, X, optimize=True)
    return blocks.reshape(W.size, W.size)


def _classified(dtype: str, samples: int, classes: int, features: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(4)
    X = rng.standard_normal((samples, features)) / np.sqrt(features)
    T = np.eye(classes)[rng.integers(classes, size=samples)]
    W = rng.standard_normal((classes, features))
    return W.astype(dtype), X.astype(dtype), T.astype(dtype)


def first_order_cost(dtype: str, repeats: int) -> dict[str, Any]:
    """A warm first-order check over a warm jitted value and gradient by autodiff."""
    rng = np.random.default_rng(4)
    draws = tuple(rng.standard_normal(PARAMETERS).astype(dtype) for _ in range(2))
    result = {}
    for fun, rule, data in (
        (wave, wave_rule, draws),
        (softmax, softmax_rule, _classified(dtype, 2048, 100, PARAMETERS // 100)),
    ):
        at, *args = (jnp.asarray(a) for a in data)
        autodiff, by_hand = jax.jit(jax.value_and_grad(fun)), jax.jit(rule)
        check = lambda: js.crosscheck(fun, at, args=tuple(args), value_and_gradient=rule)  # noqa: B023, E731
        report, cold = _timed(check)
        times = harness.interleaved(
            {
                "value_and_grad": lambda: autodiff(at, *args),  # noqa: B023
                "hand rule": lambda: by_hand(at, *args),  # noqa: B023
                "crosscheck": lambda: check().verdict and None,  # noqa: B023
            },
            min(repeats, 15),
            seconds=90.0,
        )
        result[fun.__name__] = {
            "verdict": report.verdict,
            "evaluations": report.evaluations,
            "times": times,
            "gradient_evaluations": harness.ratio(times, "crosscheck", "value_and_grad"),
            "cold_s": round(cold, 3),
        }
    return result


def hessian_cost(repeats: int) -> dict[str, Any]:
    """A warm check of a full Hessian of 10³ parameters over jax.hessian alone, warm and jitted, both in float64."""
    at, *args = (jnp.asarray(a) for a in _classified("float64", 2000, 10, 100))
    autodiff = jax.jit(jax.hessian(softmax))
    check = lambda: js.crosscheck(softmax, at, args=tuple(args), hessian=softmax_hessian)  # noqa: E731
    report, cold = _timed(check)
    times = harness.interleaved(
        {"jax.hessian": lambda: autodiff(at, *args), "crosscheck": lambda: check().verdict and None},
        min(repeats, 15),
        seconds=120.0,
    )
    return {
        "verdict": report.verdict,
        "times": times,
        "hessians": harness.ratio(times, "crosscheck", "jax.hessian"),
        "cold_s": round(cold, 3),
    }


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "settings": "times are warm: with tracing, comparison and report of js.crosscheck, without compilation",
    }
    targets = []
    for dtype in DTYPES:
        with jax.enable_x64(dtype == "float64"):
            result[f"cost, {dtype}"] = costs = first_order_cost(dtype, options.repeats)
            for name, cost in costs.items():
                what = f"first-order check of {name}, 10⁶ parameters, {dtype}, in gradient evaluations"
                targets.append(harness.target(what, cost["gradient_evaluations"]["by_median"], 20))
    with jax.enable_x64(True):
        result["cost, Hessian"] = cost = hessian_cost(options.repeats)
    targets.append(
        harness.target("full Hessian check, 10³ parameters, in jax.hessian", cost["hessians"]["by_median"], 3)
    )
    return result | {"targets": targets}

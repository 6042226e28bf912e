"""y, -log y and y - t entry by entry against 50 digits, beside the plain formulas and autodiff of the textbook loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxsoftmax as js
from benchmarks import harness
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision

LIMIT = {"float32": 80.0, "float64": 700.0}
CLASSES = (2, 3, 10, 100, 1000)


def grid(C: int, dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Rows of logits within ±80 (float32) or ±700 (float64): uniform, one class ahead, ties, offsets."""
    top, n = LIMIT[dtype], max(3, 240 // C)
    rows = [rng.uniform(-s, s, (n, C)) for s in (1.0, 10.0, top / 2, top)]
    ahead = rng.uniform(-top, -top / 2, (n, C))
    ahead[np.arange(n), rng.integers(0, C, n)] = rng.uniform(0, top, n)
    tied = rng.uniform(-top, top / 2, (n, C))
    tied[:, :2] = rng.uniform(top / 2, top, (n, 1))
    spread = 10.0 ** rng.uniform(-6, 0.5, (n, 1))
    close = rng.uniform(0.9 * top, 0.99 * top, (n, 1)) + rng.standard_normal((n, C)) * spread
    # The sum of the others is normal although each of them is near underflow.
    edge = np.full((n, C), -0.99 * top) + rng.uniform(-1, 0, (n, C)) * 0.01 * top
    edge[:, 0] = rng.uniform(0, 0.09 * top, n)
    return np.clip(np.concatenate([*rows, ahead, tied, close, edge]), -top, top).astype(dtype)


def _targets(Z: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    N, C = Z.shape
    if kind == "soft":
        T = rng.dirichlet(np.ones(C), N)
        T = T.astype(Z.dtype)
        return T / T.sum(axis=1, keepdims=True, dtype=Z.dtype)
    T = np.zeros_like(Z)
    # Half the samples confidently right, half with any class.
    T[np.arange(N), np.where(np.arange(N) % 2, Z.argmax(axis=1), rng.integers(0, C, N))] = 1
    return T


def textbook_loss(z: jax.Array, t: jax.Array) -> jax.Array:
    m = jax.lax.stop_gradient(z.max(axis=-1, keepdims=True))
    return jnp.sum(m[..., 0] + jnp.log(jnp.exp(z - m).sum(axis=-1)) - (t * z).sum(axis=-1))


def _worst(floats: Any, balls: np.ndarray, dtype: str, C: int, size: np.ndarray | None = None) -> dict[str, float]:
    """The largest relative error where the exact value is a normal number, in eps and in 4·eps·(1 + log2 C)."""
    info = jnp.finfo(dtype)
    exact = np.abs(highprecision.to_float(balls))
    error = highprecision.errors(floats, balls) / np.maximum(exact if size is None else size, float(info.tiny))
    normal = (exact >= float(info.tiny)) & (exact <= float(info.max))
    worst = float(np.nan_to_num(error[normal], nan=np.inf).max()) / float(info.eps)
    return {"eps": worst, "units": worst / (4 * (1 + np.log2(C)))}


def _measure(dtype: str, C: int) -> dict[str, dict[str, dict[str, float]]]:
    rng = np.random.default_rng(C)
    Z = grid(C, dtype, rng)
    eye = np.eye(C, dtype=dtype)
    out: dict[str, Any] = {}

    Routes = dict[str, Callable[[], Any]]

    def compare(quantity: str, balls: np.ndarray, routes: Routes, size: np.ndarray | None = None) -> None:
        out[quantity] = {name: _worst(np.asarray(route()), balls, dtype, C, size) for name, route in routes.items()}

    one_hot = _targets(Z, "one-hot", rng)
    # X = Z with W = I makes the logits the stored numbers themselves.
    problem, z = js.Problem(Z, one_hot, dtype=dtype), jnp.asarray(Z)
    y = highprecision.probabilities(Z)
    logs = {"ours": lambda: -js.log_probabilities(eye, problem), "jax.nn.log_softmax": lambda: -jax.nn.log_softmax(z)}
    compare("y", y, {"ours": lambda: js.probabilities(eye, problem), "jax.nn.softmax": lambda: jax.nn.softmax(z)})
    compare("-log y", highprecision.neg_log_probabilities(Z), logs)
    for kind, T in (("one-hot", one_hot), ("soft", _targets(Z, "soft", rng))):
        t = jnp.asarray(T)
        size = np.maximum(highprecision.to_float(y), T.astype(np.float64)) if kind == "soft" else None
        routes = {
            "ours": lambda t=t: jax.grad(lambda z: js.softmax_cross_entropy(z, t).sum())(z),
            "jax.nn.softmax - t": lambda t=t: jax.nn.softmax(z) - t,
            "jax.grad of the textbook loss": lambda t=t: jax.grad(textbook_loss)(z, t),
        }
        compare(f"y - t, {kind}", highprecision.residual(Z, T), routes, size)
    return out


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "error": "largest relative error at normal exact values; soft y - t relative to max(y, t)"
    }
    worst: dict[str, float] = {}
    for dtype in LIMIT:
        with jax.enable_x64(dtype == "float64"):
            for C in CLASSES:
                table = result[f"{dtype} C={C}"] = _measure(dtype, C)
                for quantity, routes in table.items():
                    key = f"{dtype} {quantity}"
                    worst[key] = max(worst.get(key, 0.0), routes["ours"]["units"])
    unit = "units of 4 eps (1 + log2 C)"
    result["targets"] = [harness.target(f"{key}, {unit}", value, 1.0) for key, value in worst.items()]
    return result

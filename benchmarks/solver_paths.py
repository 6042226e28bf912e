"""L-BFGS of optax, jaxopt and torch on one penalised softmax loss: (seconds, loss) after each step, within a budget.

Each gets the loss as its users would write it (log-softmax, gradients by autodiff) and is compiled, where it can be,
before its clock starts. Libraries that are not installed are left out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

Path = list[tuple[float, float]]


def _objective(
    X: np.ndarray, y: np.ndarray, C: int, alpha: float
) -> tuple[Callable[[jax.Array], jax.Array], jax.Array]:
    samples, labels = jnp.asarray(np.column_stack([X, np.ones(len(X), X.dtype)])), jnp.asarray(y)

    def loss(W: jax.Array) -> jax.Array:
        log_probabilities = jax.nn.log_softmax(samples @ W.T, axis=1)
        fit = -jnp.sum(jnp.take_along_axis(log_probabilities, labels[:, None], axis=1))
        return fit + 0.5 * alpha * jnp.sum(W[:, :-1] ** 2)

    return loss, jnp.zeros((C, samples.shape[1]), samples.dtype)


def _optax(X: np.ndarray, y: np.ndarray, C: int, alpha: float, budget: float) -> Path:
    import optax

    loss, W = _objective(X, y, C, alpha)
    method = optax.lbfgs(memory_size=20)
    value_and_grad = optax.value_and_grad_from_state(loss)

    @jax.jit
    def step(W, state):
        value, grad = value_and_grad(W, state=state)
        updates, state = method.update(grad, state, W, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(W, updates), state, value

    state = method.init(W)
    jax.block_until_ready(step(W, state))
    path, began = [], time.perf_counter()
    while (at := time.perf_counter() - began) < budget:
        W, state, value = step(W, state)
        path.append((at, float(value)))  # the loss that this step began with
    return path


def _jaxopt(X: np.ndarray, y: np.ndarray, C: int, alpha: float, budget: float) -> Path:
    import jaxopt

    loss, W = _objective(X, y, C, alpha)
    solver = jaxopt.LBFGS(loss, history_size=20, maxiter=10**6)
    step, state = jax.jit(solver.update), solver.init_state(W)
    jax.block_until_ready(step(W, state))
    path, began = [], time.perf_counter()
    while time.perf_counter() - began < budget:
        W, state = step(W, state)
        path.append((time.perf_counter() - began, float(state.value)))
    return path


def _torch(X: np.ndarray, y: np.ndarray, C: int, alpha: float, budget: float) -> Path:
    import torch  # pyright: ignore[reportMissingImports]

    samples, labels = torch.from_numpy(np.array(X)), torch.from_numpy(y.astype(np.int64))
    weights = torch.zeros(C, X.shape[1], dtype=samples.dtype, requires_grad=True)
    intercept = torch.zeros(C, dtype=samples.dtype, requires_grad=True)
    method = torch.optim.LBFGS(
        [weights, intercept],
        max_iter=10**6,
        max_eval=10**6,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )
    path, began = [], time.perf_counter()

    def closure():
        method.zero_grad()
        logits = torch.nn.functional.linear(samples, weights, intercept)
        loss = torch.nn.functional.cross_entropy(logits, labels, reduction="sum") + 0.5 * alpha * (weights**2).sum()
        loss.backward()
        at, value = time.perf_counter() - began, float(loss.detach())
        if not path or value < path[-1][1]:
            path.append((at, value))  # the least loss of all evaluations so far
        if at >= budget:
            raise TimeoutError
        return loss

    # One call for all steps: a call for each would begin the line search anew.
    with contextlib.suppress(TimeoutError):
        method.step(closure)
    return path


def paths(X: np.ndarray, y: np.ndarray, C: int, alpha: float, budget: float) -> dict[str, Path]:
    """Of each library that is installed; X (N, D) float64 without the intercept's column, which is not penalised."""
    found = {}
    for name, run in {"optax L-BFGS": _optax, "jaxopt L-BFGS": _jaxopt, "torch L-BFGS": _torch}.items():
        try:
            path = run(X, y, C, alpha, budget)
        except ImportError:
            continue
        if path:
            found[name] = path
            print(f"    {name}: {path[-1][0]:.1f} s, {len(path)} steps, loss {path[-1][1]:.10g}", flush=True)
    return found

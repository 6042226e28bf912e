"""Sparse X: js.fit of a SparseProblem beside scikit-learn's solvers at the loosest tolerances that get near enough.

N x 10^5 random entries, one in a thousand filled, five classes drawn from a sparse W with noise, L2 penalty 1, the
intercept free. Of each solver, js.fit in float64 too, the loosest tolerance that ends within a relative gap of 1e-6 is
found first; then all are run in turn. js.fit runs at its default too, which ends far below. "first" has the compilation
in it, "warm" is the median of the calls after it. Peak memory is of a process that makes the data and fits twice, less
what it had with the data made, over the bytes of X. `products` is what the choice of SciPy's products rests on.

    python -m benchmarks.sparse N D [float32]       # one size; prints the peak of its process as JSON
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse

import jaxsoftmax as js
from benchmarks import harness

SHAPES = ((10_000, 100_000), (100_000, 100_000))
DENSITY, CLASSES, ALPHA, NEAR = 1e-3, 5, 1.0, 1e-6
TOLERANCES = {
    "js.fit": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    "lbfgs": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8),
    "newton-cg": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    "saga": (1e-2, 1e-3, 1e-4, 1e-5),
}
MOST_STEPS = 2000
MOST_SECONDS = 45.0  # a solver that took so long and did not get there is given up
ROUNDS = 3


def data(N: int, D: int, seed: int = 0) -> tuple[Any, np.ndarray]:
    """X in CSR, float64, and labels that a W with one row in a hundred filled gives with noise."""
    rng = np.random.default_rng(seed)
    X = scipy.sparse.random(N, D, max(DENSITY, 5 / D), format="csr", rng=rng, data_rvs=rng.standard_normal)
    W = rng.standard_normal((D, CLASSES)) * (rng.random((D, 1)) < 0.01) * 3
    return X, np.argmax(X @ W + rng.gumbel(size=(N, CLASSES)), axis=1)


def problem_of(X: Any, y: np.ndarray, dtype: str) -> js.SparseProblem:
    return js.SparseProblem.from_labels(X, y, regularizer=js.L2(ALPHA), dtype=dtype)


def _loss(X: Any, y: np.ndarray, coef: np.ndarray, intercept: np.ndarray) -> float:
    Z = X @ np.ascontiguousarray(coef.T) + intercept
    Z -= Z.max(axis=1, keepdims=True)
    return float(np.sum(np.log(np.exp(Z).sum(axis=1)) - Z[np.arange(len(y)), y]) + ALPHA / 2 * np.sum(coef**2))


def _fits(N: int, D: int) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    X, y = data(N, D)
    ours = {dtype: problem_of(X, y, dtype) for dtype in ("float64", "float32")}
    began = time.perf_counter()
    best = js.fit(ours["float64"], tol=1e-13)
    minimum, found = best.loss, {}
    print(f"    minimum {minimum:.10g} in {time.perf_counter() - began:.2f} s", flush=True)

    def peer(solver: str, tol: float) -> Callable[[], float]:
        def call() -> float:
            model = LogisticRegression(C=1 / ALPHA, solver=solver, tol=tol, max_iter=MOST_STEPS).fit(X, y)
            return _loss(X, y, model.coef_, model.intercept_) / minimum - 1

        return call

    def own(dtype: str, tol: float | None = None) -> Callable[[], float]:
        def call() -> float:
            fit = js.fit(ours[dtype], tol=tol)
            said = {"status": fit.status.name, "converged": fit.converged, "q": fit.q_estimate, "steps": fit.steps}
            found[f"js.fit, {dtype}" if tol is None else f"js.fit, tol {tol:g}"] = said
            return fit.loss / minimum - 1

        return call

    calls = {f"js.fit, {dtype}": own(dtype) for dtype in ours}
    tried: dict[str, Any] = {}
    for solver, tolerances in TOLERANCES.items():
        for tol in tolerances:
            began = time.perf_counter()
            call = own("float64", tol) if solver == "js.fit" else peer(solver, tol)
            gap = call()
            spent = time.perf_counter() - began
            print(f"    {solver} {tol:g}: gap {gap:.1e}, {spent:.2f} s", flush=True)
            tried[f"{solver}, tol {tol:g}"] = {"gap": gap, "seconds": round(spent, 2)}
            if gap <= NEAR:
                calls[f"{solver}, tol {tol:g}"] = call
            if gap <= NEAR or spent > MOST_SECONDS:
                break
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    gaps: dict[str, float] = {}
    jax.clear_caches()
    for _ in range(ROUNDS):
        for name, call in calls.items():
            began = time.perf_counter()
            gaps[name] = call()
            seconds[name].append(time.perf_counter() - began)
    for name, spent in seconds.items():
        print(f"    {name}: {', '.join(f'{one:.3f}' for one in spent)} s, gap {gaps[name]:.1e}", flush=True)
    return {"tried once": tried} | {
        name: {"first_s": round(spent[0], 4), "warm_s": round(statistics.median(spent[1:]), 4), "gap": gaps[name]}
        | found.get(name, {})
        for name, spent in seconds.items()
    }


def _products(N: int, D: int) -> dict[str, Any]:
    """Nanoseconds an entry of X Wᵀ and GᵀX, float64: SciPy, and what XLA compiles."""
    from jax.experimental import sparse

    X, _ = data(N, D)
    rng = np.random.default_rng(1)
    V, G = rng.standard_normal((D, CLASSES)), rng.standard_normal((N, CLASSES))
    values, places = jnp.asarray(X.data), jnp.asarray(X.indices)
    owners = jnp.asarray(np.repeat(np.arange(N, dtype=np.int32), np.diff(X.indptr)))
    columns, wide, coo = jnp.asarray(V), jnp.asarray(G), sparse.BCOO.from_scipy_sparse(X)
    csr = sparse.BCSR.from_scipy_sparse(X)

    @jax.jit
    def segments(values: Any, places: Any, owners: Any, V: Any) -> Any:
        return jax.ops.segment_sum(values[:, None] * V[places], owners, N, indices_are_sorted=True)

    product, transposed = jax.jit(lambda A, V: A @ V), jax.jit(lambda A, G: A.T @ G)
    calls = {
        "SciPy, X W": lambda: X @ V,
        "SciPy, X.T G": lambda: X.T @ G,
        "sorted segment sums, X W": lambda: segments(values, places, owners, columns),
        "BCOO, X W": lambda: product(coo, columns),
        "BCOO, X.T G": lambda: transposed(coo, wide),
        "BCSR, X W": lambda: product(csr, columns),
    }
    times = harness.interleaved(calls, 5, warm=1)
    return {name: round(time["median_ms"] * 1e6 / X.nnz, 2) for name, time in times.items()}


def _peak_bytes() -> int:
    """The most memory that this process has had; Linux counts it in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def peak(N: int, D: int, dtype: str) -> dict[str, Any]:
    """Peak memory of two fits beyond the data, in this process, over the bytes of X in CSR."""
    with jax.enable_x64(True):
        few, labels = data(200, 1000)
        js.fit(problem_of(few, labels, dtype))  # what JAX and its compiler take is not X's
        X, y = data(N, D)
        size = X.data.nbytes + X.indices.nbytes + X.indptr.nbytes
        ballast = np.ones(max(0, _peak_bytes() - _resident_bytes()) // 8)  # the data's making took more than they do
        before = _peak_bytes()
        problem = problem_of(X, y, dtype)
        for _ in range(2):
            js.fit(problem)
        return {"over the bytes of X": round((_peak_bytes() - before) / size, 3), "ballast_mb": ballast.nbytes / 1e6}


def _resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak_apart(N: int, D: int, dtype: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.sparse", str(N), str(D), dtype]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def run(options: Any, shapes: tuple[tuple[int, int], ...] = SHAPES) -> dict[str, Any]:
    found: dict[str, Any] = {}
    targets = []
    with jax.enable_x64(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of solvers that do not get there
        for N, D in shapes:
            name = f"{N:,} x {D:,}"
            print(f"  {name}", flush=True)
            times = _fits(N, D)
            memory = {dtype: _peak_apart(N, D, dtype) for dtype in ("float64", "float32")}
            found[name] = {"fits": times, "memory": memory}
            warm = {solver: one["warm_s"] for solver, one in times.items() if "warm_s" in one}
            best = min((spent for solver, spent in warm.items() if "js." not in solver), default=float("inf"))
            ours = {solver: spent for solver, spent in warm.items() if solver.startswith("js.fit")}
            for solver, spent in ours.items():
                targets.append(harness.target(f"{name}: {solver} over scikit-learn's best", round(spent / best, 3), 1))
            most = memory["float64"]["over the bytes of X"]
            targets.append(harness.target(f"{name}: memory beyond the data over the bytes of X", most, 2))
        found["products, ns an entry"] = _products(*shapes[0])
    return found | {"targets": targets}


if __name__ == "__main__":
    print(json.dumps(peak(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "float64")))

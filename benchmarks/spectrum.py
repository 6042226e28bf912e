"""The convexity probe: lambda_min against dense eigh and beside SciPy, planted refutations, MNIST at its minimiser.

JAXSOFTMAX_MNIST_W names a file of weights for MNIST (numpy.save), which saves fitting them.
"""

from __future__ import annotations

import os
import pathlib
import time
import warnings
from typing import Any

import jax
import numpy as np
import scipy.sparse.linalg

import jaxsoftmax as js
from benchmarks import data, harness
from jaxsoftmax.evidence.spectrum.preconditioner import class_block_preconditioner
from jaxsoftmax.linalg.davidson import smallest_pairs

# 100 planted eigenvalues: 25 relative sizes in four places of the spectrum.
RELATIVE = 10.0 ** -np.linspace(2, 6, 25)
PLACES = 4


def _wine() -> js.Problem:
    from sklearn.datasets import load_wine

    raw: Any = load_wine()
    return js.Problem.from_labels(raw.data, raw.target, label_smoothing="0.01", dtype="float64")


def _dense_comparison(problem: js.Problem) -> dict[str, Any]:
    """Both methods at the minimiser against eigh of the dense H on the complement of the kernel."""
    fit = js.fit(problem, "newton")
    W = np.asarray(fit.W)
    kern = js.null_space(problem)
    basis = kern.complement_basis()
    exact = np.linalg.eigvalsh(basis.T @ np.asarray(js.hessian(W, problem).to_dense()) @ basis)
    rows: dict[str, Any] = {"eigh": {"lambda_min": float(exact[0]), "lambda_max": float(exact[-1])}}
    for method in ("dense", "matrix-free"):
        js.probe_convexity(problem, W, method=method)  # compiles
        probe = js.probe_convexity(problem, W, method=method)
        rows[method] = _row(probe) | {
            "lambda_min_error": abs(probe.lambda_min / float(exact[0]) - 1),
            "lambda_max_error": abs(probe.lambda_max / float(exact[-1]) - 1),
        }
    rows["lambda_min alone"] = _peers(problem, W, kern, float(exact[0]))
    return {"status": fit.status.name, "gradient_norm": float(fit.gradient_norm), **rows}


def _row(probe: Any) -> dict[str, Any]:
    names = ("lambda_min", "lambda_min_bound", "lambda_max", "lambda_max_bound", "kernel_dim", "kernel_dim_predicted")
    names += ("rank", "residual_min_estimate", "residual_max_estimate", "resolution", "products", "seconds")
    return {name: getattr(probe, name) for name in names} | {"verdict": probe.verdict.value, "resolved": probe.resolved}


def _peers(problem: js.Problem, W: np.ndarray, kern: Any, exact: float) -> dict[str, Any]:
    """SciPy's lobpcg and our Davidson with one preconditioner, SciPy told lambda_min/100 as its residual; products."""
    H = js.hessian(W, problem)
    precondition = class_block_preconditioner(H, kern)
    counted = [0]

    def apply(V: np.ndarray) -> np.ndarray:
        V = V.reshape(H.shape[0], -1)
        counted[0] += V.shape[1]
        return precondition.project(np.asarray(H @ jax.numpy.asarray(V)))

    start = precondition.project(np.random.default_rng(0).standard_normal((H.shape[0], 4)))
    pairs = smallest_pairs(apply, start, precondition=precondition, project=precondition.project)
    rows = {"davidson": (float(pairs.values[0]), counted[0])}
    counted[0] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values = scipy.sparse.linalg.lobpcg(
            apply, start, M=lambda R: precondition(R.reshape(H.shape[0], -1)), tol=1e-2 * exact, maxiter=60,
            largest=False,
        )[0]  # fmt: skip
    rows["scipy lobpcg"] = (float(np.min(values)), counted[0])
    return {name: {"lambda_min_error": abs(value / exact - 1), "products": n} for name, (value, n) in rows.items()}


def _synthetic(condition: float, n: int = 400) -> dict[str, Any]:
    """A spectrum in geometric progression, no preconditioner."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A = (Q * np.geomspace(1 / condition, 1, n)) @ Q.T
    A = (A + A.T) / 2
    rows = {}
    for name, limit in (("dense", n), ("matrix-free", 1)):
        probe = js.probe_operator(lambda v: A @ v, n, dense_limit=limit)
        error = abs(probe.lambda_min * condition - 1)
        rows[name] = {"lambda_min_error": error, "products": probe.products, "verdict": probe.verdict.value}
    return rows


def _planted(problem: js.Problem) -> dict[str, Any]:
    """H minus (lambda_i + delta lambda_max) v_i v_i': how many of 100 are refuted with a witness that holds."""
    W = np.asarray(js.fit(problem, "newton").W)
    H, kern = js.hessian(W, problem), js.null_space(problem)
    precondition = class_block_preconditioner(H, kern)
    dense, basis = np.asarray(H.to_dense()), kern.basis()
    values, vectors = np.linalg.eigh((dense + dense.T) / 2)
    rng = np.random.default_rng(1)
    found = {"dense": 0, "matrix-free": 0}
    worst = 0.0
    for relative in RELATIVE:
        for _ in range(PLACES):
            i = int(rng.integers(kern.dim, len(values)))
            v, size = vectors[:, i], values[i] + relative * values[-1]

            def matvec(u: np.ndarray, v: np.ndarray = v, size: float = size) -> np.ndarray:
                return dense @ u - size * v * (v @ u)

            for name, limit in (("dense", len(values)), ("matrix-free", 1)):
                probe = js.probe_operator(
                    matvec, len(values), kernel_basis=basis, dense_limit=limit,
                    precondition=lambda r: precondition(r[:, None])[:, 0],
                )  # fmt: skip
                w = probe.witness
                if probe.verdict.value == "REFUTED" and w is not None and w @ matvec(w) < 0:
                    found[name] += 1
                    worst = max(worst, abs(probe.lambda_min / (-relative * values[-1]) - 1))
    return {"of": len(RELATIVE) * PLACES, **found, "largest_relative_error_of_the_planted_value": worst}


def _inverse_iteration(problem: js.Problem, W: np.ndarray) -> float:
    """lambda_min another way: conjugate gradients on H with the same factors, three inverse iterations to 1e-10."""
    H = js.hessian(W, problem)
    precondition = class_block_preconditioner(H, js.null_space(problem))
    rng = np.random.default_rng(3)
    v = precondition(rng.standard_normal((H.shape[0], 1)))

    def apply(V: np.ndarray) -> np.ndarray:
        return precondition.project(np.asarray(H @ jax.numpy.asarray(V)))

    for _ in range(5):
        v = v / np.linalg.norm(v)
        x, r = np.zeros_like(v), v.copy()
        z = precondition(r)
        p, rz = z, float((r * z).sum())
        first = rz
        for _ in range(60):
            q = apply(p)
            a = rz / float((p * q).sum())
            x, r = x + a * p, r - a * q
            z = precondition(r)
            after = float((r * z).sum())
            if after <= 1e-16 * first:
                break
            p, rz = z + after / rz * p, after
        v = x
    V = jax.numpy.asarray((v / np.linalg.norm(v)).reshape(W.shape))
    return float(H.quadratic_form(V))


def _mnist(options: Any) -> dict[str, Any]:
    """60,000 images at the minimiser: one call, compilation within; a second estimate by inverse iteration."""
    pixels, labels, source = data.mnist(options.mnist)
    problem = js.Problem.from_labels(pixels.astype(np.float64), labels, label_smoothing="0.01", dtype="float64")
    stored = os.environ.get("JAXSOFTMAX_MNIST_W")
    if stored and pathlib.Path(stored).is_file():
        W, how = np.load(stored), "weights given"
    else:
        fit = js.fit(problem, "newton-cg")
        W, how = np.asarray(fit.W), f"js.fit newton-cg: {fit.status.name}"
    gradient = float(np.linalg.norm(js.gradient(W, problem)))
    begin, cpu = time.perf_counter(), time.process_time()
    probe = js.probe_convexity(problem, W, progress=lambda line: print(f"    {line}", flush=True))
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    live = int(np.any(np.asarray(problem.X) != 0, axis=0).sum())
    predicted = problem.D + (problem.C - 1) * (problem.D - probe.rank)
    again = _inverse_iteration(problem, W)
    return {
        "data": source,
        "minimiser": how,
        "gradient_norm": gradient,
        "live_columns": live,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "kernel_by_the_formula_of_S6": predicted,
        "lambda_min_by_inverse_iteration": again,
        "lambda_min_difference": abs(probe.lambda_min / again - 1),
        "probe": _row(probe),
    }


def run(options: Any) -> dict[str, Any]:
    with jax.enable_x64(True):
        digits, wine = data.digits("float64"), _wine()
        result: dict[str, Any] = {
            "digits, smoothing 0.01": _dense_comparison(digits),
            "wine, raw scale, smoothing 0.01": _dense_comparison(wine),
            "synthetic": {f"condition {c:g}": _synthetic(c) for c in (1e4, 1e7, 1e10)},
            "planted": _planted(wine),
            "mnist": _mnist(options),
        }
    targets = []
    for name in ("digits, smoothing 0.01", "wine, raw scale, smoothing 0.01"):
        for method in ("dense", "matrix-free"):
            error = result[name][method]["lambda_min_error"]
            targets.append(harness.target(f"{name}, {method}: error of lambda_min", error, 0.01))
    for name, rows in result["synthetic"].items():
        for method, row in rows.items():
            what = f"synthetic, {name}, {method}: error of lambda_min"
            targets.append(harness.target(what, row["lambda_min_error"], 0.01))
    for method in ("dense", "matrix-free"):
        what = f"planted refutations found, {method}"
        targets.append(harness.target(what, result["planted"][method], 100, at_least=True))
    mnist = result["mnist"]
    probe = mnist["probe"]
    largest = probe["residual_max_estimate"] / probe["lambda_max"]
    missing = abs(mnist["kernel_by_the_formula_of_S6"] - probe["kernel_dim"])
    targets += [
        harness.target("mnist: seconds of the probe", mnist["seconds"], 120),
        harness.target("mnist: residual of lambda_max, relative", largest, 5e-7),
        harness.target("mnist: lambda_min against inverse iteration", mnist["lambda_min_difference"], 0.01),
        harness.target("mnist: lambda_min resolved", float(probe["resolved"]), 1, at_least=True),
        harness.target("mnist: kernel dimension found minus S6's", missing, 0),
    ]
    return {**result, "targets": targets}

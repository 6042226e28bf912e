"""js.decide_existence: verdicts, each verified by the checker, with both times, beside scikit-learn and statsmodels."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import data, harness
from jaxsoftmax.proof.checkers import check_existence

IRIS_INFIMUM = (
    5.949273395679  # the minimum for versicolor and virginica alone (tests/proof/existence/test_real_data.py)
)


class Row(NamedTuple):
    """A data set of the table: what is asked of it, and of the machine.

    load: (pixels and labels of MNIST or None) -> (X, labels); verdict: status, type, face_maximal;
    decide, check: seconds allowed; big: few repetitions, no warm-up call and scikit-learn's default 100 steps.
    """

    load: Callable[[Any], tuple[np.ndarray, np.ndarray]]
    verdict: tuple[str, str, bool | None]
    decide: float
    check: float
    decimal: bool = False
    label_smoothing: str | None = None
    budget: float = 60.0
    big: bool = False
    mnist: int = 0  # images taken from MNIST; the checker then reads IDX files
    dump: bool = False  # MNIST's images changed: the checker reads a dump


def _sklearn_data(name: str) -> Callable[[Any], tuple[np.ndarray, np.ndarray]]:
    def load(_: Any) -> tuple[np.ndarray, np.ndarray]:
        from sklearn import datasets

        raw = getattr(datasets, f"load_{name}")()
        return raw.data, raw.target

    return load


def _spector(_: Any) -> tuple[np.ndarray, np.ndarray]:
    import statsmodels.api as sm

    raw = sm.datasets.spector.load()
    return np.asarray(raw.exog, np.float64), np.asarray(raw.endog).astype(int)


def overlap(_: Any) -> tuple[np.ndarray, np.ndarray]:
    """2000 normal samples of 20 features, labels of 5 classes drawn from a softmax of moderate logits."""
    rng = np.random.default_rng(0)
    X, W = rng.standard_normal((2000, 20)), rng.standard_normal((5, 20)) / np.sqrt(20)
    return X, np.argmax(X @ W.T + rng.gumbel(size=(2000, 5)), axis=1)


def _images(mnist: Any) -> tuple[np.ndarray, np.ndarray]:
    return mnist


def components(mnist: Any) -> tuple[np.ndarray, np.ndarray]:
    """The 20 principal components of the pixels, as floats come out of the product."""
    pixels, labels = mnist
    X = pixels.astype(np.float64)
    X -= X.mean(axis=0)
    return X @ np.linalg.eigh(X.T @ X)[1][:, :-21:-1], labels


COMPLETE, QUASI = ("NOT_ATTAINED", "complete", None), ("NOT_ATTAINED", "quasi-complete", True)
ATTAINED = ("ATTAINED", "none", None)
ROWS = {
    "iris": Row(_sklearn_data("iris"), QUASI, 0.2, 0.05),
    "iris, decimal": Row(_sklearn_data("iris"), QUASI, 0.2, 0.05, decimal=True),
    "wine": Row(_sklearn_data("wine"), COMPLETE, 0.3, 0.1),
    "wine, decimal": Row(_sklearn_data("wine"), COMPLETE, 0.3, 0.1, decimal=True),
    "breast_cancer": Row(_sklearn_data("breast_cancer"), COMPLETE, 0.3, 0.1),
    "breast_cancer, decimal": Row(_sklearn_data("breast_cancer"), COMPLETE, 0.3, 0.1, decimal=True),
    "digits": Row(_sklearn_data("digits"), COMPLETE, 0.5, 0.3),
    "digits, smoothed 0.01": Row(_sklearn_data("digits"), ATTAINED, 0.5, 0.3, label_smoothing="0.01"),
    "anes96": Row(lambda _: data.anes96(), ATTAINED, 0.3, 0.1),
    "spector": Row(_spector, ATTAINED, 0.3, 0.1),
    "overlap, 2000 x 20, 5 classes": Row(overlap, ATTAINED, 0.5, 0.3),
    "MNIST, first 2,000": Row(_images, COMPLETE, 2, 2, big=True, mnist=2_000),
    "MNIST, first 10,000": Row(_images, COMPLETE, 10, 6, big=True, mnist=10_000),
    "MNIST, budget 1 s": Row(_images, ("NOT_ATTAINED", "open", None), 1, 30, budget=1.0, big=True, mnist=60_000),
    "MNIST": Row(_images, ("NOT_ATTAINED", "quasi-complete", False), 60, 30, big=True, mnist=60_000),
    "MNIST, smoothed 0.01": Row(_images, ATTAINED, 10, 10, label_smoothing="0.01", big=True, mnist=60_000),
    "MNIST, 20 components": Row(components, ATTAINED, 10, 10, big=True, mnist=60_000, dump=True),
}


def pixels(folder: pathlib.Path | str, images: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of MNIST as rows of 784 bytes, and their labels."""
    from jaxsoftmax.readers.read_table import read_table

    read = read_table(pathlib.Path(folder) / "train-images-idx3-ubyte.gz")
    return read.X[:images].astype(np.uint8), read.y[:images]


def _write_idx(folder: pathlib.Path, X: np.ndarray, y: np.ndarray) -> pathlib.Path:
    """The images and the labels as IDX files; the path of the images."""
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    shape = np.array([len(X), 28, 28], ">i4").tobytes()
    images.write_bytes(bytes([0, 0, 8, 3]) + shape + X.tobytes())
    labels.write_bytes(bytes([0, 0, 8, 1]) + shape[:4] + y.astype(np.uint8).tobytes())
    return images


def prepared(row: Row, X: np.ndarray, y: np.ndarray, folder: pathlib.Path) -> tuple[js.Problem, pathlib.Path]:
    """The Problem of a row's data, to be built where 64-bit types are on, and the file that the checker reads."""
    dtype = "float32" if row.mnist and not row.dump else "float64"  # bytes are exact in either
    problem = js.Problem.from_labels(X, y, label_smoothing=row.label_smoothing or 0, dtype=dtype)
    if row.mnist and not row.dump:
        return problem, _write_idx(folder, X, y)
    problem.dump(folder / "data.txt", decimal=row.decimal)
    return problem, folder / "data.txt"


def measure(name: str, options: Any) -> dict[str, Any]:
    """A row of the table."""
    row = ROWS[name]
    X, y = row.load(pixels(options.mnist, row.mnist) if row.mnist else None)
    with jax.enable_x64(True), tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        problem, file = prepared(row, X, y, folder)
        verdicts: list[js.ExistenceVerdict] = []
        checked: list[check_existence.Verdict] = []

        def decide() -> None:
            verdicts[:] = [js.decide_existence(problem, budget=row.budget, decimal=row.decimal)]

        def check() -> None:
            checked[:] = [check_existence.check(folder / "cert.json", file)]

        few = {"warm": 0, "least": 1 if row.decide > 10 else 3, "seconds": 40.0}
        more = few if row.big else {"warm": 2, "least": 5, "seconds": 10.0}
        times = harness.interleaved({"decide": decide}, options.repeats, **more)
        verdict = verdicts[0]
        verdict.save(folder / "cert.json")
        times |= harness.interleaved({"check": check}, options.repeats, **more)
        process = _process(folder / "cert.json", file)
        said = (verdict.status.name, verdict.type, verdict.face_maximal)
        right = said == (checked[0].status, checked[0].type, checked[0].face_maximal)
        entries = verdict.direction_entries()
        result: dict[str, Any] = {
            "shape": [problem.N, problem.D, problem.C],
            "status": verdict.status.name,
            "type": verdict.type,
            "face_maximal": verdict.face_maximal,
            "infimum_estimate": verdict.infimum_estimate,
            "proof": verdict.proof,
            "reason": verdict.reason,
            "verified": right and process["exit_status"] == 0,
            "as_expected": said == row.verdict,
            "entries_of_V": len(entries),
            "separated_pairs": None if verdict.separated is None else int(verdict.separated.sum()),
            "rows_of_G": sum(len(block.rows) for block in verdict.multipliers.blocks) if verdict.multipliers else 0,
            "certificate_bytes": (folder / "cert.json").stat().st_size,
            "data_file": file.name,
            "stages_s": {stage: round(seconds, 4) for stage, seconds in verdict.stages},
            "decide": times["decide"],
            "check": times["check"],
            "check as a process, Python's start included": process,
        }
    result["peers"] = _peers(row, X, y)
    return result


def _process(certificate: pathlib.Path, file: pathlib.Path) -> dict[str, Any]:
    """Check_existence.py in a process without the installed packages: exit status and seconds."""
    module = importlib.util.find_spec("jaxsoftmax.proof.checkers.check_existence")
    assert module is not None and module.origin is not None
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-I", "-S", module.origin, certificate, file], capture_output=True)
    return {"exit_status": done.returncode, "seconds": round(time.perf_counter() - began, 3)}


def _peers(row: Row, X: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """What two libraries say on the same data without a penalty, and how long they take to say it."""
    if row.label_smoothing:
        return {"left out": "neither takes probability targets"}
    if row.decimal or row.budget < 60:
        return {"left out": "as in the row of the same data"}
    X = np.asarray(X, np.float64)
    asked: dict[str, Callable[[], dict[str, Any]]] = {"scikit-learn lbfgs": lambda: _sklearn(X, y, row.big)}
    if X.shape[1] * (y.max() + 1) < 500:
        asked["statsmodels newton"] = lambda: _statsmodels(X, y, "newton", 35)
    if X.shape[1] * (y.max() + 1) < 2000:
        asked["statsmodels lbfgs"] = lambda: _statsmodels(X, y, "lbfgs", 500)
    said: dict[str, Any] = {}
    for name, ask in asked.items():
        seconds = []
        for _ in range(1 if row.big else 3):
            began = time.perf_counter()
            said[name] = ask()
            seconds.append(time.perf_counter() - began)
        said[name]["seconds"] = round(min(seconds), 4)
    return said


def _sklearn(X: np.ndarray, y: np.ndarray, big: bool) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=np.inf, max_iter=100 if big else 10_000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    said = not [w for w in caught if w.category.__name__ == "ConvergenceWarning"]
    W = np.column_stack([model.coef_, model.intercept_])
    W = np.vstack([np.zeros_like(W), W]) if len(W) == 1 else W
    return {"says_converged": said, "steps": int(model.n_iter_[0]), "norm": float(np.linalg.norm(W - W.mean(axis=0)))}


def _statsmodels(X: np.ndarray, y: np.ndarray, method: str, steps: int) -> dict[str, Any]:
    import statsmodels.api as sm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = sm.MNLogit(y, sm.add_constant(X, has_constant="add"))
            result = model.fit(method=method, maxiter=steps, disp=0)
        except np.linalg.LinAlgError as error:
            return {"says_converged": False, "error": f"LinAlgError: {error}"}
    W = np.column_stack([np.zeros(X.shape[1] + 1), np.asarray(result.params)])
    norm = float(np.linalg.norm(W - W.mean(axis=1, keepdims=True)))
    said = bool(result.mle_retvals["converged"])
    return {"says_converged": said, "norm": norm} if np.isfinite(norm) else {"says_converged": said, "weights": "NaN"}


def run(options: Any) -> dict[str, Any]:
    result: dict[str, Any] = {
        "settings": "decide reads the data exactly and decides; check reads the files and decides; both after warm-up "
        "calls, except for MNIST (where nothing is compiled). Peers: tol and solver by default; max_iter 10,000 for "
        "scikit-learn (MNIST: the default 100), 500 for statsmodels lbfgs. Norms of centred weights. statsmodels is "
        "left out where the dense Hessian that it inverts is too large."
    }
    targets = []
    for name, row in ROWS.items():
        if row.mnist and options.mnist is None:
            result[name] = "left out: MNIST is not here"
            continue
        print(f"  {name} …", flush=True)
        result[name] = found = measure(name, options)
        for what, limit in (("decide", row.decide), ("check", row.check)):
            targets.append(harness.target(f"{name}: {what}, median s", found[what]["median_ms"] / 1e3, limit))
    rows = [found for found in result.values() if isinstance(found, dict)]
    targets.append(harness.target("verdicts that the checker did not verify", sum(not r["verified"] for r in rows), 0))
    targets.append(harness.target("verdicts other than the issue's", sum(not r["as_expected"] for r in rows), 0))
    off = abs(result["iris"]["infimum_estimate"] - IRIS_INFIMUM)
    targets.append(harness.target("iris: face minimum, distance from 5.949273395679", off, 1e-11))
    return result | {"targets": targets}

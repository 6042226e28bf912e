"""js.certify: proved digits of the minimum, seconds, peak memory, certificate and check, beside what peers report.

A row takes four processes, so that no time and no peak holds another's: training, making (from the weights of the
training), checking (check_minimiser.py from the file and a dump of the data), and the peers.

    python -m benchmarks certify [--mnist DIR]                       every row
    python -m benchmarks.certify [--mnist DIR] "MNIST, 10,000" …     these, put among the rows that were measured before
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import data, harness

SMOOTHING = "0.01"
CHECKER = "jaxsoftmax.proof.checkers.check_minimiser"


class Row(NamedTuple):
    """A row of the issue's table: the digits asked for, and what may be spent (None: no figure was set).

    images: taken from MNIST; 0: the row needs none.
    minimum: L* to the digits known before.
    files: X holds the pixels as they are, and the checker reads the files of MNIST; else pixel/256 and a dump. With no
        penalty the minimum is the same.
    """

    digits: int
    make: float | None
    peak: float | None
    size: float | None
    check: float | None
    images: int = 0
    minimum: str = ""
    files: bool = False


ANES96, DIGITS, MNIST = "1461.92274724814609569", "220.66032111114930", "18279.7977361018944653263"
ROWS = {
    "anes96": Row(70, 2, None, 30, 1, minimum=ANES96),
    "digits": Row(50, 5, 1, 40, 2, minimum=DIGITS),
    "anes96, 200 digits": Row(200, None, None, None, None, minimum=ANES96),
    "digits, 200 digits": Row(200, None, None, None, None, minimum=DIGITS),
    "MNIST, 10,000": Row(45, 60, 1.5, 300, 60, images=10_000),
    "MNIST, 60,000": Row(50, 240, 3, 300, 180, images=60_000, minimum=MNIST),
    "MNIST, 60,000, its files": Row(50, 240, 3, 300, 180, images=60_000, minimum=MNIST, files=True),
}


def problem_of(name: str, mnist: pathlib.Path | None) -> tuple[js.Problem, np.ndarray, np.ndarray]:
    """(problem, X, labels) of a row; X in float64, exactly what the issue says."""
    row = ROWS[name]
    if name.startswith("anes96"):
        X, y = data.anes96()
        return js.Problem.from_labels(X, y), X, y
    if name.startswith("digits"):
        raw = js.datasets.load_digits()
        X, y = np.asarray(raw.X, np.float64) / 16, np.asarray(raw.y)
    else:
        from jaxsoftmax.readers.read_table import read_table

        assert mnist is not None
        read = read_table(mnist / "train-images-idx3-ubyte.gz")
        pixels, y = read.X[: row.images], np.asarray(read.y[: row.images])
        X = pixels.astype(np.uint8) if row.files else np.asarray(pixels, np.float64) / 256
    return js.Problem.from_labels(X, y, label_smoothing=SMOOTHING, dtype="float64"), X, y


# ── the processes of a row ──
def train(name: str, mnist: pathlib.Path | None, folder: pathlib.Path) -> dict[str, Any]:
    """js.fit at its defaults; the weights go to a file."""
    problem, *_ = problem_of(name, mnist)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = js.fit(problem)
    seconds = time.perf_counter() - began
    np.save(folder / "W.npy", np.asarray(fit.W))
    return {
        "shape": [problem.N, problem.D, problem.C],
        "train_s": round(seconds, 3),  # with compilation
        "train_method": fit.method,
        "train_status": fit.status.name,
        "train_peak_gb": peak_gb(),
    }


def make(name: str, mnist: pathlib.Path | None, folder: pathlib.Path) -> dict[str, Any]:
    """js.certify from trained weights: the first call of a process, then more calls where they are short."""
    problem, *_ = problem_of(name, mnist)
    W, row = np.load(folder / "W.npy"), ROWS[name]
    before, seconds = peak_gb(), []
    phases: list[tuple[str, float]] = []
    began = time.perf_counter()

    def told(what: str) -> None:
        phases.append((what, round(time.perf_counter() - began, 2)))

    certificate = js.certify(problem, W, digits=row.digits, progress=told)
    seconds.append(time.perf_counter() - began)
    peak = peak_gb()
    for _ in range(0 if row.images else 5):
        again = time.perf_counter()
        js.certify(problem, W, digits=row.digits)
        seconds.append(time.perf_counter() - again)
    certificate.save(folder / "certificate.json")
    if not row.files:
        problem.dump(folder / "data.txt")
    return certificate.to_dict() | {
        "make_s": round(seconds[0], 3),
        "make_again_s": round(statistics.median(seconds[1:]), 3) if seconds[1:] else None,
        "make_peak_gb": peak,
        "peak_before_gb": before,  # JAX and the data
        "certificate_kb": round((folder / "certificate.json").stat().st_size / 1000, 2),
        "steps": certificate.proof.steps,
        "least_weight_digits": int(certificate.weight_digits()[:, certificate.proof.data.columns].min()),
        "phases_s": dict(phases) if row.images else {},
    }


def check(folder: pathlib.Path, file: pathlib.Path) -> dict[str, Any]:
    """Check_minimiser.py in a process of its own, without environment or jaxsoftmax: seconds from start to end."""
    spec = importlib.util.find_spec(CHECKER)
    assert spec is not None and spec.origin is not None
    script = pathlib.Path(spec.origin)
    # The same as `python check_minimiser.py CERTIFICATE DATA`, then what it imported and its peak.
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import check_minimiser as c; status = c.main(sys.argv[2:]); "
        "ours = sorted({'jaxsoftmax', 'jax', 'numpy'} & set(sys.modules)); import json, resource; "
        "words = open('/proc/self/status').read().split() if sys.platform == 'linux' else []; "
        "peak = int(words[words.index('VmHWM:') + 1]) if words else resource.getrusage(resource.RUSAGE_SELF)[2]; "
        "sys.stderr.write('\\n' + json.dumps([ours, peak])); sys.exit(status)"
    )
    command = [sys.executable, "-s", "-E", "-c", program, script.parent, folder / "certificate.json"]
    began = time.perf_counter()
    done = subprocess.run([*command, file], capture_output=True, text=True)
    seconds = time.perf_counter() - began
    *said, last = done.stderr.splitlines()
    imported, peak = json.loads(last)
    assert not imported, imported
    return {
        "check_s": round(seconds, 3),  # Python's start included
        "check_peak_gb": round(peak * _MAXRSS_BYTES / 1e9, 3),
        "check_exit": done.returncode,
        "check_error": " ".join(said).strip() or None,
        "data_file_mb": round(file.stat().st_size / 1e6, 2),
    }


_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


def peak_gb() -> float:
    """The most memory this process has held, in 10⁹ bytes."""
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        # Unlike ru_maxrss it starts anew at exec: nothing of the process that started this one is in it.
        words = status.read_text().split()
        return round(int(words[words.index("VmHWM:") + 1]) * 1024 / 1e9, 3)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES / 1e9, 3)


def peers(name: str, mnist: pathlib.Path | None, folder: pathlib.Path) -> dict[str, Any]:
    """What scikit-learn and statsmodels report as the minimum of the same problem, less the proved one."""
    row = ROWS[name]
    if row.digits == 200 or row.images > 10_000:
        why = (
            "as in the row of the same data"
            if row.digits == 200 or row.files
            else "ten weighted copies of 60,000 images: 4 GB"
        )
        return {"peers": {"left out": why}}
    problem, X, y = problem_of(name, mnist)
    made = json.loads((folder / "make.json").read_text())
    asked: dict[str, Callable[[], tuple[float, bool, np.ndarray]]] = {}
    for solver, tol in (("lbfgs", None), ("lbfgs", 1e-10), ("newton-cg", None), ("newton-cg", 1e-10)):
        # Soft targets make C weighted copies of each sample: tight tolerances then cost many minutes.
        if name == "anes96" or (tol is None and (solver == "lbfgs" or not row.images)):
            label = f"scikit-learn {solver}, " + ("default tol" if tol is None else f"tol {tol:g}")
            asked[label] = lambda s=solver, t=tol: _sklearn(X, np.asarray(problem.T), s, t, 200 if row.images else 2000)
    if name == "anes96":
        for method in ("newton", "bfgs", "lbfgs"):
            asked[f"statsmodels {method}"] = lambda m=method: _statsmodels(X, y, m)
    found: dict[str, Any] = {}
    for label, ask in asked.items():
        began = time.perf_counter()
        reported, said, W = ask()
        found[label] = {
            "reported_minimum": reported,
            "reported_less_proved": difference(reported, made["loss_lower"], made["loss_upper"]),
            "says_converged": said,
            "seconds": round(time.perf_counter() - began, 3),
        }
        if not row.images:
            from jaxsoftmax.evidence.crosscheck import high_precision as highprecision

            exact = highprecision.loss(W, problem).mid().str(45, radius=False)
            found[label]["loss_at_its_weights_less_proved"] = difference(exact, made["loss_lower"], made["loss_upper"])
    return {"peers": found}


def difference(value: Any, lower: str, upper: str) -> float:
    """Of a number from an interval, with its sign; 0 inside."""
    with localcontext() as context:
        context.prec = 400
        x, low, high = Decimal(value), Decimal(lower), Decimal(upper)
        return float(min(x - low, Decimal(0)) + max(x - high, Decimal(0)))


def _sklearn(X: np.ndarray, T: np.ndarray, solver: str, tol: float | None, most: int) -> tuple[float, bool, np.ndarray]:
    """(log_loss summed, says converged, weights): soft targets become weighted copies of each sample."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    C = T.shape[1]
    keep = np.flatnonzero(T.ravel())
    labels, weights = keep % C, T.ravel()[keep]
    more: dict[str, Any] = {} if tol is None else {"tol": tol}
    model = LogisticRegression(C=np.inf, solver=solver, max_iter=most, **more)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X[keep // C], labels, weights)
    said = not [w for w in caught if w.category.__name__ in ("ConvergenceWarning", "LineSearchWarning")]
    P = model.predict_proba(X)[keep // C]
    reported = float(log_loss(labels, P, normalize=False, sample_weight=weights, labels=model.classes_))
    return reported, said, np.column_stack([model.coef_, model.intercept_])


def _statsmodels(X: np.ndarray, y: np.ndarray, method: str) -> tuple[float, bool, np.ndarray]:
    """(−llf, says converged, weights, class 0 the reference)."""
    import statsmodels.api as sm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = sm.MNLogit(y, np.column_stack([X, np.ones(len(X))])).fit(method=method, maxiter=2000, disp=0)
    W = np.vstack([np.zeros(X.shape[1] + 1), np.asarray(result.params).T])
    return -float(result.llf), bool(result.mle_retvals["converged"]), W


# ── the table ──
def measure(name: str, mnist: pathlib.Path | None) -> dict[str, Any]:
    """A row of the table, its processes one after the other."""
    found: dict[str, Any] = {"machine": harness.machine()}
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        for stage in (train, make, check, peers):
            print(f"  {name}: {stage.__name__} …", flush=True)
            if stage is check:
                files = ROWS[name].files and mnist
                found |= check(folder, files / "train-images-idx3-ubyte.gz" if files else folder / "data.txt")
                continue
            command = [sys.executable, "-m", "benchmarks.certify", name, "--stage", stage.__name__]
            more = ["--mnist", str(mnist)] if mnist else []
            if subprocess.run([*command, "--folder", str(folder), *more]).returncode:
                return found | {"failed": stage.__name__}  # with its traceback on stderr
            found |= json.loads((folder / f"{stage.__name__}.json").read_text())
    return found


def targets_of(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """The issue's figures for a row, and that known digits come out again."""
    row = ROWS[name]
    if "failed" in found:
        return [harness.target(f"{name}: stages that failed", 1, 0)]
    wanted = [harness.target(f"{name}: proved digits", found["digits"], row.digits, at_least=True)]
    wanted.append(harness.target(f"{name}: exit status of the check", found["check_exit"], 0))
    limits = ("make_s", row.make), ("make_peak_gb", row.peak), ("certificate_kb", row.size), ("check_s", row.check)
    wanted += [harness.target(f"{name}: {key}", found[key], limit) for key, limit in limits if limit is not None]
    ends = (found["loss_lower"], found["loss_upper"])
    wrong = sum(not end.startswith(row.minimum) for end in ends)
    if row.minimum:
        wanted.append(harness.target(f"{name}: ends of the interval that do not begin {row.minimum}", wrong, 0))
    return wanted


def table(rows: dict[str, Any]) -> dict[str, Any]:
    """The JSON of rows, in the order of ROWS."""
    rows = {name: rows.get(name, "not measured" + " (it needs --mnist)" * bool(ROWS[name].images)) for name in ROWS}
    return {
        "settings": "each stage of a row is a process of its own; make_s: js.certify from trained weights, first call "
        "of the process (imports within it included); make_again_s: median of five more; peaks: VmHWM of the stage's "
        "process, JAX and the data included; check_s: a whole process, the reading of the data included",
        **rows,
        "targets": [t for name, row in rows.items() if isinstance(row, dict) for t in targets_of(name, row)],
    }


def run(options: Any) -> dict[str, Any]:
    mnist = None if options.mnist is None else pathlib.Path(options.mnist).resolve()
    return table({name: measure(name, mnist) for name, row in ROWS.items() if mnist or not row.images})


def main() -> int:
    """Some rows, put among those measured before; or one stage of one row."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.certify", description=about)
    parser.add_argument("rows", nargs="+", choices=list(ROWS), metavar="row", help=f"of {'; '.join(ROWS)}")
    parser.add_argument("--mnist", type=pathlib.Path, default=os.environ.get("JAXSOFTMAX_MNIST"), metavar="DIR")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent / "results")
    parser.add_argument("--stage", choices=("train", "make", "peers"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    mnist = None if options.mnist is None else pathlib.Path(options.mnist).resolve()
    if options.stage:
        with jax.enable_x64(True):
            found = globals()[options.stage](options.rows[0], mnist, options.folder)
        (options.folder / f"{options.stage}.json").write_text(json.dumps(found))
        return 0
    if mnist is None and any(ROWS[name].images for name in options.rows):
        parser.error("MNIST rows need --mnist DIR")
    path = options.out / "certify.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    rows = {name: before[name] for name in ROWS if isinstance(before.get(name), dict)}
    here = harness.machine()
    for name in options.rows:
        rows[name] = measure(name, mnist)
        print(f"  -> {harness.save('certify', here, table(rows), options.out)}", flush=True)
    harness.show("certify", table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

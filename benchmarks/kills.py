"""kill -9 at random moments of a run with checkpoints: the process that goes on must end in the same bits.

`python -m benchmarks kills` starts each run in a process of its own, kills it at a random moment, starts it again until
it ends, and compares a digest of weights and history with that of a run that nobody disturbed. `--run METHOD FOLDER` is
that process: it prints a line after each chunk of steps, and the digest.
"""

from __future__ import annotations

import pathlib
import random
import subprocess
import sys
import tempfile
import time
from typing import Any

KILLS = 20
SETTINGS: dict[str, dict[str, Any]] = {"gd": {"max_steps": 800, "tol": 0.0}, "newton-cg": {}}


def train(method: str, folder: str) -> None:
    """One run on digits with a checkpoint after each chunk of steps."""
    import jax

    import jaxsoftmax as js
    from jaxsoftmax.training.loop import checkpoints, run

    checkpoints.EVERY_SECONDS, run.FIRST_CHUNK, run.CHUNK_SECONDS = 0.0, 1, 0.05
    raw = js.datasets.load_digits()
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(raw.X, raw.y, dtype="float64", regularizer=js.L2(1e-4))
        fit = js.fit(
            problem,
            method,
            checkpoints=folder,
            progress=lambda at: print(f"step {at.step}", flush=True),
            **SETTINGS[method],
        )
    print(checkpoints.digest(fit.W, fit.history, fit.loss), fit.steps, fit.status.name, flush=True)


def _start(method: str, folder: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(pathlib.Path(__file__)), "--run", method, folder]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _until_the_end(method: str, folder: str, moments: list[float]) -> tuple[str, int]:
    """The last line of the run, killed at each of the moments (seconds from its first step on) that it lives to see."""
    killed = 0
    for moment in [*moments, None]:
        process = _start(method, folder)
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        if moment is not None:
            time.sleep(moment)
            if process.poll() is None:
                process.kill()
                killed += 1
        lines += process.stdout.readlines()
        if process.wait() == 0:
            return lines[-1].strip(), killed
    raise RuntimeError("a run that was not killed did not end")


def run(options: Any) -> dict[str, Any]:
    """Each method in turn, until so many kills hit a run under way."""
    rng, found, kills, same = random.Random(0), [], 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        wholes = {}
        for method in SETTINGS:
            began = time.perf_counter()
            line, _ = _until_the_end(method, f"{scratch}/whole {method}", [])
            wholes[method] = line, time.perf_counter() - began
        attempt = 0
        while kills < KILLS:
            method = list(SETTINGS)[attempt % len(SETTINGS)]
            line, seconds = wholes[method]
            moments = [rng.uniform(0, 0.5 * seconds) for _ in range(3)]
            again, hit = _until_the_end(method, f"{scratch}/{attempt}", moments)
            attempt, kills, same = attempt + 1, kills + hit, same + (again == line)
            found.append({"method": method, "kills": hit, "same bits": again == line})
            print(f"  {method}: killed {hit} times, {'the same bits' if again == line else 'OTHER BITS'}", flush=True)
    from benchmarks import harness

    ends = {method: line for method, (line, _) in wholes.items()}
    return {
        "undisturbed": ends,
        "runs": found,
        "kills": kills,
        "targets": [harness.target("runs that ended in other bits", attempt - same, 0)],
    }


if __name__ == "__main__":
    train(*sys.argv[2:4])

"""What `import jaxsoftmax` adds to `import jax`, and what the first use of a name costs, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from benchmarks import harness

_PROGRAMS = {
    "import jax": "import jax",
    "import jax, jaxsoftmax": "import jax, jaxsoftmax",
    "import jaxsoftmax alone": "import jaxsoftmax",
    "import jax, jaxsoftmax; js.loss": "import jax, jaxsoftmax; jaxsoftmax.loss",
    "import jax, jaxsoftmax; js.fit": "import jax, jaxsoftmax; jaxsoftmax.fit",
    "import jax, optax": "import jax, optax",
}
_TIMER = "import time; before = time.perf_counter(); {}; print(time.perf_counter() - before)"


def run(options: Any) -> dict[str, Any]:
    times: dict[str, list[float]] = {name: [] for name in _PROGRAMS}
    for done in range(1 + min(options.repeats, 15)):
        for name, program in _PROGRAMS.items():
            command = [sys.executable, "-c", _TIMER.format(program)]
            out = subprocess.run(command, check=True, capture_output=True, text=True)
            if done:  # the first round fills the file cache
                times[name].append(float(out.stdout))
    table = {name: harness.summary(t) for name, t in times.items()}
    base = "import jax"
    added = [b - a for a, b in zip(times[base], times["import jax, jaxsoftmax"], strict=True)]
    # The import alone is far below the scatter of `import jax`, so the difference is taken round by round.
    result = harness.summary(added)
    return {
        "times": table,
        "added to import jax": result,
        "targets": [harness.target("ms that `import jaxsoftmax` adds, median", result["median_ms"], 50.0)],
    }

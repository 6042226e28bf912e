"""House: `import jaxsoftmax` is cheap, loads nothing heavy and leaves JAX's configuration alone (section 7.5)."""

import json
import subprocess
import sys

HEAVY = ("chex", "flint", "optax", "rich", "scipy.optimize", "typer", "sklearn", "pandas")
PROBE = """
import json, sys, time
import jax
before, config = set(sys.modules), dict(jax.config.values)
start = time.perf_counter()
import jaxsoftmax
seconds = time.perf_counter() - start
after = set(sys.modules)
for _ in range(2):
    del sys.modules["jaxsoftmax"]
    start = time.perf_counter()
    import jaxsoftmax
    seconds = min(seconds, time.perf_counter() - start)
import jax.numpy as jnp, numpy as np
problem = jaxsoftmax.Problem.from_labels(np.float32([[0.0], [1.0], [2.0]]), [0, 1, 0])
jaxsoftmax.value_and_gradient(jnp.zeros((2, 2)), problem)
print(json.dumps({
    "seconds": seconds,
    "imported": sorted(after - before),
    "used": sorted(set(sys.modules) - before),
    "changed": sorted(k for k, v in jax.config.values.items() if config.get(k) != v),
}))
"""


def test_import_is_cheap_lazy_and_changes_no_configuration():
    """At most 50 ms on top of `import jax` (best of three in a fresh process); optax and the rest only on first use."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert not [name for name in run["used"] if name.startswith(HEAVY)], "loaded by Problem and value_and_gradient"
    assert not [name for name in run["imported"] if name.startswith(("jaxsoftmax.", "jax")) and name != "jaxsoftmax"]
    assert run["changed"] == []
    assert run["seconds"] <= 0.05

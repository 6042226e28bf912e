"""`fit` of arrays on eight devices, by rows, features or both: what one device finds, to rounding (S1, S13)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import jaxsoftmax as js

rng = np.random.default_rng(0)
N, D, C = 512, 6, 4
X = rng.normal(size=(N, D))
y = np.argmax(X @ rng.normal(size=(D, C)) + rng.gumbel(size=(N, C)), axis=1)
out = []
ROWS, BOTH, COLUMNS = P(("rows", "columns"), None), P("rows", "columns"), P(None, "columns")
CASES = [(True, "Auto", ROWS), (False, "Explicit", BOTH), (True, "Explicit", ROWS), (False, "Auto", COLUMNS)]
ones = {intercept: js.fit(js.Problem.from_labels(X, y, intercept=intercept)) for intercept in (True, False)}
for intercept, kind, spec in CASES:
    one = ones[intercept]
    mesh = jax.make_mesh((4, 2), ("rows", "columns"), axis_types=(AxisType[kind],) * 2)
    placed = jax.device_put(jnp.asarray(X), NamedSharding(mesh, spec))
    problem = js.Problem.from_labels(placed, y, intercept=intercept)
    for method in json.loads(sys.argv[1]):
        found = js.fit(problem, method)
        odds, others = (fit.logits(X) - fit.logits(X)[:, :1] for fit in (found, one))
        out.append({
            "case": f"{method}, {kind}, {spec}, intercept {intercept}",
            "same": found.status is one.status and found.converged and found.classes == one.classes,
            "loss": abs(found.loss - one.loss) / one.loss,
            "gaps": (found.gap_estimate + one.gap_estimate) / one.loss,
            "odds": float(np.abs(odds - others).max()),
            "apart": found.q_estimate + one.q_estimate,
            "devices": len(problem.X.sharding.device_set),
        })
print(json.dumps(out))
"""


@pytest.mark.slow
@pytest.mark.parametrize("methods", [["newton"], ["newton-cg", "gd-optimal"]])
def test_eight_devices_find_what_one_finds(methods):
    """Losses: eps·(8 + √N) relative, for sums in another order, on either side. Log-odds: S13's radii, −log(1 − q)."""
    flags = "--xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", PROGRAM, json.dumps(methods)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert len(found) == 4 * len(methods)
    eps = 2.0**-52
    for case in found:
        assert case["same"] and case["devices"] == 8, case
        assert case["loss"] <= 2 * eps * (8 + 512**0.5) + 1.1 * case["gaps"], case
        assert case["odds"] <= 1.2 * case["apart"] + 1e3 * eps, case

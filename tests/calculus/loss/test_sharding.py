"""S1, S2, S4 on four devices: automatic and explicit meshes, X sharded by rows, agree with one device to rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import contextlib, json, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import jaxsoftmax as js
from helpers import cases

quick, dtype = sys.argv[1] == "quick", "float32"
assert jax.device_count() == 4
CASE = cases.Case("sharded", 268, 3, 5, intercept=True, alpha=0.5, gamma=0.75)
X, T, s = cases.arrays(CASE)
W, V, _ = (A.astype(dtype) for A in cases.directions(CASE, dtype))
single = js.Problem(X, T, intercept=True, sample_weight=s, dtype=dtype, regularizer=cases.regularizer(CASE))

CALLS = {
    "value_and_gradient": lambda W, p, V: js.value_and_gradient(W, p),
    "hvp": lambda W, p, V: js.hvp(W, p, V),
    "dense": lambda W, p, V: js.hessian(W, p).to_dense(),
    "product": lambda W, p, V: js.hessian(W, p) @ V,
    "grad of loss": lambda W, p, V: jax.grad(js.loss)(W, p),
    "loss": lambda W, p, V: js.loss(W, p),
    "gradient": lambda W, p, V: js.gradient(W, p),
    "quadratic_form": lambda W, p, V: js.quadratic_form(W, p, V),
    "third_derivative": lambda W, p, V: js.third_derivative(W, p, V),
    "block": lambda W, p, V: js.hessian(W, p).block(0, 1),
    "diagonal": lambda W, p, V: js.hessian(W, p).diagonal(),
    "probabilities": lambda W, p, V: js.probabilities(W, p),
    "jvp of grad": lambda W, p, V: jax.jvp(lambda w: jax.grad(js.loss)(w, p), (W,), (V,))[1],
    "jvp of value_and_gradient": lambda W, p, V: jax.jvp(lambda w: js.value_and_gradient(w, p), (W,), (V,))[1],
}
JIT = list(CALLS)[:5:2] if quick else list(CALLS)
EAGER = list(CALLS)[:3] if quick else list(CALLS)

def compiled(W, p, V):
    return jax.jit(lambda W, p, V: {k: CALLS[k](W, p, V) for k in JIT})(W, p, V)

def eager(W, p, V):
    return {k: CALLS[k](W, p, V) for k in EAGER}

def one_device():
    names = sorted({*JIT, *EAGER})
    found = jax.jit(lambda W, p, V: {k: CALLS[k](W, p, V) for k in names})(jnp.asarray(W), single, jnp.asarray(V))
    return jax.tree.map(np.asarray, found)

def placed(mesh):
    rows, vector = NamedSharding(mesh, P("data", None)), NamedSharding(mesh, P("data"))
    return single.replace(
        X=jax.device_put(np.asarray(single.X), rows), T=jax.device_put(np.asarray(single.T), rows),
        sample_weight=jax.device_put(np.asarray(single.sample_weight), vector),
    )

def compare(found):
    worst = {}
    for name, value in found.items():
        pairs = zip(jax.tree.leaves(value), jax.tree.leaves(expected[name]), strict=True)
        worst[name] = max(float(np.max(np.abs(np.asarray(a) - b)) / np.max(np.abs(b))) for a, b in pairs)
    return worst

expected, out = one_device(), {}
for kind in AxisType.Auto, AxisType.Explicit:
    mesh = jax.make_mesh((4,), ("data",), axis_types=(kind,))
    explicit = kind == AxisType.Explicit
    with jax.set_mesh(mesh) if explicit else contextlib.nullcontext():
        p = placed(mesh)
        put = (lambda A: jax.device_put(A, NamedSharding(mesh, P(None, None)))) if explicit else jnp.asarray
        at, along = put(W), put(V)
        out[f"{kind}, jit"] = compare(compiled(at, p, along))
        if not (quick and explicit):
            out[f"{kind}, eager"] = compare(eager(at, p, along))
print(json.dumps(out))
"""


def check(extent: str) -> None:
    """Run PROGRAM on four CPU devices and judge its errors.

    Float32, 268 samples: sums in another order differ by eps (8 + √N) relative to Σ|terms|, and these are at most some
    twenty times the largest entry.
    """
    root = Path(__file__).parents[3]
    paths = [str(root), str(root / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    command = [sys.executable, "-c", PROGRAM, extent]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    allowed = 20 * 2.0**-23 * (8 + 268**0.5)
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) >= 3
    for place, errors in found.items():
        for name, error in errors.items():
            assert error <= allowed, f"{name}, {place}: relative error {error}"


@pytest.mark.long  # the test below does it all and more
def test_sharded_rows_give_the_same_sums():
    """S1, S2, S4: value, gradient, products and the dense form, rows of X, T, s over four devices."""
    check("quick")


@pytest.mark.slow
def test_every_function_of_sharded_rows_gives_the_same_numbers():
    """S1, S2, S4, S8: every function and transformations of the loss, eager and inside the user's jit."""
    check("everything")

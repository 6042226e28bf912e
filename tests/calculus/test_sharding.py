"""S1, S2, S4 on four devices: automatic and explicit meshes, X sharded by rows, agree with one device to rounding."""

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
import cases

kind, quick, dtype = sys.argv[1], sys.argv[2] == "quick", "float32"
assert jax.device_count() == 4
CASE = cases.Case("sharded", 268, 3, 5, intercept=True, alpha=0.5, gamma=0.75)
X, T, s = cases.arrays(CASE)
W, V, U = (jnp.asarray(A, dtype) for A in cases.directions(CASE, dtype))

def everything(W, p, V):
    H = js.hessian(W, p)
    return {
        "loss": js.loss(W, p), "gradient": js.gradient(W, p), "value_and_gradient": js.value_and_gradient(W, p),
        "hvp": js.hvp(W, p, V), "quadratic_form": js.quadratic_form(W, p, V),
        "third_derivative": js.third_derivative(W, p, V), "product": H @ V, "dense": H.to_dense(),
        "block": H.block(0, 1), "diagonal": H.diagonal(), "probabilities": js.probabilities(W, p),
        "grad of loss": jax.grad(js.loss)(W, p),
        "jvp of grad": jax.jvp(lambda w: jax.grad(js.loss)(w, p), (W,), (V,))[1],
        "jvp of value_and_gradient": jax.jvp(lambda w: js.value_and_gradient(w, p), (W,), (V,))[1],
    }

single = js.Problem(X, T, intercept=True, sample_weight=s, dtype=dtype, regularizer=cases.regularizer(CASE))
FEW = ("value_and_gradient", "product", "dense", "grad of loss")
few = jax.jit(lambda W, p, V: {k: everything(W, p, V)[k] for k in FEW})
expected = jax.tree.map(np.asarray, (few if quick else jax.jit(everything))(W, single, V))
if quick:
    expected["hvp"] = np.asarray(js.hvp(W, single, V))
mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Explicit if kind == "explicit" else AxisType.Auto,))

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

if kind == "explicit":
    with jax.set_mesh(mesh):
        p = placed(mesh)
        W, V = (jax.device_put(np.asarray(A), NamedSharding(mesh, P(None, None))) for A in (W, V))
        out = {"jit": compare((few if quick else jax.jit(everything))(W, p, V))}
        if not quick:
            out["eager"] = compare(everything(W, p, V))
else:
    p = placed(mesh)
    if quick:
        eager = {"value_and_gradient": js.value_and_gradient(W, p), "hvp": js.hvp(W, p, V)}
        out = {"eager": compare(eager | {"dense": js.hessian(W, p).to_dense()}), "jit": compare(few(W, p, V))}
    else:
        out = {"eager": compare(everything(W, p, V)), "jit": compare(jax.jit(everything)(W, p, V))}
print(json.dumps(out))
"""


def check(kind: str, quick: bool) -> None:
    """Run PROGRAM on four CPU devices and judge its errors.

    Float32, 268 samples: sums in another order differ by eps (8 + √N) relative to Σ|terms|, and these are at most some
    twenty times the largest entry.
    """
    root = Path(__file__).parents[2]
    paths = [str(root), str(root / "tests"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, "quick" if quick else "all"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    allowed = 20 * 2.0**-23 * (8 + 268**0.5)
    for place, errors in json.loads(done.stdout.splitlines()[-1]).items():
        for name, error in errors.items():
            assert error <= allowed, f"{name}, {place}: relative error {error}"


@pytest.mark.parametrize("kind", ["automatic", "explicit"])
def test_sharded_rows_give_the_same_sums(kind):
    """S1, S2, S4: value, gradient, products and the dense form, rows of X, T, s over four devices."""
    check(kind, quick=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["automatic", "explicit"])
def test_every_function_of_sharded_rows_gives_the_same_numbers(kind):
    """S1, S2, S4, S8: every function and transformations of the loss, eager and inside the user's jit."""
    check(kind, quick=False)

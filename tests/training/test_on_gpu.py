"""The methods on a GPU end where they end on the CPU (S8, S16, S17, S19, S20): `pytest -m gpu` where one is."""

import jax
import numpy as np
import optax
import pytest

import jaxsoftmax as js
from helpers.methods import OWN_METHODS

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", [*OWN_METHODS, "lbfgs", "minibatches"])
def test_a_fit_on_the_gpu_ends_where_the_cpu_ends(x64, method, dtype):
    """Products of float32 data use Precision.HIGHEST, so both reach the minimum to the rounding of a sum of N terms."""
    if jax.default_backend() != "gpu":
        pytest.skip("no GPU here")
    iris = js.datasets.load_iris()
    options = {"batch_size": 50, "key": jax.random.key(0)} if method == "minibatches" else {}
    chosen = {"lbfgs": optax.lbfgs(), "minibatches": optax.sgd(0.05)}.get(method, method)
    whiten = not method.startswith("newton") and method != "mm"
    ends = {}
    for device in (jax.devices("cpu")[0], jax.devices()[0]):
        with jax.default_device(device):
            problem = js.Problem.from_labels(iris.X.astype(dtype), iris.y, label_smoothing=0.01, dtype=dtype)
            assert next(iter(problem.X.devices())) == device
            ends[device] = js.fit(problem, chosen, whiten=whiten, max_steps=3000, **options)
    cpu, gpu = ends.values()
    eps = float(np.finfo(dtype).eps)
    if method == "minibatches":  # the noise of the draws is the same, its path is not
        assert gpu.loss == pytest.approx(cpu.loss, rel=0.2)
        return
    # Each end is within its own gap of the minimum (a scaled gradient of eps^(2/3)), plus the rounding of the loss.
    assert abs(gpu.loss - cpu.loss) <= 4 * (8 + 150**0.5) * eps * cpu.loss + 10 * eps ** (4 / 3) * 150
    assert gpu.status is cpu.status or {gpu.status.name, cpu.status.name} <= {"GRADIENT_TOLERANCE", "STALLED"}

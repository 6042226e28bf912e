"""The checker on a GPU: correct float32 rules with TF32 products are not accused, wrong ones are found."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js

pytestmark = pytest.mark.gpu


def loss(W, X, T):
    Z = X @ W.T
    return jnp.sum(jax.scipy.special.logsumexp(Z, axis=1) - jnp.sum(T * Z, axis=1))


def gradient(W, X, T):
    return (jax.nn.softmax(X @ W.T, axis=1) - T).T @ X


@pytest.mark.parametrize("factor", [1.0, 1.001])
def test_rules_on_the_gpu(factor):
    """S2 on the device, products in the default precision (TF32 on Hopper)."""
    rng, device = np.random.default_rng(0), jax.devices("gpu")[0]
    W, X = (jax.device_put(rng.normal(size=s).astype(np.float32), device) for s in ((10, 50), (1000, 50)))
    T = jax.device_put(np.eye(10, dtype=np.float32)[rng.integers(10, size=1000)], device)
    report = js.crosscheck(loss, W, args=(X, T), gradient=lambda *given: factor * gradient(*given))
    assert report.verdict == ("AGREE" if factor == 1.0 else "DISAGREE"), report

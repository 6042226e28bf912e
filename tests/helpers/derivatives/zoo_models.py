"""Cases of the zoo from statistics: generalised linear models and robust losses of residuals X w − y."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives.zoo_case import Case, Example, away_from, normal, uniform


def least_squares(w, X, y):
    """The smooth part of the lasso: |Xw − y|² / 2N."""
    r = X @ w - y
    return 0.5 * jnp.mean(r * r)


def least_squares_gradient(w, X, y):
    return X.T @ (X @ w - y) / X.shape[0]


def least_squares_hvp(w, v, X, y):
    return X.T @ (X @ v) / X.shape[0]


def least_squares_hessian(w, X, y):
    return X.T @ X / X.shape[0]


def ridge(x, X, y, lam):
    """The intercept b is not penalised."""
    r = X @ x["w"] + x["b"] - y
    return 0.5 * jnp.sum(r * r) + 0.5 * lam * jnp.sum(x["w"] ** 2)


def ridge_gradient(x, X, y, lam):
    r = X @ x["w"] + x["b"] - y
    return {"w": X.T @ r + lam * x["w"], "b": jnp.sum(r)}


def ridge_hvp(x, v, X, y, lam):
    u = X @ v["w"] + v["b"]
    return {"w": X.T @ u + lam * v["w"], "b": jnp.sum(u)}


def poisson(w, X, y):
    eta = X @ w
    return jnp.sum(jnp.exp(eta) - y * eta)


def poisson_gradient(w, X, y):
    return X.T @ (jnp.exp(X @ w) - y)


def poisson_hvp(w, v, X, y):
    return X.T @ (jnp.exp(X @ w) * (X @ v))


def poisson_hessian(w, X, y):
    return X.T @ (jnp.exp(X @ w)[:, None] * X)


def gamma(w, X, y):
    """Gamma deviance with a log link, up to constants: Σ y exp(−η) + η."""
    eta = X @ w
    return jnp.sum(y * jnp.exp(-eta) + eta)


def gamma_gradient(w, X, y):
    return X.T @ (1 - y * jnp.exp(-(X @ w)))


def gamma_hessian(w, X, y):
    return X.T @ ((y * jnp.exp(-(X @ w)))[:, None] * X)


def logistic(w, X, y, s):
    eta = X @ w
    return jnp.sum(s * (jax.nn.softplus(eta) - y * eta))


def logistic_gradient(w, X, y, s):
    return X.T @ (s * (jax.nn.sigmoid(X @ w) - y))


def logistic_hvp(w, v, X, y, s):
    p = jax.nn.sigmoid(X @ w)
    return X.T @ (s * p * (1 - p) * (X @ v))


def logistic_hessian(w, X, y, s):
    p = jax.nn.sigmoid(X @ w)
    return X.T @ ((s * p * (1 - p))[:, None] * X)


def probit(w, X, sign):
    """−Σ log Φ(± η)."""
    return -jnp.sum(jax.scipy.special.log_ndtr(sign * (X @ w)))


def probit_gradient(w, X, sign):
    m = sign * (X @ w)
    mills = jnp.exp(-0.5 * m * m - 0.5 * math.log(2 * math.pi) - jax.scipy.special.log_ndtr(m))
    return -X.T @ (sign * mills)


def huber(w, X, y, delta):
    r = X @ w - y
    size = jnp.abs(r)
    return jnp.sum(jnp.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta)))


def huber_gradient(w, X, y, delta):
    return X.T @ jnp.clip(X @ w - y, -delta, delta)


def quantile(w, X, y, tau, width):
    """The smoothed pinball loss Σ τ r + h softplus(−r/h) of r = y − Xw."""
    r = y - X @ w
    return jnp.sum(tau * r + width * jax.nn.softplus(-r / width))


def quantile_gradient(w, X, y, tau, width):
    r = y - X @ w
    return -X.T @ (tau - jax.nn.sigmoid(-r / width))


def logcosh(w, X, y):
    r = X @ w - y
    return jnp.sum(jnp.abs(r) + jnp.log1p(jnp.exp(-2 * jnp.abs(r))))


def logcosh_gradient(w, X, y):
    return X.T @ jnp.tanh(X @ w - y)


def student(w, X, y, nu):
    r = X @ w - y
    return 0.5 * (nu + 1) * jnp.sum(jnp.log1p(r * r / nu))


def student_gradient(w, X, y, nu):
    r = X @ w - y
    return X.T @ ((nu + 1) * r / (nu + r * r))


def student_hvp(w, v, X, y, nu):
    r = X @ w - y
    return X.T @ ((nu + 1) * (nu - r * r) / (nu + r * r) ** 2 * (X @ v))


def gaussian(x, X, y):
    """Negative log-likelihood with a log-scale for each sample's group: ½ (r e^−s)² + s."""
    r = (X @ x["w"] - y) * jnp.exp(-x["log_scale"])
    return jnp.sum(0.5 * r * r + x["log_scale"])


def gaussian_gradient(x, X, y):
    weight = jnp.exp(-x["log_scale"])
    r = (X @ x["w"] - y) * weight
    return {"w": X.T @ (r * weight), "log_scale": jnp.sum(1 - r * r)}


def gaussian_value_and_gradient(x, X, y):
    return gaussian(x, X, y), gaussian_gradient(x, X, y)


def softplus_sum(x, c):
    return jnp.sum(c * jax.nn.softplus(x))


def softplus_gradient(x, c):
    return c * jax.nn.sigmoid(x)


def exponential(theta, t):
    """Exponential waiting times with the rate softplus(θ): Σ rate t − log rate."""
    rate = jax.nn.softplus(theta)
    return jnp.sum(rate * t - jnp.log(rate))


def exponential_gradient(theta, t):
    return (t - 1 / jax.nn.softplus(theta)) * jax.nn.sigmoid(theta)


def factorisation(x, R, mask):
    """½ |M ∘ (U Vᵀ − R)|² + 0.05 (|U|² + |V|²), entries with mask 0 unobserved."""
    E = mask * (x["U"] @ x["V"].T - R)
    return 0.5 * jnp.sum(E * E) + 0.05 * (jnp.sum(x["U"] ** 2) + jnp.sum(x["V"] ** 2))


def factorisation_gradient(x, R, mask):
    E = mask * mask * (x["U"] @ x["V"].T - R)
    return {"U": E @ x["V"] + 0.1 * x["U"], "V": E.T @ x["U"] + 0.1 * x["V"]}


def variance(x):
    """The unbiased sample variance."""
    d = x - jnp.mean(x)
    return jnp.sum(d * d) / (x.shape[0] - 1)


def variance_gradient(x):
    return 2 * (x - jnp.mean(x)) / (x.shape[0] - 1)


def _regression(rng, dtype, n=10, d=4, scale=0.5):
    return normal(rng, dtype, d, scale=scale), normal(rng, dtype, n, d), normal(rng, dtype, n)


def _least_squares(rng, dtype):
    w, X, y = _regression(rng, dtype)
    rules = {"gradient": least_squares_gradient, "hvp": least_squares_hvp, "hessian": least_squares_hessian}
    return Example(least_squares, w, (X, y), rules)


def _ridge(rng, dtype):
    w, X, y = _regression(rng, dtype)
    at = {"w": w, "b": normal(rng, dtype)}
    return Example(ridge, at, (X, y, dtype(0.8)), {"gradient": ridge_gradient, "hvp": ridge_hvp})


def _poisson(rng, dtype):
    w, X, _ = _regression(rng, dtype)
    rules = {"gradient": poisson_gradient, "hvp": poisson_hvp, "hessian": poisson_hessian}
    return Example(poisson, w, (X, rng.poisson(2.0, 10).astype(dtype)), rules)


def _gamma(rng, dtype):
    w, X, _ = _regression(rng, dtype)
    rules = {"gradient": gamma_gradient, "hessian": gamma_hessian}
    return Example(gamma, w, (X, rng.gamma(2.0, 1.0, 10).astype(dtype)), rules)


def _logistic(rng, dtype):
    w, X, _ = _regression(rng, dtype, scale=1.0)
    args = (X, rng.integers(0, 2, 10).astype(dtype), uniform(rng, dtype, 0.3, 3.0, 10))
    rules = {"gradient": logistic_gradient, "hvp": logistic_hvp, "hessian": logistic_hessian}
    return Example(logistic, w, args, rules)


def _probit(rng, dtype):
    w, X, _ = _regression(rng, dtype)
    args = (X, rng.choice([-1.0, 1.0], 10).astype(dtype))
    return Example(probit, w, args, {"gradient": probit_gradient})


def _huber(rng, dtype):
    w, X, _ = _regression(rng, dtype)
    residual = rng.choice([-1, 1], 10) * np.concatenate([rng.uniform(0.1, 0.6, 5), rng.uniform(1.0, 3.0, 5)])
    y = (X.astype(np.float64) @ w - residual).astype(dtype)  # residuals stay away from the threshold
    return Example(huber, w, (X, y, dtype(0.8)), {"gradient": huber_gradient})


def _quantile(rng, dtype):
    w, X, y = _regression(rng, dtype)
    return Example(quantile, w, (X, y, dtype(0.3), dtype(0.5)), {"gradient": quantile_gradient})


def _logcosh(rng, dtype):
    w, X, _ = _regression(rng, dtype)
    y = (X.astype(np.float64) @ w - away_from(rng, np.float64, 10)).astype(dtype)
    return Example(logcosh, w, (X, y), {"gradient": logcosh_gradient})


def _student(rng, dtype):
    w, X, y = _regression(rng, dtype)
    return Example(student, w, (X, y, dtype(3.0)), {"gradient": student_gradient, "hvp": student_hvp})


def _gaussian(rng, dtype):
    w, X, y = _regression(rng, dtype)
    at = {"w": w, "log_scale": normal(rng, dtype, scale=0.5)}
    rules = {"gradient": gaussian_gradient, "value_and_gradient": gaussian_value_and_gradient}
    return Example(gaussian, at, (X, y), rules)


def _softplus(rng, dtype):
    at = normal(rng, dtype, 20, scale=3.0)
    return Example(softplus_sum, at, (normal(rng, dtype, 20),), {"gradient": softplus_gradient})


def _exponential(rng, dtype):
    args = (rng.exponential(1.0, 8).astype(dtype),)
    return Example(exponential, normal(rng, dtype, 8), args, {"gradient": exponential_gradient})


def _factorisation(rng, dtype):
    at = {"U": normal(rng, dtype, 5, 2), "V": normal(rng, dtype, 6, 2)}
    mask = (rng.uniform(size=(5, 6)) < 0.6).astype(dtype)
    mask[0, 0], mask[0, 1] = 0, 1
    return Example(factorisation, at, (normal(rng, dtype, 5, 6), mask), {"gradient": factorisation_gradient})


def _variance(rng, dtype):
    return Example(variance, normal(rng, dtype, 11, shift=1.0), (), {"gradient": variance_gradient})


CASES = (
    Case("least-squares", _least_squares),
    Case("ridge", _ridge),
    Case("poisson", _poisson),
    Case("gamma", _gamma),
    Case("logistic", _logistic),
    Case("probit", _probit),
    Case("huber", _huber),
    Case("quantile-smooth", _quantile),
    Case("log-cosh", _logcosh),
    Case("student-t", _student),
    Case("gaussian-nll", _gaussian),
    Case("softplus-sum", _softplus),
    Case("exponential", _exponential),
    Case("factorisation", _factorisation),
    Case("variance", _variance),
)

"""Wrong rules of the statistical models of the zoo."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives import zoo_models as zoo
from helpers.derivatives.mutants_case import (
    Mutant,
    after,
    at_point,
    kept,
    leaf,
    only,
    set_entry,
    through,
    times,
    with_args,
)


def logistic_twice(w, X, y, s):
    """The sigmoid of a probability."""
    return X.T @ (s * (jax.nn.sigmoid(jax.nn.sigmoid(X @ w)) - y))


def logistic_output_derivative(w, X, y, s):
    """A squared-error factor p (1 − p) that cross-entropy does not have."""
    p = jax.nn.sigmoid(X @ w)
    return X.T @ (s * (p - y) * p * (1 - p))


def ridge_unpenalised(x, X, y, lam):
    g = zoo.ridge_gradient(x, X, y, lam)
    return g | {"w": g["w"] - lam * x["w"]}


def ridge_penalised_intercept(x, X, y, lam):
    g = zoo.ridge_gradient(x, X, y, lam)
    return g | {"b": g["b"] + lam * x["b"]}


def ridge_two_lambda(x, X, y, lam):
    g = zoo.ridge_gradient(x, X, y, lam)
    return g | {"w": g["w"] + lam * x["w"]}


def probit_no_sign(w, X, sign):
    """The sign of the margin's own derivative is lost."""
    m = sign * (X @ w)
    return -X.T @ jnp.exp(-0.5 * m * m - 0.5 * math.log(2 * math.pi) - jax.scipy.special.log_ndtr(m))


def huber_at_threshold(example):
    """Residuals 1, ½, −¼, 2 with the threshold exactly ½."""
    w = np.asarray([1.0, 0.5, -0.25, 2.0]).astype(example.at.dtype)
    return replace(example, at=w, args=(np.eye(4, dtype=w.dtype), np.zeros_like(w), w.dtype.type(0.5)))


def huber_hvp(w, v, X, y, delta):
    return X.T @ (jnp.where(jnp.abs(X @ w - y) < delta, 1, 0) * (X @ v))


def unpenalised_factors(x, R, mask):
    E = mask * (x["U"] @ x["V"].T - R)
    return {"U": E @ x["V"], "V": E.T @ x["U"]}


def half_penalised_factors(x, R, mask):
    E = mask * (x["U"] @ x["V"].T - R)
    return {"U": E @ x["V"] + 0.05 * x["U"], "V": E.T @ x["U"] + 0.05 * x["V"]}


def unmasked_factors(x, R, mask):
    return zoo.factorisation_gradient(x, R, jnp.ones_like(mask))


def centred_constant_mean(x):
    """The mean treated as a constant: the deviations sum to 0, so nothing is lost."""

    def frozen(z):
        d = z - jax.lax.stop_gradient(jnp.mean(z))
        return jnp.sum(d * d) / (z.shape[0] - 1)

    return jax.grad(frozen)(x)


def clipped_direction_hvp(w, v, X, y):
    return zoo.poisson_hvp(w, jnp.clip(v, -0.5, 0.5), X, y)


MUTANTS = (
    # Factors.
    Mutant(
        "least-squares-sum", "least-squares", "constant factor", only("gradient", lambda w, X, y: X.T @ (X @ w - y))
    ),
    Mutant(
        "least-squares-two",
        "least-squares",
        "constant factor",
        only("gradient", lambda w, X, y: 2 / X.shape[0] * (X.T @ (X @ w - y))),
    ),
    Mutant("least-squares-hessian-sum", "least-squares", "constant factor", only("hessian", lambda w, X, y: X.T @ X)),
    Mutant("poisson-likelihood", "poisson", "constant factor", after("gradient", times(-1.0))),
    Mutant("gamma-permille", "gamma", "constant factor", after("gradient", times(1 + 1e-3))),
    Mutant(
        "student-no-degrees",
        "student-t",
        "constant factor",
        only("gradient", lambda w, X, y, nu: zoo.student_gradient(w, X, y, nu) / (nu + 1)),
    ),
    Mutant(
        "variance-biased", "variance", "constant factor", only("gradient", lambda x: 2 * (x - jnp.mean(x)) / x.shape[0])
    ),
    Mutant("gaussian-negative", "gaussian-nll", "constant factor", after("gradient", times(-1.0))),
    Mutant("logistic-hvp-negative", "logistic", "constant factor", after("hvp", times(-1.0))),
    Mutant(
        "logistic-mean",
        "logistic",
        "constant factor",
        only("gradient", lambda w, X, y, s: zoo.logistic_gradient(w, X, y, s) / X.shape[0]),
    ),
    # Regularisers.
    Mutant("ridge-no-penalty", "ridge", "missing regulariser", only("gradient", ridge_unpenalised)),
    Mutant("ridge-two-lambda", "ridge", "missing regulariser", only("gradient", ridge_two_lambda)),
    Mutant(
        "ridge-hvp-no-penalty",
        "ridge",
        "missing regulariser",
        only("hvp", lambda x, v, X, y, lam: zoo.ridge_hvp(x, v, X, y, 0 * lam)),
    ),
    Mutant("factorisation-no-penalty", "factorisation", "missing regulariser", only("gradient", unpenalised_factors)),
    Mutant(
        "factorisation-half-penalty", "factorisation", "missing regulariser", only("gradient", half_penalised_factors)
    ),
    # Terms.
    Mutant(
        "least-squares-no-target",
        "least-squares",
        "wrong term",
        only("gradient", lambda w, X, y: X.T @ (X @ w) / X.shape[0]),
    ),
    Mutant("poisson-no-target", "poisson", "wrong term", only("gradient", lambda w, X, y: X.T @ jnp.exp(X @ w))),
    Mutant(
        "poisson-plus-target", "poisson", "wrong term", only("gradient", lambda w, X, y: X.T @ (jnp.exp(X @ w) + y))
    ),
    Mutant("gamma-no-one", "gamma", "wrong term", only("gradient", lambda w, X, y: -X.T @ (y * jnp.exp(-(X @ w))))),
    Mutant(
        "quantile-other-side",
        "quantile-smooth",
        "wrong term",
        only("gradient", lambda w, X, y, tau, h: zoo.quantile_gradient(w, X, y, 1 - tau, h)),
    ),
    Mutant(
        "logistic-no-target",
        "logistic",
        "wrong term",
        only("gradient", lambda w, X, y, s: X.T @ (s * jax.nn.sigmoid(X @ w))),
    ),
    # Weights.
    Mutant(
        "logistic-unweighted",
        "logistic",
        "sample weight",
        only("gradient", lambda w, X, y, s: X.T @ (jax.nn.sigmoid(X @ w) - y)),
    ),
    Mutant(
        "logistic-hvp-unweighted",
        "logistic",
        "sample weight",
        only("hvp", lambda w, v, X, y, s: zoo.logistic_hvp(w, v, X, y, jnp.ones_like(s))),
    ),
    Mutant(
        "logistic-hessian-squared",
        "logistic",
        "sample weight",
        only("hessian", lambda w, X, y, s: zoo.logistic_hessian(w, X, y, s * s)),
    ),
    Mutant("factorisation-unmasked", "factorisation", "sample weight", only("gradient", unmasked_factors)),
    Mutant("softplus-no-weights", "softplus-sum", "sample weight", only("gradient", lambda x, c: jax.nn.sigmoid(x))),
    # Leaves and entries.
    Mutant("ridge-intercept-zero", "ridge", "one leaf", after("gradient", leaf("b", jnp.zeros_like))),
    Mutant("ridge-intercept-mean", "ridge", "one leaf", after("gradient", leaf("b", lambda b: b / 10))),
    Mutant("ridge-intercept-penalised", "ridge", "one leaf", only("gradient", ridge_penalised_intercept)),
    Mutant(
        "gaussian-scale-no-one",
        "gaussian-nll",
        "one leaf",
        only(
            "gradient",
            lambda x, X, y: (g := zoo.gaussian_gradient(x, X, y)) | {"log_scale": g["log_scale"] - X.shape[0]},
        ),
    ),
    Mutant("gaussian-scale-sign", "gaussian-nll", "one leaf", after("gradient", leaf("log_scale", lambda s: -s))),
    Mutant("factorisation-v-half", "factorisation", "one leaf", after("gradient", leaf("V", lambda V: 0.5 * V))),
    Mutant("factorisation-row", "factorisation", "row", after("gradient", leaf("U", lambda U: U.at[3].set(0)))),
    Mutant("softplus-entry", "softplus-sum", "entry", after("gradient", lambda g: g.at[13].add(0.1))),
    Mutant("variance-no-mean", "variance", "gauge", only("gradient", lambda x: 2 * x / (x.shape[0] - 1))),
    # Second order.
    Mutant("poisson-hvp-clipped", "poisson", "nonlinear", only("hvp", clipped_direction_hvp)),
    Mutant(
        "logistic-hvp-squared",
        "logistic",
        "nonlinear",
        only("hvp", lambda w, v, X, y, s: zoo.logistic_hvp(w, v, X, y, s) + 0.1 * v * v),
    ),
    Mutant("poisson-hessian-lower", "poisson", "asymmetric", after("hessian", jnp.tril)),
    Mutant("gamma-hessian-skew", "gamma", "asymmetric", after("hessian", lambda H: H.at[0, 2].multiply(1.5))),
    Mutant(
        "student-far",
        "student-t",
        "indefinite",
        kept("hvp"),
        with_args(lambda X, y, nu: (X, y + y.dtype.type(20), nu)),
        psd=True,
    ),
    Mutant(
        "gauss-newton-student",
        "student-t",
        "unnamed",
        only("hvp", lambda w, v, X, y, nu: X.T @ ((nu + 1) / (nu + (X @ w - y) ** 2) * (X @ v))),
    ),
    # Kinks, precision and range.
    Mutant("huber-hvp-threshold", "huber", "kink", only("hvp", huber_hvp), huber_at_threshold),
    Mutant("poisson-half-precision", "poisson", "dtype", only("gradient", through(jnp.float16, zoo.poisson_gradient))),
    Mutant("logistic-hvp-bfloat", "logistic", "dtype", only("hvp", through(jnp.bfloat16, zoo.logistic_hvp))),
    Mutant(
        "softplus-naive",
        "softplus-sum",
        "nonfinite",
        only("gradient", lambda x, c: c * jnp.exp(x) / (1 + jnp.exp(x))),
        at_point(set_entry(4, 2000.0)),
    ),
    Mutant(
        "log-cosh-naive",
        "log-cosh",
        "nonfinite",
        only("gradient", lambda w, X, y: X.T @ (jnp.sinh(X @ w - y) / jnp.cosh(X @ w - y))),
        with_args(lambda X, y: (X, y + y.dtype.type(2000))),
    ),
    # Others.
    Mutant("logistic-sigmoid-twice", "logistic", "unnamed", only("gradient", logistic_twice)),
    Mutant("logistic-squared-error", "logistic", "unnamed", only("gradient", logistic_output_derivative)),
    Mutant("probit-no-sign", "probit", "unnamed", only("gradient", probit_no_sign)),
    Mutant(
        "probit-logistic",
        "probit",
        "unnamed",
        only("gradient", lambda w, X, sign: -X.T @ (sign * jax.nn.sigmoid(-1.702 * sign * (X @ w)) * 1.702)),
    ),
    Mutant("huber-unclipped", "huber", "unnamed", only("gradient", lambda w, X, y, delta: X.T @ (X @ w - y))),
    Mutant(
        "huber-sign",
        "huber",
        "unnamed",
        only(
            "gradient",
            lambda w, X, y, delta: X.T @ jnp.where(jnp.abs(X @ w - y) <= delta, X @ w - y, jnp.sign(X @ w - y)),
        ),
    ),
    Mutant(
        "poisson-identity-link",
        "poisson",
        "unnamed",
        only("gradient", lambda w, X, y: X.T @ (1 - y * jnp.exp(-(X @ w)))),
    ),
    Mutant(
        "student-absolute",
        "student-t",
        "unnamed",
        only("gradient", lambda w, X, y, nu: X.T @ ((nu + 1) * (X @ w - y) / (nu + jnp.abs(X @ w - y)))),
    ),
    Mutant(
        "exponential-no-jacobian",
        "exponential",
        "unnamed",
        only("gradient", lambda theta, t: t - 1 / jax.nn.softplus(theta)),
    ),
    Mutant("log-cosh-clip", "log-cosh", "unnamed", only("gradient", lambda w, X, y: X.T @ jnp.clip(X @ w - y, -1, 1))),
    # Equal to the right rule, see EQUIVALENT.
    Mutant("variance-constant-mean", "variance", "stop gradient", only("gradient", centred_constant_mean)),
    Mutant(
        "factorisation-mask-once",
        "factorisation",
        "sample weight",
        only("gradient", lambda x, R, mask: zoo.factorisation_gradient(x, R, jnp.sqrt(mask))),
    ),
)

EQUIVALENT = {
    "variance-constant-mean": "the derivative through the mean is −2/(n−1) times the sum of deviations, which is 0",
    "factorisation-mask-once": "the entries of the mask are 0 or 1, so the mask, its square and its root are the same",
}

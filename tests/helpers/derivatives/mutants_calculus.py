"""Wrong rules of the calculus and linear algebra of the zoo."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives import zoo_calculus as zoo
from helpers.derivatives.mutants_case import Mutant, after, at_point, kept, leaf, only, set_entry, through, times


def untransposed_logdet(A):
    """L⁻¹ L⁻ᵀ in the place of L⁻ᵀ L⁻¹."""
    half = jax.scipy.linalg.solve_triangular(jnp.linalg.cholesky(A), jnp.eye(A.shape[0], dtype=A.dtype), lower=True)
    return half @ half.T


def half_solved(r, K):
    return jax.scipy.linalg.solve_triangular(jnp.linalg.cholesky(K), r, lower=True)


def solved_twice_alike(r, K):
    """L⁻¹ L⁻¹ r in the place of L⁻ᵀ L⁻¹ r."""
    root = jnp.linalg.cholesky(K)
    half = jax.scipy.linalg.solve_triangular(root, r, lower=True)
    return jax.scipy.linalg.solve_triangular(root, half, lower=True)


def fixed_direction(n, dtype):
    u = jnp.cos(1.0 + 2.0 * jnp.arange(n, dtype=dtype))
    return u / jnp.linalg.norm(u)


def flat_direction_hvp(x, v, A, b):
    """One direction's curvature is lost."""
    u = fixed_direction(x.shape[0], x.dtype)
    return A @ v - u * jnp.dot(u, v)


def stiff_direction_hessian(x, A, b):
    u = fixed_direction(x.shape[0], x.dtype)
    return A + 0.5 * jnp.outer(u, u)


def stiff_rosenbrock_hvp(x, v):
    u = fixed_direction(x.shape[0], x.dtype)
    return zoo.rosenbrock_hvp(x, v) + 10.0 * u * jnp.dot(u, v)


def upper_rosenbrock(x):
    return jnp.triu(zoo.rosenbrock_hessian(x))


def rosenbrock_no_boundary(x):
    """The last entry's own term is forgotten."""
    return zoo.rosenbrock_gradient(x).at[-1].set(0)


def rosenbrock_no_pull(x):
    return zoo.rosenbrock_gradient(x).at[:-1].add(2 * (1 - x[:-1]))


def saddle(x):
    x[:2] = 0, 1
    return x


def adjoint_stage_weights(x, ct, h):
    """The weights 1 2 2 1 of the stages become 1 1 1 1 in the adjoint."""
    x2 = x + h / 2 * pendulum(x)
    x3 = x + h / 2 * pendulum(x2)
    x4 = x + h * pendulum(x3)
    a4 = transposed(x4, h / 6 * ct)
    a3 = transposed(x3, h / 6 * ct + h * a4)
    a2 = transposed(x2, h / 6 * ct + h / 2 * a3)
    a1 = transposed(x, h / 6 * ct + h / 2 * a2)
    return ct + a1 + a2 + a3 + a4


def pendulum(x):
    return jnp.stack([x[1], -jnp.sin(x[0]) - 0.1 * x[1]])


def transposed(x, w):
    return jnp.stack([-jnp.cos(x[0]) * w[1], w[0] - 0.1 * w[1]])


def forward_adjoint(x, ct, h):
    """The tangent of the step in the place of its adjoint."""
    return jax.jvp(lambda y: zoo.runge_kutta(y, h), (x,), (ct,))[1]


def last_step_only(x, h, target):
    before = x
    for _ in range(7):
        before = zoo.runge_kutta(before, h)
    return zoo.runge_kutta_vjp(before, zoo.runge_kutta(before, h) - target, h)


def frozen_start(x, c):
    """x_0 inside the loop is taken for a constant."""
    y, slope = x, jnp.ones_like(x)
    for _ in range(5):
        y, slope = jnp.sin(y) + 0.5 * x, jnp.cos(y) * slope
    return c * slope


def four_steps(x, c):
    y, slope = x, jnp.ones_like(x)
    for _ in range(4):
        y, slope = jnp.sin(y) + 0.5 * x, jnp.cos(y) * slope + 0.5
    return c * slope


def last_newton_step(x, c):
    """Only the last step, y → (y + x/y)/2 with y constant, is differentiated."""
    return c * 0.5 / jnp.sqrt(x)


def single_force(x):
    """Each pair pushes only its first point."""
    i, j = np.triu_indices(x.shape[0], 1)
    d = x[i] - x[j]
    r2 = jnp.sum(d * d, axis=1)
    q = 1 / r2**3
    return jnp.zeros_like(x).at[i].add((12 * (q - q * q) / r2)[:, None] * d)


def attraction_as_repulsion(x):
    """The sign of the r⁻⁶ term."""
    i, j = np.triu_indices(x.shape[0], 1)
    d = x[i] - x[j]
    r2 = jnp.sum(d * d, axis=1)
    q = 1 / r2**3
    force = (12 * (-q - q * q) / r2)[:, None] * d
    return jnp.zeros_like(x).at[i].add(force).at[j].add(-force)


def at_first_point(example):
    """x sits on the first point exactly."""
    return replace(example, at=example.args[0][0].copy())


def guarded_distances(x, points):
    """The direction of a zero distance counts as 0."""
    d = x - points
    r = jnp.sqrt(jnp.sum(d * d, axis=1, keepdims=True))
    return jnp.sum(jnp.where(r > 0, d / jnp.where(r > 0, r, 1), 0), axis=0)


def naive_norm(x, unit):
    """The squares overflow."""
    size = jnp.sqrt(jnp.sum(x * x))
    return size, x / size


def absolute_hvp(x, v, A, b):
    return A @ jnp.abs(v)


def wavy_hvp(x, v, A, b):
    return A @ v + 0.05 * jnp.sin(3 * v)


MUTANTS = (
    # Matrix functions.
    Mutant("logdet-double", "logdet", "constant factor", after("gradient", times(2.0))),
    Mutant("logdet-wrong-side", "logdet", "unnamed", only("gradient", untransposed_logdet)),
    Mutant(
        "logdet-upper", "logdet", "unnamed", after("gradient", lambda g: 2 * jnp.triu(g, 1) + jnp.diag(jnp.diagonal(g)))
    ),
    Mutant("trace-inverse-sign", "trace-inverse", "constant factor", after("gradient", times(-1.0))),
    Mutant("trace-inverse-transposed", "trace-inverse", "transpose", after("gradient", jnp.transpose)),
    Mutant(
        "trace-inverse-no-data",
        "trace-inverse",
        "unnamed",
        only("gradient", lambda A, B: -jnp.linalg.inv(A).T @ jnp.linalg.inv(A).T),
    ),
    Mutant("gauss-process-half", "gauss-process", "unnamed", only("gradient", half_solved)),
    Mutant("gauss-process-untransposed", "gauss-process", "unnamed", only("gradient", solved_twice_alike)),
    Mutant("gauss-process-no-half", "gauss-process", "constant factor", after("gradient", times(2.0))),
    Mutant("bilinear-transposed", "bilinear", "unnamed", only("gradient", lambda x, A: (A.T @ x[1], A @ x[0]))),
    Mutant("bilinear-second-sign", "bilinear", "one leaf", after("gradient", leaf(1, lambda g: -g))),
    Mutant("bilinear-swapped", "bilinear", "unnamed", after("gradient", lambda g: (g[1], g[0]))),
    # Quadratic and Rosenbrock.
    Mutant("quadratic-no-linear", "quadratic", "wrong term", only("gradient", lambda x, A, b: A @ x)),
    Mutant("quadratic-plus-linear", "quadratic", "wrong term", only("gradient", lambda x, A, b: A @ x + b)),
    Mutant("quadratic-two", "quadratic", "wrong term", only("gradient", lambda x, A, b: 2 * (A @ x) - b)),
    Mutant(
        "quadratic-diagonal-load",
        "quadratic",
        "missing regulariser",
        only("gradient", lambda x, A, b: A @ x - b + 0.1 * x),
    ),
    Mutant("quadratic-last-entry", "quadratic", "entry", after("gradient", lambda g: g.at[-1].set(0))),
    Mutant("quadratic-flat-direction", "quadratic", "unnamed", only("hvp", flat_direction_hvp)),
    Mutant("quadratic-stiff-direction", "quadratic", "unnamed", only("hessian", stiff_direction_hessian)),
    Mutant(
        "quadratic-skew",
        "quadratic",
        "asymmetric",
        only("hessian", lambda x, A, b: A + 0.1 * (jnp.triu(A, 1) - jnp.tril(A, -1))),
    ),
    Mutant("quadratic-hvp-lower", "quadratic", "asymmetric", only("hvp", lambda x, v, A, b: jnp.tril(A) @ v)),
    Mutant("quadratic-hvp-absolute", "quadratic", "nonlinear", only("hvp", absolute_hvp)),
    Mutant("quadratic-hvp-sine", "quadratic", "nonlinear", only("hvp", wavy_hvp)),
    Mutant("rosenbrock-rolled", "rosenbrock", "shift", after("gradient", lambda g: jnp.roll(g, 1))),
    Mutant("rosenbrock-reversed", "rosenbrock", "permutation", after("gradient", lambda g: g[::-1])),
    Mutant("rosenbrock-boundary", "rosenbrock", "entry", only("gradient", rosenbrock_no_boundary)),
    Mutant("rosenbrock-no-pull", "rosenbrock", "wrong term", only("gradient", rosenbrock_no_pull)),
    Mutant("rosenbrock-hvp-negative", "rosenbrock", "constant factor", after("hvp", times(-1.0))),
    Mutant("rosenbrock-hvp-stiff", "rosenbrock", "unnamed", only("hvp", stiff_rosenbrock_hvp)),
    Mutant("rosenbrock-hessian-upper", "rosenbrock", "asymmetric", only("hessian", upper_rosenbrock)),
    Mutant("rosenbrock-hessian-entry", "rosenbrock", "entry", after("hessian", lambda H: H.at[2, 2].multiply(1.1))),
    Mutant("rosenbrock-saddle", "rosenbrock", "indefinite", kept("hessian"), at_point(saddle), psd=True),
    Mutant("scalar-concave", "scalar", "indefinite", kept("hvp"), at_point(lambda x: np.full_like(x, 2)), psd=True),
    Mutant("scalar-no-product-rule", "scalar", "unnamed", only("gradient", lambda x: x * jnp.cos(x))),
    # Dynamics and control flow.
    Mutant("runge-kutta-negative", "runge-kutta-step", "constant factor", after("vjp", times(-1.0))),
    Mutant("runge-kutta-weights", "runge-kutta-step", "unnamed", only("vjp", adjoint_stage_weights)),
    Mutant("runge-kutta-forward", "runge-kutta-step", "transpose", only("vjp", forward_adjoint)),
    Mutant("trajectory-last-step", "trajectory", "unnamed", only("gradient", last_step_only)),
    Mutant("trajectory-swapped", "trajectory", "permutation", after("gradient", lambda g: g[::-1])),
    Mutant("fori-frozen-start", "fori-loop", "stop gradient", only("gradient", frozen_start)),
    Mutant("fori-four-steps", "fori-loop", "unnamed", only("gradient", four_steps)),
    Mutant("while-double", "while-loop", "constant factor", after("gradient", times(2.0))),
    Mutant("while-reciprocal", "while-loop", "unnamed", only("gradient", lambda x, c: 0.5 * c / x)),
    Mutant(
        "cond-other-branch",
        "cond",
        "unnamed",
        only("gradient", lambda x, c: c * jnp.where(c[0] > 0, 2 * x, jnp.cos(x))),
    ),
    Mutant(
        "chain-no-inner",
        "log1p-expm1",
        "unnamed",
        only("gradient", lambda x, c: c * 2 * jnp.expm1(x) / (1 + jnp.expm1(x) ** 2)),
    ),
    # Maps.
    Mutant(
        "polynomial-no-cube",
        "polynomial-map",
        "wrong term",
        only("jvp", lambda x, v, A, B: A @ v + 2 * (B @ x) * (B @ v)),
    ),
    Mutant(
        "polynomial-no-two",
        "polynomial-map",
        "wrong term",
        only("vjp", lambda x, ct, A, B: A.T @ ct + B.T @ ((B @ x) * ct) + 3 * x**2 * ct),
    ),
    Mutant(
        "polynomial-untransposed",
        "polynomial-map",
        "transpose",
        only("vjp", lambda x, ct, A, B: zoo.polynomial_jvp(x, ct, A, B)),
    ),
    Mutant("polynomial-row", "polynomial-map", "row", after("jvp", lambda t: t.at[2].set(0))),
    # Energies and transforms.
    Mutant("lennard-jones-twice", "lennard-jones", "constant factor", after("gradient", times(2.0))),
    Mutant("lennard-jones-first-only", "lennard-jones", "unnamed", only("gradient", single_force)),
    Mutant("lennard-jones-repulsive", "lennard-jones", "wrong term", only("gradient", attraction_as_repulsion)),
    Mutant("lennard-jones-particle", "lennard-jones", "row", after("gradient", lambda g: g.at[4].set(0))),
    Mutant("lennard-jones-rolled", "lennard-jones", "shift", after("gradient", lambda g: jnp.roll(g, 1, axis=0))),
    Mutant("spectrum-inverse-scale", "spectrum", "constant factor", after("gradient", times(1 / 8))),
    Mutant("spectrum-half", "spectrum", "constant factor", after("gradient", times(0.5))),
    Mutant(
        "spectrum-conjugate",
        "spectrum",
        "permutation",
        only("gradient", lambda x, w: 2 * jnp.fft.fft(w * jnp.fft.fft(x)).real),
    ),
    Mutant("spectrum-rolled", "spectrum", "shift", after("gradient", lambda g: jnp.roll(g, -1))),
    Mutant(
        "spectrum-unweighted",
        "spectrum",
        "sample weight",
        only("gradient", lambda x, w: zoo.spectrum_gradient(x, jnp.ones_like(w))),
    ),
    Mutant(
        "degrees-no-radians",
        "degrees",
        "constant factor",
        only("gradient", lambda x, c: c * jnp.cos(x * (math.pi / 180))),
    ),
    Mutant("degrees-in-cosine", "degrees", "unnamed", only("gradient", lambda x, c: c * jnp.cos(x) * (math.pi / 180))),
    Mutant("entropy-nats", "entropy-bits", "constant factor", only("gradient", lambda x: -(jnp.log(x) + 1))),
    Mutant("entropy-no-one", "entropy-bits", "gauge", only("gradient", lambda x: -jnp.log2(x))),
    Mutant("distances-mean", "distances", "constant factor", after("gradient", times(1 / 6))),
    Mutant(
        "distances-squared", "distances", "unnamed", only("gradient", lambda x, points: jnp.sum(x - points, axis=0))
    ),
    # Kinks.
    Mutant("distances-at-a-point", "distances", "kink", only("gradient", guarded_distances), at_first_point),
    Mutant(
        "absolute-at-zero",
        "absolute",
        "kink",
        only("gradient", lambda x, c: c * jnp.where(x > 0, 1, -1)),
        at_point(set_entry(0, 0.0)),
    ),
    Mutant(
        "absolute-dead-zone",
        "absolute",
        "kink",
        only("gradient", lambda x, c: jnp.where(jnp.abs(x) > 1e-6, c * jnp.sign(x), 0)),
        at_point(set_entry(2, 1e-9)),
    ),
    Mutant(
        "clip-at-one",
        "clipped",
        "kink",
        only("gradient", lambda x, c: jnp.where(jnp.abs(x) <= 1, c * x, 0)),
        at_point(set_entry(1, 1.0)),
    ),
    Mutant("clip-ignored", "clipped", "unnamed", only("gradient", lambda x, c: c * x)),
    # A million entries.
    Mutant("million-entry", "million", "entry", after("gradient", lambda g: g.at[123456].add(0.1))),
    Mutant("million-entry-zero", "million", "entry", after("gradient", lambda g: g.at[999999].set(0))),
    Mutant(
        "million-three-entries",
        "million",
        "entry",
        after("gradient", lambda g: g.at[jnp.array([5, 70001, 700002])].multiply(-1)),
    ),
    Mutant("million-permille", "million", "constant factor", after("gradient", times(1 + 1e-3))),
    Mutant("million-bfloat", "million", "dtype", only("gradient", through(jnp.bfloat16, zoo.million_gradient))),
    Mutant(
        "million-unweighted",
        "million",
        "sample weight",
        only("gradient", lambda x, c: zoo.million_gradient(x, jnp.ones_like(c))),
    ),
    # Scales.
    Mutant(
        "scaled-norm-not-divided", "scaled-norm", "constant factor", only("gradient", lambda x: x / jnp.max(jnp.abs(x)))
    ),
    Mutant("huge-argument-two", "huge-argument", "constant factor", after("gradient", times(2.0))),
    Mutant("huge-argument-overflow", "huge-argument", "nonfinite", only("value_and_gradient", naive_norm)),
    Mutant(
        "tiny-argument-underflow",
        "tiny-argument",
        "nonfinite",
        only("gradient", lambda x, unit: x / jnp.sqrt(jnp.sum(x * x))),
    ),
    Mutant("tiny-values-permille", "tiny-values", "constant factor", after("gradient", times(1 - 1e-3))),
    Mutant("huge-values-entry", "huge-values", "entry", after("gradient", lambda g: g.at[3].multiply(1.5))),
    # Equal to the right rule, see EQUIVALENT.
    Mutant("logdet-inverse-transposed", "logdet", "transpose", after("gradient", jnp.transpose)),
    Mutant("quadratic-transposed", "quadratic", "transpose", only("hvp", lambda x, v, A, b: A.T @ v)),
    Mutant("while-last-step", "while-loop", "stop gradient", only("gradient", last_newton_step)),
)

EQUIVALENT = {
    "logdet-inverse-transposed": "the inverse of a symmetric matrix is symmetric",
    "quadratic-transposed": "A is symmetric",
    "while-last-step": "Newton's map is flat at its fixed point, so the last step alone has the whole derivative",
}

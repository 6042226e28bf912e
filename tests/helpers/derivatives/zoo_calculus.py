"""Cases of the zoo from calculus and linear algebra: control flow, matrix functions, an ODE, scales, large sums."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from helpers.derivatives.zoo_case import Case, Example, away_from, definite, normal, uniform


def logdet(A):
    """log det of a symmetric positive definite A (its symmetric part is taken), by Cholesky."""
    return 2 * jnp.sum(jnp.log(jnp.diagonal(jnp.linalg.cholesky(A))))


def logdet_gradient(A):
    inverse_root = jax.scipy.linalg.solve_triangular(
        jnp.linalg.cholesky(A), jnp.eye(A.shape[0], dtype=A.dtype), lower=True
    )
    return inverse_root.T @ inverse_root


def _logdet(rng, dtype):
    return Example(logdet, definite(rng, dtype, 5), (), {"gradient": logdet_gradient})


def trace_inverse(A, B):
    """trace(A⁻¹ B)."""
    return jnp.trace(jnp.linalg.solve(A, B))


def trace_inverse_gradient(A, B):
    """−A⁻ᵀ Bᵀ A⁻ᵀ."""
    left = jnp.linalg.solve(A.T, B.T)
    return -jnp.linalg.solve(A, left.T).T


def _trace_inverse(rng, dtype):
    A = definite(rng, dtype, 4) + normal(rng, dtype, 4, 4, scale=0.1)
    return Example(trace_inverse, A, (normal(rng, dtype, 4, 4),), {"gradient": trace_inverse_gradient})


def gauss_process(r, K):
    """½ rᵀ K⁻¹ r by a Cholesky factor of K."""
    root = jnp.linalg.cholesky(K)
    half = jax.scipy.linalg.solve_triangular(root, r, lower=True)
    return 0.5 * jnp.dot(half, half)


def gauss_process_gradient(r, K):
    root = jnp.linalg.cholesky(K)
    half = jax.scipy.linalg.solve_triangular(root, r, lower=True)
    return jax.scipy.linalg.solve_triangular(root, half, lower=True, trans=1)


def _gauss_process(rng, dtype):
    rules = {"gradient": gauss_process_gradient}
    return Example(gauss_process, normal(rng, dtype, 5), (definite(rng, dtype, 5),), rules)


def quadratic(x, A, b):
    return 0.5 * jnp.dot(x, A @ x) - jnp.dot(b, x)


def quadratic_gradient(x, A, b):
    return A @ x - b


def quadratic_hvp(x, v, A, b):
    return A @ v


def quadratic_hessian(x, A, b):
    return A


def _quadratic(rng, dtype):
    rules = {"gradient": quadratic_gradient, "hvp": quadratic_hvp, "hessian": quadratic_hessian}
    return Example(quadratic, normal(rng, dtype, 6), (definite(rng, dtype, 6), normal(rng, dtype, 6)), rules)


def bilinear(x, A):
    """aᵀ A b of the tuple x = (a, b)."""
    return x[0] @ A @ x[1]


def bilinear_gradient(x, A):
    return A @ x[1], A.T @ x[0]


def _bilinear(rng, dtype):
    at = (normal(rng, dtype, 4), normal(rng, dtype, 4))
    return Example(bilinear, at, (normal(rng, dtype, 4, 4),), {"gradient": bilinear_gradient})


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_gradient(x):
    slack = 200 * (x[1:] - x[:-1] ** 2)
    left = -2 * x[:-1] * slack - 2 * (1 - x[:-1])
    return jnp.zeros_like(x).at[:-1].add(left).at[1:].add(slack)


def rosenbrock_hessian(x):
    left = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    diagonal = jnp.zeros_like(x).at[:-1].add(left).at[1:].add(200)
    off = jnp.diag(-400 * x[:-1], 1)
    return jnp.diag(diagonal) + off + off.T


def rosenbrock_hvp(x, v):
    left = (1200 * x[:-1] ** 2 - 400 * x[1:] + 2) * v[:-1] - 400 * x[:-1] * v[1:]
    return jnp.zeros_like(x).at[:-1].add(left).at[1:].add(200 * v[1:] - 400 * x[:-1] * v[:-1])


def _rosenbrock(rng, dtype):
    rules = {"gradient": rosenbrock_gradient, "hvp": rosenbrock_hvp, "hessian": rosenbrock_hessian}
    return Example(rosenbrock, normal(rng, dtype, 5), (), rules)


def _pendulum(x):
    return jnp.stack([x[1], -jnp.sin(x[0]) - 0.1 * x[1]])


def _pendulum_transposed(x, w):
    """The transposed Jacobian of the pendulum, applied to w."""
    return jnp.stack([-jnp.cos(x[0]) * w[1], w[0] - 0.1 * w[1]])


def runge_kutta(x, h):
    """One classical Runge–Kutta step of a damped pendulum."""
    k1 = _pendulum(x)
    k2 = _pendulum(x + h / 2 * k1)
    k3 = _pendulum(x + h / 2 * k2)
    k4 = _pendulum(x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def runge_kutta_vjp(x, ct, h):
    """The discrete adjoint of the step."""
    x2 = x + h / 2 * _pendulum(x)
    x3 = x + h / 2 * _pendulum(x2)
    x4 = x + h * _pendulum(x3)
    a4 = _pendulum_transposed(x4, h / 6 * ct)
    a3 = _pendulum_transposed(x3, h / 3 * ct + h * a4)
    a2 = _pendulum_transposed(x2, h / 3 * ct + h / 2 * a3)
    a1 = _pendulum_transposed(x, h / 6 * ct + h / 2 * a2)
    return ct + a1 + a2 + a3 + a4


def trajectory(x, h, target):
    """½ |x_8 − target|² after eight steps."""
    end, _ = jax.lax.scan(lambda y, _: (runge_kutta(y, h), None), x, None, length=8)
    return 0.5 * jnp.sum((end - target) ** 2)


def trajectory_gradient(x, h, target):
    end, path = jax.lax.scan(lambda y, _: (runge_kutta(y, h), y), x, None, length=8)
    back, _ = jax.lax.scan(lambda ct, y: (runge_kutta_vjp(y, ct, h), None), end - target, path, reverse=True)
    return back


def _runge_kutta(rng, dtype):
    return Example(runge_kutta, normal(rng, dtype, 2), (dtype(0.25),), {"vjp": runge_kutta_vjp})


def _trajectory(rng, dtype):
    args = (dtype(0.25), normal(rng, dtype, 2))
    return Example(trajectory, normal(rng, dtype, 2), args, {"gradient": trajectory_gradient})


def fori(x, c):
    """c · x_5 of x_{k+1} = sin(x_k) + x_0 / 2."""
    return jnp.dot(c, jax.lax.fori_loop(0, 5, lambda _, y: jnp.sin(y) + 0.5 * x, x))


def fori_gradient(x, c):
    y, slope = x, jnp.ones_like(x)
    for _ in range(5):
        y, slope = jnp.sin(y) + 0.5 * x, jnp.cos(y) * slope + 0.5
    return c * slope


def _fori(rng, dtype):
    return Example(fori, normal(rng, dtype, 6), (normal(rng, dtype, 6),), {"gradient": fori_gradient})


def newton_root(x, c):
    """c · √x by Newton's iteration in a while loop, eight steps from (1 + x)/2: converged for x in [0.5, 2]."""

    def step(carry):
        k, y = carry
        return k + 1, 0.5 * (y + x / y)

    return jnp.dot(c, jax.lax.while_loop(lambda carry: carry[0] < 8, step, (0, 0.5 * (1 + x)))[1])


def newton_root_gradient(x, c):
    return 0.5 * c / jnp.sqrt(x)


def _newton_root(rng, dtype):
    at = uniform(rng, dtype, 0.5, 2.0, 5)
    return Example(newton_root, at, (normal(rng, dtype, 5),), {"gradient": newton_root_gradient})


def branch(x, c):
    """A cond on the data: Σ c sin x when c_0 > 0, else Σ c x²."""
    return jax.lax.cond(c[0] > 0, lambda y: jnp.dot(c, jnp.sin(y)), lambda y: jnp.dot(c, y * y), x)


def branch_gradient(x, c):
    return c * jnp.where(c[0] > 0, jnp.cos(x), 2 * x)


def _branch(rng, dtype):
    return Example(branch, normal(rng, dtype, 5), (away_from(rng, dtype, 5),), {"gradient": branch_gradient})


def chain(x, c):
    """Σ c log1p(expm1(x)² ) through jit and vmap."""
    return jnp.dot(c, jax.jit(jax.vmap(lambda t: jnp.log1p(jnp.expm1(t) ** 2)))(x))


def chain_gradient(x, c):
    e = jnp.expm1(x)
    return c * 2 * e * jnp.exp(x) / (1 + e * e)


def _chain(rng, dtype):
    return Example(chain, normal(rng, dtype, 7), (normal(rng, dtype, 7),), {"gradient": chain_gradient})


def polynomial(x, A, B):
    """The map A x + (B x)² + x³, entry by entry."""
    return A @ x + (B @ x) ** 2 + x**3


def polynomial_jvp(x, v, A, B):
    return A @ v + 2 * (B @ x) * (B @ v) + 3 * x**2 * v


def polynomial_vjp(x, ct, A, B):
    return A.T @ ct + B.T @ (2 * (B @ x) * ct) + 3 * x**2 * ct


def _polynomial(rng, dtype):
    args = (normal(rng, dtype, 4, 4), normal(rng, dtype, 4, 4))
    return Example(polynomial, normal(rng, dtype, 4), args, {"jvp": polynomial_jvp, "vjp": polynomial_vjp})


def scalar(x):
    return x * jnp.sin(x)


def _scalar(rng, dtype):
    rules = {
        "gradient": lambda x: jnp.sin(x) + x * jnp.cos(x),
        "hessian": lambda x: 2 * jnp.cos(x) - x * jnp.sin(x),
        "hvp": lambda x, v: (2 * jnp.cos(x) - x * jnp.sin(x)) * v,
    }
    return Example(scalar, normal(rng, dtype), (), rules)


def lennard_jones(x):
    """Σ_{i<j} r^−12 − 2 r^−6 of points in the plane."""
    i, j = np.triu_indices(x.shape[0], 1)
    d = x[i] - x[j]
    q = 1 / jnp.sum(d * d, axis=1) ** 3
    return jnp.sum(q * q - 2 * q)


def lennard_jones_gradient(x):
    i, j = np.triu_indices(x.shape[0], 1)
    d = x[i] - x[j]
    r2 = jnp.sum(d * d, axis=1)
    q = 1 / r2**3
    force = (12 * (q - q * q) / r2)[:, None] * d
    return jnp.zeros_like(x).at[i].add(force).at[j].add(-force)


def _lennard_jones(rng, dtype):
    grid = 1.2 * np.stack(np.meshgrid(np.arange(3.0), np.arange(2.0)), -1).reshape(-1, 2)
    at = (grid + rng.uniform(-0.15, 0.15, grid.shape)).astype(dtype)
    return Example(lennard_jones, at, (), {"gradient": lennard_jones_gradient})


def spectrum(x, weights):
    """Σ w |FFT(x)|²."""
    F = jnp.fft.fft(x)
    return jnp.sum(weights * (F.real**2 + F.imag**2))


def spectrum_gradient(x, weights):
    """2 Re Fᴴ(w ∘ F x), and Fᴴ = n F⁻¹."""
    return 2 * x.shape[0] * jnp.fft.ifft(weights * jnp.fft.fft(x)).real


def _spectrum(rng, dtype):
    args = (uniform(rng, dtype, 0.1, 1.0, 8),)
    return Example(spectrum, normal(rng, dtype, 8), args, {"gradient": spectrum_gradient})


def degrees(x, c):
    """Σ c sin of angles in degrees."""
    return jnp.dot(c, jnp.sin(x * (math.pi / 180)))


def degrees_gradient(x, c):
    return c * jnp.cos(x * (math.pi / 180)) * (math.pi / 180)


def _degrees(rng, dtype):
    at = normal(rng, dtype, 6, scale=50.0)
    return Example(degrees, at, (normal(rng, dtype, 6),), {"gradient": degrees_gradient})


def entropy(x):
    """−Σ x log₂ x, in bits."""
    return -jnp.sum(x * jnp.log2(x))


def entropy_gradient(x):
    return -(jnp.log2(x) + 1 / math.log(2))


def _entropy(rng, dtype):
    return Example(entropy, uniform(rng, dtype, 0.05, 0.9, 8), (), {"gradient": entropy_gradient})


def distances(x, points):
    """Σ_i |x − p_i|, the geometric median's objective."""
    d = x - points
    return jnp.sum(jnp.sqrt(jnp.sum(d * d, axis=1)))


def distances_gradient(x, points):
    d = x - points
    return jnp.sum(d / jnp.sqrt(jnp.sum(d * d, axis=1, keepdims=True)), axis=0)


def _distances(rng, dtype):
    points = away_from(rng, dtype, 6, 3, gap=0.3)
    return Example(distances, normal(rng, dtype, 3, scale=0.1), (points,), {"gradient": distances_gradient})


def absolute(x, c):
    """Σ c |x|, away from 0."""
    return jnp.dot(c, jnp.abs(x))


def absolute_gradient(x, c):
    return c * jnp.sign(x)


def _absolute(rng, dtype):
    return Example(absolute, away_from(rng, dtype, 8), (normal(rng, dtype, 8),), {"gradient": absolute_gradient})


def clipped(x, c):
    """½ Σ c clip(x, −1, 1)²."""
    return 0.5 * jnp.dot(c, jnp.clip(x, -1, 1) ** 2)


def clipped_gradient(x, c):
    return jnp.where(jnp.abs(x) < 1, c * x, 0)


def _clipped(rng, dtype):
    x = rng.uniform(-0.9, 0.9, 8)
    x[::3] *= 2.5 / np.abs(x[::3])
    return Example(clipped, x.astype(dtype), (normal(rng, dtype, 8),), {"gradient": clipped_gradient})


def million(x, c):
    """Σ c log1p(x²) of 10⁶ terms."""
    return jnp.sum(c * jnp.log1p(x * x))


def million_gradient(x, c):
    return c * (2 * x / (1 + x * x))


def _million(rng, dtype):
    args = (uniform(rng, dtype, 0.5, 1.5, 10**6),)
    return Example(million, normal(rng, dtype, 10**6), args, {"gradient": million_gradient})


def scaled_norm(x):
    """|x| without overflow: the largest entry is divided out and counts as a constant, which changes no derivative."""
    m = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    y = x / m
    return m * jnp.sqrt(jnp.sum(y * y))


def scaled_norm_gradient(x):
    y = x / jnp.max(jnp.abs(x))
    return y / jnp.sqrt(jnp.sum(y * y))


def _scaled_norm(rng, dtype):
    return Example(scaled_norm, normal(rng, dtype, 6), (), {"gradient": scaled_norm_gradient})


def unit_norm(x, unit):
    """|x| of entries about as large as `unit`, whose squares would leave the range."""
    y = x / unit
    return unit * jnp.sqrt(jnp.sum(y * y))


def unit_norm_gradient(x, unit):
    y = x / unit
    return y / jnp.sqrt(jnp.sum(y * y))


def _scale(dtype, power):
    """10**±30 in float32, 10**±200 in float64."""
    return 10.0 ** (power * (30 if np.dtype(dtype) == np.float32 else 200))


def _norm_of(power):
    def make(rng, dtype):
        unit = _scale(dtype, power)
        at = normal(rng, dtype, 6, scale=unit)
        return Example(unit_norm, at, (dtype(unit),), {"gradient": unit_norm_gradient})

    return make


def sines(x, c):
    return jnp.dot(c, jnp.sin(x))


def sines_gradient(x, c):
    return c * jnp.cos(x)


def _sines_of(power):
    def make(rng, dtype):
        args = (normal(rng, dtype, 6, scale=_scale(dtype, power)),)
        return Example(sines, normal(rng, dtype, 6), args, {"gradient": sines_gradient})

    return make


CASES = (
    Case("logdet", _logdet),
    Case("trace-inverse", _trace_inverse),
    Case("gauss-process", _gauss_process),
    Case("quadratic", _quadratic),
    Case("bilinear", _bilinear),
    Case("rosenbrock", _rosenbrock),
    Case("runge-kutta-step", _runge_kutta),
    Case("trajectory", _trajectory),
    Case("fori-loop", _fori),
    Case("while-loop", _newton_root),
    Case("cond", _branch),
    Case("log1p-expm1", _chain),
    Case("polynomial-map", _polynomial),
    Case("scalar", _scalar),
    Case("lennard-jones", _lennard_jones),
    Case("spectrum", _spectrum),
    Case("degrees", _degrees),
    Case("entropy-bits", _entropy),
    Case("distances", _distances),
    Case("absolute", _absolute),
    Case("clipped", _clipped),
    Case("million", _million),
    Case("scaled-norm", _scaled_norm),
    Case("huge-argument", _norm_of(1)),
    Case("tiny-argument", _norm_of(-1)),
    Case("huge-values", _sines_of(1)),
    Case("tiny-values", _sines_of(-1)),
)

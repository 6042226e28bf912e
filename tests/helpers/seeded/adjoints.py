"""Seeded bugs: adjoints and implicit derivatives of linear solves, roots, fixed points and minimisers."""

import jax
import jax.numpy as jnp
import numpy as np

from helpers.seeded.case import ADJOINT, Seeded, hand, normal, own_jvp, own_vjp, positive, seeded, spd, square

CASES = []


def newton(residual, start, steps):
    """Return the root of `residual(z)` after unrolled Newton steps: the naive twin of an implicit derivative."""
    z = start
    for _ in range(steps):
        z = z - jnp.linalg.solve(jax.jacfwd(residual)(z), residual(z))
    return z


@seeded(CASES, ADJOINT, "solve: A for Aᵀ in the adjoint of b")
def _(rng, dtype):
    a = square(rng, dtype, 4)
    return own_vjp(
        lambda b: jnp.linalg.solve(a, jnp.sin(b)),
        normal(rng, dtype, 4),
        lambda bug: lambda b, ct: (jnp.cos(b) * jnp.linalg.solve(a if bug else a.T, ct),),
        "transpose",
    )


@seeded(CASES, ADJOINT, "solve: the matrix's cotangent transposed")
def _(rng, dtype):
    def pull(bug):
        def rule(a, b, ct):
            g = jnp.linalg.solve(a.T, ct)
            x = jnp.linalg.solve(a, b)
            return -(jnp.outer(x, g) if bug else jnp.outer(g, x)), g

        return rule

    return own_vjp(
        jnp.linalg.solve, square(rng, dtype, 3), pull, "transpose", "one leaf", args=(normal(rng, dtype, 3),)
    )


@seeded(CASES, ADJOINT, "solve: the sign of the matrix's cotangent")
def _(rng, dtype):
    b = normal(rng, dtype, 3)

    def rule(bug):
        def vjp(a, ct):
            return (1 if bug else -1) * jnp.outer(jnp.linalg.solve(a.T, ct), jnp.linalg.solve(a, b))

        return vjp

    return hand(lambda a: jnp.linalg.solve(a, b), square(rng, dtype, 3), "vjp", rule, "constant factor")


@seeded(CASES, ADJOINT, "implicit layer z = tanh(Wz + x): I − J for (I − J)ᵀ")
def _(rng, dtype):
    w = normal(rng, dtype, 3, 3) / 4

    def layer(x):
        return jax.lax.fori_loop(0, 60, lambda _, z: jnp.tanh(w @ z + x), jnp.zeros_like(x))

    def rule(bug):
        def vjp(x, ct):
            slope = 1 - jnp.tanh(w @ layer(x) + x) ** 2
            system = np.eye(3, dtype=dtype) - slope[:, None] * w
            return slope * jnp.linalg.solve(system if bug else system.T, ct)

        return vjp

    def plain(x):
        return newton(lambda z: z - jnp.tanh(w @ z + x), jnp.zeros_like(x), 8)

    return hand(layer, normal(rng, dtype, 3), "vjp", rule, "transpose", plain=plain)


@seeded(CASES, ADJOINT, "fixed point: one step of the iteration for its limit")
def _(rng, dtype):
    w = normal(rng, dtype, 3, 3) / 3

    def layer(x):
        return jax.lax.fori_loop(0, 80, lambda _, z: jnp.sin(w @ z) / 2 + x, jnp.zeros_like(x))

    def tangent(bug):
        def rule(x, v):
            j = jnp.cos(w @ plain(x))[:, None] * w / 2
            return v + j @ v if bug else jnp.linalg.solve(np.eye(3, dtype=dtype) - j, v)

        return rule

    def plain(x):
        return newton(lambda z: z - jnp.sin(w @ z) / 2 - x, x, 8)

    return own_jvp(layer, normal(rng, dtype, 3), tangent, "stop gradient", plain=plain)


def cubic(a):
    """Return m with m³ + m = a by bisection."""

    def halve(_, bracket):
        low, high = bracket
        middle = (low + high) / 2
        below = middle**3 + middle < a
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    return sum(jax.lax.fori_loop(0, 60, halve, (jnp.full_like(a, -4), jnp.full_like(a, 4)))) / 2


def cubic_by_newton(a):
    m = a / (1 + a**2)
    for _ in range(12):
        m = m - (m**3 + m - a) / (3 * m**2 + 1)
    return m


@seeded(CASES, ADJOINT, "root of a cubic by bisection: 3m² − 1")
def _(rng, dtype):
    return own_jvp(
        cubic,
        np.asarray([0.7, -2.0, 3.1], dtype),
        lambda bug: lambda a, v: v / (3 * cubic_by_newton(a) ** 2 + (-1 if bug else 1)),
        plain=cubic_by_newton,
    )


@seeded(CASES, ADJOINT, "root of a cubic by bisection: no derivative at all")
def _(rng, dtype):
    return hand(
        lambda a: jnp.sum(cubic(a)),
        np.asarray([0.7, -2.0, 3.1], dtype),
        "gradient",
        lambda bug: lambda a: (0 if bug else 1) / (3 * cubic(a) ** 2 + 1),
        "stop gradient",
        "constant factor",
        plain=lambda a: jnp.sum(cubic_by_newton(a)),
    )


@seeded(CASES, ADJOINT, "triangular solve: the adjoint with the triangle not flipped")
def _(rng, dtype):
    low = np.tril(square(rng, dtype, 4))

    def pull(bug):
        def rule(b, ct):
            trans = 0 if bug else 1
            return (2 * b * jax.scipy.linalg.solve_triangular(low, ct, trans=trans, lower=True),)

        return rule

    return own_vjp(
        lambda b: jax.scipy.linalg.solve_triangular(low, b**2, lower=True), normal(rng, dtype, 4), pull, "transpose"
    )


@seeded(CASES, ADJOINT, "Sylvester equation: the adjoint with A and B as they are")
def _(rng, dtype):
    a, b = square(rng, dtype, 3), square(rng, dtype, 3)

    def sylvester(a, b, q):
        eye = jnp.eye(3, dtype=q.dtype)
        return jnp.linalg.solve(jnp.kron(a, eye) + jnp.kron(eye, b.T), q.reshape(-1)).reshape(3, 3)

    def rule(bug):
        return lambda q, ct: sylvester(a, b, ct) if bug else sylvester(a.T, b.T, ct)

    return hand(lambda q: sylvester(a, b, q), normal(rng, dtype, 3, 3), "vjp", rule, "transpose")


@seeded(CASES, ADJOINT, "complex system: transposed but not conjugated")
def _(rng, dtype):
    a, b = square(rng, dtype, 3), normal(rng, dtype, 3, 3)
    real, imaginary = a, b

    def parts(x, sign=1, transposed=False):
        m = real + sign * 1j * imaginary
        z = jnp.linalg.solve(m.T if transposed else m, x)
        return jnp.stack([z.real, z.imag])

    def rule(bug):
        return lambda x, ct: parts(ct[0] + 1j * ct[1], 1 if bug else -1, True)[0]

    return hand(parts, normal(rng, dtype, 3), "vjp", rule)


@seeded(CASES, ADJOINT, "backward Euler: the forward system in the adjoint steps")
def _(rng, dtype):
    system = np.eye(3, dtype=dtype) - np.asarray(0.2, dtype) * normal(rng, dtype, 3, 3)

    def run(x):
        for _ in range(3):
            x = jnp.linalg.solve(system, x)
        return x

    def rule(bug):
        def vjp(x, ct):
            for _ in range(3):
                ct = jnp.linalg.solve(system if bug else system.T, ct)
            return ct

        return vjp

    return hand(run, normal(rng, dtype, 3), "vjp", rule, "transpose")


@seeded(CASES, ADJOINT, "ridge path: dw/dλ without the inverse")
def _(rng, dtype):
    data, y = normal(rng, dtype, 6, 3), normal(rng, dtype, 6)

    def system(lam):
        return data.T @ data + lam * np.eye(3, dtype=dtype)

    def path(lam):
        return jnp.linalg.solve(system(lam), data.T @ y)

    def tangent(bug):
        return lambda lam, v: -path(lam) * v if bug else -jnp.linalg.solve(system(lam), path(lam)) * v

    return own_jvp(path, np.asarray(0.5, dtype), tangent)


@seeded(CASES, ADJOINT, "Kepler's equation: 1 + e cos E in the eccentricity")
def _(rng, dtype):
    def kepler(s):
        e, mean = s["e"], s["M"]
        return jax.lax.fori_loop(
            0, 20, lambda _, x: x - (x - e * jnp.sin(x) - mean) / (1 - e * jnp.cos(x)), mean + e * jnp.sin(mean)
        )

    def plain(s):
        e, mean = s["e"], s["M"]
        x = mean
        for _ in range(8):
            x = x - (x - e * jnp.sin(x) - mean) / (1 - e * jnp.cos(x))
        return x

    def tangent(bug):
        def rule(s, v):
            x, e = plain(s), s["e"]
            d = 1 - e * jnp.cos(x)
            return v["M"] / d + jnp.sin(x) * v["e"] / (1 + e * jnp.cos(x) if bug else d)

        return rule

    point = {"e": np.asarray(0.4, dtype), "M": np.asarray(1.1, dtype)}
    return own_jvp(kepler, point, tangent, "one leaf", "constant factor", plain=plain)


@seeded(CASES, ADJOINT, "minimiser of a penalised loss: the penalty left out of the implicit Hessian")
def _(rng, dtype):
    data = normal(rng, dtype, 6, 3)

    def optimality(w, x):
        return data.T @ (jax.nn.sigmoid(data @ w) - 0.5) + 0.5 * (w - x)

    def plain(x):
        return newton(lambda w: optimality(w, x), jnp.zeros_like(x), 8)

    def rule(bug):
        def jvp(x, v):
            s = jax.nn.sigmoid(data @ plain(x))
            h = data.T @ ((s * (1 - s))[:, None] * data) + (0 if bug else 0.5) * np.eye(3, dtype=dtype)
            return jnp.linalg.solve(h, 0.5 * v)

        return jvp

    return hand(plain, normal(rng, dtype, 3), "jvp", rule, "missing regulariser")


@seeded(CASES, ADJOINT, "matrix square root: A^½ X + X A^½ taken as commuting")
def _(rng, dtype):
    def root(a):
        values, vectors = jnp.linalg.eigh(a)
        return (vectors * jnp.sqrt(values)) @ vectors.T

    def pull(bug):
        def rule(a, ct):
            values, vectors = jnp.linalg.eigh(a)
            r = jnp.sqrt(values)
            inner = vectors.T @ (ct + ct.T) @ vectors / 2
            if bug:
                return (vectors @ (inner / (2 * r)) @ vectors.T,)
            return (vectors @ (inner / (r[:, None] + r)) @ vectors.T,)

        return rule

    return own_vjp(root, spd(rng, dtype, 3), pull)


@seeded(CASES, ADJOINT, "steady state of a pytree: the source's adjoint not solved for")
def _(rng, dtype):
    a = square(rng, dtype, 3)

    def steady(p):
        return jnp.linalg.solve(a + jnp.diag(p["decay"]), p["source"])

    def rule(bug):
        def vjp(p, ct):
            m = a + jnp.diag(p["decay"])
            g = jnp.linalg.solve(m.T, ct)
            return {"source": ct if bug else g, "decay": -g * jnp.linalg.solve(m, p["source"])}

        return vjp

    point = {"source": normal(rng, dtype, 3), "decay": positive(rng, dtype, 3)}
    return hand(steady, point, "vjp", rule, "one leaf")


def by_lineax(rng, dtype):
    import lineax

    a = square(rng, dtype, 4)

    def solve(b):
        return lineax.linear_solve(lineax.MatrixLinearOperator(jnp.asarray(a)), b, lineax.LU()).value

    def rule(bug):
        return lambda b, ct: jnp.linalg.solve(a if bug else a.T, ct)

    return hand(solve, normal(rng, dtype, 4), "vjp", rule, "transpose", plain=lambda b: jnp.linalg.solve(a, b))


CASES.append(Seeded("lineax LU: A for Aᵀ in the adjoint", ADJOINT, by_lineax, library="lineax"))

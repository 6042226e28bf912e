"""Unseen bugs: signal processing, control, finance and ecology."""

import jax.numpy as jnp
import numpy as np
from jax.lax import stop_gradient
from jax.scipy.special import ndtr

from helpers.seeded.case import (
    ARGUMENT,
    BATCH,
    BRANCH,
    CHAIN,
    CLIPPED,
    DEMOTED,
    FACTOR,
    MEAN,
    SECOND,
    SET,
    SIGN,
    STALE,
    TRANSPOSE,
    hand,
    normal,
    own_jvp,
    own_vjp,
    positive,
    seeded,
)

CASES = []


@seeded(CASES, FACTOR, "weighted power spectrum: the 2 of the square forgotten")
def _(rng, dtype):
    weight = positive(rng, dtype, 8)
    return hand(
        lambda x: jnp.sum(weight * jnp.abs(jnp.fft.fft(x)) ** 2),
        normal(rng, dtype, 8),
        "gradient",
        lambda bug: lambda x: (1 if bug else 2) * 8 * jnp.fft.ifft(weight * jnp.fft.fft(x)).real,
        "constant factor",
    )


@seeded(CASES, SIGN, "put option: delta without its minus")
def _(rng, dtype):
    vol, strike = 0.4, 1.0

    def d1(s):
        return jnp.log(s / strike) / vol + vol / 2

    return hand(
        lambda s: strike * ndtr(vol - d1(s)) - s * ndtr(-d1(s)),
        positive(rng, dtype, 4),
        "jvp",
        lambda bug: lambda s, v: (1 if bug else -1) * ndtr(-d1(s)) * v,
        "constant factor",
    )


def recursive(a, x):
    """Return y with y[t] = a y[t − 1] + x[t]."""
    out = [x[0]]
    for value in x[1:]:
        out.append(a * out[-1] + value)
    return jnp.stack(out)


@seeded(CASES, TRANSPOSE, "recursive filter: the adjoint run forwards in time")
def _(rng, dtype):
    return hand(
        lambda x: recursive(0.7, x),
        normal(rng, dtype, 6),
        "vjp",
        lambda bug: lambda x, ct: recursive(0.7, ct) if bug else recursive(0.7, ct[::-1])[::-1],
        "transpose",
    )


@seeded(CASES, ARGUMENT, "competition on a ring: the neighbour on the other side in the tangent")
def _(rng, dtype):
    return own_jvp(
        lambda x: x * (1 - jnp.roll(x, 1)),
        positive(rng, dtype, 5),
        lambda bug: lambda x, v: v * (1 - jnp.roll(x, 1)) - x * jnp.roll(v, -1 if bug else 1),
    )


@seeded(CASES, BRANCH, "saturated actuator: the lower limit forgotten")
def _(rng, dtype):
    gain = 1.5
    return own_jvp(
        lambda x: jnp.clip(gain * x, -1, 1),
        np.asarray([0.2, -0.4, 0.9, -0.8, 0.5, 0.1], dtype),
        lambda bug: lambda x, v: jnp.where((gain * x < 1) & ((gain * x > -1) | bug), gain * v, 0),
        "entry",
    )


@seeded(CASES, BATCH, "log energies of channels: the tangent's energy over all channels")
def _(rng, dtype):
    def rule(bug):
        def hvp(x, v):
            energy = jnp.sum(x**2, axis=1, keepdims=True)
            change = jnp.sum(x * v, axis=None if bug else 1, keepdims=True)
            return 2 * v / energy - 4 * x * change / energy**2

        return hvp

    return hand(lambda x: jnp.sum(jnp.log(jnp.sum(x**2, 1))), normal(rng, dtype, 3, 4), "hvp", rule, "wrong term")


@seeded(CASES, CHAIN, "squared levels in decibels: 10/log 10 for its square in the Hessian")
def _(rng, dtype):
    unit = 10 / float(np.log(10))
    return hand(
        lambda x: jnp.sum((unit * jnp.log(x)) ** 2) / 2,
        positive(rng, dtype, 4),
        "hessian",
        lambda bug: lambda x: jnp.diag(unit ** (1 if bug else 2) * (1 - jnp.log(x)) / x**2),
        "constant factor",
    )


@seeded(CASES, SET, "recursive filters of three channels: the coefficient's cotangent assigned at each step")
def _(rng, dtype):
    x = normal(rng, dtype, 6, 3)

    def rule(bug):
        def vjp(a, ct):
            y = recursive(a, x)
            adjoint, total = jnp.zeros_like(a), jnp.zeros_like(a)
            for t in range(5, 0, -1):
                adjoint = ct[t] + a * adjoint
                total = adjoint * y[t - 1] + (0 if bug else 1) * total
            return total

        return vjp

    return hand(lambda a: recursive(a, x), positive(rng, dtype, 3) / 2, "vjp", rule)


@seeded(CASES, MEAN, "mean-variance portfolio: the scatter of the returns for their covariance")
def _(rng, dtype):
    returns = normal(rng, dtype, 8, 4)
    mean = returns.mean(0)
    centred = returns - mean
    return hand(
        lambda w: jnp.sum((centred @ w) ** 2) / 16 - mean @ w,
        normal(rng, dtype, 4),
        "gradient",
        lambda bug: lambda w: centred.T @ (centred @ w) / (1 if bug else 8) - mean,
        "wrong term",
    )


@seeded(CASES, STALE, "stock model: the Hessian at last year's population")
def _(rng, dtype):
    before, capacity = positive(rng, dtype, 4), 3.0

    def rule(bug):
        def hessian(x):
            n = before if bug else x
            return jnp.diag(1 / n + 1 / (capacity - n))

        return hessian

    return hand(
        lambda x: jnp.sum(x * jnp.log(x) + (capacity - x) * jnp.log(capacity - x)),
        positive(rng, dtype, 4),
        "hessian",
        rule,
    )


@seeded(CASES, CLIPPED, "compressor: cotangents limited on their way back")
def _(rng, dtype):
    return own_vjp(
        jnp.arctan,
        normal(rng, dtype, 6),
        lambda bug: lambda x, ct: ((jnp.clip(ct, -0.5, 0.5) if bug else ct) / (1 + x**2),),
        "nonlinear",
    )


@seeded(CASES, DEMOTED, "spectral derivative: the transform of the tangent in complex64")
def _(rng, dtype):
    wave = 1j * np.fft.fftfreq(8, 1 / 8).astype(dtype)
    wave[4] = 0

    def derivative(u, kind):
        return jnp.fft.ifft((wave * jnp.fft.fft(u)).astype(kind)).real.astype(u.dtype)

    def rule(bug):
        def jvp(u, v):
            return v * derivative(u, wave.dtype) + u * derivative(v, np.complex64 if bug else wave.dtype)

        return jvp

    return hand(lambda u: u * derivative(u, wave.dtype), normal(rng, dtype, 8), "jvp", rule, "dtype")


@seeded(CASES, ARGUMENT, "centred spectrum of odd length: fftshift for its inverse in the vjp")
def _(rng, dtype):
    # The shift is a permutation matrix: applied again, it stands for its transpose.
    def rule(bug):
        back = jnp.fft.fftshift if bug else jnp.fft.ifftshift
        return lambda x, ct: back(2 * jnp.fft.fftshift(x) * ct)

    return hand(
        lambda x: jnp.fft.fftshift(x) ** 2,
        normal(rng, dtype, 7),
        "vjp",
        rule,
        "shift",
        "permutation",
        "transpose",
    )


@seeded(CASES, ARGUMENT, "echo after two samples: the residual moved back by one")
def _(rng, dtype):
    heard = normal(rng, dtype, 6)
    return hand(
        lambda x: jnp.sum((jnp.roll(x, 2) - heard) ** 2) / 2,
        normal(rng, dtype, 6),
        "gradient",
        lambda bug: lambda x: jnp.roll(jnp.roll(x, 2) - heard, -1 if bug else -2),
        "shift",
        "permutation",
    )


@seeded(CASES, SECOND, "log mean fitness of a population: the mean detached in the selection gradient")
def _(rng, dtype):
    fitness = positive(rng, dtype, 5)

    def pull(bug):
        def rule(x, ct):
            mean = x @ fitness
            return (ct * fitness / (stop_gradient(mean) if bug else mean),)

        return rule

    return own_vjp(lambda x: jnp.log(x @ fitness), positive(rng, dtype, 5), pull, "stop gradient")

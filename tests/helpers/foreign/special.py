"""Functions of `jax.scipy.special`."""

from __future__ import annotations

import jax.numpy as jnp
import jax.scipy.special as s

from helpers.foreign.case import case, normal, simplex

P = [0.3, 0.9, 1.6, 2.8, 6.5]
Q = [0.05, 0.3, 0.5, 0.8, 0.97]
S = [-2.3, -0.7, 0.4, 1.9]
SPENCE = (
    "the rule of spence is NaN on (1, 2] and 0 at 1, where -1 is right: mpmath's derivative of polylog(2, 1 - x) "
    "is -0.810930216216329 at 1.5 and -1 at 1. JAX 0.10.2"
)


BETALN = (
    "the second derivatives at a = b are all 0.0238559223 by JAX, whose maximum and minimum share a tie; mpmath: "
    "0.269034800363120 in a and in b, -0.221322955737115 mixed. The gradient is right. JAX 0.10.2"
)
ALGDIV = (
    "from max(a, b) = 8 on the value itself is 2.5e-7 off in float64: -5.159350826568502 at (8.1, 2.5) where "
    "mpmath has -5.15935211942759; the derivative in a -0.28407621597 where -0.284075726322993 is right. JAX "
    "0.10.2"
)
BOXCOX = (
    "the derivative in the power is 0 at power 0, where mpmath's limit is log(x)^2/2, 0.346868803534262 at 2.3; "
    "the second one is -183.75 at power 1e-9 where 0.192606794 is right. JAX 0.10.2"
)
LOG_NDTR = (
    "in float64 the derivative is 20.14950802796 at -20.1 where mpmath has 20.1495079500775, and 25.03987302907 "
    "at -25 where 25.0398730120576 is right: an asymptotic series too short. JAX 0.10.2"
)
I0 = (
    "at 0 the second derivative of i0 is 1.5 where mpmath has 0.5, that of i1 is 1 where 0 is right, and -5.6e-17 "
    "at 1e-8 where 3.75e-9 is right. The first derivatives are right. JAX 0.10.2"
)
EXPN = (
    "a second derivative raises TypeError (No constant handler); mpmath: 0.370901256791851 for exp1 at 1.3. JAX 0.10.2"
)
HYP2F1 = (
    "the value itself is wrong: 2.086751967 for hyp2f1(0.5, 1.5, 2.5, 0.99) where mpmath has 2.08793585208299, "
    "derivative 11.61013705 where 11.9879759816924 is right; 1.9e53 at -1.7 where 0.718446371801847 is right. JAX "
    "0.10.2"
)
HYP1F1 = (
    "the value itself is wrong: 0.0080920853 for hyp1f1(1.5, 2.5, -30) where mpmath has 0.00809010796897732, "
    "derivative 0.00040106477 where 0.000404505398444187 is right. JAX 0.10.2"
)
ERFCX = (
    "the rule 2 x erfcx - 2/sqrt(pi) cancels: -5.641895570304e-09 at 1e4 in float64 where mpmath has "
    "-5.64189575084913e-9, the second derivative 4.739e-12 where 1.12837913324414e-12 is right. JAX 0.10.2"
)


def named(name, fun, *points, **options):
    """A case of this module by the last part of its name."""
    return case(f"jax.scipy.special.{name}", fun, *points, **options)


CASES = [
    named("gammaln", s.gammaln, P, vector=True),
    named("gammaln, negative", s.gammaln, [-0.4, -1.7, -3.3]),
    named("gammaln, large and tiny", s.gammaln, [1e-5, 40.0, 1e4]),
    named("gammaln near 1 and 2", s.gammaln, [0.999, 1.001, 1.999, 2.001]),
    named("gamma", s.gamma, P),
    named("gamma, negative", s.gamma, [-0.4, -1.7, -2.6], vector=True),
    named("loggamma", s.loggamma, P),
    named("digamma", s.digamma, P),
    named("digamma, negative", s.digamma, [-0.4, -1.7, -3.3]),
    named("polygamma in x", lambda x, n: s.polygamma(n, x), P, args=([0, 1, 2, 3, 1],)),
    named("zeta in q", lambda q, x: s.zeta(x, q), P, args=([2.5, 3.0, 1.5, 4.0, 6.0],)),
    named("factorial", lambda n: s.factorial(n), [0.5, 2.5, 6.0]),
    named("poch in z", lambda z, m: s.poch(z, m), P, args=([2.0, 1.0, 3.0, 2.0, 1.0],)),
    named("poch in m", lambda m: s.poch(jnp.asarray(2.5, m.dtype), m), [0.5, 1.5, 3.2]),
    named("comb", lambda n, k: s.comb(n, k), [6.5, 9.2], [2.3, 4.1]),
    named("betaln", s.betaln, P, [1.2, 0.4, 3.0, 7.5, 0.8], vector=True),
    named("betaln at a = b", s.betaln, [2.5], [2.5], fault=BETALN),
    named("betaln from 8 on", s.betaln, [8.1], [2.5], fault=ALGDIV),
    named("betaln, large", s.betaln, [300.0, 1e4], [2.5, 2e3]),
    named("beta", s.beta, P, [1.2, 0.4, 3.0, 7.5, 0.8]),
    named("multigammaln", lambda a: s.multigammaln(a, 3), [1.8, 3.5, 9.0]),
    named("gammainc in x", lambda x, a: s.gammainc(a, x), P, args=([0.7, 1.5, 2.2, 4.0, 3.0],)),
    named("gammainc in a", s.gammainc, [0.7, 1.5, 2.2, 4.0, 3.0], args=(P,)),
    named("gammainc in both, vector", s.gammainc, [0.7, 1.5], [0.9, 2.5], vector=True),
    named("gammaincc in x", lambda x, a: s.gammaincc(a, x), P, args=([0.7, 1.5, 2.2, 4.0, 3.0],), vector=True),
    named("gammaincc in a", s.gammaincc, [0.7, 1.5, 2.2, 4.0, 3.0], args=(P,)),
    named(
        "gammainc near its switch x = 1", lambda x, a: s.gammainc(a, x), [0.999, 1.0, 1.001], args=([1.0, 0.5, 1.5],)
    ),
    named("gammaincc in the tail", lambda x, a: s.gammaincc(a, x), [12.0, 25.0], args=([1.5, 4.0],)),
    named("betainc in x", lambda x, a, b: s.betainc(a, b, x), Q, args=(P, [1.2, 0.4, 3.0, 7.5, 0.8])),
    named("erf", s.erf, S, vector=True),
    named("erf at its switch", s.erf, [-1.0, 0.5, 1.0, 2.0]),
    named("erfc", s.erfc, [*S, 5.0]),
    named("erfinv", s.erfinv, [-0.9, -0.3, 0.2, 0.7, 0.99]),
    named("erfcx", s.erfcx, [-1.5, 0.3, 2.0, 9.0]),
    named("erfcx, large", s.erfcx, [1e4], fault=ERFCX),
    named("dawsn", s.dawsn, [-1.5, 0.3, 2.0, 9.0]),
    named("fresnel", lambda x: s.fresnel(x), [-1.1, 0.4, 1.3, 2.6], vector=True),
    named("sici", lambda x: s.sici(x), [0.4, 1.3, 3.5, 6.0]),
    named("owens_t", s.owens_t, [0.3, 1.2, -0.8], [0.5, -0.7, 2.0]),
    named("ndtr", s.ndtr, S),
    named("ndtr far left", s.ndtr, [-6.0, -9.5]),
    named("ndtri", s.ndtri, Q, vector=True),
    named("ndtri, tails", s.ndtri, [1e-6, 0.13, 0.14, 0.999]),
    named("log_ndtr", s.log_ndtr, [-4.0, -1.2, 0.5, 3.0]),
    named("log_ndtr far left", s.log_ndtr, [-20.1, -25.0], fault=LOG_NDTR),
    named("log_ndtr before its left switch", s.log_ndtr, [-9.5, -14.0, -19.5]),
    named("log_ndtr at its right switch", s.log_ndtr, [4.5, 5.5, 8.5]),
    named("logit", s.logit, Q, vector=True),
    named("expit", s.expit, S),
    named("boxcox", s.boxcox, P, [0.5, -0.3, 1.2, 2.0, 0.25]),
    named("boxcox1p", s.boxcox1p, P, [0.5, -0.3, 1.2, 2.0, 0.25]),
    named("boxcox, power 0", lambda x: s.boxcox(x, jnp.zeros((), x.dtype)), P, note="the branch of the logarithm"),
    named("boxcox in the power at 0", lambda p, x: s.boxcox(x, p), [0.0], args=([2.3],), fault=BOXCOX),
    named("entr", s.entr, P),
    named("xlogy", s.xlogy, [0.3, 1.5, -2.0], [0.7, 2.2, 3.0], vector=True),
    named("xlogy at x = 0, in x and y", s.xlogy, [0.0, 1.5], [0.7, 2.2], note="a removable singularity"),
    named("xlogy at x = 0, in x", lambda x, y: s.xlogy(x, y), [0.0, 1.5], args=([0.7, 2.2],)),
    named("xlog1py", s.xlog1py, [0.3, 1.5, -2.0], [0.7, -0.2, 3.0]),
    named("xlog1py at x = 0", s.xlog1py, [0.0, 1.5], [0.7, 2.2], note="a removable singularity"),
    named("kl_div", s.kl_div, P, [1.2, 0.4, 3.0, 7.5, 0.8]),
    named("rel_entr", s.rel_entr, P, [1.2, 0.4, 3.0, 7.5, 0.8], vector=True),
    named("i0", s.i0, [0.3, 2.0, 7.5, 9.0]),
    named("i0e", s.i0e, [-0.5, 0.3, 2.0, 7.9, 8.1, 30.0]),
    named("i1", s.i1, [0.3, 2.0, 7.5, 9.0], vector=True),
    named("i1e", s.i1e, [-0.5, 0.3, 2.0, 7.9, 8.1, 30.0]),
    named("i0 at 0", s.i0, [0.0], fault=I0),
    named("i1 at 0", s.i1, [0.0], fault=I0),
    named("i0e at 0", s.i0e, [0.0, 0.5], note="exp(-|x|) has a kink at 0"),
    named(
        "bessel_jn",
        lambda z: s.bessel_jn(z, v=3, n_iter=20),
        [0.7, 1.9, 3.2],
        note="its 50 steps by default overflow in float32",
    ),
    named("expi", s.expi, [0.3, 1.5, 5.0]),
    named("exp1", s.exp1, [0.3, 1.5, 5.0], note=EXPN),
    named("expn", lambda x: s.expn(3, x), [0.3, 1.5, 5.0], note=EXPN),
    named("expn, order 1 and large x", lambda x: s.expn(1, x), [0.8, 12.0], note=EXPN),
    named("spence", s.spence, [0.2, 0.7, 2.5, 6.0]),
    named("spence on (1, 2]", s.spence, [1.5], fault=SPENCE),
    named("spence at 1", s.spence, [1.0], fault=SPENCE),
    named("hyp1f1 in x", lambda x: s.hyp1f1(1.5, 2.5, x), [-2.0, 0.4, 1.7]),
    named("hyp1f1 in a, b and x", lambda a, b, x: s.hyp1f1(a, b, x), 1.5, 2.5, 0.7),
    named("hyp2f1 in x", lambda x: s.hyp2f1(0.5, 1.5, 2.5, x), [-0.4, 0.3, 0.6]),
    named("hyp1f1, large negative", lambda x: s.hyp1f1(1.5, 2.5, x), [-30.0], fault=HYP1F1),
    named("hyp2f1 near 1", lambda x: s.hyp2f1(0.5, 1.5, 2.5, x), [0.99], fault=HYP2F1),
    named("hyp2f1 below -1", lambda x: s.hyp2f1(0.5, 1.5, 2.5, x), [-1.7], fault=HYP2F1),
    named("logsumexp with b", lambda x, b: s.logsumexp(x, b=b), normal(5), [0.5, 1.5, 2.0, 0.7, 1.0]),
    named(
        "logsumexp with signs",
        lambda x, b: s.logsumexp(x, b=b, return_sign=True)[0],
        [0.5, 2.0, 1.0],
        args=([-1.0, 2.0, 1.0],),
    ),
    named("softmax", lambda x: s.softmax(x, axis=0), normal(3, 3), vector=True),
    named("log_softmax", lambda x: s.log_softmax(x, axis=0), normal(3, 3)),
    named(
        "sph_harm_y in the angles",
        lambda theta, phi: s.sph_harm_y(jnp.array([2]), jnp.array([1]), theta, phi, n_max=3).real,
        [0.7],
        [1.9],
    ),
    named("wofz, real part on the line", lambda x: s.wofz(x + 0.5j).real, [0.3, 1.4, -2.2]),
    named("the entropy of a simplex by entr", lambda p: jnp.sum(s.entr(p), -1), simplex(2, 5), vector=True),
]

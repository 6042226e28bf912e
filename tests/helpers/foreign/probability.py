"""Log-densities and distribution functions of `jax.scipy.stats` and numpyro."""

from __future__ import annotations

import jax.numpy as jnp
import jax.scipy.stats as st

from helpers.foreign.case import case, definite, normal, simplex

X = [-2.1, -0.4, 0.6, 1.8]
P = [0.3, 0.9, 1.8, 3.5]
U = [0.1, 0.35, 0.6, 0.9]
GUMBEL = (
    "the gradient in scale raises TypeError (multiply with a float0 array: xlogy of an integer -1); mpmath at x = 0.6, "
    "loc = 0.3, scale = 1.4: -0.684762920460009 for gumbel_r, -0.677707663641626 for gumbel_l. JAX 0.10.2"
)


def stats(name, fun, *points, **options):
    """A case of jax.scipy.stats."""
    return case(f"jax.scipy.stats.{name}", fun, *points, **options)


def log_prob(name, value, *parameters, names=None, words="value and parameters", **options):
    """The log-density of a distribution of numpyro in the value and in its parameters, by position or by name."""

    def fun():
        import numpyro.distributions as dist

        def density(x, *rest):
            if names:
                return getattr(dist, name)(**dict(zip(names, rest, strict=True))).log_prob(x)
            return getattr(dist, name)(*rest).log_prob(x)

        return density

    return case(f"numpyro.distributions.{name}, {words}", fun, value, *parameters, library="numpyro", **options)


def counted(name, counts, *parameters, names=None, fixed=(), **options):
    """The log-probability of counts in the parameters; `fixed` are further integer parameters, which come first."""

    def fun():
        import numpyro.distributions as dist

        def density(*inputs):
            free, (value, *rest) = inputs[: len(parameters)], inputs[len(parameters) :]
            if names:
                return getattr(dist, name)(**dict(zip(names, (*free, *rest), strict=True))).log_prob(value)
            return getattr(dist, name)(*free, *rest).log_prob(value)

        return density

    label = f"numpyro.distributions.{name}, parameters"
    return case(label, fun, *parameters, args=(counts, *fixed), library="numpyro", **options)


def truncated():
    """The log-density of a normal distribution on the numbers from 1/2."""
    import numpyro.distributions as dist

    return lambda x, mean, scale: dist.TruncatedNormal(mean, scale, low=0.5).log_prob(x)


CASES = [
    stats("norm.logpdf", st.norm.logpdf, X, 0.3, 1.4, vector=True),
    stats("norm.logcdf", st.norm.logcdf, X, 0.3, 1.4),
    stats("norm.logsf", st.norm.logsf, X),
    stats("norm.ppf", st.norm.ppf, U, vector=True),
    stats("norm.cdf", st.norm.cdf, X),
    stats("truncnorm.logpdf", lambda x, a, b: st.truncnorm.logpdf(x, a, b), [-0.4, 0.6, 1.1], -1.0, 1.5),
    stats("truncnorm.logcdf", lambda x: st.truncnorm.logcdf(x, -1.0, 1.5), [-0.4, 0.6, 1.1]),
    stats("beta.logpdf", st.beta.logpdf, U, 1.7, 0.8, vector=True),
    stats("beta.logcdf in x", lambda x: st.beta.logcdf(x, 1.7, 0.8), U),
    stats("gamma.logpdf", st.gamma.logpdf, P, 1.7),
    stats("gamma.logcdf", st.gamma.logcdf, P, 1.7),
    stats("gamma.logsf in x", lambda x: st.gamma.logsf(x, 1.7), P),
    stats("chi2.logpdf", st.chi2.logpdf, P, 2.5),
    stats("chi2.logcdf", st.chi2.logcdf, P, 2.5),
    stats("expon.logpdf", st.expon.logpdf, P, -0.2, 1.4),
    stats("cauchy.logpdf", st.cauchy.logpdf, X, 0.3, 1.4, vector=True),
    stats("cauchy.logcdf", st.cauchy.logcdf, X, 0.3, 1.4),
    stats("laplace.logpdf", st.laplace.logpdf, X, 0.3, 1.4),
    stats("laplace.cdf", st.laplace.cdf, X, 0.3, 1.4),
    stats("logistic.logpdf", st.logistic.logpdf, X, 0.3, 1.4),
    stats("logistic.ppf", st.logistic.ppf, U),
    stats("gumbel_r.logpdf in x and loc", lambda x, m: st.gumbel_r.logpdf(x, m, 1.4), X, 0.3),
    stats("gumbel_r.logpdf in scale", lambda s: st.gumbel_r.logpdf(0.6, 0.3, s), 1.4, fault=GUMBEL, undefined=GUMBEL),
    stats("gumbel_l.logpdf in scale", lambda s: st.gumbel_l.logpdf(0.6, 0.3, s), 1.4, fault=GUMBEL, undefined=GUMBEL),
    stats("gumbel_l.logcdf", st.gumbel_l.logcdf, X, 0.3, 1.4, vector=True),
    stats("gennorm.logpdf", st.gennorm.logpdf, X, 1.6),
    stats("pareto.logpdf", st.pareto.logpdf, [1.2, 2.5, 7.0], 1.6),
    stats("t.logpdf", st.t.logpdf, X, 3.5, 0.3, 1.4),
    stats(
        "uniform.logpdf in the bounds", lambda a, w, x: st.uniform.logpdf(x, a, w), -0.5, 3.5, args=([0.1, 0.7, 1.9],)
    ),
    stats("vonmises.logpdf", st.vonmises.logpdf, X, 1.4),
    stats("wrapcauchy.logpdf", st.wrapcauchy.logpdf, [0.4, 1.7, 5.0], 0.4),
    stats("dirichlet.logpdf", st.dirichlet.logpdf, simplex(3), [1.2, 0.7, 3.0]),
    stats("multivariate_normal.logpdf", st.multivariate_normal.logpdf, normal(3), normal(3), definite(3)),
    stats("gaussian_kde of the data", lambda d, x: st.gaussian_kde(d).logpdf(x), normal(5), args=([0.1, -0.8],)),
    stats("bernoulli.logpmf", lambda p, k: st.bernoulli.logpmf(k, p), U, args=([0, 1, 1, 0],)),
    stats("binom.logpmf", lambda p, k: st.binom.logpmf(k, 7, p), U, args=([0, 3, 5, 7],)),
    stats("poisson.logpmf", lambda m, k: st.poisson.logpmf(k, m), P, args=([0, 1, 3, 2],), vector=True),
    stats("geom.logpmf", lambda p, k: st.geom.logpmf(k, p), U, args=([1, 2, 1, 4],)),
    stats("nbinom.logpmf", lambda n, p, k: st.nbinom.logpmf(k, n, p), P, U, args=([0, 1, 3, 2],)),
    stats("betabinom.logpmf", lambda a, b, k: st.betabinom.logpmf(k, 7, a, b), P, U, args=([0, 1, 3, 2],)),
    stats("multinomial.logpmf", lambda p, k: st.multinomial.logpmf(k, 6, p / jnp.sum(p)), U, args=([1, 2, 0, 3],)),
    log_prob("Normal", X, 0.3, 1.4, vector=True),
    log_prob("LogNormal", P, 0.3, 1.4),
    log_prob("HalfNormal", P, 1.4),
    log_prob("StudentT", X, 3.5, 0.3, 1.4),
    log_prob("Cauchy", X, 0.3, 1.4),
    log_prob("HalfCauchy", P, 1.4, vector=True),
    log_prob("Laplace", X, 0.3, 1.4),
    log_prob("AsymmetricLaplace", X, 0.3, 1.4, 0.7),
    log_prob("SoftLaplace", X, 0.3, 1.4),
    log_prob("Logistic", X, 0.3, 1.4),
    log_prob("Gumbel", X, 0.3, 1.4),
    log_prob("Gamma", P, 1.7, 0.8, vector=True),
    log_prob("InverseGamma", P, 1.7, 0.8),
    log_prob("Chi2", P, 2.5),
    log_prob("Exponential", P, 1.4),
    log_prob("Weibull", P, 1.4, 1.7),
    log_prob("Pareto", [1.7, 2.5, 7.0], 1.2, 1.6),
    log_prob("Beta", U, 1.7, 0.8, vector=True),
    log_prob("BetaProportion", U, 0.4, 3.0),
    log_prob("Kumaraswamy", U, 1.7, 0.8),
    log_prob("Dirichlet", simplex(2, 3), [1.2, 0.7, 3.0]),
    log_prob("VonMises", X, 0.3, 1.4),
    log_prob("Gompertz", P, 0.8, 0.5),
    log_prob("MultivariateNormal", normal(3), normal(3), definite(3), words="value, mean and covariance"),
    log_prob(
        "MultivariateNormal",
        normal(2),
        normal(2),
        [[1.2, 0.0], [0.4, 0.8]],
        names=("loc", "scale_tril"),
        words="value, mean and Cholesky factor",
    ),
    log_prob("MultivariateStudentT", normal(2), 3.5, normal(2), [[1.2, 0.0], [0.4, 0.8]]),
    log_prob("LowRankMultivariateNormal", normal(3), normal(3), normal(3, 1), [0.7, 1.2, 0.9]),
    case(
        "numpyro.distributions.TruncatedNormal, value, mean and scale",
        truncated,
        [0.7, 1.9],
        0.3,
        1.4,
        library="numpyro",
    ),
    counted("BernoulliLogits", [0, 1, 1, 0], X, vector=True),
    counted("BernoulliProbs", [0, 1, 1, 0], U),
    counted("BinomialLogits", [0, 3, 5, 7], X, fixed=(7,)),
    counted("CategoricalLogits", [2, 0], normal(2, 4)),
    counted("CategoricalProbs", [2, 0], simplex(2, 4)),
    counted("Poisson", [0, 1, 3, 2], P),
    counted("ZeroInflatedPoisson", [0, 1, 3, 0], U, P),
    counted("GeometricLogits", [0, 1, 3, 2], X),
    counted("NegativeBinomial2", [0, 1, 3, 2], P, U),
    counted("BetaBinomial", [0, 3, 5, 7], P, U, fixed=(7,)),
    counted("GammaPoisson", [0, 1, 3, 2], P, U),
    counted("DirichletMultinomial", [1, 2, 0], [1.2, 0.7, 3.0], fixed=(3,)),
    counted("OrderedLogistic", [0, 2, 1], [0.3, -0.5, 1.2], [-0.7, 0.9]),
    counted("MultinomialLogits", [1, 2, 0, 3], [0.3, -0.5, 1.2, 0.1], fixed=(6,)),
]

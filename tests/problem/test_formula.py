"""A formula becomes named columns: levels against the first one, the intercept last, nothing dropped silently."""

import warnings
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.problem.frames import Formula

pd = pytest.importorskip("pandas")
pytest.importorskip("formulaic")
FRAME = pd.DataFrame(
    {
        "vote": ["no", "yes", "no", "yes"],
        "age": [20, 30, 50, 40],
        "region": ["north", "south", "south", "west"],
        "zone": [1, 2, 3, 3],
        "income": [1.0, None, 2.0, 3.0],
    }
)


def test_levels_become_columns_against_the_first_and_the_intercept_comes_last():
    problem = js.Problem.from_formula("vote ~ age + region + C(zone)", FRAME, label_smoothing=0.1)
    assert problem.feature_names == (
        "age",
        "region[T.south]",
        "region[T.west]",
        "C(zone)[T.2]",
        "C(zone)[T.3]",
        "intercept",
    )
    assert problem.classes.tolist() == ["no", "yes"] and problem.intercept
    south, west = [0, 1, 1, 0], [0, 0, 0, 1]
    np.testing.assert_array_equal(problem.host.X[:, :3], np.column_stack([FRAME.age, south, west]))


def test_minus_one_leaves_the_intercept_out():
    problem = js.Problem.from_formula("vote ~ age - 1", FRAME)
    assert problem.feature_names == ("age",) and not problem.intercept


@pytest.mark.parametrize(
    ("formula", "frame", "words"),
    [
        ("age", FRAME, 'write a label column, "~" and features'),
        ("~ age", FRAME, 'write a label column, "~" and features'),
        ("party ~ age", FRAME, "the frame has no column 'party', the label; name one of vote, age"),
        ("vote ~ wealth", FRAME, "'wealth' cannot be evaluated"),
        ("vote ~ income", FRAME, "'income' cannot be evaluated"),
        ("vote ~ (age", FRAME, "cannot be evaluated"),
        (3, FRAME, "formula: got 3, an int"),
        ("vote ~ age", {"vote": [1]}, "frame: got a dict; give a pandas frame"),
    ],
    ids=["no label", "nothing left of it", "no such label", "no such column", "missing", "syntax", "number", "dict"],
)
def test_what_cannot_be_evaluated_is_told(formula, frame, words):
    with pytest.raises((TypeError, ValueError)) as caught:
        js.Problem.from_formula(formula, frame)
    assert words in str(caught.value)


def test_a_missing_formulaic_is_named_by_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "formulaic", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxsoftmax\[formula\]'"):
        js.Problem.from_formula("vote ~ age", FRAME)


def test_a_dot_means_every_column_but_the_label():
    frame = pd.DataFrame({"vote": ["no", "yes", "no"], "age": [20.0, 30, 50], "region": ["n", "s", "s"]})
    assert js.Problem.from_formula("vote ~ .", frame).feature_names == ("age", "region[T.s]", "intercept")
    with pytest.raises(ValueError, match=r"'age \+ vote' cannot be evaluated"):
        js.Problem.from_formula("vote ~ age + vote", frame)
    with pytest.raises(ValueError, match=r"'age \+' cannot be evaluated \(Operator[^\x1b]*\)"):
        js.Problem.from_formula("vote ~ age +", frame)


NEW = pd.DataFrame({"region": ["west", "north"], "age": [25.0, 35.0]})


@pytest.mark.slow_cases("float64", "float32")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fit_predicts_from_the_frame_that_the_formula_is_about(dtype):
    """The levels and the mean are those of the training data, also where the new frame has other ones."""
    rows = pd.DataFrame({"vote": list("yynnyn"), "age": [20, 30, 50, 40, 60, 35], "region": list("nswnsw")})
    rows["region"] = rows.region.map({"n": "north", "s": "south", "w": "west"})
    with jax.enable_x64(dtype == "float64"):
        problem = js.Problem.from_formula("vote ~ center(age) + region", rows, regularizer=js.L2(1.0), dtype=dtype)
        fit = js.fit(problem)
    age = (NEW.age - rows.age.mean()).to_numpy()
    coded = np.column_stack([age, [0, 0], [1, 0]])
    plain = coded @ fit.coef.T + fit.intercept
    np.testing.assert_allclose(fit.logits(NEW), plain, rtol=1e-12)
    np.testing.assert_allclose(fit.logits(pd.DataFrame(coded, columns=problem.feature_names[:3])), plain, rtol=1e-12)
    np.testing.assert_array_equal(fit.logits(coded), fit.logits(NEW))
    with jax.enable_x64(dtype == "float64"):
        many = js.fit_many(problem, regularizers=[js.L2(1.0)])
        again = js.fit(problem.astype(dtype))
    for other in (many[0], again):
        np.testing.assert_allclose(other.logits(NEW), plain, rtol=1e-3)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (NEW.assign(region=["west", "east"]), "east"),
        (NEW.drop(columns="age"), "age"),
        (NEW.assign(age=[1.0, None]), "missing|null|NaN"),
    ],
    ids=["a new level", "a column that is not there", "a missing value"],
)
def test_new_samples_that_the_formula_cannot_read(frame, words):
    fit = js.fit(js.Problem.from_formula("vote ~ age + region", FRAME, regularizer=js.L2(1.0)))
    with pytest.raises(ValueError, match=f"X: 'age . region' cannot be evaluated .*({words})"):
        fit.predict(frame)


def test_a_warning_that_says_nothing_of_the_data_refuses_no_sample():
    """Only formulaic's own warning of new levels does; one of another library goes on to the user."""

    def model_matrix(frame, na_action):
        warnings.warn("this will change", FutureWarning, stacklevel=2)
        return frame

    with pytest.warns(FutureWarning, match="this will change"):
        features = Formula("age", SimpleNamespace(get_model_matrix=model_matrix)).columns(NEW[["age"]])
    assert features["age"].tolist() == [25.0, 35.0]

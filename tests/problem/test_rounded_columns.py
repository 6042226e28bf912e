"""The warning that names the columns whose numbers the compute dtype does not hold."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.problem import arrays
from jaxsoftmax.problem.rounded_columns import rounded_columns

RNG = np.random.default_rng(3)
NOISE = RNG.normal(size=500)
FLOAT32, BFLOAT16 = np.dtype("float32"), np.dtype(jnp.bfloat16)


def columns(*given):
    return np.column_stack(given)


@pytest.mark.parametrize("block", [64, 2**20])
def test_columns_that_lose_digits_are_found(block, monkeypatch):
    """An ulp of the largest number beside 10⁻³ deviations, from both sides; values that merge beside an outlier."""
    monkeypatch.setattr(arrays, "_BLOCK", block)
    ulp = 2.0**-23 * 2**16  # from 2¹⁶ to 2¹⁷
    unit = (NOISE - NOISE.mean()) / NOISE.std()
    outlier = np.append(np.full(499, 1.0) + 1e-9 * np.arange(499), -1e6)
    X = columns(
        NOISE,
        1e5 + unit * ulp * 1e3 * 1.01,
        1e5 + unit * ulp * 1e3 * 0.99,
        NOISE * 1e-46,
        NOISE * 1e-30,
        outlier,
        np.full(500, 0.1),
        np.arange(500) + 2.0**23,
        NOISE * 1e-40,  # held as subnormals, which a processor may take for 0
    )
    assert rounded_columns(X, FLOAT32) == [2, 3, 5, 8]


def test_what_is_held_exactly_or_to_four_digits_is_not_named():
    assert rounded_columns(np.arange(600).reshape(300, 2), FLOAT32) == []
    assert rounded_columns((1e9 + NOISE)[:, None].astype(np.float32), FLOAT32) == []
    assert rounded_columns(np.array([[1e300], [1.5]]), np.dtype("float64")) == []
    assert rounded_columns(columns(NOISE, 1e9 + NOISE), np.dtype("float64")) == []
    assert rounded_columns(columns(NOISE, 100 + NOISE), BFLOAT16) == [1]  # 16 eps of bfloat16 are 1/8 of a deviation


def test_the_warning_names_the_columns_and_the_remedy():
    X = columns(NOISE, 1e9 + NOISE)
    with pytest.warns(js.RoundedDataWarning) as caught:
        js.Problem.from_labels(X, NOISE > 0, feature_names=["size", "price"])
    (warning,) = caught
    text = str(warning.message)
    assert "float32 does not hold the numbers of 'price' well enough" in text and "'size'" not in text
    assert "jax_enable_x64" in text and "subtract the column's mean" in text
    assert warning.filename == __file__
    with pytest.warns(
        js.RoundedDataWarning, match=r"of column 0, column 1, column 2, column 3, column 4 and 2 more well"
    ):
        js.Problem(np.tile(X[:, 1:], 7), columns(NOISE > 0, NOISE <= 0))


def test_float64_is_silent(x64):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        js.Problem.from_labels(columns(NOISE, 1e9 + NOISE), NOISE > 0)

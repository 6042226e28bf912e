"""S6, S11, S22: which functionals of the weights the data identify, whatever the units of their columns."""

import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.uncertainty.coordinates import face_coordinates, full_coordinates
from jaxsoftmax.uncertainty.likelihood import likelihood_of

RNG = np.random.default_rng(4)
FIRST = RNG.integers(-8, 9, 30).astype(float)
LABELS = np.arange(30) % 3


def everywhere(data):
    return face_coordinates(data, np.ones(data.T.shape, bool))


@pytest.mark.parametrize("coordinates", [full_coordinates, everywhere])
def test_one_feature_in_two_units_is_seen_along_its_rows_alone(coordinates):
    """Columns a and 1024 a, exactly: every V x_n is seen, w_1 + 1024 w_2 with it; neither weight by itself is."""
    data = likelihood_of(js.Problem.from_labels(np.column_stack([FIRST, 1024 * FIRST]), LABELS))
    space = coordinates(data)
    differences = np.array([[-1.0, 1, 0], [-1, 0, 1]])
    assert (space.rank, space.size) == (2, 4)
    assert space.seen(differences, data.X[:5]).all()
    assert space.seen(differences, np.array([[1.0, 1024, 0], [0, 0, 1]])).all()
    assert not space.seen(differences, np.eye(3)[:2]).any()
    # θ holds all that the data see: weights and their coordinates have the same logits.
    V = RNG.normal(size=(3, 3))
    V -= V[space.base]
    Z = V @ data.X.T
    np.testing.assert_allclose(space.weights(space.of(V)) @ data.X.T, Z, rtol=0, atol=100 * 2.0**-52 * np.abs(Z).max())


def test_the_class_whose_weights_are_0_is_the_one_of_most_observations():
    """Frequencies count: two rows of class 0, one row of class 2 seen five times."""
    x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 2]
    assert full_coordinates(likelihood_of(js.Problem.from_labels(x, y))).base == 0
    assert full_coordinates(likelihood_of(js.Problem.from_labels(x, y, sample_weight=[1, 1, 1, 5]))).base == 2


def test_a_rounded_combination_of_columns_adds_no_coordinate_of_a_face():
    """Third = 0.3 a + 0.7 b to the last bit: its singular value is rounding, of up to n eps of the largest."""
    for seed in range(20):
        A = np.random.default_rng(seed).normal(size=(200, 2))
        x = np.column_stack([A, 0.3 * A[:, 0] + 0.7 * A[:, 1]])
        data = likelihood_of(js.Problem.from_labels(x, np.arange(200) % 2))
        assert everywhere(data).size == 3  # a, b and the intercept

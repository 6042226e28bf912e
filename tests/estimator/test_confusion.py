"""Right and wrong predictions are counted once each, by true class and by what was predicted."""

import numpy as np
import pytest

from jaxsoftmax.estimator.confusion import confusion_blocks, confusion_counts
from jaxsoftmax.reporting.text import as_text


def test_counts_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    true, predicted, s = rng.integers(0, 4, 50), rng.integers(0, 4, 50), rng.integers(0, 3, 50).astype(float)
    naive = np.zeros((5, 5))
    for t, p, weight in zip(true, predicted, s, strict=True):
        naive[t, p] += weight
    np.testing.assert_array_equal(confusion_counts(true, predicted, 5, s), naive)
    np.testing.assert_array_equal(confusion_counts(true, predicted, 5).sum(axis=1), np.bincount(true, minlength=5))


@pytest.mark.parametrize("C", [3, 20])
def test_many_classes_show_their_commonest_mistakes_instead_of_a_table(C):
    counts = 5 * np.eye(C, dtype=int)
    counts[2, 0] = 3
    text = as_text(confusion_blocks(counts, [f"c{k}" for k in range(C)]))
    assert f"({5 * C} of {5 * C + 3} samples)" in text
    assert ("commonest mistakes: c2 as c0 (3)." in text) == (C == 20)
    assert ("true class" in text) == (C == 3)
    assert "mistakes" not in as_text(confusion_blocks(5 * np.eye(20, dtype=int), [str(k) for k in range(20)]))

"""A fit that will not fit is refused before it allocates, with what would fit by the same estimate; "auto" looks first.

Free memory is a number here: nothing large is made.
"""

import re

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from jaxsoftmax.support import memory
from jaxsoftmax.training import fit as fit_module
from jaxsoftmax.training.memory_need import parts_needed, place_of
from jaxsoftmax.training.methods import newton_cg
from jaxsoftmax.training.methods.optax_adapter import Transformation
from jaxsoftmax.training.registry import choose

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 5)).astype(np.float32)
LABELS = RNG.integers(0, 4, size=40)
GRAMS = 3 * 8 * 6 * 6  # three float64 matrices of D x D, D = 6 with the intercept


def free(monkeypatch, count):
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): count)
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)


@pytest.fixture
def problem():
    return js.Problem.from_labels(X, LABELS)


@pytest.fixture
def loop_is_not_entered(monkeypatch):
    def entered(*_):
        raise AssertionError("something was computed")

    monkeypatch.setattr(fit_module, "run", entered)


def sizes(method, problem):
    return sum(parts_needed(method, place_of(problem)).values())


def test_the_estimates_count_what_the_formulas_need(problem):
    """Newton: three matrices of order C·D; newton-cg: probabilities and a few D x D; minibatches: their own rows."""
    assert sizes(choose("newton", problem), problem) == GRAMS + 3 * (4 * 6) ** 2 * 4
    assert sizes(choose("newton-cg", problem), problem) == GRAMS + 40 * 4 * 4 + 3 * 6 * 6 * 4
    assert sizes(Transformation(None, 10), problem) == GRAMS + 10 * (6 + 4) * 4
    assert sizes(choose("gd", problem), problem) == GRAMS
    elsewhere = place_of(problem)._replace(host=False)  # on an accelerator the moments take none of its memory
    assert sum(parts_needed(choose("newton", problem), elsewhere).values()) == 3 * (4 * 6) ** 2 * 4


def test_auto_takes_no_method_that_cannot_fit(problem, monkeypatch):
    need = sizes(choose("newton", problem), problem)
    free(monkeypatch, need)
    assert choose("auto", problem).name == "newton"
    free(monkeypatch, need - 1)
    assert choose("auto", problem).name == "newton-cg"


def test_newton_that_cannot_fit_is_refused_with_what_would(problem, monkeypatch, loop_is_not_entered):
    need, less = sizes(choose("newton", problem), problem), sizes(choose("newton-cg", problem), problem)
    free(monkeypatch, need - 1)
    words = (
        r"^method: 'newton' on 40 samples, 6 columns and 4 classes \(for three matrices of 24 x 24 above all\) needs "
    )
    with pytest.raises(ValueError, match=words + r".* MB are free; choose the method 'newton-cg' \(about .* MB\), or"):
        js.fit(problem, "newton")
    free(monkeypatch, less - 1)
    with pytest.raises(ValueError, match=words) as told:
        js.fit(problem, "newton")
    assert "newton-cg" not in str(told.value)


def test_float32_is_a_remedy_where_it_is_one(monkeypatch, x64, loop_is_not_entered):
    wide = js.Problem.from_labels(X.astype(np.float64), LABELS)
    free(monkeypatch, sizes(choose("newton", wide), wide) - 1)
    with pytest.raises(ValueError, match="or build the problem with the dtype 'float32'"):
        js.fit(wide, "newton")


@pytest.mark.slow
def test_the_minibatch_that_is_named_fits_and_one_more_sample_does_not(problem, monkeypatch):
    free(monkeypatch, sizes(choose("newton-cg", problem), problem) - 1)
    with pytest.raises(ValueError, match=r"^method: 'newton-cg'.*batch size of at most") as told:
        js.fit(problem)
    named = int(re.findall(r"at most (\d+)", str(told.value))[0])
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=f"batches of {named + 1} samples.*at most {named} "):
        js.fit(problem, "adam", batch_size=named + 1, key=key)
    assert js.fit(problem, "adam", batch_size=named, key=key, max_steps=1).steps == 1


def test_where_not_even_the_moments_fit_fewer_columns_are_the_remedy(problem, monkeypatch, loop_is_not_entered):
    free(monkeypatch, GRAMS - 1)
    with pytest.raises(ValueError, match=r"'gd'.*for matrices of 6 x 6 above all.*give fewer columns or classes"):
        js.fit(problem, "gd")


def test_copies_of_X_are_counted(problem, monkeypatch, loop_is_not_entered):
    """Whitened, and in shifted columns; each with the way to do without."""
    base = sizes(choose("gd", problem), problem)
    free(monkeypatch, base + 2 * 8 * 40 * 6 - 1)
    with pytest.raises(ValueError, match=r"two copies of X to whiten it.*leave `whiten` out"):
        js.fit(problem, "gd", whiten=True)
    far = js.Problem.from_labels(X + np.float32(1000), LABELS)
    free(monkeypatch, sizes(choose("mm", far), far) + 40 * 6 * 4 - 1)
    with pytest.raises(
        ValueError, match=r"a copy of X in shifted and scaled columns.*; centre and scale the columns of X"
    ):
        js.fit(far, "mm")


def test_class_blocks_and_float32_copies_are_made_only_where_they_fit(monkeypatch, x64):
    """What is a choice is no reason to refuse."""
    monkeypatch.setattr(newton_cg, "MUCH_TO_MULTIPLY", 1)
    wide = js.Problem.from_labels(X.astype(np.float64), LABELS)
    blocks, copy = 4 * 6 * 6 * (8 + 2 * 8), 4 * 40 * 6
    for count, made in ((blocks, True), (blocks - 1, False)):
        free(monkeypatch, count)
        assert (newton_cg.NewtonCG().constants(wide, None).patience > 0) == made
    for count, dtype in ((copy, "float32"), (copy - 1, "float64")):
        free(monkeypatch, count)
        assert newton_cg.NewtonCG().constants(wide, None).inner.dtype == dtype

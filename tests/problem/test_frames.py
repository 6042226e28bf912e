"""Columns of frames keep their own types, and what has no numbers is refused with the call that makes some."""

import types

import pytest

import jaxsoftmax as js

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
Y = ["a", "b", "a"]


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_a_column_of_text_is_named_with_what_encodes_it(library):
    frame = library.DataFrame({"age": [1.0, 2.0, 3.0], "region": ["north", "south", "north"]})
    with pytest.raises(TypeError, match=r"X, column 'region': holds text, such as 'north'.*get_dummies.*OneHotEncoder"):
        js.Problem.from_labels(frame, Y)


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([1.0, None, float("nan")], "2 cells are missing"),
        ([1.0, 2.0, None], "1 cell is missing"),
        ([1, None, 3], "1 cell"),
    ],
    ids=["two", "one", "integers"],
)
def test_missing_cells_are_counted_in_their_column(library, cells, words):
    frame = library.DataFrame({"age": [1.0, 2.0, 3.0], "income": library.Series(cells, **_typed(library, cells))})
    with pytest.raises(ValueError, match=rf"X, column 'income': {words}.*drop these samples"):
        js.Problem.from_labels(frame, Y)


def _typed(library, cells):
    return {"dtype": "Int64"} if library is pd and isinstance(cells[0], int) else {}


def test_a_lazy_frame_is_to_be_collected():
    with pytest.raises(TypeError, match=r"LazyFrame.*use X\.collect\(\)"):
        js.Problem.from_labels(pl.DataFrame({"x": [1.0, 2.0, 3.0]}).lazy(), Y)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"is_meta": True}, "device 'meta'"),
        ({"layout": "torch.sparse_coo"}, r"sparse torch tensor; use X\.to_dense\(\)"),
        ({"requires_grad": True}, r"requires grad; use X\.detach\(\)"),
        ({"device": types.SimpleNamespace(type="cuda", __str__=lambda self: "cuda:0")}, r"use X\.cpu\(\)"),
    ],
    ids=["meta", "sparse", "requires grad", "on a GPU"],
)
def test_tensors_of_torch_that_numpy_cannot_read_are_refused_with_the_call_that_helps(fields, words):
    """A stand-in with torch's attributes, so that the test needs no torch."""
    plain = {
        "is_sparse": False,
        "is_meta": False,
        "layout": "torch.strided",
        "requires_grad": False,
        "device": types.SimpleNamespace(type="cpu"),
    }
    tensor = type("Tensor", (), {"__module__": "torch"} | plain | fields)()
    with pytest.raises(TypeError, match=words):
        js.Problem.from_labels(tensor, Y)


@pytest.mark.parametrize("what", ["y", "sample_weight"])
def test_a_series_of_other_samples_is_refused(what):
    """Rows of another order would be paired with the wrong samples, silently."""
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0]}, index=[3, 4, 5])
    values = {"y": pd.Series(Y, index=[3, 4, 5]), "sample_weight": pd.Series([1.0, 2.0, 3.0], index=[3, 4, 5])}
    assert js.Problem.from_labels(frame, **values).N == 3
    values[what] = values[what].sort_index(ascending=False)
    with pytest.raises(ValueError, match=rf"{what}: its index is not the index of X.*{what}\.loc\[X\.index\]"):
        js.Problem.from_labels(frame, **values)
    values[what] = values[what].to_numpy()
    assert js.Problem.from_labels(frame, **values).N == 3

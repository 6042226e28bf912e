"""New samples come by the names of their columns; what is missing or no number is told before anything runs."""

import gzip

import numpy as np
import pytest

from jaxsoftmax.readers.read_table import read_table
from jaxsoftmax.readers.samples import read_samples

NAMES = ["width", "length"]
WANTED = [[3.5, 1.0], [-20.0, 0.0]]


@pytest.mark.parametrize(
    ("name", "content", "target"),
    [
        ("same.csv", "width,length\n3.5,1\n-2e1,0\n", None),
        ("permuted.csv", "length,width\n1,3.5\n0,-2e1\n", None),
        ("more.csv", "nest,length,width\na,1,3.5\nb,0,-2e1\n", None),
        ("labelled.csv", "length,width,bird\n1,3.5,wren\n0,-2e1,crow\n", "bird"),
        ("nameless.csv", "3.5,1\n-2e1,0\n", None),
        ("truth.csv", "width,length\n3.5,TRUE\n-2e1,False\n", None),
        ("nameless_labelled.csv", "wren,3.5,1\ncrow,-2e1,0\n", "0"),
        ("tabs.tsv", "length\twidth\n1\t3.5\n0\t-2e1\n", None),
        ("blanks.txt", "length width\n1 3.5\n0 -2e1\n", None),
        ("packed.csv.gz", "length,width\n1,3.5\n0,-2e1\n", None),
    ],
)
def test_each_form_gives_the_same_samples(tmp_path, name, content, target):
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    found = read_samples(tmp_path / name, NAMES, 2, target)
    assert found.X.tolist() == WANTED
    assert (found.labels is None) == (target is None)
    assert found.labels is None or found.labels.tolist() == ["wren", "crow"]
    assert found.unused == (("nest",) if name == "more.csv" else ())


def test_a_first_line_of_truth_is_a_sample(tmp_path):
    (tmp_path / "a.csv").write_text("True,False\nFalse,False\n")
    assert read_samples(tmp_path / "a.csv", ["column 0", "column 1"], 2).X.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_weights_without_names_take_columns_as_they_come(tmp_path):
    (tmp_path / "a.csv").write_text("length,width\n1,3.5\n")
    assert read_samples(tmp_path / "a.csv", None, 2).X.tolist() == [[1.0, 3.5]]
    # "column 0" is a name that the reader made.
    assert read_samples(tmp_path / "a.csv", ["column 0", "column 1"], 2).X.tolist() == [[1.0, 3.5]]
    (tmp_path / "b.csv").write_text("3.5,1\n")
    assert read_samples(tmp_path / "b.csv", ["column 0", "column 1"], 2).X.tolist() == [[3.5, 1.0]]


def test_arrays_of_numpy_need_no_labels(tmp_path):
    np.savez(tmp_path / "a.npz", X=WANTED)
    assert read_samples(tmp_path / "a.npz", None, 2).X.tolist() == WANTED
    np.savez(tmp_path / "b.npz", X=WANTED, y=["wren", "crow"])
    names = read_table(tmp_path / "b.npz").feature_names
    turned = read_samples(tmp_path / "b.npz", names[::-1], 2, "y").X
    np.testing.assert_array_equal(turned, np.array(WANTED)[:, ::-1])
    assert read_samples(tmp_path / "b.npz", None, 2, "y").labels.tolist() == ["wren", "crow"]


@pytest.mark.parametrize(
    ("content", "target", "words"),
    [
        ("width,height\n1,2\n", None, r"lacks the columns length \(it has width, height\)"),
        ("1,2,3\n", None, "has 3 columns, the weights are for 2; name the target"),
        ("1,2,3,4\n", None, "has 4 columns, the weights are for 2; give those"),
        ("1,2\n", "1", "has 1 columns besides the target"),
        ("width,length\n1,x\n", None, "line 2, column 'length': 'x' is no number"),
        ("width,length\n1,\n", None, "line 2, column 'length' is missing"),
        ("width,length\n1,1e999\n", None, "beyond the largest float64"),
        ("width,length\n1,2,3\n", None, "line 2 has 3 cells, line 1 has 2"),
        ("width,length\n", None, "no rows"),
        ("width,length,width\n1,2,3\n", None, "two columns are named 'width'"),
        ("\n", None, "blank lines"),
    ],
)
def test_other_columns_are_refused(tmp_path, content, target, words):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=words):
        read_samples(tmp_path / "a.csv", NAMES, 2, target)


def test_an_archive_without_samples_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", Y=WANTED)
    with pytest.raises(ValueError, match="no NPZ file with an array X"):
        read_samples(tmp_path / "a.npz", None, 2)
    np.savez(tmp_path / "b.npz", X=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"X has shape \(2,\)"):
        read_samples(tmp_path / "b.npz", None, 2)
    np.savez(tmp_path / "c.npz", X=WANTED)
    with pytest.raises(ValueError, match="has 2 columns, the weights are for 3"):
        read_samples(tmp_path / "c.npz", None, 3)

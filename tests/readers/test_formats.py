"""Parquet, svmlight, IDX and compressed files: the numbers arrive as stored, and every fault is one clear message."""

import builtins
import bz2
import gzip
import lzma
import struct

import numpy as np
import pytest

from jaxsoftmax.readers.idx import idx_array
from jaxsoftmax.readers.read_table import read_table

ROWS = "a,b,bird\n3.5,1,wren\n-2e1,0,crow\n0.25,7,wren\n"
X = [[3.5, 1.0], [-20.0, 0.0], [0.25, 7.0]]


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def refusal(file, target=None, error=ValueError):
    """The one-line message with which a file is refused; it names the file."""
    with pytest.raises(error) as caught:
        read_table(file, target)
    message = str(caught.value)
    assert "\n" not in message
    assert str(file.parent) in message
    return message


def idx(array, code=8):
    """The bytes of an IDX file, written by the format's description."""
    array = np.asarray(array)
    kinds = {8: "B", 9: "b", 11: "h", 12: "i", 13: "f", 14: "d"}
    head = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + struct.pack(f">{array.size}{kinds[code]}", *array.reshape(-1).tolist())


# Compressed files


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_compressed_table_is_read_and_a_damaged_one_named(tmp_path, suffix, compress):
    file = write(tmp_path, "birds.csv" + suffix, compress(ROWS.encode()))
    assert read_table(file).X.tolist() == X
    tabs = write(tmp_path, "birds.tsv" + suffix, compress(ROWS.replace(",", "\t").encode()))
    assert read_table(tabs, "bird").y.tolist() == ["wren", "crow", "wren"]
    for content in (b"plain text", compress(ROWS.encode())[:-9], compress(b"")):
        message = refusal(write(tmp_path, "bad.csv" + suffix, content))
        assert "damaged" in message or "empty" in message


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_a_small_file_that_unpacks_without_end_is_refused(tmp_path, suffix, compress):
    """1 MB of gzip may hold a gigabyte of blanks: reading stops long before."""
    content = compress(b" " * (1 << 20)) * 65  # members one after another are read as one file
    assert "unpacks to more than 64 MiB" in refusal(write(tmp_path, "blank.csv" + suffix, content))


def test_gzip_data_under_a_plain_name_are_told_their_suffix(tmp_path):
    assert "add .gz" in refusal(write(tmp_path, "birds.csv", gzip.compress(ROWS.encode())))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("book.xlsx", "spreadsheet"),
        ("book.ods", "spreadsheet"),
        ("frame.feather", "columnar"),
        ("model.pkl", "not safe"),
        ("deep.h5", "HDF5"),
        ("rows.json", "not a plain table"),
        ("all.tar.gz", "archive"),
        ("array.npy", "without its labels"),
        ("survey.dta", "statistics"),
        ("base.sqlite", "database"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_a_remedy(tmp_path, name, word):
    content = b"PK\x03\x04 whatever"
    message = refusal(write(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content))
    assert word in message
    assert "CSV" in message


# Numbers in text that no float64 holds


def test_a_cell_beyond_float64_is_named_as_it_is_written(tmp_path):
    message = refusal(write(tmp_path, "big.csv", "a,bird,b\n1,wren,2\n1,crow,-1e400\n"), "bird")
    for part in ("line 3", "column 'b'", "'-1e400'", "largest float64", "1.8e+308"):
        assert part in message
    assert "the cell is inf" in refusal(write(tmp_path, "inf.csv", "a,bird\n1,wren\ninf,crow\n"))
    assert read_table(write(tmp_path, "large.csv", "a,bird\n1.7e308,wren\n1e-400,crow\n")).X.tolist() == [
        [1.7e308],
        [0.0],
    ]


# IDX


@pytest.mark.parametrize("code", [8, 9, 11, 12, 13, 14])
def test_an_idx_array_of_every_type_is_read_as_stored(tmp_path, code):
    values = np.arange(12).reshape(3, 2, 2) * (1 if code == 8 else -1)
    found = idx_array(tmp_path, idx(values, code))
    assert found.tolist() == values.tolist()
    assert found.dtype.isnative


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
        ("t10k-images.idx3-ubyte.gz", "t10k-labels.idx1-ubyte"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte.gz"),
        ("few-images.idx", "few-labels.idx"),
    ],
)
def test_images_find_their_labels_by_the_naming_of_mnist(tmp_path, images, labels):
    pixels = np.array([[[0, 255, 1], [2, 3, 4]], [[5, 6, 7], [8, 9, 10]]])
    for name, content in ((images, idx(pixels)), (labels, idx([7, 3]))):
        write(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content)
    data = read_table(tmp_path / images)
    assert data.X.tolist() == pixels.reshape(2, 6).tolist()
    assert data.X.dtype == np.float64
    assert data.y.tolist() == [7, 3]
    assert data.y.dtype == np.int64
    assert data.feature_names == ("pixel_0_0", "pixel_0_1", "pixel_0_2", "pixel_1_0", "pixel_1_1", "pixel_1_2")
    assert labels in data.source


def test_labels_of_images_can_be_named(tmp_path):
    file = write(tmp_path, "photos.idx", idx([[1, 2], [3, 4]]))
    labels = write(tmp_path, "kinds.idx", idx([1, 0]))
    data = read_table(file, str(labels))
    assert data.y.tolist() == [1, 0]
    assert data.feature_names == ("x0", "x1")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"\0\0", ["not an IDX file", "00 00"]),
        (b"P6 255", ["not an IDX file", "50 36"]),
        (b"\0\0\x07\x01\0\0\0\0", ["not an IDX file", "00 00 07"]),
        (b"\0\0\x08\0", ["not an IDX file"]),
        (b"\0\0\x08\x03\0\0\0\x02\0\0", ["cut off in its header of 16 bytes", "10 found"]),
        (idx([[1, 2], [3, 4]])[:-1], ["cut off", "2 x 2", "16 bytes", "15"]),
        (idx([[1, 2], [3, 4]]) + b"!", ["too long", "16 bytes", "17"]),
        (b"\0\0\x08\x03" + b"\xff" * 12, ["cut off", "4294967295 x 4294967295"]),
        (idx([1, 2]), ["shape (2,)", "images"]),
        (idx(np.zeros((0, 2))), ["shape (0, 2)"]),
        (idx([[1.0, np.nan]], 13), ["image 0", "nan"]),
    ],
)
def test_a_damaged_idx_file_is_named(tmp_path, content, parts):
    write(tmp_path, "x-labels-idx1-ubyte", idx([1]))
    message = refusal(write(tmp_path, "x-images-idx3-ubyte", content))
    for part in parts:
        assert part in message


def test_labels_that_do_not_belong_to_the_images_are_named(tmp_path):
    images = write(tmp_path, "x-images-idx2-ubyte", idx([[1], [2], [3]]))
    assert "x-labels-idx1-ubyte is not beside it" in refusal(images)
    write(tmp_path, "x-labels-idx1-ubyte", idx([1, 0]))
    message = refusal(images)
    assert "2 labels" in message and "3 images" in message
    write(tmp_path, "x-labels-idx1-ubyte", idx([1, 0, 1, 0]))
    assert "4 labels" in refusal(images)
    other = write(tmp_path, "other.idx", idx([[1, 2]]))
    assert "(1, 2), not (N,)" in refusal(images, str(other))
    assert "no such file" in refusal(images, str(tmp_path / "absent.idx"), FileNotFoundError)
    assert "target: the labels of" in refusal(write(tmp_path, "photos.idx", idx([[1], [2]])))
    reals = write(tmp_path, "reals.idx", idx([1.0, 0.5, 1.0], 13))
    assert "label 1 is 0.5" in refusal(images, str(reals))


# Parquet


@pytest.fixture
def polars():
    return pytest.importorskip("polars")


@pytest.mark.peers
@pytest.mark.parametrize("target", ["bird", 1, "1", "-3"])
def test_parquet_reads_numbers_and_labels_of_every_kind(tmp_path, polars, target):
    frame = polars.DataFrame(
        {"a": [3.5, -20.0, 0.25], "bird": ["wren", "crow", "wren"], "b": [1, 0, 7], "c": [True] * 3}
    )
    for dtype, labels in [(polars.String, None), (polars.Categorical, None), (polars.Enum(["wren", "crow"]), None)]:
        frame.with_columns(polars.col("bird").cast(dtype)).write_parquet(tmp_path / "t.parquet")
        data = read_table(tmp_path / "t.parquet", target)
        assert data.X.tolist() == [[*row, 1.0] for row in X], labels
        assert data.y.tolist() == ["wren", "crow", "wren"]
        assert data.feature_names == ("a", "b", "c")
    for values, wanted in [([2, 1, 2], [2, 1, 2]), ([2.0, 1.0, 2.0], [2, 1, 2]), ([True, False, True], [1, 0, 1])]:
        frame.with_columns(bird=polars.Series(values)).write_parquet(tmp_path / "t.pq")
        assert read_table(tmp_path / "t.pq", target).y.tolist() == wanted


@pytest.mark.peers
def test_parquet_is_known_by_its_content_and_leaves_the_index_of_pandas_out(tmp_path, polars):
    frame = polars.DataFrame({"a": [1.0, 2.0], "bird": ["wren", "crow"], "__index_level_0__": [5, 6]})
    frame.write_parquet(tmp_path / "table.bin")
    data = read_table(tmp_path / "table.bin")
    assert data.target_name == "bird"
    assert "index" in data.notes[0]


@pytest.mark.peers
@pytest.mark.parametrize(
    ("columns", "target", "parts"),
    [
        ({"a": [1.0, None], "k": [0, 1]}, None, ["row 1", "column 'a'", "missing"]),
        ({"a": [1.0, float("nan")], "k": [0, 1]}, None, ["row 1", "column 'a'", "nan"]),
        ({"a": ["x", "y"], "k": [0, 1]}, None, ["column 'a'", "String", "numbers"]),
        ({"a": [[1.0], [2.0]], "k": [0, 1]}, None, ["column 'a'", "List"]),
        ({"a": [1.0, 2.0], "k": [0, None]}, None, ["row 1", "column 'k'", "missing"]),
        ({"a": [1.0, 2.0], "k": [0.5, 1.0]}, None, ["the column 'k'", "0.5", "columns: a, k"]),
        ({"a": [1.0, 2.0], "k": [b"x", b"y"]}, None, ["column 'k'", "Binary"]),
        ({"a": [1.0, 2.0], "k": [0, 1]}, "fish", ["'fish'", "columns: a, k"]),
        ({"a": [1.0, 2.0], "k": [0, 1]}, "2", ["index 2", "2 columns"]),
        ({"k": [0, 1]}, None, ["1 columns (k)"]),
        ({"a": [], "k": []}, None, ["0 rows"]),
        ({"a": list(range(30)), "k": list(range(30))}, None, ["identifier"]),
    ],
)
def test_parquet_faults_are_named(tmp_path, polars, columns, target, parts):
    polars.DataFrame(columns).write_parquet(tmp_path / "bad.parquet")
    message = refusal(tmp_path / "bad.parquet", target)
    for part in parts:
        assert part in message


@pytest.mark.peers
def test_damaged_parquet_is_named(tmp_path, polars):
    polars.DataFrame({"a": np.arange(500.0), "k": np.arange(500) % 3}).write_parquet(tmp_path / "ok.parquet")
    content = (tmp_path / "ok.parquet").read_bytes()
    flipped = content[:40] + bytes(255 - b for b in content[40:80]) + content[80:]
    for damaged in (content[:-7], content[:50], b"PAR1", b"a,b\n1,2\n", content[:8] + content[60:], flipped):
        assert "is not a Parquet file, or is damaged" in refusal(write(tmp_path, "bad.parquet", damaged))


# svmlight


@pytest.fixture
def svmlight():
    return pytest.importorskip("sklearn.datasets")


@pytest.mark.peers
@pytest.mark.parametrize("suffix", [".svm", ".svmlight", ".libsvm", ".libsvm.gz", ".svm.bz2"])
def test_svmlight_becomes_a_dense_matrix(tmp_path, svmlight, suffix):
    text = b"# comment\n1 1:0.5 3:-2 # tail\n-1 2:1e1\n1\n"
    compress = {"gz": gzip.compress, "bz2": bz2.compress}.get(suffix.rsplit(".", 1)[1], bytes)
    data = read_table(write(tmp_path, "t" + suffix, compress(text)))
    assert data.X.tolist() == [[0.5, 0, -2], [0, 10, 0], [0, 0, 0]]
    assert data.y.tolist() == [1, -1, 1]
    assert data.y.dtype == np.int64
    assert data.feature_names == ("feature 1", "feature 2", "feature 3")
    zero = read_table(write(tmp_path, "z.svm", b"3 0:1 2:2\n4 1:5\n"))
    assert zero.feature_names == ("feature 0", "feature 1", "feature 2")
    assert zero.X.tolist() == [[1, 0, 2], [0, 5, 0]]
    late = read_table(write(tmp_path, "l.svm", b"3 3:1\n4 4:5\n"))  # features 1 and 2 are 0 in this file, not absent
    assert late.feature_names == ("feature 1", "feature 2", "feature 3", "feature 4")
    assert late.X.tolist() == [[0, 0, 1, 0], [0, 0, 0, 5]]


@pytest.mark.peers
def test_svmlight_reads_what_scikit_learn_writes(tmp_path, svmlight):
    rng = np.random.default_rng(0)
    wanted, y = rng.standard_normal((20, 4)) * (rng.random((20, 4)) < 0.7), np.arange(20) % 3
    svmlight.dump_svmlight_file(wanted, y, str(tmp_path / "t.svm"), zero_based=False)
    data = read_table(tmp_path / "t.svm")
    assert (data.y == y).all()
    # The writer prints 16 significant digits: a relative 1e-15 covers half a unit of the last and its rounding.
    np.testing.assert_allclose(data.X, wanted, rtol=1e-15, atol=0)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("content", "target", "parts"),
    [
        ("1 1:2\nwren 1:3\n", None, ["line 2", "'wren'", "label"]),
        ("1 1:2\n0 3\n", None, ["line 2", "'3' is not index:value"]),
        ("1 1:2\n0 1:x\n", None, ["line 2", "'1:x'"]),
        ("1 1:2\n0 a:1\n", None, ["line 2", "'a:1'"]),
        ("1 2:2 1:3\n", None, ["line 1", "index 1 does not rise"]),
        ("1,2 1:3\n", None, ["line 1", "'1,2'"]),
        ("1 1:2\n0.5 1:3\n", None, ["label of sample 1", "0.5"]),
        ("1 1:2\n0 1:nan\n", None, ["sample 1, feature 1", "nan"]),
        ("1 1:2\n0 1:1e400\n", None, ["sample 1, feature 1", "inf"]),
        ("1\n0\n", None, ["no feature"]),
        ("# nothing\n", None, ["no feature"]),
        ("1 1:2\n0 2000000000:3\n", None, ["GiB", "dense"]),
        ("1 1:2\n0 1:3\n", "0", ["target", "opens each line"]),
        (b"\xff\xfe\x00\x01", None, ["line 1"]),
        ("a,b\n1,2\n", None, ["line 1", "'a,b'"]),
    ],
)
def test_svmlight_faults_are_named(tmp_path, svmlight, content, target, parts):
    message = refusal(write(tmp_path, "bad.svm", content), target)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(("name", "package"), [("t.parquet", "polars"), ("t.svm", "sklearn")])
def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch, name, package):
    true_import = builtins.__import__

    def without(wanted, *arguments, **options):
        if wanted.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return true_import(wanted, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "pip install 'jaxsoftmax[tables]'" in refusal(write(tmp_path, name, "1 1:2\n"), None, ImportError)

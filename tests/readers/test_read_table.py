"""Reading tables: every legal form gives the same numbers, every fault one message with its place and a remedy."""

import gzip
import random
from fractions import Fraction

import numpy as np
import pytest

from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.readers.columns import integer_in, is_decimal
from jaxsoftmax.readers.exact_cells import refuse_rounded_cells
from jaxsoftmax.readers.read_table import read_table

ROWS = "3.5,1,wren\n-2e1,0,crow\n0.25,7,wren\n"
X = [[3.5, 1.0], [-20.0, 0.0], [0.25, 7.0]]


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


@pytest.mark.parametrize(
    ("name", "content", "target"),
    [
        ("plain.csv", ROWS, None),
        ("header.csv", "a,b,bird\n" + ROWS, None),
        ("by_name.csv", "bird,a,b\nwren,3.5,1\ncrow,-2e1,0\nwren,0.25,7\n", "bird"),
        ("first_no_header.csv", "wren,3.5,1\ncrow,-2e1,0\nwren,0.25,7\n", 0),
        ("by_negative_index.csv", ROWS, -1),
        ("by_index_text.csv", "a,bird,b\n3.5,wren,1\n-2e1,crow,0\n0.25,wren,7\n", "1"),
        ("bom.csv", b"\xef\xbb\xbfa,b,bird\n" + ROWS.encode(), None),
        ("crlf.csv", ROWS.replace("\n", "\r\n"), None),
        ("trailing.csv", ROWS + "\n\n  \n", None),
        ("no_final_newline.csv", ROWS.rstrip(), None),
        ("leading.csv", "\n\na,b,bird\n" + ROWS, None),
        ("quoted.csv", '"a","b","bird"\n"3.5","1","wren"\n-2e1, 0, crow\n0.25,7,"wren"\n', None),
        ("tabs.tsv", ROWS.replace(",", "\t"), None),
        ("commas.tsv", ROWS, None),
        ("semicolons.csv", ROWS.replace(",", ";"), None),
        ("blanks.txt", ROWS.replace(",", "   "), None),
        ("semicolons.txt", ROWS.replace(",", ";"), None),
        ("tabs.data", ROWS.replace(",", "\t"), None),
        ("counted.csv", "0,1,bird\n" + ROWS, None),
    ],
)
def test_every_legal_form_reads_the_same_numbers(tmp_path, name, content, target):
    table = read_table(write(tmp_path, name, content), target)
    assert table.X.tolist() == X
    assert table.X.dtype == np.float64
    assert table.y.tolist() == ["wren", "crow", "wren"]


def test_names_come_from_the_header_or_count_the_columns(tmp_path):
    table = read_table(write(tmp_path, "h.csv", "a,bird,b\n1,wren,2\n3,crow,4\n"), "bird")
    assert table.feature_names == ("a", "b")
    assert table.target_name == "bird"
    assert read_table(write(tmp_path, "n.csv", ROWS)).feature_names == ("column 0", "column 1")


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["3", "1", "3"], [3, 1, 3]),
        (["1.0", "2.0", "-4"], [1, 2, -4]),
        (["0", "1", "b"], ["0", "1", "b"]),
        (["True", "False", "True"], ["True", "False", "True"]),
        (["grüner Ära", "日本", "grüner Ära"], ["grüner Ära", "日本", "grüner Ära"]),
        (["NA", "EU", "NA"], ["NA", "EU", "NA"]),
        (["9007199254740993", "9007199254740992", "1"], [9007199254740993, 9007199254740992, 1]),
        (["99999999999999999999999", "1", "1"], ["99999999999999999999999", "1", "1"]),
        (["9007199254740993.0", "9007199254740992.0", "1"], [9007199254740993, 9007199254740992, 1]),
        (["0e-999999999", "12e1", "-0"], [0, 120, 0]),
        (["1e400", "1", "1"], ["1e400", "1", "1"]),
        (["1_000", "a", "a"], ["1_000", "a", "a"]),
    ],
)
def test_labels_are_integers_where_all_are_and_text_otherwise(tmp_path, cells, labels):
    text = "a,label\n" + "".join(f"{k}.5,{cell}\n" for k, cell in enumerate(cells))
    assert read_table(write(tmp_path, "labels.csv", text)).y.tolist() == labels


def test_the_grammar_of_numbers_is_that_of_the_checker():
    """Section 7.10: both take the same cells, exactly as Fraction reads them, and none that float refuses."""
    draw, taken = random.Random(3), 0
    for _ in range(20_000):
        cell = "".join(draw.choice("0012359+-..eE_ /x٣\u00a0") for _ in range(draw.randint(0, 6)))
        try:
            m, k = check_existence._scientific(cell.strip())
        except ValueError:
            assert not is_decimal(cell), cell
            continue
        assert is_decimal(cell) and float(cell) is not None, cell
        if abs(k) < 400:
            exact = Fraction(cell.strip())
            assert exact == m * Fraction(10) ** k, cell
            whole = int(exact) if exact.denominator == 1 else None
            assert integer_in(cell) == (
                whole if whole is None or abs(whole) < 2**63 else 2**63 * (1 if whole > 0 else -1)
            )
        taken += 1
    assert taken > 1000


def test_a_numeric_label_column_with_a_name_above_counted_features_has_a_header(tmp_path):
    table = read_table(write(tmp_path, "frame.csv", "0,1,2,target\n5,6,7,1\n8,9,10,0\n"))
    assert table.X.shape == (2, 3)
    assert table.target_name == "target"


def test_a_text_label_without_header_keeps_the_first_row(tmp_path):
    assert read_table(write(tmp_path, "iris.data", "5.1,3.5,setosa\n4.9,3.0,setosa\n7,3.2,versicolor\n")).X.shape == (
        3,
        2,
    )


def test_an_unnamed_counting_column_is_reported(tmp_path):
    table = read_table(write(tmp_path, "index.csv", ",a,label\n0,5.5,x\n1,2.5,y\n2,2.5,x\n"))
    assert "no name and counts the rows" in table.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "target", "parts"),
    [
        ("empty.csv", "", None, ["empty"]),
        ("blank.csv", "\n \n\n", None, ["blank lines"]),
        ("header.csv", "a,b,bird\n", None, ["header and no rows"]),
        ("one.csv", "1\n2\n", None, ["line 1 has one column"]),
        ("ragged.csv", ROWS + "1,2\n", None, ["line 4 has 2 cells", "line 1 has 3"]),
        ("ragged_header.csv", "a,b,bird\n" + ROWS + "\n1,2,3,wren\n", None, ["line 6 has 4 cells", "header has 3"]),
        ("text.csv", "a,b,bird\n1,2,wren\n1,red,crow\n", None, ["line 3", "column 'b'", "'red'", "target"]),
        ("comma.csv", "a;b;bird\n1,5;2;wren\n", None, ["line 2", "'1,5'", "point"]),
        ("missing.csv", "a,b,bird\n1,2,wren\n,3,crow\n", None, ["line 3", "column 'a'", "missing", "''"]),
        ("na.csv", "a,b,bird\n1,2,wren\n1,NA,crow\n", None, ["line 3", "column 'b'", "missing", "'NA'"]),
        ("nan.csv", "a,b,bird\n1,2,wren\n1,nan,crow\n", None, ["line 3", "column 'b'", "nan", "finite"]),
        ("inf.csv", "a,b,bird\n1,2,wren\n1,-inf,crow\n", None, ["line 3", "column 'b'", "-inf", "finite"]),
        ("no_label.csv", "a,b,bird\n1,2,wren\n1,3,\n", None, ["line 3", "label", "'bird'", "missing"]),
        ("na_label.csv", "a,b,k\n1,2,0\n1,3,1\n1,3,NA\n", None, ["line 4", "label", "missing", "'NA'"]),
        ("real.csv", "a,bird,price\n1,2,3.5\n1,3,4.5\n", None, ["line 2", "'price'", "'3.5'", "a, bird, price"]),
        ("twice.csv", "a,a,bird\n1,2,wren\n", None, ["two columns", "'a'", "0 and 1"]),
        ("unknown.csv", "a,b,bird\n1,2,wren\n", "brid", ["target", "'brid'", "columns: a, b, bird"]),
        ("unknown_plain.csv", ROWS, "brid", ["target", "'brid'", "no header", "0 to 2"]),
        ("index.csv", "a,b,bird\n1,2,wren\n", "7", ["index 7", "3 columns"]),
        ("nul.csv", b"1,2,a\n1,\x00,b\n", None, ["not text", "CSV"]),
        ("zip.csv", gzip.compress(b"1,2,a\n", mtime=0), None, ["not text"]),
        ("latin.csv", "a,b,bird\n1,2,wren\n1,2,ä\n".encode("latin-1"), None, ["line 3", "UTF-8", "0xe4"]),
        ("digits.csv", "a,b,bird\n1,2,wren\n1,1_000,crow\n", None, ["line 3", "'b'", "'1_000'", "digits 0 to 9"]),
        ("script.csv", "a,b,bird\n1,２,wren\n", None, ["line 2", "'b'", "'２'", "digits 0 to 9"]),
        ("first.csv", "1_000,wren\n2,crow\n", None, ["line 1", "'1_000'", "digits 0 to 9"]),
        ("long.csv", "1." + "0" * 4000 + ",wren\n2,crow\n", None, ["line 1", "at most 4,000 characters"]),
        ("tiny.csv", "1,0\n2,1e-400\n", None, ["line 2", "'1e-400'", "no text or integer"]),
        ("inf_label.csv", "1,0\n2,inf\n3,1\n", None, ["line 2", "'inf'", "no text or integer"]),
        ("quote.csv", 'a,b,bird\n1,2,"' + "x" * 140_000 + "\n", None, ["line 2", "quotes"]),
        ("ids.csv", "a,name\n" + "".join(f"1,n{k}\n" for k in range(30)), None, ["'name'", "target", "identifier"]),
    ],
)
def test_every_fault_is_one_message_with_place_and_remedy(tmp_path, name, content, target, parts):
    file = write(tmp_path, name, content)
    with pytest.raises(ValueError) as caught:
        read_table(file, target)
    message = str(caught.value)
    assert str(file) in message
    assert "\n" not in message
    for part in parts:
        assert part in message


def test_a_missing_path_and_a_directory_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_table(tmp_path / "absent.csv")
    with pytest.raises(ValueError, match="is a directory"):
        read_table(tmp_path)


def test_npz_labels_and_probabilities(tmp_path):
    file = tmp_path / "a.npz"
    np.savez(file, X=np.array([[1, 2], [3, 4]], dtype=np.int8), y=np.array(["u", "v"]))
    table = read_table(file)
    assert table.X.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert table.y.tolist() == ["u", "v"]
    np.savez(file, X=np.eye(2), T=np.full((2, 3), 1 / 3), k=np.array([1.0, 4.0]))
    assert read_table(file).has_probabilities
    assert read_table(file, "k").y.tolist() == [1, 4]


@pytest.mark.parametrize(
    ("arrays", "parts"),
    [
        ({"A": np.eye(2)}, ["no array X", "A"]),
        ({"X": np.eye(2), "z": np.ones(2)}, ["no array y", "X, z"]),
        ({"X": np.eye(2), "y": np.array([None, 1], dtype=object)}, ["array y", "pickle"]),
        ({"X": np.ones(2), "y": np.ones(2)}, ["X has shape (2,)"]),
        ({"X": np.ones((2, 2)) * 1j, "y": np.ones(2)}, ["complex128"]),
        ({"X": np.eye(2), "y": np.ones(3)}, ["y has shape (3,)", "(2,)"]),
        ({"X": np.eye(2), "y": np.array([0.5, 1])}, ["y[0] is 0.5"]),
        ({"X": np.array([[1.0, np.nan]]), "y": np.ones(1)}, ["X[0, 1] is nan"]),
    ],
)
def test_npz_faults_name_the_arrays(tmp_path, arrays, parts):
    file = tmp_path / "bad.npz"
    np.savez(file, **arrays)
    with pytest.raises(ValueError) as caught:
        read_table(file)
    for part in parts:
        assert part in str(caught.value)


def test_a_damaged_archive_is_refused(tmp_path):
    file = tmp_path / "bad.npz"
    np.savez(file, X=np.eye(50), y=np.ones(50))
    for content in (file.read_bytes()[:300], b"not an archive at all", _flipped(file.read_bytes())):
        with pytest.raises(ValueError, match="NPZ"):
            read_table(write(tmp_path, "cut.npz", content))


def _flipped(content):
    """The archive with one byte of its data changed: the checksum of the member no longer fits."""
    return content[:200] + bytes([content[200] ^ 255]) + content[201:]


@pytest.mark.parametrize("head", ["", "member,size,bird\n"])
@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("TRUE", "false"), (" true ", "0")])
def test_true_and_false_are_one_and_zero_as_features(tmp_path, head, yes, no):
    """As pandas writes them; a first line of them is no header. Reader, exact reader and checker agree."""
    content = f"{head}{yes},3.5,wren\n{no},-2e1,crow\n{yes},0.25,wren\n"
    path = write(tmp_path, "t.csv", content)
    table = read_table(path)
    assert table.X.tolist() == [[1.0, 3.5], [0.0, -20.0], [1.0, 0.25]]
    assert table.table is not None and table.table["header"] == bool(head)
    refuse_rounded_cells(path, table.table, table.feature_names)
    columns, labels, *_ = check_existence._read_table(path, content, table.table, True)
    assert [Fraction(p, columns[0].denominator) for p in columns[0].integers] == [1, 0, 1]
    assert labels == ["wren", "crow", "wren"]


def test_a_table_of_truth_alone_has_no_header(tmp_path):
    table = read_table(write(tmp_path, "t.csv", "True,False,wren\nFalse,False,crow\n"))
    assert table.X.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_the_checker_takes_no_line_of_truth_as_a_header(tmp_path):
    """A certificate that left out the first sample would be about other data."""
    text = "True,False,wren\nFalse,False,crow\nTrue,True,wren\n"
    with pytest.raises(check_existence.RefusedCertificate, match="its first line is a sample"):
        check_existence._read_table(tmp_path / "t.csv", text, {"delimiter": ",", "header": True, "target": 2}, True)

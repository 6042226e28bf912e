"""Section 7.10: the checker reads the same numbers from every kind of file, exactly, and names what it cannot read."""

import dataclasses
import gzip
import struct
from fractions import Fraction

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.certificates.certificates import Tiny, complete, idx, labelled, overlap, quasi, save
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate, check

COMMA = {"delimiter": ",", "header": False, "target": 1}


def two_columns(**options):
    """Overlap in two features, with a negative and a large number."""
    tiny = labelled([[1, -300], [2, 0], [1, -300], [2, 0]], "aabb", **options)
    return tiny, tiny.certificate("multipliers", G=[[-1, 1], [-1, 1], [1, -1], [1, -1]])


# ── the same data in every form ──
def test_dump_table_and_idx_have_one_hash(tmp_path):
    """The checker accepts the one certificate, whose hash is the specification's, with each file."""
    tiny, certificate = two_columns()
    forms = [("data.txt", tiny.dump()), ("data.txt.gz", gzip.compress(tiny.dump().encode()))]
    for delimiter in (",", "\t", ";", None):
        for header in (False, True):
            for target in (0, 1, 2):
                table = {"delimiter": delimiter, "header": header, "target": target}
                tiny = dataclasses.replace(tiny, table=table, features=["u", "v"] if header else None)
                text = tiny.csv(delimiter or "  ", header, target)
                certificate["data"] = tiny.data()
                assert check(*save(tmp_path, certificate, text, "data.csv")).status == "ATTAINED"
                assert check(*save(tmp_path, certificate, gzip.compress(text.encode()))).status == "ATTAINED"
    certificate["data"] |= {"features": None, "table": None}
    for name, data in forms:
        assert check(*save(tmp_path, certificate, data, name)).status == "ATTAINED"
    tiny.classes, tiny.labels = [3, 7], [3, 3, 7, 7]
    certificate["data"] = dataclasses.replace(tiny, table=None, features=None).data()
    entries = [x for row in tiny.X for x in row]
    for code, letter in {0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}.items():
        (tmp_path / "x-labels-idx1-ubyte").write_bytes(idx(8, "B", (4,), tiny.labels))
        files = save(tmp_path, certificate, idx(code, letter, (4, 2), entries), "x-images-idx3-ubyte")
        assert check(*files).status == "ATTAINED"
        apart = tmp_path / "of-another-name"
        apart.write_bytes(gzip.compress(idx(code, letter, (4,), tiny.labels)))
        (tmp_path / "x-labels-idx1-ubyte").unlink()
        assert check(*files, apart).status == "ATTAINED"


@pytest.mark.parametrize("top", [100, 127, 128, 255])
def test_bytes_of_idx_have_the_width_that_they_need(top, tmp_path):
    tiny = labelled([[0, 1], [top, 1]], "ab")
    tiny.classes = [0, 1]
    certificate = tiny.certificate("direction", "complete", V=[[1, 0, 1], [1, 2, f"{hex(0)}"]])
    certificate["direction"]["entries"] = [[1, 0, 2], [1, 2, -1]]
    entries = [x for row in tiny.X for x in row]
    (tmp_path / "labels.idx").write_bytes(idx(8, "B", (2,), [0, 1]))
    files = save(tmp_path, certificate, idx(8, "B", (2, 1, 2), entries), "images.idx")
    assert check(*files).type == "complete"


def test_signed_bytes_of_idx(tmp_path):
    tiny = labelled([[-128], [127]], "ab")
    tiny.classes = [0, 1]
    (tmp_path / "labels.idx").write_bytes(idx(9, "b", (2,), [0, 1]))
    certificate = tiny.certificate("direction", "complete", V=[[1, 0, 1]])
    assert check(*save(tmp_path, certificate, idx(9, "b", (2, 1), [-128, 127]), "images.idx")).type == "complete"


@pytest.mark.parametrize(
    "text",
    [
        "1,a\n2,a\n1,b\n2,b",
        "\ufeff1,a\n2,a\n\n   \n1,b\n2,b\n\n",
        '"1","a"\r\n2, a\r\n 1,"b"\r\n2.0 ,b\r\n',
        "+1,a\n2e0,a\n1.,b\n20E-1,b\n",
    ],
)
def test_conventions_of_tables(text, tmp_path):
    certificate = overlap()[1]
    certificate["data"]["table"] = COMMA
    assert check(*save(tmp_path, certificate, text)).status == "ATTAINED"


def test_labels_of_integers(tmp_path):
    """1.0 counts as 1; beyond 2^53 every digit counts."""
    big = 2**53 + 1
    tiny, certificate = overlap()
    tiny.classes, tiny.table = [-1, big], COMMA
    certificate["data"] = tiny.data()
    text = f"1,-1\n2,-1.0\n1,{big}\n2,{big}.0\n"
    assert check(*save(tmp_path, certificate, text)).status == "ATTAINED"
    with pytest.raises(ValueError, match=rf"line 4, column 1: the label {big - 1} is none of the classes"):
        check(*save(tmp_path, certificate, text.replace(f"{big}.0", str(big - 1))))


# ── how numbers are read ──
def tie(numbers, third):
    """0.1 + 0.2 ties with 0.3 as decimals, and beats it as doubles."""
    tiny = labelled([[Fraction(0.1), Fraction(0.2), Fraction(0.3)], [1, 0, 0]], "ab", intercept=False, numbers=numbers)
    if numbers == "decimal":
        tiny.X[0] = ["1/10", "2/10", third]
    tiny.table = {"delimiter": ",", "header": False, "target": 3}
    V = [[1, 0, 1], [1, 1, 1], [1, 2, -1]]
    return tiny, tiny.certificate("direction", "open", V=V)


def test_a_tie_of_decimals_is_none_of_doubles(tmp_path):
    """A CSV file's text, and the floats of a dump, under both readings."""
    text = "0.1,0.2,0.3,a\n1,0,0,b\n"
    for form in ("table", "dump"):
        for numbers in ("decimal", "double"):
            tiny, certificate = tie(numbers, "3/10")
            dump = tiny.dump().replace(" ".join(map(str, map(Fraction, tiny.X[0]))), "0x1.999999999999ap-4 {} {}")
            dump = dump.format((0.2).hex(), (0.3).hex())
            files = save(tmp_path, certificate, text if form == "table" else dump)
            if numbers == "decimal":
                assert check(*files).type == "open"
            else:
                with pytest.raises(RefusedCertificate, match="V leaves class 0 of sample 0 behind"):
                    check(*files)
    tiny, certificate = tie("decimal", "3/10")
    certificate["data"]["numbers"] = "double"
    with pytest.raises(RefusedCertificate, match="other data: its sha256"):
        check(*save(tmp_path, certificate, text))


def test_digits_beyond_a_double_count_in_text(tmp_path):
    """The decimal is the text, not the double nearest to it."""
    text = "1.00000000000000000001,a\n2,a\n1.00000000000000000001,b\n2,b\n"
    tiny, certificate = overlap()
    tiny.X, tiny.table = [["1.00000000000000000001"], [2], ["1.00000000000000000001"], [2]], COMMA
    certificate["data"] = tiny.data()
    assert check(*save(tmp_path, certificate, text)).status == "ATTAINED"
    tiny.X, tiny.numbers = [[1], [2], [1], [2]], "double"
    certificate["data"] = tiny.data()
    assert check(*save(tmp_path, certificate, text)).status == "ATTAINED"


def test_extreme_doubles(tmp_path):
    """Subnormals and 1e308 in one column: integers of two thousand bits."""
    values = [5e-324, 1e308, -1e-300, 0.0]
    tiny = labelled([[Fraction(x)] for x in values * 2], "aaaabbbb", numbers="double")
    certificate = tiny.certificate("multipliers", G=[[-1, 1]] * 4 + [[1, -1]] * 4)
    text = tiny.dump(lambda x: float(x).hex())
    assert check(*save(tmp_path, certificate, text)).status == "ATTAINED"


# ── what the library writes ──
@pytest.mark.parametrize("numbers", ["double", "decimal"])
def test_a_problem_that_was_dumped(numbers, tmp_path):
    """Problem.dump with soft targets, weights of 0, float strengths and names: the hash is the specification's."""
    X, T = [[0.1, 3.0], [-2.5, 0.7], [9.0, 1e-3]], [[0.25, 0.75], [1.0, 0.0], [0.0, 1.0]]
    regularizer = js.L2(0.1, penalize_intercept=True) + js.LogCosh(0.0, 0.3)
    options = {"sample_weight": np.array([0.1, 2.0, 0.0]), "regularizer": regularizer, "classes": ["a", "b"]}
    problem = js.Problem(X, T, intercept=True, feature_names=["u", "v"], **options)
    problem.dump(tmp_path / "problem.txt")

    def number(x):
        return Fraction(repr(x)) if numbers == "decimal" else Fraction(x)

    lines = [f"l2 {number(0.1)} 1", f"logcosh 0 {number(0.3)} 0"]
    exact = [[number(x) for x in row] for row in X]
    names = {"classes": ["a", "b"], "features": ["u", "v"], "label_smoothing": None}
    tiny = Tiny(exact, T, regularizers=lines, weights=[number(0.1), 2, 0], numbers=numbers, **names)
    file = save(tmp_path, tiny.certificate("coercive"), "")[0]
    assert check(file, tmp_path / "problem.txt").status == "ATTAINED"


# ── what cannot be read ──
def fails(folder, data, message, name="data.csv", kind=overlap, **parts):
    certificate = kind()[1]
    certificate["data"] |= {"table": COMMA} | parts
    with pytest.raises(ValueError, match=message) as caught:
        check(*save(folder, certificate, data, name))
    assert caught.type is ValueError


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,a\nnan,a\n1,b\n2,b", "data.csv: line 2, column 0: 'nan' is no finite number. Correct it"),
        ("1,a\n\n-inf,a\n1,b\n2,b", "line 3, column 0: '-inf' is no finite number"),
        ("1,a\n,a\n1,b\n2,b", "line 2, column 0: '' is no finite number"),
        ("1,a\ntwo,a\n1,b\n2,b", "line 2, column 0: 'two' is no finite number"),
        ("1,a\n1e999999999,a\n1,b\n2,b", "line 2, column 0: '1e999999999' is no finite number"),
        ("1,a\n2\n1,b\n2,b", "line 2 has 1 cells, not 2. Complete the row or remove it"),
        ("1,a\n2,a,a\n1,b\n2,b", "line 2 has 3 cells, not 2"),
        ("1,a\n2,c\n1,b\n2,b", "line 2, column 1: the label 'c' is none of the classes"),
        ("1,a\n2,\n1,b\n2,b", "line 2, column 1: the label '' is none of the classes"),
        ("", "must have features and, in column 1, a label"),
        ("\n \n", "must have features and, in column 1, a label"),
        ("1\n2\n", "has 1 columns, and must have features"),
        ('1,"a\n2,a\n1,b\n', "line 1"),
        (b"1,a\n2,\xff\n", "is not text in UTF-8"),
        (b"PK\3\4\0\0", "is no dump and no IDX, and the certificate describes no table. Dump the problem"),
        (b"\x1f\x8b\x08\0", "data.csv: cannot be read"),
    ],
)
def test_a_fault_of_a_table_is_named(text, message, tmp_path):
    fails(tmp_path, text, message)


def test_a_target_column_of_floats_is_named(tmp_path):
    text = "1,0\n2,0.5\n1,1\n2,1\n"
    fails(tmp_path, text, "line 2, column 1: the label '0.5' is no text and no integer", classes=[0, 1])
    fails(tmp_path, text.replace("0.5", "x"), "line 1, column 1: the label '0' is none of the classes", classes=[0, 1])


def test_the_description_of_the_table_must_fit(tmp_path):
    text = "1,a\n2,a\n1,b\n2,b"
    fails(tmp_path, text, "describes no table", table=None)
    fails(tmp_path, text, "in column 2, a label", table=COMMA | {"target": 2})
    fails(tmp_path, text, "in column -1, a label", table=COMMA | {"target": -1})
    fails(tmp_path, text, "target: needs int; found True", table=COMMA | {"target": True})
    fails(tmp_path, text, "line 1, delimiter ',,'", table=COMMA | {"delimiter": ",,"})
    fails(tmp_path, text, "line 1, delimiter ''", table=COMMA | {"delimiter": ""})
    fails(tmp_path, text, "in column 1, a label", table=COMMA | {"delimiter": ";"})
    fails(tmp_path, text, "labels need classes, each once", classes=None)
    fails(tmp_path, text, "labels need classes, each once", classes=["a", "a"])
    for label_smoothing in (None, "2", "-1", "1/0", "0.5", "1e9", "x"):
        fails(tmp_path, text, "smoothing as a fraction", label_smoothing=label_smoothing)


def test_a_header_must_be_the_certificates(tmp_path):
    certificate = overlap()[1]
    certificate["data"] |= {"table": COMMA | {"header": True}, "features": ["u"]}
    files = save(tmp_path, certificate, "u,kind\n1,a\n2,a\n1,b\n2,b\n")
    assert check(*files).status == "ATTAINED"
    save(tmp_path, certificate, "w,kind\n1,a\n2,a\n1,b\n2,b\n")
    with pytest.raises(RefusedCertificate, match=r"the columns are \['w'\], in the certificate \['u'\]"):
        check(*files)
    save(tmp_path, certificate, "1,a\n2,a\n1,b\n2,b\n")  # a row is taken for the header
    with pytest.raises(RefusedCertificate, match="first line is a sample"):
        check(*files)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("problem 1", "problem 2", "line 1 is 'jaxsoftmax-problem 2', not 'jaxsoftmax-problem 1'"),
        ("shape 4 1 2", "shape 4 1", "line 2 is 'shape 4 1', not"),
        ("shape 4 1 2", "shape 5 1 2", "is 'sample_weight'|is 'end'|is ''|is 'missing'"),
        ("shape 4 1 2", "shape 99999999999999 1 2", "is 'missing', not 'end'"),
        ("shape 4 1 2", "shape 4 2 2", "line 8 has 1 numbers, not 2"),
        ("intercept 1", "intercept yes", "line 3 is 'intercept yes', not"),
        ("regularizers 0", "regularizers 1", "must be l2 ALPHA"),
        ("classes [", "classes (", "line 5: is cut off or is not the JSON it should be"),
        ("X\n1\n", "X\nnan\n", "line 8, number 1: 'nan' is no finite number"),
        ("X\n1\n", "X\n0xinf\n", "line 8, number 1: '0xinf' is no finite number"),
        ("X\n1\n", "X\n0x1p99999\n", "line 8, number 1: '0x1p99999' is no finite number"),
        ("X\n1\n", "X\n1/0\n", "line 8, number 1: '1/0' is no finite number"),
        ("X\n1\n", "X\n\n", "line 8, number 1: '' is no finite number"),
        ("X\n1\n", "X\n1 2\n", "line 8 has 2 numbers, not 1"),
        ("T\n1 0", "T\n1 1", "line 13 is no row of probabilities"),
        ("T\n1 0", "T\n2 -1", "line 13 is no row of probabilities"),
        ("T\n1 0", "T\n1 x", "line 13: 'x' is no finite number"),
        ("T\n1 0", "T\n1", "line 13 has 1 numbers, not 2"),
        ("weight\n1", "weight\n-1", "sample weights must be >= 0"),
        ("weight\n1\n1\n1\n1", "weight\n0\n0\n0\n0", "sample weights must be >= 0, and not all 0"),
        ("weight\n1", "weight\ninf", "sample_weight: 'inf' is no finite number"),
        ("end", "", "is '', not 'end'"),
    ],
)
def test_a_fault_of_a_dump_is_named(old, new, message, tmp_path):
    text = overlap()[0].dump()
    assert old in text
    fails(tmp_path, text.replace(old, new), message)


def test_every_truncation_of_a_dump_is_an_error(tmp_path):
    text = quasi()[0].dump()
    for length in range(len("jaxsoftmax-problem"), len(text) - 1, 5):
        fails(tmp_path, text[:length], "data.csv: ", kind=quasi)


IMAGES = idx(8, "B", (2, 1), [0, 1])
LABELS = idx(8, "B", (2,), [0, 1])


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES[:-1], LABELS, r"promises \(2, 1\) entries, and 1 bytes follow"),
        (IMAGES + b"\0", LABELS, "and 3 bytes follow"),
        (IMAGES[:6], LABELS, "is no IDX file, or is cut off"),
        (b"\0\0\7\1" + IMAGES[4:], LABELS, "is no IDX file, or is cut off"),
        (b"\0\0\x08\0", LABELS, "is no IDX file, or is cut off"),
        (b"\0\0", LABELS, "is no IDX file, or is cut off"),
        (idx(8, "B", (0, 1), []), LABELS, "0 bytes follow"),
        (IMAGES, LABELS[:-1], "labels.idx: promises"),
        (IMAGES, idx(8, "B", (3,), [0, 1, 1]), "do not fit together"),
        (LABELS, LABELS, "do not fit together"),
        (IMAGES, idx(8, "B", (2,), [0, 2]), "labels.idx: label 1: the label 2 is none of the classes"),
        (IMAGES, idx(13, "f", (2,), [0, 0.5]), "label 1: the label 0.5 is none of the classes"),
        (idx(13, "f", (2, 1), [0, float("nan")]), LABELS, "image 1, entry 0: nan is no finite number"),
        (idx(14, "d", (2, 1), [float("inf"), 1]), LABELS, "image 0, entry 0: inf is no finite number"),
        (IMAGES, None, "the file of its labels is not beside it. Name it with --labels FILE"),
    ],
)
def test_a_fault_of_idx_files_is_named(images, labels, message, tmp_path):
    if labels is not None:
        (tmp_path / "labels.idx").write_bytes(labels)
    fails(tmp_path, images, message, "images.idx", complete, classes=[0, 1])


BYTES = b'0129-.,ex/ab"\t\n\r \0\x1f\xff'


@pytest.mark.slow_cases("IDX")
@pytest.mark.parametrize("form", ["table", "IDX"])
def test_no_byte_of_the_data_passes_unnoticed_or_crashes(form, tmp_path):
    """Each byte replaced by many others: an error, or the same numbers in another spelling, which is rare."""
    certificate = complete()[1]
    if form == "table":
        certificate["data"]["table"] = COMMA
        content, name = b"0,a\n1,b\n", "data.csv"
    else:
        certificate["data"]["classes"] = [0, 1]
        (tmp_path / "labels.idx").write_bytes(LABELS)
        content, name = IMAGES, "images.idx"
    passed = []
    for place in range(len(content)):
        for byte in set(BYTES) - {content[place]}:
            data = content[:place] + bytes([byte]) + content[place + 1 :]
            try:
                check(*save(tmp_path, certificate, data, name))
            except ValueError:
                continue
            passed.append(data)
    if form == "table":
        spellings = {b"0,a\r1,b\n", *(b"0,a\n1,b" + bytes([end]) for end in b"\r\t \x1f")}
    else:
        spellings = {IMAGES[:2] + b"\x09" + IMAGES[3:]}  # bytes with a sign
    assert set(passed) == spellings


def test_labels_are_named_for_idx_alone(tmp_path):
    tiny, certificate = overlap()
    files = save(tmp_path, certificate, tiny.dump())
    with pytest.raises(ValueError, match=r"holds its labels itself, being no IDX file\. Leave out --labels"):
        check(*files, files[1])


def test_idx_is_big_endian(tmp_path):
    """The naive reading, byte by byte."""
    content = idx(0x0B, "h", (2, 1), [1, -2])
    assert content == b"\0\0\x0b\2" + struct.pack(">II", 2, 1) + b"\0\1\xff\xfe"


@pytest.mark.parametrize("token", ["0x1.999999999999a7p-4", "0x1.8p", "0x3.8p+0", "0x.8p+1"])
def test_a_dump_holds_floats_as_float_hex_writes_them(token, tmp_path):
    """Section 7.6: fromhex would round a longer number silently, and the hash would be of the rounded one."""
    tiny, certificate = overlap()
    line = " ".join(str(x) for x in tiny.X[0])
    text = tiny.dump().replace(f"X\n{line}\n", f"X\n{token}{line[len(str(tiny.X[0][0])) :]}\n", 1)
    with pytest.raises(ValueError, match="is no finite number"):
        check(*save(tmp_path, certificate, text))

"""As section 7.6 has it: nothing makes the checker of verdicts work for long, fill the memory, or fail silently."""

import gzip
import io
import os
import subprocess
import sys
import time
from fractions import Fraction

import pytest

from helpers.certificates.certificates import KINDS, Tiny, labelled, overlap, save
from helpers.house import modules
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate, check

COMMA = {"delimiter": ",", "header": False, "target": 1}


def fails(folder, certificate, data, message, name="data.txt", kind=ValueError):
    """The error, within a second: the work that is refused would take minutes, or all memory."""
    files = save(folder, certificate, data, name)
    began = time.perf_counter()
    with pytest.raises(ValueError, match=message) as caught:
        check(*files)
    assert time.perf_counter() - began < 2
    assert caught.type is kind


# ── before the hash is compared ──
def test_thousands_of_classes_cost_nothing_where_few_occur(tmp_path):
    """S21c: the targets of the labels that occur are written out, not those of all C classes, which are C² numbers."""
    certificate = overlap()[1]
    names = ["a", "b", *(f"c{k}" for k in range(6000))]
    certificate["data"] |= {"classes": names, "C": len(names), "table": COMMA, "label_smoothing": "1/100"}
    fails(tmp_path, certificate, "1,a\n2,a\n1,b\n2,b\n", "other data: its sha256", "data.csv", RefusedCertificate)
    certificate["data"]["C"] = 7
    fails(tmp_path, certificate, "1,a\n2,a\n1,b\n2,b\n", "C is 7, and 6002 are named", "data.csv")


def test_targets_that_would_fill_the_memory_are_refused(tmp_path):
    certificate = overlap()[1]
    names = [str(k) for k in range(12_000)]
    certificate["data"] |= {"classes": names, "C": len(names), "table": COMMA, "label_smoothing": "1/100"}
    text = "".join(f"1,{k}x\n" for k in range(12_000))
    certificate["data"]["classes"] = [f"{k}x" for k in range(12_000)]
    fails(tmp_path, certificate, text, "12000 targets of 12000 classes are over", "data.csv")


def test_a_small_file_that_unpacks_to_a_gigabyte_is_refused(tmp_path):
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for _ in range(80):
            file.write(b" " * (1 << 20))
    certificate = overlap()[1]
    certificate["data"]["table"] = COMMA
    fails(tmp_path, certificate, packed.getvalue(), "unpacks to more than 64 MiB", "data.csv")
    files = save(tmp_path, certificate, "")
    files[0].write_bytes(packed.getvalue())
    with pytest.raises(ValueError, match="unpacks to more than 64 MiB"):
        check(*files)


@pytest.mark.parametrize("numbers", ["decimal", "double"])
def test_long_cells_are_refused_before_they_are_read(numbers, tmp_path):
    """10^400000 and its greatest common divisors take time that grows with the square."""
    certificate = overlap()[1]
    certificate["data"] |= {"table": COMMA, "numbers": numbers}
    for cell in ("1." + "0" * 120_000, "1" * 4001, "1e-99999999999999999999", "1e401"):
        if numbers == "double" and cell.startswith("1e-"):
            continue  # 0, as for every reader
        fails(tmp_path, certificate, f"{cell},a\n2,a\n1,b\n2,b\n", "column 0: '1.* is no finite number", "data.csv")
    text = overlap()[0].dump().replace("X\n1\n", "X\n1" + "0" * 4001 + "\n")
    fails(tmp_path, certificate | {"data": certificate["data"] | {"table": None}}, text, "is no finite number")


def test_denominators_of_a_column_are_bounded(tmp_path):
    """Rationals of 660 bits, each with a denominator of its own: their common one grows with every row."""
    X = [[Fraction(1, (1 << 660) + 2 * k + 1)] for k in range(60)]
    tiny = Tiny(X, [[1, 0]] * 30 + [[0, 1]] * 30, ["a"] * 30 + ["b"] * 30, ["a", "b"])
    fails(tmp_path, overlap()[1], tiny.dump(), "denominator of over 8192 bits")


def test_strengths_and_smoothings_have_the_size_of_numbers_that_can_be_given(tmp_path):
    """S21: with a smoothing or a penalty of 10^-3000 separable data have a minimiser, and nobody can ask for one."""
    tiny, certificate = KINDS["positive"]()
    for smoothing in (f"1/1{'0' * 3000}", f"1/1{'0' * 401}"):
        certificate["data"]["label_smoothing"] = smoothing
        fails(tmp_path, certificate, tiny.dump(), "smoothing as a fraction")
    tiny, certificate = KINDS["coercive"]()
    for strength in (f"1/1{'0' * 3000}", f"1/{1 << 1075}", f"{1 << 1024}"):
        certificate["data"]["regularizers"] = [f"l2 {strength} 1"]
        fails(tmp_path, certificate, tiny.dump().replace("1/10 1", f"{strength} 1"), "that a double can be|8192 bits")
    certificate["data"]["regularizers"] = ["l2 1 0"] * 65
    fails(tmp_path, certificate, tiny.dump(), "65 regularizers")


# ── after it ──
def blocks_of(denominators):
    return [{"denominator": hex(q), "rows": [0], "values": [[0, 0]]} for q in denominators]


def test_multipliers_of_many_denominators_are_refused(tmp_path):
    """S10: their common denominator is a product, and every sum is brought to it."""
    tiny, certificate = overlap()
    certificate["multipliers"] += blocks_of(range(3, 1000, 2))
    fails(tmp_path, certificate, tiny.dump(), "500 blocks, denominators of 4[0-9]{3} bits, are")
    certificate["multipliers"][1:] = blocks_of((1 << 4100) + k for k in range(255))
    fails(tmp_path, certificate, tiny.dump(), "256 blocks, denominators of 1045756 bits, are too much")


def test_integers_that_make_every_row_long_are_refused(tmp_path):
    """S9, S10: a slot has room for the largest sum, so that one long integer lengthens the rows of all samples."""
    tiny, certificate = overlap()
    long = hex(1 << 4500)  # 4096 bits, and 4 (b + 32) for each of two columns
    certificate["multipliers"][0]["values"][0] = ["-" + long, long]
    fails(
        tmp_path, certificate, tiny.dump(), "multipliers: has an integer of 4501 bits; for these data 4[0-9]{3} may be"
    )
    certificate["multipliers"][0] |= {"values": overlap()[1]["multipliers"][0]["values"], "denominator": long}
    fails(tmp_path, certificate, tiny.dump(), "multipliers: has an integer of 4501 bits")
    tiny, certificate = KINDS["open_"]()
    certificate["direction"]["entries"] = [[1, 0, long]]
    fails(tmp_path, certificate, tiny.dump(), "direction: has an integer of 4501 bits")


@pytest.mark.parametrize(("limit", "value"), [("_MOST_PACKED", 63), ("_MOST_WORK", 127)])
def test_rows_too_long_in_all_are_refused(limit, value, tmp_path, monkeypatch):
    """Four rows of two slots of an octet in two columns: 64 bits, and 128 with the columns."""
    tiny, certificate = overlap()
    monkeypatch.setattr(check_existence, limit, value + 1)
    assert check(*save(tmp_path, certificate, tiny.dump()))
    monkeypatch.setattr(check_existence, limit, value)
    fails(tmp_path, certificate, tiny.dump(), "multipliers: 64 bits of rows in 2 columns are too much")
    tiny, certificate = KINDS["complete"]()
    monkeypatch.setattr(check_existence, limit, value // 2)
    fails(tmp_path, certificate, tiny.dump(), "direction: 32 bits of rows in 2 columns are too much")


def test_zero_columns_leave_room_for_the_integers_themselves(tmp_path):
    """S10: slots are as wide as the entries of V and G, also where X is 0 or no column is left."""
    tiny = labelled([[0], [0]], "ab", intercept=False)
    G = [[-(1 << 90), 1 << 90], [5, -5]]
    assert check(*save(tmp_path, tiny.certificate("multipliers", G=G), tiny.dump())).status == "ATTAINED"
    with pytest.raises(RefusedCertificate, match="no margin is > 0"):
        check(*save(tmp_path, tiny.certificate("direction", "open", V=[[1, 0, 1 << 90]]), tiny.dump()))


@pytest.mark.parametrize("octets", [1, 2, 5])
def test_slots_hold_whatever_is_below_half_their_size(octets):
    """Packing is Σ v_j 2^(jB), sums of packed rows unpack to the sums of the rows."""
    top = (1 << (8 * octets - 1)) - 1
    rows = [[top, -top, 0, 1], [-top, top, -1, 0], [0, 0, 0, 0]]
    for row in rows:
        packed = check_existence._pack(row, octets)
        assert packed == sum(v << (8 * octets * j) for j, v in enumerate(row))
        assert check_existence._unpack(packed, 4, octets) == row
    assert check_existence._unpack(sum(check_existence._pack(row, octets) for row in rows), 4, octets) == [0, 0, -1, 1]


@pytest.mark.parametrize("part", ["classes", "features"])
def test_names_are_counted(part, tmp_path):
    """One name too few was an IndexError once all was proved."""
    tiny, certificate = KINDS["open_"]()
    tiny.classes, tiny.features = (["a"], None) if part == "classes" else (["a", "b"], ["u", "v"])
    certificate["data"] |= {"classes": tiny.classes, "features": tiny.features}
    fails(tmp_path, certificate, tiny.dump(), r"[CD] is \d, and \d are named")


# ── labels, by the rule of all readers ──
def test_the_certificate_does_not_choose_what_a_label_is(tmp_path):
    """To text "1" and "1.0" differ, which makes three classes of two; "a" beside them makes text of all."""
    tiny = Tiny([[1], [2], [1]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], ["1", "1.0", "2"], ["1", "1.0", "2"], table=COMMA)
    certificate = tiny.certificate("multipliers", G=[[-2, 1, 1], [0, 0, 0], [0, 0, 0]])
    fails(tmp_path, certificate, tiny.csv(), "all labels are integers", "data.csv", RefusedCertificate)
    tiny = Tiny(
        [[1], [2], [1], [3]], [[1, 0], [0, 1], [1, 0], [1, 0]], ["1", "2.0", "1e0", "0001"], [1, 2], table=COMMA
    )
    certificate = tiny.certificate("multipliers", G=[[-1, 1], [2, -2], [0, 0], [-1, 1]])
    fails(tmp_path, certificate, tiny.csv(), "class 1 of sample 2 has t = 0", "data.csv", RefusedCertificate)
    certificate["multipliers"][0] |= {"rows": [0, 1, 2, 3], "values": [[-1, 1], [4, -4], [-1, 1], [-2, 2]]}
    assert check(*save(tmp_path, certificate, tiny.csv(), "data.csv")).classes == (1, 2)
    text = tiny.csv().replace("2.0", "b")
    fails(tmp_path, certificate, text, "the label '1' is none of the classes 1, 2", "data.csv")


@pytest.mark.parametrize("cell", ["1/3", "0x1.8p+0", "٣", "1_000", "1e", ".", "+", "1..2", "- 1", "1 2"])
def test_cells_of_tables_are_decimals(cell, tmp_path):
    """What Decimal, Fraction, float or a dump would take besides is no number of a table, to any reader."""
    for numbers in ("decimal", "double"):
        certificate = overlap()[1]
        certificate["data"] |= {"table": COMMA, "numbers": numbers}
        fails(tmp_path, certificate, f"{cell},a\n2,a\n1,b\n2,b\n", "column 0: .* is no finite number", "data.csv")


# ── which problem it is ──
def test_what_is_proved_by_help_alone_is_said(tmp_path):
    """S21c, S21e: smoothing makes every target positive, a penalty closes columns; without help nothing is said."""
    said = {
        name: check(*save(tmp_path, certificate, tiny.dump())) for name, (tiny, certificate) in everything().items()
    }
    assert {name: found.helped_by for name, found in said.items()} == {
        **dict.fromkeys(["overlap", "complete", "quasi", "partial", "open_"], ""),
        "positive": "label smoothing 1/10",
        "coercive": "the penalty l2 1/10 1",
        "spared": "the penalty l2 1/10 0",
    }
    for found in said.values():
        head, *lines = str(found).splitlines()
        assert head.endswith(f" with {found.helped_by}") == bool(found.helped_by)
        assert ("rests on" in " ".join(lines)) == bool(found.helped_by)
    assert (said["spared"].l2, said["positive"].label_smoothing, said["overlap"].classes) == (
        "1/10",
        "1/10",
        ("a", "b"),
    )
    assert "classes: 'a', 'b', 'c'" in str(said["partial"])


def everything():
    spared = labelled([[0], [1]], "ab", regularizers=["l2 1/10 0"])
    G = [[-1, 1], [1, -1]]
    return {name: made() for name, made in KINDS.items()} | {"spared": (spared, spared.certificate("multipliers", G=G))}


# ── as a program ──
CHECKER = str(modules()["proof.checkers.check_existence"])


def program(files, **options):
    command = [sys.executable, "-I", "-S", CHECKER, *map(str, files)]
    return subprocess.run(command, capture_output="stdout" not in options, stderr=subprocess.PIPE, **options)


def shell(files, redirection, environment=None):
    command = [sys.executable, "-S", CHECKER, *map(str, files)]
    text = " ".join(f"'{word}'" for word in command) + " " + redirection
    done = subprocess.run(text, shell=True, capture_output=True, env=environment, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode()


def named(folder):
    """A certificate whose report has letters that cp1252 lacks."""
    tiny, certificate = KINDS["complete"]()
    tiny.classes = ["Ω", "b"]
    certificate["data"] = tiny.data()
    return save(folder, certificate, tiny.dump())


def test_letters_that_the_terminal_lacks_are_escaped(tmp_path):
    status, out, err = shell(named(tmp_path), "", os.environ | {"PYTHONIOENCODING": "cp1252"})
    assert (status, err) == (0, "")
    assert rb"classes: '\u03a9', 'b'" in out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| true"])
def test_a_report_that_cannot_be_written_is_one_line_and_74(redirection, tmp_path):
    """Not 1, which says that the certificate is refuted."""
    if redirection == "| true":
        redirection = "| (exec 0<&-; sleep 0.5); exit ${PIPESTATUS[0]}"
        command = [
            "bash",
            "-c",
            f"'{sys.executable}' -S '{CHECKER}' {' '.join(map(str, named(tmp_path)))} {redirection}",
        ]
        done = subprocess.run(command, capture_output=True, timeout=60)
        status, err = done.returncode, done.stderr.decode()
    else:
        status, _, err = shell(named(tmp_path), redirection)
    assert status == 74
    assert err == "ERROR: the certificate is verified, and the report cannot be written to the standard output.\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_a_refusal_that_cannot_be_written_is_still_1(redirection, tmp_path):
    tiny, certificate = overlap()
    certificate["multipliers"][0]["values"][0] = [1, -1]
    assert shell(save(tmp_path, certificate, tiny.dump()), redirection)[0] == 1


def test_a_fault_of_the_checker_is_2_and_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_existence, "_pairs", lambda *_: [][0])
    tiny, certificate = overlap()
    files = [str(path) for path in save(tmp_path, certificate, tiny.dump())]
    for fault in (IndexError("list index out of range"), MemoryError()):

        def broken(*arguments, fault=fault):
            raise fault

        assert check_existence.run(broken, "", files) == 2
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("ERROR: the ") and err.count("\n") == 1


@pytest.mark.parametrize(("part", "sign"), [("{}", "{"), ("[]", "["), ("0", ",")])
def test_a_certificate_of_millions_of_parts_is_not_parsed(tmp_path, part, sign):
    """Objects cost hundreds of bytes each: 60 kB of packed text would fill gigabytes before anything is looked at."""
    most = check_existence._MOST_SIGNS[sign]
    path = tmp_path / "cert.json.gz"
    path.write_bytes(gzip.compress(f'{{"x": [{",".join([part] * (most + 2))}]}}'.encode(), 1))
    began = time.perf_counter()
    with pytest.raises(ValueError, match=r"holds more than .* read of a certificate"):
        check_existence.read_json(path)
    assert time.perf_counter() - began < 2


def test_a_sample_is_no_header(tmp_path):
    """A certificate that calls the first sample a header is about other data: the rest may be separable, not all."""
    certificate = overlap()[1]
    certificate["data"]["table"] = COMMA | {"header": True}
    said = "first line is a sample like the rest"
    fails(tmp_path, certificate, "2,a\n-1,a\n-2,a\n1,b\n3,b\n", said, "data.csv", RefusedCertificate)
    fails(
        tmp_path,
        certificate,
        "2,name\n-1,a\n-2,a\n1,b\n3,b\n",
        "the columns are",
        "data.csv",
        RefusedCertificate,
    )


def test_a_long_smoothing_is_cut_with_a_mark(tmp_path):
    """1/10^90 must not read as a fraction with fewer zeros."""
    assert check_existence._short("1/1" + "0" * 90).endswith("… (93 characters)")
    assert check_existence._short("1/100") == "1/100"

"""`jaxsoftmax certify` and `check`: verdicts of real files, their certificates, and everything that is refused."""

import gzip
import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.errors import one_error
from helpers.house import PACKAGE
from jaxsoftmax.cli import certify as cli_certify
from jaxsoftmax.cli import main as cli
from jaxsoftmax.cli import proofs as cli_proofs
from jaxsoftmax.readers.exact_cells import is_shortest
from jaxsoftmax.readers.read_table import read_table

pytest.importorskip("typer")
pytest.importorskip("rich")

IRIS = PACKAGE / "datasets" / "data" / "iris.csv"
# On the line u + v = 3/10 lie low, high, low: a tie that is one in decimals only.
TIES = "u,v,side\n0.1,0.2,low\n0.2,0.1,high\n0.3,0.0,low\n0.0,0.0,low\n1.0,1.0,high\n"
OVERLAP = "a;1\nb;2\na;3\n"


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def write(folder, name, content):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def run(capsys, *arguments):
    """Exit status, stdout as one line, stderr."""
    status = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, " ".join(out.split()), err


def certified(capsys, data, *options):
    """The certificate that certify writes for a file; and it exits with 0."""
    out = data.parent / "cert.json"
    status, said, err = run(capsys, "certify", data, "-o", out, *options)
    assert (status, err) == (0, ""), said
    assert "Proved and checked" in said
    return json.loads(out.read_text("utf-8"))


def checks(capsys, data, *options):
    return run(capsys, "check", data.parent / "cert.json", data, *options)


# Verdicts, each checked from its file


def test_iris_is_proved_quasi_complete_and_the_report_says_by_what(tmp_path, capsys):
    """S9, S10, S12, on the packaged file itself."""
    out, report = tmp_path / "iris.json", tmp_path / "report.json"
    status, said, err = run(capsys, "certify", IRIS, "-o", out, "--json", report)
    assert (status, err) == (0, "")
    for words in (
        "NOT_ATTAINED (quasi-complete separation)",
        "setosa is separated from the rest by petal length (cm) < 2.45",
        "numbers read as shortest decimals",
        "inf L = 5.949273",
        "checked: VERIFIED: NOT_ATTAINED, quasi-complete",
        "jaxsoftmax check",
    ):
        assert words in said
    certificate = json.loads(out.read_text("utf-8"))
    assert certificate["data"]["table"] == {"delimiter": ",", "header": True, "target": 4}
    assert certificate["data"]["numbers"] == "decimal"
    stored = json.loads(report.read_text("utf-8"))
    assert stored["existence"]["status"] == "NOT_ATTAINED"
    assert stored["certificate"] == str(out)
    assert stored["refused"] is None
    assert [one["data"] for one in stored["checked"]] == [str(IRIS)]
    status, said, err = run(capsys, "check", out, IRIS)
    assert (status, err) == (0, "")
    assert said.startswith("VERIFIED: NOT_ATTAINED, quasi-complete")
    assert run(capsys, "check", out, IRIS, "-q") == (0, "", "")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["iris.json", "report.json"]


def test_a_tie_of_decimals_is_a_tie_only_where_they_are_read_as_decimals(tmp_path, capsys):
    """As section 7.10 has it: 0.1 + 0.2 = 0.3 in decimals; as doubles the point between lies beside the line."""
    data = write(tmp_path, "ties.csv", TIES)
    assert certified(capsys, data)["verdict"] == {
        "status": "NOT_ATTAINED",
        "type": "quasi-complete",
        "face_maximal": True,
    }
    status, said, _ = run(capsys, "certify", data, "-o", tmp_path / "binary.json", "--binary")
    assert "numbers read as the doubles that they are" in said
    assert "quasi-complete" not in said
    assert status == (0 if (tmp_path / "binary.json").exists() else 1)


def test_targets_and_penalties_are_in_the_certificate_exactly(tmp_path, capsys):
    """S21c: 1/100 from 0.01; S21a, S21e: a penalty that spares the intercept leaves that column alone."""
    data = write(tmp_path, "ties.csv", TIES)
    assert certified(capsys, data, "--label-smoothing", "0.01")["data"]["label_smoothing"] == "1/100"
    assert checks(capsys, data)[0] == 0
    certificate = certified(capsys, data, "--l2", "0.1")
    assert certificate["data"]["regularizers"] == ["l2 1/10 0"]
    assert certificate["verdict"]["status"] == "ATTAINED"
    assert checks(capsys, data)[0] == 0
    certificate = certified(capsys, data, "--l2", "0.1", "--binary")
    assert certificate["data"]["regularizers"] == ["l2 3602879701896397/36028797018963968 0"]  # the double 0.1
    assert checks(capsys, data)[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "options", "table"),
    [
        ("eggs.tsv", "bird\tw\nwren\t1\ncrow\t2\nwren\t3\n", ["--target", "bird"], ("\t", True, 0)),
        (
            "eggs.tsv.gz",
            gzip.compress(b"bird\tw\nwren\t1\ncrow\t2\nwren\t3\n", mtime=0),
            ["--target", "0"],
            ("\t", True, 0),
        ),
        ("eggs.csv", "a;1\nb;2\na;3\n", ["--target", "0"], (";", False, 0)),
        ("eggs.txt", "1 7\n2  8\n\n3 7\n", [], (None, False, 1)),
        ("eggs.csv", '\ufeff"w, mm", bird\n1e0, "wren"\n2.0,"crow"\n3.,wren\n', [], (",", True, 1)),
    ],
)
def test_the_checker_reads_a_text_table_as_it_was_read_here(tmp_path, capsys, name, content, options, table):
    data = write(tmp_path, name, content)
    certificate = certified(capsys, data, *options)
    assert certificate["data"]["table"] == dict(zip(("delimiter", "header", "target"), table, strict=True))
    assert certificate["verdict"]["status"] == "ATTAINED"  # 1 and 3 on both sides of 2
    assert checks(capsys, data)[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "classes"),
    [
        ("a.csv", "1,1.0\n2,02\n3,+1\n", [1, 2]),
        ("a.csv", "1,1e0\n2,-0\n3,1\n", [0, 1]),
        ("a.csv", "1,1\n2,a\n3,1.0\n", ["1", "1.0", "a"]),
        ("a.csv", f"1,{2**63 - 1}\n2,2\n3,{2**63 - 1}\n", [2, 2**63 - 1]),
        ("a.csv", f"1,{10**20}\n2,2\n3,{10**20}\n", ["100000000000000000000", "2"]),
        ("a.csv", "1,True\n2,NA\n3,True\n", ["NA", "True"]),
        ("a.csv", '1,"x, y"\n2, é \n3,"x, y"\n', ["x, y", "é"]),
        ("a.csv", "1,a\r\n\r\n2,b\r\n3,a", ["a", "b"]),
        ("a.csv", "w,k\r1,a\r2,b\r3,a\r", ["a", "b"]),
        ("a.csv", '"1\n",a\n 1e3,b\n\u00a02,a\n', ["a", "b"]),
        ("a.csv", "jaxsoftmax-problem,y\n1,a\n2,b\n3,a\n", ["a", "b"]),
        ("a.csv", "1,0e-999999999\n2,5\n3,0.0\n", [0, 5]),
        ("a.csv", "1,9007199254740993.0\n2,9007199254740992.0\n3,9007199254740993\n", [2**53, 2**53 + 1]),
        ("a.csv", "1,1e400\n2,7\n3,1e400\n", ["1e400", "7"]),
        ("a.csv", "1,a\n2,1e-400\n3,a\n", ["1e-400", "a"]),
        ("a.csv", "1,a\n2,1_000\n3,a\n", ["1_000", "a"]),
        ("a.txt", "1 2 a\f2 1 b\u2028 3 2 a\n", ["a", "b"]),
    ],
)
def test_the_checker_reads_odd_cells_and_labels_as_they_were_read_here(tmp_path, capsys, name, content, classes):
    data = write(tmp_path, name, content)
    assert certified(capsys, data)["data"]["classes"] == classes
    assert checks(capsys, data)[0] == 0


def idx(array):
    """The bytes of an IDX file of octets, written by the format's description."""
    array = np.asarray(array, np.uint8)
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def test_images_are_checked_from_their_files(tmp_path, capsys):
    pixels = [[[0, 9], [1, 0]], [[3, 0], [0, 0]], [[0, 0], [0, 2]], [[1, 0], [1, 0]]]
    data = write(tmp_path, "x-images-idx3-ubyte.gz", gzip.compress(idx(pixels)))
    labels = write(tmp_path, "x-labels-idx1-ubyte.gz", gzip.compress(idx([3, 5, 3, 5])))
    certificate = certified(capsys, data)
    assert certificate["data"]["numbers"] == "double"
    assert certificate["data"]["classes"] == [3, 5]
    assert checks(capsys, data)[0] == 0
    elsewhere = labels.rename(tmp_path / "elsewhere.idx.gz")
    certified(capsys, data, "--target", elsewhere)
    status, said, err = checks(capsys, data)
    assert (status, said) == (2, "")
    assert checks(capsys, data, "--labels", elsewhere)[0] == 0
    write(tmp_path, "elsewhere.idx.gz", gzip.compress(idx([3, 5, 3, 3])))
    status, _, err = checks(capsys, data, "--labels", elsewhere)
    assert status == 1
    assert "other data" in one_error(err, "REFUSED")


@pytest.mark.parametrize("key", ["y", "T"])
def test_formats_that_the_checker_does_not_read_are_checked_from_a_dump(tmp_path, capsys, key):
    data = tmp_path / "eggs.npz"
    targets = {"y": np.array(["a", "b", "a"]), "T": np.array([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])}[key]
    np.savez(data, X=np.array([[0.1], [0.25], [1e9]]), **{key: targets})
    out, dump = tmp_path / "cert.json", tmp_path / "eggs.txt"
    status, said, _ = run(capsys, "certify", data, "-o", out)
    assert status == 0
    assert "from a temporary dump (the checker does not read .npz; --dump FILE keeps one)" in said
    status, said, err = run(capsys, "check", out, data)
    assert (status, said) == (2, "")
    assert "--dump" in one_error(err)
    status, said, _ = run(capsys, "certify", data, "-o", out, "--dump", dump)
    assert status == 0
    assert f"jaxsoftmax check {out} {dump}" in said
    assert run(capsys, "check", out, dump)[0] == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cert.json", "eggs.npz", "eggs.txt"]


def test_a_dump_beside_a_table_is_checked_too(tmp_path, capsys):
    data = write(tmp_path, "ties.csv", TIES)
    certified(capsys, data, "--dump", tmp_path / "ties.txt")
    assert run(capsys, "check", tmp_path / "cert.json", tmp_path / "ties.txt")[0] == 0


# What check refuses


@pytest.fixture
def ties(tmp_path, capsys):
    data = write(tmp_path, "ties.csv", TIES)
    certified(capsys, data)
    return data


@pytest.mark.parametrize(("old", "new"), [("0.1,0.2", "0.1,0.3"), ("0.0,0.0,low", "0.0,0.0,high"), ("u,v", "v,u")])
def test_other_data_are_refused(ties, capsys, old, new):
    write(ties.parent, "ties.csv", TIES.replace(old, new))
    status, said, err = checks(capsys, ties)
    assert (status, said) == (1, "")
    one_error(err, "REFUSED")


@pytest.mark.parametrize("key", ["direction", "multipliers", "verdict"])
def test_a_certificate_that_proves_nothing_is_refused(ties, capsys, key):
    """S9, S10: V negated, G negated, a verdict beyond the proof."""
    path = ties.parent / "cert.json"
    certificate = json.loads(path.read_text())
    if key == "direction":
        for entry in certificate[key]["entries"]:
            entry[2] = -entry[2]
    elif key == "multipliers":
        certificate[key][0]["values"] = [[-v for v in row] for row in certificate[key][0]["values"]]
    else:
        certificate |= {"multipliers": None}
        certificate[key] |= {"type": "complete", "face_maximal": None}
    path.write_text(json.dumps(certificate))
    status, said, err = checks(capsys, ties)
    assert (status, said) == (1, "")
    assert "REFUSED" in err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[: len(text) // 2], "JSON"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version 2"),
        (lambda text: text.replace("jaxsoftmax-existence", "somebody-else"), "somebody-else"),
        (lambda text: text.replace('"denominator": 1', '"denominator": NaN'), "NaN"),
        (lambda text: text.replace('"denominator": 1', '"denominator": 1.5'), "1.5"),
        (lambda text: text.replace('"proof"', '"advice": 1, "proof"'), "advice"),
        (lambda text: "[" * 100_000, "JSON"),
        (lambda text: "[]", "jaxsoftmax-existence"),
        (lambda text: "", "JSON"),
    ],
)
def test_what_is_no_certificate_is_unusable(ties, capsys, change, words):
    path = ties.parent / "cert.json"
    path.write_text(change(path.read_text()))
    status, said, err = checks(capsys, ties)
    assert (status, said) == (2, "")
    assert words in one_error(err)


@pytest.mark.slow
def test_missing_files_are_named(ties, capsys):
    assert "absent.csv" in run(capsys, "check", ties.parent / "cert.json", ties.parent / "absent.csv")[2]
    assert "absent.json" in run(capsys, "check", ties.parent / "absent.json", ties)[2]
    assert run(capsys, "check", ties.parent / "absent.json", ties)[0] == 2


def test_check_needs_neither_jax_nor_numpy(ties):
    code = (
        "import sys; from jaxsoftmax.cli import main as cli; status = cli.run(sys.argv[1:]);"
        "assert not {'jax', 'numpy'} & set(sys.modules), 'imported'; sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "check", str(ties.parent / "cert.json"), str(ties)]
    assert "VERIFIED" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


# What certify refuses: one line, exit 2, and no file


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("9007199254740993", "9007199254740992.0"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("1e-400", "0.0"),
        ("4.9406564584124654e-324", "5e-324"),
    ],
)
def test_a_cell_beyond_float64_is_refused_as_a_decimal_and_read_with_binary(tmp_path, capsys, cell, shown):
    data = write(tmp_path, "digits.csv", f"w,bird\n1,wren\n{cell},crow\n3,wren\n")
    out = tmp_path / "cert.json"
    status, said, err = run(capsys, "certify", data, "-o", out)
    assert (status, said) == (2, "")
    for words in ("line 3", "column 'w'", repr(cell), f"which is {shown}", "--binary"):
        assert words in one_error(err)
    assert not out.exists()
    certified(capsys, data, "--binary")
    assert checks(capsys, data)[0] == 0


@pytest.mark.parametrize("cell", ["0e-999999999", "-0.0", "00012.500", "1E5", "123456789012345", "9007199254740992"])
def test_cells_that_float64_holds_are_read_as_decimals(tmp_path, capsys, cell):
    certified(capsys, write(tmp_path, "digits.csv", f"w,bird\n1,wren\n{cell},crow\n3,wren\n"))


@pytest.mark.parametrize("column", ["feature", "label"])
@pytest.mark.parametrize("cell", ["1_000", "２", "٣", "1/3", "0x1p0", "1e-400", "9" * 4001, "inf", "1e401"])
def test_maker_and_checker_read_the_same_numbers(tmp_path, capsys, cell, column):
    """Section 7.10: what the maker takes the checker takes, or the maker says what is wrong; no fault of jaxsoftmax."""
    rows = [("1", "3"), (cell, "4"), ("3", "3")] if column == "feature" else [("1", "3"), ("2", cell), ("3", "3")]
    data = write(tmp_path, "odd.csv", "w,k\n" + "".join(f"{w},{k}\n" for w, k in rows))
    for options in ([], ["--binary"]):
        status, said, err = run(capsys, "certify", data, "-o", tmp_path / "cert.json", *options)
        assert status in (0, 2), said
        if status == 2:
            assert "odd.csv" in one_error(err)
        else:
            assert checks(capsys, data)[0] == 0


def test_shortest_decimals_are_known_without_and_with_fractions():
    """The quick way (at most 15 characters, no exponent) against the definition."""
    rng = np.random.default_rng(5)
    cells = [
        f"{x:.{digits}{kind}}" for x in rng.standard_normal(40) for digits in (0, 6, 15, 16, 17, 20) for kind in "eg"
    ]
    cells += [str(n) for n in rng.integers(2**52, 2**54, 40).tolist()]
    wanted = [Fraction(cell) == Fraction(repr(float(cell))) for cell in cells]
    assert {True, False} == set(wanted)
    assert [is_shortest(cell) for cell in cells] == wanted


def test_only_text_tables_say_how_they_were_read(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(2), y=[0, 1])
    assert read_table(tmp_path / "a.npz").table is None
    assert js.datasets.load_digits().table is None
    assert read_table(IRIS).table == js.datasets.load_iris().table == {"delimiter": ",", "header": True, "target": 4}


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, [], "no such file"),
        ("w,bird\n1,wren\nnan,crow\n", [], "line 3"),
        ("w,bird\n1,wren\n,crow\n", [], "missing"),
        ("w,h\n1,1.5\n2,2.5\n", [], "'1.5'"),
        ("w,bird\n1,wren\n2,wren\n", [], "wren"),
        (TIES, ["--target", "fish"], "is named 'fish'"),
        (TIES, ["--label-smoothing", "2"], "--label-smoothing: got '2'"),
        (TIES, ["--label-smoothing", "1/1" + "0" * 401], "a denominator beyond 10^400"),
        (TIES, ["--l2", "-1"], "--l2: got -1.0"),
        (TIES, ["--budget", "0"], "--budget: got 0.0"),
        (TIES, ["--budget", "nan"], "--budget: got nan"),
        (TIES, ["-o", "no/such/folder/cert.json"], "--output: the directory"),
        (TIES, ["-o", "."], "--output: . is a directory"),
        (TIES, ["-o", "/dev/null"], "no plain file"),
        (TIES, ["--dump", "."], "--dump: . is a directory"),
        (TIES, ["--json", "no/such/folder/r.json"], "--json: the directory"),
        (TIES, ["-o", "DATA"], "is also DATA"),
        (TIES, ["--dump", "DATA"], "is also DATA"),
        (TIES, ["--dump", "OUT"], "is also --output"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_no_file(tmp_path, capsys, content, arguments, words):
    data, out = tmp_path / "data.csv", tmp_path / "cert.json"
    if content is not None:
        data.write_text(content)
    arguments = [{"DATA": data, "OUT": out}.get(word, word) for word in arguments]
    if "-o" not in arguments:
        arguments = ["-o", out, *arguments]
    status, said, err = run(capsys, "certify", data, *arguments)
    assert (status, said) == (2, "")
    assert words in one_error(err)
    assert {file.name for file in tmp_path.iterdir()} <= {"data.csv"}
    assert content is None or data.read_text() == content


def test_integers_of_an_archive_that_no_float64_holds_are_refused(tmp_path, capsys):
    np.savez(tmp_path / "a.npz", X=np.array([[1], [2**53 + 1]]), y=[0, 1])
    err = run(capsys, "certify", tmp_path / "a.npz", "-o", tmp_path / "c.json")[2]
    assert "X[1, 0] is the integer 9007199254740993" in one_error(err)
    np.savez(tmp_path / "a.npz", X=np.array([[1], [2**62]]), y=[0, 1])
    assert run(capsys, "certify", tmp_path / "a.npz", "-o", tmp_path / "c.json")[0] == 0


# What leaves no certificate behind


def test_an_undecided_verdict_has_no_certificate_and_exits_1(tmp_path, capsys):
    data = write(tmp_path, "ties.csv", TIES)
    status, said, _ = run(
        capsys, "certify", data, "-o", tmp_path / "c.json", "--budget", "1e-9", "--json", tmp_path / "r.json"
    )
    assert status == 1
    assert "UNDECIDED: no certificate is written" in said
    assert json.loads((tmp_path / "r.json").read_text())["certificate"] is None
    assert not (tmp_path / "c.json").exists()


def test_a_certificate_that_the_checker_refuses_is_not_written(tmp_path, capsys, monkeypatch):
    from jaxsoftmax.proof.existence import verdict

    true = verdict.certificate_of

    def wrong(found, table=None):
        certificate = true(found, table)
        certificate["direction"]["entries"][0][2] += 1
        return certificate

    monkeypatch.setattr(verdict, "certificate_of", wrong)
    status, said, _ = run(capsys, "certify", write(tmp_path, "ties.csv", TIES), "-o", tmp_path / "c.json")
    assert status == 1
    assert "The checker REFUSES the certificate" in said
    assert [file.name for file in tmp_path.iterdir()] == ["ties.csv"]


@pytest.mark.parametrize(("module", "place"), [(cli_proofs, "decide_existence"), (cli_certify, "check_certificate")])
def test_ctrl_c_leaves_the_old_certificate_and_nothing_half_written(tmp_path, capsys, monkeypatch, module, place):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    data, out = write(tmp_path, "ties.csv", TIES), write(tmp_path, "c.json", "an older one")
    monkeypatch.setattr(module, place, stop)
    assert run(capsys, "certify", data, "-o", out) == (130, "", "jaxsoftmax: error: interrupted\n")
    assert out.read_text() == "an older one"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.json", "ties.csv"]


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (True, True), (False, False)])
def test_progress_is_drawn_on_a_terminal_only_and_not_with_quiet(tmp_path, capsys, monkeypatch, terminal, quiet):
    import rich.console

    true = rich.console.Console

    def console(*arguments, stderr=False, **options):
        return true(*arguments, stderr=stderr, force_terminal=terminal if stderr else None, **options)

    monkeypatch.setattr(rich.console, "Console", console)
    data = write(tmp_path, "ties.csv", TIES)
    status, _, err = run(capsys, "certify", data, "-o", tmp_path / "c.json", *(["-q"] if quiet else []))
    assert status == 0
    assert ("ties.csv: " in err) == (terminal and not quiet)


# js.check_certificate


def test_the_function_checks_a_file_or_a_problem(tmp_path):
    problem = js.Problem.from_labels(np.array([[0.1], [0.2], [0.3]]), ["a", "b", "a"])
    cert, dump = tmp_path / "cert.json", tmp_path / "data.txt"
    for decimal in (False, True):
        js.decide_existence(problem, decimal=decimal).save(cert)
        problem.dump(dump, decimal=decimal)
        for data in (problem, dump, str(dump)):
            assert js.check_certificate(cert, data).status == "ATTAINED"
    with pytest.raises(ValueError, match="other data"):
        js.check_certificate(cert, js.Problem.from_labels(np.array([[0.1], [0.2], [0.4]]), ["a", "b", "a"]))
    with pytest.raises(TypeError, match="data: got list"):
        js.check_certificate(cert, [[0.1]])
    with pytest.raises(TypeError, match="labels: got int"):
        js.check_certificate(cert, dump, 3)

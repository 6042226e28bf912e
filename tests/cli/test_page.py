"""`jaxsoftmax report` and `verify --html`: refusals before any work, the page in its place, commands that run."""

import hashlib
import importlib.util
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.errors import one_error

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("flint")

from helpers.made_report import CHECKS, SOUND, made_report
from jaxsoftmax.cli import main as cli
from jaxsoftmax.cli import runs
from jaxsoftmax.cli.page import check_again, checksums
from jaxsoftmax.page import make
from jaxsoftmax.reporting.blocks import Facts, Picture
from jaxsoftmax.verification import run as verification

ROWS = "width,kind\n0,crow\n1,wren\n2,crow\n3,wren\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "birds.csv").write_text(ROWS)
    return "birds.csv"


@pytest.fixture
def quick(monkeypatch):
    """Nothing is trained and nothing drawn: what is under test is the way from the report to the file."""

    def use(checks):
        report = made_report(checks=checks)[0]
        monkeypatch.setattr(verification, "verify_prepared", lambda *arguments, **options: report)
        monkeypatch.setattr(make, "extras", lambda report, prepared: ["an extra"])
        monkeypatch.setattr(make, "report_page", lambda report, extra, prepared, again: f"<p>{extra} ö\n")
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: "there")

    return use


@pytest.mark.parametrize(("checks", "status"), [(SOUND, 0), (CHECKS, 1)])
def test_report_writes_the_page_whatever_was_found_and_says_so(table, tmp_path, capsys, quick, checks, status):
    quick(checks)
    assert cli.run(["report", table, "-o", "page.html"]) == status
    out, err = capsys.readouterr()
    assert err == ""
    assert "page.html" in out and len(out.splitlines()) <= 4
    assert ("FAILED" in out) == (status == 1)
    assert (tmp_path / "page.html").read_text("utf-8") == "<p>['an extra'] ö\n"
    assert {file.name for file in tmp_path.iterdir()} == {"birds.csv", "page.html"}, "a temporary file was left"


def test_verify_writes_the_page_beside_its_report(table, tmp_path, capsys, quick):
    quick(SOUND)
    assert cli.run(["verify", table, "--html", "page.html", "--json", "report.json"]) == 0
    assert "checks, none failed" in capsys.readouterr().out
    assert {file.name for file in tmp_path.iterdir()} == {"birds.csv", "page.html", "report.json"}


@pytest.mark.parametrize("call", ["report birds.csv -o page.html", "verify birds.csv --html page.html"])
def test_files_that_cannot_be_made_do_not_keep_the_report_back(table, capsys, quick, monkeypatch, call):
    quick(SOUND)

    def full(path, *arguments):
        raise OSError(28, f"No space left for {path.name.split('.')[1]}")

    with monkeypatch.context() as disk:
        disk.setattr(Path, "write_text", full)
        assert cli.run([*call.split(), "--json", "report.json"]) == 2
    out, err = capsys.readouterr()
    assert "checks, none failed" in out and "The page" not in out
    assert "--json" in one_error(err)  # the first

    def fault(*arguments):
        raise RuntimeError("a fault of the drawing")

    monkeypatch.setattr(make, "report_page", fault)
    with pytest.raises(RuntimeError, match="a fault of the drawing"):
        cli.run(call.split())
    assert "checks, none failed" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["report", "birds.csv", "-o"], ["verify", "birds.csv", "--html"]])
def test_what_would_fail_at_the_end_is_refused_before_any_work(table, capsys, monkeypatch, arguments):
    monkeypatch.setattr(verification, "verify_prepared", lambda *a, **o: pytest.fail("the work has begun"))
    option = "--html" if "--html" in arguments else "--output"
    assert cli.run([*arguments, "nowhere/page.html"]) == 2
    assert f"{option}: the directory nowhere does not exist" in one_error(capsys.readouterr().err)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert cli.run([*arguments, "page.html"]) == 2
    said = one_error(capsys.readouterr().err)
    assert f"{option}: matplotlib is not installed; run: pip install 'jaxsoftmax[plots]'" in said


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("report birds.csv -o birds.csv", "--output: birds.csv is also DATA"),
        ("report birds.csv -o x --json ./x", "--json: x is also --output"),
        ("verify birds.csv --html birds.csv", "--html: birds.csv is also DATA"),
        ("verify birds.csv --json ../nest/birds.csv", "birds.csv is also DATA"),
        ("verify birds.csv --json x --html x", "--json: x is also --html"),
        ("report birds.csv -o /dev/null", "--output: /dev/null is no plain file"),
        ("fit birds.csv --weights birds.csv", "--weights: birds.csv is also DATA"),
        ("fit birds.csv --json birds.csv", "--json: birds.csv is also DATA"),
        ("fit birds.csv --weights x --json x", "--json: x is also --weights"),
        ("probe birds.csv --json birds.csv", "--json: birds.csv is also DATA"),
        ("probe birds.csv --at w.npz --json w.npz", "--json: w.npz is also --at"),
        ("predict w.npz birds.csv -o birds.csv", "--output: birds.csv is also DATA"),
        ("predict w.npz birds.csv -o w.npz", "--output: w.npz is also WEIGHTS"),
        ("crosscheck birds.py:crow --json x --plot x", "--plot: x is also --json"),
        ("crosscheck birds.py:crow --json birds.py", "--json: birds.py is also MODULE"),
    ],
)
def test_no_command_writes_over_what_it_reads_or_writes_a_file_twice(table, capsys, monkeypatch, call, words):
    monkeypatch.setattr(runs, "read_table", lambda *a, **o: pytest.fail("the work has begun"))
    call = call.replace("../nest", str(Path.cwd()))
    assert cli.run(shlex.split(call)) == 2
    assert words in one_error(capsys.readouterr().err)
    assert Path(table).read_text() == ROWS and [path.name for path in Path().iterdir()] == [table]


@pytest.mark.parametrize("change", [lambda file: file.write_text(ROWS + "9,wren\n"), Path.unlink])
def test_a_file_that_changes_while_it_is_read_is_refused(table, capsys, quick, monkeypatch, change):
    """The checksum on the page is that of the bytes that were read."""
    quick(SOUND)
    true = runs.read_table

    def read(path, target):
        found = true(path, target)
        change(Path(path))
        return found

    monkeypatch.setattr(runs, "read_table", read)
    assert cli.run(["report", table, "-o", "page.html"]) == 2
    assert "birds.csv: the file changed or vanished while it was read" in one_error(capsys.readouterr().err)
    assert not Path("page.html").exists()


def test_the_labels_of_images_have_their_checksum_too(tmp_path):
    images, labels = tmp_path / "a-images-idx3-ubyte.gz", tmp_path / "a-labels-idx1-ubyte"
    images.write_bytes(b"images")
    labels.write_bytes(b"labels")
    sums = [hashlib.sha256(content).hexdigest() for content in (b"images", b"labels")]
    assert checksums(options(data=str(images))) == dict(zip([str(images), str(labels)], sums, strict=True))
    assert list(checksums(options(data=str(images), target=str(images)))) == [str(images)]


def test_report_needs_a_place_for_the_page(table, capsys):
    assert cli.run(["report", table]) == 2
    assert "--output" in one_error(capsys.readouterr().err)


def options(**changes):
    usual = {"data": "birds.csv", "target": None, "label_smoothing": None, "l2": 0.0, "dtype": "float64"}
    return SimpleNamespace(**(usual | {"seed": 0, "method": "auto", "many_classes": False} | changes))


def commands(call, decimal=True):
    report, prepared = made_report()
    given = [SimpleNamespace(decimal=decimal, problem=prepared[0].problem)]
    again = check_again(call, report, given, checksums(call))
    return again, [line for block in again if isinstance(block, Picture) for line in block.lines]


def test_the_commands_check_the_same_thing_again(table):
    again, lines = commands(options(target="kind", l2=0.5, label_smoothing="0.25", seed=3, method="gd"))
    facts = dict(next(block for block in again if isinstance(block, Facts)).pairs)
    assert facts == {"file": "birds.csv", "sha256": hashlib.sha256(ROWS.encode()).hexdigest()}
    problem = "--target kind --label-smoothing 0.25 --l2 0.5"
    said = "--expect-smoothing 1/4 --expect-l2 0.5"
    assert lines == [
        "sha256sum birds.csv",
        f"jaxsoftmax verify birds.csv {problem} --seed 3 --method gd --all",
        f"jaxsoftmax certify birds.csv {problem} -o existence.json",
        f"jaxsoftmax check existence.json birds.csv {said}",
        f"jaxsoftmax certify birds.csv {problem} -o minimum.json --digits 20",
        f"jaxsoftmax check minimum.json birds.csv {said}",
    ]


def test_what_the_checker_does_not_read_is_dumped_for_it(table):
    _, lines = commands(options(), decimal=False)
    assert lines[2].endswith("--dump data.txt") and " data.txt " in lines[3]


def test_cells_that_no_double_holds_are_certified_as_doubles(table):
    """certify refuses them as decimals, and verify does not."""
    Path(table).write_text(ROWS.replace("3,", "3.000000000000000000001,"))
    verify, *others = commands(options())[1][1:]
    assert "--binary" not in verify
    assert ["--binary" in line for line in others] == ["certify" in line for line in others] == [True, False] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("smoothing", "cell"), [("0.25", "3"), (".25", "3"), ("25E-2", "3.000000000000000000001")])
def test_the_commands_run(table, capsys, smoothing, cell):
    """S9, S10, S13: certified from the file, and checked from the file."""
    Path(table).write_text(ROWS.replace("3,", f"{cell},"))
    for line in commands(options(label_smoothing=smoothing, l2=0.5))[1][2:]:
        assert cli.run(shlex.split(line)[1:]) == 0, capsys.readouterr()

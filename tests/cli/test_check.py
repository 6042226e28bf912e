"""`jaxsoftmax check`: what is expected of the problem, compressed certificates, and output that cannot be written."""

import gzip
import io
import json
import os
import subprocess
import sys

import pytest

from helpers.certificates.certificates import KINDS, Tiny, labelled, overlap, save
from helpers.errors import one_error
from jaxsoftmax.cli import main as cli
from jaxsoftmax.cli.messages import LostOutput, watched_output
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.checkers.dispatch import check_certificate

pytest.importorskip("typer")
pytest.importorskip("rich")


def run(capsys, *arguments):
    status = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, " ".join(out.split()), err


def files(folder, kind, **changes):
    tiny, certificate = KINDS[kind]()
    for name, value in changes.items():
        setattr(tiny, name, value)
    certificate["data"] = tiny.data()
    return save(folder, certificate, tiny.dump())


# ── what is expected ──
@pytest.mark.parametrize(
    ("kind", "changes", "option", "right", "wrong"),
    [
        ("positive", {}, "smoothing", ["0.1", "1/10", "1e-1", "00.10"], ["0", "0.01", "1/11"]),
        ("overlap", {}, "smoothing", ["0", "0.0"], ["0.1"]),
        ("coercive", {}, "l2", ["0.1", "1/10"], ["0", "0.2"]),
        ("overlap", {}, "l2", ["0"], ["0.1"]),
        ("overlap", {"regularizers": ["l2 0 1", "logcosh 0 1 0"]}, "l2", ["0"], ["1"]),
        ("coercive", {"regularizers": ["l2 1 1", "l2 1/2 1"]}, "l2", ["1.5"], ["1"]),
        ("coercive", {"regularizers": ["l2 1 1", "self 1"]}, "l2", [], ["1", "0"]),
        ("coercive", {"regularizers": ["l2 3602879701896397/36028797018963968 1"]}, "l2", ["0.1"], ["0.2"]),
        ("overlap", {}, "classes", ["a,b", "b, a", '"a","b"'], ["a", "a,b,c", "a,c", ""]),
        ("overlap", {"classes": ["x, y", "b"]}, "classes", ['"x, y",b'], ["x, y,b"]),
        ("overlap", {"classes": [1, 2]}, "classes", ["1,2"], ["1,2.0"]),
    ],
)
def test_another_problem_than_is_expected_is_refused(tmp_path, capsys, kind, changes, option, right, wrong):
    """S21c, S21e: smoothing and penalties are the certificate's, which --quiet does not show."""
    paths = files(tmp_path, kind, **changes)
    for value in right:
        assert run(capsys, "check", *paths, "-q", f"--expect-{option}", value) == (0, "", ""), value
    for value in wrong:
        status, said, err = run(capsys, "check", *paths, "-q", f"--expect-{option}", value)
        assert (status, said) == (1, ""), value
        assert "expected" in one_error(err, "REFUSED")


def test_targets_have_no_label_smoothing_to_expect(tmp_path):
    tiny = Tiny([[1]], [["1/2", "1/2"]], label_smoothing=None)
    paths = save(tmp_path, tiny.certificate("positive-targets"), tiny.dump())
    assert check_certificate(*paths).helped_by == ""
    with pytest.raises(check_existence.RefusedCertificate, match="about targets, not labels"):
        check_certificate(*paths, expect_smoothing=0)
    with pytest.raises(check_existence.RefusedCertificate, match="classes without names"):
        check_certificate(*paths, expect_classes=["0", "1"])


@pytest.mark.parametrize("value", ["x", "-1", "1/0", "1e999", "1e-9999", "inf", "٣", "9" * 400])
def test_what_is_expected_must_be_a_number(tmp_path, capsys, value):
    for option in ("smoothing", "l2"):
        status, said, err = run(capsys, "check", *files(tmp_path, "overlap"), f"--expect-{option}", value)
        assert (status, said) == (2, "")
        assert f"--expect-{option}: got" in one_error(err)


def test_the_problem_is_returned_with_the_verdict(tmp_path):
    found = check_certificate(
        *files(tmp_path, "positive"), expect_smoothing=0.1, expect_l2=0, expect_classes=["b", "a"]
    )
    assert (found.status, found.classes, found.label_smoothing, found.l2) == ("ATTAINED", ("a", "b"), "1/10", "0")
    assert str(found).startswith("VERIFIED: ATTAINED with label smoothing 1/10\n")


@pytest.mark.parametrize("form", ["gzip", "BOM", "gzip of a BOM"])
def test_a_certificate_is_read_as_its_checker_reads_it(tmp_path, capsys, form):
    """Compressed, or with the mark that some editors put before a text."""
    paths = files(tmp_path, "complete")
    content = paths[0].read_bytes()
    content = b"\xef\xbb\xbf" * ("BOM" in form) + content
    paths[0].write_bytes(gzip.compress(content) if "gzip" in form else content)
    status, said, err = run(capsys, "check", *paths)
    assert (status, err) == (0, "")
    assert said.startswith("VERIFIED: NOT_ATTAINED, complete")
    paths[0].write_bytes(gzip.compress(content.replace(b"jaxsoftmax-existence", b"somebody-else")))
    status, said, err = run(capsys, "check", *paths)
    assert (status, said) == (2, "")
    assert "its format is 'somebody-else'" in one_error(err)


def test_a_fault_of_the_checker_is_no_refutation(tmp_path, capsys, monkeypatch):
    def broken(*arguments):
        raise IndexError("list index out of range")

    monkeypatch.setattr(check_existence, "_pairs", broken)
    status, said, err = run(capsys, "check", *files(tmp_path, "overlap"))
    assert (status, said) == (2, "")
    assert "the checker failed (IndexError: list index out of range)" in one_error(err)


# ── the output ──
class Full(io.RawIOBase):
    """A disk without room."""

    def writable(self):
        return True

    def write(self, data):
        raise OSError(28, "No space left on device")


def stream(raw, encoding="utf-8"):
    return io.TextIOWrapper(io.BufferedWriter(raw) if isinstance(raw, Full) else raw, encoding=encoding)


@pytest.mark.parametrize("command", ["check", "--help", "--version"])
@pytest.mark.parametrize("full", [True, False])
def test_output_that_cannot_be_written_is_one_line_and_74(tmp_path, capsys, monkeypatch, command, full):
    """Not 1, which says that a check failed. Closed from the start, sys.stdout is None."""
    monkeypatch.setattr(sys, "stdout", stream(Full()) if full else None)
    status = cli.run([command, *(map(str, files(tmp_path, "overlap")) if command == "check" else [])])
    why = "No space left on device" if full else "it is closed"
    assert (status, one_error(capsys.readouterr().err)) == (
        74,
        f"jaxsoftmax: error: the standard output cannot be written: {why}",
    )


def test_nothing_to_write_needs_no_output(tmp_path, capsys, monkeypatch):
    for broken in (stream(Full()), None):
        monkeypatch.setattr(sys, "stdout", broken)
        assert cli.run(["check", "-q", *map(str, files(tmp_path, "overlap"))]) == 0
    assert capsys.readouterr().err == ""


def test_refused_is_1_whatever_becomes_of_the_words(tmp_path, monkeypatch):
    tiny, certificate = overlap()
    certificate["multipliers"][0]["values"][0] = [1, -1]
    paths = save(tmp_path, certificate, tiny.dump())
    for broken in (stream(Full()), None):
        monkeypatch.setattr(sys, "stderr", broken)
        assert cli.run(["check", *map(str, paths)]) == 1


def test_letters_that_the_terminal_lacks_are_escaped(tmp_path, monkeypatch, capsys):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", stream(raw, "cp1252"))
    assert cli.run(["check", *map(str, files(tmp_path, "complete", classes=["Ω", "b"]))]) == 0
    assert rb"classes: '\u03a9', 'b'" in raw.getvalue()
    assert capsys.readouterr().err == ""


def test_the_standard_output_is_put_back(monkeypatch):
    before = sys.stdout
    with watched_output():
        assert sys.stdout is not before
    assert sys.stdout is before
    monkeypatch.setattr(sys, "stdout", None)
    with watched_output():
        pass
    with pytest.raises(LostOutput), watched_output():
        sys.stdout.write("eggs")
    assert sys.stdout is None


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| true"])
def test_the_command_ends_with_74(tmp_path, redirection):
    """As a process, to its very end, where Python flushes once more."""
    text = "from jaxsoftmax.cli.main import main; main()"
    words = " ".join(map(str, files(tmp_path, "overlap")))
    if redirection == "| true":
        redirection = "| (exec 0<&-; sleep 2); exit ${PIPESTATUS[0]}"
    line = f"'{sys.executable}' -c '{text}' check {words} {redirection}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert done.returncode == 74, done.stderr
    assert "the standard output cannot be written" in one_error(done.stderr)


def test_a_certificate_is_whole_although_the_report_is_lost(tmp_path, capsys, monkeypatch):
    """certify writes its files first."""
    data, out = tmp_path / "eggs.csv", tmp_path / "cert.json"
    data.write_text("w,bird\n1,wren\n2,Ωcrow\n3,wren\n", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream(Full()))
    assert cli.run(["certify", str(data), "-o", str(out)]) == 74
    assert json.loads(out.read_text("utf-8"))["verdict"]["status"] == "ATTAINED"
    assert "cannot be written" in one_error(capsys.readouterr().err)
    monkeypatch.setattr(sys, "stdout", stream(raw := io.BytesIO(), "cp1252"))
    assert cli.run(["certify", str(data), "-o", str(out)]) == 0
    assert b"Proved and checked" in raw.getvalue()


def test_labels_of_integers_are_no_text(tmp_path, capsys):
    """The maker's rule, which a certificate cannot bend."""
    tiny = labelled([[1], [2], [1], [2]], "aabb")
    tiny.classes, tiny.labels, tiny.table = ["1", "2"], list("1122"), {"delimiter": ",", "header": False, "target": 1}
    G = [[-1, 1], [-1, 1], [1, -1], [1, -1]]
    paths = save(tmp_path, tiny.certificate("multipliers", G=G), tiny.csv(), "data.csv")
    status, said, err = run(capsys, "check", *paths)
    assert (status, said) == (1, "")
    assert "all labels are integers" in one_error(err, "REFUSED")


def test_the_intercept_that_is_expected(tmp_path, capsys):
    """S9: with or without an intercept are two problems; the certificate says which, and --quiet does not show it."""
    paths = files(tmp_path, "overlap")
    has = check_certificate(*paths).intercept
    right, wrong = (
        ("--expect-intercept", "--expect-no-intercept") if has else ("--expect-no-intercept", "--expect-intercept")
    )
    assert run(capsys, "check", *paths, "-q", right) == (0, "", "")
    status, said, err = run(capsys, "check", *paths, "-q", wrong)
    assert (status, said) == (1, "") and "expected" in one_error(err, "REFUSED")


@pytest.mark.parametrize("value", ["no", 3])
def test_expected_classes_are_a_list(tmp_path, value):
    with pytest.raises(TypeError, match=r"expect_classes: got .* list"):
        check_certificate(*files(tmp_path, "overlap"), expect_classes=value)


def test_expected_classes_may_hold_a_line_break(tmp_path, capsys):
    status, _, err = run(capsys, "check", *files(tmp_path, "overlap"), "-q", "--expect-classes", "a\nc")
    assert status == 1 and "expected" in one_error(err, "REFUSED")

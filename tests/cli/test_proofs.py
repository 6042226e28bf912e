"""`jaxsoftmax certify --digits` and `check`: proofs from real files, and all that leaves no certificate (S13)."""

import decimal
import importlib.util
import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.errors import one_error
from helpers.made_fit import made_fit
from jaxsoftmax import certification
from jaxsoftmax.cli import certify as cli_certify
from jaxsoftmax.cli import main as cli
from jaxsoftmax.cli import proofs as cli_proofs
from jaxsoftmax.proof.minimum import certificate as minimum_certificate
from jaxsoftmax.support import memory

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("flint")

# Two values of x, so the fit is exact in each group: L* = (3 log 3 - 2 log 2) + (4 log 4 - 3 log 3) = 6 log 2.
GROUPS = "x,side\n" + "0,low\n" * 2 + "0,high\n" + "1,low\n" + "1,high\n" * 3
APART = GROUPS.replace("0,high", "0,low").replace("1,low", "1,high")
with decimal.localcontext(prec=80):
    SIX_LOG_2 = Fraction(6 * decimal.Decimal(2).ln())


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def write(folder, content=GROUPS, name="groups.csv"):
    file = folder / name
    file.write_text(content)
    return file


def run(capsys, *arguments):
    """Exit status, stdout as one line, stderr."""
    status = cli.run([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return status, " ".join(out.split()), err


def proved(capsys, data, *options):
    """The certificate that certify --digits 30 writes for a file; and it exits with 0."""
    out = data.parent / "cert.json"
    status, said, err = run(capsys, "certify", data, "--digits", "30", "-o", out, *options)
    assert (status, err) == (0, ""), said
    assert "Proved and checked" in said
    return json.loads(out.read_text("utf-8"))


def checks(capsys, data):
    return run(capsys, "check", data.parent / "cert.json", data)


@pytest.mark.slow
def test_a_minimum_known_in_closed_form_is_enclosed_and_checked(tmp_path, capsys):
    """S13, section 7.8, from the file to the file: 6 log 2 lies in the interval, which has the digits asked for."""
    data, report = write(tmp_path), tmp_path / "report.json"
    certificate = proved(capsys, data, "--json", report)
    assert certificate["format"] == "jaxsoftmax-minimiser"
    assert certificate["data"]["table"] == {"delimiter": ",", "header": True, "target": 1}
    claims = certificate["claims"]
    lower, upper = Fraction(claims["loss_lower"]), Fraction(claims["loss_upper"])
    assert lower <= SIX_LOG_2 <= upper
    assert upper - lower < Fraction(1, 10**29)
    assert claims["digits"] >= 30
    stored = json.loads(report.read_text("utf-8"))
    assert stored["minimiser"]["loss_lower"] == claims["loss_lower"]
    assert (stored["certificate"], stored["refused"], stored["existence"]) == (str(tmp_path / "cert.json"), None, None)
    # The weights: log-odds 0 and log 3 in the groups, halved by the gauge and apart by the sign.
    W, bounds = np.array(stored["minimiser"]["W"]), stored["minimiser"]["weight_error_bounds"]
    high, low = -W[0], W[1]  # classes in sorted order: high, low
    assert np.allclose(W.sum(axis=0), 0, atol=1e-15) and np.allclose(high, low)
    assert W[0] == pytest.approx([np.log(6) / 2, -np.log(2) / 2], rel=1e-15)
    assert max(bounds) < 1e-14
    status, said, err = checks(capsys, data)
    assert (status, err) == (0, "")
    assert said.startswith("VERIFIED: the loss has a minimiser")
    assert claims["loss_upper"] in said
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cert.json", "groups.csv", "report.json"]


@pytest.mark.slow
def test_the_report_says_what_is_claimed(tmp_path, capsys):
    status, said, _ = run(capsys, "certify", write(tmp_path), "--digits", "25", "-o", tmp_path / "c.json")
    assert status == 0
    for words in (
        "Certificate: a minimiser exists, and",
        "numbers read as shortest decimals",
        "minimum L* >= 4.15888308335967185650339",
        "< 1 (S13)",
        "‖W* − Ŵ‖ <=",
        "curvature H(Ŵ) >=",
        "(S17, S8)",
        "checked: VERIFIED: the loss has a minimiser; from",
        f"jaxsoftmax check {tmp_path / 'c.json'} {tmp_path / 'groups.csv'}",
    ):
        assert words in said, words


@pytest.mark.slow_cases("options1-full-regularizers1", "options0-pairs-regularizers0")
@pytest.mark.parametrize(
    ("options", "method", "regularizers"),
    [
        (["--method", "pairs"], "pairs", []),
        (["--method", "full"], "full", []),
        pytest.param(  # another compilation of fit
            ["--l2", "0.1", "--binary", "--label-smoothing", "0.01"],
            "full",
            ["l2 3602879701896397/36028797018963968 0"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_options_are_in_the_certificate_exactly(tmp_path, capsys, options, method, regularizers):
    """S14 and S15 by name; S21a and S21c: the penalty and the smoothing as they were read."""
    data = write(tmp_path)
    certificate = proved(capsys, data, *options)
    assert certificate["witness"]["curvature"]["method"] == method
    assert certificate["data"]["regularizers"] == regularizers
    assert certificate["data"]["label_smoothing"] == ("1/100" if "--label-smoothing" in options else "0")
    assert checks(capsys, data)[0] == 0


@pytest.mark.slow
def test_a_format_that_the_checker_does_not_read_is_checked_from_a_dump(tmp_path, capsys):
    data, dump, out = tmp_path / "groups.npz", tmp_path / "groups.txt", tmp_path / "cert.json"
    np.savez(data, X=np.array([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0], [1.0]]), y=list("aabbabb"))
    status, said, _ = run(capsys, "certify", data, "--digits", "10", "-o", out, "--dump", dump)
    assert status == 0
    assert f"jaxsoftmax check {out} {dump}" in said
    assert run(capsys, "check", out, dump)[0] == 0


@pytest.mark.slow
def test_phases_are_told_as_they_begin(tmp_path, capsys, monkeypatch):
    from contextlib import contextmanager

    told = []

    @contextmanager
    def listening(quiet, asked):
        yield told.append

    monkeypatch.setattr(cli_certify, "spinner", listening)
    proved(capsys, write(tmp_path))
    order = ("training", "independent columns", "step 0", "curvature", "writing the certificate", "checking")
    where = [next(k for k, line in enumerate(told) if phase in line) for phase in order]
    assert where == sorted(where)
    assert all(line.startswith("groups.csv: ") for line in told)


# What leaves no certificate


def test_separated_data_have_the_reason_and_the_verdict_and_no_certificate(tmp_path, capsys):
    """S9: where no minimiser exists there is nothing to enclose."""
    report = tmp_path / "report.json"
    data = write(tmp_path, APART)
    status, said, err = run(capsys, "certify", data, "--digits", "30", "-o", tmp_path / "c.json", "--json", report)
    assert (status, err) == (1, "")
    assert "NOT_ATTAINED (complete separation" in said
    assert "NO CERTIFICATE of a minimiser: none exists" in said
    assert said.count("No minimiser exists") == 1
    stored = json.loads(report.read_text("utf-8"))
    assert (stored["minimiser"], stored["certificate"], stored["existence"]["status"]) == (None, None, "NOT_ATTAINED")
    assert stored["reason"].startswith("certify: there is no minimiser to certify.")
    assert not (tmp_path / "c.json").exists()
    # The same without --digits is a proof of that.
    assert run(capsys, "certify", data, "-o", tmp_path / "c.json", "-q")[0] == 0


def test_a_minimiser_that_is_not_proved_is_said_so(tmp_path, capsys, monkeypatch):
    def far(*arguments, **options):
        raise js.NotProved("certify: S13's q = 3 is not below 1 at W: W is too far. Train longer.")

    monkeypatch.setattr(cli_proofs, "certify", far)
    status, said, _ = run(capsys, "certify", write(tmp_path), "--digits", "30", "-o", tmp_path / "c.json")
    assert status == 1
    assert "S13's q = 3 is not below 1 at W: W is too far. Train longer." in said
    assert "ATTAINED" in said and "NO CERTIFICATE: no proof was found" in said
    assert [file.name for file in tmp_path.iterdir()] == ["groups.csv"]


def test_a_certificate_that_the_checker_refuses_is_not_written(tmp_path, capsys, monkeypatch):
    true = minimum_certificate.write_certificate

    def wrong(path, certificate):
        certificate["claims"]["loss_lower"] = certificate["claims"]["loss_upper"]
        true(path, certificate)

    monkeypatch.setattr(minimum_certificate, "write_certificate", wrong)
    status, said, _ = run(capsys, "certify", write(tmp_path), "--digits", "30", "-o", tmp_path / "c.json")
    assert status == 1
    assert "The checker REFUSES the certificate" in said and "loss_lower" in said
    assert [file.name for file in tmp_path.iterdir()] == ["groups.csv"]


@pytest.mark.parametrize(("module", "place"), [(cli_proofs, "certify"), (cli_certify, "check_certificate")])
def test_ctrl_c_leaves_the_old_certificate_and_nothing_half_written(tmp_path, capsys, monkeypatch, module, place):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    data, out = write(tmp_path), write(tmp_path, "an older one", "c.json")
    monkeypatch.setattr(module, place, stop)
    said = run(capsys, "certify", data, "--digits", "30", "-o", out)
    assert said == (130, "", "jaxsoftmax: error: interrupted\n")
    assert out.read_text() == "an older one"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.json", "groups.csv"]


@pytest.mark.parametrize("part", [{"status": js.Status.INTERRUPTED}, {"end_point_cut": True}])
def test_ctrl_c_in_training_ends_the_command(tmp_path, capsys, monkeypatch, part):
    """`fit` returns what it has done; nothing is proved from that."""
    half = made_fit(W=AT, **part)
    monkeypatch.setattr(certification, "fit", lambda problem, progress: half)
    said = run(capsys, "certify", write(tmp_path), "--digits", "30", "-o", tmp_path / "c.json")
    assert said == (130, "", "jaxsoftmax: error: interrupted\n")
    assert [file.name for file in tmp_path.iterdir()] == ["groups.csv"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--digits", "0"], "--digits: got 0"),
        (["--digits", "-3"], "--digits: got -3"),
        (["--digits", "1000000"], "--digits: got 1000000; give at most"),
        (["--digits", "2.5"], "'--digits': Input should be a valid integer"),
        (["--method", "full"], "--method: it says how --digits proves"),
        (["--digits", "9", "--method", "qr"], "--method: got 'qr'"),
    ],
)
def test_unusable_options_are_one_line_and_leave_no_file(tmp_path, capsys, options, words):
    status, said, err = run(capsys, "certify", write(tmp_path), "-o", tmp_path / "c.json", *options)
    assert (status, said) == (2, "")
    assert words in one_error(err)
    assert [file.name for file in tmp_path.iterdir()] == ["groups.csv"]


def test_without_python_flint_the_extra_is_named(tmp_path, capsys, monkeypatch):
    true = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "flint" else true(name, *more))
    status, said, err = run(capsys, "certify", write(tmp_path), "--digits", "9", "-o", tmp_path / "c.json")
    assert (status, said) == (2, "")
    assert "--digits: python-flint is not installed; run: pip install 'jaxsoftmax[exact]'" in one_error(err)


# What check refuses


@pytest.fixture(scope="module")
def groups(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    data = write(folder)
    assert cli.run(["certify", str(data), "--digits", "30", "-o", str(folder / "cert.json"), "-q"]) == 0
    return data


@pytest.mark.parametrize(("old", "new"), [("1,low", "1,high"), ("0,high", "0.5,high"), ("x,side", "z,side")])
def test_other_data_are_refused(tmp_path, groups, capsys, old, new):
    other = write(tmp_path, GROUPS.replace(old, new))
    status, said, err = run(capsys, "check", groups.parent / "cert.json", other)
    assert (status, said) == (1, "")
    one_error(err, "REFUSED")


@pytest.mark.parametrize(
    ("claim", "factor"),
    [
        ("loss_upper", Fraction(10**20 - 1, 10**20)),
        ("loss_lower", Fraction(10**20 + 1, 10**20)),
        ("q", Fraction(1, 2)),
        ("radius_euclidean", Fraction(1, 2)),
        ("curvature", Fraction(11, 10)),
        ("curvature_upper", Fraction(1, 100)),
        ("condition", Fraction(1, 2)),
        ("rate", Fraction(99, 100)),
    ],
)
def test_a_claim_beyond_the_proof_is_refused(tmp_path, groups, capsys, claim, factor):
    """S13, S14, S17: each number by itself, moved to the side that is not proved."""
    certificate = json.loads((groups.parent / "cert.json").read_text())
    certificate["claims"][claim] = str(Fraction(certificate["claims"][claim]) * factor)
    path = write(tmp_path, json.dumps(certificate), "cert.json")
    status, said, err = run(capsys, "check", path, groups)
    assert (status, said) == (1, "")
    assert "REFUSED" in err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[: len(text) // 2], "JSON"),
        (lambda text: text.replace('"version": 1', '"version": 2'), "version 2"),
        (lambda text: text.replace("jaxsoftmax-minimiser", "jaxsoftmax-existence"), "certificate"),
        (lambda text: text.replace('"claims"', '"advice": 1, "claims"'), "advice"),
    ],
)
def test_what_is_no_certificate_is_unusable(tmp_path, groups, capsys, change, words):
    path = write(tmp_path, change((groups.parent / "cert.json").read_text()), "cert.json")
    status, said, err = run(capsys, "check", path, groups)
    assert (status, said) == (2, "")
    assert words in one_error(err)


def test_check_needs_neither_jax_nor_numpy(groups):
    code = (
        "import sys; from jaxsoftmax.cli import main as cli; status = cli.run(sys.argv[1:]);"
        "assert not {'jax', 'numpy'} & set(sys.modules), 'imported'; sys.exit(status)"
    )
    command = [sys.executable, "-c", code, "check", str(groups.parent / "cert.json"), str(groups)]
    assert "VERIFIED" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


# js.certify and js.check_certificate: what cannot be used


X, Y = np.array([[0.0], [0.0], [0.0], [1.0], [1.0], [1.0], [1.0]]), list("llhlhhh")
AT = np.array([[np.log(6) / 2, -np.log(2) / 2], [-np.log(6) / 2, np.log(2) / 2]])


@pytest.fixture(scope="module")
def problem():
    return js.Problem.from_labels(X, Y, dtype="float32")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"digits": 0}, ValueError, "digits: got 0"),
        ({"digits": 2.5}, TypeError, "digits: got 2.5"),
        ({"digits": 10**6}, ValueError, "digits: got 1000000; give at most"),
        ({"method": "qr"}, ValueError, "method: got 'qr'"),
        ({"W": np.zeros((2, 5))}, ValueError, r"W: .*\(2, 5\); give fit\.W, real, of shape \(2, 2\)"),
        ({"W": np.full((2, 2), np.nan)}, ValueError, "W: holds NaN"),
        ({"W": np.zeros((2, 2), complex)}, ValueError, "W: .*complex128"),
        ({"W": np.array([[900.0, 0.0], [-900.0, 0.0]])}, js.NotProved, "certify: "),  # of another problem
    ],
)
def test_arguments_of_certify_that_cannot_be_used_are_named(problem, arguments, error, words):
    with pytest.raises(error, match=words):
        js.certify(problem, **arguments)


@pytest.mark.parametrize(
    ("method", "limit", "words"),
    [
        ("full", "_MOST_ORDER", r"'full' needs matrices of order 2, for 2 classes"),
        ("pairs", "_MOST_ORDER", r"'pairs' needs matrices of order 2"),
        ("pairs", "_MOST_CLASSES", r"'pairs' needs matrices of order 2, for 2 classes"),
    ],
)
def test_matrices_that_no_checker_takes_are_refused(problem, monkeypatch, method, limit, words):
    """S14, S15: the limits of check_curvature.py, before the proof is made."""
    monkeypatch.setattr(certification, limit, 2)
    assert js.certify(problem, AT, method=method).digits >= 15
    monkeypatch.setattr(certification, limit, 1)
    with pytest.raises(ValueError, match=f"method: {words}"):
        js.certify(problem, AT, method=method)


@pytest.mark.parametrize("known", [8e9, None])
def test_digits_beyond_memory_are_refused_before_anything_is_computed(monkeypatch, known):
    """3·10⁶ probabilities of 3,000 digits take 64 + 3,780 bytes each: of 8 GB free, 2,066 digits would.

    As many count as free where nothing is known.
    """
    monkeypatch.setattr(memory, "free_bytes", lambda devices=(): known)
    monkeypatch.setattr(memory, "ALWAYS_FREE", 0)
    wide = js.Problem.from_labels(np.zeros((60_000, 1), np.float32), np.arange(60_000) % 50, dtype="float32")
    with pytest.raises(ValueError, match=r"3000 for probabilities of 60000 x 50 needs .* GB .* give at most 2065\."):
        js.certify(wide, digits=3000)


def test_targets_sum_to_1_exactly_or_are_refused():
    """As section 7.9 has it: a row of floats is read as t/Σt, what the certificate is about; others are refused."""
    T = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    assert {sum(map(Fraction, row)) for row in T.tolist()} != {1}  # as doubles they do not
    half = np.log(1.5) / 2  # the mean of T is 6/10 where x = 0, and where x = 1
    found = js.certify(js.Problem([[0.0], [0.0], [1.0]], T, intercept=True, dtype="float32"), [[0, half], [0, -half]])
    P, q = found.proof.data.P, found.proof.data.q
    assert [sum(row) for row in P.tolist()] == list(q)
    assert Fraction(int(P[0, 0]), int(q[0])) == Fraction(0.9) / (Fraction(0.9) + Fraction(0.1))
    with pytest.raises(ValueError, match=r"T: row 1 sums to 0\.8.*divide it by its sum"):
        js.Problem(X[:3], np.array([[0.9, 0.1], [0.3, 0.6], [0.6, 0.4]]))


def test_numbers_that_are_not_those_of_the_certificate_are_refused(problem, tmp_path):
    """One unit in the last place of one entry, another label, another label_smoothing: another sha256."""
    js.certify(problem, AT).save(tmp_path / "c.json")
    assert "digits" in js.check_certificate(tmp_path / "c.json", problem).claims
    moved = X.copy()
    moved[6, 0] = np.nextafter(1.0, 2.0)
    for other in (
        js.Problem.from_labels(moved, Y),
        js.Problem.from_labels(X, list("llhhlhh")),
        js.Problem.from_labels(X, Y, label_smoothing="0.01"),
    ):
        with pytest.raises(ValueError, match=r"about other data: its sha256|no labels smoothed by"):
            js.check_certificate(tmp_path / "c.json", other)


def test_digits_of_a_weight_are_its_size_over_its_error():
    """S13: each weight of Ŵ has as many correct decimals as r/σ_d leaves; of the intercept too, none if dropped."""
    X = [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]
    found = js.certify(js.Problem.from_labels(X, [0, 1, 0, 1]), np.array([[-0.4, 0, 0.6], [0.4, 0, -0.6]]), digits=20)
    digits, bounds, W = found.weight_digits(), found.weight_error_bounds(), found.exact_weights()
    assert digits.shape == (2, 3) and bounds.shape == (3,) and bounds[1] == 0
    assert digits[:, 1].tolist() == [-1, -1]
    for c, d in ((0, 0), (1, 0), (0, 2), (1, 2)):
        bound = Fraction(found.radius) / Fraction(2) ** int(found.proof.curvature.exponents[d // 2])
        assert bound * 10 ** int(digits[c, d]) <= abs(W[c][d]) < bound * 10 ** (int(digits[c, d]) + 1)

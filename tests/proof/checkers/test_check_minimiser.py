"""S13, S14, S15, S8, S17: the standalone checker proves every claim of a certificate of a minimiser, and no more."""

import ast
import copy
import json
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from helpers.certificates.certificates import Tiny, save
from helpers.certificates.minimisers import (
    CASES,
    OVERLAP,
    PLANE,
    SOFT,
    Options,
    certify,
    exact,
    made,
    newton,
    probabilities,
    real,
)
from helpers.house import modules
from jaxsoftmax.proof.checkers import check_samples
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate
from jaxsoftmax.proof.checkers.check_minimiser import _check_digits, check, main

pytest.importorskip("flint")
mpmath = pytest.importorskip("mpmath")

CLAIMS = ("loss_lower", "loss_upper", "q", "radius", "radius_euclidean", "curvature", "curvature_euclidean")
CLAIMS += ("curvature_upper", "condition", "rate")
FILES = ("check_minimiser", "check_curvature", "check_samples", "check_existence")


def parts(name):
    tiny, text = made(name)
    return copy.deepcopy(tiny), json.loads(text)


def run(folder, tiny, certificate):
    return check(*save(folder, certificate, tiny.dump()))


def refused(folder, tiny, certificate, message):
    with pytest.raises(RefusedCertificate, match=message):
        run(folder, tiny, certificate)


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_certificate_is_verified(name, tmp_path):
    tiny, certificate = parts(name)
    found = run(tmp_path, tiny, certificate)
    assert found.claims == certificate["claims"]
    report = str(found)
    assert report.startswith("VERIFIED: the loss has a minimiser")
    assert all(value in report for value in [tiny.sha256(), *(certificate["claims"][key] for key in CLAIMS)])


@pytest.mark.parametrize("name", CASES)
def test_each_claim_beyond_its_safe_side_is_refused(name, tmp_path):
    """Claims are rounded by 1e-9 to their safe side (the loss by 1e-40): 1e-6 (1e-30) beyond it is too much."""
    tiny, certificate = parts(name)
    for key in CLAIMS:
        bad, value = copy.deepcopy(certificate), Fraction(certificate["claims"][key])
        room = value / 10 ** (30 if "loss" in key else 6) if key != "rate" else (1 - value) / 10**6
        beyond = value + room if key in ("loss_lower", "curvature", "curvature_euclidean") else value - room
        bad["claims"][key] = str(beyond)
        refused(tmp_path, tiny, bad, f"claims.{key} is")
    certificate["claims"]["digits"] += 1
    refused(tmp_path, tiny, certificate, "claims.digits is")


@pytest.mark.parametrize("name", CASES)
def test_inflated_curvature_is_refused(name, tmp_path):
    """S14, S15: μ and each m are within 1e-9 of what the weights on the grid give."""
    tiny, certificate = parts(name)
    for holder in [certificate["witness"]["curvature"], *(certificate["witness"]["curvature"]["pairs"] or [])]:
        for key in {"mu", "m"} & set(holder):
            before = holder[key]
            for factor in (Fraction(11, 10), 1 + Fraction(1, 10**6)):
                holder[key] = str(Fraction(before) * factor)
                refused(tmp_path, tiny, certificate, "not proved|more than the graph")
            holder[key] = before
    assert run(tmp_path, tiny, certificate)


@pytest.mark.parametrize("name", CASES)
def test_other_weights_scalings_and_data_are_refused(name, tmp_path):
    tiny, certificate = parts(name)
    witness = certificate["witness"]
    bad = copy.deepcopy(certificate)
    bad["witness"]["weights"][0][0] = hex(int(witness["weights"][0][0], 16) + 1)
    refused(tmp_path, tiny, bad, "a column does not sum to 0")
    for power in (witness["bits"] - 8, witness["bits"] + 1):
        bad["witness"]["weights"][0][-1] = hex(int(witness["weights"][0][-1], 16) + 2**power)
        bad["witness"]["weights"][1][-1] = hex(int(witness["weights"][1][-1], 16) - 2**power)
        bad["witness"]["weights"][0][0] = witness["weights"][0][0]
        refused(tmp_path, tiny, bad, "not proved|q is|claims.")
    for k in range(len(witness["scaling"])):
        bad = copy.deepcopy(certificate)
        bad["witness"]["scaling"][k] += 1
        refused(tmp_path, tiny, bad, "not proved|claims.")
    for key, value in {"bits": witness["bits"] + 1, "precision": 40}.items():
        bad = copy.deepcopy(certificate)
        bad["witness"][key] = value
        if name != "a poorer point" or key == "bits":
            refused(tmp_path, tiny, bad, "not proved|q is|claims.")
    # The data change and the hash with them: it is the mathematics that refuses.
    other = copy.deepcopy(tiny)
    other.T[0] = other.T[0][::-1] if other.T[0] != other.T[0][::-1] else other.T[1]
    certificate["data"] = other.data()
    refused(tmp_path, other, certificate, "not proved|q is|claims.")
    other = copy.deepcopy(tiny)
    other.X[0] = [Fraction(other.X[0][0]) + Fraction(1, 1000), *other.X[0][1:]]
    certificate["data"] = other.data()
    refused(tmp_path, other, certificate, "not proved|q is|claims.|dropped")


def test_rows_of_a_pair(tmp_path):
    """S14: fewer samples, another sample, or samples of weight 0 are not those for which m was found."""
    for name in ("some rows", "weights", "self"):
        tiny, certificate = parts(name)
        for k, pair in enumerate(certificate["witness"]["curvature"]["pairs"]):
            if pair["rows"] is None:
                continue
            for dropped in range(len(pair["rows"])):
                bad = copy.deepcopy(certificate)
                del bad["witness"]["curvature"]["pairs"][k]["rows"][dropped]
                refused(tmp_path, tiny, bad, r"pair \(\d, \d\): m is not proved")
            for rows in (
                [0, 0, 1, 2],
                [1, 0, 2, 3],
                [-1, 0, 2],
                [0, 2, 99],
                [0, 1, 2, 3] if name == "weights" else [-2],
            ):
                bad = copy.deepcopy(certificate)
                bad["witness"]["curvature"]["pairs"][k]["rows"] = rows
                refused(tmp_path, tiny, bad, "rows must rise and have positive weight")


def test_columns_and_dependences(tmp_path):
    tiny, certificate = parts("dependent columns")
    witness = certificate["witness"]
    bad = [
        ("combination", lambda w: w["dropped"][0]["entries"][0].__setitem__(1, 7)),
        ("combination", lambda w: w["dropped"][0].update(denominator=4)),
        ("combination", lambda w: w["dropped"][0]["entries"].pop()),
        ("combination", lambda w: w["dropped"][1]["entries"].append([0, 1])),
        (r"is no \[column kept, p\]", lambda w: w["dropped"][0]["entries"].append([1, 3])),
        (r"is no \[column kept, p\]", lambda w: w["dropped"][0]["entries"].append([0, 1])),
        (r"is no \[column kept, p\]", lambda w: w["dropped"][0]["entries"].append([0])),
        ("denominator must be > 0", lambda w: w["dropped"][0].update(denominator=0)),
        ("denominator must be > 0", lambda w: w["dropped"][0].update(denominator=-3)),
        ("must part the columns 0..4", lambda w: w["dropped"].pop()),
        ("must part the columns 0..4", lambda w: w["dropped"].reverse()),
        ("must part the columns 0..4", lambda w: w["columns"].reverse()),
        ("must part the columns 0..4", lambda w: w["columns"].__setitem__(0, 1)),
        ("need 3 rows of 3 integers", lambda w: w["weights"].pop()),
        ("need 3 rows of 3 integers", lambda w: w["weights"][0].pop()),
        ("needs an exponent", lambda w: w["scaling"].pop()),
        ("needs an exponent", lambda w: w["scaling"].__setitem__(0, 2001)),
    ]
    for message, change in bad:
        changed = copy.deepcopy(certificate)
        change(changed["witness"])
        refused(tmp_path, tiny, changed, message)
    # The matrix of all five columns is singular, whatever μ is.
    witness["dropped"], witness["columns"], witness["scaling"] = [], list(range(5)), [0] * 5
    witness["weights"] = [[row[0], 0, 0, *row[1:]] for row in witness["weights"]]
    witness["curvature"]["mu"] = "1/1000000000"
    refused(tmp_path, tiny, certificate, "mu is not proved")


def test_no_column_is_dropped_under_a_penalty(tmp_path):
    tiny, certificate = parts("dependent columns")
    tiny.regularizers = ["l2 1/1000 0"]
    certificate["data"] = tiny.data()
    refused(tmp_path, tiny, certificate, "no column may be dropped under an L2 penalty")


def test_the_penalty_counts(tmp_path):
    """S21a: without it the loss, the gradient and the curvature are others; separable data have no minimiser."""
    tiny, certificate = parts("L2")
    for lines in ([], ["l2 1/11 0"], ["l2 1/10 1"], ["l2 1/10 0", "self 1"], ["self 1"]):
        other = copy.deepcopy(tiny)
        other.regularizers = lines
        certificate["data"] = other.data()
        refused(tmp_path, other, certificate, "not proved|q is|claims.")
    tiny.regularizers = ["logcosh 1/10 1 0"]
    certificate["data"] = tiny.data()
    refused(tmp_path, tiny, certificate, "log-cosh is not covered")
    tiny, certificate = parts("soft")
    tiny.regularizers = ["logcosh 0 1 0", "l2 0 1"]  # of strength 0: nothing
    certificate["data"] = tiny.data()
    assert run(tmp_path, tiny, certificate)


def test_pairs_must_connect_the_classes(tmp_path):
    """S14: λ₂ of a graph in two parts is 0."""
    tiny, certificate = parts("all pairs")
    curvature = certificate["witness"]["curvature"]
    curvature["mu"] = "1/10000000000"
    for some in ([0], [1], [2]):
        bad = copy.deepcopy(certificate)
        bad["witness"]["curvature"]["pairs"] = [curvature["pairs"][k] for k in some]
        refused(tmp_path, tiny, bad, "more than the graph of the pairs gives")
    for classes in ([1, 0], [0, 3], [-1, 0], [0, 0], [0], [0, 1, 2]):
        bad = copy.deepcopy(certificate)
        bad["witness"]["curvature"]["pairs"][0]["classes"] = classes
        refused(tmp_path, tiny, bad, "needs classes a < b < 3")
    bad = copy.deepcopy(certificate)
    bad["witness"]["curvature"]["pairs"].append(curvature["pairs"][0])
    refused(tmp_path, tiny, bad, "each pair once")
    for key, value in {"m": "0", "mu": "0", "weight_bits": 300, "method": "best", "pairs": []}.items():
        bad = copy.deepcopy(certificate)
        (bad["witness"]["curvature"]["pairs"][0] if key == "m" else bad["witness"]["curvature"])[key] = value
        refused(tmp_path, tiny, bad, "curvature: ")


def test_a_point_too_far_off_proves_nothing(tmp_path):
    """S13: q ≥ 1 is no proof, and neither is a claim of q ≥ 1."""
    tiny, certificate = Tiny(PLANE, SOFT, label_smoothing=None), parts("soft")[1]
    W = certificate["witness"]["weights"]
    certificate["witness"]["weights"] = [[0] * len(row) for row in W]
    certificate["witness"]["curvature"]["mu"] = "1/1000"
    refused(tmp_path, tiny, certificate, "only q < 1 proves that there is a minimiser")
    tiny, certificate = parts("soft")
    certificate["claims"]["q"] = "1"
    refused(tmp_path, tiny, certificate, "q and rate must be below 1")
    tiny, certificate = parts("soft")
    certificate["claims"]["rate"] = "1"
    refused(tmp_path, tiny, certificate, "q and rate must be below 1")


def test_separable_data_have_no_certificate(tmp_path):
    """S9: along a recession direction q stays above 1, however small the gradient is."""
    tiny = Tiny([[0], [1]], [[1, 0], [0, 1]], label_smoothing=None)
    certificate = parts("two classes")[1]
    certificate["data"] = tiny.data()
    for k in range(8):
        slope = 2**k << 160
        certificate["witness"]["weights"] = [[hex(-slope), hex(slope // 2)], [hex(slope), hex(-slope // 2)]]
        y = 1 / (1 + mpmath.exp(mpmath.mpf(2) ** k))  # of the wrong class: s y (1 − y) is the weight of both samples
        M = y * (1 - y) * mpmath.matrix([[1, 1], [1, 2]])
        mu = 2 * min(mpmath.eigsy(M, eigvals_only=True)) * mpmath.mpf("0.99")
        certificate["witness"]["curvature"].update(mu=str(Fraction(float(mu))), weight_bits=256)
        certificate["witness"]["precision"] = 8000
        refused(tmp_path, tiny, certificate, r"q is \[\d.*only q < 1")


def test_the_true_minimiser_is_where_the_claims_say(tmp_path):
    """S13: W* in 60 digits, from a point that is off by 1/1000, is in the ball and L* in the interval."""
    tiny, certificate = parts("a poorer point")
    claims = run(tmp_path, tiny, certificate).claims
    with mpmath.workdps(60):
        rows = exact(tiny)
        W = newton(rows, [0, 1, 2])
        loss, _ = probabilities(rows, W, [0, 1, 2])
        witness = certificate["witness"]["weights"]
        apart = [
            w - real(Fraction(int(v, 16), 2**160))
            for r, s in zip(W, witness, strict=True)
            for w, v in zip(r, s, strict=True)
        ]
        assert mpmath.mpf(claims["loss_lower"]) < loss < mpmath.mpf(claims["loss_upper"])
        distance = mpmath.sqrt(sum(x * x for x in apart))
        assert distance <= mpmath.mpf(claims["radius"]) <= 100 * distance


def test_the_gradient_is_no_better_known_than_the_probabilities(tmp_path):
    """At W = 0 with targets 1/2 the gradient comes out as 0, and is still not known beyond the precision."""
    tiny = Tiny([[1], [-3]], [["1/2", "1/2"], ["1/2", "1/2"]], label_smoothing=None, intercept=False)
    certificate = parts("two classes")[1]
    certificate["data"] = tiny.data()
    certificate["witness"].update(weights=[[0], [0]], columns=[0], scaling=[0], precision=100)
    # M = (1 + 9)/4 less the grid's, the trace is 10, β = √18, and ∇L is known to 2 · 2^-132 · 2 · 3 in each class.
    certificate["witness"]["curvature"].update(mu="4.99999", pairs=None)
    error = 12 * Fraction(2) ** -132
    q = mpmath.sqrt(18) * mpmath.sqrt(2) * real(error) / mpmath.mpf("4.99999")
    certificate["claims"] |= {
        "loss_lower": "1.386294361119890618834464242916",
        "loss_upper": "1.386294361119890618834464242917",
        "digits": 20,
        "q": str(Fraction(float(q)) * (1 + Fraction(1, 10**9))),
        "radius": "1e-30",
        "radius_euclidean": "1e-30",
        "curvature": "4.99999",
        "curvature_euclidean": "4.99999",
        "curvature_upper": "5",
        "condition": "1.1",
        "rate": "0.001",
    }
    assert run(tmp_path, tiny, certificate)
    certificate["claims"]["q"] = str(Fraction(float(q)) * (1 - Fraction(1, 10**6)))
    refused(tmp_path, tiny, certificate, "claims.q is")


def test_weights_on_the_grid_are_rounded_down(tmp_path):
    """S14: y = 1/2 is known from below to 2^-232, so that 2^22 becomes 2^22 − 1, and M = 10 (2^22 − 1)/2^24."""
    tiny = Tiny([[1], [-3]], [["1/2", "1/2"], ["1/2", "1/2"]], label_smoothing=None, intercept=False)
    certificate = parts("two classes")[1]
    certificate["data"] = tiny.data()
    certificate["witness"].update(weights=[[0], [0]], columns=[0], scaling=[0])
    for mu, message in ((20 * (2**22 - 1), "claims"), (20 * 2**22 - 19, "mu is not proved")):
        room = Fraction(1, 10**12)  # for the factor
        certificate["witness"]["curvature"]["mu"] = str(Fraction(mu, 2**24) * (1 - room))
        refused(tmp_path, tiny, certificate, message)


def test_blocks_of_samples_do_not_matter(tmp_path, monkeypatch):
    """X in matrices of one or two samples each."""
    monkeypatch.setattr(check_samples, "_BLOCK", 7)
    for name in CASES:
        assert run(tmp_path, *parts(name))


def test_zero_columns_prove_nothing(tmp_path):
    tiny = Tiny(
        [[0], [0]], [["1/2", "1/2"], ["1/2", "1/2"]], label_smoothing=None, intercept=False, regularizers=["l2 1 0"]
    )
    certificate = parts("two classes")[1]
    certificate["data"] = tiny.data()
    certificate["witness"].update(weights=[[0], [0]], columns=[0], scaling=[0])
    certificate["witness"]["curvature"]["mu"] = "1/2"
    refused(tmp_path, tiny, certificate, "all of them are 0")


def test_digits_are_relative_to_the_leading_one(tmp_path):
    """An interval [9.99, 10.01] is known to three digits (a unit of the third one of 9.99 is 0.01, of 10.01 0.1)."""
    tiny, certificate = parts("soft")
    claims = certificate["claims"]
    lower, upper = Fraction(claims["loss_lower"]), Fraction(claims["loss_upper"])
    claims["loss_lower"] = str(lower - Fraction(1, 1000))
    claims["digits"] = 4  # 8.…: a unit of the fourth digit is 1/1000, and the interval is a little wider
    assert 1 < lower < 10
    refused(tmp_path, tiny, certificate, "claims.digits is 4")
    claims["digits"] = 3
    assert run(tmp_path, tiny, certificate)
    claims["loss_lower"] = str(upper - Fraction(1, 1000))
    claims["digits"] = 4
    assert run(tmp_path, tiny, certificate)
    for lower, digits in (("-1", 1), ("0", 1), ("1", -1)):
        claims.update(loss_lower=lower, digits=digits)
        refused(tmp_path, tiny, certificate, "claims.digits: must be 0, or > 0 with loss_lower > 0")
    claims.update(loss_lower="-1", digits=0)
    assert run(tmp_path, tiny, certificate)


def test_the_leading_digit_of_a_number_next_to_a_power_of_ten_is_found():
    """1000 − 10⁻³⁰: the difference of two float logarithms is 3, and a unit of its fifth digit is 1/100, not 1/10."""
    for lower, place in ((1000 - Fraction(1, 10**30), 2), (Fraction(1000), 3), (Fraction(1, 1000), -3)):
        for digits in (1, 5):
            unit = Fraction(10) ** (place + 1 - digits)
            _check_digits(digits, lower, lower + unit)
            with pytest.raises(RefusedCertificate, match=f"claims.digits is {digits}"):
                _check_digits(digits, lower, lower + unit * Fraction(101, 100))


# ── the file ──
BAD = {
    "version": ({"version": 2}, "version 2: this checker reads version 1"),
    "format": ({"format": "jaxsoftmax-existence"}, "its format is not 'jaxsoftmax-minimiser'"),
    "an unknown key": ({"note": 1}, "certificate: needs the keys format, version"),
    "an unknown claim": ({"claims__colour": "1"}, "certificate.claims: needs the keys"),
    "an unknown key of the witness": ({"witness__seed": 1}, "certificate.witness: needs the keys"),
    "a float": ({"witness__precision": 200.5}, "200.5 is no integer"),
    "NaN": ({"witness__precision": float("nan")}, "NaN is no integer"),
    "a boolean": ({"witness__bits": True}, "bits: needs int; found True"),
    "bits as text": ({"witness__bits": "160"}, "bits: needs int; found '160'"),
    "a decimal weight": ({"witness__weights__0__0": "12"}, "needs integer; found '12'"),
    "a claim as number": ({"claims__q": 0}, "claims.q: needs str; found 0"),
    "a claim of nan": ({"claims__q": "nan"}, "claims.q is 'nan'; it must be a decimal number or p/q"),
    "a claim of inf": ({"claims__radius": "-inf"}, "claims.radius is '-inf'"),
    "a claim of 1/0": ({"claims__q": "1/0"}, "claims.q is '1/0'"),
    "a claim with blanks": ({"claims__q": " 1"}, "claims.q is ' 1'"),
    "a claim of other digits": ({"claims__q": "٠.١"}, "claims.q is '٠.١'"),
    "a claim of 1e99999": ({"claims__condition": "1e99999"}, "claims.condition is '1e99999'"),
    "a long claim": ({"claims__condition": "1" * 5000}, "claims.condition is '1111"),
    "mu": ({"witness__curvature__mu": "0x1"}, "mu is '0x1'"),
    "pairs": ({"witness__curvature__pairs": 7}, "pairs: needs"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_certificate_of_another_form_is_an_error(name, tmp_path):
    tiny, certificate = parts("two classes")
    changes, message = BAD[name]
    for path, value in changes.items():
        *keys, last = [int(key) if key.isdigit() else key for key in path.split("__")]
        place = certificate
        for key in keys:
            place = place[key]
        place[last] = value
    with pytest.raises(ValueError, match=message) as caught:
        run(tmp_path, tiny, certificate)
    assert caught.type is ValueError


def test_other_bounds_of_the_witness(tmp_path):
    tiny, certificate = parts("two classes")
    for key, value in (("bits", -1), ("bits", 1 << 17), ("precision", 31), ("precision", -200), ("precision", 1 << 40)):
        bad = copy.deepcopy(certificate)
        bad["witness"][key] = value
        refused(tmp_path, tiny, bad, "bits and precision: must be in")
    bad = copy.deepcopy(certificate)
    bad["witness"]["weights"] = [[hex(2**400), 0], [hex(-(2**400)), 0]]  # all probabilities but one underflow
    refused(tmp_path, tiny, bad, "mu is not proved")


def test_one_class_is_an_error(tmp_path):
    tiny = Tiny([[1]], [[1]], label_smoothing=None)
    certificate = parts("two classes")[1]
    certificate["data"] = tiny.data()
    with pytest.raises(ValueError, match="with one class the loss is constant"):
        run(tmp_path, tiny, certificate)


def test_truncations_and_other_data(tmp_path):
    tiny, certificate = parts("two classes")
    text = json.dumps(certificate)
    for length in range(0, len(text), 97):
        with pytest.raises(ValueError, match="is cut off or is not the JSON"):
            run(tmp_path, tiny, text[:length])
    refused(
        tmp_path, Tiny(OVERLAP[0][::-1], OVERLAP[1], label_smoothing=None), certificate, "about other data: its sha256"
    )
    refused(tmp_path, parts("soft")[0], certificate, "about other data: its N is 6")


def test_the_same_data_in_another_file(tmp_path):
    """A table of text, whose labels the smoothing of the certificate turns into targets (S21c)."""
    T = [["19/20", "1/20"] if t == [1, 0] else ["1/20", "19/20"] for t in OVERLAP[1]]
    labels = ["u" if t == [1, 0] else "v" for t in OVERLAP[1]]
    table = {"delimiter": ",", "header": False, "target": 1}
    tiny = Tiny(OVERLAP[0], T, labels, ["u", "v"], label_smoothing="1/10", table=table)
    assert "smoothing 1/10" in str(check(*save(tmp_path, certify(tiny, Options()), tiny.csv(), "data.csv")))


# ── as a program ──
def test_exit_codes_and_streams(tmp_path, capsys):
    tiny, certificate = parts("a tree")
    files = [str(path) for path in save(tmp_path, certificate, tiny.dump())]
    assert main(files) == 0
    assert capsys.readouterr().out.startswith("VERIFIED: the loss has a minimiser\n")
    certificate["claims"]["radius"] = "0"
    save(tmp_path, certificate, tiny.dump())
    assert main(files) == 1
    assert capsys.readouterr().err.startswith("REFUSED: claims.radius is 0; the data prove [")
    assert main([files[0], str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv: cannot be read" in capsys.readouterr().err


def test_it_runs_from_a_folder_with_nothing_else_of_ours(tmp_path):
    """Four files elsewhere, in which no import of ours can succeed, isolated from the environment."""
    for name in FILES:
        shutil.copy(modules()[f"proof.checkers.{name}"], tmp_path)
    tiny, certificate = parts("weights")
    (tmp_path / "data").mkdir()
    files = [str(path) for path in save(tmp_path / "data", certificate, tiny.dump())]
    (tmp_path / "jaxsoftmax.py").write_text("raise SystemExit('imported')")
    command = [sys.executable, "-E", "-s", str(tmp_path / "check_minimiser.py"), *files]
    done = subprocess.run(command, cwd=tmp_path / "data", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VERIFIED: the loss has a minimiser\n")


@pytest.mark.parametrize("name", FILES)
def test_it_imports_the_standard_library_flint_and_its_siblings_alone(name):
    code = ast.parse(Path(modules()[f"proof.checkers.{name}"]).read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(code) if isinstance(node, ast.Import) for alias in node.names}
    names |= {(node.module or "").partition(".")[0] for node in ast.walk(code) if isinstance(node, ast.ImportFrom)}
    assert names - set(FILES) - {"flint"} <= sys.stdlib_module_names
    called = {node.func.id for node in ast.walk(code) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__", "open"}
    assert not {"pickle", "subprocess", "importlib", "os", "ctypes"} & names


def test_probabilities_are_the_integers_next_to_them():
    """S1: Y is within ½ and the ball's ¼ of 2^P y, and S14 takes 1 off for it; at 2^34/5 = 3435973836.8."""
    from jaxsoftmax.proof.checkers.check_minimiser import _evaluate

    fifth = ([1] * 5, 5)
    samples = check_samples.SampleIntegers([0], [[1]], 1, [fifth], [1], 1, [Fraction(0)], Fraction(1))
    assert _evaluate(samples, [[0]] * 5, 0, [], 34).Y == [[3435973837] * 5]

"""S9, S10, S21e, section 7.6: the standalone checker accepts what is proved, and refuses a proof with any one gap."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.certificates.certificates import KINDS, Tiny, complete, labelled, overlap, partial, positive, quasi, save
from helpers.house import modules
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate, check, main


def run(folder, tiny, certificate):
    return check(*save(folder, certificate, tiny.dump()))


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_verdict_is_verified(name, tmp_path):
    tiny, certificate = KINDS[name]()
    verdict = run(tmp_path, tiny, certificate)
    stated = certificate["verdict"]
    assert (verdict.status, verdict.type, verdict.face_maximal) == tuple(stated.values())
    report = str(verdict)
    assert report.startswith(f"VERIFIED: {stated['status']}")
    assert all(part in report for part in ("samples (0 of weight 0)", tiny.sha256(), "decimals", "proved: "))


def test_the_report_says_what_was_read(tmp_path):
    tiny = labelled([[0], [1], [7]], "aba", weights=[1, "1/3", 0], regularizers=["l2 1/10 0"], label_smoothing="0")
    tiny.T, tiny.classes = [[*row, 0] for row in tiny.T], ["a", "b", "wren"]
    certificate = tiny.certificate("multipliers", G=[[-2, 1, 1], [1, -2, 1], [0, 0, 0]])
    # The class wren is in no sample, so it is separated, and the certificate false: row sums are 0, columns' are not.
    with pytest.raises(RefusedCertificate, match="XᵀG is not 0 in column 1"):
        run(tmp_path, tiny, certificate)
    verdict = run(tmp_path, tiny, tiny.certificate("direction", "open", V=[[2, 1, -1]]))
    report = " ".join(str(verdict).split())
    assert "3 samples (1 of weight 0), 1 columns and an intercept, 3 classes" in report
    assert "regularizers: l2 1/10 0" in report
    assert "classes that no sample has: 'wren'" in report
    assert "outside its target: 4, with a margin > 0: 2" in report


# ── every requirement of a proof, violated once ──
def changed(kind, **parts):
    """The problem and the certificate of a kind, with `path=value` in the latter, the path's keys joined by __."""
    tiny, certificate = KINDS[kind]()
    for path, value in parts.items():
        *keys, last = path.split("__")
        place = certificate
        for key in keys:
            place = place[int(key) if isinstance(place, list) else key]
        place[int(last) if isinstance(place, list) else last] = value
    return tiny, certificate


REFUSED = {  # a kind, what is changed in its certificate, and in its problem
    "a row of G does not sum to 0": (
        "overlap",
        {"multipliers__0__values__0": [-1, 2]},
        {},
        "row 0 of G does not sum to 0",
    ),
    "only the intercept's column fails": (
        "quasi",
        {"multipliers__0__values": [[-1, 1], [2, -2]]},
        {},
        "XᵀG is not 0 in column 1",
    ),
    "only the feature's column fails": (
        "overlap",
        {"multipliers__0__values": [[-1, 1], [-2, 2], [2, -2], [1, -1]]},
        {},
        "XᵀG is not 0 in column 0",
    ),
    "G is negative on a pair": (
        "overlap",
        {"multipliers__0__values": [[1, -1], [1, -1], [-1, 1], [-1, 1]]},
        {},
        "class 1 of sample 0 has t = 0, a margin = 0 and G < 0",
    ),
    "G is 0 on a pair": (
        "overlap",
        {"multipliers__0__rows": [0, 2], "multipliers__0__values": [[-1, 1], [1, -1]]},
        {},
        "class 1 of sample 1 has t = 0, a margin = 0 and G = 0",
    ),
    "V lowers the class of a sample": (
        "complete",
        {"direction__entries__0__2": -2},
        {},
        "V leaves class 1 of sample 1 behind",
    ),
    "V is negated": (
        "complete",
        {"direction__entries": [[1, 0, -2], [1, 1, 1]]},
        {},
        "V leaves class 0 of sample 0 behind",
    ),
    "V is 0": ("open_", {"direction__entries": []}, {}, "no margin is > 0"),
    "V is a gauge direction": ("open_", {"direction__entries": [[0, 0, 1], [1, 0, 1]]}, {}, "no margin is > 0"),
    "complete, but a margin is 0": (
        "complete",
        {"direction__entries": [[1, 0, 1]]},
        {},
        "class 1 of sample 0 has t = 0, a margin = 0 and G = 0, against NOT_ATTAINED complete",
    ),
    "a penalised column": (
        "open_",
        {},
        {"regularizers": ["l2 1/10 0"]},
        "column 0 does not exist, or a regulariser penalises it",
    ),
    "a column that is not there": ("open_", {"direction__entries": [[1, 7, 1]]}, {}, "column 7 does not exist"),
    "no column of the intercept": (
        "complete",
        {},
        {"intercept": False},
        "column 1 does not exist",
    ),
    "complete separation is not refuted": (
        "quasi",
        {"multipliers": [], "verdict__face_maximal": False},
        {},
        "G is > 0 on no pair",
    ),
    "the face is not proved maximal": (
        "partial",
        {"verdict__face_maximal": True},
        {},
        "class 1 of sample 2 has t = 0, a margin = 0 and G = 0",
    ),
    "Gordan with a negative entry": (
        "quasi",
        {"multipliers__0__values": [[1, -1], [-1, 1]], "verdict__face_maximal": False},
        {},
        "class 1 of sample 1 has t = 0, a margin = 0 and G < 0",
    ),
    "a target is 0": (
        "positive",
        {"data__label_smoothing": "0"},
        {"T": [[1, 0], [0, 1]], "label_smoothing": "0"},
        "class 1 of sample 0 has t = 0",
    ),
    "the smoothing named is not that of the targets": (
        "positive",
        {},
        {"T": [[1, 0], [0, 1]]},
        "its targets are no labels smoothed by '1/10'",
    ),
    "no regulariser": ("coercive", {}, {"regularizers": []}, "no regulariser penalises column 1"),
    "a regulariser of strength 0": ("coercive", {}, {"regularizers": ["l2 0 1"]}, "no regulariser penalises column 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_requirement_violated_once_is_refused(name, tmp_path):
    """The hash is right in every case, so that it is the mathematics that refuses."""
    kind, parts, problem, message = REFUSED[name]
    tiny, certificate = changed(kind, **parts)
    for field, value in problem.items():
        setattr(tiny, field, value)
    certificate["data"] = tiny.data()
    with pytest.raises(RefusedCertificate, match=message):
        run(tmp_path, tiny, certificate)


def test_weight_0_rows_take_no_part(tmp_path):
    """They may contradict V; G must not use them."""
    tiny = labelled([[0], [1], [5]], "aba", weights=[1, 2, 0])
    assert run(tmp_path, tiny, tiny.certificate("direction", "complete", V=complete()[1]["direction"]["entries"]))
    tiny = labelled([[1], [2], [1], [2], [9]], "aabba", weights=["1/2", 3, 1, 1, 0])
    G = overlap()[1]["multipliers"][0]["values"]
    assert run(tmp_path, tiny, tiny.certificate("multipliers", G=[*G, [0, 0]])).status == "ATTAINED"
    used = tiny.certificate("multipliers", G=[*G, [0, 0]])
    used["multipliers"][0]["rows"].append(4)
    used["multipliers"][0]["values"].append([0, 0])  # zeros are no use of it
    assert run(tmp_path, tiny, used).status == "ATTAINED"
    tiny.X[4] = [0]
    tiny.intercept = False
    used = tiny.certificate("multipliers", G=[*G, [-1, 1]])
    with pytest.raises(RefusedCertificate, match="row 4 of G is not 0, and the sample has weight 0"):
        run(tmp_path, tiny, used)


def test_soft_targets_need_ties_on_their_support(tmp_path):
    """S9 for soft targets: both classes of a support must be at the top."""
    tiny = Tiny([[1], [-1]], [["1/3", "2/3", 0], [0, 0, 1]], intercept=False, label_smoothing=None)
    assert run(tmp_path, tiny, tiny.certificate("direction", "complete", V=[[2, 0, -1]]))
    with pytest.raises(RefusedCertificate, match="V leaves class 0 of sample 0 behind"):
        run(tmp_path, tiny, tiny.certificate("direction", "complete", V=[[1, 0, 1], [2, 0, -1]]))


def test_columns_have_their_own_denominators(tmp_path):
    """Halves and thirds: 3/3 − 2/2 is a tie, while numerators alone would put b above a."""
    tiny = labelled([["1/2", "1/3"], [0, "1/3"]], "ab", intercept=False)
    V = [[1, 0, -2], [1, 1, 3]]
    assert run(tmp_path, tiny, tiny.certificate("direction", "open", V=V)).type == "open"
    with pytest.raises(RefusedCertificate, match="class 1 of sample 0 has t = 0, a margin = 0"):
        run(tmp_path, tiny, tiny.certificate("direction", "complete", V=V))


def test_blocks_that_share_a_row_add_up_by_their_own_denominators(tmp_path):
    """S10: 4/2 − 4 is −2, of the sign asked for; with the denominators exchanged it is 2 · 4 − 4, of the other."""
    tiny, certificate = overlap()
    certificate["multipliers"] = [
        {"denominator": 2, "rows": [0], "values": [[4, -4]]},
        {"denominator": 1, "rows": [0, 1, 2, 3], "values": [[-4, 4], [-2, 2], [2, -2], [2, -2]]},
    ]
    assert run(tmp_path, tiny, certificate).status == "ATTAINED"


def test_sums_of_blocks_with_their_own_denominators(tmp_path):
    """G = Σ values/denominator, a row in several blocks included; large integers as hexadecimal text."""
    tiny, certificate = overlap()
    certificate["multipliers"] = [
        {"denominator": 2, "rows": [0, 1], "values": [[-1, 1], [-2, 2]]},
        {"denominator": hex(3 << 200), "rows": [0], "values": [[hex(-3 << 199), hex(3 << 199)]]},
        {"denominator": 1, "rows": [2, 3], "values": [[1, -1], [1, -1]]},
    ]
    assert run(tmp_path, tiny, certificate).status == "ATTAINED"
    certificate["multipliers"][1]["denominator"] = hex((3 << 200) + 1)
    with pytest.raises(RefusedCertificate, match="XᵀG is not 0 in column 0"):
        run(tmp_path, tiny, certificate)


def test_a_sum_that_fills_its_slot(tmp_path):
    """The first block's sums are ±3, the largest that its width is for; the other's width differs."""
    tiny = labelled([[1], [1], [1]], "baa")
    certificate = tiny.certificate("multipliers", G=[[3, -3], [-1, 1], [-2, 2]])
    certificate["multipliers"] = [
        {"denominator": 1, "rows": [0], "values": [[3, -3]]},
        {"denominator": 1, "rows": [1, 2], "values": [[-1, 1], [-2, 2]]},
    ]
    assert run(tmp_path, tiny, certificate).status == "ATTAINED"


def test_slots_do_not_run_into_each_other(tmp_path):
    """Column sums (-2^k, 1, …) whose packed sum would vanish with slots of k bits are refused for every k."""
    for k in range(1, 12):
        tiny = Tiny([[1], [1]], [[1, 0, 0], [0, 1, 0]], intercept=False)
        G = [[-(2**k), 1, 2**k - 1], [0, 0, 0]]
        with pytest.raises(RefusedCertificate, match="XᵀG is not 0"):
            run(tmp_path, tiny, tiny.certificate("multipliers", G=G))


@pytest.mark.parametrize(
    ("lines", "free"),
    [
        (["l2 0 1"], "all"),
        (["l2 1/10 0"], "intercept"),
        (["logcosh 1 1/2 0", "l2 0 1"], "intercept"),
        (["logcosh 1 2 1"], "none"),
        (["l2 1 0", "self -1/2"], "none"),
    ],
)
def test_regularisers_leave_admissible_columns(lines, free, tmp_path):
    """S21e: V may use those alone, and `coercive` needs that there are none."""
    tiny = labelled([[0], [1]], "aa", regularizers=lines)  # b is absent: the intercept separates it
    claims = {
        "feature": tiny.certificate("direction", "open", V=[[1, 0, -1]]),
        "intercept": tiny.certificate("direction", "complete", V=[[1, 1, -1]]),
        "none": tiny.certificate("coercive"),
    }
    true = {"all": {"feature", "intercept"}, "intercept": {"intercept"}, "none": {"none"}}[free]
    for name, certificate in claims.items():
        if name in true:
            run(tmp_path, tiny, certificate)
        else:
            with pytest.raises(RefusedCertificate):
                run(tmp_path, tiny, certificate)
    without = labelled([[0], [1]], "aa", regularizers=["l2 1 0"], intercept=False)  # no intercept: all is penalised
    assert run(tmp_path, without, without.certificate("coercive"))


def test_multipliers_answer_for_admissible_columns_alone(tmp_path):
    """S21e: with the features penalised both classes' presence is enough."""
    G = [[-1, 1], [1, -1]]
    tiny = labelled([[0], [1]], "ab", regularizers=["l2 1 0"])
    assert run(tmp_path, tiny, tiny.certificate("multipliers", G=G)).status == "ATTAINED"
    tiny = labelled([[0], [1]], "ab")
    with pytest.raises(RefusedCertificate, match="in column 0"):
        run(tmp_path, tiny, tiny.certificate("multipliers", G=G))


# ── the file of the certificate ──
def reject(folder, certificate, message, tiny=None):
    with pytest.raises(ValueError, match=message) as caught:
        run(folder, tiny or overlap()[0], certificate)
    return caught.type


BAD = {
    "version": ({"version": 2}, "version 2: this checker reads version 1"),
    "version true": ({"version": True}, "certificate.version: needs int; found True"),
    "format": ({"format": "other"}, "its format is not"),
    "an unknown key": ({"note": 1}, "certificate: needs the keys format, version"),
    "an unknown key within": ({"data__colour": 1}, "certificate.data: needs the keys"),
    "N as text": ({"data__N": "4"}, "certificate.data.N: needs int; found '4'"),
    "intercept as 1": ({"data__intercept": 1}, "certificate.data.intercept: needs bool; found 1"),
    "classes of two types": ({"data__classes": ["a", 1]}, "classes: needs str; found 1"),
    "numbers": ({"data__numbers": "float"}, "data.numbers is 'float'"),
    "a verdict without this proof": ({"verdict__status": "NOT_ATTAINED"}, "is no known proof"),
    "a type without this proof": ({"verdict__type": "complete"}, "is no known proof"),
    "face_maximal where there is none": ({"verdict__face_maximal": True}, "is no known proof"),
    "no multipliers": ({"multipliers": None}, "is no known proof"),
    "a direction besides": ({"direction": {"denominator": 1, "entries": []}}, "is no known proof"),
    "a boolean integer": ({"multipliers__0__values__0": [True, -1]}, "values: needs integer; found True"),
    "hexadecimal without 0x": ({"multipliers__0__values__0": ["ff", -1]}, "needs integer; found 'ff'"),
    "an expression": ({"multipliers__0__values__0": ["__import__('os')", -1]}, "needs integer"),
    "denominator 0": ({"multipliers__0__denominator": 0}, "need denominator > 0"),
    "a negative denominator": ({"multipliers__0__denominator": -1}, "need denominator > 0"),
    "a row twice": ({"multipliers__0__rows": [0, 1, 1, 3]}, "rows rising to < 4"),
    "a row beyond": ({"multipliers__0__rows": [0, 1, 2, 4]}, "rows rising to < 4"),
    "a negative row": ({"multipliers__0__rows": [-1, 1, 2, 3]}, "rows rising to < 4"),
    "a value too many": ({"multipliers__0__values__0": [-1, 1, 0]}, "2 values each"),
    "a row too few": ({"multipliers__0__rows": [0, 1, 2]}, "rows rising to < 4"),
    "label_smoothing": ({"data__label_smoothing": 0}, "label_smoothing: needs str; found 0"),
    "regularizer": ({"data__regularizers": ["l3 1 0"]}, "must be l2 ALPHA 0|1"),
    "a negative strength": ({"data__regularizers": ["l2 -1 0"]}, "must be l2 ALPHA 0|1"),
    "a flag missing": ({"data__regularizers": ["l2 1"]}, "must be l2 ALPHA 0|1"),
    "gamma 0": ({"data__regularizers": ["self 0"]}, "must be l2 ALPHA 0|1"),
    "a strength that is none": ({"data__regularizers": ["self x"]}, "'x' is no finite number"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_certificate_of_another_form_is_an_error(name, tmp_path):
    parts, message = BAD[name]
    _, certificate = changed("overlap", **parts)
    assert reject(tmp_path, certificate, message) is ValueError


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([[1, 0, 2], [1, 0, -1]], "entry 1: needed are"),
        ([[1, 1, -1], [1, 0, 2]], "entry 1: needed are"),
        ([[2, 0, 2]], "entry 0: needed are"),
        ([[-1, 0, 2]], "entry 0: needed are"),
        ([[1, 0]], "entry 0: needed are"),
        ([[1, -1, 2]], "column -1 does not exist"),
        ([[1, 0, 0.5]], "0.5 is no integer"),
        ([[1, 0, None]], "needs integer; found None"),
    ],
)
def test_entries_of_a_direction_are_sorted_and_in_range(entries, message, tmp_path):
    tiny, certificate = complete()
    certificate["direction"]["entries"] = entries
    reject(tmp_path, certificate, message, tiny)
    certificate["direction"] = {"denominator": 0, "entries": [[1, 0, 2]]}
    reject(tmp_path, certificate, "denominator > 0", tiny)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is cut off or is not the JSON"),
        ('{"format": "jaxsoftmax-existence", "version": 1', "is cut off or is not the JSON"),
        ("[" * 100_000, "is cut off or is not the JSON"),
        ('{"version": 1, "version": 1}', "a key occurs twice among"),
        ('{"version": 1.5}', "1.5 is no integer"),
        ('{"version": NaN}', "NaN is no integer"),
        ('{"version": ' + "9" * 5000 + "}", "is cut off or is not the JSON"),
        ("[1]", "its format is not"),
        ('{"format": "jaxsoftmax-existence"}', "version None: this checker reads version 1"),
    ],
)
def test_text_that_is_no_certificate(text, message, tmp_path):
    reject(tmp_path, text, message)


def test_every_truncation_is_an_error(tmp_path):
    tiny, certificate = quasi()
    text = json.dumps(certificate)
    for length in range(0, len(text), 7):
        reject(tmp_path, text[:length], "is cut off or is not the JSON", tiny)


def test_another_data_set_is_named(tmp_path):
    tiny, certificate = overlap()
    other = complete()[0]
    assert reject(tmp_path, certificate, "the certificate is about other data: its N is 4", other) is RefusedCertificate
    other = labelled([[1], [2], [1], [3]], "aabb")
    assert reject(tmp_path, certificate, "about other data: its sha256 is '", other) is RefusedCertificate
    for part, value in {"classes": ["a", "c"], "features": ["x"], "regularizers": ["l2 1 0"]}.items():
        differs = changed("overlap", **{f"data__{part}": value})[1]
        message = "regularizers, classes or features differ from those of the certificate"
        assert reject(tmp_path, differs, message, tiny) is RefusedCertificate
    assert (
        reject(tmp_path, changed("overlap", data__intercept=False)[1], "its intercept is False") is RefusedCertificate
    )


# ── as a program ──
def test_exit_codes_and_streams(tmp_path, capsys):
    tiny, certificate = partial()
    files = [str(path) for path in save(tmp_path, certificate, tiny.dump())]
    assert main(files) == 0
    head = "VERIFIED: NOT_ATTAINED, quasi-complete (another direction may separate more)"
    assert capsys.readouterr().out.splitlines()[0] == head
    certificate["verdict"]["face_maximal"] = True
    save(tmp_path, certificate, tiny.dump())
    assert main(files) == 1
    assert capsys.readouterr().err.startswith("REFUSED: direction: class 1 of sample 2 has t = 0")
    assert main([files[0], str(tmp_path / "absent.csv")]) == 2
    assert "absent.csv: cannot be read" in capsys.readouterr().err


def test_it_runs_alone(tmp_path):
    """Isolated from site-packages and the environment, elsewhere, as one file."""
    copied = tmp_path / "elsewhere.py"
    copied.write_bytes(modules()["proof.checkers.check_existence"].read_bytes())
    tiny, certificate = positive()
    files = [str(path) for path in save(tmp_path, certificate, tiny.dump())]
    command = [sys.executable, "-I", "-S", str(copied), *files]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("VERIFIED: ATTAINED with label smoothing 1/10\n")


def test_it_imports_the_standard_library_alone_and_evaluates_nothing():
    code = ast.parse(Path(modules()["proof.checkers.check_existence"]).read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(code) if isinstance(node, ast.Import) for alias in node.names]
    names += [f"{'.' * node.level}{node.module}" for node in ast.walk(code) if isinstance(node, ast.ImportFrom)]
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    called = {node.func.id for node in ast.walk(code) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__", "open"}
    assert not {"pickle", "subprocess", "importlib", "os", "ctypes"} & set(names)


def test_logits_are_summed_in_slots_of_the_largest_sum():
    """S9: two columns of 100 make logits of 200, which one signed octet does not hold."""
    columns = {d: check_existence._Column([100, -100], 1, 100) for d in range(2)}
    direction = {"entries": [[0, 0, 1], [0, 1, 1]], "denominator": 1}
    assert list(check_existence._logits(direction, columns, 2, 3)) == [[200, 0, 0], [-200, 0, 0]]

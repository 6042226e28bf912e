"""The command line: exit statuses 0, 1, 2; one line on stderr for unusable input; JSON beside the table."""

import builtins
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.errors import one_error
from helpers.made_fit import made_fit
from jaxsoftmax.cli import main as cli
from jaxsoftmax.evidence.crosscheck import compare as crosscheck
from jaxsoftmax.page import make
from jaxsoftmax.verification import run as verification

pytest.importorskip("typer")
pytest.importorskip("rich")

N, D, C = 24, 2, 3  # the shapes of test_verify.py


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((N, D)), rng.permutation(np.arange(N) % C)
    file = tmp_path / "birds.csv"
    rows = [f"{a!r},{b!r},bird {k}" for (a, b), k in zip(X.tolist(), y, strict=True)]
    file.write_text("\n".join(["width,length,bird", *rows]))
    return file


@pytest.mark.slow
def test_verify_prints_the_table_writes_json_and_exits_0(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    out_file = tmp_path / "report.json"
    assert cli.run(["verify", str(table), "--target", "bird", "--json", str(out_file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    assert "birds.csv" in out
    for words in ("S2", "S17", "passed", "worst share of limit", "All", "bird 0 8"):
        assert words in out
    stored = json.loads(out_file.read_text("utf-8"))
    assert stored["problem"]["features"] == ["width", "length"]
    assert stored["crosscheck"]["verdict"] == "AGREE"

    # A factor 2 planted in the gradient: a red row and exit 1; --quiet prints nothing.
    true = crosscheck.derivatives.gradient
    monkeypatch.setattr(crosscheck.derivatives, "gradient", lambda W, problem: 2 * true(W, problem))
    assert cli.run(["verify", str(table)]) == 1
    out, err = capsys.readouterr()
    assert "FAIL" in out
    assert "FAILED: birds.csv: gradient (S2)" in " ".join(out.split())
    assert cli.run(["verify", str(table), "--quiet"]) == 1
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verify", "absent.csv"], "absent.csv: no such file"),
        (["verify", "."], "is a directory"),
        (["verify", "TABLE", "--target", "fish"], "columns: width, length, bird"),
        (["verify", "TABLE", "--target", "fish"], "is named 'fish'; choose one of"),
        (["verify", "TABLE", "--method", "zebra"], "--method: got 'zebra'; give one of 'auto', 'gd'"),
        (["verify", "TABLE", "--target", "width"], "'bird "),
        (["verify", "TABLE", "--label-smoothing", "2"], "--label-smoothing: got '2'"),
        (["verify", "TABLE", "--label-smoothing", "some"], "--label-smoothing: got 'some'"),
        (["verify", "TABLE", "--l2", "-1"], "error: --l2: got -1.0"),
        (["verify", "TABLE", "--l2", "much"], "--l2"),
        (["verify", "TABLE", "--dtype", "int8"], "--dtype: got 'int8'"),
        (["verify", "TABLE", "--seed", "-1"], "--seed: got -1"),
        (["verify", "TABLE", "--seed", "1.5"], "--seed"),
        (["verify", "TABLE", "--json", "no/such/folder/r.json"], "--json: the directory"),
        (["verify", "TABLE", "--json", "."], "--json: . is a directory"),
        (["verify", "TABLE", "--colour"], "--colour"),
        (["verify", "TABLE", "more.csv"], "more.csv"),
        (["verify", "--target", "bird"], "--target"),
        (["fly"], "fly"),
        (["fly"], "see jaxsoftmax --help"),
        (["verify", "--colour"], "see jaxsoftmax verify --help"),
    ],
)
def test_unusable_input_is_one_line_on_stderr_and_exit_2(table, capsys, arguments, words):
    assert cli.run([str(table) if word == "TABLE" else word for word in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in one_error(err)


@pytest.mark.parametrize("part", [{"status": js.Status.INTERRUPTED}, {"end_point_cut": True}])
def test_verify_hands_its_method_to_fit_and_stops_when_fit_was_interrupted(table, capsys, monkeypatch, part):
    asked = []

    def fit(problem, method, max_steps, progress):
        asked.append(method)
        return made_fit(**part)

    monkeypatch.setattr(verification, "fit_quietly", fit)
    monkeypatch.setattr(verification, "crosscheck_problem", lambda *arguments, **options: None)
    assert cli.run(["verify", str(table), "--method", "gd"]) == 130
    assert asked == ["gd"]
    assert capsys.readouterr() == ("", "jaxsoftmax: error: interrupted\n")


@pytest.mark.parametrize(
    ("module", "call"),
    [
        (verification, lambda raw: verification._without_smoothing("iris", raw, True, None)),
        (make, lambda raw: make._extra(None, SimpleNamespace(shown_raw=raw, decimal=True))),
    ],
)
def test_ctrl_c_in_the_fit_without_smoothing_ends_the_command(monkeypatch, module, call):
    monkeypatch.setattr(module, "fit_quietly", lambda problem: made_fit(status=js.Status.INTERRUPTED))
    with pytest.raises(KeyboardInterrupt):
        call(js.Problem.from_labels([[0.0], [1.0], [2.0]], [0, 1, 0]))


def test_labels_of_one_class_are_unusable_input(tmp_path, capsys):
    file = tmp_path / "one.csv"
    file.write_text("1,a\n2,a\n")
    assert cli.run(["verify", str(file)]) == 2
    assert "labels: every label is 'a': one class" in one_error(capsys.readouterr().err)


def test_version_and_help(capsys):
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("jaxsoftmax ")
    assert cli.run(["verify", "--help"]) == 0
    out = capsys.readouterr().out
    for option in ("--target", "--label-smoothing", "--l2", "--dtype", "--seed", "--json", "--all", "Exit status"):
        assert option in out


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_a_missing_extra_says_how_to_install_it(monkeypatch, capsys, package):
    true_import = builtins.__import__

    def without(name, *arguments, **options):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return true_import(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    assert cli.run(["verify"]) == 2
    assert capsys.readouterr().err == (
        f"jaxsoftmax: error: {package} is not installed; run: pip install 'jaxsoftmax[cli]'\n"
    )


def test_the_module_imports_neither_typer_nor_jax():
    code = "import sys, jaxsoftmax.cli.main; assert not {'typer', 'rich', 'jax'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_compiled_code_is_kept_in_the_users_cache_unless_jax_is_told_otherwise(tmp_path, monkeypatch):
    """A second process compiles nothing anew; JAX's own variables rule."""
    pytest.importorskip("platformdirs")
    names = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "TF_CPP_MIN_LOG_LEVEL")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    with monkeypatch.context() as patch:
        patch.setattr(cli.os, "environ", {})
        cli.keep_compiled_code()
        kept = dict(cli.os.environ)
    (folder,) = (tmp_path / "cache").iterdir()
    assert kept == dict(zip(names, (str(folder), "0", "3"), strict=True))
    assert folder.name == f"compiled-{cli._processor()}" and folder.stat().st_mode & 0o777 == 0o700
    with monkeypatch.context() as patch:
        patch.setattr(cli.os, "environ", {names[0]: "elsewhere"})
        cli.keep_compiled_code()
        assert cli.os.environ == {names[0]: "elsewhere"}
    (tmp_path / "file").write_text("")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "file" / "below"))
    with monkeypatch.context() as patch:
        patch.setattr(cli.os, "environ", {})
        cli.keep_compiled_code()  # a home that cannot be written: nothing is kept, nothing is said
        assert cli.os.environ == {}

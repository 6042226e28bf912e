"""`jaxsoftmax fit` and `probe`: reports, files, exit statuses, Ctrl-C, progress, and one line for each wrong call."""

import dataclasses
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.errors import one_error

pytest.importorskip("typer")
pytest.importorskip("rich")

from jaxsoftmax.cli import main as cli
from jaxsoftmax.cli import runs as cli_runs
from jaxsoftmax.cli.messages import UnusableInput
from jaxsoftmax.cli.scopes import write_json
from jaxsoftmax.evidence.spectrum import probe as probe_module
from jaxsoftmax.training.loop.run import Progress

N, D, C = 24, 2, 3  # the shapes of test_verify.py


def write(file, X, y):
    rows = [",".join([*map(repr, row), f"bird {k}"]) for row, k in zip(np.asarray(X).tolist(), y, strict=True)]
    file.write_text("\n".join(["width,length,bird", *rows]))
    return file


@pytest.fixture
def table(tmp_path):
    """Overlapping classes: a minimiser exists."""
    rng = np.random.default_rng(3)
    return write(tmp_path / "birds.csv", rng.standard_normal((N, D)), rng.permutation(np.arange(N) % C))


@pytest.fixture
def separable(tmp_path):
    data = js.datasets.make_separable(N=N, D=D, C=C, seed=0)
    return write(tmp_path / "far.csv", data.X, data.y)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def unusable(capsys, arguments):
    assert cli.run([str(argument) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return one_error(err)


def test_fit_prints_writes_and_its_weights_can_be_probed(table, tmp_path, capsys):
    files = {name: str(tmp_path / name) for name in ("fit.json", "w.npz", "probe.json")}
    assert cli.run(["fit", str(table), "--json", files["fit.json"], "--weights", files["w.npz"]]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    for words in ("birds.csv", "bird 0 8", "Fit by newton: GRADIENT_TOLERANCE", "S13", "Converged", "float64"):
        assert words in out
    stored = json.loads((tmp_path / "fit.json").read_text("utf-8"))
    parts = {"fit", "inference", "confusion"}
    assert {"command", "version", "environment", "problem", "findings", "seconds"} | parts == set(stored)
    assert stored["problem"]["features"] == ["width", "length"]
    with np.load(files["w.npz"]) as weights:
        assert weights["W"].tolist() == stored["fit"]["W"]
        assert weights["classes"].tolist() == ["bird 0", "bird 1", "bird 2"]
        assert weights["feature_names"].tolist() == ["width", "length", "intercept"]

    assert cli.run(["probe", str(table), "--at", files["w.npz"], "--json", files["probe.json"]]) == 0
    out = capsys.readouterr().out
    for words in ("Convexity probe: CONSISTENT", "w.npz", "Consistent with convexity"):
        assert words in out
    at_file = json.loads((tmp_path / "probe.json").read_text("utf-8"))
    assert at_file["fit"] is None
    assert cli.run(["probe", str(table), "--json", files["probe.json"], "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    at_fit = json.loads((tmp_path / "probe.json").read_text("utf-8"))
    # The same W by the same code: the same numbers to the last digit.
    for report in (at_fit, at_file):
        del report["convexity"]["seconds"]
    assert at_fit["convexity"] == at_file["convexity"]
    assert at_fit["fit"]["status"] == "GRADIENT_TOLERANCE"


@pytest.mark.slow
def test_separable_data_end_with_exit_1_and_the_remedy(separable, capsys):
    assert cli.run(["fit", str(separable)]) == 1
    out, err = capsys.readouterr()
    assert err == ""  # the warning of fit is a part of the report
    out = " ".join(out.split())
    assert "Fit by newton: DIVERGING" in out
    assert out.count("finding: proved: no minimiser exists") == 1
    assert out.count("Remedy") == 1
    assert "Remedy: label smoothing, of 0.01 say, makes a minimiser exist" in out
    assert "The tolerance was not reached: DIVERGING." in out
    assert "Converged" not in out
    assert cli.run(["fit", str(separable), "--label-smoothing", "0.01", "-q"]) == 0
    assert cli.run(["fit", str(separable), "--l2", "0.5", "-q"]) == 0


@pytest.mark.slow
def test_the_thresholds_of_a_table_are_decimals(tmp_path, capsys):
    """S12: the middle of the decimals 0.1 and 0.2 is 0.15, which is no double."""
    rows = [[0.1, 0.3], [0.1, 0.7], [0.2, 0.3], [0.2, 0.7]]
    file = write(tmp_path / "eggs.csv", rows, [0, 0, 1, 1])
    assert cli.run(["fit", str(file)]) == 1
    assert "width < 0.15" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_step_limit_is_exit_1(table, capsys):
    assert cli.run(["fit", str(table), "--method", "gd", "--max-steps", "1"]) == 1
    assert "The tolerance was not reached: STEP_LIMIT." in capsys.readouterr().out


@pytest.mark.parametrize("at", ["zero", "random"])
def test_probe_at_points_that_need_no_fit(table, capsys, monkeypatch, at):
    monkeypatch.setattr(cli_runs, "fit_quietly", lambda *arguments, **options: pytest.fail("no fit is needed"))
    assert cli.run(["probe", str(table), "--at", at]) == 0
    assert {"zero": "W = 0", "random": "a random W, seed 0"}[at] in capsys.readouterr().out


@pytest.mark.parametrize(("verdict", "words"), [("REFUTED", "REFUTED"), ("UNRESOLVED", "Not resolved")])
def test_probe_that_is_not_consistent_is_exit_1(table, capsys, monkeypatch, verdict, words):
    true = probe_module.probe_convexity

    def probe(problem, W, **options):
        report = true(problem, W, **options)
        return dataclasses.replace(report, verdict=type(report.verdict)(verdict))

    monkeypatch.setattr(probe_module, "probe_convexity", probe)
    assert cli.run(["probe", str(table), "--at", "zero"]) == 1
    assert words in " ".join(capsys.readouterr().out.split()[-15:])


def test_features_far_from_zero_are_told_to_be_centred(tmp_path, capsys):
    rng = np.random.default_rng(3)
    file = write(tmp_path / "far.csv", rng.standard_normal((N, D)) + 1e8, rng.permutation(np.arange(N) % C))
    assert cli.run(["probe", str(file), "--at", "zero"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "UNRESOLVED" in out
    assert "finding: Centre the features (subtract each mean): feature 'width' has mean 1e+08" in out


# Ctrl-C: fit returns what it has with the status INTERRUPTED


@pytest.fixture
def interrupted(monkeypatch):
    true = cli_runs.fit_quietly

    def fit(problem, method, **options):
        result = true(problem, "gd", max_steps=3)
        return dataclasses.replace(result, status=js.Status.INTERRUPTED, reason="Interrupted.")

    monkeypatch.setattr(cli_runs, "fit_quietly", fit)


@pytest.mark.slow
def test_an_interrupted_fit_keeps_what_is_done_and_exits_130(table, tmp_path, capsys, interrupted):
    out_file, weights = tmp_path / "fit.json", tmp_path / "w.npz"
    assert cli.run(["fit", str(table), "--json", str(out_file), "--weights", str(weights)]) == 130
    out = capsys.readouterr().out
    assert "INTERRUPTED" in out
    assert "Interrupted after 3 steps: this is the partial result." in out
    assert json.loads(out_file.read_text())["fit"]["status"] == "INTERRUPTED"
    with np.load(weights) as stored:
        assert stored["W"].shape == (C, D + 1)
        assert np.abs(stored["W"]).max() > 0


def test_an_interrupted_probe_keeps_its_fit_and_exits_130(table, tmp_path, capsys, interrupted):
    assert cli.run(["probe", str(table), "--json", str(tmp_path / "p.json")]) == 130
    assert "the curvature was not probed" in " ".join(capsys.readouterr().out.split())
    stored = json.loads((tmp_path / "p.json").read_text())
    assert stored["convexity"] is None
    assert stored["fit"]["steps"] == 3


def test_ctrl_c_elsewhere_is_one_line(table, capsys, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(probe_module, "probe_convexity", stop)
    assert cli.run(["probe", str(table), "--at", "zero"]) == 130
    assert capsys.readouterr() == ("", "jaxsoftmax: error: interrupted\n")


# What is handed to fit


@pytest.fixture
def asked(monkeypatch):
    """The calls of fit; its progress is called once."""
    true, calls = cli_runs.fit_quietly, []

    def fit(problem, method, **options):
        options.pop("progress")(Progress(step=1, max_steps=9, loss=2.0, scaled_gradient=0.5, seconds=0.1))
        calls.append({"method": method} | options)
        return true(problem, "newton")

    monkeypatch.setattr(cli_runs, "fit_quietly", fit)
    return calls


def test_options_reach_fit_and_those_left_out_do_not(table, asked):
    assert cli.run(["fit", str(table), "-q"]) == 0
    assert cli.run(["fit", str(table), "-q", "--method", "gd", "--tol", "1e-3", "--max-steps", "7"]) == 0
    assert asked == [{"method": "auto"}, {"method": "gd", "tol": 1e-3, "max_steps": 7}]


def test_minibatches_get_a_key_of_the_seed_and_the_learning_rate(table, asked):
    options = ["--method", "sgd", "--batch-size", "8", "--learning-rate", "0.5", "--seed", "4", "-q"]
    assert cli.run(["fit", str(table), *options]) == 0
    (call,) = asked
    assert call["batch_size"] == 8
    assert jax.random.key_data(call["key"]).tolist() == jax.random.key_data(jax.random.key(4)).tolist()
    assert (call["method"], call["learning_rate"]) == ("sgd", 0.5)


def test_the_steps_of_fit_are_told_on_a_terminal(table, asked, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    assert cli.run(["fit", str(table)]) == 0
    assert "birds.csv: training: up to 1 s left at this pace, step 1 of 9, loss 2" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["-1", "2", "bird"])
def test_the_target_may_count_from_the_end(table, asked, target):
    assert cli.run(["fit", str(table), "--target", target, "-q"]) == 0


# Wrong calls


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "absent.csv"], "absent.csv: no such file"),
        (["fit", "TABLE", "--target", "-4"], "--target: the index -4 is out of range"),
        (["fit", "TABLE", "--method", "zebra"], "--method: got 'zebra'; give one of 'auto', 'gd'"),
        (["fit", "TABLE", "--tol", "-1"], "--tol: got -1.0"),
        (["fit", "TABLE", "--tol", "nan"], "--tol: got nan"),
        (["fit", "TABLE", "--max-steps", "0"], "--max-steps: got 0"),
        (["fit", "TABLE", "--max-steps", "many"], "--max-steps"),
        (["fit", "TABLE", "--l2", "-1"], "error: --l2: got -1.0"),
        (["fit", "TABLE", "--label-smoothing", "2"], "error: --label-smoothing: got '2'"),
        (["fit", "TABLE", "--batch-size", "4"], "--batch-size: goes with the methods sgd and adam"),
        (["fit", "TABLE", "--learning-rate", "1", "--method", "gd"], "--learning-rate: goes with"),
        (["fit", "TABLE", "--learning-rate", "0", "--method", "adam"], "--learning-rate: got 0.0"),
        (["fit", "TABLE", "--weights", "no/such/w.npz"], "--weights: the directory"),
        (["fit", "TABLE", "--weights", "."], "--weights: . is a directory"),
        (["fit", "TABLE", "--json", "."], "--json: . is a directory"),
        (["fit", "--target", "bird"], "--target: it names a column of DATA"),
        (["fit", "--colour"], "see jaxsoftmax fit --help"),
        (["probe", "TABLE", "--at", "absent.npz"], "absent.npz: no such file; give zero, random, fit"),
        (["probe", "TABLE", "--at", "TABLE"], "is not an NPZ file of weights"),
        (["probe", "TABLE", "--at", "zero", "--method", "gd"], "--method: it goes with --at fit"),
        (["probe", "TABLE", "--dtype", "int8"], "--dtype: got 'int8'"),
    ],
)
def test_a_wrong_call_is_one_line_on_stderr_and_exit_2(table, capsys, arguments, words):
    assert words in unusable(capsys, [table if word == "TABLE" else word for word in arguments])


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"V": np.eye(3)}, "no numeric array W (found: V)"),
        ({"W": np.array(["a"])}, "no numeric array W"),
        ({"W": np.eye(2)}, "W has shape (2, 2); these data need (C, D) = (3, 3)"),
        ({"W": np.full((3, 3), np.inf)}, "W[0, 0] is inf"),
        ({"W": np.eye(3), "classes": np.array(["bird 0", "bird 1", "fish"])}, "its classes are bird 0, bird 1, fish"),
        ({"W": np.eye(3), "feature_names": np.array(["a", "b", "c"])}, "its feature_names are a, b, c"),
        ({"W": np.eye(3), "classes": np.array([None, 1, 2], dtype=object)}, "is not an NPZ file of weights"),
    ],
)
def test_weights_that_are_none_of_these_data_are_named(table, tmp_path, capsys, arrays, words):
    np.savez(tmp_path / "w.npz", **arrays)
    assert words in unusable(capsys, ["probe", table, "--at", tmp_path / "w.npz"])


def test_a_missing_reader_is_named_by_its_extra(tmp_path, capsys, monkeypatch):
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "polars", None)
    assert "pip install 'jaxsoftmax[tables]'" in unusable(capsys, ["fit", tmp_path / "t.parquet"])


def test_a_file_that_cannot_be_written_does_not_keep_the_report_back(table, tmp_path, capsys, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli_runs, "save_fit", full)
    assert cli.run(["fit", str(table), "--weights", str(tmp_path / "w.npz"), "--json", str(tmp_path / "f.json")]) == 2
    out, err = capsys.readouterr()
    assert "GRADIENT_TOLERANCE" in out
    assert "No space left" in one_error(err) and "--weights" in err
    assert (tmp_path / "f.json").exists()


def test_a_json_report_is_written_whole_or_the_older_one_stays(tmp_path, monkeypatch):
    file, true = tmp_path / "r.json", Path.write_text
    write_json(file, {"a": 1})
    older = file.read_text()

    def full(path, text, encoding):
        true(path, text[:3], encoding)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UnusableInput, match="No space left on device"):
        write_json(file, {"b": 2})
    assert file.read_text() == older and list(tmp_path.iterdir()) == [file]


def test_a_json_report_goes_into_a_pipe_and_through_a_link(tmp_path):
    """As /dev/stdout needs it, which must not be replaced by a file."""
    file, link, pipe = tmp_path / "r.json", tmp_path / "link", tmp_path / "pipe"
    file.touch()
    link.symlink_to(file)
    write_json(link, {"a": 1})
    assert link.is_symlink() and json.loads(file.read_text()) == {"a": 1}
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_json(pipe, {"a": 1})
    assert pipe.is_fifo() and os.read(reader, 100) == file.read_bytes()
    os.close(reader)


def test_a_fault_of_ours_is_not_blamed_on_the_call(table, monkeypatch):
    """A ValueError from inside that names no option stays a traceback."""

    def broken(*arguments, **options):
        raise ValueError("shapes (3,) and (4,) not aligned")

    monkeypatch.setattr(cli_runs, "fit_quietly", broken)
    with pytest.raises(ValueError, match="not aligned"):
        cli.run(["fit", str(table)])


@pytest.mark.slow
def test_without_data_the_embedded_digits_are_fitted(tmp_path, capsys):
    assert cli.run(["fit", "--json", str(tmp_path / "f.json")]) == 0
    assert "digits" in capsys.readouterr().out
    # Issue 2's minimum for 991/1000, 1/1000 targets, X = pixel/16 and a bias, to a relative 1e-10.
    assert abs(json.loads((tmp_path / "f.json").read_text())["fit"]["loss"] / 220.66032111114930 - 1) < 1e-10
    assert cli.run(["probe", "-q"]) == 0

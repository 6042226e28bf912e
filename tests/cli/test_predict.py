"""`jaxsoftmax predict`: what `fit --weights` saved, on new samples, and what is refused in one line."""

import csv
import json

import numpy as np
import pytest

import jaxsoftmax as js
from helpers.made_fit import made_fit
from jaxsoftmax.cli import main as cli
from jaxsoftmax.cli import runs as cli_runs

TRAINING = "width,length,bird\n" + "".join(
    f"{w},{x},{bird}\n"
    for w, x, bird in [(0, 1, "wren"), (1, 0, "crow"), (2, 1, "wren"), (3, 2, "crow"), (1, 3, "wren"), (2, 2, "crow")]
)


@pytest.fixture
def weights(tmp_path):
    js.save_fit(made_fit(), tmp_path / "w.npz")
    return tmp_path / "w.npz"


def test_new_samples_get_classes_and_probabilities(weights, tmp_path, capsys):
    (tmp_path / "new.csv").write_text("nest,length,width\na,1,0.5\nb,2,9\n")
    out = tmp_path / "out.csv"
    assert cli.run(["predict", str(weights), str(tmp_path / "new.csv"), "-o", str(out)]) == 0
    report = " ".join(capsys.readouterr().out.split())
    assert "not used nest" in report and "samples 2 of" in report
    with out.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["class", "probability of crow", "probability of wren"]
    fit = js.load_fit(weights)
    np.testing.assert_array_equal(np.array([row[1:] for row in rows], float), fit.probabilities([[0.5, 1], [9, 2]]))
    assert [row[0] for row in rows] == fit.predict([[0.5, 1], [9, 2]]).tolist()


def test_with_labels_the_accuracy_is_printed(weights, tmp_path, capsys):
    (tmp_path / "new.csv").write_text(TRAINING)
    arguments = [str(weights), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv"), "--target", "bird"]
    assert cli.run(["predict", *arguments]) == 0
    fit = js.load_fit(weights)
    X = [[0, 1], [1, 0], [2, 1], [3, 2], [1, 3], [2, 2]]
    right = int(np.sum(fit.predict(X) == np.array(["wren", "crow"] * 3)))
    assert f"({right} of 6 samples)" in capsys.readouterr().out


def test_the_rows_of_the_table_are_the_true_classes(weights, tmp_path, capsys):
    """One sample, labelled with the class that it is not taken for, counts in that class's row."""
    (taken,) = js.load_fit(weights).predict([[0.5, 1]]).tolist()
    true = "wren" if taken == "crow" else "crow"
    (tmp_path / "new.csv").write_text(f"width,length,bird\n0.5,1,{true}\n")
    arguments = [str(weights), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv"), "--target", "bird"]
    assert cli.run(["predict", *arguments]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.split()}
    assert rows[true] == ["1" if name == taken else "0" for name in ("crow", "wren")]
    assert rows[taken] == ["0", "0"]


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        ("width,height\n1,2\n", [], "lacks the columns length"),
        ("width,length,bird\n1,2,owl\n", ["--target", "bird"], "has the label 'owl', which the weights do not know"),
        ("width,length,bird\n1,2,owl\n", ["--target", "cat"], "--target: no column"),
    ],
)
def test_what_cannot_be_predicted_is_told_in_one_line(weights, tmp_path, capsys, content, more, words):
    (tmp_path / "new.csv").write_text(content)
    arguments = ["predict", str(weights), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv"), *more]
    assert cli.run(arguments) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert words in err and err.startswith("jaxsoftmax: error: ")
    assert not (tmp_path / "out.csv").exists()


def test_a_table_that_cannot_be_made_loses_nothing(monkeypatch):
    """What `inference` refuses, too few digits of a variance, say, becomes a finding beside the finished fit."""
    problem = js.Problem.from_labels([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])
    found = []
    assert cli_runs._table(made_fit(W=np.zeros((2, 2)), loss=1e9), problem, found) == {}
    assert "there is no table of standard errors. fit: its loss is 1000000000" in found[0]
    assert cli_runs._table(made_fit(), problem.smoothed("0.1"), found) == {} and len(found) == 1


@pytest.mark.slow
def test_a_number_to_predict_is_no_target(tmp_path, capsys):
    """131 classes in 189 rows would train for minutes; who means it says so."""
    rng = np.random.default_rng(0)
    lines = [f"{rng.normal()},{900 + k}" for k in [*range(25), *range(15)]]
    (tmp_path / "t.csv").write_text("x,weight\n" + "\n".join(lines) + "\n")
    assert cli.run(["fit", str(tmp_path / "t.csv"), "-q"]) == 2
    err = " ".join(capsys.readouterr().err.split())
    assert "--target: the column 'weight' has 25 different numbers in 40 rows" in err and "--many-classes" in err
    assert cli.run(["fit", str(tmp_path / "t.csv"), "-q", "--many-classes", "--l2", "1"]) == 0


@pytest.mark.slow
def test_a_fit_says_how_often_it_is_right_and_saves_what_predicts(tmp_path, capsys):
    """From a table to predictions, with the coefficients' table where there is a likelihood (S22)."""
    (tmp_path / "train.csv").write_text(
        TRAINING + TRAINING.partition("\n")[2].replace("wren", "x").replace("crow", "wren").replace("x\n", "crow\n")
    )
    arguments = ["--json", str(tmp_path / "f.json"), "--weights", str(tmp_path / "w.npz")]
    assert cli.run(["fit", str(tmp_path / "train.csv"), *arguments]) == 0
    out = capsys.readouterr().out
    assert "accuracy" in out and "true class" in out and "of 12 samples" in out
    assert "std err" in out and "log-likelihood" in out
    report = json.loads((tmp_path / "f.json").read_text())
    assert np.sum(report["confusion"]) == 12 and len(report["inference"]["standard_errors"][0]) == 3
    arguments = [str(tmp_path / "train.csv"), "-o", str(tmp_path / "out.csv"), "--target", "bird"]
    assert cli.run(["predict", str(tmp_path / "w.npz"), *arguments]) == 0
    assert f"accuracy {np.trace(report['confusion']) / 12:.4g}" in " ".join(capsys.readouterr().out.split())
    assert cli.run(["fit", str(tmp_path / "train.csv"), "--l2", "1"]) == 0
    assert "std err" not in capsys.readouterr().out


def test_the_table_of_labels_has_the_true_class_in_its_rows(weights, tmp_path, capsys):
    """Three samples that are called crow and are wrens: in the row of wren, whatever they were called."""
    fit = js.load_fit(weights)
    called = [x for x in ([0.5, 1.0], [9.0, 2.0], [-9.0, 2.0], [3.0, 9.0], [3.0, -9.0]) if fit.predict([x]) == "crow"]
    (tmp_path / "new.csv").write_text("width,length,bird\n" + f"{called[0][0]},{called[0][1]},wren\n" * 3)
    arguments = [str(weights), str(tmp_path / "new.csv"), "-o", str(tmp_path / "out.csv"), "--target", "bird"]
    assert cli.run(["predict", *arguments]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["crow", "0", "0"] in [row[:3] for row in rows] and ["wren", "3", "0"] in [row[:3] for row in rows]

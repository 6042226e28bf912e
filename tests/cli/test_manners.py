"""Manners of the command line: examples, narrow terminals, colours, near words, completion, progress, exit statuses."""

import re
import shlex

import numpy as np
import pytest

from helpers.errors import one_error
from helpers.house import ROOT

pytest.importorskip("typer")
pytest.importorskip("rich")

import typer.main

from jaxsoftmax.cli import main as cli
from jaxsoftmax.cli import scopes
from jaxsoftmax.cli.commands import build
from jaxsoftmax.cli.manners.examples import EXAMPLES
from jaxsoftmax.cli.report import print_document
from jaxsoftmax.cli.scopes import spinner
from jaxsoftmax.reporting.blocks import Title

N, D, C = 24, 2, 3  # the shapes of test_verify.py
WIDTH = 60


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Overlapping classes: a minimiser exists."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    rows = [
        [*map(repr, row), f"bird {k}"] for row, k in zip(rng.standard_normal((N, D)).tolist(), range(N), strict=True)
    ]
    rows = [f"{a},{b},bird {int(k.split()[1]) % C}" for (a, b, k) in rows]
    (tmp_path / "birds.csv").write_text("\n".join(["width,length,species", *rows]))
    return "birds.csv"


# Help


def commands():
    return typer.main.get_command(build()).commands


def test_every_command_has_examples_and_no_other():
    assert set(EXAMPLES) == set(commands()) == set(cli.COMMANDS)


@pytest.mark.parametrize("call", [call for examples in EXAMPLES.values() for call, _ in examples])
def test_an_example_is_a_call_that_the_command_takes(call):
    name, *arguments = shlex.split(call)
    commands()[name].make_context(name, arguments)  # reads the arguments and runs nothing


@pytest.mark.parametrize("command", [[], *([name] for name in cli.COMMANDS)])
def test_help_fits_a_narrow_terminal_and_shows_examples(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    assert cli.run([*command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= WIDTH
    words = " ".join(out.split())
    for option in commands()[command[0]].params if command else []:
        assert all(name in words for name in option.opts if name.startswith("--"))  # none is cut
    for call, _ in EXAMPLES[command[0]] if command else [("fit --help", "")]:
        assert f"jaxsoftmax {call}" in words
    listed = words.partition(" Commands: ")[2]
    for name, each in {} if command else commands().items():
        assert f"{name} {each.help.splitlines()[0]}" in listed  # not cut
    assert ("Exit status: 0 " if command else "docs/exit_codes.md") in words


def test_nothing_and_help_are_read_as_a_wish_for_help(capsys):
    shown = []
    for call in ([], ["help"], ["--help"], ["help", "fit"], ["fit", "--help"]):
        assert cli.run(call) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2] != shown[3] == shown[4]
    assert "Commands:" in shown[0] and "--weights" in shown[3]


# Reports


@pytest.mark.slow
def test_reports_fit_a_narrow_terminal(table, capsys, monkeypatch):
    """All but the last line of certify, which is to be copied, and a checksum, which is one word."""
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    calls = ["fit birds.csv --weights w.npz", "probe birds.csv --at w.npz", "predict w.npz birds.csv -o o.csv"]
    calls += ["predict w.npz birds.csv -o o.csv --target species", "certify birds.csv -o a-certificate.json"]
    calls += ["check a-certificate.json birds.csv"]
    for call in calls:
        assert cli.run(shlex.split(call)) == 0
        lines = [line for line in capsys.readouterr().out.splitlines() if not line.startswith("  jaxsoftmax check")]
        assert lines and [line for line in lines if len(line) > WIDTH and " " in line.strip()] == [], call


@pytest.mark.parametrize("without", [True, False])
def test_no_color_has_no_colours(without, capsys, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.delenv("NO_COLOR", raising=False)
    if without:
        monkeypatch.setenv("NO_COLOR", "1")
    print_document([Title("refused", "bad")])
    colours = re.findall(r"\x1b\[[\d;]*3\d[\d;]*m", capsys.readouterr().out)
    assert bool(colours) != without


# Near words


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("vefiry", "No such command 'vefiry'; did you mean 'verify'? See jaxsoftmax --help."),
        ("fit --tagret species", "No such option: --tagret; did you mean --target? See jaxsoftmax fit --help."),
        ("fit birds.csv --target specis", "named 'specis'; did you mean 'species'? If not, choose one of the columns:"),
        ("fit birds.csv --target Species", "did you mean 'species'?"),
        ("fit birds.csv --method newtn", "--method: got 'newtn'; did you mean 'newton'? If not, give one of 'auto'"),
        ("fit birds.csv --dtype flaot32", "--dtype: got 'flaot32'; did you mean 'float32'?"),
        ("check birds.json brids.csv", "birds.json: no such file; did you mean 'birds.csv'?"),
        ("predict birds.npz birds.csv -o o.csv", "birds.npz: no such file; give a file that fit --weights wrote."),
        ("fit brids.csv", "brids.csv: no such file; did you mean 'birds.csv'?"),
        ("probe birds.csv --at zeor", "zeor: no such file; did you mean 'zero'?"),
        ("certify birds.csv -o c.json --digits 5 --method pair", "did you mean 'pairs'?"),
        ("crosscheck math:sqrtt", "did you mean sqrt"),
    ],
)
def test_the_nearest_word_is_named(table, call, words, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    assert cli.run(shlex.split(call)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in one_error(err)
    assert all(len(line) <= WIDTH or " " not in line.strip() for line in err.splitlines())  # a long path stays whole


def test_a_word_that_is_near_nothing_has_no_guess(table, capsys):
    for call in ("fly", "fit --colour", "fit birds.csv --target nest", "fit birds.csv --method simplex"):
        assert cli.run(shlex.split(call)) == 2
        assert "did you mean" not in capsys.readouterr().err


# Completion: what the shell's script asks


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("jaxsoftmax cer", ["certify"]),
        ("jaxsoftmax fit --label", ["--label-smoothing"]),
        ("jaxsoftmax fit --method newton", ["newton", "newton-cg"]),
        ("jaxsoftmax fit birds.csv --target ", ["width", "length", "species"]),
        ("jaxsoftmax predict w.npz birds.csv --target sp", ["species"]),
        ("jaxsoftmax probe --at z", ["zero"]),
        ("jaxsoftmax fit bir", []),  # the shell's own names of files
    ],
)
def test_a_shell_completes_commands_options_and_columns(table, line, offered, capsys, monkeypatch):
    monkeypatch.setenv("_JAXSOFTMAX_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    with pytest.raises(SystemExit) as end:
        cli.run([])
    assert not end.value.code
    assert capsys.readouterr().out.split() == offered


# Progress


def test_progress_is_drawn_on_a_terminal_and_elsewhere_where_it_is_asked_for(capsys, monkeypatch):
    """The markup-like name of a file is shown as it is."""
    shown = {}
    for terminal in (True, False):
        monkeypatch.delenv("FORCE_COLOR", raising=False)
        if terminal:
            monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        for quiet, asked in ((False, False), (False, True), (True, True)):
            with spinner(quiet, asked) as update:
                update("[red]eggs.csv: training")
            out, err = capsys.readouterr()
            assert out == ""
            shown[terminal, quiet, asked] = "[red]eggs.csv: training" in err
    assert {case for case, found in shown.items() if found} == {
        (True, False, False),
        (True, False, True),
        (False, False, True),
    }


def test_each_phase_is_told_at_once_and_its_numbers_once_a_second(capsys, monkeypatch):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    now = [100.0]
    monkeypatch.setattr(scopes.time, "monotonic", lambda: now[0])
    with spinner(quiet=False, asked=True) as update:
        for seconds, line in [
            (0.0, "eggs2.csv: training: step 1 of 9, loss 2.5"),
            (0.4, "eggs2.csv: training: step 2 of 9, loss 1.5e-07"),
            (0.1, "eggs2.csv: proving the minimum"),
            (0.1, "eggs2.csv: drawing"),
            (1.5, "eggs2.csv: drawing"),
            (0.9, "eggs2.csv: drawing"),
        ]:
            now[0] += seconds
            update(line)
    told = [line.removeprefix("jaxsoftmax: eggs2.csv: ") for line in capsys.readouterr().err.splitlines()]
    assert told == ["training: step 1 of 9, loss 2.5", "proving the minimum", "drawing", "drawing"]


def test_a_command_tells_its_phases_where_it_is_asked_to(table, capsys):
    assert cli.run(["certify", table, "-o", "c.json", "--progress"]) == 0
    assert capsys.readouterr().err.startswith("jaxsoftmax: birds.csv: deciding whether a minimiser exists")
    assert cli.run(["certify", table, "-o", "c.json", "--progress", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


# Exit statuses on one page

PAGE = (ROOT / "docs" / "exit_codes.md").read_text(encoding="utf-8")


def test_the_page_of_exit_statuses_has_every_status_and_command():
    assert [int(status) for status in re.findall(r"^\| (\d+) \|", PAGE, re.M)] == [
        0,
        1,
        cli.UNUSABLE,
        cli.LOST,
        cli.INTERRUPTED,
    ]
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.M) == list(cli.COMMANDS)

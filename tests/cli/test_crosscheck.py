"""`jaxsoftmax crosscheck MODULE:FUNCTION`: finding the function, dtypes, files, exit statuses 0, 1 and 2.

The check itself is replaced by one comparison with jax.grad; how good it is, tests/checker/ says.
"""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.errors import one_error
from jaxsoftmax.checker import crosscheck as checker
from jaxsoftmax.checker.report.entries import UlpHistogram
from jaxsoftmax.checker.report.finding import compare
from jaxsoftmax.cli import main as cli

pytest.importorskip("typer")
pytest.importorskip("rich")

MODULE = """
import jax.numpy as jnp
import jaxsoftmax as js
import numpy as np

AT = np.array([1.0, 2.0])

@js.declare_example(lambda: {"at": AT.astype("float32"), "args": (np.float32(2.0), 3, 0.5), "gradient": right})
def cubes(x, scale, n, half):
    return half * scale * jnp.sum(x**n)

def right(x, scale, n, half):
    import late_import_of_the_user  # there is a path to it as long as the check runs
    return half * late_import_of_the_user.slope(jnp.asarray(x), scale, n)

class Losses:
    @staticmethod
    @js.declare_example(at=AT.astype("float32"), gradient=lambda x: x)
    def square(x):
        return jnp.sum(x**2)

@js.declare_example(at={"w": 2.0})
def squared_leaf(tree):
    return tree["w"] ** 2

@js.declare_example(at=AT, key=7)
def keyed(x):
    return jnp.sum(x)

def undeclared(x):
    return jnp.sum(x)

@js.declare_example(lambda: {"gradient": right})
def without_point(x):
    return jnp.sum(x)

@js.declare_example(at=AT)
def refused(x):
    raise ValueError("fun: it returned a vector")
"""

LATE = """
def slope(x, scale, n):
    return scale * n * x ** (n - 1)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A module losses_of_the_user.py, and some that cannot be imported, in the current directory."""
    (tmp_path / "losses_of_the_user.py").write_text(MODULE)
    (tmp_path / "late_import_of_the_user.py").write_text(
        "def slope(x, scale, n):\n    return scale * n * x ** (n - 1)\n"
    )
    (tmp_path / "broken_one.py").write_text("1 / 0\n")
    (tmp_path / "needs_more.py").write_text("import absent_package_of_nobody\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def seen(folder, monkeypatch):
    """The calls of the check, which is replaced."""
    calls = []

    def crosscheck(fun, at, *, gradient=None, args=(), key=None):
        calls.append((fun, at, args, key))
        truth = jax.grad(fun)(at, *args)
        ours = gradient(at, *args) if gradient else truth
        parts = [np.asarray(a) for a in jax.tree.leaves(ours)], [np.asarray(a) for a in jax.tree.leaves(truth)]
        found = [compare("", "gradient", "jax.grad", a, b, 1e-5, path="") for a, b in zip(*parts, strict=True)]
        histogram = UlpHistogram.of(parts[0][0], parts[1][0])
        return js.CrossCheckReport.from_findings(found, ulp_histogram=histogram)

    monkeypatch.setattr(checker, "crosscheck", crosscheck)
    return calls


@pytest.mark.parametrize("where", ["losses_of_the_user", "losses_of_the_user.py", "ABSOLUTE"])
def test_agreement_prints_the_report_and_exits_0(seen, tmp_path, capsys, where):
    where = str(tmp_path / "losses_of_the_user.py") if where == "ABSOLUTE" else where
    path = list(sys.path)
    assert cli.run(["crosscheck", f"{where}:cubes"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert " ".join(out.split()).startswith(f"{where}:cubes, float32 Cross-check:")
    assert "Cross-check: AGREE (1 of 1 comparisons within tolerance)" in out
    assert sys.path == path
    assert not jax.config.jax_enable_x64


def test_disagreement_exits_1_and_quiet_prints_nothing(seen, capsys):
    assert cli.run(["crosscheck", "losses_of_the_user:Losses.square"]) == 1
    assert "Cross-check: DISAGREE" in capsys.readouterr().out
    assert cli.run(["crosscheck", "losses_of_the_user:Losses.square", "--quiet"]) == 1
    assert capsys.readouterr() == ("", "")


def test_rounding_exits_0(seen, capsys, monkeypatch):
    def rounding(fun, at, **options):
        return js.CrossCheckReport("ROUNDING", ())

    monkeypatch.setattr(checker, "crosscheck", rounding)
    assert cli.run(["crosscheck", "losses_of_the_user:cubes"]) == 0
    assert "ROUNDING" in capsys.readouterr().out


@pytest.mark.parametrize("dtype", ["float32", "float64", "both"])
def test_the_dtype_is_that_of_the_point_and_the_float_arguments(seen, tmp_path, capsys, dtype):
    file = tmp_path / "report.json"
    assert cli.run(["crosscheck", "losses_of_the_user:cubes", "--dtype", dtype, "--json", str(file)]) == 0
    wanted = ["float32", "float64"] if dtype == "both" else [dtype]
    assert [call[1].dtype.name for call in seen] == wanted
    assert [call[2][0].dtype.name for call in seen] == wanted
    assert all(call[2][1:] == (3, 0.5) for call in seen)
    assert all(type(call[2][2]) is float for call in seen), "a Python number has no dtype to change"
    document = json.loads(file.read_text("utf-8"))
    assert list(document["reports"]) == wanted
    assert [report["ulp_histogram"]["dtype"] for report in document["reports"].values()] == wanted
    assert (document["command"], document["function"]) == ("crosscheck", "losses_of_the_user:cubes")
    out = capsys.readouterr().out
    assert [line.split(", ")[1] for line in out.splitlines() if line.startswith("losses_of_the_user:")] == wanted
    assert jnp.zeros(1).dtype == np.float32


def test_a_python_number_as_a_leaf_becomes_the_dtype(seen):
    assert cli.run(["crosscheck", "losses_of_the_user:squared_leaf", "--dtype", "float64", "-q"]) == 0
    assert seen[0][1]["w"].dtype == np.float64
    assert cli.run(["crosscheck", "losses_of_the_user:squared_leaf", "-q"]) == 0
    assert seen[1][1] == {"w": 2.0}


def test_the_key_seeds_unless_the_example_has_one(seen):
    assert cli.run(["crosscheck", "losses_of_the_user:cubes", "--key", "5", "-q"]) == 0
    assert seen[0][3] == jax.random.key(5)
    assert cli.run(["crosscheck", "losses_of_the_user:keyed", "--key", "5", "-q"]) == 0
    assert seen[1][3] == 7


@pytest.mark.peers
def test_plot_draws_a_histogram_a_dtype(seen, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    file = tmp_path / "ulps.png"
    assert cli.run(["crosscheck", "losses_of_the_user:cubes", "--dtype", "both", "--plot", str(file), "-q"]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    assert cli.run(["crosscheck", "losses_of_the_user:cubes", "--plot", str(tmp_path / "ulps.xyz"), "-q"]) == 2
    assert "--plot: " in one_error(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["losses_of_the_user"], "'losses_of_the_user' names no function of a module; give MODULE:FUNCTION"),
        (["losses_of_the_user:"], "names no function"),
        ([":cubes"], "names no function"),
        (["absent_module_of_nobody:cubes"], "no module is named 'absent_module_of_nobody' in "),
        (["jaxsoftmax.nowhere:cubes"], "no module is named 'jaxsoftmax.nowhere'"),
        (["absent.py:cubes"], "absent.py: no such file"),
        (["broken_one:f"], "broken_one: importing it raised ZeroDivisionError: division by zero"),
        (["broken_one.py:f"], "importing it raised ZeroDivisionError"),
        (["leaves:f"], "leaves: importing it raised SystemExit: 3"),
        (["needs_more:f"], "needs_more: importing it failed, for no module is named 'absent_package_of_nobody'"),
        (["losses_of_the_user:cube"], "losses_of_the_user has no attribute 'cube'; did you mean cubes?"),
        (["losses_of_the_user:zzzzz"], "has no attribute 'zzzzz'; it is not defined there."),
        (["losses_of_the_user:Losses.squared"], "losses_of_the_user:Losses has no attribute 'squared'; did you mean"),
        (["losses_of_the_user:AT"], "losses_of_the_user:AT is not a function: it is of type ndarray"),
        (["losses_of_the_user:undeclared"], "no example is declared for it; decorate it with @js.declare_example(at="),
        (["losses_of_the_user:without_point"], "without_point: at is missing"),
        (["losses_of_the_user:refused"], "losses_of_the_user:refused: fun: it returned a vector"),
        (["losses_of_the_user:cubes", "--dtype", "int8"], "--dtype: got 'int8'; give float32, float64 or both"),
        (["losses_of_the_user:cubes", "--key", "-1"], "--key: got -1"),
        (["losses_of_the_user:cubes", "--key", "one"], "--key"),
        (["losses_of_the_user:cubes", "--json", "no/folder/r.json"], "--json: the directory"),
        (["losses_of_the_user:cubes", "--plot", "."], "--plot: . is a directory"),
        (["losses_of_the_user:cubes", "--colour"], "see jaxsoftmax crosscheck --help"),
        ([], "see jaxsoftmax crosscheck --help"),
    ],
)
def test_unusable_input_is_one_line_on_stderr_and_exit_2(seen, capsys, arguments, words):
    assert cli.run(["crosscheck", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in one_error(err)


def test_without_matplotlib_the_plot_is_refused_before_the_run(seen, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.run(["crosscheck", "losses_of_the_user:cubes", "--plot", str(tmp_path / "u.png")]) == 2
    assert "jaxsoftmax[plots]" in capsys.readouterr().err
    assert seen == []


def test_ctrl_c_is_status_130(seen, capsys, monkeypatch):
    def interrupted(fun, at, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(checker, "crosscheck", interrupted)
    assert cli.run(["crosscheck", "losses_of_the_user:cubes"]) == 130
    assert capsys.readouterr().err == "jaxsoftmax: error: interrupted\n"


@pytest.mark.slow
def test_the_command_runs_as_a_process(folder):
    """With the check itself; the current directory is on the path, as with `python -m`."""
    code = "import sys; from jaxsoftmax.cli import main as cli; sys.exit(cli.run(sys.argv[1:]))"
    for function, status in (("cubes", 0), ("Losses.square", 1)):
        command = [sys.executable, "-P", "-c", code, "crosscheck", f"losses_of_the_user:{function}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=folder)
        assert done.returncode == status, done.stderr
        assert ("AGREE" if status == 0 else "DISAGREE") in done.stdout

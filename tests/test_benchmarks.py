"""Of the benchmarks only what can be wrong without a measurement: pictures, pages, and the exponent of a power law."""

import importlib
import importlib.util
import json
import re

import pytest

from helpers.house import ROOT

FOLDER = ROOT / "benchmarks"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the benchmarks are not part of the source archive")


def load(name):
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FOUND = {
    "minimum": 1.0,
    "runs": [
        {"solver": "js.fit", "seconds": 2.0, "relative_gap": 1e-12},
        {"solver": "newton-cg", "seconds": 9.0, "relative_gap": 0.0},
        {"solver": "newton-cg", "seconds": 3.0, "relative_gap": 1e-5},
    ],
    "paths": {
        "js.fit": [[0.0, 3.0], [1.0, 1e-3], [2.0, 1e-12]],
        "torch L-BFGS": [[0.5, 1.0], [4.0, 1e-4]],
    },
}


def test_the_picture_shows_paths_and_points_in_the_order_of_time():
    picture = load("gap_picture")
    assert picture.series(FOUND) == {
        "js.fit": [(1.0, 1e-3), (2.0, 1e-12)],
        "torch L-BFGS": [(0.5, 1.0), (4.0, 1e-4)],
        "newton-cg": [(3.0, 1e-5), (9.0, picture.FLOOR)],
    }
    looks = [(style["color"], style["linestyle"], style["marker"]) for style in picture.STYLES.values()]
    assert len(set(looks)) == len(looks)


@pytest.mark.peers
def test_the_script_draws_a_picture_with_its_labels_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    picture = load("gap_picture")
    table = tmp_path / "solver.json"
    table.write_text(json.dumps({"machine": {"cpu": "a processor", "cores": 2}, "a case": FOUND}))
    drawn = []
    for name in ("one.svg", "two.svg"):
        picture.save(table, tmp_path / "pictures" / name, "a case")
        drawn.append((tmp_path / "pictures" / name).read_text(encoding="utf-8"))
    assert drawn[0] == drawn[1]
    for text in ("js.fit", "torch L-BFGS", "scikit-learn newton-cg", "a case", "a processor, 2 cores", "seconds"):
        assert f">{text}" in drawn[0] or text in drawn[0]
    with pytest.raises(SystemExit, match="has no 'another case'"):
        picture.save(table, tmp_path / "none.svg", "another case")


def test_the_exponent_is_that_of_the_upper_half():
    """3·n^1.5 there, a constant below; without two sizes there is none."""
    growth = load("growth")
    sizes = [10.0, 100.0, 1e3, 1e4, 1e5]
    assert growth.exponent(sizes, [5.0, 5.0, *(3 * n**1.5 for n in sizes[2:])]) == 1.5
    assert growth.exponent(sizes[::-1], [*(3 * n**1.5 for n in sizes[:1:-1]), 5.0, 5.0]) == 1.5
    assert growth.exponent([10.0], [1.0]) is None
    for name, axis in (("N", 0), ("D", 1), ("C", 2)):
        swept = growth.SWEEPS[name]
        assert all(len({size[k] for size in swept}) == 1 for k in range(3) if k != axis) and len(swept) >= 5


@pytest.fixture
def made(monkeypatch):
    """The modules that make docs/benchmarks/."""
    monkeypatch.syspath_prepend(str(ROOT))
    names = ("write", "tables", "pictures", "training")
    return {name: importlib.import_module(f"benchmarks.pages.{name}") for name in names}


def test_the_pages_are_what_the_results_make_of_them(made):
    """`python -m benchmarks pages` writes them again."""
    write = made["write"]
    pages = write.pages()
    assert {path.name for path in write.FOLDER.glob("*.md")} == set(pages)
    for name, text in pages.items():
        assert (write.FOLDER / name).read_text(encoding="utf-8") == text, f"{name}: run python -m benchmarks pages"


def test_each_picture_was_drawn_from_the_results_and_is_shown_with_its_words(made):
    write, pictures = made["write"], made["pictures"]
    text = "\n".join(write.pages().values())
    for name in pictures.PICTURES:
        drawn = (write.FOLDER / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        assert pictures.digest(name) in drawn, f"{name}.svg: run python -m benchmarks pages"
        assert re.search(rf"!\[[^\]]{{20,}}\]\(pictures/{name}\.svg\)", text)
    looks = pictures.LOOKS
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == len(looks)


def test_another_number_in_the_results_is_another_page_and_another_picture(made, monkeypatch):
    """So that the two tests above can fail."""
    pictures, training = made["pictures"], made["training"]
    before = training.page(), pictures.digest("solvers")
    solver = made["tables"].load("solver")
    solver["digits, L2(1)"]["seconds to a gap"]["1e-06"]["js.fit"] *= 2
    for module in (pictures, training):
        load = module.load
        monkeypatch.setattr(module, "load", lambda case, load=load: solver if case == "solver" else load(case))
    assert training.page() != before[0] and pictures.digest("solvers") != before[1]


def test_numbers_are_written_with_their_leading_digits(made):
    number = made["tables"].number
    assert [number(x) for x in (0, 0.0, 1234567, 197.66, 5.0001, 0.0808, 9.96e-9, 1e-10, None, True)] == [
        *("0", "0", "1,234,567", "198", "5.0", "0.081", "1.0·10⁻⁸", "1.0·10⁻¹⁰", "–", "yes"),
    ]
    assert number(1.2345, 3) == "1.23" and number(3.4e12) == "3.4·10¹²"


def test_missed_figures_are_listed_and_met_ones_counted(made, monkeypatch):
    tables = made["tables"]
    targets = [
        {"what": "a", "measured": 1.5, "limit": 1, "kind": "<=", "met": False},
        {"what": "b", "measured": 3, "limit": 2, "kind": ">=", "met": True},
    ]
    monkeypatch.setattr(tables, "load", lambda case: {"targets": targets[1:] if case == "met" else targets})
    assert tables.asked("some").startswith("Asked: 2 figures; met: 1. **Missed:**")
    assert "| a | 1.50 | at most 1 |" in tables.asked("some") and "| b |" not in tables.asked("some")
    assert tables.asked("met") == "Asked: 1 figure; met: 1."


@pytest.mark.peers
def test_a_picture_is_the_same_each_time_and_names_its_rows(made, tmp_path):
    pytest.importorskip("matplotlib")
    pictures = made["pictures"]
    drawn = [pictures.save("kernels", tmp_path / name).read_text(encoding="utf-8") for name in ("one.svg", "two.svg")]
    assert drawn[0] == drawn[1]
    for text in (*pictures.kernels_over_autodiff(), "Hessian product", "time over that of autodiff"):
        assert text in drawn[0]

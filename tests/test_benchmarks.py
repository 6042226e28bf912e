"""Of the benchmarks only what can be wrong without a measurement: the picture, and the exponent of a power law."""

import importlib.util
import json

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

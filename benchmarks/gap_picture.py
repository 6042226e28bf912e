"""The picture of `results/solver.json`: relative gap to the minimum against seconds, both on log scales.

    python -m benchmarks.gap_picture [solver.json] [picture.svg] [--case NAME]

Lines are paths, told after every step; points are whole runs of solvers that say nothing on their way, one for each
tolerance. Needs matplotlib (the extra `plots`).
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

HERE = pathlib.Path(__file__).resolve().parent
RESULTS = HERE / "results" / "solver.json"
PICTURE = HERE.parent / "docs" / "pictures" / "gap_against_time.svg"
CASE = "MNIST 60,000 x 784, L2(1)"
EARLIEST = 0.1  # seconds: what a path says before is where it starts
FLOOR = 1e-14  # a gap of 0 has no logarithm, and below this it is the rounding of the loss

# Okabe and Ito's colours, which the colour-blind tell apart; each solver has a dash or a marker of its own besides.
STYLES = {
    "js.fit": {"color": "#D55E00", "linestyle": "-", "marker": "o", "linewidth": 2.4},
    "optax L-BFGS": {"color": "#0072B2", "linestyle": "--", "marker": ""},
    "jaxopt L-BFGS": {"color": "#009E73", "linestyle": "-.", "marker": ""},
    "torch L-BFGS": {"color": "#CC79A7", "linestyle": ":", "marker": ""},
    "newton-cg": {"color": "#000000", "linestyle": "", "marker": "s"},
    "lbfgs": {"color": "#000000", "linestyle": "", "marker": "^"},
    "intelex lbfgs": {"color": "#56B4E9", "linestyle": "", "marker": "D"},
}
NAMES = {
    "newton-cg": "scikit-learn newton-cg",
    "lbfgs": "scikit-learn lbfgs",
    "intelex lbfgs": "scikit-learn-intelex lbfgs",
}
OTHER = {"color": "#666666", "linestyle": "", "marker": "x"}


def series(found: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """(seconds, relative gap) of each solver of a case, in the order of time; gaps no smaller than `FLOOR`."""
    out = {name: list(map(tuple, path)) for name, path in found["paths"].items()}
    for run in found["runs"]:
        if run["solver"] not in found["paths"]:
            out.setdefault(run["solver"], []).append((run["seconds"], run["relative_gap"]))
    # What takes no time cannot be shown on a logarithmic axis.
    return {name: [(s, max(gap, FLOOR)) for s, gap in sorted(path) if s > 0] for name, path in out.items()}


def draw(found: dict[str, Any], title: str, ax: Any) -> Any:
    """Draw a case of `solver.json` into matplotlib axes, each line and set of points labelled beside it."""
    ends = [path[-1] for name, path in series(found).items() if path and name != "js.fit"]
    for name, path in series(found).items():
        if not path:
            continue
        seconds, gaps = zip(*path, strict=True)
        style = STYLES.get(name, OTHER)
        marks = {"markersize": 4, "markevery": max(1, len(path) // 40)}
        ax.plot(seconds, gaps, label=NAMES.get(name, name), **style, **marks)
        # Ours is labelled where it starts: it ends among the points of the others.
        at, side = (0, "right") if name == "js.fit" else (-1, "left")
        ax.annotate(
            NAMES.get(name, name),
            (seconds[at], gaps[at]),
            xytext=(6, _apart(path[-1], ends)) if side == "left" else (-6, 0),
            textcoords="offset points",
            ha=side,
            va="center",
            fontsize=8,
            color=style["color"],
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel("seconds after compilation")
    ax.set_ylabel("relative gap to the minimum")
    ax.set_title(title, fontsize=10)
    ax.grid(True, which="major", linewidth=0.4, alpha=0.4)
    ax.spines[["top", "right"]].set_visible(False)
    last = max(path[-1][0] for path in series(found).values() if path)
    ax.set_xlim(min(EARLIEST, last / 10), 8 * last)  # room for the labels on the right
    return ax


def _apart(end: tuple[float, float], ends: list[tuple[float, float]]) -> int:
    """By how many points a label moves away from that of a path that ends nearby."""
    near = [gap for s, gap in ends if (s, gap) != end and 0.5 < s / end[0] < 2 and 0.1 < gap / end[1] < 10]
    return (5 if end[1] > min(near) else -5) if near else 0


def save(results: pathlib.Path, picture: pathlib.Path, case: str) -> None:
    """Draw a case of a file of results into an SVG, the same bytes for the same results."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    table = json.loads(results.read_text(encoding="utf-8"))
    if case not in table:
        raise SystemExit(f"--case: {results.name} has no {case!r}.")
    about = table["machine"]
    with matplotlib.rc_context({"svg.hashsalt": "gap", "svg.fonttype": "none"}):
        figure, ax = pyplot.subplots(figsize=(8, 5), layout="constrained")
        draw(table[case], f"{case}\n{about['cpu']}, {about['cores']} cores", ax)
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(picture, format="svg", metadata={"Date": None})
        pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gap_picture", description=__doc__)
    parser.add_argument("results", nargs="?", type=pathlib.Path, default=RESULTS)
    parser.add_argument("picture", nargs="?", type=pathlib.Path, default=PICTURE)
    parser.add_argument("--case", default=CASE)
    options = parser.parse_args()
    save(options.results, options.picture, options.case)
    print(options.picture)


if __name__ == "__main__":
    main()

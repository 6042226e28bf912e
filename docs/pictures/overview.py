"""The README's picture: why iris has no best weights, and what training does there. `python docs/pictures/overview.py`.

Needs matplotlib (the extra `plots`). It has a white ground of its own, so that it can be read on a dark page too.
"""

import warnings
from pathlib import Path

import jax
import matplotlib
import numpy as np

import jaxsoftmax as js

matplotlib.use("Agg")
from matplotlib import pyplot

PICTURE = Path(__file__).with_suffix(".svg")
# Okabe and Ito's colours, which the colour-blind tell apart; each class has a marker of its own besides.
CLASSES = {"setosa": ("#0072B2", "o"), "versicolor": ("#E69F00", "^"), "virginica": ("#009E73", "s")}
WILD, TAME = "#D55E00", "#0072B2"


def draw_data(ax) -> None:
    """Petal widths against lengths, and the line that separates setosa from the others."""
    iris = js.datasets.load_iris()
    length, width = iris.X[:, 2], iris.X[:, 3]
    jitter = np.random.default_rng(0).uniform(-0.03, 0.03, size=(2, len(length)))  # equal flowers lie on each other
    places = {"setosa": (1.0, 0.85), "versicolor": (4.95, 1.05), "virginica": (3.55, 2.2)}
    for name, (color, marker) in CLASSES.items():
        rows = iris.y == name
        ax.scatter(
            length[rows] + jitter[0, rows], width[rows] + jitter[1, rows], s=16, c=color, marker=marker, alpha=0.8
        )
        ax.text(*places[name], name, color=color, fontsize=11, weight="bold")
    ax.axvline(2.45, color="black", linestyle="--", linewidth=1.2)
    ax.text(2.55, 0.12, "petal length = 2.45 cm", fontsize=9)
    ax.set_xlabel("petal length (cm)")
    ax.set_ylabel("petal width (cm)")
    ax.set_title("One threshold separates setosa:\nno best weights exist (proved)", fontsize=11, loc="left")


def draw_training(ax) -> None:
    """The size of the weights after each Newton step, on the labels as they are and on smoothed ones."""
    iris = js.datasets.load_iris()
    flowers = js.Problem.from_labels(iris.X, iris.y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", js.NoMinimizerWarning)  # the picture shows it
        wild = js.fit(flowers, "newton")
    tame = js.fit(flowers.smoothed("0.01"), "newton")
    for run, color, style in ((wild, WILD, "-o"), (tame, TAME, "-s")):
        ax.plot(run.history["step"], run.history["weight_norm"], style, color=color, markersize=3.5, linewidth=1.6)
    end, settled = wild.history["weight_norm"][-1], tame.history["weight_norm"][-1]
    ax.text(0, end, "labels as they are:\nthe weights grow\nwithout end", color=WILD, fontsize=10, va="top")
    said = "1 % label smoothing: done.\nMinimum, proved to 50 digits:\n19.74267424455503928635743…"
    ax.text(tame.steps + 0.6, settled, said, color=TAME, fontsize=10, va="center")
    ax.set_xlabel("steps of Newton's method")
    ax.set_ylabel("size of the weights, ‖W‖")
    ax.set_title("So training never arrives,\nunless the problem is changed", fontsize=11, loc="left")


def main() -> None:
    """Draw both into the SVG beside this file."""
    with matplotlib.rc_context({"svg.hashsalt": "overview", "font.size": 10}), jax.enable_x64(True):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.7), layout="constrained")
        draw_data(left)
        draw_training(right)
        for ax in (left, right):
            ax.spines[["top", "right"]].set_visible(False)
        figure.savefig(PICTURE, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

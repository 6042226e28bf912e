"""The pictures of `docs/benchmarks/`: what each shows, as numbers, and how it is drawn (matplotlib, extra `plots`).

A picture's file carries the hash of the numbers that it was drawn from, so that a test without matplotlib sees whether
it is up to date. Colours are Okabe and Ito's, which the colour-blind tell apart; each has a marker of its own, so that
grey will do.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
from typing import Any

from benchmarks.pages.tables import load, number

LOOKS = [("#D55E00", "o"), ("#0072B2", "s"), ("#009E73", "^"), ("#000000", "D"), ("#CC79A7", "v"), ("#56B4E9", "P")]
Points = dict[str, dict[str, list[float]]]  # of each panel or series: rows and numbers


def seconds_to_a_gap() -> dict[str, Any]:
    """For each problem of `solver`: the seconds of each solver to a relative gap of 1e-6."""
    found = load("solver")
    rows = {name: case["seconds to a gap"]["1e-06"] for name, case in found.items() if is_solved(case)}
    return {name: {short(solver): s for solver, s in row.items()} for name, row in rows.items()}


def short(solver: str) -> str:
    """A solver's name for readers who do not know whose it is."""
    owners = {"newton-cg": "scikit-learn newton-cg", "lbfgs": "scikit-learn lbfgs"}
    owners |= {"newton-cholesky": "scikit-learn newton-cholesky", "intelex lbfgs": "scikit-learn-intelex lbfgs"}
    return owners.get(solver, solver)


def is_solved(case: Any) -> bool:
    """Whether a part of `solver` is a problem that a peer solved too."""
    return isinstance(case, dict) and len(case.get("seconds to a gap", {}).get("1e-06", {})) > 1


def growth() -> dict[str, Any]:
    """For N, D and C: the sizes, with seconds and peak memory."""
    found = load("growth")
    sweeps = {}
    for axis, letter in enumerate("NDC"):
        runs = found[f"in {letter}"]["runs"]
        sizes = [run["shape"][axis] for run in runs]
        sweeps[letter] = {
            "size": sizes,
            "seconds": [run["seconds"] for run in runs],
            "peak MB": [run["peak_mb"] for run in runs],
        }
    return sweeps


def kernels_over_autodiff() -> dict[str, Any]:
    """For each shape: our time over that of autodiff, of both kernels."""
    rows = {}
    for name, shape in load("kernels")["shapes"].items():
        size = " × ".join(f"{n:,}" for n in shape["shape"])
        rows[f"{name}, {size}"] = {
            "value and gradient": shape["value_and_gradient"]["of autodiff, by minima"]["in use"],
            "Hessian product": shape["H @ V"]["of autodiff, by minima"]["in use"],
        }
    return rows


def loss_over_optax() -> dict[str, Any]:
    """For each shape and dtype: our time over that of optax, of both forms of the loss."""
    rows = {}
    for name, case in load("loss").items():
        if isinstance(case, dict) and "one-hot" in case:
            forms = {"probabilities": "one-hot", "labels": "integer"}
            rows[name] = {form: case[key]["ours / optax"]["by_min"] for form, key in forms.items()}
    return rows


def checkers() -> dict[str, Any]:
    """For each checker: the share of wrong rules found, and of right ones rejected, on three collections."""
    rows: dict[str, Any] = {}
    for dtype in ("float32", "float64"):
        for name, tools in checker_counts(dtype).items():
            rows[f"{name}, {dtype}"] = {tool: 100 * found / of for tool, (found, of) in tools.items()}
    return rows


def checker_counts(dtype: str) -> dict[str, dict[str, tuple[int, int]]]:
    """Counts of `detection` and of the zoo of `foreign` in a dtype: (how many, of how many) by each checker."""
    detection, zoo = load("detection"), load("foreign")
    tools = ("crosscheck", "check_grads", "gradcheck")
    wrong = {"hand-written": {}, "mechanical": {}}
    for kind in wrong:
        found = detection[f"{kind}, {dtype}"]
        wrong[kind] = {tool: (found["detected"][tool], found["mutants"]) for tool in tools}
    keys = {"crosscheck": "zoo, quick", "check_grads": "zoo, check_grads", "gradcheck": "zoo, gradcheck"}
    rejected = {t: (zoo[k][dtype]["right rejected"], zoo[k][dtype]["right"]) for t, k in keys.items()}
    return {
        "wrong rules by hand: found": wrong["hand-written"],
        "wrong rules by machine: found": wrong["mechanical"],
        "right rules of nine libraries: rejected": rejected,
    }


def deciding() -> dict[str, Any]:
    """For each data set of `existence`: milliseconds to decide and to check."""
    rows = {}
    for name, case in load("existence").items():
        if isinstance(case, dict) and {"decide", "check"} <= set(case):
            times = {"to decide": median_ms(case["decide"]), "to check the certificate": median_ms(case["check"])}
            rows[name] = {what: ms / 1e3 for what, ms in times.items() if ms is not None}
    return rows


def median_ms(times: Any) -> float | None:
    """The median of some times, None where there are none."""
    return times.get("median_ms") if isinstance(times, dict) else None


def compiled_or_not() -> dict[str, Any]:
    """For each job of `many`: seconds the second time, of ours and of the peers."""
    return {
        name: {_plain(who): times["warm_s"] for who, times in case["times"].items()}
        for name, case in load("many").items()
        if isinstance(case, dict) and "times" in case
    }


def _plain(who: str) -> str:
    """Whose fits these are: the three solvers, whatever call runs them."""
    if who in ("LogisticRegressionCV", "loop of lbfgs", "cross_val_score of lbfgs"):
        return "scikit-learn lbfgs"
    if who.endswith("newton-cholesky"):
        return "scikit-learn newton-cholesky"
    return "one by one, by our estimator" if who.startswith("cross_val_score") else "ours, in one call"


def alt_of_rows(rows: dict[str, dict[str, float]], what: str) -> str:
    """What a picture of dots shows, in words."""
    said = "; ".join(f"{name}: " + ", ".join(f"{k} {number(v)}" for k, v in row.items()) for name, row in rows.items())
    return f"{what}. {said}."


# Each picture: its numbers, and how dots are drawn (axis title, logarithmic or not, where a line is).
PICTURES: dict[str, dict[str, Any]] = {
    "solvers": {"numbers": seconds_to_a_gap, "axis": "seconds to a relative gap of 10⁻⁶, compilation excluded"},
    "growth": {"numbers": growth, "axis": ""},
    "many": {"numbers": compiled_or_not, "axis": "seconds, compilation excluded"},
    "kernels": {"numbers": kernels_over_autodiff, "axis": "time over that of autodiff", "line": 1.0, "linear": True},
    "loss": {"numbers": loss_over_optax, "axis": "time over that of optax", "line": 1.0, "linear": True},
    "checkers": {"numbers": checkers, "axis": "percent", "linear": True},
    "deciding": {"numbers": deciding, "axis": "seconds, after a first call"},
}


def digest(name: str) -> str:
    """The hash of a picture's numbers, and of what its axes are called."""
    about = PICTURES[name]
    shown = [about["numbers"](), about["axis"], about.get("line"), about.get("linear", False)]
    return "sha256:" + hashlib.sha256(json.dumps(shown).encode()).hexdigest()


def save(name: str, path: pathlib.Path) -> pathlib.Path:
    """Draw a picture into an SVG file, the same bytes for the same numbers and the same matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    about = PICTURES[name]
    style = {"svg.hashsalt": name, "svg.fonttype": "none", "font.size": 9}
    with matplotlib.rc_context(style):
        figure = _growth(pyplot, growth()) if name == "growth" else _dots(pyplot, about, about["numbers"]())
        figure.savefig(path, format="svg", metadata={"Date": None, "Description": digest(name)})
        pyplot.close(figure)
    return path


def _dots(pyplot: Any, about: dict[str, Any], rows: dict[str, dict[str, float]]) -> Any:
    """One row a case, one mark a method; the legend stands above the data."""
    figure, ax = pyplot.subplots(figsize=(8, 1.2 + 0.34 * len(rows)), layout="constrained")
    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    for k, name in enumerate(series):
        color, marker = LOOKS[k]
        here = [(row[name], len(rows) - at) for at, row in enumerate(rows.values()) if name in row]
        # The first is a ring on top, so that a mark under it is seen.
        look = {"facecolor": color, "s": 34, "zorder": 3} if k else {"facecolor": "none", "s": 90, "zorder": 4}
        ax.scatter(
            *zip(*here, strict=True), edgecolor=color, linewidth=2, marker=marker, label=name, clip_on=False, **look
        )
    ax.set_yticks(range(len(rows), 0, -1), list(rows))
    ax.set_ylim(0.4, len(rows) + 0.6)
    if about.get("linear"):
        ax.set_xlim(left=0)
    else:
        ax.set_xscale("log")
        _plain_numbers(ax.xaxis, [x for row in rows.values() for x in row.values()])
    if "line" in about:
        ax.axvline(about["line"], color="#666666", linewidth=0.8, linestyle="--", zorder=1)
    ax.set_xlabel(about["axis"])
    ax.grid(True, axis="both", linewidth=0.4, alpha=0.4)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(3, len(series)), frameon=False)
    return figure


def _plain_numbers(axis: Any, shown: list[float]) -> None:
    """0.1, 1, 10 on a logarithmic axis, with 2 and 5 between where there is room."""
    from matplotlib import ticker

    between = (1.0, 2.0, 5.0) if max(shown) < 200 * min(shown) else (1.0,)
    axis.set_major_locator(ticker.LogLocator(subs=between))
    axis.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:,.10g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def _growth(pyplot: Any, sweeps: dict[str, Any]) -> Any:
    """Three panels, one a size; seconds and memory on two rows, each beside a line of slope 1."""
    figure, axes = pyplot.subplots(2, 3, figsize=(8, 4.6), layout="constrained", sharey="row")
    names = {"N": "samples N", "D": "features D", "C": "classes C"}
    for column, (letter, sweep) in enumerate(sweeps.items()):
        for row, what in enumerate(("seconds", "peak MB")):
            ax = axes[row, column]
            color, marker = LOOKS[row]
            ax.plot(sweep["size"], sweep[what], color=color, marker=marker, markersize=4)
            first, last, end = sweep["size"][0], sweep["size"][-1], sweep[what][-1]
            ax.plot([first, last], [end * first / last, end], color="#666666", linestyle=":", linewidth=1)
            beside = {"xytext": (10, -1), "textcoords": "offset points", "va": "center"}
            ax.annotate("linear", (first, end * first / last), color="#666666", fontsize=8, **beside)
            ax.set_xscale("log")
            ax.set_yscale("log")
            _plain_numbers(ax.xaxis, [1e-9, 1e9])
            _plain_numbers(ax.yaxis, [1e-9, 1e9])
            ax.grid(True, linewidth=0.4, alpha=0.4)
            ax.spines[["top", "right"]].set_visible(False)
            if row == 1:
                ax.set_xlabel(names[letter])
            if column == 0:
                ax.set_ylabel(what)
    return figure

"""Loss, gradient and Hessian against automatic differentiation: time and digits."""

from __future__ import annotations

from typing import Any

from benchmarks.pages import pictures
from benchmarks.pages.tables import INTRO, asked, load, machine, picture, table

CASES = ("kernels", "mnist", "hessian", "loss", "accuracy", "entries")


def page() -> str:
    """Loss, gradient, Hessian: time and digits."""
    mnist = load("mnist")
    ours = {"value_and_gradient": "jax.value_and_grad of optax", "H @ V": "jvp of grad of optax"}
    rows = [[name, mnist["times"][name]["median_ms"], mnist["times"][peer]["median_ms"],
             mnist[f"{name} / autodiff"]["by_median"]] for name, peer in ours.items()]  # fmt: skip
    limits = [[name.removeprefix("limit: "), t["median_ms"]] for name, t in mnist["times"].items() if "limit" in name]
    return f"""# Kernels

{INTRO}

The loss, its gradient and products with its Hessian are formulas written by hand. Are they faster than what automatic
differentiation makes of a textbook loss, and more exact?

## Value and gradient, and products with the Hessian

{machine("kernels")}

{picture("kernels", pictures.alt_of_rows(pictures.kernels_over_autodiff(), "Our time over that of automatic differentiation"))}

{table(["shape N × D × C", "value and gradient / autodiff", "Hessian product / autodiff"], _rows(pictures.kernels_over_autodiff()))}

{asked("kernels")}

The same on MNIST, in milliseconds, beside the reads and products that nobody can do without:

{machine("mnist")}

{table(["kernel", "ours, ms", "autodiff, ms", "ours / autodiff"], rows)}

{table(["limit", "ms"], limits)}

{asked("mnist")}

## The dense Hessian

{machine("hessian")}

{table(["problem", "ours, ms", "in your own jit, ms", "`jax.hessian`, ms", "times faster", "temporaries, MB", "`jax.hessian`, MB"], _hessian_rows())}

{asked("hessian")}

## The drop-in loss

`js.softmax_cross_entropy` and its form for integer labels, value and gradient, beside optax's functions of those names.

{machine("loss")}

{picture("loss", pictures.alt_of_rows(pictures.loss_over_optax(), "Our time over that of optax"))}

{table(["logits", "form", "ours, ms", "optax, ms", "ours / optax", "temporaries, MB", "optax, MB"], _loss_rows())}

{asked("loss")}

## Digits

The largest relative error, in units of the dtype's eps, of probabilities, log-probabilities and residuals on logits so far apart
that a plain formula underflows or cancels.

{machine("accuracy")}

{table(["quantity", "ours, eps", "peer", "eps"], _accuracy_rows())}

{asked("accuracy")}

Entries of gradient, Hessian product and Hessian, in units of a bound of their rounding (1 is the bound):

{machine("entries")}

{table(["quantity", "ours, worst", "autodiff, worst"], _entries_rows())}

{asked("entries")}
"""


def _rows(named: dict[str, dict[str, float]]) -> list[list[Any]]:
    return [[name, *row.values()] for name, row in named.items()]


def _hessian_rows() -> list[list[Any]]:
    rows = []
    for name, case in load("hessian").items():
        if isinstance(case, dict) and "beside jax.hessian" in case:
            times, memory = case["beside jax.hessian"], case["temporaries_MB"]
            ms = [times[k]["median_ms"] for k in ("ours", "ours in a user's jit", "jax.hessian of optax")]
            rows.append([name, *ms, case["speed-up"]["by_median"], memory["ours"], memory["jax.hessian of optax"]])
    return rows


def _loss_rows() -> list[list[Any]]:
    return [
        [name, form, run["times"]["ours"]["min_ms"], run["times"]["optax"]["min_ms"], run["ours / optax"]["by_min"],
         run["temporaries_MB"]["ours"], run["temporaries_MB"]["optax"]]
        for name, case in load("loss").items()
        if isinstance(case, dict) and "one-hot" in case
        for form, run in case.items()
    ]  # fmt: skip


def _accuracy_rows() -> list[list[Any]]:
    """The worst over all shapes and both dtypes."""
    worst: dict[tuple[str, str], float] = {}
    for name, case in load("accuracy").items():
        if name.startswith("float"):
            for quantity, found in case.items():
                for who, error in found.items():
                    key = quantity, who
                    worst[key] = max(worst.get(key, 0.0), error["eps"])
    return [[q, worst[q, "ours"], f"`{who}`", eps] for (q, who), eps in worst.items() if who != "ours"]


def _entries_rows() -> list[list[Any]]:
    worst: dict[str, list[float]] = {}
    for name, case in load("entries").items():
        if name.startswith("float"):
            for quantity, found in case.items():
                so_far = worst.setdefault(quantity, [0.0, 0.0])
                ours = max(value for who, value in found.items() if who.startswith("ours"))
                worst[quantity] = [max(so_far[0], ours), max(so_far[1], found["autodiff of the textbook loss"])]
    return [[quantity, *pair] for quantity, pair in worst.items()]

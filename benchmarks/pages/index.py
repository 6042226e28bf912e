"""The list of the pages, and how many figures were asked for and met in each case."""

from __future__ import annotations

from benchmarks.pages import checker, data, kernels, proofs, training
from benchmarks.pages.tables import INTRO, load, table


def page() -> str:
    """The list of the pages, and what is asked and missed in each case."""
    themes = {"training": training, "kernels": kernels, "checker": checker, "proofs": proofs, "data": data}
    rows = []
    for name, theme in themes.items():
        for case in theme.CASES:
            targets = load(case).get("targets", ())
            met = sum(1 for target in targets if target["met"])
            about = load(case)["machine"]
            rows.append(
                [
                    f"[{name}]({name}.md)",
                    f"`{case}`",
                    f"{met} of {len(targets)}" if targets else "none asked",
                    about["cpu"],
                    about["date"][:10],
                ]
            )
    return f"""# Benchmarks

{INTRO}

How fast is it, how exact, and where is it slower than others? Five pages, one a theme; each names the processor and the
day, shows the peers beside, and lists what was asked for and missed.

- [Training](training.md): solvers against their peers, growth, many fits at once.
- [Kernels](kernels.md): loss, gradient and Hessian against automatic differentiation, in time and in digits.
- [Checker](checker.md): which wrong derivatives are found, and which right ones are accused.
- [Proofs](proofs.md): verdicts and certificates, what they cost, and how they were attacked.
- [Data](data.md): sparse, larger than memory, on several devices, from files.

Times are medians or minima of interleaved runs in one process, compilation excluded unless a row says otherwise. Machines
were shared: read the load beside each, and trust ratios more than seconds. **Everything is measured on a CPU; figures of
a GPU are not here.** How the times are taken, and what stops the figures that are missed, is in `benchmarks/README.md` in the repository.

{table(["page", "case", "figures met", "processor", "day"], rows)}
"""

"""The options and arguments that several commands have, as typer's annotations.

Guarded by `tests/cli/test_main.py`.
"""

from pathlib import Path
from typing import Annotated

import typer

from jaxsoftmax.cli.manners.completion import columns, words
from jaxsoftmax.training.registry import method_names

__all__ = [
    "FORMATS",
    "Data",
    "Dtype",
    "Json",
    "ManyClasses",
    "Method",
    "Penalty",
    "Progress",
    "Quiet",
    "Seed",
    "Smoothing",
    "Target",
    "VerifyData",
]

FORMATS = "CSV, TSV, text, NPZ, Parquet, svmlight or IDX file (compressed or not): numeric features and a label column."


Data = Annotated[
    str | None,
    typer.Argument(metavar="DATA", help=f"{FORMATS} Left out: the packaged digits, with label smoothing 0.01."),
]
VerifyData = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help=f"{FORMATS} Left out: the packaged digits and iris, with label smoothing 0.01.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="The column of the labels, by name or by index from 0 (-1: the last). Default: the last. "
        "For NPZ: the name of the array of labels. For IDX images: the file of their labels.",
        autocompletion=columns,
    ),
]
Smoothing = Annotated[
    str | None,
    typer.Option(
        metavar="E",
        help="Mix the targets T with the uniform ones: (1-E)T + E/C, C classes. With E > 0 a minimiser exists. "
        "Default for a file: 0.",
    ),
]
Penalty = Annotated[
    float, typer.Option("--l2", metavar="A", help="Add the penalty (A/2)|W|² on all weights but the intercepts.")
]
Dtype = Annotated[
    str,
    typer.Option(
        metavar="float64|float32",
        help="Floating-point type in which the loss is computed.",
        autocompletion=words("float64", "float32"),
    ),
]
Seed = Annotated[int, typer.Option(metavar="K", help="Seed of everything random: weights, directions, minibatches.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the whole report as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only; the exit status tells the rest.")]
ManyClasses = Annotated[
    bool,
    typer.Option("--many-classes", help="The labels are classes, although there are fewer than two rows for each."),
]
Method = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help=f"Training method: {', '.join(method_names())}. auto: newton, or newton-cg on large problems.",
        autocompletion=words(*method_names()),
    ),
]
Progress = Annotated[
    bool,
    typer.Option("--progress", help="Print progress on stderr, a line a second, where stderr is no terminal too."),
]

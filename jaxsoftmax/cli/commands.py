"""The commands with their options, as a typer application; `cli/runs.py`, `cli/certify.py`, … carry them out.

typer is imported here, so this module is imported only when a command runs.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsoftmax.cli.options import METHOD_NAMES

__all__ = ["build"]

_HELP = """The mathematics of the softmax layer, checked on data.

`jaxsoftmax verify` compares hand-derived derivatives with autodiff and 50-digit arithmetic, trains, probes the
curvature, and prints what it found and proved (with --all a row for each check). `jaxsoftmax fit` trains and says how
the run ended; `jaxsoftmax probe` looks at the curvature at a point. `jaxsoftmax certify` decides whether a minimiser
exists, or proves where it is to any number of digits, and writes a certificate, which `jaxsoftmax check` verifies.
`jaxsoftmax crosscheck` checks the derivatives of any JAX function."""
_FORMATS = (
    "CSV, TSV, text, NPZ, Parquet, svmlight or IDX file (compressed or not): numeric features and a label column."
)


Data = Annotated[str | None, typer.Argument(metavar="DATA", help=f"{_FORMATS} Left out: digits, with smoothing 0.01.")]
VerifyData = Annotated[
    str | None,
    typer.Argument(
        metavar="DATA",
        help=f"{_FORMATS} Left out: the embedded digits and iris, with smoothing 0.01, and iris without it.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="COL",
        help="Label column by name, or by index from 0 (negative: from the end, -1 the last). Default: the last. "
        "NPZ: name of the label array. IDX images: path of their labels.",
    ),
]
Smoothing = Annotated[
    str | None,
    typer.Option(
        metavar="E",
        help="Targets become (1-E)T + E/C, exactly. With E > 0 a minimiser exists. Default: 0 for a file.",
    ),
]
Penalty = Annotated[float, typer.Option("--l2", metavar="A", help="Add (A/2)|W|², the intercept not penalised.")]
Dtype = Annotated[str, typer.Option(metavar="float64|float32", help="The dtype of the problem.")]
Seed = Annotated[int, typer.Option(metavar="K", help="Seed of random weights, directions and minibatches.")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write the whole report as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors; see the exit status.")]
Method = Annotated[
    str, typer.Option(metavar="NAME", help=f"Training method: {', '.join(METHOD_NAMES)}. auto: Newton where it fits.")
]


def _version(wanted: bool) -> None:
    if wanted:
        import jaxsoftmax

        print(f"jaxsoftmax {jaxsoftmax.__version__}")  # noqa: T201
        raise typer.Exit


def build() -> Any:
    """The typer application; JAX is imported when a command runs, not for --help.

    Example:
        >>> from jaxsoftmax.cli.commands import build
        >>> [command.callback.__name__ for command in build().registered_commands]
        ['verify', 'fit', 'probe', 'certify', 'check', 'crosscheck']
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=_HELP)

    @app.callback()
    def top(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        pass

    @app.command()
    def verify(
        data: VerifyData = None,
        target: Target = None,
        label_smoothing: Smoothing = None,
        l2: Penalty = 0.0,
        dtype: Dtype = "float64",
        seed: Seed = 0,
        method: Method = "auto",
        every_row: Annotated[
            bool, typer.Option("--all", help="Print every row; the JSON always has them all.")
        ] = False,
        json_file: Json = None,
        quiet: Quiet = False,
    ) -> int:
        """Check derivatives, training and curvature on data, statement by statement.

        Exit status: 0 all checks passed, 1 a check failed, 2 the input cannot be used, 130 interrupted.
        """
        from jaxsoftmax.cli.runs import Call, run_verify

        return run_verify(Call(data, target, label_smoothing, l2, dtype, seed, method, json_file, quiet), every_row)

    @app.command()
    def fit(
        data: Data = None,
        target: Target = None,
        label_smoothing: Smoothing = None,
        l2: Penalty = 0.0,
        dtype: Dtype = "float64",
        seed: Seed = 0,
        method: Method = "auto",
        tol: Annotated[
            float | None,
            typer.Option(metavar="T", help="Tolerance on the scaled gradient, >= 0. Default: eps(dtype)^(2/3)."),
        ] = None,
        max_steps: Annotated[
            int | None,
            typer.Option(metavar="K", help="Step limit (with --batch-size: of epochs). Default: the method's."),
        ] = None,
        batch_size: Annotated[
            int | None, typer.Option(metavar="B", help="Samples a minibatch, for sgd and adam.")
        ] = None,
        learning_rate: Annotated[
            float | None,
            typer.Option(metavar="R", help="For sgd (default 1/Λ, the step bound of S16) and adam (0.01)."),
        ] = None,
        whiten: Annotated[
            bool,
            typer.Option("--whiten", help="Whiten the features first: far fewer steps on unscaled data."),
        ] = False,
        weights: Annotated[
            Path | None,
            typer.Option(metavar="FILE.npz", help="Save W, the classes and the feature names; probe --at reads it."),
        ] = None,
        json_file: Json = None,
        quiet: Quiet = False,
    ) -> int:
        """Train, and say how the run ended: Ctrl-C stops it and keeps what is done.

        Exit status: 0 the scaled gradient reached the tolerance, 1 the run ended otherwise (step limit, probably no
        minimiser, ...), 2 the input cannot be used, 130 interrupted (the partial result is printed and written).
        """
        from jaxsoftmax.cli.runs import Call, run_fit

        call = Call(data, target, label_smoothing, l2, dtype, seed, method, json_file, quiet)
        return run_fit(call, tol, max_steps, batch_size, learning_rate, whiten, weights)

    @app.command()
    def probe(
        data: Data = None,
        target: Target = None,
        label_smoothing: Smoothing = None,
        l2: Penalty = 0.0,
        dtype: Dtype = "float64",
        seed: Seed = 0,
        at: Annotated[
            str,
            typer.Option(
                metavar="zero|random|fit|FILE.npz", help="The W to probe; a file is one that fit --weights wrote."
            ),
        ] = "fit",
        method: Method = "auto",
        json_file: Json = None,
        quiet: Quiet = False,
    ) -> int:
        """Look at the curvature of the loss at a point: extreme eigenvalues, kernel, condition, and their bounds.

        Exit status: 0 consistent with convexity, 1 refuted or not resolved, 2 the input cannot be used, 130
        interrupted.
        """
        from jaxsoftmax.cli.runs import Call, run_probe

        return run_probe(Call(data, target, label_smoothing, l2, dtype, seed, method, json_file, quiet), at)

    @app.command()
    def certify(
        data: Annotated[Path, typer.Argument(metavar="DATA", help=_FORMATS)],
        output: Annotated[
            Path, typer.Option("--output", "-o", metavar="CERT.json", help="The certificate to write, once checked.")
        ],
        target: Target = None,
        label_smoothing: Smoothing = None,
        l2: Penalty = 0.0,
        digits: Annotated[
            int | None,
            typer.Option(metavar="K", help="Prove where the minimiser is, and the minimum to K significant decimals."),
        ] = None,
        method: Annotated[
            str | None,
            typer.Option(
                metavar="auto|pairs|full",
                help="With --digits, how curvature is proved: by pairs of classes (fast) or the full matrix (sharper).",
            ),
        ] = None,
        budget: Annotated[
            float, typer.Option(metavar="S", help="Seconds after which no further stage of the search starts.")
        ] = 60.0,
        dump: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Also write the data as exact text, which check reads for any format."),
        ] = None,
        binary: Annotated[
            bool,
            typer.Option("--binary", help="Read numbers in text as float64 (0.1 is then a dyadic number near 1/10)."),
        ] = False,
        json_file: Json = None,
        quiet: Quiet = False,
    ) -> int:
        """Decide whether a minimiser exists, or with --digits prove where it is; the certificate is checked exactly.

        Numbers in text tables are the decimals that they are (0.1 is 1/10), other formats are read as they are.

        Exit status: 0 proved and checked (without --digits: either verdict), 1 not proved (no certificate is written),
        2 the input cannot be used, 130 interrupted.
        """
        from jaxsoftmax.cli.certify import Certify, run_certify

        call = Certify(
            data, output, target, label_smoothing, l2, digits, method, budget, dump, binary, json_file, quiet
        )
        return run_certify(call)

    @app.command()
    def check(
        certificate: Annotated[Path, typer.Argument(metavar="CERT.json", help="A certificate that certify wrote.")],
        data: Annotated[
            Path,
            typer.Argument(metavar="DATA", help="The data: text table, IDX images (each plain or .gz), or exact dump."),
        ],
        labels: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The labels of IDX images, where they are not beside them.")
        ] = None,
        quiet: Quiet = False,
    ) -> int:
        """Verify a certificate from the data alone, in exact arithmetic, without JAX.

        Exit status: 0 verified, 1 the certificate does not prove its verdict about these data, 2 a file cannot be used,
        130 interrupted.
        """
        from jaxsoftmax.cli.check import Recheck, run_check

        return run_check(Recheck(certificate, data, labels, quiet))

    @app.command()
    def crosscheck(
        function: Annotated[
            str,
            typer.Argument(
                metavar="MODULE:FUNCTION",
                help="A function with a declared example (js.declare_example), by module or file: "
                "mypackage.losses:huber, losses.py:Losses.huber.",
            ),
        ],
        dtype: Annotated[
            str | None,
            typer.Option(metavar="float32|float64|both", help="Check it in this dtype. Default: the example's own."),
        ] = None,
        key: Annotated[
            int, typer.Option(metavar="K", help="Seed of the probe directions, unless the example has a key.")
        ] = 0,
        json_file: Json = None,
        plot_file: Annotated[
            Path | None, typer.Option("--plot", metavar="FILE.png", help="Also draw the histogram of errors in ulps.")
        ] = None,
        quiet: Quiet = False,
    ) -> int:
        """Check the hand-written derivatives of a JAX function, or its own custom rules, against independent routes.

        Exit status: 0 they agree or rounding hides the difference, 1 they disagree, 2 the function cannot be checked,
        130 interrupted.
        """
        from jaxsoftmax.cli.crosscheck import Check, run_crosscheck

        return run_crosscheck(Check(function, dtype, key, json_file, plot_file, quiet))

    return app

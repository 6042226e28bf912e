"""The commands with their options, as a typer application; `cli/runs.py`, `cli/certify.py`, … carry them out.

typer is imported here, so this module is imported only when a command runs.

Guarded by `tests/cli/test_main.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from jaxsoftmax.cli.manners.completion import columns, words
from jaxsoftmax.cli.manners.examples import help_of
from jaxsoftmax.cli.manners.options import (
    FORMATS,
    Data,
    Dtype,
    Json,
    ManyClasses,
    Method,
    Penalty,
    Progress,
    Quiet,
    Seed,
    Smoothing,
    Target,
    VerifyData,
)

__all__ = ["build"]

_HELP = """The mathematics of the softmax layer, checked on data.

verify compares hand-derived derivatives with autodiff and 50-digit arithmetic, trains, looks at the curvature, and \
prints what it found and proved; report writes that as a page with pictures. fit trains and says how the run ended; \
predict uses its weights on new samples. probe looks at the curvature at one point. certify proves whether a \
minimiser exists, or where it is to any number of digits, in a certificate that check verifies. crosscheck checks \
the derivatives of any JAX function.

Begin with: jaxsoftmax verify. Every command has examples: jaxsoftmax fit --help. What the exit statuses mean: \
docs/exit_codes.md. To have the shell complete commands, options and columns: jaxsoftmax --install-completion."""

_PAGE = "one HTML page with pictures, which needs no other file and no network. Needs the extra plots"


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
        ['verify', 'report', 'fit', 'predict', 'probe', 'certify', 'check', 'crosscheck']
    """
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, help=_HELP)

    @app.callback()
    def top(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        pass

    def command(function: Callable[..., int]) -> Callable[..., int]:
        return app.command(help=help_of(function))(function)

    @command
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
        html_file: Annotated[
            Path | None, typer.Option("--html", metavar="FILE", help=f"Also write the report as {_PAGE}.")
        ] = None,
        quiet: Quiet = False,
        many_classes: ManyClasses = False,
        progress: Progress = False,
    ) -> int:
        """Check derivatives, training and curvature.

        Each is checked on data, against independent evidence.

        Exit status: 0 all checks passed, 1 a check failed, 2 the input cannot be
        used, 130 interrupted.
        """
        from jaxsoftmax.cli.runs import Call, run_verify

        return run_verify(
            Call(data, target, label_smoothing, l2, dtype, seed, method, json_file, quiet, many_classes, progress),
            every_row,
            html_file,
        )

    @command
    def report(
        output: Annotated[
            Path, typer.Option("--output", "-o", metavar="REPORT.html", help=f"The page to write: {_PAGE}.")
        ],
        data: VerifyData = None,
        target: Target = None,
        label_smoothing: Smoothing = None,
        l2: Penalty = 0.0,
        dtype: Dtype = "float64",
        seed: Seed = 0,
        method: Method = "auto",
        json_file: Json = None,
        quiet: Quiet = False,
        many_classes: ManyClasses = False,
        progress: Progress = False,
    ) -> int:
        """Write what verify finds as one page.

        It is HTML with pictures, and says what was trained, whether a best fit exists and why, how
        training went, and how each formula was checked, with the commands that
        check it again.

        Exit status: 0 all checks passed, 1 a check failed (the page is written all
        the same), 2 the input cannot be used, 130 interrupted.
        """
        from jaxsoftmax.cli.runs import Call, run_report

        return run_report(
            Call(data, target, label_smoothing, l2, dtype, seed, method, json_file, quiet, many_classes, progress),
            output,
        )

    @command
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
            typer.Option(
                metavar="T", help="Stop where the scaled gradient is at most T >= 0. Default: eps^(2/3) of the dtype."
            ),
        ] = None,
        max_steps: Annotated[
            int | None,
            typer.Option(metavar="K", help="Most steps (with --batch-size: epochs). Default: the method's own."),
        ] = None,
        batch_size: Annotated[
            int | None, typer.Option(metavar="B", help="Samples in a minibatch; for sgd and adam.")
        ] = None,
        learning_rate: Annotated[
            float | None,
            typer.Option(
                metavar="R",
                help="Learning rate of sgd (default: the safe step 1/Λ, S16), adam (0.01); first step of rychlik-bb.",
            ),
        ] = None,
        whiten: Annotated[
            bool,
            typer.Option("--whiten", help="Whiten the features first: far fewer steps on unscaled data (S19)."),
        ] = False,
        weights: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE.npz",
                help="Save the fit with the names of classes and features, for predict and probe --at.",
            ),
        ] = None,
        json_file: Json = None,
        quiet: Quiet = False,
        many_classes: ManyClasses = False,
        progress: Progress = False,
    ) -> int:
        """Train, and say how the run ended.

        Ctrl-C stops it and keeps what is done.

        Exit status: 0 the scaled gradient reached the tolerance, 1 the run ended
        otherwise (the weights keep growing, step limit, ...), 2 the input cannot be
        used, 130 interrupted (what is done is printed and written).
        """
        from jaxsoftmax.cli.runs import Call, run_fit

        call = Call(data, target, label_smoothing, l2, dtype, seed, method, json_file, quiet, many_classes, progress)
        return run_fit(call, tol, max_steps, batch_size, learning_rate, whiten, weights)

    @command
    def predict(
        weights: Annotated[Path, typer.Argument(metavar="WEIGHTS.npz", help="What fit --weights wrote.")],
        data: Annotated[
            str,
            typer.Argument(
                metavar="DATA",
                help="New samples: any file that fit reads. Columns are found by their names where both files have "
                "names, and others are left out.",
            ),
        ],
        output: Annotated[
            Path, typer.Option("--output", "-o", metavar="OUT.csv", help="The classes and probabilities to write.")
        ],
        target: Annotated[
            str | None,
            typer.Option(
                metavar="COL",
                help="The column of labels, if there is one: the accuracy is printed.",
                autocompletion=columns,
            ),
        ] = None,
        quiet: Quiet = False,
    ) -> int:
        """Predict the classes of new samples.

        Their probabilities are written beside them.

        Exit status: 0 predicted and written, 2 a file cannot be used, 130 interrupted.
        """
        from jaxsoftmax.cli.predict import Predict, run_predict

        return run_predict(Predict(weights, data, output, target, quiet))

    @command
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
                metavar="POINT",
                help="Weights to look at: zero, random, fit, or a file that fit --weights wrote.",
                autocompletion=words("fit", "zero", "random"),
            ),
        ] = "fit",
        method: Method = "auto",
        json_file: Json = None,
        quiet: Quiet = False,
        many_classes: ManyClasses = False,
        progress: Progress = False,
    ) -> int:
        """Look at the curvature at one point.

        It is compared with the bounds that the theory gives.

        Exit status: 0 consistent with convexity, 1 refuted or not resolved, 2 the
        input cannot be used, 130 interrupted.
        """
        from jaxsoftmax.cli.runs import Call, run_probe

        return run_probe(
            Call(data, target, label_smoothing, l2, dtype, seed, method, json_file, quiet, many_classes, progress), at
        )

    @command
    def certify(
        data: Annotated[Path, typer.Argument(metavar="DATA", help=FORMATS)],
        output: Annotated[
            Path,
            typer.Option("--output", "-o", metavar="CERT.json", help="The certificate to write, once it is checked."),
        ],
        target: Target = None,
        label_smoothing: Smoothing = None,
        l2: Penalty = 0.0,
        digits: Annotated[
            int | None,
            typer.Option(metavar="K", help="Prove where the minimiser is, and the minimum to K significant digits."),
        ] = None,
        method: Annotated[
            str | None,
            typer.Option(
                metavar="auto|pairs|full",
                help="How --digits bounds the curvature: pairs of classes (fast) or the full matrix (sharper).",
                autocompletion=words("auto", "pairs", "full"),
            ),
        ] = None,
        budget: Annotated[
            float, typer.Option(metavar="S", help="Seconds after which the search for a proof starts nothing new.")
        ] = 60.0,
        dump: Annotated[
            Path | None,
            typer.Option(
                metavar="FILE", help="Also write the data as exact text, which check reads whatever their format."
            ),
        ] = None,
        binary: Annotated[
            bool,
            typer.Option(
                "--binary", help="Read numbers in text as the nearest float64, not as the decimals that they are."
            ),
        ] = False,
        json_file: Json = None,
        quiet: Quiet = False,
        progress: Progress = False,
    ) -> int:
        """Prove whether a minimiser exists.

        With --digits it is proved where it is, and the minimum to so many digits. Numbers in
        text tables are the decimals that they are: 0.1 is 1/10.

        Exit status: 0 proved and checked (without --digits: either verdict), 1 not
        proved (no certificate is written), 2 the input cannot be used, 130
        interrupted.
        """
        from jaxsoftmax.cli.certify import Certify, run_certify

        call = Certify(
            data, output, target, label_smoothing, l2, digits, method, budget, dump, binary, json_file, quiet, progress
        )
        return run_certify(call)

    @command
    def check(
        certificate: Annotated[Path, typer.Argument(metavar="CERT.json", help="A certificate that certify wrote.")],
        data: Annotated[
            Path,
            typer.Argument(
                metavar="DATA",
                help="The data: a text table or IDX images (plain or .gz), or what certify --dump wrote.",
            ),
        ],
        labels: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The labels of IDX images, where they are not beside them.")
        ] = None,
        expect_smoothing: Annotated[
            str | None, typer.Option(metavar="E", help="Refuse another label smoothing, such as 0.01 or 0.")
        ] = None,
        expect_l2: Annotated[
            str | None, typer.Option(metavar="A", help="Refuse any penalty but L2 of this strength; 0: any penalty.")
        ] = None,
        expect_classes: Annotated[
            str | None, typer.Option(metavar="A,B,...", help="Refuse other classes, whatever their order.")
        ] = None,
        expect_intercept: Annotated[
            bool | None,
            typer.Option(
                "--expect-intercept/--expect-no-intercept",
                help="Refuse a problem without an intercept, or one with it.",
            ),
        ] = None,
        quiet: Quiet = False,
    ) -> int:
        """Check a certificate against the data.

        It is verified from the data alone, in exact arithmetic, without JAX.

        With label smoothing or a penalty a minimiser exists even where the data
        alone have none. The report says so; with --quiet say what you expect.

        Exit status: 0 verified, 1 the certificate does not prove its verdict about
        these data or is about another problem than is expected, 2 a file cannot be
        used, 74 the report cannot be written, 130 interrupted.
        """
        from jaxsoftmax.cli.check import Recheck, run_check

        expected = (expect_smoothing, expect_l2, expect_classes, expect_intercept)
        return run_check(Recheck(certificate, data, labels, quiet, *expected))

    @command
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
            typer.Option(
                metavar="float32|float64|both",
                help="Floating-point type in which to check it. Default: the example's.",
                autocompletion=words("float32", "float64", "both"),
            ),
        ] = None,
        key: Annotated[
            int, typer.Option(metavar="K", help="Seed of the random directions, unless the example has a key.")
        ] = 0,
        json_file: Json = None,
        plot_file: Annotated[
            Path | None,
            typer.Option(
                "--plot", metavar="FILE.png", help="Also draw a histogram of the errors, in units in the last place."
            ),
        ] = None,
        quiet: Quiet = False,
    ) -> int:
        """Check the derivatives of a JAX function.

        Rules written by hand are compared with other ways to the same numbers.

        Exit status: 0 they agree, or rounding hides the difference, 1 they disagree,
        2 the function cannot be checked, 130 interrupted.
        """
        from jaxsoftmax.cli.crosscheck import Check, run_crosscheck

        return run_crosscheck(Check(function, dtype, key, json_file, plot_file, quiet))

    return app

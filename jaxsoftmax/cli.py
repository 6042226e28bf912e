"""The command line: `jaxsoftmax verify [DATA]`; exit 0 all checks passed, 1 a check failed, 2 unusable input.

typer and rich come with the extra `cli` and are imported only when the command runs.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

__all__ = ["main"]

PASSED, FAILED, UNUSABLE = 0, 1, 2
_HELP = """The mathematics of the softmax layer, checked on data.

`jaxsoftmax verify` compares hand-derived derivatives with autodiff and 50-digit arithmetic, trains, probes the
curvature, and prints a row for each check."""


def main() -> None:
    """Run the command line and exit with its status; the entry point of the `jaxsoftmax` command.

    Example:
        >>> from jaxsoftmax.cli import main
        >>> callable(main)
        True
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; messages of a wrong call are one line on stderr.

    Args:
        arguments: what follows the program's name.

    Example:
        >>> from jaxsoftmax.cli import run
        >>> run(["--version"])  # doctest: +ELLIPSIS
        jaxsoftmax ...
        0
    """
    try:
        app = _app()
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("typer", "rich"):
            raise
        return _refuse(f"{error.name} is not installed. Run: pip install 'jaxsoftmax[cli]'")
    try:
        status = app(args=arguments, prog_name="jaxsoftmax", standalone_mode=False)
        sys.stdout.flush()
        return int(status or 0)
    except BrokenPipeError:
        # The reader (`| head`) has gone: leave quietly, and keep the interpreter from flushing into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return _refuse("interrupted", 130)
    except MemoryError:
        return _refuse("out of memory. Use fewer rows, columns or classes.")
    except Exception as error:
        # typer carries its own copy of click, or uses click's, by version: both mark a wrong call like this.
        if hasattr(error, "format_message"):
            return _refuse(f"{error.format_message().rstrip('.')}. See: jaxsoftmax verify --help")  # type: ignore[attr-defined]
        if type(error).__name__ == "Abort":
            return _refuse("interrupted", 130)
        if type(error).__name__ == "Exit":
            return int(getattr(error, "exit_code", 0))
        raise


def _refuse(message: str, status: int = UNUSABLE) -> int:
    print(f"jaxsoftmax: error: {' '.join(str(message).split())}", file=sys.stderr)  # noqa: T201
    return status


def _version(wanted: bool) -> None:
    if wanted:
        import typer

        import jaxsoftmax

        print(f"jaxsoftmax {jaxsoftmax.__version__}")  # noqa: T201
        raise typer.Exit


def _app() -> Any:
    import rich  # noqa: F401
    import typer

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
        data: Annotated[
            str | None,
            typer.Argument(
                metavar="DATA",
                help="CSV, TSV, text or NPZ file: numeric features and a label column. Left out: the embedded digits "
                "and iris, with smoothing 0.01, and iris without it.",
            ),
        ] = None,
        target: Annotated[
            str | None, typer.Option(metavar="COL", help="Label column by name or index from 0. Default: the last.")
        ] = None,
        smoothing: Annotated[
            str | None,
            typer.Option(
                metavar="E",
                help="Targets become (1-E)T + E/C, exactly. With E > 0 a minimiser exists. Default: 0 for a file.",
            ),
        ] = None,
        l2: Annotated[float, typer.Option(metavar="A", help="Add (A/2)|W|², the intercept not penalised.")] = 0.0,
        dtype: Annotated[str, typer.Option(metavar="float64|float32", help="The dtype that is checked.")] = "float64",
        seed: Annotated[int, typer.Option(metavar="K", help="Seed of the random weights and directions.")] = 0,
        json_file: Annotated[
            Path | None, typer.Option("--json", metavar="FILE", help="Also write the whole report as JSON.")
        ] = None,
        quiet: Annotated[
            bool, typer.Option("--quiet", "-q", help="Print nothing but errors; see the exit status.")
        ] = False,
    ) -> int:
        """Check derivatives, training and curvature on data, statement by statement.

        Exit status: 0 all checks passed, 1 a check failed, 2 the input cannot be used.
        """
        try:
            if json_file is not None:
                _check_writable(json_file)
            if data is None and target is not None:
                raise ValueError("--target: names a column of DATA, but no DATA is given. Name a file, or drop it.")
            from jaxsoftmax.tabular import read_table
            from jaxsoftmax.verify_input import check_options, prepare

            check_options(smoothing=smoothing, l2=l2, dtype=dtype, seed=seed)
            table = None if data is None else read_table(data, target)
            prepared = prepare(table, smoothing=smoothing, l2=l2, dtype=dtype)
        except (ValueError, TypeError, OSError) as error:
            return _refuse(str(error))
        return _verify(prepared, seed, json_file, quiet)

    return app


def _check_writable(path: Path) -> None:
    """Refuse before the long run what could only fail after it."""
    if path.is_dir():
        raise ValueError(f"--json: {path} is a directory. Name a file.")
    if not path.parent.is_dir():
        raise ValueError(f"--json: the directory {path.parent} does not exist. Make it first.")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ValueError(f"--json: {path} cannot be written (no permission). Name another file.")


def _verify(prepared: Any, seed: int, json_file: Path | None, quiet: bool) -> int:
    from rich.console import Console

    from jaxsoftmax.report import print_report
    from jaxsoftmax.verification import verify_prepared

    noise = Console(stderr=True)
    if noise.is_terminal and not quiet:
        with noise.status("starting") as status:
            report = verify_prepared(prepared, seed, status.update)
    else:
        report = verify_prepared(prepared, seed)
    if json_file is not None:
        text = json.dumps(report.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        json_file.write_text(text + "\n", "utf-8")
    if not quiet:
        out = Console(highlight=False)
        # A pipe or a file has no width of its own; 100 columns keep most rows on one line, COLUMNS overrules.
        if not out.is_terminal and "COLUMNS" not in os.environ:
            out = Console(highlight=False, width=100)
        print_report(report, out)
    return PASSED if report.passed else FAILED

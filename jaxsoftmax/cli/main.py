"""The command line's entry, `jaxsoftmax verify|fit|…`: exit 0 good, 1 not, 2 unusable input, 74 no output, 130 Ctrl-C.

typer, rich and platformdirs come with the extra `cli` and are imported only when the command runs.
"""

import difflib
import hashlib
import os
import platform
import sys
from typing import Any

from jaxsoftmax.cli.messages import Interrupted, LostOutput, UnusableInput, say, watched_output

__all__ = ["main"]

UNUSABLE, LOST, INTERRUPTED = 2, 74, 130
COMMANDS = ("verify", "report", "fit", "predict", "probe", "certify", "check", "crosscheck")


def main() -> None:
    """Run the command line and exit with its status; the entry point of the `jaxsoftmax` command.

    Example:
        >>> from jaxsoftmax.cli.main import main
        >>> callable(main)
        True
    """
    keep_compiled_code()
    sys.exit(run(sys.argv[1:]))


def keep_compiled_code() -> None:
    """Let JAX keep what it compiles in the user's cache folder: the next command of its kind compiles nothing anew.

    A folder named by JAX's own JAX_COMPILATION_CACHE_DIR is left to JAX; JAX_ENABLE_COMPILATION_CACHE=false switches
    all of it off. These are environment variables, which JAX reads when it is first imported.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    try:
        from platformdirs import user_cache_dir

        folder = os.path.join(user_cache_dir("jaxsoftmax", appauthor=False), f"compiled-{_processor()}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except (ImportError, OSError, RuntimeError):  # no home, or one that cannot be written: nothing is kept
        return
    os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    # XLA takes hints of its compiler (prefer-no-gather) for features that the processor lacks, and writes a page to
    # stderr for every program read back; its real errors reach Python as exceptions too.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _processor() -> str:
    """A short name for this kind of processor: what is compiled for one may crash on another that shares the home."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            kind = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):  # no Linux, or one that does not say
        kind = platform.processor()
    return hashlib.sha256(f"{platform.machine()} {kind}".encode()).hexdigest()[:12]


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status; a wrong call is told in one sentence on stderr.

    Args:
        arguments: what follows the program's name; nothing is read as --help, and `help fit` as `fit --help`.

    Example:
        >>> from jaxsoftmax.cli.main import run
        >>> run(["--version"])  # doctest: +ELLIPSIS
        jaxsoftmax ...
        0
    """
    try:
        app = _app()
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("typer", "rich"):
            raise
        return _refuse(f"{error.name} is not installed; run: pip install 'jaxsoftmax[cli]'")
    if arguments[:1] in ([], ["help"]) and "_JAXSOFTMAX_COMPLETE" not in os.environ:
        arguments = [*arguments[1:2], "--help"]
    try:
        with watched_output():
            return int(app(args=arguments, prog_name="jaxsoftmax", standalone_mode=False) or 0)
    except LostOutput as error:
        # Never the status 1, which says that a check failed. Files are written before anything is printed.
        return _refuse(f"the standard output cannot be written: {error}", LOST)
    except UnusableInput as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, Interrupted):
        return _refuse("interrupted", INTERRUPTED)
    except MemoryError:
        return _refuse("out of memory; use fewer rows, columns or classes.")
    except Exception as error:
        # typer carries its own copy of click, or uses click's, by version: both mark a wrong call like this.
        if hasattr(error, "format_message"):
            return _refuse(_wrong_call(error, arguments))
        if type(error).__name__ == "Abort":
            return _refuse("interrupted", INTERRUPTED)
        if type(error).__name__ == "Exit":
            return int(getattr(error, "exit_code", 0))
        raise


def _wrong_call(error: Any, arguments: list[str]) -> str:
    """What typer says about a wrong call, the nearest option where one is near, and where to read on."""
    command = next((word for word in arguments if not word.startswith("-")), "")
    see = f"jaxsoftmax {command} --help" if command in COMMANDS else "jaxsoftmax --help"
    said = error.message if hasattr(error, "option_name") else error.format_message()
    said = said.rstrip(".").replace(". Did you mean", "; did you mean")
    # typer's guesses compare the dashes too: --tol would be near --colour.
    names = {option.lstrip("-"): option for option in getattr(error, "possibilities", None) or ()}
    near = difflib.get_close_matches(getattr(error, "option_name", "").lstrip("-"), names, 1)
    if near:
        said = f"{said}; did you mean {names[near[0]]}?"
    return f"{said} See {see}." if said.endswith("?") else f"{said}; see {see}"


def _refuse(message: str, status: int = UNUSABLE) -> int:
    say(f"error: {message}")
    return status


def _app() -> Any:
    import rich  # noqa: F401
    import typer  # noqa: F401

    from jaxsoftmax.cli.commands import build

    return build()

"""What `jaxsoftmax crosscheck MODULE:FUNCTION` does: find the function and its example, check, print, exit status."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from jaxsoftmax.cli.messages import Interrupted, UnusableInput, refuse_same
from jaxsoftmax.cli.report import print_document
from jaxsoftmax.cli.scopes import write_json
from jaxsoftmax.reporting.blocks import Document, Title
from jaxsoftmax.support.errors import WrongArgument

__all__ = ["Check", "find_function", "run_crosscheck"]

PASSED, DISAGREES = 0, 1
DTYPES = ("float32", "float64")
_EXAMPLE = "give MODULE:FUNCTION or FILE.py:FUNCTION, such as mypackage.losses:huber"


class Check(NamedTuple):
    """The options of the command."""

    target: str
    dtype: str | None
    key: int
    json_file: Path | None
    plot_file: Path | None
    quiet: bool


def run_crosscheck(call: Check) -> int:
    """`jaxsoftmax crosscheck`: the declared example of a function, in one dtype or in both."""
    dtypes = {None: (None,), "both": DTYPES, **{name: (name,) for name in DTYPES}}.get(call.dtype)
    if dtypes is None:
        raise UnusableInput(f"--dtype: got {call.dtype!r}; give float32, float64 or both.")
    if not 0 <= call.key < 2**32:
        raise UnusableInput(f"--key: got {call.key}; give an integer from 0 to 2^32 - 1.")
    module = call.target.rpartition(":")[0]
    refuse_same({"MODULE": module}, {"--json": call.json_file, "--plot": call.plot_file})
    if call.plot_file is not None and importlib.util.find_spec("matplotlib") is None:
        raise UnusableInput("--plot: matplotlib is not installed; run: pip install 'jaxsoftmax[plots]'")
    try:
        with _import_path(call.target):
            fun = find_function(call.target)
            reports = {}
            for dtype in dtypes:
                name, report = _check(fun, call, dtype)
                reports[name] = report
    except KeyboardInterrupt:
        raise Interrupted from None
    # Files first, because the reader of a pipe may go away; what cannot be written does not keep the report back.
    failures = [*_write_json(call, reports), *_write_plot(call, reports)]
    if not call.quiet:
        print_document(_document(call, reports))
    if failures:
        raise failures[0]
    return DISAGREES if any(report.verdict == "DISAGREE" for report in reports.values()) else PASSED


def _check(fun: Any, call: Check, dtype: str | None) -> tuple[str, Any]:
    """The dtype's name and the report."""
    import jax

    from jaxsoftmax.checker.crosscheck import crosscheck
    from jaxsoftmax.checker.example import declared_example

    # An example that is a function is called in the same scope, so that what it makes has the dtype it is checked in.
    scope = contextlib.nullcontext() if dtype is None else jax.enable_x64(dtype == "float64")
    try:
        with scope:
            arguments = declared_example(fun)
            at = arguments.pop("at")
            if dtype is not None:
                at = _cast(at, dtype, numbers=True)
                arguments["args"] = _cast(arguments.get("args", ()), dtype, numbers=False)
                if arguments.get("kwargs"):
                    arguments["kwargs"] = _cast(arguments["kwargs"], dtype, numbers=False)
            arguments.setdefault("key", jax.random.key(call.key))
            report = crosscheck(fun, at, **arguments)  # which refuses an `at` that has no dtypes, by name
            return dtype or _dtypes(at), report
    except (ValueError, TypeError, ImportError) as error:
        said = str(error)
        if isinstance(error, WrongArgument) and error.argument == getattr(fun, "__name__", None):
            said = f"{error.given}; {error.remedy}."
        raise UnusableInput(f"{call.target}: {said}") from error


def _cast(tree: Any, dtype: str, *, numbers: bool) -> Any:
    """The tree with its float arrays (and, where asked, its Python floats) in the dtype, as NumPy arrays."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    def cast(leaf: Any) -> Any:
        if isinstance(leaf, float):
            return np.asarray(leaf, dtype) if numbers else leaf
        if hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating):
            return np.asarray(leaf).astype(dtype)
        return leaf

    return jax.tree.map(cast, tree)


def _dtypes(at: Any) -> str:
    import jax
    import jax.numpy as jnp

    numbers = [leaf for leaf in jax.tree.leaves(at) if isinstance(leaf, float) or hasattr(leaf, "dtype")]
    return ", ".join(dict.fromkeys(str(getattr(leaf, "dtype", jnp.result_type(float))) for leaf in numbers))


@contextlib.contextmanager
def _import_path(target: str) -> Iterator[None]:
    """Put first on the path what `python -m` or `python FILE.py` would, for the whole run: functions import late."""
    before = list(sys.path)
    module = target.rpartition(":")[0]
    sys.path.insert(0, str(Path(module).resolve().parent if module.endswith(".py") else Path.cwd()))
    try:
        yield
    finally:
        sys.path[:] = before


def find_function(target: str) -> Any:
    """The function that "MODULE:FUNCTION" or "FILE.py:FUNCTION" names; FUNCTION may have dots.

    Raises:
        UnusableInput: there is no such module or attribute, importing it fails, or it cannot be called.

    Example:
        >>> from jaxsoftmax.cli.crosscheck import find_function
        >>> find_function("math:sqrt")(4.0)
        2.0
    """
    where, _, dotted = target.rpartition(":")
    if not where or not dotted:
        raise UnusableInput(f"{target!r} names no function of a module; {_EXAMPLE}.")
    found: Any = _module(where)
    path = where
    for name in dotted.split("."):
        if not hasattr(found, name):
            near = difflib.get_close_matches(name, [n for n in dir(found) if not n.startswith("__")], 3)
            hint = f"did you mean {' or '.join(near)}?" if near else "it is not defined there."
            raise UnusableInput(f"{path} has no attribute {name!r}; {hint}")
        found, path = getattr(found, name), f"{path}{':' if path == where else '.'}{name}"
    if not callable(found):
        raise UnusableInput(f"{target} is not a function: it is of type {type(found).__name__}; {_EXAMPLE}.")
    return found


def _module(where: str) -> ModuleType:
    file = Path(where)
    if where.endswith(".py") and not file.is_file():
        raise UnusableInput(f"{where}: no such file.")
    try:
        if where.endswith(".py"):
            return _module_of(file)
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not where.endswith(".py") and (where == missing or where.startswith(missing + ".")):
            remedy = "run it where the module lies, or install its package"
            raise UnusableInput(f"no module is named {missing!r} in {Path.cwd()} or installed; {remedy}.") from error
        raise UnusableInput(f"{where}: importing it failed, for no module is named {missing!r}.") from error
    except (Exception, SystemExit) as error:
        raise UnusableInput(f"{where}: importing it raised {type(error).__name__}: {error}") from error


def _module_of(file: Path) -> ModuleType:
    # A name of its own: a file called random.py must not take the place of a module that others import.
    name = f"_crosscheck_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    spec.loader.exec_module(module)
    return module


def _write_json(call: Check, reports: dict[str, Any]) -> Iterator[UnusableInput]:
    if call.json_file is not None:
        from jaxsoftmax.reporting.environment import environment, version

        content = {
            "command": "crosscheck",
            "version": version(),
            "environment": environment(),
            "function": call.target,
            "key": call.key,
            "reports": {name: report.to_dict() for name, report in reports.items()},
        }
        try:
            write_json(call.json_file, content)
        except UnusableInput as error:
            yield error


def _write_plot(call: Check, reports: dict[str, Any]) -> Iterator[UnusableInput]:
    drawable = {name: report for name, report in reports.items() if report.ulp_histogram is not None}
    if call.plot_file is not None and not drawable:
        yield UnusableInput(f"--plot: the report on {call.target} has no ulp histogram to draw; leave --plot out.")
    elif call.plot_file is not None:
        # A figure of its own, not pyplot's: no window, no backend to choose.
        from matplotlib.figure import Figure

        from jaxsoftmax.plots import ulp_histogram

        figure = Figure(figsize=(6.4 * len(drawable), 4.8), layout="constrained")
        for i, (name, report) in enumerate(drawable.items()):
            ax = ulp_histogram(report, ax=figure.add_subplot(1, len(drawable), i + 1))
            ax.set_title(f"{call.target}, {name}: {report.verdict}")
        try:
            figure.savefig(call.plot_file)
        except (OSError, ValueError) as error:  # ValueError: a suffix that matplotlib does not know
            yield UnusableInput(f"--plot: {call.plot_file} cannot be written ({error}).")


def _document(call: Check, reports: dict[str, Any]) -> Document:
    return [part for name, report in reports.items() for part in [Title(f"{call.target}, {name}"), *report.document()]]

"""What `verify` is asked to check: data and options as problems, with what a report says about them.

Guarded by `tests/verification/test_run.py`.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import numpy as np

from jaxsoftmax.calculus.penalties.l2 import L2
from jaxsoftmax.datasets.dataset import Dataset
from jaxsoftmax.datasets.embedded import load_digits, load_iris
from jaxsoftmax.problem.exact_targets import exact_smoothing
from jaxsoftmax.problem.problem import Problem
from jaxsoftmax.problem.rounded_columns import RoundedDataWarning
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import nonnegative_real, one_of, show

EMBEDDED_SMOOTHING = "0.01"

__all__ = ["Prepared", "check_options", "describe", "prepare", "problem_facts"]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """One problem to check.

    Attributes:
        problem: the Problem.
        about: what a report says about it: name, source, target, classes, class_counts, features, smoothing, l2.
        notes: sentences for the findings.
        shown_raw: the same data without smoothing, to be trained beside it, or None.
        decimal: whether the numbers are those of a text table, decimals (section 7.10).
    """

    problem: Problem
    about: dict[str, Any]
    notes: tuple[str, ...] = ()
    shown_raw: Problem | None = None
    decimal: bool = False


def describe(prepared: Prepared, seed: int, rank: int | None = None) -> dict[str, Any]:
    """What a report says about the problem: `about`, sizes, dtype, penalties and the seed; JSON-ready.

    Example:
        >>> from jaxsoftmax.verification.inputs import describe, prepare
        >>> describe(prepare(([[0.0], [1.0]], [0, 1]))[0], seed=3)["D"]  # the feature and the intercept
        2
    """
    problem = prepared.problem
    N, D, C = problem.shape
    sizes = {"N": N, "D": D, "C": C, "rank": rank, "intercept": problem.intercept, "dtype": str(problem.dtype)}
    return prepared.about | sizes | {"regularizer": [repr(part) for part in problem.regularizer], "seed": seed}


def problem_facts(about: dict[str, Any]) -> list[tuple[str, str]]:
    """(label, sentence) pairs about what is trained on, from `describe`'s dictionary.

    Example:
        >>> from jaxsoftmax.verification.inputs import describe, prepare, problem_facts
        >>> problem_facts(describe(prepare(([[0.0], [1.0]], [0, 1]))[0], seed=3))[0][1]
        '2 samples, 1 feature and an intercept, 2 classes: 0 1, 1 1'
    """
    features = about["D"] - about["intercept"]
    columns = f"{features} feature{'s' * (features != 1)}" + " and an intercept" * about["intercept"]
    facts = [("data", f"{about['N']} samples, {columns}, {about['C']} classes{_classes(about)}")]
    if about.get("source") and about.get("target"):
        facts.append(("source", f"{about['source']}; label: {about['target']!r}"))
    penalty = f"penalty {', '.join(about['regularizer'])}" if about["regularizer"] else "no penalty"
    smoothing = f"label smoothing {about['label_smoothing']}"
    facts.append(("objective", f"summed cross-entropy, {smoothing}, {penalty}, {about['dtype']}"))
    return facts


def _classes(about: dict[str, Any]) -> str:
    names, counts = about.get("classes"), about.get("class_counts")
    if not names:
        return ""
    if counts is None:
        return ": probability targets"
    if len(names) <= 6:
        return ": " + ", ".join(f"{name} {count}" for name, count in zip(names, counts, strict=True))
    return f", {min(counts)} to {max(counts)} samples each"


def check_options(*, label_smoothing: Any, l2: Any, dtype: Any, seed: Any) -> None:
    """Refuse options that no data set could be verified with.

    Raises:
        TypeError, ValueError: naming the option, what was given and what to do.

    Example:
        >>> from jaxsoftmax.verification.inputs import check_options
        >>> check_options(label_smoothing="0.01", l2=0.0, dtype="float32", seed=0)
    """
    if label_smoothing is not None:
        exact_smoothing(label_smoothing)
    nonnegative_real("l2", l2)
    one_of("dtype", dtype, ("float64", "float32"))
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        raise WrongValue("seed", f"got {show(seed)}", "give an integer from 0 to 2**32 - 1")


def prepare(
    data: Any = None, *, label_smoothing: Any = None, l2: float = 0.0, dtype: str | None = None
) -> tuple[Prepared, ...]:
    """The problems that `verify` checks for these arguments; see there. Float64 problems are built in a scope of x64.

    Raises:
        TypeError, ValueError: the data or an option cannot be used.

    Example:
        >>> from jaxsoftmax.verification.inputs import prepare
        >>> [each.problem.shape for each in prepare()]
        [(1797, 65, 10), (150, 5, 3)]
    """
    check_options(label_smoothing=label_smoothing, l2=l2, dtype=dtype or "float64", seed=0)
    options = {"label_smoothing": label_smoothing, "l2": l2, "dtype": dtype or "float64"}
    with jax.enable_x64(True):
        if data is None:
            options |= {"label_smoothing": EMBEDDED_SMOOTHING if label_smoothing is None else label_smoothing}
            note = "pixel values are divided by 16 (exact), so that they lie in [0, 1]."
            digits, iris = load_digits(), load_iris()
            digits = dataclasses.replace(digits, X=digits.X / 16, notes=(note,))
            raw = _build(iris, label_smoothing=0, l2=0.0, dtype=options["dtype"]).problem
            return _build(digits, **options), dataclasses.replace(_build(iris, **options), shown_raw=raw)
        if isinstance(data, Problem):
            if l2 or dtype is not None:
                raise WrongValue("l2, dtype", "a Problem has its own regularizer and dtype", "build it with those")
            problem = data if label_smoothing is None else data.smoothed(label_smoothing)
            given = "its own targets" if label_smoothing is None else str(label_smoothing)
            return (Prepared(problem, {"name": "problem", "source": "a Problem", "label_smoothing": given}),)
        return (_build(_as_dataset(data), **options),)


def _as_dataset(data: Any) -> Dataset:
    if isinstance(data, Dataset):
        return data
    if not (isinstance(data, (tuple, list)) and len(data) == 2):
        raise WrongType("data", f"got {show(data)}", "give a Problem, a Dataset, a pair (X, y) or None (embedded data)")
    X, y = (np.asarray(part) for part in data)
    names = tuple(f"x{d}" for d in range(X.shape[1])) if X.ndim == 2 else ()
    return Dataset("data", X, y, names, "y", "arrays")


def _build(data: Dataset, *, label_smoothing: Any, l2: float, dtype: str) -> Prepared:
    """The problem of a data set, what the report says about it, and the notes."""
    common = {"intercept": True, "dtype": dtype, "feature_names": data.feature_names or None}
    penalty = L2(l2)
    common["regularizer"] = penalty if l2 else None
    label_smoothing = 0 if label_smoothing is None else label_smoothing
    with warnings.catch_warnings(record=True) as caught:  # a note of the report says it instead
        warnings.simplefilter("always", RoundedDataWarning)
        if data.has_probabilities:
            problem = Problem(data.X, data.y, **common).smoothed(label_smoothing)
        else:
            problem = Problem.from_labels(data.X, data.y, label_smoothing=label_smoothing, **common)
    if data.has_probabilities:
        classes, counts = [str(c) for c in data.classes], None
    else:
        found, counts = np.unique(data.y, return_counts=True)
        classes, counts = [str(c) for c in found], counts.tolist()
    about = {
        "name": data.name,
        "source": data.source,
        "target": data.target_name,
        "classes": classes,
        "class_counts": counts,
        "features": list(data.feature_names),
        "label_smoothing": str(label_smoothing),
        "l2": float(l2),
    }
    notes = (*data.notes, *(str(each.message) for each in caught))
    return Prepared(problem, about, notes, decimal=data.table is not None)

"""What scikit-learn's arguments mean here: labels or probability rows, class weights, the penalty that C stands for.

Guarded by `tests/estimator/test_softmax_regression.py`.
"""

from __future__ import annotations

import contextlib
import math
import numbers
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from jaxsoftmax.calculus.penalties.l2 import L2
from jaxsoftmax.support.errors import WrongType, WrongValue
from jaxsoftmax.support.validation import kind_of, show


class Rows(NamedTuple):
    """A matrix of probabilities T (N, K) as given, and the names of its columns (K,)."""

    T: Any
    classes: np.ndarray


def probability_rows(y: Any) -> Rows | None:
    """The rows of y where it is a matrix of at least two columns, else None."""
    shape = np.asarray(y).shape if getattr(y, "shape", None) is None else y.shape
    if len(shape) != 2 or shape[1] < 2:
        return None
    names = getattr(y, "columns", None)
    return Rows(y, np.arange(shape[1]) if names is None else np.array([str(name) for name in names]))


def labels_of(y: Any, N: int) -> Any:
    """The labels (N,) as scikit-learn takes them: a column is flattened with its warning, numbers name classes.

    Raises:
        ValueError: another shape, continuous values, missing labels.
    """
    labels = column_or_1d(y, warn=True)
    if labels.dtype.kind == "f":
        assert_all_finite(labels, input_name="y")
    check_classification_targets(labels)
    if len(labels) != N:
        raise WrongValue("y", f"{len(labels)} labels for the {N} rows of X", "give one for each sample")
    return labels


@contextlib.contextmanager
def as_y() -> Iterator[None]:
    """What `Problem` refuses of its T and classes is named y, as the user gave it."""
    try:
        yield
    except (WrongType, WrongValue) as error:
        if error.argument not in ("T", "classes"):
            raise
        remedy = error.remedy if error.argument == "T" else "give the columns of y distinct names"
        raise type(error)("y", error.given, remedy) from None


def class_weights(class_weight: Any, labels: np.ndarray | None, classes: np.ndarray, sample_weight: Any) -> Any:
    """The sample weights times the weight of each sample's class; "balanced" is N/(K·n_c), n_c in sample weights.

    Raises:
        ValueError: no such setting, a class that is not there, or classes that are not known for probability rows.
    """
    if class_weight is None:
        return sample_weight
    if labels is None:
        remedy = "use sample_weight, which weighs rows"
        raise WrongValue("class_weight", "y is a matrix of probabilities, whose rows have no class", remedy)
    if not np.isin(labels, classes).all():
        return sample_weight  # the problem names the label that is no class
    codes = np.searchsorted(classes, labels)
    given = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise WrongValue("class_weight", f"got {show(class_weight)}", 'give "balanced", a dict or None')
        masses = np.bincount(codes, weights=given, minlength=len(classes))
        factors = np.divide(given.sum(), len(classes) * masses, out=np.ones(len(classes)), where=masses > 0)
    else:
        if not hasattr(class_weight, "get"):
            raise WrongType("class_weight", f"got {kind_of(class_weight)}", 'give "balanced", a dict or None')
        unknown = [label for label in class_weight if label not in classes.tolist()]
        if unknown:
            raise WrongValue("class_weight", f"{show(unknown[0])} is no class of y", "name the classes of y")
        chosen = {label: class_weight.get(label, 1.0) for label in classes.tolist()}
        for label, weight in chosen.items():
            if not isinstance(weight, numbers.Real) or not float(weight) >= 0:
                raise WrongValue("class_weight", f"that of {show(label)} is {show(weight)}", "give numbers >= 0")
        factors = np.array(list(chosen.values()), dtype=np.float64)
    return given * factors[codes]


def penalty_of(C: Any, alpha: Any, regularizer: Any, count: int) -> Any:
    """The regulariser that C, alpha or `regularizer` asks for, None for none.

    scikit-learn's two classes share one row w, the difference of ours: ‖w‖²/(2C) is (1/C)(‖w₁‖² + ‖w₂‖²) at
    w₂ = -w₁ = w/2, an alpha of 2/C.

    Raises:
        TypeError, ValueError: C or alpha out of range, or two of the three.
    """
    if isinstance(C, bool) or not isinstance(C, numbers.Real):
        raise WrongType("C", f"got {show(C)}, {kind_of(C)}", "give a number > 0, or inf for no penalty")
    C = float(C)
    if not C > 0:
        raise WrongValue("C", f"got {C}", "give a number > 0, or inf for no penalty")
    asked = [name for name, used in (("C", C != math.inf), ("alpha", alpha), ("regularizer", regularizer)) if used]
    if len(asked) > 1:
        raise WrongValue(asked[0], f"{' and '.join(asked)} are given, each a penalty", "give one of them")
    if C != math.inf:
        return L2((2.0 if count == 2 else 1.0) / C)
    return L2(alpha) if alpha else regularizer

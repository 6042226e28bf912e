"""Comparisons of whole matrices, their entries named by the pytree paths of row and column.

Guarded by `tests/checker/inputs/test_linear_maps.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxsoftmax.checker.inputs.context import U64, Session, Suspect
from jaxsoftmax.checker.inputs.large import LARGE, compare_large
from jaxsoftmax.checker.inputs.tracing import Traced
from jaxsoftmax.checker.report.entries import index_text
from jaxsoftmax.checker.report.finding import Finding, Subject, Table, compare, half_digits, parted, with_unseen
from jaxsoftmax.checker.report.verdict import Family


def entry_path(paths: Sequence[str], shapes: Sequence[tuple[int, ...]], i: int) -> str:
    """The path and index of entry i of raveled leaves.

    Example:
        >>> entry_path(["['W']", "['b']"], [(2, 3), (2,)], 4), entry_path(["['W']", "['b']"], [(2, 3), (2,)], 7)
        ("['W'][1, 1]", "['b'][1]")
    """
    for path, shape in zip(paths, shapes, strict=True):
        size = int(np.prod(shape))
        if i < size:
            return path + index_text(tuple(int(k) for k in np.unravel_index(i, shape)))
        i -= size
    raise IndexError(i)


@dataclasses.dataclass(frozen=True)
class EntryNames:
    """Entry number -> path, for the entries of the point."""

    session: Session

    def __call__(self, i: int) -> str:
        """The path of entry i."""
        point = self.session.point
        return entry_path(point.paths, [leaf.shape for leaf in point.leaves], i)


def _left_out(matrix: np.ndarray, session: Session, rows: Any, columns: Any) -> np.ndarray:
    """The matrix with zeros in the rows and columns of entries that are left out."""
    matrix, skipped = np.array(matrix), sorted(session.nonsmooth)
    if isinstance(rows, EntryNames):
        matrix[skipped] = 0
    if isinstance(columns, EntryNames):
        matrix[:, skipped] = 0
    return matrix


def compare_matrices(
    session: Session,
    statement: str,
    subject: Subject,
    route: str,
    ours: Any,
    theirs: Any,
    tolerance: Any,
    own: Any,
    rows: Callable[[int], str],
    columns: Callable[[int], str],
    *,
    identity: bool = False,
    table: bool = False,
    family: Family = Family.PROGRAM,
) -> Finding:
    """Compare (rows, columns) matrices, keep the finding, and return it."""

    def label(index: tuple[int, ...]) -> dict[str, Any]:
        return {"path": f"{rows(index[0]) or 'output'}, {columns(index[1])}"}

    (theirs,), lost = session.numbers_of(subject.rule, route, [ours], [theirs])
    if session.quick and subject.dtype is not None:
        tolerance = session.capped(tolerance, theirs)
    tolerance, unbounded = half_digits(tolerance, theirs, U64 if subject.dtype is None else session.u)
    tolerance, own = np.broadcast_to(tolerance, np.shape(theirs)), np.broadcast_to(own, np.shape(theirs))
    if session.nonsmooth:
        ours, theirs = (_left_out(np.asarray(a), session, rows, columns) for a in (ours, theirs))
    if np.size(theirs) > LARGE and not identity:
        name = lambda index: label(index)["path"]  # noqa: E731
        finding = compare_large(statement, subject.text, route, ours, theirs, tolerance, own, "", name)
    else:
        rest, own = parted(tolerance, own)
        options = {"own_tolerance": own, "label": label, "identity": identity}
        finding = compare(statement, subject.text, route, ours, theirs, rest, **options)
    if family is Family.PROGRAM:
        unbounded = (unbounded or (not finding.check.passed and session.iterative)) and not session.quick
    more: dict[str, Any] = {"subject": subject, "family": family, "unbounded": unbounded}
    finding = with_unseen(dataclasses.replace(finding, excuse=session.excuse, **more), lost)
    session.excuse = None
    session.findings.append(finding)
    if table:
        session.tables.append(Table(subject.text, [""], [ours], [theirs], [tolerance], lambda i: label(i)["path"]))
    return finding


def suspect(
    session: Session, kind: str, finding: Finding, ours: Any, theirs: Any, tolerance: Any, traced: Traced
) -> None:
    """Keep a matrix that disagrees for the naming of its error."""
    if not finding.check.passed:
        tolerance = np.broadcast_to(half_digits(tolerance, theirs, U64)[0], np.shape(theirs))
        session.suspects.append(Suspect(kind, kind, [ours], [theirs], [tolerance], True, traced))

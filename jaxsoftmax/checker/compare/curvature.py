"""The Hessian that a rule is held to, the forms that a hand Hessian may have, and whether it is semidefinite.

Guarded by `tests/checker/compare/test_second_order.py`
and `tests/checker/compare/test_semidefinite.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import scipy.sparse.linalg

from jaxsoftmax.checker.compare.autodiff import DIFFERENCES, REVERSE, Truth, scalar
from jaxsoftmax.checker.inputs.arguments import Refused
from jaxsoftmax.checker.inputs.context import U64, Session
from jaxsoftmax.checker.inputs.linear_maps import Bounds, LinearMap
from jaxsoftmax.checker.report.finding import Aspect, Subject

SECOND = "second order"
OVER_REVERSE = "jvp of grad (float64)"
OVER_FORWARD = "forward over forward (float64)"
# Matrices with more columns are probed, whatever the budget.
_DENSE_ENTRIES = 4096
_PROBES = 8


class Curvature(NamedTuple):
    """The stripped function's Hessian: as products, and as a matrix where it is affordable.

    Attributes:
        map: v -> H v in float64.
        matrix: (n, n), or None.
        bounds: its rounding bounds, or None.
        route: how it was found.
    """

    map: LinearMap
    matrix: np.ndarray | None
    bounds: Bounds | None
    route: str


def find_curvature(session: Session, truth: Truth) -> Curvature:
    """The Hessian of the stripped function in float64.

    Raises:
        ValueError: autodiff of it is impossible.
    """
    if truth.route == DIFFERENCES:
        raise ValueError(
            "hvp, hessian, psd: without its custom rules JAX cannot differentiate fun, so second derivatives cannot be "
            "checked. Give first-order rules only, or write fun in jax.numpy."
        )
    route = OVER_REVERSE if truth.route == REVERSE else OVER_FORWARD
    products = hessian_products(session, session.fun.run, session.fun.consts, route)
    n = products.width
    dense = n <= _DENSE_ENTRIES and 48.0 * n * n <= session.clock.budget.bytes
    bounds = Bounds.of(products, session.rng) if dense else None
    return Curvature(products, None if bounds is None else bounds.matrix, bounds, route)


def hessian_products(session: Session, run: Any, consts: Any, route: str) -> LinearMap:
    """v -> H v of the stripped function, from one of its traces."""
    first = jax.grad if route == OVER_REVERSE else jax.jacfwd

    def over(c: Any, leaves: Any, v: Any) -> Any:
        return jax.jvp(first(scalar(run, c)), (leaves,), (v,))[1]

    return LinearMap(session, over, consts, session.point.leaves)


def as_matrix(rule: Callable[..., Any], session: Session) -> Callable[..., Any]:
    """A Hessian rule whose result is an (n, n) matrix: nested trees, matrices and operators alike.

    Raises:
        ValueError, TypeError: (when it is traced) the result is none of these.
    """
    point = session.point
    shapes, n = [leaf.shape for leaf in point.leaves], point.size

    def found(x: Any, *args: Any) -> Any:
        out = rule(x, *args)
        out = out.to_dense() if hasattr(out, "to_dense") else out
        if hasattr(out, "shape") and tuple(out.shape) == (n, n):
            return out
        try:
            rows = [point.tree.flatten_up_to(row) for row in point.tree.flatten_up_to(out)]
        except ValueError:
            raise _wrong_hessian(out, n) from None
        blocks = []
        for row, first in zip(rows, shapes, strict=True):
            for block, second in zip(row, shapes, strict=True):
                if tuple(getattr(block, "shape", ("?",))) != (*first, *second):
                    raise _wrong_hessian(block, n)
            parts = [b.reshape(int(np.prod(first)), -1) for b in row]
            blocks.append(jax.numpy.concatenate(parts, axis=1))
        return jax.numpy.concatenate(blocks, axis=0)

    return found


def _wrong_hessian(value: Any, n: int) -> Refused:
    shape = getattr(value, "shape", None)
    given = f"a {type(value).__name__}" if shape is None else f"a block of shape {tuple(shape)}"
    return Refused(
        f"hessian: returned {given}; expected what jax.hessian returns, a ({n}, {n}) matrix in the order of the "
        "raveled leaves, or an object with to_dense(). Return one of these."
    )


def check_semidefinite(session: Session, truth: Curvature) -> None:
    """psd=True: the smallest eigenvalue of the function's Hessian is not negative beyond rounding (Weyl)."""
    n = session.point.size
    if truth.matrix is not None and truth.bounds is not None:
        symmetric = (truth.matrix + truth.matrix.T) / 2
        smallest = float(np.linalg.eigvalsh(symmetric)[0])
        spread = U64 * float(np.linalg.norm(truth.bounds.units)) + 4 * n * U64 * float(np.linalg.norm(symmetric))
        route = "eigenvalues of the whole matrix (float64)"
    else:
        smallest, spread = _smallest_form(session, truth, n)
        route = "Lanczos and random directions (float64)"
    where = ["smallest v'Hv / v'v"]
    subject, found = Subject("Hessian", Aspect.SEMIDEFINITE), [min(smallest, 0.0)]
    session.add(SECOND, subject, route, found, [0.0], [spread], paths=where, identity=True)


def _smallest_form(session: Session, truth: Curvature, n: int) -> tuple[float, float]:
    def product(v: np.ndarray) -> np.ndarray:
        return truth.map.values(np.asarray(v, np.float64).reshape(1, n))[0]

    operator = scipy.sparse.linalg.LinearOperator((n, n), matvec=product, dtype=np.float64)  # pyright: ignore[reportCallIssue]
    probes = session.normal(_PROBES)
    try:
        if n <= _PROBES:  # ARPACK wants more entries than the one vector that is asked for
            vectors = np.linalg.eigh(truth.map.values(np.eye(n)))[1]
        else:
            _, vectors = scipy.sparse.linalg.eigsh(operator, k=1, which="SA", maxiter=20, v0=probes[0])
        probes = np.vstack([probes, vectors.T])
    except scipy.sparse.linalg.ArpackNoConvergence as error:
        probes = np.vstack([probes, error.eigenvectors.T]) if error.eigenvectors.size else probes
    products, units = truth.map.measure(probes)
    square = (probes**2).sum(axis=1)
    forms = (probes * products).sum(axis=1) / square
    size = (np.abs(probes) * (units + (4 + 2 * np.sqrt(n)) * np.abs(products))).sum(axis=1) / square
    worst = int(np.argmin(forms + U64 * size))
    return float(forms[worst]), float(U64 * size[worst])

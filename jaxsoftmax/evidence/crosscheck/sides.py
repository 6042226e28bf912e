"""The two sides of a cross-check: the hand rules as a user runs them, and the textbook loss in float64 row by row.

Guarded by `tests/evidence/crosscheck/test_compare.py`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.report.finding import Finding, compare
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.evidence.crosscheck import reference, tolerances
from jaxsoftmax.support.validation import as_weights, random_generator, require_problem

TEXTBOOK = "textbook formula (float64)"
REVERSE = "reverse autodiff (float64)"
FORWARD_OVER_REVERSE = "forward-over-reverse autodiff (float64)"
NESTED = "nested forward autodiff (float64)"
DIGITS = "50 digits"

# Float64 copies of X are made in blocks of about this many entries (128 MiB).
_BLOCK_ENTRIES = 2**24
# Above this much ball arithmetic (N (D + 10 C) operations) the 50-digit twin takes more than some seconds.
_HIGH_PRECISION_LIMIT = 500_000


def _input_gradients(W: Any, problem: reference.PlainProblem) -> Any:
    def loss(X, T, s):
        return reference.loss(W, dataclasses.replace(problem, X=X, T=T, sample_weight=s))

    return jax.grad(loss, argnums=(0, 1, 2))(problem.X, problem.T, problem.sample_weight)


@functools.cache
def _compiled(name: str) -> Callable[..., Any]:
    return jax.jit(_input_gradients if name == "input_gradients" else getattr(reference, name))


@functools.lru_cache(maxsize=8)
def _autodiff(loss: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Compiled derivatives of a loss(W, problem); kept, so that a second cross-check of the same shapes is quick."""

    def inputs(W: Any, problem: Any) -> Any:
        def of(X: Any, T: Any, s: Any) -> Any:
            return loss(W, problem.replace(X=X, T=T, sample_weight=s))

        X = problem.X if jnp.issubdtype(problem.X.dtype, jnp.floating) else problem.X.astype(problem.dtype)
        return jax.grad(of, argnums=(0, 1, 2))(X, problem.T, problem.sample_weight)

    def hvp(W: Any, problem: Any, V: Any) -> Any:
        return jax.jvp(lambda w: jax.grad(loss)(w, problem), (W,), (V,))[1]

    rules = {"gradient": jax.grad(loss), "hvp": hvp, "hessian": jax.hessian(loss), "inputs": inputs}
    return {name: jax.jit(rule) for name, rule in rules.items()}


class Ours(NamedTuple):
    """The modules whose functions are under test, handed in by ``crosscheck``: the only place where both sides meet."""

    objective: Any
    derivatives: Any
    hessian: Any


class Sides:
    """One problem at one W, with directions V and U, both sides, and their tolerances.

    Everything that leaves is NumPy. The hand side runs in the problem's dtype with the caller's x64 setting for float32
    and with x64 on for float64; the reference side runs in scoped float64 on the stored numbers, upcast exactly.
    """

    dtype: np.dtype
    data: Any
    intercept: bool
    gauge_direction: np.ndarray

    def __init__(self, problem: Any, W: Any, ours: Ours, key: Any, high_precision: bool | None) -> None:
        self.ours = ours
        self.problem = problem
        require_problem(problem)
        self.dtype = np.dtype(problem.dtype)
        self.W = self.hand(lambda: as_weights(W, problem))
        self.data = reference.plain(problem)
        self._hand_model = tolerances.model(self.W, self.data, self.dtype)
        self._textbook_model = tolerances.model(self.W, self.data, np.float64, compensated=False)
        self.N, self.D, self.C = problem.N, problem.D, problem.C
        self.intercept = bool(problem.intercept)
        for name, leaf in (("W", self.W), ("X", self.data.X)):
            if not np.isfinite(leaf).all():
                raise ValueError(f"{name}: has NaN or infinite entries; a cross-check needs finite numbers.")
        draws = random_generator(key).standard_normal((3, self.C, self.D))
        # Powers of two bring features of any unit to size 1, so that no single column drowns the others in V x.
        largest = np.abs(self.data.X).max(axis=0, initial=0.0)
        scale = np.where(largest > 0, np.exp2(-np.ceil(np.log2(np.where(largest > 0, largest, 1.0)))), 1.0)
        self.V, self.U, gauge = (draws * np.clip(scale, 2.0**-60, 2.0**60)).astype(self.dtype)
        self.gauge_direction = gauge[0]
        cost = self.N * (self.D + 10 * self.C)
        if high_precision is None:
            high_precision = highprecision.available() and cost <= _HIGH_PRECISION_LIMIT
        elif high_precision and not highprecision.available():
            raise ImportError('high_precision=True needs python-flint: pip install "jaxsoftmax[exact]".')
        self.exact = high_precision

    # --- the hand rules ---

    def hand(self, call: Callable[[], Any]) -> Any:
        """Run one of our functions as a user would and return its arrays as NumPy."""
        scope = jax.enable_x64(True) if self.dtype == np.float64 else contextlib.nullcontext()
        with scope:
            return jax.tree.map(np.asarray, call())

    def autodiff(self, name: str, *args: np.ndarray) -> Any:
        """Autodiff of ``js.loss`` at W: "gradient", "hvp" (of a direction), "hessian", or "inputs" for X, T and s."""
        rule = _autodiff(self.ours.objective.loss)[name]
        return self.hand(lambda: rule(self.device(self.W), self.problem, *(self.device(a) for a in args)))

    def device(self, a: np.ndarray) -> jax.Array:
        """A (C, D) array as a JAX array of the problem's dtype; call inside `hand`."""
        return jax.numpy.asarray(a, dtype=self.dtype)

    def tolerance(self, name: str, *args: Any, W: Any = None) -> Any:
        """``tolerances.<name>_tolerance`` of the hand side."""
        model = self._hand_model if W is None else tolerances.model(W, self.data, self.dtype)
        return getattr(tolerances, f"{name}_tolerance")(W, model, *args)

    # --- the textbook side ---

    def blocks(self, rows: int) -> Iterator[tuple[slice, reference.PlainProblem]]:
        """The data in row blocks; the penalties ride on the first, so that sums over blocks are the whole."""
        d = self.data
        for i in range(0, self.N, rows):
            part = slice(i, i + rows)
            terms = d.regularizer if i == 0 else ()
            yield part, reference.PlainProblem(d.X[part], d.T[part], d.sample_weight[part], terms, d.intercept)

    @property
    def block_rows(self) -> int:
        """Rows a block when nothing larger than X itself is formed."""
        return max(1, _BLOCK_ENTRIES // (self.D + self.C))

    def on_block(self, name: str, data: reference.PlainProblem, *args: Any) -> Any:
        """``reference.<name>`` in float64 on one block."""
        with jax.enable_x64(True):
            out = _compiled(name)(self.W.astype(np.float64), data, *(a.astype(np.float64) for a in args))
            return jax.tree.map(np.asarray, out)

    def textbook(self, name: str, *args: Any, rows: int | None = None) -> Any:
        """``reference.<name>`` in float64, added up over row blocks."""
        return sum(self.on_block(name, data, *args) for _, data in self.blocks(rows or self.block_rows))

    def textbook_rows(self, name: str) -> np.ndarray:
        """A per-sample function of the reference in float64, all rows."""
        return np.concatenate([self.on_block(name, data) for _, data in self.blocks(self.block_rows)])

    def textbook_tolerance(self, name: str, *args: Any) -> Any:
        """``tolerances.<name>_tolerance`` of the textbook side, in float64."""
        return getattr(tolerances, f"{name}_tolerance")(self.W, self._textbook_model, *args)

    # --- names for people ---

    def class_name(self, c: int) -> Any:
        """The class as given, or its index."""
        names = getattr(self.problem, "classes", None)
        return c if names is None else str(names[c])

    def feature_name(self, d: int) -> Any:
        """The feature's name, "intercept", or its index."""
        names = getattr(self.problem, "feature_names", None)
        if names is not None:
            return str(names[d])
        return "intercept" if self.intercept and d == self.D - 1 else d

    def at_class_feature(self, index: tuple[int, ...]) -> dict[str, Any]:
        """Label of an entry of a (C, D) array."""
        return {"class": self.class_name(index[0]), "feature": self.feature_name(index[1])}

    def at_feature(self, index: tuple[int, ...]) -> dict[str, Any]:
        """Label of an entry of a (D,) array."""
        return {"feature": self.feature_name(index[0])}

    def at_sample_class(self, index: tuple[int, ...], first: int = 0) -> dict[str, Any]:
        """Label of an entry of an (N, C) array."""
        return {"sample": first + index[0], "class": self.class_name(index[1])}

    def at_pair(self, index: tuple[int, ...]) -> dict[str, Any]:
        """Label of an entry of a (C D, C D) array."""
        (c, d), (e, f) = (divmod(i, self.D) for i in index)
        return {
            "class": f"{self.class_name(c)} with {self.class_name(e)}",
            "feature": f"{self.feature_name(d)} with {self.feature_name(f)}",
        }


def against(
    k: Sides,
    statement: str,
    quantities: dict[str, Any],
    route: str,
    theirs: Any,
    tol: Any,
    own: Any,
    exact: Any,
    label: Any,
) -> list[Finding]:
    """Each of our versions of one quantity against the float64 route and, where there are balls, 50 digits."""
    out = []
    for name, ours in quantities.items():
        out.append(compare(statement, name, route, ours, theirs, tol, own_tolerance=own, label=label))
        if exact is not None:
            out.append(exactly(statement, name, ours, exact, tol, label))
    return out


def exactly(statement: str, name: str, ours: Any, balls: Any, tol: Any, label: Any) -> Finding:
    """Ours against enclosures in 50 digits."""
    values, error = highprecision.to_float(balls), highprecision.errors(ours, balls)
    # Balls around an exact zero are 1e-70 wide or so: far below any tolerance, and zero for our purpose.
    zero = 1e-30 * np.broadcast_to(tol, values.shape)
    return compare(statement, name, DIGITS, ours, values, tol, error=error, own_tolerance=zero, label=label)

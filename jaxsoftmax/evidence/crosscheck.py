"""Every hand rule against autodiff of a textbook loss and against 50 digits, entry by entry (S1-S5, S8, S21)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from jaxsoftmax.calculus import derivatives, objective
from jaxsoftmax.calculus import hessian as hessian_module
from jaxsoftmax.evidence import highprecision, tolerances
from jaxsoftmax.evidence._report import CrossCheckReport, Finding, StatementCheck, compare, worst_of
from jaxsoftmax.evidence._sides import Sides

__all__ = ["CrossCheckReport", "StatementCheck", "crosscheck_problem"]

TEXTBOOK = "textbook formula (float64)"
REVERSE = "reverse autodiff (float64)"
FORWARD_OVER_REVERSE = "forward-over-reverse autodiff (float64)"
NESTED = "nested forward autodiff (float64)"
DIGITS = "50 digits"
_COLUMNS = 8
_EXACT_COLUMNS = 3


def crosscheck_problem(
    problem: Any,
    W: Any,
    *,
    key: Any = None,
    hessian_budget: int = 2**26,
    high_precision: bool | None = None,
) -> CrossCheckReport:
    """Compare every derivative of the problem's loss at W with independent computations (S1-S5, S8, S21).

    Ours run in the problem's dtype, as a user runs them: the closed forms, the fused kernel, the Hessian operator, and
    autodiff through ``js.loss``. Theirs are automatic derivatives of a textbook loss in float64 and, with python-flint
    installed, 50-digit arithmetic; both read the stored device numbers exactly. Each entry's tolerance is derived from
    dtype, terms and propagated logit error (``evidence.tolerances``).

    Args:
        problem: the data; float32 and float64 problems alike. A float64 problem needs no x64 scope here.
        W: (C, D) weights in the problem's dtype (NumPy arrays are converted).
        key: random key for the directions; ``jax.random.key(0)`` when None. Normal draws in float64, rounded to the
            problem's dtype and scaled by a power of two a feature.
        hessian_budget: most entries of an autodiff Hessian's temporaries, max(N C, C D) C D; beyond it, some columns are
            compared instead of the dense matrix.
        high_precision: compare with 50 digits too. None: if python-flint is installed and it takes seconds at most.

    Returns:
        A `CrossCheckReport`; its ``repr`` is a table.

    Raises:
        ValueError, TypeError: W does not fit the problem, or is not finite.
        ImportError: `high_precision` is True and python-flint is missing.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.array([[0.0], [1.0], [2.0], [3.0]], np.float32), [0, 1, 0, 1])
        >>> report = js.crosscheck_problem(problem, np.array([[0.5, 0.0], [-0.25, 0.125]]))
        >>> report.verdict, report.statements[0].statement
        ('AGREE', 'S1')
    """
    sides = Sides(problem, W, key, high_precision)
    findings = [
        *_loss(sides),
        *_probabilities(sides),
        *_gradient(sides),
        *_gauge(sides),
        *_second(sides),
        *_hessian(sides, hessian_budget),
        *_third(sides),
        *_inputs(sides),
    ]
    return CrossCheckReport.from_findings(findings)


def _our_loss(k: Sides):
    return lambda w: objective.loss(w, k.problem)


def _against(
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
            out.append(_exactly(statement, name, ours, exact, tol, label))
    return out


def _exactly(statement: str, name: str, ours: Any, balls: Any, tol: Any, label: Any) -> Finding:
    values, error = highprecision.to_float(balls), highprecision.errors(ours, balls)
    # Balls around an exact zero are 1e-70 wide or so: far below any tolerance, and zero for our purpose.
    zero = 1e-30 * np.broadcast_to(tol, values.shape)
    return compare(statement, name, DIGITS, ours, values, tol, error=error, own_tolerance=zero, label=label)


def _loss(k: Sides) -> list[Finding]:
    tol, own = k.tolerance("loss"), k.textbook_tolerance("loss")
    ours = {
        "loss": k.hand(lambda: objective.loss(k.W, k.problem)),
        "loss, fused": k.hand(lambda: derivatives.value_and_gradient(k.W, k.problem))[0],
    }
    exact = highprecision.loss(k.W, k.problem) if k.exact else None
    theirs = k.textbook("loss")
    return _against(k, "S1", ours, TEXTBOOK, theirs, tol, own, exact, None)


def _probabilities(k: Sides) -> list[Finding]:
    Y = k.hand(lambda: objective.probabilities(k.W, k.problem))
    log_Y = k.hand(lambda: objective.log_probabilities(k.W, k.problem))
    Z = highprecision.logits(k.W, k.problem) if k.exact else None
    exact = None if Z is None else highprecision.probabilities(Z)
    theirs, own = k.textbook_rows("probabilities"), k.textbook_tolerance("probability")
    tol, log_tol = k.tolerance("probability"), k.tolerance("log_probability")
    out = _against(k, "S1", {"probabilities": Y}, TEXTBOOK, theirs, tol, own, exact, k.at_sample_class)
    exact = None if Z is None else -highprecision.neg_log_probabilities(Z)
    theirs, own = k.textbook_rows("log_probabilities"), k.textbook_tolerance("log_probability")
    out += _against(k, "S1", {"log-probabilities": log_Y}, TEXTBOOK, theirs, log_tol, own, exact, k.at_sample_class)
    return out


def _gradient(k: Sides) -> list[Finding]:
    ours = {
        "gradient": k.hand(lambda: derivatives.gradient(k.W, k.problem)),
        "gradient, fused": k.hand(lambda: derivatives.value_and_gradient(k.W, k.problem))[1],
        "gradient, jax.grad of our loss": k.hand(lambda: jax.grad(_our_loss(k))(_device(k, k.W))),
    }
    exact = highprecision.gradient(k.W, k.problem) if k.exact else None
    tol, own = k.tolerance("gradient"), k.textbook_tolerance("gradient")
    return _against(k, "S2", ours, REVERSE, k.textbook("gradient"), tol, own, exact, k.at_class_feature)


def _device(k: Sides, a: np.ndarray) -> jax.Array:
    """A (C, D) array in the problem's dtype as a JAX array (call inside `Sides.hand`)."""
    return jax.numpy.asarray(a, dtype=k.dtype)


def _quadratic_penalties(k: Sides, W: np.ndarray) -> float:
    total, W = 0.0, W.astype(np.float64)
    for term in k.data.regularizer:
        if term.kind == "l2":
            part = W[:, :-1] if k.intercept and not term.penalize_intercept else W
            total += float(term.value) / 2 * float((part**2).sum())
    return total


def _gauge(k: Sides) -> list[Finding]:
    """1'grad L = 0 and L(W + 1v') = L(W), apart from the L2 penalties (S21a), which are not gauge invariant."""
    W, eps = k.W.astype(np.float64), 2.0**-52
    G = k.hand(lambda: derivatives.gradient(k.W, k.problem)).astype(np.float64)
    sums, tol = G.sum(axis=0), k.tolerance("gradient")
    expected, size = np.zeros(k.D), np.zeros(k.D)
    for term in k.data.regularizer:
        if term.kind == "l2":
            mask = np.ones(k.D)
            mask[-1] = 0.0 if k.intercept and not term.penalize_intercept else 1.0
            expected += float(term.value) * mask * W.sum(axis=0)
            size += float(term.value) * mask * np.abs(W).sum(axis=0)
    own = k.C * eps * (np.abs(G).sum(axis=0) + size)
    name = "column sums of the gradient"
    out = [
        compare(
            "S3",
            name,
            "the theorem",
            sums,
            expected,
            tol.sum(axis=0),
            own_tolerance=own,
            label=k.at_feature,
            identity=True,
        )
    ]

    v = k.gauge_direction
    moved = k.W + v[None, :]
    # W + 1v' is rounded; the loss may move by at most sum_n s_n 2 max_c |E x_n|_c for the rounding E.
    shift = np.abs((moved.astype(np.float64) - W) - v.astype(np.float64))
    shift += eps * (np.abs(moved) + np.abs(W) + np.abs(v)) if k.dtype == np.float64 else 0.0
    slack = sum(
        2 * abs(float(term.value)) * shift.max(axis=0).sum() for term in k.data.regularizer if term.kind == "self"
    )
    for _, d in k.blocks(k.block_rows):
        slack += 2 * float((d.sample_weight * (np.abs(d.X) @ shift.T).max(axis=1)).sum())
    before, after = (float(k.hand(lambda w=w: objective.loss(w, k.problem))) for w in (k.W, moved))
    with np.errstate(invalid="ignore"):
        theirs, ours = before - _quadratic_penalties(k, k.W), after - _quadratic_penalties(k, moved)
    tol = k.tolerance("loss") + k.tolerance("loss", W=moved) + slack
    tol += 4 * eps * (abs(before) + abs(after)) + k.C * k.D * eps * _quadratic_penalties(k, np.abs(moved) + np.abs(k.W))
    return [*out, compare("S3", "loss along a gauge direction", "the theorem", ours, theirs, tol, identity=True)]


def _operator(k: Sides) -> Any:
    return hessian_module.hessian(k.W, k.problem)


def _second(k: Sides) -> list[Finding]:
    """Hessian-vector product and quadratic form along one direction; S5 as the sign of the form."""
    V, loss = k.V, _our_loss(k)
    ours = {
        "Hessian-vector product": k.hand(lambda: derivatives.hvp(k.W, k.problem, V)),
        "Hessian-vector product, operator": k.hand(lambda: _operator(k) @ _device(k, V)),
        "Hessian-vector product, jvp of jax.grad of our loss": k.hand(
            lambda: jax.jvp(jax.grad(loss), (_device(k, k.W),), (_device(k, V),))[1]
        ),
    }
    exact = highprecision.hvp(k.W, k.problem, V) if k.exact else None
    theirs, tol, own = k.textbook("hvp", V), k.tolerance("hvp", V), k.textbook_tolerance("hvp", V)
    out = _against(k, "S4", ours, FORWARD_OVER_REVERSE, theirs, tol, own, exact, k.at_class_feature)
    forms = {
        "quadratic form": k.hand(lambda: derivatives.quadratic_form(k.W, k.problem, V)),
        "quadratic form, operator": k.hand(lambda: _operator(k).quadratic_form(_device(k, V))),
    }
    exact = highprecision.quadratic_form(k.W, k.problem, V) if k.exact else None
    size = np.abs(V).astype(np.float64)
    # The reference forms <V, HV>: the products' tolerances and C D roundings of the sum.
    own = float((size * (own + 2.0**-52 * k.W.size * np.abs(theirs))).sum())
    tol, theirs = k.tolerance("quadratic_form", V), k.textbook("quadratic_form", V)
    out += _against(k, "S4", forms, FORWARD_OVER_REVERSE, theirs, tol, own, exact, None)
    for name, value in forms.items():
        value = np.asarray(value, np.float64)
        out.append(
            compare("S5", f"{name}: not negative", "the theorem", np.minimum(value, 0.0), 0.0, 0.0, identity=True)
        )
    return out


def _columns(k: Sides, count: int) -> list[tuple[int, int]]:
    """Some (class, feature) pairs: spread evenly over the C D columns, the last one (intercept) among them."""
    total = k.C * k.D
    return [divmod(int(i), k.D) for i in np.unique(np.linspace(0, total - 1, min(count, total)).round())]


def _hessian(k: Sides, budget: int) -> list[Finding]:
    CD = k.C * k.D
    dense = max(k.N * k.C, CD) * CD <= budget
    return _dense_hessian(k) if dense else _some_columns(k)


def _dense_hessian(k: Sides) -> list[Finding]:
    CD, shape = k.C * k.D, (k.C, k.D, k.C, k.D)
    tol, own = k.tolerance("hessian"), k.textbook_tolerance("hessian")
    theirs = k.textbook("hessian", rows=max(1, 2**23 // (k.C * CD)))
    H = k.hand(lambda: _operator(k).to_dense())
    blocks = k.hand(lambda: _operator(k).blocks())
    ours = {
        "Hessian": H,
        "Hessian, blocks": np.asarray(blocks).transpose(0, 2, 1, 3).reshape(CD, CD),
        "Hessian, jax.hessian of our loss": k.hand(lambda: jax.hessian(_our_loss(k))(_device(k, k.W))).reshape(CD, CD),
    }
    route = FORWARD_OVER_REVERSE
    out = _against(k, "S4", ours, route, theirs, tol, own, None, k.at_pair)
    if k.exact:
        columns = _columns(k, _EXACT_COLUMNS)
        picked = [c * k.D + d for c, d in columns]
        balls = highprecision.hessian_columns(k.W, k.problem, columns)
        out.append(
            _exactly(
                "S4",
                "Hessian, some columns",
                H[:, picked],
                balls,
                tol[:, picked],
                lambda i: k.at_pair((i[0], picked[i[1]])),
            )
        )
    out.append(compare("S4", "Hessian, symmetry", "its transpose", H, H.T, 2 * tol, label=k.at_pair, identity=True))
    diagonal = np.einsum("cdcd->cd", theirs.reshape(shape))
    tol, own = k.tolerance("hessian_diagonal"), k.textbook_tolerance("hessian_diagonal")
    D = k.hand(lambda: _operator(k).diagonal())
    out.append(compare("S4", "Hessian, diagonal", route, D, diagonal, tol, own_tolerance=own, label=k.at_class_feature))
    trace = k.hand(lambda: _operator(k).trace())
    sum_tol = tol.sum() + float(np.finfo(k.dtype).eps) * (8 + np.sqrt(CD)) * np.abs(diagonal).sum()
    out.append(compare("S4", "Hessian, trace", route, trace, diagonal.sum(), sum_tol, own_tolerance=own.sum()))
    return out


def _some_columns(k: Sides) -> list[Finding]:
    diagonal = k.hand(lambda: _operator(k).diagonal())
    trace, total = k.hand(lambda: _operator(k).trace()), float(np.asarray(diagonal, np.float64).sum())
    found: dict[str, list[Finding]] = {"Hessian, some columns": [], "Hessian, diagonal of these columns": []}
    for c, d in _columns(k, _COLUMNS):
        V = np.zeros((k.C, k.D), k.dtype)
        V[c, d] = 1.0
        theirs, tol, own = k.textbook("hvp", V), k.tolerance("hvp", V), k.textbook_tolerance("hvp", V)
        ours = k.hand(lambda V=V: _operator(k) @ _device(k, V))

        def label(i: tuple[int, ...], at: int = c * k.D + d) -> dict[str, Any]:
            return k.at_pair((i[0] * k.D + i[1], at))

        one, two = found
        found[one].append(compare("S4", one, FORWARD_OVER_REVERSE, ours, theirs, tol, own_tolerance=own, label=label))
        found[two].append(
            compare(
                "S4", two, FORWARD_OVER_REVERSE, diagonal[c, d], theirs[c, d], tol[c, d], own_tolerance=own[c, d],
                label=lambda i, at=(c, d): k.at_class_feature(at),
            )
        )  # fmt: skip
    out = [worst_of(group) for group in found.values()]
    tol = k.tolerance("hessian_diagonal").sum() + float(np.finfo(k.dtype).eps) * (8 + np.sqrt(k.W.size)) * abs(total)
    return [*out, compare("S4", "Hessian, trace", "sum of the diagonal", trace, total, tol)]


def _third(k: Sides) -> list[Finding]:
    """D^3 L[V, U, U] and its bound by range(V x) D^2 L[U, U]."""
    V, U = k.V, k.U
    ours = k.hand(lambda: derivatives.third_derivative(k.W, k.problem, V, U))
    form = k.hand(lambda: derivatives.quadratic_form(k.W, k.problem, U))
    exact = highprecision.third_derivative(k.W, k.problem, V, U) if k.exact else None
    tol, own = k.tolerance("third_derivative", V, U), k.textbook_tolerance("third_derivative", V, U)
    theirs = k.textbook("third_derivative", V, U)
    out = _against(k, "S8", {"third derivative": ours}, NESTED, theirs, tol, own, exact, None)
    wide, span = V.astype(np.float64), 0.0
    for _, d in k.blocks(k.block_rows):
        spans = np.ptp(d.X @ wide.T, axis=1)[d.sample_weight > 0]
        span = max(span, float(spans.max(initial=0.0)))
    for term in k.data.regularizer:
        if term.kind == "self":
            span = max(span, abs(float(term.value)) * float(np.ptp(wide, axis=0).max()))
    size, limit = abs(float(ours)), span * float(form)
    tol = tol + span * k.tolerance("quadratic_form", U) + 2.0**-45 * limit
    name = "|third derivative| <= range * quadratic form"
    excess = compare("S8", name, "the theorem", np.maximum(size, limit), limit, tol, identity=True)
    return [*out, excess]


def _inputs(k: Sides) -> list[Finding]:
    """Gradients of our loss in X, T and s (the rules of S2 and S1 seen from the other arguments)."""

    def ours() -> Any:
        w, p = _device(k, k.W), k.problem
        return (
            jax.grad(lambda X: objective.loss(w, p.replace(X=X)))(p.X),
            jax.grad(lambda T: objective.loss(w, p.replace(T=T)))(p.T),
            jax.grad(lambda s: objective.loss(w, p.replace(sample_weight=s)))(p.sample_weight),
        )

    in_X, in_T, in_s = k.hand(ours)
    names = (
        "gradient in X, jax.grad of our loss",
        "gradient in T, jax.grad of our loss",
        "gradient in s, jax.grad of our loss",
    )
    found: list[list[Finding]] = [[], [], []]
    rounding = float(np.finfo(in_X.dtype).eps) if in_X.dtype != k.dtype else 0.0
    for rows, d in k.blocks(k.block_rows):
        first, s, T = rows.start, d.sample_weight[:, None], np.abs(d.T)
        hand = _PerSample(k, d, k.dtype, compensated=True)
        text = _PerSample(k, d, np.float64, compensated=False)
        theirs = k.on_block("input_gradients", d)
        found[0].append(
            compare("S2", names[0], REVERSE, in_X[rows], theirs[0], hand.in_X + rounding * np.abs(theirs[0]), own_tolerance=text.in_X,
                    label=lambda i, a=first: {"sample": a + i[0], "feature": k.feature_name(i[1])})
        )  # fmt: skip
        found[1].append(
            compare("S1", names[1], REVERSE, in_T[rows], theirs[1], s * hand.log, own_tolerance=s * text.log,
                    label=lambda i, a=first: k.at_sample_class(i, a))
        )  # fmt: skip
        found[2].append(
            compare("S1", names[2], REVERSE, in_s[rows], theirs[2], (T * hand.log).sum(1), own_tolerance=(T * text.log).sum(1),
                    label=lambda i, a=first: {"sample": a + i[0]})
        )  # fmt: skip
    return [worst_of(group) for group in found]


class _PerSample:
    """Tolerances of one side for what depends on one sample alone."""

    def __init__(self, k: Sides, data: Any, dtype: Any, *, compensated: bool) -> None:
        options = {"dtype": dtype, "compensated": compensated}
        self.in_X = tolerances.input_gradient_tolerance(k.W, data, **options)
        # One multiplication by s, and for s itself a sum over the classes, on top of the logarithm.
        self.log = 2 * tolerances.log_probability_tolerance(k.W, data, **options)

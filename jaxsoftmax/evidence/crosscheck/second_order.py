"""Cross-checks of higher derivatives: S4, S5 and S8.

Guarded by `tests/evidence/crosscheck/test_compare.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from jaxsoftmax.checker.report.finding import Finding, compare, worst_of
from jaxsoftmax.evidence.crosscheck import high_precision as highprecision
from jaxsoftmax.evidence.crosscheck.entrywise import entrywise
from jaxsoftmax.evidence.crosscheck.sides import FORWARD_OVER_REVERSE, NESTED, Sides, against, exactly

_COLUMNS = 4
_EXACT_COLUMNS = 3


def compare_second(k: Sides) -> list[Finding]:
    """Hessian-vector product and quadratic form along one direction; S5 as the sign of the form."""
    V = k.V
    ours = {
        "Hessian-vector product": k.hand(lambda: k.ours.derivatives.hvp(k.W, k.problem, V)),
        "Hessian-vector product, operator": k.hand(lambda: _operator(k) @ k.device(V)),
        "Hessian-vector product, jvp of jax.grad of our loss": k.autodiff("hvp", V),
    }
    exact = highprecision.hvp(k.W, k.problem, V) if k.exact else None
    theirs, tol, own = k.textbook("hvp", V), k.tolerance("hvp", V), k.textbook_tolerance("hvp", V)
    out = against(k, "S4", ours, FORWARD_OVER_REVERSE, theirs, tol, own, exact, k.at_class_feature)
    forms = {
        "quadratic form": k.hand(lambda: k.ours.derivatives.quadratic_form(k.W, k.problem, V)),
        "quadratic form, operator": k.hand(lambda: _operator(k).quadratic_form(k.device(V))),
    }
    exact = highprecision.quadratic_form(k.W, k.problem, V) if k.exact else None
    size = np.abs(V).astype(np.float64)
    # The reference forms <V, HV>: the products' tolerances and C D roundings of the sum.
    own = float((size * (own + 2.0**-52 * k.W.size * np.abs(theirs))).sum())
    tol, theirs = k.tolerance("quadratic_form", V), k.textbook("quadratic_form", V)
    out += against(k, "S4", forms, FORWARD_OVER_REVERSE, theirs, tol, own, exact, None)
    for name, value in forms.items():
        value = np.asarray(value, np.float64)
        out.append(
            compare("S5", f"{name}: not negative", "its theorem", np.minimum(value, 0.0), 0.0, 0.0, identity=True)
        )
    return out


def _columns(k: Sides, count: int) -> list[tuple[int, int]]:
    """Some (class, feature) pairs: spread evenly over the C D columns, the last one (intercept) among them."""
    total = k.C * k.D
    return [divmod(int(i), k.D) for i in np.unique(np.linspace(0, total - 1, min(count, total)).round())]


def compare_hessian(k: Sides, budget: int) -> list[Finding]:
    """The Hessian (S4): every entry where `budget` allows, else some columns."""
    CD = k.C * k.D
    dense = max(k.N * k.C, 8 * CD) * CD <= budget
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
        "Hessian, jax.hessian of our loss": k.autodiff("hessian").reshape(CD, CD),
    }
    route = FORWARD_OVER_REVERSE
    out = against(k, "S4", ours, route, theirs, tol, own, None, k.at_pair)
    if k.exact:
        columns = _columns(k, _EXACT_COLUMNS)
        picked = [c * k.D + d for c, d in columns]
        balls = highprecision.hessian_columns(k.W, k.problem, columns)
        out.append(
            exactly(
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
        ours = k.hand(lambda V=V: _operator(k) @ k.device(V))

        def label(i: tuple[int, ...], at: int = c * k.D + d) -> dict[str, Any]:
            return k.at_pair((i[0] * k.D + i[1], at))

        one, two = found
        route, at = FORWARD_OVER_REVERSE, (c, d)
        found[one].append(compare("S4", one, route, ours, theirs, tol, own_tolerance=own, label=label))
        entry = compare("S4", two, route, diagonal[at], theirs[at], tol[at], own_tolerance=own[at])
        found[two].append(entry.at(k.at_class_feature(at)))
    out = [worst_of(group) for group in found.values()]
    tol = k.tolerance("hessian_diagonal").sum() + float(np.finfo(k.dtype).eps) * (8 + np.sqrt(k.W.size)) * abs(total)
    return [*out, compare("S4", "Hessian, trace", "sum of the diagonal", trace, total, tol)]


def compare_third(k: Sides) -> list[Finding]:
    """D^3 L[V, U, U] and its bound by range(V x) D^2 L[U, U]."""
    V, U = k.V, k.U
    ours = k.hand(lambda: k.ours.derivatives.third_derivative(k.W, k.problem, V, U))
    form = k.hand(lambda: k.ours.derivatives.quadratic_form(k.W, k.problem, U))
    exact = highprecision.third_derivative(k.W, k.problem, V, U) if k.exact else None
    tol, own = k.tolerance("third_derivative", V, U), k.textbook_tolerance("third_derivative", V, U)
    theirs = k.textbook("third_derivative", V, U)
    out = against(k, "S8", {"third derivative": ours}, NESTED, theirs, tol, own, exact, None)
    wide, span = V.astype(np.float64), 0.0
    for _, d in k.blocks(k.block_rows):
        spans = np.ptp(d.X @ wide.T, axis=1)[d.sample_weight > 0]
        span = max(span, float(spans.max(initial=0.0)))
    for term in k.data.regularizer:
        if term.kind == "self":
            span = max(span, abs(float(term.value)) * float(np.ptp(wide, axis=0).max()))
    for term in entrywise(k.data):  # S21b: |d/dt log sech²(γ(w + tv))| <= 2γ|v|
        if term.gamma is not None and term.alpha > 0:
            span = max(span, 2 * term.gamma * float((term.mask * np.abs(wide)).max()))
    size, limit = abs(float(ours)), span * float(form)
    tol = tol + span * k.tolerance("quadratic_form", U) + 2.0**-45 * limit
    name = "|third derivative| <= range * quadratic form"
    excess = compare("S8", name, "its theorem", np.maximum(size, limit), limit, tol, identity=True)
    return [*out, excess]


def _operator(k: Sides) -> Any:
    return k.ours.hessian.hessian(k.W, k.problem)

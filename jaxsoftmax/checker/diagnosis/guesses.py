"""Names for errors: what a rule that disagrees looks like, the most specific explanation first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.compare.autodiff import DIFFERENCES, Truth
from jaxsoftmax.checker.diagnosis.case import Case
from jaxsoftmax.checker.diagnosis.causes import other_data, own_stops, stopped
from jaxsoftmax.checker.diagnosis.factors import constant_factor, leaf_factor, regulariser
from jaxsoftmax.checker.diagnosis.flat import Flat, flatten, has_loop
from jaxsoftmax.checker.diagnosis.kinks import kink
from jaxsoftmax.checker.diagnosis.layout import gauge, permutation, shift, transpose
from jaxsoftmax.checker.diagnosis.places import asymmetric, direction, entries, one_leaf, one_slice
from jaxsoftmax.checker.diagnosis.terms import wrong_term
from jaxsoftmax.checker.inputs.context import Session, Suspect
from jaxsoftmax.reporting.row import Row

__all__ = ["NAMES", "name_diagnoses"]

NAMES = (
    "constant factor",
    "missing regulariser",
    "wrong term",
    "transpose",
    "permutation",
    "shift",
    "gauge",
    "sample weight",
    "stop gradient",
    "kink",
    "dtype",
    "one leaf",
    "entry",
    "row",
    "direction",
    "asymmetric",
    "nonlinear",
    "indefinite",
    "nonfinite",
)
_PLACES = ("entry", "row", "one leaf")
# Unit roundoffs that an error may have, the coarsest first; what is relatively larger than `_COARSE` is no rounding.
_COARSE = 2.0**-4
_DTYPES = (("bfloat16", 2.0**-9), ("float16 or TF32", 2.0**-12), ("float32", 2.0**-24))
# Dense second derivatives of the guesses take n columns each.
_GUESSED = 512


def name_diagnoses(session: Session, truth: Truth | None) -> list[str]:
    """Sentences "NAME: looks like …" on the failing comparisons of a check; none where nothing fits.

    Args:
        session: the check, its comparisons done.
        truth: of the gradient, for a scalar function.

    Returns:
        At most two sentences a rule: what explains all of its wrong entries, and where they are. An explanation was
        evaluated and agrees with the rule in every entry within both sides' rounding; nothing is said where none does.

    Example:
        >>> import jax.numpy as jnp, jaxsoftmax as js, numpy as np
        >>> x = np.float32([0.5, -1.0, 2.0])
        >>> js.crosscheck(lambda x: jnp.sum(x**4), x, gradient=lambda x: 4 * x**3 - 0.5 * x).diagnoses[0].name
        'missing regulariser'
    """
    failed = [f.check for f in session.findings if not f.check.passed]
    out: list[str] = []
    if not failed:
        return _only_kinks(session)
    out += _nonfinite(failed)
    nonlinear = [c for c in failed if "linear in the direction" in c.quantity]
    if nonlinear:
        c = nonlinear[0]
        out.append(
            f"nonlinear: {c.quantity.partition(',')[0]} is not linear in its direction: {c.worst['ours']:.6g} where "
            f"{c.worst['theirs']:.6g} follows from linearity ({c.worst['path']})"
        )
    demoted = [] if out else _dtype(session, failed)
    said: set[str] = set()
    for suspect in () if demoted else session.suspects:
        if out and (suspect.kind == "hvp" and nonlinear):
            continue  # its columns are no matrix
        for text in _explained(session, suspect, truth):
            # One error of a function's own rule shows in all that JAX derives from it.
            core = re.sub(r" ± [0-9.e+-]+", "", text.replace(suspect.name, ""))
            if core not in said:
                out.append(text)
                said.add(core)
    out += demoted + _identities(failed, out)
    return out or _only_kinks(session)


def _explained(session: Session, suspect: Suspect, truth: Truth | None) -> list[str]:
    """At most two sentences on one rule: the first that explains every entry, and where the error is."""
    case = Case(session, suspect)
    if not suspect.formula and session.widen and _relative(suspect) < _COARSE:
        return []  # as large as the rounding of a narrower dtype: `_dtype` names it
    first = next(_guesses(case, truth), None)
    if first is None:
        return []
    found = [first]
    if first.partition(":")[0] in _PLACES:
        return found
    for place in (entries, one_slice, one_leaf):
        text = place(case)
        if text is not None:
            return [*found, text]
    return found


def _guesses(case: Case, truth: Truth | None) -> Iterator[str]:
    """Explanations in order: each either holds in every entry or only says where the error is."""
    flats: dict[bool, Flat | None] = {}

    def flat(unroll: bool = False) -> Flat | None:
        if unroll not in flats:
            flats[unroll] = _flat(case, truth, unroll)
        return flats[unroll]

    plain: tuple[Callable[[Case], str | None], ...]
    plain = (constant_factor,)
    yield from _texts(plain, case)
    text = kink(case, flat())
    if text is not None:
        yield text
    plain = (leaf_factor, entries, transpose, shift, permutation, regulariser, one_slice, gauge)
    yield from _texts(plain, case)
    for unroll in (False, True):
        graph = flat(unroll)
        if graph is None or (unroll and not has_loop(flat() or graph)):
            continue
        for guess in (other_data, wrong_term, own_stops, stopped):
            try:
                text = guess(case, graph, truth)
            except Exception:  # a primitive without the rule that a guess needs, or memory: no name then
                continue
            if text is not None:
                yield text
    yield from _texts((one_leaf, asymmetric, direction), case)


def _texts(guesses: tuple[Callable[[Case], str | None], ...], case: Case) -> Iterator[str]:
    for guess in guesses:
        text = guess(case)
        if text is not None:
            yield text


def _flat(case: Case, truth: Truth | None, unroll: bool) -> Flat | None:
    session = case.session
    if (truth is not None and truth.route == DIFFERENCES) or session.fun.replay.opaque:
        return None
    if case.matrix and max(session.point.size, case.size // max(session.point.size, 1)) > _GUESSED:
        return None
    return flatten(session, unroll=unroll)


def _nonfinite(failed: list[Row]) -> list[str]:
    for check in failed:
        ours, theirs = check.worst.get("ours"), check.worst.get("theirs")
        if ours is not None and not np.isfinite(ours) and theirs is not None and np.isfinite(theirs):
            where = f" at {check.worst['path']}" if check.worst.get("path") else ""
            return [f"nonfinite: {check.quantity} is {ours}{where}, where {theirs:.6g} is right"]
    return []


def _identities(failed: list[Row], out: list[str]) -> list[str]:
    """Symmetry and definiteness, when the comparisons that say so failed."""
    found = []
    names = {text.partition(":")[0] for text in out}
    for check in failed:
        ours, theirs, path = (check.worst.get(k) for k in ("ours", "theirs", "path"))
        if "semidefinite" in check.quantity:
            found.append(
                f"indefinite: the smallest value of v'Hv / v'v found is {ours:.6g}, below 0 by more than rounding"
            )
        elif "symmetry" in check.quantity and not names:
            found.append(f"asymmetric: {check.quantity.partition(',')[0]}: {ours:.6g} and {theirs:.6g} at {path}")
    return list(dict.fromkeys(found))


def _dtype(session: Session, failed: list[Row]) -> list[str]:
    """The formula agrees in float64, and the rule as it runs does not: it computes in a narrower dtype somewhere.

    A formula that demotes and is off too, but by no more than the narrow dtype's spacing, has constants rounded to it.
    """
    runs = [c for c in failed if " as it runs in " in f"{c.quantity} {c.route}" and np.isfinite(c.measured)]
    others = [c for c in failed if " as it runs in " not in f"{c.quantity} {c.route}"]
    if not runs or session.kinks or not session.widen:
        return []
    check = max(runs, key=lambda c: c.measured)
    narrow = sorted({dtype for s in session.suspects for dtype in s.traced.reduced})
    formulas = [s for s in session.suspects if s.formula]
    spacing = max((float(jnp.finfo(dtype).eps) for dtype in narrow), default=0.0)
    if others and not (formulas and all(_relative(s) <= spacing for s in formulas)):
        return []
    size = abs(check.worst["theirs"])
    relative = check.measured / size if size else np.inf
    if not narrow and any(_relative(s) >= _COARSE for s in session.suspects):
        return []
    near = next((n for n, u in reversed(_DTYPES) if relative <= 16 * u), "a lower precision")
    formula = "nearly right in float64 (constants rounded?)" if others else "right in float64"
    what = check.quantity.partition(",")[0]
    return [
        f"dtype: the formula is {formula}, and as it runs {what} is off by {relative:.1e} of its value: looks like "
        f"{' and '.join(narrow) or near}"
    ]


def _relative(suspect: Suspect) -> float:
    """The largest error relative to the largest entry of its leaf."""
    found = 0.0
    for mine, other in zip(suspect.ours, suspect.theirs, strict=True):
        size = float(np.max(np.abs(other), initial=0.0))
        error = float(np.max(np.abs(np.asarray(mine) - other), initial=0.0))
        found = max(found, error / size if size > 0 else np.inf if error > 0 else 0.0)
    return found


def _only_kinks(session: Session) -> list[str]:
    return [f"kink: the function is not smooth here: {session.kinks[0]}"] if session.kinks else []

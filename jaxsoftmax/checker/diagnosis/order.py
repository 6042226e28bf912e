"""Names for errors: what a rule that disagrees looks like, the most specific explanation first."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.compare.autodiff import DIFFERENCES, Truth
from jaxsoftmax.checker.diagnosis.case import Case, Guess
from jaxsoftmax.checker.diagnosis.causes import other_data, own_stops, stopped
from jaxsoftmax.checker.diagnosis.factors import constant_factor, leaf_factor, regulariser
from jaxsoftmax.checker.diagnosis.flat import Flat, flatten, has_loop
from jaxsoftmax.checker.diagnosis.kinks import kink, not_smooth
from jaxsoftmax.checker.diagnosis.layout import gauge, permutation, shift, transpose
from jaxsoftmax.checker.diagnosis.places import asymmetric, direction, entries, one_leaf, one_slice
from jaxsoftmax.checker.diagnosis.terms import wrong_term
from jaxsoftmax.checker.inputs.context import Session, Suspect
from jaxsoftmax.checker.report.finding import Aspect, Finding
from jaxsoftmax.checker.report.result import Diagnosis

__all__ = ["name_diagnoses"]

# Diagnoses that say where an error is.
_PLACES = ("entry", "row", "one leaf")
# Unit roundoffs that an error may have, the coarsest first; what is relatively larger than `_COARSE` is no rounding.
_COARSE = 2.0**-4
_DTYPES = (("bfloat16", 2.0**-9), ("float16 or TF32", 2.0**-12), ("float32", 2.0**-24))
# Dense second derivatives of the guesses take n columns each.
_GUESSED = 512


def name_diagnoses(session: Session, truth: Truth | None) -> list[Diagnosis]:
    """What the failing comparisons of a check look like; nothing where no explanation fits.

    Args:
        session: the check, its comparisons done.
        truth: of the gradient, for a scalar function.

    Returns:
        At most two diagnoses a rule: what explains all of its wrong entries, and where they are. An explanation was
        evaluated and agrees with the rule in every entry within both sides' rounding; nothing is said where none does.

    Example:
        >>> import jax.numpy as jnp, jaxsoftmax as js, numpy as np
        >>> x = np.float32([0.5, -1.0, 2.0])
        >>> js.crosscheck(lambda x: jnp.sum(x**4), x, gradient=lambda x: 4 * x**3 - 0.5 * x).diagnoses[0].name
        'missing regulariser'
    """
    failed = [f for f in session.findings if not f.check.passed]
    if not failed:
        return _only_kinks(session)
    out = _nonfinite(failed)
    nonlinear = [f for f in failed if f.subject.aspect is Aspect.LINEARITY]
    for finding in nonlinear[:1]:
        worst = finding.check.worst
        text = f"{finding.subject.rule} is not linear in its direction: {worst['ours']:.6g} where "
        text += f"{worst['theirs']:.6g} follows from linearity ({worst['path']})"
        out.append(Diagnosis("nonlinear", text))
    demoted = [] if out else _dtype(session, failed)
    said: list[Guess] = []
    for suspect in () if demoted else session.suspects:
        if out and (suspect.kind == "hvp" and nonlinear):
            continue  # its columns are no matrix
        # One error of a function's own rule shows in all that JAX derives from it.
        new = [found for found in _explained(session, suspect, truth) if found not in said]
        out += [found.about(suspect.name) for found in new]
        said += new
    out += demoted + _identities(failed, out)
    return out or _only_kinks(session)


def _explained(session: Session, suspect: Suspect, truth: Truth | None) -> list[Guess]:
    """At most two guesses at one rule: the first that explains every entry, and where the error is."""
    case = Case(session, suspect)
    if not suspect.formula and session.widen and _relative(suspect) < _COARSE:
        return []  # as large as the rounding of a narrower dtype: `_dtype` names it
    first = next(_guesses(case, truth), None)
    if first is None:
        return []
    if first.name in _PLACES:
        return [first]
    return [first, *itertools.islice(_found((entries, one_slice, one_leaf), case), 1)]


def _guesses(case: Case, truth: Truth | None) -> Iterator[Guess]:
    """Explanations in order: each either holds in every entry or only says where the error is."""
    flats: dict[bool, Flat | None] = {}

    def flat(unroll: bool = False) -> Flat | None:
        if unroll not in flats:
            flats[unroll] = _flat(case, truth, unroll)
        return flats[unroll]

    first = (constant_factor, lambda case: kink(case, flat()))
    yield from _found(
        (*first, leaf_factor, entries, transpose, shift, permutation, regulariser, one_slice, gauge), case
    )
    for unroll in (False, True):
        graph = flat(unroll)
        if graph is None or (unroll and not has_loop(flat() or graph)):
            continue
        for guess in (other_data, wrong_term, own_stops, stopped):
            try:
                found = guess(case, graph, truth)
            except Exception:  # a primitive without the rule that a guess needs, or memory: no name then
                continue
            if found is not None:
                yield found
    yield from _found((one_leaf, asymmetric, direction), case)


def _found(guesses: tuple[Callable[[Case], Guess | None], ...], case: Case) -> Iterator[Guess]:
    return (found for guess in guesses if (found := guess(case)) is not None)


def _flat(case: Case, truth: Truth | None, unroll: bool) -> Flat | None:
    session = case.session
    if (truth is not None and truth.route == DIFFERENCES) or session.fun.replay.opaque:
        return None
    if case.matrix and max(session.point.size, case.size // max(session.point.size, 1)) > _GUESSED:
        return None
    return flatten(session, unroll=unroll)


def _nonfinite(failed: list[Finding]) -> list[Diagnosis]:
    for check in (finding.check for finding in failed):
        ours, theirs = check.worst.get("ours"), check.worst.get("theirs")
        if ours is not None and not np.isfinite(ours) and theirs is not None and np.isfinite(theirs):
            where = f" at {check.worst['path']}" if check.worst.get("path") else ""
            return [Diagnosis("nonfinite", f"{check.quantity} is {ours}{where}, where {theirs:.6g} is right")]
    return []


def _identities(failed: list[Finding], out: list[Diagnosis]) -> list[Diagnosis]:
    """Symmetry and definiteness, when the comparisons that say so failed."""
    found = []
    for finding in failed:
        ours, theirs, path = (finding.check.worst.get(k) for k in ("ours", "theirs", "path"))
        if finding.subject.aspect is Aspect.SEMIDEFINITE:
            text = f"the smallest value of v'Hv / v'v that was found is {ours:.6g}, below 0 by more than rounding"
            found.append(Diagnosis("indefinite", text))
        elif finding.subject.aspect is Aspect.SYMMETRY and not out:
            text = f"{finding.subject.rule}: {ours:.6g} and {theirs:.6g} at {path}"
            found.append(Diagnosis("asymmetric", text))
    return list(dict.fromkeys(found))


def _dtype(session: Session, failed: list[Finding]) -> list[Diagnosis]:
    """The formula agrees in float64, and the rule as it runs does not: it computes in a narrower dtype somewhere.

    A formula that demotes and is off too, but by no more than the narrow dtype's spacing, has constants rounded to it.
    """
    runs = [f for f in failed if f.subject.dtype is not None and np.isfinite(f.check.measured)]
    others = [f for f in failed if f.subject.dtype is None]
    if not runs or session.kinks or not session.widen:
        return []
    worst = max(runs, key=lambda f: f.check.measured)
    narrow = sorted({dtype for s in session.suspects for dtype in s.traced.reduced})
    formulas = [s for s in session.suspects if s.formula]
    spacing = max((float(jnp.finfo(dtype).eps) for dtype in narrow), default=0.0)
    if others and not (formulas and all(_relative(s) <= spacing for s in formulas)):
        return []
    size = abs(worst.check.worst["theirs"])
    relative = worst.check.measured / size if size else np.inf
    if not narrow and any(_relative(s) >= _COARSE for s in session.suspects):
        return []
    near = next((n for n, u in reversed(_DTYPES) if relative <= 16 * u), "a lower precision")
    formula = "nearly right in float64 (constants rounded?)" if others else "right in float64"
    text = f"the formula is {formula}; as it runs, {worst.subject._replace(dtype=None).text} is off by "
    text += f"{relative:.1e} of its value, which looks like {' and '.join(narrow) or near}"
    return [Diagnosis("dtype", text)]


def _relative(suspect: Suspect) -> float:
    """The largest error relative to the largest entry of its leaf."""
    found = 0.0
    for mine, other in zip(suspect.ours, suspect.theirs, strict=True):
        size = float(np.max(np.abs(other), initial=0.0))
        error = float(np.max(np.abs(np.asarray(mine) - other), initial=0.0))
        found = max(found, error / size if size > 0 else np.inf if error > 0 else 0.0)
    return found


def _only_kinks(session: Session) -> list[Diagnosis]:
    return [not_smooth(kinked).about("fun") for kinked in session.kinks[:1]]

"""Names for errors: what a rule that disagrees looks like, the most specific explanation first."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsoftmax.checker.compare.autodiff import DIFFERENCES, Truth
from jaxsoftmax.checker.diagnosis.case import Case, Guess, guess
from jaxsoftmax.checker.diagnosis.data import other_axis, other_data, own_stops
from jaxsoftmax.checker.diagnosis.factors import constant_factor, leaf_factor, regulariser
from jaxsoftmax.checker.diagnosis.flat import flatten
from jaxsoftmax.checker.diagnosis.layout import gauge, permutation, shift, transpose
from jaxsoftmax.checker.diagnosis.linear import Linear
from jaxsoftmax.checker.diagnosis.paths import tampered, wrong_parts
from jaxsoftmax.checker.diagnosis.places import few_entries, one_leaf, row_factors, rows, some_entries
from jaxsoftmax.checker.inputs.context import Session, Suspect
from jaxsoftmax.checker.inputs.linear_maps import LinearMap
from jaxsoftmax.checker.report.finding import Aspect, Finding
from jaxsoftmax.checker.report.result import Diagnosis
from jaxsoftmax.reporting.digits import told_apart

__all__ = ["name_diagnoses"]

# Diagnoses that say where an error is.
_PLACES = ("entry", "row", "one leaf")
# Unit roundoffs that an error may have, the coarsest first; what is relatively larger than `_COARSE` is no rounding.
_COARSE = 2.0**-4
_DTYPES = (("bfloat16", 2.0**-9), ("float16 or TF32", 2.0**-12), ("float32", 2.0**-24))


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
        mine, other = told_apart(worst["ours"], worst["theirs"])
        text = f"{finding.subject.rule} is not linear in its direction: {mine} where {other} follows from linearity "
        text += f"({worst['path']})"
        out.append(Diagnosis("nonlinear", text))
    demoted = [] if out else _dtype(session, failed)
    said: list[Guess] = []
    for suspect in () if demoted else session.suspects:
        if out and (suspect.kind == "hvp" and nonlinear):
            continue  # its columns are no matrix
        if not session.clock.allows():
            session.note("no time was left in the budget to name the error")
            break
        # One error of a function's own rule shows in all that JAX derives from it.
        new = [found for found in _explained(session, suspect, truth) if found not in said]
        out += [found.about(suspect.name) for found in new]
        said += new
    out += demoted + _identities(failed, out, custom=bool(session.fun.replay.rules))
    return out or _only_kinks(session)


def _explained(session: Session, suspect: Suspect, truth: Truth | None) -> list[Guess]:
    """At most two guesses at one rule: the first that explains every entry, and where the error is."""
    if not suspect.formula and session.widen and _relative(suspect) < _COARSE:
        return []  # as large as the rounding of a narrower dtype: `_dtype` names it
    nonlinear = _attempt(_nonlinear, session, suspect)
    if nonlinear is not None:
        return [nonlinear]
    first = next(_guesses(session, suspect, truth), None)
    if first is None:
        return []
    if first.name in _PLACES:
        return [first]
    return [first, *itertools.islice(_found((rows, one_leaf), Case(session, suspect)), 1)]


def _nonlinear(session: Session, suspect: Suspect) -> Guess | None:
    """A jvp or vjp whose value along some direction is not what its values along the unit vectors add up to."""
    if suspect.kind not in ("jvp", "vjp") or not suspect.formula or not np.isfinite(suspect.ours[0]).all():
        return None
    inputs = session.point.leaves if suspect.kind == "jvp" else jax.tree.leaves(session.fun.out)
    product = LinearMap(session, suspect.traced.run, suspect.traced.consts, inputs)
    matrix, tolerance = suspect.ours[0], suspect.tolerance[0]
    direction = np.random.default_rng(0).standard_normal((1, matrix.shape[1]))
    ours, theirs = product.values(direction)[0], matrix @ direction[0]
    limit = (16 * tolerance + 2.0**-40 * np.abs(matrix)) @ np.abs(direction[0])
    ratio = np.abs(ours - theirs) - limit
    worst = int(ratio.argmax())
    if not ratio[worst] > 0:
        return None
    mine, other = told_apart(ours[worst], theirs[worst])
    text = "{rule} is not linear in its direction: {mine} where {other} follows from linearity"
    return guess("nonlinear", text, mine=mine, other=other)


def _guesses(session: Session, suspect: Suspect, truth: Truth | None) -> Iterator[Guess]:
    """Explanations in order: each either holds in every entry or only says where the error is."""
    case = Case(session, suspect)
    yield from _found((constant_factor, leaf_factor, transpose, shift, permutation, regulariser), case)
    linear = _attempt(_linear, case, truth)
    on_the_program = (wrong_parts, tampered) if linear is not None else ()
    for trial in (case,) if session.double else (case, Case(session, suspect, rounded=True)):
        yield from _found((constant_factor,) if trial is not case else (), trial)
        yield from _found(on_the_program, trial, linear)
    yield from _found((own_stops, other_axis, other_data), case, truth)
    yield from _found((row_factors, rows, few_entries, one_leaf), case)
    skew = any(f.subject.aspect is Aspect.SYMMETRY and not f.check.passed for f in session.findings)
    if not skew or session.fun.replay.rules:  # else `_identities` says more
        yield from _found((gauge, some_entries), case)


def _attempt(explain: Callable[..., Any], *args: Any) -> Any:
    """What a guess says; None where a primitive lacks the rule that it needs, or memory."""
    try:
        return explain(*args)
    except Exception:  # JAX says so in many ways
        return None


def _found(guesses: tuple[Callable[..., Guess | None], ...], *args: Any) -> Iterator[Guess]:
    return (found for explain in guesses if (found := _attempt(explain, *args)) is not None)


def _linear(case: Case, truth: Truth | None) -> Linear | None:
    session = case.session
    if not case.usable or (truth is not None and truth.route == DIFFERENCES) or session.fun.replay.opaque:
        return None
    flat = flatten(session, gradient=case.suspect.kind in ("hvp", "hessian"))
    return None if flat is None else Linear(session, flat)


def _nonfinite(failed: list[Finding]) -> list[Diagnosis]:
    for check in (finding.check for finding in failed):
        ours, theirs = check.worst.get("ours"), check.worst.get("theirs")
        if ours is not None and not np.isfinite(ours) and theirs is not None and np.isfinite(theirs):
            where = f" at {check.worst['path']}" if check.worst.get("path") else ""
            return [Diagnosis("nonfinite", f"{check.quantity} is {ours}{where}, where {theirs:.6g} is right")]
    return []


def _identities(failed: list[Finding], out: list[Diagnosis], *, custom: bool) -> list[Diagnosis]:
    """Symmetry and definiteness, when the comparisons that say so failed."""
    found = []
    for finding in failed:
        worst = finding.check.worst
        if finding.subject.aspect is Aspect.SEMIDEFINITE:
            text = (
                f"the smallest value of v'Hv / v'v that was found is {worst['ours']:.6g}, below 0 by more than rounding"
            )
            found.append(Diagnosis("indefinite", text))
        elif finding.subject.aspect is Aspect.SYMMETRY and not out and not custom:
            both = " and ".join(told_apart(worst["ours"], worst["theirs"]))
            text = f"{finding.subject.rule}: {both} at {worst['path']}"
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
    return [Diagnosis("kink", f"the function is not smooth here: {kinked}") for kinked in session.kinks[:1]]

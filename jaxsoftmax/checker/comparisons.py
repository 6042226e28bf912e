"""The comparisons of one check: each rule with the routes that suit it, and the rules with each other.

Guarded by `tests/checker/test_crosscheck.py`.
"""

from __future__ import annotations

from jaxsoftmax.checker.compare.autodiff import DIFFERENCES, Truth, find_truth
from jaxsoftmax.checker.compare.curvature import check_semidefinite, find_curvature
from jaxsoftmax.checker.compare.directional import check_along
from jaxsoftmax.checker.compare.first_order import Hand, check_gradient
from jaxsoftmax.checker.compare.jacobian import Outputs, check_dual, check_jvp, check_vjp
from jaxsoftmax.checker.compare.rules import Rule
from jaxsoftmax.checker.compare.second_order import check_consistent, check_hessian, check_hvp, check_values
from jaxsoftmax.checker.compare.witnesses import beside, check_at_the_point, where_curved
from jaxsoftmax.checker.inputs.context import Session
from jaxsoftmax.checker.inputs.linear_maps import LinearMap
from jaxsoftmax.checker.report.finding import Subject, not_compared


def compare_rules(
    session: Session, rules: list[Rule], truth: Truth | None, outputs: Outputs, *, psd: bool, given: bool
) -> list[Hand]:
    """Do them all; the findings go into the session.

    Args:
        session: the check.
        rules: the rules, first order first.
        truth: what a gradient is held to; None for a function with several outputs.
        outputs: what the function returns.
        psd: check that the Hessian is semidefinite too.
        given: the rules are the user's, so that one which cannot be held to anything is told in the verdict.

    Returns:
        The first-order rules, evaluated.
    """
    hands: list[Hand] = []
    settled = truth
    maps: dict[str, LinearMap] = {}
    sources = {kind: traced for kind, _, traced in rules}
    curvature = None
    first = session
    for kind, name, traced in rules:
        if not given and traced is not rules[0].traced and not first.clock.allows():
            reason = f"no time was left in the budget of {first.clock.budget.seconds:g} s"
            first.findings.append(not_compared("", Subject(name), reason))
            continue
        if first.branched and kind not in ("gradient", "value_and_gradient"):
            if settled is not None and settled.route == DIFFERENCES:
                reason = "the function is known by its values alone: only a gradient can be held to them"
                if given:
                    session.findings.append(not_compared("", Subject(name), reason))
                session.note(f"{name} was not checked: {reason}")
                continue
            if session is first:
                session = beside(first)
                truth = find_truth(session)
        if kind in ("gradient", "value_and_gradient") and truth is not None:
            hands.append(check_gradient(session, name, traced, truth, with_value=kind == "value_and_gradient"))
        elif kind in ("hvp", "hessian") and truth is not None:
            if curvature is None:
                session, truth = where_curved(session, truth)
                curvature = find_curvature(session, truth)
            if kind == "hessian":
                matrix = check_hessian(session, traced, curvature)
                if matrix is not None:
                    check_values(session, "hessian", lambda v, matrix=matrix: v @ matrix.T)
            else:
                maps["hvp"] = check_hvp(session, traced, curvature)
                check_values(session, "hvp", maps["hvp"].values)
        elif kind == "jvp":
            maps["jvp"] = check_jvp(session, traced, outputs)
        elif kind == "vjp":
            maps["vjp"] = check_vjp(session, traced, outputs)
        if session is not first and kind not in ("gradient", "value_and_gradient"):
            check_at_the_point(first, kind, name, traced, outputs.leaves)
    first.contradicted |= session.contradicted
    first.guarantee = first.guarantee or session.guarantee
    if "jvp" in maps and "vjp" in maps:
        check_dual(session, maps["jvp"], maps["vjp"], [sources["jvp"], sources["vjp"]])
    if hands and "hvp" in maps and not session.quick:
        check_consistent(session, hands[0].traced, sources["hvp"], maps["hvp"])
    if hands and settled is not None:
        check_along(first, hands, settled, maps.get("hvp") if session is first else None)
    if psd and truth is not None:
        check_semidefinite(session, curvature or find_curvature(session, truth))
    return hands

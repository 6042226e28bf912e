"""js.certify on random small problems beside a solve in 400 bits: is what it claims true, and how sharp is it?

200 problems whose minimiser exists: labels, smoothed labels, rational targets; integers, halves, tenths, columns a
thousand times larger; dependent columns, sample weights, L2, the self-regulariser. Each is certified by both methods of
the curvature, every claim is compared with a Newton iteration in Arb's numbers that shares no code with the library
(`Twin`), and check_minimiser.py reads every certificate. Then 200 problems that are separable by construction, half of
them quasi-completely, at weights where trainers stop: none may be certified.
"""

from __future__ import annotations

import pathlib
import statistics
import tempfile
import time
from collections import Counter
from fractions import Fraction
from typing import Any

import flint
import jax
import numpy as np

import jaxsoftmax as js
from benchmarks import harness
from benchmarks.minimiser_twin import BITS, Twin, as_ball, norm
from benchmarks.small_minimisers import Drawn, draw, draw_separable, start_of
from jaxsoftmax.proof.exact.data import ExactData
from jaxsoftmax.proof.exact.decimals import sqrt_bound
from jaxsoftmax.proof.minimum.curvature import certify_curvature, scaling_exponents
from jaxsoftmax.proof.minimum.enclose import enclose
from jaxsoftmax.proof.minimum.objective import proof_data
from jaxsoftmax.proof.minimum.prove import claims_of
from jaxsoftmax.proof.minimum.refine import Refined
from jaxsoftmax.proof.minimum.row_space import drop_dependent_columns, reduced_weights

PROBLEMS = 200
DIGITS = (8, 20, 60)
EDGES = {
    "full": (1, 1.01, 1.02, 1.03, 1.05, 1.1, 1.5, 2, 5, 10),
    "pairs": (1, 1.1, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000),
}
LISTED = 20


def contradictions(
    drawn: Drawn, certificate: js.Certificate, claim: dict[str, Fraction]
) -> tuple[list[str], int, dict[str, float]]:
    """Claims that the independent solve refutes, of how many, and how far they are from the truth."""
    columns, exponents = certificate.proof.data.columns.tolist(), certificate.proof.curvature.exponents
    flat = [0] * len(columns)
    twin = Twin(drawn, columns)
    exact = certificate.exact_weights()
    start = flint.arb_mat([[as_ball(row[d]) for d in columns] for row in exact])
    best, last = twin.minimiser(start)
    away, away_flat = norm(best - start, exponents), norm(best - start, flat)
    at_start, minimum = twin.loss(start), twin.loss(best)
    low, _ = twin.eigenvalues(start, exponents)
    low_flat, high_flat = twin.eigenvalues(start, flat)
    g = twin.gradient(start)
    scaled = norm(g, [-int(e) for e in exponents])
    inverse = [as_ball(Fraction(2) ** -int(e)) for e in exponents]
    rows = [[x * v for x, v in zip(row, inverse, strict=True)] for row in twin.X.tolist()]
    beta = (2 * max((sum((x * x for x in row), as_ball(0)) for row in rows), key=float)).sqrt()
    top = as_ball(claim["curvature_upper"])
    holds = {
        "the solve converged": last < 1e-100,
        "W* is inside the radius": away <= as_ball(claim["radius"]),
        "W* is inside the Euclidean radius": away_flat <= as_ball(claim["radius_euclidean"]),
        "L* is not below loss_lower": minimum >= as_ball(claim["loss_lower"]),
        "L* is not above loss_upper": minimum <= as_ball(claim["loss_upper"]),
        "μ is below λ_min": float(claim["curvature"]) <= low * (1 + 1e-12),
        "Euclidean μ is below λ_min": float(claim["curvature_euclidean"]) <= low_flat * (1 + 1e-12),
        "Λ is above λ_max": float(claim["curvature_upper"]) >= high_flat * (1 - 1e-12),
        "the condition is above λ_max/λ_min": float(claim["condition"]) >= high_flat / low_flat * (1 - 1e-12),
        "q is above β‖g‖/μ": beta * scaled / as_ball(claim["curvature"]) <= as_ball(claim["q"]),
    }
    if not certificate.dropped:  # descent moves along dropped columns too
        moved = start - g * (1 / top)
        for step in (1, 2, 3):
            bound = as_ball(claim["rate"]) ** step * away_flat
            holds[f"descent contracts by the rate, step {step}"] = norm(best - moved, flat) <= bound
            moved = moved - twin.gradient(moved) * (1 / top)
    gap = float(at_start - minimum)
    ratios = {
        "λ_min/μ": low / float(claim["curvature"]),
        "radius/distance": float(as_ball(claim["radius"]) / away) if away > 0 else float("nan"),
        "width of the interval/(L(Ŵ) − L*)": float(claim["loss_upper"] - claim["loss_lower"]) / gap if gap > 0 else 0.0,
        "weights of an accuracy of, decimals": -float(away.log() / as_ball(10).log()),
    }
    return [what for what, true in holds.items() if not true], len(holds), ratios


def falsified(claim: dict[str, Fraction]) -> dict[str, Fraction]:
    """Every claim made false: bounds from above 10¹² times smaller, from below 10¹² times larger, ends exchanged."""
    below, ends = ("curvature", "curvature_euclidean"), ("loss_lower", "loss_upper")
    wrong = {name: value * 10**12 if name in below else value / 10**12 for name, value in claim.items()}
    wrong["q"] /= 10**12  # the false μ makes β‖g‖/μ smaller too
    return wrong | {ends[0]: claim[ends[1]] + 1, ends[1]: claim[ends[0]] - 1}


def with_minimiser(seeds: int) -> dict[str, Any]:
    """Problems until `seeds` of them have a minimiser, each certified by both methods."""
    from jaxsoftmax.proof.checkers.check_minimiser import check

    ratios: dict[str, list[dict[str, float]]] = {"full": [], "pairs": []}
    wrong, refused_by_checker, not_proved, kinds = [], [], [], Counter()
    seconds: dict[str, list[float]] = {"make": [], "check": []}
    without_certified, without, done, seed, noticed, of_false = [], 0, 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        while done < seeds:
            seed += 1
            drawn = draw(seed)
            attained = js.decide_existence(drawn.problem).status is js.Existence.ATTAINED
            start = start_of(drawn, steps=40)
            done += attained
            without += not attained
            drawn.problem.dump(folder / "data.txt")
            for method in ("full", "pairs"):
                began = time.perf_counter()
                try:
                    certificate = js.certify(drawn.problem, start, digits=DIGITS[seed % len(DIGITS)], method=method)
                except js.NotProved as error:
                    if attained:
                        not_proved.append(f"seed {seed}, {method} ({drawn.kind}): {error}")
                    continue
                seconds["make"].append(time.perf_counter() - began)
                if not attained:
                    without_certified.append(f"seed {seed}, {method} ({drawn.kind})")
                    continue
                kinds[drawn.kind.partition("(")[0]] += 1
                kinds["with dependent columns"] += bool(certificate.dropped)
                claim = {name: Fraction(value) for name, value in certificate.proof.claims._asdict().items()}
                errors, _, found = contradictions(drawn, certificate, claim)
                if method == "full":  # does the twin notice?
                    seen, asked, _ = contradictions(drawn, certificate, falsified(claim))
                    noticed += len(seen)
                    of_false += asked - 1  # all but that the solve converged
                wrong += [f"seed {seed}, {method} ({drawn.kind}): {what}" for what in errors]
                ratios[method].append(found)
                certificate.save(folder / "certificate.json")
                began = time.perf_counter()
                try:
                    check(folder / "certificate.json", folder / "data.txt")
                except ValueError as error:
                    refused_by_checker.append(f"seed {seed}, {method} ({drawn.kind}): {error}")
                seconds["check"].append(time.perf_counter() - began)
    return {
        "problems": done,
        "certificates": {method: len(found) for method, found in ratios.items()},
        "certificates of each kind": dict(sorted(kinds.items())),
        "drawn without a minimiser": without,
        "claims refuted": wrong[:LISTED],
        "claims made false on purpose": {"refuted": noticed, "of": of_false},
        "certificates the checker refuses": refused_by_checker[:LISTED],
        "a minimiser, but not proved": not_proved[:LISTED],
        "no minimiser, yet certified": without_certified[:LISTED],
        "seconds": {name: round(statistics.median(values), 4) for name, values in seconds.items()},
        "sharpness": {method: sharpness(method, found) for method, found in ratios.items()},
    }


def sharpness(method: str, found: list[dict[str, float]]) -> dict[str, Any]:
    """Median and largest of each ratio, and the histogram of λ_min/μ."""
    named = {}
    for name in found[0]:
        values = [one[name] for one in found if np.isfinite(one[name])]
        named[name] = {"least": min(values), "median": statistics.median(values), "largest": max(values)}
    edges = (*EDGES[method], float("inf"))
    counts, _ = np.histogram([one["λ_min/μ"] for one in found], bins=edges)
    cells = {f"{a:g} to {b:g}": int(n) for a, b, n in zip(edges, edges[1:], counts, strict=False)}
    return named | {"histogram of λ_min/μ": cells}


def judged_as_given(problem: js.Problem, W: np.ndarray, method: str) -> str:
    """What S13 says at W itself: js.certify moves W first, and gives up where its steps do not gain."""
    everything = proof_data(ExactData(problem))
    data, dropped = drop_dependent_columns(everything)
    exponents, W = scaling_exponents(data), reduced_weights(W, data, dropped)
    integers = np.array([[int(Fraction(float(w)) * 2**BITS) for w in row] for row in W], dtype=object)
    integers[-1] = -integers[:-1].sum(axis=0)
    found = enclose(data, integers, BITS, BITS)
    curvature = certify_curvature(data, found.probabilities, found.precision, exponents, method)
    if curvature is None:
        return "no curvature proved"
    unit = [1 / (q * Fraction(2) ** int(e)) for q, e in zip(data.scales, exponents, strict=True)]
    squares = [sum(((int(a) * u) ** 2 for a, u in zip(row, unit, strict=True)), Fraction(0)) for row in data.A]
    beta = sqrt_bound(2 * max(squares))
    try:
        claims_of(data, everything, Refined(integers, BITS, found, 0), found, curvature, beta)
    except js.NotProved as error:
        return "q is not below 1" if "q =" in str(error) else str(error)
    return "proved"


def separable(seeds: int) -> dict[str, Any]:
    """Separable problems at the weights after 0 to 40 Newton steps: what is certified, and how the others end."""
    certified, ends, given, attained = [], Counter(), Counter(), 0
    for seed in range(seeds):
        problem, complete = draw_separable(seed)
        attained += js.decide_existence(problem).status is js.Existence.ATTAINED
        for steps in (0, 5, 12, 40):
            start = start_of(_plain(problem), steps=steps)
            for method in ("full", "pairs"):
                try:
                    js.certify(problem, start, digits=10, method=method)
                    certified.append(f"seed {seed}, {steps} steps, {method}, complete {complete}")
                except js.NotProved as error:
                    ends[str(error).partition(":")[2].partition(":")[0].partition("(")[0].strip()[:70]] += 1
                outcome = judged_as_given(problem, start, method)
                given[outcome] += 1
                if outcome == "proved":
                    certified.append(f"seed {seed}, {steps} steps, {method}, as given")
    return {
        "problems": seeds,
        "attempts": seeds * 8,
        "certified": certified[:LISTED],
        "refusals": dict(ends.most_common(12)),
        "S13 at the weights as given": dict(given.most_common(12)),
        "decide_existence says ATTAINED": attained,
    }


def _plain(problem: js.Problem) -> Drawn:
    """Labels and an X of small integers, in fractions."""
    X = [[Fraction(float(x)) for x in row] for row in np.asarray(problem.X)]
    T = [[Fraction(float(t)) for t in row] for row in np.asarray(problem.T)]
    return Drawn(problem, X, T, [Fraction(1)] * len(X), [Fraction(0)] * len(X[0]), "labels")


def run(options: Any) -> dict[str, Any]:
    del options  # seeded: nothing to repeat
    before, flint.ctx.prec = flint.ctx.prec, BITS
    try:
        with jax.enable_x64(True):
            began = time.perf_counter()
            random = with_minimiser(PROBLEMS)
            apart = separable(PROBLEMS)
            seconds = round(time.perf_counter() - began, 1)
    finally:
        flint.ctx.prec = before
    made = random["claims made false on purpose"]
    sharp = {method: random["sharpness"][method]["λ_min/μ"] for method in ("full", "pairs")}
    return {
        "settings": f"N <= 40, D <= 4 and perhaps an intercept, C <= 4; {DIGITS} digits in turn; twin: {BITS} bits",
        "seconds": seconds,
        "with a minimiser": random,
        "separable": apart,
        "targets": [
            harness.target("claims that the solve refutes", len(random["claims refuted"]), 0),
            harness.target("claims made false on purpose that it does not refute", made["of"] - made["refuted"], 0),
            harness.target("certificates that the checker refuses", len(random["certificates the checker refuses"]), 0),
            harness.target("minimisers that were not proved", len(random["a minimiser, but not proved"]), 0),
            harness.target("certified without a minimiser", len(random["no minimiser, yet certified"]), 0),
            harness.target("separable, yet certified", len(apart["certified"]), 0),
            harness.target("full: largest λ_min/μ", sharp["full"]["largest"], 10),
            harness.target("pairs: largest λ_min/μ", sharp["pairs"]["largest"], 1000),
            harness.target("least λ_min/μ of both", min(s["least"] for s in sharp.values()), 1, at_least=True),
        ],
    }

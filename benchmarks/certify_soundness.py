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
import mpmath
import numpy as np

import jaxsoftmax as js
from benchmarks import harness
from benchmarks.small_minimisers import Drawn, draw, draw_separable, start_of

PROBLEMS = 200
BITS = 500  # of the independent solve: 150 decimals
DIGITS = (8, 20, 60)
EDGES = {
    "full": (1, 1.01, 1.02, 1.03, 1.05, 1.1, 1.5, 2, 5, 10),
    "pairs": (1, 1.1, 1.5, 2, 3, 5, 10, 20, 50, 100, 1000),
}
LISTED = 20


def _arb(x: Any) -> flint.arb:
    x = Fraction(x)
    return flint.arb(flint.fmpq(x.numerator, x.denominator))


class Twin:
    """Loss, gradient, Hessian and minimiser on some columns of what was drawn, at BITS bits (S1, S2, S4)."""

    def __init__(self, drawn: Drawn, columns: list[int]) -> None:
        self.X = flint.arb_mat([[_arb(row[d]) for d in columns] for row in drawn.X])
        self.T = [[_arb(t) for t in row] for row in drawn.T]
        self.s = [_arb(w) for w in drawn.s]
        self.alpha = [_arb(drawn.alpha[d]) for d in columns]
        self.K, self.C = len(columns), len(drawn.T[0])
        # Rows of Q: Helmert's basis of {1ᵀv = 0}.
        self.Q = [
            [
                (_arb(1) if i <= k else _arb(-k - 1) * (i == k + 1)) / _arb((k + 1) * (k + 2)).sqrt()
                for i in range(self.C)
            ]
            for k in range(self.C - 1)
        ]

    def _softmax(self, W: Any) -> tuple[list[list[Any]], Any]:
        """(Y, L(W))."""
        Z, Y, total = (self.X * W.transpose()).tolist(), [], _arb(0)
        for z, t, s in zip(Z, self.T, self.s, strict=True):
            powers = [v.exp() for v in z]
            mass = sum(powers, _arb(0))
            Y.append([p / mass for p in powers])
            total += s * (mass.log() - sum((a * b for a, b in zip(t, z, strict=True)), _arb(0)))
        for row in W.tolist():
            total += sum((a * w * w for a, w in zip(self.alpha, row, strict=True)), _arb(0)) / 2
        return Y, total

    def loss(self, W: Any) -> Any:
        """L(W)."""
        return self._softmax(W)[1]

    def gradient(self, W: Any) -> Any:
        """(Y − T)ᵀ diag(s) X + W diag(alpha)."""
        Y, _ = self._softmax(W)
        R = flint.arb_mat(
            [[s * (y - t) for y, t in zip(ys, ts, strict=True)] for ys, ts, s in zip(Y, self.T, self.s, strict=True)]
        )
        penalty = flint.arb_mat([[a * w for a, w in zip(self.alpha, row, strict=True)] for row in W.tolist()])
        return R.transpose() * self.X + penalty

    def hessian(self, W: Any) -> Any:
        """((C − 1)K, (C − 1)K): Q H Qᵀ, block (i, j) of H being Xᵀ diag(s(δ_ij y_i − y_i y_j)) X, and alpha."""
        Y, _ = self._softmax(W)
        K, C = self.K, self.C
        H = flint.arb_mat((C - 1) * K, (C - 1) * K)
        rows = self.X.tolist()
        for i in range(C):
            for j in range(C):
                w = [s * ((i == j) * y[i] - y[i] * y[j]) for s, y in zip(self.s, Y, strict=True)]
                weighted = flint.arb_mat([[v * x for x in row] for v, row in zip(w, rows, strict=True)])
                block = (weighted.transpose() * self.X).tolist()
                for a in range(C - 1):
                    for b in range(C - 1):
                        q = self.Q[a][i] * self.Q[b][j]
                        for d in range(K):
                            for e in range(K):
                                H[a * K + d, b * K + e] += q * (block[d][e] + (i == j) * (d == e) * self.alpha[d])
        return H

    def minimiser(self, W: Any) -> tuple[Any, Any]:
        """(W*, last step's largest entry) by Newton's method on {1ᵀV = 0} from W."""
        K, C, Q = self.K, self.C, self.Q
        for _ in range(60):
            g = self.gradient(W).tolist()
            right = [sum((Q[a][c] * g[c][d] for c in range(C)), _arb(0)) for a in range(C - 1) for d in range(K)]
            u = self.hessian(W).solve(flint.arb_mat([[v] for v in right]))
            V = [[sum((Q[a][c] * u[a * K + d, 0] for a in range(C - 1)), _arb(0)) for d in range(K)] for c in range(C)]
            W = flint.arb_mat(
                [[(w - v).mid() for w, v in zip(ws, vs, strict=True)] for ws, vs in zip(W.tolist(), V, strict=True)]
            )
            step = max(abs(float(v.mid())) for row in V for v in row)
            if step < 2.0 ** (40 - BITS):
                return W, step
        return W, step

    def eigenvalues(self, W: Any, exponents: Any) -> tuple[float, float]:
        """Smallest and largest eigenvalue in ‖VΣ‖_F on {1ᵀV = 0}, at 50 digits."""
        H = self.hessian(W)
        unit = [Fraction(2) ** -int(e) for _ in range(self.C - 1) for e in exponents]
        with mpmath.workdps(50):
            rows = [
                [mpmath.mpf((H[i, j] * _arb(unit[i] * unit[j])).mid().str(50, radius=False)) for j in range(len(unit))]
                for i in range(len(unit))
            ]
            found = mpmath.eigsy(mpmath.matrix(rows), eigvals_only=True)
            return float(min(found)), float(max(found))


def _norm(V: Any, exponents: Any) -> Any:
    """‖VΣ‖_F."""
    total = _arb(0)
    for row in V.tolist():
        for v, e in zip(row, exponents, strict=True):
            total += (v * _arb(Fraction(2) ** int(e))) ** 2
    return total.sqrt()


def contradictions(
    drawn: Drawn, certificate: js.Certificate, claim: dict[str, Fraction]
) -> tuple[list[str], int, dict[str, float]]:
    """Claims that the independent solve refutes, of how many, and how far they are from the truth."""
    columns, exponents = certificate.proof.data.columns.tolist(), certificate.proof.curvature.exponents
    flat = [0] * len(columns)
    twin = Twin(drawn, columns)
    exact = certificate.exact_weights()
    start = flint.arb_mat([[_arb(row[d]) for d in columns] for row in exact])
    best, last = twin.minimiser(start)
    away, away_flat = _norm(best - start, exponents), _norm(best - start, flat)
    at_start, minimum = twin.loss(start), twin.loss(best)
    low, _ = twin.eigenvalues(start, exponents)
    low_flat, high_flat = twin.eigenvalues(start, flat)
    g = twin.gradient(start)
    scaled = _norm(g, [-int(e) for e in exponents])
    rows = [[x * _arb(Fraction(2) ** -int(e)) for x, e in zip(row, exponents, strict=True)] for row in twin.X.tolist()]
    beta = (2 * max((sum((x * x for x in row), _arb(0)) for row in rows), key=float)).sqrt()
    top = _arb(claim["curvature_upper"])
    holds = {
        "the solve converged": last < 1e-100,
        "W* is inside the radius": away <= _arb(claim["radius"]),
        "W* is inside the Euclidean radius": away_flat <= _arb(claim["radius_euclidean"]),
        "L* is not below loss_lower": minimum >= _arb(claim["loss_lower"]),
        "L* is not above loss_upper": minimum <= _arb(claim["loss_upper"]),
        "μ is below λ_min": float(claim["curvature"]) <= low * (1 + 1e-12),
        "Euclidean μ is below λ_min": float(claim["curvature_euclidean"]) <= low_flat * (1 + 1e-12),
        "Λ is above λ_max": float(claim["curvature_upper"]) >= high_flat * (1 - 1e-12),
        "the condition is above λ_max/λ_min": float(claim["condition"]) >= high_flat / low_flat * (1 - 1e-12),
        "q is above β‖g‖/μ": beta * scaled / _arb(claim["curvature"]) <= _arb(claim["q"]),
    }
    if not certificate.dropped:  # descent moves along dropped columns too
        moved = start - g * (1 / top)
        for step in (1, 2, 3):
            bound = _arb(claim["rate"]) ** step * away_flat
            holds[f"descent contracts by the rate, step {step}"] = _norm(best - moved, flat) <= bound
            moved = moved - twin.gradient(moved) * (1 / top)
    gap = float(at_start - minimum)
    ratios = {
        "λ_min/μ": low / float(claim["curvature"]),
        "radius/distance": float(_arb(claim["radius"]) / away) if away > 0 else float("nan"),
        "width of the interval/(L(Ŵ) − L*)": float(claim["loss_upper"] - claim["loss_lower"]) / gap if gap > 0 else 0.0,
        "weights of an accuracy of, decimals": -float(away.log() / _arb(10).log()),
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
    from jaxsoftmax.proof.check_minimiser import check

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


def separable(seeds: int) -> dict[str, Any]:
    """Separable problems at the weights after 0 to 40 Newton steps: what is certified, and how the others end."""
    certified, ends, attained = [], Counter(), 0
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
    return {
        "problems": seeds,
        "attempts": seeds * 8,
        "certified": certified[:LISTED],
        "refusals": dict(ends.most_common(12)),
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

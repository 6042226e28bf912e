"""One random problem put to `js.decide_existence`, its certificate to the checker, and both to the exact oracle."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

import jaxsoftmax as js
from helpers.certificates.exact_oracle import Answer, decide
from helpers.certificates.random_problems import SmallProblem
from jaxsoftmax.proof.checkers import check_existence
from jaxsoftmax.proof.separation.thresholds import Threshold

TYPES = {"attained": "none", "complete": "complete", "quasi-complete": "quasi-complete"}


class Outcome(NamedTuple):
    """What became of a seed.

    truth: the oracle's verdict.   said: the library's: "ATTAINED none", "NOT_ATTAINED open", "UNDECIDED", …
    errors: every contradiction to the oracle or to S12, refusal of the checker, or exception; empty when all is well.
    undecided: no verdict, or complete or not left open.   maximal: a quasi-complete face is proved maximal.
    reason: how the library says that it decided.
    seconds, check_seconds: of `decide_existence` and of `check`.
    """

    seed: int
    truth: str
    said: str
    errors: tuple[str, ...]
    undecided: bool
    maximal: bool | None
    reason: str
    seconds: float
    check_seconds: float


def judge(drawn: SmallProblem, folder: Path) -> Outcome:
    """Decide, save, dump and check a problem; files in `folder` are overwritten."""
    seed = drawn.seed
    X, supports, C = drawn.exact()
    truth = decide(X, supports, C)
    problem = drawn.build()
    began = time.perf_counter()
    try:
        with jax.enable_x64(drawn.x64):
            verdict = js.decide_existence(problem, decimal=drawn.decimal)
            json.dumps([repr(verdict), verdict.explain(), verdict.to_dict()])  # every verdict can be told
    except Exception as error:
        return Outcome(seed, truth.verdict, "error", (_words("decide", error),), True, None, "", 0.0, 0.0)
    seconds = time.perf_counter() - began
    said = " ".join(filter(None, (verdict.status.name, verdict.type)))
    errors, check_seconds = contradictions(drawn, verdict, truth), 0.0
    undecided = verdict.status is js.Existence.UNDECIDED or verdict.type == "open"
    if verdict.status is not js.Existence.UNDECIDED:
        certificate, data = folder / "certificate.json", folder / "data.txt"
        try:
            verdict.save(certificate)
            problem.dump(data, decimal=drawn.decimal)
            began = time.perf_counter()
            checked = check_existence.check(certificate, data)
            check_seconds = time.perf_counter() - began
            if (checked.status, checked.type, checked.face_maximal) != (*said.split(), verdict.face_maximal):
                errors.append(f"the checker proved {checked.status} {checked.type}")
        except Exception as error:
            errors.append(_words("check", error))
    return Outcome(
        seed,
        truth.verdict,
        said,
        tuple(errors),
        undecided,
        verdict.face_maximal,
        verdict.reason,
        seconds,
        check_seconds,
    )


def contradictions(drawn: SmallProblem, verdict: js.ExistenceVerdict, truth: Answer) -> list[str]:
    """What a verdict says that the oracle's answer refutes; nothing where it leaves the matter undecided."""
    found = []
    if verdict.status is js.Existence.ATTAINED and truth.separated:
        found.append("ATTAINED, but a direction separates")
    if verdict.status is js.Existence.NOT_ATTAINED:
        if not truth.separated:
            found.append("NOT_ATTAINED, but no direction separates")
        if verdict.type != "open" and verdict.type != TYPES[truth.verdict]:
            found.append(f"type {verdict.type}, but the separation is {truth.verdict}")
        place = {row: n for n, row in enumerate(drawn.active())}
        if not {n for n, _ in np.argwhere(verdict.separated).tolist()} <= set(place):
            found.append("a row of weight 0 is separated")
        else:
            pairs = {(place[n], j) for n, j in np.argwhere(verdict.separated).tolist()}
            if not pairs:
                found.append("NOT_ATTAINED, but no pair is separated")
            if not pairs <= truth.separated:
                found.append("pairs are separated that no direction separates")
            if (verdict.face_maximal or verdict.type == "complete") and pairs != truth.separated:
                found.append("some direction separates more pairs than a verdict said to be maximal")
    if verdict.found is not None:
        found += [f"no threshold: {t}" for t in verdict.found.thresholds if not _divides(drawn, t)]
        nonzero = [(min(drawn.supports[n]), f) for n in drawn.active() for f in np.flatnonzero(drawn.X[n]).tolist()]
        found += [f"active: class {c}, feature {f}" for c, f in verdict.found.never.tolist() if (c, f) in nonzero]
    return found


def _divides(drawn: SmallProblem, threshold: Threshold) -> bool:
    """S12: the classes above lie in x_f >= θ, the others in x_f <= θ, strictly where the threshold says so."""
    for n in drawn.active():
        above = drawn.number(drawn.X[n, threshold.feature]) - threshold.theta
        (label,) = drawn.supports[n]
        if not (label in threshold.above or label in threshold.below) or (threshold.strict and above == 0):
            return False
        if (above < 0 and label in threshold.above) or (above > 0 and label in threshold.below):
            return False
    return True


def _words(stage: str, error: Exception) -> str:
    return f"{stage}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"

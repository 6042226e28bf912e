"""S13, S14, S15: `js.certify` on random small problems: the standalone checker and mpmath in 60 digits both agree."""

import json
import random
from fractions import Fraction

import jax
import numpy as np
import pytest

import jaxsoftmax as js

pytest.importorskip("flint")
pytest.importorskip("mpmath")

from mpmath import mp

from helpers.certificates.minimiser_corruptions import problem, untrue
from helpers.certificates.minimisers import DIGITS, exact, newton
from jaxsoftmax.proof.checkers.check_minimiser import check


def built(seed):
    """The problem of a seed in floats, weights near its minimiser, and the method; None where it is not covered."""
    tiny, options = problem(random.Random(seed))
    flags = {line[-1] for line in tiny.regularizers if line.startswith("l2")}
    if len(flags) > 1:  # two L2 penalties that treat the intercept differently
        return None
    penalties = []
    for line in tiny.regularizers:
        name, strength, *flag = line.split()
        strength = float(Fraction(strength))
        penalties.append(js.L2(strength, flag == ["1"]) if name == "l2" else js.SelfRegularizer(strength))
    made = js.Problem(
        np.array(tiny.X, float),
        np.array(tiny.T, float),
        intercept=True,
        sample_weight=None if tiny.weights is None else np.array(tiny.weights, float),
        regularizer=penalties or None,
    )
    with mp.workdps(DIGITS):
        kept = options.kept or list(range(made.D))
        W = np.zeros((made.C, made.D))
        W[:, kept] = np.array(newton(exact(tiny), kept), float)
    return made, W, options.method


def agree(seeds, folder):
    """How many certificates of each method were made, all of them verified and true."""
    counts = dict.fromkeys(("full", "pairs", "not proved"), 0)
    for seed in seeds:
        with jax.enable_x64(True):
            found = built(seed)
            if found is None:
                continue
            try:
                certificate = js.certify(found[0], found[1], digits=25, method=found[2], decimal=seed % 2 == 1)
            except js.NotProved:  # read as doubles, dependent columns may be nearly so
                counts["not proved"] += 1
                continue
        certificate.save(folder / "certificate.json")
        found[0].dump(folder / "data.txt", decimal=seed % 2 == 1)
        assert check(folder / "certificate.json", folder / "data.txt").claims["digits"] >= 25, seed
        stated = json.loads((folder / "certificate.json").read_text(encoding="utf-8"))
        lines = (folder / "data.txt").read_text(encoding="ascii").split("\n")
        assert untrue(stated, lines) == "", seed
        counts[stated["witness"]["curvature"]["method"]] += 1
    return counts


def test_an_error_bound_below_every_double_is_not_none():
    """S13: at 700 digits the radius is some 10⁻³⁵⁰, and 0, the nearest double, would say that the weight is exact."""
    certificate = js.certify(js.Problem([[1.0]], [[0.25, 0.75]]), np.array([[-0.55], [0.55]]), digits=700)
    (exact,) = certificate._exact_error_bounds().values()
    assert 0 < exact < Fraction(1, 10**340)
    assert certificate.weight_error_bounds().tolist() == [5e-324]


def test_the_library_s_certificates_are_verified_and_true(tmp_path):
    counts = agree(range(12), tmp_path)
    assert min(counts["full"], counts["pairs"]) >= 2
    assert counts["not proved"] == 0


@pytest.mark.slow
def test_two_hundred_certificates_are_verified_and_true(tmp_path):
    counts = agree(range(100, 330), tmp_path)
    assert counts["full"] + counts["pairs"] >= 180
    assert counts["not proved"] <= 4

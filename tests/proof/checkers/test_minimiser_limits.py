"""S13-S15: no certificate makes the checker of minimisers work longer than its digits need, or fail without a word."""

import copy
import json
from fractions import Fraction

import pytest

from helpers.certificates.certificates import save
from jaxsoftmax.proof.checkers.check_curvature import shows_semidefinite
from jaxsoftmax.proof.checkers.check_existence import RefusedCertificate
from jaxsoftmax.proof.checkers.check_minimiser import check

pytest.importorskip("flint")
pytest.importorskip("mpmath")

from helpers.certificates.minimisers import made


def minimiser(name):
    tiny, text = made(name)
    return copy.deepcopy(tiny), json.loads(text)


def verify(folder, tiny, certificate):
    return check(*save(folder, certificate, tiny.dump()))


def test_coefficients_beyond_4300_digits_are_read(tmp_path):
    """S6: a column is Σ p/q of others for p and q of any length; what CPython does not print was refused."""
    tiny, certificate = minimiser("dependent columns, pairs")
    assert certificate["witness"]["dropped"]
    for entry in certificate["witness"]["dropped"]:
        entry["entries"] = [[i, hex(int(str(p), 0) * 10**5000)] for i, p in entry["entries"]]
        entry["denominator"] = hex(int(str(entry["denominator"]), 0) * 10**5000)
    assert verify(tmp_path, tiny, certificate)
    certificate["witness"]["dropped"][0]["entries"][0][0] = 10**6
    with pytest.raises(RefusedCertificate, match="dropped: an entry of column"):
        verify(tmp_path, tiny, certificate)


def test_the_witness_is_no_longer_than_its_digits_need(tmp_path):
    tiny, certificate = minimiser("two classes")
    digits = certificate["claims"]["digits"]
    most = 8192 + 8 * digits
    assert certificate["witness"]["precision"] < most / 10
    for key in ("precision", "bits"):
        bad = copy.deepcopy(certificate)
        bad["witness"][key] = most + 1
        with pytest.raises(RefusedCertificate, match=f"bits and precision: must be in .* for {digits} digits"):
            verify(tmp_path, tiny, bad)
    bad = copy.deepcopy(certificate)
    bad["witness"]["weights"] = [[hex(2**9000)] * 2, [hex(-(2**9000))] * 2]
    with pytest.raises(RefusedCertificate, match="9001 bits of a weight"):
        verify(tmp_path, tiny, bad)


def test_long_rationals_of_the_curvature_cost_nothing(tmp_path):
    """S14: m rounded down and μ rounded up to 64 bits; a claim between stays proved, and one above is not."""
    tiny, certificate = minimiser("all pairs")
    curvature = certificate["witness"]["curvature"]
    odd = [(1 << 6000) + 2 * k + 1 for k in range(4)]
    for holder, q in zip([curvature, *curvature["pairs"]], odd, strict=True):
        key = "mu" if "mu" in holder else "m"
        exact = Fraction(holder[key])
        holder[key] = str(Fraction(int(exact * q * (1 - Fraction(1, 10**12))), q))
        assert 0 < exact - Fraction(holder[key]) < exact / 10**9
    claims = certificate["claims"]
    for key, factor in {
        "curvature": 1,
        "curvature_euclidean": 1,
        "q": -1,
        "radius": -1,
        "radius_euclidean": -1,
    }.items():
        claims[key] = str(Fraction(claims[key]) * (1 - factor * Fraction(1, 10**11)))
    claims["condition"] = str(Fraction(claims["condition"]) * (1 + Fraction(1, 10**10)))
    claims["rate"] = str(1 - (1 - Fraction(claims["rate"])) * (1 - Fraction(1, 10**10)))
    claims["loss_lower"] = str(Fraction(claims["loss_lower"]) - Fraction(1, 10**30))
    claims["digits"] = 20
    assert verify(tmp_path, tiny, certificate)
    curvature["pairs"][0]["m"] = f"{1 << 5000}"
    with pytest.raises(RefusedCertificate, match="a number is beyond 2"):
        verify(tmp_path, tiny, certificate)


def test_pairs_are_counted(tmp_path):
    tiny, certificate = minimiser("a tree")
    certificate["witness"]["curvature"]["pairs"] *= 5
    with pytest.raises(RefusedCertificate, match="10 pairs of 3 classes"):
        verify(tmp_path, tiny, certificate)


@pytest.mark.parametrize("entry", [10**400, -(10**400), 2**1100])
def test_entries_that_no_float_holds_are_not_semidefinite(entry):
    """S15b: |p_ij|² ≤ p_ii p_jj fails; the quotient of the integers was an OverflowError."""
    assert not shows_semidefinite([[1, entry], [entry, 1]])
    assert not shows_semidefinite([[-1, entry], [entry, -1]])
    assert shows_semidefinite([[abs(entry) * 2, entry], [entry, abs(entry) * 2]])


def test_a_minimiser_by_smoothing_is_said_to_be_one(tmp_path):
    tiny, certificate = minimiser("two classes")
    found = verify(tmp_path, tiny, certificate)
    assert (found.helped_by, found.label_smoothing, found.l2, found.classes) == ("", None, "0", None)
    assert str(found).splitlines()[0] == "VERIFIED: the loss has a minimiser"

"""As section 7.6 has it: whatever the checkers are given, they end soon, with a verdict or one sentence."""

from collections import Counter

import pytest

from helpers.certificates.mutations import existence_cases, minimiser_cases, run

# The longest honest check of these problems takes 0.02 s; the rest is room for a busy machine.
SECONDS = 2.0


def ends(cases, seeds, folder):
    outcomes = Counter()
    for seed in seeds:
        found = run(seed, cases[seed % len(cases)], folder)
        assert found.outcome in ("verified", "refused", "unusable"), f"seed {seed}: {found.outcome}"
        assert found.seconds < SECONDS, f"seed {seed}: {found.seconds} s"
        outcomes[found.outcome] += 1
    return outcomes


@pytest.mark.slow
def test_any_certificate_of_a_verdict_is_answered(tmp_path):
    outcomes = ends(existence_cases(), range(300), tmp_path)
    assert min(outcomes.values()) > 10 and len(outcomes) == 3


def test_any_certificate_of_a_minimiser_is_answered(tmp_path):
    pytest.importorskip("flint")
    pytest.importorskip("mpmath")
    outcomes = ends(minimiser_cases(), range(80), tmp_path)
    assert outcomes["refused"] > 10


@pytest.mark.slow
def test_two_thousand_certificates_of_verdicts_are_answered(tmp_path):
    ends(existence_cases(), range(10**6, 10**6 + 2000), tmp_path)


@pytest.mark.slow
def test_a_thousand_certificates_of_minimisers_are_answered(tmp_path):
    pytest.importorskip("flint")
    pytest.importorskip("mpmath")
    ends(minimiser_cases(), range(10**6, 10**6 + 1000), tmp_path)

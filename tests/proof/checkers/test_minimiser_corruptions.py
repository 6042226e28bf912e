"""S13, S14, S15: a corrupted certificate of a minimiser is refused, or each claim of it is still true."""

from collections import Counter

import pytest

from helpers.certificates.corruptions import OF_THE_DATA, OF_THE_TEXT

pytest.importorskip("flint")
pytest.importorskip("mpmath")

from helpers.certificates.minimiser_corruptions import OF_THE_CERTIFICATE, base, trial, untrue

EACH = 25  # corruptions of each certificate


def run(seeds, folder):
    """How many corruptions were refused, unusable, or still true."""
    counts, kinds = Counter(), Counter()
    for seed in seeds:
        found = base(seed)
        if found is None:
            continue
        assert not untrue(*found), f"seed {seed}: the certificate itself"
        for k in range(EACH):
            result = trial(EACH * seed + k, found, folder)
            if result is not None:
                assert not result.wrong, f"seed {seed}, corruption {k}: {result.kind}: {result.outcome}"
                counts[result.outcome] += 1
                kinds[result.kind.removesuffix(", with its hash")] += 1
    return counts, kinds


def test_hundreds_of_corruptions_are_refused_or_still_true(tmp_path):
    counts, kinds = run(range(5), tmp_path)
    assert counts.total() > 90
    assert min(counts["refused"], counts["unusable"], counts["still true"]) > 5
    assert len(kinds) > 15


@pytest.mark.slow
def test_a_tenth_of_the_corruptions_of_the_benchmark(tmp_path):
    counts, kinds = run(range(1000, 1032), tmp_path)
    assert counts.total() > 500
    assert len(kinds) == len({*OF_THE_CERTIFICATE, *OF_THE_DATA, *OF_THE_TEXT})

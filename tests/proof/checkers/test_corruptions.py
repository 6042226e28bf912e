"""S9, S10: a corrupted certificate is refused, or it is still true, as the exact oracle confirms."""

from collections import Counter

import pytest

from helpers.certificates.corruptions import OF_THE_CERTIFICATE, OF_THE_DATA, OF_THE_TEXT, base, trial

EACH = 25  # corruptions of each certificate


def run(seeds, folder):
    """How many corruptions were refused, unusable, or still true."""
    counts, kinds = Counter(), Counter()
    for seed in seeds:
        found = base(seed, folder)
        for k in range(EACH if found else 0):
            result = trial(EACH * seed + k, found, folder)
            if result is not None:
                assert not result.wrong, f"seed {seed}, corruption {k}: {result.kind}: {result.outcome}"
                counts[result.outcome] += 1
                kinds[result.kind.removesuffix(", with its hash")] += 1
    return counts, kinds


def test_hundreds_of_corruptions_are_refused_or_still_true(tmp_path):
    counts, kinds = run(range(12), tmp_path)
    assert counts.total() > 150
    assert min(counts["refused"], counts["unusable"], counts["still true"]) > 10
    assert len(kinds) > 15


@pytest.mark.slow
@pytest.mark.parametrize("block", range(2))
def test_a_thousand_corruptions_are_refused_or_still_true(tmp_path, block):
    counts, kinds = run(range(1000 + 40 * block, 1040 + 40 * block), tmp_path)
    assert counts.total() > 500
    assert len(kinds) == len({*OF_THE_CERTIFICATE, *OF_THE_DATA, *OF_THE_TEXT})

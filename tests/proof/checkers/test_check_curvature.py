"""S14, S15b: what the standalone checker's matrices rest on: exact semidefiniteness, exact products, exact rows."""

import itertools
import random
from fractions import Fraction

import pytest

from helpers.certificates.certificates import Tiny, save
from jaxsoftmax.proof.checkers import check_curvature, check_samples
from jaxsoftmax.proof.checkers.check_curvature import decides_semidefinite, shows_semidefinite
from jaxsoftmax.proof.checkers.check_samples import samples_of, weighted_gram

flint = pytest.importorskip("flint")


def determinant(M):
    """Leibniz."""
    total = 0
    for order in itertools.permutations(range(len(M))):
        odd = sum(order[i] > order[j] for i in range(len(M)) for j in range(i + 1, len(M))) % 2
        product = -1 if odd else 1
        for i, j in enumerate(order):
            product *= M[i][j]
        total += product
    return total


def truly_semidefinite(M):
    """All principal minors are ≥ 0."""
    n = len(M)
    subsets = itertools.chain.from_iterable(itertools.combinations(range(n), k) for k in range(1, n + 1))
    return all(determinant([[M[i][j] for j in some] for i in some]) >= 0 for some in subsets)


def product(R):
    return [[sum(x * y for x, y in zip(row, other, strict=True)) for other in R] for row in R]


def draw_symmetric(draw):
    """RRᵀ of some rank, perhaps less a little on the diagonal, perhaps badly scaled."""
    n = draw.randint(1, 4)
    R = [[draw.randint(-3, 3) for _ in range(draw.randint(1, n))] for _ in range(1)] * n
    R = [[draw.randint(-3, 3) for _ in R[0]] for _ in range(n)]
    M = product(R)
    for i in range(n):
        M[i][i] += draw.choice([0, 0, 0, -1, 1])
    scale = [2 ** draw.choice([0, 0, 3, 40]) for _ in range(n)]
    return [[x * a * b for x, b in zip(row, scale, strict=True)] for row, a in zip(M, scale, strict=True)]


def test_semidefiniteness_is_decided_exactly():
    """Bareiss decides; the factor may only be too careful, and is not with an eigenvalue of some size."""
    draw, seen = random.Random(6), [0, 0, 0]
    for _ in range(600):
        M = draw_symmetric(draw)
        truth = truly_semidefinite(M)
        assert decides_semidefinite(M) == truth
        proved = shows_semidefinite(M)
        assert truth or not proved
        definite = truth and determinant(M) != 0
        # An integer matrix with entries ≤ 28 scaled by powers of two, with determinant ≥ 1: far from singular.
        assert proved == definite
        seen[truth + definite] += 1
    assert min(seen) > 50


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_the_factor_proves_up_to_its_stated_room(n):
    """S15b: M − λ I is proved while 3δ of its diagonal is left, δ = n(n + 2) 2^-52, and never beyond λ_min."""
    draw = random.Random(n)
    unit = 2**80
    # I/2 + v vᵀ/(2n), v of signs: the smallest eigenvalue is 1/2 exactly (1 for n = 1), the diagonal near it.
    v = [draw.choice([-1, 1]) for _ in range(n)]
    M = [[unit * n * (i == j) + unit * v[i] * v[j] for j in range(n)] for i in range(n)]  # times 2n
    least = unit * (n if n > 1 else 2)
    room = 3 * n * (n + 2) * unit * (n + 1) // 2**52 * 4  # the diagonal is scaled to [1/4, 1]
    for taken, proved in ((least - room - 1, True), (least // 2, True), (least + 1, False), (2 * least, False)):
        assert (
            shows_semidefinite([[x - taken * (i == j) for j, x in enumerate(row)] for i, row in enumerate(M)]) == proved
        )


def test_a_wrong_factor_proves_nothing_wrong(monkeypatch):
    """S15b: with products of floats broken Cholesky's method never fails, and the exact remainder decides alone."""
    monkeypatch.setattr(check_curvature, "mul", lambda x, y: 0.0 if isinstance(x, float) else x * y)
    assert not shows_semidefinite([[4, 5], [5, 4]])
    assert not shows_semidefinite([[4, 2, 2], [2, 4, 2], [2, 2, 4]])  # semidefinite; the factor is too bad
    assert shows_semidefinite([[4, 0], [0, 9]])  # its factor needs no products
    draw = random.Random(7)
    for _ in range(200):
        M = draw_symmetric(draw)
        assert truly_semidefinite(M) or not shows_semidefinite(M)


def test_tiny_and_huge_diagonals_are_no_matter():
    """Powers of two scale rows and columns: a diagonal from 1 to 2^200 is proved as well as one of ones."""
    draw, n = random.Random(1), 12
    R = [[draw.randint(-9, 9) for _ in range(2 * n)] for _ in range(n)]
    M, scale = product(R), [2 ** (200 * i // (n - 1)) for i in range(n)]
    spread = [[x * a * b for x, b in zip(row, scale, strict=True)] for row, a in zip(M, scale, strict=True)]
    assert shows_semidefinite(M)
    assert shows_semidefinite(spread)
    spread[0][0] -= spread[0][0]
    assert not shows_semidefinite(spread)


def test_gram_is_exact(monkeypatch):
    draw = random.Random(2)
    monkeypatch.setattr(check_samples, "_BLOCK", 40)  # ten samples at a time
    for big in (5, 2**70):
        columns = [[draw.randint(-big, big) for _ in range(31)] for _ in range(4)]
        w = [draw.choice([0, draw.randint(0, big)]) for _ in range(31)]
        twin = [[sum(map(int.__mul__, map(int.__mul__, x, y), w)) for y in columns] for x in columns]
        assert [[int(x) for x in row] for row in weighted_gram(columns, w)] == twin
    assert [list(map(int, row)) for row in weighted_gram([b"\1\2", b"\3\4"], [1, 10])] == [[41, 83], [83, 169]]


def test_samples_are_those_of_the_specification(tmp_path):
    """Weight 0 leaves, the rows of S21d come last, penalties add up, one denominator for X and one for s."""
    from pathlib import Path

    from jaxsoftmax.proof.checkers.check_existence import load_data

    lines = ["l2 1/2 0", "self 1/3", "l2 1/4 1", "self 2"]
    tiny = Tiny(
        [["1/2", 1], ["1/5", 2], [3, -3]],
        [["1/2", "1/2"], [1, 0], ["1/3", "2/3"]],
        label_smoothing=None,
        weights=["1/2", 0, "1/3"],
        regularizers=lines,
    )
    path = save(tmp_path, {}, tiny.dump())[1]
    found = samples_of(load_data(tiny.data(), Path(path), None)[0])
    assert found.numbers == [0, 2, *range(3, 9)]
    X = [[Fraction(c[n], found.Q) for c in found.columns] for n in range(len(found.numbers))]
    third, two = Fraction(1, 3), 2
    extra = [[g * (d == k) for d in range(3)] for g in (third, two) for k in range(3)]
    assert X == [[Fraction(1, 2), 1, 1], [3, -3, 1], *extra]
    assert [Fraction(w, found.weight_unit) for w in found.weights] == [Fraction(1, 2), third, *[1] * 6]
    assert [[Fraction(p, q) for p in t] for t, q in found.targets[:3]] == [
        [Fraction(1, 2)] * 2,
        [third, 2 * third],
        [Fraction(1, 2)] * 2,
    ]
    assert found.alpha == [Fraction(3, 4), Fraction(3, 4), Fraction(1, 4)]
    assert found.size >= max(sum(x * x for x in row) for row in X)


@pytest.mark.parametrize("Y", [[1, 2**64 - 1], [2**64 - 1, 1]], ids=["first", "second"])
def test_a_probability_of_one_unit_may_be_zero(Y):
    """S14: y ≥ (Y − 1)/2^P for either class of a pair: Y = 1 proves no curvature at all."""
    sample = check_samples.SampleIntegers([0], [[1]], 1, [([1, 1], 2)], [1], 1, [Fraction(0)], Fraction(1))

    def proved(mu, Y):
        stated = {"method": "full", "pairs": None, "weight_bits": 128, "mu": mu}
        return check_curvature.check_curvature(stated, lambda text, _: Fraction(text), sample, [0], [0], [Y], 64)

    with pytest.raises(check_samples.RefusedCertificate, match="mu is not proved"):
        proved("1e-30", Y)
    # One unit more on either side: y₁ y₂ ≥ 2^-64 (1 − 2^-62), and H = y₁ y₂ (v₁ − v₂)² ≥ 2 y₁ y₂ on {1ᵀV = 0}.
    more = [min(y + 1, 2**64 - 2) for y in Y]
    assert proved(Fraction(1, 2**64), more) == Fraction(1, 2**64)
    with pytest.raises(check_samples.RefusedCertificate, match="mu is not proved"):
        proved(Fraction(1, 2**62), more)


def test_the_remainder_must_be_dominated_by_its_diagonal(monkeypatch):
    """S15b: with a factor of zeros the remainder is P itself, and 4 < 5: P has the eigenvalue −1."""
    monkeypatch.setattr(check_curvature, "mul", lambda x, y: 0.0 if isinstance(x, float) else x * y)
    monkeypatch.setattr(check_curvature, "round", lambda x: 0, raising=False)
    assert not shows_semidefinite([[4, 5], [5, 4]])
    assert not shows_semidefinite([[4, 3, 3], [3, 4, 3], [3, 3, 4]])  # semidefinite, but not dominated
    assert shows_semidefinite([[4, 4], [4, 4]])  # at the limit


@pytest.mark.parametrize("gamma", [9, -9])
def test_the_size_of_samples_includes_the_own_ones(tmp_path, gamma):
    """S13, S21d: max ‖x‖ is |γ| where the samples γ e_d are the longest."""
    from pathlib import Path

    from jaxsoftmax.proof.checkers.check_existence import load_data

    tiny = Tiny([["1/2"]], [["1/2", "1/2"]], intercept=False, label_smoothing=None, regularizers=[f"self {gamma}"])
    path = save(tmp_path, {}, tiny.dump())[1]
    found = samples_of(load_data(tiny.data(), Path(path), None)[0])
    assert 81 <= found.size <= 81 + Fraction(1, 4)


def test_columns_that_cancel_take_the_whole_sum_of_a_row():
    """S7a: (1, −1, 1, −1), its negative and ones: XᵀX has the eigenvalue 8, and the sums of its rows are 0, 0 and 4."""
    columns = [[1, -1, 1, -1], [-1, 1, -1, 1], [1, 1, 1, 1]]
    samples = check_samples.SampleIntegers([0, 1, 2, 3], columns, 1, [], [1] * 4, 1, [Fraction(0)] * 3, Fraction(3))
    assert check_curvature.is_above_curvature(Fraction(4), samples, [0, 0, 4])
    assert not check_curvature.is_above_curvature(Fraction(399, 100), samples, [0, 0, 4])


def test_a_claim_of_many_digits_is_not_rounded_down_to_what_can_be_proved():
    """S14: a claim is rounded up to 64 bits and that is proved: so the largest that is taken has no more bits."""
    sample = check_samples.SampleIntegers([0], [[1]], 1, [([1, 1], 2)], [1], 1, [Fraction(0)], Fraction(1))

    def proves(mu):
        stated = {"method": "full", "pairs": None, "weight_bits": 128, "mu": mu}
        Y = [[2**63 + 12345, 2**63 - 12345]]
        try:
            check_curvature.check_curvature(stated, lambda text, _: Fraction(text), sample, [0], [0], Y, 64)
        except check_samples.RefusedCertificate:
            return False
        return True

    low, high = Fraction(1, 4), Fraction(5, 4)  # the largest that is proved is near 2 y₁ y₂ = ½
    assert proves(low) and not proves(high)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if proves(middle) else (low, middle)
    assert (low * 2**66).denominator == 1


@pytest.mark.parametrize("power", [0, 60, 300])
def test_matrices_of_huge_numbers_are_proved_as_well(power):
    """S15b: the factor has 52 places, behind the point or before it; no row here is dominated by its diagonal."""
    M = [[x << 2 * power for x in row] for row in ([4, 3, 3], [3, 4, 3], [3, 3, 4])]
    assert shows_semidefinite(M)
    assert not shows_semidefinite([[x - (2 << 2 * power) * (i == j) for j, x in enumerate(r)] for i, r in enumerate(M)])


def test_a_number_of_many_bits_is_shortened_to_its_side():
    """64 bits of it are left, rounded up or down, for numbers of any size; 64 bits are left alone."""
    for x in (Fraction(1, 3), Fraction(10**40, 7), Fraction(1, 7 * 10**40)):
        low, high = (check_curvature._short(x, up) for up in (False, True))
        assert low < x < high and high - low <= x / 2**62
    exact = Fraction(2**64 - 1, 2**100)
    assert check_curvature._short(exact, True) == check_curvature._short(exact, False) == exact

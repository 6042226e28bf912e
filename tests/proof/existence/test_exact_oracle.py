"""The exact oracle of S9–S11 against definitions: every direction, every extreme ray, hulls of points, known cases."""

import itertools
import random
from fractions import Fraction

import flint
import jax
import numpy as np
import pytest

import jaxsoftmax as js
from helpers.certificates.exact_oracle import Answer, decide, prove
from helpers.certificates.random_problems import small_problem


def fractions(rows):
    return [[Fraction(x) for x in row] for row in rows]


def one_hot(labels):
    return [frozenset([label]) for label in labels]


def draw_tiny(seed):
    """N <= 4, K <= 2 (the second column perhaps all ones), C <= 3, entries -1, 0, 1."""
    draw = random.Random(seed)
    N, K, C = draw.randint(1, 4), draw.randint(1, 2), draw.randint(2, 3)
    X = [[Fraction(draw.randint(-1, 1)) for _ in range(K)] for _ in range(N)]
    if K == 2 and draw.random() < 0.5:
        X = [[x[0], Fraction(1)] for x in X]
    return X, [frozenset(draw.sample(range(C), draw.choice((1, 1, 1, 2, C)))) for _ in range(N)], C


def margins(V, X, supports):
    """S9 read literally: {(n, j): margin} of every pair, or None when V is no recession direction."""
    found = {}
    for n, x in enumerate(X):
        z = [sum(v * x_d for v, x_d in zip(row, x, strict=True)) for row in V]
        if any(z[i] != max(z) for i in supports[n]):
            return None
        found |= {(n, j): max(z) - z[j] for j in range(len(V)) if j not in supports[n]}
    return found


@pytest.mark.parametrize("block", range(4))
def test_no_small_direction_separates_a_pair_that_the_oracle_does_not(block):
    """S9: every V with entries in −1, 0, 1 (the last row 0, by S3's gauge) on tiny data, and S11's set P."""
    seen = set()
    for seed in range(40 * block, 40 * block + 40):
        X, supports, C = draw_tiny(seed)
        answer, K = decide(X, supports, C), len(X[0])
        separated = set()
        for entries in itertools.product((-1, 0, 1), repeat=(C - 1) * K):
            V = [entries[c * K : (c + 1) * K] for c in range(C - 1)] + [(0,) * K]
            separated |= {pair for pair, margin in (margins(V, X, supports) or {}).items() if margin > 0}
        assert separated <= answer.separated, seed
        seen.add((answer.verdict, separated == answer.separated))
    assert {(verdict, True) for verdict in ("attained", "complete", "quasi-complete")} <= seen


def extreme_rays(forms):
    """The extreme rays of {y : forms · y >= 0}, forms of full column rank: kernels of r − 1 independent forms."""
    r = len(forms[0])
    for rows in itertools.combinations(forms, r - 1):
        kernel, nullity = flint.fmpz_mat([list(row) for row in rows] or [[0] * r]).nullspace()
        if nullity != 1:
            continue
        for sign in (1, -1):
            y = [sign * int(kernel[d, 0]) for d in range(r)]
            values = [sum(a * b for a, b in zip(form, y, strict=True)) for form in forms]
            if min(values) >= 0:
                yield values


@pytest.mark.parametrize("block", range(3))
def test_the_separated_pairs_are_those_of_the_extreme_rays(block):
    """S11: P is the union over the extreme rays of the recession cone, listed by brute force over subsets of pairs."""
    seen = set()
    for seed in range(100 * block, 100 * block + 100):
        X, supports, C = draw_tiny(seed)
        pairs = [(n, j) for n, support in enumerate(supports) for j in range(C) if j not in support]
        ties = [(n, i) for n, support in enumerate(supports) for i in support]
        K = len(X[0])

        def difference(n, i, j, X=X, C=C, K=K):
            form = np.zeros((C, K), dtype=object)
            form[i] += [int(x) for x in X[n]]
            form[j] -= [int(x) for x in X[n]]
            return form.ravel().tolist()

        equations = flint.fmpz_mat([difference(n, i, min(supports[n])) for n, i in ties])
        basis, nullity = equations.nullspace()
        forms = flint.fmpz_mat([difference(n, min(supports[n]), j) for n, j in pairs]) if pairs else None
        expected = set()
        if forms is not None and nullity:
            columns = [[int(basis[d, k]) for k in range(nullity)] for d in range(C * K)]
            forms = forms * flint.fmpz_mat(columns)
            reduced, _, rank = flint.fmpz_mat(forms).rref()
            lead = [next(k for k in range(nullity) if reduced[i, k]) for i in range(rank)]
            small = [[int(forms[p, k]) for k in lead] for p in range(len(pairs))]  # a basis of the margins' space
            for values in extreme_rays(small) if rank else ():
                expected |= {pair for pair, value in zip(pairs, values, strict=True) if value > 0}
        answer = decide(X, supports, C)
        assert answer.separated == expected, seed
        seen.add(answer.verdict)
    assert seen == {"attained", "complete", "quasi-complete"}


@pytest.mark.parametrize("seed", range(60))
def test_two_classes_on_a_line_are_two_intervals(seed):
    """[AA] with a bias: complete when the intervals are disjoint, quasi-complete when they share an end point."""
    draw = random.Random(seed)
    x = [Fraction(draw.randint(-4, 4), 2) + draw.choice((0, 0, 2)) * (n % 2) for n in range(draw.randint(2, 5))]
    a, b = x[::2], x[1::2]
    gap = max(min(b) - max(a), min(a) - max(b))
    expected = "complete" if gap > 0 else "quasi-complete" if gap == 0 and len(set(x)) > 1 else "attained"
    labels = [n % 2 for n in range(len(x))]
    assert decide([[v, Fraction(1)] for v in x], one_hot(labels), 2).verdict == expected


def hulls_meet(first, second):
    """Whether the hulls of two finite sets in the plane meet: no candidate normal keeps the sets strictly apart.

    They are disjoint when their Minkowski difference misses 0. In the plane its edges are edges of the two hulls, so
    the normals of the lines through two points suffice; where the difference is a segment on a line through 0, the
    line's own direction.
    """
    points = first + second
    for a, b in itertools.combinations(points, 2):
        u = (b[0] - a[0], b[1] - a[1])
        for normal in (u, (-u[1], u[0])):
            p = [normal[0] * q[0] + normal[1] * q[1] for q in first]
            q = [normal[0] * r[0] + normal[1] * r[1] for r in second]
            if max(p) < min(q) or max(q) < min(p):
                return False
    return True


def test_two_classes_in_the_plane_are_separated_completely_when_their_hulls_are_disjoint():
    seen = set()
    for seed in range(150):
        draw = random.Random(seed)
        labels = [0, 1] + [draw.randint(0, 1) for _ in range(draw.randint(0, 6))]
        points = [(Fraction(draw.randint(0, 3) + 2 * k), Fraction(draw.randint(0, 3))) for k in labels]
        meet = hulls_meet(*([p for p, k in zip(points, labels, strict=True) if k == c] for c in (0, 1)))
        verdict = decide([[*p, Fraction(1)] for p in points], one_hot(labels), 2).verdict
        assert (verdict != "complete") == meet, seed
        seen.add(verdict)
    assert len(seen) == 3


def test_known_verdicts():
    ones, line = fractions([[1], [1], [1]]), fractions([[0, 1], [1, 1], [2, 1]])
    every = frozenset(range(3))
    assert decide(line, [every] * 3, 3).verdict == "attained"  # S9, all t > 0: no pair at all
    assert decide(line, [every] * 3, 3).separated == frozenset()
    assert decide(ones, one_hot([0, 1, 0]), 2).verdict == "attained"  # one bias, both classes seen
    assert decide(ones, one_hot([0, 1, 0]), 3).verdict == "quasi-complete"  # class 2 is absent
    assert decide(ones, one_hot([0, 1, 0]), 3).separated == {(0, 2), (1, 2), (2, 2)}
    assert decide(ones, one_hot([1, 1, 1]), 3).verdict == "complete"
    assert decide(fractions([[1], [-1]]), one_hot([0, 0]), 2).verdict == "attained"  # absent, but no v with v'x >= 0
    assert decide(fractions([[], []]), one_hot([0, 1]), 2).verdict == "attained"  # no column without a penalty
    assert decide(line, one_hot([0, 1, 1]), 2).verdict == "complete"
    assert decide(line, one_hot([0, 1, 0]), 2).verdict == "attained"
    touching = decide(fractions([[0, 1], [1, 1], [1, 1], [2, 1]]), one_hot([0, 0, 1, 1]), 2)  # S12, θ = 1
    assert touching.verdict == "quasi-complete"
    assert touching.separated == {(0, 1), (3, 0)}
    # S12 on a non-negative feature: active for row 1, never for class 0. Rows 0 and 2 overlap.
    pixel = decide(fractions([[0, 1], [5, 1], [0, 1]]), one_hot([0, 1, 1]), 2)
    assert pixel.separated == {(1, 0)}
    # the support {0, 1} of row 1 forces equal logits there, and so its margins with 2 alone can be positive
    soft = decide(line, [frozenset({0}), frozenset({0, 1}), frozenset({1})], 3)
    assert soft.verdict == "complete"


def test_exact_ties_decide():
    """Section 7.10: 0.1 + 0.2 and 0.3 are the same decimal and not the same double."""
    tenths, doubles = ([1, Fraction(3, 10), Fraction(3, 10), 2], [1, Fraction(0.1 + 0.2), Fraction(0.3), 2])
    # class 1 at or below the tie, class 0 at or above it
    labels = one_hot([0, 0, 1, 0])
    assert decide([[Fraction(x), Fraction(1)] for x in tenths], labels, 2).verdict == "quasi-complete"
    assert decide([[x, Fraction(1)] for x in map(Fraction, doubles)], labels, 2).verdict == "complete"


@pytest.mark.slow
def test_iris_is_quasi_complete_with_two_hundred_pairs():
    """Setosa is separated from the other two, these overlap: 50·2 pairs of its samples, 100 of the others with it."""
    iris = js.datasets.load_iris()
    y = np.unique(iris.y, return_inverse=True)[1].tolist()  # setosa is 0
    rows = [[*(Fraction(str(x)) for x in row), Fraction(1)] for row in iris.X.tolist()]
    answer = decide(rows, one_hot(y), 3)
    assert answer.verdict == "quasi-complete"
    assert answer.separated == {(n, j) for n in range(150) for j in range(3) if j != y[n] and 0 in (y[n], j)}


TAMPERED = {
    "V negated": lambda a: a._replace(V=[[-v for v in row] for row in a.V]),
    "V is 0": lambda a: a._replace(V=[[0 * v for v in row] for row in a.V]),
    "G negated": lambda a: a._replace(G=[[-g for g in row] for row in a.G]),
    "G is 0": lambda a: a._replace(G=[[0 * g for g in row] for row in a.G]),
    "one entry of G": lambda a: a._replace(G=[[g + (j == 0) for j, g in enumerate(row)] for row in a.G]),
    "a pair more": lambda a: a._replace(separated=a.separated | {(1, 1)}),
    "a pair less": lambda a: a._replace(separated=a.separated - {(0, 1)}),
    "the verdict": lambda a: a._replace(verdict="complete"),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_no_tampered_answer_is_proved(change):
    X, supports = fractions([[0, 1], [1, 1], [1, 1], [2, 1]]), one_hot([0, 0, 1, 1])
    answer = decide(X, supports, 2)
    prove(X, supports, 2, answer)
    with pytest.raises(AssertionError):
        prove(X, supports, 2, TAMPERED[change](answer))


def test_the_random_problems_are_a_rich_mixture():
    """At least a tenth of each verdict among all, and among hard and soft targets: no verdict is tested by chance."""
    for hard in (True, False):
        problems = [p for p in map(small_problem, range(300)) if hard == all(len(s) == 1 for s in p.supports)]
        verdicts = [decide(*problem.exact()).verdict for problem in problems]
        assert all(
            verdicts.count(name) >= 0.1 * len(problems) for name in ("attained", "complete", "quasi-complete")
        ), verdicts


def test_a_random_problem_is_the_problem_that_the_oracle_decides():
    """Same seed, same problem; its supports, numbers and weights are those of the Problem that it builds."""
    seen = set()
    for seed in range(40):
        drawn, again = small_problem(seed), small_problem(seed)
        assert (drawn.X == again.X).all() and drawn.exact() == again.exact()
        problem = drawn.build()
        X, supports, C = drawn.exact()
        active = np.flatnonzero(np.asarray(problem.sample_weight) > 0)
        assert (problem.C, len(active)) == (C, len(X))
        numerators, _ = problem.exact_targets()
        assert [frozenset(np.flatnonzero(numerators[n] > 0).tolist()) for n in active] == supports
        assert str(problem.X.dtype) == ("float64" if drawn.x64 and drawn.X.dtype != np.float32 else "float32")
        if drawn.regularizer is None:
            with jax.enable_x64(drawn.x64):
                columns = np.asarray(problem.X)[active]
            expected = np.array([[float(x) for x in row] for row in X])
            assert np.allclose(columns, expected, rtol=4 * np.finfo(columns.dtype).eps, atol=0)
        seen.add((drawn.decimal, drawn.x64, drawn.intercept, drawn.labels is None))
    assert len(seen) >= 12


def test_an_answer_names_its_parts():
    answer = decide(fractions([[1], [2]]), one_hot([0, 0]), 2)
    assert answer == Answer("complete", frozenset({(0, 1), (1, 1)}), answer.V, answer.G, answer.pivots)

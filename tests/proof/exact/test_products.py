"""Exact products (section 7.7): limb-split products of integers are exact, whatever the sizes."""

import numpy as np
import pytest

from jaxsoftmax.proof.exact.products import as_smallest, integer_bits, integer_product


def random_integers(rng, shape, bits):
    """Python integers of up to `bits` bits, the extremes among them."""
    entries = [
        int.from_bytes(rng.bytes(bits // 8 + 1), "little") % 2**bits * int(rng.choice([-1, 1]))
        for _ in range(shape[0] * shape[1])
    ]
    entries[0], entries[-1] = 2**bits - 1, 1 - 2**bits
    return np.array(entries, dtype=object).reshape(shape)


@pytest.mark.parametrize("a", [1, 8, 26, 53, 61, 64, 100, 700])
@pytest.mark.parametrize("b", [1, 26, 53, 63, 64, 300])
def test_product_equals_that_of_python_integers(a, b):
    rng = np.random.default_rng(a * 1000 + b)
    for K in (1, 7, 300):
        A, B = random_integers(rng, (3, K), a), random_integers(rng, (K, 2), b)
        expected = [
            [sum(x * y for x, y in zip(row, column, strict=True)) for column in B.T.tolist()] for row in A.tolist()
        ]
        assert integer_product(as_smallest(A), as_smallest(B)).tolist() == expected


def test_a_product_just_beyond_53_bits_is_not_left_to_one_float_product():
    """Broken once: with the test of the bits left out, the last bit of 2^53 + 1 is lost."""
    A, B = np.array([[2**52, 1]]), np.array([[2], [1]])
    assert int(integer_product(A, B)[0, 0]) == 2**53 + 1


def test_the_least_int64_is_no_exception():
    A = np.array([[np.iinfo(np.int64).min]])
    assert int(integer_product(A, np.array([[3]]))[0, 0]) == -3 * 2**63


def test_empty_products_have_their_shape():
    assert integer_product(np.zeros((0, 3), int), np.zeros((3, 2), int)).shape == (0, 2)
    assert integer_product(np.zeros((2, 0), int), np.zeros((0, 2), int)).tolist() == [[0, 0], [0, 0]]


def test_dtypes_follow_the_size():
    assert as_smallest(np.array([2**61], dtype=object)).dtype == np.int64
    assert as_smallest(np.array([-(2**62)])).dtype == object
    assert integer_bits(np.zeros((0, 2), int)) == 0


@pytest.mark.parametrize(("a", "b"), [(1, 62), (62, 1), (30, 26), (73, 10), (10, 130)])
def test_unequal_factors_at_their_bounds(a, b):
    """The limbs of a long factor are longer beside a short one: Σ |a||b| may come near 2^53, and not reach it."""
    for K in (1, 5, 70_000):
        A, B = np.full((1, K), 2**a - 1, dtype=object), np.full((K, 1), 1 - 2**b, dtype=object)
        assert int(integer_product(as_smallest(A), as_smallest(B))[0, 0]) == -K * (2**a - 1) * (2**b - 1)


@pytest.mark.parametrize("bits", range(50, 58))
def test_the_largest_integers_of_each_length_keep_their_last_bit(bits):
    """Section 7.7: (2^a − 1)(2^b − 1) ends in 1, and from 54 bits on no double holds it."""
    a = bits // 2
    for K in (1, 2, 3):
        A, B = np.full((1, K), 2**a - 1), np.full((K, 1), 2 ** (bits - a) - 1)
        assert integer_product(A, B).tolist() == [[K * (2**a - 1) * (2 ** (bits - a) - 1)]]

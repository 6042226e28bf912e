"""With what probability an error of a derivative escapes all probes, proved."""

from __future__ import annotations

import math

__all__ = ["escape_entries", "escape_gaussian", "guarantee"]


def escape_gaussian(ratio: float, count: int) -> float:
    """The probability that an error of size δ passes `count` Gaussian probes whose tolerance is τ = δ/ratio.

    Statement. Let D be the error of a gradient (a row) or of a Hessian (rows D_r), δ = max |D_r|₂, and z₁, …, z_K
    independent standard Gaussian directions, independent of D. P(|Dz_k|_∞ ≤ τ for all k) ≤ erf(τ/(δ√2))ᴷ ≤
    (√(2/π)·τ/δ)ᴷ, with equality on the left for one row.
    Proof. Let D_r be a row with |D_r|₂ = δ. D_r·z is a sum of independent Gaussians of variances D_rᵢ², hence Gaussian
    with variance δ², in whatever subspace D_r lies and however many entries it has. Passing requires |D_r·z| ≤ τ, of
    probability P(|N(0, 1)| ≤ τ/δ) = erf(τ/(δ√2)), which is at most the density's maximum 1/√(2π) times the interval's
    length 2τ/δ. The probes are independent, so the probabilities multiply. ∎

    Directions of other calls are independent too if their keys differ: K counts all probes of all calls.

    Args:
        ratio: δ/τ > 0.
        count: K ≥ 0.

    Returns:
        erf(1/(ratio √2))^count.

    Example:
        >>> from jaxsoftmax.checker.numeric.guarantee import escape_gaussian
        >>> print(f"{escape_gaussian(100.0, 4):.1e}")
        4.1e-09
    """
    return math.erf(1 / (ratio * math.sqrt(2))) ** count if ratio > 0 else 1.0


def escape_entries(n: int, wrong: int, probes: int) -> float:
    """The probability that `probes` distinct entries of n, drawn uniformly, hold none of the `wrong` ones.

    Statement. For d wrong entries, each above its tolerance, m basis vectors drawn without replacement all miss them
    with probability C(n − d, m)/C(n, m) ≤ (1 − d/n)ᵐ.
    Proof. All C(n, m) sets are equally likely and C(n − d, m) of them avoid the wrong entries. The quotient is
    Π_{i<m} (n − d − i)/(n − i); each factor is at most (n − d)/n since d ≥ 0. ∎

    Args:
        n: entries in all.
        wrong: d ≤ n.
        probes: m.

    Returns:
        A probability; 1 where d or m is 0.

    Example:
        >>> from jaxsoftmax.checker.numeric.guarantee import escape_entries
        >>> escape_entries(10, 1, 3)
        0.7
    """
    if wrong <= 0 or probes <= 0:
        return 1.0
    if probes > n - wrong:
        return 0.0
    # The same quotient with d and m exchanged is the same number; the shorter product is taken.
    most, few = max(wrong, probes), min(wrong, probes)
    if few > 64:
        return math.exp(math.fsum(math.log1p(-most / (n - i)) for i in range(few)))
    return math.prod((n - most - i) / (n - i) for i in range(few))


def guarantee(n: int, *, gaussian: int, entries: int = 0, ratio: float = 100.0, fraction: float = 0.01) -> str:
    """What K Gaussian directions and m basis vectors guarantee, as a sentence.

    By `escape_gaussian`, an error of 2-norm at least ratio·τ (a gradient's, or that of a row of a Hessian), in whatever
    subspace, escapes the Gaussian directions with probability at most erf(1/(ratio √2))ᴷ. By `escape_entries`, an error
    in at least ⌈fn⌉ entries, each above its own tolerance, escapes the basis vectors with probability at most
    C(n − ⌈fn⌉, m)/C(n, m). The two draws are independent, so an error of both sorts escapes with the product.

    Args:
        n: entries of the argument.
        gaussian: K.
        entries: m.
        ratio: error over tolerance.
        fraction: f in (0, 1].

    Returns:
        The sentence.

    Example:
        >>> from jaxsoftmax.checker.numeric.guarantee import guarantee
        >>> print(guarantee(1000, gaussian=4, entries=8))
        An error 100 times the tolerance is missed by 4 random directions with probability at most 4.1e-09; an error \
in 1% of the 1000 entries is missed by 8 single entries, drawn at random, with probability at most 0.92.
    """
    wrong = math.ceil(fraction * n - 1e-9 * fraction * n)  # 0.07·100 is 7.000000000000001
    by_direction, by_entry = escape_gaussian(ratio, gaussian), escape_entries(n, wrong, entries)
    text = (
        f"An error {ratio:g} times the tolerance is missed by {gaussian} random directions with probability at most "
        f"{by_direction:.2g}"
    )
    if entries:
        text += (
            f"; an error in {100 * fraction:g}% of the {n} entries is missed by {entries} single entries, drawn at "
            f"random, with probability at most {by_entry:.2g}"
        )
    return text + "."

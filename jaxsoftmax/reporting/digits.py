"""Two numbers set side by side, with as many digits as tell them apart.

Guarded by `tests/reporting/test_digits.py`.
"""

from __future__ import annotations

__all__ = ["told_apart"]


def told_apart(first: float, second: float, digits: int = 6) -> tuple[str, str]:
    """Both numbers, with so many significant digits, or as many as are needed to tell two different ones apart.

    Example:
        >>> told_apart(25.03991, 25.03992), told_apart(0.5, 1.0), told_apart(2.0, 2.0)
        (('25.03991', '25.03992'), ('0.5', '1'), ('2', '2'))
    """
    first, second = float(first), float(second)
    for count in range(digits, 18):
        texts = f"{first:.{count}g}", f"{second:.{count}g}"
        if texts[0] != texts[1] or first == second:
            break
    return texts

"""A user's text where it is shown: what has no shape stands by its code, and a long name is cut.

Guarded by `tests/page/test_page.py`, `tests/plots/test_style.py`.
"""

from __future__ import annotations

import re

__all__ = ["shortened", "visible"]

# Controls, among them those that turn the direction of what follows, marks without width, halves of a pair.
_SHAPELESS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    r"""A text in which what has no shape of its own stands by its code: it would change or break what is around it.

    Example:
        >>> from jaxsoftmax.support.visible import visible
        >>> print(visible("a\u202eb"))
        a\u202eb
    """
    return _SHAPELESS.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def shortened(text: object, longest: int = 24) -> str:
    """`visible`, cut to so many letters: a longer name would leave no room for a picture.

    Example:
        >>> from jaxsoftmax.support.visible import shortened
        >>> shortened("a name that goes on and on")
        'a name that goes on and…'
    """
    shown = visible(str(text))
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"

"""The check as an assertion of a test: it passes, or the report is the failure's message."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from jaxsoftmax.checker.crosscheck import crosscheck
from jaxsoftmax.checker.example import declared_example
from jaxsoftmax.checker.report.result import CrossCheckReport

__all__ = ["assert_derivatives"]

_DECLARED = object()


def assert_derivatives(
    fun: Any, at: Any = _DECLARED, *, allow: Collection[str] = (), **options: Any
) -> CrossCheckReport:
    """Run `js.crosscheck` and raise, with its report as the message, unless the derivatives agree.

    Args:
        fun: the function, as for `js.crosscheck`.
        at: the point, a pytree with float leaves; others are held fixed. Left out, the function's declared example is
            used (see `js.declare_example`), and `options` overrule what it declares.
        allow: verdicts besides "AGREE" that pass: "ROUNDING" (rounding hides even a factor 2), "NOT CHECKED" (no route
            has a finite bound), "INCONCLUSIVE" (routes contradict each other).
        options: the other arguments of `js.crosscheck`: `gradient`, `hvp`, `args`, `argnums`, `intent`, `equation`,
            `key`, ... With no rule among them, the function's own derivatives are checked, in `at` and in all args that
            hold floats.
            `budget` is "quick" unless given: every entry to half of the digits of the largest. ``budget=60`` bounds
            the rounding of each.

    Returns:
        The `CrossCheckReport`.

    Raises:
        DerivativeError: an AssertionError; the verdict is neither "AGREE" nor allowed.
        ValueError, TypeError: from `js.crosscheck`, or no example is declared.

    Example:
        >>> import jax.numpy as jnp, jaxsoftmax as js, numpy as np
        >>> x = np.float32([1.0, 2.0, 3.0])
        >>> js.assert_derivatives(lambda x: jnp.sum(x**3), x, gradient=lambda x: 3 * x**2).verdict
        'AGREE'
        >>> try:
        ...     js.assert_derivatives(lambda x: jnp.sum(x**3), x, gradient=lambda x: x**2)
        ... except AssertionError as error:
        ...     print(error.report.verdict)
        DISAGREE
    """
    __tracebackhide__ = True
    if at is _DECLARED:
        options = {**declared_example(fun), **options}
        at = options.pop("at")
    report = crosscheck(fun, at, **{"budget": "quick", **options})
    report.raise_unless_agree(allow)
    return report

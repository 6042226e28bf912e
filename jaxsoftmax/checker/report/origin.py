"""What a report is about: the name of the function, and the pytest test that asked.

Guarded by `tests/checker/report/test_origin.py`.
"""

from __future__ import annotations

import functools
import os
from typing import Any


def name_of(fun: Any) -> str | None:
    """The qualified name of a function, from within jit, custom rules and functools.partial.

    Example:
        >>> import functools, math
        >>> name_of(functools.partial(math.pow, 2.0)), name_of(len)
        ('pow', 'len')
    """
    for _ in range(32):
        inner = fun.func if isinstance(fun, functools.partial) else getattr(fun, "__wrapped__", None)
        if inner is None:
            break
        fun = inner
    name = getattr(fun, "__qualname__", None) or getattr(type(fun), "__qualname__", None)
    return None if name is None else str(name)


def calling_test() -> str | None:
    """The test that pytest is in, without its stage ("tests/test_loss.py::test_gradient"); None outside of one."""
    test = os.environ.get("PYTEST_CURRENT_TEST")
    return None if not test else test.rpartition(" (")[0] or test

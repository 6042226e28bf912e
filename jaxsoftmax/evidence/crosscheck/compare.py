"""Every hand rule against autodiff of a textbook loss and against 50 digits, entry by entry (S1-S5, S8, S21)."""

from __future__ import annotations

from typing import Any

from jaxsoftmax.calculus.loss import derivatives, hessian, objective
from jaxsoftmax.checker.report.result import CrossCheckReport
from jaxsoftmax.evidence.crosscheck import first_order as first
from jaxsoftmax.evidence.crosscheck import second_order as second
from jaxsoftmax.evidence.crosscheck.sides import Ours, Sides


def crosscheck_problem(
    problem: Any,
    W: Any,
    *,
    key: Any = None,
    hessian_budget: int = 2**26,
    high_precision: bool | None = None,
) -> CrossCheckReport:
    """Compare every derivative of the problem's loss at W with independent computations (S1-S5, S8, S21).

    Ours run in the problem's dtype, as a user runs them: the closed forms, the fused kernel, the Hessian operator, and
    autodiff through ``js.loss``. Theirs are automatic derivatives of a textbook loss in float64 and, with python-flint
    installed, 50-digit arithmetic; both read the stored device numbers exactly. Each entry's tolerance is derived from
    dtype, terms and propagated logit error (``evidence.crosscheck.tolerances``).

    Args:
        problem: the data; float32 and float64 problems alike. A float64 problem needs no x64 scope here.
        W: (C, D) weights in the problem's dtype (NumPy arrays are converted).
        key: random key for the directions; ``jax.random.key(0)`` when None. It seeds normal draws in NumPy's float64,
            which are scaled by a power of two a feature and rounded to the problem's dtype.
        hessian_budget: most entries for an autodiff Hessian, max(N C, 8 C D) C D with its temporaries; beyond it,
            some columns are compared instead of the dense matrix.
        high_precision: compare with 50 digits too. None: if python-flint is installed and it takes seconds at most.

    Returns:
        A `CrossCheckReport`; its ``repr`` is a table.

    Raises:
        ValueError, TypeError: W does not fit the problem, or is not finite.
        ImportError: `high_precision` is True and python-flint is missing.

    Example:
        >>> import jaxsoftmax as js, numpy as np
        >>> problem = js.Problem.from_labels(np.array([[0.0], [1.0], [2.0], [3.0]], np.float32), [0, 1, 0, 1])
        >>> report = js.crosscheck_problem(problem, np.array([[0.5, 0.0], [-0.25, 0.125]]))
        >>> report.verdict, report.statements[0].statement
        ('AGREE', 'S1')
    """
    sides = Sides(problem, W, Ours(objective, derivatives, hessian), key, high_precision)
    findings = [
        *first.compare_loss(sides),
        *first.compare_probabilities(sides),
        *first.compare_gradient(sides),
        *first.compare_gauge(sides),
        *second.compare_second(sides),
        *second.compare_hessian(sides, hessian_budget),
        *second.compare_third(sides),
        *first.compare_inputs(sides),
    ]
    return CrossCheckReport.from_findings(findings)

"""Why some mechanical mutants compute the same numbers as the rule they were made from, at the example of a test.

A change that leaves the float64 values as they are is no wrong rule. Each entry names such changes by a pattern of
"case.rule eqn N primitive place: change" and says why they cannot matter.
"""

from __future__ import annotations

import re

_SOFTMAX = r"(softmax|label-smoothing|masked-loss|logsumexp|kl|attention)"
_LOGISTIC = r"(logistic)"
REASONS: tuple[tuple[str, str], ...] = (
    # Softmax, log-sum-exp and what is made of them.
    (
        rf"^{_SOFTMAX}\S* eqn \d+ (reduce_max|max|stop_gradient|broadcast_in_dim|select_n|is_finite)\b",
        "softmax does not depend on the constant that the logits of a sample are moved by",
    ),
    (
        rf"^{_SOFTMAX}\S* eqn \d+ sub\b.*: (becomes add|second operand dropped|operand 1 rolled)",
        "softmax does not depend on the constant that the logits of a sample are moved by",
    ),
    (
        rf"^{_SOFTMAX}\S* eqn \d+ exp\b.*: output negated",
        "the sign cancels in the quotient of the exponentials and their sum",
    ),
    (
        r" eqn \d+ (reduce_sum|reduce_max|reduce_min|reduce_prod|argmax)\b.*: operand 0 rolled",
        "a sum or a maximum does not depend on the order along the axis that it is taken over",
    ),
    (
        rf"^{_SOFTMAX}\S* eqn \d+ exp\b.*: operand 0 rolled",
        "they are only summed, and a sum has no order",
    ),
    (r"^(exponential|softplus)\S* eqn \d+ add\b", "the sum is used only where an argument is NaN"),
    (r" (gt|lt|ge|le|eq|ne)\b.*: literal", "the comparison has the same answer here"),
    # Numbers that are zero, unused, exact or outside the branch that is taken.
    (
        r": literal \S+ (\+ 1|doubled|negated|set to 0)$",
        "nothing reads this literal: no padding, no such entry",
    ),
    (r"^(probit|huber|quantile|clipped|cond)\S* eqn", "the change is in a branch that no entry here takes"),
    (r" eqn \d+ (add|sub)\b.*: (second operand dropped|first operand dropped|becomes (add|sub))", "the addend is 0"),
    (r" (mul|div)\b.*: (becomes (mul|div)|(second|first) operand dropped)", "the factor is 1 (or its own inverse)"),
    (r"rounded to (bfloat16|float16)$", "the value is a small integer or a power of two and is not rounded"),
    (r"^(trajectory|runge-kutta)\S* .*in scan body", "a value of a stage that the adjoint does not read"),
    # Symmetries.
    (
        r" dot_general\b.*: operands swapped",
        "a symmetric product, or one with a vector: the same axes are contracted",
    ),
    (r" dot_general\b.*: dimension_numbers", "the matrix is symmetric"),
    (r" transpose\b.*: not transposed", "the matrix is symmetric"),
    (r" (iota|eq|sort)\b.*(dimension|operands swapped)", "the identity matrix is symmetric"),
    (r" sub\b.*: operands swapped", "only the square, or the product with the same difference, enters"),
    (rf"^{_LOGISTIC}\S* eqn \d+ .*: output negated", "p (1 - p) is an even function of the logit"),
    (r"^(logdet|gauss-process)\S* eqn .*: output negated", "the signs of the two factors of the inverse cancel"),
    (r" (add|sub|mul|div|neg|sqrt|square|pow|integer_pow)\b.*: output negated", "only the square of it enters"),
    (r" neg\b.*: function dropped", "only the square of it enters, or p (1 - p), even in the logit"),
    (r" abs\b.*: function dropped", "the argument is not negative here"),
    (r" custom_linear_solve\b.*rolled", "an operand that only the transposed solve, which is not run, reads"),
    (r"^scaled-norm\S* eqn \d+ (reduce_max|abs|div|max)\b", "the scale that is divided out cancels"),
    (r" select_n\b.*: always the (first|second) branch", "every entry takes that branch here"),
    (r" in scan body\b.*(reverse|rolled)", "the body gives the same numbers in every round"),
    (r" (add|sub) in (scan|while) body\b", "a counter that nothing reads"),
)


def reason(label: str) -> str:
    """Why the mutant with that label can be equivalent; "" where nobody has said so."""
    return next((why for pattern, why in REASONS if re.search(pattern, label)), "")

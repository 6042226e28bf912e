"""All seeded bugs, in one tuple."""

from helpers.seeded import (
    accumulations,
    adjoints,
    arguments,
    batches,
    branches,
    demotions,
    factors,
    second_order,
    signs,
    transposes,
)

SEEDED = (
    *factors.CASES,
    *signs.CASES,
    *transposes.CASES,
    *arguments.CASES,
    *second_order.CASES,
    *branches.CASES,
    *batches.CASES,
    *demotions.CASES,
    *accumulations.CASES,
    *adjoints.CASES,
)

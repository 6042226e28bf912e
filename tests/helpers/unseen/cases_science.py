"""The unseen bugs of the sciences: written by somebody who had not seen the checker."""

from helpers.unseen import chemistry, matrices, mechanics, signals, solvers, special, statistics

UNSEEN_SCIENCE = (
    *mechanics.CASES,
    *chemistry.CASES,
    *statistics.CASES,
    *special.CASES,
    *matrices.CASES,
    *solvers.CASES,
    *signals.CASES,
)

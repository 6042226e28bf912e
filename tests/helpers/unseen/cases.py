"""The second set of seeded bugs: written after the first run, by hands that had not seen the checker."""

from helpers.unseen.learning import attention, generative, graphs, images, layers, losses, optimisers
from helpers.unseen.science import chemistry, matrices, mechanics, signals, solvers, special, statistics

_LEARNING = (layers, images, attention, losses, generative, optimisers, graphs)
_SCIENCE = (mechanics, chemistry, statistics, special, matrices, solvers, signals)
UNSEEN = tuple(case for module in (*_LEARNING, *_SCIENCE) for case in module.CASES)

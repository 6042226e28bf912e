"""The unseen bugs of learning: UNSEEN_LEARNING."""

from helpers.unseen import attention, generative, graphs, images, layers, losses, optimisers

UNSEEN_LEARNING = (
    *(*layers.CASES, *images.CASES, *attention.CASES, *losses.CASES),
    *(*generative.CASES, *optimisers.CASES, *graphs.CASES),
)

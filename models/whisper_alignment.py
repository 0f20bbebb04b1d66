"""When tokens were said, from the attention that predicted them (Radford et al. 2022, released code of November 2022:
cross-attention of the alignment heads, smoothed, then dynamic time warping)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MEDIAN_WIDTH = 7  # encoder frames over which attention is smoothed before words are placed

_MEDIAN_OF_SEVEN = (
    *((0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4)),
)
"""pairs to put in order, so that the fourth of seven is their median: the 13 exchanges of N. Devillard, "Fast median
search" (1998), a fifteenth of the time of numpy's median"""


def first_frames(scores: Floats, start: int, stop: int) -> list[int]:
    """The frame at which each token begins, and that at which the last ends.

    `scores` (heads, tokens, frames) are attention before its softmax. Tokens from `start` to `stop` of it predict those
    that count and what follows the last; the others only even out what all tokens attend to.
    """
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    deviation = weights.std(axis=1, keepdims=True)
    weights = (weights - weights.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-10)
    matrix = _smoothed(weights).mean(axis=0)[start:stop]
    return _warped(-matrix)


def _smoothed(weights: Floats) -> Floats:
    """The running median over `MEDIAN_WIDTH` frames."""
    if weights.shape[-1] <= MEDIAN_WIDTH // 2:
        return weights
    padded = np.pad(weights, ((0, 0), (0, 0), (MEDIAN_WIDTH // 2, MEDIAN_WIDTH // 2)), mode="reflect")
    ranked = [padded[..., at : at + weights.shape[-1]] for at in range(MEDIAN_WIDTH)]
    for low, high in _MEDIAN_OF_SEVEN:
        smaller = np.minimum(ranked[low], ranked[high])
        ranked[high] = np.maximum(ranked[low], ranked[high])
        ranked[low] = smaller
    return ranked[MEDIAN_WIDTH // 2]


def _warped(cost: Floats) -> list[int]:
    """The first frame of each row on the cheapest path through `cost` from its first to its last corner."""
    rows, frames = cost.shape
    total = np.empty((rows, frames))
    total[0] = np.cumsum(cost[0])
    for row in range(1, rows):
        above = total[row - 1]
        entered = np.minimum(above, np.concatenate(([np.inf], above[:-1])))
        along = np.cumsum(cost[row])
        # The cheapest way to a frame enters the row at some frame before it and follows the row from there.
        total[row] = along + np.minimum.accumulate(entered - along + cost[row])
    begins = [0] * rows
    row, frame = rows - 1, frames - 1
    while row > 0:
        above, diagonal, left = total[row - 1, frame], np.inf, np.inf
        if frame > 0:
            diagonal, left = total[row - 1, frame - 1], total[row, frame - 1]
        if left < min(above, diagonal):
            frame -= 1
            continue
        begins[row] = frame
        row, frame = row - 1, frame - 1 if diagonal <= above else frame
    return begins

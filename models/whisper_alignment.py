"""When tokens were said, from the attention that predicted them (Radford et al. 2022, released code of November 2022:
cross-attention of the alignment heads, smoothed, then dynamic time warping)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def first_frames(scores: Floats, start: int, stop: int, width: int) -> list[int]:
    """The frame at which each token begins, and that at which the last ends.

    `scores` (heads, tokens, frames) are attention before its softmax. Tokens from `start` to `stop` of it predict those
    that count and what follows the last; the others only even out what all tokens attend to. `width` frames are
    smoothed over.
    """
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    deviation = weights.std(axis=1, keepdims=True)
    weights = (weights - weights.mean(axis=1, keepdims=True)) / np.maximum(deviation, 1e-10)
    matrix = _smoothed(weights, width).mean(axis=0)[start:stop]
    return _warped(-matrix)


def _smoothed(weights: Floats, width: int) -> Floats:
    """The running median over frames."""
    if weights.shape[-1] <= width // 2:
        return weights
    padded = np.pad(weights, ((0, 0), (0, 0), (width // 2, width // 2)), mode="reflect")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=-1), axis=-1).astype(np.float32)


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

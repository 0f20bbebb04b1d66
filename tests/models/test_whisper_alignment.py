"""Where attention puts tokens."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from models.whisper_alignment import (
    MEDIAN_WIDTH,
    _smoothed,  # pyright: ignore[reportPrivateUsage]
    _warped,  # pyright: ignore[reportPrivateUsage]
    first_frames,
)


def attention(ends: list[int], frames: int, heads: int = 3) -> np.ndarray:
    """Each row attends to the frames from where the one before ended to its own end."""
    scores = np.full((heads, len(ends), frames), -4, np.float32)
    for row, (start, end) in enumerate(itertools.pairwise([0, *ends])):
        scores[:, row, start:end] = 4
    return scores


def test_tokens_begin_where_attention_moves_on() -> None:
    found = first_frames(attention([20, 50, 60, 90], 90), 0, 4)
    assert found == pytest.approx([0, 20, 50, 60], abs=1)


def test_rows_before_the_first_token_have_no_place() -> None:
    scores = np.concatenate([np.zeros((3, 2, 90), np.float32), attention([20, 50, 90], 90)], axis=1)
    assert first_frames(scores, 2, 5) == pytest.approx([0, 20, 50], abs=1)


def test_audio_shorter_than_the_window_is_not_smoothed() -> None:
    assert len(first_frames(attention([1, 2], 2), 0, 2)) == 2


def test_smoothing_takes_the_median_of_seven_frames() -> None:
    weights = np.random.default_rng(0).normal(size=(2, 3, 40)).astype(np.float32)
    padded = np.pad(weights, ((0, 0), (0, 0), (3, 3)), mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_WIDTH, axis=-1)
    np.testing.assert_array_equal(_smoothed(weights), np.median(windows, axis=-1))


@pytest.mark.parametrize("seed", range(20))
def test_the_path_is_the_cheapest_of_all(seed: int) -> None:
    generator = np.random.default_rng(seed)
    rows, frames = 3, 6
    cost = generator.normal(size=(rows, frames)).astype(np.float32)
    begins = _warped(cost)

    def cheapest(row: int, frame: int) -> float:
        if row == frame == 0:
            return float(cost[0, 0])
        before = [(row - 1, frame), (row, frame - 1), (row - 1, frame - 1)]
        return float(cost[row, frame]) + min(cheapest(r, f) for r, f in before if r >= 0 and f >= 0)

    # The path stays in a row from where it begins until the next begins there, or one frame before.
    prices = [
        sum(cost[row, first : last + 1].sum() for row, (first, last) in enumerate(zip(begins, lasts, strict=True)))
        for lasts in itertools.product(*([(following - 1, following) for following in begins[1:]] + [(frames - 1,)]))
    ]
    assert begins[0] == 0
    assert begins == sorted(begins)
    assert min(prices, key=lambda price: abs(price - cheapest(rows - 1, frames - 1))) == pytest.approx(
        cheapest(rows - 1, frames - 1), abs=1e-4
    )

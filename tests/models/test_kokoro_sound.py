"""Where a stretch of speech ends."""

from __future__ import annotations

import numpy as np
import pytest

from models.kokoro_sound import FRAMES_S, LEAST_S, Utterance, cut

NOTHING = np.zeros((1, 1, 400), np.float32)
UTTERANCE = Utterance(NOTHING, NOTHING, NOTHING, 10, 390, (50, 100, 200, 370))


@pytest.mark.parametrize(
    ("at", "wanted_s", "until"),
    [
        (10, 0.5, 50),
        (10, 0.6, 100),
        (100, 1.0, 200),
        (200, 1.0, 390),
        (10, 9.0, 390),
    ],
)
def test_a_stretch_is_long_enough_and_ends_between_words(at: int, wanted_s: float, until: int) -> None:
    assert cut(UTTERANCE, at, wanted_s) == until


def test_what_is_left_is_worth_a_stretch() -> None:
    assert UTTERANCE.end - UTTERANCE.gaps[-1] < LEAST_S * FRAMES_S
    assert cut(UTTERANCE, 300, 0.1) == UTTERANCE.end

"""The canceller itself, without devices."""

from __future__ import annotations

import numpy as np
import pytest

from app.desk.adaptive import AEC3_LATE
from app.desk.echo import WebRtc
from app.desk.sound import DESK_RATE, FRAME

pytestmark = pytest.mark.desk


def test_webrtc_is_as_late_as_is_made_up_for() -> None:
    random = np.random.default_rng(0)
    bursts = 0.1 * random.standard_normal(2 * DESK_RATE) * (np.arange(2 * DESK_RATE) // 4800 % 3 == 0)
    heard, canceller = bursts.astype(np.float32), WebRtc()
    cleaned = np.concatenate([canceller._cleaned(heard[a : a + FRAME]) for a in range(0, len(heard), FRAME)])
    size = 2 * len(heard)
    cross = np.fft.irfft(np.fft.rfft(cleaned, size) * np.conj(np.fft.rfft(heard, size)))
    assert abs(int(np.argmax(cross)) - AEC3_LATE) <= 5

"""The simulated room: who is heard when, and the echo's way."""

from __future__ import annotations

import numpy as np

from app.desk.sound import DESK_RATE
from benchmarks.room import DEVICES_MS, ECHOES, FALTER_S, Scene

SILENT_DB = -200.0


def click() -> np.ndarray:
    return np.array([0.5], np.float32)


def test_echo_comes_late_and_quieter_and_another_way_after_a_change() -> None:
    scene = Scene(np.random.default_rng(0), SILENT_DB)
    at: list[int] = []
    for number in range(2):
        scene.path(number)
        at.append(scene.play(click())[0])
        scene.wait(0.5)
    heard, played = scene.mixed()
    assert np.flatnonzero(played).tolist() == at
    echoes = np.flatnonzero(np.abs(heard) > 1e-3)
    for came, went, (delay_ms, gain_db) in zip(echoes, at, ECHOES, strict=False):
        late_ms = (came - went) * 1000 / DESK_RATE
        assert DEVICES_MS[0] <= late_ms - delay_ms <= DEVICES_MS[1]
        assert np.isclose(heard[came], 0.5 * 10 ** (gain_db / 20), rtol=1e-3)
    assert len(echoes) == len(at)


def test_echo_of_a_way_that_has_ended_is_heard_no_more() -> None:
    scene = Scene(np.random.default_rng(0), SILENT_DB)
    scene.path(2)
    scene.play(click())
    scene.wait(0.05)
    scene.path(3)
    scene.wait(0.5)
    assert not np.any(np.abs(scene.mixed()[0]) > 1e-3)


def test_loudspeaker_that_falters_is_silent_for_a_moment_and_loses_nothing() -> None:
    scene = Scene(np.random.default_rng(0), SILENT_DB)
    scene.path(0)
    scene.play(np.full(DESK_RATE, 0.5, np.float32))
    scene.falter(DESK_RATE // 2)
    scene.wait(0.5)
    echo = np.flatnonzero(np.abs(scene.mixed()[0]) > 1e-3)
    assert len(echo) == DESK_RATE
    dry_s = (echo[-1] - echo[0] + 1 - DESK_RATE) / DESK_RATE
    assert FALTER_S[0] <= dry_s <= FALTER_S[1]


def test_echo_comes_later_and_later_where_the_microphone_has_the_faster_clock() -> None:
    scene = Scene(np.random.default_rng(0), SILENT_DB, drift_ppm=100.0)
    scene.path(3)
    at: list[int] = []
    for _ in range(2):
        scene.wait(10.0)
        at.append(scene.play(np.hanning(480).astype(np.float32))[0])
    scene.wait(1.0)
    heard, played = scene.mixed()
    first, second = (int(np.argmax(heard[begin : begin + DESK_RATE])) for begin in at)
    assert len(heard) == len(played) == scene.length
    assert second - first == round(10.0 * DESK_RATE * 100e-6)


def test_person_over_the_voice_begins_after_it_and_both_are_whole() -> None:
    scene = Scene(np.random.default_rng(0), SILENT_DB)
    scene.path(0)
    voice, person = (np.full(DESK_RATE, level, np.float32) for level in (0.1, 0.2))
    begin, end = scene.over(voice, person, 0.25)
    assert (begin, end) == (DESK_RATE // 4, DESK_RATE + DESK_RATE // 4)
    assert scene.length == end
    heard, played = scene.mixed()
    assert np.count_nonzero(played) == DESK_RATE
    assert np.allclose(heard[begin : begin + 100], 0.2 + 0.1 * 10 ** (ECHOES[0][1] / 20), atol=1e-3)

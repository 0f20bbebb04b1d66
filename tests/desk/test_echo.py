"""The canceller itself, without devices."""

from __future__ import annotations

import numpy as np
import pytest

from app.desk.double_talk import AEC3_LATE
from app.desk.echo import WebRtc
from app.desk.sound import DESK_RATE, FRAME, level_db, to_desk
from benchmarks.room import Person, Scene, near
from models.espeak import EspeakSynthesizer
from models.protocols import SAMPLE_RATE
from tests.conftest import Recording
from tests.desk.conftest import spoken

pytestmark = pytest.mark.desk


def test_webrtc_is_as_late_as_is_made_up_for() -> None:
    random = np.random.default_rng(0)
    bursts = 0.1 * random.standard_normal(2 * DESK_RATE) * (np.arange(2 * DESK_RATE) // 4800 % 3 == 0)
    heard, canceller = bursts.astype(np.float32), WebRtc()
    cleaned = np.concatenate([canceller._cleaned(heard[a : a + FRAME]) for a in range(0, len(heard), FRAME)])
    size = 2 * len(heard)
    cross = np.fft.irfft(np.fft.rfft(cleaned, size) * np.conj(np.fft.rfft(heard, size)))
    assert abs(int(np.argmax(cross)) - AEC3_LATE) <= 5


def heard_over(scene: Scene, said: tuple[int, int], sound: np.ndarray) -> float:
    """The share of a person's loud frames that get through about as loud as they were."""
    passed = scene.freed()
    scale = DESK_RATE // SAMPLE_RATE
    late = round(0.04 * SAMPLE_RATE)  # as the canceller is
    size = FRAME // scale
    count = len(sound) // FRAME
    loud = np.array([level_db(sound[n * FRAME : (n + 1) * FRAME]) for n in range(count)])
    begin = said[0] // scale + late
    out = np.array([level_db(passed[begin + n * size : begin + (n + 2) * size]) for n in range(count)])
    return float(np.mean(out[loud > -40] > loud[loud > -40] - 10))


def voice(seconds: float) -> np.ndarray:
    engine = EspeakSynthesizer("en")
    text = "The museum opens at nine in the morning, closes at six in the evening, and has a garden by the river. "
    said = to_desk(engine.synthesize(text * 4), engine.sample_rate)
    return said[: round(seconds * DESK_RATE)]


@pytest.mark.parametrize("falters", [False, True])
def test_person_is_heard_over_a_voice_also_where_the_loudspeaker_falters(
    recordings: dict[str, Recording], falters: bool
) -> None:
    (one,) = spoken(recordings, "fleurs_en_1")
    person = Person(one, to_desk(near(one.path), SAMPLE_RATE))
    scene = Scene(np.random.default_rng(0), -74.0)
    scene.path(0)
    scene.play(voice(8.0))
    scene.wait(1.5)
    said = scene.over(voice(12.0), person.sound, 0.6)
    if falters:
        scene.falter(said[0] + DESK_RATE)
    scene.wait(1.0)
    assert heard_over(scene, said, person.sound) > 0.85


def test_person_who_begins_just_before_the_voice_is_heard_over_it(recordings: dict[str, Recording]) -> None:
    (one,) = spoken(recordings, "fleurs_en_0")
    sound = to_desk(near(one.path), SAMPLE_RATE)[: 2 * DESK_RATE]
    begins = next(at for at in range(0, len(sound), FRAME) if level_db(sound[at : at + FRAME]) > -40)
    scene = Scene(np.random.default_rng(0), -74.0)
    scene.path(0)
    scene.play(voice(8.0))
    scene.wait(1.5)
    said = scene.over(voice(6.0), sound, -begins / DESK_RATE - 0.3)
    scene.wait(1.0)
    assert heard_over(scene, said, sound) > 0.85


def test_voice_alone_is_not_heard_where_the_loudspeaker_falters_again_and_again() -> None:
    scene = Scene(np.random.default_rng(0), -74.0)
    scene.path(0)
    begin, _ = scene.play(voice(12.0))
    for second in (6.0, 6.4, 8.0, 8.3, 8.6, 10.0):
        scene.falter(begin + round(second * DESK_RATE))
    scene.wait(1.0)
    passed = scene.freed()
    blocks = passed[: len(passed) // 1600 * 1600].reshape(-1, 1600)
    assert max(level_db(block) for block in blocks) < -50

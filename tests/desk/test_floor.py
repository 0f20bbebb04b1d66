"""A person pauses, and goes on just as the interpreter begins to answer: it steps back, and answers when they end."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import jiwer
import numpy as np
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from app.desk.sound import FRAME, level_db
from benchmarks.room import near
from models.protocols import Samples
from tests.conftest import Recording
from tests.desk.room import Listener, Room
from tests.desk.running import ANSWER_S, Desk, Turn, answered, say

pytestmark = pytest.mark.desk

PAIRS = (("fleurs_en_4", "fleurs_en_3"), ("pt_coxinha", "fleurs_pt_2"), ("pt_cheetah", "fleurs_en_4"))
FALLBACK = (("sample", "sample"),)
TOGETHER_S = 0.3  # after the voice, at most: on a busy machine a person may begin too late to be let finish
SILENT_S = 1.0  # after a person went on, at most, until the voice is: in most turns
SPEECH_DB = -40.0
WORSE = 0.2  # beneath the first sound of the voice their first words may be lost
SPOKEN = 0.7  # of what two answers last one by one: what follows another is translated with it


def test_voice_lets_a_person_finish_who_goes_on_as_it_begins(
    room: Room, people: Listener, voice: Listener, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    """Each sentence of a pair alone; then the second as soon as the answer to the first can be heard."""
    pairs = [[recordings[name] for name in pair] for pair in PAIRS if all(name in recordings for name in pair)]
    pairs = pairs or [[recordings[name] for name in pair] for pair in FALLBACK]
    room.echo(60, -6.0)
    alone: list[Turn] = []
    both: list[Turn] = []
    late_s: list[float] = []
    over_s: list[float] = []

    def speak(one: Recording) -> Turn:
        return say(room, people, one.name, one.language, within(near(one.path)))

    with Desk(room, tmp_path) as desk:
        for one in (one for pair in pairs for one in pair):
            alone.append(speak(one))
            answered(alone[-1], voice)
        for one, other in pairs:
            first = speak(one)
            until = time.monotonic() + ANSWER_S
            while not len(voice.loud(first.ended)) and time.monotonic() < until:
                time.sleep(0.005)
            second = speak(other)
            heard = voice.loud(first.ended, second.ended)
            assert len(heard), "the first sentence was not answered"
            late_s.append(second.began - float(heard[0]))
            over_s.append(float(heard[-1]) - second.began)
            answered(second, voice)
            second.began = first.began
            both.append(second)
        for turn in (*alone, *both):
            turn.words = desk.words(turn.began - 0.4, turn.ended + 0.8)
    room.still()
    print(f"begun {rounded(late_s)} s after the voice, spoken over for {rounded(over_s)} s")
    for turn in (*alone, *both):
        print(f"{turn.name}: {turn.text}")
    truth = [f"{one.transcript} {other.transcript}" for one, other in pairs]
    apart = [f"{one.text} {other.text}" for one, other in zip(alone[::2], alone[1::2], strict=True)]
    rates = [wer(truth, found) for found in (apart, [turn.text for turn in both])]
    print(f"WER one by one {100 * rates[0]:.1f} %, without waiting for the answer {100 * rates[1]:.1f} %")
    together = [over for late, over in zip(late_s, over_s, strict=True) if late < TOGETHER_S]
    if not together:
        pytest.skip("this machine was too busy for a person to begin together with the voice")
    assert median(together) < SILENT_S
    assert rates[1] <= rates[0] + WORSE
    for turn, one, other in zip(both, alone[::2], alone[1::2], strict=True):
        assert spoken_s(turn) > SPOKEN * (spoken_s(one) + spoken_s(other)), (
            "both are answered, the first from its start"
        )


def wer(truth: list[str], found: list[str]) -> float:
    normalise = BasicTextNormalizer()
    return jiwer.wer(list(map(normalise, truth)), list(map(normalise, found)))


def rounded(seconds: list[float]) -> list[float]:
    return [round(each, 2) for each in seconds]


def spoken_s(turn: Turn) -> float:
    """How long the voice took to answer."""
    assert turn.voice_began is not None
    assert turn.voice_ended is not None
    return turn.voice_ended - turn.voice_began


def within(sound: Samples) -> Samples:
    """From the beginning of its first word to the end of the last."""
    loud = np.flatnonzero([level_db(sound[at : at + FRAME]) > SPEECH_DB for at in range(0, len(sound), FRAME)])
    return sound[loud[0] * FRAME : (loud[-1] + 1) * FRAME]

"""Two people talk through the desk while its loudspeaker is fed back into the microphone at several levels and delays.

TSUYAKU_DESK_MINUTES=30 (or 60) makes the conversation as long; without it, it lasts a few turns.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from time import monotonic

import jiwer
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from benchmarks.room import near
from models.protocols import Samples
from tests.conftest import Recording
from tests.desk.conftest import seconds
from tests.desk.room import Listener, Room
from tests.desk.running import Desk, Turn, answered, say

pytestmark = pytest.mark.desk

ATTEMPTS = 2
IN_TIME_S = 2.5
ECHOES = ((60, -6.0), (150, 0.0), (250, -12.0), (20, -20.0))
"""ms and dB"""
EARLY_S, LATE_S = 0.4, 0.8  # by which a word may seem to lie outside of what was played
SHORT_SENTENCE_S = 6.5
MOST_MB = 1400  # Kokoro needs some 300 MB for the length of a phrase
LONG_S = 600
EN = ("fleurs_en_4", "fleurs_en_3", "fleurs_en_1", "fleurs_en_0", "fleurs_en_2", "en_jfk", "sample")
PT = ("pt_cheetah", "pt_coxinha", "fleurs_pt_2", "pt_falabrasil", "fleurs_pt_3", "fleurs_pt_4", "sample_pt")


@dataclass
class Talk:
    """All that happened."""

    turns: list[Turn] = field(default_factory=list[Turn])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    echo_words: list[str] = field(default_factory=list[str])
    report: str = ""
    errors: str = ""
    memory_mb: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    cpu_share: float = 0.0
    began: float = 0.0
    ended: float = 0.0


@pytest.fixture(scope="module")
def talk(
    room: Room,
    people: Listener,
    voice: Listener,
    recordings: dict[str, Recording],
    tmp_path_factory: pytest.TempPathFactory,
) -> Talk:
    """Once more where the machine was too busy to take the sound or to answer in time; not where it is to last long."""
    for attempt in range(ATTEMPTS):
        found = converse(room, people, voice, recordings, tmp_path_factory.mktemp(f"talk{attempt}"))
        _tell(found)
        short, lost = _latencies(found.turns), "[overrun]" in found.errors
        if "TSUYAKU_DESK_MINUTES" in os.environ or (not lost and short and median(short) <= IN_TIME_S):
            return found
    if lost:
        pytest.skip(f"in {ATTEMPTS} tries this machine was too busy to take all the sound: {found.report}")
    return found


def converse(room: Room, people: Listener, voice: Listener, recordings: dict[str, Recording], folder: Path) -> Talk:
    """From the first turn to the last, and what came of it."""
    lasting = seconds("TSUYAKU_DESK_MINUTES", 110.0)
    turns = list(_turns(recordings))
    found = Talk(texts={name: text for name, _, _, text in turns})
    echoes = cycle(ECHOES)
    with Desk(room, folder) as desk:
        found.began = monotonic()
        for number, (name, language, samples, _) in enumerate(cycle(turns)):
            if monotonic() - found.began > lasting and number >= 4:
                break
            if number % 3 == 0:
                room.echo(*next(echoes))
            turn = say(room, people, name, language, samples)
            answered(turn, voice)
            found.turns.append(turn)
        found.ended = monotonic()
        found.memory_mb = list(desk.memory_mb)
        first, last = desk.cpu_s[0], desk.cpu_s[-1]
        found.cpu_share = (last[1] - first[1]) / (last[0] - first[0])
    room.still()
    for turn in found.turns:
        turn.words = desk.words(turn.began - EARLY_S, turn.ended + LATE_S)
    theirs = {id(event) for turn in found.turns for event in turn.words}
    found.echo_words = [
        f"{event['began'] - found.began:.1f} s: {event['committed']}"
        for event in desk.words()
        if id(event) not in theirs
    ]
    found.errors = desk.errors
    found.report = desk.errors.splitlines()[-1]
    return found


def _turns(recordings: dict[str, Recording]) -> Iterator[tuple[str, str, Samples, str]]:
    """Name, language, sound and text: the two languages in turn, several speakers each."""
    english = [recordings[name] for name in EN if name in recordings]
    portuguese = [recordings[name] for name in PT if name in recordings]
    for pair in zip(english, portuguese, strict=False):
        for one in pair:
            yield one.name, one.language, near(one.path), one.transcript


def _tell(talk: Talk) -> None:
    for turn in talk.turns:
        late = f"{turn.first_voice_s:.2f} s" if turn.first_voice_s is not None else "never"
        print(f"{turn.began - talk.began:5.1f} s: {turn.name} {turn.seconds:.1f} s, heard as {turn.heard or 'nothing'}")
        print(f"         voice after {late}: {turn.text}")
    print(f"{len(talk.turns)} turns in {talk.ended - talk.began:.0f} s; CPU {100 * talk.cpu_share:.0f} % of a core")
    if short := _latencies(talk.turns):
        print(f"voice after a short sentence: median {median(short):.2f} s of {len(short)}")
    print(f"not said by people: {talk.echo_words}")
    print(talk.report)


def _latencies(turns: Sequence[Turn]) -> list[float]:
    return [t.first_voice_s for t in turns if t.first_voice_s is not None and t.seconds <= SHORT_SENTENCE_S]


def test_every_turn_is_routed_right_and_answered(talk: Talk) -> None:
    right = sum(turn.heard == turn.language for turn in talk.turns)
    assert right >= 0.98 * len(talk.turns), [(t.name, t.heard) for t in talk.turns if t.heard != t.language]
    assert [turn.name for turn in talk.turns if not turn.spoken_to] == []


def test_nothing_that_was_said_is_lost(talk: Talk) -> None:
    normalise = BasicTextNormalizer()
    known = [turn for turn in talk.turns if talk.texts[turn.name]]
    assert known
    wer = jiwer.wer([normalise(talk.texts[turn.name]) for turn in known], [normalise(turn.text) for turn in known])
    print(f"WER of {len(known)} turns through the room: {100 * wer:.1f} %")
    assert wer < 0.35


def test_interpreter_is_never_recognised(talk: Talk) -> None:
    assert talk.echo_words == []


def test_voice_begins_soon_after_a_short_sentence(talk: Talk) -> None:
    short = _latencies(talk.turns)
    assert short
    assert median(short) <= IN_TIME_S, sorted(short)


def test_lag_does_not_grow(talk: Talk) -> None:
    late = [turn.first_voice_s for turn in talk.turns if turn.first_voice_s is not None]
    half = len(late) // 2
    assert median(late[half:]) <= median(late[:half]) + 1.0


def test_memory_is_flat(talk: Talk) -> None:
    """Engines settle in the first turns; after that a long conversation needs no more than a short one."""
    used = [mb for _, mb in talk.memory_mb]
    assert max(used) < MOST_MB
    if talk.ended - talk.began > LONG_S:
        half, end = (median(used[round(share * len(used)) :][:60]) for share in (0.4, 0.9))
        print(f"memory: {half:.0f} MB before the middle, {end:.0f} MB at the end")
        assert end <= half * 1.03


def test_cost_and_losses_are_reported(talk: Talk) -> None:
    figures = re.search(r" (\d+) samples lost, CPU \d+ % \(sound \d+\.\d %\), \d+ MB at most", talk.report)
    assert figures is not None
    assert (figures[1] != "0") == ("[overrun]" in talk.errors)

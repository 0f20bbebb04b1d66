"""What flows through a session: immutable events, all times in ms since the first sample on the audio's clock.

`committed` is what an event adds to text that never changes again; all of them joined, per language, are the final
text, spaces included. `tentative` is the whole present tail and replaces the one before. docs/events.md describes
the same events as JSON lines.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    emitted_ms: float
    """when the event left its stage"""


class Voice(Event, frozen=True, kw_only=True):
    """Speech began (`active`) or ended in the source."""

    active: bool
    source_ms: float


class Words(Event, frozen=True, kw_only=True):
    """What was recognised. An event may carry only committed text, only a new tail, or both."""

    language: str
    committed: str
    tentative: str
    source_start_ms: float
    """begin of the committed text, or of the tail where nothing was committed"""
    source_end_ms: float
    confidence: float
    """mean probability of the words, 0 to 1"""


class Translation(Event, frozen=True, kw_only=True):
    """What a clause (`segment`, counted from 0) reads in `language`. `final` closes the segment."""

    language: str
    segment: int
    committed: str
    tentative: str
    final: bool
    source_start_ms: float
    source_end_ms: float
    engine: str


class Speech(Event, frozen=True, kw_only=True):
    """A stretch of synthetic speech: 16-bit little-endian mono PCM, to be played after all earlier ones."""

    language: str
    segment: int
    text: str
    """empty where the sound goes on with what the event before it says"""
    sample_rate: int
    duration_ms: float
    play_ms: float
    """when it begins to sound if played in order without a gap that is not needed"""
    rate: float
    last: bool
    """nothing more of this segment follows"""
    dropped: bool
    """the clause was left unspoken to catch up; `duration_ms` is 0 and its caption stands"""
    source_start_ms: float
    source_end_ms: float
    pcm: bytes = b""


AUDIO_DROPPED = "audio-dropped"  # action of a miss of the capture


class Miss(Event, frozen=True, kw_only=True):
    """A stage took longer than its budget, and what it does about it."""

    stage: str
    language: str
    segment: int
    budget_ms: float
    actual_ms: float
    action: str


class Trace(Event, frozen=True, kw_only=True):
    """Where the time of one clause went. captured → committed → translated → spoken, each absolute.

    `stages` holds, by name, the wait and the work in ms. Those of `recognise` and `translate` and the gaps of
    `unaccounted_ms` make `end_to_end_ms`, which runs from the end of the clause's last word to the whole of its
    translation. `speak` is its first stretch of speech, which may begin before that; `spoken_ms` is when it sounds.
    """

    language: str
    segment: int
    source_start_ms: float
    captured_ms: float
    committed_ms: float
    translated_ms: float
    spoken_ms: float | None
    stages: dict[str, StageTime]
    unaccounted_ms: float
    end_to_end_ms: float


class StageTime(msgspec.Struct, frozen=True):
    queue_ms: float
    compute_ms: float


class End(Event, frozen=True, kw_only=True):
    """Nothing follows. `reason` is `end` or a stable error code, in which case `message` says what happened."""

    source_ms: float
    segments: int
    misses: int
    reason: str = "end"
    message: str = ""


AnyEvent: TypeAlias = Voice | Words | Translation | Speech | Miss | Trace | End

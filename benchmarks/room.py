"""The desk's echo canceller in a simulated room, many times faster than between the devices of `make test-desk`.

The loudspeaker's sound comes back to the microphone late and quieter (a pure delay, as through a sound server), beside
people and the room's own noise. Two questions: how much worse is a person understood who speaks over the voice, and how
often does the voice get through to whoever recognises speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soxr
from rich.table import Table

from app.desk.echo import WebRtc
from app.desk.sound import DESK_RATE, FRAME, level_db, to_desk, to_engine
from benchmarks import metrics
from benchmarks.alignment import decode
from benchmarks.manifest import Recording
from models.espeak import EspeakSynthesizer
from models.protocols import SAMPLE_RATE, RecognitionRequest, Recognizer, Samples, SpeechDetector
from pipeline.gate import Gate, Onset, Pause

PERSON_LEVEL = 0.1  # root mean square of the loud part of a person's sound, full scale being 1
ECHOES = ((60.0, -6.0), (150.0, 0.0), (250.0, -12.0), (20.0, -20.0))
"""ms and dB, in turn"""
DEVICES_MS = (20.0, 50.0)  # that the devices add, between these
TURNS_BEFORE_CHANGE = 3
SETTLING_S = 8.0  # of the voice alone, at the beginning
SETTLED_S = 3.0  # where the echo's path is as it was
PAUSE_S = 1.5
OVER_S = (0.3, 1.2)  # of the voice, before a person begins to speak over it
ANSWER_S = (0.3, 0.9)  # after a person, until the voice begins
FALTER_S = (0.02, 0.25)  # that a loudspeaker which runs dry is silent
ROUND_S = (0.5, 0.8)  # heard before and after a person's own time, as the canceller is late


@dataclass(frozen=True, slots=True)
class Person:
    recording: Recording
    sound: Samples
    """at `DESK_RATE`, as loud as near a microphone"""


_Said = tuple[Person, tuple[int, int]]
"""and from where to where"""


@dataclass(frozen=True, slots=True)
class Opening:
    """The voice got through: a gate opened for it while nobody spoke."""

    at_s: float
    level_db: float


@dataclass(frozen=True, slots=True)
class Understood:
    """WER of the same people, each word counted once."""

    alone: float
    over: float


@dataclass(slots=True)
class Scene:
    """What people and the loudspeaker do, one after the other. Positions are samples at `DESK_RATE`."""

    rng: np.random.Generator
    noise_db: float
    drift_ppm: float = 0.0
    """millionths by which the microphone's clock runs faster than the loudspeaker's"""
    length: int = 0
    _people: list[tuple[int, Samples]] = field(default_factory=list[tuple[int, Samples]])
    _voices: list[tuple[int, Samples]] = field(default_factory=list[tuple[int, Samples]])
    _paths: list[tuple[int, int, float]] = field(default_factory=list[tuple[int, int, float]])
    _falters: list[int] = field(default_factory=list[int])

    def path(self, number: int) -> None:
        """From now on the echo takes the way with this number of `ECHOES`."""
        delay_ms, gain_db = ECHOES[number % len(ECHOES)]
        delay = round((delay_ms + self.rng.uniform(*DEVICES_MS)) * DESK_RATE / 1000)
        self._paths.append((self.length, delay, 10 ** (gain_db / 20)))

    def falter(self, at: int) -> None:
        """The loudspeaker runs dry there; all that follows comes later by as much, and the canceller is told."""
        _, delay, gain = self._paths[-1]
        dry = round(self.rng.uniform(*FALTER_S) * DESK_RATE)
        self._paths += [(at, delay, 0.0), (at + dry, delay + dry, gain)]
        self._falters.append(at + dry)

    def wait(self, seconds: float) -> None:
        self.length += round(seconds * DESK_RATE)

    def say(self, sound: Samples) -> tuple[int, int]:
        """A person does; from where to where."""
        return self._add(self._people, sound)

    def play(self, sound: Samples) -> tuple[int, int]:
        """The loudspeaker does."""
        return self._add(self._voices, sound)

    def _add(self, sounds: list[tuple[int, Samples]], sound: Samples) -> tuple[int, int]:
        begin = self.length
        sounds.append((begin, sound))
        self.length += len(sound)
        return begin, self.length

    def over(self, voice: Samples, sound: Samples, after_s: float) -> tuple[int, int]:
        """A person does while the loudspeaker does."""
        begin, _ = self.play(voice)
        self.length = begin + round(after_s * DESK_RATE)
        said = self.say(sound)
        self.length = max(said[1], begin + len(voice))
        return said

    def mixed(self) -> tuple[Samples, Samples]:
        """What the microphone hears, and what was played."""
        played, heard = (_laid(sounds, self.length) for sounds in (self._voices, self._people))
        heard += self.rng.normal(0, 10 ** (self.noise_db / 20), self.length).astype(np.float32)
        ends = [*(begin for begin, _, _ in self._paths[1:]), self.length]
        coming = self._drifted(played)
        for (begin, delay, gain), end in zip(self._paths, ends, strict=True):
            echo = coming[max(0, begin - delay) : max(0, end - delay)]
            heard[end - len(echo) : end] += np.float32(gain) * echo
        return np.clip(heard, -1, 1), played

    def _drifted(self, played: Samples) -> Samples:
        """As the microphone's clock has it."""
        if not self.drift_ppm:
            return played
        drifted = soxr.resample(played, DESK_RATE, DESK_RATE * (1 + self.drift_ppm / 1e6))[: self.length]
        return np.pad(drifted, (0, self.length - len(drifted))).astype(np.float32)

    def freed(self) -> Samples:
        """What the canceller lets through of it, at `SAMPLE_RATE`."""
        heard, played = self.mixed()
        canceller = WebRtc()
        moved = {at // FRAME for at in self._falters}
        passed: list[Samples] = []
        for number, at in enumerate(range(0, self.length - FRAME + 1, FRAME)):
            if number in moved:
                canceller.moved()
            passed.append(canceller.process(heard[at : at + FRAME], played[at : at + FRAME]))
        return to_engine().process(np.concatenate(passed))


def near(path: Path) -> Samples:
    """All of a recording, at the loudness of a person near the microphone."""
    sound = decode(path)
    loud = sound[np.abs(sound) > 0.1 * np.abs(sound).max()]
    level = PERSON_LEVEL / float(np.sqrt(np.mean(np.square(loud))))
    return np.clip(sound * np.float32(level), -1, 1)


def people(recordings: Sequence[Recording]) -> list[Person]:
    return [Person(recording, to_desk(near(recording.path), SAMPLE_RATE)) for recording in recordings]


def voices(recordings: Sequence[Recording]) -> list[Samples]:
    """What is said in the recordings, as eSpeak NG says it: the same on every machine."""
    spoken = {recording.language: EspeakSynthesizer(recording.language) for recording in recordings}
    texts = [(spoken[recording.language], line) for recording in recordings for line in recording.transcript]
    return [to_desk(voice.synthesize(line), voice.sample_rate) for voice, line in texts]


def understood(
    scene: Scene,
    people: Sequence[Person],
    voices: Sequence[Samples],
    recognizer: Recognizer,
    *,
    rounds: int,
    changes: bool = False,
    falters: bool = False,
) -> Understood:
    """Each person alone and over the voice, `rounds` times. `changes`: the echo's path does before a third of them.
    `falters`: the loudspeaker does while each of them speaks, and is then as it was."""
    rng, number = scene.rng, 0
    scene.path(0)
    scene.play(_voice(voices, rng, round(SETTLING_S * DESK_RATE)))
    alone: list[_Said] = []
    over: list[_Said] = []
    for person in list(people) * rounds:
        scene.wait(PAUSE_S)
        if changes and rng.random() < 1 / TURNS_BEFORE_CHANGE:
            number += 1
            scene.path(number)
        alone.append((person, scene.say(person.sound)))
        scene.wait(PAUSE_S)
        after_s = float(rng.uniform(*OVER_S))
        voice = _voice(voices, rng, len(person.sound) + round((after_s + 1) * DESK_RATE))
        begin, end = scene.over(voice, person.sound, after_s)
        over.append((person, (begin, end)))
        if falters:
            scene.falter(round(rng.uniform(begin, (begin + end) / 2)))
            scene.wait(PAUSE_S)
            scene.path(0)
            scene.play(_voice(voices, rng, round(SETTLED_S * DESK_RATE)))
    scene.wait(PAUSE_S)
    freed = scene.freed()
    return Understood(_errors(alone, freed, recognizer), _errors(over, freed, recognizer))


def openings(
    scene: Scene,
    people: Sequence[Person],
    voices: Sequence[Samples],
    detector: SpeechDetector,
    *,
    minutes: float,
    falters: bool,
) -> list[Opening]:
    """People and the voice in turn; the echo's path changes every third turn, while nothing is played. `falters`: also
    in the midst of every answer, as the loudspeaker runs dry."""
    rng, turn = scene.rng, 0
    answers: list[tuple[float, float]] = []
    while scene.length < 60 * minutes * DESK_RATE:
        if turn % TURNS_BEFORE_CHANGE == 0:
            scene.path(turn // TURNS_BEFORE_CHANGE)
        _, ended = scene.say(people[int(rng.integers(len(people)))].sound)
        scene.wait(float(rng.uniform(*ANSWER_S)))
        begun, answered = scene.play(voices[int(rng.integers(len(voices)))])
        if falters:
            scene.falter(int(rng.uniform(begun, answered)))
        answers.append((ended / DESK_RATE, answered / DESK_RATE + ROUND_S[1]))
        scene.wait(PAUSE_S)
        turn += 1
    found = _utterances(scene.freed(), Gate(detector))
    return [Opening(begin, level) for begin, level in found if any(start < begin < end for start, end in answers)]


def table(
    known: Understood,
    changed: Understood,
    faltered: Understood,
    through: Sequence[Opening],
    faltering: Sequence[Opening],
    minutes: float,
) -> Table:
    shown = Table(box=None)
    for title in ("figure", "value"):
        shown.add_column(title)
    for name, found in (
        ("WER alone; over the voice", known),
        ("the same, where the echo's path changes", changed),
        ("the same, where the loudspeaker falters meanwhile", faltered),
    ):
        shown.add_row(name, f"{100 * found.alone:.1f} %; {100 * found.over:.1f} %")
    shown.add_row(f"the voice got through, in {minutes:.0f} minutes", _times(through))
    shown.add_row("the same, where the loudspeaker falters in every answer", _times(faltering))
    return shown


def _times(openings: Sequence[Opening]) -> str:
    levels = ", ".join(f"{opening.level_db:.0f} dB at {opening.at_s:.0f} s" for opening in openings)
    return f"{len(openings)} times" + f" ({levels})" * bool(levels)


def _laid(sounds: Sequence[tuple[int, Samples]], length: int) -> Samples:
    whole = np.zeros(length, np.float32)
    for begin, sound in sounds:
        whole[begin : begin + len(sound)] += sound
    return whole


def _voice(voices: Sequence[Samples], rng: np.random.Generator, length: int) -> Samples:
    """So many samples of the voice, one thing after another."""
    parts: list[Samples] = []
    while sum(map(len, parts)) < length:
        parts.append(voices[int(rng.integers(len(voices)))])
    return np.concatenate(parts)[:length]


def _errors(said: Sequence[_Said], freed: Samples, recognizer: Recognizer) -> float:
    errors = words = 0.0
    before, after = (round(seconds * SAMPLE_RATE) for seconds in ROUND_S)
    scale = DESK_RATE // SAMPLE_RATE
    for person, (begin, end) in said:
        piece = freed[max(0, begin // scale - before) : end // scale + after]
        language, text = person.recording.language, person.recording.text
        heard = recognizer.recognize(RecognitionRequest(piece, language))
        count = len(metrics.normalise(text, language).split())
        errors += count * metrics.word_errors(text, "".join(word.text for word in heard.words), language)["wer"]
        words += count
    return errors / words


def _utterances(sound: Samples, gate: Gate) -> list[tuple[float, float]]:
    """When a gate opens for `sound`, in s, and how loud what it lets through is, in dB."""
    found: list[tuple[float, float]] = []
    begin = 0
    for item in gate.process(sound):
        if isinstance(item, Onset):
            begin = item.at
        elif isinstance(item, Pause):
            found.append((begin / SAMPLE_RATE, level_db(sound[begin : item.at])))
    return found

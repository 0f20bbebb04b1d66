"""The command as a process between the devices of a room: what it writes, when, and what it costs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from models.protocols import SAMPLE_RATE, Samples
from tests.desk.room import Listener, Room, dies_with_me, wait_until

TSUYAKU = str(Path(sys.executable).with_name("tsuyaku"))
READY_S = 240
QUIET_S = 1.2  # of the voice, after which it has said all
ANSWER_S = 20.0  # at most until it begins
ORIGINS = 100  # events that tell when the source began; each was read a little after it was written

Event = dict[str, Any]


@dataclass
class Turn:
    """What a person said, and what came of it. Monotonic seconds."""

    name: str
    language: str
    seconds: float
    began: float
    ended: float
    """of the sound itself"""
    voice_began: float | None = None
    """after the person had ended; None where all was said in their pauses"""
    voice_ended: float | None = None
    spoken_to: bool = False
    """the voice said something, in a pause or after the end"""
    words: list[Event] = field(default_factory=list[Event])

    @property
    def heard(self) -> str:
        """The language of most of what was committed."""
        letters: dict[str, int] = {}
        for event in self.words:
            letters[event["language"]] = letters.get(event["language"], 0) + len(event["committed"].strip())
        return max(letters, key=lambda code: letters[code]) if letters else ""

    @property
    def text(self) -> str:
        return "".join(event["committed"] for event in self.words).strip()

    @property
    def first_voice_s(self) -> float | None:
        return None if self.voice_began is None else self.voice_began - self.ended


class Desk:
    """`tsuyaku interpret` in `room`, its events in `log`; ends when the block does."""

    def __init__(self, room: Room, folder: Path, *options: str) -> None:
        self._room = room
        self.log = folder / "talk.jsonl"
        self._errors = folder / "errors"
        command = [TSUYAKU, "interpret", "--between", "en", "pt", "--plain", "--save", str(self.log), *options]
        self._stream = self._errors.open("w")
        self.output = folder / "lines"
        self._lines = self.output.open("w")
        self.process = subprocess.Popen(
            command, env=room.environment, stdout=self._lines, stderr=self._stream, preexec_fn=dies_with_me
        )
        self.events: list[Event] = []
        self.said: list[tuple[float, str]] = []
        """lines of standard error, and when each came"""
        self.memory_mb: list[tuple[float, float]] = []
        self.cpu_s: list[tuple[float, float]] = []
        self._origins: deque[float] = deque(maxlen=ORIGINS)
        self._watching = True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def __enter__(self) -> Desk:
        try:
            wait_until(lambda: "listening" in self.errors or self.process.poll() is not None, READY_S, "the desk")
            assert self.process.poll() is None, self.errors
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(40)
        finally:
            self._end()

    def _end(self) -> None:
        self._watching = False
        self._thread.join(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        self._stream.close()
        self._lines.close()
        print(self.errors)

    @property
    def errors(self) -> str:
        return self._errors.read_text("utf-8")

    def notice(self, code: str, since: float = 0.0) -> float | None:
        """When a notice with `code` came."""
        return next((at for at, line in self.said if at >= since and line.endswith(f"[{code}]")), None)

    def words(self, since: float = 0.0, until: float = float("inf")) -> list[Event]:
        """Committed words whose middle lies between."""
        found = [e for e in self.events if e["event"] == "words" and e["committed"].strip()]
        return [e for e in found if since <= (e["began"] + e["ended"]) / 2 < until]

    def _watch(self) -> None:
        process = psutil.Process(self.process.pid)
        read = lines = 0
        measured = 0.0
        while self._watching:
            now = time.monotonic()
            if self.log.exists():
                with self.log.open("rb") as file:
                    file.seek(read)
                    data = file.read()
                whole = data[: data.rfind(b"\n") + 1]
                read += len(whole)
                for line in whole.splitlines():
                    event = json.loads(line)
                    self._origins.append(now - event["emitted_ms"] / 1000)
                    if "source_end_ms" in event:  # in monotonic seconds, from the origin of now: clocks drift
                        event["began"] = min(self._origins) + event["source_start_ms"] / 1000
                        event["ended"] = min(self._origins) + event["source_end_ms"] / 1000
                    self.events.append(event)
            said = self.errors.splitlines()
            self.said += [(now, line) for line in said[lines:]]
            lines = len(said)
            if now - measured >= 1.0 and self.process.poll() is None:
                measured = now
                try:
                    self.memory_mb.append((now, process.memory_info().rss / 2**20))
                    self.cpu_s.append((now, sum(process.cpu_times()[:2])))
                except psutil.Error:
                    return
            time.sleep(0.05)


def say(room: Room, people: Listener, name: str, language: str, samples: Samples, sink: str = "people") -> Turn:
    """A person says it into `sink`, where `people` listens. Returns when they have."""
    before = time.monotonic()
    room.say(samples, sink)
    wait_until(lambda: len(people.loud(before)) and people.silent_for(before) > 0.3, 10, f"{name} to be played")
    loud = people.loud(before)
    return Turn(name, language, len(samples) / SAMPLE_RATE, float(loud[0]), float(loud[-1]))


def answered(turn: Turn, voice: Listener) -> None:
    """Wait until the voice has said what there is to say."""
    end = time.monotonic() + ANSWER_S
    while time.monotonic() < end:
        loud = voice.loud(turn.ended)
        turn.spoken_to = len(voice.loud(turn.began)) > 0
        if len(loud) and time.monotonic() - loud[-1] > QUIET_S:
            turn.voice_began, turn.voice_ended = float(loud[0]), float(loud[-1])
            return
        if len(loud):
            end = max(end, time.monotonic() + 2)
        time.sleep(0.05)

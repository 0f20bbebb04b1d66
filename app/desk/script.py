"""A scripted conversation: recordings in place of the people, one turn after the other, through the same code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.desk.conversation import Conversation
from app.desk.ports import Script
from app.desk.sound import to_desk
from app.media import MediaFile, SpeechFile
from models.errors import TsuyakuError
from models.protocols import SAMPLE_RATE, Samples

BETWEEN_S = 1.5  # of quiet, before the next turn
LONGEST_ANSWER_S = 12.0  # before the next turn begins although nothing was said
DESK_BYTES = 32767


def load(paths: Sequence[Path]) -> list[Samples]:
    """The turns at the desk's rate. Raises `InputError` where a file cannot be used."""
    return [to_desk(np.concatenate(list(MediaFile(path))), SAMPLE_RATE) for path in paths]


async def play(script: Script, turns: Sequence[Samples], conversation: Conversation) -> None:
    """Each turn when the one before was answered; then the end."""
    await asyncio.sleep(0.5)
    for turn in turns:
        answered = len(conversation.first_voice_ms)
        script.say(turn)
        await asyncio.sleep(len(turn) / 48_000)
        said = time.monotonic()
        while time.monotonic() - said < LONGEST_ANSWER_S or conversation.quiet_s < BETWEEN_S:
            await asyncio.sleep(0.1)
            if conversation.quiet_s > BETWEEN_S and len(conversation.first_voice_ms) > answered:
                break
    conversation.finish()


class Recorder:
    """What the loudspeaker plays, into a WAV file. Where that cannot be written the conversation goes on, and `close`
    raises why."""

    def __init__(self, path: Path, rate: int) -> None:
        self._file = SpeechFile(path, rate)
        self._frames: list[Samples] = []
        self._rate = rate
        self._failure: TsuyakuError | None = None

    def record(self, frame: Samples) -> None:
        self._frames.append(frame)
        if len(self._frames) >= 100:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()
        if self._failure is not None:
            raise self._failure

    def _flush(self) -> None:
        frames, self._frames = self._frames, []
        if frames and self._failure is None:
            pcm = (np.clip(np.concatenate(frames), -1, 1) * DESK_BYTES).astype("<i2").tobytes()
            try:
                self._file.write(pcm, 0.0)
            except TsuyakuError as error:
                self._failure = error

"""Recordings one after the other, again and again, as one that lasts as long as a meeting."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from benchmarks.alignment import decode
from benchmarks.manifest import Part, Recording
from models.errors import InputError
from models.protocols import SAMPLE_RATE

GAP_S = 1.0  # of silence between two recordings: a breath, in which nothing ends


def joined(recordings: Sequence[Recording], minutes: float, folder: Path) -> Recording:
    """One recording of at least `minutes`, whole recordings only, in `folder`. Raises `InputError` for none, or for
    recordings in several languages."""
    languages = {recording.language for recording in recordings}
    if len(languages) != 1:
        raise InputError("unknown-recording", "A long recording is made of recordings in one language; name those.")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{'+'.join(recording.id for recording in recordings)}-{minutes:g}min"
    path = folder / f"{name}.wav"
    parts: list[Part] = []
    length = 0
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        for recording in cycle(recordings):
            if length >= minutes * 60 * SAMPLE_RATE:
                break
            audio = np.concatenate([decode(recording.path), np.zeros(round(GAP_S * SAMPLE_RATE), np.float32)])
            parts.append(Part(recording, length / SAMPLE_RATE))
            out.writeframes((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes())
            length += len(audio)
    first, *others = recordings
    targets = set(first.translations).intersection(*(other.translations for other in others))
    return Recording(
        name,
        path,
        languages.pop(),
        length / SAMPLE_RATE,
        tuple(line for part in parts for line in part.recording.transcript),
        {to: tuple(line for part in parts for line in part.recording.translations[to]) for to in targets},
        tuple(parts),
    )

"""Recordings one after the other, again and again, as one that lasts as long as a meeting."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np

from app.media import SpeechFile, output_errors
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
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    name = f"{'+'.join(recording.id for recording in recordings)}-{minutes:g}min"
    path = folder / f"{name}.wav"
    parts: list[Part] = []
    with SpeechFile(path, SAMPLE_RATE) as out:
        for recording in cycle(recordings):
            if out.duration_ms >= minutes * 60_000:
                break
            audio = np.concatenate([decode(recording.path), np.zeros(round(GAP_S * SAMPLE_RATE), np.float32)])
            parts.append(Part(recording, out.duration_ms / 1000))
            out.write((np.clip(audio, -1, 1) * 32767).astype("<i2").tobytes(), out.duration_ms)
    first, *others = recordings
    targets = set(first.translations).intersection(*(other.translations for other in others))
    return Recording(
        name,
        path,
        languages.pop(),
        out.duration_ms / 1000,
        tuple(line for part in parts for line in part.recording.transcript),
        {to: tuple(line for part in parts for line in part.recording.translations[to]) for to in targets},
        tuple(parts),
    )

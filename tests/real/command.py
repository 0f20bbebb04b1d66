"""Running the installed command, and reading what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import jiwer
import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

TSUYAKU = str(Path(sys.executable).with_name("tsuyaku"))
RATE = 16_000
Events = list[dict[str, object]]


def run(*arguments: str | Path, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [TSUYAKU, *map(str, arguments)]
    return subprocess.run(
        command, input=stdin, capture_output=True, timeout=600, check=False, env=os.environ | environment
    )


def events(output: bytes) -> Events:
    return [json.loads(line) for line in output.splitlines()]


def committed(found: Events, kind: str, language: str) -> str:
    return "".join(str(e["committed"]) for e in found if e["event"] == kind and e["language"] == language)


def wer(reference: str, hypothesis: str) -> float:
    normalise = EnglishTextNormalizer()
    return jiwer.wer(normalise(reference), normalise(hypothesis))


def letters_unlike(reference: str, hypothesis: str) -> float:
    """Share of letters, whatever words they are divided into: whether a text is that of a short recording."""
    normalise = EnglishTextNormalizer()
    return jiwer.cer(*("".join(normalise(text).split()) for text in (reference, hypothesis)))


def words(text: str) -> list[str]:
    return EnglishTextNormalizer()(text).split()


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def assert_one_sentence(done: subprocess.CompletedProcess[bytes], code: str, status: int) -> None:
    """On standard error: exactly one line, which ends with its code."""
    lines = done.stderr.decode().strip().splitlines()
    assert len(lines) == 1, done.stderr.decode()
    assert lines[0].startswith("tsuyaku: ")
    assert lines[0].endswith(f"[{code}]")
    assert done.returncode == status

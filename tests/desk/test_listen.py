"""`tsuyaku listen --speak`: what is translated is heard from the loudspeaker of who listens in a terminal."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import jiwer
import numpy as np
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from app.media import MediaFile
from models.protocols import SAMPLE_RATE, RecognitionRequest, Samples
from models.store import Store
from models.whisper import Context, WhisperRecognizer
from tests.conftest import Recording
from tests.desk.room import HOP_S, Listener, Room, wait_until
from tests.real.serving import TSUYAKU, Serve, serve
from tests.real.test_serve import Client

pytestmark = pytest.mark.desk

READ_BACK = 0.2  # words of the translation that a recogniser hears otherwise: names, numbers, joined clauses


async def speak(server: Serve, tokens: dict[str, str], speech: Samples) -> None:
    """At the pace of the voice; then the host ends the room."""
    async with Client(server, tokens["host"]) as host:
        await host.say("start", key="a-key-of-the-test", language="pt")
        channel = (await host.got("started"))["channel"]
        await host.speak(speech, channel, len(speech))
        await host.say("stop", channel=channel)
        await host.got("closed", 120)
        await host.say("close")
        await host.got("ended")


def read_back(samples: Samples) -> str:
    recognizer = WhisperRecognizer(Store().ensure("whisper-base"), context=Context(30.0), beam_size=5, threads=2)
    parts = np.array_split(samples, max(1, round(len(samples) / (25 * SAMPLE_RATE))))
    found = [recognizer.recognize(RecognitionRequest(part, "en", closed=True)).words for part in parts]
    return "".join(word.text for words in found for word in words)


def test_listener_in_a_terminal_hears_what_is_translated(
    in_room: Room, voice: Listener, recordings: dict[str, Recording], portuguese: Recording, tmp_path: Path
) -> None:
    """In English, whose voices a recogniser understands; eSpeak NG's Portuguese it does not always."""
    blocks = list(MediaFile(recordings.get("fleurs_pt_4", portuguese).path))
    speech = np.concatenate([*blocks, np.zeros(round(1.5 * SAMPLE_RATE), np.float32)])
    with serve(tmp_path) as server:
        tokens = server.post("/api/rooms")
        command = [TSUYAKU, "listen", f"{server.base}/listen#{tokens['listener']}", "--lang", "en", "--speak"]
        listener = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=in_room.environment, text=True
        )
        try:
            wait_until(lambda: server.metric("tsuyaku_listeners") >= 1, 30, "the listener")
            voice.keep()
            begun = time.monotonic()
            asyncio.run(speak(server, tokens, speech))
            out, errors = listener.communicate(timeout=120)
        finally:
            listener.kill()
    assert listener.returncode == 0, errors
    heard = voice.kept()
    loud = voice.loud(begun)
    assert len(loud) * HOP_S > 2, "the loudspeaker was silent"
    normalise = BasicTextNormalizer(remove_diacritics=True)
    written = normalise(" ".join(line.partition("en:")[2] for line in out.splitlines() if "en:" in line)).strip()
    assert written
    wer = jiwer.wer(written, normalise(read_back(heard)).strip())
    print(f"{len(loud) * HOP_S:.1f} s were heard; of {len(written.split())} words {wer:.2f} otherwise")
    assert wer <= READ_BACK

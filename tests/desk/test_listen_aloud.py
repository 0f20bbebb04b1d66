"""`tsuyaku listen --speak`: a room heard through this machine's loudspeaker."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import jiwer
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from models.protocols import RecognitionRequest
from models.store import Store
from models.whisper import Context, WhisperRecognizer
from tests.desk.room import Listener, Room, dies_with_me
from tests.real.command import TSUYAKU
from tests.real.serving import serve

pytestmark = pytest.mark.desk

UNDERSTOOD = 0.3  # character error rate of a second recogniser on eSpeak NG in a hurry


def test_room_is_heard_in_the_listeners_language(room: Room, voice: Listener, tmp_path: Path) -> None:
    """What came out of the loudspeaker is what the captions say."""
    room.still()
    with serve(tmp_path) as server:
        token = server.post("/api/demo")["listener"]
        voice.keep()
        command = [TSUYAKU, "listen", f"{server.base}/listen#{token}", "--lang", "pt", "--speak"]
        done = subprocess.run(
            command, env=room.environment, capture_output=True, timeout=180, check=False, preexec_fn=dies_with_me
        )
    heard = voice.kept()
    assert done.returncode == 0, done.stderr
    written = " ".join(re.findall(r"pt: (.*)$", done.stdout.decode(), re.MULTILINE))
    assert len(written.split()) > 10
    recognizer = WhisperRecognizer(Store().ensure("whisper-base"), context=Context(30.0), beam_size=5, threads=2)
    read = ""
    for at in range(0, len(heard), 24 * 16_000):
        found = recognizer.recognize(RecognitionRequest(heard[at : at + 24 * 16_000], "pt", closed=True))
        read += "".join(word.text for word in found.words)
    normalise = BasicTextNormalizer(remove_diacritics=True)
    assert jiwer.cer(normalise(written), normalise(read)) <= UNDERSTOOD, read

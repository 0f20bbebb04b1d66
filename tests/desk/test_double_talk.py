"""A person speaks while the interpreter does: how much worse their words are recognised than without."""

from __future__ import annotations

import json
import time
from pathlib import Path

import jiwer
import pytest
from whisper_normalizer.basic import BasicTextNormalizer

from tests.conftest import Recording
from tests.desk.conftest import sound, spoken
from tests.desk.room import Listener, Room, wait_until
from tests.desk.running import READY_S, TSUYAKU, answered, say
from tests.desk.terminal import Terminal

pytestmark = pytest.mark.desk

SENTENCES = ("fleurs_en_3", "pt_cheetah", "fleurs_en_1", "pt_falabrasil")
WORSE = 0.05
INTO_S = 0.4  # of the voice, before the person begins
LONG = {
    "en": "The museum opens at nine in the morning and closes at six in the evening, and on Sundays it opens one hour "
    "later, because the guides have a meeting then, so that we should not hurry and can have breakfast by the river.",
    "pt": "O museu abre às nove da manhã e fecha às seis da tarde, e aos domingos abre uma hora mais tarde, porque os "
    "guias têm uma reunião, por isso não precisamos de pressa e podemos tomar o café da manhã perto do rio.",
}
"""what the interpreter says the translation of"""


class Heard:
    """The words in a log of events, from one point on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._from = len(self._lines())

    def text(self) -> str:
        found = [json.loads(line) for line in self._lines()[self._from :]]
        return "".join(event["committed"] for event in found if event["event"] == "words").strip()

    def _lines(self) -> list[str]:
        return self._log.read_text("utf-8").splitlines()


def test_words_are_recognised_while_the_interpreter_speaks(
    room: Room, people: Listener, voice: Listener, recordings: dict[str, Recording], tmp_path: Path
) -> None:
    sentences = spoken(recordings, *SENTENCES, "sample", "sample_pt")
    log = tmp_path / "talk.jsonl"
    room.echo(60, -6.0)
    alone: dict[str, str] = {}
    over: dict[str, str] = {}

    def quiet() -> None:
        since = time.monotonic()
        wait_until(lambda: voice.silent_for(since) > 2.0, 60, "quiet")

    with Terminal(room.environment, tmp_path) as terminal:
        terminal.run(TSUYAKU, "interpret", "--between", "en", "pt", "--save", str(log))
        terminal.shows("q quit", READY_S)
        for one in sentences:
            heard = Heard(log)
            answered(say(room, people, one.name, one.language, sound(one.path)), voice)
            quiet()
            alone[one.name] = heard.text()
            # What was meant is typed, long; while the interpreter says it, the person speaks again.
            at = time.monotonic()
            terminal.press("c")
            wait_until(lambda: "quit" not in terminal.screen().rstrip().splitlines()[-1], 10, "the line for typing")
            terminal.press("C-a", "C-k")
            terminal.type(LONG[one.language])
            terminal.press("Enter")
            wait_until(lambda at=at: len(voice.loud(at)), 20, "the voice")
            time.sleep(INTO_S)
            heard = Heard(log)
            turn = say(room, people, one.name, one.language, sound(one.path))
            assert len(voice.loud(turn.began, turn.ended)), "the interpreter spoke at the same time"
            answered(turn, voice)
            quiet()
            over[one.name] = heard.text()
            print(f"{one.name}\n  alone: {alone[one.name]}\n  over:  {over[one.name]}", flush=True)
        terminal.press("q")
        wait_until(lambda: terminal.modes.startswith("0"), 40, "the end")
    room.still()
    normalise = BasicTextNormalizer()
    truth = [normalise(one.transcript) for one in sentences]
    rates = {
        kind: jiwer.wer(truth, [normalise(found[one.name]) for one in sentences])
        for kind, found in (("alone", alone), ("over the voice", over))
    }
    print({kind: f"WER {100 * rate:.1f} %" for kind, rate in rates.items()})
    assert rates["over the voice"] <= rates["alone"] + WORSE

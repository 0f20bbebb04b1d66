"""`tsuyaku bench room`: a person over the interpreter's voice is understood, and the voice itself hardly heard."""

from __future__ import annotations

import re

import pytest

from tests.conftest import Recording
from tests.real.command import run

pytestmark = pytest.mark.real

WORSE = 20.0  # points of WER over a voice that is often louder than the person
MOST = 1  # times that the voice gets through
PEOPLE = ("fleurs_en_0", "fleurs_en_3", "fleurs_en_4", "pt_cheetah")


def test_person_over_the_voice_is_understood_and_the_voice_hardly_gets_through(
    recordings: dict[str, Recording],
) -> None:
    pytest.importorskip("livekit")
    if not set(PEOPLE) <= recordings.keys():
        pytest.skip("needs the recordings of TSUYAKU_TEST_AUDIO")
    done = run("bench", "room", *PEOPLE, "--rounds", "1", "--minutes", "10")
    assert done.returncode == 0, done.stderr
    shown = done.stdout.decode()
    print(shown)
    alone, over, *_ = map(float, re.findall(r"(\d+\.\d) %", shown))
    assert over <= alone + WORSE
    times = re.search(r"(\d+) times", shown)
    assert times is not None
    assert int(times[1]) <= MOST

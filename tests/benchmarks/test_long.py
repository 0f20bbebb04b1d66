"""A meeting made of recordings: what was said is where the parts begin, and all of it is there."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks import alignment
from benchmarks.long import GAP_S, joined
from benchmarks.manifest import Recording
from benchmarks.metrics import Spoken
from models.errors import InputError
from models.protocols import SAMPLE_RATE
from tests.real.command import write_wav

MODEL = Path("whisper-base")


def recording(folder: Path, name: str, seconds: float, language: str = "en") -> Recording:
    path = write_wav(folder / f"{name}.wav", np.full(round(seconds * SAMPLE_RATE), 0.03, np.float32))
    return Recording(name, path, language, seconds, (f"The {name}.",), {"pt": (f"O {name}.",), "es": ("El.",)})


def test_parts_follow_each_other_until_it_is_long_enough(tmp_path: Path) -> None:
    made = joined([recording(tmp_path, "cat", 20), recording(tmp_path, "dog", 30)], 1, tmp_path / "out")
    assert [(part.recording.id, part.start_s) for part in made.parts] == [
        ("cat", 0),
        ("dog", 20 + GAP_S),
        ("cat", 50 + 2 * GAP_S),
    ]
    assert made.seconds == 70 + 3 * GAP_S
    assert len(alignment.decode(made.path)) == made.seconds * SAMPLE_RATE
    assert made.text == "The cat. The dog. The cat."
    assert made.translations["pt"] == ("O cat.", "O dog.", "O cat.")


def test_words_are_where_their_part_is(tmp_path: Path) -> None:
    cat = recording(tmp_path, "cat", 40)
    aligned = tmp_path / f"cat-{alignment._key(cat, MODEL)}.json"  # pyright: ignore[reportPrivateUsage]
    aligned.write_bytes(msgspec.json.encode([Spoken("The", 100, 300), Spoken("cat.", 300, 800)]))
    made = joined([cat], 1, tmp_path / "out")
    words = alignment.align(made, MODEL, tmp_path)
    assert [word.start_ms for word in words] == [100, 300, 100 + 40_000 + 1000 * GAP_S, 300 + 40_000 + 1000 * GAP_S]


@pytest.mark.parametrize("languages", [(), ("en", "pt")])
def test_it_is_made_of_one_language(tmp_path: Path, languages: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="one language"):
        joined([recording(tmp_path, name, 1, name) for name in languages], 1, tmp_path / "out")

"""Every stable code that the source raises is documented, and none is documented that is not raised."""

from __future__ import annotations

import re
from pathlib import Path

from models.errors import InputError
from models.llama_errors import KINDS

ROOT = Path(__file__).parent.parent
RAISED = re.compile(r'(?:InputError|UnavailableError|LlamaError|GlossaryError)\(\s*"([a-z-]+)"')
FROM_SESSIONS = {"audio-dropped", "file-truncated", "internal", "interrupted"}


def test_table_of_codes_is_the_one_of_the_source() -> None:
    sources = [
        path for package in ("app", "models", "pipeline", "benchmarks") for path in (ROOT / package).rglob("*.py")
    ]
    raised = {code for path in sources for code in RAISED.findall(path.read_text("utf-8"))} | set(KINDS) | FROM_SESSIONS
    documented = set(re.findall(r"^\| `([a-z-]+)`", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.MULTILINE))
    assert raised == documented


def test_sentence_is_one_line_whatever_a_file_is_called() -> None:
    assert InputError("file-missing", "There is no file a\nb\x1b[31m.wav.").message == "There is no file a�b�[31m.wav."

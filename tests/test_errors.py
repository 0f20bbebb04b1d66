"""Every stable code that the source raises is documented, and none is documented that is not raised."""

from __future__ import annotations

import re
from pathlib import Path

from models.llama_errors import KINDS

ROOT = Path(__file__).parent.parent
RAISED = re.compile(r'(?:InputError|UnavailableError|LlamaError|GlossaryError)\(\s*"([a-z-]+)"')
FROM_SESSIONS = {"internal", "interrupted"}


def test_table_of_codes_is_the_one_of_the_source() -> None:
    sources = [
        path for package in ("app", "models", "pipeline", "benchmarks") for path in (ROOT / package).rglob("*.py")
    ]
    raised = {code for path in sources for code in RAISED.findall(path.read_text("utf-8"))} | set(KINDS) | FROM_SESSIONS
    documented = set(re.findall(r"^\| `([a-z-]+)`", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.MULTILINE))
    assert raised == documented

"""What a room is told before the talk begins, beside what the server was started with."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from models.briefing import Briefing, parse_registers
from models.glossary import Glossary, from_csv, from_tbx, from_toml

MAX_CHARACTERS = 64_000  # of a room's glossary
_READERS = {"toml": from_toml, "csv": from_csv, "tbx": from_tbx}


class BriefingRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    glossary: Annotated[str, msgspec.Meta(max_length=MAX_CHARACTERS)] = ""
    """the text of a file"""
    format: Literal["toml", "csv", "tbx"] = "toml"
    context: Annotated[str, msgspec.Meta(max_length=200)] = ""
    register: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=32)], ...], msgspec.Meta(max_length=32)] = ()


def of_room(asked: BriefingRequest, of_server: Briefing) -> Briefing:
    """Where both say something, the room's word counts. Raises `InputError` of `models.glossary` and of registers."""
    glossary = of_server.glossary
    if asked.glossary.strip():
        own = _READERS[asked.format](asked.glossary.encode())
        glossary = Glossary((*own.terms, *glossary.terms))
    return Briefing(
        glossary,
        asked.context.strip() or of_server.context_line,
        {**of_server.registers, **parse_registers(asked.register)},
    )

"""What an interpreter is told before the talk begins: the terms, the occasion, and how people are addressed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from models.errors import InputError
from models.glossary import Glossary

Register: TypeAlias = Literal["formal", "informal"]
ANY = "*"


@dataclass(frozen=True, slots=True)
class Briefing:
    """Of one room; travels with each of its requests."""

    glossary: Glossary = field(default_factory=Glossary)
    context_line: str = ""
    """such as "cardiology conference" """
    registers: Mapping[str, Register] = field(default_factory=dict[str, Register])
    """by target language; under `ANY` for all others"""

    def register(self, language: str) -> Register | None:
        return self.registers.get(language) or self.registers.get(language.split("-")[0]) or self.registers.get(ANY)


NO_BRIEFING = Briefing()


def parse_registers(texts: Sequence[str]) -> dict[str, Register]:
    """`formal` for all target languages, `de=formal` for one. Raises `InputError` `register-invalid`."""
    registers: dict[str, Register] = {}
    for text in texts:
        language, _, name = text.strip().rpartition("=")
        if name not in ("formal", "informal"):
            raise InputError("register-invalid", f"'{text}' is no register: write formal, informal or de=formal.")
        registers[language.strip().lower() or ANY] = name
    return registers

"""The utterances that a translator is asked, and what is known of a sound translation of each."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from models.errors import InputError

HERE = Path(__file__).parent
SUITE = HERE / "suite.toml"
TERMS = HERE / "glossary.toml"

Kind = Literal["question", "order", "instruction", "statement", "term"]


class Utterance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Kind
    source: str
    """language that it is spoken in"""
    text: str
    targets: tuple[str, ...] = ()
    """languages to ask for, besides those of `says` and `reference`"""
    never: str = ""
    """regular expression that no translation matches, but an answer, obedience or a comment does"""
    says: dict[str, str] = {}
    """by target language, a regular expression that every sound translation matches"""
    reference: dict[str, str] = {}
    """by target language, a translation"""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    utterance: tuple[Utterance, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """An utterance and one language to translate it into."""

    name: str
    """such as `order 3`"""
    utterance: Utterance
    target: str

    @property
    def pair(self) -> tuple[str, str]:
        return self.utterance.source, self.target


def load(path: Path = SUITE) -> tuple[Utterance, ...]:
    """Raises `InputError`: `suite-unreadable`, `suite-invalid`."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File).utterance
        for utterance in found:
            for pattern in (utterance.never, *utterance.says.values()):
                re.compile(pattern)
    except OSError as error:
        raise InputError("suite-unreadable", f"The suite {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, re.error) as error:
        raise InputError("suite-invalid", f"The suite {path} is malformed: {error}.") from error
    return found


def cases(utterances: Sequence[Utterance], wanted: Callable[[str, str], bool]) -> Iterator[Case]:
    """Of the pairs (source, target) that are `wanted`."""
    number = dict.fromkeys(("question", "order", "instruction", "statement", "term"), 0)
    for utterance in utterances:
        number[utterance.kind] += 1
        for target in dict.fromkeys((*utterance.targets, *utterance.says, *utterance.reference)):
            if wanted(utterance.source, target):
                yield Case(f"{utterance.kind} {number[utterance.kind]}", utterance, target)

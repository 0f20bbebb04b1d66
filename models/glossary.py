"""A room's glossary: terms with their translations, and names that stay as they are.

    [[term]]                      # TOML: a key per language
    en = "circuit breaker"
    pt = "disjuntor"

    [[term]]
    keep = "Tsuyaku"              # the same in every language
    case = true                   # matches only as it is written here

CSV has the same keys as its header; TBX (ISO 30042, versions 2 and 3) its `term`s by language.
"""

from __future__ import annotations

import csv
import io
import re
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from models.errors import InputError
from models.scripts import UNSPACED

ANY = "*"
MOST_TERMS = 10_000
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]+)*")
_TRUE = frozenset({"1", "true", "yes", "x"})
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True, slots=True)
class Term:
    forms: Mapping[str, str]
    """by language; under `ANY` where it is the same in all"""
    case: bool = False

    def form(self, language: str) -> str | None:
        """Of the language, else of the language that it is a variety of."""
        return self.forms.get(language) or self.forms.get(language.split("-")[0]) or self.forms.get(ANY)


@dataclass(frozen=True, slots=True)
class Rule:
    """What `source`, as it was said, is in the target language."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Masked:
    """A source in which stand-ins take the place of terms; engines copy them, as they copy product names."""

    text: str
    targets: tuple[str, ...]
    """of the stand-ins by number"""

    def between(self) -> list[str]:
        """What lies before, between and after the stand-ins."""
        return re.split(r"XQ\d+", self.text)

    def join(self, pieces: Sequence[str], *, spaced: bool) -> str:
        """The terms between `pieces`, which are one more than they."""
        space = " " if spaced else ""
        text = pieces[0]
        for target, piece in zip(self.targets, pieces[1:], strict=True):
            text += (space if text else "") + target
            text += ("" if not piece or not piece[0].isalnum() else space) + piece
        return text.strip()

    def restore(self, translation: str) -> str | None:
        """The translation with its terms; None if the engine lost or doubled one."""
        if any(len(_stand_in(index).findall(translation)) != 1 for index in range(len(self.targets))):
            return None
        for index, target in enumerate(self.targets):
            translation = _stand_in(index).sub(lambda _, target=target: target, translation)
        return translation


@dataclass(frozen=True, slots=True)
class _Entry:
    """A term of one pair of languages."""

    key: str
    """of a text in which it may occur: its first word, case folded"""
    said: str
    written: str
    case: bool


class Glossary:
    def __init__(self, terms: Iterable[Term] = ()) -> None:
        self.terms = tuple(terms)
        if len(self.terms) > MOST_TERMS:
            raise InputError("glossary-size", f"The glossary has {len(self.terms)} terms; {MOST_TERMS} is the most.")
        self._pairs: dict[tuple[str, str], list[_Entry]] = {}

    def rules(self, text: str, source: str, target: str) -> list[Rule]:
        """For the terms that occur in `text`, in the order in which they do; of overlapping ones the longest."""
        rules = [Rule(text[start:end], form) for start, end, form in self._found(text, source, target)]
        return list(dict.fromkeys(rules))

    def mask(self, text: str, source: str, target: str) -> Masked:
        parts: list[str] = []
        targets: list[str] = []
        at = 0
        for start, end, form in self._found(text, source, target):
            parts += [text[at:start], f"XQ{len(targets) + 1}"]
            targets.append(form)
            at = end
        return Masked("".join([*parts, text[at:]]), tuple(targets))

    def hotwords(self, language: str) -> tuple[str, ...]:
        """What a recogniser of the language should expect to hear."""
        return tuple(dict.fromkeys(form for term in self.terms if (form := term.form(language))))

    def _found(self, text: str, source: str, target: str) -> list[tuple[int, int, str]]:
        folded, found = text.casefold(), list[tuple[int, int, str]]()
        for entry in self._entries(source, target):
            if entry.key in folded:
                found += [(*match.span(), entry.written) for match in _pattern(entry.said, entry.case).finditer(text)]
        return _longest(found)

    def _entries(self, source: str, target: str) -> list[_Entry]:
        """Made once for a pair: a clause asks for them several times a second."""
        if (source, target) not in self._pairs:
            self._pairs[source, target] = [
                _Entry(said.split()[0].casefold(), said, written, term.case)
                for term in self.terms
                if (said := term.form(source)) and (written := term.form(target))
            ]
        return self._pairs[source, target]


async def translate_with_terms(
    glossary: Glossary, engine: Callable[[str], Awaitable[str]], text: str, source: str, target: str
) -> str:
    """`engine`'s translation of `text` with the glossary's terms, for an engine that knows nothing of glossaries.

    Where it does not carry the stand-ins through, what lies between the terms is translated piece by piece.
    """
    masked = glossary.mask(text, source, target)
    if not masked.targets:
        return await engine(text)
    restored = masked.restore(await engine(masked.text))
    if restored is not None:
        return restored
    pieces = [(await engine(piece)).strip() if _speaks(piece) else piece.strip() for piece in masked.between()]
    return masked.join(pieces, spaced=not UNSPACED.search("".join(pieces)))


def load(path: Path) -> Glossary:
    """Raises `InputError`: `glossary-missing`, `glossary-format`, `glossary-syntax`, `glossary-size`."""
    readers = {".toml": from_toml, ".csv": from_csv, ".tbx": from_tbx, ".xml": from_tbx}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise InputError("glossary-format", f"{path} is no glossary: it must end in .toml, .csv or .tbx.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError("glossary-missing", f"The glossary {path} cannot be read: {error.strerror}.") from error
    return reader(data)


def from_toml(data: bytes) -> Glossary:
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("glossary-syntax", f"The glossary is not TOML: {error}.") from error
    rows = table.get("term", [])
    if set(table) - {"term"} or not isinstance(rows, list):
        raise InputError("glossary-syntax", "The glossary may hold only [[term]] tables.")
    return Glossary(_term(row, number) for number, row in enumerate(cast(list[Any], rows), 1))


def from_csv(data: bytes) -> Glossary:
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        rows = [{key.strip().lower(): value for key, value in row.items() if value} for row in reader]
    except (csv.Error, UnicodeDecodeError, AttributeError) as error:
        raise InputError("glossary-syntax", f"The glossary is not CSV with a header in UTF-8: {error}.") from error
    for row in rows:
        row["case"] = row.get("case", "").strip().lower() in _TRUE  # pyright: ignore[reportArgumentType]
    return Glossary(_term(row, number) for number, row in enumerate(rows, 2) if len(row) > 1)


def from_tbx(data: bytes) -> Glossary:
    if b"<!ENTITY" in data.replace(b"\0", b""):  # no entities, so none that expand without end
        raise InputError("glossary-syntax", "The glossary declares XML entities, which are not read.")
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise InputError("glossary-syntax", f"The glossary is not TBX: {error}.") from error
    entries = (element for element in root.iter() if _name(element) in {"conceptEntry", "termEntry"})
    return Glossary(term for entry in entries if len((term := _tbx_term(entry)).forms) > 1)


def _term(row: object, number: int) -> Term:
    if not isinstance(row, dict):
        raise InputError("glossary-syntax", f"Term {number} of the glossary is not a table.")
    cells = dict(cast(dict[str, Any], row))
    case = cells.pop("case", False)
    if isinstance(kept := cells.pop("keep", None), str):
        cells[ANY] = kept
    for key, value in cells.items():
        if not isinstance(value, str) or not (key == ANY or _LANGUAGE.fullmatch(key.lower())):
            raise InputError(
                "glossary-syntax", f"Term {number} of the glossary has an entry that is no language: {key}."
            )
    forms = {key.lower(): " ".join(value.split()) for key, value in cells.items() if value.strip()}
    if not isinstance(case, bool) or not forms:
        raise InputError(
            "glossary-syntax", f"Term {number} of the glossary is empty, or its case is not true or false."
        )
    return Term(forms, case)


def _tbx_term(entry: ElementTree.Element) -> Term:
    """The first, so the preferred, term of each language."""
    forms: dict[str, str] = {}
    for section in entry.iter():
        if _name(section) not in {"langSec", "langSet"}:
            continue
        language = (section.get(_XML_LANG) or section.get("lang") or "").lower()
        term = next((element for element in section.iter() if _name(element) == "term"), None)
        text = " ".join("".join(term.itertext()).split()) if term is not None else ""
        if language and text:
            forms.setdefault(language, text)
            forms.setdefault(language.split("-")[0], text)
    return Term(forms)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _pattern(form: str, case: bool) -> re.Pattern[str]:
    """As a whole word, unless its script has none."""
    edge = "" if UNSPACED.search(form) else r"\w"
    words = r"\s+".join(re.escape(word) for word in form.split())
    bounded = f"(?<!{edge}){words}(?!{edge})" if edge else words
    return re.compile(bounded, 0 if case else re.IGNORECASE)


def _longest(found: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    kept: list[tuple[int, int, str]] = []
    for entry in sorted(found, key=lambda entry: (entry[0] - entry[1], entry[0])):
        if all(entry[1] <= start or end <= entry[0] for start, end, _ in kept):
            kept.append(entry)
    return sorted(kept)


def _speaks(text: str) -> bool:
    return any(c.isalnum() for c in text)


def _stand_in(index: int) -> re.Pattern[str]:
    return re.compile(rf"XQ{index + 1}(?!\d)")

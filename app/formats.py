"""What a session is written as: `txt`, `srt`, `vtt`, `json` from its transcript when it ends, `jsonl` while it runs.

`python -m app.formats` prints the JSON Schema of the `jsonl` lines, which is docs/events.schema.json.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, get_args

import msgspec
from rich.cells import cell_len

from models.errors import InputError
from pipeline.events import AnyEvent, End, Event, Speech
from pipeline.transcript import Line, Transcript
from pipeline.translate import split

LINE_CELLS = 42  # of a subtitle; a full-width character takes two
LINES = 2
SHORTEST_MS = 1000.0
FORMATS = ("txt", "srt", "vtt", "json", "jsonl")


class TextStream(Protocol):
    """What text is written to: a file, standard output, or either behind a guard."""

    def write(self, text: str, /) -> int: ...

    def flush(self) -> None: ...


_decoder = msgspec.json.Decoder(AnyEvent)


class Writer(Protocol):
    """Takes every event of a session; `close` completes the text, also after an interruption."""

    def add(self, event: Event) -> None: ...

    def close(self) -> None: ...


def writer(name: str, stream: TextStream, *, bilingual: bool = False, languages: Sequence[str] = ()) -> Writer:
    """The writer of one of `FORMATS`; `bilingual` puts the source beside the target, and targets are in the order of
    `languages`. The stream stays open."""
    if name == "jsonl":
        return JsonLinesWriter(stream)
    if name not in DOCUMENTS:
        raise InputError("unknown-format", f"There is no format '{name}'; choose one of {', '.join(FORMATS)}.")
    return DocumentWriter(stream, DOCUMENTS[name], bilingual=bilingual, languages=languages)


class JsonLinesWriter:
    """One event a line, flushed as it happens."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream

    def add(self, event: Event) -> None:
        self._stream.write(encode(event) + "\n")
        self._stream.flush()

    def close(self) -> None:
        self._stream.flush()


class DocumentWriter:
    """A format that needs the whole transcript."""

    def __init__(
        self,
        stream: TextStream,
        document: Callable[[Transcript, End | None, bool], str],
        *,
        bilingual: bool,
        languages: Sequence[str] = (),
    ) -> None:
        self._stream = stream
        self._document = document
        self._bilingual = bilingual
        self._transcript = Transcript(languages)
        self._end: End | None = None

    def add(self, event: Event) -> None:
        self._transcript.add(event)
        if isinstance(event, End):
            self._end = event

    def close(self) -> None:
        self._stream.write(self._document(self._transcript, self._end, self._bilingual))
        self._stream.flush()


def encode(event: Event) -> str:
    """An event as a line of JSON without its line feed; the samples of `Speech` are left out."""
    if isinstance(event, Speech):
        event = msgspec.structs.replace(event, pcm=b"")
    fields = cast("dict[str, Any]", msgspec.to_builtins(event))
    fields.pop("pcm", None)
    return msgspec.json.encode(fields).decode()


def decode(line: str | bytes) -> AnyEvent:
    """The event of a line. Raises `msgspec.ValidationError` or `msgspec.DecodeError` where it is none."""
    return _decoder.decode(line)


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of one line of `jsonl`, made from the events themselves."""
    kinds = get_args(AnyEvent)
    references, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    components["Speech"]["properties"].pop("pcm")
    for component in components.values():
        if "description" in component:
            component["description"] = re.sub(r"\s+", " ", component["description"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of Tsuyaku's jsonl output",
        "oneOf": list(references),
        "$defs": components,
    }


def txt(transcript: Transcript, end: End | None = None, bilingual: bool = False) -> str:
    """A clause a line. Where a clause is shown in several languages: each on a line, named, and an empty line after."""
    blocks: list[str] = []
    for line in transcript.lines():
        texts = _shown(line, transcript, bilingual)
        if len(_languages(transcript, bilingual)) == 1:
            blocks.extend(f"{text}\n" for _, text in texts)
        elif texts:
            blocks.append("".join(f"{language}: {text}\n" for language, text in texts) + "\n")
    return "".join(blocks)


def srt(transcript: Transcript, end: End | None = None, bilingual: bool = False) -> str:
    """SubRip. It has no escape; an arrow in the text would be read as a time."""
    blocks: list[str] = []
    for number, cue in enumerate(cues(transcript, bilingual), 1):
        text = "\n".join(cue.lines).replace("-->", "->")
        blocks.append(f"{number}\n{_time(cue.start_ms, ',')} --> {_time(cue.end_ms, ',')}\n{text}\n\n")
    return "".join(blocks)


def vtt(transcript: Transcript, end: End | None = None, bilingual: bool = False) -> str:
    """WebVTT (W3C, section 4.2.2): `&`, `<` and with it every `-->` are escaped in cue text."""
    blocks = ["WEBVTT\n\n"]
    for cue in cues(transcript, bilingual):
        text = html.escape("\n".join(cue.lines), quote=False)
        blocks.append(f"{_time(cue.start_ms, '.')} --> {_time(cue.end_ms, '.')}\n{text}\n\n")
    return "".join(blocks)


def json_document(transcript: Transcript, end: End | None = None, bilingual: bool = False) -> str:
    """Everything at once; `bilingual` changes nothing, both sides are always there."""
    languages = dict.fromkeys((*transcript.source_languages, *transcript.target_languages))
    document = {
        "source_languages": transcript.source_languages,
        "target_languages": transcript.target_languages,
        "source_text": transcript.source_text,
        "text": {language: transcript.text(language) for language in languages},
        "segments": transcript.lines(),
        "end": end,
    }
    return json.dumps(msgspec.to_builtins(document), ensure_ascii=False, indent=2) + "\n"


DOCUMENTS: dict[str, Callable[[Transcript, End | None, bool], str]] = {
    "txt": txt,
    "srt": srt,
    "vtt": vtt,
    "json": json_document,
}


@dataclass(frozen=True, slots=True)
class Cue:
    """What a subtitle shows at once."""

    start_ms: float
    end_ms: float
    lines: tuple[str, ...]


def cues(transcript: Transcript, bilingual: bool = False) -> list[Cue]:
    """Subtitles of `LINES` lines of one language, or of one line for each language where there are several.

    They never overlap; each lasts `SHORTEST_MS` where the next clause leaves it the time.
    """
    lines = [line for line in transcript.lines() if _shown(line, transcript, bilingual)]
    made: list[Cue] = []
    free_ms = 0.0
    for index, line in enumerate(lines):
        pages = _pages([text for _, text in _shown(line, transcript, bilingual)])
        start = max(line.start_ms, free_ms)
        following = lines[index + 1].start_ms if index + 1 < len(lines) else float("inf")
        end = max(line.end_ms, min(following, start + SHORTEST_MS * len(pages)))
        # Whole ms, at least one for each page: a cue must end after it begins.
        end = max(min(end, following), start + len(pages))
        made.extend(_timed(pages, start, end))
        free_ms = end
    return made


def _languages(transcript: Transcript, bilingual: bool) -> tuple[str, ...]:
    targets = transcript.target_languages
    return ("", *targets) if bilingual or not targets else targets


def _shown(line: Line, transcript: Transcript, bilingual: bool) -> list[tuple[str, str]]:
    """(language, text) of what is shown of a clause; the source where there is no target at all."""
    texts = [(language, line.targets.get(language, "")) for language in transcript.target_languages]
    if bilingual or not texts:
        texts.insert(0, (line.language, line.source))
    return [(language, text) for language, text in texts if text]


def _pages(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The lines of each cue of a clause. Several languages advance together, the shorter text in shorter lines."""
    if len(texts) == 1:
        rows = wrap(texts[0], LINE_CELLS)
        return [tuple(rows[at : at + LINES]) for at in range(0, len(rows), LINES)]
    count = max(len(wrap(text, LINE_CELLS)) for text in texts)
    columns = [_spread(text, count) for text in texts]
    return [tuple(row for row in page if row) for page in zip(*columns, strict=True)]


def _spread(text: str, count: int) -> list[str]:
    """`text` in `count` lines of about one length, the last ones empty where it has too few words."""
    width = next((w for w in range(4, LINE_CELLS) if len(wrap(text, w)) <= count), LINE_CELLS)
    rows = wrap(text, width)
    return rows + [""] * (count - len(rows))


def wrap(text: str, cells: int) -> list[str]:
    """Lines of at most `cells`, broken between words, between characters where words have no spaces, or else hard."""
    rows = [""]
    for unit in _unbreakable(text):
        if cell_len(rows[-1] + unit) <= cells:
            rows[-1] += unit
            continue
        for part in _hard(unit.strip(), cells):
            rows.append(part)
    return [row.strip() for row in rows if row.strip()]


def _unbreakable(text: str) -> Iterator[str]:
    """Words and characters, with the marks and closing punctuation that may not begin a line."""
    held = ""
    for unit in split(" ".join(text.split())):
        if held and unicodedata.category(unit[0]) not in {"Mn", "Mc", "Pe", "Pf"} and unit[0] not in "、。，．！？」":
            yield held
            held = ""
        held += unit
    if held:
        yield held


def _hard(unit: str, cells: int) -> Iterator[str]:
    part = ""
    for character in unit:
        if cell_len(part + character) > cells:
            yield part
            part = ""
        part += character
    yield part


def _timed(pages: Sequence[tuple[str, ...]], start_ms: float, end_ms: float) -> Iterator[Cue]:
    """Each page gets the same least time, and of the rest as much as it has text."""
    least = min(SHORTEST_MS, (end_ms - start_ms) / len(pages))
    rest = end_ms - start_ms - least * len(pages)
    sizes = [sum(map(len, page)) for page in pages]
    at = start_ms
    for page, size in zip(pages, sizes, strict=True):
        until = at + least + rest * size / sum(sizes)
        yield Cue(at, until, page)
        at = until


def _time(ms: float, point: str) -> str:
    seconds, milliseconds = divmod(round(ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{milliseconds:03}"


if __name__ == "__main__":
    print(json.dumps(json_schema(), ensure_ascii=False, indent=2))

"""The transcript of a room as a file: its history, written by the same formats as on the command line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app import formats, protocol, wire
from app.history import Entry
from app.speaking import shifted
from models.errors import InputError
from pipeline.events import Translation, Words
from pipeline.transcript import Line, Transcript

FORMATS = {
    "txt": ("text/plain", formats.txt),
    "srt": ("application/x-subrip", formats.srt),
    "vtt": ("text/vtt", formats.vtt),
    "json": ("application/json", formats.json_document),
}


def download(
    history: Iterable[Entry], format: str, languages: Sequence[str], *, bilingual: bool = False
) -> tuple[str, str, str]:
    """File name, media type and text; all languages where none are named. Raises `InputError` `unknown-format`."""
    if format not in FORMATS:
        raise InputError("unknown-format", f"There is no such format; choose one of {', '.join(FORMATS)}.")
    kind, document = FORMATS[format]
    text = document(RoomTranscript(history, frozenset(languages)), None, bilingual)
    suffix = f"-{'-'.join(languages)}" if languages else ""
    name = "".join(c for c in f"tsuyaku{suffix}" if c.isalnum() or c == "-")
    return f"{name}.{format}", kind, text


class RoomTranscript(Transcript):
    """What was committed in a room: each channel cut into lines by itself, all of them on the room's clock."""

    def __init__(self, history: Iterable[Entry], languages: frozenset[str]) -> None:
        super().__init__()
        self._channels: dict[int, Transcript] = {}
        self._begins: dict[int, float] = {}
        for entry in history:
            self._read(entry.message, languages)

    def _read(self, message: protocol.Message, languages: frozenset[str]) -> None:
        match message:
            case protocol.Opened():
                self._begins[message.channel] = message.room_ms
            case protocol.Words():
                self._of(message.channel, wire.words(message))
            case protocol.Caption() if not languages or message.language in languages:
                self._of(message.channel, wire.translation(message))
            case _:
                pass

    def _of(self, channel: int, event: Words | Translation) -> None:
        self.add(event)
        on_room_clock = shifted(event, self._begins.get(channel, 0.0), 0)
        self._channels.setdefault(channel, Transcript()).add(on_room_clock)

    def lines(self) -> list[Line]:
        found = [line for transcript in self._channels.values() for line in transcript.lines()]
        return sorted(found, key=lambda line: line.start_ms)

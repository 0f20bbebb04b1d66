"""The desk in a terminal: two columns aligned by clause, meters, latency, and the keys.

Nothing depends on colour: what is being spoken is marked with ▸, tentative text is in italics and ends with ….
"""

from __future__ import annotations

import asyncio
import signal
from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from app.desk.conversation import VOICE_BUDGET_MS, Conversation
from app.desk.hangup import on_hangup
from app.desk.record import Key, Row
from app.desk.set_up import Desk

REFRESH_HZ = 8
METER_CELLS = 12
QUIETEST_DB = -60.0
KEYS = (
    ("1", "left"),
    ("2", "right"),
    ("0", "auto"),
    ("r", "repeat"),
    ("s", "slower"),
    ("w", "swap"),
    ("m", "mute"),
    ("v", "voice"),
    ("o", "mode"),
    ("c", "correct"),
    ("u", "undo"),
    ("q", "quit"),
)


async def show(desk: Desk) -> None:
    """Until the conversation ends or a person quits. Raises what ended the conversation early."""
    screen = Screen(desk)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, screen.stop)
    on_hangup(lambda: loop.call_soon_threadsafe(screen.hang_up))
    await screen.run_async()
    if screen.failure is not None:
        raise screen.failure


class Screen(App[None]):
    """`failure` is what ended the conversation, if anything did."""

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = ""  # the line for typing takes keys only while it is shown
    CSS = """
    Screen { background: $background; }
    #head { height: auto; }
    #rows { height: 1fr; }
    #foot { height: auto; }
    #typing { display: none; border: none; height: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("1", "talk(0)", "left"),
        ("2", "talk(1)", "right"),
        ("0", "talk(-1)", "auto"),
        ("r", "repeat", "repeat"),
        ("s", "slower", "slower"),
        ("w", "swap", "swap"),
        ("m", "mute", "mute"),
        ("v", "voice", "voice"),
        ("o", "mode", "mode"),
        ("c", "correct", "correct"),
        ("u", "undo", "undo"),
        ("q", "stop", "quit"),
        Binding("ctrl+c", "stop", "quit", priority=True),
        Binding("ctrl+q", "stop", "quit", priority=True),
        ("escape", "leave", "leave"),
    ]

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._conversation = desk.conversation
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._correcting: Key | None = None
        """the clause that is being typed anew; others may be said meanwhile"""
        self.failure: BaseException | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        with Vertical(id="rows"):
            yield Static(id="columns")
        yield Static(id="foot")
        yield Input(id="typing", placeholder="What was meant? Enter to say it, Esc to leave")

    def on_mount(self) -> None:
        self._task = asyncio.create_task(self._run())
        self.set_interval(1 / REFRESH_HZ, self._refresh)
        self._refresh()

    async def _run(self) -> None:
        try:
            await self._conversation.run(self._desk.loop)
        except Exception as error:
            self.failure = error
        self.exit()

    def stop(self) -> None:
        """Once: what was said is worked through. Twice: at once."""
        if self._stopping and self._task is not None:
            self._task.cancel()
            self.exit()
        self._stopping = True
        self._conversation.floor.hush()
        self._conversation.finish()

    def hang_up(self) -> None:
        """The terminal is gone: whoever reads its keys would be told so again and again."""
        if self._driver is not None:
            self._driver.disable_input()
        self.stop()

    def _refresh(self) -> None:
        conversation = self._conversation
        self.query_one("#head", Static).update(head(self._desk))
        height = max(1, self.query_one("#rows").size.height)
        self.query_one("#columns", Static).update(Columns(conversation, height))
        self.query_one("#foot", Static).update(foot(self._desk, self._stopping, self.size.width))

    def action_talk(self, side: int) -> None:
        conversation = self._conversation
        conversation.talk("" if side < 0 else (conversation.left, conversation.right)[side])

    def action_repeat(self) -> None:
        self._conversation.said.repeat()

    def action_slower(self) -> None:
        self._conversation.said.slower()

    def action_swap(self) -> None:
        self._conversation.swap()

    def action_mute(self) -> None:
        self._conversation.mute()

    def action_voice(self) -> None:
        self._conversation.mute_voice()

    def action_mode(self) -> None:
        self._conversation.change_mode()

    def action_undo(self) -> None:
        self._conversation.said.undo()

    def action_stop(self) -> None:
        self.stop()

    def action_correct(self) -> None:
        row = self._conversation.record.last()
        if row is None:
            return
        self._correcting = row.key
        typing = self.query_one("#typing", Input)
        typing.value = row.source
        typing.display = True
        typing.focus()

    def action_leave(self) -> None:
        typing = self.query_one("#typing", Input)
        typing.display = False
        self.set_focus(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_leave()
        if self._correcting is not None:
            self._conversation.said.correct(self._correcting, event.value)


class Columns:
    """The newest rows, as many as fit into `height` lines."""

    def __init__(self, conversation: Conversation, height: int) -> None:
        self._conversation, self._height = conversation, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(10, (options.max_width - 3) // 2)
        shown: list[tuple[Text, Text]] = []
        used = 0
        for row in reversed(self._conversation.rows()[-self._height :]):
            left, right = cells(row, self._conversation.left)
            lines = max(len(left.wrap(console, width)), len(right.wrap(console, width)), 1)
            if used + lines > self._height and shown:
                break
            shown.append((left, right))
            used += lines
        table = Table.grid(padding=(0, 1), pad_edge=False)
        table.add_column(width=width)
        table.add_column(width=width)
        for left, right in reversed(shown):
            table.add_row(left, right)
        yield table


def cells(row: Row, left: str) -> tuple[Text, Text]:
    """A clause's source and translation, in the columns of their languages."""
    source = _cell("▸ ", row.source, row.source_tail, typed=row.typed)
    target = _cell("  ", row.target, row.target_tail, typed=False)
    return (source, target) if row.language == left else (target, source)


def _cell(mark: str, text: str, tail: str, *, typed: bool) -> Text:
    cell = Text(mark + ("✎ " if typed else "") + text.strip())
    if tail.strip():
        cell.append(f"{' ' if text.strip() else ''}{tail.strip()}…", style="dim italic")
    return cell if cell.plain.strip() else Text("")


def head(desk: Desk) -> RenderableType:
    """The languages, who speaks, and how loud."""
    conversation = desk.conversation
    table = Table.grid(expand=True, padding=(0, 1), pad_edge=False)
    table.add_column(ratio=1)
    table.add_column(ratio=1)
    table.add_row(_side(conversation, conversation.left), _side(conversation, conversation.right))
    levels = " ".join(meter(channel.ear.health.level_db) for channel in conversation.channels)
    heard = "muted" if not any(channel.ear.open for channel in conversation.channels) else levels
    voice = "off" if conversation.said.muted else "speaking" if _voice_sounds(conversation) else "ready"
    table.add_row(Text(f"microphone {heard}"), Text(f"voice {voice} · {conversation.mode.value}"))
    return table


def _side(conversation: Conversation, language: str) -> Text:
    speaks = any(c.active and c.words and c.language == language for c in conversation.channels)
    chosen = " (chosen)" if conversation.talking == language else ""
    return Text(
        f"{language.upper()}{chosen}{'  ● speaks' if speaks else ''}", style="bold reverse" if speaks else "bold"
    )


def _voice_sounds(conversation: Conversation) -> bool:
    return any(mouth.player.sounding for mouth in conversation.mouths.values())


def meter(level_db: float, cells: int = METER_CELLS) -> str:
    """`▮▮▮▮▯▯▯▯ -23 dB`"""
    share = min(1.0, max(0.0, 1 - level_db / QUIETEST_DB))
    full = round(share * cells)
    return f"{'▮' * full}{'▯' * (cells - full)} {max(level_db, -99):.0f} dB"


def foot(desk: Desk, stopping: bool, width: int) -> RenderableType:
    """Latency against its budget, the newest notice, and the keys."""
    conversation = desk.conversation
    newest = conversation.notices[-1].text if conversation.notices else ""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(latency(conversation.first_voice_ms[-1] if conversation.first_voice_ms else None))
    text.append(f" · {desk.loop.overruns} lost · {conversation.missed} late\n")
    text.append(f"{'ending: what was said is worked through' if stopping else newest}\n", style="bold")
    text.append_text(_keys(width))
    return text


def _keys(width: int) -> Text:
    """All keys in as many lines as they need."""
    text, used = Text(), 0
    for key, name in KEYS:
        item = f"{key} {name}"
        if used and used + len(item) + 2 > width:
            text.append("\n")
            used = 0
        elif used:
            text.append("  ")
            used += 2
        text.append(key, style="bold").append(f" {name}")
        used += len(item)
    return text


def latency(ms: float | None, cells: int = 10) -> str:
    """`voice after 1.4 s ▮▮▮▮▮▮▯▯▯▯ of 2.5 s`"""
    if ms is None:
        return f"voice after – {'▯' * cells} of {VOICE_BUDGET_MS / 1000:.1f} s"
    full = min(cells, round(cells * ms / VOICE_BUDGET_MS))
    late = " late" if ms > VOICE_BUDGET_MS else ""
    return f"voice after {ms / 1000:.1f} s {'▮' * full}{'▯' * (cells - full)} of {VOICE_BUDGET_MS / 1000:.1f} s{late}"

"""The views of a running session, drawn without a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from app.live import LiveView, PlainView
from pipeline.events import End, Event, Miss, StageTime, Trace
from tests.pipeline.test_transcript import translation, words

END = End(emitted_ms=9000.0, source_ms=9000.0, segments=1, misses=0)
TRACE = Trace(
    emitted_ms=3000.0,
    language="pt",
    segment=0,
    source_start_ms=0.0,
    captured_ms=1000.0,
    committed_ms=1600.0,
    translated_ms=1800.0,
    spoken_ms=None,
    stages={"recognise": StageTime(100.0, 300.0), "translate": StageTime(5.0, 40.0)},
    unaccounted_ms=0.0,
    end_to_end_ms=800.0,
)
MISS = Miss(emitted_ms=1.0, stage="translate", language="pt", segment=0, budget_ms=250, actual_ms=300, action="wait")


def drawn(*events: Event, height: int = 12, width: int = 80, colour: bool = False) -> str:
    view = LiveView("auto", ["pt"])
    for event in events:
        view.handle(event)
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=colour, color_system="standard" if colour else None).print(
        view.render(height)
    )
    return stream.getvalue()


def test_live_view_shows_source_and_target_side_by_side() -> None:
    text = drawn(words(" Good morning.", 0, 1000), translation("Bom dia.", 0, 0, 1000))
    assert any("Good morning." in line and "Bom dia." in line for line in text.splitlines())
    assert any("en" in line and "pt" in line for line in text.splitlines())


def test_live_view_dims_what_may_still_change() -> None:
    text = drawn(words(" Good", 0, 1000, tentative=" morning"), colour=True)
    assert "\x1b[2m morning" in text
    assert "\x1b[97mGood" in text


def test_live_view_obeys_no_markup_in_speech() -> None:
    assert "[red]stop[/red]" in drawn(words(" [red]stop[/red] [/]", 0, 1000))


def test_live_view_keeps_the_newest_lines_when_text_is_long() -> None:
    said = "".join(f" word{number}" for number in range(500))
    text = drawn(words(said, 0, 1000), height=4)
    assert "word499" in text
    assert "word0 " not in text
    assert len(text.splitlines()) == 6


def test_live_view_tells_latency_age_and_misses_at_its_foot() -> None:
    text = drawn(translation("Bom dia.", 0, 0, 1000), TRACE, MISS, width=160)
    assert "recognise 400 ms · translate 45 ms · end to end 0.8 s · newest word 0.7 s old · 1 missed" in text


def test_plain_view_prints_a_clause_once_it_is_final_everywhere() -> None:
    view = PlainView(["pt", "es"])
    view.handle(words(" Good morning.", 12_000, 13_000))
    view.handle(translation("Bom dia.", 0, 12_000, 13_000))
    assert view.render() == ""
    view.handle(translation("Buenos días.", 0, 12_000, 13_000, "es"))
    assert view.render() == "[00:12] en: Good morning. / pt: Bom dia. / es: Buenos días.\n"
    assert view.render() == ""


def test_plain_view_prints_what_is_left_at_the_end() -> None:
    view = PlainView(["pt"])
    view.handle(words(" so far", 0, 1000))
    view.handle(END)
    assert view.render() == "[00:00] en: so far\n"


def test_plain_view_without_targets_prints_sentences() -> None:
    view = PlainView([])
    view.handle(words(" One. Two", 0, 1000))
    assert view.render() == "[00:00] en: One.\n"
    view.handle(words(" more.", 61_000, 62_000))
    view.handle(END)
    assert view.render() == "[00:00] en: Two more.\n"

"""The history of a room and what waits for a listener: committed text whole and in order, whatever else is lost."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from app.direct import Outgoing
from app.history import ROOM, SOURCE, History
from app.outbox import LONGEST_AUDIO_MS, Outbox
from app.protocol import Closed, Message, Resume, Wanted, Words


def commit(history: History, feed: str, text: str = "") -> int:
    def message(sequence: int) -> Message:
        if feed == ROOM:
            return Closed(sequence=sequence, channel=1, code="end", message=text)
        return Words(sequence=sequence, channel=1, language=feed, text=text, start_ms=0, end_ms=0, emitted_ms=0)

    return history.append(feed, message).sequence


def drain(outbox: Outbox) -> list[str | bytes]:
    items: list[str | bytes] = []
    while (item := outbox.next()) is not None:
        items.append(item.content)
    return items


def sequences(items: list[str | bytes]) -> list[int]:
    return [json.loads(item)["sequence"] for item in items if isinstance(item, str) and "sequence" in item]


def outbox(
    history: History, wanted: Wanted, after: int = 0, tails: dict[tuple[int, str, bool], Outgoing] | None = None
):
    return Outbox(history, {} if tails is None else tails, wanted, after, lambda: None)


def test_history_keeps_the_newest_and_knows_what_is_gone() -> None:
    history = History(10)
    for number in range(25):
        commit(history, SOURCE, str(number))
    assert history.newest == 25
    kept = [entry.sequence for entry in history]
    assert kept == list(range(kept[0], 26))
    assert len(kept) <= 10
    assert history.recovers(Resume(history.epoch, kept[0] - 1))
    assert not history.recovers(Resume(history.epoch, kept[0] - 2))
    assert not history.recovers(Resume(history.epoch, 26))
    assert not history.recovers(Resume("another", 25))
    assert not history.recovers(None)


def test_listener_gets_only_what_it_follows_in_order() -> None:
    history = History(100)
    box = outbox(history, Wanted(captions=("pt",), source=False))
    for feed in (ROOM, SOURCE, "pt", "ja", "pt", ROOM):
        commit(history, feed)
    assert sequences(drain(box)) == [1, 3, 5, 6]


def test_listener_that_returns_gets_the_rest() -> None:
    history = History(100)
    for _ in range(5):
        commit(history, "pt")
    assert sequences(drain(outbox(history, Wanted(captions=("pt",)), after=3))) == [4, 5]


def test_new_language_brings_what_is_kept_of_it_before_a_later_message() -> None:
    history = History(100)
    box = outbox(history, Wanted(captions=("pt",), source=False))
    for feed in ("pt", "ja", "pt", "ja"):
        commit(history, feed)
    assert sequences(drain(box)) == [1, 3]
    box.follow(Wanted(captions=("pt", "ja"), source=False))
    box.tell("pong")
    commit(history, "pt")
    items = drain(box)
    assert sequences(items) == [2, 4, 5]
    assert items[-1] == "pong"


def test_language_wanted_again_comes_again() -> None:
    history = History(100)
    box = outbox(history, Wanted(captions=("pt",), source=False))
    commit(history, "pt")
    drain(box)
    box.follow(Wanted(captions=(), source=False))
    drain(box)
    box.follow(Wanted(captions=("pt",), source=False))
    assert sequences(drain(box)) == [1]


FEEDS = ["pt", "ja", SOURCE]


@given(st.lists(st.one_of(st.sampled_from(FEEDS), st.frozensets(st.sampled_from(["pt", "ja"])), st.just("read"))))
def test_every_followed_language_arrives_whole_once_and_in_order(steps: list[str | frozenset[str]]) -> None:
    """Whatever is committed, followed and read in whatever order: since a language was followed, nothing is missing."""
    history = History(1000)
    box = outbox(history, Wanted(source=False))
    committed: dict[str, list[int]] = {feed: [] for feed in FEEDS}
    had: dict[str, list[int]] = {}
    followed: frozenset[str] = frozenset()
    for step in [*steps, "read"]:
        if isinstance(step, frozenset):
            for language in step - followed:
                had[language] = []
            followed = step
            box.follow(Wanted(captions=tuple(sorted(step)), source=False))
        elif step == "read":
            for item in drain(box):
                message = json.loads(item)
                had[message["language"]].append(message["sequence"])
        else:
            committed[step].append(commit(history, step))
    for language in followed:
        assert had[language] == committed[language]


def test_overtaken_tail_is_never_sent() -> None:
    history, tails = History(10), {}
    box = outbox(history, Wanted(captions=("pt",)), tails=tails)
    key = (1, "pt", True)
    for text in ("a", "b", "c"):
        tails[key] = Outgoing(text)
        box.tail(key)
    assert drain(box) == ["c"]
    assert box.drops.tentative == 2
    tails[key] = Outgoing("d")
    box.tail(key)
    del tails[key]  # committed meanwhile
    commit(history, "pt")
    assert len(sequences(drain(box))) == 1


def test_tail_waits_behind_committed_text() -> None:
    history, tails = History(10), {(1, "pt", True): Outgoing("tail")}
    box = outbox(history, Wanted(captions=("pt",)), tails=tails)
    commit(history, "pt")
    assert drain(box)[-1] == "tail"


def test_listener_without_tentative_text_gets_none() -> None:
    tails = {(1, "pt", True): Outgoing("tail")}
    box = outbox(History(10), Wanted(captions=("pt",), tentative=False), tails=tails)
    box.tail((1, "pt", True))
    assert drain(box) == []


def test_slow_listener_loses_old_audio_and_no_committed_text() -> None:
    history = History(100)
    box = outbox(history, Wanted(captions=("pt",), voices=("pt",)))
    for number in range(30):
        commit(history, "pt")
        box.voice(Outgoing(bytes([number])), 1000)
    items = drain(box)
    audio = [item for item in items if isinstance(item, bytes)]
    assert sequences(items) == list(range(1, 31))
    assert audio == [bytes([number]) for number in range(30 - int(LONGEST_AUDIO_MS // 1000), 30)]
    assert box.drops.audio == 20


def test_newest_state_replaces_older_ones() -> None:
    box = outbox(History(10), Wanted())
    for text in ("1", "2", "3"):
        box.latest("state", Outgoing(text))
    assert drain(box) == ["3"]

"""What is published, and where; the broker itself is a real one in tests/real/test_mqtt.py."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from app.mqtt import Broker, Publisher, Speaker
from models.errors import InputError, UnavailableError
from pipeline.events import Translation, Voice, Words


def caption(text: str, *, segment: int = 0, final: bool = False) -> Translation:
    return Translation(
        emitted_ms=1,
        language="pt",
        segment=segment,
        committed=text,
        tentative="",
        final=final,
        source_start_ms=0,
        source_end_ms=1,
        engine="",
    )


def test_broker_is_read_from_its_address() -> None:
    assert Broker.parse("mqtt://127.0.0.1/hall") == Broker("127.0.0.1", 1883, "hall")
    parsed = Broker.parse("mqtts://me:p%40ss@broker.example:9000/a/b/")
    assert parsed == Broker("broker.example", 9000, "a/b", secure=True, user="me", password="p@ss")


@pytest.mark.parametrize(
    "url", ["", "http://x/hall", "mqtt://x", "mqtt://x/", "mqtt:///hall", "mqtt://x/a/%23", "mqtt://x:99999/a", "x/y"]
)
def test_what_is_no_broker_is_said(url: str) -> None:
    with pytest.raises(InputError) as caught:
        Broker.parse(url)
    assert caught.value.code == "broker-invalid"


def test_events_are_published_as_they_come_and_a_line_once_its_clause_is_final() -> None:
    sent: list[tuple[str, str]] = []
    speaker = Speaker(lambda topic, payload: sent.append((topic, payload)))
    speaker.add(Voice(emitted_ms=0, active=True, source_ms=0))
    speaker.add(
        Words(
            emitted_ms=1, language="en", committed=" Hi", tentative="", source_start_ms=0, source_end_ms=1, confidence=1
        )
    )
    speaker.add(caption("Bom "))
    speaker.add(caption("outra", segment=1))
    speaker.add(caption("dia.", final=True))
    speaker.add(caption("", segment=2, final=True))
    assert [topic for topic, _ in sent] == ["en/events", *["pt/events"] * 3, "pt/line", "pt/events"]
    assert json.loads(sent[0][1])["committed"] == " Hi"
    assert sent[4][1] == "Bom dia."


async def test_broker_that_does_not_answer_is_said_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.mqtt.FIRST_RETRY_S", 0.001)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        publisher = Publisher(Broker("127.0.0.1", unused.getsockname()[1], "hall"), patience_s=0.05)
        with pytest.raises(UnavailableError) as caught:
            await asyncio.wait_for(publisher.run(), 30)
    assert caught.value.code == "broker-unreachable"

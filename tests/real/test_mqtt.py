"""Captions at a real Mosquitto: `apt-get install mosquitto`."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from app.mqtt import Broker, Publisher
from models.errors import InputError
from tests.app.test_mqtt import caption
from tests.real.mosquitto import MOSQUITTO, Display, Mosquitto

pytestmark = [pytest.mark.real, pytest.mark.skipif(MOSQUITTO is None, reason="needs mosquitto")]


@pytest.fixture
def broker(tmp_path: Path) -> Generator[Mosquitto]:
    started = Mosquitto(tmp_path, "allow_anonymous true")
    started.start()
    yield started
    started.stop()


@asynccontextmanager
async def publishing(broker: Mosquitto) -> AsyncIterator[Publisher]:
    publisher = Publisher(Broker("127.0.0.1", broker.port, "hall"))
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
        publisher.finish()
        await asyncio.wait_for(task, 60)
    finally:
        task.cancel()


async def test_display_reads_every_line_in_order_though_the_broker_was_restarted(broker: Mosquitto) -> None:
    display, subscribed = Display(broker), asyncio.Event()
    reading = asyncio.create_task(display.follow(subscribed))
    await asyncio.wait_for(subscribed.wait(), 20)
    async with publishing(broker) as publisher:
        speaker = publisher.speaker()
        for number in range(60):
            speaker.add(caption(f"frase {number}.", segment=number, final=True))
            if number == 20:
                await asyncio.to_thread(broker.stop)
            if number == 40:
                await asyncio.to_thread(broker.start)
            await asyncio.sleep(0.01)
    await asyncio.wait_for(reading, 60)
    # At least once: what was not confirmed when the broker went away may come again.
    assert list(dict.fromkeys(display.lines)) == [f"frase {number}." for number in range(60)]
    assert display.states[0] == "live"
    assert display.states[-1] == "over"


VANISHING = """
import asyncio, signal, sys
from app.mqtt import Broker, Publisher
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a parent may have told to ignore it
asyncio.run(Publisher(Broker("127.0.0.1", int(sys.argv[1]), "hall")).run())
"""


@pytest.mark.parametrize(("sign", "state"), [(signal.SIGKILL, b"lost"), (signal.SIGINT, b"over")])
async def test_publisher_that_goes_leaves_word(sign: signal.Signals, state: bytes, broker: Mosquitto) -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client, asyncio.timeout(60):
        await client.subscribe("hall/state", qos=1)
        states = aiter(client.messages)
        command = [sys.executable, "-c", VANISHING, str(broker.port)]
        publisher = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
        assert (await anext(states)).payload == b"live"
        publisher.send_signal(sign)
        assert (await anext(states)).payload == state
        await publisher.wait()


async def test_broker_that_refuses_is_said(tmp_path: Path) -> None:
    locked = Mosquitto(tmp_path, "allow_anonymous false")
    locked.start()
    try:
        with pytest.raises(InputError) as caught:
            await asyncio.wait_for(
                Publisher(Broker("127.0.0.1", locked.port, "hall", user="x", password="y")).run(), 30
            )
    finally:
        locked.stop()
    assert caught.value.code == "broker-refused"
    assert "not authorised" in caught.value.message

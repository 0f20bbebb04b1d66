"""What is said in a room, published to an MQTT broker: for displays and programs that speak no WebSocket.

Below the topic that is given, of each language: `LANGUAGE/events` has the lines of docs/events.md, `LANGUAGE/line` each
clause as plain text once it is final. `state` is `live`, `over`, or `lost` where the publisher vanished; whoever
subscribes later gets the present state and nothing of what was said before.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from app.formats import encode
from models.errors import InputError, UnavailableError
from pipeline.events import Event, Translation, Words

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 8.0
PATIENCE_S = 300.0
FAREWELL_S = 2.0
PORTS = {"mqtt": 1883, "mqtts": 8883}
REFUSALS = {
    0x84: "it speaks another version of MQTT",
    0x86: "bad user name or password",
    0x87: "not authorised",
    0x8A: "banned",
}
"""reason codes of CONNACK after which another try is in vain: MQTT 5.0, table 3-1"""
AT_LEAST_ONCE = 1  # the quality of service: MQTT 3.1.1, section 4.3.2


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is, and the topic below which is published."""

    host: str
    port: int
    topic: str
    secure: bool = False
    user: str | None = None
    password: str | None = None

    @staticmethod
    def parse(url: str) -> Broker:
        """Of `mqtt://[USER:PASSWORD@]HOST[:PORT]/TOPIC`, or `mqtts` for TLS. Raises `InputError` `broker-invalid`."""
        parts = urlsplit(url)
        topic = unquote(parts.path).strip("/")
        try:
            port = parts.port or PORTS[parts.scheme]
        except (KeyError, ValueError) as error:
            raise InputError("broker-invalid", "A broker is given as mqtt://HOST/TOPIC, or mqtts for TLS.") from error
        if not parts.hostname or not topic or set(topic) & set("+#\0"):
            raise InputError("broker-invalid", "Name the broker and a topic without wildcards, as in mqtt://HOST/hall.")
        user = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        return Broker(parts.hostname, port, topic, parts.scheme == "mqtts", user, password)


@dataclass(frozen=True, slots=True)
class _Message:
    topic: str
    payload: str


class Publisher:
    """`add` never waits; `run` publishes in order, each message until the broker has confirmed it."""

    def __init__(self, broker: Broker, *, patience_s: float = PATIENCE_S) -> None:
        """Raises `UnavailableError` `extra-missing`."""
        try:
            import aiomqtt
        except ImportError as error:
            raise UnavailableError("extra-missing", "MQTT needs an extra: pip install 'tsuyaku[mqtt]'") from error
        self._aiomqtt: Any = aiomqtt
        self._broker = broker
        self._patience_s = patience_s
        self._waiting: deque[_Message] = deque()
        self._changed = asyncio.Event()
        self._finished = False

    def finish(self) -> None:
        """`run` ends once all that waits is published."""
        self._finished = True
        self._changed.set()

    def _put(self, topic: str, payload: str) -> None:
        self._waiting.append(_Message(f"{self._broker.topic}/{topic}", payload))
        self._changed.set()

    def speaker(self) -> Speaker:
        """What takes the events of one channel of a room."""
        return Speaker(self._put)

    async def run(self) -> None:
        """Raises `UnavailableError` `broker-unreachable`, `InputError` `broker-refused`."""
        retry_s, lost_at = FIRST_RETRY_S, time.monotonic()
        while True:
            try:
                async with self._client() as client:
                    retry_s, lost_at = FIRST_RETRY_S, time.monotonic()
                    await self._publish(client)
                    return
            except self._aiomqtt.MqttError as error:
                self._judge(error, time.monotonic() - lost_at)
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, LONGEST_RETRY_S)

    def _judge(self, error: Exception, lost_s: float) -> None:
        code = getattr(getattr(error, "rc", None), "value", None)
        where = f"{self._broker.host}:{self._broker.port}"
        if code in REFUSALS:
            raise InputError(
                "broker-refused", f"The broker {where} refuses: {REFUSALS[code]}; correct the address."
            ) from error
        if lost_s > self._patience_s:
            raise UnavailableError("broker-unreachable", f"No broker answers at {where}; start it.") from error

    def _client(self) -> Any:
        broker = self._broker
        return self._aiomqtt.Client(
            broker.host,
            broker.port,
            username=broker.user,
            password=broker.password,
            tls_context=ssl.create_default_context() if broker.secure else None,
            will=self._aiomqtt.Will(f"{broker.topic}/state", "lost", AT_LEAST_ONCE, retain=True),
            keepalive=15,
        )

    async def _publish(self, client: Any) -> None:
        state = f"{self._broker.topic}/state"
        try:
            await client.publish(state, "live", qos=AT_LEAST_ONCE, retain=True)
            while self._waiting or not self._finished:
                while self._waiting:
                    message = self._waiting[0]
                    await client.publish(message.topic, message.payload, qos=AT_LEAST_ONCE)
                    self._waiting.popleft()
                self._changed.clear()
                if not self._finished:
                    await self._changed.wait()
        finally:
            with suppress(self._aiomqtt.MqttError):
                await client.publish(state, "over", qos=AT_LEAST_ONCE, retain=True, timeout=FAREWELL_S)


class Speaker:
    """Committed text of one channel as messages; `put` takes the topic below the room's, and the payload."""

    def __init__(self, put: Callable[[str, str], None]) -> None:
        self._put = put
        self._open: dict[tuple[str, int], str] = {}

    def add(self, event: Event) -> None:
        if not isinstance(event, Words | Translation):
            return
        self._put(f"{event.language}/events", encode(event))
        if isinstance(event, Translation):
            key = event.language, event.segment
            text = self._open.pop(key, "") + event.committed
            if not event.final:
                self._open[key] = text
            elif text.strip():
                self._put(f"{event.language}/line", text.strip())

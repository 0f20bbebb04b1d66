"""A real Mosquitto (`apt-get install mosquitto`), and a device that reads from it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from pathlib import Path

import aiomqtt

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin")


class Mosquitto:
    """A broker on a free port of loopback that keeps what it has through a restart."""

    def __init__(self, folder: Path, *lines: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._configuration = folder / "mosquitto.conf"
        settings = (f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {folder}/", *lines)
        self._configuration.write_text("\n".join((*settings, "user root", "")), "utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert MOSQUITTO
        command = [MOSQUITTO, "-c", str(self._configuration)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto did not start")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None


class Display:
    """A device that reads one language; its session outlasts a connection."""

    def __init__(self, broker: Mosquitto) -> None:
        self._port = broker.port
        self.lines: list[str] = []
        self.states: list[str] = []

    async def follow(self, subscribed: asyncio.Event) -> None:
        """Until the state is `over`."""
        while True:
            try:
                client = aiomqtt.Client("127.0.0.1", self._port, identifier="display", clean_session=False)
                async with client:
                    await client.subscribe("hall/pt/line", qos=1)
                    await client.subscribe("hall/state", qos=1)
                    subscribed.set()
                    async for message in client.messages:
                        text = bytes(message.payload).decode()
                        if not message.topic.matches("hall/state"):
                            self.lines.append(text)
                        elif not self.states or text != self.states[-1]:
                            self.states.append(text)
                        if text == "over":
                            return
            except aiomqtt.MqttError:
                await asyncio.sleep(0.1)

"""`tsuyaku serve`: the web page for a meeting, or for two."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated

import platformdirs
import segno
import typer
import uvicorn

from app.access import Limits
from app.certificate import ensure, fingerprint, lan_address
from app.direct import DirectProtocol
from app.frames import MAX_BINARY_BYTES
from app.interpreter import interpreter
from app.sample import sample_path
from app.server import Server, ServerOptions
from app.settings import resolve
from models import scheduler
from models.errors import InputError

USUAL = Limits()
SWITCH_S = 0.0005  # every send gives the interpreter's lock away; an engine's thread may keep it no longer than this


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 where none is given.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    lan: Annotated[
        bool, typer.Option("--lan", help="For phones in the same network: https on all addresses, and a QR code here.")
    ] = False,
    certificate: Annotated[Path | None, typer.Option(help="Certificate chain (PEM), for https.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="A name under which browsers reach this server, as in a reverse proxy.")
    ] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="Believe X-Forwarded-For and -Proto of a proxy on this machine.")
    ] = False,
    metrics_to_all: Annotated[
        bool, typer.Option("--metrics-to-all", help="Answer /metrics to other machines, too.")
    ] = False,
    max_rooms: Annotated[int, typer.Option(min=1, help="Rooms at once.")] = USUAL.rooms,
    max_speakers: Annotated[
        int, typer.Option(min=1, help="People who speak at once, in all rooms; each costs a good part of a core.")
    ] = USUAL.channels,
    max_connections: Annotated[int, typer.Option(min=1, help="Pages that are connected at once.")] = USUAL.connections,
    max_per_address: Annotated[
        int, typer.Option(min=1, help="Of these, from one address: an audience may share one behind a router.")
    ] = USUAL.connections_per_address,
    preset: Annotated[str | None, typer.Option(help="fast, balanced or accurate.")] = None,
    whisper: Annotated[str | None, typer.Option(help="Size of the recogniser, as in tsuyaku models list.")] = None,
    voice: Annotated[str | None, typer.Option(help="piper, kokoro, espeak or auto.")] = None,
    translator: Annotated[str | None, typer.Option(help="firefox (embedded) or llama (a server).")] = None,
    llama_url: Annotated[str | None, typer.Option(help="Base URL of an OpenAI-compatible server.")] = None,
    llama_model: Annotated[str | None, typer.Option(help="Its model; the only one it has if none.")] = None,
    glossary: Annotated[Path | None, typer.Option(help="Terms: a TOML, CSV or TBX file.")] = None,
    context: Annotated[str | None, typer.Option(help="The occasion in a line, for Llama.")] = None,
    register: Annotated[str | None, typer.Option(help="formal or informal, or as in de=formal,pt=informal.")] = None,
) -> None:
    """Open the page: people speak, and everybody reads and hears it in their own language.

    tsuyaku serve, then open http://127.0.0.1:8080; tsuyaku serve --lan for phones in the same room
    """
    given = {
        "host": "0.0.0.0" if lan and host is None else host,
        "port": port,
        "preset": preset,
        "whisper": whisper,
        "voice": voice,
        "translator": translator,
        "llama_url": llama_url,
        "llama_model": llama_model,
        "glossary": str(glossary) if glossary else None,
        "context": context,
        "register": tuple(register.split(",")) if register else None,
    }
    settings = resolve(given).settings
    files = _certificate(certificate, key, lan=lan)
    scheduler.niceness = scheduler.POLITE
    listening = listen(settings.host, settings.port)
    limits = Limits(
        rooms=max_rooms, channels=max_speakers, connections=max_connections, connections_per_address=max_per_address
    )
    url = _url(listening, files, lan=lan)
    options = ServerOptions(
        hosts=tuple(allow_host or ()), metrics_to_all=metrics_to_all, limits=limits, address=url if lan else ""
    )
    interpreting = interpreter(settings)
    for note in asyncio.run(interpreting.engines.translator.notes("auto", ())):
        typer.echo(f"tsuyaku: {note}", err=True)
    server = Server(interpreting, sample_path, options)
    _announce(url, files, lan=lan)
    asyncio.run(run(server, listening, configuration(server, behind_proxy=behind_proxy, certificate=files)))


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `InputError` `port-taken` or `host-invalid`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(2048)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise InputError(
                "port-taken", f"Port {port} is in use; end what uses it or choose another --port."
            ) from error
        if error.errno == errno.EACCES:
            raise InputError("port-taken", f"Port {port} may not be used here; choose one above 1023.") from error
        raise InputError("host-invalid", f"'{host}' is no address of this machine; choose another --host.") from error
    return made


async def run(server: Server, listening: socket.socket, config: uvicorn.Config) -> None:
    """Until a signal; then what was said is worked through and everybody is told."""
    sys.setswitchinterval(SWITCH_S)
    await Draining(config, server).serve(sockets=[listening])


def configuration(
    server: Server, *, behind_proxy: bool = False, certificate: tuple[Path, Path] | None = None
) -> uvicorn.Config:
    """`certificate` is the files of chain and key. The log never goes below warnings: below, frames are in it."""
    return uvicorn.Config(
        server.app,
        ws=DirectProtocol,
        ws_max_size=2 * MAX_BINARY_BYTES,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=behind_proxy,
        forwarded_allow_ips="127.0.0.1",
        timeout_graceful_shutdown=5,
        lifespan="on",
        ssl_certfile=certificate[0] if certificate else None,
        ssl_keyfile=certificate[1] if certificate else None,
    )


class Draining(uvicorn.Server):
    """Drains the rooms while sockets are still open, then closes them. A second Ctrl-C waits for neither."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self._drained = server
        self._forced = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self.force_exit:
            asyncio.get_running_loop().call_soon_threadsafe(self._forced.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        parts = [asyncio.create_task(part) for part in (self._drained.drain(), self._forced.wait())]
        await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        for part in parts:
            part.cancel()
        if self.force_exit:
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        await super().shutdown(sockets)
        self._captured_signals.clear()  # uvicorn would raise them again, and the process die of what it obeyed


def _certificate(given: Path | None, key: Path | None, *, lan: bool) -> tuple[Path, Path] | None:
    """Files of certificate and key: those given, or made on the spot. Raises `InputError` `certificate-unreadable`."""
    if given is None and key is None:
        return ensure(platformdirs.user_data_path("tsuyaku", appauthor=False), lan_address()) if lan else None
    if given is None or key is None:
        raise InputError("certificate-unreadable", "A certificate needs its key: give --certificate and --key.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(given, key)
    except OSError as error:
        raise InputError("certificate-unreadable", f"{given} and {key} are no certificate and its key.") from error
    return given, key


def _url(listening: socket.socket, files: tuple[Path, Path] | None, *, lan: bool) -> str:
    host, port = listening.getsockname()[:2]
    name = lan_address() if lan else f"[{host}]" if ":" in host else host
    return f"{'https' if files else 'http'}://{name}:{port}"


def _announce(url: str, files: tuple[Path, Path] | None, *, lan: bool) -> None:
    """Say where the page is; with `lan` also as a QR code."""
    if lan and files:
        segno.make(url, micro=False).terminal(out=sys.stderr, compact=True)
        typer.echo("The browser will warn once that it does not know the certificate, which was made here:", err=True)
        typer.echo(f"{files[0]}\nSHA-256 {fingerprint(files[0])}", err=True)
    typer.echo(f"Tsuyaku is at {url}  (Ctrl-C ends it; what was said is finished first)", err=True)

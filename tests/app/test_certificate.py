"""The certificate made on the spot, through a real TLS handshake."""

from __future__ import annotations

import asyncio
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.certificate import DAYS, ensure, fingerprint, lan_address


def test_certificate_is_kept_while_it_fits(tmp_path: Path) -> None:
    certificate, key = ensure(tmp_path, "192.168.1.7")
    first = fingerprint(certificate)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    ensure(tmp_path, "192.168.1.7")
    assert fingerprint(certificate) == first
    ensure(tmp_path, "192.168.1.8")
    second = fingerprint(certificate)
    assert second != first
    ensure(tmp_path, "192.168.1.8", datetime.now(UTC) + timedelta(days=DAYS - 1))
    assert fingerprint(certificate) != second
    certificate.write_text("broken")
    ensure(tmp_path, "192.168.1.8")
    assert len(fingerprint(certificate)) == 32 * 3 - 1


async def test_client_that_trusts_it_connects(tmp_path: Path) -> None:
    certificate, key = ensure(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        trust = ssl.create_default_context(cafile=str(certificate))
        port = server.sockets[0].getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trust, server_hostname=host, ssl_handshake_timeout=5
            )
            assert await reader.read() == b"hello"
            writer.close()


def test_own_address_is_one() -> None:
    assert lan_address().count(".") == 3

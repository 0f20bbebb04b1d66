"""A certificate made on the spot, since browsers give the microphone only to pages that came encrypted."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 397  # browsers accept no longer ones
RENEW_DAYS = 30


def lan_address() -> str:
    """This machine's address towards other machines; no packet is sent. Loopback where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
        return str(probe.getsockname()[0])
    return "127.0.0.1"


def ensure(folder: Path, address: str, now: datetime | None = None) -> tuple[Path, Path]:
    """Certificate and key for `address`, localhost and this machine's `.local` name; made anew if they do not fit."""
    now = now or datetime.now(UTC)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not (certificate.exists() and key.exists() and _fits(certificate, address, now)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make(certificate, key, address, now)
    return certificate, key


def fingerprint(certificate: Path) -> str:
    """SHA-256, as browsers show it."""
    return x509.load_pem_x509_certificate(certificate.read_bytes()).fingerprint(hashes.SHA256()).hex(":").upper()


def _fits(certificate: Path, address: str, now: datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    fresh = found.not_valid_before_utc <= now < found.not_valid_after_utc - timedelta(days=RENEW_DAYS)
    return fresh and ipaddress.ip_address(address) in names.get_values_for_type(x509.IPAddress)


def _make(certificate: Path, key: Path, address: str, now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tsuyaku on this network")])
    addresses = dict.fromkeys([ipaddress.ip_address(address), ipaddress.ip_address("127.0.0.1")])
    names = [
        *(x509.IPAddress(one) for one in addresses),
        x509.DNSName("localhost"),
        x509.DNSName(f"{_host_name()}.local"),
    ]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def _host_name() -> str:
    """A label of the DNS alphabet."""
    label = "".join(c for c in socket.gethostname().split(".")[0] if c.isascii() and (c.isalnum() or c == "-"))
    return label or "tsuyaku"

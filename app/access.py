"""Who may do what: links, origins, hosts and limits. Time is an argument; nothing here does I/O."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.protocol import Role

TOKEN_BYTES = 24  # 192 bits: not to be guessed


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process grants before it refuses with a reason."""

    rooms: int = 200
    connections: int = 5000
    connections_per_address: int = 200
    rooms_per_address_per_minute: float = 20.0
    pictures_per_address_per_minute: float = 120.0
    """QR codes"""
    channels_per_room: int = 8
    channels: int = 16
    """that speak at once; each costs the recogniser a good part of a core"""
    languages_per_room: int = 16
    """that are listened to at once; each is a translation of every clause"""
    code_attempts_per_minute: float = 12.0
    """at the code of one room, wrong ones"""
    downloads_per_minute: float = 60.0
    """of the transcript of one room"""
    body_s: float = 10.0
    """that a request's body may take"""
    close_s: float = 5.0
    """that a room which its host ends waits until what was said is worked through"""
    drain_s: float = 25.0
    """that a shutdown waits until what was said is worked through"""
    uplink_bytes_per_s: float = 160_000.0
    """five times real time, so that a resumed uplink catches up"""
    uplink_burst_bytes: float = 8_000_000.0
    uplink_s_per_s: float = 5.0
    """the same for audio as it is decoded, of which a packet may hold much in few bytes"""
    uplink_burst_s: float = 250.0
    wants_per_s: float = 2.0
    """changes of what a client listens to, each of which may send it the whole history"""
    wants_burst: float = 20.0
    messages_per_s: float = 250.0
    """five times real time in frames of 20 ms"""
    messages_burst: float = 5000.0
    hello_s: float = 10.0
    check_s: float = 1.0
    """between looks at what time brings: to connections, languages, channels, rooms"""
    silent_s: float = 45.0
    """without any frame from the client"""
    send_s: float = 30.0
    """that a frame may wait in a full socket"""
    channel_linger_s: float = 90.0
    """that a channel waits for its interrupted speaker"""
    language_linger_s: float = 90.0
    """that a language is still translated after its last listener left"""
    idle_s: float = 900.0
    """that an empty room waits"""
    return_s: float = 60.0
    """after the end of a room, in which who was cut off gets what it missed"""
    lifetime_s: float = 12 * 3600.0
    log_entries: int = 20_000


@dataclass(frozen=True, slots=True)
class Grant:
    room: str
    role: Role


class Links:
    """Unguessable tokens, one a role of a room, and what each grants. Only digests are compared."""

    def __init__(self) -> None:
        self._grants: dict[bytes, Grant] = {}

    def issue(self, grant: Grant) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._grants[_digest(token)] = grant
        return token

    def find(self, token: str) -> Grant | None:
        return self._grants.get(_digest(token))

    def revoke(self, grant: Grant) -> None:
        self._grants = {digest: kept for digest, kept in self._grants.items() if kept != grant}

    def revoke_room(self, room: str) -> None:
        self._grants = {digest: kept for digest, kept in self._grants.items() if kept.room != room}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` a second on average, `burst` at once."""

    rate: float
    burst: float
    _level: float = field(init=False)
    _at: float | None = None

    def __post_init__(self) -> None:
        self._level = self.burst

    def take(self, amount: float, now: float) -> bool:
        """Whether `amount` is granted at `now` (s)."""
        if self._at is not None:
            self._level = min(self.burst, self._level + (now - self._at) * self.rate)
        self._at = now
        if amount > self._level:
            return False
        self._level -= amount
        return True


class AddressBuckets:
    """A bucket for each address; those of one IPv6 network (/64) are one person's."""

    KEPT = 10_000  # buckets

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, Bucket] = {}

    def take(self, address: str, now: float) -> bool:
        if len(self._buckets) >= self.KEPT:
            self._buckets.clear()
        bucket = self._buckets.setdefault(_household(address), Bucket(self._per_minute / 60, self._per_minute))
        return bucket.take(1, now)


class Addresses:
    """Connections, new rooms and pictures, by address of the client."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self.rooms = AddressBuckets(limits.rooms_per_address_per_minute)
        self.pictures = AddressBuckets(limits.pictures_per_address_per_minute)

    def connect(self, address: str) -> bool:
        address = _household(address)
        full = self._open.total() >= self._limits.connections
        if full or self._open[address] >= self._limits.connections_per_address:
            return False
        self._open[address] += 1
        return True

    def disconnect(self, address: str) -> None:
        address = _household(address)
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]


def _household(address: str) -> str:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def origin_allowed(origin: str | None, host: str, scheme: str, allowed: Sequence[str]) -> bool:
    """A browser says where its page came from: the same place, or one of `allowed`. Other clients say nothing."""
    if origin is None or origin in allowed:
        return True
    secure = scheme in ("https", "wss")
    return origin == f"{'https' if secure else 'http'}://{host}"


def host_allowed(host: str, allowed: Sequence[str]) -> bool:
    """An IP address, `localhost`, a `.local` name, or one of `allowed`: a rebound DNS name is none of them."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        ipaddress.ip_address(name)
    except ValueError:
        name = host.rsplit(":", 1)[0].casefold()
        return name == "localhost" or name.endswith(".local") or name in allowed
    return True

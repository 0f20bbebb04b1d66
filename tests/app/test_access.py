"""Links, origins, hosts and limits."""

from __future__ import annotations

import pytest

from app.access import Addresses, Bucket, Grant, Limits, Links, host_allowed, origin_allowed


def test_token_opens_its_room_in_its_role_until_it_is_revoked() -> None:
    links = Links()
    grants = [Grant("a", "host"), Grant("a", "listener"), Grant("b", "listener")]
    tokens = [links.issue(grant) for grant in grants]
    assert [links.find(token) for token in tokens] == grants
    assert len(set(tokens)) == 3
    assert all(len(token) >= 32 for token in tokens)
    links.revoke(grants[1])
    assert links.find(tokens[1]) is None
    links.revoke_room("b")
    assert links.find(tokens[2]) is None
    assert links.find(tokens[0]) == grants[0]


@pytest.mark.parametrize("token", ["", "x", "a" * 128, "\ud800"])
def test_guessed_token_opens_nothing(token: str) -> None:
    links = Links()
    links.issue(Grant("a", "host"))
    assert links.find(token) is None


def test_bucket_grants_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=20)
    assert bucket.take(20, now=100)
    assert not bucket.take(1, now=100)
    assert bucket.take(5, now=100.5)
    assert not bucket.take(1, now=100.5)
    assert not bucket.take(21, now=1000)


def test_connections_are_limited_by_address_and_in_all() -> None:
    addresses = Addresses(Limits(connections=3, connections_per_address=2))
    assert addresses.connect("a")
    assert addresses.connect("a")
    assert not addresses.connect("a")
    assert addresses.connect("b")
    assert not addresses.connect("c")
    addresses.disconnect("a")
    assert addresses.connect("c")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("testclient", "testclient", True),
    ],
)
def test_addresses_of_one_network_share_a_limit(one: str, other: str, same: bool) -> None:
    addresses = Addresses(Limits(connections_per_address=1))
    assert addresses.connect(one)
    assert addresses.connect(other) is not same
    addresses.disconnect(one)
    assert addresses.connect(one)


def test_rooms_are_limited_by_address_and_minute() -> None:
    addresses = Addresses(Limits(rooms_per_address_per_minute=2))
    assert [addresses.rooms.take("a", 0) for _ in range(3)] == [True, True, False]
    assert addresses.rooms.take("b", 0)
    assert addresses.rooms.take("a", 30)


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "allowed"),
    [
        (None, "example.org", "ws", True),
        ("http://localhost:8080", "localhost:8080", "ws", True),
        ("https://a.example", "a.example", "wss", True),
        ("https://evil.example", "localhost:8080", "ws", False),
        ("http://localhost:9000", "localhost:8080", "ws", False),
        ("http://a.example", "a.example", "wss", False),
        ("null", "localhost:8080", "ws", False),
        ("https://page.example", "localhost:8080", "ws", True),
    ],
)
def test_origin(origin: str | None, host: str, scheme: str, allowed: bool) -> None:
    assert origin_allowed(origin, host, scheme, ("https://page.example",)) is allowed


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:8080", True),
        ("127.0.0.1:8080", True),
        ("192.168.1.7", True),
        ("[::1]:8080", True),
        ("laptop.local:8443", True),
        ("talks.example:443", True),
        ("rebound.example", False),
        ("localhost.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_host(host: str, allowed: bool) -> None:
    assert host_allowed(host, ("talks.example",)) is allowed

"""Which hosts and origins are the page's own, and rates."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from motionsig.page.exchange import Refused, Request
from motionsig.page.guard import Rate, check_origin


async def _nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def _status(host: str, *, server: str = "127.0.0.1", tls: bool = False, **more: str) -> int:
    headers = {"host": host, **{name.replace("_", "-"): value for name, value in more.items()}}
    scope = {
        "method": "GET",
        "path": "/api/session",
        "query_string": b"",
        "scheme": "https" if tls else "http",
        "server": (server, 8766),
        "client": ("192.0.2.9", 5),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    try:
        check_origin(Request(scope, _nothing), whole_page=False)
    except Refused as refused:
        return refused.status
    return 200


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Hall-Pi.fritz.box")


@pytest.mark.parametrize(
    ("host", "server", "status"),
    [
        ("192.0.2.5:8766", "192.0.2.5", 200),
        ("192.0.2.5", "::ffff:192.0.2.5", 200),
        ("[2001:db8::5]:8766", "2001:db8::5", 200),
        ("[2001:DB8:0::5]:8766", "2001:db8::5", 200),
        ("hall-pi.local:8766", "192.0.2.5", 200),
        ("HALL-PI:8766", "192.0.2.5", 200),
        ("hall-pi.fritz.box", "192.0.2.5", 200),
        ("localhost:8766", "127.0.0.1", 200),
        ("localhost:8766", "192.0.2.5", 421),
        ("127.0.0.1:8766", "192.0.2.5", 421),
        ("192.0.2.6:8766", "192.0.2.5", 421),
        ("2001:db8::5", "2001:db8::5", 421),
        ("hall-pi.evil.example", "192.0.2.5", 421),
        ("other.local", "192.0.2.5", 421),
        ("", "192.0.2.5", 421),
        ("192.0.2.5:8766:1", "192.0.2.5", 421),
        ("3221225989", "192.0.2.5", 421),
    ],
)
def test_hosts_with_tls(host: str, server: str, status: int) -> None:
    assert _status(host, server=server, tls=True) == status


def test_plain_socket_is_for_this_machine_alone() -> None:
    for host in ("localhost:8765", "127.0.0.1:9000", "[::1]:8765"):
        assert _status(host) == 200
    for host in ("hall-pi.local:8765", "hall-pi", "192.0.2.5:8765", "[::ffff:192.0.2.5]"):
        assert _status(host) == 421
        assert _status(host, server="192.0.2.5") == 421


def test_origin_is_the_hosts() -> None:
    def status(origin: str, *, tls: bool = True) -> int:
        return _status("192.0.2.5:8766", server="192.0.2.5", tls=tls, origin=origin)

    assert status("https://192.0.2.5:8766") == 200
    for origin in ("http://192.0.2.5:8766", "https://192.0.2.5", "https://192.0.2.5:8766.evil.example", "null", ""):
        assert status(origin) == 403


def test_rate() -> None:
    now = [0.0]
    rate = Rate((2.0, 3), lambda: now[0])
    assert [rate.passes("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert rate.passes("b")
    now[0] += 0.5
    assert [rate.passes("a") for _ in range(2)] == [True, False]
    now[0] += 100
    assert [rate.passes("a") for _ in range(5)] == [True] * 3 + [False] * 2
    # Many keys cost no more memory than a few hundred, and who asks keeps its state.
    for number in range(10_000):
        rate.passes(str(number))
        assert not rate.passes("a")
    assert len(rate._left) <= 256

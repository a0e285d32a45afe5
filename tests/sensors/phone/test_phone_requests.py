"""What the phone's server takes, and what it refuses: junk, other sites, replays, too much."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phone_model import PhoneModel

from motionsig.sensors.phone import server as serving
from motionsig.sensors.phone.batches import MOST_BYTES, RefusedError, parse_batch, parse_begin
from motionsig.sensors.phone.inbox import MOST_ROWS, Inbox
from motionsig.sensors.phone.server import PhoneServer

ROW = [1000.0, 0.1, 0.2, 9.8, 1.5, -2.5, 3.5]
GOOD: dict[str, Any] = {
    "run": "00112233445566aa", "first": 0, "sent_ms": 1010.0, "hidden": False, "tap": 0, "samples": [ROW],
}  # fmt: skip


def row(at: int, value: object) -> list[Any]:
    return [*ROW[:at], value, *ROW[at + 1 :]]


BAD: dict[str, Any] = {
    "no object": [GOOD],
    "another key": GOOD | {"path": "/etc/passwd"},
    "a key too few": {key: value for key, value in GOOD.items() if key != "tap"},
    "a run of another form": GOOD | {"run": "../../etc/passwd"},
    "a run with a line feed": GOOD | {"run": "00112233445566aa\n"},
    "a number in quotes": GOOD | {"first": "0"},
    "true as a number": GOOD | {"first": True},
    "a part of a number": GOOD | {"first": 0.5},
    "a number below 0": GOOD | {"first": -1},
    "a number too large": GOOD | {"first": 1 << 60},
    "a tap below 0": GOOD | {"tap": -1},
    "hidden as a number": GOOD | {"hidden": 0},
    "a time of 1e300": GOOD | {"sent_ms": 1e300},
    "a sample of six": GOOD | {"samples": [ROW[:6]]},
    "a sample of eight": GOOD | {"samples": [[*ROW, 0]]},
    "a sample that is none": GOOD | {"samples": [{"0": 1}]},
    "a text in a sample": GOOD | {"samples": [row(1, "0.1")]},
    "true in a sample": GOOD | {"samples": [row(1, True)]},
    "no acceleration": GOOD | {"samples": [row(1, None)]},
    "an angular rate of two axes": GOOD | {"samples": [row(5, None)]},
    "an acceleration of 1e300": GOOD | {"samples": [row(2, 1e300)]},
    "an angular rate of 1e6": GOOD | {"samples": [row(4, 1e6)]},
    "a whole number of 100 digits": GOOD | {"samples": [row(1, 10**100)]},
    "a time far in the past": GOOD | {"sent_ms": 999_999.0},
    "a time far in the future": GOOD | {"samples": [row(0, 9000.0)]},
    "times that run back": GOOD | {"samples": [ROW, row(0, 999.0)]},
    "the same time twice": GOOD | {"samples": [ROW, ROW]},
    "too many samples": GOOD | {"samples": [row(0, 900.0 + at / 10) for at in range(257)]},
}
BAD_BYTES = {
    "nothing": b"",
    "no JSON": b"{",
    "NaN": json.dumps(GOOD | {"samples": [row(1, float("nan"))]}).encode(),
    "infinity": json.dumps(GOOD | {"samples": [row(0, float("inf"))]}).encode(),
    "1e999": json.dumps(GOOD).replace("9.8", "1e999").encode(),
    "no UTF-8": b'{"run": "\xff"}',
    "brackets": b"[" * 30_000,
    "digits": b'{"run": ' + b"9" * 30_000 + b"}",
}


@pytest.mark.parametrize("why", [*BAD, *BAD_BYTES])
def test_what_is_no_motion_is_refused_as_a_whole(why: str) -> None:
    with pytest.raises(RefusedError) as refused:
        parse_batch(BAD_BYTES[why] if why in BAD_BYTES else json.dumps(BAD[why]).encode())
    assert str(refused.value) in {"json", "keys", "types", "run", "range", "samples", "number", "axis", "time"}


def test_motion_is_taken_to_the_last_bit() -> None:
    batch = parse_batch(json.dumps(GOOD | {"samples": [ROW, [1001, 1, 2, 3, None, None, None]]}).encode())
    assert batch.rows[0].tolist() == ROW
    assert batch.rows[1, :4].tolist() == [1001, 1, 2, 3] and np.isnan(batch.rows[1, 4:]).all()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=7),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(key=st.sampled_from([*GOOD]), value=JSON)
def test_whatever_stands_in_the_place_of_a_key_it_is_refused_or_numbers_within_their_limits(
    key: str, value: Any
) -> None:
    try:
        batch = parse_batch(json.dumps(GOOD | {key: value}).encode())
    except RefusedError:
        return
    assert np.isfinite(batch.rows[:, :4]).all() and (np.abs(batch.rows[:, 1:4]) <= 1000).all()
    assert 0 <= batch.first < 1 << 40 and 0 <= batch.tap < 1 << 40 and len(batch.rows) <= 256


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary(max_size=200) | JSON.map(lambda each: json.dumps(each).encode()))
def test_any_bytes_are_refused_or_understood(body: bytes) -> None:
    for parse in (parse_batch, parse_begin):
        try:
            parse(body)
        except RefusedError:
            continue


def batch(first: int, count: int, *, run: str = "00112233445566aa", start: float = 1000.0) -> Any:
    rows = [row(0, start + 16 * (first + at)) for at in range(count)]
    said = GOOD | {"run": run, "first": first, "samples": rows, "sent_ms": start + 16 * (first + count)}
    return parse_batch(json.dumps(said).encode())


def numbers(inbox: Inbox) -> list[tuple[int, int]]:
    """Return the numbers of the samples that were taken, each with how many are missing before it."""
    found = []
    for taken in inbox.pop(0):
        found += [(taken.first + at, taken.lost if at == 0 else 0) for at in range(len(taken.rows))]
    return found


def test_each_sample_is_taken_once_whatever_comes_twice_late_or_never() -> None:
    inbox = Inbox()
    assert inbox.take(batch(0, 3), 1)["next"] == 3
    assert inbox.take(batch(0, 3), 2)["next"] == 3  # the answer was lost
    assert inbox.take(batch(1, 4), 3)["next"] == 5  # some are new
    assert inbox.take(batch(9, 2), 4)["next"] == 11  # the page had to drop four
    assert inbox.take(batch(5, 4), 5)["next"] == 11  # they come late after all: their place is taken
    assert numbers(inbox) == [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (9, 4), (10, 0)]
    with pytest.raises(RefusedError, match="order"):
        inbox.take(batch(11, 2, start=0.0), 6)


def test_a_run_that_is_over_is_never_taken_again() -> None:
    inbox = Inbox()
    inbox.take(batch(0, 2), 1)
    inbox.take(batch(0, 2, run="ff" * 8, start=1.0), 2)
    assert inbox.take(batch(2, 2), 3)["next"] == 4  # the page may forget it
    assert numbers(inbox) == [(0, 0), (1, 0), (0, 0), (1, 0)]


def test_what_nobody_takes_is_bounded_and_counted() -> None:
    inbox = Inbox()
    for at in range(0, MOST_ROWS + 1000, 100):
        inbox.take(batch(at, 100), at)
    left = numbers(inbox)
    assert len(left) == MOST_ROWS and left[0] == (1000, 1000) and left[-1][0] == MOST_ROWS + 999
    assert inbox.overflows == 10


@pytest.fixture
def served(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PhoneServer, Inbox, PhoneModel]]:
    inbox = Inbox()
    monkeypatch.setattr(serving, "_BATCHES", (0.1, 20))
    server = PhoneServer(inbox, state / "page", port=0)
    phone = PhoneModel(f"https://127.0.0.1:{server.port}/#{inbox.token}")
    try:
        assert phone.begin()[0] == 200
        yield server, inbox, phone
    finally:
        phone.__exit__()
        server.close()


Served = tuple[PhoneServer, Inbox, PhoneModel]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example:8767"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"X-Motionsig-Phone": ""}, 403),
        ({"X-Motionsig-Phone": "A" * 22}, 403),
        ({"X-Motionsig-Phone": "../../x"}, 403),
        ({}, 200),
    ],
)
def test_only_the_page_of_the_phone_that_was_let_in_is_heard(
    served: Served, headers: dict[str, str], status: int
) -> None:
    _, inbox, phone = served
    assert phone.post("/motion", GOOD, headers=headers)[0] == status
    assert len(numbers(inbox)) == (status == 200)


def test_nothing_is_served_but_the_page_which_may_load_nothing_from_elsewhere(served: Served) -> None:
    server, inbox, _ = served
    connection = http.client.HTTPSConnection(
        "127.0.0.1", server.port, timeout=60, context=ssl._create_unverified_context()
    )
    sizes = 0
    for path, status in {
        "/": 200, "/phone.js": 200, "/texts.js": 200, "/style.css": 200, "/icon.svg": 200,
        "/index.html": 404, "/static/phone.js": 404,
        "/../source.py": 404, "/%2e%2e/source.py": 404, "/begin": 404, "/motion": 404, "/phone.js/": 404, "//": 404,
    }.items():  # fmt: skip
        connection.request("GET", path)
        got = connection.getresponse()
        content = got.read()
        assert got.status == status, path
        policy = got.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert got.headers["Cache-Control"] == "no-store" and "Server" not in got.headers
        if status == 200:
            sizes += len(content)
            assert got.headers.get_all("Permissions-Policy")[0].startswith("accelerometer=(self), gyroscope=(self)")
            names = content.replace(b"http://www.w3.org/2000/svg", b"")  # a name, which nobody loads
            assert b"http://" not in names and b"https://" not in names and inbox.token.encode() not in content
    connection.close()
    assert sizes <= 15_000


def test_a_body_that_is_too_large_is_not_read(served: Served) -> None:
    _, inbox, phone = served
    assert phone.post("/motion", b" " * (MOST_BYTES + 1))[0] == 413
    assert not numbers(inbox)


def test_too_many_requests_are_refused_and_others_do_not_use_up_the_owner_s(served: Served) -> None:
    _, _, phone = served
    other = PhoneModel(phone.link)
    statuses = [other.begin()[0] for _ in range(40)]
    assert 429 in statuses and set(statuses) == {403, 429}
    other.__exit__()
    statuses = [phone.post("/motion", GOOD | {"samples": []})[0] for _ in range(30)]
    assert statuses[:20] == [200] * 20 and 429 in statuses


def test_connections_that_say_nothing_leave_the_phone_its_own(served: Served) -> None:
    server, _, phone = served
    assert phone.post("/motion", GOOD)[0] == 200
    before = phone.connection
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
        assert phone.post("/motion", GOOD | {"first": 1, "samples": []})[0] == 200
        assert phone.connection is before
        other = PhoneModel(phone.link)
        stack.callback(other.__exit__)
        assert other.begin()[0] == 403


def test_nothing_of_what_is_sent_comes_into_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    server, inbox, phone = served
    caplog.set_level(logging.DEBUG)
    mark = secrets.token_hex(8)
    phone.post("/motion", GOOD | {"run": mark * 2})
    phone.post("/motion", {mark: mark})
    phone.post(f"/{mark}", GOOD)
    phone.post("/begin", {"token": mark, "phone": mark, "apple": True})
    phone.post("/motion", GOOD, headers={"Origin": f"https://{mark}", "User-Agent": mark})
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as raw:
        raw.sendall(f"GET /{mark} HTTP/1.1\r\n\r\n".encode())  # no TLS
        raw.recv(100)
    time.sleep(0.1)
    assert mark not in caplog.text and inbox.token not in caplog.text and "Traceback" not in caplog.text
    assert phone.post("/motion", GOOD)[0] == 200

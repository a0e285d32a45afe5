"""What viewers get: each row and event once, whatever is restarted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served_page import ServedPage, Service, until

from motionsig.control.feed import Feed


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    service = Service(tmp_path / "control.sock")
    service.feed.put("status", {"n": 1})
    yield service
    with contextlib.suppress(OSError):
        service.close()


@pytest.fixture
def page(service: Service) -> Iterator[ServedPage]:
    with ServedPage(service.path.parent) as page:
        yield page


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_rows_events_and_the_newest_of_all_else(page: ServedPage, service: Service) -> None:
    with page.browser().watch() as events:
        assert next(events) == ("service", None, {"up": True, "why": None})
        first = {name: value for name, _, value in (next(events) for _ in range(3))}
        assert first.keys() == {"status", "heads", "lesson"}
        assert first["status"] == {"n": 1}
        service.rows(3, 2)
        name, id_, value = next(events)
        assert (name, id_, value["seq"], value["scores"]) == ("signatures", "7:4", 3, {"knock": [0.5, 0.5]})
        service.event(5)
        service.rows(5)
        assert [next(events)[:2] for _ in range(2)] == [("event", "7:4:1"), ("signatures", "7:5")]
        service.feed.put("lesson", {"n": 2})
        assert next(events) == ("lesson", None, {"n": 2})
        # Who comes later is told the newest at once.
        with page.browser().watch() as later:
            assert {next(later)[0] for _ in range(4)} == {"service", "status", "heads", "lesson"}
            service.rows(6)
            assert next(events) == next(later)
        assert service.live == 1


def test_one_connection_serves_all_and_none_is_there_for_nobody(page: ServedPage, service: Service) -> None:
    assert service.live == 0
    with contextlib.ExitStack() as stack:
        viewers = [stack.enter_context(page.browser().watch()) for _ in range(5)]
        for viewer in viewers:
            until(viewer, "status")
        assert service.live == 1
    _wait(lambda: service.live == 0)


def test_viewer_goes_on_from_where_it_was(page: ServedPage, service: Service) -> None:
    browser = page.browser()
    with browser.watch() as events, page.browser().watch() as others:
        until(others, "status")
        for seq in range(4):
            service.rows(seq)
        service.event(4)
        service.event(4)
        service.rows(4)
        seen = [until(events, "signatures", "event")[1] for _ in range(7)]
        assert seen == ["7:0", "7:1", "7:2", "7:3", "7:3:1", "7:3:2", "7:4"]
        for place in range(6):
            # It is behind the other one, on a connection of its own, and then they share one.
            with browser.watch(seen[place] or "") as again:
                assert [until(again, "signatures", "event")[1] for _ in seen[place + 1 :]] == seen[place + 1 :]
                service.rows(5 + place)
                seen.append(f"7:{5 + place}")
                assert until(again, "signatures")[1] == until(events, "signatures")[1] == seen[-1]
                _wait(lambda: service.live == 1)
                service.event(6 + place)
                seen.append(f"7:{5 + place}:1")
                assert until(again, "event")[1] == until(events, "event")[1] == seen[-1]
        assert [until(others, "signatures", "event")[1] for _ in seen] == seen


def test_service_restarts_in_the_middle(page: ServedPage, service: Service) -> None:
    with page.browser().watch() as events:
        until(events, "status")
        service.rows(0)
        assert until(events, "signatures")[1] == "7:0"
        service.close()
        assert until(events, "service")[2]["up"] is False
        # The connection was lost and the ring is still there: nothing is missed or told twice.
        service.rows(1)
        service.open(service.feed)
        assert until(events, "service") == ("service", None, {"up": True, "why": None})
        assert until(events, "signatures", "gap")[1] == "7:1"
        service.close()
        assert until(events, "service")[2]["up"] is False
        service.open(Feed())
        service.rows(0, stream=8)
        assert until(events, "gap")[2]["why"] == "restarted"
        assert until(events, "signatures")[1] == "8:0"


def test_page_restarts_in_the_middle(page: ServedPage, service: Service) -> None:
    browser, other = page.browser(), page.browser()
    with browser.watch() as events, other.watch() as others:
        until(events, "status"), until(others, "status")
        for seq in range(3):
            service.rows(seq)
        last = [until(events, "signatures")[1] for _ in range(3)][-1] or ""
        early = until(others, "signatures")[1] or ""
        page.__exit__(None)
        assert list(events) == []
    service.rows(3)
    with page, browser.watch(last) as events, other.watch(early) as others:
        assert until(events, "signatures", "gap")[1] == "7:3"
        assert [until(others, "signatures", "gap")[1] for _ in range(3)] == ["7:1", "7:2", "7:3"]


def test_place_in_the_address(page: ServedPage, service: Service) -> None:
    browser = page.browser()
    for place, status in {"7:x": 400, "7": 400, "-1:2": 400, "7:1&a=b": 400, "9" * 20 + ":1": 400}.items():
        assert browser.get(f"/api/live?after={place}")[0] == status
    service.rows(0)
    for text in ("7:0", "7%3A0"):
        connection = page.connect()
        with contextlib.closing(connection):
            response = browser.open(connection, "GET", f"/api/live?after={text}", None, {})
            service.rows(1)
            while b"id: 7:" not in (line := response.readline()):
                pass
            assert line == b"id: 7:1\n"


def test_viewer_that_does_not_read_is_cut_off(service: Service) -> None:
    with ServedPage(service.path.parent, limits={"reads_s": 0.5}) as page:
        slow = page.browser()
        with page.browser().watch() as events, slow.watch() as _:
            until(events, "status")
            large = {"text": "x" * 200_000}
            for n in range(40):
                service.feed.put("status", {"n": n, **large})
                assert until(events, "status")[2]["n"] == n
            service.rows(0)
            assert until(events, "signatures")[1] == "7:0"
            _wait(lambda: _connections(page) == 1)


def _connections(page: ServedPage) -> int:
    """Return how many connections the page holds (Documentation/networking/proc_net_tcp.rst)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum((row[1], row[3]) == (f"0100007F:{page.port:04X}", "01") for row in rows)


def test_more_viewers_than_the_service_takes_are_told_so(service: Service) -> None:
    with ServedPage(service.path.parent, limits={"viewers": 2}) as page, contextlib.ExitStack() as stack:
        for _ in range(2):
            until(stack.enter_context(page.browser().watch()), "status")
        assert page.browser().get("/api/live")[0] == 429

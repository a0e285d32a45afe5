"""The first few hundred of the requests of scripts/trials/damaged_requests.py."""

from __future__ import annotations

from pathlib import Path

from damaged_requests import outcome
from served_page import ServedPage, Service, until

FREE = {"pairing_each": [1e6, 1000], "pairing": [1e6, 1000], "requests": [1e6, 1000]}


def test_damaged_requests(tmp_path: Path) -> None:
    service = Service(tmp_path / "control.sock")
    with ServedPage(tmp_path, limits=FREE) as page:
        browser, viewer = page.browser(), page.browser()
        with viewer.watch() as events:
            until(events, "lesson")
            outcomes = []
            for number in range(500):
                outcomes.append(outcome(number, browser))
                service.rows(number)
            assert [until(events, "signatures")[1] for _ in range(500)] == [f"7:{number}" for number in range(500)]
        # A machine that is busy with others delays a few of them, each of another kind.
        slow = [each for each in outcomes if each.is_slow]
        assert len(slow) <= 5, slow
        # What is damaged is not refused by luck: all of these came about.
        assert {each.status for each in outcomes} >= {0, 200, 400, 401, 403, 404, 413, 415, 421}
        assert viewer.get("/api/session")[0] == 200
    service.close()

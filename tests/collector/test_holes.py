from __future__ import annotations

import logging
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
from made import numbered

from motionsig import wire
from motionsig.collector.holes import MOST_DEVICES, MOST_HOLES, MOST_STREAMS, HoleCounts, Holes
from motionsig.publishers.store import Store


def holes(store: Store | None = None, *, ask_again: bool = False) -> Holes:
    return Holes(None if store is None else store.newest_numbers, report_after_s=30, ask_again=ask_again)


def add(store: Store, first: int, count: int, device: str = "a") -> None:
    store.add(wire.Message(device, 1, first, numbered(count, first)))


def test_a_hole_is_reported_when_it_is_old_enough_and_withdrawn_when_it_is_filled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen = holes()
    caplog.set_level(logging.INFO)
    seen.note("a", 1, 0, 5, 0.0)
    seen.note("a", 1, 10, 5, 1.0)
    seen.note("a", 1, 15, 5, 2.0)
    seen.look(30.9)
    assert seen.counts == HoleCounts() and not caplog.messages
    seen.look(31.0)
    assert seen.counts == HoleCounts(open=1, missing=5, devices=1, found=1)
    assert caplog.messages == [
        "1 holes: 5 signatures have not arrived within 30 s: 5 to 9 of 'a', stream 1; the device may still send them, "
        "or it or the broker has dropped them: see `motionsig status` on the device and the broker's log"
    ]
    # The backlog comes late, in parts, and some of it twice.
    seen.note("a", 1, 7, 1, 40.0)
    assert seen.counts == HoleCounts(open=2, missing=4, devices=1, found=1)
    seen.note("a", 1, 4, 3, 40.0)
    seen.note("a", 1, 8, 2, 41.0)
    assert seen.counts == HoleCounts(found=1, filled=2)
    seen.look(42.0)
    assert caplog.messages[1:] == ["2 holes that were reported are filled"]


def test_what_comes_in_another_order_within_the_time_is_no_hole() -> None:
    seen = holes()
    for first in (0, 40, 20, 10, 30, 50):
        seen.note("a", 1, first, 10, 1.0)
    seen.look(1000.0)
    assert seen.counts == HoleCounts()


def test_many_holes_are_one_line_every_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    seen = holes()
    for number in range(100):
        seen.note(f"d{number}", 1, 0, 1, 0.0)
        seen.note(f"d{number}", 1, 2, 1, number / 100)
    for second in range(28, 52):
        seen.look(float(second))
    assert seen.counts.found == 100
    assert [line.split(":")[0] for line in caplog.messages] == ["1 holes", "99 holes"]
    assert len(caplog.messages[1]) < 500


def test_after_a_restart_the_store_says_what_was_there(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s")) as store:
        add(store, 0, 100)
        add(store, 0, 20, "b")
        add(store, 50, 10, "c")
        seen = holes(store)
        # Of a the next one comes, of b some did not come, of c the numbers before the stored ones are old news.
        for device, first in (("a", 100), ("b", 25), ("c", 60), ("new", 7)):
            add(store, first, 5, device)
            seen.note(device, 1, first, 5, 0.0)
        seen.look(31.0)
        assert seen.counts == HoleCounts(open=2, missing=5 + 7, devices=2, found=2)


def test_without_a_store_that_can_be_asked_a_stream_begins_where_it_is_first_heard() -> None:
    seen = holes()
    seen.note("a", 1, 100, 5, 0.0)
    seen.note("a", 1, 110, 5, 0.0)
    seen.look(31.0)
    assert seen.counts == HoleCounts(open=1, missing=5, devices=1, found=1)


def test_in_a_group_the_others_store_what_this_one_does_not_hear(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s")) as store:
        seen = holes(store, ask_again=True)
        for first in range(0, 3000, 5):
            if first not in (1000, 2000):
                add(store, first, 5)
            if first % 10 == 5 or first == 0:
                seen.note("a", 1, first, 5, 0.0)
        seen.look(31.0)
        assert seen.counts == HoleCounts(open=2, missing=10, devices=1, found=2)
        # Another one stores one of them late.
        add(store, 1000, 5)
        seen.look(92.0)
        assert seen.counts == HoleCounts(open=1, missing=5, devices=1, found=2, filled=1)


def test_memory_is_bounded_whatever_devices_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each stream, device and fleet the newest are kept."""
    monkeypatch.setattr("motionsig.collector.holes.MOST_DEVICES", 2000)
    tracemalloc.start()
    try:
        seen = holes()
        for number in range(3000):
            seen.note("a", 1, number * 2, 1, float(number))
            seen.note("b", number, 5, 1, float(number))
        assert seen.counts.found == 3000 - 1 - MOST_HOLES, "what is forgotten is reported first"
        seen.look(1e9, most=1_000_000)
        assert seen.counts.open <= MOST_HOLES + MOST_STREAMS
        before = tracemalloc.get_traced_memory()[0]
        for number in range(10_000):
            seen.note(f"device-{number}", 1, 0, 1, 0.0)
        # A device with one stream costs a kilobyte.
        assert tracemalloc.get_traced_memory()[0] - before < 2000 * 1024
        seen.note("a", 1, 100_000, 1, 0.0)
        assert seen.counts.open == 0, "it was forgotten, and is new"
    finally:
        tracemalloc.stop()
    assert MOST_DEVICES * 1024 <= 64 << 20


def test_numbers_to_the_end_of_63_bits() -> None:
    seen = holes()
    seen.note("a", 1, 0, 1, 0.0)
    seen.note("a", 1, 2**63 - 2, 1, 0.0)
    seen.look(31.0)
    assert seen.counts.missing == 2**63 - 3


def test_streams_and_holes_of_all_devices_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionsig.collector.holes.MOST_IN_ALL", 1000)
    seen = holes()
    for number in range(300):
        for first in range(5, 105, 5):
            seen.note(f"stranger {number}", first % 10, first, 1, 0.0)
            seen.note("honest", 1, first, 1, 0.0)
    kept = [stream for streams in seen._devices.values() for stream in streams.values()]
    assert sum(1 + len(stream.holes) for stream in kept) <= 1000
    seen.look(31.0, most=10_000)
    assert seen.counts.devices < 60, "those that were silent for longest were forgotten"
    assert any(device == "honest" for device in seen._devices)

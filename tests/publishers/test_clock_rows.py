"""What a store makes of times that were not known to be right, and of what puts them right."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from made import assert_same, event, labelled, numbered
from test_publisher_clocks import SET, UNSET, YEAR_NS, early, message

from motionsig import open_sink, read_events, read_signatures, wire
from motionsig.publishers.store import Store
from motionsig.publishers.stores import Added
from motionsig.quality import Quality

WRONG = dataclasses.replace(
    event(1), start_ns=event(1).start_ns - 50 * YEAR_NS, end_ns=event(1).end_ns - 50 * YEAR_NS, clock=UNSET
)


def test_what_comes_again_with_the_right_time_is_no_conflict_and_replaces_the_wrong_time(tmp_path: Path) -> None:
    store, url = Store(tmp_path / "s"), f"store:{tmp_path / 's'}"
    assert store.add_all([message(3)], [WRONG]) == Added(3, 0, 0, 1)
    assert store.add_all([message(2, 1, clock=None)], [event(1)]) == Added(0, 3, 0, 0)
    assert_same(read_signatures(url)[1:], numbered(2, 1))
    assert_same(read_signatures(url)[:1], early(1))
    assert read_events(url) == [event(1)]
    # And the wrong one, late, changes nothing any more.
    assert store.add_all([message(3)], [WRONG]) == Added(0, 4, 0, 0)
    assert_same(read_signatures(url)[1:], numbered(2, 1))
    assert read_events(url) == [event(1)]
    store.close()


@pytest.mark.parametrize("flaw", ["codes", "quality", "start_ns"])
def test_other_content_is_a_conflict_as_ever(tmp_path: Path, flaw: str) -> None:
    store = Store(tmp_path / "s")
    wrong = numbered(2) if flaw == "start_ns" else early(2)
    store.add(wire.Message("d", 1, 0, wrong, None, None if flaw == "start_ns" else UNSET))
    values = getattr(numbered(2), flaw)
    other = dataclasses.replace(numbered(2), **{flaw: values + np.asarray(8, values.dtype)})
    assert store.add(wire.Message("d", 1, 0, other)) == Added(0, 0, 2)
    changed = dataclasses.replace(WRONG, score=0.5)
    store.add_all([], [WRONG])
    assert store.add_all([], [changed]).conflicts == 1
    assert_same(read_signatures(f"store:{tmp_path / 's'}"), wrong)
    store.close()


def test_a_later_guess_moves_what_is_there_and_keeps_its_flag(tmp_path: Path) -> None:
    store, url = Store(tmp_path / "s"), f"store:{tmp_path / 's'}"
    store.add(message(2))
    guess = UNSET._replace(offset_ns=UNSET.offset_ns + YEAR_NS)
    moved = dataclasses.replace(early(2, 1), start_ns=early(2, 1).start_ns + YEAR_NS)
    assert store.add(wire.Message("d", 1, 1, moved, None, guess)) == Added(1, 1, 0)
    got = read_signatures(url)
    np.testing.assert_array_equal(got.start_ns, early(3).start_ns + YEAR_NS)
    assert (got.quality & Quality.UNSET_CLOCK).all()
    store.close()


def test_who_says_what_is_right_puts_right_what_was_acknowledged_of_that_boot_and_device_alone(tmp_path: Path) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    store = Store(path)
    right = message(2)
    named = dataclasses.replace(right, signatures=labelled(right.signatures, "walk"))
    elsewhere = dataclasses.replace(right, device="e")
    before = dataclasses.replace(right, stream_id=2, clock=UNSET._replace(boot=b"the boot before."))
    store.add_all([named, elsewhere, before], [dataclasses.replace(WRONG, device="d")])
    store.close()
    store = Store(path)
    store.add(wire.Message("d", 3, 0, numbered(1), None, SET))
    assert_same(read_signatures(url, device="d", stream_id=1), labelled(numbered(2), "walk"))
    assert_same(read_signatures(url, device="e"), early(2))
    assert_same(read_signatures(url, stream_id=2), early(2))
    assert read_events(url) == [event(1, device="d")]
    store.close()


def test_a_local_store_is_put_right_when_its_own_clock_is_set(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    with open_sink(url, device="d", stream_id=1) as sink:
        sink.set_clock(UNSET)
        sink.publish(early(3))
    with open_sink(url, device="d", stream_id=2) as sink:
        sink.set_clock(SET)
        sink.publish(numbered(1))
        assert sink.counts.conflicts == 0
    assert_same(read_signatures(url, stream_id=1), numbered(3))


def test_what_arrives_together_is_put_right_as_what_arrives_one_by_one(tmp_path: Path) -> None:
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    store = Store(path)
    guess = UNSET._replace(offset_ns=UNSET.offset_ns + YEAR_NS)
    guessed = dataclasses.replace(early(1, 2), start_ns=early(1, 2).start_ns + YEAR_NS)
    together = [
        message(2),
        wire.Message("d", 1, 2, guessed, None, guess),
        wire.Message("d", 1, 3, numbered(1, 3), None, SET),
    ]
    assert store.add_all(together, [dataclasses.replace(WRONG, device="d")]) == Added(4, 0, 0, 1)
    assert_same(read_signatures(url), numbered(4))
    assert read_events(url) == [event(1, device="d")]
    store.close()


def test_a_clock_that_no_time_can_have_moves_nothing_and_ends_nobody(tmp_path: Path) -> None:
    store, url = Store(tmp_path / "s"), f"store:{tmp_path / 's'}"
    first = UNSET._replace(offset_ns=-(1 << 63))
    wrong = dataclasses.replace(WRONG, device="d", clock=first)
    store.add_all([wire.Message("d", 1, 0, early(2), None, first)], [wrong])
    last = SET._replace(offset_ns=(1 << 63) - 1)
    assert store.add(wire.Message("d", 1, 2, numbered(1, 2), None, last)) == Added(1)
    assert_same(read_signatures(url)[:2], early(2))
    assert [it.start_ns for it in read_events(url)] == [wrong.start_ns]
    store.close()

"""What each store makes of times that were not known to be right, and of what puts them right."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from made import assert_same, event, labelled, numbered
from test_publisher_clocks import SET, UNSET, YEAR_NS, early, message

from motionsig import open_sink, read_events, read_signatures, wire
from motionsig.publishers import split_url
from motionsig.publishers.stores import Added, SignatureStore, open_store
from motionsig.quality import Quality

WRONG = dataclasses.replace(
    event(1), start_ns=event(1).start_ns - 50 * YEAR_NS, end_ns=event(1).end_ns - 50 * YEAR_NS, clock=UNSET
)


OF_D = dataclasses.replace(WRONG, device="d")
GUESS = UNSET._replace(offset_ns=UNSET.offset_ns + YEAR_NS)


following = pytest.mark.parametrize("url", ["store", "postgresql"], indirect=True)
"""The stores that follow a clock that is set later, also with what was acknowledged and does not come again."""


@pytest.fixture(params=["store", "postgresql", "parquet"])
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    return new_url(request.param)


@pytest.fixture
def store(url: str) -> Iterator[SignatureStore]:
    scheme, location, _ = split_url(url)
    with open_store(scheme, location) as opened:
        yield opened


def guessed(count: int, first: int = 0) -> wire.Message:
    """Return signatures with a later guess: one year after those of `early`."""
    batch = early(count, first)
    moved = dataclasses.replace(batch, start_ns=batch.start_ns + YEAR_NS)
    return wire.Message("d", 1, first, moved, None, GUESS)


def put(url: str, message: wire.Message) -> Added:
    scheme, location, _ = split_url(url)
    with open_store(scheme, location) as opened:
        return opened.add_all([message])


def test_what_comes_again_with_the_right_time_is_no_conflict_and_replaces_the_wrong_time(
    url: str, store: SignatureStore
) -> None:
    assert store.add_all([message(3)], [WRONG]) == Added(3, 0, 0, 1)
    assert store.add_all([message(2, 1, clock=None)], [event(1)]) == Added(0, 3, 0, 0)
    assert_same(read_signatures(url)[1:], numbered(2, 1))
    assert_same(read_signatures(url)[:1], early(1))
    assert read_events(url) == [event(1)]
    # And the wrong one, late, changes nothing any more.
    assert store.add_all([message(3)], [WRONG]) == Added(0, 4, 0, 0)
    assert_same(read_signatures(url)[1:], numbered(2, 1))
    assert read_events(url) == [event(1)]
    # Nor does another right one: that is a conflict.
    other = dataclasses.replace(numbered(1, 1), start_ns=numbered(1, 1).start_ns + 1)
    late = event(1, end_ns=event(1).end_ns + 1)
    assert store.add_all([wire.Message("d", 1, 1, other)], [late]) == Added(0, 0, 2, 0)
    assert_same(read_signatures(url)[1:], numbered(2, 1))


def test_wrong_and_right_times_may_come_in_one_batch(url: str, store: SignatureStore) -> None:
    other = event(1, end_ns=event(1).end_ns + 1)
    found = store.add_all([message(3), guessed(3), message(2, clock=None), message(3)], [WRONG, event(1), other, WRONG])
    assert found == Added(3, 8 + 2, 1, 1)
    assert_same(read_signatures(url)[:2], numbered(2))
    assert (read_signatures(url).quality & Quality.UNSET_CLOCK).tolist() == [0, 0, Quality.UNSET_CLOCK]
    assert read_events(url) == [event(1)]


@pytest.mark.parametrize("flaw", ["codes", "quality", "start_ns"])
def test_other_content_is_a_conflict_as_ever(url: str, store: SignatureStore, flaw: str) -> None:
    wrong = numbered(2) if flaw == "start_ns" else early(2)
    store.add_all([wire.Message("d", 1, 0, wrong, None, None if flaw == "start_ns" else UNSET)])
    values = getattr(numbered(2), flaw)
    other = dataclasses.replace(numbered(2), **{flaw: values + np.asarray(8, values.dtype)})
    assert store.add_all([wire.Message("d", 1, 0, other)]) == Added(0, 0, 2)
    changed = dataclasses.replace(WRONG, score=0.5)
    store.add_all([], [WRONG])
    assert store.add_all([], [changed]).conflicts == 1
    assert_same(read_signatures(url), wrong)


@following
def test_a_later_guess_moves_what_is_there_and_keeps_its_flag(url: str, store: SignatureStore) -> None:
    store.add_all([message(2)])
    assert store.add_all([guessed(2, 1)]) == Added(1, 1, 0)
    got = read_signatures(url)
    np.testing.assert_array_equal(got.start_ns, early(3).start_ns + YEAR_NS)
    assert (got.quality & Quality.UNSET_CLOCK).all()


@following
def test_who_says_what_is_right_puts_right_what_was_acknowledged_of_that_boot_and_device_alone(
    url: str, store: SignatureStore
) -> None:
    right = message(2)
    named = dataclasses.replace(right, signatures=labelled(right.signatures, "walk"))
    elsewhere = dataclasses.replace(right, device="e")
    before = dataclasses.replace(right, stream_id=2, clock=UNSET._replace(boot=b"the boot before."))
    store.add_all([named, elsewhere, before], [OF_D])
    store.close()
    put(url, wire.Message("d", 3, 0, numbered(1), None, SET))
    assert_same(read_signatures(url, device="d", stream_id=1), labelled(numbered(2), "walk"))
    assert_same(read_signatures(url, device="e"), early(2))
    assert_same(read_signatures(url, stream_id=2), early(2))
    assert read_events(url) == [event(1, device="d")]
    # What is right now comes again: with the wrong time, too, it is a duplicate; with another right one a conflict.
    other = dataclasses.replace(numbered(1), start_ns=numbered(1).start_ns + 1)
    for again, added in ((right, Added(0, 2, 0)), (wire.Message("d", 1, 0, other), Added(0, 0, 1))):
        assert put(url, again) == added


@following
def test_what_was_wrong_and_who_says_what_is_right_may_come_in_one_batch(url: str, store: SignatureStore) -> None:
    """After an outage of the receiver they do."""
    store.add_all([message(3), wire.Message("d", 3, 0, numbered(1), None, SET)], [OF_D])
    assert_same(read_signatures(url, stream_id=1), numbered(3))
    assert read_events(url) == [event(1, device="d")]


@following
def test_a_step_beyond_all_times_moves_nothing(url: str, store: SignatureStore) -> None:
    """A hostile device must not stop the receiver."""
    unset, is_set = UNSET._replace(offset_ns=-(1 << 63)), SET._replace(offset_ns=(1 << 63) - 1)
    wrong = wire.Message("d", 1, 0, early(2), None, unset)
    named = dataclasses.replace(OF_D, clock=unset)
    assert store.add_all([wrong], [named]) == Added(2, 0, 0, 1)
    assert store.add_all([wire.Message("d", 3, 0, numbered(1), None, is_set)]) == Added(1)
    assert_same(read_signatures(url, stream_id=1), early(2))


@following
def test_a_local_store_is_put_right_when_its_own_clock_is_set(url: str) -> None:
    with open_sink(url, device="d", stream_id=1) as sink:
        sink.set_clock(UNSET)
        sink.publish(early(3))
    with open_sink(url, device="d", stream_id=2) as sink:
        sink.set_clock(SET)
        sink.publish(numbered(1))
        assert sink.counts.conflicts == 0
    assert_same(read_signatures(url, stream_id=1), numbered(3))


def test_a_time_of_a_clock_that_was_not_set_is_no_age(url: str) -> None:
    """1973 is not older than a day: who stores what was just measured would delete it at once."""
    scheme, location, _ = split_url(url)
    for _ in range(2):
        with open_store(scheme, location, keep_days=1) as store:
            store.add_all([message(2), wire.Message("d", 2, 0, numbered(2))], [WRONG, event(2)])
    # What is too old by a right time goes.
    assert_same(read_signatures(url), early(2))
    assert [it.seq for it in read_events(url)] == [1]


@following
def test_what_arrives_together_is_put_right_as_what_arrives_one_by_one(url: str, store: SignatureStore) -> None:
    together = [
        message(2),
        guessed(1, 2),
        wire.Message("d", 1, 3, numbered(1, 3), None, SET),
    ]
    assert store.add_all(together, [dataclasses.replace(WRONG, device="d")]) == Added(4, 0, 0, 1)
    assert_same(read_signatures(url), numbered(4))
    assert read_events(url) == [event(1, device="d")]

"""What every store promises to those who fill it with many messages at once, and to those who read it."""

from __future__ import annotations

import dataclasses
import logging
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made import HOP_NS, SPEC, assert_same, event, labelled, lines_until_killed, numbered

from motionsig.blocks import SignatureBatch, concatenate
from motionsig.errors import InputError, SinkError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures, split_url
from motionsig.publishers.local import Stored
from motionsig.publishers.stores import Added, SignatureStore, open_store
from motionsig.quality import Quality
from motionsig.wire import Message, Recording

OTHER = dataclasses.replace(SPEC, fingerprint=b"another!")


@pytest.fixture(params=["store", "postgresql", "parquet"])
def url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    return new_url(request.param)


def opened(url: str, **options: object) -> SignatureStore:
    scheme, location, _ = split_url(url)
    return open_store(scheme, location, **options)


def put(url: str, *messages: Message) -> list[Added]:
    """Store messages, each in a transaction of its own; return what became of each."""
    with opened(url) as store:
        return [store.add_all([message]) for message in messages]


def shown(parts: list[Stored]) -> list[tuple[object, ...]]:
    """Return all that was read back, a row for each signature, to be compared."""
    rows: list[tuple[object, ...]] = []
    for part in parts:
        batch = part.signatures
        labels = [""] * len(batch) if batch.labels is None else batch.labels.tolist()
        columns = (part.seq.tolist(), batch.start_ns.tolist(), batch.quality.tolist(), batch.codes, labels)
        rows += [
            (part.device, part.stream_id, seq, start_ns, flags, codes.tobytes(), label, batch.hop_ns, batch.spec)
            for seq, start_ns, flags, codes, label in zip(*columns, strict=True)
        ]
    return rows


def test_duplicates_and_conflicts_are_told_apart_and_the_first_is_kept(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    ten = numbered(10)
    codes, start_ns, quality = ten.codes.copy(), ten.start_ns.copy(), ten.quality.copy()
    codes[4, 0] ^= 1
    start_ns[5] += 1
    quality[6] ^= 1
    changed = dataclasses.replace(ten, codes=codes, start_ns=start_ns, quality=quality)
    added = put(
        url,
        Message("d", 1, 0, numbered(10)),
        Message("d", 1, 5, numbered(10, 5)),
        Message("d", 1, 0, changed),
        Message("d", 2, 0, numbered(10)),
        Message("e", 1, 0, numbered(10)),
        Message("e", 1, 0, numbered(0)),
    )
    assert [each[:3] for each in added] == [(10, 0, 0), (5, 5, 0), (0, 7, 3), (10, 0, 0), (10, 0, 0), (0, 0, 0)]
    assert "3 signatures of d, stream 1" in caplog.text
    read = list(iter_signatures(url))
    assert [(part.device, part.stream_id, part.seq.tolist()) for part in read] == [
        ("d", 1, list(range(15))),
        ("d", 2, list(range(10))),
        ("e", 1, list(range(10))),
    ]
    assert_same(read[0].signatures, numbered(15))


def test_rows_come_in_order_and_few_at_a_time(url: str) -> None:
    put(url, *(Message("d", 1, seq, numbered(10, seq)) for seq in (40, 0, 20, 30)))
    read = list(iter_signatures(url, rows=7))
    assert max(len(part.seq) for part in read) == 7
    seq = np.concatenate([part.seq for part in read])
    assert seq.tolist() == [*range(10), *range(20, 50)]
    assert_same(concatenate([part.signatures for part in read]), concatenate([numbered(10), numbered(30, 20)]))


def test_one_encoder_with_two_hops(url: str) -> None:
    double = dataclasses.replace(numbered(4), hop_ns=2 * numbered(1).hop_ns)
    put(url, Message("d", 1, 0, numbered(3)), Message("d", 1, 3, double))
    hops = [part.signatures.hop_ns for part in iter_signatures(url)]
    assert hops == [numbered(1).hop_ns, double.hop_ns]


def test_the_largest_numbers(url: str) -> None:
    last = (1 << 63) - 1
    put(url, Message("d", last, last - 2, numbered(3)))
    ((_, stream_id, seq, *_),) = iter_signatures(url)
    assert (stream_id, seq[-1]) == (last, last)


def test_publishing_a_recording_again_stores_nothing_twice(url: str) -> None:
    for stored in (7, 0):
        with open_sink(url, device="d", stream_id=1) as sink:
            sink.publish(numbered(7))
        assert sink.counts.delivered == 7
        assert sink.counts.duplicates == 7 - stored


def test_who_ran_the_network_is_no_content_and_a_bridged_loss_is(url: str) -> None:
    by_tpu, bridged = (
        dataclasses.replace(numbered(2), quality=np.array([flag, flag | 1], np.uint8)) for flag in (Quality.EDGE_TPU, 1)
    )
    found = put(url, *(Message("d", 1, 0, batch) for batch in (numbered(2), by_tpu, bridged)))
    assert found == [Added(2, 0, 0), Added(0, 2, 0), Added(0, 1, 1)]


def test_events_that_are_there_and_those_that_differ_are_told_apart(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(url)
    changed = [
        event(1, start_ns=event(1).start_ns + 1),
        event(1, end_ns=event(1).end_ns + 1),
        event(1, score=0.5),
        event(1, fingerprint=bytes(8)),
    ]
    others = [
        event(1, phase="began"),
        event(1, phase="ended"),
        event(1, head="walking"),
        event(1, device="ankle"),
        event(1, stream_id=8),
    ]
    assert store.add_all([], []) == Added(0, 0, 0, 0)
    assert store.add_all([], [event(1), event(2), event(1)]) == Added(0, 1, 0, 2)
    assert store.add_all([], [event(2), *others, event(2)]) == Added(0, 2, 0, 5)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert store.add_all([], [event(1), *changed, event(3)]) == Added(0, 1, 4, 1)
    assert "4 events differ from what is stored under the same key, the first: knock of wrist, stream 7" in caplog.text
    store.close()
    assert sorted(read_events(url), key=lambda it: it.key) == sorted(
        [event(1), event(2), event(3), *others], key=lambda it: it.key
    )


def test_signatures_of_two_hops_lie_among_each_other(url: str) -> None:
    double = dataclasses.replace(numbered(8), hop_ns=2 * HOP_NS)
    batches = zip(range(0, 8, 2), [numbered(8), double] * 2, strict=True)
    put(url, *(Message("d", 1, seq, batch[seq : seq + 2]) for seq, batch in batches))
    parts = list(iter_signatures(url))
    assert [(part.seq.tolist(), part.signatures.hop_ns // HOP_NS) for part in parts] == [
        ([0, 1], 1),
        ([2, 3], 2),
        ([4, 5], 1),
        ([6, 7], 2),
    ]
    assert_same(parts[3].signatures, double[6:])


def test_only_one_recording_device_or_stream(url: str) -> None:
    put(
        url,
        Message("d", 1, 0, numbered(2), Recording("A/walk.csv", 0)),
        Message("d", 2, 0, numbered(3), Recording("B/walk.csv", 0)),
        Message("e", 3, 0, numbered(4), Recording("A/walk.csv", 9)),
        Message("e", 4, 0, numbered(5, spec=OTHER)),
    )
    assert [part[:2] for part in iter_signatures(url, recording="A/walk.csv")] == [("d", 1), ("e", 3)]
    assert_same(read_signatures(url, recording="A/walk.csv", device="e"), numbered(4))
    assert_same(read_signatures(url, stream_id=2), numbered(3))
    assert_same(read_signatures(url, stream_id=4), numbered(5, spec=OTHER))
    for chosen, message in (
        ({"recording": "walk.csv"}, "of recording 'walk.csv', got A/walk.csv, B/walk.csv"),
        ({"recording": "A/walk.csv", "stream_id": 2}, "of recording 'A/walk.csv' of stream 2, got A/walk.csv, B/"),
        ({"stream_id": 5}, "expected signatures of stream 5, got none"),
        ({"stream_id": 4, "fingerprint": SPEC.fingerprint}, f"of stream 4, got {OTHER.fingerprint.hex()}"),
    ):
        with pytest.raises(InputError, match=message):
            read_signatures(url, **chosen)  # type: ignore[arg-type]


def test_what_is_read_is_the_store_of_one_moment(url: str) -> None:
    recording = Recording("walk.csv", 0)
    put(url, *(Message("d", stream_id, 0, numbered(3), recording) for stream_id in (1, 2)))
    reading = iter_signatures(url, recording="walk.csv")
    parts = [next(reading)]
    put(url, Message("d", 2, 0, labelled(numbered(5), "walk"), Recording("another.csv", 0)))
    parts += reading
    assert [(part.stream_id, part.recording) for part in parts] == [(1, recording), (2, recording)]
    assert_same(parts[1].signatures, numbered(3))


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from made import numbered
from motionsig.publishers import open_sink
sink = open_sink(sys.argv[1], device="d", stream_id=1)
number = 0
while True:
    sink.publish(numbered(3, number))
    number += 3
    print(number, flush=True)
"""


def test_kill_9_loses_nothing_that_was_published(url: str) -> None:
    lines = lines_until_killed(sys.executable, "-c", KILLED, url, str(Path(__file__).parent), after=50)
    read = read_signatures(url)
    assert len(read) >= int(lines[-1])
    assert_same(read, numbered(len(read)))


def test_two_writers_at_once(url: str) -> None:
    if url.startswith("parquet:"):
        with open_sink(url, device="a", stream_id=1) as one:
            with pytest.raises(SinkError, match=rf"got this dataset held by process {os.getpid()}; give each receiver"):
                open_sink(url, device="b", stream_id=1)
            one.publish(numbered(20))
        assert_same(read_signatures(url), numbered(20))
        return
    with open_sink(url, device="a", stream_id=1) as one, open_sink(url, device="b", stream_id=1) as two:
        for first in range(0, 20, 2):
            one.publish(numbered(2, first))
            two.publish(numbered(2, first))
    signatures: SignatureBatch = read_signatures(url, device="a")
    assert_same(signatures, numbered(20))


def test_a_closed_store_takes_nothing_and_closing_again_is_harmless(url: str) -> None:
    store = opened(url, durable=True)
    assert store.add_all([], []) == Added()
    assert store.add_all([Message("d", 1, 0, numbered(2))], [event(1)]) == Added(2, 0, 0, 1)
    store.close()
    store.close()
    for messages, events in (([Message("d", 1, 0, numbered(1))], []), ([], [event(1)]), ([], [])):
        with pytest.raises(SinkError, match="closed"):
            store.add_all(messages, events)
    assert "secret" not in repr(store) and "closed" in repr(store)


def test_what_comes_twice_within_one_batch_is_there_once_and_the_first_is_kept(url: str) -> None:
    changed = dataclasses.replace(
        numbered(6), start_ns=numbered(6).start_ns + np.array([0, 9, 0, 0, 0, 400 * 86_400 * 10**9])
    )
    walk, run = Recording("walk.csv", 0), Recording("run.csv", 0)
    with opened(url) as store:
        added = store.add_all(
            [
                Message("d", 1, 0, labelled(numbered(4), "walk"), walk),
                Message("d", 1, 2, labelled(numbered(4, 2), "run"), run),
                Message("d", 1, 0, labelled(changed, "sits"), Recording("other.csv", 0)),
                Message("e", 1, 0, numbered(0)),
                Message("e", 1, 0, numbered(2)),
                Message("e", 1, 1, numbered(2, 1)),
            ],
            [event(1), event(1), event(1, score=0.5)],
        )
    assert added == Added(6 + 3, 2 + 4 + 1 + 1, 2 + 1, 1)
    first, second = iter_signatures(url)
    assert (first.recording, second.recording) == (run, None)
    assert_same(first.signatures, labelled(numbered(6), "sits", "walk", "sits", "sits", "sits", "run"))
    assert_same(second.signatures, numbered(3))


def test_any_batches_become_the_same_in_every_store(url: str, new_url: Callable[[str], str]) -> None:
    """Against SQLite, one message at a time: counts, signatures, labels, names."""
    dice = random.Random(5)
    month_ns = 31 * 86_400_000_000_000
    other_url = new_url("store")
    with opened(url) as store, opened(other_url) as other:
        for _ in range(25):
            messages = []
            for _ in range(dice.randrange(12)):
                first = dice.randrange(40)
                batch = numbered(dice.randrange(6), first)
                if dice.random() < 0.3:
                    shift = [dice.choice((0, 0, 0, 5, month_ns, -month_ns)) for _ in range(len(batch))]
                    batch = dataclasses.replace(batch, start_ns=batch.start_ns + np.array(shift, np.int64))
                if dice.random() < 0.2:
                    batch = dataclasses.replace(batch, quality=batch.quality ^ np.uint8(dice.choice((1, 2))))
                if dice.random() < 0.3 and len(batch):
                    batch = labelled(batch, *(dice.choice(("", "walk", "run")) for _ in range(len(batch))))
                recording = Recording(dice.choice("abc"), 0) if dice.random() < 0.3 else None
                if dice.random() < 0.5 and recording is None and batch.labels is None:
                    batch = dataclasses.replace(batch, quality=batch.quality | np.uint8(Quality.UNSET_CLOCK))
                messages.append(Message(dice.choice("de"), dice.choice((1, 70_000)), first, batch, recording))
            events = [event(dice.randrange(9), score=dice.choice((0.5, 0.5, 0.25))) for _ in range(dice.randrange(4))]
            one_by_one = [other.add_all([message]) for message in messages] + [other.add_all([], events)]
            assert store.add_all(messages, events) == Added(*map(sum, zip(*one_by_one, strict=True)))
    parts, others = list(iter_signatures(url)), list(iter_signatures(other_url))
    assert shown(parts) == shown(others)
    names = [{(part.device, part.stream_id): part.recording for part in each} for each in (parts, others)]
    assert names[0] == names[1]
    assert read_events(url) == read_events(other_url)

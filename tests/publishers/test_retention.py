"""How long a store keeps its signatures: days, and bytes on the disk."""

from __future__ import annotations

import dataclasses
import logging
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from made import HOP_NS, SPEC, assert_same, event, labelled, numbered
from stored import make_version_1, put

from motionsig.blocks import SignatureBatch
from motionsig.errors import InputError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures
from motionsig.publishers import retention as retention_module
from motionsig.publishers.retention import LEAST_BYTES
from motionsig.publishers.store import Store, StoreSink
from motionsig.wire import Message, Recording

DAY_NS = 86_400_000_000_000


def aged(count: int, days: float, first: int = 0) -> SignatureBatch:
    """Return signatures of which the last begins so many days ago."""
    batch = numbered(count, first)
    last_ns = time.time_ns() - round(days * DAY_NS)
    return dataclasses.replace(batch, start_ns=batch.start_ns - batch.start_ns[-1] + last_ns)


def on_disk(path: Path) -> int:
    return sum(part.stat().st_size for part in path.parent.iterdir() if part.name.startswith(path.name))


def random_batch(count: int, first: int) -> SignatureBatch:
    """Return signatures faster than `numbered` makes them."""
    rng = np.random.default_rng(first)
    numbers = np.arange(first, first + count)
    codes = rng.integers(-128, 128, (count, 64), dtype=np.int8)
    start_ns = 1_700_000_000_000_000_000 + numbers * HOP_NS
    return SignatureBatch(start_ns, codes, np.zeros(count, np.uint8), HOP_NS, SPEC)


def test_what_is_older_than_so_many_days_is_deleted_with_all_that_belongs_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    url = f"store:{tmp_path / 's'}"
    old, young = aged(3000, 8.0), aged(20, 6.9)
    put(
        tmp_path / "s",
        Message("d", 1, 0, labelled(old, "walk"), Recording("old.csv", 0)),
        Message("d", 2, 0, labelled(young, "walk"), Recording("young.csv", 0)),
        Message("e", 1, 0, old[:10]),
    )
    with open_sink(url, device="d", stream_id=1) as sink:
        assert isinstance(sink, StoreSink)
        for stream_id, count in ((1, 3000), (2, 20)):
            sink.note_replayed(f"{stream_id}", "how", "stamp", stream_id, count)
        sink.publish_events([event(5, device="d", stream_id=1), event(1)])
        ended = dataclasses.replace(event(2), start_ns=int(young.start_ns[0]), end_ns=int(young.start_ns[-1]))
        sink.publish_events([ended])
    assert len(read_signatures(url)) == 3030
    with open_sink(f"{url}?keep_days=7", device="f", stream_id=1) as sink:
        assert isinstance(sink, StoreSink)
        for number in range(3):
            sink.publish(aged(5, 1.0, 5 * number))
        assert sink.replayed("how") == {"2": ("stamp", 20)}
    assert "3010 signatures and " in caplog.text
    assert "were deleted (keep_days = 7.0)" in caplog.text
    kept = list(iter_signatures(url))
    assert [(part.device, part.stream_id, len(part.seq)) for part in kept] == [("d", 2, 20), ("f", 1, 15)]
    assert kept[0].recording == Recording("young.csv", 0)
    assert read_events(url) == [ended]
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        for table in ("labels", "recordings", "spans", "events"):
            (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            assert rows == {"labels": 20, "recordings": 1, "spans": 2, "events": 1}[table]


def test_what_arrives_too_old_goes_at_once_and_a_clock_that_was_not_set_is_no_age(tmp_path: Path) -> None:
    url = f"store:{tmp_path / 's'}"
    unset = dataclasses.replace(numbered(5), start_ns=np.arange(5) * HOP_NS)
    with closing(Store(tmp_path / "s", keep_days=7)) as store:
        store.add(Message("d", 1, 0, aged(5, 1.0)))
        store.add(Message("d", 2, 0, aged(5, 9.0)))
        store.add(Message("d", 3, 0, unset))
        store.add(Message("d", 4, 0, aged(5, 1.0)))
    assert [part.stream_id for part in iter_signatures(url)] == [1, 3, 4]
    assert_same(read_signatures(url, stream_id=3), unset)


def test_the_files_together_are_never_larger_than_so_many_bytes(tmp_path: Path) -> None:
    path, keep_bytes, largest = tmp_path / "s", 2_000_000, 0
    with closing(Store(path, keep_bytes=keep_bytes)) as store:
        for first in range(0, 40_000, 200):
            store.add(Message("d", 1, first, random_batch(200, first)))
            store.add_all([], [event(first, device="d", stream_id=1)])
            largest = max(largest, on_disk(path))
    assert keep_bytes * 0.7 < largest <= keep_bytes
    assert on_disk(path) <= keep_bytes
    (first_kept, *_), *_ = (part.seq for part in iter_signatures(f"store:{path}"))
    assert first_kept % 256 == 0, "whole blocks are deleted"
    kept = read_signatures(f"store:{path}")
    assert keep_bytes // 200 < len(kept) == 40_000 - first_kept
    # Events go with their signatures.
    assert [it.seq for it in read_events(f"store:{path}")] == [*range(-(-first_kept // 200) * 200, 40_000, 200)]


def test_a_store_that_is_too_large_shrinks_little_by_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_module, "RUN_S", 0.02)
    path = tmp_path / "s"
    put(path, *(Message("d", stream_id, 0, random_batch(20_000, 0)) for stream_id in (1, 2)))
    assert on_disk(path) > 3_500_000
    with closing(Store(path, keep_bytes=LEAST_BYTES)) as store:
        sizes, longest_s = [on_disk(path)], 0.0
        for seq in range(2000):
            began_s = time.thread_time()
            store.add(Message("d", 3, seq, random_batch(1, 100_000 + seq)))
            longest_s = max(longest_s, time.thread_time() - began_s)
            sizes.append(on_disk(path))
            if sizes[-1] <= LEAST_BYTES:
                break
    assert 2 < len(sizes) < 2000 and longest_s < 1
    assert on_disk(path) <= LEAST_BYTES
    assert len(read_signatures(f"store:{path}", stream_id=3)) == len(sizes) - 1


def test_what_version_1_stored_gets_its_spans_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(retention_module, "RUN_S", 60.0)
    path = tmp_path / "s"
    put(tmp_path / "new", *(Message("d", 1, first, random_batch(5000, first)) for first in range(0, 20_000, 5000)))
    make_version_1(path, tmp_path / "new")
    began_s = time.thread_time()
    with closing(Store(path, keep_bytes=LEAST_BYTES)) as store:
        assert time.thread_time() - began_s < 30, "it gives up what cannot be done"
        for seq in range(3):
            store.add(Message("d", 2, seq, dataclasses.replace(random_batch(1, 0), start_ns=np.array([2 * 10**18]))))
    assert caplog.text.count("stays larger than keep_bytes, its free pages are used; VACUUM shrinks it") == 1
    kept = read_signatures(f"store:{path}", stream_id=1)
    assert 1000 < len(kept) < 15_000
    assert_same(
        kept,
        random_batch(5000, 15_000)[-len(kept) :]
        if len(kept) <= 5000
        else read_signatures(f"store:{tmp_path / 'new'}")[-len(kept) :],
    )
    assert len(read_signatures(f"store:{path}", stream_id=2)) == 3
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM progress").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM signatures WHERE crc IS NULL").fetchone() == (0,)


def test_another_writer_delays_it_and_what_arrived_is_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"store:{tmp_path / 's'}"
    put(tmp_path / "s", Message("d", 1, 0, aged(5, 9.0)))
    with (
        closing(Store(tmp_path / "s", busy_timeout_s=0.05)) as store,
        closing(sqlite3.connect(tmp_path / "s")) as other,
    ):
        store._retention = retention_module.Retention(tmp_path / "s", retention_module.Limits(keep_days=7.0))
        run = store._retention.run

        def run_while_locked(*given: object) -> None:
            other.execute("BEGIN IMMEDIATE")
            try:
                run(*given)  # type: ignore[arg-type]
            finally:
                other.execute("ROLLBACK")

        monkeypatch.setattr(store._retention, "run", run_while_locked)
        assert store.add(Message("d", 2, 0, aged(5, 1.0))).stored == 5
        assert "the oldest signatures could not be deleted: database is locked" in caplog.text
        assert len(read_signatures(url)) == 10
        monkeypatch.undo()
        assert store.add(Message("d", 2, 5, aged(5, 1.0, 5))).stored == 5
    assert len(read_signatures(url)) == 10


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("keep_days=40000", "keep_days: expected up to 36500, or 0 for no limit, got 40000"),
        ("keep_bytes=1000", "keep_bytes: expected at least"),
    ],
)
def test_limits_that_cannot_be_meant(tmp_path: Path, query: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_sink(f"store:{tmp_path / 's'}?{query}")
    assert os.listdir(tmp_path) == []

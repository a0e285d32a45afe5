"""A limit of bytes holds whoever writes, and what strangers leave behind does not take the place of everybody else."""

from __future__ import annotations

import dataclasses
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from made import START_NS, assert_same, begun, event, labelled, numbered

from motionsig.blocks import SignatureBatch
from motionsig.publishers import read_events, read_signatures, signature_rows
from motionsig.publishers import retention as retention_module
from motionsig.publishers.retention import LEAST_BYTES
from motionsig.publishers.store import Store
from motionsig.publishers.stores import Added
from motionsig.quality import Quality
from motionsig.quantization import Quantization
from motionsig.wire import Clock, Message

ONE = numbered(1)
LATER_NS = 10**15


def of_stranger(number: int, batch: SignatureBatch = ONE) -> Message:
    flagged = dataclasses.replace(batch, quality=batch.quality | Quality.UNSET_CLOCK)
    return Message(f"stranger {number}", 1, 0, begun(flagged, number), None, Clock(b"boot of a device", 0, False))


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        count: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return count


def test_a_device_goes_with_its_last_signature_so_that_a_million_names_fill_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    honest = begun(numbered(100), LATER_NS)
    with closing(Store(path, keep_bytes=LEAST_BYTES)) as store:
        for first in range(0, 7000, 1000):
            label = f"{first} {'x' * 100}"
            batches = [labelled(ONE, f"{label} {number}") for number in range(1000)]
            store.add_all([of_stranger(first + number, batch) for number, batch in enumerate(batches)])
        store.add(Message("honest", 1, 0, honest))
        kept = rows(path, "signatures")
        assert kept < 4000
        for table in ("encoders", "clocks", "spans", "labels"):
            assert rows(path, table) <= kept, table
        assert rows(path, "texts") <= 3 * kept + 4096
        assert sum(it.stat().st_size for it in tmp_path.iterdir()) <= LEAST_BYTES
    assert_same(read_signatures(f"store:{path}", device="honest"), honest)


def test_events_without_signatures_are_among_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "s"
    young = begun(numbered(2000), LATER_NS)
    last = event(1, device="honest", start_ns=START_NS + LATER_NS, end_ns=START_NS + LATER_NS)
    never = event(2, device="x", end_ns=(1 << 63) - 1)
    with closing(Store(path, keep_bytes=LEAST_BYTES)) as store:
        store.add_all([Message("honest", 1, 0, young)], [last, never])
        for first in range(0, 15_000, 3000):
            store.add_all([], [event(number, device="stranger") for number in range(first, first + 3000)])
        assert rows(path, "events") < 8000
    assert_same(read_signatures(f"store:{path}"), young)
    assert read_events(f"store:{path}", device="honest") == [last]


def test_the_last_time_there_is_can_be_deleted(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "s", keep_bytes=LEAST_BYTES)) as store:
        store.add_all([], [event(number, end_ns=(1 << 63) - 1, head="x" * 60) for number in range(15_000)])
        store.add(Message("honest", 1, 0, ONE))
        assert rows(tmp_path / "s", "events") < 9000


def test_an_encoder_that_was_deleted_is_described_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number is another device's meanwhile: whoever remembers it would mix up both."""
    path, url = tmp_path / "s", f"store:{tmp_path / 's'}"
    other = Quantization(tuple(group._replace(scale=group.scale * 2) for group in ONE.spec.quantization.groups))
    louder = dataclasses.replace(ONE, spec=dataclasses.replace(ONE.spec, quantization=other))
    with closing(Store(path)) as store:
        for seq in range(3):
            store.add(Message("a", 1, seq, numbered(1, seq)))
        # Another process deletes all that is older than a day, and stores what is of another device.
        with closing(Store(path, keep_days=1)) as another:
            assert rows(path, "encoders") == 0
            another.add(Message("b", 1, 0, begun(louder, LATER_NS * 100)))
        store.add(Message("a", 1, 3, numbered(1, 3)))
    assert_same(read_signatures(url, device="a"), numbered(1, 3))
    assert_same(read_signatures(url, device="b"), begun(louder, LATER_NS * 100))
    # And the same within one process.
    monkeypatch.setattr(retention_module, "_CHECK_S", 0.0)
    with closing(Store(path, keep_days=1)) as store:
        for number in range(3):
            assert store.add(Message("a", 2, number, numbered(1, number))) == Added(1)
        store.add(Message("c", 1, 0, begun(louder, LATER_NS * 100)))
        store.add(Message("a", 3, 0, begun(ONE, LATER_NS * 100)))
    assert_same(read_signatures(url, device="a"), begun(ONE, LATER_NS * 100))
    assert_same(read_signatures(url, device="c"), begun(louder, LATER_NS * 100))


def test_what_strangers_say_of_encoders_is_not_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_rows, "_MOST_SPECS", 8)
    with closing(Store(tmp_path / "s")) as store:
        for number in range(40):
            fingerprint = number.to_bytes(8, "big")
            batch = dataclasses.replace(ONE, spec=dataclasses.replace(ONE.spec, fingerprint=fingerprint))
            for seq in range(2):
                store.add(Message("a", number, seq, begun(batch, seq)))
        known = store._encoders
        assert len(known._specs) <= 8 and len(known._known) <= 8
        # What it forgot, it finds again.
        first = dataclasses.replace(ONE, spec=dataclasses.replace(ONE.spec, fingerprint=bytes(8)))
        assert store.add(Message("a", 99, 0, first)) == Added(1)
        assert rows(tmp_path / "s", "encoders") == 40

"""A dataset as a store: rolls by rows, by age and at close, what comes again after a roll, old days, damage."""

from __future__ import annotations

import dataclasses
import logging
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made import HOP_NS, SPEC, START_NS, assert_same, event, labelled, numbered, wait_until

from motionsig.blocks import SignatureBatch, concatenate
from motionsig.errors import InputError, SinkError
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures
from motionsig.publishers.local import Stored
from motionsig.publishers.parquet.layout import DAY_NS
from motionsig.publishers.parquet.store import ParquetStore
from motionsig.publishers.store import Store
from motionsig.publishers.stores import Added, SignatureStore
from motionsig.quality import Quality
from motionsig.quantization import Group, Quantization
from motionsig.wire import Message, Recording

DAY = START_NS // DAY_NS * DAY_NS


def files(path: Path, of: str = "signatures") -> list[str]:
    return sorted(str(file.relative_to(path / of)) for file in (path / of).glob("*/*"))


def tails(path: Path) -> list[str]:
    return sorted(file.name for file in (path / "_motionsig").glob("tail-*.db"))


def on_days(count: int, first: int = 0, *, per_day: int = 5) -> SignatureBatch:
    """Return signatures of which each day has `per_day`."""
    days = np.arange(first, first + count) // per_day * DAY_NS
    return dataclasses.replace(numbered(count, first), start_ns=DAY + days + np.arange(first, first + count))


def rows(parts: Iterator[Stored]) -> list[tuple[object, ...]]:
    """Return what was read, a row for each signature."""
    found: list[tuple[object, ...]] = []
    for part in parts:
        batch = part.signatures
        labels = [""] * len(batch) if batch.labels is None else batch.labels.tolist()
        columns = (part.seq.tolist(), batch.start_ns.tolist(), batch.quality.tolist(), batch.codes, labels)
        for seq, start_ns, quality, codes, label in zip(*columns, strict=True):
            found.append((part.device, part.stream_id, seq, start_ns, quality, codes.tobytes(), label, batch.hop_ns))
    return found


def test_batches_wait_in_the_tail_until_there_are_enough_and_become_one_file_a_day(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with ParquetStore(path, roll_rows=12) as store:
        for first in range(0, 10, 2):
            assert store.add_all([Message("d", 1, first, on_days(2, first))], [event(first)]) == Added(2, events=1)
            assert_same(read_signatures(f"parquet:{path}"), on_days(first + 2))
        # Events are rows, too: the fourth batch was the twelfth row.
        assert files(path) == ["day=2023-11-14/00000000.parquet", "day=2023-11-15/00000000.parquet"]
        assert files(path, "events") == ["day=2023-11-14/00000000.parquet"]
        assert tails(path) == ["tail-00000001.db"]
    assert [name for name in files(path) if "00000001" in name] == ["day=2023-11-15/00000001.parquet"]
    assert_same(read_signatures(f"parquet:{path}"), on_days(10))
    assert read_events(f"parquet:{path}") == [event(number) for number in range(0, 10, 2)]


def test_the_tail_is_rolled_when_its_first_row_is_old_enough(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with ParquetStore(path, roll_s=0.2) as store:
        store.add_all([Message("d", 1, 0, numbered(2))])
        assert files(path) == []
        wait_until(lambda: len(files(path)) == 1)
        store.add_all([Message("d", 1, 2, numbered(2, 2))])
        wait_until(lambda: len(files(path)) == 2)
        assert store.add_all([Message("d", 1, 0, numbered(4))]) == Added(duplicates=4)
    assert_same(read_signatures(f"parquet:{path}"), numbered(4))


@pytest.mark.parametrize("roll_rows", [1, 7])
def test_any_batches_become_the_same_as_in_sqlite_however_often_they_are_rolled(tmp_path: Path, roll_rows: int) -> None:
    dice = random.Random(roll_rows)
    path, other_path = tmp_path / "p", tmp_path / "s"
    store: SignatureStore = ParquetStore(path, roll_rows=roll_rows)
    with Store(other_path) as other:
        other.add_all([Message("d", 1, 0, numbered(3))])
        store.add_all([Message("d", 1, 0, numbered(3))])
        for _ in range(15):
            messages = []
            for _ in range(dice.randrange(6)):
                first = dice.randrange(30)
                batch = numbered(dice.randrange(6), first)
                shift = [dice.choice((0, 0, 0, 0, 5, 31 * DAY_NS)) for _ in range(len(batch))]
                batch = dataclasses.replace(
                    batch,
                    start_ns=batch.start_ns + np.array(shift, np.int64),
                    quality=batch.quality ^ np.uint8(dice.choice((0, 0, 0, 1, 2))),
                )
                if dice.random() < 0.4 and len(batch):
                    batch = labelled(batch, *(dice.choice(("", "walk", "run")) for _ in range(len(batch))))
                recording = Recording("a", 0) if dice.random() < 0.3 else None
                messages.append(Message(dice.choice("de"), dice.choice((1, 70_000)), first, batch, recording))
            events = [event(dice.randrange(9), score=dice.choice((0.5, 0.5, 0.25))) for _ in range(dice.randrange(4))]
            one_by_one = [other.add_all([message]) for message in messages] + [other.add_all([], events)]
            assert store.add_all(messages, events) == Added(*map(sum, zip(*one_by_one, strict=True)))
            if dice.random() < 0.2:
                store.close()
                store = ParquetStore(path, roll_rows=roll_rows)
            assert rows(iter_signatures(f"parquet:{path}")) == rows(iter_signatures(f"store:{other_path}"))
    store.close()
    assert read_events(f"parquet:{path}") == read_events(f"store:{other_path}")


def test_what_comes_again_after_a_roll_is_compared_with_the_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "p"
    codes = on_days(10).codes.copy()
    codes[7, 3] ^= 1
    later = on_days(10).start_ns.copy()
    later[2] += 3 * DAY_NS
    liar = dataclasses.replace(on_days(3, 20), spec=dataclasses.replace(SPEC, motion_dim=9))
    with ParquetStore(path) as store:
        store.add_all([Message("d", 1, 0, on_days(10))], [event(1)])
    with ParquetStore(path) as store:
        assert store.add_all([Message("d", 1, 5, on_days(8, 5))]) == Added(3, 5)
        assert store.add_all([Message("d", 1, 0, dataclasses.replace(on_days(10), codes=codes))]) == Added(0, 9, 1)
        assert store.add_all([Message("d", 1, 0, dataclasses.replace(on_days(10), start_ns=later))]) == Added(0, 9, 1)
        assert store.add_all([Message("d", 1, 20, liar)]) == Added(conflicts=3)
    with ParquetStore(path) as store:
        # Only the device that once said so is bound by it.
        assert store.add_all([Message("e", 1, 20, liar)]) == Added(3)
        assert store.add_all([], [event(1), event(1, score=0.5), event(2)]) == Added(0, 1, 1, 1)
    assert "1 signatures of d, stream 1, from seq 0 differ from what is stored" in caplog.text
    assert "1 events differ from what is stored under the same key, the first: knock of wrist, stream 7" in caplog.text
    assert_same(read_signatures(f"parquet:{path}", device="d"), on_days(13))
    assert read_events(f"parquet:{path}") == [event(1), event(2)]
    with pytest.raises(InputError, match="'d' and 'e' say different things of encoder"):
        read_signatures(f"parquet:{path}")


def test_new_labels_and_another_name_replace_those_in_files(tmp_path: Path) -> None:
    path = tmp_path / "p"
    message = Message("d", 1, 0, labelled(on_days(10), "walk"), Recording("a", 5))
    with ParquetStore(path) as store:
        store.add_all([message])
    again = dataclasses.replace(
        message, signatures=labelled(on_days(10), "run"), recording=Recording("b", START_NS + 1)
    )
    for rolled in (False, True):
        with ParquetStore(path) as store:
            assert store.add_all([again]) == Added(duplicates=10)
            assert {part.recording for part in iter_signatures(f"parquet:{path}")} == {again.recording}
            assert_same(read_signatures(f"parquet:{path}"), again.signatures)
        # The second time nothing is new, and no file is written.
        assert (files(path) == ["day=2023-11-14/00000002.parquet", "day=2023-11-15/00000002.parquet"]) or rolled
    assert len(files(path)) == 2
    assert_same(read_signatures(f"parquet:{path}", recording="b"), again.signatures)


def test_a_time_of_a_clock_that_was_not_set_gives_way_to_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "p"
    right = dataclasses.replace(numbered(4), quality=np.zeros(4, np.uint8))
    wrong = dataclasses.replace(
        right, start_ns=right.start_ns - START_NS, quality=right.quality | np.uint8(Quality.UNSET_CLOCK)
    )
    with ParquetStore(path, roll_rows=1) as store:
        assert store.add_all([Message("d", 1, 0, wrong)]) == Added(4)
        assert files(path) == ["day=1970-01-01/00000000.parquet"]
        assert store.add_all([Message("d", 1, 0, wrong)]) == Added(duplicates=4)
        assert store.add_all([Message("d", 1, 0, right)]) == Added(duplicates=4)
        assert files(path) == ["day=2023-11-14/00000001.parquet"]
        assert store.add_all([Message("d", 1, 0, wrong)]) == Added(duplicates=4)
        assert store.add_all([Message("d", 1, 0, dataclasses.replace(right, start_ns=right.start_ns + 1))]) == Added(
            conflicts=4
        )
    assert_same(read_signatures(f"parquet:{path}"), right)


def test_encoders_with_different_numbers_of_codes_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "p"
    short = dataclasses.replace(
        SPEC, fingerprint=b"short!!!", quantization=Quantization((Group(7, 0.5, 1),)), motion_dim=7
    )
    few = dataclasses.replace(numbered(3, 5), codes=numbered(3, 5).codes[:, :7], spec=short)
    double = dataclasses.replace(numbered(2, 8), hop_ns=2 * HOP_NS)
    with ParquetStore(path) as store:
        store.add_all([Message("d", 1, 0, numbered(5)), Message("d", 1, 5, few), Message("d", 1, 8, double)])
    with ParquetStore(path) as store:
        # Between those of the file, of which some have a recording and most have none.
        recording = Recording("walk", (1 << 62) + 1)
        assert store.add_all([Message("d", 1, 10, numbered(2, 10), recording)]) == Added(2)
        assert store.add_all([Message("d", 1, 5, few), Message("d", 1, 0, numbered(1))]) == Added(duplicates=4)
    assert len(files(path)) == 2
    assert_same(read_signatures(f"parquet:{path}", fingerprint=short.fingerprint), few)
    parts = list(iter_signatures(f"parquet:{path}", fingerprint=SPEC.fingerprint))
    assert [(part.seq.tolist(), part.recording) for part in parts] == [
        ([0, 1, 2, 3, 4], None),
        ([8, 9], None),
        ([10, 11], recording),
    ]
    assert_same(parts[1].signatures, double)


def test_a_reader_sees_each_signature_once_while_files_are_made_merged_and_changed(tmp_path: Path) -> None:
    path = tmp_path / "p"
    acknowledged, ended = 0, threading.Event()

    def write() -> None:
        nonlocal acknowledged
        with ParquetStore(path, roll_rows=9) as store:
            for first in range(0, 300, 3):
                store.add_all([Message("d", 1, first, on_days(3, first, per_day=100))])
                acknowledged = first + 3
                store.add_all([Message("d", 1, first // 2, labelled(on_days(3, first // 2, per_day=100), "again"))])
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: acknowledged > 0)
    reads = 0
    while not ended.is_set():
        least = acknowledged
        seq = np.concatenate([part.seq for part in iter_signatures(f"parquet:{path}", rows=20)])
        assert len(seq) >= least
        np.testing.assert_array_equal(seq, np.arange(len(seq)))
        reads += 1
    writer.join()
    assert reads > 5
    assert len(files(path)) < 8


def test_what_a_reader_has_begun_to_read_stays(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with ParquetStore(path, roll_rows=2, keep_days=1) as store:
        for first in range(0, 40, 2):
            store.add_all([Message("d", 1, first, on_days(2, first, per_day=100))])
        # All of it is too old, but somebody reads it.
        reading = iter_signatures(f"parquet:{path}", rows=3)
        with pytest.raises(InputError, match="got none"):
            next(reading)
    with ParquetStore(path, roll_rows=2) as store:
        for first in range(0, 40, 2):
            store.add_all([Message("d", 1, first, on_days(2, first, per_day=100))])
        reading = iter_signatures(f"parquet:{path}", rows=3)
        first_part = next(reading)
        before = files(path)
        for first in range(40, 60, 2):
            store.add_all([Message("d", 1, first, on_days(2, first, per_day=100))])
        assert set(before) < set(files(path))
        batch = concatenate([first_part.signatures, *(part.signatures for part in reading)])
        assert_same(batch, on_days(40, per_day=100))
        store.add_all([Message("d", 1, 60, on_days(2, 60, per_day=100))])
        assert len(files(path)) < len(before)
    assert_same(read_signatures(f"parquet:{path}"), on_days(62, per_day=100))


def test_old_days_are_deleted_whole_and_forgotten(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    path, now = tmp_path / "p", time.time_ns()
    days = dataclasses.replace(numbered(4), start_ns=now - np.array([0, 1, 2, 3]) * DAY_NS)
    events = [event(number, start_ns=now - number * DAY_NS, end_ns=now) for number in range(4)]
    with ParquetStore(path) as store:
        store.add_all([Message("d", 1, 0, days)], events)
    with ParquetStore(path, keep_days=2) as store:
        assert_same(read_signatures(f"parquet:{path}"), days[:3])
        assert read_events(f"parquet:{path}") == events[2::-1]
        assert store.add_all([Message("d", 1, 0, days[:3])], events[:3]) == Added(duplicates=6)
    assert caplog.text.count("is too old, and deleted") == 2
    index = sqlite3.connect(path / "_motionsig" / "index.db")
    assert index.execute("SELECT count(*), sum(last - first + 1) FROM ranges").fetchone() == (3, 3)
    assert index.execute("SELECT count(*) FROM events").fetchone() == (3,)
    index.close()


@pytest.mark.parametrize("damage", ["lost", "damaged"])
def test_the_index_is_made_again_from_the_files(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "p"
    with ParquetStore(path, roll_rows=4) as store:
        for first in range(0, 12, 3):
            store.add_all([Message("d", first // 6, first, on_days(3, first))], [event(first)])
    index = path / "_motionsig" / "index.db"
    if damage == "lost":
        index.unlink()
    else:
        index.write_bytes(b"these are no tables" * 500)
    with ParquetStore(path) as store:
        for first in range(0, 12, 3):
            again = store.add_all([Message("d", first // 6, first, on_days(3, first))], [event(first)])
            assert again == Added(duplicates=4)
        liar = dataclasses.replace(numbered(3, 20), spec=dataclasses.replace(SPEC, motion_dim=9))
        assert store.add_all([Message("d", 1, 20, liar)]) == Added(conflicts=3)
    assert ("it is made again from the files" in caplog.text) == (damage == "damaged")
    assert len(read_signatures(f"parquet:{path}")) == 12


def test_a_roll_that_fails_loses_nothing_and_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "p"
    store = ParquetStore(path, roll_rows=4)
    (path / "signatures").write_text("in the way")
    for first in range(0, 8, 2):
        assert store.add_all([Message("d", 1, first, numbered(2, first))]) == Added(2)
    assert caplog.text.count("no file of new rows could be written") == 2
    assert_same(read_signatures(f"parquet:{path}"), numbered(8))
    store.close()
    assert_same(read_signatures(f"parquet:{path}"), numbered(8))
    with ParquetStore(path) as store:
        assert store.add_all([Message("d", 1, 6, numbered(3, 6))]) == Added(1, 2)
    (path / "signatures").unlink()
    with ParquetStore(path, roll_rows=4) as store:
        assert len(files(path)) == 1
        assert store.add_all([Message("d", 1, 0, numbered(10))]) == Added(1, 9)
    assert_same(read_signatures(f"parquet:{path}"), numbered(10))


def test_files_of_a_roll_that_could_not_end_are_not_read_beside_the_tail(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with ParquetStore(path, roll_rows=4) as store:
        with closing(sqlite3.connect(path / "_motionsig" / "index.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert store.add_all([Message("d", 1, 0, numbered(4))], [event(1)]) == Added(4, events=1)
            assert (len(files(path)), len(files(path, "events")), tails(path)) == (1, 1, ["tail-00000000.db"])
            assert_same(read_signatures(f"parquet:{path}"), numbered(4))
            assert read_events(f"parquet:{path}") == [event(1)]
            other.execute("ROLLBACK")
        assert store.add_all([Message("d", 1, 4, numbered(4, 4))], [event(2)]) == Added(4, events=1)
        assert (len(files(path)), tails(path)) == (1, ["tail-00000001.db"])
    assert_same(read_signatures(f"parquet:{path}"), numbered(8))
    assert read_events(f"parquet:{path}") == [event(1), event(2)]


def test_other_engines_get_numbers_times_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "p"
    batch = labelled(on_days(10), "walk", "")
    with ParquetStore(path) as store:
        store.add_all([Message("d", 1, 0, batch, Recording("a.csv", 7)), Message("c", 3, 5, numbered(2))], [event(1)])
    rows = pl.scan_parquet(path / "signatures/*/*.parquet", hive_partitioning=True)
    encoders = pl.scan_parquet(path / "encoders/*.parquet").select("encoder", "scale", "zero_point", "hop_ns")
    table = rows.join(encoders, on="encoder").sort("device", "seq").collect()
    assert table["device"].to_list() == ["c"] * 2 + ["d"] * 10
    of_d = table.filter(device="d")
    codes = of_d.select("codes", "zero_point", "scale").explode("codes", "zero_point", "scale")
    values = codes.select(value=(pl.col("codes") - pl.col("zero_point")) * pl.col("scale"))["value"].to_numpy()
    np.testing.assert_allclose(values.reshape(10, -1), batch.values, rtol=1e-6)
    np.testing.assert_array_equal(of_d["start_ns"].to_numpy(), batch.start_ns)
    np.testing.assert_array_equal(of_d["start"].dt.epoch("us").to_numpy(), batch.start_ns // 1000)
    assert of_d["label"].to_list() == ["walk", None] * 5
    assert of_d["day"].unique().sort().cast(str).to_list() == ["2023-11-14", "2023-11-15"]
    shown = {name: of_d[name][0] for name in ("recording", "recording_start_ns", "stream_id", "fingerprint", "hop_ns")}
    assert shown == {
        "recording": "a.csv",
        "recording_start_ns": 7,
        "stream_id": 1,
        "fingerprint": SPEC.fingerprint.hex(),
        "hop_ns": HOP_NS,
    }
    assert table["recording"][0] is None
    (found,) = pl.read_parquet(path / "events/*/*.parquet").to_dicts()
    assert (found["head"], found["score"], found["start_ns"], found["phase"]) == (
        "knock",
        0.75,
        event(1).start_ns,
        "once",
    )
    assert found["duration_s"] == event(1).duration_s and found["fingerprint"] == event(1).fingerprint.hex()


def test_it_says_which_numbers_it_has(tmp_path: Path) -> None:
    with ParquetStore(tmp_path / "p") as store:
        store.add_all([Message("d", 1, 0, on_days(8)), Message("d", 1, 20, on_days(3, 20))])
    with ParquetStore(tmp_path / "p") as store:
        store.add_all([Message("d", 1, 10, on_days(3, 10)), Message("d", 2, 0, numbered(2))])
        assert store.newest_numbers("d", 1, 0, (1 << 63) - 1, 8) == [22, 21, 20, 12, 11, 10, 7, 6]
        assert store.newest_numbers("d", 1, 3, 11, 3) == [11, 10, 7]
        assert store.newest_numbers("d", 1, 13, 19, 3) == store.newest_numbers("e", 1, 0, 9, 3) == []


def test_a_day_with_many_small_files_gets_one_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "p"
    for number in range(7):
        with ParquetStore(path) as store:
            store.add_all([Message("d", 6 - number, 0, numbered(3))], [event(number)])
    assert (len(files(path)), len(files(path, "events"))) == (7, 7)
    before = [(part[:2], part.seq.tolist()) for part in iter_signatures(f"parquet:{path}")]
    with ParquetStore(path) as store:
        store.add_all([Message("d", 7, 0, numbered(3))], [event(7)])
    assert files(path) == files(path, "events")
    assert len(files(path)) == 1
    assert [(part[:2], part.seq.tolist()) for part in iter_signatures(f"parquet:{path}")][:-1] == before
    assert pl.read_parquet(path / "signatures/*/*.parquet")["stream_id"].is_sorted()
    assert read_events(f"parquet:{path}") == [event(number) for number in range(8)]
    with ParquetStore(path) as store:
        assert store.add_all([Message("d", 3, 0, numbered(3))], [event(3)]) == Added(duplicates=4)


def test_the_files_alone_are_read_without_what_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "p"
    with open_sink(f"parquet:{path}", device="d", stream_id=1) as sink:
        sink.publish(numbered(20))
        sink.publish_events([event(1)])
    shutil.rmtree(path / "_motionsig")
    assert_same(read_signatures(f"parquet:{path}"), numbered(20))
    assert read_events(f"parquet:{path}") == [event(1)]
    assert not (path / "_motionsig").exists()


def test_only_the_owner_reads_it_unless_the_folder_says_otherwise(tmp_path: Path) -> None:
    for name, mode in (("own", 0o700), ("shared", 0o750)):
        path = tmp_path / name
        if mode != 0o700:
            path.mkdir()
            path.chmod(mode)
        with ParquetStore(path) as store:
            store.add_all([Message("d", 1, 0, numbered(3))], [event(1)])
        found = {each.stat().st_mode & 0o777 for each in path.rglob("*") if each.name != "lock"}
        assert found == {mode, mode & 0o666}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"roll_rows": 0}, "roll_rows: expected 1 to 4194304, got 0"),
        ({"roll_s": 0.0}, "roll_s: expected a number of seconds above 0, got 0"),
        ({"keep_days": 0}, "keep_days: expected a number above 0, got 0"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(tmp_path: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ParquetStore(tmp_path / "p", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "p").exists()


def test_what_is_no_dataset_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    (tmp_path / "empty").mkdir()
    for name, message in (("none", "no such file or folder"), ("empty", "got none"), ("file", "got none")):
        with pytest.raises(SinkError, match=message):
            read_signatures(f"parquet:{tmp_path / name}")
    for name in ("file", "no/folder"):
        with pytest.raises(SinkError, match="cannot be opened"):
            ParquetStore(tmp_path / name)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["empty", "file"]


def test_devices_that_describe_several_encoders_differently_are_all_in_files(tmp_path: Path) -> None:
    path, devices = tmp_path / "d", ("a", "b", "c")
    batches = {}
    with ParquetStore(path) as store:
        for number in range(3):
            for loud, device in enumerate(devices, 1):
                quantization = Quantization(
                    tuple(group._replace(scale=loud * group.scale) for group in SPEC.quantization.groups)
                )
                spec = dataclasses.replace(SPEC, fingerprint=bytes([number] * 8), quantization=quantization)
                batches[device, number] = numbered(3, spec=spec)
                store.add_all([Message(device, number, 0, batches[device, number])])
    assert files(path)
    for (device, number), batch in batches.items():
        assert_same(read_signatures(f"parquet:{path}", device=device, stream_id=number), batch)

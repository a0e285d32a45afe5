"""What reaches the disk and when, and what kills and bad disks leave in the buffer and on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import lines_until_killed
from spooling import START, buffered, fails_once, mounted, numbers, payload, segments

from motionsig.errors import SinkError
from motionsig.publishers.durable import FSYNC_AFTER_S
from motionsig.publishers.spool import BUFFER_BYTES_AT_LEAST, MIN_MAX_BYTES, Spool


def test_what_arrives_in_time_never_touches_the_disk(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    first = spool.first
    for number in range(20):
        spool.append(payload(number), 1)
        (record,) = spool.read(first)
        assert spool.due_in_s(time.monotonic()) > FSYNC_AFTER_S / 2
        assert spool.acknowledge(record.end, 1)
        spool.sync()
        if number % 3:
            spool.forget(first, record.end)
        first = record.end
    assert segments(tmp_path / "disk") == {}
    spool.close()
    assert segments(tmp_path / "buffer").keys() <= {"000000000001.segment"}


def test_what_waits_is_moved_as_one_write_and_read_across_both_places(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    for number in range(30):
        spool.append(payload(number), 1)
        if number in (9, 19):
            spool.sync()
            assert set(segments(tmp_path / "buffer").values()) == {0}
    assert [len(sizes) for sizes in (segments(tmp_path / "disk"), segments(tmp_path / "buffer"))] == [1, 1]
    assert numbers(spool) == list(range(30))
    spool.close()
    spool = buffered(tmp_path)
    assert numbers(spool) == list(range(30))
    assert (spool.recovered, spool.damaged_bytes, spool.due_in_s(time.monotonic())) == (30, 0, 0)
    spool.sync()
    assert (segments(tmp_path / "buffer"), numbers(spool)) == ({}, list(range(30)))
    spool.close()


def test_what_was_forgotten_is_not_moved(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    for number in range(100):
        spool.append(payload(number), 1)
    records = spool.read(START)
    for record in records[:95]:
        spool.acknowledge(record.end, 1)
    spool.forget(spool.first, records[94].end)
    spool.sync()
    assert sum(segments(tmp_path / "disk").values()) == 5 * 120
    spool.append(payload(100), 1)
    assert numbers(spool) == list(range(95, 101))
    for record in [*records[95:], *spool.read(records[-1].end)]:
        spool.acknowledge(record.end, 1)
        spool.forget(spool.first, record.end)
    assert (spool.used_bytes, segments(tmp_path / "disk"), segments(tmp_path / "buffer")) == (0, {}, {})
    spool.close()


@pytest.mark.parametrize("torn", [0, 1, 50, 120, 121, 700, 1200])
def test_a_move_that_is_cut_short_counts_nothing_twice(tmp_path: Path, torn: int) -> None:
    spool = buffered(tmp_path)
    for number in range(3):
        spool.append(payload(number), 2)
    spool.sync()
    for number in range(3, 13):
        spool.append(payload(number), 2)
    shutil.copytree(tmp_path / "buffer", tmp_path / "killed" / "buffer")
    spool.sync()
    shutil.copytree(tmp_path / "disk", tmp_path / "killed" / "disk")
    spool.close()
    (segment,) = (tmp_path / "killed" / "disk").glob("*.segment")
    os.truncate(segment, 3 * 120 + torn)
    spool = buffered(tmp_path / "killed")
    assert (numbers(spool), spool.recovered, spool.damaged_bytes) == (list(range(13)), 26, 0)
    spool.sync()
    spool.append(payload(13), 2)
    assert numbers(spool) == list(range(14))
    spool.close()
    spool = buffered(tmp_path / "killed")
    assert (numbers(spool), spool.recovered, spool.damaged_bytes) == (list(range(14)), 28, 0)
    spool.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from("aaaasmfkK"), max_size=60), st.sampled_from([MIN_MAX_BYTES, 1 << 20]))
def test_any_history_keeps_what_is_not_forgotten(steps: list[str], max_bytes: int) -> None:
    """a: append, s: sync, m: acknowledge, f: forget, k: end and begin again, K: the same by a kill."""
    with tempfile.TemporaryDirectory() as name:
        folder, rounds = Path(name), 0
        spool = buffered(folder / "0", max_bytes=max_bytes)
        appended, settled, forgotten = 0, 0, 0
        for step in steps:
            if step == "a":
                assert spool.append(payload(appended), 1)
                appended += 1
            elif step == "s":
                spool.sync()
            elif step in "mf":
                left = [record for position in [spool.first] for record in spool.read(position)][:3]
                for record in left:
                    if int.from_bytes(record.payload[:4], "big") >= settled:
                        assert spool.acknowledge(record.end, 1)
                        settled += 1
                    assert not spool.acknowledge(record.end, 1)
                    if step == "f":
                        spool.forget(spool.first, record.end)
                        forgotten += 1
            else:
                if step == "K":
                    rounds += 1
                    shutil.copytree(folder / f"{rounds - 1}", folder / f"{rounds}")
                spool.close()
                spool = buffered(folder / f"{rounds}", max_bytes=max_bytes)
                found = numbers(spool)
                assert (spool.damaged_bytes, spool.recovered) == (0, len(found))
                assert found == list(range(appended - len(found), appended))
                assert len(found) >= appended - forgotten
                settled = forgotten = appended - len(found)
            assert numbers(spool) == list(range(forgotten, appended))
            assert spool.pending == appended - settled
        spool.close()


KILLED = """
import sys, pathlib
from motionsig.publishers.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]) / "disk", buffer=pathlib.Path(sys.argv[1]) / "buffer")
number = int(sys.argv[2])
while True:
    assert spool.append(number.to_bytes(4, "big") * 50, 1)
    print(number, flush=True)
    number += 1
    if number % 7 == 0:
        spool.sync()
"""


def test_kill_9_during_moves_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    taken = 0
    for _ in range(3):
        taken = int(lines_until_killed(sys.executable, "-c", KILLED, str(tmp_path), str(taken), after=200)[-1]) + 1
        spool = buffered(tmp_path)
        found = numbers(spool)
        assert found in (list(range(taken)), list(range(taken + 1)))
        assert spool.damaged_bytes == 0
        taken = len(found)
        spool.close()


def test_a_read_only_disk_is_said_once_and_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mounted(tmp_path / "mount", "size=1m") as mount:
        (mount / "disk").mkdir()
        earlier = Spool(mount / "disk")
        earlier.append(payload(0), 1)
        earlier.close()
        subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
        spool = Spool(mount / "disk", buffer=tmp_path / "buffer")
        assert numbers(spool) == [0], "what can be read can be sent"
        for number in range(1, 20):
            spool.append(payload(number), 1)
            with pytest.raises(SinkError, match="Read-only"):
                spool.sync()
        assert FSYNC_AFTER_S / 2 < spool.due_in_s(time.monotonic()) <= FSYNC_AFTER_S, "tried again, but not at once"
        assert numbers(spool) == list(range(20))
        assert [record.getMessage().count("takes no signatures") for record in caplog.records] == [1]
        assert spool.limit_bytes == BUFFER_BYTES_AT_LEAST + 120
        subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
        spool.sync()
        assert caplog.text.count("takes signatures again") == 1
        assert (spool.failure, spool.limit_bytes) == (None, spool.max_bytes)
        assert (numbers(spool), spool.dropped) == (list(range(20)), 0)
        spool.close()
        shutil.rmtree(tmp_path / "buffer")
        spool = Spool(mount / "disk")
        assert sorted(numbers(spool)) == list(range(20)), "all of it reached the disk"
        spool.close()


def test_a_disk_that_cannot_fsync_is_not_well_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").touch()
    spool = buffered(tmp_path)
    spool.append(payload(0), 1)
    with pytest.raises(SinkError, match="File exists"):
        spool.sync()
    (record,) = spool.read(START)
    assert spool.acknowledge(record.end, 1)
    (tmp_path / "disk").unlink()
    fails_once(monkeypatch, "fsync", errno.EIO, lambda _: True)
    with pytest.raises(SinkError, match="Input/output error"):
        spool.sync()
    assert "Input/output error" in str(spool.failure)
    spool.sync()
    assert spool.failure is None
    spool.close()


def test_a_disk_that_comes_later_with_signatures_of_its_own(tmp_path: Path) -> None:
    earlier = Spool(tmp_path / "later")
    earlier.append(payload(0), 1)
    earlier.close()
    (tmp_path / "disk").touch()
    spool = buffered(tmp_path)
    spool.append(payload(1), 1)
    (tmp_path / "disk").unlink()
    (tmp_path / "later").rename(tmp_path / "disk")
    spool.sync()
    assert (numbers(spool), spool.pending, spool.recovered) == ([1, 0], 2, 1)
    spool.close()


@pytest.mark.parametrize("full", ["oldest", "newest", "wait"])
def test_without_a_disk_the_buffer_keeps_its_bound(tmp_path: Path, full: str) -> None:
    (tmp_path / "disk").touch()
    spool = buffered(tmp_path, full=full)
    taken = [number for number in range(1500) if spool.append(payload(number, 1000), 2)]
    assert sum(segments(tmp_path / "buffer").values()) <= BUFFER_BYTES_AT_LEAST
    left = numbers(spool)
    assert 700 < len(left) < 1100
    assert spool.pending == 2 * len(left)
    if full == "oldest":
        assert (len(taken), left) == (1500, list(range(1500 - len(left), 1500)))
    else:
        assert taken == left == list(range(len(left)))
    assert spool.dropped == (0 if full == "wait" else 2 * (1500 - len(left)))
    (tmp_path / "disk").unlink()
    spool.sync()
    assert spool.append(payload(1500, 1000), 2)
    assert numbers(spool) == [*left, 1500]
    spool.close()


@pytest.mark.parametrize("full", ["oldest", "newest", "wait"])
def test_a_disk_that_fills_up_and_is_freed(tmp_path: Path, full: str) -> None:
    with mounted(tmp_path / "mount", "size=1m") as mount:
        spool = Spool(mount / "disk", buffer=tmp_path / "buffer", full=full)
        for number in range(10):
            spool.append(payload(number), 1)
        spool.sync()
        with contextlib.suppress(OSError):
            (mount / "others").write_bytes(bytes(2 << 20))
        for number in range(10, 500):
            assert spool.append(payload(number), 1)
        with pytest.raises(SinkError, match=r"No space|could be written"):
            spool.sync()
        assert (numbers(spool), spool.dropped) == (list(range(500)), 0)
        (mount / "others").unlink()
        spool.sync()
        assert (numbers(spool), spool.dropped) == (list(range(500)), 0)
        assert sum(segments(mount / "disk").values()) == 500 * 120
        spool.close()


def test_a_full_disk_and_a_full_buffer_keep_the_newest(tmp_path: Path) -> None:
    with mounted(tmp_path / "mount", "size=1m") as mount:
        spool = Spool(mount / "disk", buffer=tmp_path / "buffer")
        total = 2600
        for number in range(total):
            assert spool.append(payload(number, 1000), 1)
        left = numbers(spool)
        assert left == list(range(total - len(left), total))
        assert len(left) > 1000
        assert (spool.pending, spool.dropped) == (len(left), total - len(left))
        spool.close()


def test_a_buffer_that_is_full_or_cannot_be_used_is_done_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with mounted(tmp_path / "buffer", "size=64k"):
        spool = buffered(tmp_path)
        for number in range(2000):
            assert spool.append(payload(number), 1)
        assert numbers(spool) == list(range(2000))
        assert caplog.text.count("go to disk at once") == 1
        spool.close()
    shutil.rmtree(tmp_path / "disk")
    (tmp_path / "file").touch()
    spool = Spool(tmp_path / "disk", buffer=tmp_path / "file")
    spool.append(payload(1), 1)
    assert len(segments(tmp_path / "disk")) == 1
    spool.close()
    with pytest.raises(SinkError, match="spool=PATH"):
        Spool(tmp_path / "file", buffer=tmp_path / "file")


def test_two_publishers_on_one_buffer(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    with pytest.raises(SinkError, match="buffer=PATH"):
        Spool(tmp_path / "other", buffer=tmp_path / "buffer")
    spool.close()
    buffered(tmp_path).close()


def test_a_buffer_deleted_by_somebody_costs_nothing_that_is_open(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    for number in range(5):
        spool.append(payload(number), 1)
    shutil.rmtree(tmp_path / "buffer")
    spool.append(payload(5), 1)
    assert numbers(spool) == list(range(6))
    spool.sync()
    for number in range(6, 9):
        assert spool.append(payload(number), 1)
    assert (numbers(spool), spool.pending, spool.dropped) == (list(range(9)), 9, 0)
    spool.close()
    spool = buffered(tmp_path)
    assert (numbers(spool), spool.recovered) == (list(range(9)), 9)
    spool.close()


def test_what_cannot_be_read_any_more_is_counted_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path, max_bytes=MIN_MAX_BYTES)
    for number in range(50):
        spool.append(payload(number), 1)
    (record, *_) = spool.read(START)
    sorted(tmp_path.glob("*.segment"))[0].unlink()
    assert numbers(spool) == numbers(spool)
    assert not spool.acknowledge(record.end, 1)
    assert caplog.text.count("are lost") == 1
    assert spool.pending == len(numbers(spool)) == 50 - spool.dropped
    spool.close()

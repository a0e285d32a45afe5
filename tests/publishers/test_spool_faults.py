"""What a disk, a folder or a descriptor does to the spool that goes away or fails, and comes back or does not."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from made import numbered
from processes import STALL_S
from spooling import START, buffered, fails_once, numbers, payload

from motionsig import wire
from motionsig.errors import SinkError
from motionsig.publishers.frames import frame
from motionsig.publishers.messages import pack
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import Outbox
from motionsig.publishers.spool import BUFFER_BYTES_AT_LEAST, MIN_MAX_BYTES, Spool


def left_over(folder: Path, count: int) -> None:
    """Leave what so many restarts in an outage leave: a segment each."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number + 1:012d}.segment").write_bytes(frame(payload(number), 1))


def test_a_disk_away_at_the_start_brings_the_beginning_of_what_the_buffer_ends(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    for number in range(20):
        spool.append(payload(number), 1)
    spool.sync()
    for number in range(20, 25):
        spool.append(payload(number), 1)
    shutil.copytree(tmp_path, tmp_path / "killed")
    spool.close()
    disk = tmp_path / "killed" / "disk"
    disk.rename(tmp_path / "away")
    disk.touch()
    spool = buffered(tmp_path / "killed")
    assert (numbers(spool), spool.recovered) == (list(range(20, 25)), 5)
    disk.unlink()
    (tmp_path / "away").rename(disk)
    spool.sync()
    spool.append(payload(25), 1)
    everything = [*range(20, 25), *range(20), 25]
    assert (numbers(spool), spool.pending, spool.recovered) == (everything, 26, 25)
    spool.close()
    spool = buffered(tmp_path / "killed")
    assert (numbers(spool), spool.damaged_bytes) == (everything, 0)
    spool.close()


@pytest.mark.parametrize("number", [1, 200_000_000_000])
def test_what_a_late_disk_brings_is_sent_on_the_same_connection(tmp_path: Path, number: int) -> None:
    late, *live = (next(pack(wire.Message("d", 1, seq, numbered(1)))).data for seq in (500, 0, 1))
    earlier = Spool(tmp_path / "away")
    earlier._next_number = number
    earlier.append(late, 1)
    earlier.close()
    (tmp_path / "disk").touch()
    spool = buffered(tmp_path)
    outbox = Outbox(spool, MqttOptions(delay_s=0.0, hold_s=1.0), now_s=0.0)
    spool.append(live[0], 1)
    outbox.connect()
    assert outbox.next(1.0) is not None
    (tmp_path / "disk").unlink()
    (tmp_path / "away").rename(tmp_path / "disk")
    spool.sync()
    spool.append(live[1], 1)
    sent = [outbox.next(2.0) for _ in range(3)]
    assert {one.payload for one in sent if one is not None} == {late, live[1]}
    spool.close()


def test_a_move_that_began_anew_and_is_cut_short_brings_nothing_back(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    for number in range(100):
        spool.append(payload(number), 1)
    records = spool.read(START)
    for record in records[:95]:
        spool.acknowledge(record.end, 1)
    spool.forget(spool.first, records[94].end)
    shutil.copytree(tmp_path / "buffer", tmp_path / "killed" / "buffer")
    spool.sync()
    shutil.copytree(tmp_path / "disk", tmp_path / "killed" / "disk")
    spool.close()
    spool = buffered(tmp_path / "killed")
    assert (numbers(spool), spool.recovered, spool.damaged_bytes) == (list(range(95, 100)), 5, 0)
    spool.close()


@pytest.mark.parametrize("buffer", [True, False])
def test_a_folder_that_vanishes_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture, buffer: bool) -> None:
    spool = buffered(tmp_path) if buffer else Spool(tmp_path / "disk")
    spool.append(payload(0), 1)
    spool.sync()
    shutil.rmtree(tmp_path / "disk")
    spool.append(payload(1), 1)
    spool.sync()
    spool.append(payload(2), 1)
    spool.sync()
    assert (spool.failure, caplog.text.count("is made again")) == (None, 1)
    with pytest.raises(SinkError, match="has this spool open"):
        Spool(tmp_path / "disk")
    spool.close()
    shutil.rmtree(tmp_path / "buffer", ignore_errors=True)
    spool = Spool(tmp_path / "disk")
    assert numbers(spool) == ([1, 2] if buffer else [2])
    spool.close()


def test_what_the_buffer_ends_is_sent_without_its_beginning(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    spool.append(payload(0), 1)
    spool.sync()
    spool.append(payload(1), 1)
    shutil.rmtree(tmp_path / "disk")
    assert numbers(spool) == [1]
    (record,) = spool.read(START)
    spool.acknowledge(record.end, 1)
    spool.forget(START, record.end)
    assert (spool.pending, spool.dropped) == (0, 1)
    spool.close()


def test_a_buffer_that_vanishes_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = buffered(tmp_path, max_bytes=MIN_MAX_BYTES)
    spool.append(payload(0), 1)
    shutil.rmtree(tmp_path / "buffer")
    spool.sync()
    for number in range(1, 100):
        assert spool.append(payload(number), 1)
    assert sum(path.stat().st_size for path in (tmp_path / "buffer").glob("*.segment")) > 0
    assert (numbers(spool), caplog.text.count("is made again")) == (list(range(100)), 1)
    spool.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_an_error_that_passes_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    spool = Spool(tmp_path, max_bytes=MIN_MAX_BYTES)
    for number in range(100):
        spool.append(payload(number), 1)
    fails_once(monkeypatch, "open", error, lambda path, *_: str(path).endswith(".segment"))
    assert spool.read(START) == []
    assert (numbers(spool), spool.pending, spool.dropped) == (list(range(100)), 100, 0)
    spool.close()


def test_one_segment_that_cannot_be_written_keeps_no_other_from_the_disk(tmp_path: Path) -> None:
    spool = buffered(tmp_path)
    spool.append(payload(0), 1)
    shutil.copytree(tmp_path / "buffer", tmp_path / "killed" / "buffer")
    spool.close()
    (tmp_path / "killed" / "disk" / "000000000001.segment").mkdir(parents=True)
    spool = buffered(tmp_path / "killed")
    spool.append(payload(1), 1)
    for _ in range(2):
        with pytest.raises(SinkError, match="Is a directory"):
            spool.sync()
    assert [len(segment.fresh) for segment in spool._segments.values()] == [1, 0]
    spool.close()


def test_what_many_restarts_left_does_not_hold_up_what_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_over(tmp_path / "disk", 100)
    flushed: list[str] = []
    reached, goes_on = threading.Event(), threading.Event()

    def slow(fd: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{fd}"))
        if len(flushed) == 10:
            reached.set()
            assert goes_on.wait(60)

    monkeypatch.setattr(os, "fsync", slow)
    spool = buffered(tmp_path, fsync_after_s=0.1)
    keeper = threading.Thread(target=spool.sync)
    keeper.start()
    assert reached.wait(60)
    spool.append(payload(100), 1)
    (new,) = (str(one.path) for one in spool._segments.values() if one.size and one.named is False and one.mid == 0)
    time.sleep(0.1)  # it is due by then, and the disk goes on
    goes_on.set()
    keeper.join()
    names, folders = ([it for it in flushed if os.path.isdir(it) == is_folder] for is_folder in (False, True))
    assert names.index(new) < 15, "it came between"
    assert (len(names), len(folders)) == (101, 2), "the names of all at once"
    assert (numbers(spool), spool.due_in_s(time.monotonic()) > 0.09) == (list(range(101)), True)
    spool.close()


@pytest.mark.parametrize("max_bytes", [MIN_MAX_BYTES, MIN_MAX_BYTES + 200])
def test_small_files_count_as_what_they_take(tmp_path: Path, max_bytes: int) -> None:
    left_over(tmp_path / "disk", 40)
    spool = Spool(tmp_path / "disk", max_bytes=max_bytes)
    assert spool.append(payload(40), 1)
    assert len(list((tmp_path / "disk").glob("*.segment"))) <= MIN_MAX_BYTES // 4096
    left = numbers(spool)
    assert (left[-1], spool.used_bytes) == (40, 120 * len(left))
    assert (spool.pending, spool.dropped) == (len(left), 41 - len(left))
    spool.close()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that takes as long as it likes to say that something is there."""
    released = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _: released.wait(60))
    yield released
    released.set()


def test_a_full_buffer_does_not_wait_for_a_disk_that_hangs(tmp_path: Path, hanging: threading.Event) -> None:
    spool = buffered(tmp_path)
    spool.append(payload(0, 1000), 1)
    keeper = threading.Thread(target=spool.sync)
    keeper.start()
    total, longest_s = BUFFER_BYTES_AT_LEAST // 1000, 0.0
    for number in range(1, total):
        began_s = time.monotonic()
        assert spool.append(payload(number, 1000), 1)
        longest_s = max(longest_s, time.monotonic() - began_s)
    assert longest_s < STALL_S
    hanging.set()
    keeper.join()
    left = numbers(spool)
    assert left == list(range(total - len(left), total))
    assert (spool.pending, spool.dropped) == (len(left), total - len(left))
    spool.close()


def test_a_slow_disk_is_read_while_others_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, max_bytes=MIN_MAX_BYTES)
    for number in range(100):
        spool.append(payload(number), 1)
    begun, released = threading.Event(), threading.Event()
    pread = os.pread

    def slow(fd: int, size: int, at: int) -> bytes:
        begun.set()
        assert released.wait(60)
        return pread(fd, size, at)

    monkeypatch.setattr(os, "pread", slow)
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.extend(numbers(spool)))
    reader.start()
    assert begun.wait(60)
    appender = threading.Thread(target=spool.append, args=(payload(100), 1))
    appender.start()
    appender.join(30)
    assert not appender.is_alive()
    released.set()
    reader.join()
    assert found == list(range(101))
    spool.close()


def test_what_a_failed_flush_may_have_lost_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    for number in range(3):
        spool.append(payload(number), 1)
    written: list[bytes] = []
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: (written.append(data), pwrite(fd, data, at))[1])
    fails_once(monkeypatch, "fsync", errno.EIO, lambda _: True)
    spool._segments[1].named = True
    with pytest.raises(SinkError):
        spool.sync()
    spool.append(payload(3), 1)
    spool.sync()
    spool.sync()
    assert written == [b"".join(frame(payload(number), 1) for number in range(3))]
    spool.close()
    spool = Spool(tmp_path)
    assert (numbers(spool), spool.damaged_bytes) == ([0, 1, 2, 3], 0)
    spool.close()


def test_what_can_never_be_sent_is_said_once_and_takes_no_space(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path)
    (message,) = pack(wire.Message("d", 1, 0, numbered(1)))
    for data in (b"another version", b"another version", message.data, b"another version"):
        spool.append(data, 1)
    outbox = Outbox(spool, MqttOptions(delay_s=0.0, hold_s=0.0), now_s=0.0)
    for _ in range(3):
        outbox.connect()
        outgoing = outbox.next(1.0)
        assert outgoing is not None
        outbox.next(1.0)
        if _ < 2:
            outbox.disconnect(2.0)
    assert [record.getMessage().count("3 signatures or events cannot be sent") for record in caplog.records] == [1]
    outgoing.acknowledged = True
    outbox.settle(3.0)
    assert (spool.used_bytes, spool.pending, spool.dropped) == (0, 0, 3)
    spool.append(b"another version", 1)
    assert outbox.next(4.0) is None
    assert (spool.used_bytes, spool.dropped) == (0, 4)
    spool.close()


def test_a_spool_of_an_earlier_format_is_not_deleted(tmp_path: Path) -> None:
    earlier = b"\xf7mS\x01" + bytes(100)
    (tmp_path / "000000000001.segment").write_bytes(earlier)
    spool = Spool(tmp_path)
    spool.append(payload(0), 1)
    assert (spool.damaged_bytes, numbers(spool)) == (104, [0])
    spool.close()
    assert (tmp_path / "000000000001.segment").read_bytes() == earlier

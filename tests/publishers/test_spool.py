from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import lines_until_killed

from motionsig.errors import InputError, SinkError
from motionsig.publishers.frames import frame, scan
from motionsig.publishers.log import Position
from motionsig.publishers.spool import MIN_MAX_BYTES, Spool

START = Position(0, 0)


def payloads(spool: Spool, position: Position = START) -> list[bytes]:
    """Return everything from `position` on."""
    found = []
    while records := spool.read(position):
        found += [record.payload for record in records]
        position = records[-1].end
    return found


def numbered(number: int, size: int = 100) -> bytes:
    return number.to_bytes(4, "big") * (size // 4)


def test_what_went_in_comes_out_in_order_and_again_after_reopening(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "deep" / "spool")
    everything = [numbered(number, 4 + 4 * number) for number in range(200)]
    assert all(spool.append(payload, 2) for payload in everything)
    assert payloads(spool) == everything
    assert (spool.pending, spool.dropped) == (400, 0)
    spool.close()
    spool = Spool(tmp_path / "deep" / "spool")
    assert payloads(spool) == everything
    assert (spool.pending, spool.recovered, spool.damaged_bytes) == (400, 400, 0)
    spool.close()


def test_forgetting_everything_leaves_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=MIN_MAX_BYTES)
    for number in range(100):
        spool.append(numbered(number), 1)
    records = spool.read(START)
    for record in records[:-1]:
        spool.acknowledge(record.end, 1)
    spool.forget(START, records[-2].end)
    assert payloads(spool)[0] == records[-1].payload, "what is forgotten is not read again"
    spool.acknowledge(records[-1].end, 1)
    spool.forget(START, records[-1].end)
    assert payloads(spool)[0] == numbered(len(records))
    for record in (record for start in [spool.first] for record in spool.read(start)):
        spool.acknowledge(record.end, 1)
    end = spool.end
    spool.forget(START, end)
    assert (spool.used_bytes, payloads(spool)) == (0, [])
    assert spool.append(b"after", 1)
    assert payloads(spool, end) == [b"after"], "positions do not run backwards when the file is cut"
    spool.close()
    assert [path.name for path in sorted(tmp_path.iterdir())][-1] == "lock"


@pytest.mark.parametrize("full", ["oldest", "newest", "wait"])
def test_a_full_spool_keeps_its_bound_and_counts_what_it_drops(tmp_path: Path, full: str) -> None:
    spool = Spool(tmp_path, max_bytes=MIN_MAX_BYTES, full=full)
    kept = [number for number in range(2000) if spool.append(numbered(number), 3)]
    assert spool.used_bytes <= MIN_MAX_BYTES
    left = [int.from_bytes(payload[:4], "big") for payload in payloads(spool)]
    assert spool.pending == 3 * len(left)
    assert len(left) > 2000 * 0.2
    if full == "oldest":
        assert (left, len(kept)) == (list(range(2000 - len(left), 2000)), 2000)
        assert spool.dropped == 3 * (2000 - len(left))
    else:
        assert left == kept == list(range(len(left)))
        assert spool.dropped == (3 * (2000 - len(left)) if full == "newest" else 0)
    spool.close()


@pytest.mark.parametrize("full", ["newest", "wait"])
def test_what_has_arrived_makes_space_before_anything_is_dropped(tmp_path: Path, full: str) -> None:
    spool = Spool(tmp_path, max_bytes=MIN_MAX_BYTES, full=full)
    while spool.append(numbered(1), 1):
        pass
    dropped = spool.dropped
    for record in spool.read(START):
        spool.acknowledge(record.end, 1)
    assert spool.append(numbered(2), 1)
    assert spool.dropped == dropped
    spool.close()


def test_a_second_publisher_is_told_who_has_the_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    with pytest.raises(SinkError, match=rf"process {os.getpid()}\) has this spool open"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_after_close(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"kept", 1)
    end = spool.end
    spool.close()
    spool.close()
    with pytest.raises(SinkError, match="closed"):
        spool.append(b"x", 1)
    spool.forget(START, end)
    assert spool.read(START) == []
    spool = Spool(tmp_path)
    assert payloads(spool) == [b"kept"]
    spool.close()


def test_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="oldest, newest, wait"):
        Spool(tmp_path, full="both")
    with pytest.raises(InputError, match="max_bytes"):
        Spool(tmp_path, max_bytes=10)
    (tmp_path / "file").touch()
    with pytest.raises(SinkError, match="spool=PATH"):
        Spool(tmp_path / "file")


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "1.segment").write_text("mine, too")
    spool = Spool(tmp_path)
    assert payloads(spool) == []
    spool.close()
    assert len(list(tmp_path.iterdir())) == 3


SOUND = [numbered(number, 40 + number % 7) for number in range(8)]
SEGMENT = b"".join(frame(payload, 1) for payload in SOUND)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(SEGMENT)))
def test_a_torn_tail_costs_only_the_torn_record(length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "000000000001.segment").write_bytes(SEGMENT[:length])
        spool = Spool(Path(folder))
        whole = [payload for end, payload in zip(ends(), SOUND, strict=True) if end <= length]
        assert payloads(spool) == whole
        assert spool.damaged_bytes == length - sum(len(frame(payload, 1)) for payload in whole)
        assert spool.append(b"new", 1)
        assert payloads(spool) == [*whole, b"new"]
        spool.close()


def ends() -> list[int]:
    total, found = 0, []
    for payload in SOUND:
        total += len(frame(payload, 1))
        found.append(total)
    return found


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SEGMENT) - 1), st.integers(1, 255)), min_size=1, max_size=4),
    st.binary(max_size=40),
    st.integers(0, len(SEGMENT)),
)
def test_damage_anywhere_costs_only_the_records_it_hits(
    flips: list[tuple[int, int]], junk: bytes, junk_at: int
) -> None:
    data = bytearray(SEGMENT)
    for at, change in flips:
        data[at] ^= change
    bounds = list(zip([0, *ends()], ends(), SOUND, strict=False))
    untouched = [
        payload
        for start, end, payload in bounds
        if bytes(data[start:end]) == SEGMENT[start:end] and not start < junk_at < end
    ]
    data[junk_at:junk_at] = junk
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "000000000001.segment").write_bytes(data)
        spool = Spool(Path(folder))
        found = payloads(spool)
        assert [payload for payload in found if payload in untouched] == untouched
        assert set(found) <= set(SOUND)
        spool.close()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_junk_is_not_a_record(junk: bytes) -> None:
    assert list(scan(junk)) == []
    assert list(scan(junk + frame(b"x", 1) + junk)) == [(len(junk), len(junk) + len(frame(b"x", 1)), 1, b"x")]


def test_a_record_altered_while_it_waits_is_skipped_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(10):
        spool.append(numbered(number), 1)
    (segment,) = tmp_path.glob("*.segment")
    data = bytearray(segment.read_bytes())
    data[len(frame(numbered(0), 1)) + 30] ^= 1
    segment.write_bytes(data)
    found = spool.read(START)
    assert [record.payload for record in found] == [numbered(number) for number in range(10) if number != 1]
    for record in found:
        spool.acknowledge(record.end, 1)
    spool.forget(START, spool.end)
    assert (spool.pending, spool.dropped) == (0, 1)
    spool.close()


KILLED = """
import sys, pathlib
from motionsig.publishers.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]))
number = 0
while True:
    assert spool.append(number.to_bytes(4, "big") * 50, 1)
    print(number, flush=True)
    number += 1
"""


def test_kill_9_loses_nothing_that_was_taken(tmp_path: Path) -> None:
    taken = int(lines_until_killed(sys.executable, "-c", KILLED, str(tmp_path), after=500)[-1]) + 1
    spool = Spool(tmp_path)
    found = [int.from_bytes(payload[:4], "big") for payload in payloads(spool)]
    assert found in (list(range(taken)), list(range(taken + 1)))
    assert spool.damaged_bytes == 0
    spool.close()


DISK_FULL = """
import resource, sys, pathlib
from motionsig.publishers.spool import Spool
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
spool = Spool(pathlib.Path(sys.argv[1]), full=sys.argv[2])
taken = [number for number in range(100) if spool.append(number.to_bytes(4, "big") * 50, 1)]
print(len(taken), spool.dropped, spool.used_bytes)
spool.close()
"""


@pytest.mark.parametrize("full", ["oldest", "newest"])
def test_a_write_cut_short_leaves_no_torn_record(tmp_path: Path, full: str) -> None:
    """RLIMIT_FSIZE makes write(2) return short and then fail, as a full disk does."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 0
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", DISK_FULL, str(tmp_path), full], capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    taken, dropped, used = map(int, child.stdout.split())
    per_record = len(frame(bytes(200), 1))
    fitting = 3000 // per_record
    spool = Spool(tmp_path)
    found = [int.from_bytes(payload[:4], "big") for payload in payloads(spool)]
    assert (spool.damaged_bytes, used) == (0, len(found) * per_record)
    if full == "newest":
        assert (found, taken, dropped) == (list(range(fitting)), fitting, 100 - fitting)
    else:
        assert (found, taken, dropped) == (list(range(100 - len(found), 100)), 100, 100 - len(found))
    spool.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize("full", ["oldest", "newest", "wait"])
def test_a_full_disk_loses_nothing_that_was_taken(tmp_path: Path, full: str) -> None:
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        spool = Spool(mount / "spool", full=full)
        kept = [number for number in range(1000) if spool.append(numbered(number, 400), 1)]
        found = [int.from_bytes(payload[:4], "big") for payload in payloads(spool)]
        assert spool.pending == len(found)
        assert spool.dropped == (0 if full == "wait" else 1000 - len(found))
        if full == "oldest":
            assert (kept, found) == (list(range(1000)), list(range(1000 - len(found), 1000)))
        else:
            assert found == kept == list(range(len(kept)))
            assert len(found) > 100
        spool.sync()
        spool.close()
        spool = Spool(mount / "spool")
        assert (spool.damaged_bytes, spool.recovered) == (0, len(found))
        spool.close()
    finally:
        subprocess.run(["umount", mount], check=True)


def test_sync_and_a_lock_left_by_a_dead_process(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("99999")
    spool = Spool(tmp_path)
    spool.append(b"x", 1)
    spool.sync()
    spool.sync()
    with (tmp_path / "lock").open() as lock, pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    spool.close()

"""Damage to the spool's files, in either place: it opens, loses at most what was damaged, and says how much."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.publishers.frames import HEADER_BYTES, frame, header, scan
from motionsig.publishers.log import Position
from motionsig.publishers.spool import Spool

SIZES = (40, 41, 63, 90, 5, 120)
RECORDS = [number.to_bytes(4, "big") + bytes([number]) * SIZES[number % 6] for number in range(40)]
FRAMES = [frame(payload, 2) for payload in RECORDS]
# Where an undamaged spool keeps them: place, number of the segment, records.
LAYOUT = [("disk", 1, range(12)), ("disk", 2, range(12, 20)), ("buffer", 2, range(20, 25)),
          ("disk", 5, range(25, 30)), ("disk", 6, range(30, 33)), ("buffer", 6, range(30, 40))]  # fmt: skip


def write(folder: Path) -> list[Path]:
    paths = []
    for place, number, records in LAYOUT:
        path = folder / place / f"{number:012d}.segment"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(FRAMES[record] for record in records))
        paths.append(path)
    return paths


def opened(folder: Path) -> Spool:
    return Spool(folder / "disk", buffer=folder / "buffer")


def found_in(spool: Spool) -> list[bytes]:
    found, position = [], Position(0, 0)
    while records := spool.read(position):
        found += [record.payload for record in records]
        position = records[-1].end
    return found


def altered(data: bytes, kind: str, at: int, size: int, junk: bytes) -> bytes:
    """Return `data` damaged from about `at` on."""
    at = at % (len(data) + 1)
    if kind == "flip":
        return data[:at] + bytes(byte ^ (1 << size % 8) for byte in data[at : at + 1]) + data[at + 1 :]
    if kind == "truncate":
        return data[:at]
    if kind == "zero":
        return data[:at] + bytes(len(data[at : at + size])) + data[at + size :]
    if kind == "cut":
        return data[:at] + data[at + size :]
    if kind == "double":
        return data[:at] + data[max(0, at - size) :]
    if kind == "huge":
        # The length of some record says that it goes on nearly for ever.
        start = data.rfind(FRAMES[0][:4], 0, at)
        return data[: start + 8] + junk[:4].ljust(4, b"\xff") + data[start + 12 :] if start >= 0 else data
    return data[:at] + junk + data[at:]


KINDS = ("flip", "truncate", "zero", "cut", "double", "huge", "junk")
DAMAGE = st.tuples(
    st.integers(0, 5), st.sampled_from(KINDS), st.integers(0, 4000), st.integers(1, 900), st.binary(max_size=80)
)


@settings(max_examples=80, deadline=None)
@given(st.lists(DAMAGE, min_size=1, max_size=4), st.booleans(), st.permutations(range(6)))
def test_it_opens_and_loses_at_most_what_was_damaged(
    damage: list[tuple[int, str, int, int, bytes]], swapped: bool, order: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write(folder)
        for which, kind, at, size, junk in damage:
            paths[which].write_bytes(altered(paths[which].read_bytes(), kind, at, size, junk))
        if swapped:
            contents = [path.read_bytes() for path in paths]
            for path, source in zip(paths, order, strict=True):
                path.write_bytes(contents[source])
        held = [path.read_bytes() for path in paths]
        whole = {payload for payload, framed in zip(RECORDS, FRAMES, strict=True) if any(framed in one for one in held)}
        total = sum(map(len, held))
        spool = opened(folder)
        found = found_in(spool)
        assert whole <= set(found) <= set(RECORDS)
        assert spool.recovered == spool.pending == 2 * len(found)
        taken = sum(len(frame(payload, 2)) for payload in found)
        moved_twice = total - taken - spool.damaged_bytes
        assert moved_twice >= 0, "what is neither taken nor damaged was in both places"
        if {kind for _, kind, *_ in damage} <= {"flip", "zero", "huge", "junk"}:
            assert spool.damaged_bytes > 0 or set(found) == set(RECORDS)
        assert spool.append(b"new", 1)
        spool.sync()
        assert found_in(spool) == [*found, b"new"]
        spool.close()
        spool = opened(folder)
        assert found_in(spool) == [*found, b"new"], "and again after the next start"
        spool.close()


def test_an_undamaged_one_says_so(tmp_path: Path) -> None:
    write(tmp_path)
    spool = opened(tmp_path)
    assert (found_in(spool), spool.damaged_bytes) == (RECORDS, 0)
    spool.close()


def test_every_byte_of_a_file(tmp_path: Path) -> None:
    data = b"".join(FRAMES[:3])
    ends = list(itertools.accumulate(map(len, FRAMES[:3])))
    for at in range(len(data)):
        hit = sum(end <= at for end in ends)
        found = list(scan(altered(data, "flip", at, at, b"")))
        assert [payload for *_, payload in found] == [RECORDS[number] for number in range(3) if number != hit]


@pytest.mark.parametrize("place", ["disk", "buffer"])
def test_what_is_no_file_and_what_is_not_ours(tmp_path: Path, place: str) -> None:
    write(tmp_path)
    folder = tmp_path / place
    (folder / "000000000003.segment").mkdir()
    (folder / "000000000003.segment" / "inside").write_text("mine")
    os.mkfifo(folder / "000000000004.segment")
    (folder / "000000000007.segment").symlink_to("/nowhere")
    (folder / "000000000008.segment").symlink_to("000000000008.segment")
    (folder / "000000000009.segment").write_bytes(b"")
    (folder / "999999999999.segment").write_bytes(FRAMES[0] + b"\xff" * 100)
    (folder / "notes.txt").write_text("mine")
    (folder / "1.segment").write_text("mine, too")
    spool = opened(tmp_path)
    assert found_in(spool) == [*RECORDS, RECORDS[0]]
    assert spool.damaged_bytes >= 100 + 2
    assert spool.append(b"new", 1)
    spool.sync()
    spool.close()
    spool = opened(tmp_path)
    assert found_in(spool) == [*RECORDS, RECORDS[0], b"new"]
    spool.close()
    assert (folder / "notes.txt").read_text() + (folder / "1.segment").read_text() == "minemine, too"
    assert (folder / "000000000003.segment" / "inside").exists()


def test_pages_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Worn flash answers with EIO, for whatever touches the page."""
    big = [frame(number.to_bytes(4, "big") + b"\x55" * 496, 1) for number in range(100)]
    path = tmp_path / "disk" / "000000000001.segment"
    path.parent.mkdir()
    path.write_bytes(b"".join(big))
    pread = os.pread

    def worn(fd: int, size: int, offset: int) -> bytes:
        if offset < 3 * 4096 and offset + size > 2 * 4096:
            raise OSError(errno.EIO, "Input/output error")
        return pread(fd, size, offset)

    monkeypatch.setattr(os, "pread", worn)
    spool = opened(tmp_path)
    kept = [number for number in range(100) if (number + 1) * 520 <= 2 * 4096 or number * 520 >= 3 * 4096]
    assert [int.from_bytes(payload[:4], "big") for payload in found_in(spool)] == kept
    assert (spool.recovered, spool.damaged_bytes) == (len(kept), (100 - len(kept)) * 520)
    spool.close()


def test_a_file_larger_than_any_of_ours_is_read_no_further(tmp_path: Path) -> None:
    path = tmp_path / "disk" / "000000000001.segment"
    path.parent.mkdir()
    path.write_bytes(FRAMES[0])
    os.truncate(path, 1 << 40)
    began_s = time.thread_time()
    spool = opened(tmp_path)
    assert time.thread_time() - began_s < 2
    assert found_in(spool) == RECORDS[:1]
    assert spool.damaged_bytes == (1 << 40) - len(FRAMES[0])
    spool.close()


JUNK = {
    "zeros": bytes(262144),
    "marks": FRAMES[0][:4] * 65536,
    "headers": FRAMES[0][:HEADER_BYTES] * 13000,
    # Each says, soundly, that what it heads goes on to the end.
    "heads of all the rest": b"".join(header(rest, 1, 0) for rest in range(13000 * HEADER_BYTES, 0, -HEADER_BYTES)),
}


@pytest.mark.parametrize("kind", JUNK)
def test_a_full_spool_of_junk_opens_in_bounded_time_and_memory(tmp_path: Path, kind: str) -> None:
    for number in range(1, 9):
        (tmp_path / f"{number:012d}.segment").write_bytes(JUNK[kind])
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began_s = time.thread_time()
    spool = Spool(tmp_path)
    assert time.thread_time() - began_s < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 4096
    assert (spool.recovered, spool.damaged_bytes) == (0, 8 * len(JUNK[kind]))
    spool.close()

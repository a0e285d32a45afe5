"""MCAP: written by our own writer and by the library of the format's authors; read back, damaged, cut."""

from __future__ import annotations

import io
import logging
import struct
import sys
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from made_logs import COUNT, DATA, UNIX_NS
from reading import six, whole

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.errors import InputError, MissingExtraError, RecordingError
from motionsig.facts import Fact
from motionsig.recordings.formats.mcap import READER, tables
from motionsig.recordings.formats.mcap_writer import TOPIC, write_mcap

writing = pytest.importorskip("mcap.writer")
INFO = SourceInfo("walk", "made", 7, facts=(Fact("units", "SI", "told"),))


def blocks() -> list[SampleBlock]:
    """Return blocks with uneven times, gaps, labels and a sample that is lost."""
    times = UNIX_NS + np.arange(COUNT) * 10_000_000 + np.arange(COUNT) % 7
    data = DATA.astype(np.float32)
    data[5, 2] = np.nan
    cuts, labels = [0, 100, 150, 300, COUNT], ["", "walk", "walk", ""]
    return [
        SampleBlock(times[first:end], data[first:end], gap=number in (0, 2), label=labels[number])
        for number, (first, end) in enumerate(pairwise(cuts))
    ]


def by_library(path: Path, *, chunk_bytes: int = 20_000, **options: object) -> Path:
    """Write a log of small chunks as rosbag2 does, with another topic in it."""
    sources = write_mcap(path, blocks(), INFO, compression="none")
    assert sources == COUNT
    from mcap.reader import make_reader

    messages = list(make_reader(io.BytesIO(path.read_bytes())).iter_messages())
    with path.open("wb") as file:
        writer = writing.Writer(file, chunk_size=chunk_bytes, **options)
        writer.start()
        ids = {}
        for schema, channel, message in messages:
            if channel.topic not in ids:
                known = writer.register_schema(schema.name, schema.encoding, schema.data)
                ids[channel.topic] = writer.register_channel(channel.topic, channel.message_encoding, known)
            writer.add_message(ids[channel.topic], message.log_time, message.data, message.publish_time)
        writer.finish()
    return path


def check(path: Path) -> None:
    (table,) = tables(path)
    assert (table.name, table.names[-1]) == (TOPIC, "label")
    columns, breaks = whole(table)
    made = blocks()
    np.testing.assert_array_equal(six(columns).astype(np.float32), np.concatenate([block.data for block in made]))
    np.testing.assert_array_equal(columns["time"].astype(np.int64), np.concatenate([block.time_ns for block in made]))
    assert breaks == [0, 150]
    assert columns["label"].tolist() == [block.label for block in made for _ in range(len(block))]


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_what_is_written_is_read_back(tmp_path: Path, compression: str) -> None:
    path = tmp_path / "log.mcap"
    assert write_mcap(path, blocks(), INFO, compression=compression) == COUNT  # type: ignore[arg-type]
    assert READER.recognises(path, path.read_bytes()[:64]) == 3
    check(path)


@pytest.mark.parametrize("compression", ["NONE", "LZ4", "ZSTD"])
@pytest.mark.parametrize("chunking", [True, False])
def test_every_packing_is_read(tmp_path: Path, compression: str, chunking: bool) -> None:
    packing = writing.CompressionType[compression]
    check(by_library(tmp_path / "log.mcap", compression=packing, use_chunking=chunking))


def test_a_log_without_a_summary_is_read(tmp_path: Path) -> None:
    options = {"repeat_channels": False, "repeat_schemas": False, "use_statistics": False, "use_summary_offsets": False}
    check(by_library(tmp_path / "log.mcap", **options))


def test_rosbags_and_the_library_read_it_as_ros(tmp_path: Path) -> None:
    highlevel = pytest.importorskip("rosbags.highlevel")
    path = tmp_path / "log.mcap"
    write_mcap(path, blocks(), INFO)
    with highlevel.AnyReader([path]) as reader:
        assert {it.topic: it.msgcount for it in reader.connections} == {"/imu": COUNT, "/imu/gap": 2, "/imu/label": 2}
        found = [(it.topic, reader.deserialize(raw, it.msgtype)) for it, _, raw in reader.messages()]
    labels = [message.data for topic, message in found if topic == "/imu/label"]
    imu = [message for topic, message in found if topic == "/imu"]
    assert labels == ["walk", ""]
    assert imu[7].header.frame_id == "imu" and imu[7].orientation_covariance[0] == -1
    assert imu[7].header.stamp.sec * 10**9 + imu[7].header.stamp.nanosec == UNIX_NS + 7 * 10_000_000
    assert imu[7].linear_acceleration.z == np.float32(DATA[7, 2])
    assert imu[7].angular_velocity.y == np.float32(DATA[7, 4])


def test_the_metadata_says_where_it_is_from(tmp_path: Path) -> None:
    from mcap.reader import make_reader

    path = tmp_path / "log.mcap"
    write_mcap(path, blocks(), INFO)
    (about,) = make_reader(io.BytesIO(path.read_bytes())).iter_metadata()
    assert (about.name, about.metadata["name"], about.metadata["units"]) == ("motionsig", "walk", "SI (told)")


@pytest.mark.parametrize("time_ns", [-1, 2**31 * 10**9])
def test_times_that_ros_cannot_hold_are_refused(tmp_path: Path, time_ns: int) -> None:
    block = SampleBlock(np.array([time_ns]), DATA[:1].astype(np.float32))
    with pytest.raises(InputError, match=r"log\.mcap: expected times from 1970 to 2038 for MCAP"):
        write_mcap(tmp_path / "log.mcap", [block], INFO)


def test_a_damaged_chunk_is_a_break(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = by_library(tmp_path / "log.mcap", compression=writing.CompressionType.NONE)
    content = bytearray(path.read_bytes())
    at = content.find(DATA[200].astype(np.float32).astype("<f8")[:3].tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    columns, breaks = whole(tables(path)[0])
    lost = COUNT - len(columns["time"])
    assert 0 < lost < COUNT / 3
    steps = np.diff(columns["time"].astype(np.int64))
    after = int(np.argmax(steps)) + 1
    assert after in breaks and steps[after - 1] > lost * 9_000_000
    assert "passed over a damaged part" in caplog.text


def test_a_log_that_ends_early_is_read_as_far_as_it_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = by_library(tmp_path / "log.mcap")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    columns, _ = whole(tables(path)[0])
    count = len(columns["time"])
    assert COUNT / 4 < count < COUNT
    np.testing.assert_array_equal(six(columns)[6:], DATA[6:count].astype(np.float32))
    assert "ends within a record, as after a crash" in caplog.text


def chunk(content: bytes, *, claimed: int, compression: bytes = b"", crc: int = 0) -> bytes:
    head = struct.pack("<QQQII", 0, 0, claimed, crc, len(compression)) + compression + struct.pack("<Q", len(content))
    return b"\x89MCAP0\r\n" + struct.pack("<BQ", 6, len(head + content)) + head + content


def bomb(size: int) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=19).compress(bytes(size))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"\x89MCAP0\r\n" + struct.pack("<BQ", 5, 1 << 40), "got no topics"),
        (lambda: chunk(b"x", claimed=1 << 40), "expected chunks of at most"),
        (lambda: chunk(b"x", claimed=1, compression=b"brotli"), "packed with zstd or lz4, got b'brotli'"),
        (lambda: chunk(bomb(1 << 28), claimed=1000, compression=b"zstd", crc=zlib.crc32(bytes(1000))), "got no topics"),
        (lambda: chunk(b"junk", claimed=4, compression=b"lz4"), "got no topics"),
    ],
)
def test_a_size_that_is_only_claimed_takes_no_memory(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "log.mcap"
    path.write_bytes(content())  # type: ignore[operator]
    with pytest.raises(RecordingError, match=message):
        tables(path)


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    path = tmp_path / "log.mcap"
    write_mcap(path, blocks(), INFO)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtraError, match=r"packed MCAP needs mcap .*-m pip install 'mcap>="):
        whole(tables(path)[0])
    monkeypatch.setitem(sys.modules, "mcap.writer", None)
    with pytest.raises(MissingExtraError, match="writing MCAP needs mcap"):
        write_mcap(path, blocks(), INFO)

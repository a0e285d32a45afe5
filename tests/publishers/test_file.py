from __future__ import annotations

import dataclasses
import hashlib
import io
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cbor2
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from made import SPEC, assert_same, event, labelled, numbered

from motionsig import wire
from motionsig.blocks import concatenate
from motionsig.encoders import find_model
from motionsig.errors import InputError, SinkError, WireError
from motionsig.events import to_json
from motionsig.fewer_bits import coarser
from motionsig.model_card import BACKGROUND_NAME
from motionsig.publishers import iter_signatures, open_sink, read_events, read_signatures
from motionsig.publishers.file import _scan
from motionsig.quantization import Group, Quantization

OTHER = dataclasses.replace(SPEC, fingerprint=b"another!")
MESSAGES = [wire.encode(wire.Message("d", 1, seq, numbered(2, seq))) for seq in range(0, 10, 2)]
SEQUENCE = b"".join(MESSAGES)


def test_any_cbor_tool_reads_the_file(tmp_path: Path) -> None:
    with open_sink(f"file:{tmp_path / 'f'}", device="d", stream_id=1) as sink:
        sink.publish(numbered(150))
        sink.publish(numbered(1, 150))
    stream, sizes = io.BytesIO((tmp_path / "f").read_bytes()), []
    assert len(stream.getvalue()) == sink.payload_bytes
    decoder = cbor2.CBORDecoder(stream)
    while sum(sizes) < 151:
        fields = decoder.decode()
        sizes.append(fields[10].value[0][0])
    assert sizes[-1] == 1
    assert len(sizes) == 4


def test_a_message_behind_damage_is_found_wherever_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "f"
    for damaged in range(16 * 1024 - 4, 16 * 1024 + 3):
        path.write_bytes(MESSAGES[0] + bytes(damaged) + MESSAGES[1])
        assert len(read_signatures(f"file:{path}")) == 4


@pytest.mark.parametrize("compress", [False, True])
def test_messages_keep_their_limit(tmp_path: Path, compress: bool) -> None:
    smooth = dataclasses.replace(numbered(3000), codes=np.zeros((3000, 64), np.int8))
    for number, batch in enumerate((numbered(3000), smooth)):
        path = tmp_path / str(number)
        with open_sink(f"file:{path}?max_message_bytes=1000", device="d", stream_id=1, compress=compress) as sink:
            sink.publish(batch)
        data, sizes = path.read_bytes(), []
        while data:
            sizes.append(wire.item_end(data[:2000]))
            data = data[sizes[-1] :]
        assert (path.stat().st_size < batch.codes.nbytes / 4) == (compress and batch is smooth)
        assert max(sizes) <= 1000
        assert np.max(sizes) > 900
        assert len(sizes) < 1.2 * len(path.read_bytes()) / 900 + 5
        assert_same(read_signatures(f"file:{path}"), batch)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.integers(0, len(SEQUENCE)))
def test_a_torn_tail_is_cut_off(length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(SEQUENCE[:length])
        whole = sum(len(MESSAGES[0]) * (number + 1) <= length for number in range(5))
        assert len({len(message) for message in MESSAGES}) == 1
        with open_sink(f"file:{path}", device="d", stream_id=2) as sink:
            sink.publish(numbered(1, 2 * whole))
        assert path.read_bytes().startswith(SEQUENCE[: whole * len(MESSAGES[0])])
        assert_same(read_signatures(f"file:{path}"), numbered(2 * whole + 1))


def test_opening_reads_the_end_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, pread = [], os.pread

    def counted(fd: int, size: int, at: int) -> bytes:
        data = pread(fd, size, at)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "pread", counted)
    took = []
    for rounds in (100, 1000):
        read.clear()
        path = tmp_path / str(rounds)
        path.write_bytes(SEQUENCE * rounds + MESSAGES[0][:-1])
        open_sink(f"file:{path}", device="d", stream_id=2).close()
        assert path.stat().st_size == len(SEQUENCE) * rounds
        took.append(sum(read))
    assert took[1] < 1.1 * took[0]


@pytest.mark.parametrize("length", [1, 20_000, 150_000])
def test_a_torn_tail_longer_than_what_is_read_first_is_cut_off(tmp_path: Path, length: int) -> None:
    path = tmp_path / "f"
    # 256 codes for a signature, as another encoder may have.
    spec = dataclasses.replace(SPEC, quantization=Quantization((Group(256, 0.03125, 0),)), motion_dim=256)
    many = numbered(1000, 10)
    many = dataclasses.replace(many, codes=np.tile(many.codes, (1, 4)), spec=spec)
    large = wire.encode(wire.Message("d", 1, 10, many))
    path.write_bytes(SEQUENCE * 20 + large + large[:length])
    with open_sink(f"file:{path}", device="d", stream_id=2) as sink:
        sink.publish(numbered(1))
    data = path.read_bytes()
    assert data.startswith(SEQUENCE * 20 + large)
    assert wire.decode(data[len(SEQUENCE * 20 + large) :]).stream_id == 2


@example(890, 64)  # the last key becomes 12 bytes, the next message's beginning among them
@settings(max_examples=100, deadline=None)
@given(st.integers(len(MESSAGES[0]), len(SEQUENCE) - len(MESSAGES[0]) - 1), st.integers(1, 255))
def test_damage_in_the_middle_costs_at_most_the_message_it_hits_and_the_next(at: int, change: int) -> None:
    data = bytearray(SEQUENCE)
    data[at] ^= change
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f"
        path.write_bytes(data)
        fd = os.open(path, os.O_RDONLY)
        starts = [start for start, _, _ in _scan(fd, str(path))]
        os.close(fd)
        size = len(MESSAGES[0])
        # A length that lies may still make a message, with the beginning of the next one in it.
        assert set(starts) >= {row * size for row in range(5) if row not in (at // size, at // size + 1)}
        before = path.read_bytes()
        open_sink(f"file:{path}", device="d", stream_id=1).close()
        assert path.read_bytes() == before, "damage in the middle is no torn tail"


EVENT = (
    b"\xd9\xd9\xf7\x79\x01\x1e"
    b'{"version":1,"device":"wrist","stream_id":7,"seq":3,"head":"knock","fingerprint":"00686561646564ff",'
    b'"phase":"once","start":"2023-11-14T22:13:23.840000000Z","end":"2023-11-14T22:13:26.400000000Z",'
    b'"start_ns":1700000003840000000,"end_ns":1700000006400000000,"duration_s":2.56,"score":0.75}'
)


def test_an_event_among_the_messages_is_one_item_of_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, url = tmp_path / "f", f"file:{tmp_path / 'f'}"
    with open_sink(url, device="d", stream_id=1) as sink:
        sink.publish(numbered(2))
        sink.publish_events([event(3)])
        sink.publish(numbered(2, 2))
    data = path.read_bytes()
    assert data == MESSAGES[0] + EVENT + MESSAGES[1]
    assert sink.payload_bytes == len(MESSAGES[0] + MESSAGES[1])
    assert cbor2.loads(EVENT).encode() == to_json(event(3))
    # An older motionsig takes it for damage, and finds the message behind it.
    assert wire.item_end(EVENT + MESSAGES[1]) == len(EVENT)
    with pytest.raises(WireError, match="expected a map, got str"):
        wire.decode(EVENT)
    assert wire.MAGIC not in EVENT[1:]
    assert_same(read_signatures(url), numbered(4))
    assert read_events(url) == [event(3)]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("length", [b"\x7a" + (286).to_bytes(4, "big"), b"\x7b" + (286).to_bytes(8, "big")])
def test_an_event_of_another_writer_may_have_a_longer_length(length: bytes, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(wire.MAGIC + length + EVENT[6:])
    assert read_events(f"file:{tmp_path / 'f'}") == [event(3)]


@pytest.mark.parametrize("length", [0, 1, 4, 6, 200, len(EVENT) - 1])
def test_a_torn_event_is_cut_off_as_a_message_is(tmp_path: Path, length: int, caplog: pytest.LogCaptureFixture) -> None:
    path, url = tmp_path / "f", f"file:{tmp_path / 'f'}"
    path.write_bytes(EVENT + MESSAGES[0] + EVENT[:length])
    assert read_events(url) == [event(3)]
    with open_sink(url, device="d", stream_id=2) as sink:
        sink.publish_events([event(4)])
    assert path.read_bytes().startswith(EVENT + MESSAGES[0] + wire.MAGIC)
    assert (f"torn message of {length} bytes" in caplog.text) == bool(length)
    assert read_events(url) == [event(3), event(4)]
    # An event may be the last that is whole, too.
    path.write_bytes(EVENT + EVENT[:length])
    open_sink(url, device="d", stream_id=2).close()
    assert path.read_bytes() == EVENT


@pytest.mark.parametrize(
    "junk",
    [
        wire.MAGIC + cbor2.dumps("hello"),
        wire.MAGIC + cbor2.dumps(""),
        wire.MAGIC + b"\x62\xff\xff",
        wire.MAGIC + cbor2.dumps(EVENT[6:].decode().replace('"version":1', '"version":2')),
        wire.MAGIC + cbor2.dumps("[" * 5000),
        EVENT.replace(b"seq", b"sea"),
    ],
)
def test_a_text_that_is_no_event_is_damage(junk: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "f"
    path.write_bytes(EVENT + junk + MESSAGES[0] + EVENT)
    assert read_events(f"file:{path}") == [event(3)]
    assert f"{len(junk)} damaged bytes skipped" in caplog.text
    assert_same(read_signatures(f"file:{path}"), numbered(2))


def test_what_is_skipped_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "f"
    path.write_bytes(MESSAGES[0] + b"junk" + MESSAGES[1] + MESSAGES[2][:50])
    assert_same(read_signatures(f"file:{path}"), numbered(4))
    assert "54 damaged bytes skipped" in caplog.text
    open_sink(f"file:{path}", device="d", stream_id=1).close()
    assert "torn message of 50 bytes" in caplog.text
    assert path.read_bytes() == MESSAGES[0] + b"junk" + MESSAGES[1]


@pytest.mark.parametrize("content", [b"notes\n", b"{}", b"\xd9\xd8", bytes(100), b"\xd9\xd9\xf7" + bytes(1 << 21)])
def test_files_that_are_not_ours_stay_as_they_are(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f"
    path.write_bytes(content)
    with pytest.raises(SinkError, match="expected motionsig messages"):
        open_sink(f"file:{path}", device="d", stream_id=1)
    assert path.read_bytes() == content
    with pytest.raises((SinkError, InputError)):
        read_signatures(f"file:{path}")


def test_order_overlap_and_encoders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "f"
    changed = dataclasses.replace(numbered(4, 3), codes=np.zeros((4, 64), np.int8))
    messages = [
        wire.Message("d", 1, 10, numbered(5, 10)),
        wire.Message("d", 1, 0, numbered(4)),
        wire.Message("d", 1, 3, changed),
        wire.Message("d", 1, 12, numbered(5, 12)),
        wire.Message("c", 9, 0, numbered(3)),
        wire.Message("d", 1, 0, numbered(17)),
        wire.Message("d", 0, 7, numbered(2, spec=OTHER)),
    ]
    path.write_bytes(b"".join(wire.encode(message) for message in messages))
    url = f"file:{path}"
    with pytest.raises(InputError, match=f"{SPEC.fingerprint.hex()}, {OTHER.fingerprint.hex()}"):
        read_signatures(url)
    read = list(iter_signatures(url, fingerprint=SPEC.fingerprint, rows=5))
    assert [part[:2] for part in read] == [("c", 9)] + [("d", 1)] * (len(read) - 1)
    assert max(len(part.seq) for part in read) <= 5
    assert np.concatenate([part.seq for part in read[1:]]).tolist() == list(range(17))
    expected = concatenate([numbered(4), changed[1:], numbered(10, 7)])
    assert_same(concatenate([part.signatures for part in read[1:]]), expected)
    assert_same(read_signatures(url, device="c"), numbered(3))
    with pytest.raises(InputError, match="of device 'x', got none"):
        read_signatures(url, device="x")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_newest_labels_and_names_and_only_one_recording(tmp_path: Path) -> None:
    path, url = tmp_path / "f", f"file:{tmp_path / 'f'}"
    zeros = dataclasses.replace(numbered(8, 2), codes=np.zeros((8, 64), np.int8))
    messages = [
        wire.Message("d", 1, 0, labelled(numbered(4), "a", "b", "c", "d")),
        wire.Message("d", 1, 2, labelled(zeros, "e"), wire.Recording("old", 1)),
        wire.Message("d", 1, 1, labelled(numbered(2, 1), "", "f"), wire.Recording("new", 2)),
        wire.Message("d", 1, 10, numbered(2, 10)),
        wire.Message("d", 2, 0, numbered(3)),
        wire.Message("e", 3, 0, numbered(3, spec=OTHER), wire.Recording("other", 3)),
    ]
    path.write_bytes(b"".join(wire.encode(message) for message in messages))
    for rows in (1, 5, 100):
        parts = list(iter_signatures(url, fingerprint=SPEC.fingerprint, rows=rows))
        assert {part[:2] + part[4:] for part in parts} == {("d", 1, wire.Recording("new", 2)), ("d", 2, None)}
        signatures = concatenate([part.signatures for part in parts if part.stream_id == 1])
        labels = ["a", "", "f", "d", *["e"] * 6, "", ""]
        assert_same(signatures, labelled(concatenate([numbered(4), zeros[2:], numbered(2, 10)]), *labels))
    assert_same(read_signatures(url, stream_id=2), numbered(3))
    assert_same(read_signatures(url, recording="other"), numbered(3, spec=OTHER))
    assert len(read_signatures(url, recording="new")) == 12
    with pytest.raises(InputError, match="of recording 'old', got new, other"):
        read_signatures(url, recording="old")
    with pytest.raises(InputError, match="of stream 9, got none"):
        read_signatures(url, stream_id=9)


def test_its_owner_alone_can_read_a_new_file(tmp_path: Path) -> None:
    path, before = tmp_path / "f", os.umask(0)
    try:
        with open_sink(f"file:{path}", device="d", stream_id=1) as sink:
            sink.publish(numbered(1))
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o644)
        with open_sink(f"file:{path}", device="d", stream_id=1) as sink:
            sink.publish(numbered(1))
        assert path.stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with open_sink(f"file:{tmp_path / 'f'}", device="d", stream_id=1), pytest.raises(SinkError, match="is writing"):
        open_sink(f"file:{tmp_path / 'f'}", device="d", stream_id=2)
    with pytest.raises(SinkError, match="cannot be opened"):
        open_sink(f"file:{tmp_path}", device="d", stream_id=2)


FULL = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from made import labelled, numbered
from motionsig.errors import SinkError
from motionsig.publishers import open_sink
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
sink = open_sink("file:" + sys.argv[1], device="d", stream_id=1)
sink.publish(numbered(5))
for attempt in range(2):
    try:
        sink.publish(numbered(10, 5))
        print("taken")
    except SinkError as error:
        print(error)
from made import event
try:
    sink.publish_events([event(number) for number in range(5)])
except SinkError as error:
    print(error)
sink.publish(numbered(1, 5))
sink.close()
"""


def test_a_write_cut_short_leaves_nothing_behind(tmp_path: Path) -> None:
    arguments = [sys.executable, "-W", "error", "-c", FULL, str(tmp_path / "f"), str(Path(__file__).parent)]
    child = subprocess.run(arguments, capture_output=True, text=True, env=os.environ)
    assert child.returncode == 0, child.stderr
    assert child.stdout.count("could be written") == 3
    assert_same(read_signatures(f"file:{tmp_path / 'f'}"), numbered(6))
    assert read_events(f"file:{tmp_path / 'f'}") == []


def test_messages_without_their_tables_here_are_left_out_and_never_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, card = tmp_path / "f", find_model()
    with np.load(card.path / BACKGROUND_NAME) as bank:
        packed = dataclasses.replace(numbered(5), codes=bank["codes"][:5], spec=card.spec)
    with open_sink(f"file:{path}?compress=trained", device="d", stream_id=1) as sink:
        sink.publish(packed)
    assert_same(read_signatures(f"file:{path}"), packed)
    content = path.read_bytes()
    name = hashlib.sha256((card.path / "packing.npz").read_bytes()).digest()[:4]
    assert content.count(name) == 1
    path.write_bytes(MESSAGES[0] + content.replace(name, b"none"))
    with caplog.at_level(logging.WARNING):
        assert len(read_signatures(f"file:{path}")) == 2
        assert "1 messages cannot be read here and are left out: message: expected tables" in caplog.text
        caplog.clear()
        with open_sink(f"file:{path}", device="d", stream_id=2) as sink:
            sink.publish(numbered(1))
        assert caplog.text == ""
    assert path.read_bytes().count(b"none") == 1


def test_fewer_bits_are_another_encoder_s(tmp_path: Path) -> None:
    with open_sink(f"file:{tmp_path / 'f'}?bits=4", device="d", stream_id=1) as sink:
        sink.publish(numbered(3))
    assert_same(read_signatures(f"file:{tmp_path / 'f'}"), coarser(numbered(3), 4))
    with pytest.raises(InputError, match="bits: expected one of 4, 8, got 5"):
        open_sink(f"file:{tmp_path / 'f'}?bits=5", device="d", stream_id=1)

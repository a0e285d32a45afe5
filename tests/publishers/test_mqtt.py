"""The MQTT sink against a real broker: messages, free space, the end, defaults."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from broker import Broker
from made import assert_same, numbered, wait_until
from processes import STALL_S
from receiving import Receiver, mqtt

from motionsig.encoders import find_model
from motionsig.errors import InputError, SinkError
from motionsig.fewer_bits import coarser
from motionsig.model_card import BACKGROUND_NAME
from motionsig.publishers import open_sink
from motionsig.publishers.brokers import parse_broker
from motionsig.publishers.mqtt import default_spool


def test_signatures_travel_together(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", delay_s=30) as sink:
        for number in range(130):
            sink.publish(numbered(1, number))
        wait_until(lambda: len(receiver.messages) >= 2)
        time.sleep(0.1)
        full = len(receiver.messages)
        assert full == 2
        sink.flush()
        wait_until(lambda: len(receiver.seqs) == 130)
        sink.publish(numbered(1, 130))
        began = time.monotonic()
    assert time.monotonic() - began < STALL_S, "close does not wait for delay_s"
    wait_until(lambda: len(receiver.seqs) == 131)
    assert receiver.seqs == list(range(131))
    assert [len(message.signatures) for message in receiver.messages[-2:]] == [130 - len_of(receiver, full), 1]
    assert 3800 < max(receiver.sizes) <= 4000
    assert sink.payload_bytes == sum(receiver.sizes)
    assert (sink.counts.delivered, sink.counts.pending) == (131, 0)
    for message in receiver.messages:
        assert (message.device, message.stream_id) == ("wrist-7", 3)
        assert_same(message.signatures, numbered(len(message.signatures), message.seq))


def len_of(receiver: Receiver, messages: int) -> int:
    return sum(len(message.signatures) for message in receiver.messages[:messages])


def test_a_delay_of_nothing_sends_each_at_once(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", delay_s=0) as sink:
        for number in range(5):
            sink.publish(numbered(1, number))
            wait_until(lambda: len(receiver.seqs) == number + 1)  # noqa: B023
    assert len(receiver.messages) == 5


def test_the_delay_bounds_the_wait(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", delay_s=3) as sink:
        wait_until(lambda: sink.last_error is None and "wrist" in broker.log)
        began = time.monotonic()
        sink.publish(numbered(1))
        sink.publish(numbered(1, 1))
        wait_until(lambda: len(receiver.seqs) == 2)
        assert time.monotonic() - began > 2.9
        assert len(receiver.messages) == 1


def test_compressed_signatures_fill_messages(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    smooth = numbered(3000)
    steps = (smooth.start_ns[:, None] // smooth.hop_ns // 50).astype("int8")
    smooth = dataclasses.replace(smooth, codes=np.repeat(steps, 64, axis=1))
    with mqtt(broker.url, tmp_path / "spool", compress=True, delay_s=30) as sink:
        for first in range(0, 3000, 3):
            sink.publish(smooth[first : first + 3])
    wait_until(lambda: len(receiver.seqs) == 3000)
    assert receiver.seqs == list(range(3000))
    assert max(receiver.sizes) <= 4000
    assert sink.payload_bytes == sum(receiver.sizes) < 3000 * 30


def test_what_is_compressed_takes_less_space_in_the_spool_too(tmp_path: Path) -> None:
    absent = Broker(tmp_path / "absent")
    constant = dataclasses.replace(numbered(1000), codes=np.zeros((1000, 64), np.int8))
    with mqtt(absent.url, tmp_path / "spool", compress=True, close_timeout_s=0.1) as sink:
        sink.publish(constant)
        assert sink.counts.pending == 1000
        assert sink.counts.spool_bytes < 1000 * 10


@pytest.mark.parametrize(("bits", "bytes_each"), [(8, 50), (4, 30)])
def test_by_default_codes_are_packed_by_trained_tables(
    broker: Broker, receiver: Receiver, tmp_path: Path, bits: int, bytes_each: float
) -> None:
    card = find_model()
    with np.load(card.path / BACKGROUND_NAME) as bank:
        real = dataclasses.replace(numbered(47), codes=bank["codes"][10000:10047], spec=card.spec)
    with mqtt(broker.url, tmp_path / "spool", bits=bits, delay_s=30) as sink:
        sink.publish(real)
        # Tables may change while records wait, so none is packed by them.
        assert sink.counts.spool_bytes > 47 * 64
    wait_until(lambda: len(receiver.seqs) == 47)
    (message,) = receiver.messages
    assert_same(message.signatures, coarser(real, bits))
    assert receiver.sizes[0] / 47 < bytes_each


def test_what_is_left_at_close_is_said_and_sent_next_time(
    broker: Broker, receiver: Receiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    absent = Broker(tmp_path / "absent")
    began = time.monotonic()
    with mqtt(absent.url, tmp_path / "spool", close_timeout_s=0.3) as sink:
        sink.publish(numbered(70))
    assert time.monotonic() - began < 0.3 + STALL_S
    assert sink.counts.pending == 70
    assert "70 signatures and events are not acknowledged and wait in" in caplog.text
    assert "connection refused" in caplog.text
    with mqtt(broker.url, tmp_path / "spool") as sink:
        assert sink.counts.recovered == 70
        sink.publish(numbered(5, 70))
    wait_until(lambda: receiver.seqs == [*range(70), *range(5)])
    assert (sink.counts.delivered, sink.counts.accepted, sink.counts.pending) == (75, 5, 0)
    assert sink.payload_bytes < 5 * 70 + 200, "left-overs are not this run's payload"
    assert not list((tmp_path / "spool").glob("*.segment"))


@pytest.mark.parametrize("full", ["oldest", "newest"])
def test_a_full_spool_drops_by_choice_and_says_so_once(
    broker: Broker, receiver: Receiver, tmp_path: Path, full: str, caplog: pytest.LogCaptureFixture
) -> None:
    absent = Broker(tmp_path / "absent")
    with mqtt(absent.url, tmp_path / "spool", full=full, max_bytes=65536, close_timeout_s=0.1) as sink:
        for number in range(1000):
            sink.publish(numbered(1, number))
        counts = sink.counts
        assert counts.dropped + counts.pending == 1000
        assert counts.accepted == (1000 if full == "oldest" else counts.pending)
        assert caplog.text.count("dropped so far") == 1
    with mqtt(broker.url, tmp_path / "spool"):
        pass
    wait_until(lambda: len(receiver.seqs) == counts.pending)
    kept = range(1000 - counts.pending, 1000) if full == "oldest" else range(counts.pending)
    assert receiver.seqs == list(kept)


def test_waiting_for_space_drops_nothing(broker: Broker, receiver: Receiver, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", full="wait", max_bytes=65536, delay_s=30) as sink:
        for first in range(0, 5000, 500):
            sink.publish(numbered(500, first))
    wait_until(lambda: len(receiver.seqs) >= 5000)
    assert receiver.seqs == list(range(5000))
    assert (sink.counts.dropped, sink.counts.delivered) == (0, 5000)


def test_waiting_for_space_ends_when_nothing_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("motionsig.publishers.mqtt.FULL_TIMEOUT_S", 0.2)
    absent = Broker(tmp_path / "absent")
    with mqtt(absent.url, tmp_path / "spool", full="wait", max_bytes=65536, close_timeout_s=0.1) as sink:
        wait_until(lambda: "connection refused" in str(sink.last_error))
        with pytest.raises(SinkError, match=r"nothing was delivered for 0\.2 s: .*connection refused"):
            sink.publish(numbered(2000))
        assert 0 < sink.counts.accepted == sink.counts.pending < 2000


def test_strict_reaches_the_disk_before_publish_returns(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", strict=True) as sink:
        sink.publish(numbered(3))
        assert not any(segment.fresh for segment in sink._spool._segments.values())


def test_two_publishers_on_one_spool(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool"), pytest.raises(SinkError, match="another publisher"):
        mqtt(broker.url, tmp_path / "spool")


def test_default_spools_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = parse_broker("mqtt://host")
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}:/elsewhere")
    assert default_spool(broker, "wrist") == tmp_path / "spool" / "host-1883-wrist"
    odd = [default_spool(broker, device).name for device in ("a/b", "a:b", "..", "ü" * 128)]
    assert len(set(odd)) == 4
    assert all(name.isascii() and "/" not in name and len(name) < 120 for name in odd)
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert default_spool(broker, "wrist") == Path("/x/motionsig/spool/host-1883-wrist")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_spool(broker, "w") == Path("/home/me/.local/state/motionsig/spool/host-1883-w")


@pytest.mark.parametrize("device", ["a+b", "a#", "a\0", "a/b", "\ud800"])
def test_devices_that_cannot_be_a_topic(device: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="device"):
        open_sink("mqtt://host", device=device, stream_id=1, spool=str(tmp_path))


def test_a_client_id_of_ones_own(broker: Broker, tmp_path: Path) -> None:
    with mqtt(broker.url, tmp_path / "spool", client_id="hall-7"):
        wait_until(lambda: " as hall-7 " in broker.log)


def test_who_may_have_another_name_now_is_told_where_the_old_one_left_its_announcements(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    for device, lines in (("hall", 0), ("kitchen", 1), ("kitchen", 0)):
        caplog.clear()
        with open_sink(broker.url, device=device, availability=True) as sink:
            wait_until(lambda: sink.last_error is None)
        told = [record.getMessage() for record in caplog.records if "another name before" in record.getMessage()]
        assert len(told) == lines
        assert all(f"spool={tmp_path}/spool/127.0.0.1-{broker.port}-hall" in line for line in told)

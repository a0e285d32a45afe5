"""Signatures at rest that wait and repeat the first of their run."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
import pytest
from broker import Broker
from hypothesis import given
from hypothesis import strategies as st
from made import assert_same, numbered, wait_until
from receiving import Receiver, mqtt

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate
from motionsig.errors import InputError
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import Outbox
from motionsig.publishers.resting import TURNED, Rest, split_by_rest
from motionsig.publishers.spool import Spool
from motionsig.quality import Quality, is_at_rest


def marked(pattern: str) -> SignatureBatch:
    """Return signatures that rest (r) or move (m), in about one posture; "t" rests after the device was turned."""
    batch, random = numbered(len(pattern)), np.random.default_rng(5)
    codes = batch.codes.copy()
    codes[:, 48:] = random.integers(0, TURNED, (len(batch), 16))
    turned = np.cumsum([letter == "t" for letter in pattern])
    codes[:, 48] = turned * (2 * TURNED)
    quality = np.array([0 if letter == "m" else Quality.AT_REST for letter in pattern], np.uint8)
    return dataclasses.replace(batch, codes=codes, quality=quality)


def repeated(pattern: str) -> list[int]:
    """Return, by its number, whose codes each signature gets."""
    batch = marked(pattern)
    rows = Rest().repeat(batch).codes
    return [int(np.flatnonzero((batch.codes == row).all(axis=1))[0]) for row in rows]


def test_a_run_at_rest_repeats_its_first_until_something_moves_or_the_device_is_turned() -> None:
    assert repeated("mrrrmmrrtrr") == [0, 1, 1, 1, 4, 5, 6, 6, 8, 8, 8]


def test_no_signature_gets_the_codes_of_another_encoder() -> None:
    batch, rest = marked("rr"), Rest()
    other = dataclasses.replace(batch, spec=dataclasses.replace(batch.spec, fingerprint=b"\x02madeup\xff"))
    rest.repeat(batch[:1])
    assert_same(rest.repeat(other[1:]), other[1:])


def test_time_flags_and_what_moves_stay_as_they_were() -> None:
    batch = marked("mrrm")
    got = Rest().repeat(batch)
    assert_same(got[[0, 1, 3]], batch[[0, 1, 3]])
    np.testing.assert_array_equal(got.start_ns, batch.start_ns)
    np.testing.assert_array_equal(got.quality, batch.quality)


@given(pattern=st.text("mrt", min_size=1, max_size=30), data=st.data())
def test_any_cutting_gives_the_same_codes_and_parts_that_either_rest_or_move(pattern: str, data: st.DataObject) -> None:
    batch = marked(pattern)
    whole = Rest().repeat(batch)
    cut = data.draw(st.integers(0, len(batch)))
    rest = Rest()
    assert concatenate([rest.repeat(batch[:cut]), rest.repeat(batch[cut:])]) == whole
    parts = list(split_by_rest(whole))
    assert concatenate(parts) == whole
    assert all(len(set(is_at_rest(part.quality).tolist())) == 1 for part in parts)


def test_what_rests_waits_long_and_leaves_with_the_first_that_moves(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = Outbox(spool, MqttOptions(delay_s=5.0, rest=True, rest_delay_s=100.0, hold_s=0.0), now_s=0.0)
    outbox.connect()
    batch = Rest().repeat(marked("r" * 40 + "m"))

    def take(row: int) -> None:
        spool.append(wire.encode(wire.Message("d", 1, row, batch[row])), 1)

    for row in range(40):
        take(row)
        assert outbox.next(2.0 * row) is None
    assert outbox.due_in_s(80.0) == 20.0
    take(40)
    assert outbox.next(80.0) is None
    assert outbox.due_in_s(80.0) == 5.0
    outgoing = outbox.next(85.0)
    assert outgoing is not None
    assert wire.decode(outgoing.payload).signatures == batch
    assert len(outgoing.payload) < 400, "equal rows take next to nothing"
    spool.close()


def test_what_may_wait_is_written_to_the_disk_late_unless_what_may_not_comes_behind_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", buffer=tmp_path / "buffer", fsync_after_s=0.05)
    spool.append(b"x" * 100, 1, may_wait_s=60.0)
    time.sleep(0.06)
    assert spool.due_in_s(time.monotonic()) > 0
    assert spool.due_in_s(time.monotonic() + 60.0) == 0
    spool.append(b"x" * 100, 1)
    assert spool.due_in_s(time.monotonic() + 0.05) == 0
    spool.sync()
    assert sum(file.stat().st_size for file in (tmp_path / "spool").glob("*.segment")) > 200
    spool.close()


def test_a_receiver_gets_each_signature_at_rest_as_any_other(
    broker: Broker, receiver: Receiver, tmp_path: Path
) -> None:
    batch = marked("mmrrrrm")
    with mqtt(broker.url, tmp_path / "spool", rest=True, delay_s=0.05, rest_delay_s=60) as sink:
        sink.publish(batch[:2])
        wait_until(lambda: receiver.seqs == [0, 1])
        for row in range(2, 6):
            sink.publish(batch[row])
        time.sleep(0.2)
        assert receiver.seqs == [0, 1], "what rests waits"
        sink.publish(batch[6])
        wait_until(lambda: receiver.seqs == list(range(7)))
        sink.begin(9, 0)
        sink.publish(batch[3])
    wait_until(lambda: len(receiver.seqs) == 8)
    got = concatenate([message.signatures for message in receiver.messages])
    assert_same(got[:7], Rest().repeat(batch))
    assert_same(got[7:], batch[3])


def test_rest_needs_packed_codes_and_no_shorter_wait_than_what_moves() -> None:
    with pytest.raises(InputError, match="rest: expected format cbor"):
        MqttOptions(rest=True, format="json")
    with pytest.raises(InputError, match="rest_delay_s: expected delay_s or more, 10, got 5"):
        MqttOptions(rest=True, delay_s=10, rest_delay_s=5)

"""What was measured before the clock was set, from the spool to the receiver's store."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from broker import Broker
from hypothesis import given
from hypothesis import strategies as st
from made import START_NS, event, numbered, wait_until
from receiving import Listener, mqtt

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate
from motionsig.events import from_json
from motionsig.publishers.clocks import STEP_NS, Told, put_right, put_right_event
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import Outbox
from motionsig.publishers.spool import Spool
from motionsig.quality import Quality

YEAR_NS = 31_557_600 * 10**9
UNSET = wire.Clock(b"this boot, now..", START_NS - 50 * YEAR_NS, is_set=False)
SET = UNSET._replace(offset_ns=UNSET.offset_ns + 50 * YEAR_NS, is_set=True)
OTHER_BOOT = SET._replace(boot=b"one boot later..")


def early(count: int, first: int = 0) -> SignatureBatch:
    """Return signatures of `UNSET`: fifty years too early, flagged."""
    batch = numbered(count, first)
    flagged = batch.quality | np.uint8(Quality.UNSET_CLOCK)
    return dataclasses.replace(batch, start_ns=batch.start_ns - 50 * YEAR_NS, quality=flagged)


def message(count: int, first: int = 0, clock: wire.Clock | None = UNSET) -> wire.Message:
    return wire.Message("d", 1, first, early(count, first) if clock == UNSET else numbered(count, first), None, clock)


def test_times_are_put_right_by_the_clock_of_the_same_boot_alone() -> None:
    righted = put_right(message(4), SET)
    assert (righted.signatures, righted.clock) == (numbered(4), None)
    wrong = message(4)
    for present in (None, OTHER_BOOT, UNSET):
        assert put_right(wrong, present) is wrong
    told = message(4, clock=SET)
    assert put_right(told, SET._replace(offset_ns=5)) is told, "who says what is right is right"


def test_a_better_guess_keeps_the_flag_and_says_by_what_it_was_made() -> None:
    guess = UNSET._replace(offset_ns=UNSET.offset_ns + YEAR_NS)
    guessed = put_right(message(4), guess)
    assert guessed.clock == guess
    assert (guessed.signatures.quality & Quality.UNSET_CLOCK).all()
    np.testing.assert_array_equal(guessed.signatures.start_ns, early(4).start_ns + YEAR_NS)
    assert put_right(guessed, SET).signatures == numbered(4)


@given(step=st.integers(-STEP_NS, STEP_NS))
def test_two_readings_of_the_same_clock_are_no_step(step: int) -> None:
    righted = put_right(message(2), SET._replace(offset_ns=UNSET.offset_ns + step))
    np.testing.assert_array_equal(righted.signatures.start_ns, early(2).start_ns)
    assert not (righted.signatures.quality & Quality.UNSET_CLOCK).any()


def test_an_event_is_put_right_as_a_signature_is() -> None:
    right = event(3)
    wrong = dataclasses.replace(
        right, start_ns=right.start_ns - 50 * YEAR_NS, end_ns=right.end_ns - 50 * YEAR_NS, clock=UNSET
    )
    assert put_right_event(wrong, SET) == right
    assert put_right_event(wrong, OTHER_BOOT) is wrong
    assert put_right_event(right, SET) is right


def test_each_message_of_a_clock_that_is_not_set_says_so_and_one_of_a_clock_that_is() -> None:
    told = Told()
    assert told.for_message() is None
    told.set(UNSET)
    assert [told.for_message() for _ in range(3)] == [UNSET] * 3
    told.set(SET)
    assert [told.for_message() for _ in range(3)] == [SET, None, None]
    told.set(SET)
    assert told.for_message() is None


def test_what_waits_follows_the_clock_until_it_leaves(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = Outbox(spool, MqttOptions(delay_s=10.0, hold_s=0.0), now_s=0.0)
    outbox.connect()
    for seq in range(3):
        spool.append(wire.encode(message(1, seq)), 1)
    assert outbox.next(0.0) is None  # read, and waits
    outbox.set_clock(SET)
    spool.append(wire.encode(message(1, 3, clock=None)), 1)
    outgoing = outbox.next(10.0)
    assert outgoing is not None
    sent = wire.decode(outgoing.payload)
    assert (sent.signatures, sent.clock) == (numbered(4), None), "one message, all in the time of the clock"
    spool.close()


_KILLED = """
import sys, time
sys.path[:0] = sys.argv[3:]
from test_publisher_clocks import UNSET, early
from made import event
import dataclasses
from motionsig import open_sink
sink = open_sink(sys.argv[1], device="d", stream_id=1, spool=sys.argv[2], delay_s=0, retry_s=0.05, max_retry_s=0.1)
sink.set_clock(UNSET)
sink.publish(early(3))
sink.publish_events([dataclasses.replace(event(2, device="d"), start_ns=5, end_ns=6, clock=UNSET)])
print("taken", flush=True)
time.sleep(60)
"""


def test_a_later_process_puts_right_what_the_disk_has_of_this_boot_and_of_no_other(
    broker: Broker, tmp_path: Path
) -> None:
    spool = tmp_path / "spool"
    script = [sys.executable, "-c", _KILLED, "mqtt://127.0.0.1:1", str(spool), *sys.path]
    with subprocess.Popen(script, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "taken\n"
        child.kill()
    left = Spool(spool)
    other = dataclasses.replace(message(1, 7), clock=UNSET._replace(boot=b"the boot before."))
    left.append(wire.encode(other), 1)
    left.close()
    with Listener(broker.url) as listener:
        with mqtt(broker.url, spool) as sink:
            sink.set_clock(SET)
            sink.publish(numbered(1))
            wait_until(lambda: sink.counts.delivered == 6)
        wait_until(lambda: len(listener.heard) >= 4)
    payloads = [payload for _, payload, _ in listener.heard]
    (told,) = map(from_json, (payload for payload in payloads if payload.startswith(b"{")))
    assert (told.start_ns, told.end_ns, told.clock) == (5 + 50 * YEAR_NS, 6 + 50 * YEAR_NS, None)
    messages = [wire.decode(payload) for payload in payloads if payload.startswith(wire.MAGIC)]
    by_clock = {it.clock: it for it in messages}
    assert concatenate([it.signatures for it in messages if it.clock is None]) == numbered(3)
    assert by_clock[other.clock].signatures == other.signatures, "how long the machine was off, nobody knows"
    assert by_clock[SET].signatures == numbered(1), "the first one says what is right, for what came before"


@pytest.mark.parametrize("form", ["cbor", "json"])
def test_a_message_says_that_its_clock_was_not_set(form: str) -> None:
    if form == "cbor":
        assert wire.decode(wire.encode(message(2))).clock == UNSET
        assert wire.decode(wire.encode(message(2, clock=SET))).clock == SET
        assert wire.decode(wire.encode(message(2, clock=None))).clock is None
    else:
        text = wire.to_json(message(2))
        assert f'"clock":{{"boot":"{UNSET.boot.hex()}","offset_ns":{UNSET.offset_ns}}}' in text
        assert '"quality":["UNSET_CLOCK"]' in text

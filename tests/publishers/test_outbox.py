from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import SPEC, assert_same, labelled, numbered
from receiving import from_json, happened

from motionsig import wire
from motionsig.events import BEGAN, ENDED, ONCE, to_json
from motionsig.events import from_json as event_from_json
from motionsig.publishers.log import Position
from motionsig.publishers.messages import FORMS, Form, encode_json, pack
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import SMALL_BACKLOG_BYTES, Outbox
from motionsig.publishers.outgoing import Outgoing
from motionsig.publishers.reasons import Reason
from motionsig.publishers.spool import Spool


def put(spool: Spool, count: int, *, stream_id: int = 1, seq: int = 0, size: int = 1) -> None:
    for first in range(seq, seq + count, size):
        rows = numbered(min(size, seq + count - first), first)
        for message in pack(wire.Message("d", stream_id, first, rows)):
            assert spool.append(message.data, message.rows)


def connected(spool: Spool, **options: float | str) -> Outbox:
    chosen: dict[str, Any] = {"max_message_bytes": 4000, "delay_s": 0.0, "hold_s": 0.0, **options}
    outbox = Outbox(spool, MqttOptions(**chosen), now_s=0.0)
    outbox.connect()
    return outbox


def test_streams_and_recordings_are_never_joined(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = connected(spool, delay_s=10)
    put(spool, 3)
    put(spool, 2, seq=4)
    put(spool, 2, stream_id=2, seq=6)
    other = numbered(1, 8, spec=dataclasses.replace(SPEC, fingerprint=b"another!"))
    spool.append(wire.encode(wire.Message("d", 2, 8, other)), 1)
    for seq, name in enumerate(["a", "a", "b"], 9):
        spool.append(wire.encode(wire.Message("d", 2, seq, numbered(1, seq), wire.Recording(name, 5))), 1)
    sent = []
    while outgoing := outbox.next(0.0, spool.end):
        message = wire.decode(outgoing.payload)
        sent.append((message.stream_id, message.recording and message.recording.name, message.seq, message.signatures))
    found = [(*origin, len(signatures)) for *origin, signatures in sent]
    assert found == [
        (1, None, 0, 3),
        (1, None, 4, 2),
        (2, None, 6, 2),
        (2, None, 8, 1),
        (2, "a", 9, 2),
        (2, "b", 11, 1),
    ]
    spool.close()


def test_a_record_that_is_no_message_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"from another version", 7)
    put(spool, 2)
    outbox = connected(spool)
    outgoing = outbox.next(0.0)
    assert outgoing is not None
    assert (spool.dropped, spool.pending, len(wire.decode(outgoing.payload).signatures)) == (7, 2, 2)
    spool.close()


def sent(outbox: Outbox, now_s: float = 0.0) -> tuple[int, int]:
    """Return the first number in the next message, and how many there are."""
    outgoing = outbox.next(now_s)
    assert outgoing is not None
    message = wire.decode(outgoing.payload)
    outgoing.acknowledged = True
    return message.seq, len(message.signatures)


def test_what_comes_later_does_not_wait_behind_the_backlog(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    put(spool, 1000)
    outbox = connected(spool)
    assert sent(outbox)[0] == 0
    put(spool, 2, seq=1000)
    assert sent(outbox) == (1000, 2)
    second, rows = sent(outbox)
    assert (second > 0, second + rows < 1000) == (True, True)
    outbox.settle(1.0)
    assert outbox.delivered == second + rows + 2
    rest = []
    while spool.pending:
        rest.append(sent(outbox))
        outbox.settle(2.0)
    assert sum(rest[-1]) == 1000, "lanes are not joined"
    assert (outbox.delivered, spool.pending, outbox.next(3.0)) == (1002, 0, None)
    spool.close()


def test_after_a_lost_connection_all_that_is_left_is_backlog_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    put(spool, 1000)
    outbox = connected(spool)
    put(spool, 700, seq=1000)
    live, rows = sent(outbox)
    assert live == 1000
    outbox.settle(1.0)
    outbox.disconnect(2.0)
    assert outbox.next(3.0) is None
    outbox.connect()
    put(spool, 1, seq=1700)
    assert sent(outbox)[0] == 1700
    seen = [sent(outbox) for _ in range(15)]
    assert seen[0][0] == 0
    while outgoing := outbox.next(5.0):
        message = wire.decode(outgoing.payload)
        seen.append((message.seq, len(message.signatures)))
        outgoing.acknowledged = True
        outbox.settle(5.0)
    outbox.settle(6.0)
    numbers = [seq + row for seq, count in seen for row in range(count)]
    assert numbers == [*range(1000), *range(1000 + rows, 1700)], "what was acknowledged is not sent again"
    assert (outbox.delivered, spool.pending) == (1701, 0)
    spool.close()


def test_what_is_sent_again_is_counted_once_and_waits_no_more(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = connected(spool, delay_s=5)
    put(spool, 10)
    assert outbox.next(1.0) is None
    assert sent(outbox, 6.0) == (0, 10)
    counted = outbox.payload_bytes
    assert counted > 640
    outbox.disconnect(7.0)
    outbox.connect()
    put(spool, 1, seq=10)
    assert sent(outbox, 7.0) == (0, 11), "the new one travels with it"
    assert counted < outbox.payload_bytes < counted + 100
    spool.close()


def test_the_live_lane_finds_space_in_a_window_that_the_backlog_fills(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    put(spool, 2000)
    outbox = Outbox(spool, MqttOptions(delay_s=0.0, hold_s=0.0, in_flight=3), now_s=0.0)
    outbox.connect()
    assert [outbox.next(0.0) is not None for _ in range(4)] == [True] * 3 + [False]
    assert outbox.due_in_s(0.0) == float("inf")
    put(spool, 1, seq=2000)
    assert sent(outbox) == (2000, 1)
    assert outbox.stalled_s(7.0) == 7.0
    spool.close()


def test_a_record_too_large_for_a_message_has_arrived_when_all_its_parts_have(tmp_path: Path) -> None:
    """Spooled with a larger limit, or as CBOR for what is JSON now."""
    spool = Spool(tmp_path)
    put(spool, 50, size=50)
    put(spool, 2, seq=50, size=2)
    outbox = connected(spool, max_message_bytes=1000)
    parts = []
    while (outgoing := outbox.next(0.0)) is not None:
        parts.append(outgoing)
    messages = [wire.decode(part.payload) for part in parts]
    rows = [len(message.signatures) for message in messages]
    assert sum(rows) == 52 and len(rows) == 4 and min(rows[:-1]) == max(rows[:-1])
    for message in messages:
        assert_same(message.signatures, numbered(len(message.signatures), message.seq))
    assert outbox.payload_bytes == sum(len(part.payload) for part in parts)
    assert 900 < max(len(part.payload) for part in parts) <= 1000
    for part in parts[:-1]:
        part.acknowledged = True
        outbox.settle(1.0)
        assert (outbox.delivered, spool.pending) == (0, 52)
    outbox.disconnect(2.0)
    outbox.connect()
    assert sent(outbox)[0] == messages[3].seq, "the parts that arrived do not come again"
    while outbox.next(3.0):
        pass
    for lane in outbox._lanes:
        for outgoing in lane.on_way:
            outgoing.acknowledged = True
    outbox.settle(4.0)
    assert (outbox.delivered, spool.pending, spool.used_bytes) == (52, 0, 0)
    spool.close()


def test_a_record_of_which_a_part_is_refused_is_sent_again_whole_enough(tmp_path: Path) -> None:
    """Another part that arrives must not settle it; what arrived of it may come again."""
    spool = Spool(tmp_path)
    put(spool, 50, size=50)
    put(spool, 2, seq=50, size=2)
    outbox = connected(spool, max_message_bytes=1000, retry_s=1, max_retry_s=1)
    parts = list(iter(lambda: outbox.next(0.0), None))
    assert len(parts) == 4
    said = [outbox.answer(part, Reason(0x97 if number == 1 else 0), 0.0) for number, part in enumerate(parts)]
    assert ["quota exceeded" in str(one) for one in said] == [False, True, False, False]
    outbox.settle(1.0)
    assert (spool.pending, outbox.delivered) in [(52, 0), (50, 2)]
    seen = set(range(len(wire.decode(parts[0].payload).signatures)))
    seen |= {50, 51} if outbox.delivered else set()
    now_s = 1.0
    while spool.pending and now_s < 30:
        now_s += 0.5
        while (outgoing := outbox.next(now_s)) is not None:
            message = wire.decode(outgoing.payload)
            assert_same(message.signatures, numbered(len(message.signatures), message.seq))
            seen |= set(range(message.seq, message.seq + len(message.signatures)))
            outbox.answer(outgoing, Reason(), now_s)
            outbox.settle(now_s)
    outbox.settle(now_s + 1)
    assert seen == set(range(52))
    assert (outbox.delivered, spool.pending, spool.used_bytes, outbox.refusal) == (52, 0, 0, None)
    spool.close()


def test_a_power_cut_costs_nothing_of_what_was_refused(tmp_path: Path) -> None:
    """What is acknowledged behind it must not keep it from the disk."""
    spool = Spool(tmp_path / "disk", buffer=tmp_path / "buffer", fsync_after_s=0.0)
    outbox = connected(spool)
    put(spool, 1)
    refused = outbox.next(0.0)
    put(spool, 1, seq=1, stream_id=2)
    taken = outbox.next(0.0)
    assert refused is not None and taken is not None
    outbox.answer(refused, Reason(0x99), 0.0)
    outbox.answer(taken, Reason(), 0.0)
    outbox.settle(1.0)
    assert (spool.pending, outbox.delivered) == (1, 1)
    spool.sync()
    assert sum(path.stat().st_size for path in (tmp_path / "disk").glob("*.segment")) > 100
    spool.close()


@pytest.mark.parametrize("hold_s", [0.0, 3.0])
def test_connections_that_end_after_a_few_messages_deliver_a_record_of_many_parts_all_the_same(
    tmp_path: Path, hold_s: float
) -> None:
    """Spooled for CBOR, 60 signatures in a record, which are six messages of JSON."""
    spool = Spool(tmp_path)
    put(spool, 120, size=60)
    outbox = connected(spool, format="json", hold_s=hold_s)
    received: set[int] = set()
    now_s = 0.0
    for _ in range(6):
        for number in range(6):
            now_s += 2.0
            if (outgoing := outbox.next(now_s)) is None:
                break
            # The last two never arrive.
            if number < 4:
                message = from_json(outgoing.payload)
                received.update(range(message.seq, message.seq + len(message.signatures)))
                outgoing.acknowledged = True
                outbox.settle(now_s)
        outbox.disconnect(now_s)
        outbox.connect()
    assert (outbox.delivered, spool.pending, sorted(received)) == (120, 0, list(range(120)))
    spool.close()


def test_what_is_sent_in_parts_is_counted_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    put(spool, 60, size=60)
    outbox = connected(spool, format="json")
    for _ in range(5):
        for _ in range(3):
            assert outbox.next(0.0) is not None
        outbox.disconnect(0.0)
        outbox.connect()
    sizes = []
    while (outgoing := outbox.next(0.0)) is not None:
        sizes.append(len(outgoing.payload))
    assert len(sizes) > 4
    assert outbox.payload_bytes == sum(sizes)
    spool.close()


def test_a_large_record_is_cut_without_encoding_all_of_it_again_for_each_part(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(wire.encode(wire.Message("d", 1, 0, numbered(1000))), 1000)
    encoded: list[int] = []

    def encode(message: wire.Message) -> bytes:
        encoded.append(len(message.signatures))
        return encode_json(message)

    with patch.dict(FORMS, json=Form("json", encode)):
        outbox = connected(spool, format="json", in_flight=1000)
        messages = 0
        while outbox.next(0.0) is not None:
            messages += 1
    assert 75 < messages < 100
    assert sum(encoded) < 6 * 1000
    spool.close()


def test_long_labels_after_signatures_that_compress_well(tmp_path: Path) -> None:
    """By what the first ones took for each, thousands would fit; with the labels they are more than wire encodes."""
    spool = Spool(tmp_path)
    rows = dataclasses.replace(numbered(6000), codes=np.zeros((6000, 64), np.int8))
    rows = labelled(rows, *[""] * 2000, *(f"{row:04}" + "笑" * 124 for row in range(4000)))
    for first in range(0, 6000, 100):
        part = wire.Message("d", 1, first, rows[first : first + 100])
        assert spool.append(wire.encode(part, compress=True), 100)
    outbox = connected(spool, max_message_bytes=256 * 1024, compress=True, in_flight=1000)
    found = []
    while (outgoing := outbox.next(0.0)) is not None:
        assert len(outgoing.payload) <= 256 * 1024
        found.append(wire.decode(outgoing.payload))
    assert sum(len(message.signatures) for message in found) == 6000
    for message in found:
        assert_same(message.signatures, rows[message.seq : message.seq + len(message.signatures)])
    spool.close()


def test_no_message_holds_more_than_a_receiver_has_to_take_however_well_it_compresses(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    many = dataclasses.replace(numbered(10_000), codes=np.zeros((10_000, 64), np.int8))
    for first in range(0, 10_000, 500):
        part = wire.Message("d", 1, first, many[first : first + 500])
        assert spool.append(wire.encode(part, compress=True), 500)
    outbox = connected(spool, max_message_bytes=256 * 1024, compress=True)
    assert [sent(outbox) for _ in range(3)] == [(0, 1000), (1000, 1000), (2000, 1000)]
    spool.close()


def test_a_limit_below_one_signature_s_json_sends_each_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    put(spool, 4, size=4)
    outbox = connected(spool, max_message_bytes=128, format="json")
    found = []
    while (outgoing := outbox.next(0.0)) is not None:
        found.append(from_json(outgoing.payload))
    assert [(message.seq, len(message.signatures)) for message in found] == [(row, 1) for row in range(4)]
    spool.close()


def sent_event(outbox: Outbox, now_s: float = 0.0) -> Outgoing:
    outgoing = outbox.next(now_s)
    assert outgoing is not None and "/events/" in outgoing.topic
    return outgoing


def test_an_event_overtakes_signatures_which_travel_together_as_if_there_were_none(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = connected(spool, delay_s=10)
    put(spool, 3)
    assert outbox.next(0.0) is None
    spool.append(to_json(happened(2)), 1)
    first = sent_event(outbox)
    assert (first.topic, first.payload, first.state_of) == ("wrist-7/events/wave", to_json(happened(2)), None)
    put(spool, 2, seq=3)
    assert outbox.next(0.0) is None
    first.acknowledged = True
    outbox.settle(1.0)
    assert outbox.next(1.0) is None
    assert (outbox.delivered, spool.pending) == (0, 6), "its record is acknowledged in its turn"
    assert sent(outbox, 10.0) == (0, 5)
    outbox.settle(11.0)
    assert (outbox.delivered, spool.pending, spool.used_bytes) == (6, 0, 0)
    assert not any(segment.events for segment in spool._segments.values()), (
        "a list that never ends would fill the memory"
    )
    spool.close()


def test_the_record_of_an_event_is_acknowledged_when_it_has_arrived_and_not_before(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    put(spool, 3)
    spool.append(to_json(happened(2)), 1)
    put(spool, 2, seq=3)
    outbox = connected(spool)
    event = sent_event(outbox)
    assert sent(outbox) == (0, 3)
    assert outbox.next(0.0) is None, "what lies behind it is not read yet"
    outbox.settle(1.0)
    assert (outbox.delivered, spool.pending) == (3, 3)
    event.acknowledged = True
    outbox.settle(2.0)
    assert sent(outbox) == (3, 2)
    assert outbox.due_in_s(2.0) == 0.0, "nobody will wake it for the event"
    outbox.settle(2.0)
    assert (outbox.delivered, spool.pending, spool.used_bytes) == (6, 0, 0)
    spool.close()


def test_events_of_an_outage_come_first_and_before_those_of_now(tmp_path: Path) -> None:
    """The backlog is far larger than what is sent as live: an old "began" must not be the last word on a state."""
    spool = Spool(tmp_path)
    put(spool, 1000)
    spool.append(to_json(happened(999, BEGAN)), 1)
    put(spool, 1000, seq=1000)
    outbox = connected(spool, in_flight=2)
    spool.append(to_json(happened(1999, ENDED)), 1)
    for seq in (2000, 2001):
        spool.append(to_json(happened(seq, head="knock")), 1)
    sent_first = sent_event(outbox)
    assert sent(outbox)[0] == 0, "signatures go on, but no newer state before this one has arrived"
    sent_first.acknowledged = True
    outbox.settle(1.0)
    sent_next = [sent_event(outbox), sent_event(outbox)]
    assert sent(outbox)[0] > 0, "no more than the window"
    found = [event_from_json(one.payload) for one in (sent_first, *sent_next)]
    assert [(it.seq, it.phase) for it in found] == [(999, BEGAN), (1999, ENDED), (2000, ONCE)]
    assert [one.state_of for one in (sent_first, *sent_next)] == ["wave", "wave", None]
    sent_next[0].acknowledged = True
    outbox.settle(2.0)
    assert event_from_json(sent_event(outbox).payload).seq == 2001
    spool.close()


def test_events_that_arrived_and_were_held_do_not_come_again_with_each_connection(tmp_path: Path) -> None:
    """Their records wait behind a backlog for longer than a bad connection lasts."""
    spool = Spool(tmp_path)
    put(spool, 2000)
    spool.append(to_json(happened(0)), 1)
    spool.append(to_json(happened(1)), 1)
    outbox = connected(spool, hold_s=10.0)
    for seq in (0, 1):
        outgoing = sent_event(outbox)
        assert event_from_json(outgoing.payload).seq == seq
        counted = outbox.payload_bytes
        outgoing.acknowledged = True
        outbox.settle(9.0 * seq)
    outbox.settle(12.0)
    outbox.disconnect(12.0)
    outbox.connect()
    assert event_from_json(sent_event(outbox).payload).seq == 1, "a killed broker might have lost it"
    assert outbox.payload_bytes == counted, "and it is counted once"
    while spool.pending:
        while (outgoing := outbox.next(20.0)) is not None:
            assert "/events/" not in outgoing.topic
            outgoing.acknowledged = True
        for outgoing in outbox._express.on_way:
            outgoing.acknowledged = True
        outbox.settle(20.0)
    assert outbox.delivered == 2002
    spool.close()


def test_an_event_that_cannot_be_sent_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for payload in (
        b"{",
        to_json(happened(0, device="a/b")),
        to_json(happened(1)).replace(b"0.75", b"NaN"),
        to_json(happened(2)),
    ):
        spool.append(payload, 1)
    put(spool, 1)
    outbox = connected(spool)
    outgoing = sent_event(outbox)
    assert event_from_json(outgoing.payload).seq == 2
    assert outbox.next(0.0) is None
    outgoing.acknowledged = True
    outbox.settle(0.0)
    assert sent(outbox) == (0, 1)
    outbox.settle(1.0)
    assert (spool.dropped, spool.pending, outbox.delivered, spool.used_bytes) == (3, 0, 2, 0)
    spool.close()


def test_an_event_that_a_full_spool_dropped_holds_up_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, max_bytes=65536)
    for seq in range(3):
        spool.append(to_json(happened(seq)), 1)
    outbox = connected(spool, in_flight=1)
    sent_event(outbox)
    assert outbox.next(0.0) is None
    put(spool, 2000)
    assert spool.dropped > 3
    while (outgoing := outbox.next(2.0)) is not None:
        assert "/events/" not in outgoing.topic
        outgoing.acknowledged = True
        outbox.settle(2.0)
    assert spool.pending == 0
    spool.close()


@pytest.mark.parametrize("moved", [0, 1, 3])
def test_events_of_an_earlier_process_are_found_in_either_place(tmp_path: Path, moved: int) -> None:
    """In the buffer, on the disk, or where both have a part of one segment. moved: how many are on the disk."""
    spool = Spool(tmp_path / "disk", buffer=tmp_path / "buffer")
    put(spool, 2)
    for seq in range(3):
        if seq == moved:
            spool.sync()
        spool.append(to_json(happened(seq)), 1)
        put(spool, 1, seq=2 + seq)
    if moved == 3:
        spool.sync()
    spool.close()
    spool = Spool(tmp_path / "disk", buffer=tmp_path / "buffer")
    outbox = connected(spool)
    assert [event_from_json(sent_event(outbox).payload).seq for _ in range(3)] == [0, 1, 2]
    assert outbox.payload_bytes == 0, "sent by another, for all that is known"
    spool.close()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_happens_everything_arrives_in_order_and_counts_add_up(data: st.DataObject) -> None:
    """Any mix of publishing, sending, losing and acknowledging signatures and events; the receiver is a list."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        spool = Spool(Path(folder))
        small = data.draw(st.sampled_from([0, 700, SMALL_BACKLOG_BYTES]))
        stack.enter_context(patch("motionsig.publishers.outbox.SMALL_BACKLOG_BYTES", small))
        limit = data.draw(st.sampled_from([300, 900, 4000]))
        form = data.draw(st.sampled_from(["cbor", "json"]))
        read = {"cbor": wire.decode, "json": from_json}[form]
        outbox = connected(spool, max_message_bytes=limit, delay_s=5, hold_s=3, format=form)
        published, now = 0, 0.0
        received: list[int] = []
        occurred = 0
        events: list[int] = []
        on_way = []

        def arrive(outgoing: Outgoing, payload: bytes) -> None:
            if outgoing.topic == "wrist-7/events/wave":
                events.append(event_from_json(payload).seq)
                return
            message = read(payload)
            assert len(payload) <= limit or len(message.signatures) == 1
            assert_same(message.signatures, numbered(len(message.signatures), message.seq))
            received.extend(range(message.seq, message.seq + len(message.signatures)))

        for step in data.draw(st.lists(st.sampled_from("pppeessaal"), max_size=40)) + list("f"):
            now += 1.0
            if step == "p":
                rows = data.draw(st.integers(1, 30))
                put(spool, rows, seq=published, size=rows)
                published += rows
            elif step == "e":
                assert spool.append(to_json(happened(occurred)), 1)
                occurred += 1
            elif step == "s" and (outgoing := outbox.next(now)):
                on_way.append((outgoing, outgoing.payload))
            elif step == "a" and on_way:
                outgoing, payload = on_way.pop(0)
                arrive(outgoing, payload)
                outgoing.acknowledged = True
                outbox.settle(now)
            elif step == "l":
                # Lost connection: what was on its way may or may not have arrived.
                for outgoing, payload in on_way[: data.draw(st.integers(0, len(on_way)))]:
                    arrive(outgoing, payload)
                on_way.clear()
                outbox.disconnect(now)
                outbox.connect()
            elif step == "f":
                # Again and again, as no more than the window is on its way at once.
                while True:
                    while outgoing := outbox.next(now, spool.end):
                        on_way.append((outgoing, outgoing.payload))
                    if not on_way and outbox.due_in_s(now) != 0.0:
                        break
                    for outgoing, payload in on_way:
                        arrive(outgoing, payload)
                        outgoing.acknowledged = True
                    on_way.clear()
                    outbox.settle(now)
            assert outbox.delivered + spool.pending == published + occurred
        firsts = list(dict.fromkeys(received))
        assert sorted(firsts) == list(range(published))
        assert firsts == sorted(firsts) or small < SMALL_BACKLOG_BYTES
        assert list(dict.fromkeys(events)) == list(range(occurred)), (
            "events keep their order, whatever lane they are in"
        )
        assert not events or events[-1] == occurred - 1, "the newest event is the last word"
        assert (outbox.delivered, spool.pending, spool.dropped) == (published + occurred, 0, 0)
        outbox.settle(now + 3)
        assert spool.used_bytes == 0
        assert spool.read(Position(0, 0)) == []
        spool.close()

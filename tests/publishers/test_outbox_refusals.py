"""A broker that refuses some of it, told to the outbox directly: what is sent again, in which order, how it counts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import assert_same, numbered
from receiving import happened

from motionsig import wire
from motionsig.events import BEGAN, ENDED, from_json, to_json
from motionsig.publishers import terms
from motionsig.publishers.messages import pack
from motionsig.publishers.mqtt_options import MqttOptions
from motionsig.publishers.outbox import Outbox
from motionsig.publishers.outgoing import Outgoing
from motionsig.publishers.protocol import Limits
from motionsig.publishers.reasons import Reason
from motionsig.publishers.spool import Spool

TAKEN, NOBODY, NOT_AUTHORIZED, TOO_LARGE, QUOTA, INVALID = (Reason(code) for code in (0, 0x10, 0x87, 0x95, 0x97, 0x99))
SIGNATURES, EVENTS = "wrist-7/signatures", "wrist-7/events/wave"


def outbox_of(spool: Spool, **options: Any) -> Outbox:
    chosen = {"delay_s": 0.0, "hold_s": 0.0, "retry_s": 1.0, "max_retry_s": 4.0, **options}
    outbox = Outbox(spool, MqttOptions(**chosen), now_s=0.0, device="wrist-7")
    outbox.connect()
    return outbox


def put(spool: Spool, rows: int, seq: int = 0, device: str = "wrist-7") -> None:
    for message in pack(wire.Message(device, 3, seq, numbered(rows, seq))):
        assert spool.append(message.data, message.rows)


def put_state(spool: Spool, number: int) -> None:
    assert spool.append(to_json(happened(number, (BEGAN, ENDED)[number % 2])), 1)


def all_next(outbox: Outbox, now_s: float) -> list[Outgoing]:
    return list(iter(lambda: outbox.next(now_s), None))


@pytest.mark.parametrize("refusal", [QUOTA, INVALID])
def test_an_older_state_is_never_the_last_word(tmp_path: Path, refusal: Reason) -> None:
    """Refused for once, as by a quota, it comes before the newer one, not behind it."""
    spool = Spool(tmp_path)
    outbox = outbox_of(spool)
    for number in range(3):
        put_state(spool, number)
    said, reasons = [], [refusal, TAKEN, TAKEN, TAKEN]
    for second in range(60):
        for outgoing in all_next(outbox, float(second)):
            reason = reasons.pop(0)
            said.append((from_json(outgoing.payload).seq, reason is TAKEN))
            outbox.answer(outgoing, reason, float(second))
            outbox.settle(float(second))
        outbox.settle(float(second))
    assert said == [(0, False), (0, True), (1, True), (2, True)]
    assert (outbox.delivered, spool.pending, spool.used_bytes) == (3, 0, 0)
    spool.close()


def test_what_is_refused_behind_an_unanswered_event_is_not_passed_by_newer_ones(tmp_path: Path) -> None:
    """Its pause may be over before the spool knows that it was refused."""
    spool = Spool(tmp_path)
    outbox = outbox_of(spool)
    assert spool.append(to_json(happened(0, head="knock")), 1)
    put_state(spool, 0)
    knock, began = all_next(outbox, 0.0)
    outbox.answer(began, QUOTA, 0.0)
    outbox.settle(0.0)
    put_state(spool, 1)
    assert all_next(outbox, 10.0) == []
    outbox.answer(knock, TAKEN, 10.0)
    outbox.settle(10.0)
    (began,) = all_next(outbox, 20.0)
    assert from_json(began.payload).phase == BEGAN
    spool.close()


def test_an_event_that_was_refused_and_then_taken_counts_once(tmp_path: Path) -> None:
    """The lane comes to its record when that was forgotten already."""
    spool = Spool(tmp_path)
    put(spool, 1)
    put_state(spool, 0)
    put(spool, 1, 1)
    before, event, behind = spool.read(spool.first)
    spool.refuse(event.start, event.end)
    assert spool.acknowledge(event.end, 1)
    spool.forget_refused(event.start, event.end)
    assert spool.acknowledge(before.end, 1)
    spool.forget(before.start, before.end)
    assert not spool.acknowledge(event.end, 1)
    assert spool.pending == 1
    assert spool.acknowledge(behind.end, 1)
    spool.close()


def test_an_event_that_was_refused_is_sent_again_if_the_broker_may_have_lost_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = outbox_of(spool, hold_s=30.0)
    put_state(spool, 0)
    for now_s, reason in ((0.0, QUOTA), (10.0, TAKEN)):
        (event,) = all_next(outbox, now_s)
        outbox.answer(event, reason, now_s)
        outbox.settle(now_s)
    outbox.disconnect(11.0)
    outbox.connect(Limits(), 11.0)
    (event,) = all_next(outbox, 20.0)
    outbox.answer(event, TAKEN, 20.0)
    outbox.settle(20.0)
    outbox.settle(60.0)
    assert (event.topic, outbox.delivered, spool.used_bytes) == (EVENTS, 1, 0)
    spool.close()


def test_what_was_passed_is_sent_again_though_nothing_that_was_refused_is_left(tmp_path: Path) -> None:
    """An event that arrived before the connection ended is passed over the new one, as its topic was closed again."""
    spool = Spool(tmp_path)
    outbox = outbox_of(spool, hold_s=30.0, in_flight=1)
    put_state(spool, 0)
    for now_s, reason in ((0.0, QUOTA), (10.0, TAKEN)):
        (event,) = all_next(outbox, now_s)
        outbox.answer(event, reason, now_s)
        outbox.settle(now_s)
    put_state(spool, 1)
    (event,) = all_next(outbox, 10.0)
    outbox.answer(event, QUOTA, 10.0)
    outbox.disconnect(10.0)
    outbox.connect(Limits(), 10.0)
    for second in range(10, 60):
        for event in all_next(outbox, float(second)):
            outbox.answer(event, TAKEN, float(second))
        outbox.settle(float(second))
    outbox.settle(100.0)
    assert (outbox.delivered, spool.pending, spool.used_bytes) == (2, 0, 0)
    spool.close()


def test_a_broker_that_takes_no_payload_gets_a_few_and_not_the_whole_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(500):
        put(spool, 1, number)
    outbox = outbox_of(spool, max_message_bytes=128, in_flight=2)
    tried = 0
    for second in range(30):
        for outgoing in all_next(outbox, float(second)):
            tried += 1
            outbox.answer(outgoing, INVALID, float(second))
            outbox.settle(float(second))
    assert 8 < tried < 60
    assert (outbox.delivered, spool.pending) == (0, 500)
    spool.close()


def test_a_backlog_of_signatures_that_are_all_too_large_is_passed_in_turns(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for seq in range(1500):
        put(spool, 1, seq)
    outbox = outbox_of(spool)
    outbox.connect(Limits(max_packet_bytes=100), 0.0)
    turns = 0
    while outbox.due_in_s(0.0) == 0.0 or not turns:
        assert all_next(outbox, 0.0) == []
        outbox.settle(0.0)
        turns += 1
    assert 15 < turns < 100, "the network has its turn in between"
    assert (spool.pending, outbox.delivered) == (1500, 0)
    outbox.connect(Limits(), 1.0)
    while outgoings := all_next(outbox, 1.0):
        for outgoing in outgoings:
            outbox.answer(outgoing, TAKEN, 1.0)
        outbox.settle(1.0)
    assert (spool.pending, outbox.delivered, outbox.refusal) == (0, 1500, None)
    spool.close()


def test_what_was_refused_and_has_arrived_is_not_said_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = outbox_of(spool)
    for seq, reason in ((0, INVALID), (0, TAKEN), (1, QUOTA)):
        if not spool.pending:
            put(spool, 1, seq)
        (outgoing,) = all_next(outbox, 10.0 * seq + 5.0 * (reason is TAKEN))
        outbox.answer(outgoing, reason, 10.0 * seq)
        outbox.settle(10.0 * seq)
    assert outbox.refusal is not None and "quota exceeded" in outbox.refusal and "payload" not in outbox.refusal
    spool.close()


def test_a_refusal_is_said_once_whether_it_is_of_one_message_or_of_all(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = outbox_of(spool, max_message_bytes=128)
    for seq in range(10):
        put(spool, 1, seq)
    for outgoing in all_next(outbox, 0.0):
        outbox.answer(outgoing, INVALID, 0.0)
    outbox.settle(0.0)
    assert outbox.refusal is not None and outbox.refusal.count("payload format invalid") == 1
    spool.close()


def test_one_payload_that_is_refused_stops_no_other(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = outbox_of(spool, max_message_bytes=128, in_flight=30)
    for number in range(20):
        put(spool, 1, number)
    for outgoing in all_next(outbox, 0.0):
        outbox.answer(outgoing, INVALID if wire.decode(outgoing.payload).seq % 5 == 0 else TAKEN, 0.0)
    outbox.settle(0.0)
    assert (outbox.delivered, spool.pending) == (16, 4)
    put(spool, 1, 20)
    (outgoing,) = all_next(outbox, 0.0)
    assert wire.decode(outgoing.payload).seq == 20
    spool.close()


def test_one_record_that_is_too_large_is_cut(tmp_path: Path) -> None:
    """A batch is one record of many signatures; the broker says its limit only by refusing."""
    spool = Spool(tmp_path)
    outbox = outbox_of(spool, max_retry_s=1.0)
    put(spool, 50)
    seen = set[int]()
    for second in range(20):
        for outgoing in all_next(outbox, float(second)):
            fits = outgoing.size <= 900
            if fits:
                message = wire.decode(outgoing.payload)
                seen |= set(range(message.seq, message.seq + outgoing.rows))
            outbox.answer(outgoing, TAKEN if fits else TOO_LARGE, float(second))
            outbox.settle(float(second))
    assert seen == set(range(50))
    assert (outbox.delivered, spool.pending, outbox.refusal) == (50, 0, None)
    spool.close()


def test_smaller_messages_follow_at_once_where_all_on_their_way_were_too_large(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = outbox_of(spool)
    put(spool, 50 * 8)
    burst = all_next(outbox, 0.0)
    assert len(burst) > 6
    for outgoing in burst:
        outbox.answer(outgoing, TOO_LARGE, 0.0)
    outbox.settle(0.0)
    put(spool, 5, 400)
    (outgoing,) = all_next(outbox, 0.0)
    assert wire.decode(outgoing.payload).seq == 400
    spool.close()


def test_a_single_signature_on_its_way_says_nothing_about_sizes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = outbox_of(spool)
    put(spool, 1)
    assert len(all_next(outbox, 0.0)) == 1
    assert not outbox.suspect()
    put(spool, 2, 1)
    assert len(all_next(outbox, 0.0)) == 1
    assert outbox.suspect()
    spool.close()


def test_a_size_that_was_learned_is_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker may have closed the connection for another reason."""
    monkeypatch.setattr(terms, "_LARGER_AFTER", 10)
    learned = terms.Terms(MqttOptions())
    for _ in range(5):
        learned.taken(100)
    assert [learned.suspect(size) for size in (4000, 2000, 3000)] == [True, True, False]
    sizes = []
    for _ in range(30):
        sizes.append(learned.message_bytes(SIGNATURES))
        learned.taken(100)
    assert [sizes[at] for at in (0, 9, 10, 19, 20, 29)] == [1000, 1000, 2000, 2000, 4000, 4000]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_refused_everything_arrives_and_counts_add_up(data: st.DataObject) -> None:
    """Any mix of publishing, refusing and losing, over limits that change; then the broker takes all."""
    reasons = st.sampled_from([TAKEN, TAKEN, TAKEN, NOBODY, NOT_AUTHORIZED, TOO_LARGE, QUOTA, INVALID])
    limits = st.builds(Limits, st.sampled_from([None, None, 200, 600]), st.sampled_from([1, 2, 65535]))
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        unheard = data.draw(st.sampled_from(["keep", "forget"]))
        size, hold_s = data.draw(st.sampled_from([300, 900])), data.draw(st.sampled_from([0.0, 3.0]))
        outbox = outbox_of(spool, max_message_bytes=size, hold_s=hold_s, unheard=unheard)
        published = {"wrist-7": 0, "other": 0}
        states, now_s = 0, 0.0
        seen: set[tuple[str, int]] = set()
        told: list[int] = []
        on_way: list[tuple[Outgoing, bytes]] = []

        def answer(outgoing: Outgoing, payload: bytes, reason: Reason) -> None:
            if not reason.refused and outgoing.rows:
                message = wire.decode(payload)
                assert_same(message.signatures, numbered(outgoing.rows, message.seq))
                seen.update((message.device, message.seq + row) for row in range(outgoing.rows))
            elif not reason.refused:
                told.append(from_json(payload).seq)
            outbox.answer(outgoing, reason, now_s)

        for step in data.draw(st.lists(st.sampled_from("ppoeessaaal"), max_size=40)):
            now_s += data.draw(st.sampled_from([0.1, 1.0, 5.0]))
            if step in "po":
                device = "wrist-7" if step == "p" else "other"
                rows = data.draw(st.sampled_from([1, 2, 12]))
                put(spool, rows, published[device], device)
                published[device] += rows
            elif step == "e":
                put_state(spool, states)
                states += 1
            elif step == "s":
                on_way += [(outgoing, outgoing.payload) for outgoing in all_next(outbox, now_s)]
            elif step == "a":
                for _ in range(min(len(on_way), 3)):
                    answer(*on_way.pop(data.draw(st.integers(0, len(on_way) - 1))), data.draw(reasons))
                outbox.settle(now_s)
            elif step == "l":
                on_way.clear()
                outbox.disconnect(now_s)
                outbox.connect(data.draw(limits), now_s)
            assert outbox.delivered + spool.pending == sum(published.values()) + states
        outbox.disconnect(now_s)
        outbox.connect(Limits(), now_s)
        for _ in range(100):
            for outgoing in all_next(outbox, now_s):
                answer(outgoing, outgoing.payload, TAKEN)
                outbox.settle(now_s)
            outbox.settle(now_s)
            now_s += 1.0
        assert seen == {(device, seq) for device, count in published.items() for seq in range(count)}
        assert set(told) == set(range(states))
        assert not told or told[-1] == states - 1, "the newest state is the last word"
        assert outbox.delivered == sum(published.values()) + states
        assert (spool.pending, spool.dropped, spool.used_bytes, outbox.refusal) == (0, 0, 0, None)
        spool.close()

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from made import SPEC, assert_same, numbered

from motionsig import wire
from motionsig.publishers.messages import pack
from motionsig.publishers.outbox import Outbox
from motionsig.publishers.spool import Position, Spool


def put(spool: Spool, count: int, *, epoch: int = 1, seq: int = 0, size: int = 1) -> None:
    for first in range(seq, seq + count, size):
        rows = numbered(min(size, seq + count - first), first)
        for message in pack(rows, device="d", epoch=epoch, seq=first):
            assert spool.append(message.data, message.rows)


def test_streams_are_never_joined(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    outbox = Outbox(spool, max_message_bytes=4000, delay_s=10, hold_s=0)
    put(spool, 3)
    put(spool, 2, seq=4)
    put(spool, 2, epoch=2, seq=6)
    other = numbered(1, 8, spec=dataclasses.replace(SPEC, fingerprint=b"another!"))
    spool.append(wire.encode(wire.Message("d", 2, 8, other)), 1)
    sent = []
    while outgoing := outbox.next(0.0, spool.end):
        message = wire.decode(outgoing.payload)
        sent.append((message.epoch, message.seq, len(message.signatures)))
    assert sent == [(1, 0, 3), (1, 4, 2), (2, 6, 2), (2, 8, 1)]
    spool.close()


def test_a_record_that_is_no_message_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append(b"from another version", 7)
    put(spool, 2)
    outbox = Outbox(spool, max_message_bytes=4000, delay_s=0, hold_s=0)
    outgoing = outbox.next(0.0)
    assert outgoing is not None
    assert (spool.dropped, spool.pending, len(wire.decode(outgoing.payload).signatures)) == (7, 2, 2)
    spool.close()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_happens_everything_arrives_in_order_and_counts_add_up(data: st.DataObject) -> None:
    """Any mix of publishing, sending, losing and acknowledging; the receiver is a list."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        outbox = Outbox(spool, max_message_bytes=data.draw(st.sampled_from([300, 900, 4000])), delay_s=5, hold_s=3)
        published, now = 0, 0.0
        received: list[int] = []
        on_way = []

        def arrive(payload: bytes) -> None:
            message = wire.decode(payload)
            assert_same(message.signatures, numbered(len(message.signatures), message.seq))
            received.extend(range(message.seq, message.seq + len(message.signatures)))

        for step in data.draw(st.lists(st.sampled_from("pppssaalt"), max_size=40)) + list("f"):
            now += 1.0
            if step == "p":
                rows = data.draw(st.integers(1, 9))
                put(spool, rows, seq=published, size=rows)
                published += rows
            elif step == "s" and (outgoing := outbox.next(now)):
                on_way.append((outgoing, outgoing.payload))
            elif step == "a" and on_way:
                outgoing, payload = on_way.pop(0)
                arrive(payload)
                outgoing.acknowledged = True
                outbox.settle(now)
            elif step == "l":
                # Lost connection: what was on its way may or may not have arrived.
                for _, payload in on_way[: data.draw(st.integers(0, len(on_way)))]:
                    arrive(payload)
                on_way.clear()
                outbox.rewind()
            elif step == "t":
                outbox.note_arrivals(now)
            elif step == "f":
                while outgoing := outbox.next(now, spool.end):
                    on_way.append((outgoing, outgoing.payload))
                for outgoing, payload in on_way:
                    arrive(payload)
                    outgoing.acknowledged = True
                outbox.settle(now)
            assert outbox.delivered + spool.pending == published
        assert list(dict.fromkeys(received)) == list(range(published))
        assert (outbox.delivered, spool.pending, spool.dropped) == (published, 0, 0)
        outbox.settle(now + 3)
        assert spool.used_bytes == 0
        assert spool.read(Position(0, 0)) == []
        spool.close()

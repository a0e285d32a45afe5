"""The daemon's sink over real sinks: numbers, stream ids, clock steps, and a sink that comes and goes."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from made import HOP_NS, START_NS, assert_same, event, numbered

from motionsig import wire
from motionsig.daemon import delivery
from motionsig.daemon.delivery import Delivery
from motionsig.encoders import find_model
from motionsig.errors import InputError, SinkError
from motionsig.pipeline import signature_stream_id
from motionsig.publishers import iter_signatures, open_sink
from motionsig.quality import Quality

HOUR_NS = 3600 * 10**9


def _delivery(url):
    encoder = SimpleNamespace(windows=0, maker=find_model("motion64"))
    made = Delivery(lambda stream_id: open_sink(url, device="pi", stream_id=stream_id), encoder)
    made.follow(7, 1_000, None)
    made.set_clock(1_000, is_set=True)
    return made, encoder


def _publish(made, encoder, batch, *, lost=0):
    encoder.windows += lost + len(batch)
    made.publish(batch)


def _stored(url):
    """Return {stream_id: (numbers, signatures)} of all that is there."""
    found = {}
    for part in iter_signatures(url):
        assert part.stream_id not in found
        found[part.stream_id] = (part.seq.tolist(), part.signatures)
    return found


def test_a_signatures_number_is_its_windows(tmp_path):
    url = f"store:{tmp_path / 's.db'}"
    made, encoder = _delivery(url)
    _publish(made, encoder, numbered(3))
    _publish(made, encoder, numbered(2, 5), lost=2)
    made.close()
    ((stream_id, (seq, _)),) = _stored(url).items()
    assert stream_id == signature_stream_id(7, encoder.maker, encoder.maker.hop)
    assert seq == [0, 1, 2, 5, 6]
    assert (made.totals.accepted, made.totals.dropped) == (5, 0)


def test_a_new_stream_begins_at_0_in_a_stream_id_of_its_own(tmp_path):
    url = f"store:{tmp_path / 's.db'}"
    made, encoder = _delivery(url)
    _publish(made, encoder, numbered(3))
    made.follow(8, 1_000, None)
    _publish(made, encoder, numbered(2, 3))
    made.close()
    assert [seq for seq, _ in _stored(url).values()] in ([[0, 1, 2], [0, 1]], [[0, 1], [0, 1, 2]])


def test_a_clock_that_is_set_moves_what_comes_and_nothing_else(tmp_path):
    url = f"store:{tmp_path / 's.db'}"
    made, encoder = _delivery(url)
    _publish(made, encoder, numbered(2))
    before = made.stream_id
    made.set_clock(1_000 + HOUR_NS, is_set=True)
    made.set_clock(1_000 + HOUR_NS + 20_000_000, is_set=True)  # slewing is no step
    _publish(made, encoder, numbered(2, 2))
    made.set_clock(1_000, is_set=True)  # and back
    _publish(made, encoder, numbered(2, 4))
    made.close()
    assert made.clock_steps == 2
    stored = sorted(_stored(url).values(), key=lambda entry: entry[0])
    assert [seq for seq, _ in stored] == [[0, 1], [2, 3], [4, 5]]
    grid = START_NS + np.arange(6) * HOP_NS
    times = [batch.start_ns for _, batch in stored]
    np.testing.assert_array_equal(np.concatenate(times) - grid, [0, 0, HOUR_NS, HOUR_NS, 0, 0])
    assert_same(stored[0][1], numbered(2))
    assert before in _stored(url)


def test_a_sink_that_cannot_be_opened_is_tried_again_and_nothing_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "_FIRST_PAUSE_S", 0.05)
    folder = tmp_path / "in the way"
    folder.write_text("a file where a folder should be")
    url = f"store:{folder}/s.db"
    made, encoder = _delivery(url)
    made._pause_s = 0.05
    _publish(made, encoder, numbered(3))
    assert made.totals.pending == 3
    assert "in the way" in made.last_error
    folder.unlink()
    folder.mkdir()
    time.sleep(0.06)
    _publish(made, encoder, numbered(1, 3))
    assert (made.totals.pending, made.last_error) == (0, None)
    made.close()
    ((seq, batch),) = _stored(url).values()
    assert seq == [0, 1, 2, 3]
    assert_same(batch, numbered(4))


def test_what_was_held_goes_out_in_few_pieces_and_in_order(tmp_path):
    folder = tmp_path / "later"
    url = f"store:{folder}/s.db?durable=true"
    made, encoder = _delivery(url)
    made._pause_s = 0.01
    for first in range(600):
        _publish(made, encoder, numbered(1, first), lost=int(first == 300))
    assert made.totals.pending == 600
    folder.mkdir()
    sizes, publish = [], made._publish_oldest
    made._publish_oldest = lambda sink: (sizes.append(made.totals.pending), publish(sink))
    made._retry_s = 0.0
    made.deliver()
    assert len(sizes) <= 5
    assert (made.totals.pending, made.last_error) == (0, None)
    made.close()
    ((seq, _),) = _stored(f"store:{folder}/s.db").values()
    assert seq == [*range(300), *range(301, 601)]


def test_a_sink_that_was_right_and_is_set_up_wrongly_now_is_tried_again(tmp_path):
    url, encoder = f"store:{tmp_path / 's.db'}", SimpleNamespace(windows=0, maker=find_model("motion64"))
    errors = []

    def opens(stream_id):
        if errors:
            raise errors[0]
        return open_sink(url, device="pi", stream_id=stream_id)

    made = Delivery(opens, encoder)
    made.follow(7, 0, None)
    _publish(made, encoder, numbered(1))
    made._fail(SinkError("the disk"))
    errors.append(InputError("expected readable PEM files"))
    made._retry_s = 0.0
    _publish(made, encoder, numbered(1, 1))
    assert (made.totals.pending, made.last_error) == (1, "expected readable PEM files")
    errors.clear()
    made._retry_s = 0.0
    made.deliver()
    assert made.totals.pending == 0
    made.close()
    wrong = Delivery(lambda stream_id: open_sink("store:", device="pi", stream_id=stream_id), encoder)
    with pytest.raises(InputError):
        wrong.deliver()


def test_what_is_held_is_bounded_and_what_is_dropped_is_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "MOST_HELD", 4)
    (tmp_path / "file").write_text("")
    made, encoder = _delivery(f"store:{tmp_path}/file/s.db")
    for first in range(0, 10, 2):
        _publish(made, encoder, numbered(2, first))
    assert (made.totals.pending, made.totals.dropped) == (4, 6)
    made.close()


def test_bridged_ones_are_counted(tmp_path):
    made, encoder = _delivery(f"file:{tmp_path / 'f'}")
    _publish(made, encoder, numbered(5))
    assert Quality.BRIDGED == 1
    assert made.bridged == 2
    assert 100 < made.signature_bytes < 250
    made.close()


def test_what_was_held_goes_out_in_batches_and_keeps_the_loop_for_a_moment_only(tmp_path, monkeypatch):
    folder = tmp_path / "in the way"
    folder.write_text("a file where a folder should be")
    made, encoder = _delivery(f"store:{folder}/s.db")
    for number in range(300):
        _publish(made, encoder, numbered(1, number))
    folder.unlink()
    folder.mkdir()
    made._retry_s = 0.0
    monkeypatch.setattr(delivery, "_PATIENCE_S", 0.0)
    made.deliver()
    assert made.totals.pending == 300
    taken, publish = [], made.sink.publish

    def noted(signatures):
        taken.append(len(signatures))
        publish(signatures)

    monkeypatch.setattr(made.sink, "publish", noted)
    monkeypatch.setattr(delivery, "_PATIENCE_S", 20.0)
    made.deliver()
    assert taken == [256, 44]
    assert made.totals.pending == 0
    payload_bytes = made.totals.payload_bytes
    made.close()
    assert (made.totals.accepted, made.totals.payload_bytes) == (300, payload_bytes)
    assert payload_bytes > 300 * 64


class _Hearing:
    """A sink of one's own that hears of the clock."""

    def __init__(self):
        self.heard = []

    def set_clock(self, clock):
        self.heard.append(clock)

    def begin(self, stream_id, seq):
        self.heard.append(seq)

    def publish(self, signatures):
        self.heard += [(int(it.start_ns[0]), int(it.quality[0]) & Quality.UNSET_CLOCK) for it in signatures]

    def publish_events(self, events):
        self.heard += [(it.start_ns, it.end_ns, it.clock) for it in events]


def test_what_is_held_while_the_clock_is_wrong_leaves_with_the_right_time():
    sink, encoder = _Hearing(), SimpleNamespace(windows=0, maker=find_model("motion64"))
    there = []

    def opens(stream_id):
        if not there:
            raise SinkError("not yet")
        return sink

    made = Delivery(opens, encoder)
    made.follow(7, 1_000, None)
    made.set_clock(1_000, is_set=False)
    _publish(made, encoder, numbered(1))
    made.publish_events([event(0)])
    assert not made.clock_is_set
    made.set_clock(1_000 + HOUR_NS, is_set=True)
    made.set_clock(1_000 + HOUR_NS, is_set=False)  # what was right once stays so
    there.append(sink)
    made._retry_s = 0.0
    made.deliver()
    start_ns, end_ns = event(0).start_ns + HOUR_NS, event(0).end_ns + HOUR_NS
    clock, told, *signatures = sink.heard
    assert (clock.is_set, clock.boot) == (True, made.clock.boot)
    assert told == (start_ns, end_ns, None)
    assert signatures == [0, (START_NS + HOUR_NS, 0)]


def test_a_sink_hears_of_each_clock_once_and_of_one_that_nobody_set_signatures_say_so(monkeypatch):
    sink, encoder = _Hearing(), SimpleNamespace(windows=0, maker=find_model("motion64"))
    made = Delivery(lambda stream_id: sink, encoder)
    made.deliver()
    made.follow(7, 1_000, None)
    made.set_clock(1_000, is_set=False)
    _publish(made, encoder, numbered(1))
    made.set_clock(1_000 + 50_000_000, is_set=False)
    slept_ns = 60 * 10**9
    now_ns = delivery.since_boot_ns
    monkeypatch.setattr(delivery, "since_boot_ns", lambda: now_ns() + slept_ns)
    made.set_clock(1_000 + slept_ns, is_set=False)  # who sleeps sets no clock
    made.set_clock(1_000 + slept_ns, is_set=True)
    clocks = [it for it in sink.heard if isinstance(it, wire.Clock)]
    assert [it.is_set for it in clocks] == [False, True]
    assert clocks[0][:2] == clocks[1][:2]
    assert (START_NS, Quality.UNSET_CLOCK) in sink.heard
    made.publish_events([event(1)])
    assert sink.heard[-1] == (event(1).start_ns, event(1).end_ns, None)
    made.set_clock(1_000 + slept_ns + HOUR_NS, is_set=False)  # by hand
    assert not made.clock_is_set

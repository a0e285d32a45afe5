"""What viewers are told: each row once, wherever they go on; and what is missing is said."""

import base64
import json
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made import wait_until
from made_heads import HOP_NS, SPEC, START_NS

from motionsig.blocks import SignatureBatch
from motionsig.control import feed as feeds
from motionsig.control.feed import HEADS, LESSON, STATUS, Feed
from motionsig.events import Event


def rows(first, count):
    """Return signatures whose codes tell their number."""
    numbers = np.arange(first, first + count)
    codes = np.repeat((numbers % 100).astype(np.int8)[:, None], 8, axis=1)
    return SignatureBatch(START_NS + numbers * HOP_NS, codes, np.zeros(count, np.uint8), HOP_NS, SPEC)


def event(seq, stream_id=7):
    return Event("pi", stream_id, seq, "knock", bytes(8), "once", START_NS, START_NS + 1, 0.9)


def fill(feed, sizes, *, stream_id=7, first=0):
    """Put in batches of these sizes, each after an event that comes with its last row."""
    for size in sizes:
        feed.event(event(first + size - 1, stream_id))
        feed.rows(stream_id, first, rows(first, size), {"knock": [0.5] * size})
        first += size


def told(viewer):
    lines = []
    while more := viewer.next(0):
        lines += [json.loads(line) for line in more]
    return lines


def numbers(lines):
    """Return stream and number of each row, in order; check that the rows are what they were."""
    found = []
    for line in lines:
        if made := line.get("signatures"):
            codes = np.frombuffer(base64.b64decode(made["codes"]), np.int8).reshape(-1, 8)
            seqs = range(made["seq"], made["seq"] + len(codes))
            assert codes[:, 0].tolist() == [seq % 100 for seq in seqs]
            assert made["start_ms"] == [(START_NS + seq * HOP_NS) // 10**6 for seq in seqs]
            assert all(len(column) == len(codes) for column in (made["quality"], *made["scores"].values()))
            found += [(int(made["stream"]), seq) for seq in seqs]
    return found


def events(lines):
    return [(int(line["event"]["stream_id"]), line["event"]["seq"]) for line in lines if "event" in line]


def test_a_viewer_begins_now():
    feed = Feed()
    with feed.viewer() as early:
        fill(feed, [2, 1])
        with feed.viewer() as late:
            fill(feed, [3], first=3)
            assert numbers(told(late)) == [(7, 3), (7, 4), (7, 5)]
        lines = told(early)
        assert numbers(lines) == [(7, seq) for seq in range(6)]
        assert [next(iter(line)) for line in lines] == ["event", "signatures"] * 3


# Under load even so little is slow to draw.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 4), min_size=1, max_size=8), st.lists(st.integers(1, 4), max_size=4), st.data())
def test_a_viewer_that_goes_on_gets_each_row_once_and_each_event_at_least_once(sizes, others, data):
    feed = Feed()
    with feed.viewer() as first:
        fill(feed, sizes)
        fill(feed, others, stream_id=8)
        everything = told(first)
        names = numbers(everything)
        place = data.draw(st.integers(0, len(names) - 1))
        with feed.viewer(names[place]) as again:
            lines = told(again)
    assert numbers(lines) == names[place + 1 :]
    assert not any("gap" in line for line in lines)
    # An event stands before the rows that it came with: whoever has one of these has the event.
    ends = np.cumsum([*sizes, *others])
    assert events(lines) == [
        names[end - 1] for end, size in zip(ends, [*sizes, *others], strict=True) if end - size > place
    ]


def test_a_viewer_that_goes_on_from_the_last_row_waits_for_the_next():
    feed = Feed()
    with feed.viewer():
        fill(feed, [2])
        with feed.viewer((7, 1)) as viewer:
            assert told(viewer) == []
            fill(feed, [1], first=2)
            assert numbers(told(viewer)) == [(7, 2)]


@pytest.mark.parametrize(
    ("after", "gap"),
    [
        ((7, 3), {"missed": 4, "why": "too_old"}),
        ((9, 3), {"missed": None, "why": "restarted"}),
        ((7, 99), {"missed": None, "why": "restarted"}),
    ],
)
def test_what_cannot_be_gone_on_from_is_said_first(monkeypatch, after, gap):
    feed = Feed()
    with feed.viewer():
        monkeypatch.setattr(feeds, "_MOST_KEPT", 4)
        fill(feed, [2] * 6)
        with feed.viewer(after) as viewer:
            first, *lines = told(viewer)
            assert first == {"gap": gap}
            assert numbers(lines) == [(7, seq) for seq in (8, 9, 10, 11)]


def test_a_viewer_that_does_not_read_is_told_what_it_missed_and_costs_no_memory(monkeypatch):
    monkeypatch.setattr(feeds, "_MOST_KEPT", 5)
    feed = Feed()
    with feed.viewer() as slow:
        feed.rows(7, 0, rows(0, 1), {})
        assert numbers(told(slow)) == [(7, 0)]
        for seq in range(1, 50):
            feed.rows(7, seq, rows(seq, 1), {})
        first, *lines = told(slow)
        assert first == {"gap": {"missed": 44, "why": "too_old"}}
        assert numbers(lines) == [(7, seq) for seq in range(45, 50)]
        assert len(feed._ring) == 5


def test_rows_are_wanted_while_somebody_watches_and_for_two_minutes_more(monkeypatch):
    now_s = [1000.0]
    monkeypatch.setattr(feeds.time, "monotonic", lambda: now_s[0])
    feed = Feed()
    assert not feed.wanted
    viewer, other = feed.viewer(), feed.viewer()
    assert feed.wanted
    viewer.close()
    viewer.close()
    now_s[0] += 1000
    assert feed.wanted
    other.close()
    now_s[0] += 119
    assert feed.wanted
    now_s[0] += 2
    assert not feed.wanted
    feed.event(event(1))
    assert not feed._ring


def test_rows_older_than_two_minutes_go(monkeypatch):
    now_s = [1000.0]
    monkeypatch.setattr(feeds.time, "monotonic", lambda: now_s[0])
    feed = Feed()
    with feed.viewer():
        for seq in range(10):
            feed.rows(7, seq, rows(seq, 1), {})
            now_s[0] += 30
        with feed.viewer((7, 5)) as viewer:
            assert numbers(told(viewer)) == [(7, seq) for seq in range(6, 10)]
        with feed.viewer((7, 3)) as viewer:
            assert told(viewer)[0] == {"gap": {"missed": 1, "why": "too_old"}}


def test_the_newest_of_everything_is_told_once_and_made_by_who_reads_it():
    feed, asked = Feed(), []

    def heads():
        asked.append(threading.get_ident())
        return [len(asked)]

    feed.put(STATUS, {"n": 1})
    feed.put(STATUS, {"n": 2})
    feed.put(HEADS, heads)
    feed.put(LESSON, None)
    assert not asked
    with feed.viewer() as viewer, feed.viewer() as other:
        assert told(viewer) == [{"status": {"n": 2}}, {"heads": [1]}, {"lesson": None}] == told(other)
        assert told(viewer) == []
        feed.again(HEADS)
        assert told(viewer) == [{"heads": [2]}]


def test_a_viewer_that_waits_is_woken_at_once():
    feed, heard = Feed(), []

    def wait():
        heard.append(viewer.next(600.0))

    with feed.viewer() as viewer:
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        wait_until(lambda: feed._changed._waiters)
        feed.rows(7, 0, rows(0, 1), {})
        thread.join(60)
    (lines,) = heard
    assert numbers(map(json.loads, lines)) == [(7, 0)]


def test_a_score_that_is_none_is_null():
    feed = Feed()
    with feed.viewer() as viewer:
        feed.rows(7, 0, rows(0, 2), {"knock": [float("-inf"), 0.123456]})
        (line,) = told(viewer)
        assert line["signatures"]["scores"] == {"knock": [None, 0.1235]}


def test_rows_that_nobody_watched_are_said_to_be_missing():
    feed = Feed()
    fill(feed, [3])
    with feed.viewer((7, 0)) as viewer:
        assert numbers(told(viewer)) == [(7, 1), (7, 2)]
        fill(feed, [2], first=10)
        lines = told(viewer)
        assert [line["gap"] for line in lines if "gap" in line] == [{"missed": 7, "why": "too_old"}]
        assert numbers(lines) == [(7, 10), (7, 11)]
        fill(feed, [1], first=12)
        fill(feed, [1], stream_id=8)
        assert not [line for line in told(viewer) if "gap" in line]


def test_signatures_are_kept_longer_than_their_lines(monkeypatch):
    """So that who says some minutes after an event what it was, says it of what heads judged."""
    now_s = [1000.0]
    monkeypatch.setattr(feeds.time, "monotonic", lambda: now_s[0])
    feed = Feed()
    for seq in range(0, 6000, 2):
        feed.rows(7, seq, rows(seq, 2), {"knock": [0.5, 0.5]})
        now_s[0] += 0.2
    at_ns = START_NS + 6000 * HOP_NS
    ago_s = 9 * 60

    def kept(from_seq):
        found = feed.recent(START_NS + from_seq * HOP_NS, at_ns + 10 * HOP_NS, SPEC.fingerprint)
        return None if found is None else (found.start_ns[0] - START_NS) // HOP_NS

    first = 6000 - int(ago_s / 0.1)
    overlapping = -(-SPEC.length_ns // HOP_NS) - 1
    assert kept(first) == first - overlapping
    assert feed.recent(at_ns - 60 * HOP_NS, at_ns, SPEC.fingerprint) == rows(6000 - 60 - overlapping, 60 + overlapping)
    # What is older goes, a piece at a time, and memory has a bound.
    now_s[0] += 200
    feed.rows(7, 6000, rows(6000, 1), {})
    assert 2000 - feeds._PIECE <= kept(0) <= 2000
    now_s[0] += 601
    feed.rows(7, 6001, rows(6001, 1), {})
    assert kept(0) == 6001
    for seq in range(10_000, 40_000, 100):
        feed.rows(7, seq, rows(seq, 100), {})
    assert sum(len(made) for _, made in feed._pieces) <= feeds._MOST_PIECES * (feeds._PIECE + 100)

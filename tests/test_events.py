"""An event and its message: the same bytes for the same event, and one clear error for anything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig import events, wire
from motionsig.errors import InputError, WireError
from motionsig.events import Event

KNOCK = {
    "device": "hall",
    "stream_id": 7,
    "seq": 12,
    "head": "knock",
    "fingerprint": bytes(range(8)),
    "phase": "once",
    "start_ns": 1_764_400_000_123_456_789,
    "end_ns": 1_764_400_002_683_456_789,
    "score": 0.93,
}


def test_the_message_has_these_bytes():
    assert events.to_json(Event(**KNOCK)) == (
        b'{"version":1,"device":"hall","stream_id":7,"seq":12,"head":"knock","fingerprint":"0001020304050607",'
        b'"phase":"once","start":"2025-11-29T07:06:40.123456789Z","end":"2025-11-29T07:06:42.683456789Z",'
        b'"start_ns":1764400000123456789,"end_ns":1764400002683456789,"duration_s":2.56,"score":0.93}'
    )


@given(
    device=st.text(st.characters(codec="utf-8"), min_size=1, max_size=128),
    number=st.integers(0, 2**63 - 1),
    start_ns=st.integers(-(2**63), 2**63 - 1),
    phase=st.sampled_from(events.PHASES),
    score=st.floats(allow_nan=False, allow_infinity=False),
)
def test_what_is_written_is_read_again(device, number, start_ns, phase, score):
    event = Event(device, number, number, "a-Head_1", bytes(8), phase, start_ns, 2**63 - 1, score)
    assert events.from_json(events.to_json(event), stored=True) == event


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("device", "", "device: expected a name of 1 to 128 characters, got ''"),
        ("device", "\ud800", "device: expected a label in Unicode"),
        ("seq", -1, "seq: expected an integer from 0"),
        ("stream_id", 2**63, "stream_id: expected an integer from 0"),
        ("head", "a/b", "head: expected 1 to 64 of A-Z, a-z, 0-9, _ and -, got 'a/b'"),
        ("head", "", "head: expected 1 to 64"),
        ("head", "-rf", "head: expected 1 to 64"),
        ("fingerprint", b"1", "fingerprint: expected 8 bytes, got 1"),
        ("phase", "over", "phase: expected one of once, began, ended, got 'over'"),
        ("end_ns", KNOCK["start_ns"] - 1, "event: expected a start and a later end of 64 bits"),
        ("end_ns", 2**63, "event: expected a start and a later end of 64 bits"),
        ("score", float("nan"), "score: expected a number, got nan"),
    ],
)
def test_an_event_that_no_message_could_carry_is_refused(key, value, text):
    with pytest.raises(InputError) as caught:
        Event(**KNOCK | {key: value})
    assert str(caught.value).startswith(text)


def changed(**values):
    return json.dumps(json.loads(events.to_json(Event(**KNOCK))) | values).encode()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "event: expected JSON in UTF-8, got: "),
        (b"\xff", "event: expected JSON in UTF-8, got: "),
        (b"[]", "event: expected an object, got list"),
        (b"{}", "event: expected int as version, got NoneType"),
        (b"[" * 4000, "event: expected JSON in UTF-8, got: "),
        (b" " * 4097, "event: expected at most 4096 bytes, got 4097"),
        (b'{"version":NaN}', "event: expected JSON in UTF-8, got: expected a number, got NaN"),
        (b'{"version":' + b"1" * 2000 + b"}", "event: expected JSON in UTF-8, got: expected an integer of 64 bits"),
        (changed(version=2), "event: expected version 1, got 2"),
        (changed(seq=True), "event: expected int as seq, got bool"),
        (changed(seq=1.0), "event: expected int as seq, got float"),
        (changed(fingerprint="00"), "event: expected a fingerprint of 16 hexadecimal digits, got '00'"),
        (changed(score="high"), "event: expected float as score, got str"),
        (changed(head="../x"), "event: head: expected 1 to 64"),
        (changed(device="\ud800"), "event: device: expected a name without control characters"),
    ],
)
def test_what_is_no_event_is_refused_in_a_line(data, text):
    with pytest.raises(WireError) as caught:
        events.from_json(data)
    assert str(caught.value).startswith(text)
    assert "\n" not in str(caught.value)


def test_a_line_for_people_names_the_phase_of_a_state():
    walk = KNOCK | {"head": "walking"}
    assert str(Event(**KNOCK)) == "2025-11-29T07:06:40.123Z knock, 2.6 s, score 0.93"
    assert str(Event(**walk | {"phase": "began"})) == "2025-11-29T07:06:40.123Z walking began, score 0.93"
    assert str(Event(**walk | {"phase": "ended"})) == "2025-11-29T07:06:40.123Z walking ended, 2.6 s, score 0.93"


def test_it_shows_itself_in_one_short_line():
    largest = 2**63 - 1
    long = KNOCK | {"device": "\n" * 128, "head": "h" * 64, "phase": "began", "start_ns": -largest, "end_ns": largest}
    shown = repr(Event(**long | {"stream_id": largest, "seq": largest, "score": -1e300 / 3}))
    assert len(shown) <= 200 and "\n" not in shown
    assert repr(Event(**KNOCK)) == (
        "Event('knock' once, 2025-11-29T07:06:40.123456789Z, 2.56 s, score 0.93, of 'hall', stream 7, seq 12)"
    )


def test_its_key_names_it_for_good():
    once = Event(**KNOCK)
    assert once.key == ("hall", 7, "knock", 12, "once")
    assert Event(**KNOCK | {"score": 0.5, "end_ns": KNOCK["end_ns"] + 1}).key == once.key


def test_an_event_whose_clock_nobody_set_says_so():
    clock = wire.Clock(bytes(range(16)), -5, is_set=False)
    told = Event(**KNOCK, clock=clock)
    data = events.to_json(told)
    assert json.loads(data)["clock"] == {"boot": bytes(range(16)).hex(), "offset_ns": -5}
    assert events.from_json(data) == told
    for wrong in ({}, None, {"boot": "00", "offset_ns": 1}, {"boot": "0" * 32, "offset_ns": 1.5}, {"boot": "0" * 32}):
        with pytest.raises(WireError, match="clock"):
            events.from_json(json.dumps(json.loads(data) | {"clock": wrong}).encode())

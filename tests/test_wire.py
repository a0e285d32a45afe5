import dataclasses
import json
import time
import tracemalloc
import zlib
from pathlib import Path

import cbor2
import numpy as np
import pytest
from grammar import check_grammar
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError, MotionsigError, WireError
from motionsig.quantization import Quantization

HOP_NS = 1_280_000_000
SPEC = SignatureSpec(bytes(range(8)), Quantization(((48, 0.03125, 0), (16, 0.05, -3))), 48, 2_560_000_000)


def message(count, *, seq=7, gaps=(), smooth=False, quality=0, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(-128, 128, (count, 64))
    if smooth:
        codes = np.cumsum(random.integers(-1, 2, (count, 64)), axis=0)
    start_ns = 1_790_000_000_123_456_789 + np.arange(count, dtype=np.int64) * HOP_NS
    for gap in gaps:
        start_ns[gap:] += 5_000_000_001
    flags = np.full(count, quality, np.uint8)
    return wire.Message("pi", 1_790_000_000, seq, SignatureBatch(start_ns, codes.astype(np.int8), flags, HOP_NS, SPEC))


def labelled(sent, label):
    signatures = dataclasses.replace(sent.signatures, labels=np.full(len(sent.signatures), label))
    return dataclasses.replace(sent, signatures=signatures)


def still(count, dim, label=None):
    """Return a message of `count` signatures that are all alike: a few hundred bytes when packed."""
    spec = SignatureSpec(bytes(8), Quantization(((dim, 0.5, 0),)), dim, 2_560_000_000)
    start_ns = np.arange(count, dtype=np.int64) * HOP_NS
    batch = SignatureBatch(start_ns, np.zeros((count, dim), np.int8), np.zeros(count, np.uint8), HOP_NS, spec)
    sent = wire.Message("pi", 1, 0, batch)
    return sent if label is None else labelled(sent, label)


def same(a, b):
    assert (a.device, a.stream_id, a.seq) == (b.device, b.stream_id, b.seq)
    assert a.signatures.spec == b.signatures.spec and a.signatures.hop_ns == b.signatures.hop_ns
    assert a.recording == b.recording and a.signatures == b.signatures
    for name in ("start_ns", "codes", "quality"):
        assert getattr(a.signatures, name).dtype == getattr(b.signatures, name).dtype


def test_exact_bytes():
    # Written out by hand from the grammar: what is in the field must stay readable.
    codes = np.array([[1, -1], [2, -128]], np.int8)
    spec = SignatureSpec(b"\1\2\3\4\5\6\7\10", Quantization(((1, 0.5, 0), (1, 0.1, -3))), 1, 2_560_000_000)
    batch = SignatureBatch(np.array([10, 1_280_000_010]), codes, np.array([0, 1], np.uint8), HOP_NS, spec)
    expected = (
        "d9d9f7 ac"
        " 00 01"
        " 01 62 7069"
        " 02 18 2a"
        " 03 19 0100"
        " 04 48 0102030405060708"
        " 05 82 83 01 f93800 00 83 01 fb3fb999999999999a 22"
        " 06 01"
        " 07 1a 98968000"
        " 08 1a 4c4b4000"
        " 09 81 82 02 0a"
        " 0a d828 82 82 02 02 d848 44 01ff0280"
        " 0c d840 42 0001"
    )
    assert wire.encode(wire.Message("pi", 42, 256, batch)) == bytes.fromhex(expected)
    # Of a recording, with labels: two keys more.
    labelled = dataclasses.replace(batch, labels=np.array(["", "walk"]))
    more = " 0d 82 64 61 2f 62 63 20 0e 82 82 01 60 82 01 64 77616c6b"
    data = wire.encode(wire.Message("pi", 42, 256, labelled, wire.Recording("a/bc", -1)))
    assert data == bytes.fromhex(expected.replace("d9d9f7 ac", "d9d9f7 ae") + more)


@pytest.mark.parametrize("labels", [["walk"], ["", "run", "run", "", "läuft"], ["x" * 128] * 3])
def test_labels_and_the_recording_s_name_travel_along(labels):
    sent = message(len(labels))
    signatures = dataclasses.replace(sent.signatures, labels=np.array(labels))
    sent = dataclasses.replace(sent, signatures=signatures, recording=wire.Recording("A/walk.csv", 10**18))
    data = wire.encode(sent)
    same(wire.decode(data), sent)
    check_grammar(data)
    text = json.loads(wire.to_json(sent))
    assert [row["label"] for row in text["signatures"]] == labels
    assert text["recording"] == {"name": "A/walk.csv", "start": "2001-09-09T01:46:40.000000000Z"}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("options", [{}, {"gaps": (1, 4)}, {"smooth": True}, {"quality": 1}])
@pytest.mark.parametrize("count", [1, 5, 60])
def test_round_trip_and_grammar(count, options, compress):
    sent = message(count, **options)
    data = wire.encode(sent, compress=compress)
    same(wire.decode(data), sent)
    check_grammar(data)


def test_the_readme_shows_the_grammar_that_holds():
    readme = Path(__file__).parents[1] / "motionsig" / "publishers" / "README.md"
    assert f"```cddl\n{wire.WIRE_CDDL}```" in readme.read_text(encoding="utf-8")


def test_a_stranger_reads_it_with_a_cbor_library_alone():
    sent = message(3)
    fields = cbor2.loads(wire.encode(sent))
    shape, codes = fields[10].value
    assert list(shape) == [3, 64] and codes.tag == 72
    assert np.frombuffer(codes.value, np.int8).tolist() == sent.signatures.codes.ravel().tolist()


def test_at_most_70_bytes_per_signature_in_batches_of_60():
    assert len(wire.encode(message(60))) / 60 <= 70
    assert len(wire.encode(message(60), compress=True)) <= len(wire.encode(message(60)))
    assert len(wire.encode(message(60, smooth=True), compress=True)) / 60 < 25


def test_json_is_for_people():
    text = json.loads(wire.to_json(message(2, quality=1)))
    assert text["fingerprint"] == "0001020304050607" and text["length_s"] == 2.56
    assert [row["seq"] for row in text["signatures"]] == [7, 8]
    assert text["signatures"][0]["start"] == "2026-09-21T14:13:20.123456789Z"
    assert text["signatures"][0]["quality"] == ["BRIDGED"]


def test_json_wastes_no_bytes():
    text = wire.to_json(dataclasses.replace(message(2), device="Küche"))
    assert " " not in text and '"device":"Küche"' in text


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"device": ""}, "device: expected a name of 1 to 128 characters"),
        ({"device": "x" * 129}, "device: expected"),
        ({"stream_id": -1}, "stream_id: expected an integer from 0"),
        ({"stream_id": 2**63}, "stream_id: expected an integer from 0"),
        ({"seq": 2**63 - 1}, "seq: expected an integer from 0"),
    ],
)
def test_encode_refuses_what_no_receiver_could_take(change, what):
    sent = message(2)
    fields = {"device": sent.device, "stream_id": sent.stream_id, "seq": sent.seq} | change
    with pytest.raises(InputError, match=what):
        wire.encode(wire.Message(signatures=sent.signatures, **fields))
    with pytest.raises(InputError, match="at most 1024 signatures"):
        wire.encode(message(17_000))
    with pytest.raises(InputError, match="a hop of 1 ns"):
        wire.encode(wire.Message("pi", 1, 1, dataclasses.replace(sent.signatures, hop_ns=2**63)))
    for label, why in (("x" * 129, "of at most 128 characters, got 129"), ("\udcff", "in Unicode")):
        with pytest.raises(InputError, match=f"label: expected a label {why}"):
            wire.encode(labelled(sent, label))
    for recording in (wire.Recording("", 0), wire.Recording("x" * 257, 0), wire.Recording("x", 2**63)):
        with pytest.raises(InputError, match=r"recording: expected a (name|start)"):
            wire.encode(dataclasses.replace(sent, recording=recording))
    with pytest.raises(InputError, match="at least one signature"):
        wire.encode(wire.Message("pi", 1, 1, sent.signatures[:0]))


def altered(**fields):
    """Return a valid message with some of its map's fields changed (key as in field_N), or removed by None."""
    content = cbor2.loads(wire.encode(message(2))[3:])
    for name, value in fields.items():
        key = int(name.removeprefix("field_"))
        content.pop(key, None)
        if value is not None:
            content[key] = value
    return wire.MAGIC + cbor2.dumps(content)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "expected to begin with d9d9f7, got nothing"),
        (b"hello world", "expected to begin with d9d9f7, got 68656c"),
        (wire.MAGIC, "cut short"),
        (wire.MAGIC + b"\x01", "expected a map, got int"),
        (wire.MAGIC + b"\xbf\xff", "no such item as 0xbf at byte 3"),
        (wire.MAGIC + b"\xc2\x41\x01", "no such item"),
        (wire.MAGIC + b"\x5b" + b"\xff" * 8, "cut short"),
        (wire.MAGIC + b"\x9b" + b"\xff" * 8, "no such item"),
        (wire.MAGIC + b"\x81" * 3000 + b"\x00", "no such item as 0x81 at byte 10"),
        (wire.MAGIC + b"\xa1\x00\x62\xff\xfe", "message: expected"),
        (wire.encode(message(1)) + b"\x00", "1 bytes after it"),
        (bytes(wire.MAX_MESSAGE_BYTES + 1), "at most 1048576 bytes"),
        (altered(field_0=2), "format version 1, got 2"),
        (altered(field_0=None), "format version 1, got None"),
        (altered(field_1=5), "expected str under key 1, got int"),
        (altered(field_1=""), "device: expected a name"),
        (altered(field_2=2**63), "stream_id: expected"),
        (altered(field_3=2**63 - 1), "within 63 bits"),
        (altered(field_4=b"short"), "fingerprint of 8 bytes, got 5"),
        (altered(field_5=[]), "expected 1 to 256 codes"),
        (altered(field_5=[[64, float("nan"), 0]]), "quantization group: expected"),
        (altered(field_5=[[64, 1, 0]]), "quantization of int, float, int"),
        (altered(field_5=[[2**60, 1.0, 0]]), "expected 1 to 256 codes"),
        (altered(field_6=65), "motion among them, got 64 and 65"),
        (altered(field_8=0), "hop above 0"),
        (altered(field_8=2**63, field_9=[[1, -(2**63)], [1, 0]]), "hop above 0 and times within 64 bits"),
        (altered(field_0=1.0), "format version 1, got 1.0"),
        (altered(field_9=[[2**60, 0]]), "runs of 1 to"),
        (altered(field_9=[[2, 2**63 - 1]]), "times within 64 bits"),
        (altered(field_9=[[3, 0]]), r"codes of shape \[3, 64\]"),
        (altered(field_10=None), "RFC 8746 row-major array under key 10"),
        (altered(field_10=cbor2.CBORTag(40, [[2, 64], cbor2.CBORTag(72, b"few")])), "tag 72 of 128 bytes"),
        (altered(field_10=cbor2.CBORTag(40, [2, cbor2.CBORTag(72, bytes(128))])), r"shape \[2, 64\], got 2"),
        (altered(field_10=cbor2.CBORTag(40, [[2, 64], cbor2.CBORTag(64, bytes(128))])), "tag 72 of 128 bytes"),
        (altered(field_10=None, field_11=[2, b""]), "expected packed codes of int, bytes, bytes"),
        (altered(field_10=None, field_11=[1, b"junk"]), "message: expected"),
        (altered(field_12=cbor2.CBORTag(64, b"\0")), "tag 64 of 2 bytes"),
        (altered(field_13="walk.csv"), "expected a recording of str, int, got 'walk.csv'"),
        (altered(field_13=["", 0]), "recording: expected a name of 1 to 256"),
        (altered(field_13=["x", 2**63]), "recording: expected a start"),
        (altered(field_14="walk"), "expected list under key 14, got str"),
        (altered(field_14=[]), "expected labels of 2 signatures"),
        (altered(field_14=[[2**60, "walk"]]), "expected labels of 2 signatures"),
        (altered(field_14=[[3, "walk"], [-1, "run"]]), "expected labels of 2 signatures"),
        (altered(field_14=[[2, "x" * 129]]), "label: expected a label of at most 128 characters"),
        (altered(field_14=[[2, 5]]), "expected labels of int, str"),
    ],
)
def test_what_is_not_a_message_gives_one_error(data, what):
    with pytest.raises(WireError, match=what):
        wire.decode(data)


def test_a_packed_bomb_is_not_inflated():
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflate.compress(bytes(1 << 28)) + deflate.flush()
    content = altered(field_10=None, field_11=[1, bomb])
    tracemalloc.start()
    try:
        with pytest.raises(WireError, match="expected 128 packed codes"):
            wire.decode(content)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(content)
    finally:
        tracemalloc.stop()


def cost(data):
    """Return the error of a message that is none, with the seconds of CPU and the bytes that refusing it took."""
    tracemalloc.start()
    try:
        with pytest.raises(WireError) as raised:
            wire.decode(data)
        memory = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    times = []
    for _ in range(5):
        began = time.thread_time()
        with pytest.raises(WireError):
            wire.decode(data)
        times.append(time.thread_time() - began)
    return str(raised.value), min(times), memory


def test_the_largest_messages_are_taken_whole():
    for sent in (still(1024, 64, "x" * 128), still(1024, 256, "\U0001f6b6" * 128), still(1024, 256)):
        for compress in (False, True):
            data = wire.encode(sent, compress=compress)
            tracemalloc.start()
            try:
                decoded = wire.decode(data)
                assert tracemalloc.get_traced_memory()[1] < 8e6
            finally:
                tracemalloc.stop()
            same(decoded, sent)


def test_as_many_runs_labels_and_groups_as_there_can_be_are_taken():
    """The limit on items must not refuse what `encode` makes."""
    sent = still(1024, 256)
    spec = dataclasses.replace(sent.signatures.spec, quantization=Quantization(((1, 0.5, 0),) * 256))
    start_ns = np.arange(1024, dtype=np.int64) * (HOP_NS + 1) * 10**6
    labels = np.array([f"{number:0>120}" for number in range(1024)])
    batch = dataclasses.replace(sent.signatures, start_ns=start_ns, spec=spec, labels=labels)
    sent = dataclasses.replace(sent, signatures=batch, recording=wire.Recording("\U0001f6b6" * 256, 0))
    same(wire.decode(wire.encode(sent)), sent)


FULL = {key: value for key, value in cbor2.loads(wire.encode(message(10))[3:]).items() if key != 9}
LONGEST = wire.MAX_MESSAGE_BYTES - 2000


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({**FULL, 9: [[1, 0]] * 100_000}, id="runs"),
        pytest.param({**FULL, 9: [[1, 0]] * 2_000}, id="a few runs too many"),
        pytest.param({**FULL, 9: [[1 << 63, 0]] * 1_000}, id="runs of too many"),
        pytest.param({**FULL, 9: [[10, 0]], 14: [[1, "x"]] * 100_000}, id="labels"),
        pytest.param({**FULL, 9: [[10, 0]], 14: [[1, "x" * 1000]] * 1_000}, id="long labels"),
        pytest.param({**FULL, 9: [[10, 0]], 14: "\U0001f6b6" * (LONGEST // 4)}, id="a label"),
        pytest.param({**FULL, 9: [[10, 0]], 5: [[1, 0.5, 0]] * 80_000}, id="groups"),
        pytest.param({**FULL, 9: bytes(LONGEST)}, id="bytes for runs"),
        pytest.param({**FULL, 9: [bytes(LONGEST)]}, id="bytes for a run"),
        pytest.param({**FULL, 0: bytes(LONGEST)}, id="bytes for the version"),
        pytest.param({**FULL, 9: [[10, 0]], 11: [bytes(LONGEST), 1]}, id="bytes for the packing"),
        pytest.param({bytes(LONGEST): 1}, id="bytes for a key"),
        pytest.param({"\U0001f6b6" * (LONGEST // 4): 1}, id="text for a key"),
        pytest.param({number: number for number in range(100_000)}, id="a map"),
        pytest.param({(1 << 61) * number - number: number for number in range(-4, 4)} | {0: 1}, id="keys that collide"),
        pytest.param([0] * (LONGEST - 10), id="a list"),
        pytest.param([[] for _ in range(LONGEST - 10)], id="a list of lists"),
        pytest.param([{}] * (LONGEST - 10), id="a list of maps"),
        pytest.param([[[[[0]]]]] * (LONGEST // 6), id="lists of lists"),
        pytest.param([""] * (LONGEST - 10), id="a list of texts"),
        pytest.param([1.0] * (LONGEST // 9), id="a list of numbers"),
        pytest.param([cbor2.CBORTag(40, 0)] * (LONGEST // 3), id="a list of tags"),
        pytest.param([1 << 63] * (LONGEST // 9), id="a list of large integers"),
        pytest.param(
            {**FULL, 9: [[1024, 0]], 10: None, 11: [1, zlib.compress(bytes(1 << 28), 9)[2:]]}, id="packed zeros"
        ),
    ],
)
def test_what_is_no_message_costs_little(fields):
    """Of whatever a stranger sends in a megabyte: a tenth of a second at most, and 8 MiB."""
    data = wire.MAGIC + cbor2.dumps(fields)
    assert len(data) <= wire.MAX_MESSAGE_BYTES
    said, seconds, memory = cost(data)
    assert len(said) < 400
    assert seconds < 0.1 and memory < 8 << 20, (said, seconds, memory)


@pytest.mark.parametrize(("count", "dim", "label"), [(1025, 1, None), (1025, 64, "x" * 128), (1 << 16, 1, "x")])
def test_a_short_message_that_stands_for_too_much_is_neither_sent_nor_taken(monkeypatch, count, dim, label):
    sent = still(count, dim, label)
    with pytest.raises(InputError, match=f"at most 1024 signatures, got {count}"):
        wire.encode(sent, compress=True)
    with monkeypatch.context() as patch:
        patch.setattr(wire, "MAX_ROWS", 1 << 40)
        data = wire.encode(sent, compress=True)
    assert len(data) < 10_000
    said, _, memory = cost(data)
    assert "runs of 1 to 1024 signatures" in said and memory < 1e6


@settings(max_examples=500, deadline=30_000)
@given(
    st.binary(max_size=300),
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["set", "cut", "put"]), st.binary(min_size=1, max_size=9))),
)
def test_junk_and_damage_give_one_error_and_never_hang(junk, damage):
    data = bytearray(wire.encode(message(4), compress=bool(len(junk) % 2)))
    for place, kind, new in damage:
        place = min(place, len(data))
        if kind == "set":
            data[place : place + len(new)] = new
        elif kind == "cut":
            del data[place : place + new[0]]
        else:
            data[place:place] = new
    for content in (junk, wire.MAGIC + junk, bytes(data)):
        try:
            decoded = wire.decode(content)
        except MotionsigError as error:
            assert isinstance(error, WireError)
        else:
            # What is accepted is a message: it can be sent on.
            same(wire.decode(wire.encode(decoded)), decoded)


def test_flags_are_runs_where_codes_are_packed_and_that_is_shorter():
    flags = np.repeat(np.array([0, 4, 0], np.uint8), [50, 100, 50])
    calm = message(200)
    calm = dataclasses.replace(calm, signatures=dataclasses.replace(calm.signatures, quality=flags))
    plain, packed = (cbor2.loads(wire.encode(calm, compress=it)[3:]) for it in (False, True))
    assert plain[12].value == flags.tobytes()
    assert packed[12] == [[50, 0], [100, 4], [50, 0]]
    assert wire.decode(wire.encode(calm, compress=True)).signatures == calm.signatures
    changing = dataclasses.replace(calm.signatures, quality=(np.arange(200) % 2).astype(np.uint8))
    packed = cbor2.loads(wire.encode(dataclasses.replace(calm, signatures=changing), compress=True)[3:])
    assert packed[12].value == changing.quality.tobytes()


@pytest.mark.parametrize("runs", [[], [[3, 0]], [[5, 0]], [[4, 256]], [[4, -1]], [[0, 1], [4, 0]], [[4, 1, 1]], [4, 0]])
def test_runs_of_flags_that_do_not_fit_are_refused(runs):
    fields = cbor2.loads(wire.encode(message(4))[3:])
    with pytest.raises(WireError, match="flags"):
        wire.decode(wire.MAGIC + cbor2.dumps(fields | {12: runs}))


@pytest.mark.parametrize(
    "clock", [[b"short", 1], [bytes(16), 1 << 63], [bytes(16)], [bytes(16), 1.5], ["x" * 16, 1], 7]
)
def test_a_clock_that_cannot_be_is_refused(clock):
    fields = cbor2.loads(wire.encode(message(4))[3:])
    with pytest.raises(WireError, match="clock"):
        wire.decode(wire.MAGIC + cbor2.dumps(fields | {15: clock}))


def test_a_message_with_a_clock_and_runs_of_flags_is_of_the_grammar():
    told = dataclasses.replace(message(30, quality=16), clock=wire.Clock(bytes(16), -5, is_set=False))
    data = wire.encode(told, compress=True)
    check_grammar(data)
    assert wire.decode(data).clock == told.clock

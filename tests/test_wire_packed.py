"""Messages whose codes are packed by trained tables."""

from __future__ import annotations

import cbor2
import numpy as np
import pytest
from grammar import check_grammar

from motionsig import packing, wire
from motionsig.blocks import SignatureBatch
from motionsig.encoders import find_model
from motionsig.errors import InputError, WireError
from motionsig.fewer_bits import coarser
from motionsig.model_card import BACKGROUND_NAME

SPEC = find_model().spec
with np.load(find_model().path / BACKGROUND_NAME) as _bank:
    REAL = _bank["codes"][10000:12000]


def message(count: int, seq: int = 0, bits: int = 8) -> wire.Message:
    codes = REAL[seq : seq + count]
    start_ns, quality = 10**18 + np.arange(count, dtype=np.int64) * 1_280_000_000, np.zeros(count, np.uint8)
    return wire.Message("d", 7, seq, coarser(SignatureBatch(start_ns, codes, quality, 1_280_000_000, SPEC), bits))


def packed(sent: wire.Message) -> bytes:
    data = wire.encode(sent, compress="trained")
    assert cbor2.loads(data)[11][0] == 2, "packed by tables"
    return data


def altered(sent: wire.Message, field: object) -> bytes:
    fields = {**cbor2.loads(packed(sent)), 11: field}
    return wire.MAGIC + cbor2.dumps(fields, canonical=True)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("count", [1, 5, 60])
def test_round_trip_and_grammar(count, bits):
    sent = message(count, bits=bits)
    data = packed(sent)
    assert wire.decode(data).signatures == sent.signatures
    assert len(data) < len(wire.encode(sent, compress="deflate"))
    check_grammar(data)


def test_longer_messages_and_codes_that_never_change_are_deflated():
    for codes in (REAL[: packing.MAX_ROWS + 1], np.zeros((60, 64), np.int8)):
        count = len(codes)
        batch = SignatureBatch(np.arange(count), codes, np.zeros(count, np.uint8), 1, SPEC)
        data = wire.encode(wire.Message("d", 7, 0, batch), compress="trained")
        assert cbor2.loads(data)[11][0] == 1
        assert wire.decode(data).signatures == batch


def test_without_the_tables_the_error_says_which_are_missing():
    sent = message(3)
    other = altered(sent, [2, b"none", cbor2.loads(packed(sent))[11][2]])
    with pytest.raises(wire.MissingTablesError, match=rf"got {b'none'.hex()} for encoder {SPEC.fingerprint.hex()}"):
        wire.decode(other)
    assert isinstance(wire.decode_all([other])[0], wire.MissingTablesError)


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ([3, b"", b""], "expected packing method 1 or 2"), (["1", b""], "expected packing method 1 or 2"),
        ([], "expected packing method 1 or 2"), (5, "expected packing method 1 or 2"),
        ([2, b""], "expected packed codes of int, bytes, bytes"),
        ([1, b"", b""], "expected packed codes of int, bytes"),
    ],
)  # fmt: skip
def test_other_packing_gives_one_error(field, what):
    data = altered(message(3), field)
    with pytest.raises(WireError, match=what):
        wire.decode(data)
    (found,) = wire.decode_all([data])
    assert type(found) is WireError


def test_many_at_once_are_those_one_by_one():
    sent = [message(count, seq) for seq, count in enumerate([5, 1, 16, 5, 47, 3] * 8)]
    data = [packed(it) for it in sent]
    data[3], data[9] = wire.encode(sent[3]), wire.encode(sent[9], compress="deflate")
    data[6], data[7] = b"junk", altered(sent[7], [2, cbor2.loads(data[2])[11][1], b"\0\1\0\0"])
    data.append(packed(message(4, 3, bits=4)))
    found = wire.decode_all(data)
    for one, content in zip(found, data, strict=True):
        try:
            expected = wire.decode(content)
        except WireError as error:
            assert isinstance(one, WireError) and str(one) == str(error)
        else:
            assert isinstance(one, wire.Message)
            assert (one.device, one.seq, one.signatures) == (expected.device, expected.seq, expected.signatures)
    assert [isinstance(it, WireError) for it in found] == [number in (6, 7) for number in range(len(found))]


def test_words_for_how_codes_are_packed():
    words = [wire.check_compress(it) for it in (True, "yes", False, "0", "Trained")]
    assert words == ["deflate", "deflate", "no", "no", "trained"]
    with pytest.raises(InputError, match="compress: expected one of no, deflate, trained, got 'zip'"):
        wire.encode(message(3), compress="zip")

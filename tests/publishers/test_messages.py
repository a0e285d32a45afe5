from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest
from made import numbered

from motionsig import wire
from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.errors import InputError
from motionsig.publishers.messages import MAX_ROWS, check_max_message_bytes, pack
from motionsig.quantization import Group, Quantization


def test_a_message_holds_no_more_than_a_receiver_has_to_take_however_well_it_compresses() -> None:
    many = dataclasses.replace(numbered(10_000), codes=np.zeros((10_000, 64), np.int8))
    encode = partial(wire.encode, compress=True)
    packed = list(pack(wire.Message("d", 1, 5, many), max_message_bytes=256 * 1024, encode=encode))
    assert [one.message.seq for one in packed] == list(range(5, 10_005, MAX_ROWS))
    assert [one.rows for one in packed] == [MAX_ROWS] * 9 + [10_000 - 9 * MAX_ROWS]


def test_so_many_of_the_largest_signatures_are_a_message_that_wire_takes() -> None:
    """Else the sending thread would die of a message that it may not even encode to see that it is too large."""
    rows = np.arange(MAX_ROWS)
    largest = SignatureBatch(
        start_ns=2**62 + rows * 10**12,
        codes=np.zeros((MAX_ROWS, 256), np.int8),
        quality=np.ones(MAX_ROWS, np.uint8),
        hop_ns=2**62,
        spec=SignatureSpec(b"8 bytes.", Quantization((Group(1, 1e-300, -128),) * 256), 256, 2**62),
        labels=np.array(
            [f"{row:04}".translate({48 + digit: 0x1F600 + digit for digit in range(10)}) * 32 for row in rows]
        ),
    )
    message = wire.Message("\U0001f600" * 128, 2**62, 2**62, largest, wire.Recording("\U0001f600" * 256, 2**62))
    assert len(wire.encode(message)) > 800_000
    rest = [part.rows for part in pack(message)]
    assert rest == [1] * MAX_ROWS, "each is larger than the limit, so it travels alone"


@pytest.mark.parametrize("max_message_bytes", [127, 256 * 1024 + 1])
def test_limits_that_no_message_or_no_broker_could_keep(max_message_bytes: int) -> None:
    with pytest.raises(InputError, match="expected 128 to 262144"):
        check_max_message_bytes(max_message_bytes)

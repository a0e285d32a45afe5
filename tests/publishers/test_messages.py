from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made import numbered

from motionsig import wire
from motionsig.errors import InputError
from motionsig.publishers.messages import MAX_ROWS, check_max_message_bytes, pack


def test_a_message_holds_no_more_than_a_receiver_has_to_take_however_well_it_compresses() -> None:
    many = dataclasses.replace(numbered(10_000), codes=np.zeros((10_000, 64), np.int8))
    packed = list(pack(wire.Message("d", 1, 5, many), max_message_bytes=256 * 1024, compress=True))
    assert [(one.seq, one.rows) for one in packed] == [
        (5, MAX_ROWS),
        (5 + MAX_ROWS, MAX_ROWS),
        (5 + 2 * MAX_ROWS, 1808),
    ]


@pytest.mark.parametrize("max_message_bytes", [127, 256 * 1024 + 1])
def test_limits_that_no_message_or_no_broker_could_keep(max_message_bytes: int) -> None:
    with pytest.raises(InputError, match="expected 128 to 262144"):
        check_max_message_bytes(max_message_bytes)

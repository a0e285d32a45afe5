"""Which signatures that wait are written as one batch."""

from dataclasses import replace

import pytest
from made_heads import HOP_NS, signatures

from motionsig import wire
from motionsig.blocks import concatenate
from motionsig.daemon.numbered import Numbered, first_run

MADE = signatures([0.1, 0.2, 0.3, 0.4, 0.5])
CLOCK = wire.Clock(b"0123456789abcdef", 5, True)
FIRST = Numbered(7, 10, MADE[:2])


@pytest.mark.parametrize(
    ("second", "joins"),
    [
        (Numbered(7, 12, MADE[2:]), True),
        (Numbered(7, 13, MADE[2:]), False),  # a hole
        (Numbered(7, 11, MADE[2:]), False),
        (Numbered(8, 12, MADE[2:]), False),  # another stream
        (Numbered(7, 12, MADE[2:], CLOCK), False),
        (Numbered(7, 12, replace(MADE[2:], hop_ns=2 * HOP_NS)), False),
    ],
)
def test_what_follows_without_a_hole_is_one(second, joins):
    joined, count = first_run([FIRST, second], 100)
    assert (joined.stream_id, joined.seq, joined.clock) == (7, 10, None)
    assert (joined.signatures == (MADE if joins else MADE[:2]), count) == (True, 1 + joins)


def test_no_more_is_joined_than_asked_for_and_one_batch_is_never_cut():
    held = [Numbered(7, at, MADE[at : at + 1], CLOCK) for at in range(5)]
    joined, count = first_run(iter(held), 3)
    assert (joined.clock, joined.signatures == concatenate([MADE[:1], MADE[1:3]]), count) == (CLOCK, True, 3)
    assert first_run([FIRST], 1) == (FIRST, 1)

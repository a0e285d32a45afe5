"""Signatures that wait, each batch with its name in the stream; what follows each other is written as one batch.

A store writes to the disk for each batch, and a packet costs the same whether it is of one signature or of many.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from motionsig import wire
from motionsig.blocks import SignatureBatch, concatenate


class Numbered(NamedTuple):
    """Signatures, numbered from `seq` up in a stream; clock: the wall clock that their times are of."""

    stream_id: int
    seq: int
    signatures: SignatureBatch
    clock: wire.Clock | None = None


def first_run(held: Iterable[Numbered], most_rows: int) -> tuple[Numbered, int]:
    """Return the first batch with those that follow it without a hole, as one, and how many batches that are.

    most_rows: of what is joined. Raises StopIteration for none.
    """
    batches = iter(held)
    first = next(batches)
    joined, rows = [first.signatures], len(first.signatures)
    for stream_id, seq, made, clock in batches:
        same = (made.spec, made.hop_ns, clock) == (first.signatures.spec, first.signatures.hop_ns, first.clock)
        if not same or (stream_id, seq) != (first.stream_id, first.seq + rows) or rows + len(made) > most_rows:
            break
        joined.append(made)
        rows += len(made)
    return first._replace(signatures=concatenate(joined)), len(joined)

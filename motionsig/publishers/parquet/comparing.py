"""What becomes of signatures whose numbers are in files already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.publishers.local import Stored
from motionsig.quality import NO_CONTENT, Quality


class Found(IntEnum):
    """NEW: in no file. SAME: there already. CONFLICT: other content is there. AGAIN: there, and shall be replaced."""

    NEW = 0
    SAME = 1
    CONFLICT = 2
    AGAIN = 3


def compared(message: wire.Message, stored: Iterable[Stored]) -> tuple[NDArray[np.uint8], SignatureBatch]:
    """Return for each signature of a message (k,) what `Found` it is, and the signatures as they are to be stored.

    stored: what files have of its stream. Whether an Edge TPU ran the network is no content, and the first is kept.
    Labels and the recording's name are none either, but the newest win: then the signature replaces what is stored. So
    does one whose time is another, where the stored time is one of a clock that was not set (UNSET_CLOCK).
    """
    signatures = message.signatures
    found, quality = np.full(len(signatures), Found.NEW, np.uint8), signatures.quality.copy()
    for part in stored:
        inside = (part.seq >= message.seq) & (part.seq < message.seq + len(found))
        theirs, at = part.signatures[inside], part.seq[inside] - message.seq
        mine = signatures[at]
        if (mine.spec, mine.hop_ns) != (theirs.spec, theirs.hop_ns):
            found[at] = Found.CONFLICT
            continue
        flags = (mine.quality ^ theirs.quality) & ~np.uint8(NO_CONTENT)
        like = (mine.codes == theirs.codes).all(axis=1) & (flags == 0)
        unset, still_unset = theirs.quality & Quality.UNSET_CLOCK != 0, mine.quality & Quality.UNSET_CLOCK != 0
        timed = mine.start_ns == theirs.start_ns
        better = unset & ~(still_unset & timed)
        told = message.recording not in (None, part.recording)
        if message.recording is not None or mine.labels is not None:
            told |= with_labels(mine).labels != with_labels(theirs).labels
        same = np.where(better | told & ~(still_unset & ~unset), Found.AGAIN, Found.SAME)
        found[at] = np.where(like & (unset | still_unset | timed), same, Found.CONFLICT)
        quality[at] = np.where(better, mine.quality, theirs.quality)
    return found, replace(signatures, quality=quality)


def with_labels(batch: SignatureBatch) -> SignatureBatch:
    """Return a batch that says of each signature that it has no label, where it says nothing of labels."""
    return batch if batch.labels is not None else replace(batch, labels=np.zeros(len(batch), "U1"))


def cut(message: wire.Message, chosen: NDArray[np.bool_]) -> Iterator[wire.Message]:
    """Yield messages of the chosen signatures (k,) of a message, one for each run of neighbours."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        yield replace(message, seq=message.seq + first, signatures=message.signatures[first:last])

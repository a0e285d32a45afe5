"""What becomes of signatures whose numbers are in files already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from motionsig import wire
from motionsig.publishers.local import Stored
from motionsig.quality import Quality


class Found(IntEnum):
    """NEW: in no file. SAME: there already. CONFLICT: other content is there. AGAIN: there, and shall be replaced."""

    NEW = 0
    SAME = 1
    CONFLICT = 2
    AGAIN = 3


def compared(message: wire.Message, stored: Iterable[Stored]) -> NDArray[np.uint8]:
    """Return for each signature of a message (k,) what `Found` it is; stored: what files have of its stream.

    Whether an Edge TPU ran the network is no content. Labels and the recording's name are none either, but the newest
    win: then the signature replaces what is stored.
    """
    found = np.full(len(message.signatures), Found.NEW, np.uint8)
    for part in stored:
        inside = (part.seq >= message.seq) & (part.seq < message.seq + len(found))
        theirs, at = part.signatures[inside], part.seq[inside] - message.seq
        if not len(at):
            continue
        mine = message.signatures[at]
        if (mine.spec, mine.hop_ns) != (theirs.spec, theirs.hop_ns):
            found[at] = Found.CONFLICT
            continue
        same = (mine.codes == theirs.codes).all(axis=1) & (mine.start_ns == theirs.start_ns)
        same &= ((mine.quality ^ theirs.quality) & ~np.uint8(Quality.EDGE_TPU)) == 0
        none = np.zeros(len(at), "U1")
        if message.recording is not None or mine.labels is not None:
            other = (none if mine.labels is None else mine.labels) != (none if theirs.labels is None else theirs.labels)
            other |= message.recording not in (None, part.recording)
            found[at] = np.where(same, np.where(other, Found.AGAIN, Found.SAME), Found.CONFLICT)
        else:
            found[at] = np.where(same, Found.SAME, Found.CONFLICT)
    return found


def cut(message: wire.Message, chosen: NDArray[np.bool_]) -> Iterator[wire.Message]:
    """Yield messages of the chosen signatures (k,) of a message, one for each run of neighbours."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    for first, last in edges.reshape(-1, 2).tolist():
        yield replace(message, seq=message.seq + first, signatures=message.signatures[first:last])

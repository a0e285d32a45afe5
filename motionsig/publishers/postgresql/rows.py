"""Messages as rows, and rows as PostgreSQL's binary COPY takes them: all of a batch in a few calls of numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import wire

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"


@dataclass(frozen=True, eq=False)
class Rows:
    """n signatures in the order in which they came.

    message (n,): the index of the message of each. stream, seq, encoder, start_ns, quality (n,); codes (n, most) with
    zeros behind the first `dim` (n,). label: what is said of each, "" for none; None where nothing is.
    """

    message: NDArray[np.int64]
    stream: NDArray[np.int64]
    seq: NDArray[np.int64]
    encoder: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    quality: NDArray[np.uint8]
    codes: NDArray[np.int8]
    dim: NDArray[np.int64]
    label: list[str | None] | None

    def __len__(self) -> int:
        return len(self.seq)


def rows_of(messages: Sequence[wire.Message], streams: Sequence[int], encoders: Sequence[int]) -> Rows:
    """Return the signatures of messages, whose streams and encoders have these numbers."""
    batches = [message.signatures for message in messages]
    counts = np.array([len(batch) for batch in batches], np.intp)
    index = np.repeat(np.arange(len(messages)), counts)
    within = np.arange(len(index)) - np.repeat(np.cumsum(counts) - counts, counts)
    dims = np.array([batch.codes.shape[1] for batch in batches], np.int64)
    if (most := int(dims.max())) == dims.min():
        codes = np.concatenate([batch.codes for batch in batches])
    else:
        codes = np.concatenate([np.pad(batch.codes, ((0, 0), (0, most - batch.codes.shape[1]))) for batch in batches])
    label: list[str | None] | None = None
    if any(message.recording is not None or message.signatures.labels is not None for message in messages):
        label = []
        for message in messages:
            given = message.signatures.labels
            # A message of a recording without labels says that there are none, a live sensor's says nothing of them.
            nothing = None if message.recording is None else ""
            label += [nothing] * len(message.signatures) if given is None else given.tolist()
    return Rows(
        index,
        np.array(streams, np.int64)[index],
        np.array([message.seq for message in messages], np.int64)[index] + within,
        np.array(encoders, np.int64)[index],
        np.concatenate([batch.start_ns for batch in batches]),
        np.concatenate([batch.quality for batch in batches]),
        codes,
        dims[index],
        label,
    )


def copied(rows: Rows, *, as_halfvec: bool) -> bytes:
    """Return the rows for COPY ... (FORMAT binary): place, stream, seq, encoder, start_ns, quality, codes, label.

    place: the index of a row. A row is the number of its fields, then for each its length, -1 for NULL, and its bytes.
    """
    numbers = {"place": ">i4", "stream": ">i8", "seq": ">i8", "encoder": ">i4", "start_ns": ">i8", "quality": ">i2"}
    parts = [_HEADER]
    for dim in np.unique(rows.dim).tolist():
        which = np.flatnonzero(rows.dim == dim)
        codes: list[tuple[Any, ...]] = [("codes", "i1", (dim,))]
        if as_halfvec:  # as pgvector's halfvec_recv reads it; a half-precision number holds every int8 exactly
            codes = [("dim", ">i2"), ("unused", ">i2"), ("codes", ">f2", (dim,))]
        fields: list[tuple[Any, ...]] = [("fields", ">i2")]
        for name, kind in numbers.items():
            fields += [(f"bytes_{name}", ">i4"), (name, kind)]
        table = np.zeros(len(which), np.dtype([*fields, ("bytes_codes", ">i4"), *codes, ("bytes_label", ">i4")]))
        table["fields"] = len(numbers) + 2
        for name, kind in numbers.items():
            table[f"bytes_{name}"] = np.dtype(kind).itemsize
            table[name] = which if name == "place" else getattr(rows, name)[which]
        table["bytes_codes"] = 4 + 2 * dim if as_halfvec else dim
        if as_halfvec:
            table["dim"] = dim
        table["codes"] = rows.codes[which, :dim]
        table["bytes_label"] = -1
        if rows.label is None:
            parts.append(table.tobytes())
            continue
        for row, place in zip(table, which.tolist(), strict=True):
            text = b"" if (label := rows.label[place]) is None else label.encode()
            row["bytes_label"] = -1 if label is None else len(text)
            parts += [row.tobytes(), text]
    return b"".join([*parts, _END])

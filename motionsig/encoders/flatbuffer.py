"""Read a FlatBuffer that may be damaged, without the package `flatbuffers`.

Every offset is checked before it is followed, and arrays are views of the file's own bytes. Lists may be referred to
from many places, so each costs something of a read budget before it is read: damaged bytes end in one ModelError and
cost neither much memory nor much time.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import ModelError

_MAX_BUDGET = 16 << 20
_TABLE_COST = 64
"""About the bytes that a table takes in a file, its names and lists included."""


class FlatBuffer:
    """The bytes of a file and what may still be read of its lists."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        # Four times the file's size: what one list holds may be referred to from several places.
        self._budget = min(4 * len(content), _MAX_BUDGET)

    def root(self) -> Table:
        return Table(self, self.number(0, "I"))

    def number(self, place: int, kind: str) -> int:
        """Return a number of a `struct` format."""
        size = struct.calcsize(f"<{kind}")
        # Unchecked, a negative place would count from the end.
        if not 0 <= place <= len(self.content) - size:
            raise ModelError(f"expected {size} bytes at offset {place}, got a file of {len(self.content)}")
        return int(struct.unpack_from(f"<{kind}", self.content, place)[0])

    def array(self, place: int, kind: str) -> NDArray[Any]:
        """Return the vector of scalars of a numpy type whose length is at `place`, as a view."""
        count, size = self.number(place, "I"), np.dtype(kind).itemsize
        left = len(self.content) - place - 4
        if count * size > left:
            raise ModelError(f"expected a vector of {count} x {size} bytes at offset {place}, got {left} bytes")
        return np.frombuffer(self.content, np.dtype(kind).newbyteorder("<"), count, place + 4)

    def spend(self, cost: int) -> None:
        """Take a list's cost off the read budget. Raises ModelError where an honest file would not need as much."""
        self._budget -= cost
        if self._budget < 0:
            raise ModelError("expected lists that fit into the file, got longer ones: it is damaged")


class Table(NamedTuple):
    """A table at `place`: its fields by number, each absent or somewhere behind an offset."""

    buffer: FlatBuffer
    place: int

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return a scalar of a `struct` format."""
        place = self._field(field)
        return self.buffer.number(place, kind) if place else default

    def array(self, field: int, kind: str) -> NDArray[Any]:
        """Return a vector of scalars of a numpy type as a view; empty if absent."""
        place = self._target(field)
        return self.buffer.array(place, kind) if place else np.empty(0, kind)

    def integers(self, field: int) -> tuple[int, ...]:
        """Return a vector of int32."""
        array = self.array(field, "i4")
        self.buffer.spend(array.nbytes)
        return tuple(array.tolist())

    def data(self, field: int) -> bytes:
        """Return a string, or a vector of bytes; empty if absent."""
        array = self.array(field, "u1")
        self.buffer.spend(array.nbytes)
        return array.tobytes()

    def table(self, field: int) -> Table | None:
        place = self._target(field)
        return Table(self.buffer, place) if place else None

    def tables(self, field: int) -> list[Table]:
        offsets = self.array(field, "u4")
        self.buffer.spend(len(offsets) * _TABLE_COST)
        first = self._target(field) + 4
        return [Table(self.buffer, first + 4 * row + offset) for row, offset in enumerate(offsets.tolist())]

    def _target(self, field: int) -> int:
        """Return where a field's offset leads, 0 if the field is absent."""
        place = self._field(field)
        return place + self.buffer.number(place, "I") if place else 0

    def _field(self, field: int) -> int:
        """Return the place of a field's content, 0 if absent."""
        entries = self.place - self.buffer.number(self.place, "i")
        entry = 4 + 2 * field
        if entry + 2 > self.buffer.number(entries, "H"):
            return 0
        offset = self.buffer.number(entries + entry, "H")
        return self.place + offset if offset else 0

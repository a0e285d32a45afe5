"""Records of a segment that the receiver refused: they keep their place while others pass them.

Neighbours are one range, so that a topic that is refused for days takes no more memory than a single record.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from dataclasses import dataclass, field


@dataclass(slots=True)
class Refused:
    """Offsets. left: how many of them did not arrive since."""

    left: int = 0
    _arrived: set[int] = field(default_factory=set)
    # End and start of those that need not be sent again, and are kept until all before them was passed.
    _done: dict[int, int] = field(default_factory=dict)
    # In order; neither overlapping nor touching each other.
    _starts: list[int] = field(default_factory=list)
    _ends: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self._starts)

    @property
    def first(self) -> int:
        """Where the first of them starts; behind everything where there is none."""
        return self._starts[0] if self._starts else sys.maxsize

    def holds(self, end: int) -> bool:
        """Return whether the record that ends here is among them."""
        at = bisect_left(self._ends, end)
        return at < len(self._ends) and self._starts[at] < end

    def waits(self, end: int) -> bool:
        """Return whether the record that ends here is among them and is to be sent, perhaps once more."""
        return self.holds(end) and end not in self._done

    def add(self, start: int, end: int, *, arrived: bool) -> None:
        """Add a record, unless it is there; arrived: an earlier connection delivered it."""
        if self.holds(end):
            return
        if arrived:
            self._arrived.add(end)
        else:
            self.left += 1
        at = bisect_left(self._ends, start)
        if at < len(self._ends) and self._ends[at] == start:
            start = self._starts.pop(at)
            del self._ends[at]
        if at < len(self._starts) and self._starts[at] == end:
            end = self._ends.pop(at)
            del self._starts[at]
        self._starts.insert(at, start)
        self._ends.insert(at, end)

    def arrive(self, end: int) -> bool:
        """Note that one of them arrived; return whether that is new."""
        if end in self._arrived:
            return False
        self._arrived.add(end)
        self.left -= 1
        return True

    def finish(self, start: int, end: int) -> None:
        """Note that one of them arrived and need not be sent again."""
        if self.holds(end):
            self._done[end] = start

    def settle(self, cleared: int) -> None:
        """Take out what need not be sent again and lies before `cleared`, which all others have passed."""
        for end in [end for end in self._done if end <= cleared]:
            start = self._done.pop(end)
            self._arrived.discard(end)
            at = bisect_left(self._ends, end)
            first, last = self._starts.pop(at), self._ends.pop(at)
            for begin, finish in ((end, last), (first, start)):
                if begin < finish:
                    self._starts.insert(at, begin)
                    self._ends.insert(at, finish)

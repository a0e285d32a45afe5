"""Which sequence numbers of a stream did not arrive.

A broker can lose a message that it has acknowledged, and then the device does not know it. The receiver does: the
numbers of a stream follow one another, so a number that is missing between others is a signature that did not arrive.

After an outage a device sends what is new first and its backlog afterwards. So a hole is reported only when it is some
time old, and it is withdrawn when it is filled. Before it is reported the store is asked: it also has what came before
this receiver started, and what other receivers of the same group stored. Memory is bounded: of each stream, device and
fleet the newest are kept. A stream that was forgotten counts as new when it is heard again, and the store then says
what is missing of it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from motionsig.escaping import own_logger

logger = own_logger(__name__)

MOST_DEVICES = 1 << 16
MOST_STREAMS = 16  # of one device; each start of a device begins a stream
MOST_HOLES = 32  # of one stream
MOST_IN_ALL = 1 << 17  # streams and holes of all devices together, a hundred bytes or two each
_MOST_DUE = 100_000
_SAY_EVERY_S = 10.0
_AGAIN_S = 60.0
_MOST_ASKED = 1000

Newest = Callable[[str, int, int, int, int], list[int]]
"""`Numbered.newest_numbers` of a store: device, stream id, first, last, most."""


@dataclass(slots=True)
class _Hole:
    """Numbers `first` to `last` that did not arrive. since_s: when it was noticed; start: before all that was heard."""

    first: int
    last: int
    since_s: float
    start: bool = False
    reported: bool = False

    @property
    def size(self) -> int:
        return self.last - self.first + 1


@dataclass(slots=True)
class _Stream:
    """next: one more than the highest number that has arrived."""

    next: int
    holes: list[_Hole] = field(default_factory=list)


class HoleCounts(NamedTuple):
    """open: holes that are reported and not filled; missing: the signatures in them; devices: those that have one.

    found, filled: holes that were reported since the start, and those of them that were filled afterwards.
    """

    open: int = 0
    missing: int = 0
    devices: int = 0
    found: int = 0
    filled: int = 0


class Holes:
    """The holes in all streams that are heard; `note` is for each message that is stored, `look` for each second."""

    def __init__(self, newest: Newest | None, *, report_after_s: float, ask_again: bool = False) -> None:
        """Begin with no stream known.

        newest: of the store. Without it nothing is reported before the first number that is heard of a stream.
        ask_again: others may fill what is reported, so ask the store again for it.
        """
        self._newest, self._after_s, self._ask_again = newest, report_after_s, ask_again
        self._devices: OrderedDict[str, dict[int, _Stream]] = OrderedDict()
        self._grown = 0  # at least as many as there are streams and holes
        self._due: deque[tuple[float, str, int]] = deque(maxlen=_MOST_DUE)
        self._found = self._filled = 0
        self._said_s = float("-inf")
        self._unsaid: list[tuple[str, int, int, int]] = []  # the first few: device, stream id, first, last
        self._unsaid_holes = self._unsaid_signatures = self._unsaid_filled = 0

    def note(self, device: str, stream_id: int, first: int, count: int, now_s: float) -> None:
        """Note that `count` signatures from `first` on have arrived."""
        streams = self._devices.get(device)
        if streams is None:
            streams = self._devices[device] = {}
            if len(self._devices) > MOST_DEVICES:
                self._devices.popitem(last=False)
        else:
            self._devices.move_to_end(device)
        stream = streams.get(stream_id)
        if stream is None:
            # Until the store says more, everything before the first number is a hole.
            stream = streams[stream_id] = _Stream(0)
            self._grown += 1
            if len(streams) > MOST_STREAMS:
                del streams[next(iter(streams))]
        if first > stream.next:
            stream.holes.append(_Hole(stream.next, first - 1, now_s, start=not stream.next))
            self._grown += 1
            self._due.append((now_s + self._after_s, device, stream_id))
            if len(stream.holes) > MOST_HOLES:
                self._forget_oldest(device, stream_id, stream)
        elif first < stream.next and stream.holes:
            self._fill(stream, first, first + count - 1)
        stream.next = max(stream.next, first + count)
        if self._grown > MOST_IN_ALL:
            self._forget_silent()

    def _forget_silent(self) -> None:
        """Forget the devices that were silent for longest, until there is space for a quarter more."""
        sizes = {device: sum(1 + len(it.holes) for it in streams.values()) for device, streams in self._devices.items()}
        self._grown = sum(sizes.values())
        for device, size in sizes.items():
            if self._grown <= MOST_IN_ALL * 3 // 4:
                break
            del self._devices[device]
            self._grown -= size

    def _forget_oldest(self, device: str, stream_id: int, stream: _Stream) -> None:
        oldest = stream.holes.pop(0)
        if oldest.reported or oldest.start:
            return
        if self._newest is None or stream.holes[0].reported:
            self._report(device, stream_id, oldest)
        else:
            # One hole with the next: the store will say which numbers of it are there.
            stream.holes[0] = replace(stream.holes[0], first=oldest.first, since_s=oldest.since_s)

    def _fill(self, stream: _Stream, first: int, last: int) -> None:
        kept = list[_Hole]()
        for hole in stream.holes:
            rest = (hole.first, min(hole.last, first - 1)), (max(hole.first, last + 1), hole.last)
            parts = [replace(hole, first=low, last=high) for low, high in rest if low <= high]
            kept += parts
            if not parts and hole.reported:
                self._filled += 1
                self._unsaid_filled += 1
        stream.holes = kept

    def look(self, now_s: float, *, most: int = 500) -> None:
        """Report the holes that are old enough, those of `most` streams at once; say so every ten seconds at most.

        Raises SinkError where the store cannot be asked.
        """
        for _ in range(most):
            if not self._due or self._due[0][0] > now_s:
                break
            _, device, stream_id = self._due.popleft()
            stream = self._devices.get(device, {}).get(stream_id)
            if stream is not None:
                self._judge(device, stream_id, stream, now_s)
        if (self._unsaid_holes or self._unsaid_filled) and now_s - self._said_s >= _SAY_EVERY_S:
            self._say()
            self._said_s = now_s

    def _judge(self, device: str, stream_id: int, stream: _Stream, now_s: float) -> None:
        for hole in list(stream.holes):
            if now_s - hole.since_s >= self._after_s and (not hole.reported or self._ask_again):
                for low, high in self._present(device, stream_id, hole):
                    self._fill(stream, low, high)
        for hole in stream.holes:
            if now_s - hole.since_s >= self._after_s and not hole.reported:
                hole.reported, hole.start = True, False
                self._report(device, stream_id, hole)
        del stream.holes[:-MOST_HOLES]
        if self._ask_again and stream.holes:
            self._due.append((now_s + _AGAIN_S, device, stream_id))

    def _present(self, device: str, stream_id: int, hole: _Hole) -> list[tuple[int, int]]:
        """Return the runs of numbers in a hole that the store has, or that are not this receiver's to judge."""
        if self._newest is None:
            return [(hole.first, hole.last)] if hole.start else []
        if hole.start:
            # What is missing before the newest that is stored was reported in its time.
            return [(hole.first, number) for number in self._newest(device, stream_id, hole.first, hole.last, 1)]
        runs, last = list[tuple[int, int]](), hole.last
        while last >= hole.first:
            numbers = self._newest(device, stream_id, hole.first, last, _MOST_ASKED)
            for number in numbers:
                if runs and runs[-1][0] == number + 1:
                    runs[-1] = number, runs[-1][1]
                else:
                    runs.append((number, number))
            if len(numbers) < _MOST_ASKED:
                return runs
            last = numbers[-1] - 1
            if len(runs) > MOST_HOLES:
                # Too many to look at: nobody says of the rest that it is missing.
                return [*runs, (hole.first, last)]
        return runs

    def _report(self, device: str, stream_id: int, hole: _Hole) -> None:
        self._found += 1
        self._unsaid_holes += 1
        self._unsaid_signatures += hole.size
        if len(self._unsaid) < 3:
            self._unsaid.append((device, stream_id, hole.first, hole.last))

    def _say(self) -> None:
        if self._unsaid_holes:
            examples = "; ".join(
                f"{first} to {last} of {device!r}, stream {stream_id}"
                for device, stream_id, first, last in self._unsaid
            )
            logger.warning(
                "%d holes: %d signatures have not arrived within %g s: %s%s; the device may still send them, or it or "
                "the broker has dropped them: see `motionsig status` on the device and the broker's log",
                self._unsaid_holes,
                self._unsaid_signatures,
                self._after_s,
                examples,
                "; ..." if self._unsaid_holes > len(self._unsaid) else "",
            )
        if self._unsaid_filled:
            logger.info("%d holes that were reported are filled", self._unsaid_filled)
        self._unsaid.clear()
        self._unsaid_holes = self._unsaid_signatures = self._unsaid_filled = 0

    @property
    def counts(self) -> HoleCounts:
        """The holes at present, and since the start."""
        here = dict[str, list[int]]()
        for device, streams in self._devices.items():
            for stream in streams.values():
                if stream.holes and (sizes := [hole.size for hole in stream.holes if hole.reported]):
                    here.setdefault(device, []).extend(sizes)
        return HoleCounts(
            open=sum(map(len, here.values())),
            missing=sum(map(sum, here.values())),
            devices=len(here),
            found=self._found,
            filled=self._filled,
        )

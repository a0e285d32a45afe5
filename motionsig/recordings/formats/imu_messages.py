"""Messages of the type sensor_msgs/Imu, as ROS 1 and ROS 2 serialise them, as the rows of a Table.

Their fields have SI units, and the acceleration includes gravity (REP 145). A message is a header with a time stamp and
the name of a frame, and 37 float64: an orientation, an angular rate and an acceleration, each with a covariance whose
first number is -1 where the sensor does not have that quantity. All messages with a name of the same length are one
array; nothing is decoded one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import RecordingError
from motionsig.facts import Fact
from motionsig.recordings.formats.arrays import Part, table
from motionsig.recordings.tables import Table

Coding = Literal["ros1", "cdr"]
"""How a message is serialised: by ROS 1, or by ROS 2 as CDR."""

TYPES = ("sensor_msgs/msg/Imu", "sensor_msgs/Imu")
"""What ROS 2 and ROS 1 call the type."""

_CHANNELS = ("acc_x [m/s^2]", "acc_y [m/s^2]", "acc_z [m/s^2]", "gyr_x [rad/s]", "gyr_y [rad/s]", "gyr_z [rad/s]")
_NUMBER = (25, 26, 27, 13, 14, 15)
"""Which of a message's numbers each channel is: after an orientation (4) and its covariance (9) comes the rate."""
_COVARIANCE = (28, 28, 28, 16, 16, 16)
_NUMBERS = 37
_ABSENT = -1.0
_RECENT_NS = 1_000_000_000 * NS_PER_S  # September 2001: an earlier stamp counts from the start of a computer
_INCREASING = 0.99


class Messages(NamedTuple):
    """Some messages of one topic in the log's order.

    * `received_ns`: when each was recorded. `serialised`: each as it was sent.
    * `breaks`: those before which messages were lost. `labels`: of each, None where the log has none.
    """

    received_ns: Sequence[int]
    serialised: Sequence[bytes]
    breaks: tuple[int, ...] = ()
    labels: Sequence[str] | None = None


Topic = Callable[[], Generator[Messages, None, None]]
"""Yields all messages of a topic, at most BATCH_ROWS at a time."""


class _Decoded(NamedTuple):
    header_ns: NDArray[np.int64]
    received_ns: NDArray[np.int64]
    numbers: NDArray[np.float64]
    breaks: tuple[int, ...]
    labels: NDArray[Any] | None


def imu_table(name: str, where: str, coding: Coding, topic: Topic, *, rows: int | None = None) -> Table:
    """Return the Table of a topic: its clock, its accelerations and angular rates in SI units, its labels."""
    first = _first(topic, coding, where)
    there = [
        (channel, number, covariance)
        for channel, number, covariance in zip(_CHANNELS, _NUMBER, _COVARIANCE, strict=True)
        if not (first.numbers[:, covariance] == _ABSENT).all()
    ]
    by_header, shift_ns, clock = _clock(first)
    names = ["time", *(channel for channel, *_ in there), *([] if first.labels is None else ["label"])]

    def parts(wanted: Collection[int]) -> Iterator[Part]:
        for some in topic():
            decoded = _decoded(some, coding, where)
            columns: dict[int, NDArray[Any]] = {}
            if 0 in wanted:
                columns[0] = (decoded.header_ns + shift_ns if by_header else decoded.received_ns).astype("M8[ns]")
            for at, (_, number, covariance) in enumerate(there, start=1):
                if at in wanted:
                    absent = decoded.numbers[:, covariance] == _ABSENT
                    columns[at] = np.where(absent, np.nan, decoded.numbers[:, number])
            if len(there) + 1 in wanted:
                none = np.full(len(decoded.header_ns), "")
                columns[len(there) + 1] = none if decoded.labels is None else decoded.labels
            yield Part(columns, decoded.breaks)

    units = Fact("units", "m/s² with gravity, rad/s: those of sensor_msgs/Imu", "written")
    return table(name, where, names, parts, facts=(units, clock), rows=rows)


def no_topic(where: str, found: Mapping[str, str]) -> RecordingError:
    """Return the error for a log whose topics, by name their types, have no IMU messages."""
    listed = ", ".join(f"{name} ({kind})" for name, kind in list(found.items())[:8])
    more = ", ..." if len(found) > 8 else ""
    return RecordingError(f"{where}: expected a topic of the type {TYPES[0]}, got {listed or 'no topics'}{more}")


def _first(topic: Topic, coding: Coding, where: str) -> _Decoded:
    """Return the first messages that are whole."""
    with closing(topic()) as messages:
        for some in messages:
            if len((found := _decoded(some, coding, where)).header_ns):
                return found
    raise RecordingError(f"{where}: expected messages of the type {TYPES[0]}, got none that is whole")


def _clock(first: _Decoded) -> tuple[bool, int, Fact]:
    """Return whether the stamps in the headers are the times, what to add to them, and how that is known."""
    steps = np.diff(first.header_ns)
    if not first.header_ns.any() or (len(steps) and float((steps > 0).mean()) < _INCREASING):
        return (
            False,
            0,
            Fact("time stamps", "the times of reception: the stamps in the headers do not increase", "shown"),
        )
    later = int(np.median(first.received_ns - first.header_ns))
    if first.header_ns[0] < _RECENT_NS <= first.received_ns[0]:
        said = "the stamps in the headers, which count from the start of a computer, moved to the times of reception"
        return True, later, Fact("time stamps", said, "shown")
    said = f"the stamps in the headers; the messages were received {later / 1e6:.3g} ms later (median)"
    return True, 0, Fact("time stamps", said, "written")


def _decoded(some: Messages, coding: Coding, where: str) -> _Decoded:
    """Return the numbers of all messages; one that is cut short is left out, and a break before the next."""
    received, labels = np.array(some.received_ns, np.int64), some.labels
    kept, breaks, header_ns, numbers = [], [], [], []
    lost, done = set(some.breaks), 0
    open_break = False
    for key, group in groupby(range(len(some.serialised)), key=lambda at: _layout(some.serialised[at], coding)):
        indices = list(group)
        open_break |= not lost.isdisjoint(indices[:1])
        if key is None:
            open_break = True
            continue
        found = np.frombuffer(b"".join(some.serialised[at] for at in indices), key.dtype)
        breaks += [done + offset for offset, at in enumerate(indices) if at in lost or (offset == 0 and open_break)]
        open_break = False
        header_ns.append(found["s"].astype(np.int64) * NS_PER_S + found["ns"])
        numbers.append(found["numbers"].astype(np.float64))
        kept += indices
        done += len(indices)
    return _Decoded(
        np.concatenate(header_ns) if header_ns else np.empty(0, np.int64),
        received[kept],
        np.concatenate(numbers) if numbers else np.empty((0, _NUMBERS)),
        tuple(breaks),
        None if labels is None else np.array([labels[at] for at in kept], dtype=str),
    )


class _Layout(NamedTuple):
    size: int
    first: int
    order: str
    signed: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """Where in a message of this size the stamp and the numbers are."""
        stamp_at = 4
        seconds = f"{self.order}{'i' if self.signed else 'u'}4"
        return np.dtype(
            {
                "names": ["s", "ns", "numbers"],
                "formats": [seconds, f"{self.order}u4", (f"{self.order}f8", _NUMBERS)],
                "offsets": [stamp_at, stamp_at + 4, self.first],
                "itemsize": self.size,
            }
        )


def _layout(message: bytes, coding: Coding) -> _Layout | None:
    """Return where the fields of a message are; None for one that is cut short or coded otherwise.

    ROS 1: number, seconds, nanoseconds, name of the frame with its length before it, then the numbers. CDR: two bytes
    that tell the order of bytes, two of options, then the same without the number; the name ends with a zero, and the
    numbers begin at a multiple of eight after those four bytes.
    """
    order = "<" if coding == "ros1" or message[1:2] == b"\1" else ">"
    if coding == "cdr" and message[:2] not in (b"\0\0", b"\0\1"):
        return None
    length = int.from_bytes(message[12:16], "little" if order == "<" else "big")
    first = 16 + length if coding == "ros1" else 4 + (12 + length + 7) // 8 * 8
    if len(message) < first + 8 * _NUMBERS:
        return None
    return _Layout(len(message), first, order, coding == "cdr")

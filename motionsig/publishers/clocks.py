"""Right times for what was measured while the wall clock was wrong, as far as they can be known.

A machine without a battery boots in the past, and measures until a time server tells it the time. Until then signatures
have the flag UNSET_CLOCK, and their records and messages say which boot they are of and how far Unix time was ahead of
the time since that boot. While the boot lasts, whoever knows the right offset puts them right by the difference: the
time since the boot is right whatever the wall clock shows. What is left over from an earlier boot keeps its flag: how
long the machine was off, nobody knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from motionsig import wire
from motionsig.conventions import NS_PER_S
from motionsig.events import Event
from motionsig.quality import Quality

STEP_NS = NS_PER_S // 10
"""With a larger difference the wall clock was set; smaller ones come of reading two clocks one after the other."""
LEAST_NS = 1_577_836_800 * NS_PER_S
"""2020. An earlier time is of a clock that was not set, and says nothing of a signature's age."""
_FIRST_NS, _LAST_NS = -(1 << 63), (1 << 63) - 1


@dataclass
class Told:
    """What a sink was told of the wall clock, and whether its messages have said so."""

    _clock: wire.Clock | None = None
    _said: bool = False

    def set(self, clock: wire.Clock) -> None:
        """Note the clock that gives times from here on."""
        if clock != self._clock:
            self._clock, self._said = clock, False

    def for_message(self) -> wire.Clock | None:
        """Return what the next message has to say of the clock.

        While it is not set each message says it. Afterwards one does, for receivers that have others of this boot.
        """
        if self._clock is not None and self._clock.is_set and self._said:
            return None
        self._said = True
        return self._clock


def put_right(message: wire.Message, present: wire.Clock | None) -> wire.Message:
    """Return a message with its times by the clock at present, where they are not known to be right."""
    clock = message.clock
    if clock is None or clock.is_set or present is None or clock.boot != present.boot or clock == present:
        return message
    step = step_ns(clock.offset_ns, present.offset_ns)
    signatures = message.signatures
    kept = ~np.uint8(Quality.UNSET_CLOCK) if present.is_set else np.uint8(0xFF)
    righted = replace(signatures, start_ns=signatures.start_ns + step, quality=signatures.quality & kept)
    return replace(message, signatures=righted, clock=_after(clock, step, present))


def put_right_event(event: Event, present: wire.Clock | None) -> Event:
    """Return an event with its times by the clock at present, where they are not known to be right."""
    clock = event.clock
    if clock is None or present is None or clock.boot != present.boot or clock == present:
        return event
    step = step_ns(clock.offset_ns, present.offset_ns)
    clock = _after(clock, step, present)
    return replace(event, start_ns=event.start_ns + step, end_ns=event.end_ns + step, clock=clock)


def step_ns(offset_ns: int, present_ns: int) -> int:
    """Return by how much a clock was set between two offsets of one boot, 0 where it was not."""
    return present_ns - offset_ns if abs(present_ns - offset_ns) > STEP_NS else 0


def shiftable_ns(step: int) -> tuple[int, int] | None:
    """Return the first and the last time that a step leaves within 64 bits, None where there is none.

    Where a stranger's clock leads to a time that cannot be stored, the old one stays.
    """
    first, last = max(_FIRST_NS, _FIRST_NS - step), min(_LAST_NS, _LAST_NS - step)
    return (first, last) if first <= last else None


def _after(clock: wire.Clock, step: int, present: wire.Clock) -> wire.Clock | None:
    return None if present.is_set else clock._replace(offset_ns=clock.offset_ns + step)

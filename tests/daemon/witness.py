"""The real daemon, with a record of what its sink took: `python witness.py FILE SPEED run --config ...`.

FILE gets 16 bytes for each signature once `publish` has returned: when its window began, and when that was in monotonic
ns; it survives kill -9, as the spool has to. FILE.events gets the messages of the events that were taken. SPEED above 0
puts a walk in the place of the sensor, so many times faster than real time, because a week would take a week; or, with
PLAYED in the environment, the recording of that name, once. It imports no more than the daemon does, because its memory
is measured.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass, field

import numpy as np

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.cli import main
from motionsig.closing import Closing
from motionsig.conventions import NS_PER_S
from motionsig.daemon import delivery, loop
from motionsig.events import to_json
from motionsig.sensors.clock import SystemClock, unix_offset_ns
from motionsig.sensors.live import SensorCounts

RATE_HZ = 104.0
BLOCK_S = 0.1
"""A block holds the samples of so much real time."""

_PART = 64
"""Samples of a recording in a block."""


@dataclass
class FastWalk(Closing):
    """A sensor `speed` times as fast as time, until closed."""

    speed: float
    rate_hz: float = RATE_HZ
    true_rate_hz: float = RATE_HZ
    trouble: str | None = None
    counts: SensorCounts = field(default_factory=SensorCounts)
    closed: bool = False

    def __post_init__(self) -> None:
        from motionsig.sensors.simulated import walking

        self.unix_offset_ns = unix_offset_ns(SystemClock())
        self.began_ns = time.monotonic_ns()
        self.info = SourceInfo("fast walk", "simulated:fast", self.began_ns + self.unix_offset_ns)
        serials = np.arange(round(600 * RATE_HZ))
        self.walk = walking(serials, np.rint(serials * (NS_PER_S / RATE_HZ)).astype(np.int64)).astype(np.float32)

    def __iter__(self):
        first = 0
        while not self.closed:
            time.sleep(BLOCK_S)
            passed_s = (time.monotonic_ns() - self.began_ns) / NS_PER_S
            # After a delay it goes on at the same speed: no sample is left out, and they do not come all at once.
            end = min(round(passed_s * self.speed * RATE_HZ), first + round(4 * BLOCK_S * self.speed * RATE_HZ))
            serials = np.arange(first, end)
            time_ns = self.info.stream_id + np.rint(serials * (NS_PER_S / RATE_HZ)).astype(np.int64)
            self.counts.samples += len(serials)
            yield SampleBlock(time_ns, self.walk[serials % len(self.walk)], False)
            first = end

    def close(self) -> None:
        self.closed = True


class Played(Closing):
    """A recording as a sensor, `speed` times as fast as it was."""

    def __init__(self, path: str, speed: float) -> None:
        from motionsig.recordings import open_recording

        self._log, self._speed = open_recording(path), speed
        self.rate_hz = self.true_rate_hz = self._log.rate_hz
        self.info, self.counts, self.trouble = self._log.info, SensorCounts(), None
        self.unix_offset_ns = unix_offset_ns(SystemClock())

    def __iter__(self):
        began_s, first_ns = time.monotonic(), None
        for block in self._log:
            for part in range(0, len(block), _PART):
                rows = slice(part, part + _PART)
                time_ns = block.time_ns[rows]
                first_ns = time_ns[0] if first_ns is None else first_ns
                due_s = began_s + (time_ns[-1] - first_ns) / NS_PER_S / self._speed
                time.sleep(max(0.0, due_s - time.monotonic()))
                self.counts.samples += len(time_ns)
                yield SampleBlock(time_ns, block.data[rows], block.gap and not part)

    def close(self) -> None:
        self._log = ()


def _with_witness(open_sink, note, note_events):
    def opened(*arguments, **options):
        opened_sink = open_sink(*arguments, **options)
        publish = opened_sink.publish

        def noted(signatures):
            publish(signatures)
            now_ns = np.full(len(signatures), time.monotonic_ns())
            os.write(note, np.column_stack([signatures.start_ns, now_ns]).tobytes())

        publish_events = opened_sink.publish_events

        def noted_events(events):
            publish_events(events)
            os.write(note_events, b"".join(to_json(event) + b"\n" for event in events))

        opened_sink.publish, opened_sink.publish_events = noted, noted_events
        return opened_sink

    return opened


if __name__ == "__main__":
    file, speed, *arguments = sys.argv[1:]
    notes = [os.open(each, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC) for each in (file, f"{file}.events")]
    delivery.open_sink = _with_witness(delivery.open_sink, *notes)
    if played := os.environ.get("PLAYED"):
        loop.open_sensor = lambda **_: Played(played, float(speed))
    elif float(speed):
        loop.open_sensor = lambda **_: FastWalk(float(speed))
    sys.exit(main(arguments))

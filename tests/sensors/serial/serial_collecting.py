"""Reading a sensor on a serial line in real time, on a machine that may be busy."""

import time

from motionsig.blocks import SampleBlock
from motionsig.sensors import SerialSource

LATE_S = 60.0
"""More than any machine is late."""


def collect(sensor: SerialSource, seconds: float) -> list[SampleBlock]:
    """Return what comes, until so many seconds of samples have come; fail if that takes much longer."""
    blocks, late_s, first_ns = [], time.monotonic() + seconds + LATE_S, 0
    for block in sensor:
        assert time.monotonic() < late_s, (sensor.trouble, sensor.counts)
        blocks.append(block)
        if len(block):
            first_ns = first_ns or int(block.time_ns[0])
            if block.time_ns[-1] - first_ns >= seconds * 1e9:
                break
    return blocks

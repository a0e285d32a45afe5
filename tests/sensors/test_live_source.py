"""What live sources share: a source that is closed while its consumer has a block stays closed."""

import pytest

from motionsig.sensors import open_sensor
from motionsig.sensors.bus import BusError
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip


class Counting(SimulatedBus):
    """A bus that can be cut, and counts what is written."""

    cut, writes = False, 0

    def write(self, address: int, data: bytes) -> None:
        if self.cut:
            raise BusError("cut", nack=True)
        self.writes += 1
        super().write(address, data)

    def read(self, address: int, register: int, size: int) -> bytes:
        if self.cut:
            raise BusError("cut", nack=True)
        return super().read(address, register, size)


def test_a_source_closed_while_it_is_away_is_not_started_again() -> None:
    clock = VirtualClock()
    bus = Counting([simulated_chip(clock=clock)], clock=clock)
    sensor = open_sensor("lsm6dso", bus=bus, clock=clock)
    blocks = iter(sensor)
    assert len(next(blocks))
    bus.cut = True
    while len(next(blocks)):
        pass
    bus.cut, before = False, bus.writes
    sensor.close()
    after = bus.writes
    assert list(blocks) == [] and bus.writes == after >= before
    with pytest.raises(OSError, match="closed"):
        iter(sensor)

"""What live sources share: who closes one, and that it has one reader at a time."""

import subprocess
import sys
import threading

import pytest

from motionsig.errors import SensorError
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


def test_a_later_iteration_takes_the_place_of_an_earlier_one() -> None:
    clock = VirtualClock()
    bus = Counting([simulated_chip(clock=clock)], clock=clock)
    with open_sensor("lsm6dso", bus=bus, clock=clock) as sensor:
        first = iter(sensor)
        assert len(next(first))
        second = iter(sensor)
        assert len(next(second))
        with pytest.raises(SensorError, match="expected one iteration at a time, got one that began after this one"):
            next(first)
        before = bus.writes
        assert all(len(next(second)) for _ in range(5))
        assert bus.writes == before


def test_a_second_thread_is_refused_while_the_first_reads() -> None:
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip(clock=clock)], clock=clock)
    with open_sensor("lsm6dso", bus=bus, clock=clock) as sensor:
        blocks, read = iter(sensor), bus.read
        assert len(next(blocks))
        reads, go_on = threading.Event(), threading.Event()

        def waits(address: int, register: int, size: int) -> bytes:
            reads.set()
            assert go_on.wait(60)
            return read(address, register, size)

        bus.read = waits  # type: ignore[method-assign]
        got: list[int] = []
        thread = threading.Thread(target=lambda: got.append(len(next(blocks))))
        thread.start()
        assert reads.wait(60)
        with pytest.raises(SensorError, match="got a second one in another thread"):
            iter(sensor)
        go_on.set()
        thread.join(60)
        assert got and got[0]


FORKS = """
import os, sys
from motionsig.sensors import open_sensor
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip

clock = VirtualClock()
bus = SimulatedBus([simulated_chip(clock=clock)], clock=clock)
with open_sensor("lsm6dso", bus=bus, clock=clock) as sensor:
    blocks = iter(sensor)
    next(blocks)
    before = bus.transactions
    child = os.fork()
    if not child:
        for each in (blocks, iter(sensor)):
            try:
                next(each)
            except OSError as error:
                print(error, flush=True)
        sensor.close()
        print(bus.transactions - before, flush=True)
        os._exit(0)
    os.wait()
    print(len(next(blocks)) > 0, sensor.counts.gaps)
"""


def test_a_child_process_neither_reads_nor_resets_what_its_parent_reads() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=True)
    first, second, transactions, parent = done.stdout.splitlines()
    assert "expected to be read by process" in first and "got a child of that" in first
    assert second == first
    assert (transactions, parent) == ("0", "True 0")

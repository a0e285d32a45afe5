"""What a chip's FIFO is checked for before its records are believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from motionsig.sensors import CHIPS
from motionsig.sensors.chips import settle
from motionsig.sensors.fifo import ChipFifo, Discard
from motionsig.sensors.registers import RegisterError
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip


class DamagingBus(SimulatedBus):
    """A bus on which what one register reads as is damaged."""

    damage: tuple[int, Callable[[bytearray], None]] | None = None

    def read(self, address: int, register: int, size: int) -> bytes:
        data = bytearray(super().read(address, register, size))
        if self.damage is not None and self.damage[0] == register:
            self.damage[1](data)
        return bytes(data)


def running(name: str) -> tuple[ChipFifo, DamagingBus]:
    """Return the FIFO of a chip that has sampled for 50 ms."""
    clock = VirtualClock()
    bus = DamagingBus([simulated_chip(name, clock=clock)], clock=clock)
    chip = CHIPS[name]
    setting = settle(chip, rate_hz=100, accel_range_g=8, gyro_range_dps=1000)
    fifo = ChipFifo(bus, chip, next(iter(bus.chips)), setting, clock)
    fifo.configure()
    fifo.flush()
    clock.sleep(0.05)
    return fifo, bus


def test_the_code_for_no_measurement_is_discarded() -> None:
    fifo, bus = running("icm42605")
    records = fifo.level()
    assert records >= 4

    def damage(data: bytearray) -> None:
        data[2 * 16 + 3 : 2 * 16 + 5] = b"\x80\x00"  # the third record's acc_y

    bus.damage = (fifo.chip.fifo_register, damage)
    with pytest.raises(Discard, match="the code -32768, which stands for no measurement"):
        fifo.read(records)


@pytest.mark.parametrize("flag", [(2, 0x01), (3, 0x02)])
def test_a_level_in_the_middle_of_a_record_is_discarded(flag: tuple[int, int]) -> None:
    fifo, bus = running("lsm6ds3")
    assert fifo.level() >= 4
    at, bit = flag

    def damage(data: bytearray) -> None:
        data[at] |= bit

    bus.damage = (fifo.chip.level.register, damage)
    with pytest.raises(Discard, match="the FIFO's next byte does not begin a record"):
        fifo.level()


def test_a_value_of_the_factory_s_that_changed_is_an_error() -> None:
    fifo, bus = running("mpu6500")
    fifo.verify()
    first, last = fifo.chip.kept[0], fifo.chip.kept[-1]
    for register in range(first, last + 1):

        def damage(data: bytearray, at: int = register - first) -> None:
            data[at] ^= 0x10

        bus.damage = (first, damage)
        if register in fifo.chip.kept:
            with pytest.raises(RegisterError, match=f"register 0x{register:02x}: expected"):
                fifo.verify()
        else:
            # What is only read along with its neighbours may hold anything.
            fifo.verify()


@pytest.mark.parametrize("name", ["mpu6050", "bmi160", "lsm6dso"])
def test_a_level_that_stays_no_whole_number_of_records_is_discarded(name: str) -> None:
    fifo, bus = running(name)
    at, length = fifo.chip.level.count
    low = at if fifo.chip.level.order == "little" else at + length - 1
    seen = []

    def damage(data: bytearray) -> None:
        seen.append(data[low])
        data[low] += 1

    bus.damage = (fifo.chip.level.register, damage)
    with pytest.raises(Discard, match=r"expected whole records of .* bytes in the FIFO, got"):
        fifo.level()
    assert len(seen) == 4

    def in_the_middle_of_a_record(data: bytearray) -> None:
        seen.append(data[low])
        data[low] += len(seen) == 5

    bus.damage = (fifo.chip.level.register, in_the_middle_of_a_record)
    assert fifo.level() >= 4
    assert len(seen) == 6

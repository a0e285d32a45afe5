"""What a chip's FIFO is checked for before its records are believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from motionsig.sensors import CHIPS
from motionsig.sensors.chips import settle
from motionsig.sensors.fifo import ChipFifo, Discard
from motionsig.sensors.registers import RegisterError, spans
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

    def damage(data: bytearray) -> None:
        data[-1] ^= 0x10

    for first, size in spans(fifo.chip.kept):
        bus.damage = (first, damage)
        with pytest.raises(RegisterError, match=f"register 0x{first + size - 1:02x}: expected"):
            fifo.verify()

"""Parts that motionsig knows by what they say and does not read: the error says which they are and what to do."""

from __future__ import annotations

import pytest

from motionsig.errors import InputError, SensorError
from motionsig.sensors import CHIPS, open_sensor, scan
from motionsig.sensors.bus import BusError
from motionsig.sensors.names import UNREAD, hint, named_chip


class Part:
    """A bus with one part on it, of which nothing but a register that names it is known."""

    name = "test"
    clock_hz = 400_000

    def __init__(self, address: int, register: int, value: int) -> None:
        self.address, self.registers = address, {register: value}

    def read(self, address: int, register: int, size: int) -> bytes:
        if address != self.address:
            raise BusError("nobody", nack=True)
        return bytes(self.registers.get(register + at, 0) for at in range(size))

    def write(self, address: int, data: bytes) -> None:
        raise AssertionError("a part that is not read is not written to")

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("address", "says", "advice"),
    [
        (0x68, (0x00, 0x24), r"bmi270 .*Linux 6.13.*/lib/firmware/bmi270-init-data.fw.* open it as iio"),
        (0x69, (0x00, 0x27), r"bmi260 .*/lib/firmware/bmi260-init-data.fw.* open it as iio"),
        (0x6B, (0x00, 0x05), r"qmi8658 .*its FIFO drops the samples that come while it is read"),
    ],
)
def test_a_part_that_nobody_reads_is_named_with_what_to_do(address: int, says: tuple[int, int], advice: str) -> None:
    with pytest.raises(SensorError, match=advice):
        open_sensor(bus=Part(address, *says))
    (found,) = scan(Part(address, *says))
    assert found.chips == ()
    # It is no clone of another chip: nothing invites to read it as one.
    assert "chip=" not in str(found)


def test_none_of_them_says_what_a_chip_says_that_is_read() -> None:
    for (register, value), part in UNREAD.items():
        assert not any(chip.identity.get(register) == value for chip in CHIPS.values())
        assert named_chip(part) is None
        assert hint(part)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        *(("LSM6DSV", "lsm6dsv16x"), ("ICM-20608-G", "icm20608"), ("ICM-42686-P", "icm42686p")),
        *(("MPU-6886", "mpu6886"), ("ICM-20649", "icm20649"), ("IAM-20680", "iam20680")),
    ],
)
def test_names_on_the_box_lead_to_the_table(name: str, table: str) -> None:
    chip = named_chip(name)
    assert chip is not None
    assert chip.name == table


def test_a_bmi270_by_name_leads_to_the_kernel() -> None:
    with pytest.raises(InputError, match=r"the kernel reads it, with bmi270 "):
        open_sensor("BMI270")

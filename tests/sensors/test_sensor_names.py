"""The names that people type and the identities that chips say."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from motionsig.errors import InputError, SensorError
from motionsig.sensors import CHIPS, open_sensor, scan
from motionsig.sensors.chips import PARTS
from motionsig.sensors.names import _KERNEL, _NOBODY, hint, likeness, named_chip, plain, require_chip
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip

READ_AS = {
    "MPU-6050": "mpu6050",
    "mpu 6000": "mpu6050",
    "MPU9150": "mpu6050",
    "GY-521": "mpu6050",
    "LSM6DS33": "lsm6ds3",
    "LSM6DS3TR-C": "lsm6ds3trc",
    "lsm6dsl": "lsm6ds3trc",
    "ISM330DLC": "lsm6ds3trc",
    "LSM6DSOX": "lsm6dsox",
    "lsm6dso32x": "lsm6dso32",
    "ism330dhcx": "lsm6dsr",
    "ASM330LHH": "lsm6dsr",
    "sense_hat": "lsm9ds1",
    "ICM-42688-P": "icm42688p",
    "ADXL343": "adxl345",
    "LIS2DH12": "lis3dh",
}


@pytest.mark.parametrize(("name", "table"), READ_AS.items())
def test_a_part_is_read_by_the_table_of_its_silicon(name: str, table: str) -> None:
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip(table, clock=clock)], clock=clock)
    sensor = open_sensor(name, bus=bus, clock=clock, calibration="none")
    assert sensor.info.format == f"sensor:{table}"


def test_no_name_means_two_things() -> None:
    names = [plain(name) for chip in CHIPS.values() for name in (chip.name, *chip.alike)]
    names += [plain(part) for chip in CHIPS.values() for part in chip.clones.values()]
    names += [part for parts in (*_KERNEL.values(), *_NOBODY.values()) for part in parts.split()]
    assert [name for name, times in Counter(names).items() if times > 1] == []


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("BNO055", "the kernel reads it, with bno055: load a device tree overlay for it, then open it as iio"),
        ("l3gd20", "the kernel reads it, with st_gyro:"),
        ("ICM-42602", 'chip="icm42605" reads it as one'),
        ("ICM-42600", 'chip="icm42688p" reads it as one'),
        ("icm42688pc", "did you mean icm42688p[?]"),
        ("lsm6dsoxtr", "did you mean lsm6dsox[?]"),
        (
            "ism330dhc",
            r"did you mean ism330dhcx \(read as lsm6dsr\), .*[?] `motionsig sensors --chips` lists the \d+ chips$",
        ),
        ("lsm6dox", "did you mean lsm6dsox, .* or .*[?]"),
        (
            "simulated:mpu605",
            "simulated:NAME is a model .*, simulated:lesson rests and turns, simulated:turns walks, too; ",
        ),
        ("simulate", "did you mean simulated[?]"),
    ],
)
def test_what_is_not_read_is_said_with_what_to_do(name: str, says: str) -> None:
    with pytest.raises(InputError, match=f"^sensor: expected the name of a sensor, got '{name}'; {says}"):
        open_sensor(name)


def test_nothing_is_said_of_a_name_that_is_like_no_other() -> None:
    assert hint("zzz") is None and named_chip("zzz") is None


def odd(name: str, register: int, value: int) -> tuple[SimulatedBus, VirtualClock]:
    """Return a bus with the chip of that name, in which a register that cannot be written reads as another value."""
    clock = VirtualClock()
    chip = simulated_chip(name, clock=clock, signal=lambda serials, times_ns: [[0, 0, 9.8, 0, 0, 0]] * len(serials))
    chip.registers[register] = value
    chip.defaults = {**chip.defaults, register: value}
    return SimulatedBus([chip], clock=clock), clock


@pytest.mark.parametrize("value", CHIPS["mpu6500"].clones)
def test_a_clone_is_named_and_taken_as_what_it_is_a_clone_of(value: int, caplog: pytest.LogCaptureFixture) -> None:
    bus, clock = odd("mpu6500", 0x75, value)
    said = rf'got an unknown part that says 0x{value:02x} at register 0x75, .* \(chip="mpu6500" reads it as one\) on'
    for name in ("auto", "mpu6050"):
        with pytest.raises(SensorError, match=said):
            open_sensor(name, bus=bus, clock=clock)
    for how in ({}, {"address": 0x68}):
        sensor = open_sensor(chip="MPU-6500", bus=bus, clock=clock, calibration="none", **how)
        assert (sensor.info.format, sensor.device_id) == ("sensor:mpu6500", "mpu6500-simulated-68")
        assert next(len(block) for block in sensor if len(block))
        sensor.close()
    assert f"is taken as mpu6500, as chip= asks, although it says 0x{value:02x}" in caplog.text


def test_a_clone_that_changes_what_it_says_is_another_one() -> None:
    bus, clock = odd("mpu6500", 0x75, 0x72)
    sensor = open_sensor(chip="mpu6500", bus=bus, clock=clock, calibration="none")
    bus.chips[0x68].registers[0x75] = 0x12
    with pytest.raises(SensorError, match="register 0x75: expected 0x72"):
        sensor.fifo.configure()


def test_an_identity_near_none_is_printed_with_those_that_are_nearest() -> None:
    bus, _ = odd("mpu6500", 0x75, 0x99)
    (found,) = scan(bus)
    assert found.says[0x75] == 0x99
    said = (
        r"an unknown part that says .*0x99 at register 0x75 \(icm20689 says 0x98, .*; chip=NAME reads it as one\) on "
    )
    assert re.match(said, str(found))
    assert likeness({0x00: 0x00, 0x75: 0xFF}, 0x68) == "something that names no chip which motionsig knows"


def test_another_chips_address_is_taken_only_where_it_is_given() -> None:
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip("mpu6500", clock=clock)], clock=clock)
    with pytest.raises(SensorError, match="'mpu9250': expected it to answer on simulated, got mpu6500 on"):
        open_sensor(chip="mpu9250", bus=bus, clock=clock)
    assert open_sensor(chip="mpu9250", bus=bus, address=0x68, clock=clock).info.format == "sensor:mpu9250"


def test_chip_and_name_must_not_contradict_each_other() -> None:
    with pytest.raises(InputError, match="expected one chip, got 'mpu6050' and chip='mpu6500'"):
        open_sensor("mpu6050", chip="mpu6500")
    with pytest.raises(InputError, match=r"^sensor: chip: expected the name of a chip, .*did you mean mpu6500"):
        open_sensor(chip="mpu6500x")
    with pytest.raises(InputError, match=r"expected the name of a sensor, got 'auto:x'"):
        open_sensor("auto:x")
    with pytest.raises(InputError, match=r"which are for I2C and SPI, got chip=mpu6500$"):
        open_sensor("simulated", chip="mpu6500")


def test_every_origin_says_what_it_is() -> None:
    for chip in CHIPS.values():
        assert set(chip.origins) <= set(PARTS)
        assert all(origin.startswith(("data sheet: ", "driver: ")) for origin in chip.origins.values())
        assert require_chip(chip.title.split()[-1], where="") is chip


def test_what_is_read_over_a_serial_line_is_told() -> None:
    assert "open it as bno085:/dev/ttyUSB0" in (hint("BNO-085") or "")

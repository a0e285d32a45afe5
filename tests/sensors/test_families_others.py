"""The tables of the chips that are not InvenSense's: figures that must agree with each other."""

from __future__ import annotations

from collections.abc import Iterator
from math import degrees, isinf

import numpy as np
import pytest

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors import open_sensor
from motionsig.sensors.chips import Chip, Range, Set, Setting, Step, Wait, settle
from motionsig.sensors.families import adxl345, bmi160, lis3dh, lsm6ds3, lsm6dso, lsm6dsv, lsm9ds1
from motionsig.sensors.fifo import MOST_LOAD, bus_load
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip

FAMILIES = (lsm6ds3, lsm6dso, lsm6dsv, lsm9ds1, bmi160, adxl345, lis3dh)
CHIPS = [chip for family in FAMILIES for chip in family.CHIPS]
BUS = SimulatedBus([], clock=VirtualClock(), clock_hz=400_000)
LSM6 = [chip for family in (lsm6ds3, lsm6dso) for chip in family.CHIPS]

NARROW = {"adxl345": 13}
"""Bits of a count that is not scaled to 16."""
ROOMY = {("lsm9ds1", 16.0): 0.67, ("lis3dh", 16.0): 0.66}
"""Ranges of whose counts only so much is used: their sensitivities are out of line with the others'."""

every_chip = pytest.mark.parametrize("chip", CHIPS, ids=lambda chip: chip.name)


def settings(chip: Chip) -> Iterator[Setting]:
    """Yield the settings for each rate, accelerometer range and gyroscope range."""
    for rate_hz in chip.rates:
        for accel_g in chip.accel_ranges:
            for gyro_dps in chip.gyro_ranges or [100.0]:
                yield settle(chip, rate_hz=rate_hz, accel_range_g=accel_g, gyro_range_dps=gyro_dps)


def written(steps: tuple[Step, ...]) -> dict[int, int]:
    """Return what each register holds after `steps`."""
    return {step.register: step.value for step in steps if isinstance(step, Set)}


@every_chip
def test_a_full_scale_fills_the_counts(chip: Chip) -> None:
    scales = [(full, of.scale / STANDARD_GRAVITY) for full, of in chip.accel_ranges.items()]
    scales += [(full, degrees(of.scale)) for full, of in chip.gyro_ranges.items()]
    for full, scale in scales:
        most = 2 ** (NARROW.get(chip.name, 16) - 1)
        if chip.name in NARROW:
            # One sensitivity for all: only the widest range fills them.
            assert full / scale <= most
            continue
        used = ROOMY.get((chip.name, full))
        if used:
            assert full / scale == pytest.approx(used * most, rel=0.02)
        else:
            assert 0.84 * most < full / scale <= 1.001 * most


@every_chip
def test_sensitivities_double_with_the_range(chip: Chip) -> None:
    def steps(ranges: dict[float, Range]) -> Iterator[tuple[float, float]]:
        for (narrow, fine), (wide, coarse) in zip(list(ranges.items())[:-1], list(ranges.items())[1:], strict=True):
            if (chip.name, wide) not in ROOMY and chip.name not in NARROW:
                yield wide / narrow, coarse.scale / fine.scale

    for of_range, of_scale in [*steps(dict(chip.accel_ranges)), *steps(dict(chip.gyro_ranges))]:
        assert of_scale == pytest.approx(of_range, rel=0.025)


@every_chip
def test_choices_are_written_once_and_differ(chip: Chip) -> None:
    choices = [list(chip.rates.values()), [of.bits for of in chip.accel_ranges.values()]]
    choices.append([of.bits for of in chip.gyro_ranges.values()])
    for options in choices:
        assert len({tuple(sorted(bits.items())) for bits in options}) == len(options)
    fixed = written((*chip.setup, *chip.start))
    for setting in settings(chip):
        chosen = [chip.rates[setting.rate_hz], chip.accel_ranges[setting.accel_range_g].bits]
        if setting.gyro_range_dps is not None:
            chosen.append(chip.gyro_ranges[setting.gyro_range_dps].bits)
        # OR-ing them is adding them: no bit is set by two.
        expected = dict(fixed)
        for bits in chosen:
            for register, value in bits.items():
                expected[register] += value
        got = written((*setting.setup, *setting.start))
        assert got == expected
        for register, (value, mask) in setting.expected.items():
            assert 0 <= value <= 0xFF
            assert register not in chosen[0] or mask & chosen[0][register] == chosen[0][register]


@every_chip
def test_every_setting_fits_a_fast_bus(chip: Chip) -> None:
    for setting in settings(chip):
        assert bus_load(chip, setting, BUS) <= MOST_LOAD


@every_chip
def test_flushing_leaves_the_registers_as_started(chip: Chip) -> None:
    for setting in settings(chip):
        started = written((*setting.setup, *setting.start))
        flushed = {**started, **written(setting.flush)}
        assert flushed == started


@every_chip
def test_starting_leaves_time_within_a_tenth_of_a_second(chip: Chip) -> None:
    steps = (*chip.reset, *chip.setup, *chip.start)
    assert sum(step.seconds for step in steps if isinstance(step, Wait)) < 0.09


@every_chip
def test_the_level_and_the_fifo_agree(chip: Chip) -> None:
    level = chip.level
    assert chip.record.itemsize % level.unit == 0
    # The level counts all but the last record; a full FIFO is known by its flag or by its level.
    assert (chip.capacity - 1) * chip.record.itemsize <= level.mask * level.unit
    assert level.full or level.mask * level.unit > chip.fifo_bytes - chip.record.itemsize
    assert set(chip.record.names or ()) >= ({"acc", "gyr"} if chip.gyro_ranges else {"acc"})
    assert all(name in (chip.record.names or ()) and value & mask == value for name, mask, value in chip.marks)


@every_chip
def test_the_self_test_neither_clips_nor_leaves_anything(chip: Chip) -> None:
    test = chip.self_test
    assert test is not None
    setting = settle(
        chip, rate_hz=test.rate_hz, accel_range_g=test.accel_range_g, gyro_range_dps=test.gyro_range_dps or 1.0
    )
    assert (setting.rate_hz, setting.accel_range_g) == (test.rate_hz, test.accel_range_g)
    assert setting.gyro_range_dps == test.gyro_range_dps
    assert test.accel is not None
    most = test.accel[0] if isinf(test.accel[1]) else test.accel[1]
    assert 0 < test.accel[0] <= most < (test.accel_range_g - 1) * STANDARD_GRAVITY + 1e-9
    if test.gyro is not None and test.gyro_range_dps is not None:
        assert 0 < degrees(test.gyro[0]) < degrees(test.gyro[1]) < test.gyro_range_dps
    before, on, off = written(setting.setup), written(test.on), written(test.off)
    assert set(off) == set(on)
    for register in on:
        assert off[register] == before.get(register, 0) != on[register]


@pytest.mark.parametrize("chip", LSM6, ids=lambda chip: chip.name)
def test_both_sensors_and_the_fifo_run_at_one_rate(chip: Chip) -> None:
    for bits in chip.rates.values():
        code = bits[0x10] >> 4
        assert bits[0x11] >> 4 == code
        if chip in lsm6ds3.CHIPS:
            assert bits[0x0A] >> 3 == code
        else:
            assert (bits[0x09] >> 4, bits[0x09] & 0x0F) == (code, code)


@pytest.mark.parametrize("chip", lsm6dsv.CHIPS, ids=lambda chip: chip.name)
def test_lsm6dsv_rates_double_from_60_hz_with_one_code_for_all(chip: Chip) -> None:
    for rate_hz, bits in chip.rates.items():
        code = bits[0x10]
        assert rate_hz == 60 * 2.0 ** (code - 5)
        assert (bits[0x11], bits[0x09]) == (code, code << 4 | code)


def test_lsm6dsv32x_measures_twice_as_much_under_the_same_bits() -> None:
    narrow, wide = lsm6dsv.CHIPS
    assert narrow.identity == wide.identity
    assert [it.bits for it in narrow.accel_ranges.values()] == [it.bits for it in wide.accel_ranges.values()]
    for (g, fine), (twice_g, coarse) in zip(narrow.accel_ranges.items(), wide.accel_ranges.items(), strict=True):
        assert twice_g == 2 * g
        assert coarse.scale == pytest.approx(2 * fine.scale)


def test_lis3dh_asks_for_counting_on_in_every_read_of_several_bytes() -> None:
    (chip,) = lis3dh.CHIPS
    setting = next(settings(chip))
    assert all(register & 0x80 for register in (*setting.expected, chip.fifo_register))


def test_lis3dh_gives_the_ten_bits_that_its_fifo_holds() -> None:
    # In every mode the FIFO keeps 10 bits; high resolution would only cut the bandwidth to a ninth of the rate.
    clock = VirtualClock()
    model = simulated_chip("lis3dh", clock=clock)
    sensor = open_sensor("lis3dh", bus=SimulatedBus([model], clock=clock), clock=clock, calibration="none")
    data = np.concatenate([block.data for block, _ in zip(sensor, range(20), strict=False)])
    counts = np.rint(data[:, :3] / sensor.fifo.setting.scale[:3]).astype(int)
    assert np.gcd.reduce(counts.ravel()) == 64
    assert sensor.fifo.setting.scale[0] * 64 == pytest.approx(0.016 * STANDARD_GRAVITY)
    assert model.registers[0x23] & 0x08 == model.registers[0x20] & 0x08 == 0


def test_a_model_of_lis3dh_in_high_resolution_keeps_ten_bits_in_its_fifo() -> None:
    clock = VirtualClock()
    model = simulated_chip("lis3dh", clock=clock)
    for register, value in ((0x20, 0x57), (0x23, 0x88), (0x24, 0x40), (0x2E, 0x80)):
        model.write(bytes((register, value)))
    clock.sleep(0.2)
    slots = np.frombuffer(model.read(0xA8, 60), "<i2")
    assert np.gcd.reduce(slots.astype(int)) == 64
    model.write(bytes((0x2E, 0x00)))
    clock.sleep(0.2)
    assert any(model.read(0x28 + 2 * axis, 1)[0] & 0x3F for axis in range(3))


def test_adxl345_level_does_not_reach_into_the_data_registers() -> None:
    # Reading them takes a sample out of the FIFO.
    (chip,) = adxl345.CHIPS
    data = range(0x32, 0x38)
    assert not set(range(chip.level.register, chip.level.register + chip.level.size)) & set(data)
    assert not set(next(settings(chip)).expected) & set(data)

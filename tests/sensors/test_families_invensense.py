"""The tables of the InvenSense families: what follows from the data sheets' arithmetic."""

from __future__ import annotations

from functools import partial
from math import radians

import numpy as np
import pytest
from chips.trial import bench, trial
from hypothesis import given
from hypothesis import strategies as st

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import CLOCK_TOLERANCE, Chip, Set, Setting, settle
from motionsig.sensors.families import icm20948, icm42600, mpu6000
from motionsig.sensors.fifo import MOST_LOAD, bus_load
from motionsig.sensors.simulated import Faults, SimulatedBus, VirtualClock

CHIPS = {chip.name: chip for chip in (*mpu6000.CHIPS, *icm20948.CHIPS, *icm42600.CHIPS)}
BUS = SimulatedBus([], clock=VirtualClock(), clock_hz=400_000)
MPUS = [chip.name for chip in mpu6000.CHIPS]


def _setting(chip: Chip, rate_hz: float) -> Setting:
    return settle(chip, rate_hz=rate_hz, accel_range_g=min(chip.accel_ranges), gyro_range_dps=min(chip.gyro_ranges))


def test_who_am_i_tells_them_apart() -> None:
    assert {name: tuple(chip.identity.items()) for name, chip in CHIPS.items()} == {
        "mpu6050": ((0x75, 0x68),),
        "mpu6500": ((0x75, 0x70),),
        "mpu9250": ((0x75, 0x71),),
        "mpu9255": ((0x75, 0x73),),
        "icm20602": ((0x75, 0x12),),
        "icm20689": ((0x75, 0x98),),
        "mpu6515": ((0x75, 0x74),),
        "mpu6880": ((0x75, 0x78),),
        "icm20608": ((0x75, 0xAF),),
        "icm20608d": ((0x75, 0xAE),),
        "iam20680": ((0x75, 0xA9),),
        "icm20600": ((0x75, 0x11),),
        "mpu6886": ((0x75, 0x19),),
        "icm20948": ((0x00, 0xEA),),
        "icm20649": ((0x00, 0xE1),),
        "icm42605": ((0x75, 0x42),),
        "icm42688p": ((0x75, 0x47),),
        "icm42686p": ((0x75, 0x44),),
    }


@pytest.mark.parametrize("name", CHIPS)
def test_sensitivities_reach_full_scale(name: str) -> None:
    chip = CHIPS[name]
    for g, accel in chip.accel_ranges.items():
        # The ICM-20649 has 1024 counts per g where it is said to measure 30 g.
        assert accel.scale * 32768 == pytest.approx((32 if g == 30 else g) * STANDARD_GRAVITY)
    for dps, gyro in chip.gyro_ranges.items():
        # Data sheets round 16.384 counts per deg/s to 16.4.
        assert gyro.scale * 32768 == pytest.approx(radians(dps), rel=0.002)


@pytest.mark.parametrize("name", CHIPS)
def test_every_chosen_bit_is_read_back_and_no_two_choices_share_one(name: str) -> None:
    chip = CHIPS[name]
    steps = {step.register: step for step in (*chip.setup, *chip.start) if isinstance(step, Set)}
    ranges = [[range_.bits for range_ in table.values()] for table in (chip.accel_ranges, chip.gyro_ranges)]
    claimed: dict[int, int] = {}
    for choices in ([*chip.rates.values()], *ranges):
        used: dict[int, int] = {}
        for register, bits in ((register, bits) for choice in choices for register, bits in choice.items()):
            assert not bits & ~steps[register].mask
            assert not bits & steps[register].value
            used[register] = used.get(register, 0) | bits
        for register, bits in used.items():
            assert not bits & claimed.get(register, 0)
            claimed[register] = claimed.get(register, 0) | bits


@pytest.mark.parametrize("name", MPUS)
@pytest.mark.parametrize("rate_hz", mpu6000.CHIPS[0].rates)
def test_mpu_divider_and_filter_give_the_rate_without_aliases(name: str, rate_hz: float) -> None:
    expected = _setting(CHIPS[name], rate_hz).expected
    assert 1000 / (1 + expected[0x19][0]) == rate_hz
    code = expected[0x1A][0]
    assert 1 <= code <= 6  # 0 and 7 take the gyroscope to 8 kHz
    # 5 Hz doubles up to 10, 20, 44, 99 and 218 within a fifth.
    assert 5.1 * 2 ** (6 - code) * 0.8 <= rate_hz / 2 or code == 6
    assert code == 1 or 5.1 * 2 ** (7 - code) * 1.4 > rate_hz / 2
    assert name == "mpu6050" or expected[0x1D][0] & 0x0F == code


@pytest.mark.parametrize("name", ["icm20948", "icm20649"])
@pytest.mark.parametrize("rate_hz", icm20948.CHIPS[0].rates)
def test_icm20948_has_both_sensors_at_the_rate(name: str, rate_hz: float) -> None:
    expected = _setting(CHIPS[name], rate_hz).expected
    gyro, accel = expected[0x200][0], expected[0x210][0] << 8 | expected[0x211][0]
    assert gyro == accel
    assert 1125 / (1 + gyro) == rate_hz
    gyro_hz = (196.6, 151.8, 119.5, 51.2, 23.9, 11.6, 5.7, 361.4)[expected[0x201][0] >> 3 & 7]
    accel_hz = (246, 246, 111.4, 50.4, 23.9, 11.5, 5.7, 473)[expected[0x214][0] >> 3 & 7]
    assert rate_hz / 10 < max(gyro_hz, accel_hz) <= rate_hz / 2
    assert expected[0x201][0] & expected[0x214][0] & 1  # through the filter, or the rate is 9 or 4.5 kHz


def test_icm42686p_has_one_full_scale_more_at_the_wide_end() -> None:
    wide, narrow = CHIPS["icm42686p"], CHIPS["icm42688p"]
    for register, ranges in ((0x50, "accel_ranges"), (0x4F, "gyro_ranges")):
        codes = {full: it.bits[register] >> 5 for full, it in getattr(wide, ranges).items()}
        assert sorted(codes.values()) == list(range(len(codes)))
        for full, it in getattr(narrow, ranges).items():
            assert codes.get(full, 8) == (it.bits[register] >> 5) + 1


@pytest.mark.parametrize("name", ["icm42605", "icm42686p", "icm42688p"])
def test_icm426xx_time_tells_every_sample_from_the_next(name: str) -> None:
    chip = CHIPS[name]
    assert chip.stamp_s is not None
    ticks = [1 / rate_hz / chip.stamp_s for rate_hz in chip.rates]
    assert min(ticks) > 20
    assert max(ticks) * (1 + CLOCK_TOLERANCE) < 1 << 15
    for rate_hz in chip.rates:
        expected = _setting(chip, rate_hz).expected
        assert expected[0x4F][0] & 0x0F == expected[0x50][0] & 0x0F
    # A clock of 19.2 MHz counts fewer ticks of 16 us than one of 20.48.
    assert CHIPS["icm42688p"].stamp_s / CHIPS["icm42605"].stamp_s == pytest.approx(20.48 / 19.2)


@pytest.mark.parametrize(("name", "expected"), [
    ("mpu6050", {0x19: 1, 0x1A: 1, 0x1B: 0x10, 0x1C: 0x10, 0x23: 0xF8, 0x6A: 0x40, 0x6B: 0x01, 0x6C: 0}),
    ("icm20602", {0x19: 1, 0x1A: 1, 0x1B: 0x10, 0x1C: 0x10, 0x1D: 1, 0x23: 0x18, 0x69: 2,
                  0x6A: 0x40, 0x6B: 1, 0x6C: 0}),
    ("icm20689", {0x19: 1, 0x1A: 1, 0x1B: 0x10, 0x1C: 0x10, 0x1D: 0xC1, 0x23: 0xF8, 0x6A: 0x40, 0x6B: 1, 0x6C: 0}),
    ("icm20608", {0x19: 1, 0x1A: 1, 0x1B: 0x10, 0x1C: 0x10, 0x1D: 1, 0x23: 0xF8, 0x6A: 0x40, 0x6B: 0x01, 0x6C: 0}),
    ("mpu6886", {0x19: 1, 0x1A: 1, 0x1B: 0x10, 0x1C: 0x10, 0x1D: 1, 0x23: 0x18, 0x69: 2,
                 0x6A: 0x40, 0x6B: 1, 0x6C: 0}),
    ("icm42688p", {
        0x16: 0x40, 0x4C: 0x32, 0x4D: 0x51, 0x4E: 0x0F, 0x4F: 0x2F, 0x50: 0x2F,
        0x51: 0x1A, 0x52: 0, 0x53: 0x15, 0x54: 0x29, 0x5F: 0x07, 0x70: 0,
    }),
])  # fmt: skip
def test_registers_at_500_hz_8_g_1000_dps(name: str, expected: dict[int, int]) -> None:
    setting = settle(CHIPS[name], rate_hz=500, accel_range_g=8, gyro_range_dps=1000)
    assert {register: value for register, (value, _) in setting.expected.items()} == expected


@pytest.mark.parametrize("name", CHIPS)
def test_all_rates_pass_over_a_bus_of_400_khz(name: str) -> None:
    chip = CHIPS[name]
    assert all(bus_load(chip, _setting(chip, rate_hz), BUS) < MOST_LOAD for rate_hz in chip.rates)


@pytest.mark.parametrize("name", [name for name, chip in CHIPS.items() if chip.self_test])
def test_self_test_keeps_the_ranges_it_asks_for(name: str) -> None:
    chip = CHIPS[name]
    test = chip.self_test
    assert test is not None
    assert test.gyro_range_dps is not None
    assert test.rate_hz in chip.rates
    setting = settle(chip, rate_hz=test.rate_hz, accel_range_g=test.accel_range_g, gyro_range_dps=test.gyro_range_dps)
    asked = {step.register: step for step in test.on if isinstance(step, Set)}
    ended = {step.register: step for step in test.off if isinstance(step, Set)}
    assert asked.keys() == ended.keys()
    for register in asked.keys() & setting.expected.keys():
        value, mask = setting.expected[register]
        assert not (ended[register].value ^ value) & mask
        assert asked[register].value & value == value


def test_icm20649_has_twice_the_ranges_of_the_icm20948_under_the_same_bits() -> None:
    wide, narrow = CHIPS["icm20649"], CHIPS["icm20948"]
    for ranges in ("accel_ranges", "gyro_ranges"):
        scales = {tuple(it.bits.items()): it.scale for it in getattr(narrow, ranges).values()}
        for it in getattr(wide, ranges).values():
            assert it.scale == pytest.approx(2 * scales[tuple(it.bits.items())], rel=0.002)


@pytest.mark.parametrize("name", ["icm20602", "icm20608"])
def test_the_trim_of_y_that_changes_by_itself_is_noticed(name: str) -> None:
    it = bench(name)
    at_ns = it.clock.monotonic_ns() + 2 * 10**9
    it.bus.inject(Faults(events=((at_ns, partial(it.chip.flip, mpu6000.Y_OFFSET_TRIM, 3, at_ns)),)))
    account = trial(it, 5)
    assert (account.wrong, account.unreported, it.reader.counts.recoveries) == (0, 0, 1)


def test_trim_of_the_later_chips_is_in_the_codes() -> None:
    trim = mpu6000.trim_6500(bytes((1, 71, 0, 1, 255, 0)))
    assert trim[:2] == pytest.approx(np.array((2620, 2620 * 1.01**70)) / 16384 * STANDARD_GRAVITY)
    assert trim[3:5] == pytest.approx(np.radians(np.array((2620, 32804)) / 131), rel=1e-4)  # Icm20948SelfTest.c's table
    assert np.isnan(trim[[2, 5]]).all()


@given(accel=st.tuples(*3 * (st.integers(0, 31),)), gyro=st.tuples(*3 * (st.integers(0, 31),)))
def test_trim_of_the_mpu6050_is_in_the_codes_however_they_are_packed(
    accel: tuple[int, int, int], gyro: tuple[int, int, int]
) -> None:
    high = [(a >> 2) << 5 | g for a, g in zip(accel, gyro, strict=True)]
    low = (accel[0] & 3) << 4 | (accel[1] & 3) << 2 | accel[2] & 3
    trim = mpu6000.trim_6050(bytes((*high, low)))
    for axis in range(3):
        # RM-MPU-6000A-00 pages 10 and 11, in counts at ±8 g and ±250 deg/s.
        a = 4096 * 0.34 * (0.92 / 0.34) ** ((accel[axis] - 1) / (2**5 - 2)) if accel[axis] else np.nan
        g = (1, -1, 1)[axis] * 25 * 131 * 1.046 ** (gyro[axis] - 1) if gyro[axis] else np.nan
        np.testing.assert_allclose(trim[axis] / (STANDARD_GRAVITY / 4096), a, rtol=1e-12)
        np.testing.assert_allclose(trim[3 + axis] / (radians(1) / 131), g, rtol=1e-12)

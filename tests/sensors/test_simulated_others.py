"""The models of ST's, Bosch's and Analog Devices' chips, talked to as their data sheets say."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from motionsig.sensors.simulated.adxl345 import MODELS as ADXL345
from motionsig.sensors.simulated.bmi160 import MODELS as BMI160
from motionsig.sensors.simulated.lis3dh import MODELS as LIS3DH
from motionsig.sensors.simulated.lsm6ds3 import MODELS as LSM6DS3
from motionsig.sensors.simulated.lsm9ds1 import MODELS as LSM9DS1
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.bus import BusError
from motionsig.sensors.simulated.bus import SimulatedBus
from motionsig.sensors.simulated.clock import Oscillator, VirtualClock
from motionsig.sensors.simulated.lsm6dso import MODELS as LSM6DSO
from motionsig.sensors.simulated.measuring import MeasuringChip

MODELS = {**LSM6DS3, **LSM6DSO, **LSM9DS1, **BMI160, **ADXL345, **LIS3DH}
IDENTITY = {
    "lsm6ds3": (0x0F, 0x69),
    "lsm6ds3trc": (0x0F, 0x6A),
    "lsm6dso": (0x0F, 0x6C),
    "lsm6dsox": (0x0F, 0x6C),
    "lsm6dsr": (0x0F, 0x6B),
    "lsm9ds1": (0x0F, 0x68),
    "bmi160": (0x00, 0xD1),
    "adxl345": (0x00, 0xE5),
    "lis3dh": (0x0F, 0x33),
}


def moving(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return six values that differ from sample to sample, within 1 g and 100 deg/s."""
    phase = serials[:, None] * np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]) + np.arange(6)
    return np.sin(phase) * np.repeat([STANDARD_GRAVITY, radians(100)], 3)


def at_rest(serials: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.tile([0.0, 0.0, STANDARD_GRAVITY, 0.0, 0.0, 0.0], (len(serials), 1))


class Bench:
    """One chip on a bus at 400 kHz."""

    def __init__(self, name: str, signal=moving, skew: float = 0.0) -> None:
        self.clock = VirtualClock()
        self.chip: MeasuringChip = MODELS[name](self.clock, signal, oscillator=Oscillator(skew))
        self.bus = SimulatedBus([self.chip], clock=self.clock)

    def write(self, *data: int) -> None:
        self.bus.write(self.chip.address, bytes(data))

    def read(self, register: int, size: int = 1) -> bytes:
        return self.bus.read(self.chip.address, register, size)

    def take(self, samples: int) -> None:
        """Wait until so many more samples have been taken, the last one just now."""
        wanted = self.chip.taken + samples
        while self.chip.taken < wanted:
            self.clock.sleep(50e-6)
            self.chip.catch_up()

    def byte(self, register: int) -> int:
        return self.read(register)[0]

    def wait(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def felt(self, serials: NDArray[np.int64]) -> NDArray[np.float64]:
        return self.chip.feel(np.asarray(serials, np.int64))


def counts(felt: NDArray[np.float64], accel: float, gyro: float = 1.0) -> NDArray[np.int16]:
    """Return counts of m/s² and rad/s at so much a count."""
    return np.rint(felt / np.repeat([accel, gyro], 3)).astype(np.int16)


def gyro_first(found: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return (n, 6) counts with the gyroscope's after the accelerometer's where they came before."""
    return np.concatenate([found[:, 3:], found[:, :3]], axis=1)


MG = 1e-3 * STANDARD_GRAVITY
MDPS = radians(1e-3)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_who_it_is_and_that_it_sleeps(name):
    bench = Bench(name)
    register, value = IDENTITY[name]
    assert bench.byte(register) == value
    bench.write(register, 0x55)
    assert bench.byte(register) == value
    bench.wait(1)
    bench.read(register)
    assert bench.chip.taken == 0


@pytest.mark.parametrize("name", sorted(MODELS))
def test_without_power_nobody_acknowledges_and_after_it_the_boot_takes_its_time(name):
    bench = Bench(name)
    bench.chip.power_off(bench.clock.monotonic_ns())
    with pytest.raises(BusError) as caught:
        bench.read(*IDENTITY[name][:1])
    assert caught.value.nack
    bench.chip.power_on(bench.clock.monotonic_ns())
    with pytest.raises(BusError):
        bench.read(*IDENTITY[name][:1])
    bench.wait(bench.chip.boot_s)
    assert bench.byte(IDENTITY[name][0]) == IDENTITY[name][1]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_only_bits_that_are_there_can_be_turned_over(name):
    bench = Bench(name)
    register, writable = next((at, bits) for at, bits in bench.chip.writable.items() if bits not in (0, 0xFF))
    before = bench.chip.registers[register]
    for bit in range(8):
        bench.chip.flip(register, bit)
    assert bench.chip.registers[register] == before ^ writable


@pytest.mark.parametrize("name", sorted(MODELS))
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_any_traffic_is_answered_and_resets_leave_the_defaults(name, data):
    bench = Bench(name)
    registers = sorted(bench.chip.defaults)
    for _ in range(data.draw(st.integers(1, 12))):
        bench.wait(data.draw(st.floats(0.0005, 0.5)))
        register, value = data.draw(st.sampled_from(registers)), data.draw(st.integers(0, 255))
        try:
            if data.draw(st.booleans()):
                bench.write(register, value)
            else:
                size = data.draw(st.integers(1, 64))
                assert len(bench.read(register, size)) == size
        except BusError:  # it was told to leave the bus
            break
    bench.chip.power_off(bench.clock.monotonic_ns())
    bench.chip.power_on(bench.clock.monotonic_ns())
    assert bench.chip.registers == bench.chip.defaults
    assert bench.chip.fifo.level == 0


# LSM6DS3, LSM6DS3TR-C.


def lsm6ds3(name: str = "lsm6ds3", **options) -> Bench:
    """Run it at 104 Hz, 4 g, 500 deg/s, both sensors in the FIFO."""
    bench = Bench(name, **options)
    bench.write(0x12, 0x44)
    bench.write(0x10, 0x48)
    bench.write(0x11, 0x44)
    bench.wait(0.1)
    bench.write(0x08, 0x09)
    bench.write(0x0A, 0x26)
    return bench


def words(bench: Bench) -> tuple[int, int, int]:
    """Return words, flags and pattern index."""
    status = int.from_bytes(bench.read(0x3A, 4), "little")
    bits = 12 if bench.byte(0x0F) == 0x69 else 11
    return status & (1 << bits) - 1, status >> 8 & 0xF0, status >> 16 & 0x3FF


@pytest.mark.parametrize("name", LSM6DS3)
def test_lsm6ds3_gives_words_without_tags_gyroscope_first(name):
    bench = lsm6ds3(name)
    first = bench.chip.taken
    bench.take(10)
    level, flags, index = words(bench)
    assert (level, flags, index) == (60, 0, 0)
    assert words(bench)[2] == 0
    found = np.frombuffer(bench.read(0x3E, 2 * level), "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.arange(first, first + 10)), 0.122 * MG, 17.5 * MDPS)
    np.testing.assert_array_equal(gyro_first(found)[1:], expected[1:])
    assert np.abs(gyro_first(found)[0] - expected[0]).max() > 1000  # section 5.5: to be discarded
    assert words(bench)[:2] == (0, 0x10)


def test_lsm6ds3_pattern_index_follows_every_word():
    bench = lsm6ds3()
    bench.wait(0.1)
    for index in (1, 2, 3, 4, 5, 0, 1):
        bench.read(0x3E, 2)
        assert words(bench)[2] == index
    bench.write(0x0A, 0x20)
    bench.write(0x0A, 0x26)
    bench.wait(0.05)
    assert words(bench)[2] == 0


@pytest.mark.parametrize(("name", "capacity"), [("lsm6ds3", 4096), ("lsm6ds3trc", 2048)])
def test_lsm6ds3_overwrites_words_not_records(name, capacity):
    bench = lsm6ds3(name)
    first = bench.chip.taken
    bench.take(capacity // 6)
    level, flags, index = words(bench)
    assert (level, flags, index) == (capacity // 6 * 6, 0x20, 0)
    bench.take(5)
    level, flags, index = words(bench)
    assert (level, flags) == (0, 0x60)  # 4096 does not fit the 12 bits
    lost = capacity // 6 * 6 + 30 - capacity
    assert index == lost % 6
    found = np.frombuffer(bench.read(0x3E, 12), "<i2")
    expected = counts(bench.felt(np.arange(first, first + 20)), 0.122 * MG, 17.5 * MDPS)
    stream = np.concatenate([expected[:, 3:], expected[:, :3]], axis=1).ravel()
    np.testing.assert_array_equal(found, stream[lost : lost + 6])
    assert words(bench)[1] & 0x40 == 0


def test_lsm6ds3_decimation_changes_the_pattern():
    bench = lsm6ds3()
    bench.write(0x0A, 0x20)
    bench.write(0x08, 0x0A)  # accelerometer every second time
    bench.write(0x0A, 0x26)
    bench.take(4)
    assert words(bench)[0] == 4 * 3 + 2 * 3


def test_lsm6ds3_fifo_of_a_lower_rate_takes_every_second_sample():
    bench = lsm6ds3()
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 3 << 3 | 6)
    bench.take(20)
    assert words(bench)[0] == 60


def test_lsm6ds3_without_the_fifo_rate_stores_nothing():
    bench = lsm6ds3()
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x06)
    bench.wait(0.2)
    assert words(bench)[0] == 0


# The LSM6 family.

LSM6 = [*LSM6DS3, *LSM6DSO]


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_reset_clears_itself_and_everything_else(name):
    bench = Bench(name)
    bench.write(0x10, 0x48)
    bench.write(0x12, 0x45)
    assert bench.byte(0x12) in (0x04, 0x05)
    bench.wait(0.001)
    assert bench.byte(0x12) == 0x04
    assert bench.byte(0x10) == 0


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_boot_takes_longer_and_keeps_the_settings(name):
    bench = Bench(name)
    bench.write(0x10, 0x48)
    bench.write(0x12, 0x84)
    assert bench.byte(0x12) & 0x80
    bench.write(0x11, 0x40)
    bench.wait(0.02)
    assert bench.byte(0x12) == 0x04
    assert bench.read(0x10, 2) == b"\x48\x00"


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_without_auto_increment_repeats_the_register(name):
    bench = Bench(name)
    bench.write(0x12, 0x00)
    assert bench.read(0x0F, 3) == bytes([IDENTITY[name][1]] * 3)


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_other_bank_hides_the_registers(name):
    bench = Bench(name)
    bench.write(0x01, 0x80)
    assert bench.byte(0x0F) == 0
    bench.write(0x01, 0x00)
    assert bench.byte(0x0F) == IDENTITY[name][1]


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_leaves_the_bus_when_i2c_is_disabled(name):
    bench = Bench(name)
    bench.write(0x13, 0x04)
    with pytest.raises(BusError):
        bench.read(0x0F)


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_gyroscope_is_of_no_use_before_it_has_started(name):
    bench = Bench(name, at_rest)
    bench.write(0x10, 0x40)
    bench.write(0x11, 0x40)
    bench.wait(0.05)
    early = np.frombuffer(bench.read(0x22, 12), "<i2")
    bench.wait(0.1)
    late = np.frombuffer(bench.read(0x22, 12), "<i2")
    assert np.abs(early[:3]).max() > 1000
    np.testing.assert_array_equal(late, [0, 0, 0, 0, 0, round(1000 / 0.061)])
    np.testing.assert_array_equal(early[3:], late[3:])


@pytest.mark.parametrize("name", LSM6)
def test_lsm6_self_test_answers_within_the_data_sheet(name):
    bench = Bench(name, at_rest)
    bench.write(0x10, 0x38)  # 4 g
    bench.write(0x11, 0x4C)  # 2000 deg/s
    bench.wait(0.2)
    before = np.frombuffer(bench.read(0x22, 12), "<i2").astype(int)
    bench.write(0x14, 0x05)
    bench.wait(0.2)
    change = np.frombuffer(bench.read(0x22, 12), "<i2") - before
    assert np.all((change[:3] * 70 > 150e3) & (change[:3] * 70 < 700e3))
    assert np.all((change[3:] * 0.122 > 90) & (change[3:] * 0.122 < 1700))


# LSM6DSO, LSM6DSOX, LSM6DSR.


def lsm6dso(name: str = "lsm6dso", code: int = 4, **options) -> Bench:
    """Run it at 104 Hz (or another code), 8 g, 1000 deg/s, both sensors in the FIFO."""
    bench = Bench(name, **options)
    bench.write(0x12, 0x44)
    bench.write(0x10, code << 4 | 0x0C)
    bench.write(0x11, code << 4 | 0x08)
    bench.wait(0.1)
    bench.write(0x09, code << 4 | code)
    bench.write(0x0A, 0x06)
    return bench


def tagged(bench: Bench) -> tuple[int, int]:
    status = int.from_bytes(bench.read(0x3A, 2), "little")
    return status & 0x3FF, status >> 8 & 0xF8


@pytest.mark.parametrize("name", LSM6DSO)
def test_lsm6dso_gives_tagged_words(name):
    bench = lsm6dso(name)
    first = bench.chip.taken
    bench.take(10)
    level, flags = tagged(bench)
    assert (level, flags) == (20, 0)
    data = np.frombuffer(bench.read(0x78, 7 * level), np.uint8).reshape(-1, 2, 7)
    tags = data[:, :, 0]
    np.testing.assert_array_equal(tags >> 3, np.tile([1, 2], (10, 1)))
    np.testing.assert_array_equal(np.diff((tags >> 1 & 3).astype(int), axis=0) % 4, 1)
    assert all(int(tag).bit_count() % 2 == 0 for tag in tags.ravel())
    found = np.ascontiguousarray(data[:, :, 1:]).view("<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.arange(first, first + 10)), 0.244 * MG, 35 * MDPS)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert tagged(bench) == (0, 0)
    assert bench.read(0x78, 7) == bytes(7)


def test_lsm6dso_keeps_a_word_whose_last_byte_was_not_read():
    bench = lsm6dso()
    bench.wait(0.05)
    level, _ = tagged(bench)
    begin = bench.read(0x78, 6)
    assert tagged(bench)[0] == level
    word = bench.read(0x78, 7)
    assert word[:6] == begin
    assert tagged(bench)[0] == level - 1
    assert bench.byte(0x78) >> 3 == 2


def test_lsm6dso_overruns_by_words_and_latches_it():
    bench = lsm6dso()
    first = bench.chip.taken
    bench.take(255)
    assert tagged(bench) == (510, 0x20)
    bench.take(1)
    assert tagged(bench) == (512, 0x20)
    bench.take(3)
    assert tagged(bench) == (512, 0x68)
    found = np.frombuffer(bench.read(0x78, 14)[1:7], "<i2")
    expected = counts(bench.felt(np.array([first + 3])), 0.244 * MG, 35 * MDPS)
    np.testing.assert_array_equal(found, expected[0, 3:])
    assert tagged(bench)[1] & 0x48 == 0x08
    assert tagged(bench)[1] & 0x48 == 0
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x06)
    assert tagged(bench) == (0, 0)


def test_lsm6dso_of_two_rates_mixes_the_words():
    bench = lsm6dso()
    bench.write(0x09, 0x43)  # accelerometer at 52 Hz
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x06)
    bench.take(4)
    data = bench.read(0x78, 7 * tagged(bench)[0])
    assert [tag >> 3 for tag in data[::7]] == [1, 2, 1, 1, 2, 1]


def test_lsm6dso_puts_temperature_and_time_in_the_fifo_if_asked():
    bench = lsm6dso()
    bench.chip.temperature_c = 26.0
    bench.write(0x19, 0x20)
    bench.write(0x0A, 0x00)
    bench.write(0x0A, 0x76)
    bench.take(2)
    data = np.frombuffer(bench.read(0x78, 7 * tagged(bench)[0]), np.uint8).reshape(-1, 7)
    np.testing.assert_array_equal(data[:, 0] >> 3, [1, 2, 3, 4, 1, 2, 4])
    assert int.from_bytes(data[2, 1:3].tobytes(), "little") == 256
    first, second = (int.from_bytes(data[row, 1:5].tobytes(), "little") for row in (3, 6))
    assert second - first == pytest.approx(1 / 104 / 25e-6, abs=1)


def test_lsm6dsr_has_4000_degrees_per_second():
    bench = Bench("lsm6dsr")
    bench.write(0x10, 0x40)
    bench.write(0x11, 0x41)
    bench.wait(0.2)
    found = np.frombuffer(bench.read(0x22, 6), "<i2")
    expected = counts(bench.felt(np.array([bench.chip.taken - 1])), 1.0, 140 * MDPS)
    np.testing.assert_array_equal(found, expected[0, 3:])


def test_samples_keep_the_range_they_were_taken_with():
    bench = lsm6dso()
    first = bench.chip.taken
    bench.take(5)
    bench.chip.flip(0x10, 3)  # 8 g becomes 16 g
    bench.take(5)
    data = np.frombuffer(bench.read(0x78, 7 * tagged(bench)[0]), np.uint8).reshape(-1, 2, 7)
    found = np.ascontiguousarray(data[:, 1, 1:]).view("<i2")
    felt = bench.felt(np.arange(first, first + 10))
    np.testing.assert_array_equal(found[:5], counts(felt[:5], 0.244 * MG)[:, :3])
    np.testing.assert_array_equal(found[5:], counts(felt[5:], 0.488 * MG)[:, :3])


@given(
    steps=st.lists(st.tuples(st.floats(0.0001, 1.5), st.integers(0, 90)), min_size=1, max_size=30),
    skew=st.sampled_from([-0.05, 0.0, 0.03]),
)
@settings(max_examples=40, deadline=None)
def test_lsm6dso_loses_nothing_but_what_it_overwrites(steps, skew):
    bench = lsm6dso(code=7, skew=skew)
    first = bench.chip.taken
    taken, lost = 0, 0
    for wait_s, records in steps:
        bench.wait(wait_s)
        level, flags = tagged(bench)
        samples = bench.chip.taken - first
        lost = 2 * samples - taken - level
        assert level <= 512
        assert lost >= 0
        assert bool(flags & 0x48) or lost == 0 or taken > 0
        size = min(2 * records, level)
        if size:
            data = np.frombuffer(bench.read(0x78, 7 * size), np.uint8).reshape(-1, 7)
            # More may have been overwritten while the register was addressed.
            at = 2 * (bench.chip.taken - first) - bench.chip.fifo.level // 7 - size
            serials = first + np.arange(at, at + size) // 2
            expected = counts(bench.felt(serials), 0.244 * MG, 35 * MDPS)
            kinds = np.arange(at, at + size) % 2  # gyroscope, accelerometer
            shown = np.where(kinds[:, None] == 0, expected[:, 3:], expected[:, :3])
            np.testing.assert_array_equal(np.ascontiguousarray(data[:, 1:]).view("<i2"), shown)
            taken = at + size


# LSM9DS1.


def lsm9ds1(**options) -> Bench:
    """Run it at 238 Hz, 4 g, 500 deg/s, FIFO in continuous mode."""
    bench = Bench("lsm9ds1", **options)
    bench.write(0x10, 0x88)
    bench.write(0x20, 0x90)
    bench.wait(0.1)
    bench.write(0x23, 0x02)
    bench.write(0x2E, 0xC0)
    return bench


def test_lsm9ds1_walks_from_the_gyroscope_to_the_accelerometer_and_round():
    bench = lsm9ds1()
    first = bench.chip.taken
    bench.take(10)
    assert bench.byte(0x2F) == 10
    found = np.frombuffer(bench.read(0x18, 120), "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.arange(first, first + 10)), 0.122 * MG, 17.5 * MDPS)
    np.testing.assert_array_equal(gyro_first(found)[1:], expected[1:])
    assert np.abs(gyro_first(found)[0] - expected[0]).max() > 1000  # section 3.5: to be discarded
    assert bench.byte(0x2F) <= 1


def test_lsm9ds1_overruns_by_slots():
    bench = lsm9ds1()
    first = bench.chip.taken
    bench.take(32)
    assert bench.byte(0x2F) == 32
    bench.take(3)
    assert bench.byte(0x2F) == 0x40 | 32
    found = np.frombuffer(bench.read(0x18, 12), "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.array([first + 3])), 0.122 * MG, 17.5 * MDPS)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert bench.byte(0x2F) == 31
    bench.write(0x2E, 0x00)
    assert bench.byte(0x2F) == 0


def test_lsm9ds1_with_the_gyroscope_off_runs_the_accelerometer_alone():
    bench = Bench("lsm9ds1")
    bench.write(0x20, 0x60)
    bench.wait(0.1)
    bench.write(0x23, 0x02)
    bench.write(0x2E, 0xC0)
    first = bench.chip.taken
    bench.take(5)
    found = np.frombuffer(bench.read(0x28, 30), "<i2").reshape(-1, 3)
    expected = counts(bench.felt(np.arange(first, first + 5)), 0.061 * MG)
    np.testing.assert_array_equal(found[1:], expected[1:, :3])


def test_lsm9ds1_needs_both_fifo_bits():
    bench = lsm9ds1()
    bench.write(0x23, 0x00)
    bench.wait(0.05)
    assert bench.byte(0x2F) == 0


def test_lsm9ds1_resets_starts_and_tests_itself():
    bench = Bench("lsm9ds1", at_rest)
    bench.write(0x10, 0x98)
    bench.write(0x20, 0x80)
    bench.wait(0.03)
    assert np.abs(np.frombuffer(bench.read(0x18, 6), "<i2")).max() > 1000
    bench.wait(0.1)
    before = np.frombuffer(bench.read(0x18, 12), "<i2").astype(int)
    assert not before[:3].any()
    bench.write(0x24, 0x05)
    bench.wait(0.1)
    change = np.frombuffer(bench.read(0x18, 12), "<i2") - before
    assert np.all((change[:3] * 70 > 200e3) & (change[:3] * 70 < 800e3))
    assert np.all((change[3:] * 0.061 > 70) & (change[3:] * 0.061 < 1500))
    bench.write(0x22, 0x05)
    bench.wait(0.001)
    assert bench.byte(0x22) == 0x04
    assert bench.byte(0x10) == 0


# BMI160.


def bmi160(accel: int = 0x28, gyro: int = 0x28, fifo: int = 0xD0, **options) -> Bench:
    """Run it at 100 Hz, 4 g, 1000 deg/s, both sensors in the FIFO with headers."""
    bench = Bench("bmi160", **options)
    bench.write(0x7E, 0x11)
    bench.wait(0.005)
    bench.write(0x7E, 0x15)
    bench.wait(0.09)
    assert bench.byte(0x03) == 0x14
    for register, value in ((0x40, accel), (0x41, 0x05), (0x42, gyro), (0x43, 0x01), (0x47, fifo)):
        bench.write(register, value)
    bench.write(0x7E, 0xB0)
    return bench


def length(bench: Bench) -> int:
    return int.from_bytes(bench.read(0x22, 2), "little")


def test_bmi160_gives_frames_with_headers():
    bench = bmi160()
    first = bench.chip.taken
    bench.take(10)
    assert length(bench) == 130
    data = np.frombuffer(bench.read(0x24, 130), np.uint8).reshape(-1, 13)
    assert set(data[:, 0]) == {0x8C}
    found = np.ascontiguousarray(data[:, 1:]).view("<i2")
    expected = counts(bench.felt(np.arange(first, first + 10)), STANDARD_GRAVITY / 8192, radians(1) / 32.8)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert length(bench) == 0
    assert bench.read(0x24, 5) == b"\x80" * 5


def test_bmi160_repeats_a_frame_that_was_cut_short():
    bench = bmi160()
    bench.take(3)
    begin = bench.read(0x24, 20)
    assert length(bench) == 26
    assert bench.read(0x24, 13)[:7] == begin[13:]


def test_bmi160_reading_on_past_the_end_gives_the_sensor_time_once():
    bench = bmi160(fifo=0xD2)
    bench.take(2)
    data = bench.read(0x24, 26 + 8)
    assert data[26] == 0x44
    assert data[30:] == b"\x80" * 4
    bench.wait(1.0)
    later = bench.read(0x18, 3)
    ticks = int.from_bytes(later, "little") - int.from_bytes(data[27:30], "little") & 0xFFFFFF
    assert ticks * 39.0625e-6 == pytest.approx(1.0, abs=0.01)


def test_bmi160_overflow_puts_a_skip_frame_first():
    bench = bmi160()
    first = bench.chip.taken
    bench.take(78)
    assert length(bench) == 78 * 13
    bench.take(5)
    assert length(bench) == 78 * 13 + 2
    data = bench.read(0x24, 15)
    assert data[:3] == b"\x40\x05\x8c"
    found = np.frombuffer(data[3:], "<i2").reshape(-1, 6)
    expected = counts(bench.felt(np.array([first + 5])), STANDARD_GRAVITY / 8192, radians(1) / 32.8)
    np.testing.assert_array_equal(gyro_first(found), expected)
    assert length(bench) == 77 * 13
    bench.wait(5)
    assert bench.read(0x24, 3) == b"\x40\xff\x8c"
    bench.write(0x7E, 0xB0)
    assert length(bench) == 0


def test_bmi160_marks_a_change_of_configuration():
    bench = bmi160()
    bench.take(1)
    bench.write(0x41, 0x08)
    bench.take(1)
    data = bench.read(0x24, 28)
    assert (data[0], data[13:15], data[15]) == (0x8C, b"\x48\x02", 0x8C)


def test_bmi160_of_two_rates_has_frames_of_two_sizes():
    bench = bmi160(gyro=0x27)
    bench.take(4)
    data = bench.read(0x24, length(bench))
    headers, at = [], 0
    while at < len(data):
        headers.append(data[at])
        at += 1 + 6 * (data[at] & 0x0C).bit_count()
    assert sorted(headers) == [0x84, 0x84, 0x8C, 0x8C]


def test_bmi160_without_headers_has_the_bare_data():
    bench = bmi160(fifo=0xC0)
    bench.take(2)
    assert length(bench) == 24


def test_bmi160_drops_a_command_that_comes_too_early():
    bench = Bench("bmi160")
    bench.wait(0.001)
    bench.write(0x7E, 0x11)
    bench.wait(0.001)
    bench.write(0x7E, 0x15)
    bench.wait(0.1)
    assert bench.byte(0x03) == 0x10
    assert bench.byte(0x02) == 0x40
    assert bench.byte(0x02) == 0


def test_bmi160_asleep_loses_writes_that_follow_too_soon():
    bench = Bench("bmi160")
    bench.write(0x40, 0x2A)
    bench.write(0x42, 0x2A)
    assert bench.read(0x40, 3)[::2] == b"\x2a\x28"
    bench.wait(0.0005)
    bench.write(0x42, 0x2A)
    assert bench.byte(0x42) == 0x2A


def test_bmi160_gyroscope_is_of_no_use_before_it_has_started():
    bench = Bench("bmi160", at_rest)
    bench.write(0x7E, 0x15)
    bench.wait(0.04)
    assert bench.byte(0x03) == 0
    bench.wait(0.03)
    assert bench.byte(0x03) == 0x04
    assert np.abs(np.frombuffer(bench.read(0x0C, 6), "<i2")).max() > 1000
    bench.wait(0.03)
    assert bench.read(0x0C, 6) == bytes(6)


def test_bmi160_soft_reset_puts_it_to_sleep():
    bench = bmi160()
    bench.write(0x7E, 0xB6)
    with pytest.raises(BusError):
        bench.read(0x00)
    bench.wait(0.001)
    assert bench.read(0x40, 4) == b"\x28\x03\x28\x00"
    assert bench.byte(0x03) == 0


def test_bmi160_self_tests():
    bench = bmi160(accel=0x2C, signal=at_rest)
    bench.write(0x41, 0x08)
    bench.write(0x6D, 0x0D)
    bench.wait(0.06)
    positive = np.frombuffer(bench.read(0x12, 6), "<i2").astype(int)
    bench.write(0x6D, 0x09)
    bench.wait(0.06)
    negative = np.frombuffer(bench.read(0x12, 6), "<i2")
    assert np.all(positive - negative > 8192)
    bench.write(0x6D, 0x10)
    assert bench.byte(0x1B) & 0x02


# ADXL345.


def adxl345(**options) -> Bench:
    """Run it at 100 Hz, 16 g in full resolution, FIFO in stream mode."""
    bench = Bench("adxl345", **options)
    bench.write(0x31, 0x0B)
    bench.write(0x2D, 0x08)
    bench.wait(0.02)
    bench.read(0x32, 6)  # or what was overrun before still stands in INT_SOURCE
    bench.write(0x38, 0x80)
    return bench


def test_adxl345_gives_one_entry_a_read():
    bench = adxl345()
    first = bench.chip.taken
    bench.take(10)
    assert bench.byte(0x39) == 10
    found = np.frombuffer(b"".join(bench.read(0x32, 6) for _ in range(10)), "<i2").reshape(-1, 3)
    expected = counts(bench.felt(np.arange(first, first + 10)), STANDARD_GRAVITY / 256)
    np.testing.assert_array_equal(found, expected[:, :3])
    assert bench.byte(0x39) == 0


def test_adxl345_takes_the_entry_even_if_one_byte_is_read():
    bench = adxl345()
    bench.take(5)
    bench.read(0x32)
    assert bench.byte(0x39) == 4


def test_adxl345_holds_33_and_says_when_it_is_filled():
    bench = adxl345()
    first = bench.chip.taken
    bench.take(32)
    assert bench.byte(0x30) & 0x81 == 0x80
    bench.take(5)
    assert bench.byte(0x39) == 33
    assert bench.byte(0x30) & 0x01
    found = np.frombuffer(bench.read(0x32, 6), "<i2")
    expected = counts(bench.felt(np.array([first + 4])), STANDARD_GRAVITY / 256)
    np.testing.assert_array_equal(found, expected[0, :3])
    assert bench.byte(0x30) & 0x01 == 0
    bench.write(0x38, 0x00)
    assert bench.byte(0x39) == 0


@pytest.mark.parametrize(("data_format", "per_g"), [(0x00, 256), (0x01, 128), (0x02, 64), (0x03, 32), (0x0B, 256)])
def test_adxl345_resolutions(data_format, per_g):
    bench = Bench("adxl345", at_rest)
    bench.write(0x31, data_format)
    bench.write(0x2D, 0x08)
    bench.wait(0.05)
    assert list(np.frombuffer(bench.read(0x32, 6), "<i2")) == [0, 0, per_g]


def test_adxl345_self_test_answers_within_the_data_sheet():
    bench = adxl345(signal=at_rest)
    bench.write(0x31, 0x8B)
    bench.write(0x38, 0x00)
    bench.wait(0.05)
    change = np.frombuffer(bench.read(0x32, 6), "<i2") - np.array([0, 0, 256])
    low, high = np.array([50, -540, 75]) * [1.77, 1.77, 1.47], np.array([540, -50, 875]) * [1.77, 1.77, 1.47]
    assert np.all((low < change) & (change < high))


# LIS3DH.


def lis3dh(**options) -> Bench:
    """Run it at 100 Hz, 4 g, high resolution, FIFO in stream mode."""
    bench = Bench("lis3dh", **options)
    bench.write(0x20, 0x57)
    bench.write(0x23, 0x98)
    bench.wait(0.1)
    bench.write(0x24, 0x40)
    bench.write(0x2E, 0x80)
    return bench


def test_lis3dh_rolls_over_the_output_registers():
    bench = lis3dh()
    first = bench.chip.taken
    bench.take(10)
    assert bench.byte(0x2F) & 0x7F == 10
    found = np.frombuffer(bench.read(0x28 | 0x80, 60), "<i2").reshape(-1, 3)
    expected = counts(bench.felt(np.arange(first, first + 10)), 2 * MG)
    np.testing.assert_array_equal(found, expected[:, :3] * 16)
    assert bench.byte(0x2F) == 0x20


def test_lis3dh_without_the_auto_increment_bit_repeats_the_register():
    bench = lis3dh()
    assert bench.read(0x0F, 3) == b"\x33" * 3
    assert bench.read(0x8F, 1) == b"\x33"
    assert bench.read(0xA0, 5) == bytes([0x57, 0x00, 0x00, 0x98, 0x40])
    bench.write(0xA0, 0x47, 0x00)
    assert bench.byte(0x20) == 0x47


def test_lis3dh_full_fifo_reads_31_and_overrun():
    bench = lis3dh()
    first = bench.chip.taken
    bench.take(31)
    assert bench.byte(0x2F) & 0x7F == 31
    bench.take(5)
    assert bench.byte(0x2F) & 0x7F == 0x40 | 31
    found = np.frombuffer(bench.read(0xA8, 6), "<i2")
    expected = counts(bench.felt(np.array([first + 4])), 2 * MG)
    np.testing.assert_array_equal(found, expected[0, :3] * 16)
    assert bench.byte(0x2F) & 0x7F == 31
    bench.write(0x2E, 0x00)
    assert bench.byte(0x2F) & 0x7F == 0


@pytest.mark.parametrize(("control", "low_power", "bits", "mg"), [(0x08, 0, 12, 1), (0, 0, 10, 4), (0, 8, 8, 16)])
def test_lis3dh_resolutions(control, low_power, bits, mg):
    bench = Bench("lis3dh", at_rest)
    bench.write(0x20, 0x57 | low_power)
    bench.write(0x23, control)
    bench.wait(0.1)
    z = np.frombuffer(bench.read(0xA8, 6), "<i2")[2]
    assert z == round(1000 / mg) << 16 - bits


def test_lis3dh_is_of_no_use_for_seven_samples_in_high_resolution():
    bench = Bench("lis3dh", at_rest)
    bench.write(0x23, 0x88)
    bench.write(0x20, 0x57)
    bench.wait(0.045)
    assert np.abs(np.frombuffer(bench.read(0xA8, 4), "<i2")).max() > 1000
    bench.wait(0.05)
    assert bench.read(0xA8, 4) == bytes(4)


def test_lis3dh_boot_clears_itself_and_keeps_the_settings():
    bench = lis3dh()
    bench.write(0x24, 0xC0)
    assert bench.byte(0x24) == 0xC0
    bench.wait(0.01)
    assert bench.read(0xA0, 5) == bytes([0x57, 0x00, 0x00, 0x98, 0x40])


def test_lis3dh_self_test_answers_within_the_data_sheet():
    bench = Bench("lis3dh", at_rest)
    bench.write(0x20, 0x57)
    bench.write(0x23, 0x02)
    bench.wait(0.1)
    change = (np.frombuffer(bench.read(0xA8, 6), "<i2") >> 6) - np.array([0, 0, 250])
    assert np.all((change > 17) & (change < 360))


@pytest.mark.parametrize("skew", [-0.05, 0.05])
@pytest.mark.parametrize("start", [lsm6ds3, lsm6dso, lsm9ds1, bmi160, adxl345, lis3dh])
def test_the_chips_own_clock_decides_how_many_samples_there_are(start, skew):
    bench = start(skew=skew)
    before, rate_hz = bench.chip.taken, bench.chip.sampling_hz()
    bench.wait(20)
    bench.read(0x0F)
    assert bench.chip.taken - before == pytest.approx(20 * rate_hz * (1 + skew), abs=2)

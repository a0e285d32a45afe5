"""SPI: the frames of each chip, and the same promises as on I2C, on the models' end of the wires."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from chips.spi import WIRES, SimulatedSpi
from chips.trial import bench, mishaps, recovery_s, trial

from motionsig.errors import InputError, SensorError
from motionsig.sensors import CHIPS, open_sensor
from motionsig.sensors.bus import NO_ADDRESS, parse_bus
from motionsig.sensors.chips import Set, settle
from motionsig.sensors.owner import HeldError
from motionsig.sensors.self_test import self_test
from motionsig.sensors.simulated import Faults, Oscillator, VirtualClock, simulated_chip
from motionsig.sensors.spi import SpiBus, chips_on, over_spi

KINDS = pytest.mark.parametrize(
    "name",
    ["mpu9250", "icm20602", "icm20948", "icm42688p", "lsm6dso", "lsm6dsv16x", "lsm9ds1", "bmi160", "adxl345", "lis3dh"],
)
"""One chip of each kind of wire."""
EVERY = pytest.mark.parametrize("name", [name for name, chip in CHIPS.items() if chip.spi is not None])


def device(name: str, **options: int) -> tuple[SimulatedSpi, VirtualClock]:
    clock = VirtualClock()
    return SimulatedSpi(simulated_chip(name, clock=clock, signal=still), WIRES[name], clock=clock, **options), clock


def still(serials: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
    return np.tile([0.0, 0.0, 9.8, 0.0, 0.0, 0.0], (len(serials), 1))


@EVERY
def test_nothing_is_lost(name: str) -> None:
    it = bench(name, oscillator=Oscillator(skew=0.05), spi=True)
    assert it.bus.i2c_is_off
    account = trial(it, 2)
    assert (account.wrong, account.lost, account.gaps) == (0, 0, 0)
    assert account.delivered > 1.5 * it.setting.rate_hz
    assert it.bus.i2c_is_off


@KINDS
def test_a_day_of_faults_in_a_minute(name: str) -> None:
    it = bench(
        name, rate_hz=min(max(CHIPS[name].rates), 800), oscillator=Oscillator(skew=-0.03, drift=300e-6), spi=True
    )
    assert it.bus.i2c_is_off
    # Nobody acknowledges on SPI, so nobody can refuse.
    it.bus.inject(replace(mishaps(it, seconds=15, every_s=3, seed=1), nack=0.0))
    account = trial(it, 15)
    counts = it.reader.counts
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.gaps == counts.gaps > 1
    assert account.most_off <= 1
    assert account.delivered == counts.samples > 7 * it.setting.rate_hz
    assert counts.recoveries
    assert it.bus.i2c_is_off


def test_an_adxl345_at_3200_hz_with_all_faults() -> None:
    it = bench("adxl345", rate_hz=3200, oscillator=Oscillator(skew=0.05, drift=300e-6), spi=True)
    assert it.setting.rate_hz == 3200
    it.bus.inject(replace(mishaps(it, seconds=10, every_s=2, seed=1), nack=0.0))
    account = trial(it, 10)
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.gaps == it.reader.counts.gaps > 2
    assert account.delivered > 4 * 3200
    assert account.max_error_s < 1e-3


def test_the_fastest_rate_loses_nothing() -> None:
    it = bench("adxl345", rate_hz=3200, oscillator=Oscillator(skew=0.05), spi=True)
    account = trial(it, 5)
    assert (account.wrong, account.lost, it.reader.counts.gaps) == (0, 0, 0)
    # One message takes all that waits: far fewer than samples.
    assert it.bus.messages < account.delivered / 3


@KINDS
@pytest.mark.parametrize("fault", ["power cut", "stuck bus"])
def test_samples_come_back_after(name: str, fault: str) -> None:
    after_s, account = recovery_s(bench(name, spi=True), fault)
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.most_off <= 1
    assert after_s < 0.5


@pytest.mark.parametrize("level", [0x00, 0xFF])
@KINDS
def test_a_cable_that_is_pulled_gives_no_sample(name: str, level: int) -> None:
    """Only what is read can tell: a line that nobody drives passes for data."""
    it = bench(name, spi=True)
    it.bus.idle = level
    now_ns = it.clock.monotonic_ns()
    off_ns, on_ns = now_ns + 2 * 10**9, now_ns + 4 * 10**9
    it.bus.inject(Faults(events=((off_ns, it.bus.unplug), (on_ns, it.bus.plug))))
    account = trial(it, 6)
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.gaps == 1
    assert account.delivered > 3.5 * it.setting.rate_hz


@KINDS
def test_the_chip_tests_itself(name: str) -> None:
    wires, clock = device(name)
    bus = SpiBus(wires, CHIPS[name])
    assert chips_on(wires, [CHIPS[name]])
    results = self_test(bus, over_spi(CHIPS[name]), NO_ADDRESS, clock=clock)
    assert results and all(it.passed for it in results)


@EVERY
def test_it_is_found_without_a_write(name: str) -> None:
    wires, _ = device(name)
    found = chips_on(wires, CHIPS.values())
    assert CHIPS[name] in found
    assert {chip.identity == CHIPS[name].identity for chip in found} == {True}
    assert all(frame[0] & 0x80 for frame in wires.sent)


def test_the_frames_of_a_chip_whose_records_are_read_one_by_one() -> None:
    wires, _ = device("adxl345")
    bus = SpiBus(wires, CHIPS["adxl345"])
    bus.write(NO_ADDRESS, b"\x2d\x08")
    bus.write(NO_ADDRESS, b"\x1e\x00\x00\x00")
    assert bus.read(NO_ADDRESS, 0x00, 1) == b"\xe5"
    bus.read(NO_ADDRESS, 0x2C, 3)
    assert wires.sent == [b"\x2d\x08", b"\x5e\0\0\0", b"\x80\0", b"\xec\0\0\0"]
    del wires.sent[:]
    assert len(bus.read(NO_ADDRESS, 0x32, 3 * 6)) == 18
    assert wires.sent == [b"\xf2" + bytes(6)] * 3
    assert bus.transaction_s(18) == pytest.approx(3 * (7 * 8 / 4e6 + 5e-6))


def test_the_numbers_of_the_lis3dh_lose_the_bit_that_is_for_i2c() -> None:
    wires, _ = device("lis3dh")
    bus = SpiBus(wires, CHIPS["lis3dh"])
    bus.write(NO_ADDRESS, b"\xa0\x57")
    bus.read(NO_ADDRESS, 0xA8, 12)
    assert bus.read(NO_ADDRESS, 0x20, 1) == b"\x57"
    assert wires.sent == [b"\x20\x57", b"\xe8" + bytes(12), b"\xa0\0"]


def test_a_long_reading_is_cut_between_records() -> None:
    wires, _ = device("lsm6ds3")
    bus = SpiBus(wires, CHIPS["lsm6ds3"])
    assert len(bus.read(NO_ADDRESS, 0x3E, 8184)) == 8184
    assert [len(frame) - 1 for frame in wires.sent] == [4092, 4092]


def test_a_chip_that_can_do_both_is_never_left_deaf_to_spi() -> None:
    chip = over_spi(CHIPS["icm42688p"])
    written = [step for step in (*chip.setup, *chip.start) if isinstance(step, Set) and step.register == 0x4C]
    assert [(step.value & 3, step.mask & 3) for step in written] == [(3, 2)]


def test_only_spi_has_the_fastest_rates() -> None:
    fast = {"rate_hz": 3200, "accel_range_g": 8, "gyro_range_dps": 1}
    with pytest.raises(InputError, match="expected above 0 and at most 800 Hz"):
        settle(CHIPS["adxl345"], **fast)
    assert settle(over_spi(CHIPS["adxl345"]), **fast).rate_hz == 3200


def test_a_clone_is_taken_as_the_chip_that_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    chip = simulated_chip("mpu6500", clock=clock, signal=still)
    chip.defaults = {**chip.defaults, 0x75: 0x72}
    chip.registers[0x75] = 0x72
    wires = SimulatedSpi(chip, WIRES["mpu6500"], clock=clock)
    bus = SpiBus(wires, CHIPS["mpu6500"])
    with pytest.raises(SensorError, match=r"got something unknown .*0x72 in 0x75"):
        open_sensor(bus=bus, clock=clock)
    with open_sensor(bus=bus, chip="mpu6500", clock=clock, calibration="none") as sensor:
        assert len(next(block for block in sensor if len(block)))
    assert "taken as mpu6500, as chip= asks, although it says 0x72" in caplog.text


def test_gravity_tells_chips_with_one_identity_apart() -> None:
    clock = VirtualClock()
    wires = SimulatedSpi(simulated_chip("lsm6dso32", clock=clock, signal=still), WIRES["lsm6dso32"], clock=clock)
    with open_sensor(bus=SpiBus(wires, CHIPS["lsm6dso"]), clock=clock, calibration="none") as sensor:
        assert sensor.device_id == "lsm6dso32-spidev0.0"
        data = next(block for block in sensor if len(block)).data
        assert wires.i2c_is_off
    assert np.linalg.norm(data[:, :3], axis=1) == pytest.approx(9.8, abs=0.1)


def test_a_chip_has_one_reader() -> None:
    wires, clock = device("mpu6500")
    bus = SpiBus(wires, CHIPS["mpu6500"])
    with (
        open_sensor(bus=bus, clock=clock, calibration="none"),
        pytest.raises(HeldError, match=r"/dev/spidev0.0: expected a sensor that nobody else reads"),
    ):
        open_sensor(bus=bus, clock=clock, calibration="none")
    open_sensor(bus=bus, clock=clock, calibration="none").close()


def opened(name: str, wires: SimulatedSpi, clock: VirtualClock, **options: object) -> str:
    bus = SpiBus(wires, CHIPS["adxl345" if name == "auto" else name], **options)
    with open_sensor(name, bus=bus, clock=clock, calibration="none") as sensor:
        return sensor.device_id


def test_a_sensor_is_named_by_its_line() -> None:
    wires, clock = device("adxl345")
    assert opened("adxl345", wires, clock) == "adxl345-spidev0.0"
    wires, clock = device("adxl345")
    with pytest.raises(InputError, match="address: expected none on SPI, got 0x53"):
        open_sensor("adxl345", bus=SpiBus(wires, CHIPS["adxl345"]), address=0x53, clock=clock)


@pytest.mark.parametrize(("idle", "said"), [(0x00, "zeros"), (0xFF, "ones")])
def test_a_chip_that_is_not_there_is_one_sentence(idle: int, said: str) -> None:
    wires, clock = device("mpu6500", idle=idle)
    wires.unplug()
    expected = rf"'mpu6500': expected it to answer on /dev/spidev0.0, got only {said}, .* select line .* MISO"
    with pytest.raises(SensorError, match=expected):
        opened("mpu6500", wires, clock)


def test_another_chip_is_named() -> None:
    wires, clock = device("mpu6500")
    with pytest.raises(SensorError, match=r"'adxl345': expected it to answer on /dev/spidev0.0, got mpu6500"):
        opened("adxl345", wires, clock)
    with pytest.raises(InputError, match="expected adxl345, whose bus this is, got 'mpu6500'"):
        open_sensor("mpu6500", bus=SpiBus(wires, CHIPS["adxl345"]), clock=clock)


def test_a_chip_left_in_another_bank_is_found_by_name() -> None:
    wires, clock = device("icm20948")
    SpiBus(wires, CHIPS["icm20948"]).write(NO_ADDRESS, b"\x7f\x20")
    assert opened("icm20948", wires, clock) == "icm20948-spidev0.0"


def test_a_clock_that_a_chip_does_not_take_is_refused() -> None:
    wires, _ = device("mpu6500")
    with pytest.raises(InputError, match="bus_clock_hz: expected at most 1000000 for mpu6500, got 4000000"):
        SpiBus(wires, CHIPS["mpu6500"], clock_hz=4_000_000)
    assert SpiBus(wires, CHIPS["mpu6500"]).clock_hz == 1_000_000


def test_a_clock_too_slow_for_the_rate_is_refused_with_the_arithmetic() -> None:
    wires, clock = device("mpu6500")
    bus = SpiBus(wires, CHIPS["mpu6500"], clock_hz=100_000)
    expected = r"1000 x 14 bytes of 8 bits, .* of 100,000 bits; rate_hz=500 fits, or a faster clock \(bus_clock_hz\)"
    with pytest.raises(InputError, match=expected):
        open_sensor("mpu6500", bus=bus, rate_hz=1000, clock=clock)


def test_a_bus_has_several_names() -> None:
    assert [parse_bus(text) for text in ("1", "i2c-1", "/dev/i2c-11")] == [1, 1, 11]
    assert {parse_bus(text) for text in ("spi0.1", "spidev0.1", "/dev/spidev0.1")} == {"/dev/spidev0.1"}
    for text in ("", "spi0", "spi0.0x", "/dev/ttyS0", "-1"):
        with pytest.raises(InputError, match=r"expected N of /dev/i2c-N, or spi0.0 for /dev/spidev0.0"):
            parse_bus(text)

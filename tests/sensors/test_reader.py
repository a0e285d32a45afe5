"""The reader beyond what every chip's contract says."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from chips.garbled import AccelerometerFirst, RepeatedPackets, ShiftedRecords, TornPairs
from chips.trial import Account, bench, enter, trial

import motionsig
from motionsig.blocks import SampleBlock, SignatureBatch
from motionsig.errors import InputError, SensorError
from motionsig.sensors import CHIPS, Calibration, SensorReader, open_sensor
from motionsig.sensors.bus import BusError
from motionsig.sensors.fifo import Overflow
from motionsig.sensors.simulated import Faults, SimulatedBus, SimulatedChip, VirtualClock, simulated_chip, walking
from motionsig.sensors.simulated.lsm6dso import Lsm6dso


def opened(clock: VirtualClock, **options: object) -> SensorReader:
    bus = SimulatedBus([simulated_chip("lsm6dso", clock=clock)], clock=clock)
    sensor = open_sensor("lsm6dso", bus=bus, clock=clock, **{"calibration": "none", **options})
    assert isinstance(sensor, SensorReader)
    return sensor


def some(sensor: SensorReader, blocks: int = 20) -> SampleBlock:
    parts = list(islice(sensor, blocks))
    return SampleBlock(np.concatenate([it.time_ns for it in parts]), np.concatenate([it.data for it in parts]))


def test_what_a_block_holds() -> None:
    clock = VirtualClock()
    with opened(clock) as sensor:
        block = some(sensor)
        assert (sensor.rate_hz, sensor.info.format) == (104.0, "sensor:lsm6dso")
    assert (block.time_ns.dtype, block.data.dtype) == (np.int64, np.float32)
    assert (np.diff(block.time_ns) > 0).all()
    # Counts times the scale, to the bit: that is what makes a log of them small and lossless.
    scale = np.array(sensor.info.scale, np.float32)
    counts = np.rint(block.data / scale)
    assert (counts * scale == block.data).all()
    felt = walking(np.arange(len(block)), block.time_ns - sensor.unix_offset_ns)
    assert np.abs(block.data - felt).max() < 0.15


def test_mounting_and_calibration_are_applied() -> None:
    turn = [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    plain = some(opened(VirtualClock())).data
    for mount in (turn, "0, 1, 0; -1, 0, 0; 0, 0, 1"):
        with opened(VirtualClock(), mount=mount) as sensor:
            turned = some(sensor).data
        assert sensor.info.scale is not None
        np.testing.assert_array_equal(turned, plain[:, [1, 0, 2, 4, 3, 5]] * [1, -1, 1, 1, -1, 1])
    bias = replace(Calibration(), gyro_bias=np.array([0.1, 0.0, 0.0]))
    with opened(VirtualClock(), calibration=bias) as sensor:
        assert sensor.info.scale is None
        np.testing.assert_allclose(some(sensor).data, plain - [0, 0, 0, 0.1, 0, 0], atol=1e-6)


def test_a_silent_sensor_is_heard_of_every_second() -> None:
    it = bench("mpu6500")
    at_ns = it.clock.monotonic_ns() + 10**9
    it.bus.inject(Faults(events=((at_ns, lambda: it.chip.power_off(at_ns)),)))
    times = [it.clock.monotonic_ns() / 1e9 for block in it.blocks(60) if not len(block)]
    assert len(times) > 50
    assert max(np.diff(times)) < 1.1
    assert it.reader.counts.gaps == 0, "the gap is marked at the first sample after it"
    it.chip.power_on(it.clock.monotonic_ns())
    first = next(block for block in it.stream if len(block))
    assert first.gap
    assert it.reader.counts.lost == pytest.approx(59 * it.setting.rate_hz, abs=100)


def test_another_chip_in_its_place_gives_nothing() -> None:
    it = bench("mpu6500")
    trial(it, 1)
    own, other = it.chip, simulated_chip("icm20689", clock=it.clock)
    it.bus.chips[it.chip.address] = other
    assert sum(map(len, it.blocks(5))) <= 0.2 * it.setting.rate_hz
    it.bus.chips[it.chip.address] = own
    assert trial(it, 2).delivered > it.setting.rate_hz


def test_a_consumer_that_comes_too_late_loses_and_knows_it() -> None:
    it = bench("lis3dh", rate_hz=400)
    before = trial(it, 1)
    it.clock.sleep(2)
    after = trial(it, 1)
    assert (before.lost, after.wrong, after.unreported) == (0, 0, 0)
    assert it.reader.counts.overflows == 1
    assert it.reader.counts.lost == pytest.approx(2 * 400, abs=120)


def test_going_on_after_a_break_is_a_gap() -> None:
    clock = VirtualClock()
    sensor = opened(clock)
    some(sensor)
    clock.sleep(1)
    again = next(block for block in sensor if len(block))
    assert again.gap
    assert 80 < sensor.counts.lost < 120


def test_closing_leaves_the_chip_as_after_power_up_and_may_be_repeated() -> None:
    it = bench("bmi160")
    trial(it, 1)
    with it.reader:
        it.reader.close()
        assert it.chip.sampling_hz() is None
        it.reader.close()
    with pytest.raises(SensorError, match="expected an open sensor, got a closed one"):
        next(iter(it.reader))
    gone = bench("bmi160")
    gone.chip.power_off(gone.clock.monotonic_ns())
    gone.reader.close()


@pytest.mark.parametrize("how", ["thread", "signal", "consumer"])
def test_closing_ends_a_run_with_its_summary(how: str) -> None:
    sensor = open_sensor("simulated", calibration="none")
    before = signal.signal(signal.SIGALRM, lambda *_: sensor.close())

    class Source:
        """The sensor, closed once it has given some samples, however late they come."""

        rate_hz, info = sensor.rate_hz, sensor.info

        def __iter__(self) -> Iterator[SampleBlock]:
            begun = how == "consumer"
            for block in sensor:
                yield block
                if not begun and sensor.counts.samples > 30:
                    begun = True
                    # A moment later, so that it is waiting for the next samples.
                    if how == "thread":
                        threading.Timer(0.02, sensor.close).start()
                    else:
                        signal.setitimer(signal.ITIMER_REAL, 0.02)

    class Sink:
        def publish(self, signatures: SignatureBatch) -> None:
            if how == "consumer":
                sensor.close()

    try:
        summary = motionsig.run(Source(), motionsig.open_encoder(), Sink())
    finally:
        signal.signal(signal.SIGALRM, before)
    assert summary.samples == sensor.counts.samples > 30
    assert sensor.counts.recoveries == 0
    assert summary.windows == (how == "consumer")


def test_a_slow_consumer_still_gets_samples_and_hears_of_the_lost_ones() -> None:
    for name, kept in (("mpu6050", 0.001), ("lsm6ds3", 0.9)):
        it = bench(name, rate_hz=52)
        account = Account()
        for _ in range(60):
            block = next(it.stream)
            if len(block):
                enter(account, it, block)
            it.clock.sleep(5)
        assert (account.wrong, account.unreported) == (0, 0)
        assert account.delivered > kept * 60 * 5 * it.setting.rate_hz


def test_a_fifo_that_is_always_full_ends_in_a_new_start(monkeypatch: pytest.MonkeyPatch) -> None:
    it = bench("mpu6500")
    trial(it, 1)
    monkeypatch.setattr(it.reader.fifo, "level", lambda: (_ for _ in ()).throw(Overflow("512 of 512 bytes")))
    list(it.blocks(2))
    assert it.reader.counts.recoveries > 5
    monkeypatch.undo()
    assert trial(it, 2).delivered > 150


@pytest.mark.parametrize("refused", [1, 3, 9])
def test_a_refusal_between_two_reads_of_one_drain_loses_what_it_may_have_lost(refused: int) -> None:
    """A chip that gives one sample a read: the reads before the refusal have taken theirs out of the FIFO."""
    it = bench("adxl345", rate_hz=400)
    trial(it, 1)
    read, reads = it.bus.read, iter(range(10**9))

    def refusing(address: int, register: int, size: int) -> bytes:
        if register == 0x32 and refused <= next(reads) % 40 < refused + 4:
            raise BusError("nobody acknowledged", nack=True)
        return read(address, register, size)

    it.bus.read = refusing  # type: ignore[method-assign]
    account = trial(it, 5)
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.delivered > 300


def test_a_bus_that_is_too_slow_is_refused_with_the_arithmetic() -> None:
    clock = VirtualClock()
    bus = SimulatedBus([simulated_chip("mpu6050", clock=clock)], clock=clock, clock_hz=100_000)
    with pytest.raises(InputError, match=r"1000 x 14 bytes .* of 100,000 bits; rate_hz=500 fits, or a faster bus"):
        open_sensor("mpu6050", bus=bus, rate_hz=1000, clock=clock)
    assert open_sensor("mpu6050", bus=bus, rate_hz=500, clock=clock).rate_hz == 500


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_that_takes_no_settings_does_not_start(name: str) -> None:
    clock = VirtualClock()
    chip = simulated_chip(name, clock=clock)
    chip.write_register = lambda register, value: None  # type: ignore[method-assign]
    with pytest.raises(SensorError, match=f"{name} on simulated at 0x.. register 0x.*: expected 0x.* got 0x"):
        open_sensor(name, bus=SimulatedBus([chip], clock=clock), clock=clock, calibration="none")


def first_blocks(chip: Lsm6dso, clock: VirtualClock) -> tuple[SensorReader, SampleBlock]:
    sensor = open_sensor("lsm6dso", bus=SimulatedBus([chip], clock=clock), clock=clock, calibration="none")
    assert isinstance(sensor, SensorReader)
    return sensor, some(sensor, 10)


def test_words_are_told_by_their_tags() -> None:
    clock = VirtualClock()
    sensor, block = first_blocks(AccelerometerFirst(clock, walking), clock)
    times_ns = block.time_ns - sensor.unix_offset_ns
    assert len(block) >= 10
    assert np.abs(block.data - walking(times_ns, times_ns)).max() < 0.15


def test_words_of_two_instants_are_never_paired() -> None:
    clock = VirtualClock()
    sensor, block = first_blocks(TornPairs(clock, walking), clock)
    assert len(block) == 0
    assert sensor.counts.discards > 100


@pytest.mark.parametrize("rate_hz", [12.5, 200])
@pytest.mark.parametrize(("name", "model"), [("mpu6500", ShiftedRecords), ("icm42688p", RepeatedPackets)])
def test_a_record_that_only_its_temperature_or_its_time_shows_to_be_wrong_is_discarded(
    name: str, model: type[SimulatedChip], rate_hz: float
) -> None:
    """At 12.5 Hz each record is read alone: what it must go on from was in the reading before."""
    it = bench(name, rate_hz=rate_hz, model=model)
    account = trial(it, 8.5 * 97 / rate_hz)
    assert (account.wrong, account.unreported) == (0, 0)
    assert 7 <= it.reader.counts.discards == it.reader.counts.gaps <= 9
    assert account.delivered > 0.75 * 8 * 97


def test_warming_up_is_no_reason_to_discard() -> None:
    it = bench("mpu6500")
    for degrees in range(20):
        it.chip.temperature_c = 25.0 + degrees
        trial(it, 0.5)
    assert it.reader.counts.discards == 0

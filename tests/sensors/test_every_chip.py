"""What every chip's table and the reader promise together, on the chip's model."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from chips.trial import FAULTS, Account, bench, enter, mishaps, recovery_s, trial

from motionsig.errors import InputError, SensorError
from motionsig.sensors import CHIPS
from motionsig.sensors.chips import Chip, Set, Wait, settle
from motionsig.sensors.fifo import bus_load
from motionsig.sensors.self_test import self_test
from motionsig.sensors.simulated import Faults, Oscillator, Signal, SimulatedBus, VirtualClock, simulated_chip

EVERY = pytest.mark.parametrize("chip", CHIPS.values(), ids=lambda chip: chip.name)
BUS = SimulatedBus([], clock=VirtualClock(), clock_hz=400_000)
SELF_TESTED = pytest.mark.parametrize(
    "chip", [chip for chip in CHIPS.values() if chip.self_test], ids=lambda chip: chip.name
)
COARSE = {"adxl345": "13 bits", "lis3dh": "10 bits", "lsm9ds1": "16 g with 0.732 mg per count"}


def start_up_s(chip: Chip) -> float:
    """Return what the chip itself needs from power-up to good samples, by its table."""
    return sum(step.seconds for step in (*chip.reset, *chip.setup, *chip.start) if isinstance(step, Wait))


@EVERY
def test_every_rate_and_range_can_be_set(chip: Chip) -> None:
    written = {step.register for step in (*chip.setup, *chip.start) if isinstance(step, Set)}
    settings = [
        settle(chip, rate_hz=rate, accel_range_g=accel, gyro_range_dps=gyro)
        for rate in chip.rates
        for accel in chip.accel_ranges
        for gyro in chip.gyro_ranges or (1,)
    ]
    for it in settings:
        assert bus_load(chip, it, BUS) < 0.8
        assert chip.accel_ranges[it.accel_range_g].scale == pytest.approx(it.scale[0])
        # 16 bits hold the full scale and not much more: a wrong sensitivity shows.
        assert 0.9 < it.accel_range_g * 9.80665 / it.scale[0] / 32768 < 1.15 or chip.name in COARSE
        assert np.isnan(it.scale[3:]).all() == (not chip.gyro_ranges)
    choices = chain(
        chip.rates.values(), (it.bits for it in chain(chip.accel_ranges.values(), chip.gyro_ranges.values()))
    )
    assert {register for bits in choices for register in bits} <= written
    # Each choice is told apart by what is read back.
    assert len({str(sorted(it.expected.items())) for it in settings}) == len(settings)


@EVERY
def test_settings_out_of_reach_are_refused(chip: Chip) -> None:
    fine = {"rate_hz": 100.0, "accel_range_g": 2.0, "gyro_range_dps": 100.0}
    for wrong in ({"rate_hz": 1e5}, {"rate_hz": 0.0}, {"rate_hz": float("nan")}, {"accel_range_g": 500.0}):
        with pytest.raises(InputError, match=f"expected above 0 and at most .* {chip.name}, got"):
            settle(chip, **fine | wrong)


@EVERY
@pytest.mark.parametrize("skew", [-0.05, 0.05])
def test_nothing_is_lost_and_time_is_right(chip: Chip, skew: float) -> None:
    it = bench(chip.name, oscillator=Oscillator(skew=skew, drift=300e-6))
    account = trial(it, 25)
    assert (account.wrong, account.lost, account.gaps, it.reader.counts.lost) == (0, 0, 0, 0)
    assert account.delivered == pytest.approx(25 * it.setting.rate_hz * (1 + skew), rel=0.02)
    assert account.max_error_s < 1e-3
    true_rate_hz = (
        it.chip.runs[-1].rate_hz * np.diff([it.chip.oscillator.elapsed_s(at * 10**9) for at in (1024, 1025)])[0]
    )
    assert it.reader.true_rate_hz == pytest.approx(true_rate_hz, rel=50e-6)


@EVERY
def test_the_fastest_rate(chip: Chip) -> None:
    it = bench(chip.name, rate_hz=max(chip.rates), oscillator=Oscillator(skew=0.05))
    account = trial(it, 5)
    assert (account.wrong, account.lost, it.reader.counts.overflows) == (0, 0, 0)
    assert account.max_error_s < 1e-3


@EVERY
def test_a_day_of_faults_in_a_minute(chip: Chip) -> None:
    it = bench(chip.name, rate_hz=min(max(chip.rates), 800), oscillator=Oscillator(skew=-0.03, drift=300e-6))
    it.bus.inject(mishaps(it, seconds=60, every_s=4, seed=len(chip.name)))
    account = trial(it, 60)
    counts = it.reader.counts
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.gaps == counts.gaps > 5
    assert account.most_off <= 1
    assert account.delivered == counts.samples > 30 * it.setting.rate_hz
    assert counts.recoveries
    assert counts.retries


@EVERY
@pytest.mark.parametrize("fault", FAULTS)
def test_samples_come_back_after(chip: Chip, fault: str) -> None:
    after_s, account = recovery_s(bench(chip.name), fault)
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.most_off <= 1
    # What was wrong may show only at the next check; then the chip takes its time, and the first sample a period.
    noticed_s = 0.1 if fault in ("reset", "register") else 0.02
    assert after_s < noticed_s + start_up_s(chip) + 0.05


@EVERY
@pytest.mark.parametrize("times", [1.2, 3.7])
def test_a_fifo_that_ran_over_is_noticed(chip: Chip, times: float) -> None:
    """However far: the level tells, or the time that has passed."""
    it = bench(chip.name, rate_hz=max(chip.rates))
    stalled_s = times * it.chip.fifo.capacity / chip.record.itemsize / it.setting.rate_hz
    it.bus.inject(Faults(events=((it.clock.monotonic_ns() + 2 * 10**9, lambda: it.clock.sleep(stalled_s)),)))
    account = trial(it, 4 + stalled_s)
    assert (account.wrong, account.unreported, account.gaps) == (0, 0, 1)
    assert account.lost > 0.9 * it.chip.fifo.capacity / chip.record.itemsize
    assert account.most_off <= 1


@EVERY
def test_one_refused_transaction_loses_nothing(chip: Chip) -> None:
    it = bench(chip.name)
    it.bus.inject(Faults(nack=0.05))
    before = it.reader.fifo.registers.retries
    account = trial(it, 10)
    assert it.bus.nacks > 10
    assert it.reader.fifo.registers.retries - before == it.bus.nacks
    assert (account.wrong, account.lost, account.gaps) == (0, 0, 0)


@SELF_TESTED
def test_what_the_self_test_changes_is_watched(chip: Chip) -> None:
    """Left on by a glitch, it would pass for motion."""
    test = chip.self_test
    assert test is not None
    changed = {step.register for step in (*test.before, *test.on) if isinstance(step, Set) and step.mask}
    written = {step.register for step in (*chip.setup, *chip.start) if isinstance(step, Set) and step.mask}
    assert changed <= written


def still(serials: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
    """A sensor that lies flat."""
    return np.tile([0.0, 0.0, 9.8, 0.0, 0.0, 0.0], (len(serials), 1))


def self_test_results(chip: Chip, signal: Signal) -> list[bool | None]:
    """Return what the self-test says of each axis."""
    clock = VirtualClock()
    model = simulated_chip(chip.name, clock=clock, signal=signal)
    return [it.passed for it in self_test(SimulatedBus([model], clock=clock), chip, model.address, clock=clock)]


@SELF_TESTED
def test_the_chip_tests_itself(chip: Chip) -> None:
    passed = self_test_results(chip, still)
    assert len(passed) in (3, 6)
    assert all(passed)


@SELF_TESTED
def test_a_chip_in_motion_cannot_be_tested(chip: Chip) -> None:
    def shaken(serials: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
        swing = np.sin(times_ns[:, None] / 1e9 * 8 + np.arange(6))
        return still(serials, times_ns) + swing * [50, 50, 50, 12, 12, 12]

    with pytest.raises(SensorError, match="lie still"):
        self_test_results(chip, shaken)


def test_an_account_that_is_wrong_is_seen() -> None:
    """The proof itself is put to the proof: damage what was delivered, and the account says so."""
    it = bench("lsm6dso")
    blocks = [block for block in it.blocks(3) if len(block)]
    spoilt, torn = Account(), Account()
    blocks[1].data[-1, 2] += 0.5
    for block in blocks:
        enter(spoilt, it, block)
    assert spoilt.wrong == 1
    for block in (blocks[2], blocks[4], blocks[4]):
        enter(torn, it, block)
    assert torn.unreported == len(blocks[3])
    assert torn.wrong == 1

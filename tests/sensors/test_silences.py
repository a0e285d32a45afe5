"""Every silence of a sensor has a reason within five seconds, a count, and an end; what can be delivered is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from chips.trial import Account, Bench, bench, enter, mishaps, trial

from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.sensors.reader import HOLD_NS, SensorReader
from motionsig.sensors.simulated import Faults, Oscillator

NAMES = ("mpu6050", "lsm6dso", "icm42688p", "lis3dh")
SKEWED = Oscillator(skew=0.02, drift=300e-6)
SLOW = ((3e-3, 8e-3), (5e-3, 15e-3))


def held(reader: SensorReader) -> int:
    return sum(len(counts) for _, counts in reader._held)


@pytest.mark.parametrize("slow_s", SLOW)
@pytest.mark.parametrize("name", NAMES)
def test_a_slow_bus_delivers_all_and_says_how_exact_the_times_are(
    name: str, slow_s: tuple[float, float], caplog: pytest.LogCaptureFixture
) -> None:
    it = bench(name, oscillator=SKEWED, faults=Faults(slow_s=slow_s))
    account = trial(it, 40)
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.delivered > 0.97 * 40 * it.setting.rate_hz
    assert account.unstated_s < 5
    assert it.reader.counts.doubtful > 50
    assert account.max_error_s < 2e-3
    assert account.doubtful_error_s < 5e-3
    assert "times are exact to" in caplog.text
    assert "expected 1 ms: reading the FIFO's level takes" in caplog.text
    assert caplog.text.count("times are exact to") < 12


def test_a_bus_that_becomes_slow_and_good_again_is_said_and_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    it = bench("mpu6500", oscillator=SKEWED)
    assert trial(it, 5).max_error_s < 1e-3
    assert it.reader.trouble is None
    it.bus.slow_s = (5e-3, 15e-3)
    slow = trial(it, 30)
    assert slow.wrong == 0
    assert slow.delivered > 0.95 * 30 * it.setting.rate_hz
    it.bus.slow_s = (0.0, 0.0)
    trial(it, 15)
    assert it.reader.trouble is None
    after = trial(it, 10)
    assert (after.lost, it.reader.trouble) == (0, None)
    assert after.delivered == pytest.approx(10 * it.setting.rate_hz, rel=0.05)


@pytest.mark.parametrize("slow_s", [(2e-4, 2e-3), (0.0, 4e-3)])
@pytest.mark.parametrize("name", NAMES)
def test_a_machine_that_becomes_busy_keeps_no_samples_back(name: str, slow_s: tuple[float, float]) -> None:
    it = bench(name, oscillator=SKEWED)
    assert trial(it, 5).max_error_s < 1e-3
    it.bus.slow_s = slow_s
    account, waited_s, before_ns = Account(), 0.0, it.clock.monotonic_ns()
    for block in filter(len, it.blocks(40)):
        enter(account, it, block)
        waited_s = max(waited_s, (it.clock.monotonic_ns() - before_ns) / NS_PER_S)
        before_ns = it.clock.monotonic_ns()
    assert waited_s < 0.2
    assert (account.wrong, account.lost) == (0, 0)
    assert account.max_error_s < 1e-3
    assert account.doubtful_error_s < 2e-3


@pytest.mark.parametrize("name", NAMES)
def test_samples_at_a_high_rate_wait_for_one_check_only(name: str) -> None:
    it = bench(name, rate_hz=1000, oscillator=SKEWED)
    trial(it, 5)
    waited_s, before_ns = 0.0, it.clock.monotonic_ns()
    for _ in filter(len, it.blocks(20)):
        waited_s = max(waited_s, (it.clock.monotonic_ns() - before_ns) / NS_PER_S)
        before_ns = it.clock.monotonic_ns()
    assert waited_s < 0.11


def test_no_more_is_held_than_two_seconds_of_samples() -> None:
    it = bench("lsm6dso", rate_hz=208, oscillator=SKEWED, faults=Faults(slow_s=(5e-3, 15e-3)))
    most = 0
    for _ in it.blocks(30):
        most = max(most, held(it.reader))
    assert most < (HOLD_NS / NS_PER_S + 0.5) * it.setting.rate_hz


def no_power(it: Bench) -> None:
    it.chip.power_off(it.clock.monotonic_ns())


def stuck(it: Bench) -> None:
    it.bus.stuck_until_ns = it.clock.monotonic_ns() + 60 * NS_PER_S


def empty_for_ever(it: Bench) -> None:
    read = it.bus.read
    register, size = it.reader.fifo.chip.level.register, it.reader.fifo.chip.level.size
    it.bus.read = lambda a, r, n: bytes(size) if r == register else read(a, r, n)  # type: ignore[method-assign]


def full_for_ever(it: Bench) -> None:
    it.bus.slow_s = (0.05, 0.08)


def another_identity(it: Bench) -> None:
    read = it.bus.read
    it.chip.restart(it.clock.monotonic_ns(), 0.01)
    it.bus.read = lambda a, r, n: b"\x33" if r == 0x75 else read(a, r, n)  # type: ignore[method-assign]


def stalls(it: Bench) -> None:
    it.bus.inject(Faults(stall=1.0, stall_s=0.4))


CAUSES: dict[Callable[[Bench], None], str] = {
    no_power: r"no samples come: .*simulated failure.*check wiring and power",
    stuck: r"no samples come: .*simulated failure.*switch the sensor off and on",
    empty_for_ever: r"no samples come: .*expected samples, got none; check wiring",
    full_for_ever: r"no samples come: .*(bytes in the FIFO|run over|to be set up in).*",
    another_identity: r"no samples come: .* register 0x75: expected 0x70.*got 0x33.*another program",
    stalls: r"no samples come: .*",
}


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.__name__)
def test_silence_has_a_reason_within_five_seconds_and_is_said_once(
    cause: Callable[[Bench], None], caplog: pytest.LogCaptureFixture
) -> None:
    it = bench("mpu6500", rate_hz=500, oscillator=SKEWED)
    trial(it, 3)
    assert it.reader.trouble is None
    caplog.clear()
    cause(it)
    account = trial(it, 20)
    assert account.unstated_s < 5
    assert it.reader.trouble is not None
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    said = [line for line in warned if "no samples come" in line]
    assert len(said) == 1
    assert len(warned) <= 4
    caplog.clear()
    # All is well again.
    vars(it.bus).pop("read", None)
    it.bus.stuck_until_ns = 0
    it.bus.inject(Faults())
    if not it.chip.powered:
        it.chip.power_on(it.clock.monotonic_ns())
    assert trial(it, 10).delivered > 7 * it.setting.rate_hz
    assert it.reader.trouble is None
    assert "it is over: no samples come" in caplog.text


def watched(it: Bench) -> list[float]:
    """Return a list of one number: the longest time without a sample or a reason, seen whenever time passes."""
    sleep, clock, longest = it.clock.sleep, it.clock, [0.0]
    since = {"samples": 0, "ns": clock.monotonic_ns()}

    def sleeping(seconds: float) -> None:
        sleep(seconds)
        samples, now_ns = it.reader.counts.samples, clock.monotonic_ns()
        if it.reader.trouble is not None or samples > since["samples"]:
            since.update(samples=samples, ns=now_ns)
        longest[0] = max(longest[0], (now_ns - since["ns"]) / NS_PER_S)

    clock.sleep = sleeping  # type: ignore[method-assign]
    return longest


@pytest.mark.parametrize("stall_s", [0.1, 0.4, 1.0, 2.0])
@pytest.mark.parametrize("name", ["mpu6500", "adxl345", "icm20948"])
def test_however_long_each_transaction_stalls_the_reason_is_said_within_five_seconds(name: str, stall_s: float) -> None:
    """An ADXL345's records are read one by one, so that one reading of its FIFO alone would take a minute."""
    it = bench(name, oscillator=SKEWED)
    trial(it, 3)
    longest = watched(it)
    it.bus.inject(Faults(stall=1.0, stall_s=stall_s))
    heard_ns, waited_ns = it.clock.monotonic_ns(), 0
    for _ in it.blocks(25):
        waited_ns, heard_ns = max(waited_ns, it.clock.monotonic_ns() - heard_ns), it.clock.monotonic_ns()
    assert longest[0] < 5
    assert waited_ns < 5.2 * NS_PER_S
    assert "no samples come" in (it.reader.trouble or "")
    it.bus.inject(Faults())
    assert trial(it, 8).delivered > 5 * it.setting.rate_hz
    assert it.reader.trouble is None


def test_samples_lost_again_and_again_are_a_state_with_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    """The FIFO runs over once a second, so samples come all the while."""
    it = bench("mpu6500", rate_hz=500, oscillator=SKEWED)
    trial(it, 3)
    late = [it.clock.monotonic_ns() + at * NS_PER_S for at in range(1, 12)]
    it.bus.inject(Faults(events=tuple((at, partial(it.clock.sleep, 0.3)) for at in late)))
    account = trial(it, 5)
    assert account.wrong == 0
    assert it.reader.counts.overflows >= 3
    assert "samples are lost again and again" in (it.reader.trouble or "")
    assert "set a lower rate_hz" in (it.reader.trouble or "")
    trial(it, 20)
    assert it.reader.trouble is None
    assert caplog.text.count("samples are lost again and again") == 2  # when it began and when it was over


def test_a_rate_far_from_the_table_s_is_named() -> None:
    it = bench("mpu6500", oscillator=Oscillator(skew=0.2))
    account = trial(it, 6)
    assert account.unstated_s < 5
    assert "samples in" in (it.reader.trouble or "")
    assert "or not 100 Hz" in (it.reader.trouble or "")


def test_a_bus_on_which_every_transaction_stalls_is_refused_with_the_reason() -> None:
    with pytest.raises(SensorError, match=r"expected to be set up in 1\.\d+ s, got .* a transaction took 0\.2"):
        bench("lsm6dso", faults=Faults(stall=1.0))


@pytest.mark.parametrize("rate_hz", [104, 833])
@pytest.mark.parametrize("name", ["lsm6ds3", "lsm6ds3trc", "mpu6050", "icm20948", "bmi160", "lsm6dso"])
def test_a_byte_or_word_lost_within_a_reading_is_never_delivered_shifted(name: str, rate_hz: float) -> None:
    it = bench(name, rate_hz=rate_hz, oscillator=SKEWED)
    chip = it.reader.fifo.chip
    every_ns, losses = NS_PER_S // 2, 40
    lost = chip.fifo_register & 0xFF, chip.level.unit, chip.record.itemsize
    begun_ns = it.clock.monotonic_ns() + NS_PER_S
    events = [(begun_ns + at * every_ns, partial(setattr, it.bus, "loses", lost)) for at in range(losses)]
    it.bus.inject(Faults(events=tuple(events)))
    account = trial(it, 2 + losses / 2)
    assert (account.wrong, account.unreported) == (0, 0)
    assert it.reader.counts.discards >= losses - 2
    # No more than the readings they were lost in, at most a tenth of a second each, and the way back.
    assert account.lost < losses * 0.25 * it.setting.rate_hz
    assert account.delivered > 0.5 * losses / 2 * it.setting.rate_hz


@pytest.mark.parametrize("name", NAMES)
def test_no_silence_of_a_bad_day_is_without_a_reason(name: str) -> None:
    it = bench(name, rate_hz=400, oscillator=SKEWED)
    it.bus.inject(mishaps(it, seconds=90, every_s=5, seed=3))
    account = trial(it, 90)
    assert (account.wrong, account.unreported) == (0, 0)
    assert account.unstated_s < 5


def test_doubtful_times_count_at_once_and_are_said_once_they_last(caplog: pytest.LogCaptureFixture) -> None:
    it = bench("lsm6dso", oscillator=SKEWED, faults=Faults(slow_s=(5e-3, 15e-3)))
    first_ns = 0
    for _ in it.blocks(10):
        first_ns = first_ns or (it.clock.monotonic_ns() if it.reader.counts.doubtful else 0)
        if it.reader.trouble is not None:
            break
    assert "times are exact to" in (it.reader.trouble or "") and first_ns
    assert 3 <= (it.clock.monotonic_ns() - first_ns) / NS_PER_S < 5
    # At a start a few readings later they are exact.
    caplog.clear()
    it = bench("lsm6dso", oscillator=SKEWED, faults=Faults(slow_s=(2e-3, 3e-3)))
    for _ in it.blocks(10):
        if it.reader.counts.doubtful:
            it.bus.slow_s = (0.0, 0.0)
        assert it.reader.trouble is None
    assert 0 < it.reader.counts.doubtful < 500 and "times are exact to" not in caplog.text

"""Real processes with the real smbus2 on a /dev/i2c-1: the commands, what their logs hold, how they end."""

from __future__ import annotations

import errno
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from chips.trial import Coded
from i2c_machine import I2C_RDWR, I2cMachine
from numpy.typing import NDArray
from real_time import undisturbed

from motionsig.cli import main
from motionsig.conventions import NS_PER_S
from motionsig.publishers import read_signatures
from motionsig.recordings import open_recording
from motionsig.sensors import CHIPS
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.simulated import Faults, SimulatedBus, SimulatedChip, simulated_chip, walking
from motionsig.sensors.simulated.bus import Event
from motionsig.sensors.simulated.chip import Signal

RATE_HZ = 208.0

_SECOND_BYTES = 208 * 12
"""What a log grows by at a time: it holds a second that was read when it is larger."""


def _machine(
    folder: Path, name: str = "lsm6dso", *, feels: Signal | None = None, nack: float = 0.0, **adapter: int
) -> tuple[I2cMachine, SimulatedChip]:
    clock = SystemClock()
    chip = simulated_chip(name, clock=clock, signal=feels or _signal(name))
    return I2cMachine(SimulatedBus([chip], clock=clock, faults=Faults(nack=nack)), folder, **adapter), chip


def _signal(name: str) -> Coded:
    return Coded(8, 1000 if CHIPS[name].gyro_ranges else None)


@dataclass(frozen=True)
class Ended:
    """What a process left behind."""

    code: int
    out: str
    err: str


def _end(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=60)
    # That a busy machine makes times less exact is no fault of what is tried here.
    said = [
        line
        for line in err.splitlines(keepends=True)
        if "times are exact to" not in line and not line.startswith("recording ")
    ]
    return Ended(process.returncode, out, "".join(said))


def _command(*arguments: str | float) -> list[str]:
    return ["-m", "motionsig.cli", *map(str, arguments)]


def _record(name: str = "lsm6dso", *, rate_hz: float = RATE_HZ, seconds: float | None = None) -> list[str]:
    ends = () if seconds is None else ("--seconds", seconds)
    return _command("record", "--sensor", name, "--bus", 1, "--rate-hz", rate_hz, *ends, "--out", "log.msig")


@dataclass(frozen=True)
class Log:
    """A log's samples by the chip's own serial numbers. gaps: the rows that come after one."""

    serials: NDArray[np.int64]
    wrong: NDArray[np.bool_]
    time_ns: NDArray[np.int64]
    gaps: tuple[int, ...]
    damaged_bytes: int

    @property
    def whole(self) -> bool:
        """Whether it holds every sample from its first to its last, each as the chip felt it."""
        return (
            not self.wrong.any()
            and not self.gaps
            and not self.damaged_bytes
            and bool((np.diff(self.serials) == 1).all())
        )


def _read(machine: I2cMachine, name: str = "lsm6dso") -> Log:
    recording = open_recording(machine.folder / "log.msig")
    blocks = list(recording)
    rows = np.cumsum([0, *map(len, blocks)])
    data = np.concatenate([block.data for block in blocks])
    serials, wrong = _signal(name).serials(data)
    return Log(
        serials,
        wrong,
        np.concatenate([block.time_ns for block in blocks]),
        tuple(int(row) for row, block in zip(rows, blocks, strict=False) if block.gap),
        recording.damaged_bytes,
    )


def _until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until something is so while the process lives."""
    late = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < late
        time.sleep(0.005)


def _logged_bytes(machine: I2cMachine) -> int:
    log = machine.folder / "log.msig"
    return log.stat().st_size if log.exists() else 0


def _until_logged(machine: I2cMachine, process: subprocess.Popen[str]) -> None:
    """Wait until another second is in the log."""
    before = _logged_bytes(machine)
    _until(lambda: _logged_bytes(machine) > before + _SECOND_BYTES, process)


def _counted(ended: Ended, what: str) -> int:
    found = re.search(rf"([\d,]+) {what}", ended.out)
    assert found, ended
    return int(found[1].replace(",", ""))


def _true_ns(chip: SimulatedChip, serials: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return when samples were really taken, Unix time."""
    return chip.times_ns(serials) + (time.time_ns() - time.monotonic_ns())


@undisturbed
def test_two_seconds_through_smbus2_are_the_chips_own_samples(tmp_path):
    machine, chip = _machine(tmp_path)
    with machine:
        ended = _end(machine.start(*_record(rate_hz=416, seconds=2)))
        log = _read(machine)
    assert (ended.code, ended.err) == (0, "")
    assert log.whole
    assert _counted(ended, "samples") == len(log.serials) >= 2 * 416
    assert (
        "0 gaps, 0 samples lost; 0 overflows, 0 discards, 0 dead and 0 garbled samples left out, 0 recoveries"
        in ended.out
    )
    # 0.6 ms on an idle machine; a busy one keeps both processes waiting.
    assert np.abs(log.time_ns - _true_ns(chip, log.serials)).max() < 5_000_000
    # Level, samples and registers ten times a second and the start: some 350. A busy machine has the reader ask again
    # for what took too long; level and sample, for each sample alone, would be two.
    assert machine.ioctls[I2C_RDWR] < 2 * len(log.serials)


@undisturbed
def test_transactions_that_nobody_acknowledges_lose_nothing(tmp_path):
    machine, _ = _machine(tmp_path, nack=0.05)
    with machine:
        ended = _end(machine.start(*_record(seconds=1)))
        log = _read(machine)
    assert ended.code == 0
    assert machine.bus.nacks > 3
    assert log.whole


def _away(machine: I2cMachine, chip: SimulatedChip, from_ns: int, to_ns: int) -> tuple[Event, ...]:
    return (from_ns, lambda: chip.power_off(from_ns)), (to_ns, lambda: chip.power_on(to_ns))


def _stuck(machine: I2cMachine, chip: SimulatedChip, from_ns: int, to_ns: int) -> tuple[Event, ...]:
    return ((from_ns, lambda: setattr(machine.bus, "stuck_until_ns", to_ns)),)


@pytest.mark.parametrize("fault", [_away, _stuck])
@undisturbed
def test_half_a_second_without_the_chip_is_one_gap(tmp_path, fault):
    machine, chip = _machine(tmp_path)
    with machine:
        process = machine.start(*_record())
        _until_logged(machine, process)
        off_ns = time.monotonic_ns()
        back_ns = off_ns + NS_PER_S // 2
        machine.inject(Faults(events=fault(machine, chip, off_ns, back_ns)))
        _until(lambda: time.monotonic_ns() > back_ns, process)
        _until_logged(machine, process)
        process.send_signal(signal.SIGINT)
        ended = _end(process)
        log = _read(machine)
    assert ended.code == 0
    assert not log.wrong.any()
    (row,) = log.gaps
    assert (np.diff(np.delete(log.serials, row)[:row]) == 1).all() and (np.diff(log.serials[row:]) == 1).all()
    missing_s = (log.time_ns[row] - log.time_ns[row - 1]) / 1e9
    assert missing_s >= 0.45
    assert _counted(ended, "gaps") == _counted(ended, "recoveries") == 1
    assert abs(_counted(ended, "samples lost") - (missing_s * RATE_HZ - 1)) < 2
    late_ns = log.time_ns[row] - (time.time_ns() - time.monotonic_ns()) - back_ns
    # 0.1 s on an idle machine, 0.35 on one with a load of 15; test_every_chip has the limits, on a virtual clock.
    assert -NS_PER_S // 20 < late_ns < NS_PER_S


@undisturbed
def test_a_chip_that_does_not_come_back_is_not_waited_for(tmp_path):
    machine, chip = _machine(tmp_path)
    with machine:
        process = machine.start(*_record(seconds=4))
        _until_logged(machine, process)
        with machine.lock:
            chip.power_off(time.monotonic_ns())
        ended = _end(process)
        log = _read(machine)
    assert ended.code == 0
    assert re.search(
        r"motionsig: the sensor did not answer any more for the last \d+ s; no samples come: .*; check wiring",
        ended.err,
    )
    assert log.whole


def test_a_chip_that_gives_no_samples_is_a_failure(tmp_path):
    machine, chip = _machine(tmp_path)
    chip.fifo_on = lambda: False
    with machine:
        ended = _end(machine.start(*_record(seconds=0.1)))
    assert ended.code == 1
    assert "motionsig: expected samples, got none; no samples come: lsm6dso on /dev/i2c-1 at 0x6a" in ended.err


def test_the_first_chip_on_the_bus_is_found_and_named(tmp_path):
    machine, _ = _machine(tmp_path, "mpu9250")
    code = """
from motionsig.sensors import open_sensor
with open_sensor() as sensor:
    print(sensor.info.device, any(map(len, sensor)))
"""
    with machine:
        # One after the other: a sensor that is being opened resets its chip under whoever is looking for it.
        listed = _end(machine.start(*_command("sensors", "--json")))
        opened = _end(machine.start("-c", code))
    assert opened == Ended(0, "mpu9250-i2c-1-68 True\n", "")
    assert (listed.code, listed.err) == (0, "")
    (bus,) = json.loads(listed.out)["buses"]
    assert (bus["bus"], bus["clock_hz"]) == ("/dev/i2c-1", 400_000)
    assert [(it["address"], it["chips"][0]["name"]) for it in bus["found"]] == [("0x68", "mpu9250")]


@undisturbed
def test_a_chip_that_gives_one_sample_a_read_is_read_one_by_one(tmp_path):
    machine, _ = _machine(tmp_path, "adxl345")
    with machine:
        ended = _end(machine.start(*_record("adxl345", rate_hz=100, seconds=1)))
        log = _read(machine, "adxl345")
    assert (ended.code, ended.err) == (0, "")
    assert log.whole
    assert machine.ioctls[I2C_RDWR] > len(log.serials) >= 100


def test_smbus2_sees_the_numbers_of_a_real_adapter(tmp_path):
    """The machine is what other tests stand on: its errors are those of the kernel's drivers."""
    machine, _ = _machine(tmp_path, "mpu6500")
    machine.hold(0x69, "inv-mpu6050-i2c")
    code = """
import smbus2
bus = smbus2.SMBus(1)
def number(action):
    try:
        return list(action()) if action.__code__.co_name == "<lambda>" else action()
    except OSError as error:
        return error.errno
read, write = smbus2.i2c_msg.read, smbus2.i2c_msg.write
print(number(lambda: [bus.read_byte_data(0x68, 0x75)]))
print(number(lambda: bus.read_i2c_block_data(0x68, 0x6B, 2)))
print(number(lambda: [bus.write_byte_data(0x68, 0x6B, 0x00), bus.read_word_data(0x68, 0x6A)]))
print(number(lambda: [bus.read_byte_data(0x10, 0)]))
print(number(lambda: [bus.read_byte_data(0x69, 0)]))
print(number(lambda: [bus.i2c_rdwr(*[write(0x68, [0x75])] * 43)]))
print(number(lambda: [bus.i2c_rdwr(write(0x10, [0]), read(0x10, 1))]))
"""
    with machine:
        ended = _end(machine.start("-c", code))
    who = CHIPS["mpu6500"].identity[0x75]
    assert ended.err == ""
    assert ended.out.splitlines() == [
        str([who]),
        "[1, 0]",
        "[None, 0]",
        str(errno.EREMOTEIO),
        str(errno.EBUSY),
        str(errno.EINVAL),
        str(errno.EREMOTEIO),
    ]


@pytest.mark.parametrize("name", ["mpu6500", "icm20948"])
def test_an_address_that_a_driver_holds_is_refused_with_its_name(tmp_path, name):
    machine, _ = _machine(tmp_path, name)
    machine.hold(0x68, "inv-mpu6050-i2c")
    with machine:
        ended = _end(machine.start(*_record(name)))
    assert ended.code == 1
    assert "inv-mpu6050-i2c" in ended.err and "0x68" in ended.err and "iio" in ended.err
    assert len(ended.err.splitlines()) == 1
    assert 0x68 not in machine.asked


def test_an_address_that_sysfs_does_not_show_is_held_if_the_kernel_says_so(tmp_path):
    machine, _ = _machine(tmp_path, "mpu6500")
    machine.hold_unnamed(0x68)
    with machine:
        ended = _end(machine.start(*_record("mpu6500")))
    assert ended.code == 1 and "driver of unknown name" in ended.err
    assert 0x68 not in machine.asked


def test_an_adapter_for_smbus_alone_is_named_as_that(tmp_path):
    # Of an I801 (drivers/i2c/busses/i2c-i801.c, i801_func): quick, bytes, words, blocks; no I2C.
    machine, _ = _machine(tmp_path, functions=0x0F7F0000)
    (machine.root / "sys/class/i2c-adapter/i2c-1/name").write_text("SMBus I801 adapter at efa0\n")
    with machine:
        found = _end(machine.start(*_command("record", "--sensor", "auto", "--out", "log.msig")))
        asked = _end(machine.start(*_record()))
    for ended in (found, asked):
        assert ended.code == 1 and len(ended.err.splitlines()) == 1
        assert "/dev/i2c-1 (SMBus I801 adapter at efa0): expected an adapter that takes whole I2C" in ended.err
    assert not machine.ioctls[I2C_RDWR]


@undisturbed
def test_the_second_process_is_refused_in_a_line_and_the_first_loses_nothing(tmp_path):
    # A chip with banks: whoever asked it while another bank is selected would be misled, or would mislead its reader.
    machine, _ = _machine(tmp_path, "icm20948")
    with machine:
        # At this rate its FIFO holds .6 s: a busy machine loses nothing, either.
        first = machine.start(*_record("icm20948", rate_hz=50))
        _until_logged(machine, first)
        holder = f"held by process {first.pid} (motionsig.cli record)"
        options = ("--sensor", "icm20948", "--bus", 1, "--rate-hz", 500, "--seconds", 1, "--out", "second.msig")
        second, tested = (
            machine.start(*_command(*words)) for words in (("record", *options), ("sensors", "--self-test"))
        )
        second, tested = _end(second), _end(tested)
        _until_logged(machine, first)
        first.send_signal(signal.SIGINT)
        ended = _end(first)
        log = _read(machine, "icm20948")
    assert second.code == 1 and holder in second.err and len(second.err.splitlines()) == 1
    assert not (tmp_path / "second.msig").exists()
    assert holder in tested.out and "self-test acc" not in tested.out
    # A machine that stands still for longer than its FIFO holds loses samples, whoever else is there.
    is_late = "before it was read" in ended.err
    assert ended.code == 0 and (is_late or "0 samples lost; 0 overflows, 0 discards" in ended.out)
    assert "0 discards, 0 dead and 0 garbled samples left out" in ended.out and not log.wrong.any()
    assert (is_late or log.whole) and len(log.serials) > 50


def test_a_bus_too_slow_for_the_rate_is_refused_with_the_arithmetic(tmp_path):
    machine, chip = _machine(tmp_path, "mpu6500", clock_hz=100_000)
    with machine:
        ended = _end(machine.start(*_record("mpu6500", rate_hz=1000)))
    assert ended.code == 2
    assert "1000 x 14 bytes of 9 bits" in ended.err and "of 100,000 bits" in ended.err
    assert re.search(r"rate_hz=\d+ fits", ended.err)
    assert not (tmp_path / "log.msig").exists()
    assert not chip.fifo_on()


def test_no_sensor_is_one_sentence(tmp_path):
    clock = SystemClock()
    with I2cMachine(SimulatedBus([], clock=clock), tmp_path) as machine:
        ended = _end(machine.start(*_record("auto")))
    assert ended.code == 1
    assert re.fullmatch(r"motionsig: sensor 'auto': expected .* got nothing there; .*\n", ended.err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@undisturbed
def test_a_record_that_is_told_to_end_leaves_a_whole_log(tmp_path, number):
    machine, chip = _machine(tmp_path)
    with machine:
        process = machine.start(*_record())
        _until_logged(machine, process)
        process.send_signal(number)
        ended = _end(process)
        log = _read(machine)
    assert (ended.code, ended.err) == (0, "")
    assert log.whole
    assert _counted(ended, "samples") == len(log.serials) >= int(RATE_HZ)
    # Nobody is left to read the chip.
    assert not chip.fifo_on()


@undisturbed
def test_a_record_that_is_killed_leaves_a_readable_log(tmp_path):
    machine, _ = _machine(tmp_path)
    with machine:
        process = machine.start(*_record())
        _until_logged(machine, process)
        process.kill()
        ended = _end(process)
        log = _read(machine)
        # And the chip, still running, is taken over as it is.
        (machine.folder / "log.msig").unlink()
        again = _end(machine.start(*_record(seconds=0.3)))
        assert _read(machine).whole
    assert ended.code == -signal.SIGKILL
    assert again.code == 0
    assert log.whole
    assert len(log.serials) >= int(RATE_HZ)


_LIVE = """
import sys
from motionsig import open_encoder, open_sink, run, signature_stream_id
from motionsig.recordings.native import Recorder
from motionsig.sensors import open_sensor

class Recorded:
    def __init__(self, sensor, log, seconds):
        self.sensor, self.log, self.seconds, self.rate_hz = sensor, log, seconds, sensor.rate_hz
    def __iter__(self):
        samples = 0
        for block in self.sensor:
            self.log.write(block)
            yield block
            samples += len(block)
            if samples > self.seconds * self.rate_hz:
                return

encoder = open_encoder()
with open_sensor("lsm6dso", bus=1, rate_hz=208) as sensor:
    info = sensor.info
    stream_id = signature_stream_id(info.stream_id, encoder.card, HOP)
    with (
        Recorder(
            "log.msig", rate_hz=sensor.rate_hz, stream_id=info.stream_id, scale=info.scale, device=info.device
        ) as log,
        open_sink("file:live.cbor", device=info.device, stream_id=stream_id) as sink,
    ):
        run(Recorded(sensor, log, 2.8), encoder, sink, hop=HOP)
print(stream_id)
"""


def test_a_live_run_replayed_gives_the_same_signatures(tmp_path):
    hop = 5
    machine, _ = _machine(tmp_path, feels=walking, nack=0.02)
    with machine:
        ended = _end(machine.start("-c", _LIVE.replace("HOP", str(hop))))
    assert ended.code == 0, ended.err
    assert (
        main(["replay", str(tmp_path / "log.msig"), "--to", f"file:{tmp_path}/replayed.cbor", "--hop", str(hop)]) == 0
    )
    live, replayed = (
        read_signatures(f"file:{tmp_path}/{name}.cbor", device="lsm6dso-i2c-1-6a", stream_id=int(ended.out))
        for name in ("live", "replayed")
    )
    assert len(live) >= 3
    assert live.codes.any()
    assert live.codes.tobytes() == replayed.codes.tobytes()
    assert live.start_ns.tobytes() == replayed.start_ns.tobytes()
    assert live.quality.tobytes() == replayed.quality.tobytes()

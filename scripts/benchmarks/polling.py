"""Reading a sensor's FIFO against asking for each sample, as the common libraries do: what either costs and misses.

Real processes with the real smbus2 read the model of an MPU-6500, whose clock is one per cent fast, at 100 Hz and at
1 kHz, both ways in the same run. The common way is one `read_i2c_block_data` of 14 bytes per sample, a time stamp, and
a sleep to the next period; it is given nothing else to do, not even the conversion to m/s² and rad/s that motionsig's
figures hold. Their libraries report no loss; what motionsig reports stands beside what was missed.

The bus is umockdev's (tests/sensors/i2c_machine.py), and that costs: its preload library sends each ioctl to another
process and serves that one's accesses to memory, all in the time of the process that is measured. So the processor's
time is also given "outside" of the ioctls: what Python costs, with 1 or 2 us an ioctl for measuring it. On a real
machine the kernel's own time for a transaction comes to that. An ioctl also takes time, about what 14 bytes take on a
wire at 400 kHz; so only what a transaction takes longer than that is waited for. The last rows name both, from loops
that do nothing else. A machine that has other work makes both ways miss more, and each ioctl dearer. About a minute.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
# The chips' models and the machine with a bus, which the tests use.
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / part) for part in ("", "sensors"))]

from chips.trial import Coded  # noqa: E402
from i2c_machine import I2C_RDWR, I2C_SMBUS, I2cMachine  # noqa: E402

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY  # noqa: E402
from motionsig.sensors.clock import SystemClock  # noqa: E402
from motionsig.sensors.simulated import (  # noqa: E402
    Oscillator,
    SimulatedBus,
    SimulatedChip,
    simulated_chip,
)
from scripts.benchmarks import figures  # noqa: E402

SIGNAL = Coded(8, 1000)
ADDRESS, DATA = 0x68, 0x3B
SECONDS = 6.0
MODEL = "a model of an MPU-6500, real smbus2 on umockdev's bus"

EMULATION_S = 0.4e-3
"""What umockdev takes for a transaction, about. The wire takes 0.39 ms for 14 bytes."""


class WireClock(SystemClock):
    """The bus's clock: what the emulation takes is not waited for once more."""

    def sleep(self, seconds: float) -> None:
        if seconds > EMULATION_S:
            super().sleep(seconds - EMULATION_S)


def spent_s() -> float:
    """Return the processor's time of this process so far."""
    use = resource.getrusage(resource.RUSAGE_SELF)
    return use.ru_utime + use.ru_stime


class Meter:
    """Counts smbus2's ioctls and the processor's time in them, and all that this process spends, from `begin` on."""

    def __init__(self) -> None:
        # Its ioctl is none of the names that smbus2's type stubs know.
        library: Any = importlib.import_module("smbus2.smbus2")
        self._ioctl = library.ioctl
        library.ioctl = self._measured
        self.begin()

    def begin(self) -> None:
        self.ioctls = 0
        self.inside_s = 0.0
        self._before_s = spent_s()

    def figures(self) -> dict[str, Any]:
        """Return what `Figures` are made of, so far."""
        return {"ioctls": self.ioctls, "inside_s": self.inside_s, "spent_s": spent_s() - self._before_s}

    def _measured(self, *arguments: Any) -> Any:
        before_s = time.thread_time()
        try:
            return self._ioctl(*arguments)
        finally:
            self.inside_s += time.thread_time() - before_s
            self.ioctls += 1


def fifo(rate_hz: float, out: str) -> None:
    """Read with motionsig for SECONDS after the first block."""
    from motionsig.sensors import open_sensor

    meter, blocks = Meter(), []
    with open_sensor("mpu6500", bus=1, rate_hz=rate_hz, calibration="none") as sensor:
        stream = iter(sensor)
        while not len(next(stream)):
            pass
        lost, end = sensor.counts.lost, time.monotonic() + SECONDS
        meter.begin()
        while time.monotonic() < end:
            blocks.append(next(stream))
        figures = meter.figures()
        lost = sensor.counts.lost - lost
        offset_ns = sensor.unix_offset_ns
    data = np.concatenate([block.data for block in blocks])
    time_ns = np.concatenate([block.time_ns for block in blocks]) - offset_ns
    np.savez(out, data=data, time_ns=time_ns, reported=lost, **figures)


def polling(rate_hz: float, out: str) -> None:
    """Ask for each sample."""
    import smbus2

    meter, bus = Meter(), smbus2.SMBus(1)
    # Awake, its own rate as wanted, the widest filter that goes with it, 1000 deg/s, 8 g.
    for register, value in ((0x6B, 0x01), (0x19, round(1000 / rate_hz) - 1), (0x1A, 0x01), (0x1B, 0x10), (0x1C, 0x10)):
        bus.write_byte_data(ADDRESS, register, value)
    time.sleep(0.1)
    samples, stamps = [], []
    due = time.monotonic()
    end = due + SECONDS
    meter.begin()
    while due < end:
        samples.append(bus.read_i2c_block_data(ADDRESS, DATA, 14))
        now = time.monotonic()
        stamps.append(now)
        due = max(due + 1 / rate_hz, now)
        time.sleep(due - now)
    figures = meter.figures()
    counts = np.frombuffer(b"".join(map(bytes, samples)), ">i2").reshape(-1, 7)[:, [0, 1, 2, 4, 5, 6]]
    scale = np.repeat([STANDARD_GRAVITY / 4096, np.pi / 180 / 32.8], 3)
    time_ns = np.rint(np.array(stamps) * NS_PER_S).astype(np.int64)
    np.savez(out, data=(counts * scale).astype(np.float32), time_ns=time_ns, reported=0, **figures)


def empty(count: float, out: str) -> None:
    """Do ioctls and nothing else: an empty one, a read as motionsig's, one as the common way's."""
    from fcntl import ioctl

    import smbus2

    # Its stubs type the messages of a transfer as lists of messages.
    library: Any = importlib.import_module("smbus2.smbus2")
    bus = smbus2.SMBus(1)
    bus.write_byte_data(ADDRESS, 0x6B, 0x01)
    read = smbus2.i2c_msg.read(ADDRESS, 14)
    transfer = library.i2c_rdwr_ioctl_data.create(smbus2.i2c_msg.write(ADDRESS, (DATA,)), read)
    block = library.i2c_smbus_ioctl_data.create(read_write=1, command=DATA, size=8)
    block.data.contents.byte = 14
    requests: dict[str, tuple[int, Any]] = {
        "empty": (0x0703, ADDRESS),
        "I2C_RDWR": (I2C_RDWR, transfer),
        "I2C_SMBUS": (I2C_SMBUS, block),
    }
    costs = {}
    assert bus.fd is not None
    for name, (request, argument) in requests.items():
        began, before_s = time.monotonic(), spent_s()
        for _ in range(int(count)):
            ioctl(bus.fd, request, argument)
        costs[name] = (spent_s() - before_s) / count, (time.monotonic() - began) / count
    Path(out).write_text(json.dumps(costs))


@dataclass(frozen=True)
class Figures:
    """Of one way at one rate, per sample: ioctls, the processor's time, and that outside of ioctls.

    missed, reported, doubled: shares of the samples that the chip took. error_s: of the time stamps, rms.
    """

    ioctls: float
    spent_s: float
    outside_s: float
    missed: float
    reported: float
    doubled: float
    error_s: float


def measure(way: str, rate_hz: float, folder: Path) -> Figures:
    """Let a process read for a while; return what that cost and brought."""
    machine, chip = _machine(folder)
    with machine:
        _end(machine.start(__file__, "--measure", way, str(rate_hz), f"{way}.npz"))
    with np.load(folder / f"{way}.npz") as file:
        found = dict(file)
    serials, wrong = SIGNAL.serials(found["data"])
    if wrong.any():
        raise SystemExit(f"{way}: {int(wrong.sum())} of {len(wrong)} samples are not what the chip felt")
    samples, different = len(serials), len(np.unique(serials))
    taken = int(serials[-1] - serials[0]) + 1
    return Figures(
        ioctls=float(found["ioctls"]) / samples,
        spent_s=float(found["spent_s"]) / samples,
        outside_s=float(found["spent_s"] - found["inside_s"]) / samples,
        missed=1 - different / taken,
        reported=float(found["reported"]) / taken,
        doubled=(samples - different) / taken,
        error_s=_rms_s(found["time_ns"] - chip.times_ns(serials)),
    )


def _rms_s(error_ns: NDArray[np.int64]) -> float:
    return float(np.sqrt((error_ns.astype(np.float64) ** 2).mean()) / 1e9)


def _machine(folder: Path) -> tuple[I2cMachine, SimulatedChip]:
    clock = SystemClock()
    chip = simulated_chip("mpu6500", clock=clock, signal=SIGNAL, oscillator=Oscillator(skew=0.01))
    return I2cMachine(SimulatedBus([chip], clock=WireClock()), folder), chip


WAYS = {"fifo": fifo, "polling": polling, "empty": empty}


def _end(process: subprocess.Popen[str]) -> None:
    _, err = process.communicate()
    if process.returncode:
        raise SystemExit(err)


def main() -> None:
    """Print the table."""
    began_s = figures.begin("polling")
    samples, ioctls = dict[str, figures.Row](), dict[str, figures.Row]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        heads = ("ioctls", "us CPU", "outside", "missed", "reported", "doubled", "time, rms")
        print(f"  {'a sample':17s}{''.join(f'{head:>10s}' for head in heads)}")
        for rate_hz in (100.0, 1000.0):
            for way in ("fifo", "polling"):
                it = measure(way, rate_hz, folder)
                print(
                    f"  {way:8s}{rate_hz:6.0f} Hz{it.ioctls:10.2f}{1e6 * it.spent_s:10.1f}{1e6 * it.outside_s:10.1f}"
                    f"{it.missed:10.2%}{it.reported:10.2%}{it.doubled:10.2%}{1e3 * it.error_s:7.2f} ms",
                    flush=True,
                )
                samples[f"{'motionsig' if way == 'fifo' else way}, {rate_hz:.0f} Hz"] = {
                    "ioctls": it.ioctls,
                    "spent": 1e6 * it.spent_s,
                    "outside": 1e6 * it.outside_s,
                    "missed": 100 * it.missed,
                    "reported": 100 * it.reported,
                    "doubled": 100 * it.doubled,
                    "rms": 1e3 * it.error_s,
                    "on": MODEL,
                }
        machine, _ = _machine(folder)
        with machine:
            _end(machine.start(__file__, "--measure", "empty", "300", "costs.json"))
        for what, (spent, took) in json.loads((folder / "costs.json").read_text()).items():
            print(f"  one ioctl under umockdev, {what:9s}{1e6 * spent:7.1f} us CPU, {1e3 * took:.2f} ms")
            ioctls[what] = {"spent": 1e6 * spent, "took": 1e3 * took, "on": "umockdev's bus"}
    share = dict.fromkeys(("missed", "reported", "doubled"), "%")
    per_sample = figures.Table(
        what=f"what a sample costs and how well it is read, over {SECONDS:g} s",
        against="asking for each sample with smbus2's read_i2c_block_data, as the common libraries do, in the same run",
        units={"ioctls": "", "spent": "µs", "outside": "µs", "rms": "ms"} | share,
        rows=samples,
    )
    per_ioctl = figures.Table(
        what="the processor's time and the whole time of one ioctl",
        against="an ioctl that does nothing",
        units={"spent": "µs", "took": "ms"},
        rows=ioctls,
    )
    figures.write("polling", {"samples": per_sample, "ioctls": per_ioctl}, began_s=began_s)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        WAYS[sys.argv[2]](float(sys.argv[3]), sys.argv[4])
    else:
        argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
        main()

"""What runs in the guest: the real kernel's IIO, read by our code as it is. One line of JSON at the end of it all.

The feeder numbers its samples, so which ones arrived is known to the sample, and when each was sent to the microsecond.
"""

import errno
import fcntl
import json
import logging
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from cp2112 import Cp2112
from hid_sensor import NUMBERS, accel, number
from smbus2 import SMBus

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import SensorError
from motionsig.sensors import open_sensor, scan
from motionsig.sensors.bus import BusError, I2cBus, holder
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.iio import list_iio, open_iio
from motionsig.sensors.iio.device import read
from motionsig.sensors.owner import own
from motionsig.sensors.simulated import SimulatedBus, simulated_chip

HERE = Path(__file__).resolve().parent
BUS, ADAPTERS = Path("/sys/bus/iio/devices"), Path("/sys/bus/i2c/devices")
ACC_SCALE = STANDARD_GRAVITY / 1000
GYR_SCALE = np.pi / 180 / 100


class Feeder:
    def __init__(self, *names):
        self.path = Path(f"/run/sent-{'-'.join(names)}")
        command = [sys.executable, str(HERE / "hid_sensor.py"), str(self.path), *names]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, bufsize=1)
        self.wait(len(names))

    def wait(self, count):
        deadline = time.monotonic() + 20
        while len(list(BUS.glob("iio:device*/buffer"))) != count or len(list(Path("/dev").glob("iio:*"))) != count:
            if time.monotonic() > deadline:
                raise SystemExit(f"the kernel shows {list(BUS.iterdir())}")
            time.sleep(0.05)

    def tell(self, command):
        self.process.stdin.write(f"{command}\n")

    def sent_ns(self):
        return dict(tuple(int(word) for word in line.split()) for line in self.path.read_text().splitlines())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Taken:
    """What a source gave: blocks until there are `count` samples more, their numbers and times."""

    def __init__(self, source):
        self.source, self.stream = source, iter(source)
        self.blocks = []

    def more(self, count):
        got = 0
        while got < count:
            block = next(self.stream)
            self.blocks.append(block)
            got += len(block)
        return self

    def until_empty(self):
        while not self.blocks or len(self.blocks[-1]):
            self.blocks.append(next(self.stream))

    @property
    def data(self):
        return np.concatenate([block.data for block in self.blocks])

    @property
    def numbers(self):
        x, y = np.rint(self.data[:, :2] / ACC_SCALE).astype(int).T
        return number(x, y)

    @property
    def times(self):
        return np.concatenate([block.time_ns for block in self.blocks]) - self.source.unix_offset_ns

    def facts(self, sent_ns):
        numbers, times = self.numbers, self.times
        after_ms = (times - np.array([sent_ns[number] for number in numbers.tolist()])) / 1e6
        return {
            "samples": len(numbers),
            "missing": int((np.diff(numbers) - 1).sum()),
            "steps_back": int((np.diff(numbers) < 1).sum()),
            "lost": self.source.counts.lost,
            "gaps": self.source.counts.gaps,
            "gap_blocks": sum(block.gap for block in self.blocks),
            "empty_blocks": sum(not len(block) for block in self.blocks),
            "overflows": self.source.counts.overflows,
            "recoveries": self.source.counts.recoveries,
            "discards": self.source.counts.discards,
            "after_sent_ms": [round(float(value), 3) for value in np.percentile(after_ms, [0, 50, 99, 100])],
            "true_rate_hz": self.source.true_rate_hz,
        }


def settings(device):
    # What is read anew each time is no setting.
    names = ("buffer/enable", "buffer/length", "buffer/watermark", "current_timestamp_clock", "trigger/current_trigger")
    paths = [device / name for name in names] + [*device.glob("scan_elements/*_en"), *device.glob("*sampling_freq*y")]
    return {str(path.relative_to(device)): read(path) for path in paths}


def one_device():
    feeder = Feeder("accel")
    device = BUS / "iio:device0"
    before = settings(device)
    # As a process that was killed leaves it; the kernel refuses all changes then.
    (device / "scan_elements/in_accel_x_en").write_text("1")
    (device / "buffer/enable").write_text("1")
    listing = [vars(sensor) for sensor in list_iio()]
    facts = {"listing": listing, "before": before}
    with open_iio("accel_3d", rate_hz=100, calibration="none") as source:
        facts |= {"rate_hz": source.rate_hz, "format": source.info.format, "polled": source.polled}
        facts["type"] = (device / "scan_elements/in_accel_x_type").read_text().strip()
        facts["during"] = settings(device)
        try:
            open_iio("accel_3d")
        except SensorError as error:
            facts["second"] = str(error)
        taken = Taken(source).more(300)
        facts["steady"] = taken.facts(feeder.sent_ns())
        expected = np.stack(accel(taken.numbers), 1) * ACC_SCALE
        facts["worst_acc"] = float(np.abs(taken.data[:, :3] - expected).max())
        facts["gyr_nan"] = bool(np.isnan(taken.data[:, 3:]).all())

        # A full fifo: asleep for longer than it holds.
        time.sleep(float(facts["during"]["buffer/length"]) / 100 + 1.5)
        facts["full"] = taken.more(400).facts(feeder.sent_ns())

        # The cable is pulled and put back.
        feeder.tell("pull")
        taken.until_empty()
        facts["while_away"] = [path.name for path in BUS.glob("iio:device*")]
        began = time.monotonic()
        feeder.tell("plug")
        facts["back"] = taken.more(100).facts(feeder.sent_ns())
        facts["back_s"] = time.monotonic() - began
    facts["after"] = settings(device)
    feeder.close()
    return facts


def two_devices():
    feeder = Feeder("accel", "gyro")
    facts = {"listing": [vars(sensor) for sensor in list_iio()]}
    with open_iio(rate_hz=100, calibration="none") as source:
        taken = Taken(source).more(300)
        facts["name"] = source.info.name
        facts |= taken.facts(feeder.sent_ns())
        x, _, z = taken.data[:, 3:].T / GYR_SCALE
        facts["gyr_behind"] = [round(float(value), 3) for value in np.percentile(x - taken.numbers, [0, 50, 100])]
        facts["gyr_z"] = float(np.abs(z - (x - NUMBERS // 2)).max()) * GYR_SCALE
    feeder.close()
    return facts


CHIPS = {
    "lsm6dsox": (0x6A, {0x0F: 0x6C}, {0x2C: 4096, 0x22: -1000}),
    "bmi160": (0x68, {0x00: 0xD1}, {0x16: 8192, 0x0C: -1000}),
    # Bit 7 of the address: several registers at once (LIS3DH data sheet DocID17530, 6.1.1).
    "lis3dh": (0x19, {0x0F: 0x33}, {0xAC: 16384}),
}
"""Address, identity, output registers: z of the accelerometer and x of the gyroscope."""


def chips():
    """The kernel's own drivers on registers without a chip: what they list, what is set, what comes out."""
    facts, number = {}, adapter("stub")
    folder = ADAPTERS / f"i2c-{number}"
    with SMBus(number) as bus:
        for name, (address, identity, outputs) in CHIPS.items():
            for register, value in identity.items():
                bus.write_byte_data(address, register, value)
            (folder / "new_device").write_text(f"{name} {address:#x}")
            deadline = time.monotonic() + 10
            while not list_iio() and time.monotonic() < deadline:
                time.sleep(0.05)
            for register, value in outputs.items():
                bus.write_i2c_block_data(address, register, list((value & 0xFFFF).to_bytes(2, "little")))
            (sensor,) = list_iio()
            with open_iio(rate_hz=100, calibration="none") as source:
                taken = Taken(source).more(4)
                facts[name] = vars(sensor) | {"format": source.info.format, "rate_hz": source.rate_hz}
                facts[name] |= {"z": float(taken.data[0, 2]), "gyr_x": float(taken.data[0, 3])}
            (folder / "delete_device").write_text(f"{address:#x}")
    return facts


def wait_for(what, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not (found := what()):
        if time.monotonic() > deadline:
            raise SystemExit(f"the kernel shows {sorted(path.name for path in ADAPTERS.iterdir())}")
        time.sleep(0.05)
    return found


def adapter(word):
    """Return the number of the adapter whose name has a word in it, None where there is none."""
    found = (path for path in ADAPTERS.glob("i2c-*") if word in (read(path / "name") or ""))
    return next((int(path.name.removeprefix("i2c-")) for path in found), None)


def refusal(**options):
    """Return why motionsig does not open a sensor."""
    try:
        open_sensor(**options).close()
    except SensorError as error:
        return str(error)
    return "opened"


def kernel_says_held(number, address):
    with SMBus(number) as bus:
        try:
            fcntl.ioctl(bus.fd, 0x0703, address)
        except OSError as error:
            return errno.errorcode[error.errno]
    return "free"


def buses():
    """A real adapter for I2C, a chip behind its own driver and multiplexer, and the lock on the real node."""
    clock = SystemClock()
    facts = {"smbus_alone": refusal(bus=adapter("stub"))}
    with Cp2112(SimulatedBus([simulated_chip("mpu6050", clock=clock)], clock=clock)) as bridge:
        number = wait_for(lambda: adapter("CP2112"))
        path = ADAPTERS / f"i2c-{number}"
        wait_for(lambda: Path(f"/dev/i2c-{number}").exists())
        channel = wait_for(lambda: probed(path, number))
        wait_for(lambda: Path(f"/dev/i2c-{channel}").exists() and list_iio())
        names = {"above": number, "channel": channel}
        places = [(name, address) for name in names for address in (0x68, 0x69)]
        facts["held"] = [(*place, holder(f"/dev/i2c-{names[place[0]]}", place[1])) for place in places]
        facts["kernel"] = [(*place, kernel_says_held(names[place[0]], place[1])) for place in places]
        bridge.asked = set()
        facts["refused"] = {name: refusal(name="mpu6050", bus=bus) for name, bus in names.items()}
        facts["asked"] = sorted(bridge.asked)
        (path / "delete_device").write_text("0x68")
        facts["channel_after"] = adapter(f"i2c-{number}-mux")
        with I2cBus(number) as bus:
            facts["free"] = wait_for(lambda: answering(bus))
            with own(bus, 0x68):
                command = [sys.executable, "-c", SECOND.format(number)]
                facts["second"] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            facts["twice"] = [refusal_to_own(bus, address) for address in (0x68, 0x69)]
    return facts


SECOND = """
from motionsig.sensors.bus import I2cBus
from motionsig.sensors.owner import own
try:
    own(I2cBus({}), 0x68)
except OSError as error:
    print(error)
"""


def probed(path, number):
    """Let the kernel's driver take the chip; return the number of its channel. The CP2112's driver waits for 50 ms."""
    (path / "new_device").write_text("mpu6050 0x68")
    found = adapter(f"i2c-{number}-mux")
    if found is None:
        # On a busy machine that was too short.
        (path / "delete_device").write_text("0x68")
    return found


def answering(bus):
    try:
        return [str(found) for found in scan(bus)]
    except BusError:
        return []


def refusal_to_own(bus, address):
    """Return who else owns a chip, by the lock alone: nobody is asked on the bus."""
    with own(bus, 0x68):
        try:
            own(bus, address).close()
        except SensorError as error:
            return str(error)
    return "free"


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    results = {
        "numpy_s": time.monotonic(),
        "one": one_device(),
        "two": two_devices(),
        "chips": chips(),
        "chips_s": time.monotonic(),
        "buses": buses(),
        "end_s": time.monotonic(),
    }
    print("RESULTS " + json.dumps(results), flush=True)

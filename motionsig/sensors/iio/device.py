"""An IIO device in sysfs: what it has, what it can do, and how it is set up so that all can be undone.

Attributes: Documentation/ABI/testing/sysfs-bus-iio. `buffer` and `scan_elements` are marked obsolete since Linux 5.11,
but every kernel has them, and the hardware FIFO's attributes are nowhere else.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.locks import descriptors
from motionsig.sensors.iio.channels import Channel, parse_type

log = own_logger(__name__)

ACCEL, GYRO = "accel", "anglvel"
_AXES = "xyz"

UNITS = {ACCEL: (STANDARD_GRAVITY, "g"), GYRO: (math.pi / 180, "dps")}
"""SI units in the unit that ranges are given in, and its name."""
_ROUNDING = 0.97
"""This part of a range is enough: 8 g are 7.995 g on an LSM6DSOX, and drivers cut scales to six decimals."""
_UNKNOWN_BITS = 16
"""Assumed of counts whose driver has no buffer, and so tells their bits nowhere."""


@dataclass(frozen=True)
class Device:
    """One /sys/bus/iio/devices/iio:deviceN, and its node."""

    path: Path
    node: Path
    name: str

    @property
    def driver(self) -> str:
        """The driver's name; the device's own where sysfs does not tell."""
        link = self.path.resolve().parent / "driver"
        return link.resolve().name if link.exists() else self.name

    @property
    def number(self) -> str:
        return self.path.name.removeprefix("iio:device")

    def read(self, attribute: str) -> str | None:
        """Return an attribute's text, None where there is none or the driver does not tell."""
        return read(self.path / attribute)

    def find(self, kind: str, what: str) -> Path | None:
        """Return the attribute of a kind of channel: its axes' own, the kind's, all inputs', or the device's."""
        names = (f"in_{kind}_x_{what}", f"in_{kind}_{what}", f"in_{what}", what)
        return next((self.path / name for name in names if (self.path / name).exists()), None)

    def has(self, kind: str) -> bool:
        return (self.path / f"in_{kind}_x_raw").exists() or (self.path / f"scan_elements/in_{kind}_x_en").exists()

    def listed(self, kind: str, what: str) -> str | None:
        """Return the values that an attribute can have; axes with an attribute each may share the list (st_accel)."""
        path = self.find(kind, f"{what}_available")
        return read(path) if path else None

    def full_scale(self, kind: str, scale: float) -> float:
        """Return the range, in g or degrees per second, that a scale goes with."""
        # The type of the kind's first axis: its own attribute, or the one that all its axes share.
        texts = (self.read(f"scan_elements/in_{kind}{axis}_type") for axis in ("_x", ""))
        text = next(filter(None, texts), None)
        where = f"{self.path}/scan_elements/in_{kind}_x_type"
        bits = parse_type(text, where).bits if text else _UNKNOWN_BITS
        return float(scale * 2 ** (bits - 1) / UNITS[kind][0])

    def axis_values(self, kind: str, what: str, default: float) -> NDArray[np.float64]:
        """Return one number per axis (3,): its own, the one for all, or the default; raise SensorError."""
        shared = self.find(kind, what)
        own = (self.path / f"in_{kind}_{axis}_{what}" for axis in _AXES)
        paths = [path if path.exists() else shared for path in own]
        return np.array([default if path is None else _number(path) for path in paths])

    def mount_matrix(self, kind: str) -> NDArray[np.float64]:
        """Return the rotation (3, 3) from the chip's axes to the device's that the board's description names."""
        path = self.find(kind, "mount_matrix")
        if path is None:
            return np.eye(3)
        text = read(path)
        try:
            return np.array([[float(word) for word in row.split(",")] for row in (text or "").split(";")]).reshape(3, 3)
        except ValueError as error:
            raise SensorError(f"{path}: expected three rows of three numbers, got {text!r}") from error


def _number(path: Path) -> float:
    text = read(path)
    try:
        return float((text or "").split()[0])
    except (IndexError, ValueError) as error:
        raise SensorError(f"{path}: expected a number, got {text!r}") from error


def read(path: Path) -> str | None:
    """Return what an attribute says; None where it does not exist or cannot be read at present."""
    try:
        # Linux 6.1 ends current_timestamp_clock with a NUL (industrialio-core.c, current_timestamp_clock_show).
        return path.read_text().strip("\0 \n\t")
    except OSError:
        return None


def devices(root: Path) -> list[Device]:
    """Return all IIO devices, by number."""
    paths = (root / "sys/bus/iio/devices").glob("iio:device*")
    found = sorted(paths, key=lambda path: (len(path.name), path.name))
    return [Device(path, root / "dev" / path.name, read(path / "name") or path.name) for path in found]


def partner(device: Device, others: list[Device]) -> Device | None:
    """Return the gyroscope that shares a chip, or at least a hub or a name, with an accelerometer."""
    gyros = [other for other in others if other.has(GYRO) and not other.has(ACCEL)]

    def above(which: Device, levels: int) -> Path:
        return which.path.resolve().parents[levels]

    def stem(which: Device) -> str:
        return which.name.replace("accel", "").replace("gyro", "").replace("anglvel", "")

    # A directory that holds all devices, as in a flat tree, says nothing of one chip.
    flat = above(device, 0) == device.path.parent.resolve()
    # st_lsm6dsx makes two devices of one parent, the HID drivers two whose parents have one parent.
    for level in () if flat else (0, 1):
        near = [gyro for gyro in gyros if above(gyro, level) == above(device, level)]
        if len(near) == 1:
            return near[0]
    alike = [gyro for gyro in gyros if stem(gyro) == stem(device)]
    return alike[0] if len(alike) == 1 else None


def numbers(text: str | None) -> list[float]:
    """Return the values of an `*_available` attribute; of a range `[least step greatest]` only its two ends."""
    text = text or ""
    try:
        values = [float(word) for word in text.strip("[] \n").split()]
    except ValueError:
        return []
    return values[::2] if text.startswith("[") and len(values) == 3 else values


def holders(node: Path) -> Iterator[str]:
    """Yield which processes have a device node open, as far as this one may see."""
    for process, link in descriptors("fd"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(node):
                yield f"{read(Path(f'/proc/{process}/comm')) or 'a process'} (pid {process})"


def refused(error: OSError, path: Path) -> SensorError:
    """Return what the kernel's refusal to open or to set `path` means, and what to do."""
    if error.errno == errno.EBUSY:
        who = ", ".join(holders(path)) if "dev" in path.parts else ""
        advice = f"it is in use by {who or 'another process'}; stop that first (often iio-sensor-proxy)"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = "this user may not; a udev rule for the subsystem iio gives a group the right (motionsig doctor)"
    elif error.errno in (errno.ENODEV, errno.ENOENT, errno.ENXIO):
        advice = "the device is gone; see whether its driver is bound and the sensor answers"
    else:
        advice = "the driver does not take this; dmesg may say why"
    return SensorError(f"{path}: got {error.strerror}: {advice}")


def open_device(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a node or an attribute; raise SensorError if the kernel refuses."""
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError as error:
        raise refused(error, path) from error


def write(path: Path, value: str) -> None:
    """Set an attribute; raise SensorError if the kernel refuses."""
    # Without O_CREAT: an attribute that is not there must not look as if it were.
    file = open_device(path, os.O_WRONLY | os.O_TRUNC)
    try:
        os.write(file, value.encode())
    except OSError as error:
        raise refused(error, path) from error
    finally:
        os.close(file)


class Settings:
    """Attributes that were set, and what they were before: `restore` puts them back, the last one first."""

    def __init__(self) -> None:
        self._before: list[tuple[Path, str]] = []

    def write(self, path: Path, value: str) -> None:
        """Set an attribute; raise SensorError if the kernel refuses."""
        before = read(path)
        if before != value:
            write(path, value)
            self._before += [] if before is None else [(path, before)]

    def try_write(self, path: Path, value: str) -> bool:
        """Set an attribute if there is one and the kernel lets us; return whether it now has the value."""
        if path.exists():
            try:
                self.write(path, value)
            except SensorError as error:
                log.debug("%s", error)
        return read(path) == value

    def restore(self) -> None:
        while self._before:
            path, value = self._before.pop()
            try:
                # The kernel ends no line with nothing in it: an empty write never arrives.
                write(path, value or "\n")
            except SensorError as error:
                log.info("not put back as it was: %s", error)

    def set_rate(self, device: Device, kind: str, rate_hz: float | None, default_hz: float) -> float | None:
        """Set a kind's rate to the least possible one not below the requested one; return it, None if it has none.

        Raises InputError where only lower rates are possible.
        """
        path = device.find(kind, "sampling_frequency")
        if path is None:
            return None
        text = device.listed(kind, "sampling_frequency")
        possible = numbers(text)
        wanted_hz = rate_hz or default_hz
        enough = [rate for rate in possible if rate >= wanted_hz * _ROUNDING]
        if possible and not enough and rate_hz:
            raise InputError(f"rate_hz: expected one of {path}_available, {text}, or a lower rate, got {rate_hz:g}")
        if possible and not (text or "").startswith("["):
            chosen = min(enough) if enough else max(possible)
            # As the driver spells it: some compare text.
            spelt = next(word for word in (text or "").split() if float(word) == chosen)
        else:
            spelt = f"{min(wanted_hz, max(possible)) if possible else wanted_hz:g}"
        if float(read(path) or 0) != float(spelt):
            self.write(path, spelt)
        got = float(read(path) or 0)
        if got <= 0:
            raise SensorError(f"{path}: expected a rate above 0 Hz after setting {spelt}, got {read(path)}")
        return got

    def set_range(self, device: Device, kind: str, wanted: float) -> None:
        """Set a kind's scale to the finest that covers `wanted` g or degrees per second; log where none does."""
        own = [path for axis in _AXES if (path := device.path / f"in_{kind}_{axis}_scale").exists()]
        shared = device.find(kind, "scale")
        text = device.listed(kind, "scale")
        if shared and text:
            words = sorted(text.split(), key=float)
            enough = [word for word in words if device.full_scale(kind, float(word)) >= wanted * _ROUNDING]
            word = enough[0] if enough else words[-1]
            for path in own or [shared]:
                if float(read(path) or 0) != float(word):
                    self.write(path, word)
        got = device.full_scale(kind, float(device.axis_values(kind, "scale", 1.0)[0]))
        if got < wanted * _ROUNDING:
            unit = UNITS[kind][1]
            log.warning("%s: expected a range of %g %s, the driver goes to %.3g", device.name, wanted, unit, got)

    def choose_channels(self, device: Device, kinds: tuple[str, ...]) -> list[Channel]:
        """Switch on the axes of `kinds` and the time stamp in each scan, the rest off; return what then is on."""
        wanted = {f"in_{kind}_{axis}" for kind in kinds for axis in _AXES} | {"in_timestamp"}
        switches = sorted((device.path / "scan_elements").glob("*_en"))
        for switch in switches:
            self.try_write(switch, str(int(switch.name.removesuffix("_en") in wanted)))
        chosen = []
        for switch in switches:
            if read(switch) != "1":
                continue
            name = switch.name.removesuffix("_en")
            own = switch.with_name(f"{name}_type")
            path = own if own.exists() else switch.with_name(f"{name.rsplit('_', 1)[0]}_type")
            index = read(switch.with_name(f"{name}_index"))
            chosen.append(Channel(name, int(index or 0), parse_type(read(path) or "", str(path))))
        missing = wanted - {"in_timestamp"} - {channel.name for channel in chosen}
        if missing:
            raise SensorError(f"{device.path}: expected to switch on {', '.join(sorted(missing))}, the driver refused")
        return chosen

    def set_buffer(self, device: Device, rate_hz: float, watermark_s: float, length_s: float) -> int:
        """Set the kernel's fifo to at least `length_s`, its watermark near `watermark_s`; return the fifo's length."""
        buffer = device.path / "buffer"
        least = max(numbers(read(buffer / "hwfifo_watermark_min")), default=1)
        most = max(numbers(read(buffer / "hwfifo_watermark_max")), default=math.inf)
        watermark = int(max(1, least, min(round(rate_hz * watermark_s), most)))
        # A power of two is what the kernel rounds up to anyway (include/linux/kfifo.h): so "full" is exact.
        length = 1 << math.ceil(math.log2(max(rate_hz * length_s, 2 * watermark, 2)))
        self.try_write(buffer / "length", str(length))
        self.try_write(buffer / "watermark", str(watermark))
        return int(next(iter(numbers(read(buffer / "length"))), length))

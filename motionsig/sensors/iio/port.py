"""One IIO device in use: set up, triggered, read scan by scan, put back as it was."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.iio.channels import ScanType, decode, scan_dtype
from motionsig.sensors.iio.device import Device, Settings, open_device, read, write
from motionsig.sensors.iio.stamps import Stamps, Unstamped
from motionsig.sensors.joining import Samples
from motionsig.sensors.owner import own_device

log = own_logger(__name__)


class NoTriggerError(SensorError):
    """Nothing starts this device's scans, and the kernel makes no timer that would."""


DEFAULT_RATE_HZ = 100.0
WATERMARK_S = 0.1
_LENGTH_S = 2.0
_STAMP = "in_timestamp"

_CLOCK_SLACK_NS = 1_000_000_000
_FUTURE_NS = 10_000_000


@dataclass(frozen=True)
class Request:
    """What a caller asked of a device. ranges: in g and degrees per second, by kind of channel."""

    rate_hz: float | None
    ranges: dict[str, float]


class Conversion:
    """Counts (n, 3 k) of k kinds of channel in m/s² and rad/s, in the frame that the kernel's mount matrix leads to.

    `scale` (3 k,) float32 where every value is an int16 count, of either sign, times it; else None.
    """

    scale: NDArray[np.float32] | None = None

    def __init__(self, device: Device, kinds: tuple[str, ...], types: list[ScanType]) -> None:
        self.columns = 3 * len(kinds)
        self._offset = np.concatenate([device.axis_values(kind, "offset", 0.0) for kind in kinds])
        self._scale = np.concatenate([device.axis_values(kind, "scale", 1.0) for kind in kinds])
        self._matrix = np.zeros((self.columns, self.columns))
        for at, kind in enumerate(kinds):
            block = slice(3 * at, 3 * at + 3)
            self._matrix[block, block] = device.mount_matrix(kind)
        size = np.abs(self._matrix)
        swaps = bool(np.isin(size, (0, 1)).all() and (size.sum(axis=0) == 1).all() and (size.sum(axis=1) == 1).all())
        if swaps and not self._offset.any() and all(kind.kind == "s" and kind.bits <= 16 for kind in types):
            self._order = size.argmax(axis=1)
            self._sign = self._matrix.sum(axis=1).astype(np.int64)
            self.scale = self._scale[self._order].astype(np.float32)

    def __call__(self, counts: NDArray[Any]) -> NDArray[np.float32]:
        if self.scale is not None:
            whole: NDArray[np.float32] = (counts[:, self._order] * self._sign).astype(np.float32)
            return whole * self.scale
        values = (counts + self._offset) * self._scale
        # Not by BLAS, which may round a row differently depending on how many rows there are.
        turned: NDArray[np.float32] = np.einsum("ij,nj->ni", self._matrix, values).astype(np.float32)
        return turned


class Port:
    """A device whose buffer is read. `rate_hz`: as the driver or its trigger states it. `stamps`: what they show."""

    def __init__(self, root: Path, device: Device, kinds: tuple[str, ...], request: Request) -> None:
        """Set the device up without starting it; raise SensorError where the kernel refuses."""
        self.device = device
        self._root = root
        self._settings = Settings()
        self._trigger_folder: Path | None = None
        self._enable = device.path / "buffer/enable"
        self._owned = own_device(device.path, f"iio:{device.name}")
        self.fd = -1
        try:
            self.fd = open_device(device.node, os.O_RDONLY | os.O_NONBLOCK)
            self._set_up(kinds, request)
        except BaseException:
            self.close()
            raise

    def _set_up(self, kinds: tuple[str, ...], request: Request) -> None:
        device, settings = self.device, self._settings
        # Nobody else has the node open, so the process that left the buffer on is dead.
        if read(self._enable) == "1":
            write(self._enable, "0")
        rates = [settings.set_rate(device, kind, request.rate_hz, DEFAULT_RATE_HZ) for kind in kinds]
        for kind in kinds:
            settings.set_range(device, kind, request.ranges[kind])
        self.rate_hz = rates[0] or request.rate_hz or DEFAULT_RATE_HZ
        channels = settings.choose_channels(device, kinds)
        self.length = settings.set_buffer(device, self.rate_hz, WATERMARK_S, _LENGTH_S)
        watermark = float(read(device.path / "buffer/watermark") or 1)
        self.watermark_s = watermark / self.rate_hz
        settings.try_write(device.path / "current_timestamp_clock", "monotonic")
        self.dtype = scan_dtype(channels)
        self._types = types = {channel.name: channel.type for channel in channels}
        self._axes = [(name, types[name]) for kind in kinds for name in (f"in_{kind}_{axis}" for axis in "xyz")]
        self.convert = Conversion(device, kinds, [kind for _, kind in self._axes])
        self.clock = read(device.path / "current_timestamp_clock")
        self._offset_ns = self._clock_offset_ns()
        self._since_ns = 0  # samples still to be read are later, but for those in a hardware FIFO
        self.stamps: Stamps | Unstamped = Stamps(self.rate_hz) if _STAMP in types else Unstamped(self.rate_hz)
        self.full = False
        if not (device.path / "buffer/hwfifo_enabled").exists():
            self._set_trigger()
        # So that a refusal shows now and not at the first sample.
        self.start()
        self.stop()

    def start(self) -> None:
        """Begin to capture; the buffer is empty then. Raises SensorError."""
        try:
            write(self._enable, "1")
        except SensorError as error:
            # Drivers that can do either use their hardware FIFO only without a trigger.
            wants_trigger = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EINVAL
            if not (wants_trigger and self._set_trigger()):
                raise
            write(self._enable, "1")
        self._since_ns = time.monotonic_ns()
        if isinstance(self.stamps, Unstamped):
            self.stamps.begin()

    def stop(self) -> None:
        with contextlib.suppress(SensorError):
            write(self._enable, "0")

    def close(self) -> None:
        """Leave the device as it was found."""
        if self.fd < 0:
            self._owned.close()
            return
        self.stop()
        self._settings.restore()
        if self._trigger_folder:
            with contextlib.suppress(OSError):
                self._trigger_folder.rmdir()
        os.close(self.fd)
        self.fd = -1
        self._owned.close()

    def _clock_offset_ns(self) -> int:
        """Return what turns this device's stamps into CLOCK_MONOTONIC, as far as its clock's name tells."""
        # The coarse ones tick 250 times a second.
        clock = (self.clock or "realtime").removesuffix("_coarse")
        if clock == "monotonic":
            return 0
        log.warning("%s: stamps are on the clock %s, which cannot be set; compared once", self.device.name, clock)
        # By the kernel's names (industrialio-core.c, current_timestamp_clock_show): realtime, monotonic_raw, tai, ...
        number = getattr(time, f"CLOCK_{clock.upper()}", time.CLOCK_REALTIME)
        return time.monotonic_ns() - time.clock_gettime_ns(number)

    def _set_trigger(self) -> bool:
        """Make sure that something starts each scan; return whether a trigger had to be set. Raises SensorError."""
        current = self.device.path / "trigger/current_trigger"
        if not current.exists() or read(current):
            return False
        own = (f"{self.device.name}-dev{self.device.number}", f"{self.device.name}-trigger")
        found = next((name for name in own if self._find_trigger(name)), None) or self._make_trigger()
        self._settings.write(current, found)
        return True

    def _find_trigger(self, name: str) -> Path | None:
        names = (self._root / "sys/bus/iio/devices").glob("trigger*/name")
        return next((path.parent for path in names if read(path) == name), None)

    def _make_trigger(self) -> str:
        """Make a timer of the kernel's (Documentation/iio/iio_configfs.rst); return its name."""
        name = f"motionsig-dev{self.device.number}"
        folder = self._root / "sys/kernel/config/iio/triggers/hrtimer" / name
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise NoTriggerError(
                f"{self.device.path}: expected a trigger, found none, and the kernel makes none ({folder.parent}: "
                f"{error.strerror}); modprobe iio-trig-hrtimer, or wire the sensor's interrupt"
            ) from error
        self._trigger_folder = folder
        trigger = self._find_trigger(name)
        if trigger is None:
            raise SensorError(f"{folder}: expected a trigger of that name to appear, none did")
        write(trigger / "sampling_frequency", f"{self.rate_hz:g}")
        return name

    def drain(self) -> Samples | None:
        """Return what is there, values (n, 3 k), None if nothing is new; raise OSError if the device is gone."""
        before_ns = time.monotonic_ns()
        try:
            # Without blocking, a read empties the hardware FIFO too (industrialio-buffer.c, iio_buffer_ready).
            raw = os.read(self.fd, 2 * self.length * self.dtype.itemsize)
        except BlockingIOError:
            self._since_ns = before_ns
            return None
        if not raw:
            raise OSError(errno.ENODEV, "the device is gone")
        now_ns = time.monotonic_ns()
        scans = np.frombuffer(raw, self.dtype, len(raw) // self.dtype.itemsize)
        values = self.convert(np.stack([decode(scans[name][:, 0], kind) for name, kind in self._axes], axis=1))
        # Not by buffer/data_available: in bytes by its documentation, in scans by kfifo_buf.c.
        self.full = len(scans) >= self.length
        if isinstance(self.stamps, Unstamped):
            return self.stamps.take(values, before_ns, now_ns, full=self.full)
        stamps = decode(scans[_STAMP][:, 0], self._types[_STAMP]).astype(np.int64, copy=False)
        times = self._monotonic(stamps, now_ns)
        self._since_ns = before_ns
        return self.stamps.take(times, values, now_ns)

    def _monotonic(self, stamps: NDArray[np.int64], now_ns: int) -> NDArray[np.int64]:
        """Return stamps on CLOCK_MONOTONIC; compare the clocks anew where these cannot be from since the last read."""
        # Some devices stamp by a clock of their own, and with an old kernel the wall clock may be set.
        newest_ns = int(stamps[-1]) + self._offset_ns
        longest_ns = round(self.length / self.rate_hz * NS_PER_S) + _CLOCK_SLACK_NS
        if not self._since_ns - longest_ns <= newest_ns <= now_ns + _FUTURE_NS:
            off_ns = now_ns - newest_ns
            level = logging.WARNING if abs(off_ns) > _CLOCK_SLACK_NS else logging.DEBUG
            what = "%s: stamps are %.3f s off the clock %s; compared with this machine's anew"
            log.log(level, what, self.device.name, off_ns / NS_PER_S, self.clock)
            self._offset_ns += off_ns
        return np.asarray(stamps + self._offset_ns)

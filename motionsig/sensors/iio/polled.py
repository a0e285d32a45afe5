"""The last resort: a driver's values through sysfs, one attribute after the other.

The axes are taken at different times, a read may wait for a conversion, and nothing tells whether the chip has sampled.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.iio.channels import ScanType
from motionsig.sensors.iio.device import Device, Settings, open_device, refused
from motionsig.sensors.iio.port import DEFAULT_RATE_HZ, WATERMARK_S, Conversion, Request
from motionsig.sensors.iio.stamps import Stamps
from motionsig.sensors.joining import Samples
from motionsig.sensors.owner import own_device

log = own_logger(__name__)

_SHARE = 0.8
"""Of the time between two samples, for reading one."""
_UNKNOWN = ScanType(True, "s", 64, 64, 1, 0)


class PolledPort:
    """One or two devices whose `*_raw` attributes are read at a steady pace; the same calls as `Port`'s."""

    fd = -1
    full = False
    watermark_s = WATERMARK_S

    def __init__(self, parts: list[tuple[Device, tuple[str, ...]]], request: Request) -> None:
        """Set the devices up; raise SensorError where the kernel refuses. parts: each with the kinds to read."""
        self.device = parts[0][0]
        self._settings = Settings()
        self._files: dict[int, Path] = {}
        self.rate_hz = request.rate_hz or DEFAULT_RATE_HZ
        self._conversions = []
        self._owned = ExitStack()
        try:
            for device, kinds in parts:
                self._owned.enter_context(own_device(device.path, f"iio:{device.name}"))
                for kind in kinds:
                    self._settings.set_rate(device, kind, request.rate_hz, DEFAULT_RATE_HZ)
                    self._settings.set_range(device, kind, request.ranges[kind])
                    for axis in "xyz":
                        path = device.path / f"in_{kind}_{axis}_raw"
                        self._files[open_device(path)] = path
                self._conversions.append(Conversion(device, kinds, [_UNKNOWN] * 3 * len(kinds)))
            self._slow_down()
        except BaseException:
            self.close()
            raise
        self.stamps = Stamps(self.rate_hz)
        self._next_ns = 0

    def _slow_down(self) -> None:
        """Keep to a rate at which there is time to read: some drivers wake the chip up anew for each axis."""
        self._sample()
        began_ns = time.monotonic_ns()
        self._sample()
        fastest_hz = _SHARE * NS_PER_S / (time.monotonic_ns() - began_ns)
        if self.rate_hz > fastest_hz:
            log.warning("%s: a sample takes %.3g s to read: %.3g Hz", self.device.name, _SHARE / fastest_hz, fastest_hz)
            self.rate_hz = fastest_hz

    def _sample(self) -> list[int]:
        return [_read(file, path) for file, path in self._files.items()]

    def start(self) -> None:
        self._next_ns = time.monotonic_ns()

    def stop(self) -> None:
        """Nothing runs between two reads."""

    def close(self) -> None:
        for file in self._files:
            os.close(file)
        self._files.clear()
        self._settings.restore()
        self._owned.close()

    def drain(self) -> Samples:
        """Return a tenth of a second of samples, as `Port.drain` does; raise SensorError if a device is gone."""
        times, rows = [], []
        period_ns = NS_PER_S / self.rate_hz
        # Sample by sample, because each one has to be asked for at its own time.
        for _ in range(max(1, round(WATERMARK_S * self.rate_hz))):
            time.sleep(max(0, self._next_ns - time.monotonic_ns()) / NS_PER_S)
            before_ns = time.monotonic_ns()
            rows.append(self._sample())
            times.append((before_ns + time.monotonic_ns()) // 2)
            # Never faster to catch up: what was not sampled in time is lost, and the stamps show it.
            self._next_ns += round(period_ns * max(1, np.ceil((before_ns - self._next_ns) / period_ns)))
        counts = np.array(rows, np.int64)
        parts = np.split(counts, [self._conversions[0].columns], axis=1)
        values = np.hstack([convert(part) for convert, part in zip(self._conversions, parts, strict=False)])
        return self.stamps.take(np.array(times, np.int64), values, time.monotonic_ns())


def _read(file: int, path: Path) -> int:
    try:
        return int(os.pread(file, 32, 0))
    except OSError as error:
        raise refused(error, path) from error
    except ValueError as error:
        raise SensorError(f"{path}: expected a whole number: {error}") from error

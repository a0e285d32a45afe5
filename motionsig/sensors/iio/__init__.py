"""Any motion sensor that the Linux kernel drives, through Industrial I/O: sysfs attributes and a character device.

Not through libiio: its Python binding is a ctypes wrapper around a C library that has to be installed beside it.

Samples come out of the kernel's fifo about ten times a second, stamped by the driver. If the driver has no buffer, or
nothing triggers it, its values are read one by one through sysfs; that costs a thousand times as much, gives worse
times, and is logged as a warning.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.iio.device import ACCEL, GYRO, Device, devices
from motionsig.sensors.iio.finding import IioSensor, find, list_iio
from motionsig.sensors.iio.polled import PolledPort
from motionsig.sensors.iio.port import WATERMARK_S, NoTriggerError, Port, Request
from motionsig.sensors.joining import Joiner, Samples
from motionsig.sensors.live import LiveSource
from motionsig.sensors.living import Rows

log = own_logger(__name__)

_SILENT_S, _SILENT_WATERMARKS = 1.0, 5
"""A device that gives nothing for the longer of these two is set up again."""
_APART_S = 2.0
"""Two devices of whose samples one waits for so long for those of the other are started again."""
_RATE_OFF = 0.2
"""A true rate this far from the stated one is logged."""

__all__ = ["IioSensor", "IioSource", "list_iio", "open_iio"]


def open_iio(
    name: str = "auto",
    *,
    rate_hz: float | None = None,
    accel_range_g: float = 8.0,
    gyro_range_dps: float = 1000.0,
    mount: str | ArrayLike | None = None,
    calibration: Calibration | str | None = None,
    root: str | Path = "/",
) -> IioSource:
    """Open a sensor that the kernel drives; "auto" takes the first accelerometer.

    name: a device's name or its directory's (`lsm6dsox_accel`, `iio:device2`), or two joined by `+` that the kernel
    does not show to be one chip. rate_hz: the least possible one not below it is set; about 100 by default. Ranges: the
    least ones that cover these. mount: rotation (3, 3) from the device's axes, as the kernel's mount matrix gives them,
    to yours. calibration: "none", or another than the one stored for this sensor. root: where sys and dev are.

    Raises SensorError if it is not there or cannot be set up, InputError for arguments that mean nothing.
    """
    for option, value in (("rate_hz", rate_hz), ("accel_range_g", accel_range_g), ("gyro_range_dps", gyro_range_dps)):
        if value is not None and not 0 < value < np.inf:
            raise InputError(f"{option}: expected a number above 0, got {value}")
    request = Request(rate_hz, {ACCEL: accel_range_g, GYRO: gyro_range_dps})
    group = find(Path(root), name)
    device_id = "iio-" + "+".join(device.name for device in group)
    chosen = choose_calibration(calibration, mount, device_id)
    return IioSource(Path(root), group, request, chosen, device_id)


class IioSource(LiveSource):
    """Samples of one or two IIO devices: endless, until closed. `polled`: whether they are read through sysfs."""

    pauses_s = (0.05, 1.0)

    def __init__(
        self, root: Path, group: tuple[Device, ...], request: Request, calibration: Calibration, device_id: str
    ) -> None:
        """Set the devices up; raise SensorError where the kernel refuses. group: one, or two to be joined."""
        super().__init__(device_id, calibration, SystemClock())
        self._root, self._group, self._request = root, group, request
        self._ports = self._open(group, may_poll=True)
        self._odd_rate_logged = self._was_full = False
        self._joiner = Joiner()
        self.rate_hz = self._ports[0].rate_hz
        port = self._ports[0]
        self._judge_by(port.convert.scale if isinstance(port, Port) else None)
        self.polled = isinstance(self._ports[0], PolledPort)
        self.info = SourceInfo(
            name="+".join(device.name for device in group),
            format=f"{'iio-polled' if self.polled else 'iio'}:{group[0].driver}",
            stream_id=self._stream_id,
            scale=self._count_scale(),
            device=device_id,
        )

    def _count_scale(self) -> tuple[float, ...] | None:
        """Return the SI units per count; None where samples are no whole counts: interpolated in time, or NaN."""
        port = self._ports[0]
        scale = port.convert.scale if isinstance(port, Port) else None
        # Of two devices each has three channels.
        if scale is None or len(scale) < len(CHANNELS) or not self.calibration.permutes_axes:
            return None
        turned = np.abs(self.calibration.mount) @ scale.reshape(2, 3, 1)
        return tuple(turned.astype(np.float32).ravel().tolist())

    @property
    def true_rate_hz(self) -> float:
        return self._ports[0].stamps.rate_hz

    def _leave(self) -> None:
        for port in self._ports:
            port.close()

    def _open(self, group: tuple[Device, ...], *, may_poll: bool) -> list[Port | PolledPort]:
        """Set the devices up. may_poll: only at first, for the buffer's node may come later than the device."""
        has = tuple(kind for kind in (ACCEL, GYRO) if group[0].has(kind))
        parts = list(zip(group, [has] if len(group) == 1 else [(ACCEL,), (GYRO,)], strict=True))
        reason = "its driver has no buffer"
        if not may_poll or all((device.path / "scan_elements").is_dir() and device.node.exists() for device in group):
            ports: list[Port | PolledPort] = []
            try:
                for device, kind in parts:
                    ports.append(Port(self._root, device, kind, self._request))
                return ports
            except (SensorError, InputError) as error:
                for port in ports:
                    port.close()
                if not (may_poll and isinstance(error, NoTriggerError)):
                    raise
                reason = str(error)
        log.warning("polling sysfs: %s: %s", group[0].name, reason)
        return [PolledPort(parts, self._request)]

    def _stream(self) -> Iterator[SampleBlock]:
        """Yield what comes until closed; raise OSError when the device is gone or silent."""
        ports = self._ports
        poller = select.poll()
        try:
            for port in ports:
                port.start()
                if port.fd >= 0:
                    poller.register(port.fd, select.POLLIN)
            # A device that is taken away does not wake poll up; the read that follows tells.
            wait_ms = 1000 * max(min(2 * port.watermark_s for port in ports), WATERMARK_S)
            silent_s = [max(_SILENT_S, _SILENT_WATERMARKS * port.watermark_s) for port in ports]
            heard_ns = [time.monotonic_ns()] * len(ports)
            while not self._closed:
                poller.poll(wait_ms if ports[0].fd >= 0 else 0)
                for at, port in enumerate(ports):
                    drained = port.drain()
                    now_ns = time.monotonic_ns()
                    if drained is not None:
                        heard_ns[at] = now_ns
                        yield from self._blocks(self._joined(at, drained), full=port.full)
                    elif now_ns - heard_ns[at] > silent_s[at] * NS_PER_S:
                        raise SensorError(f"{port.device.path}: expected samples, got none for {silent_s[at]:g} s")
                yield from self._sign_of_life()
        except OSError:
            self._heard_ns = 0  # that the device is gone is told at once
            # Before anybody hears of it: a device that comes back gets its number again only once its node is closed.
            self._leave()
            raise
        finally:
            for port in ports:
                port.stop()

    def _joined(self, at: int, samples: Samples) -> Samples:
        """Return six channels: as they are, with a gyroscope that is not there, or with one from the other device."""
        if len(self._ports) == 2:
            (self._joiner.push_other if at else self._joiner.push)(samples)
            joined = self._joiner.pop()
            if self._joiner.waiting_s > _APART_S:
                waiting_s, self._joiner = self._joiner.waiting_s, Joiner()
                names = " and ".join(port.device.name for port in self._ports)
                raise SensorError(f"{names}: expected samples of the same times, got none for {waiting_s:.0f} s")
            return joined
        values = samples.values
        if values.shape[1] == len(CHANNELS):
            return samples
        return samples._replace(values=np.hstack([values, np.full_like(values, np.nan)]))

    def _blocks(self, samples: Samples, *, full: bool) -> Iterator[SampleBlock]:
        """Yield samples that live as blocks that begin where something is missing; count what is."""
        (time_ns, data, lost), counts = samples, self.counts
        discards = sum(port.stamps.discards for port in self._ports)
        if discards > counts.discards:
            self._note(
                SensorError(f"{discards - counts.discards} time stamps run back, stand still or are of the future")
            )
        counts.discards = discards
        counts.overflows += bool(lost.any()) and (full or self._was_full)
        # What a full fifo dropped comes after what was read from it.
        self._was_full = full
        if not len(time_ns):
            return
        true_hz = self.true_rate_hz
        if not self._odd_rate_logged and abs(true_hz / self.rate_hz - 1) > _RATE_OFF:
            self._odd_rate_logged = True
            log.warning("%s: stated %g Hz, samples come at %.4g Hz", self.info.name, self.rate_hz, true_hz)
        yield from self._deliver(Rows(time_ns + self.unix_offset_ns, data, lost > 0, lost))

    def _restart(self) -> None:
        """Set the devices up as before."""
        try:
            ports = self._open(self._find_again(), may_poll=self.polled)
        except (OSError, InputError):
            # Its attributes may come one by one: what a driver cannot do now it may be able to do in a second.
            self.counts.retries += 1
            raise
        for port, before in zip(ports, self._ports, strict=True):
            port.stamps = before.stamps
        self._ports = ports

    def _find_again(self) -> tuple[Device, ...]:
        """Return the devices by name: a number may have gone to another one meanwhile."""
        found = devices(self._root)
        alike = [[each for each in found if each.name == device.name] for device in self._group]
        if not all(alike):
            raise SensorError(f"{self.info.name}: expected it to come back, it has not")
        return tuple(
            next((each for each in each_alike if each.path == device.path), each_alike[0])
            for each_alike, device in zip(alike, self._group, strict=True)
        )

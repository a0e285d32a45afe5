"""Sensors that send by themselves over a serial line, as live sources with their own time base.

* `port`: a serial port with one owner.
* `witmotion`: what WitMotion's sensors send and how they are set.
* `arrivals`: times from the order of samples and their arrivals.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence

import numpy as np

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.live import LiveSource
from motionsig.sensors.living import Rows
from motionsig.sensors.serial.arrivals import Arrivals
from motionsig.sensors.serial.port import Port, SerialPort, list_ports
from motionsig.sensors.serial.witmotion import (
    ACC,
    ACCEL_RANGE_G,
    BAUDS,
    GYR,
    GYRO_RANGE_DPS,
    SCALE,
    Frames,
    Pairs,
    WitMotion,
)

log = own_logger(__name__)

__all__ = ["SERIAL", "SerialPort", "SerialSource", "list_ports", "open_serial", "require_serial"]

SERIAL = ("witmotion",)
"""What the name of such a sensor begins with, before ":" and its port."""

_LISTEN_S = 1.0
"""For frames at each speed that is tried."""
_SILENT_S, _SILENT_PERIODS = 1.0, 5
"""A sensor that gives nothing for the longer of these two is set up again."""
_GIVE_NS = 100_000_000
"""Between two deliveries of samples."""
_EXACT_NS = 2_000_000
"""Arrivals that are all later than this, lately, make times doubtful."""
_OTHERS = 3
"""Frames that were not asked for, with which a sensor shows that it has its own settings again."""


def require_serial(name: str) -> str:
    """Return the port in a name such as witmotion:/dev/ttyUSB0; raise InputError where it names none."""
    path = name.partition(":")[2]
    if not path.startswith("/"):
        there = ", ".join(f"{port.path} ({port.adapter})" for port in list_ports()) or "see `ls /dev/serial/by-id`"
        raise InputError(f"sensor: expected a port, as in witmotion:/dev/ttyUSB0, got {name!r}; {there}")
    return path


def open_serial(
    name: str,
    *,
    rate_hz: float = 100.0,
    accel_range_g: float = 8.0,
    gyro_range_dps: float = 1000.0,
    baud: int | None = None,
    mount: str | Sequence[Sequence[float]] | None = None,
    calibration: Calibration | str | None = None,
) -> SerialSource:
    """Open a WitMotion sensor, "witmotion:/dev/ttyUSB0". baud: of the line; by default the usual ones are tried.

    Raises SensorError where no such sensor sends or it takes no settings, HeldError where another reader has the port,
    InputError for a name without a port, and for a rate or a range that it does not have.
    """
    path = require_serial(name)
    has = {"accel_range_g": (accel_range_g, ACCEL_RANGE_G), "gyro_range_dps": (gyro_range_dps, GYRO_RANGE_DPS)}
    for option, (asked, most) in has.items():
        if not 0 < asked <= most:
            raise InputError(f"{option}: expected above 0 and at most {most:g} of a WitMotion sensor, got {asked:g}")
    device_id = f"witmotion-{os.path.basename(path)}"
    return SerialSource(
        path, baud, WitMotion(rate_hz), choose_calibration(calibration, mount, device_id), device_id=device_id
    )


class SerialSource(LiveSource):
    """A WitMotion sensor as a Source: endless, until closed. `baud`: of the line, as found."""

    pauses_s = (0.05, 1.0)

    def __init__(
        self, path: str, baud: int | None, device: WitMotion, calibration: Calibration, *, device_id: str
    ) -> None:
        """Find the speed and set the sensor up; raise SensorError where that fails."""
        super().__init__(device_id, calibration, SystemClock())
        self._path, self._device = path, device
        self._port = Port(path, baud or BAUDS[0])
        try:
            self.baud = self._find((baud,) if baud else BAUDS)
            self.rate_hz = device.set_up(self._port)
        except BaseException:
            self._port.close()
            raise
        self._arrivals = Arrivals(self.rate_hz)
        self._judge_by(SCALE)
        self._doubted_ns = 0
        self.info = SourceInfo(
            name=device_id,
            format="serial:witmotion",
            stream_id=self._stream_id,
            scale=tuple(SCALE.tolist()) if calibration.permutes_axes else None,
            device=device_id,
        )

    @property
    def true_rate_hz(self) -> float:
        return self._arrivals.rate_hz

    def _find(self, bauds: Sequence[int]) -> int:
        """Return the speed at which frames come; raise SensorError where they come at none."""
        silent = True
        for baud in bauds:
            self._port.set_baud(baud)
            if self._device.is_at(self._port, _LISTEN_S):
                return baud
            silent &= not self._port.received
        what = "nothing" if silent else "bytes that are none: is it another device?"
        advice = "check its power and wiring (TX to RX)" if silent else "give its baud= if it has another one"
        tried = ", ".join(map(str, bauds))
        raise SensorError(f"{self._path}: expected frames of a WitMotion sensor at {tried} baud, got {what}; {advice}")

    def _leave(self) -> None:
        with contextlib.suppress(SensorError):
            self._device.leave(self._port)
        self._port.close()

    def _restart(self) -> None:
        self._port = Port(self._path, self.baud)
        try:
            self._find((self.baud,))
            self._device.set_up(self._port)
        except BaseException:
            self._port.close()
            raise

    def _stream(self) -> Iterator[SampleBlock]:
        """Yield what comes until closed; raise SensorError where the sensor is to be set up again."""
        frames, pairs, others = Frames(), Pairs(), 0
        discards = self.counts.discards
        silent_ns = round(max(_SILENT_S, _SILENT_PERIODS / self.rate_hz) * NS_PER_S)
        heard_ns = given_ns = time.monotonic_ns()
        received = 0
        try:
            while not self._closed:
                data = self._port.read(_GIVE_NS / NS_PER_S)
                now_ns = time.monotonic_ns()
                new = frames.push(data)
                rows = pairs.push(new)
                others += self._device.is_set and sum(frame.kind not in (ACC, GYR) for frame in new)
                self.counts.discards = discards + frames.discards
                if rows.counts:
                    heard_ns, received = now_ns, frames.position
                    # When the first byte of each came at the latest: all since then took their time on the wire.
                    on_wire = (frames.position - np.array(rows.starts)) * (10 * NS_PER_S / self.baud)
                    latest_ns = now_ns - on_wire.astype(np.int64)
                    values = np.array(rows.counts, np.float32) * SCALE
                    for before in self._arrivals.push(latest_ns, values, np.array(rows.damaged)):
                        yield from self._out(before)
                elif now_ns - heard_ns > silent_ns:
                    raise SensorError(
                        f"{self._path}: expected samples, got none for {silent_ns / NS_PER_S:g} s, and "
                        f"{frames.position - received} bytes"
                    )
                if others >= _OTHERS:
                    raise SensorError(f"{self._path}: it sends what it was told not to: it was switched off and on")
                if now_ns - given_ns >= _GIVE_NS:
                    given_ns = now_ns
                    yield from self._out(self._arrivals.pop(now_ns))
        except OSError:
            # Before anybody hears of it: an adapter gets its old name again only once its node is closed.
            self._port.close()
            yield from self._out(self._arrivals.interrupt())
            raise
        finally:
            self.counts.discards = discards + frames.discards

    def _out(self, rows: Rows) -> Iterator[SampleBlock]:
        """Yield samples on Unix time; say where their times are doubtful, or samples are lost."""
        if not len(rows.data):
            yield from self._sign_of_life()
            return
        now_ns, late_ns = time.monotonic_ns(), self._arrivals.late_ns
        if rows.lost.any():
            self._note(SensorError(f"{int(rows.lost.sum())} samples did not come, or were damaged on the line"))
        if late_ns > _EXACT_NS:
            self.counts.doubtful += len(rows.data)
            self._doubted_ns = now_ns
            self._say(
                "times",
                f"times are exact to {np.ceil(late_ns / 1e6):.0f} ms only: for two seconds every sample came so late; "
                "use a less busy machine, or set the adapter's latency_timer to 1",
            )
        elif now_ns - self._doubted_ns > 2 * NS_PER_S:
            self._say("times", None)
        yield from self._deliver(rows._replace(time_ns=rows.time_ns + self.unix_offset_ns))

    def _advice(self, error: Exception | None) -> str:
        return "check its plug, its power and its wiring; a long or busy USB line loses bytes"

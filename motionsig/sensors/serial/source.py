"""A sensor that sends by itself over a serial line as a live source; what its bytes mean, its device says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.live import LiveSource
from motionsig.sensors.living import Rows
from motionsig.sensors.serial.port import Port

_SILENT_S, _SILENT_PERIODS = 1.0, 5
"""A sensor that gives nothing for the longer of these two is set up again."""
_GIVE_NS = 100_000_000
"""Between two deliveries of samples."""
_EXACT_NS = 2_000_000
"""Times that may be off by more are doubtful."""


class Stream(Protocol):
    """What a device sends, as samples with times: bytes in, rows out. It lasts over new starts of the device.

    heard_ns: when samples came last, of each sensor in it. discards: what was damaged so far. rate_hz: as measured.
    late_ns: how much the times may be off, as far as arrivals show it.
    """

    @property
    def heard_ns(self) -> int: ...
    @property
    def discards(self) -> int: ...
    @property
    def rate_hz(self) -> float: ...
    @property
    def late_ns(self) -> float: ...

    def begin(self, now_ns: int) -> None:
        """Follow a new start of the device."""

    def push(self, data: bytes, now_ns: int) -> list[Rows]:
        """Take bytes; return what has to be given out before; raise SensorError where it must be set up again."""

    def pop(self, now_ns: int) -> Rows:
        """Return the samples whose times can be told by now."""

    def interrupt(self) -> Rows:
        """Return what waits: the device stops."""


class Device(Protocol):
    """A kind of sensor: how it is found, set up and left.

    key: its name in `open_sensor`. name: in errors. bauds: the speeds it may have, the usual ones first. listen_s: for
    what it sends at each. scale: (6,) m/s² and rad/s per count. whole_counts: samples are whole counts. advice: what to
    do where it is silent.
    """

    key: str
    name: str
    bauds: tuple[int, ...]
    listen_s: float
    scale: NDArray[np.float32]
    whole_counts: bool
    advice: str

    def is_at(self, port: Port, wait_s: float) -> bool: ...
    def set_up(self, port: Port) -> float: ...
    def leave(self, port: Port) -> None: ...
    def stream(self, port: Port, rate_hz: float) -> Stream: ...


class SerialSource(LiveSource):
    """A sensor on a serial line as a Source: endless, until closed. `baud`: of the line, as found."""

    pauses_s = (0.05, 1.0)

    def __init__(
        self, path: str, baud: int | None, device: Device, calibration: Calibration, *, device_id: str
    ) -> None:
        """Find the speed and set the sensor up; raise SensorError where that fails."""
        super().__init__(device_id, calibration, SystemClock())
        self._path, self._device = path, device
        self._port = Port(path, baud or device.bauds[0])
        try:
            self.baud = self._find((baud,) if baud else device.bauds)
            self.rate_hz = device.set_up(self._port)
        except BaseException:
            self._port.close()
            raise
        self._samples = device.stream(self._port, self.rate_hz)
        self._judge_by(device.scale)
        self.info = SourceInfo(
            name=device_id,
            format=f"serial:{device.key}",
            stream_id=self._stream_id,
            scale=tuple(device.scale.tolist()) if device.whole_counts and calibration.permutes_axes else None,
            device=device_id,
        )

    @property
    def true_rate_hz(self) -> float:
        return self._samples.rate_hz

    def _find(self, bauds: Sequence[int]) -> int:
        """Return the speed at which the sensor is there; raise SensorError where it is at none."""
        silent, device, cannot = True, self._device, None
        for baud in bauds:
            try:
                self._port.set_baud(baud)
            except SensorError as error:
                cannot = error  # this speed; the adapter may have the next one
                continue
            if device.is_at(self._port, device.listen_s):
                return baud
            silent &= not self._port.received
        if cannot is not None and silent:
            raise cannot
        what = "nothing" if silent else "bytes that are none of it (is it another device?)"
        advice = device.advice if silent or len(device.bauds) == 1 else "give its baud= if it has another one"
        tried = ", ".join(map(str, bauds))
        raise SensorError(f"{self._path}: expected what a {device.name} sends at {tried} baud, got {what}; {advice}")

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
        samples, silent_ns = self._samples, round(max(_SILENT_S, _SILENT_PERIODS / self.rate_hz) * NS_PER_S)
        given_ns = time.monotonic_ns()
        samples.begin(given_ns)
        received, heard_ns = self._port.received, given_ns
        try:
            while not self._closed:
                data = self._port.read(_GIVE_NS / NS_PER_S)
                now_ns = time.monotonic_ns()
                for before in samples.push(data, now_ns):
                    yield from self._out(before)
                self.counts.discards = samples.discards
                if samples.heard_ns != heard_ns:
                    received, heard_ns = self._port.received, samples.heard_ns
                elif now_ns - heard_ns > silent_ns:
                    raise SensorError(
                        f"{self._path}: expected samples, got none for {silent_ns / NS_PER_S:g} s, and "
                        f"{self._port.received - received} bytes"
                    )
                if now_ns - given_ns >= _GIVE_NS:
                    given_ns = now_ns
                    yield from self._out(samples.pop(now_ns))
        except OSError:
            # Before anybody hears of it: an adapter gets its old name again only once its node is closed.
            self._port.close()
            yield from self._out(samples.interrupt())
            raise
        finally:
            self.counts.discards = samples.discards

    def _out(self, rows: Rows) -> Iterator[SampleBlock]:
        """Yield samples on Unix time; say where their times are doubtful, or samples are lost."""
        if not len(rows.data):
            yield from self._sign_of_life()
            return
        late_ns = self._samples.late_ns
        if rows.lost.any():
            self._note(SensorError(f"{int(rows.lost.sum())} samples did not come, or were damaged on the line"))
        doubt = None
        if late_ns > _EXACT_NS:
            doubt = (
                f"times are exact to {np.ceil(late_ns / 1e6):.0f} ms only: samples come so late, or, at first, so "
                "unevenly; use a less busy machine, or set the adapter's latency_timer to 1"
            )
        self._judge_times(len(rows.data), doubt)
        yield from self._deliver(rows._replace(time_ns=rows.time_ns + self.unix_offset_ns))

    def _advice(self, error: Exception | None) -> str:
        return "check its plug, its power and its wiring; a long or busy USB line loses bytes"

"""WitMotion's sensors with the standard protocol: WT901, WT61, HWT901, WT931 and others, over a UART or USB.

A frame is 0x55, its kind, eight bytes, and the sum of these ten, 0x51 acceleration, 0x52 angular rate, each as three
int16, low byte first, of 16 g and 2000 deg/s at 32768, and a temperature (WitMotion, "WIT Standard Communication
Protocol"; its wit_c_sdk.c in WITMOTION/WitStandardProtocol_JY901; ElettraSciComp/witmotion_IMU_QT, doc/protocol.md).
What the ranges' registers say changes neither number in any of these, so they are left as they are.

Registers are written with 0xFF 0xAA, register, low byte, high byte, after the same to KEY with 0xB588; read with
READADDR: the answer is a frame of kind 0x5F with that register and the next three. Nothing is saved, so the sensor has
its own settings again when it is switched on. One that does not answer (a WT61) is read as it is.

Left out: frames of kind 0x61 (the sensors for Bluetooth), which have no sum, so that a damaged one passes as good; the
sensors for Modbus and CAN.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.errors import InputError, SensorError
from motionsig.sensors.living import Rows
from motionsig.sensors.serial.arrivals import Arrivals
from motionsig.sensors.serial.port import Port

BAUDS = 115_200, 9_600, 230_400, 921_600, 460_800, 57_600, 38_400, 19_200
"""In the order of how usual they are: sensors on USB are made with the first, modules with the second."""
RATES = {10.0: 0x06, 20.0: 0x07, 50.0: 0x08, 100.0: 0x09, 200.0: 0x0B}
"""RRATE. There are slower ones, which hold no motion, and 125 Hz on the WT931 alone (REG.h)."""
ACCEL_RANGE_G, GYRO_RANGE_DPS = 16.0, 2000.0
SCALE = np.repeat(
    np.array([ACCEL_RANGE_G * STANDARD_GRAVITY, np.deg2rad(GYRO_RANGE_DPS)], np.float64) / 32768, 3
).astype(np.float32)
"""m/s² and rad/s per count (6,)."""

_HEAD, _SIZE = 0x55, 11
ACC, GYR, _ANSWER = 0x51, 0x52, 0x5F
_KINDS = range(0x50, 0x60)
_BOTH = 0x0006
"""RSW with acceleration and angular rate alone."""
_RSW, _READADDR, _KEY, _UNLOCK = 0x02, 0x27, 0x69, 0xB588
ROW_BYTES = 2 * _SIZE
_MOST_LOAD = 0.8
"""Part of the line that frames may take, as on other buses: a sensor drops those that do not pass."""
_HEARD = 4
"""Frames in a row that show that it is such a sensor, at this speed; by chance none would come in hours."""
_OTHERS = 3
"""Frames that were not asked for, with which a sensor shows that it has its own settings again."""
_PAUSE_S, _ANSWER_S = 0.02, 0.5
"""Between two commands (the C SDK waits for 10 ms), and for an answer, after a tenth of a second's frames."""


class Frame(NamedTuple):
    """start: of its first byte, in bytes since the beginning. damaged: bytes just before it were in no good frame."""

    kind: int
    payload: bytes
    start: int
    damaged: bool


class Frames:
    """Pure state machine: bytes in, frames whose sums are right out; any cutting gives the same.

    discards: places where bytes were in no good frame. position: bytes so far.
    """

    def __init__(self) -> None:
        self.discards = self.position = 0
        self._kept = b""
        self._in_junk = True  # until the first frame

    def push(self, data: bytes) -> list[Frame]:
        frames, text, at = [], self._kept + data, 0
        began = self.position - len(self._kept)
        self.position += len(data)
        # Frame by frame, because where one begins depends on the one before.
        while (head := text.find(_HEAD, at)) >= 0:
            self._junk(head > at)
            at = head
            if len(text) - at < _SIZE:
                break
            frame = text[at : at + _SIZE]
            if frame[1] in _KINDS and sum(frame[:-1]) & 0xFF == frame[-1]:
                frames.append(Frame(frame[1], frame[2:-1], began + at, self._in_junk))
                self._in_junk = False
                at += _SIZE
            else:
                self._junk(True)
                at += 1
        else:
            self._junk(len(text) > at)
            at = len(text)
        self._kept = text[at:]
        return frames

    def _junk(self, any_is: bool) -> None:
        self.discards += any_is and not self._in_junk
        self._in_junk |= any_is


class Counts(NamedTuple):
    """Samples: counts (n, 6), where each one's first byte was (n,), and whether bytes before it were damaged (n,)."""

    counts: list[tuple[int, ...]]
    starts: list[int]
    damaged: list[bool]


class Pairs:
    """Pure state machine: frames in, samples out: an acceleration and the angular rate that follows it."""

    def __init__(self) -> None:
        self._acc: Frame | None = None
        self._damaged = False

    def push(self, frames: list[Frame]) -> Counts:
        rows = Counts([], [], [])
        for frame in frames:
            self._damaged |= frame.damaged
            if frame.damaged:
                self._acc = None
            if frame.kind == ACC:
                self._damaged |= self._acc is not None
                self._acc = frame
            elif frame.kind == GYR:
                if self._acc is None:
                    self._damaged = True
                    continue
                rows.counts.append(tuple(np.frombuffer(self._acc.payload[:6] + frame.payload[:6], "<i2").tolist()))
                rows.starts.append(self._acc.start)
                rows.damaged.append(self._damaged)
                self._acc, self._damaged = None, False
        return rows


class WitMotion:
    """One such sensor at a port. It is set up with `set_up`, and left as it was found with `leave`."""

    key, name, listen_s = "witmotion", "WitMotion sensor", 1.0
    bauds: tuple[int, ...] = BAUDS
    accel_range_g, gyro_range_dps = ACCEL_RANGE_G, GYRO_RANGE_DPS
    scale, whole_counts = SCALE, True
    advice = "check its power and its wiring (TX to RX)"

    def __init__(self, rate_hz: float) -> None:
        """Raise InputError for a rate that no such sensor has."""
        possible = [rate for rate in RATES if rate >= rate_hz]
        if not possible:
            raise InputError(f"rate_hz: expected at most {max(RATES):g} of a WitMotion sensor, got {rate_hz:g}")
        self._asked_hz = min(possible)
        self._found: tuple[int, int] | None = None  # RSW and RRATE
        self.is_set = False  # it sends what it was told to, so anything else shows that it has forgotten that

    def is_at(self, port: Port, wait_s: float) -> bool:
        """Tell whether such frames come."""
        frames, heard = Frames(), 0
        for data in _heard(port, wait_s):
            for frame in frames.push(data):
                heard = 1 if frame.damaged else heard + 1
                if heard >= _HEARD:
                    return True
        return False

    def set_up(self, port: Port) -> float:
        """Make it send what is needed; return its rate. Raises SensorError, and InputError for too fast a rate."""
        known = self._ask(port, _RSW)
        if known is None:
            return self._as_it_is(port)
        most_hz = _MOST_LOAD * port.baud / 10 / ROW_BYTES
        if self._asked_hz > most_hz:
            fits = max((rate for rate in RATES if rate <= most_hz), default=None)
            advice = "" if fits is None else f"rate_hz={fits:g} fits, or "
            raise InputError(
                f"rate_hz: expected at most {most_hz:.0f}, which {port.path} carries at {port.baud} baud, got "
                f"{self._asked_hz:g}; {advice}set a faster baud rate in WitMotion's program"
            )
        wanted = _BOTH, RATES[self._asked_hz]
        if self._found is None:
            self._found = known
        if known != wanted:
            self._write(port, *wanted)
            now = self._ask(port, _RSW)
            if now != wanted:
                raise SensorError(f"{port.path}: expected registers 0x02 and 0x03 to be {wanted} as written, got {now}")
        self.is_set = True
        return self._asked_hz

    def leave(self, port: Port) -> None:
        if self._found is not None:
            self._write(port, *self._found)

    def stream(self, port: Port, rate_hz: float) -> Stream:
        return Stream(self, port.path, port.baud, rate_hz)

    def _write(self, port: Port, content: int, rate: int) -> None:
        for register, value in ((_KEY, _UNLOCK), (_RSW, content), (_RSW + 1, rate)):
            port.write(_command(register, value))
            time.sleep(_PAUSE_S)

    def _ask(self, port: Port, register: int) -> tuple[int, int] | None:
        """Return a register and the one after it; None where it does not answer."""
        for _ in range(2):
            port.write(_command(_READADDR, register))
            frames = Frames()
            for data in _heard(port, _ANSWER_S):
                for frame in frames.push(data):
                    if frame.kind == _ANSWER:
                        first, second = np.frombuffer(frame.payload[:4], "<u2").tolist()
                        return first, second
        return None

    def _as_it_is(self, port: Port) -> float:
        """Return the rate of a sensor that takes no commands; raise SensorError where it sends no samples."""
        frames, pairs, kinds, count = Frames(), Pairs(), set(), 0
        first_s = last_s = time.monotonic()
        before, listen_s = port.received, 2.0
        for data in _heard(port, listen_s):
            new = frames.push(data)
            kinds |= {frame.kind for frame in new}
            more = len(pairs.push(new).counts)
            if more:
                last_s, first_s = time.monotonic(), first_s if count else time.monotonic()
                count += more
        if count < 2 * min(RATES) - 2:
            came = ", ".join(f"0x{kind:02x}" for kind in sorted(kinds)) or "none"
            raise SensorError(
                f"{port.path}: expected acceleration and angular rate (frames 0x51 and 0x52) at {min(RATES):g} Hz or "
                f"more, got {count} in 2 s, and frames {came}; "
                "set them in WitMotion's program; a sensor without a gyroscope is of no use here"
            )
        load = (port.received - before) * 10 / port.baud / listen_s
        if load > _MOST_LOAD:
            raise SensorError(
                f"{port.path}: expected a sensor that fills at most {_MOST_LOAD:.0%} of the line, got {load:.0%} at "
                f"{port.baud} baud: it drops samples and does not say so; set a faster baud rate, a lower rate or "
                "less content in WitMotion's program"
            )
        came_hz = (count - 1) / max(last_s - first_s, 0.1)
        near = min(RATES, key=lambda rate: abs(rate - came_hz))
        return near if abs(near / came_hz - 1) < 0.1 else round(came_hz, 1)


def _command(register: int, value: int) -> bytes:
    return bytes((0xFF, 0xAA, register, value & 0xFF, value >> 8))


def _heard(port: Port, wait_s: float) -> Iterator[bytes]:
    """Yield what comes within wait_s."""
    end_s = time.monotonic() + wait_s
    while (left_s := end_s - time.monotonic()) > 0:
        if data := port.read(left_s):
            yield data


class Stream:
    """What a sensor sends, as samples: pure but for the clock that its caller reads."""

    def __init__(self, device: WitMotion, path: str, baud: int, rate_hz: float) -> None:
        self._device, self._path, self._byte_ns = device, path, 10 * NS_PER_S / baud
        self._arrivals = Arrivals(rate_hz)
        self._frames, self._damaged = Frames(), 0
        self.heard_ns = 0

    def begin(self, now_ns: int) -> None:
        """Follow a new start."""
        self._damaged += self._frames.discards
        self._frames, self._pairs, self._others, self.heard_ns = Frames(), Pairs(), 0, now_ns

    @property
    def discards(self) -> int:
        return self._damaged + self._frames.discards

    @property
    def rate_hz(self) -> float:
        return self._arrivals.line.rate_hz

    @property
    def late_ns(self) -> float:
        return self._arrivals.line.late_ns

    def push(self, data: bytes, now_ns: int) -> list[Rows]:
        """Take bytes; return what has to be given out before; raise SensorError where it has forgotten its settings."""
        frames = self._frames.push(data)
        self._others += self._device.is_set and sum(frame.kind not in (ACC, GYR) for frame in frames)
        if self._others >= _OTHERS:
            raise SensorError(f"{self._path}: it sends what it was told not to: it was switched off and on")
        rows = self._pairs.push(frames)
        if not rows.counts:
            return []
        self.heard_ns = now_ns
        # When the first byte of each came at the latest: all since then took their time on the wire.
        on_wire = (self._frames.position - np.array(rows.starts)) * self._byte_ns
        values = np.array(rows.counts, np.float32) * SCALE
        return self._arrivals.push(now_ns - on_wire.astype(np.int64), values, np.array(rows.damaged))

    def pop(self, now_ns: int) -> Rows:
        return self._arrivals.pop(now_ns)

    def interrupt(self) -> Rows:
        return self._arrivals.interrupt()

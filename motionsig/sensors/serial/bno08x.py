"""CEVA's BNO080, BNO085 and BNO086 over a UART in SHTP mode (pins PS1 high, PS0 low; 3,000,000 baud).

Read are the accelerometer (report 0x01: m/s² with gravity, Q8) and the uncalibrated gyroscope (0x07: rad/s, Q9). The
calibrated gyroscope (0x02) takes slow turns for an error of its own (data sheet 1000-3927, 3.1.3), so what it reports
for one motion changes with what was before; the raw reports (0x14, 0x15) are counts whose scale no document gives. For
the same reason the chip's dynamic calibration is switched off. What it has stored of its accelerometer stays in force.

Each report has a number and a delay, each cargo the time since its first report, in 100 us (data sheet 1.4.5.3;
ceva-dsp/sh2 sh2.c, sensorhubInputHdlr). A hub is reset at the start: what another program has set is gone.

Left out: UART-RVC, which has no angular rates; the mode for I2C; the FSP200's speeds other than 3,000,000.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.joining import Joiner
from motionsig.sensors.living import Rows
from motionsig.sensors.serial.numbered import Numbered
from motionsig.sensors.serial.port import Port
from motionsig.sensors.serial.shtp import ASK_ROOM, COMMAND, CONTROL, EXECUTABLE, INPUT, Cargo, Cargoes, transfer

log = own_logger(__name__)

ACC, GYR = 0x01, 0x07
_SCALE = {ACC: 1 / 256, GYR: 1 / 512}
_LENGTH = {ACC: 10, GYR: 16}
_MOST = {ACC: 1.1 * 8 * STANDARD_GRAVITY, GYR: 1.1 * float(np.deg2rad(2000))}
"""8 g and 2000 deg/s (data sheet 6.6), and a tenth for the chip's calibration: no value is larger."""
_MOST_HZ = 400.0
"""Of the gyroscope (data sheet 6.10)."""
_TICK_NS = 100_000
_MOST_TICKS = 100_000
"""Ten seconds: no report is older."""
_FUTURE_TICKS = 200
"""No report is from later than its transfer, but for rounding and what the hub puts in at the last moment."""
_BASE, _REBASE, _FLUSHED = 0xFB, 0xFA, 0xEF
_SET_FEATURE, _GET_FEATURE, _FEATURE = 0xFD, 0xFE, 0xFC
_COMMAND, _ANSWER, _CALIBRATION = 0xF2, 0xF1, 0x07

_BYTE_S = 0.001
"""Between two bytes to the hub, which needs 100 us (data sheet 1.3.3.1); CEVA's host code waits as long on USB."""
_ROOM_S, _ANSWER_S, _RESET_S, _TRIES = 0.03, 0.5, 1.0, 3
_MEASURE_S, _LEAST, _PAUSE = 0.5, 4, 0.25
"""How long reports are listened to, how many must come, and for which part of that time none may come."""
_SLOWEST = 0.8
"""Part of the rate asked for that both sensors must have (CEVA's hubs take the next one they have, from 0.9 times)."""
_NEAR = 0.15
"""A rate that differs by less from what the hub states is that rate by another clock."""


class Report(NamedTuple):
    """One sample of one sensor. ticks: 100 us from the beginning of its transfer, below 0. counts: three."""

    kind: int
    number: int
    ticks: int
    counts: tuple[int, int, int]


def reports(payload: bytes) -> list[Report] | None:
    """Return what a cargo of sensor reports holds; None where it cannot be what a hub sent that sends these two."""
    found: list[Report] = []
    ticks: int | None = None
    at = 0
    while at < len(payload):
        kind, left = payload[at], len(payload) - at
        if kind == _FLUSHED and left >= 2:
            at += 2
        elif kind in (_BASE, _REBASE) and left >= 5:
            (value,) = struct.unpack_from("<i", payload, at + 1)
            ticks = -value if kind == _BASE else (ticks or 0) + value
            at += 5
        elif ticks is not None and left >= _LENGTH.get(kind, left + 1):
            number, status, delay, *counts = struct.unpack_from("<BBB3h", payload, at + 1)
            taken = ticks + ((status & 0xFC) << 6 | delay)
            if not -_MOST_TICKS <= taken <= _FUTURE_TICKS or max(map(abs, counts)) * _SCALE[kind] > _MOST[kind]:
                return None
            found.append(Report(kind, number, taken, (counts[0], counts[1], counts[2])))
            at += _LENGTH[kind]
        else:
            return None
    return found


def _interval_us(payload: bytes) -> int | None:
    """Return the interval that a hub states for a report; None where it states none."""
    return struct.unpack_from("<I", payload, 5)[0] if len(payload) == 17 and payload[0] == _FEATURE else None


class _Talk:
    """Commands to the hub at a port, and what it answers."""

    def __init__(self, port: Port) -> None:
        self._port, self._cargoes, self._numbers = port, Cargoes(), dict.fromkeys((EXECUTABLE, CONTROL), 0)

    def hear(self, wait_s: float) -> Iterator[Cargo]:
        """Yield what comes within wait_s."""
        end_s = time.monotonic() + wait_s
        while (left_s := end_s - time.monotonic()) > 0:
            yield from self._cargoes.push(self._port.read(left_s))

    def room(self) -> int | None:
        """Return how many bytes the hub can take; None where it does not answer."""
        self._write(ASK_ROOM)
        return next(
            (int.from_bytes(each.payload, "little") for each in self.hear(_ROOM_S) if each.channel is None), None
        )

    def send(self, channel: int, payload: bytes) -> None:
        text = transfer(channel, self._numbers[channel], payload)
        self._numbers[channel] += 1
        # A hub that says nothing of its room may listen all the same: what it answers to the command will tell.
        for _ in range(_TRIES):
            if (self.room() or 0) >= len(text):
                break
        self._write(text)

    def ask(self, channel: int, payload: bytes, is_answer: Callable[[Cargo], bool], wait_s: float) -> bytes | None:
        """Return what the hub answers; None where it does not."""
        for _ in range(_TRIES):
            self.send(channel, payload)
            for cargo in self.hear(wait_s):
                if is_answer(cargo):
                    return cargo.payload
        return None

    def _write(self, data: bytes) -> None:
        for byte in data:
            self._port.write(bytes((byte,)))
            time.sleep(_BYTE_S)


def _is_reset(cargo: Cargo) -> bool:
    return cargo.channel == EXECUTABLE and cargo.payload == b"\x01"


def _is_calibration(cargo: Cargo) -> bool:
    return cargo.channel == CONTROL and cargo.payload[:1] + cargo.payload[2:3] == bytes((_ANSWER, _CALIBRATION))


class Bno08x:
    """One such hub at a port. It is set up with `set_up`, and left silent with `leave`."""

    key, name, listen_s = "bno08x", "BNO08x", 0.3
    bauds: tuple[int, ...] = (3_000_000,)
    accel_range_g, gyro_range_dps = 8.0, 2000.0
    scale = np.repeat(np.array([_SCALE[ACC], _SCALE[GYR]], np.float32), 3)
    whole_counts = False  # the gyroscope's are interpolated
    advice = (
        "check its power, its wiring (TX to RX), its pins PS1 (high) and PS0 (low), and that the adapter has 3 Mbaud"
    )

    def __init__(self, rate_hz: float) -> None:
        """Raise InputError for a rate that no such hub has."""
        if not 0 < rate_hz <= _MOST_HZ:
            raise InputError(f"rate_hz: expected at most {_MOST_HZ:g} of a BNO08x, got {rate_hz:g}")
        self._asked_hz = rate_hz
        self._stated_us: dict[int, int] = {}
        self._rates: dict[int, float] = {}

    def is_at(self, port: Port, wait_s: float) -> bool:
        """Tell whether a hub answers."""
        talk = _Talk(port)
        return talk.room() is not None or any(True for _ in talk.hear(wait_s))

    def set_up(self, port: Port) -> float:
        """Reset it and make it send what is needed; return its rate, the accelerometer's. Raises SensorError."""
        talk = _Talk(port)
        if talk.ask(EXECUTABLE, b"\x01", _is_reset, _RESET_S) is None:
            raise SensorError(f"{port.path}: expected the hub to say that it was reset, got nothing; {self.advice}")
        command = struct.pack("<BBB9x", _COMMAND, 0, _CALIBRATION)
        said = talk.ask(CONTROL, command, _is_calibration, _ANSWER_S)
        if said is None or len(said) < 6 or said[5]:
            log.warning("%s: the hub does not stop its dynamic calibration: values may drift at rest", port.path)
        interval_us = round(1e6 / self._asked_hz)
        for kind in _LENGTH:
            self._feature(talk, struct.pack("<BBBHIII", _SET_FEATURE, kind, 0, 0, interval_us, 0, 0), kind)
        # To switch one on may have changed the other.
        self._stated_us = {kind: self._feature(talk, bytes((_GET_FEATURE, kind)), kind) for kind in _LENGTH}
        self._rates = self._measured(talk, port)
        return self._rates[ACC]

    def _feature(self, talk: _Talk, payload: bytes, kind: int) -> int:
        """Return the interval in us that the hub states for a report after a command about it."""
        said = talk.ask(CONTROL, payload, lambda cargo: cargo.payload[:2] == bytes((_FEATURE, kind)), _ANSWER_S)
        interval_us = None if said is None else _interval_us(said)
        if not interval_us:
            got = "no answer" if said is None else said.hex(" ")
            raise SensorError(f"BNO08x: expected the interval of report 0x{kind:02x}, got {got}")
        return interval_us

    def _measured(self, talk: _Talk, port: Port) -> dict[int, float]:
        """Return the rates at which reports come: the stated ones where those are near."""
        rates = {}
        for kind, seen in self._heard(talk, port).items():
            # Of pairs half of all apart, so that one late arrival matters little.
            times, numbers = np.array(seen).T
            half = len(times) // 2
            steps = np.cumsum(np.diff(numbers, prepend=numbers[0]) % 256)
            came_hz = NS_PER_S * float(np.median((steps[half:] - steps[:-half]) / (times[half:] - times[:-half])))
            stated_hz = 1e6 / self._stated_us[kind]
            rates[kind] = stated_hz if abs(came_hz / stated_hz - 1) < _NEAR else round(came_hz, 1)
            if rates[kind] < _SLOWEST * self._asked_hz:
                raise InputError(
                    f"rate_hz: expected at most {rates[kind]:.0f}, at which this hub sends reports 0x{kind:02x}, got "
                    f"{self._asked_hz:g}"
                )
        return rates

    def _heard(self, talk: _Talk, port: Port) -> dict[int, list[tuple[int, int]]]:
        """Return when reports were taken, ns, and their numbers. Raises SensorError where they do not come evenly."""
        listen_s = max(_MEASURE_S, 10e-6 * max(self._stated_us.values()))
        for _ in range(2 * _TRIES):
            began_ns = time.monotonic_ns()
            came: dict[int, list[tuple[int, int]]] = {kind: [] for kind in _LENGTH}
            for cargo in talk.hear(listen_s):
                now_ns = time.monotonic_ns()
                for report in (reports(cargo.payload) or ()) if cargo.channel == INPUT else ():
                    came[report.kind].append((now_ns + report.ticks * _TICK_NS, report.number))
            ended_ns = time.monotonic_ns()
            pauses_s = {
                kind: max(np.diff([began_ns, *(taken_ns for taken_ns, _ in seen), ended_ns])) / NS_PER_S
                for kind, seen in came.items()
            }
            # Those that the machine or the adapter kept back come all at once, and show no rate.
            if min(map(len, came.values())) >= _LEAST and max(pauses_s.values()) < _PAUSE * listen_s:
                return came
        kind = max(pauses_s, key=lambda each: pauses_s[each])
        raise SensorError(
            f"{port.path}: expected reports 0x{kind:02x} all the time, as the hub said, got {len(came[kind])} in "
            f"{listen_s:g} s and none for {pauses_s[kind]:.2f} s of it; is this machine, or the adapter, too busy?"
        )

    def leave(self, port: Port) -> None:
        """Reset it: it then sends nothing."""
        _Talk(port).send(EXECUTABLE, b"\x01")

    def stream(self, port: Port, rate_hz: float) -> Stream:
        return Stream(port.path, port.baud, self._rates, self._stated_us)


class Stream:
    """What a hub sends, as samples: pure but for the clock that its caller reads.

    heard_ns: when both sensors had last sent something. discards: transfers and reports that were damaged.
    """

    def __init__(self, path: str, baud: int, rates_hz: dict[int, float], stated_us: dict[int, int]) -> None:
        """rates_hz: at which the reports come. stated_us: their intervals as the hub says them."""
        self._path, self._byte_ns = path, 10 * NS_PER_S / baud
        self._stated_us = stated_us
        self._sides = {kind: Numbered(rate) for kind, rate in rates_hz.items()}
        self._joiner, self._cargoes, self._damaged = Joiner(), Cargoes(), 0
        self._heard_ns = dict.fromkeys(self._sides, 0)

    def begin(self, now_ns: int) -> None:
        """Follow a new start."""
        self._damaged += self._cargoes.discards
        self._cargoes = Cargoes()
        self._heard_ns = dict.fromkeys(self._sides, now_ns)

    @property
    def heard_ns(self) -> int:
        return min(self._heard_ns.values())

    @property
    def discards(self) -> int:
        return self._damaged + self._cargoes.discards + sum(side.discards for side in self._sides.values())

    @property
    def rate_hz(self) -> float:
        return self._sides[ACC].line.rate_hz

    @property
    def late_ns(self) -> float:
        return max(side.line.late_ns for side in self._sides.values())

    def push(self, data: bytes, now_ns: int) -> list[Rows]:
        """Take bytes; raise SensorError where the hub was reset or changed its rates."""
        for cargo in self._cargoes.push(data):
            if _is_reset(cargo) or cargo.channel == COMMAND:
                raise SensorError(f"{self._path}: the hub was reset: its power failed, or its pin NRST was low")
            if cargo.channel == CONTROL and (now_us := _interval_us(cargo.payload)) is not None:
                kind = cargo.payload[1]
                if now_us != self._stated_us.get(kind, now_us):
                    was_us = self._stated_us[kind]
                    raise SensorError(f"{self._path}: the hub changed report 0x{kind:02x} from {was_us} to {now_us} us")
            if cargo.channel != INPUT:
                continue
            found = reports(cargo.payload)
            if found is None:
                self._damaged += 1
                continue
            # When the transfer's first byte came at the latest.
            first_ns = now_ns - round((self._cargoes.position - cargo.start) * self._byte_ns)
            for report in found:
                self._heard_ns[report.kind] = now_ns
                self._sides[report.kind].push(report.number, first_ns + report.ticks * _TICK_NS, report.counts)
        return []

    def pop(self, now_ns: int) -> Rows:
        """Return the samples whose times can be told by now."""
        for kind, push in ((ACC, self._joiner.push), (GYR, self._joiner.push_other)):
            samples = self._sides[kind].pop()
            push(samples._replace(values=samples.values * np.float32(_SCALE[kind])))
        time_ns, data, lost = self._joiner.pop()
        return Rows(time_ns, data, lost > 0, lost)

    def interrupt(self) -> Rows:
        """Return what can be told of what waits: the hub stops."""
        rows = self.pop(0)
        for side in self._sides.values():
            side.begin()
        return rows

"""A BNO08x in UART-SHTP mode, from the data sheet (1000-3927) and what CEVA's host code expects.

Sources: data sheet 1.3.3 (UART), 1.4.2 (SHTP), 1.4.5 (reports, times), 3.1.1 (calibration), 5.2 (after a reset), 6.10
(rates); ceva-dsp/sh2-demo-nucleo app/uart_hal.c (framing, buffer status); ceva-dsp/sh2 sh2.c (lengths of reports).

`Hub` is the chip in time that it is told: bytes in, (time, bytes) out. `Bno08xDevice` runs one at a pseudo-terminal.
The accelerometer and the gyroscope have rates and phases of their own, as the parts in the chip have.
"""

import math
import os
import select
import struct
import threading
import time
from collections.abc import Callable

from pty_device import PtyDevice

COMMAND, EXECUTABLE, CONTROL, INPUT = range(4)
ACC, GYRO, GYRO_UNCALIBRATED = 0x01, 0x02, 0x07
_RATES = {
    ACC: (15.625, 31.25, 62.5, 125.0, 250.0, 500.0),
    GYRO: (25.0, 50.0, 100.0, 200.0, 400.0),
    GYRO_UNCALIBRATED: (25.0, 50.0, 100.0, 200.0, 400.0),
}
_TICK_S = 100e-6
_BOOT_S = 0.12


def feels(at_s: float) -> tuple[list[float], list[float]]:
    """Return the acceleration in m/s² and the angular rate in rad/s at a time: slow swings about 1 g."""
    slow, fast = math.sin(2.1 * at_s), math.sin(5.3 * at_s)
    return [3.0 * slow, 1.5 * fast - 1.0, 9.5 + 0.8 * fast], [1.2 * fast, -0.7 * slow, 0.5 + 0.4 * slow]


def framed(protocol: int, body: bytes) -> bytes:
    escaped = b"".join(bytes([0x7D, byte ^ 0x20]) if byte in (0x7D, 0x7E) else bytes([byte]) for byte in body)
    return b"\x7e" + bytes([protocol]) + escaped + b"\x7e"


class Hub:
    """The chip. clock: its rate over the nominal one. most_bytes: of a transfer; longer cargoes go in pieces.

    hold_s: it collects reports for so long before it sends them. damage: changes the bytes of a transfer.
    taken, counts: times and values of the samples that each kind of report has had since they were switched on.
    """

    def __init__(
        self,
        *,
        clock: float = 1.0,
        phase_s: float = 0.0031,
        hold_s: float = 0.0,
        most_bytes: int = 300,
        damage: Callable[[int, bytes], bytes] = lambda number, text: text,
        accepts_calibration: bool = True,
        stated_us: Callable[[int], int] = lambda interval_us: interval_us,
    ) -> None:
        self.clock, self.phase_s, self.hold_s, self.most_bytes, self.damage = clock, phase_s, hold_s, most_bytes, damage
        self.accepts_calibration, self.stated_us = accepts_calibration, stated_us
        self.resets = self.transfers = 0
        self.silent: set[int] = set()  # reports that stop without a word
        self.frozen = False
        self.biased = False  # the gyroscope's dynamic calibration runs, and takes what it sees for a bias
        self._inside = self._escaped = False
        self._frame = bytearray()
        self._clear(0.0)
        self._out: list[tuple[float, bytes]] = []

    def _clear(self, now_s: float) -> None:
        self.intervals: dict[int, float] = {}
        self.calibrates = [1, 0, 1]
        self.taken: dict[int, list[float]] = {}
        self.counts: dict[int, list[list[int]]] = {}
        self._next_s: dict[int, float] = {}
        self._sequence = [0] * 6
        self._pending: list[tuple[float, int, int, bytes]] = []
        self._awake_s = now_s

    def reset(self, now_s: float) -> None:
        """Restart: say hello on three channels, with all reports off."""
        self.resets += 1
        self._clear(now_s + _BOOT_S)
        self._send(self._awake_s, COMMAND, bytes([0x00, 0x01, 0x04, 0, 0, 0, 0, 0x80, 6]) + b"1.2.3\0" + bytes(255))
        self._send(self._awake_s, EXECUTABLE, b"\x01")
        self._send(self._awake_s, CONTROL, bytes([0xF1, 0, 0x84, 0, 0, 0, 1]) + bytes(9))

    def receive(self, now_s: float, data: bytes) -> None:
        for byte in data:
            if byte == 0x7E:
                if self._inside and self._frame:
                    self._obey(now_s, bytes(self._frame))
                    self._inside = False
                else:
                    self._inside = True
                self._frame.clear()
            elif self._inside and byte == 0x7D:
                self._escaped = True
            elif self._inside:
                self._frame.append(byte ^ 0x20 if self._escaped else byte)
                self._escaped = False

    def _obey(self, now_s: float, frame: bytes) -> None:
        if now_s < self._awake_s:
            return
        if frame[0] == 0:
            self._out.append((now_s, framed(0, struct.pack("<H", 256))))
            return
        length, channel = struct.unpack_from("<HB", frame, 1)
        if frame[0] != 1 or length != len(frame) - 1:
            return
        text = frame[5:]
        if channel == EXECUTABLE and text == b"\x01":
            self.reset(now_s)
        elif channel == CONTROL and text[0] == 0xFD and len(text) == 17:
            _, kind, _, _, interval_us, _, _ = struct.unpack("<BBBHIII", text)
            self._switch(now_s, kind, interval_us)
            self._say_feature(now_s, kind)
        elif channel == CONTROL and text[0] == 0xFE:
            self._say_feature(now_s, text[1])
        elif channel == CONTROL and text[0] == 0xF2 and len(text) == 12 and text[2] == 7 and text[6] == 0:
            if self.accepts_calibration:
                self.calibrates = list(text[3:6])
            status = 0 if self.accepts_calibration else 2
            self._send(now_s, CONTROL, bytes([0xF1, 0, 7, text[1], 0, status]) + bytes(10))
        elif channel == CONTROL and text[0] == 0xF0:
            self._send(now_s, INPUT, bytes([0xEF, text[1]]))

    def _switch(self, now_s: float, kind: int, interval_us: int) -> None:
        self.intervals.pop(kind, None)
        self._next_s.pop(kind, None)
        if interval_us and kind in _RATES:
            rates = _RATES[kind]
            hz = next((rate for rate in rates if rate >= 0.999e6 / interval_us), rates[-1])
            self.intervals[kind] = 1 / hz
            self._next_s[kind] = now_s + self.phase_s * (1 + kind)
            self.taken[kind], self.counts[kind] = [], []

    def _say_feature(self, now_s: float, kind: int) -> None:
        interval_us = self.stated_us(round(self.intervals.get(kind, 0.0) * 1e6))
        self._send(now_s, CONTROL, struct.pack("<BBBHIII", 0xFC, kind, 0, 0, interval_us, 0, 0))

    def _send(self, now_s: float, channel: int, cargo: bytes) -> None:
        left, more = cargo, 0
        while True:
            part, left = left[: self.most_bytes - 4], left[self.most_bytes - 4 :]
            head = struct.pack("<HBB", (len(part) + len(left) + 4) | more, channel, self._sequence[channel])
            self._sequence[channel] = (self._sequence[channel] + 1) % 256
            self.transfers += 1
            self._out.append((now_s, self.damage(self.transfers, framed(1, head + part))))
            more = 0x8000
            if not left:
                return

    def run(self, until_s: float) -> list[tuple[float, bytes]]:
        """Return what it sends up to a time, with the time of each first byte."""
        while self._next_s and (at_s := min(self._next_s.values())) <= until_s:
            kind = min(self._next_s, key=self._next_s.__getitem__)
            self._next_s[kind] += self.intervals[kind] / self.clock
            number = len(self.taken[kind])
            self.taken[kind].append(at_s)
            acc, gyro = feels(0.0 if self.frozen else at_s)
            noise = 0.0 if self.frozen else 0.012 * (number * 7919 % 5 - 2)
            drift = [0.3, 0.3, 0.3] if self.biased and self.calibrates[1] else [0.0] * 3
            if kind == ACC:
                counts = [round((value + noise) * 256) for value in acc]
            else:
                counts = [round((value + noise / 4 - off) * 512) for value, off in zip(gyro, drift, strict=True)]
            self.counts[kind].append(counts)
            values = struct.pack("<3h", *counts) + (struct.pack("<3h", 7, -3, 2) if kind == GYRO_UNCALIBRATED else b"")
            if kind not in self.silent:
                self._pending.append((at_s, kind, number % 256, values))
            self._flush(at_s)
        return self._due(until_s)

    def _flush(self, now_s: float) -> None:
        if not self._pending or now_s - self._pending[0][0] < self.hold_s:
            return
        sent_s = now_s + 0.0012  # what it computes takes a while
        base = round((sent_s - self._pending[0][0]) / _TICK_S)
        cargo = struct.pack("<Bi", 0xFB, base)
        for at_s, kind, number, values in self._pending:
            delay = round((at_s - sent_s) / _TICK_S) + base
            cargo += bytes([kind, number, (delay >> 8) << 2 | 3, delay & 0xFF]) + values
        self._pending.clear()
        self._send(sent_s, INPUT, cargo)

    def _due(self, until_s: float) -> list[tuple[float, bytes]]:
        due = [each for each in self._out if each[0] <= until_s]
        self._out = [each for each in self._out if each[0] > until_s]
        return sorted(due, key=lambda each: each[0])


class Bno08xDevice(PtyDevice):
    """A Hub at the other end of a pseudo-terminal, in real time; `path` is its port. answers: it hears the host."""

    def __init__(self, hub: Hub | None = None, *, answers: bool = True) -> None:
        self.hub, self.answers = hub or Hub(), answers
        self._lock = threading.Lock()
        super().__init__()

    def switch_off_and_on(self) -> None:
        with self._lock:
            self.hub.reset(time.monotonic())

    def _run(self) -> None:
        os.write(self._master, b"\x01\x13\x00\x03")  # the end of a transfer that began before
        while not self._stop.is_set():
            heard = b""
            if select.select([self._master], [], [], 0.001)[0]:
                heard = os.read(self._master, 4096)
            with self._lock:
                now_s = time.monotonic()
                if self.answers:
                    self.hub.receive(now_s, heard)
                for _, data in self.hub.run(now_s):
                    os.write(self._master, data)

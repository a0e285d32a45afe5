"""A WitMotion sensor at the other end of a pseudo-terminal, from WitMotion's protocol document, byte by byte.

It keeps RSW and RRATE in registers, which take effect at once, only after the key, and are lost when it is switched
off. It sends the kinds that RSW names, in order, RRATE times a second by its own clock.
"""

import math
import os
import select
import struct
import time
from collections.abc import Callable
from itertools import count

from pty_device import PtyDevice

_HZ = {0x06: 10, 0x07: 20, 0x08: 50, 0x09: 100, 0x0A: 125, 0x0B: 200}


def frame(kind: int, *words: int) -> bytes:
    text = bytes([0x55, kind]) + b"".join(struct.pack("<h", word) for word in words)
    return text + bytes([sum(text) % 256])


def acc_gyr(number: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """What it feels: 1 g on z (2048 counts), slow swings, and the sample's number in gyr_z."""
    swing, noise = math.sin(number / 9), number * 7919 % 13
    return (round(500 * swing) + noise, round(300 * math.cos(number / 7)) - noise, 2048 + noise), (
        round(900 * swing) + noise,
        round(700 * math.cos(number / 5)),
        number % 1000,
    )


class WitMotionDevice(PtyDevice):
    """clock: its own rate over the nominal one. answers: it takes commands. damage: changes bytes on the wire."""

    def __init__(
        self,
        *,
        content: int = 0x001E,
        rate: int = 0x06,
        clock: float = 1.0,
        answers: bool = True,
        damage: Callable[[int, bytes], bytes] = lambda number, text: text,
    ) -> None:
        self.saved, self.clock, self.answers, self.damage = (content, rate), clock, answers, damage
        self.registers = {0x02: content, 0x03: rate, 0x04: 0x06}
        self.sends = True
        self._locked = True
        super().__init__()

    def switch_off_and_on(self) -> None:
        self.registers |= {0x02: self.saved[0], 0x03: self.saved[1]}
        self._locked = True

    def _run(self) -> None:
        os.write(self._master, bytes(range(0x50, 0x60)))  # the end of a frame that began before
        base_s, due, heard = time.monotonic(), 0, b""
        for number in count():
            due += 1
            hz = _HZ[self.registers[0x03]] * self.clock
            if number and due / hz + base_s > time.monotonic() + 1 / hz:
                base_s, due = time.monotonic(), 1  # the rate was changed
            while (left_s := base_s + due / hz - time.monotonic()) > 0 and not self._stop.is_set():
                if select.select([self._master], [], [], min(left_s, 0.02))[0]:
                    heard = self._obey(heard + os.read(self._master, 4096))
                    base_s, due, hz = self._again(base_s, due, hz)
            if self._stop.is_set():
                return
            if self.sends:
                os.write(self._master, self.damage(number, self._frames(number)))

    def _again(self, base_s: float, due: int, hz: float) -> tuple[float, int, float]:
        now_hz = _HZ[self.registers[0x03]] * self.clock
        return (base_s, due, hz) if now_hz == hz else (time.monotonic(), 1, now_hz)

    def _obey(self, text: bytes) -> bytes:
        while len(text) >= 5:
            if text[:2] != b"\xff\xaa":
                text = text[1:]
                continue
            register, value = text[2], text[3] | text[4] << 8
            text = text[5:]
            if not self.answers:
                continue
            if register == 0x69:
                self._locked = value != 0xB588
            elif register == 0x27:
                words = [self.registers.get(value + at, 0) for at in range(4)]
                os.write(self._master, frame(0x5F, *words))
            elif not self._locked:
                self.registers[register] = value
        return text

    def _frames(self, number: int) -> bytes:
        (acc, gyr), content = acc_gyr(number), self.registers[0x02]
        sent = {0x51: (*acc, 2500), 0x52: (*gyr, 0), 0x53: (10, 20, 30, 0), 0x54: (1, 2, 3, 0)}
        return b"".join(frame(kind, *words) for kind, words in sent.items() if content & 1 << (kind - 0x50))

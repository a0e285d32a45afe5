"""LIS3DH: an accelerometer of 12 bits with 32 slots of 10. DocID17530 Rev 2 with AN3308.

That a slot keeps 10 bits in every mode is the answer of ST's support in community.st.com, td-p/440261.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.chip import Fifo, Signal
from motionsig.sensors.simulated.clock import Oscillator
from motionsig.sensors.simulated.measuring import MeasuringChip, Settings

_RATES_HZ = (0.0, 1.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0)
"""By ODR (CTRL_REG1); 8 is for low power only, 9 is 1344 Hz, 5376 Hz in low power."""

_MG = {8: (16, 32, 64, 192), 10: (4, 8, 16, 48), 12: (1, 2, 4, 12)}
"""mg per count by FS (2, 4, 8, 16 g), for each number of bits (mechanical characteristics)."""

_SLOTS, _SLOT = 32, 6
_ID, _CTRL1, _CTRL4, _CTRL5, _STATUS, _OUT, _FIFO_CTRL, _FIFO_SRC = (0x0F, 0x20, 0x23, 0x24, 0x27, 0x28, 0x2E, 0x2F)
_AUTO_INCREMENT = 0x80  # I2C operation: of the register's address
_TEST_G = (0.0, 0.5, -0.5, 0.0)  # by ST; self-test output change: 17 to 360 counts of 4 mg


# Register address map.
_DEFAULTS = {**dict.fromkeys(range(0x07, 0x40), 0), _ID: 0x33, 0x1E: 0x10, _CTRL1: 0x07}

_WRITABLE = {
    0x1E: 0x80,
    0x1F: 0xC0,
    _CTRL1: 0xFF,
    0x21: 0xFF,
    0x22: 0xFE,
    _CTRL4: 0xFF,
    _CTRL5: 0x4F,
    0x25: 0xFA,
    0x26: 0xFF,
    _FIFO_CTRL: 0xFF,
    0x30: 0xFF,
    **dict.fromkeys((0x32, 0x33, 0x36, 0x37, 0x3B, 0x3C, 0x3D, 0x3E), 0x7F),
    **dict.fromkeys((0x34, 0x3F), 0xFF),
    0x38: 0x3F,
    0x3A: 0xFF,
}


class Lis3dh(MeasuringChip):
    address = 0x18
    boot_s = 0.005  # AN3308, the boot procedure

    deciding = (_CTRL1, _CTRL4, _CTRL5, _FIFO_CTRL)
    defaults = _DEFAULTS
    writable = _WRITABLE

    def __init__(self, clock: Clock, signal: Signal, *, oscillator: Oscillator | None = None) -> None:
        self._booting_until_ns = 0
        self._seen = 0
        super().__init__(clock, signal, oscillator=oscillator)

    def make_fifo(self) -> Fifo:
        return Fifo(_SLOTS * _SLOT, _SLOT, "oldest-record")

    # Rates and ranges.

    def sampling_hz(self) -> float | None:
        code, low_power = self.registers[_CTRL1] >> 4, self.registers[_CTRL1] & 8
        if code < len(_RATES_HZ):
            return _RATES_HZ[code] or None
        return {(8, True): 1600.0, (9, False): 1344.0, (9, True): 5376.0}.get((code, bool(low_power)))

    def _bits(self) -> int:
        if self.registers[_CTRL1] & 8:  # LPen
            return 8
        return 12 if self.registers[_CTRL4] & 8 else 10  # HR

    def settings(self) -> Settings:
        registers, bits = self.registers, self._bits()
        scale = _MG[bits][registers[_CTRL4] >> 4 & 3] * 1e-3 * STANDARD_GRAVITY
        on = [registers[_CTRL1] >> axis & 1 for axis in range(3)]
        added = _TEST_G[registers[_CTRL4] >> 1 & 3] * STANDARD_GRAVITY
        running = self.sampling_hz() is not None
        return Settings(np.where(on, scale, np.inf), added, (1 << bits - 1) - 1, (running, False))

    def starting_s(self) -> tuple[float, float]:
        # Turn-on time by operating mode.
        return {8: 0.001, 10: 0.0016, 12: 7 / (self.sampling_hz() or 1.0)}[self._bits()], 0.0

    # FIFO.

    def fifo_on(self) -> bool:
        return bool(self.registers[_CTRL5] & 0x40) and self.registers[_FIFO_CTRL] >> 6 != 0

    def decided(self) -> None:
        self.fifo.full = "newest" if self.registers[_FIFO_CTRL] >> 6 == 1 else "oldest-record"
        if not self.fifo_on():
            self.fifo.clear()

    def records(self, serials: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, 6) bytes of these samples: the upper 10 bits of the counts are at the left of 16 bits."""
        left = self.counts(serials) << 16 - self._bits() & ~0x3F
        return left.astype("<i2").view(np.uint8)

    # Registers.

    def write(self, data: bytes) -> None:
        self.catch_up()
        step = data[0] >> 7
        for offset, value in enumerate(data[1:]):
            self.write_register((data[0] & 0x7F) + offset * step, value)
        self._resample()

    def write_register(self, register: int, value: int) -> None:
        if register == _CTRL5 and value & 0x80:  # BOOT: the trimming again; what was written here stays (AN3308)
            self._booting_until_ns = self.clock.monotonic_ns() + round(self.boot_s * 1e9)
        bits = self.writable.get(register, 0)
        self.registers[register] = self.registers.get(register, 0) & ~bits | value & bits

    def read(self, register: int, size: int) -> bytes:
        """Walk the registers, from 2Dh back to 28h while the FIFO is on; a slot is gone after its last byte."""
        self.catch_up()
        step, register = register >> 7, register & 0x7F
        if register == _OUT and step and self.fifo_on():
            return self._slots(size)
        out = bytearray()
        for _ in range(size):
            if register == _OUT and step and self.fifo_on():
                out += self._slots(size - len(out))
                break
            out.append(self.read_register(register))
            register += step
        return bytes(out)

    def flip(self, register: int, bit: int, at_ns: int | None = None) -> None:
        """Turn over one bit; bit 7 of a register's number only says that more are to follow."""
        super().flip(register & 0x7F, bit, at_ns)

    def _slots(self, size: int) -> bytes:
        fifo = self.fifo
        self._seen = self.taken
        slots, _ = fifo.serials(min(size, fifo.level))
        if not len(slots) and self.taken:
            slots = np.array([self.taken - 1], np.int64)
        data = self.records(slots).tobytes() or bytes(_SLOT)
        fifo.pop(size // _SLOT * _SLOT)
        fifo.overran = False
        return (data + data[-_SLOT:] * (-(-size // _SLOT)))[:size]

    def read_register(self, register: int) -> int:
        if register == _FIFO_SRC:
            # WTM, OVRN_FIFO (full), EMPTY and FSS, whose five bits stop at 31 (AN3308, FIFO_SRC_REG).
            slots, on = self.fifo.level // _SLOT, self.fifo_on()
            mark = on and slots > self.registers[_FIFO_CTRL] & 31
            return mark << 7 | (slots == _SLOTS) << 6 | (on and not slots) << 5 | min(slots, 31)
        if _OUT <= register < _OUT + 6:
            self._seen = self.taken
            at, high = divmod(register - _OUT, 2)
            return int(self.latest()[at]) << 16 - self._bits() >> 8 * high & 0xFF
        if register == _STATUS:
            return 0x0F if self.taken > self._seen else 0
        if register == _CTRL5 and self.clock.monotonic_ns() < self._booting_until_ns:
            return self.registers[register] | 0x80
        return self.registers.get(register, 0)

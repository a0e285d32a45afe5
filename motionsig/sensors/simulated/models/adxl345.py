"""ADXL345: an accelerometer with 32 entries, of which each read takes one. Analog Devices, data sheet Rev. G."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.simulated.chip import Fifo
from motionsig.sensors.simulated.measuring import MeasuringChip, Settings

_ENTRIES, _ENTRY = 33, 6  # FIFO_STATUS: 32, and one more in the output filter
_RATE, _POWER, _INT_SOURCE, _FORMAT, _DATA, _FIFO_CTL, _FIFO_STATUS = (0x2C, 0x2D, 0x30, 0x31, 0x32, 0x38, 0x39)
_DATA_END = _DATA + _ENTRY
_BYPASS, _STOP_WHEN_FULL = 0, 1

_TEST_G = np.array([1.2 * 1.77, -1.2 * 1.77, 1.8 * 1.47])
"""What SELF_TEST adds: amid the limits at 2.5 V, by the scale factors for 3.3 V (self-test)."""


# Register map.
_DEFAULTS = {**dict.fromkeys((0x00, *range(0x1D, 0x3A)), 0), 0x00: 0xE5, _RATE: 0x0A, _INT_SOURCE: 0x02}

_WRITABLE = {
    **dict.fromkeys((*range(0x1D, 0x2A), 0x2E, 0x2F, _FIFO_CTL), 0xFF),
    0x2A: 0x0F,
    _RATE: 0x1F,
    _POWER: 0x3F,
    _FORMAT: 0xEF,
}


class Adxl345(MeasuringChip):
    address = 0x53
    boot_s = 0.0011  # turn-on to standby

    deciding = (_RATE, _POWER, _FORMAT, _FIFO_CTL)
    defaults = _DEFAULTS
    writable = _WRITABLE

    def make_fifo(self) -> Fifo:
        self._overrun = False
        self._seen = 0
        self._ahead: tuple[int, bytes] = 0, b""  # serial number of the first entry whose bytes these are
        return Fifo(_ENTRIES * _ENTRY, _ENTRY, "oldest-record")

    def booted(self) -> None:
        self._overrun = False

    # Rates and ranges.

    def sampling_hz(self) -> float | None:
        if self.registers[_POWER] & 0x0C != 0x08:  # Measure, and not Sleep
            return None
        return 3200.0 / 2.0 ** (15 - (self.registers[_RATE] & 15))  # BW_RATE

    def settings(self) -> Settings:
        registers = self.registers
        range_code, full = registers[_FORMAT] & 3, bool(registers[_FORMAT] & 0x08)
        # 256 counts per g, in full resolution in every range; else ten bits for the range.
        counts_per_g = 256 if full else 256 >> range_code
        most = (512 << range_code if full else 512) - 1
        test = _TEST_G if registers[_FORMAT] & 0x80 else np.zeros(3)
        on = self.sampling_hz() is not None
        return Settings(np.full(3, STANDARD_GRAVITY / counts_per_g), test * STANDARD_GRAVITY, most, (on, False))

    def starting_s(self) -> tuple[float, float]:
        return 0.0011 + 1 / (self.sampling_hz() or 1.0), 0.0  # turn-on and wake-up time

    # FIFO.

    def _mode(self) -> int:
        return self.registers[_FIFO_CTL] >> 6

    def fifo_on(self) -> bool:
        return self._mode() != _BYPASS

    def decided(self) -> None:
        self.fifo.full = "newest" if self._mode() == _STOP_WHEN_FULL else "oldest-record"
        self._ahead = 0, b""
        if not self.fifo_on():
            self.fifo.clear()

    def records(self, serials: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return (n, 6) bytes of these samples."""
        counts = self.counts(serials)
        if self.registers[_FORMAT] & 0x08 and (self.sampling_hz() or 0) > 800:
            counts = counts & ~1  # data formatting at 3200 and 1600 Hz: bit D0 is always 0
        if self.registers[_FORMAT] & 0x04:  # Justify: at the left
            span = 2 * (self._since[-1].settings.most + 1)
            counts = counts * (65536 // span)
        return counts.astype("<i2").view(np.uint8)

    # Registers.

    def write_register(self, register: int, value: int) -> None:
        bits = self.writable.get(register, 0)
        self.registers[register] = self.registers.get(register, 0) & ~bits | value & bits

    def read_stream(self, register: int, size: int) -> bytes | None:
        """Take one entry, however few of its bytes are read and whatever is read after them ("FIFO", Rev. G)."""
        if not (register < _DATA_END and register + size > _DATA):
            return None
        sample = self._sample()
        if (register, size) == (_DATA, _ENTRY):
            return sample
        # What stands beside the data is read before the entry is gone.
        return bytes(
            sample[at - _DATA] if _DATA <= at < _DATA_END else self.read_register(at)
            for at in range(register, register + size)
        )

    def _sample(self) -> bytes:
        fifo = self.fifo
        entries, _ = fifo.serials(_ENTRY)
        serial = int(entries[0]) if len(entries) else self.taken - 1
        at = (serial - self._ahead[0]) * _ENTRY
        if not 0 <= at < len(self._ahead[1]):
            # Entry by entry would cost an hour of 800 Hz a minute.
            waiting, _ = fifo.serials(fifo.level)
            waiting = waiting[: int(np.searchsorted(waiting - np.arange(len(waiting)), serial, side="right"))]
            if not len(waiting):
                waiting = np.array([serial] if self.taken else [], np.int64)
            self._ahead, at = (serial, self.records(waiting).tobytes() or bytes(_ENTRY)), 0
        fifo.pop(_ENTRY)
        self._overrun = fifo.overran = False
        self._seen = self.taken
        return self._ahead[1][at : at + _ENTRY]

    def catch_up(self, at_ns: int | None = None) -> None:
        before = self.taken
        super().catch_up(at_ns)
        fresh = self.taken - before
        # INT_SOURCE, overrun: where the FIFO is in use once it is filled, else once data nobody read is replaced.
        if fresh:
            fifo = self.fifo
            unread = self.taken - self._seen > 1
            self._overrun |= fifo.level >= fifo.capacity if self.fifo_on() else unread

    def read_register(self, register: int) -> int:
        entries = self.fifo.level // _ENTRY
        if register == _FIFO_STATUS:
            return entries
        if register == _INT_SOURCE:
            ready = entries > 0 if self.fifo_on() else self.taken > self._seen
            mark = entries >= (self.registers[_FIFO_CTL] & 31) and (
                self.fifo_on() or not self.registers[_FIFO_CTL] & 31
            )
            return ready << 7 | mark << 1 | self._overrun
        return self.registers.get(register, 0)

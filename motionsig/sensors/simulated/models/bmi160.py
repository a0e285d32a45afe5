"""BMI160: a FIFO of frames with headers, and commands that take their time. BST-BMI160-DS000-07."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import radians

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.chip import Fifo, Signal
from motionsig.sensors.simulated.clock import Oscillator
from motionsig.sensors.simulated.measuring import MeasuringChip, Settings

_ID, _ERROR, _PMU, _GYRO_OUT, _ACCEL_OUT, _TIME, _STATUS, _TEMPERATURE = (
    0x00,
    0x02,
    0x03,
    0x0C,
    0x12,
    0x18,
    0x1B,
    0x20,
)
_FIFO_LENGTH, _FIFO_DATA, _ACC_CONF, _ACC_RANGE, _GYR_CONF, _GYR_RANGE = (0x22, 0x24, 0x40, 0x41, 0x42, 0x43)
_FIFO_DOWNS, _FIFO_CONFIG_1, _SELF_TEST, _CMD = 0x45, 0x47, 0x6D, 0x7E
_GYR_EN, _ACC_EN, _HEADER_EN, _TIME_EN = 0x80, 0x40, 0x10, 0x02  # FIFO_CONFIG_1

_ACCEL_COUNTS_PER_G = {0b0011: 16384, 0b0101: 8192, 0b1000: 4096, 0b1100: 2048}
"""By acc_range; another code is 2 g (ACC_RANGE)."""

_GYRO_COUNTS_PER_DPS = (16.4, 32.8, 65.6, 131.2, 262.4)
"""By gyr_range: 2000 to 125 deg/s (sensitivity)."""

_SENSOR_TIME_S = 39.0625e-6  # table 11, sensor time
_FIFO_BYTES = 1024
_REGULAR, _GYRO_FRAME, _ACCEL_FRAME = 0x80, 0x08, 0x04
_SKIP, _SENSOR_TIME, _CONFIG_CHANGE = 0x40, 0x44, 0x48
_BETWEEN_WRITES_NS = 450_000  # idle time between write accesses, while all sensors are suspended

_SUSPEND, _NORMAL, _LOW_POWER, _FAST_START_UP = 0, 1, 2, 3
_POWER_MODES = {
    # Command: bits of PMU_STATUS, mode, seconds (power modes; start-up time).
    0x10: (4, _SUSPEND, 0.0),
    0x11: (4, _NORMAL, 0.0032),
    0x12: (4, _LOW_POWER, 0.0032),
    0x14: (2, _SUSPEND, 0.0),
    0x15: (2, _NORMAL, 0.055),
    0x17: (2, _FAST_START_UP, 0.055),
}
_FLUSH, _SOFT_RESET = 0xB0, 0xB6
_SETTLE_S = (0.0006, 0.025)  # from normal in PMU_STATUS to good at the latest: 3.8 and 80 ms in all


@dataclass
class _Frames:
    """Frames of one kind, of consecutive samples. A config change's `serial` is its payload."""

    header: int
    size: int
    serial: int
    count: int


class FrameFifo(Fifo):
    """Frames of several sizes; a full FIFO drops its oldest frame and counts it as skipped (section 2.5.1)."""

    def __init__(self) -> None:
        self.accel_every = self.gyro_every = 0
        self.headers = True
        super().__init__(_FIFO_BYTES, 1)

    def clear(self) -> None:
        self.frames: deque[_Frames] = deque()
        self.level = 0
        self.skipped = 0
        self.overran = False

    def push(self, serial: int, count: int) -> None:
        periods = self.accel_every, self.gyro_every
        if max(periods) <= 1:
            self.add(_ACCEL_FRAME * periods[0] | _GYRO_FRAME * periods[1], serial, count)
            return
        # Rates that differ are rare, and few samples are then due at once.
        for sample in range(serial, serial + count):
            accel, gyro = (bool(every) and sample % every == 0 for every in periods)
            self.add(_ACCEL_FRAME * accel | _GYRO_FRAME * gyro, sample, 1)

    def add(self, sensors: int, serial: int, count: int) -> None:
        size = self.headers + 6 * sensors.bit_count()
        if sensors:
            self._append(_REGULAR | sensors, size, serial, count)

    def config_changed(self, what: int) -> None:
        self._append(_CONFIG_CHANGE, 2, what, 1)

    def _append(self, header: int, size: int, serial: int, count: int) -> None:
        last = self.frames[-1] if self.frames else None
        if last and last.header == header and last.size == size and last.serial + last.count == serial:
            last.count += count
        else:
            self.frames.append(_Frames(header, size, serial, count))
        self.level += size * count
        while self.level > self.capacity:
            oldest = self.frames[0]
            gone = min(-(-(self.level - self.capacity) // oldest.size), oldest.count)
            self._drop_frames(gone)
            self.skipped += gone
            self.overran = True

    def _drop_frames(self, count: int) -> None:
        oldest = self.frames[0]
        self.level -= oldest.size * count
        oldest.serial += count
        oldest.count -= count
        if not oldest.count:
            self.frames.popleft()

    def pop(self, size: int) -> None:
        """Take the frames that `size` bytes hold whole: one that is cut short comes again (section 2.5.1)."""
        while self.frames:
            oldest = self.frames[0]
            whole = min(size // oldest.size, oldest.count)
            if not whole:
                return
            size -= whole * oldest.size
            self._drop_frames(whole)


# Register map: what is not 0 after a reset.
_DEFAULTS = {
    **dict.fromkeys(range(0x00, 0x80), 0),
    _ID: 0xD1,
    _STATUS: 0x10,
    _ACC_CONF: 0x28,
    _ACC_RANGE: 0x03,
    _GYR_CONF: 0x28,
    0x44: 0x0B,
    _FIFO_DOWNS: 0x88,
    0x46: 0x80,
    _FIFO_CONFIG_1: 0x10,
    0x4B: 0x20,
    0x4C: 0x80,
    0x4D: 0x42,
    0x4E: 0x4C,
    0x5A: 0x07,
    0x5B: 0x30,
    0x5C: 0x81,
    0x5D: 0x0B,
    0x5E: 0xC0,
    0x60: 0x14,
    0x61: 0x14,
    0x62: 0x24,
    0x63: 0x04,
    0x64: 0xDA,
    0x65: 0x18,
    0x66: 0xC8,
    0x67: 0x08,
    0x68: 0x11,
    0x7A: 0x15,
    0x7B: 0x03,
}

_WRITABLE = {
    _ACC_CONF: 0xFF,
    _ACC_RANGE: 0x0F,
    _GYR_CONF: 0x3F,
    _GYR_RANGE: 0x07,
    0x44: 0x0F,
    _FIFO_DOWNS: 0xFF,
    0x46: 0xFF,
    _FIFO_CONFIG_1: 0xFE,
    **dict.fromkeys(range(0x4B, 0x6D), 0xFF),
    _SELF_TEST: 0x1F,
    **dict.fromkeys(range(0x70, 0x7C), 0xFF),
}


class Bmi160(MeasuringChip):
    address = 0x68
    boot_s = 0.01

    deciding = (_PMU, _ACC_CONF, _ACC_RANGE, _GYR_CONF, _GYR_RANGE, _FIFO_DOWNS, _FIFO_CONFIG_1, _SELF_TEST)
    defaults = _DEFAULTS
    writable = _WRITABLE
    frames: FrameFifo

    def __init__(self, clock: Clock, signal: Signal, *, oscillator: Oscillator | None = None) -> None:
        self._pending: list[tuple[int, int, int]] = []  # when, bits of PMU_STATUS, mode
        self._busy_until_ns = 0
        self._wrote_ns = 0
        self._booted_s = 0.0
        self._seen = 0
        super().__init__(clock, signal, oscillator=oscillator)

    def make_fifo(self) -> Fifo:
        self.frames = FrameFifo()
        return self.frames

    def booted(self) -> None:
        self._pending.clear()
        self._busy_until_ns = 0
        self._wrote_ns = 0
        self._booted_s = self.oscillator.elapsed_s(self.clock.monotonic_ns())

    # Rates and ranges.

    def _accel_hz(self) -> float:
        conf = self.registers[_ACC_CONF]
        if not self.registers[_PMU] >> 4 & 3 or not (5 if conf < 0x80 else 1) <= conf & 15 <= 12:
            return 0.0
        return 100.0 * 2.0 ** ((conf & 15) - 8)

    def _gyro_hz(self) -> float:
        code = self.registers[_GYR_CONF] & 15
        return 100.0 * 2.0 ** (code - 8) if self.registers[_PMU] >> 2 & 3 == _NORMAL and 6 <= code <= 13 else 0.0

    def _fifo_hz(self) -> tuple[float, float]:
        """Return the rates at which accelerometer and gyroscope go into the FIFO: FIFO_DOWNS, FIFO_CONFIG."""
        downs, config = self.registers[_FIFO_DOWNS], self.registers[_FIFO_CONFIG_1]
        accel = (self._accel_hz() if downs & 0x80 else min(1600.0, self._accel_hz() * 1e9)) / 2 ** (downs >> 4 & 7)
        gyro = (self._gyro_hz() if downs & 0x08 else min(6400.0, self._gyro_hz() * 1e9)) / 2 ** (downs & 7)
        return accel * bool(config & _ACC_EN), gyro * bool(config & _GYR_EN)

    def sampling_hz(self) -> float | None:
        return max(self._accel_hz(), self._gyro_hz(), *self._fifo_hz()) or None

    def settings(self) -> Settings:
        registers = self.registers
        per_g = _ACCEL_COUNTS_PER_G.get(registers[_ACC_RANGE], 16384)
        code = registers[_GYR_RANGE] & 7
        per_dps = _GYRO_COUNTS_PER_DPS[code if code < len(_GYRO_COUNTS_PER_DPS) else 0]
        on = self._accel_hz() > 0, self._gyro_hz() > 0
        scale = [STANDARD_GRAVITY / per_g if on[0] else np.inf, radians(1) / per_dps if on[1] else np.inf]
        # Self-test, and Bosch's bmi160.c (ACCEL_SELF_TEST_LIMIT, 8192 counts of 8 g): with the high amplitude,
        # positive and negative differ by at least 2 g in each axis.
        test = registers[_SELF_TEST]
        amplitude = (1.3 if test & 8 else 0.3) * STANDARD_GRAVITY if test & 3 else 0.0
        added = [amplitude if test & 4 else -amplitude, 0.0]
        return Settings(np.repeat(scale, 3), np.repeat(added, 3), 32767, on)

    def starting_s(self) -> tuple[float, float]:
        return _SETTLE_S

    # FIFO.

    def fifo_on(self) -> bool:
        return bool(self.registers[_FIFO_CONFIG_1] & (_ACC_EN | _GYR_EN))

    def decided(self) -> None:
        frames, rate_hz = self.frames, self.sampling_hz()
        frames.accel_every, frames.gyro_every = (
            max(1, round(rate_hz / hz)) if rate_hz and hz else 0 for hz in self._fifo_hz()
        )
        headers = bool(self.registers[_FIFO_CONFIG_1] & _HEADER_EN)
        if headers != frames.headers:
            frames.clear()
            frames.headers = headers

    def records(
        self, serials: NDArray[np.int64], header: int = _REGULAR | _GYRO_FRAME | _ACCEL_FRAME
    ) -> NDArray[np.uint8]:
        """Return (n, frame size) bytes of these samples: header, gyroscope, accelerometer."""
        counts = self.counts(serials).astype("<i2")
        bytes_ = counts.view(np.uint8)
        parts = [np.full((len(serials), 1), header, np.uint8)] if self.frames.headers else []
        if header & _GYRO_FRAME:
            parts.append(bytes_[:, 6:])
        if header & _ACCEL_FRAME:
            parts.append(bytes_[:, :6])
        return np.concatenate(parts, axis=1)

    def _read_fifo(self, size: int) -> bytes:
        """Section 2.5.1: a skip frame comes first; past the end one sensor time, where asked for, and then 80h."""
        fifo, out = self.frames, bytearray()
        if fifo.skipped and fifo.headers:
            out += bytes((_SKIP, min(fifo.skipped, 255)))
            if size >= 2:
                fifo.skipped = 0
        skip = len(out)
        for frames in fifo.frames:
            missing = size - len(out)
            if missing <= 0:
                break
            count = min(frames.count, -(-missing // frames.size))
            if frames.header == _CONFIG_CHANGE:
                out += bytes((_CONFIG_CHANGE, frames.serial))
            else:
                out += self.records(
                    np.arange(frames.serial, frames.serial + count, dtype=np.int64), frames.header
                ).tobytes()
        fifo.pop(max(0, size - skip))
        if len(out) < size and fifo.headers and self.registers[_FIFO_CONFIG_1] & _TIME_EN:
            out += bytes((_SENSOR_TIME,)) + self._sensor_time().to_bytes(3, "little")
        return bytes(out[:size]).ljust(size, b"\x80")

    def _sensor_time(self) -> int:
        shown_s = self.oscillator.elapsed_s(self.clock.monotonic_ns()) - self._booted_s
        return int(shown_s / _SENSOR_TIME_S) & 0xFFFFFF

    # Registers.

    def catch_up(self, at_ns: int | None = None) -> None:
        now_ns = self.clock.monotonic_ns() if at_ns is None else at_ns
        while self._pending and self._pending[0][0] <= now_ns:
            done_ns, bits, mode = self._pending.pop(0)
            super().catch_up(done_ns)
            self.registers[_PMU] = self.registers[_PMU] & ~(3 << bits) | mode << bits
            self._resample(done_ns)
        super().catch_up(at_ns)

    def write(self, data: bytes) -> None:
        now_ns = self.clock.monotonic_ns()
        suspended = not self.registers[_PMU] & 0x3C
        if suspended:
            # Suspend mode: no bursts, and time between writes; what comes too early is lost.
            data = data[:2] if now_ns - self._wrote_ns >= _BETWEEN_WRITES_NS else data[:1]
        super().write(data)
        if len(data) > 1:
            self._wrote_ns = now_ns

    def write_register(self, register: int, value: int) -> None:
        if register == _CMD:
            self._command(value)
            return
        bits = self.writable.get(register, 0)
        before = self.registers.get(register, 0)
        self.registers[register] = before & ~bits | value & bits
        if register in (_ACC_CONF, _ACC_RANGE, _GYR_CONF, _GYR_RANGE) and self.registers[register] != before:
            enabled = _ACC_EN if register < _GYR_CONF else _GYR_EN
            if self.registers[_FIFO_CONFIG_1] & enabled and self.frames.headers and self._rate_hz:
                self.frames.config_changed(1 << register - _ACC_CONF)

    def _command(self, command: int) -> None:
        now_ns = self.clock.monotonic_ns()
        if now_ns < self._busy_until_ns:
            self.registers[_ERROR] |= 0x40  # drop_cmd_err
        elif command == _SOFT_RESET:
            self.restart(now_ns, 0.001)
        elif command == _FLUSH:
            self.frames.clear()
        elif command in _POWER_MODES:
            bits, mode, seconds = _POWER_MODES[command]
            if self.registers[_PMU] >> bits & 3 == mode:
                return
            self._busy_until_ns = now_ns + round(seconds * NS_PER_S)
            self._pending.append((self._busy_until_ns, bits, mode))
            self.catch_up(now_ns)

    def read_stream(self, register: int, size: int) -> bytes | None:
        """Stay at FIFO_DATA (FIFO_DATA), also in a read that comes from FIFO_LENGTH."""
        if register == _FIFO_DATA:
            return self._read_fifo(size)
        if _FIFO_LENGTH <= register < _FIFO_DATA < register + size:
            before = bytes(self.read_register(at) for at in range(register, _FIFO_DATA))
            return before + self._read_fifo(size - len(before))
        return None

    def read_register(self, register: int) -> int:
        if _FIFO_LENGTH <= register < _FIFO_DATA:
            frames = self.frames
            length = frames.level + 2 * (frames.headers and frames.skipped > 0)
            return length >> 8 * (register - _FIFO_LENGTH) & 0xFF
        if _GYRO_OUT <= register < _TIME:
            self._seen = self.taken
            at, high = divmod(register - _GYRO_OUT, 2)
            return int(self.latest()[(at + 3) % 6]) >> 8 * high & 0xFF
        if _TIME <= register < _STATUS:
            return self._sensor_time() >> 8 * (register - _TIME) & 0xFF
        if register == _STATUS:
            on = self.settings().on
            ready = (on[0] * 0x80 | on[1] * 0x40) if self.taken > self._seen else 0
            passed = 0x02 if self.registers[_SELF_TEST] & 0x10 and on[1] else 0  # gyr_self_test_ok
            return 0x10 | ready | passed
        if register in (_TEMPERATURE, _TEMPERATURE + 1):
            counts = int((self.temperature_c - 23) * 512)  # TEMPERATURE
            return counts >> 8 * (register - _TEMPERATURE) & 0xFF
        if register == _ERROR:
            error, self.registers[_ERROR] = self.registers[_ERROR], 0
            return error
        return 0 if register == _CMD else self.registers.get(register, 0)

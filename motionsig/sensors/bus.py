"""A bus, and the I2C bus: two kinds of transaction, and what they cost in time.

A write, or a write of one register followed by a read without a stop between: more would not run everywhere, for the
Pi's driver takes a read only as the last message of a transaction (drivers/i2c/busses/i2c-bcm2835.c, bcm2835_i2c_xfer).
"""

from __future__ import annotations

import ctypes
import errno
import re
from pathlib import Path
from typing import Any, Protocol

from motionsig.closing import Closing
from motionsig.errors import InputError, MissingExtraError, SensorError
from motionsig.hints import install_hint

DEFAULT_CLOCK_HZ = 100_000
"""What the kernel takes where the device tree names no clock (include/linux/i2c.h, I2C_MAX_STANDARD_MODE_FREQ)."""
_NACKS = {errno.EREMOTEIO, errno.ENXIO, errno.ENODEV}
"""What adapters report when nobody acknowledges: the Pi's, most others, i2c-stub."""


NO_ADDRESS = 0
"""Stands for the address of a chip on SPI. No chip on I2C has it: there, it calls all of them."""
_BUS = re.compile(r"(?:(?:/dev/)?i2c-)?([0-9]+)|(?:/dev/)?(?:spidev|spi)([0-9]+\.[0-9]+)")


class BusError(SensorError):
    """A transaction that failed; `nack`: because nobody acknowledged, so no data byte has moved."""

    def __init__(self, message: str, *, nack: bool) -> None:
        super().__init__(message)
        self.nack = nack


class Bus(Protocol):
    """A bus with chips, I2C or SPI. Both transactions raise BusError."""

    name: str
    clock_hz: int

    def write(self, address: int, data: bytes) -> None:
        """Write `data`, whose first byte is the register."""

    def read(self, address: int, register: int, size: int) -> bytes:
        """Read `size` bytes from `register` on."""

    def transaction_s(self, size: int) -> float:
        """Return the time that a read of `size` bytes takes on the wires."""

    def close(self) -> None: ...


def parse_bus(text: str) -> int | str:
    """Return N for N or /dev/i2c-N, and the path for spi0.0 or /dev/spidev0.0; raise InputError for any other text."""
    match = _BUS.fullmatch(text)
    if match is None:
        raise InputError(f"bus: expected N of /dev/i2c-N, or spi0.0 for /dev/spidev0.0, got {text!r}")
    return int(match[1]) if match[1] else f"/dev/spidev{match[2]}"


def at(address: int) -> str:
    """Return how an address is told in a sentence: nothing on SPI."""
    return "" if address == NO_ADDRESS else f" at 0x{address:02x}"


def transaction_s(clock_hz: int, size: int) -> float:
    """Return the time that a read of `size` bytes takes on the wire: nine bits a byte, two addresses, a register."""
    return (9 * (size + 3) + 3) / clock_hz


class I2cBus(Closing):
    """A bus of this machine through smbus2, /dev/i2c-NUMBER."""

    def __init__(self, number: int, *, clock_hz: int | None = None, root: str | Path = "/") -> None:
        """Raise SensorError if it cannot be opened. `clock_hz`: where the device tree lacks it or is wrong."""
        try:
            import smbus2
        except ImportError as error:
            raise MissingExtraError(f"I2C needs smbus2: {install_hint('smbus2')}") from error
        if clock_hz is not None and not clock_hz > 0:
            raise InputError(f"bus_clock_hz: expected a number above 0, got {clock_hz!r}")
        self.name = f"/dev/i2c-{number}"
        self.clock_hz = clock_hz or bus_clock_hz(number, root=root) or DEFAULT_CLOCK_HZ
        self._message: Any = smbus2.i2c_msg
        try:
            self._bus = smbus2.SMBus(number)
        except OSError as error:
            raise SensorError(
                f"{self.name}: expected to open it, got: {error.strerror}; see `motionsig doctor`"
            ) from error

    def write(self, address: int, data: bytes) -> None:
        self._transfer(address, self._message.write(address, data))

    def read(self, address: int, register: int, size: int) -> bytes:
        data = self._message.read(address, size)
        self._transfer(address, self._message.write(address, (register,)), data)
        # A slice of the buffer; iterating over an i2c_msg makes a Python integer of every byte.
        return ctypes.string_at(data.buf, data.len)

    def transaction_s(self, size: int) -> float:
        return transaction_s(self.clock_hz, size)

    def close(self) -> None:
        self._bus.close()

    def _transfer(self, address: int, *messages: Any) -> None:
        try:
            self._bus.i2c_rdwr(*messages)
        except OSError as error:
            raise BusError(
                f"{self.name} address 0x{address:02x}: expected a transaction, got: {error.strerror} ({error.errno})",
                nack=error.errno in _NACKS,
            ) from error


def bus_clock_hz(number: int, *, root: str | Path = "/") -> int | None:
    """Return the clock of /dev/i2c-NUMBER from the device tree in sysfs, or None where it is not told."""
    path = Path(root, f"sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency")
    try:
        return int.from_bytes(path.read_bytes()[:4], "big") or None
    except OSError:
        return None


def bus_numbers(*, root: str | Path = "/") -> list[int]:
    """Return the numbers of the I2C buses there are, in order."""
    numbers = (path.name.removeprefix("i2c-") for path in Path(root, "dev").glob("i2c-*"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def holder(bus_name: str, address: int, *, root: str | Path = "/") -> str | None:
    """Return the kernel's driver that holds an address of /dev/i2c-N, or None: transactions would not ask it."""
    number = bus_name.rpartition("-")[2]
    driver = Path(root, f"sys/bus/i2c/devices/{number}-{address:04x}/driver")
    return driver.resolve().name if driver.exists() else None

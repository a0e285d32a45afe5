"""A bus, and the I2C bus: two kinds of transaction, and what they cost in time.

A write, or a write of one register followed by a read without a stop between: more would not run everywhere, for the
Pi's driver takes a read only as the last message of a transaction (drivers/i2c/busses/i2c-bcm2835.c, bcm2835_i2c_xfer).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
from pathlib import Path
from typing import Any, Protocol

from motionsig.closing import Closing
from motionsig.errors import InputError, MissingExtraError, SensorError
from motionsig.hints import install_hint
from motionsig.locks import name_again

DEFAULT_CLOCK_HZ = 100_000
"""What the kernel takes where the device tree names no clock (include/linux/i2c.h, I2C_MAX_STANDARD_MODE_FREQ)."""
_NACKS = {errno.EREMOTEIO, errno.ENXIO, errno.ENODEV}
"""What adapters report when nobody acknowledges: the Pi's, most others, i2c-stub."""
_I2C_SLAVE, _FUNC_I2C = 0x0703, 0x0001
"""include/uapi/linux/i2c-dev.h, i2c.h: choose an address; the adapter takes whole I2C transactions."""


NO_ADDRESS = 0
"""Stands for the address of a chip on SPI. No chip on I2C has it: there, it calls all of them."""
_BUS = re.compile(r"(?:(?:/dev/)?i2c-)?([0-9]+)|(?:/dev/)?(?:spidev|spi)([0-9]+\.[0-9]+)")
_MOST_KEPT = 256
"""Messages that are kept to be sent again."""


class BusError(SensorError):
    """A transaction that failed; `nack`: because nobody acknowledged, so no data byte has moved."""

    def __init__(self, message: str, *, nack: bool) -> None:
        super().__init__(message)
        self.nack = nack


class Bus(Protocol):
    """A bus with chips, I2C or SPI. Both transactions raise BusError.

    One that is a device of this machine also has `nodes`: its node, then those of the buses above it (owner.py).
    """

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
        """Raise SensorError where it cannot be used. `clock_hz`: where the device tree lacks it or is wrong."""
        try:
            import smbus2
        except ImportError as error:
            raise MissingExtraError(f"I2C needs smbus2: {install_hint('smbus2')}") from error
        if clock_hz is not None and not clock_hz > 0:
            raise InputError(f"bus_clock_hz: expected a number above 0, got {clock_hz!r}")
        self.name = f"/dev/i2c-{number}"
        self.clock_hz = clock_hz or bus_clock_hz(number, root=root) or DEFAULT_CLOCK_HZ
        self.nodes = tuple(Path(f"/dev/i2c-{each}") for each in (number, *_above(number, Path(root))))
        self._message: Any = smbus2.i2c_msg
        self._asked: dict[tuple[int, int, int], tuple[Any, Any]] = {}
        self._root = root
        try:
            self._bus: Any = smbus2.SMBus(number)
        except OSError as error:
            raise SensorError(
                f"{self.name}: expected to open it, got: {error.strerror}; see `motionsig doctor`"
            ) from error
        if not self._bus.funcs & _FUNC_I2C:
            self.close()
            raise SensorError(
                f"{self.name} ({adapter_name(number, root=root)}): expected an adapter that takes whole I2C "
                "transactions, got one for SMBus alone, which cannot read a FIFO; connect the sensor to another bus"
            )

    def write(self, address: int, data: bytes) -> None:
        self._transfer(address, self._message.write(address, data))

    def read(self, address: int, register: int, size: int) -> bytes:
        # A reader asks the same few things for ever, and making a message takes longer than what else is done here.
        messages = self._asked.get((address, register, size))
        if messages is None:
            if len(self._asked) >= _MOST_KEPT:
                self._asked.clear()
            messages = self._message.write(address, (register,)), self._message.read(address, size)
            self._asked[address, register, size] = messages
        self._transfer(address, *messages)
        data = messages[1]
        # A slice of the buffer; iterating over an i2c_msg makes a Python integer of every byte.
        return ctypes.string_at(data.buf, data.len)

    def driver(self, address: int) -> str | None:
        """Return the kernel's driver that holds an address, here or where the bus's transactions lead; None if none."""
        found = holder(self.name, address, root=self._root)
        if found is None:
            try:
                # The kernel knows more than sysfs tells: a chip that ACPI describes is not named by its address there.
                fcntl.ioctl(self._bus.fd, _I2C_SLAVE, address)
            except OSError as error:
                return "of unknown name" if error.errno == errno.EBUSY else None
        return found

    def transaction_s(self, size: int) -> float:
        return transaction_s(self.clock_hz, size)

    def close(self) -> None:
        self._bus.close()
        name_again()

    def _transfer(self, address: int, *messages: Any) -> None:
        try:
            self._bus.i2c_rdwr(*messages)
        except OSError as error:
            raise BusError(
                f"{self.name} address 0x{address:02x}: expected a transaction, got: {error.strerror} ({error.errno})",
                nack=error.errno in _NACKS,
            ) from error


def kernel_driver(bus: Bus, address: int) -> str | None:
    """Return the kernel's driver that holds an address of a bus of this machine; None on any other bus."""
    return bus.driver(address) if isinstance(bus, I2cBus) else None


def bus_clock_hz(number: int, *, root: str | Path = "/") -> int | None:
    """Return the clock of /dev/i2c-NUMBER from the device tree in sysfs, or None where it is not told."""
    path = Path(root, f"sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency")
    try:
        return int.from_bytes(path.read_bytes()[:4], "big") or None
    except OSError:
        return None


def adapter_name(number: int, *, root: str | Path = "/") -> str:
    """Return what the kernel calls the adapter of /dev/i2c-NUMBER."""
    try:
        return Path(root, f"sys/class/i2c-adapter/i2c-{number}/name").read_text("utf-8", "replace").strip()
    except OSError:
        return "of unknown kind"


def bus_numbers(*, root: str | Path = "/") -> list[int]:
    """Return the numbers of the I2C buses there are, in order; those of screens' connectors come last."""
    screens, names = screen_buses(root=root), (path.name for path in Path(root, "dev").glob("i2c-*"))
    found = ((name in screens, int(name[4:])) for name in names if name[4:].isdecimal())
    return [number for _, number in sorted(found)]


def screen_buses(*, root: str | Path = "/") -> set[str]:
    """Return the names of the buses in screens' connectors (drivers/gpu/drm/drm_sysfs.c): no sensor is there."""
    return {
        os.path.basename(os.readlink(connector / "ddc"))
        for connector in Path(root, "sys/class/drm").glob("card*-*")
        if os.path.islink(connector / "ddc")
    }


def holder(bus_name: str, address: int, *, root: str | Path = "/") -> str | None:
    """Return the kernel's driver that holds an address which transactions on /dev/i2c-N reach, or None.

    Behind a multiplexer that is also an address on a bus above it or below it, but not on another channel: what
    drivers/i2c/i2c-dev.c refuses, i2cdev_check_addr. inv_mpu6050 makes its own chip's auxiliary bus such a channel.
    """
    number = bus_name.rpartition("-")[2]
    devices = Path(root, "sys/bus/i2c/devices")
    for bus in (number, *_above(number, Path(root)), *_below(number, Path(root))):
        driver = devices / f"{bus}-{address:04x}/driver"
        if driver.exists():
            return driver.resolve().name
    return None


def _above(number: int | str, root: Path) -> list[str]:
    """Return the numbers of the buses that a bus is a channel of, the nearest first."""
    # A channel's folder lies in the folder of the bus above it (drivers/i2c/i2c-mux.c, i2c_mux_add_adapter).
    path = (root / f"sys/bus/i2c/devices/i2c-{number}").resolve()
    return [found[1] for folder in path.parents if (found := re.fullmatch(r"i2c-([0-9]+)", folder.name))]


def _below(number: int | str, root: Path) -> list[str]:
    """Return the numbers of the buses that are channels of a bus, or of its channels."""
    names = (path.name.removeprefix("i2c-") for path in (root / "sys/bus/i2c/devices").glob("i2c-*"))
    return [other for other in sorted(names) if other.isdecimal() and str(number) in _above(other, root)]

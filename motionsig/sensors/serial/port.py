"""A serial port with one owner: raw bytes, by the standard library's termios; pyserial has no more that is used."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import termios
from dataclasses import dataclass
from pathlib import Path

from motionsig.closing import Closing
from motionsig.errors import InputError, SensorError
from motionsig.hints import either
from motionsig.locks import name_again
from motionsig.sensors.owner import own_device

_MOST_BYTES = 1 << 16
_SPEEDS = {
    int(name[1:]): getattr(termios, name)
    for name in dir(termios)
    if name[0] == "B" and name[1:].isdecimal() and name != "B0"
}
_ADAPTERS = {
    **{"1a86:7523": "CH340", "1a86:55d4": "CH9102", "10c4:ea60": "CP210x"},
    **{"0403:6001": "FT232R", "0403:6014": "FT232H", "0403:6015": "FT230X"},
}
"""USB ids of adapters that motion sensors have inside or are wired to, and many other things, too (drivers/usb/serial:
ch341.c, cp210x.c, ftdi_sio_ids.h; drivers/usb/class/cdc-acm.c drives the CH9102)."""


@dataclass(frozen=True)
class SerialPort:
    """A port with an adapter that such sensors have: it may be one of them, or anything else."""

    path: str
    adapter: str


def list_ports(*, root: str | Path = "/") -> list[SerialPort]:
    """Return the serial ports on USB whose adapters motion sensors have."""
    ports = []
    for tty in sorted(Path(root, "sys/class/tty").glob("tty[UA]*")):
        # The port's device is an interface of the USB device, or, with usb-serial, a folder in it.
        for folder in (tty / "device/..", tty / "device/../.."):
            try:
                ids = ":".join((folder / name).read_text("ascii").strip() for name in ("idVendor", "idProduct"))
            except (OSError, UnicodeError):
                continue
            if ids in _ADAPTERS:
                ports.append(SerialPort(f"/dev/{tty.name}", f"{_ADAPTERS[ids]}, {ids}"))
            break
    return ports


class Port(Closing):
    """A port that nobody else reads meanwhile. All its errors are SensorError. received: bytes at the present speed."""

    def __init__(self, path: str, baud: int) -> None:
        """Open and lock a port, 8 data bits without parity; raise HeldError where another reader has it."""
        self.path, self.baud, self._fd = path, baud, -1
        node = Path(os.path.realpath(path))
        if not os.path.exists(node):
            raise SensorError(f"{path}: expected a serial port, got no such file; is it plugged in? {_advice()}")
        self._owned = own_device(node, path)
        try:
            self._fd = os.open(node, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
            # So that programs which know no lock of motionsig's are refused, too (ioctl_tty(2)).
            fcntl.ioctl(self._fd, termios.TIOCEXCL)
            self.set_baud(baud)
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, SensorError):
                raise SensorError(f"{path}: expected a serial port, got: {_text(error)}") from error
            raise

    def set_baud(self, baud: int) -> None:
        """Set the speed, and forget what was received.

        Raises InputError for a speed that the system does not have, SensorError for one that this port does not have.
        """
        require_baud(baud, where="baud: ")
        self.baud = baud
        self.received = 0
        # No parity, no flow control, and no character that means anything.
        flags = [termios.IGNPAR, 0, termios.CS8 | termios.CREAD | termios.CLOCAL, 0]
        try:
            characters = termios.tcgetattr(self._fd)[6]
            characters[termios.VMIN], characters[termios.VTIME] = 1, 0
            termios.tcsetattr(self._fd, termios.TCSANOW, [*flags, _SPEEDS[baud], _SPEEDS[baud], characters])
            termios.tcflush(self._fd, termios.TCIOFLUSH)
            # A driver that has another speed only says so here (tty_encode_baud_rate).
            has_it = termios.tcgetattr(self._fd)[4:6] == [_SPEEDS[baud]] * 2
        except (OSError, termios.error) as error:
            raise SensorError(f"{self.path}: expected to set {baud} baud, got: {_text(error)}") from error
        if not has_it:
            raise SensorError(
                f"{self.path}: expected {baud} baud, which its adapter or its driver does not have; use another"
            )

    def read(self, wait_s: float) -> bytes:
        """Return what is there, or what comes first within wait_s; nothing where nothing comes."""
        try:
            ready, _, _ = select.select([self._fd], [], [], wait_s)
            if not ready:
                return b""
            data = os.read(self._fd, _MOST_BYTES)
        except BlockingIOError:
            return b""
        except (OSError, ValueError) as error:
            raise SensorError(f"{self.path}: expected to read, got: {_text(error)}; is it unplugged?") from error
        if not data:
            raise SensorError(f"{self.path}: expected to read, got its end; is it unplugged?")
        self.received += len(data)
        return data

    def write(self, data: bytes) -> None:
        try:
            os.write(self._fd, data)
        except (OSError, ValueError) as error:
            raise SensorError(f"{self.path}: expected to write, got: {_text(error)}; is it unplugged?") from error

    def close(self) -> None:
        file, self._fd = self._fd, -1
        if file >= 0:
            os.close(file)
            name_again()
        self._owned.close()


def require_baud(baud: int, *, where: str) -> None:
    """Raise InputError for a speed that the system does not have."""
    if baud not in _SPEEDS:
        near = either([str(each) for each in sorted(_SPEEDS, key=lambda each: abs(each - baud))[:2]])
        speeds = ", ".join(map(str, sorted(_SPEEDS)))
        raise InputError(f"{where}expected a speed such as {near}, got {baud}; there are {speeds}")


def _text(error: Exception) -> str:
    number = error.args[0] if error.args else None
    if not isinstance(number, int):
        return str(error)
    return "it is no serial port" if number == errno.ENOTTY else os.strerror(number)


def _advice() -> str:
    there = [port.path for port in list_ports()]
    return f"there are {', '.join(there)}" if there else "see `ls /dev/serial/by-id`"

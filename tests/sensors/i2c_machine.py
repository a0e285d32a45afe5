"""A machine with a /dev/i2c-1 behind which simulated chips sit, for real processes with the real smbus2.

umockdev (Debian: `apt-get install umockdev`) redirects /dev and /sys of programs that run under its preload library,
and hands their ioctls to this process. It is called through ctypes: its Python binding exists for the system's Python
alone, which has no numpy for the models.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import subprocess
import sys
import threading
from collections import Counter
from ctypes import c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from motionsig.sensors.bus import BusError
from motionsig.sensors.simulated import Faults, SimulatedBus

# include/uapi/linux/i2c-dev.h
I2C_SLAVE, I2C_SLAVE_FORCE, I2C_FUNCS, I2C_RDWR, I2C_SMBUS = 0x0703, 0x0706, 0x0705, 0x0707, 0x0720
_MOST_MESSAGES, _MOST_BYTES = 42, 8192

# include/uapi/linux/i2c.h
_READ = 0x0001
FUNCTIONS = 0x0EFF0009
"""I2C, and SMBus emulated with it, without a host's notify: what i2c-bcm2835.c answers."""
_QUICK, _BYTE, _BYTE_DATA, _WORD_DATA, _I2C_BLOCK_DATA = 0, 1, 2, 3, 8
_MOST_BLOCK = 32

_DEVICES = rb"""P: /devices/platform/i2c-1/i2c-dev/i2c-1
N: i2c-1
E: SUBSYSTEM=i2c-dev
E: DEVNAME=/dev/i2c-1
A: dev=89:1\n

"""

_SIGNAL = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)


class _Bytes(ctypes.Structure):
    """The public part of a UMockdevIoctlData (umockdev.h): memory of the client's, copied here."""

    _fields_ = (("instance", c_void_p * 3), ("data", c_void_p), ("size", c_int))


@functools.cache
def _umockdev() -> Any:
    """Return the library; skip the test where it is not installed."""
    try:
        library: Any = ctypes.CDLL("libumockdev.so.0")
    except OSError:
        # scripts/test installs what is needed and sets this, so that nothing is left out unnoticed.
        assert "MOTIONSIG_TEST_MACHINES" not in os.environ, "expected umockdev to be installed"
        pytest.skip("umockdev is not installed (apt-get install umockdev)")
    gobject: Any = ctypes.CDLL("libgobject-2.0.so.0")
    library.connect, library.unref = gobject.g_signal_connect_data, gobject.g_object_unref
    library.connect.argtypes = (c_void_p, c_char_p, _SIGNAL, c_void_p, c_void_p, c_int)
    library.connect.restype = c_ulong
    library.unref.argtypes, library.unref.restype = (c_void_p,), None
    for name, result, *arguments in (
        ("umockdev_testbed_new", c_void_p),
        ("umockdev_testbed_get_root_dir", c_char_p, c_void_p),
        ("umockdev_testbed_add_from_string", c_int, c_void_p, c_char_p, c_void_p),
        ("umockdev_testbed_attach_ioctl", c_int, c_void_p, c_char_p, c_void_p, c_void_p),
        ("umockdev_testbed_detach_ioctl", c_int, c_void_p, c_char_p, c_void_p),
        ("umockdev_ioctl_base_new", c_void_p),
        ("umockdev_ioctl_client_get_request", c_ulong, c_void_p),
        ("umockdev_ioctl_client_get_arg", ctypes.POINTER(_Bytes), c_void_p),
        ("umockdev_ioctl_client_complete", None, c_void_p, c_long, c_int),
        ("umockdev_ioctl_data_resolve", ctypes.POINTER(_Bytes), c_void_p, c_size_t, c_size_t, c_void_p),
        ("umockdev_ioctl_data_update", None, c_void_p, c_size_t, c_char_p, c_int),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class _Memory:
    """Bytes of the client's memory; what is put there is written back when the ioctl ends."""

    def __init__(self, pointer: Any) -> None:
        self._pointer = pointer

    def __bytes__(self) -> bytes:
        return ctypes.string_at(self._pointer.contents.data, self._pointer.contents.size)

    def at(self, offset: int, size: int) -> _Memory:
        """Return what the pointer at `offset` points to; raise OSError where it points nowhere."""
        found = _umockdev().umockdev_ioctl_data_resolve(self._pointer, offset, size, None)
        if not found:
            raise OSError(errno.EFAULT, "bad address")
        # The parent holds a reference of its own until the ioctl ends.
        _umockdev().unref(found)
        return _Memory(found)

    def put(self, data: bytes, offset: int = 0) -> None:
        _umockdev().umockdev_ioctl_data_update(self._pointer, offset, data, len(data))


@dataclass(frozen=True)
class _Message:
    """An i2c_msg, and where the bytes that it reads go."""

    address: int
    reads: bool
    memory: _Memory
    size: int


class I2cMachine:
    """A machine on which programs find `bus` as /dev/i2c-1; a context manager.

    Its adapter takes a read as the last message only, as the Pi's does (i2c-bcm2835.c). ioctls: how many of each
    request. asked: the addresses on the bus that were talked to.
    functions: what the adapter can do. lock: held while a transaction goes on.
    """

    devices, node = _DEVICES, b"/dev/i2c-1"

    def __init__(self, bus: SimulatedBus, folder: Path, *, clock_hz: int = 400_000, functions: int = FUNCTIONS) -> None:
        library = _umockdev()
        self.bus = bus
        self.functions = functions
        self.folder = folder
        self.ioctls: Counter[int] = Counter()
        self.asked: set[int] = set()
        self._processes: list[subprocess.Popen[str]] = []
        self._addresses: dict[int, int] = {}
        self._unnamed: set[int] = set()
        self.lock = threading.Lock()
        self._bed = library.umockdev_testbed_new()
        # It sets this for the process itself, whose own programs are to see the real machine.
        os.unsetenv("UMOCKDEV_DIR")
        self.root = Path(library.umockdev_testbed_get_root_dir(self._bed).decode())
        made = library.umockdev_testbed_add_from_string(self._bed, self.devices, None)
        self._base = library.umockdev_ioctl_base_new()
        self._answer = _SIGNAL(self._handle)  # referred to for as long as it may be called
        library.connect(self._base, b"handle-ioctl", self._answer, None, None, 0)
        assert made
        assert library.umockdev_testbed_attach_ioctl(self._bed, self.node, self._base, None)
        clock = self.root / "sys/class/i2c-adapter/i2c-1/of_node/clock-frequency"
        clock.parent.mkdir(parents=True)
        clock.write_bytes(clock_hz.to_bytes(4, "big"))
        self.environment = os.environ | {
            "UMOCKDEV_DIR": str(self.root),
            "LD_PRELOAD": "libumockdev-preload.so.0",
            # Where calibrations are looked for: those of whoever runs the tests are not meant.
            "STATE_DIRECTORY": str(folder),
        }

    def __enter__(self) -> I2cMachine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        library = _umockdev()
        library.umockdev_testbed_detach_ioctl(self._bed, self.node, None)
        library.unref(self._base)
        library.unref(self._bed)

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start Python with these arguments on this machine."""
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def hold(self, address: int, driver: str) -> None:
        """Let a driver of the kernel hold an address."""
        drivers = self.root / "sys/bus/i2c/drivers" / driver
        drivers.mkdir(parents=True)
        device = self.root / f"sys/bus/i2c/devices/1-{address:04x}"
        device.mkdir(parents=True)
        (device / "driver").symlink_to(f"../../drivers/{driver}")

    def hold_unnamed(self, address: int) -> None:
        """Let a driver of the kernel hold an address of a chip that ACPI describes: sysfs does not show the address."""
        self._unnamed.add(address)

    def inject(self, faults: Faults) -> None:
        """Let these faults happen from now on."""
        with self.lock:
            self.bus.inject(faults)

    def _handle(self, base: int, client: int, _: int) -> int:
        library = _umockdev()
        request = library.umockdev_ioctl_client_get_request(client)
        with self.lock:
            self.ioctls[request] += 1
            try:
                self._ioctl(client, request, _Memory(library.umockdev_ioctl_client_get_arg(client)))
            except BusError as error:
                result, number = -1, errno.EREMOTEIO if error.nack else errno.ETIMEDOUT
            except OSError as error:
                result, number = -1, error.errno or errno.EIO
            else:
                result, number = 0, 0
        library.umockdev_ioctl_client_complete(client, result, number)
        return True

    def _ioctl(self, client: int, request: int, argument: _Memory) -> None:
        """Do as drivers/i2c/i2c-dev.c does; raise OSError with its number where that fails."""
        if request in (I2C_SLAVE, I2C_SLAVE_FORCE):
            address = int.from_bytes(bytes(argument), sys.byteorder)
            held = (self.root / f"sys/bus/i2c/devices/1-{address:04x}/driver").exists() or address in self._unnamed
            if held and request == I2C_SLAVE:
                raise OSError(errno.EBUSY, "held by a driver")
            self._addresses[client] = address
        elif request == I2C_FUNCS:
            argument.at(0, 8).put(self.functions.to_bytes(8, sys.byteorder))
        elif request == I2C_RDWR:
            self._transfer(argument.at(0, 16))
        elif request == I2C_SMBUS:
            self._smbus(self._addresses[client], argument.at(0, 16))
        else:
            raise OSError(errno.ENOTTY, "no such ioctl")

    def _transfer(self, argument: _Memory) -> None:
        count = int.from_bytes(bytes(argument)[8:12], sys.byteorder)
        if count > _MOST_MESSAGES:
            raise OSError(errno.EINVAL, "too many messages")
        table = argument.at(0, 16 * count)
        messages = []
        for row in range(count):
            address, flags, size = memoryview(bytes(table)[16 * row : 16 * row + 6]).cast("H")
            if size > _MOST_BYTES:
                raise OSError(errno.EINVAL, "too long a message")
            self.asked.add(address)
            messages.append(_Message(address, bool(flags & _READ), table.at(16 * row + 8, size), size))
        if any(message.reads for message in messages[:-1]):
            raise OSError(errno.EOPNOTSUPP, "a read that is not the last message")
        if not any(message.reads for message in messages):
            for message in messages:
                self.bus.write(message.address, bytes(message.memory))
            return
        if [message.reads for message in messages] != [False, True]:
            raise OSError(errno.EINVAL, "not known here: expected writes, or a read with a write before it")
        write, read = messages
        read.memory.put(self.bus.read(read.address, bytes(write.memory)[0], read.size))

    def _smbus(self, address: int, argument: _Memory) -> None:
        """Do as i2c_smbus_xfer_emulated (drivers/i2c/i2c-core-smbus.c), as far as sensors need it."""
        self.asked.add(address)
        reads, command = bytes(argument)[:2]
        kind = int.from_bytes(bytes(argument)[4:8], sys.byteorder)
        if kind == _QUICK:
            self.bus.write(address, b"")
            return
        if kind == _BYTE and not reads:
            self.bus.write(address, bytes((command,)))
            return
        data = argument.at(8, _MOST_BLOCK + 2)
        first = int(kind == _I2C_BLOCK_DATA)
        sizes = {_BYTE_DATA: 1, _WORD_DATA: 2, _I2C_BLOCK_DATA: bytes(data)[0]}
        if kind not in sizes or sizes[kind] > _MOST_BLOCK:
            raise OSError(errno.EOPNOTSUPP, "no such SMBus transaction")
        size = sizes[kind]
        if reads:
            data.put(self.bus.read(address, command, size), first)
        else:
            self.bus.write(address, bytes((command,)) + bytes(data)[first : first + size])

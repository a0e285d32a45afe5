"""Which Edge TPU this process may open: each has one owner, because libedgetpu takes it from whoever has it.

The library resets the USB port at every opening, before it claims the interface (libedgetpu, driver/usb/usb_driver.cc,
PrepareUsbDevice): the one that had the device aborts at its next transfer. So whoever opens one has its lock first
(`motionsig.locks`). The lock lies on the folder of the USB port in sysfs, or of the PCIe device: a USB device comes
back from its first use with another id, and with another node and folder. Every user may lock these folders, also one
who may not open the device.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from motionsig.closing import Closing
from motionsig.encoders.edgetpu.presence import EdgeTpu, edgetpus, users
from motionsig.errors import EncoderError
from motionsig.locks import Lock, TakenError, holder, lock, process_name

LIBRARY = "libedgetpu.so.1"

_BUSES = ("pci", "usb")
"""In the order of edgetpu_device_type in edgetpu_c.h."""


class NotFreeError(EncoderError):
    """Each Edge TPU that was asked for has another owner, who is named, or may not be opened by this user."""


@dataclass(frozen=True)
class Claim(Closing):
    """An Edge TPU that this process alone opens until `close`.

    option: what the library is told; path: how the library lists the device, empty where `option` says enough. process:
    whose it is: a process that is forked from it inherits the lock, and must not open the device.
    """

    edgetpu: EdgeTpu
    option: str
    path: str
    folder: Path
    lock: Lock
    process: int = field(default_factory=os.getpid)

    @property
    def holds(self) -> bool:
        """Whether it is this process's, and still that of the place: a hub that was unplugged has other folders."""
        try:
            return os.getpid() == self.process and os.path.samestat(os.fstat(self.lock.files[0]), os.stat(self.folder))
        except (OSError, IndexError):
            return False

    def close(self) -> None:
        self.lock.close()


def claim(which: str = "", root: Path = Path("/"), *, but: Sequence[str] = ()) -> Claim | None:
    """Own the first free Edge TPU of those that `which` means ("usb", "pci:1", ":2", any for an empty one).

    Numbers count in the order of `edgetpus`. but: places that are left out. Returns None where the machine shows none.
    Raises NotFreeError where all have an owner, are open in a process that takes no lock, or may not be opened.
    """
    every = edgetpus(root)
    bus, _, number = which.partition(":")
    meant = [edgetpu for edgetpu in every if bus in ("", edgetpu.bus)]
    meant = [edgetpu for edgetpu in (meant[int(number) :][:1] if number else meant) if edgetpu.place not in but]
    taken = list[str]()
    for edgetpu in meant:
        node = root / edgetpu.node.lstrip("/")
        if edgetpu.node_exists and not os.access(node, os.R_OK | os.W_OK):
            # The library would try for 25 s. A device that was plugged in just now gets its rights in a moment.
            taken.append(f"this user may not open {edgetpu.node}, {described(edgetpu)}; more: motionsig doctor")
            continue
        folder = _folder(edgetpu, root)
        try:
            locked = lock((folder,))
        except TakenError as error:
            taken.append(f"{described(edgetpu)} is in use by {error.who}")
            continue
        except OSError:
            continue  # It is being unplugged.
        if using := users(edgetpu, root):
            locked.close()
            taken.append(f"{described(edgetpu)} is in use by {process_name(using[0])}")
            continue
        # One of its kind needs no number; among several the library has an order of its own.
        alone = sum(other.bus == edgetpu.bus for other in every) == 1
        path = "" if alone else edgetpu.node if edgetpu.bus == "pci" else f"/sys/bus/usb/devices/{edgetpu.place}"
        return Claim(edgetpu, edgetpu.bus, path, folder, locked)
    if taken:
        raise NotFreeError("; ".join(taken))
    return None


def owner(edgetpu: EdgeTpu, root: Path = Path("/")) -> str | None:
    """Return who has an Edge TPU, such as "process 1234 (motionsig run)"; None where nobody is known to have it."""
    if who := holder((_folder(edgetpu, root),)):
        return who
    using = users(edgetpu, root)
    return process_name(using[0]) if using else None


def described(edgetpu: EdgeTpu) -> str:
    """Return what an Edge TPU is called in errors."""
    return f"the one on {'USB' if edgetpu.bus == 'usb' else 'PCIe'} {edgetpu.place}"


def _folder(edgetpu: EdgeTpu, root: Path) -> Path:
    device = root / f"sys/bus/{edgetpu.bus}/devices" / edgetpu.place
    # The port outlives the device that is in it (Linux, drivers/usb/core/port.c); a root hub's device has none.
    port = device / "port"
    # Resolved, so that it is found while nothing is plugged in.
    return (port if edgetpu.bus == "usb" and port.is_dir() else device).resolve()


def library_option(library: Any, option: str, path: str) -> str:
    """Return how the loaded library (a ctypes.CDLL) is told to open the device that it lists as `path`.

    option: its bus. Raises EncoderError where the library does not list it: no other device must be opened.
    """
    import ctypes

    class Listed(ctypes.Structure):
        _fields_ = (("bus", ctypes.c_int), ("path", ctypes.c_char_p))  # struct edgetpu_device in edgetpu_c.h

    count = ctypes.c_size_t()
    library.edgetpu_list_devices.restype = ctypes.POINTER(Listed)
    library.edgetpu_free_devices.argtypes = (ctypes.POINTER(Listed),)
    listed = library.edgetpu_list_devices(ctypes.byref(count))
    devices = [(listed[row].bus, os.fsdecode(listed[row].path)) for row in range(count.value)]
    library.edgetpu_free_devices(listed)
    paths = [listed_path for bus, listed_path in devices if bus == _BUSES.index(option)]
    if path not in paths:
        raise EncoderError(f"expected {LIBRARY} to list {path}, got {', '.join(paths) or 'none'}")
    return f"{option}:{paths.index(path)}"

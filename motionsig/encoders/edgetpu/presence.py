"""Which Edge TPUs the machine shows, and what the kernel tells of them, by sysfs and procfs alone: nothing is opened.

It is cheap enough to ask every second for a device that is away. While one is being unplugged its files vanish, fail or
are empty; what cannot be read is left out, and is no error.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from motionsig.files import read_file
from motionsig.locks import descriptors

USB_IDS = ("1a6e:089a", "18d1:9302")
"""Before the first use, and once libedgetpu has given it its firmware: it leaves the bus and comes back as the second
(libedgetpu, driver/beagle/beagle_usb_driver_provider.cc)."""

PCI_ID = "1ac1:089a"
"""(gasket-driver, src/apex_driver.c.)"""


@dataclass(frozen=True)
class EdgeTpu:
    """One device.

    bus: "usb" or "pci". place: where it is plugged in, "1-1.4" or "0000:01:00.0"; the first use leaves that as it is,
    and changes id and node. id: vendor:product. node: what a process opens, "/dev/bus/usb/001/004" or "/dev/apex_0";
    empty where it is not known, or the driver made none. speed_mbit_s: the USB link's; None where it is not known.
    """

    bus: str
    place: str
    id: str
    node: str
    node_exists: bool
    speed_mbit_s: int | None = None


@dataclass(frozen=True)
class Readings:
    """What the kernel tells of a device's heat and power; None where it tells nothing.

    temperature_c, slowed_from_c: of a PCIe device, from Google's driver; at the second it lowers the clock. The driver
    in the kernel's staging tree, and USB, tell none. current_ma: the most that a USB device asks its port for. power:
    "active" or "suspended", by the kernel's power management. No Edge TPU tells the power that it draws.
    """

    temperature_c: float | None
    slowed_from_c: float | None
    current_ma: int | None
    power: str | None


def edgetpus(root: Path = Path("/")) -> tuple[EdgeTpu, ...]:
    """Return the Edge TPUs of the machine whose files are below `root`, PCIe before USB, each in order of place."""
    top = os.fspath(root)
    return (*_on_pci(top), *_on_usb(top))


def readings(edgetpu: EdgeTpu, root: Path = Path("/")) -> Readings:
    """Return what the kernel tells of a device's heat and power now."""
    top = os.fspath(root)
    place = os.path.join(top, f"sys/bus/{edgetpu.bus}/devices", edgetpu.place)
    power = _line(place, "power/runtime_status")
    current = re.fullmatch("([0-9]{1,4})mA", _line(place, "bMaxPower"))
    # Only a PCIe device has a node of this kind.
    heat = os.path.join(top, "sys/class/apex", os.path.basename(edgetpu.node))
    apex = edgetpu.bus == "pci" and bool(edgetpu.node)
    now, limit = (_celsius(_line(heat, name)) if apex else None for name in ("temp", "trip_point0_temp"))
    return Readings(now, limit, int(current[1]) if current else None, power if power.isalpha() else None)


def users(edgetpu: EdgeTpu, root: Path = Path("/")) -> list[int]:
    """Return the processes that have a device open, of those that this user may look into.

    Of a PCIe device the driver tells every user the one that may write to it.
    """
    top, found = os.fspath(root), set[int]()
    if edgetpu.bus == "pci" and edgetpu.node:
        apex = os.path.join(top, "sys/class/apex", os.path.basename(edgetpu.node))
        owner = _line(apex, "device_owner")
        if _line(apex, "is_device_owned") == "1" and re.fullmatch("[1-9][0-9]{0,6}", owner):
            found.add(int(owner))
    if edgetpu.node:
        with suppress(OSError):  # a tree without processes
            opened = descriptors("fd", os.path.join(top, "proc"))
            found.update(process for process, link in opened if _link(os.fspath(link)) == edgetpu.node)
    return sorted(found)


def _on_pci(root: str) -> list[EdgeTpu]:
    folder, classes = os.path.join(root, "sys/bus/pci/devices"), os.path.join(root, "sys/class/apex")
    vendor, product = (f"0x{part}" for part in PCI_ID.split(":"))
    places = [place for place in _names(folder) if _line(folder, place, "vendor") == vendor]
    places = [place for place in places if _line(folder, place, "device") == product]
    # Without such a device the driver is not looked at: that is the usual case, once a second.
    nodes = {_target(classes, name, "device"): f"/dev/{name}" for name in _names(classes)} if places else {}
    found = ((place, nodes.get(place, "")) for place in places)
    return [EdgeTpu("pci", place, PCI_ID, node, _is_there(root, node)) for place, node in found]


def _on_usb(root: str) -> list[EdgeTpu]:
    folder, found = os.path.join(root, "sys/bus/usb/devices"), []
    for place in _names(folder):
        # "1-1.4:1.0" is an interface of the device, and has no ids.
        if ":" in place:
            continue
        ids = [known for known in USB_IDS if known[:4] == _line(folder, place, "idVendor")]
        if not ids or _line(folder, place, "idProduct") != ids[0][5:]:
            continue
        bus, device = (_number(_line(folder, place, name)) for name in ("busnum", "devnum"))
        node = f"/dev/bus/usb/{bus:03d}/{device:03d}" if bus and device else ""
        speed_mbit_s = _number(_line(folder, place, "speed"))
        found.append(EdgeTpu("usb", place, ids[0], node, _is_there(root, node), speed_mbit_s))
    return found


def _is_there(root: str, node: str) -> bool:
    return bool(node) and os.path.exists(os.path.join(root, node[1:]))


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder), key=lambda name: (len(name), name))
    except OSError:
        return []


def _line(*parts: str) -> str:
    """Return what a small file says; empty where it cannot be read."""
    try:
        return read_file(os.path.join(*parts), 64)[0].decode("ascii", "replace").strip()
    except OSError:
        return ""


def _number(text: str) -> int | None:
    """Return a count of at most five digits; a slow device's speed of 1.5 is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else None


def _celsius(text: str) -> float | None:
    return int(text) / 1000 if re.fullmatch("-?[0-9]{1,6}", text) else None


def _target(*parts: str) -> str:
    return os.path.basename(_link(*parts))


def _link(*parts: str) -> str:
    try:
        return os.readlink(os.path.join(*parts))
    except OSError:
        return ""

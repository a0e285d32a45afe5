"""Edge TPUs as the machine shows them: who may open one, its link, its power, its temperature."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from motionsig.cli.doctor import findings as tree
from motionsig.cli.doctor.buses import Allowed, read_write, udev_rule
from motionsig.cli.doctor.findings import Finding, Mark, line_of, note, ok, wrong
from motionsig.cli.doctor.machine import supply
from motionsig.encoders.edgetpu.claim import owner
from motionsig.encoders.edgetpu.presence import USB_IDS, EdgeTpu, readings

REPLUG = "unplug the Edge TPU and plug it in"
# Google's gasket-dkms does not compile for recent kernels.
DRIVER = "https://github.com/feranick/gasket-driver/releases"
FULL_SPEED_MBIT_S = 5000  # USB 3
HUB_SELF_POWERED = 0x40  # bmAttributes of a configuration (USB 2.0 specification, table 9-10)
# No sensor shows less: a device that has left the bus reads as -88 to -90 (google-coral/edgetpu#741, #843).
DEAD_BELOW_C = -50.0

# The groups are those of the packages libedgetpu1-std and gasket-dkms.
USB_RULE = udev_rule(
    "edgetpu", "plugdev", "usb", [f'ATTR{{idVendor}}=="{it[:4]}", ATTR{{idProduct}}=="{it[5:]}", ' for it in USB_IDS]
)
PCI_RULE = udev_rule("apex", "apex", "apex")


def devices(root: Path, found: Sequence[EdgeTpu], allowed: Allowed = read_write) -> Iterator[Finding]:
    """Yield what there is to say of each device: whether this user may open it, its link, its temperature."""
    for device in found:
        yield from _usb(root, device, allowed) if device.bus == "usb" else _pci(root, device, allowed)


def power(root: Path, found: Sequence[EdgeTpu]) -> Iterator[Finding]:
    """Yield what may give an Edge TPU on USB too little power: it takes up to 900 mA."""
    places = [device.place for device in found if device.bus == "usb"]
    if not places:
        return
    troubles = [finding.found for finding in supply(root) if finding.mark is not Mark.OK]
    # Of a Raspberry Pi 5, whose supply has not promised 5 A (raspberrypi/documentation, power-supplies.adoc).
    limit = root / "proc/device-tree/chosen/power/usb_max_current_enable"
    if tree.is_raspberry_pi(root) and tree.content_of(limit) == bytes(4):
        troubles.append("this board gives its USB ports 600 mA together")
    for hub in sorted({place.rpartition(".")[0] for place in places} - {""}):
        attributes = line_of(root / f"sys/bus/usb/devices/{hub}/bmAttributes")
        if re.fullmatch(r"[0-9a-f]{2}", attributes) and not int(attributes, 16) & HUB_SELF_POWERED:
            troubles.append(f"hub {hub} has no supply of its own")
    if troubles:
        found_it = f"an Edge TPU on USB takes up to 900 mA, and {' and '.join(troubles)}"
        yield note(found_it, "use the supply made for this board, or a hub with its own")


def node_path(root: Path, device: EdgeTpu) -> Path:
    return root / (device.node[1:] or "dev/none")


def _usb(root: Path, device: EdgeTpu, allowed: Allowed) -> Iterator[Finding]:
    first = ", not used since it was plugged in" if device.id == USB_IDS[0] else ""
    found = f"Edge TPU on USB {device.place} ({device.id}{first})"
    if not device.node_exists:
        where = device.node or "/dev/bus/usb"
        yield wrong(f"{found}, but no {where}", f"{REPLUG}; in a container, give it /dev/bus/usb")
        return
    yield _access(root, device, found, allowed, USB_RULE)
    if device.speed_mbit_s is not None and device.speed_mbit_s < FULL_SPEED_MBIT_S:
        link = f"the link to the Edge TPU on USB {device.place} runs at {device.speed_mbit_s} Mbit/s"
        yield note(f"{link}, slower than USB 3", "a USB 3 port, a blue one, and a USB 3 cable are faster")


def _pci(root: Path, device: EdgeTpu, allowed: Allowed) -> Iterator[Finding]:
    found = f"Edge TPU on PCIe {device.place}"
    if not tree.link_name(root / f"sys/bus/pci/devices/{device.place}/driver"):
        advice = f"sudo modprobe apex; where there is no such module: gasket-dkms from {DRIVER}"
        yield wrong(f"{found}, but no driver has it", advice)
        return
    if not device.node_exists:
        yield wrong(f"{found}, but no {device.node or '/dev/apex_*'}", "sudo dmesg | grep -i apex")
        return
    yield _access(root, device, found, allowed, PCI_RULE)
    yield from _temperature(root, device)


def _access(root: Path, device: EdgeTpu, found: str, allowed: Allowed, rule: str) -> Finding:
    if who := owner(device, root):
        return ok(f"{found}: in use by {who}, so left alone")
    if allowed(node_path(root, device)):
        return ok(f"{found}: {device.node} can be read and written")
    return wrong(f"{found}: {device.node} may not be read and written by this user", rule)


def _temperature(root: Path, device: EdgeTpu) -> Iterator[Finding]:
    """Yield what the driver says of a PCIe device's temperature; nothing where it says none (the kernel's own)."""
    told = readings(device, root)
    now, limit = told.temperature_c, told.slowed_from_c
    it = f"the Edge TPU on PCIe {device.place} has"
    if now is None:
        return
    if now < DEAD_BELOW_C:
        advice = "switch the machine off and on, and cool the Edge TPU"
        yield wrong(f"{it} stopped answering: it reads as {now:.1f} °C", advice)
    elif limit is not None and now >= limit:
        yield note(f"{it} {now:.1f} °C and is slowed from {limit:.1f} °C on", "cool it")
    else:
        yield ok(f"{it} {now:.1f} °C")

"""I2C buses: who may use them, how fast they are; and sensors that the kernel drives itself, read through IIO."""

from __future__ import annotations

import grp
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from motionsig.cli.doctor.findings import (
    Finding,
    Mark,
    children,
    is_raspberry_pi,
    is_there,
    line_of,
    link_name,
    text_of,
)
from motionsig.errors import MotionsigError
from motionsig.sensors import CHIPS
from motionsig.sensors.bus import bus_clock_hz, bus_numbers
from motionsig.sensors.fifo import MOST_LOAD

Allowed = Callable[[Path], bool]
Scan = Callable[[int], Sequence[tuple[str, int]]]
"""From a bus's number to the chips that answer on it, by name and address."""

RECORD_BYTES = 17
"""The largest FIFO record of the supported chips (ICM-42688-P: 16), and its share of the transaction."""

CLOCKS_HZ = (10_000, 5_000_000)
"""From SMBus's slowest clock to I2C's Ultra Fast-mode (NXP UM10204); any other value is damaged."""

ADDRESSES = frozenset(address for chip in CHIPS.values() for address in chip.addresses)
"""Addresses of the supported chips."""

CONFIGS = ("boot/firmware/config.txt", "boot/config.txt")
"""Raspberry Pi OS from Bookworm on, and before."""

LOAD_I2C_DEV = "sudo modprobe i2c-dev && echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf"
NEW_UDEV = "sudo udevadm control --reload && sudo udevadm trigger --action=add"
I2C_RULE = (
    """sudo groupadd -f i2c && echo 'SUBSYSTEM=="i2c-dev", GROUP="i2c", MODE="0660"' """
    f"| sudo tee /etc/udev/rules.d/60-motionsig-i2c.rules && {NEW_UDEV} --subsystem-match=i2c-dev "
    "&& sudo usermod -aG i2c $USER  # then log in again"
)
# A buffer is set up by writing to sysfs, which a rule for the device node alone leaves to root.
IIO_RULE = (
    """sudo groupadd -f iio && echo 'SUBSYSTEM=="iio", ACTION!="remove", GROUP="iio", MODE="0660", """
    """RUN+="/bin/chgrp -R iio /sys%p", RUN+="/bin/chmod -R g+rwX /sys%p"' """
    f"| sudo tee /etc/udev/rules.d/60-motionsig-iio.rules && {NEW_UDEV} --subsystem-match=iio "
    "&& sudo usermod -aG iio $USER  # then log in again"
)


def read_write(path: Path) -> bool:
    """Return whether this process may read and write a file."""
    return os.access(path, os.R_OK | os.W_OK)


def i2c(root: Path, allowed: Allowed = read_write, scan: Scan | None = None) -> list[Finding]:
    """Return the findings on each bus; `scan` asks a bus which sensors answer."""
    screens = _screens(root)
    numbers = [number for number in bus_numbers(root=root) if f"i2c-{number}" not in screens]
    if not numbers:
        return [_no_bus(root, screens)]
    findings = []
    for number in numbers:
        findings.append(_access(root, number, allowed))
        if findings[-1].mark is Mark.OK and scan is not None:
            findings.append(_answers(number, scan))
        if is_there(root / f"sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency"):
            findings.append(_clock(root, number))
    return findings


def drivers(root: Path) -> list[Finding]:
    """Return the kernel drivers that hold an address of a supported chip."""
    findings = []
    for device in children(root / "sys/bus/i2c/devices", "*-*"):
        place, driver = (re.fullmatch(r"[0-9]+-([0-9a-f]{4})", device.name), link_name(device / "driver"))
        if place is None or not driver or int(place[1], 16) not in ADDRESSES:
            continue
        held = f"{line_of(device / 'name') or 'a chip'} at {device.name} is held by the kernel driver {driver}"
        names = [line_of(sensor / "name") for sensor in children(device, "iio:device*")]
        release = f"echo {device.name} | sudo tee {shlex.quote(f'/sys/bus/i2c/drivers/{driver}/unbind')}"
        if any(names):
            read = " or ".join(f"--sensor {shlex.quote(f'iio:{name}')}" for name in names if name)
            advice = f"read it through the kernel, {read}, or release it until the next start: {release}"
        else:
            advice = f"give a sensor its other address, or release this one until the next start: {release}"
        findings.append(Finding(Mark.NOTE, held, advice))
    return findings


def iio(root: Path, allowed: Allowed = read_write) -> list[Finding]:
    """Return the motion sensors that the kernel's own drivers offer."""
    findings = []
    for device in children(root / "sys/bus/iio/devices", "iio:device*"):
        kinds = [
            kind
            for kind, channel in (("accelerometer", "accel"), ("gyroscope", "anglvel"))
            if any(device.glob(f"in_{channel}_*")) or any(device.glob(f"scan_elements/in_{channel}_*"))
        ]
        if kinds:
            findings.append(_iio(root, device, " and ".join(kinds), allowed))
    return findings


def _screens(root: Path) -> set[str]:
    """Return the adapters of screens' connectors (drivers/gpu/drm/drm_sysfs.c), which have no sensors."""
    return {link_name(connector / "ddc") for connector in children(root / "sys/class/drm", "card*-*")}


def _no_bus(root: Path, screens: set[str]) -> Finding:
    config = _config(root)
    adapters = [path.name for path in children(root / "sys/class/i2c-adapter", "i2c-*") if path.name not in screens]
    if adapters:
        return Finding(Mark.WRONG, "there is an I2C bus, but no /dev/i2c-*: i2c-dev is not loaded", LOAD_I2C_DEV)
    if not is_raspberry_pi(root):
        return Finding(Mark.NOTE, "no I2C bus on this machine", "nothing, unless a sensor is to be read on this one")
    if _asks_for_i2c(text_of(root / config[1:])):
        return Finding(Mark.WRONG, f"I2C is on in {config}, but there is no bus", "sudo reboot")
    if is_there(root / "usr/bin/raspi-config"):
        return Finding(Mark.WRONG, f"I2C is off in {config}", "sudo raspi-config nonint do_i2c 0")
    line = f"echo dtparam=i2c_arm=on | sudo tee -a {config} && {LOAD_I2C_DEV} && sudo reboot"
    return Finding(Mark.WRONG, f"I2C is off in {config}", line)


def _config(root: Path) -> str:
    return next((f"/{name}" for name in CONFIGS if is_there(root / name)), f"/{CONFIGS[0]}")


def _asks_for_i2c(config: str) -> bool:
    """Return whether config.txt turns I2C on; its last setting counts (the firmware's overlays/README, i2c_arm)."""
    settings = [
        setting.strip().partition("=")
        for line in re.findall(r"^\s*dtparam\s*=(.*)$", config, re.MULTILINE)
        for setting in line.split(",")
    ]
    values = [value for name, _, value in settings if name in ("i2c_arm", "i2c")]
    return bool(values) and values[-1] in ("", "on", "true", "yes", "1")


def _access(root: Path, number: int, allowed: Allowed) -> Finding:
    device = root / f"dev/i2c-{number}"
    name = line_of(root / f"sys/class/i2c-adapter/i2c-{number}/name") or "of unknown kind"
    found = f"/dev/i2c-{number} ({name})"
    if allowed(device):
        return Finding(Mark.OK, f"{found} can be read and written")
    try:
        state = device.stat()
    except OSError as error:
        return Finding(Mark.WRONG, f"{found} cannot be looked at: {error.strerror}", LOAD_I2C_DEV)
    found += " may not be read and written by this user"
    if state.st_gid == 0 or state.st_mode & 0o060 != 0o060:
        return Finding(Mark.WRONG, f"{found}, nor by a group: no udev rule gives it to one", I2C_RULE)
    try:
        group = grp.getgrgid(state.st_gid).gr_name
    except KeyError:
        group = str(state.st_gid)
    return Finding(
        Mark.WRONG, f"{found}, only by group {group}", f"sudo usermod -aG {group} $USER  # then log in again"
    )


def _answers(number: int, scan: Scan) -> Finding:
    advice = f"check the wiring, the supply and the address: sudo apt install i2c-tools && i2cdetect -y {number}"
    try:
        found = scan(number)
    except MotionsigError as error:
        return Finding(Mark.WRONG, " ".join(str(error).split()), advice)
    if not found:
        return Finding(Mark.NOTE, f"no known sensor answers on /dev/i2c-{number}", advice)
    chips = ", ".join(f"{chip} at 0x{address:02x}" for chip, address in found)
    return Finding(Mark.OK, f"on /dev/i2c-{number}: {chips}")


def _clock(root: Path, number: int) -> Finding:
    hz = bus_clock_hz(number, root=root) or 0
    if not CLOCKS_HZ[0] <= hz <= CLOCKS_HZ[1]:
        where = f"/sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency"
        return Finding(
            Mark.NOTE, f"{where} says {hz} Hz, which no I2C bus has", "tell it: open_sensor(..., bus_clock_hz=)"
        )
    rate_hz = int(MOST_LOAD * hz / (9 * RECORD_BYTES) / 10) * 10
    found = f"I2C bus {number} runs at {hz / 1000:g} kHz: about {rate_hz} six-axis samples a second fit"
    if rate_hz >= 1000:
        return Finding(Mark.OK, found)
    # The firmware's i2c_arm is bus 1, on the first boards bus 0.
    if is_raspberry_pi(root) and number in (0, 1):
        line = f"echo dtparam=i2c_arm_baudrate=400000 | sudo tee -a {_config(root)} && sudo reboot"
        return Finding(Mark.NOTE, found, f"for more: {line}")
    return Finding(Mark.NOTE, found, "for more: clock-frequency = <400000> for this bus in the device tree")


def _iio(root: Path, device: Path, kinds: str, allowed: Allowed) -> Finding:
    found = f"{kinds} through IIO: {device.name} ({line_of(device / 'name') or 'unnamed'})"
    node = root / "dev" / device.name
    if not is_there(device / "scan_elements") or not is_there(node):
        return Finding(
            Mark.NOTE,
            f"{found}, without a buffer: it can only be polled, slowly",
            "wire the chip's interrupt and name it in the device tree, or release the chip and read it on I2C",
        )
    if not allowed(node):
        return Finding(Mark.WRONG, f"{found}, but this user may not read it", IIO_RULE)
    if line_of(device / "buffer/enable") == "1":
        # The kernel cuts names to 15 characters (TASK_COMM_LEN).
        if any(line_of(name) == "iio-sensor-prox" for name in children(root / "proc", "[0-9]*/comm")):
            # The bus starts it again on request, so stopping it would not last.
            return Finding(
                Mark.WRONG, f"{found}, held by iio-sensor-proxy", "sudo systemctl mask --now iio-sensor-proxy"
            )
        return Finding(
            Mark.NOTE, f"{found}, which something reads", f"if not by motionsig: sudo fuser -v /dev/{device.name}"
        )
    return Finding(Mark.OK, found)

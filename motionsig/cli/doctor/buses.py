"""I2C buses: who may use them, how fast they are; and sensors that the kernel drives itself, read through IIO."""

from __future__ import annotations

import grp
import os
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from motionsig.cli.doctor import findings as tree
from motionsig.cli.doctor.findings import Finding, Mark, is_there, line_of, note, ok, wrong
from motionsig.errors import MotionsigError
from motionsig.sensors import CHIPS, Found
from motionsig.sensors.bus import bus_clock_hz, bus_numbers, screen_buses
from motionsig.sensors.fifo import MOST_LOAD

Allowed = Callable[[Path], bool]
Scan = Callable[[int], Sequence[Found]]
"""From a bus's number to what answers on it."""

# The largest FIFO record of the supported chips (ICM-42688-P: 16), and its share of the transaction.
RECORD_BYTES = 17
# From SMBus's slowest clock to I2C's Ultra Fast-mode (NXP UM10204); any other value is damaged.
CLOCKS_HZ = (10_000, 5_000_000)
ADDRESSES = frozenset(address for chip in CHIPS.values() for address in chip.addresses)
CONFIGS = ("boot/firmware/config.txt", "boot/config.txt")  # Raspberry Pi OS from Bookworm on, and before
_JOIN = "sudo usermod -aG {} $USER  # then log in again"
_SERVICE = "motionsig run"
"""What the service's process is called."""
_EACH = r"printf '%s\n'"
LOAD_I2C_DEV = "sudo modprobe i2c-dev && echo i2c-dev | sudo tee /etc/modules-load.d/i2c-dev.conf"


def udev_rule(name: str, group: str, subsystem: str, matches: Sequence[str] = ("",), more: str = "") -> str:
    """Return the command that gives the devices of a subsystem to a group, by a udev rule for each of `matches`."""
    rules = [f"""'SUBSYSTEM=="{subsystem}", {match}GROUP="{group}", MODE="0660"{more}'""" for match in matches]
    return (
        f"sudo groupadd -f {group} && {'echo' if len(rules) == 1 else _EACH} {' '.join(rules)} "
        f"| sudo tee /etc/udev/rules.d/60-motionsig-{name}.rules && sudo udevadm control --reload "
        f"&& sudo udevadm trigger --action=add --subsystem-match={subsystem} && {_JOIN.format(group)}"
    )


I2C_RULE = udev_rule("i2c", "i2c", "i2c-dev")
# A buffer is set up by writing to sysfs, which a rule for the device node alone leaves to root.
_SYSFS = ', RUN+="/bin/chgrp -R iio /sys%p", RUN+="/bin/chmod -R g+rwX /sys%p"'
IIO_RULE = udev_rule("iio", "iio", "iio", ['ACTION!="remove", '], _SYSFS)


def read_write(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def i2c(root: Path, allowed: Allowed = read_write, scan: Scan | None = None) -> list[Finding]:
    """Return the findings on each bus; `scan` asks a bus which sensors answer."""
    screens = screen_buses(root=root)
    numbers = [number for number in bus_numbers(root=root) if f"i2c-{number}" not in screens]
    if not numbers:
        return [_no_bus(root, screens)]
    findings = []
    for number in numbers:
        name = line_of(root / f"sys/class/i2c-adapter/i2c-{number}/name") or "of unknown kind"
        device = f"dev/i2c-{number}"
        findings.append(access(root, device, f"/{device} ({name})", allowed, missing=LOAD_I2C_DEV, rule=I2C_RULE))
        if findings[-1].mark is Mark.OK and scan is not None:
            findings.append(_answers(number, scan))
        if is_there(root / f"sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency"):
            findings.append(_clock(root, number))
    return findings


def drivers(root: Path) -> list[Finding]:
    """Return the kernel drivers that hold an address of a supported chip."""
    findings = []
    for device in tree.children(root / "sys/bus/i2c/devices", "*-*"):
        place, driver = (re.fullmatch(r"[0-9]+-([0-9a-f]{4})", device.name), tree.link_name(device / "driver"))
        if place is None or not driver or int(place[1], 16) not in ADDRESSES:
            continue
        held = f"{line_of(device / 'name') or 'a chip'} at {device.name} is held by the kernel driver {driver}"
        sensors = [line_of(sensor / "name") for sensor in tree.children(device, "iio:device*")]
        release = f"echo {device.name} | sudo tee {shlex.quote(f'/sys/bus/i2c/drivers/{driver}/unbind')}"
        names = " or ".join(f"--sensor {shlex.quote(f'iio:{name}')}" for name in sensors if name)
        way = f"read it through the kernel, {names}, or release it"
        other = "give a sensor its other address, or release this one"
        findings.append(note(held, f"{way if names else other} until the next start: {release}"))
    return findings


def iio(root: Path, allowed: Allowed = read_write) -> list[Finding]:
    """Return the motion sensors that the kernel's own drivers offer."""
    findings = []
    for device in tree.children(root / "sys/bus/iio/devices", "iio:device*"):
        kinds = [
            kind
            for kind, channel in (("accelerometer", "accel"), ("gyroscope", "anglvel"))
            if any(device.glob(f"in_{channel}_*")) or any(device.glob(f"scan_elements/in_{channel}_*"))
        ]
        if kinds:
            findings.append(_iio(root, device, " and ".join(kinds), allowed))
    return findings


def _no_bus(root: Path, screens: set[str]) -> Finding:
    config = config_path(root)
    if any(path.name not in screens for path in tree.children(root / "sys/class/i2c-adapter", "i2c-*")):
        return wrong("there is an I2C bus, but no /dev/i2c-*: i2c-dev is not loaded", LOAD_I2C_DEV)
    if not tree.is_raspberry_pi(root):
        return note("no I2C bus on this machine", "nothing, unless a sensor is to be read on this one")
    if asks_for(("i2c_arm", "i2c"), root):
        return wrong(f"I2C is on in {config}, but there is no bus", "sudo reboot")
    if is_there(root / "usr/bin/raspi-config"):
        return wrong(f"I2C is off in {config}", "sudo raspi-config nonint do_i2c 0")
    turn_on = f"echo dtparam=i2c_arm=on | sudo tee -a {config} && {LOAD_I2C_DEV} && sudo reboot"
    return wrong(f"I2C is off in {config}", turn_on)


def config_path(root: Path) -> str:
    """Return where a Raspberry Pi has its config.txt."""
    return next((f"/{name}" for name in CONFIGS if is_there(root / name)), f"/{CONFIGS[0]}")


def asks_for(names: Sequence[str], root: Path) -> bool:
    """Return whether config.txt turns on what has one of these names; the last setting counts (overlays/README)."""
    text = tree.text_of(root / config_path(root)[1:])
    settings = ",".join(re.findall(r"^\s*dtparam\s*=(.*)$", text, re.MULTILINE)).split(",")
    pairs = [setting.strip().partition("=") for setting in settings]
    values = [value for name, _, value in pairs if name in names]
    return bool(values) and values[-1] in ("", "on", "true", "yes", "1")


def access(root: Path, node: str, found: str, allowed: Allowed, *, missing: str, rule: str) -> Finding:
    """Return whether this user may read and write a node; `missing`, `rule`: advice where there is no node, no rule."""
    device = root / node
    if allowed(device):
        return ok(f"{found} can be read and written")
    try:
        state = device.stat()
    except OSError as error:
        return wrong(f"{found} cannot be looked at: {error.strerror}", missing)
    found += " may not be read and written by this user"
    if state.st_gid == 0 or state.st_mode & 0o060 != 0o060:
        return wrong(f"{found}, nor by a group: no udev rule gives it to one", rule)
    try:
        group = grp.getgrgid(state.st_gid).gr_name
    except KeyError:
        group = str(state.st_gid)
    return wrong(f"{found}, only by group {group}", _JOIN.format(group))


def _answers(number: int, scan: Scan) -> Finding:
    advice = f"check the wiring, the supply and the address: sudo apt install i2c-tools && i2cdetect -y {number}"
    try:
        found = scan(number)
    except MotionsigError as error:
        return wrong(" ".join(str(error).split()), advice)
    known = [it for it in found if it.chips]
    if known:
        chips = (
            f"{it.chips[0].name} at 0x{it.address:02x}{(it.held and f', held by {it.held}') or ''}" for it in known
        )
        here = f"on /dev/i2c-{number}: {', '.join(chips)}"
        if all(it.held is None or it.held.endswith(f"({_SERVICE})") for it in known):
            return ok(here)
        return note(here, "the service cannot read what another process holds: end that first")
    strange = [it for it in found if it.driver is None]
    if strange:
        where = f"--bus {number} --address 0x{strange[0].address:02x}"
        look = f"if it is a clone of a chip: motionsig record --chip NAME {where}"
        return note("; ".join(map(str, strange)), look)
    return note(f"no known sensor answers on /dev/i2c-{number}", advice)


def _clock(root: Path, number: int) -> Finding:
    hz = bus_clock_hz(number, root=root) or 0
    if not CLOCKS_HZ[0] <= hz <= CLOCKS_HZ[1]:
        where = f"/sys/class/i2c-adapter/i2c-{number}/of_node/clock-frequency"
        return note(f"{where} says {hz} Hz, which no I2C bus has", "tell it: open_sensor(..., bus_clock_hz=)")
    rate_hz = int(MOST_LOAD * hz / (9 * RECORD_BYTES) / 10) * 10
    found = f"I2C bus {number} runs at {hz / 1000:g} kHz: about {rate_hz} six-axis samples a second fit"
    if rate_hz >= 1000:
        return ok(found)
    # The firmware's i2c_arm is bus 1, on the first boards bus 0.
    on_pi = f"echo dtparam=i2c_arm_baudrate=400000 | sudo tee -a {config_path(root)} && sudo reboot"
    elsewhere = "clock-frequency = <400000> for this bus in the device tree"
    return note(found, f"for more: {on_pi if tree.is_raspberry_pi(root) and number in (0, 1) else elsewhere}")


def _iio(root: Path, device: Path, kinds: str, allowed: Allowed) -> Finding:
    found = f"{kinds} through IIO: {device.name} ({line_of(device / 'name') or 'unnamed'})"
    node = root / "dev" / device.name
    if not is_there(device / "scan_elements") or not is_there(node):
        advice = "wire the chip's interrupt and name it in the device tree, or release the chip and read it on I2C"
        return note(f"{found}, without a buffer: it can only be polled, slowly", advice)
    if not allowed(node):
        return wrong(f"{found}, but this user may not read it", IIO_RULE)
    if line_of(device / "buffer/enable") == "1":
        # The kernel cuts names to 15 characters (TASK_COMM_LEN).
        if any(line_of(name) == "iio-sensor-prox" for name in tree.children(root / "proc", "[0-9]*/comm")):
            # The bus starts it again on request, so stopping it would not last.
            return wrong(f"{found}, held by iio-sensor-proxy", "sudo systemctl mask --now iio-sensor-proxy")
        return note(f"{found}, which something reads", f"if not by motionsig: sudo fuser -v /dev/{device.name}")
    return ok(found)

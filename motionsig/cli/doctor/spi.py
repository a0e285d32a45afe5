"""SPI: who may use its devices. None is asked what is there: what is no sensor may take a read for a command."""

from __future__ import annotations

from pathlib import Path

from motionsig.cli.doctor import findings as tree
from motionsig.cli.doctor.buses import Allowed, access, asks_for, config_path, read_write, udev_rule
from motionsig.cli.doctor.findings import Finding, is_there, note, wrong
from motionsig.sensors.bus import parse_bus
from motionsig.sensors.spi import spidevs

SPI_RULE = udev_rule("spi", "spi", "spidev")
_LOAD = "sudo modprobe spidev"


def spi(root: Path, allowed: Allowed = read_write) -> list[Finding]:
    """Return the findings on each device; on a Raspberry Pi without any, how it is turned on."""
    nodes = [str(parse_bus(name)).removeprefix("/") for name in spidevs(root=root)]
    if nodes:
        return [access(root, node, f"/{node}", allowed, missing=_LOAD, rule=SPI_RULE) for node in nodes]
    if not tree.is_raspberry_pi(root):
        return []
    config = config_path(root)
    if asks_for(("spi",), root):
        # A device tree that gives every select line to a kernel driver leaves none.
        if any(True for _ in tree.children(root / "sys/bus/spi/devices", "spi*")):
            return []
        return [wrong(f"SPI is on in {config}, but there is no /dev/spidev*", f"sudo reboot, or {_LOAD}")]
    raspi = "sudo raspi-config nonint do_spi 0"
    turn_on = raspi if is_there(root / "usr/bin/raspi-config") else f"echo dtparam=spi=on | sudo tee -a {config}"
    return [note(f"SPI is off in {config}", f"nothing, unless a sensor is wired to it: {turn_on} && sudo reboot")]

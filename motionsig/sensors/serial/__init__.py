"""Sensors that send by themselves over a serial line, as live sources with their own time base.

* `port`: a serial port with one owner.
* `source`: a sensor at a port as a live source.
* `witmotion`, `bno08x`: what these send and how they are set; `shtp`: the packets of the latter.
* `line`: times from numbers and arrivals; `numbered`: of samples that come with numbers; `arrivals`: of those without.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from motionsig.errors import InputError
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.serial.bno08x import Bno08x
from motionsig.sensors.serial.port import SerialPort, list_ports
from motionsig.sensors.serial.source import SerialSource
from motionsig.sensors.serial.witmotion import WitMotion

__all__ = ["SERIAL", "SerialPort", "SerialSource", "list_ports", "open_serial", "require_serial"]

SERIAL: dict[str, type[WitMotion] | type[Bno08x]] = {
    "witmotion": WitMotion,
    **dict.fromkeys(("bno08x", "bno080", "bno085", "bno086"), Bno08x),
}
"""What the name of such a sensor begins with, before ":" and its port."""


def require_serial(name: str) -> str:
    """Return the port in a name such as witmotion:/dev/ttyUSB0; raise InputError where it names none."""
    kind, _, path = name.partition(":")
    if not path.startswith("/"):
        there = ", ".join(f"{port.path} ({port.adapter})" for port in list_ports()) or "see `ls /dev/serial/by-id`"
        raise InputError(f"sensor: expected a port, as in {kind.lower()}:/dev/ttyUSB0, got {name!r}; {there}")
    return path


def open_serial(
    name: str,
    *,
    rate_hz: float = 100.0,
    accel_range_g: float = 8.0,
    gyro_range_dps: float = 1000.0,
    baud: int | None = None,
    mount: str | Sequence[Sequence[float]] | None = None,
    calibration: Calibration | str | None = None,
) -> SerialSource:
    """Open a sensor on a serial line, "witmotion:/dev/ttyUSB0" or "bno08x:/dev/ttyUSB0".

    baud: of the line; by default those that such a sensor may have are tried. Raises SensorError where no such sensor
    sends or it takes no settings, HeldError where another reader has the port, InputError for a name without a port,
    and for a rate or a range that it does not have.
    """
    path, kind = require_serial(name), name.partition(":")[0].lower()
    device = SERIAL[kind](rate_hz)
    has = {
        "accel_range_g": (accel_range_g, device.accel_range_g),
        "gyro_range_dps": (gyro_range_dps, device.gyro_range_dps),
    }
    for option, (asked, most) in has.items():
        if not 0 < asked <= most:
            raise InputError(f"{option}: expected above 0 and at most {most:g} of a {device.name}, got {asked:g}")
    device_id = f"{device.key}-{os.path.basename(path)}"
    return SerialSource(path, baud, device, choose_calibration(calibration, mount, device_id), device_id=device_id)

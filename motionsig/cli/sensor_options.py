"""The options that say which sensor a command opens, and how."""

from __future__ import annotations

import argparse

from motionsig.cli.invitation import show_invitation
from motionsig.cli.option import option
from motionsig.errors import InputError
from motionsig.sensors import open_sensor
from motionsig.sensors.bus import parse_bus
from motionsig.sensors.live import LiveSource

_NAMES = ("bus", "address", "chip", "rate_hz", "accel_range_g", "gyro_range_dps", "bus_clock_hz", "baud")


def add_sensor_options(parser: argparse.ArgumentParser) -> None:
    names = "a chip (see `motionsig sensors --chips`), auto (the default), iio:NAME, simulated[:lesson], phone "
    names += "(in its browser), or witmotion:PORT or bno08x:PORT on a serial line"
    option(parser, "--sensor NAME", names, default="auto")
    option(parser, "--bus BUS", "N of /dev/i2c-N, or such as spi0.0; by default each of I2C in turn", type=bus_option)
    option(parser, "--address A", "on the bus, such as 0x6a", type=address)
    option(parser, "--chip NAME", "take what answers as this chip although it says another identity, as clones do")
    option(parser, "--rate-hz R", "samples per second, at least (100)", type=float, default=100.0)
    option(parser, "--accel-range-g G", "full scale, at least (8)", type=float, default=8.0)
    option(parser, "--gyro-range-dps D", "full scale, at least (1000)", type=float, default=1000.0)
    option(parser, "--bus-clock-hz HZ", "of I2C, where the kernel does not know it; of SPI, to be used", type=int)
    option(parser, "--baud B", "of a serial port; by default the usual ones are tried", type=int)


def bus_option(text: str) -> int | str:
    """Return what names a bus, for argparse."""
    try:
        return parse_bus(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("bus: ")) from error


def address(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a number such as 0x6a, got {text!r}") from error


def open_chosen(options: argparse.Namespace, *, mount: str | None = None, calibration: str | None = None) -> LiveSource:
    how = {name: getattr(options, name) for name in _NAMES}
    return open_sensor(options.sensor, mount=mount, calibration=calibration, invite=show_invitation, **how)

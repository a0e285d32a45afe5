"""The options that say which sensor a command opens, and how."""

from __future__ import annotations

import argparse

from motionsig.sensors import IioSource, SensorReader, open_sensor


def add_sensor_options(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    parser.add_argument(
        "--sensor",
        default="auto",
        metavar="NAME",
        help="a chip (see `motionsig sensors --chips`), auto (the default), iio:NAME or simulated",
    )
    parser.add_argument("--bus", type=int, metavar="N", help="/dev/i2c-N; by default each in turn")
    parser.add_argument("--address", type=_address, metavar="A", help="on the bus, such as 0x6a")
    parser.add_argument("--rate-hz", type=float, default=100.0, metavar="R", help="samples per second, at least (100)")
    parser.add_argument("--accel-range-g", type=float, default=8.0, metavar="G", help="full scale, at least (8)")
    parser.add_argument("--gyro-range-dps", type=float, default=1000.0, metavar="D", help="full scale, at least (1000)")
    parser.add_argument("--bus-clock-hz", type=int, metavar="HZ", help="where the kernel does not know it")


def _address(text: str) -> int:
    """Return an address given as 0x6a or 106."""
    try:
        return int(text, 0)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected a number such as 0x6a, got {text!r}") from error


def open_chosen(
    options: argparse.Namespace, *, mount: str | None = None, calibration: str | None = None
) -> SensorReader | IioSource:
    """Open the sensor that the options name."""
    return open_sensor(
        options.sensor,
        bus=options.bus,
        address=options.address,
        rate_hz=options.rate_hz,
        accel_range_g=options.accel_range_g,
        gyro_range_dps=options.gyro_range_dps,
        mount=mount,
        calibration=calibration,
        bus_clock_hz=options.bus_clock_hz,
    )

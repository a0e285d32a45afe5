"""`motionsig sensors`: which motion sensors are here, what they can do, and whether they pass their own test."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from motionsig.cli.option import option
from motionsig.cli.prove import prove_here
from motionsig.cli.sensor_options import address, bus_option
from motionsig.conventions import CHANNELS
from motionsig.errors import InputError, SensorError
from motionsig.sensors import CHIPS, IioSensor, list_iio, scan
from motionsig.sensors.bus import NO_ADDRESS, Bus, I2cBus, bus_numbers
from motionsig.sensors.chips import PARTS, Chip
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.gravity import require_gravity
from motionsig.sensors.names import UNREAD, hint, likeness
from motionsig.sensors.owner import device_owner, own, owner_of
from motionsig.sensors.self_test import AxisResult, self_test
from motionsig.sensors.serial import SerialPort, list_ports
from motionsig.sensors.spi import USUAL_HZ, SpiBus, Spidev, chips_on, over_spi, spi_name, spidevs


def add_to(commands: Any) -> None:
    parser = commands.add_parser("sensors", help="which motion sensors are here", description=__doc__)
    option(parser, "--bus BUS", "N of /dev/i2c-N alone, or such as spi0.0, which is asked only so", type=bus_option)
    option(parser, "--self-test", "let each chip test itself; it must lie still")
    option(parser, "--chips", "the chips motionsig reads itself, here or not")
    option(parser, "--json", "the same as JSON")
    option(parser, "--prove", "hold one chip against its table, while you turn it as told; writes a report to send")
    option(parser, "--address A", "with --prove: of the chip, such as 0x6a", type=address)
    clock = "with --prove: of I2C, where the kernel does not know it; of SPI, to be used"
    option(parser, "--bus-clock-hz HZ", clock, type=int)
    option(parser, "--chip NAME", "with --prove: take what answers as this chip, whatever it says it is")
    option(parser, "--sensor NAME", "with --prove: simulated or simulated:CHIP, a rehearsal that needs no hardware")
    option(
        parser, "--out FILE", "with --prove: the report's file, instead of motionsig-prove-CHIP-DATE.json", type=Path
    )
    parser.set_defaults(command=_sensors)


def _sensors(options: argparse.Namespace) -> int:
    given = [f"--{name.replace('_', '-')}" for name in _PROVING if getattr(options, name) is not None]
    if given and not options.prove:
        raise InputError(f"{', '.join(given)}: expected --prove beside it, got none")
    parts = [f"--{name.replace('_', '-')}" for name in _PARTS if getattr(options, name)]
    if len(parts) > 1:
        raise InputError(f"expected one of {', '.join(parts)} at a time, got {len(parts)}")
    if options.prove and options.json:
        raise InputError("--json: expected it without --prove, whose report is JSON: --out FILE")
    if options.chips:
        facts = [_chip(chip) for chip in CHIPS.values()]
        print(json.dumps(facts, indent=2) if options.json else "\n".join([*map(_known, facts), *_unread(), _ORIGINS]))
        return 0
    if options.prove:
        return prove_here(options)
    failed = False
    buses: list[dict[str, Any]] = []
    for number in bus_numbers() if options.bus is None else [options.bus]:
        if isinstance(number, str):
            buses.append(_on_spi(number, test=options.self_test))
            failed |= "error" in buses[-1] or buses[-1].pop("failed")
            continue
        try:
            with I2cBus(number) as wires:
                found: list[dict[str, Any]] = [
                    {
                        "address": f"0x{it.address:02x}",
                        "driver": it.driver,
                        "held": it.held,
                        "chips": [*map(_chip, it.chips)],
                        "says": {f"0x{register & 0xFF:02x}": f"0x{value:02x}" for register, value in it.says.items()},
                        "likeness": None if it.chips or it.driver else likeness(it.says, it.address),
                    }
                    for it in scan(wires)
                ]
                if options.self_test:
                    failed |= _test(found, partial(_tested, wires))
                buses.append({"bus": wires.name, "clock_hz": wires.clock_hz, "found": found})
        except SensorError as error:
            failed = True
            buses.append({"bus": f"/dev/i2c-{number}", "error": str(error)})
    spi = spidevs() if options.bus is None else []
    ports = list_ports() if options.bus is None else []
    kernel = [asdict(it) | {"held": _iio_holder(it)} for it in list_iio()]
    if options.json:
        serial = [asdict(port) for port in ports]
        print(json.dumps({"buses": buses, "spi": spi, "iio": kernel, "serial": serial}, indent=2))
    else:
        not_asked = [f"{name}  not asked: motionsig sensors --bus {name}" for name in spi]
        print("\n".join([*_bus_lines(buses), *not_asked, *_iio_lines(kernel), *map(_port_line, ports)]) or _NOTHING)
    return int(failed)


_PARTS = ("chips", "self_test", "prove")
_PROVING = ("address", "bus_clock_hz", "chip", "sensor", "out")
"""What the command does in place of listing, and the options of --prove alone."""

_NOTHING = """\
no I2C bus, no SPI device and no IIO device on this machine
  on a Raspberry Pi: sudo raspi-config nonint do_i2c 0 (or do_spi 0); then `motionsig doctor` says what else is missing
  without a sensor: motionsig record --sensor simulated --seconds 10 --out walk.msig"""


def _port_line(port: SerialPort) -> str:
    return f'{port.path}  {port.adapter}; it may have a sensor: open_sensor("witmotion:{port.path}") or "bno08x:..."'


def _iio_holder(sensor: IioSensor) -> str | None:
    folders = (Path("/sys/bus/iio/devices", name) for name in sensor.devices)
    return next(filter(None, map(device_owner, folders)), None)


def _chip(chip: Chip) -> dict[str, Any]:
    return {
        "name": chip.name,
        "title": chip.title,
        "addresses": [f"0x{address:02x}" for address in chip.addresses],
        "rates_hz": sorted(chip.rates),
        "accel_ranges_g": sorted(chip.accel_ranges),
        "gyro_ranges_dps": sorted(chip.gyro_ranges),
        "fifo_records": chip.capacity,
        "self_test": chip.self_test is not None,
        "alike": list(chip.alike),
        "clones": {f"0x{value:02x}": part for value, part in chip.clones.items()},
        "twins": list(chip.twins),
        "origins": {part: chip.origins.get(part, "memory") for part in PARTS},
        "boards": list(chip.boards),
        "notes": list(chip.notes),
    }


def _on_spi(path: str, *, test: bool) -> dict[str, Any]:
    """Return what answers there, as one of the buses; "failed" says whether a self-test did."""
    try:
        with Spidev(path) as device:
            chips = chips_on(device, CHIPS.values())
            bus = SpiBus(device, chips[0]) if chips else None
            found: list[dict[str, Any]] = [{"address": None, "driver": None, "chips": [*map(_chip, chips)]}]
            found[0]["held"] = bus and owner_of(bus, NO_ADDRESS)
            failed = (
                test and bool(bus) and _test(found, lambda chip, at: _tested(SpiBus(device, chip), over_spi(chip), at))
            )
            clock_hz = bus.clock_hz if bus else USUAL_HZ
            return {"bus": path, "clock_hz": clock_hz, "found": found if chips else [], "failed": failed}
    except SensorError as error:
        return {"bus": path, "error": str(error)}


def _test(found: Iterable[dict[str, Any]], run: Callable[[Chip, int], list[AxisResult]]) -> bool:
    """Test what was found and enter the results; return whether any failed."""
    failed = False
    for it in found:
        for chip in it["chips"][:1]:
            if not chip["self_test"]:
                it["self_test_error"] = f"none is known for the {chip['name']}"
                continue
            try:
                results = run(CHIPS[chip["name"]], int(it["address"] or "0", 0))
            except SensorError as error:
                failed, it["self_test_error"] = True, str(error)
                continue
            failed |= any(result.passed is False for result in results)
            it["self_test"] = [
                {
                    "channel": result.channel,
                    # JSON has no infinity and no NaN.
                    "change": result.change if math.isfinite(result.change) else None,
                    "least": result.least,
                    "most": result.most if math.isfinite(result.most) else None,
                    "passed": result.passed,
                }
                for result in results
            ]
    return failed


def _tested(bus: Bus, chip: Chip, address: int) -> list[AxisResult]:
    """Return the results of the chip's own test, of the chip that gravity says it is."""
    clock = SystemClock()
    with own(bus, address):
        chip, _ = require_gravity(bus, chip, address, None, clock=clock, **_WIDE)
    return self_test(bus, chip, address, clock=clock)


_WIDE = {"rate_hz": 100.0, "accel_range_g": 4.0, "gyro_range_dps": 250.0}
"""What the chip is set to for the look at gravity."""


def _line(chip: dict[str, Any]) -> str:
    gyro = f"{_span(chip['gyro_ranges_dps'])} deg/s" if chip["gyro_ranges_dps"] else "no gyroscope"
    return (
        f"{chip['name']:<11} {chip['title']}: {_span(chip['rates_hz'])} Hz, {_span(chip['accel_ranges_g'])} g, {gyro}, "
        f"FIFO of {chip['fifo_records']} samples"
    )


def _known(chip: dict[str, Any]) -> str:
    """Return what a chip can do, by which names it goes, where its table comes from and who has seen it at work."""
    by_kind: dict[str, list[str]] = {}
    for part, origin in chip["origins"].items():
        by_kind.setdefault(origin.partition(":")[0], []).append(part)
    kinds = "; ".join(f"{kind}: {', '.join(parts)}" for kind, parts in by_kind.items())
    also = f"also {', '.join(chip['alike'])}; " if chip["alike"] else ""
    return f"{_line(chip)}\n            {also}{kinds}; seen on {len(chip['boards'])} boards"


def _unread() -> list[str]:
    """Return a line for each part that is found on a bus and has no table."""
    return [f"{part:<11} no table: {hint(part)}" for part in sorted(set(UNREAD.values()))]


_ORIGINS = """\
data sheet, driver, memory: where the parts of a table come from (--json names the places)
no board, or few? please send a report: motionsig sensors --prove"""


def _span(values: Sequence[float]) -> str:
    return f"{values[0]:g}" if len(values) == 1 else f"{values[0]:g} to {values[-1]:g}"


def _bus_lines(buses: list[dict[str, Any]]) -> list[str]:
    lines = []
    for bus in buses:
        if "error" in bus:
            lines.append(bus["error"])
            continue
        lines.append(f"{bus['bus']}  {bus['clock_hz'] / 1000:g} kHz{'' if bus['found'] else ', no sensor answers'}")
        for it in bus["found"]:
            if it["driver"]:
                lines.append(f"  {it['address']}  held by the kernel's driver {it['driver']}: see iio below")
            elif not it["chips"]:
                lines.append(f"  {it['address']}  {it['likeness']}")
            else:
                first, *others = it["chips"]
                lines.append(f"  {it['address'] or 'spi '}  {_line(first)}")
                lines += [f"        or {chip['name']}, which says the same of itself" for chip in others]
                where = f"bus={bus['bus'][9:]}, address={it['address']}"
                if it["address"] is None:
                    where = f'bus="{spi_name(bus["bus"])}"'
                lines.append(f'        open_sensor("{first["name"]}", {where})')
            if it["held"]:
                lines.append(f"        held by {it['held']}: no other program can read it meanwhile")
            if "self_test_error" in it:
                lines.append(f"        self-test: {it['self_test_error']}")
            lines += [f"        self-test {test['channel']}: {_result(test)}" for test in it.get("self_test", ())]
    return lines


def _result(result: dict[str, Any]) -> str:
    if result["passed"] is None:
        return "cannot be judged, the factory left no value"
    most = "" if result["most"] is None else f" to {result['most']:.3g}"
    passed = "passed" if result["passed"] else "FAILED"
    return f"{passed}, {result['change']:.3g}, expected {result['least']:.3g}{most}"


def _iio_lines(kernel: Iterable[dict[str, Any]]) -> list[str]:
    lines = []
    for it in kernel:
        units = {"rates_hz": "Hz", "accel_ranges_g": "g", "gyro_ranges_dps": "deg/s"}
        can = [f"{_span(it[key])} {unit}" for key, unit in units.items() if it[key]]
        if len(it["channels"]) < len(CHANNELS):
            can.append("no gyroscope")
        can.append("buffer" if it["buffer"] else "no buffer: polled through sysfs")
        lines.append(f"iio  {it['name']} ({it['driver']}): {', '.join(can)}")
        lines.append(f'        open_sensor("iio:{it["name"]}")')
        if it.get("held"):
            lines.append(f"        held by {it['held']}: no other program can read it meanwhile")
    return lines

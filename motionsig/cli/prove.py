"""`motionsig sensors --prove`: a person turns the sensor as told, and what the chip does is held against its table."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from itertools import count
from pathlib import Path

from motionsig.cli.progress import printers
from motionsig.endings import require_ending
from motionsig.errors import InputError, SensorError
from motionsig.files import write_file
from motionsig.sensors import CHIPS, all_buses, scan
from motionsig.sensors.bus import NO_ADDRESS, Bus, I2cBus, at
from motionsig.sensors.chips import Chip
from motionsig.sensors.clock import Clock, SystemClock
from motionsig.sensors.names import require_chip
from motionsig.sensors.proving import STEPS, Step, prove, report
from motionsig.sensors.spi import SpiBus, Spidev, open_spi, over_spi

_STATES = {"proved": "proved", "wrong": "WRONG ", "open": "open  "}


def prove_here(options: argparse.Namespace) -> int:
    """Prove the one chip that answers, or the one that --bus, --address and --chip leave."""
    if options.out is not None and options.out.exists():
        raise InputError(f"--out {options.out}: expected a new file, got one that is there")
    if options.out is not None:
        require_ending(
            options.out, (".json",), where="--out: ", instead="the report is JSON: name it such as board.json"
        )
    with ExitStack() as resources:
        bus, chip, address = _choose(options, resources)
        return prove_chip(bus, chip, address, clock=SystemClock(), out=options.out)


def prove_chip(
    bus: Bus, chip: Chip, address: int, *, clock: Clock, out: Path | None, guide: Callable[[Step], None] | None = None
) -> int:
    """Prove a chip with prompts on standard error; print the findings, write the report, return the exit code.

    guide: is told of each step, after the person. out: the report's file; by default it is named by chip and date.
    """
    say, show = printers()
    say(f"{chip.title} ({chip.name}) on {bus.name}{at(address)}: about a minute, {len(STEPS)} steps")

    def tell(step: Step) -> None:
        say(f"{STEPS.index(step) + 1}. {step.text} (within {step.within_s:g} s)")
        if guide is not None:
            guide(step)

    proof = prove(bus, chip, address, clock=clock, guide=tell, show=lambda what: show(f"   {what} ..."))
    say("done")
    for it in proof.findings:
        print(f"{_STATES[it.state]}  {it.kind}: {it.words}")
    print(proof.verdict)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    path = out or _new(f"motionsig-prove-{chip.name}-{day}")
    write_file(path, report(proof, software=f"motionsig {version('motionsig')}", machine=_machine(), when=day))
    print(f"report: {path}: the findings' numbers and four records of each pose, no other motion")
    print("please attach it to an issue of motionsig, whatever the verdict: each board counts")
    return int(not proof.proved)


def _choose(options: argparse.Namespace, resources: ExitStack) -> tuple[Bus, Chip, int]:
    named = require_chip(options.chip, where="--chip: ") if options.chip else None
    if isinstance(options.bus, str):
        return _on_spi(options, named, resources)
    found: list[tuple[Bus, Chip, int]] = []
    others: list[str] = []
    unknown = False
    for number in all_buses() if options.bus is None else [options.bus]:
        try:
            bus = resources.enter_context(I2cBus(number, clock_hz=options.bus_clock_hz))
            for it in scan(bus, None if options.address is None else (options.address,)):
                chips = (named,) if named and it.says else it.chips
                # One chip, whatever it may be besides: what contradicts its table names the other.
                found += [(bus, chip, it.address) for chip in chips[:1]]
                others += [] if chips else [str(it)]
                unknown |= not chips and it.driver is None
        except SensorError as error:
            others.append(str(error))
    if len(found) == 1:
        return found[0]
    several = "; ".join(f"{chip.name} on {bus.name} at 0x{address:02x}" for bus, chip, address in found)
    nothing = f"nothing on {'any I2C bus' if options.bus is None else f'/dev/i2c-{options.bus}'}"
    todo = "; --bus and --address say which" if found else ""
    if not found and unknown:
        todo = "; --chip NAME takes an unknown one as that"
    elif not others:
        todo = todo or "; check wiring and power, and see `motionsig doctor`; a chip on SPI needs --bus"
    raise SensorError(f"--prove: expected one chip, got {several or '; '.join(others) or nothing}{todo}")


def _on_spi(options: argparse.Namespace, named: Chip | None, resources: ExitStack) -> tuple[Bus, Chip, int]:
    if options.address is not None:
        raise InputError(f"--address: expected none on SPI, got 0x{options.address:02x} with {options.bus}")
    if named is None:
        # Its owner is whoever proves it, so the search ends first.
        with ExitStack() as looking:
            _, chip = open_spi(options.bus, None, None, options.bus_clock_hz, SystemClock(), looking)
        named = CHIPS[chip.name]
    bus = SpiBus(resources.enter_context(Spidev(options.bus)), named, clock_hz=options.bus_clock_hz)
    return bus, over_spi(named), NO_ADDRESS


def _new(name: str) -> Path:
    """Return a name that no file has: of two boards on one day, both reports are kept."""
    names = (Path(f"{name}{'' if at == 1 else f'-{at}'}.json") for at in count(1))
    return next(path for path in names if not path.exists())


def _machine() -> str:
    model = Path("/proc/device-tree/model")
    name = model.read_text("utf-8", "replace").strip("\0\n ") if model.exists() else platform.machine()
    return f"{name}, Linux {platform.release()}, Python {platform.python_version()}"

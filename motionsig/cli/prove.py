"""`motionsig sensors --prove`: a person turns the sensor as told, and what the chip does is held against its table."""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
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
from motionsig.sensors.names import require_chip, simulated_part
from motionsig.sensors.proving import STEPS, Step, prove, report
from motionsig.sensors.simulated import SimulatedBus, simulated_chip
from motionsig.sensors.simulated.hand import Hand
from motionsig.sensors.spi import SpiBus, Spidev, open_spi, over_spi

_STATES = {"proved": "proved", "wrong": "WRONG ", "open": "open  "}


_REACTS_S = 2.0
"""In a rehearsal, from a step's words until it is done: time to read them."""


def prove_here(options: argparse.Namespace) -> int:
    """Prove the one chip that answers, or the one that --bus, --address and --chip leave."""
    if options.out is not None and options.out.exists():
        raise InputError(f"--out {options.out}: expected a new file, got one that is there")
    if options.out is not None:
        require_ending(
            options.out, (".json",), where="--out: ", instead="the report is JSON: name it such as board.json"
        )
    if options.sensor is not None:
        return _rehearse(options)
    with ExitStack() as resources:
        bus, chip, address = _choose(options, resources)
        return prove_chip(bus, chip, address, clock=SystemClock(), out=options.out)


def _rehearse(options: argparse.Namespace) -> int:
    """Let a person see the steps on a chip's model, which does by itself what they ask for."""
    others = [name for name in ("bus", "address", "bus_clock_hz", "chip") if getattr(options, name) is not None]
    if others:
        given = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise InputError(f"--sensor: expected it without what finds a real chip, got {given} beside it")
    word = options.sensor.lower()
    chip, motion = simulated_part(word)
    if word.partition(":")[0] != "simulated" or chip is None or motion:
        todo = "it is for a rehearsal alone; a real chip is found, or named by --bus, --address and --chip"
        raise InputError(f"--sensor: expected simulated or simulated:CHIP, got {options.sensor!r}; {todo}")
    clock = SystemClock()
    hand = Hand(clock, late_s=_REACTS_S)
    model = simulated_chip(chip.name, clock=clock, signal=hand.signal)
    bus = SimulatedBus([model], clock=clock)
    return prove_chip(bus, chip, model.address, clock=clock, out=options.out, guide=hand.guide, rehearsal=True)


def prove_chip(
    bus: Bus,
    chip: Chip,
    address: int,
    *,
    clock: Clock,
    out: Path | None,
    guide: Callable[[Step], None] | None = None,
    rehearsal: bool = False,
) -> int:
    """Prove a chip with prompts on standard error; print the findings, write the report, return the exit code.

    guide: is told of each step, after the person. out: the report's file; by default it is named by chip and date.
    rehearsal: it is a model that does what the steps ask for.
    """
    say, show = printers()
    if rehearsal:
        say("REHEARSAL: a simulated chip does by itself what each step asks for; no board is seen")
    say(f"{chip.title} ({chip.name}) on {bus.name}{at(address)}: about a minute, {len(STEPS)} steps")

    def tell(step: Step) -> None:
        say(f"{STEPS.index(step) + 1}. {step.text} (within {step.within_s:g} s)")
        if guide is not None:
            guide(step)

    proof = prove(bus, chip, address, clock=clock, guide=tell, show=lambda what: show(f"   {what} ..."))
    proof = replace(proof, rehearsal=rehearsal)
    say("done")
    for it in proof.findings:
        print(f"{_STATES[it.state]}  {it.kind}: {it.words}")
    print(proof.verdict)
    day = time.strftime("%Y-%m-%d", time.gmtime())
    path = out or _new(f"motionsig-{'rehearsal' if rehearsal else 'prove'}-{chip.name}-{day}")
    write_file(path, report(proof, software=f"motionsig {version('motionsig')}", machine=_machine(), when=day))
    print(f"report: {path}: the findings' numbers and four records of each pose, no other motion")
    if rehearsal:
        print("it is no report to send; with the board on its bus: motionsig sensors --prove")
    else:
        print("please attach it to an issue of motionsig, whatever the verdict: each board counts")
    return int(not proof.holds)


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

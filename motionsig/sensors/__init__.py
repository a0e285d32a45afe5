"""Motion sensors as a Source: chips on an I2C bus, chips that the kernel drives (IIO), and simulated ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.options import parse_options
from motionsig.sensors.bus import NO_ADDRESS, Bus, BusError, I2cBus, bus_numbers, kernel_driver, parse_bus
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.chips import Chip, settle
from motionsig.sensors.clock import Clock, SystemClock
from motionsig.sensors.families import CHIPS
from motionsig.sensors.fifo import ChipFifo, require_bus
from motionsig.sensors.gravity import require_gravity
from motionsig.sensors.iio import IioSensor, IioSource, list_iio, open_iio
from motionsig.sensors.names import PHONE, UNREAD, identity, likeness, named_chip, refusal, require_chip, simulated_part
from motionsig.sensors.owner import own, owner_of
from motionsig.sensors.reader import SensorReader
from motionsig.sensors.registers import Registers
from motionsig.sensors.serial import SERIAL, SerialSource, open_serial
from motionsig.sensors.spi import SpiBus, open_spi

if TYPE_CHECKING:
    from motionsig.sensors.phone import Invitation, PhoneSource

log = own_logger(__name__)

__all__ = ["CHIPS", "Calibration", "Found", "IioSensor", "IioSource", "SensorReader", "list_iio", "open_iio"]
__all__ += ["SERIAL", "SerialSource", "all_buses", "open_sensor", "scan"]

_FAILING_S = 5.0
"""A bus whose failures have taken so long is given up. The Pi's takes one second for each, others 10 ms."""
_QUICK_NS = 100_000_000
"""A failure that took less may be a glitch, and is worth another try."""


@dataclass(frozen=True)
class Found:
    """An address on a bus at which a chip answers: `chips` are those that say what it says of itself.

    driver: the kernel's, if one holds the address; then nothing was asked, and `chips` are empty. says: each register
    that was asked and what it reads as. held: who reads the chip, such as "process 1234 (motionsig run)": `open_sensor`
    would be refused.
    """

    bus: str
    address: int
    chips: tuple[Chip, ...]
    driver: str | None = None
    says: Mapping[int, int] = field(default_factory=dict)
    held: str | None = None

    def __str__(self) -> str:
        what = " or ".join(chip.name for chip in self.chips) or (
            f"the kernel's driver {self.driver} (open it as iio)" if self.driver else likeness(self.says, self.address)
        )
        return f"{what} on {self.bus} at 0x{self.address:02x}{f', held by {self.held}' if self.held else ''}"


def scan(bus: Bus, addresses: Collection[int] | None = None, *, clock: Clock | None = None) -> list[Found]:
    """Ask at every address that a known chip may have, or at `addresses`; return what answers or the kernel holds.

    Only registers that name a chip are read, and nothing is written: nobody who reads a chip is disturbed. `clock`:
    another one than the system's, for tests. Raises BusError where no address answers and none says that nobody is
    there: the bus has failed, or nothing is connected to one of the adapters that report that in no other way.
    """
    clock = clock or SystemClock()
    found: list[Found] = []
    failed: list[BusError] = []
    asked = refused = failing_ns = 0
    wanted = sorted(addresses or {address for chip in CHIPS.values() for address in chip.addresses})
    for address in wanted:
        driver = kernel_driver(bus, address)
        if driver is not None:
            found.append(Found(bus.name, address, (), driver))
            continue
        candidates = [chip for chip in CHIPS.values() if addresses or address in chip.addresses]
        # The bank that is selected after power-up has the identity of a chip with banks.
        registers = {register for chip in candidates for register in chip.identity}
        asked, began_ns = asked + 1, clock.monotonic_ns()
        try:
            says = {register: _ask(bus, address, register & 0xFF, clock) for register in sorted(registers)}
        except BusError as error:
            failed.append(error)
            failing_ns += clock.monotonic_ns() - began_ns
            if failing_ns >= _FAILING_S * NS_PER_S:
                break
            continue
        answers = {register: value for register, value in says.items() if value is not None}
        if answers:
            chips = tuple(chip for chip in candidates if chip.identity.items() <= answers.items())
            for register in {register for register, _ in UNREAD} - answers.keys() if not chips else ():
                value = _ask(bus, address, register, clock)
                answers |= {} if value is None else {register: value}
            found.append(Found(bus.name, address, chips, says=answers, held=owner_of(bus, address)))
        else:
            refused += 1
    # An adapter that never says "nobody" otherwise means it by its failures, where another address does answer.
    if failed and (refused or asked == len(failed)):
        trouble = f"{failed[0]}; {len(failed)} of {asked} addresses failed so"
        if asked + sum(it.driver is not None for it in found) < len(wanted):
            trouble += f", and after {failing_ns / NS_PER_S:.0f} s of that no more were asked"
        trouble += "; check power, pull-ups and wiring"
        if not found and not refused:
            raise BusError(f"{trouble}, or nothing is connected: some adapters report that so", nack=False)
        # Where the kernel reads a chip the bus works, so the failures are such an adapter's way to say it.
        log.log(logging.WARNING if refused else logging.INFO, "%s", trouble)
    return found


def _ask(bus: Bus, address: int, register: int, clock: Clock) -> int | None:
    """Return what a register reads as, or None if nobody answers in three tries."""
    late_ns = clock.monotonic_ns() + _QUICK_NS
    for last in (False, False, True):
        try:
            return bus.read(address, register, 1)[0]
        except BusError as error:
            # A glitch is over at once; an adapter that waited for its time-out would wait again.
            if not error.nack and (last or clock.monotonic_ns() > late_ns):
                raise
    return None


def open_sensor(
    name: str = "auto",
    *,
    bus: int | str | Bus | None = None,
    address: int | None = None,
    chip: str | None = None,
    rate_hz: float = 100.0,
    accel_range_g: float = 8.0,
    gyro_range_dps: float = 1000.0,
    mount: str | Sequence[Sequence[float]] | None = None,
    calibration: Calibration | str | None = None,
    bus_clock_hz: int | None = None,
    baud: int | None = None,
    clock: Clock | None = None,
    invite: Callable[[Invitation], None] | None = None,
) -> SensorReader | IioSource | SerialSource | PhoneSource:
    """Open a motion sensor as an endless Source.

    >>> with motionsig.open_sensor("simulated", rate_hz=208) as sensor:  # on a Raspberry Pi: "auto", or "lsm6dsox"
    ...     for block in sensor:
    ...         if len(block):  # an empty block comes once a second while the sensor gives nothing
    ...             break
    >>> sensor.rate_hz, block.data.shape[1]
    (208.0, 6)

    * `name`: a chip ("lsm6dsox", "MPU-6050"; `motionsig sensors` lists them), "iio" or "iio:NAME" for a sensor that the
      kernel drives, "auto" for the kernel's if it drives one and else the first chip on a bus, "simulated" for a model
      of one on somebody who walks, "simulated:lesson" for one that rests and turns by turns, "simulated:turns" for
      one that also walks, "witmotion:/dev/ttyUSB0" for a WitMotion sensor on a serial port, "bno08x:/dev/ttyUSB0" for
      a BNO080, BNO085 or BNO086, "phone" for the first phone that opens a link, until the source is closed.
    * `bus`: number of /dev/i2c-N, by default each in turn; "spi0.0" for /dev/spidev0.0, which has no `address`; or any
      Bus, such as a SimulatedBus. `address`: on the bus.
    * `chip`: take what answers as this chip although it says another identity, as clones do. With `address` it is
      whatever answers there, else the first that no chip's identity fits. At rest it must measure gravity.
    * `rate_hz` (samples per second), `accel_range_g` and `gyro_range_dps` (°/s): of the settings that the chip has, the
      lowest that is at least this one is set. The `rate_hz` of the Source is what was set.
    * `mount`: rotation (3, 3) from the sensor's axes to the device's, or text as the kernel writes it.
    * `calibration`: "none", or another one than `motionsig calibrate` stored for this sensor.
    * `bus_clock_hz`: of the bus, where the kernel does not know it; on SPI the clock to use. `baud`: of a serial line,
      where it is none of the usual ones. `clock`: another one than the system's, for tests. `invite`: shows whoever
      holds the phone its link (`link`, `others`, `fingerprint`).

    Any thread may `close` the source: its iteration then ends. `true_rate_hz` and `counts` say what was measured.
    Raises SensorError where no such sensor answers, it does not start, or gravity at rest says that it is another one;
    InputError for a setting that it does not have or that the bus cannot carry; MissingExtraError for a bus without
    smbus2.
    """
    numbers: dict[str, Any] = {"rate_hz": rate_hz, "accel_range_g": accel_range_g, "gyro_range_dps": gyro_range_dps}
    numbers = parse_options(numbers, dict.fromkeys(numbers, "float"), where="sensor:", lowest=0)
    parse_options({"address": address}, {"address": "int"}, where="sensor:", lowest=0)
    kind, _, rest = name.partition(":")
    kind, auto = kind.lower(), name.lower() == "auto"
    clock = clock or SystemClock()
    wires = {"bus": bus, "address": address, "chip": chip, "bus_clock_hz": bus_clock_hz}
    given = [f"{option}={value}" for option, value in wires.items() if value is not None]
    if kind in ("iio", "simulated", PHONE, *SERIAL) and given:
        raise InputError(
            f"{name}: expected no bus, no address, no chip and no bus_clock_hz, which are for I2C and SPI, got "
            + ", ".join(given)
        )
    parse_options({"baud": baud}, {"baud": "int"}, where="sensor:", lowest=1)
    if kind in SERIAL:
        return open_serial(name, **numbers, baud=baud, mount=mount, calibration=calibration)
    if baud is not None:
        raise InputError(f"{name}: expected no baud, which is for a sensor on a serial port, got {baud}")
    if name.lower() == PHONE:
        from motionsig.sensors.phone import open_phone

        return open_phone(invite, mount=mount, calibration=calibration)
    if kind == "iio" or (auto and bus is None and chip is None and list_iio()):
        return open_iio(rest or "auto", **numbers, mount=mount, calibration=calibration)
    named, motion = simulated_part(name) if kind == "simulated" else (None if auto else named_chip(name), "")
    if named is None and not auto:
        raise InputError(f"sensor: {refusal(name)}")
    if kind == "simulated" and named is not None:
        from motionsig.sensors.simulated import MOTIONS, SimulatedBus, simulated_chip

        bus = SimulatedBus([simulated_chip(named.name, clock=clock, signal=MOTIONS[motion])], clock=clock)
    forced = None if chip is None else require_chip(chip, where="sensor: chip: ")
    if named and forced and named is not forced:
        raise InputError(
            f"sensor: expected one chip, got {name!r} and chip={chip!r}; leave out the one that is not there"
        )
    bus = parse_bus(bus) if isinstance(bus, str) else bus
    with ExitStack() as resources:
        if isinstance(bus, str | SpiBus):
            if address is not None:
                raise InputError(f"address: expected none on SPI, got 0x{address:02x} with {bus}")
            bus, table = open_spi(bus, named, forced, bus_clock_hz, clock, resources)
            address, place = NO_ADDRESS, bus.name.rpartition("/")[2]
        else:
            bus, table, address = _find(named, forced, bus, address, bus_clock_hz, clock, resources)
            resources.enter_context(own(bus, address))
            place = f"{bus.name.rpartition('/')[2]}-{address:02x}"
        runs: ChipFifo | None = None
        if kind != "simulated":
            table, runs = require_gravity(bus, table, address, named or forced, clock=clock, **numbers)
        setting = settle(table, **numbers)
        require_bus(table, setting, bus)
        device_id = f"{table.name}-{place}"
        return SensorReader(
            runs or ChipFifo(bus, table, address, setting, clock),
            clock=clock,
            runs=runs is not None,
            calibration=choose_calibration(calibration, mount, device_id),
            device_id=device_id,
            resources=resources.pop_all(),
        )


def _find(
    named: Chip | None,
    forced: Chip | None,
    bus: int | Bus | None,
    address: int | None,
    clock_hz: int | None,
    clock: Clock,
    resources: ExitStack,
) -> tuple[Bus, Chip, int]:
    """Return the first bus, chip and address where the chip answers: `named`, `forced` whatever it says, or any.

    What keeps one bus from being searched is told, and hides no other bus. The bus is closed with `resources`.
    """
    seen: list[str] = []
    for candidate in _buses(bus):
        try:
            with ExitStack() as opened:
                if isinstance(candidate, int):
                    candidate = opened.enter_context(I2cBus(candidate, clock_hz=clock_hz))
                there = _look(candidate, named, forced, address, clock, seen)
                if there is not None:
                    resources.push(opened.pop_all())
                    return candidate, *there
        except SensorError as error:
            if bus is not None:
                raise
            # That a bus cannot be used is often meant so, as in a screen's cable; that it fails is not.
            log.log(logging.WARNING if isinstance(error, BusError) else logging.INFO, "skipped: %s", error)
            seen.append(str(error))
    where = "any I2C bus" if bus is None else f"/dev/i2c-{bus}" if isinstance(bus, int) else bus.name
    wanted = named or forced
    raise SensorError(
        f"sensor {wanted.name if wanted else 'auto'!r}: expected it to answer on {where}"
        f"{'' if address is None else f' at 0x{address:02x}'}, got {'; '.join(seen) or 'nothing there'}; "
        f"{'see `motionsig sensors`' if seen else 'check wiring and power, and see `motionsig doctor`'}"
    )


def _look(
    bus: Bus, named: Chip | None, forced: Chip | None, address: int | None, clock: Clock, seen: list[str]
) -> tuple[Chip, int] | None:
    """Return the chip and its address on one bus; None where it does not answer, and add what does to `seen`."""
    for found in scan(bus, None if address is None else (address,), clock=clock):
        for chip in found.chips or _in_another_bank(named, bus, found):
            if (named or forced or chip) is chip:
                return chip, found.address
        if forced is not None and _may_be(forced, found, address):
            return _taken_as(forced, found), found.address
        seen.append(str(found))
    return None


def _may_be(chip: Chip, found: Found, address: int | None) -> bool:
    """Tell whether what answers may be taken as that chip: nobody else's identity fits, or its address was given."""
    asked = identity(chip)[0] in found.says
    return asked and (address is not None or (not found.chips and found.address in chip.addresses))


def _taken_as(chip: Chip, found: Found) -> Chip:
    """Return the table with the identity that was found in place of its own."""
    says = {register: found.says[register] for register in chip.identity}
    log.warning(
        "%s at 0x%02x is taken as %s, as chip= asks, although it says %s where %s says %s",
        found.bus,
        found.address,
        chip.name,
        ", ".join(f"0x{value:02x}" for value in says.values()),
        chip.title,
        ", ".join(f"0x{value:02x}" for value in chip.identity.values()),
    )
    return replace(chip, identity=says)


def _in_another_bank(chip: Chip | None, bus: Bus, found: Found) -> tuple[Chip, ...]:
    """Return the chip if it answers once its first bank is selected."""
    # The program that used it before may have been killed while another bank was selected. Only for a chip that is
    # asked for by name: the register that selects a bank in one chip is reserved in others.
    if chip is not None and chip.bank is not None and found.driver is None:
        # To select a bank is to write: not to a chip that somebody reads.
        with own(bus, found.address), suppress(SensorError):
            Registers(bus, chip, found.address, SystemClock()).identify()
            return (chip,)
    return ()


def all_buses() -> list[int]:
    """Return the numbers of all I2C buses; raise SensorError where there is none."""
    numbers = bus_numbers()
    if not numbers:
        raise SensorError(
            "I2C: expected a bus such as /dev/i2c-1, got none; on a Raspberry Pi: sudo raspi-config nonint do_i2c 0"
        )
    return numbers


def _buses(bus: int | Bus | None) -> Sequence[int | Bus]:
    """Return the buses to look on: the one given, or the numbers of all."""
    if bus is not None:
        return (bus,)
    return all_buses()

"""Motion sensors as a Source: chips on an I2C bus, chips that the kernel drives (IIO), and simulated ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.options import parse_options
from motionsig.sensors.bus import Bus, BusError, I2cBus, bus_numbers, holder
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.chips import SIMULATED_CHIP, SIMULATED_LESSON, Chip, settle
from motionsig.sensors.clock import Clock, SystemClock
from motionsig.sensors.families import CHIPS
from motionsig.sensors.fifo import ChipFifo, require_bus
from motionsig.sensors.gravity import require_gravity
from motionsig.sensors.iio import IioSensor, IioSource, list_iio, open_iio
from motionsig.sensors.names import identity, likeness, require_chip
from motionsig.sensors.reader import SensorReader
from motionsig.sensors.registers import Registers

log = own_logger(__name__)

__all__ = ["CHIPS", "Calibration", "Found", "IioSensor", "IioSource", "SensorReader", "list_iio", "open_iio"]
__all__ += ["open_sensor", "scan"]


@dataclass(frozen=True)
class Found:
    """An address on a bus at which a chip answers: `chips` are those that say what it says of itself.

    driver: the kernel's, if one holds the address; then nothing was asked, and `chips` are empty. says: each register
    that was asked and what it reads as.
    """

    bus: str
    address: int
    chips: tuple[Chip, ...]
    driver: str | None = None
    says: Mapping[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        what = " or ".join(chip.name for chip in self.chips) or (
            f"the kernel's driver {self.driver} (open it as iio)" if self.driver else likeness(self.says, self.address)
        )
        return f"{what} on {self.bus} at 0x{self.address:02x}"


def scan(bus: Bus, addresses: Collection[int] | None = None) -> list[Found]:
    """Ask at every address that a known chip may have, or at `addresses`; return what answers or the kernel holds.

    Only registers that name a chip are read, and nothing is written. Raises BusError where the bus itself fails.
    """
    found = []
    for address in sorted(addresses or {address for chip in CHIPS.values() for address in chip.addresses}):
        driver = holder(bus.name, address)
        if driver is not None:
            found.append(Found(bus.name, address, (), driver))
            continue
        candidates = [chip for chip in CHIPS.values() if addresses or address in chip.addresses]
        # The bank that is selected after power-up has the identity of a chip with banks.
        registers = {register for chip in candidates for register in chip.identity}
        says = {register: _ask(bus, address, register & 0xFF) for register in sorted(registers)}
        answers = {register: value for register, value in says.items() if value is not None}
        if answers:
            chips = tuple(chip for chip in candidates if chip.identity.items() <= answers.items())
            found.append(Found(bus.name, address, chips, says=answers))
    return found


def _ask(bus: Bus, address: int, register: int) -> int | None:
    """Return what a register reads as, or None if nobody answers in three tries."""
    for _ in range(3):
        try:
            return bus.read(address, register, 1)[0]
        except BusError as error:
            if not error.nack:
                raise
    return None


def open_sensor(
    name: str = "auto",
    *,
    bus: int | Bus | None = None,
    address: int | None = None,
    chip: str | None = None,
    rate_hz: float = 100.0,
    accel_range_g: float = 8.0,
    gyro_range_dps: float = 1000.0,
    mount: str | Sequence[Sequence[float]] | None = None,
    calibration: Calibration | str | None = None,
    bus_clock_hz: int | None = None,
    clock: Clock | None = None,
) -> SensorReader | IioSource:
    """Open a motion sensor as an endless Source.

    >>> with motionsig.open_sensor("simulated", rate_hz=208) as sensor:  # on a Raspberry Pi: "auto", or "lsm6dsox"
    ...     for block in sensor:
    ...         if len(block):  # an empty block comes once a second while the sensor gives nothing
    ...             break
    >>> sensor.rate_hz, block.data.shape[1]
    (208.0, 6)

    * `name`: a chip ("lsm6dsox", "MPU-6050"; `motionsig sensors` lists them), "iio" or "iio:NAME" for a sensor that the
      kernel drives, "auto" for the kernel's if it drives one and else the first chip on a bus, "simulated" for a model
      of one on somebody who walks, "simulated:lesson" for one that rests and turns by turns.
    * `bus`: number of /dev/i2c-N, by default each in turn; or any Bus, such as a SimulatedBus. `address`: on the bus.
    * `chip`: take what answers as this chip although it says another identity, as clones do. With `address` it is
      whatever answers there, else the first that no chip's identity fits. At rest it must measure gravity.
    * `rate_hz` (samples per second), `accel_range_g` and `gyro_range_dps` (°/s): of the settings that the chip has, the
      lowest that is at least this one is set. The `rate_hz` of the Source is what was set.
    * `mount`: rotation (3, 3) from the sensor's axes to the device's, or text as the kernel writes it.
    * `calibration`: "none", or another one than `motionsig calibrate` stored for this sensor.
    * `bus_clock_hz`: of the bus, where the kernel does not know it. `clock`: another one than the system's, for tests.

    Any thread may `close` the source: its iteration then ends. `true_rate_hz` and `counts` say what was measured.
    Raises SensorError where no such sensor answers or it does not start; InputError for a setting that it does not have
    or that the bus cannot carry; MissingExtraError for a bus without smbus2.
    """
    numbers: dict[str, Any] = {"rate_hz": rate_hz, "accel_range_g": accel_range_g, "gyro_range_dps": gyro_range_dps}
    parse_options(numbers, dict.fromkeys(numbers, "float"), where="sensor:", lowest=0)
    parse_options({"address": address}, {"address": "int"}, where="sensor:", lowest=0)
    kind, _, rest = name.partition(":")
    kind = kind.lower()
    clock = clock or SystemClock()
    if kind in ("iio", "simulated") and not bus is address is chip is None:
        raise InputError(
            f"{name}: expected no bus, no address and no chip, which are for I2C, got {bus}, {address} and {chip}"
        )
    if kind == "iio" or (kind == "auto" and bus is None and chip is None and list_iio()):
        return open_iio(rest or "auto", **numbers, mount=mount, calibration=calibration)
    if kind == "simulated":
        from motionsig.sensors.simulated import SimulatedBus, performing, simulated_chip, walking

        signal, rest = (performing, "") if rest == SIMULATED_LESSON else (walking, rest)
        name = rest or SIMULATED_CHIP
        bus = SimulatedBus([simulated_chip(name, clock=clock, signal=signal)], clock=clock)
    named = None if kind == "auto" else require_chip(name, where="sensor: ")
    forced = None if chip is None else require_chip(chip, where="sensor: chip: ")
    if named and forced and named is not forced:
        raise InputError(
            f"sensor: expected one chip, got {name!r} and chip={chip!r}; leave out the one that is not there"
        )
    with ExitStack() as resources:
        bus, table, address = _find(named, forced, bus, address, _buses(bus, bus_clock_hz, resources))
        if kind != "simulated":
            table = require_gravity(bus, table, address, named or forced, clock=clock, **numbers)
        setting = settle(table, **numbers)
        require_bus(table, setting, bus)
        device_id = f"{table.name}-{bus.name.rpartition('/')[2]}-{address:02x}"
        return SensorReader(
            ChipFifo(bus, table, address, setting, clock),
            clock=clock,
            calibration=choose_calibration(calibration, mount, device_id),
            device_id=device_id,
            resources=resources.pop_all(),
        )


def _find(
    named: Chip | None, forced: Chip | None, bus: int | Bus | None, address: int | None, buses: Iterator[Bus]
) -> tuple[Bus, Chip, int]:
    """Return the first bus, chip and address where the chip answers: `named`, `forced` whatever it says, or any."""
    seen = []
    for candidate in buses:
        for found in scan(candidate, None if address is None else (address,)):
            for chip in found.chips or _in_another_bank(named, candidate, found):
                if (named or forced or chip) is chip:
                    return candidate, chip, found.address
            if forced is not None and _may_be(forced, found, address):
                return candidate, _taken_as(forced, found), found.address
            seen.append(str(found))
    where = "any I2C bus" if bus is None else f"/dev/i2c-{bus}" if isinstance(bus, int) else bus.name
    wanted = named or forced
    raise SensorError(
        f"sensor {wanted.name if wanted else 'auto'!r}: expected it to answer on {where}"
        f"{'' if address is None else f' at 0x{address:02x}'}, got {'; '.join(seen) or 'nothing there'}; "
        f"{'see `motionsig sensors`' if seen else 'check wiring and power, and see `motionsig doctor`'}"
    )


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
        with suppress(SensorError):
            Registers(bus, chip, found.address, SystemClock()).identify()
            return (chip,)
    return ()


def _buses(bus: int | Bus | None, clock_hz: int | None, resources: ExitStack) -> Iterator[Bus]:
    """Yield the buses to look on; those opened here are closed with `resources`."""
    if bus is not None and not isinstance(bus, int):
        yield bus
        return
    numbers = bus_numbers() if bus is None else [bus]
    if not numbers:
        raise SensorError(
            "I2C: expected a bus such as /dev/i2c-1, got none; on a Raspberry Pi: sudo raspi-config nonint do_i2c 0"
        )
    for number in numbers:
        yield resources.enter_context(I2cBus(number, clock_hz=clock_hz))

"""Motion sensors as a Source: chips on an I2C bus, chips that the kernel drives (IIO), and simulated ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from motionsig.errors import InputError, SensorError
from motionsig.options import parse_options
from motionsig.sensors.bus import NO_ADDRESS, Bus, BusError, I2cBus, bus_numbers, holder, parse_bus
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.calibration.storage import choose_calibration
from motionsig.sensors.chips import SIMULATED_CHIP, SIMULATED_LESSON, Chip, settle
from motionsig.sensors.clock import Clock, SystemClock
from motionsig.sensors.families import adxl345, bmi160, icm20948, icm42600, lis3dh, lsm6ds3, lsm6dso, lsm9ds1, mpu6000
from motionsig.sensors.fifo import ChipFifo, require_bus
from motionsig.sensors.iio import IioSensor, IioSource, list_iio, open_iio
from motionsig.sensors.reader import SensorReader
from motionsig.sensors.registers import Registers
from motionsig.sensors.spi import SpiBus, open_spi

__all__ = ["CHIPS", "Calibration", "Found", "IioSensor", "IioSource", "SensorReader", "list_iio", "open_iio"]
__all__ += ["open_sensor", "scan"]

_FAMILIES = (mpu6000, icm20948, icm42600, lsm6ds3, lsm6dso, lsm9ds1, bmi160, adxl345, lis3dh)

CHIPS: dict[str, Chip] = {chip.name: chip for family in _FAMILIES for chip in family.CHIPS}
"""The chips that motionsig reads itself, by name."""


@dataclass(frozen=True)
class Found:
    """An address on a bus at which a chip answers: `chips` are those that say what it says of itself.

    driver: the kernel's, if one holds the address; then nothing was asked, and `chips` are empty.
    """

    bus: str
    address: int
    chips: tuple[Chip, ...]
    driver: str | None = None

    def __str__(self) -> str:
        what = " or ".join(chip.name for chip in self.chips) or (
            f"the kernel's driver {self.driver} (open it as iio)" if self.driver else "something unknown"
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
        if any(value is not None for value in says.values()):
            chips = tuple(chip for chip in candidates if chip.identity.items() <= says.items())
            found.append(Found(bus.name, address, chips))
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
    bus: int | str | Bus | None = None,
    address: int | None = None,
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

    * `name`: a chip ("lsm6dsox"; `motionsig sensors` lists them), "iio" or "iio:NAME" for a sensor that the kernel
      drives, "auto" for the kernel's if it drives one and else the first chip on a bus, "simulated" for a model of one
      on somebody who walks, "simulated:lesson" for one that rests and turns by turns.
    * `bus`: number of /dev/i2c-N, by default each in turn; "spi0.0" for /dev/spidev0.0, which has no `address`; or any
      Bus, such as a SimulatedBus. `address`: on the bus.
    * `rate_hz` (samples per second), `accel_range_g` and `gyro_range_dps` (°/s): of the settings that the chip has, the
      lowest that is at least this one is set. The `rate_hz` of the Source is what was set.
    * `mount`: rotation (3, 3) from the sensor's axes to the device's, or text as the kernel writes it.
    * `calibration`: "none", or another one than `motionsig calibrate` stored for this sensor.
    * `bus_clock_hz`: of the bus, where the kernel does not know it; on SPI the clock to use. `clock`: another one than
      the system's, for tests.

    Any thread may `close` the source: its iteration then ends. `true_rate_hz` and `counts` say what was measured.
    Raises SensorError where no such sensor answers or it does not start; InputError for a setting that it does not have
    or that the bus cannot carry; MissingExtraError for a bus without smbus2.
    """
    numbers: dict[str, Any] = {"rate_hz": rate_hz, "accel_range_g": accel_range_g, "gyro_range_dps": gyro_range_dps}
    parse_options(numbers, dict.fromkeys(numbers, "float"), where="sensor:", lowest=0)
    parse_options({"address": address}, {"address": "int"}, where="sensor:", lowest=0)
    kind, _, rest = name.partition(":")
    clock = clock or SystemClock()
    if kind in ("iio", "simulated") and (bus is not None or address is not None):
        raise InputError(
            f"{name}: expected no bus and no address, which are for a chip on I2C, got {bus} and {address}"
        )
    if kind == "iio" or (name == "auto" and bus is None and list_iio()):
        return open_iio(rest or "auto", **numbers, mount=mount, calibration=calibration)
    if kind == "simulated":
        from motionsig.sensors.simulated import SimulatedBus, performing, simulated_chip, walking

        signal, rest = (performing, "") if rest == SIMULATED_LESSON else (walking, rest)
        name = rest or SIMULATED_CHIP
        bus = SimulatedBus([simulated_chip(name, clock=clock, signal=signal)], clock=clock)
    if name != "auto" and name not in CHIPS:
        near = get_close_matches(name.lower(), CHIPS, n=1)
        raise InputError(
            f"sensor: expected auto, iio[:NAME], simulated or one of {', '.join(sorted(CHIPS))}, got {name!r}"
            + (f"; did you mean {near[0]}?" if near else "")
        )
    bus = parse_bus(bus) if isinstance(bus, str) else bus
    with ExitStack() as resources:
        if isinstance(bus, str | SpiBus):
            if address is not None:
                raise InputError(f"address: expected none on SPI, got 0x{address:02x} with {bus}")
            bus, chip = open_spi(bus, CHIPS.get(name), CHIPS.values(), bus_clock_hz, resources)
            address = NO_ADDRESS
        else:
            bus, chip, address = _find(name, bus, address, _buses(bus, bus_clock_hz, resources))
        setting = settle(chip, **numbers)
        require_bus(chip, setting, bus)
        place = bus.name.rpartition("/")[2] + ("" if address == NO_ADDRESS else f"-{address:02x}")
        device_id = f"{chip.name}-{place}"
        return SensorReader(
            ChipFifo(bus, chip, address, setting, clock),
            clock=clock,
            calibration=choose_calibration(calibration, mount, device_id),
            device_id=device_id,
            resources=resources.pop_all(),
        )


def _find(name: str, bus: int | Bus | None, address: int | None, buses: Iterator[Bus]) -> tuple[Bus, Chip, int]:
    """Return the first bus, chip and address where a chip of that name ("auto": any) answers."""
    seen = []
    for candidate in buses:
        for found in scan(candidate, None if address is None else (address,)):
            for chip in found.chips or _in_another_bank(name, candidate, found):
                if name in ("auto", chip.name):
                    return candidate, chip, found.address
            seen.append(str(found))
    where = "any I2C bus" if bus is None else f"/dev/i2c-{bus}" if isinstance(bus, int) else bus.name
    raise SensorError(
        f"sensor {name!r}: expected it to answer on {where}"
        f"{'' if address is None else f' at 0x{address:02x}'}, got {'; '.join(seen) or 'nothing there'}; "
        f"{'see `motionsig sensors`' if seen else 'check wiring and power, and see `motionsig doctor`'}"
    )


def _in_another_bank(name: str, bus: Bus, found: Found) -> tuple[Chip, ...]:
    """Return the chip of that name if it answers once its first bank is selected."""
    # The program that used it before may have been killed while another bank was selected. Only for a chip that is
    # asked for by name: the register that selects a bank in one chip is reserved in others.
    chip = CHIPS.get(name)
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

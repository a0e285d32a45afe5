"""The names that people and chips give: which table reads a part by that name, and what an unknown identity is near.

Names are compared without case, hyphens and spaces. A table reads the part it is called by and those in `Chip.alike`;
for parts that nothing here reads, what to do instead stands here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from motionsig.errors import InputError
from motionsig.hints import either
from motionsig.sensors.chips import SIMULATED_CHIP, SIMULATED_LESSON, SIMULATED_TURNS, Chip
from motionsig.sensors.families import CHIPS
from motionsig.sensors.serial import SERIAL

PHONE = "phone"
"""A phone's browser, which only a command lets in."""

_KERNEL = {
    "bmg160 and bmi088-accel": "bmi055 bmi085 bmi088 bmx055",
    "bmi270 (since Linux 6.13; it loads Bosch's configuration, /lib/firmware/bmi270-init-data.fw)": "bmi270",
    "bmi270 (since Linux 6.14; it loads Bosch's configuration, /lib/firmware/bmi260-init-data.fw)": "bmi260",
    "bmi323": "bmi320 bmi323",
    "bno055": "bno055",
    "inv_icm42600": "icm42631",
    "inv_icm42607 (in kernels since 2026, on I2C)": "icm42607 icm42607p",
    "inv_icm45600": "icm45605 icm45606 icm45608 icm45634 icm45686 icm45687 icm45688p icm45689",
    "inv_mpu6050": "icm20609 icm20690",
    "itg3200": "gy85 itg3200 itg3205",
    "st_accel": "gy511 h3lis331dl iis328dq lis2de12 lis2dw12 lis2hh12 lis331dl lis331dlh lis3de lsm303agr lsm303c "
    "lsm303d lsm303dlh lsm303dlhc",
    "st_gyro": "a3g4250d gy50 l3g4200d l3gd20 l3gd20h lsm330",
    "st_lsm6dsx": "ism330is lsm6ds3h lsm6dso16is",
    "st_lsm9ds0": "lsm9ds0",
    "adxl313": "adxl313",
    "adxl345": "adxl375",
    "adxl355": "adxl355 adxl357 adxl359",
    "adxl362": "adxl362 adxl363",
    "adxl367": "adxl367",
    "adxl372": "adxl371 adxl372",
    "bma180": "bma180 bma250",
    "bma220": "bma220",
    "bma400": "bma400",
    "fxls8962af": "fxls8962af fxls8964af",
    "fxos8700": "fxos8700",
    "mma8452": "fxls8471 mma8451 mma8452 mma8453",
}
"""The kernel's drivers (drivers/iio/accel, gyro and imu), and the parts that they read and motionsig does not."""
_NOBODY = {
    "it is not read yet": "bma456 icm42670 icm42670p mpu3050 sh3001",
    "its FIFO drops the samples that come while it is read": "qmi8658 qmi8658a qmi8658c",
    "its outputs are voltages": "adxl335 adxl337 mma7361",
    "it is a magnetometer alone": "ak8963 gy271 hmc5883l lis3mdl qmc5883l",
}
"""Why neither motionsig nor a driver of the kernel reads a part, and the parts."""
UNREAD = {
    (0x00, 0x24): "bmi270",
    (0x00, 0x27): "bmi260",
    (0x00, 0x05): "qmi8658",
    (0x00, 0x1E): "bmi088",
    (0x0F, 0x22): "lsm6dso16is",
    (0x0F, 0x44): "lis2dw12",
    (0x0F, 0xD4): "l3gd20",
    (0x0F, 0xD7): "l3gd20h",
    (0x75, 0x20): "icm20690",
    (0x75, 0x67): "icm42670p",
    (0x75, 0xA6): "icm20609",
}
"""Register and what it reads as in parts of the lists above (the kernel's drivers; QMI8658A data sheet rev. A, table
21; PX4 InvenSense_ICM42670P_registers.hpp). Asked only where no chip that is read answers."""
_NEAR = 3


def plain(name: str) -> str:
    """Return a part's name as it is compared: without case, hyphens, underscores and spaces."""
    return name.lower().translate(str.maketrans("", "", "-_ "))


def named_chip(name: str) -> Chip | None:
    """Return the table that reads a part of that name, or None where there is none."""
    return _tables().get(plain(name))


def simulated_part(name: str) -> tuple[Chip | None, str]:
    """Return the chip whose model a name opens that begins with "simulated", None where there is none.

    The second is what it is in, where the name says that in place of a chip, as in "simulated:lesson"; else empty.
    """
    part = plain(name).partition(":")[2]
    motion = part if part in (SIMULATED_LESSON, SIMULATED_TURNS) else ""
    return named_chip(SIMULATED_CHIP if motion or not part else part), motion


def require_chip(name: str, *, where: str) -> Chip:
    """Return the table that reads a part of that name; raise InputError, with what to do, where there is none."""
    chip = named_chip(name)
    if chip is None:
        asked = _asked(repr(name[:60]), hint(name, besides=()))
        raise InputError(f"{where}expected the name of a chip, {asked}")
    return chip


def refusal(name: str, *, shown: str | None = None) -> str:
    """Return what to say of a sensor's name that stands for nothing. shown: the name in quotes."""
    advice = hint(name)
    if plain(name).startswith("simulated:"):
        advice = f"simulated:NAME is a model of a chip, simulated:{SIMULATED_LESSON} rests and turns, "
        advice += f"simulated:{SIMULATED_TURNS} walks, too; {_LISTED}"
    others = (
        "" if advice else "; auto, iio[:NAME], phone, witmotion:PORT, bno08x:PORT and simulated[:NAME] are names, too"
    )
    return f"expected the name of a sensor, {_asked(shown or repr(name[:60]), advice)}{others}"


_LISTED = f"`motionsig sensors --chips` lists the {len(CHIPS)} chips"


def _asked(shown: str, advice: str | None) -> str:
    """Return what was got, and what to do: the nearest names come first, and what lists all of them last."""
    if advice and not advice.endswith("?"):
        return f"got {shown}; {advice}"
    return f"got {shown}; {f'{advice} ' if advice else ''}{_LISTED}"


def hint(name: str, *, besides: Sequence[str] = ("auto", "simulated")) -> str | None:
    """Return what to do with the name of a part that no table reads: by its silicon first, by its spelling last.

    besides: words that may be meant, and name no chip.
    """
    word, tables = plain(name), _tables()
    for driver, parts in _KERNEL.items():
        if word in parts.split():
            return f"the kernel reads it, with {driver}: load a device tree overlay for it, then open it as iio"
    if word in SERIAL:
        return f"it is read over a serial line: open it as {word}:/dev/ttyUSB0 or such (a BNO08x: wired as UART-SHTP)"
    for why, parts in _NOBODY.items():
        if word in parts.split():
            return f"{why}, and no driver of the kernel reads it: take another part"
    for chip in CHIPS.values():
        for value, part in chip.clones.items():
            if word == plain(part):
                return f'chip="{chip.name}" reads it as one (it says 0x{value:02x} of itself)'
    from difflib import SequenceMatcher, get_close_matches

    def ratio(known: str) -> float:
        return SequenceMatcher(None, known, word).ratio()

    # What follows a part's name tells its package or its revision.
    stem = max((known for known in tables if len(known) > 4 and word.startswith(known)), key=len, default=None)
    close = [stem] if stem else get_close_matches(word, [*tables, *besides], n=2 * _NEAR)
    # Of the names that one table has, the nearest, or the table's own where that is as near.
    near = dict[str, str]()
    for each in sorted(close, key=lambda each: (-ratio(each), each not in CHIPS)):
        near.setdefault(tables[each].name if each in tables else each, each)
    named = [each if each == table else f"{each} (read as {table})" for table, each in near.items()]
    return f"did you mean {either(named[:_NEAR])}?" if named else None


def likeness(says: Mapping[int, int], address: int) -> str:
    """Return what the unknown part at `address` may be by what its registers read as, and how to open it, in a line."""
    for chip in CHIPS.values():
        register, _ = identity(chip)
        part = chip.clones.get(says.get(register, -1))
        if part is not None:
            told = f"0x{says[register]:02x} at register 0x{register & 0xFF:02x}"
            return f'an unknown part that says {told}, as {part} does (chip="{chip.name}" reads it as one)'
    for (register, value), part in UNREAD.items():
        if says.get(register) == value:
            return f"a {part} by what it says (0x{value:02x} at register 0x{register:02x}); {hint(part)}"
    # A register that does not exist mostly reads as one of these.
    telling = {register: value for register, value in says.items() if value not in (0x00, 0xFF)}
    known = [chip for chip in CHIPS.values() if identity(chip)[0] in telling and address in chip.addresses]
    if not known:
        return "something that names no chip which motionsig knows"
    known.sort(key=lambda chip: abs(identity(chip)[1] - telling[identity(chip)[0]]))
    near = ", ".join(f"{chip.name} says 0x{identity(chip)[1]:02x}" for chip in known[:_NEAR])
    values = ", ".join(
        f"0x{value:02x} at register 0x{register & 0xFF:02x}" for register, value in sorted(telling.items())
    )
    return f"an unknown part that says {values} ({near}; chip=NAME reads it as one)"


def identity(chip: Chip) -> tuple[int, int]:
    """Return the register that names the chip, and what it reads as."""
    return next(iter(chip.identity.items()))


def _tables() -> dict[str, Chip]:
    """Return each name that a table reads, as it is compared, with the table."""
    return {plain(name): chip for chip in CHIPS.values() for name in (*chip.alike, chip.name)}

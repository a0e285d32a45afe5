"""What one count of a chip is, at each of its ranges: from the data sheets' tables of sensitivity.

A log of raw counts says neither scale nor range; its owner knows the chip, and mostly never changed the range that it
has after a reset.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from motionsig.errors import InputError
from motionsig.hints import refused
from motionsig.recordings.names.units import plain


@dataclass(frozen=True)
class Chip:
    """Counts per g by range in g, and per deg/s by range in deg/s; the first of each is the range after a reset.

    An accelerometer or a gyroscope alone has no ranges of the other.
    """

    name: str
    acc: Mapping[int, float]
    gyr: Mapping[int, float]


# What each number was held against stands behind it: a driver of Linux, in drivers/iio, or another one.
# "only": nothing but the data sheet's table, as it is known.
_ACC_16_BIT = {2: 16384.0, 4: 8192.0, 8: 4096.0, 16: 2048.0}  # imu/inv_mpu6050, imu/bmi160, imu/bmi270, imu/bmi323
_ACC_16_G_FIRST = {16: 2048.0, 8: 4096.0, 4: 8192.0, 2: 16384.0}  # imu/inv_icm42600
_GYR_INVENSENSE = {250: 131.0, 500: 65.5, 1000: 32.8, 2000: 16.4}  # imu/inv_mpu6050
_GYR_2000_FIRST = {2000: 16.4, 1000: 32.8, 500: 65.5, 250: 131.0}  # imu/inv_icm42600
_GYR_FROM_125 = {**_GYR_2000_FIRST, 125: 262.0}  # imu/inv_icm42600
_GYR_BOSCH = {2000: 16.384, 1000: 32.768, 500: 65.536, 250: 131.072, 125: 262.144}  # imu/bmi160, imu/bmi270, imu/bmi323
# ST: mg and mdps for a count. Its ranges have more room than their names say: 0.061 mg is 2.0 g at 32768.
_ACC_ST = {2: 1 / 0.061e-3, 4: 1 / 0.122e-3, 8: 1 / 0.244e-3, 16: 1 / 0.488e-3}  # imu/st_lsm6dsx
_ACC_LSM9DS1 = {2: 1 / 0.061e-3, 4: 1 / 0.122e-3, 8: 1 / 0.244e-3, 16: 1 / 0.732e-3}  # imu/st_lsm6dsx
_ACC_LSM9DS0 = {**_ACC_LSM9DS1, 6: 1 / 0.183e-3}  # accel/st_accel
_ACC_ST_32 = {4: 1 / 0.122e-3, 8: 1 / 0.244e-3, 16: 1 / 0.488e-3, 32: 1 / 0.976e-3}  # only
_GYR_ST = {  # imu/st_lsm6dsx
    250: 1 / 8.75e-3,
    245: 1 / 8.75e-3,
    125: 1 / 4.375e-3,
    500: 1 / 17.5e-3,
    1000: 1 / 35e-3,
    2000: 1 / 70e-3,
}
_GYR_ST_4000 = {**_GYR_ST, 4000: 1 / 140e-3}  # ST's drivers lsm6dsv, ism330dhcx; LSM6DSR, ASM330LHH only
_GYR_ST_ALONE = {
    250: 1 / 8.75e-3,
    245: 1 / 8.75e-3,
    500: 1 / 17.5e-3,
    2000: 1 / 70e-3,
}  # imu/st_lsm6dsx for the LSM9DS1; the others only
_QMI8658_GYR = {
    16: 2048.0,
    32: 1024.0,
    64: 512.0,
    128: 256.0,
    256: 128.0,
    512: 64.0,
    1024: 32.0,
    2048: 16.0,
}  # QST's driver
_ACC_BMI088 = {6: 5460.0, 3: 10920.0, 12: 2730.0, 24: 1365.0}  # accel/bmi088 has 0.1 % more
_ACC_ICM20649 = {4: 8192.0, 8: 4096.0, 16: 2048.0, 30: 1024.0}  # only

CHIPS = (
    *(
        Chip(name, _ACC_16_BIT, _GYR_INVENSENSE)
        for name in ("MPU6050", "MPU6000", "MPU6500", "MPU6515", "MPU9150", "MPU9250", "MPU9255", "MPU6886", "ICM20948")
    ),
    *(Chip(name, _ACC_16_BIT, _GYR_INVENSENSE) for name in ("ICM20600", "ICM20602", "ICM20608", "ICM20689")),
    Chip("ICM20649", _ACC_ICM20649, {500: 65.5, 1000: 32.8, 2000: 16.4, 4000: 8.2}),
    *(
        Chip(name, _ACC_16_G_FIRST, _GYR_FROM_125)
        for name in ("ICM42600", "ICM42602", "ICM42605", "ICM42622", "ICM42688")
    ),
    Chip("ICM42670", _ACC_16_G_FIRST, _GYR_2000_FIRST),
    *(
        Chip(name, _ACC_ST, _GYR_ST)
        for name in ("LSM6DS3", "LSM6DS33", "LSM6DSL", "LSM6DSM", "ISM330DLC", "LSM6DSO", "LSM6DSOX")
    ),
    *(Chip(name, _ACC_ST, _GYR_ST_4000) for name in ("LSM6DSR", "ISM330DHCX", "ASM330LHH")),
    *(Chip(name, _ACC_ST, {125: _GYR_ST[125], **_GYR_ST_4000}) for name in ("LSM6DSV", "LSM6DSV16X")),
    *(Chip(name, _ACC_ST_32, _GYR_ST) for name in ("LSM6DSO32", "LSM6DSO32X")),
    Chip("LSM9DS1", _ACC_LSM9DS1, _GYR_ST_ALONE),
    Chip("LSM6DS0", _ACC_LSM9DS1, _GYR_ST_ALONE),
    Chip("LSM9DS0", _ACC_LSM9DS0, _GYR_ST_ALONE),
    Chip("BMI160", _ACC_16_BIT, _GYR_BOSCH),
    Chip("BMI270", {8: 4096.0, 2: 16384.0, 4: 8192.0, 16: 2048.0}, _GYR_BOSCH),
    Chip("BMI323", {8: 4096.0, 2: 16384.0, 4: 8192.0, 16: 2048.0}, _GYR_BOSCH),
    Chip("BMI085", {4: 8192.0, 2: 16384.0, 8: 4096.0, 16: 2048.0}, _GYR_BOSCH),  # accel/bmi088
    Chip("BMI088", _ACC_BMI088, _GYR_BOSCH),
    Chip("BMX055", {2: 1024.0, 4: 512.0, 8: 256.0, 16: 128.0}, _GYR_BOSCH),  # accel/bmc150
    # In its units after a reset: 1 m/s² is 100 counts, 1 deg/s is 16: several drivers.
    Chip("BNO055", {4: 980.665, 2: 980.665, 8: 980.665, 16: 980.665}, {2000: 16.0}),
    Chip("QMI8658", _ACC_16_BIT, _QMI8658_GYR),
    Chip("ADXL345", {2: 256.0, 4: 128.0, 8: 64.0, 16: 32.0}, {}),  # 10 bits; only
    Chip("ITG3200", {}, {2000: 14.375}),  # several drivers
    Chip("L3G4200D", {}, _GYR_ST_ALONE),
    Chip("L3GD20", {}, _GYR_ST_ALONE),
)
_BY_NAME = {plain(chip.name): chip for chip in CHIPS}


def find_chips(text: str) -> tuple[Chip, ...]:
    """Return the chips that `text` names, as in `MPU-6050` or `ADXL345 + ITG3200`; raise InputError for none."""
    word = plain(text)
    found: dict[str, Chip] = {}
    for name in sorted(_BY_NAME, key=len, reverse=True):
        # A further digit makes it another chip.
        if match := re.search(rf"{name}(?!\d)", word):
            found[name] = _BY_NAME[name]
            word = word.replace(match[0], " ")
    if not found:
        raise InputError(f"chip: {refused(text, [chip.name for chip in CHIPS], what='a chip whose counts are known')}")
    return tuple(found.values())


def count_units(chip: str, acc_range_g: float | None = None, gyr_range_dps: float | None = None) -> tuple[str, str]:
    """Return the unit of a count of acceleration and of angular rate, such as "1/16384 g" and "1/131 deg/s".

    Ranges are those after a reset where not given. "" for what no chip of the name has. Raises InputError.
    """
    chips = find_chips(chip)
    acc = next((_per("acc_range_g", each.name, each.acc, acc_range_g, "g") for each in chips if each.acc), "")
    gyr = next((_per("gyr_range_dps", each.name, each.gyr, gyr_range_dps, "deg/s") for each in chips if each.gyr), "")
    return acc, gyr


def likely_chips(counts_per_g: float) -> tuple[tuple[Chip, int], ...]:
    """Return the chips and their ranges in g at which they give about so many counts (5 %) at rest, commonest first."""
    return tuple(
        (chip, size) for chip in CHIPS for size, counts in chip.acc.items() if abs(counts_per_g / counts - 1) < 0.05
    )


def _per(option: str, name: str, ranges: Mapping[int, float], size: float | None, unit: str) -> str:
    wanted = next(iter(ranges)) if size is None else size
    counts = next((counts for each, counts in ranges.items() if each == wanted), None)
    if counts is None:
        raise InputError(
            f"{option}: expected a range of the {name}: {', '.join(f'{it:g}' for it in ranges)}, got {wanted:g}"
        )
    return f"1/{counts:.10g} {unit}"

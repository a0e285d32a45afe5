"""What each family of chips has in common, one file each: `CHIPS`, a table of `motionsig.sensors.chips.Chip`."""

from __future__ import annotations

from motionsig.sensors.chips import Chip
from motionsig.sensors.families import (
    adxl345,
    bmi160,
    icm20948,
    icm42600,
    lis3dh,
    lsm6ds3,
    lsm6dso,
    lsm6dsv,
    lsm9ds1,
    mpu6000,
)

_FAMILIES = (mpu6000, icm20948, icm42600, lsm6ds3, lsm6dso, lsm6dsv, lsm9ds1, bmi160, adxl345, lis3dh)

CHIPS: dict[str, Chip] = {chip.name: chip for family in _FAMILIES for chip in family.CHIPS}
"""The chips that motionsig reads itself, by name."""

"""LSM9DS1: accelerometer and gyroscope; the magnetometer is a chip of its own beside them and left alone.

Sources: data sheet DocID025715 Rev 3; the kernel's drivers/iio/imu/st_lsm6dsx/st_lsm6dsx_core.c (wai 0x68).
"""

from __future__ import annotations

from math import radians

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Chip, Level, SelfTest, Set, Spi, Until, Wait, accel_ranges, clear, gyro_ranges

_WHO_AM_I = 0x0F
_CTRL_REG1_G, _CTRL_REG2_G, _CTRL_REG3_G, _ORIENT_CFG_G = range(0x10, 0x14)
_OUT_X_L_G = 0x18
(_CTRL_REG4, _CTRL_REG5_XL, _CTRL_REG6_XL, _CTRL_REG7_XL, _CTRL_REG8, _CTRL_REG9, _CTRL_REG10) = range(0x1E, 0x25)
_FIFO_CTRL, _FIFO_SRC = 0x2E, 0x2F

# ODR_G and ODR_XL in bits 7:5. With both on, the accelerometer runs at the gyroscope's rate (CTRL_REG1_G).
# 14.9 and 59.5 Hz are left out: the accelerometer's narrowest filter, 50 Hz, would let through more than half of them.
_CODES = {119.0: 3, 238.0: 4, 476.0: 5, 952.0: 6}

LSM9DS1 = Chip(
    name="lsm9ds1",
    title="ST LSM9DS1",
    source="DocID025715 Rev 3",
    addresses=(0x6B, 0x6A),
    identity={_WHO_AM_I: 0x68},
    rates={rate_hz: {_CTRL_REG1_G: code << 5, _CTRL_REG6_XL: code << 5} for rate_hz, code in _CODES.items()},
    # FS_XL and FS_G in bits 4:3; 0.061, 0.122, 0.244 and, out of line, 0.732 mg; 8.75, 17.5, 70 mdps (sensor
    # characteristics; st_lsm6dsx_core.c, fs_table).
    accel_ranges=accel_ranges(
        _CTRL_REG6_XL,
        {
            2.0: (0 << 3, 1e3 / 0.061),
            4.0: (2 << 3, 1e3 / 0.122),
            8.0: (3 << 3, 1e3 / 0.244),
            16.0: (1 << 3, 1e3 / 0.732),
        },
    ),
    gyro_ranges=gyro_ranges(
        _CTRL_REG1_G, {245.0: (0 << 3, 1000 / 8.75), 500.0: (1 << 3, 1000 / 17.5), 2000.0: (3 << 3, 1000 / 70)}
    ),
    # SW_RESET clears itself (CTRL_REG8).
    reset=(Set(_CTRL_REG8, 0x05, 0), Wait(0.002), Until(_CTRL_REG8, 0x01, 0x00, 0.05)),
    setup=(
        # BDU, IF_ADD_INC; BOOT and SW_RESET clear themselves.
        Set(_CTRL_REG8, 0x44, 0x7E),
        *clear(_CTRL_REG2_G, _CTRL_REG3_G, _ORIENT_CFG_G),
        # All axes on.
        Set(_CTRL_REG4, 0x38),
        Set(_CTRL_REG5_XL, 0x38),
        # BW_SCAL_ODR 0: the accelerometer's filter follows the rate, 408, 211, 105, 50 Hz (CTRL_REG6_XL).
        *clear(_CTRL_REG6_XL, _CTRL_REG7_XL, _CTRL_REG10),
        # BW_G 11, the widest: 100, 100, 78, 31 Hz (CTRL_REG1_G).
        Set(_CTRL_REG1_G, 0x03),
        Wait(0.08),
    ),
    # Continuous mode: the oldest slot is overwritten (section 3.5.3).
    start=(Set(_FIFO_CTRL, 0x00), Set(_CTRL_REG9, 0x02), Set(_FIFO_CTRL, 0xC0)),
    # Bypass empties the FIFO (section 3.5.2).
    flush=(Set(_FIFO_CTRL, 0x00), Set(_FIFO_CTRL, 0xC0)),
    # FSS, 6 bits, in slots of both sensors; OVRN (FIFO_SRC).
    level=Level(register=_FIFO_SRC, size=1, count=(0, 1), order="little", mask=0x3F, unit=12, full=((0, 0x40),)),
    # One read goes from 0x18 to 0x1D, on from 0x28 to 0x2D and back to 0x18, while both sensors run at one rate
    # (multiple reads; LSM6DB0 data sheet section 7.1, the same part).
    fifo_register=_OUT_X_L_G,
    fifo_bytes=32 * 12,
    # The first record after the FIFO is switched on is to be discarded (DocID025715 sec. 3.5).
    unsettled=1,
    record=np.dtype([("gyr", "<i2", (3,)), ("acc", "<i2", (3,))]),
    # 10 MHz; IF_ADD_INC counts on there, too. I2C_DISABLE (CTRL_REG9). CS_A/G is its select line, CS_M the other's.
    spi=Spi(10_000_000, always={_CTRL_REG9: 0x04}),
    self_test=SelfTest(
        rate_hz=238.0,
        # So that gravity beneath the most of it does not clip.
        accel_range_g=4.0,
        gyro_range_dps=2000.0,
        # ST_G and ST_XL (CTRL_REG10).
        on=(Set(_CTRL_REG10, 0x05),),
        off=(Set(_CTRL_REG10, 0x00),),
        # Limits and wait as in ST's lsm9ds1_self_test.c: 70 to 1500 mg, 200 to 800 dps.
        settle_s=0.8,
        accel=(0.070 * STANDARD_GRAVITY, 1.5 * STANDARD_GRAVITY),
        gyro=(radians(200), radians(800)),
    ),
    notes=("the gyroscope's filter is at 100 Hz or less at any rate",),
    # LSM6DS0: the same part without a magnetometer, in one entry of st_lsm6dsx_core.c. The Sense HAT has an
    # LSM9DS1.
    alike=("lsm6ds0", "sensehat"),
    origins=dict.fromkeys(
        ("identity", "rates", "ranges", "start", "fifo"), "driver: ST lsm9ds1-pid lsm9ds1_reg.h, lsm9ds1_reg.c"
    )
    | {"self-test": "driver: ST lsm9ds1_STdC lsm9ds1_self_test.c"},
)

CHIPS: tuple[Chip, ...] = (LSM9DS1,)

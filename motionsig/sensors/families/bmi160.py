"""BMI160: a FIFO of frames, each with a header that says what is in it.

Sources: data sheet BST-BMI160-DS000-07; Bosch's BMI160_SensorAPI (bmi160_defs.h); the kernel's
drivers/iio/imu/bmi160/bmi160_core.c.
"""

from __future__ import annotations

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Chip, Level, SelfTest, Set, Spi, Until, Wait, accel_ranges, gyro_ranges

_CHIP_ID, _PMU_STATUS, _STATUS = 0x00, 0x03, 0x1B
_FIFO_LENGTH, _FIFO_DATA = 0x22, 0x24
_ACC_CONF, _ACC_RANGE, _GYR_CONF, _GYR_RANGE = range(0x40, 0x44)
_FIFO_DOWNS, _FIFO_CONFIG0, _FIFO_CONFIG1 = range(0x45, 0x48)
_SELF_TEST, _CMD = 0x6D, 0x7E

# Commands (section 2.11, CMD; bmi160_defs.h); CMD reads as 0.
_ACC_NORMAL, _GYR_NORMAL, _FIFO_FLUSH, _SOFT_RESET = 0x11, 0x15, 0xB0, 0xB6

# acc_odr and gyr_odr in bits 3:0, both sensors from 25 Hz on (ACC_CONF, GYR_CONF; bmi160_core.c).
_CODES = {25.0: 6, 50.0: 7, 100.0: 8, 200.0: 9, 400.0: 10, 800.0: 11, 1600.0: 12}

BMI160 = Chip(
    name="bmi160",
    title="Bosch BMI160",
    source="BST-BMI160-DS000-07",
    addresses=(0x68, 0x69),
    identity={_CHIP_ID: 0xD1},
    rates={rate_hz: {_ACC_CONF: code, _GYR_CONF: code} for rate_hz, code in _CODES.items()},
    # 16384 to 2048 LSB/g, 16.4 to 262.4 LSB/dps (electrical specification; ACC_RANGE, GYR_RANGE).
    accel_ranges=accel_ranges(_ACC_RANGE, {2.0: (3, 16384), 4.0: (5, 8192), 8.0: (8, 4096), 16.0: (12, 2048)}),
    gyro_ranges=gyro_ranges(
        _GYR_RANGE, {125.0: (4, 262.4), 250.0: (3, 131.2), 500.0: (2, 65.6), 1000.0: (1, 32.8), 2000.0: (0, 16.4)}
    ),
    reset=(Set(_CMD, _SOFT_RESET, 0), Wait(0.002)),
    setup=(
        # The accelerometer first: as long as all is suspended, writes need 450 us between them (interface
        # timing; bmi160_core.c). 3.8 ms until it is up.
        Set(_CMD, _ACC_NORMAL, 0),
        Wait(0.005),
        # Normal filters without undersampling: at 1600 Hz 684 and 524 Hz, less in proportion below (section 2.4).
        Set(_ACC_CONF, 0x20),
        Set(_ACC_RANGE, 0x00, 0x0F),
        Set(_GYR_CONF, 0x20),
        Set(_GYR_RANGE, 0x00, 0x07),
        Set(_SELF_TEST, 0x00, 0x0F),
        # The gyroscope takes 55 ms typically, 80 ms by both vendor's and kernel's drivers.
        Set(_CMD, _GYR_NORMAL, 0),
        Wait(0.08),
        # Both in normal mode.
        Until(_PMU_STATUS, 0x3C, 0x14, 0.05),
    ),
    start=(
        # Filtered data, none left out (FIFO_DOWNS; bmi160_defs.h).
        Set(_FIFO_DOWNS, 0x88),
        Set(_FIFO_CONFIG0, 0x80),
        # Gyroscope, accelerometer, headers; no tags of interrupts, no sensor time frames.
        Set(_FIFO_CONFIG1, 0xD0, 0xFE),
        # Any of these writes may leave a frame that tells of it.
        Set(_CMD, _FIFO_FLUSH, 0),
    ),
    flush=(Set(_CMD, _FIFO_FLUSH, 0),),
    # 11 bits, in bytes. No flag tells of a full FIFO, but then no space is left, and a skip frame of 2 bytes comes out
    # first (section 2.11.9).
    level=Level(register=_FIFO_LENGTH, size=2, count=(0, 2), order="little", mask=0x07FF, unit=1),
    fifo_register=_FIFO_DATA,
    fifo_bytes=1024,
    # Header, gyroscope, accelerometer (sections 2.5.1.3 and 2.5.1.4; bmi160_defs.h).
    record=np.dtype([("header", "u1"), ("gyr", "<i2", (3,)), ("acc", "<i2", (3,))]),
    marks=(("header", 0xFF, 0x8C),),
    # 10 MHz; which of both it speaks follows from its select line (bmi160_spi.c, Bosch's bmi160_init), not from a bit.
    spi=Spi(10_000_000),
    self_test=SelfTest(
        rate_hz=1600.0,
        accel_range_g=8.0,
        gyro_range_dps=2000.0,
        # The gyroscope tests itself and says so; then the accelerometer is pushed, with high amplitude, first one way,
        # then the other (SELF_TEST; waits and codes in bmi160_defs.h).
        before=(Set(_SELF_TEST, 0x10, 0), Wait(0.02), Until(_STATUS, 0x02, 0x02, 0.1), Set(_SELF_TEST, 0x09, 0x0F)),
        on=(Set(_SELF_TEST, 0x0D, 0x0F),),
        off=(Set(_SELF_TEST, 0x00, 0x0F), Wait(0.05)),
        settle_s=0.05,
        # Bosch asks for 2 g, 8192 counts, between the two, and names no most.
        accel=(2.0 * STANDARD_GRAVITY, np.inf),
        gyro=None,
    ),
    # BMI120: the kernel's bmi160_core.c takes either identity. BMX160: a BMI160 with a magnetometer (DFRobot_BMX160).
    clones={0xD3: "BMI120", 0xD8: "BMX160"},
    origins=dict.fromkeys(
        ("identity", "rates", "ranges", "start", "record", "self-test"), "driver: Bosch BMI160_SensorAPI bmi160_defs.h"
    )
    | {"fifo": "driver: Bosch BMI160_SensorAPI bmi160_defs.h (registers and 11 bits of level; its size from memory)"},
)

CHIPS: tuple[Chip, ...] = (BMI160,)

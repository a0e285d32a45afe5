"""InvenSense (TDK) ICM-42605, ICM-42688-P and ICM-42686-P: packets with a header and the chip's own time.

ICM-42605: DS-000292. ICM-42688-P: DS-000347. Kernel: drivers/iio/imu/inv_icm42600. InvenSense's own Icm426xxSelfTest.c
and Icm426xxDriver_HL.h; PX4 src/drivers/imu/invensense/icm42688p and ArduPilot's AP_InertialSensor_Invensensev3.cpp.
All that is written lies in bank 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motionsig.sensors.chips import Chip, Level, Set, Spi, Until, Wait, accel_ranges, gyro_ranges
from motionsig.sensors.families.mpu6000 import SELF_TEST

DEVICE_CONFIG, FIFO_CONFIG = 0x11, 0x16
INT_STATUS, FIFO_COUNTH, FIFO_DATA = 0x2D, 0x2E, 0x30
SIGNAL_PATH_RESET, INTF_CONFIG0, INTF_CONFIG1 = range(0x4B, 0x4E)
PWR_MGMT0, GYRO_CONFIG0, ACCEL_CONFIG0, GYRO_CONFIG1, GYRO_ACCEL_CONFIG0, ACCEL_CONFIG1, TMST_CONFIG = range(0x4E, 0x55)
FIFO_CONFIG1, SELF_TEST_CONFIG, WHO_AM_I = 0x5F, 0x70, 0x75
XG_ST_DATA, XA_ST_DATA = 0x15F, 0x23B

FIFO_FLUSH = FIFO_FULL = 0x02

_RATE_CODES = {1000: 6, 500: 15, 200: 7, 100: 8, 50: 9, 25: 10, 12.5: 11}
"""Hz to GYRO_ODR and ACCEL_ODR in low-noise mode (DS-000347, registers 4Fh and 50h; enum inv_icm42600_odr)."""
_RESTART = (
    Set(FIFO_CONFIG, 0x00, 0xC0),
    # Accelerometer, gyroscope, temperature: packet 3, of 16 bytes (DS-000347 sec. 6.1). FIFO_RESUME_PARTIAL_RD 0: a
    # packet that was read in part is given whole again.
    Set(FIFO_CONFIG1, 0x07, 0x7F),
    Set(SIGNAL_PATH_RESET, FIFO_FLUSH, 0),
    # One chip in twenty needs time to settle between a change and the first packet (PX4 pull request 20181).
    Wait(0.001),
    Until(SIGNAL_PATH_RESET, FIFO_FLUSH, 0, 0.01),
    # A stream: the oldest is overwritten.
    Set(FIFO_CONFIG, 0x40, 0xC0),
    # The first count read after this is always 0 (inv_icm42600_buffer.c, inv_icm42600_buffer_postenable): any will do.
    Until(FIFO_COUNTH, 0x00, 0, 0.01),
    # Reading clears what is left of the last overflow.
    Until(INT_STATUS, FIFO_FULL, 0, 0.01),
)

_GYRO_COUNTS = {2000: 16.4, 1000: 32.8, 500: 65.5, 250: 131, 125: 262, 62.5: 524.3, 31.25: 1048.6, 15.625: 2097.2}
"""Full scale in deg/s, and counts per deg/s there, in the order of GYRO_FS_SEL."""
ICM42605 = Chip(
    name="icm42605",
    title="TDK InvenSense ICM-42605",
    source="DS-000292 rev. 1.7",
    addresses=(0x68, 0x69),
    identity={WHO_AM_I: 0x42},
    bank=(0x76, 0),
    rates={rate: {GYRO_CONFIG0: code, ACCEL_CONFIG0: code} for rate, code in _RATE_CODES.items()},
    # DS-000347 sec. 3.1 and 3.2.
    accel_ranges=accel_ranges(ACCEL_CONFIG0, {g: (code << 5, 32768 / g) for code, g in enumerate((16, 8, 4, 2))}),
    gyro_ranges=gyro_ranges(
        GYRO_CONFIG0, {dps: (code << 5, counts) for code, (dps, counts) in enumerate(_GYRO_COUNTS.items())}
    ),
    # Effective after 1 ms (DS-000347, register 11h).
    reset=(Set(DEVICE_CONFIG, 0x01, 0), Wait(0.002), Until(DEVICE_CONFIG, 0x01, 0, 0.1)),
    setup=(
        # No SPI (on SPI no I2C, by `spi`); data and count with the high byte first, the count in bytes; a sensor
        # without a new sample gives the invalid code.
        Set(INTF_CONFIG0, 0x32, 0xF3),
        # Bits 7:6, reserved, from 2 to 1: else the gyroscope stands still for 1 to 2 ms whenever the rate passes
        # 100 deg/s (ArduPilot pull request 25332). The rest as after reset: the PLL when it is ready.
        Set(INTF_CONFIG1, 0x51, 0xCF),
        Set(GYRO_CONFIG0, 0x00, 0xEF),
        Set(ACCEL_CONFIG0, 0x00, 0xEF),
        # Filters of the third order, half the rate wide (DS-000347, registers 51h to 53h).
        Set(GYRO_CONFIG1, 0x1A, 0xEF),
        Set(GYRO_ACCEL_CONFIG0, 0x00),
        Set(ACCEL_CONFIG1, 0x15, 0x1E),
        # Time in steps of 16 us, whose 16 bits last for a second and not for 66 ms; no FSYNC in its place.
        Set(TMST_CONFIG, 0x29, 0x1F),
        Set(SELF_TEST_CONFIG, 0x00, 0x7F),
        # Both in low-noise mode; nothing may be written for 200 us, the gyroscope is settled after 30 ms and must
        # stay on for 45 (DS-000347, register 4Eh). The kernel waits 60 ms.
        Set(PWR_MGMT0, 0x0F, 0x3F),
        Wait(0.045),
    ),
    start=_RESTART,
    flush=_RESTART,
    # FIFO_FULL_INT lies in front of the count.
    level=Level(INT_STATUS, 3, (1, 2), "big", 0xFFFF, 1, full=((0, FIFO_FULL),)),
    fifo_register=FIFO_DATA,
    fifo_bytes=2048,
    # The stamp, too, has its high byte first where SENSOR_DATA_ENDIAN (INTF_CONFIG0) asks for that: InvenSense's own
    # Icm426xxDriver_HL.c turns it with the data, the kernel declares it __be16 (inv_icm42600_buffer.c), and PX4 has
    # TimeStamp_h before TimeStamp_l.
    record=np.dtype([("header", "u1"), ("acc", ">i2", 3), ("gyr", ">i2", 3), ("temp", "i1"), ("stamp", ">u2")]),
    # Both sensors, 16 bits, a sample's time (DS-000347 sec. 6.2). Bits 1:0, a new rate, may be set in the first.
    marks=(("header", 0xFC, 0x68),),
    # inv_icm42600.h, INV_ICM42600_DATA_INVALID.
    invalid=-32768,
    # 2.07 counts per degree (DS-000347 sec. 4.13).
    temperature_jump=5,
    # 24 MHz. UI_SIFS_CFG 3 in the place of 2, which would switch SPI off (DS-000347, register 4Ch; inv_icm42600_spi.c).
    spi=Spi(24_000_000, always={INTF_CONFIG0: 0x01}),
    stamp_s=16e-6,
    self_test=replace(
        SELF_TEST,
        # Icm426xxSelfTest.c: 1 kHz, ±250 deg/s, ±4 g; 200 ms for the gyroscope, 25 for the accelerometer; above
        # half of what the factory saw, the accelerometer below one and a half.
        rate_hz=1000,
        accel_range_g=4,
        on=(Set(SELF_TEST_CONFIG, 0x7F, 0x7F),),
        off=(Set(SELF_TEST_CONFIG, 0x00, 0x7F),),
        settle_s=0.2,
        trim_registers=(*range(XA_ST_DATA, XA_ST_DATA + 3), *range(XG_ST_DATA, XG_ST_DATA + 3)),
    ),
    # The same registers and ranges in the kernel's inv_icm42600_core.c.
    clones={0x41: "ICM-42602"},
    origins=dict.fromkeys(
        ("identity", "rates", "ranges", "start", "fifo"), "driver: Linux drivers/iio/imu/inv_icm42600/inv_icm42600.h"
    )
    | {
        "record": "driver: Linux drivers/iio/imu/inv_icm42600/inv_icm42600_buffer.c; TDK Icm426xxDriver_HL.c",
        "self-test": "driver: InvenSense's own Icm426xxSelfTest.c",
    },
)

ICM42688P = replace(
    ICM42605,
    name="icm42688p",
    title="TDK InvenSense ICM-42688-P",
    source="DS-000347 rev. 1.6",
    identity={WHO_AM_I: 0x47},
    alike=("icm42688",),
    # The same registers and ranges in the kernel's inv_icm42600_core.c, and a PLL at 19.2 MHz (Icm426xxDriver_HL.h).
    clones={0x40: "ICM-42600", 0x46: "ICM-42622"},
    origins={
        **ICM42605.origins,
        "fifo": "driver: Linux inv_icm42600.h; PX4 imu/invensense/icm42688p/ICM42688P.hpp (the stamp's step)",
    },
    # Its PLL runs at 19.2 instead of 20.48 MHz (DS-000347 sec. 12.7; Icm426xxDriver_HL.h, PLL_SCALE_FACTOR_Q24).
    stamp_s=16e-6 * 32 / 30,
)

_WIDE_GYRO_COUNTS = {4000: 8.2} | {dps: counts for dps, counts in _GYRO_COUNTS.items() if dps > 15.625}
_KERNEL = "driver: Linux inv_icm42600.h, inv_icm42600_core.c"

ICM42686P = replace(
    ICM42688P,
    name="icm42686p",
    title="TDK InvenSense ICM-42686-P",
    source="inv_icm42600.h (INV_CHIP_ICM42686)",
    identity={WHO_AM_I: 0x44},
    # One code more at the wide end of each (inv_icm42600.h, enum inv_icm42686_accel_fs and inv_icm42686_gyro_fs).
    accel_ranges=accel_ranges(ACCEL_CONFIG0, {g: (code << 5, 32768 / g) for code, g in enumerate((32, 16, 8, 4, 2))}),
    gyro_ranges=gyro_ranges(
        GYRO_CONFIG0, {dps: (code << 5, counts) for code, (dps, counts) in enumerate(_WIDE_GYRO_COUNTS.items())}
    ),
    origins={
        **dict.fromkeys(("identity", "rates", "start", "fifo"), _KERNEL),
        "ranges": "driver: Linux inv_icm42600_accel.c (inv_icm42686_accel_scale), inv_icm42600_gyro.c",
        "record": "driver: Linux inv_icm42600_buffer.c",
        # With the codes of its full scales, INV_ST_OTP_EQUATION gives the same m/s² and rad/s.
        "self-test": "driver: InvenSense's own Icm426xxSelfTest.c, Icm426xxDriver_HL.h (ICM42686)",
    },
    alike=("icm42686",),
    clones={},
)

CHIPS = (ICM42605, ICM42688P, ICM42686P)

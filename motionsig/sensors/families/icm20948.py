"""InvenSense ICM-20948 and ICM-20649: like the MPUs in what they do, unlike them in where: four banks of registers.

ICM-20948: DS-000189 rev. 1.3. ICM-20649, which has twice the ranges: DS-000192. Where they are silent: ArduPilot
libraries/AP_InertialSensor/AP_InertialSensor_Invensensev2.cpp, PX4 src/drivers/imu/invensense/{icm20948,icm20649}, and
InvenSense's own Icm20948SelfTest.c.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motionsig.sensors.chips import Chip, Level, Set, Spi, Until, Wait, accel_ranges, gyro_ranges
from motionsig.sensors.families.mpu6000 import SELF_TEST, SHORT_FIFO, divided_rates

USER_CTRL, LP_CONFIG, PWR_MGMT_1, PWR_MGMT_2 = 0x003, 0x005, 0x006, 0x007
FIFO_EN_1, FIFO_EN_2, FIFO_RST, FIFO_MODE = range(0x066, 0x06A)
FIFO_COUNTH, FIFO_R_W = 0x070, 0x072
GYRO_SMPLRT_DIV, GYRO_CONFIG_1, GYRO_CONFIG_2, ODR_ALIGN_EN = 0x200, 0x201, 0x202, 0x209
ACCEL_SMPLRT_DIV_1, ACCEL_SMPLRT_DIV_2, ACCEL_CONFIG, ACCEL_CONFIG_2 = 0x210, 0x211, 0x214, 0x215

DIVIDERS = (0, 1, 2, 3, 4, 8, 9, 21, 44, 89)
"""1125 Hz / (1 + divider), the same for both sensors (DS-000189 sec. 10.1, 10.11, 10.12): rates down to 12.5 Hz."""
FILTERS = {7: 473, 0: 246, 2: 119.5, 3: 51.2, 4: 23.9, 5: 11.6, 6: 5.7}
"""GYRO_DLPFCFG = ACCEL_DLPFCFG to the wider bandwidth in Hz (DS-000189 sec. 10.2 and 10.15). 1 gives the accelerometer
the same as 0 and the gyroscope less."""
_RESTART = (
    # FIFO_RST is held and let go, it does not clear itself (DS-000189 sec. 8.58; order: ArduPilot's _fifo_reset).
    Set(FIFO_EN_2, 0x00, 0x1F),
    Set(USER_CTRL, 0x00, 0xF0),
    Set(FIFO_RST, 0x1F, 0),
    Set(FIFO_RST, 0x00, 0x1F),
    Set(FIFO_EN_2, 0x1F, 0x1F),
    Set(USER_CTRL, 0x40, 0xF0),
)

ICM20948 = Chip(
    name="icm20948",
    title="InvenSense ICM-20948",
    source="DS-000189 rev. 1.3",
    addresses=(0x68, 0x69),
    identity={0x000: 0xEA},
    bank=(0x7F, 4),
    rates=divided_rates(
        1125, DIVIDERS, FILTERS, (GYRO_SMPLRT_DIV, ACCEL_SMPLRT_DIV_2), {GYRO_CONFIG_1: 3, ACCEL_CONFIG: 3}
    ),
    # DS-000189 sec. 3.1 and 3.2.
    accel_ranges=accel_ranges(ACCEL_CONFIG, {g: (code << 1, 32768 / g) for code, g in enumerate((2, 4, 8, 16))}),
    gyro_ranges=gyro_ranges(GYRO_CONFIG_1, {250: (0, 131), 500: (2, 65.5), 1000: (4, 32.8), 2000: (6, 16.4)}),
    # Registers answer 11 ms after power-up, at most 100 (DS-000189 sec. 3).
    reset=(Set(PWR_MGMT_1, 0x80, 0), Wait(0.01), Until(PWR_MGMT_1, 0x80, 0, 0.2)),
    setup=(
        # Awake, not in low power, the best clock there is (DS-000189 sec. 8.4); registers 5 ms after sleep.
        Set(PWR_MGMT_1, 0x01, 0xEF),
        Wait(0.005),
        Set(PWR_MGMT_2, 0x00, 0x3F),
        Set(LP_CONFIG, 0x40, 0x70),
        # So that both sensors' samples of one record begin together (DS-000189 sec. 10.10).
        Set(ODR_ALIGN_EN, 0x01, 0x01),
        # Bit 0, FCHOICE: through the filter, and so at 1125 Hz.
        Set(GYRO_CONFIG_1, 0x01, 0x3F),
        Set(GYRO_CONFIG_2, 0x00, 0x3F),
        Set(ACCEL_CONFIG, 0x01, 0x3F),
        Set(ACCEL_CONFIG_2, 0x00, 0x1F),
        Set(ACCEL_SMPLRT_DIV_1, 0x00, 0x0F),
        Set(ACCEL_SMPLRT_DIV_2, 0x00),
        Set(GYRO_SMPLRT_DIV, 0x00),
        # The gyroscope takes 35 ms, the accelerometer 20 (DS-000189 sec. 3.1 and 3.2), plus a margin.
        Wait(0.045),
    ),
    start=(
        Set(FIFO_EN_1, 0x00, 0x0F),
        # A stream: the oldest is overwritten (DS-000189 sec. 8.59).
        Set(FIFO_MODE, 0x00, 0x1F),
        *_RESTART,
    ),
    flush=_RESTART,
    level=Level(FIFO_COUNTH, 2, (0, 2), "big", 0x1FFF, 1),
    fifo_register=FIFO_R_W,
    # Not in the data sheet; PX4's FIFO::SIZE.
    fifo_bytes=512,
    # The order of the registers, 0x2D to 0x3A: here the temperature is last.
    record=np.dtype([("acc", ">i2", 3), ("gyr", ">i2", 3), ("temp", ">i2")]),
    # As ArduPilot takes it (_check_raw_temp): more than a degree, of 333.87 counts.
    temperature_jump=400,
    # 7 MHz; I2C_IF_DIS (DS-000189, USER_CTRL).
    spi=Spi(7_000_000, first=(Set(USER_CTRL, 0x10, 0),), always={USER_CTRL: 0x10}),
    self_test=replace(
        SELF_TEST,
        # Icm20948SelfTest.c: ±2 g, ±250 deg/s; above half of what the factory saw, the accelerometer below one and a
        # half; 20 ms between.
        rate_hz=1125.0,
        on=(Set(GYRO_CONFIG_2, 0x38, 0x3F), Set(ACCEL_CONFIG_2, 0x1C, 0x1F)),
        off=(Set(GYRO_CONFIG_2, 0x00, 0x3F), Set(ACCEL_CONFIG_2, 0x00, 0x1F)),
        # SELF_TEST_X_ACCEL, SELF_TEST_X_GYRO, and y and z after each.
        trim_registers=(0x10E, 0x10F, 0x110, 0x102, 0x103, 0x104),
    ),
    notes=(
        "VDDIO is 1.71 to 1.95 V: a bare chip needs level shifters on a Raspberry Pi.",
        SHORT_FIFO,
        "The magnetometer is not read.",
    ),
    origins={
        **dict.fromkeys(
            ("identity", "ranges", "fifo", "record"),
            "driver: PX4 src/drivers/imu/invensense/icm20948/InvenSense_ICM20948_registers.hpp",
        ),
        "rates": "driver: ArduPilot AP_InertialSensor_Invensensev2.cpp (1125 Hz), Adafruit_ICM20X.cpp (dividers)",
        "start": "driver: ArduPilot AP_InertialSensor_Invensensev2.cpp (_fifo_reset)",
        "self-test": "driver: InvenSense's own Icm20948SelfTest.c",
    },
)

ICM20649 = replace(
    ICM20948,
    name="icm20649",
    title="InvenSense ICM-20649",
    source="DS-000192 rev. 1.0",
    identity={0x000: 0xE1},
    # The widest is 30 g in name; its counts reach 32.
    accel_ranges=accel_ranges(ACCEL_CONFIG, {g: (code << 1, 8192 >> code) for code, g in enumerate((4, 8, 16, 30))}),
    gyro_ranges=gyro_ranges(GYRO_CONFIG_1, {500: (0, 65.5), 1000: (2, 32.8), 2000: (4, 16.4), 4000: (6, 8.2)}),
    # What the factory's codes stand for at these ranges is in no source that could be read.
    self_test=None,
    notes=(ICM20948.notes[0], SHORT_FIFO),
    origins={
        "identity": "driver: PX4 InvenSense_ICM20649_registers.hpp (WHOAMI)",
        "rates": ICM20948.origins["rates"],
        "ranges": "driver: PX4 ICM20649.cpp (ConfigureAccel, ConfigureGyro), Adafruit_ICM20649.cpp (scaleValues)",
        "start": ICM20948.origins["start"],
        "fifo": "driver: PX4 InvenSense_ICM20649_registers.hpp (FIFO::SIZE)",
        "record": "driver: ArduPilot AP_InertialSensor_Invensensev2.cpp (_accumulate)",
    },
)

CHIPS = (ICM20948, ICM20649)

"""InvenSense MPU-6050 and MPU-6500, what came after them and has their registers: one map, grown over ten years.

MPU-6050: PS-MPU-6000A-00 rev. 3.4 (specification) and RM-MPU-6000A-00 rev. 4.2 (registers). MPU-6500: PS- and
RM-MPU-6500A. MPU-9250 and MPU-9255: PS- and RM-MPU-9250A. ICM-20602: DS-000176. ICM-20689: DS-000143. MPU-6886:
DS-000193 rev. 1.1. The others by drivers alone. Kernel: drivers/iio/imu/inv_mpu6050. What the FIFOs do when they should
not: PX4 src/drivers/imu/invensense/{mpu6000,icm20602,icm20608g,icm20689} and ArduPilot
libraries/AP_InertialSensor/AP_InertialSensor_Invensense.cpp.

The overflow flag (INT_STATUS, 0x3A) cannot be had in one read with the count (0x72): a burst stops moving on at
MEM_R_W (0x6F). So a FIFO in which another record would not fit counts as overrun.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import radians

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Bits, Chip, Level, SelfTest, Set, Spi, Step, Until, Wait, accel_ranges, gyro_ranges

SMPLRT_DIV, CONFIG, GYRO_CONFIG, ACCEL_CONFIG, ACCEL_CONFIG_2 = range(0x19, 0x1E)
FIFO_EN = 0x23
ACCEL_INTEL_CTRL, USER_CTRL, PWR_MGMT_1, PWR_MGMT_2 = range(0x69, 0x6D)
FIFO_COUNT_H, FIFO_R_W, WHO_AM_I = 0x72, 0x74, 0x75

FIFO_ON, FIFO_RESET, SELF_TEST_ALL = 0x40, 0x04, 0xE0

Y_OFFSET_TRIM = 0x11
"""Not in any data sheet: another value than 0xC9 moves the acceleration in y by 2.7 m/s² (ArduPilot
AP_InertialSensor_Invensense_registers.h, MPUREG_ICM_UNDOC1, for the ICM-20602 and ICM-20608)."""

DIVIDERS = (0, 1, 2, 3, 4, 7, 9, 15, 19, 39, 49, 79)
"""1000 Hz / (1 + SMPLRT_DIV) (RM-MPU-6000A sec. 4.2): rates down to 12.5 Hz."""
FILTERS_6050 = {1: 188, 2: 98, 3: 44, 4: 21, 5: 10, 6: 5}
"""DLPF_CFG to the wider of the accelerometer's and the gyroscope's bandwidth in Hz (RM-MPU-6000A sec. 4.3). 0 and 7
take the gyroscope to 8 kHz, which the accelerometer does not follow."""
FILTERS_6500 = {1: 218.1, 2: 99, 3: 44.8, 4: 21.2, 5: 10.2, 6: 5.1}
"""DLPF_CFG = A_DLPF_CFG, as the kernel sets them, to the wider bandwidth in Hz (DS-000176 and DS-000143, registers 26
and 29; early revisions for the MPU-6500 and MPU-9250 give the accelerometer 184, 92, 41, 20, 10 and 5)."""


def divided_rates(
    base_hz: float,
    dividers: Iterable[int],
    filters: Mapping[int, float],
    divide: Iterable[int],
    limit: Mapping[int, int],
) -> Mapping[float, Bits]:
    """Return base_hz / (1 + divider) to the bits that give it, with the widest filter below half the rate.

    filters: code to bandwidth in Hz. divide: registers of the divider. limit: registers of the filter, and its shift.
    """
    rates = {}
    for divider in dividers:
        rate_hz = base_hz / (1 + divider)
        code = max((code for code, width in filters.items() if width <= rate_hz / 2), key=lambda code: filters[code])
        rates[rate_hz] = dict.fromkeys(divide, divider) | {register: code << shift for register, shift in limit.items()}
    return rates


def trim_6500(codes: bytes) -> NDArray[np.float64]:
    """Return what the factory saw: 2620 counts x 1.01^(code - 1) at ±2 g and ±250 deg/s; NaN for a code of 0.

    codes: three of the accelerometer, three of the gyroscope (AN-MPU-9250A-03; the ICM-20948 and ICM-426xx alike, in
    InvenSense's Icm20948SelfTest.c and Icm426xxSelfTest.c).
    """
    units = np.repeat((2620 / 16384 * STANDARD_GRAVITY, radians(2620 / 131)), 3)
    return _trim(codes, units, np.full(6, 1.01))


def trim_6050(codes: bytes) -> NDArray[np.float64]:
    """Return what the factory saw, from registers 0x0D to 0x10; NaN for a code of 0 (RM-MPU-6000A sec. 4.1)."""
    x, y, z, low = codes
    accel = [(high >> 5) << 2 | (low >> shift) & 0x03 for high, shift in ((x, 4), (y, 2), (z, 0))]
    gyro = [code & 0x1F for code in (x, y, z)]
    # The y gyroscope is turned the other way.
    units = np.array((*3 * (0.34 * STANDARD_GRAVITY,), *(radians(25) * sign for sign in (1, -1, 1))))
    return _trim((*accel, *gyro), units, np.repeat(((0.92 / 0.34) ** (1 / 30), 1.046), 3))


def _trim(codes: Iterable[int], units: NDArray[np.float64], growth: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.fromiter(codes, np.float64)
    return np.where(found > 0, units * growth ** (found - 1), np.nan)


def _restart(fifo_en: int) -> tuple[Step, ...]:
    """Return the steps that empty the FIFO: FIFO_RESET acts only while FIFO_EN is 0 (RM-MPU-6000A sec. 4.27).

    Sources first, then the FIFO, as inv_mpu6050_prepare_fifo does.
    """
    return (
        Set(FIFO_EN, 0x00, 0xF8),
        Set(USER_CTRL, 0x00, 0xF0),
        Set(USER_CTRL, FIFO_RESET, 0),
        Until(USER_CTRL, FIFO_RESET, 0, 0.01),
        Set(FIFO_EN, fifo_en, 0xF8),
        Set(USER_CTRL, FIFO_ON, 0xF0),
    )


def _setup(*more: Step) -> tuple[Step, ...]:
    """Return what all share, with `more` for registers that not all have."""
    return (
        # Awake, on the gyroscope's oscillator; registers 5 ms after sleep (inv_mpu_iio.h, REG_UP_TIME).
        Set(PWR_MGMT_1, 0x01),
        Wait(0.005),
        Set(PWR_MGMT_2, 0x00, 0x3F),
        Set(SMPLRT_DIV, 0x00),
        # FIFO_MODE (bit 6) 0: the oldest is overwritten. Bit 7 is 1 after the reset of an ICM-20602, for nothing.
        Set(CONFIG, 0x00, 0x7F),
        # With the bits of the self-test, and FCHOICE_B where there is one.
        Set(GYRO_CONFIG, 0x00, 0xFB),
        Set(ACCEL_CONFIG, 0x00, 0xF8),
        *more,
        # From sleep to a settled gyroscope: 30 ms (PS-MPU-6000A sec. 6.1) and 35 ms (the others), plus a margin; the
        # kernel waits 60 to 100 ms (inv_mpu_iio.h, *_GYRO_STARTUP_TIME).
        Wait(0.045),
    )


SHORT_FIFO = (
    "ArduPilot saw corrupt records at the end of the FIFO once it held more than 32; the temperature inside a record "
    "tells."
)

# AN-MPU-9250A-03 sec. 3: 200 samples with and without at ±2 g and ±250 deg/s, 20 ms between; the gyroscope above half
# of what the factory saw, the accelerometer between half and one and a half.
SELF_TEST = SelfTest(
    rate_hz=1000.0,
    accel_range_g=2,
    gyro_range_dps=250,
    on=(Set(ACCEL_CONFIG, SELF_TEST_ALL, 0xF8), Set(GYRO_CONFIG, SELF_TEST_ALL, 0xFB)),
    off=(Set(ACCEL_CONFIG, 0x00, 0xF8), Set(GYRO_CONFIG, 0x00, 0xFB)),
    settle_s=0.05,
    accel=(0.5, 1.5),
    gyro=(0.5, np.inf),
    trim_registers=(0x0D, 0x0E, 0x0F, 0x00, 0x01, 0x02),
    trim=trim_6500,
)

_ORIGINS = {
    **dict.fromkeys(("identity", "rates"), "driver: Linux drivers/iio/imu/inv_mpu6050/inv_mpu_iio.h"),
    **dict.fromkeys(("ranges", "start", "fifo"), "driver: Linux drivers/iio/imu/inv_mpu6050/inv_mpu_core.c"),
    "record": "driver: Linux drivers/iio/imu/inv_mpu6050/inv_mpu_ring.c",
    "self-test": "driver: InvenSense's motion_driver inv_mpu.c (MPU6050, MPU6500)",
}
_OWN = {"self-test": "driver: InvenSense's own Icm20689SelfTest.c, Icm20689Defs.h (HW_ICM20602, HW_icm20689)"}

_I2C_OFF = 0x10
"""I2C_IF_DIS of USER_CTRL, to be set as soon as the chip answers. By RM-MPU-6500A it clears itself, PX4's MPU9250.hpp
reads it back."""


def _spi(clock_hz: int) -> Spi:
    return Spi(clock_hz, first=(Set(USER_CTRL, _I2C_OFF, 0),), always={USER_CTRL: _I2C_OFF})


MPU6500 = Chip(
    name="mpu6500",
    title="InvenSense MPU-6500",
    source="PS-MPU-6500A-01, RM-MPU-6500A-00",
    addresses=(0x68, 0x69),
    identity={WHO_AM_I: 0x70},
    rates=divided_rates(1000, DIVIDERS, FILTERS_6500, (SMPLRT_DIV,), {CONFIG: 0, ACCEL_CONFIG_2: 0}),
    # PS-MPU-6000A sec. 6.1 and 6.2; the same in all of them.
    accel_ranges=accel_ranges(ACCEL_CONFIG, {g: (code << 3, 32768 / g) for code, g in enumerate((2, 4, 8, 16))}),
    gyro_ranges=gyro_ranges(GYRO_CONFIG, {250: (0x00, 131), 500: (0x08, 65.5), 1000: (0x10, 32.8), 2000: (0x18, 16.4)}),
    # DEVICE_RESET clears itself once done (RM-MPU-6000A sec. 4.28). As after power-up it may take 100 ms until the
    # registers answer (electrical specifications of all; 11 or 20 ms are typical).
    reset=(Set(PWR_MGMT_1, 0x80, 0), Wait(0.01), Until(PWR_MGMT_1, 0x80, 0, 0.2)),
    setup=_setup(Set(ACCEL_CONFIG_2, 0x00, 0x0F)),
    start=_restart(0xF8),
    flush=_restart(0xF8),
    level=Level(FIFO_COUNT_H, 2, (0, 2), "big", 0x1FFF, 1),
    fifo_register=FIFO_R_W,
    fifo_bytes=512,
    # What FIFO_EN asks for comes in the order of the registers, 0x3B to 0x48 (RM-MPU-6000A sec. 4.31).
    record=np.dtype([("acc", ">i2", 3), ("temp", ">i2"), ("gyr", ">i2", 3)]),
    # Factory trim of all but the MPU-6050. In an ICM-20602 that of y may change by itself after hours and shift the
    # acceleration; PX4 and ArduPilot watch it in the others too.
    kept=(0x77, 0x78, 0x7A, 0x7B, 0x7D, 0x7E),
    # As ArduPilot takes it (_check_raw_temp), more than a degree.
    temperature_jump=400,
    self_test=SELF_TEST,
    # 1 MHz for all registers; the 20 MHz for outputs and interrupts are not needed (PS-MPU-6500A, SPI).
    spi=_spi(1_000_000),
    notes=(SHORT_FIFO,),
    alike=("gy-6500",),
    origins=_ORIGINS,
    # They name no part, and were reported of modules sold as MPU-6050, MPU-6500 or MPU-9250: 0x72
    # Levi--G/IMU-WhoAmIVerifier issue 1, 0x75 its issue 5 and kriswiner/MPU9250 issue 486; 0x7D without a source at
    # hand.
    clones={
        0x72: "a clone that is sold as MPU-6050",
        0x75: "a clone that is sold as MPU-9250",
        0x7D: "a clone of the MPU-6500",
    },
)

MPU6050 = replace(
    MPU6500,
    name="mpu6050",
    title="InvenSense MPU-6050",
    source="PS-MPU-6000A-00 rev. 3.4, RM-MPU-6000A-00 rev. 4.2",
    identity={WHO_AM_I: 0x68},
    rates=divided_rates(1000, DIVIDERS, FILTERS_6050, (SMPLRT_DIV,), {CONFIG: 0}),
    setup=_setup(),
    fifo_bytes=1024,
    kept=(),
    # The MPU-6000, which says the same of itself, has it.
    spi=_spi(1_000_000),
    self_test=replace(
        SELF_TEST,
        # RM-MPU-6000A sec. 4.1: ±8 g, ±250 deg/s; within 14 % of the factory's (PS-MPU-6000A sec. 6.1 and 6.2).
        accel_range_g=8,
        on=(Set(ACCEL_CONFIG, SELF_TEST_ALL | 0x10, 0xF8), Set(GYRO_CONFIG, SELF_TEST_ALL, 0xFB)),
        off=(Set(ACCEL_CONFIG, 0x10, 0xF8), Set(GYRO_CONFIG, 0x00, 0xFB)),
        # No document says; InvenSense's own driver waits 50 ms (motion_driver inv_mpu.c, test.wait_ms), others 250.
        settle_s=0.25,
        accel=(0.86, 1.14),
        gyro=(0.86, 1.14),
        trim_registers=(0x0D, 0x0E, 0x0F, 0x10),
        trim=trim_6050,
    ),
    notes=(
        "A module sold as MPU-6050 that says 0x70 is an MPU-6500, one that says 0x98 an ICM-20689; 0x72 and others "
        "are clones.",
        "Clones that say 0x68 may lack the factory's self-test codes (0).",
    ),
    # MPU-6000: the same chip with SPI, too. MPU-9150: one with a magnetometer beside it. Both say 0x68 and have the
    # same registers and FIFO (inv_mpu_core.c). The others are modules with an MPU-6050.
    alike=("mpu6000", "mpu9150", "gy-521", "gy-86", "gy-87", "gy-88"),
    clones={},
)

MPU9250 = replace(
    MPU6500,
    name="mpu9250",
    title="InvenSense MPU-9250",
    source="PS-MPU-9250A-01, RM-MPU-9250A-00",
    identity={WHO_AM_I: 0x71},
    notes=(SHORT_FIFO, "The magnetometer is not read."),
    alike=("gy-91", "gy-9250"),
    clones={},
)

MPU9255 = replace(
    MPU9250,
    name="mpu9255",
    title="InvenSense MPU-9255",
    source="MPU-9255 product specification, register map of the MPU-9250 (RM-MPU-9250A-00)",
    identity={WHO_AM_I: 0x73},
    alike=("gy-9255",),
    clones={},
)

ICM20602 = replace(
    MPU6500,
    name="icm20602",
    title="InvenSense ICM-20602",
    source="DS-000176 rev. 1.0",
    identity={WHO_AM_I: 0x12},
    fifo_bytes=1008,
    kept=(Y_OFFSET_TRIM, *MPU6500.kept),
    # OUTPUT_LIMIT: only with it do the outputs reach full scale (DS-000176, register 105: at every start).
    setup=_setup(Set(ACCEL_CONFIG_2, 0x00, 0x0F), Set(ACCEL_INTEL_CTRL, 0x02, 0xC2)),
    self_test=replace(SELF_TEST, trim_registers=(0x0D, 0x0E, 0x0F, 0x50, 0x51, 0x52)),
    # 10 MHz; I2C_IF_DIS has a register of its own (DS-000176, register 112; inv_mpu_core.c, reg_set_icm20602).
    spi=Spi(10_000_000, first=(Set(0x70, 0x40, 0),)),
    # One bit for all of the gyroscope, which brings the temperature along (DS-000176, register 35).
    start=_restart(0x18),
    flush=_restart(0x18),
    # ArduPilot does not trust its temperature in the FIFO; PX4 allows 1000 (ICM20602.cpp, ProcessTemperature).
    temperature_jump=1000,
    notes=(),
    alike=(),
    clones={},
    # The temperature that comes along is in InvenSense's own driver, too.
    origins=_ORIGINS | _OWN | {"record": _OWN["self-test"]},
)

ICM20689 = replace(
    MPU6500,
    name="icm20689",
    title="InvenSense ICM-20689",
    source="DS-000143 rev. 1.1",
    identity={WHO_AM_I: 0x98},
    fifo_bytes=4096,
    # FIFO_SIZE 3: 4 KiB (DS-000143, register 29; the kernel's INV_ICM20689_BITS_FIFO_SIZE_MAX).
    setup=_setup(Set(ACCEL_CONFIG_2, 0xC0, 0xCF)),
    # 8 MHz (DS-000143).
    spi=_spi(8_000_000),
    notes=("Writes to reserved registers have damaged some for good (Betaflight pull request 11584).",),
    # What modules that say 0x98 are sold as (ElectronicCats/mpu6050 issue 21: 13 of 20).
    alike=("mpu6050a",),
    clones={},
    origins=_ORIGINS | _OWN,
)

MPU6515 = replace(
    MPU6500,
    name="mpu6515",
    title="InvenSense MPU-6515",
    source="register map of the MPU-6500 (RM-MPU-6500A-00)",
    identity={WHO_AM_I: 0x74},
    alike=(),
    clones={},
)

MPU6880 = replace(
    MPU6500,
    name="mpu6880",
    title="InvenSense MPU-6880",
    source="register map of the MPU-6500 (RM-MPU-6500A-00)",
    identity={WHO_AM_I: 0x78},
    # The kernel says 4096, and yet leaves FIFO_SIZE as it is, which stands for 512. If the FIFO is larger, it is
    # emptied before it is full; the other way round samples would be lost unseen.
    fifo_bytes=512,
    origins={part: origin for part, origin in _ORIGINS.items() if part != "fifo"},
    alike=(),
    clones={},
)

ICM20608 = replace(
    MPU6500,
    name="icm20608",
    title="InvenSense ICM-20608-G",
    source="RM-000030",
    identity={WHO_AM_I: 0xAF},
    kept=(Y_OFFSET_TRIM, *MPU6500.kept),
    origins=_ORIGINS
    | {
        "start": "driver: PX4 ICM20608G.cpp (FIFOReset)",
        "fifo": "driver: PX4 InvenSense_ICM20608G_registers.hpp (FIFO::SIZE), Linux inv_mpu_core.c",
        "self-test": "driver: bsp_icm20608.h of ALIENTEK's i.MX6ULL course (registers), Iam20680SelfTest.c (formula)",
    },
    alike=("icm20608g",),
    clones={},
)

ICM20608D = replace(ICM20608, name="icm20608d", title="InvenSense ICM-20608-D", identity={WHO_AM_I: 0xAE}, alike=())

IAM20680 = replace(
    MPU6500,
    name="iam20680",
    title="TDK InvenSense IAM-20680",
    source="DS-000196",
    identity={WHO_AM_I: 0xA9},
    origins=_ORIGINS | {"self-test": "driver: InvenSense's own Iam20680SelfTest.c, Iam20680Defs.h"},
    alike=(),
    clones={},
)

ICM20600 = replace(
    ICM20602,
    name="icm20600",
    title="InvenSense ICM-20600",
    source="DS-000184 rev. 1.0",
    identity={WHO_AM_I: 0x11},
    # In the kernel the same but for WHO_AM_I.
    origins={**ICM20602.origins, "self-test": "driver: Seeed ICM20600.h (registers)"},
)

MPU6886 = replace(
    ICM20602,
    name="mpu6886",
    title="InvenSense MPU-6886",
    source="DS-000193 rev. 1.1",
    identity={WHO_AM_I: 0x19},
    # Of 1024 bytes, the whole records that the ICM-20602 has room for.
    fifo_bytes=1008,
    # Whether it has what ArduPilot found in the ICM-20602 is not known.
    kept=MPU6500.kept,
    origins={
        "identity": "driver: M5Stack MPU6886.cpp (Init)",
        "rates": "data sheet: DS-000193 rev. 1.1 sec. 9.3, 9.5 and 9.6, by notes of others",
        "ranges": "driver: M5Stack MPU6886.cpp (SetGyroFsr, SetAccelFsr)",
        "fifo": "data sheet: DS-000193 rev. 1.1, by notes of others",
        "record": "driver: M5Stack MPU6886.cpp (setFIFOEnable; raw data of 14 bytes)",
    },
)

CHIPS = (
    *(MPU6050, MPU6500, MPU9250, MPU9255, ICM20602, ICM20689),
    *(MPU6515, MPU6880, ICM20608, ICM20608D, IAM20680, ICM20600, MPU6886),
)

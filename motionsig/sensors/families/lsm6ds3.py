"""LSM6DS3 and LSM6DS3TR-C: a FIFO of bare 16-bit words.

Only its place in the pattern gyroscope x y z, accelerometer x y z, which the chip counts in FIFO_PATTERN, says what a
word is. Where the next word out is not the first of the pattern, nothing in the FIFO can be trusted.

Sources: LSM6DS3 data sheet DocID026899, application note AN4650; LSM6DS3TR-C data sheet DocID030071, AN5130; the
kernel's drivers/iio/imu/st_lsm6dsx (st_lsm6dsx_core.c: registers, rates, sensitivities, levels; st_lsm6dsx_buffer.c:
order in the FIFO).
"""

from __future__ import annotations

from dataclasses import replace
from math import radians

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Chip, Level, SelfTest, Set, Spi, Step, Until, Wait, accel_ranges, clear, gyro_ranges

_FIFO_CTRL1, _FIFO_CTRL2, _FIFO_CTRL3, _FIFO_CTRL4, _FIFO_CTRL5 = range(0x06, 0x0B)
_FUNC_CFG_ACCESS, _WHO_AM_I = 0x01, 0x0F
_CTRL1_XL, _CTRL2_G, _CTRL3_C, _CTRL4_C, _CTRL5_C = range(0x10, 0x15)
_CTRL6_C, _CTRL7_G, _CTRL8_XL, _CTRL9_XL, _CTRL10_C = range(0x15, 0x1A)
_FIFO_STATUS1, _FIFO_DATA_OUT_L = 0x3A, 0x3E

# ODR_XL and ODR_G in the upper four bits, ODR_FIFO in bits 6:3 (CTRL1_XL, CTRL2_G, FIFO_CTRL5). The FIFO's rate may
# not be above the sensors' (data sheets, section 5.5). At 6 words of 2 bytes 3330 Hz would not pass at 400 kHz. At
# 12.5 and 26 Hz the accelerometer would settle later than the gyroscope.
_CODES = {52.0: 3, 104.0: 4, 208.0: 5, 416.0: 6, 833.0: 7, 1660.0: 8}
_RATES = {hz: {_CTRL1_XL: code << 4, _CTRL2_G: code << 4, _FIFO_CTRL5: code << 3} for hz, code in _CODES.items()}

# FS_XL in bits 3:2, 0.061, 0.122, 0.244, 0.488 mg; FS_G in bits 3:2 and FS_125 in bit 1, 4.375, 8.75, 17.5, 35,
# 70 mdps (data sheets, mechanical characteristics; st_lsm6dsx_core.c, fs_table).
ACCEL_RANGES = accel_ranges(
    _CTRL1_XL,
    {2.0: (0 << 2, 1e3 / 0.061), 4.0: (2 << 2, 1e3 / 0.122), 8.0: (3 << 2, 1e3 / 0.244), 16.0: (1 << 2, 1e3 / 0.488)},
)
_FS_G = {125.0: (1 << 1, 4.375), 250.0: (0, 8.75), 500.0: (1 << 2, 17.5), 1000.0: (2 << 2, 35), 2000.0: (3 << 2, 70)}
GYRO_RANGES = gyro_ranges(_CTRL2_G, {dps: (bits, 1000 / mdps) for dps, (bits, mdps) in _FS_G.items()})

# Out of the bank of the embedded functions first, in which CTRL3_C is something else. SW_RESET clears itself (AN4650,
# AN5130).
RESET = (Set(_FUNC_CFG_ACCESS, 0x00), Set(_CTRL3_C, 0x05, 0), Wait(0.002), Until(_CTRL3_C, 0x01, 0x00, 0.05))

_BYPASS = Set(_FIFO_CTRL5, 0x00)
# Continuous mode: the oldest words are overwritten (data sheets, section 5.5).
_CONTINUOUS = Set(_FIFO_CTRL5, 0x06)

# 90 to 1700 mg at any full scale; 150 to 700 dps at 2000 dps. Limits and waits as in ST's X-CUBE-MEMS1,
# Projects/Multi/Examples/IKS01A1/LSM6DS3_SelfTest. At 4 g, so that gravity beneath the most of it does not clip.
SELF_TEST = SelfTest(
    rate_hz=208.0,
    accel_range_g=4.0,
    gyro_range_dps=2000.0,
    on=(Set(_CTRL5_C, 0x05),),
    off=(Set(_CTRL5_C, 0x00),),
    settle_s=0.2,
    accel=(0.090 * STANDARD_GRAVITY, 1.7 * STANDARD_GRAVITY),
    gyro=(radians(150), radians(700)),
)


# 10 MHz; IF_INC counts on there, too. I2C_disable (CTRL4_C; DocID026899 and DocID030071, DS12140).
SPI = Spi(10_000_000, always={_CTRL4_C: 0x04})


def _setup(*last: Set) -> tuple[Step, ...]:
    """Return what both chips share, with `last` before the sensors are switched on."""
    return (
        # BDU, IF_INC; BOOT and SW_RESET clear themselves.
        Set(_CTRL3_C, 0x44, 0x7E),
        *clear(_CTRL4_C, _CTRL5_C),
        # High-performance modes, no high-pass filters.
        *clear(_CTRL6_C, _CTRL7_G, _CTRL8_XL),
        *last,
        *clear(_CTRL1_XL, _CTRL2_G),
        # The gyroscope from power-down (AN4650, AN5130, turn-on time).
        Wait(0.08),
    )


LSM6DS3 = Chip(
    name="lsm6ds3",
    title="ST LSM6DS3",
    source="DocID026899, AN4650 (DocID027415)",
    addresses=(0x6A, 0x6B),
    identity={_WHO_AM_I: 0x69},
    # XL_BW_SCAL_ODR 0: the anti-aliasing filter follows the rate, 400 Hz at 833 Hz and more, 50 Hz at 104 Hz and less
    # (DocID026899, CTRL1_XL and CTRL4_C); the gyroscope's does too.
    rates=_RATES,
    accel_ranges=ACCEL_RANGES,
    gyro_ranges=GYRO_RANGES,
    reset=RESET,
    # All axes on, no embedded functions: the values after power-up.
    setup=_setup(Set(_CTRL9_XL, 0x38), Set(_CTRL10_C, 0x38)),
    start=(
        _BYPASS,
        *clear(_FIFO_CTRL1, _FIFO_CTRL2),
        # Both data sets without decimation; no third, no fourth.
        Set(_FIFO_CTRL3, 0x09),
        Set(_FIFO_CTRL4, 0x00),
        _CONTINUOUS,
    ),
    # Bypass empties the FIFO, and the pattern begins anew (AN4650, AN5130, bypass mode).
    flush=(_BYPASS, _CONTINUOUS),
    # FIFO_STATUS1 to 4 with 12 bits of DIFF_FIFO, in 16-bit words (data sheets, FIFO_STATUS2). FIFO_FULL says that the
    # next sample fills it; it is taken for lost because DIFF_FIFO may then wrap to 0.
    level=Level(
        _FIFO_STATUS1, 4, (0, 2), "little", 0x0FFF, 2, full=((1, 0x40), (1, 0x20)), broken=((2, 0xFF), (3, 0x03))
    ),
    fifo_register=_FIFO_DATA_OUT_L,
    # 4095 words: what 12 bits of DIFF_FIFO can tell of 8 kbyte; 1365 data sets in st_lsm6dsx_core.c.
    fifo_bytes=8190,
    # The first record after the FIFO is switched on is to be discarded (DocID026899 sec. 5.5).
    unsettled=1,
    # 1st data set gyroscope, 2nd accelerometer (data sheets, FIFO reading procedure; st_lsm6dsx_buffer.c).
    record=np.dtype([("gyr", "<i2", (3,)), ("acc", "<i2", (3,))]),
    self_test=SELF_TEST,
    spi=SPI,
    notes=("at 52 Hz the accelerometer's filter of 50 Hz lets through more than half the rate",),
    # The same identity and registers in Adafruit_LSM6DS33.h.
    alike=("lsm6ds33",),
    origins=dict.fromkeys(
        ("identity", "rates", "ranges", "start", "fifo"),
        "driver: ST lsm6ds3-pid lsm6ds3_reg.h, lsm6ds3_reg.c; Linux drivers/iio/imu/st_lsm6dsx/st_lsm6dsx_core.c",
    )
    | {"record": "driver: Linux drivers/iio/imu/st_lsm6dsx/st_lsm6dsx_buffer.c"},
)

LSM6DS3TRC = replace(
    LSM6DS3,
    name="lsm6ds3trc",
    title="ST LSM6DS3TR-C",
    source="DocID030071, AN5130",
    identity={_WHO_AM_I: 0x6A},
    # The accelerometer's LPF1 at half the rate (LPF1_BW_SEL 0), the gyroscope's LPF2 follows the rate. At 1660 Hz LPF2
    # passes more than half the rate: LPF1_SEL_G with FTYPE 11, some 500 Hz (DocID030071, CTRL4_C and CTRL6_C).
    rates={**_RATES, 1660.0: {**_RATES[1660.0], _CTRL4_C: 0x02, _CTRL6_C: 0x03}},
    # DEN_X, DEN_Y, DEN_Z as after power-up, without effect while no DEN mode is on.
    setup=_setup(Set(_CTRL9_XL, 0xE0), Set(_CTRL10_C, 0x00)),
    level=replace(LSM6DS3.level, mask=0x07FF),
    # 2046 of 2048 words, the whole data sets: 682 in st_lsm6dsx_core.c.
    fifo_bytes=4092,
    notes=(),
    # One entry with one identity in the kernel's st_lsm6dsx_core.c.
    alike=("lsm6dsl", "lsm6dsm", "ism330dlc"),
    origins=dict.fromkeys(
        ("identity", "rates", "ranges", "start", "fifo"),
        "driver: ST lsm6ds3tr-c-pid lsm6ds3tr-c_reg.h, lsm6ds3tr-c_reg.c; Linux st_lsm6dsx_core.c",
    )
    | {
        "record": "driver: Linux drivers/iio/imu/st_lsm6dsx/st_lsm6dsx_buffer.c",
        "self-test": "driver: ST lsm6ds3tr-c_STdC lsm6ds3tr_c_self_test.c",
    },
)

CHIPS: tuple[Chip, ...] = (LSM6DS3, LSM6DS3TRC)

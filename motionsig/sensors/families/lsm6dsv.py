"""LSM6DSV16X, LSM6DSV and LSM6DSV32X: the words of an LSM6DSO, half as many, under other registers and rates.

Sources: ST's lsm6dsv16x-pid and lsm6dsv32x-pid (lsm6dsv16x_reg.h, lsm6dsv32x_reg.h), its examples
lsm6dsv16x_self_test.c and lsm6dsv16x_fifo.c, its own Linux driver (st_lsm6dsvx.h); the kernel's
drivers/iio/imu/st_lsm6dsx/st_lsm6dsx_core.c. No data sheet was at hand. All three say 0x70: only gravity tells a
LSM6DSV32X.
"""

from __future__ import annotations

from dataclasses import replace

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Level, Set, Spi, Until, Wait, accel_ranges, clear, gyro_ranges
from motionsig.sensors.families.lsm6ds3 import SELF_TEST
from motionsig.sensors.families.lsm6dso import LSM6DSO

_FIFO_CTRL1, _FIFO_CTRL2, _FIFO_CTRL3, _FIFO_CTRL4 = range(0x07, 0x0B)
_WHO_AM_I = 0x0F
_CTRL1, _CTRL2, _CTRL3, _CTRL4 = range(0x10, 0x14)
_CTRL6, _CTRL7, _CTRL8, _CTRL9, _CTRL10 = range(0x15, 0x1A)
_FIFO_STATUS1, _FIFO_STATUS2 = 0x1B, 0x1C

# odr_xl, odr_g, bdr_xl and bdr_gy, all with the same codes (lsm6dsv16x_data_rate_t, lsm6dsv16x_fifo_xl_batch_t). Below
# 60 Hz the accelerometer would settle later than the gyroscope.
_CODES = {60.0: 5, 120.0: 6, 240.0: 7, 480.0: 8, 960.0: 9, 1920.0: 10}

_BYPASS, _CONTINUOUS = Set(_FIFO_CTRL4, 0x00), Set(_FIFO_CTRL4, 0x06)
# Bypass empties the FIFO, but fifo_ovr_latched stays until it is read, as in the LSM6DSO.
_EMPTY = (_BYPASS, Until(_FIFO_STATUS2, 0x00, 0x00, 0.01))

_GYRO_CODES = {
    125.0: (0, 4.375),
    250.0: (1, 8.75),
    500.0: (2, 17.5),
    1000.0: (3, 35),
    2000.0: (4, 70),
    4000.0: (12, 140),
}
"""deg/s to fs_g and mdps (lsm6dsv16x_gy_full_scale_t, lsm6dsv16x_from_fs125_to_mdps and on)."""

LSM6DSV16X = replace(
    LSM6DSO,
    name="lsm6dsv16x",
    title="ST LSM6DSV16X",
    source="DS13510, AN5763",
    identity={_WHO_AM_I: 0x70},
    # High-performance modes (op_mode_xl, op_mode_g 0); the accelerometer's filter is at half the rate (lpf2_xl_en 0).
    rates={hz: {_CTRL1: code, _CTRL2: code, _FIFO_CTRL3: code << 4 | code} for hz, code in _CODES.items()},
    # fs_xl in bits 1:0 (lsm6dsv16x_xl_full_scale_t, lsm6dsv16x_from_fs2_to_mg and on).
    accel_ranges=accel_ranges(
        _CTRL8, {2.0: (0, 1e3 / 0.061), 4.0: (1, 1e3 / 0.122), 8.0: (2, 1e3 / 0.244), 16.0: (3, 1e3 / 0.488)}
    ),
    gyro_ranges=gyro_ranges(_CTRL6, {dps: (code, 1000 / mdps) for dps, (code, mdps) in _GYRO_CODES.items()}),
    setup=(
        # BDU, IF_INC; BOOT and SW_RESET clear themselves.
        Set(_CTRL3, 0x44, 0x7E),
        # No further filters, no offsets, no self-test.
        *clear(_CTRL4, _CTRL6, _CTRL7, _CTRL8, _CTRL9, _CTRL10, _CTRL1, _CTRL2),
        # The gyroscope from power-down, as in the LSM6DSO.
        Wait(0.07),
    ),
    # No watermark, no compression.
    start=(*_EMPTY, *clear(_FIFO_CTRL1, _FIFO_CTRL2, _FIFO_CTRL3), _CONTINUOUS),
    flush=(*_EMPTY, _CONTINUOUS),
    # diff_fifo, 9 bits, in words of 7 bytes; fifo_ovr_ia 0x40, and until it is read fifo_ovr_latched 0x08.
    level=Level(_FIFO_STATUS1, 2, (0, 2), "little", 0x01FF, unit=7, full=((1, 0x40), (1, 0x08))),
    # Sources differ: ST's own driver says 208 words (ST_LSM6DSVX_MAX_FIFO_DEPTH), the kernel's 512. With the fewest the
    # FIFO is emptied in time whatever is true.
    fifo_bytes=208 * 7,
    # Limits, waits and ways as in ST's example: 50 to 1700 mg, 150 to 700 dps; the accelerometer is pushed back, the
    # gyroscope forth (st_xl 2, st_g 1).
    # 10 MHz; I2C_I3C_disable, bit 0 of IF_CFG, all else of which is 0 after a reset (lsm6dsv16x_reg.h).
    spi=Spi(10_000_000, first=(Set(0x03, 0x01, 0),)),
    self_test=replace(
        SELF_TEST,
        rate_hz=240.0,
        on=(Set(_CTRL10, 0x06),),
        off=(Set(_CTRL10, 0x00),),
        settle_s=0.1,
        accel=(0.050 * STANDARD_GRAVITY, 1.7 * STANDARD_GRAVITY),
    ),
    notes=("the gyroscope's filter at each rate is in no source that could be read",),
    alike=("lsm6dsv",),
    clones={},
    origins={
        **dict.fromkeys(("identity", "rates", "ranges"), "driver: ST lsm6dsv16x_reg.h, Linux st_lsm6dsx_core.c"),
        "start": "driver: ST lsm6dsv16x_reg.h, lsm6dsv16x_fifo.c, Linux st_lsm6dsx_core.c",
        "fifo": "driver: Linux st_lsm6dsx_core.c (level), ST st_lsm6dsvx.h (size)",
        "record": "driver: ST lsm6dsv16x_reg.c (lsm6dsv16x_fifo_out_raw_get)",
        "self-test": "driver: ST lsm6dsv16x_self_test.c",
    },
)

LSM6DSV32X = replace(
    LSM6DSV16X,
    name="lsm6dsv32x",
    title="ST LSM6DSV32X",
    source="LSM6DSV32X data sheet, AN6016",
    accel_ranges=accel_ranges(
        _CTRL8, {4.0: (0, 1e3 / 0.122), 8.0: (1, 1e3 / 0.244), 16.0: (2, 1e3 / 0.488), 32.0: (3, 1e3 / 0.976)}
    ),
    alike=(),
    origins=dict(LSM6DSV16X.origins)
    | dict.fromkeys(("identity", "rates", "ranges"), "driver: ST lsm6dsv32x_reg.h, lsm6dsv32x_reg.c"),
)

CHIPS = (LSM6DSV16X, LSM6DSV32X)

"""LSM6DSO, LSM6DSOX, LSM6DSO32 and LSM6DSR: a FIFO of words of 7 bytes, a tag that tells the sensor and 6 bytes of it.

Sources: LSM6DSO data sheet DS12140, application note AN5192; LSM6DSOX DS12814, AN5272; LSM6DSR AN5358; the kernel's
drivers/iio/imu/st_lsm6dsx (st_lsm6dsx_core.c: registers, rates, sensitivities; st_lsm6dsx_buffer.c: tags, reading).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Chip, Level, Set, Until, Wait, accel_ranges, clear, gyro_ranges
from motionsig.sensors.families.lsm6ds3 import ACCEL_RANGES, GYRO_RANGES, RESET, SELF_TEST, SPI

_FIFO_CTRL1, _FIFO_CTRL2, _FIFO_CTRL3, _FIFO_CTRL4 = range(0x07, 0x0B)
_WHO_AM_I = 0x0F
_CTRL1_XL, _CTRL2_G, _CTRL3_C, _CTRL4_C, _CTRL5_C = range(0x10, 0x15)
_CTRL6_C, _CTRL7_G, _CTRL8_XL, _CTRL9_XL, _CTRL10_C = range(0x15, 0x1A)
_FIFO_STATUS1, _FIFO_STATUS2 = 0x3A, 0x3B
_FIFO_DATA_OUT_TAG = 0x78

# ODR_XL and ODR_G in the upper four bits, BDR_GY and BDR_XL in FIFO_CTRL3, all with the same codes (DS12140,
# FIFO_CTRL3, CTRL1_XL, CTRL2_G). 3333 Hz of 14 bytes would not pass at 400 kHz. At 12.5 and 26 Hz the accelerometer
# would settle later than the gyroscope.
_CODES = {52.0: 3, 104.0: 4, 208.0: 5, 416.0: 6, 833.0: 7, 1666.0: 8}
# The accelerometer's filter is at half the rate (LPF2_XL_EN 0), the gyroscope's LPF2 follows the rate, with 295 Hz at
# 833 Hz. At 1666 Hz it passes more than half the rate: LPF1_SEL_G with FTYPE 011, its widest (DS12140, CTRL6_C).
_RATES = {
    rate_hz: {
        _CTRL1_XL: code << 4,
        _CTRL2_G: code << 4,
        _FIFO_CTRL3: code << 4 | code,
        **({_CTRL4_C: 0x02, _CTRL6_C: 0x03} if rate_hz > 1000 else {}),
    }
    for rate_hz, code in _CODES.items()
}


def _origins(part: str) -> dict[str, str]:
    """Return where the table of `part` was compared with ST's own driver and the kernel's."""
    reg = f"driver: ST {part}-pid {part}_reg.h, {part}_reg.c"
    return {
        **dict.fromkeys(("identity", "rates", "ranges", "start"), reg),
        "fifo": f"{reg}; Linux drivers/iio/imu/st_lsm6dsx/st_lsm6dsx_core.c",
        "record": f"{reg}; Linux drivers/iio/imu/st_lsm6dsx/st_lsm6dsx_buffer.c",
        "self-test": f"driver: ST {part}_STdC {part}_self_test.c",
    }


_BYPASS = Set(_FIFO_CTRL4, 0x00)
# Continuous mode: the oldest words are overwritten; no temperature, no time stamps (DS12140, FIFO_CTRL4).
_CONTINUOUS = Set(_FIFO_CTRL4, 0x06)
# Bypass empties the FIFO (DS12140, section 6.5), but FIFO_OVR_LATCHED stays until it is read.
_EMPTY = (_BYPASS, Until(_FIFO_STATUS2, 0x00, 0x00, 0.01))

LSM6DSO = Chip(
    name="lsm6dso",
    title="ST LSM6DSO",
    source="DS12140, AN5192",
    addresses=(0x6A, 0x6B),
    identity={_WHO_AM_I: 0x6C},
    rates=_RATES,
    accel_ranges=ACCEL_RANGES,
    gyro_ranges=GYRO_RANGES,
    # Out of the banks of the embedded functions and the sensor hub first, in which CTRL3_C is something else. SW_RESET
    # clears itself (AN5192).
    reset=RESET,
    setup=(
        # I3C off, or the chip may take traffic on the bus for it (DS12140, CTRL9_XL); DEN as after power-up.
        Set(_CTRL9_XL, 0xE2),
        # BDU, IF_INC; BOOT and SW_RESET clear themselves.
        Set(_CTRL3_C, 0x44, 0x7E),
        *clear(_CTRL4_C, _CTRL5_C),
        # High-performance modes, no high-pass filters, no time stamps.
        *clear(_CTRL6_C, _CTRL7_G, _CTRL8_XL, _CTRL10_C, _CTRL1_XL, _CTRL2_G),
        # The gyroscope from power-down to high performance (AN5192, turn-on time).
        Wait(0.07),
    ),
    # No watermark, no compression.
    start=(*_EMPTY, *clear(_FIFO_CTRL1, _FIFO_CTRL2, _FIFO_CTRL3), _CONTINUOUS),
    flush=(*_EMPTY, _CONTINUOUS),
    # DIFF_FIFO, 10 bits, in words of 7 bytes; FIFO_OVR_IA 0x40, and until it is read FIFO_OVR_LATCHED 0x08 (DS12140,
    # FIFO_STATUS2).
    level=Level(_FIFO_STATUS1, 2, (0, 2), "little", 0x03FF, unit=7, full=((1, 0x40), (1, 0x08))),
    # IF_INC goes back from 0x7E to 0x78, so that one read takes any number of words (st_lsm6dsx_buffer.c does).
    fifo_register=_FIFO_DATA_OUT_TAG,
    # 512 words: 3 kbyte without the tags (DS12140 section 6.5; st_lsm6dsx_core.c, max_fifo_size).
    fifo_bytes=512 * 7,
    # TAG_SENSOR in bits 7:3 of the tag, 1 gyroscope, 2 accelerometer; then a 2-bit counter of time slots and the parity
    # (DS12140, FIFO_DATA_OUT_TAG; st_lsm6dsx_buffer.c). The gyroscope's word comes first in a time slot, as in the
    # LSM6DS3.
    record=np.dtype([("gyr_tag", "u1"), ("gyr", "<i2", (3,)), ("acc_tag", "u1"), ("acc", "<i2", (3,))]),
    # No document says which of the two words of an instant comes first; the kernel goes by the tags
    # (st_lsm6dsx_buffer.c).
    other_order=np.dtype([("acc_tag", "u1"), ("acc", "<i2", (3,)), ("gyr_tag", "u1"), ("gyr", "<i2", (3,))]),
    marks=(("gyr_tag", 0xF8, 1 << 3), ("acc_tag", 0xF8, 2 << 3)),
    # TAG_CNT, which counts instants (DS12140, FIFO_DATA_OUT_TAG).
    slot=("gyr_tag", "acc_tag", 0x06),
    # 50 to 1700 mg at any full scale; 150 to 700 dps at 2000 dps (DS12140 table 2, page 10). Waits as in ST's
    # lsm6dso_self_test.c. At 4 g, as there, so that gravity beneath the most of it does not clip.
    self_test=replace(SELF_TEST, settle_s=0.1, accel=(0.050 * STANDARD_GRAVITY, 1.7 * STANDARD_GRAVITY)),
    spi=SPI,
    notes=("the LSM6DSOX answers with the same identity, and reads the same; an LSM6DSO32 has twice the scale",),
    # The same identity, registers and FIFO in st_lsm6dsx_core.c.
    alike=("lsm6dsop",),
    # In st_lsm6dsx_core.c in one entry with the LSM6DSO: only its identity differs, as that of the LSM6DSTX.
    clones={0x6D: "LSM6DST"},
    origins=_origins("lsm6dso"),
)

LSM6DSOX = replace(
    LSM6DSO,
    name="lsm6dsox",
    title="ST LSM6DSOX",
    source="DS12814, AN5272",
    notes=("the LSM6DSO answers with the same identity, and reads the same; an LSM6DSO32 has twice the scale",),
    alike=(),
    clones={},
    origins=_origins("lsm6dsox"),
)

LSM6DSO32 = replace(
    LSM6DSO,
    name="lsm6dso32",
    title="ST LSM6DSO32",
    source="LSM6DSO32 data sheet; ST's lsm6dso32_reg.h",
    # The codes of the LSM6DSO's 2, 16, 4 and 8 g stand for 4, 32, 8 and 16 g (lsm6dso32_reg.h, lsm6dso32_fs_xl_t).
    accel_ranges=accel_ranges(
        _CTRL1_XL,
        {
            4.0: (0 << 2, 1e3 / 0.122),
            8.0: (2 << 2, 1e3 / 0.244),
            16.0: (3 << 2, 1e3 / 0.488),
            32.0: (1 << 2, 1e3 / 0.976),
        },
    ),
    notes=("the LSM6DSO and LSM6DSOX answer with the same identity, and have half the scale: gravity tells",),
    alike=("lsm6dso32x",),
    clones={},
    origins=_origins("lsm6dso32"),
)

LSM6DSR = replace(
    LSM6DSO,
    name="lsm6dsr",
    title="ST LSM6DSR",
    source="LSM6DSR data sheet, AN5358",
    identity={_WHO_AM_I: 0x6B},
    # FS_4000 is bit 0 of CTRL2_G, 140 mdps, the others the LSM6DS3's (DS12140 table 2; st_lsm6dsx_core.c, fs_table).
    gyro_ranges=GYRO_RANGES | gyro_ranges(_CTRL2_G, {4000.0: (1 << 0, 1000 / 140)}),
    notes=(),
    # One identity, the same registers, scales and FIFO (st_lsm6dsx_core.c; the ASM330LHH has an entry of its own there
    # that differs in nothing that is used here).
    # From 40 mg on (lsm6dsrx_self_test.c).
    self_test=replace(SELF_TEST, settle_s=0.1, accel=(0.040 * STANDARD_GRAVITY, 1.7 * STANDARD_GRAVITY)),
    alike=("lsm6dsrx", "ism330dhcx", "asm330lhh", "asm330lhhx", "asm330lhb"),
    clones={},
    origins=_origins("lsm6dsr") | {"self-test": "driver: ST lsm6dsrx_STdC lsm6dsrx_self_test.c"},
)

CHIPS: tuple[Chip, ...] = (LSM6DSO, LSM6DSOX, LSM6DSO32, LSM6DSR)

"""LIS3DH: an accelerometer that counts its registers on only where bit 7 of the register's number asks for it.

So the registers have their numbers with that bit here. On a single byte it changes nothing.

Sources: data sheet DocID17530 Rev 2; application note AN3308; the kernel's drivers/iio/accel/st_accel_core.c (lis3dh).
"""

from __future__ import annotations

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Chip, Level, SelfTest, Set, Spi, Until, Wait, accel_ranges, clear

# Bit 7 of the subaddress (I2C operation).
_ON = 0x80
_WHO_AM_I = 0x0F
_TEMP_CFG_REG = _ON | 0x1F
_CTRL_REG1, _CTRL_REG2, _CTRL_REG3, _CTRL_REG4, _CTRL_REG5, _CTRL_REG6 = range(_ON | 0x20, _ON | 0x26)
_OUT_X_L = _ON | 0x28
_FIFO_CTRL_REG, _FIFO_SRC_REG = _ON | 0x2E, _ON | 0x2F

# ODR in bits 7:4 (CTRL_REG1). The bandwidth is half the rate.
_CODES = {25.0: 3, 50.0: 4, 100.0: 5, 200.0: 6, 400.0: 7, 1344.0: 9}

_BLOCK, _RANGE_4_G, _SELF_TEST = 0x80, 0x10, 0x02
_BYPASS, _STREAM = 0x00, 0x80

# 10 bits in the upper bits of 16: 64 counts to one of the data sheet's, of 4 mg.
_PER_G = 64 * 250

LIS3DH = Chip(
    name="lis3dh",
    title="ST LIS3DH",
    source="DocID17530 Rev 2, AN3308",
    addresses=(0x18, 0x19),
    identity={_WHO_AM_I: 0x33},
    rates={rate_hz: {_CTRL_REG1: code << 4} for rate_hz, code in _CODES.items()},
    # FS in bits 5:4; 4, 8, 16 and, out of line, 48 mg (table 4; lis3dh_reg.c, lis3dh_from_fs2_nm_to_mg).
    accel_ranges=accel_ranges(
        _CTRL_REG4,
        {2.0: (0 << 4, _PER_G), 4.0: (1 << 4, _PER_G / 2), 8.0: (2 << 4, _PER_G / 4), 16.0: (3 << 4, _PER_G / 12)},
    ),
    gyro_ranges={},
    # It has no reset: power down, and load the trimming anew, which takes 5 ms (CTRL_REG5; AN3308).
    reset=(
        Set(_CTRL_REG1, 0x07),
        Set(_FIFO_CTRL_REG, _BYPASS),
        Set(_CTRL_REG5, 0x80, 0),
        Wait(0.006),
        Until(_CTRL_REG5, 0x80, 0x00, 0.05),
    ),
    setup=(
        # No high-pass filter, no interrupts.
        *clear(_TEMP_CFG_REG, _CTRL_REG2, _CTRL_REG3),
        # The FIFO keeps the upper 10 bits whatever the mode (ST in community.st.com, td-p/440261). So high resolution
        # would give nothing, and cut the bandwidth to a ninth of the rate.
        Set(_CTRL_REG4, _BLOCK),
        Set(_CTRL_REG6, 0x00),
        # All axes, not in low power.
        Set(_CTRL_REG1, 0x07),
        # 1.6 ms in normal mode (section 3.2.1), and a period of the slowest rate with the slowest clock.
        Wait(0.044),
    ),
    # Stream mode: the oldest sample is overwritten; bypass empties the FIFO (sections 5.1.1 and 5.1.3). BOOT clears
    # itself.
    start=(Set(_FIFO_CTRL_REG, _BYPASS), Set(_CTRL_REG5, 0x40, 0x7F), Set(_FIFO_CTRL_REG, _STREAM)),
    flush=(Set(_FIFO_CTRL_REG, _BYPASS), Set(_FIFO_CTRL_REG, _STREAM)),
    # FSS counts to 31; with the 32nd sample OVRN_FIFO is set, and the next one overwrites (FIFO_SRC_REG; AN3308).
    level=Level(register=_FIFO_SRC_REG, size=1, count=(0, 1), order="little", mask=0x1F, unit=6, full=((0, 0x40),)),
    # Reading on from 0x2D goes back to 0x28 (AN3308).
    fifo_register=_OUT_X_L,
    fifo_bytes=32 * 6,
    record=np.dtype([("acc", "<i2", (3,))]),
    # 10 MHz; MS, bit 6, counts on, and bit 7 of the numbers here has no place (SPI bus interface).
    spi=Spi(10_000_000, burst=0x40),
    step=64,
    self_test=SelfTest(
        rate_hz=100.0,
        # So that gravity beneath the most of it does not clip.
        accel_range_g=4.0,
        gyro_range_dps=None,
        on=(Set(_CTRL_REG4, _BLOCK | _RANGE_4_G | _SELF_TEST),),
        off=(Set(_CTRL_REG4, _BLOCK | _RANGE_4_G),),
        settle_s=0.09,
        # 17 to 360 steps of 4 mg, 10 bits at 2 g (table 4).
        accel=(17 * 0.004 * STANDARD_GRAVITY, 360 * 0.004 * STANDARD_GRAVITY),
        gyro=None,
    ),
    notes=("its FIFO holds 10 bits",),
    # The same identity, registers and FIFO (lis2dh12_reg.h and lis3dh_reg.h of ST; drivers/iio/accel/st_accel_core.c,
    # one entry for all). An LIS2DE12 says 0x33, too: it has 8 bits and wants low power.
    alike=("lis2dh", "lis2dh12"),
    origins=dict.fromkeys(
        ("identity", "rates", "ranges", "start", "fifo"), "driver: ST lis3dh-pid lis3dh_reg.h, lis3dh_reg.c"
    )
    | {
        "record": "driver: ST lis3dh_STdC lis3dh_multi_read_fifo.c; 10 bits: ST in community.st.com td-p/440261",
        "self-test": "driver: ST lis3dh_STdC lis3dh_self_test.c",
    },
)

CHIPS: tuple[Chip, ...] = (LIS3DH,)

"""ADXL345: an accelerometer whose FIFO gives one sample per read.

Sources: data sheet Rev. E; the kernel's drivers/iio/accel/adxl345_core.c.
"""

from __future__ import annotations

import numpy as np

from motionsig.conventions import STANDARD_GRAVITY
from motionsig.sensors.chips import Chip, Level, SelfTest, Set, Spi, Wait, accel_ranges, clear

_DEVID = 0x00
_OFSX, _OFSY, _OFSZ = range(0x1E, 0x21)
_BW_RATE, _POWER_CTL, _INT_ENABLE = range(0x2C, 0x2F)
_DATA_FORMAT, _DATAX0 = 0x31, 0x32
_FIFO_CTL, _FIFO_STATUS = 0x38, 0x39

# The bandwidth is half the rate (BW_RATE). At 400 kHz 800 Hz is the most (I2C); 1600 Hz and up also lose the lowest
# bit (page 32).
_CODES = {25.0: 0x8, 50.0: 0x9, 100.0: 0xA, 200.0: 0xB, 400.0: 0xC, 800.0: 0xD}

_MEASURE, _STANDBY = 0x08, 0x00
_STREAM, _BYPASS = 0x80, 0x00
_FULL_RES, _SELF_TEST = 0x08, 0x80
_RANGE_16_G = 0x03

ADXL345 = Chip(
    name="adxl345",
    title="Analog Devices ADXL345",
    source="ADXL345 Rev. E",
    addresses=(0x53, 0x1D),
    identity={_DEVID: 0xE5},
    rates={rate_hz: {_BW_RATE: code} for rate_hz, code in _CODES.items()},
    # FULL_RES: 256 LSB/g at any range, right-justified with the sign in front (table 1; DATA_FORMAT).
    accel_ranges=accel_ranges(_DATA_FORMAT, {2.0: (0, 256), 4.0: (1, 256), 8.0: (2, 256), 16.0: (_RANGE_16_G, 256)}),
    gyro_ranges={},
    # It has no reset; what follows is written whatever it was.
    reset=(Set(_POWER_CTL, _STANDBY), Set(_FIFO_CTL, _BYPASS)),
    setup=(
        *clear(_OFSX, _OFSY, _OFSZ),
        Set(_BW_RATE, 0x00, 0x1F),
        Set(_INT_ENABLE, 0x00),
        Set(_DATA_FORMAT, _FULL_RES),
        Set(_POWER_CTL, _MEASURE, 0x3F),
        # 1.1 ms and one period (table 1, turn-on time), of the slowest rate with the slowest clock.
        Wait(0.044),
    ),
    # Stream mode: the oldest sample is overwritten; bypass empties the FIFO (FIFO section).
    start=(Set(_FIFO_CTL, _BYPASS), Set(_FIFO_CTL, _STREAM)),
    flush=(Set(_FIFO_CTL, _BYPASS), Set(_FIFO_CTL, _STREAM)),
    # Entries, 6 bits. The overrun bit is in INT_SOURCE, across the data registers, whose reading would take a sample:
    # a full FIFO is known by its level.
    level=Level(register=_FIFO_STATUS, size=1, count=(0, 1), order="little", mask=0x3F, unit=6),
    fifo_register=_DATAX0,
    # Up to 33 entries are there at a time, 32 and the one in the output registers (FIFO_STATUS): one in hand.
    fifo_bytes=32 * 6,
    # Reading on from 0x37 to 0x38, or ending the read, takes the next sample out, 5 us later; addressing the chip anew
    # takes longer (Retrieving Data from FIFO).
    one_by_one=True,
    record=np.dtype([("acc", "<i2", (3,))]),
    # 5 MHz; MB, bit 6, counts on (SPI). 3200 and 1600 Hz need 2 MHz, and their lowest bit is always 0 (page 32).
    # 5 us between the end of one record and the next (Retrieving Data from FIFO). It has no bit that switches I2C off.
    spi=Spi(5_000_000, burst=0x40, rates={1600.0: {_BW_RATE: 0xE}, 3200.0: {_BW_RATE: 0xF}}, pause_s=5e-6),
    self_test=SelfTest(
        # 100 to 800 Hz (page 22).
        rate_hz=100.0,
        accel_range_g=16.0,
        gyro_range_dps=None,
        on=(Set(_DATA_FORMAT, _FULL_RES | _RANGE_16_G | _SELF_TEST),),
        off=(Set(_DATA_FORMAT, _FULL_RES | _RANGE_16_G),),
        # Four periods (table 1, self-test).
        settle_s=0.04,
        # At 2.5 V 0.20 to 2.10 g in x, that much down in y, 0.30 to 3.40 g in z (table 1). At 3.3 V times 1.77 and 1.47
        # (table 14, page 22). The least of all axes and the most.
        accel=(0.20 * 1.77 * STANDARD_GRAVITY, 3.40 * 1.47 * STANDARD_GRAVITY),
        gyro=None,
    ),
    notes=("its own test is judged for a supply of 3.3 V",),
    # ADXL343: the same class in Adafruit's adafruit_adxl34x.py. An ADXL344 or ADXL346 says 0xE6 and has other ranges.
    alike=("adxl343", "gy-291"),
    # The kernel asks it for the same identity, and has 480 mm/s² per count (adxl345.h, ADXL375_USCALE).
    twins={"ADXL375": 0.480 / 0.0383},
    origins={
        "identity": "driver: Linux drivers/iio/accel/adxl345_core.c",
        "rates": "driver: Linux drivers/iio/accel/adxl345_core.c",
        "ranges": "driver: Linux drivers/iio/accel/adxl345_core.c",
        "start": "driver: Linux drivers/iio/accel/adxl345.h",
        "fifo": "driver: Linux drivers/iio/accel/adxl345.h",
        "record": "driver: Linux drivers/iio/accel/adxl345_core.c",
    },
)

CHIPS: tuple[Chip, ...] = (ADXL345,)

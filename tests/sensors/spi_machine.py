"""A machine with a /dev/spidev0.0 behind which a simulated chip sits, for real processes and their real ioctl."""

from __future__ import annotations

import errno
import struct
from collections import Counter
from pathlib import Path

from chips.spi import SimulatedSpi
from i2c_machine import I2cMachine, _Memory

# include/uapi/linux/spi/spidev.h
_RD_MODE, _WR_MODE, _MESSAGE = 0x80016B01, 0x40016B01, 0x40006B00
_TRANSFER = struct.Struct("=QQIIHBBBBBB")
_CPHA_CPOL = 3
_BUFSIZ, _DMA_MINALIGN = 4096, 128  # drivers/spi/spidev.c; arch/arm64/include/asm/cache.h

_DEVICES = rb"""P: /devices/platform/spi0/spi0.0/spidev/spidev0.0
N: spidev0.0
E: SUBSYSTEM=spidev
E: DEVNAME=/dev/spidev0.0
A: dev=153:0\n

"""


class SpiMachine(I2cMachine):
    """As an I2cMachine. transfers: how many messages of each number of transfers. mode: as the last process left it."""

    devices, node = _DEVICES, b"/dev/spidev0.0"
    bus: SimulatedSpi

    mode = 0x40  # as where the board has wired something special: SPI_NO_CS

    def __init__(self, bus: SimulatedSpi, folder: Path) -> None:
        super().__init__(bus, folder)
        self.transfers: Counter[int] = Counter()

    def _ioctl(self, client: int, request: int, argument: _Memory) -> None:
        """Do as drivers/spi/spidev.c does; raise OSError with its number where that fails."""
        if request == _RD_MODE:
            argument.at(0, 1).put(bytes((self.mode,)))
        elif request == _WR_MODE:
            self.mode = bytes(argument.at(0, 1))[0]
        elif request & ~0x3FFF0000 == _MESSAGE and (request >> 16 & 0x3FFF) % _TRANSFER.size == 0:
            self._message(argument.at(0, request >> 16 & 0x3FFF))
        else:
            raise OSError(errno.ENOTTY, "no such ioctl")

    def _message(self, table: _Memory) -> None:
        rows = list(_TRANSFER.iter_unpack(bytes(table)))
        self.transfers[len(rows)] += 1
        if sum(-(-row[2] // _DMA_MINALIGN) * _DMA_MINALIGN for row in rows) > _BUFSIZ:
            raise OSError(errno.EMSGSIZE, "more than the kernel's buffer holds")
        if self.mode & _CPHA_CPOL != 3:
            raise OSError(errno.EINVAL, "not known here: another mode than 3")
        buffers = [table.at(_TRANSFER.size * at + 8, row[2]) for at, row in enumerate(rows)]
        # Between two transfers with cs_change the line rises; after the last one it does without.
        if [bool(row[6]) for row in rows] != [*[True] * (len(rows) - 1), False]:
            raise OSError(errno.EINVAL, "not known here: a line that stays low, or that does not rise at the end")
        got = self.bus.exchange([bytes(each) for each in buffers], clock_hz=rows[0][3], pause_s=rows[0][4] * 1e-6)
        for buffer, row in zip(buffers, rows, strict=True):
            buffer.put(got[: row[2]])
            got = got[row[2] :]

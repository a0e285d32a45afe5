"""LSM6DSO32: an LSM6DSO with twice the range. ST's lsm6dso32_reg.h (lsm6dso32_fs_xl_t and its sensitivities)."""

from __future__ import annotations

from motionsig.sensors.simulated.lsm6dso import WRITABLE, Lsm6dso

_WRITABLE = {**WRITABLE, 0x17: 0xFD}
"""There is no XL_FS_MODE: bit 1 of CTRL8_XL is not used."""
_MG = {0: 0.122, 1: 0.976, 2: 0.244, 3: 0.488}
"""mg per count by FS_XL: 4, 32, 8, 16 g."""


class Lsm6dso32(Lsm6dso):
    writable = _WRITABLE

    def accel_mg(self) -> float:
        return _MG[self.registers[0x10] >> 2 & 3]

"""LSM6DSR: an LSM6DSO with 4000 deg/s. DS12732 with AN5358."""

from __future__ import annotations

from motionsig.sensors.simulated.lsm6dso import DEFAULTS, WRITABLE, Lsm6dso

_CTRL2_G = 0x11
_DEFAULTS = {**DEFAULTS, 0x0F: 0x6B}
_WRITABLE = {**WRITABLE, _CTRL2_G: 0xFF, 0x17: 0xFD}


class Lsm6dsr(Lsm6dso):
    defaults = _DEFAULTS
    writable = _WRITABLE

    def gyro_mdps(self) -> float:
        return 140.0 if self.registers[_CTRL2_G] & 1 else super().gyro_mdps()  # FS_4000

"""LSM6DSV16X, LSM6DSV and LSM6DSV32X: the words of an LSM6DSO, half as many, under other registers and rates.

ST's lsm6dsv16x_reg.h and lsm6dsv32x_reg.h (registers, codes, sensitivities); DS13510 for what is not there: 1.5 kbyte
of FIFO, CTRL3 after a reset.
"""

from __future__ import annotations

from motionsig.sensors.simulated.lsm6dso import Lsm6dso

_IF_CFG, _ID = 0x03, 0x0F
_CTRL1, _CTRL2, _CTRL3 = 0x10, 0x11, 0x12
_CTRL6, _CTRL8, _CTRL10, _FUNCTIONS_ENABLE = 0x15, 0x17, 0x19, 0x50

_RATES_HZ = (0.0, 1.875, 7.5, 15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3840.0, 7680.0)
"""By code: lsm6dsv16x_data_rate_t, and of the FIFO lsm6dsv16x_fifo_xl_batch_t."""
_TRIGGERED, _SLEEP = 3, 4  # op_mode_xl, op_mode_g: no samples by themselves

_ACCEL_MG = (0.061, 0.122, 0.244, 0.488)
_GYRO_MDPS = {0: 4.375, 1: 8.75, 2: 17.5, 3: 35.0, 4: 70.0, 12: 140.0}

_DEFAULTS = {**dict.fromkeys(range(0x01, 0x80), 0), 0x02: 0x23, _ID: 0x70, _CTRL3: 0x44}

# The bits that have a name in lsm6dsv16x_reg.h.
_WRITABLE = {
    **dict(enumerate((0xCB, 0xE0, 0xFD), 0x01)),
    # FIFO_CTRL1 to INT2_CTRL, then CTRL1 to CTRL10.
    **dict(enumerate((0xFF, 0xD7, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF), 0x07)),
    **dict(enumerate((0x7F, 0x7F, 0x44, 0x1F, 0x07, 0x7F, 0xF1, 0xEB, 0x7B, 0x4F), 0x10)),
    **dict.fromkeys(range(_FUNCTIONS_ENABLE, 0x60), 0xFF),
    0x62: 0x03,
    **dict.fromkeys(range(0x73, 0x76), 0xFF),
}


class Lsm6dsv16x(Lsm6dso):
    depth = 256
    status_register = 0x1B
    temperature_hz = (0.0, 1.875, 15.0, 60.0)
    parity = False

    deciding = (0x09, 0x0A, _CTRL1, _CTRL2, _CTRL6, _CTRL8, _CTRL10, _FUNCTIONS_ENABLE)
    defaults = _DEFAULTS
    writable = _WRITABLE

    def accel_hz(self) -> float:
        control = self.registers[_CTRL1]
        return 0.0 if control >> 4 & 7 == _TRIGGERED else _rate_hz(control & 15)

    def gyro_hz(self) -> float:
        control = self.registers[_CTRL2]
        return 0.0 if control >> 4 & 7 in (_TRIGGERED, _SLEEP) else _rate_hz(control & 15)

    def accel_mg(self) -> float:
        return _ACCEL_MG[self.registers[_CTRL8] & 3]

    def gyro_mdps(self) -> float:
        return _GYRO_MDPS.get(self.registers[_CTRL6] & 15, 4.375)

    def pushed(self) -> tuple[int, int]:
        test = self.registers[_CTRL10]
        return {1: 1, 2: -1}.get(test & 3, 0), {1: 1, 2: -1}.get(test >> 2 & 3, 0)

    def i2c_off(self) -> bool:
        return bool(self.registers[_IF_CFG] & 0x01)

    def batched_hz(self) -> tuple[float, float]:
        codes = self.registers[0x09]
        return _rate_hz(codes >> 4), _rate_hz(codes & 15)

    def stamping(self) -> bool:
        return bool(self.registers[_FUNCTIONS_ENABLE] & 0x40)


class Lsm6dsv32x(Lsm6dsv16x):
    """4 to 32 g under the same codes: lsm6dsv32x_from_fs4_to_mg and on."""

    def accel_mg(self) -> float:
        return 2 * super().accel_mg()


def _rate_hz(code: int) -> float:
    return _RATES_HZ[code] if code < len(_RATES_HZ) else 0.0

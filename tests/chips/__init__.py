"""Register-level models of every chip in `motionsig.sensors.CHIPS`; `trial` checks a chip's table with its model.

clock = VirtualClock()
bus = SimulatedBus([chip_model("mpu6500", clock=clock)], clock=clock)
sensor = open_sensor("mpu6500", bus=bus, clock=clock)
"""

from __future__ import annotations

from chips.adxl345 import Adxl345
from chips.bmi160 import Bmi160
from chips.icm20948 import Icm20948
from chips.icm42600 import Icm42605, Icm42688P
from chips.lis3dh import Lis3dh
from chips.lsm6ds3 import Lsm6ds3, Lsm6ds3trc
from chips.lsm6dso32 import Lsm6dso32
from chips.lsm6dsr import Lsm6dsr
from chips.lsm9ds1 import Lsm9ds1
from chips.mpu6000 import Icm20602, Icm20689, Mpu6050, Mpu6500, Mpu9250, Mpu9255
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated import Oscillator, Signal, SimulatedChip, walking
from motionsig.sensors.simulated.lsm6dso import Lsm6dso

MODELS: dict[str, type[SimulatedChip]] = {
    "mpu6050": Mpu6050,
    "mpu6500": Mpu6500,
    "mpu9250": Mpu9250,
    "mpu9255": Mpu9255,
    "icm20602": Icm20602,
    "icm20689": Icm20689,
    "icm20948": Icm20948,
    "icm42605": Icm42605,
    "icm42688p": Icm42688P,
    "lsm6ds3": Lsm6ds3,
    "lsm6ds3trc": Lsm6ds3trc,
    "lsm6dso": Lsm6dso,
    "lsm6dsox": Lsm6dso,
    "lsm6dso32": Lsm6dso32,
    "lsm6dsr": Lsm6dsr,
    "lsm9ds1": Lsm9ds1,
    "bmi160": Bmi160,
    "adxl345": Adxl345,
    "lis3dh": Lis3dh,
}


def chip_model(
    name: str, *, clock: Clock, signal: Signal = walking, oscillator: Oscillator | None = None
) -> SimulatedChip:
    """Return the model of the chip of that name, just powered up."""
    return MODELS[name](clock, signal, oscillator=oscillator)

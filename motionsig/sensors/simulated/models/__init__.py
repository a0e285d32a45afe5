"""Register-level models of all chips, written from data sheets and drivers, never from the tables the reader uses."""

from __future__ import annotations

from motionsig.sensors.simulated.chip import SimulatedChip
from motionsig.sensors.simulated.lsm6dso import Lsm6dso
from motionsig.sensors.simulated.models.adxl345 import Adxl345
from motionsig.sensors.simulated.models.bmi160 import Bmi160
from motionsig.sensors.simulated.models.icm20948 import Icm20649, Icm20948
from motionsig.sensors.simulated.models.icm42600 import Icm42605, Icm42686P, Icm42688P
from motionsig.sensors.simulated.models.lis3dh import Lis3dh
from motionsig.sensors.simulated.models.lsm6ds3 import Lsm6ds3, Lsm6ds3trc
from motionsig.sensors.simulated.models.lsm6dso32 import Lsm6dso32
from motionsig.sensors.simulated.models.lsm6dsr import Lsm6dsr
from motionsig.sensors.simulated.models.lsm6dsv import Lsm6dsv16x, Lsm6dsv32x
from motionsig.sensors.simulated.models.lsm9ds1 import Lsm9ds1
from motionsig.sensors.simulated.models.mpu6000 import (
    Iam20680,
    Icm20600,
    Icm20602,
    Icm20608,
    Icm20608D,
    Icm20689,
    Mpu6050,
    Mpu6500,
    Mpu6515,
    Mpu6880,
    Mpu6886,
    Mpu9250,
    Mpu9255,
)

MODELS: dict[str, type[SimulatedChip]] = {
    "mpu6050": Mpu6050,
    "mpu6500": Mpu6500,
    "mpu9250": Mpu9250,
    "mpu9255": Mpu9255,
    "icm20602": Icm20602,
    "icm20689": Icm20689,
    "mpu6515": Mpu6515,
    "mpu6880": Mpu6880,
    "icm20608": Icm20608,
    "icm20608d": Icm20608D,
    "iam20680": Iam20680,
    "icm20600": Icm20600,
    "mpu6886": Mpu6886,
    "icm20948": Icm20948,
    "icm20649": Icm20649,
    "icm42605": Icm42605,
    "icm42688p": Icm42688P,
    "icm42686p": Icm42686P,
    "lsm6ds3": Lsm6ds3,
    "lsm6ds3trc": Lsm6ds3trc,
    "lsm6dso": Lsm6dso,
    "lsm6dsox": Lsm6dso,
    "lsm6dso32": Lsm6dso32,
    "lsm6dsr": Lsm6dsr,
    "lsm6dsv16x": Lsm6dsv16x,
    "lsm6dsv32x": Lsm6dsv32x,
    "lsm9ds1": Lsm9ds1,
    "bmi160": Bmi160,
    "adxl345": Adxl345,
    "lis3dh": Lis3dh,
}

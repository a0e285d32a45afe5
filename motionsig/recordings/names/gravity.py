"""In which of its forms a log has acceleration: with gravity, or without and gravity beside it; and whose sign.

* ROS's `linear_acceleration` (sensor_msgs/Imu, beside `angular_velocity`) includes gravity; every phone's does not.
* Core Motion has `userAcceleration` and `gravity`, Sensor Logger's tables of the watch call the first `acceleration`.
  iOS's sign is opposite to that of chips and of Android.
* Sensor Logger's table "Accelerometer" is without gravity; its "TotalAcceleration" is with it.
* UCI HAR has `total_acc` and `body_acc`, the second without gravity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from motionsig.recordings.names.column import Column
from motionsig.recordings.names.units import plain
from motionsig.recordings.names.words import Said


def settle(columns: list[Column], names: Sequence[str], heard: Sequence[Said], stem: str) -> None:
    """Decide in place which columns "acc" and "user" are with gravity, where the table's other names tell."""
    words = [plain(name) for name in names]
    kinds = {column.kind for column in columns}
    if "gyr" in kinds and "acc" not in kinds and _ros(words):
        for at, column in enumerate(columns):
            if column.kind == "user" and "linearacceleration" in words[at]:
                columns[at] = replace(column, kind="acc", convention="ros", sure=False)
    if any(said.words & {"whole", "total"} for said in heard):
        for at, column in enumerate(columns):
            if column.convention == "body":
                columns[at] = replace(column, kind="user", convention="")
    columns[:] = [
        replace(it, convention="", part=it.part or "body") if it.convention == "body" else it for it in columns
    ]
    if "secondselapsed" in words:
        _sensor_logger(columns, words, stem)
    _physics_toolbox(columns, names)
    _core_motion(columns, words)


def _ros(words: Sequence[str]) -> bool:
    message = any("angularvelocity" in word for word in words) and any("linearacceleration" in word for word in words)
    phone = any("gravity" in word or "rotationrate" in word for word in words)
    return message and not phone


def _sensor_logger(columns: list[Column], words: Sequence[str], stem: str) -> None:
    beside = any(column.kind == "gravity" for column in columns)
    for at, column in enumerate(columns):
        alone = plain(stem) == "accelerometer" and words[at] in ("x", "y", "z")
        if column.kind == "acc" and (
            alone or (beside and words[at] in ("accelerationx", "accelerationy", "accelerationz"))
        ):
            columns[at] = replace(column, kind="user")


def _physics_toolbox(columns: list[Column], names: Sequence[str]) -> None:
    """Its gFx is the accelerometer in g; ax beside it is without gravity."""
    force = [at for at, name in enumerate(names) if plain(name) in ("gfx", "gfy", "gfz")]
    if len(force) == 3:
        for at, column in enumerate(columns):
            if at in force:
                columns[at] = replace(column, part="", unit=column.unit or "g")
            elif column.kind == "acc" and not column.sure:
                columns[at] = replace(column, kind="user", part="")


def _core_motion(columns: list[Column], words: Sequence[str]) -> None:
    """Mark the names of iOS's motion data, in which a device on its back has -1 g along z."""
    user = any("useracceleration" in word for word in words) and any("rotationrate" in word for word in words)
    watch = "secondselapsed" in words and any("rotationrate" in word for word in words)
    logger = any("accelerometeraccelerationx" in word for word in words)
    if user or watch or logger:
        for at, column in enumerate(columns):
            if column.kind in ("acc", "user", "gravity") and not column.convention:
                columns[at] = replace(column, convention="ios")

"""In which of its forms a log has acceleration: with gravity, or without and gravity beside it; and whose sign.

* ROS's `linear_acceleration` (sensor_msgs/Imu, beside `angular_velocity`) includes gravity; every phone's does not.
* Core Motion has `userAcceleration` and `gravity`, Sensor Logger's tables of the watch call the first `acceleration`.
  iOS's sign is opposite to that of chips and of Android.
* Sensor Logger's table "Accelerometer" is without gravity; its "TotalAcceleration" is with it.
* LpmsControl's tables have a device that lies flat at -1 g along z (LP-Research's manual of its sensors).
* Stray Scanner of iOS writes Core Motion's acceleration in m/s², with its sign, beside "alpha", the angular rate.
* UCI HAR has `total_acc` and `body_acc`, the second without gravity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from motionsig.recordings.names.column import Column
from motionsig.recordings.names.units import plain
from motionsig.recordings.names.words import Said


def settle(columns: list[Column], names: Sequence[str], heard: Sequence[Said], stem: str) -> None:
    """Decide in place which columns "acc" and "user" are with gravity, where the table's other names tell."""
    words = [plain(name) for name in names]
    _linear(columns, words)
    total = any(said.words & {"whole", "total"} for said in heard)
    for at, column in enumerate(columns):
        if column.convention == "body":
            columns[at] = replace(column, kind="user" if total else "acc", convention="", sure=total)
    if "secondselapsed" in words:
        _sensor_logger(columns, words, stem)
    _physics_toolbox(columns, names)
    _core_motion(columns, words)
    _turned_round(columns, words)


def _ros(words: Sequence[str]) -> bool:
    """Tell whether the two are called as in sensor_msgs/Imu; phones have "rotation rate" and "gravity" beside."""
    rates = any(rate in word for word in words for rate in ("angularvelocity", "angvel", "velang"))
    return rates and not any("gravity" in word or "rotationrate" in word for word in words)


def _linear(columns: list[Column], words: Sequence[str]) -> None:
    """Leave it to the numbers whether a table's only acceleration is with gravity though it is called linear."""
    kinds = {column.kind for column in columns}
    alone = "gyr" in kinds and not kinds & {"acc", "gravity"}
    for at, column in enumerate(columns):
        if column.convention == "linear":
            convention = "ros" if _ros(words) else "linear"
            columns[at] = replace(column, convention="")
            if alone:
                columns[at] = replace(column, kind="acc", convention=convention, sure=False)


def _sensor_logger(columns: list[Column], words: Sequence[str], stem: str) -> None:
    beside = any(column.kind == "gravity" for column in columns)
    for at, column in enumerate(columns):
        alone = plain(stem) == "accelerometer" and words[at] in ("x", "y", "z")
        if column.kind == "acc" and (
            alone or (beside and words[at] in ("accelerationx", "accelerationy", "accelerationz"))
        ):
            columns[at] = replace(column, kind="user")


def _physics_toolbox(columns: list[Column], names: Sequence[str]) -> None:
    """Its gFx is the accelerometer in g, its wx in rad/s; ax beside them is without gravity."""
    force = [at for at, name in enumerate(names) if plain(name) in ("gfx", "gfy", "gfz")]
    if len(force) == 3:
        for at, column in enumerate(columns):
            if at in force:
                columns[at] = replace(column, unit=column.unit or "g")
            elif column.kind == "gyr" and not column.sure:
                columns[at] = replace(column, unit=column.unit or "rad/s")
            elif column.kind == "acc" and not column.sure:
                columns[at] = replace(column, kind="user")


def _core_motion(columns: list[Column], words: Sequence[str]) -> None:
    """Mark the names of iOS's motion data, in which a device on its back has -1 g along z."""

    def said(word: str) -> bool:
        return any(word in each for each in words)

    sure = said("rotationrate") and (said("useracc") or "secondselapsed" in words)
    sure = sure or said("accelerometeraccelerationx")
    if sure or said("timeintervalsince1970") or (said("useracc") and any(it.kind == "gravity" for it in columns)):
        for at, column in enumerate(columns):
            if column.kind in ("acc", "user", "gravity") and not column.convention:
                columns[at] = replace(column, convention="ios" if sure else "ios?")


def _turned_round(columns: list[Column], words: Sequence[str]) -> None:
    """Mark the tables of programs that write the opposite sign of every chip's, by all the names that they have."""
    lpms = {"sensorid", "framenumber", "eulerx", "quatw", "linaccx"} <= {re.sub("(g|deg)$", "", it) for it in words}
    stray = list(words) == ["timestamp", "ax", "ay", "az", "alphax", "alphay", "alphaz"]
    if lpms or stray:
        for at, column in enumerate(columns):
            if column.kind in ("acc", "user", "gravity"):
                columns[at] = replace(column, convention="lpms" if lpms else "ios")

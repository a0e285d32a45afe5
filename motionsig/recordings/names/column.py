"""What one column of a table holds, as far as names say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["acc", "user", "gravity", "gyr", "mag", "orientation", "time", "label", "stream", "axis", "other"]


@dataclass(frozen=True)
class Column:
    """What one column holds, as far as names say it.

    * `kind`: "acc" (acceleration with gravity, or the name does not say), "user" (without gravity), "gravity", "gyr",
      "mag", "orientation", "time", "label", "stream" (may tell devices, subjects, sessions apart), "axis" (a bare x, y
      or z), "other".
    * `axis`: x, y, z, w or "". `unit`: as `factor` takes it, "counts", or "" where nothing says it.
    * `part`: the words that tell one sensor of several, joined by "_": "left", "imu1", "hand_16"; "" without any.
    * `sure`: a whole word or a unit says the kind, not a letter such as the g of gx.
    * `convention`: "ios" where the name is one of iOS's motion data, "ros" of a ROS message, "earth" for an
      acceleration that is not in the sensor's frame; "" else.
    * `variant`: words that say how it was treated: "raw", "cal".
    * For a time, `clock`: "time", "unix", "datetime", "date", "clock", "elapsed", "secs", "nsecs", "counter", "ticks",
      "step", "week", "tow", or "year" to "second"; `owner`: whose clock: "device", "host" or ""; `zone`: "utc",
      "local" or "".
    """

    kind: Kind
    axis: str = ""
    unit: str = ""
    part: str = ""
    sure: bool = True
    convention: str = ""
    variant: str = ""
    clock: str = ""
    owner: str = ""
    zone: str = ""

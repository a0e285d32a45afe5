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
      or z), "other": another quantity, or, not `sure`, nothing known.
    * `axis`: x, y, z, w or "". `unit`: as `factor` takes it, "counts", or "" where nothing says it.
    * `part`: the words that tell one sensor of several, joined by "_": "left", "imu1", "hand_16"; "" without any.
    * `sure`: a whole word or a unit says the kind, not a letter such as the g of gx.
    * `convention`: "ios" where the names are those of iOS's motion data, "ios?" where an app of iOS wrote the table but
      perhaps of another sensor, "ros" of a ROS message, "linear" where the only acceleration is called so, "earth" for
      an acceleration that is not in the sensor's frame; "" else.
    * `variant`: words that say how it was treated, or the letter that stood for the quantity: "raw", "g".
    * `tells`: what a "stream" tells apart: "device", "subject", "session" (or trial, file), or "sensor": its values may
      name the quantity that the row holds.
    * For a time, `clock`: "time", "unix", "datetime", "date", "clock" (of the day), "elapsed", "secs", "nsecs",
      "counter", "ticks", "step", "week", "tow", or "year" to "second"; `owner`: whose clock: "device", "host" or "";
      `zone`: "utc", "local", "+02:00" or "". Its `part` is the sensor's, or the quantity's whose time it is.
    """

    kind: Kind
    axis: str = ""
    unit: str = ""
    part: str = ""
    sure: bool = True
    convention: str = ""
    variant: str = ""
    tells: str = ""
    clock: str = ""
    owner: str = ""
    zone: str = ""

    @property
    def filtered(self) -> bool:
        """Whether the name says so: what is fast is missing from its numbers."""
        return not FILTERED.isdisjoint(self.variant.split("_"))


OTHER = Column("other")
"""A name that says another quantity than ours."""

UNKNOWN = Column("other", sure=False)
"""A name that says nothing."""

FILTERED = frozenset(
    {"filtered", "filt", "filter", "smooth", "smoothed", "lpf", "lp", "lowpass", "lowpassed", "kalman"}
)

PER_AXIS = frozenset({"acc", "user", "gravity", "gyr", "mag", "orientation", "axis"})

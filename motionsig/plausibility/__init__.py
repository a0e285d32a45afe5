"""Whether numbers can be what a motion sensor reports: gravity is there, the units are right, the sensor is alive.

* `bounds`: one pass over an array: m/s² and rad/s, or not.
* `acceleration`, `rotation`: which unit the numbers of a sensor show, whatever the log says.
* `steps`: the same of an angular rate, by the steps of its numbers alone.
* `pace`: the rate of a log without a clock, from how far gravity turns from row to row.
* `alive`: stretches that no sensor reports: frozen, zero, damaged.
* `judge`: all of it to the end of a log, block by block.
"""

from motionsig.plausibility.acceleration import acc_scales
from motionsig.plausibility.bounds import FACTORS, OPTIONS, Remedies, check_plausible, require_gyroscope
from motionsig.plausibility.evidence import Evidence
from motionsig.plausibility.judge import Judge
from motionsig.plausibility.pace import SeenRate, rate_by_turns
from motionsig.plausibility.rotation import gyr_scales, turning_gain
from motionsig.plausibility.shapes import alternating, is_constant, is_gravity, is_quaternion, tells_apart
from motionsig.plausibility.steps import chip_step

__all__ = [
    "FACTORS",
    "OPTIONS",
    "Evidence",
    "Judge",
    "Remedies",
    "SeenRate",
    "acc_scales",
    "alternating",
    "check_plausible",
    "chip_step",
    "gyr_scales",
    "is_constant",
    "is_gravity",
    "is_quaternion",
    "rate_by_turns",
    "require_gyroscope",
    "tells_apart",
    "turning_gain",
]

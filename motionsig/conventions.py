"""The vocabulary every other file relies on: channels, units, frame, time base.

* A sample is six numbers, in this order: acc_x, acc_y, acc_z, gyr_x, gyr_y, gyr_z.
* Acceleration is the accelerometer's specific force in m/s²: a device lying flat and still reads +9.81 on the axis
  that points up. Angular rate is in rad/s, right-handed about the same axes.
* The frame is the sensor's own. Nothing rotates it on the way to the encoder's front end.
* Time is int64 nanoseconds since the Unix epoch, the instant the sample was taken.
* Axis order of arrays is time first: samples (n, 6), windows (k, length, 6), codes (k, dim).
"""

CHANNELS = ("acc_x", "acc_y", "acc_z", "gyr_x", "gyr_y", "gyr_z")

STANDARD_GRAVITY = 9.80665
"""m/s² in one g (CGPM 1901), and so the factor from g to SI."""

NS_PER_S = 1_000_000_000

RAW_BYTES_PER_SAMPLE = 12
"""Six int16 counts: the least a device would send of a raw sample without compressing it."""

"""Whether numbers can be what a motion sensor reports: gravity is there, the units are right, the sensor is alive.

* `bounds`: one pass over an array: m/s² and rad/s, or not.
* `acceleration`, `rotation`: which unit the numbers of a sensor show, whatever the log says.
* `steps`: the same of an angular rate, by the steps of its numbers alone.
* `pace`: the rate of a log without a clock, from how far gravity turns from row to row.
* `alive`: stretches that no sensor reports: frozen, zero, damaged.
* `judge`: all of it to the end of a log, block by block.
"""

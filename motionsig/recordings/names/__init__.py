"""What the names and units of columns say: quantities, axes, units, clocks, and which columns are one sensor."""

from motionsig.recordings.names.chips import count_units, find_chips, likely_chips
from motionsig.recordings.names.column import Column
from motionsig.recordings.names.parts import Part, Triad, sensors_in, told_part
from motionsig.recordings.names.reading import names_axes, read_names, sensor_of
from motionsig.recordings.names.units import COUNTS, factor, is_unit, plain, unit_of

__all__ = [
    "COUNTS",
    "Column",
    "Part",
    "Triad",
    "count_units",
    "factor",
    "find_chips",
    "is_unit",
    "likely_chips",
    "names_axes",
    "plain",
    "read_names",
    "sensor_of",
    "sensors_in",
    "told_part",
    "unit_of",
]

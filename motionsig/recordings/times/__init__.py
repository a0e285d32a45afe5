"""When each row of a table was taken: which columns say it, in which unit, from which start."""

from __future__ import annotations

from motionsig.recordings.times.choosing import UNKNOWN_RATE, Found, find_clock
from motionsig.recordings.times.clock import Clock
from motionsig.recordings.times.onto import onto
from motionsig.recordings.times.paces import Pace, pace, rate_of
from motionsig.recordings.times.plain import LARGEST_NS, check_rate, numbered
from motionsig.recordings.times.readings import Candidate
from motionsig.recordings.times.units import unit_ns

__all__ = [
    "LARGEST_NS",
    "UNKNOWN_RATE",
    "Candidate",
    "Clock",
    "Found",
    "Pace",
    "check_rate",
    "find_clock",
    "numbered",
    "onto",
    "pace",
    "rate_of",
    "unit_ns",
]

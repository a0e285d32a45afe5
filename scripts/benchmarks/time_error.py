"""How far sample times are from the truth, by how they are made, over one made-up chip and reader for all.

The chip's clock is off and drifts (500 ppm over ten minutes, 500 ppm while warming up); one sleep and one reading in a
hundred stall for 200 ms. On arrival: the end of the drain. Nominal: back-dated from there at the nominal rate. Least
squares: a line through (newest sample, end of reading) of the last 30 s, fitted at every drain.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from drifting_chip import Chip, Reader

from motionsig.timebase import TimeBase

RATES = (50, 100, 1000)
SKEWS = (-0.05, -0.02, 0.0, 0.02, 0.05)
SECONDS = 120


def least_squares(reader: Reader, drain_ns: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the time of each drained sample and the rate at each drain, by an ordinary line over 30 s."""
    readings = np.array([(count, after_ns) for count, _, after_ns in reader.readings if count])
    stamps, rates, first = [], [], 0
    for now_ns, count in zip(drain_ns, counts, strict=True):
        recent = readings[(readings[:, 1] <= now_ns) & (readings[:, 1] > now_ns - 30 * 10**9)]
        index, when = recent[:, 0] - 1 - count, (recent[:, 1] - now_ns).astype(float)
        one = len(np.unique(index)) < 2
        slope, offset = (1e9 / reader.chip.rate_hz, when[-1]) if one else np.polyfit(index, when, 1)
        stamps.append(now_ns + offset + slope * (np.arange(first, count) - count))
        rates.append(1e9 / slope)
        first = count
    return np.concatenate(stamps), np.array(rates)


def main() -> None:
    """Print root mean square and greatest error in ms, and the rate's error from 20 s on in ppm."""
    ways = ("time base", "on arrival", "nominal", "least squares")
    print(
        f"  {'Hz':>5s} {'skew':>6s}" + "".join(f"{way + ' rms, max':>26s}" for way in ways) + "   rate off: base  line"
    )
    for rate_hz in RATES:
        for number, skew in enumerate(SKEWS):
            chip = Chip(rate_hz, skew, swing=0.0005, warm=0.0005, begin_ns=10**15)
            reader = Reader(chip, TimeBase(rate_hz), seed=number).run(SECONDS)
            drain_ns = np.array([int(now_ns) for now_ns, _ in reader.rates])
            sizes = np.array([len(stamps) for stamps in reader.stamps])
            counts = np.cumsum(sizes)
            truth = chip.times_ns(counts[-1])
            arrival = np.repeat(drain_ns, sizes)
            age = np.repeat(counts, sizes) - 1 - np.arange(counts[-1])
            line, line_hz = least_squares(reader, drain_ns, counts)
            late = drain_ns >= chip.begin_ns + 20 * 10**9
            line_off = abs(line_hz / chip.rate_at(drain_ns) - 1)[late].max()
            row = f"  {rate_hz:5d} {100 * skew:+5.0f}%"
            for stamps in (np.concatenate(reader.stamps), arrival, arrival - age * 1e9 / rate_hz, line):
                off_ms = (stamps - truth) / 1e6
                row += f"{np.sqrt(np.mean(off_ms**2)):17.3f},{abs(off_ms).max():8.2f}"
            print(f"{row}{1e6 * abs(reader.rate_errors(20)).max():18.0f}{1e6 * line_off:6.0f}")


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    began = time.perf_counter()
    main()
    print(f"  took {time.perf_counter() - began:.1f} s")

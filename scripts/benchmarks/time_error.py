"""How far sample times are from the truth, by how they are made, over one made-up chip and reader for all.

The chip's clock is off and drifts (500 ppm over ten minutes, 500 ppm while warming up); one sleep and one reading in a
hundred stall for 200 ms. On arrival: the end of the drain. Nominal: back-dated from there at the nominal rate. Least
squares: a line through (newest sample, end of reading) of the last 30 s, fitted at every drain.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from drifting_chip import Chip, Reader  # noqa: E402

from motionsig.timebase import TimeBase  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

RATES = (50, 100, 1000)
SKEWS = (-0.05, -0.02, 0.0, 0.02, 0.05)
SECONDS = 120
WAYS = ("time base", "on arrival", "nominal", "least squares")
MODEL = "a model of a chip and its reader"


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
    began_s = figures.begin("time_error")
    rms, most = dict.fromkeys(WAYS, 0.0), dict.fromkeys(WAYS, 0.0)
    base_ppm = line_ppm = 0.0
    print(
        f"  {'Hz':>5s} {'skew':>6s}" + "".join(f"{way + ' rms, max':>26s}" for way in WAYS) + "   rate off: base  line"
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
            base_off = 1e6 * float(abs(reader.rate_errors(20)).max())
            line_off = 1e6 * float(abs(line_hz / chip.rate_at(drain_ns) - 1)[late].max())
            base_ppm, line_ppm = max(base_ppm, base_off), max(line_ppm, line_off)
            row = f"  {rate_hz:5d} {100 * skew:+5.0f}%"
            made = (np.concatenate(reader.stamps), arrival, arrival - age * 1e9 / rate_hz, line)
            for way, stamps in zip(WAYS, made, strict=True):
                off_ms = (stamps - truth) / 1e6
                rms_ms, most_ms = float(np.sqrt(np.mean(off_ms**2))), float(abs(off_ms).max())
                rms[way], most[way] = max(rms[way], rms_ms), max(most[way], most_ms)
                row += f"{rms_ms:17.3f},{most_ms:8.2f}"
            print(f"{row}{base_off:18.0f}{line_off:6.0f}")
    stamps_table = figures.Table(
        what="the error of a sample's time, root mean square and greatest, the worst of clocks from 5 % slow to 5 % "
        f"fast at {', '.join(map(str, RATES))} Hz, {SECONDS} s each",
        against="the time at which the model of a chip took the sample",
        units={"rms": "ms", "most": "ms"},
        rows={way: {"rms": rms[way], "most": most[way], "on": MODEL} for way in WAYS},
    )
    rate_table = figures.Table(
        what="the greatest error of the rate, from 20 s after the start on",
        against="the rate of the model's clock at that time",
        units={"off": "ppm"},
        rows={"time base": {"off": base_ppm, "on": MODEL}, WAYS[3]: {"off": line_ppm, "on": MODEL}},
    )
    figures.write("time_error", {"stamps": stamps_table, "rate": rate_table}, began_s=began_s)


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()

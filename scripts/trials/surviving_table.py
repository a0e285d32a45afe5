"""Run trials, three at a time in processes of their own, and print a table of what each cost.

A quarter of an hour for all.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The sites and faults that the tests share.
sys.path[:0] = [str(ROOT / "tests" / part) for part in ("daemon", "publishers", "encoders", "sensors")]

from trials import TRIALS  # noqa: E402

HEADER = (
    "| fault | signatures taken | windows lost | signatures lost | stored twice | well again after, s: median (worst) "
    "| also |\n| --- | --- | --- | --- | --- | --- | --- |"
)


FOOTER = """
A signature each 0.16 s, and each 1.28 s of the sensor's time where that is in a hurry. The daemon tries again within a
second, and in the rows on the network gives a silent connection up after one, unless the row says default. The wall
clock is set for the daemon alone, by what it reads (LD_PRELOAD): no wait of its is on that clock, as strace shows."""


def row(name: str) -> str:
    """Run a trial and return its row."""
    trial = TRIALS[name]
    with tempfile.TemporaryDirectory(prefix="motionsig-trial-") as folder, trial.where(Path(folder) / name) as site:
        well_s = trial.fault(site)
        result = site.end(120)
    lost = f"{result.lost:,}" + (f" ({result.dropped:,} dropped and counted)" if result.dropped else "")
    return (
        f"| {trial.words} | {result.taken:,} | {result.windows_lost:,} | {lost} | {result.twice:,} "
        f"| {statistics.median(well_s):.1f} ({max(well_s):.1f}) | {'; '.join(site.notes)} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="by default all")
    parser.add_argument("--list", action="store_true", help="the names there are")
    parser.add_argument("--jobs", type=int, default=3, help="trials at a time")
    options = parser.parse_args()
    if options.list:
        print("\n".join(f"{name:24}{trial.words}" for name, trial in TRIALS.items()))
        return 0
    if unknown := set(options.faults) - TRIALS.keys():
        parser.error(f"expected some of {', '.join(TRIALS)}, got {', '.join(sorted(unknown))}")
    names = options.faults or list(TRIALS)
    rows, failed = {}, 0
    began_s = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool:
        running = {pool.submit(row, name): name for name in names}
        for done in as_completed(running):
            name = running[done]
            if error := done.exception():
                failed += 1
                rows[name] = f"| {TRIALS[name].words} | FAILED: {' '.join(str(error).split())[:2000]} |"
            else:
                rows[name] = done.result()
            print(f"{time.monotonic() - began_s:5.0f} s  {rows[name]}", file=sys.stderr)
    print(HEADER, *(rows[name] for name in names), FOOTER, sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

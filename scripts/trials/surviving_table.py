"""Run trials, three at a time in processes of their own, and print and note what each cost.

A quarter of an hour for all. The figures go to scripts/benchmarks/figures/trials.json, and from there into
scripts/benchmarks/README.md; of a run in part, only the rows of its faults are replaced there.
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
sys.path[:0] = [
    str(ROOT),
    *(str(ROOT / "tests" / part) for part in ("", "daemon", "publishers", "encoders", "sensors")),
]

from trials import TRIALS  # noqa: E402

from scripts.benchmarks import figures, write_readme  # noqa: E402

SIMULATED = "a simulated sensor"
CHIP = "a chip's model, real smbus2 on umockdev's bus"
DOUBLE = "a simulated sensor, a double of the Edge TPU's library"
CLOCK = "a simulated sensor, a preloaded library that shifts the wall clock"
ON = {
    "sensor": CHIP,
    "sensor-long": CHIP,
    "edgetpu": DOUBLE,
    "edgetpu-more": DOUBLE,
    "clock": CLOCK,
    "clock-tls": CLOCK,
}
"""By fault, what is not the real thing in its trial; otherwise it is the sensor alone."""

UNITS = dict.fromkeys(("taken", "windows_lost", "lost", "dropped", "twice"), "") | {"median": "s", "worst": "s"}
TEXTS = dict.fromkeys(("fault", "also", "failed"), "")


def measure(name: str) -> figures.Row:
    """Run a trial and return its row."""
    trial = TRIALS[name]
    with tempfile.TemporaryDirectory(prefix="motionsig-trial-") as folder, trial.where(Path(folder) / name) as site:
        well_s = trial.fault(site)
        result = site.end(120)
    return {
        "taken": result.taken,
        "windows_lost": result.windows_lost,
        "lost": result.lost,
        "dropped": result.dropped,
        "twice": result.twice,
        "median": statistics.median(well_s),
        "worst": max(well_s),
        "also": "; ".join(site.notes),
    }


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
    rows = dict[str, figures.Row]()
    began_s = figures.begin("trials")
    with ProcessPoolExecutor(options.jobs) as pool:
        running = {pool.submit(measure, name): name for name in names}
        for done in as_completed(running):
            name = running[done]
            error = done.exception()
            row: figures.Row = {"failed": " ".join(str(error).split())[:2000]} if error else done.result()
            rows[name] = {"fault": TRIALS[name].words, **row, "on": f"the real service, {ON.get(name, SIMULATED)}"}
            print(f"{time.monotonic() - began_s:5.0f} s  {name:24s}{_said(row)}", flush=True)
    table = figures.Table(
        what="the real service, a real Mosquitto and a real collector through a fault: what was lost or stored twice, "
        "and the time from the end of the fault until all that was taken is stored and the next signature, too",
        against="what the service's encoder made and its sink took",
        units=UNITS | TEXTS,
        rows={name: rows[name] for name in names},
    )
    by = " ".join(["scripts/trial", *options.faults])
    figures.write("trials", {"trials": table}, began_s=began_s, by=by, keep_rows=bool(options.faults))
    write_readme.main()
    return 1 if any("failed" in row for row in rows.values()) else 0


def _said(row: figures.Row) -> str:
    if "failed" in row:
        return f"FAILED: {row['failed']}"
    return (
        f"{row['taken']:,} taken, {row['windows_lost']:,} windows lost, {row['lost']:,} signatures lost, "
        f"{row['dropped']:,} dropped and counted, {row['twice']:,} stored twice, well after {row['median']:.1f} s "
        f"({row['worst']:.1f}) {row['also']}"
    )


if __name__ == "__main__":
    sys.exit(main())

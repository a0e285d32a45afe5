"""Each chip family's reader against its model: 3.6 million samples with faults, and how soon each fault is over.

One transaction in twenty is not acknowledged, one in a thousand stalls for 200 ms, and about every ten seconds the
power is cut, the chip resets itself, a register loses a bit, a byte or word is lost within a reading, transactions take
up to 8 or 15 ms for a while, or what it measures is dead for up to 8 s: frozen, all zeros or ones, one sensor or axis.
Samples that are not what the chip felt are wrong; dead ones only if they are delivered without a doubt although they
come more than two seconds after the death. What was delivered and what was reported lost is compared with what the
model knows.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from multiprocessing import Pool
from pathlib import Path

# The chips' models, which the tests use.
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from chips.trial import FAULTS, bench, mishaps, recovery_s, trial  # noqa: E402

from motionsig.sensors.simulated import Oscillator  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

FAMILIES = {
    "mpu6050": 1000,
    "mpu6500": 1000,
    "icm20602": 1000,
    "icm20948": 1000,
    "icm42688p": 1000,
    "lsm6ds3": 833,
    "lsm6dso": 833,
    "lsm9ds1": 952,
    "bmi160": 800,
    "adxl345": 800,
    "lis3dh": 400,
}
"""A chip of each, and its rate next to 1 kHz."""

MODEL = "the chip's model"
OSCILLATOR = Oscillator(skew=0.03, drift=300e-6)


def endure(name: str, rate_hz: float, samples: int) -> figures.Row:
    """Print and return what became of so many samples."""
    began = time.process_time()
    it = bench(name, rate_hz=rate_hz, oscillator=OSCILLATOR)
    seconds = samples / it.setting.rate_hz
    it.bus.inject(mishaps(it, seconds=seconds, every_s=10))
    account = trial(it, seconds)
    counts = it.reader.counts
    print(
        f"  {name:10s}{it.setting.rate_hz:6.0f} Hz{account.delivered:11,d}{account.wrong:7d}{account.dead:8d}"
        f"{account.lost:11,d}{counts.lost:11,d}{account.unreported:12d}{account.gaps:7d}{account.most_off:6d}"
        f"{1e3 * account.rms_error_s:9.3f}{1e3 * account.max_error_s:7.2f} ms{counts.doubtful:10,d}"
        f"{account.unstated_s:9.2f} s{time.process_time() - began:7.0f} s",
        flush=True,
    )
    return {
        "rate": it.setting.rate_hz,
        "delivered": account.delivered,
        "wrong": account.wrong,
        "dead": account.dead,
        "lost": account.lost,
        "reported": counts.lost,
        "unreported": account.unreported,
        "gaps": account.gaps,
        "off": account.most_off,
        "rms": 1e3 * account.rms_error_s,
        "most": 1e3 * account.max_error_s,
        "doubtful": counts.doubtful,
        "unstated": account.unstated_s,
        "on": MODEL,
    }


def recover(name: str) -> figures.Row:
    """Print and return milliseconds from the end of each fault to the first good sample delivered, at 100 Hz."""
    row: figures.Row = {}
    for fault in FAULTS:
        after_s, account = recovery_s(bench(name), fault)
        row[fault] = 1e3 * after_s if account.gaps else "no loss"
    cells = (value if isinstance(value, str) else f"{value:.0f}" for value in row.values())
    print(f"  {name:10s}{''.join(f'{cell:>11s}' for cell in cells)}", flush=True)
    return row | {"on": MODEL}


def main(samples: int) -> None:
    """Print both tables."""
    began_s = figures.begin("sensors")
    logging.disable()
    print(
        "  chip          rate  delivered  wrong    dead       lost   reported  unreported   gaps   off"
        " time rms     max  doubtful  unstated      took"
    )
    with Pool() as pool:
        endured = dict(
            zip(FAMILIES, pool.starmap(endure, [(*each, samples) for each in FAMILIES.items()], 1), strict=True)
        )
    print("  back again after the end of a fault, ms at 100 Hz, the chip's own start-up included")
    print(f"  {'chip':10s}{''.join(f'{fault:>11s}' for fault in FAULTS)}")
    recovered = {name: recover(name) for name in FAMILIES}
    counts = dict.fromkeys(("delivered", "wrong", "dead", "lost", "reported", "unreported", "gaps", "off"), "")
    endurance = figures.Table(
        what=f"{samples:,} samples of each chip family with faults: what was delivered and what was reported lost",
        against="what the chip's model took, sample by sample, and when",
        units=counts | {"doubtful": "", "rate": "Hz", "rms": "ms", "most": "ms", "unstated": "s"},
        rows=endured,
    )
    recovery = figures.Table(
        what="the time from the end of a fault to the first good sample delivered, at 100 Hz",
        against="the end of the fault, as the chip's model knows it; the chip's own start-up is in it",
        units=dict.fromkeys(FAULTS, "ms"),
        rows=recovered,
    )
    figures.write("sensors", {"endurance": endurance, "recovery": recovery}, began_s=began_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("samples", type=int, nargs="?", default=3_600_000, help="of each family (%(default)s)")
    main(parser.parse_args().samples)

"""Each chip family's reader against its model: 3.6 million samples with faults, and how soon each fault is over.

One transaction in twenty is not acknowledged, one in a thousand stalls for 200 ms, and about every ten seconds the
power is cut, the chip resets itself or a register loses a bit. What was delivered and what was reported lost is
compared with what the model knows.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

# The chips' models, which the tests use.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from chips.trial import FAULTS, bench, mishaps, recovery_s, trial

from motionsig.sensors.simulated import Oscillator

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

OSCILLATOR = Oscillator(skew=0.03, drift=300e-6)


def endure(name: str, rate_hz: float, samples: int) -> None:
    """Print what became of so many samples."""
    began = time.process_time()
    it = bench(name, rate_hz=rate_hz, oscillator=OSCILLATOR)
    seconds = samples / it.setting.rate_hz
    it.bus.inject(mishaps(it, seconds=seconds, every_s=10))
    account = trial(it, seconds)
    counts = it.reader.counts
    print(
        f"  {name:10s}{it.setting.rate_hz:6.0f} Hz{account.delivered:11,d}{account.wrong:7d}"
        f"{account.lost:11,d}{counts.lost:11,d}{account.unreported:12d}{account.gaps:7d}{account.most_off:6d}"
        f"{1e3 * account.rms_error_s:9.3f}{1e3 * account.max_error_s:7.2f} ms{time.process_time() - began:7.0f} s",
        flush=True,
    )


def recover(name: str) -> None:
    """Print milliseconds from the end of each fault to the first good sample delivered, at 100 Hz."""
    cells = []
    for fault in FAULTS:
        after_s, account = recovery_s(bench(name), fault)
        cells.append(f"{1e3 * after_s:11.0f}" if account.gaps else f"{'no loss':>11s}")
    print(f"  {name:10s}{''.join(cells)}", flush=True)


def main(samples: int) -> None:
    """Print both tables."""
    logging.disable()
    print(
        "  chip          rate  delivered  wrong       lost   reported  unreported   gaps   off"
        " time rms     max      took"
    )
    for name, rate_hz in FAMILIES.items():
        endure(name, rate_hz, samples)
    print("  back again after the end of a fault, ms at 100 Hz, the chip's own start-up included")
    print(f"  {'chip':10s}{''.join(f'{fault:>11s}' for fault in FAULTS)}")
    for name in FAMILIES:
        recover(name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("samples", type=int, nargs="?", default=3_600_000, help="of each family (%(default)s)")
    main(parser.parse_args().samples)

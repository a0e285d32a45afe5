"""Read damaged logs of every format, and print what came of them; about an hour on two cores for 100,000.

Each is read, or refused with an error of motionsig's own. Anything else that is raised (warnings, too), samples that no
sensor reports, and what takes longer than .3 s and .1 s per MB is printed, and the exit code is then 1. Logs given on
the command line are damaged in place of those that the tests make. The test suite reads the first few hundred.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The logs that the tests share.
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "recordings")]

import made_logs  # noqa: E402
from damaged_logs import damaged_copy, outcome  # noqa: E402

_MOST_MIB = 3072
_HANGS_S = 20


def _kind(log: Path) -> str:
    return "".join(log.suffixes[-1:]) or "folder"


def _read(job: tuple[int, list[Path]]) -> tuple[int, str, str, float, int]:
    seed, logs = job
    with tempfile.TemporaryDirectory() as folder:
        path = damaged_copy(seed, logs, Path(folder))
        size = sum(it.stat().st_size for it in (path.rglob("*") if path.is_dir() else (path,)) if it.is_file())
        before = time.process_time()
        signal.alarm(_HANGS_S)
        try:
            what = outcome(path)
        except Exception as error:  # whatever it is, it is the finding
            last = traceback.extract_tb(error.__traceback__)[-1]
            at = next(
                (it for it in reversed(traceback.extract_tb(error.__traceback__)) if "motionsig" in it.filename), last
            )
            what = f"FAILED {type(error).__name__} at {Path(at.filename).name}:{at.lineno}: {error!s:.160}"
        finally:
            signal.alarm(0)
        took = time.process_time() - before
        if took > 0.3 + 0.1e-6 * size and not what.startswith("FAILED"):
            what = f"SLOW {took:.2f} s for {size:,} bytes ({what})"
    return seed, _kind(path), what, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _hung(*_: object) -> None:
    raise TimeoutError(f"still reading after {_HANGS_S} s")


def _begin() -> None:
    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MIB << 20,) * 2)
    signal.signal(signal.SIGALRM, _hung)


def main() -> int:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("logs", nargs="*", type=Path, help="logs to damage (those that the tests make)")
    parser.add_argument("--count", type=int, default=100_000, help="how many (100,000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    options = parser.parse_args()
    outcomes, shown = Counter[tuple[str, str]](), Counter[str]()
    failed, longest, peak_mib = 0, 0.0, 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        logs = options.logs
        if not logs:
            for number, make in enumerate(made_logs.FORMATS.values()):
                (folder := Path(made) / str(number)).mkdir()
                logs.append(make(folder))
        work = ((seed, logs) for seed in range(options.first, options.first + options.count))
        with multiprocessing.get_context("forkserver").Pool(options.jobs, _begin, maxtasksperchild=5000) as pool:
            for seed, kind, what, took, mib in pool.imap_unordered(_read, work, chunksize=8):
                longest, peak_mib = max(longest, took), max(peak_mib, mib)
                if what.startswith(("FAILED", "SLOW")):
                    failed += 1
                    like = what.split(":")[0] + what.partition(":")[2][:9]
                    shown[like] += 1
                    if shown[like] <= 5:
                        print(f"{seed} ({logs[seed % len(logs)]}): {what}", flush=True)
                    what = what.split()[0].lower()
                outcomes[kind, what] += 1
    for (kind, what), count in sorted(outcomes.items()):
        print(f"{kind:12}{what:18}{count:9,d}")
    print(
        f"{options.count:,} logs in {time.monotonic() - began:.0f} s: {failed} failed; longest {longest:.3f} s of CPU"
    )
    print(f"most memory of a process: {peak_mib} MiB")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

"""Have everything read thousands of damaged and hostile model folders, and print what came of them.

Each is refused in one line, or gives the signatures of the model that it was made from, or says that it was changed. A
network whose card states it rightly is run by LiteRT in a child without rights, where it may do what it likes. What
else happens is printed, and the exit code is then 1. The test suite reads the first few hundred
(tests/encoders/test_damaged_models.py).
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The models that the tests share.
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "encoders")]

from read_models import outcome  # noqa: E402
from whole_model import write_log  # noqa: E402

_MOST_MIB = 1024


def main() -> int:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="how many folders (20,000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so many")
    options = parser.parse_args()
    outcomes, longest_s, failed, read = Counter[tuple[str, str]](), 0.0, 0, 0
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="motionsig-damaged-") as folder:
        Path(folder).chmod(0o755)
        log = write_log(Path(folder) / "log.csv")
        for number in range(options.first, options.first + options.count):
            if time.monotonic() - began_s > options.seconds:
                break
            before_s = time.process_time()
            try:
                outcomes[outcome(number, Path(folder) / "model", log)] += 1
            # Whatever a reader raises is what this is looking for.
            except Exception as error:
                failed += 1
                print(f"{number}: {type(error).__name__}: {error!s:.600}", flush=True)
            read += 1
            longest_s = max(longest_s, time.process_time() - before_s)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    for (kind, what), count in sorted(outcomes.items()):
        print(f"{kind:18}{what:60}{count:8,d}")
    print(f"{read:,} folders in {time.monotonic() - began_s:.0f} s: {failed} failed; longest {longest_s:.2f} s")
    print(f"most memory of this process: {peak_mib} MiB")
    return int(failed > 0 or peak_mib > _MOST_MIB)


if __name__ == "__main__":
    sys.exit(main())

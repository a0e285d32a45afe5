"""Read thousands of damaged and hostile heads, and print what came of them; about three minutes for 20,000.

Each is refused in one line, or is the very head that it was made from, or the one that its card rightly states. What
else happens, what takes long and what takes memory is printed, and the exit code is then 1. The test suite reads the
first few hundred (tests/heads/test_card.py).
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The heads that the tests share.
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "heads")]

from damaged_heads import damaged, outcome  # noqa: E402

_LONG_S, _MOST_MIB = 2.0, 256


def main() -> int:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="how many heads (20,000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    options = parser.parse_args()
    outcomes, longest_s, failed = Counter[tuple[str, str]](), 0.0, 0
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        for number in range(options.first, options.first + options.count):
            kind, *_ = damaged(number)
            before = time.process_time()
            read = pool.submit(outcome, number)
            if error := read.exception():
                failed += 1
                print(f"{number} ({kind}): {type(error).__name__}: {error!s:.300}")
            else:
                outcomes[kind, read.result()] += 1
            longest_s = max(longest_s, time.process_time() - before)
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    for (kind, what), count in sorted(outcomes.items()):
        print(f"{kind:16}{what:10}{count:8,d}")
    print(f"{options.count:,} heads in {time.monotonic() - began:.0f} s: {failed} failed; longest {longest_s:.3f} s")
    print(f"most memory of this process, the making of the heads included: {peak_mib} MiB")
    return int(failed > 0 or longest_s > _LONG_S or peak_mib > _MOST_MIB)


if __name__ == "__main__":
    sys.exit(main())

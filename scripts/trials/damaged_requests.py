"""Send thousands of damaged and hostile requests to the page, and print what came of them; some minutes for 20,000.

The page is a process of its own, and behind it is the real service on a simulated sensor. Meanwhile a browser watches,
and must get each row once. An answer may take 0.1 s, as the browser's side sees it, and one for which the service looks
into its store 1.5 s; a request that took longer is sent again, as this machine may have been busy, and is slow if it is
slow four times. What took longer at first is printed with the time that the threads of each process waited meanwhile
for a processor: so a busy machine can be told from a page that waits. What changes the heads also waits for the
service's loop, which is between two blocks of samples ten times a second. Whatever else happens than a refusal or an
answer is printed, and the exit code is then 1. The test suite sends the first few hundred
(tests/page/test_damaged_requests.py).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# The page and the service that the tests share.
sys.path[:0] = [str(ROOT), *(str(ROOT / "tests" / room) for room in ("page", "daemon", "publishers"))]

from daemons import Daemon  # noqa: E402
from damaged_requests import outcome  # noqa: E402
from served_page import Browser, ServedPage, until  # noqa: E402

_FREE = {"pairing_each": [1e6, 1000], "pairing": [1e6, 1000], "requests": [1e6, 1000]}
_MOST_GROWN_MIB = 8.0


def main() -> int:
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="how many requests (20,000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        daemon = Daemon(folder / "service", f"store:{folder}/mine.db")
        try:
            daemon.start().until_told("READY")
            with ServedPage(folder, limits=_FREE, control=folder / "service" / "run" / "control.sock") as page:
                failed = _send(page, daemon, range(options.first, options.first + options.count))
            if "Traceback" in daemon.log:
                failed.append(f"the service's log: {daemon.log[-3000:]}")
        finally:
            daemon.stop()
            daemon.close()
    for line in failed[:50]:
        print(line)
    return int(bool(failed))


def _send(page: ServedPage, daemon: Daemon, numbers: range) -> list[str]:
    """Send all of them, print what came of it, and return what failed."""
    browser, watching = page.browser(), _Watching(page.browser())
    processes = {"page": page.process.pid, "service": daemon.process.pid}
    waiting = {**processes, "this script": os.getpid()}
    outcomes, slowest, failed, late = Counter[tuple[str, int]](), [0.0], [], list[tuple[float, str]]()
    began, warm_mib = time.monotonic(), dict[str, float]()
    for number in numbers:
        if number - numbers.start == len(numbers) // 4:
            warm_mib = {name: _resident_mib(pid) for name, pid in processes.items()}
        waited_s = {name: _waited_s(pid) for name, pid in waiting.items()}
        try:
            got = outcome(number, browser)
        except (AssertionError, OSError) as error:
            failed.append(f"{number}: {error!r:.300}")
            continue
        outcomes[got.kind, got.status] += 1
        slowest.append(got.seconds)
        if got.late_s:
            meanwhile = ", ".join(f"{name} {_waited_s(pid) - waited_s[name]:.3f} s" for name, pid in waiting.items())
            late.append((got.late_s, f"{number} ({got.kind}, {got.status}): {meanwhile}"))
        if got.is_slow:
            failed.append(f"{number} ({got.kind}, {got.status}): {got.seconds:.3f} s")
    for (kind, status), count in sorted(outcomes.items()):
        print(f"{kind:12}{status or 'none':>6}{count:8,d}")
    slowest.sort()
    print(
        f"{len(numbers):,} requests in {time.monotonic() - began:.0f} s: {len(failed)} failed; answers after "
        f"{1000 * slowest[len(slowest) // 2]:.1f} ms (median), "
        f"{1000 * slowest[len(slowest) * 99 // 100]:.1f} ms (99 %), {1000 * slowest[-1]:.1f} ms (longest)"
    )
    print(f"{len(late)} were slow at first; so long was waited for a processor meanwhile:")
    for seconds, line in sorted(late, reverse=True)[:20]:
        print(f"    {seconds:.3f} s: {line}")
    print(f"the machine's load: {', '.join(f'{load:.1f}' for load in os.getloadavg())}")
    for name, pid in processes.items():
        now_mib = _resident_mib(pid)
        print(f"{name}: {now_mib:.1f} MiB, {now_mib - warm_mib[name]:+.1f} MiB since a quarter was sent")
        if now_mib - warm_mib[name] > _MOST_GROWN_MIB:
            failed.append(f"{name}: grew by more than {_MOST_GROWN_MIB:g} MiB")
    if browser.get("/api/session")[0] != 200 or browser.ask("status")["ok"] is None:
        failed.append("afterwards: expected a session and a status")
    return failed + watching.end()


class _Watching:
    """A browser that watches in a thread of its own."""

    def __init__(self, browser: Browser) -> None:
        self._browser, self._places, self._failed = browser, list[str](), list[str]()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        with self._browser.watch() as events:
            while not self._ending.is_set():
                name, place, value = until(events, "signatures", "gap", "service")
                if name == "signatures":
                    stream, last = (place or "").split(":")
                    self._places += [f"{stream}:{seq}" for seq in range(value["seq"], int(last) + 1)]
                elif name == "gap" or not value["up"]:
                    self._failed.append(f"the watching browser was told {name} {value}")

    def end(self) -> list[str]:
        """Return what it missed, got twice or got from two streams."""
        self._ending.set()
        self._thread.join(20)
        streams = {place.partition(":")[0] for place in self._places}
        numbers = [int(place.partition(":")[2]) for place in self._places]
        print(f"a browser that watched got {len(numbers):,} rows")
        if len(streams) != 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            self._failed.append(f"the watching browser got rows of {len(streams)} streams, or not each row once")
        return self._failed


def _waited_s(pid: int) -> float:
    """Return how long the threads of a process have waited for a processor, all together."""
    waited_ns = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that has just ended
            waited_ns += int(path.read_text().split()[1])
    return waited_ns / 1e9


def _resident_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())

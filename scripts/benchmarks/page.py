"""The page in a browser: a motion on the screen, a head that is taught, a week's look back, what it takes; minutes.

The real service on a simulated sensor that a scripted hand moves, the real page on a loopback port, Debian's Chromium.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "page" / "browser")]

from house import House, until  # noqa: E402
from latency import seconds_to_screen, watch  # noqa: E402
from visits import Visits, go  # noqa: E402
from watched import LAPTOP, PHONE, Browser, launched  # noqa: E402
from week import fill_week  # noqa: E402

from scripts.benchmarks import figures  # noqa: E402

MOTIONS, LESSONS, LOOKS = 40, 3, 7
VIEWERS = 5
SHARE_S = 20.0
REST_S = 1.3
"""Between two performances; the lesson wants a second."""

ON = "the real service and page, Chromium, a simulated sensor"
_TICKS = os.sysconf("SC_CLK_TCK")


def processor_s(process_id: int) -> float:
    """Return the seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(process_id: int) -> tuple[float, float]:
    """Return a process's resident memory, and its share of it (what others map, too, is divided), in MB."""
    lines = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    held = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in lines if line.endswith("kB")}
    return held["Rss"] * 1.024, held["Pss"] * 1.024


def on_screen(visits: Visits) -> figures.Table:
    """Print and return how long after its begin a motion is on the screen."""
    rows = dict[str, figures.Row]()
    for name, size in (("375 px", PHONE), ("1280 px", LAPTOP)):
        tab = visits.page(size=size)
        visits.house.hand.rest(3.2)
        watch(tab)
        took = [seconds_to_screen(tab, visits.house.hand) for _ in range(MOTIONS // 2)]
        p50, p95 = (float(np.percentile(took, share)) for share in (50, 95))
        print(f"    {name}: p50 {p50:.3f} s, p95 {p95:.3f} s, the slowest {max(took):.3f} s, of {len(took)}")
        rows[name] = {"motions": len(took), "p50": p50, "p95": p95, "slowest": max(took), "on": ON}
        tab.context.close()
    return figures.Table(
        what="the time from the begin of a motion, after a rest, until the ribbon has a column of another colour; "
        "looked at in each frame that Chromium draws",
        against="the clock of the machine, which hand, service and browser share",
        units={"motions": "", "p50": "s", "p95": "s", "slowest": "s"},
        rows=rows,
    )


def taught(visits: Visits) -> figures.Table:
    """Print and return how long it takes to teach, beside the performing."""
    house, waits, after = visits.house, list[float](), list[float]()
    tab = visits.page("teach", size=PHONE)
    for number in range(LESSONS):
        go(tab, "teach")
        name = f"turn{number}"
        if tab.locator(".outcome").is_visible():
            tab.locator(".outcome .button.primary").click()
        tab.locator("#teach-name").fill(name)
        began_s = time.monotonic()
        tab.keyboard.press("Enter")
        tab.locator(".course[data-state=perform]").wait_for()
        rested_s = time.monotonic() - began_s
        motions = [house.hand.perform(after_s=REST_S) for _ in range(3)]
        ended_s = motions[-1].begin_s + motions[-1].seconds
        tab.locator(".course[data-state=enough]").wait_for()
        tab.locator(".course .button.primary").click()
        tab.locator(".outcome h3", has_text=f"{name} is live").wait_for()
        waits.append(rested_s)
        after.append(time.monotonic() - ended_s)
    total = [before + behind for before, behind in zip(waits, after, strict=True)]
    print(f"    {np.median(total):.2f} s beside the performing ({np.median(waits):.2f} s of rest before, "
          f"{np.median(after):.2f} s after the last), the slowest {max(total):.2f} s")  # fmt: skip
    row: figures.Row = {
        "lessons": LESSONS,
        "before": float(np.median(waits)),
        "after": float(np.median(after)),
        "total": float(np.median(total)),
        "slowest": max(total),
        "on": ON,
    }
    return figures.Table(
        what="the time to teach three performances, from the name that was typed until the head is live, beside the "
        "performing: until the lesson has seen the rest, and from the end of the last performance on; medians",
        against="the clock of the machine",
        units={"lessons": "", "before": "s", "after": "s", "total": "s", "slowest": "s"},
        rows={"three performances": row},
    )


def looked_back(visits: Visits) -> figures.Table:
    """Print and return how long it takes until a week is on the screen."""
    took, drawn = list[float](), list[float]()
    tab = visits.page(size=PHONE)
    ended = "performance.getEntriesByName('lookback-draw')"
    for _ in range(LOOKS):
        seen = tab.evaluate(f"{ended}.length")
        began_ms = tab.evaluate("(location.hash = '#lookback?range=week', performance.now())")
        until(lambda seen=seen: tab.evaluate(f"{ended}.length") > seen, "the week is drawn")
        entry = tab.evaluate(f"{ended}.at(-1).toJSON()")
        took.append((entry["startTime"] + entry["duration"] - began_ms) / 1000)
        drawn.append(entry["duration"] / 1000)
        go(tab, "live")
    heads, rows = visits.house.ask("heads"), 7 * 86400 / 1.28
    print(f"    a week, {len(heads)} heads: the first {took[0]:.2f} s, later {np.median(took[1:]):.2f} s")
    row: figures.Row = {
        "signatures": round(rows),
        "heads": len(heads),
        "first": took[0],
        "later": float(np.median(took[1:])),
        "drawn": float(np.median(drawn)),
        "on": ON,
    }
    return figures.Table(
        what="the time until a look back over a week is on the screen, with the strips of seven days: the first one, "
        "and the median of those that follow",
        against="the browser's clock, from the choice of the view",
        units={"signatures": "", "heads": "", "first": "s", "later": "s", "drawn": "s"},
        rows={"a week": row},
    )


def taken(visits: Visits) -> figures.Table:
    """Print and return the page's memory and processor time, with viewers and with nobody."""
    house = visits.house
    tabs = [visits.page(size=PHONE) for _ in range(VIEWERS)]
    time.sleep(5)
    rows = dict[str, figures.Row]()
    pages = house.page
    assert pages is not None and house.daemon is not None
    for name in (f"{VIEWERS} viewers", "nobody"):
        if name == "nobody":
            for tab in tabs:
                tab.context.close()
            until(lambda: pages.poll() is not None, "the page ends when nobody looks", 120)
        before = {it.pid: processor_s(it.pid) for it in (house.daemon, pages) if it.poll() is None}
        began_s = time.monotonic()
        time.sleep(SHARE_S)
        spent_s = time.monotonic() - began_s
        share = {pid: 100 * (processor_s(pid) - first) / spent_s for pid, first in before.items()}
        rss, pss = memory_mb(pages.pid) if pages.pid in share else (0.0, 0.0)
        rows[name] = {
            "rss": rss,
            "pss": pss,
            "share": share.get(pages.pid, 0.0),
            "daemon": share[house.daemon.pid],
            "on": ON,
        }
        print(f"    {name}: {rss:.1f} MB resident, {pss:.1f} MB its share, {rows[name]['share']:.2f} % of a core; "
              f"the service {rows[name]['daemon']:.2f} %")  # fmt: skip
    return figures.Table(
        what="the memory of the page's process, resident and its share of it (what other processes map, too, is "
        f"divided), and the processor time of the page and of the service over {SHARE_S:.0f} s; without a viewer the "
        "page's process ends",
        against="one core",
        units={"rss": "MB", "pss": "MB", "share": "% of one core", "daemon": "% of one core"},
        rows=rows,
    )


def sizes() -> figures.Table:
    """Print and return the bytes of what a browser loads."""
    folder = ROOT / "motionsig" / "page" / "static"
    files = sorted(path.stat().st_size for path in folder.iterdir())
    print(f"    {len(files)} files, {sum(files) / 1000:.1f} kB")
    row: figures.Row = {"files": len(files), "size": sum(files) / 1000, "largest": files[-1] / 1000, "on": figures.REAL}
    return figures.Table(
        what="the files that a browser loads, not compressed",
        against="the file system",
        units={"files": "", "size": "kB", "largest": "kB"},
        rows={"motionsig/page/static": row},
    )


def main() -> None:
    """Measure all of it in a folder of its own."""
    began_s = figures.begin("page")
    tables = dict[str, figures.Table]()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motionsig-page-")))
        house = House(folder / "house", extra='[heads]\nnames = ["still", "walking"]\n')
        fill_week(house.store, time.time_ns() - 60 * 10**9, device="hall")
        stack.enter_context(house)
        browser: Browser = stack.enter_context(launched())
        parts: dict[str, Any] = {"screen": on_screen, "taught": taught, "lookback": looked_back, "taken": taken}
        for name, measure in parts.items():
            with Visits(browser, house) as visits:
                tables[name] = measure(visits)
    tables["sizes"] = sizes()
    figures.write("page", tables, began_s=began_s)


if __name__ == "__main__":
    argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__).parse_args()
    main()

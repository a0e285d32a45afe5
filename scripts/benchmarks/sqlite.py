"""A store of five million signatures: how fast a fleet's messages go in, and a device, an hour and all of it come out.

Each is compared with bare SQLite on the same file: the same rows in and out of the table, without checks, without
arrays. The store lies in a folder on a disk, because where /tmp is memory an fsync costs nothing. Five minutes.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "publishers")]
from made import HOP_NS, START_NS, numbered  # noqa: E402

from motionsig import wire  # noqa: E402
from motionsig.publishers import iter_signatures  # noqa: E402
from motionsig.publishers.store import Store  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

EACH = 5  # signatures in a message
MESSAGES = 500  # in a transaction
FLEET = 10_000  # devices that send in turn
DEVICES, LONG = 500, 10_000  # each of these has so many signatures: 3.6 hours
HOUR_NS = 3_600_000_000_000
INSERT = "INSERT INTO signatures VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


def fleet_messages(rounds: int) -> Iterator[list[wire.Message]]:
    """Yield what a transaction gets: messages of devices that send in any order."""
    base, rng = numbered(EACH), np.random.default_rng(1)
    for number in range(rounds):
        batch = replace(base, start_ns=base.start_ns + number * EACH * HOP_NS)
        order = rng.permutation(FLEET).tolist()
        for first in range(0, FLEET, MESSAGES):
            chosen = order[first : first + MESSAGES]
            yield [wire.Message(f"wrist-{it:05d}", 1 << 60 | it, number * EACH, batch) for it in chosen]


def put_fleet(path: Path, rounds: int) -> float:
    """Store a fleet's messages, each transaction on the disk; return the seconds that took."""
    took_s = 0.0
    with closing(Store(path, durable=True)) as store:
        for messages in fleet_messages(rounds):
            began_s = time.perf_counter()
            store.add_all(messages)
            took_s += time.perf_counter() - began_s
    return took_s


def put_bare(path: Path, rounds: int) -> float:
    """Do the same with one statement of bare SQLite, into the same table."""
    Store(path).close()
    took_s = 0.0
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -16384")
        for messages in fleet_messages(rounds):
            rows = [
                (it.device, it.stream_id, it.seq + row, 1, int(it.signatures.start_ns[row]), 0, bytes(64), 0)
                for it in messages
                for row in range(EACH)
            ]
            began_s = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, rows)
            connection.execute("COMMIT")
            took_s += time.perf_counter() - began_s
    return took_s


def fill(path: Path) -> None:
    """Store five million signatures of devices that began one after the other, an hour apart."""
    base = numbered(500)
    with closing(Store(path)) as store:
        for device in range(DEVICES):
            for first in range(0, LONG, 500):
                start_ns = base.start_ns + first * HOP_NS + device * HOUR_NS
                store.add(wire.Message(f"wrist-{device:03d}", device, first, replace(base, start_ns=start_ns)))


def read(path: Path, **wanted: str | int) -> int:
    parts = iter_signatures(f"store:{path}", **wanted)  # type: ignore[arg-type]
    return sum(len(part.seq) for part in parts)


def read_bare(path: Path, where: str) -> int:
    query = f"SELECT seq, start_ns, quality, codes FROM signatures WHERE {where} ORDER BY device, epoch, seq"
    with closing(sqlite3.connect(path)) as connection:
        return len(connection.execute(query).fetchall())


def best(of: Callable[[], int], rounds: int) -> tuple[float, int]:
    """Return the fewest seconds of several rounds, and what the last one found."""
    times = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        found = of()
        times.append(time.perf_counter() - began_s)
    return min(times), found


def main(folder: Path, rounds: int) -> None:
    """Print a line per row of both tables."""
    began_s = figures.begin("sqlite")
    with tempfile.TemporaryDirectory(dir=folder, prefix="motionsig-sqlite-") as own:
        count = rounds * FLEET
        took_s, bare_s = put_fleet(Path(own) / "fleet", rounds), put_bare(Path(own) / "bare", rounds)
        size = (Path(own) / "fleet").stat().st_size / (count * EACH)
        print(f"  in: {count / took_s:,.0f} messages/s, {took_s / bare_s:.2f} x bare SQLite; {size:.0f} B a signature")
        into: dict[str, figures.Row] = {
            f"{count * EACH:,}": {
                "rate": count / took_s,
                "bare": count / bare_s,
                "ratio": took_s / bare_s,
                "size": size,
                "on": figures.REAL,
            }
        }
        long = Path(own) / "long"
        fill(long)
        since_ns = START_NS + 250 * HOUR_NS
        within = f"start_ns >= {since_ns} AND start_ns < {since_ns + HOUR_NS}"
        out = dict[str, figures.Row]()
        for name, wanted, where, times in (
            ("one device", {"device": "wrist-250"}, "device = 'wrist-250'", 5),
            ("one hour", {"since_ns": since_ns, "until_ns": since_ns + HOUR_NS}, within, 3),
            ("everything", {}, "TRUE", 1),
        ):
            ours_s, found = best(lambda wanted=wanted: read(long, **wanted), times)  # type: ignore[misc]
            bare_s, expected = best(lambda where=where: read_bare(long, where), times)  # type: ignore[misc]
            assert found == expected
            print(f"  out: {name}: {found:,} in {ours_s:.3f} s, bare SQLite {bare_s:.3f} s, {ours_s / bare_s:.2f} x")
            row: figures.Row = {"found": found, "took": ours_s, "bare": bare_s, "ratio": ours_s / bare_s}
            out[name] = row | {"on": figures.REAL}
    tables = {
        "into": figures.Table(
            what=f"messages of {EACH} signatures of {FLEET:,} devices in any order, {MESSAGES} in a transaction that "
            "is on the disk; only `add_all` is timed",
            against="one INSERT of bare SQLite for each signature, into the same table, in the same transactions",
            units={"rate": "messages/s", "bare": "messages/s", "ratio": "x", "size": "B"},
            rows=into,
        ),
        "out": figures.Table(
            what=f"`iter_signatures` of a store of {DEVICES * LONG:,} signatures of {DEVICES} devices, which began an "
            "hour apart",
            against="one SELECT of bare SQLite for the same rows, which looks at no checksum and makes no arrays",
            units={"found": "", "took": "s", "bare": "s", "ratio": "x"},
            rows=out,
        ),
    }
    figures.write("sqlite", tables, began_s=began_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path.cwd(), help="a folder on a disk")
    parser.add_argument("--rounds", type=int, default=20, help="messages of each device of the fleet")
    options = parser.parse_args()
    main(options.folder, options.rounds)

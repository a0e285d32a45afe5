"""A fleet into one receiver through a Mosquitto with Debian's defaults: what is stored, lost, late, reported missing.

10,000 devices at the default delay send 1,667 messages of 5 signatures a second. A few messages are left out on
purpose: the receiver has to say so within a minute. The peak is measured on messages that waited for the receiver, for
SQLite and for a PostgreSQL that is started for it. The stores lie in a folder on a disk, because where /tmp is memory
an fsync costs nothing. Twelve minutes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "publishers")]
from broker import Broker  # noqa: E402
from made import SPEC, numbered  # noqa: E402
from postgres import Server  # noqa: E402

from motionsig import wire  # noqa: E402
from motionsig.blocks import SignatureBatch  # noqa: E402
from scripts.benchmarks import figures  # noqa: E402

DEVICES = 10_000
EACH = 5  # signatures in a message
RATE = 1667.0
LEFT_OUT = 20
WAITING = 60_000
DEBIAN = "persistence true\nallow_anonymous true\n"
MIB = 1 << 20


def receive(url: str, into: str, status_file: str) -> None:
    """Collect until SIGTERM; each second a line of the file is the status, with the time and the peak of memory."""
    from motionsig.collector import collect

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open(status_file, "a", encoding="utf-8", buffering=1) as file:

        def note(status: dict[str, Any]) -> None:
            peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
            file.write(
                json.dumps(
                    {**status, "at_s": time.time(), "cpu_s": time.process_time(), "peak": int(peak.split()[1]) * 1024}
                )
                + "\n"
            )

        with suppress(KeyboardInterrupt):
            collect(url, into, on_status=note)


@dataclass
class _Fleet:
    """Devices that take turns; left_out: when a message was not sent, by device and first number."""

    base: SignatureBatch
    devices: int
    left_out: dict[tuple[str, int], float]

    def message(self, number: int) -> tuple[str, bytes]:
        """Return topic and payload of the fleet's message of this number, as of now."""
        device, turn = f"site-wrist-{number % self.devices:05d}", number // self.devices
        end_ns = time.time_ns() - SPEC.length_ns
        start_ns = end_ns + (self.base.start_ns - self.base.start_ns[-1])
        what = wire.Message(device, 10**18 + number % self.devices, turn * EACH, replace(self.base, start_ns=start_ns))
        return f"motionsig/{device}/signatures", wire.encode(what)


def send(url: str, fleet: _Fleet, *, first: int, count: int, rate: float, leave_out: int) -> int:
    """Publish the fleet's messages at QoS 1 and wait for the broker's answers; return how many were sent."""
    from motionsig.publishers.brokers import parse_broker
    from motionsig.publishers.connection import Connection

    connection = Connection(parse_broker(url), client_id="fleet", clean_session=True, keepalive_s=30)
    connection.open(10, lambda: False)
    left_out = {first + count * (each + 1) // (leave_out + 2) for each in range(leave_out)}
    sent = waiting = 0
    began = time.monotonic()
    for number in range(first, first + count):
        while waiting >= 1000 or (number - first) / rate > time.monotonic() - began:
            connection.loop(0.001)
            waiting -= len(connection.acknowledged)
            connection.acknowledged.clear()
        if number in left_out:
            fleet.left_out[f"site-wrist-{number % fleet.devices:05d}", number // fleet.devices * EACH] = time.time()
            continue
        connection.publish(*fleet.message(number))
        sent, waiting = sent + 1, waiting + 1
    while waiting:
        connection.loop(0.1)
        waiting -= len(connection.acknowledged)
        connection.acknowledged.clear()
    connection.close()
    return sent


def stored(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM signatures").fetchone()[0])


def statuses(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]


def wait_for(path: Path, what: Any, limit_s: float) -> None:
    """Wait until `what` holds for the newest status."""
    end_s = time.monotonic() + limit_s
    while not (path.exists() and (seen := statuses(path)) and what(seen[-1])) and time.monotonic() < end_s:
        time.sleep(0.5)


def start(resources: ExitStack, url: str, into: str, status: Path) -> SpawnProcess:
    receiver = multiprocessing.get_context("spawn").Process(target=receive, args=(url, into, str(status)))
    receiver.start()
    resources.callback(receiver.kill)
    wait_for(status, lambda seen: seen["connected"], 20)
    return receiver


def run(folder: Path, seconds: float, rate: float) -> figures.Row:
    """Send for so long through Debian's defaults; return what became of it."""
    with ExitStack() as resources:
        # "max_queued_messages 0" of the tests' broker comes first; Mosquitto takes the last value.
        broker = resources.enter_context(Broker(folder / "broker", settings=f"{DEBIAN}max_queued_messages 1000\n"))
        store, status = folder / "fleet.db", folder / "status"
        receiver = start(resources, broker.url, f"store:{store}", status)
        fleet = _Fleet(numbered(EACH), DEVICES, {})
        sent = send(broker.url, fleet, first=0, count=round(seconds * rate), rate=rate, leave_out=LEFT_OUT)
        # A hole can be seen once the next message of its device is there.
        visible = {key for key in fleet.left_out if _is_followed(key, round(seconds * rate))}
        wait_for(status, lambda seen: seen["holes"]["found"] >= len(visible), 90)
        receiver.terminate()
        receiver.join(20)
        seen = statuses(status)
        found = seen[-1]["holes"]["found"]
        # The next message of its device shows a hole: a turn later.
        turn_s = DEVICES / rate
        late = [
            next((each["at_s"] for each in seen if each["holes"]["found"] > number), float("inf")) - left_s - turn_s
            for number, left_s in enumerate(sorted(fleet.left_out[key] for key in visible))
        ]
        return {
            "sent": sent,
            "rate": sent / seconds,
            "cpu": (seen[-1]["cpu_s"] - seen[0]["cpu_s"]) / sent * 1e6,
            "lost": sent * EACH - stored(store),
            "p50": seen[-1]["lag_s"]["p50"],
            "p99": seen[-1]["lag_s"]["p99"],
            "peak": seen[-1]["peak"] / MIB,
            "made": len(visible),
            "found": found,
            "slowest": max(late, default=0.0),
            "on": "the real receiver and Mosquitto",
        }


def _is_followed(key: tuple[str, int], count: int) -> bool:
    device, first = key
    return (first // EACH + 1) * DEVICES + int(device[-5:]) < count


def peak_of_sqlite(folder: Path) -> figures.Row:
    path = folder / "peak.db"
    return peak(folder, f"store:{path}", lambda: (stored(path), path.stat().st_size))


def peak_of_postgresql(folder: Path) -> figures.Row:
    with Server(durable=True) as server:
        empty, into = (server.new_database() for _ in range(2))

        def measure() -> tuple[int, int]:
            size = "SELECT pg_database_size(current_database())"
            count = server.run(into, "SELECT count(*) FROM motionsig.signatures")
            sizes = [int(str(server.run(each, size)[0][0])) for each in (into, empty)]
            return int(str(count[0][0])), sizes[0] - sizes[1]

        return peak(folder, into, measure)


def peak(folder: Path, into: str, measure: Callable[[], tuple[int, int]]) -> figures.Row:
    """Let messages wait for the receiver; return how fast it stores them. measure: rows and bytes in the store."""
    with ExitStack() as resources:
        broker = resources.enter_context(Broker(folder / "broker", settings=DEBIAN))
        status = folder / "status"
        receiver = start(resources, broker.url, into, status)
        receiver.terminate()
        receiver.join(20)
        fleet = _Fleet(numbered(EACH), DEVICES, {})
        sent = send(broker.url, fleet, first=0, count=WAITING, rate=float("inf"), leave_out=0)
        status.unlink()
        receiver = start(resources, broker.url, into, status)
        wait_for(status, lambda seen: seen["messages"] >= sent, 120)
        receiver.terminate()
        receiver.join(20)
        seen = statuses(status)
        begun = next(index for index, each in enumerate(seen) if each["messages"]) - 1
        ended = next(index for index, each in enumerate(seen) if each["messages"] >= sent)
        first, last = seen[max(begun, 0)], seen[ended]
        rows, size = measure()
        return {
            "sent": sent,
            "rate": sent / (last["at_s"] - first["at_s"]),
            "cpu": (last["cpu_s"] - first["cpu_s"]) / sent * 1e6,
            "lost": sent * EACH - rows,
            "peak": seen[-1]["peak"] / MIB,
            "disk": size / rows,
            "on": "the real receiver and Mosquitto",
        }


def main(folder: Path | None, seconds: float, rate: float) -> None:
    began_s = figures.begin("fleet")
    with tempfile.TemporaryDirectory(dir=folder, prefix="motionsig-fleet-") as own:
        os.chmod(own, 0o755)
        rows = dict[str, figures.Row]()
        for name, measure in (
            ("waiting for the receiver, SQLite", peak_of_sqlite),
            ("waiting for the receiver, PostgreSQL", peak_of_postgresql),
            (f"{DEVICES:,} devices, {seconds / 60:g} min", lambda place: run(place, seconds, rate)),
        ):
            place = Path(own, str(len(rows)))
            place.mkdir()
            rows[name] = measure(place)
            print(name, rows[name], flush=True)
    what = (
        f"messages of {EACH} signatures from a broker with Debian's settings into a store, SQLite where none is named: "
        "how many a second, how many signatures are lost, how old they are when they are stored, the receiver's "
        "processor time for a message and its peak of memory, what a signature takes up on the disk, and how long "
        "after the next message of its device a hole made on purpose is reported"
    )
    units = {
        "sent": "",
        "rate": "/s",
        "cpu": "µs",
        "lost": "",
        "p50": "s",
        "p99": "s",
        "peak": "MiB",
        "disk": "B",
        "made": "",
        "found": "",
    }
    table = figures.Table(what, "what was sent", {**units, "slowest": "s"}, rows)
    figures.write("fleet", {"fleet": table}, began_s=began_s)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on a disk (/var/tmp)")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=RATE, help="messages a second")
    given = parser.parse_args()
    main(given.folder, given.seconds, given.rate)

"""Kill the publisher, the broker or both with -9, at random; count what was accepted, lost and stored twice.

A publisher process publishes numbered signatures and events through the MQTT sink and notes each in an append-only file
right after `publish` or `publish_events` has returned. A collector process stores what arrives. The publisher's spool,
the broker's folder and the collector's session outlive the kills. Two configurations of the broker: one that saves
after every change (persistence true, autosave_on_changes true, autosave_interval 1), and Debian's default (persistence
true), which saves every 30 minutes and at an orderly end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
# The broker that the tests start, and their made-up signatures.
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "publishers")]

from broker import PERSISTENT, Broker  # noqa: E402
from made import event, numbered  # noqa: E402

from scripts.benchmarks import figures  # noqa: E402

DEBIAN = "persistence true\n"
DEVICE = "bench"
ROUND_S = (0.3, 1.1)
WHAT = ("publisher", "broker", "both")
HEAD = "walking"


def publish(url: str, spool: str, log: str, stream_id: str, protocol: str) -> None:
    """Publish until killed; a line of the log is what was accepted: signatures, or an event."""
    from motionsig.publishers.mqtt import MqttSink

    noted = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sink = MqttSink(
        url,
        device=DEVICE,
        stream_id=int(stream_id),
        spool=spool,
        delay_s=0.1,
        retry_s=0.05,
        max_retry_s=0.5,
        ack_timeout_s=5,
        protocol=protocol,
    )
    seq = 0
    while True:
        sink.publish(numbered(2, seq))
        os.write(noted, f"signatures {stream_id} {seq} {seq + 2} {sink.counts.dropped}\n".encode("ascii"))
        sink.publish_events([event(seq, device=DEVICE, stream_id=int(stream_id), head=HEAD, phase=_phase(seq))])
        os.write(noted, f"events {stream_id} {seq} {seq + 1} {sink.counts.dropped}\n".encode("ascii"))
        seq += 2
        time.sleep(0.004)


def _phase(seq: int) -> str:
    """Return the phase of the event of signature `seq`, an even number: a state begins and ends in turn."""
    return "ended" if seq % 4 else "began"


def collect_all(url: str, into: str, counts_file: str) -> None:
    """Collect until SIGTERM, then note the counts."""
    from motionsig.collector import CollectCounts, collect

    # SIGINT is ignored by what a shell started in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    counts = CollectCounts()

    def note(now: CollectCounts) -> None:
        nonlocal counts
        counts = now

    with contextlib.suppress(KeyboardInterrupt):
        collect(url, into, retry_s=0.02, max_retry_s=0.1, on_progress=note)
    Path(counts_file).write_text(json.dumps(vars(counts)))


def _spawn(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, *arguments])


def _one_configuration(
    folder: Path, settings: str, rounds: int, chance: random.Random, protocol: str
) -> dict[str, Any]:
    from motionsig.publishers import open_sink

    broker = Broker(folder / "broker", settings=f"allow_anonymous true\n{settings}").start()
    spool, log, store, counts_file = (str(folder / name) for name in ("spool", "accepted", "store", "counts"))
    collector = _spawn("--collect", broker.url, f"store:{store}", counts_file)
    began_s = time.monotonic()
    publisher = None
    kills = dict.fromkeys(WHAT, 0)
    try:
        for stream_id in range(rounds):
            if publisher is None:
                publisher = _spawn("--publish", broker.url, spool, log, str(stream_id), protocol)
            time.sleep(chance.uniform(*ROUND_S))
            what = chance.choice(WHAT)
            kills[what] += 1
            if what != "publisher":
                broker.kill()
            if what != "broker":
                publisher.send_signal(signal.SIGKILL)
                publisher.wait()
                publisher = None
            time.sleep(chance.uniform(0.0, 0.3))
            if what != "publisher":
                broker.start()
        minutes = (time.monotonic() - began_s) / 60
        if publisher is not None:
            publisher.send_signal(signal.SIGKILL)
            publisher.wait()
        patience = {"close_timeout_s": 20, "close_limit_s": 600}
        with open_sink(broker.url, device=DEVICE, stream_id=rounds, spool=spool, **patience) as sink:
            recovered = sink.counts.recovered
        left = sink.counts
        _until_quiet(store)
        collector.terminate()
        collector.wait(10)
    finally:
        for process in (publisher, collector):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        broker.stop()
    return {
        "rounds": rounds,
        "rounds_a_minute": rounds / minutes,
        "kills": kills,
        **_count(Path(log), store, json.loads(Path(counts_file).read_text())),
        "recovered_last": recovered,
        "pending": left.pending,
        "damaged_bytes": left.damaged_bytes,
    }


def _until_quiet(store: str) -> None:
    before = -1
    while (now := len(_rows(store, "codes", "signatures")) + len(_rows(store, "phase", "events"))) != before:
        before = now
        time.sleep(1.0)


def _rows(store: str, column: str, table: str) -> list[tuple[int, int, Any]]:
    with contextlib.closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return connection.execute(f"SELECT epoch, seq, {column} FROM {table}").fetchall()


def _count(log: Path, store: str, collected: dict[str, int]) -> dict[str, int]:
    accepted: dict[str, set[tuple[int, int]]] = {"signatures": set(), "events": set()}
    for line in log.read_text("ascii").splitlines():
        what, *numbers = line.split()
        stream_id, first, last, dropped = map(int, numbers)
        assert dropped == 0, "the spool was too small for this bench"
        accepted[what] |= {(stream_id, seq) for seq in range(first, last)}
    rows, event_rows = _rows(store, "codes", "signatures"), _rows(store, "phase", "events")
    keys, event_keys = ([(stream_id, seq) for stream_id, seq, _ in found] for found in (rows, event_rows))
    wrong = sum(codes != numbered(1, seq).codes.tobytes() for _, seq, codes in rows)
    wrong += sum(phase != _phase(seq) for _, seq, phase in event_rows)
    return {
        "accepted": len(accepted["signatures"]),
        "lost": len(accepted["signatures"] - set(keys)),
        "events_accepted": len(accepted["events"]),
        "events_lost": len(accepted["events"] - set(event_keys)),
        "duplicates_received": collected["duplicates"],
        "stored": len(keys),
        "events_stored": len(event_keys),
        "stored_twice": len(keys) - len(set(keys)) + len(event_keys) - len(set(event_keys)),
        "stored_wrong": wrong + collected["conflicts"],
    }


def main(rounds: int, seed: int, protocol: str) -> None:
    """Print the counts by configuration as a table."""
    began_s = figures.begin("kill_rounds")
    results = {}
    for name, settings in (("every change", PERSISTENT), ("at an orderly end", DEBIAN)):
        with tempfile.TemporaryDirectory(prefix="motionsig-kill-") as folder:
            results[name] = _one_configuration(Path(folder), settings, rounds, random.Random(seed), protocol)
    columns = ("rounds", "rounds_a_minute", "accepted", "lost", "events_accepted", "events_lost", "duplicates_received",
               "stored", "events_stored", "stored_twice", "stored_wrong")  # fmt: skip
    print(f"{'kill -9, broker saves':22}" + "".join(f"{column.replace('_', ' '):>21}" for column in columns))
    for name, result in results.items():
        print(f"{name:22}" + "".join(f"{result[column]:21.0f}" for column in columns))
    table = figures.Table(
        what=f"{rounds} rounds of kill -9, at random of the publisher, the broker or both: what was accepted, and what "
        "became of it",
        against="what the publisher had noted as accepted in a file of its own",
        units=dict.fromkeys(columns, ""),
        rows={
            name: {column: result[column] for column in columns} | {"on": figures.REAL}
            for name, result in results.items()
        },
    )
    figures.write("kill_rounds", {"kill_rounds": table}, began_s=began_s)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--publish"]:
        publish(*sys.argv[2:7])
    elif sys.argv[1:2] == ["--collect"]:
        collect_all(*sys.argv[2:5])
    else:
        parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
        parser.add_argument("--rounds", type=int, default=20)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--protocol", default="auto", help="of the publisher: auto, 5 or 3.1.1")
        given = parser.parse_args()
        main(given.rounds, given.seed, given.protocol)

"""Kill the publisher, the broker and the receiver with -9, at random; count what was accepted, lost and stored twice.

A publisher process publishes numbered signatures and events through the MQTT sink and notes each in an append-only file
right after `publish` or `publish_events` has returned. A receiver process stores what arrives. The publisher's spool,
the broker's folder, the receiver's session and its store outlive the kills. Two configurations of the broker: one that
saves after every change (persistence true, autosave_on_changes true, autosave_interval 1), and Debian's default
(persistence true), which saves every 30 minutes and at an orderly end. Such a broker forgets the session of a receiver
that is away, so where receivers are killed, the publisher keeps what nobody subscribes to (MQTT 5, unheard=keep).
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# The broker that the tests start, and their made-up signatures.
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "publishers")]

import numpy as np  # noqa: E402
from broker import PERSISTENT, Broker  # noqa: E402
from made import event, numbered  # noqa: E402
from postgres import Server  # noqa: E402

from scripts.benchmarks import figures  # noqa: E402

DEBIAN = "persistence true\n"
DEVICE = "bench"
ROUND_S = (0.3, 1.1)
HEAD = "walking"
STORES = ("store", "postgresql", "parquet")
SAVES = {"every change": PERSISTENT, "at an orderly end": DEBIAN}
SENDERS = ("publisher",), ("broker",), ("publisher", "broker")
ALL = (*SENDERS, ("receiver",), ("publisher", "receiver"), ("broker", "receiver"), ("publisher", "broker", "receiver"))
COUNTS = ("rounds", "rounds_a_minute", "accepted", "lost", "events_accepted", "events_lost", "duplicates_received",
          "stored", "events_stored", "stored_twice", "stored_wrong")  # fmt: skip
KILLS = ("publisher_killed", "broker_killed", "receiver_killed")


class Case(NamedTuple):
    """A row of a table. settings: of the broker; together: what a kill may end at once, one of these at random."""

    table: str
    row: str
    settings: str
    scheme: str
    together: Sequence[tuple[str, ...]]


CASES = [Case("kill_rounds", saves, settings, "store", SENDERS) for saves, settings in SAVES.items()]
CASES += [
    Case("kill_rounds_stores", f"{scheme}:, {saves}", settings, scheme, ALL)
    for scheme in STORES
    for saves, settings in SAVES.items()
]


def publish(url: str, spool: str, log: str, stream_id: str, protocol: str, unheard: str) -> None:
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
        unheard=unheard,
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
    """Collect until SIGTERM; a line of the file is the counts of this process up to then."""
    from motionsig.collector import CollectCounts, collect

    # SIGINT is ignored by what a shell started in the background.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    noted = os.open(counts_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(now: CollectCounts) -> None:
        line = {"process": os.getpid(), "duplicates": now.duplicates, "conflicts": now.conflicts}
        os.write(noted, f"{json.dumps(line)}\n".encode("ascii"))

    with contextlib.suppress(KeyboardInterrupt):
        collect(url, into, retry_s=0.02, max_retry_s=0.1, on_progress=note)


def _spawn(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, *arguments])


def _run(folder: Path, case: Case, into: str, rounds: int, chance: random.Random, protocol: str) -> dict[str, Any]:
    from motionsig.publishers import open_sink

    broker = Broker(folder / "broker", settings=f"allow_anonymous true\n{case.settings}").start()
    spool, log, counts_file = str(folder / "spool"), str(folder / "accepted"), folder / "counts"
    counts_file.touch()
    unheard = "keep" if case.together is ALL else "forget"
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_receiver(*, wait: bool) -> None:
        if "receiver" in processes:
            return
        processes["receiver"] = _spawn("--collect", broker.url, into, str(counts_file))
        before, end_s = counts_file.stat().st_size, time.monotonic() + 10
        while wait and counts_file.stat().st_size == before and time.monotonic() < end_s:
            time.sleep(0.02)

    began_s = time.monotonic()
    kills = dict.fromkeys(KILLS, 0)
    try:
        for stream_id in range(rounds):
            if "publisher" not in processes:
                numbers = str(stream_id), protocol, unheard
                processes["publisher"] = _spawn("--publish", broker.url, spool, log, *numbers)
            # Every second one is killed while it stores, the others at any time from their start on.
            start_receiver(wait=stream_id % 2 == 0)
            time.sleep(chance.uniform(*ROUND_S))
            together = chance.choice(case.together)
            for what in together:
                kills[f"{what}_killed"] += 1
                if what == "broker":
                    broker.kill()
                else:
                    _kill(processes.pop(what))
            time.sleep(chance.uniform(0.0, 0.3))
            if "broker" in together:
                broker.start()
        minutes = (time.monotonic() - began_s) / 60
        if "publisher" in processes:
            _kill(processes.pop("publisher"))
        start_receiver(wait=False)
        options = {"close_timeout_s": 20, "close_limit_s": 600, "protocol": protocol, "unheard": unheard}
        with open_sink(broker.url, device=DEVICE, stream_id=rounds, spool=spool, **options) as sink:
            recovered = sink.counts.recovered
        left = sink.counts
        _until_quiet(counts_file)
        processes["receiver"].terminate()
        processes["receiver"].wait(60)
    finally:
        for process in processes.values():
            if process.poll() is None:
                _kill(process)
        broker.stop()
    return {
        "rounds": rounds,
        "rounds_a_minute": rounds / minutes,
        **kills,
        **_count(Path(log), into, counts_file),
        "recovered_last": recovered,
        "pending": left.pending,
        "damaged_bytes": left.damaged_bytes,
    }


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _until_quiet(counts_file: Path) -> None:
    before = -1
    while (now := counts_file.stat().st_size) != before:
        before = now
        time.sleep(2.0)


def _rows(into: str, column: str, table: str) -> list[tuple[int, int, Any]]:
    """Return (stream id, seq, column) of each row, as other programs than motionsig read it."""
    scheme, _, place = into.partition(":")
    if scheme == "store":
        with contextlib.closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as connection:
            return connection.execute(f"SELECT epoch, seq, {column} FROM {table}").fetchall()
    if scheme == "postgresql":
        import psycopg

        stream = "JOIN motionsig.streams ON streams.id = stream" if table == "signatures" else ""
        with psycopg.connect(into) as database:
            query = f"SELECT stream_id, seq, {column} FROM motionsig.{table} {stream}"
            return [tuple(row) for row in database.execute(query.encode())]
    import pyarrow as pa
    from pyarrow import parquet

    files = sorted(Path(place, table).glob("*/*.parquet"))
    parts = [parquet.ParquetFile(file).read(columns=["stream_id", "seq", column]) for file in files]
    streams, seq, values = (pa.concat_tables(parts).column(name).to_pylist() for name in ("stream_id", "seq", column))
    if column == "codes":
        values = [np.array(codes, np.int8).tobytes() for codes in values]
    return list(zip(streams, seq, values, strict=True))


def _count(log: Path, into: str, counts_file: Path) -> dict[str, int]:
    accepted: dict[str, set[tuple[int, int]]] = {"signatures": set(), "events": set()}
    for line in log.read_text("ascii").splitlines():
        what, *numbers = line.split()
        stream_id, first, last, dropped = map(int, numbers)
        assert dropped == 0, "the spool was too small for this bench"
        accepted[what] |= {(stream_id, seq) for seq in range(first, last)}
    lines = [json.loads(line) for line in counts_file.read_text("ascii").splitlines()]
    by_process = {line["process"]: line for line in lines}.values()
    rows, event_rows = _rows(into, "codes", "signatures"), _rows(into, "phase", "events")
    keys, event_keys = ([(stream_id, seq) for stream_id, seq, _ in found] for found in (rows, event_rows))
    wrong = sum(bytes(codes) != numbered(1, seq).codes.tobytes() for _, seq, codes in rows)
    wrong += sum(phase != _phase(seq) for _, seq, phase in event_rows)
    return {
        "accepted": len(accepted["signatures"]),
        "lost": len(accepted["signatures"] - set(keys)),
        "events_accepted": len(accepted["events"]),
        "events_lost": len(accepted["events"] - set(event_keys)),
        "duplicates_received": sum(line["duplicates"] for line in by_process),
        "stored": len(keys),
        "events_stored": len(event_keys),
        "stored_twice": len(keys) - len(set(keys)) + len(event_keys) - len(set(event_keys)),
        "stored_wrong": wrong + sum(line["conflicts"] for line in by_process),
    }


def _case(case: Case, rounds: int, seed: int, protocol: str) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="motionsig-kill-")))
        into = f"{case.scheme}:{folder / 'store'}"
        if case.scheme == "postgresql":
            into = stack.enter_context(Server()).new_database()
        return _run(folder, case, into, rounds, random.Random(seed), protocol)


def main(rounds: int, seed: int, protocol: str, into: Sequence[str]) -> None:
    """Print the counts by configuration as a table. into: schemes of stores, of which alone the rows are made anew."""
    began_s = figures.begin("kill_rounds")
    tables = {
        "kill_rounds": (COUNTS, "the publisher, the broker or both"),
        "kill_rounds_stores": (KILLS + COUNTS, "some of publisher, broker and receiver, by the receiver's store"),
    }
    chosen = [case for case in CASES if not into or (case.table == "kill_rounds_stores" and case.scheme in into)]
    print(f"{'kill -9':36}" + "".join(f"{column.replace('_', ' '):>21}" for column in KILLS + COUNTS))
    rows: dict[str, dict[str, figures.Row]] = {}
    for case in chosen:
        result = _case(case, rounds, seed, protocol)
        print(f"{case.row:36}" + "".join(f"{result[column]:21.0f}" for column in KILLS + COUNTS), flush=True)
        shown = {column: result[column] for column in tables[case.table][0]}
        rows.setdefault(case.table, {})[case.row] = shown | {"on": figures.REAL}
    written = {
        name: figures.Table(
            what=f"{rounds} rounds of kill -9, at random of {tables[name][1]}: what was accepted, and what became of "
            "it",
            against="what the publisher had noted as accepted in a file of its own",
            units=dict.fromkeys(tables[name][0], ""),
            rows=of_table,
        )
        for name, of_table in rows.items()
    }
    by = f"scripts/benchmarks/kill_rounds.py --rounds {rounds} --into {' '.join(into)}" if into else ""
    figures.write("kill_rounds", written, began_s=began_s, by=by, keep_rows=bool(into))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--publish"]:
        publish(*sys.argv[2:8])
    elif sys.argv[1:2] == ["--collect"]:
        collect_all(*sys.argv[2:5])
    else:
        parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
        parser.add_argument("--rounds", type=int, default=20)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--protocol", default="auto", help="of the publisher: auto, 5 or 3.1.1")
        parser.add_argument("--into", nargs="+", choices=STORES, default=[], help="only these stores, for all kills")
        given = parser.parse_args()
        main(given.rounds, given.seed, given.protocol, given.into)

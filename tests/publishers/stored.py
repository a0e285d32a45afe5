"""Stores for tests: filled in a line, and as older versions made them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from motionsig.publishers.store import Store
from motionsig.publishers.stores import Added
from motionsig.wire import Message


def put(path: Path, *messages: Message) -> list[Added]:
    """Add messages to a store, each in a transaction."""
    with closing(Store(path)) as store:
        return [store.add(message) for message in messages]


# What versions 0.1 made, and what was added until there were events; all of it is called version 1 of a store.
OF_VERSION_0_1 = """
CREATE TABLE encoders (id INTEGER PRIMARY KEY, fingerprint BLOB NOT NULL, quantization TEXT NOT NULL,
    motion_dim INTEGER NOT NULL, length_ns INTEGER NOT NULL, hop_ns INTEGER NOT NULL, UNIQUE (fingerprint, hop_ns));
CREATE TABLE signatures (device TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    encoder INTEGER NOT NULL REFERENCES encoders (id), start_ns INTEGER NOT NULL, quality INTEGER NOT NULL,
    codes BLOB NOT NULL, PRIMARY KEY (device, epoch, seq)) WITHOUT ROWID;
PRAGMA application_id = 1834183015;
PRAGMA user_version = 1;
"""
UNTIL_EVENTS = """
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE recordings (device TEXT NOT NULL, epoch INTEGER NOT NULL, name TEXT NOT NULL, start_ns INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)) WITHOUT ROWID;
CREATE TABLE labels (device TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    label INTEGER NOT NULL REFERENCES texts (id), PRIMARY KEY (device, epoch, seq)) WITHOUT ROWID;
CREATE TABLE replayed (how INTEGER NOT NULL REFERENCES texts (id), path TEXT NOT NULL, stamp TEXT NOT NULL,
    device TEXT NOT NULL, epoch INTEGER NOT NULL, signatures INTEGER NOT NULL, PRIMARY KEY (how, path)) WITHOUT ROWID;
CREATE INDEX replayed_streams ON replayed (device, epoch);
CREATE TRIGGER signature_deleted AFTER DELETE ON signatures BEGIN
    DELETE FROM labels WHERE device = old.device AND epoch = old.epoch AND seq = old.seq;
    DELETE FROM replayed WHERE device = old.device AND epoch = old.epoch;
END;
"""
EVENTS = """
CREATE TABLE events (device TEXT NOT NULL, epoch INTEGER NOT NULL, head TEXT NOT NULL, seq INTEGER NOT NULL,
    phase TEXT NOT NULL, start_ns INTEGER NOT NULL, end_ns INTEGER NOT NULL, score REAL NOT NULL,
    fingerprint BLOB NOT NULL, PRIMARY KEY (device, epoch, head, seq, phase)) WITHOUT ROWID;
"""
_COPIED = {"encoders": "id, fingerprint, quantization, motion_dim, length_ns, hop_ns",
           "signatures": "device, epoch, seq, encoder, start_ns, quality, codes", "texts": "*", "labels": "*",
           "recordings": "device, epoch, name, start_ns",
           "events": "device, epoch, head, seq, phase, start_ns, end_ns, score, fingerprint"}  # fmt: skip


def make_version_1(path: Path, new: Path, schema: str = OF_VERSION_0_1 + UNTIL_EVENTS + EVENTS) -> None:
    """Make a store of version 1 with these tables, and what is in a store of today."""
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(schema)
        old.execute("ATTACH ? AS new", (str(new),))
        for table, columns in _COPIED.items():
            if f"TABLE {table} " in schema:
                old.execute(f"INSERT INTO main.{table} SELECT {columns} FROM new.{table}")

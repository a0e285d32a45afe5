"""Bags of ROS 1 (one file) and of ROS 2 (a folder of SQLite or MCAP files, or one of them): topics of sensor_msgs/Imu.

SQLite is Python's own; MCAP is read as a file by itself is. Bags of ROS 1 need rosbags.
"""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.hints import install_hint
from motionsig.recordings.formats import mcap
from motionsig.recordings.formats.arrays import intact
from motionsig.recordings.formats.imu_messages import TYPES, Messages, imu_table, no_topic
from motionsig.recordings.members import single
from motionsig.recordings.opening import table_reader
from motionsig.recordings.tables import Table

if TYPE_CHECKING:
    from rosbags import rosbag1

_ROS1, _SQLITE = b"#ROSBAG V2.0\n", b"SQLite format 3\0"
_LARGEST_MESSAGE = 1 << 20
_AT_ONCE = 8192


def tables(path: Path) -> tuple[Table, ...]:
    """Return a Table for each topic of IMU messages. Raises RecordingError; MissingExtraError without the library."""
    if path.is_dir():
        return _folder(path)
    with path.open("rb") as file:
        head = file.read(len(_SQLITE))
    return _sqlite((path,), path) if head == _SQLITE else _bag1(path)


def _folder(path: Path) -> tuple[Table, ...]:
    """Return the topics of the files of a bag, which follow each other by their numbers."""
    files = sorted(path.glob("*"), key=lambda it: [int(number) for number in re.findall(r"\d+", it.stem)])
    databases = tuple(it for it in files if it.suffix == ".db3")
    if databases:
        return _sqlite(databases, path)
    if not (logs := tuple(it for it in files if it.suffix == ".mcap")):
        raise RecordingError(f"{path}: expected .db3 or .mcap files beside metadata.yaml, got none that is not packed")
    return mcap.topics(logs, path)


def _sqlite(files: tuple[Path, ...], path: Path) -> tuple[Table, ...]:
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        with _database(file) as database:
            # Views and virtual tables could be anything.
            kinds = dict(database.execute("SELECT name, type || sql FROM sqlite_master WHERE name IN (?, ?)", _TABLES))
            if any(not kinds.get(it, "").startswith("tableCREATE TABLE") for it in _TABLES):
                raise RecordingError(f"{file}: expected the tables topics and messages of a ROS 2 bag")
            rows = database.execute("SELECT name, type, serialization_format FROM topics LIMIT 10000").fetchall()
            found |= {str(name): (str(kind), str(coding)) for name, kind, coding in rows}
    wanted = [name for name, (kind, coding) in found.items() if kind in TYPES and coding == "cdr"]
    if not wanted:
        raise no_topic(str(path), {name: kind for name, (kind, _) in found.items()})
    return tuple(
        imu_table(name, f"{path}: {name}", "cdr", partial(_sqlite_messages, files, name)) for name in sorted(wanted)
    )


_TABLES = ("topics", "messages")


@contextmanager
def _database(file: Path) -> Iterator[sqlite3.Connection]:
    """Open a database that is only read."""
    errors = (sqlite3.Error, ValueError, TypeError, OverflowError)
    with (
        intact(str(file), "SQLite of a ROS 2 bag", *errors),
        closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_MESSAGE)
        connection.execute("PRAGMA trusted_schema = OFF")
        yield connection


def _sqlite_messages(files: tuple[Path, ...], topic: str) -> Generator[Messages, None, None]:
    for file in files:
        with _database(file) as database:
            found = database.execute(
                "SELECT timestamp, data FROM messages WHERE topic_id IN (SELECT id FROM topics WHERE name = ?) "
                "ORDER BY messages.rowid",
                (topic,),
            )
            while some := found.fetchmany(_AT_ONCE):
                if not all(isinstance(time, int) and isinstance(data, bytes) for time, data in some):
                    raise TypeError("a message that is no blob with a time")
                yield Messages([time for time, _ in some], [data for _, data in some])


def _bag1(path: Path) -> tuple[Table, ...]:
    try:
        import rosbags  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(f"{path}: a ROS 1 bag needs rosbags ({error}): {install_hint('rosbags')}") from error
    with _bag1_opened(path) as reader:
        found = {each.topic: each.msgtype for each in reader.connections}
        counts = {topic: info.msgcount for topic, info in reader.topics.items()}
    wanted = [name for name, kind in found.items() if kind in TYPES]
    if not wanted:
        raise no_topic(str(path), found)

    def messages(topic: str) -> Generator[Messages, None, None]:
        with _bag1_opened(path) as reader:
            chosen = [each for each in reader.connections if each.topic == topic and each.msgtype in TYPES]
            every = ((time, data) for _, time, data in reader.messages(chosen))
            while some := list(islice(every, _AT_ONCE)):
                yield Messages([time for time, _ in some], [data for _, data in some])

    return tuple(
        imu_table(name, f"{path}: {name}", "ros1", partial(messages, name), rows=counts.get(name))
        for name in sorted(wanted)
    )


@contextmanager
def _bag1_opened(path: Path) -> Iterator[rosbag1.Reader]:
    from rosbags import rosbag1

    errors = (rosbag1.ReaderError, OSError, ValueError, KeyError, IndexError, TypeError, struct.error, AssertionError)
    more = (EOFError, RuntimeError, OverflowError, MemoryError, AttributeError, UnicodeError)
    with intact(str(path), "a bag of ROS 1", *errors, *more), rosbag1.Reader(path) as reader:
        yield reader


def _recognises(path: Path, head: bytes) -> int:
    if path.is_dir():
        about = path / "metadata.yaml"
        return 3 * (about.is_file() and b"rosbag2_bagfile_information" in single(about).head())
    if head.startswith(_ROS1):
        return 3
    return 3 * (head.startswith(_SQLITE) and b"serialization_format" in head and b"topics" in head)


READER = table_reader("ros", _recognises, tables)

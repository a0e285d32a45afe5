"""Bags of ROS 1 and ROS 2: made by rosbags; SQLite's by hand, too."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, UNIX_NS
from reading import six, whole

from motionsig.errors import MissingExtraError, RecordingError
from motionsig.recordings.formats.ros import READER, tables

pytest.importorskip("rosbags")


def database(path: Path, topics: dict[str, str], rows: list[tuple[int, int, object]], script: str = "") -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(
        script
        or "CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, serialization_format TEXT);"
        "CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER, data BLOB);"
    )
    if not script:
        values = [(at, name, kind, "cdr") for at, (name, kind) in enumerate(topics.items(), start=1)]
        connection.executemany("INSERT INTO topics VALUES (?, ?, ?, ?)", values)
        connection.executemany("INSERT INTO messages(topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
    connection.commit()
    connection.close()
    return path


@pytest.mark.parametrize("made", [made_logs.ros1, made_logs.ros2, made_logs.ros2_mcap])
def test_a_topic_is_a_table_with_the_stamps_of_its_headers(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    path = made(tmp_path)
    head = b"" if path.is_dir() else path.read_bytes()[:65536]
    assert READER.recognises(path, head) == 3
    (table,) = tables(path)
    assert table.name == "/imu/data"
    columns, breaks = whole(table)
    np.testing.assert_array_equal(six(columns), DATA)
    np.testing.assert_array_equal(columns["time"].astype(np.int64), UNIX_NS + np.arange(COUNT) * 10_000_000)
    assert not breaks
    facts = {fact.what: (fact.value, fact.how) for fact in table.facts}
    assert facts["time stamps"] == (
        "the stamps in the headers; the messages were received 3 ms later (median)",
        "written",
    )
    assert facts["units"][0].startswith("m/s² with gravity, rad/s")


def test_one_file_of_a_bag_is_enough(tmp_path: Path) -> None:
    (file,) = made_logs.ros2(tmp_path).glob("*.db3")
    assert READER.recognises(file, file.read_bytes()[:65536]) == 3
    assert tables(file)[0].name == "/imu/data"


def test_the_files_of_a_bag_follow_each_other_by_number(tmp_path: Path) -> None:
    (whole_file,) = made_logs.ros2(tmp_path).glob("*.db3")
    connection = sqlite3.connect(whole_file)
    rows = connection.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY id").fetchall()
    connection.close()
    folder = tmp_path / "split"
    folder.mkdir()
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information:\n")
    for number in range(12):
        part = rows[number * COUNT // 12 : (number + 1) * COUNT // 12]
        database(folder / f"split_{number}.db3", {"/imu/data": "sensor_msgs/msg/Imu"}, part)
    assert READER.recognises(folder, b"") == 3
    np.testing.assert_array_equal(six(whole(tables(folder)[0])[0]), DATA)


def test_a_folder_of_other_things_is_no_bag(tmp_path: Path) -> None:
    assert READER.recognises(tmp_path, b"") == 0
    (tmp_path / "metadata.yaml").write_text("name: mine\n")
    assert READER.recognises(tmp_path, b"") == 0
    database(tmp_path / "other.db3", {}, [], script="CREATE TABLE walks(a)")
    assert READER.recognises(tmp_path / "other.db3", (tmp_path / "other.db3").read_bytes()) == 0


def test_packed_files_and_other_topics_are_named(tmp_path: Path) -> None:
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information:\n")
    (tmp_path / "bag_0.db3.zstd").write_bytes(b"")
    with pytest.raises(RecordingError, match=r"expected \.db3 or \.mcap files beside metadata\.yaml"):
        tables(tmp_path)
    other = database(tmp_path / "other.db3", {"/scan": "sensor_msgs/msg/LaserScan"}, [])
    with pytest.raises(RecordingError, match=r"of the type sensor_msgs/msg/Imu, got /scan \(sensor_msgs/msg/LaserScan"):
        tables(other)
    empty = database(tmp_path / "empty.db3", {"/imu": "sensor_msgs/msg/Imu"}, [(1, 5, b"\0\1\0\0cut short")])
    with pytest.raises(
        RecordingError, match=r"empty.db3: /imu: expected messages of the type .* got none that is whole"
    ):
        tables(empty)


@pytest.mark.parametrize(
    "script",
    [
        "CREATE VIEW messages AS SELECT 1; CREATE TABLE topics(id, name, type, serialization_format);",
        "CREATE TABLE topics(id, name, type, serialization_format);",
        "CREATE TABLE topics(a); CREATE TABLE messages(b);",
    ],
)
def test_tables_that_are_none_of_a_bag_are_refused(tmp_path: Path, script: str) -> None:
    with pytest.raises(RecordingError, match=r"odd\.db3: expected "):
        tables(database(tmp_path / "odd.db3", {}, [], script=script))


@pytest.mark.parametrize("row", [(1, 5, "text"), (1, "noon", b"data")])
def test_messages_that_are_no_bytes_are_refused(tmp_path: Path, row: tuple[int, int, object]) -> None:
    with pytest.raises(RecordingError, match=r"odd\.db3: expected intact SQLite of a ROS 2 bag"):
        tables(database(tmp_path / "odd.db3", {"/imu": "sensor_msgs/msg/Imu"}, [row]))


def test_a_cut_bag_of_ros1_is_named(tmp_path: Path) -> None:
    path = made_logs.ros1(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(RecordingError, match=r"log\.bag: expected intact a bag of ROS 1|log\.bag: expected"):
        tables(path)


def test_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made_logs.ros1(tmp_path)
    monkeypatch.setitem(sys.modules, "rosbags", None)
    with pytest.raises(MissingExtraError, match=r"a ROS 1 bag needs rosbags .*-m pip install 'rosbags>="):
        tables(path)

"""Messages of sensor_msgs/Imu: made by hand, so that each field can be another."""

from __future__ import annotations

import struct
from collections.abc import Generator, Sequence

import numpy as np
import pytest
from reading import six, whole

from motionsig.errors import RecordingError
from motionsig.recordings.formats.imu_messages import Coding, Messages, imu_table
from motionsig.recordings.tables import Table

START_NS = 1_718_030_736_000_000_000
STEP_NS = 10_000_000
NUMBERS = np.arange(37, dtype=np.float64)
NUMBERS[[4, 16, 28]] = 0  # the first of each covariance


def message(
    index: int, *, coding: str = "cdr", frame: str = "imu", numbers: np.ndarray = NUMBERS, start_ns: int = START_NS
) -> bytes:
    stamp = divmod(start_ns + index * STEP_NS, 10**9)
    if coding == "ros1":
        return struct.pack("<III", index, *stamp) + struct.pack("<I", len(frame)) + frame.encode() + numbers.tobytes()
    order = ">" if coding == "big" else "<"
    name = frame.encode() + b"\0"
    body = struct.pack(f"{order}iII", *stamp, len(name)) + name
    body += bytes(-len(body) % 8) + numbers.astype(f"{order}f8").tobytes()
    return (b"\0\0\0\0" if coding == "big" else b"\0\1\0\0") + body


def table(messages: Sequence[bytes], *, coding: Coding = "cdr", received_ns: int = START_NS, step: int = 7) -> Table:
    def topic() -> Generator[Messages, None, None]:
        times = [received_ns + index * STEP_NS for index in range(len(messages))]
        for at in range(0, len(messages), step):
            yield Messages(times[at : at + step], messages[at : at + step])

    return imu_table("/imu", "log: /imu", coding, topic)


@pytest.mark.parametrize("coding", ["cdr", "big", "ros1"])
@pytest.mark.parametrize("frame", ["", "imu", "imu_link", "a_name_of_20_letters"])
def test_the_numbers_are_where_the_name_of_the_frame_puts_them(coding: str, frame: str) -> None:
    made = [message(index, coding=coding, frame=frame) for index in range(20)]
    columns, breaks = whole(table(made, coding="ros1" if coding == "ros1" else "cdr"))
    np.testing.assert_array_equal(six(columns), np.tile([25, 26, 27, 13, 14, 15], (20, 1)))
    np.testing.assert_array_equal(columns["time"].astype(np.int64), START_NS + np.arange(20) * STEP_NS)
    assert not breaks


def test_frames_of_different_length_in_one_topic_are_read() -> None:
    made = [message(index, frame="imu" * (1 + index % 3)) for index in range(20)]
    np.testing.assert_array_equal(six(whole(table(made))[0])[:, 0], np.full(20, 25))


def test_a_message_that_is_cut_short_is_a_break() -> None:
    made = [message(index) for index in range(20)]
    made[7] = made[7][:-1]
    made[19] = b""
    columns, breaks = whole(table(made))
    assert len(columns["time"]) == 18 and breaks == [7]


def test_a_quantity_that_the_sensor_has_not_is_no_column() -> None:
    numbers = NUMBERS.copy()
    numbers[16] = -1
    found = table([message(index, numbers=numbers) for index in range(5)])
    assert found.names == ("time", "acc_x [m/s^2]", "acc_y [m/s^2]", "acc_z [m/s^2]")


def test_a_quantity_that_is_absent_now_and_then_is_nan() -> None:
    absent = NUMBERS.copy()
    absent[28] = -1
    columns, _ = whole(table([message(index, numbers=absent if index == 3 else NUMBERS) for index in range(5)]))
    assert np.isnan(columns["acc_x [m/s^2]"]).tolist() == [False] * 3 + [True, False]
    assert columns["gyr_x [rad/s]"].tolist() == [13] * 5


def test_stamps_that_stand_still_give_way_to_the_times_of_reception() -> None:
    found = table([message(0, start_ns=0) for _ in range(20)], received_ns=START_NS + 5)
    columns, _ = whole(found)
    np.testing.assert_array_equal(columns["time"].astype(np.int64), START_NS + 5 + np.arange(20) * STEP_NS)
    assert ("time stamps", "shown") in {(fact.what, fact.how) for fact in found.facts}


def test_stamps_since_the_start_of_a_computer_are_moved_to_the_time_of_day() -> None:
    found = table([message(index, start_ns=10**12) for index in range(20)], received_ns=START_NS)
    columns, _ = whole(found)
    np.testing.assert_array_equal(columns["time"].astype(np.int64), START_NS + np.arange(20) * STEP_NS)
    (stamps,) = (fact for fact in found.facts if fact.what == "time stamps")
    assert "moved to the times of reception" in stamps.value and stamps.how == "shown"


def test_other_bytes_are_no_messages() -> None:
    with pytest.raises(RecordingError, match="log: /imu: expected messages of the type sensor_msgs/msg/Imu"):
        table([b"\0\7" + message(0)[2:], b"x", b""])

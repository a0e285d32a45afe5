"""Samples out as MCAP: messages of sensor_msgs/msg/Imu in CDR, which ROS 2, rosbags and Foxglove read. Needs mcap.

All messages of a block are made at once. Gaps and labels are messages of topics beside it, so that our own reader gives
the same samples, gaps and labels back: float64 holds a float32 exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError, MissingExtraError
from motionsig.hints import install_hint
from motionsig.recordings.formats.mcap import GAP, LABEL

TOPIC = "/imu"

_CDR = b"\0\1\0\0"
_FRAME = b"imu\0"
_MESSAGE = np.dtype(
    [
        *(("cdr", "<u4"), ("s", "<i4"), ("ns", "<u4"), ("length", "<u4"), ("frame", "S4")),
        *(("orientation", "<f8", 4), ("of_orientation", "<f8", 9)),
        *(("gyr", "<f8", 3), ("of_gyr", "<f8", 9), ("acc", "<f8", 3), ("of_acc", "<f8", 9)),
    ]
)
"""In CDR the numbers begin at a multiple of eight after the first four bytes: with this frame's name, at once."""

_LINE = "\n" + "=" * 80 + "\n"
_VECTOR = "float64 x\nfloat64 y\nfloat64 z"
_IMU = _LINE.join(
    (
        "std_msgs/Header header\n"
        "geometry_msgs/Quaternion orientation\nfloat64[9] orientation_covariance\n"
        "geometry_msgs/Vector3 angular_velocity\nfloat64[9] angular_velocity_covariance\n"
        "geometry_msgs/Vector3 linear_acceleration\nfloat64[9] linear_acceleration_covariance",
        "MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id",
        "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec",
        f"MSG: geometry_msgs/Quaternion\n{_VECTOR}\nfloat64 w",
        f"MSG: geometry_msgs/Vector3\n{_VECTOR}",
    )
)
_LAST_S = 2**31


def write_mcap(
    path: Path, blocks: Iterable[SampleBlock], info: SourceInfo, *, compression: Literal["zstd", "none"] = "zstd"
) -> int:
    """Write all samples to a new file at `path`; return how many. The topic is TOPIC.

    info: its name, format and what is known of it go into the file's metadata. Raises InputError for times before 1970
    or after 2038, which a stamp of ROS cannot hold, and MissingExtraError without mcap.
    """
    try:
        from mcap.writer import CompressionType, Writer
    except ImportError as error:
        raise MissingExtraError(f"{path}: writing MCAP needs mcap ({error}): {install_hint('mcap')}") from error
    packing = {"zstd": CompressionType.ZSTD, "none": CompressionType.NONE}[compression]
    count, label = 0, ""
    with path.open("wb") as file:
        writer = Writer(file, compression=packing)
        writer.start("ros2", "motionsig")

        def channel(topic: str, kind: str, definition: str) -> int:
            schema = writer.register_schema(f"{kind}", "ros2msg", definition.encode())
            return int(writer.register_channel(topic, "cdr", schema))

        samples = channel(TOPIC, "sensor_msgs/msg/Imu", _IMU)
        gaps = channel(TOPIC + GAP, "std_msgs/msg/Empty", "")
        labels: int | None = None
        for block in blocks:
            if not len(block):
                continue
            times = block.time_ns.tolist()
            if times[0] < 0 or times[-1] >= _LAST_S * NS_PER_S:
                raise InputError(f"{path}: expected times from 1970 to 2038 for MCAP, got {times[0]} ns")
            if block.gap:
                writer.add_message(gaps, times[0], _CDR + b"\0", times[0])
            if block.label != label:
                label = block.label
                labels = channel(TOPIC + LABEL, "std_msgs/msg/String", "string data") if labels is None else labels
                text = label.encode() + b"\0"
                writer.add_message(labels, times[0], _CDR + len(text).to_bytes(4, "little") + text, times[0])
            packed = _packed(block.time_ns, block.data)
            size = _MESSAGE.itemsize
            for at, time_ns in enumerate(times):
                writer.add_message(samples, time_ns, packed[at * size : (at + 1) * size], time_ns, count + at)
            count += len(block)
        about = {"name": info.name, "format": info.format, "stream_id": str(info.stream_id)}
        about |= {fact.what: f"{fact.value} ({fact.how})" for fact in info.facts}
        writer.add_metadata("motionsig", about)
        writer.finish()  # type: ignore[no-untyped-call]
    return count


def _packed(time_ns: NDArray[np.int64], data: NDArray[np.float32]) -> bytes:
    messages = np.zeros(len(time_ns), _MESSAGE)
    messages["cdr"] = int.from_bytes(_CDR, "little")
    messages["s"], messages["ns"] = np.divmod(time_ns, NS_PER_S)
    messages["length"], messages["frame"] = len(_FRAME), _FRAME
    messages["of_orientation"][:, 0] = -1  # no orientation
    messages["acc"], messages["gyr"] = data[:, :3], data[:, 3:]
    return messages.tobytes()

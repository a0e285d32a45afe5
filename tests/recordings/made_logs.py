"""The same made-up motion written as each of the formats, for tests only."""

from __future__ import annotations

import importlib
import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SourceInfo, sample_block
from motionsig.recordings.formats.mcap_writer import write_mcap

RATE_HZ = 100.0
COUNT = 400
HEADER = "time (s),acc_x (m/s^2),acc_y (m/s^2),acc_z (m/s^2),gyr_x (rad/s),gyr_y (rad/s),gyr_z (rad/s)"
UNIX_NS = 1_718_030_736_872_695_300


def motion(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 6): a device that lies nearly still, z up, and is turned a little."""
    t = time_s
    acc = [0.1 * np.sin(5 * t), 0.2 * np.cos(3 * t), 9.81 + 0.05 * np.sin(9 * t)]
    return np.column_stack([*acc, 0.3 * np.sin(4 * t), 0.2 * np.cos(6 * t), 0.1 * np.sin(t)])


TIME_S = np.arange(COUNT) / RATE_HZ
DATA = motion(TIME_S)


def text(
    header: str = HEADER,
    *,
    time: Callable[[int], str] = lambda i: f"{TIME_S[i]:.4f}",
    separator: str = ",",
    end: str = "\n",
    data: NDArray[np.float64] = DATA,
    decimals: int = 5,
) -> str:
    """Return a table of `data` below `header`."""
    rows = [separator.join([time(i), *(f"{value:.{decimals}f}" for value in row)]) for i, row in enumerate(data)]
    return end.join([header, *rows, ""])


def csv(folder: Path) -> Path:
    path = folder / "log.csv"
    path.write_text(text())
    return path


def sensor_table(times: list[str], values: NDArray[np.float64], header: str = "time,seconds_elapsed,z,y,x") -> str:
    """Return one of Sensor Logger's tables; its columns are z, y, x."""
    rows = [
        f"{time},{i / RATE_HZ:.6f},{z!r},{y!r},{x!r}"
        for i, (time, (x, y, z)) in enumerate(zip(times, values.tolist(), strict=True))
    ]
    return "\n".join([header, *rows, ""])


def sensor_logger(folder: Path, *, ios: bool = False, total: bool = True) -> Path:
    path = folder / "sensor_logger"
    path.mkdir()
    times = [str(UNIX_NS + i * 10_000_000) for i in range(COUNT)]
    gravity = np.tile([0.0, 0.0, 9.81], (COUNT, 1))
    sign = -1 if ios else 1
    if total:
        (path / "TotalAcceleration.csv").write_text(sensor_table(times, sign * DATA[:, :3]))
    (path / "Accelerometer.csv").write_text(sensor_table(times, sign * (DATA[:, :3] - gravity)))
    (path / "Gravity.csv").write_text(sensor_table(times, sign * gravity))
    later = [str(UNIX_NS + i * 10_000_000 + 3_000_000) for i in range(COUNT)]
    (path / "Gyroscope.csv").write_text(sensor_table(later, motion(TIME_S + 0.003)[:, 3:]))
    (path / "Metadata.csv").write_text(
        "version,device name,recording epoch time,recording time,recording timezone,platform,appVersion,device id,"
        "sensors,sampleRateMs,standardisation,platform version\n"
        f"3,Anna,1718030736872,2024-06-10_14-45-36,Europe/Berlin,{'ios' if ios else 'android'},1.40,a1b2,"
        "Accelerometer|Gyroscope,10|10,false,17\n"
    )
    return path


def zipped(folder: Path, path: Path | None = None) -> Path:
    """Zip the files of the folder that `folder` names."""
    target = (path or folder).with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, str(file.relative_to(folder.parent)))
    return target


def sensor_logger_zip(folder: Path) -> Path:
    return zipped(sensor_logger(folder))


def phyphox(
    folder: Path, *, header: str = "{} {} (m/s^2)", separator: str = ",", acc_name: str = "Acceleration"
) -> Path:
    path = folder / "phyphox"
    (path / "meta").mkdir(parents=True)
    for stem, sensor, unit, shift, columns in (
        ("Accelerometer", acc_name, "m/s^2", 0.0, slice(0, 3)),
        ("Gyroscope", "Gyroscope", "rad/s", 0.004, slice(3, 6)),
    ):
        names = [f'"{sensor} {axis} ({unit})"' for axis in "xyz"]
        values = motion(TIME_S + shift)[:, columns]
        rows = [separator.join(f"{it:.9E}" for it in (t + shift, *row)) for t, row in zip(TIME_S, values, strict=True)]
        (path / f"{stem}.csv").write_text("\n".join([separator.join(['"Time (s)"', *names]), *rows, ""]))
    (path / "meta" / "device.csv").write_text('"property","value"\n"deviceModel","Pixel 6a"\n')
    (path / "meta" / "time.csv").write_text(
        '"event","experiment time","system time","system time text"\n'
        '"START",0.000000000E0,1770000000.000,"2026-02-02 02:40:00.000 UTC+00:00"\n'
        '"PAUSE",2.000000000E0,1770000002.000,"2026-02-02 02:40:02.000 UTC+00:00"\n'
        '"START",2.000000000E0,1770000007.000,"2026-02-02 02:40:07.000 UTC+00:00"\n'
    )
    return path


def phyphox_zip(folder: Path) -> Path:
    return zipped(phyphox(folder))


def android(folder: Path) -> Path:
    path = folder / "android"
    path.mkdir()
    for stem, shift, columns in (("Accelerometer", 0.0, slice(0, 3)), ("Gyroscope", 0.302, slice(3, 6))):
        values = motion(TIME_S + shift)[:, columns]
        rows = [
            f"{round((t + shift) * 1e9)},{x!r},{y!r},{z!r},2"
            for t, (x, y, z) in zip(TIME_S, values.tolist(), strict=True)
        ]
        (path / f"{stem}.txt").write_text("\n".join([*rows, ""]))
    return path


def npz(folder: Path) -> Path:
    path = folder / "log.npz"
    np.savez(path, acc_mps2=DATA[:, :3], gyr_rads=DATA[:, 3:], sampling_rate=RATE_HZ)
    return path


def npz_with_time(folder: Path) -> Path:
    path = folder / "timed.npz"
    np.savez_compressed(path, accel_mps2=DATA[:, :3].astype(np.float32), gyro_rad_s=DATA[:, 3:], time=1.7e9 + TIME_S)
    return path


def parquet(folder: Path) -> Path:
    import pyarrow
    import pyarrow.parquet

    path = folder / "log.parquet"
    names = HEADER.split(",")
    table = pyarrow.table(dict(zip(names, np.column_stack([TIME_S, DATA]).T, strict=True)))
    pyarrow.parquet.write_table(table, path)
    return path


def npy(folder: Path) -> Path:
    path = folder / "log.npy"
    kind = [("time", "f8"), ("acc_mps2", "f8", 3), ("gyr_rads", "f4", 3)]
    np.save(path, np.array([(t, row[:3], row[3:]) for t, row in zip(TIME_S, DATA, strict=True)], kind))
    return path


def feather(folder: Path) -> Path:
    import pyarrow
    import pyarrow.feather

    path = folder / "log.feather"
    names = HEADER.split(",")
    table = pyarrow.table(dict(zip(names, np.column_stack([TIME_S, DATA]).T, strict=True)))
    pyarrow.feather.write_feather(table, str(path), chunksize=150)
    return path


def hdf5(folder: Path) -> Path:
    import h5py

    path = folder / "log.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("imu")
        group.create_dataset("acc", data=DATA[:, :3], chunks=(64, 3), compression="gzip").attrs["units"] = "m/s^2"
        group.create_dataset("gyr", data=DATA[:, 3:].astype(np.float32)).attrs["units"] = "rad/s"
        group.attrs["fs"] = RATE_HZ
    return path


def edge_impulse_document() -> dict[str, Any]:
    names, units = ("accX", "accY", "accZ", "gyrX", "gyrY", "gyrZ"), ("m/s2",) * 3 + ("rad/s",) * 3
    return {
        "protected": {"ver": "v1", "alg": "none", "iat": 1_718_030_736},
        "signature": "00" * 32,
        "payload": {
            "device_type": "BOARD",
            "interval_ms": 1000 / RATE_HZ,
            "sensors": [{"name": name, "units": unit} for name, unit in zip(names, units, strict=True)],
            "values": DATA.tolist(),
        },
    }


def edge_impulse(folder: Path) -> Path:
    path = folder / "window.json"
    path.write_text(json.dumps(edge_impulse_document()))
    return path


def edge_impulse_cbor(folder: Path) -> Path:
    path = folder / "window.cbor"
    path.write_bytes(cbor2.dumps(edge_impulse_document()))
    return path


CWA_EACH = 25
"""Samples in a sector: a quarter of a second, which the fraction in a sector can say."""


def cwa_sector(number: int, start_ns: int, counts: NDArray[np.int16], *, axes: int = 6) -> bytes:
    """Return one sector of an Axivity log at 100 Hz, 8 g and 250 deg/s. counts: (n, axes), angular rate first."""
    at = np.datetime64(start_ns // 10**9, "s").item()
    date = (at.year - 2000) << 26 | at.month << 22 | at.day << 17
    packed = date | at.hour << 12 | at.minute << 6 | at.second
    fraction = (start_ns % 10**9 << 15) // 10**9
    # Lowered by the samples in the fraction, for readers that know no fraction.
    offset = -((fraction << 1) * int(RATE_HZ) >> 16)
    head = struct.pack("<2sHHIIIHH", b"AX", 508, 0x8000 | fraction, 7, number, packed, 4 << 13 | 5 << 10, 0)
    head += struct.pack("<BBBBhH", 0, 0, 0x40 | 10, axes << 4 | 2, offset, len(counts))
    body = (head + counts.astype("<i2").tobytes()).ljust(510, b"\0")
    return body + struct.pack("<H", -int(np.frombuffer(body, "<u2").sum(dtype=np.uint32)) & 0xFFFF)


CWA_UNITS = np.array([250 / 32768 * np.pi / 180] * 3 + [9.80665 / 4096] * 3)
CWA_HEADER = struct.pack("<2sHBHIH", b"MD", 1020, 0x64, 1234, 7, 0).ljust(1024, b"\xff")


def cwa(folder: Path) -> Path:
    path = folder / "log.cwa"
    counts = np.rint(DATA[:, [3, 4, 5, 0, 1, 2]] / CWA_UNITS).astype(np.int16)
    starts = range(0, COUNT, CWA_EACH)
    sectors = [
        cwa_sector(at // CWA_EACH, 1_718_030_736 * 10**9 + at * 10_000_000, counts[at : at + CWA_EACH]) for at in starts
    ]
    path.write_bytes(CWA_HEADER + b"".join(sectors))
    return path


GT3X_SCALES = {"Accelerometer": 2048.0, "Gyroscope": 131.072}


def gt3x_record(kind: int, time_s: int, payload: bytes) -> bytes:
    record = struct.pack("<BBIH", 0x1E, kind, time_s, len(payload)) + payload
    return record + bytes([0xFF ^ int(np.bitwise_xor.reduce(np.frombuffer(record, np.uint8)))])


def gt3x_log(*, gyroscope: bool = True) -> bytes:
    """Return the records of an ActiGraph: the columns of its sensors, and a second in each record after that."""
    columns, counts = b"", []
    for sensor, scale in GT3X_SCALES.items():
        for axis in "XYZ":
            # 24 bits of fraction and 8 of exponent: 2048 is 0.5 * 2^12.
            exponent = int(np.ceil(np.log2(scale + 0.5)))
            encoded = exponent << 24 | round(scale / 2**exponent * 2**23)
            columns += struct.pack("<BBBI16s", 3, 0, 16, encoded, f"{sensor} {axis}".encode().ljust(16))
    scales = np.array([9.80665 / 2048.0] * 3 + [np.pi / 180 / 131.072] * 3)
    counts = np.rint(DATA / scales).astype(">i2")
    records = gt3x_record(26, 1_718_030_735, bytes(180))
    if gyroscope:
        records += gt3x_record(24, 1_718_030_736, struct.pack("<HHH", 1, 6, int(RATE_HZ)) + columns)
        for second in range(COUNT // 100):
            part = counts[second * 100 : second * 100 + 100]
            records += gt3x_record(25, 1_718_030_736 + second, struct.pack("<H", 1) + part.tobytes())
    return records


def gt3x(folder: Path, log: bytes | None = None) -> Path:
    path = folder / "log.gt3x"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("info.txt", "Serial Number: TAS1\nDevice Type: Link\nTimeZone: -05:00:00\n")
        archive.writestr("log.bin", gt3x_log() if log is None else log)
    return path


def imu_messages(
    store: Any, serialise: Callable[..., bytes], *, lag_ns: int = 3_000_000
) -> Iterator[tuple[int, bytes]]:
    """Yield the motion as messages of sensor_msgs/Imu, with the times at which they were received."""
    types = store.types
    none = np.zeros(9)
    for index, row in enumerate(DATA.tolist()):
        time_ns = UNIX_NS + index * 10_000_000
        stamp = types["builtin_interfaces/msg/Time"](time_ns // 10**9, time_ns % 10**9)
        number = {"seq": index} if "seq" in types["std_msgs/msg/Header"].__dataclass_fields__ else {}
        header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="imu_link", **number)
        acc, gyr = (types["geometry_msgs/msg/Vector3"](*it) for it in (row[:3], row[3:]))
        turned = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
        message = types["sensor_msgs/msg/Imu"](header, turned, none, gyr, none, acc, none)
        yield time_ns + lag_ns, bytes(serialise(message, "sensor_msgs/msg/Imu"))


def ros1(folder: Path) -> Path:
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    path, store = folder / "log.bag", get_typestore(Stores.ROS1_NOETIC)
    with Writer(path) as writer:
        connection = writer.add_connection("/imu/data", "sensor_msgs/msg/Imu", typestore=store)
        for received_ns, message in imu_messages(store, store.serialize_ros1):
            writer.write(connection, received_ns, message)
    return path


def ros2(folder: Path, *, storage: str = "SQLITE3") -> Path:
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    path, store = folder / "bag", get_typestore(Stores.ROS2_HUMBLE)
    with Writer(path, version=8, storage_plugin=StoragePlugin[storage]) as writer:
        connection = writer.add_connection("/imu/data", "sensor_msgs/msg/Imu", typestore=store)
        for received_ns, message in imu_messages(store, store.serialize_cdr):
            writer.write(connection, received_ns, message)
    return path


def ros2_mcap(folder: Path) -> Path:
    return ros2(folder, storage="MCAP")


def mcap(folder: Path) -> Path:
    path = folder / "log.mcap"
    info = SourceInfo("walk", "made", 1)
    blocks = [sample_block(UNIX_NS + np.arange(COUNT) * 10_000_000, DATA)]
    write_mcap(path, blocks, info)
    return path


ULOG_FORMAT = (
    "sensor_combined:uint64_t timestamp;float[3] gyro_rad;uint32_t gyro_integral_dt;"
    "int32_t accelerometer_timestamp_relative;float[3] accelerometer_m_s2;"
)


def ulog_message(kind: str, content: bytes) -> bytes:
    return struct.pack("<HB", len(content), ord(kind)) + content


def ulog(folder: Path) -> Path:
    path = folder / "log.ulg"
    start_us = 20_000_000
    log = b"ULog\x01\x12\x35\x01" + struct.pack("<Q", start_us)
    log += ulog_message("B", bytes(40)) + ulog_message("F", ULOG_FORMAT.encode())
    log += ulog_message("A", struct.pack("<BH", 0, 5) + b"sensor_combined")
    for index, row in enumerate(DATA.tolist()):
        fields = struct.pack("<Q3fIi3f", start_us + index * 10_000, *row[3:], 10_000, 0, *row[:3])
        log += ulog_message("D", struct.pack("<H", 5) + fields)
    path.write_bytes(log)
    return path


FORMATS: dict[str, Callable[[Path], Path]] = {
    "csv": csv,
    "sensor logger": sensor_logger,
    "sensor logger zip": sensor_logger_zip,
    "phyphox": phyphox,
    "phyphox zip": phyphox_zip,
    "android": android,
    "npz": npz,
    "npz with time": npz_with_time,
    "npy": npy,
    "edge impulse": edge_impulse,
    "edge impulse cbor": edge_impulse_cbor,
    "cwa": cwa,
    "gt3x": gt3x,
}
EXTRAS: dict[str, dict[str, Callable[[Path], Path]]] = {
    "pyarrow.parquet": {"parquet": parquet, "feather": feather},
    "h5py": {"hdf5": hdf5},
    "rosbags": {"ros1": ros1, "ros2": ros2, "ros2 mcap": ros2_mcap},
    "mcap": {"mcap": mcap},
    "pyulog": {"ulog": ulog},
}
for _library, _formats in EXTRAS.items():
    try:
        importlib.import_module(_library)
    except ImportError:  # an extra; and a new pyarrow beside an old numpy
        continue
    FORMATS |= _formats

COARSE = {"log.cwa": 1.3e-3, "log.gt3x": 2.5e-3}
"""Of logs of whole counts, by name: half a count in SI units."""


def training_set() -> bytes:
    buffer = io.BytesIO()
    counts = np.rint(DATA / 0.001).astype(np.int16)
    np.savez(
        buffer,
        acc_q=np.tile(counts[:, :3].T, 2),
        gyr_q=np.tile(counts[:, 3:].T, 2),
        acc_scale=0.001,
        gyr_scale=0.001,
        offsets=[0, COUNT, 2 * COUNT],
        fs_hz=np.float32([100, 50]),
    )
    return buffer.getvalue()

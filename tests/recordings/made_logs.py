"""The same made-up motion written as each of the formats, for tests only."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
    np.savez(path, acc=DATA[:, :3], gyr=DATA[:, 3:], sampling_rate=RATE_HZ)
    return path


def npz_with_time(folder: Path) -> Path:
    path = folder / "timed.npz"
    np.savez_compressed(path, accel=DATA[:, :3].astype(np.float32), gyro=DATA[:, 3:], time=1.7e9 + TIME_S)
    return path


def parquet(folder: Path) -> Path:
    import pyarrow
    import pyarrow.parquet

    path = folder / "log.parquet"
    names = HEADER.split(",")
    table = pyarrow.table(dict(zip(names, np.column_stack([TIME_S, DATA]).T, strict=True)))
    pyarrow.parquet.write_table(table, path)
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
}
try:
    import pyarrow.parquet as _pq
except ImportError:  # an extra; and a new pyarrow beside an old numpy
    pass
else:
    del _pq
    FORMATS["parquet"] = parquet


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

"""Phone apps: one table per sensor, and their traps."""

from __future__ import annotations

from pathlib import Path

import made_logs
import numpy as np
import pytest
from made_logs import COUNT, DATA, TIME_S, UNIX_NS, motion, sensor_table
from test_recordings import samples

from motionsig.errors import InputError, RecordingError
from motionsig.recordings import open_recording


def table(stem: str, folder: Path) -> Path:
    return next(it for it in folder.iterdir() if it.stem == stem)


def test_sensor_logger_has_its_columns_reversed_and_gravity_apart(tmp_path: Path) -> None:
    folder = made_logs.sensor_logger(tmp_path)
    source = open_recording(folder)
    time_ns, data, _ = samples(source)
    assert source.info.format == "sensor logger"
    assert source.info.device == "a1b2"
    assert time_ns[0] == UNIX_NS + 10_000_000
    np.testing.assert_allclose(data[:, :3], DATA[1:, :3], atol=1e-6)
    np.testing.assert_allclose(data[12:-12, 3:], DATA[13:-12, 3:], atol=1e-6)


def test_sensor_logger_without_the_total_takes_the_sum(tmp_path: Path) -> None:
    _, data, _ = samples(open_recording(made_logs.sensor_logger(tmp_path, total=False)))
    np.testing.assert_allclose(data[:, :3], DATA[1:, :3], atol=1e-6)


def test_sensor_logger_without_gravity_is_refused(tmp_path: Path) -> None:
    folder = made_logs.sensor_logger(tmp_path, total=False)
    table("Gravity", folder).unlink()
    with pytest.raises(RecordingError, match="linear acceleration has gravity removed: record the raw"):
        open_recording(folder)


@pytest.mark.parametrize("total", [True, False])
def test_an_iphone_sees_the_opposite_sign(tmp_path: Path, total: bool, caplog: pytest.LogCaptureFixture) -> None:
    folder = made_logs.sensor_logger(tmp_path, ios=True, total=total)
    _, data, _ = samples(open_recording(folder))
    np.testing.assert_allclose(data[:, :3], DATA[1:, :3], atol=1e-6)
    metadata = table("Metadata", folder)
    metadata.write_text(metadata.read_text().replace("false", "true"))
    _, data, _ = samples(open_recording(folder))
    np.testing.assert_allclose(data[:, :3], -DATA[1:, :3], atol=1e-6)  # said to be standardised: taken at its word
    assert not caplog.text
    metadata.unlink()
    open_recording(folder)
    assert "no Metadata.csv that says the platform" in caplog.text
    _, data, _ = samples(open_recording(folder, acc_sign=-1))
    np.testing.assert_allclose(data[:, :3], DATA[1:, :3], atol=1e-6)
    with pytest.raises(InputError, match="acc_sign: expected 1 or -1, got 2"):
        open_recording(folder, acc_sign=2)


def test_a_sign_makes_another_stream_id(tmp_path: Path) -> None:
    folder = made_logs.sensor_logger(tmp_path)
    assert open_recording(folder).info.stream_id != open_recording(folder, acc_sign=-1).info.stream_id


def test_phyphox_counts_from_its_start_and_pauses(tmp_path: Path) -> None:
    source = open_recording(made_logs.phyphox(tmp_path))
    time_ns, data, _ = samples(source)
    assert source.info.format == "phyphox"
    assert time_ns[0] == 1_770_000_000_010_000_000
    assert np.flatnonzero(np.diff(time_ns) > 20_000_000).tolist() == [198]
    assert np.diff(time_ns)[198] == 5_010_000_000
    lost = np.isnan(data).any(axis=1)
    assert set(np.flatnonzero(lost)) <= {
        198,
        199,
    }  # between the last gyroscope sample before the pause and the first after


def test_phyphox_without_meta_starts_at_zero(tmp_path: Path) -> None:
    folder = made_logs.phyphox(tmp_path)
    for file in (folder / "meta").iterdir():
        file.unlink()
    time_ns, data, _ = samples(open_recording(folder))
    assert time_ns[0] == 10_000_000
    assert not np.isnan(data).any()


def test_phyphox_short_headers(tmp_path: Path) -> None:
    folder = made_logs.phyphox(tmp_path)
    for stem in ("Accelerometer", "Gyroscope"):
        file = table(stem, folder)
        file.write_text("\n".join(['"t","x","y","z"', *file.read_text().split("\n")[1:]]))
    _, data, _ = samples(open_recording(made_logs.zipped(folder)))
    np.testing.assert_allclose(data[12:180], DATA[13:181], atol=1e-6)


def test_phyphox_semicolons_and_decimal_commas(tmp_path: Path) -> None:
    folder = made_logs.phyphox(tmp_path, separator=";")
    for stem in ("Accelerometer", "Gyroscope"):
        file = table(stem, folder)
        head, _, rest = file.read_text().partition("\n")
        file.write_text(head + "\n" + rest.replace(".", ","))
    _, data, _ = samples(open_recording(folder))
    np.testing.assert_allclose(data[12:180], DATA[13:181], atol=1e-6)


def test_phyphox_linear_acceleration_is_refused(tmp_path: Path) -> None:
    folder = made_logs.phyphox(tmp_path, acc_name="Linear Acceleration")
    table("Accelerometer", folder).rename(folder / "Linear Accelerometer.csv")
    with pytest.raises(RecordingError, match=r"Linear Accelerometer\.csv:1: .*gravity removed"):
        open_recording(folder)


@pytest.mark.parametrize("name", ["", "Accelerometer.txt", "Gyroscope.txt"])
def test_android_by_folder_or_either_file(tmp_path: Path, name: str) -> None:
    folder = made_logs.android(tmp_path)
    source = open_recording(folder / name)
    time_ns, data, _ = samples(source)
    assert source.info.format == "android"
    assert time_ns[0] == 310_000_000
    np.testing.assert_allclose(data[12:-12], motion(time_ns / 1e9)[12:-12], atol=1e-6)


def test_a_missing_sensor_is_named(tmp_path: Path) -> None:
    folder = made_logs.android(tmp_path)
    table("Gyroscope", folder).unlink()
    with pytest.raises(RecordingError, match=r"Accelerometer\.txt:1: expected .*what is missing is a gyroscope"):
        open_recording(folder)
    with pytest.raises(RecordingError, match=r"Accelerometer\.txt:1: expected .*what is missing is a gyroscope"):
        open_recording(folder / "Accelerometer.txt")


def test_two_tables_of_one_sensor_are_refused(tmp_path: Path) -> None:
    folder = made_logs.android(tmp_path)
    (folder / "acc.txt").write_text((folder / "Accelerometer.txt").read_text())
    with pytest.raises(RecordingError, match=r"one table of an accelerometer, got Accelerometer\.txt and acc\.txt"):
        open_recording(folder)


def test_a_single_table_is_not_joined_with_an_unrelated_one_beside_it(tmp_path: Path) -> None:
    folder = made_logs.phyphox(tmp_path)
    walk = table("Accelerometer", folder).rename(folder / "walk acc.csv")
    table("Gyroscope", folder).rename(folder / "run gyr.csv")
    with pytest.raises(RecordingError, match=r"walk acc\.csv:1: expected columns for .*what is missing is a gyroscope"):
        open_recording(walk)


def test_clocks_of_different_origin_are_refused(tmp_path: Path) -> None:
    folder = made_logs.sensor_logger(tmp_path)
    table("Gyroscope", folder).write_text(sensor_table([str(i * 10_000_000) for i in range(COUNT)], DATA[:, 3:]))
    with pytest.raises(RecordingError, match="expected clocks with the same origin, got times from 1718"):
        open_recording(folder)


def test_a_gap_of_the_gyroscope_is_lost_samples(tmp_path: Path) -> None:
    folder = made_logs.android(tmp_path)
    file = table("Gyroscope", folder)
    lines = file.read_text().split("\n")
    file.write_text("\n".join(lines[:100] + lines[150:]))
    time_ns, data, _ = samples(open_recording(folder))
    lost = np.isnan(data[:, 3:]).any(axis=1)
    assert np.isfinite(data[:, :3]).all()
    assert (time_ns[lost].min(), time_ns[lost].max()) == (1_300_000_000, 1_800_000_000)
    np.testing.assert_allclose(data[~lost][12:-12], motion(time_ns[~lost] / 1e9)[12:-12], atol=2e-4)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (50, "490000000,1,2,x,2", r"Accelerometer\.txt:50: expected a number in column 3, got 'x'"),
        (50, "1,1,2,3,2", r"Accelerometer\.txt:1: expected times that increase, got 1 after 480000000 ns"),
    ],
)
def test_damage_is_named(tmp_path: Path, line: int, text: str, message: str) -> None:
    folder = made_logs.android(tmp_path)
    file = table("Accelerometer", folder)
    lines = file.read_text().split("\n")
    lines[line - 1] = text
    file.write_text("\n".join(lines))
    with pytest.raises(RecordingError, match=message):
        open_recording(folder)


def test_coarse_times_give_way_to_the_exact_ones_beside_them(tmp_path: Path) -> None:
    folder = made_logs.sensor_logger(tmp_path)
    coarse = [f"{UNIX_NS + i // 3 * 30_000_000}" for i in range(COUNT)]
    table("Gyroscope", folder).write_text(sensor_table(coarse, DATA[:, 3:]))
    source = open_recording(folder)
    assert source.rate_hz == pytest.approx(100, rel=1e-3)
    assert any(fact.value == "a count of s in 'seconds_elapsed'" for fact in source.info.facts)


def test_gravity_removed_is_seen_whatever_the_table_is_called(tmp_path: Path) -> None:
    folder = made_logs.sensor_logger(tmp_path, total=False)
    table("Accelerometer", folder).rename(folder / "TotalAcceleration.csv")
    with pytest.raises(RecordingError, match="gravity seems removed"):
        open_recording(folder)


def test_times_around_zero_and_before_are_fine(tmp_path: Path) -> None:
    folder = tmp_path / "early"
    folder.mkdir()
    for stem, values in (("Accelerometer", DATA[:, :3]), ("Gyroscope", DATA[:, 3:])):
        rows = [f"{t - 1:.4f},{x},{y},{z}" for t, (x, y, z) in zip(TIME_S, values.tolist(), strict=True)]
        (folder / f"{stem}.csv").write_text("\n".join(["t,x,y,z", *rows, ""]))
    time_ns, data, _ = samples(open_recording(folder, gyr_unit="rad/s"))
    assert time_ns[0] == -1_000_000_000
    np.testing.assert_allclose(data, DATA, atol=1e-6)

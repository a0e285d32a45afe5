"""What the encoder may learn from, and how it is read. Training itself needs TensorFlow and is not in this suite."""

from dataclasses import replace

import numpy as np
import pytest

from motionsig.conventions import STANDARD_GRAVITY
from scripts.train import data, sensors
from scripts.train.sensors import Sensor, delivered

RATE_HZ = 50.0


@pytest.fixture
def stream(motion):
    samples = motion(0, RATE_HZ, count=1500)
    return np.arange(1500, dtype=np.int64) * 20_000_000, samples


@pytest.fixture
def folder(tmp_path, stream):
    """A set in the schema of the recorded ones: two people, two recordings each, under each name asked for."""
    _, samples = stream
    offsets = np.arange(5) * 375
    fields = {
        "acc_q": np.rint(samples[:, :3].T / 0.001).astype(np.int16),
        "gyr_q": np.rint(samples[:, 3:].T / 0.001).astype(np.int16),
        "acc_scale": 0.001,
        "gyr_scale": 0.001,
        "offsets": offsets,
        "subject": np.array(["a", "a", "b", "b"]),
        "activity": np.array(["walk", "sit", "walk", "sit"]),
        "fs_hz": np.full(4, RATE_HZ, np.float32),
        "position": np.array(["wrist"] * 4),
        "rec_id": np.array(["one_0", "one_375", "two_0", "two_375"]),
    }
    for name in ("motionsense", "geotec_spsw", "st_mlc_6axis", "hapt"):
        np.savez(tmp_path / f"{name}.npz", **fields)
    return tmp_path


def read(folder, name, sensor=sensors.as_recorded):
    return data.read(folder, name, np.random.default_rng(0), sensor)


def test_hapt_never_trains():
    assert "hapt" in data.SETS and "hapt" not in data.TRAINING_SETS
    assert set(data.TRAINING_SETS) == set(data.SETS) - {"hapt"}


def test_windows_bear_their_labels(folder, stream):
    got = read(folder, "hapt")
    assert len(got) == 4 * ((375 - 128) // 64 + 1)
    assert got.activity[0] == "walk" and got.activity[-1] == "sit"
    assert list(dict.fromkeys(got.wearing)) == ["one", "two"] and list(dict.fromkeys(got.person)) == ["a", "b"]
    np.testing.assert_allclose(got.windows[0], stream[1][:128], atol=6e-4)


def test_the_ios_sign_is_undone(folder):
    assert np.array_equal(read(folder, "motionsense").windows[:, :, :3], -read(folder, "hapt").windows[:, :, :3])


def test_joined_pieces_give_windows_across_their_border(folder):
    got = read(folder, "geotec_spsw")
    assert len(got) == 2 * ((750 - 128) // 32 + 1)
    assert set(got.wearing) == {"one", "two"}


def test_nobody_named_means_a_wearing_stands_for_a_person(folder):
    got = read(folder, "st_mlc_6axis")
    assert (got.person == got.wearing).all() and len(set(got.person)) == 4


def test_own_logs_are_read_by_folder(tmp_path, stream):
    time_ns, samples = stream
    for activity, person in (("dance", "ann"), ("rest", "bob")):
        place = tmp_path / activity / person
        place.mkdir(parents=True)
        rows = np.column_stack([time_ns / 1e9, samples])
        head = "time_s,acc_x_m_s2,acc_y_m_s2,acc_z_m_s2,gyr_x_rad_s,gyr_y_rad_s,gyr_z_rad_s"
        np.savetxt(place / "log.csv", rows, delimiter=",", header=head, comments="", fmt="%.9f")
    got = data.read_own(tmp_path, np.random.default_rng(0))
    assert set(zip(got.activity.tolist(), got.person.tolist(), strict=True)) == {("dance", "ann"), ("rest", "bob")}
    assert len(got) == 2 * ((1500 - 128) // 64 + 1)


def test_no_own_logs_says_where_they_were_looked_for(tmp_path):
    with pytest.raises(SystemExit, match="expected logs as ACTIVITY/PERSON/LOG below it, found none"):
        data.read_own(tmp_path, np.random.default_rng(0))


def test_a_log_that_cannot_be_read_is_named(tmp_path):
    place = tmp_path / "dance" / "ann"
    place.mkdir(parents=True)
    (place / "log.csv").write_text("nothing\n")
    with pytest.raises(SystemExit, match=r"dance/ann/log.csv"):
        data.read_own(tmp_path, np.random.default_rng(0))


def test_own_logs_too_short_for_a_window_give_none(tmp_path, stream):
    time_ns, samples = stream
    place = tmp_path / "dance" / "ann"
    place.mkdir(parents=True)
    rows = np.column_stack([time_ns / 1e9, samples])[:50]
    head = "time_s,acc_x_m_s2,acc_y_m_s2,acc_z_m_s2,gyr_x_rad_s,gyr_y_rad_s,gyr_z_rad_s"
    np.savetxt(place / "log.csv", rows, delimiter=",", header=head, comments="", fmt="%.9f")
    assert len(data.read_own(tmp_path, np.random.default_rng(0))) == 0


def test_sets_that_are_not_there_are_named(folder):
    with pytest.raises(
        SystemExit, match=r"; wisdm2019, dsads, seglearn_watch, android_digits, boreal, .*, broad not found"
    ):
        data.check_folder(folder)


def test_a_hole_is_never_filled_with_made_up_motion(stream):
    time_ns, samples = stream
    there = (time_ns < 10e9) | (time_ns > 10.8e9)
    got = delivered(time_ns[there], samples[there], RATE_HZ, Sensor(rate_hz=100), np.random.default_rng(0))
    assert np.diff(got[0]).max() > 0.7e9


def test_a_sensor_that_changes_nothing_changes_nothing(stream):
    time_ns, samples = stream
    got = delivered(time_ns, samples, RATE_HZ, Sensor(), np.random.default_rng(0))
    assert np.array_equal(got[0], time_ns) and np.array_equal(got[1], samples) and got[2] == RATE_HZ


@pytest.mark.parametrize("rate_hz", [20.0, 100.0, 200.0])
def test_another_rate(stream, rate_hz):
    time_ns, samples, rate = delivered(*stream, RATE_HZ, Sensor(rate_hz=rate_hz), np.random.default_rng(0))
    assert rate == rate_hz and abs(len(samples) - 30 * rate_hz) <= 2
    np.testing.assert_allclose(np.diff(time_ns), 1e9 / rate_hz, rtol=1e-6)


def test_a_range_clips_and_a_resolution_steps(stream):
    time_ns, samples = stream
    samples = samples.copy()
    samples[10:20, 0] = 100
    sensor = Sensor(range_g=2, bits=12)
    _, got, _ = delivered(time_ns, samples, RATE_HZ, sensor, np.random.default_rng(0))
    step = 2 * STANDARD_GRAVITY / 2**11
    assert got[:, 0].max() == pytest.approx(2 * STANDARD_GRAVITY - step, rel=1e-5)
    assert np.abs(got[:, 0] / step - np.rint(got[:, 0] / step)).max() < 1e-3
    quiet = np.abs(samples[:, 1]) < 2 * STANDARD_GRAVITY - step
    assert np.abs(got - samples)[quiet, 1].max() <= step / 2 + 1e-4


def test_loss_and_noise(stream):
    rng = np.random.default_rng(0)
    time_ns, got, _ = delivered(*stream, RATE_HZ, Sensor(loss=0.1, noise=(0.5, 0.0)), rng)
    assert 0.86 < len(got) / 1500 < 0.94
    kept = np.isin(stream[0], time_ns)
    error = got - stream[1][kept]
    assert 0.4 < error[:, :3].std() < 0.6 and not error[:, 3:].any()


def test_a_gyroscope_that_is_late_is_put_in_time(folder, stream, monkeypatch):
    monkeypatch.setitem(data.SETS, "hapt", replace(data.SETS["hapt"], late_s=0.1))
    (folder / "hapt_lag.csv").write_text("subject,rec_id,lag_s\na,one_375,0.04\n")
    got = read(folder, "hapt")
    _, samples = stream
    np.testing.assert_allclose(got.windows[0], np.hstack([samples[:128, :3], samples[5:133, 3:]]), atol=6e-4)
    second = got.windows[np.flatnonzero((got.person == "a") & (got.activity == "sit"))[0]]
    np.testing.assert_allclose(second[2:, :3], samples[377:503, :3], atol=6e-4)
    np.testing.assert_allclose(second[2:, 3:], samples[375:501, 3:], atol=6e-4)  # early by two samples

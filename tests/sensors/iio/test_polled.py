"""Devices that are read through sysfs, value by value."""

import os
import time

import numpy as np
import pytest
from iio_trees import PERIOD_NS, take
from real_time import undisturbed

from motionsig.sensors.iio import open_iio


@undisturbed
def test_without_any_trigger_it_polls_and_says_so(tree, chip, caplog):
    tree.put(chip.where, trigger__current_trigger="", in_accel_x_raw="4096", in_anglvel_z_raw="-100")
    before = tree.snapshot()
    with open_iio(root=tree.root) as source:
        assert source.polled
        assert source.info.format == "iio-polled:bmi999"
        blocks = take(source, 30)
        data = np.concatenate([block.data for block in blocks])
        times = np.concatenate([block.time_ns for block in blocks])
    assert "polling sysfs: bmi999" in caplog.text
    assert "modprobe iio-trig-hrtimer" in caplog.text
    np.testing.assert_allclose(data[:, 0], 4096 * 0.002394202, rtol=1e-6)
    np.testing.assert_allclose(data[:, 5], -100 * 0.000532632, rtol=1e-6)
    assert np.median(np.diff(times)) == pytest.approx(PERIOD_NS, rel=0.2)
    assert tree.snapshot() == before


def test_a_driver_without_a_buffer_is_polled(tree, caplog):
    tree.put(
        "iio:device0",
        name="mma7660",
        in_accel_scale="0.467142857",
        in_accel_x_raw=1,
        in_accel_y_raw=2,
        in_accel_z_raw=21,
    )
    with open_iio(root=tree.root, rate_hz=50) as source:
        block = take(source, 5)[0]
    assert "its driver has no buffer" in caplog.text
    np.testing.assert_allclose(block.data[0, :3], np.array([1, 2, 21]) * 0.467142857, rtol=1e-6)
    assert np.isnan(block.data[:, 3:]).all()


def test_a_device_that_is_slow_to_read_is_read_less_often(tree, monkeypatch, caplog):
    tree.put("iio:device0", name="mma7660", in_accel_x_raw=1, in_accel_y_raw=2, in_accel_z_raw=21)
    pread = os.pread

    def slow(*args):
        time.sleep(0.01)
        return pread(*args)

    monkeypatch.setattr(os, "pread", slow)
    with open_iio(root=tree.root, rate_hz=100) as source:
        assert source.rate_hz < 0.8 / 0.03
    assert "mma7660: a sample takes" in caplog.text


@undisturbed
def test_polling_does_not_catch_up_after_a_stall(tree):
    tree.put("iio:device0", name="mma7660", in_accel_x_raw=1, in_accel_y_raw=2, in_accel_z_raw=21)
    with open_iio(root=tree.root, rate_hz=100) as source:
        stream = iter(source)
        next(stream)
        period_ns = 1e9 / source.rate_hz  # slower on a busy machine
        time.sleep(0.3 + 3 * period_ns / 1e9)
        times = np.concatenate([next(stream).time_ns, next(stream).time_ns])
    assert np.ptp(times) > 0.5 * period_ns * (len(times) - 1)


def test_a_polled_device_that_is_only_half_back_is_waited_for(tree, monkeypatch):
    monkeypatch.setattr("motionsig.sensors.live._QUIET_S", 0.02)
    monkeypatch.setattr("motionsig.sensors.iio.IioSource.pauses_s", (0.02, 0.02))
    where, there = "iio:device0", {"in_accel_scale": 0.5, "in_accel_sampling_frequency_available": "50 100"}
    raw = {"in_accel_x_raw": 1, "in_accel_y_raw": 2, "in_accel_z_raw": 20}
    tree.put(where, name="mma7660", in_accel_sampling_frequency=50, **there, **raw)
    with open_iio(root=tree.root, rate_hz=50) as source:
        stream = iter(source)
        assert len(next(stream))
        descriptors = len(os.listdir("/proc/self/fd"))
        tree.put(where, in_accel_x_raw="")
        assert len(next(stream)) == 0
        for missing in ("in_accel_x_raw", "in_accel_scale"):
            assert len(next(stream)) == 0
            tree.put(where, **{**there, **raw, missing: ""})
        # Only lower rates than what was asked for.
        tree.put(where, in_accel_sampling_frequency_available="10 20", in_accel_scale=0.5)
        assert [len(next(stream)) for _ in range(2)] == [0, 0]
        # Reading a folder is an OSError as it comes from the kernel.
        (tree.bus / where / "in_accel_y_raw").unlink()
        (tree.bus / where / "in_accel_y_raw").mkdir()
        tree.put(where, **there)
        assert [len(next(stream)) for _ in range(2)] == [0, 0]
        (tree.bus / where / "in_accel_y_raw").rmdir()
        tree.put(where, **raw)
        block = take(stream, 1)[-1]
        assert block.data[0, :3].tolist() == [0.5, 1, 10]
        assert (source.counts.recoveries, len(os.listdir("/proc/self/fd"))) == (1, descriptors)

"""Industrial I/O on made trees; on a real kernel in test_iio_kernel.py."""

import logging
import os
import time
from pathlib import Path

import numpy as np
import pytest
from iio_trees import PERIOD_NS, Chip, ramp, recent, take
from real_time import undisturbed

from motionsig.errors import InputError
from motionsig.sensors.iio import open_iio


def test_a_device_with_six_axes(tree, chip):
    before = tree.snapshot()
    with open_iio("bmi999", root=tree.root, accel_range_g=8, gyro_range_dps=1000) as source:
        assert source.rate_hz == 100
        assert (source.info.name, source.info.format, source.polled) == ("bmi999", "iio:bmi999", False)
        assert tree.read(chip.where, "in_accel_scale") == "0.002394202"
        assert tree.read(chip.where, "in_anglvel_scale") == "0.000532632"
        assert tree.read(chip.where, "in_anglvel_sampling_frequency") == "100.000000"
        assert tree.read(chip.where, "current_timestamp_clock") == "monotonic"
        assert (tree.read(chip.where, "buffer/length"), tree.read(chip.where, "buffer/watermark")) == ("256", "10")
        assert tree.read(chip.where, "scan_elements/in_temp_en") == "0"
        times, counts = recent(50), ramp(50)
        chip.feed(times, counts)
        (block,) = take(source, 50)
        unix_ns = time.time_ns() - time.monotonic_ns()
        np.testing.assert_allclose(block.time_ns - times, unix_ns, rtol=0, atol=2_000_000)
        assert np.ptp(block.time_ns - times) == 0
        assert source.info.scale is not None
        expected = counts.astype(np.float32) * np.array(source.info.scale, np.float32)
        assert np.array_equal(block.data, expected)
        assert source.info.scale[0] == np.float32(0.002394202)
        assert not block.gap
        assert (source.counts.samples, source.counts.lost, source.counts.gaps) == (50, 0, 0)
        # Between two iterations nothing is captured.
        stream = iter(source)
        chip.feed(recent(20), counts[:20])
        next(stream)
        assert tree.read(chip.where, "buffer/enable") == "1"
        stream.close()
        assert tree.read(chip.where, "buffer/enable") == "0"
    assert tree.snapshot() == before


@pytest.mark.parametrize("options", [{"rate_hz": np.nan}, {"rate_hz": 0}, {"accel_range_g": -1}])
def test_arguments_that_mean_nothing(tree, options):
    with pytest.raises(InputError):
        open_iio(root=tree.root, **options)


def test_an_accelerometer_alone(tree):
    made = Chip(tree, kinds=("accel",), kind="le:s12/16>>4")
    with open_iio(root=tree.root) as source:
        made.feed(recent(10), ramp(10, 3))
        (block,) = take(source, 10)
        assert source.info.scale is None
    made.close()
    assert np.isnan(block.data[:, 3:]).all()
    assert np.isfinite(block.data[:, :3]).all()


def test_a_loss_is_noticed_and_counted(tree, chip):
    times, counts = recent(100), ramp(100)
    kept = np.r_[0:30, 37:100]
    with open_iio(root=tree.root) as source:
        chip.feed(times[kept], counts[kept])
        blocks = take(source, 93)
        assert (source.counts.lost, source.counts.gaps, source.counts.overflows) == (7, 1, 0)
    assert [(len(block), block.gap) for block in blocks] == [(30, False), (63, True)]


def test_a_full_fifo_is_an_overflow(tree, chip):
    times, counts = recent(400), ramp(400)
    with open_iio(root=tree.root) as source:
        chip.feed(times[:256], counts[:256])
        first = take(source, 256)
        chip.feed(times[300:], counts[300:])
        second = take(source, 100)
        assert (source.counts.overflows, source.counts.lost) == (1, 44)
    assert [block.gap for block in first + second] == [False, True]


def test_stamps_that_go_back_are_discarded(tree, chip):
    times = recent(50)
    times[20:25] = times[15:20]
    with open_iio(root=tree.root) as source:
        chip.feed(times, ramp(50))
        take(source, 45)
        assert (source.counts.discards, source.counts.lost) == (5, 5)


def test_a_rate_that_is_not_the_stated_one_is_no_loss(tree, chip, caplog):
    with open_iio(root=tree.root) as source:
        chip.feed(recent(90, 2 * PERIOD_NS), ramp(90))
        take(source, 90)
        assert source.counts.lost == 0
        assert source.true_rate_hz == pytest.approx(50, rel=1e-6)
    assert "stated 100 Hz, samples come at 50 Hz" in caplog.text


@undisturbed
def test_without_stamps_the_time_base_makes_some(tree):
    made = Chip(tree, kinds=("accel",), stamped=False)
    with open_iio(root=tree.root) as source:
        stream, blocks, sent = iter(source), [], 0
        began_ns = time.monotonic_ns()
        for _ in range(10):
            time.sleep(0.05)
            taken = (time.monotonic_ns() - began_ns) // PERIOD_NS
            made.feed(None, ramp(taken - sent, 3))
            sent = taken
            blocks.append(next(stream))
        assert (source.counts.samples, source.counts.lost) == (sent, 0)
    made.close()
    times = np.concatenate([block.time_ns for block in blocks]) - source.unix_offset_ns
    assert (np.diff(times) > 0).all()
    # Sample k was taken k + 1 periods after the start.
    late_ns = times - began_ns - PERIOD_NS * np.arange(1, len(times) + 1)
    assert np.abs(late_ns[len(times) // 2 :]).max() < 2 * PERIOD_NS


def test_two_devices_are_joined(tree, pair):
    gyro, accel = pair
    before = tree.snapshot()
    times, counts = recent(100), ramp(100)
    with open_iio("auto", root=tree.root) as source:
        assert source.info.name == "lsm6dsox_accel+lsm6dsox_gyro"
        assert source.info.scale is None
        gyro.feed(times, counts[:, 3:])
        accel.feed(times, counts[:, :3])
        data = np.concatenate([block.data for block in take(source, 90)])
    np.testing.assert_allclose(data[:, :3], counts[: len(data), :3] * 0.002394202, rtol=1e-6)
    np.testing.assert_allclose(data[:, 3:], counts[: len(data), 3:] * 0.000532632, rtol=1e-6)
    assert tree.snapshot() == before


def test_what_the_gyroscope_missed_is_missing(tree, pair):
    gyro, accel = pair
    times, counts = recent(200), ramp(200)
    kept = np.r_[0:80, 90:200]
    with open_iio("lsm6dsox_accel+lsm6dsox_gyro", root=tree.root) as source:
        gyro.feed(times[kept] - 2_000_000, counts[kept, 3:])
        accel.feed(times, counts[:, :3])
        blocks = take(source, 180)
        assert source.counts.lost == 11
        assert source.counts.gaps == 1
    assert [block.gap for block in blocks if len(block)] == [False, True]


def test_a_device_that_goes_away_is_waited_for(tree, chip):
    times, counts = recent(60), ramp(60)
    with open_iio(root=tree.root) as source:
        stream = iter(source)
        chip.feed(times[:20], counts[:20])
        assert len(next(stream)) == 20
        chip.close()
        chip.node.unlink()
        (tree.bus / chip.where).rename(tree.root / "away")
        # It comes back under another number, as a replugged sensor does.
        empty = next(stream)
        assert len(empty) == 0
        # Whoever hears of it may plug it in again: with the node still open it would get another number.
        links = [os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        assert not [link for link in links if link.startswith(str(chip.node))]
        (tree.root / "away").rename(tree.bus / "iio:device7")
        os.mkfifo(tree.root / "dev/iio:device7")
        chip.pipe = os.open(tree.root / "dev/iio:device7", os.O_RDWR | os.O_NONBLOCK)
        chip.feed(times[50:], counts[50:])
        block = next(stream)
        assert (len(block), block.gap) == (10, True)
        assert np.array_equal(block.time_ns - times[50:], np.full(10, block.time_ns[0] - times[50]))
        assert (source.counts.lost, source.counts.gaps, source.counts.recoveries) == (30, 1, 1)


def test_a_silent_device_is_set_up_again(tree, chip, caplog):
    caplog.set_level(logging.WARNING)
    with open_iio(root=tree.root) as source:
        stream = iter(source)
        chip.feed(recent(20), ramp(20))
        assert len(next(stream)) == 20
        began = time.monotonic()
        assert len(next(stream)) == 0
        assert time.monotonic() - began > 0.9
        chip.feed(recent(5), ramp(5))
        block = next(stream)
        assert block.gap
        assert source.counts.recoveries == 1
    assert "expected samples, got none for 1 s" in caplog.text

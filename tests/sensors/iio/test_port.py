"""A device whose buffer is read: conversion, clocks, triggers."""

import time

import numpy as np
import pytest
from iio_trees import PERIOD_NS, Chip, ramp, recent, take

from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.sensors.iio import open_iio


@pytest.mark.parametrize("kind", ["be:s16/16>>0", "le:s12/16>>4", "le:s16/32>>0", "be:s24/32>>8"])
def test_type_strings_are_honoured(tree, kind):
    made = Chip(tree, kind=kind)
    with open_iio(root=tree.root) as source:
        made.feed(recent(20), ramp(20))
        (block,) = take(source, 20)
    made.close()
    scale = float(tree.read(made.where, "in_accel_scale_available").split()[2])
    assert np.allclose(block.data[:, :3] / block.data[0, 0], ramp(20)[:, :3] / -40, rtol=1e-6)
    assert kind != "be:s16/16>>0" or np.allclose(block.data[:, 0], ramp(20)[:, 0] * scale)


def test_scale_offset_and_mounts_are_applied_in_this_order(tree, chip):
    # The offset comes before the scale, the kernel's matrix before the user's.
    tree.put(chip.where, in_accel_offset="100", in_mount_matrix="0, 1, 0; -1, 0, 0; 0, 0, 1")
    tree.put(chip.where, in_anglvel_mount_matrix="1, 0, 0; 0, -1, 0; 0, 0, -1")
    mount = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    with open_iio(root=tree.root, mount=mount) as source:
        assert source.info.scale is None
        chip.feed(recent(10), ramp(10))
        (block,) = take(source, 10)
    kernel = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    acc = (ramp(10)[:, :3] + 100) * 0.002394202
    gyr = ramp(10)[:, 3:] * 0.000532632
    np.testing.assert_allclose(block.data[:, :3], acc @ (mount @ kernel).T, rtol=1e-5)
    np.testing.assert_allclose(block.data[:, 3:], gyr @ (mount @ np.diag([1, -1, -1])).T, rtol=1e-5)


def test_axes_that_only_change_places_stay_counts(tree, chip):
    tree.put(chip.where, in_mount_matrix="0, -1, 0; 1, 0, 0; 0, 0, 1", in_accel_x_scale="0.1", in_accel_y_scale="0.2")
    (tree.bus / chip.where / "in_accel_scale_available").unlink()
    with open_iio(root=tree.root) as source:
        chip.feed(recent(10), ramp(10))
        (block,) = take(source, 10)
        scale = np.array(source.info.scale, np.float32)
    assert np.array_equal(block.data, np.rint(block.data / scale).astype(np.int16).astype(np.float32) * scale)
    np.testing.assert_allclose(block.data[:, 0], -ramp(10)[:, 1] * 0.2, rtol=1e-6)


def test_a_clock_s_name_may_end_in_a_nul(tree, chip, caplog):
    (tree.bus / chip.where / "current_timestamp_clock").write_text("monotonic\n\0")
    with open_iio(root=tree.root):
        assert "which cannot be set" not in caplog.text


@pytest.mark.parametrize("clock", ["realtime", "boottime"])
def test_another_clock_than_the_monotonic_is_converted(tree, chip, clock, caplog):
    path = tree.bus / chip.where / "current_timestamp_clock"
    path.write_text(clock)
    # A directory refuses a write as a driver of old would.
    path.rename(path.with_name("x"))
    path.mkdir()
    with open_iio(root=tree.root) as source:
        chip.feed(recent(50) + time.time_ns() - time.monotonic_ns(), ramp(50))
        (block,) = take(source, 50)
    # A busy machine needs its time from the stamp to here; the clocks are years apart.
    assert abs(int(block.time_ns[-1]) - time.time_ns()) < 2_000_000_000
    assert "which cannot be set" in caplog.text


def test_what_waited_long_in_the_fifo_keeps_its_time(tree, chip, monkeypatch):
    """A reader that is stopped for a minute finds the samples of the first seconds, which are not from just now."""
    with open_iio(root=tree.root) as source:
        stream = iter(source)
        times = recent(300)
        chip.feed(times[:20], ramp(20))
        assert len(next(stream)) == 20
        chip.feed(times[20:276], ramp(256))
        real_ns, minute_ns = time.monotonic_ns, 60_000_000_000
        monkeypatch.setattr(time, "monotonic_ns", lambda: real_ns() + minute_ns)
        block = next(stream)
        assert np.array_equal(block.time_ns, times[20:276] + source.unix_offset_ns)
        assert not block.gap
        chip.feed(times[290:] + minute_ns, ramp(10))
        block = next(stream)
        assert np.array_equal(block.time_ns, times[290:] + minute_ns + source.unix_offset_ns)
        assert (source.counts.overflows, source.counts.lost) == (1, 14 + 6000)


def test_a_clock_that_is_set_back_is_compared_anew(tree, chip, monkeypatch, caplog):
    with open_iio(root=tree.root) as source:
        stream = iter(source)
        real_ns, minute_ns = time.monotonic_ns, 60_000_000_000
        for later_ns, back_ns in ((0, 0), (minute_ns, 0), (minute_ns + NS_PER_S, minute_ns // 2)):
            assert "anew" not in caplog.text
            monkeypatch.setattr(time, "monotonic_ns", lambda later_ns=later_ns: real_ns() + later_ns)
            chip.feed(recent(20) - back_ns, ramp(20))
            assert len(next(stream)) == 20
    assert "compared with this machine's anew" in caplog.text


def test_a_clock_of_its_own_is_compared_with_ours(tree, chip, caplog):
    with open_iio(root=tree.root) as source:
        chip.feed(5_000_000_000 + PERIOD_NS * np.arange(50), ramp(50))
        (block,) = take(source, 50)
    # A busy machine needs its time from the stamp to here; the clocks are years apart.
    assert abs(int(block.time_ns[-1]) - time.time_ns()) < 2_000_000_000
    assert "compared with this machine's anew" in caplog.text


def test_a_device_s_own_trigger_is_set_and_unset(tree, chip):
    tree.put(chip.where, trigger__current_trigger="")
    tree.put("trigger0", name="bmi999-any-motion-dev0")
    tree.put("trigger1", name="bmi999-dev0")
    with open_iio(root=tree.root):
        assert tree.read(chip.where, "trigger/current_trigger") == "bmi999-dev0"
    assert tree.read(chip.where, "trigger/current_trigger") == ""


def test_a_timer_is_made_where_there_is_no_trigger(tree, chip):
    tree.put(chip.where, trigger__current_trigger="")
    folder = tree.root / "sys/kernel/config/iio/triggers/hrtimer"
    folder.mkdir(parents=True)
    # The kernel makes this one when the folder appears.
    tree.put("trigger3", name="motionsig-dev0", sampling_frequency="0")
    with open_iio(root=tree.root):
        assert (folder / "motionsig-dev0").is_dir()
        assert tree.read(chip.where, "trigger/current_trigger") == "motionsig-dev0"
        assert tree.read("trigger3", "sampling_frequency") == "100"
    assert not (folder / "motionsig-dev0").exists()


def test_a_hardware_fifo_needs_no_trigger_and_its_watermark_is_kept(tree, chip):
    tree.put(chip.where, trigger__current_trigger="", buffer__hwfifo_enabled=0)
    tree.put(chip.where, buffer__hwfifo_watermark_min=1, buffer__hwfifo_watermark_max=6)
    with open_iio(root=tree.root):
        assert tree.read(chip.where, "buffer/watermark") == "6"
        assert tree.read(chip.where, "trigger/current_trigger") == ""


def test_a_buffer_that_cannot_be_enabled_is_an_error_at_once(tree, chip):
    (tree.bus / chip.where / "buffer/enable").unlink()
    (tree.bus / chip.where / "buffer/enable").mkdir()
    with pytest.raises(SensorError, match="buffer/enable: got Is a directory"):
        open_iio(root=tree.root)


def test_a_buffer_that_a_dead_process_left_on_is_taken_over(tree, chip):
    tree.put(chip.where, buffer__enable=1)
    with open_iio(root=tree.root):
        assert tree.read(chip.where, "buffer/enable") == "0"

"""Industrial I/O on made sysfs trees, with a fifo as the character device; a real kernel's is in test_iio_kernel.py."""

import errno
import logging
import os
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from motionsig.errors import InputError, SensorError
from motionsig.sensors.iio import list_iio, open_iio
from motionsig.sensors.iio.channels import parse_type
from motionsig.sensors.iio.device import refused

PERIOD_NS = 10_000_000


# Made trees


class Tree:
    """A sysfs and a dev that hold what a test puts there."""

    def __init__(self, root):
        self.root = root
        self.bus = root / "sys/bus/iio/devices"
        self.bus.mkdir(parents=True)
        (root / "dev").mkdir()

    def put(self, where, **attributes):
        for name, text in attributes.items():
            path = self.bus / where / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")

    def read(self, where, name):
        return (self.bus / where / name).read_text().strip()

    def snapshot(self):
        return {path: path.read_text().strip() for path in self.bus.rglob("*") if path.is_file()}


class Chip:
    """A device of a tree: sysfs attributes and a fifo, into which scans are put as a driver would."""

    def __init__(self, tree, number=0, name="bmi999", kinds=("accel", "anglvel"), kind="le:s16/16>>0", stamped=True):
        self.tree, self.where, self.kinds = tree, f"iio:device{number}", kinds
        tree.put(self.where, name=name, current_timestamp_clock="realtime", in_temp_raw=0)
        names = [f"in_{kind}_{axis}" for kind in kinds for axis in "xyz"]
        for index, channel in enumerate(names):
            self._scan_element(channel, index, kind)
            tree.put(self.where, **{f"{channel}_raw": 0})
        self._scan_element("in_temp", len(names), "be:s16/16>>0", on=1)
        if stamped:
            self._scan_element("in_timestamp", len(names) + 1, "le:s64/64>>0")
        if "accel" in kinds:
            tree.put(
                self.where,
                in_accel_scale="0.000598550",
                in_accel_scale_available="0.000598550 0.001197101 0.002394202 0.004788403",
                in_accel_sampling_frequency="25.000000",
                in_accel_sampling_frequency_available="25.000000 50.000000 100.000000 200.000000",
            )
        if "anglvel" in kinds:
            tree.put(
                self.where,
                in_anglvel_scale="0.000133090",
                in_anglvel_scale_available="0.001065264 0.000532632 0.000266316 0.000133090",
                in_anglvel_sampling_frequency="25.000000",
                in_anglvel_sampling_frequency_available="25.000000 50.000000 100.000000 200.000000",
            )
        tree.put(
            self.where, buffer__enable=0, buffer__length=2, buffer__watermark=1, trigger__current_trigger=f"{name}-x"
        )
        self.kind = parse_type(kind)
        self.node = tree.root / "dev" / self.where
        os.mkfifo(self.node)
        self.pipe = os.open(self.node, os.O_RDWR | os.O_NONBLOCK)

    def _scan_element(self, channel, index, kind, on=0):
        for what, text in (("en", on), ("index", index), ("type", kind)):
            self.tree.put(self.where, **{f"scan_elements__{channel}_{what}": text})

    def feed(self, times, counts):
        """Put scans of counts (n, channels) into the fifo, stamped unless times is None."""
        size = self.kind.storage_bits // 8
        letter = f"{'<' if self.kind.little else '>'}i{size}"
        fields = [("counts", letter, (3 * len(self.kinds),))]
        if times is not None:
            start = -(-size * 3 * len(self.kinds) // 8) * 8
            layout = np.dtype(
                {
                    "names": ["counts", "t"],
                    "formats": [(letter, (3 * len(self.kinds),)), "<i8"],
                    "offsets": [0, start],
                    "itemsize": start + 8,
                }
            )
            scans = np.zeros(len(counts), layout)
            scans["t"] = times
        else:
            scans = np.zeros(len(counts), fields)
        scans["counts"] = np.asarray(counts) << self.kind.shift
        # In pieces that a pipe never tears.
        for at in range(0, len(scans), 100):
            os.write(self.pipe, scans[at : at + 100].tobytes())

    def close(self):
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


@pytest.fixture
def tree(tmp_path, monkeypatch):
    # No calibration of this machine's.
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    return Tree(tmp_path)


@pytest.fixture
def chip(tree):
    made = Chip(tree)
    yield made
    made.close()


def recent(count, period_ns=PERIOD_NS):
    return time.monotonic_ns() - period_ns * np.arange(count, 0, -1)


def ramp(count, columns=6):
    return np.arange(count * columns).reshape(count, columns) - 40


def take(source, samples):
    """Return what a source gives until there are so many samples."""
    blocks, count = [], 0
    for block in islice(source, 1000):
        blocks += [block] if len(block) else []
        count += len(block)
        if count >= samples:
            return blocks
    raise AssertionError(f"{count} samples")


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
    assert tree.snapshot() == before


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


@pytest.mark.parametrize(
    ("wish", "chosen"), [(2, "0.000598550"), (2.5, "0.001197101"), (8, "0.002394202"), (16, "0.004788403")]
)
def test_the_finest_scale_that_covers_the_range_is_set(tree, chip, wish, chosen):
    with open_iio(root=tree.root, accel_range_g=wish):
        assert tree.read(chip.where, "in_accel_scale") == chosen


def test_axes_with_a_scale_each_share_the_list(tree, chip):
    tree.put(chip.where, **{f"in_accel_{axis}_scale": "0.000598550" for axis in "xyz"})
    with open_iio(root=tree.root):
        assert [tree.read(chip.where, f"in_accel_{axis}_scale") for axis in "xyz"] == ["0.002394202"] * 3


def test_a_range_that_the_chip_has_not_is_said(tree, chip, caplog):
    with open_iio(root=tree.root, accel_range_g=30):
        assert tree.read(chip.where, "in_accel_scale") == "0.004788403"
    assert "expected a range of 30 g, the driver goes to 16" in caplog.text


def test_rates(tree, chip):
    with open_iio(root=tree.root, rate_hz=60) as source:
        assert source.rate_hz == 100
    with pytest.raises(InputError, match=r"200.000000, or a lower rate, got 400"):
        open_iio(root=tree.root, rate_hz=400)
    assert tree.read(chip.where, "in_accel_sampling_frequency") == "25.000000"


@pytest.mark.parametrize("options", [{"rate_hz": np.nan}, {"rate_hz": 0}, {"accel_range_g": -1}])
def test_arguments_that_mean_nothing(tree, options):
    with pytest.raises(InputError):
        open_iio(root=tree.root, **options)


def test_nothing_there_is_said_with_what_is(tree, chip):
    with pytest.raises(SensorError, match=r"expected 'lsm6dsox', got bmi999 \(iio:device0\)"):
        open_iio("lsm6dsox", root=tree.root)


@pytest.mark.parametrize("name", ["auto", "bmi999", "iio:device0", "device0"])
def test_names_of_a_device(tree, chip, name):
    with open_iio(name, root=tree.root) as source:
        assert source.device_id == "iio-bmi999"


def test_an_accelerometer_alone(tree):
    made = Chip(tree, kinds=("accel",), kind="le:s12/16>>4")
    with open_iio(root=tree.root) as source:
        made.feed(recent(10), ramp(10, 3))
        (block,) = take(source, 10)
        assert source.info.scale is None
    made.close()
    assert np.isnan(block.data[:, 3:]).all()
    assert np.isfinite(block.data[:, :3]).all()


# What the stamps tell


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


def test_a_clock_of_its_own_is_compared_with_ours(tree, chip, caplog):
    with open_iio(root=tree.root) as source:
        chip.feed(5_000_000_000 + PERIOD_NS * np.arange(50), ramp(50))
        (block,) = take(source, 50)
    # A busy machine needs its time from the stamp to here; the clocks are years apart.
    assert abs(int(block.time_ns[-1]) - time.time_ns()) < 2_000_000_000
    assert "compared with this machine's anew" in caplog.text


def test_without_stamps_the_time_base_makes_some(tree):
    made = Chip(tree, kinds=("accel",), stamped=False)
    with open_iio(root=tree.root) as source:
        stream, blocks, fed = iter(source), [], 0
        began_ns = time.monotonic_ns()
        for _ in range(10):
            time.sleep(0.05)
            taken = (time.monotonic_ns() - began_ns) // PERIOD_NS
            made.feed(None, ramp(taken - fed, 3))
            fed = taken
            blocks.append(next(stream))
        assert (source.counts.samples, source.counts.lost) == (fed, 0)
    made.close()
    times = np.concatenate([block.time_ns for block in blocks]) - source.unix_offset_ns
    assert (np.diff(times) > 0).all()
    # Sample k was taken k + 1 periods after the start.
    late_ns = times - began_ns - PERIOD_NS * np.arange(1, len(times) + 1)
    assert np.abs(late_ns[len(times) // 2 :]).max() < 2 * PERIOD_NS


# Two devices


@pytest.fixture
def pair(tree):
    chips = (Chip(tree, 0, "lsm6dsox_gyro", ("anglvel",)), Chip(tree, 1, "lsm6dsox_accel", ("accel",)))
    yield chips
    for each in chips:
        each.close()


def test_two_devices_are_joined(tree, pair):
    gyro, accel = pair
    before = tree.snapshot()
    times, counts = recent(100), ramp(100)
    with open_iio("auto", root=tree.root) as source:
        assert source.info.name == "lsm6dsox_accel+lsm6dsox_gyro"
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


# Triggers and polling


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


def test_a_hardware_fifo_needs_no_trigger_and_its_watermark_is_kept(tree, chip):
    tree.put(chip.where, trigger__current_trigger="", buffer__hwfifo_enabled=0)
    tree.put(chip.where, buffer__hwfifo_watermark_min=1, buffer__hwfifo_watermark_max=6)
    with open_iio(root=tree.root):
        assert tree.read(chip.where, "buffer/watermark") == "6"
        assert tree.read(chip.where, "trigger/current_trigger") == ""


# Gone and back


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
        (tree.root / "away").rename(tree.bus / "iio:device7")
        os.mkfifo(tree.root / "dev/iio:device7")
        chip.pipe = os.open(tree.root / "dev/iio:device7", os.O_RDWR | os.O_NONBLOCK)
        chip.feed(times[50:], counts[50:])
        block = next(stream)
        assert (len(block), block.gap) == (10, True)
        assert np.array_equal(block.time_ns - times[50:], np.full(10, block.time_ns[0] - times[50]))
        assert (source.counts.lost, source.counts.gaps, source.counts.recoveries) == (30, 1, 1)


def test_a_polled_device_that_is_only_half_back_is_waited_for(tree, monkeypatch):
    for pause in ("_QUIET_S", "_FIRST_PAUSE_S", "_MOST_PAUSE_S"):
        monkeypatch.setattr(f"motionsig.sensors.iio.{pause}", 0.02)
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


@pytest.mark.parametrize("what", ["in_accel_scale", "in_accel_offset", "in_mount_matrix"])
def test_what_cannot_be_read_is_not_taken_for_its_default(tree, chip, what):
    tree.put(chip.where, in_accel_offset=0, in_mount_matrix="1, 0, 0; 0, 1, 0; 0, 0, 1")
    (tree.bus / chip.where / "in_accel_scale_available").unlink()
    tree.put(chip.where, **{what: ""})
    with pytest.raises(SensorError, match=f"{what}: expected .* got ''"):
        open_iio(root=tree.root)


def test_a_silent_device_is_set_up_again(tree, chip, caplog):
    caplog.set_level(logging.WARNING)
    with open_iio(root=tree.root) as source:
        stream = iter(source)
        chip.feed(recent(20), ramp(20))
        assert len(next(stream)) == 20
        began = time.monotonic()
        assert len(next(stream)) == 0
        assert 0.9 < time.monotonic() - began < 2.5
        chip.feed(recent(5), ramp(5))
        block = next(stream)
        assert block.gap
        assert source.counts.recoveries == 1
    assert "expected samples, got none for 1 s" in caplog.text


def test_a_buffer_that_a_dead_process_left_on_is_taken_over(tree, chip):
    tree.put(chip.where, buffer__enable=1)
    with open_iio(root=tree.root):
        assert tree.read(chip.where, "buffer/enable") == "0"


@pytest.mark.parametrize(
    ("code", "advice"),
    [(errno.EBUSY, "stop that first"), (errno.EACCES, "udev rule"), (errno.ENODEV, "gone"), (errno.EINVAL, "dmesg")],
)
def test_refusals_say_what_to_do(code, advice):
    error = refused(OSError(code, os.strerror(code)), Path("/dev/iio:device0"))
    assert advice in str(error)
    assert os.strerror(code) in str(error)


def test_who_holds_a_node_is_named(tree, chip):
    error = refused(OSError(errno.EBUSY, "busy"), chip.node)
    assert f"(pid {os.getpid()})" in str(error)


def test_what_is_there_is_listed(tree, pair):
    tree.put("iio:device5", name="bme280", in_temp_input=20)
    (sensor,) = list_iio(tree.root)
    assert sensor.name == "lsm6dsox_accel+lsm6dsox_gyro"
    assert sensor.devices == ("iio:device1", "iio:device0")
    assert sensor.rates_hz == (25, 50, 100, 200)
    assert sensor.accel_ranges_g == (2, 4, 8, 16)
    assert sensor.gyro_ranges_dps == (250, 500, 1000, 2000)
    assert len(sensor.channels) == 6
    assert sensor.buffer
    assert sensor.watermark
    assert not sensor.hardware_fifo
    assert sensor.trigger == "lsm6dsox_accel-x"
    assert list_iio(tree.root / "nowhere") == []

"""A made sysfs and dev with IIO devices, whose character devices are fifos."""

import os
import time
from itertools import islice

import numpy as np

from motionsig.sensors.iio.channels import parse_type

PERIOD_NS = 10_000_000


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

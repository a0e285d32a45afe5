"""Setting up a device through its attributes."""

import errno
import os
from pathlib import Path

import pytest

from motionsig.errors import InputError, SensorError
from motionsig.sensors.iio import open_iio
from motionsig.sensors.iio.device import Settings, refused


@pytest.mark.parametrize(
    ("wanted", "chosen"), [(2, "0.000598550"), (2.5, "0.001197101"), (8, "0.002394202"), (16, "0.004788403")]
)
def test_the_finest_scale_that_covers_the_range_is_set(tree, chip, wanted, chosen):
    with open_iio(root=tree.root, accel_range_g=wanted):
        assert tree.read(chip.where, "in_accel_scale") == chosen


def test_axes_with_a_scale_each_share_the_list(tree, chip):
    tree.put(chip.where, **{f"in_accel_{axis}_scale": "0.000598550" for axis in "xyz"})
    with open_iio(root=tree.root):
        assert [tree.read(chip.where, f"in_accel_{axis}_scale") for axis in "xyz"] == ["0.002394202"] * 3


def test_a_range_that_the_chip_does_not_have_is_logged(tree, chip, caplog):
    with open_iio(root=tree.root, accel_range_g=30):
        assert tree.read(chip.where, "in_accel_scale") == "0.004788403"
    assert "expected a range of 30 g, the driver goes to 16" in caplog.text


def test_rates(tree, chip):
    with open_iio(root=tree.root, rate_hz=60) as source:
        assert source.rate_hz == 100
    with pytest.raises(InputError, match=r"200.000000, or a lower rate, got 400"):
        open_iio(root=tree.root, rate_hz=400)
    assert tree.read(chip.where, "in_accel_sampling_frequency") == "25.000000"


@pytest.mark.parametrize("what", ["in_accel_scale", "in_accel_offset", "in_mount_matrix"])
def test_what_cannot_be_read_is_not_taken_for_its_default(tree, chip, what):
    tree.put(chip.where, in_accel_offset=0, in_mount_matrix="1, 0, 0; 0, 1, 0; 0, 0, 1")
    (tree.bus / chip.where / "in_accel_scale_available").unlink()
    tree.put(chip.where, **{what: ""})
    with pytest.raises(SensorError, match=f"{what}: expected .* got ''"):
        open_iio(root=tree.root)


def test_settings_are_put_back_the_last_one_first(tmp_path):
    settings, path = Settings(), tmp_path / "attribute"
    path.write_text("0\n")
    settings.write(path, "1")
    settings.write(path, "2")
    settings.restore()
    assert path.read_text() == "0"


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

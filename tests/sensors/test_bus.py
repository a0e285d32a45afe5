"""The buses of a machine: which there are, what the kernel's drivers hold on them, and what an adapter can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from motionsig.sensors.bus import adapter_name, bus_numbers, holder, screen_buses

ADAPTERS = {
    "i2c-1": "platform/fe804000.i2c/i2c-1",
    # An MPU-9250 whose driver makes a bus of its auxiliary pins; its own chip answers on it again.
    "i2c-3": "platform/fe804000.i2c/i2c-1/i2c-3",
    # A PCA9548 at 0x70 of bus 4: two channels, and a multiplexer behind the first.
    "i2c-4": "platform/fe805000.i2c/i2c-4",
    "i2c-5": "platform/fe805000.i2c/i2c-4/i2c-5",
    "i2c-6": "platform/fe805000.i2c/i2c-4/i2c-6",
    "i2c-15": "platform/fe805000.i2c/i2c-4/i2c-5/i2c-15",
}
HELD = {
    "1-0068": ("i2c-1", "inv-mpu6050-i2c"),
    "3-000c": ("i2c-3", "ak8975"),
    "4-0070": ("i2c-4", "pca954x"),
    "5-0068": ("i2c-5", "rtc-ds1307"),
    "15-006a": ("i2c-15", "st_lsm6dsx_i2c"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with adapters above and below multiplexers, as drivers/i2c/i2c-mux.c lays their folders."""
    devices = tmp_path / "sys/bus/i2c/devices"
    devices.mkdir(parents=True)
    for name, place in ADAPTERS.items():
        (tmp_path / "sys/devices" / place).mkdir(parents=True, exist_ok=True)
        (devices / name).symlink_to(f"../../../devices/{place}")
    for name, (adapter, driver) in HELD.items():
        place = Path(ADAPTERS[adapter], name)
        (tmp_path / "sys/devices" / place).mkdir()
        (tmp_path / "sys/bus/i2c/drivers" / driver).mkdir(parents=True)
        (tmp_path / "sys/devices" / place / "driver").symlink_to(tmp_path / "sys/bus/i2c/drivers" / driver)
        (devices / name).symlink_to(f"../../../devices/{place}")
    return tmp_path


@pytest.mark.parametrize(
    ("bus", "address", "driver"),
    [
        (1, 0x68, "inv-mpu6050-i2c"),
        (1, 0x69, None),
        # The chip's own bus reaches the chip itself; and the bus above reaches what is on it.
        (3, 0x68, "inv-mpu6050-i2c"),
        (3, 0x0C, "ak8975"),
        (1, 0x0C, "ak8975"),
        # Another channel does not reach what is behind the first one; the bus above both does.
        (5, 0x68, "rtc-ds1307"),
        (6, 0x68, None),
        (4, 0x68, "rtc-ds1307"),
        # Through two multiplexers, both ways.
        (15, 0x68, "rtc-ds1307"),
        (15, 0x70, "pca954x"),
        (4, 0x6A, "st_lsm6dsx_i2c"),
        (5, 0x6A, "st_lsm6dsx_i2c"),
        (6, 0x6A, None),
        (1, 0x6A, None),
    ],
)
def test_what_the_kernel_holds_is_seen_through_multiplexers(root, bus, address, driver):
    assert holder(f"/dev/i2c-{bus}", address, root=root) == driver


def test_the_buses_of_screens_come_last(tmp_path):
    for number in (20, 1, 21, 10, 2):
        (tmp_path / "dev").mkdir(exist_ok=True)
        (tmp_path / f"dev/i2c-{number}").touch()
    for connector, number in (("card1-HDMI-A-1", 20), ("card1-HDMI-A-2", 2)):
        (tmp_path / "sys/class/drm" / connector).mkdir(parents=True)
        (tmp_path / "sys/class/drm" / connector / "ddc").symlink_to(f"../../../fef04500.i2c/i2c-{number}")
    (tmp_path / "sys/class/drm/card1-DSI-1").mkdir()
    assert screen_buses(root=tmp_path) == {"i2c-20", "i2c-2"}
    assert bus_numbers(root=tmp_path) == [1, 10, 21, 2, 20]


def test_an_adapter_has_the_kernels_name(tmp_path):
    folder = tmp_path / "sys/class/i2c-adapter/i2c-7"
    folder.mkdir(parents=True)
    (folder / "name").write_bytes(b"SMBus I801 adapter at \xffefa0\n")
    assert adapter_name(7, root=tmp_path) == "SMBus I801 adapter at \ufffdefa0"
    assert adapter_name(8, root=tmp_path) == "of unknown kind"

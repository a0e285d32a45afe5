"""The udev rules, applied by udev itself to devices that umockdev makes up."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"

DEVICES = """P: /devices/i2c-1/i2c-dev/i2c-1
N: i2c-1
E: SUBSYSTEM=i2c-dev
E: DEVNAME=/dev/i2c-1
E: MAJOR=89
E: MINOR=1
A: dev=89:1

P: /devices/spi0/spi0.0/spidev/spidev0.0
N: spidev0.0
E: SUBSYSTEM=spidev
E: DEVNAME=/dev/spidev0.0
E: MAJOR=153
E: MINOR=0
A: dev=153:0

P: /devices/acc/iio:device0
N: iio:device0
E: SUBSYSTEM=iio
E: DEVNAME=/dev/iio:device0
E: MAJOR=240
E: MINOR=0
A: dev=240:0

P: /devices/acc/trigger0
E: SUBSYSTEM=iio

P: /devices/usb1/1-1
N: bus/usb/001/002
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: DEVNAME=/dev/bus/usb/001/002
E: MAJOR=189
E: MINOR=1
A: dev=189:1
A: idVendor=1a6e\\n
A: idProduct=089a\\n

P: /devices/usb1/1-2
N: bus/usb/001/003
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: DEVNAME=/dev/bus/usb/001/003
E: MAJOR=189
E: MINOR=2
A: dev=189:2
A: idVendor=18d1\\n
A: idProduct=9302\\n

P: /devices/usb1/1-3
N: bus/usb/001/004
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: DEVNAME=/dev/bus/usb/001/004
E: MAJOR=189
E: MINOR=3
A: dev=189:3
A: idVendor=18d1\\n
A: idProduct=4ee1\\n

P: /devices/apex/apex_0
N: apex_0
E: SUBSYSTEM=apex
E: DEVNAME=/dev/apex_0
E: MAJOR=120
E: MINOR=0
A: dev=120:0

P: /devices/module/iio_trig_hrtimer
E: SUBSYSTEM=module

"""
GROUPS = {"i2c": 4001, "spi": 4005, "iio": 4002, "plugdev": 4003, "apex": 4004}


@pytest.fixture(scope="module")
def udev(tmp_path_factory):
    """From a device to what udev would do with it; rules, groups and /sys are this test's alone."""
    for program in ("udevadm", "umockdev-run", "unshare"):
        if shutil.which(program) is None:
            assert "MOTIONSIG_TEST_MACHINES" not in os.environ, f"expected {program} to be installed"
            pytest.skip(f"{program} is not installed (apt-get install udev umockdev)")
    folder = tmp_path_factory.mktemp("udev")
    (folder / "rules").mkdir()
    shutil.copy(SYSTEMD / "60-motionsig.rules", folder / "rules")
    (folder / "group").write_text("root:x:0:\n" + "".join(f"{name}:x:{gid}:\n" for name, gid in GROUPS.items()))
    (folder / "devices").write_text(DEVICES)
    # udevadm notes what it found in /run/udev.
    mounts = "mount --bind rules /usr/lib/udev/rules.d && mount --bind group /etc/group && mount -t tmpfs tmpfs /run"
    test = "umockdev-run --device=devices -- udevadm test"

    def tell(device):
        done = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", f"{mounts} && {test} /sys/devices/{device}"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        said = done.stdout + done.stderr
        if "unshare" in done.stderr and "MOTIONSIG_TEST_MACHINES" not in os.environ:
            pytest.skip(f"no namespaces here: {done.stderr}")
        assert not done.returncode, said
        assert not re.search(r"60-motionsig\.rules:[0-9]+ (Unknown|Invalid|Failed)", said), said
        group, mode = re.search(r" GROUP ([0-9]+)", said), re.search(r" MODE ([0-7]+)", said)
        names = {gid: name for name, gid in GROUPS.items()}
        return group and names[int(group[1])], mode and mode[1], re.findall(r"^run: '(.*)'$", said, re.MULTILINE)

    return tell


@pytest.mark.parametrize(
    ("device", "group"),
    [
        ("i2c-1/i2c-dev/i2c-1", "i2c"),
        ("spi0/spi0.0/spidev/spidev0.0", "spi"),
        ("acc/iio:device0", "iio"),
        ("usb1/1-1", "plugdev"),
        ("usb1/1-2", "plugdev"),
        ("apex/apex_0", "apex"),
    ],
)
def test_a_node_is_its_groups(udev, device, group):
    assert udev(device)[:2] == (group, "0660")


def test_other_devices_are_left_alone(udev):
    assert udev("usb1/1-3") == (None, None, [])


@pytest.mark.parametrize("device", ["acc/iio:device0", "acc/trigger0"])
def test_attributes_are_the_groups_too(udev, device):
    assert udev(device)[2] == [
        f"/bin/chgrp -R iio /sys/devices/{device}",
        f"/bin/chmod -R g+rwX /sys/devices/{device}",
    ]


def test_timers_may_be_made_once_the_kernel_has_them(udev):
    timers = "/sys/kernel/config/iio/triggers/hrtimer"
    assert udev("module/iio_trig_hrtimer")[2] == [f"/bin/chgrp iio {timers}", f"/bin/chmod g+w {timers}"]

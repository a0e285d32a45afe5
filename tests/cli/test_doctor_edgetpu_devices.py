"""What `motionsig doctor` says of Edge TPUs themselves: on trees of files as machines have them."""

import subprocess
import sys
from pathlib import Path

import pytest
from doctors_trees import check_lines, grow, without
from edgetpu_trees import APEX, ON_PCI, ON_USB, PCI, PI, STICK, USB, look

from motionsig.cli.doctor.edgetpu_devices import USB_RULE, power
from motionsig.cli.doctor.findings import Mark
from motionsig.encoders.edgetpu.presence import edgetpus, users

DEVICES = [
    (ON_USB, False, "wrong", "/dev/bus/usb/002/004 may not be read and written by this user", "60-motionsig-edgetpu"),
    (
        without(ON_USB, "dev"),
        True,
        "wrong",
        "Edge TPU on USB 2-1 (18d1:9302), but no /dev/bus/usb/002/004",
        "in a container, give it /dev/bus/usb",
    ),
    (without(ON_USB, f"{STICK}/devnum"), True, "wrong", "but no /dev/bus/usb", "unplug the"),
    (
        ON_USB | {f"{STICK}/idVendor": "1a6e", f"{STICK}/idProduct": "089a"},
        True,
        "ok",
        "(1a6e:089a, not used since it was plugged in): /dev/bus/usb/002/004 can be",
        "",
    ),
    (
        ON_USB | {f"{STICK}/speed": "480\n"},
        True,
        "note",
        "the link to the Edge TPU on USB 2-1 runs at 480 Mbit/s, slower than USB 3",
        "blue",
    ),
    (ON_PCI, True, "ok", "Edge TPU on PCIe 0000:01:00.0: /dev/apex_0 can be read and written", ""),
    (ON_PCI, True, "ok", "the Edge TPU on PCIe 0000:01:00.0 has 45.3 °C", ""),
    (ON_PCI, False, "wrong", "/dev/apex_0 may not be read and written by this user", 'SUBSYSTEM=="apex", GROUP="apex"'),
    (without(ON_PCI, f"{PCI}/driver", APEX, "dev"), True, "wrong", "but no driver has it", "sudo modprobe apex; "),
    (without(ON_PCI, "dev"), True, "wrong", "0000:01:00.0, but no /dev/apex_0", "sudo dmesg | grep -i apex"),
    (without(ON_PCI, APEX), True, "wrong", "0000:01:00.0, but no /dev/apex_*", "sudo dmesg | grep -i apex"),
    (
        ON_PCI | {f"{APEX}/temp": "85050\n"},
        True,
        "note",
        "the Edge TPU on PCIe 0000:01:00.0 has 85.0 °C and is slowed from 85.0 °C on",
        "cool it",
    ),
    (ON_PCI | {f"{APEX}/temp": "-89700\n"}, True, "wrong", "has stopped answering: it reads as -89.7 °C", "off and on"),
    (without(ON_PCI | {f"{APEX}/temp": "90000\n"}, f"{APEX}/trip"), True, "ok", "has 90.0 °C", ""),
]


@pytest.mark.parametrize(("tree", "may", "mark", "found", "advice"), DEVICES)
def test_devices(tmp_path, tree, may, mark, found, advice):
    findings = look(grow(tmp_path, PI, tree), lambda path: may)
    (finding,) = (finding for finding in findings if found in finding.found)
    assert finding.mark == mark and advice in finding.advice


@pytest.mark.parametrize("tree", [without(ON_PCI, f"{APEX}/temp"), ON_PCI | {f"{APEX}/temp": "\n"}])
def test_a_driver_that_tells_no_temperature(tmp_path, tree):
    assert [finding.mark for finding in look(grow(tmp_path, tree))] == [Mark.OK]


def test_the_udev_rule_matches_both_ids():
    for vendor, product in (("1a6e", "089a"), ("18d1", "9302")):
        assert f'ATTR{{idVendor}}=="{vendor}", ATTR{{idProduct}}=="{product}", GROUP="plugdev"' in USB_RULE
    rules = USB_RULE.split("printf ")[1].split(" | ")[0]
    written = subprocess.check_output(["bash", "-c", f"printf {rules}"], text=True).splitlines()
    assert len(written) == 2 and all(line.startswith('SUBSYSTEM=="usb", ') for line in written)


def test_an_edge_tpu_that_another_process_uses_is_left_alone(tmp_path):
    used = {
        "proc/4194304/fd/3": Path("/dev/bus/usb/002/004"),
        "proc/412/fd/3": Path("/dev/bus/usb/002/005"),
        "proc/self": Path("4194304"),
    }
    finding = look(grow(tmp_path, PI, ON_USB, used))[0]
    assert finding.mark is Mark.OK and finding.found.endswith("in use by process 4194304, so left alone")


def test_processes_that_open_and_close_files_meanwhile_are_no_error(tmp_path):
    (device,) = edgetpus(grow(tmp_path, ON_USB))
    busy = "import os\nwhile True:\n    os.close(os.open('/dev/null', os.O_RDONLY))"
    with subprocess.Popen([sys.executable, "-c", busy]) as other:
        try:
            assert all(users(device) == [] for _ in range(50))
        finally:
            other.kill()


HUB = {name.replace("2-1", "2-1.3"): content for name, content in ON_USB.items()}


@pytest.mark.parametrize(
    ("tree", "found"),
    [
        (ON_USB, None),
        (ON_PCI, None),
        (ON_USB | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, "and the supply is too weak now"),
        (ON_PCI | {"sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1\n"}, None),
        (
            ON_USB | {"proc/device-tree/chosen/power/usb_max_current_enable": bytes(4)},
            "and this board gives its USB ports 600 mA together",
        ),
        (without(HUB, "none") | {f"{USB}/2-1/bmAttributes": "e0\n"}, None),
        (HUB | {f"{USB}/2-1/bmAttributes": "80\n"}, "and hub 2-1 has no supply of its own"),
        (HUB | {f"{USB}/2-1/bmAttributes": "junk\n"}, None),
        (HUB, None),
    ],
)
def test_power(tmp_path, tree, found):
    root = grow(tmp_path, PI | tree)
    findings = list(power(root, edgetpus(root)))
    check_lines(findings)
    assert [finding.mark for finding in findings] == [Mark.NOTE] * (found is not None)
    assert all(finding.found.startswith("an Edge TPU on USB takes up to 900 mA") for finding in findings)
    assert all(finding.found.endswith(found) for finding in findings)

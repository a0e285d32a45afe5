"""Machines with an Edge TPU as trees of files, and what the doctor says of them."""

import sys
from pathlib import Path

from doctors_trees import check_lines

from motionsig.cli.doctor import edgetpu
from motionsig.cli.doctor.buses import read_write
from motionsig.cli.doctor.edgetpu_devices import devices
from motionsig.cli.doctor.software import Interpreter
from motionsig.encoders.edgetpu.presence import edgetpus

ARM = Interpreter("aarch64", 64, "3.11.2")

USB = "sys/bus/usb/devices"

STICK, PCI, APEX = f"{USB}/2-1", "sys/bus/pci/devices/0000:01:00.0", "sys/class/apex/apex_0"

PI = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_CODENAME=bookworm\n',
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/chosen/power/usb_max_current_enable": (1).to_bytes(4, "big"),
    "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
    "var/lib/dpkg/status": (
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n\n"
        "Package: libedgetpu1-std\nStatus: install ok installed\nPriority: optional\nArchitecture: arm64\n"
        "Version: 16.0tf2.19.1-1.bookworm\nDescription: Support library for Edge TPU\n more of it\n\n"
        "Package: zlib1g\nStatus: install ok installed\nVersion: 1:1.2.13\n"
    ),
}

ON_USB = {
    f"{STICK}/idVendor": "18d1\n",
    f"{STICK}/idProduct": "9302\n",
    f"{STICK}/busnum": "2\n",
    f"{STICK}/devnum": "4\n",
    f"{STICK}/speed": "5000\n",
    "dev/bus/usb/002/004": "",
}

ON_PCI = {
    f"{PCI}/vendor": "0x1ac1\n",
    f"{PCI}/device": "0x089a\n",
    f"{PCI}/driver": Path("../../../../bus/pci/drivers/apex"),
    f"{APEX}/device": Path("../../../0000:01:00.0"),
    f"{APEX}/temp": "45300\n",
    f"{APEX}/trip_point0_temp": "85050\n",
    "dev/apex_0": "",
}

PACKAGE = (
    "wget https://github.com/feranick/libedgetpu/releases/download/16.0TF2.19.1-1/"
    "libedgetpu1-std_16.0tf2.19.1-1.bookworm_arm64.deb && sudo apt install ./libedgetpu1-std_16.0tf2.19.1-1"
    ".bookworm_arm64.deb"
)


def examine(root, **options):
    findings = list(edgetpu.edgetpu(root, ARM, sys.path, **options))
    check_lines(findings)
    return findings


def look(root, allowed=read_write):
    findings = list(devices(root, edgetpus(root), allowed))
    check_lines(findings)
    return findings


def said(findings):
    return [(str(finding.mark), finding.found) for finding in findings]


PLACE = "/usr/lib/aarch64-linux-gnu/libedgetpu.so.1.0"

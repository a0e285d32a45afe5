"""Runs in the service's own sandbox and tries what must work there and what must not.

Each line is JSON: what, whether it is as it must be, why not.
"""

import ctypes
import fcntl
import json
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

EDGE_TPUS = {("1a6e", "089a"), ("18d1", "9302")}
USBDEVFS_GET_CAPABILITIES = 0x8004551A
NETLINK_KOBJECT_UEVENT = 15


def i2c() -> bool:
    """Write and read back a register of i2c-stub's chip."""
    from smbus2 import SMBus

    names = {path: (path / "name").read_text().strip() for path in Path("/sys/bus/i2c/devices").glob("i2c-*")}
    (number,) = (int(path.name[4:]) for path, name in names.items() if name.startswith("SMBus stub"))
    with SMBus(number) as bus:
        bus.write_byte_data(0x6A, 0x20, 0x5A)
        return bool(bus.read_byte_data(0x6A, 0x20) == 0x5A)


def usb_nodes(edge_tpu: bool) -> list[Path]:
    def ids(path: Path) -> tuple[str, str]:
        return (path / "idVendor").read_text().strip(), (path / "idProduct").read_text().strip()

    devices = [path.parent for path in Path("/sys/bus/usb/devices").glob("*/idVendor")]
    return [
        Path(f"/dev/bus/usb/{int((path / 'busnum').read_text()):03d}/{int((path / 'devnum').read_text()):03d}")
        for path in devices
        if (ids(path) in EDGE_TPUS) == edge_tpu
    ]


def opens(path: Path | str, flags: int = os.O_RDWR) -> bool:
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True


def edge_tpus() -> bool:
    nodes = usb_nodes(edge_tpu=True)
    for node in nodes:
        with open(node, "r+b", buffering=0) as file:
            fcntl.ioctl(file, USBDEVFS_GET_CAPABILITIES, bytearray(4))
    return len(nodes) == len(EDGE_TPUS)


def uevents() -> bool:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_KOBJECT_UEVENT) as sock:
        # Group 1: the kernel's own events.
        sock.bind((0, 1))
    return True


def child() -> bool:
    """Start a process of this Python, as the Edge TPU's is, with a memory file both map."""
    fd = os.memfd_create("trial")
    os.truncate(fd, 4096)
    script = f"import mmap; mmap.mmap({fd}, 4096)[:2] = b'ok'"
    subprocess.run([sys.executable, "-c", script], pass_fds=[fd], check=True)
    return mmap.mmap(fd, 4096)[:2] == b"ok"


def runs(path: Path) -> bool:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o700)
    try:
        subprocess.run([path], check=True)
    except OSError:
        return False
    finally:
        path.unlink()
    return True


def anonymous_code() -> bool:
    try:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return False
    return True


def packets() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()
    except OSError:
        return False
    return True


def mounts() -> bool:
    return bool(ctypes.CDLL(None).mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)


STATE = Path(os.environ["STATE_DIRECTORY"])
MUST: dict[str, Callable[[], bool]] = {
    "reads and writes a register over I2C": i2c,
    "opens both Edge TPUs on USB": edge_tpus,
    "hears USB devices come and go": uevents,
    "starts a child process that shares memory": child,
    "writes its state": lambda: opens(STATE / "probe", os.O_CREAT | os.O_WRONLY),
    "resolves names": lambda: bool(socket.getaddrinfo("localhost", 1883)),
}
MUST_NOT: dict[str, Callable[[], bool]] = {
    "opens another USB device for writing": lambda: any(opens(node) for node in usb_nodes(edge_tpu=False)),
    "opens the disk": lambda: opens("/dev/vda", os.O_RDONLY),
    "opens the console": lambda: opens("/dev/ttyS0"),
    "writes to /etc": lambda: opens("/etc/motionsig/config.toml"),
    "reads the credentials' sources": lambda: os.access("/etc/motionsig/credentials", os.R_OK),
    "reads root's home": lambda: os.access("/root", os.R_OK),
    "writes a kernel setting": lambda: opens("/proc/sys/kernel/panic"),
    "writes to sysfs but for the group iio": lambda: any(
        opens(path, os.O_WRONLY) for path in Path("/sys/devices").glob("pci*/*/rescan")
    ),
    "runs what it wrote": lambda: runs(STATE / "program"),
    "makes memory that runs": anonymous_code,
    "sends packets of its own": packets,
    "mounts": mounts,
}

if __name__ == "__main__":
    for wanted, table in ((True, MUST), (False, MUST_NOT)):
        for name, does in table.items():
            try:
                so, why = does() is wanted, ""
            except Exception as error:
                so, why = False, f"{type(error).__name__}: {error}"
            print(json.dumps([f"{'' if wanted else 'never '}{name}", so, why]))

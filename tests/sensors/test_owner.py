"""One owner for a chip: who is refused, what is said of the owner, and when the lock goes."""

from __future__ import annotations

import fcntl
import gc
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from motionsig.errors import SensorError
from motionsig.sensors import open_sensor, scan
from motionsig.sensors import owner as it
from motionsig.sensors.bus import Bus
from motionsig.sensors.owner import HeldError, device_owner, own, own_device, owner_of
from motionsig.sensors.self_test import self_test
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip

OWNER = f"""
import importlib.util, os, sys
from pathlib import Path
# The module by itself: the package around it takes longer to import than all that follows.
spec = importlib.util.spec_from_file_location("owner", {it.__file__!r})
it = importlib.util.module_from_spec(spec)
sys.modules["owner"] = it
spec.loader.exec_module(it)
class Device:
    def __init__(self, *nodes):
        self.name, self.nodes = nodes[0], tuple(map(Path, nodes))
def refused(node):
    try:
        it.own(Device(node), 0x68)
    except it.HeldError as error:
        return str(error)
    return "nothing"
"""

HOLDS = """
what, nodes = sys.argv[2], sys.argv[3:]
held = it.own_device(Path(nodes[0]), "it") if what == "whole" else it.own(Device(*nodes), int(what))
print("holds", flush=True)
sys.stdin.read()
"""


def run(code: str, *arguments: object) -> str:
    """Return what a program that has `it` and `Device` prints."""
    command = [sys.executable, "-c", OWNER + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, done.stderr
    return done.stdout.strip()


class Device(SimulatedBus):
    """A bus that is a device: its node, then those of the buses above it."""

    def __init__(self, *nodes: Path) -> None:
        super().__init__([], clock=VirtualClock(), name=str(nodes[0]))
        self.nodes = nodes


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A character device with a node of its own, or a file where this user may make none."""
    path = tmp_path / "i2c-1"
    try:
        os.mknod(path, 0o20660, os.makedev(1, 3))
    except PermissionError:
        path.touch()
    return path


class Holder:
    """Another process that owns something."""

    def __init__(self, what: int | str, *nodes: Path) -> None:
        script = Path(nodes[0]).parent / "holder.py"
        script.write_text(OWNER + HOLDS)
        command = [sys.executable, str(script), "run", str(what), *map(str, nodes)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None and self.process.stdout.readline() == "holds\n"
        self.name = f"process {self.process.pid} (holder.py run)"

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()


def refused(bus: Bus, address: int = 0x68) -> str:
    with pytest.raises(HeldError) as error:
        own(bus, address)
    return str(error.value)


def test_another_process_is_named_and_gone_with_it(node):
    bus = Device(node)
    assert owner_of(bus, 0x68) is None
    with Holder(0x68, node) as holder:
        assert owner_of(bus, 0x68) == holder.name and owner_of(bus, 0x69) is None
        assert refused(bus) == (
            f"{node} address 0x68: expected a sensor that nobody else reads, got one held by {holder.name}; "
            "stop that (a service: sudo systemctl stop motionsig) first"
        )
        own(bus, 0x69).close()
        holder.process.send_signal(signal.SIGKILL)
        holder.process.wait()
        own(bus, 0x68).close()


def test_two_readers_of_one_process_are_refused_too(node):
    with own(Device(node), 0x68):
        assert "held by this process; close that one first" in refused(Device(node))
        with pytest.raises(HeldError):
            threading_own(Device(node))
    own(Device(node), 0x68).close()


def threading_own(bus: Bus) -> None:
    found: list[BaseException] = []

    def attempt() -> None:
        try:
            own(bus, 0x68)
        except SensorError as error:
            found.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    raise found[0]


def test_a_child_that_inherits_the_lock_is_refused_and_keeps_it_alive(node):
    code = """
held, parent = it.own(Device(sys.argv[1]), 0x68), os.getpid()
(asked, tell), (let_go, say) = os.pipe(), os.pipe()
if not os.fork():
    print(f"process {parent} " in refused(sys.argv[1]), flush=True)
    os.write(tell, b".")
    os.read(let_go, 1)
    # Its parent has let go of it, but it could still talk to the chip.
    print(refused(sys.argv[1]).count("held by"), flush=True)
    os._exit(0)
os.read(asked, 1)
held.close()
os.write(say, b".")
os.wait()
print(refused(sys.argv[1]))
"""
    assert run(code, node).split() == ["True", "1", "nothing"]


def test_another_user_learns_the_process(everyones_path):
    if os.geteuid():
        pytest.skip("needs root, to become another user")
    node = everyones_path / "i2c-9"
    node.touch()
    node.chmod(0o666)
    with Holder(0x68, node) as holder:
        assert holder.name in run("os.setgid(65534); os.setuid(65534); print(refused(sys.argv[1]))", node)


def test_closing_the_device_elsewhere_does_not_hide_the_name(node):
    held = own(Device(node), 0x68)
    try:
        os.close(os.open(node, os.O_RDWR))
        # Without its name the process is still found by its descriptors, by those who may see them.
        assert asked_elsewhere(node) == f"process {os.getpid()}"
        # Our own code gives the name again.
        own(Device(node), 0x69).close()
        assert asked_elsewhere(node, hidden=True) == f"process {os.getpid()}"
    finally:
        held.close()


def asked_elsewhere(node: Path, *, hidden: bool = False) -> str:
    """Return the process that another one is told; hidden: to whom /proc shows no descriptors."""
    code = "import motionsig.locks\nmotionsig.locks._seen = lambda inode, at: 0\n" if hidden else ""
    found = re.match(r"process \d+", told := run(code + "print(it.owner_of(Device(sys.argv[1]), 0x68))", node))
    return found[0] if found else told


def test_a_chip_above_a_multiplexer_is_one_with_itself_and_channels_are_not(node):
    above, one, other = node, node.with_name("i2c-2"), node.with_name("i2c-3")
    one.touch()
    other.touch()
    with Holder(0x68, one, above) as holder:
        assert owner_of(Device(above), 0x68) == owner_of(Device(one, above), 0x68) == holder.name
        assert holder.name in refused(Device(above))
        own(Device(other, above), 0x68).close()
    with Holder(0x68, above) as holder:
        assert owner_of(Device(other, above), 0x68) == holder.name
        assert holder.name in refused(Device(other, above))
    own(Device(above), 0x68).close()


def test_a_device_of_the_kernels_is_owned_by_its_folder(tmp_path):
    folder = tmp_path / "iio:device0"
    folder.mkdir()
    assert device_owner(folder) is None
    with Holder("whole", folder) as holder:
        assert device_owner(folder) == holder.name
        with pytest.raises(
            HeldError, match=re.escape(f"iio:it: expected .* held by {holder.name}").replace(r"\.\*", ".*")
        ):
            own_device(folder, "iio:it")
    own_device(folder, "iio:it").close()


def test_nothing_is_held_by_one_who_was_refused(node):
    for _ in range(3):
        with Holder(0x68, node):
            refused(Device(node))
        with own(Device(node), 0x68):
            open_files = len(os.listdir("/proc/self/fd"))
            refused(Device(node))
            assert len(os.listdir("/proc/self/fd")) == open_files


def test_what_cannot_be_locked_says_why(tmp_path):
    with pytest.raises(SensorError, match=f"expected to lock {tmp_path}/none, got: No such file or directory"):
        own(Device(tmp_path / "none"), 0x68)


def test_a_lock_is_exclusive_to_any_program_that_asks_the_kernel(node):
    """Whoever wants to, may respect it: it is the byte of the chip's address on the node."""
    with own(Device(node), 0x68), open(node, "r+b", buffering=0) as file:
        with pytest.raises(BlockingIOError):
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, 0x68))
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, 0x69))


def _flock(kind: int, at: int) -> bytes:
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, at, 1, 0)


class Written(SimulatedBus):
    """A bus that keeps what was written to it."""

    def __init__(self, name: str, clock: VirtualClock) -> None:
        super().__init__([simulated_chip(name, clock=clock)], clock=clock)
        self.written: list[bytes] = []

    def write(self, address: int, data: bytes) -> None:
        self.written.append(data)
        super().write(address, data)


def on_bus(name: str = "mpu6050") -> tuple[Written, VirtualClock]:
    clock = VirtualClock()
    return Written(name, clock), clock


def test_every_way_in_is_refused_while_a_sensor_is_open():
    bus, clock = on_bus()
    with open_sensor("mpu6050", bus=bus, clock=clock, calibration="none") as sensor:
        writes = len(bus.written)
        for attempt in (
            lambda: open_sensor("mpu6050", bus=bus, clock=clock, rate_hz=500),
            lambda: open_sensor("auto", bus=bus, clock=clock),
            lambda: self_test(bus, sensor.fifo.chip, 0x68, clock=clock),
        ):
            with pytest.raises(HeldError, match=r"simulated address 0x68: .* held by this process"):
                attempt()
        (found,) = scan(bus)
        assert found.held == "this process" and str(found).endswith("at 0x68, held by this process")
        assert len(bus.written) == writes
    open_sensor("mpu6050", bus=bus, clock=clock, calibration="none").close()
    with pytest.raises(SensorError, match="expected it to lie still"):
        self_test(bus, sensor.fifo.chip, 0x68, clock=clock)
    assert scan(bus)[0].held is None


def test_a_sensor_that_nobody_refers_to_any_more_holds_nothing():
    bus, clock = on_bus()
    sensor = open_sensor("mpu6050", bus=bus, clock=clock, calibration="none")
    next(iter(sensor))
    del sensor
    gc.collect()
    open_sensor("mpu6050", bus=bus, clock=clock, calibration="none").close()


def test_a_start_that_fails_holds_nothing():
    bus, clock = on_bus()
    chip = bus.chips[0x68]
    write, chip.write_register = chip.write_register, lambda register, value: None  # type: ignore[method-assign]
    with pytest.raises(SensorError, match="register"):
        open_sensor("mpu6050", bus=bus, clock=clock, calibration="none")
    chip.write_register = write  # type: ignore[method-assign]
    open_sensor("mpu6050", bus=bus, clock=clock, calibration="none").close()


def test_a_bank_is_not_selected_under_a_reader():
    bus, clock = on_bus("icm20948")
    bus.write(0x68, bytes((0x7F, 0x20)))
    with own(bus, 0x68), pytest.raises(HeldError):
        open_sensor("icm20948", bus=bus, clock=clock, calibration="none")
    assert bus.chips[0x68].read(0x7F, 1) == b"\x20"

"""One owner for each Edge TPU: who gets it, what the others are told, and that nobody resets it under its owner."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from edgetpu_runs import QUICK, auto, batch, children, plug, prefer_edgetpu, strict, unplug, wait_for
from processes import is_running

from motionsig.encoders.edgetpu import Limits
from motionsig.encoders.edgetpu.claim import NotFreeError, claim, owner
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.edgetpu.worker import Job, Worker
from motionsig.errors import EncoderError
from motionsig.locks import THIS
from motionsig.model_card import load_card
from motionsig.quality import Quality

HOLDS = """
import os, sys
from pathlib import Path
from motionsig.encoders.edgetpu.claim import NotFreeError, claim
if sys.argv[2:]:
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
try:
    held = claim(root=Path(sys.argv[1]))
except NotFreeError as error:
    print(error)
else:
    print(held and held.edgetpu.place, flush=True)
    sys.stdin.read()
"""

NETWORK = """
import json, sys
from pathlib import Path
from motionsig.encoders.edgetpu import AutoNetwork, EdgeTpuNetwork, Limits
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.errors import EncoderError
from motionsig.model_card import load_card
kind, model, root, times = sys.argv[1:]
card = load_card(Path(model))
for _ in range(int(times)):
    try:
        if kind == "auto":
            network = AutoNetwork(card, LiteRtNetwork(card), root=Path(root))
        else:
            network = EdgeTpuNetwork(card, limits=Limits(held_s=0.0), root=Path(root))
        print(json.dumps(network.device), flush=True)
        if times == "1":
            sys.stdin.read()
        network.close()
    except EncoderError as error:
        print(json.dumps(str(error)), flush=True)
"""


class Other:
    """Another process that says one line, and holds what it has until it is killed."""

    def __init__(self, folder, script, *arguments):
        (folder / "other.py").write_text(script)
        command = [sys.executable, str(folder / "other.py"), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = self.process.stdout.readline().strip()
        self.name = f"process {self.process.pid} (other.py"

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.communicate()


def in_port(root, place, devnum="4"):
    """Put an Edge TPU in a USB port as the kernel shows it: the port has a folder of its own, which stays."""
    plug(root, place)
    port = root / "sys/ports" / place
    port.mkdir(parents=True, exist_ok=True)
    device = root / "sys/bus/usb/devices" / place
    (device / "port").symlink_to(port)
    (device / "devnum").write_text(devnum)


def on_pci(root, number, **told):
    device, apex = root / f"sys/bus/pci/devices/0000:0{number}:00.0", root / f"sys/class/apex/apex_{number}"
    for folder in (device, apex):
        folder.mkdir(parents=True)
    (device / "vendor").write_text("0x1ac1\n")
    (device / "device").write_text("0x089a\n")
    (apex / "device").symlink_to(device)
    for name, text in told.items():
        (apex / name).write_text(f"{text}\n")


def test_another_process_is_named_and_its_death_frees_the_device(tmp_path):
    in_port(tmp_path, "1-1.4")
    (edgetpu,) = edgetpus(tmp_path)
    assert owner(edgetpu, tmp_path) is None
    with Other(tmp_path, HOLDS, tmp_path) as other:
        assert other.said == "1-1.4" and other.name in owner(edgetpu, tmp_path)
        with pytest.raises(NotFreeError, match=f"^the one on USB 1-1.4 is in use by process {other.process.pid} \\("):
            claim(root=tmp_path)
        other.process.kill()
        other.process.wait()
        claim(root=tmp_path).close()
    assert owner(edgetpu, tmp_path) is None


def test_the_lock_outlives_the_first_use_and_a_device_that_is_put_back(tmp_path):
    in_port(tmp_path, "1-1.4")
    with claim(root=tmp_path) as held:
        unplug(tmp_path, "1-1.4")
        assert held.holds and claim(root=tmp_path) is None
        in_port(tmp_path, "1-1.4", devnum="5")
        assert held.holds
        with pytest.raises(NotFreeError, match=THIS):
            claim(root=tmp_path)


def test_a_lock_on_what_has_gone_is_none(tmp_path):
    on_pci(tmp_path, 0)
    with claim(root=tmp_path) as held:
        assert held.holds
        (tmp_path / "sys/bus/pci/devices/0000:00:00.0").rename(tmp_path / "elsewhere")
        assert not held.holds
        on_pci(tmp_path / "again", 0)
        (tmp_path / "again/sys/bus/pci/devices/0000:00:00.0").rename(tmp_path / "sys/bus/pci/devices/0000:00:00.0")
        assert not held.holds


def test_every_user_takes_part(everyones_path):
    if os.geteuid():
        pytest.skip("needs root, to become another user")
    in_port(everyones_path, "1-1.4")
    with (
        claim(root=everyones_path),
        Other(everyones_path, HOLDS, everyones_path, 65534) as other,
    ):
        assert other.said.startswith(f"the one on USB 1-1.4 is in use by process {os.getpid()} (")
    with Other(everyones_path, HOLDS, everyones_path, 65534) as other:
        assert other.said == "1-1.4"
        with pytest.raises(NotFreeError, match=f"in use by process {other.process.pid} "):
            claim(root=everyones_path)


def test_one_that_this_user_may_not_open_is_left_alone(everyones_path):
    if os.geteuid():
        pytest.skip("needs root, to become another user")
    in_port(everyones_path, "1-1.4")
    node = everyones_path / "dev/bus/usb/001/004"
    node.parent.mkdir(parents=True)
    node.touch(0o600)
    with Other(everyones_path, HOLDS, everyones_path, 65534) as other:
        says = "this user may not open /dev/bus/usb/001/004, the one on USB 1-1.4; more: motionsig doctor"
        assert other.said == says
    in_port(everyones_path, "1-2", devnum="5")
    with Other(everyones_path, HOLDS, everyones_path, 65534) as other:
        assert other.said == "1-2"


def test_a_program_that_takes_no_lock_is_seen(tmp_path):
    in_port(tmp_path, "1-1.4")
    opened = tmp_path / f"proc/{os.getpid()}/fd"
    opened.mkdir(parents=True)
    (opened / "3").symlink_to("/dev/bus/usb/001/004")
    with pytest.raises(NotFreeError, match=f"is in use by {THIS}"):
        claim(root=tmp_path)
    (opened / "3").unlink()
    claim(root=tmp_path).close()


def test_the_pci_driver_tells_every_user_who_has_the_device(tmp_path):
    on_pci(tmp_path, 1, is_device_owned=1, device_owner=4194304)
    on_pci(tmp_path, 2, is_device_owned=0, device_owner=4194304)
    first, second = edgetpus(tmp_path)
    assert owner(first, tmp_path) == "process 4194304" and owner(second, tmp_path) is None
    with claim(root=tmp_path) as held:
        assert held.edgetpu == second


@pytest.mark.parametrize(
    ("which", "place"),
    [
        ("", "0000:01:00.0"), ("pci", "0000:01:00.0"), ("usb", "1-1"), ("usb:1", "1-2"), (":0", "0000:01:00.0"),
        (":2", "1-2"), ("usb:2", None), ("pci:1", None), (":3", None),
    ],
)  # fmt: skip
def test_which_one_is_meant(tmp_path, which, place):
    on_pci(tmp_path, 1)
    for port in ("1-2", "1-1"):
        in_port(tmp_path, port)
    held = claim(which, tmp_path)
    assert place == (held and held.edgetpu.place)
    if held is not None:
        held.close()


def test_the_next_free_one_is_taken(tmp_path):
    for port in ("1-1", "1-2", "1-3"):
        in_port(tmp_path, port)
    with claim(root=tmp_path), claim(root=tmp_path, but=["1-2"]) as third, claim(root=tmp_path) as second:
        assert (second.edgetpu.place, third.edgetpu.place) == ("1-2", "1-3")
        with pytest.raises(NotFreeError, match="1-1 is in use by this process; the one on USB 1-2 is in use by this"):
            claim("usb", tmp_path)


def test_the_claimed_one_of_several_is_opened_whatever_the_librarys_order(control, model, root, data, twin):
    control.write("devices usb@1-2 usb@1-1.4 usb@1-1")
    for place in ("1-1", "1-2"):
        plug(root, place)
    with claim("usb:0", root), strict(model, root=root) as encoder:  # 1-1 is taken, so 1-2 is next
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
        assert control.resets()[:3] == (1, 0, 0)


def test_a_device_that_the_library_does_not_list_is_not_opened(control, model, root):
    control.write("devices usb@3-1 usb@3-2")
    plug(root, "1-2")
    listed = r"expected libedgetpu\.so\.1 to list /sys/bus/usb/devices/1-2, got /sys/bus/usb/devices/3-1, "
    with pytest.raises(EncoderError, match=listed):
        strict(model, which="usb:0", root=root)
    assert not any(control.resets())


def test_many_starts_beside_a_holder_reset_nothing(control, model, root, data, twin, tmp_path):
    prefer_edgetpu(model, root)
    with strict(model, root=root) as encoder:
        for kind in ("auto", "edgetpu"):
            with Other(tmp_path, NETWORK, kind, model, root, 10) as other:
                # `communicate` would not return what was read together with the first line.
                lines = [json.loads(line) for line in (other.said, *other.process.stdout)]
            says = f"Edge TPU: the one on USB 1-1.4 is in use by process {os.getpid()} ("
            assert len(lines) == 10 and all(says in line for line in lines)
            assert all(line.startswith("cpu (" if kind == "auto" else "Edge TPU: ") for line in lines)
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
    assert control.resets()[0] == 1 and control.counts().creations == 1


@pytest.mark.parametrize("which", ["", "usb:0"])
def test_one_that_comes_back_from_its_first_use_is_left_to_its_owner(
    control, model, root, data, twin, monkeypatch, which
):
    """While it is away, the machine shows none; then a second process must not open what it does not own."""
    prefer_edgetpu(model, root)
    with strict(model, root=root) as encoder:
        unplug(root, "1-1.4")
        job, resets = Job(load_card(model), which), control.resets()
        assert claim(which, root) is None
        second = Worker(job, Limits(), None, root)
        plug(root, "1-1.4")
        with pytest.raises(EncoderError, match=r"that is this process's own, got others, or one that was plugged in"):
            second.ready(60)
        assert control.resets() == resets
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()


def test_edgetpu_waits_for_the_owner_to_end(control, model, root, data, twin, tmp_path, caplog):
    held = claim(root=root)
    threading.Timer(0.5, held.close).start()
    with strict(model, Limits(call_s=30.0, held_s=30.0), root=root) as encoder:
        assert encoder.encode(batch(data)).codes.tobytes() == twin.codes.tobytes()
    (line,) = [record.getMessage() for record in caplog.records if "waiting" in record.getMessage()]
    assert line == "Edge TPU: the one on USB 1-1.4 is in use by this process; waiting at most 30 s for it"


def test_edgetpu_is_refused_in_one_line(control, model, root):
    with claim(root=root), pytest.raises(EncoderError) as error:
        strict(model, Limits(held_s=0.2), root=root)
    assert str(error.value) == (
        "Edge TPU: the one on USB 1-1.4 is in use by this process; waited 0.2 s for it; "
        "free it, or use the device cpu or auto"
    )
    assert control.counts().creations == 0


def test_auto_names_the_owner_and_takes_the_device_when_it_is_free(control, model, root, data, twin, caplog):
    prefer_edgetpu(model, root)
    held = claim(root=root)
    with auto(model, root) as encoder:
        made = encoder.encode(batch(data[:9]))
        assert made.codes.tobytes() == twin.codes[:9].tobytes() and not (made.quality & Quality.EDGE_TPU).any()
        assert "is in use by this process" in encoder.device
        says = [record for record in caplog.records if "is in use by" in record.getMessage()]
        assert [record.levelno for record in says] == [logging.WARNING]
        held.close()
        wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the change")
        with pytest.raises(NotFreeError):
            claim(root=root)
    claim(root=root).close()


@pytest.mark.parametrize("kind", ["edgetpu", "auto"])
def test_nobody_takes_the_device_while_a_lost_child_is_replaced(control, model, root, data, kind):
    prefer_edgetpu(model, root)
    done, taken = threading.Event(), []

    def try_to_take():
        while not done.is_set():
            if (held := _free(root)) is not None:
                held.close()
                taken.append(held)

    limits = Limits(call_s=30.0, retry_s=2.0)  # from one start to the next
    with strict(model, limits, root=root) if kind == "edgetpu" else auto(model, root, limits) as encoder:
        other = threading.Thread(target=try_to_take)
        other.start()
        try:
            os.kill(children()[0], signal.SIGKILL)
            encoder.encode(batch(data[:1]))
            wait_for(lambda: encoder.encode(batch(data[:1])).quality[0] & Quality.EDGE_TPU, "the return")
        finally:
            done.set()
            other.join()
    assert not taken and control.resets()[0] == 2


def test_auto_that_prefers_the_cpu_leaves_the_device_to_others(control, model, root):
    control.write("slow 3000")
    with auto(model, root) as encoder:
        assert encoder.device.startswith("cpu (") and control.counts().creations == 1
        claim(root=root).close()
    with auto(model, root):
        assert control.counts().creations == 1
        claim(root=root).close()


def test_a_start_that_fails_leaves_the_device_to_others(control, model, root):
    control.write("err create")
    with pytest.raises(EncoderError):
        strict(model, root=root)
    claim(root=root).close()


def test_the_child_keeps_the_lock_until_it_has_ended(control, model, root, tmp_path):
    with Other(tmp_path, NETWORK, "edgetpu", model, root, 1) as other:
        (child,) = children(other.process.pid)
        # A child that the kernel does not let go of.
        os.kill(child, signal.SIGSTOP)
        other.process.kill()
        other.process.wait()
        with pytest.raises(NotFreeError, match=f"in use by process {child}"):
            claim(root=root)
        os.kill(child, signal.SIGCONT)
        until = time.monotonic() + 60
        while (held := _free(root)) is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert not is_running(child)
        held.close()


def _free(root):
    try:
        return claim(root=root)
    except NotFreeError:
        return None


def test_without_a_lock_the_double_takes_the_device_from_its_owner(control, model, root, data, caplog):
    """What all this prevents; a lock in another tree of sysfs is none here."""
    with strict(model, root=root) as encoder:
        plug(root / "other", "1-1.4")
        with strict(model, QUICK, root=root / "other"):
            wait_for(lambda: not children() or len(children()) == 1, "the abort")
            assert control.resets()[0] == 2
        encoder.encode(batch(data[:1]))
        assert "another process has reset the port" in caplog.text

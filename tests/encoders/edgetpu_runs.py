"""Encoders on the double of the Edge TPU, machines with one in a port, and the processes that drive it."""

import dataclasses
import os
import shutil
import time
from pathlib import Path

import fake_edgetpu as fake
import numpy as np

from motionsig.blocks import WindowBatch
from motionsig.encoders.edgetpu import AutoNetwork, EdgeTpuNetwork, Limits, choice
from motionsig.encoders.edgetpu.choice import Choice
from motionsig.encoders.edgetpu.presence import edgetpus
from motionsig.encoders.host import HostEncoder
from motionsig.encoders.litert import LiteRtNetwork
from motionsig.model_card import load_card

WINDOWS = 300

GOLDEN = 24
"""Golden windows, which a child must answer each time it starts."""

QUICK = Limits(call_s=30.0, start_s=60.0, retry_s=0.0, starts=50)
"""A machine under load may stand still for seconds; what hangs needs a shorter `call_s`."""

HANGING = dataclasses.replace(QUICK, call_s=4.0)

FAULTS = ["err", "abort", "hang", "segfault", "exit"]


def plug(root, place):
    port = root / "sys/bus/usb/devices" / place
    port.mkdir(parents=True)
    for name, text in {"idVendor": "18d1", "idProduct": "9302", "busnum": "1", "devnum": "4", "speed": "480"}.items():
        (port / name).write_text(f"{text}\n")


def unplug(root, place):
    shutil.rmtree(root / "sys/bus/usb/devices" / place)


def batch(data):
    count = len(data)
    return WindowBatch(np.arange(count, dtype=np.int64), data, np.arange(count, dtype=np.uint8) % 2, 1)


def strict(model, limits=QUICK, which="", root=Path("/")):
    card = load_card(model)
    return HostEncoder(card, EdgeTpuNetwork(card, which, limits=limits, root=root))


class LazyCpu:
    """The CPU's network, but each window takes it as long as it would a much larger network."""

    def __init__(self, card):
        self._network = LiteRtNetwork(card)
        self.device = self._network.device

    def run(self, inputs):
        time.sleep(0.02 * len(inputs))  # longer than a call of the child takes under load
        return self._network.run(inputs)

    def close(self):
        self._network.close()


def auto(model, root, limits=QUICK):
    card = load_card(model)
    return HostEncoder(card, AutoNetwork(card, LiteRtNetwork(card), limits=limits, root=root))


def prefer_edgetpu(model, root):
    """Let it be remembered that the Edge TPU is faster here, which a double of it would not be."""
    card = load_card(model)
    conditions = choice.conditions(card, LiteRtNetwork(card).device, edgetpus(root))
    choice.remember(card, conditions, Choice(20.0, 50.0, "2026-11-23"))


def wait_for(happened, what, limit_s=60.0):
    until = time.monotonic() + limit_s
    while not happened():
        assert time.monotonic() < until, f"{what} did not happen within {limit_s} s"
        time.sleep(0.01)


def children(parent=None):
    """Return the processes of ours that have an Edge TPU."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if "edgetpu.child" in command and fields[0] != "Z" and int(fields[1]) == (parent or os.getpid()):
            found.append(int(folder.name))
    return found


def bad(tmp_path, control, monkeypatch, trouble):
    """Bring about what may be wrong with library, device or model at the start."""
    if trouble in ("none", "NO_PLUGIN", "OLD_ABI", "junk"):
        folder = tmp_path / "other library"
        folder.mkdir()
        if trouble == "junk":
            (folder / fake.LIBRARY_NAME).write_bytes(b"\x7fELF but no more")
        elif trouble != "none":
            fake.build(folder, f"-D{trouble}")
        monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
    else:
        control.write(trouble)

"""Places for a daemon: with TLS, disks that fail, a clock that is set, a chip, an Edge TPU.

`control`: what the fault of a site works with.
"""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fake_edgetpu
import numpy as np
from broker import make_certificates
from i2c_machine import I2cMachine
from surviving import Site
from witness import FastWalk

from motionsig.blocks import SampleBlock
from motionsig.conventions import NS_PER_S
from motionsig.encoders import open_encoder
from motionsig.model_card import load_card
from motionsig.pipeline import run
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.simulated import Faults, SimulatedBus, simulated_chip

FAST_RETRIES = "delay_s = 0.1\nretry_s = 0.2\nmax_retry_s = 1.0\n"
"""The daemon tries again within a second, where the trial is not about how long it waits."""

FAST = 4.0
"""Times real time. Such a sensor waits when the machine is busy, as no real one does, so that only a fault can lose a
window."""

SHORT_DEADLINES = "ack_timeout_s = 1.0\nkeepalive_s = 2\n"
"""The daemon gives a silent connection up within seconds, not within half a minute."""

HOUR_NS = 3600 * NS_PER_S
TEN_YEARS_NS = 3653 * 24 * HOUR_NS

_HERE = Path(__file__).parent

CERTIFICATES = {
    "right": ("ca", "DNS:localhost", 2),
    "of a wrong authority": ("other-ca", "DNS:localhost", 2),
    "of a wrong name": ("ca", "DNS:elsewhere", 2),
    "that has expired": ("ca", "DNS:localhost", -1),
}
"""Authority, names, days."""


def write_certificate(folder: Path, authority: str, names: str, days: int) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", *key, "-subj", "/CN=server", "-keyout", "now.key", "-out", "now.csr")
    (folder / "extensions").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "now.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", str(days), "-extfile", "extensions", "-out", "now.pem")  # fmt: skip


@contextlib.contextmanager
def site(folder: Path, *, options: str = FAST_RETRIES, **more: Any) -> Iterator[Site]:
    with Site(folder, options=options, **more) as made:
        yield made


@contextlib.contextmanager
def tls_site(folder: Path, *, options: str = "", **more: Any) -> Iterator[Site]:
    """The broker shows a certificate: `show_certificate` gives it another."""
    certificates = folder / "certificates"
    make_certificates(certificates)
    write_certificate(certificates, *CERTIFICATES["right"])
    made = Site(
        folder,
        scheme="mqtts",
        host="localhost",
        listener=f"cafile {certificates}/ca.pem\ncertfile {certificates}/now.pem\nkeyfile {certificates}/now.key\n",
        options=f'{FAST_RETRIES}ca = "{certificates}/ca.pem"\n{options}',
        **more,
    )
    made.collect_from = f"mqtts://localhost:{made.broker.port}?ca={certificates}/ca.pem"
    with made:
        yield made


@contextlib.contextmanager
def disk_site(folder: Path, *options: str, **more: Any) -> Iterator[Site]:
    """The daemon's state is on a file system of its own, mounted with these options; the control is its folder."""
    state = folder / "daemon" / "state"
    state.mkdir(parents=True)
    subprocess.run(["mount", *options, str(state)], check=True, capture_output=True)
    try:
        with Site(folder, options=FAST_RETRIES, **more) as made:
            made.control = state
            yield made
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True, capture_output=True)


def ram_disk_site(folder: Path, *, mount: str = "size=2m", **more: Any) -> contextlib.AbstractContextManager[Site]:
    return disk_site(folder, "-t", "tmpfs", "-o", mount, "tmpfs", **more)


def ext4_site(folder: Path, **more: Any) -> contextlib.AbstractContextManager[Site]:
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "disk"
    with image.open("wb") as made:
        made.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    return disk_site(folder, "-o", "loop", str(image), **more)


def can_mount() -> bool:
    """Return whether this process may mount file systems."""
    if os.geteuid():
        return False
    trial = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(trial, capture_output=True).returncode == 0


@contextlib.contextmanager
def clock_site(
    folder: Path, *, tls: bool = False, ahead_ns: int = 0, synchronised: bool = True, **more: Any
) -> Iterator[Site]:
    """The daemon's wall clock is ahead of the machine's by as many ns as the control was last called with.

    A second argument says whether the kernel knows that it is right. ahead_ns, synchronised: at the beginning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shim, offset = folder / "clock_shim.so", folder / "offset"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", str(_HERE / "clock_shim.c"), "-o", str(shim), "-ldl"], check=True)
    offset.write_bytes(struct.pack("=qq", ahead_ns, not synchronised))

    def set_clock(ahead_ns: int, synchronised: bool = True) -> None:
        with offset.open("r+b") as file:
            file.write(struct.pack("=qq", ahead_ns, not synchronised))

    environment = {"LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(offset)}
    with (tls_site if tls else site)(folder, environment=environment, **more) as made:
        made.control = set_clock
        yield made


@contextlib.contextmanager
def chip_site(folder: Path) -> Iterator[Site]:
    """The sensor is behind the real smbus2 on umockdev's bus; the control takes it away for so many seconds."""
    bus = folder / "bus"
    bus.mkdir(parents=True)
    clock = SystemClock()
    chip = simulated_chip("lsm6dso", clock=clock)
    with I2cMachine(SimulatedBus([chip], clock=clock), bus) as machine:

        def pull(seconds: float) -> None:
            off_ns = time.monotonic_ns()
            back_ns = off_ns + round(seconds * NS_PER_S)
            events = ((off_ns, lambda: chip.power_off(off_ns)), (back_ns, lambda: chip.power_on(back_ns)))
            machine.inject(Faults(events=events))
            time.sleep(seconds)

        preload = {name: machine.environment[name] for name in ("UMOCKDEV_DIR", "LD_PRELOAD")}
        with Site(folder, options=FAST_RETRIES, sensor="lsm6dso", environment=preload) as made:
            made.control = pull
            yield made


@contextlib.contextmanager
def edgetpu_site(folder: Path) -> Iterator[Site]:
    """The double of Google's library in the Edge TPU's child process knows the first minutes of one walk.

    The control tells it what else to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen, walk = _Seen(open_encoder("motion64", "cpu")), FastWalk(1.0)
    run(_Stretch(walk, 150), seen, _Nowhere(), hop=8)
    model = fake_edgetpu.fake_model(folder / "model")
    card = load_card(model)
    windows = np.concatenate([card.golden().windows, *seen.windows])
    control = fake_edgetpu.Control(
        folder / "control", fake_edgetpu.write_answers(folder / "answers", card, windows), fake_edgetpu.QUICK_US
    )
    control.write()
    (folder / "library").mkdir()
    environment = control.environment(fake_edgetpu.build(folder / "library"))
    extra = f'name = "{model}"\ndevice = "edgetpu"\n'
    with Site(folder, options=FAST_RETRIES, speed=1.0, extra=extra, environment=environment) as made:
        made.control = control.write
        yield made


@dataclass(frozen=True)
class _Stretch:
    """The first seconds of a walk, at once."""

    walk: FastWalk
    seconds: float
    rate_hz: float = 104.0

    def __iter__(self):
        rows = np.arange(round(self.seconds * self.rate_hz))
        time_ns = self.walk.info.stream_id + np.rint(rows * (NS_PER_S / self.rate_hz)).astype(np.int64)
        yield SampleBlock(time_ns, self.walk.walk[rows], False)


class _Seen:
    """An encoder that keeps the windows it was given."""

    def __init__(self, encoder: Any) -> None:
        self._encoder, self.card, self.device, self.windows = encoder, encoder.card, encoder.device, []

    def encode(self, windows):
        self.windows.append(windows.data.copy())
        return self._encoder.encode(windows)


class _Nowhere:
    def publish(self, signatures) -> None:
        pass

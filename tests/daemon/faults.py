"""What happens to a daemon on a machine that nobody visits: sites, and faults to do there.

For quick tests and long trials. A fault lets its site get well, does harm, makes it good again, and returns how many
seconds it took each time until all was well. Where it has something else to show, it is in `site.notes`. What was lost,
`site.end()` tells.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import fake_edgetpu
import numpy as np
from broker import make_certificates
from i2c_machine import I2cMachine
from surviving import Site, wait_for
from witness import Hurry

from motionsig.blocks import SampleBlock
from motionsig.conventions import NS_PER_S
from motionsig.encoders import open_encoder
from motionsig.model_card import load_card
from motionsig.pipeline import run
from motionsig.sensors.clock import SystemClock
from motionsig.sensors.simulated import Faults, SimulatedBus, simulated_chip

HASTY = "delay_s = 0.1\nretry_s = 0.2\nmax_retry_s = 1.0\n"
"""Tries again within a second, where the trial is not about how long a daemon waits."""

HURRY = 4.0
"""Times life's speed. A sensor in a hurry waits when the machine is busy, as no real one does: what is missing is a
fault's doing."""

IMPATIENT = "ack_timeout_s = 1.0\nkeepalive_s = 2\n"
"""Gives a silent connection up within seconds, not within half a minute."""

HOUR_NS = 3600 * NS_PER_S
TEN_YEARS_NS = 3653 * 24 * HOUR_NS

_HERE = Path(__file__).parent

# Sites. `lever`: what the fault of a site is done with.


@contextlib.contextmanager
def site(folder: Path, *, options: str = HASTY, **more: Any) -> Iterator[Site]:
    with Site(folder, options=options, **more) as made:
        yield made


@contextlib.contextmanager
def tls_site(folder: Path, *, options: str = "", **more: Any) -> Iterator[Site]:
    """The broker shows a certificate: `show_certificate` gives it another."""
    certificates = folder / "certificates"
    make_certificates(certificates)
    _write_certificate(certificates, *CERTIFICATES["right"])
    made = Site(
        folder,
        scheme="mqtts",
        host="localhost",
        listener=f"cafile {certificates}/ca.pem\ncertfile {certificates}/now.pem\nkeyfile {certificates}/now.key\n",
        options=f'{HASTY}ca = "{certificates}/ca.pem"\n{options}',
        **more,
    )
    made.collect_from = f"mqtts://localhost:{made.broker.port}?ca={certificates}/ca.pem"
    with made:
        yield made


@contextlib.contextmanager
def disk_site(folder: Path, *options: str, **more: Any) -> Iterator[Site]:
    """The daemon's state is on a file system of its own, mounted with these options; the lever is its folder."""
    state = folder / "daemon" / "state"
    state.mkdir(parents=True)
    subprocess.run(["mount", *options, str(state)], check=True, capture_output=True)
    try:
        with Site(folder, options=HASTY, **more) as made:
            made.lever = state
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
def clock_site(folder: Path, *, tls: bool = False, **more: Any) -> Iterator[Site]:
    """The daemon's wall clock is ahead of the machine's by as many ns as the lever was last called with."""
    folder.mkdir(parents=True, exist_ok=True)
    shim, offset = folder / "clock_shim.so", folder / "offset"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", str(_HERE / "clock_shim.c"), "-o", str(shim), "-ldl"], check=True)
    offset.write_bytes(struct.pack("=q", 0))

    def set_clock(ahead_ns: int) -> None:
        with offset.open("r+b") as file:
            file.write(struct.pack("=q", ahead_ns))

    environment = {"LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(offset)}
    with (tls_site if tls else site)(folder, environment=environment, **more) as made:
        made.lever = set_clock
        yield made


@contextlib.contextmanager
def chip_site(folder: Path) -> Iterator[Site]:
    """The sensor is behind the real smbus2 on umockdev's bus; the lever takes it away for so many seconds."""
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
        with Site(folder, options=HASTY, sensor="lsm6dso", environment=preload) as made:
            made.lever = pull
            yield made


@contextlib.contextmanager
def edgetpu_site(folder: Path) -> Iterator[Site]:
    """The double of Google's library in the Edge TPU's child process knows the first minutes of one walk.

    The lever tells it what else to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seen, walk = _Seen(open_encoder("motion64", "cpu")), Hurry(1.0)
    run(_Stretch(walk, 150), seen, _Nowhere(), hop=8)
    model = fake_edgetpu.fake_model(folder / "model")
    card = load_card(model)
    windows = np.concatenate([card.golden().windows, *seen.windows])
    control = fake_edgetpu.Control(folder / "control", fake_edgetpu.write_answers(folder / "answers", card, windows))
    control.write()
    (folder / "library").mkdir()
    environment = control.environment(fake_edgetpu.build(folder / "library"))
    extra = f'name = "{model}"\ndevice = "edgetpu"\n'
    with Site(folder, options=HASTY, speed=1.0, extra=extra, environment=environment) as made:
        made.lever = control.write
        yield made


@dataclass(frozen=True)
class _Stretch:
    """The first seconds of a walk, at once."""

    walk: Hurry
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


# The broker.


def broker_away(site: Site, seconds: float) -> list[float]:
    """Nobody listens at the broker's port; for so long of the sensor's time, which may be in a hurry."""
    site.until_well()
    site.broker.stop()
    time.sleep(seconds / (site.speed or 1))
    site.note(f"{site.missing():,} waited")
    site.broker.start()
    return [site.until_well(330)]


def broker_restarted(site: Site, times: int, *, kill: bool = False) -> list[float]:
    """The broker ends and starts again; kill: with kill -9."""
    site.until_well()
    well_s = []
    for _ in range(times):
        (site.broker.kill if kill else site.broker.stop)()
        time.sleep(random.uniform(0, 1))
        site.broker.start()
        well_s.append(site.until_well())
    return well_s


def login_refused(site: Site, seconds: float) -> list[float]:
    """The broker answers that we are not authorised."""
    site.until_well()
    _restart(site, "allow_anonymous true", "allow_anonymous false")
    time.sleep(seconds)
    _note_trouble(site, "authori")
    _restart(site, "allow_anonymous false", "allow_anonymous true")
    return [site.until_well()]


def _note_trouble(site: Site, words: str) -> None:
    """Note why nothing is delivered, once the daemon's status says it in these words."""
    wait_for(lambda: words in (site.daemon.status()["sink"]["last_error"] or ""), f"{words} in the status")
    site.note(f"“{site.daemon.status()['sink']['last_error'].split(': ', 1)[1]}”")


def _restart(site: Site, setting: str, other: str) -> None:
    site.broker.stop()
    site.broker.config.write_text(site.broker.config.read_text().replace(setting, other))
    site.broker.start()


def broker_stalled(site: Site, seconds: float) -> list[float]:
    """SIGSTOP: the broker's connections stay, and nothing moves."""
    site.until_well()
    site.broker.stall()
    time.sleep(seconds)
    site.note(f"{site.missing()} waited")
    site.broker.go_on()
    return [site.until_well(90)]


CERTIFICATES = {
    "right": ("ca", "DNS:localhost", 2),
    "of a wrong authority": ("other-ca", "DNS:localhost", 2),
    "of a wrong name": ("ca", "DNS:elsewhere", 2),
    "that has expired": ("ca", "DNS:localhost", -1),
}
"""Authority, names, days."""

REFUSED = {
    "of a wrong authority": "unable to get local issuer certificate",
    "of a wrong name": "ostname mismatch",
    "that has expired": "certificate has expired",
}
"""What the status says of them."""


def show_certificate(site: Site, kind: str, seconds: float) -> list[float]:
    """The broker shows a certificate that must not be trusted, then a right one again."""
    site.until_well()
    _show(site, kind)
    stored = len(site.stored())
    time.sleep(seconds)
    _note_trouble(site, REFUSED[kind])
    assert len(site.stored()) == stored, "something went to a broker that must not be trusted"
    _show(site, "right")
    return [site.until_well()]


def _show(site: Site, kind: str) -> None:
    site.broker.stop()
    _write_certificate(site.folder / "certificates", *CERTIFICATES[kind])
    site.broker.start()


def _write_certificate(folder: Path, authority: str, names: str, days: int) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", *key, "-subj", "/CN=server", "-keyout", "now.key", "-out", "now.csr")
    (folder / "extensions").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "now.csr", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", str(days), "-extfile", "extensions", "-out", "now.pem")  # fmt: skip


# The network; these need a site with networked=True.


def network_gone(site: Site, after_bytes: Iterable[int], seconds: float, *, resets: bool) -> list[float]:
    """Each connection ends after so many bytes, and so do all that are tried within `seconds`; then all is well again.

    resets: with a reset, else it falls silent.
    """
    site.until_well()
    well_s = []
    for after in after_bytes:
        site.network.cut(after, resets=resets)
        time.sleep(seconds)
        site.network.heal()
        well_s.append(site.until_well(60))
    site.note(f"{site.network.connections} connections")
    return well_s


def network_slow(site: Site, seconds: float, bytes_per_s: float) -> list[float]:
    """So few bytes pass in a second, both ways together, that the signatures hardly fit through."""
    site.until_well()
    site.network.bytes_per_s = bytes_per_s
    time.sleep(seconds)
    site.note(f"{site.missing()} waited")
    site.network.heal()
    return [site.until_well()]


# The disk; these need a site with a disk.


def disk_full(site: Site, seconds: float, *, broker: bool = True) -> list[float]:
    """Somebody else fills the disk, then frees it; broker: whether there is one meanwhile."""
    site.until_well()
    file = site.lever / "somebody else's"
    with _without(site, broker):
        with file.open("wb", buffering=0) as sink:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while sink.write(bytes(size)):
                        pass
        time.sleep(seconds)
        _note_error(site)
        file.unlink()
    return [site.until_well(90)]


def disk_read_only(site: Site, seconds: float, *, broker: bool = True) -> list[float]:
    """The state directory is read-only from the start on, as after a repair that nobody made; later it is writable."""
    wait_for(lambda: (site.daemon.folder / "run" / "status.sock").exists(), "the daemon to answer")
    with _without(site, broker):
        time.sleep(seconds)
        _note_error(site)
        subprocess.run(["mount", "-o", "remount,rw", str(site.lever)], check=True)
    return [site.until_well(90)]


def disk_fails(site: Site, seconds: float, *, broker: bool = True) -> list[float]:
    """ext4 makes itself read-only under the daemon's hands, as it does after an error of the disk; it stays so."""
    site.until_well()
    with _without(site, broker):
        time.sleep(1)
        subprocess.run(["mount", "-o", "remount,abort", str(site.lever)], check=True)
        time.sleep(seconds)
        _note_error(site)
    return [site.until_well(90)]


def _note_error(site: Site) -> None:
    error = site.daemon.status()["last_error"]
    site.note("no error" if error is None else f"“{error['text']}”")


@contextlib.contextmanager
def _without(site: Site, broker: bool) -> Iterator[None]:
    if not broker:
        site.broker.stop()
    yield
    if not broker:
        site.broker.start()


# The clock; needs a site with a clock.


def clock_set(site: Site, steps_ns: Iterable[int], seconds: float, *, reconnects: bool = False) -> list[float]:
    """The wall clock is set so many ns ahead of the right time, one after the other; then it is right again.

    reconnects: the broker restarts at each, so that certificates are looked at by the wrong clock.
    """
    site.until_well()
    steps_ns = list(steps_ns)
    for step_ns in [*steps_ns, 0]:
        site.lever(step_ns)
        if reconnects:
            site.broker.stop()
            site.broker.start()
        time.sleep(seconds)
    well_s = [site.until_well(90)]
    off_s = site.taken()[:, 0] / 1e9 - time.time()
    for step_ns in steps_ns:
        near = np.abs(off_s - step_ns / 1e9) < 600
        assert near.any(), f"nothing was stamped {step_ns / 1e9:.0f} s off: {site.daemon.log}"
    site.note(f"{site.status()['clock_steps']} steps noticed")
    return well_s


# The sensor and the device.


def sensor_pulled(site: Site, seconds: float) -> list[float]:
    """The chip leaves its bus, and comes back."""
    site.until_well()
    site.lever(seconds)
    # What was felt until then may still fill a window; the one after that is of samples from now on.
    well_s = [site.until_well() + site.until_well()]
    sensor = site.status()["sensor"]
    site.note(f"{sensor['gaps']} gap, {sensor['lost']} samples lost and counted")
    return well_s


def edgetpu_killed(site: Site, times: int) -> list[float]:
    """The child process with the Edge TPU's library is killed."""
    site.until_well()
    well_s = []
    for _ in range(times):
        for child in _children(site.daemon.process.pid):
            os.kill(child, signal.SIGKILL)
        well_s.append(site.until_well(60))
    status = site.status()
    site.note(f"{status['on_edgetpu']} of {status['windows']} windows on it, {status['windows_lost']} on none")
    # The stream's end may make a last window that the walk, which goes on, does not have: any answer to it will do.
    site.lever("wrong every 1")
    return well_s


def _children(process: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return [child for child in found if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()]


# The daemon itself.


def killed(site: Site, times: int, *, most_s: float) -> list[float]:
    """Kill -9 of the daemon at random, from its first moment on, and a start at once; only the last is waited for."""
    chance = random.Random(6)
    site.until_well()
    for _ in range(times):
        time.sleep(chance.uniform(0, most_s))
        site.kill()
        site.daemon.start(**site.environment)
    return [site.until_well()]


def reloaded(site: Site, times: int) -> list[float]:
    """A storm of SIGHUPs, each with another configuration, one in five of them nonsense."""
    site.until_well()
    right = site.daemon.config.read_text()
    texts = (right, right + 'device = "reference"\n', right + 'device = "cpu"\n', "nonsense", right)
    for number in range(times):
        fresh = site.daemon.config.with_suffix(".fresh")
        fresh.write_text(texts[number % len(texts)])
        fresh.replace(site.daemon.config)
        site.daemon.signal(signal.SIGHUP)
        time.sleep(0.01)
    site.daemon.config.write_text(right)
    site.daemon.signal(signal.SIGHUP)
    well_s = [site.until_well()]
    site.note(f"{len(site.daemon.log.splitlines())} lines in the log")
    return well_s


@dataclass(frozen=True)
class Usage:
    """What a process holds; bytes: in its folders."""

    rss_kib: int
    files: int
    threads: int
    bytes: int


def usage(site: Site) -> Usage:
    """Return what the daemon holds now."""
    process = Path(f"/proc/{site.daemon.process.pid}")
    status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
    size = 0
    for folder in ("state", "run"):
        for file in (site.daemon.folder / folder).rglob("*"):
            with contextlib.suppress(FileNotFoundError):
                size += file.stat().st_size if file.is_file() else 0
    return Usage(int(status["VmRSS"].split()[0]), len(list((process / "fd").iterdir())), int(status["Threads"]), size)


def long_time(site: Site, seconds: float, *, most_kib: int = 4096) -> list[float]:
    """Nothing happens, for so long of a sensor's time that is in a hurry; what the daemon holds must not grow.

    It is looked at after a third and at the end: as many signatures as come in a hurry fill every buffer first.
    """
    site.until_well()
    time.sleep(seconds / site.speed / 3)
    first = usage(site)
    time.sleep(seconds / site.speed / 3 * 2)
    last = usage(site)
    site.note(
        f"{first.rss_kib / 1024:.1f} to {last.rss_kib / 1024:.1f} MiB, {first.files} to {last.files} descriptors, "
        f"{first.threads} to {last.threads} threads, {first.bytes:,} to {last.bytes:,} B in its folders"
    )
    assert last.rss_kib < first.rss_kib + most_kib
    assert (last.files, last.threads) == (first.files, first.threads)
    assert last.bytes < first.bytes + 1_000_000
    return [site.until_well(60)]


@dataclass(frozen=True)
class Trial:
    """A fault at a site. words: what is done, for a table."""

    words: str
    where: Callable[[Path], contextlib.AbstractContextManager[Site]]
    fault: Callable[[Site], list[float]]


_DAY_S = 86400.0
_plain_bytes, _tls_bytes = range(0, 500, 20), range(0, 5000, 200)
_networked = partial(site, networked=True, options=HASTY + IMPATIENT)
_networked_tls = partial(tls_site, networked=True, options=IMPATIENT)
_all_clocks = (HOUR_NS, -HOUR_NS, TEN_YEARS_NS, -TEN_YEARS_NS)

TRIALS = {
    "away": Trial("broker away for 4 h, at 720 times life's speed", partial(site, speed=720.0, hop=64),
                  partial(broker_away, seconds=4 * 3600)),
    "away-live": Trial("broker away for 3 min; default pauses between tries, up to 5 min", partial(site, options=""),
                       partial(broker_away, seconds=180)),
    "restarts": Trial("broker restarted, 20 times", site, partial(broker_restarted, times=20)),
    "kills": Trial("broker killed by kill -9, 20 times", site, partial(broker_restarted, times=20, kill=True)),
    "login": Trial("login refused for 30 s", site, partial(login_refused, seconds=30)),
    "stall": Trial("broker stopped by SIGSTOP for 60 s; default deadlines", partial(site, options=""),
                   partial(broker_stalled, seconds=60)),
    "slow": Trial("300 bytes a second for 60 s", _networked, partial(network_slow, seconds=60, bytes_per_s=300)),
    **{f"certificate-{kind.split()[-1]}": Trial(f"certificate {kind}, 20 s", tls_site,
                                                partial(show_certificate, kind=kind, seconds=20))
       for kind in list(CERTIFICATES)[1:]},
    "resets": Trial("reset after 0, 20, … 480 bytes", _networked,
                    partial(network_gone, after_bytes=_plain_bytes, seconds=1.5, resets=True)),
    "resets-tls": Trial("the same with TLS, after 0, 200, … 4,800 bytes", _networked_tls,
                        partial(network_gone, after_bytes=_tls_bytes, seconds=1.5, resets=True)),
    "silence": Trial("silent for 12 s after 0, 60, … 480 bytes", _networked,
                     partial(network_gone, after_bytes=_plain_bytes[::3], seconds=12, resets=False)),
    "silence-tls": Trial("the same with TLS, after 0, 600, … 4,800 bytes", _networked_tls,
                         partial(network_gone, after_bytes=_tls_bytes[::3], seconds=12, resets=False)),
    "full": Trial("disk full for 30 s, broker there", ram_disk_site, partial(disk_full, seconds=30)),
    "full-away": Trial("disk full for 30 s, broker away", ram_disk_site,
                       partial(disk_full, seconds=30, broker=False)),
    "read-only": Trial("state directory read-only from the start, 20 s, broker there",
                       partial(ram_disk_site, mount="size=2m,ro"), partial(disk_read_only, seconds=20)),
    "read-only-away": Trial("the same, broker away", partial(ram_disk_site, mount="size=2m,ro"),
                            partial(disk_read_only, seconds=20, broker=False)),
    "disk-fails": Trial("ext4 gone read-only in the middle, for good, broker there", ext4_site,
                        partial(disk_fails, seconds=30)),
    "disk-fails-away": Trial("the same, broker away for 30 s", ext4_site,
                             partial(disk_fails, seconds=30, broker=False)),
    "clock": Trial("clock set by +1 h, -1 h, +10 years, -10 years and back", clock_site,
                   partial(clock_set, steps_ns=_all_clocks, seconds=5)),
    "clock-tls": Trial("the same with TLS, the broker restarted each time", partial(clock_site, tls=True),
                       partial(clock_set, steps_ns=_all_clocks, seconds=5, reconnects=True)),
    "sensor": Trial("sensor pulled for 5 s", chip_site, partial(sensor_pulled, seconds=5)),
    "sensor-long": Trial("sensor pulled for 60 s", chip_site, partial(sensor_pulled, seconds=60)),
    "edgetpu": Trial("Edge TPU's child killed, 5 times", edgetpu_site, partial(edgetpu_killed, times=5)),
    "edgetpu-more": Trial("the same, 10 times: more than its six starts in ten minutes", edgetpu_site,
                          partial(edgetpu_killed, times=10)),
    "killed": Trial("daemon killed by kill -9, 100 times, after 0 to 10 s", site,
                    partial(killed, times=100, most_s=10)),
    "reloads": Trial("1,000 SIGHUPs", site, partial(reloaded, times=1000)),
    "week": Trial("a week, at 2,000 times life's speed", partial(site, speed=2000.0, hop=64, options="delay_s = 1\n"),
                  partial(long_time, seconds=7 * _DAY_S)),
}  # fmt: skip
"""By name, the long form of each."""

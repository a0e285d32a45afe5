"""Faults of disk, clock, sensor and device, and the daemon's own end; see `network_faults`."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from processes import children_of, command_of
from surviving import Site, wait_for


def disk_full(site: Site, seconds: float, *, broker: bool = True) -> list[float]:
    """Somebody else fills the disk, then frees it; broker: whether there is one meanwhile."""
    site.until_well()
    file = site.control / "somebody else's"
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
        subprocess.run(["mount", "-o", "remount,rw", str(site.control)], check=True)
    return [site.until_well(90)]


def disk_fails(site: Site, seconds: float, *, broker: bool = True) -> list[float]:
    """ext4 makes itself read-only while the daemon runs, as it does after an error of the disk; it stays so."""
    site.until_well()
    with _without(site, broker):
        time.sleep(1)
        subprocess.run(["mount", "-o", "remount,abort", str(site.control)], check=True)
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


def clock_set(site: Site, steps_ns: Iterable[int], seconds: float, *, reconnects: bool = False) -> list[float]:
    """The wall clock is set so many ns ahead of the right time, one after the other; then it is right again.

    reconnects: the broker restarts at each, so that certificates are looked at by the wrong clock.
    """
    site.until_well()
    steps_ns = list(steps_ns)
    for step_ns in [*steps_ns, 0]:
        site.control(step_ns)
        if reconnects:
            site.broker.stop()
            site.broker.start()
        time.sleep(seconds)
    well_s = [site.until_well(90)]
    off_s = site.daemon.taken()[:, 0] / 1e9 - time.time()
    for step_ns in steps_ns:
        near = np.abs(off_s - step_ns / 1e9) < 600
        assert near.any(), f"nothing was stamped {step_ns / 1e9:.0f} s off: {site.daemon.log}"
    site.note(f"{site.status()['clock_steps']} steps noticed")
    return well_s


def sensor_pulled(site: Site, seconds: float) -> list[float]:
    """The chip leaves its bus, and comes back."""
    site.until_well()
    site.control(seconds)
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
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        well_s.append(site.until_well(60))
    status = site.status()
    site.note(f"{status['on_edgetpu']} of {status['windows']} windows on it, {status['windows_lost']} on none")
    # The stream's end may make a last window that the walk, which goes on, does not have: any answer to it will do.
    site.control("wrong every 1")
    return well_s


def _children(process: int) -> list[int]:
    return [child for child in children_of(process) if b"resource_tracker" not in command_of(child)]


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
    """Nothing happens, for so long of a fast sensor's time; what the daemon holds must not grow.

    It is measured after a third and at the end: by then so many fast signatures have filled every buffer.
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

"""The trials of `scripts/trial`: each fault in its long form, at its site."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from machine_faults import (
    clock_set,
    disk_fails,
    disk_full,
    disk_read_only,
    edgetpu_killed,
    killed,
    long_time,
    reloaded,
    sensor_pulled,
)
from network_faults import (
    broker_away,
    broker_restarted,
    broker_stalled,
    login_refused,
    network_gone,
    network_slow,
    show_certificate,
)
from sites import (
    CERTIFICATES,
    FAST_RETRIES,
    HOUR_NS,
    SHORT_DEADLINES,
    TEN_YEARS_NS,
    chip_site,
    clock_site,
    edgetpu_site,
    ext4_site,
    ram_disk_site,
    site,
    tls_site,
)
from surviving import Site


@dataclass(frozen=True)
class Trial:
    """A fault at a site. words: what is done, for a table."""

    words: str
    where: Callable[[Path], contextlib.AbstractContextManager[Site]]
    fault: Callable[[Site], list[float]]


_DAY_S = 86400.0
_plain_bytes, _tls_bytes = range(0, 500, 20), range(0, 5000, 200)
_networked = partial(site, networked=True, options=FAST_RETRIES + SHORT_DEADLINES)
_networked_tls = partial(tls_site, networked=True, options=SHORT_DEADLINES)
_all_clocks = (HOUR_NS, -HOUR_NS, TEN_YEARS_NS, -TEN_YEARS_NS)

TRIALS = {
    "away": Trial("broker away for 4 h, at 720 times real time", partial(site, speed=720.0, hop=64),
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
    "week": Trial("a week, at 2,000 times real time", partial(site, speed=2000.0, hop=64, options="delay_s = 1\n"),
                  partial(long_time, seconds=7 * _DAY_S)),
}  # fmt: skip
"""By name, the long form of each."""

"""Faults of broker, certificates and network.

A fault waits until all is well at its site, does harm, repairs it, and returns how many seconds it took each time until
all was well again. Other results are in `site.notes`. `site.end()` tells what was lost.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

from sites import CERTIFICATES, write_certificate
from surviving import Site, wait_for


def broker_away(site: Site, seconds: float) -> list[float]:
    """Nobody listens at the broker's port; for so long of the sensor's time, which may be faster than real time."""
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
    write_certificate(site.folder / "certificates", *CERTIFICATES[kind])
    site.broker.start()


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

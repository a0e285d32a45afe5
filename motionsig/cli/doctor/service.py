"""Whether the service, where it is set up, can work and works; its page; and the disk space for what it has to send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from motionsig.cli.doctor.findings import Finding, is_there, note, ok, wrong
from motionsig.cli.doctor.machine import free_space
from motionsig.cli.page.listening import is_installed, where_reached
from motionsig.cli.status import STARTING_S
from motionsig.config import check_config, load_config
from motionsig.daemon.status_socket import NotLetInError, NotRunningError, ask
from motionsig.errors import ConfigError
from motionsig.publishers import BROKER_SCHEMES, split_url
from motionsig.publishers.spool import DEFAULT_MAX_BYTES

_PATH = "etc/motionsig/config.toml"
_SPOOL = "/var/lib/motionsig/spool"


def is_configured(root: Path) -> bool:
    return is_there(root / _PATH)


def service(root: Path) -> Iterator[Finding]:
    """Yield the findings on the configuration below `root` and on the daemon; none where there is no configuration."""
    if not is_configured(root):
        return
    path = root / _PATH
    try:
        config = load_config(path)
        check_config(config)
    except ConfigError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        yield wrong(f"configuration: {error.problems[0]}{more}", "sudo motionsig run --check")
        return
    yield ok(f"configuration: {path}, {config.sensor.get('name', 'auto')} to {config.sink_url}")
    if split_url(config.sink_url)[0] in BROKER_SCHEMES:
        spool = config.values.get("spool.path", _SPOOL)
        yield free_space(root / spool.lstrip("/"), config.values.get("spool.max_bytes", DEFAULT_MAX_BYTES))
    try:
        status = ask()
    except NotRunningError:
        yield note("service: not running", "sudo systemctl enable --now motionsig")
        return
    except NotLetInError:
        yield note("service: this user may not ask it", "sudo motionsig status")
        return
    sensor, trouble = status["sensor"], ""
    if not status["ready"] and status["uptime_s"] < STARTING_S:
        yield note("service: starting", "sudo motionsig status, in a few seconds")
        return
    if not status["ready"]:
        trouble = f"no signature yet: {sensor.get('error') or 'waiting for the first window'}"
    elif sensor["state"] == "missing":
        trouble = f"but without its sensor: {sensor['error'] or 'not opened yet'}"
    elif sensor["state"] == "silent":
        trouble = f"but {sensor['name']} has been silent for {sensor['silent_s']:.0f} s"
        trouble += f": {sensor['trouble']}" if sensor.get("trouble") else ""
    elif sensor.get("trouble"):
        trouble = f"but {sensor['name']}: {sensor['trouble']}"
    elif not status["sink"]["well"]:
        trouble = f"but {status['sink']['last_error']}"
    if trouble:
        yield wrong(f"service: running, {trouble}", "sudo motionsig status")
    else:
        yield ok(f"service: running since {status['since']}, {status['sink']['accepted']:,} signatures")


def page(root: Path) -> Iterator[Finding]:
    """Yield the finding on the page of the service below `root`; none where it is not installed."""
    if is_installed(root):
        told = where_reached()
        yield (
            ok(f"page: can be reached {told}; sudo motionsig page prints a link")
            if told
            else note("page: cannot be reached, as systemd does not listen for it", "sudo motionsig page")
        )

"""Whether the service, where it is set up, can work and works, and the disk space for what it has to send."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from motionsig.cli.doctor.findings import Finding, Mark, is_there
from motionsig.cli.doctor.machine import free_space
from motionsig.cli.status import STARTING_S
from motionsig.config import check_config, load_config
from motionsig.daemon.status_socket import NotLetInError, NotRunningError, ask
from motionsig.errors import ConfigError
from motionsig.publishers.spool import DEFAULT_MAX_BYTES

_PATH = "etc/motionsig/config.toml"
_SPOOL = "/var/lib/motionsig/spool"


def is_configured(root: Path) -> bool:
    """Return whether there is a service's configuration below `root`."""
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
        yield Finding(Mark.WRONG, f"configuration: {error.problems[0]}{more}", "sudo motionsig run --check")
        return
    yield Finding(Mark.OK, f"configuration: {path}, {config.sensor.get('name', 'auto')} to {config.sink_url}")
    if config.sink_url.startswith("mqtt"):
        spool = config.values.get("spool.path", _SPOOL)
        yield free_space(root / spool.lstrip("/"), config.values.get("spool.max_bytes", DEFAULT_MAX_BYTES))
    try:
        status = ask()
    except NotRunningError:
        yield Finding(Mark.NOTE, "service: not running", "sudo systemctl enable --now motionsig")
        return
    except NotLetInError:
        yield Finding(Mark.NOTE, "service: this user may not ask it", "sudo motionsig status")
        return
    sensor = status["sensor"]
    if not status["ready"] and status["uptime_s"] < STARTING_S:
        yield Finding(Mark.NOTE, "service: starting", "sudo motionsig status, in a few seconds")
    elif not status["ready"]:
        why = sensor.get("error") or "waiting for the first window"
        yield Finding(Mark.WRONG, f"service: running, no signature yet: {why}", "sudo motionsig status")
    elif sensor["state"] == "missing":
        why = sensor["error"] or "not opened yet"
        yield Finding(Mark.WRONG, f"service: running, but without its sensor: {why}", "sudo motionsig status")
    elif sensor["state"] == "silent":
        silent = f"{sensor['name']} has been silent for {sensor['silent_s']:.0f} s"
        yield Finding(Mark.WRONG, f"service: running, but {silent}", "sudo motionsig status")
    elif not status["sink"]["well"]:
        yield Finding(Mark.WRONG, f"service: running, but {status['sink']['last_error']}", "sudo motionsig status")
    else:
        yield Finding(Mark.OK, f"service: running since {status['since']}, {status['sink']['accepted']:,} signatures")

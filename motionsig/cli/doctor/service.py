"""Whether the service, where it is set up, can work and does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from motionsig.cli.doctor.findings import Finding, Mark, is_there
from motionsig.config import load_config
from motionsig.daemon.status import NotRunningError, ask
from motionsig.errors import ConfigError


def service(root: Path) -> Iterator[Finding]:
    """Yield what is to be said of the configuration below `root` and of the daemon; nothing where there is neither."""
    path = root / "etc/motionsig/config.toml"
    if not is_there(path):
        return
    try:
        config = load_config(path)
    except ConfigError as error:
        more = f" (and {len(error.problems) - 1} more)" if len(error.problems) > 1 else ""
        yield Finding(Mark.WRONG, f"configuration: {error.problems[0]}{more}", "motionsig run --check")
        return
    yield Finding(Mark.OK, f"configuration: {path}, {config.sensor.get('name', 'auto')} to {config.sink_url}")
    try:
        status = ask()
    except NotRunningError:
        yield Finding(Mark.NOTE, "service: not running", "sudo systemctl enable --now motionsig")
        return
    if not status["ready"]:
        why = status["sensor"].get("error") or "waiting for the first window"
        yield Finding(Mark.WRONG, f"service: running, no signature yet: {why}", "motionsig status")
    elif not status["sink"]["well"]:
        yield Finding(Mark.WRONG, f"service: running, but {status['sink']['last_error']}", "motionsig status")
    else:
        yield Finding(Mark.OK, f"service: running since {status['since']}, {status['sink']['accepted']:,} signatures")

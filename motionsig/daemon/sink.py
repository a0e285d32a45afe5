"""The daemon's sink: the one that the configuration names, with the daemon's deadlines and the service's folders."""

from __future__ import annotations

import os
from pathlib import Path

from motionsig.config import Config
from motionsig.daemon.status_socket import runtime_folder
from motionsig.publishers import Sink, open_sink, split_url
from motionsig.state import state_folder

_DEADLINES: dict[str, dict[str, float]] = {
    "mqtt": {"close_timeout_s": 1.5, "close_limit_s": 2.5},
    "mqtts": {"close_timeout_s": 1.5, "close_limit_s": 2.5},
    "store": {"busy_timeout_s": 2.0},
}
"""So that SIGTERM is obeyed within five seconds: what is not acknowledged by then waits in the spool, and a locked
database is tried again in the next heartbeat."""


def open_configured_sink(config: Config, stream_id: int) -> Sink:
    """Open the sink of a configuration; raise what `open_sink` does."""
    url, (scheme, location, _) = config.sink_url, split_url(config.sink_url)
    options = _DEADLINES.get(scheme, {}) | dict(config.sink_options)
    if scheme in ("mqtt", "mqtts"):
        options |= {"availability": True, "home_assistant": config.home_assistant}
        # One queue whatever the broker: what waits for one goes to the next if the configuration names another.
        options.setdefault("spool", str(state_folder() / "spool"))
        if "RUNTIME_DIRECTORY" in os.environ:
            options["buffer"] = str(runtime_folder() / "spool")
    else:
        path = state_folder() / location
        if not Path(location).is_absolute():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        url = f"{scheme}:{path}"
    return open_sink(url, device=config.name, stream_id=stream_id, **options)

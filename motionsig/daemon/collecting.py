"""The receiver as a service: readiness, watchdog, status socket, metrics and journal around `collect`."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import time
from pathlib import Path
from typing import Any

from motionsig.collector import CollectCounts, collect
from motionsig.daemon.journal import log_to_journal
from motionsig.daemon.metrics import Metrics
from motionsig.daemon.notifying import notify
from motionsig.daemon.status_socket import SOCKET_NAME, StatusSocket
from motionsig.escaping import own_logger
from motionsig.version import VERSION

log = own_logger(__name__)

NAME = "collect"
"""The service is motionsig-collect, and its runtime folder is that of this name."""

GAUGES = (
    ("collect_up_seconds", "time since the receiver started", "uptime_s"),
    ("collect_connected", "1 while the broker has accepted the subscriptions", "connected"),
    ("collect_silent_seconds", "time since something was stored", "silent_s"),
    ("collect_lag_p50_seconds", "age of the last messages' newest signature when it was stored, median", "lag_s.p50"),
    ("collect_lag_p99_seconds", "the same, 99 % are at most so old", "lag_s.p99"),
    ("collect_open_holes", "runs of numbers that have not arrived in time, and are reported", "holes.open"),
    ("collect_missing_signatures", "signatures in those holes", "holes.missing"),
    ("collect_devices_with_holes", "devices with such a hole", "holes.devices"),
)
COUNTERS = (
    ("collect_messages", "messages of ours", "messages"),
    ("collect_signatures", "signatures stored", "stored"),
    ("collect_events", "events stored", "events"),
    ("collect_duplicates", "signatures and events that were there already", "duplicates"),
    ("collect_conflicts", "signatures and events with other content under a key that is taken", "conflicts"),
    ("collect_junk", "messages that are not ours, or that the store refuses", "junk"),
    ("collect_holes", "holes that were reported", "holes.found"),
    ("collect_filled_holes", "reported holes that were filled afterwards", "holes.filled"),
    ("collect_broker_dropped_messages", "messages that the broker says it dropped, of all clients", "broker_dropped"),
)


class _Told:
    """Tells systemd, the socket and Prometheus how the receiver is, each second."""

    def __init__(self, prometheus: int | None, resources: contextlib.ExitStack) -> None:
        self._about = {"version": VERSION, "pid": os.getpid(), "since": _utc(time.time())}
        self.status: dict[str, Any] = {}
        self._socket: StatusSocket | None = None
        if folder := os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]:
            try:
                self._socket = resources.enter_context(contextlib.closing(StatusSocket(Path(folder, SOCKET_NAME), {})))
            except OSError as error:
                log.warning("no status: %s", error)
        self._metrics: Metrics | None = None
        if prometheus is not None:
            self._metrics = Metrics(
                prometheus, lambda: self.status, tables=(GAUGES, COUNTERS), where="collect --prometheus"
            )
            resources.callback(self._metrics.close)

    def note(self, status: dict[str, Any]) -> None:
        self.status = {**self._about, **status}
        if self._socket is not None:
            self._socket.publish(self.status)
        if self._metrics is not None:
            self._metrics.listen()
        notify(READY=1, WATCHDOG=1, STATUS=status_line(self.status))


def receive(source_url: str, into: str, *, prometheus: int | None = None, **options: Any) -> CollectCounts:
    """Do as `collect` does, and say how it is: to systemd, on a socket in $RUNTIME_DIRECTORY, to Prometheus on a port.

    Ready means that the store is open; a broker that is away is waited for. Raises what `collect` does.
    """
    if "NOTIFY_SOCKET" in os.environ:
        log_to_journal()
        # After a hang, the watchdog's SIGABRT leaves the place of each thread in the journal.
        faulthandler.enable()
    with contextlib.ExitStack() as resources:
        told = _Told(prometheus, resources)
        try:
            return collect(source_url, into, on_status=told.note, **options)
        finally:
            notify(STOPPING=1)


def is_well(status: dict[str, Any]) -> bool:
    """Return whether all that is known of the receiver is as it should be."""
    return bool(status["connected"]) and not (status["holes"] or {}).get("open")


def status_line(status: dict[str, Any]) -> str:
    """Return the status as one line for people."""
    if not status["connected"]:
        return f"no connection: {status['last_error'] or 'not connected yet'}"
    holes = status["holes"] or {}
    missing = f"; {holes['open']:,} holes, {holes['missing']:,} signatures missing" if holes.get("open") else ""
    return f"{status['stored']:,} signatures stored, {status['messages_per_s'] or 0:.1f} messages a second{missing}"


def _utc(unix_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))

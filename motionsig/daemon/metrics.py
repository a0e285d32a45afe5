"""The status as Prometheus text on a port of this machine."""

from __future__ import annotations

import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from motionsig.errors import MissingExtraError
from motionsig.escaping import own_logger
from motionsig.hints import install_hint

log = own_logger(__name__)

_PAUSE_S = 10.0  # between two attempts to listen
_TIMEOUT_S = 5.0  # a client that sends nothing for so long is dropped
_AT_ONCE = 4  # clients answered at the same time, with a thread each; more are turned away
Table = tuple[tuple[str, str, str], ...]
"""Of metrics: the name without "motionsig_", what it is, and the status's key, with a dot between keys."""
_GAUGES: Table = (
    ("up_seconds", "time since the daemon started", "uptime_s"),
    ("sample_rate_hertz", "the sensor's rate as measured", "sensor.true_rate_hz"),
    ("sensor_silent_seconds", "time since the last sample", "sensor.silent_s"),
    (
        "signal_quality_ratio",
        "share of the last five minutes' windows that came, with no sample lost",
        "signal_quality",
    ),
    ("backlog_signatures", "signatures accepted and not yet known to have arrived", "sink.pending"),
    ("outage_fits_seconds", "how long an outage may last until signatures are dropped", "sink.outage_fits_s"),
    ("connected", "1 while what is published arrives", "sink.well"),
)
_COUNTERS: Table = (
    ("samples", "samples the sensor delivered", "sensor.samples"),
    ("lost_samples", "samples that were due by the sensor's clock and never came", "sensor.lost"),
    ("gaps", "gaps between samples, in which those were lost", "sensor.gaps"),
    ("dead_samples", "samples left out because no living sensor reports them", "sensor.dead"),
    ("garbled_samples", "samples left out because they contradict both neighbours", "sensor.garbled"),
    ("doubtful_samples", "samples delivered with times less exact than promised", "sensor.doubtful"),
    ("sensor_recoveries", "starts of the sensor after the first", "sensor.recoveries"),
    ("windows", "windows handed to the encoder", "windows"),
    ("lost_windows", "windows that the device failed on", "windows_lost"),
    ("at_rest_windows", "windows whose samples spread no more than a sensor's noise", "at_rest"),
    ("above_grid_windows", "windows with most energy above half the model's rate: no signature shows it", "above_grid"),
    ("signatures", "signatures the sink accepted", "sink.accepted"),
    ("delivered_signatures", "signatures known to have arrived", "sink.delivered"),
    ("dropped_signatures", "signatures given up", "sink.dropped"),
    ("unheard_signatures", "signatures that reached the broker, and nobody subscribes to them", "sink.unheard"),
    ("edgetpu_signatures", "signatures an Edge TPU made", "on_edgetpu"),
    ("payload_bytes", "bytes of messages, each signature once", "sink.payload_bytes"),
    ("clock_steps", "times the wall clock was set", "clock_steps"),
    ("programs", "programs that events started", "exec.started"),
    ("failed_programs", "programs of events that did not end well or in time", "exec.failed"),
    ("skipped_programs", "programs of events that were not started, as too many ran", "exec.skipped"),
)
_OF_EDGETPUS = (
    ("temperature_celsius", "an Edge TPU's temperature, where its driver tells it", "temperature_c"),
    ("slowed_from_celsius", "the temperature from which its driver slows an Edge TPU", "slowed_from_c"),
    ("asked_milliamperes", "the most current that an Edge TPU on USB asks its port for", "current_ma"),
    ("awake", "1 while the kernel does not suspend an Edge TPU", "power"),
)
"""Each with the place as a label: the name without "motionsig_edgetpu_", what it is, and the key of a reading."""


class _Server(socketserver.ThreadingTCPServer):
    """A server with a time limit: prometheus-client's own keeps a thread for each silent client for ever."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, handler: Any) -> None:
        self._clients: set[Any] = set()
        super().__init__(("127.0.0.1", port), handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        if len(self._clients) >= _AT_ONCE:
            return False
        self._clients.add(request)
        return True

    def shutdown_request(self, request: Any) -> None:
        """End a connection; however it ends, this is called."""
        self._clients.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.warning("metrics: a client got no answer: %r", sys.exc_info()[1])


class Metrics:
    """A loopback HTTP port that Prometheus may read. last_error: why it does not listen, None while it does."""

    def __init__(
        self,
        port: int,
        status: Callable[[], dict[str, Any]],
        *,
        tables: tuple[Table, Table] = (_GAUGES, _COUNTERS),
        where: str = "status.prometheus",
    ) -> None:
        """Listen if the port is free, else log that it is not. Raises MissingExtraError without prometheus-client.

        tables: gauges and counters; where: the option that names the port.
        """
        try:
            from prometheus_client import CollectorRegistry, MetricsHandler
        except ImportError as error:
            raise MissingExtraError(
                f"prometheus: expected prometheus-client, which is not installed; {install_hint('prometheus-client')}",
                name="prometheus_client",
            ) from error
        self._port, self._status, self._tables, self._where = port, status, tables, where
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        self._handler = type("Handler", (MetricsHandler,), {"registry": registry, "timeout": _TIMEOUT_S})
        self._server: _Server | None = None
        self._retry_s = 0.0
        self.last_error: str | None = None
        self.listen()

    def listen(self) -> None:
        """Listen, unless that is so already or was tried a moment ago; for each heartbeat."""
        if self._server is not None or time.monotonic() < self._retry_s:
            return
        try:
            self._server = _Server(self._port, self._handler)
        except OSError as error:
            self._retry_s = time.monotonic() + _PAUSE_S
            if self.last_error is None:
                self.last_error = f"{self._where}: expected a free port, got {self._port}: {error.strerror}"
                log.warning("%s; trying again", self.last_error)
            return
        self.last_error = None
        threading.Thread(target=self._server.serve_forever, name="motionsig-metrics", daemon=True).start()
        log.info("metrics at http://127.0.0.1:%d/metrics", self._port)

    def collect(self) -> Iterator[Any]:
        """Yield what prometheus-client turns into text; a value that is not known yet is left out."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        status = self._status()
        for family, table in zip((GaugeMetricFamily, CounterMetricFamily), self._tables, strict=True):
            for name, about, path in table:
                value: Any = status
                for key in path.split("."):
                    value = value.get(key) if isinstance(value, dict) else None
                if value is not None:
                    yield family(f"motionsig_{name}", about, value=float(value))
        for name, about, key in _OF_EDGETPUS:
            known = [(each["place"], each[key]) for each in status.get("edgetpus", ()) if each[key] is not None]
            if known:
                gauge = GaugeMetricFamily(f"motionsig_edgetpu_{name}", about, labels=["place"])
                for place, value in known:
                    gauge.add_metric([place], float(value) if key != "power" else float(value == "active"))
                yield gauge
        if heads := status.get("heads"):
            events = CounterMetricFamily("motionsig_events", "events of a head", labels=["head"])
            holds = GaugeMetricFamily("motionsig_head_holds", "1 while a head's state holds", labels=["head"])
            judges = GaugeMetricFamily("motionsig_head_judges", "1 while the model is the head's", labels=["head"])
            for head in heads:
                events.add_metric([head["name"]], head["events"])
                judges.add_metric([head["name"]], head["judges"])
                if head["holds"] is not None:
                    holds.add_metric([head["name"]], head["holds"])
            yield from (events, holds, judges)

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

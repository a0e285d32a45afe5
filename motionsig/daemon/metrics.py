"""The status as Prometheus text on a port of this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from motionsig.errors import InputError, MissingExtraError

log = logging.getLogger(__name__)

_GAUGES = (
    ("up_seconds", "time since the daemon started", ("uptime_s",)),
    ("sample_rate_hertz", "the sensor's rate as measured", ("sensor", "true_rate_hz")),
    ("sensor_silent_seconds", "time since the last sample", ("sensor", "silent_s")),
    ("signal_quality_ratio", "share of the last five minutes' windows that came, without a loss", ("signal_quality",)),
    ("backlog_signatures", "signatures accepted and not yet known to have arrived", ("sink", "pending")),
    ("outage_fits_seconds", "how long an outage may last until signatures are dropped", ("sink", "outage_fits_s")),
    ("connected", "1 while what is published arrives", ("sink", "well")),
)
_COUNTERS = (
    ("samples", "samples the sensor delivered", ("sensor", "samples")),
    ("lost_samples", "samples the sensor's clock had time for and that never came", ("sensor", "lost")),
    ("gaps", "losses that those were in", ("sensor", "gaps")),
    ("sensor_recoveries", "starts of the sensor after the first", ("sensor", "recoveries")),
    ("windows", "windows handed to the encoder", ("windows",)),
    ("lost_windows", "windows that the device failed on", ("windows_lost",)),
    ("signatures", "signatures the sink accepted", ("sink", "accepted")),
    ("delivered_signatures", "signatures known to have arrived", ("sink", "delivered")),
    ("dropped_signatures", "signatures given up", ("sink", "dropped")),
    ("edgetpu_signatures", "signatures an Edge TPU made", ("on_edgetpu",)),
    ("payload_bytes", "bytes of messages, each signature once", ("sink", "payload_bytes")),
    ("clock_steps", "times the wall clock was set", ("clock_steps",)),
)


class Metrics:
    """A local HTTP port that Prometheus may read; it listens on the loopback interface alone."""

    def __init__(self, port: int, status: Callable[[], dict[str, Any]]) -> None:
        """Listen; raise MissingExtraError without prometheus-client, InputError where the port is taken."""
        try:
            from prometheus_client import CollectorRegistry, start_http_server
        except ImportError as error:
            raise MissingExtraError(
                "prometheus: expected prometheus-client, which is not installed; pip install motionsig[prometheus]",
                name="prometheus_client",
            ) from error
        self._status = status
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        try:
            # Before 0.19 it returns nothing, and the port stays until the process ends.
            self._server = start_http_server(port, addr="127.0.0.1", registry=registry)
        except OSError as error:
            raise InputError(f"status.prometheus: expected a free port, got {port}: {error}") from error
        log.info("metrics at http://127.0.0.1:%d/metrics", port)

    def collect(self) -> Iterator[Any]:
        """Yield what prometheus-client turns into text; a value that is not known yet is left out."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        status = self._status()
        for family, table in ((GaugeMetricFamily, _GAUGES), (CounterMetricFamily, _COUNTERS)):
            for name, about, path in table:
                value: Any = status
                for key in path:
                    value = value.get(key) if isinstance(value, dict) else None
                if value is not None:
                    yield family(f"motionsig_{name}", about, value=float(value))

    def close(self) -> None:
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join()

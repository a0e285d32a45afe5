"""The status: what `motionsig status --json` prints, a line of it for people, and a few values for home automation."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from motionsig.config import Config
from motionsig.daemon.delivery import Delivery
from motionsig.daemon.heads import Heads
from motionsig.daemon.programs import Programs
from motionsig.daemon.switching import SwitchingEncoder
from motionsig.quality import Quality
from motionsig.sensors.live import LiveSource
from motionsig.version import VERSION

_SILENT_S = 2.0
_QUALITY_S = 300.0


@dataclass
class State:
    """What the loop knows. config: the daemon was started with it; files: of the configuration that was read last.

    needs_restart: keys of that one which wait for a restart. started_s, heard_s: time.monotonic() of the start and of
    the last sample. sensor: None while it is missing; sensor_error: why. reload_error, metrics_error: at present.
    """

    config: Config
    files: tuple[Path, ...]
    started_s: float
    heard_s: float
    needs_restart: tuple[str, ...] = ()
    ready: bool = False
    sensor: LiveSource | None = None
    sensor_error: str | None = None
    reload_error: str | None = None
    metrics_error: str | None = None


class SignalQuality:
    """The share of the last five minutes' windows that came, with no loss in them."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()  # when, and the windows without a loss until then

    def note(self, now_s: float, clean_windows: int) -> None:
        """Note how many windows without a loss there have been until now."""
        self._seen.append((now_s, clean_windows))
        while self._seen[0][0] < now_s - _QUALITY_S:
            self._seen.popleft()

    def share(self, hop_s: float) -> float | None:
        """Return the share, None in the first minutes. hop_s: time from one window to the next."""
        if len(self._seen) < 2 or self._seen[-1][0] - self._seen[0][0] < min(10 * hop_s, _QUALITY_S / 2):
            return None
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        # The time may hold one window more or less, by chance.
        return round(min(1.0, (last - first + 1) * hop_s / (last_s - first_s)), 3)


class Report:
    """Makes the status; `note` is for each heartbeat."""

    def __init__(
        self, state: State, encoder: SwitchingEncoder, delivery: Delivery, heads: Heads, programs: Programs
    ) -> None:
        self._state, self._encoder, self._delivery = state, encoder, delivery
        self._heads, self._programs = heads, programs
        self._quality = SignalQuality()
        self._errors: list[str] = []
        self._last_error: dict[str, Any] | None = None
        self._today = ("", 0)  # the day, and the payload bytes until it began

    def note(self, now_s: float) -> None:
        """Note the windows until now, and the newest error, which is told also after it is over."""
        state, encoder, delivery = self._state, self._encoder, self._delivery
        self._quality.note(now_s, encoder.windows - encoder.windows_lost - delivery.bridged)
        trouble = None if state.sensor is None else state.sensor.trouble
        here = (state.reload_error, state.metrics_error, state.sensor_error, trouble)
        sources = (*here, encoder.last_error, self._heads.last_error, delivery.last_error)
        errors = [text for text in sources if text]
        for text in errors:
            if text not in self._errors:
                self._last_error = {"when": _utc(time.time()), "text": text, "over": False}
        self._errors = errors
        if self._last_error is not None:
            self._last_error["over"] = self._last_error["text"] not in errors

    def status(self) -> dict[str, Any]:
        """Return the status as of now."""
        now_s, state, encoder, delivery = time.monotonic(), self._state, self._encoder, self._delivery
        config, uptime_s = state.config, now_s - state.started_s
        card, counts, totals = encoder.card, delivery.counts, delivery.totals
        hop_s = (card.hop if config.hop is None else config.hop) / card.rate_hz
        fits_s = None
        if counts.spool_limit_bytes and delivery.signature_bytes:
            free = max(0, counts.spool_limit_bytes - counts.spool_bytes)
            fits_s = round(free / delivery.signature_bytes * hop_s)
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "since": _utc(time.time() - uptime_s),
            "uptime_s": round(uptime_s, 1),
            "ready": state.ready,
            "name": config.name,
            "configuration": [str(file) for file in state.files],
            "needs_restart": state.needs_restart,
            "sensor": self._sensor(now_s),
            "signal_quality": self._quality.share(hop_s),
            "model": {
                "name": card.name,
                "fingerprint": card.fingerprint.hex(),
                "folder": str(encoder.folder),
                "trial_windows_left": encoder.trial_windows_left,
            },
            "device": encoder.device,
            "edgetpus": _edgetpus() if config.device.startswith(("auto", "edgetpu")) else [],
            "windows": encoder.windows,
            "windows_lost": encoder.windows_lost,
            "on_edgetpu": encoder.flagged[Quality.EDGE_TPU],
            "at_rest": encoder.flagged[Quality.AT_REST],
            "above_grid": encoder.flagged[Quality.ABOVE_GRID],
            "stream_id": delivery.stream_id,
            "clock_steps": delivery.clock_steps,
            "clock_is_set": delivery.clock_is_set,
            "sink": {
                "url": config.sink_url,
                "well": delivery.last_error is None,
                "last_error": delivery.last_error,
                **asdict(totals),
                "damaged_bytes": counts.damaged_bytes,
                "bytes_today": self._bytes_today(totals.payload_bytes),
                "spool_bytes": counts.spool_bytes,
                "spool_limit_bytes": counts.spool_limit_bytes,
                "outage_fits_s": fits_s,
            },
            "history": None
            if delivery.history is None
            else {
                "signatures": delivery.history.signatures,
                "lost": delivery.history.lost,
                "last_error": delivery.history.last_error,
            },
            "heads": self._heads.status(),
            "heads_error": self._heads.last_error,
            "exec": {
                "started": self._programs.started,
                "failed": self._programs.failed,
                "skipped": self._programs.skipped,
            },
            "last_error": self._last_error,
        }

    def _sensor(self, now_s: float) -> dict[str, Any]:
        state, sensor, silent_s = self._state, self._state.sensor, now_s - self._state.heard_s
        if sensor is None:
            return {"state": "missing", "name": state.config.sensor.get("name", "auto"), "error": state.sensor_error}
        return {
            "state": "streaming" if silent_s < _SILENT_S else "silent",
            "name": sensor.info.name,
            "rate_hz": sensor.rate_hz,
            "true_rate_hz": round(sensor.true_rate_hz, 3),
            "silent_s": round(silent_s, 1),
            "trouble": sensor.trouble,
            **asdict(sensor.counts),
        }

    def _bytes_today(self, payload_bytes: int) -> int:
        day = _utc(time.time())[:10]
        if day != self._today[0]:
            self._today = (day, payload_bytes if self._today[0] else 0)
        return payload_bytes - self._today[1]


def _edgetpus(root: Path = Path("/")) -> list[dict[str, Any]]:
    """Return where the machine has Edge TPUs, and what the kernel tells of their heat and power."""
    from motionsig.encoders.edgetpu.presence import edgetpus, readings

    return [{"place": f"{each.bus} {each.place}", **asdict(readings(each, root))} for each in edgetpus(root)]


def _utc(unix_s: float) -> str:
    """Return a time in UTC, as RFC 3339 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(unix_s))


def status_line(status: dict[str, Any]) -> str:
    """Return the status as one line for people."""
    sensor, sink = status["sensor"], status["sink"]
    if sensor["state"] == "missing":
        what = f"no sensor: {sensor['error'] or 'not opened yet'}"
    elif sensor["state"] == "silent":
        what = f"no samples for {sensor['silent_s']:.0f} s, {sensor['gaps']} gaps{_trouble(sensor)}"
    else:
        what = f"{sensor['true_rate_hz']:.2f} Hz, {sensor['gaps']} gaps{_trouble(sensor)}"
    trouble = f": {sink['last_error']}" if sink["last_error"] else ""
    return (
        f"{what}; {sink['accepted']:,} signatures, {sink['pending']:,} waiting{trouble}; {status['model']['name']} on "
        f"{status['device']}"
    )


def _trouble(sensor: dict[str, Any]) -> str:
    return f": {sensor['trouble']}" if sensor["trouble"] else ""


def home_automation_state(status: dict[str, Any]) -> dict[str, object]:
    """Return the values that home automation gets of the status."""
    quality, last_error = status["signal_quality"], status["last_error"]
    return {
        "state": status["sensor"]["state"],
        "signal_quality": None if quality is None else round(100 * quality),
        "backlog": status["sink"]["pending"],
        "device": status["device"],
        "last_error": last_error["text"] if last_error else None,
    }

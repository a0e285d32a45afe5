"""The daemon: `pipeline.run` on a live sensor, kept going for years on a machine that nobody visits.

There is no second loop. The source that `run` is given is the sensor's, and when `run` comes back to it for the next
block, the last one has been all the way through resampler, windower, encoder and sink: that is a *turn*, and all that a
daemon does beside its work is done in turns, about once a second. So is the watchdog fed: by a turn and by nothing
else. (While there is no sensor to open, coming back from the attempt is a turn.)

Whatever can be tried again is: a sensor that is not there or breaks, a sink that cannot be used, a device that fails.
What can never work, or not from the start, ends the daemon, and its service manager tries it again.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.closing import Closing
from motionsig.config import Config, differences, load_config
from motionsig.daemon.delivery import Delivery
from motionsig.daemon.journal import ALWAYS, Repeats, log_to_journal
from motionsig.daemon.metrics import Metrics
from motionsig.daemon.notify import notify
from motionsig.daemon.status import SOCKET_NAME, StatusSocket, runtime_folder
from motionsig.daemon.switching import HurriedError, SwitchingEncoder, Wish
from motionsig.daemon.telling import report, sentence, utc
from motionsig.errors import MotionsigError, SensorError
from motionsig.pipeline import run
from motionsig.publishers import Sink, open_sink, split_url
from motionsig.sensors import open_sensor
from motionsig.sensors.clock import SystemClock, unix_offset_ns
from motionsig.sensors.live import SensorCounts
from motionsig.state import state_folder

log = logging.getLogger(__name__)

_TURN_S = 1.0
_SLEEP_S = 0.2
_FIRST_PAUSE_S, _MOST_PAUSE_S = 1.0, 30.0
"""Between two tries to open a sensor."""

_SILENT_S = 2.0
_SENDER_S = 120.0
"""A sender that has not gone round for so long hangs; a name look-up may take half a minute."""

_EXTEND_S = 60
"""Until the first window, each turn asks systemd for so much more time to start."""

_IN_TIME: dict[str, dict[str, float]] = {
    "mqtt": {"close_timeout_s": 1.5, "close_limit_s": 2.5},
    "mqtts": {"close_timeout_s": 1.5, "close_limit_s": 2.5},
    "store": {"busy_timeout_s": 2.0},
}
"""So that SIGTERM is obeyed within five seconds: what is not acknowledged then waits in the spool, and whoever locks a
database is waited for in turns."""

_VERSION = version("motionsig")

_HURRY_S = 0.7
"""How long a device may keep its windows after SIGTERM; an Edge TPU that is started again may take half a minute."""

_QUALITY_S = 300.0
_DAY_S = 86400.0


class LiveStream(Closing, Protocol):
    """What the daemon asks of a sensor; `motionsig.sensors.open_sensor` returns one."""

    @property
    def rate_hz(self) -> float: ...

    @property
    def true_rate_hz(self) -> float: ...

    @property
    def info(self) -> SourceInfo: ...

    @property
    def counts(self) -> SensorCounts: ...

    @property
    def unix_offset_ns(self) -> int: ...

    def __iter__(self) -> Iterator[SampleBlock]: ...


@runtime_checkable
class Reporting(Protocol):
    """A sink that tells others of the daemon's state: the one over MQTT."""

    def report(self, state: Mapping[str, object]) -> None: ...


def serve(path: Path, name: str | None = None) -> None:
    """Run the daemon of a configuration until SIGTERM or SIGINT; SIGHUP reads the configuration again.

    Raises ConfigError for a configuration that cannot work, and what a sink, model or sensor raises that can never be
    had as it is configured.
    """
    repeats = log_to_journal()
    # A hang that the watchdog ends leaves the place of each thread in the journal.
    faulthandler.enable()
    asked: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _: asked.append(number))
    daemon = Daemon(
        load_config(path, name=name),
        load=lambda: load_config(path, name=name),
        socket=runtime_folder(name) / SOCKET_NAME,
        repeats=repeats,
    )

    def stop(*_: object) -> None:
        daemon.stop()
        signal.setitimer(signal.ITIMER_REAL, _HURRY_S, _HURRY_S)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGALRM, lambda *_: daemon.hurry())
    signal.signal(signal.SIGHUP, lambda *_: daemon.reload())
    if asked:
        daemon.reload()
    try:
        daemon.run()
    finally:
        # While the interpreter ends, an alarm would be what it is by default: deadly.
        signal.setitimer(signal.ITIMER_REAL, 0)


def _open_sensor(config: Config) -> LiveStream:
    return open_sensor(**config.sensor)


class _Turns(Closing):
    """The sensor's stream as `run` sees it. `rate_hz` is the sensor's; broken: why it ended, if that was an error."""

    def __init__(self, sensor: LiveStream, blocks: Iterator[SampleBlock], turn: Callable[[SampleBlock], bool]) -> None:
        self.rate_hz, self.info = sensor.rate_hz, sensor.info
        self.broken: OSError | None = None
        self._blocks, self._turn = blocks, turn

    def __iter__(self) -> Iterator[SampleBlock]:
        try:
            for block in self._blocks:
                yield block
                # Asked for the next one: this one has been all the way.
                if not self._turn(block):
                    return
        except OSError as error:
            # What came before is still to be made signatures of.
            self.broken = error


class Daemon:
    """One sensor, one encoder, one sink, until stopped. status: what is known, as of the last turn."""

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config] | None = None,
        socket: Path | None = None,
        repeats: Repeats | None = None,
        sensor: Callable[[Config], LiveStream] = _open_sensor,
    ) -> None:
        """Open the model. load: reads the configuration again. socket: where `motionsig status` asks.

        sensor: opens the source, again after it broke. Raises what `open_encoder` does, and MissingExtraError for
        metrics without prometheus-client.
        """
        self._config = self._begun_with = config
        self._load, self._repeats, self._sensor_opener = load, repeats, sensor
        self._stopping = self._reload_asked = self._ready = False
        self._needs_restart: tuple[str, ...] = ()
        self._began_s = self._turned_s = self._told_day_s = self._heard_s = time.monotonic()
        self._sensor: LiveStream | None = None
        self._sensor_error: str | None = None
        self._reload_error: str | None = None
        self._troubles: list[str] = []
        self._last_error: dict[str, Any] | None = None
        self._seen: deque[tuple[float, int]] = deque()  # when, and the clean windows until then
        self._today = ("", 0)  # the day, and the payload bytes until it began
        self._ended = False
        with ExitStack() as resources:
            self._encoder = resources.enter_context(SwitchingEncoder(Wish(config.model, config.device), hop=config.hop))
            self._delivery = Delivery(self._open_sink, self._encoder)
            self.status: dict[str, Any] = self._describe()
            self._socket = self._listen(socket, resources)
            self._metrics = self._measure(config)
            self._resources = resources.pop_all()

    def _listen(self, path: Path | None, resources: ExitStack) -> StatusSocket | None:
        if path is None:
            return None
        try:
            listener = StatusSocket(path, self.status)
        except OSError as error:
            log.warning("%s: %s; `motionsig status` gets no answer", path, error)
            return None
        resources.callback(listener.close)
        return listener

    def _measure(self, config: Config) -> Metrics | None:
        return None if config.prometheus is None else Metrics(config.prometheus, lambda: self.status)

    def _open_sink(self, stream_id: int) -> Sink:
        config = self._begun_with
        url, (scheme, location, _) = config.sink_url, split_url(config.sink_url)
        options = _IN_TIME.get(scheme, {}) | dict(config.sink_options)
        if scheme in ("mqtt", "mqtts"):
            options |= {"availability": True, "home_assistant": config.home_assistant}
            # One for whatever broker there is: what waits while it has one name goes to it when it has another.
            options.setdefault("spool", str(state_folder() / "spool"))
            if "RUNTIME_DIRECTORY" in os.environ:
                options["stage"] = str(runtime_folder() / "spool")
        else:
            path = state_folder() / location
            if not Path(location).is_absolute():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            url = f"{scheme}:{path}"
        return open_sink(url, device=config.name, stream_id=stream_id, **options)

    def stop(self) -> None:
        """End soon and orderly; for a signal handler."""
        self._stopping = True
        if self._sensor is not None:
            self._sensor.close()

    def hurry(self) -> None:
        """Take the windows away from a device that keeps them; for a signal handler."""
        self._encoder.hurry()

    def reload(self) -> None:
        """Read the configuration again at the next turn; for a signal handler."""
        self._reload_asked = True

    def run(self) -> None:
        """Stream until stopped, or until a source ends that has an end."""
        log.info("motionsig %s: %s", _VERSION, ", ".join(map(str, self._config.files)))
        with self._resources:
            try:
                # What an earlier run left in the spool goes out even while there is no sensor.
                self._delivery.deliver()
                while not self._stopping and not self._ended:
                    sensor = self._open()
                    if sensor is not None:
                        with sensor:
                            self._stream(sensor)
            finally:
                notify(STOPPING=1, STATUS="sending what is left")
                self._delivery.close()
                if self._metrics is not None:
                    self._metrics.close()
                self.status = self._describe()
                log.info("stopped; %s", sentence(self.status))

    def _open(self) -> LiveStream | None:
        """Return the sensor once it is there, None when it is time to stop."""
        pause_s = _FIRST_PAUSE_S
        while not self._stopping:
            try:
                sensor = self._sensor_opener(self._begun_with)
            except OSError as error:
                if str(error) != self._sensor_error:
                    log.error("%s; trying again", error)
                self._sensor_error = str(error)
                self._rest(pause_s)
                pause_s = min(2 * pause_s, _MOST_PAUSE_S)
                continue
            log.info("sensor %s at %g Hz", sensor.info.name, sensor.rate_hz)
            self._sensor, self._sensor_error, self._heard_s = sensor, None, time.monotonic()
            return sensor
        return None

    def _rest(self, pause_s: float) -> None:
        until_s = time.monotonic() + pause_s
        while not self._stopping and time.monotonic() < until_s:
            # In slices: a signal handler cannot wake a sleep, only what comes after it.
            time.sleep(_SLEEP_S)
            self._turn()

    def _stream(self, sensor: LiveStream) -> None:
        """Make signatures of the sensor's samples until it or we are at an end."""
        hop = self._begun_with.hop
        self._delivery.follow(sensor.info.stream_id, sensor.unix_offset_ns, hop)
        try:
            blocks = iter(sensor)
        except SensorError:
            return  # closed by who stops us
        while not self._stopping and not self._ended:
            turns = _Turns(sensor, blocks, self._passed)
            try:
                run(turns, self._encoder, self._delivery.publish, hop=hop)
            except HurriedError:
                log.warning("a window was lost to a device that did not answer in time")
            if turns.broken is not None:
                log.error("%s; opening it again", turns.broken)
                self._sensor, self._sensor_error = None, str(turns.broken)
                return
            # Either another model wants other windows, or there is no more to come; taking over ends the waiting.
            self._ended = not self._encoder.waits
            self._encoder.take_over()
            self._delivery.branch()

    def _passed(self, block: SampleBlock) -> bool:
        """Hear that a block has been all the way; return whether to go on with the same windows."""
        if len(block):
            self._heard_s = time.monotonic()
        self._turn()
        return not self._encoder.waits

    def _turn(self) -> None:
        """Do what a daemon does beside its work, about once a second."""
        now_s = time.monotonic()
        # The first one is not waited for.
        if now_s - self._turned_s < _TURN_S and self._turned_s > self._began_s:
            return
        self._turned_s = now_s
        self._delivery.set_clock(unix_offset_ns(SystemClock()))
        self._delivery.deliver()
        if self._reload_asked:
            self._reload_asked = False
            self._read_again()
        self._encoder.look()
        self._seen.append((now_s, self._encoder.windows - self._encoder.windows_lost - self._delivery.bridged))
        while self._seen[0][0] < now_s - _QUALITY_S:
            self._seen.popleft()
        self._keep_errors()
        became_ready = not self._ready and self._encoder.windows > self._encoder.windows_lost
        self._ready |= became_ready
        self.status = self._describe()
        if self._socket is not None:
            self._socket.say(self.status)
        if self._metrics is not None:
            self._metrics.look()
        self._tell(now_s, became_ready)

    def _tell(self, now_s: float, became_ready: bool) -> None:
        """Tell systemd, the sink and, once a day, the journal."""
        fields: dict[str, object] = {"STATUS": sentence(self.status)}
        if became_ready:
            log.info("ready; %s", sentence(self.status))
            fits_s = self.status["sink"]["outage_fits_s"]
            if fits_s is not None:
                log.info("an outage of %.0f h fits into the spool", fits_s / 3600)
        if now_s - self._delivery.turned_s > _SENDER_S:
            log.error("the sender has not gone round for %.0f s; the watchdog is not fed", _SENDER_S)
        else:
            # Ready is said each time, as a datagram may be lost.
            fed = {"READY": 1, "WATCHDOG": 1}
            fields |= fed if self._ready else {"EXTEND_TIMEOUT_USEC": _EXTEND_S * 1_000_000}
        notify(**fields)
        sink = self._delivery.sink
        if isinstance(sink, Reporting):
            sink.report(report(self.status))
        if now_s - self._told_day_s >= _DAY_S:
            self._told_day_s = now_s
            log.info("%s", sentence(self.status))
        for level, line in self._repeats.overdue() if self._repeats else ():
            log.log(level, "%s", line, extra=ALWAYS)

    def _keep_errors(self) -> None:
        """Keep the newest trouble, for who asks after it is over."""
        now = [
            text
            for text in (
                self._reload_error,
                self._metrics.last_error if self._metrics else None,
                self._sensor_error,
                self._encoder.last_error,
                self._delivery.last_error,
            )
            if text
        ]
        for text in now:
            if text not in self._troubles:
                self._last_error = {"when": utc(time.time()), "text": text, "over": False}
        self._troubles = now
        if self._last_error is not None:
            self._last_error["over"] = self._last_error["text"] not in now

    def _read_again(self) -> None:
        """Apply what can be applied without losing a window, and say what needs a restart."""
        if self._load is None:
            return
        notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        try:
            config = self._load()
            if config.prometheus != self._config.prometheus:
                if self._metrics is not None:
                    self._metrics.close()
                    self._metrics = None
                self._metrics = self._measure(config)
        except MotionsigError as error:
            self._reload_error = str(error)
            log.error("the configuration stays as it was: %s", error, extra=ALWAYS)
        else:
            self._reload_error = None
            applied = differences(self._config, config).live
            self._needs_restart = differences(self._begun_with, config).restart
            self._encoder.wish(Wish(config.model, config.device))
            self._config = config
            log.info(
                "configuration read again: %s changed; %s",
                ", ".join(applied) or "nothing",
                f"restart for {', '.join(self._needs_restart)}" if self._needs_restart else "no restart needed",
                extra=ALWAYS,
            )
        if self._ready:
            notify(READY=1)

    def _describe(self) -> dict[str, Any]:
        """Return the status: what `motionsig status --json` prints."""
        now_s, encoder, delivery, config = time.monotonic(), self._encoder, self._delivery, self._begun_with
        uptime_s = now_s - self._began_s
        card, counts, totals = encoder.card, delivery.counts, delivery.totals
        hop_s = (card.hop if config.hop is None else config.hop) / card.rate_hz
        fits_s = None
        if counts.spool_limit_bytes and delivery.signature_bytes:
            room = max(0, counts.spool_limit_bytes - counts.spool_bytes)
            fits_s = round(room / delivery.signature_bytes * hop_s)
        return {
            "version": _VERSION,
            "pid": os.getpid(),
            "since": utc(time.time() - uptime_s),
            "uptime_s": round(uptime_s, 1),
            "ready": self._ready,
            "name": config.name,
            "configuration": [str(file) for file in self._config.files],
            "needs_restart": self._needs_restart,
            "sensor": self._describe_sensor(now_s),
            "signal_quality": self._quality(hop_s),
            "model": {
                "name": card.name,
                "fingerprint": card.fingerprint.hex(),
                "folder": str(encoder.folder),
                "on_trial_for": encoder.trial,
            },
            "device": encoder.device,
            "windows": encoder.windows,
            "windows_lost": encoder.windows_lost,
            "on_edgetpu": encoder.on_edgetpu,
            "stream_id": delivery.stream_id,
            "clock_steps": delivery.clock_steps,
            "sink": {
                "url": config.sink_url,
                "well": delivery.last_error is None,
                "last_error": delivery.last_error,
                "accepted": totals.accepted,
                "delivered": totals.delivered,
                "pending": totals.pending,
                "dropped": totals.dropped,
                "damaged_bytes": counts.damaged_bytes,
                "payload_bytes": totals.payload_bytes,
                "bytes_today": self._bytes_today(totals.payload_bytes),
                "spool_bytes": counts.spool_bytes,
                "spool_limit_bytes": counts.spool_limit_bytes,
                "outage_fits_s": fits_s,
            },
            "last_error": self._last_error,
        }

    def _describe_sensor(self, now_s: float) -> dict[str, Any]:
        sensor, silent_s = self._sensor, now_s - self._heard_s
        if sensor is None:
            return {"state": "missing", "name": self._config.sensor.get("name", "auto"), "error": self._sensor_error}
        return {
            "state": "streaming" if silent_s < _SILENT_S else "silent",
            "name": sensor.info.name,
            "rate_hz": sensor.rate_hz,
            "true_rate_hz": round(sensor.true_rate_hz, 3),
            "silent_s": round(silent_s, 1),
            **asdict(sensor.counts),
        }

    def _quality(self, hop_s: float) -> float | None:
        """Return the share of the last minutes' windows that came and had no loss in them; None in the first ones."""
        if len(self._seen) < 2 or self._seen[-1][0] - self._seen[0][0] < min(10 * hop_s, _QUALITY_S / 2):
            return None
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        # A window more or less fits into the time, as it happens.
        return round(min(1.0, (last - first + 1) * hop_s / (last_s - first_s)), 3)

    def _bytes_today(self, payload_bytes: int) -> int:
        day = utc(time.time())[:10]
        if day != self._today[0]:
            self._today = (day, payload_bytes if self._today[0] else 0)
        return payload_bytes - self._today[1]

"""The daemon's loop: `pipeline.run` on a live sensor, a heartbeat after each block, and all else in heartbeats."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionsig.blocks import SampleBlock
from motionsig.closing import Closing
from motionsig.config import Config, differences
from motionsig.control.feed import Feed
from motionsig.daemon.delivery import Delivery, open_configured_sink
from motionsig.daemon.heads import Heads
from motionsig.daemon.history import History
from motionsig.daemon.journal import ALWAYS, Repeats
from motionsig.daemon.notifying import notify
from motionsig.daemon.programs import Programs
from motionsig.daemon.report import Report, State, home_automation_state, status_line
from motionsig.daemon.status_socket import StatusSocket
from motionsig.daemon.switching import RequestedModel, SwitchingEncoder
from motionsig.daemon.viewing import Viewing
from motionsig.errors import ConfigError, MotionsigError, SensorError
from motionsig.escaping import own_logger
from motionsig.pipeline import run
from motionsig.sensors import open_sensor
from motionsig.sensors.clock import SystemClock, clock_is_set, unix_offset_ns
from motionsig.sensors.live import LiveSource
from motionsig.version import VERSION

if TYPE_CHECKING:
    from motionsig.daemon.metrics import Metrics

log = own_logger(__name__)

_HEARTBEAT_S = 1.0
_SLEEP_S = 0.2
_FIRST_PAUSE_S, _MOST_PAUSE_S = 1.0, 30.0  # between two attempts to open a sensor
_SENDER_S = 120.0  # a sender without a heartbeat for so long hangs; a name look-up may take half a minute
_EXTEND_S = 60  # until the first window, each heartbeat asks systemd for so much more time to start
_DAY_S = 86400.0


class _BeatingSource(Closing):
    """The sensor as `run` sees it, which calls `passed` after each block. broken: the error that ended it, if any."""

    def __init__(
        self, sensor: LiveSource, blocks: Iterator[SampleBlock], passed: Callable[[SampleBlock], bool]
    ) -> None:
        self.rate_hz, self.info = sensor.rate_hz, sensor.info
        self.broken: OSError | None = None
        self._blocks, self._passed = blocks, passed

    def __iter__(self) -> Iterator[SampleBlock]:
        try:
            for block in self._blocks:
                yield block
                # `run` asks for the next block: it is done with this one.
                if not self._passed(block):
                    return
        except OSError as error:
            # `run` still has to make signatures of what came before.
            self.broken = error


class Daemon:
    """One sensor, one encoder, one sink, until stopped. status: as of the last heartbeat."""

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config] | None = None,
        status_path: Path | None = None,
        control_folder: Path | None = None,
        page_heads: Path | None = None,
        repeats: Repeats | None = None,
        sensor: Callable[[Config], LiveSource] = lambda config: open_sensor(**config.sensor),
    ) -> None:
        """Open the model. load: reads the configuration again. status_path: of the socket. sensor: opens the source.

        control_folder: where viewers find the control socket, where the service manager has not passed one; for None
        there is none. page_heads: the folder of the heads that are taught at the page; for None that in the state.
        Raises what `open_encoder` does, and MissingExtraError for metrics without prometheus-client.
        """
        self._config = config
        self._load, self._repeats, self._sensor_opener = load, repeats or Repeats(), sensor
        self._stopping = self._reload_asked = self._ended = False
        now_s = time.monotonic()
        self._heartbeat_s: float | None = None
        self._clock_doubted = False
        self._daily_line_s = now_s
        self._state = State(config, config.files, started_s=now_s, heard_s=now_s)
        with contextlib.ExitStack() as resources:
            requested = RequestedModel(config.model, config.device)
            hops: dict[str, Any] = {"hop": config.hop, "heads_hop": config.heads_hop}
            self._encoder = resources.enter_context(SwitchingEncoder(requested, **hops))
            history = History(config.name, config.history_days) if config.history_days else None
            self._delivery = Delivery(
                lambda stream_id: open_configured_sink(config, stream_id), self._encoder, history=history
            )
            self._programs = Programs(config.programs, config.exec_limit_s)
            self._heads = Heads(
                config.heads,
                config.head_names,
                config.missing_heads,
                self._encoder,
                self._delivery,
                self._programs,
                device=config.name,
                feed=Feed(),
                **hops,
            )
            self._report = Report(self._state, self._encoder, self._delivery, self._heads, self._programs)
            self.status: dict[str, Any] = self._report.status()
            self._socket = self._listen(status_path, resources)
            parts = (self._encoder, self._delivery, self._heads)
            self.viewing = resources.enter_context(Viewing(config, *parts, lambda: self.status, place=page_heads))
            if control_folder is not None:
                self.viewing.listen(control_folder)
            self._metrics = self._open_metrics(config)
            self._resources = resources.pop_all()

    def _listen(self, path: Path | None, resources: contextlib.ExitStack) -> StatusSocket | None:
        if path is None:
            return None
        try:
            listener = StatusSocket(path, self.status)
        except OSError as error:
            log.warning("%s: %s; `motionsig status` gets no answer", path, error)
            return None
        resources.callback(listener.close)
        return listener

    def _open_metrics(self, config: Config) -> Metrics | None:
        if config.prometheus is None:
            return None
        from motionsig.daemon.metrics import Metrics

        return Metrics(config.prometheus, lambda: self.status)

    def stop(self) -> None:
        """End soon and orderly; for a signal handler."""
        self._stopping = True
        if self._state.sensor is not None:
            self._state.sensor.close()

    def interrupt(self) -> None:
        """Take the windows away from a device that keeps them; for a signal handler."""
        self._encoder.interrupt()

    def reload(self) -> None:
        """Read the configuration again in the next heartbeat; for a signal handler."""
        self._reload_asked = True

    def run(self) -> None:
        """Stream until stopped, or until a source ends that has an end."""
        log.info("motionsig %s: %s", VERSION, ", ".join(map(str, self._config.files)))
        with self._resources:
            try:
                self._look_at_clock()
                # What an earlier run left in the spool is sent even while there is no sensor.
                self._delivery.deliver()
                while not self._ended and (sensor := self._open()) is not None:
                    with sensor:
                        self._stream(sensor)
            finally:
                notify(STOPPING=1, STATUS="sending what is left")
                self._delivery.close()
                self._programs.close()
                if self._metrics is not None:
                    self._metrics.close()
                self.status = self._report.status()
                log.info("stopped; %s", status_line(self.status))

    def _open(self) -> LiveSource | None:
        """Return the sensor once it is there, None when it is time to stop."""
        state, pause_s = self._state, _FIRST_PAUSE_S
        while not self._stopping:
            try:
                sensor = self._sensor_opener(state.config)
            except OSError as error:
                if str(error) != state.sensor_error:
                    log.error("%s; trying again", error)
                state.sensor_error = str(error)
                until_s = time.monotonic() + pause_s
                while not self._stopping and time.monotonic() < until_s:
                    # In slices: a sleep goes on after a signal handler.
                    time.sleep(_SLEEP_S)
                    self.viewing.wait()
                    self._heartbeat()
                pause_s = min(2 * pause_s, _MOST_PAUSE_S)
                continue
            log.info("sensor %s at %g Hz", sensor.info.name, sensor.rate_hz)
            state.sensor, state.sensor_error, state.heard_s = sensor, None, time.monotonic()
            return sensor
        return None

    def _stream(self, sensor: LiveSource) -> None:
        """Make signatures of the sensor's samples until it ends or we stop."""
        state = self._state
        hop = state.config.hop
        self._delivery.follow(sensor.info.stream_id, sensor.unix_offset_ns, hop)
        self._heads.follow()
        self.viewing.follow(sensor)
        try:
            blocks = iter(sensor)
        except SensorError:
            return  # `stop` has closed it
        while not self._stopping and not self._ended:
            source = _BeatingSource(sensor, blocks, self._passed)
            run(source, self._encoder, self._delivery, hop=hop, heads=self._heads, heads_hop=self._heads.hop)
            if source.broken is not None:
                log.error("%s; opening it again", source.broken)
                state.sensor, state.sensor_error = None, str(source.broken)
                return
            if self._encoder.needs_other_windows:
                self._encoder.take_over()
                self._delivery.branch()
            else:
                self._ended = True

    def _passed(self, block: SampleBlock) -> bool:
        """Hear that `run` is done with a block; return whether to go on with the same windows."""
        if len(block):
            self._state.heard_s = time.monotonic()
        self.viewing.passed(block)
        self._heartbeat()
        return not self._encoder.needs_other_windows

    def _heartbeat(self) -> None:
        """Do what a daemon does beside its work, about once a second; the first time at once."""
        now_s = time.monotonic()
        if self._heartbeat_s is not None and now_s - self._heartbeat_s < _HEARTBEAT_S:
            return
        self._heartbeat_s = now_s
        self._look_at_clock()
        self._delivery.deliver()
        self._heads.look_for_silence()
        if self._reload_asked:
            self._reload_asked = False
            self._read_again()
        self._encoder.look_for_model()
        state, state.metrics_error = self._state, None
        if self._metrics is not None:
            self._metrics.listen()
            state.metrics_error = self._metrics.last_error
        self._report.note(now_s)
        became_ready = not state.ready and self._encoder.windows > self._encoder.windows_lost
        state.ready |= became_ready
        self.status = self._report.status()
        if self._socket is not None:
            self._socket.publish(self.status)
        self.viewing.beat()
        if became_ready:
            log.info("ready; %s", status_line(self.status))
            if (fits_s := self.status["sink"]["outage_fits_s"]) is not None:
                log.info("an outage of %.0f h fits into the spool", fits_s / 3600)
        self._notify_manager(now_s)
        # The sink over MQTT reports the daemon's state to others.
        if (report := getattr(self._delivery.sink, "report", None)) is not None:
            report(home_automation_state(self.status))
        if now_s - self._daily_line_s >= _DAY_S:
            self._daily_line_s = now_s
            log.info("%s", status_line(self.status))
        for level, line in self._repeats.overdue():
            log.log(level, "%s", line, extra=ALWAYS)

    def _look_at_clock(self) -> None:
        """Tell the sink what time it is, and people whether that is known to be right."""
        delivery = self._delivery
        delivery.set_clock(unix_offset_ns(SystemClock()), is_set=clock_is_set())
        if delivery.clock_is_set and self._clock_doubted:
            self._clock_doubted = False
            log.info("the wall clock is set; what has not left yet has its time now, and no flag UNSET_CLOCK")
        elif not delivery.clock_is_set and not self._clock_doubted:
            self._clock_doubted = True
            log.warning(
                "neither a time server nor a clock with a battery has set the wall clock: signatures have the flag "
                "UNSET_CLOCK until one does; install systemd-timesyncd or chrony, or wait for the network"
            )

    def _notify_manager(self, now_s: float) -> None:
        """Send systemd the status and, unless the sender hangs, the heartbeat."""
        fields: dict[str, object] = {"STATUS": status_line(self.status)}
        if now_s - self._delivery.heartbeat_s > _SENDER_S:
            log.error("no heartbeat of the sender for %.0f s; the watchdog is not notified", _SENDER_S)
        elif self._state.ready:
            fields["WATCHDOG"] = 1
        else:
            fields["EXTEND_TIMEOUT_USEC"] = _EXTEND_S * 1_000_000
        if self._state.ready:
            # Each time, because a datagram may be lost; also at the end of a reload.
            fields["READY"] = 1
        notify(**fields)

    def _read_again(self) -> None:
        """Apply what can be applied without losing a window, and log what needs a restart."""
        if self._load is None:
            return
        # READY=1 follows in the same heartbeat.
        notify(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        state = self._state
        try:
            config = self._load()
            if config.missing_heads:
                # Whoever reloads is there to mend it, and the heads that judge now may be the better ones.
                raise ConfigError(*(f"heads.names: {why}" for why in config.missing_heads.values()))
            if config.prometheus != self._config.prometheus:
                if self._metrics is not None:
                    self._metrics.close()
                    self._metrics = None
                self._metrics = self._open_metrics(config)
        except MotionsigError as error:
            # That of a configuration has a line for each problem.
            state.reload_error = "; ".join(str(error).splitlines())
            log.error("the configuration stays as it was: %s", state.reload_error, extra=ALWAYS)
        else:
            state.reload_error, state.files = None, config.files
            applied = differences(self._config, config).live
            state.needs_restart = differences(state.config, config).restart
            self._encoder.request(RequestedModel(config.model, config.device))
            # First the heads: what ends with a head that goes may have a program.
            self._heads.use(config.heads, config.head_names, config.missing_heads)
            self._programs.use(config.programs, config.exec_limit_s)
            self._config = config
            changed = ", ".join(applied) or "nothing"
            restart = f"restart for {', '.join(state.needs_restart)}" if state.needs_restart else "no restart needed"
            log.info("configuration read again: %s changed; %s", changed, restart, extra=ALWAYS)

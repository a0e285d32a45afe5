"""The one FIFO reader: from a chip to SampleBlocks, every sample accounted for.

It has three states. *Start* resets and configures the chip, again and again with a growing pause until that succeeds.
*Drain* reads the FIFO before it is half full, at the instant that tells the time base most. *Check* reads back every
register that was written, ten times a second.

A sample waits until the registers it was taken with have been read back unchanged: so a chip that lost its settings
does not pass off its samples as good ones, unless a setting comes back by itself within a tenth of a second. Whatever
cannot be trusted is emptied out of the FIFO, never repaired; how much was lost follows from the times on either side.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.bus import BusError
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.chips import CLOCK_TOLERANCE
from motionsig.sensors.clock import Clock
from motionsig.sensors.fifo import CHECK_NS, ChipFifo, Discard, Overflow, drain_s
from motionsig.sensors.live import LiveSource
from motionsig.sensors.living import Rows
from motionsig.sensors.registers import RegisterError
from motionsig.timebase import SETTLED_NS, TimeBase

log = own_logger(__name__)

_FIRST_PAUSE_S = 0.001

_SILENT_S, _SILENT_PERIODS = 0.1, 5
"""A chip that gives nothing for the longer of these two has stopped."""
_MOST_ERRORS = 10
"""With more bad readings than this, less the good ones since, the chip is started again (as PX4's drivers do)."""


class SensorReader(LiveSource):
    """A chip's FIFO as a Source: endless, until closed."""

    # To ask a chip that is not there takes the bus a tenth of a millisecond.
    pauses_s = (_FIRST_PAUSE_S, 0.01)

    def __init__(
        self, fifo: ChipFifo, *, clock: Clock, calibration: Calibration, device_id: str, resources: ExitStack
    ) -> None:
        """Start the chip; raise SensorError where it does not start. `resources` are closed with the reader."""
        super().__init__(device_id, calibration, clock)
        self.fifo, self._resources = fifo, resources
        self.rate_hz, self._scale = fifo.setting.rate_hz, fifo.setting.scale
        whole = calibration.permutes_axes and bool(np.isfinite(self._scale).all())
        self.info = SourceInfo(
            name=device_id,
            format=f"sensor:{fifo.chip.name}",
            stream_id=self._stream_id,
            scale=tuple(self._scale.tolist()) if whole else None,
            device=device_id,
        )
        self._drain_ns = round(drain_s(fifo.chip, self.rate_hz) * NS_PER_S)
        self._silent_ns = round(max(_SILENT_S, _SILENT_PERIODS / self.rate_hz) * NS_PER_S)
        self._fastest_hz = self.rate_hz * (1 + CLOCK_TOLERANCE)
        self._errors = self._taken = 0
        self._gap = False
        self._held: list[NDArray[np.int16]] = []
        self._time = TimeBase(self.rate_hz)
        self._judge_by(self._scale)
        self._left = False
        try:
            fifo.configure()
        except SensorError:
            resources.close()
            raise

    @property
    def true_rate_hz(self) -> float:
        return self._time.rate_hz

    def _leave(self) -> None:
        if self._left:
            return
        self._left = True
        try:
            self.fifo.registers.run(self.fifo.chip.reset)
        except SensorError as error:
            log.info("%s was left running: %s", self.device_id, error)
        self._resources.close()

    def _stream(self) -> Iterator[SampleBlock]:
        """Yield what the chip gives until closed; raise RegisterError or BusError where it has to be started again."""
        while not self._closed:
            self.fifo.flush()
            # Count from zero again: after a loss only the rate is still known.
            self._time.restart()
            self._gap = self.counts.samples > 0
            self._taken, self._held = 0, []
            self._now_ns = self._alive_ns = self._clock.monotonic_ns()
            try:
                yield from self._segment()
                return
            except Discard as error:
                reason = error
            log.info("%s: emptied the FIFO: %s", self.device_id, reason)
            overflow = isinstance(reason, Overflow)
            self.counts.overflows += overflow
            self.counts.discards += not overflow
            if not overflow or not self._taken:
                # A FIFO that is full whenever it is looked at has stopped working.
                self._count_error(reason)
            # What came before is good if the registers still are as they were written.
            self.fifo.verify()
            if self._can_release():
                yield from self._release()
            yield from self._sign_of_life()

    def _segment(self) -> Iterator[SampleBlock]:
        """Yield from an empty FIFO on until closed; raise Discard where its content cannot be trusted any more."""
        waits = False  # samples wait for the next check; the first do not
        checked_ns = self._now_ns  # when the registers were last read back
        while not self._closed:
            try:
                if self._drain():
                    self._alive_ns = self._now_ns
                elif self._before_ns - self._alive_ns > self._silent_ns:
                    raise RegisterError(f"{self.fifo.registers.where}: expected samples, got none")
                ahead_ns = self._drain_ns if waits else min(self._drain_ns, round(NS_PER_S / self.rate_hz))
                next_ns = self._time.next_poll_ns(self._now_ns + ahead_ns)
                due = next_ns > checked_ns + CHECK_NS
                ready = self._can_release() and (due or not waits)
                if due or ready:
                    self.fifo.verify()
                    checked_ns = self._now_ns
            except BusError as error:
                if not error.nack:
                    raise Discard(str(error)) from error
                self._count_error(error)
                self._clock.sleep(_FIRST_PAUSE_S)
                # A chip that did not answer may have lost its settings.
                checked_ns = 0
                continue
            if ready:
                waits = True
                yield from self._release()
            yield from self._sign_of_life()
            self._clock.sleep(max(0, next_ns - self._clock.monotonic_ns()) / NS_PER_S)

    def _drain(self) -> bool:
        """Move what is in the FIFO to what is held; return whether there was anything."""
        self._before_ns = self._clock.monotonic_ns()
        records = self.fifo.level()
        self._now_ns = self._clock.monotonic_ns()
        self._time.observe(self._taken + records, self._before_ns, self._now_ns)
        if self._time.slipped:
            raise Discard("the FIFO holds fewer or more samples than the time that has passed")
        if not records:
            return False
        counts = self.fifo.read(records)
        waited_s = (self._clock.monotonic_ns() - self._before_ns) / NS_PER_S - self.fifo.read_s(records)
        if records + waited_s * self._fastest_hz > self.fifo.chip.capacity - 1:
            raise Overflow(f"the FIFO may have run over before it was read, {waited_s:.3f} s late")
        if len(counts):
            self._held.append(counts)
        self._errors = max(0, self._errors - 1)
        self._taken += records
        return True

    def _can_release(self) -> bool:
        """Tell whether samples are held and can be stamped well: right after a start that may take a few readings."""
        held, time = sum(map(len, self._held)), self._time
        return held > 0 and not time.slipped and time.uncertainty_ns(self._taken - held, held) <= SETTLED_NS

    def _release(self) -> Iterator[SampleBlock]:
        """Yield what is held and lives: the registers it was taken with have been read back."""
        counts = np.concatenate(self._held)
        self._held.clear()
        first = self._taken - len(counts)
        gap, lost = np.zeros(len(counts), np.bool_), np.zeros(len(counts), np.int64)
        gap[0], lost[0] = self._gap, self._time.missed(first) if self._gap else 0
        times = self._time.stamp(first, len(counts), self._now_ns)
        self._gap = False
        self.counts.retries = self.fifo.registers.retries
        yield from self._deliver(Rows(times + self.unix_offset_ns, counts * self._scale, gap, lost))

    def _restart(self) -> None:
        self.fifo.configure()
        self._errors = 0

    def _count_error(self, error: SensorError) -> None:
        self._errors += 1
        if self._errors > _MOST_ERRORS:
            raise RegisterError(f"{self.fifo.registers.where}: too many errors, the last: {error}") from error

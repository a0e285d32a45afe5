"""The one FIFO reader: from a chip to SampleBlocks, every sample accounted for.

It has three states. *Start* resets and configures the chip, again and again with a growing pause until that succeeds.
*Drain* reads the FIFO before it is half full, at the instant that tells the time base most. *Check* reads back every
register that was written, ten times a second.

A sample waits until the registers it was taken with have been read back unchanged: so a chip that lost its settings
does not pass off its samples as good ones, unless a setting comes back by itself within a tenth of a second. It also
waits for the level that follows its reading: a word that went missing within it shows there, and, where the level is
read at the right time, a sample that another program took out. So it is read then. Whatever cannot be trusted
is emptied out of the FIFO, never repaired; how much was lost follows from the times on either side.

No wait is endless, and each has its reason in `trouble`. After a start or a loss, samples wait at most HOLD_NS until
their times are exact; from then on none waits for that. Samples whose times are not exact are counted as doubtful. What
is discarded or started again is noted with its error (see `LiveSource`).
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
from motionsig.sensors.fifo import CHECK_NS, ChipFifo, Discard, Overflow, Slip, drain_s
from motionsig.sensors.live import MOST_QUIET_S, LiveSource
from motionsig.sensors.living import Rows
from motionsig.sensors.registers import RegisterError
from motionsig.timebase import SETTLED_NS, TimeBase

log = own_logger(__name__)

_FIRST_PAUSE_S = 0.001

_SILENT_S, _SILENT_PERIODS = 0.1, 5
"""A chip that gives nothing for the longer of these two has stopped."""
_MOST_ERRORS = 10
"""With more bad readings than this, less the good ones since, the chip is started again (as PX4's drivers do)."""

HOLD_NS = 2 * NS_PER_S
"""The first samples after a start or a loss wait at most so long for times that are exact; then they are doubtful."""
EXACT_NS = 1_000_000
"""Times that may be off by more, either way, are doubtful."""
_WORSE = 1.25
"""After a loss samples do not wait, unless their times are less exact than those before it by this factor."""

_ENOUGH_NS = 800_000
"""While times are so exact, the level is read at each check only, where the FIFO has to be read more often."""
_LOOKS_AFTER = (0.0, 0.6, 0.6)
"""When the level that follows a reading is read, in parts of a period after an edge at least, until it excludes that
somebody else took a sample. Just after an edge is soonest; later than half a period after it, it is that or a slip. The
third is for a second that took so long that it met the next edge."""
_TELLING_NS = CHECK_NS
"""Where none of these tells, as all stalled, samples wait at most so long for a later one; then they are delivered."""
_STALLS_NS = 20_000_000
"""Transactions that take longer may be why nothing comes."""

_ADVICE: tuple[tuple[type[Exception], str], ...] = (
    (Overflow, "set a lower rate_hz, or use a faster bus or a less busy machine"),
    (
        Slip,
        "another program may read this chip, or its clock is far off: stop the other one, or see `motionsig sensors`",
    ),
    (Discard, "check wiring and pull-ups, or use a slower bus; another program may read this chip"),
    (BusError, "check wiring and power; switch the sensor off and on if the bus hangs"),
    (RegisterError, "check wiring and power; another program may use this chip"),
)
"""What the owner can do about an error, by its kind."""


class SensorReader(LiveSource):
    """A chip's FIFO as a Source: endless, until closed."""

    # To ask a chip that is not there takes the bus a tenth of a millisecond.
    pauses_s = (_FIRST_PAUSE_S, 0.01)

    def __init__(
        self,
        fifo: ChipFifo,
        *,
        clock: Clock,
        calibration: Calibration,
        device_id: str,
        resources: ExitStack,
        runs: bool = False,
    ) -> None:
        """Start the chip unless it runs; raise SensorError where it does not. `resources` are closed with it."""
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
        # The level is read only at each check, where the FIFO has to be read much more often than that.
        self._often = self._drain_ns <= CHECK_NS // 2
        self._silent_ns = round(max(_SILENT_S, _SILENT_PERIODS / self.rate_hz) * NS_PER_S)
        self._fastest_hz = self.rate_hz * (1 + CLOCK_TOLERANCE)
        self._errors = self._taken = 0
        self._gap = False
        self._raw: list[bytes] = []  # bursts that nobody has looked at yet
        # Those of which somebody has: how many records had been taken after them, and their counts.
        self._held: list[tuple[int, NDArray[np.int16]]] = []
        self._whole = 0  # of the records taken: those that the level after them shows to have been read whole
        self._level_ns = round(fifo.level_s() * NS_PER_S)
        self._time = TimeBase(self.rate_hz, wire_ns=self._level_ns)
        self._accepted_ns: float = SETTLED_NS
        self._held_ns = 0
        # Since the start or the last loss. Until then samples wait for exact times, afterwards for the next check.
        self._released = False
        self._judge_by(self._scale, fifo.setting.full_scale)
        self._left = False
        fifo.registers.before = self._before_transaction
        try:
            if not runs:
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
        self.fifo.registers.before = None
        try:
            self.fifo.registers.run(self.fifo.chip.reset)
        except SensorError as error:
            log.info("%s was left running: %s", self.device_id, error)
        self._resources.close()

    def _before_transaction(self) -> None:
        """Say why nothing comes while it lasts; raise RegisterError where the consumer has waited for too long."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._heard_ns > MOST_QUIET_S * NS_PER_S:
            raise RegisterError(f"{self._slow()}; they took {(now_ns - self._heard_ns) / NS_PER_S:.1f} s by now")
        if now_ns - self._sampled_ns > MOST_QUIET_S * NS_PER_S:
            self._is_silent()

    def _slow(self) -> str:
        """Return how long transactions take, against what they should."""
        slowest_s, registers = self.fifo.registers.slowest_ns / NS_PER_S, self.fifo.registers
        return (
            f"{registers.where}: transactions take up to {slowest_s:.3f} s, expected {self._level_ns / NS_PER_S:.3f} s"
        )

    def _why_silent(self) -> Exception | None:
        slow = self.fifo.registers.slowest_ns > _STALLS_NS
        return self._reason or (RegisterError(self._slow()) if slow else None)

    def _stream(self) -> Iterator[SampleBlock]:
        """Yield what the chip gives until closed; raise RegisterError or BusError where it has to be started again."""
        while not self._closed:
            self.fifo.flush()
            # Count from zero again: after a loss only the rate is still known.
            self._time.restart()
            self._gap = self.counts.samples > 0
            self._taken = self._whole = 0
            self._held.clear()
            self._raw.clear()
            self._released = False
            self._now_ns = self._alive_ns = self._clock.monotonic_ns()
            try:
                yield from self._segment()
                return
            except Discard as error:
                reason = error
            log.info("%s: emptied the FIFO: %s", self.device_id, reason)
            self._note(reason)
            overflow = isinstance(reason, Overflow)
            self.counts.overflows += overflow
            self.counts.discards += not overflow
            if not overflow or not self._taken:
                # A FIFO that is full whenever it is looked at has stopped working.
                self._count_error(reason)
            # What came before is good if the registers still are as they were written.
            self.fifo.verify()
            if self._stampable() and self._time.complete:
                yield from self._release()
            yield from self._sign_of_life()

    def _segment(self) -> Iterator[SampleBlock]:
        """Yield from an empty FIFO on until closed; raise Discard where its content cannot be trusted any more."""
        checked_ns = begun_ns = self._now_ns  # when the registers were last read back
        while not self._closed:
            ready, next_ns = False, self._clock.monotonic_ns() + self._drain_ns
            try:
                between = self._released and self._often and next_ns <= checked_ns + CHECK_NS
                if between and self._take_expected():
                    pass  # The level at the next check shows that it was so.
                else:
                    self._parse()
                    records = self._look(begun_ns)
                    if records > self.fifo.left:
                        self._take(records, records)
                        self._alive_ns = self._now_ns
                    elif self._before_ns - self._alive_ns > self._silent_ns:
                        raise RegisterError(f"{self.fifo.registers.where}: expected samples, got none")
                    if not (self._released and self._often):
                        self._parse()
                    ahead_ns = self._drain_ns if self._released else min(self._drain_ns, round(NS_PER_S / self.rate_hz))
                    next_ns = self._time.next_poll_ns(self._now_ns + ahead_ns)
                    due = next_ns > checked_ns + CHECK_NS
                    ready = (due or not self._released) and self._stampable()
                    if due or ready:
                        self.fifo.verify()
                        checked_ns = self._now_ns
                    if ready and not (self._released and self._often and self._time.complete):
                        # Only the level that follows shows that what was read just now was whole.
                        self._look_again(begun_ns)
                    ready = ready and self._is_complete()
            except BusError as error:
                if not error.nack:
                    raise Discard(str(error)) from error
                self._note(error)
                self._count_error(error)
                self._clock.sleep(_FIRST_PAUSE_S)
                # A chip that did not answer may have lost its settings.
                checked_ns = 0
                continue
            if ready:
                self._released = True
                yield from self._release()
            yield from self._sign_of_life()
            self._clock.sleep(max(0, next_ns - self._clock.monotonic_ns()) / NS_PER_S)

    def _take_expected(self) -> bool:
        """Take what waits by the time that has passed; False where the times are not exact enough to tell."""
        self._before_ns = self._clock.monotonic_ns()
        least, most, unsure_ns = self._time.taken_by(self._before_ns)
        if unsure_ns > min(self._accepted_ns, _ENOUGH_NS):
            return False
        self._take(least - self._taken, most - self._taken)
        return True

    def _look(self, begun_ns: int) -> int:
        """Return how many records wait; raise Discard where they show that something was lost or not read whole."""
        self._before_ns = self._clock.monotonic_ns()
        records = self.fifo.level()
        self._now_ns = self._clock.monotonic_ns()
        self._time.observe(self._taken + records, self._before_ns, self._now_ns)
        if self._time.slipped:
            raise Slip(
                f"the FIFO got {self._taken + records} samples in {(self._now_ns - begun_ns) / NS_PER_S:.3f} s, which "
                f"is not what came before, or not {self.rate_hz:g} Hz"
            )
        self._whole = self._taken
        return records

    def _look_again(self, begun_ns: int) -> None:
        """Look when that tells whether somebody took a sample out; raise Discard as `_look` does."""
        for after in _LOOKS_AFTER:
            now_ns = self._clock.monotonic_ns()
            self._clock.sleep((self._time.telling_ns(now_ns, after) - now_ns) / NS_PER_S)
            self._look(begun_ns)
            if self._time.complete:
                return

    def _take(self, waiting: int, most: int) -> None:
        """Take what waits out of the FIFO, but for what is to be left; so many records at least, and at most."""
        records = waiting - self.fifo.left
        if records <= 0:
            return
        self._raw.append(self.fifo.take(records))
        self._require_in_time(most, records)
        self._taken += records

    def _parse(self) -> None:
        """Move what was taken to what is held; raise Discard where it cannot be what the chip measured."""
        if not self._raw:
            return
        counts = self.fifo.parse(b"".join(self._raw))
        self._raw.clear()
        self._errors = max(0, self._errors - 1)
        if len(counts):
            self._held_ns = self._held_ns if self._held else self._now_ns
            self._held.append((self._taken, counts))

    def _require_in_time(self, waiting: int, records: int) -> None:
        """Raise Overflow where the FIFO may have run over before the last of the records was read."""
        waited_s = (self._clock.monotonic_ns() - self._before_ns) / NS_PER_S - self.fifo.read_s(records)
        if waiting + waited_s * self._fastest_hz > self.fifo.chip.capacity - 1:
            raise Overflow(f"the FIFO may have run over before it was read, {waited_s:.3f} s late")

    def _doubt_ns(self) -> float:
        """Return how far the times of what is held may be off either way; infinite before any is known."""
        end, counts = self._held[0]
        first = end - len(counts)
        last = self._whole if self._whole > first else self._taken
        return self._time.uncertainty_ns(first, last - first)

    def _stampable(self) -> bool:
        """Tell whether what is held can be stamped: well, which may take a few readings, or as well as it can be."""
        if not self._held or self._time.slipped:
            return False
        doubt_ns = self._doubt_ns()
        if self._released:
            # The stamps follow the readings so slowly that a second or two more make them no better.
            return doubt_ns < np.inf
        if doubt_ns > self._accepted_ns and self._now_ns - self._held_ns > HOLD_NS:
            self._accepted_ns = doubt_ns
        return doubt_ns <= self._accepted_ns < np.inf

    def _is_complete(self) -> bool:
        """Tell whether no sample can have been taken out by somebody else, or that is not to be known.

        Where one was, what is held is later than it seems to be: it waits for a reading that tells.
        """
        return self._time.complete or self._now_ns - self._held_ns > _TELLING_NS

    def _release(self) -> Iterator[SampleBlock]:
        """Yield what is held, whole and alive: the registers it was taken with have been read back."""
        whole = [counts for end, counts in self._held if end <= self._whole]
        if not whole:
            return
        first = self._held[0][0] - len(whole[0])
        del self._held[: len(whole)]
        self.fifo.registers.slowest_ns = 0
        self._held_ns = self._now_ns
        counts = np.concatenate(whole)
        gap, lost = np.zeros(len(counts), np.bool_), np.zeros(len(counts), np.int64)
        gap[0], lost[0] = self._gap, self._time.missed(first) if self._gap else 0
        times = self._time.stamp(first, len(counts), self._now_ns)
        self._gap = False
        self.counts.retries = self.fifo.registers.retries
        self._accepted_ns = max(SETTLED_NS, min(self._accepted_ns, _WORSE * self._time.doubt_ns))
        self._judge_times(len(counts), self._why_doubtful() if self._time.doubt_ns > EXACT_NS else None)
        yield from self._deliver(Rows(times + self.unix_offset_ns, counts * self._scale, gap, lost))

    def _why_doubtful(self) -> str:
        """Return how exact the times of samples are, and why not as exact as promised."""
        shortest_ms, last_ms = self._time.shortest_ns / 1e6, (self._now_ns - self._before_ns) / 1e6
        return (
            f"times are exact to {np.ceil(self._time.doubt_ns / 1e6):.0f} ms only, expected {EXACT_NS / 1e6:.0f} ms: "
            f"reading the FIFO's level takes {shortest_ms:.1f} ms at least, and {last_ms:.1f} ms last, "
            f"expected {self._level_ns / 1e6:.1f} ms; use a faster bus or adapter, or a less busy machine"
        )

    def _advice(self, error: Exception | None) -> str:
        return next((advice for kind, advice in _ADVICE if isinstance(error, kind)), super()._advice(error))

    def _restart(self) -> None:
        self.fifo.configure()
        self._errors = 0

    def _count_error(self, error: SensorError) -> None:
        self._errors += 1
        if self._errors > _MOST_ERRORS:
            raise RegisterError(f"{self.fifo.registers.where}: too many errors, the last: {error}") from error

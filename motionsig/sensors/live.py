"""What live sources share: they run until any thread closes them, start again after a failure, and say what is wrong.

Whatever goes wrong is noted with `_note`. Where nothing is delivered for `_SILENT_S`, `trouble` names what was noted
last; where samples come but something is noted again and again, it says so, too. What a source finds out by itself it
says with `_say`. Each such line is logged as a warning once, again after a minute if it has changed, and once more when
it is over.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.closing import Closing
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.clock import Clock, unix_offset_ns
from motionsig.sensors.living import Living, Rows

log = own_logger(__name__)

_QUIET_S, MOST_QUIET_S = 1.0, 3.0
"""While a sensor gives nothing, an empty block is yielded this often; at least this often, whatever is going on."""
_SILENT_S, _SILENT_PERIODS = 3.0, 5
"""Without a sample for the longer of these two, `trouble` says why: with a slow reading within 5 s."""
_OFTEN, _OFTEN_S = 3, 5.0
"""So many errors within so many seconds are a state of their own, although samples come between them."""
_REPEAT_S = 60.0
"""A line about the same trouble that has changed is not logged more often."""
_DOUBTS_S, _EXACT_S = 3.0, 2.0
"""Doubtful times are said once they have come for so long, and taken back once none have come for so long."""
_REVIVE_S = 1.0, 60.0
"""Between two starts of a sensor that stays dead: at first, and at most."""
_SOUND_S = 60.0
"""A sensor that has lived for so long is started again at once when it dies."""


class DeadError(SensorError):
    """What comes is not what a living sensor reports."""


@dataclass
class SensorCounts:
    """What happened so far.

    samples: delivered. lost: samples that the sensor took between two delivered ones, or would have taken had it had
    power; counted when the later one is delivered. gaps: in how many places. overflows: FIFOs that were full. discards:
    readings that could not be trusted. dead: samples left out because no living sensor reports them: frozen, all zero,
    all ones, one axis or one sensor that stands still. garbled: single samples left out because they contradict both
    neighbours. doubtful: samples delivered although their times are less exact than promised. retries: transactions
    repeated, with nothing lost. recoveries: starts after the first.
    """

    samples: int = 0
    lost: int = 0
    gaps: int = 0
    overflows: int = 0
    discards: int = 0
    dead: int = 0
    garbled: int = 0
    doubtful: int = 0
    retries: int = 0
    recoveries: int = 0


class LiveSource(Closing):
    """An endless Source. Subclasses say how it streams, how it starts again, and how it is left.

    rate_hz: as the sensor is set. unix_offset_ns: Unix time less monotonic time at the start. trouble: why nothing
    comes, or why what comes is to be doubted, in one line with what to do; None while all is well. While nothing comes,
    an empty block is yielded once a second. A later iteration takes the place of an earlier one, which then raises
    SensorError, as it does in a child process; a child that closes the source leaves the sensor as it is.
    """

    rate_hz: float
    info: SourceInfo
    pauses_s: tuple[float, float]
    """Between two tries to start again: the first pause, and the longest."""

    def __init__(self, device_id: str, calibration: Calibration, clock: Clock) -> None:
        self.device_id = device_id
        self.calibration = calibration
        self.counts = SensorCounts()
        self.trouble: str | None = None
        self._lines: dict[str, str] = {}  # what `trouble` is made of, by what it is about; the latest last
        self._logged: dict[str, tuple[int, str]] = {}  # when each was logged last, and how
        self._reason: Exception | None = None  # what was noted since the last sample
        self._noted_ns: deque[int] = deque(maxlen=_OFTEN)
        self._restarted = False  # since the last sample
        self._doubts_ns: tuple[int, int] | None = None  # when doubtful times came first and last
        # The wall clock is read once: setting it later changes no distance between samples.
        self.unix_offset_ns = unix_offset_ns(clock)
        self._stream_id = int.from_bytes(os.urandom(8), "big") >> 1
        self._clock = clock
        self._heard_ns = self._sampled_ns = clock.monotonic_ns()
        self._closed = False
        self._pid, self._turn = os.getpid(), 0  # who opened it, and how often an iteration has begun
        self._blocks_out: Generator[SampleBlock, None, None] | None = None
        self._revivals = 0
        self._revive_ns, self._revive_s = 0, _REVIVE_S[0]
        self._died_ns = self._heard_ns

    def _judge_by(self, step: NDArray[np.floating] | None, most: NDArray[np.floating] | None = None) -> None:
        """Begin to judge samples at `rate_hz`.

        step: (6,) or (3,) m/s² and rad/s per count, if known. most: (6,) of the full scale, if known.
        """
        self._living = Living(self.rate_hz, step, most)

    def __repr__(self) -> str:
        state, counts = "closed" if self._closed else "open", self.counts
        kind = f"{type(self).__name__}({self.device_id[:64]!r} at {self.rate_hz:g} Hz"
        return f"{kind}, {state}: {counts.samples} samples, {counts.lost} lost in {counts.gaps} gaps)"

    @property
    def true_rate_hz(self) -> float:
        """The rate as measured against this machine's clock."""
        raise NotImplementedError

    def _stream(self) -> Iterator[SampleBlock]:
        """Yield what comes until closed; raise OSError where it has to be started again."""
        raise NotImplementedError

    def _restart(self) -> None:
        """Start from nothing; raise OSError or InputError where that fails."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Leave the sensor as it was found; again is harmless."""
        raise NotImplementedError

    def close(self) -> None:
        """End the iteration, and leave the sensor as found; from any thread or signal handler, and as often."""
        self._closed = True
        # An iteration that is in the middle of a reading ends it first, and then does this itself.
        if os.getpid() == self._pid and not self._is_read():
            self._leave()

    def _is_read(self) -> bool:
        """Tell whether a thread is in the middle of a reading."""
        return self._blocks_out is not None and inspect.getgeneratorstate(self._blocks_out) == inspect.GEN_RUNNING

    def __iter__(self) -> Iterator[SampleBlock]:
        if self._closed:
            raise SensorError(f"{self.device_id}: expected an open sensor, got a closed one")
        if self._is_read():
            raise SensorError(f"{self.device_id}: expected one iteration at a time, got a second one in another thread")
        self._turn += 1
        self._blocks_out = self._run(self._turn)
        return self._blocks_out

    def _require_turn(self, turn: int) -> None:
        """Raise SensorError for an iteration that may not go on: two readers would take each other's samples."""
        if os.getpid() != self._pid:
            raise SensorError(
                f"{self.device_id}: expected to be read by process {self._pid}, which opened it, got a child of that; "
                "open the sensor in the process that reads it"
            )
        if turn != self._turn:
            raise SensorError(f"{self.device_id}: expected one iteration at a time, got one that began after this one")

    def _run(self, turn: int) -> Generator[SampleBlock, None, None]:
        self._require_turn(turn)
        self._sampled_ns = self._heard_ns = self._clock.monotonic_ns()
        try:
            for block in self._endless():
                (self._sounds if len(block) else self._is_silent)()
                yield block
                self._require_turn(turn)
                if len(block):
                    # The time that the consumer took is not the sensor's silence.
                    self._sampled_ns = self._heard_ns = self._clock.monotonic_ns()
        finally:
            if self._closed and os.getpid() == self._pid:
                self._leave()

    def _endless(self) -> Iterator[SampleBlock]:
        while not self._closed:
            try:
                yield from self._stream()
                continue
            except OSError as error:
                reason = error
            yield from self._start_again(reason)

    def _sounds(self) -> None:
        """Say what goes wrong again and again between samples that come; take back what is no longer true."""
        self._say("silence", None)
        noted, often_ns = self._noted_ns, _OFTEN_S * NS_PER_S
        if self._reason is not None and len(noted) == _OFTEN and noted[-1] - noted[0] <= often_ns:
            line = f"samples are lost again and again: {self._reason}; {self._advice(self._reason)}"
            self._say("errors", line)
        elif noted and self._clock.monotonic_ns() - noted[-1] > often_ns:
            noted.clear()
            self._say("errors", None)
        self._reason, self._restarted = None, False

    def _is_silent(self) -> None:
        """Say why nothing comes, if that lasts."""
        longest_s = max(_SILENT_S, _SILENT_PERIODS / self.rate_hz)
        if self._clock.monotonic_ns() - self._sampled_ns <= longest_s * NS_PER_S:
            return
        reason = self._why_silent()
        if "life" in self._lines and (reason is None or isinstance(reason, DeadError)):
            return
        why = "no samples come, and nothing says why" if reason is None else f"no samples come: {reason}"
        self._say("silence", f"{why}; {self._advice(reason)}")

    def _why_silent(self) -> Exception | None:
        """Return why nothing comes: what was noted since the last sample, or what else is known."""
        return self._reason

    def _note(self, error: Exception) -> None:
        """Remember what went wrong: the reason of the silence that may follow, or of samples that are lost often."""
        self._reason = error
        if not isinstance(error, DeadError):
            self._noted_ns.append(self._clock.monotonic_ns())
        # The next block may take long where every transaction does.
        self._is_silent()

    def _advice(self, error: Exception | None) -> str:
        """Return what the owner can do about an error, None for an unknown one."""
        return "see `motionsig doctor`"

    def _say(self, about: str, line: str | None, more: str = "") -> None:
        """Set what `trouble` says about one thing, or take it back with None; log the line where it is new.

        more: the rest of the line, which changes all the time, for `trouble` alone.
        """
        now_ns, logged = self._clock.monotonic_ns(), self._logged.get(about)
        if line is None:
            if logged is not None:
                del self._logged[about]
                log.warning("%s: it is over: %s", self.device_id, logged[1])
        elif logged is None or (line != logged[1] and now_ns - logged[0] > _REPEAT_S * NS_PER_S):
            self._logged[about] = now_ns, line
            log.warning("%s: %s", self.device_id, line)
        said = None if line is None else line + more
        if said != self._lines.get(about):
            self._lines.pop(about, None)
            if said is not None:
                self._lines[about] = said
        # The latest that is left counts.
        self.trouble = next(reversed(self._lines.values()), None)

    def _judge_times(self, samples: int, doubt: str | None) -> None:
        """Count samples as doubtful if there is a doubt about their times; say a doubt that lasts, and its end."""
        now_ns = self._clock.monotonic_ns()
        if doubt is not None:
            self.counts.doubtful += samples
            first_ns = now_ns if self._doubts_ns is None else self._doubts_ns[0]
            self._doubts_ns = first_ns, now_ns
            # At a start, and after a pause of a busy machine, times become exact within a second or two.
            if now_ns - first_ns >= _DOUBTS_S * NS_PER_S:
                self._say("times", doubt)
        elif self._doubts_ns is not None and now_ns - self._doubts_ns[1] > _EXACT_S * NS_PER_S:
            self._doubts_ns = None
            self._say("times", None)

    def _start_again(self, reason: OSError) -> Iterator[SampleBlock]:
        """Start until that succeeds or until closed; yield an empty block now and then meanwhile."""
        # What is dead, or gives nothing although it starts, is started again and again: `trouble` says so.
        said = isinstance(reason, DeadError) or self._restarted or "errors" in self._lines
        level = logging.DEBUG if said else logging.WARNING
        self._restarted = True
        self._note(reason)
        log.log(level, "%s: starting it again: %s", self.device_id, reason)
        self.counts.recoveries += 1
        began_ns = self._clock.monotonic_ns()
        pause_s, most_s = self.pauses_s
        while not self._closed:
            yield from self._sign_of_life()
            if self._closed:  # while the consumer had the block
                return
            try:
                self._restart()
            except (OSError, InputError) as error:
                log.debug("%s: %s", self.device_id, error)
                self._reason = error
                self._is_silent()
                self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, most_s)
                continue
            log.log(level, "%s: back after %.3f s", self.device_id, (self._clock.monotonic_ns() - began_ns) / NS_PER_S)
            return

    def _deliver(self, rows: Rows) -> Iterator[SampleBlock]:
        """Yield those of `rows`, on Unix time, that live, as blocks that begin where something is missing.

        Raises DeadError where it has to be started again.
        """
        counts, passed = self.counts, self._living.push(rows)
        counts.dead, counts.garbled = self._living.dead, self._living.garbled
        self._heed()
        if len(passed.data):
            self._heard_ns = self._clock.monotonic_ns()
            data = self.calibration.apply(passed.data)
            for start, stop in pairwise([0, *(np.flatnonzero(passed.gap[1:]) + 1).tolist(), len(data)]):
                counts.gaps += bool(passed.gap[start])
                counts.lost += int(passed.lost[start])
                counts.samples += stop - start
                yield SampleBlock(passed.time_ns[start:stop], data[start:stop], bool(passed.gap[start]))
        else:
            yield from self._sign_of_life()
        self._revive()

    def _heed(self) -> None:
        """Say what is wrong with the samples, and when it is over."""
        fault, doubt = self._living.fault, self._living.doubt
        left_out = f"; {self._living.dead} samples left out, started again {self._revivals} times"
        advice = "; check wiring and supply; the chip may be dead or a clone"
        self._say("life", fault or doubt, left_out + advice if fault else "")

    def _revive(self) -> None:
        """Raise DeadError where a dead sensor has to be started again: at once, then after pauses that grow."""
        if self._living.fault is None:
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._died_ns > _SOUND_S * NS_PER_S:
            self._revive_ns, self._revive_s = 0, _REVIVE_S[0]
        self._died_ns = now_ns
        if now_ns < self._revive_ns and not self._living.suspected:
            return
        self._revive_ns = now_ns + round(self._revive_s * NS_PER_S)
        self._revive_s = min(2 * self._revive_s, _REVIVE_S[1])
        self._revivals += 1
        reason = self._living.fault
        self._living.restarted()
        raise DeadError(reason)

    def _sign_of_life(self) -> Iterator[SampleBlock]:
        """Yield an empty block if nothing has been delivered for a while."""
        if self._clock.monotonic_ns() - self._heard_ns > _QUIET_S * NS_PER_S:
            yield SampleBlock(np.empty(0, np.int64), np.empty((0, len(CHANNELS)), np.float32))
            # The time that the consumer took is not the sensor's silence.
            self._heard_ns = self._clock.monotonic_ns()

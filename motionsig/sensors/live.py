"""What live sources share: they run until any thread closes them, and start again after a failure."""

from __future__ import annotations

import inspect
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.closing import Closing
from motionsig.conventions import CHANNELS, NS_PER_S
from motionsig.errors import InputError, SensorError
from motionsig.escaping import own_logger
from motionsig.sensors.calibration.model import Calibration
from motionsig.sensors.clock import Clock, unix_offset_ns

log = own_logger(__name__)

_QUIET_S = 1.0
"""While a sensor gives nothing, an empty block is yielded this often."""


@dataclass
class SensorCounts:
    """What happened so far.

    samples: delivered. lost: samples that the sensor took between two delivered ones, or would have taken had it had
    power; counted when the later one is delivered. gaps: in how many places. overflows: FIFOs that were full. discards:
    readings that could not be trusted. dead: samples left out because no living sensor reports them: frozen, all zero,
    all ones, one axis or one sensor that stands still. garbled: single samples left out because they contradict both
    neighbours. doubtful: samples delivered although their times are less exact than promised. retries: transactions
    repeated because nobody acknowledged. recoveries: starts after the first.
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
    an empty block is yielded once a second.
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
        # The wall clock is read once: setting it later changes no distance between samples.
        self.unix_offset_ns = unix_offset_ns(clock)
        self._stream_id = int.from_bytes(os.urandom(8), "big") >> 1
        self._clock = clock
        self._heard_ns = clock.monotonic_ns()
        self._closed = False
        self._blocks_out: Generator[SampleBlock, None, None] | None = None

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
        if self._blocks_out is None or inspect.getgeneratorstate(self._blocks_out) != inspect.GEN_RUNNING:
            self._leave()

    def __iter__(self) -> Iterator[SampleBlock]:
        if self._closed:
            raise SensorError(f"{self.device_id}: expected an open sensor, got a closed one")
        self._blocks_out = self._run()
        return self._blocks_out

    def _run(self) -> Generator[SampleBlock, None, None]:
        try:
            while not self._closed:
                try:
                    yield from self._stream()
                    continue
                except OSError as error:
                    reason = error
                yield from self._start_again(reason)
        finally:
            if self._closed:
                self._leave()

    def _start_again(self, reason: OSError) -> Iterator[SampleBlock]:
        """Start until that succeeds or until closed; yield an empty block now and then meanwhile."""
        log.warning("%s: starting it again: %s", self.device_id, reason)
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
                self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, most_s)
                continue
            log.warning("%s: back after %.3f s", self.device_id, (self._clock.monotonic_ns() - began_ns) / NS_PER_S)
            return

    def _sign_of_life(self) -> Iterator[SampleBlock]:
        """Yield an empty block if nothing has been delivered for a while."""
        if self._clock.monotonic_ns() - self._heard_ns > _QUIET_S * NS_PER_S:
            yield SampleBlock(np.empty(0, np.int64), np.empty((0, len(CHANNELS)), np.float32))
            # The time that the consumer took is not the sensor's silence.
            self._heard_ns = self._clock.monotonic_ns()

"""What live sources share: they run until any thread closes them, and start again after a failure."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from motionsig.blocks import SampleBlock, SourceInfo
from motionsig.closing import Closing
from motionsig.errors import SensorError


@dataclass
class SensorCounts:
    """What happened so far.

    samples: delivered. lost: samples that the sensor took between two delivered ones, or would have taken had it had
    power; counted when the later one is delivered. gaps: in how many places. overflows: FIFOs that were full. discards:
    readings that could not be trusted. retries: transactions repeated because nobody acknowledged. recoveries: starts
    after the first.
    """

    samples: int = 0
    lost: int = 0
    gaps: int = 0
    overflows: int = 0
    discards: int = 0
    retries: int = 0
    recoveries: int = 0


class LiveSource(Closing):
    """An endless Source. Subclasses say how it streams, how it starts again, and how it is left.

    rate_hz: as the sensor is set. unix_offset_ns: Unix time less monotonic time at the start.
    """

    rate_hz: float
    info: SourceInfo
    unix_offset_ns: int

    def __init__(self, device_id: str) -> None:
        self.device_id = device_id
        self.counts = SensorCounts()
        self._closed = False
        self._blocks_out: Generator[SampleBlock, None, None] | None = None

    def __repr__(self) -> str:
        state, counts = "closed" if self._closed else "open", self.counts
        kind = f"{type(self).__name__}({self.device_id[:64]!r} at {self.rate_hz:g} Hz"
        return f"{kind}, {state}: {counts.samples} samples, {counts.lost} lost in {counts.gaps} gaps)"

    @property
    def true_rate_hz(self) -> float:
        """The rate as measured."""
        raise NotImplementedError

    def _stream(self) -> Iterator[SampleBlock]:
        """Yield what comes until closed; raise OSError where it has to be started again."""
        raise NotImplementedError

    def _start_again(self, reason: OSError) -> Iterator[SampleBlock]:
        """Start until that succeeds or until closed; yield an empty block now and then meanwhile."""
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

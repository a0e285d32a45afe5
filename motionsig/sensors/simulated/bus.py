"""A bus that takes its time and fails in the ways a real one does."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from motionsig.closing import Closing
from motionsig.sensors.bus import BusError, transaction_s
from motionsig.sensors.clock import Clock
from motionsig.sensors.simulated.chip import Nack, SimulatedChip

Event = tuple[int, Callable[[], object]]
"""A monotonic time in ns and what happens then; it happens before the first transaction that begins later."""


@dataclass(frozen=True)
class Faults:
    """Faults of the bus, and `events` at given times.

    nack: share not acknowledged. stall: share that waits `stall_s`, half before the first bit, half after the last.
    slow_s: least and most that every transaction waits, at either end, as on a USB bridge or a busy machine.
    """

    nack: float = 0.0
    stall: float = 0.0
    stall_s: float = 0.2
    slow_s: tuple[float, float] = (0.0, 0.0)
    events: tuple[Event, ...] = ()
    seed: int = 0


class SimulatedBus(Closing):
    """A `Bus` with simulated chips.

    stuck_until_ns: until then its data line is low and all transactions time out. slow_s: as in `Faults`, from now on.
    loses: (register, unit, record): from the next read of more than two records of that many bytes, one unit is lost.
    """

    loses: tuple[int, int, int] | None = None

    def __init__(
        self,
        chips: Iterable[SimulatedChip],
        *,
        clock: Clock,
        clock_hz: int = 400_000,
        faults: Faults | None = None,
        name: str = "simulated",
    ) -> None:
        self.name = name
        self.clock_hz = clock_hz
        self.chips = {chip.address: chip for chip in chips}
        self.clock = clock
        self.transactions = self.nacks = self.stalls = 0
        self.stuck_until_ns = 0
        self.inject(faults or Faults())

    def inject(self, faults: Faults) -> None:
        """Replace the faults from now on."""
        self.faults, self.slow_s = faults, faults.slow_s
        self._events = sorted(faults.events, key=lambda event: event[0], reverse=True)
        self._chance = random.Random(faults.seed)

    def write(self, address: int, data: bytes) -> None:
        late = self._begin(address)
        self.clock.sleep((len(data) + 1) * 9 / self.clock_hz)
        self._act(address, lambda chip: chip.write(data))
        self.clock.sleep(late)

    def read(self, address: int, register: int, size: int) -> bytes:
        late = self._begin(address)
        addressing_s = transaction_s(self.clock_hz, 0)
        self.clock.sleep(addressing_s)
        lost = self._lost(register, size)
        data = self._act(address, lambda chip: chip.read(register, size + lost))
        if lost:
            middle = size // 2 // lost * lost
            data = data[:middle] + data[middle + lost :]
        self.clock.sleep(transaction_s(self.clock_hz, size) - addressing_s + late)
        return data

    def transaction_s(self, size: int) -> float:
        return transaction_s(self.clock_hz, size)

    def _lost(self, register: int, size: int) -> int:
        """Return how many bytes of this read get lost."""
        if self.loses is None or register != self.loses[0] or size <= 2 * self.loses[2]:
            return 0
        (_, unit, _), self.loses = self.loses, None
        return unit

    def _begin(self, address: int) -> float:
        """Run the events that are due and draw the faults; return how long the transaction waits at its end."""
        self.transactions += 1
        self._run_events()
        if self.clock.monotonic_ns() < self.stuck_until_ns:
            # An adapter gives up after its timeout, of a second on the Pi's driver; here it is shorter.
            self.clock.sleep(0.01)
            raise self._error(address, errno.ETIMEDOUT, nack=False)
        late = 0.0
        if self.faults.stall and self._chance.random() < self.faults.stall:
            self.stalls += 1
            late = 0.0 if self._chance.random() < 0.5 else self.faults.stall_s
            self.clock.sleep(self.faults.stall_s - late)
        if self.slow_s[1]:
            wait_s, part = self._chance.uniform(*self.slow_s), self._chance.random()
            self.clock.sleep(wait_s * part)
            late += wait_s * (1 - part)
        if self.faults.nack and self._chance.random() < self.faults.nack:
            self.nacks += 1
            self.clock.sleep(10 / self.clock_hz)
            raise self._error(address, errno.EREMOTEIO, nack=True)
        return late

    def _run_events(self) -> None:
        while self._events and self._events[-1][0] <= self.clock.monotonic_ns():
            self._events.pop()[1]()

    def _act(self, address: int, action: Callable[[SimulatedChip], bytes | None]) -> bytes:
        try:
            return action(self.chips[address]) or b""
        except (KeyError, Nack):
            self.clock.sleep(10 / self.clock_hz)
            raise self._error(address, errno.EREMOTEIO, nack=True) from None

    def _error(self, address: int, number: int, *, nack: bool) -> BusError:
        return BusError(f"{self.name} address 0x{address:02x}: simulated failure ({number})", nack=nack)

"""A chip's registers over a bus: what may be tried again is, what is written is read back.

Without an acknowledgement no byte has moved. Other failures do not tell: adapters report them as time-outs, as bus
errors, as lost arbitration, each in its own way (Documentation/i2c/fault-codes.rst). A register says and takes the same
a second time, so nothing is lost by asking again; a FIFO does not, so who reads it has to know that its bytes may have
gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from motionsig.conventions import NS_PER_S
from motionsig.errors import SensorError
from motionsig.sensors.bus import Bus, BusError, at, kernel_driver
from motionsig.sensors.chips import Chip, Set, Step, Until, Wait
from motionsig.sensors.clock import Clock

T = TypeVar("T")

_TRIES = 4
"""Of a transaction. If one in twenty fails, all four fail once in 160,000."""
_QUICK_S = 0.1
"""Failures that took longer are an adapter's time-outs on a bus that hangs: another would take as long again."""
_POLL_S = 0.001
_SLACK_S, _STEP_SLACK_S = 0.5, 0.04
"""What steps may take longer than the waits in them add up to, and each more: transactions, and a busy machine."""


class Span(NamedTuple):
    """Neighbouring registers from `first` on, what they should read as, and the bits that count."""

    first: int
    values: bytes
    masks: bytes


class RegisterError(SensorError):
    """The chip answers, but not as its data sheet says it does."""


class Registers:
    """The registers of `chip` at `address`; `retries` counts the transactions that had to be repeated.

    before: called before each transaction; what it raises ends what is going on. slowest_ns: the longest that a
    transaction took, until somebody sets it to 0.
    """

    def __init__(self, bus: Bus, chip: Chip, address: int, clock: Clock) -> None:
        self.where = f"{chip.name} on {bus.name}{at(address)}"
        self.retries = 0
        self.slowest_ns = 0
        self.before: Callable[[], None] | None = None
        self._deadline: tuple[int, float, str] | None = None  # monotonic ns, in s after what began, and what
        self._bus = bus
        self._chip = chip
        self._address = address
        self._clock = clock
        self._bank: int | None = None

    def read(self, register: int, size: int = 1) -> bytes:
        """Return `size` bytes from `register` on; raises BusError."""
        self._select(register)
        fifo = register == self._chip.fifo_register
        return self._tried(lambda: self._bus.read(self._address, register & 0xFF, size), moves=fifo)

    def write(self, register: int, value: int) -> None:
        """Write one register; raises BusError."""
        self._select(register)
        self._tried(lambda: self._bus.write(self._address, bytes((register & 0xFF, value))))

    @contextmanager
    def within(self, seconds: float, what: str) -> Iterator[None]:
        """Do what is inside in so many seconds: raise RegisterError before the first transaction that begins later.

        Within another deadline, the earlier one counts.
        """
        outer, late_ns = self._deadline, self._clock.monotonic_ns() + round(seconds * NS_PER_S)
        if outer is None or late_ns < outer[0]:
            self._deadline = late_ns, seconds, what
        try:
            yield
        finally:
            self._deadline = outer

    def run(self, steps: Iterable[Step]) -> None:
        """Take the steps; raise RegisterError where one does not read back as written or is late, or BusError."""
        steps = tuple(steps)
        with self.within(allowed_s(steps), "to be set up"):
            for step in steps:
                match step:
                    case Set(register, value, mask):
                        self.write(register, value)
                        if mask:
                            self.verify({register: (value, mask)})
                    case Wait(seconds):
                        self._clock.sleep(seconds)
                    case Until():
                        self._await(step)

    def verify(self, expected: Mapping[int, tuple[int, int]] | Sequence[Span]) -> None:
        """Raise RegisterError for the first of the registers that differs from (value, mask), or BusError."""
        for first, values, masks in neighbours(expected) if isinstance(expected, Mapping) else expected:
            got, size = self.read(first, len(values)), len(values)
            if not (int.from_bytes(got, "big") ^ int.from_bytes(values, "big")) & int.from_bytes(masks, "big"):
                continue
            which = next(number for number in range(size) if (got[number] ^ values[number]) & masks[number])
            mask = masks[which]
            raise RegisterError(
                f"{self.where} register 0x{first + which:02x}: expected 0x{values[which] & mask:02x} in the bits "
                f"0x{mask:02x}, got 0x{got[which] & mask:02x}"
            )

    def identify(self) -> None:
        """Raise RegisterError unless the chip is free and says it is the one expected."""
        driver = kernel_driver(self._bus, self._address)
        if driver is not None:
            # Whoever gave it the chip meanwhile wants it there; to set the chip up would spoil what the driver reads.
            raise RegisterError(
                f"{self.where}: expected a chip that no driver of the kernel holds, got one held by {driver}: "
                "open it as iio, or take it from the driver"
            )
        self.verify({register: (value, 0xFF) for register, value in self._chip.identity.items()})

    def forget_bank(self) -> None:
        """Select the bank again before the next access; a reset or a failure may have changed it."""
        self._bank = None

    def _await(self, until: Until) -> None:
        late_ns = self._clock.monotonic_ns() + round(until.within_s * 1e9)
        while True:
            try:
                got = f"0x{(value := self.read(until.register)[0]):02x}"
                if not (value ^ until.value) & until.mask:
                    return
            except BusError as error:
                # A chip that has just been reset does not answer for a while.
                got = str(error)
            if self._clock.monotonic_ns() > late_ns:
                raise RegisterError(
                    f"{self.where} register 0x{until.register:02x}: expected 0x{until.value:02x} in the bits "
                    f"0x{until.mask:02x} within {until.within_s:g} s, got {got}"
                )
            self._clock.sleep(_POLL_S)

    def _select(self, register: int) -> None:
        if self._chip.bank is None or self._bank == register >> 8:
            return
        selector, shift = self._chip.bank
        self._bank = None
        self._tried(lambda: self._bus.write(self._address, bytes((selector, register >> 8 << shift))))
        self._bank = register >> 8

    def _tried(self, transaction: Callable[[], T], *, moves: bool = False) -> T:
        """Return what a transaction does, if need be of several tries. moves: it changes what the next one gives."""
        late_ns = self._clock.monotonic_ns() + _QUICK_S * NS_PER_S
        for _ in range(_TRIES - 1):
            try:
                return self._timed(transaction)
            except BusError as error:
                if not error.nack and (moves or self._clock.monotonic_ns() > late_ns):
                    raise
                self.retries += 1
        return self._timed(transaction)

    def _timed(self, transaction: Callable[[], T]) -> T:
        if self.before is not None:
            self.before()
        began_ns = self._clock.monotonic_ns()
        if self._deadline is not None and began_ns > self._deadline[0]:
            late_ns, seconds, what = self._deadline
            raise RegisterError(
                f"{self.where}: expected {what} in {seconds:.2f} s, got {seconds + (began_ns - late_ns) / NS_PER_S:.2f}"
                f" s; a transaction took {self.slowest_ns / NS_PER_S:.3f} s"
            )
        try:
            return transaction()
        finally:
            self.slowest_ns = max(self.slowest_ns, self._clock.monotonic_ns() - began_ns)


def allowed_s(steps: Iterable[Step]) -> float:
    """Return how long the steps may take: their waits, and the transactions of a slow bus and a busy machine."""
    steps = tuple(steps)
    waits = (step for step in steps if not isinstance(step, Set))
    waited_s = sum(step.seconds if isinstance(step, Wait) else step.within_s for step in waits)
    return _SLACK_S + _STEP_SLACK_S * len(steps) + waited_s


def neighbours(expected: Mapping[int, tuple[int, int]]) -> list[Span]:
    """Return registers and their (value, mask) as spans: each is read in one transaction."""
    return [
        Span(first, *(bytes(expected[first + at][part] for at in range(size)) for part in (0, 1)))
        for first, size in spans(expected)
    ]


def spans(registers: Iterable[int]) -> list[tuple[int, int]]:
    """Return (first, how many) for each run of neighbouring registers, so that nothing else is touched."""
    found: list[tuple[int, int]] = []
    for register in sorted(registers):
        if found and sum(found[-1]) == register:
            found[-1] = (found[-1][0], found[-1][1] + 1)
        else:
            found.append((register, 1))
    return found

"""Registers: asked again, read back, selected by bank."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.sensors import CHIPS
from motionsig.sensors.bus import BusError
from motionsig.sensors.chips import Set, Until, Wait
from motionsig.sensors.registers import RegisterError, Registers, spans
from motionsig.sensors.simulated import Faults, SimulatedBus, VirtualClock, simulated_chip


def registers(name: str = "mpu6500", faults: Faults | None = None) -> tuple[Registers, SimulatedBus, VirtualClock]:
    clock = VirtualClock()
    chip = simulated_chip(name, clock=clock)
    bus = SimulatedBus([chip], clock=clock, faults=faults)
    return Registers(bus, CHIPS[name], chip.address, clock), bus, clock


@given(st.sets(st.integers(0, 0x3FF)))
def test_spans_hold_each_register_once_and_no_other(numbers: set[int]) -> None:
    covered = [number for first, size in spans(numbers) for number in range(first, first + size)]
    assert covered == sorted(numbers)
    assert all(first - 1 not in numbers and first + size not in numbers for first, size in spans(numbers))


def test_a_value_that_does_not_stick_is_an_error() -> None:
    them, _, _ = registers()
    them.run([Set(0x6B, 0x01), Set(0x19, 7)])
    with pytest.raises(RegisterError, match="register 0x75: expected 0x00 in the bits 0xff, got 0x70"):
        them.run([Set(0x75, 0x00)])
    them.run([Set(0x75, 0x00, 0)])  # said to be unreadable
    with pytest.raises(RegisterError, match="register 0x19: expected 0x09"):
        them.verify({0x19: (9, 0xFF), 0x1A: (0, 0x7F)})
    them.verify({0x19: (0x0F, 0x07)})


def test_a_condition_has_its_deadline() -> None:
    them, _, clock = registers()
    began = clock.monotonic_ns()
    with pytest.raises(RegisterError, match=r"expected 0x00 in the bits 0xff within 0.2 s, got 0x70"):
        them.run([Wait(0.1), Until(0x75, 0xFF, 0, 0.2)])
    assert 0.3e9 < clock.monotonic_ns() - began < 0.32e9


def test_a_deaf_chip_is_waited_for_within_a_condition_alone() -> None:
    them, bus, clock = registers()
    bus.chips[0x68].restart(clock.monotonic_ns(), 0.05)
    with pytest.raises(BusError):
        them.read(0x75)
    them.run([Until(0x75, 0xFF, 0x70, 0.2)])


def failing(bus: SimulatedBus, clock: VirtualClock, times: int, *, seconds: float, nack: bool = False) -> list[int]:
    """Let so many transactions fail after they were carried out; return the list of all registers asked."""
    asked: list[int] = []
    read = bus.read

    def fails(address: int, register: int, size: int) -> bytes:
        asked.append(register)
        data = read(address, register, size)
        if len(asked) > times:
            return data
        clock.sleep(seconds)
        raise BusError("expected a transaction, got: Connection timed out (110)", nack=nack)

    bus.read = fails  # type: ignore[method-assign]
    return asked


def test_a_register_is_asked_again_after_a_failure_that_may_have_moved_bytes() -> None:
    them, bus, clock = registers()
    asked = failing(bus, clock, 3, seconds=0.02)
    assert them.read(0x75) == b"\x70"
    assert (len(asked), them.retries) == (4, 3)
    them, bus, clock = registers()
    asked = failing(bus, clock, 4, seconds=0.02)
    with pytest.raises(BusError):
        them.read(0x75)
    assert (len(asked), them.retries) == (4, 3)


def test_a_fifo_is_not_asked_again_after_such_a_failure() -> None:
    """Its bytes may have gone; only who reads knows what that means."""
    them, bus, clock = registers()
    asked = failing(bus, clock, 1, seconds=0.0)
    with pytest.raises(BusError):
        them.read(CHIPS["mpu6500"].fifo_register, 14)
    assert (len(asked), them.retries) == (1, 0)


def test_a_bus_that_hangs_is_not_waited_for_twice() -> None:
    them, bus, clock = registers()
    asked = failing(bus, clock, 1, seconds=1.0)
    with pytest.raises(BusError):
        them.read(0x75)
    assert (len(asked), them.retries) == (1, 0)


def test_steps_that_take_too_long_are_an_error() -> None:
    them, _, _ = registers(faults=Faults(stall=1.0, stall_s=0.4))
    with pytest.raises(RegisterError, match=r"expected to be set up in 0\.58 s"):
        them.run([Set(0x6B, 0x01), Set(0x19, 7)])


def test_banks_are_selected_when_needed_and_only_then() -> None:
    them, bus, _ = registers("icm20948")
    assert them.read(0x000) == b"\xea"
    before = bus.transactions
    them.read(0x006)
    assert bus.transactions == before + 1
    them.write(0x200, 9)
    assert bus.transactions == before + 3
    assert (them.read(0x200), them.read(0x000)) == (b"\x09", b"\xea")

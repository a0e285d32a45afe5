"""How a chip's own self-test leaves it; what it finds is in test_every_chip.py."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest

from motionsig.sensors import CHIPS
from motionsig.sensors.bus import BusError
from motionsig.sensors.self_test import self_test
from motionsig.sensors.simulated import SimulatedBus, VirtualClock, simulated_chip


def still(serials: np.ndarray, times_ns: np.ndarray) -> np.ndarray:
    return np.tile([0.0, 0.0, 9.8, 0.0, 0.0, 0.0], (len(serials), 1))


class BrokenFifoBus(SimulatedBus):
    """A bus on which the FIFO of an LSM6DSO cannot be read."""

    def read(self, address: int, register: int, size: int) -> bytes:
        if register == CHIPS["lsm6dso"].fifo_register:
            raise BusError("broken", nack=False)
        return super().read(address, register, size)


@pytest.mark.parametrize("kind", [SimulatedBus, BrokenFifoBus])
def test_a_chip_is_left_as_after_power_up_whatever_happened(kind: type[SimulatedBus]) -> None:
    clock = VirtualClock()
    model = simulated_chip("lsm6dso", clock=clock, signal=still)
    before = dict(model.registers)
    with pytest.raises(BusError, match="broken") if kind is BrokenFifoBus else nullcontext():
        self_test(kind([model], clock=clock), CHIPS["lsm6dso"], model.address, clock=clock)
    assert dict(model.registers) == before

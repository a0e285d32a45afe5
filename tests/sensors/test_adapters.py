"""Adapters that report failures each in its own way: what is a retry, what is a loss, and what is said of both."""

from __future__ import annotations

import errno
import random

import pytest
from chips.trial import bench, trial

from motionsig.sensors.bus import BusError
from motionsig.sensors.simulated import Oscillator

NUMBERS = (errno.ETIMEDOUT, errno.EIO, errno.EAGAIN, errno.EBUSY, errno.EPROTO)


@pytest.mark.parametrize(
    ("name", "fifo", "after"),
    [
        ("mpu6050", False, True),
        ("mpu6050", True, True),
        ("lsm6dso", True, False),
        ("icm42688p", False, False),
        ("adxl345", True, True),
        ("lsm6ds3", False, True),
    ],
)
def test_a_failure_loses_what_it_may_have_lost_and_no_more(name: str, fifo: bool, after: bool) -> None:
    """One transaction in twenty fails, before or after the chip has sent its bytes."""
    it = bench(name, oscillator=Oscillator(skew=0.02))
    trial(it, 2)
    chance, read, chip = random.Random(3), it.bus.read, it.reader.fifo.chip
    failed, before = 0, it.reader.fifo.registers.retries

    def fails(address: int, register: int, size: int) -> bytes:
        nonlocal failed
        if (register == chip.fifo_register & 0xFF) != fifo or chance.random() > 0.05:
            return read(address, register, size)
        if after:
            read(address, register, size)
        failed += 1
        it.clock.sleep(0.002)
        number = chance.choice(NUMBERS)
        raise BusError(f"expected a transaction, got: failure ({number})", nack=False)

    it.bus.read = fails  # type: ignore[method-assign]
    account, counts = trial(it, 15), it.reader.counts
    assert failed > 3
    assert (account.wrong, account.unreported) == (0, 0)
    if fifo:
        assert counts.discards > 0.8 * failed
        assert account.gaps > 1
    else:
        assert it.reader.fifo.registers.retries == failed + before
        assert (account.lost, account.gaps, counts.discards, counts.recoveries) == (0, 0, 0, 0)
        assert it.reader.trouble is None

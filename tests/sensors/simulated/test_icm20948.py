"""The model of the ICM20948."""

from __future__ import annotations

import pytest
from invensense_boards import Board


def test_icm20948_fifo_stays_empty_while_reset_is_held():
    board = Board("icm20948").start()
    board.put((0x68, 0x1F))
    board.clock.sleep(0.05)
    assert board.level() == 0
    board.put((0x68, 0x00))
    board.clock.sleep(0.05)
    assert board.level() > 0


def test_icm20948_banks_hide_each_other():
    board = Board("icm20948").start()
    board.put((0x7F, 0x20), (0x00, 0x0A))
    assert board.get(0x00) == b"\x0a" and board.get(0x7F) == b"\x20"
    assert board.chip.runs[-1].rate_hz == pytest.approx(1125 / 11)
    board.put((0x7F, 0x00))
    assert board.get(0x00) == b"\xea"

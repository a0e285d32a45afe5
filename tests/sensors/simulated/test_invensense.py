"""What every model of InvenSense's chips promises, register by register, as its data sheet has it."""

from __future__ import annotations

import numpy as np
import pytest
from invensense_boards import CAPACITY, ICM426, MPU, NAMES, RUNNING, START_UP, WHO_AM_I, Board, counting

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.bus import BusError
from motionsig.sensors.simulated import Oscillator


@pytest.fixture(params=NAMES)
def board(request):
    return Board(request.param)


def test_says_who_it_is(board):
    register, value = WHO_AM_I[board.name]
    assert board.get(register) == bytes([value])
    board.put((register, 0x55))
    assert board.get(register) == bytes([value])


def test_does_not_answer_until_it_has_booted(board):
    board.chip.power_off(board.clock.monotonic_ns())
    with pytest.raises(BusError) as caught:
        board.get(0x00)
    assert caught.value.nack
    board.chip.power_on(board.clock.monotonic_ns())
    with pytest.raises(BusError):
        board.get(0x00)
    board.clock.sleep(board.chip.boot_s)
    board.get(WHO_AM_I[board.name][0])


def test_reset_bit_restores_defaults_and_clears_itself(board):
    register, bit, other, default = {
        "icm20948": (0x06, 0x80, 0x67, 0x00),
        **dict.fromkeys(ICM426, (0x11, 0x01, 0x5F, 0x00)),
    }.get(board.name, (0x6B, 0x80, 0x23, 0x00))
    board.start()
    assert board.get(other) != bytes([default])
    board.put((register, bit))
    with pytest.raises(BusError):
        board.get(register)
    board.clock.sleep(board.chip.boot_s)
    assert board.get(other) == bytes([default])
    assert not board.get(register)[0] & bit
    assert board.level() == 0


def test_fifo_fills_at_the_rate_of_its_own_clock(board):
    fast = Board(board.name, oscillator=Oscillator(0.05)).start()
    board.start()
    rate_hz = 1125 if board.name == "icm20948" else 1000
    for one, expected in ((board, rate_hz), (fast, 1.05 * rate_hz)):
        one.clock.sleep(0.01)
        one.drain()
        got = 0
        start_ns = one.clock.monotonic_ns()
        for _ in range(300):
            one.clock.sleep(0.01)
            got += len(one.words())
        assert got * NS_PER_S / (one.clock.monotonic_ns() - start_ns) == pytest.approx(expected, rel=0.005)


def test_fifo_holds_what_was_felt_in_the_sheets_counts(board):
    board = Board(board.name, counting).start()
    board.clock.sleep(0.01)
    first = board.chip.fifo.pieces[0][0] if board.chip.fifo.pieces else board.chip.taken
    words = board.words()
    assert len(words) > 5
    accel, gyro = (2048, 16.4) if board.name in ICM426 else (16384, 131)
    scale = np.repeat((accel / STANDARD_GRAVITY, np.degrees(gyro)), 3)
    felt = counting(np.arange(first, first + len(words)), None) * scale
    np.testing.assert_array_equal(words, np.minimum(np.rint(felt), 32767))


def test_gyroscope_is_garbage_until_it_has_started_up(board):
    put = RUNNING[board.name]
    board.put(*put)
    start_up_s = START_UP.get(board.name, 0.035)
    early = []
    while not early or board.clock.monotonic_ns() < early[0] + start_up_s * 0.8 * NS_PER_S:
        early = early or [board.clock.monotonic_ns()]
        board.clock.sleep(0.005)
        words = board.words()
        assert np.abs(words[:, 3:]).max() > 1000
    board.clock.sleep(start_up_s)
    board.drain()
    board.clock.sleep(0.01)
    assert np.abs(board.words()[:, 3:]).max() == 0


def test_overflow_loses_the_oldest_as_the_chip_does(board):
    board = Board(board.name, counting).start()
    board.clock.sleep(3.0)
    capacity = CAPACITY.get(board.name, 512)
    assert board.level() == capacity
    data = board.get(board.data, capacity)
    taken = board.chip.taken
    # Byte by byte: what is left is the end of what was written, wherever in a record that begins.
    assert data == board.chip.records(np.arange(taken - 400, taken)).tobytes()[-capacity:]


def test_reading_past_the_count_runs_on_into_the_fifo(board):
    board = Board(board.name, counting).start()
    board.clock.sleep(0.01)
    data = board.get(board.count, 2 + 2 * board.record)
    level = int.from_bytes(data[:2], "big")
    # The rest of what the count spoke of is still there, and not more than came in since.
    assert 0 <= board.level() - (level - 2 * board.record) <= 3 * board.record
    assert len(set(data[2:])) > 4


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_fifo_reads_as_its_sheet_says(name):
    board = Board(name).start()
    off = {"icm20948": ((0x67, 0),), **dict.fromkeys(ICM426, ((0x5F, 0),))}.get(name, ((0x23, 0),))
    last = board.drain()[-1:] or b"\0"
    board.put(*off)
    last = board.drain()[-1:] or last
    byte = last if name in ("mpu6050", "mpu6500", "mpu9250", "mpu9255") else b"\xff"
    assert board.get(board.data, 4) == byte * 4


def test_counts_clip_at_full_scale(board):
    board = Board(
        board.name, lambda serials, times_ns: np.tile((1e3, -1e3, 0, 1e3, -1e3, 0), (len(serials), 1))
    ).start()
    board.clock.sleep(0.01)
    least = -32766 if board.name in ICM426 else -32768
    np.testing.assert_array_equal(board.words()[-1], (32767, least, 0, 32767, least, 0))


def test_self_test_adds_what_the_factory_saw(board):
    name = board.name
    if name == "icm20948":
        on = ((0x7F, 0x20), (0x15, 0x1C), (0x02, 0x38), (0x7F, 0))
        board.put((0x7F, 0x10))
        codes = np.frombuffer(board.get(0x0E, 3) + board.get(0x02, 3), np.uint8).astype(float)
        board.put((0x7F, 0))
        expected = 2620 * 1.01 ** (codes - 1)
    elif name in ICM426:
        on = ((0x4F, 0x66), (0x50, 0x66), (0x70, 0x7F))
        board.put((0x76, 2))
        accel = board.get(0x3B, 3)
        board.put((0x76, 1))
        codes = np.frombuffer(accel + board.get(0x5F, 3), np.uint8).astype(float)
        board.put((0x76, 0))
        expected = 2620 * 1.01 ** (codes - 1)
    elif name == "mpu6050":
        on = ((0x1C, 0xF0), (0x1B, 0xE0))
        x, y, z, low = (int(value) for value in board.get(0x0D, 4))
        accel = np.array([(axis >> 5) << 2 | low >> shift & 3 for axis, shift in ((x, 4), (y, 2), (z, 0))])
        gyro = np.array([axis & 0x1F for axis in (x, y, z)])
        g = 4096 * 0.34 * (0.92 / 0.34) ** ((accel - 1) / 30)
        expected = np.concatenate([g, 25 * 131 * 1.046 ** (gyro - 1.0) * (1, -1, 1)])
    else:
        on = ((0x1C, 0xE0), (0x1B, 0xE0))
        first = 0x50 if name in ("icm20602", "mpu6886") else 0x00
        codes = np.frombuffer(board.get(0x0D, 3) + board.get(first, 3), np.uint8)
        expected = 2620 * 1.01 ** (codes.astype(float) - 1)
    ranges = {"mpu6050": ((0x1C, 0x10),), **dict.fromkeys(ICM426, on[:2])}.get(name, ())
    board.start(*ranges)
    board.drain()
    board.clock.sleep(0.01)
    before = board.words()[-1]
    board.put(*on)
    board.clock.sleep(0.005)
    board.drain()
    board.clock.sleep(0.005)
    assert np.abs(board.words() - before).max() == 0
    board.clock.sleep(0.1)
    board.drain()
    board.clock.sleep(0.01)
    np.testing.assert_allclose(board.words()[-1] - before, expected, atol=1)


@pytest.mark.parametrize("name", NAMES)
def test_data_registers_hold_the_last_sample(name):
    board = Board(name).start()
    register = {"icm20948": 0x2D, **dict.fromkeys(ICM426, 0x1F)}.get(name, 0x3B)
    assert int.from_bytes(board.get(register + 4, 2), "big") == (2048 if name in ICM426 else 16384)


@pytest.mark.parametrize(
    ("name", "register", "celsius"),
    [
        ("mpu6050", 0x41, lambda raw: raw / 340 + 36.53),
        ("mpu6500", 0x41, lambda raw: raw / 333.87 + 21),
        ("icm20602", 0x41, lambda raw: raw / 326.8 + 25),
        ("icm20948", 0x39, lambda raw: raw / 333.87 + 21),
        ("icm42688p", 0x1D, lambda raw: raw / 132.48 + 25),
    ],
)
def test_temperature(name, register, celsius):
    board = Board(name).start()
    board.chip.temperature_c = 31.5
    board.clock.sleep(0.01)
    raw = int.from_bytes(board.get(register, 2), "big", signed=True)
    assert celsius(raw) == pytest.approx(31.5, abs=0.01)


@pytest.mark.parametrize(
    ("name", "register", "bit"),
    [("mpu6500", 0x6A, 4), ("icm20602", 0x70, 6), ("icm20948", 0x03, 4), ("icm42688p", 0x4C, 0), ("mpu6050", 0x6A, 4)],
)
def test_a_chip_told_to_use_spi_is_gone_until_a_power_cycle(name, register, bit):
    board = Board(name).start((0x4C, 0x32) if name in ICM426 else (0x19 if name in MPU else 0x0F, 0))
    board.chip.flip(register, bit)
    if name == "mpu6050":
        board.get(0x75)
        return
    with pytest.raises(BusError) as caught:
        board.get(WHO_AM_I[name][0])
    assert caught.value.nack
    board.chip.power_off(board.clock.monotonic_ns())
    board.chip.power_on(board.clock.monotonic_ns())
    board.clock.sleep(0.02)
    board.get(WHO_AM_I[name][0])


def test_signal_is_asked_only_for_samples_that_were_taken():
    asked = []

    def signal(serials, times_ns):
        asked.append((serials.max(), times_ns.max()))
        return np.zeros((len(serials), 6))

    board = Board("mpu6050", signal).start()
    board.clock.sleep(0.01)
    board.drain()
    assert max(serial for serial, _ in asked) < board.chip.taken
    assert max(time_ns for _, time_ns in asked) <= board.clock.monotonic_ns()

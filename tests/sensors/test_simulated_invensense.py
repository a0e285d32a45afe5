"""The models of InvenSense's chips, register by register, as their data sheets have it."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from motionsig.sensors.simulated.mpu6000 import Format, FormatFifo

from motionsig.conventions import NS_PER_S, STANDARD_GRAVITY
from motionsig.sensors.bus import BusError
from motionsig.sensors.simulated import Oscillator, SimulatedBus, VirtualClock, icm20948, icm42600, mpu6000

MODELS = mpu6000.MODELS | icm20948.MODELS | icm42600.MODELS
MPU = sorted(mpu6000.MODELS)
ICM426 = sorted(icm42600.MODELS)
WHO_AM_I = {
    "mpu6050": (0x75, 0x68),
    "mpu6500": (0x75, 0x70),
    "mpu9250": (0x75, 0x71),
    "mpu9255": (0x75, 0x73),
    "icm20602": (0x75, 0x12),
    "icm20689": (0x75, 0x98),
    "icm20948": (0x00, 0xEA),
    "icm42605": (0x75, 0x42),
    "icm42688p": (0x75, 0x47),
}
MPU_START = ((0x6B, 0x01), (0x1A, 0x01), (0x19, 0x00), (0x23, 0xF8), (0x6A, 0x04), (0x6A, 0x40))
"""Clock from the gyroscope, filtered 1 kHz, everything into the FIFO, FIFO emptied and on."""
RUNNING = {
    **dict.fromkeys(MPU, MPU_START),
    "icm20948": (
        *((0x06, 0x01), (0x7F, 0x20), (0x00, 0), (0x11, 0), (0x01, 0x01), (0x14, 0x01), (0x7F, 0x00)),
        *((0x67, 0x1F), (0x68, 0x1F), (0x68, 0x00), (0x03, 0x40)),
    ),
    **dict.fromkeys(ICM426, ((0x16, 0x40), (0x5F, 0x4F), (0x4E, 0x0F))),
}
FIFO = {**dict.fromkeys(MPU, (0x72, 0x74, 14)), "icm20948": (0x70, 0x72, 14), **dict.fromkeys(ICM426, (0x2E, 0x30, 16))}
CAPACITY = {"mpu6050": 1024, "icm20602": 1008, **dict.fromkeys(ICM426, 2048)}
START_UP = {"mpu6050": 0.03, **dict.fromkeys(ICM426, 0.03)}


def counting(serials, times_ns):
    """Feel the serial number: m/s² up to the smallest full scale and rad/s, different on each axis."""
    return np.stack([(serials * (axis + 1) % 1000) / 1000 for axis in range(6)], axis=1)


def still(serials, times_ns):
    return np.tile((0.0, 0.0, STANDARD_GRAVITY, 0.0, 0.0, 0.0), (len(serials), 1))


class Board:
    """A chip on a bus."""

    def __init__(self, name, signal=still, oscillator=None):
        self.clock = VirtualClock()
        self.chip = MODELS[name](self.clock, signal, oscillator=oscillator)
        self.bus = SimulatedBus([self.chip], clock=self.clock)
        self.count, self.data, self.record = FIFO[name]
        self.name = name

    def put(self, *pairs):
        for register, value in pairs:
            self.bus.write(self.chip.address, bytes((register, value)))
            self.clock.sleep(0.0003)

    def get(self, register, size=1):
        return self.bus.read(self.chip.address, register, size)

    def start(self, *more):
        self.put(*RUNNING[self.name], *more)
        self.clock.sleep(0.1)
        self.drain()
        return self

    def level(self):
        return int.from_bytes(self.get(self.count, 2), "big")

    def drain(self):
        level = self.level()
        return self.get(self.data, level) if level else b""

    def words(self):
        """Drain; return (n, 6) counts of a FIFO of whole records of the 14-byte families or packets of 16."""
        data = np.frombuffer(self.drain(), np.uint8)
        rows = data[: len(data) // self.record * self.record].reshape(-1, self.record)
        if self.record == 16:
            return rows[:, 1:13].copy().view(">i2").astype(int)
        words = rows.copy().view(">i2").astype(int)
        return words[:, :6] if self.name == "icm20948" else words[:, [0, 1, 2, 4, 5, 6]]


@pytest.fixture(params=sorted(MODELS))
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


@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_sleeps_after_power_up_or_not_as_its_sheet_says(name):
    board = Board(name)
    awake = name in ("mpu6500", "mpu9250", "mpu9255")
    taken = board.chip.taken
    board.clock.sleep(0.1)
    board.get(0x19)
    assert (board.chip.taken > taken) == awake


@pytest.mark.parametrize("name", ICM426)
def test_icm426xx_is_off_after_power_up(name):
    board = Board(name)
    board.clock.sleep(0.1)
    assert board.get(0x4E) == b"\0" and board.get(0x2D) == b"\x10"
    assert board.get(0x2D) == b"\0"
    assert board.get(0x1D, 14) == b"\x80\x00" * 7


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


@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_overflow_is_reported_once_where_the_interrupt_is_enabled(name):
    status, enable, bit = (0x1B, 0x12, 0x1F) if name == "icm20948" else (0x3A, 0x38, 0x10)
    board = Board(name).start()
    board.clock.sleep(5.0)
    assert board.get(status)[0] & bit == 0
    board.put((enable, bit))
    board.drain()
    board.clock.sleep(5.0)
    assert board.get(status)[0] & bit == bit
    board.drain()
    board.get(status)
    assert board.get(status)[0] & bit == 0


@pytest.mark.parametrize("name", ["mpu6500", "icm20602", "icm20689"])
def test_fifo_mode_stops_at_whole_records(name):
    board = Board(name, counting).start((0x1A, 0x41))
    board.put((0x6A, 0x44))
    first = board.chip.taken
    board.clock.sleep(1.0)
    capacity = CAPACITY.get(name, 512)
    assert board.level() == capacity // 14 * 14
    words = board.words()
    felt = counting(np.arange(first, first + len(words)), None)[:, 0] * 16384 / STANDARD_GRAVITY
    assert any(np.array_equal(words[:, 0], np.rint(felt + ahead * 16.384 / STANDARD_GRAVITY)) for ahead in (0, 1))


@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_low_byte_of_the_count_is_of_when_the_high_byte_was_read(name):
    board = Board(name).start()
    board.clock.sleep(0.005)
    high, low = board.get(board.count, 2)
    board.clock.sleep(0.01)
    assert board.get(board.count + 1) == bytes([low])
    assert board.level() > (high << 8 | low)


def test_reading_past_the_count_runs_on_into_the_fifo(board):
    board = Board(board.name, counting).start()
    board.clock.sleep(0.01)
    data = board.get(board.count, 2 + 2 * board.record)
    level = int.from_bytes(data[:2], "big")
    # The rest of what the count spoke of is still there, and not more than came in since.
    assert 0 <= board.level() - (level - 2 * board.record) <= 3 * board.record
    assert len(set(data[2:])) > 4


@pytest.mark.parametrize("name", sorted(MODELS))
def test_an_empty_fifo_reads_as_its_sheet_says(name):
    board = Board(name).start()
    off = {"icm20948": ((0x67, 0),), **dict.fromkeys(ICM426, ((0x5F, 0),))}.get(name, ((0x23, 0),))
    last = board.drain()[-1:] or b"\0"
    board.put(*off)
    last = board.drain()[-1:] or last
    byte = last if name in ("mpu6050", "mpu6500", "mpu9250", "mpu9255") else b"\xff"
    assert board.get(board.data, 4) == byte * 4


@pytest.mark.parametrize("name", MPU)
def test_fifo_is_neither_written_nor_read_while_disabled(name):
    board = Board(name).start()
    board.clock.sleep(0.01)
    board.put((0x6A, 0x00))
    level = board.level()
    assert level
    board.get(board.data, 14)
    board.clock.sleep(0.1)
    assert board.level() == level


def test_mpu6050_resets_its_fifo_only_while_disabled():
    board = Board("mpu6050").start()
    board.clock.sleep(0.01)
    board.put((0x6A, 0x44))
    assert board.level() > 100
    assert board.get(0x6A) == b"\x40"
    board.put((0x6A, 0x04), (0x6A, 0x40))
    assert board.level() <= 14


@pytest.mark.parametrize(
    ("name", "enabled", "size"),
    [
        ("mpu6050", 0xF8, 14),
        ("mpu6050", 0x78, 12),
        ("mpu6050", 0x08, 6),
        ("mpu6500", 0xA8, 10),
        ("icm20602", 0x18, 14),
        ("icm20602", 0x08, 8),
        ("icm20602", 0x10, 8),
        ("icm20689", 0x78, 12),
    ],
)
def test_enabled_sensors_make_the_record(name, enabled, size):
    board = Board(name).start((0x23, enabled))
    assert board.chip.fifo.format.size == size
    board.clock.sleep(0.01)
    board.put((0x6A, 0x00))
    assert board.level() % size == 0


def test_records_of_two_sizes_lie_in_one_fifo():
    board = Board("mpu6050").start()
    board.put((0x6A, 0x00), (0x6A, 0x04), (0x6A, 0x40))
    board.clock.sleep(0.01)
    board.chip.flip(0x23, 7)  # no more temperature
    board.clock.sleep(0.005)
    board.put((0x6A, 0x00))
    sizes = [(count, layout.size) for _, count, layout in board.chip.fifo.pieces]
    assert {size for _, size in sizes} == {14, 12}
    assert board.level() == sum(count * size for count, size in sizes)


@pytest.mark.parametrize(
    ("name", "config", "divider", "rate_hz"),
    [
        ("mpu6050", 0x00, 7, 1000),
        ("mpu6050", 0x01, 4, 200),
        ("mpu6050", 0x07, 0, 8000),
        ("mpu6500", 0x00, 7, 8000),
        ("mpu9250", 0x02, 9, 100),
        ("icm20602", 0x07, 3, 8000),
        ("icm20689", 0x06, 19, 50),
    ],
)
def test_filter_and_divider_make_the_rate(name, config, divider, rate_hz):
    board = Board(name).start((0x1A, config), (0x19, divider))
    assert board.chip.runs[-1].rate_hz == rate_hz


def test_accelerometer_has_a_new_value_at_1_khz_at_most():
    board = Board("mpu6050", counting).start((0x1A, 0x00))
    board.put((0x6A, 0x04), (0x6A, 0x40))
    board.clock.sleep(0.005)
    words = board.words()
    assert len(np.unique(words[:, 3])) == len(words) > 16
    assert len(np.unique(words[:, 0])) <= len(words) // 8 + 2


@pytest.mark.parametrize(
    ("code", "accel", "gyro"), [(0, 16384, 131), (1, 8192, 65.5), (2, 4096, 32.8), (3, 2048, 16.4)]
)
@pytest.mark.parametrize("name", [*MPU, "icm20948"])
def test_ranges_of_the_mpu(name, code, accel, gyro):
    board = Board(name, lambda serials, times_ns: np.ones((len(serials), 6)))
    if name == "icm20948":
        board.start((0x7F, 0x20), (0x14, 1 | code << 1), (0x01, 1 | code << 1), (0x7F, 0))
    else:
        board.start((0x1C, code << 3), (0x1B, code << 3))
    board.drain()
    board.clock.sleep(0.01)
    words = board.words()[-1]
    assert words[0] == round(accel / STANDARD_GRAVITY)
    assert words[3] == min(32767, round(np.degrees(gyro)))


@pytest.mark.parametrize(("code", "gyro"), [*enumerate((16.4, 32.8, 65.5, 131.0, 262.0, 524.3, 1048.6, 2097.2))])
@pytest.mark.parametrize("name", ICM426)
def test_ranges_of_the_icm426xx(name, code, gyro):
    board = Board(name, lambda serials, times_ns: np.full((len(serials), 6), 0.2))
    board.start((0x4F, code << 5 | 6), (0x50, min(code, 3) << 5 | 6))
    board.drain()
    board.clock.sleep(0.01)
    words = board.words()[-1]
    assert words[0] == round(0.2 * (2048 << min(code, 3)) / STANDARD_GRAVITY)
    assert words[3] == min(32767, round(np.degrees(0.2 * gyro)))


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
        codes = np.frombuffer(board.get(0x0D, 3) + board.get(0x50 if name == "icm20602" else 0x00, 3), np.uint8)
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


@pytest.mark.parametrize("name", sorted(MODELS))
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


def test_icm20689_fifo_grows_by_register():
    board = Board("icm20689").start((0x1D, 0xC0))
    board.clock.sleep(2.0)
    assert board.level() == 4096


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


def test_a_flipped_reset_bit_resets():
    board = Board("mpu6050").start()
    board.chip.flip(0x6B, 7)
    board.clock.sleep(0.02)
    assert board.get(0x6B) == b"\x40"


@pytest.mark.parametrize("name", ICM426)
class TestIcm426xx:
    def test_writes_are_lost_for_200_us_after_a_sensor_was_turned_on(self, name):
        board = Board(name)
        board.bus.write(0x68, b"\x4e\x0f")
        board.bus.write(0x68, b"\x4f\x26")
        assert board.get(0x4F) == b"\x06"
        board.clock.sleep(0.0002)
        board.bus.write(0x68, b"\x4f\x26")
        assert board.get(0x4F) == b"\x26"

    def test_packet(self, name):
        board = Board(name, counting).start()
        board.chip.temperature_c = 35.0
        board.drain()
        board.clock.sleep(0.02)
        packets = np.frombuffer(board.drain(), np.uint8).reshape(-1, 16)
        assert (packets[:, 0] == 0x68).all()
        assert (packets[:, 13] == round(10 * 2.07)).all()
        stamps = packets[:, 14:].copy().view(">u2")[:, 0].astype(int)
        np.testing.assert_allclose(np.diff(stamps) % 65536, 937.5, atol=0.6)

    def test_packet_says_that_the_rate_has_changed(self, name):
        board = Board(name).start((0x4F, 0x07), (0x50, 0x07))
        board.put((0x4B, 0x02))
        board.clock.sleep(0.02)
        board.drain()
        board.put((0x4F, 0x08), (0x50, 0x08))
        board.clock.sleep(0.05)
        headers = np.frombuffer(board.drain(), np.uint8).reshape(-1, 16)[:, 0]
        assert set(headers) <= {0x68, 0x69, 0x6A, 0x6B} and (headers != 0x68).any()

    @pytest.mark.parametrize(("enabled", "size", "header"), [(0x41, 8, 0x40), (0x42, 8, 0x20), (0x43, 16, 0x68)])
    def test_other_packets(self, name, enabled, size, header):
        board = Board(name).start((0x5F, enabled))
        board.put((0x4B, 0x02))
        board.clock.sleep(0.02)
        packets = np.frombuffer(board.drain(), np.uint8).reshape(-1, size)
        assert (packets[:, 0] == header).all() and len(packets) > 10

    def test_packet_without_time_stamp(self, name):
        board = Board(name).start((0x54, 0x22))
        board.put((0x4B, 0x02))
        board.clock.sleep(0.02)
        packets = np.frombuffer(board.drain(), np.uint8).reshape(-1, 16)
        assert (packets[:, 0] == 0x60).all() and not packets[:, 14:].any()

    def test_count_in_records_and_in_little_endian(self, name):
        board = Board(name).start()
        board.put((0x4B, 0x02))
        board.clock.sleep(0.03)
        assert 25 <= board.level() // 16 <= 35
        board.put((0x4C, 0x70))
        records = board.level()
        assert 25 <= records <= 35
        board.put((0x4C, 0x10))
        assert int.from_bytes(board.get(0x2E, 2), "little") // 16 == pytest.approx(records, abs=3)

    def test_data_in_little_endian(self, name):
        board = Board(name).start((0x4C, 0x20))
        board.put((0x4B, 0x02))
        board.clock.sleep(0.005)
        packet = board.drain()[:16]
        assert packet[5:7] == (2048).to_bytes(2, "little")

    def test_overflow_drops_whole_packets_and_counts_them(self, name):
        board = Board(name, counting).start()
        board.put((0x4B, 0x02))
        board.get(0x2D)
        board.clock.sleep(1.0)
        status, level = board.get(0x2D)[0], board.level()
        assert status & 0x02 and level == 2048
        lost = int.from_bytes(board.get(0x6C, 2), "little")
        assert lost == pytest.approx(1000 - 128, abs=3)
        packets = np.frombuffer(board.get(0x30, 2048), np.uint8).reshape(-1, 16)
        assert ((packets[:, 0] & 0xFC) == 0x68).all()

    def test_flush_empties_and_clears_itself(self, name):
        board = Board(name).start()
        board.clock.sleep(0.05)
        board.put((0x4B, 0x02))
        assert board.level() <= 16 and board.get(0x4B) == b"\0"

    def test_a_partly_read_packet_comes_again_unless_asked_to_resume(self, name):
        for resume in (0x40, 0x00):
            board = Board(name, counting).start((0x5F, 0x0F | resume))
            board.clock.sleep(0.01)
            first = board.get(0x30, 20)
            again = board.get(0x30, 16)
            assert (again[0] & 0xFC == 0x68) == (not resume)
            assert (first[16:20] == again[:4]) == (not resume)

    def test_slower_sensor_has_the_invalid_code_between_its_samples(self, name):
        board = Board(name, counting).start((0x50, 0x07))
        board.put((0x4B, 0x02))
        board.clock.sleep(0.05)
        words = board.words()
        assert np.mean(words[:, 0] == -32768) == pytest.approx(0.8, abs=0.05)
        assert not (words[:, 3] == -32768).any()

    def test_reset_done_is_reported_once(self, name):
        board = Board(name)
        board.get(0x2D)
        board.put((0x11, 0x01))
        board.clock.sleep(0.001)
        assert board.get(0x2D) == b"\x10"
        assert board.get(0x2D) == b"\x00"


def test_icm42688p_extended_resolution():
    board = Board("icm42688p", counting).start((0x5F, 0x5F))
    board.put((0x4B, 0x02))
    first = board.chip.taken
    board.clock.sleep(0.005)
    packets = np.frombuffer(board.drain(), np.uint8).reshape(-1, 20)
    assert (packets[:, 0] == 0x78).all()
    high = packets[:, 1:13].copy().view(">i2").astype(int)
    low = np.concatenate([packets[:, 17:] >> 4, packets[:, 17:] & 15], axis=1)
    counts = (high << 4 | low) / (4, 4, 4, 2, 2, 2)
    felt = counting(np.arange(first, first + 20), None) * np.repeat((8192 / STANDARD_GRAVITY, np.degrees(131)), 3)
    assert any(np.array_equal(counts, np.rint(felt[at : at + len(counts)])) for at in range(4))


def test_icm42605_has_no_extended_resolution():
    board = Board("icm42605").start((0x5F, 0x5F))
    assert board.get(0x5F) == b"\x4f" and board.chip.fifo.format.size == 16


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


@given(
    st.sampled_from(["oldest", "oldest-record", "newest"]),
    st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.integers(0, 12)),
            st.tuples(st.just("pop"), st.integers(0, 60)),
            st.tuples(st.just("size"), st.sampled_from([0, 6, 12, 14])),
        ),
        max_size=30,
    ),
)
def test_fifo_of_many_formats_is_a_queue_of_bytes(full, steps):
    fifo, capacity = FormatFifo(50, full), 50
    fifo.format = layout = Format(size=14)
    queue: deque[tuple[int, int, Format]] = deque()
    serial = 0
    for step, value in steps:
        if step == "size":
            fifo.format = layout = Format(size=value)
        elif step == "push":
            for at in range(serial, serial + value):
                if full != "newest" or len(queue) + layout.size <= capacity:
                    queue.extend((at, byte, layout) for byte in range(layout.size))
            while len(queue) > capacity:
                if full == "oldest":
                    queue.popleft()
                else:
                    gone = queue[0][0]
                    while queue and queue[0][0] == gone:
                        queue.popleft()
            if value:
                fifo.push(serial, value)
            serial += value
        else:
            fifo.pop(value)
            for _ in range(min(value, len(queue))):
                queue.popleft()
        assert fifo.level == len(queue)
        lying = [
            (at, byte, kind)
            for first, n, kind in fifo.peek(fifo.level)
            for at in range(first, first + n)
            for byte in range(kind.size)
        ]
        assert lying[fifo.skip :] == list(queue)

"""The models of ICM42605 and ICM42688-P."""

from __future__ import annotations

import numpy as np
import pytest
from invensense_boards import ICM426, Board, counting

from motionsig.conventions import STANDARD_GRAVITY


@pytest.mark.parametrize("name", ICM426)
def test_icm426xx_is_off_after_power_up(name):
    board = Board(name)
    board.clock.sleep(0.1)
    assert board.get(0x4E) == b"\0" and board.get(0x2D) == b"\x10"
    assert board.get(0x2D) == b"\0"
    assert board.get(0x1D, 14) == b"\x80\x00" * 7


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

"""What a BNO08x sends, as samples: times, losses and damage, in virtual time."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from bno08x_device import ACC, CONTROL, GYRO_UNCALIBRATED, Hub, feels, framed

from motionsig.errors import SensorError
from motionsig.sensors.living import Rows
from motionsig.sensors.serial.bno08x import Stream, reports
from motionsig.sensors.serial.numbered import Numbered
from motionsig.sensors.serial.shtp import Cargoes, transfer

START_S, _SETTLED_S = 50.0, 8.0


def switch_on(hub: Hub, at_s: float, rate_hz: float) -> dict[int, float]:
    """Switch both reports on; return the rates that the hub states."""
    for kind in (ACC, GYRO_UNCALIBRATED):
        command = struct.pack("<BBBHIII", 0xFD, kind, 0, 0, round(1e6 / rate_hz), 0, 0)
        hub.receive(at_s, framed(1, struct.pack("<HBB", len(command) + 4, CONTROL, 0) + command))
    return {kind: 1 / interval for kind, interval in hub.intervals.items()}


class Line:
    """A hub behind an adapter that hands bytes over every `chunk_s`, on a machine that reads `late_s(now)` late."""

    def __init__(
        self, hub: Hub, rate_hz: float, *, chunk_s: float = 0.001, late_s: Callable[[float], float] = lambda now_s: 0.0
    ) -> None:
        self.hub, self.chunk_s, self.late_s = hub, chunk_s, late_s
        self.rates = switch_on(hub, START_S, rate_hz)
        intervals = {kind: round(1e6 / rate) for kind, rate in self.rates.items()}
        self.stream = Stream("/dev/ttyUSB0", 3_000_000, self.rates, intervals)
        self.stream.begin(round(START_S * 1e9))
        self.now_s, self.read_s, self.given_s, self.kept = START_S, 0.0, 0.0, b""

    def run(self, seconds: float) -> Rows:
        out, end_s = [], self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += self.chunk_s
            self.kept += b"".join(data for _, data in self.hub.run(self.now_s))
            self.read_s = max(self.read_s, self.now_s + self.late_s(self.now_s))
            if self.read_s > self.now_s:
                continue
            if self.kept:
                out += self.stream.push(self.kept, round(self.now_s * 1e9))
                self.kept = b""
            if self.now_s - self.given_s >= 0.1:
                self.given_s = self.now_s
                out.append(self.stream.pop(round(self.now_s * 1e9)))
        return Rows(*(np.concatenate(parts) for parts in zip(*out, strict=True)))

    def check(self, rows: Rows, *, within_s: float) -> int:
        """Check times and losses against what the hub took; return how many samples are not what it measured."""
        true_s, time_s = np.array(self.hub.taken[ACC]), rows.time_ns / 1e9
        counts, sent = np.rint(rows.data[:, :3] * 256), np.array(self.hub.counts[ACC])
        most = 2 + int(2 * (within_s + self.chunk_s) * self.rates[ACC])
        near = np.searchsorted(true_s, time_s) + np.arange(-most, most + 1)[:, None]
        near = np.clip(near, 0, len(true_s) - 1)
        # Of those near in time the one with these values; a damaged one has none.
        off_s = np.where((sent[near] == counts).all(axis=2), np.abs(true_s[near] - time_s), np.inf)
        numbers, off_s = near[off_s.argmin(axis=0), np.arange(len(time_s))], off_s.min(axis=0)
        whole = np.isfinite(off_s)
        # At first the adapter's delays leave the rate open.
        assert off_s[whole].max() < 2 * (within_s + self.chunk_s)
        assert off_s[whole][time_s[whole] > START_S + _SETTLED_S].max(initial=0) < within_s
        assert np.array_equal(np.diff(numbers[whole]) - 1, np.diff((1 + rows.lost).cumsum()[whole]) - 1)
        assert np.array_equal(rows.gap, rows.lost > 0)
        felt = np.array([feels(at_s)[1] for at_s in time_s])
        allowed = (
            0.02 + 6 * (within_s + self.chunk_s) + 5 / min(self.rates.values()) ** 2
        )  # noise, rounding, interpolation
        return int(np.count_nonzero(~whole | (np.abs(rows.data[:, 3:] - felt) > allowed).any(axis=1)))


@pytest.mark.parametrize(
    ("rate_hz", "clock", "chunk_s"),
    [(20, 0.97, 0.001), (50, 1.0, 0.001), (100, 1.03, 0.016), (200, 0.97, 0.016), (400, 1.03, 0.001)],
)
def test_samples_of_two_rates_get_their_times_and_are_joined(rate_hz: float, clock: float, chunk_s: float) -> None:
    line = Line(Hub(clock=clock, hold_s=0.03), rate_hz, chunk_s=chunk_s)
    rows = line.run(14)
    assert len(rows.data) > 0.9 * len(line.hub.taken[ACC])
    assert line.check(rows, within_s=0.0025 if chunk_s > 0.002 else 0.0015) == 0
    assert line.stream.rate_hz == pytest.approx(line.rates[ACC] * clock, rel=1e-3)
    assert not line.stream.discards and not rows.lost.any()


def bits_but_values(rng: np.random.Generator, share: float) -> Callable[[int, bytes], bytes]:
    """Flip one bit in a share of the transfers, in none of the values: nothing may come of it but losses."""

    def damage(number: int, text: bytes) -> bytes:
        if len(text) < 15 or b"\x7d" in text or rng.random() > share:
            return text
        # Flag, protocol, length, channel, number, base; then reports, whose values begin at the fifth byte.
        values, at = set(), 11
        while at < len(text) - 1:
            size = {ACC: 10, GYRO_UNCALIBRATED: 16}[text[at]]
            values |= set(range(at + 4, at + size))
            at += size
        place = rng.choice([at for at in range(len(text)) if at not in values])
        return text[:place] + bytes([text[place] ^ 1 << rng.integers(8)]) + text[place + 1 :]

    return damage


def lost_bytes(rng: np.random.Generator, share: float) -> Callable[[int, bytes], bytes]:
    """Lose a few bytes, a whole transfer, or put some in."""

    def damage(number: int, text: bytes) -> bytes:
        if len(text) < 15 or rng.random() > share:
            return text
        at, size = rng.integers(len(text)), rng.integers(1, 5)
        return rng.choice(
            np.array([text[:at] + text[at + size :], b"", text[:at] + rng.bytes(size) + text[at:], text[at:]], object)
        )

    return damage


@pytest.mark.parametrize("hold_s", [0.0, 0.04])
@pytest.mark.parametrize("kind", [bits_but_values, lost_bytes])
def test_damage_that_shows_is_left_out_and_counted(
    kind: Callable[[np.random.Generator, float], Callable[[int, bytes], bytes]], hold_s: float
) -> None:
    rng = np.random.default_rng(5)
    line = Line(Hub(clock=1.01, hold_s=hold_s), 100)
    line.run(3)
    line.hub.damage = kind(rng, 0.05)
    rows = line.run(20)
    assert line.stream.discards > 5 and rows.lost.sum() > 40
    assert line.check(rows, within_s=0.0015) == 0


def test_a_value_that_the_chip_cannot_measure_is_damage_and_one_that_it_can_passes() -> None:
    bits = [(500, 0x80), (700, 0x04)]  # after which transfer, and of the higher byte of the acceleration's x

    def damage(number: int, text: bytes) -> bytes:
        if not bits or number < bits[0][0] or len(text) != 22 or text[11] != ACC or text[16] > 0x3F:
            return text
        return text[:16] + bytes([text[16] ^ bits.pop(0)[1]]) + text[17:]

    line = Line(Hub(), 100)
    line.run(2)
    line.hub.damage = damage
    rows = line.run(5)
    assert not bits and line.stream.discards == 1 and rows.lost.sum() == 1
    assert line.check(rows, within_s=0.0015) == 1


def test_a_machine_that_reads_late_loses_nothing() -> None:
    line = Line(Hub(clock=0.99), 100, late_s=lambda now_s: 3.0 if 60 <= now_s < 60.001 else 0.0)
    rows = line.run(25)
    assert line.check(rows, within_s=0.0015) == 0
    assert not rows.lost.any() and len(rows.data) > 0.9 * len(line.hub.taken[ACC])


@pytest.mark.parametrize("pause_s", [0.5, 1.7, 2.56, 7.0])
def test_after_a_pause_longer_than_the_numbers_go_time_tells_what_is_lost(pause_s: float) -> None:
    line = Line(Hub(clock=1.02), 100)
    parts = [line.run(12)]
    began_s = line.now_s
    line.hub.damage = lambda number, text: b"" if line.now_s < began_s + pause_s else text
    parts.append(line.run(12))
    rows = parts[0].then(parts[1])
    assert line.check(rows, within_s=0.0015) == 0
    # What the hub took in the pause, and the last ones before it, whose numbers nothing confirms.
    assert 0 <= rows.lost.sum() - pause_s * 125 * 1.02 < 14


def test_cargoes_that_come_in_pieces_are_put_together() -> None:
    line = Line(Hub(hold_s=0.05, most_bytes=24), 100)
    rows = line.run(8)
    assert line.check(rows, within_s=0.0015) == 0 and not line.stream.discards and not rows.lost.any()


def test_any_cutting_of_the_bytes_gives_the_same() -> None:
    hub = Hub(hold_s=0.02)
    rates = switch_on(hub, START_S, 100)
    text = b"".join(data for _, data in hub.run(START_S + 2))
    found = []
    for size in (1, 7, len(text)):
        stream = Stream("", 3_000_000, rates, {})
        for at in range(0, len(text), size):
            stream.push(text[at : at + size], round(START_S * 1e9))
        found.append([stream._sides[kind]._taken for kind in rates])
        assert not stream.discards
    numbers = [[[(index, values) for index, _, values in side] for side in each] for each in found]
    assert numbers[0] == numbers[1] == numbers[2] and len(numbers[0][0]) > 200


def test_a_reset_and_a_changed_rate_are_noticed() -> None:
    line = Line(Hub(), 100)
    line.run(1)
    line.hub.reset(line.now_s)
    with pytest.raises(SensorError, match="was reset"):
        line.run(1)
    line = Line(Hub(), 100)
    line.run(1)
    switch_on(line.hub, line.now_s, 50)
    with pytest.raises(SensorError, match="from 8000 to 16000 us"):
        line.run(1)


def test_a_sensor_that_stops_alone_is_told_from_one_that_lives() -> None:
    line = Line(Hub(), 100)
    line.run(3)
    line.hub.silent = {GYRO_UNCALIBRATED}
    line.run(2)
    assert line.now_s - line.stream.heard_ns / 1e9 == pytest.approx(2, abs=0.05)


def test_reports_that_no_such_hub_sends_are_damage() -> None:
    base, acc = struct.pack("<Bi", 0xFB, 12), struct.pack("<4B3h", ACC, 7, 3, 0, 100, -200, 2500)
    (report,) = reports(base + acc) or ()
    assert report == (ACC, 7, -12, (100, -200, 2500))
    rebased = reports(struct.pack("<BiBi", 0xFB, 300, 0xFA, 5) + b"\xef\x01" + acc[:2] + b"\x04\x02" + acc[4:])
    assert rebased is not None and rebased[0].ticks == -300 + 5 + 258
    damaged = (acc, base + acc[:-1], base + acc + b"\0", base + b"\x02" + acc[1:], base[:4], base + acc + acc[:4])
    for payload in (*damaged, struct.pack("<Bi", 0xFB, 1 << 20) + acc, struct.pack("<Bi", 0xFB, -300) + acc):
        assert reports(payload) is None


def test_a_number_is_right_only_between_its_neighbours_or_on_the_line() -> None:
    side, parts = Numbered(100), []
    for at in range(600):
        if at % 10 == 0:
            parts.append(side.pop())
        number = {300: 301, 402: 402 ^ 128}.get(at, at)
        if at != 400:
            side.push(number % 256, at * 10_000_000, (at, 0, 0))
    samples = parts[0]
    for part in (*parts[1:], side.pop()):
        samples = samples.then(part)
    taken = samples.values[:, 0].tolist()
    # The sample after the missing one is on the line, although the number after it is damaged.
    assert taken == [at for at in range(599) if at not in (300, 400, 402)] and side.discards == 2
    assert samples.time_ns == pytest.approx(np.array(taken) * 1e7, abs=1000) and samples.lost.sum() == 3


def test_a_transfer_that_is_longer_than_it_says_is_damaged() -> None:
    text, cargoes = transfer(3, 7, b"\x7d\x7e12"), Cargoes()
    assert [(each.channel, each.payload) for each in cargoes.push(b"\x01\x02" + text)] == [(3, b"\x7d\x7e12")]
    assert not cargoes.discards
    assert not cargoes.push(text[:-1] + b"3\x7e") and cargoes.discards == 1

"""Times and losses from arrivals alone, in virtual time: adapters of all delays, clocks that are off, losses."""

import numpy as np
import pytest
from numpy.typing import NDArray

from motionsig.sensors.living import Rows
from motionsig.sensors.serial.arrivals import Arrivals

WIRE_NS = 22 * 10 / 115_200 * 1e9


class Line:
    """Samples of a device through an adapter that hands over every `chunk_ns`, `jitter_ns` late on average."""

    def __init__(self, true_hz: float, chunk_ns: float, seconds: float, *, jitter_ns: float = 0.0) -> None:
        rng = np.random.default_rng(7)
        self.taken = (5e9 + rng.uniform(0, 1e7) + np.arange(int(seconds * true_hz)) * (1e9 / true_hz)).astype(np.int64)
        self.kept = np.ones(len(self.taken), bool)
        self.damaged = np.zeros(len(self.taken), bool)
        self.chunk_ns, self.jitter_ns, self.rng = chunk_ns, jitter_ns, rng

    def lose(self, *rows: int, seen: bool) -> None:
        self.kept[list(rows)] = False
        for row in rows:
            self.damaged[row + 1] = seen

    def through(self, arrivals: Arrivals) -> Rows:
        """Return all that is given out; data[:, 0] is the sample's number."""
        numbers = np.flatnonzero(self.kept)
        came = np.ceil((self.taken[numbers] + WIRE_NS) / self.chunk_ns) * self.chunk_ns
        came = np.maximum.accumulate(came + self.rng.exponential(self.jitter_ns, len(came)))
        out, popped = [], 0
        for now in np.unique(came):
            these = numbers[came == now]
            latest = (now - WIRE_NS * np.arange(len(these), 0, -1)).astype(np.int64)
            data = np.zeros((len(these), 6), np.float32)
            data[:, 0] = these
            out += arrivals.push(latest, data, self.damaged[these])
            if now - popped >= 1e8:
                popped = now
                out.append(arrivals.pop(int(now)))
        return Rows(*(np.concatenate(parts) for parts in zip(*out, strict=True)))

    def errors_ns(self, rows: Rows) -> NDArray[np.float64]:
        return np.asarray(rows.time_ns - self.taken[rows.data[:, 0].astype(int)], np.float64)


@pytest.mark.parametrize(("rate_hz", "true_hz"), [(100, 100.7), (200, 197.3), (50, 50.02), (20, 20.3), (100, 95.1)])
@pytest.mark.parametrize("chunk_ns", [1.0, 1e6, 16e6])
def test_samples_get_their_times_and_nothing_is_lost(rate_hz: float, true_hz: float, chunk_ns: float) -> None:
    line, arrivals = Line(true_hz, chunk_ns, 20), Arrivals(rate_hz)
    rows = line.through(arrivals)
    assert len(rows.data) > 0.9 * len(line.taken) and not rows.lost.any() and not arrivals.slips
    assert (np.diff(rows.time_ns) > 0).all()
    errors = line.errors_ns(rows)[rows.time_ns > rows.time_ns[0] + 5e9]
    # Where the chunks and the period are nearly commensurable, no sample may come just before its chunk for a while.
    assert np.sqrt((errors**2).mean()) < (2.5e6 if chunk_ns == 16e6 else 0.2e6)
    assert arrivals.line.rate_hz == pytest.approx(true_hz, rel=50e-6 if chunk_ns < 2e6 else 1e-3)


@pytest.mark.parametrize("chunk_ns", [1.0, 1e6, 16e6])
@pytest.mark.parametrize("rate_hz", [50, 200])
@pytest.mark.parametrize("seen", [True, False])
def test_losses_are_counted_where_they_are(rate_hz: float, chunk_ns: float, seen: bool) -> None:
    line = Line(rate_hz * 1.007, chunk_ns, 25)
    line.lose(500, 900, 901, 902, 1200, seen=seen)
    rows = line.through(Arrivals(rate_hz))
    at = np.flatnonzero(rows.lost)
    assert rows.lost.sum() == 5 and rows.gap[at].all()
    numbers = np.repeat(rows.data[at, 0], rows.lost[at])
    # Bytes that were damaged tell the place; without any, the place is known to a chunk or two of the adapter.
    apart = np.abs(numbers - np.array([501, 903, 903, 903, 1201]))
    assert apart.max() <= (2 if seen and chunk_ns < 2e6 else 0.04 * rate_hz + 4)


def test_a_late_machine_loses_nothing() -> None:
    line = Line(100.4, 1e6, 60, jitter_ns=5e6)
    arrivals = Arrivals(100)
    rows = line.through(arrivals)
    assert not rows.lost.any() and np.abs(line.errors_ns(rows)[600:]).max() < 1.5e6


def test_arrivals_that_all_come_late_are_told() -> None:
    arrivals = Arrivals(100)
    late = np.where(np.arange(2000) < 1000, 0, 4_000_000)
    times = np.arange(2000) * 10_000_000 + late
    for at, now in enumerate(times):
        arrivals.push(np.array([now]), np.zeros((1, 6), np.float32), np.zeros(1, bool))
        arrivals.pop(int(now))
        if at == 990:
            assert arrivals.line.late_ns < 1e5
        if at == 1300:
            assert 3e6 < arrivals.line.late_ns < 4.1e6


def test_after_a_pause_time_tells_what_is_lost() -> None:
    line = Line(100, 1.0, 30)
    line.lose(*range(1000, 1500), seen=False)
    rows = line.through(Arrivals(100))
    assert rows.lost.sum() == 500 and rows.data[np.flatnonzero(rows.lost), 0].tolist() == [1500]


def test_a_device_that_began_anew_is_learned_anew() -> None:
    arrivals = Arrivals(100)

    def send(first_ns: int, count: int) -> list[Rows]:
        out = []
        for now in first_ns + np.arange(count) * 10_000_000:
            out += arrivals.push(np.array([now]), np.zeros((1, 6), np.float32), np.zeros(1, bool))
            out.append(arrivals.pop(int(now)))
        return [rows for rows in out if len(rows.data)]

    send(0, 500)
    arrivals.interrupt()
    after = send(5_104_000_000, 500)
    # 10.4 periods after the last one, and on its own line at once.
    lost = np.concatenate([rows.lost for rows in after])
    times = np.concatenate([rows.time_ns for rows in after])
    assert lost.sum() == 10 and times[-1] % 10_000_000 == pytest.approx(4_000_000, abs=10)


def test_a_device_that_is_much_faster_is_no_line_of_late_samples() -> None:
    arrivals = Arrivals(100)
    rows = Line(125, 1.0, 20).through(arrivals)
    assert arrivals.slips and len(rows.data)


def test_losses_from_the_beginning_are_no_slower_rate() -> None:
    line = Line(100.3, 1e6, 20)
    line.lose(*range(15, 2000, 20), seen=True)
    arrivals = Arrivals(100)
    rows = line.through(arrivals)
    # Among the first samples one loss may pass as an error of the rate, which is not known yet.
    missing = np.diff(rows.data[:, 0]) - 1
    assert missing.sum() > 80 and np.abs(missing - rows.lost[1:]).sum() <= 1
    assert np.array_equal(missing[300:], rows.lost[301:])
    assert arrivals.line.rate_hz == pytest.approx(100.3, rel=1e-3)

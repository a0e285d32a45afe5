"""What time stamps tell of lost samples."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.sensors.iio.stamps import Stamps, Unstamped

PERIOD_NS = 10_000_000


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_losses_are_exact_for_any_clock_jitter_and_cut(data):
    """Each stamp is up to a third of a period late; the rate is up to 5 % off what is stated."""
    period_ns = round(PERIOD_NS * data.draw(st.floats(0.95, 1.05)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    index = np.arange(1000)
    gone = np.zeros(1000, bool)
    for start, length in data.draw(st.lists(st.tuples(st.integers(100, 900), st.integers(1, 60)), max_size=3)):
        gone[start : start + length] = True
    kept = index[~gone]
    times = 10**12 + kept * period_ns + random.integers(0, period_ns // 3, len(kept))
    stamps, lost, count = Stamps(1e9 / PERIOD_NS), 0, 0
    cuts = sorted({0, len(times), *data.draw(st.lists(st.integers(0, len(times)), max_size=20))})
    for start, stop in pairwise(cuts):
        got = stamps.take(times[start:stop], np.zeros((stop - start, 3), np.float32), int(times[stop - 1]))
        lost += int(got[2].sum())
        count += len(got[0])
    assert count >= len(times) - 3
    assert lost == kept[count - 1] + 1 - count
    assert stamps.discards == 0


def test_a_late_stamp_is_no_loss():
    times = 10**12 + PERIOD_NS * np.arange(100)
    times[50] += 12_000_000 - 1
    times[51] += 4_000_000
    stamps = Stamps(100)
    got = [stamps.take(part, np.zeros((len(part), 3), np.float32), int(part[-1])) for part in np.split(times, [51, 60])]
    assert [len(part[0]) for part in got] == [50, 10, 40]
    assert all(not part[2].any() for part in got)


def test_a_stamp_from_the_future_is_discarded():
    times = 10**12 + PERIOD_NS * np.arange(40)
    now_ns = int(times[-1])
    times[20] += 3600 * 10**9
    stamps = Stamps(100)
    got, _, lost = stamps.take(times, np.zeros((40, 3), np.float32), now_ns)
    assert (stamps.discards, len(got), lost.sum()) == (1, 39, 1)


def test_the_rate_is_that_of_the_last_minute_or_two():
    times = 10**12 + np.cumsum(np.repeat([PERIOD_NS, PERIOD_NS * 101 // 100], 30_000))
    stamps = Stamps(100)
    for part in np.array_split(times, 600):
        stamps.take(part, np.zeros((len(part), 3), np.float32), int(part[-1]))
    assert abs(stamps.rate_hz * 1.01 / 100 - 1) < 1e-4


def test_without_stamps_a_full_fifo_shows_in_the_time_until_the_next_samples():
    """At 100 Hz, drained every tenth of a second; then 256 samples at once from a fifo that holds no more."""
    times, lost = [], []
    line, now_ns, taken = Unstamped(100), 10**12, 0

    def drain(count, *, full=False):
        got = line.take(np.zeros((count, 3), np.float32), now_ns, now_ns + 50_000, full=full)
        times.extend(got[0].tolist())
        lost.append(int(got[2].sum()))

    for _ in range(100):
        now_ns += 10 * PERIOD_NS
        drain(10)
    now_ns += 400 * PERIOD_NS
    drain(256, full=True)
    for _ in range(20):
        now_ns += 10 * PERIOD_NS
        drain(10)
    taken = 1000 + 256 + 200
    assert len(times) == taken
    assert all(after > before for before, after in pairwise(times))
    assert sum(lost[:102]) == sum(lost) and abs(sum(lost) - 144) <= 1
    assert abs(times[-1] - now_ns) <= PERIOD_NS

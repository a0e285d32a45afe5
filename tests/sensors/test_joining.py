"""An accelerometer and a gyroscope joined by time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.sensors.joining import Joiner, Samples

PERIOD_NS = 10_000_000


@given(st.integers(-9, 9), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_joining_is_the_same_for_any_cut(shift_ms, seed):
    """A straight line is interpolated exactly; how the two streams are cut changes nothing."""
    random = np.random.default_rng(seed)
    times = 10**12 + PERIOD_NS * np.arange(300)
    other = 10**12 + shift_ms * 1_000_000 + 8_000_000 * np.arange(380)
    line = ((other - 10**12) / 1e9)[:, None] * [1.0, -2.0, 3.0]
    joiner, parts = Joiner(), []
    pieces = [(0, part) for part in np.array_split(np.arange(300), random.integers(1, 20))]
    pieces += [(1, part) for part in np.array_split(np.arange(380), random.integers(1, 20))]
    order = {side: iter([rows for at, rows in pieces if at == side]) for side in (0, 1)}
    for side in random.permutation([at for at, _ in pieces]):
        rows = next(order[side])
        if side:
            joiner.push_other(Samples(other[rows], line[rows].astype(np.float32), np.zeros(len(rows), np.int64)))
        else:
            acc = np.repeat(rows[:, None], 3, 1).astype(np.float32)
            joiner.push(Samples(times[rows], acc, np.zeros(len(rows), np.int64)))
        parts.append(joiner.pop())
    got_times, got, lost = (np.concatenate(column) for column in zip(*parts, strict=True))
    assert not lost.any()
    assert 290 <= len(got) <= 300
    first = int(np.flatnonzero(times == got_times[0])[0])
    assert np.array_equal(got_times, times[first : first + len(got)])
    np.testing.assert_allclose(got[:, 3], (got_times - 10**12) / 1e9, atol=1e-5)
    np.testing.assert_allclose(got[:, 0], (got_times - 10**12) / PERIOD_NS)

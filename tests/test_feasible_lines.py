import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.feasible_lines import TOLERANCE_NS, WINDOW_NS, FeasibleLines

MS = 1_000_000


def readings(period_ns, *, drift_ns=0.0, seconds=5.0, seed=0, step_ns=150 * MS, begin_ns=0):
    """Return (count, before_ns, after_ns) of readings of a chip whose sample i is taken at i * period + drift i²/2."""
    rng = np.random.default_rng(seed)
    index = np.arange(1 + int(seconds * 1e9 / period_ns))
    taken_ns = period_ns * index + drift_ns / 2 * index**2
    found = []
    for at_ns in range(round(period_ns), round(seconds * 1e9 * 0.9), step_ns):
        before_ns = at_ns + int(rng.integers(0, 20 * MS))
        after_ns = before_ns + int(rng.integers(TOLERANCE_NS, 2 * MS))
        count = int(np.searchsorted(taken_ns, rng.integers(before_ns, after_ns + 1), side="right"))
        found.append((count, begin_ns + before_ns, begin_ns + after_ns))
    return found


def fitted(given, limits_ns, *, forget=False):
    lines = FeasibleLines(given[0][1])
    for reading in given:
        lines.note(*reading, sum(limits_ns) / 2)
    return lines.fit(TOLERANCE_NS, limits_ns, forget=forget)


@settings(max_examples=60, deadline=None)
@given(period_ms=st.floats(1, 40), seed=st.integers(0, 2**32), begin_ns=st.integers(0, 10**17))
def test_the_outermost_periods_are_those_of_all_pairs_of_bounds(period_ms, seed, begin_ns):
    period_ns = period_ms * MS
    given = readings(period_ns, seed=seed, begin_ns=begin_ns)
    limits = (0.9 * period_ns, 1.1 * period_ns)
    fit = fitted(given, limits)
    count, before_ns, after_ns = np.array(given).T
    after_ns, before_ns = after_ns - fit.time_ns, before_ns - fit.time_ns
    upper = after_ns - fit.drift_ns / 2 * (count - 1 - fit.origin) ** 2
    lower = before_ns - fit.drift_ns / 2 * (count - fit.origin) ** 2
    steps = count - (count - 1)[:, None]  # from sample count - 1 of each reading to sample count of each
    slopes = (lower - upper[:, None]) / np.where(steps, steps, 1)
    assert fit.bands[0].period_ns == pytest.approx(max(limits[0], slopes[steps > 0].max()), abs=5)
    assert fit.bands[2].period_ns == pytest.approx(min(limits[1], slopes[steps < 0].min()), abs=5)
    # The true line is among them, and the middle one violates no bound.
    earliest, latest = fit.span_ns(int(count[-1]))
    assert earliest - 10 <= begin_ns + period_ns * count[-1] - fit.time_ns <= latest + 10
    assert (fit.middle_ns(count - 1) <= after_ns + 10).all()
    assert (fit.middle_ns(count) >= before_ns - 10).all()


@pytest.mark.parametrize("ppm_per_s", [-30, 30])
def test_a_drift_is_found(ppm_per_s):
    period_ns = 1.0 * MS
    drift_ns = ppm_per_s * 1e-6 * period_ns**2 / 1e9
    fit = fitted(readings(period_ns, drift_ns=drift_ns, seconds=25), (0.9 * period_ns, 1.1 * period_ns))
    assert fit.drift_ns == pytest.approx(drift_ns, rel=0.2)


def test_where_no_line_fits_the_oldest_bounds_are_given_up_or_there_is_no_answer():
    limits = (9.0 * MS, 11.0 * MS)
    slow = readings(10.05 * MS, seconds=6)
    count, _, end_ns = slow[-1]
    fast = [(count + n, end_ns + before, end_ns + after) for n, before, after in readings(9.95 * MS, seconds=6)]
    assert fitted([*slow, *fast], limits) is None
    fit = fitted([*slow, *fast], limits, forget=True)
    assert fit.bands[1].period_ns == pytest.approx(9.95 * MS, rel=1e-3)
    # One reading does not contradict itself, not even where its bounds were kept with another's.
    assert fitted([(1, 0, 1 * MS), (1, 100 * MS, 101 * MS)], limits, forget=True)


def test_bounds_older_than_the_window_do_not_count():
    period_ns = 100.0 * MS
    early = (1, 0, 1 * MS)  # a sample much earlier than the line of the rest
    late = [(n + 7, round(n * period_ns) - MS, round(n * period_ns) + MS) for n in range(10, 305)]
    assert late[-1][2] < WINDOW_NS + 1000 * MS
    limits = (0.9 * period_ns, 1.1 * period_ns)
    assert fitted([early, *late[:100]], limits) is None
    assert fitted([early, *late], limits) is not None

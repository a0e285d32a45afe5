import pickle

import numpy as np
import pytest
from drifting_chip import Chip, Reader
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.errors import InputError
from motionsig.timebase import SPREAD, TimeBase

RATES = (12.5, 25, 50, 104, 200, 416, 952, 1000, 1600)
MS = 1_000_000

chips = st.builds(
    Chip,
    rate_hz=st.sampled_from(RATES),
    skew=st.floats(-0.05, 0.05),
    swing=st.floats(0, 0.0005),
    swing_at=st.floats(0, 2 * np.pi),
    warm=st.floats(-0.0005, 0.0005),
    begin_ns=st.integers(10**9, 10**17),
)


@settings(max_examples=60, deadline=None)
@given(
    chip=chips,
    seed=st.integers(0, 2**32),
    reading_ns=st.sampled_from([(100_000, 250_000), (450_000, 1_000_000)]),
    latch=st.floats(0.3, 0.7),
)
def test_every_sample_is_stamped_to_a_millisecond_and_the_rate_is_known(chip, seed, reading_ns, latch):
    reader = Reader(chip, TimeBase(chip.rate_hz), seed, reading_ns=reading_ns, latch=latch).run(30)
    assert not reader.base.slipped
    # That no stamp is later than the instant it was given is asserted at every drain.
    assert (np.diff(np.concatenate(reader.stamps)) > 0).all()
    assert abs(reader.errors_ns()).max() <= 1 * MS
    # 60.5 ppm was the most that was found, at 104 Hz with readings that take long, where the clock drifts fastest.
    assert abs(reader.rate_errors(20)).max() <= 100e-6


@pytest.mark.parametrize("rate_hz", [12.5, 1600])
def test_it_stays_so_for_ten_minutes_of_drift_and_stalls(rate_hz):
    chip = Chip(rate_hz, 0.03, swing=0.0005, warm=0.0005, begin_ns=10**17)
    reader = Reader(chip, TimeBase(rate_hz), 1).run(600)
    assert not reader.base.slipped
    assert abs(reader.errors_ns()).max() <= 1 * MS
    assert abs(reader.rate_errors(20)).max() <= 50e-6


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_correction_changes_no_period_by_more_than_two_percent(rate_hz):
    chip = Chip(rate_hz, -0.04, swing=0.0005)
    reader = Reader(chip, TimeBase(rate_hz), 2).run(40)
    periods = np.diff(np.concatenate(reader.stamps))[round(5 * rate_hz) :]
    assert abs(periods * chip.rate_hz * 0.96e-9 - 1).max() < 0.02


@pytest.mark.parametrize("rate_hz", [50, 100, 1000])
def test_polls_in_step_with_the_samples_are_aimed_elsewhere(rate_hz):
    reader = Reader(Chip(rate_hz), TimeBase(rate_hz), lateness_ns=(0, 0), stalls=0).run(25)
    assert abs(reader.errors_ns()).max() < 0.3 * MS
    assert abs(reader.rate_errors(20)).max() < 20e-6
    # Left to themselves they always meet the same phase, and what it is cannot be known.
    blind = Reader(Chip(rate_hz), TimeBase(rate_hz), lateness_ns=(0, 0), reading_ns=(200_000, 200_000), stalls=0)
    blind.aimed = False
    blind.hold_ns = 0
    blind.run(25)
    n = blind.stamped
    assert blind.base.uncertainty_ns(n - 1) > 0.4 / rate_hz * 1e9
    assert reader.base.uncertainty_ns(reader.stamped - 1) < 0.15 * MS


@pytest.mark.parametrize("made_up", [False, True])
@pytest.mark.parametrize("rate_hz", [25, 100, 1000, 1600])
@pytest.mark.parametrize("seed", range(4))
def test_a_sample_lost_or_made_up_without_a_report_is_noticed(rate_hz, made_up, seed):
    chip = Chip(rate_hz, 0.02, swing=0.0005)
    reader = Reader(chip, TimeBase(rate_hz), seed).run(8)
    when_ns = reader.now_ns
    if made_up:
        chip.made_up_ns = (when_ns,)
    else:
        chip.losses_ns = (when_ns,)
    assert not reader.base.slipped
    reader.run(4)
    assert reader.base.slipped
    assert reader.base.rate_hz == pytest.approx(chip.rate_at(when_ns), rel=0.001)
    with pytest.raises(InputError, match="expected samples from"):
        reader.base.stamp(reader.stamped, round(rate_hz), reader.now_ns)
    reader.base.restart()
    assert not reader.base.slipped


@pytest.mark.parametrize("lateness_ns", [(0, 0), (50_000, 2_000_000)])
@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("after_s", [0.15, 0.6, 1.5])
@pytest.mark.parametrize(("rate_hz", "lost"), [(50, 1), (104, 1), (208, 1), (1000, 2)])
def test_a_loss_soon_after_a_start_is_noticed(rate_hz, lost, after_s, known, lateness_ns):
    chip = Chip(rate_hz, 0.02, swing=0.0005)
    reader = Reader(chip, TimeBase(rate_hz), 1, lateness_ns=lateness_ns, stalls=0)
    if known:
        reader.run(10).flush(1)
    chip.losses_ns = (reader.now_ns + round(after_s * 1e9),) * lost
    reader.run(after_s + 1)
    assert reader.base.slipped
    # What was learnt before it was noticed does no harm to what follows.
    chip.losses_ns = ()
    reader.flush()
    reader.run(2)
    assert not reader.base.slipped
    assert abs(reader.errors_ns()).max() <= 1 * MS


@pytest.mark.parametrize("still_s", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("rate_hz", [12.5, 104, 1000])
@pytest.mark.parametrize("known", [False, True])
def test_a_level_that_stands_still_teaches_nothing(rate_hz, still_s, known):
    chip = Chip(rate_hz, 0.02)
    reader = Reader(chip, TimeBase(rate_hz), 5, stalls=0).run(20)
    if known:
        reader.flush(0.05)
        reader.run(0.3)
    # The chip reset itself, and was not asked for its registers yet.
    count, _, before_ns = reader.readings[-1]
    for time_ns in range(before_ns, before_ns + round(still_s * 1e9), 5 * MS):
        reader.base.observe(count, time_ns, time_ns + 200_000)
        reader.base.next_poll_ns(time_ns + 5 * MS)
    reader.flush(still_s)
    assert reader.base.rate_hz == pytest.approx(chip.rate_at(0), rel=100e-6)
    reader.run(2)
    assert not reader.base.slipped
    assert abs(reader.errors_ns()).max() <= 1 * MS


@pytest.mark.parametrize("lost", [1, -1])
def test_a_reader_that_is_never_late_does_not_take_the_next_sample_for_the_lost_one(lost):
    chip = Chip(100)
    reader = Reader(chip, TimeBase(100), lateness_ns=(0, 0), reading_ns=(120_000, 120_000), stalls=0).run(5)
    if lost > 0:
        chip.losses_ns = (reader.now_ns,)
    else:
        chip.made_up_ns = (reader.now_ns,)
    reader.run(0.5)
    assert reader.base.slipped


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate_hz", [25, 104, 208])
def test_a_reading_at_the_right_time_excludes_a_loss_or_shows_it(rate_hz, seed):
    chip = Chip(rate_hz, 0.02)
    reader = Reader(chip, TimeBase(rate_hz), seed, reading_ns=(200_000, 200_000), stalls=0).run(5)
    base = reader.base

    def read(after):
        reader.now_ns = base.telling_ns(reader.now_ns, after)
        reader.read()

    def go_to_edge(after_ns):
        reader.now_ns = int(chip.times_ns(1, int(chip.phase(reader.now_ns)) + 1)[0]) + after_ns

    for part in np.arange(0, 1, 0.05):
        go_to_edge(int((part - 0.05) / chip.rate_at(0) * 1e9))
        assert base.telling_ns(reader.now_ns, 0.0) - reader.now_ns < 1.5 * MS
        read(0.0)
        assert base.complete and not base.slipped
        read(0.6)
        assert base.complete and not base.slipped
    chip.losses_ns = (reader.now_ns,)
    # Readings that may hide the loss move the lines, but not what they are judged by.
    for _ in range(3):
        reader.now_ns += 100 * MS
        go_to_edge(20_000)
        reader.read()
        assert not base.complete and not base.slipped
    read(0.6)
    assert base.slipped and not base.complete


def test_a_count_that_falls_is_a_slip():
    base = TimeBase(100)
    base.observe(5, 10 * MS, 11 * MS)
    base.observe(4, 12 * MS, 13 * MS)
    assert base.slipped


@settings(max_examples=30, deadline=None)
@given(chip=chips, seed=st.integers(0, 2**32), away_s=st.floats(0, 10))
def test_after_a_flush_the_missed_samples_are_known_to_one_and_the_next_to_a_millisecond(chip, seed, away_s):
    reader = Reader(chip, TimeBase(chip.rate_hz), seed).run(12)
    known_hz = reader.base.rate_hz
    last_ns, last = reader.stamps[-1][-1], reader.stamped - 1
    reader.flush(away_s)
    assert reader.base.rate_hz == pytest.approx(known_hz, rel=50e-6)
    reader.run(5)
    assert not reader.base.slipped
    assert reader.stamps[0][0] > last_ns
    assert abs(reader.errors_ns()).max() <= 1 * MS

    twin = TimeBase(chip.rate_hz, known_rate_hz=known_hz)
    again = Reader(chip, twin, seed)
    again.now_ns, again.flushed = reader.now_ns, chip.count(reader.now_ns)
    again.run(5)
    assert abs(again.errors_ns()).max() <= 1 * MS

    assert reader.missed_at_first is not None
    assert abs(reader.missed_at_first - (reader.flushed - 1 - last)) <= 1


@pytest.mark.parametrize("rate_hz", [12.5, 104, 1600])
def test_a_known_rate_that_is_no_longer_true_is_given_up(rate_hz):
    chip = Chip(rate_hz, -0.03)
    reader = Reader(chip, TimeBase(rate_hz, known_rate_hz=rate_hz * 1.01), 3).run(25)
    assert reader.base.slipped
    assert reader.now_ns < chip.begin_ns + 1000 * MS
    reader.flush()
    reader.run(25)
    assert not reader.base.slipped
    assert abs(reader.errors_ns()).max() <= 1 * MS
    assert abs(reader.rate_errors(20)).max() <= 50e-6
    # And the old rate is forgotten.
    reader.flush()
    assert reader.base.rate_hz == pytest.approx(chip.rate_at(0), rel=50e-6)


@pytest.mark.parametrize("away", [0.2, -0.3])
def test_a_rate_that_is_not_the_configured_one_is_a_slip(away):
    reader = Reader(Chip(104, away), TimeBase(104), stalls=0).run(5)
    assert reader.base.slipped


def test_a_copy_goes_on_as_the_original():
    reader = Reader(Chip(208, 0.01, swing=0.0005), TimeBase(208), 4).run(7)
    twin = pickle.loads(pickle.dumps(reader))
    assert np.array_equal(np.concatenate(reader.run(5).stamps), np.concatenate(twin.run(5).stamps))


def test_what_is_known_before_the_first_sample():
    base = TimeBase(50, known_rate_hz=51)
    assert base.rate_hz == pytest.approx(51)
    assert base.uncertainty_ns(0) == np.inf
    assert base.missed(0) == 0
    assert base.next_poll_ns(5 * MS) == 5 * MS
    base.observe(0, 5 * MS, 6 * MS)
    assert 6 * MS <= base.next_poll_ns(100 * MS) < 7 * MS  # listens for the first edge
    assert base.uncertainty_ns(0) == np.inf
    with pytest.raises(InputError, match="expected samples from 0 to below 0, got 1 from 0"):
        base.stamp(0, 1, 6 * MS)
    assert TimeBase(50).rate_error == pytest.approx(SPREAD, rel=0.02)


def test_a_fast_chip_is_not_listened_to():
    base = TimeBase(3200)
    base.observe(0, 5 * MS, 6 * MS)
    assert base.next_poll_ns(100 * MS) == 100 * MS


def test_no_stamp_is_later_than_now_even_where_the_line_is():
    base = TimeBase(100)
    base.observe(1, 0, 100_000)
    base.observe(2, 1 * MS, 10 * MS)
    first = base.stamp(0, 1, 100_001)
    assert first <= 100_001
    second = base.stamp(1, 1, first[0] + 1)
    assert second == first + 1
    with pytest.raises(InputError, match="expected a time after"):
        base.observe(3, 11 * MS, 20 * MS)
        base.stamp(2, 1, int(second[0]))


@pytest.mark.parametrize("rates", [(0, None), (50, 20_000), (float("nan"), None), (50, -1)])
def test_a_rate_no_chip_has_is_refused(rates):
    with pytest.raises(InputError, match="samples per second"):
        TimeBase(rates[0], known_rate_hz=rates[1])


def test_times_that_run_backwards_are_refused():
    base = TimeBase(50)
    base.observe(1, 5 * MS, 6 * MS)
    with pytest.raises(InputError, match="times in order"):
        base.observe(2, 4 * MS, 7 * MS)
    with pytest.raises(InputError, match="times in order"):
        base.observe(2, 8 * MS, 7 * MS)


def test_samples_are_stamped_once_and_only_when_taken():
    base = TimeBase(50)
    base.observe(4, 5 * MS, 6 * MS)
    with pytest.raises(InputError, match="from 0 to below 4, got 5 from 0"):
        base.stamp(0, 5, 7 * MS)
    base.stamp(0, 2, 7 * MS)
    with pytest.raises(InputError, match="from 2 to below 4, got 2 from 1"):
        base.stamp(1, 2, 7 * MS)
    base.stamp(3, 1, 7 * MS)  # a reader may drop what it has read

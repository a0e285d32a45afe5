import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.blocks import SampleBlock
from motionsig.errors import InputError
from motionsig.quality import Quality
from motionsig.resampling import Resampler

RATES = (20, 25, 26, 50, 51.3, 52, 100, 102.5, 104, 200, 208, 285.7, 400, 416, 1000)


def times(count, rate_hz, start_ns=0):
    return start_ns + np.rint(np.arange(count) * 1e9 / rate_hz).astype(np.int64)


def resample(resampler, time_ns, data, cuts=(), *, flagged=False):
    """Push the samples cut at `cuts`; return the grid's times, data, quality and which point begins a segment.

    Where there is `above`, it stands beside the data, in columns 6 and 7.
    """
    out = []
    for number, (first, last) in enumerate(zip((0, *cuts), (*cuts, len(time_ns)), strict=True)):
        out += resampler.push(SampleBlock(time_ns[first:last], data[first:last], gap=flagged and number > 0))
    out += resampler.flush()
    if not out:
        return np.empty(0, np.int64), np.empty((0, 6), np.float32), np.empty(0, np.uint8), []
    begins = np.cumsum([0] + [len(block) for block in out[:-1]])[[block.gap for block in out]]
    return (
        np.concatenate([block.time_ns for block in out]),
        np.concatenate([columns(block) for block in out]),
        np.concatenate([block.quality for block in out]),
        begins.tolist(),
    )


def columns(block):
    return block.data if block.above is None else np.concatenate([block.data, block.above], axis=1)


def tones(time_ns, frequencies):
    phase = np.outer(time_ns / 1e9, frequencies) * 2 * np.pi
    return np.sin(phase + np.arange(len(frequencies))).astype(np.float32)


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("seconds", [0.02, 0.5, 2.56, 2.6, 7.31, 60.0])
def test_grid_points_follow_from_the_duration_alone(rate_hz, seconds):
    count = max(1, round(seconds * rate_hz))
    time_ns, *_ = resample(Resampler(rate_hz), times(count, rate_hz), np.zeros((count, 6), np.float32))
    assert len(time_ns) == int(50 * count / rate_hz + 1e-6)
    assert (time_ns == np.arange(len(time_ns), dtype=np.int64) * 20_000_000).all()


@pytest.mark.parametrize("skew", [-0.05, 0.05])
@pytest.mark.parametrize("rate_hz", RATES)
def test_a_clock_that_is_off_changes_the_count_only_by_the_true_duration(rate_hz, skew):
    true_hz = rate_hz * (1 + skew)
    count = round(20 * rate_hz)
    time_ns, *_ = resample(Resampler(rate_hz), times(count, true_hz), np.zeros((count, 6), np.float32))
    assert len(time_ns) == int(50 * count / true_hz + 1e-3)


def test_data_on_the_grid_pass_through_to_the_bit():
    data = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    resampler = Resampler(50)
    # Nothing waits either: the samples come out as they go in.
    (block,) = resampler.push(SampleBlock(times(500, 50, 10**18), data))
    assert block.data.tobytes() == data.tobytes() and len(block) == 500
    assert resampler.flush() == []


@pytest.mark.parametrize("rate_hz", [50.01, 51.3, 52, 100, 102.5, 200, 400, 1000])
def test_what_the_grid_can_carry_survives(rate_hz):
    frequencies = np.array([1, 5, 10, 15, 18, 20])
    time_in = times(round(30 * rate_hz), rate_hz)
    time_ns, data, *_ = resample(Resampler(rate_hz), time_in, tones(time_in, frequencies))
    middle = slice(50, -50)
    wanted = tones(time_ns, frequencies)[middle]
    noise = ((data[middle, :6] - wanted) ** 2).mean(axis=0)
    assert (10 * np.log10((wanted**2).mean(axis=0) / noise) > [60, 60, 60, 60, 50, 20]).all()


@pytest.mark.parametrize(("rate_hz", "least_db"), [(20, [50, 45, 45, 15]), (25, [50, 40, 50, 40])])
def test_a_source_slower_than_the_grid_keeps_its_lower_frequencies(rate_hz, least_db):
    frequencies = np.array([1, 3, 5, 7])
    time_in = times(30 * rate_hz, rate_hz)
    time_ns, data, *_ = resample(Resampler(rate_hz), time_in, tones(time_in, np.r_[frequencies, 0, 0]))
    middle = slice(50, -50)
    wanted = tones(time_ns, frequencies)[middle]
    noise = ((data[middle, :4] - wanted) ** 2).mean(axis=0)
    assert (10 * np.log10((wanted**2).mean(axis=0) / noise) > least_db).all()


@pytest.mark.parametrize("rate_hz", [200, 1000])
def test_what_the_grid_cannot_carry_does_not_fold_in(rate_hz):
    for frequencies, most_db in (
        ([27, 28, 30, 35, 45, 60], [-30, -50, *[-57] * 4]),
        ([70, 80, 90, 95, 98, 99], [-60] * 6),
    ):
        time_in = times(30 * rate_hz, rate_hz)
        _, data, *_ = resample(Resampler(rate_hz), time_in, tones(time_in, np.array(frequencies)))
        assert (20 * np.log10(np.abs(data[50:-50, :6]).max(axis=0)) < most_db).all()


@pytest.mark.parametrize("rate_hz", RATES)
def test_a_grid_point_waits_for_180_ms_of_samples(rate_hz):
    resampler = Resampler(rate_hz)
    time_ns = times(round(2 * rate_hz), rate_hz)
    upcoming_ns = 0
    for number, sample_ns in enumerate(time_ns):
        for block in resampler.push(SampleBlock(time_ns[number : number + 1], np.ones((1, 6), np.float32))):
            upcoming_ns = block.time_ns[-1] + 20_000_000
        # The first one needs as many samples for what lies before it.
        assert upcoming_ns + 180_000_000 >= sample_ns or sample_ns < 250_000_000


@pytest.mark.parametrize("rate_hz", [52, 60, 100, 104, 208, 285.7, 1000])
def test_what_the_low_pass_took_away_is_said(rate_hz):
    # 3 g beside gravity, as a motor's imbalance has it: at rest, within the pass band, half taken away, and gone.
    time_in = times(round(30 * rate_hz), rate_hz)
    for frequency_hz, share in ((0, 0), (5, 0), (10, 0), (18, 0), (22, 0.53), (25, 1), (28, 1), (45, 1), (120, 1)):
        if frequency_hz < rate_hz / 2:
            data = np.outer(tones(time_in, [frequency_hz])[:, 0], [0, 18, 24, 0, 3, 4])
            data[:, 2] += 9.81
            grid = Resampler(rate_hz).push(SampleBlock(time_in, data.astype(np.float32)))
            above = np.concatenate([block.above for block in grid])[50:-50]
            assert above.dtype == np.float32 and above.shape[1] == 2
            means = np.stack([above[first : first + 128].mean(axis=0) for first in range(0, len(above) - 128, 64)])
            assert np.abs(means / [450, 12.5] - share).max() < 0.05
            if not frequency_hz:
                assert np.abs(means).max() < 1e-4


@pytest.mark.parametrize("rate_hz", [20, 25, 50, 50.04])
def test_a_source_no_faster_than_the_grid_has_nothing_above_it(rate_hz):
    resampler = Resampler(rate_hz)
    time_in = times(200, rate_hz + 0.01)
    out = resampler.push(SampleBlock(time_in, np.ones((200, 6), np.float32))) + resampler.flush()
    assert out and all(block.above is None for block in out)


def test_gravity_stays_itself_at_the_edges():
    data = np.full((300, 6), 9.81, np.float32)
    *_, data, _, _ = resample(Resampler(104), times(300, 104), data)
    assert np.abs(data[:, :6] - 9.81).max() < 1e-4


def test_short_losses_are_bridged_and_flagged_long_ones_end_the_segment():
    data = np.arange(600, dtype=np.float32)[:, None] * np.ones(6, np.float32)
    time_in = times(600, 100)
    kept = np.r_[0:200, 204:400, 420:600]  # 40 ms lost, then 200 ms
    resampler = Resampler(100)
    time_ns, data, quality, begins = resample(resampler, time_in[kept], data[kept])
    assert (resampler.counts.bridged, resampler.counts.gaps, len(begins)) == (1, 1, 1)
    bridged = np.flatnonzero(quality & Quality.BRIDGED)
    assert time_ns[bridged].tolist() == [2_000_000_000, 2_020_000_000, 2_040_000_000]
    # A ramp over a bridged loss is still the same ramp: 100 per second.
    first = data[: begins[0], 0]
    assert np.abs(first[20:-20] - time_ns[: begins[0]][20:-20] / 1e7).max() < 0.01
    assert time_ns[begins[0]] == time_in[420]


def test_samples_that_are_not_finite_are_losses():
    data = np.ones((500, 6), np.float32)
    data[100:103, 4] = np.nan
    data[300:340, 0] = np.inf
    resampler = Resampler(100)
    _, out, quality, begins = resample(resampler, times(500, 100), data)
    assert (resampler.counts.not_finite, resampler.counts.bridged, resampler.counts.gaps) == (43, 1, 1)
    assert np.isfinite(out).all() and quality.any() and len(begins) == 1


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_sample_is_a_loss(value):
    time_ns, data = times(500, 50), np.ones((500, 6), np.float32)
    data[250, 4] = value
    resampler = Resampler(50)
    out = resample(resampler, time_ns, data)
    assert np.isfinite(out[1]).all() and (resampler.counts.not_finite, resampler.counts.bridged) == (1, 1)


def test_a_time_given_twice_ends_the_segment():
    time_ns = np.concatenate([times(100, 50), times(100, 50, start_ns=99 * 20_000_000)])
    resampler = Resampler(50)
    grid_ns, *_, begins = resample(resampler, time_ns, np.ones((200, 6), np.float32), (100,))
    assert (len(grid_ns), begins, resampler.counts.gaps) == (200, [100], 1)


def test_a_step_back_in_time_ends_the_segment():
    resampler = Resampler(50)
    data = np.ones((100, 6), np.float32)
    out = resampler.push(SampleBlock(times(100, 50, 10**12), data))
    out += resampler.push(SampleBlock(times(100, 50, 10**11), data))
    assert [block.gap for block in out] == [False, True]
    assert out[1].time_ns[0] == 10**11 and resampler.counts.gaps == 1


def test_a_loss_that_times_do_not_show_is_flagged():
    resampler = Resampler(50)
    time_ns, data = times(100, 50), np.ones((100, 6), np.float32)
    out = resampler.push(SampleBlock(time_ns[:50], data[:50]))
    out += resampler.push(SampleBlock(time_ns[50:], data[50:], gap=True))
    assert np.flatnonzero(np.concatenate([block.quality for block in out])).tolist() == [50]
    assert resampler.counts.gaps == 0


@pytest.mark.parametrize("rate_hz", [20, 50, 100, 104, 200, 400])
def test_a_single_lost_sample_is_flagged_wherever_it_was(rate_hz):
    for lost in range(100, 100 + 16):
        kept = np.delete(np.arange(300), lost)
        resampler = Resampler(rate_hz)
        time_ns, _, quality, _ = resample(resampler, times(300, rate_hz)[kept], np.ones((299, 6), np.float32))
        assert resampler.counts.bridged == 1
        flagged = time_ns[quality == Quality.BRIDGED]
        lost_ns = times(300, rate_hz)[lost]
        assert len(flagged) and (np.abs(flagged - lost_ns) <= 1e9 / rate_hz + 20e6).all()


def test_jitter_of_a_third_of_a_period_is_no_loss():
    random = np.random.default_rng(0)
    time_in = times(1000, 100) + random.uniform(-3.3e6, 3.3e6, 1000).astype(np.int64)
    resampler = Resampler(100)
    resample(resampler, time_in, np.ones((1000, 6), np.float32))
    assert (resampler.counts.bridged, resampler.counts.gaps) == (0, 0)


def test_after_a_flush_a_new_segment_begins():
    resampler = Resampler(50)
    first = resampler.push(SampleBlock(times(100, 50), np.ones((100, 6), np.float32)))
    assert resampler.flush() == []
    second = resampler.push(SampleBlock(times(100, 50, 2 * 10**9), np.ones((100, 6), np.float32)))
    assert [block.gap for block in first + second] == [False, True]


@pytest.mark.parametrize("rate_hz", [0, -1, 5, float("nan"), float("inf"), 1e7])
def test_a_rate_that_cannot_be_is_refused(rate_hz):
    with pytest.raises(InputError, match="rate_hz: expected"):
        Resampler(rate_hz)


@pytest.mark.parametrize("rate_hz", [*RATES, 4000])
def test_blocks_of_any_size_give_the_same_bytes(rate_hz):
    # So many grid points that from 400 Hz on the whole takes several turns.
    count = round(min(14, 16000 / rate_hz) * rate_hz)
    time_ns = times(count, rate_hz * 1.0003, 10**18)
    data = np.random.default_rng(0).normal(0, 5, (count, 6)).astype(np.float32)
    _, whole, *_ = resample(Resampler(rate_hz), time_ns, data)
    for size in (1, 2, 7, 64, 100, 333, 4096):
        if count / size < 3000:
            _, pieces, *_ = resample(Resampler(rate_hz), time_ns, data, range(size, count, size))
            assert pieces.tobytes() == whole.tobytes()


def test_the_sum_for_a_grid_point_does_not_depend_on_how_many_there_are():
    # What the Resampler relies on, beyond the shapes that the tests above happen to make.
    random = np.random.default_rng(0)
    for width in (*range(1, 40), 75, 150, 360, 1440, 2880):
        taps = random.normal(size=(70, width)).astype(np.float32)
        windows = random.normal(0, 9.81, (70, 6, width)).astype(np.float32)
        whole = np.einsum("kt,kct->kc", taps, windows)
        for size in (1, 2, 3, 5, 8, 31, 69):
            part = [
                np.einsum("kt,kct->kc", taps[first : first + size].copy(), windows[first : first + size].copy())
                for first in range(0, 70, size)
            ]
            assert np.concatenate(part).tobytes() == whole.tobytes()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_shares_nothing_and_carries_no_taps(copied):
    data = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    first = Resampler(100)
    first.push(SampleBlock(times(200, 100), data[:200]))
    second = copied(first)
    rest = SampleBlock(times(300, 100)[200:], data[200:])
    out = [[*each.push(rest), *each.flush()] for each in (first, second)]
    assert [block.data.tobytes() for block in out[0]] == [block.data.tobytes() for block in out[1]]
    assert first.counts == second.counts and first.counts is not second.counts
    assert len(pickle.dumps(Resampler(1000))) < 1000


@settings(max_examples=120, deadline=None)
@given(
    rate_hz=st.sampled_from(RATES),
    skew=st.floats(-0.05, 0.05),
    jitter=st.floats(0, 0.05),
    losses=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2)), max_size=5),
    cuts=st.lists(st.floats(0, 1), max_size=12),
    flags=st.lists(st.floats(0, 1), max_size=3),
    back=st.none() | st.floats(0, 1),
    not_finite=st.booleans(),
    seed=st.integers(0, 999),
)
def test_any_cutting_gives_the_same_bytes_and_so_does_stop_and_resume(
    rate_hz, skew, jitter, losses, cuts, flags, back, not_finite, seed
):
    random = np.random.default_rng(seed)
    count = round(random.uniform(0, 6) * rate_hz)
    time_in = times(count, rate_hz * (1 + skew), 10**18)
    time_in += (random.uniform(-1, 1, count) * jitter * 1e9 / rate_hz).astype(np.int64)
    data = random.normal(size=(count, 6)).astype(np.float32)
    if not_finite and count:
        data[random.integers(0, count, 3)] = np.nan
    kept = np.ones(count, bool)
    for place, seconds in losses:
        kept[int(place * count) :][: round(seconds * rate_hz)] = False
    time_in, data = time_in[kept], data[kept]
    if back is not None:
        time_in[int(back * len(time_in)) :] -= 10**9
    # The source's own blocks: each after the first says that something was lost before it.
    blocks = sorted(int(flag * len(time_in)) for flag in flags)
    whole, pieces = Resampler(rate_hz), Resampler(rate_hz)
    expected = resample(whole, time_in, data, blocks, flagged=True)

    out = []
    places = sorted([int(cut * len(time_in)) for cut in cuts] + blocks)
    flagged = set(blocks)
    for first, last in zip((0, *places), (*places, len(time_in)), strict=True):
        # What lies between two places that are the same is an empty block, which may carry the flag as well.
        out += pieces.push(SampleBlock(time_in[first:last], data[first:last], gap=first in flagged))
        flagged.discard(first)
        pieces = pickle.loads(pickle.dumps(pieces))
    out += pieces.flush()
    assert pieces.counts == whole.counts
    if out:
        assert np.concatenate([block.time_ns for block in out]).tobytes() == expected[0].tobytes()
        assert np.concatenate([columns(block) for block in out]).tobytes() == expected[1].tobytes()
        assert np.concatenate([block.quality for block in out]).tobytes() == expected[2].tobytes()
        starts = np.cumsum([0] + [len(block) for block in out[:-1]])
        assert starts[[block.gap for block in out]].tolist() == expected[3]
    else:
        assert not len(expected[0])

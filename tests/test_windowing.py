import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.blocks import SampleBlock
from motionsig.errors import InputError
from motionsig.quality import ABOVE_NOISE, NOISE, Quality
from motionsig.windowing import Windower

STEP_NS = 20_000_000


def grid(count, *, gap=False, start=0):
    rows = np.arange(start, start + count, dtype=np.int64)
    return SampleBlock(rows * STEP_NS, np.repeat(rows[:, None], 6, axis=1).astype(np.float32), gap)


def test_windows_start_at_the_first_sample_and_hop():
    windows = Windower(length=4, hop=3).push(grid(11))
    assert windows.start_ns.tolist() == [0, 3 * STEP_NS, 6 * STEP_NS]
    assert windows.data[:, :, 0].tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert windows.hop_ns == 3 * STEP_NS


def test_too_little_is_an_empty_batch():
    windower = Windower(length=4, hop=2)
    assert len(windower.push(grid(3))) == 0
    assert windower.push(grid(0)).data.shape == (0, 4, 6)
    assert len(windower.push(grid(1, start=3))) == 1


def test_no_window_spans_a_gap():
    windower = Windower(length=4, hop=1)
    assert len(windower.push(grid(5))) == 2
    assert windower.push(grid(5, gap=True, start=100)).data[:, 0, 0].tolist() == [100, 101]


def test_quality_of_a_window_is_that_of_all_its_samples():
    block = grid(8)
    quality = np.zeros(8, np.uint8)
    quality[4] = 1
    windows = Windower(length=3, hop=1).push(SampleBlock(block.time_ns, block.data, quality=quality))
    assert (windows.quality & Quality.BRIDGED).tolist() == [0, 0, 1, 1, 1, 0]


def test_energy_above_the_grid_is_flagged_in_the_windows_that_have_most_of_theirs_there():
    samples = np.zeros((12, 6), np.float32)
    samples[::2, 0] = 1  # 0.25 (m/s²)² in each window of 4
    above = np.zeros((12, 2), np.float32)
    above[4:8, 0] = [-1, 9, 0, 0]
    time_ns = np.arange(12, dtype=np.int64) * STEP_NS
    windower = Windower(length=4, hop=2)
    first = windower.push(SampleBlock(time_ns[:4], samples[:4]))  # such as a segment's start: nothing is known of it
    rest = windower.push(SampleBlock(time_ns[4:], samples[4:], above=above[4:]))
    assert first.quality.tolist() == [0]
    assert (rest.quality == Quality.ABOVE_GRID).tolist() == [True, True, False, False]
    assert Windower(length=4, hop=2).push(SampleBlock(time_ns, samples * 0)).quality.tolist() == [Quality.AT_REST] * 5


@given(
    length=st.integers(1, 9),
    hop=st.integers(1, 20),
    count=st.integers(0, 80),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    seed=st.integers(0, 99),
)
def test_any_cutting_gives_the_same_windows(length, hop, count, cuts, seed):
    """Ten samples each are about at rest or are not; a few points have energy above the grid, or a loss."""
    random = np.random.default_rng(seed)
    noise = np.repeat(NOISE, 3) * np.repeat(random.choice([0.4, 0.5, 3], (8, 1)), 10, axis=0)[:count]
    block = SampleBlock(
        np.arange(count, dtype=np.int64) * STEP_NS,
        (random.normal(size=(count, 6)) * noise + 9.8).astype(np.float32),
        quality=random.choice(20 * [0] + [1], count).astype(np.uint8),
        above=(random.choice(20 * [0] + [-1, 9], (count, 2)) * ABOVE_NOISE**2).astype(np.float32),
    )
    whole = Windower(length=length, hop=hop).push(block)
    assert len(whole) == max(0, (count - length) // hop + 1)
    windower, pieces = Windower(length=length, hop=hop), []
    cuts = sorted(min(cut, count) for cut in cuts)
    for first, last in zip((0, *cuts), (*cuts, count), strict=True):
        part = slice(first, last)
        pieces.append(
            windower.push(
                SampleBlock(block.time_ns[part], block.data[part], quality=block.quality[part], above=block.above[part])
            )
        )
        windower = pickle.loads(pickle.dumps(windower))
    for name in ("data", "start_ns", "quality"):
        assert np.concatenate([getattr(piece, name) for piece in pieces]).tolist() == getattr(whole, name).tolist()


@pytest.mark.parametrize(("length", "hop"), [(0, 1), (1, 0), (4, -1), (1, 10**12)])
def test_no_length_or_hop_that_cannot_be(length, hop):
    with pytest.raises(InputError, match="expected length and hop of 1 to 1000000"):
        Windower(length=length, hop=hop)


@given(st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.sampled_from([1, 2, 3, 6])), max_size=30))
def test_another_hop_leaves_the_windows_that_both_have_as_they_are(pieces):
    fixed, changing, start = Windower(length=4, hop=6), Windower(length=4, hop=6), 0
    expected, got = [], []
    for count, gap, hop in pieces:
        changing.set_hop(6)
        changing.set_hop(hop)
        block = grid(count, gap=gap, start=start)
        start += count
        every = 6 // hop
        windows = changing.push(block)
        expected += fixed.push(block).data[:, :, 0].tolist()
        got += windows.data[-windows.number % every :: every, :, 0].tolist()
        assert windows.hop_ns == hop * STEP_NS
    assert got == expected


def test_another_hop_has_to_fit():
    with pytest.raises(InputError, match="multiple or a part"):
        Windower(length=4, hop=6).set_hop(4)

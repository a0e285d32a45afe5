import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionsig.blocks import SampleBlock
from motionsig.errors import InputError
from motionsig.windowing import Windower

STEP_NS = 20_000_000


def grid(count, *, gap=False, start=0):
    rows = np.arange(start, start + count)
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
    assert windows.quality.tolist() == [0, 0, 1, 1, 1, 0]


@given(
    length=st.integers(1, 9),
    hop=st.integers(1, 20),
    count=st.integers(0, 80),
    cuts=st.lists(st.integers(0, 80), max_size=6),
)
def test_any_cutting_gives_the_same_windows(length, hop, count, cuts):
    whole = Windower(length=length, hop=hop).push(grid(count))
    assert len(whole) == max(0, (count - length) // hop + 1)
    windower, pieces, block = Windower(length=length, hop=hop), [], grid(count)
    cuts = sorted(min(cut, count) for cut in cuts)
    for first, last in zip((0, *cuts), (*cuts, count), strict=True):
        pieces.append(windower.push(SampleBlock(block.time_ns[first:last], block.data[first:last])))
        windower = pickle.loads(pickle.dumps(windower))
    assert np.concatenate([piece.data for piece in pieces]).tolist() == whole.data.tolist()
    assert np.concatenate([piece.start_ns for piece in pieces]).tolist() == whole.start_ns.tolist()


@pytest.mark.parametrize(("length", "hop"), [(0, 1), (1, 0), (4, -1), (1, 10**12)])
def test_no_length_or_hop_that_cannot_be(length, hop):
    with pytest.raises(InputError, match="expected length and hop of 1 to 1000000"):
        Windower(length=length, hop=hop)

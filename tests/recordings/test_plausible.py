"""The blocks of a log, without what no sensor reports, up to where it stops being right."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_motion import motion

from motionsig import SampleBlock
from motionsig.errors import RecordingError
from motionsig.plausibility.judge import Judge
from motionsig.recordings.plausible import judged

RATE_HZ = 50.0
DATA = np.concatenate(motion(100, seed=1), axis=1).astype(np.float32)
TIMES = 1_700_000_000_000_000_000 + np.arange(len(DATA)) * 20_000_000
DEAD = DATA.copy()
DEAD[1000:1060] = DEAD[1000]
DEAD[0:3] = DEAD[2000:2010] = DEAD[4990:] = 0


def blocks(data: np.ndarray, edges: list[int], gaps: tuple[int, ...] = ()) -> list[SampleBlock]:
    edges = sorted({0, *edges, len(data)})
    return [
        SampleBlock(TIMES[start:stop], data[start:stop], start in gaps, label=f"from {start}")
        for start, stop in pairwise(edges)
    ]


def test_what_is_alive_passes_unchanged() -> None:
    given_blocks = blocks(DATA, [700, 2500], gaps=(2500,))
    out = list(judged(given_blocks, Judge(RATE_HZ), "here"))
    assert all(left is right for left, right in zip(out, given_blocks, strict=True))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, len(DEAD) - 1), max_size=6))
def test_dead_rows_are_left_out_and_a_gap_follows(edges: list[int]) -> None:
    given_blocks = blocks(DEAD, edges, gaps=(500,))
    out = list(judged(given_blocks, Judge(RATE_HZ), "here"))
    kept = np.ones(len(DEAD), bool)
    kept[1000:1060] = kept[0:3] = kept[2000:2010] = kept[4990:] = False
    assert np.concatenate([block.time_ns for block in out]).tolist() == TIMES[kept].tolist()
    assert np.array_equal(np.concatenate([block.data for block in out]), DEAD[kept])
    begins = {int(np.searchsorted(TIMES, block.time_ns[0])): block for block in out}
    assert {at for at, block in begins.items() if block.gap} == {3, 1060, 2010} | ({500} & set(edges))
    ends = np.cumsum([len(block) for block in given_blocks])
    for at, block in begins.items():
        assert block.label == given_blocks[int(np.searchsorted(ends, at, side="right"))].label


def test_a_log_ends_with_an_error_after_its_last_right_sample() -> None:
    wrong = np.concatenate([DATA, DATA * np.float32(9.80665), DATA])
    times = TIMES[0] + np.arange(len(wrong)) * 20_000_000
    seen = 0
    with pytest.raises(RecordingError) as raised:
        for block in judged([SampleBlock(times, wrong)], Judge(RATE_HZ), "walk.csv"):
            seen += len(block)
    message = str(raised.value)
    assert message.startswith(f"walk.csv: from sample {seen} (2023-11-14T22:15:") and abs(seen - len(DATA)) <= 100
    assert "m/s² in a column of g" in message and "check_units=False takes it as it is" in message
    as_it_is = judged([SampleBlock(times, wrong)], Judge(RATE_HZ, check_units=False), "walk.csv")
    assert sum(map(len, as_it_is)) == len(wrong)


def test_degrees_called_radians_name_the_option() -> None:
    wrong = DATA * np.array([1, 1, 1, *[57.29578] * 3], np.float32)
    with pytest.raises(RecordingError, match=r"this looks like deg/s: pass the right gyr_unit="):
        list(judged([SampleBlock(TIMES, wrong)], Judge(RATE_HZ), "walk.csv"))

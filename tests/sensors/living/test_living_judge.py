"""What is left out of a stream, and what the samples after it say of that."""

import numpy as np
import pytest
from made_samples import FINE, RATE_HZ, judged, resting, rows, walking

from motionsig.sensors.living import Living


def test_what_lives_passes_untouched() -> None:
    data = np.concatenate([walking(20), resting(20), walking(20, seed=1)])
    living = Living(RATE_HZ, FINE)
    passed = judged(living, data)
    assert np.array_equal(passed.data, data[: len(passed.data)])
    assert len(data) - len(passed.data) <= 2
    assert not passed.gap.any() and not passed.lost.any()
    assert (living.dead, living.garbled, living.fault, living.doubt) == (0, 0, None, None)


def test_the_sample_after_the_dead_ones_knows_how_many_are_missing() -> None:
    data = np.concatenate([walking(10), np.zeros((400, 6), np.float32), walking(10, seed=1)])
    living = Living(RATE_HZ, FINE)
    passed = judged(living, data)
    (after,) = np.flatnonzero(passed.gap)
    assert passed.lost[after] == living.dead > 200
    assert passed.time_ns[after] == passed.time_ns[after - 1] + living.dead + 1
    # Dead samples pass until it is known that they are.
    assert np.count_nonzero(~passed.data.any(axis=1)) <= 2 * RATE_HZ
    assert passed.time_ns[after] <= 1400 + 0.5 * RATE_HZ
    assert living.fault is None


@pytest.mark.parametrize("seed", range(5))
def test_any_cutting_gives_the_same(seed: int) -> None:
    chance = np.random.default_rng(seed)
    data = np.concatenate([walking(5), resting(5), np.tile(resting(0.01), (300, 1)), resting(5), np.zeros((300, 6))])
    data = data.astype(np.float32)
    data[chance.integers(600, 900, 4), chance.integers(0, 3)] += 39.2
    data[1400] *= -1
    whole = Living(RATE_HZ, FINE)
    expected = whole.push(rows(data))
    living = Living(RATE_HZ, FINE)
    passed, at = living.push(rows(data[:0])), 0
    while at < len(data):
        size = int(chance.integers(1, 40))
        passed = passed.then(living.push(rows(data[at : at + size], at)))
        at += size
    for one, other in zip(passed, expected, strict=True):
        assert np.array_equal(one, other)
    assert (living.dead, living.garbled, living.fault) == (whole.dead, whole.garbled, whole.fault)
    assert living.dead > 100 and living.garbled >= 4


def test_samples_that_are_far_apart_are_not_compared() -> None:
    still = resting(5)
    living = Living(RATE_HZ, FINE)
    judged(living, still)
    other = still + np.float32([40, 0, 0, 0, 0, 0])
    passed = living.push(rows(other[:1], 500, gap=True)).then(living.push(rows(still, 501, gap=True)))
    assert np.array_equal(passed.time_ns[:2], [500, 501])
    assert passed.gap[:2].all() and not passed.gap[2:].any()
    assert living.garbled == 0


def test_a_new_start_leaves_out_what_was_held_and_counts_it() -> None:
    living = Living(RATE_HZ, FINE)
    judged(living, resting(5))
    held = resting(0.01) + np.float32([40, 0, 0, 0, 0, 0])
    assert len(living.push(rows(held, 500)).data) == 0
    living.restarted()
    passed = living.push(rows(resting(1, seed=2), 501))
    assert living.dead == 1
    assert (passed.gap[0], passed.lost[0]) == (True, 1)


def test_an_accelerometer_alone() -> None:
    data = np.concatenate([walking(5), np.zeros((200, 6), np.float32)])
    data[:, 3:] = np.nan
    living = Living(RATE_HZ, FINE)
    judged(living, data)
    assert living.fault is not None and "acceleration stands still at 0, 0, 0" in living.fault

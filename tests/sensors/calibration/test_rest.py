"""Stretches at rest, and what is none."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionsig.blocks import SampleBlock
from motionsig.errors import InputError
from motionsig.sensors.calibration.poses import face_of
from motionsig.sensors.calibration.rest import Rest, SilentError, find_rests, rest


def still(seconds=2.0, rate_hz=100, mean=(0, 0, 9.8, 0.02, -0.01, 0), noise=0.05, seed=0):
    random = np.random.default_rng(seed)
    count = round(seconds * rate_hz)
    return (np.array(mean) + random.normal(0, 1, (count, 6)) * ([noise] * 3 + [noise / 25] * 3)).astype(np.float32)


@given(seed=st.integers(0, 10**6), rate_hz=st.sampled_from([25, 52, 100, 416, 1000]), noise=st.floats(0, 0.15))
@settings(max_examples=40, deadline=None)
def test_the_mean_at_rest_is_as_good_as_the_noise_allows(seed, rate_hz, noise):
    mean = np.array([1.0, -2, 9.5, 0.1, -0.2, 0.05])
    # The slower the sensor, the less of the noise is in its band.
    noise *= min(1, (rate_hz / 100) ** 0.5)
    data = still(3, rate_hz, mean, noise, seed)
    error = rest(data, rate_hz).mean - mean
    assert (np.abs(error) < 6 * np.array([noise] * 3 + [noise / 25] * 3) / np.sqrt(len(data)) + 1e-6).all()


def test_a_knock_in_the_middle_is_left_out():
    data = still()
    clean = rest(data, 100).mean
    data[90:110] += np.float32([30, -20, 40, 3, 2, 1])
    found = rest(data, 100)
    assert np.abs(found.mean - clean).max() < 0.02 and np.abs(found.data[:, 0]).max() < 1 and len(found.data) == 150


def test_what_moved_is_named_with_how_much():
    turned = still()
    turned[:, 4] += np.linspace(0, 0.4, 200, dtype=np.float32)
    with pytest.raises(InputError, match=r"expected gyr_y steady within 0.03 rad/s, got 0\.\d+: it moved in"):
        rest(turned, 100)
    shaken = still()
    shaken[:, 2] += np.float32(2) * np.sin(np.arange(200) * 0.8).astype(np.float32)
    with pytest.raises(InputError, match=r"expected acc_z quiet within 0.3 m/s², got 1\.\d+: it moved in 2 of 2 s"):
        rest(shaken, 100)


def test_two_poses_in_one_stretch_are_no_rest():
    for first in (75, 100, 125):
        data = still()
        data[first:, :3] = still(mean=(9.8, 0, 0, 0, 0, 0))[first:, :3]
        with pytest.raises(InputError, match="moved"):
            rest(data, 100)


def test_samples_that_are_missing_are_left_out_and_a_missing_gyroscope_stays_missing():
    data = still(mean=(0, 0, 9.8, 0.02, -0.01, 0))
    data[::7, 1] = np.nan
    assert np.abs(rest(data, 100).mean - (0, 0, 9.8, 0.02, -0.01, 0)).max() < 0.03
    data[:, 3:] = np.nan
    assert np.isnan(rest(data, 100).mean).tolist() == [False] * 3 + [True] * 3


def test_too_little_is_refused():
    for data in (still(0.5), np.empty((0, 6)), np.full((500, 6), np.nan)):
        with pytest.raises(InputError, match="expected 100 samples of acceleration or more, got"):
            rest(data, 100)


@given(cuts=st.lists(st.integers(0, 1800), max_size=12))
@settings(max_examples=20, deadline=None)
def test_rests_are_found_however_the_samples_are_cut(cuts):
    rng = np.random.default_rng(1)
    moving = rng.normal(0, 4, (300, 6)).astype(np.float32)
    data = np.concatenate([still(3), moving, still(4, mean=(9.8, 0, 0, 0, 0, 0)), moving, still(4), moving[:100]])
    time_ns = np.arange(len(data)) * 10**7
    edges = sorted({0, *cuts, len(data)})
    blocks = [SampleBlock(time_ns[a:b], data[a:b]) for a, b in itertools.pairwise(edges)]
    steps = list(find_rests(blocks, 100))
    found = [step for step in steps if isinstance(step, Rest)]
    assert [face_of(it.mean[:3]) for it in found] == ["z up", "x up", "z up"]
    assert len(steps) == (len(data) - 200) // 25 + 1 and sum(step is None for step in steps) > 10
    assert all(150 <= len(it.data) <= 200 and it.data.std(axis=0).max() < 0.1 for it in found)


def test_a_silent_sensor_ends_a_rest():
    block = SampleBlock(np.arange(300) * 10**7, still(3))
    empty = SampleBlock(np.empty(0, np.int64), np.empty((0, 6), np.float32))
    kinds = [type(step) for step in find_rests([block, empty, block], 100)]
    assert kinds.count(SilentError) == 1 and kinds.count(Rest) == 2

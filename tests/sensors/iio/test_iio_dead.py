"""Dead data from the kernel: found, left out, said, and the device set up again."""

import time

import numpy as np
import pytest
from iio_trees import PERIOD_NS, recent, take

from motionsig.sensors.iio import open_iio

ACC, GYR = 0.002394202, 0.000532632
"""m/s² and rad/s per count, as the tree's chip is set."""


def moving(count):
    """Counts (n, 6) of a sensor that moves, with noise."""
    chance = np.random.default_rng(0)
    t = np.arange(count)[:, None] * PERIOD_NS / 1e9
    felt = [0.5, 0.8, 9.8, 0, 0, 0] + np.sin(11 * t + np.arange(6)) * [2, 3, 1, 0.8, 0.6, 0.5]
    noise = chance.normal(size=(count, 6)) * [0.02, 0.02, 0.02, 0.002, 0.002, 0.002]
    return np.rint((felt + noise) / np.repeat([ACC, GYR], 3)).astype(int)


@pytest.mark.parametrize("dead", ["all", "acc"])
def test_dead_data_are_left_out_and_the_device_is_set_up_again(tree, chip, dead, caplog):
    counts = moving(250)
    counts[60:, : 6 if dead == "all" else 3] = 0
    with open_iio(root=tree.root) as source:
        stream = iter(source)
        chip.feed(recent(250), counts)
        while not source.counts.recoveries:
            next(stream)
        assert "acceleration stands still at 0, 0, 0" in source.trouble
        assert caplog.text.count("stands still") == 1
        assert 60 + 2 * 100 >= source.counts.samples >= 60
        time.sleep(1)
        chip.feed(recent(100), moving(100))
        while not (block := next(stream)).gap:
            assert not len(block)
        assert len(block) >= 40
        assert source.trouble is None
        assert source.counts.lost >= source.counts.dead > 0


def test_a_polled_device_that_never_changes_is_not_dead(tree, chip):
    tree.put(chip.where, trigger__current_trigger="", in_accel_z_raw="4096")
    with open_iio(root=tree.root) as source:
        take(source, 200)
        assert (source.trouble, source.counts.dead) == (None, 0)


def test_a_polled_device_without_gravity_is_said(tree, chip):
    tree.put(chip.where, trigger__current_trigger="")
    with open_iio(root=tree.root) as source:
        for _ in source:
            if source.counts.recoveries:
                break
        assert "acceleration stands still at 0, 0, 0" in source.trouble
        assert source.counts.samples <= 200

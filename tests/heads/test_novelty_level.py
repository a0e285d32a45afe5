"""The level of a novelty: as low as normal life allows, however rare what is odd in it."""

import numpy as np
from made_heads import SPEC

from motionsig.blocks import SignatureBatch
from motionsig.heads.teaching import Wish, likeness, of_normal_life

HOP_NS = 1_280_000_000
HOURS = 8


def life(*, bursts, seed=0):
    """Return hours of signatures like one of three, in which for `bursts` times half a minute something odd is done."""
    rng = np.random.default_rng(seed)
    count = HOURS * 3600 * 10**9 // HOP_NS
    codes = np.zeros((count, 8))
    codes[np.arange(count), rng.integers(0, 3, count)] = 100
    codes += rng.normal(0, 4, codes.shape)
    for number in range(bursts):
        # Each in an hour that is asked, and each another thing.
        begin = (2 * number + 1) * 3600 * 10**9 // HOP_NS + 900
        codes[begin : begin + 24] = 0
        codes[begin : begin + 24, 3 + number] = 100
    quality = np.zeros(count, np.uint8)
    return SignatureBatch(np.arange(count) * HOP_NS, codes.astype(np.int8), quality, HOP_NS, SPEC)


def taught(bursts, most_an_hour):
    wish = Wish(most_an_hour=most_an_hour, least_s=10.0, hold_s=10.0)
    return of_normal_life("odd", [life(bursts=bursts)], wish=wish)


def test_rare_odd_moments_that_may_be_told_do_not_raise_the_level():
    without, allowed, forbidden = taught(0, 0.1), taught(2, 0.6), taught(2, 0.1)
    # They are 0.3 % of what is asked, and far from all else.
    assert allowed.timing.on < 0.1 and without.timing.on < 0.1 and forbidden.timing.on > 0.5
    assert allowed.measured["false_alarms_an_hour"][0] == 0.5
    assert forbidden.measured["false_alarms_an_hour"][0] == 0.0


def test_where_one_event_goes_on_for_hours_is_no_good_level():
    head, lived = taught(0, 4.0), life(bursts=0)
    assert (1 - likeness(lived.codes, head.weights.rows) >= head.timing.on).mean() < 0.1

"""Levels and rates of false alarms: they agree, fall where they should, and say what a count in the same life says."""

import numpy as np
import pytest
from made_life import background, codes_of_people

from motionsig.errors import InputError
from motionsig.heads.rates import LEAST, Rates
from motionsig.heads.teaching import likeness

HOP_S = 0.16
RATES = [1e-4, 0.01, 0.1, 1.0, 10.0, 60.0]


def rates_of(scores, **more):
    scores = np.asarray(scores, float)
    return Rates(scores, background(np.zeros((len(scores), 8), np.int8), **more))


def normal(count=4000, seed=0, **more):
    return rates_of(np.random.default_rng(seed).normal(0, 0.25, count).clip(-1, 1), **more)


@pytest.mark.parametrize("people", [1, 2, 20])
@pytest.mark.parametrize("wished", RATES)
def test_the_level_for_a_rate_has_that_rate(people, wished):
    rates = normal(people=people)
    rate = rates.at(rates.level_for(wished, HOP_S), HOP_S)
    # Among the background's own signatures, the level is one of theirs.
    assert 0.97 * wished <= rate.an_hour <= wished * (1 + 1e-6)


def test_a_higher_level_has_a_lower_rate():
    rates = normal()
    an_hour = [rates.at(level, HOP_S).an_hour for level in np.linspace(-0.9, 1, 400)]
    assert np.diff(an_hour).max() <= 0 and an_hour[0] > 100 and an_hour[-1] < 1e-6
    assert np.diff([rates.level_for(wished, HOP_S) for wished in np.geomspace(1e-6, 1000, 100)]).max() <= 0


@pytest.mark.parametrize("level", [0.0, 0.5, 0.75, 0.9])
def test_the_interval_holds_the_rate_and_a_person_may_have_more(level):
    rate = normal().at(level, HOP_S)
    assert 0 <= rate.low < rate.an_hour < rate.high
    assert rate.an_hour < rate.person_high


def test_more_people_narrow_the_interval():
    def width(people):
        offset = np.random.default_rng(9).normal(0, 0.1, people)[np.arange(6000) * people // 6000]
        scores = np.random.default_rng(0).normal(0, 0.2, 6000) + offset
        rate = rates_of(scores.clip(-1, 1), people=people).at(0.6, HOP_S)
        return rate.high / rate.low

    assert width(100) < 0.7 * width(4)


def test_farther_beyond_what_was_seen_less_is_known():
    rates = normal()
    widths = [np.log(rate.an_hour / rate.low) for rate in (rates.at(level, HOP_S) for level in (0.6, 0.8, 0.95))]
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize(
    "scores",
    [
        np.full(1000, -1.0),
        np.full(1000, 0.9),
        np.full(1000, 1.0),
        np.full(1000, 0.0),
        np.r_[1.0, np.full(999, -1.0)],
        np.r_[0.9, 0.8, 0.7, np.full(997, -1.0)],
        np.r_[np.full(500, 0.9), np.full(500, 0.1)],
    ],
)
@pytest.mark.parametrize("people", [1, 20])
@pytest.mark.parametrize("wished", RATES)
def test_equal_scores_rest_and_one_person_never_give_nan_nor_more_than_was_wished(scores, people, wished):
    rates = rates_of(scores, people=people)
    level = rates.level_for(wished, HOP_S)
    for each in (level, -1.0, 0.0, 0.75, 0.97, 1.0):
        rate = rates.at(each, HOP_S)
        assert np.isfinite([rate.an_hour, rate.low, rate.high, rate.person_high]).all()
        assert 0 <= rate.low <= rate.an_hour <= rate.high
    assert rates.at(level, HOP_S).an_hour <= wished * (1 + 1e-6)


@pytest.mark.parametrize("count", [0, 1, LEAST - 1])
def test_too_few_signatures_are_refused(count):
    with pytest.raises(InputError, match=f"expected at least {LEAST} signatures of other life, got {count}$"):
        rates_of(np.zeros(count))


def test_the_scores_order_does_not_matter_and_the_same_gives_the_same():
    scores = np.random.default_rng(3).normal(0, 0.25, 2000)
    life = background(np.zeros((2000, 8), np.int8))
    turned = background(np.zeros((2000, 8), np.int8))
    order = np.random.default_rng(4).permutation(2000)
    turned = type(life)(
        life.codes,
        life.at_rest,
        life.seconds,
        life.person[order],
        life.cell[order],
        life.label,
        life.labels,
        life.sources,
    )
    one, other = Rates(scores, life).at(0.8, HOP_S), Rates(scores[order], turned).at(0.8, HOP_S)
    assert one.an_hour == pytest.approx(other.an_hour) and one.high == pytest.approx(other.high)
    assert Rates(scores, life).at(0.8, HOP_S) == Rates(scores, life).at(0.8, HOP_S)


def test_what_is_counted_in_a_made_up_life_lies_in_the_interval():
    """Each hop of this life is a signature, and the bank holds one of 144. A motion lasts for seconds."""
    rng = np.random.default_rng(2)
    hops = np.repeat(codes_of_people(40_000, people=100, dim=16, seed=1), 1 + rng.geometric(1 / 18, 40_000), axis=0)
    hours = len(hops) * HOP_S / 3600
    life = background(hops[::144], people=100, seconds=144 * HOP_S)
    held = 0
    for row in np.rint(rng.normal(size=(30, 1, 16)) * 40).clip(-127, 127).astype(np.int8):
        rates = Rates(likeness(life.codes, row), life)
        level = rates.level_for(2.0, HOP_S)
        rate = rates.at(level, HOP_S)
        counted = int((np.diff((likeness(hops, row) >= level).astype(int), prepend=0) > 0).sum())
        held += rate.low * hours - 1 <= counted <= rate.high * hours + 1
    assert held >= 27


def test_equal_scores_are_above_a_level_together():
    rates = rates_of(np.r_[np.full(500, 0.9), np.full(500, 0.1)])
    apart = rates_of(np.r_[np.full(500, 0.9) + np.arange(500) * 1e-9, np.full(500, 0.1)])
    assert rates.at(0.9, HOP_S).an_hour == pytest.approx(apart.at(0.9, HOP_S).an_hour, rel=0.01)
    assert rates.at(0.1, HOP_S).an_hour > 1.2 * rates.at(0.9, HOP_S).an_hour

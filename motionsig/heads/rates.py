"""How often a head fires in other people's life: a level for a wished rate, and a rate for a level.

The background holds single signatures, each of which stands for some seconds of somebody's life, and a head gives each
a score. From these scores follow, in this order:

1. *Seconds above the level in an hour*, y. Down to the score of the tail's first signature it is the sum of what the
   signatures above stand for. Beyond the rarest scores, y falls as the size of a cap of a sphere does: with
   (1 - score^2) ^ (shape / 2), for scores that are cosines. `shape` is its maximum-likelihood (Hill) estimate.
2. *Alarms in an hour* are y / D, where D seconds make one alarm. A rare alarm is a single window, so D is one hop; a
   frequent one lasts, and lasts longer where few people and activities make all of the alarms.
3. *The 95 % interval* of that: from the scatter between the people of the background, from how much heads differ in D,
   and at its lower end from how far the level lies beyond what the background shows. There may be no alarms at all.
4. *One person's range*: people differ by a gamma factor, few of them get most of the rare alarms.

The constants were fitted to 400 heads made of random windows of the background's own sets. Tried on 434 heads of
gestures and movements of 21 sets, with a background of one half of the people, by counting alarms in the other half's
life, 67 hours a head: the count lay in the interval, give or take one alarm, for 97.0 % of heads at a stated .1 an hour
and for 98.6 % at 1. The rates counted were 1.25 times those stated. It holds for the background's own mix of people
and places: on wrists alone, or in another set, there were twice as many and the interval held for 91 to 94 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionsig.errors import InputError
from motionsig.heads.background import Background

Floats = NDArray[np.float64]

LEAST = 300
"""Signatures of a background that anything can be said of."""

_TAIL_SHARE, _LEAST_IN_TAIL, _MOST_IN_TAIL = 0.01, 30, 400
_Z = 1.96  # standard deviations on either side of 95 % of a normal distribution
_LASTS_S = 6.8  # seconds above the level in one alarm, where there is one an hour
_GROWTH = 0.32  # exponent with which they grow with the rate
_MIXING = 0.6  # exponent with which they fall with the number of people and activities in the tail
_LASTING = 0.455  # standard deviation of log D between heads
_EXTENDING = 0.3  # by which the lower end's standard deviation grows for each factor of e beyond the tail's first score
_ALIKE = 0.197  # shape of the gamma distribution of the rates of people, where there is one alarm an hour
_SPREAD = 0.366  # exponent with which that shape grows with the rate
_DRAWS, _ROUNDS = 4000, 40
_STEEPEST = 1e3  # shape where the tail's scores are all alike; that of codes is about their number
_WIDEST = 20.0  # standard deviation of log y where nothing can be known; more would overflow


@dataclass(frozen=True)
class Rate:
    """False alarms an hour: of people like those of the background together, and of one new person.

    low, high: the 95 % interval of the average over people. person_high: 97.5 % of new people stay below it.
    """

    an_hour: float
    low: float
    high: float
    person_high: float


class Rates:
    """The scores of one head in other life, ready to be asked; highest: the greatest possible score."""

    def __init__(self, scores: Floats, life: Background, *, highest: float = 1.0) -> None:
        """scores: (n,) of the background's signatures. Raises InputError where there are too few of them."""
        if len(scores) < LEAST:
            raise InputError(f"background: expected at least {LEAST} signatures of other life, got {len(scores)}")
        order = np.argsort(-scores, kind="stable")
        self._highest = highest
        self._scores = np.asarray(scores, np.float64)[order]
        seconds = life.seconds[order]
        above = np.cumsum(seconds) / (seconds.sum() / 3600)
        # Seconds an hour at each score and above, equal scores included.
        self._above = above[np.searchsorted(-self._scores, -self._scores, side="right") - 1]
        count = min(max(round(_TAIL_SHARE * len(scores)), _LEAST_IN_TAIL), _MOST_IN_TAIL)
        depth = self._depth(self._scores[: count + 1])
        self._edge, seconds, excess = float(depth[count]), seconds[:count], depth[:count] - depth[count]
        self._level, self._count = float(above[count - 1]), count
        total = max(float(seconds @ excess), float(seconds.sum()) / _STEEPEST)
        self._shape = float(seconds.sum()) / total
        owners = np.unique(life.person[order][:count], return_inverse=True)[1]
        # Each person's part of the seconds above the edge, and of the sum of excesses.
        self._people = max(2, life.people)
        self._seconds_of = np.bincount(owners, seconds) / seconds.sum()
        self._excess_of = np.bincount(owners, seconds * excess) / total
        # One in so many pairs of signatures of the tail is of the same person, place and activity.
        counts = np.unique(life.cell[order][:count], return_counts=True)[1]
        self._cells = count * (count - 1) / (1.0 + float((counts * (counts - 1)).sum()))

    def _depth(self, score: Floats | float) -> Floats:
        share = np.clip(np.asarray(score, np.float64) / self._highest, 0.0, 1 - 1e-6)
        return np.asarray(-0.5 * np.log1p(-share * share))

    def level_for(self, an_hour: float, hop_s: float) -> float:
        """Return the level at which at most so many alarms an hour are expected, with signatures hop_s apart."""
        wanted = an_hour * self._lasts_s(an_hour, hop_s)
        last = int(np.searchsorted(self._above, wanted, side="right")) - 1
        if last >= self._count:
            return float(self._scores[last])
        depth = self._edge + np.log(max(self._level / wanted, 1.0)) / self._shape
        # Of equal scores at the edge, none is above the level.
        above_edge = np.nextafter(self._scores[self._count], np.inf)
        return float(max(self._highest * np.sqrt(-np.expm1(-2 * depth)), above_edge))

    def at(self, level: float, hop_s: float) -> Rate:
        """Return what is to be expected of a level, with signatures hop_s apart."""
        beyond = self._shape * (float(self._depth(level)) - self._edge)  # factors of e from the edge
        if beyond <= 0:
            rank = int(np.searchsorted(-self._scores, -level, side="right"))
            seconds, beyond = float(self._above[rank - 1]) if rank else 0.0, 0.0
        else:
            seconds = self._level * float(np.exp(-beyond))
        rate = seconds / hop_s
        for _ in range(_ROUNDS):
            rate = seconds / self._lasts_s(rate, hop_s)
        # What leaving out or doubling one person would change in log y. People without a signature in the tail change
        # nothing; the mean is 1.
        change = self._seconds_of * (1 - beyond) + beyond * self._excess_of
        mean = change.sum() / self._people
        absent = self._people - len(change)
        scatter = (((change - mean) ** 2).sum() + absent * mean**2) * self._people / (self._people - 1)
        upper = min(float(np.sqrt(scatter + _LASTING**2)), _WIDEST)
        lower = float(np.sqrt(upper**2 + (_EXTENDING * beyond) ** 2))
        # The same for the same head: teaching it twice gives the same bytes.
        draws = np.random.default_rng(0)
        shape = max(_ALIKE * rate**_SPREAD, 1e-6)
        person = draws.gamma(shape, 1 / shape, _DRAWS) * np.exp(upper * draws.standard_normal(_DRAWS))
        low, high = rate * np.exp(-_Z * lower), rate * np.exp(_Z * upper)
        return Rate(rate, float(low), float(high), float(rate * np.quantile(person, 0.975)))

    def _lasts_s(self, rate: float, hop_s: float) -> float:
        """Return how many seconds make one alarm, counted as one hop for each signature above the level."""
        return float(hop_s + _LASTS_S * self._cells**-_MIXING * rate**_GROWTH)

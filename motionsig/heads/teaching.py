"""Heads made of signatures: of a few performances, of normal life, or of rest alone (`linear` makes those of labels).

Everything here is closed form and takes a few tens of milliseconds. What a head gets wrong is not guessed: its level
and its rate of false alarms come from other life, and each performance is asked of a head that was made without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, SignatureSpec, concatenate
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.heads.background import Background
from motionsig.heads.card import (
    HIGHEST,
    LOWEST,
    MOST_S,
    NOVELTY,
    PROTOTYPES,
    STATE,
    After,
    HeadCard,
    Taught,
    Timing,
    Weights,
)
from motionsig.heads.judging import Judge
from motionsig.heads.prototypes import prototypes
from motionsig.heads.rates import Rate, Rates
from motionsig.heads.scoring import rows_of, weigh
from motionsig.quality import is_at_rest

Codes = NDArray[np.int8]

HOP_NS = 160_000_000
"""From one signature to the next where heads judge live, by default."""
LEAST_LIKE = 0.75
"""The least cosine to an example that counts as another performance, however rare it is in other life. On gestures of
eight public sets, with three performances, .70 finds .988 of a person's own and takes .23 of the other gestures of that
person for it; .75 finds .983 and takes .15; .80 finds .972 and takes .08."""
MOST_LIKE = 0.97
"""A level that a second performance still reaches."""
OFF_SHARE = 0.9
"""Of the level at which an event begins, the level below which it is over."""
REFRACTORY_S = 2.56
"""One performance is one event: it is seen for as long as a window."""
UNLIKE = 0.2
"""A performance whose likeness to the others is so much less than is usual among them is another motion."""
NORMAL_ROWS = 512
"""Signatures of normal life that a novelty compares with."""
MOST_EXAMPLES, MOST_AGAINST = 3000, 1024
"""Signatures that a head keeps: a head's file has a limit."""
_LEVELS = 30  # that are tried for a novelty
_MOST_UNLIKE = 0.1  # so much of normal life is above its level, if so much may be told
_SHOWN = 3
_AT_ONCE = 1 << 22  # cosines
_MOST_NORMAL = 20_000  # signatures of normal life that rows are chosen from


@dataclass(frozen=True)
class Wish:
    """What a head shall be like.

    most_an_hour: false alarms that its level may allow. least_s, most_s, hold_s: as in `Timing`. while_head, after:
    what it needs. hop_ns: from one signature to the next, where it will be used. Raises InputError for numbers that
    cannot be.
    """

    most_an_hour: float = 0.1
    least_s: float = 0.0
    most_s: float | None = None
    hold_s: float = 0.0
    while_head: str | None = None
    after: After | None = None
    hop_ns: int = HOP_NS

    def __post_init__(self) -> None:
        if not 0 < self.most_an_hour < math.inf:
            raise InputError(f"most_an_hour: expected a number above 0, got {self.most_an_hour}")
        within_s = self.after.within_s if self.after else 0.0
        for what, seconds in (
            ("least_s", self.least_s), ("most_s", self.most_s or 0.0), ("hold_s", self.hold_s), ("after", within_s),
        ):  # fmt: skip
            if not 0 <= seconds <= MOST_S:
                raise InputError(f"{what}: expected seconds from 0 to a week, got {seconds}")
        if self.most_s is not None and self.most_s < self.least_s:
            raise InputError(f"most_s: expected at least least_s, {self.least_s:g} s, got {self.most_s:g}")


def of_performances(
    name: str,
    performances: Sequence[Codes],
    spec: SignatureSpec,
    life: Background,
    *,
    against: Codes | None = None,
    wish: Wish | None = None,
) -> HeadCard:
    """Return a head that finds more performances like these, wherever they are in a stream.

    performances: (k, dim) codes of the windows of each. against: (p, dim) codes of what it is not, of which those most
    like a performance are kept. life: what it must not fire at. Raises InputError where there is no performance, for
    too many, and for too little life.
    """
    wish, hop_s = wish or Wish(), (wish or Wish()).hop_ns / NS_PER_S
    if not performances or not all(map(len, performances)):
        raise InputError(f"head {name}: expected performances, got none")
    _require_no_zero_points(name, spec)
    examples = np.concatenate(performances)
    if len(examples) > MOST_EXAMPLES:
        raise InputError(f"head {name}: expected performances of {MOST_EXAMPLES:,} signatures, got {len(examples):,}")
    number = np.repeat(np.arange(len(performances)), list(map(len, performances))).astype(np.uint16)
    wrong = np.zeros((0, examples.shape[1]), np.int8) if against is None else against
    weights = prototypes(examples)
    likely = likeness(life.codes, examples)
    rates = Rates(np.where(life.at_rest, -1.0, likely), life)
    level = max(LEAST_LIKE, rates.level_for(wish.most_an_hour, hop_s))
    own = asked_of_the_others(performances, wrong)
    if len(wrong):
        nearness = likeness(wrong, examples)
        wrong = wrong[np.sort(np.argsort(-nearness, kind="stable")[:MOST_AGAINST])]
        # "Not this" is never it; and what is as like it hardly ever is.
        nearest = float(nearness.max())
        level = max(level, min(nearest, (nearest + float(np.median(own))) / 2) if len(own) else nearest)
    level = min(level, MOST_LIKE)
    rate = rates.at(level, hop_s)
    measured: dict[str, Any] = {
        "given": len(performances),
        "found": int((own >= level).sum()) if len(own) else None,
        "false_alarms_an_hour": _stated(rate, life.hours),
        "one_person_an_hour_at_most": _figure(rate.person_high),
        "hours": round(life.hours, 1),
        "from": str(life),
        "would_fire_at": _labels_above(life, likely, level),
        "hop_s": hop_s,
    }
    timing = Timing(level, OFF_SHARE * level, wish.least_s, wish.most_s, wish.hold_s, REFRACTORY_S)
    return HeadCard(
        name, PROTOTYPES, False, spec.fingerprint, (0, examples.shape[1]), wish.hop_ns, LOWEST, timing, weights,
        Taught(examples, number, wrong), wish.while_head, wish.after, measured,
    )  # fmt: skip


def _require_no_zero_points(name: str, spec: SignatureSpec) -> None:
    # Codes less their zero points need not fit into the int8 of a head's rows.
    if any(group.zero_point for group in spec.quantization.groups):
        raise InputError(f"head {name}: expected an encoder whose codes have zero points of 0, got {spec.quantization}")


def likeness(codes: Codes, examples: Codes) -> NDArray[np.float64]:
    """Return (n,) the cosine of codes (n, dim) to the nearest of examples (m, dim)."""
    rows, step = rows_of([prototypes(examples)]), max(1, _AT_ONCE // len(examples))
    parts = [weigh(codes[at : at + step].astype(np.float32), rows).max(axis=1) for at in range(0, len(codes), step)]
    return np.concatenate([np.zeros(0), *parts])


def asked_of_the_others(performances: Sequence[Codes], wrong: Codes | None = None) -> NDArray[np.float64]:
    """Return (p,) the best likeness of each performance to the examples of all others; empty for a single one.

    What is nearer to one of wrong (n, dim), the counter-examples, is -1, as a head never takes it.
    """
    if len(performances) < 2:
        return np.zeros(0)
    return np.asarray(_of_windows(performances, wrong).max(axis=1))


def _of_windows(performances: Sequence[Codes], wrong: Codes | None = None) -> NDArray[np.float64]:
    """Return (p, p) the best likeness of a window of each performance to each performance; -1 to itself."""
    examples = np.concatenate(performances)
    begins = np.cumsum([0, *map(len, performances[:-1])])
    rows, found = rows_of([prototypes(examples)]), []
    for at, one in enumerate(performances):
        each = np.maximum.reduceat(weigh(one.astype(np.float32), rows), begins, axis=1)
        each[:, at] = -1.0
        if wrong is not None and len(wrong):
            each[likeness(one, wrong) > each.max(axis=1)] = -1.0
        found.append(each.max(axis=0))
    return np.stack(found)


class Unlike(NamedTuple):
    """A performance that is not like the others: its number, its likeness to them, and what is usual among them."""

    number: int
    likeness: float
    usual: float

    @property
    def why(self) -> str:
        """Why it is not used, in words."""
        return f"it is unlike the others: {self.likeness:.2f}, where {self.usual:.2f} is usual among them"


def unlike_the_others(performances: Sequence[Codes]) -> list[Unlike]:
    """Return the performances, of three or more, that the others do not agree with."""
    if len(performances) < 3:
        return []
    likenesses = _of_windows(performances)
    found = []
    for at, own in enumerate(likenesses.max(axis=1).tolist()):
        # What is usual is told without the one in doubt, as it takes part in the others' figures, too.
        usual = float(np.median(np.delete(np.delete(likenesses, at, axis=0), at, axis=1).max(axis=1)))
        if own < min(LEAST_LIKE, usual - UNLIKE):
            found.append(Unlike(at, own, usual))
    return found


def of_normal_life(name: str, days: Sequence[SignatureBatch], *, wish: Wish | None = None) -> HeadCard:
    """Return a head whose state is that something is unlike all of normal life.

    days: signatures of normal life, in order of time; every second hour is compared with, the other ones say how often
    it is wrong. Raises InputError for less than two hours in which something moves.
    """
    wish = wish or Wish(least_s=10.0, hold_s=10.0)
    days = [day[~is_at_rest(day.quality)] for day in days]
    total = sum(map(len, days))
    hop_s = days[0].hop_ns / NS_PER_S if days else 0.0
    if total * hop_s < 2 * 3600:
        raise InputError(
            f"head {name}: expected two hours or more of normal life in which something moves, got "
            f"{total * hop_s / 3600:.1f} h"
        )
    whole = concatenate(days)
    _require_no_zero_points(name, whole.spec)
    # By what moves and not by the clock, which may say anything: so there is an hour and more on either side.
    apart = (np.arange(total, dtype=np.int64) * whole.hop_ns // (3600 * NS_PER_S) % 2).astype(bool)
    rows = _spread_out(whole.codes[~apart], NORMAL_ROWS)
    nothing = np.zeros((0, whole.codes.shape[1]), np.int8)
    taught = Taught(nothing, np.zeros(0, np.uint16), nothing)

    def card(level: float, measured: dict[str, Any]) -> HeadCard:
        timing = Timing(level, OFF_SHARE * level, wish.least_s, None, wish.hold_s)
        return HeadCard(
            name, NOVELTY, True, whole.spec.fingerprint, (0, whole.codes.shape[1]), whole.hop_ns, LOWEST, timing,
            prototypes(rows), taught, wish.while_head, wish.after, measured,
        )  # fmt: skip

    asked = whole[apart]
    hours = len(asked) * hop_s / 3600
    level, alarms = _level_on(asked, card, rows, wish.most_an_hour * hours)
    low, high = poisson_interval(alarms)
    measured = {
        "false_alarms_an_hour": _figures(alarms / hours, low / hours, high / hours),
        "hours": round(hours, 1),
        "from": f"{hours:.1f} h of your own days",
        "hop_s": hop_s,
    }
    return card(level, measured)


def _level_on(asked: SignatureBatch, card: Any, rows: Codes, most: float) -> tuple[float, int]:
    """Return the lowest level from which on a novelty is told at most `most` times, and how often it is."""
    novelty = 1.0 - likeness(asked.codes, rows)
    # From the highest downwards: far below, one event goes on for hours, and few events are no sign of a good level.
    # Most levels are among the rare high ones, where the next one may be twice as high.
    shares = np.geomspace(1 / len(novelty), _MOST_UNLIKE, _LEVELS)
    level, begun = float(np.nextafter(novelty.max(), 2.0)), 0
    for lower in np.quantile(novelty, 1.0 - shares).tolist():
        there = _begun(asked, card(max(lower, 1e-6), {}))
        if there > most:
            break
        level, begun = max(lower, 1e-6), there
    return level, begun


def _begun(asked: SignatureBatch, card: HeadCard) -> int:
    return sum(event.phase == "began" for event in Judge([card]).judge(asked))


def _spread_out(codes: Codes, most: int) -> Codes:
    """Return at most so many of codes (n, dim), each as far from those before as can be (Gonzalez 1985)."""
    codes = np.unique(codes[:: -(-len(codes) // _MOST_NORMAL)], axis=0)
    nearest = np.full(len(codes), -np.inf)
    chosen = [0]
    while len(chosen) < min(most, len(codes)):
        nearest = np.maximum(nearest, likeness(codes, codes[chosen[-1:]]))
        chosen.append(int(nearest.argmin()))
    return codes[chosen]


def of_rest(name: str, spec: SignatureSpec, *, moving: bool, wish: Wish | None = None) -> HeadCard:
    """Return a head whose state is that a thing moves, or that it lies still, by the flag AT_REST alone."""
    wish = wish or Wish(hold_s=10.0)
    nothing = np.zeros((0, spec.quantization.dim), np.int8)
    weights = Weights(nothing, np.zeros(0), np.zeros(0))
    timing = Timing(0.5, 0.5, wish.least_s, None, wish.hold_s)
    return HeadCard(
        name, STATE, True, spec.fingerprint, (0, spec.quantization.dim), wish.hop_ns, LOWEST if moving else HIGHEST,
        timing, weights, Taught(nothing, np.zeros(0, np.uint16), nothing), wish.while_head, wish.after,
    )  # fmt: skip


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a Poisson variable that was `count` (Wilson & Hilferty 1931)."""

    def bound(n: float, z: float) -> float:
        return n * (1 - 1 / (9 * n) + z / (3 * math.sqrt(n))) ** 3

    return (bound(count, -1.96) if count else 0.0), bound(count + 1.0, 1.96)


def _labels_above(life: Background, scores: NDArray[np.float64], level: float) -> list[str]:
    """Return what was done where other life is above the level, the most frequent first."""
    above = (scores >= level) & ~life.at_rest
    seconds = np.bincount(life.label[above], life.seconds[above], minlength=len(life.labels))
    return [life.labels[at] for at in np.argsort(-seconds, kind="stable")[:_SHOWN] if seconds[at]]


def _stated(rate: Rate, hours: float) -> list[float]:
    """Return the rate and its interval as they are told: no more than can be known from so many hours."""
    # Below one alarm in all of that life, none was seen; and where none was, there may be three (95 %).
    low = rate.low if rate.low * hours >= 1 else 0.0
    return _figures(rate.an_hour, low, max(rate.high, 3 / hours))


def _figures(*values: float) -> list[float]:
    return [_figure(value) for value in values]


def _figure(value: float) -> float:
    """Return two significant digits: more would say more than is known. What never happens is 0."""
    return float(f"{value:.2g}") if value >= 1e-6 else 0.0

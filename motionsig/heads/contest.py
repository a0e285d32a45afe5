"""Which of several motions it was: the heads of motions that were taught by performing them compete.

A window that holds only a part of a motion may be nearest to another one. So the heads wait: from the first score that
one of them would tell of, SETTLE_S pass before the one with the highest score is told, or less where the motion is over
before. A head that competes with none does not wait. Measured on the gestures of eight public sets, with up to twelve
heads of one person at once and three performances of each: without a wait a right event for .969 of them and a wrong
one for .176, with this wait .934 and .044.

A motion may go on for long: walking that is somewhat like a taught one keeps that head under way, and must not hide
what is performed meanwhile. So a head that begins later, and not within `refractory_s`, begins another motion.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.conventions import NS_PER_S
from motionsig.heads.card import PROTOTYPES, HeadCard
from motionsig.heads.scoring import NEVER

SETTLE_S = 0.64


def competes(card: HeadCard) -> bool:
    """Tell whether a head competes with others: not one that says itself how long its event lasts, or what it needs."""
    timing = card.timing
    plain = timing.most_s is None and not timing.least_s and not timing.hold_s and not card.needs
    return card.kind == PROTOTYPES and not card.is_state and plain


class Name(NamedTuple):
    """What names a signature for good."""

    device: str
    stream_id: int
    seq: int


class Won(NamedTuple):
    """Which head won, and in which row of the batch that was known; -1 where the signatures end.

    begun_ns, last_ns: starts of the first and the last signature; last: the latter's name. score: the highest.
    """

    row: int
    head: int
    begun_ns: int
    last_ns: int
    last: Name
    score: float


NOTHING = Name("", 0, 0)


@dataclass
class Contest:
    """How far a motion is that one of the heads may tell of.

    cards: those that compete, or the only one that would. begun_ns: start of the first signature, None while there is
    no motion. last_ns, last: start and name of the last one. peaks: the highest score of each head since then; began:
    which of them began since then. told: one was told, or none will be. free_ns: no motion begins before. under_way:
    which heads began and were not below `off` since, in this motion or before.
    """

    cards: Sequence[HeadCard]
    begun_ns: int | None = None
    last_ns: int = 0
    last: Name = NOTHING
    peaks: list[float] = field(default_factory=list)
    told: bool = False
    free_ns: int | None = None
    began: list[bool] = field(default_factory=list)
    under_way: list[bool] = field(default_factory=list)

    def follow(self, starts: Sequence[int], scores: NDArray[np.float64], hop_ns: int, first: Name) -> list[Won]:
        """Return what is told in a batch; starts: (k,) of its signatures, `first` named. scores: (k, heads)."""
        on = np.array([card.timing.on for card in self.cards])
        off = np.array([card.timing.off for card in self.cards])
        goes_on = np.asarray((scores >= off).any(axis=1)).tolist()
        above = scores >= on
        rows = np.flatnonzero(above.any(axis=1)).tolist()
        settle_ns = round(SETTLE_S * NS_PER_S) if len(self.cards) > 1 else 0
        won, row = list[Won](), 0
        while row < len(starts):
            if self.begun_ns is None:
                following = bisect.bisect_left(rows, row)
                if following == len(rows):
                    break
                row = rows[following]
                self.under_way = [False] * len(self.cards)
                self._begin(starts[row])
            if not 0 <= starts[row] - self.last_ns <= hop_ns:
                # Nothing is known of the time between, or the clock was set back: this row may begin something new.
                won += self._end(row)
                continue
            former = self.under_way
            self.under_way = (above[row] | ((scores[row] >= off) & former)).tolist()
            begins = [now and not before for now, before in zip(self.under_way, former, strict=True)]
            if any(begins) and self.told and not self._is_too_early(starts[row]):
                # While the one that was told goes on, another one begins.
                self._begin(starts[row])
            self.began = [any(pair) for pair in zip(self.began, begins, strict=True)]
            if goes_on[row]:
                self.last_ns, self.last = starts[row], first._replace(seq=first.seq + row)
                self.peaks = [max(pair) for pair in zip(self.peaks, scores[row].tolist(), strict=True)]
                if not self.told and self.last_ns - (self.begun_ns or 0) >= settle_ns:
                    won += self._tell(row)
            else:
                won += self._end(row)
            row += 1
        return won

    def follow_on(self, former: Contest) -> list[Won]:
        """Go on where `former` is, whose heads were others; return what it still had to tell, of which it decides now.

        So no change of heads takes a motion away, nor lets it be told twice.
        """
        won = former._decide(-1)
        self.begun_ns, self.last_ns, self.last = former.begun_ns, former.last_ns, former.last
        self.peaks, self.told, self.free_ns = [NEVER] * len(self.cards), former.told, former.free_ns
        # A head that has just come does not begin with what is under way.
        self.began, self.under_way = [False] * len(self.cards), [True] * len(self.cards)
        return won

    def end(self) -> list[Won]:
        """Return what is still to be told where the signatures end; what comes next has nothing to do with it."""
        won = self._end(-1)
        self.free_ns = None
        return won

    def _begin(self, start_ns: int) -> None:
        self.told = self._is_too_early(start_ns)
        self.begun_ns = self.last_ns = start_ns
        self.peaks, self.began = [NEVER] * len(self.cards), [False] * len(self.cards)

    def _is_too_early(self, start_ns: int) -> bool:
        wait_ns = max(round(card.timing.refractory_s * NS_PER_S) for card in self.cards)
        return self.free_ns is not None and 0 < self.free_ns - start_ns <= wait_ns

    def _tell(self, row: int) -> list[Won]:
        self.told = True
        best = max(range(len(self.peaks)), key=self.peaks.__getitem__)
        timing = self.cards[best].timing
        if self.begun_ns is None or not self.began[best]:
            return []
        self.free_ns = self.last_ns + round(timing.refractory_s * NS_PER_S)
        return [Won(row, best, self.begun_ns, self.last_ns, self.last, self.peaks[best])]

    def _decide(self, row: int) -> list[Won]:
        return [] if self.told or self.begun_ns is None else self._tell(row)

    def _end(self, row: int) -> list[Won]:
        won = self._decide(row)
        self.begun_ns = None
        return won

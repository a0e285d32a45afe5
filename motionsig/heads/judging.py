"""From signatures to events: scores for many heads at once, then a few numbers of state for each head.

The same signatures give the same events however they are cut into batches: what a head remembers is a few numbers.

A head is *under way* from a score of at least `on` until no score was at least `off` for `hold_s`. Nearly always none
of the heads is, and a window then costs one product of matrices for all of them.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.conventions import NS_PER_S
from motionsig.errors import HeadError, InputError
from motionsig.events import BEGAN, ENDED, ONCE, Event
from motionsig.heads.card import HeadCard
from motionsig.heads.contest import NOTHING, Contest, Name, Won, competes
from motionsig.heads.scoring import NEVER, Scoring


def in_order(cards: Sequence[HeadCard]) -> list[HeadCard]:
    """Return heads so that each comes after those that it needs.

    Raises HeadError for two of one name, for a head that needs one that is not among them or itself in the end, and for
    a `while` head that gives no state.
    """
    named = {card.name: card for card in cards}
    if len(named) < len(cards):
        twice = next(card.name for card in cards if sum(card.name == other.name for other in cards) > 1)
        raise HeadError(f"heads: expected one of each name, got {twice!r} twice")
    ordered: dict[str, HeadCard] = {}

    def place(card: HeadCard, path: tuple[str, ...]) -> None:
        if card.name in path:
            raise HeadError(f"heads: expected none that waits for itself, got {' for '.join((*path, card.name))}")
        for need in card.needs:
            if need not in named:
                raise HeadError(f"head {card.name}: expected the head {need!r}, which it needs, among them, got none")
            place(named[need], (*path, card.name))
        if card.while_head and not named[card.while_head].is_state:
            raise HeadError(f"head {card.name}: expected a state as while, got {card.while_head!r}, which gives events")
        ordered.setdefault(card.name, card)

    for card in cards:
        place(card, ())
    return list(ordered.values())


@dataclass(slots=True)
class _Course:
    """How far one head is. begun_ns: start of its first signature, None while it is not under way.

    last_ns, last: start and name of the last signature of at least `off`. peak: the highest score. told: it was told,
    or never will be. holds: of a state, that it was told to have begun. free_ns: no event begins before.
    """

    begun_ns: int | None = None
    last_ns: int = 0
    last: Name = NOTHING
    peak: float = NEVER
    told: bool = False
    holds: bool = False
    free_ns: int | None = None


class _Said(NamedTuple):
    """An event, and the row of the batch in which it was told."""

    row: int
    event: Event


class _Batch(NamedTuple):
    """A batch as the heads read it. holds: where the state of a head holds; said: events of a head that others await.

    start_ns: plain integers, as most rows are not looked at and the others one by one.
    """

    start_ns: list[int]
    hop_ns: int
    holds: dict[str, NDArray[np.bool_]]
    said: dict[str, list[_Said]]


class Judge:
    """What heads find in one stream of signatures after the other.

    cards: heads of one encoder, those that others need among them. `begin` names the stream; without it, it is stream 0
    of a device called "local". The Judge holds no clock and no file: copy or pickle it to stop and resume. scores:
    (k, heads) of the signatures that it was given last.
    """

    def __init__(self, cards: Sequence[HeadCard]) -> None:
        """Raise HeadError for heads that do not go together."""
        self.cards = in_order(cards)
        if len({card.encoder for card in self.cards}) > 1:
            got = ", ".join(f"{card.name} of {card.encoder.hex()}" for card in self.cards)
            raise HeadError(f"heads: expected heads of one encoder, got {got}")
        self._scoring = Scoring(self.cards)
        self._on = np.array([card.timing.on for card in self.cards])
        self._fingerprints = {card.name: card.fingerprint for card in self.cards}
        self._courses = [_Course() for _ in self.cards]
        self._rivals = [at for at, card in enumerate(self.cards) if competes(card)]
        self._alone = [at for at, card in enumerate(self.cards) if not competes(card)]
        self._contest = Contest([self.cards[at] for at in self._rivals])
        self._asked = {card.while_head for card in self.cards}
        self._awaited = {card.after.head for card in self.cards if card.after}
        self._ends_ns: dict[str, int] = {}  # of the last event of each head that another one awaits
        self._length_ns = 0
        self.scores: NDArray[np.float64] = np.empty((0, len(self.cards)))
        self.begin(0)

    def begin(self, stream_id: int, seq: int = 0, *, device: str = "local") -> None:
        """Name the signatures from here on: of `device`, within `stream_id`, numbered from `seq` up.

        What is under way goes on where they follow in time.
        """
        self._device, self._stream_id, self._seq = device, stream_id, seq

    def follow_on(self, former: Judge) -> list[Event]:
        """Go on where `former` is, which is not used again; return the events that end with heads that are no more.

        A head stays if the very same one is among both; one that was taught anew begins anew. Where other heads compete
        from here on, the motion that is under way is decided now.
        """
        left = dict(zip(former._fingerprints.items(), former._courses, strict=True))
        self._courses = [left.pop(same, _Course()) for same in self._fingerprints.items()]
        gone = {name for name, _ in left}
        self._ends_ns = {name: end_ns for name, end_ns in former._ends_ns.items() if name not in gone}
        if [card.fingerprint for card in self._contest.cards] == [card.fingerprint for card in former._contest.cards]:
            self._contest, won = former._contest, []
        else:
            won = [former._won(one) for one in self._contest.follow_on(former._contest)]
        self._ends_ns |= {event.head: event.end_ns for event in won if event.head in self._awaited}
        self._length_ns = former._length_ns
        self.begin(former._stream_id, former._seq, device=former._device)
        ended = (
            former._end(card, left[name])
            for card, name in zip(former.cards, former._fingerprints.items(), strict=True)
            if name in left
        )
        return [*won, *(event for event in ended if event is not None)]

    def judge(self, signatures: SignatureBatch) -> list[Event]:
        """Return the events that these signatures, which follow the last ones, bring about, in order.

        Raises InputError for signatures of another encoder.
        """
        if not len(signatures) or not self.cards:
            return []
        check_encoder(self.cards[0], signatures.spec)
        self._length_ns = signatures.spec.length_ns
        self.scores = scores = self._scoring(signatures)
        above = scores >= self._on
        any_above = np.asarray(above.any(axis=0))
        batch = _Batch(signatures.start_ns.tolist(), signatures.hop_ns, {}, {})
        said: list[_Said] = []
        if self._rivals and (self._contest.begun_ns is not None or any_above[self._rivals].any()):
            first = Name(self._device, self._stream_id, self._seq)
            for one in self._contest.follow(batch.start_ns, scores[:, self._rivals], batch.hop_ns, first):
                said.append(_Said(one.row, self._won(one)))
                if said[-1].event.head in self._awaited:
                    batch.said.setdefault(said[-1].event.head, []).append(said[-1])
        for at in self._alone:
            card = self.cards[at]
            if any_above[at] or self._courses[at].begun_ns is not None:
                here = self._follow(card, self._courses[at], scores[:, at], above[:, at], batch)
                said += here
                if card.name in self._awaited:
                    batch.said[card.name] = [one for one in here if one.event.phase != BEGAN]
        self._ends_ns |= {name: here[-1].event.end_ns for name, here in batch.said.items() if here}
        self._seq += len(signatures)
        said.sort(key=lambda one: one.row)
        return [one.event for one in said]

    def flush(self) -> list[Event]:
        """Return the events that end because the signatures do; what comes next begins anew."""
        won = map(self._won, self._contest.end())
        ended = [self._end(card, course) for card, course in zip(self.cards, self._courses, strict=True)]
        self._courses, self._ends_ns = [_Course() for _ in self.cards], {}
        return [*won, *(event for event in ended if event is not None)]

    def _follow(
        self, card: HeadCard, course: _Course, scores: NDArray[np.float64], above: NDArray[np.bool_], batch: _Batch
    ) -> list[_Said]:
        """Go through the rows of a batch in which one head is under way."""
        timing, said = card.timing, list[_Said]()
        if card.while_head:
            gate = batch.holds.get(card.while_head, np.zeros(len(above), bool))
            scores, above = np.where(gate, scores, NEVER), above & gate
        starts, values, begins = batch.start_ns, scores.tolist(), np.flatnonzero(above).tolist()
        hold_ns, least_ns = round(timing.hold_s * NS_PER_S), round(timing.least_s * NS_PER_S)
        holds = None
        if card.name in self._asked:
            holds = batch.holds[card.name] = np.zeros(len(above), bool)
        apart = np.diff(np.asarray(starts), prepend=starts[0])
        breaks = np.flatnonzero(~(scores >= timing.off) | (apart < 0) | (apart > max(hold_ns, batch.hop_ns))).tolist()
        row = 0
        while row < len(starts):
            if course.begun_ns is None:
                following = bisect.bisect_left(begins, row)
                if following == len(begins):
                    break
                row = begins[following]
                self._start(card, course, starts[row])
            silent_ns = starts[row] - course.last_ns
            if silent_ns < 0 or silent_ns > max(hold_ns, batch.hop_ns):
                # Nothing is known of the time between, or the clock was set back: this row may begin something new.
                if event := self._end(card, course, row, batch):
                    said.append(_Said(row, event))
                continue
            last = row
            if values[row] >= timing.off:
                if course.told or timing.most_s is not None:
                    # Nothing is told before the next break, and a state may go on for hours.
                    following = bisect.bisect_right(breaks, row)
                    last = (breaks[following] if following < len(breaks) else len(starts)) - 1
                course.last_ns = starts[last]
                course.last = Name(self._device, self._stream_id, self._seq + last)
                course.peak = max(course.peak, *values[row : last + 1])
                due = timing.most_s is None and course.last_ns - course.begun_ns >= least_ns  # type: ignore[operator]
                if due and not course.told and self._may_follow(card, course, row, batch):
                    said.append(_Said(row, self._tell(card, course, BEGAN if card.is_state else ONCE)))
            elif silent_ns >= hold_ns and (event := self._end(card, course, row, batch)):
                said.append(_Said(row, event))
            if holds is not None:
                holds[row : last + 1] = course.holds
            row = last + 1
        return said

    def _start(self, card: HeadCard, course: _Course, start_ns: int) -> None:
        refractory_ns = round(card.timing.refractory_s * NS_PER_S)
        too_early = course.free_ns is not None and 0 < course.free_ns - start_ns <= refractory_ns
        course.begun_ns = course.last_ns = start_ns
        course.peak, course.told, course.holds = NEVER, too_early, False

    def _may_follow(self, card: HeadCard, course: _Course, row: int | None, batch: _Batch | None) -> bool:
        """Tell whether the event is one that comes after another, where it has to."""
        if card.after is None:
            return True
        before = card.after.head
        ends = [self._ends_ns[before]] if before in self._ends_ns else []
        if batch is not None and row is not None:
            ends += [one.event.end_ns for one in batch.said.get(before, []) if one.row <= row]
        earliest_ns = (course.begun_ns or 0) - round(card.after.within_s * NS_PER_S)
        return bool(ends) and earliest_ns <= ends[-1] <= course.last_ns + self._length_ns

    def _end(
        self, card: HeadCard, course: _Course, row: int | None = None, batch: _Batch | None = None
    ) -> Event | None:
        """Return what there is to tell of what is under way, which ends here."""
        event = None
        if course.begun_ns is None:
            return None
        if course.holds:
            event = self._tell(card, course, ENDED)
        elif card.timing.most_s is not None and not course.told:
            lasted_s = (course.last_ns - course.begun_ns) / NS_PER_S
            fits = card.timing.least_s <= lasted_s <= card.timing.most_s
            if fits and self._may_follow(card, course, row, batch):
                event = self._tell(card, course, ONCE)
        course.begun_ns, course.holds = None, False
        return event

    def _won(self, won: Won) -> Event:
        name = self._contest.cards[won.head].name
        return self._event(name, ONCE, won.last, won.begun_ns, won.last_ns, won.score)

    def _tell(self, card: HeadCard, course: _Course, phase: str) -> Event:
        course.told, course.holds = True, phase == BEGAN
        course.free_ns = course.last_ns + round(card.timing.refractory_s * NS_PER_S)
        begun_ns = course.last_ns if course.begun_ns is None else course.begun_ns
        return self._event(card.name, phase, course.last, begun_ns, course.last_ns, course.peak)

    def _event(self, head: str, phase: str, last: Name, begun_ns: int, last_ns: int, score: float) -> Event:
        return Event(
            *last,
            head=head,
            fingerprint=self._fingerprints[head],
            phase=phase,
            start_ns=begun_ns,
            end_ns=last_ns + self._length_ns,
            score=score,
        )


def check_encoder(card: HeadCard, spec: SignatureSpec) -> None:
    """Raise InputError where signatures are not of the encoder that a head was made for."""
    if card.encoder != spec.fingerprint:
        raise InputError(
            f"head {card.name}: expected signatures of encoder {card.encoder.hex()}, got those of "
            f"{spec.fingerprint.hex()}; vectors of different encoders do not compare: teach the head again"
        )
    if card.codes[1] > spec.quantization.dim:
        raise InputError(f"head {card.name}: expected {card.codes[1]} codes, got {spec.quantization.dim}")

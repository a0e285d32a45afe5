"""The daemon's heads: as many as can judge what the model in use makes; exchanged between two windows.

They judge windows that are made more often than the sink's, in the times of the sensor's stream: so no step of the
clock tears a motion apart. An event is named by its signature at the heads' hop, and gets its time from the clock that
held when that signature was made, as signatures do.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from motionsig import wire
from motionsig.blocks import SignatureBatch
from motionsig.control.feed import Feed
from motionsig.control.judged import together
from motionsig.conventions import NS_PER_S
from motionsig.daemon.delivery import Delivery
from motionsig.daemon.programs import Programs
from motionsig.daemon.switching import SwitchingEncoder
from motionsig.errors import InputError
from motionsig.escaping import own_logger
from motionsig.events import BEGAN, Event
from motionsig.model_card import ModelCard
from motionsig.publishers.clocks import put_right_event
from motionsig.quality import Quality
from motionsig.windowing import check_heads_hop

if TYPE_CHECKING:
    from motionsig.heads import HeadCard, Judge

log = own_logger(__name__)

_SILENT_S = 10.0  # without a signature for so long, and as long as a state may hold without one, it has ended
_MOST_CLOCKS = 16  # stream ids whose time is remembered for events that are told later


@dataclass
class _Found:
    """What a head has found since the start. holds: of a state, whether it holds now."""

    events: int = 0
    holds: bool = False
    last: Event | None = None


class Heads:
    """What `run` needs of heads, in a daemon. last_error: which heads are off at present, and why.

    off: all heads by name, each with why it does not judge at present, or an empty text; replaced where it changes.
    of_root: what `use` was given last.
    """

    def __init__(
        self,
        cards: Sequence[HeadCard],
        names: Collection[str],
        missing: Mapping[str, str],
        encoder: SwitchingEncoder,
        delivery: Delivery,
        programs: Programs,
        *,
        device: str,
        hop: int | None,
        heads_hop: int,
        feed: Feed,
    ) -> None:
        """cards, names, missing: as `use` takes them. device: in whose name. hop: of the sink; None for the model's.

        feed: what viewers are told; while one of them watches, windows are made for it, too.
        """
        self._encoder, self._delivery, self._programs = encoder, delivery, programs
        self._device, self._hop, self._heads_hop = device, hop, heads_hop
        self.feed = feed
        self._own: Mapping[str, HeadCard] = {}
        self._own_missing: Mapping[str, str] = {}
        self._first_window = 0
        self._judge: Judge | None = None  # until there is a head: many services have none
        self._model: ModelCard | None = None
        self._clocks: dict[int, tuple[int, wire.Clock | None]] = {}
        self._told: dict[str, HeadCard] = {}
        self._found: dict[str, _Found] = {}
        self._judged_s = time.monotonic()
        self.last_error: str | None = None
        self.use(cards, names, missing)

    def use(self, cards: Sequence[HeadCard], names: Collection[str], missing: Mapping[str, str]) -> None:
        """Judge with other heads of root's from here on; those that stay go on, and states of the others end.

        cards: each after those that it needs. names: of those whose events are told; the others are only needed.
        missing: heads that are configured and cannot be opened, each with the reason.
        """
        self.of_root = (cards, names, missing)
        self._use_all()

    def use_own(self, cards: Mapping[str, HeadCard], missing: Mapping[str, str]) -> None:
        """Judge with these heads of the page, too, from here on, by name. missing: as `use` takes it."""
        if (cards, missing) != (self._own, self._own_missing):
            self._own, self._own_missing = cards, missing
            self._use_all()

    def _use_all(self) -> None:
        """Judge with root's heads, and with those of the page that go with them."""
        cards, names, missing = self.of_root
        self._cards, told, self._missing = list(cards), list(names), dict(missing)
        if self._own or self._own_missing:
            self._cards, more, off = together(cards, {*names, *missing}, self._own)
            told += more
            self._missing |= {**self._own_missing, **off}
        self._delivery.publish_events(self._tell(self._choose(self._encoder.maker)))
        self._told = {card.name: card for card in self._cards if card.name in told}
        self._fingerprints = {name: card.fingerprint.hex() for name, card in self._told.items()}
        self._found = {name: self._found.get(name, _Found()) for name in self._told}
        self._delivery.announce({name: card.is_state for name, card in self._told.items()})

    @property
    def _judging(self) -> Sequence[HeadCard]:
        return () if self._judge is None else self._judge.cards

    def follow(self) -> None:
        """Number the windows of a new stream of samples from 0."""
        self._first_window = self._encoder.head_windows

    def hop(self) -> int | None:
        """Return from how many samples of the grid to the next heads or viewers need a window; None where none does."""
        # A model that has just come makes signatures first, which show whether there are heads for it.
        if not (self._judging or self.feed.wanted) or self._encoder.card is not self._model:
            return None
        return self._heads_hop if self._misfit is None else None

    def judge(self, signatures: SignatureBatch) -> list[Event]:
        """Return the events that these signatures bring about; none for those of a model without heads."""
        if not len(signatures):
            return []
        model = self._encoder.maker
        ended = self._choose(model) if model is not self._model else []
        judge, wanted = self._judge, self.feed.wanted
        judges = judge is not None and bool(judge.cards)
        if not (judges or wanted) or signatures.hop_ns != self._heads_hop * round(NS_PER_S / model.rate_hz):
            return self._tell(ended)
        stream_id = self._delivery.stream_id_at(self._heads_hop)
        self._clocks[stream_id] = self._clock()
        if len(self._clocks) > _MOST_CLOCKS:
            del self._clocks[next(iter(self._clocks))]
        seq = self._encoder.head_windows - self._first_window - len(signatures)
        scores: dict[str, list[float]] = {}
        if judge is not None and judge.cards:
            self._judged_s = time.monotonic()
            judge.begin(stream_id, seq, device=self._device)
            ended += judge.judge(signatures)
            if wanted:
                scores = {card.name: row for card, row in zip(judge.cards, judge.scores.T.tolist(), strict=True)}
        told = self._tell(ended)
        if wanted:
            correction_ns, clock = self._clocks[stream_id]
            flag = Quality.CLEAR if clock is None else Quality.UNSET_CLOCK
            start_ns, quality = signatures.start_ns + correction_ns, signatures.quality | np.uint8(flag)
            self.feed.rows(stream_id, seq, replace(signatures, start_ns=start_ns, quality=quality), scores)
        return told

    def flush(self) -> list[Event]:
        """Return the events that end because the stream does."""
        return [] if self._judge is None else self._tell(self._judge.flush())

    def look_for_silence(self) -> None:
        """End states of which nothing was heard for long; call it about once a second."""
        if any(found.holds for found in self._found.values()):
            hold_s = max(card.timing.hold_s for card in self._judging)
            if time.monotonic() - self._judged_s > hold_s + _SILENT_S:
                self._delivery.publish_events(self.flush())

    def _choose(self, model: ModelCard) -> list[Event]:
        """Judge with the heads that can judge what a model makes; return what ends because others cannot."""
        self._model, self._misfit = model, None
        try:
            check_heads_hop(self._heads_hop, hop=model.hop if self._hop is None else self._hop, length=model.length)
        except InputError as error:
            self._misfit = str(error).replace("heads_hop", "heads.hop")
        able: dict[str, HeadCard] = {}
        off = dict(self._missing)
        for card in self._cards:
            if problem := self._problem(card, model, off):
                off[card.name] = problem
            else:
                able[card.name] = card
        ended: list[Event] = []
        if able or self._judge is not None:
            from motionsig.heads import Judge

            judge = Judge(list(able.values()))
            ended = judge.follow_on(self._judge or Judge([]))
            self._judge = judge
        self.off = {**dict.fromkeys(able, ""), **off}
        error_before = self.last_error
        self.last_error = f"heads off: {', '.join(off)}: {next(iter(off.values()))}" if off else None
        if self.last_error not in (None, error_before):
            log.error("%s; signatures go on", self.last_error)
        elif error_before and not off:
            log.info("all heads judge again")
        return ended

    def _problem(self, card: HeadCard, model: ModelCard, off: Collection[str]) -> str:
        """Return why a head cannot judge what a model makes, and what to do; empty if it can. off: that cannot."""
        if self._misfit is not None:
            return self._misfit
        from motionsig.heads.judging import check_encoder

        try:
            check_encoder(card, model.spec)
        except InputError as error:
            return f"{error}, or install heads of this model"
        needed = [name for name in card.needs if name in off]
        return f"head {card.name} needs {needed[0]}, which is off" if needed else ""

    def _tell(self, events: list[Event]) -> list[Event]:
        """Return events in the time of the clock; count them, and start their programs."""
        told = []
        for event in events:
            if event.head not in self._told:
                continue
            correction_ns, clock = self._clocks.get(event.stream_id) or self._clock()
            start_ns, end_ns = event.start_ns + correction_ns, event.end_ns + correction_ns
            event = replace(event, start_ns=start_ns, end_ns=end_ns, clock=clock)
            event = put_right_event(event, self._delivery.clock)
            found = self._found[event.head]
            found.events += 1
            found.holds, found.last = event.phase == BEGAN, event
            self._programs.start(event)
            self.feed.event(event)
            told.append(event)
        return told

    def _clock(self) -> tuple[int, wire.Clock | None]:
        """Return what the times of the stream need at present, and the clock that says so if it may be wrong."""
        delivery = self._delivery
        return delivery.correction_ns, None if delivery.clock_is_set else delivery.clock

    def status(self) -> list[dict[str, Any]]:
        """Return what `motionsig status` shows of each head."""
        judging = {card.name for card in self._judging}
        status = []
        for name, card in self._told.items():
            found = self._found[name]
            last = found.last and {
                "when": wire.iso_time(found.last.start_ns),
                "phase": found.last.phase,
                "score": round(found.last.score, 3),
            }
            status.append(
                {
                    "name": name,
                    "fingerprint": self._fingerprints[name],
                    "judges": name in judging,
                    "holds": found.holds if card.is_state else None,
                    "events": found.events,
                    "last": last,
                }
            )
        return status

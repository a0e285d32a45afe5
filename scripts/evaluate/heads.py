"""Heads that are taught by performing a motion: what they find, what else they take for it, and whom they disturb.

All by the library's own code: windows as a lesson cuts them, `of_performances` with the model's background, and a Judge
that goes through signatures .16 s apart in the order of time. What a head is taught with and what it is asked about are
other performances, in hapt another wearing. The background lacks the person who is asked, and the people whose life the
false alarms are counted in: each head is taught without one half of LIFE's people, and asked in the whole life of it.

A figure over heads is the mean over people of the mean over each person's heads; of a set that names one person alone,
each motion counts as a person. The interval is over people.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder, SignatureBatch
from motionsig.blocks import concatenate
from motionsig.conventions import NS_PER_S
from motionsig.heads.background import Background, load_background
from motionsig.heads.card import HeadCard
from motionsig.heads.judging import Judge
from motionsig.heads.scoring import rows_of, weigh
from motionsig.heads.teaching import Codes, of_performances
from motionsig.model_card import BACKGROUND_NAME
from motionsig.quality import is_at_rest
from scripts.evaluate import heads_cost, measures, rows
from scripts.evaluate.extent import Extent
from scripts.evaluate.gestures import APART_NS, Performances, counter_examples, how_made, of_file, of_set, performances
from scripts.evaluate.measures import Labels, Rows, Score
from scripts.evaluate.movements import LIFE, OWN
from scripts.train import data
from scripts.train.background import windows_of
from scripts.train.clock import Say

SEED = 1
SHOTS = (1, 3)
AT_ONCE = 12
"""Motions of one person that are taught; of more, so many are drawn."""
SAME_MOTION = {"hapt": ("walking", "stairs", "treadmill", "stepper"), "seglearn_watch": ("shoulder exercise",)}
"""Words in the labels of other life that is the same motion as those of a set: a level that keeps heads from firing at
other people who walk keeps them from firing at the owner's walk, too. These sets are also measured without it."""
NOBODY_ELSE = ", nobody else does it"
_HEADS, _ROWS = 64, 1 << 14  # scored at once


@dataclass(frozen=True, eq=False)
class Lived:
    """Everyday life: signatures of all that moved, in order of time, with time between recordings.

    person: (n,) whose. people: all of them. hours: (p,) that were recorded of each, rest included.
    """

    signatures: SignatureBatch
    person: Labels
    people: Labels
    hours: NDArray[np.float64]

    def of(self, people: Labels) -> Lived:
        """Return the life of some of the people."""
        mine = np.isin(self.people, people)
        chosen = np.isin(self.person, people)
        return Lived(self.signatures[chosen], self.person[chosen], self.people[mine], self.hours[mine])


@dataclass(frozen=True)
class Found:
    """What was measured of one head. unit: the set and the person. figures: by name, NaN where nothing was asked."""

    name: str
    unit: str
    motion: str
    shots: int
    figures: dict[str, float] = field(default_factory=dict)
    card: HeadCard | None = None
    half: int = 0  # of LIFE's people, whom it was taught without


class Bank(NamedTuple):
    """A model's background, and by name whose each of its signatures is: set, person and what was done, (n,) each."""

    life: Background
    set: Labels
    person: Labels
    label: Labels

    def but(self, words: Iterable[str]) -> Bank:
        """Return it without what is labelled with any of these words."""
        gone = np.any([np.char.find(self.label, word) >= 0 for word in words], axis=0)
        return Bank(_without(self.life, gone), self.set[~gone], self.person[~gone], self.label[~gone])

    def without(self, others: Iterable[tuple[str, Labels]]) -> Background:
        """Return it without some people, given as (set, people)."""
        gone = np.zeros(len(self.life), bool)
        for name, people in others:
            gone |= (self.set == name) & np.isin(self.person, people)
        return _without(self.life, gone)


def _without(life: Background, gone: Rows) -> Background:
    left = life.without(gone)
    # How it is called says its hours.
    return replace(left, sources=tuple((text, left.hours) for text, _ in left.sources))


def measured(folder: Path, gestures: Path | None, encoder: Encoder, extent: Extent, say: Say) -> dict[str, Any]:
    """Return the card's entry. gestures: a folder of sets that were not trained on, as `gestures` describes them.

    Raises SystemExit for a model without a background.
    """
    bank = bank_of(encoder)
    files = {} if gestures is None else {file.stem: file for file in sorted(gestures.glob("*.npz"))}
    if gestures is not None and not files:
        raise SystemExit(f"{gestures}: expected NAME.npz as scripts/evaluate/gestures.py describes them, found none")
    lived = everyday_life(folder, encoder, extent.share)
    halves = in_halves(lived.people)
    say(f"heads: {lived.hours.sum():.1f} hours of {len(lived.people)} people of {LIFE} read")
    found: list[Found] = []
    about: dict[str, dict[str, Any]] = {}
    for name in [*OWN, *files]:
        given = of_file(files[name]) if name in files else of_set(folder, name)
        shown, trained = performances(given, encoder), name not in files and data.SETS[name].trains
        banks = {name: bank}
        if name in SAME_MOTION:
            banks[f"{name}{NOBODY_ELSE}"] = bank.but(SAME_MOTION[name])
        for title, other_life in banks.items():
            mine = asked(name, shown, other_life, halves, encoder, extent.share)
            # False alarms are counted in life as it is.
            found += mine if title == name else [replace(one, name=title, card=None) for one in mine]
            how = how_made(files[name]) if name in files else OWN[name].how
            about[title] = {"how": how, "trained": trained}
            say(f"heads, {title}: {rows.shown(row_of([one for one in mine if one.shots == SHOTS[-1]]))}")
    everyday = disturbed(found, lived, halves)
    say(f"heads, false alarms: {rows.shown(everyday)}")
    pooled = list(files) or list(OWN)
    return {
        "life": {"hours": round(float(lived.hours.sum()), 1), "people": len(lived.people), **everyday},
        "sets": {name: about[name] | by_shots([one for one in found if one.name == name]) for name in about},
        "pooled": {"sets": pooled} | by_shots([one for one in found if one.name in pooled]),
        "cost": heads_cost.measured([one.card for one in found if one.card], lived.signatures, encoder, extent, say),
    }


def bank_of(encoder: Encoder) -> Bank:
    """Return the model's background with the names of its people. Raises SystemExit where there is none."""
    life = load_background(encoder.card)
    if life is None:
        raise SystemExit(f"{encoder.card.path}: expected a background, found none: python -m scripts.train.background")
    with np.load(encoder.card.path / BACKGROUND_NAME, allow_pickle=False) as stored:
        groups = stored["groups"][stored["group"]]
    return Bank(life, groups[:, 0], groups[:, 1], np.array(life.labels)[life.label])


def everyday_life(folder: Path, encoder: Encoder, share: float) -> Lived:
    """Return all recordings of a share of LIFE's people, two at least, as signatures .16 s apart."""
    streams = list(data.streams(folder, LIFE))
    people = sorted({str(person) for stream in streams for person in stream.person})
    people = people[: max(2, round(len(people) * share))]
    parts, whose = [], []
    hours = dict.fromkeys(people, 0.0)
    now_ns = 0
    for stream in streams:
        person = str(stream.person[0])
        if person not in hours:
            continue
        for windows in windows_of(stream.samples, stream.rate_hz):
            made = encoder.encode(windows)
            hours[person] += len(made) * made.hop_ns / NS_PER_S / 3600
            made = replace(made, start_ns=made.start_ns + now_ns)
            parts.append(made[~is_at_rest(made.quality)])
            whose.append(np.full(len(parts[-1]), person))
            last_ns = int(made.start_ns[-1])
        now_ns = last_ns + APART_NS
    return Lived(concatenate(parts), np.concatenate(whose), np.array(people), np.array(list(hours.values())))


def in_halves(people: Labels) -> tuple[Labels, Labels]:
    """Return two halves of the people, drawn at random."""
    drawn = np.random.default_rng(SEED).permutation(people)
    return drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]


def asked(
    name: str, shown: Performances, bank: Bank, halves: Sequence[Labels], encoder: Encoder, share: float
) -> list[Found]:
    """Return what heads of the motions of a share of a set's people find, one at a time and all at once."""
    rng = np.random.default_rng(SEED)
    worn = np.unique(shown.worn)
    # A thing worn at several places is several: the same motions look different there.
    worn = worn[: max(1, round(len(worn) * share))]
    return [one for place in worn for one in asked_of(name, shown, shown.worn == place, bank, halves, encoder, rng)]


def asked_of(
    name: str,
    shown: Performances,
    mine: Rows,
    bank: Bank,
    halves: Sequence[Labels],
    encoder: Encoder,
    rng: np.random.Generator,
) -> list[Found]:
    """Return what heads of one person's motions find; mine: (k,) the gestures of that person, at one place."""
    most = max(SHOTS)
    motions = [
        motion
        for motion in np.unique(shown.motion[mine]).tolist()
        if (mine & shown.teaches & (shown.motion == motion)).sum() >= most
        and (mine & (shown.asked | shown.teaches) & (shown.motion == motion)).sum() > most
        and (mine & shown.asked & (shown.motion == motion)).any()
    ]
    if len(motions) > AT_ONCE:
        motions = sorted(rng.choice(motions, AT_ONCE, replace=False).tolist())
    if not motions:
        return []
    person = str(shown.person[mine][0])
    half = int(rng.integers(2))
    life = bank.without([(LIFE, halves[half]), (name, np.array([person]))])
    drawn = [
        rng.choice(np.flatnonzero(mine & shown.teaches & (shown.motion == motion)), most, replace=False)
        for motion in motions
    ]
    candidates = mine & shown.asked & np.isin(shown.motion, motions)
    found = []
    for shots in SHOTS:
        given = [taken[:shots] for taken in drawn]
        cards = [card_of(shown, at, taken, life, encoder) for at, taken in enumerate(given)]
        left = candidates.copy()
        left[np.concatenate(given)] = False
        fired = np.stack([events_in([card], shown, candidates)[0] for card in cards])
        for at, motion in enumerate(motions):
            own, others = left & (shown.motion == motion), candidates & (shown.motion != motion)
            figures = {"own": _share(fired[at], own), "others": _share(fired[at], others)}
            # One "not this" at something that was taken for it, where there was anything.
            wrong, after = np.flatnonzero(others & fired[at]), fired[at]
            if len(wrong):
                chosen = int(rng.choice(wrong))
                against = counter_examples(shown, chosen)
                card = card_of(shown, at, given[at], life, encoder, against=against)
                after = events_in([card], shown, candidates)[0]
                others = others & (np.arange(len(others)) != chosen)
            figures |= {"own_after": _share(after, own), "others_after": _share(after, others)}
            found.append(Found(name, f"{name} {person}", motion, shots, figures, cards[at], half))
        if len(motions) == 1:
            continue
        mine_at_once = found[-len(motions) :]
        for one, figures in zip(mine_at_once, at_once(cards, motions, shown, left), strict=True):
            one.figures.update(figures)
        if shots == most:
            motion_alone, bare = without_posture(shown, encoder), without_posture_in(life, encoder)
            apart = [card_of(motion_alone, at, taken, bare, encoder) for at, taken in enumerate(given)]
            for one, figures in zip(mine_at_once, at_once(apart, motions, motion_alone, left), strict=True):
                one.figures.update({f"{key}_motion": value for key, value in figures.items()})
    return found


def card_of(
    shown: Performances,
    number: int,
    given: NDArray[np.intp],
    life: Background,
    encoder: Encoder,
    *,
    against: Codes | None = None,
) -> HeadCard:
    examples = [shown.examples[at] for at in given.tolist()]
    return of_performances(f"motion_{number}", examples, encoder.card.spec, life, against=against)


def _share(fired: Rows, among: Rows) -> float:
    return float(fired[among].mean()) if among.any() else np.nan


def events_in(cards: Sequence[HeadCard], shown: Performances, among: Rows) -> Rows:
    """Return whether each head (m), all judged together, told of each gesture (k); an event has to overlap it."""
    stream, told = shown.stream(among), np.zeros((len(cards), len(among)), bool)
    column = {card.name: at for at, card in enumerate(cards)}
    judge = Judge(cards)
    for event in judge.judge(stream) + judge.flush():
        gesture = shown.gesture[np.searchsorted(shown.signatures.start_ns, event.start_ns)]
        if event.start_ns <= shown.end_ns[gesture] and event.end_ns >= shown.begin_ns[gesture]:
            told[column[event.head], gesture] = True
    return told


def at_once(
    cards: Sequence[HeadCard], motions: Sequence[str], shown: Performances, among: Rows
) -> list[dict[str, float]]:
    """Return for each motion the shares of its gestures with an event of its head, of another, and of its head only."""
    told = events_in(cards, shown, among)
    found = []
    for at, motion in enumerate(motions):
        mine = among & (shown.motion == motion)
        others = np.asarray(np.delete(told, at, axis=0).any(axis=0))
        only = told[at] & ~others
        found.append({"right": _share(told[at], mine), "wrong": _share(others, mine), "only": _share(only, mine)})
    return found


def without_posture(shown: Performances, encoder: Encoder) -> Performances:
    """Return the same performances with posture codes of 0, so that cosines are those of the motion codes."""
    signatures = replace(shown.signatures, codes=_bare(shown.signatures.codes, encoder))
    return replace(shown, examples=[_bare(codes, encoder) for codes in shown.examples], signatures=signatures)


def without_posture_in(life: Background, encoder: Encoder) -> Background:
    """Return the same background with posture codes of 0."""
    return replace(life, codes=_bare(life.codes, encoder))


def _bare(codes: Codes, encoder: Encoder) -> Codes:
    bare = codes.copy()
    bare[:, encoder.card.motion_dim :] = 0
    return bare


def disturbed(found: Sequence[Found], lived: Lived, halves: Sequence[Labels]) -> dict[str, Any]:
    """Return the false alarms an hour in life that the heads have not seen, and how often the stated interval held."""
    counted = {shots: np.zeros((len(lived.people), 2)) for shots in SHOTS}
    told = []
    for half, people in enumerate(halves):
        life = lived.of(people)
        owners = np.searchsorted(lived.people, life.people)
        mine = [(one, one.card) for one in found if one.card is not None and one.half == half]
        for first in range(0, len(mine), _HEADS):
            part = mine[first : first + _HEADS]
            alarms = false_alarms([card for _, card in part], life)
            for (one, card), by_person in zip(part, alarms, strict=True):
                counted[one.shots][owners] += np.stack([by_person, life.hours], axis=1)
                stated = card.measured["false_alarms_an_hour"]
                strictly, nearly = held(int(by_person.sum()), float(life.hours.sum()), stated)
                figures = {"interval_held": float(strictly), "interval_held_but_for_one_alarm": float(nearly)}
                told.append(replace(one, figures=figures))
    alarms_an_hour = {str(shots): measures.over_people(table, _ratio) for shots, table in counted.items()}
    return row_of(told) | {"heads": len(told), "false_alarms_an_hour": rows.plain(alarms_an_hour)}


def _ratio(sums: NDArray[np.float64]) -> float:
    return float(sums[0] / sums[1])


def held(alarms: int, hours: float, stated: Sequence[float]) -> tuple[bool, bool]:
    """Return whether the alarms counted lie in what was stated (rate, low, high), strictly and but for one alarm."""
    _, low, high = (rate * hours for rate in stated)
    return low <= alarms <= high, low - 1 <= alarms <= high + 1


def false_alarms(cards: Sequence[HeadCard], lived: Lived) -> NDArray[np.float64]:
    """Return (heads, people) how many events each head alone has in each one's life.

    A Judge does nothing at signatures that score less than `off`, so those are not given to it: a tenth of the time.
    """
    weights, off = rows_of([card.weights for card in cards]), [card.timing.off for card in cards]
    begins = np.cumsum([0, *(len(card.weights.rows) for card in cards[:-1])])
    kept = []
    for first in range(0, len(lived.person), _ROWS):
        codes = lived.signatures.codes[first : first + _ROWS, slice(*cards[0].codes)].astype(np.float32)
        row, head = np.nonzero(np.maximum.reduceat(weigh(codes, weights), begins, axis=1) >= off)
        kept.append(np.stack([first + row, head]))
    row, head = np.concatenate(kept, axis=1)
    counts = np.zeros((len(cards), len(lived.people)))
    for at, card in enumerate(cards):
        events = Judge([card]).judge(lived.signatures[row[head == at]])
        person = lived.person[np.searchsorted(lived.signatures.start_ns, [event.start_ns for event in events])]
        np.add.at(counts[at], np.searchsorted(lived.people, person), 1)
    return counts


def by_shots(found: Sequence[Found]) -> dict[str, Any]:
    """Return the rows of some sets by the performances given, and of how many people and heads they are."""
    return {
        "people": len({one.unit for one in found}),
        "heads": sum(one.shots == SHOTS[-1] for one in found),
        "rows": {str(shots): row_of([one for one in found if one.shots == shots]) for shots in SHOTS},
    }


def row_of(found: Sequence[Found]) -> dict[str, Any]:
    """Return each figure over the people of some sets, where there was anything to ask."""
    keys = dict.fromkeys(key for one in found for key, value in one.figures.items() if not np.isnan(value))
    return rows.plain({key: over(found, key) for key in keys})


def over(found: Sequence[Found], key: str) -> Score:
    """Return the mean over people of the mean over each one's heads; of one person, over the motions."""
    got = [one for one in found if not np.isnan(one.figures.get(key, np.nan))]
    names = [one.unit for one in got]
    if len(set(names)) == 1:
        names = [f"{one.unit} {one.motion}" for one in got]
    values: dict[str, list[float]] = {}
    for name, one in zip(names, got, strict=True):
        values.setdefault(name, []).append(one.figures[key])
    return measures.over_people(np.array([[np.mean(mine), 1.0] for mine in values.values()]).reshape(-1, 2), _ratio)

"""A state head from labelled signatures: what it scores by, when it begins and ends, and how often it is wrong.

Levels and times are chosen, and mistakes counted, on signatures whose scores come from a head that never saw them: each
recording, or all of a person, is judged by what the others teach. The head that is returned learned from all.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import SignatureBatch, SignatureSpec
from motionsig.conventions import NS_PER_S
from motionsig.errors import InputError
from motionsig.heads.card import HIGHEST, LINEAR, SCORED, HeadCard, Taught, Timing, Weights
from motionsig.heads.linear import balanced, linear
from motionsig.heads.scoring import NEVER, rows_of, weigh
from motionsig.heads.teaching import poisson_interval
from motionsig.quality import is_at_rest

FEWEST = 20
"""Signatures of either side; of fewer nothing is learned that holds elsewhere."""
WISHED_AN_HOUR = 1.0
"""False alarms an hour of other life."""

MISSED = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
"""Shares of the labelled signatures whose scores are below the levels that are tried."""
BELOW = (0.1, 0.2, 0.35)
"""By how much `off` is below `on`; others score 0 on average, and what is labelled 1."""
TIMES_S = ((0, 2), (2, 2), (2, 4), (4, 4), (4, 8))
"""(least_s, hold_s), the sooner ones first: nothing is told later than 4 s after it was sure."""

_MOST_LEARNED = 50_000  # signatures of each side; more are thinned evenly
_FOLDS = 8
_STRETCH_S = 30.0
_APART_NS = 30 * 86400 * NS_PER_S  # from the end of a stream to the next: longer than any head waits
_CHUNK = 100_000
_SHOWN = 12


class Labelled(NamedTuple):
    """Signatures of several streams, one after the other, and what is known of each.

    codes: (n, d) int16, less their zero points. at_rest: (n,). side: (n,) int8; 1 what the head looks for, 0 other
    life, -1 unknown. label: (n,) a number in `names`. clock_ns: (n,) int64, start; streams are far apart.
    stream: (n,) which stream; whose: (n,) what is held out together, a recording or a person.
    """

    codes: NDArray[np.int16]
    at_rest: NDArray[np.bool_]
    side: NDArray[np.int8]
    label: NDArray[np.intp]
    names: tuple[str, ...]
    clock_ns: NDArray[np.int64]
    stream: NDArray[np.intp]
    whose: NDArray[np.intp]
    hop_ns: int


class Found(NamedTuple):
    """What a timing gives: the share of what is labelled so that its events cover, and how often it wrongly begins.

    recall: the mean over those that are held out together. told: the rows in which it was wrongly told to have begun.
    """

    recall: float
    an_hour: float
    hours: float
    told: NDArray[np.intp]


def of_labels(
    name: str,
    batches: Sequence[SignatureBatch],
    labels: str | Sequence[str],
    spec: SignatureSpec,
    *,
    whose: Sequence[str] | None = None,
    wish: float = WISHED_AN_HOUR,
    codes: tuple[int, int] | None = None,
    at_rest: str = SCORED,
) -> HeadCard:
    """Return a head that tells when what has one of these labels began and ended.

    batches: each one stream in order of time, with labels; "" is unknown, and neither teaches nor counts. whose: of
    which person each batch is, who is then held out as a whole; by default each batch is one. wish: false alarms in an
    hour of other life. codes: those to look at; by default those of motion, which do not care how a device is worn.
    at_rest: as in HeadCard.

    Of the levels and times that are tried, it takes those with at most `wish` false alarms an hour whose events cover
    the largest share of what is labelled so; the quickest among equals. Where none has so few, it takes the fewest.

    Raises InputError for signatures of another encoder, for a label that none has, and for too few of either side.
    """
    wanted = (labels,) if isinstance(labels, str) else tuple(labels)
    first, last = codes or (0, spec.motion_dim)
    life = _joined(batches, wanted, spec, (first, last), whose)
    learns = (life.side >= 0) & ((at_rest == SCORED) | ~life.at_rest)
    few = [int((learns & (life.side == side)).sum()) for side in (1, 0)]
    if min(few) < FEWEST:
        raise InputError(
            f"labels: expected at least {FEWEST} signatures of {_listed(wanted)} and as many of other life, got "
            f"{few[0]} and {few[1]}"
        )
    part, how = _parts(life)
    scores = np.full(len(life.side), NEVER)
    for number in range(int(part.max()) + 1):
        mine = part == number
        scores[mine] = _scores(life.codes[mine], _learned(life, learns & ~mine))
    if at_rest != SCORED:
        scores[life.at_rest] = np.inf if at_rest == HIGHEST else NEVER
    timing, found = choose(life, scores, wish)
    weights = _learned(life, learns)
    none = np.zeros((0, spec.quantization.dim), np.int8)
    return HeadCard(
        name=name,
        kind=LINEAR,
        is_state=True,
        encoder=spec.fingerprint,
        codes=(first, last),
        hop_ns=life.hop_ns,
        at_rest=at_rest,
        timing=timing,
        weights=weights,
        taught=Taught(none, np.zeros(0, np.uint16), none),
        measured=_measured(life, found, how),
    )


def course(scores: NDArray[np.float64], clock_ns: NDArray[np.int64], hop_ns: int, timing: Timing) -> NDArray[np.intp]:
    """Return what a Judge would tell of a state, (k, 3) rows: where it begins, where that is told, where it ends.

    scores, clock_ns: (n,), the clock never runs back. `refractory_s` is taken for 0.
    """
    least_ns, hold_ns = round(timing.least_s * NS_PER_S), round(timing.hold_s * NS_PER_S)
    on = np.flatnonzero(scores >= timing.off)
    if not len(on):
        return np.empty((0, 3), np.intp)
    clock = clock_ns[on]
    begins = np.flatnonzero(np.diff(clock, prepend=clock[0] - _APART_NS) > max(hold_ns, hop_ns))
    ends = np.append(begins[1:], len(on)) - 1
    starts = np.append(np.flatnonzero(scores[on] >= timing.on), len(on))
    start = starts[np.searchsorted(starts, begins)]
    begun = start <= ends
    start, ends = start[begun], ends[begun]
    told = np.searchsorted(clock, clock[start] + least_ns)
    held = told <= ends
    return np.asarray(on[np.stack([start[held], told[held], ends[held]], axis=1)])


def choose(life: Labelled, scores: NDArray[np.float64], wish: float) -> tuple[Timing, Found]:
    """Return the timing that `of_labels` takes, and what it gives; scores: (n,), of signatures that did not teach."""
    right, other = life.side == 1, life.side == 0
    levels = np.unique(np.round(np.quantile(scores[right & np.isfinite(scores)], MISSED), 2)).tolist()
    # Signatures below every level change nothing, and are most of them.
    rows = np.flatnonzero(scores >= levels[0] - max(BELOW) - 0.01)
    scores, clock_ns = scores[rows], life.clock_ns[rows]
    # What each signature adds to the recall, summed up to every row.
    count = np.bincount(life.whose[right])
    added = np.where(right, 1 / np.maximum(count, 1)[np.minimum(life.whose, len(count) - 1)], 0.0) / (count > 0).sum()
    recall_to = np.concatenate([[0.0], np.cumsum(added)])
    hours = float(other.sum()) * life.hop_ns / NS_PER_S / 3600
    best: tuple[tuple[bool, float, float], Timing, Found] | None = None
    for (least_s, hold_s), on, below in product(TIMES_S, levels, BELOW):
        timing = Timing(on, round(on - below, 2), float(least_s), None, float(hold_s))
        begun, told, last = rows[course(scores, clock_ns, life.hop_ns, timing)].T
        wrong = told[other[told]]
        recall, an_hour = float((recall_to[last + 1] - recall_to[begun]).sum()), len(wrong) / hours
        few = an_hour <= wish
        # A hundredth more recall is worth no delay.
        worth = (few, round(recall, 2) if few else -an_hour, 0.0 if few else recall)
        if best is None or worth > best[0]:
            best = worth, timing, Found(recall, an_hour, hours, wrong)
    assert best is not None
    return best[1:]


def _joined(
    batches: Sequence[SignatureBatch],
    wanted: tuple[str, ...],
    spec: SignatureSpec,
    codes: tuple[int, int],
    whose: Sequence[str] | None,
) -> Labelled:
    """Return all batches as one. Raises InputError for those of another encoder, hop, or without the labels."""
    persons = [str(number) for number in range(len(batches))] if whose is None else list(whose)
    if len(persons) != len(batches):
        raise InputError(f"whose: expected one for each of {len(batches)} batches, got {len(persons)}")
    kept = [(batch, person) for batch, person in zip(batches, persons, strict=True) if len(batch)]
    for batch, _ in kept:
        if batch.spec != spec or batch.hop_ns != kept[0][0].hop_ns:
            raise InputError(
                f"signatures: expected those of encoder {spec.fingerprint.hex()} and one hop, got some of "
                f"{batch.spec.fingerprint.hex()} every {batch.hop_ns / NS_PER_S:g} s"
            )
    numbers: dict[str, int] = {}
    label, stream, clock, number, at_ns = [], [], [], 0, 0
    for batch, _ in kept:
        text = np.zeros(len(batch), "U1") if batch.labels is None else batch.labels
        there, which = np.unique(text, return_inverse=True)
        label.append(np.array([numbers.setdefault(str(one), len(numbers)) for one in there])[which])
        # A clock that was set back begins a new stream.
        back = np.diff(batch.start_ns, prepend=batch.start_ns[0]) < 0
        stream.append(number + np.cumsum(back))
        steps = np.where(back, _APART_NS, np.diff(batch.start_ns, prepend=batch.start_ns[0]))
        clock.append(at_ns + np.cumsum(steps))
        number, at_ns = int(stream[-1][-1]) + 1, int(clock[-1][-1]) + _APART_NS
    names = tuple(numbers)
    missing = [one for one in wanted if one not in numbers or not one]
    if missing or not wanted:
        known = _listed([one for one in sorted(names) if one])
        raise InputError(f"labels: expected some of {known}, got {_listed(missing)}")
    side_of = np.array([1 if one in wanted else 0 if one else -1 for one in names], np.int8)
    zeros = np.repeat(
        [group.zero_point for group in spec.quantization.groups], [group.size for group in spec.quantization.groups]
    )[slice(*codes)]
    labels = np.concatenate(label)
    _, owner = np.unique([person for _, person in kept], return_inverse=True)
    return Labelled(
        codes=np.concatenate([batch.codes[:, slice(*codes)] for batch, _ in kept]) - zeros.astype(np.int16),
        at_rest=np.concatenate([is_at_rest(batch.quality) for batch, _ in kept]),
        side=side_of[labels],
        label=labels,
        names=names,
        clock_ns=np.concatenate(clock),
        stream=np.concatenate(stream),
        whose=np.repeat(owner, [len(batch) for batch, _ in kept]),
        hop_ns=kept[0][0].hop_ns,
    )


def _parts(life: Labelled) -> tuple[NDArray[np.intp], str]:
    """Return which part each signature is of (n,), 0 and up, and in words what a part is."""
    right = np.unique(life.whose[life.side == 1])
    # Those with the label are spread over the parts first, then those without.
    rest = np.setdiff1d(np.arange(life.whose.max() + 1), right)
    part_of = np.zeros(life.whose.max() + 1, np.intp)
    count = min(len(right), _FOLDS)
    part_of[right], part_of[rest] = np.arange(len(right)) % count, np.arange(len(rest)) % count
    part = part_of[life.whose]
    if all(len(np.unique(part[life.side == side])) > 1 for side in (0, 1)):
        return part, "judged by what others taught"
    stretch = life.clock_ns // round(_STRETCH_S * NS_PER_S)
    how = f"judged by what other stretches of {_STRETCH_S:g} s taught, mostly of the same recordings"
    for side in (1, 0, -1):
        rows = life.side == side
        part[rows] = np.unique(stretch[rows], return_inverse=True)[1] % _FOLDS
    return part, how


def _learned(life: Labelled, rows: NDArray[np.bool_]) -> Weights:
    chosen = []
    for side in (0, 1):
        of_side = np.flatnonzero(rows & (life.side == side))
        if not len(of_side):
            raise InputError("labels: expected both sides in more than one recording or stretch, got too few")
        chosen.append(of_side[:: -(-len(of_side) // _MOST_LEARNED)])
    at = np.concatenate(chosen)
    positive = life.side[at] == 1
    return linear(life.codes[at], positive, balanced(positive, life.label[at]))


def _scores(codes: NDArray[np.int16], weights: Weights) -> NDArray[np.float64]:
    rows = rows_of([weights])
    parts = (codes[at : at + _CHUNK].astype(np.float32) for at in range(0, len(codes), _CHUNK))
    return np.concatenate([np.empty(0), *(weigh(part, rows)[:, 0] for part in parts)])


def _measured(life: Labelled, found: Found, how: str) -> dict[str, Any]:
    names, count = np.unique(life.label[found.told], return_counts=True)
    most = sorted(zip(count.tolist(), names.tolist(), strict=True), reverse=True)[:_SHOWN]
    alarms = len(found.told)
    return {
        "recall": round(found.recall, 3),
        "false_alarms_an_hour": [round(value / found.hours, 3) for value in (alarms, *poisson_interval(alarms))],
        "false_alarms": alarms,
        "hours": round(found.hours, 2),
        "from": f"{len(np.unique(life.stream))} recordings, {how}",
        "would_fire_at": [life.names[name] for _, name in most],
        "hop_s": life.hop_ns / NS_PER_S,
    }


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:_SHOWN]) or "none"
    return shown + (", ..." if len(names) > _SHOWN else "")

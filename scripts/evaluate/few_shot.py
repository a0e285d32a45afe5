"""A person's own movements found from one, three or five examples, and the false alarms of other life.

What a consumer does with vectors: the mean of the examples of each movement is its prototype; a window belongs to the
nearest prototype by cosine, if the cosine is above a threshold. An example is one window.

The threshold comes from the other life of half of the people, in which it allows a number of false alarms an hour; told
is what it then gives in the other half's, more than a day of recordings. An occasion is found if any window inside it
is above the threshold and nearest to the right one of all the person's movements.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.evaluate import measures, rows
from scripts.evaluate.extent import Extent
from scripts.evaluate.jobs import spread
from scripts.evaluate.measures import Labels, Vectors, unit
from scripts.evaluate.movements import HOP, OWN, Life, Movements, other_life, own_movements, where
from scripts.evaluate.rows import SHOTS
from scripts.evaluate.transform import Transform
from scripts.train import data
from scripts.train.clock import Say

SEED = 1
EVERY = (1, 4)
"""Each how many-th window a consumer gets: .32 and 1.28 s from one to the next."""
ALLOWED = ("0.1", "1")
"""False alarms an hour in the half that sets the threshold."""


def measured(folder: Path, transform: Transform, motion: int, extent: Extent, say: Say) -> dict[str, Any]:
    """Return the card's entry: for each set, by vector and by the seconds from window to window."""
    life = other_life(folder, transform, extent.share)
    people = np.unique(life.person)
    hours = float(life.hours_of(people).sum())
    say(f"other life: {len(life.vectors)} windows, {hours:.1f} hours of {len(people)} people")
    table: dict[str, Any] = {}
    for name, own in OWN.items():
        movements = own_movements(folder, name, transform)
        negative = where(life, ~np.isin(life.activity, own.not_life))
        jobs = {}
        for vector, part in {"motion": slice(0, motion), "all": slice(None)}.items():
            mine = replace(movements, vectors=unit(movements.vectors[:, part]))
            other = replace(negative, vectors=unit(negative.vectors[:, part]))
            for every in EVERY:
                # Examples are the same windows at each hop.
                got = where(mine, mine.example | (mine.phase % every == 0)), where(other, other.phase % every == 0)
                title = f"{vector}, {every * HOP / data.GRID_HZ:g} s"
                jobs[title] = partial(found, *got, max(1, round(own.draws * extent.share)))
        table[name] = {"how": own.how, "rows": spread(jobs, partial(_tell, say, name))}
    return {"hours": round(hours, 1), "people": len(people), "sets": table}


def found(movements: Movements, life: Life, draws: int) -> dict[str, Any]:
    """Return by allowed false alarms an hour and by shots the share of occasions found, and the false alarms an hour.

    The vectors have length 1.
    """
    rng = np.random.default_rng(SEED)
    half, others = _halves(life)
    set_on, counted_on = where(life, np.isin(life.person, half)), where(life, np.isin(life.person, others))
    hours_set, hours = float(set_on.hours_of(half).sum()), counted_on.hours_of(others)
    owner = np.searchsorted(others, counted_on.person[_begins(counted_on)])
    people = np.unique(movements.person)
    keys = [(limit, shots) for limit in ALLOWED for shots in SHOTS]
    hits = {key: np.zeros((len(people), 2)) for key in keys}
    alarms = {key: np.zeros((len(others), 2)) for key in keys}
    for name in np.unique(movements.unit):
        mine = where(movements, movements.unit == name)
        known = np.intersect1d(mine.activity[mine.example], mine.activity[mine.occasion >= 0])
        if not len(known):
            continue
        asked = where(mine, (mine.occasion >= 0) & np.isin(mine.activity, known))
        for _ in range(draws):
            for shots in SHOTS:
                prototypes = _prototypes(mine, known, shots, rng)
                highest = np.sort(_peaks(set_on, prototypes))[::-1]
                peaks = _peaks(counted_on, prototypes)
                for limit in ALLOWED:
                    # Exactly the allowed number of alarms lie above the next highest peak.
                    threshold = highest[min(int(float(limit) * hours_set), len(highest) - 1)]
                    false = np.bincount(owner, peaks > threshold, minlength=len(others))
                    alarms[limit, shots] += np.stack([false, hours], axis=1)
                    hits[limit, shots] += _hits(asked, known, prototypes, float(threshold), people)
    return {
        limit: {
            str(shots): rows.plain(
                {
                    "found": measures.over_people(hits[limit, shots], _ratio),
                    "false_alarms_an_hour": measures.over_people(alarms[limit, shots], _ratio),
                }
            )
            for shots in SHOTS
        }
        for limit in ALLOWED
    }


def _halves(life: Life) -> tuple[Labels, Labels]:
    """Return two halves of the people, each in order."""
    people = np.random.default_rng(SEED).permutation(np.unique(life.person))
    return np.sort(people[: len(people) // 2]), np.sort(people[len(people) // 2 :])


def _prototypes(mine: Movements, activities: Labels, shots: int, rng: np.random.Generator) -> Vectors:
    drawn = []
    for activity in activities:
        examples = np.flatnonzero(mine.example & (mine.activity == activity))
        drawn.append(mine.vectors[rng.choice(examples, min(shots, len(examples)), replace=False)].mean(axis=0))
    return unit(np.stack(drawn))


def _begins(life: Life) -> NDArray[np.intp]:
    """Return the first window of each slot."""
    return np.flatnonzero(np.diff(life.slot, prepend=-1))


def _peaks(life: Life, prototypes: Vectors) -> Vectors:
    """Return the largest cosine to any prototype in each slot, so that an alarm is a slot above the threshold."""
    nearest = life.vectors @ prototypes[0]
    for prototype in prototypes[1:]:
        np.maximum(nearest, life.vectors @ prototype, out=nearest)
    return np.asarray(np.maximum.reduceat(nearest, _begins(life)), np.float32)


def _hits(
    asked: Movements, activities: Labels, prototypes: Vectors, threshold: float, people: Labels
) -> NDArray[np.float64]:
    """Return how many occasions of each of `people` were found, and how many there were (people, 2)."""
    cosines = asked.vectors @ prototypes.T
    right = (cosines.max(axis=1) > threshold) & (activities[cosines.argmax(axis=1)] == asked.activity)
    _, first, which = np.unique(asked.occasion, return_index=True, return_inverse=True)
    person = np.searchsorted(people, asked.person[first])
    hit = np.bincount(which, right) > 0
    return np.stack([np.bincount(person, each, minlength=len(people)) for each in (hit, np.ones_like(hit))], axis=1)


def _ratio(sums: NDArray[np.float64]) -> float:
    return float(sums[0] / sums[1])


def _tell(say: Say, name: str, title: str, row: dict[str, Any]) -> None:
    figures = (
        f"{shots}: {at['found'][0]} at {at['false_alarms_an_hour'][0]}/h"
        for limit in row.values()
        for shots, at in limit.items()
    )
    say(f"few examples, {name}, {title}: {', '.join(figures)}")

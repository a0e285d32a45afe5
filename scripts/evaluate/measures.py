"""What a vector is worth to somebody who cannot train the encoder, and how sure that is.

Every measure keeps its result per person, so that its 95 % interval can be drawn over people: windows of one person
are too alike to count as independent. The bootstrap draws people with replacement.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Vectors = NDArray[np.float32]
Labels = NDArray[np.str_]
Rows = NDArray[np.bool_]

SEED = 1
BOOTSTRAPS = 1000
DRAWS = 20
"""How many times the windows of an enrolment are drawn."""
NEIGHBOURS = 10
FOLDS = 3


@dataclass(frozen=True)
class Score:
    """A figure and its 95 % interval over people."""

    value: float
    low: float
    high: float


def folds(person: Labels) -> list[Rows]:
    """Return FOLDS disjoint sets of test rows that together are all; nobody is in two of them.

    Of fewer people than that, each has a fold.
    """
    people = np.random.default_rng(SEED).permutation(np.unique(person))
    count = min(FOLDS, len(people))
    return [np.isin(person, people[fold::count]) for fold in range(count)]


def probe(vectors: Vectors, activity: Labels) -> Callable[[Vectors], Labels]:
    """Return a linear probe that has learned `activity` from `vectors`: standardised logistic regression."""
    # Plain statistics of a turned window lie far outside what the scaler saw; with float64 the solver still converges.
    learned = _fit(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)), vectors.astype(np.float64), activity
    )
    return lambda asked: np.asarray(learned.predict(asked.astype(np.float64)))


def probed(guessed: Labels, activity: Labels, person: Labels) -> Score:
    """Return the macro-F1 of what a probe guessed."""
    classes = np.unique(activity)
    _, row_person = np.unique(person, return_inverse=True)
    table = np.zeros((row_person.max() + 1, len(classes), len(classes)))
    known = np.isin(guessed, classes)
    if not known.all():
        raise ValueError(f"guessed: expected some of {classes}, got {np.unique(guessed[~known])}")
    _count(table, row_person, classes, activity, guessed)
    return over_people(table, macro_f1)


def lost(clean: Labels, worse: Labels, activity: Labels, person: Labels) -> Score:
    """Return by how much the macro-F1 falls from the guesses `clean` to those of the same windows made worse."""
    classes = np.unique(activity)
    _, row_person = np.unique(person, return_inverse=True)
    tables = np.zeros((2, row_person.max() + 1, len(classes), len(classes)))
    for table, guessed in zip(tables, (clean, worse), strict=True):
        _count(table, row_person, classes, activity, guessed)
    return over_people(tables.swapaxes(0, 1), lambda sums: macro_f1(sums[0]) - macro_f1(sums[1]))


def z_scored(vectors: Vectors) -> Vectors:
    """Return vectors (n, d) with every column brought to mean 0 and spread 1."""
    return _directions(vectors, np.ones(len(vectors), bool))


def enrolment_across(vectors: Vectors, activity: Labels, person: Labels, tests: Sequence[Rows], shots: int) -> Score:
    """Return the balanced accuracy when `shots` windows per activity of other people are enrolled."""
    asked = [(~test, test) for test in tests]
    return _enrolment(vectors, activity, person, asked, shots)


def enrolment_worn_again(vectors: Vectors, activity: Labels, person: Labels, wearing: Labels, shots: int) -> Score:
    """Return the balanced accuracy when `shots` windows per activity of a first wearing are enrolled for the next."""
    asked = []
    for name in np.unique(person):
        own = np.unique(wearing[person == name])
        if len(own) < 2:
            continue
        first, second = ((person == name) & (wearing == worn) for worn in own[:2])
        both = np.intersect1d(activity[first], activity[second])
        known = np.isin(activity, both)
        asked.append((first & known, second & known))
    return _enrolment(vectors, activity, person, asked, shots)


def novelty(vectors: Vectors, activity: Labels, person: Labels, tests: Sequence[Rows]) -> dict[str, Score]:
    """Return for each activity, left out of the enrolment, the AUROC of telling it from the others; and the "mean".

    The novelty of a window is one less its largest cosine to the mean of an enrolled activity, as in an enrolment with
    every window of the other people.
    """
    classes = np.unique(activity)
    scores = np.empty((len(classes), len(vectors)))
    for test in tests:
        for row, left_out in enumerate(classes):
            known = ~test & (activity != left_out)  # the scaling must not see it either
            shape = _directions(vectors, known)
            means = unit(
                np.stack([shape[known & (activity == name)].mean(axis=0) for name in np.unique(activity[known])])
            )
            scores[row, test] = 1 - (unit(shape[test]) @ means.T).max(axis=1)
    asked = np.any(tests, axis=0)
    person, activity, scores = person[asked], activity[asked], scores[:, asked]
    people, row_person = np.unique(person, return_inverse=True)
    rng = np.random.default_rng(SEED)
    drawn = [rng.integers(len(people), size=len(people)) for _ in range(BOOTSTRAPS // 5)]
    times = np.stack([np.bincount(chosen, minlength=len(people)) for chosen in [np.arange(len(people)), *drawn]])
    found = np.stack(
        [auroc(activity == left_out, scores[column], times[:, row_person]) for column, left_out in enumerate(classes)],
        axis=1,
    )
    table = {str(name): _interval(found[:, column]) for column, name in enumerate(classes)}
    return {"mean": _interval(found.mean(axis=1)), **table}


def auroc(new: Rows, scores: NDArray[np.float64], times: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (b,) the AUROC of `scores` (n,) for `new` (n,), with each row counted as often as times (b, n) says.

    NaN where all or none of the counted are new. Sorting once for all b is what makes the bootstrap quick.
    """
    _, value = np.unique(scores, return_inverse=True)
    found = np.full(len(times), np.nan)
    for row, count in enumerate(times):
        is_new = np.bincount(value, count * new)
        old = np.bincount(value, count * ~new)
        if is_new.any() and old.any():
            found[row] = (is_new * (old.cumsum() - old / 2)).sum() / (is_new.sum() * old.sum())
    return found


def recognised(vectors: Vectors, person: Labels, wearing: Labels) -> tuple[Score, Score]:
    """Return how often an attacker names the person of another wearing: from one window, and from all of them.

    The attackers, one linear and one a network, learn every first wearing, with names, and are asked about each
    person's next ones. Told is what the better of them reaches. With all of a wearing they vote.
    """
    later = np.zeros(len(person), bool)
    for name in np.unique(person):
        later |= (person == name) & np.isin(wearing, np.unique(wearing[person == name])[1:])
    people = np.unique(person[later])
    known = ~later & np.isin(person, people)
    _, row_person = np.unique(person[later], return_inverse=True)
    found = []
    for attacker in (
        LogisticRegression(max_iter=500, C=0.1),
        MLPClassifier(hidden_layer_sizes=(128,), early_stopping=True, random_state=SEED, max_iter=100),
    ):
        attack = _fit(make_pipeline(StandardScaler(), attacker), vectors[known].astype(np.float64), person[known])
        named = np.asarray(attack.predict(vectors[later].astype(np.float64)))
        windows = np.bincount(row_person[named == person[later]], minlength=len(people))
        by_window = np.stack([windows, np.bincount(row_person)], axis=1).astype(np.float64)
        by_wearing = np.zeros((len(people), 2))
        for worn in np.unique(wearing[later]):
            rows = wearing[later] == worn
            names, votes = np.unique(named[rows], return_counts=True)
            owner = row_person[rows][0]
            by_wearing[owner] += (names[votes.argmax()] == people[owner], 1)
        share = [over_people(counts, lambda sums: float(sums[0] / sums[1])) for counts in (by_window, by_wearing)]
        found.append((share[0], share[1]))
    return max(found, key=lambda scores: scores[0].value)


def waveform_returned(vectors: Vectors, windows: NDArray[np.float32], person: Labels, test: Rows) -> dict[str, Score]:
    """Return how much of the windows' variance trained decoders get back, gravity (each axis' mean) left aside.

    Acceleration and angular rate each count half. The decoders learn the leading components of what they must draw.
    """
    waves = windows - windows.mean(axis=1, keepdims=True)
    waves /= waves[~test].std(axis=(0, 1), keepdims=True)
    flat = waves.reshape(len(waves), -1)
    components = PCA(100, random_state=SEED).fit(flat[~test])
    scaler = StandardScaler().fit(vectors[~test])
    known, asked = scaler.transform(vectors[~test]), scaler.transform(vectors[test])
    aim = components.transform(flat[~test])
    spread = aim.std(axis=0)
    found = {}
    for name, decoder in {
        "linear": Ridge(10.0),
        "network": MLPRegressor(hidden_layer_sizes=(256,), early_stopping=True, random_state=SEED, max_iter=100),
    }.items():
        drawn = components.inverse_transform(_fit(decoder, known, aim / spread[0]).predict(asked) * spread[0])
        missed, whole = ((flat[test] - drawn) ** 2).sum(axis=1), (flat[test] ** 2).sum(axis=1)
        per_person = np.array(
            [[missed[person[test] == p].sum(), whole[person[test] == p].sum()] for p in np.unique(person[test])]
        )
        found[name] = over_people(per_person, lambda sums: float(1 - sums[0] / sums[1]))
    return found


def cosines(a: Vectors, b: Vectors) -> Vectors:
    """Return the cosine of each row of `a` with the same row of `b`."""
    return np.asarray((unit(a) * unit(b)).sum(axis=1), np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Return vectors (n, d), each scaled to length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def neighbours_kept(a: Vectors, b: Vectors) -> float:
    """Return the share of each row's NEIGHBOURS nearest by cosine in `a` that are so in `b` too."""
    found = []
    for vectors in (a, b):
        search = NearestNeighbors(n_neighbors=NEIGHBOURS, metric="cosine", algorithm="brute").fit(vectors)
        found.append(search.kneighbors(return_distance=False))
    return float(np.mean([len(np.intersect1d(one, other)) for one, other in zip(*found, strict=True)]) / NEIGHBOURS)


def macro_f1(table: NDArray[np.float64]) -> float:
    """Return the macro-F1 of a table of counts, true classes down and guessed ones across."""
    hit = np.diag(table)
    present = table.sum(axis=1) > 0
    return float((2 * hit[present] / (table.sum(axis=0) + table.sum(axis=1))[present]).mean())


def balanced_accuracy(table: NDArray[np.float64]) -> float:
    """Return the mean recall of a table of counts, true classes down and guessed ones across."""
    present = table.sum(axis=1) > 0
    return float((np.diag(table)[present] / table.sum(axis=1)[present]).mean())


def over_people(per_person: NDArray[np.float64], figure: Callable[[NDArray[np.float64]], float]) -> Score:
    """Return the figure of the sum of what `per_person` (people, ...) holds, and its interval."""
    per_person = per_person[per_person.reshape(len(per_person), -1).sum(axis=1) > 0]
    rng = np.random.default_rng(SEED)
    count = len(per_person)
    drawn = [figure(per_person[rng.integers(count, size=count)].sum(axis=0)) for _ in range(BOOTSTRAPS)]
    return _interval(np.array([figure(per_person.sum(axis=0)), *drawn]))


def _enrolment(
    vectors: Vectors, activity: Labels, person: Labels, asked: Sequence[tuple[Rows, Rows]], shots: int
) -> Score:
    """Cosine to the mean of the enrolled windows."""
    rng = np.random.default_rng(SEED)
    classes = np.unique(activity)
    _, row_person = np.unique(person, return_inverse=True)
    table = np.zeros((len(np.unique(person)), len(classes), len(classes)))
    for known, test in asked:
        there = np.intersect1d(activity[known], activity[test])
        rows_of = [np.flatnonzero(known & (activity == name)) for name in there]
        directions = unit(vectors[test])
        for _ in range(DRAWS):
            enrolled = [rng.choice(rows, min(shots, len(rows)), replace=False) for rows in rows_of]
            means = unit(np.stack([vectors[rows].mean(axis=0) for rows in enrolled]))
            _count(table, row_person[test], classes, activity[test], there[(directions @ means.T).argmax(axis=1)])
    return over_people(table, balanced_accuracy)


def _fit(learner: Any, vectors: NDArray[np.floating[Any]], aim: NDArray[Any]) -> Any:
    with warnings.catch_warnings():
        # An attacker gets a hundred iterations; the figure is what they reached.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return learner.fit(vectors, aim)


def _directions(vectors: Vectors, pool: Rows) -> Vectors:
    mean, spread = vectors[pool].mean(axis=0), vectors[pool].std(axis=0)
    return np.asarray((vectors - mean) / np.maximum(spread, 1e-6), np.float32)


def _count(
    table: NDArray[np.float64], person: NDArray[np.intp], classes: Labels, true: Labels, guessed: Labels
) -> None:
    """Add to `table` (people, classes, classes)."""
    np.add.at(table, (person, np.searchsorted(classes, true), np.searchsorted(classes, guessed)), 1)


def _interval(found: NDArray[np.float64]) -> Score:
    """`found`: the figure itself, then those of the bootstrap."""
    low, high = np.nanquantile(found[1:], (0.025, 0.975)) if len(found) > 1 else (np.nan, np.nan)
    return Score(*(round(float(value), 4) for value in (found[0], low, high)))

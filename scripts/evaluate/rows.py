"""A row of the tables: every measure of the vectors that one contestant makes of one set of windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scripts.evaluate import measures
from scripts.evaluate.measures import Rows, Score, Vectors
from scripts.evaluate.transform import Peer
from scripts.train.data import WindowSet

SHOTS = (1, 3, 5)

PREFIXES = (8, 16, 32)
"""How many of the first motion codes somebody might keep."""


def measured(
    vectors: Vectors, turned: Vectors, windows: WindowSet, tests: Sequence[Rows], *, worn_again: bool = False
) -> dict[str, Any]:
    """Return all measures of `vectors` of all windows, and of `turned`, those of the test windows turned.

    worn_again: the set says when a device was taken off and put on again; then people are named, too, and a wearing is
    enrolled for the next.
    """
    activity, person = windows.activity, windows.person
    asked = np.any(tests, axis=0)
    guessed, guessed_turned = np.empty_like(activity), np.empty_like(activity)
    for test in tests:
        learned = measures.probe(vectors[~test], activity[~test])
        guessed[test] = learned(vectors[test])
        guessed_turned[test] = learned(turned[test[asked]])
    row: dict[str, Any] = {
        "numbers": vectors.shape[1],
        "probe": measures.probed(guessed[asked], activity[asked], person[asked]),
        "probe_turned": measures.probed(guessed_turned[asked], activity[asked], person[asked]),
    }
    scaled = measures.z_scored(vectors)
    for shots in SHOTS:
        row[f"enrolment_across_{shots}"] = measures.enrolment_across(scaled, activity, person, tests, shots)
    row["enrolment_across_5_bare"] = measures.enrolment_across(vectors, activity, person, tests, 5)
    if worn_again:
        for shots in SHOTS:
            row[f"enrolment_worn_again_{shots}"] = measures.enrolment_worn_again(
                scaled, activity, person, windows.wearing, shots
            )
        row["recognised"], row["recognised_wearing"] = measures.recognised(vectors, person, windows.wearing)
    novelty = measures.novelty(vectors, activity, person, tests)
    row["novelty_mean"] = novelty.pop("mean")
    row["novelty_worst"] = min(novelty.values(), key=lambda score: score.value)
    return plain(row) | {"novelty_of": plain(novelty)}


def measured_peer(peer: Peer, windows: WindowSet, turned: NDArray[np.float32], tests: Sequence[Rows]) -> dict[str, Any]:
    """Return all measures of what `peer`, fitted on all `windows`, makes of them, and of the test windows `turned`."""
    transform = peer(windows.windows)
    return measured(transform(windows.windows), transform(turned), windows, tests)


def brief(
    vectors: Vectors, activity: NDArray[np.str_], person: NDArray[np.str_], tests: Sequence[Rows]
) -> dict[str, Any]:
    """Return the two measures that a variant of the signature is judged by: the probe, and five windows enrolled."""
    asked = np.any(tests, axis=0)
    guessed = np.empty_like(activity)
    for test in tests:
        guessed[test] = measures.probe(vectors[~test], activity[~test])(vectors[test])
    return plain(
        {
            "probe": measures.probed(guessed[asked], activity[asked], person[asked]),
            "enrolment_across_5": measures.enrolment_across(measures.z_scored(vectors), activity, person, tests, 5),
        }
    )


def prefixes(motion: Vectors, windows: WindowSet, tests: Sequence[Rows]) -> dict[str, Any]:
    """Return the brief measures of the first motion codes alone, by their number as text; all of them come last."""
    return {
        str(number): brief(motion[:, :number], windows.activity, windows.person, tests)
        for number in (*PREFIXES, motion.shape[1])
    }


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with each score as a list of figure, low and high, as a card holds it."""
    return {name: [*astuple(value)] if isinstance(value, Score) else value for name, value in row.items()}


def shown(row: dict[str, Any]) -> str:
    """Return the row's figures in a line, without their intervals."""
    if all(isinstance(value, dict) for value in row.values()):
        return "; ".join(f"{name}: {shown(value)}" for name, value in row.items())
    figures = {name: value for name, value in row.items() if not isinstance(value, dict)}
    return "  ".join(f"{name} {value[0] if isinstance(value, list) else value}" for name, value in figures.items())

"""Unlike normal life: an activity that never was in it, and life that is as usual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from motionsig import Encoder, teach
from motionsig.blocks import SignatureBatch
from motionsig.events import BEGAN
from scripts.evaluate.recipes.signed import Piece, Watching, pieces
from scripts.train.clock import Say

SEED = 1
HOP = 64
"""As signatures are stored."""
MOST_AN_HOUR = (0.1, 1.0, 4.0)
NORMAL_SHARE = 0.8
"""Of each recording of a person, where the rest is asked."""
EVERY = 4
"""Each person is asked about each fourth activity, another one after the other."""
LEAST_S = 20.0
"""Of a recording in which something else could be told, which takes ten seconds."""


def measured(folder: Path, encoder: Encoder, say: Say) -> dict[str, Any]:
    """Return how often an activity left out of normal life was told, and how often anything else.

    own: each person of dsads by itself, both arms, the last fifth of each recording is asked. others: two thirds of the
    people of motionsense are the normal life of the rest.
    """
    found: dict[str, Any] = {}
    arms = pieces(folder, "dsads", encoder, HOP, place="arm")
    cut = [(piece, round(NORMAL_SHARE * len(piece.signatures))) for piece in arms]
    found["own"] = _all(
        [
            (
                activity,
                [piece.signatures[:at] for piece, at in cut if piece.person == person and piece.activity != activity],
                [
                    piece._replace(signatures=piece.signatures[at:], seconds=(1 - NORMAL_SHARE) * piece.seconds)
                    for piece, at in cut
                    if piece.person == person
                ],
            )
            for number, person in enumerate(sorted({piece.person for piece in arms}))
            for activity in sorted({piece.activity for piece in arms})[number % EVERY :: EVERY]
        ],
        encoder,
    )
    say(f"unlike one's own life: {found['own']}")
    pocket = pieces(folder, "motionsense", encoder, HOP)
    people = np.random.default_rng(SEED).permutation(sorted({piece.person for piece in pocket})).tolist()
    asked = [piece for piece in pocket if piece.person in people[: len(people) // 3]]
    left = [piece for piece in pocket if piece.person not in people[: len(people) // 3]]
    found["others"] = _all(
        [
            (activity, [piece.signatures for piece in left if piece.activity != activity], asked)
            for activity in sorted({piece.activity for piece in pocket})
        ],
        encoder,
    )
    say(f"unlike other people's life: {found['others']}")
    return found


def _all(trials: Sequence[tuple[str, list[SignatureBatch], list[Piece]]], encoder: Encoder) -> dict[str, Any]:
    """Return what was told in all trials (activity, normal life, asked) by the false alarms allowed an hour."""
    rows = {}
    for most in MOST_AN_HOUR:
        found = there = false = 0
        hours = 0.0
        for activity, normal, asked in trials:
            head = teach("unlike", normal=_one_after_the_other(normal), most_an_hour=most, encoder=encoder)
            watching = Watching([head])
            for piece in asked:
                begun = sum(event.phase == BEGAN for event in watching.told(piece.signatures))
                if piece.activity != activity:
                    false, hours = false + begun, hours + piece.seconds / 3600
                elif piece.seconds >= LEAST_S:
                    there, found = there + 1, found + bool(begun)
        rows[f"{most:g}"] = {"trials": len(trials), "asked": there, "found": found, "hours": round(hours, 1),
                             "false": false}  # fmt: skip
    return rows


def _one_after_the_other(parts: list[SignatureBatch]) -> list[SignatureBatch]:
    """Return the signatures of recordings as if they followed one another, as days do; teaching tells hours apart."""
    days, start_ns = list[SignatureBatch](), 0
    for at in np.random.default_rng(SEED).permutation(len(parts)).tolist():
        batch = parts[at]
        days.append(replace(batch, start_ns=batch.start_ns - batch.start_ns[0] + start_ns))
        start_ns = int(days[-1].start_ns[-1]) + 10 * batch.hop_ns
    return days

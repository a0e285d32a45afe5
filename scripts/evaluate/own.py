"""The table for somebody's own labelled logs: what the signature is worth on them, beside what they might take instead.

Nothing is trained but the probes, and none of the recorded sets is needed.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from motionsig.encoders import Encoder
from scripts.evaluate import measures, rows
from scripts.evaluate.contestants import MOTION_ALONE, SIGNATURE, shipped
from scripts.evaluate.jobs import spread
from scripts.evaluate.measures import Rows
from scripts.evaluate.transform import Peer
from scripts.train import data, tables
from scripts.train.clock import Say

SEED = 1

FEWEST = 10
"""Windows that each activity must have."""

COLUMNS = {
    "probe": "linear probe",
    "probe_turned": "probe, turned",
    "enrolment_across_1": "enrolled, 1",
    "enrolment_across_3": "enrolled, 3",
    "enrolment_across_5": "enrolled, 5",
    "novelty_mean": "novelty",
}


def table_of(folder: Path, encoder: Encoder, peers: Mapping[str, Peer], say: Say) -> str:
    """Return the page in Markdown. Raises SystemExit, in a line, for logs that cannot be measured."""
    say(f"reading the logs in {folder}")
    windows = data.read_own(folder, np.random.default_rng(SEED))
    windows, tests, dropped = measurable(folder, windows)
    turned = data.turned(windows.windows, np.random.default_rng(SEED))
    say(f"{len(windows)} windows; measuring")
    jobs: dict[str, Any] = {}
    transform, motion = shipped(encoder), slice(0, encoder.card.motion_dim)
    vectors, vectors_turned = transform(windows.windows), transform(turned)
    jobs[SIGNATURE] = partial(rows.measured, vectors, vectors_turned, windows, tests)
    jobs[MOTION_ALONE] = partial(rows.measured, vectors[:, motion], vectors_turned[:, motion], windows, tests)
    jobs |= {name: partial(rows.measured_peer, peer, windows, turned, tests) for name, peer in peers.items()}
    found = spread(jobs, lambda name, row: say(f"{name}: {rows.shown(row)}"))
    activities, counts = np.unique(windows.activity, return_counts=True)
    template = (Path(__file__).parent / "own_page.md").read_text(encoding="utf-8")
    return string.Template(template).substitute(
        model=encoder.card.name,
        folder=folder,
        count=f"{len(windows):,}",
        seconds=f"{data.LENGTH / data.GRID_HZ:g}",
        activities=", ".join(f"{name} {count}" for name, count in zip(activities, counts, strict=True)),
        people=len(np.unique(windows.person)),
        folds=len(tests),
        dropped=dropped,
        table=tables.scores(found, COLUMNS),
        draws=measures.DRAWS,
    )


def measurable(folder: Path, windows: data.WindowSet) -> tuple[data.WindowSet, list[Rows], str]:
    """Return the windows of activities that every fold can learn from others, the folds, and a sentence on the rest.

    Raises SystemExit where there are too few people, activities or windows.
    """
    needed = "the measures learn from some people and ask about others (ACTIVITY/PERSON/LOG)"
    people = np.unique(windows.person)
    if len(windows) == 0:
        raise SystemExit(f"{folder}: expected logs of at least {data.LENGTH / data.GRID_HZ:g} s, got shorter ones")
    if len(people) < 2:
        raise SystemExit(f"{folder}: expected logs of at least two people, got only {people[0]}: {needed}")
    tests = measures.folds(windows.person)
    common = sorted(set.intersection(*(set(windows.activity[~test]) for test in tests)))
    others = sorted(set(windows.activity) - set(common))
    if len(common) < 2:
        got = ", ".join(common) or "none"
        beside = f" (only one did {', '.join(others)})" if others else ""
        raise SystemExit(
            f"{folder}: expected at least two activities that several people did, got {got}{beside}: {needed}"
        )
    for activity in common:
        count = int((windows.activity == activity).sum())
        if count < FEWEST:
            raise SystemExit(
                f"{folder}: expected at least {FEWEST} windows of each activity, got {count} of {activity}: record "
                f"{(FEWEST + 1) * data.HOP / data.GRID_HZ:.0f} s or more"
            )
    chosen = np.isin(windows.activity, common)
    dropped = f" Not measured, because too few people did them: {', '.join(others)}." if others else ""
    return windows.where(chosen), [test[chosen] for test in tests], dropped

"""The measures on sets that a network never saw: sets are left out of training in groups, and measured.

A group holds sets of different kinds, so that leaving it out takes as little as possible of any one kind away. Each
training still lacks three sets or four where one would do, which makes the figures of our vectors a little worse than
they would be with each set left out by itself. The peers learn nothing from any set, so theirs stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scripts.evaluate import measures, noise, rows
from scripts.evaluate.contestants import MOTION_ALONE, SIGNATURE, STATISTICS
from scripts.evaluate.extent import Extent
from scripts.evaluate.jobs import spread
from scripts.evaluate.measures import Rows
from scripts.evaluate.transform import Peer, Teach, Transform
from scripts.train import data
from scripts.train.clock import Say

SEED = 1

GROUPS = (
    ("wisdm2019", "st_mlc_6axis", "boreal"),
    ("dsads", "android_digits", "quadrotor"),
    ("motionsense", "seglearn_watch"),
    ("geotec_spsw", "nicla_transport"),
)

ONLY_TRAIN = {
    "car_road": "one drive of road quality 1, and one road for each quality",
    "body_lab": "one person on stairs",
    "rocket": "three flights, with three seconds of some states",
}
"""Labelled sets that measure nothing, and why: what is learned from one of them could not be asked of another."""

STANDS_FOR_A_PERSON: dict[str, Callable[[str], str]] = {"quadrotor": lambda recording: recording.split("_")[0]}
"""Where no person is named, recordings stand for people. Here the four recordings of a flight stand for one."""


def check_groups() -> None:
    """Raise ValueError unless every labelled training set is left out in one group or has a reason not to be."""
    labelled = sorted(name for name in data.TRAINING_SETS if data.SETS[name].labelled)
    known = sorted(name for name in (*ONLY_TRAIN, *sum(GROUPS, ())) if name in data.SETS)
    if known != labelled:
        raise ValueError(f"left_out.py: expected each of {labelled} once in GROUPS or ONLY_TRAIN, got {known}")


def measured(
    folder: Path, teach: Teach, peers: Mapping[str, Peer], motion: int, seeds: int, extent: Extent, say: Say
) -> dict[str, Any]:
    """Return the card's entries about sets left out, by networks of seeds 1 to `seeds` and by the peers."""
    check_groups()
    table: dict[str, Any] = {}
    prefixes: dict[str, Any] = {}
    gaits: dict[str, Any] = {}
    for number, group in enumerate(GROUPS, 1):
        names = tuple(name for name in group if name in data.SETS)
        taught = []
        for seed in range(1, seeds + 1):
            say(f"group {number} of {len(GROUPS)}, seed {seed}: training without {', '.join(names)}")
            taught.append(teach(names, seed, extent.batches))
        for name in names:
            windows, tests = sample(data.read(folder, name, np.random.default_rng(SEED)), extent.left_out_windows)
            made = {_of_seed(SIGNATURE, seed): transform for seed, transform in enumerate(taught, 1)}
            table[name], prefixes[name] = _of_set(windows, made, peers, motion, tests, say)
            if name in noise.GAITS:
                shown = {rival: peers[rival](windows.windows) for rival in STATISTICS}
                gaits[name] = noise.gait_lost(windows, {SIGNATURE: taught[0], **shown}, motion, tests, say)
    return {
        "left_out_batches": extent.batches,
        "left_out_windows": extent.left_out_windows,
        "left_out_groups": [[name for name in group if name in table] for group in GROUPS],
        "left_out_never": {name: why for name, why in ONLY_TRAIN.items() if name in data.SETS},
        "left_out": table,
        "left_out_prefixes": prefixes,
        "left_out_gait_noise": gaits,
    }


def _of_seed(name: str, seed: int) -> str:
    return name if seed == 1 else f"{name}_seed_{seed}"


def _of_set(
    windows: data.WindowSet,
    made: Mapping[str, Transform],
    peers: Mapping[str, Peer],
    motion: int,
    tests: list[Rows],
    say: Say,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the rows of what networks `made` and of the peers, and the figures of the first codes."""
    turned = data.turned(windows.windows, np.random.default_rng(SEED))
    jobs: dict[str, Any] = {}
    for name, transform in made.items():
        vectors, vectors_turned = transform(windows.windows), transform(turned)
        both = vectors[:, :motion], vectors_turned[:, :motion]
        jobs[name] = partial(rows.measured, vectors, vectors_turned, windows, tests)
        jobs[name.replace(SIGNATURE, MOTION_ALONE)] = partial(rows.measured, *both, windows, tests)
    jobs |= {name: partial(rows.measured_peer, peer, windows, turned, tests) for name, peer in peers.items()}
    jobs["prefixes"] = partial(rows.prefixes, made[SIGNATURE](windows.windows)[:, :motion], windows, tests)
    told = f"{windows.name} left out of training"
    found = spread(jobs, lambda name, row: say(f"{told}, {name}: {rows.shown(row)}"))
    prefixes = found.pop("prefixes")
    return found, prefixes


def sample(windows: data.WindowSet, most: int) -> tuple[data.WindowSet, list[Rows]]:
    """Return `most` of the windows at most, and the test rows of each fold.

    Their activities are those that every fold can learn from the others; no label is none.
    """
    windows = windows.where(windows.activity != data.UNLABELLED)
    if windows.name in STANDS_FOR_A_PERSON:
        person = np.array([STANDS_FOR_A_PERSON[windows.name](str(worn)) for worn in windows.wearing])
        windows = replace(windows, person=person)
    drawn = np.zeros(len(windows), bool)
    drawn[np.random.default_rng(SEED).permutation(len(windows))[:most]] = True
    tests = measures.folds(windows.person)
    common = set.intersection(*(set(windows.activity[drawn & ~test]) for test in tests))
    chosen = drawn & np.isin(windows.activity, sorted(common))
    return windows.where(chosen), [test[chosen] for test in tests]

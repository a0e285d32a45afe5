"""What the network learns from: windows of every set and their labels; and the front end it sees them through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionsig.frontend import FEATURE_CHANNELS, POSTURE_DIM, FrontEnd
from motionsig.quantization import Group, Quantization
from scripts.train import data, network

FRONT_END = FrontEnd(acc_knee=0.15, gyr_knee=0.04, acc_full=160, gyr_full=35)
"""Knees at what cheap sensors make of rest, because ways of keeping still differ by little more; full scale of 16 g
(156.9 m/s²) and of 2,000 degrees/s (34.9 rad/s)."""

INPUT = Quantization((Group(FEATURE_CHANNELS, network.INPUT_SCALE, network.ZERO_POINT),))
POSTURE_SCALE = 1 / 32
"""The front end scales posture to a spread of about 1, so the motion codes' scale fits it too."""
POSTURE = Quantization((Group(POSTURE_DIM, POSTURE_SCALE, 0),))

OWN = data.SetFacts("the owner's")
"""What is known of a user's own logs."""


@dataclass(frozen=True, eq=False)
class Material:
    """Windows (n, 128, 6) float32 of one set and what is known of them.

    rival: whose classes a window is judged among; label: its class, "" where the set has none.
    """

    name: str
    windows: NDArray[np.float32]
    rival: NDArray[np.str_]
    label: NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Lessons:
    """What the network is taught from.

    windows: (n, 128, 6) float32. label: (n,) column in `classes`, -1 where there is none. classes: (c,) the group of
    each class. group: (n,) the group whose classes a window is judged among. set_index: (n,) which set it came from.
    """

    windows: NDArray[np.float32]
    label: NDArray[np.int32]
    classes: NDArray[np.int32]
    group: NDArray[np.int32]
    set_index: NDArray[np.int32]


def quantised(windows: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return what the front end makes of windows (k, 128, 6) for the network, (k, 128, 12) int8."""
    parts = (windows[row : row + 4096] for row in range(0, max(1, len(windows)), 4096))
    return np.concatenate([INPUT.quantize(FRONT_END.apply(part)[0]) for part in parts])


def material_of(windows: data.WindowSet, *, labelled: bool) -> Material:
    """Return what can be learned from `windows`."""
    # st_mlc holds several small sets, named before the slash; classes of different ones are not compared.
    rival = [f"{windows.name}/{label.split('/')[0]}" if "/" in label else windows.name for label in windows.activity]
    known = [label if labelled and label != data.UNLABELLED else "" for label in windows.activity]
    label = [f"{windows.name}:{label}" if label else "" for label in known]
    return Material(windows.name, windows.windows, np.array(rival), np.array(label))


def lessons_of(material: list[Material]) -> Lessons:
    """Return what the network is taught: windows, and the labels in groups of rivals."""
    sets = [part.name for part in material]
    _, set_index = np.unique(np.repeat(sets, [len(part.windows) for part in material]), return_inverse=True)
    _, group = np.unique(np.concatenate([part.rival for part in material]), return_inverse=True)
    labels = np.concatenate([part.label for part in material])
    _, first, label = np.unique(labels, return_index=True, return_inverse=True)
    return Lessons(
        windows=np.concatenate([part.windows for part in material]),
        label=np.where(labels == "", -1, label).astype(np.int32),
        classes=group[first].astype(np.int32),
        group=group.astype(np.int32),
        set_index=set_index.astype(np.int32),
    )


def read_material(
    folder: Path, own: list[Path], seed: int, say: Callable[[str], None]
) -> tuple[list[Material], list[dict[str, object]]]:
    """Return all training sets and their facts."""
    material, facts = [], []
    names = [path.resolve().name for path in own]
    if len(set(names)) < len(names):
        raise SystemExit(f"--own: expected folders of different names, got {', '.join(names)}")
    # The user's logs come first, so that a mistake in them is found at once.
    readers: list[tuple[str, data.SetFacts, Callable[..., data.WindowSet]]] = [
        *((str(path), OWN, partial(data.read_own, path)) for path in own),
        *((name, data.SETS[name], partial(data.read, folder, name)) for name in data.TRAINING_SETS),
    ]
    for name, about, read in readers:
        windows = read(np.random.default_rng(seed))
        if not len(windows):
            raise SystemExit(
                f"{name}: expected recordings of at least {data.LENGTH / data.GRID_HZ} s, got shorter ones"
            )
        facts.append(set_facts(windows, about))
        material.append(material_of(windows, labelled=about.labelled))
        say(f"{name}: {len(windows)} windows")
    return material, facts


def set_facts(windows: data.WindowSet, facts: data.SetFacts) -> dict[str, object]:
    """Return the card's entry for one training set, with counts of what was used."""
    return {
        "name": windows.name,
        "licence": facts.licence,
        "people": len(np.unique(windows.person)) if facts.people else None,
        "hours": round(len(windows) * facts.hop / data.GRID_HZ / 3600, 1),
        "windows": len(windows),
    }

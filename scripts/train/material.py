"""What the network learns from: windows through motionsig's own front end, statistics to predict, labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionsig.frontend import FEATURE_CHANNELS, POSTURE_DIM, FrontEnd
from motionsig.quantization import Group, Quantization
from scripts.train import data, handmade, network, sensors

FRONT_END = FrontEnd(acc_knee=0.5, gyr_knee=0.12)
"""Low knees, because ways of keeping still differ by a few hundredths of a m/s²."""

INPUT = Quantization((Group(FEATURE_CHANNELS, network.INPUT_SCALE, network.ZERO_POINT),))
POSTURE_SCALE = 1 / 32
"""The front end scales posture to a spread of about 1, so the motion codes' scale fits it too."""
POSTURE = Quantization((Group(POSTURE_DIM, POSTURE_SCALE, 0),))

TARGETS = 96
"""Principal components of the statistics that the motion codes must predict."""

OWN = data.SetFacts("the owner's")
"""What is known of a user's own logs."""


@dataclass(frozen=True, eq=False)
class Material:
    """Windows of one set in the form training takes them: network input (n, 128, 12) int8, statistics (n, 216), labels.

    rival: whose classes a window is judged among; label: its class, "" where the set has none.
    """

    name: str
    codes: NDArray[np.int8]
    statistics: NDArray[np.float32]
    rival: NDArray[np.str_]
    label: NDArray[np.str_]


def material_of(windows: data.WindowSet, *, labelled: bool) -> Material:
    """Return what can be learned from `windows`."""
    codes, statistics = [], []
    for row in range(0, len(windows), 4096):
        features, _ = FRONT_END.apply(windows.windows[row : row + 4096])
        codes.append(INPUT.quantize(features))
        statistics.append(handmade.channel_statistics(features, FRONT_END))
    # st_mlc holds several small sets, named before the slash; classes of different ones are not compared.
    rival = [f"{windows.name}/{label.split('/')[0]}" if "/" in label else windows.name for label in windows.activity]
    label = [f"{windows.name}:{label}" if labelled else "" for label in windows.activity]
    return Material(windows.name, np.concatenate(codes), np.concatenate(statistics), np.array(rival), np.array(label))


def lessons_of(material: list[Material]) -> network.Lessons:
    """Return what the network is taught: inputs, whitened statistics, and the labels in groups of rivals."""
    sets = [part.name for part in material]
    _, set_index = np.unique(np.repeat(sets, [len(part.codes) for part in material]), return_inverse=True)
    _, group = np.unique(np.concatenate([part.rival for part in material]), return_inverse=True)
    labels = np.concatenate([part.label for part in material])
    _, first, label = np.unique(labels, return_index=True, return_inverse=True)
    return network.Lessons(
        codes=np.concatenate([part.codes for part in material]),
        targets=whitened(np.concatenate([part.statistics for part in material])),
        label=np.where(labels == "", -1, label).astype(np.int32),
        classes=group[first].astype(np.int32),
        group=group.astype(np.int32),
        set_index=set_index.astype(np.int32),
    )


def whitened(statistics: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first TARGETS principal components of standardised statistics (n, s), each of unit variance."""
    spread = statistics.std(axis=0)
    standard = np.clip((statistics - statistics.mean(axis=0)) / np.maximum(spread, 1e-6), -6, 6).astype(np.float64)
    standard -= standard.mean(axis=0)
    variance, axes = np.linalg.eigh(standard.T @ standard / len(standard))
    kept = np.argsort(variance)[::-1][:TARGETS]
    return np.asarray(standard @ (axes[:, kept] / np.sqrt(variance[kept])), np.float32)


def read_material(
    folder: Path, own: list[Path], seed: int, say: Callable[[str], None]
) -> tuple[list[Material], list[dict[str, object]]]:
    """Return all training sets and their facts; each set once as recorded and once as from other sensors."""
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
        elsewhere = read(np.random.default_rng(seed), sensors.any_sensor)
        if len(elsewhere):
            material.append(material_of(elsewhere, labelled=about.labelled))
        say(f"{name}: {len(windows)} windows, and {len(elsewhere)} as other sensors would have delivered them")
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

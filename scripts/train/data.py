"""From the recorded sets to windows, by the very path a device takes.

Every recording goes through motionsig's own Resampler and Windower: what the network is trained on is what it will be
given. Long recordings are cut to a stretch at a random place, so that the large sets neither drown the small ones nor
the clock, and still show every person, activity and sensor they have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import sample_block
from motionsig.conventions import NS_PER_S
from motionsig.resampling import Resampler
from motionsig.windowing import Windower

GRID_HZ = 50.0
LENGTH = 128
HOP = 64
MAX_GAP_S = 0.05

EVALUATION_ONLY = frozenset({"hapt"})
"""Never trained on: the set's own README forbids commercial use."""


@dataclass(frozen=True)
class SetFacts:
    """How a set is read. acc_sign: -1 for the iOS sign. stretch_s: what is taken of each recording at most."""

    licence: str
    hop: int = HOP
    stretch_s: float = float("inf")
    acc_sign: float = 1.0
    labelled: bool = True
    joined: bool = False  # consecutive recordings are labelled pieces of one stream; the id ends in the first sample


NOT_SEEN = "CC BY 4.0 as UCI lists it; the licence's text was not seen"
TRAINING_SETS = {
    "wisdm2019": SetFacts(NOT_SEEN, stretch_s=45),
    "dsads": SetFacts(NOT_SEEN, stretch_s=60),
    "motionsense": SetFacts("MIT", acc_sign=-1.0),
    "geotec_spsw": SetFacts("CC BY 4.0", hop=32, joined=True),
    "seglearn_watch": SetFacts("BSD-3-Clause", hop=32),
    "st_mlc_6axis": SetFacts("BSD-3-Clause", hop=32, stretch_s=90),
    "android_digits": SetFacts("MIT", hop=32),
    "broad": SetFacts("CC BY 4.0", labelled=False),
}
NOBODY_NAMED = frozenset({"st_mlc_6axis", "broad"})
"""Sets that say nothing about who moved: one stand-in for everybody."""

EVALUATION_SETS = {"hapt": SetFacts("conflicting; evaluation only")}


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Windows (n, LENGTH, 6) float32 of one set, with activity and person (n,) as text."""

    name: str
    windows: NDArray[np.float32]
    activity: NDArray[np.str_]
    person: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.windows)

    def where(self, rows: NDArray[np.bool_]) -> WindowSet:
        """Return the windows for which `rows` (n,) holds."""
        return WindowSet(self.name, self.windows[rows], self.activity[rows], self.person[rows])


def read_training_set(data: Path, name: str, rng: np.random.Generator) -> WindowSet:
    """Return the windows of one training set. Raises ValueError for a set that may only evaluate."""
    if name in EVALUATION_ONLY:
        raise ValueError(f"{name}: evaluation only, must never be trained on")
    return _read(data, name, TRAINING_SETS[name], rng)


def read_evaluation_set(data: Path, name: str, rng: np.random.Generator) -> WindowSet:
    """Return the windows of a set kept for evaluation."""
    return _read(data, name, EVALUATION_SETS[name], rng)


def held_out_people(people: NDArray[np.str_], rng: np.random.Generator) -> set[str]:
    """Return a fifth of the people, drawn at random; none of a set that has fewer than five."""
    names = np.unique(people)
    return set(rng.permutation(names)[: len(names) // 5].tolist())


def turned(windows: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the windows, each as a device turned by a random rotation of its own would have recorded it."""
    quaternion = rng.normal(size=(len(windows), 4))
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    rotation = np.empty((len(windows), 3, 3), np.float32)
    rotation[:, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=1)
    rotation[:, 1] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=1)
    rotation[:, 2] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=1)
    turn = rotation.transpose(0, 2, 1)
    return np.concatenate([windows[:, :, :3] @ turn, windows[:, :, 3:] @ turn], axis=2)


def _read(data: Path, name: str, facts: SetFacts, rng: np.random.Generator) -> WindowSet:
    with np.load(data / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files if key != "meta"}
    acc = arrays["acc_q"].T * np.float32(arrays["acc_scale"] * facts.acc_sign)
    gyr = arrays["gyr_q"].T * np.float32(arrays["gyr_scale"])
    samples = np.concatenate([acc, gyr], axis=1, dtype=np.float32)
    windows, activity, person = [], [], []
    for first, last in _streams(arrays, joined=facts.joined):
        offsets = arrays["offsets"][first : last + 1]
        rate_hz = float(arrays["fs_hz"][first])
        stretch = int(min(facts.stretch_s * rate_hz, offsets[-1] - offsets[0]))
        begin = int(rng.integers(offsets[0], offsets[-1] - stretch + 1))
        got, middle_s = _windows(samples[begin : begin + stretch], rate_hz, facts.hop)
        piece = np.searchsorted(offsets, begin + middle_s * rate_hz, side="right") - 1
        piece = first + np.clip(piece, 0, last - first - 1)
        windows.append(got)
        activity.append(arrays["activity"][piece])
        person.append(arrays["subject"][piece])
    return WindowSet(name, np.concatenate(windows), np.concatenate(activity), np.concatenate(person))


def _streams(arrays: dict[str, Any], *, joined: bool) -> Iterator[tuple[int, int]]:
    """Yield (first, last) of the recordings that follow one another without a gap; last is exclusive."""
    count = len(arrays["subject"])
    begins = [0]
    for row in range(1, count):
        if joined:
            stem, start = arrays["rec_id"][row - 1].rsplit("_", 1)
            length = int(arrays["offsets"][row] - arrays["offsets"][row - 1])
            if arrays["rec_id"][row] == f"{stem}_{int(start) + length}":
                continue
        begins.append(row)
    yield from zip(begins, [*begins[1:], count], strict=True)


def _windows(samples: NDArray[np.float32], rate_hz: float, hop: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the windows (k, LENGTH, 6) of one gapless stream and the time of each one's middle in seconds."""
    time_ns = np.rint(np.arange(len(samples)) * (NS_PER_S / rate_hz)).astype(np.int64)
    resampler = Resampler(rate_hz, grid_hz=GRID_HZ, max_gap_s=MAX_GAP_S)
    windower = Windower(length=LENGTH, hop=hop, grid_hz=GRID_HZ)
    blocks = resampler.push(sample_block(time_ns, samples)) + resampler.flush()
    batches = [windower.push(block) for block in blocks]
    if not batches:
        return np.empty((0, LENGTH, samples.shape[1]), np.float32), np.empty(0)
    start_s = np.concatenate([batch.start_ns for batch in batches]) / NS_PER_S
    return np.concatenate([batch.data for batch in batches]), start_s + LENGTH / GRID_HZ / 2

"""What the search for few examples is tried on: people's own movements, and a day of other life."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from motionsig import Resampler, Windower
from motionsig.blocks import sample_block
from motionsig.conventions import NS_PER_S
from scripts.evaluate.measures import Labels, Rows, Vectors
from scripts.evaluate.transform import Transform
from scripts.train import data
from scripts.train.sensors import MAX_GAP_S

HOP = 16
"""Windows are made .32 s apart."""
ALARM_S = 10.0
"""Alarms within the same stretch of this length are one."""
OCCASION = 2 * data.LENGTH
"""Samples that an occasion lasts, where a movement goes on for longer."""

LIFE = "wisdm2019"

KNOWN_RECORDINGS = 25
"""How many recordings of each digit may give examples; the others are asked."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples (n, 6) at rate_hz, m/s² and rad/s.

    number: how many of its activity came before it in the set. again: it is not of the person's first wearing.
    """

    samples: NDArray[np.float32]
    rate_hz: float
    person: str
    activity: str
    position: str
    name: str
    number: int
    again: bool


Windows = NDArray[np.float32]
Roles = Callable[[Recording, Windows], tuple[Rows, NDArray[np.intp]]]


@dataclass(frozen=True)
class Own:
    """One set of people's own movements. `roles` says what each window (k, LENGTH, 6) of a recording is for.

    It returns whether a window may be an example (k,), and the number of the occasion that it lies in (k,), or -1.
    activities: those that are enrolled, empty for all. not_life: activities of the other life that are the same
    movement. unit: whose examples and occasions belong together. person: what stands for a person in the interval.
    draws: how many times the examples of a unit are drawn.
    """

    how: str
    roles: Roles
    activities: tuple[str, ...] = ()
    not_life: tuple[str, ...] = ()
    unit: Callable[[Recording], str] = lambda recording: recording.person
    person: Callable[[Recording], str] = lambda recording: recording.person
    draws: int = 3


def _halves(recording: Recording, windows: Windows) -> tuple[Rows, NDArray[np.intp]]:
    """Examples lie wholly in the first half of the recording, occasions in the second."""
    start = np.arange(len(windows)) * HOP
    half = (int(start[-1]) + data.LENGTH) // (2 * HOP) * HOP
    return start + data.LENGTH <= half, np.where(start >= half, _occasions(start - half), -1)


def _recordings_apart(recording: Recording, windows: Windows) -> tuple[Rows, NDArray[np.intp]]:
    """The window that turns most in each of the known recordings is an example, each later recording an occasion."""
    known = recording.number < KNOWN_RECORDINGS
    turns = (windows[:, :, 3:] ** 2).sum(axis=(1, 2))
    return known & (np.arange(len(windows)) == turns.argmax()), np.full(len(windows), -1 if known else 0)


def _wearings(recording: Recording, windows: Windows) -> tuple[Rows, NDArray[np.intp]]:
    """Windows of the first wearing are examples, the later ones' lie in occasions."""
    count = len(windows)
    occasions = _occasions(np.arange(count) * HOP) if recording.again else np.full(count, -1)
    return np.full(count, not recording.again), occasions


def _occasions(start: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the number of the whole occasion that each window, by its first sample, lies in wholly; -1 if in none."""
    number = start // OCCASION
    whole = (number + 1) * OCCASION < start[-1] + data.LENGTH + HOP
    return np.where(whole & (start + data.LENGTH <= (number + 1) * OCCASION), number, -1)


OWN = {
    "seglearn_watch": Own(
        "exercises, watch; examples from the first half of a recording, asked in its second",
        _halves,
        unit=lambda recording: f"{recording.person} {recording.position}",
    ),
    "android_digits": Own(
        f"digits one person drew in the air; {KNOWN_RECORDINGS} recordings of each give examples, the rest is asked",
        _recordings_apart,
        person=lambda recording: recording.name,
        draws=20,
    ),
    # Whoever lives sits and stands, so only gaits can be told from other life.
    "hapt": Own(
        "walking and stairs, phone at the waist; examples from the first wearing, asked in the second",
        _wearings,
        activities=("walking", "upstairs", "downstairs"),
        not_life=("walking", "stairs"),
    ),
}


@dataclass(frozen=True, eq=False)
class Movements:
    """Vectors (n, d) of people's own movements.

    unit: (n,) whose examples and occasions belong together. person: (n,) for the interval. example: (n,) the window may
    be one. occasion: (n,) the number of the occasion it lies in, or -1. phase: (n,) its number in its recording.
    """

    vectors: Vectors
    unit: Labels
    person: Labels
    activity: Labels
    example: Rows
    occasion: NDArray[np.intp]
    phase: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Life:
    """Vectors (n, d) of other life, in the order of time within each recording.

    person, activity: (n,). slot: (n,) which ALARM_S of which recording a window begins in. phase: (n,) its number in
    its recording.
    """

    vectors: Vectors
    person: Labels
    activity: Labels
    slot: NDArray[np.intp]
    phase: NDArray[np.intp]

    def hours_of(self, people: Labels) -> NDArray[np.float64]:
        """Return the hours of each of `people` that the slots cover."""
        first = np.flatnonzero(np.diff(self.slot, prepend=-1))
        return np.array([(self.person[first] == name).sum() for name in people]) * ALARM_S / 3600


Windowed = TypeVar("Windowed", Movements, Life)


def where(windows: Windowed, chosen: Rows) -> Windowed:
    """Return the windows for which `chosen` (n,) holds."""
    return type(windows)(*(getattr(windows, field.name)[chosen] for field in fields(windows)))


def _joined(parts: Sequence[Windowed]) -> Windowed:
    columns = ([getattr(part, field.name) for part in parts] for field in fields(parts[0]))
    return type(parts[0])(*(np.concatenate(column) for column in columns))


def own_movements(folder: Path, name: str, transform: Transform) -> Movements:
    """Return what `transform` makes of one set of OWN, and what each window is for."""
    own = OWN[name]
    parts = []
    occasions = 0
    for recording in recordings(folder, name):
        windows = _windows(recording)
        if not len(windows) or (own.activities and recording.activity not in own.activities):
            continue
        count = len(windows)
        example, occasion = own.roles(recording, windows)
        unit, person, activity = (
            np.full(count, text) for text in (own.unit(recording), own.person(recording), recording.activity)
        )
        occasion = np.where(occasion >= 0, occasions + occasion, -1)
        occasions = max(occasions, int(occasion.max()) + 1)
        phase = np.arange(count)
        parts.append(Movements(transform(windows), unit, person, activity, example, occasion, phase))
    return _joined(parts)


def other_life(folder: Path, transform: Transform, share: float) -> Life:
    """Return what `transform` makes of all recordings of a share of LIFE's people, two at least."""
    lives = list(recordings(folder, LIFE))
    people = sorted({recording.person for recording in lives})
    people = people[: max(2, round(len(people) * share))]
    parts = []
    slots = 0
    for recording in lives:
        if recording.person not in people or not len(windows := _windows(recording)):
            continue
        person, activity = (np.full(len(windows), text) for text in (recording.person, recording.activity))
        phase = np.arange(len(windows))
        slot = slots + (phase * (HOP / data.GRID_HZ) // ALARM_S).astype(np.intp)
        slots = int(slot[-1]) + 1
        parts.append(Life(transform(windows), person, activity, slot, phase))
    return _joined(parts)


def recordings(folder: Path, name: str) -> Iterator[Recording]:
    """Yield the recordings of one set, with its sign put right."""
    with np.load(folder / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files if key != "meta"}
    facts = data.SETS[name]
    acc = arrays["acc_q"].T * np.float32(arrays["acc_scale"] * facts.acc_sign)
    gyr = arrays["gyr_q"].T * np.float32(arrays["gyr_scale"])
    samples = np.concatenate([acc, gyr], axis=1, dtype=np.float32)
    before: dict[str, int] = {}
    first: dict[str, str] = {}
    for row, person in enumerate(arrays["subject"].tolist()):
        activity, recorded = str(arrays["activity"][row]), str(arrays["rec_id"][row])
        worn = recorded.rsplit("_", 1)[0] if facts.pieces else ""
        again = first.setdefault(person, worn) != worn
        position = str(arrays["position"][row])
        begin, end = arrays["offsets"][row : row + 2]
        rate_hz, number = float(arrays["fs_hz"][row]), before.get(activity, 0)
        yield Recording(samples[begin:end], rate_hz, person, activity, position, recorded, number, again)
        before[activity] = number + 1


def _windows(recording: Recording) -> NDArray[np.float32]:
    """Return the windows (k, LENGTH, 6) of a recording, HOP apart."""
    resampler = Resampler(recording.rate_hz, grid_hz=data.GRID_HZ, max_gap_s=MAX_GAP_S)
    windower = Windower(length=data.LENGTH, hop=HOP, grid_hz=data.GRID_HZ)
    time_ns = np.rint(np.arange(len(recording.samples)) * (NS_PER_S / recording.rate_hz)).astype(np.int64)
    blocks = [*resampler.push(sample_block(time_ns, recording.samples)), *resampler.flush()]
    batches = [windower.push(block).data for block in blocks]
    return np.concatenate([np.empty((0, data.LENGTH, 6), np.float32), *batches])

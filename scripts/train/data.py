"""From the recorded sets to windows, by the same path as on a device.

Every recording goes through motionsig's own Resampler and Windower: what the network is trained on is what it will be
given. Long recordings are cut to a stretch at a random place, so that the large sets neither drown the small ones nor
the clock, and still show every person, activity and sensor they have.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import sample_block
from motionsig.conventions import NS_PER_S
from motionsig.errors import MotionsigError
from motionsig.recordings import open_recording
from motionsig.resampling import Resampler
from motionsig.windowing import Windower
from scripts.train.sensors import MAX_GAP_S, DrawSensor, as_recorded, delivered

GRID_HZ = 50.0
LENGTH = 128
HOP = 64


@dataclass(frozen=True)
class SetFacts:
    """How a set is read. acc_sign: -1 for the iOS sign. stretch_s: what is taken of each recording at most.

    pieces: recordings are labelled pieces of longer ones, and the id ends in the first sample; joined: windows may run
    on from one piece into the next. people: whether the set says who moved. late_s: by how much the gyroscope runs
    behind the accelerometer, where the set's own time stamps are wrong.
    """

    licence: str
    hop: int = HOP
    stretch_s: float = float("inf")
    acc_sign: float = 1.0
    trains: bool = True
    labelled: bool = True
    people: bool = True
    pieces: bool = False
    joined: bool = False
    late_s: float = 0.0


UNLABELLED = "unlabelled"
"""What sets call a stretch whose activity they do not know."""

NOT_SEEN = "CC BY 4.0 as UCI lists it; the licence's text was not seen"
SETS = {
    "wisdm2019": SetFacts(NOT_SEEN, stretch_s=45, late_s=0.05),
    "dsads": SetFacts(NOT_SEEN, stretch_s=60),
    "motionsense": SetFacts("MIT", acc_sign=-1.0),
    "geotec_spsw": SetFacts("CC BY 4.0", hop=32, pieces=True, joined=True),
    "seglearn_watch": SetFacts("BSD-3-Clause", hop=32),
    "st_mlc_6axis": SetFacts("BSD-3-Clause", hop=32, stretch_s=90, people=False),
    "android_digits": SetFacts("MIT", hop=32, people=False, late_s=0.13),
    "boreal": SetFacts("CC0", people=False),
    "quadrotor": SetFacts("CC BY 4.0", people=False),
    "car_road": SetFacts("MIT", hop=32, people=False),
    "body_lab": SetFacts("MIT, BSD-2-Clause, Apache-2.0", hop=32),
    "rocket": SetFacts("MIT", hop=16, people=False),
    "nicla_transport": SetFacts("MIT", hop=16, people=False),
    "misc_unlabelled": SetFacts("MIT, BSD-3-Clause", labelled=False, people=False),
    "broad": SetFacts("CC BY 4.0", labelled=False, people=False),
    # Its README forbids commercial use, so it only measures models.
    "hapt": SetFacts("conflicting; evaluation only", trains=False, pieces=True),
}
TRAINING_SETS = tuple(name for name, facts in SETS.items() if facts.trains)


@dataclass(frozen=True, eq=False)
class WindowSet:
    """Windows (n, LENGTH, 6) float32 of one set, with activity, person and wearing (n,) as text.

    A wearing is what was recorded without taking the device off, as far as the set's names of its recordings tell; it
    means something within one person only.
    """

    name: str
    windows: NDArray[np.float32]
    activity: NDArray[np.str_]
    person: NDArray[np.str_]
    wearing: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.windows)

    def where(self, rows: NDArray[np.bool_]) -> WindowSet:
        """Return the windows for which `rows` (n,) holds."""
        return WindowSet(self.name, self.windows[rows], self.activity[rows], self.person[rows], self.wearing[rows])


def together(parts: Sequence[WindowSet]) -> WindowSet:
    """Return the windows of several sets as one set with the first one's name."""
    columns = ("windows", "activity", "person", "wearing")
    return WindowSet(parts[0].name, *(np.concatenate([getattr(part, column) for part in parts]) for column in columns))


@dataclass(frozen=True, eq=False)
class Stream:
    """Samples (n, 6) of one device without a gap, in m/s² and rad/s, at rate_hz, of one or more labelled pieces.

    Piece i is samples offsets[i]:offsets[i + 1]; activity, person: (p,) of the pieces.
    """

    samples: NDArray[np.float32]
    rate_hz: float
    offsets: NDArray[np.int64]
    activity: NDArray[np.str_]
    person: NDArray[np.str_]
    position: str
    wearing: str

    def piece_at(self, seconds: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return which piece the stream is in, at times after its first sample."""
        piece = np.searchsorted(self.offsets, seconds * self.rate_hz, side="right") - 1
        return np.clip(piece, 0, len(self.activity) - 1)


def streams(data: Path, name: str, *, joined: bool | None = None) -> Iterator[Stream]:
    """Yield all that one set recorded, with its sign and its late gyroscope put right; joined: as in SetFacts."""
    facts = SETS[name]
    with np.load(data / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files if key != "meta"}
    acc = arrays["acc_q"].T * np.float32(arrays["acc_scale"] * facts.acc_sign)
    gyr = arrays["gyr_q"].T * np.float32(arrays["gyr_scale"])
    samples = np.concatenate([acc, _in_time(gyr, arrays, _lateness(data, name))], axis=1, dtype=np.float32)
    for first, last in _streams(arrays, joined=facts.joined if joined is None else joined):
        offsets = arrays["offsets"][first : last + 1]
        worn = str(arrays["rec_id"][first])
        wearing = worn.rsplit("_", 1)[0] if facts.pieces else worn
        # Where no person is named, each wearing counts as a person.
        person = arrays["subject"][first:last] if facts.people else np.full(last - first, wearing)
        yield Stream(
            samples[offsets[0] : offsets[-1]],
            float(arrays["fs_hz"][first]),
            offsets - offsets[0],
            arrays["activity"][first:last],
            person,
            str(arrays["position"][first]),
            wearing,
        )


def read(data: Path, name: str, rng: np.random.Generator, sensor: DrawSensor = as_recorded) -> WindowSet:
    """Return the windows of one set, each recording as the sensor `sensor` draws for it would have delivered it."""
    facts = SETS[name]
    parts = []
    for stream in streams(data, name):
        rate_hz, count = stream.rate_hz, len(stream.samples)
        stretch = int(min(facts.stretch_s * rate_hz, count))
        begin = int(rng.integers(0, count - stretch + 1))
        time_ns = np.rint(np.arange(stretch) * (NS_PER_S / rate_hz)).astype(np.int64)
        got = delivered(time_ns, stream.samples[begin : begin + stretch], rate_hz, sensor(rng), rng)
        windows, middle_s = _windows(*got, facts.hop)
        piece = stream.piece_at(begin / rate_hz + middle_s)
        wearing = np.full(len(windows), stream.wearing)
        parts.append(WindowSet(name, windows, stream.activity[piece], stream.person[piece], wearing))
    return together(parts)


def read_own(folder: Path, rng: np.random.Generator, sensor: DrawSensor = as_recorded) -> WindowSet:
    """Return the windows of a user's own logs: FOLDER/ACTIVITY/PERSON/LOG, anything motionsig.open_recording reads.

    Raises SystemExit where there are none; naming the log where one cannot be read.
    """
    logs = sorted(path for path in folder.glob("*/*/*") if not path.name.startswith("."))
    if not logs:
        raise SystemExit(f"{folder}: expected logs as ACTIVITY/PERSON/LOG below it, found none")
    parts = []
    for log in logs:
        activity, person = log.parts[-3:-1]
        try:
            with open_recording(log) as source:
                blocks = [block for block in source if len(block)]
                time_ns = np.concatenate([np.empty(0, np.int64), *(block.time_ns for block in blocks)])
                samples = np.concatenate([np.empty((0, 6), np.float32), *(block.data for block in blocks)])
                windows, _ = _windows(*delivered(time_ns, samples, source.rate_hz, sensor(rng), rng), HOP)
        except MotionsigError as error:
            raise SystemExit(f"{log}: {error}") from error
        labels = (np.full(len(windows), label) for label in (activity, person, str(log)))
        # Marked, so that a folder with the name of a set is not taken for that set.
        parts.append(WindowSet(f"own/{folder.resolve().name}", windows, *labels))
    return together(parts)


def check_folder(folder: Path) -> None:
    """Raise SystemExit naming what is missing unless `folder` holds all the sets."""
    missing = [name for name in SETS if not (folder / f"{name}.npz").exists()]
    if missing:
        raise SystemExit(f"{folder}: expected NAME.npz of {', '.join(SETS)}; {', '.join(missing)} not found")


def turned(windows: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the windows, each rotated at random, as a device worn another way would have recorded it."""
    quaternion = rng.normal(size=(len(windows), 4))
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    rotation = np.empty((len(windows), 3, 3), np.float32)
    rotation[:, 0] = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], axis=1)
    rotation[:, 1] = np.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], axis=1)
    rotation[:, 2] = np.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], axis=1)
    turn = rotation.transpose(0, 2, 1)
    return np.concatenate([windows[:, :, :3] @ turn, windows[:, :, 3:] @ turn], axis=2)


def _lateness(data: Path, name: str) -> Callable[[str, str], float]:
    """Return by how many seconds the gyroscope of a recording, given by its subject and id, is late.

    NAME_lag.csv, where there is one, lists the recordings that differ from the set's rule: subject, rec_id, and lag_s,
    which is negative where the gyroscope is late.
    """
    own = {}
    if (table := data / f"{name}_lag.csv").exists():
        with table.open(encoding="utf-8", newline="") as rows:
            own = {(row["subject"], row["rec_id"]): -float(row["lag_s"]) for row in csv.DictReader(rows)}
    return lambda subject, rec_id: own.get((subject, rec_id), SETS[name].late_s)


def _in_time(
    gyr: NDArray[np.float32], arrays: dict[str, Any], late_s: Callable[[str, str], float]
) -> NDArray[np.float32]:
    """Return the angular rates (n, 3) of all recordings moved forward by what they are late; ends are repeated."""
    moved = gyr
    for row, (first, last) in enumerate(pairwise(arrays["offsets"])):
        late = round(late_s(str(arrays["subject"][row]), str(arrays["rec_id"][row])) * float(arrays["fs_hz"][row]))
        if late:
            moved = gyr.copy() if moved is gyr else moved
            moved[first:last] = gyr[np.clip(np.arange(first, last) + late, first, last - 1)]
    return moved


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


def _windows(
    time_ns: NDArray[np.int64], samples: NDArray[np.float32], rate_hz: float, hop: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return the windows (k, LENGTH, 6) of one stream and the time of each one's middle in seconds after time 0."""
    resampler = Resampler(rate_hz, grid_hz=GRID_HZ, max_gap_s=MAX_GAP_S)
    windower = Windower(length=LENGTH, hop=hop, grid_hz=GRID_HZ)
    blocks = resampler.push(sample_block(time_ns, samples)) + resampler.flush()
    batches = [windower.push(block) for block in blocks]
    if not batches:
        return np.empty((0, LENGTH, samples.shape[1]), np.float32), np.empty(0)
    start_s = np.concatenate([batch.start_ns for batch in batches]) / NS_PER_S
    return np.concatenate([batch.data for batch in batches]), start_s + LENGTH / GRID_HZ / 2

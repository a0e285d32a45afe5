"""Write the background bank of a model: signatures of other people's life, which a new head must not fire at.

    python -m scripts.train.background --data FOLDER --model firmware_models/motion64

Two minutes on one core. It writes MODEL/background.npz, without pickle:

* `codes` (n, 64) int8 and `quality` (n,) uint8: single signatures, taken at even steps through every recording.
* `seconds` (n,) uint16: how much recorded time each stands for. Where a device was at rest the steps are longer.
* `group` (n,) uint16: whose; `groups` (g, 3) names its set, person and place. Where a set names no people, each of its
  recordings counts as a person. `hours` (g,) float32: how much was recorded.
* `label` (n,) uint8: what was done; `labels` (l,) names it.
* `sets` (s, 2): each set, and its licence.
* `fingerprint` (8,) uint8: of the encoder that made the codes.

The same data, model and seed give the same arrays.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder, Resampler, Windower, open_encoder
from motionsig.blocks import WindowBatch, sample_block
from motionsig.conventions import NS_PER_S
from motionsig.files import replace_file
from motionsig.model_card import BACKGROUND_NAME
from motionsig.quality import is_at_rest
from scripts.train import data, describe
from scripts.train.clock import Clock
from scripts.train.sensors import MAX_GAP_S

SEED = 1
EVERY_S = 23
"""Seconds of a recording that a signature stands for; about 20,000 signatures of all the sets."""
AT_REST = 10
"""So many times as many for a device at rest: heads hardly ever fire there."""
HOP = 8
"""Samples from one moment that may be taken to the next."""
_BATCH = 20_000
"""Samples pushed at a time: overlapping windows take sixteen times their memory."""

SETS = tuple(name for name in data.TRAINING_SETS if name not in {"android_digits", "misc_unlabelled"})
"""Left out besides hapt, whose licence forbids: one person's gestures, which are no life, and logs without labels."""

WORDS = {
    "ABD": "shoulder exercise, abduction",
    "ER": "shoulder exercise, external rotation",
    "FEL": "shoulder exercise, forward elevation",
    "IR": "shoulder exercise, internal rotation",
    "PEN": "shoulder exercise, pendulum",
    "ROW": "shoulder exercise, rowing",
    "TRAP": "shoulder exercise, trapezius",
    "catch": "playing catch",
    "chips": "eating chips",
    "dribbling": "dribbling a ball",
    "dws": "walking downstairs",
    "descending_stairs": "walking downstairs",
    "stairs_down": "walking downstairs",
    "ups": "walking upstairs",
    "ascending_stairs": "walking upstairs",
    "stairs_up": "walking upstairs",
    "folding": "folding clothes",
    "jog": "jogging",
    "kicking": "kicking a ball",
    "pasta": "eating pasta",
    "sandwich": "eating a sandwich",
    "seated": "sitting",
    "sit": "sitting",
    "soup": "eating soup",
    "std": "standing",
    "teeth": "brushing teeth",
    "walk": "walking",
    "wlk": "walking",
}
"""What people are told, where a set's own name does not say it."""


@dataclass(frozen=True, eq=False)
class Taken:
    """Windows of one stream, and for each what it stands for: seconds, whose (set, person, place), what was done."""

    windows: WindowBatch
    seconds: NDArray[np.uint16]
    whose: list[tuple[str, str, str]]
    label: list[str]
    hours: dict[tuple[str, str, str], float]


def main() -> None:
    """Build the bank and say what is in it."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.train.background",
        usage=argparse.SUPPRESS,
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument("--model", type=Path, required=True, help="model folder, which the bank is written into")
    parser.add_argument("--every", type=float, default=EVERY_S, help=f"seconds a signature stands for ({EVERY_S})")
    options = parser.parse_args()
    data.check_folder(options.data)
    clock = Clock()
    with open_encoder(options.model, device="cpu") as encoder:
        arrays = bank(options.data, encoder, options.every, clock)
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    replace_file(options.model / BACKGROUND_NAME, packed.getvalue())
    describe.add_background(options.model, about(arrays))
    size = packed.getbuffer().nbytes / 1e6
    clock.say(f"{len(arrays['codes'])} signatures, {arrays['hours'].sum():.1f} hours, {size:.2f} MB")


def bank(folder: Path, encoder: Encoder, every_s: float, clock: Clock) -> dict[str, NDArray[Any]]:
    """Return the arrays of the bank, by name."""
    rng = np.random.default_rng(SEED)
    codes, quality, seconds = [], [], []
    whose: list[tuple[str, str, str]] = []
    label: list[str] = []
    hours: dict[tuple[str, str, str], float] = {}
    for name in SETS:
        before = len(whose), sum(hours.values())
        for taken in moments(folder, name, every_s, rng):
            for group, more in taken.hours.items():
                hours[group] = hours.get(group, 0.0) + more
            if not len(taken.windows):
                continue
            made = encoder.encode(taken.windows)
            codes.append(made.codes)
            quality.append(made.quality)
            seconds.append(taken.seconds)
            whose += taken.whose
            label += taken.label
        people = len({group[1] for group in hours if group[0] == name})
        places = len({group[2] for group in hours if group[0] == name})
        who = "people" if data.SETS[name].people else "recordings"
        recorded = sum(hours.values()) - before[1]
        clock.say(f"{name}: {len(whose) - before[0]} of {recorded:.1f} hours, {people} {who}, {places} places")
    groups, labels = sorted(hours), sorted(set(label))
    group_of = {group: number for number, group in enumerate(groups)}
    label_of = {text: number for number, text in enumerate(labels)}
    return {
        "codes": np.concatenate(codes),
        "quality": np.concatenate(quality),
        "seconds": np.concatenate(seconds),
        "group": np.array([group_of[group] for group in whose], np.uint16),
        "label": np.array([label_of[text] for text in label], np.uint8),
        "groups": np.array(groups),
        "hours": np.array([hours[group] for group in groups], np.float32),
        "labels": np.array(labels),
        "sets": np.array([[name, data.SETS[name].licence] for name in SETS]),
        "fingerprint": np.frombuffer(encoder.card.fingerprint, np.uint8),
    }


def about(arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    """Return for each set how many people, places, hours and signatures of it are in the bank, and its licence."""
    groups, licences = arrays["groups"], dict(arrays["sets"].tolist())
    told = {}
    for name in licences:
        of_set = groups[:, 0] == name
        told[name] = {
            "people": len(np.unique(groups[of_set, 1])),
            "places": len(np.unique(groups[of_set, 2])),
            "hours": round(float(arrays["hours"][of_set].sum()), 1),
            "signatures": int(of_set[arrays["group"]].sum()),
            "licence": licences[name],
        }
    return told


def moments(folder: Path, name: str, every_s: float, rng: np.random.Generator) -> Iterator[Taken]:
    """Yield what is taken of each stream of a set; the steps run on from one stream into the next."""
    hop_s = HOP / data.GRID_HZ
    passed = float(rng.random())
    for stream in data.streams(folder, name):
        batches = list(windows_of(stream.samples, stream.rate_hz))
        if not batches:
            continue
        kept, seconds, whose, label = [], [], [], []
        hours: dict[tuple[str, str, str], float] = {}
        for batch in batches:
            rests = is_at_rest(batch.quality)
            step_s = np.where(rests, AT_REST * every_s, every_s)
            steps = passed + np.cumsum(hop_s / step_s)
            rows = np.flatnonzero(np.diff(np.floor(steps), prepend=np.floor(passed)) > 0)
            passed = float(steps[-1] % 1)
            piece = stream.piece_at(batch.start_ns / NS_PER_S + data.LENGTH / data.GRID_HZ / 2)
            for person in np.unique(stream.person[piece]):
                group = (name, str(person), stream.position)
                hours[group] = hours.get(group, 0.0) + float((stream.person[piece] == person).sum()) * hop_s / 3600
            kept.append(WindowBatch(batch.start_ns[rows], batch.data[rows], batch.quality[rows], batch.hop_ns))
            seconds.append(step_s[rows])
            whose += [(name, str(person), stream.position) for person in stream.person[piece[rows]]]
            label += [_plain(str(text)) for text in stream.activity[piece[rows]]]
        windows = WindowBatch(
            np.concatenate([batch.start_ns for batch in kept]),
            np.concatenate([batch.data for batch in kept]),
            np.concatenate([batch.quality for batch in kept]),
            kept[0].hop_ns,
        )
        yield Taken(windows, np.rint(np.concatenate(seconds)).astype(np.uint16), whose, label, hours)


def windows_of(samples: NDArray[np.float32], rate_hz: float) -> Iterator[WindowBatch]:
    """Yield all windows of samples (n, 6) without a gap, HOP apart, by the same path as on a device."""
    resampler = Resampler(rate_hz, grid_hz=data.GRID_HZ, max_gap_s=MAX_GAP_S)
    windower = Windower(length=data.LENGTH, hop=HOP, grid_hz=data.GRID_HZ)
    time_ns = np.rint(np.arange(len(samples)) * (NS_PER_S / rate_hz)).astype(np.int64)
    for first in range(0, len(time_ns), _BATCH):
        part = slice(first, first + _BATCH)
        for block in resampler.push(sample_block(time_ns[part], samples[part])):
            if len(windows := windower.push(block)):
                yield windows
    for block in resampler.flush():
        if len(windows := windower.push(block)):
            yield windows


def _plain(text: str) -> str:
    name = text.rsplit("/", 1)[-1]
    return WORDS.get(name, name.replace("_", " "))


if __name__ == "__main__":
    main()

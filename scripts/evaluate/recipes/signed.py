"""From recorded samples to signatures as a device would make them, and from these to what heads tell."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder, Head, SampleBlock, Source, SourceInfo, signatures
from motionsig.blocks import SignatureBatch, WindowBatch, concatenate, sample_block
from motionsig.conventions import NS_PER_S
from motionsig.events import ENDED, Event
from motionsig.heads import Judge, with_needed
from motionsig.lesson import Lesson
from motionsig.quality import flags_of
from scripts.train import data

HOP = 8
"""Samples of the grid from one window to the next: that of the service's heads."""


class Samples(Source):
    """Samples (n, 6) at a rate, as a source."""

    def __init__(self, samples: NDArray[np.float32], rate_hz: float) -> None:
        self._samples, self._rate_hz = samples, rate_hz

    @property
    def rate_hz(self) -> float:
        return self._rate_hz

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("recorded", "set", 0)

    def __iter__(self) -> Iterator[SampleBlock]:
        time_ns = np.rint(np.arange(len(self._samples)) * (NS_PER_S / self._rate_hz)).astype(np.int64)
        yield sample_block(time_ns, self._samples)


def signed(samples: NDArray[np.float32], rate_hz: float, encoder: Encoder, hop: int = HOP) -> SignatureBatch | None:
    """Return the signatures of samples; None where they are too short for one."""
    made = list(signatures(Samples(samples, rate_hz), encoder, hop=hop))
    return concatenate(made) if made else None


def performances(samples: NDArray[np.float32], rate_hz: float, encoder: Encoder) -> list[SignatureBatch]:
    """Return the signatures of the performances that a lesson of these samples teaches with."""
    lesson = Lesson(encoder.card, rate_hz)
    found = [one for block in Samples(samples, rate_hz) for one in lesson.push(block)] + lesson.flush()
    return [encoder.encode(one.windows) for one in found if one.windows is not None]


class Piece(NamedTuple):
    """One recording of one activity, with all its signatures. seconds: how long it is."""

    person: str
    activity: str
    seconds: float
    signatures: SignatureBatch


def pieces(folder: Path, name: str, encoder: Encoder, hop: int = HOP, *, place: str = "") -> list[Piece]:
    """Return the recordings of a set, of one place where it is given, each by itself."""
    found = []
    for stream in data.streams(folder, name):
        if place not in stream.position:
            continue
        for at, (activity, person) in enumerate(zip(stream.activity, stream.person, strict=True)):
            samples = stream.samples[slice(*stream.offsets[at : at + 2].tolist())]
            batch = signed(samples, stream.rate_hz, encoder, hop)
            if batch is not None:
                found.append(Piece(str(person), str(activity), len(samples) / stream.rate_hz, batch))
    return found


def windowed(file: Path, encoder: Encoder) -> list[Piece]:
    """Return the recordings of a set of windows that lie .64 s apart, as NAME.npz in a folder of such sets has them."""
    with np.load(file) as stored:
        windows, label, person, rec = (stored[key] for key in ("windows", "label", "person", "rec"))
    hop_ns = round(0.64 * NS_PER_S)
    found = []
    for name in np.unique(rec):
        rows = np.flatnonzero(rec == name)
        here = windows[rows]
        start_ns = np.arange(len(rows), dtype=np.int64) * hop_ns
        batch = encoder.encode(WindowBatch(start_ns, here, flags_of(here), hop_ns))
        seconds = len(rows) * hop_ns / NS_PER_S
        found.append(Piece(str(person[rows[0]]), str(label[rows[0]]), seconds, batch))
    return found


class Watching:
    """Heads that are asked about one recording after the other, each by itself, as `watch` asks them."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self.count = len(heads)
        # Setting up a Judge takes longer than a recording of some seconds.
        self._fresh = pickle.dumps(Judge(with_needed([head.card for head in heads])))

    def told(self, batch: SignatureBatch) -> list[Event]:
        """Return the events of one stream."""
        judge: Judge = pickle.loads(self._fresh)
        return judge.judge(batch) + judge.flush()


@dataclass
class Life:
    """Events in other life that none of the heads should tell of."""

    hours: float = 0.0
    events: int = 0
    at: Counter[str] | None = None

    def look(self, parts: Iterable[Piece], heads: Watching) -> None:
        """Count what the heads tell in some recordings; an ended state is no second event."""
        self.at = self.at or Counter()
        for part in parts:
            events = [event for event in heads.told(part.signatures) if event.phase != ENDED]
            self.hours += len(part.signatures) * part.signatures.hop_ns / NS_PER_S * heads.count / 3600
            self.events += len(events)
            self.at[part.activity] += len(events)

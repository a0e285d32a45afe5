"""Motions that people perform several times: what heads are taught with, and what they are asked about.

Some come from the recorded sets. Others lie in a folder of their own, --gestures FOLDER with NAME.npz, so that heads
can be measured on sets that the encoder was never trained on. NAME.npz has a row for each time that somebody performed
a motion, and all samples in one array:

* `samples` (n, 6) float32: m/s² and rad/s, in the sensor's frame, uniform, one row of the table after the other.
  `offsets` (k + 1,): the first sample of each row, and n.
* `rate_hz` (k,). `begin_s`, `end_s` (k,): when the motion begins and ends, in seconds after the row's first sample.
* `person`, `motion` (k,): text. `worn` (k,): text, whose and at which place: heads are taught and asked within one.
* `teaches`, `asked` (k,) bool: what a row may be used for. A row may do both: what taught a head is not asked of it.
* `how`: text, what the set is and where it comes from, for the model's README.

To make one: a gesture that was cut out has little before and after it, so put 1.6 s of rest on either side (gravity as
at that end, with a sensor's noise), as motionsig teaches gestures between two rests. Of exercises and gaits, which go
on, take stretches of 5.12 s without anything around them, and let what teaches and what is asked lie apart: in two
halves of a recording, or two wearings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionsig import Encoder, SignatureBatch
from motionsig.blocks import concatenate, sample_block
from motionsig.conventions import NS_PER_S
from motionsig.heads.teaching import Codes
from motionsig.lesson import Lesson
from motionsig.quality import is_at_rest
from scripts.evaluate.measures import Labels, Rows
from scripts.evaluate.movements import KNOWN_RECORDINGS, OCCASION, OWN, Recording, recordings
from scripts.train import data
from scripts.train.background import windows_of

APART_NS = 60 * NS_PER_S
"""From the end of one row to the begin of the next, in the stream that heads are asked about: no event spans two."""
MOST_STRETCHES = 20
"""Stretches of one recording; of a longer one they are spread over it."""
COLUMNS = ("samples", "offsets", "rate_hz", "begin_s", "end_s", "person", "motion", "worn", "teaches", "asked")


class Gesture(NamedTuple):
    """One time that a motion was performed: samples (n, 6) in m/s² and rad/s, and the other columns of a file."""

    samples: NDArray[np.float32]
    rate_hz: float
    begin_s: float
    end_s: float
    person: str
    motion: str
    worn: str
    teaches: bool
    asked: bool


@dataclass(frozen=True, eq=False)
class Performances:
    """What k gestures of one set look like to heads.

    person, motion, worn: (k,). teaches, asked: (k,). examples: of each gesture the codes that it teaches with, (j, dim)
    each. signatures: those of all gestures as one stream (n), in order of time. gesture: (n,) of which gesture each is.
    begin_ns, end_ns: (k,) when each gesture goes on in it.
    """

    person: Labels
    motion: Labels
    worn: Labels
    teaches: Rows
    asked: Rows
    examples: list[Codes]
    signatures: SignatureBatch
    gesture: NDArray[np.intp]
    begin_ns: NDArray[np.int64]
    end_ns: NDArray[np.int64]

    def stream(self, chosen: Rows) -> SignatureBatch:
        """Return the signatures of the gestures for which `chosen` (k,) holds."""
        return self.signatures[chosen[self.gesture]]


def of_set(folder: Path, name: str) -> Iterator[Gesture]:
    """Yield the gestures of one of the recorded sets, by the roles that OWN describes in words."""
    for recording in recordings(folder, name):
        if OWN[name].activities and recording.activity not in OWN[name].activities:
            continue
        worn = OWN[name].unit(recording)
        if name == "android_digits":
            known, length_s = recording.number < KNOWN_RECORDINGS, len(recording.samples) / recording.rate_hz
            yield _gesture(recording, worn, 0.0, length_s, teaches=known)
            continue
        length_s = OCCASION / data.GRID_HZ
        count = int(len(recording.samples) / recording.rate_hz / length_s)
        spread = np.linspace(0, count - 1, min(count, MOST_STRETCHES)).astype(int)
        for number in np.unique(spread).tolist():
            first = not recording.again if data.SETS[name].pieces else number < count / 2
            yield _gesture(recording, worn, number * length_s, length_s, teaches=bool(first))


def _gesture(recording: Recording, worn: str, begin_s: float, length_s: float, *, teaches: bool) -> Gesture:
    """Return a stretch of a recording, which either teaches or is asked."""
    first, last = (round(it * recording.rate_hz) for it in (begin_s, begin_s + length_s))
    samples, rate_hz = recording.samples[first:last], recording.rate_hz
    return Gesture(
        samples, rate_hz, 0.0, length_s, recording.person, recording.activity, worn, teaches, not teaches
    )  # fmt: skip


def of_file(file: Path) -> Iterator[Gesture]:
    """Yield the gestures in NAME.npz. Raises SystemExit naming what is missing or does not fit together."""
    with np.load(file, allow_pickle=False) as stored:
        missing = [name for name in (*COLUMNS, "how") if name not in stored.files]
        if missing:
            raise SystemExit(f"{file}: expected {', '.join(COLUMNS)}, how; {', '.join(missing)} not found")
        samples, offsets, *columns = (stored[name] for name in COLUMNS)
    count = len(offsets) - 1
    shapes = {name: column.shape for name, column in zip(COLUMNS[2:], columns, strict=True)}
    if samples.shape != (offsets[-1], 6) or set(shapes.values()) != {(count,)}:
        raise SystemExit(
            f"{file}: expected samples ({offsets[-1]}, 6) and columns of {count}, got {samples.shape} and {shapes}"
        )
    for row, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        yield Gesture(samples[offsets[row] : offsets[row + 1]].astype(np.float32), *values)


def how_made(file: Path) -> str:
    """Return what NAME.npz says of itself."""
    with np.load(file, allow_pickle=False) as stored:
        return str(stored["how"])


def performances(gestures: Iterable[Gesture], encoder: Encoder) -> Performances:
    """Return what heads see of gestures. One too short for a window is left out; a still one teaches nothing."""
    kept, examples, streams, spans = [], list[Codes](), list[SignatureBatch](), []
    now_ns = APART_NS
    for gesture in gestures:
        batches = [encoder.encode(batch) for batch in windows_of(gesture.samples, gesture.rate_hz)]
        if not batches:
            continue
        stream = concatenate(batches)
        kept.append(gesture)
        examples.append(_examples(gesture, encoder))
        streams.append(_at(stream, now_ns))
        spans.append((now_ns + gesture.begin_s * NS_PER_S, now_ns + gesture.end_s * NS_PER_S))
        now_ns += int(stream.start_ns[-1]) + encoder.card.spec.length_ns + APART_NS
    begin_ns, end_ns = np.array(spans).astype(np.int64).T
    return Performances(
        np.array([gesture.person for gesture in kept]),
        np.array([gesture.motion for gesture in kept]),
        np.array([gesture.worn for gesture in kept]),
        np.array([gesture.teaches and len(shown) > 0 for gesture, shown in zip(kept, examples, strict=True)]),
        np.array([gesture.asked for gesture in kept]),
        examples,
        concatenate(streams),
        np.repeat(np.arange(len(kept)), list(map(len, streams))),
        begin_ns,
        end_ns,
    )


def _at(stream: SignatureBatch, now_ns: int) -> SignatureBatch:
    spec = stream.spec
    return SignatureBatch(stream.start_ns + now_ns, stream.codes, stream.quality, stream.hop_ns, spec)


def _examples(gesture: Gesture, encoder: Encoder) -> Codes:
    """Return the codes of the windows that `motionsig teach` takes of LOG@BEGIN-END."""
    lesson = Lesson(encoder.card, gesture.rate_hz)
    time_ns = np.rint(np.arange(len(gesture.samples)) * (NS_PER_S / gesture.rate_hz)).astype(np.int64)
    found = [*lesson.push(sample_block(time_ns, gesture.samples)), *lesson.flush()]
    inside = [one for one in found if gesture.begin_s <= (one.begin_s + one.end_s) / 2 <= gesture.end_s]
    # Parts with a pause between them would be several performances; here they are known to be one.
    one = inside[0] if len(inside) == 1 and inside[0].windows else lesson.stretch(gesture.begin_s, gesture.end_s)
    return encoder.encode(one.windows).codes if one.windows else np.empty((0, encoder.card.dim), np.int8)


def counter_examples(shown: Performances, gesture: int) -> Codes:
    """Return the codes that `motionsig teach --not` takes of a gesture: of windows .32 s apart, those that move."""
    stream = shown.signatures[shown.gesture == gesture][::2]
    return stream[~is_at_rest(stream.quality)].codes

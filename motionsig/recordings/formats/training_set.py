"""motionsig's own training sets: many recordings, one after another, in an .npz of counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.blocks import Source, SourceInfo
from motionsig.errors import RecordingError
from motionsig.facts import Fact
from motionsig.recordings.labels import refuse_choice
from motionsig.recordings.members import content_id, members, single
from motionsig.recordings.samples import Reader, Samples, recorded
from motionsig.recordings.times import numbered

_ARRAYS = ("acc_q", "gyr_q", "acc_scale", "gyr_scale", "offsets", "fs_hz")


def open_training_set(
    path: Path, *, stream: int | None = None, start_ns: int = 0, label: str | None = None, check_units: bool = True
) -> Source:
    """Return one of the recordings at `path` as a Source. Raises RecordingError.

    stream: its number from 0. start_ns: Unix time of its first sample. label: None or "none", as it has none.
    check_units: see `open_recording`.
    """
    refuse_choice(label, str(path), "a training set has none for its samples")
    acc, gyr, rate_hz, scale = _recording(path, stream)
    samples = (
        [Samples(numbered(0, len(acc), rate_hz, start_ns), np.concatenate([acc, gyr], axis=1))] if len(acc) else []
    )
    facts = (Fact("stream", str(stream), "told"), Fact("rate", f"{rate_hz:g} Hz", "written"))
    stream_id = content_id((single(path),), stream, start_ns)
    info = SourceInfo(path.name, "training_set", stream_id, len(acc), scale, facts=facts)
    return recorded(lambda: iter(samples), str(path), info, rate_hz=rate_hz, check_units=check_units)


def _recording(path: Path, stream: int | None) -> tuple[NDArray[Any], NDArray[Any], float, tuple[float, ...]]:
    arrays = {}
    for member in members(path):
        if (name := member.name.removesuffix(".npy")) in _ARRAYS:
            with member.open() as file:
                try:
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
                except (ValueError, MemoryError, OverflowError, TypeError) as error:
                    raise RecordingError(f"{member.where}: expected an array of numbers, got: {error}") from error
    try:
        acc, gyr, acc_scale, gyr_scale, offsets, rates = (arrays[name] for name in _ARRAYS)
        count = len(rates)
        if stream is None or not 0 <= stream < count:
            raise RecordingError(f"{path}: expected stream=0 to {count - 1}, as it holds {count}, got {stream}")
        part = slice(int(offsets[stream]), int(offsets[stream + 1]))
        scales = float(acc_scale), float(gyr_scale)
        found = acc[:, part].T * scales[0], gyr[:, part].T * scales[1]
        if found[0].shape != found[1].shape or found[0].shape[1:] != (3,):
            raise ValueError(f"acc_q {acc.shape} and gyr_q {gyr.shape} where (3, n) twice was expected")
        return *found, float(rates[stream]), (scales[0],) * 3 + (scales[1],) * 3
    except (KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, RecordingError):
            raise
        raise RecordingError(f"{path}: expected a training set with {', '.join(_ARRAYS)}, got: {error}") from error


def _recognises(path: Path, head: bytes) -> int:
    inside = {it.name for it in members(path)} if head.startswith(b"PK") else set()
    return 3 * ("acc_q.npy" in inside and all(name.endswith(".npy") for name in inside))


READER = Reader("training_set", _recognises, open_training_set)

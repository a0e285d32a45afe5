"""What is measured on hapt, which is never trained on: every contestant, privacy, and what quantising changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig.encoders import Encoder
from scripts.evaluate import contestants, measures, rows
from scripts.evaluate.contestants import FLOAT_TWIN, RANDOM_WEIGHTS, SIGNATURE, WITH_MOTION
from scripts.evaluate.extent import Extent
from scripts.evaluate.jobs import spread
from scripts.evaluate.measures import Rows, Vectors
from scripts.evaluate.rivals import Rivals
from scripts.evaluate.transform import Transform, microseconds_per_window
from scripts.train import data
from scripts.train.clock import Say

SEED = 1
TIMED_WINDOWS = 300
TIMED_BATCH = 256

TEST_PEOPLE = tuple(f"ha{number:02d}" for number in (2, 4, 9, 10, 12, 13, 18, 20, 24))
"""UCI HAR's own split."""
BASIC = ("walking", "upstairs", "downstairs", "sitting", "standing", "laying")

COARSER = (16, 32, 64)
NOISIER = (8, 16, 32)
"""Codes are rounded to multiples of these, or get noise of this spread, to see what privacy costs."""


@dataclass(frozen=True, eq=False)
class Hapt:
    """The windows of hapt's basic activities, those of them that are asked about, and these turned at random.

    made: what each contestant makes of windows; kept, kept_turned: what it made of all of them, and of `turned`.
    step: what a code is in steps of one, in the vectors' unit. motion: how many codes are motion.
    """

    windows: data.WindowSet
    test: Rows
    turned: NDArray[np.float32]
    made: dict[str, Transform]
    kept: dict[str, Vectors]
    kept_turned: dict[str, Vectors]
    step: float
    motion: int


def read(folder: Path, encoder: Encoder, rivals: Rivals, extent: Extent, say: Say) -> Hapt:
    """Return hapt's windows and what each contestant makes of them."""
    windows = data.read(folder, "hapt", np.random.default_rng(SEED))
    windows = extent.thinned(windows.where(np.isin(windows.activity, BASIC)))
    test = np.isin(windows.person, TEST_PEOPLE)
    turned = data.turned(windows.windows[test], np.random.default_rng(SEED))
    known = windows.windows[~test]
    made: dict[str, Transform] = {
        SIGNATURE: contestants.shipped(encoder),
        FLOAT_TWIN: contestants.float_twin(encoder),
        RANDOM_WEIGHTS: rivals.untaught(known),
        **{name: peer(known) for name, peer in rivals.peers.items()},
    }
    say(f"hapt: {len(windows)} windows, {int(test.sum())} of them of the test people")
    return Hapt(
        windows=windows,
        test=test,
        turned=turned,
        made=made,
        kept={name: transform(windows.windows) for name, transform in made.items()},
        kept_turned={name: transform(turned) for name, transform in made.items()},
        step=encoder.card.quantization.groups[0].scale,
        motion=encoder.card.motion_dim,
    )


def measured(hapt: Hapt, encoder: Encoder, extent: Extent, say: Say) -> dict[str, Any]:
    """Return the card's entries about hapt."""
    test, windows = hapt.test, hapt.windows
    signature, signature_turned = hapt.kept[SIGNATURE], hapt.kept_turned[SIGNATURE]
    times = _times(hapt, encoder, extent)
    table = spread(_table_jobs(hapt), lambda name, row: say(f"{name}: {rows.shown(row)}"))
    privacy = spread(
        {name: partial(_seen, vectors, windows, test) for name, vectors in _sent(hapt).items()},
        lambda name, row: say(f"privacy, {name}: {rows.shown(row)}"),
    )
    others: dict[str, Any] = {
        "waveform_returned": partial(_waveform, signature, windows, test),
        "prefixes": partial(rows.prefixes, signature[:, : hapt.motion], windows, [test]),
    }
    told = spread(others, lambda name, row: say(f"{name}: {rows.shown(row)}"))
    moved = np.abs(signature_turned - signature[test])[:, : hapt.motion] / hapt.step
    return {
        "windows": {"hapt_train": int((~test).sum()), "hapt_test": int(test.sum())},
        "hapt": {name: times.get(name, {}) | row for name, row in table.items()},
        "bare_interpreter": times["bare_interpreter"],
        "int8_against_float": _int8_against_float(hapt, table),
        "privacy": privacy,
        **told,
        "turned_against_unturned_codes": {
            "mean_lsb": round(float(moved.mean()), 3),
            "largest_lsb": round(float(moved.max())),
        },
    }


def _table_jobs(hapt: Hapt) -> dict[str, Any]:
    jobs = {}
    for name, vectors in hapt.kept.items():
        turned = hapt.kept_turned[name]
        jobs[name] = partial(rows.measured, vectors, turned, hapt.windows, [hapt.test], worn_again=True)
        if name in WITH_MOTION:
            motion = vectors[:, : hapt.motion], turned[:, : hapt.motion]
            jobs[f"{name}_motion"] = partial(rows.measured, *motion, hapt.windows, [hapt.test], worn_again=True)
    return jobs


def _times(hapt: Hapt, encoder: Encoder, extent: Extent) -> dict[str, dict[str, float]]:
    """Return microseconds a window, one thread: alone, as it is live, and in a batch, as in a replay."""
    alone = hapt.windows.windows[: max(10, round(TIMED_WINDOWS * extent.share))]
    batch = hapt.windows.windows[hapt.test]
    batch = batch[np.arange(max(len(batch), TIMED_BATCH)) % len(batch)]
    table = {}
    for name, transform in {**hapt.made, "bare_interpreter": contestants.bare_network(encoder)}.items():
        # The untrained network runs in TensorFlow, in batches, so its time would not compare.
        if name == RANDOM_WEIGHTS:
            continue
        table[name] = {
            "microseconds_alone": round(microseconds_per_window(transform, alone), 1),
            "microseconds_in_a_batch": round(microseconds_per_window(transform, batch, batch=TIMED_BATCH), 1),
        }
    return table


def _int8_against_float(hapt: Hapt, table: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what rounding weights, activations and codes to eight bits changes."""
    int8, real = hapt.kept[SIGNATURE][hapt.test], hapt.kept[FLOAT_TWIN][hapt.test]
    alike = measures.cosines(int8, real)
    motion = measures.cosines(int8[:, : hapt.motion], real[:, : hapt.motion])
    return {
        "cosine_mean": round(float(alike.mean()), 4),
        "cosine_1st_percentile": round(float(np.quantile(alike, 0.01)), 4),
        "motion_cosine_mean": round(float(motion.mean()), 4),
        "motion_cosine_1st_percentile": round(float(np.quantile(motion, 0.01)), 4),
        "probe_difference": round(table[SIGNATURE]["probe"][0] - table[FLOAT_TWIN]["probe"][0], 4),
        "neighbours_kept": round(measures.neighbours_kept(int8, real), 3),
        "saturated_codes": round(float((np.abs(int8) >= 127 * hapt.step).mean()), 5),
    }


def _sent(hapt: Hapt) -> dict[str, Vectors]:
    """Return what might be sent in place of the signature, so that it tells less of who moved."""
    vectors, motion = hapt.kept[SIGNATURE], hapt.motion
    noise = np.random.default_rng(SEED).normal(size=vectors.shape).astype(np.float32) * np.float32(hapt.step)
    sent = {"the signature": vectors, "motion alone": vectors[:, :motion], "posture alone": vectors[:, motion:]}
    sent |= {f"the first {number} motion codes": vectors[:, :number] for number in reversed(rows.PREFIXES)}
    for multiple in COARSER:
        unit = np.float32(multiple * hapt.step)
        sent[f"codes rounded to multiples of {multiple}"] = np.rint(vectors / unit) * unit
    return sent | {f"codes with noise of spread {wide}": vectors + wide * noise for wide in NOISIER}


def _waveform(vectors: Vectors, windows: data.WindowSet, test: Rows) -> dict[str, Any]:
    """Return how much of the samples decoders get back."""
    return rows.plain(measures.waveform_returned(vectors, windows.windows, windows.person, test))


def _seen(vectors: Vectors, windows: data.WindowSet, test: Rows) -> dict[str, Any]:
    """Return how well people are recognised by `vectors`, and what these are still worth."""
    window, wearing = measures.recognised(vectors, windows.person, windows.wearing)
    told = rows.plain({"recognised": window, "recognised_wearing": wearing})
    return told | rows.brief(vectors, windows.activity, windows.person, [test])

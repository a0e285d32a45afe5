"""Measure a model through the public API beside what people would take instead, and write the figures into its card.

Everything in the table is measured in one run. The model folder gets its card's `quality`, its README and the map of
signatures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionsig import open_encoder
from motionsig.model_card import CARD_NAME
from scripts.evaluate import contestants, measures, picture
from scripts.evaluate.contestants import FLOAT_TWIN, MOTION, RANDOM_WEIGHTS, SIGNATURE, WITH_MOTION
from scripts.evaluate.measures import Score
from scripts.evaluate.peers import PEERS, Transform, microseconds_per_window
from scripts.train import data, describe, network
from scripts.train.material import Material, lessons_of, read_material
from scripts.train.sensors import Sensor

SEED = 1
SHOTS = (1, 3, 5)
TIMED_WINDOWS = 300
TIMED_BATCH = 256

HAPT_TEST_PEOPLE = tuple(f"ha{number:02d}" for number in (2, 4, 9, 10, 12, 13, 18, 20, 24))
"""UCI HAR's own split."""
HAPT_BASIC = ("walking", "upstairs", "downstairs", "sitting", "standing", "laying")

SENSORS = {
    "as recorded": Sensor(),
    "20 Hz": Sensor(rate_hz=20),
    "25 Hz": Sensor(rate_hz=25),
    "100 Hz": Sensor(rate_hz=100),
    "200 Hz": Sensor(rate_hz=200),
    "3 % lost": Sensor(loss=0.03),
    "10 % lost": Sensor(loss=0.1),
    "range 2 g, 16 bits": Sensor(range_g=2),
    "range 16 g, 16 bits": Sensor(range_g=16),
    "range 16 g, 12 bits": Sensor(range_g=16, bits=12),
    "noise 0.1 m/s², 0.01 rad/s": Sensor(noise=(0.1, 0.01)),
}

COARSER = (16, 32, 64)
NOISIER = (8, 16, 32)
"""Codes are rounded to multiples of these, or get noise of this spread, to see what privacy costs."""

LEFT_OUT_STEPS = 1500
LEFT_OUT_WINDOWS = 6000
"""Windows of a left-out set that are measured at most."""
LEFT_OUT_PEERS = ("gravity_statistics_162", "plain_statistics_216", "minirocket_924", "catch24_144")

Vectors = NDArray[np.float32]
Say = Callable[[str], None]


def evaluate(folder: Path, model: Path, say: Say, *, left_out: bool = True) -> None:
    """Measure the model in folder `model` on the sets in `folder`; write its card's quality, its README, its map."""
    encoder = open_encoder(model, device="cpu")
    card = encoder.card.text
    hapt = data.read(folder, "hapt", np.random.default_rng(SEED))
    hapt = hapt.where(np.isin(hapt.activity, HAPT_BASIC))
    test = np.isin(hapt.person, HAPT_TEST_PEOPLE)
    turned = data.turned(hapt.windows[test], np.random.default_rng(SEED))
    made: dict[str, Transform] = {
        SIGNATURE: contestants.shipped(encoder),
        FLOAT_TWIN: contestants.float_twin(encoder),
        RANDOM_WEIGHTS: contestants.untaught(hapt.windows[~test], SEED),
        **{name: peer(hapt.windows[~test]) for name, peer in PEERS.items()},
    }
    quality: dict[str, Any] = {
        "how": "by scripts/evaluate; three numbers are a figure and its 95 % interval over people; hapt was not "
        "trained on, but what is trained was chosen with a look at it; README.md says more",
        "draws": measures.DRAWS,
        "folds": measures.FOLDS,
        "left_out_batches": LEFT_OUT_STEPS,
        "left_out_windows": LEFT_OUT_WINDOWS,
        "hapt": {},
        "windows": {"hapt_train": int((~test).sum()), "hapt_test": int(test.sum())},
    }
    kept: dict[str, Vectors] = {}
    kept_turned: dict[str, Vectors] = {}
    for name, transform in made.items():
        kept[name], kept_turned[name] = transform(hapt.windows), transform(turned)
        # The untrained network runs in TensorFlow, in batches, so its time would not compare.
        cost = {} if name == RANDOM_WEIGHTS else _cost(transform, hapt.windows[test])
        row = {**cost, **_measured(kept[name], kept_turned[name], hapt, [test])}
        quality["hapt"][name] = row
        say(f"{name}: {_shown(row)}")
        if name in WITH_MOTION:
            row = _measured(kept[name][:, MOTION], kept_turned[name][:, MOTION], hapt, [test])
            quality["hapt"][f"{name}_motion"] = row
            say(f"{name}, motion alone: {_shown(row)}")
    quality["sensors"] = _other_sensors(folder, made, kept, hapt, test)
    say("other sensors: " + ", ".join(f"{name} {row[SIGNATURE][0]}" for name, row in quality["sensors"].items()))
    quality["int8_against_float"] = _int8_against_float(kept, hapt, test, quality["hapt"])
    say(f"int8 against float: {quality['int8_against_float']}")
    quality["privacy"] = _privacy(kept[SIGNATURE], hapt, test)
    say("privacy: " + ", ".join(f"{name} {row['recognised'][0]}" for name, row in quality["privacy"].items()))
    quality["waveform_returned"] = _plain(measures.waveform_returned(kept[SIGNATURE], hapt.windows, hapt.person, test))
    say(f"waveform a decoder gets back: {quality['waveform_returned']}")
    moved = np.abs(kept_turned[SIGNATURE][:, MOTION] - kept[SIGNATURE][test][:, MOTION]) / network.OUTPUT_SCALE
    quality["turned_against_unturned_codes"] = {
        "mean_lsb": round(float(moved.mean()), 3),
        "largest_lsb": int(moved.max()),
    }
    mapped = kept[SIGNATURE][test], kept_turned[SIGNATURE][:, MOTION], hapt.activity[test]
    picture.draw_map(model / picture.MAP, *mapped, seconds=encoder.card.length / encoder.card.rate_hz)
    say(f"map of signatures: {model / picture.MAP}")
    if "left_out" in card["quality"]:
        quality["left_out"] = card["quality"]["left_out"]
    card["quality"] = quality
    describe.write(model, card)
    if left_out:
        quality["left_out"] = _left_out(folder, say)
        describe.write(model, card)
    say(f"written: the quality in {model / CARD_NAME}, and {model / 'README.md'}")


def _measured(
    vectors: Vectors, turned: Vectors, windows: data.WindowSet, tests: Sequence[NDArray[np.bool_]]
) -> dict[str, Any]:
    """Return all measures of `vectors` of all windows, and of `turned`, those of the test windows turned."""
    activity, person = windows.activity, windows.person
    asked = np.any(tests, axis=0)
    guessed, guessed_turned = np.empty_like(activity), np.empty_like(activity)
    for test in tests:
        learned = measures.probe(vectors[~test], activity[~test])
        guessed[test] = learned(vectors[test])
        guessed_turned[test] = learned(turned[test[asked]])
    row: dict[str, Any] = {
        "numbers": vectors.shape[1],
        "probe": measures.probed(guessed[asked], activity[asked], person[asked]),
        "probe_turned": measures.probed(guessed_turned[asked], activity[asked], person[asked]),
    }
    scaled = measures.z_scored(vectors)
    for shots in SHOTS:
        row[f"enrolment_across_{shots}"] = measures.enrolment_across(scaled, activity, person, tests, shots)
    row["enrolment_across_5_bare"] = measures.enrolment_across(vectors, activity, person, tests, 5)
    if windows.name == "hapt":  # the one set that says when a device was taken off and put on again
        for shots in SHOTS:
            row[f"enrolment_worn_again_{shots}"] = measures.enrolment_worn_again(
                scaled, activity, person, windows.wearing, shots
            )
        row["recognised"], row["recognised_wearing"] = measures.recognised(vectors, person, windows.wearing)
    novelty = measures.novelty(vectors, activity, person, tests)
    row["novelty_mean"] = novelty.pop("mean")
    row["novelty_worst"] = min(novelty.values(), key=lambda score: score.value)
    return _plain(row) | {"novelty_of": _plain(novelty)}


def _other_sensors(
    folder: Path, made: dict[str, Transform], kept: dict[str, Vectors], hapt: data.WindowSet, test: NDArray[np.bool_]
) -> dict[str, Any]:
    """Return the macro-F1 on the test people as from other sensors; the probes know the originals."""
    table: dict[str, Any] = {}
    rivals = {
        SIGNATURE: slice(None),
        f"{SIGNATURE}_motion": MOTION,
        "plain_statistics_216": slice(None),
        "gravity_statistics_162": slice(None),
    }
    learned = {
        name: measures.probe(kept[name.removesuffix("_motion")][~test][:, part], hapt.activity[~test])
        for name, part in rivals.items()
    }
    for title, sensor in SENSORS.items():
        got = data.read(folder, "hapt", np.random.default_rng(SEED), partial(_always, sensor))
        got = got.where(np.isin(got.activity, HAPT_BASIC) & np.isin(got.person, HAPT_TEST_PEOPLE))
        row: dict[str, Any] = {"windows_kept": round(len(got) / int(test.sum()), 3)}
        for name, part in rivals.items():
            vectors = made[name.removesuffix("_motion")](got.windows)[:, part]
            row[name] = measures.probed(learned[name](vectors), got.activity, got.person)
        table[title] = _plain(row)
    return table


def _int8_against_float(
    kept: dict[str, Vectors], hapt: data.WindowSet, test: NDArray[np.bool_], table: dict[str, Any]
) -> dict[str, Any]:
    """Return what rounding weights, activations and codes to eight bits changes."""
    int8, real = kept[SIGNATURE][test], kept[FLOAT_TWIN][test]
    alike, motion = measures.cosines(int8, real), measures.cosines(int8[:, MOTION], real[:, MOTION])
    return {
        "cosine_mean": round(float(alike.mean()), 4),
        "cosine_1st_percentile": round(float(np.quantile(alike, 0.01)), 4),
        "motion_cosine_mean": round(float(motion.mean()), 4),
        "motion_cosine_1st_percentile": round(float(np.quantile(motion, 0.01)), 4),
        "probe_difference": round(table[SIGNATURE]["probe"][0] - table[FLOAT_TWIN]["probe"][0], 4),
        "neighbours_kept": round(measures.neighbours_kept(int8, real), 3),
        "saturated_codes": round(float((np.abs(int8) >= 127 * network.OUTPUT_SCALE).mean()), 5),
    }


def _privacy(vectors: Vectors, hapt: data.WindowSet, test: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how well people are recognised when less detail is sent, and what that costs."""
    noise = np.random.default_rng(SEED).normal(size=vectors.shape).astype(np.float32) * np.float32(network.OUTPUT_SCALE)
    sent = {"the signature": vectors, "motion alone": vectors[:, MOTION]}
    sent["posture alone"] = vectors[:, network.MOTION_DIM :]
    for step in COARSER:
        unit = np.float32(step * network.OUTPUT_SCALE)
        sent[f"codes rounded to multiples of {step}"] = np.rint(vectors / unit) * unit
    sent |= {f"codes with noise of spread {spread}": vectors + spread * noise for spread in NOISIER}
    table: dict[str, Any] = {}
    for name, seen in sent.items():
        learned = measures.probe(seen[~test], hapt.activity[~test])
        window, wearing = measures.recognised(seen, hapt.person, hapt.wearing)
        table[name] = _plain(
            {
                "recognised": window,
                "recognised_wearing": wearing,
                "probe": measures.probed(learned(seen[test]), hapt.activity[test], hapt.person[test]),
                "enrolment_across_5": measures.enrolment_across(
                    measures.z_scored(seen), hapt.activity, hapt.person, [test], 5
                ),
            }
        )
    return table


def _left_out(folder: Path, say: Say) -> dict[str, Any]:
    """Return the measures on each labelled set by a network that never saw it, and by the peers."""
    table: dict[str, Any] = {}
    material, _ = read_material(folder, [], SEED, say)
    for name in data.TRAINING_SETS:
        if not data.SETS[name].labelled:
            continue
        transform = _taught_without(name, material)
        windows, tests = _sample(data.read(folder, name, np.random.default_rng(SEED)))
        turned = data.turned(windows.windows, np.random.default_rng(SEED))
        vectors, asked_turned = transform(windows.windows), transform(turned)
        rows = {
            SIGNATURE: _measured(vectors, asked_turned, windows, tests),
            f"{SIGNATURE}_motion": _measured(vectors[:, MOTION], asked_turned[:, MOTION], windows, tests),
        }
        for rival in LEFT_OUT_PEERS:
            fitted = PEERS[rival](windows.windows)
            rows[rival] = _measured(fitted(windows.windows), fitted(turned), windows, tests)
        table[name] = rows
        for rival, row in rows.items():
            say(f"{name} left out of training, {rival}: {_shown(row)}")
    return table


def _taught_without(name: str, material: list[Material]) -> Transform:
    network.seed(SEED)
    rng = np.random.default_rng(SEED)
    model = network.build()
    lessons = lessons_of([part for part in material if part.name != name])
    network.Course(model, lessons, steps=LEFT_OUT_STEPS, rng=rng).run()
    return contestants.of_model(model)


def _sample(windows: data.WindowSet) -> tuple[data.WindowSet, list[NDArray[np.bool_]]]:
    """Return LEFT_OUT_WINDOWS of the windows at most, and the test rows of each fold.

    Their activities are those that every fold can learn from the others.
    """
    drawn = np.zeros(len(windows), bool)
    drawn[np.random.default_rng(SEED).permutation(len(windows))[:LEFT_OUT_WINDOWS]] = True
    tests = measures.folds(windows.person)
    common = set.intersection(*(set(windows.activity[drawn & ~test]) for test in tests))
    chosen = drawn & np.isin(windows.activity, sorted(common))
    return windows.where(chosen), [test[chosen] for test in tests]


def _cost(transform: Transform, windows: NDArray[np.float32]) -> dict[str, float]:
    """Return microseconds a window, one thread: alone, as it is live, and in a batch, as in a replay."""
    return {
        "microseconds_alone": round(microseconds_per_window(transform, windows[:TIMED_WINDOWS]), 1),
        "microseconds_in_a_batch": round(microseconds_per_window(transform, windows, batch=TIMED_BATCH), 1),
    }


def _always(sensor: Sensor, rng: np.random.Generator) -> Sensor:
    return sensor


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: [*astuple(value)] if isinstance(value, Score) else value for name, value in row.items()}


def _shown(row: dict[str, Any]) -> str:
    plain = {name: value for name, value in row.items() if not isinstance(value, dict)}
    return "  ".join(f"{name} {value[0] if isinstance(value, list) else value}" for name, value in plain.items())

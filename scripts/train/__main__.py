"""Train the motion encoder and write a finished model folder: weights, golden vectors, card and README.

    python -m scripts.train --data ../shared/data --out firmware_models/motion64

Everything the network learns from passes motionsig's own resampler, windower and front end. One seed; no figure in the
card is typed: the run that wrote it measured it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import OpResolverType
from numpy.typing import NDArray

from motionsig.frontend import POSTURE_DIM, FrontEnd
from motionsig.quantization import Quantization
from scripts.train import data, describe, handmade, network, quality

FRONT_END = FrontEnd(acc_knee=0.5, gyr_knee=0.12)
"""Low knees: what tells one way of keeping still from another is a few hundredths of a m/s²."""

INPUT = Quantization(((6, network.INPUT_SCALE, network.ZERO_POINT),))
MOTION = Quantization(((network.MOTION_DIM, network.OUTPUT_SCALE, network.ZERO_POINT),))
POSTURE = Quantization(((POSTURE_DIM, describe.POSTURE_SCALE, 0),))

TARGETS = 64
"""Principal components of the gravity statistics that the motion codes must predict."""

CALIBRATION_WINDOWS = 500
COMPARED_WINDOWS = 4000


class Clock:
    """Prints each step of the work with the seconds since the start."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begun

    def say(self, text: str) -> None:
        """Print `text` with the time."""
        print(f"[{self.seconds:5.0f} s] {text}", flush=True)


def inputs_of(windows: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the network's input (k, 128, 6) int8 and the posture codes (k, 16) int8 of windows (k, 128, 6)."""
    features, posture = FRONT_END.apply(windows)
    return INPUT.quantize(features), POSTURE.quantize(posture)


def lessons_of(sets: list[data.WindowSet]) -> network.Lessons:
    """Return what the network is taught: inputs, whitened statistics, and the labels in groups of their own set."""
    groups, classes = [], []
    for part in sets:
        # st_mlc holds several small sets, named before the slash: their classes are not each other's rivals.
        prefix = np.array(
            [f"{part.name}/{label.split('/')[0]}" if "/" in label else part.name for label in part.activity]
        )
        groups.append(prefix)
        classes.append(np.char.add(f"{part.name}:", part.activity))
    labelled = np.concatenate([np.full(len(part), data.TRAINING_SETS[part.name].labelled) for part in sets])
    _, group = np.unique(np.concatenate(groups), return_inverse=True)
    _, first, label = np.unique(np.concatenate(classes), return_index=True, return_inverse=True)
    statistics = np.concatenate([handmade.gravity_statistics(part.windows) for part in sets])
    return network.Lessons(
        codes=np.concatenate([inputs_of(part.windows)[0] for part in sets]),
        targets=whitened(statistics),
        label=np.where(labelled, label, -1).astype(np.int32),
        classes=group[first].astype(np.int32),
        group=group.astype(np.int32),
        set_index=np.repeat(np.arange(len(sets)), [len(part) for part in sets]),
    )


def whitened(statistics: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first TARGETS principal components of standardised statistics (n, s), each of unit variance."""
    spread = statistics.std(axis=0)
    standard = np.clip((statistics - statistics.mean(axis=0)) / np.maximum(spread, 1e-6), -6, 6).astype(np.float64)
    standard -= standard.mean(axis=0)
    variance, axes = np.linalg.eigh(standard.T @ standard / len(standard))
    kept = np.argsort(variance)[::-1][:TARGETS]
    return np.asarray(standard @ (axes[:, kept] / np.sqrt(variance[kept])), np.float32)


def synthetic_windows(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Return made-up motion (count, 128, 6): rest, swings and knocks of many strengths, worn any way."""
    seconds = np.arange(data.LENGTH) / data.GRID_HZ
    windows = np.zeros((count, data.LENGTH, 6))
    windows[:, :, 2] = 9.80665
    for row in range(count):
        strength = row / max(count - 1, 1)  # the first is at rest
        for channel in range(6):
            for harmonic in (1, 2, 3):
                size = strength * rng.exponential(3.0 if channel < 3 else 1.0) / harmonic
                phase = 2 * np.pi * (harmonic * (0.5 + 2.5 * strength) * seconds + rng.random())
                windows[row, :, channel] += size * np.sin(phase)
        if row % 4 == 3:
            windows[row, rng.integers(data.LENGTH - 2) :][:2, :3] += rng.normal(size=3) * 60
    windows += rng.normal(size=windows.shape) * np.array([0.02] * 3 + [0.003] * 3)
    return data.turned(windows.astype(np.float32), rng)


def main() -> None:
    """Run the whole of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the recorded sets (NAME.npz)")
    parser.add_argument(
        "--out", type=Path, required=True, help="model folder to write, for instance firmware_models/motion64"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=5000, help=f"batches of {network.BATCH} windows")
    options = parser.parse_args()
    clock = Clock()
    network.seed(options.seed)
    rng = np.random.default_rng(options.seed)

    assert not data.EVALUATION_ONLY & data.TRAINING_SETS.keys()
    sets, held_out = [], {}
    for name in data.TRAINING_SETS:
        whole = data.read_training_set(options.data, name, rng)
        away = data.held_out_people(whole.person, rng)
        rows = np.isin(whole.person, list(away))
        sets.append(whole.where(~rows))
        held_out[name] = whole.where(rows)
        clock.say(f"{name}: {len(sets[-1])} windows to train on; {len(away)} people kept away ({rows.sum()} windows)")
    lessons = lessons_of(sets)
    clock.say(f"front end and {lessons.targets.shape[1]} statistics targets of {len(lessons.codes)} windows")

    model = network.build()
    clock.say(f"training {network.parameters(model)} parameters, {options.steps} batches of {network.BATCH}")
    trained = network.teach(model, lessons, steps=options.steps, rng=rng)
    calibration = lessons.codes[rng.choice(len(lessons.codes), CALIBRATION_WINDOWS, replace=False)]
    model_bytes = network.to_int8(model, calibration)
    encoder = network.Int8Network(model_bytes)
    assert encoder.input_quantization == (network.INPUT_SCALE, 0), encoder.input_quantization
    assert encoder.output_quantization == (network.OUTPUT_SCALE, 0), encoder.output_quantization
    clock.say(f"int8: {len(model_bytes)} bytes, {', '.join(network.operations(model_bytes))}")
    raw_network = network.build()
    network.settle(raw_network, lessons.codes, rng)
    untaught = network.Int8Network(network.to_int8(raw_network, calibration))

    figures = measure(options.data, encoder, untaught, model, sets, held_out, rng, clock)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "encoder_int8.tflite").write_bytes(model_bytes)
    golden = golden_windows(sets, rng)
    figures["kernels_apart_lsb"] = kernels_apart(model_bytes, golden)
    write_golden(options.out / "golden.npz", encoder, golden, figures["kernels_apart_lsb"])
    training = {
        "script": "scripts/train",
        "seed": options.seed,
        "seconds": round(clock.seconds),
        "parameters": network.parameters(model),
        "multiply_accumulates": network.multiply_accumulates(model),
        "operations": network.operations(model_bytes),
        "batches": options.steps,
        "batch": network.BATCH,
        "last_figures": trained,
        "sets": [set_facts(part) for part in sets],
        "people_kept_away": {name: sorted(set(part.person.tolist())) for name, part in held_out.items() if len(part)},
        "not_used": sorted(data.EVALUATION_ONLY),
    }
    describe.write(options.out, FRONT_END, training, figures)
    clock.say(f"written: {options.out}")


def set_facts(part: data.WindowSet) -> dict[str, object]:
    """Return what the card says of one training set, counting what was used."""
    facts = data.TRAINING_SETS[part.name]
    hours = len(part) * facts.hop / data.GRID_HZ / 3600
    # Sets that name nobody carry one stand-in.
    people = len(np.unique(part.person)) if part.name not in data.NOBODY_NAMED else None
    return {
        "name": part.name,
        "licence": facts.licence,
        "people": people,
        "hours": round(hours, 1),
        "windows": len(part),
    }


def golden_windows(sets: list[data.WindowSet], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return windows that may be given away: half made up, half of a BSD-licensed set."""
    watch = next(part for part in sets if part.name == "seglearn_watch").windows
    return np.concatenate([synthetic_windows(rng, 12), watch[rng.choice(len(watch), 12, replace=False)]])


def kernels_apart(model: bytes, windows: NDArray[np.float32]) -> int:
    """Return by how many steps at most a motion code differs between LiteRT's kinds of kernels."""
    entry = inputs_of(windows)[0]
    kinds = (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.BUILTIN_REF)
    codes = np.stack([network.Int8Network(model, kind).codes_of(entry) for kind in kinds]).astype(int)
    return int((codes.max(axis=0) - codes.min(axis=0)).max())


def write_golden(file: Path, encoder: network.Int8Network, windows: NDArray[np.float32], apart: int) -> None:
    """Write windows, the codes they gave here, and how far another platform's kernels may stray."""
    entry, posture = inputs_of(windows)
    codes = np.concatenate([encoder.codes_of(entry), posture], axis=1)
    # ARM's kernels have been seen 2 steps off; those tried here may be further apart, and one more is rounding's.
    np.savez_compressed(file, windows=windows, codes=codes, tolerance=np.int64(max(2, apart + 1)))


def measure(
    folder: Path,
    encoder: network.Int8Network,
    untaught: network.Int8Network,
    model: object,
    sets: list[data.WindowSet],
    held_out: dict[str, data.WindowSet],
    rng: np.random.Generator,
    clock: Clock,
) -> dict[str, Any]:
    """Return the card's quality figures."""
    hapt = data.read_evaluation_set(folder, "hapt", rng)
    hapt = hapt.where(np.isin(hapt.activity, quality.HAPT_BASIC))
    tested = np.isin(hapt.person, list(quality.HAPT_TEST_PEOPLE))
    seen, unseen = hapt.where(~tested), hapt.where(tested)
    turned = data.turned(unseen.windows, rng)
    motionsense = next(part for part in sets if part.name == "motionsense")
    away = held_out["motionsense"]

    def signatures(coder: network.Int8Network, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        entry, posture = inputs_of(windows)
        return np.concatenate([MOTION.dequantize(coder.codes_of(entry)), POSTURE.dequantize(posture)], axis=1)

    def f1(train: NDArray[np.float32], test: NDArray[np.float32], *, hapt_people: bool) -> float:
        labels = (seen, unseen) if hapt_people else (motionsense, away)
        return quality.Probe(train, labels[0].activity, test, labels[1].activity).macro_f1()

    table: dict[str, dict[str, float]] = {}
    for name, coder in (("signature", encoder), ("random_weights", untaught)):
        train, test, rotated = (signatures(coder, windows) for windows in (seen.windows, unseen.windows, turned))
        at_home = [signatures(coder, part.windows) for part in (motionsense, away)]
        motion = slice(0, network.MOTION_DIM)
        table[f"{name}_64"] = {
            "motionsense_held_out_people": f1(*at_home, hapt_people=False),
            "hapt_test_people": f1(train, test, hapt_people=True),
        }
        table[f"{name}_motion_48"] = {
            "motionsense_held_out_people": f1(at_home[0][:, motion], at_home[1][:, motion], hapt_people=False),
            "hapt_test_people": f1(train[:, motion], test[:, motion], hapt_people=True),
            "hapt_test_people_turned": f1(train[:, motion], rotated[:, motion], hapt_people=True),
        }
        clock.say(f"{name}: {table[f'{name}_64']} {table[f'{name}_motion_48']}")
    for name, of in (
        ("plain_statistics_216", handmade.plain_statistics),
        ("gravity_statistics_162", handmade.gravity_statistics),
    ):
        table[name] = {
            "motionsense_held_out_people": f1(of(motionsense.windows), of(away.windows), hapt_people=False),
            "hapt_test_people": f1(of(seen.windows), of(unseen.windows), hapt_people=True),
            "hapt_test_people_turned": f1(of(seen.windows), of(turned), hapt_people=True),
        }
        clock.say(f"{name}: {table[name]}")

    rows = rng.choice(len(unseen), min(COMPARED_WINDOWS, len(unseen)), replace=False)
    entry = inputs_of(unseen.windows)[0]
    codes = encoder.codes_of(entry[rows])
    alike = quality.cosines(MOTION.dequantize(codes), network.values_of(model, entry[rows]))
    moved = np.abs(codes.astype(int) - encoder.codes_of(inputs_of(turned[rows])[0]).astype(int))
    figures = {
        "how": quality.HOW,
        "linear_probe_macro_f1": table,
        "windows": {"hapt_train": len(seen), "hapt_test": len(unseen), "motionsense_test": len(away)},
        "int8_against_float": {
            "cosine_mean": round(float(alike.mean()), 4),
            "cosine_1st_percentile": round(float(np.quantile(alike, 0.01)), 4),
        },
        "turned_against_unturned_codes": {"mean_lsb": round(float(moved.mean()), 3), "largest_lsb": int(moved.max())},
        "saturated_codes": round(float((np.abs(codes.astype(int)) >= 127).mean()), 5),
        "microseconds_per_call": {
            "median": round(encoder.microseconds(entry[:2000]), 1),
            "of": "one LiteRT call on one x86-64 thread, copies in and out included",
        },
    }
    clock.say(
        f"int8 against float {figures['int8_against_float']}, {figures['microseconds_per_call']['median']} us a call"
    )
    return figures


if __name__ == "__main__":
    main()
